//! What happens when a node holds too much for its peers: who keeps little goes on as if nothing were the
//! matter, and there is never much more than the bound.

use proptest::prelude::*;
use wigwag_proto::{ReasonCode, Version};

use super::records::Disk;
use super::world::{Client, Heard, Hello, Publication, Q0, Q1, Wanted, World};
use crate::event::{DropReason, Event};
use crate::limits::Limits;
use crate::memory::Pressure;
use crate::settings::Settings;
use crate::shard::Shard;
use crate::shard::memory::STRANGERS_AT_FULL;

const MIB: usize = 1024 * 1024;

/// The beginning of a PUBLISH of two megabytes.
const HALF: &[u8] = &[0x30, 0x80, 0x89, 0x79, 0, 1, b't', 0];

fn limits(memory_max: usize) -> Limits {
    Limits {
        memory_max,
        ..Limits::default()
    }
}

/// What the shards hold together.
fn held(world: &World, shards: u16) -> usize {
    let all = 0..usize::from(shards);
    all.map(|shard| world.shard_mut(shard, Shard::held)).sum()
}

fn parked(world: &World, shard: usize, client_id: &str, filter: &str) {
    let client = world.connect(shard, Hello::new(client_id).persistent());
    client.subscribe(filter, Q1);
    client.lose();
}

/// Publishes messages of 10,000 bytes to a topic; how many of them the broker refused.
fn publish(publisher: &Client, topic: &str, messages: usize, retain: bool) -> usize {
    let payload = "x".repeat(10_000);
    for number in 0..messages {
        let topic = format!("{topic}/{number}");
        let publication = Publication::new(&topic, &payload).qos(Q1);
        publisher.publish_with(&if retain {
            publication.retain()
        } else {
            publication
        });
    }
    let refused = |heard: &&Heard| matches!(heard, Heard::Ack(_, _, ReasonCode::QuotaExceeded));
    publisher.heard_packets().iter().filter(refused).count()
}

#[test]
fn what_an_earlier_run_has_left_is_held_before_anything_happens() {
    let mut disk = Disk::new();
    let world = disk.world(2, &Settings::default());
    for n in 0..4 {
        parked(&world, 0, &n.to_string(), "t/#");
    }
    publish(&world.connect(0, "pub"), "t", 50, false);
    let world = disk.restart(world, 2, 0);
    let told = world.node().stats().held_bytes;
    // Each shard tells in steps.
    let steps = 2 * 64 * 1024;
    let held = held(&world, 2) as u64;
    assert!(
        held > MIB as u64 / 2 && told + steps > held,
        "{told} of {held}"
    );
}

fn pressures(world: &World) -> Vec<Pressure> {
    let events = world.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::MemoryPressure { pressure, .. } => Some(pressure),
            _ => None,
        })
        .collect()
}

#[test]
fn all_that_is_held_is_given_back() {
    for shards in [1, 2] {
        let world = World::new(shards);
        let other = usize::from(shards - 1);
        let publisher = world.connect(other, "pub");
        for n in 0..5 {
            parked(&world, 0, &format!("s{n}"), "a/+");
        }
        publish(&publisher, "a", 20, true);
        let stalled = world.connect(0, "stalled");
        stalled.subscribe("a/#", Q0);
        stalled.stall();
        publish(&publisher, "a", 20, false);
        // The payloads count once, whoever has them.
        let most = held(&world, shards);
        assert!((40 * 10_000..2 * MIB).contains(&most), "{most}");
        stalled.lose();
        for n in 0..5 {
            let hello = Hello::new(&format!("s{n}"));
            world.connect(other, hello).lose();
        }
        for n in 0..20 {
            publisher.publish_with(&Publication::new(&format!("a/{n}"), "").retain());
        }
        publisher.lose();
        assert_eq!(held(&world, shards), 0, "{shards} shards");
    }
}

#[test]
fn when_memory_is_tight_nothing_begins_that_would_be_kept() {
    let world = World::with_limits(1, &limits(MIB));
    parked(&world, 0, "away", "q/#");
    let publisher = world.connect(0, "pub");
    publisher.subscribe("q/0", Q0);
    assert_eq!(publish(&publisher, "q", 90, false), 0);
    assert_eq!(pressures(&world), [Pressure::High]);
    assert_eq!(publisher.subscribe_with(&[Wanted::new("b", Q0)]), [0x97]);
    assert_eq!(publish(&publisher, "r", 1, true), 1, "nothing is retained");
    let refused = world.dial(0, "new");
    assert_eq!(refused.heard(), ["CONNACK 0x97", "closed"]);
    let resumed = world.connect(0, Hello::new("away").resume().persistent());
    assert!(resumed.session_present);
    assert_eq!(resumed.messages().len(), 90, "nothing was lost");
    publisher.ping();
    assert_eq!(pressures(&world), [Pressure::None], "it is free again");
    world.connect(0, "new");
}

#[test]
fn retained_messages_alone_keep_nobody_out() {
    for topic in ["r".to_owned(), "long".repeat(500)] {
        let world = World::with_limits(1, &limits(MIB));
        let publisher = world.connect(0, "pub");
        let payload = "x".repeat(if topic.len() > 1 { 1 } else { 10_000 });
        let mut refused = 0;
        for number in 0..400 {
            let topic = format!("{topic}/{number}");
            let publication = Publication::new(&topic, &payload).qos(Q1).retain();
            publisher.publish_with(&publication);
            let full = |heard: &Heard| matches!(heard, Heard::Ack(_, _, ReasonCode::QuotaExceeded));
            refused += publisher
                .heard_packets()
                .iter()
                .filter(|it| full(it))
                .count();
        }
        assert!(refused > 100, "{refused}");
        assert_eq!(pressures(&world), []);
        let held = held(&world, 1);
        assert!((MIB / 3..MIB / 5 * 3).contains(&held), "{held}");
        world.connect(0, "new");
    }
}

#[test]
fn when_memory_is_full_queues_do_not_grow_and_small_clients_go_on() {
    for shards in [1, 2] {
        let world = World::with_limits(shards, &limits(MIB));
        let other = usize::from(shards - 1);
        parked(&world, 0, "away", "q/#");
        let reader = world.connect(0, Hello::new("reader").persistent());
        reader.subscribe("t", Q1);
        let publisher = world.connect(other, "pub");
        publish(&publisher, "q", 300, false);
        assert!(pressures(&world).contains(&Pressure::Full));
        let most = held(&world, shards);
        assert!(most < MIB + 200 * 1024, "{most}");
        let refused = world.dial(0, "new");
        assert_eq!(refused.heard(), ["CONNACK 0x97", "closed"]);
        for _ in 0..STRANGERS_AT_FULL {
            let stranger = world.open(0, Version::V5);
            stranger.send_bytes(b"");
            assert!(!stranger.is_closed(), "it may have a session");
        }
        let stranger = world.open(0, Version::V5);
        stranger.send_bytes(b"");
        assert!(stranger.is_closed(), "no place for one more");
        for n in 0..100 {
            publisher.publish("t", &n.to_string(), if n % 2 == 0 { Q0 } else { Q1 });
        }
        assert_eq!(reader.received().len(), 100);
        let dropped = world.shard_mut(0, |shard| shard.stats().dropped(DropReason::MemoryFull));
        assert!(dropped > 190, "{dropped}");
    }
}

#[test]
fn when_memory_is_full_clients_come_back_to_their_sessions_and_make_room() {
    for shards in [1, 2] {
        let world = World::with_limits(shards, &limits(MIB));
        let other = usize::from(shards - 1);
        parked(&world, 0, "away", "q/#");
        parked(&world, 0, "anew", "q/#");
        let publisher = world.connect(other, "pub");
        publish(&publisher, "q", 200, false);
        assert_eq!(pressures(&world), [Pressure::High, Pressure::Full]);
        let anew = world.connect(other, "anew");
        assert!(
            !anew.session_present,
            "it has a session in the old one's place"
        );
        let back = world.connect(other, Hello::new("away").resume().persistent());
        assert!(back.session_present);
        assert!(
            back.messages().len() >= 90,
            "nothing is lost that was queued"
        );
        publisher.ping();
        back.ping();
        assert_eq!(pressures(&world).last(), Some(&Pressure::None));
        world.connect(0, "new");
    }
}

#[test]
fn when_memory_is_full_those_who_hold_much_are_disconnected() {
    let world = World::with_limits(1, &limits(MIB));
    parked(&world, 0, "away", "late/#");
    let half = world.connect(0, "half");
    half.send_bytes(&[HALF, &[0; 300_000]].concat());
    let deaf = world.connect(0, "deaf");
    deaf.subscribe("q/#", Q0);
    deaf.stall();
    let small = world.connect(0, "small");
    let publisher = world.connect(0, "pub");
    publish(&publisher, "q", 70, false);
    assert!(!half.is_closed());
    publish(&publisher, "late", 100, false);
    assert_eq!(half.heard(), ["DISCONNECT 0x97", "closed"]);
    assert!(deaf.is_closed() && !small.is_closed() && !publisher.is_closed());
}

/// Connects if there is a place.
fn try_connect(world: &World, shard: u8, hello: Hello) -> Option<Client> {
    let client = world.dial(usize::from(shard % 2), hello);
    let heard = client.heard_packets();
    let is_in = |heard: &Heard| {
        matches!(
            heard,
            Heard::ConnAck {
                reason: ReasonCode::Success,
                ..
            }
        )
    };
    heard.iter().any(is_in).then_some(client)
}

#[derive(Clone, Debug)]
enum Attack {
    Session(u8),
    Retain(u8, usize),
    Publish(u8, usize),
    Subscribe(u8, u8),
    Half(u8, usize),
    Pass(u64),
}

fn attack() -> impl Strategy<Value = Attack> {
    let len = || 0..60_000_usize;
    prop_oneof![
        any::<u8>().prop_map(Attack::Session),
        (any::<u8>(), len()).prop_map(|(n, len)| Attack::Retain(n, len)),
        (any::<u8>(), len()).prop_map(|(n, len)| Attack::Publish(n, len)),
        (any::<u8>(), any::<u8>()).prop_map(|(n, m)| Attack::Subscribe(n, m)),
        (any::<u8>(), len()).prop_map(|(n, len)| Attack::Half(n, len)),
        (0..100_u64).prop_map(Attack::Pass),
    ]
}

/// Does it; how many connections there may be more.
fn carry_out(world: &World, publisher: &Client, attack: &Attack) -> usize {
    let session = |n: u8| try_connect(world, n, Hello::new(&format!("c{n}")).persistent());
    match *attack {
        Attack::Session(n) => {
            if let Some(client) = session(n) {
                client.subscribe_with(&[Wanted::new(&format!("t/{}", n % 16), Q1)]);
                if n % 3 == 0 {
                    client.stall();
                } else {
                    client.lose();
                }
            }
        }
        Attack::Retain(n, len) => {
            let (topic, payload) = (format!("r/{n}"), "x".repeat(len));
            publisher.publish_with(&Publication::new(&topic, &payload).retain());
        }
        Attack::Publish(n, len) => {
            let (topic, payload) = (format!("t/{}", n % 16), "x".repeat(len));
            publisher.publish_with(&Publication::new(&topic, &payload).qos(Q1));
        }
        Attack::Subscribe(n, m) => {
            if let Some(client) = session(n) {
                client.subscribe_with(&[Wanted::new(&format!("{m}{}", "/+".repeat(20)), Q1)]);
            }
        }
        Attack::Half(n, len) => {
            if let Some(client) = try_connect(world, n, Hello::new(&format!("h{n}"))) {
                client.send_bytes(&[HALF, &vec![0; len]].concat());
            }
        }
        Attack::Pass(millis) => {
            world.advance_millis(millis);
            return 0;
        }
    }
    1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever clients do, the node holds the bound, and a little for each connection.
    #[test]
    fn there_is_never_much_more_than_the_bound(attacks in prop::collection::vec(attack(), 50..300)) {
        let max = MIB / 2;
        let world = World::with_limits(2, &limits(max));
        let publisher = world.connect(0, "pub");
        let mut connections = 1;
        for attack in attacks {
            connections += carry_out(&world, &publisher, &attack);
            prop_assert!(held(&world, 2) < max + connections * 140 * 1024);
        }
        publisher.heard();
        publisher.ping();
        prop_assert_eq!(publisher.heard(), ["PINGRESP"]);
    }
}
