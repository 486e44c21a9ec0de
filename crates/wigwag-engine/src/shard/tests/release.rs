//! Messages of QoS 2 that are routed when their PUBREL comes: where they wait, what becomes of them, and what is
//! said of them meanwhile.

use wigwag_proto::ReasonCode;

use super::records::Disk;
use super::world::{Client, Hello, Publication, Q0, Q1, Q2, World};
use crate::limits::Limits;
use crate::settings::{RoutesQos2, Settings};

fn settings() -> Settings {
    Settings {
        routes_qos2_at: RoutesQos2::Release,
        ..Settings::default()
    }
}

fn bounded(change: impl FnOnce(&mut Limits)) -> Settings {
    let mut settings = settings();
    change(&mut settings.limits);
    settings
}

fn world(shards: u16) -> World {
    World::with_settings(shards, &settings())
}

/// A client that acknowledges nothing by itself, with a session that stays.
fn publisher() -> Hello {
    Hello::new("pub").persistent().quiet()
}

fn message(packet_id: u16, payload: &str) -> Publication {
    Publication::new("t", payload).qos(Q2).packet_id(packet_id)
}

fn listener(world: &World, shard: usize) -> Client {
    let listener = world.connect(shard, Hello::new("listener").persistent());
    listener.subscribe("t", Q2);
    listener
}

#[test]
fn a_message_to_oneself_comes_between_pubrel_and_pubcomp() {
    // [MQTT-4.3.3-8], [MQTT-4.3.3-11]
    let world = world(1);
    let client = world.connect(0, publisher());
    client.subscribe("t", Q2);
    client.publish_with(&message(7, "m"));
    assert_eq!(client.heard(), ["PUBREC 7"]);
    client.pubrel(7);
    assert_eq!(client.heard(), ["PUBLISH 1 t m q2", "PUBCOMP 7"]);
    client.pubrel(7);
    assert_eq!(client.heard(), ["PUBCOMP 7 0x92"]);
}

#[test]
fn messages_are_routed_in_the_order_of_their_release() {
    // [MQTT-4.6.0-5]
    for shard in [0, 1] {
        let world = world(2);
        let listener = listener(&world, shard);
        let client = world.connect(0, publisher());
        for n in 1..4 {
            client.publish_with(&message(n, &n.to_string()));
        }
        client.publish_with(&Publication::new("t", "0"));
        assert_eq!(listener.received(), ["t 0"]);
        for n in [1, 3, 2] {
            client.pubrel(n);
        }
        assert_eq!(listener.received(), ["t 1 q2", "t 3 q2", "t 2 q2"]);
    }
}

#[test]
fn the_same_publish_again_before_pubrel_is_the_same_message() {
    // [MQTT-4.3.3-10], [MQTT-4.3.3-12]
    let world = world(1);
    let listener = listener(&world, 0);
    let client = world.connect(0, publisher());
    client.publish_with(&message(7, "m"));
    client.publish_with(&message(7, "m").dup());
    client.publish_with(&message(7, "m").dup());
    assert_eq!(client.heard(), ["PUBREC 7", "PUBREC 7", "PUBREC 7"]);
    client.pubrel(7);
    assert_eq!(listener.received(), ["t m q2"]);
    client.publish_with(&message(7, "m"));
    client.pubrel(7);
    assert_eq!(listener.received(), ["t m q2"], "a new one");
}

#[test]
fn another_message_under_the_same_identifier_takes_the_place_of_the_first() {
    let world = world(1);
    let listener = listener(&world, 0);
    let client = world.connect(0, publisher());
    client.publish_with(&message(7, "first"));
    client.publish_with(&message(7, "second"));
    assert_eq!(client.heard(), ["PUBREC 7", "PUBREC 7"]);
    client.pubrel(7);
    assert_eq!(client.heard(), ["PUBCOMP 7"]);
    assert_eq!(listener.received(), ["t second q2"]);
}

#[test]
fn a_message_waits_for_its_client_to_come_back_wherever_that_is() {
    // [MQTT-4.1.0-1]
    for shard in [0, 1] {
        let world = world(2);
        let listener = listener(&world, 0);
        let client = world.connect(0, publisher());
        client.publish_with(&message(7, "m"));
        client.publish_with(&message(8, "n"));
        client.lose();
        let client = world.connect(shard, publisher());
        client.publish_with(&message(8, "n").dup());
        client.pubrel(7);
        client.pubrel(8);
        assert_eq!(client.heard(), ["PUBREC 8", "PUBCOMP 7", "PUBCOMP 8"]);
        assert_eq!(listener.received(), ["t m q2", "t n q2"], "shard {shard}");
    }
}

#[test]
fn no_local_knows_the_publisher_after_a_move() {
    // [MQTT-3.8.3-3]
    let world = world(2);
    let client = world.connect(0, publisher());
    client.subscribe_with(&[super::world::Wanted::new("t", Q2).no_local()]);
    client.publish_with(&message(7, "m"));
    let client = world.connect(1, publisher());
    client.pubrel(7);
    assert_eq!(client.heard(), ["PUBCOMP 7"]);
}

#[test]
fn a_message_waits_in_the_store() {
    for shards in [(1, 1), (2, 1), (1, 2)] {
        let mut disk = Disk::new();
        let world = disk.world(shards.0, &settings());
        listener(&world, 0).disconnect();
        let client = world.connect(0, publisher());
        client.publish_with(&message(7, "m").expiry(100));
        client.publish_with(&message(8, "first"));
        disk.save(&world);
        client.publish_with(&message(8, "second"));
        client.publish_with(&message(9, "n"));
        client.publish_with(&message(10, "gone").expiry(3));
        disk.assert_complete(&world);
        let world = disk.restart(world, shards.1, 10);
        let client = world.connect(0, publisher());
        for n in 7..11 {
            client.pubrel(n);
        }
        assert_eq!(
            client.heard(),
            ["PUBCOMP 7", "PUBCOMP 8", "PUBCOMP 9", "PUBCOMP 10"]
        );
        let received = listener(&world, 0).received();
        assert_eq!(received, ["t m q2 expiry=90", "t second q2", "t n q2"]);
        disk.save(&world);
        client.disconnect_with(ReasonCode::Success, Some(0));
        disk.save(&world);
        disk.save(&world);
        assert_eq!(disk.records.len(), 1, "the listener: {shards:?}");
    }
}

#[test]
fn a_session_takes_its_waiting_messages_with_it() {
    // [MQTT-3.1.2-4]
    let world = world(1);
    let listener = listener(&world, 0);
    let client = world.connect(0, publisher());
    client.publish_with(&message(7, "m"));
    let held = world.shard_mut(0, |shard| shard.stats().waiting);
    assert_eq!((held.unreleased, held.bytes, held.payload_bytes), (1, 2, 1));
    let client = world.connect(0, Hello::new("pub").quiet());
    assert_eq!(world.shard_mut(0, |shard| shard.stats().waiting.bytes), 0);
    client.pubrel(7);
    assert_eq!(client.heard(), ["PUBCOMP 7 0x92"]);
    assert!(listener.received().is_empty());
    client.publish_with(&message(7, "m"));
    client.disconnect();
    listener.disconnect_with(ReasonCode::Success, Some(0));
    world.assert_empty();
}

#[test]
fn a_message_is_retained_when_it_is_released() {
    // [MQTT-3.3.1-5]
    let world = world(1);
    let client = world.connect(0, publisher());
    client.publish_with(&message(7, "m").retain());
    let early = world.connect(0, "early");
    early.subscribe("t", Q1);
    assert!(early.received().is_empty());
    client.pubrel(7);
    assert_eq!(early.received(), ["t m q1"]);
    let late = world.connect(0, "late");
    late.subscribe("t", Q1);
    assert_eq!(late.received(), ["t m q1 retain"]);
}

#[test]
fn what_is_too_much_to_retain_is_refused_before_it_waits() {
    let world = World::with_settings(1, &bounded(|limits| limits.retained_messages_max = 1));
    let client = world.connect(0, publisher());
    client.publish_with(&Publication::new("u", "1").retain());
    client.publish_with(&message(7, "m").retain());
    assert_eq!(client.heard(), ["PUBREC 7 0x97"]);
    let again = Publication::new("u", "2").qos(Q2).packet_id(7).retain();
    client.publish_with(&again);
    client.pubrel(7);
    assert_eq!(client.heard(), ["PUBREC 7", "PUBCOMP 7"]);
    let late = world.connect(0, "late");
    late.subscribe("#", Q0);
    assert_eq!(late.received(), ["u 2 retain"]);
}

#[test]
fn a_message_whose_time_is_over_is_not_routed() {
    // [MQTT-3.3.2-5]
    let world = world(1);
    let listener = listener(&world, 0);
    let client = world.connect(0, publisher());
    client.publish_with(&message(7, "m").expiry(10));
    client.publish_with(&message(8, "n").expiry(20).retain());
    world.advance(15);
    client.pubrel(7);
    client.pubrel(8);
    assert_eq!(
        client.heard(),
        ["PUBREC 7", "PUBREC 8", "PUBCOMP 7", "PUBCOMP 8"]
    );
    assert_eq!(listener.received(), ["t n q2 expiry=5"]);
}

#[test]
fn bytes_that_wait_are_bounded() {
    let world = World::with_settings(1, &bounded(|limits| limits.unreleased_bytes_max = 1_000));
    let listener = listener(&world, 0);
    let large = "x".repeat(600);
    let client = world.connect(0, publisher());
    for n in 1..4 {
        client.publish_with(&message(n, &large));
    }
    assert_eq!(client.heard(), ["PUBREC 1", "PUBREC 2", "PUBREC 3 0x97"]);
    client.pubrel(1);
    client.publish_with(&message(3, "m"));
    assert_eq!(
        client.heard(),
        ["PUBCOMP 1", "PUBREC 3"],
        "there is room again"
    );
    assert_eq!(listener.received().len(), 1);
}

#[test]
fn what_was_taken_of_a_client_that_sends_too_much_is_not_lost_with_its_session() {
    let mut settings = bounded(|limits| limits.receive_maximum = 3);
    settings.is_terse = true;
    let world = World::with_settings(1, &settings);
    let listener = listener(&world, 0);
    let client = world.connect(0, Hello::new("bridge").quiet());
    for n in 1..6 {
        client.publish_with(&message(n, &n.to_string()));
    }
    let heard = client.heard();
    assert_eq!(
        heard,
        [
            "PUBREC 1",
            "PUBREC 2",
            "PUBREC 3",
            "DISCONNECT 0x93",
            "closed"
        ]
    );
    assert_eq!(listener.received(), ["t 1 q2", "t 2 q2", "t 3 q2"]);
    let client = world.connect(0, Hello::new("bridge").quiet());
    client.pubrel(1);
    client.publish_with(&message(4, "4"));
    client.pubrel(4);
    assert_eq!(client.heard(), ["PUBCOMP 1", "PUBREC 4", "PUBCOMP 4"]);
    assert_eq!(listener.received(), ["t 4 q2"]);
}

#[test]
fn who_cannot_be_told_of_too_many_bytes_is_disconnected_and_goes_on_later() {
    let world = World::with_settings(1, &bounded(|limits| limits.unreleased_bytes_max = 1));
    let listener = listener(&world, 0);
    let hello = || Hello::new("old").v3().resume().quiet();
    let client = world.connect(0, hello());
    client.publish_with(&message(1, "1"));
    client.publish_with(&message(2, "2"));
    assert_eq!(client.heard(), ["PUBREC 1", "closed"]);
    let client = world.connect(0, hello());
    client.pubrel(1);
    client.publish_with(&message(2, "2").dup());
    client.pubrel(2);
    assert_eq!(client.heard(), ["PUBCOMP 1", "PUBREC 2", "PUBCOMP 2"]);
    assert_eq!(listener.received(), ["t 1 q2", "t 2 q2"]);
}

#[test]
fn messages_wait_whatever_the_settings_have_become() {
    let world = world(1);
    let listener = listener(&world, 0);
    let client = world.connect(0, publisher());
    client.publish_with(&message(1, "1"));
    world.shard_mut(0, |shard| shard.handle_settings(Settings::default()));
    client.publish_with(&message(2, "2"));
    assert_eq!(listener.received(), ["t 2 q2"]);
    client.pubrel(2);
    client.pubrel(1);
    assert_eq!(listener.received(), ["t 1 q2"]);
}
