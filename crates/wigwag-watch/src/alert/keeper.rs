//! Brings rules their messages and the time, and tells what comes of it.
//!
//! One task owns all of it; couriers and the client have their own. A lost connection stops the time of the rules, and is
//! itself watched by a rule.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{error, info, warn};
use wigwag_alarm::{Entry, Event, History, Rule, Watch};
use wigwag_client::{Client, Event as ClientEvent, Message, Publish, Qos};
use wigwag_proto::{Time, TopicFilter, TopicName};

use super::notices::{Next, Notice, Notices};
use super::rules::Sources;
use super::sinks::{self, Courier, Sinks};
use super::{broker_alarms, say, stamp};
use crate::exporter::target::Target;

/// What the rule about the connection looks at. No broker has it.
pub(super) const CONNECTION: &str = "$ALERT/connection";

/// What is said there.
const CONNECTED: &str = "connected";
pub(super) const NOT_CONNECTED: &str = "not connected";

/// Messages that wait for the rules.
const WAITING_MAX: usize = 1_024;

/// How many characters of a topic are told that is not watched.
const TOPIC_SHOWN_MAX: usize = 256;

/// How often to look whether quiet hours are over while somebody waits for that.
const QUIET_LOOK: Duration = Duration::from_secs(20);

/// How long the last notices may take.
const FINISH: Duration = Duration::from_secs(5);

/// How long the end of the connection may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What has come.
enum Heard {
    /// For the rules.
    Message(Message),
    /// An alarm that the broker has raised itself.
    BrokerAlarm(Message),
}

/// Who has found something wrong.
#[derive(Clone, Copy)]
enum Finder {
    Rule,
    Broker,
}

pub(super) struct Keeper {
    origin: Instant,
    sources: Sources,
    watch: Watch,
    /// Looks at the connection, and is never blind.
    connection: Watch,
    history: History,
    notices: Notices,
    /// Of the alarms of the broker itself.
    passed_on: Notices,
    sinks: Sinks,
    couriers: Vec<Courier>,
    client: Client,
    events: broadcast::Receiver<ClientEvent>,
    /// What is listened to.
    filters: watch::Sender<BTreeSet<String>>,
    heard: mpsc::Sender<Heard>,
    messages: mpsc::Receiver<Heard>,
    hangup: Signal,
}

impl Keeper {
    /// Begins to connect and to listen, on the runtime of the caller.
    pub(super) fn start(
        target: &Target,
        sources: Sources,
        unreachable: Option<Rule>,
        sinks: Sinks,
    ) -> anyhow::Result<Keeper> {
        let rules = sources.read()?;
        let client = target.listener().build()?;
        let (heard, messages) = mpsc::channel(WAITING_MAX);
        let couriers = (sinks.web.iter())
            .map(|sink| Courier::start(sink.clone(), sinks.broker.clone()))
            .collect();
        let mut keeper = Keeper {
            origin: Instant::now(),
            sources,
            watch: Watch::new(Vec::new(), Time::ZERO),
            connection: Watch::new(unreachable.into_iter().collect(), Time::ZERO),
            history: History::default(),
            notices: Notices::new(sinks.repeat, sinks.tells_end),
            passed_on: Notices::new(sinks.repeat, sinks.tells_end),
            sinks,
            couriers,
            events: client.events(),
            client,
            filters: watch::Sender::new(BTreeSet::new()),
            heard,
            messages,
            hangup: signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?,
        };
        keeper.set_rules(rules);
        keeper.handle_connection(false);
        keeper.client.start();
        Ok(keeper)
    }

    /// Passes on what the broker itself finds.
    pub(super) fn with_broker_alarms(self) -> Keeper {
        let heard = self.heard.clone();
        let handler = move |message: Message| {
            let heard = heard.clone();
            async move {
                // Nobody listens any more when the keeper has ended.
                let _ = heard.send(Heard::BrokerAlarm(message)).await;
            }
        };
        let filter = broker_alarms::FILTER;
        drop(self.client.subscribe(filter, Qos::AtLeastOnce, handler));
        self
    }

    /// Watches until `stop`, and then tells what is still to be told. Dropping the future ends it at once.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut stop = std::pin::pin!(stop);
        loop {
            self.tell();
            let wait = self.wait();
            tokio::select! {
                () = &mut stop => break,
                Some(heard) = self.messages.recv() => match heard {
                    Heard::Message(message) => self.handle_message(&message),
                    Heard::BrokerAlarm(message) => self.pass_on(&message),
                },
                event = self.events.recv() => self.handle_event(event),
                _ = self.hangup.recv() => self.reload(),
                () = sleep(wait) => self.handle_timeout(),
            }
        }
        let mut leaving: JoinSet<()> = (self.couriers.into_iter())
            .map(|courier| courier.finish(FINISH))
            .collect();
        while leaving.join_next().await.is_some() {}
        self.client.disconnect_within(FAREWELL).await;
        Ok(())
    }

    fn now(&self) -> Time {
        Time::new(self.origin.elapsed())
    }

    fn set_rules(&mut self, rules: Vec<Rule>) {
        let wanted: BTreeSet<String> = rules.iter().flat_map(Rule::topics).collect();
        let now = self.now();
        let begun = self.watch.set_rules(rules, now);
        let held = self.filters.send_replace(wanted.clone());
        for gone in held.difference(&wanted) {
            drop(self.client.unsubscribe(gone.clone()));
        }
        // Once more where a rule begins: the broker tells then what it has retained.
        self.listen(&begun);
    }

    fn listen(&self, begun: &BTreeSet<String>) {
        for new in begun {
            let (own, filters) = (new.clone(), self.filters.subscribe());
            let heard = self.heard.clone();
            let handler = move |message: Message| {
                // A message that several filters match is heard once: by the first of them. What was retained may be
                // heard twice: it says how things stand, and is not counted.
                let is_for_us = message.retain() || {
                    let filters = filters.borrow();
                    let first = filters.iter().find(|it| is_about(it, message.topic()));
                    first.is_none_or(|first| *first == own)
                };
                let heard = is_for_us.then(|| heard.clone());
                async move {
                    if let Some(heard) = heard {
                        // Nobody listens any more when the keeper has ended.
                        let _ = heard.send(Heard::Message(message)).await;
                    }
                }
            };
            // The answer comes as an event, for each connection.
            drop(
                self.client
                    .subscribe(new.clone(), Qos::AtLeastOnce, handler),
            );
        }
    }

    fn handle_message(&mut self, message: &Message) {
        let is_own = |prefix: &String| {
            let below = message.topic().strip_prefix(prefix.as_str());
            below.is_some_and(|it| it.starts_with("/activate/") || it.starts_with("/deactivate/"))
        };
        if self.sinks.publish.as_ref().is_some_and(is_own) {
            return;
        }
        if let Ok(topic) = TopicName::new(message.topic()) {
            let now = self.now();
            self.watch
                .handle_message(now, topic, message.payload(), message.retain());
        }
    }

    fn pass_on(&mut self, message: &Message) {
        let (topic, payload) = (message.topic(), message.payload());
        let entry = broker_alarms::read(topic, payload, self.now(), since_epoch());
        if let Some(entry) = entry {
            self.tell_of(&entry, Finder::Broker);
        }
    }

    fn handle_event(&mut self, event: Result<ClientEvent, RecvError>) {
        match event {
            Ok(ClientEvent::State(state)) => self.handle_connection(state.is_online()),
            Ok(ClientEvent::Subscribed {
                filter,
                result: Err(error),
                ..
            }) => warn!(%filter, %error, "the broker does not let us listen, so no rule sees this"),
            Ok(_) | Err(RecvError::Closed) => {}
            // What has been missed is made up for by what is so now.
            Err(RecvError::Lagged(_)) => {
                let is_online = self.client.state().borrow().is_online();
                self.handle_connection(is_online);
            }
        }
    }

    fn handle_connection(&mut self, is_online: bool) {
        let now = self.now();
        let said = if is_online {
            self.watch.handle_sight(now);
            CONNECTED
        } else {
            self.watch.handle_blindness(now);
            self.passed_on.handle_blindness();
            NOT_CONNECTED
        };
        if let Ok(topic) = TopicName::new(CONNECTION) {
            self.connection
                .handle_message(now, topic, said.as_bytes(), false);
        }
    }

    fn handle_timeout(&mut self) {
        let now = self.now();
        self.watch.handle_timeout(now);
        self.connection.handle_timeout(now);
        let is_quiet = self.is_quiet();
        let mut notices = self.notices.poll(now, is_quiet);
        notices.append(&mut self.passed_on.poll(now, is_quiet));
        for notice in &notices {
            self.couriers
                .iter()
                .for_each(|courier| courier.take(notice));
        }
    }

    /// Until something is to be done without being asked.
    fn wait(&self) -> Duration {
        let is_quiet = self.is_quiet();
        let mut times = vec![self.watch.poll_timeout(), self.connection.poll_timeout()];
        let mut look = None;
        for notices in [&self.notices, &self.passed_on] {
            match notices.next(is_quiet) {
                None => {}
                Some(Next::At(at)) => times.push(Some(at)),
                Some(Next::Quiet(at)) => {
                    times.push(at);
                    look = Some(QUIET_LOOK);
                }
            }
        }
        let next = times.into_iter().flatten().min();
        let next = next.map(|next| next.saturating_since(self.now()));
        next.into_iter().chain(look).min().unwrap_or(Duration::MAX)
    }

    fn is_quiet(&self) -> bool {
        let now = Timestamp::now();
        self.sinks.quiet.iter().any(|hours| hours.holds(now))
    }

    /// Reads the files again. What is wrong with them changes nothing.
    fn reload(&mut self) {
        if !self.sources.has_files() {
            return info!("there is no file of rules to read again");
        }
        match self.sources.read() {
            Ok(rules) => {
                info!(rules = rules.len(), "the rules have been read again");
                self.set_rules(rules);
            }
            Err(error) => {
                let why = format!("{error:#}");
                error!(why, "the rules cannot be used, and stay as they were");
            }
        }
    }

    /// Tells what has happened.
    fn tell(&mut self) {
        let since_epoch = since_epoch();
        while let Some(event) = (self.watch.poll_event()).or_else(|| self.connection.poll_event()) {
            match &event {
                Event::Unreadable { name, topic } => {
                    warn!(rule = name, %topic, "the rule finds no value in what is published there");
                }
                Event::Full { name, topic } => {
                    let topic: String = topic.chars().take(TOPIC_SHOWN_MAX).collect();
                    warn!(
                        rule = name,
                        topic,
                        "the rule does not watch this topic: it is too long, or there are {} already",
                        wigwag_alarm::TOPICS_MAX
                    );
                }
                _ => {}
            }
            if let Some(entry) = self.history.note(&event, since_epoch).cloned() {
                self.tell_of(&entry, Finder::Rule);
            }
        }
    }

    fn tell_of(&mut self, entry: &Entry, by: Finder) {
        let notice = Notice {
            entry: entry.clone(),
            repeats: 0,
        };
        let json = sinks::full(&notice, &self.sinks.broker).to_string();
        say(&if self.sinks.is_json {
            json.clone()
        } else {
            line(entry)
        });
        if let Some(topic) = &self.sinks.publish {
            let what = match entry.deactivated_at {
                None => "activate",
                Some(_) => "deactivate",
            };
            let topic = format!("{topic}/{what}/{}", entry.alarm.name);
            let message = Publish::new(topic, json).qos(Qos::AtLeastOnce);
            // Once it is queued, what becomes of it is the client's business.
            if let Err(error) = self.client.try_publish(message) {
                let name = &*entry.alarm.name;
                error!(name, %error, "the alarm is not published");
            }
        }
        let (now, is_quiet) = (self.now(), self.is_quiet());
        let notices = match by {
            Finder::Rule => &mut self.notices,
            Finder::Broker => &mut self.passed_on,
        };
        if let Some(notice) = notices.handle(now, entry, is_quiet) {
            self.couriers
                .iter()
                .for_each(|courier| courier.take(&notice));
        }
    }
}

fn since_epoch() -> Duration {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default()
}

fn line(entry: &Entry) -> String {
    let alarm = &entry.alarm;
    let (at, what) = match entry.deactivated_at {
        None => (entry.activated_at, "raised"),
        Some(at) => (at, "over"),
    };
    let message: String = (alarm.message.chars())
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!(
        "{} {what} {} {}: {message}",
        stamp(at),
        alarm.severity,
        alarm.name
    )
}

fn is_about(filter: &str, topic: &str) -> bool {
    match (TopicFilter::new(filter), TopicName::new(topic)) {
        (Ok(filter), Ok(topic)) => filter.matches(topic),
        _ => false,
    }
}
