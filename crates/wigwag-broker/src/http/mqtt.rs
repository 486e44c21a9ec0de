//! `/mqtt`: MQTT over WebSocket at the address that the page comes from.
//!
//! The connection becomes a client of the listener like any other, in the hands of a shard. Who has logged in is that
//! user, as if a certificate named him; others say in CONNECT who they are.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{HeaderValue, UPGRADE};
use axum::http::{Request as Head, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tracing::debug;
use wigwag_engine::{Certificate, Peer};
use wigwag_net::Stream;
use wigwag_net::accept::{Rules, grant_websocket, websocket_over};

use super::HEADERS_WITHIN;
use super::guard::Guard;
use super::pages::refusal;
use super::sessions::Session;
use crate::acceptor::{Arrival, Turn};
use crate::entrance::{Guest, Socket};
use crate::logging::{Log, log_connection};
use crate::observer::Observer;

/// From HTTP to the shards.
pub(super) struct Way {
    pub(super) guest: Guest,
    pub(super) peer: Peer,
    pub(super) guard: Guard,
    pub(super) turn: Arc<Turn>,
    pub(super) observer: Arc<Observer>,
    pub(super) port: u16,
    pub(super) log: Log,
}

pub(super) fn route(way: Way) -> Router {
    Router::new()
        .route("/mqtt", get(open))
        .with_state(Arc::new(way))
}

async fn open(State(way): State<Arc<Way>>, request: Request) -> Response {
    let Some(mut rules) = way.guest.rules.websocket.clone() else {
        return refusal(StatusCode::NOT_FOUND, "there is no MQTT here");
    };
    // It has been looked at already, and pages of this origin are welcome too.
    rules.origins.clear();
    let (mut parts, _) = request.into_parts();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let head = Head::from_parts(parts, ());
    let granted = grant_websocket(&head, &rules);
    let (headers, upgrade) = match (granted, upgrade) {
        (Ok(headers), Some(upgrade)) => (headers, upgrade),
        (Err((status, why)), _) => return refuse(status, why),
        (Ok(_), None) => {
            let why = "this connection cannot become a WebSocket";
            return refuse(StatusCode::UPGRADE_REQUIRED, why);
        }
    };
    let session = match &way.guard {
        Guard::Rules(entry) => entry.session(head.headers()),
        Guard::Embedder { .. } => None,
    };
    tokio::spawn(async move { way.take_over(upgrade, &rules, session).await });
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    let mut answer = refusal(status, why);
    if status == StatusCode::UPGRADE_REQUIRED {
        let websocket = HeaderValue::from_static("websocket");
        answer.headers_mut().insert(UPGRADE, websocket);
    }
    answer
}

impl Way {
    /// Takes the connection out of the hands of HTTP, once that has answered.
    async fn take_over(&self, upgrade: OnUpgrade, rules: &Rules, session: Option<Arc<Session>>) {
        let upgraded = match timeout(HEADERS_WITHIN, upgrade).await {
            Ok(Ok(upgraded)) => upgraded,
            Ok(Err(error)) => {
                return debug!(%error, "an HTTP connection did not become a WebSocket");
            }
            Err(_) => return,
        };
        let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else {
            return debug!("an HTTP connection is carried by something else than a stream");
        };
        let stream = parts.io.into_inner();
        let stream = websocket_over(stream, parts.read_buf.into(), rules).await;
        let (mut peer, mut guest) = (self.peer.clone(), self.guest.clone());
        if let Some(session) = session {
            let user_name = session.login.identity.user_name.clone();
            peer.certificate = user_name.map_or(Certificate::NotAsked, Certificate::Names);
            guest.session = Some(session);
        }
        self.observer.count_socket();
        log_connection(&self.log, peer.address, self.port);
        self.turn.seat(Arrival {
            socket: Socket::Upgraded(Box::new((stream, peer))),
            guest,
            at: Instant::now(),
        });
    }
}
