//! What is known of each topic while somebody looks on, and what of it each of them has not seen yet.
//!
//! Pure: messages come in with their time, and what there is to tell goes out as values. A topic that has changed is told
//! once, whatever its rate; who looks more rarely than others is told less, and delays nobody. Rights are asked of
//! whoever calls, each time anew.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Topics that are known; messages of others are counted only.
pub(crate) const TOPICS_MAX: usize = 50_000;

/// Bytes of the names of all topics; one that finds no room is not known either.
const NAMES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of all payloads, which are cut to what there is room for.
const PAYLOADS_MAX: usize = 64 * 1024 * 1024;

/// Of a payload, its beginning.
pub(crate) const PAYLOAD_MAX: usize = 4 * 1024;

/// What a topic costs besides its name and its payload, roughly.
const TOPIC_COSTS: usize = 256;

/// Topics that are looked at for one answer, whether they may be told or not.
const LOOKED_AT_MAX: usize = 4_096;

/// Topics for which, with each answer, the rights are asked again without there being news of them.
const ASKED_AGAIN: usize = 1_024;

/// What an entry costs in an answer besides its name and its payload, roughly.
const ENTRY_COSTS: usize = 128;

/// A message as it is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: u8,
    /// As the publisher has set it.
    pub(super) retain: bool,
    /// Milliseconds since 1970.
    pub(super) at: u64,
}

/// All topics, bounded.
#[derive(Debug, Default)]
pub(super) struct Tree {
    topics: Vec<Topic>,
    by_name: HashMap<Arc<str>, u32>,
    /// Each topic once, in the order in which they changed.
    changes: BTreeSet<Change>,
    /// Begins anew with each answer, so that a topic moves in that order at most once between two of them.
    round: u64,
    /// Bytes that they take.
    names: usize,
    payloads: usize,
    beyond: u64,
}

/// In which round a topic has changed, and which one it is.
type Change = (u64, u32);

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    messages: u64,
    payload: Vec<u8>,
    len: usize,
    qos: u8,
    retain: bool,
    is_retained: bool,
    at: u64,
    began: u64,
    changed: u64,
}

/// How far somebody has been told.
#[derive(Debug)]
pub(super) struct Look {
    seen: Change,
    /// What began before was there when the look began.
    began: u64,
    told: Marks,
    /// Whose rights are asked next.
    next: usize,
}

/// What there is to tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) topics: Vec<Told>,
    /// Were told, and may no longer be read.
    pub(crate) gone: Vec<Arc<str>>,
    /// There is more than this.
    pub(crate) is_more: bool,
}

/// A topic, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) topic: Arc<str>,
    /// Since there was somebody who looked on.
    pub(crate) messages: u64,
    /// Some of them came before this look began, or when they might not be read: they say nothing of a rate.
    pub(crate) are_old: bool,
    pub(crate) payload: Vec<u8>,
    /// Of the whole payload.
    pub(crate) len: usize,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// There is a retained message, this one or one before it.
    pub(crate) is_retained: bool,
    pub(crate) at: u64,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.gone.is_empty()
    }
}

impl Tree {
    /// Messages of topics for which there was no room.
    pub(super) const fn beyond(&self) -> u64 {
        self.beyond
    }

    pub(super) fn add(&mut self, heard: Heard<'_>) {
        let index = self.by_name.get(heard.topic).copied();
        let Some(index) = index.or_else(|| self.begin(heard)) else {
            self.beyond += 1;
            return;
        };
        let Some(topic) = self.topics.get_mut(index as usize) else {
            return;
        };
        self.payloads -= topic.payload.capacity();
        topic.take(heard, PAYLOADS_MAX - self.payloads);
        self.payloads += topic.payload.capacity();
        if topic.changed != self.round {
            self.changes.remove(&(topic.changed, index));
            topic.changed = self.round;
        }
        self.changes.insert((self.round, index));
    }

    /// A new topic, if there is room for it.
    fn begin(&mut self, heard: Heard<'_>) -> Option<u32> {
        let costs = heard.topic.len() + TOPIC_COSTS;
        if self.topics.len() >= TOPICS_MAX || self.names + costs > NAMES_MAX {
            return None;
        }
        let index = u32::try_from(self.topics.len()).ok()?;
        let name: Arc<str> = Arc::from(heard.topic);
        self.names += costs;
        self.by_name.insert(Arc::clone(&name), index);
        self.topics.push(Topic {
            name,
            messages: 0,
            payload: Vec::new(),
            len: 0,
            qos: 0,
            retain: false,
            is_retained: false,
            at: 0,
            began: self.round,
            changed: self.round,
        });
        Some(index)
    }

    /// Somebody begins to look, and has not been told of anything.
    pub(super) fn look(&mut self) -> Look {
        // What comes from here on is of another round.
        self.round += 1;
        Look {
            seen: (0, 0),
            began: self.round,
            told: Marks::default(),
            next: 0,
        }
    }

    /// What has changed since the last time and what rights have changed, as far as `room` for its bytes goes; one topic
    /// finds room in any case.
    pub(super) fn tell(
        &mut self,
        look: &mut Look,
        room: usize,
        may_read: impl Fn(&str) -> bool,
    ) -> News {
        let mut answer = Answer {
            news: News::default(),
            room,
        };
        let since = (Bound::Excluded(look.seen), Bound::Unbounded);
        for (looked_at, &change) in self.changes.range(since).enumerate() {
            let index = change.1 as usize;
            let Some(topic) = self.topics.get(index) else {
                continue;
            };
            if looked_at == LOOKED_AT_MAX || !answer.has_room(topic) {
                answer.news.is_more = true;
                break;
            }
            let is_old = topic.began < look.began;
            answer.add(topic, index, look, may_read(&topic.name), is_old);
            look.seen = change;
        }
        self.ask_again(&mut answer, look, may_read);
        // What has been told changes in a later one.
        self.round += 1;
        answer.news
    }

    /// Rights may have changed since a topic was last told, or not.
    fn ask_again(&self, answer: &mut Answer, look: &mut Look, may_read: impl Fn(&str) -> bool) {
        for _ in 0..ASKED_AGAIN.min(self.topics.len()) {
            look.next %= self.topics.len();
            let index = look.next;
            let Some(topic) = self.topics.get(index) else {
                return;
            };
            let is_due = (topic.changed, index_of(index)) > look.seen;
            let may_read = may_read(&topic.name);
            if !is_due && may_read != look.told.has(index) {
                if !answer.has_room(topic) {
                    answer.news.is_more = true;
                    return;
                }
                answer.add(topic, index, look, may_read, true);
            }
            look.next += 1;
        }
    }
}

/// There are fewer than [`TOPICS_MAX`].
fn index_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// An answer while it is made.
struct Answer {
    news: News,
    room: usize,
}

impl Answer {
    fn has_room(&self, topic: &Topic) -> bool {
        self.news.is_empty() || topic.costs() <= self.room
    }

    fn add(&mut self, topic: &Topic, index: usize, look: &mut Look, may_read: bool, is_old: bool) {
        let was_told = look.told.has(index);
        look.told.set(index, may_read);
        if may_read {
            self.news.topics.push(Told {
                topic: Arc::clone(&topic.name),
                messages: topic.messages,
                are_old: is_old && !was_told,
                payload: topic.payload.clone(),
                len: topic.len,
                qos: topic.qos,
                retain: topic.retain,
                is_retained: topic.is_retained,
                at: topic.at,
            });
        } else if was_told {
            self.news.gone.push(Arc::clone(&topic.name));
        } else {
            return;
        }
        self.room = self.room.saturating_sub(topic.costs());
    }
}

impl Topic {
    fn costs(&self) -> usize {
        self.name.len() + self.payload.len() + ENTRY_COSTS
    }

    fn take(&mut self, heard: Heard<'_>, room: usize) {
        self.messages += 1;
        self.len = heard.payload.len();
        self.qos = heard.qos;
        self.retain = heard.retain;
        if heard.retain {
            // [MQTT-3.3.1-6] An empty one takes the one before it away.
            self.is_retained = !heard.payload.is_empty();
        }
        self.at = heard.at;
        let kept = heard.payload.len().min(PAYLOAD_MAX).min(room);
        self.payload.clear();
        if self.payload.capacity() > kept.max(64) * 4 || self.payload.capacity() > room {
            self.payload = Vec::new();
        }
        self.payload.reserve_exact(kept);
        let beginning = heard.payload.get(..kept).unwrap_or_default();
        self.payload.extend_from_slice(beginning);
    }
}

/// Yes or no for each topic.
#[derive(Debug, Default)]
struct Marks(Vec<u64>);

impl Marks {
    fn has(&self, index: usize) -> bool {
        (self.0.get(index / 64)).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    fn set(&mut self, index: usize, is_set: bool) {
        if self.0.len() <= index / 64 {
            self.0.resize(index / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(index / 64) {
            let bit = 1 << (index % 64);
            *word = if is_set { *word | bit } else { *word & !bit };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 1024 * 1024;

    fn heard<'a>(topic: &'a str, payload: &'a str) -> Heard<'a> {
        Heard {
            topic,
            payload: payload.as_bytes(),
            qos: 0,
            retain: false,
            at: 1_000,
        }
    }

    fn names(news: &News) -> Vec<&str> {
        news.topics.iter().map(|told| &*told.topic).collect()
    }

    #[test]
    fn a_topic_is_told_once_however_often_it_changes() {
        let mut tree = Tree::default();
        let mut look = tree.look();
        for payload in ["1", "2", "3"] {
            tree.add(heard("a", payload));
        }
        tree.add(heard("b", "x"));
        let news = tree.tell(&mut look, ROOM, |_| true);
        assert_eq!(names(&news), ["a", "b"]);
        let a = news.topics.first().expect("told");
        assert_eq!((a.messages, &*a.payload, a.are_old), (3, &b"3"[..], false));
        assert!(tree.tell(&mut look, ROOM, |_| true).is_empty());
        tree.add(heard("a", "4"));
        let news = tree.tell(&mut look, ROOM, |_| true);
        assert_eq!(names(&news), ["a"]);
    }

    #[test]
    fn who_comes_later_is_told_everything_and_what_of_it_is_old() {
        let mut tree = Tree::default();
        let mut first = tree.look();
        tree.add(heard("a", "1"));
        tree.add(heard("b", "1"));
        assert_eq!(tree.tell(&mut first, ROOM, |_| true).topics.len(), 2);
        let mut second = tree.look();
        tree.add(heard("a", "2"));
        tree.add(heard("c", "1"));
        let news = tree.tell(&mut second, ROOM, |_| true);
        let told: Vec<_> = (news.topics.iter())
            .map(|told| (&*told.topic, told.are_old))
            .collect();
        assert_eq!(told, [("b", true), ("a", true), ("c", false)]);
        assert_eq!(names(&tree.tell(&mut first, ROOM, |_| true)), ["a", "c"]);
    }

    #[test]
    fn an_answer_is_bounded_and_the_next_one_goes_on() {
        let mut tree = Tree::default();
        let mut look = tree.look();
        let payload = "x".repeat(1_000);
        for index in 0..100 {
            tree.add(heard(&format!("t/{index:02}"), &payload));
        }
        let mut told = Vec::new();
        loop {
            let news = tree.tell(&mut look, 10_000, |_| true);
            assert!(news.topics.len() < 10);
            told.extend(news.topics.iter().map(|told| told.topic.to_string()));
            // What changes meanwhile has its turn behind the others.
            tree.add(heard("t/00", "y"));
            if !news.is_more {
                break;
            }
        }
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 100);
    }

    #[test]
    fn one_topic_finds_room_in_any_answer() {
        let mut tree = Tree::default();
        let mut look = tree.look();
        tree.add(heard("a", "payload"));
        tree.add(heard("b", "payload"));
        assert_eq!(names(&tree.tell(&mut look, 0, |_| true)), ["a"]);
        assert_eq!(names(&tree.tell(&mut look, 0, |_| true)), ["b"]);
    }

    #[test]
    fn a_retained_message_stays_until_an_empty_one() {
        let mut tree = Tree::default();
        let mut look = tree.look();
        let mut state = |payload, retain| {
            tree.add(Heard {
                retain,
                ..heard("a", payload)
            });
            let news = tree.tell(&mut look, ROOM, |_| true);
            let a = news.topics.first().expect("told");
            (a.retain, a.is_retained)
        };
        assert_eq!(state("kept", true), (true, true));
        assert_eq!(state("passing", false), (false, true));
        assert_eq!(state("", false), (false, true));
        assert_eq!(state("", true), (true, false));
    }

    #[test]
    fn of_a_payload_the_beginning_is_kept_and_its_length() {
        let mut tree = Tree::default();
        let mut look = tree.look();
        tree.add(heard("a", &"x".repeat(PAYLOAD_MAX + 1)));
        let news = tree.tell(&mut look, ROOM, |_| true);
        let a = news.topics.first().expect("told");
        assert_eq!((a.payload.len(), a.len), (PAYLOAD_MAX, PAYLOAD_MAX + 1));
    }

    #[test]
    fn topics_beyond_the_bound_are_counted() {
        let mut tree = Tree::default();
        for index in 0..TOPICS_MAX + 3 {
            tree.add(heard(&index.to_string(), ""));
        }
        assert_eq!((tree.topics.len(), tree.beyond()), (TOPICS_MAX, 3));
        tree.add(heard("7", "known"));
        assert_eq!(tree.beyond(), 3);
    }

    #[test]
    fn payloads_are_cut_when_their_bytes_are_used_up() {
        let mut tree = Tree::default();
        let payload = "x".repeat(PAYLOAD_MAX);
        let fit = PAYLOADS_MAX / PAYLOAD_MAX;
        for index in 0..fit + 1_000 {
            tree.add(heard(&index.to_string(), &payload));
            assert!(tree.payloads <= PAYLOADS_MAX);
        }
        // A large one finds room where a large one was.
        tree.add(heard("0", &"y".repeat(PAYLOAD_MAX)));
        let kept = |index: usize| tree.topics.get(index).map(|topic| topic.payload.len());
        assert_eq!((kept(0), kept(fit)), (Some(PAYLOAD_MAX), Some(0)));
    }

    #[test]
    fn names_are_bounded_too() {
        let mut tree = Tree::default();
        let long = "x".repeat(65_000);
        for index in 0..NAMES_MAX / long.len() + 10 {
            tree.add(heard(&format!("{index}{long}"), ""));
            assert!(tree.names <= NAMES_MAX);
        }
        assert!(tree.beyond() >= 9);
    }

    #[test]
    fn a_change_of_rights_is_told_without_news_of_the_topic() {
        let mut tree = Tree::default();
        let mut look = tree.look();
        tree.add(heard("open", "1"));
        tree.add(heard("secret", "1"));
        let news = tree.tell(&mut look, ROOM, |topic| topic == "open");
        assert_eq!((names(&news), news.gone.len()), (vec!["open"], 0));
        let news = tree.tell(&mut look, ROOM, |topic| topic == "secret");
        assert_eq!(names(&news), ["secret"]);
        assert_eq!(news.gone, [Arc::from("open")]);
        assert!(news.topics.iter().all(|told| told.are_old));
        assert!(
            tree.tell(&mut look, ROOM, |topic| topic == "secret")
                .is_empty()
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Hear(u8, u8),
        Tell(usize),
        Rights(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..12_u8, any::<u8>()).prop_map(|(topic, byte)| Step::Hear(topic, byte)),
            2 => (0..1_000_usize).prop_map(Step::Tell),
            1 => any::<u8>().prop_map(Step::Rights),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Whatever happens, who is told to the end knows what there is that he may read, and nothing else.
        #[test]
        fn in_the_end_somebody_knows_all_that_he_may_read(steps in steps()) {
            let mut tree = Tree::default();
            let mut look = tree.look();
            let mut truth = BTreeMap::new();
            let mut known = BTreeMap::new();
            let mut rights = u8::MAX;
            let mut hear_news = |tree: &mut Tree, rights: u8, room| {
                let may_read = |topic: &str| {
                    let number: u8 = topic.parse().expect("a number");
                    rights >> (number % 8) & 1 == 1
                };
                let news = tree.tell(&mut look, room, may_read);
                for topic in &news.gone {
                    prop_assert!(known.remove(&topic.to_string()).is_some());
                }
                for told in &news.topics {
                    prop_assert!(may_read(&told.topic));
                    known.insert(told.topic.to_string(), (told.messages, told.payload.clone()));
                }
                Ok((known.clone(), news.is_empty() && !news.is_more))
            };
            for step in steps {
                match step {
                    Step::Hear(topic, byte) => {
                        let name = topic.to_string();
                        tree.add(Heard { payload: &[byte], ..heard(&name, "") });
                        let entry = truth.entry(name).or_insert((0, Vec::new()));
                        *entry = (entry.0 + 1, vec![byte]);
                    }
                    Step::Tell(room) => drop(hear_news(&mut tree, rights, room)?),
                    Step::Rights(new) => rights = new,
                }
            }
            let known = loop {
                let (known, is_all) = hear_news(&mut tree, rights, 300)?;
                if is_all {
                    break known;
                }
            };
            truth.retain(|topic, _| {
                let number: u8 = topic.parse().expect("a number");
                rights >> (number % 8) & 1 == 1
            });
            prop_assert_eq!(known, truth);
        }
    }
}
