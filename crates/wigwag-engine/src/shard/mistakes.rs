//! Which Reason Codes tell of a packet that cannot be read. Those of Mosquitto are meant for programs that know them.

use wigwag_proto::codec::Field;
use wigwag_proto::packet::PacketType;
use wigwag_proto::property::PropertyId;
use wigwag_proto::{DecodeError, ReasonCode};

/// What a DISCONNECT says about bytes that came in a packet of this type, and in Mosquitto's place.
pub(super) fn reason_code(
    error: &DecodeError,
    packet_type: Option<PacketType>,
    is_terse: bool,
) -> ReasonCode {
    let is_subscribe = matches!(
        packet_type,
        Some(PacketType::Subscribe | PacketType::Unsubscribe)
    );
    match error {
        DecodeError::NoFilters(_)
        | DecodeError::PropertyValue(PropertyId::SubscriptionIdentifier)
            if is_terse =>
        {
            ReasonCode::MalformedPacket
        }
        DecodeError::PacketIdZero if !is_subscribe => ReasonCode::ProtocolError,
        DecodeError::ReservedPacketType
        | DecodeError::Value {
            field: Field::ReasonCode,
            ..
        } => ReasonCode::ProtocolError,
        other => other.reason_code(),
    }
}

/// What a CONNACK says about a CONNECT that cannot be read, in general and in Mosquitto's place.
pub(super) const fn connack_code(error: &DecodeError, is_terse: bool) -> ReasonCode {
    match error {
        DecodeError::ClientIdText if is_terse => ReasonCode::ClientIdentifierNotValid,
        other => other.reason_code(),
    }
}

/// Whether Mosquitto answers a CONNECT with such a mistake, or closes the connection at once.
pub(super) fn tells_in_connack(error: &DecodeError) -> bool {
    match error {
        DecodeError::PropertyValue(_)
        | DecodeError::DuplicateProperty(_)
        | DecodeError::PropertyNotAllowed { .. }
        | DecodeError::UnknownProperty(_)
        | DecodeError::AuthenticationMethodMissing
        | DecodeError::TrailingBytes(_)
        | DecodeError::ClientIdText
        | DecodeError::TooManyUserProperties { .. } => true,
        DecodeError::Value {
            field: Field::ConnectFlags,
            value,
        } => has_will_qos_3(*value),
        _ => false,
    }
}

const fn has_will_qos_3(connect_flags: u8) -> bool {
    const WILL_QOS: u8 = 0b0001_1000;
    connect_flags & WILL_QOS == WILL_QOS && connect_flags & 1 == 0
}
