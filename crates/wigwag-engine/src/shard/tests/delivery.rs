//! Messages and their acknowledgements at every QoS, in both versions.

use wigwag_proto::Property;

use super::world::{Hello, Publication, Q0, Q1, Q2, World, name};

#[test]
fn a_message_reaches_a_subscriber_at_the_lower_of_both_qos() {
    // [MQTT-3.8.4-8], [MQTT-3.3.2-3]; 3.8.4-6 of 3.1.1
    for shards in [1, 2] {
        for hello in [Hello::new("sub"), Hello::new("sub").v3()] {
            let world = World::new(shards);
            let sub = world.connect(0, hello);
            let publisher = world.connect(usize::from(shards - 1), "pub");
            for (granted, topic) in [(Q0, "a/0"), (Q1, "a/1"), (Q2, "a/2")] {
                sub.subscribe(topic, granted);
                for sent in [Q0, Q1, Q2] {
                    publisher.publish(topic, "m", sent);
                    let got = sub.messages();
                    let qos: Vec<_> = got.iter().map(|message| message.delivery.qos()).collect();
                    assert_eq!(qos, [granted.min(sent)]);
                }
            }
        }
    }
}

#[test]
fn a_publisher_is_answered_as_its_qos_requires() {
    // [MQTT-3.3.4-1], [MQTT-4.3.2-4], [MQTT-4.3.3-8], [MQTT-4.3.3-11], [MQTT-2.2.1-5]
    let check = |hello: Hello, unwanted: &str| {
        let world = World::new(1);
        let publisher = world.connect(0, hello);
        publisher.publish("t", "m", Q0);
        assert!(publisher.heard().is_empty());
        publisher.publish("t", "m", Q1);
        assert_eq!(publisher.heard(), [format!("PUBACK 1{unwanted}")]);
        publisher.publish("t", "m", Q2);
        assert_eq!(
            publisher.heard(),
            ["PUBREC 2", "PUBCOMP 2"],
            "it goes out before the message is routed"
        );
        let sub = world.connect(0, "sub");
        sub.subscribe("t", Q0);
        publisher.publish("t", "m", Q1);
        assert_eq!(publisher.heard(), ["PUBACK 3"]);
    };
    check(Hello::new("pub"), " 0x10");
    check(Hello::new("pub").v3(), "");
}

#[test]
fn a_repeated_qos_2_publish_is_delivered_once_until_it_is_released() {
    // [MQTT-4.3.3-10], [MQTT-4.3.3-12], [MQTT-3.3.1-3]
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.subscribe("t", Q2);
    let publisher = world.connect(0, "pub");
    publisher.stop_acknowledging();
    let publication = Publication::new("t", "m").qos(Q2).packet_id(7);
    publisher.publish_with(&publication);
    publisher.publish_with(&publication.clone().dup());
    assert_eq!(publisher.heard(), ["PUBREC 7", "PUBREC 7"]);
    assert_eq!(sub.received(), ["t m q2"]);
    publisher.pubrel(7);
    publisher.pubrel(7);
    assert_eq!(publisher.heard(), ["PUBCOMP 7", "PUBCOMP 7 0x92"]);
    publisher.publish_with(&publication.dup());
    assert_eq!(
        sub.received(),
        ["t m q2"],
        "after PUBCOMP it is a new message"
    );
}

#[test]
fn a_qos_2_message_goes_to_its_subscriber_in_four_steps() {
    // [MQTT-4.3.3-1] to [MQTT-4.3.3-6]
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.stop_acknowledging();
    sub.subscribe("t", Q2);
    world.connect(0, "pub").publish("t", "m", Q2);
    assert_eq!(sub.heard(), ["PUBLISH 1 t m q2"]);
    sub.pubrec(1);
    assert_eq!(sub.heard(), ["PUBREL 1"]);
    sub.pubrec(1);
    assert_eq!(
        sub.heard(),
        ["PUBREL 1"],
        "a repeated PUBREC is answered the same way"
    );
    sub.pubcomp(1);
    sub.pubcomp(1);
    assert!(sub.heard().is_empty());
    sub.pubrec(9);
    assert_eq!(sub.heard(), ["PUBREL 9 0x92"]);
}

#[test]
fn messages_wait_for_the_receive_maximum_and_follow_in_order() {
    // [MQTT-3.3.4-9], [MQTT-4.9.0-2], [MQTT-4.9.0-3]
    let world = World::new(1);
    let sub = world.connect(0, Hello::new("sub").receive_maximum(2));
    sub.stop_acknowledging();
    sub.subscribe("#", Q2);
    let publisher = world.connect(0, "pub");
    for n in 1..=5 {
        publisher.publish("t", &n.to_string(), if n == 2 { Q2 } else { Q1 });
    }
    publisher.publish("t", "free", Q0);
    sub.ping();
    assert_eq!(
        sub.heard(),
        [
            "PUBLISH 1 t 1 q1",
            "PUBLISH 2 t 2 q2",
            "PUBLISH t free",
            "PINGRESP"
        ]
    );
    sub.puback(1);
    assert_eq!(sub.heard(), ["PUBLISH 3 t 3 q1"]);
    sub.pubrec(2);
    assert_eq!(sub.heard(), ["PUBREL 2"], "PUBREC does not free the quota");
    sub.pubcomp(2);
    assert_eq!(sub.heard(), ["PUBLISH 4 t 4 q1"]);
    sub.puback(3);
    assert_eq!(sub.heard(), ["PUBLISH 5 t 5 q1"]);
}

#[test]
fn properties_travel_unchanged_and_in_order() {
    // [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-18], [MQTT-3.3.2-20]
    let all = [
        Property::UserProperty(("k", "1")),
        Property::PayloadFormatIndicator(true),
        Property::ContentType("text/plain"),
        Property::UserProperty(("k", "1")),
        Property::ResponseTopic(name("answer/here")),
        Property::CorrelationData(&[0, 1, 2]),
        Property::UserProperty(("a", "\u{feff}2")),
    ];
    for shards in [1, 2] {
        let world = World::new(shards);
        let sub = world.connect(0, "sub");
        sub.subscribe("t", Q1);
        let old = world.connect(0, Hello::new("old").v3());
        old.subscribe("t", Q1);
        let publisher = world.connect(usize::from(shards - 1), "pub");
        let publication = Publication::new("t", "m").qos(Q1);
        publisher.publish_with(&all.into_iter().fold(publication, Publication::property));
        let got = sub.messages();
        let properties: Vec<_> = got[0].properties.as_properties().iter().collect();
        assert_eq!(properties, all);
        assert_eq!(old.received(), ["t m q1"]);
    }
}

#[test]
fn aliases_are_set_and_used_and_end_with_the_connection() {
    // [MQTT-3.3.2-7], [MQTT-3.3.2-12]
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.subscribe("#", Q1);
    let alias = |topic, alias| {
        Publication::new(topic, "m")
            .qos(Q1)
            .property(Property::TopicAlias(alias))
    };
    let publisher = world.connect(0, Hello::new("pub").persistent());
    let max = publisher
        .offer
        .as_properties()
        .topic_alias_maximum()
        .expect("offered");
    publisher.publish_with(&alias("first", 1));
    publisher.publish_with(&alias("last", max));
    publisher.publish_with(&alias("", 1));
    publisher.publish_with(&alias("", max));
    publisher.publish_with(&alias("other", 1));
    publisher.publish_with(&alias("", 1));
    assert_eq!(
        sub.received(),
        [
            "first m q1",
            "last m q1",
            "first m q1",
            "last m q1",
            "other m q1",
            "other m q1"
        ]
    );
    publisher.lose();
    let publisher = world.connect(0, Hello::new("pub").persistent());
    publisher.publish_with(&alias("", 1));
    assert_eq!(publisher.heard(), ["DISCONNECT 0x82", "closed"]);
    assert!(sub.received().is_empty());
}

#[test]
fn an_alias_that_cannot_be_used_ends_the_connection() {
    let check = |topic: &str, alias: u16, expect: &str| {
        let world = World::new(1);
        let publisher = world.connect(0, "pub");
        let publication = Publication::new(topic, "m").property(Property::TopicAlias(alias));
        publisher.publish_with(&publication);
        assert_eq!(publisher.heard(), [expect, "closed"], "{topic:?} {alias}");
    };
    check("", 1, "DISCONNECT 0x82");
    check("t", 17, "DISCONNECT 0x94");
    check("t", 0, "DISCONNECT 0x94");
    check("", 0, "DISCONNECT 0x94");
}

#[test]
fn a_client_cannot_publish_with_a_subscription_identifier() {
    // [MQTT-3.3.4-6]
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.subscribe("t", Q0);
    let publisher = world.connect(0, "pub");
    let publication = Publication::new("t", "m").property(Property::SubscriptionIdentifier(5));
    publisher.publish_with(&publication);
    assert_eq!(publisher.heard(), ["DISCONNECT 0x82", "closed"]);
    assert!(sub.received().is_empty());
}

#[test]
fn expiry_counts_down_while_a_message_waits_and_drops_it_at_its_end() {
    // [MQTT-3.3.2-5], [MQTT-3.3.2-6]
    for shards in [1, 2] {
        let world = World::new(shards);
        let hello = Hello::new("sub").persistent();
        let sub = world.connect(0, hello.clone());
        sub.subscribe("t", Q1);
        sub.disconnect();
        let publisher = world.connect(usize::from(shards - 1), "pub");
        for (payload, secs) in [("short", 5), ("long", 60)] {
            publisher.publish_with(&Publication::new("t", payload).qos(Q1).expiry(secs));
        }
        publisher.publish("t", "for ever", Q1);
        world.advance(20);
        let sub = world.connect(usize::from(shards - 1), hello);
        assert_eq!(sub.received(), ["t long q1 expiry=40", "t for ever q1"]);
    }
}

#[test]
fn what_has_been_sent_does_not_expire_any_more() {
    // [MQTT-4.3.3-7]
    for qos in [Q1, Q2] {
        let world = World::new(1);
        let hello = Hello::new("sub").persistent();
        let sub = world.connect(0, hello.clone());
        sub.stop_acknowledging();
        sub.subscribe("t", qos);
        let publisher = world.connect(0, "pub");
        publisher.publish_with(&Publication::new("t", "m").qos(qos).expiry(5));
        sub.lose();
        world.advance(20);
        let sub = world.connect(0, hello);
        assert_eq!(sub.received(), [format!("t m q{} dup expiry=0", qos as u8)]);
    }
}

#[test]
fn a_message_above_the_clients_maximum_packet_size_is_left_out() {
    // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
    for shards in [1, 2] {
        let world = World::new(shards);
        let sub = world.connect(0, Hello::new("sub").packet_size_max(60).receive_maximum(1));
        sub.subscribe("t", Q1);
        let publisher = world.connect(usize::from(shards - 1), "pub");
        publisher.publish("t", &"x".repeat(60), Q1);
        publisher.publish("t", &"x".repeat(10_000), Q1);
        publisher.publish("t", "fits", Q1);
        assert_eq!(sub.received(), ["t fits q1"]);
    }
}

#[test]
fn payloads_of_every_size_arrive_whole() {
    for shards in [1, 2] {
        let world = World::new(shards);
        let subs: Vec<_> = (0..3)
            .map(|n| {
                let hello = Hello::new(&format!("sub{n}"));
                let sub = world.connect(0, if n == 1 { hello.v3() } else { hello });
                sub.subscribe("t", if n == 2 { Q1 } else { Q0 });
                sub
            })
            .collect();
        let publisher = world.connect(usize::from(shards - 1), "pub");
        for len in [0, 1, 125, 4_095, 4_096, 70_000, 1_900_000] {
            let payload = "x".repeat(len);
            publisher.publish("t", &payload, Q1);
            for sub in &subs {
                let got = sub.messages();
                assert_eq!(got.len(), 1, "{len}");
                assert!(got[0].payload == payload, "{len}");
            }
        }
    }
}

#[test]
fn a_client_that_may_not_publish_is_told_where_it_can_be() {
    // 3.3.5-2 of 3.1.1
    let world = World::new(1);
    let sub = world.connect(0, "sub");
    sub.subscribe("$SYS/#", Q0);
    let publisher = world.connect(0, "pub");
    publisher.publish("$SYS/x", "m", Q1);
    publisher.publish("$SYS/x", "m", Q2);
    assert_eq!(publisher.heard(), ["PUBACK 1 0x87", "PUBREC 2 0x87"]);
    let old = world.connect(0, Hello::new("old").v3());
    old.publish("$SYS/x", "m", Q1);
    old.publish("$SYS/x", "m", Q2);
    assert_eq!(old.heard(), ["PUBACK 1", "PUBREC 2", "PUBCOMP 2"]);
    assert!(sub.received().is_empty());
}
