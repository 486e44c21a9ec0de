//! When each message or connection of an open loop is due.
//!
//! Reads no clock: times are nanoseconds since the start of the measurement. What is done late keeps its intended
//! time, so that a broker that stalls cannot hide the wait of what it kept from being sent.

use std::time::Duration;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Events at even distances, numbered from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Units per second.
    rate: u64,
    /// Units that one event counts for.
    weight: u64,
}

impl Schedule {
    /// `rate` units per second, of which one event makes `weight`.
    pub(crate) const fn new(rate: u64, weight: u64) -> Schedule {
        Schedule { rate, weight }
    }

    /// When event `index` is due.
    pub(crate) fn intended_nanos(&self, index: u64) -> u64 {
        let units = u128::from(index) * u128::from(self.weight);
        let nanos = (units * NANOS_PER_SECOND).div_ceil(u128::from(self.rate));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// How many events are due when `elapsed_nanos` have passed: at least the first.
    pub(crate) fn due(&self, elapsed_nanos: u64) -> u64 {
        let per_second = NANOS_PER_SECOND * u128::from(self.weight);
        let last = u128::from(elapsed_nanos) * u128::from(self.rate) / per_second;
        u64::try_from(last + 1).unwrap_or(u64::MAX)
    }

    /// How many events are due before `time` has passed: at least the first.
    pub(crate) fn due_within(&self, time: Duration) -> u64 {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.due(nanos.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn events_have_even_distances() {
        let schedule = Schedule::new(1_000, 1);
        assert_eq!(schedule.intended_nanos(0), 0);
        assert_eq!(schedule.intended_nanos(1), MILLISECOND);
        assert_eq!(schedule.intended_nanos(15), 15 * MILLISECOND);
    }

    #[test]
    fn the_rate_counts_deliveries_so_fan_out_publishes_less_often() {
        let schedule = Schedule::new(1_000, 20);
        assert_eq!(schedule.intended_nanos(1), 20 * MILLISECOND);
        assert_eq!(schedule.due(1_000 * MILLISECOND), 51);
        assert_eq!(schedule.due_within(Duration::from_secs(1)), 50);
        assert_eq!(schedule.due_within(Duration::ZERO), 1);
    }

    #[test]
    fn an_event_is_due_exactly_from_its_intended_time_on() {
        for (rate, weight) in [(1_000, 1), (7, 20), (333_333, 1), (3, 2)] {
            let schedule = Schedule::new(rate, weight);
            for index in [0, 1, 2, 99, 1_000_003] {
                let intended = schedule.intended_nanos(index);
                assert_eq!(schedule.due(intended), index + 1);
                if intended > 0 {
                    assert_eq!(schedule.due(intended - 1), index);
                }
            }
        }
    }
}
