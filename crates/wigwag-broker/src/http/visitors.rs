//! Who comes by a listener with `protocol http_api`: over the same threshold as clients of MQTT, with its TLS,
//! its PROXY protocol and its limits, and then here.
//!
//! What is served is what held when the connection came; one whose listener is closed meanwhile is told so.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wigwag_engine::Peer;
use wigwag_net::Stream;

use super::{About, CONNECTIONS_MAX, HEADERS_WITHIN, Serves, router, serve_connection};
use crate::acceptor::Arrival;
use crate::access::AccessDesk;
use crate::entrance::{Guest, TIMEOUT};
use crate::logging::{Log, log_refusal};
use crate::observer::Observer;

/// Connections from one address at the same time, so that nobody takes all places.
const CONNECTIONS_PER_ADDRESS: u32 = 16;

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
    /// Who decides on them; without it everybody may read.
    pub(crate) access: Option<Arc<AccessDesk>>,
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
        let Some((stream, peer)) = self.let_in(stream, &guest).await else {
            return;
        };
        let Some(_one) = crowd.enter(peer.address.map(|address| address.ip())) else {
            return;
        };
        let gate = (self.access.as_ref()).map(|access| access.gate(&guest.rules.settings, &peer));
        let serves = Serves::Api(guest.rules.http_dir.clone());
        let (observer, about) = (Arc::clone(&self.observer), Arc::clone(&self.about));
        let router = router(&serves, gate, observer, about)
            .layer(from_fn_with_state(Arc::new(guest), refuse_if_closed));
        serve_connection(stream, router).await;
    }

    /// All that comes before the first request.
    async fn let_in(&self, stream: Stream, guest: &Guest) -> Option<(Stream, Peer)> {
        let from = stream.peer_addr().ok();
        match timeout(HEADERS_WITHIN, guest.rules.apply(stream)).await {
            Ok(Ok(let_in)) => Some(let_in),
            Ok(Err(error)) => {
                guest.count_refusal(error.reason());
                log_refusal(&self.log, from, &error);
                None
            }
            Err(_) => {
                guest.count_refusal(TIMEOUT);
                None
            }
        }
    }
}

/// Nothing more is told by a listener that is closed.
async fn refuse_if_closed(
    State(guest): State<Arc<Guest>>,
    request: Request,
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
    next.run(request).await
}

/// How many connections there are from each address.
#[derive(Debug, Default)]
struct Crowd(Mutex<BTreeMap<IpAddr, u32>>);

/// One of them.
#[derive(Debug)]
struct One {
    crowd: Arc<Crowd>,
    ip: Option<IpAddr>,
}

impl Crowd {
    /// None if there are too many already. Who comes by a Unix socket has no address.
    fn enter(self: &Arc<Crowd>, ip: Option<IpAddr>) -> Option<One> {
        if let Some(ip) = ip {
            let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = crowd.entry(ip).or_default();
            if *count >= CONNECTIONS_PER_ADDRESS {
                return None;
            }
            *count += 1;
        }
        Some(One {
            crowd: Arc::clone(self),
            ip,
        })
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let Some(ip) = self.ip else { return };
        let mut crowd = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = crowd.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                crowd.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places() {
        let crowd = Arc::<Crowd>::default();
        let (here, there) = ("127.0.0.1".parse().ok(), "::1".parse().ok());
        let mut all: Vec<One> = (0..CONNECTIONS_PER_ADDRESS)
            .filter_map(|_| crowd.enter(here))
            .collect();
        assert_eq!(all.len(), 16);
        assert!(crowd.enter(here).is_none());
        assert!(crowd.enter(there).is_some() && crowd.enter(None).is_some());
        all.pop();
        assert!(crowd.enter(here).is_some());
        all.clear();
        assert!(crowd.0.lock().expect("not poisoned").is_empty());
    }
}
