//! What a shard does when the node holds too much: first nothing is begun that would be kept, then nothing
//! grows, and the connections that hold most go. Who keeps little notices nothing of it.
//!
//! The sums are kept in `crate::memory`; they are looked at before something is done that may add to them.

use wigwag_proto::{OutBuf, ReasonCode, Time};

use super::{Connection, ConnectionKey, Phase, Shard};
use crate::event::{CloseReason, Event};
use crate::limits::Limits;
use crate::memory::{CONNECTION_LEN, Pressure};

/// What a connection may hold in either direction, and a session in flight, when there is no memory left.
pub(super) const LITTLE: usize = 64 * 1024;

/// Connections of a shard without a session, when there is no memory left: enough for clients to come back to
/// theirs, which is what makes room again.
pub(super) const STRANGERS_AT_FULL: u64 = 32;

const FULL: CloseReason = CloseReason::Quota("the memory of the broker is full");

impl Connection {
    /// What it holds, about.
    fn weight(&self) -> usize {
        CONNECTION_LEN + self.listener.connection_bytes + self.carried + self.out.len()
    }
}

impl Shard {
    /// Whether sessions, subscriptions and retained topics may not begin.
    pub(super) const fn is_tight(&self) -> bool {
        !matches!(self.memory.pressure, Pressure::None)
    }

    /// Whether nothing that is kept may grow.
    pub(super) const fn is_full(&self) -> bool {
        matches!(self.memory.pressure, Pressure::Full)
    }

    /// Connections that have no session yet, or none any more.
    pub(super) fn strangers(&self) -> u64 {
        (self.connections.len() as u64).saturating_sub(self.census.sessions_connected())
    }

    /// The connection may hold more or less than before.
    pub(super) fn weigh(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            let weight = connection.weight();
            self.memory.connections = self.memory.connections + weight - connection.weight;
            connection.weight = weight;
        }
    }

    /// The connection holds so many bytes of a packet that has not come in full.
    pub(super) fn carry(&mut self, now: Time, key: ConnectionKey, carried: usize) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.carried != carried {
            connection.carried = carried;
            self.weigh(key);
            if carried > LITTLE && self.is_full() {
                self.close(now, key, FULL, Some(ReasonCode::QuotaExceeded));
            }
        }
    }

    /// Compares what the node holds with what it may hold.
    pub(super) fn look_at_memory(&mut self, now: Time) {
        self.count_noted();
        let own = self.memory.own(self.census.session_bytes());
        let held = self.memory.tell(own, &self.node.held);
        let (before, max) = (self.memory.pressure, self.settings.limits.memory_max);
        let pressure = Pressure::of(held, max, before);
        if pressure == before {
            return;
        }
        self.memory.pressure = pressure;
        if self.node.note_pressure(pressure) {
            self.events.push(Event::MemoryPressure {
                pressure,
                held,
                max,
            });
        }
        if pressure == Pressure::Full {
            self.shed(now);
        }
    }

    /// Ends the connections that hold more than a little.
    fn shed(&mut self, now: Time) {
        let holders: Vec<ConnectionKey> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.carried.max(connection.out.len()) > LITTLE)
            .map(|(key, _)| key)
            .collect();
        for key in holders {
            self.close(now, key, FULL, Some(ReasonCode::QuotaExceeded));
            // One that does not read would not read that either.
            if let Some(connection) = self.connections.get_mut(key)
                && connection.out.len() > LITTLE
            {
                connection.phase = Phase::Over;
                self.touch(key);
            }
        }
    }

    /// Turns a connection away that would be one more.
    pub(super) fn turn_away(&mut self, now: Time, key: ConnectionKey) {
        self.close(now, key, FULL, None);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Over;
        }
    }
}

/// Whether an out-buffer holds so many bytes that what can wait or be left out does not come in any more.
pub(super) fn is_overdue(out: &OutBuf, limits: &Limits, pressure: Pressure) -> bool {
    out.len() > limits.out_buffer_max || pressure > Pressure::None && out.len() > LITTLE
}

#[cfg(test)]
impl Shard {
    /// What a look at everything finds, and what the sums say.
    pub(super) fn weights(&mut self) -> ((usize, usize), (usize, usize)) {
        self.count_noted();
        let connections = self.connections.values().map(|it| it.weight).sum();
        let sessions = self
            .sessions
            .values()
            .map(crate::session::Session::weight)
            .sum();
        (
            (connections, sessions),
            (self.memory.connections, self.census.session_bytes()),
        )
    }

    /// How much the node holds, as far as this shard knows.
    pub(super) fn held(&mut self) -> usize {
        self.count_noted();
        self.memory.own(self.census.session_bytes())
    }
}
