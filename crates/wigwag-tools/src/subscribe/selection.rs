//! Which of the messages that come in are printed, counted and removed.

use wigwag_proto::{TopicFilter, TopicName};

use crate::message::Received;
use crate::options::command_line::SubscribeChoice;

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Pass,
    /// Nothing, and it was the last that is looked at.
    Stop,
    /// It is printed.
    Take {
        /// `-C` is reached.
        is_last: bool,
    },
}

/// Decides message by message, in the order of `mosquitto_sub`.
#[derive(Debug)]
pub(super) struct Selection {
    no_retained: bool,
    retained_only: bool,
    filter_out: Vec<String>,
    /// How many messages are still wanted, if that is bounded.
    left: Option<u32>,
    /// The share of messages that are printed, in per cent.
    share: Option<f64>,
}

impl Selection {
    pub(super) fn new(choice: &SubscribeChoice, no_retained: bool) -> Result<Selection, String> {
        for filter in &choice.filter_out {
            TopicFilter::new(filter).map_err(|error| format!("Error: '{filter}': {error}"))?;
        }
        Ok(Selection {
            no_retained,
            retained_only: choice.retained_only,
            filter_out: choice.filter_out.clone(),
            left: choice.count,
            share: choice.random_filter,
        })
    }

    pub(super) fn judge(&mut self, message: &Received) -> Verdict {
        if self.retained_only && !message.retain {
            return Verdict::Stop;
        }
        if self.no_retained && message.retain || self.is_filtered_out(&message.topic) {
            return Verdict::Pass;
        }
        let is_last = match &mut self.left {
            None => false,
            Some(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
        };
        Verdict::Take { is_last }
    }

    /// Whether chance lets a message through that counts in any case. `draw` gives a number below 100.
    pub(super) fn is_drawn(&self, draw: impl FnOnce() -> f64) -> bool {
        self.share.is_none_or(|share| draw() < share)
    }

    fn is_filtered_out(&self, topic: &str) -> bool {
        let Ok(topic) = TopicName::new(topic) else {
            return false;
        };
        self.filter_out
            .iter()
            .any(|filter| TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;
    use wigwag_proto::{PropertiesBuf, Qos};

    use super::*;

    const TAKE: Verdict = Verdict::Take { is_last: false };
    const LAST: Verdict = Verdict::Take { is_last: true };

    fn message(topic: &str, retain: bool) -> Received {
        Received {
            at: SystemTime::UNIX_EPOCH,
            topic: topic.to_owned(),
            payload: Bytes::new(),
            qos: Qos::AtMostOnce,
            retain,
            packet_id: 0,
            properties: PropertiesBuf::new(),
        }
    }

    fn check(choice: &SubscribeChoice, no_retained: bool, messages: &[(&str, bool, Verdict)]) {
        let mut selection = Selection::new(choice, no_retained).expect("valid");
        for (topic, retain, expect) in messages {
            let verdict = selection.judge(&message(topic, *retain));
            assert_eq!(verdict, *expect, "{topic} {retain}");
        }
    }

    #[test]
    fn only_messages_that_are_printed_count() {
        let choice = SubscribeChoice {
            filter_out: vec!["a/+".to_owned(), "b/#".to_owned()],
            count: Some(2),
            ..SubscribeChoice::default()
        };
        check(
            &choice,
            true,
            &[
                ("a/b", false, Verdict::Pass),
                ("b", false, Verdict::Pass),
                ("c", true, Verdict::Pass),
                ("c", false, TAKE),
                ("a", false, LAST),
            ],
        );
    }

    #[test]
    fn the_first_message_that_is_not_retained_ends_retained_only() {
        let choice = SubscribeChoice {
            retained_only: true,
            ..SubscribeChoice::default()
        };
        check(
            &choice,
            false,
            &[
                ("a", true, TAKE),
                ("b", true, TAKE),
                ("c", false, Verdict::Stop),
            ],
        );
    }

    #[test]
    fn chance_lets_its_share_through() {
        let share = |random_filter| {
            let choice = SubscribeChoice {
                random_filter,
                ..SubscribeChoice::default()
            };
            let selection = Selection::new(&choice, false).expect("valid");
            let drawn = |number: &f64| selection.is_drawn(|| *number);
            [0.0, 24.9, 25.0, 99.9]
                .iter()
                .filter(|number| drawn(number))
                .count()
        };
        assert_eq!(share(None), 4);
        assert_eq!(share(Some(25.0)), 2);
        assert_eq!(share(Some(100.0)), 4);
    }
}
