//! Which topics a bridge carries, and what they are called on the other side.
//!
//! Pure: from the `topic` lines of a configuration to filters to subscribe to, and from the name of a message
//! on the one side to its names on the other.

use wigwag_proto::{Qos, TopicFilter, TopicName};

use crate::conf::config::{BridgeTopic, Direction};

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From this broker to the other one.
    Out,
    /// From the other broker to this one.
    In,
}

impl Way {
    pub(super) const fn back(self) -> Way {
        match self {
            Way::Out => Way::In,
            Way::In => Way::Out,
        }
    }
}

/// What the other broker is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Subscribe(&'a str, Qos),
    /// The line only goes out, so that no subscription of an earlier configuration is to be left.
    Unsubscribe(&'a str),
}

/// The lines of a bridge.
#[derive(Clone, Debug)]
pub(super) struct Lines(Vec<Line>);

#[derive(Clone, Debug)]
struct Line {
    direction: Direction,
    qos: Qos,
    local: Side,
    remote: Side,
    /// The prefixes are the topics, and there are no others.
    is_single: bool,
}

/// What a line is on one side.
#[derive(Clone, Debug)]
struct Side {
    filter: String,
    prefix: String,
}

impl Side {
    fn new(prefix: &str, pattern: &str) -> Side {
        Side {
            filter: format!("{prefix}{pattern}"),
            prefix: prefix.to_owned(),
        }
    }

    /// What of the topic the other side shares, if the line carries the topic.
    fn shared<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let filter = TopicFilter::new(&self.filter).ok()?;
        let filter = filter.share().map_or(filter, |(_, inner)| inner);
        let name = TopicName::new(topic).ok()?;
        // "a/" and "#" are "a/#", which "a" matches too; but there is no topic for it on the other side.
        topic
            .strip_prefix(&self.prefix)
            .filter(|_| filter.matches(name))
    }
}

impl Line {
    fn new(said: &BridgeTopic) -> Line {
        Line {
            direction: said.direction,
            qos: match said.qos {
                0 => Qos::AtMostOnce,
                1 => Qos::AtLeastOnce,
                _ => Qos::ExactlyOnce,
            },
            local: Side::new(&said.local_prefix, &said.pattern),
            remote: Side::new(&said.remote_prefix, &said.pattern),
            is_single: said.pattern.is_empty(),
        }
    }

    fn carries(&self, way: Way) -> bool {
        match self.direction {
            Direction::Both => true,
            Direction::Out => way == Way::Out,
            Direction::In => way == Way::In,
        }
    }

    /// Where messages of this way come from, and where they go.
    fn sides(&self, way: Way) -> (&Side, &Side) {
        match way {
            Way::Out => (&self.local, &self.remote),
            Way::In => (&self.remote, &self.local),
        }
    }

    /// The name on the other side of a topic that the line carries.
    fn target(&self, way: Way, topic: &str) -> Option<String> {
        let (from, to) = self.sides(way);
        let shared = from.shared(topic)?;
        Some(if self.is_single {
            to.prefix.clone()
        } else {
            format!("{}{shared}", to.prefix)
        })
    }
}

impl Lines {
    pub(super) fn new(said: &[BridgeTopic]) -> Lines {
        Lines(said.iter().map(Line::new).collect())
    }

    /// What to subscribe to for messages of this way, each filter once.
    pub(super) fn filters(&self, way: Way) -> Vec<(&str, Qos)> {
        let mut filters: Vec<(&str, Qos)> = Vec::new();
        for line in self.0.iter().filter(|line| line.carries(way)) {
            let filter = line.sides(way).0.filter.as_str();
            match filters.iter_mut().find(|(known, _)| *known == filter) {
                Some((_, qos)) => *qos = line.qos.max(*qos),
                None => filters.push((filter, line.qos)),
            }
        }
        filters
    }

    /// What to ask the other broker for, in the order of the lines, each filter once.
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        let wanted = self.filters(Way::In);
        let mut steps: Vec<Step<'_>> = Vec::new();
        for line in &self.0 {
            let filter = line.remote.filter.as_str();
            let step = match wanted.iter().find(|(known, _)| *known == filter) {
                Some(&(filter, qos)) => Step::Subscribe(filter, qos),
                None => Step::Unsubscribe(filter),
            };
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        steps
    }

    /// Whether a message of this way can match several filters.
    pub(super) fn overlap(&self, way: Way) -> bool {
        let filters = self.filters(way);
        let pairs = |(at, (one, _)): (usize, &(&str, Qos))| {
            let mut others = filters.iter().skip(at + 1);
            others.any(|(other, _)| may_match_the_same(one, other))
        };
        filters.iter().enumerate().any(pairs)
    }

    /// What becomes of a message that has come by the subscription to `filter`: its topics on the other
    /// side, each with the highest QoS that it may have there.
    ///
    /// Subscriptions that overlap bring a message several times. A topic on the other side belongs to the
    /// filter whose line gives it the highest QoS, the first of them, so that the message gets there once.
    pub(super) fn targets(&self, way: Way, filter: &str, topic: &str) -> Vec<(String, Qos)> {
        let mut best: Vec<(String, Qos, &str)> = Vec::new();
        for line in self.0.iter().filter(|line| line.carries(way)) {
            let Some(target) = line.target(way, topic) else {
                continue;
            };
            let owner = line.sides(way).0.filter.as_str();
            match best.iter_mut().find(|(known, ..)| *known == target) {
                Some((_, qos, known)) if line.qos > *qos => (*qos, *known) = (line.qos, owner),
                Some(_) => {}
                None => best.push((target, line.qos, owner)),
            }
        }
        best.into_iter()
            .filter(|(.., owner)| *owner == filter)
            .map(|(target, qos, _)| (target, qos))
            .collect()
    }

    /// What a Response Topic is called on the other side: there where an answer would come back from.
    pub(super) fn response_topic(&self, way: Way, topic: &str) -> Option<String> {
        let mut back = self.0.iter().filter(|line| line.carries(way.back()));
        back.find_map(|line| line.target(way, topic))
    }
}

/// Whether there may be a topic that both filters match. Shared subscriptions are taken for their own kind of
/// filter, which may match anything.
fn may_match_the_same(one: &str, other: &str) -> bool {
    let is_shared = |filter: &str| TopicFilter::new(filter).is_ok_and(|it| it.share().is_some());
    if is_shared(one) || is_shared(other) {
        return true;
    }
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
            (Some(level), Some(known)) if level == known => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(said: &[(&str, Direction, u8, &str, &str)]) -> Lines {
        let said = said
            .iter()
            .map(|&(pattern, direction, qos, local, remote)| {
                let (pattern, local, remote) = (pattern.to_owned(), local, remote);
                BridgeTopic {
                    pattern,
                    direction,
                    qos,
                    local_prefix: local.to_owned(),
                    remote_prefix: remote.to_owned(),
                }
            });
        Lines::new(&said.collect::<Vec<_>>())
    }

    /// All that becomes of a message, by whichever subscription it comes.
    fn carried(lines: &Lines, way: Way, topic: &str) -> Vec<(String, u8)> {
        let filters = lines.filters(way);
        let targets = filters
            .iter()
            .flat_map(|(filter, _)| lines.targets(way, filter, topic));
        targets.map(|(topic, qos)| (topic, qos as u8)).collect()
    }

    fn check(lines: &Lines, way: Way, topic: &str, expect: &[(&str, u8)]) {
        let carried = carried(lines, way, topic);
        let carried: Vec<(&str, u8)> = carried.iter().map(|(t, qos)| (t.as_str(), *qos)).collect();
        assert_eq!(carried, expect, "{topic} {way:?}");
    }

    #[test]
    fn prefixes_are_taken_off_and_put_on() {
        let lines = lines(&[
            ("sensor/#", Direction::Out, 1, "here/", "there/"),
            ("cmd/+", Direction::In, 2, "", "far/"),
            ("both", Direction::Both, 0, "l/", ""),
        ]);
        check(
            &lines,
            Way::Out,
            "here/sensor/a/b",
            &[("there/sensor/a/b", 1)],
        );
        check(&lines, Way::In, "there/sensor/a", &[]);
        check(&lines, Way::Out, "sensor/a", &[]);
        check(&lines, Way::In, "far/cmd/x", &[("cmd/x", 2)]);
        check(&lines, Way::In, "far/cmd/x/y", &[]);
        check(&lines, Way::Out, "l/both", &[("both", 0)]);
        check(&lines, Way::In, "both", &[("l/both", 0)]);
        let filters = [
            ("here/sensor/#", Qos::AtLeastOnce),
            ("l/both", Qos::AtMostOnce),
        ];
        assert_eq!(lines.filters(Way::Out), filters);
        let steps = [
            Step::Unsubscribe("there/sensor/#"),
            Step::Subscribe("far/cmd/+", Qos::ExactlyOnce),
            Step::Subscribe("both", Qos::AtMostOnce),
        ];
        assert_eq!(lines.steps(), steps);
    }

    #[test]
    fn an_empty_pattern_makes_one_topic_of_each_prefix() {
        let lines = lines(&[("", Direction::Both, 1, "here/a", "there/b")]);
        check(&lines, Way::Out, "here/a", &[("there/b", 1)]);
        check(&lines, Way::In, "there/b", &[("here/a", 1)]);
        check(&lines, Way::Out, "here/a/b", &[]);
    }

    #[test]
    fn what_has_no_name_on_the_other_side_stays() {
        let lines = lines(&[("#", Direction::Out, 0, "a/", "b/")]);
        check(&lines, Way::Out, "a/x", &[("b/x", 0)]);
        check(&lines, Way::Out, "a", &[]);
        let all = self::lines(&[("#", Direction::Both, 0, "", "")]);
        check(&all, Way::Out, "a/b", &[("a/b", 0)]);
        check(&all, Way::Out, "$SYS/broker/uptime", &[]);
    }

    #[test]
    fn a_message_that_several_lines_carry_gets_to_each_topic_once() {
        let lines = lines(&[
            ("#", Direction::Out, 0, "", ""),
            ("a/#", Direction::Out, 2, "", ""),
            ("a/+", Direction::Out, 1, "", "copy/"),
            ("a/b", Direction::Out, 2, "", ""),
        ]);
        check(&lines, Way::Out, "a/b", &[("a/b", 2), ("copy/a/b", 1)]);
        check(&lines, Way::Out, "c", &[("c", 0)]);
        let same = self::lines(&[
            ("t", Direction::Out, 0, "", "x/"),
            ("t", Direction::Out, 1, "", "y/"),
        ]);
        check(&same, Way::Out, "t", &[("x/t", 0), ("y/t", 1)]);
        assert_eq!(same.filters(Way::Out), [("t", Qos::AtLeastOnce)]);
    }

    #[test]
    fn a_shared_subscription_is_known_by_its_filter() {
        let lines = lines(&[("$share/g/a/#", Direction::In, 1, "", "")]);
        check(&lines, Way::In, "a/b", &[("a/b", 1)]);
        assert_eq!(lines.filters(Way::In), [("$share/g/a/#", Qos::AtLeastOnce)]);
    }

    #[test]
    fn filters_overlap_when_a_topic_can_match_both() {
        for (one, other, expect) in [
            ("a", "b", false),
            ("a/#", "a", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("+/b", "a/#", true),
            ("a/b", "a", false),
            ("x/+/1", "x/2/+", true),
            ("$share/g/a", "b", true),
        ] {
            assert_eq!(may_match_the_same(one, other), expect, "{one} {other}");
            assert_eq!(may_match_the_same(other, one), expect, "{other} {one}");
        }
    }

    #[test]
    fn an_answer_is_sent_where_it_comes_back_from() {
        let lines = lines(&[
            ("ask/#", Direction::Out, 1, "here/", "there/"),
            ("answer/#", Direction::In, 1, "here/", "there/"),
        ]);
        let there = lines.response_topic(Way::Out, "here/answer/7");
        assert_eq!(there.as_deref(), Some("there/answer/7"));
        assert_eq!(lines.response_topic(Way::Out, "here/ask/7"), None);
        assert_eq!(lines.response_topic(Way::Out, "elsewhere"), None);
        let here = lines.response_topic(Way::In, "there/ask/7");
        assert_eq!(here.as_deref(), Some("here/ask/7"));
    }
}
