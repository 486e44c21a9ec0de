//! What has been sent to one session and not been acknowledged, and the bytes that are kept for sending it
//! again.

use std::collections::BTreeSet;

use wigwag_proto::inflight::{Inflight, Received, Resend, Standing, UnknownPacketId};
use wigwag_proto::{PacketId, Qos};

use crate::limits::Limits;
use crate::session::Outgoing;

/// A session that ends with its connection sends nothing again, so it has `None` for each message.
type Kept = Option<Outgoing>;

/// The in-flight table of a session.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    table: Inflight<Kept>,
    bytes: usize,
    payload_bytes: usize,
    /// Packet Identifiers whose records are stale, if there are records of them.
    stale: Option<BTreeSet<PacketId>>,
}

/// What a PUBREC means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// The client owns the message; send PUBREL.
    Accepted,
    /// The client refused it; its place is free.
    Rejected,
}

impl Flight {
    /// Messages that have not been acknowledged in full.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes of the messages that are kept for sending them again.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the payloads alone.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Whether a message is in flight under this identifier.
    pub(crate) fn contains(&self, packet_id: PacketId) -> bool {
        self.table.message(packet_id).is_some()
    }

    /// Whether another message may be sent now.
    pub(crate) fn has_room(&self, limits: &Limits) -> bool {
        self.bytes < limits.inflight_bytes_max && self.table.has_quota()
    }

    /// Takes a message of QoS 1 or 2 into flight; `None` if the client's Receive Maximum is used up.
    pub(crate) fn publish(&mut self, qos: Qos, kept: Kept) -> Option<PacketId> {
        let bytes = size(kept.as_ref());
        let payload_bytes = payload_size(kept.as_ref());
        let packet_id = self.table.publish(qos, kept).ok()?;
        self.bytes += bytes;
        self.payload_bytes += payload_bytes;
        self.note(packet_id);
        Some(packet_id)
    }

    /// Whether the PUBACK was one that is waited for.
    pub(crate) fn handle_puback(&mut self, packet_id: PacketId) -> bool {
        let done = self.table.handle_puback(packet_id);
        self.note(packet_id);
        done.map(|kept| self.forget(kept)).is_ok()
    }

    /// After this only the identifier of an accepted message is still needed.
    pub(crate) fn handle_pubrec(
        &mut self,
        packet_id: PacketId,
        accepted: bool,
    ) -> Result<Receipt, UnknownPacketId> {
        let (kept, receipt) = match self.table.handle_pubrec(packet_id, accepted)? {
            Received::Accepted(kept) => (kept.take(), Receipt::Accepted),
            Received::Rejected(kept) => (kept, Receipt::Rejected),
        };
        self.forget(kept);
        self.note(packet_id);
        Ok(receipt)
    }

    /// Whether the PUBCOMP was one that is waited for.
    pub(crate) fn handle_pubcomp(&mut self, packet_id: PacketId) -> bool {
        let done = self.table.handle_pubcomp(packet_id);
        self.note(packet_id);
        done.map(|kept| self.forget(kept)).is_ok()
    }

    /// Takes back a message that was not sent after all.
    pub(crate) fn cancel(&mut self, packet_id: PacketId) {
        let kept = self.table.cancel(packet_id).flatten();
        self.forget(kept);
        self.note(packet_id);
    }

    /// A new connection: all is to be sent again, under its Receive Maximum.
    pub(crate) fn resume(&mut self, receive_maximum: u16) {
        self.table.resume(receive_maximum);
    }

    /// Gives back the memory that is kept for the next burst.
    pub(crate) fn relax(&mut self) {
        self.table.relax();
    }

    /// Whether something of the last connection waits to be sent again.
    pub(crate) fn is_resending(&self) -> bool {
        self.table.is_resending()
    }

    pub(crate) fn poll_resend(&mut self) -> Option<Resend<'_, Kept>> {
        self.table.poll_resend()
    }

    /// The messages of QoS 1 in their order, those that another client may get when this session is over.
    /// What has been begun with QoS 2 is for this one or nobody. `[MQTT-4.8.2-5]`
    pub(crate) fn unacknowledged(&mut self) -> Vec<Outgoing> {
        let mut found = Vec::new();
        self.table.resume(u16::MAX);
        while let Some(resend) = self.table.poll_resend() {
            if let Resend::Publish {
                qos: Qos::AtLeastOnce,
                message: Some(outgoing),
                ..
            } = resend
            {
                found.push(outgoing.clone());
            }
        }
        found
    }

    /// From here on, remembers which records are stale; those of all that is in flight are, unless they
    /// were restored.
    pub(crate) fn track(&mut self, are_filed: bool) {
        let ids = self.table.packet_ids().filter(|_| !are_filed);
        self.stale.get_or_insert_with(|| ids.collect());
    }

    /// The opposite; returns the identifiers of which there may be records.
    pub(crate) fn untrack(&mut self) -> Vec<PacketId> {
        let mut ids = self.stale.take().unwrap_or_default();
        ids.extend(self.table.packet_ids());
        ids.into_iter().collect()
    }

    /// The identifiers whose records are stale.
    pub(crate) fn stale(&self) -> impl Iterator<Item = PacketId> {
        self.stale.iter().flatten().copied()
    }

    /// Takes them: the records are being written.
    pub(crate) fn take_stale(&mut self) -> BTreeSet<PacketId> {
        self.stale.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Where a message stands.
    pub(crate) fn standing(&mut self, packet_id: PacketId) -> Option<Standing<'_, Kept>> {
        self.table.standing(packet_id)
    }

    /// All messages that are kept, for a change that leaves their sizes as they are.
    pub(crate) fn for_each_kept(&mut self, mut change: impl FnMut(&mut Outgoing)) {
        let ids: Vec<PacketId> = self.table.packet_ids().collect();
        for id in ids {
            if let Some(Standing {
                message: Some(outgoing),
                ..
            }) = self.table.standing(id)
            {
                change(outgoing);
            }
        }
    }

    /// Puts back what was in flight in an earlier run, in the order of first sending; an identifier that is
    /// in use twice is left out.
    pub(crate) fn restore(&mut self, order: Option<u64>, packet_id: PacketId, kept: Kept) {
        let (qos, is_released) = match &kept {
            Some(outgoing) => (outgoing.qos, false),
            None => (Qos::ExactlyOnce, true),
        };
        let (bytes, payload_bytes) = (size(kept.as_ref()), payload_size(kept.as_ref()));
        let restored = match order {
            Some(order) => (self.table).restore_at(order, packet_id, qos, is_released, kept),
            None => self.table.restore(packet_id, qos, is_released, kept),
        };
        if restored.is_ok() {
            self.bytes += bytes;
            self.payload_bytes += payload_bytes;
        }
    }

    fn note(&mut self, packet_id: PacketId) {
        if let Some(stale) = &mut self.stale {
            stale.insert(packet_id);
        }
    }

    fn forget(&mut self, kept: Kept) {
        if let Some(outgoing) = kept {
            self.bytes -= outgoing.message.size();
            self.payload_bytes -= outgoing.message.payload().len();
        }
    }
}

fn size(kept: Option<&Outgoing>) -> usize {
    kept.map_or(0, |outgoing| outgoing.message.size())
}

fn payload_size(kept: Option<&Outgoing>) -> usize {
    kept.map_or(0, |outgoing| outgoing.message.payload().len())
}

#[cfg(test)]
mod tests {
    use wigwag_proto::{Properties, TopicName};

    use super::*;
    use crate::message::MessageRef;

    fn outgoing(len: usize) -> Outgoing {
        let message = MessageRef {
            topic: TopicName::new("t").expect("valid"),
            qos: Qos::ExactlyOnce,
            retain: false,
            properties: Properties::EMPTY,
            payload: &vec![0; len],
            expires_at: None,
        };
        Outgoing {
            message: message.to_message(),
            qos: Qos::ExactlyOnce,
            retain: false,
            terms: None,
            filed: None,
        }
    }

    #[test]
    fn bytes_are_given_back_at_every_end_of_a_message() {
        let limits = Limits {
            inflight_bytes_max: 250,
            ..Limits::default()
        };
        let mut flight = Flight::default();
        let ends: [fn(&mut Flight, PacketId); 4] = [
            |flight, id| assert!(flight.handle_puback(id)),
            |flight, id| assert_eq!(flight.handle_pubrec(id, true), Ok(Receipt::Accepted)),
            |flight, id| assert_eq!(flight.handle_pubrec(id, false), Ok(Receipt::Rejected)),
            Flight::cancel,
        ];
        for (n, end) in ends.into_iter().enumerate() {
            let qos = if n == 0 {
                Qos::AtLeastOnce
            } else {
                Qos::ExactlyOnce
            };
            let ids: Vec<_> = std::iter::from_fn(|| {
                flight
                    .has_room(&limits)
                    .then(|| flight.publish(qos, Some(outgoing(99))).expect("quota"))
            })
            .collect();
            assert_eq!(ids.len(), 3, "the third passes the bound");
            ids.into_iter().for_each(|id| end(&mut flight, id));
            assert_eq!((flight.bytes, flight.payload_bytes), (0, 0));
        }
    }
}
