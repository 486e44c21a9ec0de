//! Which subscriptions a topic is for: an index over the wanted filters, and a memory of the topics
//! that came last.
//!
//! `TopicFilter::matches` is the definition of matching; here is a fast way to the same answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use wigwag_proto::{TopicFilter, TopicName};

use super::subscriptions::Key;

/// Topics that are remembered.
const SLOTS: usize = 32;

/// The longest topic that is remembered, in bytes.
const REMEMBERED_LEN_MAX: usize = 128;

/// The most subscriptions that are remembered with a topic.
const REMEMBERED_KEYS_MAX: usize = 8;

/// The most levels of a filter in the tree. Those with more are tried one by one, because the tree must
/// not become deeper than the stack.
const LEVELS_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Topics {
    root: Node,
    deep: Vec<(Arc<str>, Key)>,
    /// Each topic has one slot that it can be in. Empty until the first message comes.
    recent: Vec<Option<Recent>>,
}

/// The filters that begin with the same levels.
#[derive(Default)]
struct Node {
    levels: BTreeMap<Box<str>, Node>,
    /// Behind the wildcard `+`.
    any: Option<Box<Node>>,
    /// Of filters that end here.
    keys: Vec<Key>,
    /// Of filters that end here with `#`.
    below: Vec<Key>,
}

/// A topic, and what it is for.
struct Recent {
    topic: Arc<str>,
    keys: Box<[Key]>,
}

impl Topics {
    pub(super) fn insert(&mut self, filter: &Arc<str>, key: Key) {
        self.recent = Vec::new();
        match path(filter) {
            Some(path) => self.root.insert(Some(path), key),
            None => self.deep.push((filter.clone(), key)),
        }
    }

    pub(super) fn remove(&mut self, filter: &str, key: Key) {
        self.recent = Vec::new();
        match path(filter) {
            Some(path) => self.root.remove(Some(path), key),
            None => self.deep.retain(|(_, own)| *own != key),
        }
    }

    /// Adds the subscriptions whose filters match to `keys`, which is empty, in their order. Gives the
    /// topic back as a text that many messages can share.
    pub(super) fn matching(&mut self, topic: TopicName<'_>, keys: &mut Vec<Key>) -> Arc<str> {
        let name = topic.as_str();
        let slot = slot_of(name);
        if let Some(Some(recent)) = self.recent.get(slot)
            && *recent.topic == *name
        {
            keys.extend_from_slice(&recent.keys);
            return recent.topic.clone();
        }
        // [MQTT-4.7.2-1]
        self.root.collect(Some(name), !topic.is_reserved(), keys);
        let matches = |filter| TopicFilter::new(filter).is_ok_and(|own| own.matches(topic));
        let deep = self.deep.iter().filter(|(filter, _)| matches(filter));
        keys.extend(deep.map(|(_, key)| *key));
        keys.sort_unstable();
        let topic = Arc::from(name);
        if name.len() <= REMEMBERED_LEN_MAX && keys.len() <= REMEMBERED_KEYS_MAX {
            self.remember(slot, &topic, keys);
        }
        topic
    }

    fn remember(&mut self, slot: usize, topic: &Arc<str>, keys: &[Key]) {
        if self.recent.is_empty() {
            self.recent.resize_with(SLOTS, || None);
        }
        if let Some(slot) = self.recent.get_mut(slot) {
            *slot = Some(Recent {
                topic: topic.clone(),
                keys: keys.into(),
            });
        }
    }
}

impl Node {
    /// `rest` has the levels of the filter from here on; none at its end.
    fn insert(&mut self, rest: Option<&str>, key: Key) {
        match rest.map(split) {
            None => self.keys.push(key),
            Some(("#", _)) => self.below.push(key),
            Some(("+", rest)) => self.any.get_or_insert_default().insert(rest, key),
            Some((level, rest)) => match self.levels.get_mut(level) {
                Some(node) => node.insert(rest, key),
                None => {
                    let node = self.levels.entry(level.into()).or_default();
                    node.insert(rest, key);
                }
            },
        }
    }

    fn remove(&mut self, rest: Option<&str>, key: Key) {
        match rest.map(split) {
            None => self.keys.retain(|own| *own != key),
            Some(("#", _)) => self.below.retain(|own| *own != key),
            Some(("+", rest)) => {
                if let Some(node) = &mut self.any {
                    node.remove(rest, key);
                }
                self.any.take_if(|node| node.is_empty());
            }
            Some((level, rest)) => {
                if let Some(node) = self.levels.get_mut(level) {
                    node.remove(rest, key);
                    if node.is_empty() {
                        self.levels.remove(level);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.levels.is_empty()
            && self.any.is_none()
            && self.keys.is_empty()
            && self.below.is_empty()
    }

    /// `rest` has the levels of the topic from here on; none at its end.
    fn collect(&self, rest: Option<&str>, with_wildcards: bool, keys: &mut Vec<Key>) {
        if with_wildcards {
            keys.extend_from_slice(&self.below);
        }
        let Some((level, rest)) = rest.map(split) else {
            return keys.extend_from_slice(&self.keys);
        };
        if with_wildcards && let Some(node) = &self.any {
            node.collect(rest, true, keys);
        }
        if let Some(node) = self.levels.get(level) {
            node.collect(rest, true, keys);
        }
    }
}

/// The first level, and what follows it.
fn split(levels: &str) -> (&str, Option<&str>) {
    match levels.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (levels, None),
    }
}

/// What a filter matches with, if it has a place in the tree.
fn path(filter: &str) -> Option<&str> {
    let filter = TopicFilter::new(filter).ok()?;
    let filter = filter.share().map_or(filter, |(_, filter)| filter);
    (filter.levels().count() <= LEVELS_MAX).then_some(filter.as_str())
}

/// Where a topic may be remembered. It need not be hard to guess: whoever makes topics collide makes
/// them be looked up in the tree.
fn slot_of(topic: &str) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = topic.len() as u64;
    let (words, rest) = topic.as_bytes().as_chunks::<8>();
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        hash ^= hash >> 32;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(FACTOR);
    }
    (hash >> 32) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A random topic or filter of a few levels out of a small alphabet.
    fn random(random: &mut fastrand::Rng, alphabet: &[&str]) -> String {
        let levels: Vec<&str> = (0..random.usize(1..5))
            .map(|_| *random.choice(alphabet).expect("not empty"))
            .collect();
        levels.join("/")
    }

    #[test]
    fn the_index_finds_what_the_definition_finds() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut topics = Topics::default();
            let mut filters: Vec<(Arc<str>, Key)> = Vec::new();
            for key in 1..60 {
                let mut filter = random(&mut rng, &["a", "b", "", "$s", "+"]);
                match rng.u8(..8) {
                    0 => filter.push_str("/#"),
                    1 => filter = format!("$share/group/{filter}"),
                    2 => filter = "a/".repeat(LEVELS_MAX) + &filter,
                    3 if !filters.is_empty() => {
                        let (filter, key) = filters.swap_remove(rng.usize(..filters.len()));
                        topics.remove(&filter, key);
                    }
                    _ => {}
                }
                if TopicFilter::new(&filter).is_ok() {
                    topics.insert(&filter.clone().into(), key);
                    filters.push((filter.into(), key));
                }
                let mut name = random(&mut rng, &["a", "b", "", "$s"]);
                if rng.u8(..4) == 0 {
                    name = "a/".repeat(LEVELS_MAX) + &name;
                }
                let Ok(topic) = TopicName::new(&name) else {
                    continue;
                };
                let mut expect: Vec<Key> = (filters.iter())
                    .filter(|(own, _)| TopicFilter::new(own).expect("valid").matches(topic))
                    .map(|(_, key)| *key)
                    .collect();
                expect.sort_unstable();
                for _ in 0..2 {
                    let mut keys = Vec::new();
                    assert_eq!(*topics.matching(topic, &mut keys), *name);
                    assert_eq!(keys, expect, "{name} in {filters:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut topics = Topics::default();
        let filters = ["a/b/c", "a/+/c/#", "$share/g/a", "#"].map(Arc::from);
        for (key, filter) in (1..).zip(&filters) {
            topics.insert(filter, key);
        }
        for (key, filter) in (1..).zip(&filters) {
            topics.remove(filter, key);
        }
        assert!(topics.root.is_empty());
    }
}
