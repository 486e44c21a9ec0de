//! Readings that are not measured: each metric wanders between two bounds in small steps.

use serde::Deserialize;

/// A metric of a scenario. Its bounds are in order, its step and names have been checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Metric {
    pub(super) name: String,
    #[serde(default)]
    pub(super) unit: Option<String>,
    /// Home Assistant's `device_class`.
    #[serde(default)]
    pub(super) class: Option<String>,
    pub(super) from: f64,
    pub(super) to: f64,
    /// Farthest that it wanders between two readings; a hundredth of the range if it is not said.
    #[serde(default)]
    pub(super) step: Option<f64>,
    #[serde(default = "one_decimal")]
    pub(super) decimals: u8,
}

const fn one_decimal() -> u8 {
    1
}

impl Metric {
    pub(super) fn new(name: &str, unit: &str, class: &str, range: (f64, f64)) -> Metric {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Metric {
            name: name.to_owned(),
            unit: said(unit),
            class: said(class),
            from: range.0,
            to: range.1,
            step: None,
            decimals: one_decimal(),
        }
    }

    /// Says what is wrong with it, and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if name.is_empty() || name.len() > 64 || name.contains(['/', '+', '#', '\0']) {
            return Err(format!(
                "a metric is called {name:?}; allowed are 1 to 64 bytes without '/', '+' and '#'"
            ));
        }
        let is_range = self.from.is_finite() && self.to.is_finite() && self.from < self.to;
        if !is_range {
            return Err(format!(
                "metric {name}: from is {} and to is {}; from must be less than to",
                self.from, self.to
            ));
        }
        if self
            .step
            .is_some_and(|step| !step.is_finite() || step <= 0.0)
        {
            return Err(format!("metric {name}: step must be more than 0"));
        }
        if self.decimals > 9 {
            return Err(format!(
                "metric {name}: decimals is {}; allowed are 0 to 9",
                self.decimals
            ));
        }
        Ok(())
    }

    fn step(&self) -> f64 {
        self.step.unwrap_or((self.to - self.from) / 100.0)
    }

    fn round(&self, value: f64) -> f64 {
        let scale = 10_f64.powi(self.decimals.into());
        (value * scale).round() / scale
    }
}

/// Where the metrics of one device stand.
#[derive(Debug)]
pub(super) struct Walk {
    values: Box<[f64]>,
    random: fastrand::Rng,
}

impl Walk {
    pub(super) fn new(metrics: &[Metric], mut random: fastrand::Rng) -> Walk {
        let begin = |metric: &Metric| metric.from + random.f64() * (metric.to - metric.from);
        Walk {
            values: metrics.iter().map(begin).collect(),
            random,
        }
    }

    /// Takes a step with each metric. The metrics are those of the beginning.
    pub(super) fn advance(&mut self, metrics: &[Metric]) {
        for (value, metric) in self.values.iter_mut().zip(metrics) {
            let step = (self.random.f64() * 2.0 - 1.0) * metric.step();
            *value = (*value + step).clamp(metric.from, metric.to);
        }
    }

    /// What is read of each metric.
    pub(super) fn readings<'a>(
        &'a self,
        metrics: &'a [Metric],
    ) -> impl Iterator<Item = (&'a Metric, f64)> {
        metrics
            .iter()
            .zip(&self.values)
            .map(|(metric, value)| (metric, metric.round(*value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(seed: u64) -> Vec<f64> {
        let metrics = [
            Metric::new("temperature", "°C", "temperature", (18.0, 26.0)),
            Metric::new("humidity", "%", "humidity", (30.0, 60.0)),
        ];
        let mut walk = Walk::new(&metrics, fastrand::Rng::with_seed(seed));
        let mut values = Vec::new();
        for _ in 0..500 {
            walk.advance(&metrics);
            for (metric, value) in walk.readings(&metrics) {
                assert!((metric.from..=metric.to).contains(&value), "{value}");
                values.push(value);
            }
        }
        values
    }

    #[test]
    fn readings_are_within_their_bounds_and_repeat_with_their_seed() {
        assert_eq!(readings(7), readings(7));
        assert_ne!(readings(7), readings(8));
    }

    #[test]
    fn a_metric_that_makes_no_sense_is_refused() {
        let good = Metric::new("temperature", "", "", (0.0, 1.0));
        assert_eq!(good.check(), Ok(()));
        let check = |change: fn(&mut Metric), expect: &str| {
            let mut metric = good.clone();
            change(&mut metric);
            let error = metric.check().expect_err(expect);
            assert!(error.contains(expect), "{error}");
        };
        check(|metric| metric.name = "a/b".to_owned(), "without '/'");
        check(|metric| metric.to = 0.0, "from must be less than to");
        check(|metric| metric.from = f64::NAN, "from must be less than to");
        check(|metric| metric.step = Some(0.0), "more than 0");
        check(|metric| metric.decimals = 12, "0 to 9");
    }
}
