//! Shared subscriptions: one member gets each message, and none is lost with a member.

use proptest::prelude::*;
use wigwag_proto::packet::Delivery;
use wigwag_proto::{TopicFilter, TopicName};

use super::world::{Client, Hello, Publication, Q0, Q1, Q2, Wanted, World};
use crate::policy::{Identity, Policy};

/// Publishes numbers from `range` to `t`, each at QoS 1.
fn publish(publisher: &Client, range: std::ops::Range<u32>) {
    range.for_each(|number| publisher.publish("t", &number.to_string(), Q1));
}

/// How many messages each client has received since this was asked last.
fn counts(members: &[Client]) -> Vec<usize> {
    let counts = members.iter().map(|member| member.received().len());
    counts.collect()
}

/// Members of the group `g` of `t`, at QoS 1, one on each shard in turn.
fn members(world: &World, shards: usize, hellos: Vec<Hello>) -> Vec<Client> {
    let join = |(at, hello)| {
        let member = world.connect(at % shards, hello);
        member.subscribe("$share/g/t", Q1);
        member
    };
    hellos.into_iter().enumerate().map(join).collect()
}

fn hellos(ids: &[&str]) -> Vec<Hello> {
    ids.iter().map(|id| Hello::new(id)).collect()
}

#[test]
fn members_take_turns_wherever_they_and_the_publishers_are() {
    for shards in [1, 3] {
        let world = World::new(shards);
        let members = members(&world, shards.into(), hellos(&["a", "b", "c"]));
        for at in 0..shards {
            publish(&world.connect(at.into(), "pub"), 0..30);
        }
        let each = usize::from(shards) * 10;
        assert_eq!(counts(&members), [each; 3], "{shards} shards");
    }
}

#[test]
fn groups_and_plain_subscriptions_get_a_copy_each() {
    // [MQTT-4.8.2-3]
    let world = World::new(2);
    let clients = ["a", "b"].map(|id| world.connect(usize::from(id == "b"), id));
    for client in &clients {
        client.subscribe_with(&[Wanted::new("$share/g/t/+", Q1).identifier(1)]);
    }
    clients[0].subscribe_with(&[Wanted::new("$share/h/#", Q2).identifier(2)]);
    clients[0].subscribe_with(&[Wanted::new("t/x", Q0).identifier(3)]);
    let publisher = world.connect(1, "pub");
    publisher.publish("t/x", "1", Q2);
    publisher.publish("t/x", "2", Q2);
    let mut got: Vec<String> = clients.iter().flat_map(Client::received).collect();
    got.sort();
    let expected = [
        "t/x 1 id=3",
        "t/x 1 q1 id=1",
        "t/x 1 q2 id=2",
        "t/x 2 id=3",
        "t/x 2 q1 id=1",
        "t/x 2 q2 id=2",
    ];
    assert_eq!(got, expected);
}

#[test]
fn a_member_that_is_away_or_does_not_read_or_acknowledge_is_left_out() {
    for shards in [1, 3] {
        let world = World::new(shards);
        let hellos = vec![
            Hello::new("away").persistent(),
            Hello::new("full").receive_maximum(2).quiet(),
            Hello::new("well"),
        ];
        let members = members(&world, shards.into(), hellos);
        members[0].lose();
        publish(&world.connect(0, "pub"), 0..10);
        assert_eq!(counts(&members), [0, 2, 8], "{shards} shards");
        members[2].stall();
        let publisher = world.connect(0, "pub");
        // Enough to fill what may wait for a client that does not read.
        for _ in 0..100 {
            let large = "x".repeat(10_000);
            publisher.publish_with(&Publication::new("t", &large));
        }
        let fourth = world.connect(0, "fourth");
        fourth.subscribe("$share/g/t", Q1);
        publish(&publisher, 0..10);
        assert_eq!(fourth.received().len(), 10, "{shards} shards");
    }
}

#[test]
fn with_everybody_away_messages_wait_for_those_whose_sessions_stay() {
    let world = World::new(2);
    let hellos = ["a", "b"].map(|id| Hello::new(id).persistent()).to_vec();
    let members = members(&world, 2, hellos);
    members.iter().for_each(Client::lose);
    let publisher = world.connect(0, "pub");
    publish(&publisher, 0..4);
    publisher.publish("t", "nobody waits for this", Q0);
    let again = ["a", "b"].map(|id| world.connect(0, Hello::new(id).persistent()));
    assert_eq!(counts(&again), [2, 2]);
}

#[test]
fn what_an_ended_session_has_not_acknowledged_goes_to_another_member() {
    for shards in [1, 2] {
        let world = World::new(shards);
        let hellos = vec![
            Hello::new("a").quiet(),
            Hello::new("b").receive_maximum(1).quiet(),
        ];
        let members = members(&world, shards.into(), hellos);
        publish(&world.connect(0, "pub"), 0..8);
        assert_eq!(counts(&members), [7, 1], "the rest is for who has room");
        members[0].lose();
        assert_eq!(counts(&members), [0, 0]);
        let third = world.connect(0, "c");
        third.subscribe("$share/g/t", Q1);
        members[1].lose();
        let mut got = third.received();
        got.sort();
        let all: Vec<String> = (0..8).map(|number| format!("t {number} q1")).collect();
        assert_eq!(
            got, all,
            "in flight and queued, without DUP: it is new to this one"
        );
    }
}

#[test]
fn a_delivery_that_was_begun_at_qos_2_is_for_its_member_alone() {
    // [MQTT-4.8.2-4], [MQTT-4.8.2-5]
    let world = World::new(1);
    let first = world.connect(0, Hello::new("a").persistent().quiet());
    first.subscribe("$share/g/t", Q2);
    let publisher = world.connect(0, "pub");
    publisher.publish("t", "1", Q2);
    let second = world.connect(0, "b");
    second.subscribe("$share/g/t", Q2);
    first.lose();
    let first = world.connect(0, Hello::new("a").persistent().quiet());
    assert_eq!(first.received(), ["t 1 q2 dup"]);
    first.disconnect_with(wigwag_proto::ReasonCode::Success, Some(0));
    assert!(second.received().is_empty());
}

#[test]
fn a_message_that_a_member_rejects_is_done() {
    // [MQTT-4.8.2-6]
    let world = World::new(1);
    let members = members(&world, 1, vec![Hello::new("a").quiet()]);
    publish(&world.connect(0, "pub"), 0..1);
    assert_eq!(counts(&members), [1]);
    members[0].send(&wigwag_proto::Packet::PubAck(
        wigwag_proto::packet::PublishAck::new(
            wigwag_proto::PacketId::MIN,
            wigwag_proto::ReasonCode::UnspecifiedError,
        ),
    ));
    let other = world.connect(0, "b");
    other.subscribe("$share/g/t", Q1);
    members[0].lose();
    assert!(other.received().is_empty());
}

#[test]
fn what_waits_for_a_member_that_goes_is_given_to_those_who_stay() {
    for shards in [1, 2] {
        let world = World::new(shards);
        let hellos = vec![Hello::new("a").persistent().receive_maximum(1).quiet()];
        let alone = members(&world, shards.into(), hellos);
        publish(&world.connect(0, "pub"), 0..4);
        assert_eq!(counts(&alone), [1], "the others wait");
        let other = world.connect(usize::from(shards - 1), "b");
        other.subscribe("$share/g/t", Q1);
        alone[0].lose();
        assert_eq!(other.received(), ["t 1 q1", "t 2 q1", "t 3 q1"]);
        let again = world.connect(0, Hello::new("a").persistent());
        assert_eq!(again.received(), ["t 0 q1 dup"]);
    }
}

#[test]
fn what_waits_for_the_only_member_stays_whatever_is_allowed_by_then() {
    let world = World::new(1);
    let hello = Hello::new("a").persistent().receive_maximum(1).quiet();
    let members = members(&world, 1, vec![hello]);
    publish(&world.connect(0, "pub"), 0..8);
    world.shard_mut(0, |shard| {
        let mut settings = shard.settings().clone();
        settings.limits.queued_messages_max = 2;
        shard.handle_settings(settings);
    });
    members[0].lose();
    let again = world.connect(0, Hello::new("a").persistent());
    assert_eq!(again.received().len(), 8);
}

#[test]
fn a_member_that_stopped_while_messages_were_on_their_way_passes_them_on() {
    let world = World::new(3);
    let hellos = vec![Hello::new("a"), Hello::new("b").receive_maximum(1).quiet()];
    let members = members(&world, 3, hellos);
    let publisher = world.connect(2, "pub");
    world.hold_letters();
    // The publisher's shard hears nothing of what these do to the one that acknowledges nothing.
    publish(&publisher, 0..10);
    world.release_letters();
    assert_eq!(counts(&members), [9, 1]);
    world.hold_letters();
    publish(&publisher, 10..12);
    members[0].lose();
    world.release_letters();
    members[1].stop_acknowledging();
    let rest = world.connect(0, "c");
    rest.subscribe("$share/g/t", Q1);
    members[1].lose();
    assert_eq!(
        rest.received().len(),
        3,
        "nothing is lost with who has gone"
    );
}

#[test]
fn a_member_without_rights_does_not_stand_in_the_way_of_one_that_has_them() {
    struct NotA;
    impl Policy for NotA {
        fn may_publish(&self, _: &Identity, _: TopicName<'_>) -> bool {
            true
        }
        fn may_subscribe(&self, _: &Identity, _: TopicFilter<'_>) -> bool {
            true
        }
        fn may_receive(&self, who: &Identity, topic: TopicName<'_>) -> bool {
            !who.client_id.starts_with("no") || topic.as_str() != "t"
        }
    }
    for shards in [1, 3] {
        let world = World::with_policy(shards, &Default::default(), || Box::new(NotA));
        let with_rights = members(&world, shards.into(), hellos(&["no", "no 2", "yes"]));
        publish(&world.connect(0, "pub"), 0..9);
        assert_eq!(counts(&with_rights), [0, 0, 9]);
        with_rights[2].lose();
        publish(&world.connect(0, "pub"), 0..1);
        assert_eq!(
            counts(&with_rights),
            [0, 0, 0],
            "and it ends when nobody has any"
        );
    }
}

#[test]
fn joining_a_group_brings_no_retained_messages() {
    let world = World::new(1);
    world
        .connect(0, "pub")
        .publish_with(&Publication::new("t", "old").retain());
    let members = members(&world, 1, hellos(&["a"]));
    assert_eq!(counts(&members), [0]);
}

#[test]
fn who_has_left_a_group_gets_nothing_of_it() {
    let world = World::new(2);
    let members = members(&world, 2, hellos(&["a", "b"]));
    members[0].unsubscribe(&["$share/g/t"]);
    publish(&world.connect(0, "pub"), 0..4);
    assert_eq!(counts(&members), [0, 4]);
    members.iter().for_each(Client::lose);
    world.lose_all();
    world.assert_empty();
}

#[test]
fn a_member_keeps_its_place_when_its_session_moves() {
    let world = World::new(3);
    let hellos = ["a", "b"].map(|id| Hello::new(id).persistent()).to_vec();
    let members = members(&world, 3, hellos);
    let publisher = world.connect(2, "pub");
    world.hold_letters();
    publish(&publisher, 0..4);
    let moved = world.dial(2, Hello::new("a").persistent());
    publish(&publisher, 4..8);
    for pick in 0..1_000 {
        if !world.deliver_one(pick) {
            break;
        }
    }
    world.release_letters();
    let before: Vec<String> = [&members[0], &members[1], &moved]
        .into_iter()
        .flat_map(Client::received)
        .filter(|text| !text.ends_with("dup"))
        .collect();
    assert_eq!(before.len(), 8, "each came once");
    publish(&publisher, 8..12);
    assert_eq!(counts(&[moved]), [2]);
    assert_eq!(counts(&members), [0, 2]);
}

/// What happens to a group whose members' sessions all stay.
#[derive(Clone, Copy, Debug)]
enum Step {
    Publish { shard: usize },
    Lose { member: usize },
    Connect { member: usize, shard: usize },
    Stall { member: usize },
    ReadOn { member: usize },
    Deliver { pick: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (member, shard) = (0..3_usize, 0..3_usize);
    prop_oneof![
        4 => shard.clone().prop_map(|shard| Step::Publish { shard }),
        1 => member.clone().prop_map(|member| Step::Lose { member }),
        2 => (member.clone(), shard).prop_map(|(member, shard)| Step::Connect { member, shard }),
        1 => member.clone().prop_map(|member| Step::Stall { member }),
        1 => member.prop_map(|member| Step::ReadOn { member }),
        4 => any::<u64>().prop_map(|pick| Step::Deliver { pick }),
    ]
}

proptest! {
    /// Whatever order letters take, and whoever comes and goes, each message reaches one member; it may
    /// reach another one if the session ended of one that had not acknowledged it.
    #[test]
    fn each_message_reaches_one_member(
        steps in prop::collection::vec(step(), 1..60),
        all_stay in any::<bool>(),
    ) {
        let world = World::new(3);
        let hello = |member: usize| {
            let hello = Hello::new(&format!("m{member}")).receive_maximum(2);
            if all_stay || member == 2 { hello.persistent() } else { hello }
        };
        let mut connections: Vec<Vec<Client>> = (0..3)
            .map(|member| {
                let client = world.connect(member, hello(member));
                client.subscribe("$share/g/t", Q1);
                vec![client]
            })
            .collect();
        let publishers: Vec<Client> = (0..3)
            .map(|shard| world.connect(shard, Hello::new(&format!("pub{shard}"))))
            .collect();
        world.hold_letters();
        let mut published = 0;
        for step in steps {
            match step {
                Step::Publish { shard } => {
                    publish(&publishers[shard], published..published + 1);
                    published += 1;
                }
                Step::Lose { member } => connections[member].last().expect("one").lose(),
                Step::Connect { member, shard } => {
                    connections[member].push(world.dial(shard, hello(member)));
                }
                Step::Stall { member } => connections[member].last().expect("one").stall(),
                Step::ReadOn { member } => connections[member].last().expect("one").read_on(),
                Step::Deliver { pick } => drop(world.deliver_one(pick)),
            }
        }
        world.release_letters();
        // Back and forth until everybody has everything that was for it.
        for round in 0..3 {
            for (member, connections) in connections.iter_mut().enumerate() {
                connections.iter().for_each(Client::read_on);
                connections.push(world.connect((member + round) % 3, hello(member)));
            }
        }
        let clients: Vec<&Client> = connections.iter().flatten().collect();
        clients.iter().for_each(|client| client.read_on());
        let mut numbers: Vec<u32> = Vec::new();
        for message in clients.iter().flat_map(|client| client.messages()) {
            let again = matches!(message.delivery, Delivery::AtLeastOnce { dup: true, .. });
            let number = message.payload.parse().expect("a number");
            // What is repeated may not have arrived the first time.
            if !((again || !all_stay) && numbers.contains(&number)) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..published).collect::<Vec<_>>());
    }
}

#[test]
fn a_crowd_that_may_not_have_a_message_costs_no_stack() {
    /// Nobody called `m…` may receive anything.
    struct NotForTheCrowd;

    impl Policy for NotForTheCrowd {
        fn may_publish(&self, _: &Identity, _: TopicName<'_>) -> bool {
            true
        }
        fn may_subscribe(&self, _: &Identity, _: TopicFilter<'_>) -> bool {
            true
        }
        fn may_receive(&self, who: &Identity, _: TopicName<'_>) -> bool {
            !who.client_id.starts_with('m')
        }
    }

    for shards in [1, 2] {
        let world = World::with_policy(shards, &Default::default(), || Box::new(NotForTheCrowd));
        let join = |id: &str, at: u16| {
            let member = world.connect(usize::from(at % shards), id);
            member.subscribe("$share/g/t", Q1);
            member
        };
        let _crowd: Vec<Client> = (0..2_000).map(|n| join(&format!("m{n}"), n)).collect();
        let publisher = world.connect(0, "pub");
        publisher.publish("t", "for nobody", Q1);
        let entitled = join("entitled", 0);
        publisher.publish("t", "for one", Q1);
        assert_eq!(entitled.received(), ["t for one q1"], "{shards} shards");
    }
}
