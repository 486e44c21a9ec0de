//! What is known of a broker: what it has told last, and how that has developed. Pure: the time is an argument.
//!
//! The numbers come from `$SYS`, as often as the broker publishes it, or over HTTP, as often as it is asked; once HTTP
//! has answered, it alone is sampled, so that a rate is never made of two clocks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use wigwag_client::sys::{SysCount, SysLoad, SysSnapshot};

use super::series::{Rate, Series};

/// After the uptime has come, how long the rest of the tree may take to come too.
const SETTLES: Duration = Duration::from_millis(300);

/// Where our broker says that an alarm is raised, and that it is over.
const RAISED: &str = "$SYS/broker/alarms/activate/";
const OVER: &str = "$SYS/broker/alarms/deactivate/";

/// Alarms that are shown.
const ALARMS_MAX: usize = 1_000;

/// A number that is shown as a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rated {
    pub(super) name: &'static str,
    /// As in JSON.
    pub(super) key: &'static str,
    count: SysCount,
    /// What the broker says of it itself, until two readings make a rate.
    load: SysLoad,
    pub(super) is_bytes: bool,
}

const fn rated(
    name: &'static str,
    key: &'static str,
    count: SysCount,
    load: SysLoad,
    is_bytes: bool,
) -> Rated {
    Rated {
        name,
        key,
        count,
        load,
        is_bytes,
    }
}

/// In the order in which they are shown.
pub(super) const RATED: [Rated; 8] = [
    rated(
        "publish in",
        "publishReceived",
        SysCount::PublishReceived,
        SysLoad::PublishReceived,
        false,
    ),
    rated(
        "publish out",
        "publishSent",
        SysCount::PublishSent,
        SysLoad::PublishSent,
        false,
    ),
    rated(
        "dropped",
        "publishDropped",
        SysCount::PublishDropped,
        SysLoad::PublishDropped,
        false,
    ),
    rated(
        "packets in",
        "packetsReceived",
        SysCount::MessagesReceived,
        SysLoad::MessagesReceived,
        false,
    ),
    rated(
        "packets out",
        "packetsSent",
        SysCount::MessagesSent,
        SysLoad::MessagesSent,
        false,
    ),
    rated(
        "bytes in",
        "bytesReceived",
        SysCount::BytesReceived,
        SysLoad::BytesReceived,
        true,
    ),
    rated(
        "bytes out",
        "bytesSent",
        SysCount::BytesSent,
        SysLoad::BytesSent,
        true,
    ),
    rated(
        "connects",
        "connections",
        SysCount::SocketsAccepted,
        SysLoad::Connections,
        false,
    ),
];

/// Which of them is what a broker could not deliver.
pub(super) const DROPPED: usize = 2;

/// Whether there is a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Link {
    #[default]
    Connecting,
    Online,
    Offline(String),
}

/// An alarm that the broker has raised.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alarm {
    pub(super) name: String,
    pub(super) severity: String,
    pub(super) message: String,
}

/// Everything that is shown, but for topics.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// The broker's address.
    pub(super) broker: String,
    pub(super) link: Link,
    pub(super) sys: SysSnapshot,
    pub(super) rates: [Rate; RATED.len()],
    pub(super) clients: Series,
    /// By rule, and by what it found something wrong with.
    alarms: BTreeMap<(String, String), Alarm>,
    /// What went wrong with the numbers, if something did.
    pub(super) trouble: Option<String>,
    /// How the numbers come.
    pub(super) pace: Pace,
    /// A reading that is complete by then, and the uptime that it has.
    due: Option<(Duration, Duration)>,
    /// The broker's uptime at the last sample, or our time if HTTP is asked.
    sampled_at: Option<Duration>,
}

/// How often there is something new.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Pace {
    #[default]
    Unknown,
    Sys(Duration),
    Http,
}

impl Model {
    pub(super) fn new(broker: String) -> Model {
        Model {
            broker,
            ..Model::default()
        }
    }

    /// Whether anything is known at all.
    pub(super) fn is_empty(&self) -> bool {
        self.sys == SysSnapshot::default()
    }

    /// Takes in what `$SYS` has told so far.
    pub(super) fn handle_sys(&mut self, sys: &SysSnapshot, now: Duration) {
        if self.pace == Pace::Http {
            // The numbers are those of HTTP; alarms, loads and bridges come here alone.
            let counts: Vec<(SysCount, u64)> = self.sys.counts().collect();
            self.sys = sys.clone();
            for (count, value) in counts {
                self.take_in(&topic_of(count), &value.to_string());
            }
            return;
        }
        let uptime = sys.uptime();
        if uptime != self.sys.uptime()
            && let Some(uptime) = uptime
        {
            self.due = Some((now + SETTLES, uptime));
        }
        self.sys = sys.clone();
    }

    /// Takes in the numbers as HTTP has them, by topic.
    pub(super) fn handle_tree(&mut self, tree: &Map<String, Value>, now: Duration) {
        for (topic, value) in tree {
            match value {
                Value::String(text) => self.take_in(topic, text),
                value => self.take_in(topic, &value.to_string()),
            }
        }
        if self.pace != Pace::Http {
            self.pace = Pace::Http;
            self.due = None;
            self.sampled_at = None;
        }
        self.sample(now);
    }

    fn take_in(&mut self, topic: &str, value: &str) {
        self.sys.update(topic, value.as_bytes());
    }

    /// Lets time pass.
    pub(super) fn handle_time(&mut self, now: Duration) {
        if let Some((at, uptime)) = self.due
            && now >= at
        {
            self.due = None;
            if let Some(interval) = self
                .sampled_at
                .and_then(|last| uptime.checked_sub(last))
                .filter(|interval| !interval.is_zero())
            {
                self.pace = Pace::Sys(interval);
            }
            self.sample(uptime);
        }
    }

    fn sample(&mut self, at: Duration) {
        let elapsed = self.sampled_at.and_then(|last| at.checked_sub(last));
        self.sampled_at = Some(at);
        for (rated, rate) in RATED.iter().zip(&mut self.rates) {
            rate.sample(self.sys.count(rated.count), elapsed.unwrap_or_default());
        }
        if let Some(clients) = self.sys.count(SysCount::ClientsConnected) {
            self.clients.push(clients as f64);
        }
    }

    /// What is added per second now: between the last two readings, or what the broker has averaged over a minute.
    pub(super) fn rate(&self, index: usize) -> Option<f64> {
        let per_minute = || self.sys.rate(RATED[index].load).one;
        self.rates[index]
            .series
            .latest()
            .or_else(|| Some(per_minute()? / 60.0))
    }

    /// The alarms that are raised, as far as is known: a broker tells of changes, and over HTTP of all.
    pub(super) fn alarms(&self) -> impl ExactSizeIterator<Item = &Alarm> {
        self.alarms.values()
    }

    /// Takes in that an alarm is raised or over.
    pub(super) fn handle_alarm(&mut self, topic: &str, payload: &[u8]) {
        let is_raised = topic.starts_with(RAISED);
        if !is_raised && !topic.starts_with(OVER) {
            return;
        }
        let told = serde_json::from_slice(payload).ok();
        let Some((key, alarm)) = told.as_ref().and_then(Alarm::read) else {
            return;
        };
        if !is_raised {
            self.alarms.remove(&key);
        } else if self.alarms.len() < ALARMS_MAX {
            self.alarms.insert(key, alarm);
        }
    }

    /// Takes in all alarms, as HTTP has them.
    pub(super) fn handle_alarms(&mut self, told: &Value) {
        let active = told.get("active").and_then(Value::as_array);
        let alarms = active.into_iter().flatten().filter_map(Alarm::read);
        self.alarms = alarms.take(ALARMS_MAX).collect();
    }

    /// Notes how the connection is. Who is not connected does not hear that an alarm is over.
    pub(super) fn set_link(&mut self, link: Link) {
        if link != Link::Online {
            self.alarms.clear();
        }
        self.link = link;
    }

    /// Everything that the broker has told, by topic.
    pub(super) fn tree(&self) -> Vec<(String, String)> {
        let sys = &self.sys;
        let mut tree: Vec<(String, String)> = Vec::new();
        let mut add = |topic: String, value: String| tree.push((topic, value));
        if let Some(version) = sys.version() {
            add("$SYS/broker/version".to_owned(), version.to_owned());
        }
        if let Some(uptime) = sys.uptime() {
            add(
                "$SYS/broker/uptime".to_owned(),
                format!("{} seconds", uptime.as_secs()),
            );
        }
        for (count, value) in sys.counts() {
            add(topic_of(count), value.to_string());
        }
        for load in SysLoad::ALL {
            let rate = sys.rate(*load);
            let averages = [(rate.one, 1), (rate.five, 5), (rate.fifteen, 15)];
            for (value, minutes) in averages {
                if let Some(value) = value {
                    let topic = format!("$SYS/broker/load/{}/{minutes}min", load.topic());
                    add(topic, format!("{value:.2}"));
                }
            }
        }
        for (name, is_connected) in sys.bridges() {
            let topic = format!("$SYS/broker/connection/{name}/state");
            add(topic, u8::from(is_connected).to_string());
        }
        for (topic, value) in sys.others() {
            add(
                topic.to_owned(),
                String::from_utf8_lossy(value).into_owned(),
            );
        }
        tree.sort();
        tree
    }
}

impl Alarm {
    /// An alarm as our broker tells it, with what tells it apart.
    fn read(told: &Value) -> Option<((String, String), Alarm)> {
        let text = |value: Option<&Value>| Some(value?.as_str()?.to_owned());
        let name = text(told.get("name"))?;
        let topic = text(told.pointer("/details/topic")).unwrap_or_default();
        let alarm = Alarm {
            name: name.clone(),
            severity: text(told.get("severity"))?,
            message: text(told.get("message"))?,
        };
        Some(((name, topic), alarm))
    }
}

fn topic_of(count: SysCount) -> String {
    format!("$SYS/broker/{}", count.topics()[0])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A broker that publishes its tree at this uptime.
    fn publish(model: &mut Model, sys: &mut SysSnapshot, uptime: u64, received: u64) {
        let now = Duration::from_secs(uptime);
        // A message has come before the uptime, as it may.
        sys.update("$SYS/broker/clients/connected", b"7");
        model.handle_sys(sys, now);
        sys.update("$SYS/broker/uptime", format!("{uptime} seconds").as_bytes());
        model.handle_sys(sys, now);
        sys.update(
            "$SYS/broker/publish/messages/received",
            received.to_string().as_bytes(),
        );
        model.handle_sys(sys, now);
        model.handle_time(now + SETTLES);
    }

    #[test]
    fn two_publications_of_the_tree_make_a_rate() {
        let (mut model, mut sys) = (Model::default(), SysSnapshot::default());
        publish(&mut model, &mut sys, 100, 5_000);
        assert_eq!(model.rate(0), None);
        publish(&mut model, &mut sys, 110, 5_050);
        assert_eq!(model.rate(0), Some(5.0));
        assert_eq!(model.pace, Pace::Sys(10 * SECOND));
        assert_eq!(model.clients.latest(), Some(7.0));
        // A broker that has started anew.
        publish(&mut model, &mut sys, 3, 10);
        publish(&mut model, &mut sys, 13, 40);
        assert_eq!(model.rate(0), Some(3.0));
    }

    #[test]
    fn a_number_that_does_not_change_has_a_rate_of_zero() {
        let (mut model, mut sys) = (Model::default(), SysSnapshot::default());
        publish(&mut model, &mut sys, 100, 5_000);
        publish(&mut model, &mut sys, 110, 5_000);
        assert_eq!(model.rate(0), Some(0.0));
    }

    #[test]
    fn before_there_is_a_rate_the_brokers_own_average_is_shown() {
        let (mut model, mut sys) = (Model::default(), SysSnapshot::default());
        sys.update("$SYS/broker/load/publish/received/1min", b"90.00");
        model.handle_sys(&sys, SECOND);
        assert_eq!(model.rate(0), Some(1.5));
    }

    #[test]
    fn numbers_over_http_take_the_place_of_those_of_the_tree() {
        let (mut model, mut sys) = (Model::default(), SysSnapshot::default());
        publish(&mut model, &mut sys, 100, 5_000);
        for (second, received) in [(1, 5_100_u64), (2, 5_107)] {
            let tree = json!({ "$SYS/broker/publish/messages/received": received });
            let tree = tree.as_object().expect("an object");
            model.handle_tree(tree, second * SECOND);
        }
        assert_eq!((model.rate(0), model.pace), (Some(7.0), Pace::Http));
        publish(&mut model, &mut sys, 110, 5_050);
        assert_eq!(model.rate(0), Some(7.0));
        assert_eq!(model.sys.count(SysCount::PublishReceived), Some(5_107));
    }

    fn told(name: &str, topic: &str) -> Value {
        json!({
            "name": name,
            "severity": "warning",
            "message": format!("{topic} is too high"),
            "details": { "topic": topic, "value": "9", "limit": "> 5" },
        })
    }

    #[test]
    fn an_alarm_is_there_until_its_topic_is_well_again() {
        let mut model = Model::default();
        let shown = |model: &Model| -> Vec<String> {
            model.alarms().map(|alarm| alarm.message.clone()).collect()
        };
        for topic in ["a", "b"] {
            let payload = told("hot", topic).to_string();
            model.handle_alarm("$SYS/broker/alarms/activate/hot", payload.as_bytes());
        }
        assert_eq!(shown(&model), ["a is too high", "b is too high"]);
        let payload = told("hot", "a").to_string();
        model.handle_alarm("$SYS/broker/alarms/deactivate/hot", payload.as_bytes());
        model.handle_alarm("$SYS/broker/alarms/activate/odd", b"on fire");
        assert_eq!(shown(&model), ["b is too high"]);
        model.handle_alarms(&json!({ "active": [told("queue", "c")], "history": [] }));
        assert_eq!(shown(&model), ["c is too high"]);
        model.set_link(Link::Offline("gone".to_owned()));
        assert_eq!(shown(&model), [""; 0]);
    }

    #[test]
    fn the_tree_has_everything_that_was_told() {
        let (mut model, mut sys) = (Model::default(), SysSnapshot::default());
        publish(&mut model, &mut sys, 100, 5_000);
        sys.update("$SYS/brokers/emqx@a/version", b"5.8");
        sys.update("$SYS/broker/connection/uplink/state", b"1");
        model.handle_sys(&sys, SECOND);
        let topics: Vec<String> = model.tree().into_iter().map(|(topic, _)| topic).collect();
        assert_eq!(
            topics,
            [
                "$SYS/broker/clients/connected",
                "$SYS/broker/connection/uplink/state",
                "$SYS/broker/publish/messages/received",
                "$SYS/broker/uptime",
                "$SYS/brokers/emqx@a/version",
            ]
        );
    }
}
