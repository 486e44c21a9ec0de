//! A PUBLISH from the socket it came from to the out-buffers it goes to, and its acknowledgements.

use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::alias::InboundAliases;
use wigwag_proto::inflight::Resend;
use wigwag_proto::packet::{Delivery as Guarantee, Publish, PublishAck, Qos};
use wigwag_proto::transmit::SHARE_FROM;
use wigwag_proto::{Packet, PacketId, ReasonCode, Time, TopicName};

use super::memory::{LITTLE, is_overdue};
use super::receivers::Route;
use super::{Claimed, ConnectionKey, Phase, Receiver, Shard, Terms};
use crate::delivery::{Authorised, Delivery, Special};
use crate::event::{CloseReason, DropReason};
use crate::flight::Receipt;
use crate::memory::Pressure;
use crate::message::{Forwarded, Message, MessageRef};
use crate::mount;
use crate::peer::Letter;
use crate::retained::{Cursor, is_kept_on_disk};
use crate::routes::Target;
use crate::session::{Outgoing, Session, SessionKey};
use crate::settings::RoutesQos2;
use crate::share::{Ready, Tried};
use crate::stats::Action;
use crate::timers::Timer;
use crate::trace::{Traced, Way};
use crate::unreleased::Released;

/// With this many bytes in the out-buffer, messages that can wait do wait until it has been written.
pub(super) const ROOM: usize = 256 * 1024;

/// Retained topics that a session's replays look at before others have their turn: a filter that matches
/// nothing costs a look at all of them.
const REPLAY_TOPICS_PER_TURN: usize = 4_096;

/// How long the others have then.
const REPLAY_PAUSE: Duration = Duration::from_millis(1);

/// A message that is copied into shared memory when the first one needs to keep it.
pub(super) struct Carried<'a> {
    pub(super) view: MessageRef<'a>,
    shared: Option<Arc<Message>>,
}

impl<'a> Carried<'a> {
    fn new(view: MessageRef<'a>) -> Carried<'a> {
        Carried { view, shared: None }
    }

    pub(super) fn of(message: &'a Arc<Message>) -> Carried<'a> {
        Carried {
            view: message.view(),
            shared: Some(Arc::clone(message)),
        }
    }

    pub(super) fn share(&mut self) -> &Arc<Message> {
        self.shared.get_or_insert_with(|| self.view.to_message())
    }
}

/// Unreleased QoS 2 messages of a client that cannot be told a Receive Maximum. Mosquitto as a bridge sends all
/// that has waited at once.
const UNTOLD_UNRELEASED_MAX: usize = 4_096;

impl Shard {
    pub(super) fn handle_publish(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session: SessionKey,
        publish: &Publish<'_>,
    ) {
        let qos = publish.delivery.qos();
        self.stats.publish_received(qos, publish.payload.len());
        let forwarded = Forwarded::new(publish.properties, now);
        // [MQTT-3.3.4-6]
        if forwarded.has_subscription_identifier {
            let what =
                CloseReason::Protocol("a PUBLISH of a client with a Subscription Identifier");
            return self.close(now, key, what, Some(ReasonCode::ProtocolError));
        }
        let Some(alias) = forwarded.topic_alias else {
            let topic = publish
                .topic
                .expect("a PUBLISH has a Topic Name or an alias");
            return self.publish_from(
                now,
                key,
                session,
                publish,
                &forwarded.message(publish, topic),
            );
        };
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        // The name stands in the table, which must not be in the connection while the rest goes on.
        let mut aliases = std::mem::replace(&mut connection.aliases, InboundAliases::new(0, 0));
        let topic = match publish.topic {
            Some(topic) => aliases.set(alias, topic).map(|()| topic),
            None => aliases.name(alias).map(|name| {
                TopicName::new(name).expect("it was a Topic Name when the alias was set")
            }),
        };
        match topic {
            Ok(topic) => {
                self.publish_from(
                    now,
                    key,
                    session,
                    publish,
                    &forwarded.message(publish, topic),
                );
            }
            Err(error) => {
                let (what, code) = (
                    CloseReason::Protocol("Topic Alias invalid"),
                    error.reason_code(),
                );
                self.close(now, key, what, Some(code));
            }
        }
        if let Some(connection) = self.connections.get_mut(key) {
            connection.aliases = aliases;
        }
    }

    /// Checks what the listener allows, and puts the topic behind its mount point.
    fn publish_from(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session_key: SessionKey,
        publish: &Publish<'_>,
        message: &MessageRef<'_>,
    ) {
        let Some(session) = self.sessions.get(session_key) else {
            return;
        };
        let listener = &session.identity.listener;
        // [MQTT-3.2.2-11]
        if message.qos > listener.qos_max {
            let what = CloseReason::Protocol("a PUBLISH with more than the Maximum QoS");
            return self.close(now, key, what, Some(ReasonCode::QosNotSupported));
        }
        // [MQTT-3.2.2-14]
        if message.retain && !self.grants_retain(key) {
            let what = CloseReason::Protocol("a PUBLISH with RETAIN, which is not available");
            return self.close(now, key, what, Some(ReasonCode::RetainNotSupported));
        }
        let Some(mount_point) = &listener.mount_point else {
            return self.publish_to(now, key, session_key, publish, message);
        };
        let mut text = std::mem::take(&mut self.mounted);
        match mount::name(message.topic, mount_point, &mut text) {
            Some(topic) => {
                let message = MessageRef { topic, ..*message };
                self.publish_to(now, key, session_key, publish, &message);
            }
            None => {
                let what = CloseReason::Protocol("a Topic Name too long for its mount point");
                self.close(now, key, what, Some(ReasonCode::TopicNameInvalid));
            }
        }
        self.mounted = text;
    }

    fn publish_to(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session_key: SessionKey,
        publish: &Publish<'_>,
        message: &MessageRef<'_>,
    ) {
        if let Guarantee::ExactlyOnce { packet_id, .. } = publish.delivery
            && !self.is_begun(now, key, session_key, packet_id, message)
        {
            return;
        }
        let Some(session) = self.sessions.get(session_key) else {
            return;
        };
        let is_allowed = self.policy.may_publish(&session.identity, message.topic);
        self.stats.checked(Action::Publish, is_allowed);
        if self.is_tracing {
            let traced = Traced::publish(publish, message.topic, !is_allowed);
            self.push_traced(key, Some(session_key), Way::Received, traced);
        }
        let reason = if message.payload.len() > self.settings.limits.payload_size_max {
            ReasonCode::QuotaExceeded
        } else if !is_allowed {
            ReasonCode::NotAuthorized
        } else if self.settings.claims(message.topic) {
            if let Some(session) = self.sessions.get(session_key) {
                self.claimed.push_back(Claimed {
                    connection: key,
                    identity: session.identity.clone(),
                    message: message.to_message(),
                });
            }
            ReasonCode::Success
        } else if let Guarantee::ExactlyOnce { packet_id, .. } = publish.delivery {
            return match self.settings.routes_qos2_at {
                RoutesQos2::Publish => {
                    self.route_exactly_once(now, key, session_key, packet_id, *message);
                }
                RoutesQos2::Release => self.hold(now, key, session_key, packet_id, message),
            };
        } else {
            let publisher = Some(self.target(session_key));
            self.distribute(now, *message, publisher)
        };
        match publish.delivery {
            Guarantee::AtMostOnce => {}
            Guarantee::AtLeastOnce { packet_id, .. } => {
                self.send(key, &Packet::PubAck(PublishAck::new(packet_id, reason)));
            }
            Guarantee::ExactlyOnce { packet_id, .. } => {
                self.receive(key, session_key, packet_id, reason);
            }
        }
    }

    /// Whether a PUBLISH of QoS 2 is of a message that nobody has seen, and there may be one more.
    fn is_begun(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session_key: SessionKey,
        packet_id: PacketId,
        message: &MessageRef<'_>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(session_key) else {
            return false;
        };
        if session.unreleased.holds_another(packet_id, message) {
            // Its publisher has given up the earlier one, or forgotten it.
            let _ = session.unreleased.release(packet_id);
            self.notes.note_received(session_key, session, packet_id);
            self.census.note(session_key, session);
        }
        if session.unreleased.contains(packet_id) {
            // [MQTT-4.3.3-10]
            let ack = PublishAck::new(packet_id, ReasonCode::Success);
            self.send(key, &Packet::PubRec(ack));
            return false;
        }
        let connection = self.connections.get(key);
        let (unreleased_max, is_told) = connection.map_or((0, false), |connection| {
            let is_told = connection.receiving.version.has_properties();
            (connection.granted.receive_maximum, is_told)
        });
        // [MQTT-3.3.4-7]; clients that overstep a little are common, and forgiven.
        let forgiven = if self.settings.is_terse && is_told {
            1
        } else {
            2
        };
        let untold_max = if is_told { 0 } else { UNTOLD_UNRELEASED_MAX };
        let unreleased_max = (forgiven * usize::from(unreleased_max)).max(untold_max);
        let has_room = session.unreleased.len() < unreleased_max;
        if !has_room {
            self.route_held(now, session_key);
            let what = CloseReason::Quota(
                "more unreleased QoS 2 messages than the Receive Maximum allows",
            );
            self.close(now, key, what, Some(ReasonCode::ReceiveMaximumExceeded));
        }
        has_room
    }

    /// Gives a message of QoS 2 to everybody at once; what is left to be remembered is its Packet Identifier.
    fn route_exactly_once(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session_key: SessionKey,
        packet_id: PacketId,
        message: MessageRef<'_>,
    ) {
        let publisher = Some(self.target(session_key));
        let Some(mut carried) = self.keep(now, message, publisher) else {
            return self.receive(key, session_key, packet_id, ReasonCode::QuotaExceeded);
        };
        // Its PUBREC goes first, as from servers that route when PUBREL comes.
        self.receive(key, session_key, packet_id, ReasonCode::Success);
        self.route(now, &mut carried, publisher);
    }

    /// Keeps a message of QoS 2 until its PUBREL comes. Whether it is taken has to be said now: PUBCOMP has no
    /// word for it.
    fn hold(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session_key: SessionKey,
        packet_id: PacketId,
        message: &MessageRef<'_>,
    ) {
        let limits = &self.settings.limits;
        let retained = &self.node.retained;
        if message.retain && !retained.has_room(message, limits, now, self.is_tight()) {
            return self.receive(key, session_key, packet_id, ReasonCode::QuotaExceeded);
        }
        let is_full = self.is_full();
        let Some(session) = self.sessions.get_mut(session_key) else {
            return;
        };
        if is_full || session.unreleased.bytes() >= limits.unreleased_bytes_max {
            let connection = self.connections.get(key);
            if connection.is_some_and(|it| it.receiving.version.has_properties()) {
                return self.receive(key, session_key, packet_id, ReasonCode::QuotaExceeded);
            }
            // A PUBREC of MQTT 3.x can only say yes; on its next connection the client sends it again.
            self.route_held(now, session_key);
            let what = CloseReason::Quota("too many bytes in unreleased QoS 2 messages");
            return self.close(now, key, what, None);
        }
        let message = message.to_message();
        message.charge(&self.memory.account);
        session.unreleased.hold(packet_id, message);
        self.census.note(session_key, session);
        self.receive(key, session_key, packet_id, ReasonCode::Success);
    }

    /// Routes what waits for its PUBREL, of a client that is to be disconnected for sending too much: it has our word for
    /// these messages, and nobody could release them if its session ended now. Mosquitto 2.0 as a bridge is such a
    /// client.
    fn route_held(&mut self, now: Time, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let messages = session.unreleased.take_messages();
        for &packet_id in messages.keys() {
            self.notes.note_received(key, session, packet_id);
        }
        self.census.note(key, session);
        for message in messages.values() {
            self.route_released(now, key, message);
        }
    }

    /// The PUBREL of a message has come that was kept until now.
    fn route_released(&mut self, now: Time, publisher: SessionKey, message: &Arc<Message>) {
        // [MQTT-3.3.2-5]
        if message.view().is_expired(now) {
            return self.events.dropped(DropReason::Expired);
        }
        let publisher = Some(self.target(publisher));
        if message.view().retain {
            // There was room when it was taken; if others were faster since, nobody can be told.
            self.retain(now, message, publisher);
        }
        self.route(now, &mut Carried::of(message), publisher);
    }

    /// Answers a message of QoS 2.
    fn receive(
        &mut self,
        key: ConnectionKey,
        session_key: SessionKey,
        packet_id: PacketId,
        reason: ReasonCode,
    ) {
        // [MQTT-4.3.3-9]: a refused identifier is free again.
        if !reason.is_error()
            && let Some(session) = self.sessions.get_mut(session_key)
        {
            session.unreleased.receive(packet_id);
            self.notes.note_received(session_key, session, packet_id);
        }
        self.send(key, &Packet::PubRec(PublishAck::new(packet_id, reason)));
    }

    /// Retains the message if it asks for that, and gives it to everybody who wants it.
    pub(super) fn distribute(
        &mut self,
        now: Time,
        message: MessageRef<'_>,
        publisher: Option<Target>,
    ) -> ReasonCode {
        match self.keep(now, message, publisher) {
            Some(mut carried) => self.route(now, &mut carried, publisher),
            None => ReasonCode::QuotaExceeded,
        }
    }

    /// Retains the message if it asks for that; `None` if that fails and its publisher can be told.
    fn keep<'a>(
        &mut self,
        now: Time,
        message: MessageRef<'a>,
        publisher: Option<Target>,
    ) -> Option<Carried<'a>> {
        let mut carried = Carried::new(message);
        let is_kept = !message.retain || self.retain(now, carried.share(), publisher);
        // What nobody can answer for still goes to those who listen.
        (is_kept || message.qos == Qos::AtMostOnce).then_some(carried)
    }

    /// Gives a message to everybody who wants it.
    fn route(
        &mut self,
        now: Time,
        carried: &mut Carried<'_>,
        publisher: Option<Target>,
    ) -> ReasonCode {
        self.too_much = false;
        let message = carried.view;
        let route = Route {
            here: self.id,
            publisher,
            allow_duplicates: self.settings.allow_duplicates,
        };
        let receivers = {
            let index = self.node.routes.snapshot();
            self.cache.receivers(&index, message.topic, route)
        };
        // Many out-buffers share one copy of what is too large to copy for each.
        if receivers.local.len() > 1 && message.payload.len() >= SHARE_FROM {
            carried.share();
        }
        self.writer.begin();
        for receiver in &receivers.local {
            let retain = message.retain && receiver.retain_as_published;
            self.deliver(now, carried, receiver, retain);
        }
        for (shard, receivers) in &receivers.remote {
            let (message, receivers) = (Arc::clone(carried.share()), Arc::clone(receivers));
            self.post(
                *shard,
                Letter::Deliver {
                    message,
                    receivers,
                    publisher,
                },
            );
        }
        for share in &receivers.shares {
            // At QoS 0 there may be nobody with whom it waits.
            let _ = self.deliver_to_one(now, carried, share, Ready::Away, Tried::default());
        }
        self.hold_back_if_wanted(now, publisher);
        if receivers.is_empty() {
            self.stats.unwanted += 1;
            ReasonCode::NoMatchingSubscribers
        } else {
            ReasonCode::Success
        }
    }

    /// Keeps a message for those who subscribe later; false if the bounds do not allow it.
    fn retain(&mut self, now: Time, message: &Arc<Message>, publisher: Option<Target>) -> bool {
        let source = publisher
            .filter(|_| self.settings.check_retain_source)
            .and_then(|publisher| self.sessions.get(publisher.session))
            .map(|session| Arc::new(session.identity.clone()));
        message.charge(&self.memory.account);
        let limits = &self.settings.limits;
        let is_change = is_kept_on_disk(message.view().topic.as_str());
        self.notes.changes += u64::from(is_change);
        (self.node.retained).set(message, source, limits, now, self.is_tight())
    }

    /// Delivers a message that another shard has routed here.
    pub(super) fn deliver_shared(
        &mut self,
        now: Time,
        message: &Arc<Message>,
        receiver: &Receiver,
    ) {
        let mut carried = Carried::of(message);
        if receiver.share().is_some() {
            return self.deliver_to_member(now, &mut carried, receiver, Tried::default());
        }
        let retain = carried.view.retain && receiver.retain_as_published;
        self.deliver(now, &mut carried, receiver, retain);
    }

    /// Gives a message to one session: writes it, or keeps it for later, or drops it.
    pub(super) fn deliver(
        &mut self,
        now: Time,
        carried: &mut Carried<'_>,
        receiver: &Receiver,
        retain: bool,
    ) {
        let key = receiver.session;
        let limits = &self.settings.limits;
        let Some(session) = self.sessions.get_mut(key) else {
            carried.share().charge(&self.memory.account);
            if let Some(departed) = self.departed.get_mut(&key)
                && !departed.backlog.push(carried.share(), receiver, limits)
            {
                self.events.dropped(DropReason::QueueFull);
            }
            return;
        };
        if let Some(backlog) = &mut session.local.arriving {
            carried.share().charge(&self.memory.account);
            if !backlog.push(carried.share(), receiver, limits) {
                self.events.dropped_for(session, DropReason::QueueFull);
            }
            return;
        }
        let pressure = self.memory.pressure;
        let qos = if self.settings.upgrade_outgoing_qos {
            receiver.qos
        } else {
            // [MQTT-3.8.4-8]
            receiver.qos.min(carried.view.qos)
        };
        let connection = session
            .local
            .connection
            .and_then(|key| self.connections.get_mut(key));
        let waits = match (connection, qos) {
            (None, Qos::AtMostOnce) if !self.settings.queue_qos0 => return,
            (None, _) => true,
            (Some(connection), Qos::AtMostOnce) => {
                let len = connection.out.len();
                if pressure > Pressure::None && is_overdue(&connection.out, limits, pressure) {
                    return self.events.dropped_for(session, DropReason::SlowConsumer);
                }
                if len > limits.hold_back_from.min(limits.out_buffer_max) {
                    let holds_back =
                        len > limits.hold_back_from && connection.may_hold_back(now, limits);
                    self.too_much |= holds_back;
                    // What is on its way while a publisher is being told is not lost.
                    let most = if holds_back {
                        limits.held_back_max
                    } else {
                        limits.out_buffer_max
                    };
                    if len > most {
                        return self.events.dropped_for(session, DropReason::SlowConsumer);
                    }
                }
                // It must not overtake those that have waited with the others.
                self.settings.queue_qos0 && !session.queue.is_empty()
            }
            (Some(connection), _) => {
                if session.queue.is_half_full(limits) {
                    self.too_much |= connection.may_hold_back(now, limits);
                }
                !session.queue.is_empty()
                    || !session.flight.has_room(limits)
                    || is_overdue(&connection.out, limits, pressure)
                    || pressure == Pressure::Full && session.flight.bytes() > LITTLE
            }
        };
        if waits && pressure == Pressure::Full {
            return self.events.dropped_for(session, DropReason::MemoryFull);
        }
        // What is not acknowledged is sent again, by this session or, if it was shared, to another.
        let keep = waits
            || (qos > Qos::AtMostOnce && (session.is_persistent() || receiver.share().is_some()));
        if keep {
            self.notes.note(key, session);
        }
        let outgoing = keep.then(|| Outgoing {
            message: Arc::clone(carried.share()),
            qos,
            retain,
            terms: receiver.terms.clone(),
            filed: None,
        });
        if let Some(outgoing) = &outgoing {
            outgoing.message.charge(&self.memory.account);
        }
        match (waits, outgoing) {
            (true, Some(outgoing)) => {
                if session.queue.push(outgoing, limits) {
                    self.census.note(key, session);
                } else {
                    self.events.dropped_for(session, DropReason::QueueFull);
                }
            }
            (_, outgoing) => {
                let Some(connection) = session.local.connection else {
                    return;
                };
                let Some(guarantee) = take_into_flight(session, qos, outgoing) else {
                    return;
                };
                if qos > Qos::AtMostOnce {
                    self.census.note(key, session);
                }
                let delivery = Delivery {
                    message: carried.view,
                    shared: carried.shared.as_deref().map(Message::payload),
                    guarantee,
                    retain,
                    identifiers: Terms::identifiers(receiver.terms.as_ref()),
                };
                self.write(now, connection, key, delivery);
            }
        }
    }

    /// Writes a delivery into the connection's out-buffer, if the client may have it and can take it.
    fn write(
        &mut self,
        now: Time,
        connection_key: ConnectionKey,
        key: SessionKey,
        delivery: Delivery<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(connection_key) else {
            return;
        };
        let checked = Authorised::check(delivery, &*self.policy, &session.identity);
        self.stats.checked(Action::Receive, checked.is_ok());
        let written = checked.and_then(|delivery| {
            let listener = &connection.listener;
            let special = (!connection.is_plain).then(|| Special {
                mount_point: listener.mount_point.as_deref(),
                aliases: connection.outbound_aliases.as_deref_mut(),
            });
            let (receiving, out) = (connection.receiving, &mut connection.out);
            self.writer.write(&delivery, receiving, special, now, out)
        });
        match written {
            Ok(size) => {
                connection.out_packets += 1;
                connection.appended += size as u64;
                let (qos, payload) = (delivery.guarantee.qos(), delivery.message.payload);
                self.stats.publish_sent(qos, size, payload.len());
                self.touch(connection_key);
                if self.is_tracing {
                    let traced = Traced::delivery(&delivery);
                    self.push_traced(connection_key, Some(key), Way::Sent, traced);
                }
            }
            Err(reason) => {
                self.events.dropped_for(session, reason);
                match delivery.guarantee {
                    // It may have arrived the first time: its identifier is free when that is settled.
                    Guarantee::ExactlyOnce {
                        packet_id,
                        dup: true,
                    } => {
                        let ack = PublishAck::new(packet_id, ReasonCode::Success);
                        self.handle_pubrec(now, connection_key, key, &ack);
                    }
                    // Nobody will acknowledge it. [MQTT-3.1.2-25]
                    guarantee => {
                        if let Some(packet_id) = guarantee.packet_id() {
                            session.flight.cancel(packet_id);
                            self.notes.note(key, session);
                            self.census.note(key, session);
                        }
                    }
                }
            }
        }
    }

    /// Sends what waits for the session, as far as its quota and its out-buffer allow: what was in flight
    /// on the last connection, what is queued, then retained messages for new subscriptions.
    pub(super) fn send_waiting(&mut self, now: Time, key: SessionKey) {
        self.send_all_waiting(now, key);
        self.note_kept(key);
        self.tell_readiness(key);
    }

    fn send_all_waiting(&mut self, now: Time, key: SessionKey) {
        let mut topics_left = REPLAY_TOPICS_PER_TURN;
        while let Some(connection) = self.connection_with_room(key) {
            let Some(session) = self.sessions.get_mut(key) else {
                return;
            };
            self.writer.begin();
            match session.flight.poll_resend() {
                Some(Resend::Release(packet_id)) => {
                    self.send(
                        connection,
                        &Packet::PubRel(PublishAck::new(packet_id, ReasonCode::Success)),
                    );
                    continue;
                }
                Some(Resend::Publish {
                    packet_id,
                    qos,
                    message,
                }) => {
                    let guarantee = guarantee(qos, packet_id, true);
                    let outgoing = message.clone();
                    if let Some(outgoing) = outgoing {
                        self.write_outgoing(now, connection, key, &outgoing, guarantee);
                    }
                    continue;
                }
                None => {}
            }
            if session.flight.has_room(&self.settings.limits)
                && let Some(outgoing) = session.queue.pop()
            {
                self.notes.note(key, session);
                let may_return = session.is_persistent() || outgoing.share().is_some();
                let kept = may_return.then(|| outgoing.clone());
                let Some(guarantee) = take_into_flight(session, outgoing.qos, kept) else {
                    return;
                };
                self.write_outgoing(now, connection, key, &outgoing, guarantee);
                continue;
            }
            let Some(looked_at) = self.replay_one(now, key) else {
                return;
            };
            topics_left = topics_left.saturating_sub(looked_at);
            if topics_left == 0 {
                return self.replay_later(now, key);
            }
        }
    }

    fn write_outgoing(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        outgoing: &Outgoing,
        guarantee: Guarantee,
    ) {
        let delivery = Delivery {
            message: outgoing.message.view(),
            shared: Some(outgoing.message.payload()),
            guarantee,
            retain: outgoing.retain,
            identifiers: Terms::identifiers(outgoing.terms.as_ref()),
        };
        self.write(now, connection, key, delivery);
    }

    /// The session's connection, if it is online and its out-buffer has room.
    fn connection_with_room(&self, key: SessionKey) -> Option<ConnectionKey> {
        let connection_key = self.sessions.get(key)?.local.connection?;
        let connection = self.connections.get(connection_key)?;
        let online = matches!(connection.phase, Phase::Online(_));
        let room = if self.is_tight() { LITTLE } else { ROOM };
        (online && connection.out.len() < room).then_some(connection_key)
    }

    /// Lets others have their turn before the replay of retained messages goes on.
    fn replay_later(&mut self, now: Time, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            self.timers.set(
                &mut session.local.replay_alarm,
                Timer::Replay(key),
                now + REPLAY_PAUSE,
            );
        }
    }

    /// Sends the next retained message that a new subscription asked for. One at a time, so that none is
    /// fetched before there is room and quota for it. Returns how many topics it looked at, unless there
    /// is nothing to replay or it has to wait.
    fn replay_one(&mut self, now: Time, key: SessionKey) -> Option<usize> {
        let session = self.sessions.get_mut(key)?;
        let may_send = session.queue.is_empty() && session.flight.has_room(&self.settings.limits);
        let replay = session.replays.front_mut()?;
        // What was routed before the session moved here is older than what is retained now.
        let is_arriving = session.local.arriving.is_some();
        if is_arriving || (replay.grant.options.qos > Qos::AtMostOnce && !may_send) {
            return None;
        }
        let filter = replay.filter.as_filter();
        let step = self.node.retained.step(filter, &replay.cursor, now);
        let receiver = Receiver::new(key, &replay.grant);
        replay.cursor = step.cursor;
        if replay.cursor == Cursor::End {
            session.replays.pop_front();
        }
        self.notes.note_head(key, session);
        if let Some(entry) = step.found {
            let topic = entry.message.view().topic;
            let is_vouched_for = entry
                .source
                .as_ref()
                .is_none_or(|source| self.policy.may_publish(source, topic));
            if is_vouched_for {
                self.deliver(now, &mut Carried::of(&entry.message), &receiver, true);
            }
        }
        Some(step.looked_at.max(1))
    }

    pub(super) fn handle_puback(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        packet_id: PacketId,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if !session.flight.handle_puback(packet_id) {
            return self.handle_stray(now, connection, key, packet_id);
        }
        self.go_on(now, key);
    }

    /// A message of the session is done, which may let something follow.
    fn go_on(&mut self, now: Time, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        self.notes.note(key, session);
        if session.may_go_on() {
            self.send_waiting(now, key);
        } else {
            self.census.note(key, session);
        }
    }

    pub(super) fn handle_pubrec(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        ack: &PublishAck<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let is_accepted = !ack.reason.is_error();
        let receipt = session.flight.handle_pubrec(ack.packet_id, is_accepted);
        self.notes.note(key, session);
        let reason = match receipt {
            Ok(Receipt::Accepted) => {
                self.census.note(key, session);
                ReasonCode::Success
            }
            Ok(Receipt::Rejected) => return self.go_on(now, key),
            Err(_) if session.flight.contains(ack.packet_id) => {
                return self.handle_stray(now, connection, key, ack.packet_id);
            }
            Err(_) if ack.reason.is_error() => return,
            Err(_) => self.unknown_packet_id(),
        };
        self.send(
            connection,
            &Packet::PubRel(PublishAck::new(ack.packet_id, reason)),
        );
    }

    pub(super) fn handle_pubcomp(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        packet_id: PacketId,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if !session.flight.handle_pubcomp(packet_id) {
            return self.handle_stray(now, connection, key, packet_id);
        }
        self.go_on(now, key);
    }

    /// What is said of a Packet Identifier that is not in use, which need not be anybody's mistake.
    fn unknown_packet_id(&self) -> ReasonCode {
        if self.settings.is_terse {
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        }
    }

    /// An acknowledgement that was not waited for. Of something unknown it is a leftover of an earlier connection; of
    /// something that waits for another kind it is a mistake.
    fn handle_stray(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        packet_id: PacketId,
    ) {
        let session = self.sessions.get(key);
        if session.is_some_and(|session| session.flight.contains(packet_id)) {
            let what = CloseReason::Protocol("an acknowledgement of another kind than is due");
            self.close(now, connection, what, Some(ReasonCode::ProtocolError));
        }
    }

    pub(super) fn handle_pubrel(
        &mut self,
        now: Time,
        connection: ConnectionKey,
        key: SessionKey,
        packet_id: PacketId,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let released = session.unreleased.release(packet_id);
        self.notes.note_received(key, session, packet_id);
        let reason = match released {
            Released::PacketId => ReasonCode::Success,
            Released::Unknown => self.unknown_packet_id(),
            Released::Message(message) => {
                self.census.note(key, session);
                self.route_released(now, key, &message);
                ReasonCode::Success
            }
        };
        // [MQTT-4.3.3-11]; behind the message, should it go to its own publisher, as from Mosquitto.
        self.send(
            connection,
            &Packet::PubComp(PublishAck::new(packet_id, reason)),
        );
    }
}

/// Gives the message a Packet Identifier if its QoS needs one; `None` if none may be sent now.
fn take_into_flight(session: &mut Session, qos: Qos, kept: Option<Outgoing>) -> Option<Guarantee> {
    if qos == Qos::AtMostOnce {
        return Some(Guarantee::AtMostOnce);
    }
    let packet_id = session.flight.publish(qos, kept)?;
    Some(guarantee(qos, packet_id, false))
}

fn guarantee(qos: Qos, packet_id: PacketId, dup: bool) -> Guarantee {
    match qos {
        Qos::AtMostOnce => Guarantee::AtMostOnce,
        Qos::AtLeastOnce => Guarantee::AtLeastOnce { packet_id, dup },
        Qos::ExactlyOnce => Guarantee::ExactlyOnce { packet_id, dup },
    }
}
