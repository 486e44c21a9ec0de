//! `-d`: a line for each packet, as Mosquitto's library writes it.

use wigwag_client::wire::packet::{Delivery, Packet, Publish, SubscriptionOptions};
use wigwag_proto::Version;

use super::failure::refusal_code;

/// The lines of a packet that leaves. A message of QoS 0 has a number here that the packet has not.
pub(super) fn sent(client_id: Option<&str>, packet: &Packet<'_>, packet_id: u16) -> Vec<String> {
    let what = match packet {
        Packet::Publish(publish) => {
            let mid = publish
                .delivery
                .packet_id()
                .map_or(packet_id, std::num::NonZero::get);
            format!("PUBLISH ({})", message(publish, mid))
        }
        Packet::PubAck(ack) => format!("PUBACK (m{}, rc{})", ack.packet_id, ack.reason as u8),
        Packet::PubRec(ack) => format!("PUBREC (m{}, rc{})", ack.packet_id, ack.reason as u8),
        Packet::PubRel(ack) => format!("PUBREL (m{})", ack.packet_id),
        Packet::PubComp(ack) => format!("PUBCOMP (m{})", ack.packet_id),
        Packet::Subscribe(subscribe) => {
            let lines = subscribe.subscriptions.iter().map(|own| {
                let (filter, qos) = (own.filter.as_str(), own.options.qos as u8);
                let what = format!(
                    "SUBSCRIBE (Mid: {}, Topic: {filter}, QoS: {qos}, Options: 0x{:02x})",
                    subscribe.packet_id,
                    flags(own.options)
                );
                line(client_id, "sending", &what)
            });
            return lines.collect();
        }
        Packet::Unsubscribe(unsubscribe) => {
            let lines = unsubscribe.filters.iter().map(|filter| {
                let (mid, filter) = (unsubscribe.packet_id, filter.as_str());
                line(
                    client_id,
                    "sending",
                    &format!("UNSUBSCRIBE (Mid: {mid}, Topic: {filter})"),
                )
            });
            return lines.collect();
        }
        other => other.packet_type().to_string(),
    };
    vec![line(client_id, "sending", &what)]
}

/// The line of a packet that has come in.
pub(super) fn received(client_id: Option<&str>, packet: &Packet<'_>, version: Version) -> String {
    let what = match packet {
        Packet::ConnAck(connack) => {
            format!("CONNACK ({})", refusal_code(version, connack.reason))
        }
        Packet::Publish(publish) => {
            let mid = publish
                .delivery
                .packet_id()
                .map_or(0, std::num::NonZero::get);
            format!("PUBLISH ({})", message(publish, mid))
        }
        Packet::PubAck(ack) => format!("PUBACK (Mid: {}, RC:{})", ack.packet_id, ack.reason as u8),
        Packet::PubRec(ack) => format!("PUBREC (Mid: {})", ack.packet_id),
        Packet::PubRel(ack) => format!("PUBREL (Mid: {})", ack.packet_id),
        Packet::PubComp(ack) => {
            format!("PUBCOMP (Mid: {}, RC:{})", ack.packet_id, ack.reason as u8)
        }
        // Without a name, as the library has it.
        Packet::Disconnect(disconnect) => {
            return format!("Received DISCONNECT ({})", disconnect.reason as u8);
        }
        other => other.packet_type().to_string(),
    };
    line(client_id, "received", &what)
}

fn line(client_id: Option<&str>, does: &str, what: &str) -> String {
    format!("Client {} {does} {what}", client_id.unwrap_or("(null)"))
}

fn message(publish: &Publish<'_>, mid: u16) -> String {
    let dup = match publish.delivery {
        Delivery::AtMostOnce => false,
        Delivery::AtLeastOnce { dup, .. } | Delivery::ExactlyOnce { dup, .. } => dup,
    };
    format!(
        "d{}, q{}, r{}, m{mid}, '{}', ... ({} bytes)",
        u8::from(dup),
        publish.delivery.qos() as u8,
        u8::from(publish.retain),
        publish.topic.map_or("(null)", |topic| topic.as_str()),
        publish.payload.len()
    )
}

/// The options of a subscription but its QoS, as the bits of the packet.
fn flags(options: SubscriptionOptions) -> u8 {
    u8::from(options.no_local) << 2
        | u8::from(options.retain_as_published) << 3
        | (options.retain_handling as u8) << 4
}
