//! Who gets a message, worked out once per topic and version of the subscription index.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use wigwag_proto::{Qos, TopicName};

use crate::node::{Hasher, ShardId};
use crate::routes::{Grant, Index, Target};
use crate::session::SessionKey;

/// A session that gets a message, with what all of its matching subscriptions together ask for.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub(crate) session: SessionKey,
    /// The highest QoS that any of them grants. `[MQTT-3.3.4-2]`
    pub(crate) qos: Qos,
    pub(crate) retain_as_published: bool,
    /// Of all that have one. `[MQTT-3.3.4-4]`
    pub(crate) identifiers: Arc<[NonZeroU32]>,
}

impl Receiver {
    pub(crate) fn new(session: SessionKey, grant: &Grant) -> Receiver {
        Receiver {
            session,
            qos: grant.options.qos,
            retain_as_published: grant.options.retain_as_published,
            identifiers: grant.identifier.into_iter().collect(),
        }
    }

    fn add(&mut self, grant: &Grant) {
        self.qos = self.qos.max(grant.options.qos);
        self.retain_as_published |= grant.options.retain_as_published;
        if let Some(identifier) = grant.identifier {
            self.identifiers = self
                .identifiers
                .iter()
                .copied()
                .chain([identifier])
                .collect();
        }
    }
}

/// The receivers of one topic.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    pub(crate) local: Vec<Receiver>,
    pub(crate) remote: Vec<(ShardId, Arc<[Receiver]>)>,
}

impl Receivers {
    pub(crate) fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty()
    }

    /// The receivers by the index, and whether they depend on who publishes.
    fn find(
        index: &Index,
        topic: TopicName<'_>,
        here: ShardId,
        publisher: Option<Target>,
    ) -> (Receivers, bool) {
        let mut by_target: BTreeMap<Target, Receiver> = BTreeMap::new();
        let mut depends = false;
        index.for_each_match(topic, |target, grant| {
            depends |= grant.options.no_local;
            // [MQTT-3.8.3-3]
            if grant.options.no_local && publisher == Some(target) {
                return;
            }
            by_target
                .entry(target)
                .and_modify(|receiver| receiver.add(grant))
                .or_insert_with(|| Receiver::new(target.session, grant));
        });
        let mut receivers = Receivers::default();
        let mut remote: BTreeMap<ShardId, Vec<Receiver>> = BTreeMap::new();
        for (target, receiver) in by_target {
            if target.shard == here {
                receivers.local.push(receiver);
            } else {
                remote.entry(target.shard).or_default().push(receiver);
            }
        }
        receivers.remote = remote
            .into_iter()
            .map(|(shard, list)| (shard, list.into()))
            .collect();
        (receivers, depends)
    }
}

/// Longer Topic Names are not remembered, so that a few thousand of them stay small.
const TOPIC_LEN_MAX: usize = 1_024;

/// The receivers of topics that were published to, as long as the index stays as it is.
#[derive(Debug)]
pub(crate) struct Cache {
    generation: u64,
    topics_max: usize,
    topics: HashMap<Rc<str>, Rc<Receivers>, Hasher>,
    /// Publishers tend to repeat themselves: comparing one text is cheaper than hashing it.
    last: Option<(Rc<str>, Rc<Receivers>)>,
}

impl Cache {
    pub(crate) fn new(seed: u64, topics_max: usize) -> Cache {
        Cache {
            generation: 0,
            topics_max,
            topics: HashMap::with_hasher(Hasher::with_seed(seed)),
            last: None,
        }
    }

    pub(crate) fn set_topics_max(&mut self, topics_max: usize) {
        self.topics_max = topics_max;
    }

    pub(crate) fn receivers(
        &mut self,
        index: &Index,
        topic: TopicName<'_>,
        here: ShardId,
        publisher: Option<Target>,
    ) -> Rc<Receivers> {
        if self.generation != index.generation() {
            self.generation = index.generation();
            self.topics.clear();
            self.last = None;
        }
        let text = topic.as_str();
        if let Some((last, receivers)) = &self.last
            && **last == *text
        {
            return Rc::clone(receivers);
        }
        if let Some((topic, receivers)) = self.topics.get_key_value(text) {
            self.last = Some((Rc::clone(topic), Rc::clone(receivers)));
            return Rc::clone(receivers);
        }
        let (receivers, depends) = Receivers::find(index, topic, here, publisher);
        let receivers = Rc::new(receivers);
        if !depends && text.len() <= TOPIC_LEN_MAX {
            if self.topics.len() >= self.topics_max {
                self.topics.clear();
            }
            let topic: Rc<str> = text.into();
            self.topics.insert(Rc::clone(&topic), Rc::clone(&receivers));
            self.last = Some((topic, Rc::clone(&receivers)));
        }
        receivers
    }
}
