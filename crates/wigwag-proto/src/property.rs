//! The properties of MQTT 5: one table that drives decoding, encoding, validation and names.
//!
//! A block of properties stays in its wire form: [`Properties`] is a validated view of bytes and
//! [`PropertiesBuf`] grows one. Forwarding a message therefore copies bytes and parses nothing twice.

use std::fmt;

use crate::codec::{DecodeError, DecodeLimits, EncodeError, Reader, write_bytes, write_var_int};
use crate::packet::PacketType;
use crate::topic::TopicName;

/// Where a block of properties stands: in a packet, or among the fields of a Will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The properties of a packet's variable header.
    Packet(PacketType),
    /// The properties of the Will in a CONNECT.
    Will,
}

impl Carrier {
    const fn bit(self) -> u16 {
        match self {
            Carrier::Packet(packet) => 1 << packet as u16,
            // Bit 0 is free: no packet has type 0.
            Carrier::Will => 1,
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Carrier::Packet(packet) => packet.fmt(f),
            Carrier::Will => f.write_str("a Will"),
        }
    }
}

const WILL: u16 = Carrier::Will.bit();
const CONNECT: u16 = Carrier::Packet(PacketType::Connect).bit();
const CONNACK: u16 = Carrier::Packet(PacketType::ConnAck).bit();
const PUBLISH: u16 = Carrier::Packet(PacketType::Publish).bit();
const PUBACK: u16 = Carrier::Packet(PacketType::PubAck).bit();
const PUBREC: u16 = Carrier::Packet(PacketType::PubRec).bit();
const PUBREL: u16 = Carrier::Packet(PacketType::PubRel).bit();
const PUBCOMP: u16 = Carrier::Packet(PacketType::PubComp).bit();
const SUBSCRIBE: u16 = Carrier::Packet(PacketType::Subscribe).bit();
const SUBACK: u16 = Carrier::Packet(PacketType::SubAck).bit();
const UNSUBSCRIBE: u16 = Carrier::Packet(PacketType::Unsubscribe).bit();
const UNSUBACK: u16 = Carrier::Packet(PacketType::UnsubAck).bit();
const DISCONNECT: u16 = Carrier::Packet(PacketType::Disconnect).bit();
const AUTH: u16 = Carrier::Packet(PacketType::Auth).bit();
const ACKS: u16 = PUBACK | PUBREC | PUBREL | PUBCOMP | SUBACK | UNSUBACK;

/// The Rust type of each kind of value in the table.
macro_rules! value_type {
    (Flag) => { bool };
    (U16) => { u16 };
    (NonZeroU16) => { u16 };
    (U32) => { u32 };
    (NonZeroU32) => { u32 };
    (NonZeroVarInt) => { u32 };
    (Text) => { &'a str };
    (Topic) => { TopicName<'a> };
    (Binary) => { &'a [u8] };
    (Pair) => { (&'a str, &'a str) };
}

macro_rules! property_table {
    ($($(#[$doc:meta])* $id:literal $name:ident $text:literal $kind:tt in $carriers:expr;)*) => {
        /// The identifier of a property.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum PropertyId {
            $($(#[$doc])* $name = $id,)*
        }

        impl PropertyId {
            /// Every property, in ascending order.
            pub const ALL: &'static [PropertyId] = &[$(PropertyId::$name,)*];

            /// The property of this identifier, if the standard lists it.
            pub const fn from_u8(id: u8) -> Option<PropertyId> {
                match id {
                    $($id => Some(PropertyId::$name),)*
                    _ => None,
                }
            }

            /// The name as the standard writes it.
            pub const fn name(self) -> &'static str {
                match self { $(PropertyId::$name => $text,)* }
            }

            const fn carriers(self) -> u16 {
                match self { $(PropertyId::$name => $carriers,)* }
            }
        }

        /// A property with its value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Property<'a> {
            $($(#[$doc])* $name(value_type!($kind)),)*
        }

        impl<'a> Property<'a> {
            /// Which property this is.
            pub const fn id(&self) -> PropertyId {
                match self { $(Property::$name(_) => PropertyId::$name,)* }
            }

            fn read(reader: &mut Reader<'a>) -> Result<Property<'a>, DecodeError> {
                // An identifier is a Variable Byte Integer, but all that exist fit into one byte.
                let id = reader.var_int()?;
                let known = u8::try_from(id).ok().and_then(PropertyId::from_u8);
                match known.ok_or(DecodeError::UnknownProperty(id))? {
                    $(PropertyId::$name => {
                        <kind::$kind as Kind<'a>>::read(reader, PropertyId::$name).map(Property::$name)
                    })*
                }
            }

            fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                out.push(self.id() as u8);
                match *self { $(Property::$name(value) => <kind::$kind as Kind<'_>>::write(value, out),)* }
            }
        }
    };
}

property_table! {
    /// Whether the payload is UTF-8 text.
    0x01 PayloadFormatIndicator "Payload Format Indicator" Flag in PUBLISH | WILL;
    /// Seconds that the message may still be delivered.
    0x02 MessageExpiryInterval "Message Expiry Interval" U32 in PUBLISH | WILL;
    /// What the payload is.
    0x03 ContentType "Content Type" Text in PUBLISH | WILL;
    /// Where the answer to a request goes.
    0x08 ResponseTopic "Response Topic" Topic in PUBLISH | WILL;
    /// Ties an answer to its request.
    0x09 CorrelationData "Correlation Data" Binary in PUBLISH | WILL;
    /// Ties a message to the subscriptions that it matched.
    0x0B SubscriptionIdentifier "Subscription Identifier" NonZeroVarInt in PUBLISH | SUBSCRIBE;
    /// Seconds that the session outlives the connection.
    0x11 SessionExpiryInterval "Session Expiry Interval" U32 in CONNECT | CONNACK | DISCONNECT;
    /// The Client Identifier that the server chose.
    0x12 AssignedClientIdentifier "Assigned Client Identifier" Text in CONNACK;
    /// The Keep Alive that the server demands, in seconds.
    0x13 ServerKeepAlive "Server Keep Alive" U16 in CONNACK;
    /// The name of an enhanced authentication.
    0x15 AuthenticationMethod "Authentication Method" Text in CONNECT | CONNACK | AUTH;
    /// The bytes of an enhanced authentication.
    0x16 AuthenticationData "Authentication Data" Binary in CONNECT | CONNACK | AUTH;
    /// Whether the server may send reasons in words.
    0x17 RequestProblemInformation "Request Problem Information" Flag in CONNECT;
    /// Seconds between the end of the connection and the Will.
    0x18 WillDelayInterval "Will Delay Interval" U32 in WILL;
    /// Whether the client asks for Response Information.
    0x19 RequestResponseInformation "Request Response Information" Flag in CONNECT;
    /// The base of Response Topics.
    0x1A ResponseInformation "Response Information" Text in CONNACK;
    /// Another server to use.
    0x1C ServerReference "Server Reference" Text in CONNACK | DISCONNECT;
    /// The reason in words.
    0x1F ReasonString "Reason String" Text in CONNACK | ACKS | DISCONNECT | AUTH;
    /// QoS 1 and 2 messages that may be unacknowledged at once.
    0x21 ReceiveMaximum "Receive Maximum" NonZeroU16 in CONNECT | CONNACK;
    /// The highest Topic Alias that the sender accepts.
    0x22 TopicAliasMaximum "Topic Alias Maximum" U16 in CONNECT | CONNACK;
    /// A number that stands for a Topic Name.
    0x23 TopicAlias "Topic Alias" NonZeroU16 in PUBLISH;
    /// The highest QoS that the server offers: 1 if true, else 0.
    0x24 MaximumQos "Maximum QoS" Flag in CONNACK;
    /// Whether the server keeps retained messages.
    0x25 RetainAvailable "Retain Available" Flag in CONNACK;
    /// A name and a value of the application's own.
    0x26 UserProperty "User Property" Pair in CONNECT | CONNACK | PUBLISH | WILL | ACKS | SUBSCRIBE | UNSUBSCRIBE | DISCONNECT | AUTH;
    /// The largest packet that the sender accepts, in bytes.
    0x27 MaximumPacketSize "Maximum Packet Size" NonZeroU32 in CONNECT | CONNACK;
    /// Whether the server offers wildcard subscriptions.
    0x28 WildcardSubscriptionAvailable "Wildcard Subscription Available" Flag in CONNACK;
    /// Whether the server offers Subscription Identifiers.
    0x29 SubscriptionIdentifierAvailable "Subscription Identifier Available" Flag in CONNACK;
    /// Whether the server offers shared subscriptions.
    0x2A SharedSubscriptionAvailable "Shared Subscription Available" Flag in CONNACK;
}

impl PropertyId {
    /// Whether packets of this kind may carry the property.
    pub const fn is_valid_in(self, carrier: Carrier) -> bool {
        self.carriers() & carrier.bit() != 0
    }

    /// Whether one block may hold the property more than once.
    pub const fn is_repeatable_in(self, carrier: Carrier) -> bool {
        match self {
            PropertyId::UserProperty => true,
            // [MQTT-3.3.4-4]: one for each subscription that the message matched.
            PropertyId::SubscriptionIdentifier => {
                matches!(carrier, Carrier::Packet(PacketType::Publish))
            }
            _ => false,
        }
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How one kind of value of the table is read, checked and written.
trait Kind<'a> {
    type Value;

    fn read(reader: &mut Reader<'a>, id: PropertyId) -> Result<Self::Value, DecodeError>;
    fn write(value: Self::Value, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// The kinds of values, by their names in the table.
mod kind {
    pub(super) enum Flag {}
    pub(super) enum U16 {}
    pub(super) enum NonZeroU16 {}
    pub(super) enum U32 {}
    pub(super) enum NonZeroU32 {}
    pub(super) enum NonZeroVarInt {}
    pub(super) enum Text {}
    pub(super) enum Topic {}
    pub(super) enum Binary {}
    pub(super) enum Pair {}
}

impl Kind<'_> for kind::Flag {
    type Value = bool;

    fn read(reader: &mut Reader<'_>, id: PropertyId) -> Result<bool, DecodeError> {
        match reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::PropertyValue(id)),
        }
    }

    fn write(value: bool, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(u8::from(value));
        Ok(())
    }
}

impl Kind<'_> for kind::U16 {
    type Value = u16;

    fn read(reader: &mut Reader<'_>, _: PropertyId) -> Result<u16, DecodeError> {
        reader.u16()
    }

    fn write(value: u16, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }
}

impl Kind<'_> for kind::NonZeroU16 {
    type Value = u16;

    fn read(reader: &mut Reader<'_>, id: PropertyId) -> Result<u16, DecodeError> {
        non_zero(reader.u16()?, id)
    }

    fn write(value: u16, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        kind::U16::write(value, out)
    }
}

impl Kind<'_> for kind::U32 {
    type Value = u32;

    fn read(reader: &mut Reader<'_>, _: PropertyId) -> Result<u32, DecodeError> {
        reader.u32()
    }

    fn write(value: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }
}

impl Kind<'_> for kind::NonZeroU32 {
    type Value = u32;

    fn read(reader: &mut Reader<'_>, id: PropertyId) -> Result<u32, DecodeError> {
        non_zero(reader.u32()?, id)
    }

    fn write(value: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        kind::U32::write(value, out)
    }
}

impl Kind<'_> for kind::NonZeroVarInt {
    type Value = u32;

    fn read(reader: &mut Reader<'_>, id: PropertyId) -> Result<u32, DecodeError> {
        non_zero(reader.var_int()?, id)
    }

    fn write(value: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_var_int(value, out)
    }
}

impl<'a> Kind<'a> for kind::Text {
    type Value = &'a str;

    fn read(reader: &mut Reader<'a>, _: PropertyId) -> Result<&'a str, DecodeError> {
        reader.text()
    }

    fn write(value: &'a str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_bytes(value.as_bytes(), out)
    }
}

impl<'a> Kind<'a> for kind::Topic {
    type Value = TopicName<'a>;

    fn read(reader: &mut Reader<'a>, id: PropertyId) -> Result<TopicName<'a>, DecodeError> {
        TopicName::new(reader.text()?).map_err(|_| DecodeError::PropertyValue(id))
    }

    fn write(value: TopicName<'a>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_bytes(value.as_str().as_bytes(), out)
    }
}

impl<'a> Kind<'a> for kind::Binary {
    type Value = &'a [u8];

    fn read(reader: &mut Reader<'a>, _: PropertyId) -> Result<&'a [u8], DecodeError> {
        reader.bytes()
    }

    fn write(value: &'a [u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_bytes(value, out)
    }
}

impl<'a> Kind<'a> for kind::Pair {
    type Value = (&'a str, &'a str);

    fn read(reader: &mut Reader<'a>, _: PropertyId) -> Result<(&'a str, &'a str), DecodeError> {
        Ok((reader.text()?, reader.text()?))
    }

    fn write((name, value): (&'a str, &'a str), out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_bytes(name.as_bytes(), out)?;
        write_bytes(value.as_bytes(), out)
    }
}

fn non_zero<T: PartialEq + Default>(value: T, id: PropertyId) -> Result<T, DecodeError> {
    if value == T::default() {
        Err(DecodeError::PropertyValue(id))
    } else {
        Ok(value)
    }
}

/// A valid block of properties in its wire form, without the length in front of it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Properties<'static> = Properties(&[]);

    /// Checks every property of the block: known, allowed here, not repeated, its value in range, and
    /// no more User Properties than the limits allow.
    pub fn parse(
        block: &'a [u8],
        carrier: Carrier,
        limits: &DecodeLimits,
    ) -> Result<Properties<'a>, DecodeError> {
        let mut seen = 0_u64;
        let mut user_properties = 0_u32;
        let mut reader = Reader::new(block);
        while !reader.is_empty() {
            let id = Property::read(&mut reader)?.id();
            if !id.is_valid_in(carrier) {
                return Err(DecodeError::PropertyNotAllowed {
                    property: id,
                    carrier,
                });
            }
            let bit = 1 << id as u8;
            if seen & bit != 0 && !id.is_repeatable_in(carrier) {
                return Err(DecodeError::DuplicateProperty(id));
            }
            seen |= bit;
            if id == PropertyId::UserProperty {
                user_properties += 1;
                if user_properties > limits.user_properties_max {
                    return Err(DecodeError::TooManyUserProperties {
                        max: limits.user_properties_max,
                    });
                }
            }
        }
        Ok(Properties(block))
    }

    /// The properties in their order.
    pub fn iter(self) -> impl Iterator<Item = Property<'a>> {
        let mut reader = Reader::new(self.0);
        // The block was checked when it was made, so reading ends at its end.
        std::iter::from_fn(move || {
            if reader.is_empty() {
                None
            } else {
                Property::read(&mut reader).ok()
            }
        })
    }

    /// The wire form, without the length in front.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The User Properties in their order.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(pair) => Some(pair),
            _ => None,
        })
    }

    /// The Subscription Identifiers in their order.
    pub fn subscription_identifiers(self) -> impl Iterator<Item = u32> {
        self.iter().filter_map(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(id),
            _ => None,
        })
    }
}

macro_rules! getters {
    ($($getter:ident $name:ident $type:ty;)*) => {
        impl<'a> Properties<'a> {
            $(
                #[doc = concat!("The value of [`Property::", stringify!($name), "`], if it is there.")]
                pub fn $getter(self) -> Option<$type> {
                    self.iter().find_map(|property| match property {
                        Property::$name(value) => Some(value),
                        _ => None,
                    })
                }
            )*
        }
    };
}

getters! {
    payload_format_indicator PayloadFormatIndicator bool;
    message_expiry_interval MessageExpiryInterval u32;
    content_type ContentType &'a str;
    response_topic ResponseTopic TopicName<'a>;
    correlation_data CorrelationData &'a [u8];
    session_expiry_interval SessionExpiryInterval u32;
    assigned_client_identifier AssignedClientIdentifier &'a str;
    server_keep_alive ServerKeepAlive u16;
    authentication_method AuthenticationMethod &'a str;
    authentication_data AuthenticationData &'a [u8];
    request_problem_information RequestProblemInformation bool;
    will_delay_interval WillDelayInterval u32;
    request_response_information RequestResponseInformation bool;
    response_information ResponseInformation &'a str;
    server_reference ServerReference &'a str;
    reason_string ReasonString &'a str;
    receive_maximum ReceiveMaximum u16;
    topic_alias_maximum TopicAliasMaximum u16;
    topic_alias TopicAlias u16;
    maximum_qos MaximumQos bool;
    retain_available RetainAvailable bool;
    maximum_packet_size MaximumPacketSize u32;
    wildcard_subscription_available WildcardSubscriptionAvailable bool;
    subscription_identifier_available SubscriptionIdentifierAvailable bool;
    shared_subscription_available SharedSubscriptionAvailable bool;
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A block of properties under construction.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PropertiesBuf(Vec<u8>);

impl PropertiesBuf {
    /// No properties yet.
    pub const fn new() -> PropertiesBuf {
        PropertiesBuf(Vec::new())
    }

    /// Adds a property at the end. Fails when a text or binary value has more than 65,535 bytes; the
    /// block is then as before.
    pub fn push(&mut self, property: Property<'_>) -> Result<(), EncodeError> {
        let len = self.0.len();
        property
            .write(&mut self.0)
            .inspect_err(|_| self.0.truncate(len))
    }

    /// Adds properties as they are at the end.
    pub fn append(&mut self, properties: Properties<'_>) {
        self.0.extend_from_slice(properties.0);
    }

    /// [`PropertiesBuf::push`] in a chain.
    pub fn with(mut self, property: Property<'_>) -> Result<PropertiesBuf, EncodeError> {
        self.push(property)?;
        Ok(self)
    }

    /// The properties so far.
    pub fn as_properties(&self) -> Properties<'_> {
        Properties(&self.0)
    }
}

impl From<Properties<'_>> for PropertiesBuf {
    fn from(properties: Properties<'_>) -> PropertiesBuf {
        PropertiesBuf(properties.0.to_vec())
    }
}

impl fmt::Debug for PropertiesBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_properties().fmt(f)
    }
}
