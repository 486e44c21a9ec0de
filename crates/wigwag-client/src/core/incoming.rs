//! Packets on their way in: what each means for the session, and what the server gets told.

use std::collections::VecDeque;
use std::sync::Arc;

use wigwag_proto::codec::{Frame, decode, frame};
use wigwag_proto::inflight::Received;
use wigwag_proto::packet::{
    ConnAck, Delivery, Disconnect, Packet, PacketType, Publish, PublishAck, SubscribeAck,
};
use wigwag_proto::{
    DecodeError, DecodeLimits, PacketId, Properties, Qos, ReasonCode, Time, TopicName, Version,
};

use super::subscriptions::{Answered, FALLBACK, Key};
use super::{Core, Output, Phase, Queued};
use crate::message::Message;
use crate::state::{Event, OfflineReason};
use crate::{Granted, Outcome, SubscribeError, UnsubscribeError};

/// How many times the bound on waiting messages is the last one, where messages are dropped. Between
/// the two, the client goes on reading only because it waits for an acknowledgement.
const OVERRUN: usize = 16;

/// Acknowledgements that may wait to be written, so that a server that sends and never reads cannot fill the
/// memory. The Receive Maximum keeps a server of MQTT 5 far below it.
const ACKS_UNWRITTEN_MAX: usize = 256 * 1024;

/// Why the connection has to end, and what the server is told.
pub(super) struct Violation {
    code: ReasonCode,
    text: String,
}

impl Violation {
    pub(super) fn new(code: ReasonCode, text: impl Into<String>) -> Violation {
        Violation {
            code,
            text: text.into(),
        }
    }

    pub(super) fn unexpected(packet: PacketType) -> Violation {
        Violation::new(
            ReasonCode::ProtocolError,
            format!("{packet} was not expected"),
        )
    }
}

impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Violation {
        Violation::new(error.reason_code(), error.to_string())
    }
}

/// A CONNACK of two bytes: a server that does not know MQTT 5 refuses in the words that it knows.
pub(crate) fn is_refusal_of_3_x(found: Frame<'_>) -> bool {
    found.packet_type == PacketType::ConnAck && matches!(found.body, [_, code] if *code > 0)
}

impl<R> Core<R> {
    /// Bytes from the server. Returns how many have been used: whole packets. The rest belongs in front
    /// of what arrives next.
    pub(crate) fn handle_bytes(&mut self, now: Time, bytes: &[u8]) -> usize {
        self.keep_alive.handle_received(now);
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let skipped = self.skip.min(rest.len());
            self.skip -= skipped;
            used += skipped;
            let rest = rest.get(skipped..).unwrap_or_default();
            if !matches!(self.phase, Phase::Handshaking { .. } | Phase::Online { .. }) {
                // Nobody waits for it any more.
                return bytes.len();
            }
            if rest.is_empty() || self.skip > 0 || !self.is_receiving() {
                break;
            }
            match self.handle_front(now, rest) {
                Ok(0) => break,
                Ok(len) => used += len,
                Err(violation) => {
                    let reason = OfflineReason::Protocol {
                        reason: violation.code,
                        text: violation.text.into(),
                    };
                    self.close(now, reason, violation.code);
                    used = bytes.len();
                    break;
                }
            }
        }
        self.settle(now);
        used
    }

    /// The packet at the front of `bytes`; 0 if it has not arrived in full.
    fn handle_front(&mut self, now: Time, bytes: &[u8]) -> Result<usize, Violation> {
        let found = match frame(bytes, self.config.limits.packet_size_max) {
            Ok(found) => found,
            Err(DecodeError::PacketTooLarge { size, .. }) if self.may_skip(bytes) => {
                return self.handle_oversized(bytes, size);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(found) = found else {
            return Ok(0);
        };
        if self.acks_unwritten > ACKS_UNWRITTEN_MAX {
            return Err(Violation::new(
                ReasonCode::QuotaExceeded,
                format!("{ACKS_UNWRITTEN_MAX} acknowledgements wait for the server to read them"),
            ));
        }
        let len = found.len;
        self.handle_frame(now, found)?;
        Ok(len)
    }

    fn handle_frame(&mut self, now: Time, found: Frame<'_>) -> Result<(), Violation> {
        // The packet's size is bounded already, and with it everything inside.
        let is_handshaking = matches!(self.phase, Phase::Handshaking { .. });
        let version = if is_handshaking && is_refusal_of_3_x(found) {
            Version::V3_1_1
        } else {
            self.config.version
        };
        let packet = decode(found, version, &DecodeLimits::UNLIMITED)?;
        if is_handshaking {
            return match packet {
                Packet::ConnAck(connack) => self.handle_connack(now, &connack),
                Packet::Auth(auth) => self.handle_auth(&auth),
                other => Err(Violation::unexpected(other.packet_type())),
            };
        }
        match packet {
            Packet::Publish(publish) => self.handle_publish(&publish),
            Packet::PubAck(ack) => {
                self.handle_puback(&ack);
                Ok(())
            }
            Packet::PubRec(ack) => {
                self.handle_pubrec(&ack);
                Ok(())
            }
            Packet::PubRel(ack) => {
                self.handle_pubrel(ack.packet_id);
                Ok(())
            }
            Packet::PubComp(ack) => {
                if let Ok(queued) = self.inflight.handle_pubcomp(ack.packet_id) {
                    self.finish(queued, Outcome::Delivered);
                }
                Ok(())
            }
            Packet::SubAck(ack) => self.handle_suback(&ack),
            Packet::UnsubAck(ack) => self.handle_unsuback(&ack),
            Packet::PingResp => Ok(()),
            Packet::Disconnect(disconnect) if self.config.version.has_properties() => {
                self.handle_disconnect(now, &disconnect);
                Ok(())
            }
            Packet::Auth(auth) => self.handle_auth(&auth),
            other => Err(Violation::unexpected(other.packet_type())),
        }
    }

    fn handle_connack(&mut self, now: Time, connack: &ConnAck<'_>) -> Result<(), Violation> {
        // [MQTT-3.2.2-4]
        if connack.session_present && self.starts_clean() {
            return Err(Violation::new(
                ReasonCode::ProtocolError,
                "CONNACK says that there is a session after a clean start",
            ));
        }
        if connack.reason == ReasonCode::Success {
            self.handle_accepted(now, connack)?;
        } else {
            let properties = connack.properties;
            let reference = properties.server_reference();
            self.servers.follow(connack.reason, reference);
            if connack.reason == ReasonCode::UnsupportedProtocolVersion && self.may_fall_back() {
                self.config.version = Version::V3_1_1;
                self.servers.stay();
            } else if connack.reason == ReasonCode::UnsupportedProtocolVersion
                && self.says_bridge
                && !self.config.version.has_properties()
            {
                self.config.is_bridge = false;
                self.says_bridge = false;
                self.servers.stay();
            }
            let reason = OfflineReason::Refused {
                reason: connack.reason,
                text: reason_string(connack.properties),
            };
            self.fail(now, reason);
        }
        Ok(())
    }

    fn may_fall_back(&self) -> bool {
        self.config.fall_back_to_3_1_1 && self.config.version.has_properties() && !self.was_online
    }

    fn handle_disconnect(&mut self, now: Time, disconnect: &Disconnect<'_>) {
        let reference = disconnect.properties.server_reference();
        self.servers.follow(disconnect.reason, reference);
        let reason = OfflineReason::Disconnected {
            reason: disconnect.reason,
            text: reason_string(disconnect.properties),
        };
        self.fail(now, reason);
    }

    // Received messages.

    fn handle_publish(&mut self, publish: &Publish<'_>) -> Result<(), Violation> {
        let ack = match publish.delivery {
            Delivery::AtMostOnce => None,
            Delivery::AtLeastOnce { packet_id, .. } => Some((packet_id, Qos::AtLeastOnce)),
            Delivery::ExactlyOnce { packet_id, .. } => Some((packet_id, Qos::ExactlyOnce)),
        };
        let mut keys = std::mem::take(&mut self.matched);
        let topic = self.resolve_topic(publish, &mut keys);
        let result = topic.and_then(|topic| self.admit_publish(publish, topic, &mut keys, ack));
        keys.clear();
        self.matched = keys;
        result
    }

    fn admit_publish(
        &mut self,
        publish: &Publish<'_>,
        topic: Arc<str>,
        keys: &mut Vec<Key>,
        ack: Option<(PacketId, Qos)>,
    ) -> Result<(), Violation> {
        // [MQTT-4.3.3-10]
        if let Some((packet_id, Qos::ExactlyOnce)) = ack
            && !self.inbound.receive(packet_id)
        {
            self.arrivals.arrive_again(packet_id);
            return Ok(());
        }
        if self.arrivals.is_full(&self.config.limits, OVERRUN) {
            return self.overrun(topic, ack);
        }
        self.deliver(Message::new(topic, publish), keys, ack);
        Ok(())
    }

    /// The Topic Name that the packet has, or that its Topic Alias stands for, and in `keys` the
    /// subscriptions that the message is for.
    fn resolve_topic(
        &mut self,
        publish: &Publish<'_>,
        keys: &mut Vec<Key>,
    ) -> Result<Arc<str>, Violation> {
        let violation = |error: wigwag_proto::alias::AliasError| {
            Violation::new(error.reason_code(), error.to_string())
        };
        let topic = match (publish.topic, publish.properties.topic_alias()) {
            (Some(topic), None) => topic,
            (Some(topic), Some(alias)) => {
                self.aliases.set(alias, topic).map_err(violation)?;
                topic
            }
            (None, Some(alias)) => {
                let name = self.aliases.name(alias).map_err(violation)?;
                TopicName::new(name).map_err(DecodeError::from)?
            }
            (None, None) => return Err(DecodeError::TopicMissing.into()),
        };
        let identifiers = publish.properties.subscription_identifiers();
        Ok(self.subscriptions.matching(topic, identifiers, keys))
    }

    /// No room for another message. One of QoS 0 may be dropped; for the others the connection ends,
    /// and the server sends them again.
    fn overrun(&mut self, topic: Arc<str>, ack: Option<(PacketId, Qos)>) -> Result<(), Violation> {
        let Some((packet_id, qos)) = ack else {
            self.handle_dropped(topic);
            return Ok(());
        };
        let code = if self.exceeds_receive_maximum() {
            ReasonCode::ReceiveMaximumExceeded
        } else {
            ReasonCode::QuotaExceeded
        };
        if qos == Qos::ExactlyOnce {
            // It has not been taken over: sent again, it must count as new.
            self.inbound.release(packet_id);
        }
        Err(Violation::new(
            code,
            "messages arrive faster than their handlers finish",
        ))
    }

    /// Whether the server has sent more than it was allowed: messages of QoS 1 that have not been
    /// acknowledged, and of QoS 2 that have not been released. `[MQTT-3.3.4-9]`
    ///
    /// This alone does not end a connection as long as there is room. Mosquitto 2.0.11 sends too many
    /// when it resumes a session, and would do so again on the next connection.
    fn exceeds_receive_maximum(&self) -> bool {
        let unacknowledged = self.arrivals.unacknowledged(Qos::AtLeastOnce) + self.inbound.len();
        self.config.version.has_properties()
            && unacknowledged > usize::from(self.config.limits.receive_maximum)
    }

    /// Hands a message to the subscriptions that `keys` names.
    fn deliver(&mut self, message: Message, keys: &mut Vec<Key>, ack: Option<(PacketId, Qos)>) {
        let last = keys.pop().unwrap_or(FALLBACK);
        let token = self.arrivals.arrive(message.size(), keys.len() + 1, ack);
        for key in keys.drain(..) {
            let message = message.clone();
            self.push(Output::Deliver {
                key,
                message,
                token,
            });
        }
        self.push(Output::Deliver {
            key: last,
            message,
            token,
        });
    }

    fn handle_pubrel(&mut self, packet_id: PacketId) {
        let reason = if self.inbound.release(packet_id) {
            // Before the PUBCOMP: after it the identifier names another message.
            self.journal.release_received(packet_id);
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        };
        self.acks_unwritten += 1;
        self.send_stored(&Packet::PubComp(PublishAck::new(packet_id, reason)));
    }

    // Oversized messages of MQTT 3.x, whose servers cannot be told a Maximum Packet Size: ending the
    // connection would bring a retained message back for ever.

    fn may_skip(&self, bytes: &[u8]) -> bool {
        let is_publish = bytes.first().is_some_and(|byte| byte >> 4 == 3);
        is_publish
            && !self.config.version.has_properties()
            && matches!(self.phase, Phase::Online { .. })
    }

    /// Skips a message of `size` bytes as soon as its topic and Packet Identifier are there, and
    /// acknowledges it.
    fn handle_oversized(&mut self, bytes: &[u8], size: u64) -> Result<usize, Violation> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let packet = bytes.get(..size).unwrap_or(bytes);
        let Some(head) = OversizedHead::read(packet) else {
            if packet.len() == size {
                return Err(DecodeError::Truncated.into());
            }
            return Ok(0);
        };
        let name = std::str::from_utf8(head.topic).map_err(|_| DecodeError::Utf8)?;
        let topic = TopicName::new(name).map_err(DecodeError::from)?;
        match (head.qos, PacketId::new(head.packet_id)) {
            (0, _) => {}
            (1, Some(id)) => {
                self.arrivals.arrive(0, 0, Some((id, Qos::AtLeastOnce)));
            }
            (2, Some(id)) if self.inbound.receive(id) => {
                self.arrivals.arrive(0, 0, Some((id, Qos::ExactlyOnce)));
            }
            (2, Some(id)) => self.arrivals.arrive_again(id),
            _ => return Err(DecodeError::PacketIdZero.into()),
        }
        let topic = topic.as_str().into();
        self.push(Output::Event(Event::Oversized { topic, size }));
        self.skip = size.saturating_sub(head.len);
        Ok(head.len)
    }

    // Acknowledgements of our messages. One that nobody waits for is late, not wrong: the message may
    // have been given up with its session.

    fn handle_puback(&mut self, ack: &PublishAck<'_>) {
        if self.inflight.handle_announced(ack.packet_id).is_ok() {
            return;
        }
        if let Ok(queued) = self.inflight.handle_puback(ack.packet_id) {
            let outcome = if ack.reason.is_error() {
                Outcome::Rejected(ack.reason)
            } else {
                Outcome::Delivered
            };
            self.finish(queued, outcome);
        }
    }

    fn handle_pubrec(&mut self, ack: &PublishAck<'_>) {
        let accepted = !ack.reason.is_error();
        let reason = match self.inflight.handle_pubrec(ack.packet_id, accepted) {
            Ok(Received::Rejected(queued)) => {
                return self.finish(queued, Outcome::Rejected(ack.reason));
            }
            Ok(Received::Accepted(queued)) => {
                if let Some(serial) = queued.serial {
                    // Before the PUBREL: after it the PUBLISH must not be sent again.
                    self.journal.put_in_flight(serial, ack.packet_id, true);
                }
                ReasonCode::Success
            }
            Err(_) if !accepted => return,
            Err(_) => ReasonCode::PacketIdentifierNotFound,
        };
        self.acks_unwritten += 1;
        self.send_stored(&Packet::PubRel(PublishAck::new(ack.packet_id, reason)));
    }

    fn finish(&mut self, queued: Queued<R>, outcome: Outcome) {
        self.inflight_len -= 1;
        self.conclude(queued, Ok(outcome));
    }

    // Answers to our requests.

    fn handle_suback(&mut self, ack: &SubscribeAck<'_>) -> Result<(), Violation> {
        if self.inflight.handle_response(ack.packet_id).is_err() {
            return Err(Violation::unexpected(PacketType::SubAck));
        }
        let reason = one_reason(ack)?;
        let Some(Answered::Subscribe(key, filter)) =
            self.subscriptions.handle_answer(ack.packet_id)
        else {
            return Ok(());
        };
        let qos = Qos::from_u8(reason as u8);
        let result = match qos {
            Some(qos) => Ok(Granted { qos }),
            None => Err(SubscribeError::Rejected(reason)),
        };
        report_subscribed(&mut self.outputs, key, filter, result);
        Ok(())
    }

    fn handle_unsuback(&mut self, ack: &SubscribeAck<'_>) -> Result<(), Violation> {
        if self.inflight.handle_response(ack.packet_id).is_err() {
            return Err(Violation::unexpected(PacketType::UnsubAck));
        }
        let reason = if self.config.version == Version::V5 {
            one_reason(ack)?
        } else {
            ReasonCode::Success
        };
        if let Some(Answered::Unsubscribe(key)) = self.subscriptions.handle_answer(ack.packet_id) {
            let result = if reason.is_error() {
                Err(UnsubscribeError::Rejected(reason))
            } else {
                Ok(())
            };
            self.push(Output::Unsubscribed(key, result));
        }
        Ok(())
    }
}

/// Tells the caller of `subscribe` and whoever listens to events.
pub(super) fn report_subscribed<R>(
    outputs: &mut VecDeque<Output<R>>,
    key: Key,
    filter: Arc<str>,
    result: Result<Granted, SubscribeError>,
) {
    outputs.push_back(Output::Event(Event::Subscribed {
        filter,
        result: result.clone(),
    }));
    outputs.push_back(Output::Subscribed(key, result));
}

/// Every request of ours has one filter, so its answer has one code. `[MQTT-3.8.4-6]`
fn one_reason(ack: &SubscribeAck<'_>) -> Result<ReasonCode, Violation> {
    match ack.reasons.as_slice() {
        [reason] => Ok(*reason),
        reasons => Err(Violation::new(
            ReasonCode::ProtocolError,
            format!("{} Reason Codes answer one Topic Filter", reasons.len()),
        )),
    }
}

fn reason_string(properties: Properties<'_>) -> Option<Arc<str>> {
    properties.reason_string().map(Arc::from)
}

/// What must be known of a PUBLISH of MQTT 3.x to skip the rest of it.
struct OversizedHead<'a> {
    topic: &'a [u8],
    qos: u8,
    packet_id: u16,
    /// Bytes up to the payload.
    len: usize,
}

impl<'a> OversizedHead<'a> {
    /// `None` when it has not arrived in full.
    fn read(bytes: &'a [u8]) -> Option<OversizedHead<'a>> {
        let (first, rest) = bytes.split_first()?;
        let length_len = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let (topic_len, rest) = rest.get(length_len..)?.split_first_chunk()?;
        let topic_len = usize::from(u16::from_be_bytes(*topic_len));
        let (topic, rest) = rest.split_at_checked(topic_len)?;
        let qos = first >> 1 & 0b11;
        let (packet_id, packet_id_len) = match qos {
            0 => (0, 0),
            _ => (u16::from_be_bytes(*rest.first_chunk()?), 2),
        };
        Some(OversizedHead {
            topic,
            qos,
            packet_id,
            len: 1 + length_len + 2 + topic_len + packet_id_len,
        })
    }
}
