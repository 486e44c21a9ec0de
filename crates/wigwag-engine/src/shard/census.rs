//! What a shard has at the moment, as running sums: to ask for it costs the same with ten sessions and with
//! a hundred thousand.
//!
//! A session remembers what the sums hold of it. Whoever changes what it keeps says so with `note`; when somebody
//! asks, or the next bytes come, it is counted once for all changes since the last time. So one that was not told
//! of makes a sum late and never wrong for good.

use std::collections::BTreeSet;

use super::{Connection, ConnectionKey, Shard};
use crate::session::{Session, SessionKey};
use crate::stats::{Stats, Waiting};

/// The sums of a shard.
#[derive(Debug, Default)]
pub(super) struct Census {
    sessions: Counted,
    /// Sessions that may keep more or less than the sums hold of them, each once.
    noted: Vec<SessionKey>,
    /// Connections whose peers have not taken all that was written to them.
    slow: BTreeSet<ConnectionKey>,
}

/// What sums hold of a session, and of all sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    connected: u64,
    waiting: Waiting,
    weight: usize,
}

impl Counted {
    fn of(session: &Session) -> Counted {
        Counted {
            connected: session.local.connection.is_some().into(),
            waiting: session.waiting(),
            weight: session.weight(),
        }
    }

    /// Takes one share out and puts another in.
    fn exchange(&mut self, old: &Counted, new: &Counted) {
        self.weight = self.weight + new.weight - old.weight;
        let sum = &mut self.waiting;
        for (sum, old, new) in [
            (&mut self.connected, old.connected, new.connected),
            (&mut sum.queued, old.waiting.queued, new.waiting.queued),
            (
                &mut sum.in_flight,
                old.waiting.in_flight,
                new.waiting.in_flight,
            ),
            (
                &mut sum.unreleased,
                old.waiting.unreleased,
                new.waiting.unreleased,
            ),
            (&mut sum.bytes, old.waiting.bytes, new.waiting.bytes),
            (
                &mut sum.payload_bytes,
                old.waiting.payload_bytes,
                new.waiting.payload_bytes,
            ),
        ] {
            *sum = *sum + new - old;
        }
    }
}

impl Census {
    /// The session may keep more or less than before.
    #[inline]
    pub(super) fn note(&mut self, key: SessionKey, session: &mut Session) {
        if !session.local.is_noted {
            session.local.is_noted = true;
            self.noted.push(key);
        }
    }

    /// Counts the session anew, at once.
    pub(super) fn recount(&mut self, session: &mut Session) {
        let new = Counted::of(session);
        if new != session.local.counted {
            self.sessions.exchange(&session.local.counted, &new);
            session.local.counted = new;
        }
    }

    /// What all sessions hold besides messages.
    pub(super) fn session_bytes(&self) -> usize {
        self.sessions.weight
    }

    /// Sessions with a connection.
    pub(super) const fn sessions_connected(&self) -> u64 {
        self.sessions.connected
    }

    /// The session is not this shard's any more.
    pub(super) fn forget(&mut self, counted: &Counted) {
        self.sessions.exchange(counted, &Counted::default());
    }

    /// The peer has taken everything, or is gone.
    pub(super) fn forget_slow(&mut self, key: ConnectionKey) {
        self.slow.remove(&key);
    }
}

impl Shard {
    /// The same as [`Census::note`], by the session's key.
    pub(super) fn note_kept(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            self.census.note(key, session);
        }
    }

    /// Brings the sums up to date.
    pub(super) fn count_noted(&mut self) {
        while let Some(key) = self.census.noted.pop() {
            // It may have ended, or moved away.
            if let Some(session) = self.sessions.get_mut(key) {
                session.local.is_noted = false;
                self.census.recount(session);
            }
        }
    }

    /// The peer does not take what is in its out-buffer for now. Told for the sake of [`Shard::stats`]; that
    /// it has taken everything is told with [`Shard::handle_drained`].
    pub fn handle_blocked(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.is_slow = true;
            self.census.slow.insert(key);
        }
    }

    /// PUBLISH packets that have come. Cheap enough for every turn.
    pub fn publishes_received(&self) -> u64 {
        self.stats.publish_received.iter().sum()
    }

    /// Packets that have come and those that were put into out-buffers, so far: a measure of work.
    pub fn packets(&self) -> u64 {
        self.stats.received.total() + self.stats.sent.total()
    }

    /// What the shard has counted, and what it has now. This looks at the connections that have something to
    /// be written, and at the sessions that have changed since the last bytes came.
    pub fn stats(&mut self) -> Stats {
        self.count_noted();
        let slow = self.census.slow.iter();
        let slow = slow.filter_map(|&key| self.connections.get(key));
        let touched = self.touched.iter();
        let touched = touched
            .filter_map(|&key| self.connections.get(key))
            .filter(|connection| !connection.is_slow);
        let (out_packets, out_bytes) = slow.chain(touched).fold((0, 0), add_unwritten);
        Stats {
            dropped: self.events.dropped_in_all(),
            connections: self.connections.len() as u64,
            sessions: self.sessions.len() as u64,
            sessions_connected: self.census.sessions_connected(),
            waiting: self.census.sessions.waiting,
            slow_consumers: self.census.slow.len() as u64,
            out_packets,
            out_bytes,
            ..self.stats.clone()
        }
    }
}

fn add_unwritten((packets, bytes): (u64, u64), connection: &Connection) -> (u64, u64) {
    if connection.out.is_empty() {
        return (packets, bytes);
    }
    (
        packets + u64::from(connection.out_packets),
        bytes + connection.out.len() as u64,
    )
}

/// What a look at every session finds.
#[cfg(test)]
impl Shard {
    pub(super) fn count_sessions(&self) -> (u64, Waiting) {
        let mut sum = Counted::default();
        for session in self.sessions.values() {
            sum.exchange(&Counted::default(), &Counted::of(session));
        }
        (sum.connected, sum.waiting)
    }
}
