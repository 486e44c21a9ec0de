//! What a run must reach: `p99<10ms`, `loss=0`, `telemetry:rate>=1000`, and whether it did.
//!
//! An objective holds for every flow at every broker, unless it names one. What was not measured is not reached.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::Serialize;

use crate::duration;
use crate::figure::micros_at;
use crate::report::{ConnectRow, Row};

const METRICS: &str = "p50, p99, p99.9 and any other percentile, max, rate, loss, duplicates, order, unacknowledged, \
     unsent, cpu, rss, connect-p99 and other percentiles, connect-max, connect-rate, connect-failed";

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Objective {
    text: String,
    /// The flow that it is about; `None` for all.
    flow: Option<String>,
    metric: Metric,
    relation: Relation,
    value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    /// Microseconds at this quantile.
    Latency(f64),
    /// Deliveries per second.
    Rate,
    Loss,
    /// Lost by all that should have come.
    LossShare,
    Duplicates,
    Order,
    Unacknowledged,
    Unsent,
    /// Microseconds of the broker's CPU per delivery.
    Cpu,
    /// MiB.
    Rss,
    /// Microseconds at this quantile.
    Connect(f64),
    ConnectRate,
    ConnectFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Is,
    AtLeast,
    Above,
}

/// In the order in which they are looked for: the longer ones first.
const RELATIONS: &[(&str, Relation)] = &[
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Is),
];

impl FromStr for Objective {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Objective> {
        // In one piece: the command line's parser shows no causes.
        parse(text).map_err(|why| anyhow!("the objective '{text}' cannot be read: {why:#}"))
    }
}

fn parse(text: &str) -> anyhow::Result<Objective> {
    let (at, (sign, relation)) = text
        .char_indices()
        .find_map(|(at, _)| {
            let found = RELATIONS
                .iter()
                .find(|(sign, _)| text[at..].starts_with(sign));
            Some((at, *found?))
        })
        .context("it has none of <, <=, =, >= and >, as in 'p99<10ms'")?;
    let (subject, value) = (text[..at].trim(), text[at + sign.len()..].trim());
    let (flow, metric) = match subject.rsplit_once(':') {
        Some((flow, metric)) => (Some(flow.trim().to_owned()), metric.trim()),
        None => (None, subject),
    };
    let (metric, value) = Metric::parse(metric, value)?;
    Ok(Objective {
        text: text.to_owned(),
        flow,
        metric,
        relation,
        value,
    })
}

impl Metric {
    /// The metric of this name, and the value in its unit.
    fn parse(name: &str, value: &str) -> anyhow::Result<(Metric, f64)> {
        let micros = || duration::nanos(value, None).map(|nanos| nanos / 1e3);
        let metric = match name {
            "rate" => Metric::Rate,
            "loss" if value.ends_with('%') => {
                return Ok((
                    Metric::LossShare,
                    number(value.trim_end_matches('%'))? / 100.0,
                ));
            }
            "loss" => Metric::Loss,
            "duplicates" => Metric::Duplicates,
            "order" => Metric::Order,
            "unacknowledged" => Metric::Unacknowledged,
            "unsent" => Metric::Unsent,
            "cpu" => return Ok((Metric::Cpu, micros()?)),
            "rss" => return Ok((Metric::Rss, mebibytes(value)?)),
            "connect-rate" => Metric::ConnectRate,
            "connect-failed" => Metric::ConnectFailed,
            _ => {
                let quantile = quantile(name.strip_prefix("connect-").unwrap_or(name))
                    .with_context(|| format!("'{name}' is not measured; {METRICS} are"))?;
                let metric = if name.starts_with("connect-") {
                    Metric::Connect(quantile)
                } else {
                    Metric::Latency(quantile)
                };
                return Ok((metric, micros()?));
            }
        };
        Ok((metric, number(value)?))
    }

    const fn is_of_connections(self) -> bool {
        matches!(
            self,
            Metric::Connect(_) | Metric::ConnectRate | Metric::ConnectFailed
        )
    }

    fn of_row(self, row: &Row) -> Option<f64> {
        let count = |count: u64| Some(count as f64);
        match self {
            Metric::Latency(quantile) => {
                micros_at(&row.latencies.iter().collect::<Vec<_>>(), quantile)
            }
            Metric::Rate => Some(row.delivered_per_second?.median),
            Metric::Loss => count(row.lost),
            Metric::LossShare => {
                let expected = row.delivered + row.lost;
                (expected > 0).then(|| row.lost as f64 / expected as f64)
            }
            Metric::Duplicates => count(row.duplicates),
            Metric::Order => count(row.reordered),
            Metric::Unacknowledged => count(row.unacknowledged),
            Metric::Unsent => count(row.unsent),
            Metric::Cpu => Some(row.broker_cpu_micros_per_delivery?.median),
            Metric::Rss => Some(row.rss_peak_mib?.max),
            Metric::Connect(_) | Metric::ConnectRate | Metric::ConnectFailed => None,
        }
    }

    fn of_connects(self, row: &ConnectRow) -> Option<f64> {
        match self {
            Metric::Connect(quantile) => {
                micros_at(&row.latencies.iter().collect::<Vec<_>>(), quantile)
            }
            Metric::ConnectRate => Some(row.connects_per_second?.median),
            Metric::ConnectFailed => Some(row.failed as f64),
            _ => None,
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Metric::Latency(_) | Metric::Connect(_) => format!("{:.3} ms", value / 1e3),
            Metric::Cpu => format!("{value:.2} µs"),
            Metric::Rss => format!("{value:.1} MiB"),
            Metric::LossShare => format!("{:.4} %", value * 100.0),
            Metric::Rate | Metric::ConnectRate => format!("{value:.0} per second"),
            _ => format!("{value:.0}"),
        }
    }
}

/// The quantile of `p99.9`, and of `max`.
fn quantile(name: &str) -> Option<f64> {
    if name == "max" {
        return Some(1.0);
    }
    let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
    (percent > 0.0 && percent < 100.0).then_some(percent / 100.0)
}

fn number(text: &str) -> anyhow::Result<f64> {
    let text = text.trim();
    let (digits, factor) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('k') => (digits, 1e3),
        Some(digits) => (digits, 1e6),
        None => (text, 1.0),
    };
    let number: f64 = digits
        .replace('_', "")
        .parse()
        .ok()
        .with_context(|| format!("'{text}' is not a number"))?;
    ensure!(number >= 0.0 && number.is_finite(), "'{text}' is below 0");
    Ok(number * factor)
}

fn mebibytes(text: &str) -> anyhow::Result<f64> {
    for (unit, factor) in [("KiB", 1.0 / 1024.0), ("MiB", 1.0), ("GiB", 1024.0)] {
        if let Some(digits) = text.strip_suffix(unit) {
            return Ok(number(digits)? * factor);
        }
    }
    bail!("'{text}' has no unit of memory; KiB, MiB and GiB are")
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether an objective was reached by one row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    objective: String,
    broker: String,
    case: String,
    /// As it is shown; `None` if it was not measured.
    value: Option<String>,
    pub(crate) is_met: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.is_met { "met" } else { "MISSED" };
        let value = self.value.as_deref().unwrap_or("not measured");
        let Verdict {
            objective,
            broker,
            case,
            ..
        } = self;
        write!(
            f,
            "objective {objective}: {outcome}, {value} ({broker}, {case})"
        )
    }
}

impl Objective {
    /// The flow that it names.
    pub(crate) fn flow(&self) -> Option<&str> {
        self.flow.as_deref()
    }

    /// One verdict for each row that it is about; a missed one if there is none.
    pub(crate) fn judge(&self, rows: &[Row], connects: &[ConnectRow]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if self.metric.is_of_connections() {
            let is_meant = |row: &&ConnectRow| self.flow().is_none_or(|flow| flow == row.what());
            for row in connects.iter().filter(is_meant) {
                let value = self.metric.of_connects(row);
                verdicts.push(self.verdict(&row.broker, row.what(), value));
            }
        } else {
            for row in self.meant(rows) {
                verdicts.push(self.verdict(&row.broker, row.case(), self.metric.of_row(row)));
            }
        }
        if verdicts.is_empty() {
            verdicts.push(self.verdict("all brokers", "nothing of the kind", None));
        }
        verdicts
    }

    /// What a process costs is known of all flows together, everything else of each.
    fn meant<'a>(&self, rows: &'a [Row]) -> Vec<&'a Row> {
        let called = |name| rows.iter().filter(move |row| row.is_called(name)).collect();
        let of_process = matches!(self.metric, Metric::Cpu | Metric::Rss);
        match self.flow() {
            None if of_process => {
                let all: Vec<&Row> = called(Some(crate::report::ALL));
                if all.is_empty() { called(None) } else { all }
            }
            flow => called(flow),
        }
    }

    fn verdict(&self, broker: &str, case: &str, value: Option<f64>) -> Verdict {
        let holds = |value: f64| match self.relation {
            Relation::Below => value < self.value,
            Relation::AtMost => value <= self.value,
            Relation::Is => value == self.value,
            Relation::AtLeast => value >= self.value,
            Relation::Above => value > self.value,
        };
        Verdict {
            objective: self.text.clone(),
            broker: broker.to_owned(),
            case: case.to_owned(),
            value: value.map(|value| self.metric.shown(value)),
            is_met: value.is_some_and(holds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_with_their_units() {
        let cases = [
            (
                "p99<10ms",
                None,
                Metric::Latency(0.99),
                Relation::Below,
                10_000.0,
            ),
            (
                "p99.9 <= 1 s",
                None,
                Metric::Latency(99.9 / 100.0),
                Relation::AtMost,
                1e6,
            ),
            (
                "max<500us",
                None,
                Metric::Latency(1.0),
                Relation::Below,
                500.0,
            ),
            ("loss=0", None, Metric::Loss, Relation::Is, 0.0),
            ("loss<0.5%", None, Metric::LossShare, Relation::Below, 0.005),
            (
                "news:rate>=20k",
                Some("news"),
                Metric::Rate,
                Relation::AtLeast,
                20_000.0,
            ),
            ("cpu<5us", None, Metric::Cpu, Relation::Below, 5.0),
            ("rss<1GiB", None, Metric::Rss, Relation::Below, 1024.0),
            (
                "connect-p50<5ms",
                None,
                Metric::Connect(0.5),
                Relation::Below,
                5_000.0,
            ),
        ];
        for (text, flow, metric, relation, value) in cases {
            let objective: Objective = text.parse().unwrap();
            assert_eq!(objective.flow(), flow, "{text}");
            let read = (objective.metric, objective.relation, objective.value);
            assert_eq!(read, (metric, relation, value), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        let cases = [
            ("p99", "none of <, <=, =, >= and >"),
            ("p99<10", "no unit of time"),
            ("p100<1s", "is not measured; p50, p99"),
            ("joy>3", "'joy' is not measured"),
            ("loss=few", "'few' is not a number"),
            ("rss<7", "no unit of memory"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", text.parse::<Objective>().unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_reached() {
        let objective: Objective = "connect-p99<1s".parse().unwrap();
        let verdicts = objective.judge(&[], &[]);
        assert_eq!(verdicts.len(), 1);
        assert!(!verdicts[0].is_met);
        assert!(verdicts[0].to_string().contains("MISSED, not measured"));
    }
}
