//! The life of a connection: CONNECT, silence, errors, and the end.

use wigwag_proto::packet::{Auth, PacketType, PublishAck, SubscribeAck, Version};
use wigwag_proto::{Packet, Properties, Property, ReasonCode};

use super::world::{Hello, Publication, Q0, Q1, World};
use crate::event::{CloseReason, Event};
use crate::limits::Limits;
use crate::listener::ListenerSettings;
use crate::settings::Settings;

#[test]
fn a_connack_says_what_the_server_offers() {
    // [MQTT-3.2.2-3], [MQTT-3.2.2-16], [MQTT-3.1.3-7]
    let world = World::new(1);
    let client = world.connect(0, "x");
    let offer = client.offer.as_properties();
    let limits = Limits::default();
    assert_eq!(offer.receive_maximum(), Some(limits.receive_maximum));
    assert_eq!(offer.maximum_packet_size(), Some(limits.packet_size_max));
    assert_eq!(
        offer.topic_alias_maximum(),
        Some(ListenerSettings::default().topic_alias_maximum)
    );
    // What is not mentioned is available.
    assert_eq!(offer.shared_subscription_available(), None);
    assert_eq!(offer.session_expiry_interval(), None);
    assert_eq!(offer.assigned_client_identifier(), None);
    let long = world.connect(0, Hello::new("y").expiry(u32::MAX));
    let cut = long.offer.as_properties().session_expiry_interval();
    assert_eq!(cut, Some(limits.session_expiry_secs_max));
    let assigned = [0, 1].map(|_| {
        let client = world.connect(0, "");
        client
            .offer
            .as_properties()
            .assigned_client_identifier()
            .map(str::to_owned)
    });
    assert!(assigned[0].is_some() && assigned[0] != assigned[1]);
}

#[test]
fn a_client_without_a_name_needs_a_clean_session_in_3_1_1() {
    // 3.1.3-8 of 3.1.1
    let world = World::new(1);
    let _client = world.connect(0, Hello::new("").v3());
    let refused = world.dial(0, Hello::new("").v3().resume());
    assert_eq!(refused.heard(), ["CONNACK 0x85", "closed"]);
}

#[test]
fn refusals_name_their_reason_and_close() {
    // [MQTT-3.2.2-7], [MQTT-3.1.3-8], [MQTT-4.12.0-1]
    let check = |hello: Hello, expect: &str| {
        let world = World::new(1);
        let client = world.dial(0, hello);
        assert_eq!(client.heard(), [expect, "closed"]);
        world.assert_empty();
    };
    check(Hello::new(&"x".repeat(300)), "CONNACK 0x85");
    check(Hello::new(&"x".repeat(300)).v3(), "CONNACK 0x85");
    check(
        Hello::new("x").property(Property::AuthenticationMethod("SCRAM")),
        "CONNACK 0x8C",
    );
}

#[test]
fn a_version_that_is_not_spoken_is_told_so() {
    // [MQTT-3.1.2-2]; 3.1.2-2 of 3.1.1
    let check = |level: u8, version, expect: &[&str]| {
        let world = World::new(1);
        let client = world.open(0, version);
        let body = [0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 0, 0, 0, 1, b'x'];
        client.send_bytes(&[&[0x10, body.len() as u8], body.as_slice()].concat());
        assert_eq!(client.heard(), expect, "{level}");
    };
    check(6, Version::V5, &["CONNACK 0x84", "closed"]);
    check(3, Version::V3_1_1, &["CONNACK 0x84", "closed"]);
    check(127, Version::V5, &["CONNACK 0x84", "closed"]);
}

#[test]
fn a_connect_that_cannot_be_read_is_refused_as_its_version_wants() {
    // [MQTT-3.1.4-1], [MQTT-3.1.2-3]; 3.1.4-1 of 3.1.1
    let check = |level: u8, flags: u8, expect: &[&str]| {
        let world = World::new(1);
        let version = if level == 5 {
            Version::V5
        } else {
            Version::V3_1_1
        };
        let client = world.open(0, version);
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', level, flags, 0, 0];
        body.extend((level == 5).then_some(0));
        body.extend([0, 1, b'x']);
        client.send_bytes(&[&[0x10, body.len() as u8], body.as_slice()].concat());
        assert_eq!(client.heard(), expect, "{level} {flags:#b}");
    };
    check(5, 0b0000_0011, &["CONNACK 0x81", "closed"]);
    check(5, 0b0001_1110, &["CONNACK 0x81", "closed"]);
    check(4, 0b0000_0011, &["closed"]);
    check(4, 0b0100_0010, &["closed"]);
}

#[test]
fn a_connect_that_is_too_large_is_refused_before_it_has_arrived() {
    for (version, expect) in [
        (Version::V5, &["CONNACK 0x95", "closed"][..]),
        (Version::V3_1_1, &["closed"][..]),
    ] {
        let world = World::new(1);
        let client = world.open(0, version);
        let level = if version == Version::V5 { 5 } else { 4 };
        client.send_bytes(&[
            0x10, 0xFF, 0xFF, 0x7F, 0, 4, b'M', b'Q', b'T', b'T', level, 2,
        ]);
        assert_eq!(client.heard(), expect);
    }
}

#[test]
fn a_client_that_cannot_take_a_connack_is_not_accepted() {
    // [MQTT-3.2.0-1]: nothing comes before a CONNACK, so without one there is nothing.
    let world = World::new(1);
    let client = world.dial(0, Hello::new("x").packet_size_max(12).persistent());
    assert_eq!(client.heard(), ["CONNACK 0x95", "closed"]);
    world.assert_empty();
}

#[test]
fn what_comes_first_must_be_a_connect() {
    // [MQTT-3.1.0-1], [MQTT-3.14.0-1]
    for bytes in [
        &[0xC0, 0][..],
        &[0xE0, 0],
        &[0x30, 3, 0, 1, b't'],
        &[0xF0, 0],
        &[0x00],
        b"GET / HTTP/1.1\r\nHost: broker.example\r\nUser-Agent: something else\r\nAccept: */*\r\n",
    ] {
        let world = World::new(1);
        let client = world.open(0, Version::V5);
        client.send_bytes(bytes);
        assert_eq!(client.heard(), ["closed"], "{bytes:?}");
    }
}

#[test]
fn packets_that_have_no_place_end_the_connection() {
    // [MQTT-3.1.0-2], [MQTT-4.12.0-7], [MQTT-4.13.1-1]
    let auth = Packet::Auth(Auth {
        reason: ReasonCode::Success,
        properties: Properties::EMPTY,
    });
    let suback = Packet::SubAck(SubscribeAck {
        packet_id: wigwag_proto::PacketId::MIN,
        properties: Properties::EMPTY,
        reasons: vec![ReasonCode::Success],
    });
    for packet in [auth, suback, Packet::PingResp] {
        let world = World::new(1);
        let client = world.connect(0, "x");
        client.send(&packet);
        assert_eq!(client.heard(), ["DISCONNECT 0x82", "closed"], "{packet:?}");
        if packet.packet_type() != PacketType::Auth {
            let client = world.connect(0, Hello::new("y").v3());
            client.send(&packet);
            assert_eq!(client.heard(), ["closed"], "{packet:?}");
        }
    }
    let connect = [
        0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, b'x',
    ];
    for (hello, expect) in [
        (Hello::new("x"), &["DISCONNECT 0x82", "closed"][..]),
        (Hello::new("x").v3(), &["closed"]),
    ] {
        let world = World::new(1);
        let client = world.connect(0, hello);
        client.send_bytes(&connect);
        assert_eq!(client.heard(), expect);
    }
}

#[test]
fn bytes_that_are_no_packet_end_the_connection_with_their_reason() {
    // [MQTT-2.1.3-1], [MQTT-3.3.1-4], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.8.3-2], [MQTT-4.13.2-1]
    let check = |bytes: &[u8], expect: &str| {
        for hello in [Hello::new("x"), Hello::new("x").v3()] {
            let world = World::new(1);
            let is_v5 = hello.version == Version::V5;
            let client = world.connect(0, hello);
            client.send_bytes(bytes);
            if is_v5 {
                assert_eq!(client.heard(), [expect, "closed"], "{bytes:x?}");
            } else {
                assert_eq!(client.heard(), ["closed"], "{bytes:x?}");
            }
        }
    };
    check(&[0x00, 0], "DISCONNECT 0x82");
    check(&[0x36, 0], "DISCONNECT 0x81");
    check(&[0x38, 3, 0, 1, b't'], "DISCONNECT 0x81");
    check(&[0x30, 4, 0, 1, b'#', 0], "DISCONNECT 0x81");
    check(&[0x60, 2, 0, 1], "DISCONNECT 0x81");
    check(&[0x80, 6, 0, 1, 0, 1, b't', 0], "DISCONNECT 0x81");
    check(&[0x82, 3, 0, 1, 0], "DISCONNECT 0x82");
    check(&[0x40, 2, 0, 0], "DISCONNECT 0x82");
    check(&[0xC0, 0xFF, 0xFF, 0xFF, 0xFF], "DISCONNECT 0x81");
    check(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], "DISCONNECT 0x95");
    check(&[0xE1, 0], "DISCONNECT 0x81");
    // [MQTT-3.14.2-1]: 0x84 and 0x85 are for a CONNACK.
    check(
        &[0x10, 7, 0, 4, b'M', b'Q', b'T', b'X', 5],
        "DISCONNECT 0x82",
    );
}

#[test]
fn a_packet_may_come_in_pieces() {
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.subscribe("t", Q0);
    let client = world.connect(0, "x");
    for byte in [0x32, 7, 0, 1, b't', 0, 9, 0, b'm', 0xC0, 0] {
        client.send_bytes(&[byte]);
    }
    assert_eq!(client.heard(), ["PUBACK 9", "PINGRESP"]);
    assert_eq!(sub.received(), ["t m"]);
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    let world = World::new(1);
    let silent = world.open(0, Version::V5);
    let half = world.open(0, Version::V5);
    half.send_bytes(&[0x10, 100, 0, 4]);
    world.advance_millis(9_999);
    assert!(!silent.is_closed() && !half.is_closed());
    world.advance_millis(1);
    assert_eq!(
        (silent.heard(), half.heard()),
        (vec!["closed".to_owned()], vec!["closed".to_owned()])
    );
    world.assert_empty();
}

#[test]
fn keep_alive_counts_from_the_last_packet() {
    // [MQTT-3.1.2-22], [MQTT-3.12.4-1]; 3.1.2-24 of 3.1.1
    for (hello, expect) in [
        (Hello::new("x"), &["DISCONNECT 0x8D", "closed"][..]),
        (Hello::new("x").v3(), &["closed"]),
    ] {
        let world = World::new(1);
        let client = world.connect(0, hello.keep_alive(10));
        for _ in 0..3 {
            world.advance_millis(14_999);
            client.ping();
            assert_eq!(client.heard(), ["PINGRESP"]);
        }
        world.advance_millis(15_000);
        assert_eq!(client.heard(), expect);
        let for_ever = world.connect(0, Hello::new("y").keep_alive(0));
        world.advance(1_000_000);
        assert!(!for_ever.is_closed());
    }
}

#[test]
fn shutdown_tells_clients_and_publishes_no_will() {
    let world = World::new(2);
    let listener = world.connect(0, "listener");
    listener.subscribe("#", Q1);
    let client = world.connect(1, Hello::new("x").will(Publication::new("w", "m").qos(Q1)));
    let old = world.connect(
        1,
        Hello::new("y")
            .v3()
            .will(Publication::new("w", "m").qos(Q1)),
    );
    let undecided = world.open(0, Version::V5);
    world.shut_down();
    assert_eq!(client.heard(), ["DISCONNECT 0x8B", "closed"]);
    assert_eq!(listener.heard(), ["DISCONNECT 0x8B", "closed"]);
    assert_eq!(old.heard(), ["closed"]);
    assert_eq!(undecided.heard(), ["closed"]);
    world.assert_empty();
}

#[test]
fn a_client_that_does_not_read_its_last_bytes_is_dropped() {
    let world = World::new(1);
    let client = world.connect(0, "x");
    client.stall();
    client.send_bytes(&[0x00, 0x00]);
    assert!(!client.is_closed());
    world.advance(5);
    assert!(client.is_closed());
    world.assert_empty();
}

#[test]
fn nothing_is_answered_after_a_disconnect() {
    // [MQTT-3.14.4-1]
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.subscribe("t", Q0);
    let client = world.connect(0, "x");
    client.send_bytes(&[0xE0, 0, 0xC0, 0, 0x30, 4, 0, 1, b't', 0]);
    assert_eq!(client.heard(), ["closed"]);
    assert!(sub.received().is_empty());
}

#[test]
fn events_tell_the_life_of_a_client() {
    let world = World::new(1);
    let client = world.connect(0, Hello::new("x").resume().expiry(10));
    client.disconnect();
    world.advance(10);
    let told: Vec<String> = world
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Connected {
                client_id,
                version,
                session_present,
                ..
            } => {
                format!("{client_id} connected with {version}, {session_present}")
            }
            Event::Closed {
                client_id, reason, ..
            } => format!("{client_id:?}: {reason}"),
            Event::SessionExpired { client_id } => format!("{client_id} expired"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "x connected with 5.0, false",
            "Some(\"x\"): client disconnected: success (0x00)",
            "x expired",
        ]
    );
}

#[test]
fn a_refusal_is_told_as_the_brokers_doing() {
    let world = World::new(1);
    let _refused = world.dial(0, Hello::new(&"x".repeat(300)));
    let events = world.events();
    let [
        Event::Refused { reason, .. },
        Event::Closed { reason: closed, .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(*reason, ReasonCode::ClientIdentifierNotValid);
    assert_eq!(*closed, CloseReason::Refused(*reason));
}

#[test]
fn acknowledgements_of_nothing_change_nothing() {
    let world = World::new(1);
    let client = world.connect(0, "x");
    client.puback(1);
    client.pubcomp(1);
    let refused = PublishAck::new(wigwag_proto::PacketId::MIN, ReasonCode::QuotaExceeded);
    client.send(&Packet::PubRec(refused));
    assert!(client.heard().is_empty());
    client.publish("t", "m", Q1);
    assert_eq!(client.heard(), ["PUBACK 1 0x10"]);
}

#[test]
fn a_terse_broker_says_what_mosquitto_says() {
    let settings = Settings {
        is_terse: true,
        ..Settings::default()
    };
    let check = |bytes: &[u8], expect: &[&str]| {
        let world = World::with_settings(1, &settings);
        let client = world.connect(0, "x");
        client.send_bytes(bytes);
        assert_eq!(client.heard(), expect, "{bytes:x?}");
    };
    check(&[0x82, 3, 0, 1, 0], &["DISCONNECT 0x81", "closed"]);
    check(&[0x82, 5, 0, 1, 2, 0x0B, 0], &["DISCONNECT 0x81", "closed"]);
    check(&[0x62, 2, 0, 1], &["PUBCOMP 1"]);
    check(&[0x50, 2, 0, 1], &["PUBREL 1"]);
    check(&[0x10, 0], &["closed"]);
    for (version, expect) in [
        (Version::V5, &["CONNACK 0x85", "closed"][..]),
        (Version::V3_1_1, &["closed"]),
    ] {
        let world = World::with_settings(1, &settings);
        let client = world.open(0, version);
        let level = if version == Version::V5 { 5 } else { 4 };
        let mut bytes = vec![0x10, 0, 0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 60];
        bytes.extend((level == 5).then_some(0));
        bytes.extend([0, 2, b'x', 0xFF]);
        bytes[1] = u8::try_from(bytes.len() - 2).expect("short");
        client.send_bytes(&bytes);
        assert_eq!(client.heard(), expect);
    }
}
