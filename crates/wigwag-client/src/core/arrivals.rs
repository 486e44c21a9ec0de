//! Received messages between arrival and acknowledgement.
//!
//! Handlers finish in any order; acknowledgements leave in the order of arrival.

use std::collections::VecDeque;

use wigwag_proto::{PacketId, Qos, ReasonCode};

use crate::config::Limits;

/// Names one message for one handler; comes back when the handler has finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Token {
    /// The serial of the acknowledgement that is due.
    ack: Option<u64>,
    size: usize,
}

/// What waits for handlers, and what waits for its turn to be acknowledged.
#[derive(Default)]
pub(super) struct Arrivals {
    next_serial: u64,
    /// Messages with handlers, one count for each handler.
    messages: usize,
    bytes: usize,
    /// Messages of QoS 1 and 2 on this connection, in the order of arrival.
    acks: VecDeque<Ack>,
    /// Messages of QoS 2 of an earlier connection whose handlers have not finished, or have rejected
    /// them: if the server sends them again they are not handled again, but the acknowledgement waits.
    stale: Vec<Ack>,
}

#[derive(Debug)]
struct Ack {
    serial: u64,
    packet_id: PacketId,
    qos: Qos,
    /// Handlers that have not finished.
    remaining: usize,
    /// What the first handler that did not accept the message says; otherwise success.
    reason: ReasonCode,
}

impl Ack {
    /// Whether the acknowledgement must wait, or must not be forgotten, beyond its connection.
    const fn is_owed(&self) -> bool {
        self.remaining > 0 || self.reason.is_error()
    }
}

impl Arrivals {
    /// Received messages that wait for handlers.
    pub(super) fn waiting(&self) -> usize {
        self.messages
    }

    /// Whether more are waiting than `factor` times what the limits allow.
    pub(super) fn is_full(&self, limits: &Limits, factor: usize) -> bool {
        self.messages >= limits.handler_messages.saturating_mul(factor)
            || self.bytes >= limits.handler_bytes.saturating_mul(factor)
    }

    /// Messages of QoS 1 and 2 that have not been acknowledged at this QoS.
    pub(super) fn unacknowledged(&self, qos: Qos) -> usize {
        self.acks.iter().filter(|ack| ack.qos == qos).count()
    }

    pub(super) fn has_acks(&self) -> bool {
        !self.acks.is_empty()
    }

    /// A message of `size` bytes for `handlers` handlers; each gets a copy of the token.
    pub(super) fn arrive(
        &mut self,
        size: usize,
        handlers: usize,
        ack: Option<(PacketId, Qos)>,
    ) -> Token {
        self.messages += handlers;
        self.bytes += size * handlers;
        let Some((packet_id, qos)) = ack else {
            return Token { ack: None, size };
        };
        let serial = self.next_serial;
        self.next_serial += 1;
        self.acks.push_back(Ack {
            serial,
            packet_id,
            qos,
            remaining: handlers,
            reason: ReasonCode::Success,
        });
        Token {
            ack: Some(serial),
            size,
        }
    }

    /// A message of QoS 2 that has been received before: only its acknowledgement is due.
    pub(super) fn arrive_again(&mut self, packet_id: PacketId) {
        let earlier = self
            .stale
            .iter()
            .position(|ack| ack.packet_id == packet_id)
            .map(|index| self.stale.swap_remove(index));
        if earlier.is_none() && self.acks.iter().any(|ack| ack.packet_id == packet_id) {
            // The first copy came on this connection; its acknowledgement answers both.
            return;
        }
        let serial = self.next_serial;
        self.next_serial += u64::from(earlier.is_none());
        self.acks.push_back(earlier.unwrap_or(Ack {
            serial,
            packet_id,
            qos: Qos::ExactlyOnce,
            remaining: 0,
            reason: ReasonCode::Success,
        }));
    }

    /// A handler has finished; `reason` is what it has to say to the server.
    pub(super) fn finish(&mut self, token: Token, reason: ReasonCode) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(token.size);
        if let Some(ack) = token.ack.and_then(|serial| self.find(serial)) {
            ack.remaining = ack.remaining.saturating_sub(1);
            if !ack.reason.is_error() {
                ack.reason = reason;
            }
        }
        self.stale.retain(Ack::is_owed);
    }

    fn find(&mut self, serial: u64) -> Option<&mut Ack> {
        // Serials follow each other, unless a message of an earlier connection has come again.
        let first = self.acks.front().map_or(0, |ack| ack.serial);
        let guess = usize::try_from(serial.wrapping_sub(first)).unwrap_or(usize::MAX);
        let is_right = (self.acks.get(guess)).is_some_and(|ack| ack.serial == serial);
        if is_right {
            return self.acks.get_mut(guess);
        }
        let mut acks = self.acks.iter_mut().chain(&mut self.stale);
        acks.find(|ack| ack.serial == serial)
    }

    /// The next acknowledgement whose turn has come.
    pub(super) fn poll_ack(&mut self) -> Option<(PacketId, Qos, ReasonCode)> {
        if self.acks.front()?.remaining > 0 {
            return None;
        }
        let ack = self.acks.pop_front()?;
        Some((ack.packet_id, ack.qos, ack.reason))
    }

    /// Gives back the memory of what has been acknowledged.
    pub(super) fn rest(&mut self) {
        self.acks.shrink_to_fit();
    }

    /// The connection has ended: nothing of it can be acknowledged any more. The server sends messages
    /// of QoS 1 again, and they are handled again.
    pub(super) fn leave_connection(&mut self) {
        self.stale.extend(
            self.acks
                .drain(..)
                .filter(|ack| ack.qos == Qos::ExactlyOnce && ack.is_owed()),
        );
    }

    /// The session has ended: Packet Identifiers have lost their meaning.
    pub(super) fn leave_session(&mut self) {
        self.stale.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one message of QoS 1 is to be answered with, as handlers finish in random order.
    struct Expected {
        packet_id: PacketId,
        tokens: Vec<Token>,
        reason: ReasonCode,
    }

    #[test]
    fn any_order_of_handlers_gives_one_acknowledgement_each_in_the_order_of_arrival() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut arrivals = Arrivals::default();
            let mut expected: Vec<Expected> = (1..=random.u16(1..40))
                .map(|number| {
                    let packet_id = PacketId::new(number).expect("not zero");
                    let handlers = random.usize(1..4);
                    let token = arrivals.arrive(10, handlers, Some((packet_id, Qos::AtLeastOnce)));
                    Expected {
                        packet_id,
                        tokens: vec![token; handlers],
                        reason: ReasonCode::Success,
                    }
                })
                .collect();
            let mut acks = Vec::new();
            loop {
                let mut open: Vec<&mut Expected> = (expected.iter_mut())
                    .filter(|own| !own.tokens.is_empty())
                    .collect();
                if open.is_empty() {
                    break;
                }
                let at = random.usize(..open.len());
                let own = &mut open[at];
                let token = own.tokens.pop().expect("it has one");
                let reasons = [
                    ReasonCode::Success,
                    ReasonCode::QuotaExceeded,
                    ReasonCode::NotAuthorized,
                ];
                let reason = reasons[random.usize(..reasons.len())];
                if own.reason == ReasonCode::Success {
                    own.reason = reason;
                }
                arrivals.finish(token, reason);
                acks.extend(std::iter::from_fn(|| arrivals.poll_ack()));
                let done = expected
                    .iter()
                    .take_while(|own| own.tokens.is_empty())
                    .count();
                assert_eq!(acks.len(), done, "none too early, none too late");
            }
            let wanted: Vec<_> = expected
                .iter()
                .map(|own| (own.packet_id, Qos::AtLeastOnce, own.reason))
                .collect();
            assert_eq!(acks, wanted);
            assert_eq!((arrivals.waiting(), arrivals.has_acks()), (0, false));
        }
    }
}
