//! What one broker has told about itself, for as long as that holds: values by topic, when something was last heard,
//! and what of it goes on a page.
//!
//! Time comes in as arguments. A broker that falls silent has no values any more, rather than those of yesterday:
//! after three intervals in which nothing was heard they are gone. What a broker may invent is bounded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::names::{Kind, Subject, metric_of, number, number_alone};
use super::text_format::{About, Page};

/// Values besides those of which a broker can only have so many: of bridges, of nodes, and what is not known.
pub(super) const OPEN_VALUES_MAX: usize = 2_000;

/// Bytes of a topic.
const TOPIC_MAX: usize = 1_024;

/// Bytes of a version.
const VERSION_MAX: usize = 128;

/// Silent intervals after which nothing holds any more.
const SILENT_INTERVALS: u32 = 3;

/// How often Mosquitto publishes by default, and brokers like it.
const INTERVAL: Duration = Duration::from_secs(10);

/// How often EMQX says by default that it is there.
const EMQX_INTERVAL: Duration = Duration::from_secs(30);

/// What becomes of topics that are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Others {
    /// Nothing
    #[default]
    None,
    /// A sample of `mosquitto_sys`, with the topic as its label
    Label,
    /// A metric with a name made of the topic
    Name,
}

/// What is said about a broker beside what it says itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Knowledge {
    /// How often it publishes, if that is not the usual.
    pub(super) interval: Option<Duration>,
    pub(super) max_connections: Option<u64>,
    pub(super) others: Others,
}

/// What a broker has told.
#[derive(Debug)]
pub(super) struct Board {
    knowledge: Knowledge,
    values: BTreeMap<String, Value>,
    /// How many of the values are not of a fixed set.
    open_values: usize,
    version: Option<String>,
    /// Counts connections.
    generation: u64,
    online_since: Option<Instant>,
    heard: Option<Heard>,
    is_emqx: bool,
    /// Messages for which there was no room.
    left_out: u64,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    number: f64,
    /// The connection by which it came.
    generation: u64,
}

/// The moment of the last message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) at: Instant,
    /// The same in seconds since 1970.
    pub(super) unix_secs: f64,
}

impl Board {
    pub(super) const fn new(knowledge: Knowledge) -> Board {
        Board {
            knowledge,
            values: BTreeMap::new(),
            open_values: 0,
            version: None,
            generation: 0,
            online_since: None,
            heard: None,
            is_emqx: false,
            left_out: 0,
        }
    }

    /// There is a connection.
    pub(super) const fn handle_online(&mut self, now: Instant) {
        self.generation += 1;
        self.online_since = Some(now);
    }

    /// There is none any more.
    pub(super) const fn handle_offline(&mut self) {
        self.online_since = None;
    }

    /// Takes a message in. An empty payload, which ends a retained message, takes the value away.
    pub(super) fn handle_message(&mut self, topic: &str, payload: &[u8], heard: Heard) {
        let Some(subject) = Subject::of(topic) else {
            return;
        };
        self.heard = Some(heard);
        let number = match &subject {
            Subject::Nothing => return,
            Subject::Version => return self.handle_version(payload),
            Subject::Emqx { .. } => {
                self.is_emqx = true;
                number(payload)
            }
            Subject::EmqxNodes => {
                self.is_emqx = true;
                count_of(payload)
            }
            Subject::Number(_) | Subject::Bridge { .. } => number(payload),
            Subject::Other if self.knowledge.others == Others::None => return,
            Subject::Other => number_alone(payload),
        };
        match number {
            Some(number) => self.keep(topic, number, subject.is_of_a_fixed_set()),
            None => self.forget(topic, subject.is_of_a_fixed_set()),
        }
    }

    /// `mosquitto version 2.0.18`, or `5.8.0`
    fn handle_version(&mut self, payload: &[u8]) {
        let text = std::str::from_utf8(payload).ok().map(str::trim);
        self.version = text
            .filter(|text| !text.is_empty() && text.len() <= VERSION_MAX)
            .map(|text| match text.split_once(" version ") {
                Some((_, version)) => version.to_owned(),
                None => text.to_owned(),
            });
    }

    fn keep(&mut self, topic: &str, number: f64, is_of_a_fixed_set: bool) {
        let value = Value {
            number,
            generation: self.generation,
        };
        if let Some(known) = self.values.get_mut(topic) {
            *known = value;
            return;
        }
        if !is_of_a_fixed_set {
            if self.open_values >= OPEN_VALUES_MAX || topic.len() > TOPIC_MAX {
                self.left_out += 1;
                return;
            }
            self.open_values += 1;
        }
        self.values.insert(topic.to_owned(), value);
    }

    fn forget(&mut self, topic: &str, is_of_a_fixed_set: bool) {
        if self.values.remove(topic).is_some() && !is_of_a_fixed_set {
            self.open_values -= 1;
        }
    }

    /// How long what was heard holds.
    pub(super) fn holds_for(&self) -> Duration {
        let usual = if self.is_emqx {
            EMQX_INTERVAL
        } else {
            INTERVAL
        };
        self.knowledge.interval.unwrap_or(usual) * SILENT_INTERVALS
    }

    /// Whether the broker has been heard of late.
    fn is_fresh(&self, now: Instant) -> bool {
        self.heard
            .is_some_and(|heard| now.saturating_duration_since(heard.at) <= self.holds_for())
    }

    /// Whether the broker is connected and tells about itself.
    pub(super) fn is_up(&self, now: Instant) -> bool {
        self.online_since.is_some() && self.is_fresh(now)
    }

    /// Writes all that holds.
    pub(super) fn write(&self, page: &mut Page, now: Instant) {
        let up = if self.is_up(now) { 1.0 } else { 0.0 };
        page.add(UP, &[], up);
        if let Some(heard) = self.heard {
            page.add(LAST_UPDATE, &[], heard.unix_secs);
        }
        if let Some(max) = self.knowledge.max_connections {
            page.add(MAX_CONNECTIONS, &[], as_value(max));
        }
        page.add(LEFT_OUT, &[], as_value(self.left_out));
        if !self.is_fresh(now) {
            return;
        }
        if let Some(version) = &self.version {
            page.add(BROKER_INFO, &[("version", version)], 1.0);
        }
        for (topic, value) in &self.values {
            if self.holds(*value, now) {
                write_value(page, topic, value.number, self.knowledge.others);
            }
        }
    }

    /// Whether a value is of this connection, or this connection is too new to have brought another.
    fn holds(&self, value: Value, now: Instant) -> bool {
        value.generation == self.generation
            || self
                .online_since
                .is_none_or(|since| now.saturating_duration_since(since) <= self.holds_for())
    }
}

/// Nodes in a list with commas.
fn count_of(payload: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(payload).ok()?;
    let names = text.split(',').filter(|name| !name.trim().is_empty());
    let count = u32::try_from(names.count()).ok()?;
    (count > 0).then(|| f64::from(count))
}

fn write_value(page: &mut Page, topic: &str, number: f64, others: Others) {
    let named = |page: &mut Page, kind| {
        if let Some(name) = metric_of(topic) {
            let about = About {
                name: &name,
                kind,
                help: topic,
            };
            page.add(about, &[], number);
        }
    };
    match Subject::of(topic) {
        Some(Subject::Number(kind)) => named(page, kind),
        Some(Subject::Bridge { name }) => {
            named(page, Kind::Gauge);
            page.add(BRIDGE_STATE, &[("bridge", name)], number);
        }
        Some(Subject::Emqx {
            metric,
            kind,
            node,
            own,
        }) => {
            let about = About {
                name: &metric,
                kind,
                help: &format!("$SYS/brokers/NODE/{own}"),
            };
            page.add(about, &[("node", node)], number);
        }
        Some(Subject::EmqxNodes) => page.add(EMQX_NODES, &[], number),
        Some(Subject::Other) if others == Others::Name => named(page, Kind::Gauge),
        Some(Subject::Other) => page.add(OTHER, &[("topic", topic)], number),
        Some(Subject::Version | Subject::Nothing) | None => {}
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the text format knows no other numbers"
)]
pub(super) const fn as_value(count: u64) -> f64 {
    count as f64
}

const fn gauge<'a>(name: &'a str, help: &'a str) -> About<'a> {
    About {
        name,
        kind: Kind::Gauge,
        help,
    }
}

const UP: About<'_> = gauge(
    "mosquitto_up",
    "Whether the broker is connected and tells about itself",
);
const LAST_UPDATE: About<'_> = gauge(
    "mosquitto_last_update_timestamp_seconds",
    "When the broker was last heard below $SYS, in seconds since 1970",
);
const MAX_CONNECTIONS: About<'_> = gauge(
    "mosquitto_max_connections",
    "Connections that the broker takes at the same time, as the exporter was told",
);
const BROKER_INFO: About<'_> = gauge("mosquitto_broker_info", "The version of the broker");
const BRIDGE_STATE: About<'_> = gauge("mosquitto_bridge_state", "Whether a bridge is connected");
const EMQX_NODES: About<'_> = gauge("emqx_cluster_nodes_running", "$SYS/brokers");
const OTHER: About<'_> = gauge("mosquitto_sys", "Numbers of topics that are not known");
const LEFT_OUT: About<'_> = About {
    name: "mosquitto_exporter_left_out_total",
    kind: Kind::Counter,
    help: "Messages below $SYS for whose numbers there was no room",
};

#[cfg(test)]
mod tests {
    use super::*;

    struct Watched {
        board: Board,
        begin: Instant,
    }

    impl Watched {
        fn new(knowledge: Knowledge) -> Watched {
            let begin = Instant::now();
            let mut board = Board::new(knowledge);
            board.handle_online(begin);
            Watched { board, begin }
        }

        fn at(&self, secs: u64) -> Instant {
            self.begin + Duration::from_secs(secs)
        }

        fn hear(&mut self, secs: u64, topic: &str, payload: impl AsRef<[u8]>) {
            let heard = Heard {
                at: self.at(secs),
                unix_secs: 1_000.5,
            };
            self.board.handle_message(topic, payload.as_ref(), heard);
        }

        /// The samples without help and types.
        fn samples(&self, secs: u64) -> Vec<String> {
            let mut page = Page::default();
            self.board.write(&mut page, self.at(secs));
            let text = page.into_text();
            let samples = text.lines().filter(|line| !line.starts_with('#'));
            samples
                .filter(|line| !line.starts_with("mosquitto_exporter_"))
                .map(str::to_owned)
                .collect()
        }
    }

    #[test]
    fn what_was_told_vanishes_after_three_silent_intervals() {
        let mut watched = Watched::new(Knowledge::default());
        assert_eq!(watched.samples(0), ["mosquitto_up 0"]);
        watched.hear(1, "$SYS/broker/version", "mosquitto version 2.0.18");
        watched.hear(1, "$SYS/broker/uptime", "32 seconds");
        watched.hear(2, "$SYS/broker/connection/a.b/state", "1");
        let all = [
            "broker_connection_a_b_state 1",
            "broker_uptime 32",
            "mosquitto_bridge_state{bridge=\"a.b\"} 1",
            "mosquitto_broker_info{version=\"2.0.18\"} 1",
            "mosquitto_last_update_timestamp_seconds 1000.5",
            "mosquitto_up 1",
        ];
        assert_eq!(watched.samples(32), all);
        let silent = [
            "mosquitto_last_update_timestamp_seconds 1000.5",
            "mosquitto_up 0",
        ];
        assert_eq!(watched.samples(33), silent);
        watched.hear(34, "$SYS/broker/uptime", "64 seconds");
        assert_eq!(watched.samples(34).len(), all.len());
    }

    #[test]
    fn a_connection_that_is_lost_is_seen_at_once_and_its_values_a_while_later() {
        let mut watched = Watched::new(Knowledge::default());
        watched.hear(1, "$SYS/broker/uptime", "32 seconds");
        watched.hear(1, "$SYS/broker/connection/old/state", "0");
        watched.board.handle_offline();
        assert!(watched.samples(2).contains(&"mosquitto_up 0".to_owned()));
        assert!(watched.samples(2).contains(&"broker_uptime 32".to_owned()));
        // The next broker knows of no such bridge.
        watched.board.handle_online(watched.at(5));
        watched.hear(5, "$SYS/broker/uptime", "1 seconds");
        watched.hear(30, "$SYS/broker/uptime", "26 seconds");
        let has_bridge = |secs| {
            let samples = watched.samples(secs);
            samples.iter().any(|line| line.contains("bridge"))
        };
        assert!(has_bridge(35) && !has_bridge(36));
    }

    #[test]
    fn an_interval_that_is_known_decides() {
        let interval = Some(Duration::from_secs(1));
        let mut watched = Watched::new(Knowledge {
            interval,
            max_connections: Some(100),
            ..Knowledge::default()
        });
        watched.hear(0, "$SYS/broker/clients/connected", "2");
        let up = |watched: &Watched, secs| watched.board.is_up(watched.at(secs));
        assert!(up(&watched, 3) && !up(&watched, 4));
        assert!(
            watched
                .samples(9)
                .contains(&"mosquitto_max_connections 100".to_owned())
        );
    }

    #[test]
    fn a_cluster_of_emqx_has_a_label_for_each_node() {
        let mut watched = Watched::new(Knowledge::default());
        watched.hear(0, "$SYS/brokers", "a@h,b@h");
        watched.hear(0, "$SYS/brokers/a@h/version", "5.8.0");
        watched.hear(0, "$SYS/brokers/a@h/stats/connections/count", "3");
        watched.hear(0, "$SYS/brokers/b@h/stats/connections/count", "4");
        watched.hear(0, "$SYS/brokers/b@h/clients/joe/connected", "{\"ts\":1}");
        // It says less often that it is there.
        assert_eq!(
            watched.samples(90),
            [
                "emqx_cluster_nodes_running 2",
                "emqx_connections_count{node=\"a@h\"} 3",
                "emqx_connections_count{node=\"b@h\"} 4",
                "mosquitto_broker_info{version=\"5.8.0\"} 1",
                "mosquitto_last_update_timestamp_seconds 1000.5",
                "mosquitto_up 1",
            ]
        );
    }

    #[test]
    fn topics_that_are_not_known_are_shown_as_asked() {
        let shown = |others| {
            let mut watched = Watched::new(Knowledge {
                others,
                ..Knowledge::default()
            });
            for (topic, payload) in [
                ("$SYS/broker/plugin/jobs", "7"),
                ("$SYS/broker/plugin/\u{1f980}", "8"),
                ("$SYS/broker/plugin/text", "7 little men"),
                ("$SYS/broker/log/N", "9"),
                ("$SYS/", "1"),
                ("$SYS/mosquitto/up", "5"),
            ] {
                watched.hear(0, topic, payload);
            }
            watched.hear(0, "$SYS/broker/plugin/\0", b"\xff\xfe");
            let mut samples = watched.samples(0);
            samples.retain(|line| !line.starts_with("mosquitto_last"));
            samples
        };
        assert_eq!(shown(Others::None), ["mosquitto_up 1"]);
        assert_eq!(
            shown(Others::Label),
            [
                "mosquitto_sys{topic=\"$SYS/\"} 1",
                "mosquitto_sys{topic=\"$SYS/broker/plugin/jobs\"} 7",
                "mosquitto_sys{topic=\"$SYS/broker/plugin/\u{1f980}\"} 8",
                "mosquitto_sys{topic=\"$SYS/mosquitto/up\"} 5",
                "mosquitto_up 1",
            ]
        );
        // Nobody takes a name that is ours.
        assert_eq!(
            shown(Others::Name),
            ["broker_plugin_jobs 7", "mosquitto_up 1"]
        );
    }

    #[test]
    fn a_broker_that_invents_topics_fills_a_bounded_place() {
        let mut watched = Watched::new(Knowledge {
            others: Others::Label,
            ..Knowledge::default()
        });
        for number in 0..OPEN_VALUES_MAX {
            watched.hear(0, &format!("$SYS/broker/connection/{number}/state"), "1");
            watched.hear(0, &format!("$SYS/brokers/{number}/stats/x"), "1");
        }
        watched.hear(0, &format!("$SYS/{}", "x".repeat(TOPIC_MAX)), "1");
        assert_eq!(watched.board.values.len(), OPEN_VALUES_MAX);
        assert_eq!(watched.board.left_out, OPEN_VALUES_MAX as u64 + 1);
        // What every broker has still finds its place, and a place that is given up is free.
        watched.hear(0, "$SYS/broker/uptime", "1 seconds");
        watched.hear(0, "$SYS/broker/connection/0/state", "");
        watched.hear(0, "$SYS/broker/connection/new/state", "1");
        assert_eq!(watched.board.values.len(), OPEN_VALUES_MAX + 1);
        assert_eq!(watched.board.left_out, OPEN_VALUES_MAX as u64 + 1);
    }
}
