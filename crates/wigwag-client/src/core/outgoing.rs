//! Packets on their way out: the CONNECT, the outgoing queue, acknowledgements and requests.

use std::time::Duration;

use wigwag_proto::codec::{encode, encode_publish_head};
use wigwag_proto::inflight::Resend;
use wigwag_proto::packet::{
    Connect, Delivery, Disconnect, Packet, Publish, PublishAck, Subscribe, Subscription,
    Unsubscribe, Will,
};
use wigwag_proto::{
    OutBuf, PacketId, PropertiesBuf, Property, Qos, ReasonCode, Time, TopicFilter, TopicName,
    Version,
};

use super::alias::{OutboundAliases, TopicForm};
use super::authentication::push_properties;
use super::subscriptions::{Request, Wanted};
use super::{Core, Output, PACKET_SIZE_MAX, ServerOffer};
use crate::connect::DisconnectPacket;
use crate::message::Outgoing;
use crate::state::OfflineReason;
use crate::{Indeterminate, Outcome, PublishError, SubscribeError, UnsubscribeError};

/// Bytes that may wait to be written before the outgoing queue holds its messages back. The queue is
/// the one place where messages are counted.
pub(crate) const HIGH_WATER: usize = 64 * 1024;

/// Bytes by which a Topic Alias can make a packet longer: the property, and a length that takes one more
/// byte, twice.
const ALIAS_LEN: usize = 5;

/// A message in the outgoing queue or in flight, and what its sender wants back.
pub(super) struct Queued<R> {
    since: Time,
    /// Time in the queue of an earlier process.
    pub(super) waited: Duration,
    pub(super) message: Outgoing,
    pub(super) receipt: R,
    /// Names the message in the journal and for its receipt.
    pub(super) serial: Option<u64>,
    /// Somebody may ask for the outcome, perhaps after a restart.
    pub(super) has_receipt: bool,
}

impl<R> Queued<R> {
    pub(super) const fn new(since: Time, message: Outgoing, receipt: R) -> Queued<R> {
        Queued {
            since,
            waited: Duration::ZERO,
            message,
            receipt,
            serial: None,
            has_receipt: false,
        }
    }

    fn age(&self, now: Time) -> Duration {
        self.waited.saturating_add(now - self.since)
    }

    /// Seconds that the message may still be delivered; `Some(0)` when its time is over.
    pub(super) fn expiry_left_secs(&self, now: Time) -> Option<u32> {
        let waited = u32::try_from(self.age(now).as_secs()).unwrap_or(u32::MAX);
        let expiry = self.message.message_expiry_secs?;
        Some(expiry.saturating_sub(waited))
    }
}

impl<R> Core<R> {
    /// Fails if a hook has put something into the CONNECT that does not fit.
    pub(super) fn send_connect(&mut self) -> Result<(), wigwag_proto::codec::EncodeError> {
        let config = &self.config;
        let limits = &config.limits;
        let version = config.version;
        let mut properties = PropertiesBuf::new();
        if version.has_properties() {
            if limits.topic_alias_maximum > 0 {
                properties.push(Property::TopicAliasMaximum(limits.topic_alias_maximum))?;
            }
            if config.session_expiry_secs > 0 {
                properties.push(Property::SessionExpiryInterval(config.session_expiry_secs))?;
            }
            properties.push(Property::ReceiveMaximum(limits.receive_maximum))?;
            // Larger packets do not exist.
            if limits.packet_size_max < PACKET_SIZE_MAX {
                properties.push(Property::MaximumPacketSize(limits.packet_size_max))?;
            }
            for (name, value) in &self.connect.user_properties {
                properties.push(Property::UserProperty((name, value)))?;
            }
            if let Some(words) = &self.connect.authentication {
                push_properties(&mut properties, &words.method, words.data.as_ref())?;
            }
        }
        let will_properties = match &config.will {
            Some(will) => will.properties()?,
            None => PropertiesBuf::new(),
        };
        let connect = Connect {
            version,
            is_bridge: self.says_bridge,
            client_id: &self.client_id,
            clean_start: self.starts_clean(),
            keep_alive_secs: config.keep_alive_secs,
            properties: properties.as_properties(),
            will: config.will.as_ref().and_then(|will| {
                Some(Will {
                    topic: TopicName::new(&will.topic).ok()?,
                    payload: &will.payload,
                    qos: will.qos,
                    retain: will.retain,
                    properties: will_properties.as_properties(),
                })
            }),
            user_name: self.connect.user_name.as_deref(),
            // [MQTT-3.1.2-22] of 3.1.1
            password: (self.connect.password.as_deref())
                .filter(|_| version.has_properties() || self.connect.user_name.is_some()),
        };
        self.out
            .append(|out| encode(&Packet::Connect(connect), version, out))
    }

    /// Whether the CONNECT of this connection throws the session away. In MQTT 3.x the flag is also the
    /// lifetime of the session, which stays what it is.
    pub(super) fn starts_clean(&self) -> bool {
        let config = &self.config;
        config.clean_start && !(config.version.has_properties() && self.was_online)
    }

    /// Tells the server why the connection ends, in the user's words if it is the user who ends it.
    pub(super) fn send_disconnect(&mut self, reason: &OfflineReason, code: ReasonCode) {
        let edit = (self.config.edit_disconnect.clone())
            .filter(|_| *reason == OfflineReason::Stopped && self.config.version.has_properties());
        let Some(edit) = edit else {
            return self.send(&Packet::Disconnect(Disconnect::new(code)));
        };
        let mut words = DisconnectPacket::default();
        edit(&mut words);
        match words.properties(self.config.session_expiry_secs > 0) {
            // [MQTT-3.14.2-3] [MQTT-3.14.2-4]
            Ok(properties)
                if disconnect_size(&properties) > self.server.packet_size_max as usize =>
            {
                let max = self.server.packet_size_max;
                tracing::warn!(
                    max,
                    "the DISCONNECT leaves without properties: the server accepts no larger one"
                );
                self.send(&Packet::Disconnect(Disconnect::new(words.reason)));
            }
            Ok(properties) => self.send(&Packet::Disconnect(Disconnect {
                reason: words.reason,
                properties: properties.as_properties(),
            })),
            Err(error) => {
                tracing::error!(%error, "the DISCONNECT cannot be encoded as it has been edited");
                self.send(&Packet::Disconnect(Disconnect::new(code)));
            }
        }
    }

    /// Appends a packet of ours that has no fields that could be too long.
    pub(super) fn send(&mut self, packet: &Packet<'_>) {
        let version = self.config.version;
        if let Err(error) = self.out.append(|out| encode(packet, version, out)) {
            tracing::error!(%error, packet = %packet.packet_type(), "a packet cannot be encoded");
        }
    }

    /// [`Core::send`], for what must not leave before the changes behind it are stored.
    pub(super) fn send_stored(&mut self, packet: &Packet<'_>) {
        let version = self.config.version;
        let out = self.out.end_behind(self.journal.barrier());
        if let Err(error) = out.append(|out| encode(packet, version, out)) {
            tracing::error!(%error, packet = %packet.packet_type(), "a packet cannot be encoded");
        }
    }

    /// [`Core::send`], without a wait for what waits for the store.
    pub(super) fn send_at_once(&mut self, packet: &Packet<'_>) {
        let version = self.config.version;
        let out = self.out.ready();
        if let Err(error) = out.append(|out| encode(packet, version, out)) {
            tracing::error!(%error, packet = %packet.packet_type(), "a packet cannot be encoded");
        }
    }

    /// Sends whatever may be sent: acknowledgements, requests, what the last connection left, messages.
    pub(super) fn fill(&mut self, now: Time) {
        if self.out.len() < HIGH_WATER {
            self.acks_unwritten = 0;
        }
        self.send_acks();
        self.send_requests();
        self.resend(now);
        self.send_queued(now);
    }

    /// Says what is to be said first on a connection.
    pub(super) fn send_birth(&mut self) {
        let Some(mut birth) = self.config.birth.clone() else {
            return;
        };
        let (version, server) = (self.config.version, &self.server);
        birth.qos = birth.qos.min(Qos::AtLeastOnce).min(server.qos_max);
        birth.retain &= server.retain_available;
        if let Some(error) = server.refusal(&birth, version) {
            return tracing::warn!(%error, "the birth message is not sent");
        }
        let delivery = match birth.qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            _ => match self.inflight.announce() {
                Some(packet_id) => delivery(birth.qos, packet_id, false),
                // All Packet Identifiers are in use.
                None => return,
            },
        };
        let expiry = birth.message_expiry_secs;
        let sent = append_publish(
            self.out.end(),
            version,
            &birth,
            delivery,
            expiry,
            TopicForm::Name,
        );
        if let Err(error) = sent {
            tracing::error!(%error, "the birth message cannot be encoded");
        }
    }

    fn send_acks(&mut self) {
        while let Some((packet_id, qos, reason)) = self.arrivals.poll_ack() {
            // An acknowledgement of MQTT 3.x has no room for a reason.
            let reason = if self.config.version.has_properties() {
                reason
            } else {
                ReasonCode::Success
            };
            if qos == Qos::ExactlyOnce && reason.is_error() {
                // The server may use the identifier again at once: no PUBREL follows. [MQTT-4.3.3-9]
                self.inbound.release(packet_id);
            }
            let ack = PublishAck::new(packet_id, reason);
            self.acks_unwritten += 1;
            if qos == Qos::ExactlyOnce {
                if !reason.is_error() {
                    self.journal.put_received(packet_id);
                }
                self.send_stored(&Packet::PubRec(ack));
            } else {
                self.send(&Packet::PubAck(ack));
            }
        }
    }

    fn resend(&mut self, now: Time) {
        let version = self.config.version;
        while self.out.len() < HIGH_WATER {
            let sent = match self.inflight.poll_resend() {
                None => return,
                Some(Resend::Publish {
                    packet_id, message, ..
                }) if self.server.refusal(&message.message, version).is_some() => {
                    self.give_up(packet_id);
                    continue;
                }
                Some(Resend::Publish {
                    packet_id,
                    qos,
                    message,
                }) => {
                    let delivery = delivery(qos, packet_id, true);
                    // One second is left to what has expired: the server may own it already.
                    let expiry = message.expiry_left_secs(now).map(|left| left.max(1));
                    let aliases = &mut self.outbound_aliases;
                    let form = topic_form(aliases, &self.server, version, &message.message);
                    let out = self.out.end_behind(self.journal.barrier());
                    append_publish(out, version, &message.message, delivery, expiry, form)
                }
                Some(Resend::Release(packet_id)) => {
                    let ack = PublishAck::new(packet_id, ReasonCode::Success);
                    (self.out.end_behind(self.journal.barrier()))
                        .append(|out| encode(&Packet::PubRel(ack), version, out))
                        .map_err(PublishError::from)
                }
            };
            if let Err(error) = sent {
                // What has been encoded once can be encoded again.
                tracing::error!(%error, "a packet in flight cannot be encoded");
            }
        }
    }

    /// Gives up a message that an earlier connection has carried and this one must not.
    fn give_up(&mut self, packet_id: PacketId) {
        if let Some(queued) = self.take_back(packet_id) {
            let unknown = Outcome::Indeterminate(Indeterminate::ServerLimits);
            self.conclude(queued, Ok(unknown));
        }
    }

    fn send_requests(&mut self) {
        let server = &self.server;
        let refuse = |own: &Wanted| {
            let filter = TopicFilter::new(&own.filter).ok()?;
            if filter.share().is_some() && !server.shared {
                Some(ReasonCode::SharedSubscriptionsNotSupported)
            } else if filter.has_wildcard() && !server.wildcards {
                Some(ReasonCode::WildcardSubscriptionsNotSupported)
            } else if subscribe_size(own, server) > server.packet_size_max as usize {
                // [MQTT-3.2.2-15]
                Some(ReasonCode::PacketTooLarge)
            } else {
                None
            }
        };
        while let Some((key, filter, reason)) = self.subscriptions.poll_refused(refuse) {
            let result = Err(SubscribeError::Rejected(reason));
            super::incoming::report_subscribed(&mut self.outputs, key, filter, result);
        }
        let max = server.packet_size_max;
        let refuse = |filter: &str| {
            let size = unsubscribe_size(filter);
            // [MQTT-3.2.2-15]
            (size > max as usize).then_some(UnsubscribeError::PacketTooLarge { size, max })
        };
        while let Some((key, error)) = self.subscriptions.poll_refused_removal(refuse) {
            (self.outputs).push_back(Output::Unsubscribed(key, Err(error)));
        }
        while let Some((packet_id, request)) =
            self.subscriptions.poll_request(|| self.inflight.request())
        {
            self.send_request(packet_id, &request);
        }
    }

    fn send_request(&mut self, packet_id: PacketId, request: &Request) {
        let mut properties = PropertiesBuf::new();
        match request {
            Request::Subscribe {
                filter,
                options,
                identifier,
            } => {
                let Ok(filter) = TopicFilter::new(filter) else {
                    return;
                };
                if self.server.identifiers {
                    let identifier = Property::SubscriptionIdentifier(*identifier);
                    let pushed = properties.push(identifier);
                    debug_assert!(pushed.is_ok(), "the identifier is in its range");
                }
                let subscription = Subscription {
                    filter,
                    options: *options,
                };
                self.send(&Packet::Subscribe(Subscribe {
                    packet_id,
                    properties: properties.as_properties(),
                    subscriptions: vec![subscription],
                }));
            }
            Request::Unsubscribe(filter) => {
                let Ok(filter) = TopicFilter::new(filter) else {
                    return;
                };
                self.send(&Packet::Unsubscribe(Unsubscribe {
                    packet_id,
                    properties: properties.as_properties(),
                    filters: vec![filter],
                }));
            }
        }
    }

    /// Messages leave in the order in which they came, whatever their QoS.
    fn send_queued(&mut self, now: Time) {
        while self.out.len() < HIGH_WATER
            && let Some(head) = self.queue.front()
            && head.serial.is_none_or(|serial| self.journal.has(serial))
            && (head.message.qos == Qos::AtMostOnce || self.inflight.has_quota())
            && let Some(queued) = self.queue.pop_front()
        {
            if let Some(error) = self.refusal(&queued, now) {
                self.conclude(queued, Err(error));
            } else if queued.message.qos == Qos::AtMostOnce {
                self.send_qos0(queued, now);
            } else {
                self.send_acknowledged(queued, now);
            }
        }
    }

    /// Why the message cannot be sent on this connection.
    fn refusal(&self, queued: &Queued<R>, now: Time) -> Option<PublishError> {
        let message = &queued.message;
        if queued.expiry_left_secs(now) == Some(0) && message.message_expiry_secs != Some(0) {
            return Some(PublishError::Expired(queued.age(now)));
        }
        self.server.refusal(message, self.config.version)
    }

    fn send_qos0(&mut self, queued: Queued<R>, now: Time) {
        let version = self.config.version;
        let aliases = &mut self.outbound_aliases;
        let form = topic_form(aliases, &self.server, version, &queued.message);
        let result = append_publish(
            self.out.end(),
            version,
            &queued.message,
            Delivery::AtMostOnce,
            queued.expiry_left_secs(now),
            form,
        );
        let result = result.map(|()| Outcome::Delivered);
        self.conclude(queued, result);
    }

    fn send_acknowledged(&mut self, queued: Queued<R>, now: Time) {
        let qos = queued.message.qos;
        let packet_id = match self.inflight.publish(qos, queued) {
            Ok(packet_id) => packet_id,
            // There was quota a moment ago; if not, the message keeps its place.
            Err(queued) => return self.queue.push_front(queued),
        };
        self.inflight_len += 1;
        let Some(queued) = self.inflight.message(packet_id) else {
            return;
        };
        if let Some(serial) = queued.serial {
            self.journal.put_in_flight(serial, packet_id, false);
        }
        // At QoS 1 a crash before the identifier is stored costs a repetition, which QoS 1 may: only QoS 2
        // waits for it.
        let out = match qos {
            Qos::ExactlyOnce => self.out.end_behind(self.journal.barrier()),
            Qos::AtLeastOnce | Qos::AtMostOnce => self.out.end(),
        };
        let version = self.config.version;
        let aliases = &mut self.outbound_aliases;
        let form = topic_form(aliases, &self.server, version, &queued.message);
        let sent = append_publish(
            out,
            version,
            &queued.message,
            delivery(qos, packet_id, false),
            queued.expiry_left_secs(now),
            form,
        );
        if let Err(error) = sent
            && let Some(queued) = self.take_back(packet_id)
        {
            self.conclude(queued, Err(error));
        }
    }

    /// Takes a message that is not to be sent on this connection out of flight.
    fn take_back(&mut self, packet_id: PacketId) -> Option<Queued<R>> {
        let queued = self.inflight.cancel(packet_id)?;
        self.inflight_len -= 1;
        Some(queued)
    }
}

impl ServerOffer {
    /// Why the server may not be sent the message. `[MQTT-3.2.2-11]` `[MQTT-3.2.2-14]` `[MQTT-3.2.2-15]`
    fn refusal(&self, message: &Outgoing, version: Version) -> Option<PublishError> {
        if message.qos > self.qos_max {
            let max = self.qos_max;
            return Some(PublishError::QosNotSupported { max });
        }
        if message.retain && !self.retain_available {
            return Some(PublishError::RetainNotAvailable);
        }
        let (size, max) = (packet_len(message, version), self.packet_size_max);
        (size > max as usize).then_some(PublishError::PacketTooLarge { size, max })
    }
}

/// Bytes of a SUBSCRIBE with this filter, in a version that knows a Maximum Packet Size.
fn subscribe_size(own: &Wanted, server: &ServerOffer) -> usize {
    let properties = if server.identifiers {
        1 + var_int_len(own.identifier as usize)
    } else {
        0
    };
    // Packet Identifier, property length, and the filter with its length and options.
    let remaining = 2 + 1 + properties + 2 + own.filter.len() + 1;
    1 + var_int_len(remaining) + remaining
}

/// Bytes of an UNSUBSCRIBE with this filter, in a version that knows a Maximum Packet Size.
const fn unsubscribe_size(filter: &str) -> usize {
    // Packet Identifier, property length, and the filter with its length.
    let remaining = 2 + 1 + 2 + filter.len();
    1 + var_int_len(remaining) + remaining
}

/// Bytes of a DISCONNECT with these properties.
fn disconnect_size(properties: &PropertiesBuf) -> usize {
    let len = properties.as_properties().as_bytes().len();
    let remaining = 1 + var_int_len(len) + len;
    1 + var_int_len(remaining) + remaining
}

fn delivery(qos: Qos, packet_id: PacketId, dup: bool) -> Delivery {
    match qos {
        Qos::AtMostOnce => Delivery::AtMostOnce,
        Qos::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
        Qos::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
    }
}

/// How to tell the server the topic of the message.
fn topic_form(
    aliases: &mut OutboundAliases,
    server: &ServerOffer,
    version: Version,
    message: &Outgoing,
) -> TopicForm {
    // The property makes the packet that introduces an alias longer.
    if server.topic_alias_maximum == 0
        || packet_len(message, version) + ALIAS_LEN > server.packet_size_max as usize
    {
        return TopicForm::Name;
    }
    aliases.choose(&message.topic)
}

/// Appends the PUBLISH; a large payload is shared, not copied.
fn append_publish(
    out: &mut OutBuf,
    version: Version,
    message: &Outgoing,
    delivery: Delivery,
    expiry_secs: Option<u32>,
    form: TopicForm,
) -> Result<(), PublishError> {
    let expiry = expiry_secs.map(Property::MessageExpiryInterval);
    let alias = match form {
        TopicForm::Name => None,
        TopicForm::NameAndAlias(alias) | TopicForm::Alias(alias) => {
            Some(Property::TopicAlias(alias))
        }
    };
    let mut extended = None;
    for property in expiry.into_iter().chain(alias) {
        extended
            .get_or_insert_with(|| message.properties.clone())
            .push(property)?;
    }
    let properties = extended.as_ref().unwrap_or(&message.properties);
    let topic = match form {
        TopicForm::Alias(_) => None,
        TopicForm::Name | TopicForm::NameAndAlias(_) => Some(TopicName::new(&message.topic)?),
    };
    let publish = Publish {
        delivery,
        retain: message.retain,
        topic,
        properties: properties.as_properties(),
        payload: &message.payload,
    };
    out.append(|out| encode_publish_head(&publish, version, out))?;
    out.share(&message.payload);
    Ok(())
}

/// Bytes of the PUBLISH that carries the message.
fn packet_len(message: &Outgoing, version: Version) -> usize {
    let mut len = 2 + message.topic.len() + message.payload.len();
    if message.qos > Qos::AtMostOnce {
        len += 2;
    }
    if version.has_properties() {
        let expiry_len = if message.message_expiry_secs.is_some() {
            5
        } else {
            0
        };
        let properties_len = message.properties.as_properties().as_bytes().len() + expiry_len;
        len += var_int_len(properties_len) + properties_len;
    }
    1 + var_int_len(len) + len
}

const fn var_int_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}
