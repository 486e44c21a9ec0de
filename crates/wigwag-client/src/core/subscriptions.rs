//! Subscriptions as desired state: what the user wants, and what the server has of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wigwag_proto::packet::SubscriptionOptions;
use wigwag_proto::{PacketId, ReasonCode, TopicName};

use super::topics::Topics;

/// The largest Subscription Identifier.
const IDENTIFIER_MAX: u32 = 268_435_455;

/// Names a subscription, or its removal, towards the user.
pub(crate) type Key = u64;

/// The key of messages that no subscription matches.
pub(crate) const FALLBACK: Key = 0;

#[derive(Default)]
pub(super) struct Subscriptions {
    /// In the order in which they were wanted: later ones have larger keys.
    wanted: BTreeMap<Key, Wanted>,
    unwanted: Vec<Unwanted>,
    // Indexes over what is wanted.
    by_filter: BTreeMap<Arc<str>, Key>,
    by_identifier: BTreeMap<u32, Key>,
    topics: Topics,
    /// Removals are made again on every connection.
    keeps_removals: bool,
    /// Those that the server has not been asked for in this session.
    due: BTreeSet<Key>,
    /// Those that it has not answered yet.
    asked: BTreeMap<PacketId, Key>,
}

/// A subscription that the user wants.
pub(super) struct Wanted {
    pub(super) key: Key,
    pub(super) filter: Arc<str>,
    pub(super) options: SubscriptionOptions,
    pub(super) identifier: u32,
    stage: Stage,
}

/// A subscription to remove.
pub(super) struct Unwanted {
    pub(super) key: Key,
    pub(super) filter: Arc<str>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The server has not been asked in this session.
    Due,
    Asked(PacketId),
    Answered,
}

/// A request to send.
pub(super) enum Request {
    Subscribe {
        filter: Arc<str>,
        options: SubscriptionOptions,
        identifier: u32,
    },
    Unsubscribe(Arc<str>),
}

/// What an acknowledgement answers.
pub(super) enum Answered {
    Subscribe(Key, Arc<str>),
    Unsubscribe(Key),
}

impl Subscriptions {
    pub(super) fn new(keeps_removals: bool) -> Subscriptions {
        Subscriptions {
            keeps_removals,
            ..Subscriptions::default()
        }
    }

    /// Wants a subscription; gives back the key of the one that it replaces.
    pub(super) fn subscribe(
        &mut self,
        key: Key,
        filter: Arc<str>,
        options: SubscriptionOptions,
    ) -> Option<Key> {
        let replaced = self.remove(&filter);
        // Wanted again: nothing is left to be removed on later connections.
        self.unwanted
            .retain(|own| own.filter != filter || own.stage != Stage::Answered);
        let identifier = self.free_identifier(&filter);
        self.by_filter.insert(filter.clone(), key);
        self.by_identifier.insert(identifier, key);
        self.topics.insert(&filter, key);
        self.due.insert(key);
        let wanted = Wanted {
            key,
            filter,
            options,
            identifier,
            stage: Stage::Due,
        };
        self.wanted.insert(key, wanted);
        replaced
    }

    /// Wants a subscription no more; gives back the key that it had.
    pub(super) fn unsubscribe(&mut self, key: Key, filter: Arc<str>) -> Option<Key> {
        let removed = self.remove(&filter);
        self.unwanted
            .retain(|own| own.filter != filter || own.stage != Stage::Answered);
        self.unwanted.push(Unwanted {
            key,
            filter,
            stage: Stage::Due,
        });
        removed
    }

    /// The filter of the wanted subscription that this key names.
    pub(super) fn filter(&self, key: Key) -> Option<Arc<str>> {
        Some(self.wanted.get(&key)?.filter.clone())
    }

    fn remove(&mut self, filter: &str) -> Option<Key> {
        let key = self.by_filter.remove(filter)?;
        let wanted = self.wanted.remove(&key)?;
        self.by_identifier.remove(&wanted.identifier);
        self.topics.remove(filter, key);
        self.due.remove(&key);
        if let Stage::Asked(packet_id) = wanted.stage {
            self.asked.remove(&packet_id);
        }
        Some(key)
    }

    /// An identifier that depends on the filter: a session that outlives this process brings back the
    /// identifiers of the last one.
    fn free_identifier(&self, filter: &str) -> u32 {
        let hash = filter.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let mut identifier = hash % IDENTIFIER_MAX + 1;
        while self.by_identifier.contains_key(&identifier) {
            identifier = identifier % IDENTIFIER_MAX + 1;
        }
        identifier
    }

    /// Something that the server has not been asked yet. It counts as asked under the identifier that
    /// `packet_id` gives; `None` when it gives none.
    ///
    /// In the order in which they were asked for, but a filter that has been removed and is wanted again is
    /// removed first, in whichever order the two have come here.
    pub(super) fn poll_request(
        &mut self,
        packet_id: impl FnOnce() -> Option<PacketId>,
    ) -> Option<(PacketId, Request)> {
        let due = |stage: &Stage| *stage == Stage::Due;
        let (next, by_filter) = (self.due.first().copied(), &self.by_filter);
        let goes_first = |own: &Unwanted| {
            next.is_none_or(|next| own.key < next) || by_filter.contains_key(&own.filter)
        };
        let mut unwanted = self.unwanted.iter_mut();
        if let Some(unwanted) = unwanted.find(|own| due(&own.stage) && goes_first(own)) {
            let packet_id = packet_id()?;
            unwanted.stage = Stage::Asked(packet_id);
            return Some((packet_id, Request::Unsubscribe(unwanted.filter.clone())));
        }
        let wanted = self.wanted.get_mut(self.due.first()?)?;
        let packet_id = packet_id()?;
        wanted.stage = Stage::Asked(packet_id);
        self.due.remove(&wanted.key);
        self.asked.insert(packet_id, wanted.key);
        let request = Request::Subscribe {
            filter: wanted.filter.clone(),
            options: wanted.options,
            identifier: wanted.identifier,
        };
        Some((packet_id, request))
    }

    /// A removal that the server has not been asked for and that `refuse` gives a reason against; it is
    /// done with.
    pub(super) fn poll_refused_removal<E>(
        &mut self,
        refuse: impl Fn(&str) -> Option<E>,
    ) -> Option<(Key, E)> {
        let (at, error) = (self.unwanted.iter())
            .enumerate()
            .filter(|(_, own)| own.stage == Stage::Due)
            .find_map(|(at, own)| Some((at, refuse(&own.filter)?)))?;
        Some((self.unwanted.remove(at).key, error))
    }

    /// A wanted subscription that the server has not been asked for and that `refuse` gives a reason
    /// against; it counts as answered.
    pub(super) fn poll_refused(
        &mut self,
        refuse: impl Fn(&Wanted) -> Option<ReasonCode>,
    ) -> Option<(Key, Arc<str>, ReasonCode)> {
        let wanted = &self.wanted;
        let mut due = self.due.iter().filter_map(|key| wanted.get(key));
        let (key, reason) = due.find_map(|own| Some((own.key, refuse(own)?)))?;
        Some((key, self.answer(key)?, reason))
    }

    /// An acknowledgement. `None` when nobody waits for it: the subscription has been replaced since.
    pub(super) fn handle_answer(&mut self, packet_id: PacketId) -> Option<Answered> {
        let asked = Stage::Asked(packet_id);
        if let Some(at) = self.unwanted.iter().position(|own| own.stage == asked) {
            return Some(Answered::Unsubscribe(self.answer_removal(at)));
        }
        let key = self.asked.remove(&packet_id)?;
        Some(Answered::Subscribe(key, self.answer(key)?))
    }

    /// The removal in this place has been made; gives back its key.
    fn answer_removal(&mut self, at: usize) -> Key {
        let (keeps, by_filter) = (self.keeps_removals, &self.by_filter);
        match self.unwanted.get_mut(at) {
            Some(own) if keeps && !by_filter.contains_key(&own.filter) => {
                own.stage = Stage::Answered;
                own.key
            }
            _ => self.unwanted.remove(at).key,
        }
    }

    /// The subscription counts as answered; gives back its filter.
    fn answer(&mut self, key: Key) -> Option<Arc<str>> {
        self.due.remove(&key);
        let wanted = self.wanted.get_mut(&key)?;
        wanted.stage = Stage::Answered;
        Some(wanted.filter.clone())
    }

    /// Whether the server owes an answer.
    pub(super) fn is_waiting(&self) -> bool {
        let mut unwanted = self.unwanted.iter();
        !self.asked.is_empty() || unwanted.any(|own| matches!(own.stage, Stage::Asked(_)))
    }

    /// The connection has ended: what has been asked will not be answered.
    pub(super) fn leave_connection(&mut self) {
        for key in std::mem::take(&mut self.asked).into_values() {
            if let Some(wanted) = self.wanted.get_mut(&key) {
                wanted.stage = Stage::Due;
                self.due.insert(key);
            }
        }
        for unwanted in &mut self.unwanted {
            if let Stage::Asked(_) = unwanted.stage {
                unwanted.stage = Stage::Due;
            }
        }
    }

    /// Everything that is wanted is to be asked for once more, and removed what has to be.
    pub(super) fn ask_again(&mut self) {
        self.asked.clear();
        for unwanted in &mut self.unwanted {
            unwanted.stage = Stage::Due;
        }
        for (key, wanted) in &mut self.wanted {
            wanted.stage = Stage::Due;
            self.due.insert(*key);
        }
    }

    /// The session has ended: the server has none of the subscriptions. Gives back the keys of the
    /// removals, which have become true by themselves.
    pub(super) fn leave_session(&mut self) -> impl Iterator<Item = Key> {
        self.ask_again();
        let made = if self.keeps_removals {
            0
        } else {
            self.unwanted.len()
        };
        self.unwanted.drain(..made).map(|own| own.key)
    }

    /// The subscriptions that a message is for; `keys` is empty. Gives the topic back as a text that many
    /// messages can share.
    ///
    /// Subscription Identifiers say exactly which subscriptions a copy of a message is for, where
    /// matching would give each of several copies to each of several overlapping ones. They are
    /// believed when they name subscriptions that match.
    pub(super) fn matching(
        &mut self,
        topic: TopicName<'_>,
        identifiers: impl Iterator<Item = u32>,
        keys: &mut Vec<Key>,
    ) -> Arc<str> {
        let topic = self.topics.matching(topic, keys);
        let matching = keys.len();
        for identifier in identifiers {
            let key = self.by_identifier.get(&identifier).copied();
            let matches = |key: &Key| keys.iter().take(matching).any(|own| own == key);
            let Some(key) = key.filter(matches) else {
                keys.truncate(matching);
                return topic;
            };
            // An identifier names one subscription, however often the server repeats it.
            if !keys.iter().skip(matching).any(|own| *own == key) {
                keys.push(key);
            }
        }
        if keys.len() > matching {
            keys.drain(..matching);
        }
        topic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(subscriptions: &mut Subscriptions, topic: &str, identifiers: &[u32]) -> Vec<Key> {
        let mut keys = Vec::new();
        let topic = TopicName::new(topic).expect("valid");
        subscriptions.matching(topic, identifiers.iter().copied(), &mut keys);
        keys
    }

    #[test]
    fn identifiers_are_believed_only_when_they_fit() {
        let mut subscriptions = Subscriptions::default();
        for (key, filter) in [(1, "a/#"), (2, "a/b"), (3, "c")] {
            subscriptions.subscribe(key, filter.into(), SubscriptionOptions::default());
        }
        let ids: Vec<u32> = (subscriptions.wanted.values())
            .map(|own| own.identifier)
            .collect();
        let id = |index: usize| ids[index];
        assert_eq!(matching(&mut subscriptions, "a/b", &[id(0)]), [1]);
        assert_eq!(matching(&mut subscriptions, "a/b", &[id(1), id(0)]), [2, 1]);
        assert_eq!(matching(&mut subscriptions, "a/b", &[]), [1, 2]);
        assert_eq!(matching(&mut subscriptions, "a/b", &[id(2)]), [1, 2]);
        assert_eq!(matching(&mut subscriptions, "a/b", &[id(0), 7]), [1, 2]);
        let often = [id(1), id(1), id(0), id(1)];
        assert_eq!(matching(&mut subscriptions, "a/b", &often), [2, 1]);
    }

    #[test]
    fn the_same_filter_has_the_same_identifier_in_every_process() {
        let identifier = |others: &[&str]| {
            let mut subscriptions = Subscriptions::default();
            for (key, filter) in (1..).zip(others.iter().chain(&["device/+/state"])) {
                subscriptions.subscribe(key, (*filter).into(), SubscriptionOptions::default());
            }
            let (_, last) = subscriptions.wanted.last_key_value().expect("added");
            last.identifier
        };
        assert_eq!(identifier(&[]), identifier(&["a", "b/#"]));
    }
}
