//! Wills: when they are published, and when they are not.

use wigwag_proto::{Property, ReasonCode};

use super::world::{Client, Hello, Publication, Q0, Q1, World};
use crate::limits::Limits;

/// A node with a listener, and a client with the Will `w`.
fn world_with(hello: Hello) -> (World, Client, Client) {
    let world = World::new(2);
    let listener = world.connect(0, "listener");
    listener.subscribe("w/#", Q1);
    let client = world.connect(1, hello);
    (world, listener, client)
}

fn will() -> Publication {
    Publication::new("w", "gone").qos(Q1)
}

#[test]
fn a_lost_connection_publishes_the_will_and_a_disconnect_does_not() {
    // [MQTT-3.1.2-8], [MQTT-3.14.4-3], [MQTT-3.1.2-10], [MQTT-3.1.2-14]
    for hello in [Hello::new("x"), Hello::new("x").v3()] {
        let (_world, listener, client) = world_with(hello.clone().will(will()));
        client.lose();
        assert_eq!(listener.received(), ["w gone q1"]);
        let (_world, listener, client) = world_with(hello.will(will()));
        client.disconnect();
        assert!(listener.received().is_empty());
    }
}

#[test]
fn a_disconnect_may_ask_for_the_will() {
    let (_world, listener, client) = world_with(Hello::new("x").will(will()));
    client.disconnect_with(ReasonCode::DisconnectWithWillMessage, None);
    assert_eq!(listener.received(), ["w gone q1"]);
}

#[test]
fn a_client_that_breaks_the_protocol_has_its_will_published() {
    let (_world, listener, client) = world_with(Hello::new("x").will(will()));
    client.send_bytes(&[0x00, 0x00]);
    assert_eq!(listener.received(), ["w gone q1"]);
    let (_world, listener, client) = world_with(Hello::new("x").will(will()));
    client.disconnect_with(ReasonCode::Success, Some(5));
    assert_eq!(
        listener.received(),
        ["w gone q1"],
        "that DISCONNECT was an error"
    );
}

#[test]
fn a_will_waits_for_its_delay() {
    let hello = Hello::new("x").persistent().will(will()).will_delay(10);
    let (world, listener, client) = world_with(hello);
    client.lose();
    world.advance_millis(9_999);
    assert!(listener.received().is_empty());
    world.advance_millis(1);
    assert_eq!(listener.received(), ["w gone q1"]);
    world.advance(3_600);
    assert!(listener.received().is_empty());
}

#[test]
fn a_client_that_comes_back_in_time_has_no_will_published() {
    // [MQTT-3.1.3-9]
    for shard in [0, 1] {
        let hello = Hello::new("x").persistent().will(will()).will_delay(10);
        let (world, listener, client) = world_with(hello);
        client.lose();
        world.advance(9);
        let _client = world.connect(shard, Hello::new("x").persistent());
        world.advance(100);
        assert!(listener.received().is_empty());
    }
}

#[test]
fn a_session_that_ends_before_the_delay_ends_it() {
    let hello = Hello::new("x")
        .resume()
        .expiry(3)
        .will(will())
        .will_delay(10);
    let (world, listener, client) = world_with(hello);
    client.lose();
    world.advance(3);
    assert_eq!(listener.received(), ["w gone q1"]);
    // Without a session there is no delay at all.
    let (_world, listener, client) = world_with(Hello::new("x").will(will()).will_delay(10));
    client.lose();
    assert_eq!(listener.received(), ["w gone q1"]);
}

#[test]
fn a_take_over_publishes_a_will_without_delay() {
    for shard in [0, 1] {
        let with_will = Hello::new("x").persistent().will(will());
        let (world, listener, _client) = world_with(with_will.clone());
        let _client = world.connect(shard, Hello::new("x").persistent());
        assert_eq!(listener.received(), ["w gone q1"]);
        let (world, listener, _client) = world_with(with_will.clone().will_delay(10));
        let _client = world.connect(shard, Hello::new("x").persistent());
        world.advance(20);
        assert!(listener.received().is_empty(), "the client is still there");
        let (world, listener, _client) = world_with(with_will.will_delay(10));
        let _client = world.connect(shard, Hello::new("x"));
        assert_eq!(
            listener.received(),
            ["w gone q1"],
            "Clean Start ends the session"
        );
    }
}

#[test]
fn a_will_is_a_message_like_any_other() {
    // [MQTT-3.1.2-15], [MQTT-3.1.3-10], [MQTT-3.3.2-6]
    let message = will()
        .retain()
        .property(Property::UserProperty(("b", "1")))
        .property(Property::UserProperty(("a", "2")))
        .expiry(60);
    let hello = Hello::new("x").persistent().will(message).will_delay(10);
    let (world, listener, client) = world_with(hello);
    client.lose();
    world.advance(10);
    assert_eq!(listener.received(), ["w gone q1 b=1 a=2 expiry=60"]);
    world.advance(20);
    let late = world.connect(0, "late");
    late.subscribe("w", Q0);
    assert_eq!(late.received(), ["w gone retain b=1 a=2 expiry=40"]);
}

#[test]
fn silence_publishes_the_will() {
    // [MQTT-3.1.2-22]
    let (world, listener, client) = world_with(Hello::new("x").keep_alive(10).will(will()));
    world.advance_millis(14_999);
    assert!(listener.received().is_empty());
    world.advance_millis(1);
    assert_eq!(client.heard(), ["DISCONNECT 0x8D", "closed"]);
    assert_eq!(listener.received(), ["w gone q1"]);
}

#[test]
fn a_will_to_a_topic_that_is_not_allowed_is_not_published() {
    let world = World::new(1);
    let listener = world.connect(0, "listener");
    listener.subscribe("$SYS/#", Q0);
    let client = world.connect(0, Hello::new("x").will(Publication::new("$SYS/w", "m")));
    client.lose();
    assert!(listener.received().is_empty());
}

#[test]
fn a_retained_will_beyond_the_bound_reaches_those_who_listen() {
    let limits = Limits {
        retained_messages_max: 0,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let listener = world.connect(0, "listener");
    listener.subscribe("w", Q1);
    let client = world.connect(0, Hello::new("x").will(will().retain()));
    client.lose();
    assert_eq!(listener.received(), ["w gone q1"]);
}
