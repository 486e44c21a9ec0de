//! The rows of the `$SYS` tree: topics, their aliases, where the number comes from and what it means.
//!
//! The page `docs/reference/sys-topics.md` is made from the same rows.

use wigwag_engine::stats::Stats;
use wigwag_proto::packet::PacketType;

use super::Reading;

/// A number of the tree.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The Topic Name.
    pub topic: &'static str,
    /// A second topic with the same number.
    pub alias: Option<&'static str>,
    /// Only published when it is higher than ever before.
    pub is_maximum: bool,
    /// What it is.
    pub meaning: &'static str,
    /// Takes it from a reading.
    pub value: fn(&Reading) -> u64,
}

/// A rate, as a moving average over three spans.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// What stands between `load/` and the span.
    pub name: &'static str,
    /// What is counted.
    pub meaning: &'static str,
    /// Takes the counter from a reading.
    pub counter: fn(&Reading) -> u64,
}

impl Load {
    /// The Topic Name of one span.
    pub fn topic(&self, span: &str) -> String {
        format!("$SYS/broker/load/{}/{span}", self.name)
    }
}

/// The spans of a load, with the seconds after which a burst has decayed to 1/e.
pub const LOAD_SPANS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

const fn row(topic: &'static str, meaning: &'static str, value: fn(&Reading) -> u64) -> Row {
    Row {
        topic,
        alias: None,
        is_maximum: false,
        meaning,
        value,
    }
}

impl Row {
    const fn maximum(self) -> Row {
        Row {
            is_maximum: true,
            ..self
        }
    }

    const fn alias(self, alias: &'static str) -> Row {
        Row {
            alias: Some(alias),
            ..self
        }
    }
}

/// Every number but the loads, in the order in which they are published.
pub static ROWS: [Row; 24] = [
    row(
        "$SYS/broker/clients/total",
        "sessions, connected and disconnected",
        |reading| reading.stats.sessions,
    ),
    row(
        "$SYS/broker/clients/maximum",
        "most sessions there ever were; published from 2 on",
        |reading| reading.stats.sessions,
    )
    .maximum(),
    row(
        "$SYS/broker/clients/disconnected",
        "sessions without a connection",
        |reading| reading.stats.sessions.saturating_sub(reading.stats.sessions_connected),
    )
    .alias("$SYS/broker/clients/inactive"),
    row(
        "$SYS/broker/clients/connected",
        "sessions with a connection",
        |reading| reading.stats.sessions_connected,
    )
    .alias("$SYS/broker/clients/active"),
    row(
        "$SYS/broker/clients/expired",
        "sessions that ended because their Session Expiry Interval passed",
        |reading| reading.stats.sessions_expired,
    ),
    row(
        "$SYS/broker/messages/stored",
        "messages that are retained, queued, in flight or not released; one that waits for two sessions counts twice",
        |reading| {
            let waiting = &reading.stats.waiting;
            reading.node.retained + waiting.queued + waiting.in_flight + waiting.unreleased
        },
    )
    .alias("$SYS/broker/store/messages/count"),
    row(
        "$SYS/broker/store/messages/bytes",
        "bytes of their payloads",
        |reading| reading.node.retained_payload_bytes + reading.stats.waiting.payload_bytes,
    ),
    row(
        "$SYS/broker/subscriptions/count",
        "subscriptions of all sessions that are not shared",
        |reading| reading.node.subscriptions.saturating_sub(reading.node.shared_subscriptions),
    ),
    row(
        "$SYS/broker/shared_subscriptions/count",
        "shared subscriptions of all sessions",
        |reading| reading.node.shared_subscriptions,
    ),
    row(
        "$SYS/broker/retained messages/count",
        "retained messages, those of this tree included",
        |reading| reading.node.retained,
    ),
    row(
        "$SYS/broker/heap/current",
        "bytes of memory that the process uses (resident set)",
        |reading| reading.memory,
    ),
    row(
        "$SYS/broker/heap/maximum",
        "the highest of these that was published",
        |reading| reading.memory,
    )
    .maximum(),
    row(
        "$SYS/broker/messages/received",
        "packets of any type from clients",
        |reading| reading.stats.received.total(),
    ),
    row(
        "$SYS/broker/messages/sent",
        "packets of any type to clients",
        |reading| reading.stats.sent.total(),
    ),
    row("$SYS/broker/bytes/received", "bytes of these packets", |reading| {
        reading.stats.bytes_received
    }),
    row("$SYS/broker/bytes/sent", "bytes of these packets", |reading| {
        reading.stats.bytes_sent
    }),
    row(
        "$SYS/broker/publish/bytes/received",
        "bytes of the payloads of PUBLISH packets from clients",
        |reading| reading.stats.payload_bytes_received,
    ),
    row(
        "$SYS/broker/publish/bytes/sent",
        "bytes of the payloads of PUBLISH packets to clients",
        |reading| reading.stats.payload_bytes_sent,
    ),
    row(
        "$SYS/broker/packet/out/count",
        "packets that wait to be written to connections",
        |reading| reading.stats.out_packets,
    ),
    row(
        "$SYS/broker/packet/out/bytes",
        "bytes that wait to be written to connections",
        |reading| reading.stats.out_bytes,
    ),
    row(
        "$SYS/broker/connections/socket/count",
        "connections that were accepted, those included that never sent a CONNECT",
        |reading| reading.sockets,
    ),
    row(
        "$SYS/broker/publish/messages/dropped",
        "messages that a client did not get because its queue was full or it read too slowly",
        |reading| dropped(&reading.stats),
    ),
    row(
        "$SYS/broker/publish/messages/received",
        "PUBLISH packets from clients",
        |reading| publishes_received(&reading.stats),
    ),
    row(
        "$SYS/broker/publish/messages/sent",
        "PUBLISH packets to clients",
        |reading| publishes_sent(&reading.stats),
    ),
];

/// Every load, in the order in which they are published.
pub static LOADS: [Load; 9] = [
    Load {
        name: "messages/received",
        meaning: "packets of any type from clients",
        counter: |reading| reading.stats.received.total(),
    },
    Load {
        name: "messages/sent",
        meaning: "packets of any type to clients",
        counter: |reading| reading.stats.sent.total(),
    },
    Load {
        name: "publish/dropped",
        meaning: "messages that a client did not get",
        counter: |reading| dropped(&reading.stats),
    },
    Load {
        name: "publish/received",
        meaning: "PUBLISH packets from clients",
        counter: |reading| publishes_received(&reading.stats),
    },
    Load {
        name: "publish/sent",
        meaning: "PUBLISH packets to clients",
        counter: |reading| publishes_sent(&reading.stats),
    },
    Load {
        name: "bytes/received",
        meaning: "bytes from clients",
        counter: |reading| reading.stats.bytes_received,
    },
    Load {
        name: "bytes/sent",
        meaning: "bytes to clients",
        counter: |reading| reading.stats.bytes_sent,
    },
    Load {
        name: "sockets",
        meaning: "connections that were accepted",
        counter: |reading| reading.sockets,
    },
    Load {
        name: "connections",
        meaning: "CONNECT packets",
        counter: |reading| reading.stats.received.of(PacketType::Connect),
    },
];

fn publishes_received(stats: &Stats) -> u64 {
    stats.received.of(PacketType::Publish)
}

fn publishes_sent(stats: &Stats) -> u64 {
    stats.sent.of(PacketType::Publish)
}

/// Those that Mosquitto counts: a full queue, and a connection that takes no more.
fn dropped(stats: &Stats) -> u64 {
    use wigwag_engine::DropReason;
    stats.dropped(DropReason::QueueFull) + stats.dropped(DropReason::SlowConsumer)
}
