//! A session: what the broker keeps of a client between and during its connections.
//!
//! A session is a value with an owner and an epoch. It lives in the shard of its connection and is
//! handed over whole; nothing in it refers to the shard, except what `Session::local` holds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use slotmap::new_key_type;
use wigwag_proto::packet::Qos;
use wigwag_proto::{Time, TopicFilter, TopicFilterBuf};

use crate::flight::Flight;
use crate::limits::Limits;
use crate::memory::{ENTRY_LEN, SESSION_LEN};
use crate::message::Message;
use crate::node::{Epoch, ShardId};
use crate::peer::Backlog;
use crate::policy::Identity;
use crate::record::ledger::{Filed, Track};
use crate::retained::Cursor;
use crate::routes::{Change, Grant, Member, Target};
use crate::shard::{ConnectionKey, Counted, Terms};
use crate::share::Readiness;
use crate::stats::Waiting;
use crate::timers::Alarm;
use crate::unreleased::Unreleased;

new_key_type! {
    /// A session of one shard. A key never names a later session.
    pub struct SessionKey;
}

/// What is kept of a client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) identity: Identity,
    pub(crate) epoch: Epoch,
    /// Seconds that the session outlives its connection, within the limit; 0 ends it with the connection.
    pub(crate) expiry_secs: u32,
    pub(crate) subscriptions: BTreeMap<TopicFilterBuf, Grant>,
    /// Bytes of the filters of its subscriptions.
    pub(crate) filter_bytes: usize,
    /// What its subscriptions hold, here and in the index.
    pub(crate) subscriptions_weight: usize,
    pub(crate) flight: Flight,
    pub(crate) unreleased: Unreleased,
    pub(crate) queue: Queue,
    pub(crate) replays: VecDeque<Replay>,
    pub(crate) will: Option<SessionWill>,
    /// What the groups of its shared subscriptions know of it.
    pub(crate) readiness: Option<Arc<Readiness>>,
    /// Messages that were for it and did not get there, but for those that it may not have.
    pub(crate) dropped: u64,
    /// What of it is in the store, if it is to be there.
    pub(crate) track: Option<Box<Track>>,
    pub(crate) local: Local,
}

/// What belongs to the session's place in its shard and stays behind when it moves.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub(crate) connection: Option<ConnectionKey>,
    /// Since when it has the connection, or has none; `None` if it has none since an earlier run.
    pub(crate) since: Option<Time>,
    pub(crate) expiry_alarm: Alarm,
    pub(crate) will_alarm: Alarm,
    pub(crate) replay_alarm: Alarm,
    /// While the last shard may still have messages for the session: what came here directly, and must
    /// come after them.
    pub(crate) arriving: Option<Backlog>,
    /// What the sums of the shard hold of it.
    pub(crate) counted: Counted,
    /// Whether they are to be brought up to date.
    pub(crate) is_noted: bool,
    /// The shard that has claimed the session before it had arrived in full.
    pub(crate) release_to: Option<ShardId>,
}

/// A message with what one subscriber's subscriptions make of it.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) terms: Option<Arc<Terms>>,
    /// The token of its record among those of the session.
    pub(crate) filed: Option<Arc<Filed>>,
}

impl Outgoing {
    /// The filter of the shared subscription that it came by.
    pub(crate) fn share(&self) -> Option<&Arc<str>> {
        Terms::share(self.terms.as_ref())
    }
}

/// Retained messages on their way to a new subscription.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) filter: TopicFilterBuf,
    pub(crate) grant: Grant,
    pub(crate) cursor: Cursor,
}

/// The Will of a session.
#[derive(Debug)]
pub(crate) struct SessionWill {
    pub(crate) message: Arc<Message>,
    pub(crate) expiry_secs: Option<u32>,
    pub(crate) delay_secs: u32,
}

/// Messages that wait for a session's connection, or for the quota of its Receive Maximum.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: VecDeque<Outgoing>,
    bytes: usize,
    payload_bytes: usize,
}

impl Queue {
    /// Adds a message at the end; false if the bounds do not allow it.
    pub(crate) fn push(&mut self, outgoing: Outgoing, limits: &Limits) -> bool {
        let bytes = self.bytes + outgoing.message.size();
        if self.messages.len() >= limits.queued_messages_max || bytes > limits.queued_bytes_max {
            return false;
        }
        self.bytes = bytes;
        self.payload_bytes += outgoing.message.payload().len();
        self.messages.push_back(outgoing);
        true
    }

    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        let outgoing = self.messages.pop_front()?;
        self.bytes -= outgoing.message.size();
        self.payload_bytes -= outgoing.message.payload().len();
        if self.messages.is_empty() {
            *self = Queue::default();
        }
        Some(outgoing)
    }

    /// Adds a message that has waited before: the bounds may have been others then.
    pub(crate) fn restore(&mut self, outgoing: Outgoing) {
        self.bytes += outgoing.message.size();
        self.payload_bytes += outgoing.message.payload().len();
        self.messages.push_back(outgoing);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages without a record. They are the last ones, because records are made from the first on.
    pub(crate) fn unfiled(&mut self) -> impl Iterator<Item = &mut Outgoing> {
        let first = self
            .messages
            .partition_point(|outgoing| outgoing.filed.is_some());
        self.messages.range_mut(first..)
    }

    /// All messages, for a change that leaves their sizes as they are.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Outgoing> {
        self.messages.iter_mut()
    }

    /// Whether half of what may wait does.
    pub(crate) fn is_half_full(&self, limits: &Limits) -> bool {
        self.messages.len() >= limits.queued_messages_max / 2
            || self.bytes >= limits.queued_bytes_max / 2
    }

    /// Takes all out.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Outgoing> + use<> {
        std::mem::take(self).messages.into_iter()
    }
}

impl Session {
    pub(crate) fn new(identity: Identity, epoch: Epoch) -> Session {
        Session {
            identity,
            epoch,
            expiry_secs: 0,
            subscriptions: BTreeMap::new(),
            filter_bytes: 0,
            subscriptions_weight: 0,
            flight: Flight::default(),
            unreleased: Unreleased::default(),
            queue: Queue::default(),
            replays: VecDeque::new(),
            will: None,
            readiness: None,
            dropped: 0,
            track: None,
            local: Local::default(),
        }
    }

    /// What the broker keeps for the client at the moment.
    pub(crate) fn waiting(&self) -> Waiting {
        let (flight, queue, unreleased) = (&self.flight, &self.queue, &self.unreleased);
        let bytes = queue.bytes + flight.bytes() + unreleased.bytes();
        let payload_bytes =
            queue.payload_bytes + flight.payload_bytes() + unreleased.payload_bytes();
        Waiting {
            queued: queue.messages.len() as u64,
            in_flight: flight.len() as u64,
            unreleased: unreleased.held() as u64,
            bytes: bytes as u64,
            payload_bytes: payload_bytes as u64,
        }
    }

    /// Makes the index route the filter's messages to the session's place.
    pub(crate) fn enlist(
        &mut self,
        change: &mut Change<'_>,
        filter: TopicFilter<'_>,
        target: Target,
        grant: Grant,
    ) {
        if filter.share().is_none() {
            return change.subscribe(filter, target, grant);
        }
        let readiness = Arc::clone(self.readiness.get_or_insert_default());
        let member = Member {
            grant,
            readiness,
            number: 0,
        };
        change.join(filter, target, member);
    }

    /// Whether an acknowledgement may let something follow, or has to be told to groups.
    pub(crate) fn may_go_on(&self) -> bool {
        !self.queue.is_empty()
            || !self.replays.is_empty()
            || self.flight.is_resending()
            || self.readiness.is_some()
    }

    /// Bytes that the session holds, about.
    pub(crate) fn size(&self) -> usize {
        let subscriptions = self.subscriptions.len() * size_of::<Grant>();
        let will = self.will.as_ref().map_or(0, |will| will.message.size());
        size_of::<Session>()
            + self.filter_bytes
            + subscriptions
            + will
            + self.queue.bytes
            + self.flight.bytes()
            + self.unreleased.bytes()
    }

    /// What it holds besides messages, for the sums of its shard.
    pub(crate) fn weight(&self) -> usize {
        let entries = self.queue.messages.len() + self.flight.len() + self.unreleased.held();
        SESSION_LEN
            + 4 * self.identity.client_id.len()
            + self.subscriptions_weight
            + entries * ENTRY_LEN
    }

    /// Whether the session outlives its connection.
    pub(crate) fn is_persistent(&self) -> bool {
        self.expiry_secs > 0
    }
}
