//! How fast a broker takes connections, and what an idle one costs it in memory.
//!
//! Opens connections without blocking, a bounded number at a time, each until its CONNACK, and holds
//! all of them. The broker's memory is read before the first and after the last.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use wigwag_proto::Packet;
use wigwag_proto::codec::{DecodeLimits, decode, frame};

use crate::case::Load;
use crate::connection::{DISCONNECT, Identity, accepted};
use crate::process::{Process, open_files_max};

/// Connections that are being made at the same time: fewer than any backlog of a listener.
const PENDING_MAX: usize = 64;
/// Files that this process needs besides the connections.
const OPEN_FILES_OWN: u64 = 32;
/// What a broker gets to finish its work on the last connections before its memory is read.
const SETTLE: Duration = Duration::from_millis(500);

/// What one measurement of connections found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectRound {
    pub(crate) elapsed: Duration,
    pub(crate) broker_cpu: Option<Duration>,
    /// Growth of the broker's resident memory with all connections open.
    pub(crate) grown_kib: Option<u64>,
}

/// Opens `count` connections and closes them again.
pub(crate) fn measure(
    address: SocketAddr,
    broker: Option<&Process>,
    count: usize,
    load: &Load,
) -> anyhow::Result<ConnectRound> {
    check_open_files(count)?;
    let rss_before = broker.map(Process::rss_kib).transpose()?;
    let cpu_before = broker.map(Process::cpu).transpose()?;
    let mut opening = Opening::new(address, count, load)?;
    let started = Instant::now();
    opening.run()?;
    let elapsed = started.elapsed();
    let cpu_after = broker.map(Process::cpu).transpose()?;
    if broker.is_some() {
        thread::sleep(SETTLE);
    }
    let rss_after = broker.map(Process::rss_kib).transpose()?;
    opening.close();
    let grown = |(after, before): (u64, u64)| after.saturating_sub(before);
    Ok(ConnectRound {
        elapsed,
        broker_cpu: cpu_after
            .zip(cpu_before)
            .map(|(after, before)| after - before),
        grown_kib: rss_after.zip(rss_before).map(grown),
    })
}

fn check_open_files(count: usize) -> anyhow::Result<()> {
    let needed = count as u64 + OPEN_FILES_OWN;
    if let Some(limit) = open_files_max() {
        ensure!(
            needed <= limit,
            "{count} connections need {needed} open files and the limit is {limit}: raise it with `ulimit -n {needed}`"
        );
    }
    Ok(())
}

struct Opening<'a> {
    address: SocketAddr,
    count: usize,
    load: &'a Load,
    run: u32,
    poll: Poll,
    streams: Vec<Handshake>,
    accepted: usize,
}

struct Handshake {
    stream: TcpStream,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    AwaitsConnack,
    Accepted,
}

impl<'a> Opening<'a> {
    fn new(address: SocketAddr, count: usize, load: &'a Load) -> anyhow::Result<Opening<'a>> {
        Ok(Opening {
            address,
            count,
            load,
            run: fastrand::u32(..),
            poll: Poll::new()?,
            streams: Vec::with_capacity(count),
            accepted: 0,
        })
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(2 * PENDING_MAX);
        while self.accepted < self.count {
            while self.streams.len() < self.count.min(self.accepted + PENDING_MAX) {
                self.start()?;
            }
            match self.poll.poll(&mut events, Some(self.load.stall_max)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.context("cannot wait for sockets")?,
            }
            ensure!(
                !events.is_empty(),
                "{} of {} connections were accepted, then nothing for {} s",
                self.accepted,
                self.count,
                self.load.stall_max.as_secs_f64()
            );
            for event in &events {
                let Token(index) = event.token();
                self.advance(index)
                    .with_context(|| format!("connection {} of {}", index + 1, self.count))?;
            }
        }
        Ok(())
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let token = Token(self.streams.len());
        let mut stream = TcpStream::connect(self.address)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, token, interest)?;
        self.streams.push(Handshake {
            stream,
            state: State::Connecting,
        });
        Ok(())
    }

    fn advance(&mut self, index: usize) -> anyhow::Result<()> {
        let load = self.load;
        let handshake = &mut self.streams[index];
        if handshake.state == State::Connecting {
            if !handshake.is_connected()? {
                return Ok(());
            }
            let client_id = format!("bench{:08x}c{index}", self.run);
            let identity = Identity {
                client_id: &client_id,
                version: load.version,
                user_name: load.user_name.as_deref(),
                password: load.password.as_deref(),
            };
            // A fresh socket has room for a CONNECT.
            handshake.stream.write_all(&identity.connect_packet()?)?;
            handshake.state = State::AwaitsConnack;
        }
        if handshake.state == State::AwaitsConnack && handshake.is_accepted(load)? {
            handshake.state = State::Accepted;
            self.accepted += 1;
        }
        Ok(())
    }

    fn close(self) {
        for mut handshake in self.streams {
            // The broker may have gone; then there is nobody to say goodbye to.
            let _ = handshake.stream.write_all(&DISCONNECT);
        }
    }
}

impl Handshake {
    fn is_connected(&self) -> anyhow::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error).context("cannot connect");
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error).context("cannot connect"),
        }
    }

    /// A CONNACK is so short that it comes in one piece.
    fn is_accepted(&mut self, load: &Load) -> anyhow::Result<bool> {
        let mut bytes = [0; 1024];
        let len = match self.stream.read(&mut bytes) {
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("cannot read"),
        };
        ensure!(
            len > 0,
            "the broker closed the connection instead of sending a CONNACK"
        );
        let packet = frame(&bytes[..len], u32::MAX)?.context("the CONNACK came in pieces")?;
        match decode(packet, load.version, &DecodeLimits::UNLIMITED)? {
            Packet::ConnAck(connack) => accepted(&connack).map(|_| true),
            other => anyhow::bail!(
                "the broker sent a {} instead of a CONNACK",
                other.packet_type()
            ),
        }
    }
}
