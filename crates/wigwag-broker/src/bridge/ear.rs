//! What the broker itself listens to: the topics of alarms, by a client like those of bridges.
//!
//! It hears and never speaks, and keeps nothing: what is published while it is away is of no use to an alarm.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use wigwag_client::{Client, Message, Qos, RefusalPolicy, Version};
use wigwag_engine::proto::{TopicFilter, TopicName};

use super::inside::InnerDoor;
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
    pub(super) filters: BTreeSet<String>,
    /// Those for which somebody has to know what is retained.
    pub(super) begun: BTreeSet<String>,
}

/// Listens to what is wanted until nobody can change that any more.
pub(super) async fn listen(
    door: Arc<InnerDoor>,
    mut wanted: watch::Receiver<Arc<Wanted>>,
    hear: Hear,
    log: Log,
) {
    let client = Client::builder("mqtt://inside")
        .transport(move |_| ready(door.open(CLIENT_ID)))
        .version(Version::V5)
        .client_id(CLIENT_ID)
        .keep_alive(Duration::ZERO)
        .refusal_policy(RefusalPolicy::Retry)
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            return log.write(LogType::Error, format_args!("No alarm can listen: {error}"));
        }
    };
    let mut held = Arc::<Wanted>::default();
    loop {
        let now = Arc::clone(&wanted.borrow_and_update());
        for gone in held.filters.difference(&now.filters) {
            drop(client.unsubscribe(gone.clone()));
        }
        let new = now.filters.difference(&held.filters);
        for filter in new.chain(now.begun.intersection(&held.filters)) {
            subscribe(&client, filter, &wanted, &hear);
        }
        held = now;
        client.start();
        if wanted.changed().await.is_err() {
            break;
        }
    }
    client.disconnect_within(FAREWELL).await;
}

/// A message that several filters match is told once: by the first of them. What was retained may be told twice: it says
/// how things stand, and is not counted.
fn subscribe(client: &Client, filter: &str, wanted: &watch::Receiver<Arc<Wanted>>, hear: &Hear) {
    let (own, wanted, hear) = (filter.to_owned(), wanted.clone(), Arc::clone(hear));
    let handler = move |message: Message| {
        let topic = message.topic();
        let is_for_us = message.retain() || {
            let wanted = wanted.borrow();
            let first = wanted.filters.iter().find(|filter| is_about(filter, topic));
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
