//! Readers that are slower than what is published to them, for a while: their publishers wait a little.
//!
//! A publisher whose message comes to a reader that has too much to do is not read for a moment, on
//! whichever shard it is. So much patience is bounded: a reader that takes nothing, or that has not caught
//! up after some time, holds back nobody until it has.

use wigwag_proto::Time;

use super::{Connection, ConnectionKey, Shard};
use crate::limits::Limits;
use crate::peer::Letter;
use crate::routes::Target;
use crate::session::SessionKey;
use crate::timers::Timer;

/// The patience that a reader uses up.
#[derive(Debug)]
pub(super) struct HoldingBack {
    since: Time,
    /// When it was last seen to have taken something, and how much it had taken then.
    moved_at: Time,
    taken: u64,
}

impl Connection {
    /// Whether the reader, which has too much to do, may hold back a publisher.
    pub(super) fn may_hold_back(&mut self, now: Time, limits: &Limits) -> bool {
        let taken = self.appended - self.out.len() as u64;
        let holding = self.holding_back.get_or_insert_with(|| {
            Box::new(HoldingBack {
                since: now,
                moved_at: now,
                taken,
            })
        });
        if taken > holding.taken {
            holding.taken = taken;
            holding.moved_at = now;
        }
        now - holding.since < limits.hold_back_max && now - holding.moved_at < limits.stall_max
    }
}

impl Shard {
    /// Holds back the publisher of a message that was too much for one of its readers.
    pub(super) fn hold_back_if_wanted(&mut self, now: Time, publisher: Option<Target>) {
        if !std::mem::take(&mut self.too_much) {
            return;
        }
        let Some(publisher) = publisher else { return };
        if publisher.shard == self.id {
            return self.nap(now, publisher.session);
        }
        // Once for all of its messages that have come together.
        if self.held_back.0 != now {
            self.held_back = (now, Default::default());
        }
        if self.held_back.1.insert(publisher) {
            self.post(publisher.shard, Letter::HoldBack(publisher.session));
        }
    }

    /// Does not read a publisher for a moment.
    pub(super) fn nap(&mut self, now: Time, publisher: SessionKey) {
        let session = self.sessions.get(publisher);
        let Some(key) = session.and_then(|session| session.local.connection) else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.is_napping = true;
            let until = now + self.settings.limits.nap;
            self.timers
                .set(&mut connection.nap_alarm, Timer::Nap(key), until);
        }
    }

    /// Reads a publisher again.
    pub(super) fn wake(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.is_napping = false;
            self.touch(key);
        }
    }
}
