//! The families of the native view: names, help, labels and where the values come from.
//!
//! Labels have few values, all of them known beforehand: no client id, no topic. The page
//! `docs/reference/metrics.md` is made from the same rows.

use std::borrow::Cow;
use std::time::SystemTime;

use wigwag_engine::DropReason;
use wigwag_engine::stats::{ACTIONS, CLOSE_CAUSES, CREDENTIALS, Outcomes};

use super::Scrape;
use crate::bridge::BridgeReport;
use crate::entrance::REFUSALS;
use crate::persist::Progress;
use crate::recorder::{LOSSES, RecorderReport};
use crate::stopwatch::{BOUNDS_MICROS, Durations};
use crate::sys::{self, PACKET_TYPES};

/// A family of metrics.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Without the `_total` that counters get.
    pub name: &'static str,
    /// One sentence without its full stop.
    pub help: &'static str,
    /// What kind of metric it is.
    pub kind: Kind,
    /// The labels that tell its samples apart.
    pub labels: &'static [&'static str],
    pub(super) samples: fn(&Scrape) -> Vec<Sample>,
}

impl Family {
    /// As a scrape shows it.
    pub fn full_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            _ => self.name.to_owned(),
        }
    }
}

/// The kinds of metrics there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Is always 1; its labels say something.
    Info,
}

/// One number of a family.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Number(f64),
    /// The sum, and the upper bounds with their counts.
    Buckets(f64, Vec<(f64, u64)>),
}

const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: fn(&Scrape) -> Vec<Sample>,
) -> Family {
    Family {
        name,
        help,
        kind: Kind::Counter,
        labels,
        samples,
    }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: fn(&Scrape) -> Vec<Sample>,
) -> Family {
    Family {
        name,
        help,
        kind: Kind::Gauge,
        labels,
        samples,
    }
}

/// Every family, in the order in which they are shown.
pub const FAMILIES: &[Family] = &[
    gauge(
        "wigwag_connections",
        "Connections that are open, those without a CONNECT yet included",
        &["listener", "protocol", "tls"],
        |scrape| {
            let per_listener = scrape.listeners.iter().map(|listener| Sample {
                labels: vec![
                    ("listener", listener.label.clone().into()),
                    ("protocol", listener.protocol.into()),
                    ("tls", if listener.is_tls { "true" } else { "false" }.into()),
                ],
                value: Value::Count(listener.visits.guests),
            });
            per_listener.collect()
        },
    ),
    counter(
        "wigwag_connections_opened",
        "Connections that were accepted and not too many",
        &["listener"],
        |scrape| {
            let listeners = scrape.listeners.iter();
            listeners
                .map(|it| labelled("listener", it.label.clone(), it.visits.admitted))
                .collect()
        },
    ),
    counter(
        "wigwag_connections_refused",
        "Connections that ended before anything was said over MQTT or HTTP, by reason",
        &["listener", "reason"],
        |scrape| {
            let per_listener = scrape.listeners.iter().flat_map(|listener| {
                let refused = REFUSALS.into_iter().zip(listener.visits.refused);
                refused.map(|(reason, count)| Sample {
                    labels: vec![
                        ("listener", listener.label.clone().into()),
                        ("reason", reason.into()),
                    ],
                    value: Value::Count(count),
                })
            });
            per_listener.collect()
        },
    ),
    gauge(
        "wigwag_max_connections",
        "Connections of all listeners that are taken at the same time, if there is a limit",
        &[],
        |scrape| scrape.max_connections.map_or_else(Vec::new, one),
    ),
    gauge(
        "wigwag_listener_cert_expiry_timestamp_seconds",
        "When the certificate of the listener ends, or the first of its chain, in seconds since 1970",
        &["listener"],
        |scrape| {
            let ends = scrape.listeners.iter().filter_map(|listener| {
                Some(Sample {
                    labels: vec![("listener", listener.label.clone().into())],
                    value: Value::Number(listener.certificate_end_secs?),
                })
            });
            ends.collect()
        },
    ),
    counter(
        "wigwag_connections_closed",
        "Connections that ended, by reason",
        &["reason"],
        |scrape| {
            by(
                "reason",
                CLOSE_CAUSES.into_iter().zip(scrape.reading.stats.closed),
            )
        },
    ),
    counter(
        "wigwag_connack",
        "CONNACK packets, by Reason Code in the words of MQTT 5",
        &["code"],
        |scrape| {
            let connacks = &scrape.reading.stats.connacks;
            connacks
                .iter()
                .map(|(code, &count)| labelled("code", code.to_string(), count))
                .collect()
        },
    ),
    gauge(
        "wigwag_sessions",
        "Sessions, by whether they have a connection",
        &["state"],
        |scrape| {
            let stats = &scrape.reading.stats;
            let disconnected = stats.sessions.saturating_sub(stats.sessions_connected);
            by(
                "state",
                [
                    ("connected", stats.sessions_connected),
                    ("disconnected", disconnected),
                ],
            )
        },
    ),
    counter(
        "wigwag_session_created",
        "Sessions that began",
        &[],
        |scrape| one(scrape.reading.stats.sessions_created),
    ),
    counter(
        "wigwag_session_resumed",
        "Sessions that a CONNECT went on with",
        &[],
        |scrape| one(scrape.reading.stats.sessions_resumed),
    ),
    counter(
        "wigwag_session_taken_over",
        "Sessions whose connection was closed in favour of another",
        &[],
        |scrape| one(scrape.reading.stats.sessions_taken_over),
    ),
    counter(
        "wigwag_session_expired",
        "Sessions that ended because their Session Expiry Interval passed",
        &[],
        |scrape| one(scrape.reading.stats.sessions_expired),
    ),
    counter(
        "wigwag_packets",
        "MQTT packets, by direction and type",
        &["direction", "type"],
        |scrape| {
            let stats = &scrape.reading.stats;
            let of = |direction, counts: &wigwag_engine::stats::PerType| {
                PACKET_TYPES.map(|packet_type| Sample {
                    labels: vec![
                        ("direction", Cow::Borrowed(direction)),
                        ("type", Cow::Owned(sys::name(packet_type))),
                    ],
                    value: Value::Count(counts.of(packet_type)),
                })
            };
            [of("received", &stats.received), of("sent", &stats.sent)].concat()
        },
    ),
    counter(
        "wigwag_bytes",
        "Bytes of MQTT packets, by direction",
        &["direction"],
        |scrape| {
            let stats = &scrape.reading.stats;
            directions(stats.bytes_received, stats.bytes_sent)
        },
    ),
    counter(
        "wigwag_publish_messages",
        "PUBLISH packets, by direction and QoS",
        &["direction", "qos"],
        |scrape| {
            let stats = &scrape.reading.stats;
            let of = |direction, counts: [u64; 3]| {
                ["0", "1", "2"]
                    .into_iter()
                    .zip(counts)
                    .map(move |(qos, count)| Sample {
                        labels: vec![
                            ("direction", Cow::Borrowed(direction)),
                            ("qos", Cow::Borrowed(qos)),
                        ],
                        value: Value::Count(count),
                    })
            };
            of("received", stats.publish_received)
                .chain(of("sent", stats.publish_sent))
                .collect()
        },
    ),
    counter(
        "wigwag_publish_bytes",
        "Bytes of the payloads of PUBLISH packets, by direction",
        &["direction"],
        |scrape| {
            let stats = &scrape.reading.stats;
            directions(stats.payload_bytes_received, stats.payload_bytes_sent)
        },
    ),
    Family {
        name: "wigwag_route_duration_seconds",
        help: "Time from the read that brought a PUBLISH until it was written to those who read; at most one turn of each shard in a millisecond is measured",
        kind: Kind::Histogram,
        labels: &[],
        samples: |scrape| buckets(&scrape.reading.durations),
    },
    counter(
        "wigwag_messages_dropped",
        "Messages that somebody wanted and did not get, and those that nobody wanted (no_subscriber)",
        &["reason"],
        |scrape| {
            let stats = &scrape.reading.stats;
            let of = |reason| (drop_reason(reason), stats.dropped(reason));
            by(
                "reason",
                DropReason::ALL
                    .map(of)
                    .into_iter()
                    .chain([("no_subscriber", stats.unwanted)]),
            )
        },
    ),
    counter(
        "wigwag_auth",
        "Clients that wanted to be let in, by what they presented and whether they were (allowed, denied)",
        &["method", "result"],
        |scrape| {
            let results = ["allowed", "denied"];
            outcomes("method", CREDENTIALS, results, scrape.reading.stats.logins)
        },
    ),
    counter(
        "wigwag_acl_checks",
        "Topics and filters that the access rules were asked for, by what was to be done and the answer",
        &["action", "result"],
        |scrape| {
            let results = ["allow", "deny"];
            outcomes("action", ACTIONS, results, scrape.reading.stats.checks)
        },
    ),
    gauge(
        "wigwag_queue_messages",
        "Messages that wait for sessions",
        &[],
        |scrape| one(scrape.reading.stats.waiting.queued),
    ),
    gauge(
        "wigwag_inflight_messages",
        "Messages that were sent and are kept until they are acknowledged",
        &[],
        |scrape| one(scrape.reading.stats.waiting.in_flight),
    ),
    gauge(
        "wigwag_unreleased_messages",
        "Messages of QoS 2 that wait for their publishers to release them",
        &[],
        |scrape| one(scrape.reading.stats.waiting.unreleased),
    ),
    gauge(
        "wigwag_queue_bytes",
        "Bytes of messages that wait, in flight or for release: topics, properties and payloads",
        &[],
        |scrape| one(scrape.reading.stats.waiting.bytes),
    ),
    gauge(
        "wigwag_out_buffer_packets",
        "Packets that wait to be written to connections",
        &[],
        |scrape| one(scrape.reading.stats.out_packets),
    ),
    gauge(
        "wigwag_out_buffer_bytes",
        "Bytes that wait to be written to connections",
        &[],
        |scrape| one(scrape.reading.stats.out_bytes),
    ),
    gauge(
        "wigwag_slow_consumers",
        "Connections whose clients have not taken all that was written to them",
        &[],
        |scrape| one(scrape.reading.stats.slow_consumers),
    ),
    gauge(
        "wigwag_subscriptions",
        "Subscriptions, by whether they are shared",
        &["shared"],
        |scrape| {
            let node = &scrape.reading.node;
            let own = node.subscriptions.saturating_sub(node.shared_subscriptions);
            by(
                "shared",
                [("false", own), ("true", node.shared_subscriptions)],
            )
        },
    ),
    gauge(
        "wigwag_retained_messages",
        "Retained messages",
        &[],
        |scrape| one(scrape.reading.node.retained),
    ),
    gauge(
        "wigwag_held_bytes",
        "Bytes of all that is held for clients, about: what memory_limit bounds",
        &[],
        |scrape| one(scrape.reading.node.held_bytes),
    ),
    gauge(
        "wigwag_memory_limit_bytes",
        "Bytes that may be held for clients, if there is a limit: memory_limit, or three quarters of what there is",
        &[],
        |scrape| scrape.memory_limit_bytes.map_or_else(Vec::new, one),
    ),
    gauge(
        "wigwag_retained_bytes",
        "Bytes of retained messages: topics, properties and payloads",
        &[],
        |scrape| one(scrape.reading.node.retained_bytes),
    ),
    gauge(
        "wigwag_alarms_active",
        "Alarms that are raised, by severity",
        &["severity"],
        |scrape| {
            let alarms = scrape.alarms.iter();
            by("severity", alarms.map(|it| (it.severity.name(), it.active)))
        },
    ),
    counter(
        "wigwag_alarms_raised",
        "Alarms that have been raised since the start, by severity",
        &["severity"],
        |scrape| {
            let alarms = scrape.alarms.iter();
            by("severity", alarms.map(|it| (it.severity.name(), it.raised)))
        },
    ),
    counter(
        "wigwag_log_lines_lost",
        "Log lines that their destination did not take in time",
        &[],
        |scrape| one(scrape.log_lines_lost),
    ),
    gauge("wigwag_shards", "Shards, each a thread", &[], |scrape| {
        one(scrape.shards.into())
    }),
    gauge(
        "wigwag_start_time_seconds",
        "When the broker started, in seconds since 1970",
        &[],
        |scrape| number(scrape.started_secs),
    ),
    gauge(
        "wigwag_config_last_reload_success",
        "Whether the configuration could be used when it was read last: 1 or 0",
        &[],
        |scrape| one(scrape.configuration_is_usable.into()),
    ),
    gauge(
        "wigwag_config_last_reload_timestamp_seconds",
        "When it was read last, in seconds since 1970",
        &[],
        |scrape| number(scrape.configuration_read_secs),
    ),
    gauge(
        "wigwag_config_last_reload_success_timestamp_seconds",
        "When the configuration was read that holds, in seconds since 1970",
        &[],
        |scrape| number(scrape.configuration_used_since_secs),
    ),
    counter(
        "wigwag_dynsec_changes",
        "Requests that changed dynamic security, by whether the change could be written (saved, unsaved)",
        &["result"],
        |scrape| {
            let dynsec = scrape.dynsec.iter();
            let results =
                dynsec.flat_map(|dynsec| ["saved", "unsaved"].into_iter().zip(dynsec.changes));
            by("result", results)
        },
    ),
    gauge(
        "wigwag_dynsec_last_change_timestamp_seconds",
        "When dynamic security was changed last, in seconds since 1970",
        &[],
        |scrape| optional(scrape.dynsec.and_then(|dynsec| dynsec.changed_secs)),
    ),
    gauge(
        "wigwag_bridge_up",
        "Whether the other broker has accepted the bridge: 1 or 0",
        &["bridge"],
        |scrape| bridges(scrape, |bridge| bridge.is_connected.into()),
    ),
    gauge(
        "wigwag_bridge_queue_messages",
        "Messages for the other broker that have left their queue here and have not been taken there",
        &["bridge"],
        |scrape| bridges(scrape, |bridge| bridge.held),
    ),
    counter(
        "wigwag_bridge_messages",
        "Messages that the bridge has carried, seen from this broker",
        &["bridge", "direction"],
        |scrape| bridge_ways(scrape, |bridge| [bridge.carried_in, bridge.carried_out]),
    ),
    counter(
        "wigwag_bridge_messages_dropped",
        "Messages that the bridge has given up",
        &["bridge", "direction"],
        |scrape| bridge_ways(scrape, |bridge| [bridge.dropped_in, bridge.dropped_out]),
    ),
    counter(
        "wigwag_bridge_connections",
        "Connections that the other broker has accepted",
        &["bridge"],
        |scrape| bridges(scrape, |bridge| bridge.connections),
    ),
    counter(
        "wigwag_bridge_failures",
        "Connections that have ended without being asked to, and attempts that have failed",
        &["bridge"],
        |scrape| bridges(scrape, |bridge| bridge.failures),
    ),
    counter(
        "wigwag_persist_saves",
        "Saves of sessions and messages that have succeeded, if they are kept on disk",
        &[],
        |scrape| persistence(scrape, |progress| Value::Count(progress.saves)),
    ),
    counter(
        "wigwag_persist_failures",
        "Attempts to write them that have failed",
        &[],
        |scrape| persistence(scrape, |progress| Value::Count(progress.failures)),
    ),
    counter(
        "wigwag_persist_changes_written",
        "Changes of sessions, queues and retained messages that are on the disk",
        &[],
        |scrape| persistence(scrape, |progress| Value::Count(progress.written)),
    ),
    gauge(
        "wigwag_persist_changes_pending",
        "Changes since the last save began",
        &[],
        |scrape| persistence(scrape, |progress| Value::Count(progress.pending)),
    ),
    gauge(
        "wigwag_persist_last_save_duration_seconds",
        "How long the last save took",
        &[],
        |scrape| {
            persistence(scrape, |progress| {
                Value::Number(progress.took.as_secs_f64())
            })
        },
    ),
    gauge(
        "wigwag_persist_last_save_timestamp_seconds",
        "When the last save ended, in seconds since 1970",
        &[],
        |scrape| {
            let saved_at = scrape.persistence.and_then(|progress| progress.saved_at);
            let since = saved_at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            optional(since.map(|since| since.as_secs_f64()))
        },
    ),
    gauge(
        "wigwag_recorder_up",
        "Whether the recorder has opened its folder and can write there: 1 or 0",
        &[],
        |scrape| recorder(scrape, |report| report.is_up.into()),
    ),
    counter(
        "wigwag_recorder_messages",
        "Messages that were recorded",
        &[],
        |scrape| recorder(scrape, |report| report.written),
    ),
    counter(
        "wigwag_recorder_messages_cut",
        "Messages of which the first 64 KiB are recorded",
        &[],
        |scrape| recorder(scrape, |report| report.cut),
    ),
    counter(
        "wigwag_recorder_messages_lost",
        "Messages that were to be recorded and are not, by reason",
        &["reason"],
        |scrape| {
            let reports = scrape.recorder.iter();
            by(
                "reason",
                reports.flat_map(|report| LOSSES.into_iter().zip(report.lost)),
            )
        },
    ),
    gauge(
        "wigwag_recorder_bytes",
        "Bytes of what is recorded, without journals",
        &[],
        |scrape| recorder(scrape, |report| report.size),
    ),
    gauge(
        "wigwag_recorder_limit_bytes",
        "Bytes that it may have",
        &[],
        |scrape| recorder(scrape, |report| report.size_max),
    ),
    gauge(
        "wigwag_recorder_oldest_timestamp_seconds",
        "Since when there are messages, in seconds since 1970",
        &[],
        |scrape| {
            optional(
                scrape
                    .recorder
                    .as_ref()
                    .and_then(|report| report.since_secs),
            )
        },
    ),
    Family {
        name: "wigwag_broker_info",
        help: "The version of the broker",
        kind: Kind::Info,
        labels: &["version"],
        samples: |_| vec![labelled("version", env!("CARGO_PKG_VERSION"), 1)],
    },
    counter(
        "process_cpu_seconds",
        "User and system CPU time of the process",
        &[],
        |scrape| optional(scrape.process.cpu_secs),
    ),
    gauge(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970",
        &[],
        |scrape| optional(scrape.process.started_secs),
    ),
    gauge(
        "process_resident_memory_bytes",
        "Memory of the process that is in use",
        &[],
        |scrape| scrape.process.resident_bytes.map_or_else(Vec::new, one),
    ),
    gauge(
        "process_virtual_memory_bytes",
        "Address space of the process",
        &[],
        |scrape| scrape.process.virtual_bytes.map_or_else(Vec::new, one),
    ),
    gauge(
        "process_open_fds",
        "File descriptors that are open",
        &[],
        |scrape| scrape.process.open_fds.map_or_else(Vec::new, one),
    ),
    gauge(
        "process_max_fds",
        "File descriptors that the process may open",
        &[],
        |scrape| scrape.process.max_fds.map_or_else(Vec::new, one),
    ),
];

fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::QueueFull => "queue_full",
        DropReason::SlowConsumer => "slow_consumer",
        DropReason::TooLarge => "too_large",
        DropReason::Expired => "expired",
        DropReason::NotAuthorised => "acl",
        DropReason::MemoryFull => "memory_full",
        _ => "other",
    }
}

fn one(count: u64) -> Vec<Sample> {
    vec![Sample {
        labels: Vec::new(),
        value: Value::Count(count),
    }]
}

fn number(number: f64) -> Vec<Sample> {
    vec![Sample {
        labels: Vec::new(),
        value: Value::Number(number),
    }]
}

fn buckets(durations: &Durations) -> Vec<Sample> {
    let bounds = BOUNDS_MICROS.map(|micros| f64::from(micros) / 1e6);
    let bounds = bounds.into_iter().chain([f64::INFINITY]);
    vec![Sample {
        labels: Vec::new(),
        value: Value::Buckets(durations.sum_secs, bounds.zip(durations.counts).collect()),
    }]
}

/// A sample for each bridge.
fn bridges(scrape: &Scrape, count: fn(&BridgeReport) -> u64) -> Vec<Sample> {
    let bridges = scrape.bridges.iter();
    bridges
        .map(|bridge| labelled("bridge", bridge.name.clone(), count(bridge)))
        .collect()
}

/// Two samples for each bridge, of what comes and what goes.
fn bridge_ways(scrape: &Scrape, counts: fn(&BridgeReport) -> [u64; 2]) -> Vec<Sample> {
    let per_bridge = scrape.bridges.iter().flat_map(|bridge| {
        let ways = ["received", "sent"].into_iter().zip(counts(bridge));
        ways.map(|(direction, count)| Sample {
            labels: vec![
                ("bridge", bridge.name.clone().into()),
                ("direction", direction.into()),
            ],
            value: Value::Count(count),
        })
    });
    per_bridge.collect()
}

/// One sample, if there is a recorder.
fn recorder(scrape: &Scrape, value: fn(&RecorderReport) -> u64) -> Vec<Sample> {
    let reports = scrape.recorder.iter();
    reports.flat_map(|report| one(value(report))).collect()
}

/// One sample, if there is persistence.
fn persistence(scrape: &Scrape, value: fn(&Progress) -> Value) -> Vec<Sample> {
    let samples = scrape.persistence.iter().map(|progress| Sample {
        labels: Vec::new(),
        value: value(progress),
    });
    samples.collect()
}

fn optional(value: Option<f64>) -> Vec<Sample> {
    value.map_or_else(Vec::new, number)
}

fn labelled(label: &'static str, value: impl Into<Cow<'static, str>>, count: u64) -> Sample {
    Sample {
        labels: vec![(label, value.into())],
        value: Value::Count(count),
    }
}

fn by(label: &'static str, counts: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<Sample> {
    counts
        .into_iter()
        .map(|(value, count)| labelled(label, value, count))
        .collect()
}

/// Two samples for each of the values of a label.
fn outcomes<const N: usize>(
    label: &'static str,
    values: [&'static str; N],
    results: [&'static str; 2],
    counts: [Outcomes; N],
) -> Vec<Sample> {
    let pairs = values.into_iter().zip(counts);
    pairs
        .flat_map(|(value, outcomes)| {
            let counts = [outcomes.allowed, outcomes.denied];
            results
                .into_iter()
                .zip(counts)
                .map(move |(result, count)| Sample {
                    labels: vec![
                        (label, Cow::Borrowed(value)),
                        ("result", Cow::Borrowed(result)),
                    ],
                    value: Value::Count(count),
                })
        })
        .collect()
}

fn directions(received: u64, sent: u64) -> Vec<Sample> {
    by("direction", [("received", received), ("sent", sent)])
}
