//! Why bytes are no packet, and the Reason Code that says so to the peer.

use std::fmt;

use crate::packet::PacketType;
use crate::property::{Carrier, PropertyId};
use crate::reason::ReasonCode;
use crate::topic::TopicError;

/// A field of a packet, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum Field {
    ProtocolName,
    ConnectFlags,
    ConnectAcknowledgeFlags,
    SubscriptionOptions,
    Qos,
    ReasonCode,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::ProtocolName => "Protocol Name",
            Field::ConnectFlags => "Connect Flags",
            Field::ConnectAcknowledgeFlags => "Connect Acknowledge Flags",
            Field::SubscriptionOptions => "Subscription Options",
            Field::Qos => "QoS",
            Field::ReasonCode => "Reason Code",
        })
    }
}

/// Why bytes are no packet. The culprit is always the peer that sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The upper half of the first byte is 0.
    #[error("packet type 0 is reserved")]
    ReservedPacketType,
    /// `[MQTT-2.1.3-1]`
    #[error("{packet} cannot have the fixed header flags {flags:#06b}")]
    Flags {
        /// The packet.
        packet: PacketType,
        /// The lower half of its first byte.
        flags: u8,
    },
    /// A Variable Byte Integer has more than four bytes or more than it needs. `[MQTT-1.5.5-1]`
    #[error("a Variable Byte Integer must have one to four bytes and no more than it needs")]
    VariableByteInteger,
    /// The announced size is above what the receiver accepts.
    #[error("the packet has {size} bytes, {max} are allowed")]
    PacketTooLarge {
        /// Bytes, with the fixed header.
        size: u64,
        /// The receiver's Maximum Packet Size.
        max: u32,
    },
    /// The packet ends inside a field.
    #[error("the packet ends inside a field")]
    Truncated,
    /// The packet goes on after its last field.
    #[error("{0} bytes follow the last field of the packet")]
    TrailingBytes(usize),
    /// `[MQTT-1.5.4-1]`
    #[error("a text is not valid UTF-8")]
    Utf8,
    /// `[MQTT-1.5.4-2]`
    #[error("a text contains the null character U+0000")]
    Nul,
    /// A text has a character that its receiver does not accept.
    #[error("a text contains a control character or a noncharacter")]
    ControlCharacter,
    /// Packet Identifier 0. `[MQTT-2.2.1-3]`
    #[error("a Packet Identifier cannot be 0")]
    PacketIdZero,
    /// A field has a value that the standard does not allow.
    #[error("{field} cannot be {value:#04x}")]
    Value {
        /// The field.
        field: Field,
        /// What was read.
        value: u8,
    },
    /// Not `MQTT` or `MQIsdp`. `[MQTT-3.1.2-1]`
    #[error("the Protocol Name is neither 'MQTT' nor 'MQIsdp'")]
    ProtocolName,
    /// `[MQTT-3.1.2-2]`
    #[error("protocol level {0} is not supported; 3, 4 and 5 are")]
    ProtocolVersion(u8),
    /// An empty Client Identifier with Clean Session 0 in MQTT 3.x. `[MQTT-3.1.3-8]` of 3.1.1
    #[error("an empty Client Identifier needs Clean Session")]
    ClientIdMissing,
    /// The Client Identifier is no text that its receiver accepts. `[MQTT-3.1.3-4]`
    #[error("the Client Identifier is not valid UTF-8, or has a character that is not accepted")]
    ClientIdText,
    /// A Topic Name or Topic Filter is not valid.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// Neither a Topic Name nor a Topic Alias.
    #[error("a PUBLISH needs a Topic Name or a Topic Alias")]
    TopicMissing,
    /// A SUBSCRIBE or UNSUBSCRIBE without a filter. `[MQTT-3.8.3-2]`, `[MQTT-3.10.3-2]`
    #[error("{0} needs at least one Topic Filter")]
    NoFilters(PacketType),
    /// `[MQTT-3.8.3-4]`
    #[error("No Local is not allowed for a shared subscription")]
    NoLocalShared,
    /// An identifier that the standard does not list.
    #[error("there is no property {0:#04x}")]
    UnknownProperty(u32),
    /// A property stands where it must not.
    #[error("{property} is not allowed in {carrier}")]
    PropertyNotAllowed {
        /// The property.
        property: PropertyId,
        /// Where it stands.
        carrier: Carrier,
    },
    /// A property that may stand once stands again.
    #[error("{0} is given more than once")]
    DuplicateProperty(PropertyId),
    /// The value of a property is out of its range.
    #[error("{0} has a value that is not allowed")]
    PropertyValue(PropertyId),
    /// Authentication Data without an Authentication Method.
    #[error("Authentication Data needs an Authentication Method")]
    AuthenticationMethodMissing,
    /// Above the receiver's bound.
    #[error("the packet has more than {max} User Properties")]
    TooManyUserProperties {
        /// The bound.
        max: u32,
    },
    /// Above the receiver's bound.
    #[error("the packet has more than {max} Topic Filters")]
    TooManyFilters {
        /// The bound.
        max: u32,
    },
    /// Above the receiver's bound.
    #[error("the topic has more than {max} levels")]
    TooManyTopicLevels {
        /// The bound.
        max: u32,
    },
    /// A packet that the version in use does not have.
    #[error("{0} does not exist in this version of MQTT")]
    NotInVersion(PacketType),
}

impl DecodeError {
    /// The Reason Code that tells the peer, in a CONNACK or a DISCONNECT.
    pub const fn reason_code(&self) -> ReasonCode {
        match self {
            DecodeError::PacketTooLarge { .. } => ReasonCode::PacketTooLarge,
            DecodeError::ProtocolName | DecodeError::ProtocolVersion(_) => {
                ReasonCode::UnsupportedProtocolVersion
            }
            DecodeError::ClientIdMissing => ReasonCode::ClientIdentifierNotValid,
            DecodeError::PropertyValue(PropertyId::TopicAlias) => ReasonCode::TopicAliasInvalid,
            DecodeError::TooManyUserProperties { .. }
            | DecodeError::TooManyFilters { .. }
            | DecodeError::TooManyTopicLevels { .. } => ReasonCode::QuotaExceeded,
            DecodeError::TopicMissing
            | DecodeError::NoFilters(_)
            | DecodeError::NoLocalShared
            | DecodeError::DuplicateProperty(_)
            | DecodeError::PropertyValue(_)
            | DecodeError::AuthenticationMethodMissing
            | DecodeError::NotInVersion(_) => ReasonCode::ProtocolError,
            DecodeError::ReservedPacketType
            | DecodeError::Flags { .. }
            | DecodeError::VariableByteInteger
            | DecodeError::Truncated
            | DecodeError::TrailingBytes(_)
            | DecodeError::Utf8
            | DecodeError::Nul
            | DecodeError::ControlCharacter
            | DecodeError::ClientIdText
            | DecodeError::PacketIdZero
            | DecodeError::Value { .. }
            | DecodeError::Topic(_)
            | DecodeError::UnknownProperty(_)
            | DecodeError::PropertyNotAllowed { .. } => ReasonCode::MalformedPacket,
        }
    }
}
