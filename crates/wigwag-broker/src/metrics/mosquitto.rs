//! The names under which the usual exporter shows Mosquitto's `$SYS` tree: the topic without `$SYS/`, with
//! `_` in place of what a name cannot have. No labels, no `_total`; the topic is the help.

use std::fmt::Write as _;

use super::Scrape;
use crate::sys::{Reading, SysTree};

/// Those that have the type of a counter there. Some are gauges by their nature; dashboards do not mind.
const COUNTERS: [&str; 12] = [
    "$SYS/broker/bytes/received",
    "$SYS/broker/bytes/sent",
    "$SYS/broker/messages/received",
    "$SYS/broker/messages/sent",
    "$SYS/broker/publish/bytes/received",
    "$SYS/broker/publish/bytes/sent",
    "$SYS/broker/publish/messages/received",
    "$SYS/broker/publish/messages/sent",
    "$SYS/broker/publish/messages/dropped",
    UPTIME,
    "$SYS/broker/clients/maximum",
    "$SYS/broker/clients/total",
];

/// Topics that it does not show: they are aliases.
const LEFT_OUT: [&str; 2] = ["$SYS/broker/clients/active", "$SYS/broker/clients/inactive"];

const UPTIME: &str = "$SYS/broker/uptime";

/// The view, in the text format.
pub(crate) fn write(reading: &Reading, tree: &SysTree) -> String {
    let mut out = String::new();
    sample(&mut out, UPTIME, reading.uptime.as_secs());
    for (row, value) in tree.values(reading) {
        sample(&mut out, row.topic, value);
        if let Some(alias) = row.alias.filter(|alias| !LEFT_OUT.contains(alias)) {
            sample(&mut out, alias, value);
        }
    }
    for (topic, value) in tree.loads() {
        sample(&mut out, &topic, format_args!("{value:.2}"));
    }
    out
}

/// What exporters add to the numbers of the tree, and what every Prometheus client library shows.
pub(crate) fn write_more(out: &mut String, scrape: &Scrape) {
    let info = format!("{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    let process = &scrape.process;
    let count = |count: Option<u64>| count.map(|count| format!(" {count}"));
    let number = |number: Option<f64>| number.map(|number| format!(" {number}"));
    let rows: [(&str, &str, &str, Option<String>); 10] = [
        (
            "mosquitto_up",
            "gauge",
            "Whether the broker answers",
            Some(" 1".to_owned()),
        ),
        (
            "mosquitto_broker_info",
            "gauge",
            "The version of the broker",
            Some(info.clone()),
        ),
        (
            "mosquitto_exporter_build_info",
            "gauge",
            "The version of what shows this",
            Some(info),
        ),
        (
            "mosquitto_max_connections",
            "gauge",
            "Connections that are taken at the same time",
            count(scrape.max_connections),
        ),
        (
            "process_cpu_seconds_total",
            "counter",
            "CPU time",
            number(process.cpu_secs),
        ),
        (
            "process_start_time_seconds",
            "gauge",
            "When the process started",
            number(process.started_secs),
        ),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Memory in use",
            count(process.resident_bytes),
        ),
        (
            "process_virtual_memory_bytes",
            "gauge",
            "Address space",
            count(process.virtual_bytes),
        ),
        (
            "process_open_fds",
            "gauge",
            "Open file descriptors",
            count(process.open_fds),
        ),
        (
            "process_max_fds",
            "gauge",
            "Most file descriptors",
            count(process.max_fds),
        ),
    ];
    if !scrape.bridges.is_empty() {
        out.push_str("# HELP mosquitto_bridge_state Whether a bridge is connected\n");
        out.push_str("# TYPE mosquitto_bridge_state gauge\n");
    }
    for bridge in &scrape.bridges {
        let name = bridge.name.replace('\\', "\\\\").replace('"', "\\\"");
        let state = u8::from(bridge.is_connected);
        _ = writeln!(out, "mosquitto_bridge_state{{bridge=\"{name}\"}} {state}");
    }
    for (name, kind, help, value) in rows {
        if let Some(value) = value {
            _ = write!(
                out,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{value}\n"
            );
        }
    }
}

/// Names, types and topics, for the page.
pub(super) fn names() -> impl Iterator<Item = (String, &'static str, String)> {
    let text = write(&Reading::default(), &SysTree::default());
    let helps: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '))
        .map(|(name, topic)| (name.to_owned(), topic.to_owned()))
        .collect();
    helps
        .into_iter()
        .map(|(name, topic)| (name, kind(&topic), topic))
}

fn kind(topic: &str) -> &'static str {
    if COUNTERS.contains(&topic) {
        "counter"
    } else {
        "gauge"
    }
}

fn sample(out: &mut String, topic: &str, value: impl std::fmt::Display) {
    let (name, kind) = (name(topic), kind(topic));
    _ = write!(
        out,
        "# HELP {name} {topic}\n# TYPE {name} {kind}\n{name} {value}\n"
    );
}

/// The name of a topic's metric.
fn name(topic: &str) -> String {
    topic
        .trim_start_matches("$SYS/")
        .replace(['/', ' ', '-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_has_the_53_series_of_the_usual_exporter() {
        let text = write(&Reading::default(), &SysTree::default());
        let types: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .collect();
        assert_eq!(types.len(), 53);
        assert_eq!(
            types
                .iter()
                .filter(|line| line.ends_with(" counter"))
                .count(),
            12
        );
        for expect in [
            "# HELP broker_retained_messages_count $SYS/broker/retained messages/count\n",
            "# TYPE broker_uptime counter\nbroker_uptime 0\n",
            "# TYPE broker_store_messages_count gauge\n",
            "broker_load_publish_dropped_15min 0.00\n",
            "broker_packet_out_bytes 0\n",
        ] {
            assert!(text.contains(expect), "{expect}");
        }
        assert!(!text.contains("active"));
    }
}
