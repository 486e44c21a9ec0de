//! The subscription index: which sessions of which shards want a topic.
//!
//! Filters without wildcards are looked up, the others stand in a trie of levels. Both share their
//! structure between versions, so a change costs the path to one filter and readers keep the version
//! they have: a shard routes on a snapshot and takes no lock. A shared subscription stands beside the
//! others of its filter, as a [`Group`] of members.
//!
//! **Invariant:** the trie is as deep as the deepest filter, which `DecodeLimits::topic_levels_max`
//! bounds where filters come from. Nothing here recurses, but dropping a version does.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};
use wigwag_proto::packet::SubscriptionOptions;
use wigwag_proto::{Qos, TopicFilter, TopicName};

use crate::node::{Hasher, ShardId};
use crate::session::SessionKey;
use crate::share::Readiness;

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

/// A subscription, for people who ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Subscribed {
    /// Without `$share/name/`.
    pub filter: String,
    /// The name of a shared one.
    pub share: Option<Arc<str>>,
    pub target: Target,
    pub qos: Qos,
}

/// The members of one shared subscription: each message goes to one of them.
#[derive(Clone, Debug)]
pub struct Group {
    /// The filter with its `$share/name/`.
    pub(crate) filter: Arc<str>,
    /// Counts the messages, so that the members take turns.
    pub(crate) turn: Arc<AtomicUsize>,
    pub(crate) members: OrdMap<Target, Member>,
    /// How many have ever been members.
    joined: u64,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) grant: Grant,
    /// Kept up to date by the member's shard.
    pub(crate) readiness: Arc<Readiness>,
    /// The group numbers its members as they come.
    pub(crate) number: u64,
}

/// What matches a topic.
pub(crate) enum Match<'a> {
    Subscription(Target, &'a Grant),
    Group(&'a Group),
}

type Map<V> = GenericHashMap<Arc<str>, V, Hasher, DefaultSharedPtr>;

/// The subscriptions of one filter.
#[derive(Clone, Debug, Default)]
struct Leaf {
    grants: OrdMap<Target, Grant>,
    /// By the name of the share.
    groups: OrdMap<Arc<str>, Group>,
}

impl Leaf {
    fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.groups.is_empty()
    }

    fn for_each<'a>(&'a self, found: &mut impl FnMut(Match<'a>)) {
        self.grants
            .iter()
            .for_each(|(&target, grant)| found(Match::Subscription(target, grant)));
        self.groups
            .values()
            .for_each(|group| found(Match::Group(group)));
    }

    fn list(&self, filter: &str) -> impl Iterator<Item = Subscribed> {
        let listed = move |target: &Target, grant: &Grant, share: Option<&Arc<str>>| Subscribed {
            filter: filter.to_owned(),
            share: share.cloned(),
            target: *target,
            qos: grant.options.qos,
        };
        let own = self.grants.iter();
        let own = own.map(move |(target, grant)| listed(target, grant, None));
        let shared = self.groups.iter().flat_map(move |(name, group)| {
            let members = group.members.iter();
            members.map(move |(target, member)| listed(target, &member.grant, Some(name)))
        });
        own.chain(shared)
    }

    /// Adds a member; whether it is new.
    fn join(&mut self, filter: TopicFilter<'_>, target: Target, member: Member) -> bool {
        let Some((name, _)) = filter.share() else {
            return false;
        };
        if !self.groups.contains_key(name) {
            let group = Group {
                filter: filter.as_str().into(),
                turn: Arc::default(),
                members: OrdMap::new(),
                joined: 0,
            };
            self.groups.insert(name.into(), group);
        }
        let group = self.groups.get_mut(name);
        group.is_some_and(|group| group.admit(target, member))
    }

    /// Removes a member; whether it was one.
    fn leave(&mut self, name: &str, target: Target) -> bool {
        let Some(group) = self.groups.get_mut(name) else {
            return false;
        };
        let removed = group.members.remove(&target).is_some();
        if group.members.is_empty() {
            self.groups.remove(name);
        }
        removed
    }
}

impl Group {
    /// Adds a member, or changes one, which keeps its number; whether it is new.
    fn admit(&mut self, target: Target, mut member: Member) -> bool {
        let known = self.members.get(&target);
        member.number = known.map_or(self.joined, |known| known.number);
        self.joined += u64::from(known.is_none());
        self.members.insert(target, member).is_none()
    }
}

/// One version of the index.
#[derive(Clone, Debug)]
pub struct Index {
    generation: u64,
    subscriptions: usize,
    /// Those of them that are memberships in groups.
    memberships: usize,
    exact: Map<Leaf>,
    wildcard: Level,
    hasher: Hasher,
}

/// The filters that share a beginning.
#[derive(Clone, Debug, Default)]
struct Level {
    next: Branches,
    /// Of the filter that ends here.
    here: Leaf,
    /// Of the filter that goes on with `#`.
    rest: Leaf,
}

/// The levels below one, by their texts, `+` among them. Most have one or none, and would be a hundred times
/// as large with a table.
#[derive(Clone, Debug, Default)]
enum Branches {
    #[default]
    None,
    One(Arc<str>, Arc<Level>),
    Many(Map<Arc<Level>>),
}

impl Branches {
    fn len(&self) -> usize {
        match self {
            Branches::None => 0,
            Branches::One(..) => 1,
            Branches::Many(levels) => levels.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, text: &str) -> Option<&Arc<Level>> {
        match self {
            Branches::One(name, level) if **name == *text => Some(level),
            Branches::None | Branches::One(..) => None,
            Branches::Many(levels) => levels.get(text),
        }
    }

    fn get_mut(&mut self, text: &str) -> Option<&mut Arc<Level>> {
        match self {
            Branches::One(name, level) if **name == *text => Some(level),
            Branches::None | Branches::One(..) => None,
            Branches::Many(levels) => levels.get_mut(text),
        }
    }

    /// In any order.
    fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Level>)> {
        let (one, many) = match self {
            Branches::None => (None, None),
            Branches::One(name, level) => (Some((name, level)), None),
            Branches::Many(levels) => (None, Some(levels)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The level of this text, which is made if it is not there.
    fn get_or_insert(&mut self, text: &str, hasher: &Hasher) -> &mut Arc<Level> {
        if let Branches::One(name, _) = self
            && **name != *text
        {
            self.grow(hasher);
        }
        if self.is_empty() {
            *self = Branches::One(text.into(), Arc::default());
        }
        match self {
            Branches::None => unreachable!("there is one level at least"),
            Branches::One(_, level) => level,
            Branches::Many(levels) => levels.entry(text.into()).or_default(),
        }
    }

    /// Makes a table of one level.
    fn grow(&mut self, hasher: &Hasher) {
        if let Branches::One(name, level) = std::mem::take(self) {
            let mut levels = Map::with_hasher(hasher.clone());
            levels.insert(name, level);
            *self = Branches::Many(levels);
        }
    }

    fn remove(&mut self, text: &str) {
        match self {
            Branches::One(name, _) if **name == *text => *self = Branches::None,
            Branches::None | Branches::One(..) => {}
            Branches::Many(levels) => {
                levels.remove(text);
                if levels.is_empty() {
                    *self = Branches::None;
                }
            }
        }
    }
}

impl Level {
    fn is_empty(&self) -> bool {
        self.next.is_empty() && self.here.is_empty() && self.rest.is_empty()
    }
}

impl Index {
    fn new(hasher: Hasher) -> Index {
        Index {
            generation: 0,
            subscriptions: 0,
            memberships: 0,
            exact: Map::with_hasher(hasher.clone()),
            wildcard: Level::default(),
            hasher,
        }
    }

    /// Changes with every change of the index; what was computed from an older version is stale.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Subscriptions in the index, shared ones with them.
    pub fn len(&self) -> usize {
        self.subscriptions
    }

    /// Memberships in shared subscriptions.
    pub fn shared_len(&self) -> usize {
        self.memberships
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.subscriptions == 0
    }

    fn subscribe(&mut self, filter: TopicFilter<'_>, target: Target, grant: Grant) {
        let replaced = self.leaf_mut(filter).grants.insert(target, grant);
        self.subscriptions += usize::from(replaced.is_none());
    }

    /// Adds a member to the group of a shared subscription, or replaces its grant.
    fn join(&mut self, filter: TopicFilter<'_>, target: Target, member: Member) {
        let Some((_, shared)) = filter.share() else {
            return;
        };
        let is_new = self.leaf_mut(shared).join(filter, target, member);
        self.subscriptions += usize::from(is_new);
        self.memberships += usize::from(is_new);
    }

    fn unsubscribe(&mut self, filter: TopicFilter<'_>, target: Target) {
        let removed = match filter.share() {
            Some((name, shared)) => {
                let left = self.remove(shared, |leaf| leaf.leave(name, target));
                self.memberships -= usize::from(left);
                left
            }
            None => self.remove(filter, |leaf| leaf.grants.remove(&target).is_some()),
        };
        self.subscriptions -= usize::from(removed);
    }

    /// The group of a shared subscription.
    pub(crate) fn group(&self, filter: TopicFilter<'_>) -> Option<&Group> {
        let (name, shared) = filter.share()?;
        if !shared.has_wildcard() {
            return self.exact.get(shared.as_str())?.groups.get(name);
        }
        let (path, multi) = split_multi(shared);
        let mut level = &self.wildcard;
        for text in path {
            level = level.next.get(text)?;
        }
        let leaf = if multi { &level.rest } else { &level.here };
        leaf.groups.get(name)
    }

    /// The place of a filter that is not shared.
    fn leaf_mut(&mut self, filter: TopicFilter<'_>) -> &mut Leaf {
        if !filter.has_wildcard() {
            return self.exact.entry(filter.as_str().into()).or_default();
        }
        let (mut level, hasher) = (&mut self.wildcard, &self.hasher);
        let (path, multi) = split_multi(filter);
        for text in path {
            level = Arc::make_mut(level.next.get_or_insert(text, hasher));
        }
        if multi {
            &mut level.rest
        } else {
            &mut level.here
        }
    }

    /// Removes something from the place of a filter, and the place if nothing is left there.
    fn remove(&mut self, filter: TopicFilter<'_>, take: impl FnOnce(&mut Leaf) -> bool) -> bool {
        if filter.has_wildcard() {
            return self.remove_wildcard(filter, take);
        }
        let Some(leaf) = self.exact.get_mut(filter.as_str()) else {
            return false;
        };
        let removed = take(leaf);
        if leaf.is_empty() {
            self.exact.remove(filter.as_str());
        }
        removed
    }

    fn remove_wildcard(
        &mut self,
        filter: TopicFilter<'_>,
        take: impl FnOnce(&mut Leaf) -> bool,
    ) -> bool {
        let (path, multi) = split_multi(filter);
        let path: Vec<&str> = path.collect();
        // The branch that the filter alone holds up: from below this depth everything would be empty.
        let mut keep = 0;
        let mut level = &mut self.wildcard;
        for (depth, text) in path.iter().enumerate() {
            if !(level.next.len() == 1 && level.here.is_empty() && level.rest.is_empty()) {
                keep = depth;
            }
            match level.next.get_mut(text) {
                Some(below) => level = Arc::make_mut(below),
                None => return false,
            }
        }
        let removed = take(if multi {
            &mut level.rest
        } else {
            &mut level.here
        });
        if level.is_empty() && !path.is_empty() {
            let mut level = &mut self.wildcard;
            for text in path.iter().take(keep) {
                match level.next.get_mut(text) {
                    Some(below) => level = Arc::make_mut(below),
                    None => return removed,
                }
            }
            if let Some(text) = path.get(keep) {
                level.next.remove(text);
            }
        }
        removed
    }

    /// The first subscriptions in the order of their filters.
    pub(crate) fn list(&self, most: usize) -> Vec<Subscribed> {
        // Hash tables have an order of their own, which is nobody's business.
        let mut leaves: Vec<(String, &Leaf)> = Vec::new();
        leaves.extend((self.exact.iter()).map(|(filter, leaf)| (filter.to_string(), leaf)));
        let mut levels = vec![(String::new(), &self.wildcard, true)];
        while let Some((path, level, is_root)) = levels.pop() {
            let below = |text: &str| match is_root {
                true => text.to_owned(),
                false => format!("{path}/{text}"),
            };
            leaves.push((below("#"), &level.rest));
            levels.extend((level.next.iter()).map(|(text, level)| (below(text), &**level, false)));
            leaves.push((path, &level.here));
        }
        leaves.sort_unstable_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
        let leaves = leaves.iter().flat_map(|(filter, leaf)| leaf.list(filter));
        leaves.take(most).collect()
    }

    /// Calls `found` for every subscription and group that matches; a session with several subscriptions
    /// is found as often: for the filter without wildcards, then at each level for the text, `+` and `#`, as
    /// Mosquitto has them.
    pub(crate) fn for_each_match<'a>(
        &'a self,
        topic: TopicName<'_>,
        mut found: impl FnMut(Match<'a>),
    ) {
        if let Some(leaf) = self.exact.get(topic.as_str()) {
            leaf.for_each(&mut found);
        }
        if self.wildcard.is_empty() {
            return;
        }
        let mut visits = vec![Visit::Level(&self.wildcard, Some(topic.as_str()))];
        // [MQTT-4.7.2-1]: filters that begin with a wildcard do not match names that begin with `$`.
        let mut wildcard_allowed = !topic.is_reserved();
        while let Some(visit) = visits.pop() {
            let (level, rest) = match visit {
                Visit::Level(level, rest) => (level, rest),
                Visit::Rest(leaf) => {
                    leaf.for_each(&mut found);
                    continue;
                }
            };
            if wildcard_allowed {
                visits.push(Visit::Rest(&level.rest));
            }
            match rest {
                None => level.here.for_each(&mut found),
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
                    let levels = plus.into_iter().chain(literal);
                    visits.extend(levels.map(|level| Visit::Level(level, below)));
                }
            }
            wildcard_allowed = true;
        }
    }
}

/// What is to be looked at.
enum Visit<'a, 't> {
    /// A level, with what is left of the topic there.
    Level(&'a Level, Option<&'t str>),
    /// The filters that end with a `#` there.
    Rest(&'a Leaf),
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

    /// Adds the session to the group of a shared subscription, or replaces its grant.
    pub(crate) fn join(&mut self, filter: TopicFilter<'_>, target: Target, member: Member) {
        self.index.join(filter, target, member);
    }

    /// Removes a subscription, shared or not.
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
        index.for_each_match(
            TopicName::new(topic).expect("valid"),
            |matched| match matched {
                Match::Subscription(target, _) => found.push(target),
                Match::Group(group) => found.extend(group.members.keys()),
            },
        );
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
        let share = prop_oneof![Just(""), Just("$share/g/"), Just("$share/h/")];
        (prop::collection::vec(level, 1..4), any::<bool>(), share).prop_map(
            |(levels, multi, share)| {
                let rest = if multi { "/#" } else { "" };
                format!("{share}{}{rest}", levels.join("/"))
            },
        )
    }

    fn add(index: &mut Index, filter: TopicFilter<'_>, target: Target) {
        let (grant, readiness) = (grant(), Arc::default());
        match filter.share() {
            Some(_) => {
                let member = Member {
                    grant,
                    readiness,
                    number: 0,
                };
                index.join(filter, target, member);
            }
            None => index.subscribe(filter, target, grant),
        }
    }

    #[test]
    fn a_group_is_found_by_its_filter_until_its_last_member_leaves() {
        let mut index = Index::new(Hasher::with_seed(1));
        for text in ["$share/g/a/b", "$share/g/a/+", "$share/g/a/#"] {
            let filter = TopicFilter::new(text).expect("valid");
            add(&mut index, filter, target(1));
            add(&mut index, filter, target(2));
            let members = |index: &Index| index.group(filter).map(|group| group.members.len());
            assert_eq!(members(&index), Some(2), "{text}");
            index.unsubscribe(filter, target(1));
            assert_eq!(
                (members(&index), index.shared_len()),
                (Some(1), 1),
                "{text}"
            );
            index.unsubscribe(filter, target(2));
            assert_eq!((members(&index), index.shared_len()), (None, 0), "{text}");
        }
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
            for (text, n, adds) in changes {
                let Ok(filter) = TopicFilter::new(&text) else { continue };
                if adds {
                    add(&mut index, filter, target(n));
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

    #[test]
    fn subscriptions_are_listed_in_the_order_of_their_filters() {
        let table = RouteTable::new(1);
        let filters = ["b", "a/+/c", "#", "a", "a/#", "/", "+", "a-b/c"];
        table.change(|change| {
            for (n, text) in (0..).zip(filters) {
                change.subscribe(TopicFilter::new(text).expect("valid"), target(n), grant());
            }
            let member = Member {
                grant: grant(),
                readiness: Arc::default(),
                number: 0,
            };
            let shared = TopicFilter::new("$share/g/a/#").expect("valid");
            change.join(shared, target(9), member);
        });
        let index = table.snapshot();
        let listed = |most: usize| -> Vec<String> {
            let listed = index.list(most).into_iter();
            listed
                .map(|it| match it.share {
                    Some(name) => format!("{name}: {}", it.filter),
                    None => it.filter,
                })
                .collect()
        };
        let expected = ["/", "#", "+", "a", "a/#", "g: a/#", "a/+/c", "a-b/c", "b"];
        assert_eq!(listed(100), expected);
        assert_eq!(listed(2), expected[..2]);
    }
}
