//! Readers that are slower than what is published to them, for a while: their publishers wait a little.
//!
//! A publisher whose message comes to a reader that has too much to do is not read for a moment, on
//! whichever shard it is. So much patience is bounded on both sides: a reader that takes nothing, or that
//! has not caught up after some time, holds back nobody until it has; and a publisher waits no more than a
//! part of its time, however many readers there are.

use wigwag_proto::Time;

use super::{Connection, ConnectionKey, Shard};
use crate::limits::Limits;
use crate::peer::Letter;
use crate::routes::Target;
use crate::session::SessionKey;
use crate::timers::{Alarm, Timer};

/// The patience that a reader uses up.
#[derive(Debug)]
pub(super) struct HoldingBack {
    since: Time,
    /// When it was last seen to have taken something, and how much it had taken then.
    moved_at: Time,
    taken: u64,
}

/// The moments in which a publisher is not read.
#[derive(Debug)]
pub(super) struct Naps {
    is_napping: bool,
    pub(super) alarm: Alarm,
    /// How many there were since.
    since: Time,
    count: u32,
}

/// A publisher waits one part of so many of its time.
const PARTS_OF_TIME: u32 = 4;

impl Naps {
    /// Whether there may be another one.
    fn may_begin(&mut self, now: Time, limits: &Limits) -> bool {
        if now - self.since >= limits.hold_back_max * PARTS_OF_TIME {
            (self.since, self.count) = (now, 0);
        }
        !self.is_napping && limits.nap * self.count < limits.hold_back_max
    }
}

impl Connection {
    pub(super) fn is_napping(&self) -> bool {
        self.naps.as_ref().is_some_and(|naps| naps.is_napping)
    }

    /// Whether the reader, which has too much to do, may hold back a publisher.
    pub(super) fn may_hold_back(&mut self, now: Time, limits: &Limits) -> bool {
        if self.listener.lost.is_some() {
            return false;
        }
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
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let limits = &self.settings.limits;
        let naps = connection.naps.get_or_insert_with(|| {
            Box::new(Naps {
                is_napping: false,
                alarm: Alarm::default(),
                since: now,
                count: 0,
            })
        });
        if naps.may_begin(now, limits) {
            naps.is_napping = true;
            naps.count += 1;
            self.timers
                .set(&mut naps.alarm, Timer::Nap(key), now + limits.nap);
        }
    }

    /// Reads a publisher again.
    pub(super) fn wake(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && let Some(naps) = &mut connection.naps
        {
            naps.is_napping = false;
            self.touch(key);
        }
    }
}
