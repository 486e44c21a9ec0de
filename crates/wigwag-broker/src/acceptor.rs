//! Takes connections and hands their sockets to the workers, one after the other in turn.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::broker::BoundListener;
use crate::logging::{Log, log_connection};
use crate::mailbox::Mailbox;
use crate::observer::Observer;

/// How long to wait when the system cannot give us a connection that is there, for want of descriptors
/// or memory: it will still be there.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// Accepts on all sockets until the sender of `stop` is gone.
pub(crate) async fn run(
    sockets: Vec<(TcpListener, BoundListener)>,
    workers: &[Mailbox],
    observer: &Observer,
    log: &Log,
    mut stop: watch::Receiver<()>,
) {
    let turn = AtomicUsize::new(0);
    let accept_all = join_all(
        sockets
            .into_iter()
            .map(|(socket, bound)| accept(socket, bound, workers, observer, log, &turn)),
    );
    tokio::select! {
        _ = accept_all => {}
        _ = stop.changed() => {}
    }
}

async fn accept(
    socket: TcpListener,
    bound: BoundListener,
    workers: &[Mailbox],
    observer: &Observer,
    log: &Log,
    turn: &AtomicUsize,
) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return warn!(%error, addr = %bound.addr, "listener cannot be used"),
    };
    info!(addr = %bound.addr, transport = %bound.transport, "listening");
    loop {
        let next = turn.fetch_add(1, Ordering::Relaxed) % workers.len();
        match socket
            .accept()
            .await
            .and_then(|(socket, peer)| Ok((socket.into_std()?, peer)))
        {
            Ok((socket, peer)) => {
                observer.count_socket();
                log_connection(log, Some(peer), bound.addr.port());
                if let Some(worker) = workers.get(next) {
                    worker.send_socket(socket, bound.transport);
                }
            }
            // The peer was gone before it was its turn.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!(%error, addr = %bound.addr, "cannot accept a connection");
                tokio::time::sleep(SHORTAGE_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
