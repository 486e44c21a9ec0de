//! The client's decisions, without I/O: what to send, what to deliver, when to connect, when to stop.
//!
//! The world tells it what happened through `handle_*` and the user's commands, each with the time;
//! it answers with bytes in [`Core::transmit`], [`Output`]s and one point in time to be woken at.
//! It reads no clock and opens nothing, and it draws its jitter from a given seed, so a test runs a
//! day of reconnects in no time and the same way twice.
//!
//! `incoming` reads packets, `outgoing` writes them; this file has the life of the connection.

mod alias;
mod arrivals;
mod authentication;
mod incoming;
mod journal;
mod keep_alive;
mod outbox;
mod outgoing;
mod servers;
mod subscriptions;
mod topics;

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wigwag_proto::alias::InboundAliases;
use wigwag_proto::codec::VAR_INT_MAX;
use wigwag_proto::inbound::Inbound;
use wigwag_proto::inflight::Inflight;
use wigwag_proto::packet::{self, Packet, SubscriptionOptions};
use wigwag_proto::{OutBuf, PacketId, Qos, ReasonCode, Time};
use wigwag_store::Batch;

use crate::authentication::{ReauthenticateError, Step};
use crate::config::{Config, OfflineQos0, RefusalPolicy, Resubscribe, TakeOverPolicy};
use crate::connect::{Attempt, ConnectPacket};
use crate::message::{Message, Outgoing};
use crate::state::{Event, NextAttempt, OfflineReason, State};
use crate::{
    DrainReport, Granted, Indeterminate, Outcome, PublishError, SubscribeError, UnsubscribeError,
};

pub(crate) use arrivals::Token;
pub(crate) use incoming::is_refusal_of_3_x;
pub(crate) use journal::{Fate, Kept, OUTCOMES_MAX};
pub(crate) use outgoing::HIGH_WATER;
pub(crate) use subscriptions::{FALLBACK, Key};

use alias::OutboundAliases;
use arrivals::Arrivals;
use authentication::Authentication;
use journal::Journal;
use keep_alive::{KeepAlive, Verdict};
use outbox::Outbox;
use outgoing::Queued;
use servers::Servers;
use subscriptions::Subscriptions;

/// Bytes that the Topic Names behind the server's aliases may have.
const ALIAS_BYTES_MAX: usize = 64 * 1024;

/// The size of the largest packet that there can be: a first byte, the longest Remaining Length, and what
/// that announces.
const PACKET_SIZE_MAX: u32 = 1 + 4 + VAR_INT_MAX;

/// The time that the last packet of a connection has to leave.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What the task has to do. `R` is what it wants back with the outcome of a publish.
#[derive(Debug)]
pub(crate) enum Output<R> {
    /// Open a connection and report with [`Core::handle_connected`] or [`Core::handle_failed`].
    Dial,
    /// Drop the connection, or the attempt to make one, with whatever waits to be written.
    Close,
    /// Run the handler of `key` and report with [`Core::handle_handled`].
    Deliver {
        key: Key,
        message: Message,
        token: Token,
    },
    /// A publish is done.
    Published(R, Result<Outcome, PublishError>),
    /// A subscription has been answered.
    Subscribed(Key, Result<Granted, SubscribeError>),
    /// The subscription is not wanted any more: its handler is not needed.
    Forget(Key),
    /// The removal of a subscription has been answered.
    Unsubscribed(Key, Result<(), UnsubscribeError>),
    /// Commit the batch, one at a time, and report with [`Core::handle_stored`].
    Store(Batch),
    /// The store has the message with this number, if there is a store; or it has been refused.
    Admitted(u64, Result<(), PublishError>),
    /// Let the authenticator take a step, and report with [`Core::handle_authenticated`].
    Authenticate(Step),
    /// The re-authentication has ended, and with it what the authenticator may still be at.
    Reauthenticated(Result<(), ReauthenticateError>),
    /// What became of the message with this number.
    Settled(u64, Fate),
    /// Tell whoever listens.
    Event(Event),
    /// The client has stopped for good.
    Stopped(DrainReport),
}

/// One client.
pub(crate) struct Core<R> {
    config: Config,
    random: fastrand::Rng,
    origin: Instant,
    phase: Phase,
    state: State,
    /// Failures in a row without a stable connection between them.
    failures: u32,
    /// Times that every server has failed, since then: what the backoff counts.
    rounds: u32,
    servers: Servers,
    /// Whether the next CONNECT says that this is a bridge.
    says_bridge: bool,
    /// The words of the next CONNECT.
    connect: ConnectPacket,
    /// When to stop waiting for what is under way; set by [`Core::disconnect`].
    drain_until: Option<Time>,
    /// The name that the server knows this client by.
    client_id: String,
    /// The first connection of this process has been made.
    was_online: bool,

    // The session.
    inflight: Inflight<Queued<R>>,
    inflight_len: usize,
    inbound: Inbound,
    subscriptions: Subscriptions,

    queue: VecDeque<Queued<R>>,
    journal: Journal,
    arrivals: Arrivals,
    /// Answers that requests wait for.
    replies_awaited: usize,
    dropped: u64,

    // The connection.
    authentication: Authentication,
    server: ServerOffer,
    aliases: InboundAliases,
    keep_alive: KeepAlive,
    /// Received bytes were not welcome when the last input had been dealt with.
    is_paused: bool,
    /// Bytes of an oversized packet that are still to be skipped.
    skip: usize,
    out: Outbox,
    outbound_aliases: OutboundAliases,
    /// Acknowledgements that may still wait to be written.
    acks_unwritten: usize,

    outputs: VecDeque<Output<R>>,
    matched: Vec<Key>,
    /// Inputs up to this point in time have not been settled.
    unsettled: Option<Time>,
}

/// The life of a connection.
enum Phase {
    /// Not started.
    Idle,
    /// Between two attempts.
    Waiting { until: Time },
    /// The transport is being opened.
    Dialling { deadline: Time },
    /// CONNECT has been sent.
    Handshaking { deadline: Time },
    /// CONNACK has been received.
    Online { since: Time },
    /// The last packet is leaving; then the connection ends for `reason`.
    Closing {
        deadline: Time,
        online_since: Option<Time>,
        reason: OfflineReason,
    },
    /// For good.
    Stopped,
}

/// A CONNACK that accepts the connection.
struct Accepted {
    session_present: bool,
    keep_alive_secs: Option<u16>,
    assigned_client_id: Option<String>,
    offer: ServerOffer,
}

impl Accepted {
    fn new(version: packet::Version, connack: &packet::ConnAck<'_>) -> Accepted {
        let assigned = connack.properties.assigned_client_identifier();
        Accepted {
            session_present: connack.session_present,
            keep_alive_secs: connack.properties.server_keep_alive(),
            assigned_client_id: assigned.map(str::to_owned),
            offer: ServerOffer::new(version, connack),
        }
    }
}

/// What the server offers on this connection.
struct ServerOffer {
    receive_maximum: u16,
    qos_max: Qos,
    retain_available: bool,
    packet_size_max: u32,
    topic_alias_maximum: u16,
    wildcards: bool,
    shared: bool,
    identifiers: bool,
}

impl ServerOffer {
    fn new(version: packet::Version, connack: &packet::ConnAck<'_>) -> ServerOffer {
        let properties = connack.properties;
        ServerOffer {
            receive_maximum: properties.receive_maximum().unwrap_or(u16::MAX),
            qos_max: match properties.maximum_qos() {
                None => Qos::ExactlyOnce,
                Some(true) => Qos::AtLeastOnce,
                Some(false) => Qos::AtMostOnce,
            },
            retain_available: properties.retain_available().unwrap_or(true),
            packet_size_max: (properties.maximum_packet_size())
                .map_or(PACKET_SIZE_MAX, |max| max.min(PACKET_SIZE_MAX)),
            topic_alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
            wildcards: properties.wildcard_subscription_available().unwrap_or(true),
            shared: properties.shared_subscription_available().unwrap_or(true),
            identifiers: version.has_properties()
                && (properties.subscription_identifier_available()).unwrap_or(true),
        }
    }
}

impl<R> Core<R> {
    /// `origin` is the moment that [`Time::ZERO`] stands for.
    pub(crate) fn new(config: Config, seed: u64, origin: Instant) -> Core<R> {
        let nothing = packet::ConnAck {
            session_present: false,
            reason: ReasonCode::Success,
            properties: wigwag_proto::Properties::EMPTY,
        };
        Core {
            random: fastrand::Rng::with_seed(seed),
            origin,
            phase: Phase::Idle,
            state: State::Offline {
                reason: OfflineReason::NotStarted,
                next: None,
            },
            failures: 0,
            rounds: 0,
            servers: Servers::new(
                config.servers.clone(),
                config.prefers_first_server,
                config.server_references_max,
            ),
            says_bridge: config.is_bridge,
            connect: ConnectPacket::default(),
            drain_until: None,
            client_id: config.client_id.clone(),
            was_online: false,
            inflight: Inflight::new(),
            inflight_len: 0,
            inbound: Inbound::new(),
            subscriptions: Subscriptions::new(config.resubscribe == Resubscribe::AndUnsubscribe),
            queue: VecDeque::new(),
            journal: Journal::default(),
            arrivals: Arrivals::default(),
            replies_awaited: 0,
            dropped: 0,
            authentication: Authentication::default(),
            server: ServerOffer::new(config.version, &nothing),
            aliases: InboundAliases::new(config.limits.topic_alias_maximum, ALIAS_BYTES_MAX),
            keep_alive: KeepAlive::new(Time::ZERO, 0),
            is_paused: false,
            skip: 0,
            out: Outbox::default(),
            outbound_aliases: OutboundAliases::default(),
            acks_unwritten: 0,
            outputs: VecDeque::new(),
            matched: Vec::new(),
            unsettled: None,
            config,
        }
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// The name that the server knows this client by, as far as it is known.
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The server that is, was last or will next be called.
    pub(crate) fn server(&self) -> &wigwag_net::dial::Target {
        self.servers.current()
    }

    /// The attempt that [`Output::Dial`] asks for.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            server: self.servers.current().clone(),
            number: self.failures + 1,
            version: self.config.version,
        }
    }

    /// The words of the next CONNECT as the builder, or else the server's address, has given them.
    pub(crate) fn connect_packet(&self) -> ConnectPacket {
        let mut packet = ConnectPacket {
            client_id: self.client_id.clone(),
            user_name: self.config.user_name.clone(),
            password: self.config.password.clone(),
            ..ConnectPacket::default()
        };
        if packet.user_name.is_none()
            && let Some(given) = self.servers.current().credentials()
        {
            packet.user_name = Some(given.user_name.clone());
            packet.password = given.password.clone().map(Into::into);
        }
        packet
    }

    // The user's commands.

    /// Begins to connect.
    pub(crate) fn start(&mut self, now: Time) {
        if matches!(self.phase, Phase::Idle) {
            self.dial(now);
        }
    }

    /// Takes a message over.
    pub(crate) fn publish(&mut self, now: Time, message: Outgoing, receipt: R) {
        if let Some(error) = self.refuses(message.qos) {
            self.push(Output::Published(receipt, Err(error)));
            return;
        }
        if self.journal.is_on() && message.qos > Qos::AtMostOnce {
            self.admit(now, message, receipt, false);
        } else {
            self.queue.push_back(Queued::new(now, message, receipt));
        }
        self.unsettled = Some(now);
    }

    /// Why a message is not taken over.
    fn refuses(&self, qos: Qos) -> Option<PublishError> {
        match self.phase {
            Phase::Stopped => Some(PublishError::Stopped),
            _ if self.drain_until.is_some() => Some(PublishError::Stopped),
            Phase::Online { .. } => None,
            _ if qos > Qos::AtMostOnce => None,
            _ if self.config.offline_qos0 == OfflineQos0::Queue => None,
            _ => Some(PublishError::Offline),
        }
    }

    /// Lets the message that has waited longest give way, if one waits. What is in flight stays.
    pub(crate) fn displace_oldest(&mut self) -> bool {
        // What can be sent need not give way.
        self.catch_up();
        let Some(queued) = self.queue.pop_front() else {
            return false;
        };
        self.conclude(queued, Err(PublishError::Displaced));
        self.flush_journal();
        true
    }

    /// Wants a subscription, from the next possible moment on and in every session.
    pub(crate) fn subscribe(
        &mut self,
        now: Time,
        key: Key,
        filter: Arc<str>,
        options: SubscriptionOptions,
    ) {
        if matches!(self.phase, Phase::Stopped) {
            self.push(Output::Subscribed(key, Err(SubscribeError::Stopped)));
            return;
        }
        let replaced = self.subscriptions.subscribe(key, filter, options);
        self.forget(replaced);
        self.settle(now);
    }

    /// Wants a subscription no more.
    pub(crate) fn unsubscribe(&mut self, now: Time, key: Key, filter: Arc<str>) {
        if matches!(self.phase, Phase::Stopped) {
            self.push(Output::Unsubscribed(key, Err(UnsubscribeError::Stopped)));
            return;
        }
        let removed = self.subscriptions.unsubscribe(key, filter);
        self.forget(removed);
        self.settle(now);
    }

    /// Wants the subscription that `subscribed` names no more, unless another has taken its place.
    pub(crate) fn leave(&mut self, now: Time, key: Key, subscribed: Key) {
        if let Some(filter) = self.subscriptions.filter(subscribed) {
            self.unsubscribe(now, key, filter);
        }
    }

    fn forget(&mut self, key: Option<Key>) {
        if let Some(key) = key {
            self.push(Output::Subscribed(key, Err(SubscribeError::Replaced)));
            self.push(Output::Forget(key));
        }
    }

    /// An answer to a request is waited for, or no longer.
    pub(crate) fn await_reply(&mut self, now: Time, begins: bool) {
        if begins {
            self.replies_awaited += 1;
        } else {
            self.replies_awaited = self.replies_awaited.saturating_sub(1);
        }
        self.settle(now);
    }

    /// Stops, after what is under way has been finished or `within` has passed.
    pub(crate) fn disconnect(&mut self, now: Time, within: Duration) {
        self.drain_until = Some(now + within);
        if matches!(self.phase, Phase::Idle) {
            self.stop(OfflineReason::Stopped, false);
        }
        self.settle(now);
    }

    /// A handler has finished; `reason` is what it has to say to the server.
    pub(crate) fn handle_handled(&mut self, now: Time, token: Token, reason: ReasonCode) {
        self.arrivals.finish(token, reason);
        self.unsettled = Some(now);
    }

    /// A message found no room where its subscription wanted it.
    pub(crate) fn handle_dropped(&mut self, topic: Arc<str>) {
        self.dropped += 1;
        let total = self.dropped;
        self.push(Output::Event(Event::Dropped { topic, total }));
    }

    // The transport.

    /// The transport is open; the CONNECT leaves with these words.
    pub(crate) fn handle_connected(&mut self, now: Time, connect: ConnectPacket) {
        if let Phase::Dialling { deadline } = self.phase {
            self.phase = Phase::Handshaking { deadline };
            self.client_id.clone_from(&connect.client_id);
            self.connect = connect;
            self.authentication = Authentication::new(self.connect.authentication.as_ref());
            if let Err(error) = self.send_connect() {
                self.fail(now, OfflineReason::Connect(error.to_string().into()));
            }
        }
    }

    /// The transport could not be opened, or has ended.
    pub(crate) fn handle_failed(&mut self, now: Time, reason: OfflineReason) {
        match &self.phase {
            Phase::Dialling { .. } | Phase::Handshaking { .. } | Phase::Online { .. } => {
                self.fail(now, reason);
            }
            Phase::Closing { .. } => self.finish_closing(now),
            Phase::Idle | Phase::Waiting { .. } | Phase::Stopped => {}
        }
    }

    /// Everything in [`Core::transmit`] has been written.
    pub(crate) fn handle_sent(&mut self, now: Time) {
        self.keep_alive.handle_sent(now);
        self.settle(now);
    }

    /// Whether the last packet of the connection is on its way: when it has been written, close the
    /// transport and report with [`Core::handle_failed`].
    pub(crate) const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// Whether received bytes are welcome. If not, leave them where they are and ask again after a
    /// handler has finished, or the authenticator.
    ///
    /// A client that waits for an acknowledgement or an answer goes on reading: the handler that holds
    /// everything up may be the one that waits for it.
    pub(crate) fn is_receiving(&self) -> bool {
        if self.authentication.holds_back() {
            return false;
        }
        !self.arrivals.is_full(&self.config.limits, 1)
            || self.inflight_len > 0
            || !self.queue.is_empty()
            || self.subscriptions.is_waiting()
            || self.replies_awaited > 0
    }

    /// Bytes to write.
    pub(crate) fn transmit(&mut self) -> &mut OutBuf {
        self.catch_up();
        self.out.ready()
    }

    /// What to do next, in order.
    pub(crate) fn poll_output(&mut self) -> Option<Output<R>> {
        self.catch_up();
        self.outputs.pop_front()
    }

    // Time.

    /// Messages in the outgoing queue, in flight, and with handlers that have not finished.
    pub(crate) fn held(&self) -> [usize; 3] {
        [self.queue.len(), self.inflight_len, self.arrivals.waiting()]
    }

    /// The moment that `Time::ZERO` stands for.
    pub(crate) const fn origin(&self) -> Instant {
        self.origin
    }

    /// The program's name for a time; what is too far away for one is a day away.
    fn moment(&self, time: Time) -> Instant {
        let moment = self.origin.checked_add(time.since_origin());
        moment.unwrap_or(self.origin + Duration::from_secs(24 * 60 * 60))
    }

    /// When to call [`Core::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let phase = match &self.phase {
            Phase::Idle | Phase::Stopped => return None,
            Phase::Waiting { until } => Some(*until),
            Phase::Dialling { deadline }
            | Phase::Handshaking { deadline }
            | Phase::Closing { deadline, .. } => Some(*deadline),
            Phase::Online { .. } => self.keep_alive.deadline(!self.is_receiving()),
        };
        let drain = self.drain_until.filter(|_| !self.is_closing());
        let again = (self.authentication.deadline()).filter(|_| !self.is_closing());
        phase.into_iter().chain(drain).chain(again).min()
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        match self.phase {
            Phase::Waiting { until } if now >= until => self.dial(now),
            Phase::Dialling { deadline } | Phase::Handshaking { deadline } if now >= deadline => {
                let timeout = self.config.connect_timeout;
                self.fail(now, OfflineReason::ConnectTimeout(timeout));
            }
            Phase::Closing { deadline, .. } if now >= deadline => self.finish_closing(now),
            Phase::Online { .. } if self.authentication.deadline().is_some_and(|at| now >= at) => {
                self.handle_authentication_timeout(now);
            }
            Phase::Online { .. } => {
                let paused = !self.is_receiving();
                match self.keep_alive.handle_timeout(now, paused) {
                    Verdict::Alive => {}
                    Verdict::Ping => {
                        self.send_at_once(&Packet::PingReq);
                        self.rest();
                    }
                    Verdict::Dead => self.fail(now, OfflineReason::KeepAlive),
                }
            }
            _ => {}
        }
        self.settle(now);
    }

    /// An idle client keeps no memory of a burst; a busy one would only have to get it again.
    fn rest(&mut self) {
        self.outputs.shrink_to_fit();
        self.queue.shrink_to_fit();
        self.inflight.relax();
        self.arrivals.rest();
    }

    // The life of the connection.

    fn dial(&mut self, now: Time) {
        self.phase = Phase::Dialling {
            deadline: now + self.config.connect_timeout,
        };
        self.enter(State::Connecting {
            attempt: self.failures + 1,
        });
        self.push(Output::Dial);
        self.retry_store();
    }

    /// The server has accepted the connection.
    fn go_online(&mut self, now: Time, accepted: Accepted) {
        let session_present = accepted.session_present;
        self.server = accepted.offer;
        self.server.identifiers &= self.config.uses_identifiers;
        let keep_alive = (accepted.keep_alive_secs).unwrap_or(self.config.keep_alive_secs);
        self.keep_alive = KeepAlive::new(now, keep_alive);
        self.outbound_aliases.reset(
            self.server
                .topic_alias_maximum
                .min(self.config.limits.topic_aliases),
        );
        if let Some(assigned) = accepted.assigned_client_id {
            self.client_id = assigned;
        }
        // [MQTT-3.2.2-5]
        if !session_present {
            self.lose_session();
        } else if self.config.resubscribe != Resubscribe::IfSessionLost {
            self.subscriptions.ask_again();
        }
        if !self.was_online {
            self.keep_client();
        }
        self.was_online = true;
        if session_present && let Some(somewhere) = PacketId::new(self.random.u16(..)) {
            // The server may remember identifiers of a process before this one, and would take a message of
            // QoS 2 under such an identifier for one that it knows.
            self.inflight.begin_behind(somewhere);
        }
        self.inflight.resume(self.server.receive_maximum);
        self.send_birth();
        self.phase = Phase::Online { since: now };
        self.enter(State::Online { session_present });
        self.settle(now);
    }

    fn lose_session(&mut self) {
        let in_flight = self.inflight_len;
        if self.was_online {
            self.push(Output::Event(Event::SessionLost { in_flight }));
        }
        self.lose_inflight();
        self.forget_received();
        self.arrivals.leave_session();
        let removed: Vec<Key> = self.subscriptions.leave_session().collect();
        for key in removed {
            self.push(Output::Unsubscribed(key, Ok(())));
        }
    }

    /// Nothing is known any more about what was in flight.
    fn resolve_inflight(&mut self, why: Indeterminate) {
        self.inflight_len = 0;
        for queued in self.inflight.drain() {
            let outcome = Ok(Outcome::Indeterminate(why));
            self.outputs
                .push_back(Output::Published(queued.receipt, outcome));
        }
    }

    /// Tells the server why the connection ends, and ends it.
    fn close(&mut self, now: Time, reason: OfflineReason, code: ReasonCode) {
        let online_since = match self.phase {
            Phase::Online { since } => Some(since),
            _ => None,
        };
        // A client of MQTT 3.x has a DISCONNECT for a normal end only.
        if code == ReasonCode::Success || self.config.version.has_properties() {
            self.send_disconnect(&reason, code);
        }
        self.phase = Phase::Closing {
            deadline: now + CLOSE_WITHIN,
            online_since,
            reason,
        };
    }

    fn finish_closing(&mut self, now: Time) {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        if let Phase::Closing {
            online_since,
            reason,
            ..
        } = phase
        {
            if reason == OfflineReason::Stopped {
                let sent = self.out.is_empty();
                return self.stop(reason, sent);
            }
            if let Some(since) = online_since {
                self.phase = Phase::Online { since };
            }
            self.fail(now, reason);
        }
    }

    /// The connection, or the attempt to make one, has failed: waits for the next, or gives up.
    fn fail(&mut self, now: Time, reason: OfflineReason) {
        if let Phase::Online { since } = self.phase {
            if self.config.backoff.is_stable(now - since) {
                self.failures = 0;
                self.rounds = 0;
                self.servers.begin_round();
            }
            self.servers.handle_lost();
        }
        self.rethink_bridge(&reason);
        self.leave_authentication(&reason);
        self.leave_connection();
        if self.is_final(&reason) {
            return self.stop(reason, false);
        }
        self.failures = self.failures.saturating_add(1);
        let delay = if self.servers.handle_failed() {
            self.rounds = self.rounds.saturating_add(1);
            self.config.backoff.delay(self.rounds, self.random.f64())
        } else {
            Duration::ZERO
        };
        self.phase = Phase::Waiting { until: now + delay };
        self.enter(State::Offline {
            reason,
            next: Some(NextAttempt {
                number: self.failures.saturating_add(1),
                delay,
                at: self.moment(now + delay),
            }),
        });
        self.refuse_queued_qos0();
        self.settle(now);
    }

    /// A server that closes without a word may not know what a bridge is, or have a reason of its own.
    fn rethink_bridge(&mut self, reason: &OfflineReason) {
        let is_silence = matches!(reason, OfflineReason::Closed | OfflineReason::Io(_));
        if is_silence && matches!(self.phase, Phase::Handshaking { .. }) && self.config.is_bridge {
            self.says_bridge = !self.says_bridge;
        }
    }

    fn is_final(&self, reason: &OfflineReason) -> bool {
        match reason {
            OfflineReason::Refused { reason, .. } => {
                !self.servers.is_settled()
                    && self.config.refusal == RefusalPolicy::Stop
                    && is_refused_for_good(*reason)
            }
            OfflineReason::Disconnected {
                reason: ReasonCode::SessionTakenOver,
                ..
            } => self.config.take_over == TakeOverPolicy::Stop,
            _ => false,
        }
    }

    fn leave_connection(&mut self) {
        self.push(Output::Close);
        self.out.clear();
        self.acks_unwritten = 0;
        self.skip = 0;
        self.aliases = InboundAliases::new(self.config.limits.topic_alias_maximum, ALIAS_BYTES_MAX);
        self.arrivals.leave_connection();
        self.subscriptions.leave_connection();
    }

    fn refuse_queued_qos0(&mut self) {
        if self.config.offline_qos0 == OfflineQos0::Queue {
            return;
        }
        for queued in std::mem::take(&mut self.queue) {
            if queued.message.qos == Qos::AtMostOnce {
                self.conclude(queued, Err(PublishError::Offline));
            } else {
                self.queue.push_back(queued);
            }
        }
    }

    /// Ends the drain when nothing is left to wait for, or no time.
    fn settle_drain(&mut self, now: Time) {
        let Some(until) = self.drain_until else {
            return;
        };
        let is_drained = self.queue.is_empty()
            && self.inflight_len == 0
            && self.arrivals.waiting() == 0
            && !self.arrivals.has_acks();
        if !is_drained && now < until {
            return;
        }
        match self.phase {
            Phase::Online { .. } => self.close(now, OfflineReason::Stopped, ReasonCode::Success),
            Phase::Dialling { .. } | Phase::Handshaking { .. } | Phase::Waiting { .. } => {
                self.leave_connection();
                self.stop(OfflineReason::Stopped, false);
            }
            Phase::Idle | Phase::Closing { .. } | Phase::Stopped => {}
        }
    }

    fn stop(&mut self, reason: OfflineReason, disconnect_sent: bool) {
        self.phase = Phase::Stopped;
        self.leave_authentication(&reason);
        let report = DrainReport {
            disconnect_sent,
            queued: self.queue.len(),
            in_flight: self.inflight_len,
            unhandled: self.arrivals.waiting(),
        };
        self.push(Output::Close);
        self.resolve_inflight(Indeterminate::Stopped);
        for queued in std::mem::take(&mut self.queue) {
            self.push(Output::Published(
                queued.receipt,
                Err(PublishError::Stopped),
            ));
        }
        self.enter(State::Offline { reason, next: None });
        self.push(Output::Stopped(report));
    }

    /// Settles the inputs that come in numbers, messages and handlers that finish: once for all of them,
    /// before anybody looks.
    fn catch_up(&mut self) {
        if let Some(now) = self.unsettled {
            self.settle(now);
        }
    }

    /// Every input ends here: sends what can be sent, and stops if that was asked for.
    fn settle(&mut self, now: Time) {
        self.unsettled = None;
        if matches!(self.phase, Phase::Online { .. }) {
            self.fill(now);
        }
        self.flush_journal();
        self.settle_drain(now);
        let is_paused = !self.is_receiving();
        if self.is_paused && !is_paused {
            // The silence was ours: what the server said meanwhile has not been read.
            self.keep_alive.handle_received(now);
        }
        self.is_paused = is_paused;
    }

    fn enter(&mut self, state: State) {
        self.state = state.clone();
        self.push(Output::Event(Event::State(state)));
    }

    fn push(&mut self, output: Output<R>) {
        self.outputs.push_back(output);
    }
}

/// Refusals that another attempt with the same words will not change.
const fn is_refused_for_good(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::UnsupportedProtocolVersion
            | ReasonCode::ClientIdentifierNotValid
            | ReasonCode::BadUserNameOrPassword
            | ReasonCode::NotAuthorized
            | ReasonCode::Banned
            | ReasonCode::BadAuthenticationMethod
    )
}
