//! Messages that wait for their receiver, and which of them gives way when too many do.

use std::collections::VecDeque;

use crate::ack::AckToken;
use crate::message::Message;

/// What happens when messages arrive faster than they are handled.
///
/// Whatever waits is bounded by [`Limits`](crate::Limits) already; this says what one subscription does
/// before those bounds are reached. A message that is dropped is rejected with
/// [`ReasonCode::QuotaExceeded`](crate::ReasonCode::QuotaExceeded), counted, and reported as
/// [`Event::Dropped`](crate::Event::Dropped). A capacity of 0 is one of 1.
///
/// A server sends at most [`Limits::receive_maximum`](crate::Limits::receive_maximum) messages of QoS 1
/// and 2 ahead of their acknowledgements, so a larger capacity drops messages of QoS 0 only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Nothing is dropped. Acknowledgements are withheld until messages have been handled, so the
    /// Receive Maximum stops the server; and messages of QoS 0 that fill the limits stop the reading.
    #[default]
    Pause,
    /// When so many wait, the one that has waited longest gives way.
    DropOldest(usize),
    /// When so many wait, the one that arrives gives way.
    DropNewest(usize),
    /// A message takes the place of one with the same topic; when so many topics wait, the one that has
    /// waited longest gives way.
    LatestPerTopic(usize),
}

/// A message and the duty to settle it.
pub(crate) struct Delivery {
    pub(crate) message: Message,
    pub(crate) ack: AckToken,
    /// Which of several routes of its receiver it is for.
    pub(crate) route: usize,
}

impl Delivery {
    fn give_way(self) {
        self.ack.drop_message(self.message.topic());
    }
}

/// What waits, in the order of arrival.
pub(crate) struct Waiting {
    overflow: Overflow,
    queue: VecDeque<Delivery>,
    dropped: u64,
}

impl Waiting {
    pub(crate) const fn new(overflow: Overflow) -> Waiting {
        Waiting {
            overflow,
            queue: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Messages that have given way.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn push(&mut self, delivery: Delivery) {
        match self.overflow {
            Overflow::Pause => self.queue.push_back(delivery),
            Overflow::DropNewest(max) if self.queue.len() >= max.max(1) => self.give_way(delivery),
            Overflow::DropNewest(_) => self.queue.push_back(delivery),
            Overflow::DropOldest(max) => self.push_and_trim(delivery, max),
            Overflow::LatestPerTopic(max) => {
                let is_same = |own: &&mut Delivery| {
                    own.route == delivery.route && own.message.topic() == delivery.message.topic()
                };
                match self.queue.iter_mut().find(is_same) {
                    Some(own) => {
                        let older = std::mem::replace(own, delivery);
                        self.give_way(older);
                    }
                    None => self.push_and_trim(delivery, max),
                }
            }
        }
    }

    fn push_and_trim(&mut self, delivery: Delivery, max: usize) {
        if self.queue.len() >= max.max(1)
            && let Some(oldest) = self.queue.pop_front()
        {
            self.give_way(oldest);
        }
        self.queue.push_back(delivery);
    }

    fn give_way(&mut self, delivery: Delivery) {
        self.dropped += 1;
        delivery.give_way();
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        self.pop_first(|_| true)
    }

    /// Takes the first message that `wanted` wants.
    pub(crate) fn pop_first(&mut self, wanted: impl Fn(&Message) -> bool) -> Option<Delivery> {
        let at = self.queue.iter().position(|own| wanted(&own.message))?;
        let delivery = self.queue.remove(at);
        if self.queue.is_empty() {
            // An idle client keeps no memory of a burst.
            self.queue = VecDeque::new();
        }
        delivery
    }

    /// Takes all that wait.
    pub(crate) fn take(&mut self) -> VecDeque<Delivery> {
        std::mem::take(&mut self.queue)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use wigwag_proto::{Properties, TopicName, packet};

    use super::*;
    use crate::ack::Finished;
    use crate::core::Token;
    use crate::mailbox;

    fn message(topic: &str, payload: u8) -> Message {
        let name = TopicName::new(topic).expect("valid");
        let publish = packet::Publish {
            delivery: packet::Delivery::AtMostOnce,
            retain: false,
            topic: Some(name),
            properties: Properties::EMPTY,
            payload: &[payload],
        };
        Message::new(topic.into(), &publish)
    }

    /// Pushes messages numbered in their order; what is left, and the topics that were dropped.
    fn check(overflow: Overflow, topics: &str, left: &str, dropped: &str) {
        let (finished, mut verdicts) = mailbox::channel::<Finished>();
        let mut waiting = Waiting::new(overflow);
        for (number, topic) in (1..).zip(topics.split(' ')) {
            let ack = AckToken::new(Token::default(), "".into(), finished.clone());
            waiting.push(Delivery {
                message: message(topic, number),
                ack,
                route: 0,
            });
        }
        let mut reported = Vec::new();
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(finished)) = verdicts.poll_recv(cx) {
            if let crate::ack::Verdict::Dropped(topic) = finished.verdict {
                reported.push(topic.to_string());
            }
        }
        assert_eq!(reported.join(" "), dropped, "{overflow:?}");
        assert_eq!(waiting.dropped(), reported.len() as u64, "{overflow:?}");
        let rest: Vec<String> = std::iter::from_fn(|| waiting.pop())
            .map(|own| format!("{}{}", own.message.topic(), own.message.payload()[0]))
            .collect();
        assert_eq!(rest.join(" "), left, "{overflow:?}");
    }

    #[test]
    fn every_policy_drops_what_it_says_and_counts_it() {
        check(Overflow::Pause, "a b a c", "a1 b2 a3 c4", "");
        check(Overflow::DropOldest(2), "a b a c", "a3 c4", "a b");
        check(Overflow::DropOldest(0), "a b", "b2", "a");
        check(Overflow::DropNewest(2), "a b a c", "a1 b2", "a c");
        check(Overflow::LatestPerTopic(2), "a b a", "a3 b2", "a");
        check(Overflow::LatestPerTopic(2), "a b c b", "b4 c3", "a b");
    }
}
