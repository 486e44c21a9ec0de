//! Where the numbers come from: `$SYS` and topics by a client of the broker, and the broker's HTTP if it is named.
//!
//! Owns the model and feeds it. The terminal and the printed forms ask for the next moment and read what there is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use wigwag_client::sys::SysWatch;
use wigwag_client::{
    Client, Event, Limits, Message, OfflineReason, Qos, RetainHandling, State, SubscriptionOptions,
};
use wigwag_proto::TopicFilter;

use super::http::Origin;
use super::model::{Link, Model};
use super::topics::Topics;
use crate::exporter::target::Target;

/// Time between two moments.
pub(super) const MOMENT: Duration = Duration::from_millis(250);

/// Time over which the messages of topics are counted at once.
const COUNTED: Duration = Duration::from_secs(1);

/// The filter by which `$SYS` is read; nobody else may have it.
const SYS: &str = "$SYS/#";

/// Where our broker tells of each alarm. What is retained does not say it: an alarm may be of many topics.
const ALARMS: &str = "$SYS/broker/alarms/+/+";

/// Alarms that wait to be taken in.
const ALARMS_WAIT: usize = 64;

/// Largest packet that is taken: what is counted need not be kept.
const PACKET_MAX: u32 = 16 * 1024 * 1024;

/// What is fed, and by what.
pub(super) struct Feed {
    pub(super) model: Model,
    filter: String,
    topics: Arc<Mutex<Topics>>,
    client: Client,
    sys: SysWatch,
    state: watch::Receiver<State>,
    events: broadcast::Receiver<Event>,
    alarms: mpsc::Receiver<Message>,
    http: Option<Asking>,
    moments: Interval,
    began: Instant,
    counted_at: Instant,
}

/// The task that asks over HTTP, and its answers.
struct Asking {
    answers: mpsc::Receiver<anyhow::Result<Answer>>,
    task: JoinHandle<()>,
}

/// What HTTP has.
struct Answer {
    tree: Map<String, Value>,
    /// Other brokers have none.
    alarms: Option<Value>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// Begins to connect. `every` is the time between two questions over HTTP.
    pub(super) fn start(
        target: &Target,
        filter: &str,
        http: Option<Origin>,
        every: Duration,
    ) -> anyhow::Result<Feed> {
        let limits = Limits {
            packet_size_max: PACKET_MAX,
            ..Limits::default()
        };
        let client = target
            .watcher()
            .limits(limits)
            .build()
            .context("the broker cannot be connected to")?;
        let began = Instant::now();
        let mut moments = interval(MOMENT);
        moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut feed = Feed {
            model: Model::new(target.address.to_string()),
            filter: String::new(),
            topics: Arc::default(),
            sys: client.watch_sys(),
            state: client.state(),
            events: client.events(),
            alarms: hear_alarms(&client),
            http: http.map(|origin| Asking::start(origin, every)),
            client,
            moments,
            began,
            counted_at: began,
        };
        feed.choose(filter)?;
        feed.client.start();
        Ok(feed)
    }

    /// Looks at the topics of another filter; at none if it is empty.
    pub(super) fn choose(&mut self, filter: &str) -> anyhow::Result<()> {
        if !filter.is_empty() {
            TopicFilter::new(filter).with_context(|| format!("the filter '{filter}'"))?;
        }
        if [SYS, ALARMS].contains(&filter) {
            bail!("{filter} is watched in any case; its topics are not counted");
        }
        if !self.filter.is_empty() {
            drop(self.client.unsubscribe(&*self.filter));
        }
        filter.clone_into(&mut self.filter);
        self.topics().clear();
        if !filter.is_empty() {
            self.count_topics();
        }
        Ok(())
    }

    fn count_topics(&self) {
        let options = SubscriptionOptions {
            qos: Qos::AtMostOnce,
            retain_handling: RetainHandling::DoNotSend,
            ..SubscriptionOptions::default()
        };
        let topics = Arc::clone(&self.topics);
        let subscribing =
            self.client
                .subscribe_with(&*self.filter, options, move |message: Message| {
                    // Servers before MQTT 5 send what they keep in any case.
                    if !message.retain() {
                        let mut topics = topics.lock().unwrap_or_else(PoisonError::into_inner);
                        topics.note(message.topic(), message.payload().len());
                    }
                });
        drop(subscribing);
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what comes until the next moment. An error means that nothing more will come.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next_moment(&mut self) -> anyhow::Result<()> {
        loop {
            let now = self.began.elapsed();
            tokio::select! {
                _ = self.moments.tick() => {
                    self.model.handle_time(self.began.elapsed());
                    self.count();
                    return Ok(());
                }
                is_there = self.sys.changed() => {
                    if !is_there {
                        bail!("the connection to {} has ended", self.model.broker);
                    }
                    self.model.handle_sys(&self.sys.snapshot(), now);
                }
                changed = self.state.changed() => {
                    changed.context("the client has ended")?;
                    self.read_state();
                }
                event = self.events.recv() => match event {
                    Ok(event) => self.note(&event),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => bail!("the client has ended"),
                },
                Some(alarm) = self.alarms.recv() => {
                    self.model.handle_alarm(alarm.topic(), alarm.payload());
                }
                Some(answer) = next_answer(&mut self.http) => match answer {
                    Ok(answer) => {
                        self.model.trouble = None;
                        self.model.handle_tree(&answer.tree, now);
                        if let Some(alarms) = answer.alarms {
                            self.model.handle_alarms(&alarms);
                        }
                    }
                    Err(error) => self.model.trouble = Some(format!("{error:#}")),
                },
            }
        }
    }

    fn count(&mut self) {
        let elapsed = self.counted_at.elapsed();
        if elapsed >= COUNTED {
            self.counted_at = Instant::now();
            self.topics().advance(elapsed);
        }
    }

    fn read_state(&mut self) {
        let link = match &*self.state.borrow_and_update() {
            State::Online { .. } => Link::Online,
            State::Offline { reason, .. } if *reason != OfflineReason::NotStarted => {
                Link::Offline(reason.to_string())
            }
            // What went wrong before stays to be read while it is tried again.
            State::Connecting { .. } if matches!(self.model.link, Link::Offline(_)) => return,
            _ => Link::Connecting,
        };
        self.model.set_link(link);
    }

    /// A broker that lets nobody read `$SYS` says so when it is asked.
    fn note(&mut self, event: &Event) {
        if let Event::Subscribed {
            filter,
            result: Err(error),
        } = event
            && &**filter != ALARMS
        {
            self.model.trouble = Some(format!("the broker refuses {filter}: {error}"));
        }
    }

    pub(super) async fn stop(self) {
        self.client.disconnect_within(Duration::from_secs(1)).await;
    }
}

impl Asking {
    fn start(origin: Origin, every: Duration) -> Asking {
        let (sender, answers) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let mut ticker = interval(every);
            ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticker.tick().await;
                if sender.send(ask(&origin).await).await.is_err() {
                    return;
                }
            }
        });
        Asking { answers, task }
    }
}

async fn ask(origin: &Origin) -> anyhow::Result<Answer> {
    let body = origin.get("/api/v1/systree").await?;
    let tree = serde_json::from_slice(&body)
        .with_context(|| format!("{origin} does not answer with numbers"))?;
    let alarms = origin.get("/api/v1/alarms").await.ok();
    let alarms = alarms.and_then(|body| serde_json::from_slice(&body).ok());
    Ok(Answer { tree, alarms })
}

fn hear_alarms(client: &Client) -> mpsc::Receiver<Message> {
    let (sender, alarms) = mpsc::channel(ALARMS_WAIT);
    let subscribing = client.subscribe(ALARMS, Qos::AtLeastOnce, move |message: Message| {
        let sender = sender.clone();
        async move {
            // Whoever has stopped looking on wants none.
            let _ = sender.send(message).await;
        }
    });
    drop(subscribing);
    alarms
}

/// The next answer; never if nobody is asked.
async fn next_answer(http: &mut Option<Asking>) -> Option<anyhow::Result<Answer>> {
    match http {
        Some(asking) => asking.answers.recv().await,
        None => std::future::pending().await,
    }
}
