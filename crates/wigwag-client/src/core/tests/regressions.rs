//! Faults that other clients have had, as tests: those that need virtual time, or more messages than a
//! socket carries in a moment. The table of all of them is `tests/it/README.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// How many Packet Identifiers there are.
const ALL: u32 = u16::MAX as u32;

fn publish_all(world: &mut World) {
    // One more than there are identifiers.
    for receipt in 0..=ALL {
        world.publish(receipt, Publish::new("a", "").qos(Qos::AtLeastOnce));
    }
    assert_eq!(world.sent().len(), usize::from(u16::MAX));
}

#[test]
fn the_65_536th_publish_waits_for_an_identifier_behind_a_subscription() {
    let mut world = World::online(builder());
    publish_all(&mut world);
    world.subscribe(1, "a");
    assert_eq!(world.sent(), [""; 0]);
    world.receive(&Packet::PubAck(ack(7)));
    assert_eq!(world.sent(), ["SUBSCRIBE a"]);
    world.receive(&suback(7, ReasonCode::Success));
    assert_eq!(world.sent(), ["PUBLISH a q1 id=7 dup=false"]);
}

#[test]
fn a_session_that_is_lost_with_every_identifier_in_use_gives_them_all_back() {
    let mut world = World::online(builder());
    publish_all(&mut world);
    world.lose_connection();
    world.connect(false, &[]);
    let lost = Ok(Outcome::Indeterminate(Indeterminate::SessionLost));
    let published = world.published();
    assert_eq!(published.len(), usize::from(u16::MAX));
    assert!(
        (0..)
            .zip(&published)
            .all(|(receipt, own)| *own == (receipt, lost.clone()))
    );
    assert_eq!(world.sent(), ["PUBLISH a q1 id=1 dup=false"]);
    world.receive(&Packet::PubAck(ack(1)));
    assert_eq!(world.published(), [(ALL, DELIVERED)]);
    publish_all(&mut world);
}

/// The topics of the PUBLISH packets that the core has sent, as a server understands them.
fn topics_sent(world: &mut World, alias_max: u16) -> Vec<String> {
    let bytes = world.sent_bytes();
    let mut rest = bytes.as_slice();
    let mut aliases = BTreeMap::new();
    let mut topics = Vec::new();
    while let Some(found) = frame(rest, u32::MAX).expect("a packet") {
        rest = &rest[found.len..];
        let packet = wigwag_proto::codec::decode(found, Version::V5, &DecodeLimits::UNLIMITED);
        let Ok(Packet::Publish(publish)) = packet else {
            panic!("{packet:?}");
        };
        let name = publish.topic.map(|topic| topic.as_str().to_owned());
        let topic = match publish.properties.topic_alias() {
            None => name.expect("a name or an alias"),
            Some(alias) => {
                assert!((1..=alias_max).contains(&alias), "alias {alias}");
                if let Some(name) = name {
                    aliases.insert(alias, name);
                }
                aliases.get(&alias).expect("introduced before").clone()
            }
        };
        topics.push(topic);
    }
    topics
}

#[test]
fn what_is_sent_again_after_every_alias_was_in_use_can_be_understood() {
    let once = ["topic/one", "topic/two", "topic/three", "topic/four"];
    let topics = [once, once].concat();
    let mut world = World::new(builder());
    world.connect(false, &[Property::TopicAliasMaximum(4)]);
    for (receipt, topic) in (0..).zip(&topics) {
        let publish = Publish::new(*topic, "").qos(Qos::AtLeastOnce);
        world.publish(receipt, publish);
    }
    assert_eq!(topics_sent(&mut world, 4), topics);
    for alias_max in [4, 2, 0, 16] {
        world.lose_connection();
        world.connect(true, &[Property::TopicAliasMaximum(alias_max)]);
        assert_eq!(topics_sent(&mut world, alias_max), topics, "{alias_max}");
    }
}

/// The Packet Identifier in the description of a packet.
fn packet_id_of(description: &str) -> u16 {
    let (_, rest) = description.split_once("id=").expect("it has one");
    let id = rest.split(' ').next().expect("a number");
    id.parse().expect("a number")
}

/// Answers what the core has sent, a few packets, and checks that no more are in flight than `maximum`.
fn answer_some(world: &mut World, maximum: usize, in_flight: &mut BTreeSet<u16>) {
    for _ in 0..3 {
        for packet in world.sent() {
            let packet_id = packet_id_of(&packet);
            if packet.starts_with("PUBLISH") {
                in_flight.insert(packet_id);
                assert!(in_flight.len() <= maximum, "{in_flight:?} of {maximum}");
            }
            if packet.contains(" q1 ") {
                in_flight.remove(&packet_id);
                world.receive(&Packet::PubAck(ack(packet_id)));
            } else if packet.contains(" q2 ") {
                world.receive(&Packet::PubRec(ack(packet_id)));
            } else {
                in_flight.remove(&packet_id);
                world.receive(&Packet::PubComp(ack(packet_id)));
            }
        }
    }
}

#[test]
fn a_receive_maximum_of_1_and_20_is_kept_when_it_changes_with_each_connection() {
    const MESSAGES: u32 = 200;
    let mut world = World::new(builder().clean_start(false));
    for receipt in 0..MESSAGES {
        let qos = match receipt % 3 {
            0 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        };
        world.publish(receipt, Publish::new("a", "").qos(qos));
    }
    let mut published = Vec::new();
    for maximum in [20, 1, 20, 1, 1].into_iter().cycle().take(400) {
        world.connect(true, &[Property::ReceiveMaximum(maximum)]);
        // Answers are lost with their connection: some are for packets that were sent before it broke.
        answer_some(&mut world, maximum.into(), &mut BTreeSet::new());
        let unanswered = world.sent().len();
        assert!(
            unanswered <= usize::from(maximum),
            "{unanswered} of {maximum}"
        );
        published.extend(world.published());
        if published.len() == MESSAGES as usize {
            break;
        }
        world.lose_connection();
        published.extend(world.published());
    }
    published.sort_by_key(|(receipt, _)| *receipt);
    let expect: Vec<_> = (0..MESSAGES).map(|receipt| (receipt, DELIVERED)).collect();
    assert_eq!(published, expect);
}

#[test]
fn a_packet_that_no_server_can_take_introduces_no_topic_alias() {
    let mut world = World::new(builder());
    world.connect(false, &[Property::TopicAliasMaximum(4)]);
    let topic = "a/long/topic";
    let payload = vec![0; VAR_INT_MAX as usize];
    world.publish(1, Publish::new(topic, payload));
    world.publish(2, Publish::new(topic, "small"));
    assert_eq!(world.sent(), ["PUBLISH a/long/topic"]);
    let results = world.published();
    let refused = Err(PublishError::PacketTooLarge {
        size: 268_435_455 + 5 + 2 + topic.len() + 1,
        max: 268_435_460,
    });
    assert_eq!(results, [(1, refused), (2, DELIVERED)]);
}

#[test]
fn a_server_that_does_not_read_its_acknowledgements_cannot_fill_the_memory() {
    let mut world = World::online(builder());
    let mut bytes = Vec::new();
    for _ in 0..10_000 {
        let release = Packet::PubRel(ack(1));
        encode(&release, world.version, &mut bytes).expect("valid");
    }
    let mut received = 0;
    while !world.core.is_closing() {
        world.receive_bytes(&bytes);
        received += bytes.len();
        assert!(received < 8 * 1024 * 1024, "nothing stops it");
    }
    assert_eq!(world.sent().pop().as_deref(), Some("DISCONNECT 0x97"));
}

#[test]
fn a_server_that_reads_its_acknowledgements_may_cause_any_number() {
    let mut world = World::online(builder());
    let mut bytes = Vec::new();
    for _ in 0..10_000 {
        let release = Packet::PubRel(ack(1));
        encode(&release, world.version, &mut bytes).expect("valid");
    }
    for _ in 0..50 {
        world.receive_bytes(&bytes);
        assert!(!world.sent_bytes().is_empty());
    }
    assert!(world.core.state().is_online() && !world.core.is_closing());
}

#[test]
fn an_oversized_message_whose_topic_does_not_fit_into_it_is_malformed() {
    let limits = Limits {
        packet_size_max: 100,
        ..Limits::default()
    };
    let old = builder().version(Version::V3_1_1).limits(limits);
    let mut world = World::online(old);
    let topic_len = [0x01, 0x00];
    world.receive_bytes(&[&[0x30, 110], &topic_len[..], &[b'a'; 107]].concat());
    assert!(!world.core.is_closing(), "one byte is missing");
    world.receive_bytes(&[b'a'; 200]);
    assert!(world.core.is_closing());
    let skips = |output: &Output<u32>| matches!(output, Output::Event(Event::Oversized { .. }));
    assert!(!world.outputs.iter().any(skips), "{:?}", world.outputs);
}
