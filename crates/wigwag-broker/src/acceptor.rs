//! Takes connections and hands their sockets to the workers, one after the other in turn.

use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::conf::config::LogType;
use crate::entrance::{Entrance, Guest, Socket};
use crate::listener::BoundListener;
use crate::logging::{Log, log_connection};
use crate::mailbox::Mailbox;
use crate::observer::Observer;

/// How long to wait when the system cannot give us a connection that is there, for want of descriptors
/// or memory: it will still be there.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens, and what it leads into.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listening: Listening,
    pub(crate) bound: BoundListener,
    pub(crate) entrance: Arc<Entrance>,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket: it goes when nobody listens on it any more, also if nobody ever did.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct SocketFile(pub(crate) PathBuf);

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Somebody who has come in.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) socket: Socket,
    pub(crate) guest: Guest,
    pub(crate) at: Instant,
}

/// The runtime's view of a socket that listens.
enum Acceptor {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix {
        listener: tokio::net::UnixListener,
        _file: SocketFile,
    },
}

/// Who hears of connections.
pub(crate) struct Hearers<'a> {
    pub(crate) workers: &'a [Mailbox],
    pub(crate) observer: &'a Observer,
    pub(crate) log: &'a Log,
}

/// Accepts on all sockets until the sender of `stop` is gone.
pub(crate) async fn run(doors: Vec<Door>, hearers: Hearers<'_>, mut stop: watch::Receiver<()>) {
    let turn = AtomicUsize::new(0);
    let accept_all = join_all(doors.into_iter().map(|door| keep(door, &hearers, &turn)));
    tokio::select! {
        _ = accept_all => {}
        _ = stop.changed() => {}
    }
}

async fn keep(door: Door, hearers: &Hearers<'_>, turn: &AtomicUsize) {
    let Door {
        listening,
        bound,
        entrance,
    } = door;
    let Hearers {
        workers,
        observer,
        log,
    } = hearers;
    let acceptor = match Acceptor::new(listening) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            let what = format_args!("Error: {bound} cannot be used: {error}.");
            return log.write(LogType::Error, what);
        }
    };
    loop {
        match acceptor.accept().await {
            Ok((socket, from)) => {
                observer.count_socket();
                let Some(guest) = entrance.admit(from, log) else {
                    continue;
                };
                log_connection(log, from, bound.address.port().unwrap_or(0));
                let next = turn.fetch_add(1, Ordering::Relaxed) % workers.len();
                let (before, after) = workers.split_at(next);
                let arrival = Arrival {
                    socket,
                    guest,
                    at: Instant::now(),
                };
                // To the first from there that is not gone; without any, the connection is closed.
                let mut workers = after.iter().chain(before);
                let _ = workers.try_fold(arrival, |arrival, worker| {
                    worker.send_arrival(arrival).err()
                });
            }
            // The peer was gone before it was its turn.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                let what = format_args!("Warning: Cannot accept a connection on {bound}: {error}.");
                log.write(LogType::Warning, what);
                tokio::time::sleep(SHORTAGE_PAUSE).await;
            }
        }
    }
}

impl Acceptor {
    fn new(listening: Listening) -> io::Result<Acceptor> {
        match listening {
            Listening::Tcp(socket) => tokio::net::TcpListener::from_std(socket).map(Acceptor::Tcp),
            #[cfg(unix)]
            Listening::Unix(socket, file) => {
                tokio::net::UnixListener::from_std(socket).map(|listener| Acceptor::Unix {
                    listener,
                    _file: file,
                })
            }
        }
    }

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
