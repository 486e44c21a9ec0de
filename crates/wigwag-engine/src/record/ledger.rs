//! What of a node's state stands in a store, and what there is stale.
//!
//! Nothing is compared to find out what a save has to write: a session that changes is noted, once until it
//! is saved, and what is deleted notes itself. Something that has been filed holds a token; when the last
//! owner drops it, wherever that happens, its number is remembered as gone. So an acknowledged message, a
//! session that ends and a queue that is cut need no line of code of their own here.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wigwag_proto::PacketId;

/// Numbers that are gone, until somebody takes them.
#[derive(Debug, Default)]
pub(crate) struct Gone(Mutex<Vec<u64>>);

impl Gone {
    pub(crate) fn push(&self, number: u64) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.push(number);
    }

    pub(crate) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One for the shards of a node: gives numbers to what is filed.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    next_message: AtomicU64,
    next_session: AtomicU64,
    next_retained: AtomicU64,
    /// Messages that nobody refers to any more.
    pub(crate) messages: Arc<Gone>,
}

impl Ledger {
    pub(crate) fn next_message(&self) -> u64 {
        self.next_message.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_session(&self) -> u64 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_retained(&self) -> u64 {
        self.next_retained.fetch_add(1, Ordering::Relaxed)
    }

    /// These numbers are in use.
    pub(crate) fn reserve(
        &self,
        message: Option<u64>,
        session: Option<u64>,
        retained: Option<u64>,
    ) {
        for (next, highest) in [
            (&self.next_message, message),
            (&self.next_session, session),
            (&self.next_retained, retained),
        ] {
            next.fetch_max(highest.map_or(0, |number| number + 1), Ordering::Relaxed);
        }
    }
}

/// The token of a record. Its number is gone when the last owner has dropped it.
#[derive(Debug)]
pub(crate) struct Filed {
    pub(crate) number: u64,
    gone: Arc<Gone>,
}

impl Filed {
    pub(crate) fn new(number: u64, gone: &Arc<Gone>) -> Filed {
        Filed {
            number,
            gone: Arc::clone(gone),
        }
    }
}

impl Drop for Filed {
    fn drop(&mut self) {
        self.gone.push(self.number);
    }
}

/// What the store has of a session that was restored.
#[derive(Debug)]
pub(crate) struct FiledSession {
    pub(crate) number: u64,
    pub(crate) next_entry: u64,
    pub(crate) gone: Arc<Gone>,
}

/// What a session that outlives its connection knows of its records.
#[derive(Debug)]
pub(crate) struct Track {
    /// Of the session among all that ever were; its records begin with it.
    pub(crate) number: u64,
    /// Whether any record of it may be in the store.
    pub(crate) is_filed: bool,
    pub(crate) next_entry: u64,
    /// Entries of its queue that are in the store for nothing.
    pub(crate) gone: Arc<Gone>,
    /// Whether what is neither queued nor in flight has changed.
    pub(crate) is_head_stale: bool,
    /// Packet Identifiers of QoS 2 that have been received or released.
    pub(crate) received: BTreeSet<PacketId>,
    /// If it has changed since it was written: the last save that had begun by then. It is in one of its
    /// shard's lists.
    pub(crate) noted_in: Option<u64>,
}

impl Track {
    pub(crate) fn new(number: u64) -> Track {
        Track {
            number,
            is_filed: false,
            next_entry: 0,
            gone: Arc::default(),
            is_head_stale: true,
            received: BTreeSet::new(),
            noted_in: None,
        }
    }

    /// The session as it stands in the store.
    pub(crate) fn restored(filed: FiledSession) -> Track {
        Track {
            is_filed: true,
            next_entry: filed.next_entry,
            gone: filed.gone,
            is_head_stale: false,
            ..Track::new(filed.number)
        }
    }

    /// The number of the next entry of its queue.
    pub(crate) fn next_entry(&mut self) -> u64 {
        let number = self.next_entry;
        self.next_entry += 1;
        number
    }
}

/// What has ended and whose records are to be deleted.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) number: u64,
    pub(crate) gone: Arc<Gone>,
    pub(crate) in_flight: Vec<PacketId>,
    pub(crate) received: Vec<PacketId>,
}
