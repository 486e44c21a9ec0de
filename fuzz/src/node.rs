//! Whole conversations: clients of a node of two shards do what the bytes say, each four bytes a step, and
//! letters between the shards take any time.
//!
//! In the end everybody leaves and all sessions expire: then nothing may be left of anybody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use wigwag_engine::peer::Envelope;
use wigwag_engine::policy::AllowAll;
use wigwag_engine::{ConnectionKey, Ending, Limits, Node, Peer, Settings, Shard, ShardId};
use wigwag_proto::Time;

const SHARDS: usize = 2;

/// Connections that there may be at a time.
const PLACES: usize = 8;

/// Longer than any session waits for its client.
const AGES: Duration = Duration::from_secs(30 * 24 * 3_600);

struct World {
    node: Arc<Node>,
    shards: Vec<Shard>,
    now: Time,
    /// From the first shard to the second, and back.
    letters: [VecDeque<Envelope>; SHARDS],
    places: [Option<Place>; PLACES],
}

/// A connection, and what its shard has not used of what was sent.
struct Place {
    shard: usize,
    key: ConnectionKey,
    unread: Vec<u8>,
    reads: bool,
}

pub(super) fn run(data: &[u8]) {
    let mut world = World::new();
    for step in data.chunks_exact(4) {
        if let &[what, who, a, b] = step {
            world.step(what, usize::from(who), a, b);
        }
    }
    world.end();
}

impl World {
    fn new() -> World {
        let mut limits = Limits::default();
        limits.memory_max = 256 * 1024;
        limits.queued_messages_max = 20;
        limits.subscriptions_max = 5;
        limits.out_buffer_max = 16 * 1024;
        let node = Arc::new(Node::new(2, 1));
        let shard = |id| {
            let settings = Settings::from(limits.clone());
            Shard::new(ShardId(id), Arc::clone(&node), settings, Box::new(AllowAll))
        };
        World {
            shards: vec![shard(0), shard(1)],
            node,
            now: Time::new(Duration::from_secs(1)),
            letters: Default::default(),
            places: Default::default(),
        }
    }

    fn step(&mut self, what: u8, who: usize, a: u8, b: u8) {
        let place = who % PLACES;
        let id = u16::from(b % 7 + 1).to_be_bytes();
        match what % 12 {
            0 | 1 => self.connect(place, who / PLACES % SHARDS, a, b),
            2 => self.send(place, 0x82, &[&id, &[0][..], &filter(a), &[b % 3]].concat()),
            3 => self.send(place, 0xA2, &[&id, &[0][..], &filter(a)].concat()),
            4 | 5 => self.publish(place, a, b),
            6 => {
                let kind = [0x40, 0x50, 0x62, 0x70][usize::from(a % 4)];
                self.send(place, kind, &id);
            }
            7 => self.send(place, 0xE0, if a == 0 { &[4] } else { &[] }),
            8 => self.lose(place),
            9 => {
                if let Some(place) = &mut self.places[place] {
                    place.reads = a.is_multiple_of(2);
                    place.unread.extend_from_slice(&[a, b]);
                }
            }
            10 => {
                self.now = self.now + Duration::from_millis(u64::from(a) * u64::from(b));
                self.shards
                    .iter_mut()
                    .for_each(|shard| shard.handle_timeout(self.now));
            }
            _ => {
                for _ in 0..=a % 8 {
                    self.deliver(usize::from(b) % SHARDS);
                }
            }
        }
        self.run();
    }

    /// One of four clients connects; every version 5, with or without a session that lasts, and a Will.
    fn connect(&mut self, place: usize, shard: usize, a: u8, b: u8) {
        self.lose(place);
        let key = self.shards[shard].handle_opened(self.now, Arc::default(), Peer::default());
        self.places[place] = Some(Place {
            shard,
            key,
            unread: Vec::new(),
            reads: true,
        });
        let (clean, will) = (a & 1, a >> 1 & 1);
        let flags = (clean << 1) | (will << 2) | ((will * (a >> 2 & 1)) << 5);
        let mut body = [b"\0\x04MQTT\x05", &[flags, 0, a % 16][..]].concat();
        // Session Expiry Interval and Receive Maximum.
        body.extend_from_slice(&[8, 0x11, 0, 0, 0, a >> 3, 0x21, 0, b % 5 + 1]);
        body.extend_from_slice(&[0, 1, b'a' + b % 4]);
        if will == 1 {
            // Will Delay Interval.
            body.extend_from_slice(&[5, 0x18, 0, 0, 0, b % 3]);
            body.extend_from_slice(&[&topic(b)[..], &[0, 1, b'w']].concat());
        }
        self.send(place, 0x10, &body);
    }

    fn publish(&mut self, place: usize, a: u8, b: u8) {
        let (qos, retain) = (a % 3, a >> 2 & 1);
        let mut body = topic(b);
        if qos > 0 {
            body.extend_from_slice(&[0, b % 5 + 1]);
        }
        // A Topic Alias now and then.
        if a & 0x80 == 0 {
            body.push(0);
        } else {
            body.extend_from_slice(&[3, 0x23, 0, b % 4]);
        }
        // An empty payload removes what is retained; some are large.
        let len = if a & 0x40 == 0 {
            usize::from(b % 4)
        } else {
            200 * usize::from(b)
        };
        body.resize(body.len() + len, b'x');
        self.send(place, 0x30 | qos << 1 | retain, &body);
    }

    fn send(&mut self, place: usize, kind: u8, body: &[u8]) {
        let Some(place) = &mut self.places[place] else {
            return;
        };
        place.unread.push(kind);
        let mut len = body.len();
        loop {
            let more = if len > 127 { 0x80 } else { 0 };
            place.unread.push((len % 128) as u8 | more);
            len /= 128;
            if len == 0 {
                break;
            }
        }
        place.unread.extend_from_slice(body);
    }

    /// Lets the shards read and write until nothing is left to do but letters.
    fn run(&mut self) {
        for index in 0..PLACES {
            let Some(place) = &mut self.places[index] else {
                continue;
            };
            let shard = &mut self.shards[place.shard];
            let used = shard.handle_bytes(self.now, place.key, &place.unread);
            place.unread.drain(..used);
        }
        for (index, shard) in self.shards.iter_mut().enumerate() {
            while let Some(key) = shard.poll_touched() {
                let mut places = self.places.iter().flatten();
                let place = places.find(|place| place.shard == index && place.key == key);
                if place.is_some_and(|place| !place.reads) {
                    shard.handle_blocked(key);
                } else if let Some(out) = shard.out(key) {
                    out.clear();
                    shard.handle_drained(self.now, key);
                }
            }
            shard.poll_events(self.now);
            let to = SHARDS - 1 - index;
            let to = ShardId(u16::try_from(to).unwrap_or(0));
            self.letters[index].extend(shard.poll_outbox(to).into_iter().flatten());
        }
        for index in 0..PLACES {
            let is_over = self.places[index].as_ref().is_some_and(|place| {
                let ending = self.shards[place.shard].ending(place.key);
                ending == Some(Ending::Drop) || ending.is_some() && place.reads
            });
            if is_over {
                self.lose(index);
            }
        }
    }

    fn deliver(&mut self, from: usize) {
        if let Some(letter) = self.letters[from].pop_front() {
            self.shards[SHARDS - 1 - from].handle_envelope(self.now, letter);
        }
    }

    fn lose(&mut self, place: usize) {
        if let Some(place) = self.places[place].take() {
            self.shards[place.shard].handle_closed(self.now, place.key);
        }
    }

    fn end(&mut self) {
        (0..PLACES).for_each(|place| self.lose(place));
        loop {
            self.run();
            if self.letters.iter().all(VecDeque::is_empty) {
                break;
            }
            (0..SHARDS).for_each(|from| self.deliver(from));
        }
        self.now = self.now + AGES;
        for _ in 0..2 {
            self.shards
                .iter_mut()
                .for_each(|shard| shard.handle_timeout(self.now));
            self.run();
            while self.letters.iter().any(|letters| !letters.is_empty()) {
                (0..SHARDS).for_each(|from| self.deliver(from));
                self.run();
            }
        }
        for shard in &mut self.shards {
            let stats = shard.stats();
            assert_eq!(
                (stats.connections, stats.sessions),
                (0, 0),
                "somebody is left"
            );
            assert_eq!(
                stats.waiting,
                Default::default(),
                "messages wait for nobody"
            );
            assert_eq!(shard.poll_timeout(), None, "timers of nobody");
        }
        assert_eq!(
            self.node.stats().subscriptions,
            0,
            "subscriptions of nobody"
        );
    }
}

/// With its length; `$` topics and a shared subscription among them.
fn filter(n: u8) -> Vec<u8> {
    let filters: [&[u8]; 8] = [
        b"t/a",
        b"t/b",
        b"t/+",
        b"#",
        b"+/a",
        b"$share/g/t/+",
        b"$share/g/t/a",
        b"$x/#",
    ];
    text(filters[usize::from(n % 8)])
}

fn topic(n: u8) -> Vec<u8> {
    let topics: [&[u8]; 4] = [b"t/a", b"t/b", b"u/a", b"$x/y"];
    text(topics[usize::from(n % 4)])
}

fn text(text: &[u8]) -> Vec<u8> {
    [&[0, text.len() as u8], text].concat()
}
