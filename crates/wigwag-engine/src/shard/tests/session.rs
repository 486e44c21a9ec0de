//! Sessions between connections: what waits, what is sent again, and when they end.

use wigwag_proto::{ReasonCode, Version};

use super::world::{Hello, Publication, Q0, Q1, Q2, World};
use crate::event::{DropReason, Event};
use crate::limits::Limits;

fn sub() -> Hello {
    Hello::new("sub").persistent()
}

#[test]
fn a_session_is_resumed_with_what_waited() {
    // [MQTT-3.1.2-5], [MQTT-3.1.2-23], [MQTT-4.5.0-1]; 3.1.2-4 and 3.1.2-5 of 3.1.1
    for hello in [sub(), sub().v3()] {
        let world = World::new(1);
        let client = world.connect(0, hello.clone());
        assert!(!client.session_present);
        client.subscribe("t", Q2);
        client.disconnect();
        let publisher = world.connect(0, "pub");
        for (payload, qos) in [("0", Q0), ("1", Q1), ("2", Q2), ("3", Q1)] {
            publisher.publish("t", payload, qos);
        }
        assert_eq!(publisher.heard().len(), 4, "all are acknowledged");
        let client = world.connect(0, hello);
        assert!(client.session_present);
        assert_eq!(client.received(), ["t 1 q1", "t 2 q2", "t 3 q1"]);
    }
}

#[test]
fn what_was_in_flight_is_sent_again_first_and_in_order() {
    // [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.3.3-5], [MQTT-4.3.3-6]
    let world = World::new(1);
    let client = world.connect(0, sub().quiet());
    client.subscribe("t", Q2);
    let publisher = world.connect(0, "pub");
    for (payload, qos) in [("1", Q2), ("2", Q1), ("3", Q2), ("4", Q1)] {
        publisher.publish("t", payload, qos);
    }
    client.pubrec(3);
    client.puback(2);
    client.lose();
    publisher.publish("t", "5", Q1);
    let client = world.connect(0, sub().quiet());
    assert_eq!(
        client.heard(),
        [
            "PUBLISH 1 t 1 q2 dup",
            "PUBREL 3",
            "PUBLISH 4 t 4 q1 dup",
            "PUBLISH 5 t 5 q1"
        ]
    );
    client.lose();
    let client = world.connect(0, sub());
    assert_eq!(
        client.received().len(),
        3,
        "and again, until it is acknowledged"
    );
}

#[test]
fn a_lower_receive_maximum_holds_for_what_is_sent_again() {
    let world = World::new(1);
    let client = world.connect(0, sub().quiet());
    client.subscribe("t", Q2);
    let publisher = world.connect(0, "pub");
    for n in 1..=4 {
        publisher.publish("t", &n.to_string(), Q1);
    }
    client.lose();
    publisher.publish("t", "5", Q1);
    let client = world.connect(0, sub().receive_maximum(2).quiet());
    assert_eq!(client.received(), ["t 1 q1 dup", "t 2 q1 dup"]);
    publisher.publish("t", "6", Q1);
    client.puback(1);
    assert_eq!(client.received(), ["t 3 q1 dup"]);
    client.puback(2);
    client.puback(3);
    assert_eq!(client.received(), ["t 4 q1 dup", "t 5 q1"]);
    client.puback(4);
    client.puback(1);
    assert_eq!(client.received(), ["t 6 q1"]);
}

#[test]
fn a_refused_message_is_not_sent_again() {
    // [MQTT-4.4.0-2]
    use wigwag_proto::packet::PublishAck;
    use wigwag_proto::{Packet, PacketId};
    let world = World::new(1);
    let client = world.connect(0, sub().receive_maximum(1));
    client.stop_acknowledging();
    client.subscribe("t", Q2);
    let publisher = world.connect(0, "pub");
    publisher.publish("t", "1", Q2);
    publisher.publish("t", "2", Q1);
    let refuse = PublishAck::new(PacketId::MIN, ReasonCode::QuotaExceeded);
    client.send(&Packet::PubRec(refuse));
    assert_eq!(
        client.received(),
        ["t 1 q2", "t 2 q1"],
        "its quota is free again"
    );
    client.puback(2);
    client.lose();
    assert!(world.connect(0, sub()).received().is_empty());
}

#[test]
fn a_session_expires() {
    // [MQTT-4.1.0-2]
    let world = World::new(1);
    let client = world.connect(0, Hello::new("x").resume().expiry(10));
    client.subscribe("t", Q1);
    world.advance(100);
    client.lose();
    world.advance_millis(9_999);
    let client = world.connect(0, Hello::new("x").resume().expiry(10));
    assert!(client.session_present);
    client.lose();
    world.advance(10);
    world.assert_empty();
    let client = world.connect(0, Hello::new("x").resume().expiry(10));
    assert!(!client.session_present);
}

#[test]
fn a_disconnect_may_change_how_long_a_session_stays() {
    let world = World::new(1);
    let client = world.connect(0, Hello::new("x").resume().expiry(10));
    client.disconnect_with(ReasonCode::Success, Some(100));
    world.advance(50);
    let client = world.connect(0, Hello::new("x").resume().expiry(10));
    assert!(client.session_present);
    client.disconnect_with(ReasonCode::Success, Some(0));
    world.assert_empty();
    let client = world.connect(0, Hello::new("x"));
    client.disconnect_with(ReasonCode::Success, Some(0));
    assert_eq!(client.heard(), ["closed"]);
    let client = world.connect(0, Hello::new("x"));
    client.disconnect_with(ReasonCode::Success, Some(5));
    assert_eq!(client.heard(), ["DISCONNECT 0x82", "closed"]);
    world.assert_empty();
}

#[test]
fn a_clean_session_leaves_nothing() {
    for hello in [Hello::new("x"), Hello::new("x").v3()] {
        let world = World::new(2);
        let client = world.connect(1, hello);
        client.subscribe("a/+/#", Q2);
        client.subscribe("b", Q2);
        client.publish("b", "m", Q2);
        client.lose();
        world.assert_empty();
    }
}

#[test]
fn a_queue_that_is_full_keeps_what_it_has() {
    let limits = Limits {
        queued_messages_max: 3,
        queued_bytes_max: 1_000,
        ..Limits::default()
    };
    let world = World::with_limits(2, &limits);
    let client = world.connect(0, sub());
    client.subscribe("t", Q1);
    client.disconnect();
    let publisher = world.connect(1, "pub");
    publisher.publish("t", "1", Q1);
    publisher.publish("t", &"x".repeat(1_000), Q1);
    for n in 2..=5 {
        publisher.publish("t", &n.to_string(), Q1);
    }
    let client = world.connect(0, sub());
    assert_eq!(client.received(), ["t 1 q1", "t 2 q1", "t 3 q1"]);
    world.advance(10);
    let dropped: u64 = world
        .events()
        .iter()
        .map(|event| match event {
            Event::Dropped {
                reason: DropReason::QueueFull,
                count,
            } => *count,
            _ => 0,
        })
        .sum();
    assert_eq!(dropped, 3);
}

#[test]
fn a_client_that_reads_slowly_loses_qos_0_and_waits_for_the_rest() {
    let limits = Limits {
        out_buffer_max: 10_000,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let client = world.connect(0, sub());
    client.subscribe("t", Q1);
    client.stall();
    let publisher = world.connect(0, "pub");
    let payload = "x".repeat(1_000);
    for _ in 0..20 {
        publisher.publish("t", &payload, Q0);
        publisher.publish("t", &payload, Q1);
    }
    assert!(client.waiting_bytes() < 12_000);
    client.read_on();
    let got = client.messages();
    let count = |qos| got.iter().filter(|m| m.delivery.qos() == qos).count();
    assert_eq!(count(Q1), 20);
    assert!(count(Q0) < 10);
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read_either() {
    let limits = Limits {
        out_buffer_max: 1_000,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let client = world.connect(0, "x");
    client.stall();
    for _ in 0..2_000 {
        client.ping();
    }
    assert!(client.waiting_bytes() <= 1_100);
    client.read_on();
    assert_eq!(client.heard().len(), 2_000);
}

#[test]
fn unreleased_messages_are_bounded() {
    // [MQTT-3.3.4-7]
    let limits = Limits {
        receive_maximum: 5,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let client = world.connect(0, "x");
    client.stop_acknowledging();
    for _ in 0..10 {
        client.publish("t", "m", Q2);
    }
    assert_eq!(client.heard().len(), 10);
    client.publish("t", "m", Q2);
    assert_eq!(client.heard(), ["DISCONNECT 0x93", "closed"]);
    // Who could not be told may send more, but not without end.
    let old = world.connect(0, Hello::new("old").version(Version::V3_1_1));
    old.stop_acknowledging();
    for _ in 0..4_096 {
        old.publish("t", "m", Q2);
    }
    assert_eq!(old.heard().len(), 4_096);
    old.publish("t", "m", Q2);
    assert_eq!(old.heard(), ["closed"]);
}

#[test]
fn a_message_to_nobody_is_not_kept() {
    let world = World::new(1);
    let client = world.connect(0, sub());
    client.publish_with(&Publication::new("t", "m").qos(Q1));
    client.subscribe("t", Q1);
    assert!(client.received().is_empty());
}

#[test]
fn sessions_are_bounded() {
    let limits = Limits {
        sessions_max: 2,
        ..Limits::default()
    };
    for at in [0, 1] {
        let world = World::with_limits(2, &limits);
        let first = world.connect(0, Hello::new("first").persistent());
        let second = world.connect(0, Hello::new("second").persistent());
        first.disconnect();
        let third = world.dial(0, Hello::new("third").persistent());
        assert_eq!(third.heard(), ["CONNACK 0x97", "closed"]);
        let first = world.connect(at, Hello::new("first").persistent());
        assert!(first.session_present, "who has one may come back");
        first.disconnect_with(ReasonCode::Success, Some(0));
        let third = world.connect(0, Hello::new("third"));
        third.disconnect();
        second.disconnect_with(ReasonCode::Success, Some(0));
        world.assert_empty();
    }
}

#[test]
fn a_qos_2_message_that_cannot_be_sent_again_keeps_its_identifier_until_it_is_settled() {
    let world = World::new(1);
    let client = world.connect(0, sub().quiet());
    client.subscribe("t", Q2);
    let publisher = world.connect(0, "pub");
    publisher.publish("t", &"x".repeat(200), Q2);
    assert_eq!(client.messages().len(), 1);
    client.lose();
    publisher.publish("t", "next", Q2);
    let client = world.connect(0, sub().packet_size_max(100).quiet());
    assert_eq!(client.heard(), ["PUBREL 1", "PUBLISH 2 t next q2"]);
    client.pubcomp(1);
    publisher.publish("t", "third", Q2);
    assert_eq!(client.heard(), ["PUBLISH 3 t third q2"]);
}
