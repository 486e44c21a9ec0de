//! `GET /api/v1/clients`: how the sessions of single clients are.
//!
//! A client is shown to who may read the topic `$SYS/wigwag/clients/ID`, where nothing is ever published: so the rules
//! that say who may read messages say this too.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};
use wigwag_engine::proto::packet::Version;
use wigwag_engine::proto::{Time, TopicName};
use wigwag_engine::restored::Clock;
use wigwag_engine::{Dossier, LinkFacts, Search};

use super::pages::{Source, refusal, told};
use super::query::Query;
use super::viewer::Viewer;
use crate::entrance::INSIDE;
use crate::observer::Observer;

/// Clients in one answer.
pub(crate) const CLIENTS_MAX: usize = 50;

/// Subscriptions of each of them.
const SUBSCRIPTIONS_MAX: usize = 200;

/// Bytes of the filters of each of them.
const FILTER_BYTES_MAX: usize = 16 * 1024;

/// Who may read a topic below this may know of the client.
const TOPIC: &str = "$SYS/wigwag/clients/";

pub(super) fn clients() -> Router<Source> {
    Router::new().route("/api/v1/clients", get(find))
}

async fn find(
    State(source): State<Source>,
    Extension(viewer): Extension<Viewer>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = match Query::read(query.as_deref()) {
        Ok(query) => query,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    let (client_id, will_topic) = (query.get("id"), query.get("topic"));
    if client_id.is_none() && will_topic.is_none() {
        let why = "give id=CLIENT, or topic=TOPIC for clients whose Will has that topic, or both";
        return refusal(StatusCode::BAD_REQUEST, why);
    }
    let search = Search {
        client_id: client_id.map(Into::into),
        will_topic: will_topic.map(Into::into),
        may_know: Arc::new(move |who| may_know(&viewer, &who.client_id)),
        sessions_max: CLIENTS_MAX,
        subscriptions_max: SUBSCRIPTIONS_MAX,
        filter_bytes_max: FILTER_BYTES_MAX,
    };
    let Some(found) = source.observer.search(&search).await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "a shard does not answer");
    };
    let clock = source.observer.clock();
    let dossiers = found.dossiers.iter();
    let clients: Vec<Value> = dossiers
        .map(|dossier| told_of(dossier, &clock, &source.observer))
        .collect();
    let answer = json!({ "clients": clients, "beyond": found.beyond });
    told(StatusCode::OK, &answer)
}

/// Whether somebody may know of the client.
fn may_know(viewer: &Viewer, client_id: &str) -> bool {
    // Longer than a topic can be is not to be known by anybody who is asked for rights.
    TopicName::new(&topic(client_id)).is_ok_and(|topic| viewer.may_read(topic))
}

/// The topic that stands for a client: whatever it is called, that is one level.
fn topic(client_id: &str) -> String {
    let mut topic = TOPIC.to_owned();
    for letter in client_id.chars() {
        match letter {
            '/' | '+' | '#' | '%' => _ = write!(topic, "%{:02X}", u32::from(letter)),
            _ => topic.push(letter),
        }
    }
    topic
}

fn told_of(dossier: &Dossier, clock: &Clock, observer: &Observer) -> Value {
    let identity = &dossier.identity;
    let number = identity.listener.number;
    let listener = match number {
        INSIDE => Some("inside".to_owned()),
        _ => observer.listener_label(number),
    };
    let subscriptions = dossier.subscriptions.iter();
    let subscriptions: Vec<Value> = subscriptions
        .map(|(filter, qos)| json!({ "filter": filter.as_filter().as_str(), "qos": *qos as u8 }))
        .collect();
    let millis = |at: Time| u64::try_from(clock.since_epoch(at).as_millis()).unwrap_or(u64::MAX);
    json!({
        "id": &*identity.client_id,
        "user": identity.user_name.as_deref(),
        "address": identity.address.map(|address| address.to_string()),
        "listener": listener,
        "isBridge": identity.is_bridge,
        "connection": dossier.link.as_ref().map(connection),
        "since": dossier.since.map(millis),
        "expiry": Some(dossier.expiry_secs).filter(|&secs| secs < u32::MAX),
        "endsAt": dossier.ends_at.map(millis),
        "subscriptions": subscriptions,
        "subscriptionsBeyond": dossier.subscriptions_beyond,
        "queued": dossier.waiting.queued,
        "inFlight": dossier.waiting.in_flight,
        "unreleased": dossier.waiting.unreleased,
        "bytes": dossier.waiting.bytes,
        "dropped": dossier.dropped,
        "willTopic": dossier.will_topic.as_deref(),
    })
}

fn connection(link: &LinkFacts) -> Value {
    json!({
        "protocol": match link.version {
            Version::V3_1 => "3.1",
            Version::V3_1_1 => "3.1.1",
            Version::V5 => "5.0",
        },
        "keepAlive": link.keep_alive_secs,
        "unread": link.out_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_one_level_whatever_it_is_called() {
        let check = |client_id, expect: &str| {
            assert_eq!(topic(client_id), format!("{TOPIC}{expect}"));
            TopicName::new(&topic(client_id)).expect("a Topic Name");
        };
        check("press 1", "press 1");
        check("a/b", "a%2Fb");
        check("#", "%23");
        check("+", "%2B");
        check("%2F", "%252F");
        check("é", "é");
    }
}
