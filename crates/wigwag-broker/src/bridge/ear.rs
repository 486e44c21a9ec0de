//! What the broker itself listens to: the topics of alarms, by a client like those of bridges.
//!
//! It hears and never speaks, and keeps nothing: what is published while it is away is of no use to an alarm.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;
use wigwag_client::{BuildError, Client, Limits, Message, Qos, RefusalPolicy, Version};
use wigwag_engine::proto::{TopicFilter, TopicName};

use super::inside::{InnerDoor, PACKET_SIZE_MAX};
use crate::conf::config::LogType;
use crate::logging::Log;

/// What the client is called. Nobody else may come under this name.
pub(super) const CLIENT_ID: &str = "wigwag.alarms";

/// How long it may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Who is told: topic, payload, and whether the message was retained.
pub(crate) type Hear = Arc<dyn Fn(&str, &[u8], bool) + Send + Sync>;

/// What is to be heard.
#[derive(Debug, Default)]
pub(super) struct Wanted {
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
    door: Arc<InnerDoor>,
    mut wanted: watch::Receiver<Arc<Wanted>>,
    hear: Hear,
    log: Log,
) {
    while (wanted.wait_for(|wanted| !wanted.is_empty()).await).is_ok() {
        let client = match client(&door) {
            Ok(client) => client,
            Err(error) => {
                return log.write(LogType::Error, format_args!("No alarm can listen: {error}"));
            }
        };
        let followed = follow(&client, &mut wanted, &hear).await;
        client.disconnect_within(FAREWELL).await;
        if followed.is_err() {
            return;
        }
    }
}

fn client(door: &Arc<InnerDoor>) -> Result<Client, BuildError> {
    let door = Arc::clone(door);
    Client::builder("mqtt://inside")
        .transport(move |_| ready(door.open(CLIENT_ID)))
        .version(Version::V5)
        .client_id(CLIENT_ID)
        .keep_alive(Duration::ZERO)
        .refusal_policy(RefusalPolicy::Retry)
        // A large message is one too, for those who count them and those who wait for one.
        .limits(Limits {
            packet_size_max: PACKET_SIZE_MAX,
            ..Limits::default()
        })
        .build()
}

/// Subscribes to what is wanted until that is nothing. Fails when nobody can change it any more.
async fn follow(
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
                subscribe(client, filter, wanted, hear);
            }
        }
        held = now;
        client.start();
        wanted.changed().await?;
    }
}

/// A message that several filters match is told once: by the first of them. What was retained may be told twice: it says
/// how things stand, and is not counted.
fn subscribe(client: &Client, filter: &str, wanted: &watch::Receiver<Arc<Wanted>>, hear: &Hear) {
    let (own, wanted, hear) = (filter.to_owned(), wanted.clone(), Arc::clone(hear));
    let handler = move |message: Message| {
        let topic = message.topic();
        let is_for_us = message.retain() || {
            let wanted = wanted.borrow();
            let first = wanted.filters.keys().find(|filter| is_about(filter, topic));
            first.is_none_or(|first| *first == own)
        };
        if is_for_us {
            hear(topic, message.payload(), message.retain());
        }
        ready(())
    };
    drop(client.subscribe(filter, Qos::AtMostOnce, handler));
}

fn is_about(filter: &str, topic: &str) -> bool {
    match (TopicFilter::new(filter), TopicName::new(topic)) {
        (Ok(filter), Ok(topic)) => filter.matches(topic),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(filters: &[&str]) -> BTreeSet<String> {
        filters.iter().map(|&filter| filter.to_owned()).collect()
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
