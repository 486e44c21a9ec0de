//! One connection of the generator to a broker.
//!
//! Connecting and subscribing block, with a time limit, because nothing is measured yet. After that
//! the socket is non-blocking: [`Connection::read`] hands over whole packets in place from a buffer
//! that all connections share, [`Connection::flush`] writes what has been gathered.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use wigwag_proto::codec::{DecodeLimits, Frame, decode, encode, frame};
use wigwag_proto::packet::{
    ConnAck, Connect, Packet, PacketType, Subscribe, Subscription, SubscriptionOptions,
};
use wigwag_proto::{PacketId, Properties, Qos, ReasonCode, TopicFilter, Version};

/// For a TCP connection, and again for each answer of the handshake.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// As long as can be: a subscriber that only receives QoS 0 sends nothing.
const KEEP_ALIVE_SECS: u16 = u16::MAX;

/// What a client says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) version: Version,
    pub(crate) user_name: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

impl Identity<'_> {
    /// The bytes of its CONNECT.
    pub(crate) fn connect_packet(&self) -> anyhow::Result<Vec<u8>> {
        let connect = Connect {
            version: self.version,
            is_bridge: false,
            client_id: self.client_id,
            clean_start: true,
            keep_alive_secs: KEEP_ALIVE_SECS,
            properties: Properties::EMPTY,
            will: None,
            user_name: self.user_name,
            password: self.password.map(str::as_bytes),
        };
        let mut out = Vec::new();
        encode(&Packet::Connect(connect), self.version, &mut out)?;
        Ok(out)
    }
}

/// Where a broker listens; the first address of its host that answers.
pub(crate) fn resolve(address: &str) -> anyhow::Result<SocketAddr> {
    let addresses: Vec<_> = address
        .to_socket_addrs()
        .with_context(|| format!("cannot find the host of {address}"))?
        .collect();
    let mut refusal = None;
    for candidate in addresses {
        match TcpStream::connect_timeout(&candidate, HANDSHAKE_MAX) {
            Ok(_) => return Ok(candidate),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) => Err(error).with_context(|| format!("cannot connect to {address}")),
        None => bail!("the host of {address} has no address"),
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: mio::net::TcpStream,
    client_id: String,
    version: Version,
    /// The front of a packet whose rest has not arrived.
    carry: Vec<u8>,
    /// What is to be written; the first `written` bytes of it are.
    out: Vec<u8>,
    written: usize,
    /// QoS 1 messages that the broker takes before it has acknowledged them.
    pub(crate) receive_maximum: NonZeroU16,
}

impl Connection {
    /// Connects, and subscribes to `filter` if there is one.
    pub(crate) fn open(
        address: SocketAddr,
        identity: &Identity<'_>,
        filter: Option<(&str, Qos)>,
    ) -> anyhow::Result<Connection> {
        let mut stream = TcpStream::connect_timeout(&address, HANDSHAKE_MAX)
            .with_context(|| format!("cannot connect to {address}"))?;
        let receive_maximum = handshake(&mut stream, identity, filter)
            .with_context(|| format!("{address}, client '{}'", identity.client_id))?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream: mio::net::TcpStream::from_std(stream),
            client_id: identity.client_id.to_owned(),
            version: identity.version,
            carry: Vec::new(),
            out: Vec::new(),
            written: 0,
            receive_maximum,
        })
    }

    /// Where packets to be written are appended.
    pub(crate) const fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Bytes that the socket has not taken yet.
    pub(crate) const fn backlog(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes as much as the socket takes.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        while self.backlog() > 0 {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => bail!(
                    "client '{}': the socket takes no more bytes",
                    self.client_id
                ),
                Ok(len) => self.written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("client '{}' cannot write", self.client_id));
                }
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads once into `buffer` and hands each whole PUBLISH, PUBACK and PINGRESP to `handle`, with the output.
    ///
    /// True if the socket may hold more. `buffer` must be longer than the longest packet.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut handle: impl FnMut(&Frame<'_>, &mut Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let carried = self.carry.len();
        buffer[..carried].copy_from_slice(&self.carry);
        let len = match self.stream.read(&mut buffer[carried..]) {
            Ok(0) => bail!("the broker closed the connection of '{}'", self.client_id),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("client '{}' cannot read", self.client_id));
            }
        };
        let filled = carried + len;
        let mut bytes = &buffer[..filled];
        while let Some(packet) =
            frame(bytes, u32::MAX).context("the broker sent a malformed packet")?
        {
            match packet.packet_type {
                PacketType::Publish | PacketType::PubAck | PacketType::PingResp => {
                    handle(&packet, &mut self.out)?;
                }
                _ => self.refuse(packet)?,
            }
            bytes = &bytes[packet.len..];
        }
        self.carry.clear();
        self.carry.extend_from_slice(bytes);
        ensure!(
            self.carry.len() < buffer.len(),
            "the broker sends a packet of more than {} bytes",
            buffer.len()
        );
        Ok(filled == buffer.len())
    }

    /// Nothing but messages and acknowledgements is expected once the handshake is done.
    fn refuse(&self, packet: Frame<'_>) -> anyhow::Result<()> {
        let client_id = &self.client_id;
        match decode(packet, self.version, &DecodeLimits::UNLIMITED)? {
            Packet::Disconnect(disconnect) => {
                bail!(
                    "the broker disconnected '{client_id}': {}",
                    disconnect.reason
                )
            }
            other => bail!(
                "the broker sent '{client_id}' an unexpected {}",
                other.packet_type()
            ),
        }
    }

    /// Says goodbye as well as it can: the measurement is over.
    pub(crate) fn close(mut self) {
        // A broker that is gone or busy needs no goodbye.
        let _ = self.stream.write_all(&DISCONNECT);
    }
}

/// A DISCONNECT without Reason Code, which all versions share.
pub(crate) const DISCONNECT: [u8; 2] = [(PacketType::Disconnect as u8) << 4, 0];

fn handshake(
    stream: &mut TcpStream,
    identity: &Identity<'_>,
    filter: Option<(&str, Qos)>,
) -> anyhow::Result<NonZeroU16> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(HANDSHAKE_MAX))?;
    stream.set_write_timeout(Some(HANDSHAKE_MAX))?;
    stream.write_all(&identity.connect_packet()?)?;
    let version = identity.version;
    let receive_maximum = answer(
        stream,
        version,
        PacketType::ConnAck,
        |packet| match packet {
            Packet::ConnAck(connack) => accepted(connack),
            other => bail!(
                "the broker sent a {} instead of a CONNACK",
                other.packet_type()
            ),
        },
    )?;
    if let Some((filter, qos)) = filter {
        subscribe(stream, version, filter, qos)?;
    }
    Ok(receive_maximum)
}

/// The Receive Maximum of a CONNACK, or why it refuses.
pub(crate) fn accepted(connack: &ConnAck<'_>) -> anyhow::Result<NonZeroU16> {
    ensure!(
        connack.reason == ReasonCode::Success,
        "the broker refused the connection: {}",
        connack.reason
    );
    let receive_maximum = connack.properties.receive_maximum();
    Ok(receive_maximum
        .and_then(NonZeroU16::new)
        .unwrap_or(NonZeroU16::MAX))
}

fn subscribe(
    stream: &mut TcpStream,
    version: Version,
    filter: &str,
    qos: Qos,
) -> anyhow::Result<()> {
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        properties: Properties::EMPTY,
        subscriptions: vec![Subscription {
            filter: TopicFilter::new(filter)?,
            options: SubscriptionOptions {
                qos,
                ..SubscriptionOptions::default()
            },
        }],
    };
    let mut out = Vec::new();
    encode(&Packet::Subscribe(subscribe), version, &mut out)?;
    stream.write_all(&out)?;
    answer(stream, version, PacketType::SubAck, |packet| match packet {
        Packet::SubAck(suback) => {
            let granted = suback.reasons.first().map(|&reason| reason as u8);
            ensure!(
                granted == Some(qos as u8),
                "the broker did not grant QoS {} for '{filter}': {}",
                qos as u8,
                suback
                    .reasons
                    .first()
                    .map_or("empty SUBACK".to_owned(), ToString::to_string)
            );
            Ok(())
        }
        other => bail!(
            "the broker sent a {} instead of a SUBACK",
            other.packet_type()
        ),
    })
}

/// Waits for one packet. The broker sends no second one before it is asked again.
fn answer<T>(
    stream: &mut TcpStream,
    version: Version,
    expected: PacketType,
    accept: impl FnOnce(&Packet<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        if let Some(packet) = frame(&bytes, u32::MAX)? {
            return accept(&decode(packet, version, &DecodeLimits::UNLIMITED)?);
        }
        match stream.read(&mut chunk) {
            Ok(0) => bail!("the broker closed the connection instead of sending a {expected}"),
            Ok(len) => bytes.extend_from_slice(&chunk[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("no {expected} came within {} s", HANDSHAKE_MAX.as_secs())
            }
            Err(error) => return Err(error).context("cannot read"),
        }
    }
}
