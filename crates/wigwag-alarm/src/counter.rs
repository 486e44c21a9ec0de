//! How much a counter has grown within the last span of time.
//!
//! Bounded: of values that come faster than a sixtieth of the span, only the last one is kept.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::Time;

/// Into how many steps a span is divided.
const STEPS: u32 = 60;

/// A counter that is watched.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    born: Time,
    last: Option<f64>,
    /// What it has grown since it is watched.
    total: f64,
    /// When that was how much; the first is the one that held when the span began.
    steps: VecDeque<(Time, f64)>,
}

/// What is not told apart.
fn step(over: Duration) -> Duration {
    (over / STEPS).max(Duration::from_millis(1))
}

impl Counter {
    pub(crate) fn new(now: Time) -> Counter {
        Counter {
            born: now,
            last: None,
            total: 0.0,
            steps: VecDeque::from([(now, 0.0)]),
        }
    }

    /// The counter shows another value. One that is lower began anew.
    pub(crate) fn set(&mut self, now: Time, value: f64, over: Duration) {
        let growth = match self.last.replace(value) {
            None => 0.0,
            Some(last) if value >= last => value - last,
            Some(_) => value.max(0.0),
        };
        self.grow(now, growth, over);
    }

    /// The counter has grown.
    pub(crate) fn grow(&mut self, now: Time, by: f64, over: Duration) {
        if by <= 0.0 || !by.is_finite() {
            return;
        }
        self.total += by;
        self.forget(now, over);
        let before_last = self.steps.len().checked_sub(2);
        let before_last = before_last.and_then(|index| self.steps.get(index));
        if before_last.is_some_and(|(at, _)| now.saturating_since(*at) < step(over)) {
            self.steps.pop_back();
        }
        self.steps.push_back((now, self.total));
    }

    /// By how much it has grown per second.
    pub(crate) fn rate(&mut self, now: Time, over: Duration) -> f64 {
        self.forget(now, over);
        let base = self.steps.front().map_or(self.total, |(_, total)| *total);
        (self.total - base) / over.as_secs_f64()
    }

    /// Whether it has been watched for the whole span.
    pub(crate) fn is_complete(&self, now: Time, over: Duration) -> bool {
        now.saturating_since(self.born) >= over
    }

    /// When the rate changes although the counter does not, or when it has been watched for the whole span.
    pub(crate) fn next_change(&self, now: Time, over: Duration) -> Option<Time> {
        let falls = self.steps.get(1).map(|(at, _)| *at + over);
        let completes = (!self.is_complete(now, over)).then(|| self.born + over);
        falls.into_iter().chain(completes).min()
    }

    fn forget(&mut self, now: Time, over: Duration) {
        while let Some((at, _)) = self.steps.get(1)
            && now.saturating_since(*at) >= over
        {
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OVER: Duration = Duration::from_secs(60);

    fn at(secs: f64) -> Time {
        Time::new(Duration::from_secs_f64(secs))
    }

    #[test]
    fn growth_is_reckoned_over_the_span_and_forgotten_behind_it() {
        let mut counter = Counter::new(at(0.0));
        counter.set(at(0.0), 1_000.0, OVER);
        assert_eq!(
            counter.rate(at(1.0), OVER),
            0.0,
            "what was before is nothing"
        );
        counter.set(at(10.0), 1_030.0, OVER);
        counter.set(at(20.0), 1_060.0, OVER);
        assert_eq!(counter.rate(at(20.0), OVER), 1.0);
        assert_eq!(counter.rate(at(69.9), OVER), 1.0);
        assert_eq!(counter.rate(at(70.0), OVER), 0.5);
        assert_eq!(counter.next_change(at(70.0), OVER), Some(at(80.0)));
        assert_eq!(counter.rate(at(80.0), OVER), 0.0);
        assert_eq!(counter.next_change(at(80.0), OVER), None);
    }

    #[test]
    fn a_counter_that_begins_anew_does_not_fall() {
        let mut counter = Counter::new(at(0.0));
        counter.set(at(0.0), 500.0, OVER);
        counter.set(at(10.0), 30.0, OVER);
        assert_eq!(counter.rate(at(10.0), OVER), 0.5);
    }

    proptest! {
        /// Against all values that ever came, within the error that a step may make.
        #[test]
        fn the_rate_is_that_of_all_values(
            gaps in proptest::collection::vec((0.0..30.0_f64, 0.0..100.0_f64), 1..400),
            fast in any::<bool>(),
        ) {
            let mut counter = Counter::new(at(0.0));
            let mut all = Vec::new();
            let mut now = 0.0;
            for (gap, growth) in gaps {
                now += if fast { gap / 100.0 } else { gap };
                counter.grow(at(now), growth, OVER);
                all.push((now, growth));
                prop_assert!(counter.steps.len() <= 125);
            }
            let within = |span: f64| -> f64 {
                let recent = all.iter().filter(|(at, _)| now - at < span);
                recent.map(|(_, growth)| growth).sum()
            };
            let rate = counter.rate(at(now), OVER) * 60.0;
            prop_assert!(within(58.9) - 1e-6 <= rate && rate <= within(62.1) + 1e-6, "{} {} {}", within(58.9), rate, within(62.1));
        }
    }
}
