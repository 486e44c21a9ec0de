//! When each message of an open loop is due.
//!
//! Reads no clock: times are nanoseconds since the start of the measurement. A message that is sent
//! late keeps its intended time, so that a broker that stalls cannot hide the wait of the messages
//! that it kept from being sent.

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Messages at even distances, numbered from 0 over all publishers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Deliveries per second over all subscribers.
    rate: u64,
    /// Deliveries that one message makes.
    receivers: u64,
    publishers: u64,
}

impl Schedule {
    pub(crate) const fn new(rate: u64, receivers: u64, publishers: u64) -> Schedule {
        Schedule {
            rate,
            receivers,
            publishers,
        }
    }

    /// When message `number` of `publisher` is due; the publishers take turns.
    pub(crate) fn intended_nanos(&self, publisher: u64, number: u64) -> u64 {
        let index = u128::from(number) * u128::from(self.publishers) + u128::from(publisher);
        let nanos =
            (index * u128::from(self.receivers) * NANOS_PER_SECOND).div_ceil(u128::from(self.rate));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// How many messages of `publisher` are due when `elapsed_nanos` have passed.
    pub(crate) fn due(&self, publisher: u64, elapsed_nanos: u64) -> u64 {
        let per_second = NANOS_PER_SECOND * u128::from(self.receivers);
        let last_index = u128::from(elapsed_nanos) * u128::from(self.rate) / per_second;
        let due = (last_index + u128::from(self.publishers) - u128::from(publisher))
            / u128::from(self.publishers);
        u64::try_from(due).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn publishers_take_turns_at_even_distances() {
        let schedule = Schedule::new(1_000, 1, 2);
        assert_eq!(schedule.intended_nanos(0, 0), 0);
        assert_eq!(schedule.intended_nanos(1, 0), MILLISECOND);
        assert_eq!(schedule.intended_nanos(0, 1), 2 * MILLISECOND);
        assert_eq!(schedule.intended_nanos(1, 7), 15 * MILLISECOND);
    }

    #[test]
    fn the_rate_counts_deliveries_so_fan_out_publishes_less_often() {
        let schedule = Schedule::new(1_000, 20, 1);
        assert_eq!(schedule.intended_nanos(0, 1), 20 * MILLISECOND);
        assert_eq!(schedule.due(0, 1_000 * MILLISECOND), 51);
    }

    #[test]
    fn a_message_is_due_exactly_from_its_intended_time_on() {
        for (rate, receivers, publishers) in
            [(1_000, 1, 1), (7, 20, 1), (333_333, 1, 20), (3, 2, 7)]
        {
            let schedule = Schedule::new(rate, receivers, publishers);
            for publisher in 0..publishers {
                for number in [0, 1, 2, 99, 1_000_003] {
                    let intended = schedule.intended_nanos(publisher, number);
                    assert_eq!(schedule.due(publisher, intended), number + 1);
                    if intended > 0 {
                        assert_eq!(schedule.due(publisher, intended - 1), number);
                    }
                }
            }
        }
    }
}
