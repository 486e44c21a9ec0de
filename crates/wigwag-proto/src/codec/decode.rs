//! Reads a packet from its frame.
//!
//! One function per packet, in the order of the standard. What MQTT 3.x lacks is filled in with what
//! MQTT 5 means by its absence.

use crate::codec::{DecodeError, DecodeLimits, Field, Frame, Reader};
use crate::packet::{
    Auth, ConnAck, Connect, Delivery, Disconnect, Packet, PacketType, Publish, PublishAck, Qos,
    RetainHandling, Subscribe, SubscribeAck, Subscription, SubscriptionOptions, Unsubscribe,
    Version, Will,
};
use crate::property::{Carrier, Properties, PropertyId};
use crate::reason::ReasonCode;
use crate::topic::{TopicFilter, TopicName};

/// Reads the packet of a frame.
///
/// `version` is the one that the connection's CONNECT named; a CONNECT itself is read without it.
pub fn decode<'a>(
    frame: Frame<'a>,
    version: Version,
    limits: &DecodeLimits,
) -> Result<Packet<'a>, DecodeError> {
    check_flags(&frame, version)?;
    let body = Body {
        packet_type: frame.packet_type,
        version,
        limits,
        reader: Reader::new(frame.body),
    };
    match frame.packet_type {
        PacketType::Connect => connect(body.reader, limits).map(Packet::Connect),
        PacketType::ConnAck => connack(body).map(Packet::ConnAck),
        PacketType::Publish => publish(body, frame.flags).map(Packet::Publish),
        PacketType::PubAck => publish_ack(body).map(Packet::PubAck),
        PacketType::PubRec => publish_ack(body).map(Packet::PubRec),
        PacketType::PubRel => publish_ack(body).map(Packet::PubRel),
        PacketType::PubComp => publish_ack(body).map(Packet::PubComp),
        PacketType::Subscribe => subscribe(body).map(Packet::Subscribe),
        PacketType::SubAck => suback(body).map(Packet::SubAck),
        PacketType::Unsubscribe => unsubscribe(body).map(Packet::Unsubscribe),
        PacketType::UnsubAck => unsuback(body).map(Packet::UnsubAck),
        PacketType::PingReq => body.reader.finish().map(|()| Packet::PingReq),
        PacketType::PingResp => body.reader.finish().map(|()| Packet::PingResp),
        PacketType::Disconnect => disconnect(body).map(Packet::Disconnect),
        PacketType::Auth => auth(body).map(Packet::Auth),
    }
}

/// The protocol level that a CONNECT names, even if the rest of it cannot be read: whoever refuses it
/// needs to know in which version to say so.
pub fn protocol_level(frame: &Frame<'_>) -> Option<u8> {
    let mut reader = Reader::new(frame.body);
    let name = reader.bytes().ok()?;
    let known = frame.packet_type == PacketType::Connect && matches!(name, b"MQTT" | b"MQIsdp");
    if !known {
        return None;
    }
    let level = reader.u8().ok()?;
    Some(match level {
        0x83 | 0x84 => level & !BRIDGE,
        _ => level,
    })
}

/// What bridges of MQTT 3.x add to their protocol level.
pub(super) const BRIDGE: u8 = 0x80;

/// A packet's bytes after the fixed header, with what is needed to read them.
struct Body<'a, 'l> {
    packet_type: PacketType,
    version: Version,
    limits: &'l DecodeLimits,
    reader: Reader<'a>,
}

impl<'a> Body<'a, '_> {
    /// The properties of the variable header; none in MQTT 3.x.
    fn properties(&mut self) -> Result<Properties<'a>, DecodeError> {
        if self.version.has_properties() {
            self.reader
                .properties(Carrier::Packet(self.packet_type), self.limits)
        } else {
            Ok(Properties::EMPTY)
        }
    }

    /// A name, a topic or a filter.
    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let text = self.reader.text()?;
        if !self.limits.control_characters && has_control_character(text) {
            return Err(DecodeError::ControlCharacter);
        }
        Ok(text)
    }

    /// One Reason Code that this packet may carry.
    fn reason_code(&mut self) -> Result<ReasonCode, DecodeError> {
        let value = self.reader.u8()?;
        match ReasonCode::from_u8(value) {
            Some(reason) if reason.is_valid_in(self.packet_type) => Ok(reason),
            _ => Err(DecodeError::Value {
                field: Field::ReasonCode,
                value,
            }),
        }
    }

    /// The Reason Code and properties that end a packet of MQTT 5, either of which may be left out.
    fn reason_and_properties(&mut self) -> Result<(ReasonCode, Properties<'a>), DecodeError> {
        if self.reader.is_empty() {
            return Ok((ReasonCode::Success, Properties::EMPTY));
        }
        if !self.version.has_properties() {
            return Err(DecodeError::TrailingBytes(1));
        }
        let reason = self.reason_code()?;
        let properties = if self.reader.is_empty() {
            Properties::EMPTY
        } else {
            self.properties()?
        };
        Ok((reason, properties))
    }

    fn check_levels(&self, topic: &str) -> Result<(), DecodeError> {
        let max = self.limits.topic_levels_max;
        // A topic has fewer levels than bytes, so most need no count.
        if topic.len() > max as usize
            && memchr::memchr_iter(b'/', topic.as_bytes()).count() >= max as usize
        {
            return Err(DecodeError::TooManyTopicLevels { max });
        }
        Ok(())
    }

    fn filter(&mut self) -> Result<TopicFilter<'a>, DecodeError> {
        let filter = TopicFilter::new(self.text()?)?;
        self.check_levels(filter.as_str())?;
        Ok(filter)
    }

    /// Reads items up to the end of the packet, at least one and no more than the limit.
    fn filters<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut items = Vec::new();
        while !self.reader.is_empty() {
            if items.len() >= self.limits.filters_max as usize {
                return Err(DecodeError::TooManyFilters {
                    max: self.limits.filters_max,
                });
            }
            items.push(item(self)?);
        }
        if items.is_empty() {
            return Err(DecodeError::NoFilters(self.packet_type));
        }
        Ok(items)
    }
}

fn has_control_character(text: &str) -> bool {
    let is_plain = |byte: u8| (0x20..0x7F).contains(&byte);
    let is_refused = |character: char| {
        let code = u32::from(character);
        let is_noncharacter = (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE;
        character.is_control() || is_noncharacter
    };
    !text.bytes().all(is_plain) && text.chars().any(is_refused)
}

/// `[MQTT-2.1.3-1]`
fn check_flags(frame: &Frame<'_>, version: Version) -> Result<(), DecodeError> {
    let valid = match frame.packet_type {
        // MQTT 3.1 says of a CONNECT that its flags are not used.
        PacketType::Publish => true,
        PacketType::Connect if protocol_level(frame) == Some(3) => true,
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => {
            // MQTT 3.1 sets DUP on these packets when it sends them again.
            frame.flags == 0b0010 || (version == Version::V3_1 && frame.flags == 0b1010)
        }
        _ => frame.flags == 0,
    };
    if !valid {
        return Err(DecodeError::Flags {
            packet: frame.packet_type,
            flags: frame.flags,
        });
    }
    if frame.packet_type == PacketType::Auth && !version.has_properties() {
        return Err(DecodeError::NotInVersion(PacketType::Auth));
    }
    Ok(())
}

fn connect<'a>(mut reader: Reader<'a>, limits: &DecodeLimits) -> Result<Connect<'a>, DecodeError> {
    let name = reader.bytes()?;
    let level = reader.u8()?;
    let version = match (name, level) {
        (b"MQTT", 5) => Version::V5,
        (b"MQTT", 4 | 0x84) => Version::V3_1_1,
        (b"MQIsdp", 3 | 0x83) => Version::V3_1,
        (b"MQTT" | b"MQIsdp", _) => return Err(DecodeError::ProtocolVersion(level)),
        _ => return Err(DecodeError::ProtocolName),
    };
    let flags = ConnectFlags::new(reader.u8()?, version)?;
    let keep_alive_secs = reader.u16()?;
    let mut body = Body {
        packet_type: PacketType::Connect,
        version,
        limits,
        reader,
    };
    let properties = body.properties()?;
    if properties.authentication_data().is_some() && properties.authentication_method().is_none() {
        return Err(DecodeError::AuthenticationMethodMissing);
    }
    let client_id = body.text().map_err(|error| match error {
        DecodeError::Utf8 | DecodeError::Nul | DecodeError::ControlCharacter => {
            DecodeError::ClientIdText
        }
        other => other,
    })?;
    // MQTT 3.1 knows no empty identifier, 3.1.1 only for clean sessions. [MQTT-3.1.3-8] of 3.1.1
    let empty_allowed = match version {
        Version::V3_1 => false,
        Version::V3_1_1 => flags.clean_start,
        Version::V5 => true,
    };
    if client_id.is_empty() && !empty_allowed {
        return Err(DecodeError::ClientIdMissing);
    }
    let will = if flags.will {
        Some(will(&mut body, &flags)?)
    } else {
        None
    };
    // In MQTT 3.1 the packet's end goes before its flags, for clients of the version before.
    let may_end = |body: &Body<'_, '_>| version == Version::V3_1 && body.reader.is_empty();
    let user_name = if flags.user_name && !may_end(&body) {
        Some(body.text()?)
    } else {
        None
    };
    let password = if flags.password && !may_end(&body) {
        Some(body.reader.bytes()?)
    } else {
        None
    };
    body.reader.finish()?;
    let clean_start = flags.clean_start;
    Ok(Connect {
        version,
        is_bridge: level & BRIDGE != 0,
        client_id,
        clean_start,
        keep_alive_secs,
        properties,
        will,
        user_name,
        password,
    })
}

struct ConnectFlags {
    clean_start: bool,
    will: bool,
    will_qos: Qos,
    will_retain: bool,
    user_name: bool,
    password: bool,
}

impl ConnectFlags {
    fn new(value: u8, version: Version) -> Result<ConnectFlags, DecodeError> {
        let set = |bit: u8| value & bit != 0;
        let invalid = DecodeError::Value {
            field: Field::ConnectFlags,
            value,
        };
        let flags = ConnectFlags {
            clean_start: set(0x02),
            will: set(0x04),
            // [MQTT-3.1.2-12]
            will_qos: Qos::from_u8(value >> 3 & 0b11).ok_or(invalid)?,
            will_retain: set(0x20),
            password: set(0x40),
            user_name: set(0x80),
        };
        // [MQTT-3.1.2-3]; MQTT 3.1 does not care.
        let reserved = set(0x01) && version != Version::V3_1;
        // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
        let will_without_flag = version != Version::V3_1
            && !flags.will
            && (flags.will_retain || flags.will_qos != Qos::AtMostOnce);
        // [MQTT-3.1.2-22] of 3.1.1; MQTT 5 dropped the rule.
        let password_alone = flags.password && !flags.user_name && !version.has_properties();
        if reserved || will_without_flag || password_alone {
            Err(invalid)
        } else {
            Ok(flags)
        }
    }
}

fn will<'a>(body: &mut Body<'a, '_>, flags: &ConnectFlags) -> Result<Will<'a>, DecodeError> {
    let properties = if body.version.has_properties() {
        body.reader.properties(Carrier::Will, body.limits)?
    } else {
        Properties::EMPTY
    };
    let topic = TopicName::new(body.text()?)?;
    body.check_levels(topic.as_str())?;
    let payload = body.reader.bytes()?;
    Ok(Will {
        topic,
        payload,
        qos: flags.will_qos,
        retain: flags.will_retain,
        properties,
    })
}

fn connack<'a>(mut body: Body<'a, '_>) -> Result<ConnAck<'a>, DecodeError> {
    let flags = body.reader.u8()?;
    if flags > 1 {
        return Err(DecodeError::Value {
            field: Field::ConnectAcknowledgeFlags,
            value: flags,
        });
    }
    let reason = if body.version.has_properties() {
        body.reason_code()?
    } else {
        let value = body.reader.u8()?;
        ReasonCode::from_connect_return_code(value).ok_or(DecodeError::Value {
            field: Field::ReasonCode,
            value,
        })?
    };
    // [MQTT-3.2.2-6]
    if flags == 1 && reason != ReasonCode::Success {
        return Err(DecodeError::Value {
            field: Field::ConnectAcknowledgeFlags,
            value: flags,
        });
    }
    // A server of MQTT 3.x that refuses a CONNECT of MQTT 5 answers without properties.
    let properties = if body.reader.is_empty() {
        Properties::EMPTY
    } else {
        body.properties()?
    };
    body.reader.finish()?;
    Ok(ConnAck {
        // MQTT 3.1 knows no Session Present; its byte is reserved.
        session_present: flags == 1 && body.version != Version::V3_1,
        reason,
        properties,
    })
}

fn publish<'a>(mut body: Body<'a, '_>, flags: u8) -> Result<Publish<'a>, DecodeError> {
    let (dup, retain) = (flags & 0b1000 != 0, flags & 0b0001 != 0);
    let topic = body.text()?;
    let delivery = delivery(&mut body.reader, flags >> 1 & 0b11, dup)?;
    let properties = body.properties()?;
    let topic = if topic.is_empty() {
        if properties.topic_alias().is_none() {
            return Err(DecodeError::TopicMissing);
        }
        None
    } else {
        body.check_levels(topic)?;
        Some(TopicName::new(topic)?)
    };
    Ok(Publish {
        delivery,
        retain,
        topic,
        properties,
        payload: body.reader.into_rest(),
    })
}

fn delivery(reader: &mut Reader<'_>, qos: u8, dup: bool) -> Result<Delivery, DecodeError> {
    match qos {
        // [MQTT-3.3.1-2]
        0 if dup => Err(DecodeError::Flags {
            packet: PacketType::Publish,
            flags: 0b1000,
        }),
        0 => Ok(Delivery::AtMostOnce),
        1 => Ok(Delivery::AtLeastOnce {
            packet_id: reader.packet_id()?,
            dup,
        }),
        2 => Ok(Delivery::ExactlyOnce {
            packet_id: reader.packet_id()?,
            dup,
        }),
        // [MQTT-3.3.1-4]
        value => Err(DecodeError::Value {
            field: Field::Qos,
            value,
        }),
    }
}

fn publish_ack<'a>(mut body: Body<'a, '_>) -> Result<PublishAck<'a>, DecodeError> {
    let packet_id = body.reader.packet_id()?;
    let (reason, properties) = body.reason_and_properties()?;
    body.reader.finish()?;
    Ok(PublishAck {
        packet_id,
        reason,
        properties,
    })
}

fn subscribe<'a>(mut body: Body<'a, '_>) -> Result<Subscribe<'a>, DecodeError> {
    let packet_id = body.reader.packet_id()?;
    let properties = body.properties()?;
    let subscriptions = body.filters(|body| {
        let filter = body.filter()?;
        let options = subscription_options(body.reader.u8()?, body.version)?;
        // [MQTT-3.8.3-4]
        if options.no_local && filter.share().is_some() {
            return Err(DecodeError::NoLocalShared);
        }
        Ok(Subscription { filter, options })
    })?;
    Ok(Subscribe {
        packet_id,
        properties,
        subscriptions,
    })
}

fn subscription_options(value: u8, version: Version) -> Result<SubscriptionOptions, DecodeError> {
    let invalid = DecodeError::Value {
        field: Field::SubscriptionOptions,
        value,
    };
    // [MQTT-3.8.3-5]; in MQTT 3.x everything but the QoS is reserved.
    let reserved = if version.has_properties() {
        0b1100_0000
    } else {
        0b1111_1100
    };
    if value & reserved != 0 {
        return Err(invalid);
    }
    Ok(SubscriptionOptions {
        qos: Qos::from_u8(value & 0b11).ok_or(invalid)?,
        no_local: value & 0b100 != 0,
        retain_as_published: value & 0b1000 != 0,
        retain_handling: match value >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(invalid),
        },
    })
}

fn suback<'a>(mut body: Body<'a, '_>) -> Result<SubscribeAck<'a>, DecodeError> {
    let packet_id = body.reader.packet_id()?;
    let properties = body.properties()?;
    let reasons = reasons(&mut body)?;
    Ok(SubscribeAck {
        packet_id,
        properties,
        reasons,
    })
}

fn reasons(body: &mut Body<'_, '_>) -> Result<Vec<ReasonCode>, DecodeError> {
    let mut reasons = Vec::new();
    while !body.reader.is_empty() {
        let reason = body.reason_code()?;
        // [MQTT-3.9.3-2] of 3.1.1: there is one code for all failures.
        if !body.version.has_properties()
            && reason.is_error()
            && reason != ReasonCode::UnspecifiedError
        {
            return Err(DecodeError::Value {
                field: Field::ReasonCode,
                value: reason as u8,
            });
        }
        reasons.push(reason);
    }
    Ok(reasons)
}

fn unsubscribe<'a>(mut body: Body<'a, '_>) -> Result<Unsubscribe<'a>, DecodeError> {
    let packet_id = body.reader.packet_id()?;
    let properties = body.properties()?;
    let filters = body.filters(Body::filter)?;
    Ok(Unsubscribe {
        packet_id,
        properties,
        filters,
    })
}

fn unsuback<'a>(mut body: Body<'a, '_>) -> Result<SubscribeAck<'a>, DecodeError> {
    let packet_id = body.reader.packet_id()?;
    let properties = body.properties()?;
    let reasons = if body.version.has_properties() {
        reasons(&mut body)?
    } else {
        Vec::new()
    };
    body.reader.finish()?;
    Ok(SubscribeAck {
        packet_id,
        properties,
        reasons,
    })
}

fn disconnect<'a>(mut body: Body<'a, '_>) -> Result<Disconnect<'a>, DecodeError> {
    let (reason, properties) = body.reason_and_properties()?;
    body.reader.finish()?;
    Ok(Disconnect { reason, properties })
}

fn auth<'a>(mut body: Body<'a, '_>) -> Result<Auth<'a>, DecodeError> {
    let (reason, properties) = body.reason_and_properties()?;
    body.reader.finish()?;
    if reason != ReasonCode::Success && properties.authentication_method().is_none() {
        return Err(DecodeError::PropertyValue(PropertyId::AuthenticationMethod));
    }
    Ok(Auth { reason, properties })
}
