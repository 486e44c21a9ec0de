//! A client with a store that is killed at every step: before and after each batch, each packet, each
//! call. Afterwards another is started from the store, and the promises are checked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wigwag_proto::codec::encode;
use wigwag_proto::packet::{ConnAck, Delivery, Publish as PublishPacket, PublishAck};
use wigwag_proto::{
    DecodeLimits, OutBuf, PacketId, Properties, PropertiesBuf, Property, TopicName, Version,
};
use wigwag_store::{Keyspace, Memory, Operation, Store};

use super::*;
use crate::config::Builder;
use crate::message::Publish;

const MESSAGES: usize = 6;
const TO_CLIENT: u16 = 2;

/// How far a message of the server has come.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Published,
    Released,
    Done,
}

/// The server's half of the session, which no crash of the client touches.
#[derive(Default)]
struct Server {
    has_session: bool,
    received: BTreeSet<PacketId>,
    /// Payload → how often it has been published onwards.
    delivered: BTreeMap<String, usize>,
    outgoing: BTreeMap<PacketId, Stage>,
}

impl Server {
    fn publish(id: PacketId, dup: bool) -> Packet<'static> {
        Packet::Publish(PublishPacket {
            delivery: Delivery::ExactlyOnce { packet_id: id, dup },
            retain: false,
            topic: TopicName::new("to/client").ok(),
            properties: Properties::EMPTY,
            payload: if id.get() == 1 { b"1" } else { b"2" },
        })
    }

    /// Deals with one packet and puts the answers onto the wire.
    fn handle(&mut self, packet: &Packet<'_>, down: &mut VecDeque<Vec<u8>>) {
        let mut answer = |packet: &Packet<'_>| {
            let mut bytes = Vec::new();
            encode(packet, Version::V5, &mut bytes).expect("valid");
            down.push_back(bytes);
        };
        match packet {
            Packet::Connect(connect) => {
                let session_present = self.has_session && !connect.clean_start;
                if !session_present {
                    // Right only while the client has not stored that it has a session.
                    assert!(self.received.is_empty(), "the session is given up");
                    self.outgoing.clear();
                }
                self.has_session = true;
                let mut properties = PropertiesBuf::new();
                properties.push(Property::ReceiveMaximum(2)).expect("short");
                properties
                    .push(Property::TopicAliasMaximum(1))
                    .expect("short");
                answer(&Packet::ConnAck(ConnAck {
                    session_present,
                    reason: ReasonCode::Success,
                    properties: properties.as_properties(),
                }));
                for id in (1..=TO_CLIENT).filter_map(PacketId::new) {
                    match self.outgoing.insert(id, Stage::Published) {
                        None => answer(&Server::publish(id, false)),
                        Some(Stage::Published) => answer(&Server::publish(id, true)),
                        Some(Stage::Released) => {
                            self.outgoing.insert(id, Stage::Released);
                            answer(&Packet::PubRel(PublishAck::new(id, ReasonCode::Success)));
                        }
                        Some(Stage::Done) => drop(self.outgoing.insert(id, Stage::Done)),
                    }
                }
            }
            Packet::Publish(publish) => {
                let payload = String::from_utf8_lossy(publish.payload).into_owned();
                let id = publish.delivery.packet_id().expect("QoS 1 or 2");
                let ack = PublishAck::new(id, ReasonCode::Success);
                if publish.delivery.qos() == Qos::AtLeastOnce {
                    *self.delivered.entry(payload).or_default() += 1;
                    answer(&Packet::PubAck(ack));
                } else {
                    if self.received.insert(id) {
                        *self.delivered.entry(payload).or_default() += 1;
                    }
                    answer(&Packet::PubRec(ack));
                }
            }
            Packet::PubRel(ack) => {
                self.received.remove(&ack.packet_id);
                answer(&Packet::PubComp(*ack));
            }
            Packet::PubRec(ack) => {
                self.outgoing.insert(ack.packet_id, Stage::Released);
                answer(&Packet::PubRel(*ack));
            }
            Packet::PubComp(ack) => drop(self.outgoing.insert(ack.packet_id, Stage::Done)),
            Packet::Disconnect(_) | Packet::PingReq => {}
            other => panic!("{} was not expected", other.packet_type()),
        }
    }

    fn is_done(&self) -> bool {
        self.outgoing.len() == usize::from(TO_CLIENT)
            && self.outgoing.values().all(|stage| *stage == Stage::Done)
    }
}

/// The client has been killed.
struct Killed;

struct World {
    disk: Memory,
    server: Server,
    random: fastrand::Rng,
    /// Messages that the program has tried to enqueue, over all lives.
    tried: usize,
    /// Those of which it was told that they are kept.
    accepted: BTreeSet<usize>,
    handled: BTreeMap<Vec<u8>, usize>,
    steps: usize,
    kill_at: Option<usize>,
    /// One batch in so many fails.
    failing: Option<usize>,
}

/// A client and the wires to its server: what a crash takes away.
struct Life {
    core: Core<()>,
    now: Time,
    numbers: BTreeMap<u64, usize>,
    saving: Option<Batch>,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    is_over: bool,
}

fn qos(message: usize) -> Qos {
    if message.is_multiple_of(3) {
        Qos::AtLeastOnce
    } else {
        Qos::ExactlyOnce
    }
}

fn drain(out: &mut OutBuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !out.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[])];
        out.io_slices(&mut slices);
        let len = slices[0].len();
        bytes.extend_from_slice(&slices[0]);
        out.advance(len);
    }
    bytes
}

impl World {
    fn new(seed: u64) -> World {
        World {
            disk: Memory::new(),
            server: Server::default(),
            random: fastrand::Rng::with_seed(seed),
            tried: 0,
            accepted: BTreeSet::new(),
            handled: BTreeMap::new(),
            steps: 0,
            kill_at: None,
            failing: None,
        }
    }

    /// Here the client may be killed.
    fn step(&mut self) -> Result<(), Killed> {
        self.steps += 1;
        if self.kill_at.is_some_and(|at| self.steps > at) {
            return Err(Killed);
        }
        Ok(())
    }

    /// Lives until nothing is left to do, or until the client is killed.
    fn live(&mut self) -> Result<(), Killed> {
        let builder = Builder::new("mqtt://h")
            .client_id("c")
            .keep_alive(Duration::ZERO)
            .session_expiry(Duration::from_secs(60));
        let mut core = Core::new(builder.into_config().expect("valid"), 7, Instant::now());
        let kept = Kept::read(&mut self.disk).expect("memory");
        core.restore(Time::ZERO, &kept, |_| ());
        core.start(Time::ZERO);
        let mut life = Life {
            core,
            now: Time::ZERO,
            numbers: BTreeMap::new(),
            saving: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            is_over: false,
        };
        while !life.is_over {
            self.run_outputs(&mut life)?;
            self.act(&mut life)?;
        }
        // What a client does when it stops.
        self.disk.commit(&life.core.take_unsaved()).expect("memory");
        Ok(())
    }

    fn run_outputs(&mut self, life: &mut Life) -> Result<(), Killed> {
        while let Some(output) = life.core.poll_output() {
            match output {
                Output::Dial => {
                    let connect = life.core.connect_packet();
                    life.core.handle_connected(life.now, connect);
                }
                Output::Close => {
                    life.up.clear();
                    life.down.clear();
                }
                Output::Store(batch) => {
                    assert!(life.saving.replace(batch).is_none(), "two at a time");
                }
                Output::Admitted(number, Ok(())) => {
                    if let Some(message) = life.numbers.get(&number) {
                        self.accepted.insert(*message);
                    }
                }
                Output::Deliver { message, token, .. } => {
                    *self.handled.entry(message.payload().to_vec()).or_default() += 1;
                    self.step()?;
                    life.core
                        .handle_handled(life.now, token, ReasonCode::Success);
                }
                _ => {}
            }
        }
        let bytes = drain(life.core.transmit());
        let mut rest = bytes.as_slice();
        while let Some(found) = wigwag_proto::codec::frame(rest, u32::MAX).expect("a packet") {
            let (packet, behind) = rest.split_at(found.len);
            life.up.push_back(packet.to_vec());
            rest = behind;
        }
        Ok(())
    }

    /// Does one of the things that can happen next.
    fn act(&mut self, life: &mut Life) -> Result<(), Killed> {
        let can = [
            self.tried < MESSAGES,
            life.saving.is_some(),
            !life.up.is_empty(),
            !life.down.is_empty(),
        ];
        let possible: Vec<usize> = (0..can.len()).filter(|index| can[*index]).collect();
        match self.random.choice(&possible) {
            Some(0) => self.enqueue(life),
            Some(1) => return self.save(life),
            Some(2) => {
                let bytes = life.up.pop_front().expect("a packet");
                let found = wigwag_proto::codec::frame(&bytes, u32::MAX).expect("whole");
                let found = found.expect("whole");
                let packet =
                    wigwag_proto::codec::decode(found, Version::V5, &DecodeLimits::UNLIMITED);
                self.server.handle(&packet.expect("valid"), &mut life.down);
            }
            Some(_) => {
                let bytes = life.down.pop_front().expect("a packet");
                assert_eq!(life.core.handle_bytes(life.now, &bytes), bytes.len());
            }
            None => match life.core.poll_timeout() {
                Some(until) => {
                    life.now = until;
                    life.core.handle_timeout(until);
                }
                None => life.is_over = true,
            },
        }
        self.step()
    }

    fn enqueue(&mut self, life: &mut Life) {
        let message = self.tried;
        self.tried += 1;
        let publish = Publish::new("from/the/client", message.to_string()).qos(qos(message));
        let outgoing = publish.into_outgoing().expect("valid");
        let number = life.core.enqueue(life.now, outgoing, ());
        life.numbers.insert(number.expect("accepted"), message);
    }

    fn save(&mut self, life: &mut Life) -> Result<(), Killed> {
        self.step()?;
        let batch = life.saving.take().expect("a batch");
        let fails = (self.failing).is_some_and(|one_in| self.random.usize(..one_in) == 0);
        let result = if fails {
            Err(wigwag_store::Error::Full("no room".to_owned()))
        } else {
            self.disk.commit(&batch)
        };
        self.step()?;
        life.core.handle_stored(life.now, result);
        Ok(())
    }

    /// Everything that was promised has been kept.
    fn check(&mut self, context: &str, kills: usize) {
        for message in 0..MESSAGES {
            let count = self.server.delivered.get(&message.to_string()).copied();
            let count = count.unwrap_or(0);
            if self.accepted.contains(&message) {
                assert!(count >= 1, "{context}: message {message} is lost");
            }
            if qos(message) == Qos::ExactlyOnce {
                assert!(
                    count <= 1,
                    "{context}: message {message} came {count} times"
                );
            }
        }
        assert!(self.server.is_done(), "{context}: the server waits");
        for payload in [b"1", b"2"] {
            let count = self.handled.get(payload.as_slice()).copied().unwrap_or(0);
            // The handler runs again if the client was killed before its end was stored.
            assert!(
                (1..=1 + kills).contains(&count),
                "{context}: handled {count} times"
            );
        }
        for left in 0..3 {
            let entries = self.disk.scan(Keyspace(left)).expect("memory").intact;
            assert_eq!(entries, [], "{context}: left in keyspace {left}");
        }
        let outcomes = self.disk.scan(Keyspace(3)).expect("memory").intact;
        assert!(
            outcomes.len() >= self.accepted.len(),
            "{context}: outcomes are missing"
        );
    }
}

fn survive(world: &mut World) {
    world.kill_at = None;
    assert!(world.live().is_ok(), "nobody killed it");
}

#[test]
fn nothing_is_lost_or_doubled_wherever_the_client_is_killed() {
    for seed in 0..6 {
        let mut world = World::new(seed);
        survive(&mut world);
        world.check("undisturbed", 0);
        assert_eq!(world.accepted.len(), MESSAGES);
        for kill_at in 0..world.steps {
            let mut world = World::new(seed);
            world.kill_at = Some(kill_at);
            assert!(world.live().is_err(), "it ends later");
            survive(&mut world);
            world.check(&format!("seed {seed}, killed at step {kill_at}"), 1);
        }
    }
}

#[test]
fn nothing_is_lost_or_doubled_over_many_kills() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        let mut kills = 0;
        while kills < 12 {
            world.steps = 0;
            world.kill_at = Some(world.random.usize(1..40));
            if world.live().is_ok() {
                break;
            }
            kills += 1;
        }
        survive(&mut world);
        world.check(&format!("seed {seed}, killed {kills} times"), kills);
    }
}

#[test]
fn a_store_that_fails_now_and_then_loses_nothing_that_was_accepted() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        world.failing = Some(4);
        world.kill_at = Some(20);
        let killed = world.live().is_err();
        survive(&mut world);
        world.check(&format!("seed {seed}"), usize::from(killed));
    }
}

/// A core with a store, not yet connected.
fn stored(
    disk: &mut Memory,
    wall: Duration,
    builder: Builder,
) -> (Core<u32>, Vec<(u64, Option<Fate>)>) {
    let mut core = Core::new(builder.into_config().expect("valid"), 7, Instant::now());
    core.set_wall(Time::ZERO, wall);
    let kept = Kept::read(disk).expect("memory");
    let receipts = core.restore(Time::ZERO, &kept, |_| 0);
    core.start(Time::ZERO);
    (core, receipts)
}

fn builder() -> Builder {
    Builder::new("mqtt://h").client_id("c")
}

/// Commits what the core wants stored, and returns the other outputs.
fn settle(core: &mut Core<u32>, disk: &mut Memory) -> Vec<Output<u32>> {
    let mut others = Vec::new();
    while let Some(output) = core.poll_output() {
        match output {
            Output::Store(batch) => {
                let result = disk.commit(&batch);
                core.handle_stored(Time::ZERO, result);
            }
            other => others.push(other),
        }
    }
    others
}

fn outgoing(publish: Publish) -> Outgoing {
    publish
        .qos(Qos::AtLeastOnce)
        .into_outgoing()
        .expect("valid")
}

#[test]
fn expiry_goes_on_between_two_processes_and_a_clock_set_back_adds_nothing() {
    const HOUR: Duration = Duration::from_secs(3_600);
    for (wall, left) in [(HOUR + Duration::from_secs(4), 6), (Duration::ZERO, 10)] {
        let mut disk = Memory::new();
        let (mut core, _) = stored(&mut disk, HOUR, builder());
        let publish = Publish::new("a", "").message_expiry(Duration::from_secs(10));
        core.enqueue(Time::ZERO, outgoing(publish), 0);
        settle(&mut core, &mut disk);
        let (mut core, receipts) = stored(&mut disk, wall, builder());
        assert!(matches!(receipts.as_slice(), [(_, None)]));
        let queued = core.queue.pop_front().expect("kept");
        assert_eq!(queued.expiry_left_secs(Time::ZERO), Some(left));
    }
}

#[test]
fn a_full_store_refuses_the_message_and_not_the_next() {
    let mut disk = Memory::new();
    let (mut core, _) = stored(&mut disk, Duration::ZERO, builder());
    settle(&mut core, &mut disk);
    let number = core.enqueue(Time::ZERO, outgoing(Publish::new("a", "")), 1);
    let error = wigwag_store::Error::Full("no room".to_owned());
    while let Some(output) = core.poll_output() {
        assert!(matches!(output, Output::Store(_)));
    }
    core.handle_stored(Time::ZERO, Err(error.clone()));
    let refused = PublishError::Store(error.clone());
    let outputs: Vec<Output<u32>> = std::iter::from_fn(|| core.poll_output()).collect();
    let [
        Output::Event(Event::StoreFailed(told)),
        Output::Admitted(told_number, Err(one)),
        Output::Published(1, Err(two)),
    ] = outputs.as_slice()
    else {
        panic!("{outputs:?}");
    };
    assert_eq!(
        (told, Some(*told_number), one, two),
        (&error, number, &refused, &refused)
    );
    core.enqueue(Time::ZERO, outgoing(Publish::new("b", "")), 2);
    let outputs = settle(&mut core, &mut disk);
    assert!(
        matches!(outputs.as_slice(), [Output::Admitted(_, Ok(()))]),
        "{outputs:?}"
    );
    assert_eq!(core.queue.len(), 1);
}

#[test]
fn an_unreadable_message_is_put_aside_and_the_rest_goes_on() {
    let mut disk = Memory::new();
    let (mut core, _) = stored(&mut disk, Duration::ZERO, builder());
    for topic in ["a", "b", "c"] {
        core.enqueue(Time::ZERO, outgoing(Publish::new(topic, "payload")), 0);
        settle(&mut core, &mut disk);
    }
    let kept = disk.scan(Keyspace(0)).expect("memory").intact;
    let (key, value) = &kept[1];
    for damage in [&value[..value.len() - 1], b"", b"\x09rubbish"] {
        let mut copy = Memory::new();
        for keyspace in 0..5 {
            let mut batch = Batch::new();
            for (key, value) in disk.scan(Keyspace(keyspace)).expect("memory").intact {
                batch.put(Keyspace(keyspace), &key, &value);
            }
            copy.commit(&batch).expect("memory");
        }
        let mut batch = Batch::new();
        batch.put(Keyspace(0), key, damage);
        copy.commit(&batch).expect("memory");
        let (mut core, receipts) = stored(&mut copy, Duration::ZERO, builder());
        let damaged: Fate = Err(PublishError::Damaged);
        let fates: Vec<_> = receipts.into_iter().map(|(_, fate)| fate).collect();
        assert_eq!(fates, [None, Some(damaged), None]);
        let outputs = settle(&mut core, &mut copy);
        let told = |output: &Output<u32>| {
            matches!(output, Output::Event(Event::StoreDamaged { entries: 1 }))
        };
        assert!(outputs.iter().any(told), "{outputs:?}");
        let topics: Vec<&str> = core
            .queue
            .iter()
            .map(|queued| &*queued.message.topic)
            .collect();
        assert_eq!(topics, ["a", "c"]);
        let aside = copy.scan(Keyspace(5)).expect("memory").intact;
        assert_eq!(aside, [(key.clone(), damage.to_vec())]);
        let (_, receipts) = stored(&mut copy, Duration::ZERO, builder());
        let known = receipts.iter().filter(|(_, fate)| fate.is_some()).count();
        assert_eq!((receipts.len(), known), (3, 1));
    }
}

#[test]
fn numbers_are_never_given_out_twice() {
    let mut disk = Memory::new();
    let mut numbers = BTreeSet::new();
    for _ in 0..5 {
        let (mut core, _) = stored(&mut disk, Duration::ZERO, builder());
        for _ in 0..3 {
            let number = core.enqueue(Time::ZERO, outgoing(Publish::new("a", "")), 0);
            assert!(numbers.insert(number.expect("accepted")));
            core.displace_oldest();
            settle(&mut core, &mut disk);
        }
    }
}

#[test]
fn without_a_store_nothing_is_stored() {
    let mut core: Core<u32> = Core::new(builder().into_config().expect("valid"), 7, Instant::now());
    core.start(Time::ZERO);
    core.enqueue(Time::ZERO, outgoing(Publish::new("a", "")), 0);
    core.publish(Time::ZERO, outgoing(Publish::new("a", "")), 0);
    while let Some(output) = core.poll_output() {
        if let Output::Store(batch) = output {
            let [Operation::Put { .. } | Operation::Delete { .. }, ..] = batch.operations() else {
                panic!("an empty batch");
            };
            panic!("{batch:?}");
        }
    }
    assert!(core.take_unsaved().is_empty());
}

#[test]
fn the_last_packet_waits_for_the_store_like_those_before_it() {
    let mut disk = Memory::new();
    let (mut core, _) = stored(&mut disk, Duration::ZERO, builder());
    let connect = core.connect_packet();
    core.handle_connected(Time::ZERO, connect);
    let mut down = VecDeque::new();
    let connect = drain(core.transmit());
    let found = wigwag_proto::codec::frame(&connect, u32::MAX).expect("whole");
    let packet =
        wigwag_proto::codec::decode(found.expect("whole"), Version::V5, &DecodeLimits::UNLIMITED);
    Server::default().handle(&packet.expect("valid"), &mut down);
    for bytes in down {
        core.handle_bytes(Time::ZERO, &bytes);
    }
    for output in settle(&mut core, &mut disk) {
        if let Output::Deliver { token, .. } = output {
            core.handle_handled(Time::ZERO, token, ReasonCode::Success);
        }
    }
    core.disconnect(Time::ZERO, Duration::from_secs(1));
    assert!(core.is_closing() && core.is_holding());
    assert!(core.transmit().is_empty());
    settle(&mut core, &mut disk);
    let mut bytes = Vec::new();
    while core.is_holding() {
        bytes.extend(drain(core.transmit()));
    }
    assert_eq!(bytes, b"\x50\x02\0\x01\x50\x02\0\x02\xE0\0");
}

#[test]
fn no_damage_to_a_store_makes_the_client_panic() {
    let mut disk = Memory::new();
    let (mut core, _) = stored(&mut disk, Duration::ZERO, builder());
    settle(&mut core, &mut disk);
    let connect = core.connect_packet();
    core.handle_connected(Time::ZERO, connect);
    let mut connack = Vec::new();
    let packet = Packet::ConnAck(ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties: Properties::EMPTY,
    });
    encode(&packet, Version::V5, &mut connack).expect("valid");
    core.handle_bytes(Time::ZERO, &connack);
    for index in 0..6 {
        let publish = Publish::new("topic", "payload").message_expiry(Duration::from_secs(9));
        let publish = publish.content_type("text").qos(qos(index));
        let outgoing = publish.into_outgoing().expect("valid");
        core.enqueue(Time::ZERO, outgoing, 0);
    }
    settle(&mut core, &mut disk);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..2_000 {
        let mut copy = Memory::new();
        let mut batch = Batch::new();
        for keyspace in 0..5 {
            for (key, mut value) in disk.scan(Keyspace(keyspace)).expect("memory").intact {
                for _ in 0..random.usize(0..3) {
                    if let Some(byte) = random.choice(value.iter_mut()) {
                        *byte = random.u8(..);
                    }
                }
                value.truncate(value.len() - random.usize(0..=value.len()) * random.usize(0..2));
                batch.put(Keyspace(keyspace), &key, &value);
            }
        }
        copy.commit(&batch).expect("memory");
        let (mut core, _) = stored(&mut copy, Duration::MAX, builder());
        settle(&mut core, &mut copy);
        let connect = core.connect_packet();
        core.handle_connected(Time::ZERO, connect);
        core.handle_bytes(Time::ZERO, &connack);
        settle(&mut core, &mut copy);
    }
}
