//! What Topic Aliases towards clients save on the wire and cost in the engine: one publisher, messages of 64
//! bytes at QoS 0, subscribers with and without aliases. No sockets, so the kernel's part is not in it.
//! `cargo run --release -p wigwag-broker --example alias_cost`

use std::sync::Arc;
use std::time::{Duration, Instant};

use wigwag_engine::policy::AllowAll;
use wigwag_engine::{ConnectionKey, ListenerSettings, Node, Peer, Settings, Shard, ShardId, Time};

const MESSAGES: usize = 300_000;

/// Messages that come at once.
const BATCH: usize = 50;

fn main() {
    println!(
        "{:>11} {:>7} {:>8} {:>6} {:>10}",
        "subscribers", "topic", "aliases", "bytes", "delivery"
    );
    for subscribers in [1, 100] {
        for topic in [12, 24, 48, 96] {
            for aliases in [0, 16] {
                let (bytes, took) = measure(subscribers, topic, aliases);
                println!("{subscribers:>11} {topic:>7} {aliases:>8} {bytes:>6} {took:>10.1?}");
            }
        }
    }
}

/// Bytes and time of one delivery; the time is the best of five rounds.
fn measure(subscribers: usize, topic_len: usize, aliases: u16) -> (usize, Duration) {
    let mut world = World::new(subscribers, topic_len, aliases);
    let batches = MESSAGES / BATCH / subscribers;
    let deliveries = batches * BATCH * subscribers;
    let mut best = (0, Duration::MAX);
    for _ in 0..5 {
        let start = Instant::now();
        let bytes: usize = (0..batches).map(|_| world.publish()).sum();
        let took = start.elapsed() / u32::try_from(deliveries).unwrap_or(u32::MAX);
        if took < best.1 {
            best = (bytes / deliveries, took);
        }
    }
    best
}

struct World {
    shard: Shard,
    publisher: ConnectionKey,
    subscribers: Vec<ConnectionKey>,
    batch: Vec<u8>,
}

impl World {
    fn new(subscribers: usize, topic_len: usize, aliases: u16) -> World {
        let (node, settings) = (Arc::new(Node::new(1, 7)), Settings::default());
        let mut shard = Shard::new(ShardId(0), node, settings, Box::new(AllowAll));
        let listener = Arc::new(ListenerSettings::default());
        let mut open = |connect: &[u8], more: &[u8]| {
            let key = shard.handle_opened(Time::ZERO, Arc::clone(&listener), Peer::default());
            shard.handle_bytes(Time::ZERO, key, &[connect, more].concat());
            key
        };
        let topic = field("t".repeat(topic_len).as_bytes());
        let subscribe = packet(0x82, &[&[0, 1, 0][..], &topic, &[0]].concat());
        let subscribers = (0..subscribers)
            .map(|number| open(&connect(&format!("s{number}"), aliases), &subscribe))
            .collect();
        let publisher = open(&connect("p", 0), &[]);
        let message = packet(0x30, &[&topic[..], &[0], &[7; 64]].concat());
        World {
            shard,
            publisher,
            subscribers,
            batch: message.repeat(BATCH),
        }
    }

    /// One batch, with the subscribers reading all; returns how many bytes that was.
    fn publish(&mut self) -> usize {
        let used = self
            .shard
            .handle_bytes(Time::ZERO, self.publisher, &self.batch);
        assert_eq!(used, self.batch.len(), "everybody reads");
        let mut bytes = 0;
        for &key in &self.subscribers {
            if let Some(out) = self.shard.out(key) {
                bytes += out.len();
                out.advance(out.len());
            }
            self.shard.handle_drained(Time::ZERO, key);
        }
        while self.shard.poll_touched().is_some() {}
        self.shard.poll_events(Time::ZERO);
        bytes
    }
}

fn connect(client_id: &str, aliases: u16) -> Vec<u8> {
    let [high, low] = aliases.to_be_bytes();
    let properties: &[u8] = if aliases > 0 {
        &[3, 0x22, high, low]
    } else {
        &[0]
    };
    let head = [&field(b"MQTT")[..], &[5, 2, 0, 0], properties].concat();
    packet(0x10, &[head, field(client_id.as_bytes())].concat())
}

/// A packet of less than 16 KiB.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (low, high) = (body.len() & 0x7F, body.len() >> 7);
    let length = if high > 0 {
        vec![low as u8 | 0x80, high as u8]
    } else {
        vec![low as u8]
    };
    [&[first][..], &length, body].concat()
}

fn field(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}
