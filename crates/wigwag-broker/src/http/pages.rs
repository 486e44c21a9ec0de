//! The answers: each handler reads the observer and writes text or JSON.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Map, Value, json};
use wigwag_proto::TopicName;

use super::topics;
use super::viewer::Viewer;
use crate::listener::{Address, BoundListener, Listener};
use crate::metrics::{self, Format};
use crate::observer::Observer;

/// What the handlers read.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) observer: Arc<Observer>,
    pub(super) about: Arc<About>,
}

/// What changes with a reload only.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// Nobody decides on access: what there is to see is for everybody.
    pub(crate) is_open: bool,
    pub(crate) listeners: ArcSwap<Vec<ListenerNotice>>,
}

/// What the API says of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerNotice {
    /// A port, or the path of a socket.
    pub(crate) place: Place,
    pub(crate) protocol: &'static str,
    pub(crate) tls: bool,
    pub(crate) mtls: bool,
    pub(crate) allow_anonymous: bool,
}

/// Where a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Port(u16),
    Path(String),
}

impl ListenerNotice {
    /// Of a listener, and what was said of it.
    pub(crate) fn of(bound: &BoundListener, listener: &Listener) -> ListenerNotice {
        let said = &listener.said;
        ListenerNotice {
            place: match &bound.address {
                Address::Tcp(addr) => Place::Port(addr.port()),
                Address::Unix(path) => Place::Path(path.display().to_string()),
            },
            protocol: bound.transport.name(),
            tls: bound.is_tls,
            mtls: (said.tls.as_ref()).is_some_and(|tls| tls.require_certificate),
            allow_anonymous: said.security.allow_anonymous,
        }
    }

    /// Of a place where this API is served.
    pub(crate) const fn http(port: u16, allow_anonymous: bool) -> ListenerNotice {
        ListenerNotice {
            place: Place::Port(port),
            protocol: "httpapi",
            tls: false,
            mtls: false,
            allow_anonymous,
        }
    }
}

/// Open to everybody: whether the broker is well says nothing about its clients.
pub(super) fn health() -> Router<Source> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
}

pub(super) fn metrics() -> Router<Source> {
    Router::new().route("/metrics", get(show_metrics))
}

/// Mosquitto's API, and the alarms, which are ours.
pub(super) fn api() -> Router<Source> {
    Router::new()
        .route("/api/v1/systree", get(systree))
        .route("/api/v1/listeners", get(listeners))
        .route("/api/v1/version", get(version))
        .route("/api/v1/alarms", get(alarms))
        .route("/api/v1/topics", get(topics::topics))
}

/// Ready is a broker whose every shard answers.
async fn ready(State(source): State<Source>) -> Response {
    if source.observer.is_ready().await {
        return "ok\n".into_response();
    }
    let why = "a shard does not answer\n";
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

/// `?names=mosquitto` asks for the names of Mosquitto's exporter.
async fn show_metrics(
    State(source): State<Source>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let names = query.as_deref().unwrap_or_default();
    let names = names
        .split('&')
        .find_map(|pair| pair.strip_prefix("names="));
    match names {
        None | Some("native" | "") => {
            let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
            let format = Format::of_accept(accept.unwrap_or_default());
            let scrape = source.observer.scrape().await;
            match metrics::write_native(scrape, format) {
                Ok(text) => ([(CONTENT_TYPE, format.content_type())], text).into_response(),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
        Some("mosquitto") => {
            let scrape = source.observer.scrape().await;
            let mut text = metrics::write_mosquitto(&scrape.reading, &source.observer.tree());
            metrics::write_more_of_mosquitto(&mut text, &scrape);
            ([(CONTENT_TYPE, metrics::TEXT)], text).into_response()
        }
        Some(_) => {
            let why = "names is either native or mosquitto\n";
            (StatusCode::BAD_REQUEST, why).into_response()
        }
    }
}

/// The numbers of `$SYS`, without aliases, loads and version.
async fn systree(State(source): State<Source>) -> Response {
    let reading = source.observer.read().await;
    let mut tree: Map<String, Value> = {
        let tree = source.observer.tree();
        let values = tree.values(&reading);
        values
            .map(|(row, value)| (row.topic.to_owned(), value.into()))
            .collect()
    };
    let uptime = reading.uptime.as_secs();
    tree.insert("$SYS/broker/uptime".to_owned(), uptime.into());
    shown_to_all("application/json", Value::Object(tree).to_string())
}

async fn listeners(State(source): State<Source>) -> Response {
    let listeners: Vec<Value> = source.about.listeners.load().iter().map(notice).collect();
    let text = json!({ "listeners": listeners }).to_string();
    shown_to_all("application/json", text)
}

/// An alarm tells what was in a message, to those who may read it.
async fn alarms(State(source): State<Source>, Extension(viewer): Extension<Viewer>) -> Response {
    let may_read = |topic: &str| TopicName::new(topic).is_ok_and(|topic| viewer.may_read(topic));
    told(StatusCode::OK, &source.observer.alarms().to_json(may_read))
}

async fn version() -> Response {
    shown_to_all(
        "text/plain; charset=utf-8",
        env!("CARGO_PKG_VERSION").to_owned(),
    )
}

fn notice(listener: &ListenerNotice) -> Value {
    let mut notice = json!({
        "protocol": listener.protocol,
        "tls": listener.tls,
        "mtls": listener.mtls,
        "allow_anonymous": listener.allow_anonymous,
    });
    let (key, place) = match &listener.place {
        Place::Port(port) => ("port", json!(port)),
        Place::Path(path) => ("path", json!(path)),
    };
    if let Some(notice) = notice.as_object_mut() {
        notice.insert(key.to_owned(), place);
    }
    notice
}

pub(super) async fn nothing() -> Response {
    refusal(StatusCode::NOT_FOUND, "the API does not have this")
}

/// Why there is no answer.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    told(status, &json!({ "error": why }))
}

/// For pages of this origin and nobody else.
pub(super) fn told(status: StatusCode, answer: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, answer.to_string()).into_response()
}

/// Pages of any origin may read this, as with Mosquitto.
fn shown_to_all(content_type: &'static str, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, text).into_response()
}
