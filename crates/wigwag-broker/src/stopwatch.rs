//! How long a PUBLISH takes from the socket that it comes from to the sockets that it goes to, on one worker.
//!
//! A worker's turn begins with a read and ends when all that was touched has been written; its beginning is a
//! time that the worker knows anyway. Only the end takes another look at the clock, and so no more than one
//! turn of those that begin within [`EVERY`] is measured. Whether a turn is measured depends on when it began
//! and not on how long it took, so slow ones are not favoured.
//!
//! All messages of a turn count with the time of its first read, and those from another shard with that of
//! the turn that sent them: the figure is never too small. Nobody waits here for clients that do not read, and
//! nor does the figure.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use wigwag_engine::Time;

/// Least time between the end of a turn that was measured and the beginning of the next one.
const EVERY: Duration = Duration::from_millis(1);

/// The upper bounds of the buckets, in microseconds.
pub(crate) const BOUNDS_MICROS: [u32; 15] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000,
];

/// A histogram of times.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Durations {
    /// One for each bound, and those above the last.
    pub(crate) counts: [u64; BOUNDS_MICROS.len() + 1],
    pub(crate) sum_secs: f64,
}

impl Durations {
    /// So many messages took so long.
    #[expect(clippy::cast_precision_loss, reason = "nobody counts up to 2^53")]
    fn record(&mut self, took: Duration, messages: u64) {
        let micros = took.as_micros();
        let bucket = BOUNDS_MICROS.partition_point(|&bound| u128::from(bound) < micros);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += messages;
        }
        self.sum_secs += took.as_secs_f64() * messages as f64;
    }

    /// Adds what another worker has measured.
    pub(crate) fn add(&mut self, other: &Durations) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
        self.sum_secs += other.sum_secs;
    }
}

/// The stopwatch of one worker.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    /// The first read of this turn.
    read_at: Cell<Option<Time>>,
    /// What has come from other shards in this turn.
    mail: Cell<Batch>,
    /// PUBLISH packets before this turn.
    publishes: Cell<u64>,
    /// What has come before this is not measured.
    next: Cell<Time>,
    durations: RefCell<Durations>,
}

/// Messages from other shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) messages: u64,
    /// When the turn began that brought the first of them.
    pub(crate) since: Option<Time>,
}

impl Batch {
    pub(crate) fn add(&mut self, other: Batch) {
        self.messages += other.messages;
        self.since = earlier(self.since, other.since);
    }
}

impl Stopwatch {
    /// Something is about to be read.
    pub(crate) fn begin(&self, now: Time) {
        if self.read_at.get().is_none() {
            self.read_at.set(Some(now));
        }
    }

    /// What was read brings nothing that is to be written: no turn has begun with it.
    pub(crate) fn forget_read(&self) {
        self.read_at.set(None);
    }

    /// Mail is about to be delivered.
    pub(crate) fn begin_mail(&self, batch: Batch) {
        let mut mail = self.mail.get();
        mail.add(batch);
        self.mail.set(mail);
    }

    /// Since when what this turn sends to other shards has been on its way, if that is known.
    pub(crate) fn since(&self) -> Option<Time> {
        earlier(self.read_at.get(), self.mail.get().since)
    }

    /// Everything that the turn has brought is written. `publishes` is the number of PUBLISH packets that the
    /// shard has read so far; the clock is looked at only if the turn is measured.
    pub(crate) fn end(&self, publishes: u64, clock: impl FnOnce() -> Time) {
        let read = Batch {
            messages: publishes - self.publishes.replace(publishes),
            since: self.read_at.take(),
        };
        let due = |batch: &Batch| {
            let since = batch.since.filter(|&since| since >= self.next.get())?;
            (batch.messages > 0).then_some((since, batch.messages))
        };
        let batches = [due(&read), due(&self.mail.take())];
        if batches.iter().all(Option::is_none) {
            return;
        }
        let now = clock();
        let mut durations = self.durations.borrow_mut();
        for (since, messages) in batches.into_iter().flatten() {
            durations.record(now.saturating_since(since), messages);
        }
        self.next.set(now + EVERY);
    }

    /// What has been measured so far.
    pub(crate) fn durations(&self) -> Durations {
        self.durations.borrow().clone()
    }
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(micros: u64) -> Time {
        Time::new(Duration::from_micros(micros))
    }

    fn never() -> Time {
        panic!("the clock is not to be looked at")
    }

    /// Bound in microseconds and count of the buckets that are not empty.
    fn found(stopwatch: &Stopwatch) -> Vec<(u32, u64)> {
        let bounds = BOUNDS_MICROS.into_iter().chain([u32::MAX]);
        let buckets = bounds.zip(stopwatch.durations().counts);
        buckets.filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn the_messages_of_a_turn_have_the_time_since_its_first_read() {
        let stopwatch = Stopwatch::default();
        stopwatch.begin(micros(100));
        stopwatch.begin(micros(250));
        stopwatch.end(3, || micros(400));
        assert_eq!(found(&stopwatch), [(500, 3)]);
        assert!((stopwatch.durations().sum_secs - 0.0009).abs() < 1e-9);
    }

    #[test]
    fn a_read_that_begins_no_turn_does_not_count_until_the_next_one() {
        let stopwatch = Stopwatch::default();
        stopwatch.begin(micros(100));
        stopwatch.forget_read();
        stopwatch.begin(micros(400_000));
        stopwatch.end(1, || micros(400_060));
        assert_eq!(found(&stopwatch), [(100, 1)]);
    }

    #[test]
    fn turns_without_messages_and_those_that_follow_closely_cost_no_look_at_the_clock() {
        let stopwatch = Stopwatch::default();
        stopwatch.begin(micros(0));
        stopwatch.end(0, never);
        stopwatch.begin(micros(10));
        stopwatch.end(1, || micros(60));
        stopwatch.begin(micros(100));
        stopwatch.end(2, never);
        stopwatch.begin(micros(1_060));
        stopwatch.end(3, || micros(9_000_000));
        assert_eq!(found(&stopwatch), [(50, 1), (u32::MAX, 1)]);
    }

    #[test]
    fn mail_has_been_on_its_way_since_it_was_read_elsewhere() {
        let stopwatch = Stopwatch::default();
        let batch = |messages, since| Batch {
            messages,
            since: Some(micros(since)),
        };
        stopwatch.begin_mail(batch(2, 300));
        stopwatch.begin_mail(batch(1, 100));
        stopwatch.begin(micros(900));
        assert_eq!(stopwatch.since(), Some(micros(100)), "what it passes on");
        stopwatch.end(4, || micros(1_000));
        assert_eq!(found(&stopwatch), [(100, 4), (1_000, 3)]);
    }
}
