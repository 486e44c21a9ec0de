//! Messages of QoS 2 that have been received and not yet released: the receiver's half of a session.

use std::collections::BTreeSet;

use crate::packet::PacketId;

/// The Packet Identifiers between PUBREC and PUBREL.
#[derive(Clone, Debug, Default)]
pub struct Inbound {
    unreleased: BTreeSet<PacketId>,
}

impl Inbound {
    /// Nothing received yet.
    pub const fn new() -> Inbound {
        Inbound {
            unreleased: BTreeSet::new(),
        }
    }

    /// A PUBLISH of QoS 2: true if it is new, false if it repeats one that has not been released and
    /// must not be delivered again. `[MQTT-4.3.3-10]`
    pub fn receive(&mut self, packet_id: PacketId) -> bool {
        self.unreleased.insert(packet_id)
    }

    /// Whether the identifier waits for its PUBREL.
    pub fn contains(&self, packet_id: PacketId) -> bool {
        self.unreleased.contains(&packet_id)
    }

    /// A PUBREL: true if the identifier was waiting for it. After this it names a new message.
    /// `[MQTT-4.3.3-12]`
    pub fn release(&mut self, packet_id: PacketId) -> bool {
        self.unreleased.remove(&packet_id)
    }

    /// Those that wait for their PUBREL, from the lowest to the highest.
    pub fn iter(&self) -> impl Iterator<Item = PacketId> {
        self.unreleased.iter().copied()
    }

    /// How many wait for their PUBREL; they count against one's own Receive Maximum.
    pub fn len(&self) -> usize {
        self.unreleased.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.unreleased.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_publish_is_recognised_until_it_is_released() {
        let mut inbound = Inbound::new();
        let id = PacketId::MIN;
        assert!(inbound.receive(id));
        assert!(!inbound.receive(id));
        assert!(inbound.release(id));
        assert!(!inbound.release(id));
        assert!(inbound.receive(id));
    }
}
