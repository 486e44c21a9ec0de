//! What the shards of one node share: the subscription index, the retained messages and the directory of
//! sessions. Nothing here is touched to deliver a message; the index is read as a snapshot.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::memory::{Held, Pressure};
use crate::record::Changes;
use crate::record::ledger::Ledger;
use crate::restored;
use crate::retained::Retained;
use crate::routes::{RouteTable, Subscribed};
use crate::stats::NodeStats;

/// Keyed hashing: the seed is the caller's, so that peers cannot foresee it and tests can repeat it.
pub(crate) type Hasher = foldhash::quality::FixedState;

/// Retained messages that are taken for a save under one lock.
pub const RETAINED_STEP: usize = 1_024;

/// A shard of the node, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the shards of one node share.
#[derive(Debug)]
pub struct Node {
    pub(crate) shards: u16,
    pub(crate) seed: u64,
    pub(crate) routes: RouteTable,
    pub(crate) retained: Retained,
    pub(crate) directory: Directory,
    /// If records are kept.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// What all shards hold.
    pub(crate) held: Held,
    /// What has been told of that last.
    pressure: AtomicU8,
}

impl Node {
    /// A node of `shards` shards. `seed` keys hash tables and makes assigned Client Identifiers
    /// unguessable: draw it at random, or fix it in a test.
    pub fn new(shards: u16, seed: u64) -> Node {
        Node {
            shards,
            seed,
            routes: RouteTable::new(seed),
            retained: Retained::default(),
            directory: Directory::new(seed),
            ledger: None,
            held: Held::default(),
            pressure: AtomicU8::default(),
        }
    }

    /// The same node, whose sessions and retained messages are to be kept beyond the process: from here on
    /// it remembers what has changed. See [`record`](crate::record).
    #[must_use]
    pub fn with_records(mut self) -> Node {
        let ledger = Arc::<Ledger>::default();
        self.retained.track(&ledger);
        self.ledger = Some(ledger);
        self
    }
}

impl Node {
    /// Puts back the retained messages of an earlier run, before any shard begins.
    pub fn handle_restored(&self, retained: Vec<restored::Retained>) {
        for retained in retained {
            retained.message.charge(self.held.restored());
            self.retained.restore(retained);
        }
    }

    /// Retained messages that have changed since they were saved, [`RETAINED_STEP`] at a time; fewer, when that
    /// was all.
    pub fn poll_retained_changes(&self) -> Changes {
        self.retained.poll_changes(RETAINED_STEP)
    }

    /// Whether nobody has told of this pressure yet.
    pub(crate) fn note_pressure(&self, pressure: Pressure) -> bool {
        self.pressure.swap(pressure as u8, Ordering::Relaxed) != pressure as u8
    }

    /// Subscriptions in the order of their filters, as many as are asked for, and how many there are. It reads
    /// a snapshot, and no shard waits for it.
    pub fn subscriptions(&self, most: usize) -> (Vec<Subscribed>, usize) {
        let index = self.routes.snapshot();
        (index.list(most), index.len())
    }

    /// What the shards share, in numbers.
    pub fn stats(&self) -> NodeStats {
        let (retained, bytes, payload_bytes) = self.retained.sizes();
        let index = self.routes.snapshot();
        NodeStats {
            subscriptions: index.len() as u64,
            shared_subscriptions: index.shared_len() as u64,
            retained: retained as u64,
            retained_bytes: bytes as u64,
            retained_payload_bytes: payload_bytes as u64,
            held_bytes: self.held.bytes() as u64,
        }
    }
}

/// Counts the connections that have claimed a session; the highest one owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    /// Whether this claim is the next one after `earlier`.
    pub(crate) fn follows(self, earlier: Epoch) -> bool {
        self.0 == earlier.0 + 1
    }
}

/// Which shard owns the session of which client.
#[derive(Debug)]
pub(crate) struct Directory {
    owners: Mutex<HashMap<Box<str>, Owner, Hasher>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    shard: ShardId,
    epoch: Epoch,
}

/// What a claim found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) epoch: Epoch,
    /// The shard that owned the session before, if there was one.
    pub(crate) previous: Option<ShardId>,
}

impl Directory {
    fn new(seed: u64) -> Directory {
        Directory {
            owners: Mutex::new(HashMap::with_hasher(Hasher::with_seed(seed))),
        }
    }

    /// Makes `shard` the owner of the client's session. `None` if that would be one client too many.
    pub(crate) fn claim(
        &self,
        client_id: &str,
        shard: ShardId,
        clients_max: usize,
    ) -> Option<Claim> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = owners.get_mut(client_id) {
            let previous = Some(owner.shard);
            *owner = Owner {
                shard,
                epoch: Epoch(owner.epoch.0 + 1),
            };
            return Some(Claim {
                epoch: owner.epoch,
                previous,
            });
        }
        if owners.len() >= clients_max {
            return None;
        }
        let epoch = Epoch(0);
        owners.insert(client_id.into(), Owner { shard, epoch });
        Some(Claim {
            epoch,
            previous: None,
        })
    }

    /// Forgets the client, unless somebody has claimed its session since.
    pub(crate) fn release(&self, client_id: &str, shard: ShardId, epoch: Epoch) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.get(client_id) == Some(&Owner { shard, epoch }) {
            owners.remove(client_id);
        }
    }

    /// Clients whose sessions have an owner.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(directory: &Directory, shard: ShardId) -> Claim {
        directory.claim("x", shard, 1).expect("one is allowed")
    }

    #[test]
    fn only_new_clients_are_too_many() {
        let directory = Directory::new(1);
        claim(&directory, ShardId(0));
        assert_eq!(directory.claim("y", ShardId(0), 1), None);
        claim(&directory, ShardId(0));
    }

    #[test]
    fn the_last_claim_owns_the_session() {
        let directory = Directory::new(1);
        let (a, b) = (ShardId(0), ShardId(1));
        let first = claim(&directory, a);
        assert_eq!(first.previous, None);
        let second = claim(&directory, b);
        assert_eq!(second.previous, Some(a));
        assert!(second.epoch > first.epoch);
        directory.release("x", a, first.epoch);
        assert_eq!(
            claim(&directory, a).previous,
            Some(b),
            "a stale release changes nothing"
        );
    }

    #[test]
    fn a_released_session_is_forgotten() {
        let directory = Directory::new(1);
        let first = claim(&directory, ShardId(0));
        directory.release("x", ShardId(0), first.epoch);
        assert_eq!(claim(&directory, ShardId(0)).previous, None);
    }
}
