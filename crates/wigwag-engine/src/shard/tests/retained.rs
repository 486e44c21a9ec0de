//! Retained messages, and what new subscriptions get of them.

use wigwag_proto::packet::RetainHandling;

use super::world::{Client, Hello, Publication, Q0, Q1, Q2, Wanted, World};
use crate::limits::Limits;

fn retain(publisher: &Client, topic: &str, payload: &str) {
    publisher.publish_with(&Publication::new(topic, payload).qos(Q1).retain());
}

#[test]
fn the_last_retained_message_is_sent_to_a_new_subscription() {
    // [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-8], [MQTT-3.3.1-9]; 3.3.1-8 and 3.3.1-9 of 3.1.1
    for hello in [Hello::new("sub"), Hello::new("sub").v3()] {
        let world = World::new(2);
        let publisher = world.connect(0, "pub");
        retain(&publisher, "a/1", "old");
        retain(&publisher, "a/1", "new");
        publisher.publish("a/1", "not retained", Q1);
        retain(&publisher, "a/2", "cleared");
        retain(&publisher, "a/2", "");
        retain(&publisher, "b", "other");
        let sub = world.connect(1, hello);
        sub.subscribe("a/+", Q0);
        assert_eq!(sub.received(), ["a/1 new retain"]);
        retain(&publisher, "a/1", "live");
        retain(&publisher, "a/1", "");
        assert_eq!(sub.received(), ["a/1 live", "a/1 "]);
    }
}

#[test]
fn retain_handling_decides_what_a_subscription_gets() {
    // [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.8.4-4]
    let check = |handling, first: &[&str], again: &[&str]| {
        let world = World::new(1);
        let publisher = world.connect(0, "pub");
        retain(&publisher, "t", "m");
        let sub = world.connect(0, "sub");
        let wanted = [Wanted::new("#", Q1).retain_handling(handling)];
        sub.subscribe_with(&wanted);
        assert_eq!(sub.received(), first, "{handling:?}");
        sub.subscribe_with(&wanted);
        assert_eq!(sub.received(), again, "{handling:?}");
    };
    check(RetainHandling::Send, &["t m q1 retain"], &["t m q1 retain"]);
    check(RetainHandling::SendIfNew, &["t m q1 retain"], &[]);
    check(RetainHandling::DoNotSend, &[], &[]);
}

#[test]
fn retain_as_published_keeps_the_flag() {
    // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
    for publisher_at in [0, 1] {
        let world = World::new(2);
        let sub = world.connect(0, "sub");
        sub.subscribe_with(&[
            Wanted::new("kept/#", Q0).retain_as_published(),
            Wanted::new("cut/#", Q0),
        ]);
        let publisher = world.connect(publisher_at, "pub");
        for topic in ["kept/t", "cut/t"] {
            retain(&publisher, topic, "m");
            publisher.publish(topic, "n", Q0);
        }
        assert_eq!(
            sub.received(),
            ["kept/t m retain", "kept/t n", "cut/t m", "cut/t n"]
        );
    }
}

#[test]
fn thousands_of_retained_messages_reach_a_client_that_reads_slowly() {
    for (qos, receive_maximum) in [(Q0, 10), (Q1, 10), (Q2, 1)] {
        let world = World::new(1);
        let publisher = world.connect(0, "pub");
        let payload = "x".repeat(1_000);
        for n in 0..3_000 {
            retain(&publisher, &format!("t/{n:04}"), &payload);
        }
        let sub = world.connect(0, Hello::new("sub").receive_maximum(receive_maximum));
        sub.stall();
        sub.subscribe_with(&[Wanted::new("#", qos)]);
        assert!(sub.waiting_bytes() < 300_000, "the rest waits for room");
        publisher.publish("live", "m", Q1);
        sub.read_on();
        let got = sub.messages();
        let retained: Vec<&str> = got
            .iter()
            .filter(|m| m.retain)
            .map(|m| m.topic.as_str())
            .collect();
        let expect: Vec<String> = (0..3_000).map(|n| format!("t/{n:04}")).collect();
        assert_eq!(retained, expect);
        assert_eq!(got.len(), 3_001);
    }
}

#[test]
fn large_retained_messages_are_not_lost_to_the_bounds_of_the_client() {
    let limits = Limits {
        queued_messages_max: 10,
        out_buffer_max: 600_000,
        ..Limits::default()
    };
    for qos in [Q0, Q1] {
        let world = World::with_limits(1, &limits);
        let publisher = world.connect(0, "pub");
        for n in 0..40 {
            retain(&publisher, &format!("t/{n}"), &"x".repeat(200_000));
        }
        let sub = world.connect(0, Hello::new("sub").receive_maximum(2));
        sub.subscribe("#", qos);
        assert_eq!(sub.messages().len(), 40);
    }
}

#[test]
fn a_replay_goes_on_after_a_reconnect() {
    let world = World::new(2);
    let publisher = world.connect(0, "pub");
    for n in 0..100 {
        retain(&publisher, &format!("t/{n:02}"), "m");
    }
    let hello = Hello::new("sub").persistent().receive_maximum(5);
    let sub = world.connect(0, hello.clone());
    sub.stop_acknowledging();
    sub.subscribe("#", Q1);
    let first = sub.messages().len();
    assert_eq!(first, 5);
    sub.lose();
    let sub = world.connect(1, hello);
    let got = sub.messages();
    assert_eq!(got.len(), 100);
    assert!(got.iter().all(|message| message.retain));
}

#[test]
fn a_message_of_qos_0_does_not_wait_for_the_receive_maximum() {
    // [MQTT-3.3.4-10]
    let world = World::new(1);
    let publisher = world.connect(0, "pub");
    retain(&publisher, "t", "m");
    let sub = world.connect(0, Hello::new("sub").receive_maximum(1));
    sub.stop_acknowledging();
    sub.subscribe("t", Q1);
    assert_eq!(sub.received(), ["t m q1 retain"]);
    sub.subscribe("+", Q0);
    assert_eq!(sub.received(), ["t m retain"]);
}

#[test]
fn subscribing_again_and_again_does_not_pile_up_replays() {
    let world = World::new(1);
    let publisher = world.connect(0, "pub");
    retain(&publisher, "t", "1");
    retain(&publisher, "u", "2");
    let sub = world.connect(0, Hello::new("sub").receive_maximum(1));
    sub.stop_acknowledging();
    for _ in 0..100 {
        sub.subscribe("#", Q1);
    }
    let replays = world.shard(0, |shard| {
        shard
            .sessions
            .values()
            .map(|session| session.replays.len())
            .sum::<usize>()
    });
    assert_eq!(replays, 1);
}

#[test]
fn a_new_topic_beyond_the_bound_is_refused_and_not_retained() {
    let limits = Limits {
        retained_messages_max: 2,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let sub = world.connect(0, "sub");
    sub.subscribe("#", Q1);
    let publisher = world.connect(0, "pub");
    for topic in ["a", "b", "c", "a"] {
        retain(&publisher, topic, "m");
    }
    assert_eq!(
        publisher.heard(),
        ["PUBACK 1", "PUBACK 2", "PUBACK 3 0x97", "PUBACK 4"]
    );
    assert_eq!(sub.received(), ["a m q1", "b m q1", "a m q1"]);
    // Nobody can tell the publisher of a QoS 0 message, and those who listen still want it.
    publisher.publish_with(&Publication::new("d", "m").retain());
    assert_eq!(sub.received(), ["d m"]);
    let late = world.connect(0, "late");
    late.subscribe("#", Q0);
    assert_eq!(late.received(), ["a m retain", "b m retain"]);
}

#[test]
fn an_expired_retained_message_is_not_sent() {
    let world = World::new(1);
    let publisher = world.connect(0, "pub");
    publisher.publish_with(&Publication::new("t/1", "m").retain().expiry(10));
    publisher.publish_with(&Publication::new("t/2", "m").retain().expiry(100));
    world.advance(10);
    let sub = world.connect(0, "sub");
    sub.subscribe("t/1", Q0);
    sub.subscribe("t/#", Q0);
    assert_eq!(sub.received(), ["t/2 m retain expiry=90"]);
}

#[test]
fn a_long_search_lets_others_have_their_turn() {
    let world = World::new(1);
    let publisher = world.connect(0, "pub");
    for n in 0..9_000 {
        retain(&publisher, &format!("t/{n:04}"), "m");
    }
    let sub = world.connect(0, "sub");
    sub.subscribe("+/8999", Q1);
    assert!(sub.received().is_empty(), "the search is not over");
    world.advance(1);
    assert_eq!(sub.received(), ["t/8999 m q1 retain"]);
    sub.subscribe("+/nothing", Q1);
    sub.disconnect();
    publisher.disconnect();
    world.assert_empty();
}
