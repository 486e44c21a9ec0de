//! Counters: what two shards counted together; and the tracing of single packets.

use wigwag_proto::packet::PacketType;
use wigwag_proto::{ReasonCode, TopicFilter, TopicName};

use super::world::{Hello, Publication, Q0, Q1, Wanted, World};
use crate::auth::{Answer, Attempt};
use crate::event::{DropReason, Event};
use crate::limits::Limits;
use crate::policy::{Identity, Policy};
use crate::stats::{ACTIONS, CLOSE_CAUSES, CREDENTIALS, Outcomes, Stats};

fn stats(world: &World, shards: usize) -> Stats {
    let mut sum = Stats::default();
    for shard in 0..shards {
        sum.add(&world.shard_mut(shard, crate::Shard::stats));
    }
    sum
}

#[test]
fn packets_bytes_and_messages_are_counted_where_they_pass() {
    let world = World::new(2);
    let subscriber = world.connect(0, Hello::new("s").v3());
    subscriber.subscribe("t", Q1);
    let publisher = world.connect(1, Hello::new("p").v3());
    publisher.publish("t", "hello", Q1);
    publisher.publish("nobody", "bye", Q0);
    let stats = stats(&world, 2);

    assert_eq!(stats.received.of(PacketType::Connect), 2);
    assert_eq!(stats.sent.of(PacketType::ConnAck), 2);
    assert_eq!(stats.received.of(PacketType::Publish), 2);
    assert_eq!(stats.sent.of(PacketType::Publish), 1);
    assert_eq!(stats.received.of(PacketType::PubAck), 1);
    assert_eq!(stats.sent.of(PacketType::PubAck), 1);
    assert_eq!(
        (stats.publish_received, stats.publish_sent),
        ([1, 1, 0], [0, 1, 0])
    );
    assert_eq!(
        (stats.payload_bytes_received, stats.payload_bytes_sent),
        (8, 5)
    );
    assert_eq!(stats.unwanted, 1);
    // Two CONNACK and PUBACK of 4 bytes, SUBACK of 5, and PUBLISH of 2 + 2 + 1 + 2 + 5.
    assert_eq!(stats.bytes_sent, 3 * 4 + 5 + 12);
    // CONNECT is 2 + 10 + 3, SUBSCRIBE 2 + 2 + 4, PUBLISH as above and 2 + 2 + 6 + 3, PUBACK 4.
    assert_eq!(stats.bytes_received, 2 * 15 + 8 + 12 + 13 + 4);
    assert_eq!((stats.opened, stats.connections), (2, 2));
    assert_eq!((stats.sessions, stats.sessions_connected), (2, 2));
    assert_eq!(stats.connacks.get(&ReasonCode::Success), Some(&2));
}

#[test]
fn what_waits_is_counted_until_it_has_left() {
    let limits = Limits {
        queued_messages_max: 2,
        ..Limits::default()
    };
    let world = World::with_limits(1, &limits);
    let sleeper = world.connect(0, Hello::new("s").persistent());
    sleeper.subscribe("t", Q1);
    sleeper.lose();
    let publisher = world.connect(0, "p");
    for payload in ["one", "two", "three"] {
        publisher.publish("t", payload, Q1);
    }
    let asleep = stats(&world, 1);
    assert_eq!((asleep.sessions, asleep.sessions_connected), (2, 1));
    assert_eq!(
        (asleep.waiting.queued, asleep.waiting.payload_bytes),
        (2, 6)
    );
    assert_eq!(asleep.dropped(DropReason::QueueFull), 1);

    let _awake = world.connect(0, Hello::new("s").persistent().resume());
    let awake = stats(&world, 1);
    assert_eq!((awake.waiting.queued, awake.waiting.in_flight), (0, 0));
    assert_eq!((awake.waiting.bytes, awake.waiting.payload_bytes), (0, 0));
    assert_eq!((awake.sessions_created, awake.sessions_resumed), (2, 1));
    assert_eq!((awake.out_packets, awake.out_bytes), (0, 0));
}

#[test]
fn ends_are_counted_by_their_cause() {
    let world = World::new(1);
    let count = |cause: &str| {
        let place = CLOSE_CAUSES.iter().position(|&known| known == cause);
        stats(&world, 1).closed[place.expect("a cause")]
    };
    let first = world.connect(0, Hello::new("x").persistent());
    let second = world.connect(0, Hello::new("x").persistent().resume());
    assert!(first.is_closed());
    assert_eq!((count("taken_over"), count("lost")), (1, 0));
    second.send_bytes(&[0x00, 0x00]);
    assert_eq!(count("malformed"), 1);
    world.connect(0, "y").disconnect();
    assert_eq!(count("disconnect"), 1);
    let stats = stats(&world, 1);
    assert_eq!((stats.sessions_taken_over, stats.sessions_created), (1, 2));
    assert_eq!(stats.closed.iter().sum::<u64>(), stats.opened);
}

#[test]
fn who_does_not_read_is_counted_until_it_does() {
    let world = World::new(1);
    let reader = world.connect(0, "r");
    reader.subscribe("t", Q0);
    reader.stall();
    reader.publish("t", "hello", Q0);
    let stalled = stats(&world, 1);
    assert_eq!((stalled.slow_consumers, stalled.out_packets), (1, 1));
    assert!(stalled.out_bytes > 5);
    reader.read_on();
    let reading = stats(&world, 1);
    assert_eq!((reading.slow_consumers, reading.out_bytes), (0, 0));
    reader.stall();
    reader.publish("t", "hello", Q0);
    reader.lose();
    assert_eq!(stats(&world, 1).slow_consumers, 0);
}

#[test]
fn what_was_asked_of_the_policy_is_counted_by_its_answer() {
    let world = World::with_policy(1, &Limits::default(), || Box::new(Strict));
    let outcomes = |allowed, denied| Outcomes { allowed, denied };
    let client = world.connect(0, "c");
    client.subscribe("yes", Q0);
    client.subscribe_with(&[Wanted::new("no", Q0)]);
    client.subscribe("unheard", Q0);
    client.publish("yes", "1", Q0);
    client.publish("unheard", "2", Q0);
    client.publish("no", "3", Q0);
    client.unsubscribe(&["yes", "nothing"]);
    let stats = stats(&world, 1);
    let asked: Vec<_> = ACTIONS.into_iter().zip(stats.checks).collect();
    assert_eq!(
        asked,
        [
            ("publish", outcomes(2, 1)),
            ("receive", outcomes(1, 1)),
            ("subscribe", outcomes(2, 1)),
            ("unsubscribe", outcomes(2, 0)),
        ]
    );
    world.dial(0, Hello::new("d").user_name("joe").password("x"));
    let logins = self::stats(&world, 1).logins;
    let logins: Vec<_> = CREDENTIALS.into_iter().zip(logins).collect();
    assert_eq!(
        logins,
        [
            ("anonymous", outcomes(1, 0)),
            ("password", outcomes(0, 1)),
            ("certificate", outcomes(0, 0)),
            ("enhanced", outcomes(0, 0)),
        ]
    );
}

/// Lets in who gives no name, and denies what is called so.
struct Strict;

impl Policy for Strict {
    fn authenticate(&self, attempt: &Attempt<'_>) -> Answer {
        match attempt.password {
            None => Answer::allow(attempt),
            Some(_) => Answer::refuse(ReasonCode::NotAuthorized),
        }
    }

    fn may_publish(&self, _: &Identity, topic: TopicName<'_>) -> bool {
        topic.as_str() != "no"
    }

    fn may_subscribe(&self, _: &Identity, filter: TopicFilter<'_>) -> bool {
        filter.as_str() != "no"
    }

    fn may_receive(&self, _: &Identity, topic: TopicName<'_>) -> bool {
        topic.as_str() != "unheard"
    }
}

#[test]
fn the_node_counts_subscriptions_and_retained_messages() {
    let world = World::new(2);
    let client = world.connect(0, "c");
    client.subscribe("a/#", Q0);
    client.subscribe("b", Q0);
    client.publish_with(&Publication::new("r", "1234").retain());
    let node = world.shard(0, |shard| shard.node.stats());
    assert_eq!((node.subscriptions, node.retained), (2, 1));
    assert_eq!((node.retained_bytes, node.retained_payload_bytes), (5, 4));
}

/// The packets among these events that clients have names for.
fn told(events: &[Event]) -> Vec<String> {
    let packets = events.iter().filter_map(|event| match event {
        Event::Packet {
            client_id,
            way,
            packet,
            ..
        } => Some(format!("{way:?} {} {packet:?}", client_id.as_deref()?)),
        _ => None,
    });
    packets.collect()
}

#[test]
fn the_last_packet_for_a_client_is_told_with_its_name() {
    let world = World::with_policy(1, &Limits::default(), || Box::new(Strict));
    world.shard_mut(0, |shard| shard.set_tracing(true));
    let refused = |code| format!("Sent d ConnAck {{ session_present: false, code: {code} }}");
    let hello = || Hello::new("d").user_name("joe").password("x");
    world.dial(0, hello().v3());
    assert_eq!(told(&world.events()), [refused(5)]);
    world.dial(0, hello());
    assert_eq!(told(&world.events()), [refused(135)]);
    let client = world.connect(0, Hello::new("c").v3());
    client.publish("no", "1", Q1);
    world.connect(0, "d").send_bytes(&[0x00, 0x00]);
    let told = told(&world.events());
    let denied = told.iter().find(|line| line.contains("PubAck"));
    assert!(denied.expect("told").contains("NotAuthorized"), "{told:?}");
    assert_eq!(
        told.last().expect("told"),
        "Sent d Disconnect(ProtocolError)"
    );
}

#[test]
fn single_packets_are_told_of_while_somebody_reads_that() {
    let world = World::new(1);
    let client = world.connect(0, "c");
    client.ping();
    assert!(told(&world.events()).is_empty());
    world.shard_mut(0, |shard| shard.set_tracing(true));
    client.subscribe("t", Q0);
    client.publish("t", "hello", Q0);
    let publish = |way| {
        format!(
            "{way} c Publish {{ delivery: AtMostOnce, retain: false, topic: \"t\", payload_len: 5, is_denied: false }}"
        )
    };
    assert_eq!(
        told(&world.events()),
        [
            "Received c Subscribe([(\"t\", AtMostOnce, Success)])".to_owned(),
            "Sent c Bare(SubAck)".to_owned(),
            publish("Received"),
            publish("Sent"),
        ]
    );
}
