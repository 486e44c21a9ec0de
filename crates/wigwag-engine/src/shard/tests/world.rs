//! A node in a box: shards, virtual time, mailboxes, and clients that speak through the codec.
//!
//! It does with shards what a broker does, and no more: it looks at a connection when the shard has
//! touched it or the client has sent something, so a wake-up that is forgotten shows as a client that
//! waits. Letters between shards are delivered at once, or held until a test picks the next one.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::codec::{DecodeLimits, decode, encode, frame};
use wigwag_proto::packet::{
    Connect, Delivery, Disconnect, PacketType, Publish, PublishAck, RetainHandling, Subscribe,
    Subscription, SubscriptionOptions, Unsubscribe, Version, Will,
};
use wigwag_proto::{
    Packet, PacketId, Properties, PropertiesBuf, Property, Qos, ReasonCode, Time, TopicFilter,
    TopicName,
};

use crate::event::Event;
use crate::limits::Limits;
use crate::listener::{Certificate, ListenerSettings};
use crate::node::{Node, ShardId};
use crate::peer::Envelope;
use crate::policy::{AllowAll, Policy};
use crate::settings::Settings;
use crate::shard::{ConnectionKey, Ending, Shard};

pub(super) const Q0: Qos = Qos::AtMostOnce;
pub(super) const Q1: Qos = Qos::AtLeastOnce;
pub(super) const Q2: Qos = Qos::ExactlyOnce;

/// The node and everything that happens to it.
#[derive(Clone)]
pub(super) struct World(Rc<RefCell<Inner>>);

struct Inner {
    node: Arc<Node>,
    shards: Vec<Shard>,
    now: Time,
    /// By sender and receiver: only here is the order kept.
    letters: BTreeMap<(u16, u16), VecDeque<Envelope>>,
    holds_letters: bool,
    peers: Vec<Peer>,
    events: Vec<Event>,
}

/// The far end of a connection.
struct Peer {
    shard: usize,
    key: ConnectionKey,
    version: Version,
    /// Sent to the shard, and not used by it yet.
    unread: Vec<u8>,
    /// Received, and no whole packet yet.
    incoming: Vec<u8>,
    heard: Vec<Heard>,
    /// Whether it acknowledges what it receives by itself.
    acknowledges: bool,
    /// It does not read.
    is_stalled: bool,
    is_closed: bool,
    next_id: u16,
    /// The Topic Alias Maximum that it named, and what the broker has set.
    aliases_max: u16,
    aliases: BTreeMap<u16, String>,
}

/// What a client heard.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    ConnAck {
        session_present: bool,
        reason: ReasonCode,
        properties: PropertiesBuf,
    },
    Publish(Message),
    Ack(PacketType, PacketId, ReasonCode),
    SubscribeAck(PacketType, Vec<ReasonCode>),
    PingResp,
    Disconnect(ReasonCode, PropertiesBuf),
    Auth(ReasonCode),
    Closed,
}

/// A PUBLISH that a client received.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) delivery: Delivery,
    pub(super) retain: bool,
    pub(super) properties: PropertiesBuf,
}

impl World {
    pub(super) fn new(shards: u16) -> World {
        World::with_limits(shards, &Limits::default())
    }

    pub(super) fn with_limits(shards: u16, limits: &Limits) -> World {
        World::with_policy(shards, limits, || Box::new(AllowAll))
    }

    pub(super) fn with_policy(
        shards: u16,
        limits: &Limits,
        policy: impl Fn() -> Box<dyn Policy>,
    ) -> World {
        World::build(shards, &limits.clone().into(), policy)
    }

    pub(super) fn with_settings(shards: u16, settings: &Settings) -> World {
        World::build(shards, settings, || Box::new(AllowAll))
    }

    pub(super) fn build(
        shards: u16,
        settings: &Settings,
        policy: impl Fn() -> Box<dyn Policy>,
    ) -> World {
        World::of(Node::new(shards, 7), settings, policy)
    }

    /// The world of a node.
    pub(super) fn of(
        node: Node,
        settings: &Settings,
        policy: impl Fn() -> Box<dyn Policy>,
    ) -> World {
        let node = Arc::new(node);
        let shard = |id| Shard::new(ShardId(id), Arc::clone(&node), settings.clone(), policy());
        let shards = (0..node.shards).map(shard).collect();
        World(Rc::new(RefCell::new(Inner {
            node,
            shards,
            now: Time::new(Duration::from_secs(1_000)),
            letters: BTreeMap::new(),
            holds_letters: false,
            peers: Vec::new(),
            events: Vec::new(),
        })))
    }

    /// A connection on which nothing has been said.
    pub(super) fn open(&self, shard: usize, version: Version) -> Client {
        self.open_at(shard, version, &Arc::default(), crate::Peer::default())
    }

    /// A connection to a listener.
    pub(super) fn open_at(
        &self,
        shard: usize,
        version: Version,
        listener: &Arc<ListenerSettings>,
        peer: crate::Peer,
    ) -> Client {
        let mut inner = self.0.borrow_mut();
        let now = inner.now;
        let key = inner.shards[shard].handle_opened(now, Arc::clone(listener), peer);
        inner.peers.push(Peer {
            shard,
            key,
            version,
            unread: Vec::new(),
            incoming: Vec::new(),
            heard: Vec::new(),
            acknowledges: true,
            is_stalled: false,
            is_closed: false,
            next_id: 1,
            aliases_max: 0,
            aliases: BTreeMap::new(),
        });
        Client {
            world: self.clone(),
            peer: inner.peers.len() - 1,
            session_present: false,
            offer: PropertiesBuf::new(),
        }
    }

    /// A connection on which a CONNECT has been sent.
    pub(super) fn dial(&self, shard: usize, hello: impl Into<Hello>) -> Client {
        let hello = hello.into();
        let peer = crate::Peer {
            certificate: hello.certificate.clone(),
            ..crate::Peer::default()
        };
        let client = self.open_at(shard, hello.version, &hello.listener, peer);
        let aliases_max = hello.properties.as_properties().topic_alias_maximum();
        client.with(|peer| {
            peer.acknowledges = hello.acknowledges;
            peer.aliases_max = aliases_max.unwrap_or(0);
        });
        hello.with_packet(|packet| client.send(&Packet::Connect(packet)));
        client
    }

    /// A connection that has been accepted.
    pub(super) fn connect(&self, shard: usize, hello: impl Into<Hello>) -> Client {
        let mut client = self.dial(shard, hello);
        client.expect_accepted();
        client
    }

    /// From here on letters between shards wait for [`World::deliver_one`].
    pub(super) fn hold_letters(&self) {
        self.0.borrow_mut().holds_letters = true;
    }

    /// Delivers all letters, and from here on all others at once.
    pub(super) fn release_letters(&self) {
        let mut inner = self.0.borrow_mut();
        inner.holds_letters = false;
        inner.run();
    }

    /// Delivers the next letter of a pair of shards that the number picks. False if there is none.
    pub(super) fn deliver_one(&self, pick: u64) -> bool {
        let mut inner = self.0.borrow_mut();
        let pairs: Vec<(u16, u16)> = inner.letters.keys().copied().collect();
        if pairs.is_empty() {
            return false;
        }
        inner.deliver(pairs[(pick % pairs.len() as u64) as usize]);
        inner.run();
        true
    }

    /// Delivers one letter from one shard to another; it must be there.
    pub(super) fn deliver_from(&self, from: u16, to: u16) {
        let mut inner = self.0.borrow_mut();
        inner.deliver((from, to));
        inner.run();
    }

    /// Lets time pass, and everything happen that is due on the way.
    pub(super) fn advance_millis(&self, millis: u64) {
        let mut inner = self.0.borrow_mut();
        let end = inner.now + Duration::from_millis(millis);
        let mut steps = 0;
        while let Some(next) = inner.shards.iter().filter_map(Shard::poll_timeout).min()
            && next <= end
        {
            inner.now = inner.now.max(next);
            let now = inner.now;
            inner
                .shards
                .iter_mut()
                .for_each(|shard| shard.handle_timeout(now));
            inner.run();
            steps += 1;
            assert!(steps < 10_000, "the timers never come to an end");
        }
        inner.now = end;
    }

    pub(super) fn advance(&self, secs: u64) {
        self.advance_millis(secs * 1_000);
    }

    /// Every connection breaks.
    pub(super) fn lose_all(&self) {
        let mut inner = self.0.borrow_mut();
        for index in 0..inner.peers.len() {
            inner.lose(index);
        }
        inner.run();
    }

    pub(super) fn shut_down(&self) {
        let mut inner = self.0.borrow_mut();
        let now = inner.now;
        inner
            .shards
            .iter_mut()
            .for_each(|shard| shard.handle_shutdown(now));
        inner.run();
    }

    /// What happened since this was asked last.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut inner = self.0.borrow_mut();
        inner.run();
        std::mem::take(&mut inner.events)
    }

    /// Lets a test change something about a shard.
    pub(super) fn shard_mut<T>(&self, shard: usize, change: impl FnOnce(&mut Shard) -> T) -> T {
        change(&mut self.0.borrow_mut().shards[shard])
    }

    /// Lets the embedder of a shard do something.
    pub(super) fn embed<T>(&self, shard: usize, act: impl FnOnce(&mut Shard, Time) -> T) -> T {
        let mut inner = self.0.borrow_mut();
        let now = inner.now;
        let result = act(&mut inner.shards[shard], now);
        inner.run();
        result
    }

    /// Lets a test look into a shard.
    pub(super) fn shard<T>(&self, shard: usize, look: impl FnOnce(&Shard) -> T) -> T {
        look(&self.0.borrow().shards[shard])
    }

    /// What the shards share.
    pub(super) fn node(&self) -> Arc<Node> {
        Arc::clone(&self.0.borrow().node)
    }

    pub(super) fn now(&self) -> Time {
        self.0.borrow().now
    }

    /// Nothing is left of any client: what is found here would be there for ever.
    pub(super) fn assert_empty(&self) {
        let inner = self.0.borrow();
        assert!(inner.letters.is_empty(), "letters wait");
        for shard in &inner.shards {
            assert_eq!(shard.connections.len(), 0, "connections");
            assert_eq!(shard.sessions.len(), 0, "sessions");
            assert_eq!(shard.clients.len(), 0, "clients");
            assert_eq!(shard.awaited.len(), 0, "awaited sessions");
            assert_eq!(shard.departed.len(), 0, "departed sessions");
            assert_eq!(shard.poll_timeout(), None, "timers");
        }
        assert!(inner.node.routes.snapshot().is_empty(), "routes");
        assert_eq!(inner.node.directory.len(), 0, "directory");
    }
}

impl Inner {
    /// Does what is to be done until nothing is left but letters that are held.
    fn run(&mut self) {
        loop {
            let mut is_busy = false;
            for index in 0..self.shards.len() {
                while let Some(key) = self.shards[index].poll_touched() {
                    is_busy = true;
                    let peer = self
                        .peers
                        .iter()
                        .rposition(|peer| peer.shard == index && peer.key == key);
                    self.serve(peer.expect("only connections of this world are touched"));
                }
                is_busy |= self.collect(index);
            }
            if !self.holds_letters {
                while let Some(&pair) = self.letters.keys().next() {
                    self.deliver(pair);
                    is_busy = true;
                }
            }
            if !is_busy {
                return self.check_sums();
            }
        }
    }

    /// Running sums are what a look at everything finds.
    fn check_sums(&mut self) {
        for shard in &mut self.shards {
            let stats = shard.stats();
            assert_eq!(
                (stats.sessions_connected, stats.waiting),
                shard.count_sessions(),
                "running sums of sessions"
            );
            let (found, summed) = shard.weights();
            assert_eq!(summed, found, "running sums of memory");
            let outs = shard.connections.values();
            let bytes: u64 = outs.map(|connection| connection.out.len() as u64).sum();
            assert_eq!(stats.out_bytes, bytes, "bytes in out-buffers");
        }
    }

    fn collect(&mut self, from: usize) -> bool {
        let shard = &mut self.shards[from];
        self.events.extend(shard.poll_events(self.now));
        let mut found = false;
        for to in 0..shard.node.shards {
            let Some(letters) = shard.poll_outbox(ShardId(to)) else {
                continue;
            };
            assert_ne!(usize::from(to), from, "a shard has no letters for itself");
            let from = u16::try_from(from).expect("few shards");
            self.letters.entry((from, to)).or_default().extend(letters);
            found = true;
        }
        found
    }

    fn deliver(&mut self, pair: (u16, u16)) {
        let mailbox = self.letters.get_mut(&pair).expect("there is a letter");
        let letter = mailbox.pop_front().expect("there is a letter");
        if mailbox.is_empty() {
            self.letters.remove(&pair);
        }
        self.shards[usize::from(pair.1)].handle_envelope(self.now, letter);
    }

    fn lose(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        if !peer.is_closed {
            peer.is_closed = true;
            self.shards[peer.shard].handle_closed(self.now, peer.key);
        }
    }

    /// Moves bytes both ways, as far as both ends go along.
    fn serve(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        if peer.is_closed {
            return;
        }
        let shard = &mut self.shards[peer.shard];
        let ending = shard.ending(peer.key);
        let mut can_close = ending.is_some();
        if let Some(out) = shard.out(peer.key)
            && !out.is_empty()
        {
            if peer.is_stalled {
                can_close = ending == Some(Ending::Drop);
                shard.handle_blocked(peer.key);
            } else {
                let mut slices = [std::io::IoSlice::new(&[]); 64];
                while !out.is_empty() {
                    let filled = out.io_slices(&mut slices);
                    let written = slices[..filled].iter().map(|slice| slice.len()).sum();
                    slices[..filled]
                        .iter()
                        .for_each(|slice| peer.incoming.extend_from_slice(slice));
                    slices = [std::io::IoSlice::new(&[]); 64];
                    out.advance(written);
                }
                shard.handle_drained(self.now, peer.key);
                peer.hear();
            }
        }
        if can_close {
            shard.handle_closed(self.now, peer.key);
            peer.is_closed = true;
            peer.heard.push(Heard::Closed);
            return;
        }
        while !peer.unread.is_empty() && shard.is_reading(peer.key) {
            let used = shard.handle_bytes(self.now, peer.key, &peer.unread);
            peer.unread.drain(..used);
            if used == 0 {
                break;
            }
        }
    }
}

impl Peer {
    /// The topic of a PUBLISH, by its alias if it has no name.
    fn topic(&mut self, packet: &Publish<'_>) -> String {
        let alias = packet.properties.topic_alias();
        match (packet.topic, alias) {
            (Some(name), Some(alias)) => {
                assert!(alias <= self.aliases_max, "an alias that was not allowed");
                self.aliases.insert(alias, name.to_string());
                name.to_string()
            }
            (Some(name), None) => name.to_string(),
            (None, alias) => self.aliases[&alias.expect("a name or an alias")].clone(),
        }
    }

    fn hear(&mut self) {
        let incoming = std::mem::take(&mut self.incoming);
        let mut rest = incoming.as_slice();
        while let Some(frame) = frame(rest, u32::MAX).expect("the broker sends packets") {
            // A CONNECT that came to harm on its way may have named another version.
            let packet = [self.version, Version::V5, Version::V3_1_1]
                .into_iter()
                .find_map(|version| decode(frame, version, &DecodeLimits::UNLIMITED).ok());
            self.hear_packet(&packet.unwrap_or_else(|| panic!("no packet: {frame:x?}")));
            rest = &rest[frame.len..];
        }
        self.incoming = rest.to_vec();
    }

    fn hear_packet(&mut self, packet: &Packet<'_>) {
        if self.acknowledges
            && let Some(answer) = answer(packet)
        {
            encode(&answer, self.version, &mut self.unread).expect("a valid answer");
        }
        let ack =
            |ack: &PublishAck<'_>| Heard::Ack(packet.packet_type(), ack.packet_id, ack.reason);
        let heard = match packet {
            Packet::ConnAck(packet) => Heard::ConnAck {
                session_present: packet.session_present,
                reason: packet.reason,
                properties: packet.properties.into(),
            },
            Packet::Publish(packet) => Heard::Publish(Message {
                topic: self.topic(packet),
                payload: String::from_utf8_lossy(packet.payload).into_owned(),
                delivery: packet.delivery,
                retain: packet.retain,
                properties: packet.properties.into(),
            }),
            Packet::PubAck(packet)
            | Packet::PubRec(packet)
            | Packet::PubRel(packet)
            | Packet::PubComp(packet) => ack(packet),
            Packet::SubAck(ack) | Packet::UnsubAck(ack) => {
                Heard::SubscribeAck(packet.packet_type(), ack.reasons.clone())
            }
            Packet::PingResp => Heard::PingResp,
            Packet::Disconnect(packet) => {
                Heard::Disconnect(packet.reason, packet.properties.into())
            }
            Packet::Auth(packet) => Heard::Auth(packet.reason),
            other => panic!("a broker does not send {other:?}"),
        };
        self.heard.push(heard);
    }
}

/// How a well-behaved client answers.
fn answer(packet: &Packet<'_>) -> Option<Packet<'static>> {
    let ack = |packet_id| PublishAck::new(packet_id, ReasonCode::Success);
    match packet {
        Packet::Publish(packet) => match packet.delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce { packet_id, .. } => Some(Packet::PubAck(ack(packet_id))),
            Delivery::ExactlyOnce { packet_id, .. } => Some(Packet::PubRec(ack(packet_id))),
        },
        Packet::PubRec(packet) if !packet.reason.is_error() => {
            Some(Packet::PubRel(ack(packet.packet_id)))
        }
        Packet::PubRel(packet) => Some(Packet::PubComp(ack(packet.packet_id))),
        _ => None,
    }
}

/// A client's end of one connection.
pub(super) struct Client {
    world: World,
    peer: usize,
    /// From the CONNACK.
    pub(super) session_present: bool,
    /// The properties of the CONNACK.
    pub(super) offer: PropertiesBuf,
}

impl Client {
    fn with<T>(&self, act: impl FnOnce(&mut Peer) -> T) -> T {
        act(&mut self.world.0.borrow_mut().peers[self.peer])
    }

    /// Lets both ends do what they can.
    fn go(&self) {
        let mut inner = self.world.0.borrow_mut();
        inner.serve(self.peer);
        inner.run();
    }

    pub(super) fn send_bytes(&self, bytes: &[u8]) {
        self.with(|peer| peer.unread.extend_from_slice(bytes));
        self.go();
    }

    pub(super) fn send(&self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        let version = self.with(|peer| peer.version);
        encode(packet, version, &mut bytes).expect("a valid packet");
        self.send_bytes(&bytes);
    }

    /// Checks that the first packet is a CONNACK that accepts.
    pub(super) fn expect_accepted(&mut self) {
        let heard = self.with(|peer| {
            assert!(!peer.heard.is_empty(), "no CONNACK");
            peer.heard.remove(0)
        });
        let Heard::ConnAck {
            session_present,
            reason: ReasonCode::Success,
            properties,
        } = heard
        else {
            panic!("a CONNACK that accepts, not {heard}")
        };
        self.session_present = session_present;
        self.offer = properties;
    }

    /// Everything heard since this was asked last.
    pub(super) fn heard_packets(&self) -> Vec<Heard> {
        self.with(|peer| std::mem::take(&mut peer.heard))
    }

    /// Everything heard since this was asked last, in words.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard_packets().iter().map(Heard::to_string).collect()
    }

    /// The messages heard since this was asked last; what else was heard is forgotten.
    pub(super) fn messages(&self) -> Vec<Message> {
        let heard = self.heard_packets().into_iter();
        heard
            .filter_map(|heard| match heard {
                Heard::Publish(message) => Some(message),
                _ => None,
            })
            .collect()
    }

    /// [`Client::messages`] in words.
    pub(super) fn received(&self) -> Vec<String> {
        self.messages().iter().map(Message::to_string).collect()
    }

    /// A Packet Identifier that this connection has not used.
    pub(super) fn next_id(&self) -> PacketId {
        self.with(|peer| {
            let id = PacketId::new(peer.next_id).expect("not zero");
            peer.next_id += 1;
            id
        })
    }

    pub(super) fn publish(&self, topic: &str, payload: &str, qos: Qos) {
        self.publish_with(&Publication::new(topic, payload).qos(qos));
    }

    pub(super) fn publish_with(&self, publication: &Publication) -> Option<PacketId> {
        let packet_id =
            (publication.qos > Q0).then(|| publication.packet_id.unwrap_or_else(|| self.next_id()));
        let dup = publication.dup;
        self.send(&Packet::Publish(Publish {
            delivery: match (publication.qos, packet_id) {
                (Q1, Some(packet_id)) => Delivery::AtLeastOnce { packet_id, dup },
                (Q2, Some(packet_id)) => Delivery::ExactlyOnce { packet_id, dup },
                _ => Delivery::AtMostOnce,
            },
            retain: publication.retain,
            topic: Some(&publication.topic)
                .filter(|topic| !topic.is_empty())
                .map(|topic| name(topic)),
            properties: publication.properties.as_properties(),
            payload: publication.payload.as_bytes(),
        }));
        packet_id
    }

    /// Subscribes, and checks that it was granted.
    pub(super) fn subscribe(&self, filter: &str, qos: Qos) {
        let reasons = self.subscribe_with(&[Wanted::new(filter, qos)]);
        assert_eq!(reasons, [qos as u8], "{filter}");
    }

    /// Subscribes, and returns the Reason Codes. What was heard before stays, without the SUBACK.
    pub(super) fn subscribe_with(&self, wanted: &[Wanted]) -> Vec<u8> {
        let mut properties = PropertiesBuf::new();
        for id in wanted.iter().filter_map(|wanted| wanted.identifier).take(1) {
            let property = Property::SubscriptionIdentifier(id);
            properties.push(property).expect("a number");
        }
        let packet_id = self.next_id();
        self.send(&Packet::Subscribe(Subscribe {
            packet_id,
            properties: properties.as_properties(),
            subscriptions: wanted
                .iter()
                .map(|wanted| Subscription {
                    filter: filter(&wanted.filter),
                    options: wanted.options,
                })
                .collect(),
        }));
        self.take_subscribe_ack(PacketType::SubAck)
    }

    pub(super) fn unsubscribe(&self, filters: &[&str]) -> Vec<u8> {
        let packet_id = self.next_id();
        self.send(&Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties: Properties::EMPTY,
            filters: filters.iter().map(|text| filter(text)).collect(),
        }));
        self.take_subscribe_ack(PacketType::UnsubAck)
    }

    fn take_subscribe_ack(&self, kind: PacketType) -> Vec<u8> {
        self.with(|peer| {
            let is_ack =
                |heard: &Heard| matches!(heard, Heard::SubscribeAck(found, _) if *found == kind);
            let Some(at) = peer.heard.iter().position(is_ack) else {
                return Vec::new();
            };
            match peer.heard.remove(at) {
                Heard::SubscribeAck(_, reasons) => {
                    reasons.into_iter().map(|reason| reason as u8).collect()
                }
                _ => unreachable!("it was one"),
            }
        })
    }

    pub(super) fn ping(&self) {
        self.send(&Packet::PingReq);
    }

    pub(super) fn disconnect(&self) {
        self.disconnect_with(ReasonCode::Success, None);
    }

    pub(super) fn disconnect_with(&self, reason: ReasonCode, expiry_secs: Option<u32>) {
        let mut properties = PropertiesBuf::new();
        if let Some(secs) = expiry_secs {
            let property = Property::SessionExpiryInterval(secs);
            properties.push(property).expect("a number");
        }
        self.send(&Packet::Disconnect(Disconnect {
            reason,
            properties: properties.as_properties(),
        }));
    }

    /// The connection breaks, without a DISCONNECT.
    pub(super) fn lose(&self) {
        let mut inner = self.world.0.borrow_mut();
        inner.lose(self.peer);
        inner.run();
    }

    /// Leaves acknowledgements to the test.
    pub(super) fn stop_acknowledging(&self) {
        self.with(|peer| peer.acknowledges = false);
    }

    pub(super) fn puback(&self, packet_id: u16) {
        self.send(&Packet::PubAck(ack(packet_id)));
    }

    pub(super) fn pubrec(&self, packet_id: u16) {
        self.send(&Packet::PubRec(ack(packet_id)));
    }

    pub(super) fn pubrel(&self, packet_id: u16) {
        self.send(&Packet::PubRel(ack(packet_id)));
    }

    pub(super) fn pubcomp(&self, packet_id: u16) {
        self.send(&Packet::PubComp(ack(packet_id)));
    }

    /// Does not read from here on.
    pub(super) fn stall(&self) {
        self.with(|peer| peer.is_stalled = true);
    }

    /// Reads all that waits, and goes on reading.
    pub(super) fn read_on(&self) {
        self.with(|peer| peer.is_stalled = false);
        self.go();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.with(|peer| peer.is_closed)
    }

    /// Bytes that wait for the client to read.
    pub(super) fn waiting_bytes(&self) -> usize {
        let mut inner = self.world.0.borrow_mut();
        let (shard, key) = (inner.peers[self.peer].shard, inner.peers[self.peer].key);
        inner.shards[shard].out(key).map_or(0, |out| out.len())
    }
}

/// What a CONNECT says.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    pub(super) version: Version,
    client_id: String,
    is_bridge: bool,
    clean_start: bool,
    keep_alive_secs: u16,
    properties: PropertiesBuf,
    will: Option<(Publication, PropertiesBuf)>,
    user_name: Option<String>,
    password: Option<String>,
    listener: Arc<ListenerSettings>,
    certificate: Certificate,
    acknowledges: bool,
}

impl From<&str> for Hello {
    fn from(client_id: &str) -> Hello {
        Hello::new(client_id)
    }
}

impl Hello {
    /// MQTT 5, Clean Start, and a session that ends with the connection.
    pub(super) fn new(client_id: &str) -> Hello {
        Hello {
            version: Version::V5,
            client_id: client_id.to_owned(),
            is_bridge: false,
            clean_start: true,
            keep_alive_secs: 0,
            properties: PropertiesBuf::new(),
            will: None,
            user_name: None,
            password: None,
            listener: Arc::default(),
            certificate: Certificate::NotAsked,
            acknowledges: true,
        }
    }

    /// MQTT 3.1.1.
    pub(super) fn v3(self) -> Hello {
        self.version(Version::V3_1_1)
    }

    pub(super) fn version(mut self, version: Version) -> Hello {
        self.version = version;
        self
    }

    /// Says that it is a bridge.
    pub(super) fn bridge(mut self) -> Hello {
        self.is_bridge = true;
        self
    }

    pub(super) fn resume(mut self) -> Hello {
        self.clean_start = false;
        self
    }

    /// Goes on with a session that stays for an hour.
    pub(super) fn persistent(self) -> Hello {
        self.resume().expiry(3_600)
    }

    /// Only MQTT 5 says it.
    pub(super) fn expiry(self, secs: u32) -> Hello {
        self.property(Property::SessionExpiryInterval(secs))
    }

    pub(super) fn receive_maximum(self, messages: u16) -> Hello {
        self.property(Property::ReceiveMaximum(messages))
    }

    pub(super) fn packet_size_max(self, bytes: u32) -> Hello {
        self.property(Property::MaximumPacketSize(bytes))
    }

    pub(super) fn keep_alive(mut self, secs: u16) -> Hello {
        self.keep_alive_secs = secs;
        self
    }

    /// Leaves acknowledgements to the test.
    pub(super) fn quiet(mut self) -> Hello {
        self.acknowledges = false;
        self
    }

    pub(super) fn user_name(mut self, user_name: &str) -> Hello {
        self.user_name = Some(user_name.to_owned());
        self
    }

    pub(super) fn password(mut self, password: &str) -> Hello {
        self.password = Some(password.to_owned());
        self
    }

    /// Comes in at this listener.
    pub(super) fn at(mut self, listener: &Arc<ListenerSettings>) -> Hello {
        self.listener = Arc::clone(listener);
        self
    }

    /// Has to have a name by its certificate, and has none.
    pub(super) fn nameless(mut self) -> Hello {
        self.certificate = Certificate::Nameless;
        self
    }

    /// Has a certificate that names it.
    pub(super) fn certified(mut self, name: &str) -> Hello {
        self.certificate = Certificate::Names(name.into());
        self
    }

    pub(super) fn property(mut self, property: Property<'_>) -> Hello {
        self.properties.push(property).expect("short");
        self
    }

    pub(super) fn will(mut self, will: Publication) -> Hello {
        self.will = Some((will, PropertiesBuf::new()));
        self
    }

    pub(super) fn will_delay(mut self, secs: u32) -> Hello {
        let (_, properties) = self.will.as_mut().expect("a Will is given first");
        let property = Property::WillDelayInterval(secs);
        properties.push(property).expect("a number");
        self
    }

    fn with_packet<T>(&self, act: impl FnOnce(Connect<'_>) -> T) -> T {
        let will_properties = self.will.as_ref().map(|(publication, own)| {
            let all = publication.properties.as_properties();
            all.iter().fold(own.clone(), |all, property| {
                all.with(property).expect("short")
            })
        });
        act(Connect {
            version: self.version,
            is_bridge: self.is_bridge,
            client_id: &self.client_id,
            clean_start: self.clean_start,
            keep_alive_secs: self.keep_alive_secs,
            properties: self.properties.as_properties(),
            will: self.will.as_ref().zip(will_properties.as_ref()).map(
                |((publication, _), properties)| Will {
                    topic: name(&publication.topic),
                    payload: publication.payload.as_bytes(),
                    qos: publication.qos,
                    retain: publication.retain,
                    properties: properties.as_properties(),
                },
            ),
            user_name: self.user_name.as_deref(),
            password: self.password.as_deref().map(str::as_bytes),
        })
    }
}

/// A message that a client publishes, or leaves as its Will.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    topic: String,
    payload: String,
    qos: Qos,
    retain: bool,
    dup: bool,
    packet_id: Option<PacketId>,
    properties: PropertiesBuf,
}

impl Publication {
    pub(super) fn new(topic: &str, payload: &str) -> Publication {
        Publication {
            topic: topic.to_owned(),
            payload: payload.to_owned(),
            qos: Q0,
            retain: false,
            dup: false,
            packet_id: None,
            properties: PropertiesBuf::new(),
        }
    }

    pub(super) fn qos(mut self, qos: Qos) -> Publication {
        self.qos = qos;
        self
    }

    pub(super) fn retain(mut self) -> Publication {
        self.retain = true;
        self
    }

    pub(super) fn dup(mut self) -> Publication {
        self.dup = true;
        self
    }

    pub(super) fn packet_id(mut self, id: u16) -> Publication {
        self.packet_id = PacketId::new(id);
        self
    }

    pub(super) fn property(mut self, property: Property<'_>) -> Publication {
        self.properties.push(property).expect("short");
        self
    }

    pub(super) fn expiry(self, secs: u32) -> Publication {
        self.property(Property::MessageExpiryInterval(secs))
    }
}

/// One subscription that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    filter: String,
    options: SubscriptionOptions,
    identifier: Option<u32>,
}

impl Wanted {
    pub(super) fn new(filter: &str, qos: Qos) -> Wanted {
        Wanted {
            filter: filter.to_owned(),
            options: SubscriptionOptions {
                qos,
                ..SubscriptionOptions::default()
            },
            identifier: None,
        }
    }

    pub(super) fn no_local(mut self) -> Wanted {
        self.options.no_local = true;
        self
    }

    pub(super) fn retain_as_published(mut self) -> Wanted {
        self.options.retain_as_published = true;
        self
    }

    pub(super) fn retain_handling(mut self, handling: RetainHandling) -> Wanted {
        self.options.retain_handling = handling;
        self
    }

    pub(super) fn identifier(mut self, identifier: u32) -> Wanted {
        self.identifier = Some(identifier);
        self
    }
}

pub(super) fn name(text: &str) -> TopicName<'_> {
    TopicName::new(text).expect("a valid Topic Name")
}

pub(super) fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("a valid Topic Filter")
}

fn ack(packet_id: u16) -> PublishAck<'static> {
    let packet_id = PacketId::new(packet_id).expect("not zero");
    PublishAck::new(packet_id, ReasonCode::Success)
}

impl fmt::Display for Message {
    /// `topic payload`, then what is not the default: `q1`, `dup`, `retain`, `expiry=5`, `id=1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.topic, self.payload)?;
        match self.delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce { dup, .. } => write!(f, " q1{}", if dup { " dup" } else { "" })?,
            Delivery::ExactlyOnce { dup, .. } => write!(f, " q2{}", if dup { " dup" } else { "" })?,
        }
        if self.retain {
            f.write_str(" retain")?;
        }
        for property in self.properties.as_properties().iter() {
            match property {
                Property::MessageExpiryInterval(secs) => write!(f, " expiry={secs}")?,
                Property::SubscriptionIdentifier(id) => write!(f, " id={id}")?,
                Property::UserProperty((key, value)) => write!(f, " {key}={value}")?,
                other => write!(f, " {other:?}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Heard {
    /// The name of the packet and what matters of it: `PUBACK 1`, `PUBREC 2 0x97`, `DISCONNECT 0x8E`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failure = |reason: &ReasonCode| match reason {
            ReasonCode::Success => String::new(),
            reason => format!(" 0x{:02X}", *reason as u8),
        };
        match self {
            Heard::ConnAck {
                session_present: true,
                ..
            } => f.write_str("CONNACK present"),
            Heard::ConnAck { reason, .. } => write!(f, "CONNACK{}", failure(reason)),
            Heard::Publish(message) => match message.delivery.packet_id() {
                Some(packet_id) => write!(f, "PUBLISH {packet_id} {message}"),
                None => write!(f, "PUBLISH {message}"),
            },
            Heard::Ack(kind, packet_id, reason) => {
                write!(f, "{kind} {packet_id}{}", failure(reason))
            }
            Heard::SubscribeAck(kind, reasons) => {
                write!(f, "{kind}")?;
                reasons
                    .iter()
                    .try_for_each(|&reason| write!(f, " 0x{:02X}", reason as u8))
            }
            Heard::PingResp => f.write_str("PINGRESP"),
            Heard::Auth(reason) => write!(f, "AUTH{}", failure(reason)),
            Heard::Disconnect(reason, _) => write!(f, "DISCONNECT{}", failure(reason)),
            Heard::Closed => f.write_str("closed"),
        }
    }
}
