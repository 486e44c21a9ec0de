//! From rounds to rows: medians, spreads, ratios to the first broker, the table and the JSON.
//!
//! The table is Markdown, so that a terminal and a document show the same. Pure: nothing here looks
//! at a clock or a socket.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::case::{Bound, Case, Load, Pace};
use crate::connects::ConnectRound;
use crate::generator::Round;

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

    /// Half of the distance between the extremes, in percent of the median.
    fn spread_percent(&self) -> f64 {
        if self.median == 0.0 {
            0.0
        } else {
            (self.max - self.min) / 2.0 / self.median * 100.0
        }
    }
}

/// One case at one broker.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    case: String,
    pub(crate) broker: String,
    qos: u8,
    rounds: usize,
    pub(crate) delivered_per_second: Option<Figure>,
    broker_cpu_micros_per_delivery: Option<Figure>,
    generator_cpu_micros_per_delivery: Option<Figure>,
    /// CPU time of the generator's one thread by the time that has passed; closed loop only, because
    /// an open loop spins until the next message is due.
    generator_busy_percent: Option<Figure>,
    latency_micros: Option<Latency>,
    /// From the intended to the real time of sending; open loop only.
    send_lateness_micros: Option<Latency>,
    rss_peak_mib: Option<Figure>,
    pub(crate) lost: u64,
    duplicates: u64,
    reordered: u64,
    pub(crate) unacknowledged: u64,
    pub(crate) aborted: Vec<String>,
}

/// Medians of the rounds' percentiles, and the maximum of all rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    p50: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

impl Latency {
    fn of(histograms: &[&Histogram<u64>]) -> Option<Latency> {
        let is_used = |histogram: &&&Histogram<u64>| !histogram.is_empty();
        let histograms: Vec<_> = histograms.iter().filter(is_used).collect();
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let at = |quantile: f64| {
            let values = histograms
                .iter()
                .map(|histogram| histogram.value_at_quantile(quantile));
            Figure::of(values.map(|nanos| Some(micros(nanos)))).map(|figure| figure.median)
        };
        Some(Latency {
            p50: at(0.50)?,
            p99: at(0.99)?,
            p99_9: at(0.999)?,
            max: micros(histograms.iter().map(|histogram| histogram.max()).max()?),
        })
    }
}

impl Row {
    /// `refusals` says of every further round why it could not begin.
    pub(crate) fn new(
        case: &Case,
        broker: &str,
        load: &Load,
        rounds: &[Round],
        refusals: &[String],
    ) -> Row {
        let whole: Vec<&Round> = rounds
            .iter()
            .filter(|round| round.aborted.is_none())
            .collect();
        let figure =
            |value: fn(&Round) -> Option<f64>| Figure::of(whole.iter().map(|round| value(round)));
        let sum = |count: fn(&Round) -> u64| rounds.iter().map(count).sum();
        let aborted = rounds.iter().filter_map(|round| round.aborted.as_ref());
        let is_open_loop = matches!(load.pace, Pace::Rate(_));
        let latency: Vec<_> = whole.iter().map(|round| &round.latency).collect();
        let lateness: Vec<_> = whole.iter().map(|round| &round.lateness).collect();
        Row {
            case: case.to_string(),
            broker: broker.to_owned(),
            qos: case.qos as u8,
            rounds: rounds.len() + refusals.len(),
            delivered_per_second: figure(|round| per_second(round.delivered, round.elapsed)),
            broker_cpu_micros_per_delivery: figure(|round| {
                micros_each(round.broker_cpu, round.delivered)
            }),
            generator_cpu_micros_per_delivery: figure(|round| {
                micros_each(round.generator_cpu, round.delivered)
            }),
            generator_busy_percent: figure(|round| {
                let busy = round.generator_cpu?.as_secs_f64() / round.elapsed.as_secs_f64();
                (round.elapsed >= BUSY_TIME_MIN).then_some(busy * 100.0)
            })
            .filter(|_| !is_open_loop),
            latency_micros: Latency::of(&latency),
            send_lateness_micros: Latency::of(&lateness).filter(|_| is_open_loop),
            rss_peak_mib: figure(|round| Some(round.rss_peak_kib? as f64 / 1024.0)),
            lost: sum(|round| round.lost),
            duplicates: sum(|round| round.duplicates),
            reordered: sum(|round| round.reordered),
            unacknowledged: sum(|round| round.unacknowledged),
            aborted: aborted.chain(refusals).cloned().collect(),
        }
    }

    /// Whether the broker broke a promise: QoS 0 may lose, nothing else may.
    pub(crate) fn is_failure(&self) -> bool {
        !self.aborted.is_empty() || (self.qos > 0 && (self.lost > 0 || self.unacknowledged > 0))
    }

    pub(crate) fn cells(&self, first: &Row) -> Vec<String> {
        let rate = |row: &Row| row.delivered_per_second;
        let cpu = |row: &Row| row.broker_cpu_micros_per_delivery;
        let millis = |value: fn(&Latency) -> f64| {
            cell(self.latency_micros.as_ref().map(value), |micros| {
                format!("{:.2}", micros / 1e3)
            })
        };
        vec![
            self.case.clone(),
            self.broker.clone(),
            cell(rate(self), |figure| thousands(figure.median.round() as u64)),
            cell(rate(self), |figure| {
                format!("{:.0} %", figure.spread_percent())
            }),
            ratio(rate(self), rate(first)),
            cell(cpu(self), |figure| format!("{:.2}", figure.median)),
            ratio(cpu(self), cpu(first)),
            millis(|latency| latency.p50),
            millis(|latency| latency.p99),
            millis(|latency| latency.p99_9),
            millis(|latency| latency.max),
            thousands(self.lost),
            thousands(self.duplicates),
            thousands(self.reordered),
            cell(self.rss_peak_mib, |figure| format!("{:.1}", figure.max)),
        ]
    }

    /// What a reader of the row must know, if anything.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let row = format!("{}, {}", self.broker, self.case);
        let mut remarks = Vec::new();
        for reason in &self.aborted {
            remarks.push(format!("{row}: aborted: {reason}"));
        }
        if self.unacknowledged > 0 {
            remarks.push(format!(
                "{row}: {} messages without PUBACK",
                self.unacknowledged
            ));
        }
        let is_busy = |figure: &Figure| figure.median > GENERATOR_BUSY_PERCENT;
        if self.generator_busy_percent.as_ref().is_some_and(is_busy) {
            remarks.push(format!(
                "{row}: the generator was busy all the time, the broker may be faster than shown"
            ));
        }
        remarks
    }
}

/// Above this much of one core the generator may be what limits the throughput.
const GENERATOR_BUSY_PERCENT: f64 = 95.0;
/// CPU time is counted in hundredths of a second: in less than this nobody can say what was busy.
const BUSY_TIME_MIN: Duration = Duration::from_millis(200);

/// Connections at one broker.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConnectRow {
    broker: String,
    connections: usize,
    rounds: usize,
    connects_per_second: Option<Figure>,
    broker_cpu_micros_per_connect: Option<Figure>,
    /// From the first round: an allocator keeps what it has, so that later rounds show less.
    idle_kib_per_connection: Option<f64>,
    aborted: Vec<String>,
}

impl ConnectRow {
    pub(crate) fn new(
        broker: &str,
        connections: usize,
        rounds: &[Result<ConnectRound, String>],
    ) -> ConnectRow {
        let count = connections as u64;
        let whole: Vec<_> = rounds
            .iter()
            .filter_map(|round| round.as_ref().ok())
            .collect();
        let first = rounds.first().and_then(|round| round.as_ref().ok());
        let grown = first.and_then(|round| round.grown_kib);
        ConnectRow {
            broker: broker.to_owned(),
            connections,
            rounds: rounds.len(),
            connects_per_second: Figure::of(
                whole.iter().map(|round| per_second(count, round.elapsed)),
            ),
            broker_cpu_micros_per_connect: Figure::of(
                whole
                    .iter()
                    .map(|round| micros_each(round.broker_cpu, count)),
            ),
            idle_kib_per_connection: grown.map(|kib| kib as f64 / connections as f64),
            aborted: rounds
                .iter()
                .filter_map(|round| round.as_ref().err().cloned())
                .collect(),
        }
    }

    pub(crate) const fn is_failure(&self) -> bool {
        !self.aborted.is_empty()
    }

    pub(crate) fn cells(&self, first: &ConnectRow) -> Vec<String> {
        let rate = |row: &ConnectRow| row.connects_per_second;
        let cpu = |row: &ConnectRow| row.broker_cpu_micros_per_connect;
        vec![
            thousands(self.connections as u64),
            self.broker.clone(),
            cell(rate(self), |figure| thousands(figure.median.round() as u64)),
            cell(rate(self), |figure| {
                format!("{:.0} %", figure.spread_percent())
            }),
            ratio(rate(self), rate(first)),
            cell(cpu(self), |figure| format!("{:.1}", figure.median)),
            cell(self.idle_kib_per_connection, |kib| format!("{kib:.2}")),
        ]
    }

    pub(crate) fn remarks(&self) -> Vec<String> {
        let remark = |reason: &String| format!("{}, connects: aborted: {reason}", self.broker);
        self.aborted.iter().map(remark).collect()
    }
}

fn per_second(count: u64, elapsed: Duration) -> Option<f64> {
    let rate = count as f64 / elapsed.as_secs_f64();
    rate.is_finite().then_some(rate)
}

fn micros_each(time: Option<Duration>, count: u64) -> Option<f64> {
    let micros = time?.as_secs_f64() * 1e6 / count as f64;
    micros.is_finite().then_some(micros)
}

fn cell<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), show)
}

fn ratio(value: Option<Figure>, first: Option<Figure>) -> String {
    let ratio = value
        .zip(first)
        .map(|(value, first)| value.median / first.median);
    cell(ratio.filter(|ratio| ratio.is_finite()), |ratio| {
        format!("{ratio:.2}")
    })
}

/// The number with a comma at every thousand.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The columns of a table: header, least width, and whether numbers stand in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns(&'static [(&'static str, usize, bool)]);

pub(crate) const CASES: Columns = Columns(&[
    ("case", 26, false),
    ("broker", 12, false),
    ("delivered/s", 11, true),
    ("±", 4, true),
    ("ratio", 5, true),
    ("CPU µs", 6, true),
    ("ratio", 5, true),
    ("p50 ms", 7, true),
    ("p99 ms", 7, true),
    ("p99.9 ms", 8, true),
    ("max ms", 8, true),
    ("lost", 6, true),
    ("dup.", 5, true),
    ("order", 5, true),
    ("RSS MiB", 7, true),
]);

pub(crate) const CONNECTS: Columns = Columns(&[
    ("connections", 11, true),
    ("broker", 12, false),
    ("connects/s", 10, true),
    ("±", 4, true),
    ("ratio", 5, true),
    ("CPU µs", 7, true),
    ("KiB idle", 8, true),
]);

impl Columns {
    /// The two lines above the rows.
    pub(crate) fn header(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let rules: Vec<String> = self
            .0
            .iter()
            .map(|&(_, width, numeric)| {
                let (dashes, end) = if numeric {
                    (width - 1, ":")
                } else {
                    (width, "")
                };
                format!("{}{end}", "-".repeat(dashes))
            })
            .collect();
        format!("{}\n{}", self.line(&names), self.line(&rules))
    }

    pub(crate) fn line(&self, cells: &[String]) -> String {
        let mut line = String::from("|");
        for (cell, &(_, width, numeric)) in cells.iter().zip(self.0) {
            let cell = if numeric {
                format!(" {cell:>width$} |")
            } else {
                format!(" {cell:<width$} |")
            };
            line.push_str(&cell);
        }
        line
    }
}

/// One sentence on how the figures came about.
pub(crate) struct Method<'a> {
    pub(crate) load: &'a Load,
    pub(crate) rounds: usize,
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MQTT {}, ", self.load.version)?;
        match self.load.bound {
            Bound::Deliveries(deliveries) => write!(f, "{} deliveries", thousands(deliveries))?,
            Bound::Time(time) => write!(f, "{} s", time.as_secs())?,
        }
        write!(
            f,
            " per case and round, median of {} (± half the range); ",
            self.rounds
        )?;
        match self.load.pace {
            Pace::Window(window) => write!(
                f,
                "closed loop: a message is sent when fewer than {} deliveries are outstanding, so latency is the time in a full pipeline",
                thousands(window)
            ),
            Pace::Rate(rate) => write!(
                f,
                "open loop: {} deliveries per second are due, latency counts from the intended time of sending",
                thousands(rate)
            ),
        }
    }
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
    fn ratios_need_both_figures() {
        assert_eq!(ratio(figure(&[3.0]), figure(&[4.0])), "0.75");
        assert_eq!(ratio(figure(&[3.0]), None), "–");
        assert_eq!(ratio(figure(&[3.0]), figure(&[0.0])), "–");
    }

    #[test]
    fn thousands_are_set_apart() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ];
        for (number, expected) in cases {
            assert_eq!(thousands(number), expected);
        }
    }

    #[test]
    fn a_table_is_aligned_markdown() {
        let columns = Columns(&[("case", 6, false), ("n", 4, true)]);
        let line = columns.line(&["a".to_owned(), "12".to_owned()]);
        assert_eq!(
            format!("{}\n{line}", columns.header()),
            "| case   |    n |\n| ------ | ---: |\n| a      |   12 |"
        );
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
