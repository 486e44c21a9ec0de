//! What the engine says has happened, in the log. Payloads and secrets never get here.

use std::net::SocketAddr;

use tracing::{debug, info, warn};
use wigwag_engine::{CloseReason, Event};

/// Logs an event; `peer` is the address of the connection that it is about.
pub(crate) fn log(event: &Event, peer: Option<SocketAddr>) {
    let peer = peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
    match event {
        Event::Connected {
            client_id,
            version,
            session_present,
            ..
        } => {
            info!(%client_id, %peer, %version, session_present, "client connected");
        }
        Event::Refused { reason, .. } => warn!(%peer, %reason, "connection refused"),
        Event::Closed {
            client_id, reason, ..
        } => log_closed(client_id.as_deref(), &peer, *reason),
        Event::SessionExpired { client_id } => info!(%client_id, "session expired"),
        Event::Dropped { reason, count } => warn!(?reason, count, "messages dropped"),
        _ => debug!(?event, "event"),
    }
}

fn log_closed(client_id: Option<&str>, peer: &str, reason: CloseReason) {
    match (client_id, reason) {
        (
            Some(client_id),
            CloseReason::Malformed(_) | CloseReason::Protocol(_) | CloseReason::Quota(_),
        ) => {
            warn!(%client_id, %peer, %reason, "client misbehaved");
        }
        (Some(client_id), _) => info!(%client_id, %peer, %reason, "client disconnected"),
        // Port scanners and health checks come and go without a CONNECT.
        (None, _) => debug!(%peer, %reason, "connection closed before CONNECT"),
    }
}
