//! What one client has sent at QoS 2 and not released: its Packet Identifiers, and the messages of those that
//! are routed only when PUBREL comes.
//!
//! A message that was routed with its PUBLISH leaves its identifier alone here, and costs no more than that.

use std::collections::BTreeMap;
use std::sync::Arc;

use wigwag_proto::PacketId;
use wigwag_proto::inbound::Inbound;

use crate::message::{Message, MessageRef};

/// The receiver's half of a session.
#[derive(Debug, Default)]
pub(crate) struct Unreleased {
    packet_ids: Inbound,
    /// Of some of them.
    messages: BTreeMap<PacketId, Arc<Message>>,
    bytes: usize,
    payload_bytes: usize,
}

/// What a PUBREL releases.
#[derive(Debug)]
pub(crate) enum Released {
    /// Nothing.
    Unknown,
    /// The identifier; its message was routed before.
    PacketId,
    /// A message that is to be routed now.
    Message(Arc<Message>),
}

impl Unreleased {
    /// A message that was routed: only its identifier is remembered.
    pub(crate) fn receive(&mut self, packet_id: PacketId) {
        self.packet_ids.receive(packet_id);
    }

    /// A message that waits for its PUBREL, under an identifier that is free.
    pub(crate) fn hold(&mut self, packet_id: PacketId, message: Arc<Message>) {
        if self.packet_ids.receive(packet_id) {
            self.bytes += message.size();
            self.payload_bytes += message.payload().len();
            self.messages.insert(packet_id, message);
        }
    }

    /// The identifier is free again.
    pub(crate) fn release(&mut self, packet_id: PacketId) -> Released {
        if !self.packet_ids.release(packet_id) {
            return Released::Unknown;
        }
        let Some(message) = self.messages.remove(&packet_id) else {
            return Released::PacketId;
        };
        self.bytes -= message.size();
        self.payload_bytes -= message.payload().len();
        Released::Message(message)
    }

    /// Whether the identifier waits for its PUBREL.
    pub(crate) fn contains(&self, packet_id: PacketId) -> bool {
        self.packet_ids.contains(packet_id)
    }

    /// Whether another message than this one waits under the identifier.
    pub(crate) fn holds_another(&self, packet_id: PacketId, message: &MessageRef<'_>) -> bool {
        self.message(packet_id).is_some_and(|held| {
            let held = held.view();
            held.topic != message.topic || held.payload != message.payload
        })
    }

    /// The message that waits under the identifier.
    pub(crate) fn message(&self, packet_id: PacketId) -> Option<&Arc<Message>> {
        self.messages.get(&packet_id)
    }

    /// Takes out all messages, by their identifiers; these wait on.
    pub(crate) fn take_messages(&mut self) -> BTreeMap<PacketId, Arc<Message>> {
        (self.bytes, self.payload_bytes) = (0, 0);
        std::mem::take(&mut self.messages)
    }

    /// All messages that wait.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.messages.values()
    }

    /// All identifiers, from the lowest to the highest.
    pub(crate) fn packet_ids(&self) -> impl Iterator<Item = PacketId> {
        self.packet_ids.iter()
    }

    /// How many identifiers there are.
    pub(crate) fn len(&self) -> usize {
        self.packet_ids.len()
    }

    /// How many messages wait.
    pub(crate) fn held(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of the messages that wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of their payloads alone.
    pub(crate) const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }
}

#[cfg(test)]
mod tests {
    use wigwag_proto::{Properties, Qos, TopicName};

    use super::*;

    fn message(payload: &[u8]) -> MessageRef<'_> {
        MessageRef {
            topic: TopicName::new("t").expect("valid"),
            qos: Qos::ExactlyOnce,
            retain: false,
            properties: Properties::EMPTY,
            payload,
            expires_at: None,
        }
    }

    #[test]
    fn bytes_are_those_of_the_messages_that_wait() {
        let mut unreleased = Unreleased::default();
        let ids = [1, 2, 3].map(|id| PacketId::new(id).expect("not zero"));
        unreleased.receive(ids[0]);
        unreleased.hold(ids[1], message(b"four").to_message());
        unreleased.hold(ids[2], message(b"seven..").to_message());
        assert_eq!((unreleased.len(), unreleased.held()), (3, 2));
        assert_eq!((unreleased.bytes(), unreleased.payload_bytes()), (13, 11));
        assert!(matches!(unreleased.release(ids[0]), Released::PacketId));
        assert!(matches!(unreleased.release(ids[0]), Released::Unknown));
        assert!(matches!(unreleased.release(ids[1]), Released::Message(_)));
        assert_eq!((unreleased.bytes(), unreleased.payload_bytes()), (8, 7));
        assert!(matches!(unreleased.release(ids[2]), Released::Message(_)));
        assert_eq!((unreleased.bytes(), unreleased.payload_bytes()), (0, 0));
    }

    #[test]
    fn a_message_is_another_if_its_topic_or_payload_is() {
        let mut unreleased = Unreleased::default();
        let id = PacketId::MIN;
        unreleased.receive(id);
        let different = |unreleased: &Unreleased| unreleased.holds_another(id, &message(b"y"));
        assert!(!different(&unreleased), "nobody knows what it was");
        let _ = unreleased.release(id);
        unreleased.hold(id, message(b"x").to_message());
        assert!(different(&unreleased));
        assert!(!unreleased.holds_another(id, &message(b"x")));
    }
}
