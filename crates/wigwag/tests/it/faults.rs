//! Our client at load through a proxy that breaks its connections in every way it knows, against both
//! brokers: nothing that was reported as delivered is lost, QoS 2 arrives exactly once, and the order per
//! topic is kept.
//!
//! `WIGWAG_FAULT_SECS` makes the faults last longer than their few seconds, `WIGWAG_FAULT_SEED` draws
//! others. What such runs have counted is in docs/design/reliability.md.

mod bridged;
mod proxy;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use wigwag_client::{
    Client, Event, Limits, Message, OfflineReason, Outcome, Publish, PublishError, Publishing, Qos,
    State, Store, Subscribing, SyncPolicy, Version,
};

use crate::broker::{Broker, Kind};
use crate::our_client::{block_on, builder, online, within};
use crate::process::BOUND;
use proxy::{Plan, Proxy};

against_both_brokers!(
    what_was_delivered_over_mqtt_5_survives_every_fault,
    what_was_delivered_over_mqtt_3_1_1_survives_every_fault,
    what_was_delivered_from_a_directory_survives_every_fault,
    pings_that_are_cut_after_lose_no_message,
);

fn what_was_delivered_over_mqtt_5_survives_every_fault(kind: Kind) {
    block_on(run(kind, Version::V5, None));
}

fn what_was_delivered_over_mqtt_3_1_1_survives_every_fault(kind: Kind) {
    block_on(run(kind, Version::V3_1_1, None));
}

/// Both clients keep their sessions on a disk that they wait for.
fn what_was_delivered_from_a_directory_survives_every_fault(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    block_on(run(kind, Version::V5, Some(folder.path())));
}

const TOPICS: [&str; 4] = ["f/1/a", "f/1/b", "f/2/a", "f/2/b"];
const LAST: &str = "f/last";

/// With fewer connections through the proxy, hardly a fault has struck.
const CONNECTIONS_MIN: usize = 9;

/// Messages whose outcome is not known yet.
const PUBLISHING_MAX: usize = 400;

/// Messages that were published and have not arrived. A broker keeps a bounded number of them for a
/// subscriber that is away.
const MISSING_MAX: usize = 4_000;

fn qos(topic: &str) -> Qos {
    if topic.starts_with("f/1/") {
        Qos::AtLeastOnce
    } else {
        Qos::ExactlyOnce
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap())
}

/// What one receiver has seen.
#[derive(Default)]
struct Seen {
    topics: BTreeMap<String, SeenTopic>,
    distinct: usize,
    /// Of QoS 1, where that is allowed.
    repeated: usize,
    doubled: usize,
    doubled_by_broker: usize,
    reordered: usize,
    last_came: bool,
}

#[derive(Default)]
struct SeenTopic {
    numbers: Vec<bool>,
}

impl Seen {
    fn record(&mut self, message: &Message, is_brokers_fault: impl FnOnce() -> bool) {
        let topic = message.topic();
        if topic == LAST {
            self.last_came = true;
            return;
        }
        let number = std::str::from_utf8(message.payload()).unwrap();
        let number: usize = number.parse().unwrap();
        let seen = self.topics.entry(topic.to_owned()).or_default();
        if seen.numbers.get(number) == Some(&true) {
            match qos(topic) {
                Qos::ExactlyOnce if is_brokers_fault() => self.doubled_by_broker += 1,
                Qos::ExactlyOnce => self.doubled += 1,
                Qos::AtLeastOnce | Qos::AtMostOnce => self.repeated += 1,
            }
            return;
        }
        self.distinct += 1;
        // Whatever has been passed over arrives out of its order, or never.
        self.reordered += usize::from(number != seen.numbers.len());
        if seen.numbers.len() <= number {
            seen.numbers.resize(number + 1, false);
        }
        seen.numbers[number] = true;
    }
}

/// A receiver and what it has seen.
struct Receiver {
    client: Client,
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Notify>,
}

impl Receiver {
    /// Subscribes. A receiver is told of the broker's own faults by the proxy in front of it.
    fn new(
        client: Client,
        proxy: Option<&Arc<Proxy>>,
        changed: &Arc<Notify>,
    ) -> (Receiver, Subscribing) {
        let seen = Arc::<Mutex<Seen>>::default();
        let (own, proxy, wake) = (seen.clone(), proxy.cloned(), changed.clone());
        let subscribing = client.subscribe("f/#", Qos::ExactlyOnce, move |message: Message| {
            let is_brokers_fault = || {
                (proxy.as_ref())
                    .is_some_and(|proxy| proxy.was_republished(message.topic(), message.payload()))
            };
            own.lock().unwrap().record(&message, is_brokers_fault);
            wake.notify_one();
        });
        let changed = changed.clone();
        let receiver = Receiver {
            client,
            seen,
            changed,
        };
        (receiver, subscribing)
    }

    fn distinct(&self) -> usize {
        self.seen.lock().unwrap().distinct
    }

    /// Waits until this many messages and the last one have come, or until nothing comes any more.
    async fn await_all(&self, total: usize) {
        let is_complete = || {
            let seen = self.seen.lock().unwrap();
            seen.distinct >= total && seen.last_came
        };
        while !is_complete() {
            // A bridge whose connection is half-open may need half of it to find out.
            if tokio::time::timeout(BOUND, self.changed.notified())
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

/// What the publisher has sent and heard.
#[derive(Default)]
struct Sent {
    /// How many to each of the topics.
    numbers: [usize; TOPICS.len()],
    waiting: VecDeque<Publishing>,
    delivered: usize,
    other: Vec<Result<Outcome, PublishError>>,
}

impl Sent {
    fn total(&self) -> usize {
        self.numbers.iter().sum()
    }

    fn publish(&mut self, publisher: &Client) {
        for (topic, number) in TOPICS.iter().zip(&mut self.numbers) {
            let publish = Publish::new(*topic, format!("{number:0>64}")).qos(qos(topic));
            self.waiting.push_back(publisher.publish(publish));
            *number += 1;
        }
    }

    /// Publishes for as long as that, and no faster than messages arrive and have their outcome.
    async fn publish_for(
        &mut self,
        span: Duration,
        publisher: &Client,
        changed: &Notify,
        arrived: impl Fn() -> usize,
    ) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            let missing = self.total() - arrived().min(self.total());
            if missing < MISSING_MAX && self.waiting.len() < PUBLISHING_MAX {
                self.publish(publisher);
            } else if self.waiting.is_empty() {
                // A subscriber is far behind.
                within(changed.notified()).await;
            } else {
                self.conclude().await;
            }
        }
    }

    async fn conclude_all(&mut self) {
        while !self.waiting.is_empty() {
            self.conclude().await;
        }
    }

    /// Waits for the outcome of the message that was published first.
    async fn conclude(&mut self) {
        let Some(publishing) = self.waiting.pop_front() else {
            return;
        };
        match within(publishing).await {
            Ok(Outcome::Delivered) => self.delivered += 1,
            other => self.other.push(other),
        }
    }
}

async fn run(kind: Kind, version: Version, folder: Option<&Path>) {
    let span = Duration::from_secs(setting("WIGWAG_FAULT_SECS", 3));
    let seed = setting("WIGWAG_FAULT_SEED", 8);
    // For Mosquitto no bound on what waits for the subscriber, which it would drop.
    let broker = Broker::start_with(kind, "max_queued_messages 0\nmax_inflight_messages 0\n");
    let plan = Plan::Random(seed);
    let proxy = Proxy::start(broker.mqtt_port(), plan, version == Version::V5).await;
    let proxy = Arc::new(proxy);
    let persistent = |url: &str, name: &str| {
        let store = folder.map(|folder| Store::dir(folder.join(name)).sync(SyncPolicy::Each));
        builder(url)
            .store(store.unwrap_or_else(Store::memory))
            .version(version)
            .client_id(name)
            .clean_start(false)
            .session_expiry(Duration::from_secs(3_600))
            .keep_alive(Duration::from_secs(1))
            .connect_timeout(Duration::from_millis(500))
            .limits(limits(kind))
    };
    // Through the front door first, so that both sessions exist before anything can go wrong.
    for name in ["publisher", "subscriber"] {
        let client = online(persistent(&broker.mqtt_url(), name)).await;
        let granted = client.subscribe("f/#", Qos::ExactlyOnce, |_| ());
        within(granted).await.unwrap();
        if name == "publisher" {
            within(client.unsubscribe("f/#")).await.unwrap();
        }
        within(client.disconnect()).await;
    }
    let changed = Arc::new(Notify::new());
    let subscriber = persistent(&proxy.url, "subscriber").build().unwrap();
    // Its session has the subscription already.
    let (subscriber, _) = Receiver::new(subscriber, Some(&proxy), &changed);
    // No fault strikes this one: what it sees is the order in which the publisher's messages arrive.
    let witness = builder(&broker.mqtt_url())
        .version(version)
        .limits(limits(kind));
    let (witness, subscribing) = Receiver::new(online(witness).await, None, &changed);
    within(subscribing).await.unwrap();
    let mut witness_events = witness.client.events();
    let publisher = persistent(&proxy.url, "publisher").build().unwrap();
    subscriber.client.start();
    publisher.start();
    let is_over = Arc::new(AtomicBool::new(false));
    let changes = tokio::spawn(change_mind(subscriber.client.clone(), is_over.clone()));

    let mut sent = Sent::default();
    let arrived = || subscriber.distinct().min(witness.distinct());
    sent.publish_for(span, &publisher, &changed, arrived).await;
    let enough = Instant::now() + BOUND;
    while proxy.counts().connections < CONNECTIONS_MIN {
        assert!(Instant::now() < enough, "hardly a fault has struck");
        let more = Duration::from_millis(100);
        sent.publish_for(more, &publisher, &changed, arrived).await;
    }
    proxy.heal();
    is_over.store(true, Ordering::Relaxed);
    sent.conclude_all().await;
    let changes = within(changes).await.unwrap();
    let report = within(publisher.disconnect()).await;
    let last = online(builder(&broker.mqtt_url())).await;
    let publishing = last.publish(Publish::new(LAST, "").qos(Qos::ExactlyOnce));
    assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
    for receiver in [&witness, &subscriber] {
        receiver.await_all(sent.total()).await;
        within(receiver.client.disconnect()).await;
    }
    let place = folder.map_or("in memory", |_| "in a directory");
    println!("{kind:?}, MQTT {version}, sessions {place}, {span:?} of faults:");
    tell(&sent, [&subscriber, &witness]);
    println!("  the subscriber subscribed to more and unsubscribed {changes} times");
    print!("  {}", proxy.counts());
    // It has no session that would outlive its connection.
    let mut breaks = Vec::new();
    while let Ok(event) = witness_events.try_recv() {
        if let Event::State(State::Offline { reason, .. }) = event
            && reason != OfflineReason::Stopped
        {
            breaks.push(reason);
        }
    }
    assert_eq!(breaks, [], "the witness lost its connection");

    assert_eq!(sent.other, [], "outcomes other than Delivered");
    assert_eq!((report.queued, report.in_flight), (0, 0));
    for receiver in [&witness, &subscriber] {
        let seen = receiver.seen.lock().unwrap();
        assert_eq!(seen.distinct, sent.total(), "not all have arrived");
        assert_eq!((seen.doubled, seen.reordered), (0, 0));
    }
    let counts = proxy.counts();
    assert_eq!(counts.unnoticed, 0, "half-open connections that stayed");
}

/// The two packets that a busy client does not send and get.
fn pings_that_are_cut_after_lose_no_message(kind: Kind) {
    let broker = Broker::start(kind);
    block_on(async {
        for packet in ["PINGREQ", "PINGRESP"] {
            let proxy = Proxy::start(broker.mqtt_port(), Plan::CutAfter(packet), true).await;
            let (sender, mut messages) = tokio::sync::mpsc::unbounded_channel();
            let idle = builder(&proxy.url)
                .client_id(packet)
                .session_expiry(Duration::from_secs(600))
                .keep_alive(Duration::from_secs(1));
            let idle = online(idle).await;
            let subscribing = idle.subscribe("a", Qos::ExactlyOnce, move |message: Message| {
                // The test may have ended.
                let _ = sender.send(message.payload().clone());
            });
            within(subscribing).await.unwrap();
            let other = online(builder(&broker.mqtt_url())).await;
            let struck = || proxy.counts().struck.values().sum::<usize>();
            let mut round = 0;
            // On a busy machine, a connection may end for another reason, too.
            while struck() < 3 {
                assert!(round < 20, "{}", proxy.counts());
                let mut states = idle.state();
                // Silence, a ping, the cut.
                within(states.wait_for(|state| !state.is_online()))
                    .await
                    .unwrap();
                let payload = round.to_string();
                let publish = Publish::new("a", payload.clone()).qos(Qos::ExactlyOnce);
                assert_eq!(within(other.publish(publish)).await, Ok(Outcome::Delivered));
                assert_eq!(within(messages.recv()).await.unwrap(), payload);
                round += 1;
            }
        }
    });
}

/// Mosquitto lets messages overtake those that wait for the Receive Maximum, so it meets none.
fn limits(kind: Kind) -> Limits {
    let default = Limits::default();
    match kind {
        Kind::Wigwag => default,
        Kind::Mosquitto => Limits {
            receive_maximum: u16::MAX,
            ..default
        },
    }
}

/// Subscribes and unsubscribes again and again, so that those packets are under way when connections
/// break; returns how often.
///
/// While connections break, an answer may take longer than any bound: Mosquitto sends it behind all that
/// it sends again.
async fn change_mind(client: Client, is_over: Arc<AtomicBool>) -> usize {
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut changes = 0;
    while !is_over.load(Ordering::Relaxed) {
        pace.tick().await;
        let granted = client.subscribe("another", Qos::AtLeastOnce, |_| ());
        granted.await.unwrap();
        client.unsubscribe("another").await.unwrap();
        changes += 1;
    }
    changes
}

/// Prints what the run has counted.
fn tell(sent: &Sent, receivers: [&Receiver; 2]) {
    let (total, delivered) = (sent.total(), sent.delivered);
    println!("  {total} sent, {delivered} delivered");
    for (name, receiver) in ["subscriber", "witness"].iter().zip(receivers) {
        let seen = receiver.seen.lock().unwrap();
        println!(
            "  {name}: {} lost, {} of QoS 2 doubled ({} more by the broker), {} reordered, {} of QoS 1 repeated",
            total - seen.distinct,
            seen.doubled,
            seen.doubled_by_broker,
            seen.reordered,
            seen.repeated
        );
    }
}
