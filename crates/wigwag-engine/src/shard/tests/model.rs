//! Random operations of a few clients on a few shards, against a list of what each session must get.
//!
//! Letters between shards take any order that mailboxes may have. Clients lose connections, do not read
//! for a while, do not acknowledge, and connect anew before the last attempt has come to anything.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use wigwag_proto::packet::PacketType;
use wigwag_proto::{PacketId, Qos};

use super::records::Disk;
use super::takeover::Picks;
use super::world::{Client, Heard, Hello, Publication, Q1, Q2, World, filter, name};
use crate::settings::Settings;

const TOPICS: [&str; 3] = ["a", "b", "a/x"];
const FILTERS: [&str; 6] = ["a", "b", "+", "a/#", "a/+", "#"];

/// A client of the model: its connections, its session, and the application behind it.
struct Party {
    id: String,
    /// In the order of connecting, with the number of each.
    connections: Vec<(usize, Client)>,
    /// Whether the last connection has been accepted.
    is_online: bool,
    is_stalled: bool,
    /// What the broker has granted to the session.
    subscriptions: BTreeMap<&'static str, Qos>,
    /// What the session must get, by publishing connection and topic.
    expected: BTreeMap<(usize, &'static str), Vec<String>>,
    /// QoS 2 messages that the client has not seen released.
    unreleased: BTreeSet<PacketId>,
    got: Vec<String>,
}

impl Party {
    /// Reads what has come, as the receiver's half of the protocol wants it.
    fn read(&mut self) {
        let newest = self.connections.len();
        for (at, (_, client)) in self.connections.iter().enumerate() {
            for heard in client.heard_packets() {
                match heard {
                    Heard::ConnAck { .. } => self.is_online = at + 1 == newest,
                    Heard::Closed if at + 1 == newest => self.is_online = false,
                    Heard::Ack(PacketType::PubRel, packet_id, _) => {
                        self.unreleased.remove(&packet_id);
                    }
                    Heard::Publish(message) => {
                        let is_new = match message.delivery {
                            wigwag_proto::packet::Delivery::ExactlyOnce { packet_id, .. } => {
                                self.unreleased.insert(packet_id)
                            }
                            wigwag_proto::packet::Delivery::AtLeastOnce { dup, .. } => {
                                !dup || !self.got.contains(&message.payload)
                            }
                            wigwag_proto::packet::Delivery::AtMostOnce => true,
                        };
                        if is_new {
                            self.got.push(message.payload);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn current(&self) -> Option<&(usize, Client)> {
        self.connections
            .last()
            .filter(|(_, client)| self.is_online && !client.is_closed())
    }

    /// The messages of each publishing connection and topic came in order, and none twice.
    fn check(&self) -> Result<(), TestCaseError> {
        for ((publisher, topic), expected) in &self.expected {
            let prefix = format!("{publisher} {topic} ");
            let got: Vec<&String> = self
                .got
                .iter()
                .filter(|payload| payload.starts_with(&prefix))
                .collect();
            prop_assert_eq!(got, expected.iter().collect::<Vec<_>>(), "{}", self.id);
        }
        let all: usize = self.expected.values().map(Vec::len).sum();
        prop_assert_eq!(self.got.len(), all, "{} got what it must not", self.id);
        Ok(())
    }
}

/// The model and the node that it is compared with.
struct Run {
    world: World,
    shards: usize,
    parties: Vec<Party>,
    connections: usize,
    messages: usize,
    /// Where the node writes down what outlives it.
    disk: Option<Disk>,
}

impl Run {
    fn new(shards: u16, parties: usize) -> Run {
        let world = World::new(shards);
        world.hold_letters();
        let parties = (0..parties)
            .map(|n| Party {
                id: format!("client {n}"),
                connections: Vec::new(),
                is_online: false,
                is_stalled: false,
                subscriptions: BTreeMap::new(),
                expected: BTreeMap::new(),
                unreleased: BTreeSet::new(),
                got: Vec::new(),
            })
            .collect();
        Run {
            world,
            shards: shards.into(),
            parties,
            connections: 0,
            messages: 0,
            disk: None,
        }
    }

    /// A node that can be started again.
    fn with_disk(shards: u16, parties: usize) -> Run {
        let mut run = Run::new(shards, parties);
        let mut disk = Disk::new();
        run.world = disk.world(shards, &Settings::default());
        run.world.hold_letters();
        run.disk = Some(disk);
        run
    }

    /// The node stops in the middle of everything, and another one goes on with what it has written down.
    fn restart(&mut self, pick: &mut Picks) {
        let Some(disk) = &mut self.disk else { return };
        let shards = 1 + pick.below(3);
        let world = self.world.clone();
        self.world = disk.restart_with(world, u16::try_from(shards).expect("few"), 1, pick);
        self.world.hold_letters();
        self.shards = shards;
        for party in &mut self.parties {
            party.read();
            party.connections.clear();
            party.is_online = false;
            party.is_stalled = false;
        }
    }

    fn settle(&mut self, pick: &mut Picks) {
        while self.world.deliver_one(pick.next()) {}
        self.parties.iter_mut().for_each(Party::read);
    }

    fn connect(&mut self, at: usize, hello: Hello, pick: &mut Picks) {
        self.parties[at].read();
        let party = &mut self.parties[at];
        // What an unread connection still holds is never read.
        if party.is_stalled
            && let Some((_, client)) = party.connections.last()
        {
            client.lose();
        }
        party.is_stalled = false;
        party.is_online = false;
        let client = self.world.dial(pick.below(self.shards), hello);
        party.connections.push((self.connections, client));
        self.connections += 1;
        party.read();
    }

    fn hello(&self, at: usize, pick: &mut Picks) -> Hello {
        let hello = Hello::new(&self.parties[at].id).persistent();
        let maximum = 1 + pick.below(5);
        let hello = hello.receive_maximum(u16::try_from(maximum).expect("small"));
        if pick.below(3) == 0 {
            hello.quiet()
        } else {
            hello
        }
    }

    /// Starts anew. Only when nothing is on its way, because until the session ends it may get messages
    /// or not.
    fn connect_clean(&mut self, at: usize, pick: &mut Picks) {
        self.settle(pick);
        self.connect(at, Hello::new(&self.parties[at].id).expiry(3_600), pick);
        self.settle(pick);
        let party = &mut self.parties[at];
        party.subscriptions.clear();
        party.expected.clear();
        party.got.clear();
        party.unreleased.clear();
    }

    fn publish(&mut self, at: usize, pick: &mut Picks) {
        let Some((connection, client)) = self.parties[at].current() else {
            return;
        };
        let (connection, topic) = (*connection, TOPICS[pick.below(TOPICS.len())]);
        let qos = [Q1, Q2][pick.below(2)];
        self.messages += 1;
        let payload = format!("{connection} {topic} {}", self.messages);
        // A Packet Identifier that the session has not used: its last owner may not have released it.
        let packet_id = u16::try_from(1_000 + self.messages).expect("a short run");
        client.publish_with(
            &Publication::new(topic, &payload)
                .qos(qos)
                .packet_id(packet_id),
        );
        for party in &mut self.parties {
            let wants = party
                .subscriptions
                .keys()
                .any(|text| filter(text).matches(name(topic)));
            if wants {
                party
                    .expected
                    .entry((connection, topic))
                    .or_default()
                    .push(payload.clone());
            }
        }
    }

    fn step(&mut self, kind: u8, at: usize, pick: &mut Picks) {
        self.parties.iter_mut().for_each(Party::read);
        let chosen = FILTERS[pick.below(FILTERS.len())];
        match kind {
            0 | 1 => {
                let hello = self.hello(at, pick);
                self.connect(at, hello, pick);
            }
            2 => self.parties[at]
                .connections
                .iter()
                .for_each(|(_, client)| client.lose()),
            3 if !self.parties[at].is_stalled => {
                let qos = [Q1, Q2][pick.below(2)];
                let party = &mut self.parties[at];
                if let Some((_, client)) = party.current() {
                    client.subscribe(chosen, qos);
                    party.subscriptions.insert(chosen, qos);
                }
            }
            4 if !self.parties[at].is_stalled => {
                let party = &mut self.parties[at];
                if let Some((_, client)) = party.current() {
                    client.unsubscribe(&[chosen]);
                    party.subscriptions.remove(chosen);
                }
            }
            5 => {
                let party = &mut self.parties[at];
                if let Some((_, client)) = party.current() {
                    client.stall();
                    party.is_stalled = true;
                }
            }
            6 => {
                let party = &mut self.parties[at];
                if party.is_stalled
                    && let Some((_, client)) = party.connections.last()
                {
                    client.read_on();
                    party.is_stalled = false;
                }
            }
            7 => self.connect_clean(at, pick),
            24 => self.restart(pick),
            25 => {
                self.settle(pick);
                if let Some(disk) = &mut self.disk {
                    disk.assert_complete(&self.world);
                }
            }
            8..=11 => {
                for _ in 0..1 + pick.below(4) {
                    self.world.deliver_one(pick.next());
                }
            }
            _ => self.publish(at, pick),
        }
    }

    /// Everybody comes back once more and gets the rest; then everybody leaves for good.
    fn finish(mut self, pick: &mut Picks) -> Result<(), TestCaseError> {
        self.settle(pick);
        for at in 0..self.parties.len() {
            let hello = Hello::new(&self.parties[at].id).persistent();
            self.connect(at, hello, pick);
        }
        self.settle(pick);
        for party in &self.parties {
            prop_assert!(party.is_online, "{} is not accepted", party.id);
            party.check()?;
        }
        for party in &self.parties {
            party
                .connections
                .iter()
                .for_each(|(_, client)| client.lose());
        }
        self.settle(pick);
        self.world.advance(4_000);
        self.settle(pick);
        self.world.assert_empty();
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// [MQTT-4.5.0-1], [MQTT-4.6.0-5]: every acknowledged message reaches every session that had
    /// subscribed, as often as its QoS says, in order of publisher and topic.
    #[test]
    fn acknowledged_messages_reach_every_matching_session(
        shards in 1_u16..4,
        parties in 3_usize..6,
        steps in prop::collection::vec((0_u8..24, 0_usize..5), 20..120),
        seed in any::<u64>(),
    ) {
        let mut pick = Picks(seed);
        let mut run = Run::new(shards, parties);
        for (kind, at) in steps {
            run.step(kind, at % parties, &mut pick);
        }
        run.finish(&mut pick)?;
    }

    /// The same, when the node is stopped and started again in between.
    #[test]
    fn a_restart_loses_nothing_and_doubles_nothing(
        shards in 1_u16..4,
        parties in 3_usize..6,
        steps in prop::collection::vec((0_u8..26, 0_usize..5), 20..120),
        seed in any::<u64>(),
    ) {
        let mut pick = Picks(seed);
        let mut run = Run::with_disk(shards, parties);
        for (kind, at) in steps {
            run.step(kind, at % parties, &mut pick);
        }
        run.restart(&mut pick);
        run.finish(&mut pick)?;
    }
}
