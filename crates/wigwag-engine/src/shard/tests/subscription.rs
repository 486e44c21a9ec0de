//! Subscriptions: what they match, how they overlap, and what ends them.

use wigwag_proto::TopicName;
use wigwag_proto::packet::Version;

use super::world::{Hello, Publication, Q0, Q1, Q2, Wanted, World};
use crate::limits::Limits;
use crate::policy::{Identity, Policy};

#[test]
fn a_suback_has_one_code_for_each_filter_in_order() {
    // [MQTT-3.8.4-5] to [MQTT-3.8.4-7], [MQTT-3.9.3-1]; 3.9.3-2 of 3.1.1
    struct NotB;
    impl Policy for NotB {
        fn may_publish(&self, _: &Identity, _: TopicName<'_>) -> bool {
            true
        }
        fn may_subscribe(&self, _: &Identity, filter: wigwag_proto::TopicFilter<'_>) -> bool {
            !filter.as_str().starts_with("$share/g/b")
        }
        fn may_receive(&self, _: &Identity, _: TopicName<'_>) -> bool {
            true
        }
    }
    let filters = ["a", "$share/g/b", "b/#", "c"];
    let wanted: Vec<Wanted> = filters
        .iter()
        .zip([Q2, Q0, Q1, Q0])
        .map(|(filter, qos)| Wanted::new(filter, qos))
        .collect();
    let world = World::with_policy(1, &Limits::default(), || Box::new(NotB));
    assert_eq!(
        world.connect(0, "x").subscribe_with(&wanted),
        [2, 0x87, 1, 0]
    );
    assert_eq!(
        world
            .connect(0, Hello::new("y").v3())
            .subscribe_with(&wanted),
        [2, 0x80, 1, 0]
    );
}

#[test]
fn overlapping_subscriptions_deliver_one_copy_with_all_identifiers() {
    // [MQTT-3.3.4-2] to [MQTT-3.3.4-4]
    for shards in [1, 2] {
        let world = World::new(shards);
        let plain = world.connect(0, "a plain one comes first");
        plain.subscribe("a/#", Q0);
        let sub = world.connect(0, "sub");
        sub.subscribe_with(&[Wanted::new("a/#", Q0).identifier(7)]);
        sub.subscribe_with(&[Wanted::new("a/+", Q2).identifier(300)]);
        sub.subscribe_with(&[Wanted::new("a/b", Q1)]);
        let publisher = world.connect(usize::from(shards - 1), "pub");
        publisher.publish("a/b", "m", Q2);
        publisher.publish("a/b/c", "m", Q2);
        let mut got = sub.received();
        // The identifiers of one copy may come in any order.
        got[0] = got[0].replace("id=300 id=7", "id=7 id=300");
        assert_eq!(got, ["a/b m q2 id=7 id=300", "a/b/c m id=7"]);
        assert_eq!(plain.received(), ["a/b m", "a/b/c m"]);
    }
}

#[test]
fn a_subscription_of_the_same_filter_is_replaced() {
    // [MQTT-3.8.4-3]
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.subscribe_with(&[Wanted::new("t/+", Q2).identifier(1)]);
    sub.subscribe_with(&[Wanted::new("t/+", Q0).identifier(2)]);
    world.connect(0, "pub").publish("t/x", "m", Q2);
    assert_eq!(sub.received(), ["t/x m id=2"]);
}

#[test]
fn no_local_spares_the_publisher_its_own_messages() {
    // [MQTT-3.8.3-3]
    let world = World::new(2);
    let client = world.connect(0, "x");
    client.subscribe_with(&[Wanted::new("t", Q1).no_local()]);
    let other = world.connect(1, "y");
    other.subscribe_with(&[Wanted::new("t", Q1).no_local()]);
    client.publish("t", "mine", Q1);
    other.publish("t", "theirs", Q1);
    client.publish("t", "mine", Q1);
    assert_eq!(client.received(), ["t theirs q1"]);
    assert_eq!(other.received(), ["t mine q1", "t mine q1"]);
    let client = world.connect(1, Hello::new("z").persistent());
    client.subscribe_with(&[Wanted::new("u", Q1).no_local()]);
    let client = world.connect(0, Hello::new("z").persistent());
    client.publish("u", "mine", Q1);
    assert!(
        client.received().is_empty(),
        "also after the session has moved"
    );
}

#[test]
fn reserved_topics_are_hidden_from_leading_wildcards() {
    // [MQTT-4.7.2-1]
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.subscribe("#", Q0);
    sub.subscribe("+/x", Q0);
    let publisher = world.connect(0, "pub");
    publisher.publish("$own/x", "m", Q0);
    assert!(sub.received().is_empty());
    sub.subscribe("$own/#", Q0);
    publisher.publish("$own/x", "m", Q0);
    assert_eq!(sub.received(), ["$own/x m"]);
}

#[test]
fn an_unsubscribe_ends_a_subscription_and_leaves_what_has_begun() {
    // [MQTT-3.10.4-1] to [MQTT-3.10.4-6], [MQTT-3.11.3-1]
    let world = World::new(1);
    let sub = world.connect(0, Hello::new("sub").receive_maximum(1));
    sub.stop_acknowledging();
    sub.subscribe("t", Q1);
    let publisher = world.connect(0, "pub");
    publisher.publish("t", "1", Q1);
    publisher.publish("t", "2", Q1);
    assert_eq!(sub.unsubscribe(&["t", "T", "t"]), [0, 0x11, 0x11]);
    publisher.publish("t", "3", Q1);
    sub.puback(1);
    sub.puback(1);
    assert_eq!(sub.received(), ["t 1 q1", "t 2 q1"]);
    let old = world.connect(0, Hello::new("old").v3());
    old.unsubscribe(&["never"]);
    old.subscribe("t", Q0);
    assert!(old.heard().is_empty(), "UNSUBACK and SUBACK were all");
}

#[test]
fn subscriptions_are_bounded() {
    let limits = Limits {
        subscriptions_max: 2,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let sub = world.connect(0, "sub");
    let wanted = ["a", "b", "c", "a"].map(|filter| Wanted::new(filter, Q0));
    assert_eq!(sub.subscribe_with(&wanted), [0, 0, 0x97, 0]);
}

#[test]
fn the_bytes_of_filters_are_bounded_and_given_back() {
    let limits = Limits {
        filter_bytes_max: 5,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let sub = world.connect(0, "sub");
    let subscribe = |filter| sub.subscribe_with(&[Wanted::new(filter, Q0)]);
    assert_eq!(
        ["aaa", "bb", "c", "aaa"].map(subscribe),
        [[0], [0], [0x97], [0]].map(Vec::from)
    );
    sub.unsubscribe(&["bb"]);
    assert_eq!(sub.subscribe_with(&[Wanted::new("cc", Q0)]), [0]);
}

#[test]
fn filters_of_too_many_levels_or_in_too_great_number_end_the_connection() {
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    let deep = "/".repeat(200);
    sub.subscribe_with(&[Wanted::new(&deep, Q0)]);
    assert_eq!(sub.heard(), ["DISCONNECT 0x97", "closed"]);
    let sub = world.connect(0, "sub");
    sub.subscribe_with(&vec![Wanted::new("t", Q0); 1_001]);
    assert_eq!(sub.heard(), ["DISCONNECT 0x97", "closed"]);
}

/// May do everything but with what is secret.
struct Secret;

impl Policy for Secret {
    fn may_publish(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        self.may_receive(who, topic)
    }
    fn may_subscribe(&self, _: &Identity, filter: wigwag_proto::TopicFilter<'_>) -> bool {
        !filter.as_str().starts_with("secret")
    }
    fn may_receive(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        who.user_name.as_deref() == Some("admin") || !topic.as_str().starts_with("secret")
    }
}

#[test]
fn what_a_client_may_not_have_does_not_reach_it_and_holds_nothing_up() {
    let world = World::with_policy(1, &Limits::default(), || Box::new(Secret));
    let sub = world.connect(0, Hello::new("sub").receive_maximum(1));
    assert_eq!(sub.subscribe_with(&[Wanted::new("secret/x", Q1)]), [0x87]);
    sub.subscribe("#", Q1);
    let admin = world.connect(0, Hello::new("admin").user_name("admin"));
    admin.publish("secret/x", "m", Q1);
    admin.publish("secret/x", "m", Q1);
    admin.publish("open", "m", Q1);
    assert_eq!(sub.received(), ["open m q1"]);
    sub.publish("secret/x", "m", Q1);
    assert_eq!(sub.heard(), ["PUBACK 3 0x87"]);
}

#[test]
fn a_session_goes_on_with_the_rights_of_who_has_it() {
    let world = World::with_policy(1, &Limits::default(), || Box::new(Secret));
    let hello = || Hello::new("shared name").persistent();
    let admin = world.connect(0, hello().user_name("admin"));
    admin.subscribe("#", Q1);
    admin.lose();
    let other = world.connect(0, Hello::new("b").user_name("admin"));
    for topic in ["secret/x", "open"] {
        other.publish(topic, "waits", Q1);
    }
    let user = world.connect(0, hello().user_name("somebody"));
    other.publish("secret/x", "live", Q1);
    assert!(user.session_present);
    assert_eq!(user.received(), ["open waits q1"]);
}

#[test]
fn a_bridge_of_mqtt_3_gets_nothing_back_and_sees_retain_as_it_was() {
    for version in [Version::V3_1, Version::V3_1_1] {
        let world = World::new(2);
        let bridge = world.connect(0, Hello::new("bridge").version(version).bridge());
        bridge.subscribe("#", Q1);
        bridge.publish("t", "its own", Q1);
        let other = world.connect(1, "other");
        other.publish_with(&Publication::new("t", "retained").retain());
        other.publish("t", "live", Q0);
        assert_eq!(bridge.received(), ["t retained retain", "t live"]);
    }
}

#[test]
fn nothing_is_granted_that_cannot_be_answered() {
    // [MQTT-3.1.2-24]
    let world = World::new(1);
    let wanted: Vec<Wanted> = (0..10).map(|n| Wanted::new(&format!("{n}"), Q0)).collect();
    // The CONNACK takes more than the SUBACK of most, so this client asks for many.
    let many: Vec<Wanted> = (0..200).map(|n| Wanted::new(&format!("{n}"), Q0)).collect();
    let client = world.connect(0, Hello::new("x").packet_size_max(100));
    assert_eq!(client.subscribe_with(&wanted).len(), 10);
    client.subscribe_with(&many);
    assert_eq!(client.heard(), ["DISCONNECT 0x95", "closed"]);
    world.lose_all();
    world.assert_empty();
}
