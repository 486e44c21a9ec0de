//! Takes connections and hands their sockets to the workers, one after the other in turn.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::conf::config::LogType;
use crate::doors::Door;
#[cfg(unix)]
use crate::doors::SocketFile;
use crate::entrance::{Guest, Socket};
use crate::logging::{Log, log_connection};
use crate::mailbox::Mailbox;
use crate::observer::Observer;

/// How long to wait when the system cannot give us a connection that is there, for want of descriptors
/// or memory: it will still be there.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// Somebody who has come in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) socket: Socket,
    pub(crate) guest: Guest,
    pub(crate) at: Instant,
}

/// The runtime's view of a socket that listens.
pub(crate) enum Acceptor {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix {
        listener: tokio::net::UnixListener,
        _file: SocketFile,
    },
}

/// The workers, each of whom gets its turn.
#[derive(Debug)]
pub(crate) struct Turn {
    workers: Arc<[Mailbox]>,
    next: AtomicUsize,
}

impl Turn {
    pub(crate) fn new(workers: &Arc<[Mailbox]>) -> Turn {
        Turn {
            workers: Arc::clone(workers),
            next: AtomicUsize::new(0),
        }
    }

    /// Hands somebody to the worker whose turn it is.
    pub(crate) fn seat(&self, arrival: Arrival) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        let (before, after) = self.workers.split_at(next);
        // To the first from there that is not gone; without any, the connection is closed.
        let mut workers = after.iter().chain(before);
        let _ = workers.try_fold(arrival, |arrival, worker| {
            worker.send_arrival(arrival).err()
        });
    }
}

/// Who hears of connections.
#[derive(Debug)]
pub(crate) struct Hearers {
    pub(crate) observer: Arc<Observer>,
    pub(crate) log: Log,
    /// Where those go who do not speak MQTT.
    pub(crate) visitors: mpsc::Sender<Arrival>,
    pub(crate) turn: Arc<Turn>,
}

/// Accepts on a socket for ever. Dropping the future closes it.
pub(crate) async fn keep(door: Door, hearers: Arc<Hearers>) {
    let Door {
        listening,
        address,
        leads_to,
        // Declared before the socket, dropped behind it.
        open: _open,
    } = door;
    let Hearers {
        observer,
        log,
        visitors,
        turn,
    } = &*hearers;
    let acceptor = match listening.into_acceptor() {
        Ok(acceptor) => acceptor,
        Err(error) => {
            let what = format_args!("Error: The socket on {address} cannot be used: {error}.");
            return log.write(LogType::Error, what);
        }
    };
    loop {
        match acceptor.accept().await {
            Ok((socket, from)) => {
                let entrance = leads_to.load_full();
                let is_http = entrance.is_http();
                if !is_http {
                    observer.count_socket();
                }
                let Some(guest) = entrance.admit(from, log) else {
                    continue;
                };
                let arrival = Arrival {
                    socket,
                    guest,
                    at: Instant::now(),
                };
                if is_http {
                    // One for which there is no room is closed.
                    let _ = visitors.try_send(arrival);
                    continue;
                }
                log_connection(log, from, address.port().unwrap_or(0));
                turn.seat(arrival);
            }
            // The peer was gone before it was its turn.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                log.write(
                    LogType::Warning,
                    format_args!("Warning: Cannot accept a connection on {address}: {error}."),
                );
                tokio::time::sleep(SHORTAGE_PAUSE).await;
            }
        }
    }
}

impl Acceptor {
    /// A connection, and where it comes from if that can be said.
    async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Acceptor::Tcp(listener) => {
                let (socket, from) = listener.accept().await?;
                Ok((Socket::Tcp(socket.into_std()?), Some(from)))
            }
            #[cfg(unix)]
            Acceptor::Unix { listener, .. } => {
                let (socket, _) = listener.accept().await?;
                Ok((Socket::Unix(socket.into_std()?), None))
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
