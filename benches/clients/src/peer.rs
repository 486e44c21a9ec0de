//! The other end of every connection: a server that knows just enough of MQTT 5 to be played with.
//!
//! It is made to be cheap, not to be right: it takes what is published and acknowledges it, or sends
//! what is received, in large reads and large writes on one thread. It shares no code with any client,
//! so none can be favoured or slowed by it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::load::TOPIC;

/// Bytes of one read, and of what is prepared for one write.
const CHUNK: usize = 256 * 1024;

/// What the peer is told to send to its next subscriber.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Send {
    pub(crate) qos: u8,
    pub(crate) size: usize,
    pub(crate) until: Instant,
}

/// The peer, seen from the thread that conducts the runs.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    send: watch::Sender<Option<Send>>,
}

#[derive(Default)]
struct Shared {
    /// Messages that have been received.
    taken: AtomicU64,
    /// Messages that have been sent.
    sent: AtomicU64,
    /// The time for sending is over, and everything sent has been acknowledged.
    finished: Notify,
    /// What `taken` has to reach for `reached` to be told.
    target: AtomicU64,
    reached: Notify,
    /// What the CONNACK offers.
    receive_maximum: AtomicU32,
    /// CPU time of the peer's thread.
    cpu_us: AtomicU64,
}

impl Peer {
    /// Listens on a free port of the loopback interface, on a thread of its own.
    pub(crate) fn start(receive_maximum: u16) -> anyhow::Result<Peer> {
        let shared = Arc::new(Shared::default());
        shared
            .receive_maximum
            .store(receive_maximum.into(), Relaxed);
        let (send, sending) = watch::channel(None);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread_shared = shared.clone();
        std::thread::Builder::new()
            .name("peer".to_owned())
            .spawn(move || runtime.block_on(accept(listener, &thread_shared, &sending)))
            .context("the peer's thread could not be started")?;
        Ok(Peer {
            address,
            shared,
            send,
        })
    }

    /// Forgets what has been counted.
    pub(crate) fn reset(&self) {
        let _ = self.send.send_replace(None);
        self.shared.taken.store(0, Relaxed);
        self.shared.sent.store(0, Relaxed);
        self.shared.target.store(u64::MAX, Relaxed);
    }

    /// Sends to whoever has subscribed; returns how many messages, when all are acknowledged.
    pub(crate) async fn send(&self, send: Send) -> u64 {
        self.send.send_replace(Some(send));
        self.shared.finished.notified().await;
        self.shared.sent.load(Relaxed)
    }

    /// Waits until `count` messages have been received.
    pub(crate) async fn take(&self, count: u64) {
        self.shared.target.store(count, Relaxed);
        while self.shared.taken.load(Relaxed) < count {
            // A notification may be missed between the two lines above; the next look finds out.
            let wait = self.shared.reached.notified();
            let _ = tokio::time::timeout(Duration::from_millis(1), wait).await;
        }
    }

    /// CPU time of the peer up to its last read or write.
    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_micros(self.shared.cpu_us.load(Relaxed))
    }
}

async fn accept(
    listener: std::net::TcpListener,
    shared: &Arc<Shared>,
    sending: &watch::Receiver<Option<Send>>,
) {
    let listener = TcpListener::from_std(listener).expect("within the runtime");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // Without it, small answers would wait for the acknowledgements of TCP.
        let _ = stream.set_nodelay(true);
        let (shared, sending) = (shared.clone(), sending.clone());
        tokio::spawn(async move {
            let mut connection = Connection::new(shared);
            // A client that goes away in the middle is no concern of the peer; its run fails.
            let _ = connection.run(&stream, sending).await;
        });
    }
}

/// One client's connection.
struct Connection {
    shared: Arc<Shared>,
    received: Vec<u8>,
    out: Vec<u8>,
    written: usize,
    /// What the client's CONNECT allows.
    receive_maximum: u16,
    is_subscribed: bool,
    is_closed: bool,
    source: Option<Source>,
}

/// Messages on their way to a client.
struct Source {
    send: Send,
    /// A PUBLISH with Packet Identifier 0, and where that identifier is.
    packet: Vec<u8>,
    id_at: usize,
    /// Which identifiers are in use.
    in_use: Vec<bool>,
    next: usize,
    in_flight: usize,
}

impl Source {
    fn new(send: Send, window: u16) -> Source {
        let mut body = Vec::new();
        body.extend((TOPIC.len() as u16).to_be_bytes());
        body.extend(TOPIC.as_bytes());
        let id_in_body = body.len();
        if send.qos > 0 {
            body.extend([0, 0]);
        }
        // No properties.
        body.push(0);
        body.resize(body.len() + send.size, b'x');
        let mut packet = vec![0x30 | send.qos << 1];
        push_var_int(&mut packet, body.len());
        let id_at = packet.len() + id_in_body;
        packet.extend(body);
        Source {
            send,
            packet,
            id_at,
            in_use: vec![false; usize::from(window.max(1))],
            next: 0,
            in_flight: 0,
        }
    }

    /// Appends messages to `out` as long as there is room and time; returns how many.
    fn fill(&mut self, out: &mut Vec<u8>) -> u64 {
        let mut count = 0;
        if Instant::now() >= self.send.until {
            return 0;
        }
        while out.len() + self.packet.len() <= CHUNK {
            if self.send.qos > 0 {
                if self.in_use[self.next] {
                    break;
                }
                self.in_use[self.next] = true;
                let id = self.next as u16 + 1;
                self.packet[self.id_at..self.id_at + 2].copy_from_slice(&id.to_be_bytes());
                self.next = (self.next + 1) % self.in_use.len();
                self.in_flight += 1;
            }
            out.extend_from_slice(&self.packet);
            count += 1;
        }
        count
    }

    fn settle(&mut self, id: u16) {
        let index = usize::from(id).wrapping_sub(1);
        if let Some(in_use @ true) = self.in_use.get_mut(index) {
            *in_use = false;
            self.in_flight -= 1;
        }
    }

    fn is_finished(&self) -> bool {
        self.in_flight == 0 && Instant::now() >= self.send.until
    }
}

impl Connection {
    const fn new(shared: Arc<Shared>) -> Connection {
        Connection {
            shared,
            received: Vec::new(),
            out: Vec::new(),
            written: 0,
            receive_maximum: u16::MAX,
            is_subscribed: false,
            is_closed: false,
            source: None,
        }
    }

    async fn run(
        &mut self,
        stream: &TcpStream,
        mut sending: watch::Receiver<Option<Send>>,
    ) -> io::Result<()> {
        sending.mark_unchanged();
        let mut scratch = Vec::new();
        while !self.is_closed || !self.out.is_empty() {
            self.fill();
            let interest = if self.out.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            // Something has to wake a source whose time is over while everything is acknowledged.
            let until = self.source.as_ref().map(|source| source.send.until);
            tokio::select! {
                ready = stream.ready(interest) => {
                    let ready = ready?;
                    if ready.is_readable() {
                        self.read(stream, &mut scratch)?;
                    }
                    if ready.is_writable() {
                        self.write(stream)?;
                    }
                    self.note_cpu();
                }
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now).into()),
                    if until.is_some_and(|until| until > Instant::now()) => {}
                Ok(()) = sending.changed(), if self.is_subscribed => {
                    let send = *sending.borrow_and_update();
                    let window = self.window();
                    self.source = send.map(|send| Source::new(send, window));
                }
            }
        }
        Ok(())
    }

    fn note_cpu(&self) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) {
            let cpu_us = crate::play::cpu_of(&usage).as_micros() as u64;
            self.shared.cpu_us.store(cpu_us, Relaxed);
        }
    }

    fn window(&self) -> u16 {
        let offered = self.shared.receive_maximum.load(Relaxed);
        (self.receive_maximum).min(u16::try_from(offered).unwrap_or(u16::MAX))
    }

    /// Lets the source add to what is to be written, or finish.
    fn fill(&mut self) {
        let Some(source) = &mut self.source else {
            return;
        };
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        let count = source.fill(&mut self.out);
        self.shared.sent.fetch_add(count, Relaxed);
        if count == 0 && self.out.is_empty() && source.is_finished() {
            self.source = None;
            self.shared.finished.notify_one();
        }
    }

    fn write(&mut self, stream: &TcpStream) -> io::Result<()> {
        match stream.try_write(&self.out[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Ok(())
    }

    fn read(&mut self, stream: &TcpStream, scratch: &mut Vec<u8>) -> io::Result<()> {
        // An idle connection keeps no buffer, or a thousand of them would not fit into the caches.
        if scratch.is_empty() && self.is_busy() {
            scratch.resize(CHUNK, 0);
        }
        let mut small = [0; 1_024];
        let room = if scratch.is_empty() {
            &mut small[..]
        } else {
            scratch
        };
        match stream.try_read(room) {
            Ok(0) => self.is_closed = true,
            Ok(count) => self.take_bytes(&room[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn is_busy(&self) -> bool {
        self.source.is_some() || self.shared.taken.load(Relaxed) > 0
    }

    fn take_bytes(&mut self, bytes: &[u8]) {
        if self.received.is_empty() {
            let used = self.take_packets(bytes);
            self.received.extend_from_slice(&bytes[used..]);
        } else {
            let mut all = std::mem::take(&mut self.received);
            all.extend_from_slice(bytes);
            let used = self.take_packets(&all);
            all.drain(..used);
            self.received = all;
        }
    }

    /// Handles the whole packets in `bytes`; returns their length.
    fn take_packets(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        let mut publishes = 0;
        while let Some((header, body)) = next_packet(&bytes[used..]) {
            let (first, len) = header;
            self.take_packet(first, body, &mut publishes);
            used += len;
        }
        if publishes > 0 {
            let taken = self.shared.taken.fetch_add(publishes, Relaxed) + publishes;
            if taken >= self.shared.target.load(Relaxed) {
                self.shared.reached.notify_one();
            }
        }
        used
    }

    fn take_packet(&mut self, first: u8, body: &[u8], publishes: &mut u64) {
        let id = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let short = |first: u8, id: u16| {
            let [high, low] = id.to_be_bytes();
            [first, 2, high, low]
        };
        match first >> 4 {
            1 => self.take_connect(body),
            3 => {
                *publishes += 1;
                let qos = first >> 1 & 3;
                if qos > 0 {
                    let first = if qos == 1 { 0x40 } else { 0x50 };
                    self.out.extend(short(first, id(2 + usize::from(id(0)))));
                }
            }
            // PUBACK and PUBCOMP.
            4 | 7 => {
                if let Some(source) = &mut self.source {
                    source.settle(id(0));
                }
            }
            // PUBREC is answered with PUBREL, and PUBREL with PUBCOMP.
            5 => self.out.extend(short(0x62, id(0))),
            6 => self.out.extend(short(0x70, id(0))),
            8 => {
                self.is_subscribed = true;
                let [high, low] = id(0).to_be_bytes();
                // Options of the first and only filter: its last byte.
                let qos = body.last().map_or(0, |options| options & 3);
                self.out.extend([0x90, 4, high, low, 0, qos]);
            }
            12 => self.out.extend([0xd0, 0]),
            14 => self.is_closed = true,
            _ => {}
        }
    }

    fn take_connect(&mut self, body: &[u8]) {
        // Protocol name and version, flags, Keep Alive.
        if let Some(properties) = body.get(10..) {
            self.receive_maximum = receive_maximum(properties).unwrap_or(u16::MAX);
        }
        let [high, low] = self.window_offered().to_be_bytes();
        // Success, and a Receive Maximum.
        self.out.extend([0x20, 6, 0, 0, 3, 0x21, high, low]);
    }

    fn window_offered(&self) -> u16 {
        u16::try_from(self.shared.receive_maximum.load(Relaxed)).unwrap_or(u16::MAX)
    }
}

/// The Receive Maximum among the properties of a CONNECT.
fn receive_maximum(properties: &[u8]) -> Option<u16> {
    let (len, mut rest) = properties.split_first()?;
    rest = rest.get(..usize::from(*len))?;
    loop {
        let (identifier, value) = rest.split_first()?;
        let len = match identifier {
            // Session Expiry Interval, Maximum Packet Size.
            0x11 | 0x27 => 4,
            0x21 => return Some(u16::from_be_bytes([*value.first()?, *value.get(1)?])),
            // Topic Alias Maximum.
            0x22 => 2,
            // Request Response Information, Request Problem Information.
            0x17 | 0x19 => 1,
            _ => return None,
        };
        rest = value.get(len..)?;
    }
}

/// The first byte and the length of the packet at the front, and its body.
fn next_packet(bytes: &[u8]) -> Option<((u8, usize), &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let mut len = 0;
    for (at, byte) in rest.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let body = rest.get(at + 1..at + 1 + len)?;
            return Some(((first, 2 + at + len), body));
        }
    }
    None
}

fn push_var_int(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let more = if value >= 0x80 { 0x80 } else { 0 };
        out.push((value & 0x7f) as u8 | more);
        value >>= 7;
        if value == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_at_any_split() {
        let mut bytes = vec![0x30];
        push_var_int(&mut bytes, 300);
        bytes.resize(bytes.len() + 300, 7);
        for len in 0..bytes.len() {
            assert!(next_packet(&bytes[..len]).is_none(), "{len}");
        }
        let ((first, len), body) = next_packet(&bytes).expect("whole");
        assert_eq!((first, len, body.len()), (0x30, bytes.len(), 300));
    }

    #[test]
    fn a_receive_maximum_is_found_behind_other_properties() {
        assert_eq!(receive_maximum(&[0]), None);
        let properties = [11, 0x11, 0, 0, 0, 9, 0x22, 0, 1, 0x21, 1, 2];
        assert_eq!(receive_maximum(&properties), Some(258));
    }

    #[test]
    fn a_source_stops_at_the_window() {
        let send = Send {
            qos: 1,
            size: 64,
            until: Instant::now() + Duration::from_secs(60),
        };
        let mut source = Source::new(send, 3);
        let mut out = Vec::new();
        assert_eq!(source.fill(&mut out), 3);
        assert_eq!(source.fill(&mut out), 0);
        source.settle(1);
        assert_eq!(source.fill(&mut out), 1);
        assert!(!source.is_finished());
    }
}
