//! The rows of the tables and of the JSON: one flow, one way to connect, or one group of listeners at one broker.
//!
//! Pure: nothing here looks at a clock or a socket. The first broker is what the others are compared with.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::case::{Bound, Case, Load, Pace};
use crate::connects::ConnectRound;
use crate::figure::{Figure, Latency};
use crate::generator::{ChurnRound, HoldRound, Round};
use crate::opening::Timings;
use crate::table::{Columns, cell, thousands};

/// Above this much of one core the generator may be what limits the throughput.
const GENERATOR_BUSY_PERCENT: f64 = 95.0;
/// CPU time is counted in hundredths of a second: in less than this nobody can say what was busy.
const BUSY_TIME_MIN: Duration = Duration::from_millis(200);

/// What a row is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// One flow, alone or among others.
    Case(&'a Case),
    /// All flows of a run together.
    All,
}

/// One flow at one broker.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    case: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    pub(crate) broker: String,
    /// `None` for all flows together.
    qos: Option<u8>,
    rounds: usize,
    pub(crate) delivered_per_second: Option<Figure>,
    pub(crate) broker_cpu_micros_per_delivery: Option<Figure>,
    generator_cpu_micros_per_delivery: Option<Figure>,
    /// CPU time of the generator's one thread by the time that has passed; closed loop only, because
    /// an open loop spins until the next message is due.
    generator_busy_percent: Option<Figure>,
    pub(crate) latency_micros: Option<Latency>,
    /// From the intended to the real time of sending; open loop only.
    send_lateness_micros: Option<Latency>,
    pub(crate) rss_peak_mib: Option<Figure>,
    /// Deliveries that were counted, of all rounds.
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    pub(crate) unacknowledged: u64,
    pub(crate) unsent: u64,
    pub(crate) aborted: Vec<String>,
    /// `null` for a round that was aborted.
    each_round: Vec<Option<Sample>>,
    #[serde(skip)]
    pub(crate) latencies: Vec<Histogram<u64>>,
}

/// The figures of one round.
#[derive(Clone, Copy, Debug, Serialize)]
struct Sample {
    delivered_per_second: Option<f64>,
    broker_cpu_micros_per_delivery: Option<f64>,
    latency_micros: Option<Latency>,
}

impl Sample {
    fn of(round: &Round) -> Sample {
        Sample {
            delivered_per_second: per_second(round.delivered, round.elapsed),
            broker_cpu_micros_per_delivery: micros_each(round.broker_cpu, round.delivered),
            latency_micros: Latency::of(&[&round.latency]),
        }
    }
}

impl Row {
    /// Each round, or why it could not begin.
    pub(crate) fn new(subject: Subject<'_>, broker: &str, rounds: &[Result<Round, String>]) -> Row {
        let (case, is_open_loop) = match subject {
            Subject::Case(case) => (Some(case), matches!(case.pace, Pace::Rate(_))),
            // Its flows differ.
            Subject::All => (None, true),
        };
        let begun: Vec<&Round> = rounds
            .iter()
            .filter_map(|round| round.as_ref().ok())
            .collect();
        let whole: Vec<&Round> = begun
            .iter()
            .copied()
            .filter(|round| round.aborted.is_none())
            .collect();
        let figure =
            |value: fn(&Round) -> Option<f64>| Figure::of(whole.iter().map(|round| value(round)));
        let sum = |count: fn(&Round) -> u64| begun.iter().map(|round| count(round)).sum();
        let latencies: Vec<_> = whole.iter().map(|round| &round.latency).collect();
        let latenesses: Vec<_> = whole.iter().map(|round| &round.lateness).collect();
        Row {
            case: case.map_or_else(|| "all of it".to_owned(), Case::to_string),
            name: case.map_or_else(|| Some(ALL.to_owned()), |case| case.name.clone()),
            broker: broker.to_owned(),
            qos: case.map(|case| case.qos as u8),
            rounds: rounds.len(),
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
            latency_micros: Latency::of(&latencies),
            send_lateness_micros: Latency::of(&latenesses).filter(|_| is_open_loop),
            rss_peak_mib: figure(|round| Some(round.rss_peak_kib? as f64 / 1024.0)),
            delivered: sum(|round| round.delivered),
            lost: sum(|round| round.lost),
            duplicates: sum(|round| round.duplicates),
            reordered: sum(|round| round.reordered),
            unacknowledged: sum(|round| round.unacknowledged),
            unsent: sum(|round| round.unsent),
            aborted: rounds.iter().filter_map(why_aborted).collect(),
            each_round: rounds
                .iter()
                .map(|round| {
                    let round = round.as_ref().ok()?;
                    round.aborted.is_none().then(|| Sample::of(round))
                })
                .collect(),
            latencies: whole.iter().map(|round| round.latency.clone()).collect(),
        }
    }

    pub(crate) fn case(&self) -> &str {
        &self.case
    }

    /// Whether the row is meant by this name of a flow; without one, all flows are.
    pub(crate) fn is_called(&self, name: Option<&str>) -> bool {
        match name {
            None => self.qos.is_some(),
            Some(name) => self.name.as_deref() == Some(name),
        }
    }

    /// Whether the broker broke a promise: QoS 0 may lose and repeat, QoS 1 may repeat, nothing else may.
    pub(crate) fn is_failure(&self) -> bool {
        let qos = self.qos.unwrap_or(0);
        !self.aborted.is_empty()
            || (qos > 0 && (self.lost > 0 || self.unacknowledged > 0))
            || (qos > 1 && self.duplicates > 0)
    }

    pub(crate) fn cells(&self, first: &Row) -> Vec<String> {
        let compared = Comparison::of(self, first);
        let cpu = self.broker_cpu_micros_per_delivery;
        let rate = self.delivered_per_second;
        let millis = |value: fn(&Latency) -> f64| {
            cell(self.latency_micros.as_ref().map(value), |micros| {
                format!("{:.2}", micros / 1e3)
            })
        };
        vec![
            self.case.clone(),
            self.broker.clone(),
            cell(rate, |figure| thousands(figure.median.round() as u64)),
            cell(rate, |figure| format!("{:.0} %", figure.spread_percent())),
            cell(compared.delivered_per_second, |figure| {
                format!("{:.2}", figure.median)
            }),
            cell(cpu, |figure| format!("{:.2}", figure.median)),
            cell(compared.broker_cpu_micros_per_delivery, |figure| {
                format!("{:.2}", figure.median)
            }),
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
                "{row}: {} messages without complete acknowledgement",
                thousands(self.unacknowledged)
            ));
        }
        if self.unsent > 0 {
            remarks.push(format!(
                "{row}: {} messages were due and could not be sent: the broker does not keep up, and the latencies are too low",
                thousands(self.unsent)
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

/// The name by which an objective means all flows together.
pub(crate) const ALL: &str = "all";

fn why_aborted(round: &Result<Round, String>) -> Option<String> {
    match round {
        Ok(round) => round.aborted.clone(),
        Err(refusal) => Some(refusal.clone()),
    }
}

/// How one broker fares beside the first, round by round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    case: String,
    broker: String,
    compared_with: String,
    delivered_per_second: Option<Figure>,
    broker_cpu_micros_per_delivery: Option<Figure>,
    latency_p50: Option<Figure>,
    latency_p99: Option<Figure>,
    latency_p99_9: Option<Figure>,
}

impl Comparison {
    pub(crate) fn of(row: &Row, first: &Row) -> Comparison {
        let ratio = |value: fn(&Sample) -> Option<f64>| {
            Figure::of_ratios(&row.each_round, &first.each_round, value)
        };
        Comparison {
            case: row.case.clone(),
            broker: row.broker.clone(),
            compared_with: first.broker.clone(),
            delivered_per_second: ratio(|sample| sample.delivered_per_second),
            broker_cpu_micros_per_delivery: ratio(|sample| sample.broker_cpu_micros_per_delivery),
            latency_p50: ratio(|sample| Some(sample.latency_micros?.p50)),
            latency_p99: ratio(|sample| Some(sample.latency_micros?.p99)),
            latency_p99_9: ratio(|sample| Some(sample.latency_micros?.p99_9)),
        }
    }

    pub(crate) fn cells(&self) -> Vec<String> {
        let figures = [
            self.delivered_per_second,
            self.broker_cpu_micros_per_delivery,
            self.latency_p50,
            self.latency_p99,
            self.latency_p99_9,
        ];
        let ratio =
            |figure: Figure| format!("{:.2} ± {:.0} %", figure.median, figure.spread_percent());
        let mut cells = vec![
            self.case.clone(),
            format!("{} : {}", self.broker, self.compared_with),
        ];
        cells.extend(figures.map(|figure| cell(figure, ratio)));
        cells
    }
}

/// Connections of one kind at one broker.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConnectRow {
    /// Whose connections: all that were opened, or a churn.
    what: String,
    pub(crate) broker: String,
    connections: usize,
    rounds: usize,
    pub(crate) connects_per_second: Option<Figure>,
    broker_cpu_micros_per_connect: Option<Figure>,
    /// From the first round: an allocator keeps what it has, so that later rounds show less.
    idle_kib_per_connection: Option<f64>,
    /// From the first byte, or from when it was due, to the CONNACK.
    connect_micros: Option<Latency>,
    /// From the SUBSCRIBE to the SUBACK.
    subscribe_micros: Option<Latency>,
    pub(crate) failed: u64,
    aborted: Vec<String>,
    #[serde(skip)]
    pub(crate) latencies: Vec<Histogram<u64>>,
}

/// What the connections are called that were there before the messages.
pub(crate) const OPENED: &str = "opened";

impl ConnectRow {
    /// Of rounds in which nothing else was measured.
    pub(crate) fn of_connects(
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
        let timings: Vec<&Timings> = whole.iter().map(|round| &round.timings).collect();
        ConnectRow {
            connections,
            rounds: rounds.len(),
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
            ..ConnectRow::new(OPENED, broker, &timings)
        }
    }

    /// Of the connections that a run opened before its messages; a run that could not begin has a refusal.
    pub(crate) fn of_opening(
        broker: &str,
        rounds: &[&Timings],
        refusals: impl Iterator<Item = String>,
    ) -> ConnectRow {
        ConnectRow {
            aborted: refusals.collect(),
            ..ConnectRow::new(OPENED, broker, rounds)
        }
    }

    pub(crate) fn of_churn(broker: &str, rounds: &[&ChurnRound]) -> ConnectRow {
        let timings: Vec<&Timings> = rounds.iter().map(|round| &round.timings).collect();
        let name = rounds.first().map_or("", |round| &round.name);
        let failures = rounds.iter().filter_map(|round| round.failure.as_ref());
        ConnectRow {
            aborted: failures
                .map(|failure| format!("some could not connect, the first because: {failure}"))
                .collect(),
            ..ConnectRow::new(name, broker, &timings)
        }
    }

    fn new(what: &str, broker: &str, rounds: &[&Timings]) -> ConnectRow {
        let histograms = |of: fn(&Timings) -> &Histogram<u64>| {
            let histograms: Vec<_> = rounds.iter().map(|timings| of(timings)).collect();
            Latency::of(&histograms)
        };
        let per_round = rounds.iter().map(|timings| timings.opened).max();
        ConnectRow {
            what: what.to_owned(),
            broker: broker.to_owned(),
            connections: per_round.unwrap_or(0) as usize,
            rounds: rounds.len(),
            connects_per_second: Figure::of(
                rounds
                    .iter()
                    .map(|timings| per_second(timings.opened, timings.elapsed)),
            ),
            broker_cpu_micros_per_connect: None,
            idle_kib_per_connection: None,
            connect_micros: histograms(|timings| &timings.connect),
            subscribe_micros: histograms(|timings| &timings.subscribe),
            failed: rounds.iter().map(|timings| timings.failed).sum(),
            aborted: Vec::new(),
            latencies: rounds
                .iter()
                .map(|timings| timings.connect.clone())
                .collect(),
        }
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) const fn is_failure(&self) -> bool {
        !self.aborted.is_empty()
    }

    pub(crate) fn cells(&self, first: &ConnectRow) -> Vec<String> {
        let rate = self.connects_per_second;
        let ratio = rate
            .zip(first.connects_per_second)
            .map(|(rate, first)| rate.median / first.median);
        let millis = |latency: Option<Latency>, value: fn(&Latency) -> f64| {
            cell(latency.as_ref().map(value), |micros| {
                format!("{:.2}", micros / 1e3)
            })
        };
        vec![
            self.what.clone(),
            thousands(self.connections as u64),
            self.broker.clone(),
            cell(rate, |figure| thousands(figure.median.round() as u64)),
            cell(rate, |figure| format!("{:.0} %", figure.spread_percent())),
            cell(ratio.filter(|ratio| ratio.is_finite()), |ratio| {
                format!("{ratio:.2}")
            }),
            cell(self.broker_cpu_micros_per_connect, |figure| {
                format!("{:.1}", figure.median)
            }),
            millis(self.connect_micros, |latency| latency.p50),
            millis(self.connect_micros, |latency| latency.p99),
            millis(self.connect_micros, |latency| latency.max),
            millis(self.subscribe_micros, |latency| latency.p99),
            thousands(self.failed),
            cell(self.idle_kib_per_connection, |kib| format!("{kib:.2}")),
        ]
    }

    pub(crate) fn remarks(&self) -> Vec<String> {
        let remark = |reason: &String| format!("{}, {}: {reason}", self.broker, self.what);
        self.aborted.iter().map(remark).collect()
    }
}

/// What came to clients that only listened, at one broker.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HoldRow {
    name: String,
    broker: String,
    clients: usize,
    messages_per_second: Option<Figure>,
    payload_bytes_per_second: Option<Figure>,
}

impl HoldRow {
    pub(crate) fn new(broker: &str, rounds: &[&HoldRound]) -> HoldRow {
        let figure = |count: fn(&HoldRound) -> u64| {
            Figure::of(
                rounds
                    .iter()
                    .map(|round| per_second(count(round), round.elapsed)),
            )
        };
        HoldRow {
            name: rounds.first().map_or("", |round| &round.name).to_owned(),
            broker: broker.to_owned(),
            clients: rounds.first().map_or(0, |round| round.clients),
            messages_per_second: figure(|round| round.messages),
            payload_bytes_per_second: figure(|round| round.payload_bytes),
        }
    }

    pub(crate) fn cells(&self) -> Vec<String> {
        let rounded =
            |figure: Option<Figure>| cell(figure, |figure| thousands(figure.median.round() as u64));
        vec![
            self.name.clone(),
            thousands(self.clients as u64),
            self.broker.clone(),
            rounded(self.messages_per_second),
            rounded(self.payload_bytes_per_second),
        ]
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

pub(crate) const COMPARISONS: Columns = Columns(&[
    ("case", 26, false),
    ("compared", 20, false),
    ("delivered/s", 13, true),
    ("CPU", 13, true),
    ("p50", 13, true),
    ("p99", 13, true),
    ("p99.9", 13, true),
]);

pub(crate) const CONNECTS: Columns = Columns(&[
    ("connections", 12, false),
    ("number", 7, true),
    ("broker", 12, false),
    ("connects/s", 10, true),
    ("±", 4, true),
    ("ratio", 5, true),
    ("CPU µs", 7, true),
    ("p50 ms", 7, true),
    ("p99 ms", 7, true),
    ("max ms", 8, true),
    ("SUBACK p99", 10, true),
    ("failed", 6, true),
    ("KiB idle", 8, true),
]);

pub(crate) const HOLDS: Columns = Columns(&[
    ("listeners", 12, false),
    ("number", 7, true),
    ("broker", 12, false),
    ("messages/s", 11, true),
    ("payload B/s", 12, true),
]);

/// One sentence on how the figures came about.
pub(crate) struct Method<'a> {
    pub(crate) load: &'a Load,
    pub(crate) rounds: usize,
    /// `None` if the flows have paces of their own.
    pub(crate) pace: Option<Pace>,
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MQTT {}, ", self.load.version)?;
        match self.load.bound {
            Bound::Deliveries(deliveries) => write!(f, "{} deliveries", thousands(deliveries))?,
            Bound::Time(time) => write!(f, "{} s", time.as_secs_f64())?,
        }
        write!(
            f,
            " per case and round, median of {} (± half the range); ",
            self.rounds
        )?;
        match self.pace {
            Some(Pace::Window(window)) => write!(
                f,
                "closed loop: a message is sent when fewer than {} deliveries are outstanding, so latency is the time in a full pipeline",
                thousands(window)
            ),
            Some(Pace::Rate(rate)) => write!(
                f,
                "open loop: {} deliveries per second are due, latency counts from the intended time of sending",
                thousands(rate)
            ),
            None => write!(
                f,
                "flows with a rate are open loops, whose latency counts from the intended time of sending"
            ),
        }
    }
}
