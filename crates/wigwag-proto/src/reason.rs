//! Reason Codes: one table of code, name and the packets that may carry it.
//!
//! The Connect Return codes of MQTT 3.x are translated here and nowhere else.

use std::fmt;

use crate::packet::PacketType;

/// The packets that may carry a code, as a bit set.
type Carriers = u16;

const CONNACK: Carriers = 1 << PacketType::ConnAck as u16;
const PUBACK: Carriers = 1 << PacketType::PubAck as u16;
const PUBREC: Carriers = 1 << PacketType::PubRec as u16;
const PUBREL: Carriers = 1 << PacketType::PubRel as u16;
const PUBCOMP: Carriers = 1 << PacketType::PubComp as u16;
const SUBACK: Carriers = 1 << PacketType::SubAck as u16;
const UNSUBACK: Carriers = 1 << PacketType::UnsubAck as u16;
const DISCONNECT: Carriers = 1 << PacketType::Disconnect as u16;
// An AUTH has bit 15, the highest of the set.
const AUTH: Carriers = 1 << PacketType::Auth as u16;
const ACK: Carriers = PUBACK | PUBREC;

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $code:literal $name:ident $text:literal in $carriers:expr;)*) => {
        /// A Reason Code of MQTT 5.0, section 2.4.
        ///
        /// `0x00` is called `Success` whatever the packet; in a SUBACK it grants QoS 0 and in a
        /// DISCONNECT it is a normal disconnection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl ReasonCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [ReasonCode] = &[$(ReasonCode::$name,)*];

            /// The code of this value, if the standard lists it.
            pub const fn from_u8(code: u8) -> Option<ReasonCode> {
                match code {
                    $($code => Some(ReasonCode::$name),)*
                    _ => None,
                }
            }

            const fn text(self) -> &'static str {
                match self { $(ReasonCode::$name => $text,)* }
            }

            const fn carriers(self) -> Carriers {
                match self { $(ReasonCode::$name => $carriers,)* }
            }
        }
    };
}

reason_codes! {
    /// It worked: normal disconnection, granted QoS 0.
    0x00 Success "success" in CONNACK | ACK | PUBREL | PUBCOMP | SUBACK | UNSUBACK | DISCONNECT | AUTH;
    /// The subscription was accepted with a Maximum QoS of 1.
    0x01 GrantedQos1 "granted QoS 1" in SUBACK;
    /// The subscription was accepted with a Maximum QoS of 2.
    0x02 GrantedQos2 "granted QoS 2" in SUBACK;
    /// The client wants its Will Message published although it disconnects by itself.
    0x04 DisconnectWithWillMessage "disconnect with Will Message" in DISCONNECT;
    /// The message was accepted, but nobody has subscribed to its topic.
    0x10 NoMatchingSubscribers "no matching subscribers" in ACK;
    /// There was no such subscription to remove.
    0x11 NoSubscriptionExisted "no subscription existed" in UNSUBACK;
    /// The authentication goes on with another step.
    0x18 ContinueAuthentication "continue authentication" in AUTH;
    /// The client starts to authenticate again.
    0x19 ReAuthenticate "re-authenticate" in AUTH;
    /// The sender will not say, or no other code fits.
    0x80 UnspecifiedError "unspecified error" in CONNACK | ACK | SUBACK | UNSUBACK | DISCONNECT;
    /// The packet could not be parsed.
    0x81 MalformedPacket "malformed packet" in CONNACK | DISCONNECT;
    /// The packet breaks a rule of the protocol.
    0x82 ProtocolError "protocol error" in CONNACK | DISCONNECT;
    /// The packet is valid, but this implementation does not accept it.
    0x83 ImplementationSpecificError "implementation specific error" in CONNACK | ACK | SUBACK | UNSUBACK | DISCONNECT;
    /// The server does not speak this version of MQTT.
    0x84 UnsupportedProtocolVersion "unsupported protocol version" in CONNACK;
    /// The Client Identifier is a valid string that the server does not allow.
    0x85 ClientIdentifierNotValid "Client Identifier not valid" in CONNACK;
    /// The server does not accept this user name or password.
    0x86 BadUserNameOrPassword "bad user name or password" in CONNACK;
    /// The client may not do this.
    0x87 NotAuthorized "not authorized" in CONNACK | ACK | SUBACK | UNSUBACK | DISCONNECT;
    /// The server is not available.
    0x88 ServerUnavailable "server unavailable" in CONNACK;
    /// The server is busy; try again later.
    0x89 ServerBusy "server busy" in CONNACK | DISCONNECT;
    /// The client has been banned by an administrator.
    0x8A Banned "banned" in CONNACK;
    /// The server is shutting down.
    0x8B ServerShuttingDown "server shutting down" in DISCONNECT;
    /// The Authentication Method is not supported or not the one in use.
    0x8C BadAuthenticationMethod "bad authentication method" in CONNACK | DISCONNECT;
    /// No packet came for one and a half times the Keep Alive.
    0x8D KeepAliveTimeout "Keep Alive timeout" in DISCONNECT;
    /// Another connection with the same Client Identifier has taken the session over.
    0x8E SessionTakenOver "session taken over" in DISCONNECT;
    /// The Topic Filter is well formed but not accepted.
    0x8F TopicFilterInvalid "Topic Filter invalid" in SUBACK | UNSUBACK | DISCONNECT;
    /// The Topic Name is well formed but not accepted.
    0x90 TopicNameInvalid "Topic Name invalid" in CONNACK | ACK | DISCONNECT;
    /// The Packet Identifier is in use already.
    0x91 PacketIdentifierInUse "Packet Identifier in use" in ACK | SUBACK | UNSUBACK;
    /// The Packet Identifier is not known.
    0x92 PacketIdentifierNotFound "Packet Identifier not found" in PUBREL | PUBCOMP;
    /// More QoS 1 and 2 messages are unacknowledged than the Receive Maximum allows.
    0x93 ReceiveMaximumExceeded "Receive Maximum exceeded" in DISCONNECT;
    /// The Topic Alias is zero, above the maximum, or has no mapping.
    0x94 TopicAliasInvalid "Topic Alias invalid" in DISCONNECT;
    /// The packet is larger than the receiver accepts.
    0x95 PacketTooLarge "packet too large" in CONNACK | DISCONNECT;
    /// Data arrives faster than allowed.
    0x96 MessageRateTooHigh "message rate too high" in DISCONNECT;
    /// A limit that the implementation or the administrator set has been passed.
    0x97 QuotaExceeded "quota exceeded" in CONNACK | ACK | SUBACK | DISCONNECT;
    /// An administrator closed the connection.
    0x98 AdministrativeAction "administrative action" in DISCONNECT;
    /// The payload is not what the Payload Format Indicator says.
    0x99 PayloadFormatInvalid "payload format invalid" in CONNACK | ACK | DISCONNECT;
    /// The server does not keep retained messages.
    0x9A RetainNotSupported "retain not supported" in CONNACK | DISCONNECT;
    /// The server does not offer this QoS.
    0x9B QosNotSupported "QoS not supported" in CONNACK | DISCONNECT;
    /// Use another server for now.
    0x9C UseAnotherServer "use another server" in CONNACK | DISCONNECT;
    /// Use another server from now on.
    0x9D ServerMoved "server moved" in CONNACK | DISCONNECT;
    /// The server does not offer shared subscriptions.
    0x9E SharedSubscriptionsNotSupported "shared subscriptions not supported" in SUBACK | DISCONNECT;
    /// Connections come faster than allowed.
    0x9F ConnectionRateExceeded "connection rate exceeded" in CONNACK | DISCONNECT;
    /// The longest time that this connection was allowed to live has passed.
    0xA0 MaximumConnectTime "maximum connect time" in DISCONNECT;
    /// The server does not offer Subscription Identifiers.
    0xA1 SubscriptionIdentifiersNotSupported "Subscription Identifiers not supported" in SUBACK | DISCONNECT;
    /// The server does not offer wildcard subscriptions.
    0xA2 WildcardSubscriptionsNotSupported "wildcard subscriptions not supported" in SUBACK | DISCONNECT;
}

impl ReasonCode {
    /// Whether the code says that something failed: `0x80` and above.
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// Whether a packet of this type may carry the code.
    pub const fn is_valid_in(self, packet: PacketType) -> bool {
        self.carriers() & (1 << packet as u16) != 0
    }

    /// The Connect Return code of MQTT 3.x that comes nearest.
    pub const fn to_connect_return_code(self) -> u8 {
        match self {
            ReasonCode::Success => 0,
            ReasonCode::UnsupportedProtocolVersion => 1,
            ReasonCode::ClientIdentifierNotValid => 2,
            ReasonCode::BadUserNameOrPassword => 4,
            ReasonCode::NotAuthorized
            | ReasonCode::Banned
            | ReasonCode::BadAuthenticationMethod => 5,
            _ => 3,
        }
    }

    /// The meaning of a Connect Return code of MQTT 3.x.
    pub(crate) const fn from_connect_return_code(code: u8) -> Option<ReasonCode> {
        Some(match code {
            0 => ReasonCode::Success,
            1 => ReasonCode::UnsupportedProtocolVersion,
            2 => ReasonCode::ClientIdentifierNotValid,
            3 => ReasonCode::ServerUnavailable,
            4 => ReasonCode::BadUserNameOrPassword,
            5 => ReasonCode::NotAuthorized,
            _ => return None,
        })
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.text(), *self as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_round_trips_through_its_number() {
        for &code in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_u8(code as u8), Some(code));
        }
        assert_eq!(ReasonCode::ALL.len(), 43);
        assert_eq!(ReasonCode::from_u8(0x03), None);
    }

    #[test]
    fn connect_return_codes_of_3_1_1_translate_both_ways() {
        for code in 0..=5 {
            let reason =
                ReasonCode::from_connect_return_code(code).map(ReasonCode::to_connect_return_code);
            assert_eq!(reason, Some(code));
        }
        assert_eq!(ReasonCode::from_connect_return_code(6), None);
    }

    #[test]
    fn carriers_follow_the_table_of_the_standard() {
        assert!(ReasonCode::PacketIdentifierNotFound.is_valid_in(PacketType::PubRel));
        assert!(!ReasonCode::PacketIdentifierNotFound.is_valid_in(PacketType::PubAck));
        assert!(!ReasonCode::GrantedQos1.is_valid_in(PacketType::ConnAck));
        assert!(ReasonCode::ReAuthenticate.is_valid_in(PacketType::Auth));
    }
}
