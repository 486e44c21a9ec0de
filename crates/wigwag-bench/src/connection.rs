//! One connection of the generator to a broker: from the first SYN to the DISCONNECT, without blocking.
//!
//! [`Connection::advance`] takes it through the handshake and its one subscription. After that [`Connection::read`]
//! hands over whole packets in place from a buffer that all connections share, and [`Connection::flush`] writes what
//! has been gathered. Who waits for which socket is not decided here.

use std::io::ErrorKind;
use std::num::NonZeroU16;

use anyhow::{Context as _, bail, ensure};
use wigwag_proto::codec::{DecodeLimits, Frame, decode, encode, frame};
use wigwag_proto::packet::{
    ConnAck, Connect, Packet, PacketType, Subscribe, SubscribeAck, Subscription,
    SubscriptionOptions,
};
use wigwag_proto::{PacketId, Properties, Qos, ReasonCode, TopicFilter, Version};

use crate::case::Load;
use crate::transport::{Endpoint, Filled, Transport};

/// As long as can be: a subscriber that only receives QoS 0 sends nothing.
const KEEP_ALIVE_SECS: u16 = u16::MAX;

/// A DISCONNECT without Reason Code, which all versions share.
const DISCONNECT: [u8; 2] = [(PacketType::Disconnect as u8) << 4, 0];

/// What a client says when it comes.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) client_id: String,
    pub(crate) subscription: Option<(String, Qos)>,
}

impl Hello {
    fn connect_packet(&self, load: &Load) -> anyhow::Result<Vec<u8>> {
        let connect = Connect {
            version: load.version,
            is_bridge: false,
            client_id: &self.client_id,
            clean_start: true,
            keep_alive_secs: KEEP_ALIVE_SECS,
            properties: Properties::EMPTY,
            will: None,
            user_name: load.user_name.as_deref(),
            password: load.password.as_deref().map(str::as_bytes),
        };
        let mut out = Vec::new();
        encode(&Packet::Connect(connect), load.version, &mut out)?;
        Ok(out)
    }

    fn subscribe_packet(&self, version: Version) -> anyhow::Result<Vec<u8>> {
        let mut out = Vec::new();
        let Some((filter, qos)) = &self.subscription else {
            return Ok(out);
        };
        let subscribe = Subscribe {
            packet_id: PacketId::MIN,
            properties: Properties::EMPTY,
            subscriptions: vec![Subscription {
                filter: TopicFilter::new(filter)?,
                options: SubscriptionOptions {
                    qos: *qos,
                    ..SubscriptionOptions::default()
                },
            }],
        };
        encode(&Packet::Subscribe(subscribe), version, &mut out)?;
        Ok(out)
    }
}

/// How far a connection is, in the order in which it gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Connecting,
    Upgrading,
    AwaitsConnAck,
    AwaitsSubAck,
    Open,
}

impl Stage {
    /// What has not come yet.
    const fn awaited(self) -> &'static str {
        match self {
            Stage::Connecting => "connection",
            Stage::Upgrading => "WebSocket",
            Stage::AwaitsConnAck => "CONNACK",
            Stage::AwaitsSubAck | Stage::Open => "SUBACK",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    stage: Stage,
    /// What is needed until it is open.
    greeting: Option<Box<Greeting>>,
    client_id: String,
    version: Version,
    /// The front of a packet whose rest has not arrived.
    carry: Vec<u8>,
    /// What is to be written; the first `written` bytes of it are.
    out: Vec<u8>,
    written: usize,
    /// Messages above QoS 0 that the broker takes before it has acknowledged them.
    pub(crate) receive_maximum: NonZeroU16,
}

#[derive(Debug)]
struct Greeting {
    connect: Vec<u8>,
    subscribe: Vec<u8>,
    subscription: Option<(String, Qos)>,
    /// Messages that a broker sends before its SUBACK.
    early: Vec<u8>,
}

impl Connection {
    /// Begins to connect.
    pub(crate) fn start(
        endpoint: &Endpoint,
        load: &Load,
        hello: Hello,
    ) -> anyhow::Result<Connection> {
        let greeting = Greeting {
            connect: hello.connect_packet(load)?,
            subscribe: hello.subscribe_packet(load.version)?,
            subscription: hello.subscription,
            early: Vec::new(),
        };
        Ok(Connection {
            transport: Transport::connect(endpoint)?,
            stage: Stage::Connecting,
            greeting: Some(Box::new(greeting)),
            client_id: hello.client_id,
            version: load.version,
            carry: Vec::new(),
            out: Vec::new(),
            written: 0,
            receive_maximum: NonZeroU16::MAX,
        })
    }

    pub(crate) const fn stage(&self) -> Stage {
        self.stage
    }

    /// What a connection that is not open waits for.
    pub(crate) const fn awaited(&self) -> &'static str {
        self.stage.awaited()
    }

    /// Goes on with the handshake until its next answer or as far as the socket lets it, and says how far it is.
    pub(crate) fn advance(&mut self, buffer: &mut [u8]) -> anyhow::Result<Stage> {
        self.try_advance(buffer)
            .with_context(|| format!("client '{}'", self.client_id))
    }

    fn try_advance(&mut self, buffer: &mut [u8]) -> anyhow::Result<Stage> {
        if self.stage == Stage::Connecting && self.transport.is_connected()? {
            self.stage = Stage::Upgrading;
        }
        if self.stage == Stage::Upgrading && self.transport.is_upgraded()? {
            if let Some(greeting) = &mut self.greeting {
                self.out.append(&mut greeting.connect);
            }
            self.stage = Stage::AwaitsConnAck;
        }
        if self.stage >= Stage::AwaitsConnAck {
            self.flush()?;
        }
        let before = self.stage;
        while self.stage == before
            && matches!(self.stage, Stage::AwaitsConnAck | Stage::AwaitsSubAck)
        {
            let carried = self.carry.len();
            ensure!(carried < buffer.len(), "the broker sends too long a packet");
            buffer[..carried].copy_from_slice(&self.carry);
            let len = match self.transport.read(&mut buffer[carried..]) {
                Ok(Filled { len: 0, .. }) => bail!(
                    "the broker closed the connection instead of sending a {}",
                    self.awaited()
                ),
                Ok(filled) => filled.len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("cannot read"),
            };
            self.greet(&buffer[..carried + len])?;
        }
        Ok(self.stage)
    }

    /// Takes the answers of the handshake; what follows them is kept for [`Connection::read`].
    fn greet(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        while self.stage < Stage::Open
            && let Some(packet) =
                frame(bytes, u32::MAX).context("the broker sent a malformed packet")?
        {
            let (whole, rest) = bytes.split_at(packet.len);
            bytes = rest;
            self.handle_answer(packet, whole)?;
        }
        self.carry.clear();
        if self.stage == Stage::Open
            && let Some(greeting) = self.greeting.take()
        {
            self.carry = greeting.early;
        }
        self.carry.extend_from_slice(bytes);
        self.flush()
    }

    fn handle_answer(&mut self, packet: Frame<'_>, whole: &[u8]) -> anyhow::Result<()> {
        let awaited = self.awaited();
        let Some(greeting) = &mut self.greeting else {
            return Ok(());
        };
        match decode(packet, self.version, &DecodeLimits::UNLIMITED)? {
            Packet::ConnAck(connack) if self.stage == Stage::AwaitsConnAck => {
                self.receive_maximum = accepted(&connack)?;
                self.stage = if greeting.subscription.is_some() {
                    self.out.append(&mut greeting.subscribe);
                    Stage::AwaitsSubAck
                } else {
                    Stage::Open
                };
            }
            Packet::SubAck(suback) if self.stage == Stage::AwaitsSubAck => {
                if let Some((filter, qos)) = &greeting.subscription {
                    check_granted(&suback, filter, *qos)?;
                }
                self.stage = Stage::Open;
            }
            Packet::Publish(_) if self.stage == Stage::AwaitsSubAck => {
                greeting.early.extend_from_slice(whole);
            }
            other => bail!(
                "the broker sent a {} instead of a {awaited}",
                other.packet_type()
            ),
        }
        Ok(())
    }

    /// Where packets to be written are appended.
    pub(crate) const fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Whether there are bytes that the socket has not taken yet.
    #[inline]
    pub(crate) fn is_blocked(&self) -> bool {
        self.written < self.out.len() || self.transport.is_pending()
    }

    /// Writes as much as the socket takes.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        while self.written < self.out.len() {
            match self.transport.write(&self.out[self.written..]) {
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
        self.transport
            .flush()
            .with_context(|| format!("client '{}' cannot write", self.client_id))
    }

    /// Reads once into `buffer` and hands each message, acknowledgement and PINGRESP to `handle`, with the output.
    ///
    /// True if the socket may hold more. `buffer` must be longer than the longest packet.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut handle: impl FnMut(&Frame<'_>, &mut Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let carried = self.carry.len();
        buffer[..carried].copy_from_slice(&self.carry);
        let Filled { len, more } = match self.transport.read(&mut buffer[carried..]) {
            Ok(Filled { len: 0, .. }) => {
                bail!("the broker closed the connection of '{}'", self.client_id)
            }
            Ok(filled) => filled,
            Err(error) if error.kind() == ErrorKind::WouldBlock && carried == 0 => {
                return Ok(false);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Filled {
                len: 0,
                more: false,
            },
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("client '{}' cannot read", self.client_id));
            }
        };
        let mut bytes = &buffer[..carried + len];
        while let Some(packet) =
            frame(bytes, u32::MAX).context("the broker sent a malformed packet")?
        {
            match packet.packet_type {
                PacketType::Publish
                | PacketType::PubAck
                | PacketType::PubRec
                | PacketType::PubRel
                | PacketType::PubComp
                | PacketType::PingResp => handle(&packet, &mut self.out)?,
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
        Ok(more)
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
        if self.stage >= Stage::AwaitsConnAck {
            self.out.extend_from_slice(&DISCONNECT);
            // A broker that is gone or busy needs no goodbye.
            let _ = self.flush();
        }
    }
}

/// The Receive Maximum of a CONNACK, or why it refuses.
fn accepted(connack: &ConnAck<'_>) -> anyhow::Result<NonZeroU16> {
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

fn check_granted(suback: &SubscribeAck<'_>, filter: &str, qos: Qos) -> anyhow::Result<()> {
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
