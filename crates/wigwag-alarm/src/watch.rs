//! Rules at work: messages and time go in, alarms come out.
//!
//! The caller tells of every message (`handle_message`) and comes back when it was asked to (`poll_timeout`,
//! `handle_timeout`); what has happened is fetched with `poll_event`. Nothing here reads a clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::{Time, TopicName};

use crate::instance::{Instance, Step};
use crate::message;
use crate::reading::Reading;
use crate::rule::{Measure, Rule, Severity, Test};

/// How many topics are remembered, of all rules together.
///
/// At the bound, a topic that is not remembered yet is not watched, which is told once ([`Event::Full`]). A topic takes
/// room while its alarm is raised or may be soon, and while what it counts or how long it is silent has to be known.
pub const TOPICS_MAX: usize = 10_000;

/// The longest topic that is remembered, in bytes: one that is longer is not watched, which is told in the same way.
pub const TOPIC_LEN_MAX: usize = 4_096;

/// Rules, and what they remember.
#[derive(Debug)]
pub struct Watch {
    rules: Vec<Watched>,
    /// When to look at which topic of which rule again.
    timers: BTreeSet<(Time, usize, Arc<str>)>,
    topics: usize,
    events: VecDeque<Event>,
    /// How long nothing could be seen, before now.
    blind_for: Duration,
    blind_since: Option<Time>,
}

#[derive(Debug)]
struct Watched {
    rule: Rule,
    instances: BTreeMap<Arc<str>, Instance>,
    /// What shares are reckoned of, since it is known.
    whole: Option<f64>,
    has_told_unreadable: bool,
    has_told_full: bool,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An alarm was raised.
    Raised(Alarm),
    /// An alarm is over. Its message and its value are those of now.
    Over(Alarm),
    /// A rule can make nothing of the payloads of a topic. Told of the first one of each rule.
    Unreadable {
        /// Of the rule.
        name: Box<str>,
        /// Where the message came.
        topic: Arc<str>,
    },
    /// There are too many topics, or this one is too long: the rule does not watch it. Told of the first one of each rule.
    Full {
        /// Of the rule.
        name: Box<str>,
        /// What is not watched.
        topic: Arc<str>,
    },
}

/// An alarm: a rule that found something wrong with a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Of the rule. Together with the topic it tells alarms apart.
    pub name: Box<str>,
    /// The Topic Name.
    pub topic: Arc<str>,
    /// What the rule says.
    pub severity: Severity,
    /// In one sentence, what is wrong.
    pub message: String,
    /// The number or text that was compared; empty if nothing was.
    pub value: String,
    /// What it was not to be.
    pub limit: String,
    /// When it was raised.
    pub raised_at: Time,
}

impl Watch {
    /// Begins to watch.
    pub fn new(rules: Vec<Rule>, now: Time) -> Watch {
        let mut watch = Watch {
            rules: Vec::new(),
            timers: BTreeSet::new(),
            topics: 0,
            events: VecDeque::new(),
            blind_for: Duration::ZERO,
            blind_since: None,
        };
        let _ = watch.set_rules(rules, now);
        watch
    }

    /// The rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|watched| &watched.rule)
    }

    /// Lets other rules hold. A rule that is the same goes on with what it knows; the alarms of the others are over.
    ///
    /// Answers with the Topic Filters of the rules that begin: what was said there last is still to be told to them.
    pub fn set_rules(&mut self, rules: Vec<Rule>, now: Time) -> BTreeSet<String> {
        let mut begun = BTreeSet::new();
        let local = self.local(now);
        let before = std::mem::take(&mut self.rules);
        let mut before: BTreeMap<Box<str>, Watched> = (before.into_iter())
            .map(|watched| (watched.rule.name.clone(), watched))
            .collect();
        self.timers.clear();
        for rule in rules {
            let same = before.remove(&rule.name);
            let watched = match same {
                Some(watched) if watched.rule == rule => watched,
                changed => {
                    self.end(changed);
                    begun.extend(rule.topics());
                    Watched {
                        rule,
                        instances: BTreeMap::new(),
                        whole: None,
                        has_told_unreadable: false,
                        has_told_full: false,
                    }
                }
            };
            self.rules.push(watched);
        }
        for gone in before.into_values() {
            self.end(Some(gone));
        }
        self.topics = self.rules.iter().map(|it| it.instances.len()).sum();
        self.note_timers(local);
        begun
    }

    /// A message has come. `is_kept` says that it is one that the server had retained.
    pub fn handle_message(
        &mut self,
        now: Time,
        topic: TopicName<'_>,
        payload: &[u8],
        is_kept: bool,
    ) {
        let now = self.local(now);
        let mut shared: Option<Arc<str>> = None;
        for index in 0..self.rules.len() {
            self.note_whole(index, now, topic, payload);
            let is_about_it =
                (self.rules.get(index)).is_some_and(|watched| watched.rule.filter().matches(topic));
            if is_about_it {
                let topic = shared.get_or_insert_with(|| topic.as_str().into());
                self.note(index, now, topic, payload, is_kept);
            }
        }
    }

    /// Time has passed. To be called when [`Watch::poll_timeout`] says so; more often does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.blind_since.is_some() {
            return;
        }
        let now = self.local(now);
        // Each is looked at once.
        for _ in 0..self.timers.len() {
            let is_due = (self.timers.first()).is_some_and(|(at, _, _)| *at <= now);
            let due = is_due.then(|| self.timers.pop_first()).flatten();
            let Some((_, index, topic)) = due else {
                break;
            };
            if let Some(instance) = self.instance(index, &topic) {
                instance.timer = None;
            }
            self.look(index, now, &topic);
        }
    }

    /// When to call [`Watch::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.blind_since.is_some() {
            return None;
        }
        let (at, _, _) = self.timers.first()?;
        Some(*at + self.blind_for)
    }

    /// What has happened, one by one.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`Watch::poll_event`] has something to tell.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Nothing can be seen from here on, as the connection is gone: until [`Watch::handle_sight`], time does not pass, so
    /// that nobody is called silent who could not be heard.
    pub fn handle_blindness(&mut self, now: Time) {
        self.blind_since.get_or_insert(now);
    }

    /// Messages come again.
    pub fn handle_sight(&mut self, now: Time) {
        if let Some(since) = self.blind_since.take() {
            self.blind_for += now.saturating_since(since);
        }
    }

    /// The alarms that are raised, by rule and topic.
    pub fn alarms(&self) -> impl Iterator<Item = Alarm> + '_ {
        self.rules.iter().flat_map(|watched| {
            watched.instances.iter().filter_map(|(topic, instance)| {
                let raised_at = instance.raised_at()?;
                Some(watched.alarm(topic, instance, raised_at + self.blind_for, false))
            })
        })
    }

    /// A time without that in which nothing could be seen.
    fn local(&self, now: Time) -> Time {
        let now = self.blind_since.map_or(now, |since| since.min(now));
        Time::new(now.saturating_since(Time::new(self.blind_for)))
    }

    fn instance(&mut self, index: usize, topic: &str) -> Option<&mut Instance> {
        self.rules.get_mut(index)?.instances.get_mut(topic)
    }

    /// The alarms of a rule that holds no more are over.
    fn end(&mut self, watched: Option<Watched>) {
        let Some(watched) = watched else {
            return;
        };
        for (topic, instance) in &watched.instances {
            if let Some(raised_at) = instance.raised_at() {
                let raised_at = raised_at + self.blind_for;
                let mut alarm = watched.alarm(topic, instance, raised_at, true);
                alarm.message = "the rule has been changed or removed".to_owned();
                self.events.push_back(Event::Over(alarm));
            }
        }
    }

    /// Those of rules that go on, and of topics of which silence says something from the beginning.
    fn note_timers(&mut self, now: Time) {
        for index in 0..self.rules.len() {
            let Some(watched) = self.rules.get_mut(index) else {
                continue;
            };
            for instance in watched.instances.values_mut() {
                instance.timer = None;
            }
            let mut topics: Vec<Arc<str>> = watched.instances.keys().cloned().collect();
            if watched.rule.awaits()
                && topics.is_empty()
                && let Some(topic) = watched.rule.only_topic()
            {
                let topic: Arc<str> = topic.as_str().into();
                let mut instance = Instance::new(now);
                // Not a message, but what is counted begins here.
                instance.note(now, &watched.rule.test, b"", true);
                watched.instances.insert(Arc::clone(&topic), instance);
                self.topics += 1;
                topics.push(topic);
            }
            for topic in topics {
                self.settle(index, &topic);
            }
        }
    }

    /// All shares are others when the whole is.
    fn note_whole(&mut self, index: usize, now: Time, topic: TopicName<'_>, payload: &[u8]) {
        let Some(watched) = self.rules.get_mut(index) else {
            return;
        };
        if watched.rule.whole() == Some(topic)
            && let Some(whole) = Reading::read(payload, None).and_then(|it| it.number())
        {
            watched.whole = Some(whole);
            let topics: Vec<Arc<str>> = watched.instances.keys().cloned().collect();
            for topic in topics {
                self.look(index, now, &topic);
            }
        }
    }

    fn note(&mut self, index: usize, now: Time, topic: &Arc<str>, payload: &[u8], is_kept: bool) {
        let is_full = self.topics >= TOPICS_MAX || topic.len() > TOPIC_LEN_MAX;
        let Some(watched) = self.rules.get_mut(index) else {
            return;
        };
        let mut made = None;
        let instance = match watched.instances.get_mut(topic) {
            Some(instance) => instance,
            None => made.insert(Instance::new(now)),
        };
        let is_readable = instance.note(now, &watched.rule.test, payload, is_kept);
        if !is_readable {
            if !watched.has_told_unreadable {
                watched.has_told_unreadable = true;
                let (name, topic) = (watched.rule.name.clone(), Arc::clone(topic));
                self.events.push_back(Event::Unreadable { name, topic });
            }
            return;
        }
        if let Some(instance) = made {
            // An alarm that is raised at once is told of, and remembered so that its end can be told too.
            let mut ahead = instance.clone();
            let _ = ahead.look(now, &watched.rule.test, watched.whole);
            if ahead.is_idle() && !watched.rule.remembers_quiet() {
                return;
            }
            if is_full {
                if !watched.has_told_full {
                    watched.has_told_full = true;
                    let (name, topic) = (watched.rule.name.clone(), Arc::clone(topic));
                    self.events.push_back(Event::Full { name, topic });
                }
                return;
            }
            watched.instances.insert(Arc::clone(topic), instance);
            self.topics += 1;
        }
        self.look(index, now, topic);
    }

    fn look(&mut self, index: usize, now: Time, topic: &Arc<str>) {
        let blind_for = self.blind_for;
        let Some(watched) = self.rules.get_mut(index) else {
            return;
        };
        let Some(instance) = watched.instances.get_mut(topic) else {
            return;
        };
        let step = instance.look(now, &watched.rule.test, watched.whole);
        let is_only = watched.rule.only_topic().is_some();
        let is_forgotten = instance.forget_at().is_some_and(|at| at <= now) && !is_only;
        let is_idle = instance.is_idle() && !watched.rule.remembers_quiet();
        if let Some(step) = step
            && let Some(instance) = watched.instances.get(topic)
        {
            let event = match step {
                Step::Raised => {
                    Event::Raised(watched.alarm(topic, instance, now + blind_for, false))
                }
                Step::Over { raised_at } => {
                    let raised_at = raised_at + blind_for;
                    Event::Over(watched.alarm(topic, instance, raised_at, true))
                }
            };
            self.events.push_back(event);
        }
        if is_forgotten || is_idle {
            if let Some(instance) = watched.instances.remove(topic) {
                self.topics -= 1;
                if let Some(at) = instance.timer {
                    self.timers.remove(&(at, index, Arc::clone(topic)));
                }
            }
        } else {
            self.settle(index, topic);
        }
    }

    /// Notes when to look at the topic again.
    fn settle(&mut self, index: usize, topic: &Arc<str>) {
        let Some(watched) = self.rules.get_mut(index) else {
            return;
        };
        let is_only = watched.rule.only_topic().is_some();
        let Some(instance) = watched.instances.get_mut(topic) else {
            return;
        };
        let looks = instance.next_look(&watched.rule.test);
        let forgets = instance.forget_at().filter(|_| !is_only);
        let next = looks.into_iter().chain(forgets).min();
        let before = std::mem::replace(&mut instance.timer, next);
        if before == next {
            return;
        }
        if let Some(at) = before {
            self.timers.remove(&(at, index, Arc::clone(topic)));
        }
        if let Some(at) = next {
            self.timers.insert((at, index, Arc::clone(topic)));
        }
    }
}

impl Watched {
    fn alarm(
        &self,
        topic: &Arc<str>,
        instance: &Instance,
        raised_at: Time,
        is_over: bool,
    ) -> Alarm {
        let rule = &self.rule;
        let value = instance.value(&rule.test, self.whole);
        Alarm {
            name: rule.name.clone(),
            topic: Arc::clone(topic),
            severity: rule.severity,
            message: message::message(rule, topic, &value, is_over),
            value,
            limit: message::limit(rule),
            raised_at,
        }
    }
}

impl Rule {
    /// Whether a topic says something before its first message.
    const fn awaits(&self) -> bool {
        match &self.test {
            Test::Absent { .. } => true,
            Test::Compared { measure, .. } => matches!(measure, Measure::Messages { .. }),
        }
    }

    /// Whether a topic has to be remembered while it is quiet: a share changes with its whole.
    const fn remembers_quiet(&self) -> bool {
        self.awaits() || self.whole_is_asked_for()
    }

    const fn whole_is_asked_for(&self) -> bool {
        match &self.test {
            Test::Absent { .. } => false,
            Test::Compared { measure, .. } => matches!(measure, Measure::Value { of: Some(_), .. }),
        }
    }
}
