//! Watches the broker: asks the shards for their counters, and publishes `$SYS` by the clock.
//!
//! It runs on a thread of its own and touches a shard only through its mailbox. What the numbers are called
//! is said in `sys` and `metrics`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use wigwag_alarm::Rule;
use wigwag_engine::message::MessageRef;
use wigwag_engine::restored::Clock;
use wigwag_engine::{Found, Limits, Node, Progress, Search, Time};
use wigwag_proto::{Properties, Qos, TopicName};

use crate::access::Tally;
use crate::alarms::{Alarms, News};
use crate::bridge::{Bridges, Hear};
use crate::conf::config::LogType;
use crate::desk::{Counts, Order};
use crate::doors::OpenListener;
use crate::entrance::Entrance;
use crate::logging::Log;
use crate::mailbox::Mailbox;
use crate::metrics::{DynsecScrape, ListenerScrape, Process, Scrape};
use crate::persist::Pulse;
use crate::recorder::Archive;
use crate::sys::{self, Reading, SysTree};
use crate::topics::Topics;

/// How long a shard may take to answer before its last numbers stand in for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How often loads are reckoned when nothing is published.
const UNPUBLISHED_INTERVAL: Duration = Duration::from_secs(10);

/// How long a log line waits for a subscriber that is away, as with Mosquitto.
const LOG_LINE_EXPIRY: Duration = Duration::from_secs(20);

/// What has become of the configuration.
#[derive(Clone, Copy, Debug)]
struct Configured {
    /// Whether it could be used when it was read last.
    is_usable: bool,
    read_at: SystemTime,
    /// When the one was read that holds.
    used_since: SystemTime,
}

/// A listener that is open.
#[derive(Debug)]
struct Watched {
    number: u16,
    label: String,
    protocol: &'static str,
    is_tls: bool,
    entrance: Arc<Entrance>,
}

/// Knows where all numbers of a broker are.
#[derive(Debug)]
pub(crate) struct Observer {
    mailboxes: Arc<[Mailbox]>,
    node: Arc<Node>,
    origin: Instant,
    started: SystemTime,
    /// Connections that were accepted.
    sockets: AtomicU64,
    /// Bytes that may be held for clients; the greatest number for no bound.
    memory_max: AtomicU64,
    /// What each shard answered last.
    last: Mutex<Vec<Counts>>,
    tree: Mutex<SysTree>,
    listeners: ArcSwap<Vec<Watched>>,
    /// Held by who searches the sessions.
    searching: tokio::sync::Mutex<()>,
    log: Log,
    configured: Mutex<Configured>,
    /// Of dynamic security.
    tally: OnceLock<Arc<Tally>>,
    /// Of what is kept beyond the process.
    pulse: OnceLock<Arc<Pulse>>,
    alarms: Arc<Alarms>,
    /// They end when the broker lets go of them.
    bridges: OnceLock<Weak<Bridges>>,
    /// What is recorded, if anything is.
    archive: ArcSwapOption<Archive>,
    topics: Arc<Topics>,
}

impl Observer {
    pub(crate) fn new(
        mailboxes: Arc<[Mailbox]>,
        node: Arc<Node>,
        origin: Instant,
        log: Log,
    ) -> Observer {
        let last = vec![Counts::default(); mailboxes.len()];
        let started = SystemTime::now();
        Observer {
            mailboxes,
            node,
            origin,
            started,
            configured: Mutex::new(Configured {
                is_usable: true,
                read_at: started,
                used_since: started,
            }),
            tally: OnceLock::new(),
            pulse: OnceLock::new(),
            bridges: OnceLock::new(),
            archive: ArcSwapOption::empty(),
            topics: Arc::default(),
            alarms: Arc::default(),
            sockets: AtomicU64::new(0),
            memory_max: AtomicU64::new(u64::MAX),
            last: Mutex::new(last),
            tree: Mutex::default(),
            listeners: ArcSwap::default(),
            searching: tokio::sync::Mutex::default(),
            log,
        }
    }

    /// Before anything has happened: the tree as it begins, if it is published, and what the log wants.
    pub(crate) fn begin(self: &Arc<Observer>, sys_interval: Option<Duration>) {
        let out = self.tree().update(&Reading {
            memory: Process::resident_bytes_now(),
            ..Reading::default()
        });
        if sys_interval.is_some() {
            self.publish_all(&out);
        }
        self.alarms.handle_tree(self.now(), &out);
        let observer = Arc::downgrade(self);
        self.log.publish_with(Box::new(move |topic, line| {
            if let Some(observer) = observer.upgrade() {
                observer.publish_log_line(topic, &line);
            }
        }));
        self.follow_log();
    }

    /// Lets the shards tell of single packets while the log wants that.
    pub(crate) fn follow_log(&self) {
        let wants_packets = self.log.wants_packets();
        for mailbox in self.mailboxes.iter() {
            mailbox.send_order(Order::Trace(wants_packets));
        }
    }

    /// Publishes the tree at every multiple of the interval, and alarms, until the sender of `stop` is gone.
    pub(crate) async fn run(
        self: Arc<Observer>,
        sys_interval: Option<Duration>,
        mut stop: watch::Receiver<()>,
    ) {
        let interval = sys_interval.unwrap_or(UNPUBLISHED_INTERVAL);
        loop {
            let since_epoch = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            // Clocks are not that exact: better a millisecond late than twice.
            let wait = sys::next_update(since_epoch, interval) + Duration::from_millis(1);
            tokio::select! {
                () = sleep(wait) => {}
                () = self.watch_alarms() => {}
                _ = stop.changed() => return,
            }
            let reading = self.read().await;
            let out = self.tree().update(&reading);
            if sys_interval.is_some() {
                self.publish_all(&out);
            }
            self.alarms.handle_tree(self.now(), &out);
            (self.alarms).handle_values(self.now(), &self.tree(), &reading);
            if self.alarms.wants_readings() {
                (self.alarms).handle_readings(self.now(), &self.scrape_of(reading));
            }
            self.tell_of_alarms();
        }
    }

    /// Tells of alarms between two updates of the tree, for ever. Dropping the future loses nothing.
    async fn watch_alarms(&self) {
        loop {
            let next = self.alarms.poll_timeout();
            let next = next.map(|next| next.saturating_since(self.now()));
            tokio::select! {
                () = sleep(next.unwrap_or(Duration::MAX)) => {}
                () = self.alarms.changed() => {}
            }
            self.tell_of_alarms();
        }
    }

    fn tell_of_alarms(&self) {
        self.alarms.handle_timeout(self.now());
        for news in self.alarms.take_news(self.now()) {
            match news {
                News::Alarm {
                    topic,
                    payload,
                    is_over,
                    line,
                } => {
                    let log_type = if is_over {
                        LogType::Notice
                    } else {
                        LogType::Warning
                    };
                    if let Some(line) = line {
                        self.log.write(log_type, line);
                    }
                    self.publish(&topic, &payload, false, None);
                }
                News::Remark(line) => self.log.write(LogType::Warning, line),
            }
        }
    }

    pub(crate) fn alarms(&self) -> &Arc<Alarms> {
        &self.alarms
    }

    /// Lets other rules hold, for alarms. Answers with what has to be heard from the beginning.
    pub(crate) fn set_alarm_rules(&self, rules: Vec<Rule>) -> BTreeSet<String> {
        self.alarms.set_rules(self.now(), rules)
    }

    /// Who is told of messages that alarms are about.
    pub(crate) fn ear(self: &Arc<Observer>) -> Hear {
        let observer = Arc::downgrade(self);
        Arc::new(move |heard| {
            if let Some(observer) = observer.upgrade() {
                let now = observer.now();
                (observer.alarms).handle_message(now, heard.topic, heard.payload, heard.retain);
            }
        })
    }

    fn now(&self) -> Time {
        Time::new(self.origin.elapsed())
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// A connection was accepted.
    pub(crate) fn count_socket(&self) {
        self.sockets.fetch_add(1, Ordering::Relaxed);
    }

    /// The shards are bounded by these from here on.
    pub(crate) fn note_limits(&self, limits: &Limits) {
        let bytes = u64::try_from(limits.memory_max).unwrap_or(u64::MAX);
        self.memory_max.store(bytes, Ordering::Relaxed);
    }

    /// The configuration was read again.
    pub(crate) fn note_reload(&self, is_usable: bool) {
        let mut configured = self
            .configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        configured.is_usable = is_usable;
        configured.read_at = SystemTime::now();
        if is_usable {
            configured.used_since = configured.read_at;
        }
    }

    /// All numbers of this moment; of a shard that does not answer, its last ones.
    pub(crate) async fn read(&self) -> Reading {
        let questions = self.mailboxes.iter().map(|mailbox| {
            let (answer, stats) = oneshot::channel();
            mailbox.send_order(Order::Stats(answer));
            timeout(ANSWER_WITHIN, stats)
        });
        let answers = join_all(questions).await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Counts::default();
        for (answer, last) in answers.into_iter().zip(last.iter_mut()) {
            if let Ok(Ok(counts)) = answer {
                *last = *counts;
            }
            sum.stats.add(&last.stats);
            sum.durations.add(&last.durations);
        }
        drop(last);
        Reading {
            uptime: self.origin.elapsed(),
            stats: sum.stats,
            durations: sum.durations,
            node: self.node.stats(),
            memory: Process::resident_bytes_now(),
            sockets: self.sockets.load(Ordering::Relaxed),
        }
    }

    /// Whether every shard answers. Counting takes more than that, which is too much for a question that anybody
    /// may ask.
    pub(crate) async fn is_ready(&self) -> bool {
        let questions = self.mailboxes.iter().map(|mailbox| {
            let (answer, answered) = oneshot::channel();
            mailbox.send_order(Order::Answer(answer));
            timeout(ANSWER_WITHIN, answered)
        });
        let answers = join_all(questions).await;
        answers.iter().all(|answer| matches!(answer, Ok(Ok(()))))
    }

    /// The sessions that are wanted, of all shards; `None` if one does not answer. One search at a time: it takes a
    /// look at every session.
    pub(crate) async fn search(&self, search: &Search) -> Option<Found> {
        let _turn = self.searching.lock().await;
        let mailboxes = self.mailboxes.iter();
        let shards = mailboxes.map(|mailbox| search_shard(mailbox, search.clone()));
        let mut all = Found::default();
        for found in join_all(shards).await {
            let mut found = found?;
            all.dossiers.append(&mut found.dossiers);
            all.beyond += found.beyond;
        }
        // What has moved meanwhile may have been found here and there.
        let mut names = BTreeSet::new();
        (all.dossiers).retain(|dossier| names.insert(dossier.identity.client_id.clone()));
        let told = all.dossiers.len().min(search.sessions_max);
        all.beyond += all.dossiers.len() - told;
        all.dossiers.truncate(told);
        Some(all)
    }

    /// What a listener is called, if it is open.
    pub(crate) fn listener_label(&self, number: u16) -> Option<String> {
        let watched = self.listeners.load();
        let mut watched = watched.iter();
        let listener = watched.find(|watched| watched.number == number)?;
        Some(listener.label.clone())
    }

    /// The wall clock beside the time of the shards.
    pub(crate) fn clock(&self) -> Clock {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Clock::new(self.now(), since_epoch.unwrap_or_default())
    }

    /// What `/metrics` shows.
    pub(crate) async fn scrape(&self) -> Scrape {
        self.scrape_of(self.read().await)
    }

    fn scrape_of(&self, reading: Reading) -> Scrape {
        let configured = *self
            .configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Scrape {
            reading,
            process: Process::read(),
            started_secs: epoch_secs(self.started),
            configuration_is_usable: configured.is_usable,
            configuration_read_secs: epoch_secs(configured.read_at),
            configuration_used_since_secs: epoch_secs(configured.used_since),
            dynsec: self.tally.get().map(|tally| DynsecScrape {
                changes: tally.changes(),
                changed_secs: tally.saved_at().map(|at| at.as_secs_f64()),
            }),
            shards: u16::try_from(self.mailboxes.len()).unwrap_or(u16::MAX),
            alarms: self.alarms.counts(),
            log_lines_lost: self.log.lost(),
            listeners: self.listeners(),
            bridges: (self.bridges()).map_or_else(Vec::new, |bridges| bridges.reports()),
            persistence: self.pulse.get().map(|pulse| pulse.progress()),
            recorder: self.archive().map(|archive| archive.report()),
            max_connections: (self.listeners.load().first())
                .and_then(|watched| watched.entrance.guests_max()),
            memory_limit_bytes: Some(self.memory_max.load(Ordering::Relaxed))
                .filter(|&bytes| bytes < u64::MAX),
        }
    }

    /// Dynamic security counts its changes here.
    pub(crate) fn watch_dynsec(&self, tally: &Arc<Tally>) {
        // A broker has one, from its start to its end.
        _ = self.tally.set(Arc::clone(tally));
    }

    /// What is kept beyond the process is told of here.
    pub(crate) fn watch_persistence(&self, pulse: Arc<Pulse>) {
        // A broker has one, from its start to its end.
        _ = self.pulse.set(pulse);
    }

    /// Bridges tell how they are doing.
    pub(crate) fn watch_bridges(&self, bridges: &Arc<Bridges>) {
        // A broker has one set of them, from its start to its end.
        _ = self.bridges.set(Arc::downgrade(bridges));
    }

    /// Another recorder is there from here on, or none.
    pub(crate) fn watch_recorder(&self, archive: Option<Arc<Archive>>) {
        self.archive.store(archive);
    }

    /// What has been recorded, if anything is.
    pub(crate) fn archive(&self) -> Option<Arc<Archive>> {
        self.archive.load_full()
    }

    /// The bridges, and who opens ears; none while the broker starts or stops.
    pub(crate) fn bridges(&self) -> Option<Arc<Bridges>> {
        self.bridges.get().and_then(Weak::upgrade)
    }

    /// What is known of topics while somebody looks at them.
    pub(crate) const fn topics(&self) -> &Arc<Topics> {
        &self.topics
    }

    /// Other listeners are open from here on.
    pub(crate) fn watch(&self, listeners: &[OpenListener]) {
        let mut labels = BTreeSet::new();
        let watched = listeners.iter().map(|listener| {
            let mut label = listener.label();
            // Two listeners of one port, for IPv4 and IPv6.
            if !labels.insert(label.clone()) {
                label = format!("{label}#{}", listener.number());
            }
            Watched {
                number: listener.number(),
                label,
                protocol: listener.protocol(),
                is_tls: listener.listener.said.tls.is_some(),
                entrance: Arc::clone(listener.entrance()),
            }
        });
        self.listeners.store(Arc::new(watched.collect()));
    }

    fn listeners(&self) -> Vec<ListenerScrape> {
        let watched = self.listeners.load();
        let scrapes = watched.iter().map(|watched| ListenerScrape {
            label: watched.label.clone(),
            protocol: watched.protocol,
            is_tls: watched.is_tls,
            visits: watched.entrance.visits(),
            certificate_end_secs: watched.entrance.certificate_end().map(epoch_secs),
        });
        scrapes.collect()
    }

    /// What has been published so far.
    pub(crate) fn tree(&self) -> MutexGuard<'_, SysTree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_all(&self, messages: &[sys::Published]) {
        for message in messages {
            self.publish(&message.topic, &message.payload, true, None);
        }
    }

    fn publish_log_line(&self, topic: &str, line: &str) {
        let expires_at = Time::new(self.origin.elapsed() + LOG_LINE_EXPIRY);
        self.publish(topic, line, false, Some(expires_at));
    }

    /// In the first shard, so that messages keep their order.
    fn publish(&self, topic: &str, payload: &str, retain: bool, expires_at: Option<Time>) {
        let (Ok(topic), Some(mailbox)) = (TopicName::new(topic), self.mailboxes.first()) else {
            return;
        };
        let message = MessageRef {
            topic,
            qos: Qos::ExactlyOnce,
            retain,
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
            expires_at,
        };
        mailbox.send_order(Order::Publish(message.to_message()));
    }
}

/// A search in one shard, in steps: each is a turn of its own, between which it serves its clients.
async fn search_shard(mailbox: &Mailbox, mut search: Search) -> Option<Found> {
    let mut all = Found::default();
    let mut from = Some(Progress::default());
    while let Some(progress) = from {
        let (answer, found) = oneshot::channel();
        mailbox.send_order(Order::Search(search.clone(), progress, answer));
        let mut found = timeout(ANSWER_WITHIN, found).await.ok()?.ok()?;
        search.sessions_max -= found.dossiers.len();
        all.dossiers.append(&mut found.dossiers);
        all.beyond += found.beyond;
        from = found.next;
    }
    Some(all)
}

fn epoch_secs(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
