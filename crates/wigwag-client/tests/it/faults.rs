//! QoS 1 and 2 at load through a TCP proxy that breaks connections in every way it knows: nothing that
//! was reported as delivered is lost, QoS 2 arrives exactly once, and the order per topic is kept.
//!
//! Mosquitto 2.0.11 makes two mistakes of its own here, and the test knows them: see `Republished` and
//! the Receive Maximum.
//!
//! `WIGWAG_FAULT_SECS` makes the faults last longer than their few seconds, `WIGWAG_FAULT_SEED` draws
//! others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use wigwag_client::{Limits, Outcome, Publish, Qos, Version};
use wigwag_proto::codec::{decode, frame};
use wigwag_proto::packet::{Delivery, PacketType};
use wigwag_proto::{DecodeLimits, Packet, PacketId};

use crate::mosquitto::{Mosquitto, online};
use crate::{builder, collect, within};

/// What becomes of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Ends after so many bytes of either direction.
    CutAfterBytes(usize),
    /// Ends behind the n-th packet of this type, in either direction.
    CutAfterPacket(PacketType, usize),
    /// Everything arrives in pieces of one byte; ends after so many.
    ByteByByte(usize),
    /// Each piece is held for a while; ends after so many bytes.
    Delay(usize),
    /// Stays open and carries nothing more after so many bytes: only the Keep Alive finds out.
    HalfOpen(usize),
}

const CUT_AFTER: [PacketType; 9] = [
    PacketType::Connect,
    PacketType::ConnAck,
    PacketType::Publish,
    PacketType::PubAck,
    PacketType::PubRec,
    PacketType::PubRel,
    PacketType::PubComp,
    PacketType::SubAck,
    PacketType::Subscribe,
];

impl Fault {
    fn draw(random: &mut Random) -> Fault {
        match random.below(12) {
            0..=1 => Fault::CutAfterBytes(random.below(20_000)),
            2..=8 => {
                let packet = CUT_AFTER[random.below(CUT_AFTER.len())];
                let comes_once = matches!(
                    packet,
                    PacketType::Connect
                        | PacketType::ConnAck
                        | PacketType::Subscribe
                        | PacketType::SubAck
                );
                let count = if comes_once { 0 } else { random.below(40) };
                Fault::CutAfterPacket(packet, count)
            }
            9 => Fault::ByteByByte(random.below(5_000)),
            10 => Fault::Delay(random.below(20_000)),
            _ => Fault::HalfOpen(random.below(20_000)),
        }
    }
}

/// What Mosquitto does wrong: when a connection breaks twice in a row, it sends a PUBLISH of QoS 2 again
/// although it has sent its PUBREL. No client can tell that from another message.
#[derive(Default)]
struct Republished {
    released: BTreeSet<PacketId>,
    messages: BTreeSet<(String, Vec<u8>)>,
}

impl Republished {
    /// A packet from the broker. Only the subscriber gets these.
    fn watch(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::PubRel(ack) => {
                self.released.insert(ack.packet_id);
            }
            Packet::Publish(publish) => {
                if let Delivery::ExactlyOnce { packet_id, dup } = publish.delivery
                    && self.released.remove(&packet_id)
                    && dup
                {
                    let topic = publish.topic.map_or("", |topic| topic.as_str());
                    self.messages
                        .insert((topic.to_owned(), publish.payload.to_vec()));
                }
            }
            _ => {}
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

/// The proxy in front of the broker.
struct Proxy {
    address: String,
    faulty: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    republished: Arc<Mutex<Republished>>,
}

impl Proxy {
    async fn start(broker_port: u16, seed: u64, version: Version) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let faulty = Arc::new(AtomicBool::new(true));
        let connections = Arc::new(AtomicUsize::new(0));
        let (is_faulty, count) = (faulty.clone(), connections.clone());
        let republished = Arc::new(Mutex::new(Republished::default()));
        let watched = republished.clone();
        tokio::spawn(async move {
            let mut random = Random(seed);
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let fault = is_faulty
                    .load(Ordering::Relaxed)
                    .then(|| Fault::draw(&mut random));
                let watch = (version, watched.clone());
                tokio::spawn(carry(client, broker_port, fault, is_faulty.clone(), watch));
            }
        });
        Proxy {
            address: format!("mqtt://127.0.0.1:{port}"),
            faulty,
            connections,
            republished,
        }
    }
}

type Watch = (Version, Arc<Mutex<Republished>>);

/// Carries one connection until the fault strikes, or until an end closes it. When the time of faults is
/// over, a connection that has its fault yet to come is ended.
async fn carry(
    client: TcpStream,
    port: u16,
    fault: Option<Fault>,
    faulty: Arc<AtomicBool>,
    watch: Watch,
) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let (client, server) = (client.into_split(), server.into_split());
    let over = async {
        while fault.is_none() || faulty.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Dropping both ends cuts the connection.
    tokio::select! {
        () = forward(client.0, server.1, fault, None) => {}
        () = forward(server.0, client.1, fault, Some(watch)) => {}
        () = over => {}
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fault: Option<Fault>,
    watch: Option<Watch>,
) {
    let mut unwatched = Vec::new();
    let mut carried = 0;
    let mut packets = 0;
    let mut waiting = Vec::new();
    let mut piece = vec![0; 4_096];
    loop {
        let Ok(count @ 1..) = from.read(&mut piece).await else {
            return;
        };
        let bytes = piece.get(..count).expect("what was read");
        carried += count;
        if let Some((version, republished)) = &watch {
            unwatched.extend_from_slice(bytes);
            while let Ok(Some(found)) = frame(&unwatched, u32::MAX) {
                if let Ok(packet) = decode(found, *version, &DecodeLimits::UNLIMITED) {
                    republished.lock().expect("no panic").watch(&packet);
                }
                let len = found.len;
                unwatched.drain(..len);
            }
        }
        let written = match fault {
            Some(Fault::CutAfterBytes(limit)) if carried > limit => return,
            Some(Fault::HalfOpen(limit)) if carried > limit => std::future::pending().await,
            Some(Fault::ByteByByte(limit) | Fault::Delay(limit)) if carried > limit => return,
            Some(Fault::ByteByByte(_)) => byte_by_byte(&mut to, bytes).await,
            Some(Fault::Delay(_)) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                to.write_all(bytes).await
            }
            Some(Fault::CutAfterPacket(packet, limit)) => {
                waiting.extend_from_slice(bytes);
                while let Ok(Some(found)) = frame(&waiting, u32::MAX) {
                    packets += usize::from(found.packet_type == packet);
                    let whole: Vec<u8> = waiting.drain(..found.len).collect();
                    if to.write_all(&whole).await.is_err() || packets > limit {
                        return;
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

async fn byte_by_byte(to: &mut OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        to.write_all(&[*byte]).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

const TOPICS: [&str; 4] = ["f/1/a", "f/1/b", "f/2/a", "f/2/b"];

fn qos(topic: &str) -> Qos {
    if topic.starts_with("f/1/") {
        Qos::AtLeastOnce
    } else {
        Qos::ExactlyOnce
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delivered_survives_every_fault_at_load() {
    for version in [Version::V5, Version::V3_1_1] {
        run(version).await;
    }
}

async fn run(version: Version) {
    let secs = setting("WIGWAG_FAULT_SECS", 3);
    let broker = Mosquitto::start_with("max_queued_messages 0\nmax_inflight_messages 0\n").await;
    let seed = setting("WIGWAG_FAULT_SEED", 8);
    let proxy = Proxy::start(broker.tcp_port, seed, version).await;
    // Mosquitto lets messages overtake those that wait for the Receive Maximum, so there is none.
    let roomy = Limits {
        receive_maximum: u16::MAX,
        ..Limits::default()
    };
    let persistent = |address: &str, name: &str| {
        builder(address)
            .version(version)
            .client_id(name)
            .clean_start(false)
            .session_expiry(Duration::from_secs(3_600))
            .keep_alive(Duration::from_secs(1))
            .connect_timeout(Duration::from_millis(500))
            .limits(roomy)
    };
    // Through the front door first, so that both sessions exist before anything can go wrong.
    for name in ["publisher", "subscriber"] {
        let client = online(persistent(&broker.tcp(), name)).await;
        if name == "subscriber" {
            let granted = client.subscribe("f/#", Qos::ExactlyOnce, |_| ());
            within(granted).await.expect("granted");
        }
        within(client.disconnect()).await;
    }
    let subscriber = persistent(&proxy.address, "subscriber")
        .build()
        .expect("valid");
    let (handler, mut messages) = collect();
    drop(subscriber.subscribe("f/#", Qos::ExactlyOnce, handler));
    let publisher = persistent(&proxy.address, "publisher")
        .build()
        .expect("valid");
    // No fault strikes this one: what it sees is the order in which the publisher's messages arrive.
    let witness = builder(&broker.tcp()).version(version).limits(roomy);
    let witness = online(witness).await;
    let (handler, mut witnessed) = collect();
    within(witness.subscribe("f/#", Qos::ExactlyOnce, handler))
        .await
        .expect("granted");
    subscriber.start();
    publisher.start();

    let until = Instant::now() + Duration::from_secs(secs);
    let mut sent = BTreeMap::from(TOPICS.map(|topic| (topic, 0_usize)));
    let mut publishing = std::collections::VecDeque::new();
    let mut delivered = BTreeMap::<&str, Vec<usize>>::new();
    while Instant::now() < until || !publishing.is_empty() {
        if Instant::now() >= until {
            proxy.faulty.store(false, Ordering::Relaxed);
        } else if publishing.len() < 400 {
            for (topic, number) in &mut sent {
                let payload = format!("{number:0>64}");
                let publish = Publish::new(*topic, payload).qos(qos(topic));
                publishing.push_back((*topic, *number, publisher.publish(publish)));
                *number += 1;
            }
            continue;
        }
        let Some((topic, number, outcome)) = publishing.pop_front() else {
            continue;
        };
        let outcome = within(outcome).await.expect("queued");
        assert_eq!(outcome, Outcome::Delivered, "{version} {topic} {number}");
        delivered.entry(topic).or_default().push(number);
    }

    let report = within(publisher.disconnect()).await;
    assert_eq!((report.queued, report.in_flight), (0, 0), "{version}");
    let (witnessed, _) = receive_all("witness", &mut witnessed, &sent, &proxy).await;
    for (topic, count) in &sent {
        let expect: Vec<usize> = (0..*count).collect();
        assert_eq!(delivered.get(topic), Some(&expect), "{version} {topic}");
        assert_eq!(
            disorder(witnessed.get(*topic)),
            None,
            "{version} {topic}: the publisher changed the order"
        );
    }
    let (received, repeated) = receive_all("subscriber", &mut messages, &sent, &proxy).await;
    for topic in TOPICS {
        assert_eq!(
            disorder(received.get(topic)),
            None,
            "{version} {topic}: out of order"
        );
    }
    within(subscriber.disconnect()).await;
    assert!(messages.is_empty(), "{version}: more came than was sent");
    let total: usize = sent.values().sum();
    let connections = proxy.connections.load(Ordering::Relaxed);
    println!(
        "{version}: {total} messages over {connections} connections in {secs} s of faults: none lost, \
         {repeated} repeated, at QoS 1 or by the broker"
    );
    assert!(connections > 4, "hardly a fault has struck");
}

/// The numbers of each topic in the order of their first arrival, when all that were sent have come, and
/// how many came again. Of QoS 2 none may.
async fn receive_all(
    who: &str,
    messages: &mut tokio::sync::mpsc::UnboundedReceiver<wigwag_client::Message>,
    sent: &BTreeMap<&str, usize>,
    proxy: &Proxy,
) -> (BTreeMap<String, Vec<usize>>, usize) {
    let mut received = BTreeMap::<String, Vec<usize>>::new();
    let mut seen = BTreeSet::new();
    let mut repeated = 0;
    let total: usize = sent.values().sum();
    while seen.len() < total || !messages.is_empty() {
        let message = within(messages.recv()).await.expect("the subscriber lives");
        let number = std::str::from_utf8(message.payload()).expect("digits");
        let number: usize = number.parse().expect("digits");
        let topic = message.topic();
        if seen.insert((topic.to_owned(), number)) {
            received.entry(topic.to_owned()).or_default().push(number);
        } else {
            let republished = proxy.republished.lock().expect("no panic");
            let by_broker = republished
                .messages
                .contains(&(topic.to_owned(), message.payload().to_vec()));
            assert!(
                qos(topic) == Qos::AtLeastOnce || (who == "subscriber" && by_broker),
                "{topic} {number} came twice to the {who}"
            );
            repeated += 1;
        }
    }
    (received, repeated)
}

/// The first numbers that are not in their order.
fn disorder(numbers: Option<&Vec<usize>>) -> Option<Vec<usize>> {
    let numbers = numbers?;
    let at = (0..)
        .zip(numbers)
        .position(|(expect, number)| expect != *number)?;
    Some(numbers.iter().skip(at).take(8).copied().collect())
}
