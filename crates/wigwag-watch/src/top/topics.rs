//! The busiest topics of a filter: messages and bytes of each, how fast they come, in which order they are shown.

use std::collections::HashMap;
use std::time::Duration;

/// Topics that are told apart; messages of others are counted together.
pub(super) const TOPICS_MAX: usize = 10_000;

/// Time over which a rate is averaged.
const AVERAGED: Duration = Duration::from_secs(5);

/// What is known of a topic.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Traffic {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Averaged, per second.
    pub(super) message_rate: f64,
    pub(super) byte_rate: f64,
    new_messages: u64,
    new_bytes: u64,
}

/// All topics that were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    of: HashMap<Box<str>, Traffic>,
    /// Messages of topics that came when there were too many.
    others: u64,
}

/// By what topics are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Column {
    Topic,
    #[default]
    MessageRate,
    ByteRate,
    Messages,
    Bytes,
}

impl Column {
    /// As they stand in the table.
    pub(super) const ALL: [Column; 5] = [
        Column::Topic,
        Column::MessageRate,
        Column::ByteRate,
        Column::Messages,
        Column::Bytes,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Column::Topic => "topic",
            Column::MessageRate => "msg/s",
            Column::ByteRate => "B/s",
            Column::Messages => "messages",
            Column::Bytes => "bytes",
        }
    }

    /// The column `steps` to the right, or to the left; the ends meet.
    pub(super) fn step(self, steps: isize) -> Column {
        let at = Column::ALL.iter().position(|column| *column == self);
        let to = at.unwrap_or_default() as isize + steps;
        Column::ALL[to.rem_euclid(Column::ALL.len() as isize) as usize]
    }
}

impl Topics {
    pub(super) fn note(&mut self, topic: &str, bytes: usize) {
        if !self.of.contains_key(topic) && self.of.len() == TOPICS_MAX {
            self.others += 1;
            return;
        }
        let traffic = match self.of.get_mut(topic) {
            Some(traffic) => traffic,
            None => self.of.entry(topic.into()).or_default(),
        };
        traffic.messages += 1;
        traffic.bytes += bytes as u64;
        traffic.new_messages += 1;
        traffic.new_bytes += bytes as u64;
    }

    /// Lets so much time count since the last time.
    pub(super) fn advance(&mut self, elapsed: Duration) {
        let secs = elapsed.as_secs_f64();
        if secs <= 0.0 {
            return;
        }
        let weight = 1.0 - (-secs / AVERAGED.as_secs_f64()).exp();
        #[expect(
            clippy::iter_over_hash_type,
            reason = "each topic is averaged by itself, in whatever order"
        )]
        for traffic in self.of.values_mut() {
            let message_rate = std::mem::take(&mut traffic.new_messages) as f64 / secs;
            let byte_rate = std::mem::take(&mut traffic.new_bytes) as f64 / secs;
            traffic.message_rate += weight * (message_rate - traffic.message_rate);
            traffic.byte_rate += weight * (byte_rate - traffic.byte_rate);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) const fn others(&self) -> u64 {
        self.others
    }

    pub(super) fn clear(&mut self) {
        *self = Topics::default();
    }

    /// The first `limit` topics in the order of a column: the most first, or names from A; `inverted` the other way.
    pub(super) fn sorted(&self, by: Column, inverted: bool, limit: usize) -> Vec<(&str, &Traffic)> {
        let mut all: Vec<(&str, &Traffic)> = self
            .of
            .iter()
            .map(|(topic, traffic)| (&**topic, traffic))
            .collect();
        all.sort_by(|(topic_a, a), (topic_b, b)| {
            let order = match by {
                Column::Topic => topic_a.cmp(topic_b),
                Column::MessageRate => b.message_rate.total_cmp(&a.message_rate),
                Column::ByteRate => b.byte_rate.total_cmp(&a.byte_rate),
                Column::Messages => b.messages.cmp(&a.messages),
                Column::Bytes => b.bytes.cmp(&a.bytes),
            };
            let order = if inverted { order.reverse() } else { order };
            order.then_with(|| topic_a.cmp(topic_b))
        });
        all.truncate(limit);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn names(topics: &Topics, by: Column, inverted: bool) -> Vec<&str> {
        let sorted = topics.sorted(by, inverted, 9);
        sorted.into_iter().map(|(topic, _)| topic).collect()
    }

    #[test]
    fn topics_are_ordered_by_a_column_either_way() {
        let mut topics = Topics::default();
        for _ in 0..3 {
            topics.note("a/small", 1);
        }
        topics.note("b/large", 1_000);
        topics.note("c/large", 1_000);
        topics.advance(SECOND);
        assert_eq!(names(&topics, Column::MessageRate, false)[0], "a/small");
        assert_eq!(
            names(&topics, Column::Bytes, false),
            ["b/large", "c/large", "a/small"]
        );
        assert_eq!(names(&topics, Column::Topic, true)[0], "c/large");
        assert_eq!(topics.sorted(Column::Topic, false, 1).len(), 1);
    }

    #[test]
    fn a_rate_comes_and_goes_within_seconds() {
        let mut topics = Topics::default();
        let rate = |topics: &Topics| topics.sorted(Column::Topic, false, 1)[0].1.message_rate;
        for _ in 0..30 {
            for _ in 0..10 {
                topics.note("a", 1);
            }
            topics.advance(SECOND);
        }
        assert!((rate(&topics) - 10.0).abs() < 0.1, "{}", rate(&topics));
        for _ in 0..30 {
            topics.advance(SECOND);
        }
        assert!(rate(&topics) < 0.1, "{}", rate(&topics));
    }

    #[test]
    fn there_is_a_bound_and_what_is_beyond_it_is_counted() {
        let mut topics = Topics::default();
        for number in 0..TOPICS_MAX + 5 {
            topics.note(&format!("t/{number}"), 1);
        }
        topics.note("t/0", 1);
        assert_eq!((topics.len(), topics.others()), (TOPICS_MAX, 5));
    }

    #[test]
    fn columns_come_round() {
        assert_eq!(Column::Topic.step(-1), Column::Bytes);
        assert_eq!(Column::Bytes.step(1), Column::Topic);
    }
}
