//! Which topic below `$SYS/` is which metric: Mosquitto's tree under the names that its usual exporter has given it,
//! EMQX's under those of EMQX's own exposition.
//!
//! Pure. What is said of a topic here depends on the topic alone; values are kept in [`super::board`].

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Those of Mosquitto's numbers that have the type of a counter, below `$SYS/broker/`. Two are gauges by their
/// nature; dashboards know them so.
const COUNTERS: [&str; 12] = [
    "bytes/received",
    "bytes/sent",
    "messages/received",
    "messages/sent",
    "publish/bytes/received",
    "publish/bytes/sent",
    "publish/messages/received",
    "publish/messages/sent",
    "publish/messages/dropped",
    "uptime",
    "clients/maximum",
    "clients/total",
];

/// The other numbers of 2.0 and 2.1, but for the loads.
const GAUGES: [&str; 14] = [
    "clients/connected",
    "clients/disconnected",
    "clients/expired",
    "heap/current",
    "heap/maximum",
    "messages/stored",
    "store/messages/count",
    "store/messages/bytes",
    "retained messages/count",
    "subscriptions/count",
    "shared_subscriptions/count",
    "packet/out/count",
    "packet/out/bytes",
    "connections/socket/count",
];

/// What `$SYS/broker/load/WHAT/…` counts.
const LOADS: [&str; 9] = [
    "messages/received",
    "messages/sent",
    "publish/received",
    "publish/sent",
    "publish/dropped",
    "bytes/received",
    "bytes/sent",
    "sockets",
    "connections",
];

const MINUTES: [&str; 3] = ["1min", "5min", "15min"];

/// Names of packets in `$SYS/broker/mqtt/PACKET/…`.
const PACKETS: [&str; 15] = [
    "connect",
    "connack",
    "publish",
    "puback",
    "pubrec",
    "pubrel",
    "pubcomp",
    "subscribe",
    "suback",
    "unsubscribe",
    "unsuback",
    "pingreq",
    "pingresp",
    "disconnect",
    "auth",
];

/// Aliases and texts, which the usual exporter leaves out too.
const LEFT_OUT: [&str; 3] = ["timestamp", "clients/active", "clients/inactive"];

/// Names of EMQX that are not made by the rule.
const EMQX_EXCEPTIONS: [(&str, &str); 2] = [
    ("metrics/packets/connect/received", "emqx_packets_connect"),
    (
        "metrics/messages/dropped/await_pubrel_timeout",
        "emqx_messages_dropped_expired",
    ),
];

/// What a topic is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    /// One of Mosquitto's numbers, of which there are only so many.
    Number(Kind),
    /// Whether a bridge is connected.
    Bridge { name: &'a str },
    /// A number of a node of an EMQX cluster.
    Emqx {
        metric: String,
        kind: Kind,
        node: &'a str,
        /// The topic below that of the node.
        own: &'a str,
    },
    /// The nodes of an EMQX cluster, separated by commas.
    EmqxNodes,
    /// The version of the broker, or of a node.
    Version,
    /// Nothing to count: texts, and what has another topic too.
    Nothing,
    /// Not known.
    Other,
}

impl Subject<'_> {
    /// What a topic is about, if it is below `$SYS/`.
    pub(super) fn of(topic: &str) -> Option<Subject<'_>> {
        let below = topic.strip_prefix("$SYS/")?;
        if let Some(own) = below.strip_prefix("broker/") {
            return Some(of_mosquitto(own));
        }
        if below == "brokers" {
            return Some(Subject::EmqxNodes);
        }
        let of_node = below
            .strip_prefix("brokers/")
            .and_then(|rest| rest.split_once('/'));
        Some(match of_node {
            Some((node, own)) if !node.is_empty() => of_emqx(node, own),
            _ => Subject::Other,
        })
    }

    /// Whether a broker can only have so many of them, whatever it and its clients invent.
    pub(super) const fn is_of_a_fixed_set(&self) -> bool {
        matches!(
            self,
            Subject::Number(_) | Subject::EmqxNodes | Subject::Version
        )
    }
}

fn of_mosquitto(own: &str) -> Subject<'_> {
    if COUNTERS.contains(&own) {
        return Subject::Number(Kind::Counter);
    }
    if GAUGES.contains(&own) || is_load(own) || is_packet_count(own) {
        return Subject::Number(Kind::Gauge);
    }
    if own == "version" {
        return Subject::Version;
    }
    if LEFT_OUT.contains(&own) || own.starts_with("log/") {
        return Subject::Nothing;
    }
    let bridge = own
        .strip_prefix("connection/")
        .and_then(|rest| rest.strip_suffix("/state"));
    match bridge {
        Some(name) if !name.is_empty() => Subject::Bridge { name },
        _ => Subject::Other,
    }
}

/// `load/bytes/sent/5min`
fn is_load(own: &str) -> bool {
    own.strip_prefix("load/")
        .and_then(|rest| rest.rsplit_once('/'))
        .is_some_and(|(what, minutes)| LOADS.contains(&what) && MINUTES.contains(&minutes))
}

/// `mqtt/puback/sent`, as Mosquitto documents them and our broker publishes them.
fn is_packet_count(own: &str) -> bool {
    own.strip_prefix("mqtt/")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(packet, way)| {
            PACKETS.contains(&packet) && ["received", "sent"].contains(&way)
        })
}

fn of_emqx<'a>(node: &'a str, own: &'a str) -> Subject<'a> {
    let (kind, name) = match own.split_once('/') {
        Some(("stats", name)) => (Kind::Gauge, name),
        Some(("metrics", name)) => (Kind::Counter, name),
        None if own == "version" => return Subject::Version,
        // One for each client that comes and goes among them.
        _ => return Subject::Nothing,
    };
    let exception = EMQX_EXCEPTIONS.iter().find(|(topic, _)| *topic == own);
    let metric = exception.map_or_else(
        || format!("emqx_{}", with_underscores(name)),
        |(_, metric)| (*metric).to_owned(),
    );
    if is_name(&metric) {
        Subject::Emqx {
            metric,
            kind,
            node,
            own,
        }
    } else {
        Subject::Other
    }
}

/// The name that the usual exporter gives a topic, if it can be the name of a metric.
pub(super) fn metric_of(topic: &str) -> Option<String> {
    let name = with_underscores(topic.strip_prefix("$SYS/")?);
    is_name(&name).then_some(name)
}

fn with_underscores(text: &str) -> String {
    text.replace(['/', ' ', '-', '.'], "_")
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    characters.next().is_some_and(is_start) && characters.all(|c| is_start(c) || c.is_ascii_digit())
}

/// The first number in a payload: `32 seconds` is 32.
pub(super) fn number(payload: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(payload).ok()?;
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let is_negative = text[..start].ends_with('-');
    let digits = &text[start..];
    let is_digit = |c: char| c.is_ascii_digit();
    let whole = digits.trim_start_matches(is_digit);
    let rest = match whole.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(is_digit) => fraction.trim_start_matches(is_digit),
        _ => whole,
    };
    let value: f64 = digits[..digits.len() - rest.len()].parse().ok()?;
    let value = if is_negative { -value } else { value };
    value.is_finite().then_some(value)
}

/// A payload that is a number, with or without a unit: a line of text with a date at its front is none.
pub(super) fn number_alone(payload: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(payload).ok()?.trim();
    let mut words = text.split(' ');
    let value: f64 = words.next()?.parse().ok()?;
    let is_unit = |word: &str| word.chars().all(char::is_alphabetic);
    let is_all = words.next().is_none_or(is_unit) && words.next().is_none();
    (is_all && value.is_finite()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(topic: &str) -> Subject<'_> {
        Subject::of(topic).expect("below $SYS")
    }

    #[test]
    fn mosquittos_numbers_are_named_by_the_rule() {
        for (topic, name, kind) in [
            ("$SYS/broker/uptime", "broker_uptime", Kind::Counter),
            (
                "$SYS/broker/clients/total",
                "broker_clients_total",
                Kind::Counter,
            ),
            (
                "$SYS/broker/retained messages/count",
                "broker_retained_messages_count",
                Kind::Gauge,
            ),
            (
                "$SYS/broker/load/publish/dropped/15min",
                "broker_load_publish_dropped_15min",
                Kind::Gauge,
            ),
            (
                "$SYS/broker/mqtt/puback/sent",
                "broker_mqtt_puback_sent",
                Kind::Gauge,
            ),
        ] {
            assert_eq!(subject(topic), Subject::Number(kind), "{topic}");
            assert_eq!(metric_of(topic).as_deref(), Some(name));
        }
        assert_eq!(COUNTERS.len() + GAUGES.len() + LOADS.len() * 3, 53);
    }

    #[test]
    fn nodes_of_a_cluster_have_the_names_of_their_own_exposition() {
        let of = |topic: &str| match subject(topic) {
            Subject::Emqx {
                metric, kind, node, ..
            } => Some((metric, kind, node.to_owned())),
            _ => None,
        };
        let expect = |metric: &str, kind| Some((metric.to_owned(), kind, "e@10.0.0.1".to_owned()));
        for (own, metric, kind) in [
            (
                "stats/connections/count",
                "emqx_connections_count",
                Kind::Gauge,
            ),
            (
                "stats/subscriptions/shared/max",
                "emqx_subscriptions_shared_max",
                Kind::Gauge,
            ),
            (
                "metrics/bytes/received",
                "emqx_bytes_received",
                Kind::Counter,
            ),
            (
                "metrics/packets/publish/auth_error",
                "emqx_packets_publish_auth_error",
                Kind::Counter,
            ),
            (
                "metrics/packets/connect/received",
                "emqx_packets_connect",
                Kind::Counter,
            ),
        ] {
            let topic = format!("$SYS/brokers/e@10.0.0.1/{own}");
            assert_eq!(of(&topic), expect(metric, kind), "{topic}");
        }
        assert_eq!(subject("$SYS/brokers"), Subject::EmqxNodes);
        assert_eq!(subject("$SYS/brokers/n/version"), Subject::Version);
        assert_eq!(
            subject("$SYS/brokers/n/clients/joe/connected"),
            Subject::Nothing
        );
        assert_eq!(subject("$SYS/brokers/n/metrics/é"), Subject::Other);
        assert_eq!(subject("$SYS/brokers//metrics/x"), Subject::Other);
    }

    #[test]
    fn what_is_no_number_is_none() {
        for topic in [
            "$SYS/broker/timestamp",
            "$SYS/broker/clients/active",
            "$SYS/broker/log/N",
        ] {
            assert_eq!(subject(topic), Subject::Nothing, "{topic}");
        }
        for topic in [
            "$SYS/",
            "$SYS/other",
            "$SYS/broker/",
            "$SYS/broker/load/bytes/1min",
            "$SYS/broker/load/sockets/1h",
            "$SYS/broker/mqtt/nothing/sent",
            "$SYS/broker/connection//state",
            "$SYS/broker/connection/state",
        ] {
            assert_eq!(subject(topic), Subject::Other, "{topic}");
        }
        assert_eq!(Subject::of("a/b"), None);
        assert_eq!(
            subject("$SYS/broker/connection/to/the/cloud/state"),
            Subject::Bridge {
                name: "to/the/cloud"
            }
        );
    }

    #[test]
    fn only_names_that_prometheus_takes_are_made() {
        assert_eq!(metric_of("$SYS/a b-c.d/é"), None);
        assert_eq!(metric_of("$SYS/1min"), None);
        assert_eq!(metric_of("$SYS/"), None);
        assert_eq!(metric_of("$SYS/a b-c.d/e"), Some("a_b_c_d_e".to_owned()));
    }

    #[test]
    fn the_first_number_counts() {
        for (payload, expect) in [
            ("32 seconds", Some(32.0)),
            ("99.75", Some(99.75)),
            ("-1", Some(-1.0)),
            ("about -2.5 of 7", Some(-2.5)),
            ("7.", Some(7.0)),
            (".5", Some(5.0)),
            ("18446744073709551616", Some(18_446_744_073_709_551_616.0)),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(number(payload.as_bytes()), expect, "{payload}");
        }
        assert_eq!(number(b"\xff1"), None);
        assert_eq!(number("9".repeat(400).as_bytes()), None);
    }

    #[test]
    fn a_number_alone_is_no_line_of_text() {
        assert_eq!(number_alone(b"32 seconds"), Some(32.0));
        assert_eq!(number_alone(b"-0.5"), Some(-0.5));
        for payload in [
            &b"1700000000: New client"[..],
            b"1 2",
            b"1 a b",
            b"NaN",
            b"inf",
            b"\xff",
            b"",
        ] {
            assert_eq!(number_alone(payload), None, "{payload:?}");
        }
    }
}
