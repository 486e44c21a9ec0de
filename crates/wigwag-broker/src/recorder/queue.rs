//! Between who hears messages and who writes them down: a bounded queue, so that a slow disk holds nobody up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that may wait to be written.
pub(crate) const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What an entry takes besides key and value, about.
const ENTRY_LEN: usize = 64;

/// So many bytes are not kept waiting for more.
const BYTES_ENOUGH: usize = 1024 * 1024;

/// A clock that goes back by more than this is believed; times are no longer those of one order then.
const STEP_BACK: u64 = 60_000_000;

/// Key and value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Pair>,
    bytes: usize,
    is_closed: bool,
    /// The time that was given last.
    last: u64,
}

impl Queue {
    /// Adds what `pair` makes for a time that no other has. False if there is no room.
    pub(super) fn push(&self, pair: impl FnOnce(u64) -> Pair) -> bool {
        let mut inner = self.lock();
        if inner.bytes >= BYTES_MAX || inner.is_closed {
            return false;
        }
        let at = inner.next_time(now());
        let (key, value) = pair(at);
        inner.bytes += key.len() + value.len() + ENTRY_LEN;
        inner.entries.push((key, value));
        let wakes = inner.entries.len() == 1 || inner.bytes >= BYTES_ENOUGH;
        drop(inner);
        if wakes {
            self.news.notify_one();
        }
        true
    }

    /// What has come, when it has waited for `gather` or is much; nothing if nothing comes for `patience`. `None` when
    /// it is closed and empty.
    pub(super) fn take(&self, gather: Duration, patience: Duration) -> Option<Vec<Pair>> {
        let is_idle = |inner: &mut Inner| inner.entries.is_empty() && !inner.is_closed;
        let inner = self.news.wait_timeout_while(self.lock(), patience, is_idle);
        let (inner, _) = inner.unwrap_or_else(PoisonError::into_inner);
        if inner.entries.is_empty() {
            return (!inner.is_closed).then(Vec::new);
        }
        let is_little = |inner: &mut Inner| inner.bytes < BYTES_ENOUGH && !inner.is_closed;
        let inner = self.news.wait_timeout_while(inner, gather, is_little);
        let (mut inner, _) = inner.unwrap_or_else(PoisonError::into_inner);
        inner.bytes = 0;
        Some(std::mem::take(&mut inner.entries))
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn next_time(&mut self, now: u64) -> u64 {
        self.last = if now + STEP_BACK < self.last {
            now
        } else {
            now.max(self.last + 1)
        };
        self.last
    }
}

/// Microseconds since 1970.
pub(super) fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since_epoch.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Queue, len: usize) -> bool {
        queue.push(|at| (at.to_be_bytes().to_vec(), vec![0; len]))
    }

    #[test]
    fn what_is_too_much_does_not_wait() {
        let queue = Queue::default();
        let taken = (0..100).filter(|_| push(&queue, 1024 * 1024)).count();
        assert_eq!(taken, 16);
        let second = Duration::from_secs(1);
        assert_eq!(queue.take(second, second).map(|it| it.len()), Some(16));
        assert!(push(&queue, 1), "there is room again");
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_then_ends() {
        let queue = Queue::default();
        assert!(push(&queue, 1));
        queue.close();
        assert!(!push(&queue, 1));
        let hour = Duration::from_secs(3_600);
        assert_eq!(queue.take(hour, hour).map(|it| it.len()), Some(1));
        assert_eq!(queue.take(hour, hour), None);
    }

    #[test]
    fn no_two_messages_have_the_same_time() {
        let mut inner = Inner::default();
        let far = 2 * STEP_BACK;
        let times = [far, far, far - 5, far + 1, 7].map(|now| inner.next_time(now));
        assert_eq!(times, [far, far + 1, far + 2, far + 3, 7]);
    }
}
