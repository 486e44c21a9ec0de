//! A number over time: what it is now, and as many samples as a sparkline can show.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples that are kept; wider than any terminal that people sit at.
pub(super) const SAMPLES: usize = 240;

/// The samples of a number, the latest last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    samples: VecDeque<f64>,
}

impl Series {
    pub(super) fn push(&mut self, value: f64) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(value);
    }

    pub(super) fn latest(&self) -> Option<f64> {
        self.samples.back().copied()
    }

    /// The last `width` samples as parts of a thousand of the highest among them: a sparkline has whole numbers only.
    pub(super) fn bars(&self, width: usize) -> Vec<u64> {
        let shown = self.samples.len().min(width);
        let last = || self.samples.iter().skip(self.samples.len() - shown);
        let highest = last().copied().fold(0.0, f64::max);
        let bar = |value: &f64| match highest > 0.0 {
            true => (value.max(0.0) / highest * 1_000.0).round() as u64,
            false => 0,
        };
        last().map(bar).collect()
    }
}

/// A counter that only grows, as a rate per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rate {
    last: Option<u64>,
    pub(super) series: Series,
}

impl Rate {
    /// Takes the counter in, `elapsed` after the last time. One that has fallen belongs to a broker that has started
    /// anew, and is a beginning.
    pub(super) fn sample(&mut self, counter: Option<u64>, elapsed: Duration) {
        let Some(counter) = counter else {
            return;
        };
        let grown = self.last.and_then(|last| counter.checked_sub(last));
        if let Some(grown) = grown
            && !elapsed.is_zero()
        {
            self.series.push(grown as f64 / elapsed.as_secs_f64());
        }
        self.last = Some(counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn a_rate_is_what_has_been_added_per_second() {
        let mut rate = Rate::default();
        rate.sample(Some(100), TEN);
        assert_eq!(rate.series.latest(), None, "one reading is no rate");
        rate.sample(Some(150), TEN);
        assert_eq!(rate.series.latest(), Some(5.0));
        rate.sample(Some(150), TEN);
        assert_eq!(rate.series.latest(), Some(0.0));
    }

    #[test]
    fn a_broker_that_has_started_anew_has_no_negative_rate() {
        let mut rate = Rate::default();
        for counter in [1_000, 1_010, 3, 23] {
            rate.sample(Some(counter), TEN);
        }
        rate.sample(None, TEN);
        rate.sample(Some(24), Duration::ZERO);
        assert_eq!(rate.series.bars(9), [500, 1_000]);
    }

    #[test]
    fn bars_are_relative_to_the_highest_that_is_shown() {
        let mut series = Series::default();
        for value in [900.0, 1.0, 2.0, 4.0] {
            series.push(value);
        }
        assert_eq!(series.bars(3), [250, 500, 1_000]);
        assert_eq!(Series::default().bars(3), [0; 0]);
        for _ in 0..2 * SAMPLES {
            series.push(0.0);
        }
        assert_eq!(series.bars(usize::MAX), vec![0; SAMPLES]);
    }
}
