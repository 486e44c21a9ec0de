//! What is due when: one ordered queue per shard.
//!
//! Each owner of a timer holds an [`Alarm`], so that a timer is moved or cancelled instead of left behind.
//! Keep Alive is not moved at every packet: when it is due, the shard looks when the last packet came.

use std::collections::BTreeSet;

use wigwag_proto::Time;

use crate::session::SessionKey;
use crate::shard::ConnectionKey;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A connection has to show something: a CONNECT, a packet within its Keep Alive, or its end.
    Connection(ConnectionKey),
    /// A publisher that was held back is read again.
    Nap(ConnectionKey),
    /// The Will of a session is to be published.
    Will(SessionKey),
    /// The replay of retained messages goes on.
    Replay(SessionKey),
    /// A session ends.
    SessionExpiry(SessionKey),
}

/// When the timer of its owner is due, if it is set.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Time>);

impl Alarm {
    /// When it is due. Once the timer has been taken, that is in the past.
    pub(crate) const fn at(&self) -> Option<Time> {
        self.0
    }
}

/// All timers of a shard.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Time, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, alarm: &mut Alarm, timer: Timer, at: Time) {
        self.cancel(alarm, timer);
        self.queue.insert((at, timer));
        alarm.0 = Some(at);
    }

    pub(crate) fn cancel(&mut self, alarm: &mut Alarm, timer: Timer) {
        if let Some(at) = alarm.0.take() {
            self.queue.remove(&(at, timer));
        }
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Time> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes a timer that is due. Its owner's alarm is stale until it is set or cancelled, which is
    /// harmless: the entry is gone.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let &(at, _) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first().map(|(_, timer)| timer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_are_due_in_order_and_can_be_moved_and_cancelled() {
        let at = |secs| Time::new(Duration::from_secs(secs));
        let mut keys = slotmap::SlotMap::<SessionKey, ()>::with_key();
        let (a, b, c) = (keys.insert(()), keys.insert(()), keys.insert(()));
        let (mut first, mut second, mut third) =
            (Alarm::default(), Alarm::default(), Alarm::default());
        let mut timers = Timers::default();
        timers.set(&mut first, Timer::Will(a), at(5));
        timers.set(&mut second, Timer::Will(b), at(3));
        timers.set(&mut third, Timer::Will(c), at(1));
        timers.set(&mut first, Timer::Will(a), at(2));
        timers.cancel(&mut third, Timer::Will(c));
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.pop_due(at(1)), None);
        assert_eq!(timers.pop_due(at(4)), Some(Timer::Will(a)));
        assert_eq!(timers.pop_due(at(4)), Some(Timer::Will(b)));
        assert_eq!(timers.pop_due(at(4)), None);
    }
}
