//! Who is told of an alarm by a message gets it when it is raised, again as long as it goes on, and once when it is over;
//! in quiet hours only what is critical, and of the rest what is still so when they end.
//!
//! Pure: the time is an argument, and whether it is quiet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wigwag_alarm::{Entry, Severity};
use wigwag_proto::Time;

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notice {
    pub(super) entry: Entry,
    /// How often it was told of before.
    pub(super) repeats: u32,
}

/// What has been told, and what waits.
#[derive(Debug)]
pub(super) struct Notices {
    repeat: Option<Duration>,
    tells_end: bool,
    open: BTreeMap<Key, Open>,
    /// Over since it is quiet, and told of before.
    over: BTreeMap<Key, Entry>,
}

/// The name of the rule and the topic.
type Key = (Box<str>, Arc<str>);

#[derive(Debug)]
struct Open {
    entry: Entry,
    told_at: Option<Time>,
    repeats: u32,
    /// It may be over, and nobody could have said so.
    is_doubtful: bool,
}

impl Notices {
    pub(super) const fn new(repeat: Option<Duration>, tells_end: bool) -> Notices {
        Notices {
            repeat,
            tells_end,
            open: BTreeMap::new(),
            over: BTreeMap::new(),
        }
    }

    /// An alarm was raised or is over.
    pub(super) fn handle(&mut self, now: Time, entry: &Entry, is_quiet: bool) -> Option<Notice> {
        let key = (entry.alarm.name.clone(), Arc::clone(&entry.alarm.topic));
        let is_held = is_quiet && !is_urgent(entry);
        if entry.deactivated_at.is_none() {
            // It was over and nobody was told: it goes on.
            let was_told = self.over.remove(&key).is_some();
            let told_at = (was_told || !is_held).then_some(now);
            self.open.insert(
                key,
                Open {
                    entry: entry.clone(),
                    told_at,
                    repeats: 0,
                    is_doubtful: false,
                },
            );
            return (!was_told && !is_held).then(|| Notice::first(entry));
        }
        let open = self.open.remove(&key)?;
        open.told_at?;
        if !self.tells_end {
            return None;
        }
        if is_held {
            self.over.insert(key, entry.clone());
            return None;
        }
        Some(Notice::first(entry))
    }

    /// From here on, what is over may end without anybody saying so: what is open is not told again, nor for the first
    /// time, unless it is raised once more. Its end is told, if that is heard of.
    pub(super) fn handle_blindness(&mut self) {
        for open in self.open.values_mut() {
            open.is_doubtful = true;
        }
    }

    /// What is to be told because of the time.
    pub(super) fn poll(&mut self, now: Time, is_quiet: bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        if !is_quiet {
            let over = std::mem::take(&mut self.over);
            notices.extend(over.values().map(Notice::first));
        }
        for open in self.open.values_mut() {
            if open.is_doubtful || is_quiet && !is_urgent(&open.entry) {
                continue;
            }
            match (open.told_at, self.repeat) {
                (None, _) => notices.push(Notice::first(&open.entry)),
                (Some(told_at), Some(repeat)) if now.saturating_since(told_at) >= repeat => {
                    open.repeats = open.repeats.saturating_add(1);
                    notices.push(Notice {
                        entry: open.entry.clone(),
                        repeats: open.repeats,
                    });
                }
                (Some(_), _) => continue,
            }
            open.told_at = Some(now);
        }
        notices
    }

    /// When to poll, and whether that is when it is quiet no more.
    pub(super) fn next(&self, is_quiet: bool) -> Option<Next> {
        let waits = |open: &Open| open.told_at.is_none() && !open.is_doubtful;
        let repeat = |open: &Open| Some(open.told_at? + self.repeat?);
        let is_told = |open: &&Open| !open.is_doubtful && (!is_quiet || is_urgent(&open.entry));
        let next = (self.open.values())
            .filter(is_told)
            .filter_map(repeat)
            .min();
        let has_waiting = !self.over.is_empty() || self.open.values().any(waits);
        match next {
            _ if has_waiting && is_quiet => Some(Next::Quiet(next)),
            next => next.map(Next::At),
        }
    }
}

/// When there is something to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    At(Time),
    /// When the quiet hours end, or at a time before.
    Quiet(Option<Time>),
}

impl Notice {
    fn first(entry: &Entry) -> Notice {
        Notice {
            entry: entry.clone(),
            repeats: 0,
        }
    }
}

fn is_urgent(entry: &Entry) -> bool {
    entry.alarm.severity == Severity::Critical
}

#[cfg(test)]
mod tests {
    use wigwag_alarm::Alarm;

    use super::*;

    const HOUR: u64 = 3_600;

    fn at(secs: u64) -> Time {
        Time::new(Duration::from_secs(secs))
    }

    fn entry(name: &str, is_over: bool) -> Entry {
        let severity = match name {
            "fire" => Severity::Critical,
            _ => Severity::Warning,
        };
        Entry {
            alarm: Alarm {
                name: name.into(),
                topic: "t".into(),
                severity,
                message: String::new(),
                value: String::new(),
                limit: String::new(),
                raised_at: Time::ZERO,
            },
            activated_at: Duration::ZERO,
            deactivated_at: is_over.then_some(Duration::ZERO),
        }
    }

    fn notices() -> Notices {
        Notices::new(Some(Duration::from_secs(4 * HOUR)), true)
    }

    fn told(notices: &[Notice]) -> Vec<(&str, bool, u32)> {
        let one = |it: &Notice| it.entry.deactivated_at.is_some();
        (notices.iter())
            .map(|it| (&*it.entry.alarm.name, one(it), it.repeats))
            .collect()
    }

    #[test]
    fn an_alarm_is_told_repeated_and_ended() {
        let mut all = notices();
        let first = all.handle(at(0), &entry("wet", false), false);
        assert_eq!(told(first.as_slice()), [("wet", false, 0)]);
        assert_eq!(all.next(false), Some(Next::At(at(4 * HOUR))));
        assert_eq!(all.poll(at(4 * HOUR - 1), false), []);
        assert_eq!(told(&all.poll(at(4 * HOUR), false)), [("wet", false, 1)]);
        assert_eq!(told(&all.poll(at(8 * HOUR), false)), [("wet", false, 2)]);
        let last = all.handle(at(9 * HOUR), &entry("wet", true), false);
        assert_eq!(told(last.as_slice()), [("wet", true, 0)]);
        assert_eq!(all.next(false), None);
    }

    #[test]
    fn in_quiet_hours_only_what_is_critical_is_told() {
        let mut all = notices();
        assert_eq!(all.handle(at(0), &entry("wet", false), true), None);
        assert!(all.handle(at(0), &entry("fire", false), true).is_some());
        assert_eq!(all.poll(at(HOUR), true), []);
        assert_eq!(all.next(true), Some(Next::Quiet(Some(at(4 * HOUR)))));
        assert!(all.handle(at(HOUR), &entry("fire", true), true).is_some());
        assert_eq!(all.next(true), Some(Next::Quiet(None)));
        assert_eq!(told(&all.poll(at(2 * HOUR), false)), [("wet", false, 0)]);
        assert_eq!(all.poll(at(2 * HOUR), false), []);
    }

    #[test]
    fn what_came_and_went_in_quiet_hours_is_not_told() {
        let mut all = notices();
        assert_eq!(all.handle(at(0), &entry("wet", false), true), None);
        assert_eq!(all.handle(at(1), &entry("wet", true), true), None);
        assert_eq!(all.poll(at(2), false), []);
        assert_eq!(all.next(false), None);
    }

    #[test]
    fn what_ends_in_quiet_hours_is_told_behind_them_unless_it_comes_again() {
        let mut all = notices();
        assert!(all.handle(at(0), &entry("wet", false), false).is_some());
        assert_eq!(all.handle(at(1), &entry("wet", true), true), None);
        assert_eq!(told(&all.poll(at(2), false)), [("wet", true, 0)]);

        assert!(all.handle(at(3), &entry("wet", false), false).is_some());
        assert_eq!(all.handle(at(4), &entry("wet", true), true), None);
        assert_eq!(all.handle(at(5), &entry("wet", false), true), None);
        assert_eq!(all.poll(at(6), false), []);
        assert!(all.handle(at(7), &entry("wet", true), false).is_some());
    }

    #[test]
    fn what_may_be_over_is_not_told_again_until_it_is_raised_again() {
        let mut all = notices();
        assert!(all.handle(at(0), &entry("wet", false), false).is_some());
        assert!(all.handle(at(0), &entry("fire", false), false).is_some());
        assert_eq!(all.handle(at(0), &entry("late", false), true), None);
        all.handle_blindness();
        assert_eq!(all.next(false), None);
        assert_eq!(all.next(true), None);
        assert_eq!(all.poll(at(4 * HOUR), false), []);
        let last = all.handle(at(5 * HOUR), &entry("wet", true), false);
        assert_eq!(told(last.as_slice()), [("wet", true, 0)]);
        assert!(
            all.handle(at(5 * HOUR), &entry("fire", false), false)
                .is_some()
        );
        assert_eq!(told(&all.poll(at(9 * HOUR), false)), [("fire", false, 1)]);
    }

    #[test]
    fn the_end_and_repetitions_can_be_left_out() {
        let mut all = Notices::new(None, false);
        assert!(all.handle(at(0), &entry("wet", false), false).is_some());
        assert_eq!(all.next(false), None);
        assert_eq!(all.poll(at(100 * HOUR), false), []);
        assert_eq!(all.handle(at(101 * HOUR), &entry("wet", true), false), None);
    }
}
