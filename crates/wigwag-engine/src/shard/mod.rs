//! A shard: connections, their sessions, and all that happens to them, on one thread.
//!
//! The caller owns sockets and clock. It tells of them with `handle_*` and asks with `poll_*` what is to
//! be done; the bytes that it is to write it finds in the out-buffers of the connections. The files of
//! this module follow a connection's life: `connect`, `authenticate`, `publish`, `subscribe`; `embedder` is
//! what the embedder asks for besides, `dossier` what it may know, and `peers` what concerns other shards.

mod authenticate;
mod census;
mod connect;
mod dossier;
mod embedder;
mod hold_back;
mod memory;
mod mistakes;
mod peers;
mod publish;
mod receivers;
mod restore;
mod saving;
mod shares;
mod subscribe;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use slotmap::{SlotMap, new_key_type};
use wigwag_proto::alias::InboundAliases;
use wigwag_proto::codec::{EncodeError, Frame, decode, encode, frame, protocol_level};
use wigwag_proto::packet::{ConnAck, Disconnect, PacketType, Version};
use wigwag_proto::{
    DecodeError, OutBuf, Packet, Properties, PropertiesBuf, Property, ReasonCode, Time,
};

use crate::aliases::OutboundAliases;
use crate::auth::{AuthRequest, Exchange};
use crate::delivery::{Receiving, Writer};
use crate::event::{CloseReason, Event, Events};
use crate::listener::{ListenerSettings, Peer};
use crate::memory::Memory;
use crate::node::{Hasher, Node, ShardId};
use crate::peer::{Awaited, Departed, Envelope, Letter};
use crate::policy::Policy;
use crate::routes::Target;
use crate::session::{Session, SessionKey};
use crate::settings::Settings;
use crate::stats::Stats;
use crate::timers::{Alarm, Timer, Timers};
use crate::trace::Way;

use authenticate::Authentication;
use census::Census;
use connect::Introduction;
use hold_back::{HoldingBack, Naps};
use memory::{STRANGERS_AT_FULL, is_overdue};
use saving::Notes;

pub(crate) use census::Counted;
pub(crate) use connect::Pending;
pub use dossier::{Dossier, Found, LinkFacts, Progress, Search};
pub use embedder::{Claimed, Present};
pub use receivers::Receiver;
pub(crate) use receivers::Terms;

new_key_type! {
    /// A connection of one shard. A key never names a later connection.
    pub struct ConnectionKey;
}

const FIRST_PACKET: CloseReason = CloseReason::Protocol("the first packet must be CONNECT");

/// A shard of a node.
pub struct Shard {
    id: ShardId,
    node: Arc<Node>,
    settings: Settings,
    policy: Box<dyn Policy>,
    connections: SlotMap<ConnectionKey, Connection>,
    sessions: SlotMap<SessionKey, Session>,
    /// Their keys in an order, so that who walks through them in steps can go on.
    roll: BTreeSet<SessionKey>,
    clients: HashMap<Box<str>, SessionKey, Hasher>,
    awaited: HashMap<Box<str>, Awaited, Hasher>,
    /// Not a secondary map: that would lose one session to the next with its place in the slot map.
    departed: BTreeMap<SessionKey, Departed>,
    cache: receivers::Cache,
    writer: Writer,
    timers: Timers,
    pub(crate) events: Events,
    /// Whether events tell of single packets.
    pub(crate) is_tracing: bool,
    stats: Stats,
    census: Census,
    memory: Memory,
    touched: Vec<ConnectionKey>,
    outboxes: Vec<Vec<Envelope>>,
    auth_requests: VecDeque<AuthRequest>,
    claimed: VecDeque<Claimed>,
    assigned_ids: u64,
    /// Where the topics of mount points are put together.
    mounted: String,
    /// Whether a reader of the message at hand has too much to do.
    too_much: bool,
    /// The publishers of other shards that have been held back, and when.
    held_back: (Time, BTreeSet<Target>),
    /// What a save would write.
    notes: Notes,
}

/// A connection as the engine sees it.
struct Connection {
    phase: Phase,
    listener: Arc<ListenerSettings>,
    /// Until its CONNECT has come.
    peer: Option<Box<Peer>>,
    /// Of an enhanced authentication.
    authentication: Option<Box<Authentication>>,
    receiving: Receiving,
    granted: Granted,
    /// Whether it has neither a mount point nor outbound aliases.
    is_plain: bool,
    out: OutBuf,
    /// Packets that were put into the out-buffer since it was last written in full.
    out_packets: u32,
    /// Bytes that have come of a packet that is not whole.
    carried: usize,
    /// What the sums of the shard hold of it.
    weight: usize,
    /// Bytes that were put into the out-buffer since the connection was opened.
    appended: u64,
    /// Since its out-buffer holds too much.
    holding_back: Option<Box<HoldingBack>>,
    /// Since a reader of its messages had too much to do.
    naps: Option<Box<Naps>>,
    /// Whether it is in the list of connections that have something to write.
    touched: bool,
    /// Whether its peer has not taken all that was written.
    is_slow: bool,
    /// Whether it is not read until its out-buffer has been written.
    is_held_back: bool,
    last_packet: Time,
    /// One and a half times the Keep Alive.
    silence_max: Option<Duration>,
    alarm: Alarm,
    aliases: InboundAliases,
    /// Those that the broker sets, if the client accepts any.
    outbound_aliases: Option<Box<OutboundAliases>>,
}

/// What CONNACK has told a client that it may do. It holds for as long as the connection lives, whatever the
/// settings say meanwhile.
#[derive(Clone, Copy, Debug)]
struct Granted {
    packet_size_max: u32,
    receive_maximum: u16,
    retain_available: bool,
}

impl From<&Settings> for Granted {
    fn from(settings: &Settings) -> Granted {
        Granted {
            packet_size_max: settings.limits.packet_size_max,
            receive_maximum: settings.limits.receive_maximum,
            retain_available: settings.retain_available,
        }
    }
}

/// How a connection is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Write what is in its out-buffer, close it, and read until the peer has closed it too: bytes that
    /// nobody reads would make the system throw away what has been written.
    Close,
    /// At once: its time is up.
    Drop,
}

/// How far a connection has got.
enum Phase {
    /// Nothing but a CONNECT is allowed.
    AwaitConnect,
    /// CONNECT or an AUTH behind it has come; the embedder has been asked.
    AwaitVerdict(Box<Introduction>),
    /// The embedder has asked for another AUTH.
    AwaitAuth(Box<Introduction>, Exchange),
    /// CONNECT has come and is authentic; the session is on its way from another shard.
    AwaitSession(Box<str>),
    /// CONNACK has been sent.
    Online(SessionKey),
    /// What is in the out-buffer is the last that is sent.
    Closing,
    /// The peer did not take its last bytes in time.
    Over,
}

impl Shard {
    /// A shard of the node that decides on access by `policy`.
    pub fn new(id: ShardId, node: Arc<Node>, settings: Settings, policy: Box<dyn Policy>) -> Shard {
        let hasher = Hasher::with_seed(node.seed);
        Shard {
            connections: SlotMap::with_key(),
            sessions: SlotMap::with_key(),
            roll: BTreeSet::new(),
            clients: HashMap::with_hasher(hasher.clone()),
            awaited: HashMap::with_hasher(hasher),
            departed: BTreeMap::new(),
            cache: receivers::Cache::new(node.seed, &settings.limits),
            writer: Writer::default(),
            timers: Timers::default(),
            events: Events::default(),
            is_tracing: false,
            stats: Stats::default(),
            census: Census::default(),
            memory: Memory::default(),
            touched: Vec::new(),
            outboxes: (0..node.shards).map(|_| Vec::new()).collect(),
            auth_requests: VecDeque::new(),
            claimed: VecDeque::new(),
            assigned_ids: 0,
            mounted: String::new(),
            too_much: false,
            held_back: (Time::ZERO, BTreeSet::new()),
            notes: Notes::default(),
            id,
            node,
            settings,
            policy,
        }
    }

    /// A peer has connected to the listener.
    pub fn handle_opened(
        &mut self,
        now: Time,
        listener: Arc<ListenerSettings>,
        peer: Peer,
    ) -> ConnectionKey {
        self.stats.opened += 1;
        let key = self.connections.insert(Connection {
            phase: Phase::AwaitConnect,
            receiving: Receiving {
                version: Version::V5,
                packet_size_max: u32::MAX,
            },
            granted: Granted::from(&self.settings),
            out: OutBuf::new(),
            out_packets: 0,
            carried: 0,
            weight: 0,
            appended: 0,
            holding_back: None,
            naps: None,
            touched: false,
            is_slow: false,
            is_held_back: false,
            last_packet: now,
            silence_max: None,
            alarm: Alarm::default(),
            aliases: InboundAliases::new(
                listener.topic_alias_maximum,
                self.settings.limits.topic_alias_bytes_max,
            ),
            outbound_aliases: None,
            authentication: None,
            is_plain: listener.mount_point.is_none(),
            listener,
            peer: Some(Box::new(peer)),
        });
        self.set_connection_timer(key, now + self.settings.limits.connect_timeout);
        self.weigh(key);
        self.look_at_memory(now);
        if self.is_full() && self.strangers() > STRANGERS_AT_FULL {
            self.turn_away(now, key);
        }
        key
    }

    /// Bytes have come from a peer: returns how many have been used. The rest is the beginning of a
    /// packet, or must wait, see [`Shard::is_reading`]; hand it in again with what follows.
    pub fn handle_bytes(&mut self, now: Time, key: ConnectionKey, bytes: &[u8]) -> usize {
        self.look_at_memory(now);
        let used = self.handle_packets(now, key, bytes);
        self.carry(now, key, bytes.len() - used);
        used
    }

    fn handle_packets(&mut self, now: Time, key: ConnectionKey, bytes: &[u8]) -> usize {
        let mut used = 0;
        while let Some(connection) = self.connections.get_mut(key) {
            let packet_size_max = match connection.phase {
                Phase::AwaitConnect | Phase::AwaitAuth(..) => {
                    self.settings.limits.connect_packet_size_max
                }
                Phase::Online(_) if connection.is_held_back || connection.is_napping() => break,
                Phase::Online(_) => connection.granted.packet_size_max,
                Phase::AwaitVerdict(_) | Phase::AwaitSession(_) => break,
                Phase::Closing | Phase::Over => return bytes.len(),
            };
            let rest = bytes.get(used..).unwrap_or_default();
            // One byte tells a stranger, such as a browser, who would never send a whole packet.
            if matches!(connection.phase, Phase::AwaitConnect)
                && rest.first().is_some_and(|&byte| {
                    PacketType::of_first_byte(byte) != Some(PacketType::Connect)
                })
            {
                self.close(now, key, FIRST_PACKET, None);
                continue;
            }
            let frame = match frame(rest, packet_size_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    self.refuse_bytes(now, key, rest, error);
                    continue;
                }
            };
            used += frame.len;
            self.stats.received(frame.packet_type, frame.len);
            connection.last_packet = now;
            match decode(
                frame,
                connection.receiving.version,
                &self.settings.limits.decode,
            ) {
                Ok(packet) => self.handle_packet(now, key, packet),
                Err(error) => self.refuse_bytes(now, key, rest, error),
            }
        }
        used
    }

    /// Whether bytes of the peer can be used now. While they cannot, do not read on; ask again when the
    /// connection has been touched.
    pub fn is_reading(&self, key: ConnectionKey) -> bool {
        self.connections
            .get(key)
            .is_some_and(|connection| match connection.phase {
                Phase::AwaitVerdict(_) | Phase::AwaitSession(_) => false,
                Phase::Online(_) => !connection.is_held_back && !connection.is_napping(),
                Phase::AwaitConnect | Phase::AwaitAuth(..) | Phase::Closing | Phase::Over => true,
            })
    }

    /// Whether the client was told that it may have messages retained.
    fn grants_retain(&self, key: ConnectionKey) -> bool {
        let connection = self.connections.get(key);
        connection.is_some_and(|connection| connection.granted.retain_available)
    }

    fn handle_packet(&mut self, now: Time, key: ConnectionKey, packet: Packet<'_>) {
        self.trace(key, Way::Received, &packet);
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let session = match (&connection.phase, &packet) {
            (Phase::Online(session), _) => *session,
            (Phase::AwaitConnect, Packet::Connect(connect)) => {
                return self.handle_connect(now, key, connect);
            }
            (Phase::AwaitAuth(..), Packet::Auth(auth)) => {
                return self.handle_auth_before_connack(now, key, auth);
            }
            // A client that gives up.
            (Phase::AwaitAuth(..), Packet::Disconnect(disconnect)) => {
                let reason = CloseReason::Disconnect(disconnect.reason);
                return self.close(now, key, reason, None);
            }
            (Phase::AwaitAuth(..), _) => {
                let what =
                    CloseReason::Protocol("only AUTH and DISCONNECT are allowed before CONNACK");
                self.send_connack_refusal(key, ReasonCode::ProtocolError, None);
                return self.close(now, key, what, None);
            }
            // [MQTT-3.1.0-1]
            _ => {
                return self.close(now, key, FIRST_PACKET, None);
            }
        };
        let protocol_error = |what| (CloseReason::Protocol(what), Some(ReasonCode::ProtocolError));
        let (reason, code) = match packet {
            Packet::Publish(publish) => return self.handle_publish(now, key, session, &publish),
            Packet::PubAck(ack) => return self.handle_puback(now, key, session, ack.packet_id),
            Packet::PubRec(ack) => return self.handle_pubrec(now, key, session, &ack),
            Packet::PubRel(ack) => return self.handle_pubrel(now, key, session, ack.packet_id),
            Packet::PubComp(ack) => return self.handle_pubcomp(now, key, session, ack.packet_id),
            Packet::Subscribe(subscribe) => {
                return self.handle_subscribe(now, key, session, &subscribe);
            }
            Packet::Unsubscribe(unsubscribe) => {
                return self.handle_unsubscribe(now, key, session, &unsubscribe);
            }
            Packet::PingReq => return self.handle_pingreq(key, session),
            Packet::Disconnect(disconnect) => {
                return self.handle_disconnect(now, key, session, &disconnect);
            }
            // [MQTT-3.1.0-2]
            Packet::Connect(_) => {
                let code = (!self.settings.is_terse).then_some(ReasonCode::ProtocolError);
                (CloseReason::SECOND_CONNECT, code)
            }
            Packet::Auth(auth) => return self.handle_auth(now, key, session, &auth),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                protocol_error("a packet that only servers send")
            }
        };
        self.close(now, key, reason, code);
    }

    /// The peer has closed the connection, or it broke. Also to be called for a connection that the
    /// engine has closed, once its last bytes are written or lost.
    pub fn handle_closed(&mut self, now: Time, key: ConnectionKey) {
        self.close(now, key, CloseReason::Lost, None);
        if let Some(mut connection) = self.connections.remove(key) {
            if connection.is_slow {
                self.census.forget_slow(key);
            }
            self.memory.connections -= connection.weight;
            self.timers
                .cancel(&mut connection.alarm, Timer::Connection(key));
            if let Some(naps) = &mut connection.naps {
                self.timers.cancel(&mut naps.alarm, Timer::Nap(key));
            }
        }
    }

    /// Everything in the connection's out-buffer has been written: what waits for room may follow.
    pub fn handle_drained(&mut self, now: Time, key: ConnectionKey) {
        self.weigh(key);
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.out_packets = 0;
        connection.holding_back = None;
        if std::mem::take(&mut connection.is_slow) {
            self.census.forget_slow(key);
        }
        let Phase::Online(session) = connection.phase else {
            return;
        };
        if std::mem::take(&mut connection.is_held_back) {
            self.touch(key);
        }
        self.send_waiting(now, session);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Connection(key) => self.handle_silence(now, key),
                Timer::Nap(key) => self.wake(key),
                Timer::Will(session) => self.publish_will(now, session),
                Timer::Replay(session) => self.send_waiting(now, session),
                Timer::SessionExpiry(session) => {
                    if let Some(session) = self.sessions.get(session) {
                        self.stats.sessions_expired += 1;
                        self.events.push(Event::SessionExpired {
                            client_id: session.identity.client_id.clone(),
                        });
                    }
                    self.end_session(now, session);
                }
            }
        }
    }

    /// The broker stops: clients are told, and sessions stay as they are.
    pub fn handle_shutdown(&mut self, now: Time) {
        let keys: Vec<ConnectionKey> = self.connections.keys().collect();
        for key in keys {
            // The server ends the connection, not the client's failure: its Will has no cause.
            if let Some(Connection {
                phase: Phase::Online(session),
                ..
            }) = self.connections.get(key)
                && let Some(session) = self.sessions.get_mut(*session)
            {
                // What outlives the process is told of it as of any other end of the connection.
                if session.track.is_none() {
                    session.will = None;
                }
            }
            self.close(
                now,
                key,
                CloseReason::ShuttingDown,
                Some(ReasonCode::ServerShuttingDown),
            );
        }
    }

    /// When [`Shard::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// A connection that has been touched since this was asked last: it has bytes to write, is closing,
    /// or can be read again.
    pub fn poll_touched(&mut self) -> Option<ConnectionKey> {
        let key = self.touched.pop()?;
        if let Some(connection) = self.connections.get_mut(key) {
            connection.touched = false;
        }
        self.weigh(key);
        Some(key)
    }

    /// What waits to be written to the peer.
    pub fn out(&mut self, key: ConnectionKey) -> Option<&mut OutBuf> {
        self.connections
            .get_mut(key)
            .map(|connection| &mut connection.out)
    }

    /// Whether there is anything to ask for with `poll_touched`, `poll_outbox` or `poll_events`.
    pub fn has_outputs(&self) -> bool {
        !self.touched.is_empty()
            || !self.events.is_empty()
            || !self.auth_requests.is_empty()
            || !self.claimed.is_empty()
            || self.outboxes.iter().any(|outbox| !outbox.is_empty())
    }

    /// How the connection is to be ended, if it is.
    pub fn ending(&self, key: ConnectionKey) -> Option<Ending> {
        match self
            .connections
            .get(key)
            .map(|connection| &connection.phase)
        {
            Some(
                Phase::AwaitConnect
                | Phase::AwaitVerdict(_)
                | Phase::AwaitAuth(..)
                | Phase::AwaitSession(_)
                | Phase::Online(_),
            ) => None,
            Some(Phase::Closing) => Some(Ending::Close),
            Some(Phase::Over) | None => Some(Ending::Drop),
        }
    }

    /// Connections that the shard has.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Takes what waits for another shard; deliver it there in this order, and before the out-buffers are
    /// written: a client that has its acknowledgement may come to another shard with its next message.
    pub fn poll_outbox(&mut self, to: ShardId) -> Option<Vec<Envelope>> {
        let outbox = self.outboxes.get_mut(usize::from(to.0))?;
        if outbox.is_empty() {
            None
        } else {
            Some(std::mem::take(outbox))
        }
    }

    /// Takes what happened since this was asked last.
    pub fn poll_events(&mut self, now: Time) -> Vec<Event> {
        self.events.take(now)
    }

    fn post(&mut self, to: ShardId, letter: Letter) {
        if let Some(outbox) = self.outboxes.get_mut(usize::from(to.0)) {
            outbox.push(Envelope(letter));
            self.notes.posted += 1;
        }
    }

    fn target(&self, session: SessionKey) -> Target {
        Target {
            shard: self.id,
            session,
        }
    }

    /// The session of a connection that is online.
    pub(crate) fn session_of(&self, key: ConnectionKey) -> Option<SessionKey> {
        match self.connections.get(key)?.phase {
            Phase::Online(session) => Some(session),
            _ => None,
        }
    }

    /// Whether the packets of a connection have properties and reasons.
    pub(crate) fn has_properties(&self, key: ConnectionKey) -> bool {
        let connection = self.connections.get(key);
        connection.is_some_and(|connection| connection.receiving.version.has_properties())
    }

    /// Makes a session one of this shard.
    fn enrol(&mut self, client_id: Box<str>, session: Session) -> SessionKey {
        let key = self.sessions.insert(session);
        self.roll.insert(key);
        self.clients.insert(client_id, key);
        key
    }

    /// The session is none of this shard from here on; its client may be one still.
    fn strike_off(&mut self, key: SessionKey) -> Option<Session> {
        self.roll.remove(&key);
        self.sessions.remove(key)
    }

    pub(crate) fn client_id_of(&self, session: Option<SessionKey>) -> Option<Box<str>> {
        let session = self.sessions.get(session?)?;
        Some(session.identity.client_id.clone())
    }

    fn touch(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.touched
        {
            connection.touched = true;
            self.touched.push(key);
        }
    }

    /// Sends a packet of the broker's own making. One above the client's Maximum Packet Size, or unknown
    /// to its version, is left out. `[MQTT-3.1.2-24]`
    fn send(&mut self, key: ConnectionKey, packet: &Packet<'_>) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let Receiving {
            version,
            packet_size_max,
        } = connection.receiving;
        let len_before = connection.out.len();
        let appended = connection.out.append(|out| {
            let start = out.len();
            encode(packet, version, out)?;
            match out.len() - start {
                size if size > packet_size_max as usize => Err(EncodeError::PacketTooLong(size)),
                _ => Ok(()),
            }
        });
        // Who does not read what it is sent is not read either, or its answers would pile up.
        if is_overdue(&connection.out, &self.settings.limits, self.memory.pressure) {
            connection.is_held_back = true;
        }
        if appended.is_ok() {
            let len = connection.out.len() - len_before;
            connection.out_packets += 1;
            connection.appended += len as u64;
            self.stats.sent(packet.packet_type(), len);
            self.touch(key);
            self.trace(key, Way::Sent, packet);
        }
    }

    fn set_connection_timer(&mut self, key: ConnectionKey, at: Time) {
        if let Some(connection) = self.connections.get_mut(key) {
            self.timers
                .set(&mut connection.alarm, Timer::Connection(key), at);
        }
    }

    /// The timer of a connection is due: it has been silent, unless a packet came since it was set.
    fn handle_silence(&mut self, now: Time, key: ConnectionKey) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        match (&connection.phase, connection.silence_max) {
            (
                Phase::AwaitConnect
                | Phase::AwaitVerdict(_)
                | Phase::AwaitAuth(..)
                | Phase::AwaitSession(_),
                _,
            ) => {
                self.close(now, key, CloseReason::ConnectTimeout, None);
            }
            (Phase::Closing, _) => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.phase = Phase::Over;
                }
                self.touch(key);
            }
            (Phase::Online(_), Some(silence_max)) => {
                let due = connection.last_packet + silence_max;
                if due <= now {
                    // [MQTT-3.1.2-22]
                    self.close(
                        now,
                        key,
                        CloseReason::KeepAliveTimeout,
                        Some(ReasonCode::KeepAliveTimeout),
                    );
                } else {
                    self.set_connection_timer(key, due);
                }
            }
            (Phase::Online(_), None) | (Phase::Over, _) => {}
        }
    }

    /// Bytes that are no packet: says why, as far as the peer can be told, and closes. `[MQTT-4.13.1-1]`
    fn refuse_bytes(&mut self, now: Time, key: ConnectionKey, bytes: &[u8], error: DecodeError) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if matches!(connection.phase, Phase::AwaitConnect) {
            if let Some(level) = level_of_connect(bytes) {
                // Servers of MQTT 3.x close without a word but for two reasons. [MQTT-3.1.4-1] of 3.1.1
                let told = match error {
                    DecodeError::ProtocolVersion(_) | DecodeError::ClientIdMissing => true,
                    _ if self.settings.is_terse => level >= 5 && mistakes::tells_in_connack(&error),
                    _ => level >= 5,
                };
                if told {
                    connection.receiving.version = if level >= 5 {
                        Version::V5
                    } else {
                        Version::V3_1_1
                    };
                    let code = mistakes::connack_code(&error, self.settings.is_terse);
                    self.send_connack_refusal(key, code, None);
                }
            }
            return self.close(now, key, CloseReason::Malformed(error), None);
        }
        let packet_type = bytes
            .first()
            .and_then(|&byte| PacketType::of_first_byte(byte));
        let code = match packet_type {
            Some(PacketType::Connect) if self.settings.is_terse => None,
            _ => Some(mistakes::reason_code(
                &error,
                packet_type,
                self.settings.is_terse,
            )),
        };
        // What can be wrong with a second CONNECT only is no reason for a DISCONNECT. [MQTT-3.14.2-1]
        let code = code.map(|code| {
            let is_valid = code.is_valid_in(PacketType::Disconnect);
            if is_valid {
                code
            } else {
                ReasonCode::ProtocolError
            }
        });
        self.close(now, key, CloseReason::Malformed(error), code);
    }

    fn send_connack_refusal(
        &mut self,
        key: ConnectionKey,
        reason: ReasonCode,
        client_id: Option<&str>,
    ) {
        self.stats.connack(reason);
        self.trace_refusal(key, client_id, reason);
        self.send(
            key,
            &Packet::ConnAck(ConnAck {
                session_present: false,
                reason,
                properties: Properties::EMPTY,
            }),
        );
    }

    /// Ends a connection: tells the client if it can be told, and parts it from its session.
    fn close(
        &mut self,
        now: Time,
        key: ConnectionKey,
        reason: CloseReason,
        code: Option<ReasonCode>,
    ) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if matches!(connection.phase, Phase::Closing | Phase::Over) {
            return;
        }
        self.stats.closed(&reason);
        let version = connection.receiving.version;
        // [MQTT-3.14.0-1]: only after a CONNACK, and clients of MQTT 3.x know no such packet.
        if let (Some(code), Phase::Online(_), Version::V5) = (code, &connection.phase, version) {
            self.send_disconnect(key, code, &reason);
        }
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let phase = std::mem::replace(&mut connection.phase, Phase::Closing);
        let session = match phase {
            Phase::Online(session) => Some(session),
            Phase::AwaitConnect
            | Phase::AwaitVerdict(_)
            | Phase::AwaitAuth(..)
            | Phase::Closing
            | Phase::Over => None,
            Phase::AwaitSession(client_id) => {
                self.abandon_claim(key, &client_id);
                None
            }
        };
        let client_id = self.client_id_of(session);
        self.events.push(Event::Closed {
            connection: key,
            client_id,
            reason,
        });
        self.set_connection_timer(key, now + self.settings.limits.linger);
        self.touch(key);
        if let Some(session) = session {
            self.part_from_connection(now, session);
        }
    }

    /// A DISCONNECT with the reason in words, or without if that would be too large. `[MQTT-3.14.2-3]`
    fn send_disconnect(&mut self, key: ConnectionKey, reason: ReasonCode, words: &CloseReason) {
        let words = words.to_string();
        let properties = PropertiesBuf::new()
            .with(Property::ReasonString(&words))
            .unwrap_or_default();
        let packet_size_max = self
            .connections
            .get(key)
            .map_or(0, |c| c.receiving.packet_size_max);
        // Type, length, Reason Code, property length, property and its length.
        let fits = words.len() + 8 <= packet_size_max as usize;
        let properties = if fits && !self.settings.is_terse {
            properties.as_properties()
        } else {
            Properties::EMPTY
        };
        self.send(key, &Packet::Disconnect(Disconnect { reason, properties }));
    }
}

/// The protocol level that a CONNECT names, even if not all of it has come.
fn level_of_connect(bytes: &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    let length_len = 1 + rest.iter().take_while(|&&byte| byte & 0x80 != 0).count();
    protocol_level(&Frame {
        packet_type: PacketType::of_first_byte(*first)?,
        flags: first & 0x0F,
        body: rest.get(length_len..)?,
        len: bytes.len(),
    })
}
