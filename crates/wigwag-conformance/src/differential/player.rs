//! Plays a schedule to one broker and tells what its clients saw.
//!
//! What a broker may choose freely is left out: Packet Identifiers of its own, the order of messages of
//! different topics, the numbers that it announces. After every step all clients are asked with
//! PINGREQ until nothing comes any more.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::schedule::{Act, Connect, FILTERS, Publish, Schedule, TOPICS};
use crate::peer::{Connection, Stop};
use crate::wire::{self, ConnectBytes, Packet, Value, Version};

/// A broker that has not answered or come to rest by then will not.
const PATIENCE: Duration = Duration::from_secs(20);

static RUNS: AtomicU32 = AtomicU32::new(0);

/// The line that tells of the end of a connection.
pub(super) const CLOSED: &str = "the connection is closed";

/// Lines that the player adds, of what a broker does not show at once.
pub(super) const TAKEN_WITH_WILL: &str = "(its earlier connection had a Will)";
pub(super) const ENDED_BEFORE_WILL: &str = "(its Will is to come later than its session ends)";

/// What each client saw in one step, a line for each packet.
pub type Seen = [Vec<String>; 2];

/// Plays the schedule. When a connection has ended, what comes of it to others has `grace` to arrive:
/// nothing tells when it is complete.
///
/// # Errors
///
/// The broker could not be reached, did not answer in time, or did not come to rest.
pub fn play(schedule: &Schedule, addr: SocketAddr, grace: Duration) -> Result<Vec<Seen>, Stop> {
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let run = format!("{}x{run}", std::process::id());
    let [a, b] = schedule.versions;
    let mut player = Player {
        addr,
        clients: [
            Client::new(a, format!("A{run}")),
            Client::new(b, format!("B{run}")),
        ],
        run,
        payloads: 0,
    };
    let mut all = Vec::with_capacity(schedule.steps.len());
    for step in &schedule.steps {
        let mut seen = Seen::default();
        player.act(step.client, &step.act, &mut seen)?;
        let ends = matches!(
            step.act,
            Act::Connect(_) | Act::Disconnect { .. } | Act::Cut | Act::Odd(_)
        );
        let grace = if ends { grace } else { Duration::ZERO };
        player.settle(step.client, grace, &mut seen)?;
        all.push(seen.map(|lines| in_order(lines, &player.run)));
    }
    player.clean_up();
    Ok(all)
}

/// Lines of one client, without what brokers may choose.
fn in_order(mut lines: Vec<String>, run: &str) -> Vec<String> {
    for line in &mut lines {
        *line = line.replace(run, "{}");
    }
    // Messages and what belongs to them come last, those of one topic in the order in which they came.
    lines.sort_by_key(|line| match line.split_once(' ') {
        Some(("PUBREL", _)) => (1, String::new()),
        Some(("PUBLISH", rest)) => (2, rest.split(' ').next().unwrap_or_default().to_owned()),
        _ => (0, String::new()),
    });
    lines
}

struct Player {
    addr: SocketAddr,
    clients: [Client; 2],
    run: String,
    payloads: u32,
}

impl Player {
    fn act(&mut self, index: usize, act: &Act, seen: &mut Seen) -> Result<(), Stop> {
        self.payloads += 1;
        let payload = format!("m{}", self.payloads);
        let (Some(client), Some(seen)) = (self.clients.get_mut(index), seen.get_mut(index)) else {
            return Ok(());
        };
        match act {
            Act::Connect(connect) => return client.connect(self.addr, connect, &self.run, seen),
            _ if client.connection.is_none() => {}
            Act::Publish(publish) => client.publish(publish, &self.run, &payload),
            Act::Subscribe {
                filters,
                identifier,
            } => client.subscribe(filters, *identifier, &self.run),
            Act::Unsubscribe { filters } => client.unsubscribe(filters, &self.run),
            Act::Hold => client.owed = Some(client.owed.take().unwrap_or_default()),
            Act::Release => {
                for answer in client.owed.take().unwrap_or_default() {
                    client.send(&answer);
                }
            }
            Act::Disconnect { code, expiry_secs } => {
                return client.disconnect(*code, *expiry_secs, seen);
            }
            Act::Cut => return client.cut(seen),
            Act::Odd(odd) => {
                let bytes = odd_bytes(*odd, client.version, &client.name, &self.run);
                client.send(&bytes);
            }
        }
        Ok(())
    }

    /// Asks all clients, first the one that did something, until nothing comes.
    fn settle(&mut self, first: usize, grace: Duration, seen: &mut Seen) -> Result<(), Stop> {
        let start = Instant::now();
        let mut quiet = 0;
        while start.elapsed() < PATIENCE {
            let mut came = false;
            for index in [first, 1 - first] {
                if let (Some(client), Some(seen)) =
                    (self.clients.get_mut(index), seen.get_mut(index))
                {
                    came |= client.fence(seen)?;
                }
            }
            quiet = if came { 0 } else { quiet + 1 };
            if quiet >= 2 && start.elapsed() >= grace {
                return Ok(());
            }
        }
        Stop::failed("the broker does not come to rest")
    }

    /// Takes sessions and retained messages away. What goes wrong here concerns no schedule.
    fn clean_up(&mut self) {
        let nothing = Connect {
            clean_start: true,
            expiry_secs: 0,
            receive_maximum: None,
            will: None,
        };
        for client in &mut self.clients {
            let _ = client.connect(self.addr, &nothing, &self.run, &mut Vec::new());
        }
        let [client, _] = &mut self.clients;
        for topic in TOPICS {
            let topic = named(topic, &self.run);
            client.send(&wire::publish(
                client.version,
                1,
                topic.as_bytes(),
                0,
                &[],
                &[],
            ));
        }
        let _ = client.fence(&mut Vec::new());
    }
}

struct Client {
    version: Version,
    name: String,
    connection: Option<Connection>,
    /// What the connection was opened with.
    opened_with: Option<Connect>,
    /// The Will of its last connection waits for its delay.
    has_delayed_will: bool,
    /// Packets that must be sent again when the session goes on: PUBLISH or PUBREL, by identifier.
    unacknowledged: Vec<(u16, Vec<u8>)>,
    /// Acknowledgements that a holding client owes.
    owed: Option<Vec<Vec<u8>>>,
    last_id: u16,
}

impl Client {
    fn new(version: Version, name: String) -> Client {
        Client {
            version,
            name,
            connection: None,
            opened_with: None,
            has_delayed_will: false,
            unacknowledged: Vec::new(),
            owed: None,
            last_id: 0,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        if let Some(connection) = &mut self.connection {
            connection.send(bytes);
        }
    }

    fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    fn connect(
        &mut self,
        addr: SocketAddr,
        connect: &Connect,
        run: &str,
        seen: &mut Vec<String>,
    ) -> Result<(), Stop> {
        let mut connection = Connection::open(addr, self.version, PATIENCE)?;
        connection.send(&connect_bytes(connect, self.version, &self.name, run));
        let connack = connection.expect(wire::CONNACK)?;
        let earlier = self.connection.replace(connection);
        let opened_with = self.opened_with.replace(connect.clone());
        if let Some(mut earlier) = earlier {
            if opened_with.is_some_and(|opened| opened.will.is_some()) {
                seen.push(TAKEN_WITH_WILL.to_owned());
            }
            for packet in earlier.until_closed()? {
                seen.push(format!("on its earlier connection: {}", tell(&packet)));
            }
        }
        if std::mem::take(&mut self.has_delayed_will) && connect.clean_start {
            seen.push(ENDED_BEFORE_WILL.to_owned());
        }
        self.owed = None;
        seen.push(tell(&connack));
        if connack.session_present == 0 {
            self.unacknowledged.clear();
        }
        self.send_again();
        Ok(())
    }

    /// Sends what the session still has to deliver.
    fn send_again(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        for (_, bytes) in &self.unacknowledged {
            let mut bytes = bytes.clone();
            if let Some(first) = bytes.first_mut()
                && *first >> 4 == wire::PUBLISH
            {
                *first |= 8;
            }
            connection.send(&bytes);
        }
    }

    fn publish(&mut self, publish: &Publish, run: &str, payload: &str) {
        let topic = TOPICS.get(publish.topic).copied().unwrap_or_default();
        let topic = named(topic, run);
        let mut properties = Vec::new();
        if publish.with_properties {
            properties.extend(wire::number(0x01, 1, 1));
            properties.extend(wire::text(0x03, b"text/plain"));
            properties.extend(wire::text(0x08, b"answers"));
            properties.extend(wire::text(0x09, b"\x00\x01"));
            properties.extend(wire::pair(b"name", b"first"));
            properties.extend(wire::pair(b"name", b"second"));
        }
        if publish.expires {
            properties.extend(wire::number(0x02, 3600, 4));
        }
        let flags = publish.qos << 1 | u8::from(publish.retain);
        let id = if publish.qos > 0 { self.next_id() } else { 0 };
        let payload = if publish.is_empty { "" } else { payload };
        let (topic, payload) = (topic.as_bytes(), payload.as_bytes());
        let bytes = wire::publish(self.version, flags, topic, id, &properties, payload);
        self.send(&bytes);
        if id > 0 {
            self.unacknowledged.push((id, bytes));
        }
    }

    fn subscribe(&mut self, filters: &[(usize, u8)], identifier: Option<u32>, run: &str) {
        let id = self.next_id();
        let properties = match identifier {
            Some(identifier) if self.version.is_v5() => {
                [vec![0x0B], wire::var_int(identifier as usize)].concat()
            }
            _ => Vec::new(),
        };
        let options_mask = if self.version.is_v5() { 0x3F } else { 3 };
        let filters: Vec<(String, u8)> = filters
            .iter()
            .filter_map(|(filter, options)| Some((FILTERS.get(*filter)?, options)))
            .map(|(filter, options)| (named(filter, run), options & options_mask))
            .collect();
        let filters: Vec<(&[u8], u8)> = filters
            .iter()
            .map(|(filter, options)| (filter.as_bytes(), *options))
            .collect();
        self.send(&wire::subscribe(self.version, id, &properties, &filters));
    }

    fn unsubscribe(&mut self, filters: &[usize], run: &str) {
        let id = self.next_id();
        let filters: Vec<String> = filters
            .iter()
            .filter_map(|filter| FILTERS.get(*filter))
            .map(|filter| named(filter, run))
            .collect();
        let filters: Vec<&[u8]> = filters.iter().map(String::as_bytes).collect();
        self.send(&wire::unsubscribe(self.version, id, &filters));
    }

    fn cut(&mut self, seen: &mut Vec<String>) -> Result<(), Stop> {
        if let Some(connection) = &mut self.connection {
            connection.finish();
            // What the broker sends last has no reader.
            connection.until_closed()?;
        }
        self.close(seen);
        Ok(())
    }

    /// The client says goodbye, and the broker must close.
    fn disconnect(
        &mut self,
        code: u8,
        expiry_secs: Option<u32>,
        seen: &mut Vec<String>,
    ) -> Result<(), Stop> {
        let properties = match expiry_secs {
            Some(secs) => wire::number(0x11, secs, 4),
            None => Vec::new(),
        };
        self.send(&wire::disconnect(self.version, code, &properties));
        if let Some(connection) = &mut self.connection {
            for packet in connection.until_closed()? {
                seen.push(format!("after its DISCONNECT: {}", tell(&packet)));
            }
        }
        let opened = self.opened_with.as_mut();
        match (opened.filter(|_| self.version.is_v5()), expiry_secs) {
            // Not allowed: the connection ends as after any other violation.
            (Some(Connect { expiry_secs: 0, .. }), Some(1..)) => {}
            (Some(opened), expiry_secs) if code == 4 => {
                opened.expiry_secs = expiry_secs.unwrap_or(opened.expiry_secs);
            }
            _ => self.opened_with = None,
        }
        self.close(seen);
        Ok(())
    }

    /// The connection has ended. What it was opened with is still known if its Will counts.
    fn close(&mut self, seen: &mut Vec<String>) {
        self.connection = None;
        self.owed = None;
        let opened = self.opened_with.take();
        if let Some(Connect {
            expiry_secs,
            will: Some(will),
            ..
        }) = opened
            && will.delay_secs.is_some()
            && self.version.is_v5()
        {
            if expiry_secs == 0 {
                seen.push(ENDED_BEFORE_WILL.to_owned());
            } else {
                self.has_delayed_will = true;
            }
        }
    }

    /// Takes in what came up to the answer of a PINGREQ. Whether anything came.
    fn fence(&mut self, seen: &mut Vec<String>) -> Result<bool, Stop> {
        self.send(&wire::packet(wire::PINGREQ, 0, &[]));
        let end = Instant::now() + PATIENCE;
        let mut came = false;
        while let Some(connection) = &mut self.connection {
            match connection.receive_until(end)? {
                Some(Some(packet)) if packet.kind == wire::PINGRESP => return Ok(came),
                Some(Some(packet)) => {
                    came = true;
                    seen.push(tell(&packet));
                    self.answer(&packet);
                }
                Some(None) => {
                    came = true;
                    seen.push(CLOSED.to_owned());
                    self.close(seen);
                }
                None => return Stop::failed("no PINGRESP came"),
            }
        }
        Ok(came)
    }

    /// Answers a packet as a client must; acknowledgements of messages may be held.
    fn answer(&mut self, packet: &Packet) {
        let answer = match packet.kind {
            wire::PUBLISH if packet.qos() == 1 => wire::ack(wire::PUBACK, packet.id, 0),
            wire::PUBLISH if packet.qos() == 2 => wire::ack(wire::PUBREC, packet.id, 0),
            wire::PUBREL => wire::ack(wire::PUBCOMP, packet.id, 0),
            wire::PUBREC if packet.code < 0x80 => {
                let release = wire::ack(wire::PUBREL, packet.id, 0);
                let mut all = self.unacknowledged.iter_mut();
                if let Some((_, bytes)) = all.find(|(id, _)| *id == packet.id) {
                    bytes.clone_from(&release);
                    self.send(&release);
                }
                return;
            }
            wire::PUBACK | wire::PUBREC | wire::PUBCOMP => {
                self.unacknowledged.retain(|(id, _)| *id != packet.id);
                return;
            }
            _ => return,
        };
        match &mut self.owed {
            Some(owed) => owed.push(answer),
            None => self.send(&answer),
        }
    }
}

fn named(pattern: &str, run: &str) -> String {
    pattern.replace("{}", run)
}

fn connect_bytes(connect: &Connect, version: Version, name: &str, run: &str) -> Vec<u8> {
    let mut properties = Vec::new();
    if version.is_v5() {
        if connect.expiry_secs > 0 {
            properties.extend(wire::number(0x11, connect.expiry_secs, 4));
        }
        if let Some(maximum) = connect.receive_maximum {
            properties.extend(wire::number(0x21, maximum.into(), 2));
        }
    }
    let mut bytes = ConnectBytes {
        flags: u8::from(connect.clean_start) << 1,
        properties,
        ..ConnectBytes::new(version, name)
    };
    if let Some(will) = &connect.will {
        let delay = match will.delay_secs {
            Some(secs) if version.is_v5() => wire::number(0x18, secs, 4),
            _ => Vec::new(),
        };
        let flags = will.qos << 3 | u8::from(will.retain) << 5;
        let topic = TOPICS.get(will.topic).copied().unwrap_or_default();
        bytes = bytes.will(named(topic, run).as_bytes(), b"will", flags, &delay);
    }
    bytes.bytes()
}

/// The bytes of one of `schedule::ODDITIES`.
fn odd_bytes(odd: usize, version: Version, name: &str, run: &str) -> Vec<u8> {
    const UNKNOWN: u16 = 60_000;
    let topic = format!("r/{run}/a");
    let topic = topic.as_bytes();
    match odd {
        0 => wire::ack(wire::PUBREL, UNKNOWN, 0),
        1 => wire::ack(wire::PUBACK, UNKNOWN, 0),
        2 => wire::ack(wire::PUBREC, UNKNOWN, 0),
        3 => wire::ack(wire::PUBCOMP, UNKNOWN, 0),
        4 => wire::publish(version, 2, b"r/+/a", UNKNOWN, &[], b"odd"),
        5 => wire::publish(version, 6, topic, UNKNOWN, &[], b"odd"),
        6 => wire::subscribe(version, UNKNOWN, &[], &[]),
        7 => wire::subscribe(version, UNKNOWN, &[], &[(b"r/#/a", 1)]),
        8 => wire::subscribe(version, UNKNOWN, &[], &[(topic, 3)]),
        9 => ConnectBytes::new(version, name).bytes(),
        10 => wire::publish(version, 2, b"", UNKNOWN, &[], b"odd"),
        11 => wire::connack(version, false, 0, &[]),
        12 => wire::packet(wire::PINGREQ, 0, b"body"),
        _ => {
            let mut bytes = wire::subscribe(version, UNKNOWN, &[], &[(topic, 1)]);
            if let Some(first) = bytes.first_mut() {
                *first &= 0xF0;
            }
            bytes
        }
    }
}

/// A packet in one line, without what the broker may choose.
fn tell(packet: &Packet) -> String {
    let mut line = packet.name().to_owned();
    match packet.kind {
        wire::CONNACK => {
            let present = packet.session_present;
            line += &format!(" code 0x{:02X} session present {present}", packet.code);
            for id in [0x11, 0x13, 0x24, 0x25, 0x28] {
                if let Some(number) = packet.number(id) {
                    line += &format!(" 0x{id:02X}={number}");
                }
            }
        }
        wire::PUBLISH => {
            let topic = String::from_utf8_lossy(&packet.topic);
            let payload = String::from_utf8_lossy(&packet.payload);
            line += &format!(" {topic} '{payload}' QoS {}", packet.qos());
            line += if packet.dup() { " DUP" } else { "" };
            line += if packet.retain() { " RETAIN" } else { "" };
            line += &properties(packet);
        }
        wire::PUBACK | wire::PUBREC | wire::PUBCOMP => {
            line += &format!(" {} code 0x{:02X}", packet.id, packet.code);
        }
        wire::SUBACK | wire::UNSUBACK => {
            line += &format!(" {} codes {:02X?}", packet.id, packet.codes);
        }
        // The Packet Identifier of a PUBREL is the broker's.
        _ => line += &format!(" code 0x{:02X}", packet.code),
    }
    line
}

/// Properties of a message, those that may come in any order sorted.
fn properties(packet: &Packet) -> String {
    let mut texts: Vec<String> = packet
        .properties
        .iter()
        .filter_map(|property| match &property.value {
            // A second may have passed.
            Value::Number(secs) if property.id == 0x02 => {
                Some(format!(" 0x02={}", secs.div_ceil(60) * 60))
            }
            Value::Number(number) => Some(format!(" 0x{:02X}={number}", property.id)),
            Value::Bytes(bytes) => Some(format!(" 0x{:02X}={}", property.id, bytes.escape_ascii())),
            Value::Pair(..) => None,
        })
        .collect();
    texts.sort();
    let pairs = packet.pairs().into_iter();
    let pairs =
        pairs.map(|(name, value)| format!(" {}:{}", name.escape_ascii(), value.escape_ascii()));
    texts.into_iter().chain(pairs).collect()
}
