//! Writes a packet.
//!
//! What a version does not have is left out: a packet of MQTT 3.x is written without properties, and
//! its acknowledgements without Reason Codes.

use crate::codec::VAR_INT_MAX;
use crate::codec::decode::BRIDGE;
use crate::packet::{
    Auth, ConnAck, Connect, Delivery, Disconnect, Packet, PacketType, Publish, PublishAck, Qos,
    Subscribe, SubscribeAck, SubscriptionOptions, Unsubscribe, Version,
};
use crate::property::Properties;
use crate::reason::ReasonCode;

/// Why a packet cannot be written. The culprit is who made the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Texts and binary data have a length of two bytes.
    #[error("a text or binary field has {0} bytes, 65535 are possible")]
    FieldTooLong(usize),
    /// A Remaining Length has at most four bytes.
    #[error("the packet would have {0} bytes, 268435455 are possible")]
    PacketTooLong(usize),
    /// A packet that the version in use does not have.
    #[error("{0} cannot be sent in this version of MQTT")]
    NotInVersion(PacketType),
}

/// Appends the wire form of `packet` to `out`; on failure `out` is as before.
pub fn encode(packet: &Packet<'_>, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    write(packet, version, out).inspect_err(|_| out.truncate(start))
}

fn write(packet: &Packet<'_>, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(packet) => {
            with_header(PacketType::Connect, 0, out, |out| connect(packet, out))
        }
        Packet::ConnAck(packet) => with_header(PacketType::ConnAck, 0, out, |out| {
            connack(packet, version, out)
        }),
        Packet::Publish(packet) => encode_publish(packet, version, out),
        Packet::PubAck(packet) => publish_ack(PacketType::PubAck, 0, packet, version, out),
        Packet::PubRec(packet) => publish_ack(PacketType::PubRec, 0, packet, version, out),
        Packet::PubRel(packet) => publish_ack(PacketType::PubRel, 0b0010, packet, version, out),
        Packet::PubComp(packet) => publish_ack(PacketType::PubComp, 0, packet, version, out),
        Packet::Subscribe(packet) => with_header(PacketType::Subscribe, 0b0010, out, |out| {
            subscribe(packet, version, out)
        }),
        Packet::SubAck(packet) => with_header(PacketType::SubAck, 0, out, |out| {
            suback(packet, version, out)
        }),
        Packet::Unsubscribe(packet) => with_header(PacketType::Unsubscribe, 0b0010, out, |out| {
            unsubscribe(packet, version, out)
        }),
        Packet::UnsubAck(packet) => with_header(PacketType::UnsubAck, 0, out, |out| {
            unsuback(packet, version, out)
        }),
        Packet::PingReq => with_header(PacketType::PingReq, 0, out, |_| Ok(())),
        Packet::PingResp => with_header(PacketType::PingResp, 0, out, |_| Ok(())),
        Packet::Disconnect(packet) => with_header(PacketType::Disconnect, 0, out, |out| {
            disconnect(packet, version, out)
        }),
        Packet::Auth(packet) => {
            with_header(PacketType::Auth, 0, out, |out| auth(packet, version, out))
        }
    }
}

/// Writes a fixed header and the body that `body` appends behind it.
///
/// Most bodies have fewer than 128 bytes, so room for one byte of Remaining Length is made first and
/// longer ones are moved.
fn with_header(
    packet_type: PacketType,
    flags: u8,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[(packet_type as u8) << 4 | flags, 0]);
    body(out)?;
    let len = out.len() - start - 2;
    let (bytes, used) = var_int_bytes(len).ok_or(EncodeError::PacketTooLong(len))?;
    out.splice(start + 1..start + 2, bytes.into_iter().take(used));
    Ok(())
}

/// Appends a PUBLISH to `out`; on failure `out` is as before.
pub fn encode_publish(
    packet: &Publish<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let topic_len = packet.topic.map_or(0, |topic| topic.as_str().len());
    // The lengths and the Packet Identifier take 15 bytes at most: one allocation for all of it.
    let head_len = 15 + topic_len + packet.properties.as_bytes().len();
    out.reserve(head_len + packet.payload.len());
    encode_publish_head(packet, version, out)?;
    out.extend_from_slice(packet.payload);
    Ok(())
}

/// Appends a PUBLISH up to its payload, which the caller sends behind it, perhaps without a copy; on
/// failure `out` is as before.
pub fn encode_publish_head(
    packet: &Publish<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let topic = packet.topic.map_or("", |topic| topic.as_str());
    let properties = packet.properties.as_bytes();
    let properties_len = if version.has_properties() {
        var_int_len(properties.len()) + properties.len()
    } else {
        0
    };
    let packet_id_len = if packet.delivery.qos() == Qos::AtMostOnce {
        0
    } else {
        2
    };
    let len = 2 + topic.len() + packet_id_len + properties_len + packet.payload.len();
    let (bytes, used) = var_int_bytes(len).ok_or(EncodeError::PacketTooLong(len))?;
    let topic_len =
        u16::try_from(topic.len()).map_err(|_| EncodeError::FieldTooLong(topic.len()))?;

    out.reserve(1 + used + len - packet.payload.len());
    out.push(publish_first_byte(packet));
    out.extend(bytes.into_iter().take(used));
    out.extend_from_slice(&topic_len.to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    if let Some(packet_id) = packet.delivery.packet_id() {
        out.extend_from_slice(&packet_id.get().to_be_bytes());
    }
    if version.has_properties() {
        write_properties(packet.properties, version, out)?;
    }
    Ok(())
}

fn publish_first_byte(packet: &Publish<'_>) -> u8 {
    let dup = match packet.delivery {
        Delivery::AtMostOnce => false,
        Delivery::AtLeastOnce { dup, .. } | Delivery::ExactlyOnce { dup, .. } => dup,
    };
    (PacketType::Publish as u8) << 4
        | u8::from(dup) << 3
        | (packet.delivery.qos() as u8) << 1
        | u8::from(packet.retain)
}

fn connect(packet: &Connect<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let version = packet.version;
    write_bytes(version.protocol_name().as_bytes(), out)?;
    let is_told = packet.is_bridge && !version.has_properties();
    out.push(version.level() | if is_told { BRIDGE } else { 0 });
    let will = packet.will.as_ref();
    out.push(
        u8::from(packet.user_name.is_some()) << 7
            | u8::from(packet.password.is_some()) << 6
            | will.map_or(0, |will| {
                u8::from(will.retain) << 5 | (will.qos as u8) << 3 | 0b100
            })
            | u8::from(packet.clean_start) << 1,
    );
    out.extend_from_slice(&packet.keep_alive_secs.to_be_bytes());
    write_properties(packet.properties, version, out)?;
    write_bytes(packet.client_id.as_bytes(), out)?;
    if let Some(will) = will {
        write_properties(will.properties, version, out)?;
        write_bytes(will.topic.as_str().as_bytes(), out)?;
        write_bytes(will.payload, out)?;
    }
    if let Some(user_name) = packet.user_name {
        write_bytes(user_name.as_bytes(), out)?;
    }
    packet
        .password
        .map_or(Ok(()), |password| write_bytes(password, out))
}

fn connack(packet: &ConnAck<'_>, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    // MQTT 3.1 knows no Session Present; its byte is reserved.
    out.push(u8::from(packet.session_present && version != Version::V3_1));
    out.push(if version.has_properties() {
        packet.reason as u8
    } else {
        packet.reason.to_connect_return_code()
    });
    write_properties(packet.properties, version, out)
}

fn publish_ack(
    packet_type: PacketType,
    flags: u8,
    packet: &PublishAck<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    with_header(packet_type, flags, out, |out| {
        out.extend_from_slice(&packet.packet_id.get().to_be_bytes());
        reason_and_properties(packet.reason, packet.properties, version, out)
    })
}

/// Writes the Reason Code and properties that end a packet, as short as they can be.
fn reason_and_properties(
    reason: ReasonCode,
    properties: Properties<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if !version.has_properties() || (reason == ReasonCode::Success && properties.is_empty()) {
        return Ok(());
    }
    out.push(reason as u8);
    if properties.is_empty() {
        Ok(())
    } else {
        write_properties(properties, version, out)
    }
}

fn subscribe(
    packet: &Subscribe<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    out.extend_from_slice(&packet.packet_id.get().to_be_bytes());
    write_properties(packet.properties, version, out)?;
    for subscription in &packet.subscriptions {
        write_bytes(subscription.filter.as_str().as_bytes(), out)?;
        out.push(subscription_options(subscription.options, version));
    }
    Ok(())
}

fn subscription_options(options: SubscriptionOptions, version: Version) -> u8 {
    if !version.has_properties() {
        return options.qos as u8;
    }
    (options.retain_handling as u8) << 4
        | u8::from(options.retain_as_published) << 3
        | u8::from(options.no_local) << 2
        | options.qos as u8
}

fn suback(
    packet: &SubscribeAck<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    out.extend_from_slice(&packet.packet_id.get().to_be_bytes());
    write_properties(packet.properties, version, out)?;
    out.extend(packet.reasons.iter().map(|&reason| {
        let only_failure = reason.is_error() && !version.has_properties();
        if only_failure {
            ReasonCode::UnspecifiedError as u8
        } else {
            reason as u8
        }
    }));
    Ok(())
}

fn unsubscribe(
    packet: &Unsubscribe<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    out.extend_from_slice(&packet.packet_id.get().to_be_bytes());
    write_properties(packet.properties, version, out)?;
    packet
        .filters
        .iter()
        .try_for_each(|filter| write_bytes(filter.as_str().as_bytes(), out))
}

fn unsuback(
    packet: &SubscribeAck<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    out.extend_from_slice(&packet.packet_id.get().to_be_bytes());
    write_properties(packet.properties, version, out)?;
    if version.has_properties() {
        out.extend(packet.reasons.iter().map(|&reason| reason as u8));
    }
    Ok(())
}

fn disconnect(
    packet: &Disconnect<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    reason_and_properties(packet.reason, packet.properties, version, out)
}

fn auth(packet: &Auth<'_>, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !version.has_properties() {
        return Err(EncodeError::NotInVersion(PacketType::Auth));
    }
    reason_and_properties(packet.reason, packet.properties, version, out)
}

/// Writes a block of properties with its length in front; nothing in MQTT 3.x. `[MQTT-2.2.2-1]`
fn write_properties(
    properties: Properties<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if !version.has_properties() {
        return Ok(());
    }
    let block = properties.as_bytes();
    let len = u32::try_from(block.len()).map_err(|_| EncodeError::PacketTooLong(block.len()))?;
    write_var_int(len, out)?;
    out.extend_from_slice(block);
    Ok(())
}

/// Writes UTF-8 or binary data with its length in front.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let len = u16::try_from(bytes.len()).map_err(|_| EncodeError::FieldTooLong(bytes.len()))?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Writes a Variable Byte Integer in its shortest form. `[MQTT-1.5.5-1]`
pub(crate) fn write_var_int(value: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (bytes, used) =
        var_int_bytes(value as usize).ok_or(EncodeError::PacketTooLong(value as usize))?;
    out.extend(bytes.into_iter().take(used));
    Ok(())
}

/// The bytes of a Variable Byte Integer and how many of them count; `None` above its range.
fn var_int_bytes(value: usize) -> Option<([u8; 4], usize)> {
    let mut rest = u32::try_from(value)
        .ok()
        .filter(|&value| value <= VAR_INT_MAX)?;
    let mut bytes = [0; 4];
    let mut used = 0;
    for byte in &mut bytes {
        used += 1;
        *byte = (rest & 0x7F) as u8;
        rest >>= 7;
        if rest == 0 {
            break;
        }
        *byte |= 0x80;
    }
    Some((bytes, used))
}

const fn var_int_len(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}
