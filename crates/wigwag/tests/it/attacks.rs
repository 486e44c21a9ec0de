//! Attacks on a running broker, each on a broker of its own, while two clients that have no part in it go on
//! talking: they must get every message, and the broker must not hold more than it may.
//!
//! `WIGWAG_ATTACKS=2 cargo test --release -p wigwag --test it attacks:: -- --nocapture --test-threads 1` prints what
//! `docs/design/reliability.md` records: larger attacks, and Mosquitto beside us. Times are told, never judged.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::wire::{Connect, Wire, field, open_websocket, packet};

/// Makes a test of each attack.
macro_rules! attacks {
    ($($name:ident),+ $(,)?) => {
        mod attack {
            $(
                #[test]
                fn $name() {
                    super::attack(stringify!($name), |target| super::$name(target));
                }
            )+
        }
    };
}

attacks!(
    silent_connections,
    announced_sizes,
    connects_byte_by_byte,
    floods_of_connects,
    half_publishes,
    half_websocket_messages,
    websocket_pings,
    websocket_fragments,
    deep_filters,
    overlapping_filters,
    endless_subscribing,
    retained_topics,
    queues_of_those_who_are_away,
    sessions_with_wills,
    readers_that_do_not_read,
    answers_that_nobody_reads,
    unreleased_messages,
    properties_and_levels,
    messages_to_oneself,
    take_overs_without_end,
    shared_subscriptions_of_the_dead,
    reloads_without_end,
);

/// What our broker may hold while it is attacked, and what its process needs besides: code, threads, and what
/// an allocator does not give back.
const MEMORY_LIMIT: u64 = 64 * 1024 * 1024;
const ALLOWANCE: u64 = 96 * 1024 * 1024;

/// How long an attack that goes on for ever does.
const WHILE: Duration = Duration::from_millis(700);

/// How large attacks are, in so many times the size that every test run has.
fn scale() -> usize {
    let said = std::env::var("WIGWAG_ATTACKS").ok();
    said.map_or(1, |said| said.parse().unwrap())
}

/// Whom to attack.
struct Target {
    broker: Configured,
    mqtt_port: u16,
    ws_port: u16,
}

impl Target {
    /// Ours has little memory. Mosquitto's `memory_limit` makes it fail at any allocation; it has none.
    fn start(kind: Kind) -> Target {
        let (mqtt_port, ws_port) = (free_port(), free_port());
        let limit = match kind {
            Kind::Wigwag => format!("memory_limit {MEMORY_LIMIT}\n"),
            Kind::Mosquitto => String::new(),
        };
        let text = format!(
            "user root\n{limit}log_type error\nlog_type warning\nlog_type information\nconnection_messages false\n\
             listener {mqtt_port} 127.0.0.1\nlistener {ws_port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"
        );
        Target {
            broker: Configured::start_quietly(kind, tempdir().unwrap(), &text),
            mqtt_port,
            ws_port,
        }
    }

    fn connect(&self, client_id: &str) -> Wire {
        Wire::connected(self.mqtt_port, &hello(client_id))
    }

    fn connect_lasting(&self, client_id: &str) -> Wire {
        Wire::connected(self.mqtt_port, &lasting(client_id))
    }

    /// Connects if the broker has room.
    fn try_connect(&self, connect: &Connect<'_>) -> Option<Wire> {
        let mut wire = Wire::open(self.mqtt_port);
        wire.send(&connect.bytes());
        let (_, body) = wire.receive()?;
        (body.get(1) == Some(&0)).then_some(wire)
    }

    fn open(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.mqtt_port)).unwrap();
        stream.set_write_timeout(Some(WHILE)).unwrap();
        stream
    }

    /// A WebSocket past its handshake.
    fn websocket(&self) -> TcpStream {
        let stream = open_websocket(self.ws_port);
        stream.set_write_timeout(Some(WHILE)).unwrap();
        stream
    }

    /// Kilobytes of memory that the process has, or has had at most.
    fn memory(&self, field: &str) -> u64 {
        let id = self.broker.process.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.unwrap().parse().unwrap()
    }
}

/// Two clients that send each other messages, and how long each of those took.
struct Bystanders {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Bystanders {
    /// They send so many messages at least.
    fn begin(target: &Target, messages: usize) -> Bystanders {
        let mut reader = target.connect("bystander-reader");
        reader.send(&subscribe(&["bystander"], 0));
        reader.receive().unwrap();
        let mut writer = target.connect("bystander-writer");
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut took = Vec::new();
            while !stopped.load(Ordering::Relaxed) || took.len() < messages {
                let begin = Instant::now();
                writer.send(&publish("bystander", b"x", 0));
                let (kind, _) = reader.receive().expect("the reader is disconnected");
                assert_eq!(kind, 0x30, "a message");
                took.push(begin.elapsed());
            }
            took
        });
        Bystanders { stop, thread }
    }

    /// How long their messages took, the shortest first.
    fn end(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.thread.join().unwrap();
        took.sort();
        took
    }
}

/// Attacks our broker, and where the figures are recorded, Mosquitto.
fn attack<T>(name: &str, attack: impl Fn(&Target) -> T) {
    let most = watch(Kind::Wigwag, name, &attack);
    let bound = (MEMORY_LIMIT + ALLOWANCE) / 1024;
    assert!(most < bound, "{most} KiB, which are more than {bound}");
    if std::env::var_os("WIGWAG_ATTACKS").is_some() {
        watch(Kind::Mosquitto, name, &attack);
    }
}

/// Attacks a broker; the most kilobytes that it had. What the attack returns is held until all has been looked at.
fn watch<T>(kind: Kind, name: &str, attack: impl Fn(&Target) -> T) -> u64 {
    let target = Target::start(kind);
    let calm = Bystanders::begin(&target, 500).end();
    let before = target.memory("VmRSS:");
    let bystanders = Bystanders::begin(&target, 1);
    let begin = Instant::now();
    let held = attack(&target);
    let lasted = begin.elapsed();
    let took = bystanders.end();
    let most = target.memory("VmHWM:");
    let part = |took: &[Duration], percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "{kind:?} {name}: {:.1} s, {} -> {} MiB; bystanders {} messages, median {:?} (calm {:?}), p99 {:?}, longest {:?}",
        lasted.as_secs_f64(),
        before / 1024,
        most / 1024,
        took.len(),
        part(&took, 50),
        part(&calm, 50),
        part(&took, 99),
        part(&took, 100),
    );
    drop(held);
    most
}

fn hello(client_id: &str) -> Connect<'static> {
    Connect {
        payload: field(client_id.as_bytes()),
        ..Connect::clean(5)
    }
}

/// A client whose session lasts an hour.
fn lasting(client_id: &str) -> Connect<'static> {
    Connect {
        properties: &[0x11, 0, 0, 0x0E, 0x10],
        ..hello(client_id)
    }
}

fn subscribe(filters: &[&str], qos: u8) -> Vec<u8> {
    let filters = filters
        .iter()
        .flat_map(|filter| [field(filter.as_bytes()), vec![qos]].concat());
    packet(
        0x82,
        &[0, 1, 0].into_iter().chain(filters).collect::<Vec<_>>(),
    )
}

/// A PUBLISH; a Packet Identifier of 0 is one of QoS 0.
fn publish(topic: &str, payload: &[u8], packet_id: u16) -> Vec<u8> {
    let id = packet_id.to_be_bytes();
    let (kind, id) = if packet_id == 0 {
        (0x30, &[][..])
    } else {
        (0x32, &id[..])
    };
    packet(
        kind,
        &[&field(topic.as_bytes()), id, &[0], payload].concat(),
    )
}

/// The beginning of a PUBLISH that announces two megabytes.
fn half_publish(len: usize) -> Vec<u8> {
    [&[0x30, 0xE0, 0xBE, 0x79, 0, 1, b't', 0][..], &vec![0; len]].concat()
}

/// Sends the same for a while, or until nobody takes it.
fn pour(mut stream: &TcpStream, bytes: &[u8]) {
    let begin = Instant::now();
    while begin.elapsed() < WHILE && stream.write_all(bytes).is_ok() {}
}

/// The same on several connections at a time.
fn pour_on_all(streams: &[TcpStream], bytes: &[u8]) {
    thread::scope(|scope| {
        for stream in streams {
            scope.spawn(|| pour(stream, bytes));
        }
    });
}

/// Connections past CONNACK, as raw streams.
fn connected(target: &Target, count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = target.open();
        stream.write_all(&hello("").bytes()).unwrap();
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        stream.read_exact(&mut vec![0; head[1].into()]).unwrap();
        stream
    };
    (0..count).map(connect).collect()
}

fn silent_connections(target: &Target) -> Vec<TcpStream> {
    (0..300 * scale()).map(|_| target.open()).collect()
}

fn announced_sizes(target: &Target) -> Vec<TcpStream> {
    let announce = |_| {
        let mut stream = target.open();
        _ = stream.write_all(&[&[0x10, 0xFF, 0xFF, 0xFF, 0x7F][..], &[0; 60_000]].concat());
        stream
    };
    (0..100 * scale()).map(announce).collect()
}

fn connects_byte_by_byte(target: &Target) -> Vec<TcpStream> {
    let streams: Vec<_> = (0..100 * scale()).map(|_| target.open()).collect();
    for byte in &hello("slow").bytes()[..16] {
        for mut stream in &streams {
            stream.write_all(&[*byte]).unwrap();
        }
    }
    streams
}

fn floods_of_connects(target: &Target) {
    let begin = Instant::now();
    while begin.elapsed() < WHILE {
        target.connect("");
    }
}

fn half_publishes(target: &Target) -> Vec<TcpStream> {
    let streams = connected(target, 100 * scale());
    for mut stream in &streams {
        _ = stream.write_all(&half_publish(1_900_000));
    }
    streams
}

fn half_websocket_messages(target: &Target) -> Vec<TcpStream> {
    let announce = |_| {
        let mut stream = target.websocket();
        let len = 1_990_000_u64.to_be_bytes();
        _ = stream.write_all(&[&[0x82, 0xFF][..], &len, &[0; 4], &[0x10; 1_900_000]].concat());
        stream
    };
    (0..60 * scale()).map(announce).collect()
}

fn websocket_pings(target: &Target) -> Vec<TcpStream> {
    let streams: Vec<_> = (0..4).map(|_| target.websocket()).collect();
    pour_on_all(&streams, &[0x89, 0x80, 0, 0, 0, 0].repeat(5_000));
    streams
}

fn websocket_fragments(target: &Target) -> Vec<TcpStream> {
    let streams: Vec<_> = (0..4).map(|_| target.websocket()).collect();
    for mut stream in &streams {
        stream.write_all(&[0x02, 0x81, 0, 0, 0, 0, 0x10]).unwrap();
    }
    pour_on_all(&streams, &[0x00, 0x81, 0, 0, 0, 0, 0xFF].repeat(5_000));
    streams
}

fn deep_filters(target: &Target) -> Vec<Wire> {
    let subscribe_all = |client: usize| {
        let mut wire = target.try_connect(&hello(&format!("deep-{client}")))?;
        for part in 0..5 {
            let filters: Vec<String> = (0..200)
                .map(|n| format!("{client}-{part}-{n}{}", "/+".repeat(120)))
                .collect();
            let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
            wire.send(&subscribe(&filters, 0));
            wire.receive()?;
        }
        Some(wire)
    };
    (0..6 * scale()).filter_map(subscribe_all).collect()
}

/// Ten levels, each a wildcard or not: one topic matches all of a thousand filters.
fn overlapping_filters(target: &Target) -> Vec<Wire> {
    let level = |n: usize, bit: usize| if n >> bit & 1 == 1 { "+" } else { "l" };
    let filter = |n: usize| {
        (0..10)
            .map(|bit| level(n, bit))
            .collect::<Vec<_>>()
            .join("/")
    };
    let filters: Vec<String> = (0..1_000).map(filter).collect();
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let mut wires: Vec<Wire> = (0..5 * scale())
        .map(|client| {
            let mut wire = target.connect(&format!("overlapping-{client}"));
            for part in filters.chunks(200) {
                wire.send(&subscribe(part, 0));
                wire.receive().unwrap();
            }
            wire
        })
        .collect();
    let mut publisher = target.connect("publisher");
    for _ in 0..200 * scale() {
        publisher.send(&publish(&["l"; 10].join("/"), b"x", 0));
    }
    for wire in &mut wires {
        wire.receive().unwrap();
    }
    wires
}

fn endless_subscribing(target: &Target) {
    let filters: Vec<String> = (0..200).map(|n| format!("churn/{n}/+")).collect();
    let wanted: Vec<&str> = filters.iter().map(String::as_str).collect();
    let unwanted = filters.iter().flat_map(|filter| field(filter.as_bytes()));
    let unsubscribe = [0, 2, 0].into_iter().chain(unwanted).collect::<Vec<_>>();
    let both = [subscribe(&wanted, 0), packet(0xA2, &unsubscribe)].concat();
    let mut wire = target.connect("churn");
    let begin = Instant::now();
    while begin.elapsed() < WHILE {
        wire.send(&both);
        wire.receive().and_then(|_| wire.receive()).unwrap();
    }
}

fn retained_topics(target: &Target) {
    let mut wire = target.connect("retainer");
    for n in 0..2_000 * scale() {
        let mut bytes = publish(&format!("retained/{n}"), &[b'x'; 60_000], 0);
        bytes[0] |= 1;
        wire.send(&bytes);
    }
    wire.send(&packet(0xC0, &[]));
    wire.receive().unwrap();
}

fn queues_of_those_who_are_away(target: &Target) {
    let clients = 20 * scale();
    for n in 0..clients {
        if let Some(mut wire) = target.try_connect(&lasting(&format!("away-{n}"))) {
            wire.send(&subscribe(&[&format!("away/{n}")], 1));
            wire.receive().unwrap();
        }
    }
    let mut wire = target.connect("publisher");
    for n in 0..clients {
        for id in 1..=150 {
            wire.send(&publish(&format!("away/{n}"), &[b'x'; 60_000], id));
            wire.receive().unwrap();
        }
    }
}

fn sessions_with_wills(target: &Target) {
    for n in 0..3_000 * scale() {
        let will = [&[0][..], &field(b"will"), &field(&[b'w'; 50_000])].concat();
        let connect = lasting(&format!("will-{n}"));
        let connect = Connect {
            flags: 0x06,
            payload: [connect.payload.clone(), will].concat(),
            ..connect
        };
        // The connection breaks at once.
        if target.try_connect(&connect).is_none() {
            return;
        }
    }
}

fn readers_that_do_not_read(target: &Target) -> Vec<TcpStream> {
    let readers = connected(target, 30 * scale());
    for mut reader in &readers {
        reader.write_all(&subscribe(&["unread"], 0)).unwrap();
        reader.read_exact(&mut [0; 6]).unwrap();
    }
    let mut publisher = target.connect("publisher");
    for _ in 0..20_000 {
        publisher.send(&publish("unread", &[b'x'; 1_000], 0));
    }
    publisher.send(&packet(0xC0, &[]));
    publisher.receive().unwrap();
    readers
}

/// PINGREQ, and PUBREC of what was never sent: each has an answer.
fn answers_that_nobody_reads(target: &Target) -> Vec<TcpStream> {
    let streams = connected(target, 10 * scale());
    pour_on_all(&streams, &[0xC0, 0, 0x50, 2, 0, 7].repeat(5_000));
    streams
}

fn unreleased_messages(target: &Target) -> Vec<TcpStream> {
    let streams = connected(target, 20 * scale());
    for mut stream in &streams {
        for id in 1..=2_000_u16 {
            let [high, low] = id.to_be_bytes();
            let bytes = packet(0x34, &[0, 1, b'u', high, low, 0, b'x']);
            if stream.write_all(&bytes).is_err() {
                break;
            }
        }
    }
    streams
}

fn properties_and_levels(target: &Target) {
    let user_properties = [0x26, 0, 0, 0, 0].repeat(20_000);
    let with_properties = [&[0, 1, b'a', 0xA0, 0x8D, 0x06][..], &user_properties].concat();
    let levels = field(&[b'/'; 65_535]);
    for body in [
        packet(0x30, &with_properties),
        packet(0x30, &[&levels[..], &[0]].concat()),
        packet(0x82, &[&[0, 1, 0][..], &levels, &[0]].concat()),
    ] {
        for _ in 0..20 * scale() {
            let mut wire = target.connect("");
            wire.send(&body);
            wire.finish_sending();
            wire.receive_to_the_end();
        }
    }
}

/// Clients that publish whatever they get, which is what they publish.
fn messages_to_oneself(target: &Target) -> Vec<TcpStream> {
    let streams = connected(target, 3);
    let message = publish("loop", b"x", 0);
    for mut stream in &streams {
        stream.write_all(&subscribe(&["loop"], 0)).unwrap();
        stream.read_exact(&mut [0; 6]).unwrap();
        stream.set_read_timeout(Some(WHILE)).unwrap();
    }
    let begin = Instant::now();
    thread::scope(|scope| {
        for mut stream in &streams {
            let message = &message;
            scope.spawn(move || {
                let mut chunk = [0; 4_096];
                _ = stream.write_all(&message.repeat(10));
                while begin.elapsed() < WHILE
                    && let Ok(count @ 1..) = stream.read(&mut chunk)
                    && stream
                        .write_all(&message.repeat(count / message.len()))
                        .is_ok()
                {}
            });
        }
    });
    streams
}

fn take_overs_without_end(target: &Target) {
    let (begin, port) = (Instant::now(), target.mqtt_port);
    thread::scope(|scope| {
        for n in 0..4 {
            scope.spawn(move || {
                while begin.elapsed() < WHILE {
                    let mut wire = Wire::open(port);
                    wire.send(&lasting("same").bytes());
                    // Another one may have been quicker.
                    if wire.receive().is_some() {
                        wire.send(&subscribe(&[&format!("same/{n}")], 1));
                    }
                }
            });
        }
    });
}

fn shared_subscriptions_of_the_dead(target: &Target) {
    for n in 0..50 * scale() {
        let mut wire = target.connect_lasting(&format!("dead-{n}"));
        wire.send(&subscribe(&["$share/group/work"], 1));
        wire.receive().unwrap();
    }
    let mut alive = target.connect("alive");
    alive.send(&subscribe(&["$share/group/work"], 0));
    alive.receive().unwrap();
    let mut publisher = target.connect("publisher");
    for _ in 0..500 {
        publisher.send(&publish("work", &[b'x'; 1_000], 0));
    }
    publisher.send(&packet(0xC0, &[]));
    publisher.receive().unwrap();
}

fn reloads_without_end(target: &Target) {
    for _ in 0..20 {
        target.broker.process.signal("HUP");
        target
            .broker
            .process
            .await_line("that it has read its file again", |line| {
                line.contains("Reloading config.")
            });
    }
}
