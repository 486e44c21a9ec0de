//! Who comes by a listener with `protocol http_api`: over the same threshold as clients of MQTT, with its TLS,
//! its PROXY protocol and its limits, and then here.
//!
//! What is served is what held when the connection came; one whose listener is closed meanwhile is told so.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::crowd::Crowd;
use super::guard::{Entry, Guard};
use super::mqtt::{self, Way};
use super::sessions::Sessions;
use super::{About, CONNECTIONS_MAX, Extras, HEADERS_WITHIN, Serves, router, serve_connection};
use crate::acceptor::{Arrival, Turn};
use crate::access::AccessDesk;
use crate::entrance::Guest;
use crate::logging::Log;
use crate::observer::Observer;

/// Arrivals that wait for a place.
const WAITING_MAX: usize = 64;

/// Where arrivals are sent to. One for which there is no room is closed.
pub(crate) fn queue() -> (mpsc::Sender<Arrival>, mpsc::Receiver<Arrival>) {
    mpsc::channel(WAITING_MAX)
}

/// What visitors meet.
#[derive(Debug)]
pub(crate) struct Reception {
    pub(crate) observer: Arc<Observer>,
    pub(crate) about: Arc<About>,
    /// Who decides on them; without it everybody comes in.
    pub(crate) access: Option<Arc<AccessDesk>>,
    pub(crate) sessions: Arc<Sessions>,
    /// What people see who come with a browser.
    pub(crate) page: Option<Router>,
    /// Whose turn it is to take who becomes a client.
    pub(crate) turn: Arc<Turn>,
    pub(crate) log: Log,
}

/// Serves whoever comes until nobody can come any more. Dropping the future cuts all connections.
pub(crate) async fn receive(mut arrivals: mpsc::Receiver<Arrival>, reception: Reception) {
    let reception = Arc::new(reception);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let crowd = Arc::<Crowd>::default();
    let mut connections = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Some(arrival) = arrivals.recv().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let (reception, crowd) = (Arc::clone(&reception), Arc::clone(&crowd));
        connections.spawn(async move {
            reception.serve(arrival, &crowd).await;
            drop(place);
        });
    }
}

impl Reception {
    async fn serve(&self, arrival: Arrival, crowd: &Arc<Crowd>) {
        let Arrival { socket, guest, .. } = arrival;
        let Ok(stream) = socket.into_stream() else {
            return;
        };
        let from = stream.peer_addr().ok().map(|address| address.ip());
        let port = stream.local_addr().map_or(0, |address| address.port());
        let is_behind_proxy = guest.rules.proxy.is_some();
        // Before its TLS, which it may draw out. Behind a load balancer its address is known only afterwards.
        let Some(_direct) = crowd.enter(from.filter(|_| !is_behind_proxy)) else {
            return;
        };
        let until = Instant::now() + HEADERS_WITHIN;
        let Some((stream, peer)) = guest.let_in(stream, until, &self.log).await else {
            return;
        };
        let claimed = peer.address.map(|address| address.ip());
        let Some(_behind_proxy) = crowd.enter(claimed.filter(|_| is_behind_proxy)) else {
            return;
        };
        let guard = match &self.access {
            Some(access) => Guard::Rules(Arc::new(Entry {
                desk: Arc::clone(access),
                rules: Arc::clone(&guest.rules),
                peer: peer.clone(),
                sessions: Arc::clone(&self.sessions),
            })),
            None => Guard::of_embedder(None, self.about.is_open),
        };
        let serves = Serves::Api(guest.rules.http_dir.clone());
        let welcome = guest.rules.origins().into();
        let extras = if guest.rules.web_ui {
            Extras {
                welcome,
                page: (self.page.clone()).filter(|_| guest.rules.http_dir.is_none()),
                mqtt: mqtt::route(Way {
                    guest: guest.clone(),
                    peer,
                    guard: guard.clone(),
                    turn: Arc::clone(&self.turn),
                    observer: Arc::clone(&self.observer),
                    port,
                    log: self.log.clone(),
                }),
            }
        } else {
            Extras {
                welcome,
                ..Extras::default()
            }
        };
        let (observer, about) = (Arc::clone(&self.observer), Arc::clone(&self.about));
        let router = router(&serves, guard, observer, about, extras)
            .layer(from_fn_with_state(Arc::new(guest), refuse_if_closed));
        serve_connection(stream, router).await;
    }
}

/// Nothing more is told by a listener that is closed.
async fn refuse_if_closed(
    State(guest): State<Arc<Guest>>,
    mut request: Request,
    next: Next,
) -> Response {
    if guest.is_too_late() {
        let why = "The listener is closed.\n";
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            [(CONNECTION, "close")],
            why,
        )
            .into_response();
    }
    // For those who stay longer than a request.
    request.extensions_mut().insert(guest);
    next.run(request).await
}
