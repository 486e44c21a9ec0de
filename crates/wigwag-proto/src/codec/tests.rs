//! The wire format against golden bytes written out by hand, properties that hold for all packets,
//! and malformed packets with the Reason Code that each must get.

use proptest::prelude::*;

use super::*;
use crate::packet::*;
use crate::property::{Carrier, Properties, PropertiesBuf, Property, PropertyId};
use crate::reason::ReasonCode;
use crate::topic::{TopicError, TopicFilter, TopicName};

const V3: Version = Version::V3_1_1;
const V5: Version = Version::V5;

fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("not zero")
}

fn name(text: &str) -> TopicName<'_> {
    TopicName::new(text).expect("valid name")
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("valid filter")
}

fn block(properties: &[Property<'_>]) -> PropertiesBuf {
    let mut block = PropertiesBuf::new();
    properties
        .iter()
        .for_each(|&property| block.push(property).expect("short"));
    block
}

fn decode_all(bytes: &[u8], version: Version) -> Result<Packet<'_>, DecodeError> {
    let frame = frame(bytes, u32::MAX)?.ok_or(DecodeError::Truncated)?;
    assert_eq!(frame.len, bytes.len(), "one packet");
    decode(frame, version, &DecodeLimits::default())
}

/// The packet has this wire form, in both directions.
#[track_caller]
fn golden(version: Version, packet: &Packet<'_>, bytes: &[u8]) {
    let mut written = Vec::new();
    encode(packet, version, &mut written).expect("can be written");
    assert_eq!(written, bytes, "encode {packet:?}");
    assert_eq!(decode_all(bytes, version).as_ref(), Ok(packet), "decode");
}

#[test]
fn connect() {
    let mut packet = Connect {
        version: V3,
        is_bridge: false,
        client_id: "id",
        clean_start: true,
        keep_alive_secs: 60,
        properties: Properties::EMPTY,
        will: None,
        user_name: None,
        password: None,
    };
    golden(
        V3,
        &Packet::Connect(packet.clone()),
        b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02id",
    );

    let will = Will {
        topic: name("w"),
        payload: b"gone",
        qos: Qos::AtLeastOnce,
        retain: true,
        properties: Properties::EMPTY,
    };
    packet.version = Version::V3_1;
    packet.will = Some(will);
    packet.user_name = Some("u");
    packet.password = Some(b"p");
    golden(
        Version::V3_1,
        &Packet::Connect(packet.clone()),
        b"\x10\x1f\0\x06MQIsdp\x03\xee\0\x3c\0\x02id\0\x01w\0\x04gone\0\x01u\0\x01p",
    );

    let properties = block(&[
        Property::SessionExpiryInterval(7),
        Property::ReceiveMaximum(20),
    ]);
    let will_properties = block(&[Property::WillDelayInterval(5)]);
    packet.version = V5;
    packet.clean_start = false;
    packet.user_name = None;
    packet.properties = properties.as_properties();
    packet.will = Some(Will {
        properties: will_properties.as_properties(),
        ..will
    });
    golden(
        V5,
        &Packet::Connect(packet),
        b"\x10\x29\0\x04MQTT\x05\x6c\0\x3c\x08\x11\0\0\0\x07\x21\0\x14\0\x02id\x05\x18\0\0\0\x05\0\x01w\0\x04gone\0\x01p",
    );
}

#[test]
fn session_expiry_is_the_vocabulary_of_all_versions() {
    let connect = |version, clean_start, properties: &PropertiesBuf| {
        Connect {
            version,
            is_bridge: false,
            client_id: "x",
            clean_start,
            keep_alive_secs: 0,
            properties: properties.as_properties(),
            will: None,
            user_name: None,
            password: None,
        }
        .session_expiry_interval_secs()
    };
    let none = PropertiesBuf::new();
    assert_eq!(connect(V3, true, &none), 0);
    assert_eq!(connect(V3, false, &none), u32::MAX);
    assert_eq!(connect(V5, false, &none), 0);
    assert_eq!(
        connect(V5, true, &block(&[Property::SessionExpiryInterval(9)])),
        9
    );
}

#[test]
fn connack() {
    let packet = |session_present, reason, properties| {
        Packet::ConnAck(ConnAck {
            session_present,
            reason,
            properties,
        })
    };
    golden(
        V3,
        &packet(true, ReasonCode::Success, Properties::EMPTY),
        b"\x20\x02\x01\0",
    );
    golden(
        V3,
        &packet(false, ReasonCode::NotAuthorized, Properties::EMPTY),
        b"\x20\x02\0\x05",
    );
    golden(
        V5,
        &packet(false, ReasonCode::NotAuthorized, Properties::EMPTY),
        b"\x20\x03\0\x87\0",
    );
    let properties = block(&[
        Property::TopicAliasMaximum(10),
        Property::SharedSubscriptionAvailable(false),
    ]);
    golden(
        V5,
        &packet(true, ReasonCode::Success, properties.as_properties()),
        b"\x20\x08\x01\0\x05\x22\0\x0a\x2a\0",
    );
}

#[test]
fn publish() {
    let packet = |delivery, retain, topic, properties| {
        Packet::Publish(Publish {
            delivery,
            retain,
            topic,
            properties,
            payload: b"hi",
        })
    };
    let empty = Properties::EMPTY;
    let at_least_once = Delivery::AtLeastOnce {
        packet_id: id(10),
        dup: false,
    };
    let exactly_once = Delivery::ExactlyOnce {
        packet_id: id(258),
        dup: true,
    };
    golden(
        V3,
        &packet(Delivery::AtMostOnce, false, Some(name("a/b")), empty),
        b"\x30\x07\0\x03a/bhi",
    );
    golden(
        V3,
        &packet(at_least_once, true, Some(name("a/b")), empty),
        b"\x33\x09\0\x03a/b\0\x0ahi",
    );
    golden(
        V3,
        &packet(exactly_once, false, Some(name("a/b")), empty),
        b"\x3c\x09\0\x03a/b\x01\x02hi",
    );
    golden(
        V5,
        &packet(Delivery::AtMostOnce, false, Some(name("a/b")), empty),
        b"\x30\x08\0\x03a/b\0hi",
    );
    let alias = block(&[Property::TopicAlias(4)]);
    golden(
        V5,
        &packet(at_least_once, false, None, alias.as_properties()),
        b"\x32\x0a\0\0\0\x0a\x03\x23\0\x04hi",
    );
    let many = block(&[
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(60),
        Property::ContentType("t"),
        Property::ResponseTopic(name("r")),
        Property::CorrelationData(&[1, 2]),
        Property::SubscriptionIdentifier(200),
        Property::SubscriptionIdentifier(1),
        Property::UserProperty(("k", "v")),
        Property::UserProperty(("k", "v")),
    ]);
    golden(
        V5,
        &packet(Delivery::AtMostOnce, false, Some(name("a")), many.as_properties()),
        b"\x30\x2d\0\x01a\x27\x01\x01\x02\0\0\0\x3c\x03\0\x01t\x08\0\x01r\x09\0\x02\x01\x02\x0b\xc8\x01\x0b\x01\
          \x26\0\x01k\0\x01v\x26\0\x01k\0\x01vhi",
    );
}

#[test]
fn acknowledgements_of_a_publish() {
    type Wrap = fn(PublishAck<'static>) -> Packet<'static>;
    let packets: [(Wrap, u8); 4] = [
        (Packet::PubAck, 0x40),
        (Packet::PubRec, 0x50),
        (Packet::PubRel, 0x62),
        (Packet::PubComp, 0x70),
    ];
    for (wrap, first) in packets {
        let success = wrap(PublishAck::new(id(5), ReasonCode::Success));
        golden(V3, &success, &[first, 2, 0, 5]);
        golden(V5, &success, &[first, 2, 0, 5]);
    }
    let not_found = PublishAck::new(id(5), ReasonCode::PacketIdentifierNotFound);
    golden(V5, &Packet::PubRel(not_found), b"\x62\x03\0\x05\x92");
    let properties = block(&[Property::ReasonString("no")]);
    let refused = PublishAck {
        packet_id: id(5),
        reason: ReasonCode::QuotaExceeded,
        properties: properties.as_properties(),
    };
    golden(
        V5,
        &Packet::PubAck(refused),
        b"\x40\x09\0\x05\x97\x05\x1f\0\x02no",
    );
}

#[test]
fn subscribe_and_suback() {
    let plain = Subscription {
        filter: filter("a/+"),
        options: SubscriptionOptions {
            qos: Qos::ExactlyOnce,
            ..SubscriptionOptions::default()
        },
    };
    let packet = |properties, subscriptions| {
        Packet::Subscribe(Subscribe {
            packet_id: id(1),
            properties,
            subscriptions,
        })
    };
    golden(
        V3,
        &packet(Properties::EMPTY, vec![plain]),
        b"\x82\x08\0\x01\0\x03a/+\x02",
    );
    let rich = Subscription {
        filter: filter("#"),
        options: SubscriptionOptions {
            qos: Qos::AtLeastOnce,
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::DoNotSend,
        },
    };
    let properties = block(&[Property::SubscriptionIdentifier(1)]);
    golden(
        V5,
        &packet(properties.as_properties(), vec![plain, rich]),
        b"\x82\x0f\0\x01\x02\x0b\x01\0\x03a/+\x02\0\x01#\x2d",
    );

    let reasons = vec![ReasonCode::GrantedQos2, ReasonCode::UnspecifiedError];
    let ack = Packet::SubAck(SubscribeAck {
        packet_id: id(1),
        properties: Properties::EMPTY,
        reasons,
    });
    golden(V3, &ack, b"\x90\x04\0\x01\x02\x80");
    golden(V5, &ack, b"\x90\x05\0\x01\0\x02\x80");
}

#[test]
fn every_failure_of_a_subscription_is_0x80_in_3_1_1() {
    let reasons = vec![ReasonCode::NotAuthorized];
    let ack = Packet::SubAck(SubscribeAck {
        packet_id: id(1),
        properties: Properties::EMPTY,
        reasons,
    });
    let mut out = Vec::new();
    encode(&ack, V3, &mut out).expect("can be written");
    assert_eq!(out, b"\x90\x03\0\x01\x80");
}

#[test]
fn unsubscribe_and_unsuback() {
    let packet = Packet::Unsubscribe(Unsubscribe {
        packet_id: id(2),
        properties: Properties::EMPTY,
        filters: vec![filter("a"), filter("b/#")],
    });
    golden(V3, &packet, b"\xa2\x0a\0\x02\0\x01a\0\x03b/#");
    golden(V5, &packet, b"\xa2\x0b\0\x02\0\0\x01a\0\x03b/#");
    let ack = |reasons| {
        Packet::UnsubAck(SubscribeAck {
            packet_id: id(2),
            properties: Properties::EMPTY,
            reasons,
        })
    };
    golden(V3, &ack(vec![]), b"\xb0\x02\0\x02");
    golden(
        V5,
        &ack(vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted]),
        b"\xb0\x05\0\x02\0\0\x11",
    );
}

#[test]
fn pings_disconnect_and_auth() {
    for version in [Version::V3_1, V3, V5] {
        golden(version, &Packet::PingReq, b"\xc0\0");
        golden(version, &Packet::PingResp, b"\xd0\0");
        golden(
            version,
            &Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
            b"\xe0\0",
        );
    }
    golden(
        V5,
        &Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver)),
        b"\xe0\x01\x8e",
    );
    let expiry = block(&[Property::SessionExpiryInterval(0)]);
    let disconnect = Disconnect {
        reason: ReasonCode::Success,
        properties: expiry.as_properties(),
    };
    golden(
        V5,
        &Packet::Disconnect(disconnect),
        b"\xe0\x07\0\x05\x11\0\0\0\0",
    );

    let method = block(&[
        Property::AuthenticationMethod("m"),
        Property::AuthenticationData(b"d"),
    ]);
    let auth = Auth {
        reason: ReasonCode::ContinueAuthentication,
        properties: method.as_properties(),
    };
    golden(
        V5,
        &Packet::Auth(auth),
        b"\xf0\x0a\x18\x08\x15\0\x01m\x16\0\x01d",
    );
    golden(
        V5,
        &Packet::Auth(Auth {
            reason: ReasonCode::Success,
            properties: Properties::EMPTY,
        }),
        b"\xf0\0",
    );
    let mut out = vec![1];
    assert_eq!(
        encode(&Packet::Auth(auth), V3, &mut out),
        Err(EncodeError::NotInVersion(PacketType::Auth))
    );
    assert_eq!(
        out,
        [1],
        "nothing is left of a packet that cannot be written"
    );
}

#[test]
fn long_packets_have_long_remaining_lengths() {
    for (len, header) in [
        (121, &b"\x30\x7f"[..]),
        (122, b"\x30\x80\x01"),
        (16_377, b"\x30\xff\x7f"),
        (16_378, b"\x30\x80\x80\x01"),
    ] {
        let payload = vec![b'x'; len];
        let packet = Packet::Publish(Publish {
            delivery: Delivery::AtMostOnce,
            retain: false,
            topic: Some(name("abc")),
            properties: Properties::EMPTY,
            payload: &payload,
        });
        let mut out = Vec::new();
        encode(&packet, V5, &mut out).expect("can be written");
        assert!(out.starts_with(header), "{len}: {:02x?}", &out[..5]);
        assert_eq!(decode_all(&out, V5), Ok(packet));
    }
}

/// Malformed bytes, the version they came in, why they are refused and what the peer is told.
#[test]
fn malformed_packets_are_refused_with_the_right_reason() {
    use DecodeError as E;
    use ReasonCode as R;
    let long_topic = [b"\x30\x83\x01\0\x81".as_slice(), &[b'/'; 129]].concat();
    let cases: &[(&[u8], Version, DecodeError, ReasonCode)] = &[
        (b"\x00\0", V5, E::ReservedPacketType, R::MalformedPacket),
        (
            b"\x30\x80\x80\x80\x80\x01",
            V5,
            E::VariableByteInteger,
            R::MalformedPacket,
        ),
        (
            b"\xc0\x80\0",
            V5,
            E::VariableByteInteger,
            R::MalformedPacket,
        ),
        (
            b"\xc1\0",
            V5,
            E::Flags {
                packet: PacketType::PingReq,
                flags: 1,
            },
            R::MalformedPacket,
        ),
        (
            b"\x60\x02\0\x01",
            V5,
            E::Flags {
                packet: PacketType::PubRel,
                flags: 0,
            },
            R::MalformedPacket,
        ),
        (
            b"\x80\x05\0\x01\0\0\0",
            V5,
            E::Flags {
                packet: PacketType::Subscribe,
                flags: 0,
            },
            R::MalformedPacket,
        ),
        (
            b"\x36\x05\0\x01a\0\x01",
            V3,
            E::Value {
                field: Field::Qos,
                value: 3,
            },
            R::MalformedPacket,
        ),
        (
            b"\x38\x03\0\x01a",
            V3,
            E::Flags {
                packet: PacketType::Publish,
                flags: 8,
            },
            R::MalformedPacket,
        ),
        (
            b"\x32\x05\0\x01a\0\0",
            V3,
            E::PacketIdZero,
            R::MalformedPacket,
        ),
        (b"\x30\x02\0\0", V3, E::TopicMissing, R::ProtocolError),
        (b"\x30\x03\0\0\0", V5, E::TopicMissing, R::ProtocolError),
        (
            b"\x30\x03\0\x01#",
            V3,
            E::Topic(TopicError::WildcardInName),
            R::MalformedPacket,
        ),
        (b"\x30\x03\0\x01\0", V3, E::Nul, R::MalformedPacket),
        (b"\x30\x03\0\x01\xff", V3, E::Utf8, R::MalformedPacket),
        (
            b"\x30\x05\0\x03\xed\xa0\x80",
            V3,
            E::Utf8,
            R::MalformedPacket,
        ),
        (b"\x30\x03\0\x09a", V3, E::Truncated, R::MalformedPacket),
        (
            &long_topic,
            V3,
            E::TooManyTopicLevels { max: 128 },
            R::QuotaExceeded,
        ),
        (
            b"\x30\x07\0\x01a\x03\x23\0\0",
            V5,
            E::PropertyValue(PropertyId::TopicAlias),
            R::TopicAliasInvalid,
        ),
        (
            b"\x30\x05\0\x01a\x01\x7f",
            V5,
            E::UnknownProperty(0x7f),
            R::MalformedPacket,
        ),
        (
            b"\x30\x08\0\x01a\x04\x01\0\x01\0",
            V5,
            E::DuplicateProperty(PropertyId::PayloadFormatIndicator),
            R::ProtocolError,
        ),
        (
            b"\x30\x06\0\x01a\x02\x01\x02",
            V5,
            E::PropertyValue(PropertyId::PayloadFormatIndicator),
            R::ProtocolError,
        ),
        (
            b"\x30\x08\0\x01a\x04\x08\0\x01+",
            V5,
            E::PropertyValue(PropertyId::ResponseTopic),
            R::ProtocolError,
        ),
        (
            b"\x30\x09\0\x01a\x05\x11\0\0\0\0",
            V5,
            E::PropertyNotAllowed {
                property: PropertyId::SessionExpiryInterval,
                carrier: Carrier::Packet(PacketType::Publish),
            },
            R::MalformedPacket,
        ),
        (
            b"\x82\x02\0\x01",
            V3,
            E::NoFilters(PacketType::Subscribe),
            R::ProtocolError,
        ),
        (
            b"\xa2\x03\0\x01\0",
            V5,
            E::NoFilters(PacketType::Unsubscribe),
            R::ProtocolError,
        ),
        (
            b"\x82\x06\0\x01\0\x01a\x03",
            V3,
            E::Value {
                field: Field::SubscriptionOptions,
                value: 3,
            },
            R::MalformedPacket,
        ),
        (
            b"\x82\x06\0\x01\0\x01a\x04",
            V3,
            E::Value {
                field: Field::SubscriptionOptions,
                value: 4,
            },
            R::MalformedPacket,
        ),
        (
            b"\x82\x07\0\x01\0\0\x01a\x30",
            V5,
            E::Value {
                field: Field::SubscriptionOptions,
                value: 0x30,
            },
            R::MalformedPacket,
        ),
        (
            b"\x82\x07\0\x01\0\0\x01a\x40",
            V5,
            E::Value {
                field: Field::SubscriptionOptions,
                value: 0x40,
            },
            R::MalformedPacket,
        ),
        (
            b"\x82\x10\0\x01\0\0\x0a$share/g/a\x04",
            V5,
            E::NoLocalShared,
            R::ProtocolError,
        ),
        (
            b"\x82\x08\0\x01\0\0\x02a#\x01",
            V5,
            E::Topic(TopicError::MultiLevelWildcard),
            R::MalformedPacket,
        ),
        (
            b"\x40\x03\0\x01\x92",
            V5,
            E::Value {
                field: Field::ReasonCode,
                value: 0x92,
            },
            R::MalformedPacket,
        ),
        (
            b"\x40\x03\0\x01\0",
            V3,
            E::TrailingBytes(1),
            R::MalformedPacket,
        ),
        (b"\xc0\x01\0", V5, E::TrailingBytes(1), R::MalformedPacket),
        (
            b"\x90\x03\0\x01\x87",
            V3,
            E::Value {
                field: Field::ReasonCode,
                value: 0x87,
            },
            R::MalformedPacket,
        ),
        (
            b"\xf0\0",
            V3,
            E::NotInVersion(PacketType::Auth),
            R::ProtocolError,
        ),
        (
            b"\x20\x03\x02\0\0",
            V5,
            E::Value {
                field: Field::ConnectAcknowledgeFlags,
                value: 2,
            },
            R::MalformedPacket,
        ),
        (
            b"\x20\x03\x01\x87\0",
            V5,
            E::Value {
                field: Field::ConnectAcknowledgeFlags,
                value: 1,
            },
            R::MalformedPacket,
        ),
        (
            b"\x10\x0c\0\x04MQTX\x05\x02\0\0\0\0",
            V5,
            E::ProtocolName,
            R::UnsupportedProtocolVersion,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x06\x02\0\0\0\0",
            V5,
            E::ProtocolVersion(6),
            R::UnsupportedProtocolVersion,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\x03\0\0\0\0",
            V5,
            E::Value {
                field: Field::ConnectFlags,
                value: 3,
            },
            R::MalformedPacket,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\x0a\0\0\0\0",
            V5,
            E::Value {
                field: Field::ConnectFlags,
                value: 0x0a,
            },
            R::MalformedPacket,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\x42\0\0\0\0",
            V5,
            E::Value {
                field: Field::ConnectFlags,
                value: 0x42,
            },
            R::MalformedPacket,
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\0\0\0\0\0",
            V5,
            E::ClientIdMissing,
            R::ClientIdentifierNotValid,
        ),
        (
            b"\x10\x0d\0\x04MQTT\x05\x02\0\0\0\0\0x"[..14].as_ref(),
            V5,
            E::Truncated,
            R::MalformedPacket,
        ),
    ];
    for (bytes, version, error, reason) in cases {
        assert_eq!(
            decode_all(bytes, *version).as_ref(),
            Err(error),
            "{bytes:02x?}"
        );
        assert_eq!(error.reason_code(), *reason, "{error}");
    }
}

#[test]
fn a_packet_is_refused_by_its_announced_size() {
    assert_eq!(
        frame(b"\x30\xff\xff\xff\x7f", 1_000),
        Err(DecodeError::PacketTooLarge {
            size: 268_435_460,
            max: 1_000
        })
    );
    assert_eq!(frame(b"\x30\x05", 7), Ok(None));
    assert_eq!(
        frame(b"\x30\x05", 6),
        Err(DecodeError::PacketTooLarge { size: 7, max: 6 })
    );
}

#[test]
fn a_connect_of_mqtt_3_1_may_end_before_what_its_flags_promise() {
    let connect = |flags: u8, rest: &[u8]| {
        let mut body = b"\0\x06MQIsdp\x03".to_vec();
        body.extend([flags, 0, 10, 0, 1, b'b']);
        body.extend(rest);
        [
            &[0x10, u8::try_from(body.len()).expect("short")],
            body.as_slice(),
        ]
        .concat()
    };
    let read = |bytes: &[u8]| {
        let found = frame(bytes, 1_000).expect("a frame").expect("in full");
        match decode(found, Version::V5, &DecodeLimits::default()) {
            Ok(Packet::Connect(connect)) => Ok((
                connect.user_name.map(str::to_owned),
                connect.password.map(<[u8]>::to_vec),
            )),
            Ok(other) => panic!("a CONNECT, not {other:?}"),
            Err(error) => Err(error),
        }
    };
    assert_eq!(read(&connect(0xC2, b"")), Ok((None, None)));
    assert_eq!(
        read(&connect(0xC2, b"\0\x01u")),
        Ok((Some("u".to_owned()), None))
    );
    assert_eq!(
        read(&connect(0xC2, b"\0\x02u")),
        Err(DecodeError::Truncated)
    );
    let strange = connect(0b0010_1011, b"");
    assert_eq!(read(&strange), Ok((None, None)), "flags without a meaning");
}

#[test]
fn a_bridge_is_known_by_its_protocol_level() {
    for (version, body) in [
        (
            Version::V3_1_1,
            &b"\x10\x0d\0\x04MQTT\x84\x02\0\x0a\0\x01b"[..],
        ),
        (Version::V3_1, b"\x10\x0f\0\x06MQIsdp\x83\x02\0\x0a\0\x01b"),
    ] {
        let found = frame(body, 1_000).expect("a frame").expect("in full");
        let packet = decode(found, Version::V5, &DecodeLimits::default());
        let Ok(Packet::Connect(connect)) = &packet else {
            panic!("a CONNECT, not {packet:?}");
        };
        assert_eq!((connect.version, connect.is_bridge), (version, true));
        let mut bytes = Vec::new();
        encode(&Packet::Connect(connect.clone()), version, &mut bytes).expect("valid");
        assert_eq!(bytes, body);
    }
    let five = b"\x10\x0e\0\x04MQTT\x85\x02\0\x0a\0\0\x01b";
    let found = frame(five, 1_000).expect("a frame").expect("in full");
    let refused = decode(found, Version::V5, &DecodeLimits::default());
    assert_eq!(
        refused,
        Err(DecodeError::ProtocolVersion(0x85)),
        "MQTT 5 has No Local for that"
    );
}

#[test]
fn the_protocol_level_of_a_broken_connect_is_known() {
    let level =
        |bytes: &[u8]| protocol_level(&frame(bytes, 1_000).expect("a frame").expect("in full"));
    assert_eq!(level(b"\x10\x07\0\x04MQTT\x09"), Some(9));
    assert_eq!(level(b"\x10\x06\0\x04MQTT"), None);
    assert_eq!(level(b"\x10\x07\0\x04HTTP\x05"), None);
}

#[test]
fn user_properties_are_bounded() {
    let limits = DecodeLimits {
        user_properties_max: 2,
        ..DecodeLimits::default()
    };
    let check = |count: usize| {
        let block = block(&vec![Property::UserProperty(("", "")); count]);
        Properties::parse(block.as_properties().as_bytes(), Carrier::Will, &limits).err()
    };
    assert_eq!(check(2), None);
    assert_eq!(
        check(3),
        Some(DecodeError::TooManyUserProperties { max: 2 })
    );
}

#[test]
fn fields_above_their_length_cannot_be_written() {
    let long = "x".repeat(65_536);
    let mut block = PropertiesBuf::new();
    assert_eq!(
        block.push(Property::ReasonString(&long)),
        Err(EncodeError::FieldTooLong(65_536))
    );
    assert!(block.as_properties().is_empty());
}

fn versions() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V3_1), Just(V3), Just(V5)]
}

proptest! {
    /// What has been decoded is written as the same bytes or as an equal packet.
    #[test]
    fn decode_encode_decode_is_stable(bytes in prop::collection::vec(any::<u8>(), 2..64), version in versions()) {
        let Ok(Some(frame)) = frame(&bytes, u32::MAX) else { return Ok(()) };
        let Ok(packet) = decode(frame, version, &DecodeLimits::default()) else { return Ok(()) };
        let version = if let Packet::Connect(connect) = &packet { connect.version } else { version };
        let mut out = Vec::new();
        encode(&packet, version, &mut out).expect("what was read can be written");
        prop_assert_eq!(decode_all(&out, version), Ok(packet));
    }

    /// Bytes that look like a packet from the outside exercise every decoder, and none panics.
    #[test]
    fn no_body_makes_a_decoder_panic(
        first in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..100), version in versions(),
    ) {
        let bytes = [&[first, u8::try_from(body.len()).expect("below 128")], body.as_slice()].concat();
        let _ = decode_all(&bytes, version);
    }

    /// A packet is found at every way of arriving, and never before it is whole.
    #[test]
    fn frames_are_found_at_any_split(payload_len in 0_usize..400, split in 0_usize..420) {
        let payload = vec![0; payload_len];
        let packet = Publish {
            delivery: Delivery::AtMostOnce,
            retain: false,
            topic: Some(name("split")),
            properties: Properties::EMPTY,
            payload: &payload,
        };
        let mut bytes = Vec::new();
        encode_publish(&packet, V5, &mut bytes).expect("can be written");
        let mut head = Vec::new();
        encode_publish_head(&packet, V5, &mut head).expect("can be written");
        prop_assert_eq!(&[head.as_slice(), packet.payload].concat(), &bytes);
        let split = split.min(bytes.len());
        let whole = frame(&bytes[..split], u32::MAX).expect("valid").is_some();
        prop_assert_eq!(whole, split == bytes.len());
    }

    #[test]
    fn variable_byte_integers_round_trip(value in 0..=VAR_INT_MAX) {
        let mut out = Vec::new();
        write_var_int(value, &mut out).expect("in range");
        prop_assert_eq!(Reader::new(&out).var_int(), Ok(value));
    }

    /// Generated SUBSCRIBEs keep every filter and option.
    #[test]
    fn subscriptions_round_trip(
        filters in prop::collection::vec(("[a-z]{1,5}(/[a-z]{0,3}){0,3}(/[+#])?", 0_u8..3, any::<bool>(), any::<bool>(), 0_u8..3), 1..8),
    ) {
        let subscriptions: Vec<_> = filters.iter().map(|(text, qos, no_local, retain_as_published, handling)| Subscription {
            filter: filter(text),
            options: SubscriptionOptions {
                qos: Qos::from_u8(*qos).expect("in range"),
                no_local: *no_local,
                retain_as_published: *retain_as_published,
                retain_handling: [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend][usize::from(*handling)],
            },
        }).collect();
        let packet = Packet::Subscribe(Subscribe { packet_id: id(7), properties: Properties::EMPTY, subscriptions });
        let mut out = Vec::new();
        encode(&packet, V5, &mut out).expect("can be written");
        prop_assert_eq!(decode_all(&out, V5), Ok(packet));
    }
}
