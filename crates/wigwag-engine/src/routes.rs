//! The subscription index: which sessions of which shards want a topic.
//!
//! Filters without wildcards are looked up, the others stand in a trie of levels. Both share their
//! structure between versions, so a change costs the path to one filter and readers keep the version
//! they have: a shard routes on a snapshot and takes no lock.
//!
//! **Invariant:** the trie is as deep as the deepest filter, which `DecodeLimits::topic_levels_max`
//! bounds where filters come from. Nothing here recurses, but dropping a version does.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};
use wigwag_proto::packet::SubscriptionOptions;
use wigwag_proto::{TopicFilter, TopicName};

use crate::node::{Hasher, ShardId};
use crate::session::SessionKey;

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Target {
    pub shard: ShardId,
    pub session: SessionKey,
}

/// What a subscription grants: its options, and the identifier that its messages carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Grant {
    pub options: SubscriptionOptions,
    pub identifier: Option<NonZeroU32>,
}

type Map<V> = GenericHashMap<Arc<str>, V, Hasher, DefaultSharedPtr>;
type Grants = OrdMap<Target, Grant>;

/// One version of the index.
#[derive(Clone, Debug)]
pub struct Index {
    generation: u64,
    subscriptions: usize,
    exact: Map<Grants>,
    wildcard: Level,
    hasher: Hasher,
}

/// The filters that share a beginning.
#[derive(Clone, Debug)]
struct Level {
    /// By the text of the next level, `+` among them.
    next: Map<Arc<Level>>,
    /// Of the filter that ends here.
    here: Grants,
    /// Of the filter that goes on with `#`.
    rest: Grants,
}

impl Level {
    fn new(hasher: &Hasher) -> Level {
        Level {
            next: Map::with_hasher(hasher.clone()),
            here: Grants::new(),
            rest: Grants::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.next.is_empty() && self.here.is_empty() && self.rest.is_empty()
    }
}

impl Index {
    fn new(hasher: Hasher) -> Index {
        Index {
            generation: 0,
            subscriptions: 0,
            exact: Map::with_hasher(hasher.clone()),
            wildcard: Level::new(&hasher),
            hasher,
        }
    }

    /// Changes with every change of the index; what was computed from an older version is stale.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Subscriptions in the index.
    pub fn len(&self) -> usize {
        self.subscriptions
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.subscriptions == 0
    }

    fn subscribe(&mut self, filter: TopicFilter<'_>, target: Target, grant: Grant) {
        let replaced = if filter.has_wildcard() {
            let (mut level, hasher) = (&mut self.wildcard, &self.hasher);
            let (path, multi) = split_multi(filter);
            for text in path {
                let below = level
                    .next
                    .entry(text.into())
                    .or_insert_with(|| Arc::new(Level::new(hasher)));
                level = Arc::make_mut(below);
            }
            let grants = if multi {
                &mut level.rest
            } else {
                &mut level.here
            };
            grants.insert(target, grant)
        } else {
            self.exact
                .entry(filter.as_str().into())
                .or_default()
                .insert(target, grant)
        };
        self.subscriptions += usize::from(replaced.is_none());
    }

    fn unsubscribe(&mut self, filter: TopicFilter<'_>, target: Target) {
        let removed = if filter.has_wildcard() {
            self.remove_wildcard(filter, target)
        } else {
            let Some(grants) = self.exact.get_mut(filter.as_str()) else {
                return;
            };
            let removed = grants.remove(&target).is_some();
            if grants.is_empty() {
                self.exact.remove(filter.as_str());
            }
            removed
        };
        self.subscriptions -= usize::from(removed);
    }

    fn remove_wildcard(&mut self, filter: TopicFilter<'_>, target: Target) -> bool {
        let (path, multi) = split_multi(filter);
        let path: Vec<&str> = path.collect();
        // The branch that the filter alone holds up: from below this depth everything would be empty.
        let mut keep = 0;
        let mut level = &mut self.wildcard;
        for (depth, text) in path.iter().enumerate() {
            if !(level.next.len() == 1 && level.here.is_empty() && level.rest.is_empty()) {
                keep = depth;
            }
            match level.next.get_mut(*text) {
                Some(below) => level = Arc::make_mut(below),
                None => return false,
            }
        }
        let grants = if multi {
            &mut level.rest
        } else {
            &mut level.here
        };
        let removed = grants.remove(&target).is_some();
        if level.is_empty() && !path.is_empty() {
            let mut level = &mut self.wildcard;
            for text in path.iter().take(keep) {
                match level.next.get_mut(*text) {
                    Some(below) => level = Arc::make_mut(below),
                    None => return removed,
                }
            }
            if let Some(text) = path.get(keep) {
                level.next.remove(*text);
            }
        }
        removed
    }

    /// Calls `found` for every subscription that matches; a session with several is found as often.
    pub fn for_each_match(&self, topic: TopicName<'_>, mut found: impl FnMut(Target, &Grant)) {
        let mut all = |grants: &Grants| {
            grants
                .iter()
                .for_each(|(&target, grant)| found(target, grant));
        };
        if let Some(grants) = self.exact.get(topic.as_str()) {
            all(grants);
        }
        if self.wildcard.is_empty() {
            return;
        }
        let mut branches = vec![(&self.wildcard, Some(topic.as_str()))];
        // [MQTT-4.7.2-1]: filters that begin with a wildcard do not match names that begin with `$`.
        let mut wildcard_allowed = !topic.is_reserved();
        while let Some((level, rest)) = branches.pop() {
            if wildcard_allowed {
                all(&level.rest);
            }
            match rest {
                None => all(&level.here),
                Some(rest) => {
                    let (text, below) = match rest.split_once('/') {
                        Some((text, below)) => (text, Some(below)),
                        None => (rest, None),
                    };
                    let plus = if wildcard_allowed {
                        level.next.get("+")
                    } else {
                        None
                    };
                    let literal = level.next.get(text);
                    branches.extend(
                        plus.into_iter()
                            .chain(literal)
                            .map(|level| (&**level, below)),
                    );
                }
            }
            wildcard_allowed = true;
        }
    }
}

/// The levels of a filter before a `#`, and whether there is one.
fn split_multi(filter: TopicFilter<'_>) -> (impl Iterator<Item = &str>, bool) {
    let text = filter.as_str();
    let (path, multi) = match text.strip_suffix('#') {
        Some(path) => (path.strip_suffix('/'), true),
        None => (Some(text), false),
    };
    (path.into_iter().flat_map(|path| path.split('/')), multi)
}

/// The index that the shards of a node share: one writer at a time, readers never wait.
#[derive(Debug)]
pub struct RouteTable {
    latest: Mutex<Index>,
    snapshot: ArcSwap<Index>,
}

impl RouteTable {
    pub(crate) fn new(seed: u64) -> RouteTable {
        let index = Index::new(Hasher::with_seed(seed));
        RouteTable {
            snapshot: ArcSwap::from_pointee(index.clone()),
            latest: Mutex::new(index),
        }
    }

    /// The latest published version.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Index>> {
        self.snapshot.load()
    }

    /// Makes changes and publishes them together, before it returns.
    pub(crate) fn change(&self, changes: impl FnOnce(&mut Change<'_>)) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        changes(&mut Change { index: &mut latest });
        latest.generation += 1;
        self.snapshot.store(Arc::new(latest.clone()));
    }
}

/// Changes of the index that are published together.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    index: &'a mut Index,
}

impl Change<'_> {
    /// Adds the subscription, or replaces the one that the session has with this filter.
    pub(crate) fn subscribe(&mut self, filter: TopicFilter<'_>, target: Target, grant: Grant) {
        self.index.subscribe(filter, target, grant);
    }

    pub(crate) fn unsubscribe(&mut self, filter: TopicFilter<'_>, target: Target) {
        self.index.unsubscribe(filter, target);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn target(n: u64) -> Target {
        Target {
            shard: ShardId(0),
            session: SessionKey::from(slotmap::KeyData::from_ffi(n + (1 << 32))),
        }
    }

    fn grant() -> Grant {
        Grant {
            options: SubscriptionOptions::default(),
            identifier: None,
        }
    }

    fn matches(index: &Index, topic: &str) -> Vec<Target> {
        let mut found = Vec::new();
        index.for_each_match(TopicName::new(topic).expect("valid"), |target, _| {
            found.push(target);
        });
        found.sort_unstable();
        found
    }

    #[test]
    fn a_subscription_of_the_same_filter_is_replaced() {
        let mut index = Index::new(Hasher::with_seed(1));
        for filter in ["a/b", "a/+", "a/#"] {
            let filter = TopicFilter::new(filter).expect("valid");
            index.subscribe(filter, target(1), grant());
            index.subscribe(filter, target(1), grant());
        }
        assert_eq!(index.len(), 3);
        assert_eq!(matches(&index, "a/b"), [target(1); 3]);
    }

    #[test]
    fn a_reader_keeps_the_version_it_has() {
        let table = RouteTable::new(1);
        let filter = TopicFilter::new("+/x").expect("valid");
        let before = table.snapshot();
        table.change(|change| change.subscribe(filter, target(1), grant()));
        assert!(matches(&before, "a/x").is_empty());
        assert_eq!(matches(&table.snapshot(), "a/x"), [target(1)]);
        assert_ne!(before.generation(), table.snapshot().generation());
    }

    #[test]
    fn empty_branches_are_removed() {
        let mut index = Index::new(Hasher::with_seed(1));
        let filters = ["a/+/c/d", "a/+/x", "#", "a/#", "+"]
            .map(|text| TopicFilter::new(text).expect("valid"));
        filters
            .iter()
            .for_each(|&filter| index.subscribe(filter, target(1), grant()));
        filters
            .iter()
            .for_each(|&filter| index.unsubscribe(filter, target(1)));
        assert!(index.wildcard.is_empty());
        assert!(index.is_empty());
    }

    fn filter_texts() -> impl Strategy<Value = String> {
        let level = prop_oneof![Just("a"), Just("b"), Just(""), Just("+"), Just("$s")];
        (prop::collection::vec(level, 1..4), any::<bool>()).prop_map(|(levels, multi)| {
            let text = levels.join("/");
            if multi { format!("{text}/#") } else { text }
        })
    }

    proptest! {
        /// After any changes, the index finds what a list of filters finds, and forgets what it should.
        #[test]
        fn the_index_agrees_with_a_list(
            changes in prop::collection::vec((filter_texts(), 0_u64..3, any::<bool>()), 1..40),
            topics in prop::collection::vec("(a|b||\\$s)(/(a|b|)){0,3}", 1..10),
        ) {
            let mut index = Index::new(Hasher::with_seed(7));
            let mut list: BTreeMap<(String, u64), ()> = BTreeMap::new();
            for (text, n, add) in changes {
                let Ok(filter) = TopicFilter::new(&text) else { continue };
                if add {
                    index.subscribe(filter, target(n), grant());
                    list.insert((text, n), ());
                } else {
                    index.unsubscribe(filter, target(n));
                    list.remove(&(text, n));
                }
            }
            prop_assert_eq!(index.len(), list.len());
            for topic in topics.iter().filter(|topic| !topic.is_empty()) {
                let name = TopicName::new(topic).expect("valid");
                let mut expect: Vec<Target> = list.keys()
                    .filter(|(text, _)| TopicFilter::new(text).expect("valid").matches(name))
                    .map(|&(_, n)| target(n))
                    .collect();
                expect.sort_unstable();
                prop_assert_eq!(matches(&index, topic), expect, "{}", topic);
            }
            for (text, n) in list.into_keys() {
                index.unsubscribe(TopicFilter::new(&text).expect("valid"), target(n));
            }
            prop_assert!(index.wildcard.is_empty() && index.exact.is_empty());
        }
    }
}
