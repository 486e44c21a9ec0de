//! What a bridge counts, for whoever looks on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::topics::Way;

/// Counted by the bridge, read from any thread.
#[derive(Debug, Default)]
pub(super) struct Counters {
    is_connected: AtomicBool,
    carried_out: AtomicU64,
    carried_in: AtomicU64,
    dropped_out: AtomicU64,
    dropped_in: AtomicU64,
    held: AtomicU64,
    connections: AtomicU64,
    failures: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// How a bridge is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeReport {
    /// Its name in the configuration.
    pub name: String,
    /// Whether the other broker has accepted the connection.
    pub is_connected: bool,
    /// Messages that the other broker has taken.
    pub carried_out: u64,
    /// Messages that this broker has taken from the other one.
    pub carried_in: u64,
    /// Messages for the other broker that were given up: of QoS 0 while it was out of reach, expired, or
    /// refused by it.
    pub dropped_out: u64,
    /// Messages from the other broker that were given up.
    pub dropped_in: u64,
    /// Messages for the other broker that have left their queue in this one and have not been taken there.
    pub held: u64,
    /// Connections that the other broker has accepted.
    pub connections: u64,
    /// Connections that have ended without being asked to, and attempts that have failed.
    pub failures: u64,
    /// Why the last of these did.
    pub last_error: Option<String>,
}

impl Counters {
    pub(super) fn count_carried(&self, way: Way) {
        match way {
            Way::Out => &self.carried_out,
            Way::In => &self.carried_in,
        }
        .fetch_add(1, Relaxed);
    }

    pub(super) fn count_dropped(&self, way: Way) {
        match way {
            Way::Out => &self.dropped_out,
            Way::In => &self.dropped_in,
        }
        .fetch_add(1, Relaxed);
    }

    /// A message for the other broker has left its queue.
    pub(super) fn hold(&self) {
        self.held.fetch_add(1, Relaxed);
    }

    /// It has been dealt with.
    pub(super) fn release(&self) {
        self.held.fetch_sub(1, Relaxed);
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// Grows with every message that passes.
    pub(super) fn activity(&self) -> u64 {
        let counts = [
            &self.carried_out,
            &self.carried_in,
            &self.dropped_out,
            &self.dropped_in,
        ];
        counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub(super) fn note_connected(&self) {
        self.connections.fetch_add(1, Relaxed);
        self.is_connected.store(true, Relaxed);
    }

    pub(super) fn note_disconnected(&self) {
        self.is_connected.store(false, Relaxed);
    }

    pub(super) fn note_failure(&self, why: String) {
        self.failures.fetch_add(1, Relaxed);
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub(super) fn report(&self, name: &str) -> BridgeReport {
        let last_error = self.last_error.lock();
        BridgeReport {
            name: name.to_owned(),
            is_connected: self.is_connected.load(Relaxed),
            carried_out: self.carried_out.load(Relaxed),
            carried_in: self.carried_in.load(Relaxed),
            dropped_out: self.dropped_out.load(Relaxed),
            dropped_in: self.dropped_in.load(Relaxed),
            held: self.held.load(Relaxed),
            connections: self.connections.load(Relaxed),
            failures: self.failures.load(Relaxed),
            last_error: last_error.unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
