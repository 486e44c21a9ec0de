//! The `$SYS` tree: what is published of a reading of the broker's counters, given what was published before.
//!
//! Pure: readings and their times are arguments. Topics, meanings and rules are Mosquitto's; the rows are in
//! `table`. When to publish is told by `next_update`, who does it is the observer.

mod page;
mod table;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use wigwag_engine::stats::{NodeStats, Stats};
use wigwag_proto::packet::PacketType;

use crate::stopwatch::Durations;

pub use page::page;
pub use table::{LOAD_SPANS, LOADS, Load, ROWS, Row};

/// What `$SYS/broker/version` says. The name is ours, and the version stands where scripts look for
/// Mosquitto's: in the third word.
pub const VERSION: &str = concat!("wigwag version ", env!("CARGO_PKG_VERSION"));

/// All numbers of the broker at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Since the broker started.
    pub uptime: Duration,
    /// The sum over all shards.
    pub stats: Stats,
    /// What the shards share.
    pub node: NodeStats,
    /// Bytes of memory that the process uses.
    pub memory: u64,
    /// How long messages took from socket to socket, of those that were measured.
    pub(crate) durations: Durations,
    /// Connections that were accepted, those that never got as far as MQTT included.
    pub sockets: u64,
}

/// A message of the tree. All are retained and of QoS 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The Topic Name.
    pub topic: Cow<'static, str>,
    /// Decimal digits or text.
    pub payload: String,
}

/// What has been published so far.
#[derive(Debug)]
pub struct SysTree {
    rows: Vec<u64>,
    loads: Vec<[f64; LOAD_SPANS.len()]>,
    load_counters: Vec<u64>,
    packets: BTreeMap<(PacketType, Direction), u64>,
    updated: Option<Duration>,
}

/// Which way packets went, seen from the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    Received,
    Sent,
}

impl Default for SysTree {
    fn default() -> SysTree {
        SysTree {
            // As if 1 had been published of each: what is 1 at the start is not published then.
            rows: vec![1; ROWS.len()],
            loads: vec![[0.0; LOAD_SPANS.len()]; LOADS.len()],
            load_counters: vec![0; LOADS.len()],
            packets: BTreeMap::new(),
            updated: None,
        }
    }
}

impl SysTree {
    /// What a reading makes to be published; the first one publishes loads of 0.
    pub fn update(&mut self, reading: &Reading) -> Vec<Published> {
        let mut out = Vec::new();
        match self.updated.replace(reading.uptime) {
            None => {
                out.push(published("$SYS/broker/version", VERSION));
                out.push(uptime(reading));
                self.update_rows(reading, &mut out);
                self.begin_loads(reading, &mut out);
            }
            Some(last) => {
                out.push(uptime(reading));
                let secs = reading.uptime.as_secs().saturating_sub(last.as_secs());
                if secs > 0 {
                    self.update_loads(reading, secs, &mut out);
                }
                self.update_rows(reading, &mut out);
            }
        }
        self.update_packets(reading, &mut out);
        out
    }

    /// The numbers of a reading, row by row; of a maximum, the highest so far.
    pub(crate) fn values<'a>(
        &'a self,
        reading: &'a Reading,
    ) -> impl Iterator<Item = (&'static Row, u64)> + 'a {
        ROWS.iter().zip(&self.rows).map(|(row, &last)| {
            let value = (row.value)(reading);
            let value = if row.is_maximum {
                value.max(last)
            } else {
                value
            };
            (row, value)
        })
    }

    /// The topics of the loads, with their moving averages at the last update.
    pub(crate) fn loads(&self) -> impl Iterator<Item = (String, f64)> + '_ {
        let per_load = LOADS.iter().zip(&self.loads);
        per_load.flat_map(|(load, values)| {
            let spans = LOAD_SPANS.into_iter().zip(values);
            spans.map(|((span, _), &value)| (load.topic(span), value))
        })
    }

    fn update_rows(&mut self, reading: &Reading, out: &mut Vec<Published>) {
        for (row, last) in ROWS.iter().zip(&mut self.rows) {
            let value = (row.value)(reading);
            let is_news = if row.is_maximum {
                value > *last
            } else {
                value != *last
            };
            if is_news {
                *last = value;
                out.push(published(row.topic, &value));
                out.extend(row.alias.map(|alias| published(alias, &value)));
            }
        }
    }

    fn begin_loads(&mut self, reading: &Reading, out: &mut Vec<Published>) {
        for (load, counter) in LOADS.iter().zip(&mut self.load_counters) {
            *counter = (load.counter)(reading);
            for (span, _) in LOAD_SPANS {
                out.push(published(load.topic(span), "0.00"));
            }
        }
    }

    fn update_loads(&mut self, reading: &Reading, secs: u64, out: &mut Vec<Published>) {
        let per_load = self.loads.iter_mut().zip(&mut self.load_counters);
        for (load, (values, counter)) in LOADS.iter().zip(per_load) {
            let count = (load.counter)(reading);
            let delta = count.saturating_sub(*counter);
            *counter = count;
            for ((span, decay_secs), value) in LOAD_SPANS.into_iter().zip(values) {
                let new = moving_average(*value, delta, secs, decay_secs);
                if (new - *value).abs() >= 0.01 {
                    out.push(published(load.topic(span), &format_args!("{new:.2}")));
                }
                *value = new;
            }
        }
    }

    /// Of packets that never occur, nothing is published.
    fn update_packets(&mut self, reading: &Reading, out: &mut Vec<Published>) {
        for packet_type in PACKET_TYPES {
            let counts = [
                (Direction::Received, &reading.stats.received),
                (Direction::Sent, &reading.stats.sent),
            ];
            for (direction, counts) in counts {
                let count = counts.of(packet_type);
                let last = self.packets.entry((packet_type, direction)).or_default();
                if count != *last {
                    *last = count;
                    let direction = match direction {
                        Direction::Received => "received",
                        Direction::Sent => "sent",
                    };
                    let topic = format!("$SYS/broker/mqtt/{}/{direction}", name(packet_type));
                    out.push(published(topic, &count));
                }
            }
        }
    }
}

/// All types of packets, in the order of their numbers.
pub(crate) const PACKET_TYPES: [PacketType; 15] = [
    PacketType::Connect,
    PacketType::ConnAck,
    PacketType::Publish,
    PacketType::PubAck,
    PacketType::PubRec,
    PacketType::PubRel,
    PacketType::PubComp,
    PacketType::Subscribe,
    PacketType::SubAck,
    PacketType::Unsubscribe,
    PacketType::UnsubAck,
    PacketType::PingReq,
    PacketType::PingResp,
    PacketType::Disconnect,
    PacketType::Auth,
];

/// A type of packet in topics and labels.
pub(crate) fn name(packet_type: PacketType) -> String {
    packet_type.name().to_ascii_lowercase()
}

fn uptime(reading: &Reading) -> Published {
    let secs = reading.uptime.as_secs();
    published("$SYS/broker/uptime", &format_args!("{secs} seconds"))
}

fn published<P: ToString + ?Sized>(topic: impl Into<Cow<'static, str>>, payload: &P) -> Published {
    Published {
        topic: topic.into(),
        payload: payload.to_string(),
    }
}

/// The exponentially weighted moving average of a rate per minute, after `secs` in which `delta` came.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of one interval is far below 2^53"
)]
pub(crate) fn moving_average(last: f64, delta: u64, secs: u64, decay_secs: f64) -> f64 {
    let secs = secs as f64;
    let per_minute = delta as f64 * (60.0 / secs);
    per_minute + (-secs / decay_secs).exp() * (last - per_minute)
}

/// How long to wait for the next update: until the wall clock shows a multiple of the interval.
pub(crate) fn next_update(since_epoch: Duration, interval: Duration) -> Duration {
    let interval = interval.max(Duration::from_secs(1));
    let into = since_epoch.as_nanos() % interval.as_nanos();
    let left = interval.as_nanos() - into;
    Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(secs: u64) -> Reading {
        Reading {
            uptime: Duration::from_secs(secs),
            memory: 4_096,
            ..Reading::default()
        }
    }

    fn find<'a>(out: &'a [Published], topic: &str) -> Option<&'a str> {
        out.iter()
            .find(|published| published.topic == topic)
            .map(|published| published.payload.as_str())
    }

    #[test]
    fn the_start_publishes_all_but_the_maximum_of_clients() {
        let out = SysTree::default().update(&after(0));
        assert_eq!(out.len(), 55);
        assert_eq!(find(&out, "$SYS/broker/clients/maximum"), None);
        assert_eq!(find(&out, "$SYS/broker/clients/total"), Some("0"));
        assert_eq!(find(&out, "$SYS/broker/uptime"), Some("0 seconds"));
        assert_eq!(find(&out, "$SYS/broker/version"), Some(VERSION));
        assert_eq!(
            find(&out, "$SYS/broker/load/bytes/sent/15min"),
            Some("0.00")
        );
    }

    #[test]
    fn the_whole_tree_has_56_topics_and_no_topic_twice() {
        let mut reading = after(0);
        let mut tree = SysTree::default();
        let mut topics: Vec<_> = tree.update(&reading).into_iter().map(|p| p.topic).collect();
        reading.stats.sessions = 2;
        let more = tree.update(&reading);
        assert_eq!(find(&more, "$SYS/broker/clients/maximum"), Some("2"));
        topics.push("$SYS/broker/clients/maximum".into());
        topics.sort();
        topics.dedup();
        assert_eq!(topics.len(), 56);
    }

    #[test]
    fn only_changes_are_published_and_the_uptime() {
        let mut tree = SysTree::default();
        tree.update(&after(0));
        let out = tree.update(&after(10));
        assert_eq!(out, [published("$SYS/broker/uptime", "10 seconds")]);

        let mut reading = after(20);
        reading.stats.sessions_connected = 3;
        reading.stats.sessions = 3;
        let out = tree.update(&reading);
        assert_eq!(find(&out, "$SYS/broker/clients/connected"), Some("3"));
        assert_eq!(find(&out, "$SYS/broker/clients/active"), Some("3"));
        assert_eq!(find(&out, "$SYS/broker/clients/disconnected"), None);

        reading.uptime = Duration::from_secs(30);
        reading.stats.sessions = 2;
        reading.stats.sessions_connected = 1;
        let out = tree.update(&reading);
        assert_eq!(find(&out, "$SYS/broker/clients/disconnected"), Some("1"));
        assert_eq!(
            find(&out, "$SYS/broker/clients/maximum"),
            None,
            "it never falls"
        );
    }

    /// By hand: 100 in 10 seconds are 600 a minute; 600 - 600 e^(-1/6) = 92.11 after one interval.
    #[test]
    fn loads_are_moving_averages_per_minute() {
        let mut tree = SysTree::default();
        tree.update(&after(0));
        let mut reading = after(10);
        reading.stats.bytes_received = 100;
        let out = tree.update(&reading);
        let of = |out: &[Published], span: &str| {
            find(out, &format!("$SYS/broker/load/bytes/received/{span}")).map(str::to_owned)
        };
        assert_eq!(of(&out, "1min").as_deref(), Some("92.11"));
        assert_eq!(of(&out, "5min").as_deref(), Some("19.67"));
        assert_eq!(of(&out, "15min").as_deref(), Some("6.63"));

        reading.uptime = Duration::from_secs(20);
        let out = tree.update(&reading);
        assert_eq!(of(&out, "1min").as_deref(), Some("77.97"), "it decays");
    }

    #[test]
    fn a_load_that_hardly_changes_is_not_published() {
        let mut tree = SysTree::default();
        tree.update(&after(0));
        let mut reading = after(10);
        reading.stats.opened = 1;
        reading.sockets = 1;
        assert!(find(&tree.update(&reading), "$SYS/broker/load/sockets/1min").is_some());
        let mut last = None;
        for n in 2..100 {
            reading.uptime = Duration::from_secs(n * 10);
            let out = tree.update(&reading);
            last = find(&out, "$SYS/broker/load/sockets/1min")
                .map_or(last, |text| Some(text.to_owned()));
        }
        // The last step that was at least 0.01 wide.
        assert_eq!(last.as_deref(), Some("0.06"));
    }

    #[test]
    fn updates_fall_on_multiples_of_the_interval() {
        let every = Duration::from_secs(10);
        let wait = |millis| next_update(Duration::from_millis(millis), every).as_millis();
        assert_eq!(wait(1_700_000_003_250), 6_750);
        assert_eq!(wait(1_700_000_009_999), 1);
        assert_eq!(wait(1_700_000_010_000), 10_000);
    }
}
