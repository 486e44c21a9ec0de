//! The fifteen control packets, in the words of MQTT 5.
//!
//! Packets borrow from the buffer they were decoded from: a PUBLISH costs no allocation. Who wants to
//! keep one copies what it needs. How they look on the wire is the business of [`crate::codec`].

use std::fmt;
use std::num::NonZeroU16;

use crate::property::Properties;
use crate::reason::ReasonCode;
use crate::topic::{TopicFilter, TopicName};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V3_1,
    /// MQTT 3.1.1: protocol name `MQTT`, level 4.
    V3_1_1,
    /// MQTT 5.0: protocol name `MQTT`, level 5.
    V5,
}

impl Version {
    /// Whether packets have properties and all acknowledgements Reason Codes.
    pub const fn has_properties(self) -> bool {
        matches!(self, Version::V5)
    }

    pub(crate) const fn protocol_name(self) -> &'static str {
        match self {
            Version::V3_1 => "MQIsdp",
            Version::V3_1_1 | Version::V5 => "MQTT",
        }
    }

    pub(crate) const fn level(self) -> u8 {
        match self {
            Version::V3_1 => 3,
            Version::V3_1_1 => 4,
            Version::V5 => 5,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V3_1 => "3.1",
            Version::V3_1_1 => "3.1.1",
            Version::V5 => "5.0",
        })
    }
}

/// The type of a control packet, as in the upper half of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the standard's, section 2.1.2")]
pub enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// The type that the first byte of a packet names; `None` for the reserved value 0.
    pub const fn of_first_byte(byte: u8) -> Option<PacketType> {
        Some(match byte >> 4 {
            1 => PacketType::Connect,
            2 => PacketType::ConnAck,
            3 => PacketType::Publish,
            4 => PacketType::PubAck,
            5 => PacketType::PubRec,
            6 => PacketType::PubRel,
            7 => PacketType::PubComp,
            8 => PacketType::Subscribe,
            9 => PacketType::SubAck,
            10 => PacketType::Unsubscribe,
            11 => PacketType::UnsubAck,
            12 => PacketType::PingReq,
            13 => PacketType::PingResp,
            14 => PacketType::Disconnect,
            15 => PacketType::Auth,
            _ => return None,
        })
    }

    /// The name as the standard writes it.
    pub const fn name(self) -> &'static str {
        match self {
            PacketType::Connect => "CONNECT",
            PacketType::ConnAck => "CONNACK",
            PacketType::Publish => "PUBLISH",
            PacketType::PubAck => "PUBACK",
            PacketType::PubRec => "PUBREC",
            PacketType::PubRel => "PUBREL",
            PacketType::PubComp => "PUBCOMP",
            PacketType::Subscribe => "SUBSCRIBE",
            PacketType::SubAck => "SUBACK",
            PacketType::Unsubscribe => "UNSUBSCRIBE",
            PacketType::UnsubAck => "UNSUBACK",
            PacketType::PingReq => "PINGREQ",
            PacketType::PingResp => "PINGRESP",
            PacketType::Disconnect => "DISCONNECT",
            PacketType::Auth => "AUTH",
        }
    }
}

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A quality of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Qos {
    /// QoS 0: at most once.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: at least once.
    AtLeastOnce = 1,
    /// QoS 2: exactly once.
    ExactlyOnce = 2,
}

impl Qos {
    /// The quality of service of this number.
    pub const fn from_u8(qos: u8) -> Option<Qos> {
        match qos {
            0 => Some(Qos::AtMostOnce),
            1 => Some(Qos::AtLeastOnce),
            2 => Some(Qos::ExactlyOnce),
            _ => None,
        }
    }
}

/// A Packet Identifier: what ties an acknowledgement to its packet. Never zero.
pub type PacketId = NonZeroU16;

/// A control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are named after the packets they hold"
)]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    ConnAck(ConnAck<'a>),
    Publish(Publish<'a>),
    PubAck(PublishAck<'a>),
    PubRec(PublishAck<'a>),
    PubRel(PublishAck<'a>),
    PubComp(PublishAck<'a>),
    Subscribe(Subscribe<'a>),
    SubAck(SubscribeAck<'a>),
    Unsubscribe(Unsubscribe<'a>),
    UnsubAck(SubscribeAck<'a>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<'a>),
    Auth(Auth<'a>),
}

impl Packet<'_> {
    /// The type of the packet.
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Packet::Connect(_) => PacketType::Connect,
            Packet::ConnAck(_) => PacketType::ConnAck,
            Packet::Publish(_) => PacketType::Publish,
            Packet::PubAck(_) => PacketType::PubAck,
            Packet::PubRec(_) => PacketType::PubRec,
            Packet::PubRel(_) => PacketType::PubRel,
            Packet::PubComp(_) => PacketType::PubComp,
            Packet::Subscribe(_) => PacketType::Subscribe,
            Packet::SubAck(_) => PacketType::SubAck,
            Packet::Unsubscribe(_) => PacketType::Unsubscribe,
            Packet::UnsubAck(_) => PacketType::UnsubAck,
            Packet::PingReq => PacketType::PingReq,
            Packet::PingResp => PacketType::PingResp,
            Packet::Disconnect(_) => PacketType::Disconnect,
            Packet::Auth(_) => PacketType::Auth,
        }
    }
}

/// CONNECT: a client asks for a connection, and says which version it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version that every later packet of the connection is in.
    pub version: Version,
    /// The client is a bridge, as Mosquitto's tell it in MQTT 3.x by the highest bit of the protocol level:
    /// it is not sent what it has published itself, and sees RETAIN as it was published.
    pub is_bridge: bool,
    /// The Client Identifier; empty asks the server to assign one.
    pub client_id: &'a str,
    /// Discard an old session and start a new one. In MQTT 3.x: Clean Session.
    pub clean_start: bool,
    /// Longest silence of the client in seconds; 0 turns the check off.
    pub keep_alive_secs: u16,
    /// The properties, empty in MQTT 3.x.
    pub properties: Properties<'a>,
    /// What to publish when the connection ends without a DISCONNECT.
    pub will: Option<Will<'a>>,
    /// Who the client says it is.
    pub user_name: Option<&'a str>,
    /// How it proves it.
    pub password: Option<&'a [u8]>,
}

impl Connect<'_> {
    /// Seconds that the session outlives its connection; `u32::MAX` means that it never expires.
    ///
    /// MQTT 3.x knows only the two ends: a clean session dies with its connection, any other stays.
    pub fn session_expiry_interval_secs(&self) -> u32 {
        match self.version {
            Version::V5 => self.properties.session_expiry_interval().unwrap_or(0),
            Version::V3_1 | Version::V3_1_1 if self.clean_start => 0,
            Version::V3_1 | Version::V3_1_1 => u32::MAX,
        }
    }
}

/// The Will of a CONNECT: a message that the server publishes in the client's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of a PUBLISH")]
pub struct Will<'a> {
    pub topic: TopicName<'a>,
    pub payload: &'a [u8],
    pub qos: Qos,
    pub retain: bool,
    pub properties: Properties<'a>,
}

/// CONNACK: the server's answer to a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// The server has a session of this client and goes on with it.
    pub session_present: bool,
    /// `Success`, or why the connection is refused.
    pub reason: ReasonCode,
    /// What the server offers and demands, empty in MQTT 3.x.
    pub properties: Properties<'a>,
}

/// How a PUBLISH is delivered: its QoS, and what that QoS needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0: no Packet Identifier, never sent twice. `[MQTT-2.2.1-2]`, `[MQTT-3.3.1-2]`
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// Ties the PUBACK to this packet.
        packet_id: PacketId,
        /// The packet may have been sent before.
        dup: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// Ties PUBREC, PUBREL and PUBCOMP to this packet.
        packet_id: PacketId,
        /// The packet may have been sent before.
        dup: bool,
    },
}

impl Delivery {
    /// The QoS alone.
    pub const fn qos(self) -> Qos {
        match self {
            Delivery::AtMostOnce => Qos::AtMostOnce,
            Delivery::AtLeastOnce { .. } => Qos::AtLeastOnce,
            Delivery::ExactlyOnce { .. } => Qos::ExactlyOnce,
        }
    }

    /// The Packet Identifier of QoS 1 and 2.
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce { packet_id, .. } | Delivery::ExactlyOnce { packet_id, .. } => {
                Some(packet_id)
            }
        }
    }
}

/// PUBLISH: an application message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// QoS, DUP flag and Packet Identifier.
    pub delivery: Delivery,
    /// RETAIN flag.
    pub retain: bool,
    /// The Topic Name; `None` when a Topic Alias stands for it.
    pub topic: Option<TopicName<'a>>,
    /// The properties, empty in MQTT 3.x.
    pub properties: Properties<'a>,
    /// The application's bytes.
    pub payload: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP: the acknowledgements of QoS 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishAck<'a> {
    /// The Packet Identifier of the PUBLISH.
    pub packet_id: PacketId,
    /// What became of it; always `Success` in MQTT 3.x.
    pub reason: ReasonCode,
    /// The properties, empty in MQTT 3.x.
    pub properties: Properties<'a>,
}

impl PublishAck<'_> {
    /// An acknowledgement without properties.
    pub const fn new(packet_id: PacketId, reason: ReasonCode) -> PublishAck<'static> {
        PublishAck {
            packet_id,
            reason,
            properties: Properties::EMPTY,
        }
    }
}

/// What a server sends of retained messages when a subscription is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// Send them at every SUBSCRIBE.
    #[default]
    Send = 0,
    /// Send them only if the subscription did not exist.
    SendIfNew = 1,
    /// Do not send them.
    DoNotSend = 2,
}

/// The options of one subscription. MQTT 3.x has only the QoS; the defaults are its behaviour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubscriptionOptions {
    /// The Maximum QoS at which messages may be sent to the client.
    pub qos: Qos,
    /// Do not send the client its own messages.
    pub no_local: bool,
    /// Keep the RETAIN flag as the publisher set it.
    pub retain_as_published: bool,
    /// Whether retained messages are sent now.
    pub retain_handling: RetainHandling,
}

/// One filter of a SUBSCRIBE with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Subscription<'a> {
    pub filter: TopicFilter<'a>,
    pub options: SubscriptionOptions,
}

/// SUBSCRIBE: at least one filter. `[MQTT-3.8.3-2]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Subscribe<'a> {
    pub packet_id: PacketId,
    pub properties: Properties<'a>,
    pub subscriptions: Vec<Subscription<'a>>,
}

/// SUBACK or UNSUBACK: one Reason Code per filter, in the order of the filters.
///
/// The UNSUBACK of MQTT 3.x has no codes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct SubscribeAck<'a> {
    pub packet_id: PacketId,
    pub properties: Properties<'a>,
    pub reasons: Vec<ReasonCode>,
}

/// UNSUBSCRIBE: at least one filter. `[MQTT-3.10.3-2]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Unsubscribe<'a> {
    pub packet_id: PacketId,
    pub properties: Properties<'a>,
    pub filters: Vec<TopicFilter<'a>>,
}

/// DISCONNECT: the last packet of a connection. Only clients send it in MQTT 3.x, without a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Disconnect<'a> {
    pub reason: ReasonCode,
    pub properties: Properties<'a>,
}

impl Disconnect<'_> {
    /// A DISCONNECT without properties.
    pub const fn new(reason: ReasonCode) -> Disconnect<'static> {
        Disconnect {
            reason,
            properties: Properties::EMPTY,
        }
    }
}

/// AUTH: a step of an enhanced authentication. MQTT 5 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Auth<'a> {
    pub reason: ReasonCode,
    pub properties: Properties<'a>,
}
