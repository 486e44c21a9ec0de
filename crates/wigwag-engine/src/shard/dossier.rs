//! What a shard knows of single sessions, for people who ask: bounded copies, made when they are wanted.
//!
//! To ask by Client Identifier is a look-up; to ask by the topic of a Will is a look at every session, in steps of
//! a bounded length between which the shard does what else there is to do.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::packet::Version;
use wigwag_proto::{Qos, Time, TopicFilterBuf};

use super::Shard;
use crate::policy::Identity;
use crate::session::{Session, SessionKey};
use crate::stats::Waiting;

/// Sessions that one step looks at: what a shard does in less than a millisecond, also when none of them is in the
/// processor's cache.
const STEP: usize = 4_096;

/// What a session that fits counts for: whoever asks may know of it or not, and its dossier is written.
const FITTING: usize = 32;

/// Which sessions are wanted: those that are called so, and those whose Will has that topic.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Search {
    pub client_id: Option<Box<str>>,
    pub will_topic: Option<Box<str>>,
    /// Whether the one who asks may know of the session.
    pub may_know: Arc<dyn Fn(&Identity) -> bool + Send + Sync>,
    /// Sessions that are told of; the others are counted.
    pub sessions_max: usize,
    /// Subscriptions of each that are told of; the others are counted.
    pub subscriptions_max: usize,
    /// Bytes of the filters of each that are told of.
    pub filter_bytes_max: usize,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search")
            .field("client_id", &self.client_id)
            .field("will_topic", &self.will_topic)
            .finish_non_exhaustive()
    }
}

/// What a step of a search has found in one shard.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Found {
    pub dossiers: Vec<Dossier>,
    /// Sessions that fit and are not told of.
    pub beyond: usize,
    /// Where the search goes on, if it is not over.
    pub next: Option<Progress>,
}

/// How far a search has come in one shard; at first, nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress(Option<SessionKey>);

/// What is known of a session. Topics are as the broker knows them, with the mount point.
#[derive(Debug)]
pub struct Dossier {
    /// As it was shown by the last connection.
    pub identity: Identity,
    /// Its connection, if there is one.
    pub link: Option<LinkFacts>,
    /// Since when it has that connection, or has none; `None` if it has none since an earlier run.
    pub since: Option<Time>,
    /// Its Session Expiry Interval.
    pub expiry_secs: u32,
    /// When it ends, if it has no connection and does not stay for ever.
    pub ends_at: Option<Time>,
    /// Filters, with what makes them shared, and the QoS that was granted; in the order of the filters.
    pub subscriptions: Vec<(TopicFilterBuf, Qos)>,
    /// Subscriptions that are not told of.
    pub subscriptions_beyond: usize,
    /// What is kept for it.
    pub waiting: Waiting,
    /// Messages that were for it and did not get there, but for those that it may not have.
    pub dropped: u64,
    /// Of its Will, while there is one.
    pub will_topic: Option<Box<str>>,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// What is spoken.
    pub version: Version,
    /// The Keep Alive that holds; 0 for none.
    pub keep_alive_secs: u16,
    /// Bytes that its peer has not taken yet.
    pub out_bytes: usize,
}

impl Shard {
    /// What is known of the sessions that are wanted, as far as one step finds them. Sessions that come, go or move
    /// between two steps are found or not.
    pub fn search(&self, search: &Search, from: Progress) -> Found {
        let mut found = Found::default();
        let named = (search.client_id.as_deref())
            .and_then(|client_id| self.clients.get(client_id))
            .copied();
        if let (Some(key), None) = (named, from.0) {
            self.look(key, search, &mut found);
        }
        let Some(topic) = search.will_topic.as_deref() else {
            return found;
        };
        let mut left = STEP;
        let first = from.0.map_or(Bound::Unbounded, Bound::Included);
        for &key in self.roll.range((first, Bound::Unbounded)) {
            if left == 0 {
                found.next = Some(Progress(Some(key)));
                break;
            }
            left -= 1;
            if self.has_will(key, topic) && named != Some(key) {
                let subscriptions = self.look(key, search, &mut found);
                left = left.saturating_sub(FITTING + subscriptions);
            }
        }
        found
    }

    fn has_will(&self, key: SessionKey, topic: &str) -> bool {
        let session = self.sessions.get(key);
        let will = session.and_then(|session| session.will.as_ref());
        will.is_some_and(|will| will.message.view().topic.as_str() == topic)
    }

    /// Tells of a session that fits, or counts it, if that is to be known. How many subscriptions are told.
    fn look(&self, key: SessionKey, search: &Search, found: &mut Found) -> usize {
        let session = self.sessions.get(key);
        let Some(session) = session.filter(|it| (search.may_know)(&it.identity)) else {
            return 0;
        };
        if found.dossiers.len() == search.sessions_max {
            found.beyond += 1;
            return 0;
        }
        let dossier = self.dossier(session, search);
        let subscriptions = dossier.subscriptions.len();
        found.dossiers.push(dossier);
        subscriptions
    }

    fn dossier(&self, session: &Session, search: &Search) -> Dossier {
        let mut bytes = 0;
        let told = session.subscriptions.iter();
        let told = told
            .take(search.subscriptions_max)
            .take_while(|(filter, _)| {
                bytes += filter.as_filter().as_str().len();
                bytes <= search.filter_bytes_max
            });
        let subscriptions: Vec<_> = told
            .map(|(filter, grant)| (filter.clone(), grant.options.qos))
            .collect();
        let will = session.will.as_ref();
        Dossier {
            identity: session.identity.clone(),
            link: self.link_facts(session),
            since: session.local.since,
            expiry_secs: session.expiry_secs,
            ends_at: (session.local.connection.is_none())
                .then(|| session.local.expiry_alarm.at())
                .flatten(),
            subscriptions_beyond: session.subscriptions.len() - subscriptions.len(),
            subscriptions,
            waiting: session.waiting(),
            dropped: session.dropped,
            will_topic: will.map(|will| will.message.view().topic.as_str().into()),
        }
    }

    fn link_facts(&self, session: &Session) -> Option<LinkFacts> {
        let connection = self.connections.get(session.local.connection?)?;
        let silence_max = connection.silence_max.unwrap_or(Duration::ZERO);
        let secs = silence_max.as_millis() * 2 / 3_000;
        Some(LinkFacts {
            version: connection.receiving.version,
            keep_alive_secs: u16::try_from(secs).unwrap_or(u16::MAX),
            out_bytes: connection.out.len(),
        })
    }
}
