//! A point in time as the pure crates see it: a distance from an origin that the caller chose.
//!
//! Only the caller reads a clock. Virtual time in tests is a number.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Time passed since an origin that the caller chose, with nanosecond resolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The origin.
    pub const ZERO: Time = Time(Duration::ZERO);

    /// The point that lies `since_origin` after the origin.
    pub const fn new(since_origin: Duration) -> Time {
        Time(since_origin)
    }

    /// The distance from the origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to `self`, zero when `earlier` is the later one.
    pub fn saturating_since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at the end of time instead of panicking.
    fn add(self, by: Duration) -> Time {
        Time(self.0.saturating_add(by))
    }
}

impl Sub<Time> for Time {
    type Output = Duration;

    fn sub(self, earlier: Time) -> Duration {
        self.saturating_since(earlier)
    }
}
