//! A PUBLISH from the socket it came from to the out-buffers it goes to, and its acknowledgements.

use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::inflight::Resend;
use wigwag_proto::packet::{Delivery as Guarantee, Publish, PublishAck, Qos};
use wigwag_proto::transmit::SHARE_FROM;
use wigwag_proto::{Packet, PacketId, ReasonCode, Time, TopicName};

use super::{Claimed, ConnectionKey, Phase, Receiver, Shard};
use crate::delivery::{Authorised, Delivery};
use crate::event::{CloseReason, DropReason};
use crate::flight::Receipt;
use crate::message::{Forwarded, Message, MessageRef};
use crate::peer::Letter;
use crate::retained::Cursor;
use crate::routes::Target;
use crate::session::{Outgoing, Session, SessionKey};
use crate::share::Ready;
use crate::timers::Timer;
use crate::trace::{Traced, Way};

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
        // [MQTT-3.3.4-6]
        if publish
            .properties
            .subscription_identifiers()
            .next()
            .is_some()
        {
            let what =
                CloseReason::Protocol("a PUBLISH of a client with a Subscription Identifier");
            return self.close(now, key, what, Some(ReasonCode::ProtocolError));
        }
        match self.resolve_alias(key, publish) {
            Ok(None) => {
                let topic = publish
                    .topic
                    .expect("a PUBLISH has a Topic Name or an alias");
                self.publish_to(now, key, session, publish, topic);
            }
            Ok(Some(name)) => {
                let topic =
                    TopicName::new(&name).expect("it was a Topic Name when the alias was set");
                self.publish_to(now, key, session, publish, topic);
            }
            Err(error) => {
                let reason = error.reason_code();
                self.close(
                    now,
                    key,
                    CloseReason::Protocol("Topic Alias invalid"),
                    Some(reason),
                );
            }
        }
    }

    /// Sets the alias of a PUBLISH, or finds the name that it stands for.
    fn resolve_alias(
        &mut self,
        key: ConnectionKey,
        publish: &Publish<'_>,
    ) -> Result<Option<Box<str>>, wigwag_proto::alias::AliasError> {
        let Some(alias) = publish.properties.topic_alias() else {
            return Ok(None);
        };
        let Some(connection) = self.connections.get_mut(key) else {
            return Ok(None);
        };
        match publish.topic {
            Some(name) => connection.aliases.set(alias, name).map(|()| None),
            None => connection.aliases.name(alias).map(|name| Some(name.into())),
        }
    }

    fn publish_to(
        &mut self,
        now: Time,
        key: ConnectionKey,
        session_key: SessionKey,
        publish: &Publish<'_>,
        topic: TopicName<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(session_key) else {
            return;
        };
        if let Guarantee::ExactlyOnce { packet_id, .. } = publish.delivery {
            if session.inbound.contains(packet_id) {
                // [MQTT-4.3.3-10]
                return self.send(
                    key,
                    &Packet::PubRec(PublishAck::new(packet_id, ReasonCode::Success)),
                );
            }
            // [MQTT-3.3.4-7]; clients that overstep a little are common, and forgiven.
            if session.inbound.len() >= 2 * usize::from(self.settings.limits.receive_maximum) {
                let what = CloseReason::Quota(
                    "more unreleased QoS 2 messages than the Receive Maximum allows",
                );
                return self.close(now, key, what, Some(ReasonCode::ReceiveMaximumExceeded));
            }
        }
        let is_allowed = self.policy.may_publish(&session.identity, topic);
        if self.is_tracing {
            let traced = Traced::publish(publish, topic, !is_allowed);
            self.push_traced(key, Some(session_key), Way::Received, traced);
        }
        let reason = if is_allowed {
            let forwarded = Forwarded::new(publish.properties, now);
            let message = forwarded.publish(publish, topic);
            if is_claimed(topic, &self.settings.claimed_topics) {
                if let Some(session) = self.sessions.get(session_key) {
                    self.claimed.push_back(Claimed {
                        connection: key,
                        identity: session.identity.clone(),
                        message: message.to_message(),
                    });
                }
                ReasonCode::Success
            } else {
                let publisher = self.target(session_key);
                self.distribute(now, message, Some(publisher))
            }
        } else {
            self.stats.publish_denied += 1;
            ReasonCode::NotAuthorized
        };
        match publish.delivery {
            Guarantee::AtMostOnce => {}
            Guarantee::AtLeastOnce { packet_id, .. } => {
                self.send(key, &Packet::PubAck(PublishAck::new(packet_id, reason)));
            }
            Guarantee::ExactlyOnce { packet_id, .. } => {
                // [MQTT-4.3.3-9]: a refused identifier is free again.
                if !reason.is_error()
                    && let Some(session) = self.sessions.get_mut(session_key)
                {
                    session.inbound.receive(packet_id);
                }
                self.send(key, &Packet::PubRec(PublishAck::new(packet_id, reason)));
            }
        }
    }

    /// Retains the message if it asks for that, and gives it to everybody who wants it.
    pub(super) fn distribute(
        &mut self,
        now: Time,
        message: MessageRef<'_>,
        publisher: Option<Target>,
    ) -> ReasonCode {
        let mut carried = Carried::new(message);
        let retained = &self.node.retained;
        if message.retain && !retained.set(carried.share(), &self.settings.limits, now) {
            // Who can be told is told; what nobody can answer for still goes to those who listen.
            if message.qos > Qos::AtMostOnce {
                return ReasonCode::QuotaExceeded;
            }
        }
        let receivers = {
            let index = self.node.routes.snapshot();
            self.cache
                .receivers(&index, message.topic, self.id, publisher)
        };
        // Many out-buffers share one copy of what is too large to copy for each.
        if receivers.local.len() > 1 && message.payload.len() >= SHARE_FROM {
            carried.share();
        }
        self.writer.begin();
        for receiver in &receivers.local {
            let retain = message.retain && receiver.retain_as_published;
            self.deliver(now, &mut carried, receiver, retain);
        }
        for (shard, receivers) in &receivers.remote {
            let (message, receivers) = (Arc::clone(carried.share()), Arc::clone(receivers));
            self.post(*shard, Letter::Deliver { message, receivers });
        }
        for share in &receivers.shares {
            self.deliver_to_one(now, &mut carried, share, Ready::Away, Vec::new());
        }
        if receivers.is_empty() {
            self.stats.unwanted += 1;
            ReasonCode::NoMatchingSubscribers
        } else {
            ReasonCode::Success
        }
    }

    /// Delivers a message that another shard has routed here.
    pub(super) fn deliver_shared(
        &mut self,
        now: Time,
        message: &Arc<Message>,
        receiver: &Receiver,
    ) {
        let mut carried = Carried::of(message);
        if receiver.share.is_some() {
            return self.deliver_to_member(now, &mut carried, receiver, Vec::new());
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
            if let Some(departed) = self.departed.get_mut(&key)
                && !departed.backlog.push(carried.share(), receiver, limits)
            {
                self.events.dropped(DropReason::QueueFull);
            }
            return;
        };
        if let Some(backlog) = &mut session.local.arriving {
            if !backlog.push(carried.share(), receiver, limits) {
                self.events.dropped(DropReason::QueueFull);
            }
            return;
        }
        // [MQTT-3.8.4-8]
        let qos = receiver.qos.min(carried.view.qos);
        let connection = session
            .local
            .connection
            .and_then(|key| self.connections.get_mut(key));
        let waits = match (&connection, qos) {
            (None, Qos::AtMostOnce) => return,
            (None, _) => true,
            (Some(connection), Qos::AtMostOnce) => {
                if connection.out.len() > limits.out_buffer_max {
                    return self.events.dropped(DropReason::SlowConsumer);
                }
                false
            }
            (Some(connection), _) => {
                !session.queue.is_empty()
                    || !session.flight.has_room(limits)
                    || connection.out.len() > limits.out_buffer_max
            }
        };
        // What is not acknowledged is sent again, by this session or, if it was shared, to another.
        let may_return = session.is_persistent() || receiver.share.is_some();
        let keep = waits || (qos > Qos::AtMostOnce && may_return);
        let outgoing = keep.then(|| Outgoing {
            message: Arc::clone(carried.share()),
            qos,
            retain,
            identifiers: Arc::clone(&receiver.identifiers),
            share: receiver.share.clone(),
        });
        match (waits, outgoing) {
            (true, Some(outgoing)) => {
                if !session.queue.push(outgoing, limits) {
                    self.events.dropped(DropReason::QueueFull);
                }
            }
            (_, outgoing) => {
                let Some(connection) = session.local.connection else {
                    return;
                };
                let Some(guarantee) = take_into_flight(session, qos, outgoing) else {
                    return;
                };
                let delivery = Delivery {
                    message: carried.view,
                    shared: carried.shared.as_deref().map(Message::payload),
                    guarantee,
                    retain,
                    identifiers: &receiver.identifiers,
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
        let written =
            Authorised::check(delivery, &*self.policy, &session.identity).and_then(|delivery| {
                self.writer
                    .write(&delivery, connection.receiving, now, &mut connection.out)
            });
        match written {
            Ok(size) => {
                connection.out_packets += 1;
                let (qos, payload) = (delivery.guarantee.qos(), delivery.message.payload);
                self.stats.publish_sent(qos, size, payload.len());
                self.touch(connection_key);
                if self.is_tracing {
                    let traced = Traced::delivery(&delivery);
                    self.push_traced(connection_key, Some(key), Way::Sent, traced);
                }
            }
            Err(reason) => {
                self.events.dropped(reason);
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
                let may_return = session.is_persistent() || outgoing.share.is_some();
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
            identifiers: &outgoing.identifiers,
        };
        self.write(now, connection, key, delivery);
    }

    /// The session's connection, if it is online and its out-buffer has room.
    fn connection_with_room(&self, key: SessionKey) -> Option<ConnectionKey> {
        let connection_key = self.sessions.get(key)?.local.connection?;
        let connection = self.connections.get(connection_key)?;
        let online = matches!(connection.phase, Phase::Online(_));
        (online && connection.out.len() < ROOM).then_some(connection_key)
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
        if let Some(message) = step.found {
            self.deliver(now, &mut Carried::of(&message), &receiver, true);
        }
        Some(step.looked_at.max(1))
    }

    pub(super) fn handle_puback(&mut self, now: Time, key: SessionKey, packet_id: PacketId) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        // An acknowledgement of something unknown is a leftover of an earlier connection.
        if session.flight.handle_puback(packet_id) {
            self.send_waiting(now, key);
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
        let reason = match session
            .flight
            .handle_pubrec(ack.packet_id, !ack.reason.is_error())
        {
            Ok(Receipt::Accepted) => ReasonCode::Success,
            Ok(Receipt::Rejected) => return self.send_waiting(now, key),
            Err(_) if ack.reason.is_error() => return,
            Err(_) => ReasonCode::PacketIdentifierNotFound,
        };
        self.send(
            connection,
            &Packet::PubRel(PublishAck::new(ack.packet_id, reason)),
        );
    }

    pub(super) fn handle_pubcomp(&mut self, now: Time, key: SessionKey, packet_id: PacketId) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.flight.handle_pubcomp(packet_id) {
            self.send_waiting(now, key);
        }
    }

    pub(super) fn handle_pubrel(
        &mut self,
        connection: ConnectionKey,
        key: SessionKey,
        packet_id: PacketId,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let known = session.inbound.release(packet_id);
        let reason = if known {
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        };
        // [MQTT-4.3.3-11]
        self.send(
            connection,
            &Packet::PubComp(PublishAck::new(packet_id, reason)),
        );
    }
}

/// Whether the topic is the embedder's.
fn is_claimed(topic: TopicName<'_>, claims: &[Box<str>]) -> bool {
    topic.is_reserved()
        && claims
            .iter()
            .any(|prefix| topic.as_str().starts_with(&**prefix))
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
