//! Alarms of the broker: its own rules and those of the configuration, looked at by the observer.
//!
//! What a rule means is in `wigwag-alarm`. Here is what rules look at, which rules there are, and what is told of their
//! alarms; the observer brings the time and publishes.

mod builtin;
mod page;
mod readings;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::Notify;
use wigwag_alarm::{Entry, Event, History, Rule, Severity, Watch};
use wigwag_proto::{Time, TopicName};

use crate::conf::Config;
use crate::logging::rfc3339;
use crate::metrics::Scrape;
use crate::sys::{Published, Reading, SysTree};

pub use page::page;

/// Where what is raised is published.
const ACTIVATE: &str = "$SYS/broker/alarms/activate/";

/// Where what is over is published.
const DEACTIVATE: &str = "$SYS/broker/alarms/deactivate/";

/// Where bridges tell of themselves: by messages, not by numbers of the tree.
const CONNECTIONS: &str = "$SYS/broker/connection/";

/// Lines of the log about alarms in a second. Whoever may publish what a rule looks at could fill a disk otherwise.
pub(crate) const LINES_PER_SEC: u32 = 100;

/// How many characters of a topic are told that is not watched.
const TOPIC_SHOWN_MAX: usize = 256;

/// The rules of a configuration; one of the broker's own gives way to another of its name.
pub(crate) fn rules(config: &Config) -> Vec<Rule> {
    let said = &config.alarms;
    let own = config.builtin_alarms.then(builtin::rules);
    let own = own.into_iter().flatten();
    own.filter(|own| !said.iter().any(|rule| rule.name() == own.name()))
        .chain(said.iter().cloned())
        .collect()
}

/// The rules of a broker without a configuration.
pub(crate) fn default_rules() -> Vec<Rule> {
    builtin::rules().collect()
}

/// What of it is published otherwise than as numbers of the broker, so that it has to be listened to.
pub(crate) fn heard(rules: &[Rule]) -> BTreeSet<String> {
    let topics = rules.iter().flat_map(Rule::topics);
    topics.filter(|topic| is_heard(topic)).collect()
}

fn is_heard(topic: &str) -> bool {
    let is_number = ["$SYS/", readings::ROOT]
        .iter()
        .any(|root| topic.starts_with(root));
    !is_number || topic.starts_with(CONNECTIONS)
}

/// Rules at work.
#[derive(Debug)]
pub(crate) struct Alarms {
    inner: Mutex<Inner>,
    /// Somebody else than the observer has brought something.
    news: Notify,
}

#[derive(Debug)]
struct Inner {
    watch: Watch,
    history: History,
    lines: Lines,
    wants_readings: bool,
}

/// Lines that the log gets in the second that runs.
#[derive(Debug, Default)]
struct Lines {
    second: u64,
    written: u32,
    left_out: u64,
}

/// What is to be told.
#[derive(Debug, PartialEq)]
pub(crate) enum News {
    /// An alarm was raised or is over: where that is published, what, and the line of the log, if there is room.
    Alarm {
        topic: String,
        payload: String,
        is_over: bool,
        line: Option<String>,
    },
    /// A rule cannot do what it is there for.
    Remark(String),
}

/// How many alarms of a severity there are, and how many there have been.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlarmCounts {
    pub(crate) severity: Severity,
    pub(crate) active: u64,
    pub(crate) raised: u64,
}

impl Default for Alarms {
    fn default() -> Alarms {
        Alarms {
            inner: Mutex::new(Inner {
                watch: Watch::new(Vec::new(), Time::ZERO),
                history: History::default(),
                lines: Lines::default(),
                wants_readings: false,
            }),
            news: Notify::new(),
        }
    }
}

impl Alarms {
    /// Lets other rules hold. Those that are the same go on; answers with what the others have to hear from the beginning.
    pub(crate) fn set_rules(&self, now: Time, rules: Vec<Rule>) -> BTreeSet<String> {
        let mut inner = self.lock();
        let mut topics = rules.iter().flat_map(Rule::topics);
        inner.wants_readings = topics.any(|topic| topic.starts_with(readings::ROOT));
        drop(topics);
        let mut begun = inner.watch.set_rules(rules, now);
        begun.retain(|topic| is_heard(topic));
        self.news.notify_one();
        begun
    }

    /// What is news in `$SYS`, published or not.
    pub(crate) fn handle_tree(&self, now: Time, messages: &[Published]) {
        for message in messages {
            self.handle_number(now, &message.topic, &message.payload);
        }
    }

    /// All numbers of `$SYS`, news or not: a rule may have begun since they changed.
    pub(crate) fn handle_values(&self, now: Time, tree: &SysTree, reading: &Reading) {
        for (row, value) in tree.values(reading) {
            let value = value.to_string();
            let topics = std::iter::once(row.topic).chain(row.alias);
            topics.for_each(|topic| self.handle_number(now, topic, &value));
        }
        for (topic, load) in tree.loads() {
            self.handle_number(now, &topic, &format!("{load:.2}"));
        }
    }

    fn handle_number(&self, now: Time, topic: &str, payload: &str) {
        if let Ok(topic) = TopicName::new(topic) {
            (self.lock().watch).handle_message(now, topic, payload.as_bytes(), false);
        }
    }

    /// Whether a rule looks at what metrics show.
    pub(crate) fn wants_readings(&self) -> bool {
        self.lock().wants_readings
    }

    /// What metrics show.
    pub(crate) fn handle_readings(&self, now: Time, scrape: &Scrape) {
        let watch = &mut self.lock().watch;
        for (topic, payload) in readings::of(scrape, wall_clock()) {
            if let Ok(topic) = TopicName::new(&topic) {
                watch.handle_message(now, topic, payload.as_bytes(), false);
            }
        }
    }

    /// A message of a client.
    pub(crate) fn handle_message(&self, now: Time, topic: &str, payload: &[u8], is_kept: bool) {
        let Ok(topic) = TopicName::new(topic) else {
            return;
        };
        let watch = &mut self.lock().watch;
        let before = watch.poll_timeout();
        watch.handle_message(now, topic, payload, is_kept);
        // Most messages change nothing: nobody is woken for these.
        let is_sooner = match (before, watch.poll_timeout()) {
            (None, Some(_)) => true,
            (Some(before), Some(after)) => after < before,
            (_, None) => false,
        };
        if is_sooner || watch.has_events() {
            self.news.notify_one();
        }
    }

    pub(crate) fn handle_timeout(&self, now: Time) {
        self.lock().watch.handle_timeout(now);
    }

    /// When to call [`Alarms::handle_timeout`], unless [`Alarms::changed`] comes first.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.lock().watch.poll_timeout()
    }

    /// Waits until somebody has brought something. What was brought before and not waited for is told at once; a future
    /// that is dropped takes nothing away.
    pub(crate) async fn changed(&self) {
        self.news.notified().await;
    }

    /// What has happened.
    pub(crate) fn take_news(&self, now: Time) -> Vec<News> {
        let inner = &mut *self.lock();
        let mut news: Vec<News> = inner.lines.begin(now).into_iter().collect();
        let now = wall_clock();
        while let Some(event) = inner.watch.poll_event() {
            match &event {
                Event::Unreadable { name, topic } => news.push(News::Remark(format!(
                    "The alarm rule {name} finds no value in what is published to {topic}."
                ))),
                Event::Full { name, topic } => news.push(News::Remark(format!(
                    "The alarm rule {name} does not watch {}…: it is too long, or there are {} topics already.",
                    topic.chars().take(TOPIC_SHOWN_MAX).collect::<String>(),
                    wigwag_alarm::TOPICS_MAX
                ))),
                _ => {}
            }
            if let Some(entry) = inner.history.note(&event, now) {
                news.push(News::of(entry, inner.lines.take()));
            }
        }
        news
    }

    /// The alarms there are and those there were, the last one first. Of messages those are told that may be read; the
    /// broker's own numbers are for everybody who comes here.
    pub(crate) fn to_json(&self, may_read: impl Fn(&str) -> bool) -> Value {
        let history = &mut self.lock().history;
        let is_told = |entry: &&Entry| {
            let topic = &*entry.alarm.topic;
            !is_heard(topic) || may_read(topic)
        };
        let active = history.active().filter(is_told);
        let active: Vec<Value> = active.map(|entry| entry.to_json(utc)).collect();
        let past = history.past(wall_clock()).filter(is_told);
        let past: Vec<Value> = past.map(|entry| entry.to_json(utc)).collect();
        json!({ "active": active, "history": past })
    }

    pub(crate) fn counts(&self) -> Vec<AlarmCounts> {
        let history = &self.lock().history;
        let counts = Severity::ALL.into_iter().map(|severity| AlarmCounts {
            severity,
            active: u64::try_from(history.count(severity)).unwrap_or(u64::MAX),
            raised: history.raised(severity),
        });
        counts.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Counts from nothing when a second has begun. Answers with what the one before has left out.
    fn begin(&mut self, now: Time) -> Option<News> {
        let second = now.saturating_since(Time::ZERO).as_secs();
        if second == self.second {
            return None;
        }
        let left_out = self.left_out;
        *self = Lines {
            second,
            ..Lines::default()
        };
        (left_out > 0).then(|| {
            News::Remark(format!(
                "{left_out} more times an alarm was raised or is over. The log names {LINES_PER_SEC} in a second."
            ))
        })
    }

    /// Whether there is room for one more.
    const fn take(&mut self) -> bool {
        let has_room = self.written < LINES_PER_SEC;
        if has_room {
            self.written += 1;
        } else {
            self.left_out += 1;
        }
        has_room
    }
}

impl News {
    fn of(entry: &Entry, is_logged: bool) -> News {
        let alarm = &entry.alarm;
        let is_over = entry.deactivated_at.is_some();
        let (below, what) = if is_over {
            (DEACTIVATE, "is over")
        } else {
            (ACTIVATE, "was raised")
        };
        News::Alarm {
            topic: format!("{below}{}", alarm.name),
            payload: entry.to_json(utc).to_string(),
            is_over,
            line: is_logged.then(|| {
                format!(
                    "The alarm {} ({}) {what}: {}",
                    alarm.name, alarm.severity, alarm.message
                )
            }),
        }
    }
}

fn utc(since_epoch: Duration) -> String {
    rfc3339(UNIX_EPOCH + since_epoch)
}

fn wall_clock() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(lines: &[&str]) -> Config {
        Config {
            alarms: lines.iter().map(|line| line.parse().expect(line)).collect(),
            ..Config::default()
        }
    }

    #[test]
    fn a_rule_of_the_configuration_takes_the_place_of_one_of_its_name() {
        let mut config = configured(&["bridge_down: a/b > 5", "mine: a/c > 5"]);
        let named = |config: &Config, name: &str| -> Vec<String> {
            let rules = rules(config).into_iter();
            let named = rules.filter(|rule| rule.name() == name);
            named.map(|rule| rule.to_string()).collect()
        };
        assert_eq!(named(&config, "bridge_down"), ["bridge_down: a/b > 5"]);
        assert_eq!(named(&config, "mine"), ["mine: a/c > 5"]);
        assert_eq!(named(&config, "memory_near_limit").len(), 1);
        let heard: Vec<String> = heard(&rules(&config)).into_iter().collect();
        assert_eq!(
            heard,
            ["a/b", "a/c"],
            "nobody publishes what the broker's own look at"
        );
        let bridges = configured(&["far: $SYS/broker/connection/+/state == 0"]);
        assert_eq!(super::heard(&bridges.alarms).len(), 1);
        config.builtin_alarms = false;
        assert_eq!(rules(&config).len(), 2);
    }

    #[test]
    fn the_tree_raises_alarms_and_what_is_told_is_json() {
        let alarms = Alarms::default();
        let config = configured(&["many: $SYS/broker/clients/connected > 2 severity critical"]);
        _ = alarms.set_rules(Time::ZERO, config.alarms);
        let mut tree = SysTree::default();
        let mut reading = Reading::default();
        alarms.handle_tree(Time::ZERO, &tree.update(&reading));
        assert_eq!(alarms.take_news(Time::ZERO), []);
        reading.stats.sessions_connected = 3;
        alarms.handle_tree(Time::ZERO, &tree.update(&reading));
        let news = alarms.take_news(Time::ZERO);
        let [
            News::Alarm {
                topic,
                payload,
                is_over: false,
                line,
            },
        ] = &news[..]
        else {
            panic!("{news:?}");
        };
        assert_eq!(topic, "$SYS/broker/alarms/activate/many");
        let line_expected =
            "The alarm many (critical) was raised: $SYS/broker/clients/connected is 3 (limit: > 2)";
        assert_eq!(line.as_deref(), Some(line_expected));
        let json: Value = serde_json::from_str(payload).expect("JSON");
        assert_eq!(json["details"]["value"], "3");
        assert_eq!(alarms.to_json(|_| true)["active"][0], json);
        let critical = alarms.counts().pop().expect("severities");
        assert_eq!((critical.active, critical.raised), (1, 1));

        reading.stats.sessions_connected = 1;
        alarms.handle_tree(Time::ZERO, &tree.update(&reading));
        let news = alarms.take_news(Time::ZERO);
        let [
            News::Alarm {
                topic,
                is_over: true,
                ..
            },
        ] = &news[..]
        else {
            panic!("{news:?}");
        };
        assert_eq!(topic, "$SYS/broker/alarms/deactivate/many");
        assert_eq!(alarms.to_json(|_| true)["history"][0]["name"], "many");

        // Nothing has changed but the rule.
        let config = configured(&["many: $SYS/broker/clients/connected > 0"]);
        _ = alarms.set_rules(Time::ZERO, config.alarms);
        alarms.handle_values(Time::ZERO, &tree, &reading);
        assert_eq!(alarms.take_news(Time::ZERO).len(), 1);
    }
    #[test]
    fn an_alarm_that_wavers_does_not_fill_the_log() {
        let alarms = Alarms::default();
        _ = alarms.set_rules(Time::ZERO, configured(&["flap: t > 5"]).alarms);
        for payload in [b"9", b"1"].into_iter().cycle().take(1_000) {
            alarms.handle_message(Time::ZERO, "t", payload, false);
        }
        let news = alarms.take_news(Time::ZERO);
        let is_logged = |news: &&News| matches!(news, News::Alarm { line: Some(_), .. });
        assert_eq!(
            (news.len(), news.iter().filter(is_logged).count()),
            (1_000, 100)
        );
        assert_eq!(alarms.counts()[1].raised, 500);

        let later = Time::new(Duration::from_secs(1));
        let remark =
            "900 more times an alarm was raised or is over. The log names 100 in a second.";
        assert_eq!(alarms.take_news(later), [News::Remark(remark.to_owned())]);
        alarms.handle_message(later, "t", b"9", false);
        assert_eq!(alarms.take_news(later).iter().filter(is_logged).count(), 1);
    }
}
