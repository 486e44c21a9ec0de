//! A TCP proxy that breaks every connection in one of the ways in which networks break them, and counts.
//!
//! It takes packets apart by hand and knows of MQTT what it takes to cut behind a packet. Besides, it
//! keeps a record of the one mistake of Mosquitto that no client can make good: see [`Republished`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of one connection.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Ends after so many bytes of either direction.
    CutAfterBytes(usize),
    /// Ends behind the n-th packet of this type, in either direction.
    CutAfterPacket(Packet, usize),
    /// Everything arrives in pieces of one byte; ends after so many.
    ByteByByte(usize),
    /// Each piece is held for a while; ends after so many bytes.
    Delay(usize),
    /// Stays open, and after so many bytes what one end sends goes nowhere: only the Keep Alive finds out.
    HalfOpen(usize),
}

/// Strikes connections whose own fault does not come: a publisher sends no SUBSCRIBE to cut after.
const CUT_AT_A_TIME: &str = "cut at a time";

/// By then the Keep Alive of one second has ended a connection that is half-open.
const HALF_OPEN_MAX: Duration = Duration::from_secs(10);

/// A type of packet, as in the first four bits of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packet(u8, &'static str);

const CONNECT: Packet = Packet(1, "CONNECT");
const CONNACK: Packet = Packet(2, "CONNACK");
const PUBLISH: Packet = Packet(3, "PUBLISH");
const PUBREL: Packet = Packet(6, "PUBREL");

/// All that come in these runs. Behind a DISCONNECT every connection ends anyway, and nobody sends AUTH.
const CUT_AFTER: [Packet; 13] = [
    CONNECT,
    CONNACK,
    PUBLISH,
    Packet(4, "PUBACK"),
    Packet(5, "PUBREC"),
    PUBREL,
    Packet(7, "PUBCOMP"),
    Packet(8, "SUBSCRIBE"),
    Packet(9, "SUBACK"),
    Packet(10, "UNSUBSCRIBE"),
    Packet(11, "UNSUBACK"),
    Packet(12, "PINGREQ"),
    Packet(13, "PINGRESP"),
];

impl Fault {
    fn draw(random: &mut Random) -> Fault {
        match random.below(14) {
            0..=1 => Fault::CutAfterBytes(random.below(20_000)),
            2..=10 => {
                let packet = CUT_AFTER[random.below(CUT_AFTER.len())];
                let before = match packet.1 {
                    "CONNECT" | "CONNACK" | "PINGREQ" | "PINGRESP" => 0,
                    "SUBSCRIBE" | "SUBACK" | "UNSUBSCRIBE" | "UNSUBACK" => random.below(3),
                    _ => random.below(40),
                };
                Fault::CutAfterPacket(packet, before)
            }
            11 => Fault::ByteByByte(random.below(5_000)),
            12 => Fault::Delay(random.below(20_000)),
            _ => Fault::HalfOpen(random.below(20_000)),
        }
    }

    fn kind(self) -> String {
        match self {
            Fault::CutAfterBytes(_) => "cut at a byte".to_owned(),
            Fault::CutAfterPacket(Packet(_, name), _) => format!("cut after {name}"),
            Fault::ByteByByte(_) => "byte by byte, then cut".to_owned(),
            Fault::Delay(_) => "delayed, then cut".to_owned(),
            Fault::HalfOpen(_) => "half-open".to_owned(),
        }
    }
}

/// Which faults strike.
pub(super) enum Plan {
    /// Any, drawn with this seed.
    Random(u64),
    /// Each connection is cut behind the first packet of this name.
    CutAfter(&'static str),
}

impl Plan {
    /// The fault of the next connection, and how long that may last without it.
    fn next(&mut self) -> (Fault, Duration) {
        match self {
            Plan::Random(seed) => {
                let mut random = Random(*seed);
                let fault = Fault::draw(&mut random);
                let at_most = Duration::from_millis(100 + random.below(1_000) as u64);
                *seed = random.0;
                (fault, at_most)
            }
            Plan::CutAfter(name) => {
                let packet = CUT_AFTER.iter().find(|packet| packet.1 == *name);
                (Fault::CutAfterPacket(*packet.unwrap(), 0), Duration::MAX)
            }
        }
    }
}

/// Small, and the same draws for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = (self.0)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// What the proxy has done so far.
#[derive(Clone, Default)]
pub(super) struct Counts {
    pub(super) connections: usize,
    /// Faults that have struck, by kind. On many connections another end comes first.
    pub(super) struck: BTreeMap<String, usize>,
    /// Half-open connections that nobody has noticed.
    pub(super) unnoticed: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let struck: usize = self.struck.values().sum();
        writeln!(f, "{} connections, {struck} faults:", self.connections)?;
        for (kind, count) in &self.struck {
            writeln!(f, "  {kind}: {count}")?;
        }
        Ok(())
    }
}

/// What Mosquitto 2.0.11 does wrong: when a connection breaks twice in a row, it sends a PUBLISH of QoS 2
/// again although it has sent its PUBREL. No client can tell that from another message.
#[derive(Default)]
struct Republished {
    released: BTreeSet<u16>,
    /// Topics and payloads.
    messages: BTreeSet<(String, Vec<u8>)>,
}

impl Republished {
    /// A packet from the broker.
    fn watch(&mut self, packet: &[u8], has_properties: bool) {
        let Some((&first, body)) = packet.split_first() else {
            return;
        };
        if first >> 4 == PUBREL.0 {
            if let Some((_, rest)) = split_varint(body)
                && let Some((packet_id, _)) = split_u16(rest)
            {
                self.released.insert(packet_id);
            }
            return;
        }
        let (qos, is_dup) = (first >> 1 & 3, first & 8 != 0);
        if first >> 4 != PUBLISH.0 || qos != 2 {
            return;
        }
        if let Some((packet_id, topic, payload)) = split_publish(body, has_properties)
            && self.released.remove(&packet_id)
            && is_dup
        {
            let topic = String::from_utf8_lossy(topic).into_owned();
            self.messages.insert((topic, payload.to_vec()));
        }
    }
}

/// Packet Identifier, topic and payload of a PUBLISH of QoS 1 or 2, from its Remaining Length on.
fn split_publish(body: &[u8], has_properties: bool) -> Option<(u16, &[u8], &[u8])> {
    let (_, rest) = split_varint(body)?;
    let (len, rest) = split_u16(rest)?;
    let (topic, rest) = rest.split_at_checked(usize::from(len))?;
    let (packet_id, rest) = split_u16(rest)?;
    let payload = if has_properties {
        let (len, rest) = split_varint(rest)?;
        rest.get(len..)?
    } else {
        rest
    };
    Some((packet_id, topic, payload))
}

fn split_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), rest))
}

/// A Variable Byte Integer, if it is there in full.
fn split_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// Takes the first packet out of the bytes, if it is there in full.
fn take_packet(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (len, rest) = split_varint(bytes.get(1..)?)?;
    let total = bytes.len() - rest.len() + len;
    (total <= bytes.len()).then(|| bytes.drain(..total).collect())
}

/// The proxy in front of a broker.
pub(super) struct Proxy {
    pub(super) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    broker_port: u16,
    has_properties: bool,
    is_faulty: AtomicBool,
    counts: Mutex<Counts>,
    republished: Mutex<Republished>,
}

impl Proxy {
    pub(super) async fn start(broker_port: u16, mut plan: Plan, has_properties: bool) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            broker_port,
            has_properties,
            is_faulty: AtomicBool::new(true),
            counts: Mutex::default(),
            republished: Mutex::default(),
        });
        let own = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                own.counts.lock().unwrap().connections += 1;
                let is_faulty = own.is_faulty.load(Ordering::Relaxed);
                tokio::spawn(own.clone().carry(client, is_faulty.then(|| plan.next())));
            }
        });
        Proxy {
            url: format!("mqtt://127.0.0.1:{port}"),
            shared,
        }
    }

    /// Breaks nothing from here on but what is there already.
    pub(super) fn heal(&self) {
        self.shared.is_faulty.store(false, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        self.shared.counts.lock().unwrap().clone()
    }

    /// Whether the broker has sent this message again when it must not.
    pub(super) fn was_republished(&self, topic: &str, payload: &[u8]) -> bool {
        let republished = self.shared.republished.lock().unwrap();
        let message = (topic.to_owned(), payload.to_vec());
        republished.messages.contains(&message)
    }
}

impl Shared {
    /// Carries one connection until its fault strikes, its time is over, or an end closes it.
    async fn carry(self: Arc<Self>, client: TcpStream, fault: Option<(Fault, Duration)>) {
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.broker_port)).await else {
            return;
        };
        let at_most = match fault {
            None => Duration::MAX,
            Some((Fault::HalfOpen(_), _)) => 3 * HALF_OPEN_MAX,
            Some((fault @ (Fault::ByteByByte(_) | Fault::Delay(_)), at_most)) => {
                self.strike(fault.kind());
                at_most
            }
            Some((Fault::CutAfterBytes(_) | Fault::CutAfterPacket(..), at_most)) => at_most,
        };
        let fault = fault.map(|(fault, _)| fault);
        let (client, server) = (client.into_split(), server.into_split());
        // Dropping both ends cuts the connection.
        tokio::select! {
            () = self.forward(client.0, server.1, fault, false) => {}
            () = self.forward(server.0, client.1, fault, true) => {}
            () = tokio::time::sleep(at_most) => self.strike(CUT_AT_A_TIME.to_owned()),
        }
    }

    /// Takes what one end sends to nowhere, until it has noticed.
    async fn swallow(&self, mut from: OwnedReadHalf) {
        let mut piece = vec![0; 4_096];
        let noticed = async { while let Ok(1..) = from.read(&mut piece).await {} };
        if tokio::time::timeout(HALF_OPEN_MAX, noticed).await.is_err() {
            self.counts.lock().unwrap().unnoticed += 1;
        }
    }

    fn strike(&self, kind: String) {
        let mut counts = self.counts.lock().unwrap();
        *counts.struck.entry(kind).or_default() += 1;
    }

    async fn forward(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        fault: Option<Fault>,
        from_broker: bool,
    ) {
        let (mut unwatched, mut waiting) = (Vec::new(), Vec::new());
        let (mut carried, mut packets) = (0, 0);
        let mut piece = vec![0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut piece).await {
            let bytes = &piece[..count];
            carried += count;
            if from_broker {
                unwatched.extend_from_slice(bytes);
                while let Some(packet) = take_packet(&mut unwatched) {
                    let mut republished = self.republished.lock().unwrap();
                    republished.watch(&packet, self.has_properties);
                }
            }
            let written = match fault {
                Some(fault @ Fault::CutAfterBytes(limit)) if carried > limit => {
                    return self.strike(fault.kind());
                }
                Some(fault @ Fault::HalfOpen(limit)) if carried > limit => {
                    self.strike(fault.kind());
                    return self.swallow(from).await;
                }
                Some(Fault::ByteByByte(limit) | Fault::Delay(limit)) if carried > limit => return,
                Some(Fault::ByteByByte(_)) => byte_by_byte(&mut to, bytes).await,
                Some(Fault::Delay(_)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    to.write_all(bytes).await
                }
                Some(fault @ Fault::CutAfterPacket(Packet(packet_type, _), before)) => {
                    waiting.extend_from_slice(bytes);
                    while let Some(packet) = take_packet(&mut waiting) {
                        packets += usize::from(packet[0] >> 4 == packet_type);
                        if to.write_all(&packet).await.is_err() {
                            return;
                        }
                        if packets > before {
                            return self.strike(fault.kind());
                        }
                    }
                    Ok(())
                }
                _ => to.write_all(bytes).await,
            };
            if written.is_err() {
                return;
            }
        }
    }
}

async fn byte_by_byte(to: &mut OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        to.write_all(&[*byte]).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
