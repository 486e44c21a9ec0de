//! What the broker itself listens to, by clients like those of bridges: the topics of alarms, what is recorded, the
//! tree of topics.
//!
//! An ear hears and never speaks, and keeps nothing: what is published while it is away is not for it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;
use wigwag_client::{
    Backoff, BuildError, Client, Limits, Message, Qos, RefusalPolicy, RetainHandling,
    SubscriptionOptions, Version,
};
use wigwag_engine::proto::{TopicFilter, TopicName};

use super::inside::{InnerDoor, PACKET_SIZE_MAX};
use crate::conf::config::LogType;
use crate::logging::Log;

/// How long it may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Who is told. It is called on the thread of the ear, and must not wait.
pub(crate) type Hear = Arc<dyn Fn(Heard<'_>) + Send + Sync>;

/// A message that was heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    /// At most that of [`Role::options`].
    pub(crate) qos: Qos,
    /// That it was retained before, or for some [`Role`]s, that its publisher wants it to be retained.
    pub(crate) retain: bool,
}

/// What an ear is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Rules about messages. Nothing may be lost: publishers are held back for it, as for any client.
    Alarms,
    /// Keeps messages, with the QoS and RETAIN flag that they were published with; none that were retained before.
    Recorder,
    /// Shows topics, those with retained messages first; RETAIN says whether a message is retained now.
    Topics,
}

impl Role {
    const ALL: [Role; 3] = [Role::Alarms, Role::Recorder, Role::Topics];

    /// What its client is called. Nobody else may come under this name.
    pub(super) const fn client_id(self) -> &'static str {
        match self {
            Role::Alarms => "wigwag.alarms",
            Role::Recorder => "wigwag.recorder",
            Role::Topics => "wigwag.topics",
        }
    }

    /// Whether this is the name of one of them.
    pub(super) fn has_name(client_id: &str) -> bool {
        Role::ALL.iter().any(|role| role.client_id() == client_id)
    }

    fn options(self) -> SubscriptionOptions {
        match self {
            Role::Alarms => SubscriptionOptions::default(),
            Role::Recorder | Role::Topics => SubscriptionOptions {
                // To see each message with the QoS of its publisher.
                qos: Qos::ExactlyOnce,
                retain_as_published: true,
                retain_handling: match self {
                    Role::Recorder => RetainHandling::DoNotSend,
                    _ => RetainHandling::Send,
                },
                no_local: false,
            },
        }
    }

    fn limits(self) -> Limits {
        let limits = Limits {
            // A large message is one too, for those who count them and those who wait for one.
            packet_size_max: PACKET_SIZE_MAX,
            ..Limits::default()
        };
        match self {
            Role::Alarms => limits,
            // Publishers do not wait for these, so there has to be room.
            Role::Recorder | Role::Topics => Limits {
                receive_maximum: u16::MAX,
                handler_messages: 16_384,
                handler_bytes: 16 * 1024 * 1024,
                ..limits
            },
        }
    }
}

/// An ear on a thread of its own, until it is dropped or the broker stops.
#[derive(Debug)]
pub(crate) struct Ear {
    pub(super) wanted: watch::Sender<Arc<Wanted>>,
    pub(super) lost: Arc<AtomicU64>,
}

impl Ear {
    /// Listens to what matches these filters, and to nothing else from here on. While there are none, there is no
    /// client.
    pub(crate) fn listen(&self, filters: BTreeSet<String>) {
        (self.wanted).send_modify(|wanted| {
            *wanted = Arc::new(wanted.next(filters, &BTreeSet::new()));
        });
    }

    /// How many messages the broker has dropped because the ear was too slow.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What counts them.
    pub(crate) const fn losses(&self) -> &Arc<AtomicU64> {
        &self.lost
    }
}

/// What is to be heard.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Each with the generation in which a rule began that has to know what is retained there.
    filters: BTreeMap<String, u64>,
    generation: u64,
}

impl Wanted {
    /// What is wanted from here on: `begun` are those of the filters for which somebody has to know what is retained.
    /// This says so until it has been seen, however often something else is wanted before that.
    pub(super) fn next(&self, filters: BTreeSet<String>, begun: &BTreeSet<String>) -> Wanted {
        let generation = self.generation + 1;
        let since = |filter: &String| match self.filters.get(filter) {
            Some(since) if !begun.contains(filter) => *since,
            _ => generation,
        };
        Wanted {
            filters: (filters.into_iter())
                .map(|filter| {
                    let since = since(&filter);
                    (filter, since)
                })
                .collect(),
            generation,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }
}

/// Listens to what is wanted until nobody can change that any more. While nothing is wanted, there is no client.
pub(super) async fn listen(
    role: Role,
    door: Arc<InnerDoor>,
    mut wanted: watch::Receiver<Arc<Wanted>>,
    hear: Hear,
    log: Log,
) {
    while (wanted.wait_for(|wanted| !wanted.is_empty()).await).is_ok() {
        let client = match client(role, &door) {
            Ok(client) => client,
            Err(error) => {
                let name = role.client_id();
                return log.write(
                    LogType::Error,
                    format_args!("{name} cannot listen: {error}"),
                );
            }
        };
        let followed = follow(role, &client, &mut wanted, &hear).await;
        client.disconnect_within(FAREWELL).await;
        if followed.is_err() {
            return;
        }
    }
}

fn client(role: Role, door: &Arc<InnerDoor>) -> Result<Client, BuildError> {
    let door = Arc::clone(door);
    Client::builder("mqtt://inside")
        .transport(move |_| ready(door.open(role.client_id())))
        .version(Version::V5)
        .client_id(role.client_id())
        .keep_alive(Duration::ZERO)
        .refusal_policy(RefusalPolicy::Retry)
        .backoff(
            Backoff::default()
                .first(Duration::from_millis(10))
                .max(Duration::from_secs(1)),
        )
        .limits(role.limits())
        .build()
}

/// Subscribes to what is wanted until that is nothing. Fails when nobody can change it any more.
async fn follow(
    role: Role,
    client: &Client,
    wanted: &mut watch::Receiver<Arc<Wanted>>,
    hear: &Hear,
) -> Result<(), RecvError> {
    let mut held = Arc::<Wanted>::default();
    loop {
        let now = Arc::clone(&wanted.borrow_and_update());
        if now.is_empty() {
            return Ok(());
        }
        for gone in held.filters.keys() {
            if !now.filters.contains_key(gone) {
                drop(client.unsubscribe(gone.clone()));
            }
        }
        for (filter, since) in &now.filters {
            if held.filters.get(filter) != Some(since) {
                subscribe(role, client, filter, wanted, hear);
            }
        }
        held = now;
        client.start();
        wanted.changed().await?;
    }
}

/// A message that several filters match is told once: by the first of them. For alarms, what was retained may be told
/// twice: it says how things stand, and is not counted.
fn subscribe(
    role: Role,
    client: &Client,
    filter: &str,
    wanted: &watch::Receiver<Arc<Wanted>>,
    hear: &Hear,
) {
    let (own, wanted, hear) = (filter.to_owned(), wanted.clone(), Arc::clone(hear));
    let handler = move |message: Message| {
        let topic = message.topic();
        let is_for_us = role == Role::Alarms && message.retain() || {
            let wanted = wanted.borrow();
            let mut filters = wanted.filters.keys();
            wanted.filters.len() == 1 || {
                let first = filters.find(|filter| is_about(filter, topic));
                first.is_none_or(|first| *first == own)
            }
        };
        if is_for_us {
            hear(Heard {
                topic,
                payload: message.payload(),
                qos: message.qos(),
                retain: message.retain(),
            });
        }
    };
    drop(client.subscribe_with(filter, role.options(), handler));
}

fn is_about(filter: &str, topic: &str) -> bool {
    match (TopicFilter::new(filter), TopicName::new(topic)) {
        (Ok(filter), Ok(topic)) => filter.matches(topic),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use tokio::sync::mpsc;
    use tokio::time::timeout;
    use wigwag_engine::message::MessageRef;
    use wigwag_proto::Properties;

    use super::*;
    use crate::Broker;

    fn set(filters: &[&str]) -> BTreeSet<String> {
        filters.iter().map(|&filter| filter.to_owned()).collect()
    }

    /// What an ear hears, as text.
    fn ear(broker: &Broker, role: Role) -> (Ear, mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let hear: Hear = Arc::new(move |heard| {
            let payload = String::from_utf8_lossy(heard.payload);
            let retain = if heard.retain { " retained" } else { "" };
            let text = format!("{} {payload} q{}{retain}", heard.topic, heard.qos as u8);
            _ = sender.send(text);
        });
        let bridges = broker.observer().bridges().expect("the broker runs");
        let ear = bridges.open_ear(role, &hear).expect("a thread");
        (ear, receiver)
    }

    fn publish(broker: &Broker, topic: &str, payload: &str, qos: Qos, retain: bool) {
        broker.publish(MessageRef {
            topic: TopicName::new(topic).expect("valid"),
            qos,
            retain,
            properties: Properties::EMPTY,
            payload: payload.as_bytes(),
            expires_at: None,
        });
    }

    async fn next(heard: &mut mpsc::UnboundedReceiver<String>) -> String {
        let next = timeout(Duration::from_secs(60), heard.recv()).await;
        next.expect("in time").expect("the ear is open")
    }

    /// Publishes until the ear hears it: from then on it hears everything.
    async fn begin(broker: &Broker, heard: &mut mpsc::UnboundedReceiver<String>) {
        loop {
            publish(broker, "begin", "now", Qos::AtMostOnce, false);
            if timeout(Duration::from_millis(20), heard.recv())
                .await
                .is_ok()
            {
                return;
            }
        }
    }

    fn broker() -> Broker {
        let shards = NonZeroU16::new(2).expect("not zero");
        let broker = Broker::builder().shards(shards).sys_interval(None);
        broker.start().expect("nothing to listen on")
    }

    #[tokio::test]
    async fn a_message_is_heard_once_as_its_publisher_has_sent_it() {
        let broker = broker();
        publish(&broker, "a/kept", "before", Qos::AtLeastOnce, true);
        let (ear, mut heard) = ear(&broker, Role::Recorder);
        ear.listen(set(&["a/#", "a/+", "begin"]));
        begin(&broker, &mut heard).await;
        publish(&broker, "a/1", "0", Qos::AtMostOnce, false);
        publish(&broker, "a/1", "1", Qos::AtLeastOnce, false);
        publish(&broker, "b/1", "no", Qos::AtLeastOnce, false);
        publish(&broker, "a/2", "2", Qos::ExactlyOnce, true);
        let mut said = Vec::new();
        while said.len() < 3 {
            let next = next(&mut heard).await;
            (!next.starts_with("begin")).then(|| said.push(next));
        }
        assert_eq!(said, ["a/1 0 q0", "a/1 1 q1", "a/2 2 q2 retained"]);
        assert_eq!(ear.lost(), 0);
        broker.shutdown().await;
        assert_eq!(heard.recv().await, None, "the ear ends with the broker");
    }

    #[tokio::test]
    async fn an_ear_for_topics_begins_with_what_is_retained_and_ends_when_it_is_dropped() {
        let broker = broker();
        publish(&broker, "a/kept", "before", Qos::AtLeastOnce, true);
        let (ear, mut heard) = ear(&broker, Role::Topics);
        ear.listen(set(&["#", "$SYS/#"]));
        let mut is_heard = false;
        while !is_heard {
            is_heard = next(&mut heard).await == "a/kept before q1 retained";
        }
        publish(&broker, "a/kept", "", Qos::AtMostOnce, true);
        while next(&mut heard).await != "a/kept  q0 retained" {}
        drop(ear);
        let is_over = async { while heard.recv().await.is_some() {} };
        (timeout(Duration::from_secs(60), is_over).await).expect("the ear ends");
        broker.shutdown().await;
    }

    #[test]
    fn what_begins_is_not_forgotten_by_what_is_wanted_next() {
        let seen = Wanted::default().next(set(&["a", "b", "c"]), &set(&["a", "b", "c"]));
        let begun = seen.next(set(&["a", "b"]), &set(&["a"]));
        let last = begun.next(set(&["a", "b", "c"]), &set(&[]));
        let is_heard_again = |filter: &str| last.filters.get(filter) != seen.filters.get(filter);
        assert!(is_heard_again("a") && !is_heard_again("b") && is_heard_again("c"));
    }
}
