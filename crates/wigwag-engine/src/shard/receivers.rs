//! Who gets a message, worked out once per topic and version of the subscription index.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use wigwag_proto::{Qos, TopicName};

use crate::limits::Limits;
use crate::node::{Hasher, ShardId};
use crate::routes::{Grant, Index, Match, Target};
use crate::session::SessionKey;
use crate::share::Share;

/// A session that gets a message, with what all of its matching subscriptions together ask for.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub(crate) session: SessionKey,
    /// The highest QoS that any of them grants. `[MQTT-3.3.4-2]`
    pub(crate) qos: Qos,
    pub(crate) retain_as_published: bool,
    /// `None` for the plain case.
    pub(crate) terms: Option<Arc<Terms>>,
}

/// What few subscriptions ask for. It goes with a message that is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// Of all that have one. `[MQTT-3.3.4-4]`
    identifiers: Vec<NonZeroU32>,
    /// The filter of the shared subscription that the session was chosen for.
    share: Option<Arc<str>>,
}

impl Terms {
    /// `None` for the plain case.
    pub(crate) fn new(identifiers: Vec<NonZeroU32>, share: Option<Arc<str>>) -> Option<Arc<Terms>> {
        let is_plain = identifiers.is_empty() && share.is_none();
        (!is_plain).then(|| Arc::new(Terms { identifiers, share }))
    }

    /// The Subscription Identifiers that the message carries.
    pub(crate) fn identifiers(terms: Option<&Arc<Terms>>) -> &[NonZeroU32] {
        terms.map_or(&[], |terms| &terms.identifiers)
    }

    /// The filter of the shared subscription by which the message comes.
    pub(crate) fn share(terms: Option<&Arc<Terms>>) -> Option<&Arc<str>> {
        terms?.share.as_ref()
    }
}

impl Receiver {
    pub(crate) fn new(session: SessionKey, grant: &Grant) -> Receiver {
        let mut receiver = Receiver {
            session,
            qos: grant.options.qos,
            retain_as_published: grant.options.retain_as_published,
            terms: None,
        };
        receiver.add_identifier(grant);
        receiver
    }

    /// A member of the group of this filter.
    pub(crate) fn member(session: SessionKey, grant: &Grant, filter: &Arc<str>) -> Receiver {
        let mut receiver = Receiver::new(session, grant);
        let terms = receiver.terms.get_or_insert_default();
        Arc::make_mut(terms).share = Some(Arc::clone(filter));
        receiver
    }

    pub(crate) fn share(&self) -> Option<&Arc<str>> {
        Terms::share(self.terms.as_ref())
    }

    fn add(&mut self, grant: &Grant) {
        self.qos = self.qos.max(grant.options.qos);
        self.retain_as_published |= grant.options.retain_as_published;
        self.add_identifier(grant);
    }

    fn add_identifier(&mut self, grant: &Grant) {
        if let Some(identifier) = grant.identifier {
            let terms = self.terms.get_or_insert_default();
            Arc::make_mut(terms).identifiers.push(identifier);
        }
    }
}

/// The receivers of one topic.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    pub(crate) local: Vec<Receiver>,
    pub(crate) remote: Vec<(ShardId, Arc<[Receiver]>)>,
    /// Of each of these one member gets it.
    pub(crate) shares: Vec<Share>,
}

impl Receivers {
    pub(crate) fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty() && self.shares.is_empty()
    }

    fn len(&self) -> usize {
        let remote = self.remote.iter().map(|(_, receivers)| receivers.len());
        let shares = self.shares.iter().map(Share::len);
        self.local.len() + remote.chain(shares).sum::<usize>()
    }

    /// The receivers by the index, and whether they depend on who publishes.
    fn find(index: &Index, topic: TopicName<'_>, route: Route) -> (Receivers, bool) {
        let Route {
            here,
            publisher,
            allow_duplicates,
        } = route;
        let mut by_target: BTreeMap<Target, Vec<Receiver>> = BTreeMap::new();
        let mut shares = Vec::new();
        let mut depends = false;
        index.for_each_match(topic, |matched| {
            let (target, grant) = match matched {
                Match::Subscription(target, grant) => (target, grant),
                Match::Group(group) => return shares.push(Share::new(group)),
            };
            depends |= grant.options.no_local;
            // [MQTT-3.8.3-3]
            if grant.options.no_local && publisher == Some(target) {
                return;
            }
            let copies = by_target.entry(target).or_default();
            match copies.first_mut() {
                Some(receiver) if !allow_duplicates => receiver.add(grant),
                _ => copies.push(Receiver::new(target.session, grant)),
            }
        });
        let mut receivers = Receivers {
            shares,
            ..Receivers::default()
        };
        let mut remote: BTreeMap<ShardId, Vec<Receiver>> = BTreeMap::new();
        for (target, copies) in by_target {
            if target.shard == here {
                receivers.local.extend(copies);
            } else {
                remote.entry(target.shard).or_default().extend(copies);
            }
        }
        receivers.remote = remote
            .into_iter()
            .map(|(shard, list)| (shard, list.into()))
            .collect();
        (receivers, depends)
    }
}

/// What receivers depend on besides the topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) here: ShardId,
    pub(crate) publisher: Option<Target>,
    /// One copy for each subscription, and not for each session.
    pub(crate) allow_duplicates: bool,
}

/// Longer Topic Names are not remembered, so that a few thousand of them stay small.
const TOPIC_LEN_MAX: usize = 1_024;

/// The receivers of topics that were published to, as long as the index stays as it is.
#[derive(Debug)]
pub(crate) struct Cache {
    generation: u64,
    topics_max: usize,
    receivers_max: usize,
    /// Receivers of all the topics together.
    receivers: usize,
    topics: HashMap<Rc<str>, Rc<Receivers>, Hasher>,
    /// Publishers tend to repeat themselves: comparing one text is cheaper than hashing it.
    last: Option<(Rc<str>, Rc<Receivers>)>,
}

impl Cache {
    pub(crate) fn new(seed: u64, limits: &Limits) -> Cache {
        Cache {
            generation: 0,
            topics_max: limits.cached_topics_max,
            receivers_max: limits.cached_receivers_max,
            receivers: 0,
            topics: HashMap::with_hasher(Hasher::with_seed(seed)),
            last: None,
        }
    }

    /// Takes other bounds, and forgets everything.
    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        self.clear();
        self.topics_max = limits.cached_topics_max;
        self.receivers_max = limits.cached_receivers_max;
    }

    fn clear(&mut self) {
        self.topics.clear();
        self.receivers = 0;
        self.last = None;
    }

    pub(crate) fn receivers(
        &mut self,
        index: &Index,
        topic: TopicName<'_>,
        route: Route,
    ) -> Rc<Receivers> {
        if self.generation != index.generation() {
            self.generation = index.generation();
            self.clear();
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
        let (receivers, depends) = Receivers::find(index, topic, route);
        let receivers = Rc::new(receivers);
        let len = receivers.len();
        if !depends && text.len() <= TOPIC_LEN_MAX && len <= self.receivers_max {
            if self.topics.len() >= self.topics_max || self.receivers + len > self.receivers_max {
                self.clear();
            }
            self.receivers += len;
            let topic: Rc<str> = text.into();
            self.topics.insert(Rc::clone(&topic), Rc::clone(&receivers));
            self.last = Some((topic, Rc::clone(&receivers)));
        }
        receivers
    }
}
