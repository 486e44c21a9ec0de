//! Messages of QoS 1 and 2 that one side has sent and the other has not acknowledged.
//!
//! The sender's half of a session: Packet Identifiers, the send quota of section 4.9, the stages of
//! both handshakes, and the order in which everything is sent again on a new connection. The table
//! grows with what is in flight, not with what could be.

mod circle;

use std::collections::VecDeque;

use crate::packet::{PacketId, Qos};
use circle::Circle;

/// A Packet Identifier that is not in use, or not in the stage that the acknowledgement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Packet Identifier {0} is not waiting for this acknowledgement")]
pub struct UnknownPacketId(pub PacketId);

/// What is in flight, with a message of type `M` for each Packet Identifier of a PUBLISH.
#[derive(Debug)]
pub struct Inflight<M> {
    slots: Circle<Slot<M>>,
    /// What remains to be sent again on this connection, in order.
    resend: VecDeque<(PacketId, u64)>,
    next_order: u64,
    /// Slots with a publish.
    publishes: usize,
    /// Publishes that occupy the peer's Receive Maximum on this connection.
    occupied: u16,
    receive_maximum: u16,
}

#[derive(Debug)]
enum Slot<M> {
    /// A SUBSCRIBE or UNSUBSCRIBE that waits for its acknowledgement.
    Request,
    /// A PUBLISH of this connection only, which waits for its PUBACK.
    Announcement,
    Publish(Entry<M>),
}

#[derive(Debug)]
struct Entry<M> {
    /// Position in the order of first sending.
    order: u64,
    due: Acknowledgement,
    /// Whether it has been sent on this connection and so occupies the quota.
    sent: bool,
    message: M,
}

/// The acknowledgement that is due next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::enum_variant_names,
    reason = "the variants are named after packets"
)]
enum Acknowledgement {
    PubAck,
    PubRec,
    PubComp,
}

/// Something to send again after a reconnect.
#[derive(Debug, PartialEq, Eq)]
pub enum Resend<'a, M> {
    /// The PUBLISH, with DUP set. `[MQTT-3.3.1-1]`
    Publish {
        /// Its Packet Identifier, which stays.
        packet_id: PacketId,
        /// `AtLeastOnce` or `ExactlyOnce`.
        qos: Qos,
        /// The message.
        message: &'a M,
    },
    /// The PUBREL: the PUBLISH itself must not be sent any more. `[MQTT-4.3.3-6]`
    Release(PacketId),
}

/// Where a publish stands that is in flight.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing<'a, M> {
    /// Its place in the order of first sending.
    pub order: u64,
    /// `AtLeastOnce` or `ExactlyOnce`.
    pub qos: Qos,
    /// Whether its PUBREC has come.
    pub is_released: bool,
    /// The message.
    pub message: &'a mut M,
}

/// What a PUBREC means for its message.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a, M> {
    /// The receiver owns it; send PUBREL.
    Accepted(&'a mut M),
    /// The receiver refused it; the Packet Identifier is free. `[MQTT-4.4.0-2]`
    Rejected(M),
}

impl<M> Default for Inflight<M> {
    fn default() -> Inflight<M> {
        Inflight::new()
    }
}

impl<M> Inflight<M> {
    /// Nothing in flight, and the quota that a peer has when it does not name one.
    pub const fn new() -> Inflight<M> {
        Inflight {
            slots: Circle::new(),
            resend: VecDeque::new(),
            next_order: 0,
            publishes: 0,
            occupied: 0,
            receive_maximum: u16::MAX,
        }
    }

    /// Lets the first Packet Identifier be the one behind this, unless some have been given out already.
    pub fn begin_behind(&mut self, packet_id: PacketId) {
        self.slots.begin_behind(packet_id);
    }

    /// Publishes that have not been acknowledged in full.
    pub const fn len(&self) -> usize {
        self.publishes
    }

    /// Whether no publish is in flight.
    pub const fn is_empty(&self) -> bool {
        self.publishes == 0
    }

    /// Whether the peer's Receive Maximum allows another publish now. `[MQTT-4.9.0-2]`
    ///
    /// While messages of the last connection wait to be sent again, none may overtake them.
    pub fn has_quota(&self) -> bool {
        self.occupied < self.receive_maximum && self.resend.is_empty() && !self.slots.is_full()
    }

    /// Takes a message into flight. `None`, and the message back, when the quota is used up.
    pub fn publish(&mut self, qos: Qos, message: M) -> Result<PacketId, M> {
        let due = match qos {
            Qos::AtMostOnce => return Err(message),
            Qos::AtLeastOnce => Acknowledgement::PubAck,
            Qos::ExactlyOnce => Acknowledgement::PubRec,
        };
        if !self.has_quota() {
            return Err(message);
        }
        let order = self.next_order;
        self.next_order += 1;
        self.occupied += 1;
        match self.slots.push(Slot::Publish(Entry {
            order,
            due,
            sent: true,
            message,
        })) {
            Ok(packet_id) => {
                self.publishes += 1;
                Ok(packet_id)
            }
            Err(_) => unreachable!("an identifier is free whenever there is quota"),
        }
    }

    /// The message that is in flight under this Packet Identifier.
    pub fn message(&self, packet_id: PacketId) -> Option<&M> {
        match self.slots.get(packet_id) {
            Some(Slot::Publish(entry)) => Some(&entry.message),
            Some(Slot::Request | Slot::Announcement) | None => None,
        }
    }

    /// Where the publish with this Packet Identifier stands.
    pub fn standing(&mut self, packet_id: PacketId) -> Option<Standing<'_, M>> {
        let Some(Slot::Publish(entry)) = self.slots.get_mut(packet_id) else {
            return None;
        };
        let (qos, is_released) = match entry.due {
            Acknowledgement::PubAck => (Qos::AtLeastOnce, false),
            Acknowledgement::PubRec => (Qos::ExactlyOnce, false),
            Acknowledgement::PubComp => (Qos::ExactlyOnce, true),
        };
        Some(Standing {
            order: entry.order,
            qos,
            is_released,
            message: &mut entry.message,
        })
    }

    /// The Packet Identifiers of all publishes in flight.
    pub fn packet_ids(&self) -> impl Iterator<Item = PacketId> {
        let slots = self.slots.iter();
        slots
            .filter(|(_, slot)| matches!(slot, Slot::Publish(_)))
            .map(|(packet_id, _)| packet_id)
    }

    /// Takes a Packet Identifier for a SUBSCRIBE or UNSUBSCRIBE; `None` when all 65,535 are in use.
    pub fn request(&mut self) -> Option<PacketId> {
        self.slots.push(Slot::Request).ok()
    }

    /// Takes a Packet Identifier for a PUBLISH of QoS 1 that is not sent again on another connection, ahead of
    /// what is. `None` when the quota is used up.
    pub fn announce(&mut self) -> Option<PacketId> {
        if self.occupied >= self.receive_maximum {
            return None;
        }
        let packet_id = self.slots.push(Slot::Announcement).ok()?;
        self.occupied += 1;
        Some(packet_id)
    }

    /// A PUBACK for what [`Inflight::announce`] has sent.
    pub fn handle_announced(&mut self, packet_id: PacketId) -> Result<(), UnknownPacketId> {
        let is_announced = |slot: &Slot<M>| matches!(slot, Slot::Announcement);
        let announced = self.slots.remove_if(packet_id, is_announced);
        announced.ok_or(UnknownPacketId(packet_id))?;
        self.occupied -= 1;
        Ok(())
    }

    /// Frees the identifier of a SUBSCRIBE or UNSUBSCRIBE that has been acknowledged.
    pub fn handle_response(&mut self, packet_id: PacketId) -> Result<(), UnknownPacketId> {
        let is_request = |slot: &Slot<M>| matches!(slot, Slot::Request);
        let requested = self.slots.remove_if(packet_id, is_request);
        requested.map(|_| ()).ok_or(UnknownPacketId(packet_id))
    }

    /// A PUBACK: the message is done.
    pub fn handle_puback(&mut self, packet_id: PacketId) -> Result<M, UnknownPacketId> {
        self.finish(packet_id, Acknowledgement::PubAck)
    }

    /// A PUBREC with its outcome. Repeated after an accepted one, it is answered the same way again.
    pub fn handle_pubrec(
        &mut self,
        packet_id: PacketId,
        accepted: bool,
    ) -> Result<Received<'_, M>, UnknownPacketId> {
        if !accepted {
            return self
                .finish(packet_id, Acknowledgement::PubRec)
                .map(Received::Rejected);
        }
        match self.slots.get_mut(packet_id) {
            Some(Slot::Publish(entry)) if entry.due != Acknowledgement::PubAck => {
                entry.due = Acknowledgement::PubComp;
                Ok(Received::Accepted(&mut entry.message))
            }
            _ => Err(UnknownPacketId(packet_id)),
        }
    }

    /// A PUBCOMP: the message is done.
    pub fn handle_pubcomp(&mut self, packet_id: PacketId) -> Result<M, UnknownPacketId> {
        self.finish(packet_id, Acknowledgement::PubComp)
    }

    /// Takes back a publish that was not sent after all.
    pub fn cancel(&mut self, packet_id: PacketId) -> Option<M> {
        self.take_out(packet_id, |_| true)
    }

    fn finish(&mut self, packet_id: PacketId, due: Acknowledgement) -> Result<M, UnknownPacketId> {
        let done = self.take_out(packet_id, |entry| entry.due == due);
        done.ok_or(UnknownPacketId(packet_id))
    }

    /// Ends a publish if it is one of these.
    fn take_out(
        &mut self,
        packet_id: PacketId,
        accept: impl FnOnce(&Entry<M>) -> bool,
    ) -> Option<M> {
        let is_wanted = |slot: &Slot<M>| matches!(slot, Slot::Publish(entry) if accept(entry));
        match self.slots.remove_if(packet_id, is_wanted) {
            Some(Slot::Publish(entry)) => {
                self.publishes -= 1;
                self.occupied -= u16::from(entry.sent);
                Some(entry.message)
            }
            Some(Slot::Request | Slot::Announcement) | None => None,
        }
    }

    /// Gives back the memory that is kept for the next burst: for whoever has nothing to send for a while.
    pub fn relax(&mut self) {
        self.slots.relax();
    }

    /// Puts a publish back that was in flight before this table was made: `is_released` says that its
    /// PUBREC has come. Called in the order of first sending, before [`Inflight::resume`].
    ///
    /// The message comes back when its identifier is in use, or its QoS has none.
    pub fn restore(
        &mut self,
        packet_id: PacketId,
        qos: Qos,
        is_released: bool,
        message: M,
    ) -> Result<(), M> {
        self.restore_at(self.next_order, packet_id, qos, is_released, message)
    }

    /// [`Inflight::restore`], for a publish whose place in the order of first sending is known, as
    /// [`Inflight::standing`] told it. What is sent for the first time comes behind all of them.
    pub fn restore_at(
        &mut self,
        order: u64,
        packet_id: PacketId,
        qos: Qos,
        is_released: bool,
        message: M,
    ) -> Result<(), M> {
        let due = match (qos, is_released) {
            (Qos::AtMostOnce, _) => return Err(message),
            (Qos::AtLeastOnce, _) => Acknowledgement::PubAck,
            (Qos::ExactlyOnce, false) => Acknowledgement::PubRec,
            (Qos::ExactlyOnce, true) => Acknowledgement::PubComp,
        };
        let entry = Slot::Publish(Entry {
            order,
            due,
            sent: false,
            message,
        });
        let is_last = order >= self.next_order;
        match self.slots.insert(packet_id, entry, is_last) {
            Ok(()) => {}
            Err(Slot::Publish(entry)) => return Err(entry.message),
            Err(Slot::Request | Slot::Announcement) => unreachable!("it is a publish"),
        }
        self.next_order = self.next_order.max(order.saturating_add(1));
        self.publishes += 1;
        Ok(())
    }

    /// A new connection continues the session: everything that was in flight is to be sent again, as
    /// [`Inflight::poll_resend`] gives it, under the Receive Maximum of the new connection.
    pub fn resume(&mut self, receive_maximum: u16) {
        self.receive_maximum = receive_maximum;
        self.occupied = 0;
        self.resend.clear();
        let mut ended = Vec::new();
        for (packet_id, slot) in self.slots.iter_mut() {
            match slot {
                Slot::Publish(entry) => {
                    entry.sent = false;
                    self.resend.push_back((packet_id, entry.order));
                }
                Slot::Request | Slot::Announcement => ended.push(packet_id),
            }
        }
        for packet_id in ended {
            self.slots.remove_if(packet_id, |_| true);
        }
        self.resend
            .make_contiguous()
            .sort_unstable_by_key(|&(_, order)| order);
    }

    /// Whether something waits to be sent again.
    pub fn is_resending(&self) -> bool {
        !self.resend.is_empty()
    }

    /// The next thing to send again, in the order of first sending. `[MQTT-4.6.0-1]`
    ///
    /// `None` when all has been sent or the quota is used up; ask again after an acknowledgement.
    pub fn poll_resend(&mut self) -> Option<Resend<'_, M>> {
        let packet_id = self.next_due()?;
        let Some(Slot::Publish(entry)) = self.slots.get_mut(packet_id) else {
            return None;
        };
        self.occupied += 1;
        entry.sent = true;
        let qos = match entry.due {
            Acknowledgement::PubAck => Qos::AtLeastOnce,
            Acknowledgement::PubRec => Qos::ExactlyOnce,
            Acknowledgement::PubComp => return Some(Resend::Release(packet_id)),
        };
        Some(Resend::Publish {
            packet_id,
            qos,
            message: &entry.message,
        })
    }

    fn next_due(&mut self) -> Option<PacketId> {
        while self.occupied < self.receive_maximum {
            let (packet_id, order) = self.resend.pop_front()?;
            // It may have been acknowledged, and the identifier taken anew, since `resume`.
            if matches!(self.slots.get_mut(packet_id), Some(Slot::Publish(entry)) if entry.order == order)
            {
                return Some(packet_id);
            }
        }
        None
    }

    /// Empties the table; the messages come in the order of first sending.
    pub fn drain(&mut self) -> impl Iterator<Item = M> {
        let mut entries: Vec<Entry<M>> = std::mem::take(self)
            .slots
            .into_values()
            .filter_map(|slot| match slot {
                Slot::Publish(entry) => Some(entry),
                Slot::Request | Slot::Announcement => None,
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.order);
        entries.into_iter().map(|entry| entry.message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(id: u16) -> PacketId {
        PacketId::new(id).expect("not zero")
    }

    #[test]
    fn an_announcement_takes_quota_and_ends_with_its_connection() {
        let mut inflight = Inflight::new();
        inflight.resume(2);
        inflight.publish(Qos::AtLeastOnce, "a").expect("quota");
        inflight.resume(2);
        let announced = inflight.announce().expect("quota");
        assert_eq!(announced, id(2));
        assert_eq!(
            inflight.handle_puback(announced),
            Err(UnknownPacketId(announced))
        );
        assert!(inflight.poll_resend().is_some());
        assert_eq!(inflight.announce(), None);
        assert!(!inflight.has_quota());
        assert_eq!(inflight.handle_announced(announced), Ok(()));
        assert_eq!(
            inflight.handle_announced(announced),
            Err(UnknownPacketId(announced))
        );
        assert!(inflight.has_quota());
        inflight.announce().expect("quota");
        inflight.resume(1);
        assert_eq!(inflight.len(), 1);
        assert!(inflight.poll_resend().is_some());
        assert_eq!(inflight.poll_resend(), None);
    }

    #[test]
    fn quota_is_freed_by_puback_pubcomp_and_a_refusing_pubrec() {
        let mut inflight = Inflight::new();
        inflight.resume(2);
        let first = inflight.publish(Qos::AtLeastOnce, "a").expect("quota");
        let second = inflight.publish(Qos::ExactlyOnce, "b").expect("quota");
        assert_eq!(inflight.publish(Qos::AtLeastOnce, "c"), Err("c"));
        assert_eq!(inflight.handle_puback(first), Ok("a"));
        let third = inflight.publish(Qos::ExactlyOnce, "c").expect("quota");
        assert_eq!(
            inflight.handle_pubrec(third, false),
            Ok(Received::Rejected("c"))
        );
        assert_eq!(
            inflight.handle_pubrec(second, true),
            Ok(Received::Accepted(&mut "b"))
        );
        assert_eq!(inflight.handle_pubcomp(second), Ok("b"));
        assert!(inflight.is_empty());
    }

    #[test]
    fn a_table_that_is_written_down_and_restored_goes_on_as_before() {
        let mut before = Inflight::new();
        let publish =
            |table: &mut Inflight<_>, qos, message| table.publish(qos, message).expect("quota");
        let first = publish(&mut before, Qos::AtLeastOnce, 1);
        let second = publish(&mut before, Qos::ExactlyOnce, 2);
        publish(&mut before, Qos::ExactlyOnce, 3);
        assert_eq!(before.handle_puback(first), Ok(1));
        before.handle_pubrec(second, true).expect("in flight");
        publish(&mut before, Qos::AtLeastOnce, 4);
        let ids: Vec<PacketId> = before.packet_ids().collect();
        let mut after = Inflight::new();
        for id in ids {
            let at = before.standing(id).expect("in flight");
            after
                .restore_at(at.order, id, at.qos, at.is_released, *at.message)
                .expect("free");
        }
        let fifth = |table: &mut Inflight<_>| publish(table, Qos::AtLeastOnce, 5);
        assert_eq!(fifth(&mut before), fifth(&mut after));
        for table in [&mut before, &mut after] {
            table.resume(10);
        }
        while let Some(due) = before.poll_resend() {
            assert_eq!(Some(due), after.poll_resend());
        }
        assert_eq!(after.poll_resend(), None);
    }

    #[test]
    fn an_acknowledgement_of_the_wrong_kind_changes_nothing() {
        let mut inflight = Inflight::new();
        let qos1 = inflight.publish(Qos::AtLeastOnce, 1).expect("quota");
        let qos2 = inflight.publish(Qos::ExactlyOnce, 2).expect("quota");
        assert_eq!(inflight.handle_puback(qos2), Err(UnknownPacketId(qos2)));
        assert_eq!(
            inflight.handle_pubrec(qos1, true),
            Err(UnknownPacketId(qos1))
        );
        assert_eq!(inflight.handle_pubcomp(qos2), Err(UnknownPacketId(qos2)));
        assert_eq!(inflight.handle_response(qos1), Err(UnknownPacketId(qos1)));
        assert_eq!(inflight.handle_puback(id(9)), Err(UnknownPacketId(id(9))));
        assert_eq!(inflight.len(), 2);
    }

    #[test]
    fn everything_is_sent_again_in_the_order_of_first_sending() {
        let mut inflight = Inflight::new();
        let ids: Vec<_> = (0..4)
            .map(|n| inflight.publish(Qos::ExactlyOnce, n).expect("quota"))
            .collect();
        inflight.handle_pubrec(ids[1], true).expect("known");
        inflight.handle_pubrec(ids[0], false).expect("known");
        // Takes the identifier of message 0, so order and identifiers differ.
        let another = inflight.publish(Qos::AtLeastOnce, 4).expect("quota");
        assert_eq!(another, id(5));
        inflight.resume(u16::MAX);
        assert_eq!(inflight.poll_resend(), Some(Resend::Release(ids[1])));
        let publish = |packet_id, qos, message| {
            Some(Resend::Publish {
                packet_id,
                qos,
                message,
            })
        };
        assert_eq!(
            inflight.poll_resend(),
            publish(ids[2], Qos::ExactlyOnce, &2)
        );
        assert!(!inflight.has_quota(), "a new message must not overtake");
        assert_eq!(
            inflight.poll_resend(),
            publish(ids[3], Qos::ExactlyOnce, &3)
        );
        assert_eq!(
            inflight.poll_resend(),
            publish(another, Qos::AtLeastOnce, &4)
        );
        assert_eq!(inflight.poll_resend(), None);
        assert!(inflight.has_quota());
    }

    #[test]
    fn a_lower_receive_maximum_holds_back_what_is_sent_again() {
        let mut inflight = Inflight::new();
        let ids: Vec<_> = (0..3)
            .map(|n| inflight.publish(Qos::AtLeastOnce, n).expect("quota"))
            .collect();
        inflight.resume(1);
        assert!(inflight.poll_resend().is_some());
        assert_eq!(inflight.poll_resend(), None);
        inflight.handle_puback(ids[0]).expect("known");
        assert!(inflight.poll_resend().is_some());
    }

    #[test]
    fn what_was_in_flight_before_goes_on_under_its_identifiers() {
        let mut inflight = Inflight::new();
        let (q1, q2) = (Qos::AtLeastOnce, Qos::ExactlyOnce);
        assert_eq!(inflight.restore(id(5), q2, true, "released"), Ok(()));
        assert_eq!(inflight.restore(id(2), q1, false, "sent"), Ok(()));
        assert_eq!(inflight.restore(id(2), q1, false, "twice"), Err("twice"));
        assert_eq!(inflight.restore(id(1), Qos::AtMostOnce, false, ""), Err(""));
        inflight.resume(10);
        assert_eq!(inflight.poll_resend(), Some(Resend::Release(id(5))));
        let expect = Resend::Publish {
            packet_id: id(2),
            qos: q1,
            message: &"sent",
        };
        assert_eq!(inflight.poll_resend(), Some(expect));
        assert_eq!(inflight.poll_resend(), None);
        let new: Vec<_> = (0..4).map(|_| inflight.publish(q1, "new")).collect();
        assert_eq!(new, [Ok(id(3)), Ok(id(4)), Ok(id(6)), Ok(id(7))]);
        assert_eq!(inflight.handle_pubcomp(id(5)), Ok("released"));
        assert_eq!(inflight.len(), 5);
    }

    #[test]
    fn requests_take_identifiers_but_no_quota() {
        let mut inflight = Inflight::new();
        inflight.resume(1);
        let request = inflight.request().expect("free");
        let publish = inflight.publish(Qos::AtLeastOnce, ()).expect("quota");
        assert_ne!(request, publish);
        assert_eq!(inflight.handle_response(request), Ok(()));
        assert_eq!(
            inflight.handle_response(request),
            Err(UnknownPacketId(request))
        );
    }

    #[test]
    fn all_identifiers_can_be_in_use_and_no_more() {
        let mut inflight = Inflight::new();
        for n in 0..65_535_u32 {
            inflight.publish(Qos::AtLeastOnce, n).expect("quota");
        }
        assert_eq!(inflight.publish(Qos::AtLeastOnce, 65_535), Err(65_535));
        assert_eq!(inflight.request(), None);
        assert_eq!(inflight.handle_puback(id(40_000)), Ok(39_999));
        assert_eq!(inflight.publish(Qos::AtLeastOnce, 65_535), Ok(id(40_000)));
    }

    proptest! {
        /// Whatever happens in whatever order, no identifier is given out twice and nothing is lost.
        #[test]
        fn identifiers_in_use_are_unique(operations in prop::collection::vec((0_u8..6, 1_u16..12), 1..200)) {
            let mut inflight = Inflight::new();
            inflight.resume(8);
            let mut model: BTreeMap<PacketId, u32> = BTreeMap::new();
            for (n, (operation, packet_id)) in (0_u32..).zip(operations) {
                let packet_id = id(packet_id);
                match operation {
                    0 | 1 => {
                        let qos = if operation == 0 { Qos::AtLeastOnce } else { Qos::ExactlyOnce };
                        if let Ok(packet_id) = inflight.publish(qos, n) {
                            prop_assert_eq!(model.insert(packet_id, n), None);
                        }
                    }
                    2 => if let Ok(message) = inflight.handle_puback(packet_id) {
                        prop_assert_eq!(model.remove(&packet_id), Some(message));
                    },
                    3 => drop(inflight.handle_pubrec(packet_id, true).is_ok()),
                    4 => if let Ok(message) = inflight.handle_pubcomp(packet_id) {
                        prop_assert_eq!(model.remove(&packet_id), Some(message));
                    },
                    _ => {
                        inflight.resume(8);
                        while inflight.poll_resend().is_some() {}
                    }
                }
                prop_assert_eq!(inflight.len(), model.len());
                prop_assert!(model.len() <= 8);
            }
            let mut left: Vec<u32> = model.into_values().collect();
            left.sort_unstable();
            prop_assert_eq!(inflight.drain().collect::<Vec<_>>(), left);
        }
    }
}
