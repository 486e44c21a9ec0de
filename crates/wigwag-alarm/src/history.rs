//! The alarms that are raised, and those that were, each with when: what an operator wants to look up.
//!
//! Bounded by number and age. Times are those of the wall clock, as the caller has it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rule::Severity;
use crate::watch::{Alarm, Event};

/// The most alarms that are remembered once they are over; the oldest go first.
pub const HISTORY_MAX: usize = 1_000;

/// How long an alarm is remembered once it is over.
pub const HISTORY_LASTS: Duration = Duration::from_secs(24 * 3_600);

/// An alarm with its times, each since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// As it was told last.
    pub alarm: Alarm,
    /// When it was raised.
    pub activated_at: Duration,
    /// When it was over, if it is.
    pub deactivated_at: Option<Duration>,
}

impl Entry {
    /// What is published of it and what an API answers; `stamp` writes a time.
    pub fn to_json(&self, stamp: impl Fn(Duration) -> String) -> Value {
        json!({
            "name": self.alarm.name,
            "message": self.alarm.message,
            "severity": self.alarm.severity.name(),
            "details": {
                "topic": &*self.alarm.topic,
                "value": self.alarm.value,
                "limit": self.alarm.limit,
            },
            "activate_at": stamp(self.activated_at),
            "deactivate_at": self.deactivated_at.map(stamp),
        })
    }
}

/// What there is and what there was.
#[derive(Debug, Default)]
pub struct History {
    active: BTreeMap<(Box<str>, Arc<str>), Entry>,
    past: VecDeque<Entry>,
    raised: BTreeMap<Severity, u64>,
}

impl History {
    /// Notes what has happened at this moment. Answers with the alarm, if one was raised or is over.
    pub fn note(&mut self, event: &Event, now: Duration) -> Option<&Entry> {
        self.forget(now);
        match event {
            Event::Raised(alarm) => {
                *self.raised.entry(alarm.severity).or_default() += 1;
                let entry = Entry {
                    alarm: alarm.clone(),
                    activated_at: now,
                    deactivated_at: None,
                };
                let key = (alarm.name.clone(), Arc::clone(&alarm.topic));
                self.active.insert(key.clone(), entry);
                self.active.get(&key)
            }
            Event::Over(alarm) => {
                let key = (alarm.name.clone(), Arc::clone(&alarm.topic));
                let activated_at = (self.active.remove(&key)).map_or(now, |it| it.activated_at);
                if self.past.len() == HISTORY_MAX {
                    self.past.pop_front();
                }
                self.past.push_back(Entry {
                    alarm: alarm.clone(),
                    activated_at,
                    deactivated_at: Some(now),
                });
                self.past.back()
            }
            Event::Unreadable { .. } | Event::Full { .. } => None,
        }
    }

    /// The alarms that are raised, by rule and topic.
    pub fn active(&self) -> impl Iterator<Item = &Entry> {
        self.active.values()
    }

    /// Those that are over, the last one first.
    pub fn past(&mut self, now: Duration) -> impl Iterator<Item = &Entry> {
        self.forget(now);
        self.past.iter().rev()
    }

    /// How many alarms of a severity are raised.
    pub fn count(&self, severity: Severity) -> usize {
        let active = self.active.values();
        active
            .filter(|entry| entry.alarm.severity == severity)
            .count()
    }

    /// How many alarms of a severity have ever been raised.
    pub fn raised(&self, severity: Severity) -> u64 {
        self.raised.get(&severity).copied().unwrap_or_default()
    }

    fn forget(&mut self, now: Duration) {
        while let Some(first) = self.past.front()
            && first
                .deactivated_at
                .is_some_and(|at| now.saturating_sub(at) > HISTORY_LASTS)
        {
            self.past.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use wigwag_proto::Time;

    use super::*;

    fn alarm(topic: &str) -> Alarm {
        Alarm {
            name: "x".into(),
            topic: topic.into(),
            severity: Severity::Critical,
            message: String::new(),
            value: String::new(),
            limit: String::new(),
            raised_at: Time::ZERO,
        }
    }

    #[test]
    fn an_alarm_goes_from_those_that_are_to_those_that_were() {
        let mut history = History::default();
        let at = Duration::from_secs;
        history.note(&Event::Raised(alarm("a")), at(10));
        history.note(&Event::Raised(alarm("b")), at(11));
        assert_eq!(history.count(Severity::Critical), 2);
        let over = history
            .note(&Event::Over(alarm("a")), at(20))
            .expect("an entry");
        assert_eq!(
            (over.activated_at, over.deactivated_at),
            (at(10), Some(at(20)))
        );
        assert_eq!(history.count(Severity::Critical), 1);
        assert_eq!(history.count(Severity::Info), 0);
        assert_eq!(history.raised(Severity::Critical), 2);
        assert_eq!(history.past(at(20) + HISTORY_LASTS).count(), 1);
        assert_eq!(history.past(at(21) + HISTORY_LASTS).count(), 0);
        assert_eq!(history.active().count(), 1, "what is raised does not age");
    }

    #[test]
    fn an_entry_tells_its_alarm_and_its_times() {
        let entry = Entry {
            alarm: alarm("a/b"),
            activated_at: Duration::from_secs(10),
            deactivated_at: None,
        };
        let json = entry.to_json(|at| format!("at {}", at.as_secs()));
        let expect = json!({
            "name": "x", "message": "", "severity": "critical",
            "details": {"topic": "a/b", "value": "", "limit": ""},
            "activate_at": "at 10", "deactivate_at": null
        });
        assert_eq!(json, expect);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut history = History::default();
        for number in 0..1_500_u64 {
            let topic = number.to_string();
            history.note(&Event::Raised(alarm(&topic)), Duration::from_secs(number));
            history.note(&Event::Over(alarm(&topic)), Duration::from_secs(number));
        }
        let past: Vec<_> = history
            .past(Duration::from_secs(1_500))
            .map(|it| it.alarm.topic.to_string())
            .collect();
        assert_eq!(past.len(), HISTORY_MAX);
        assert_eq!((past[0].as_str(), past[999].as_str()), ("1499", "500"));
    }
}
