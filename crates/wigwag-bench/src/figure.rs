//! From rounds to figures: medians, spreads, and ratios of rounds that were measured one after the other.

use hdrhistogram::Histogram;
use serde::Serialize;

/// The median of several rounds and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Figure {
    /// `None` if there is no value, or none in some rounds.
    pub(crate) fn of(values: impl IntoIterator<Item = Option<f64>>) -> Option<Figure> {
        let mut values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Figure { median, min, max })
    }

    /// The ratios of rounds that follow each other: what slowed the machine for both is not in them. Rounds without
    /// a figure on either side are left out.
    pub(crate) fn of_ratios<'a, S: 'a>(
        these: impl IntoIterator<Item = &'a Option<S>>,
        those: impl IntoIterator<Item = &'a Option<S>>,
        value: impl Fn(&S) -> Option<f64>,
    ) -> Option<Figure> {
        let pairs = these.into_iter().zip(those);
        let ratios = pairs.filter_map(|(this, that)| {
            let ratio = value(this.as_ref()?)? / value(that.as_ref()?)?;
            ratio.is_finite().then_some(ratio)
        });
        Figure::of(ratios.map(Some))
    }

    /// Half of the distance between the extremes, in percent of the median.
    pub(crate) fn spread_percent(&self) -> f64 {
        if self.median == 0.0 {
            0.0
        } else {
            (self.max - self.min) / 2.0 / self.median * 100.0
        }
    }
}

/// Medians of the rounds' percentiles, and the maximum of all rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// In microseconds, from histograms of nanoseconds.
    pub(crate) fn of(histograms: &[&Histogram<u64>]) -> Option<Latency> {
        let at = |quantile| micros_at(histograms, quantile);
        Some(Latency {
            p50: at(0.50)?,
            p90: at(0.90)?,
            p99: at(0.99)?,
            p99_9: at(0.999)?,
            max: at(1.0)?,
        })
    }
}

/// The median of the rounds' quantiles, in microseconds; of the maximum, the highest.
pub(crate) fn micros_at(histograms: &[&Histogram<u64>], quantile: f64) -> Option<f64> {
    let used = histograms.iter().filter(|histogram| !histogram.is_empty());
    let micros = |nanos: u64| nanos as f64 / 1e3;
    if quantile >= 1.0 {
        return used.map(|histogram| histogram.max()).max().map(micros);
    }
    let values = used.map(|histogram| Some(micros(histogram.value_at_quantile(quantile))));
    Figure::of(values).map(|figure| figure.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(values: &[f64]) -> Option<Figure> {
        Figure::of(values.iter().copied().map(Some))
    }

    #[test]
    fn the_median_is_in_the_middle_and_the_spread_reaches_both_ends() {
        let odd = figure(&[30.0, 10.0, 20.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (20.0, 10.0, 30.0));
        assert_eq!(odd.spread_percent(), 50.0);
        assert_eq!(figure(&[1.0, 2.0, 4.0, 100.0]).unwrap().median, 3.0);
        assert_eq!(figure(&[7.0]).unwrap().spread_percent(), 0.0);
        assert_eq!(figure(&[]), None);
        assert_eq!(Figure::of([Some(1.0), None]), None);
    }

    #[test]
    fn ratios_compare_rounds_that_belong_together() {
        let ratio = |these: &[Option<f64>], those: &[Option<f64>]| {
            Figure::of_ratios(these, those, |value| Some(*value))
        };
        // The machine was twice as slow in the second round: the ratio does not move.
        let both = ratio(&[Some(30.0), Some(15.0)], &[Some(40.0), Some(20.0)]).unwrap();
        assert_eq!((both.median, both.min, both.max), (0.75, 0.75, 0.75));
        let one = ratio(&[Some(3.0), None], &[Some(4.0), Some(4.0)]).unwrap();
        assert_eq!(one.median, 0.75);
        assert_eq!(ratio(&[Some(3.0)], &[None]), None);
        assert_eq!(ratio(&[Some(3.0)], &[Some(0.0)]), None);
    }

    #[test]
    fn latencies_of_rounds_become_medians_and_the_highest_maximum() {
        let histogram = |values: &[u64]| {
            let mut histogram = Histogram::new(3).unwrap();
            for &value in values {
                histogram.record(value * 1_000).unwrap();
            }
            histogram
        };
        let rounds = [
            histogram(&[1, 1, 1]),
            histogram(&[5, 5, 900]),
            histogram(&[]),
            histogram(&[3]),
        ];
        let latency = Latency::of(&rounds.iter().collect::<Vec<_>>()).unwrap();
        // Three significant digits are kept.
        assert!((latency.p50 - 3.0).abs() < 0.01, "{latency:?}");
        assert!((latency.max - 900.0).abs() < 1.0, "{latency:?}");
        assert!(Latency::of(&[&histogram(&[])]).is_none());
    }
}
