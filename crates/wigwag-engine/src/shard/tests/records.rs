//! What is written down and begun with again: restarts, crashes, and saves while everything goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use wigwag_proto::{PacketId, Qos};

use super::takeover::Picks;
use super::world::{Client, Hello, Publication, Q0, Q1, Q2, Wanted, World};
use crate::node::{Node, ShardId};
use crate::policy::{AllowAll, Identity, Policy};
use crate::record::load::Loader;
use crate::record::save::{Extent, Question, Save, Step};
use crate::record::{Changes, Kind};
use crate::restored::Clock;
use crate::session::{Outgoing, Session};
use crate::settings::{RoutesQos2, Settings};
use crate::shard::Shard;

/// The Unix time of a world's beginning.
const EPOCH: Duration = Duration::from_secs(1_000_000_000);

type Records = BTreeMap<(Kind, Vec<u8>), Vec<u8>>;

/// A store, and the wall clock beside it.
#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) records: Records,
    /// How far the wall clock is ahead of the time of the world.
    ahead: Duration,
    /// Records that the last save has written or deleted.
    written: usize,
}

/// A save that is going on.
pub(super) struct Saving {
    save: Save,
    changes: Vec<(Kind, Vec<u8>, Option<Vec<u8>>)>,
    clock: Clock,
}

impl Disk {
    pub(super) fn new() -> Disk {
        Disk {
            ahead: EPOCH,
            ..Disk::default()
        }
    }

    fn clock(&self, world: &World) -> Clock {
        let now = world.now();
        Clock::new(now, now.since_origin() + self.ahead)
    }

    /// A world that begins with what is in the store.
    pub(super) fn world(&mut self, shards: u16, settings: &Settings) -> World {
        self.world_with(shards, settings, || Box::new(AllowAll))
    }

    fn world_with(
        &mut self,
        shards: u16,
        settings: &Settings,
        policy: impl Fn() -> Box<dyn Policy>,
    ) -> World {
        let world = World::of(Node::new(shards, 7).with_records(), settings, policy);
        let (node, clock) = (world.node(), self.clock(&world));
        let mut loader = Loader::new(&node, clock).expect("records are kept");
        for kind in Kind::ALL {
            for ((_, key), value) in self.records.iter().filter(|((of, _), _)| *of == kind) {
                // A test that damages nothing sees what is missing.
                let _ = loader.add(kind, key, value);
            }
        }
        let loaded = loader.finish();
        for key in loaded.stale {
            self.records.remove(&key);
        }
        node.handle_restored(loaded.restored.retained);
        for (session, turn) in loaded.restored.sessions.into_iter().zip(1_u16..) {
            // Anywhere.
            world.embed(usize::from(turn % shards), |shard, now| {
                shard.handle_restored(now, session);
            });
        }
        world
    }

    pub(super) fn begin_save(&self, world: &World, extent: Extent) -> Saving {
        Saving {
            save: Save::new(&world.node(), extent).expect("records are kept"),
            changes: Vec::new(),
            clock: self.clock(world),
        }
    }

    /// Saves all at once.
    pub(super) fn save(&mut self, world: &World) {
        let mut saving = self.begin_save(world, Extent::Running);
        while saving.step(world) {}
        self.commit(world, saving);
    }

    /// Takes a save that has begun to its end, while letters go on arriving in any order.
    fn end_save(&mut self, world: &World, mut saving: Saving, pick: &mut Picks) {
        while saving.step(world) {
            world.deliver_one(pick.next());
        }
        self.commit(world, saving);
    }

    fn commit(&mut self, world: &World, mut saving: Saving) {
        loop {
            let changes = world.node().poll_retained_changes();
            if changes.is_empty() {
                break;
            }
            saving.take(changes);
        }
        let last = std::mem::replace(
            &mut saving.save,
            Save::new(&world.node(), Extent::Last).expect("records are kept"),
        );
        saving.take(last.finish());
        self.written = saving.changes.len();
        for (kind, key, value) in saving.changes {
            match value {
                Some(value) => self.records.insert((kind, key), value),
                None => self.records.remove(&(kind, key)),
            };
        }
    }

    /// The broker stops and is started again after a while, with so many shards.
    pub(super) fn restart(&mut self, world: World, shards: u16, down_secs: u64) -> World {
        self.restart_with(world, shards, down_secs, &mut Picks(0))
    }

    pub(super) fn restart_with(
        &mut self,
        world: World,
        shards: u16,
        down_secs: u64,
        pick: &mut Picks,
    ) -> World {
        world.shut_down();
        world.lose_all();
        let mut saving = self.begin_save(&world, Extent::Last);
        while saving.step(&world) {
            world.deliver_one(pick.next());
        }
        self.commit(&world, saving);
        let settings = world.shard(0, |shard| shard.settings().clone());
        self.begin_again(&world, down_secs);
        drop(world);
        self.world(shards, &settings)
    }

    /// The broker is killed.
    fn crash(&mut self, world: World, shards: u16) -> World {
        self.begin_again(&world, 0);
        let settings = world.shard(0, |shard| shard.settings().clone());
        drop(world);
        self.world(shards, &settings)
    }

    /// A save has written all that has changed: a node that began with it would have the same.
    pub(super) fn assert_complete(&mut self, world: &World) {
        self.save(world);
        let settings = world.shard(0, |shard| shard.settings().clone());
        let other = self.clone().world(2, &settings);
        assert_eq!(state(&other), state(world));
    }

    /// Another process counts time anew.
    fn begin_again(&mut self, world: &World, down_secs: u64) {
        let passed = world.now().since_origin() - Duration::from_secs(1_000);
        self.ahead += passed + Duration::from_secs(down_secs);
    }

    fn count(&self, kind: Kind) -> usize {
        self.records.keys().filter(|(of, _)| *of == kind).count()
    }
}

/// What the node keeps of each client, in words.
pub(super) fn state(world: &World) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for index in 0..usize::from(world.node().shards) {
        world.shard_mut(index, |shard| {
            for session in shard.sessions.values_mut() {
                if session.is_persistent() {
                    let client_id = session.identity.client_id.to_string();
                    all.insert(client_id, words(session));
                }
            }
        });
    }
    all
}

fn words(session: &mut Session) -> String {
    let name = |outgoing: &Outgoing| {
        let view = outgoing.message.view();
        let payload = String::from_utf8_lossy(view.payload).into_owned();
        format!(
            "{} {payload} {:?} {:?}",
            view.topic, outgoing.qos, outgoing.terms
        )
    };
    let queue: Vec<String> = session.queue.iter_mut().map(|out| name(out)).collect();
    let ids: Vec<PacketId> = (1..200).filter_map(PacketId::new).collect();
    let in_flight: Vec<String> = ids
        .into_iter()
        .filter_map(|id| {
            let at = session.flight.standing(id)?;
            let message = at.message.as_ref().map(name);
            Some(format!("{id} {} {message:?}", at.is_released))
        })
        .collect();
    let unreleased = &session.unreleased;
    let received: Vec<_> = unreleased
        .packet_ids()
        .map(|id| {
            (
                id,
                unreleased.message(id).map(|held| held.payload().clone()),
            )
        })
        .collect();
    format!(
        "{:?} {} {:?} {queue:?} {in_flight:?} {received:?}",
        session.identity.user_name, session.expiry_secs, session.subscriptions
    )
}

impl Saving {
    /// Does the next thing; false when nothing is left.
    pub(super) fn step(&mut self, world: &World) -> bool {
        match self.save.poll() {
            Step::Ask(ShardId(shard), question) => {
                let clock = self.clock;
                let answer =
                    world.shard_mut(shard.into(), |shard| shard.handle_save(&clock, question));
                self.save.handle_answer(Some(&answer));
                self.take(answer.changes);
                true
            }
            Step::Wait => true,
            Step::Done => false,
        }
    }

    fn take(&mut self, changes: Changes) {
        let all = &mut self.changes;
        changes.write(&self.clock, |kind, key, value| {
            all.push((kind, key.to_vec(), value.map(<[u8]>::to_vec)));
        });
    }
}

fn settings() -> Settings {
    Settings::default()
}

/// Messages of QoS 2 are routed with their PUBREL.
fn releasing() -> Settings {
    Settings {
        routes_qos2_at: RoutesQos2::Release,
        ..settings()
    }
}

fn sub() -> Hello {
    Hello::new("sub").persistent()
}

fn publish(world: &World, shard: usize, payloads: std::ops::Range<u32>, qos: Qos) {
    let publisher = world.connect(shard, "pub");
    for n in payloads {
        publisher.publish("t", &n.to_string(), qos);
    }
    publisher.disconnect();
}

#[test]
fn everything_of_a_session_is_there_after_a_restart() {
    // [MQTT-4.4.0-1], [MQTT-4.5.0-1], [MQTT-4.3.3-6], [MQTT-3.8.4-4]
    for shards in [(1, 1), (2, 1), (1, 3), (3, 2)] {
        let mut disk = Disk::new();
        let world = disk.world(shards.0, &settings());
        let client = world.connect(0, sub().quiet().receive_maximum(4));
        let wanted = Wanted::new("t", Q2).identifier(7).retain_as_published();
        client.subscribe_with(&[wanted]);
        publish(&world, 0, 1..3, Q2);
        publish(&world, 0, 3..8, Q1);
        client.pubrec(1);
        client.puback(3);
        let world = disk.restart(world, shards.1, 5);
        let client = world.connect(0, sub().quiet());
        assert!(client.session_present);
        assert_eq!(
            client.heard(),
            [
                "PUBREL 1",
                "PUBLISH 2 t 2 q2 dup id=7",
                "PUBLISH 4 t 4 q1 dup id=7",
                "PUBLISH 5 t 5 q1 dup id=7",
                "PUBLISH 6 t 6 q1 id=7",
                "PUBLISH 7 t 7 q1 id=7",
            ],
            "{shards:?}"
        );
        publish(&world, 0, 8..9, Q0);
        assert_eq!(client.received(), ["t 8 id=7"], "the subscription is there");
    }
}

#[test]
fn what_was_received_at_qos_2_is_not_delivered_twice() {
    // [MQTT-4.3.3-10]
    let mut disk = Disk::new();
    let world = disk.world(2, &settings());
    world.connect(1, sub()).subscribe("t", Q2);
    world.lose_all();
    let publisher = || Hello::new("pub").persistent().quiet();
    let client = world.connect(0, publisher());
    let publication = |n: u16| Publication::new("t", &n.to_string()).qos(Q2).packet_id(n);
    for n in 1..4 {
        client.publish_with(&publication(n));
    }
    client.pubrel(2);
    let world = disk.restart(world, 1, 0);
    let client = world.connect(0, publisher());
    for n in [1, 3] {
        client.publish_with(&publication(n).dup());
        client.pubrel(n);
    }
    let heard = client.heard();
    assert_eq!(heard, ["PUBREC 1", "PUBCOMP 1", "PUBREC 3", "PUBCOMP 3"]);
    client.publish_with(&publication(2));
    let received = world.connect(0, sub()).received();
    assert_eq!(received, ["t 1 q2", "t 2 q2", "t 3 q2", "t 2 q2"]);
}

#[test]
fn time_passes_while_the_broker_is_down() {
    // [MQTT-3.1.2-23], [MQTT-3.3.2-5], [MQTT-3.3.2-6]
    let mut disk = Disk::new();
    let world = disk.world(1, &settings());
    for (id, secs) in [("short", 100), ("long", 1_000)] {
        let client = world.connect(0, Hello::new(id).resume().expiry(secs));
        client.subscribe("t", Q1);
        client.disconnect();
    }
    let publisher = world.connect(0, "pub");
    for secs in [200, 30] {
        let publication = Publication::new("t", &secs.to_string()).qos(Q1);
        publisher.publish_with(&publication.expiry(secs));
    }
    publisher.publish_with(&Publication::new("kept", "1").retain().expiry(300));
    publisher.publish_with(&Publication::new("old", "1").retain().expiry(40));
    let world = disk.restart(world, 1, 60);
    world.advance(10);
    let client = world.connect(0, Hello::new("long").persistent());
    assert_eq!(client.received(), ["t 200 q1 expiry=130"]);
    client.subscribe("#", Q0);
    assert_eq!(client.received(), ["kept 1 retain expiry=230"]);
    let exists = |world: &World| {
        world
            .dial(0, Hello::new("short").resume())
            .heard()
            .remove(0)
    };
    let world = disk.restart(world, 1, 20);
    assert_eq!(exists(&world), "CONNACK present", "10 seconds are left");
    let world = disk.restart(world, 1, 0);
    assert_eq!(
        exists(&world),
        "CONNACK",
        "it has ended with its connection"
    );
}

#[test]
fn a_session_that_ends_while_the_broker_is_down_ends_with_its_will() {
    let mut disk = Disk::new();
    let world = disk.world(2, &settings());
    let witness = || Hello::new("witness").persistent();
    world.connect(0, witness()).subscribe("will", Q1);
    let will = |payload| Publication::new("will", payload).qos(Q1);
    for (id, expiry, delay) in [("ends", 50, 1_000), ("waits", 1_000, 30)] {
        let hello = Hello::new(id).resume().expiry(expiry);
        world
            .connect(1, hello.will(will(id)).will_delay(delay))
            .lose();
    }
    let world = disk.restart(world, 2, 20);
    let client = world.connect(0, witness());
    assert_eq!(client.received(), [""; 0]);
    world.advance(10);
    assert_eq!(client.received(), ["will waits q1"]);
    let world = disk.restart(world, 1, 60);
    world.advance(0);
    assert_eq!(world.connect(0, witness()).received(), ["will ends q1"]);
}

#[test]
fn a_client_that_was_connected_when_the_broker_died_is_taken_for_lost() {
    // [MQTT-3.1.2-8]
    let mut disk = Disk::new();
    let world = disk.world(1, &settings());
    let witness = || Hello::new("witness").persistent();
    world.connect(0, witness()).subscribe("will", Q1);
    let hello = Hello::new("c").resume().expiry(100);
    world.connect(0, hello.will(Publication::new("will", "c").qos(Q1)));
    disk.save(&world);
    let world = disk.crash(world, 2);
    world.advance(0);
    assert_eq!(world.connect(0, witness()).received(), ["will c q1"]);
    world.advance(99);
    disk.save(&world);
    assert_eq!(disk.count(Kind::Session), 2);
    world.advance(1);
    disk.save(&world);
    assert_eq!(disk.count(Kind::Session), 1);
}

#[test]
fn shared_subscriptions_and_their_messages_come_back() {
    let mut disk = Disk::new();
    let world = disk.world(2, &settings());
    let member = |n: usize| Hello::new(&format!("m{n}")).persistent();
    for n in 0..2 {
        let client = world.connect(n, member(n).quiet());
        client.subscribe("$share/g/t", Q1);
    }
    publish(&world, 0, 0..4, Q1);
    let world = disk.restart(world, 1, 0);
    let first = world.connect(0, member(0));
    assert_eq!(first.received().len(), 2, "its own");
    // The other session ends: what it had goes to the one that is left.
    world.connect(0, Hello::new("m1")).disconnect();
    assert_eq!(first.received().len(), 2, "those of the other");
    publish(&world, 0, 4..5, Q1);
    assert_eq!(first.received(), ["t 4 q1"]);
}

/// Lets nobody publish who has been banned.
struct Ban(bool);

impl Policy for Ban {
    fn may_publish(&self, who: &Identity, _: wigwag_proto::TopicName<'_>) -> bool {
        !(self.0 && who.user_name.as_deref() == Some("banned"))
    }

    fn may_subscribe(&self, _: &Identity, _: wigwag_proto::TopicFilter<'_>) -> bool {
        true
    }

    fn may_receive(&self, _: &Identity, _: wigwag_proto::TopicName<'_>) -> bool {
        true
    }
}

#[test]
fn a_retained_message_knows_its_publisher() {
    let mut disk = Disk::new();
    let mut settings = settings();
    settings.check_retain_source = true;
    let world = disk.world(1, &settings);
    for name in ["banned", "welcome"] {
        let client = world.connect(0, Hello::new(name).user_name(name));
        client.publish_with(&Publication::new(name, "1").retain().qos(Q1));
    }
    disk.save(&world);
    for is_banned in [true, false] {
        let world = disk.world_with(1, &settings, || Box::new(Ban(is_banned)));
        let client = world.connect(0, "sub");
        client.subscribe("#", Q0);
        let expect: &[&str] = if is_banned {
            &["welcome 1 retain"]
        } else {
            &["banned 1 retain", "welcome 1 retain"]
        };
        assert_eq!(client.received(), expect);
    }
}

#[test]
fn retained_messages_that_a_new_subscription_has_not_got_follow_after_a_restart() {
    // [MQTT-3.3.1-9]
    let mut disk = Disk::new();
    let world = disk.world(1, &settings());
    let publisher = world.connect(0, "pub");
    for n in 0..5 {
        publisher.publish_with(&Publication::new(&format!("t/{n}"), "1").retain().qos(Q1));
    }
    let client = world.connect(0, sub().quiet().receive_maximum(2));
    client.subscribe("t/#", Q1);
    let world = disk.restart(world, 1, 0);
    let received = world.connect(0, sub()).received();
    let topics = [0, 1, 2, 3, 4].map(|n| format!("t/{n} 1 q1"));
    assert_eq!(received.len(), 5);
    for (received, topic) in received.iter().zip(topics) {
        assert!(received.starts_with(&topic), "{received}");
    }
}

#[test]
fn a_save_writes_what_has_changed_and_a_message_once() {
    let mut disk = Disk::new();
    let world = disk.world(2, &settings());
    for n in 0..100 {
        let client = world.connect(n % 2, Hello::new(&format!("c{n}")).persistent());
        client.subscribe("all", Q1);
        client.disconnect();
    }
    world.connect(0, sub()).subscribe("t", Q1);
    world.lose_all();
    publish(&world, 0, 0..1_000, Q1);
    disk.save(&world);
    assert_eq!(disk.count(Kind::Message), 1_000);
    disk.save(&world);
    assert_eq!(disk.written, 0);
    publish(&world, 0, 0..1, Q1);
    disk.save(&world);
    assert_eq!(disk.written, 2, "the message, and that it waits");
    world.connect(1, "p").publish("all", "1", Q1);
    disk.save(&world);
    assert_eq!(disk.written, 101);
    assert_eq!(disk.count(Kind::Message), 1_002);
    for n in 0..100 {
        world.connect(n % 2, Hello::new(&format!("c{n}")).resume());
    }
    world.connect(1, sub());
    // What has been delivered is deleted, and a message when nobody refers to it any more.
    disk.save(&world);
    disk.save(&world);
    assert_eq!(disk.count(Kind::Message), 0);
    assert_eq!(disk.count(Kind::Entry), 0);
    assert_eq!(disk.count(Kind::InFlight), 0);
    assert_eq!(
        disk.count(Kind::Session),
        1,
        "the others end with their connections"
    );
}

#[test]
fn each_change_alone_is_enough_for_the_next_save() {
    let mut disk = Disk::new();
    let world = disk.world(2, &settings());
    let client = world.connect(0, sub().quiet());
    let publisher = world.connect(1, "pub");
    let mut then = |what: &str, act: &dyn Fn()| {
        act();
        let (changed, before) = (state(&world), disk.clone());
        disk.assert_complete(&world);
        assert_ne!(disk.records, before.records, "{what}: {changed:?}");
    };
    then("the session", &|| {});
    then("SUBSCRIBE", &|| client.subscribe("t", Q2));
    then("a message of QoS 1", &|| publisher.publish("t", "1", Q1));
    then("a message of QoS 2", &|| publisher.publish("t", "2", Q2));
    then("a refused message", &|| publisher.publish("t", "3", Q2));
    then("PUBACK", &|| client.puback(1));
    then("PUBREC", &|| client.pubrec(2));
    then("PUBCOMP", &|| client.pubcomp(2));
    then("another SUBSCRIBE", &|| client.subscribe("u", Q1));
    then("UNSUBSCRIBE", &|| _ = client.unsubscribe(&["u"]));
    then("PUBLISH", &|| {
        client.publish_with(&Publication::new("x", "1").qos(Q2).packet_id(9));
    });
    then("PUBREL", &|| client.pubrel(9));
    then("the end of the connection", &|| client.lose());
    then("a message that waits", &|| publisher.publish("t", "4", Q1));
    let retained = |payload| Publication::new("kept", payload).retain();
    then("a retained message", &|| {
        _ = publisher.publish_with(&retained("1"));
    });
    then("another one", &|| {
        _ = publisher.publish_with(&retained("2"));
    });
    then("none", &|| _ = publisher.publish_with(&retained("")));
}

#[test]
fn nothing_is_left_of_a_session_that_ends_and_of_messages_that_are_not_retained_any_more() {
    let mut disk = Disk::new();
    let world = disk.world(2, &settings());
    let client = world.connect(0, sub().quiet());
    client.subscribe("t", Q2);
    publish(&world, 1, 0..5, Q2);
    client.publish_with(&Publication::new("x", "1").qos(Q2));
    client.publish_with(&Publication::new("kept", "1").retain());
    client.pubrec(1);
    disk.save(&world);
    assert!(disk.records.len() > 10);
    client.publish_with(&Publication::new("kept", "").retain());
    world.connect(1, Hello::new("sub")).disconnect();
    disk.save(&world);
    disk.save(&world);
    let left: Vec<_> = disk.records.keys().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_the_broker_says_of_itself_is_not_kept() {
    let mut disk = Disk::new();
    let world = disk.world(1, &settings());
    let message = crate::message::MessageRef {
        topic: super::world::name("$SYS/broker/uptime"),
        qos: Q0,
        retain: true,
        properties: wigwag_proto::Properties::EMPTY,
        payload: b"1",
        expires_at: None,
    };
    world.embed(0, |shard, now| shard.handle_injected(now, message));
    disk.save(&world);
    assert!(disk.records.is_empty());
}

#[test]
fn a_long_queue_is_written_in_steps() {
    let mut disk = Disk::new();
    let mut settings = settings();
    settings.limits.queued_messages_max = 20_000;
    let world = disk.world(1, &settings);
    let client = world.connect(0, sub());
    client.subscribe("t", Q1);
    client.disconnect();
    publish(&world, 0, 0..20_000, Q1);
    let mut saving = disk.begin_save(&world, Extent::Running);
    let mut longest = 0;
    while {
        let before = saving.changes.len();
        let goes_on = saving.step(&world);
        longest = longest.max(saving.changes.len() - before);
        goes_on
    } {}
    assert!(longest < 5_000, "{longest} changes in one step");
    disk.commit(&world, saving);
    let world = disk.crash(world, 2);
    assert_eq!(world.connect(1, sub()).received().len(), 20_000);
}

#[test]
fn sessions_that_come_and_go_while_nothing_is_saved_leave_nothing() {
    const SESSIONS: usize = 10_000;
    let world = Disk::new().world(1, &settings());
    for n in 0..SESSIONS {
        let client_id = n.to_string();
        world.connect(0, Hello::new(&client_id).persistent()).lose();
        world.connect(0, &*client_id).disconnect();
        world.shard_mut(0, Shard::take_changes);
    }
    let saving = Disk::new().begin_save(&world, Extent::Running);
    let answer = world.shard_mut(0, |shard| shard.handle_save(&saving.clock, Question::Begin));
    assert!(answer.due < SESSIONS / 2, "{} are noted", answer.due);
}

/// A store with something of every kind.
fn rich() -> Disk {
    let mut disk = Disk::new();
    let world = disk.world(2, &releasing());
    let will = Publication::new("will", "1").qos(Q1).expiry(50);
    let hello = sub().quiet().receive_maximum(2).will(will).will_delay(30);
    let client = world.connect(0, hello);
    client.subscribe_with(&[Wanted::new("t/#", Q2).identifier(3)]);
    client.subscribe("$share/g/t", Q1);
    client.publish_with(&Publication::new("x", "1").qos(Q2).packet_id(5));
    let retained = Publication::new("t/kept", "1").retain().qos(Q1).expiry(500);
    world.connect(1, "p").publish_with(&retained);
    world
        .connect(1, Hello::new("other").persistent().quiet())
        .subscribe("t", Q2);
    publish(&world, 0, 0..6, Q2);
    client.pubrec(1);
    disk.save(&world);
    assert!(Kind::ALL.into_iter().all(|kind| disk.count(kind) > 0));
    disk
}

fn drain(world: &World, pick: &mut Picks) {
    while world.deliver_one(pick.next()) {}
}

/// The numbers that a client was sent, in order.
fn numbers(client: &Client) -> Vec<u32> {
    let messages = client.messages();
    messages
        .iter()
        .map(|message| message.payload.parse().expect("a number"))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A session that moves while it is saved is neither lost nor doubled, whatever the order of letters.
    #[test]
    fn a_session_may_move_during_a_save(
        shards in 2_u16..4,
        steps in prop::collection::vec(0_u8..6, 0..40),
        seed in any::<u64>(),
    ) {
        let mut pick = Picks(seed);
        let mut disk = Disk::new();
        let world = disk.world(shards, &settings());
        world.connect(0, sub()).subscribe("t", Q2);
        world.lose_all();
        // Some of it in an earlier save.
        publish(&world, 0, 0..5, Q2);
        disk.save(&world);
        publish(&world, 1, 5..10, Q1);
        world.hold_letters();
        let hello = || sub().quiet().receive_maximum(3);
        let mut clients = vec![world.dial(pick.below(shards.into()), hello())];
        for _ in 0..pick.below(6) {
            world.deliver_one(pick.next());
        }
        let mut saving = disk.begin_save(&world, Extent::Running);
        for step in steps {
            match step {
                0 => clients.push(world.dial(pick.below(shards.into()), hello())),
                1 | 2 => drop(saving.step(&world)),
                _ => drop(world.deliver_one(pick.next())),
            }
        }
        disk.end_save(&world, saving, &mut pick);
        let world = disk.crash(world, 1);
        let client = world.connect(0, sub());
        prop_assert!(client.session_present);
        prop_assert_eq!(numbers(&client), (0..10).collect::<Vec<_>>());
    }

    /// Whatever a store holds, reading it and going on with it ends well; what is intact is there.
    #[test]
    fn damaged_records_do_no_harm(
        damages in prop::collection::vec((any::<u32>(), 0_u8..5, any::<u16>(), any::<u8>()), 1..6),
    ) {
        let mut disk = rich();
        let keys: Vec<_> = disk.records.keys().cloned().collect();
        for (pick, kind, at, byte) in damages {
            let key = keys[pick as usize % keys.len()].clone();
            let Some(mut value) = disk.records.remove(&key) else { continue };
            let (mut key, at) = (key, usize::from(at) % value.len().max(1));
            match kind {
                0 if !value.is_empty() => value[at] ^= byte | 1,
                1 => value.truncate(at),
                2 => value.insert(at.min(value.len()), byte),
                // A number that refers to something else, or to nothing.
                3 => {
                    let last = key.1.len() - 1;
                    key.1[last] ^= byte;
                }
                _ => continue,
            }
            disk.records.insert(key, value);
        }
        let world = disk.world_with(2, &settings(), || Box::new(AllowAll));
        for _ in 0..2 {
            for id in ["sub", "other"] {
                world.connect(1, Hello::new(id).persistent());
            }
            publish(&world, 0, 0..2, Q2);
            disk.save(&world);
            world.advance(4_000);
            disk.save(&world);
        }
        world.lose_all();
        world.advance(8_000);
        disk.save(&world);
        disk.save(&world);
    }

    /// A publisher that sends everything of QoS 2 again after a crash doubles nothing, wherever the save was.
    #[test]
    fn a_save_does_not_tear_a_message_from_its_packet_identifier(
        steps in prop::collection::vec(0_u8..4, 0..60),
        seed in any::<u64>(),
    ) {
        let mut pick = Picks(seed);
        let mut disk = Disk::new();
        let world = disk.world(2, &settings());
        world.connect(pick.below(2), sub()).subscribe("t", Q2);
        world.lose_all();
        let publisher = || Hello::new("pub").persistent().quiet();
        let client = world.connect(pick.below(2), publisher());
        disk.save(&world);
        world.hold_letters();
        let publication = |n: u16| Publication::new("t", &n.to_string()).qos(Q2).packet_id(n);
        let mut published = 0;
        let mut saving = None;
        let mut before = 0;
        for step in steps {
            match step {
                0 | 1 => {
                    published += 1;
                    client.publish_with(&publication(published));
                }
                2 if saving.is_none() => {
                    // An acknowledged message has left its shard before anybody can ask for a save.
                    drain(&world, &mut pick);
                    before = published;
                    saving = Some(disk.begin_save(&world, Extent::Running));
                }
                2 => drop(saving.as_mut().map(|saving| saving.step(&world))),
                _ => drop(world.deliver_one(pick.next())),
            }
        }
        if let Some(saving) = saving {
            disk.end_save(&world, saving, &mut pick);
        }
        let world = disk.crash(world, 2);
        let client = world.connect(0, publisher());
        for n in 1..=published {
            client.publish_with(&publication(n).dup());
        }
        let mut got = numbers(&world.connect(1, sub()));
        got.sort_unstable();
        let lost = (1..=u32::from(before)).find(|n| !got.contains(n));
        prop_assert_eq!(lost, None);
        let doubled = got.windows(2).find(|pair| pair[0] == pair[1]);
        prop_assert_eq!(doubled, None);
    }

    /// A publisher that goes on after a crash with what it has not finished doubles nothing and loses nothing but
    /// what it has released during the save.
    #[test]
    fn a_save_does_not_tear_a_message_from_its_release(
        steps in prop::collection::vec(0_u8..5, 0..60),
        seed in any::<u64>(),
    ) {
        let mut pick = Picks(seed);
        let mut disk = Disk::new();
        let world = disk.world(2, &releasing());
        world.connect(pick.below(2), sub()).subscribe("t", Q2);
        world.lose_all();
        let publisher = || Hello::new("pub").persistent().quiet();
        let client = world.connect(pick.below(2), publisher());
        disk.save(&world);
        world.hold_letters();
        let publication = |n: u16| Publication::new("t", &n.to_string()).qos(Q2).packet_id(n);
        let (mut published, mut released) = (0, 0);
        let mut saving = None;
        let mut before = 0;
        for step in steps {
            match step {
                0 | 1 => {
                    published += 1;
                    client.publish_with(&publication(published));
                }
                2 if released < published => {
                    released += 1;
                    client.pubrel(released);
                }
                3 if saving.is_none() => {
                    drain(&world, &mut pick);
                    before = released;
                    saving = Some(disk.begin_save(&world, Extent::Running));
                }
                3 => drop(saving.as_mut().map(|saving| saving.step(&world))),
                _ => drop(world.deliver_one(pick.next())),
            }
        }
        if let Some(saving) = saving {
            disk.end_save(&world, saving, &mut pick);
        }
        let world = disk.crash(world, 2);
        let client = world.connect(0, publisher());
        for n in 1..=published {
            if n > released {
                client.publish_with(&publication(n).dup());
            }
            client.pubrel(n);
        }
        let mut got = numbers(&world.connect(1, sub()));
        got.sort_unstable();
        let is_promised = |n: &u32| *n <= before.into() || *n > released.into();
        let mut promised = (1..=u32::from(published)).filter(is_promised);
        prop_assert_eq!(promised.find(|n| !got.contains(n)), None, "lost");
        let doubled = got.windows(2).find(|pair| pair[0] == pair[1]);
        prop_assert_eq!(doubled, None);
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_lengthen_the_life_of_a_session() {
    let mut disk = Disk::new();
    let world = disk.world(1, &settings());
    world
        .connect(0, Hello::new("sub").resume().expiry(100))
        .lose();
    disk.save(&world);
    disk.ahead -= Duration::from_secs(500_000);
    let world = disk.world(1, &settings());
    world.advance(101);
    assert_eq!(world.shard_mut(0, |shard| shard.stats().sessions), 0);
}
