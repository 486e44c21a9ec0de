//! `-D PACKET NAME VALUE`: a property of MQTT 5, from words.
//!
//! Which packet may carry which property is the business of the protocol's table; here are the words, and what
//! Mosquitto's tools say about wrong ones.

use wigwag_proto::codec::DecodeLimits;
use wigwag_proto::packet::PacketType;
use wigwag_proto::property::{Carrier, PropertyId};
use wigwag_proto::{DecodeError, Properties as View, PropertiesBuf, Property, TopicName};

use super::command_line::Properties;

/// What can be said of a property whose value is `value`, or of a User Property with a name besides.
pub(super) fn add(
    properties: &mut Properties,
    packet: &str,
    name: &str,
    value: &[&str],
) -> Result<(), String> {
    let carrier = carrier_named(packet).ok_or_else(|| {
        format!("Error: Invalid command {packet} given in --property argument.\n\n")
    })?;
    let id = property_named(name).ok_or_else(|| {
        format!("Error: Invalid property name {name} given in --property argument.\n\n")
    })?;
    if !id.is_valid_in(carrier) {
        return Err(format!(
            "Error: {name} property not allowed for {packet} in --property argument.\n\n"
        ));
    }
    let list = match carrier {
        // Only the server knows which subscriptions a message is for.
        Carrier::Packet(PacketType::Publish) if id == PropertyId::SubscriptionIdentifier => None,
        Carrier::Packet(PacketType::Connect) => Some(&mut properties.connect),
        Carrier::Packet(PacketType::Publish) => Some(&mut properties.publish),
        Carrier::Packet(PacketType::Subscribe) => Some(&mut properties.subscribe),
        Carrier::Packet(PacketType::Unsubscribe) => Some(&mut properties.unsubscribe),
        Carrier::Packet(PacketType::Disconnect) => Some(&mut properties.disconnect),
        Carrier::Packet(_) => None,
        Carrier::Will => Some(&mut properties.will),
    };
    let Some(list) = list else {
        return Err(format!(
            "Error: {name} property not supported for {packet} in --property argument.\n\n"
        ));
    };
    push(list, id, name, value)
}

/// How many values follow the name of a property.
pub(super) fn value_count(name: &str) -> usize {
    if property_named(name) == Some(PropertyId::UserProperty) {
        2
    } else {
        1
    }
}

fn carrier_named(packet: &str) -> Option<Carrier> {
    const PACKETS: [PacketType; 13] = [
        PacketType::Connect,
        PacketType::ConnAck,
        PacketType::Publish,
        PacketType::PubAck,
        PacketType::PubRec,
        PacketType::PubRel,
        PacketType::PubComp,
        PacketType::Subscribe,
        PacketType::SubAck,
        PacketType::Unsubscribe,
        PacketType::UnsubAck,
        PacketType::Disconnect,
        PacketType::Auth,
    ];
    if packet.eq_ignore_ascii_case("will") {
        return Some(Carrier::Will);
    }
    let mut packets = PACKETS.into_iter();
    let found = packets.find(|own| own.name().eq_ignore_ascii_case(packet))?;
    Some(Carrier::Packet(found))
}

/// The standard's name in lower case, with dashes: `content-type`.
fn property_named(name: &str) -> Option<PropertyId> {
    let is_it = |id: &&PropertyId| {
        let own = id.name().replace(' ', "-");
        own.eq_ignore_ascii_case(name)
    };
    PropertyId::ALL.iter().find(is_it).copied()
}

fn push(
    list: &mut PropertiesBuf,
    id: PropertyId,
    name: &str,
    value: &[&str],
) -> Result<(), String> {
    let text = value.first().copied().unwrap_or_default();
    let property = match id {
        PropertyId::UserProperty => {
            let second = value.get(1).copied().unwrap_or_default();
            Property::UserProperty((text, second))
        }
        PropertyId::ContentType => Property::ContentType(text),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(text),
        PropertyId::CorrelationData => Property::CorrelationData(text.as_bytes()),
        PropertyId::AuthenticationData => Property::AuthenticationData(text.as_bytes()),
        PropertyId::ResponseTopic => {
            Property::ResponseTopic(TopicName::new(text).map_err(|error| {
                format!("Error: '{text}' cannot be a response-topic: {error}.\n\n")
            })?)
        }
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(flag(name, text)?),
        PropertyId::RequestProblemInformation => {
            Property::RequestProblemInformation(flag(name, text)?)
        }
        PropertyId::RequestResponseInformation => {
            Property::RequestResponseInformation(flag(name, text)?)
        }
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(number(name, text)?),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(number(name, text)?),
        PropertyId::TopicAlias => Property::TopicAlias(number(name, text)?),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(number(name, text)?),
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(number(name, text)?),
        PropertyId::WillDelayInterval => Property::WillDelayInterval(number(name, text)?),
        PropertyId::MaximumPacketSize => Property::MaximumPacketSize(number(name, text)?),
        PropertyId::SubscriptionIdentifier => Property::SubscriptionIdentifier(number(name, text)?),
        // Those of packets that clients do not send.
        _ => return Err(format!("Error adding property {name}\n")),
    };
    list.push(property)
        .map_err(|error| format!("Error adding property {name}: {error}\n"))
}

fn flag(name: &str, text: &str) -> Result<bool, String> {
    match number::<u8>(name, text)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(format!(
            "Error: Property value ({other}) out of range for property {name}.\n\n"
        )),
    }
}

fn number<T: TryFrom<u64>>(name: &str, text: &str) -> Result<T, String> {
    let value: i128 = text
        .parse()
        .map_err(|_| format!("Error: Property value '{text}' not a number.\n\n"))?;
    let fits = u64::try_from(value)
        .ok()
        .and_then(|own| T::try_from(own).ok());
    fits.ok_or_else(|| {
        format!("Error: Property value ({value}) out of range for property {name}.\n\n")
    })
}

/// What is wrong with the properties of a kind of packet as a whole, as Mosquitto's tools say it.
pub(super) fn check(properties: &Properties) -> Result<(), String> {
    let packets = [
        (
            "CONNECT",
            &properties.connect,
            Carrier::Packet(PacketType::Connect),
        ),
        (
            "PUBLISH",
            &properties.publish,
            Carrier::Packet(PacketType::Publish),
        ),
        (
            "SUBSCRIBE",
            &properties.subscribe,
            Carrier::Packet(PacketType::Subscribe),
        ),
        (
            "UNSUBSCRIBE",
            &properties.unsubscribe,
            Carrier::Packet(PacketType::Unsubscribe),
        ),
        (
            "DISCONNECT",
            &properties.disconnect,
            Carrier::Packet(PacketType::Disconnect),
        ),
        ("Will", &properties.will, Carrier::Will),
    ];
    for (name, list, carrier) in packets {
        let bytes = list.as_properties().as_bytes();
        match View::parse(bytes, carrier, &DecodeLimits::UNLIMITED) {
            Ok(_) => {}
            Err(DecodeError::DuplicateProperty(_)) => {
                return Err(format!(
                    "Error in {name} properties: Duplicate property in property list\n"
                ));
            }
            Err(_) => {
                return Err(format!(
                    "Error in {name} properties: A network protocol error occurred when communicating with the broker.\n"
                ));
            }
        }
    }
    Ok(())
}
