//! The listeners that are open: their sockets, and what these lead into. A reload opens and closes them.
//!
//! Accepting is a task for each socket on a runtime of its own; whoever closes a socket waits until the
//! system has it back, so that its port can be listened on again.

use std::io;
use std::net::TcpListener;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::acceptor::{self, Hearers};
use crate::conf::config::{Bind, LogType};
use crate::entrance::Entrance;
use crate::http::ListenerNotice;
use crate::listener::{Address, BoundListener, Listener, Transport};
use crate::logging::Log;
use crate::opening;

/// How long to wait for a socket to be closed: its task has nothing to wait for but a log that is stuck.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

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

/// The sockets of a listener, and where they are.
pub(crate) type Sockets = Vec<(Listening, Address)>;

/// A listener whose sockets are there and not yet accepted on.
#[derive(Debug)]
pub(crate) struct ClosedListener {
    pub(crate) listener: Listener,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) sockets: Sockets,
}

/// A listener that takes connections.
#[derive(Debug)]
pub(crate) struct OpenListener {
    pub(crate) listener: Listener,
    entrance: Arc<Entrance>,
    /// What its sockets lead into, so that it can be exchanged.
    leads_to: Arc<ArcSwap<Entrance>>,
    sockets: Vec<OpenSocket>,
}

/// A socket that is served by a task.
#[derive(Debug)]
pub(crate) struct OpenSocket {
    address: Address,
    task: AbortHandle,
    /// Ends when the socket is closed.
    closed: Receiver<()>,
}

impl OpenSocket {
    /// Starts the task. What it is given is to be dropped behind the socket.
    pub(crate) fn open<F>(
        runtime: &Handle,
        address: Address,
        serve: impl FnOnce(Sender<()>) -> F,
    ) -> OpenSocket
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let (open, closed) = channel();
        OpenSocket {
            address,
            task: runtime.spawn(serve(open)).abort_handle(),
            closed,
        }
    }

    /// Ends the task and waits until the socket is closed.
    pub(crate) fn close(self, log: &Log) {
        self.task.abort();
        // Nothing is ever sent: the sender goes with the task.
        let _ = self.closed.recv_timeout(CLOSED_WITHIN);
        let what = format_args!("Closing listen socket on {}.", self.address);
        log.write(LogType::Information, what);
    }
}

/// What opens listeners.
#[derive(Clone, Debug)]
pub(crate) struct Doorkeeper {
    runtime: Handle,
    hearers: Arc<Hearers>,
}

impl Doorkeeper {
    /// For a runtime that is driven for as long as listeners are to be open.
    pub(crate) fn new(runtime: &Handle, hearers: Hearers) -> Doorkeeper {
        Doorkeeper {
            runtime: runtime.clone(),
            hearers: Arc::new(hearers),
        }
    }

    /// Lets connections in.
    pub(crate) fn open(&self, closed: ClosedListener) -> OpenListener {
        let ClosedListener {
            listener,
            entrance,
            sockets,
        } = closed;
        let leads_to = Arc::new(ArcSwap::new(Arc::clone(&entrance)));
        OpenListener {
            listener,
            entrance,
            sockets: self.open_sockets(sockets, &leads_to),
            leads_to,
        }
    }

    fn open_sockets(&self, sockets: Sockets, leads_to: &Arc<ArcSwap<Entrance>>) -> Vec<OpenSocket> {
        let sockets = sockets.into_iter();
        sockets
            .map(|(listening, address)| self.open_socket(listening, address, leads_to))
            .collect()
    }

    fn open_socket(
        &self,
        listening: Listening,
        address: Address,
        leads_to: &Arc<ArcSwap<Entrance>>,
    ) -> OpenSocket {
        let (leads_to, hearers) = (Arc::clone(leads_to), Arc::clone(&self.hearers));
        OpenSocket::open(&self.runtime, address.clone(), |open| {
            let door = Door {
                listening,
                address,
                leads_to,
                open,
            };
            acceptor::keep(door, hearers)
        })
    }
}

/// A socket that listens, and what it leads into.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listening: Listening,
    pub(crate) address: Address,
    pub(crate) leads_to: Arc<ArcSwap<Entrance>>,
    /// To be dropped behind the socket.
    pub(crate) open: Sender<()>,
}

impl OpenListener {
    pub(crate) fn entrance(&self) -> &Arc<Entrance> {
        &self.entrance
    }

    pub(crate) fn number(&self) -> u16 {
        self.entrance.number()
    }

    /// Whether there is a socket; one that may be left out may have none.
    pub(crate) fn is_there(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// What can be said of it to others.
    pub(crate) fn bound(&self) -> impl Iterator<Item = BoundListener> {
        self.sockets.iter().map(|socket| BoundListener {
            number: self.number(),
            transport: Transport::of(&self.listener.said),
            is_tls: self.listener.said.tls.is_some(),
            address: socket.address.clone(),
        })
    }

    /// What the HTTP API says of it.
    pub(crate) fn notices(&self) -> impl Iterator<Item = ListenerNotice> {
        self.bound()
            .map(|bound| ListenerNotice::of(&bound, &self.listener))
    }

    /// What metrics call it: its place as the configuration has it, with the port that it got.
    pub(crate) fn label(&self) -> String {
        let bound = self.sockets.first().map(|socket| &socket.address);
        match &self.listener.said.bind {
            Bind::Unix(path) => path.display().to_string(),
            Bind::Tcp {
                host,
                port,
                interface,
                ..
            } => {
                let port = bound.and_then(Address::port).unwrap_or(*port);
                let place = match host {
                    Some(host) if host.contains(':') => format!("[{host}]:{port}"),
                    Some(host) => format!("{host}:{port}"),
                    None => port.to_string(),
                };
                match interface {
                    Some(interface) => format!("{place}%{interface}"),
                    None => place,
                }
            }
        }
    }

    /// What is spoken there, as the HTTP API calls it.
    pub(crate) fn protocol(&self) -> &'static str {
        Transport::of(&self.listener.said).name()
    }

    /// Whether the same connections may go on there: nothing else is said of how they come.
    pub(crate) fn carries_like(&self, other: &Listener) -> bool {
        let how = |listener: &Listener| {
            let said = &listener.said;
            (said.protocol, said.tls.is_some(), said.proxy.is_some())
        };
        how(&self.listener) == how(other)
    }

    /// Whether the other one cannot be opened while this one is.
    pub(crate) fn is_in_the_way_of(&self, bind: &Bind) -> bool {
        match (&self.listener.said.bind, bind) {
            (Bind::Tcp { port: mine, .. }, Bind::Tcp { port, .. }) => mine == port && *port != 0,
            (Bind::Unix(mine), Bind::Unix(path)) => mine == path,
            _ => false,
        }
    }

    /// Lets the sockets lead somewhere else from here on.
    pub(crate) fn lead_to(&mut self, entrance: &Arc<Entrance>) {
        self.entrance = Arc::clone(entrance);
        self.leads_to.store(Arc::clone(entrance));
    }

    /// Closes the sockets and waits until they are closed.
    pub(crate) fn close(&mut self, log: &Log) {
        self.sockets.drain(..).for_each(|socket| socket.close(log));
    }

    /// Opens the sockets that have been closed.
    pub(crate) fn open_again(&mut self, doorkeeper: &Doorkeeper, log: &Log) {
        match opening::sockets(&self.listener, log) {
            Ok(sockets) => self.sockets = doorkeeper.open_sockets(sockets, &self.leads_to),
            Err(error) => {
                let bind = &self.listener.said.bind;
                let what = format_args!("Error: The listener on {bind} is gone: {error}.");
                log.write(LogType::Error, what);
            }
        }
    }
}

impl Listening {
    /// The runtime's view of it, and the file that goes with it.
    pub(crate) fn into_acceptor(self) -> io::Result<acceptor::Acceptor> {
        match self {
            Listening::Tcp(socket) => {
                tokio::net::TcpListener::from_std(socket).map(acceptor::Acceptor::Tcp)
            }
            #[cfg(unix)]
            Listening::Unix(socket, file) => {
                tokio::net::UnixListener::from_std(socket).map(|listener| {
                    acceptor::Acceptor::Unix {
                        listener,
                        _file: file,
                    }
                })
            }
        }
    }
}
