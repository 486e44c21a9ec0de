//! When the messages of a recording are due, counted from the first. It reads no clock.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use thiserror::Error;

/// For ever, nearly: no clock goes as far as a duration.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Speed {
    /// So many times as fast as it was recorded.
    Times(f64),
    /// Without pauses.
    Max,
}

/// The text is no speed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("it is a number above 0, or max")]
pub(super) struct NoSpeed;

impl FromStr for Speed {
    type Err = NoSpeed;

    fn from_str(text: &str) -> Result<Speed, NoSpeed> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
            _ => Err(NoSpeed),
        }
    }
}

/// The times of the messages, one after the other.
#[derive(Debug)]
pub(super) struct Schedule {
    speed: Speed,
    first: Option<SystemTime>,
    last: Duration,
}

impl Schedule {
    pub(super) const fn new(speed: Speed) -> Schedule {
        Schedule {
            speed,
            first: None,
            last: Duration::ZERO,
        }
    }

    /// How long after the first message the one that was recorded at `at` is due: never before the one that stands before it,
    /// even if the clock was set back meanwhile.
    pub(super) fn due(&mut self, at: SystemTime) -> Duration {
        let first = *self.first.get_or_insert(at);
        let since = at.duration_since(first).unwrap_or_default();
        let due = match self.speed {
            Speed::Max => Duration::ZERO,
            Speed::Times(times) => {
                Duration::try_from_secs_f64(since.as_secs_f64() / times).unwrap_or(NEVER)
            }
        };
        self.last = self.last.max(due.min(NEVER));
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(speed: Speed, secs: &[u64]) -> Vec<u128> {
        let mut schedule = Schedule::new(speed);
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let due = |secs: &u64| schedule.due(start + Duration::from_secs(*secs)).as_millis();
        secs.iter().map(due).collect()
    }

    #[test]
    fn pauses_are_those_of_the_recording() {
        assert_eq!(
            dues(Speed::Times(1.0), &[5, 5, 7, 10]),
            [0, 0, 2_000, 5_000]
        );
        assert_eq!(dues(Speed::Times(4.0), &[5, 7, 10]), [0, 500, 1_250]);
        assert_eq!(dues(Speed::Max, &[5, 7, 10]), [0, 0, 0]);
        for slow in [1e-12, 1e-300] {
            let never = NEVER.as_millis();
            assert_eq!(dues(Speed::Times(slow), &[5, 7]), [0, never], "{slow}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_changes_no_order() {
        assert_eq!(
            dues(Speed::Times(1.0), &[5, 7, 3, 6, 8]),
            [0, 2_000, 2_000, 2_000, 3_000]
        );
    }

    #[test]
    fn a_speed_is_a_number_above_0_or_max() {
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for wrong in ["", "0", "-1", "fast", "inf", "nan"] {
            assert_eq!(wrong.parse::<Speed>(), Err(NoSpeed), "{wrong}");
        }
    }
}
