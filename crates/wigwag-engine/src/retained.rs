//! Retained messages of the node: the last one of each topic.
//!
//! One lock, held for one insertion or one bounded step of a replay. A replay is a cursor over the
//! topics in their order: it holds no messages, and what it finds is what is retained at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wigwag_proto::{Time, TopicFilter, TopicName};

use crate::limits::Limits;
use crate::memory::MESSAGE_LEN;
use crate::message::{Message, MessageRef};
use crate::policy::Identity;
use crate::record::ledger::Ledger;
use crate::record::{Changes, Kind, Op};
use crate::restored;

/// Topics that one step of a replay looks at before it lets others have the lock.
const STEP_TOPICS: usize = 512;

/// The retained messages of a node.
#[derive(Debug, Default)]
pub struct Retained {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: BTreeMap<Box<str>, Entry>,
    /// The topics of those that expire, by the time of that.
    expiries: BTreeSet<(Time, Box<str>)>,
    bytes: usize,
    payload_bytes: usize,
    /// What is stale in the store, if there is one.
    records: Option<Records>,
}

/// What has changed since it was saved.
#[derive(Debug)]
struct Records {
    ledger: Arc<Ledger>,
    topics: BTreeSet<Box<str>>,
    /// Numbers of messages that have been replaced, removed or forgotten.
    gone: Vec<u64>,
}

/// A message that is retained.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) message: Arc<Message>,
    /// Who published it, if that is to be asked about when it is sent.
    pub(crate) source: Option<Arc<Identity>>,
    /// When it is forgotten.
    until: Option<Time>,
    /// The number of its record, if there is one.
    filed: Option<u64>,
}

/// What a message holds that is retained: its topic is its place too.
fn weight(message: &MessageRef<'_>) -> usize {
    MESSAGE_LEN + 2 * message.size() - message.payload.len()
}

impl Kept {
    /// Whether the message fits in the place of what is retained for its topic; none at all always does.
    fn has_room(&self, message: &MessageRef<'_>, limits: &Limits, is_tight: bool) -> bool {
        let old = self.messages.get(message.topic.as_str());
        let (old, size) = (old.map(|entry| entry.message.size()), message.size());
        let grows = old.is_none_or(|old| size > old);
        message.payload.is_empty()
            || self.messages.len() - usize::from(old.is_some()) < limits.retained_messages_max
                && self.bytes - old.unwrap_or(0) + size <= limits.retained_bytes_max
                && !(grows && (is_tight || self.weight() + weight(message) > limits.memory_max / 2))
    }

    /// What they hold, and rather more.
    fn weight(&self) -> usize {
        self.messages.len() * MESSAGE_LEN + 2 * self.bytes - self.payload_bytes
    }

    fn insert(&mut self, entry: Entry) {
        let topic: Box<str> = entry.message.view().topic.as_str().into();
        self.bytes += entry.message.size();
        self.payload_bytes += entry.message.payload().len();
        if let Some(at) = entry.until {
            self.expiries.insert((at, topic.clone()));
        }
        if let Some(records) = &mut self.records
            && entry.filed.is_none()
            && is_kept_on_disk(&topic)
        {
            records.topics.insert(topic.clone());
        }
        self.messages.insert(topic, entry);
    }

    fn remove(&mut self, topic: &str) -> Option<Entry> {
        let entry = self.messages.remove(topic)?;
        self.bytes -= entry.message.size();
        self.payload_bytes -= entry.message.payload().len();
        if let Some(at) = entry.until {
            self.expiries.remove(&(at, topic.into()));
        }
        Some(entry)
    }

    /// An entry has been removed for good.
    fn forget(&mut self, entry: &Entry) {
        if let (Some(records), Some(number)) = (&mut self.records, entry.filed) {
            records.gone.push(number);
        }
    }

    fn forget_expired(&mut self, now: Time) {
        while self.expiries.first().is_some_and(|&(at, _)| at <= now)
            && let Some((_, topic)) = self.expiries.pop_first()
        {
            if let Some(entry) = self.remove(&topic) {
                self.forget(&entry);
            }
        }
    }
}

/// What the broker tells of itself is told anew after a start.
pub(crate) fn is_kept_on_disk(topic: &str) -> bool {
    !topic.starts_with("$SYS")
}

/// Where a replay goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// Behind this topic; `None` at the beginning.
    After(Option<Box<str>>),
    End,
}

/// What a step of a replay came to.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) found: Option<Entry>,
    /// Topics that it cost.
    pub(crate) looked_at: usize,
    pub(crate) cursor: Cursor,
}

impl Cursor {
    pub(crate) const START: Cursor = Cursor::After(None);
}

impl Retained {
    /// Keeps the message for its topic, or removes what is kept if its payload is empty. `[MQTT-3.3.1-6]`
    ///
    /// False if the bounds do not allow it, or if `is_tight` and more would be kept than before; what was kept
    /// for the topic stays then.
    pub(crate) fn set(
        &self,
        message: &Arc<Message>,
        source: Option<Arc<Identity>>,
        limits: &Limits,
        now: Time,
        is_tight: bool,
    ) -> bool {
        let view = message.view();
        let topic = view.topic.as_str();
        let mut kept = self.lock();
        kept.forget_expired(now);
        let fits = kept.has_room(&view, limits, is_tight);
        if fits && let Some(old) = kept.remove(topic) {
            kept.forget(&old);
        }
        if fits && !view.payload.is_empty() {
            let bound = limits.retained_for_max.map(|longest| now + longest);
            kept.insert(Entry {
                message: Arc::clone(message),
                source,
                until: view.expires_at.into_iter().chain(bound).min(),
                filed: None,
            });
        }
        fits
    }

    /// Whether [`Retained::set`] would keep the message now.
    pub(crate) fn has_room(
        &self,
        message: &MessageRef<'_>,
        limits: &Limits,
        now: Time,
        is_tight: bool,
    ) -> bool {
        let mut kept = self.lock();
        kept.forget_expired(now);
        kept.has_room(message, limits, is_tight)
    }

    /// Remembers from here on what has to be saved.
    pub(crate) fn track(&mut self, ledger: &Arc<Ledger>) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.records = Some(Records {
            ledger: Arc::clone(ledger),
            topics: BTreeSet::new(),
            gone: Vec::new(),
        });
    }

    /// Puts back a message of an earlier run, whatever the bounds are by now.
    pub(crate) fn restore(&self, retained: restored::Retained) {
        let restored::Retained {
            message,
            source,
            until,
            filed,
        } = retained;
        let view = message.view();
        let until = view.expires_at.into_iter().chain(until).min();
        let mut kept = self.lock();
        if let Some(old) = kept.remove(view.topic.as_str()) {
            kept.forget(&old);
        }
        kept.insert(Entry {
            message: Arc::clone(&message),
            source: source.map(Arc::new),
            until,
            filed,
        });
    }

    /// Takes some of what has to be saved; nothing, when that was all. Holds the lock for a bounded step.
    pub(crate) fn poll_changes(&self, most: usize) -> Changes {
        let mut changes = Changes::default();
        let mut kept = self.lock();
        let Kept {
            messages,
            records: Some(records),
            ..
        } = &mut *kept
        else {
            return changes;
        };
        while changes.len() < most
            && let Some(topic) = records.topics.pop_first()
        {
            // It may be gone by now.
            if let Some(entry) = messages.get_mut(&*topic)
                && entry.filed.is_none()
            {
                let number = records.ledger.next_retained();
                entry.filed = Some(number);
                changes.push(Op::Retained {
                    number,
                    message: Arc::clone(&entry.message),
                    source: entry.source.clone(),
                    until: entry.until,
                });
            }
        }
        while changes.len() < most
            && let Some(number) = records.gone.pop()
        {
            changes.push(Op::Delete(Kind::Retained, number));
        }
        changes
    }

    /// The next message behind the cursor that matches the filter. Without a message and not at the end,
    /// the step was long enough.
    pub(crate) fn step(&self, filter: TopicFilter<'_>, cursor: &Cursor, now: Time) -> Step {
        let end = |found, looked_at| Step {
            found,
            looked_at,
            cursor: Cursor::End,
        };
        let Cursor::After(after) = cursor else {
            return end(None, 0);
        };
        let mut kept = self.lock();
        kept.forget_expired(now);
        if !filter.has_wildcard() {
            return end(kept.messages.get(filter.as_str()).cloned(), 1);
        }
        let prefix = literal_prefix(filter);
        let start = match after {
            Some(topic) => Bound::Excluded(&**topic),
            None => Bound::Included(prefix),
        };
        let topics = kept.messages.range::<str, _>((start, Bound::Unbounded));
        let mut looked_at = 0;
        for (topic, entry) in topics.take_while(|(topic, _)| topic.starts_with(prefix)) {
            looked_at += 1;
            let matches = filter.matches(entry.message.view().topic);
            if matches || looked_at >= STEP_TOPICS {
                return Step {
                    found: matches.then(|| entry.clone()),
                    looked_at,
                    cursor: Cursor::After(Some(topic.clone())),
                };
            }
        }
        end(None, looked_at)
    }

    /// The message retained for exactly this topic.
    pub fn get(&self, topic: TopicName<'_>) -> Option<Arc<Message>> {
        let kept = self.lock();
        let entry = kept.messages.get(topic.as_str());
        entry.map(|entry| Arc::clone(&entry.message))
    }

    /// How many messages there are, their bytes, and those of their payloads alone.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        let kept = self.lock();
        (kept.messages.len(), kept.bytes, kept.payload_bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every topic that matches the filter begins with: its levels before the first wildcard.
fn literal_prefix(filter: TopicFilter<'_>) -> &str {
    let text = filter.as_str();
    match text.find(['+', '#']) {
        // `a/#` matches `a` too, so the separator is not part of it.
        Some(at) if text.as_bytes().get(at) == Some(&b'#') => {
            text.get(..at.saturating_sub(1)).unwrap_or_default()
        }
        Some(at) => text.get(..at).unwrap_or_default(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use wigwag_proto::{Properties, Qos};

    use super::*;
    use crate::message::MessageRef;

    fn limits(retained_messages_max: usize) -> Limits {
        Limits {
            retained_messages_max,
            ..Limits::default()
        }
    }

    fn message(topic: &str, payload: &[u8], expires_at: Option<Time>) -> Arc<Message> {
        let topic = TopicName::new(topic).expect("valid");
        MessageRef {
            topic,
            qos: Qos::AtMostOnce,
            retain: true,
            properties: Properties::EMPTY,
            payload,
            expires_at,
        }
        .to_message()
    }

    fn replay(retained: &Retained, filter: &str, now: Time) -> Vec<String> {
        let filter = TopicFilter::new(filter).expect("valid");
        let mut cursor = Cursor::START;
        let mut all = Vec::new();
        while cursor != Cursor::End {
            let step = retained.step(filter, &cursor, now);
            all.extend(
                step.found
                    .iter()
                    .map(|entry| entry.message.view().topic.as_str().to_owned()),
            );
            cursor = step.cursor;
        }
        all
    }

    #[test]
    fn an_empty_payload_removes() {
        let retained = Retained::default();
        assert!(retained.set(
            &message("a", b"1", None),
            None,
            &limits(10),
            Time::ZERO,
            false
        ));
        assert!(retained.set(
            &message("a", b"", None),
            None,
            &limits(10),
            Time::ZERO,
            false
        ));
        assert!(replay(&retained, "#", Time::ZERO).is_empty());
    }

    #[test]
    fn the_bound_refuses_new_topics_only() {
        let retained = Retained::default();
        assert!(retained.set(
            &message("a", b"1", None),
            None,
            &limits(1),
            Time::ZERO,
            false
        ));
        assert!(!retained.set(
            &message("b", b"1", None),
            None,
            &limits(1),
            Time::ZERO,
            false
        ));
        assert!(retained.set(
            &message("a", b"2", None),
            None,
            &limits(1),
            Time::ZERO,
            false
        ));
    }

    #[test]
    fn when_memory_is_tight_nothing_grows() {
        let retained = Retained::default();
        let set = |topic, payload, is_tight| {
            retained.set(
                &message(topic, payload, None),
                None,
                &limits(10),
                Time::ZERO,
                is_tight,
            )
        };
        assert!(set("a", b"12", false));
        assert!(!set("b", b"1", true), "a new topic");
        assert!(!set("a", b"123", true), "a larger message");
        assert!(set("a", b"21", true) && set("a", b"1", true) && set("a", b"", true));
    }

    #[test]
    fn bytes_are_bounded_and_counted_back() {
        let retained = Retained::default();
        let bounds = Limits {
            retained_bytes_max: 10,
            ..Limits::default()
        };
        let later = Time::new(Duration::from_secs(1));
        let set = |topic, payload, expires_at, now| {
            retained.set(
                &message(topic, payload, expires_at),
                None,
                &bounds,
                now,
                false,
            )
        };
        assert!(set("a", b"1234", None, Time::ZERO));
        assert!(set("b", b"1234", Some(later), Time::ZERO));
        assert!(!set("c", b"1", None, Time::ZERO));
        assert!(!set("a", b"12345", None, Time::ZERO), "the old one stays");
        assert_eq!(replay(&retained, "#", Time::ZERO), ["a", "b"]);
        assert!(set("c", b"1", None, later), "what has expired makes room");
        assert!(set("a", b"", None, later));
        assert!(set("c", b"", None, later));
        assert_eq!(retained.lock().bytes, 0);
        assert_eq!(retained.lock().payload_bytes, 0);
        assert!(retained.lock().expiries.is_empty());
    }

    #[test]
    fn expired_messages_are_not_replayed_and_forgotten() {
        let retained = Retained::default();
        let later = Time::new(Duration::from_secs(1));
        retained.set(
            &message("a", b"1", Some(later)),
            None,
            &limits(10),
            Time::ZERO,
            false,
        );
        assert_eq!(replay(&retained, "a", Time::ZERO), ["a"]);
        assert!(replay(&retained, "a", later).is_empty());
        assert!(retained.get(TopicName::new("a").expect("valid")).is_none());
    }

    #[test]
    fn a_long_replay_lets_go_of_the_lock_and_misses_nothing() {
        let retained = Retained::default();
        for n in 0..3_000 {
            retained.set(
                &message(&format!("t/{n:04}"), b"1", None),
                None,
                &limits(10_000),
                Time::ZERO,
                false,
            );
        }
        assert_eq!(replay(&retained, "+/2999", Time::ZERO), ["t/2999"]);
        assert_eq!(replay(&retained, "#", Time::ZERO).len(), 3_000);
    }

    proptest! {
        #[test]
        fn a_replay_finds_what_matches(
            topics in prop::collection::btree_set("[ab$]{0,2}(/[ab]{0,1}){0,2}", 1..20),
            filter in prop_oneof!["[ab]{1,2}(/[ab]{0,1}){0,2}", "([ab]{1}/)?\\+(/[ab])?", "([ab]{0,1}/){0,2}#"],
        ) {
            let retained = Retained::default();
            let topics: Vec<String> = topics.into_iter().filter(|topic| !topic.is_empty()).collect();
            for topic in &topics {
                retained.set(&message(topic, b"1", None), None, &limits(100), Time::ZERO, false);
            }
            let parsed = TopicFilter::new(&filter).expect("valid");
            let expect: Vec<String> =
                topics.into_iter().filter(|topic| parsed.matches(TopicName::new(topic).expect("valid"))).collect();
            prop_assert_eq!(replay(&retained, &filter, Time::ZERO), expect);
        }
    }
}
