//! Starting and stopping: sockets are bound, then one thread per shard and one for the listeners begin.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use wigwag_engine::message::MessageRef;
use wigwag_engine::{Kick, Limits, Node, Settings, ShardId};
use wigwag_net::accept;

use crate::acceptor;
use crate::desk::{OpenDesk, Order};
use crate::http::{self, About, HttpListener, ListenerNotice};
use crate::logging::Log;
use crate::mailbox::Mailbox;
use crate::observer::Observer;
use crate::worker::Worker;

/// How often `$SYS` is published unless somebody says otherwise.
const SYS_INTERVAL: Duration = Duration::from_secs(10);

/// How MQTT is carried on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// WebSocket over TCP, with the subprotocol `mqtt` and any path.
    WebSocket,
    /// No MQTT: metrics and the HTTP API.
    Http,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "MQTT",
            Transport::WebSocket => "MQTT over WebSocket",
            Transport::Http => "HTTP",
        })
    }
}

/// An address to listen on.
#[derive(Clone, Debug)]
pub struct Listener {
    transport: Transport,
    addr: SocketAddr,
}

impl Listener {
    /// MQTT over TCP. Port 0 takes a free one.
    pub const fn tcp(addr: SocketAddr) -> Listener {
        Listener {
            transport: Transport::Tcp,
            addr,
        }
    }

    /// MQTT over WebSocket. Port 0 takes a free one.
    pub const fn websocket(addr: SocketAddr) -> Listener {
        Listener {
            transport: Transport::WebSocket,
            addr,
        }
    }
}

/// A listener that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct BoundListener {
    pub transport: Transport,
    pub addr: SocketAddr,
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is in use, not this machine's, or needs more rights.
    #[error("cannot listen on {addr} for {transport}")]
    Listen {
        /// What was to be carried.
        transport: Transport,
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or its runtime could not be made.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
}

/// What a broker is to be like.
#[derive(Debug)]
pub struct Builder {
    listeners: Vec<Listener>,
    shards: Option<NonZeroU16>,
    limits: Limits,
    sys_interval: Option<Duration>,
    log: Log,
    http: Vec<HttpListener>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            listeners: Vec::new(),
            shards: None,
            limits: Limits::default(),
            sys_interval: Some(SYS_INTERVAL),
            log: Log::default(),
            http: Vec::new(),
        }
    }
}

impl Builder {
    /// Adds a listener.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Builder {
        self.listeners.push(listener);
        self
    }

    /// Sets the number of shards, each a thread. Default: one per core.
    #[must_use]
    pub fn shards(mut self, shards: NonZeroU16) -> Builder {
        self.shards = Some(shards);
        self
    }

    /// Sets the bounds.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// Sets how often `$SYS` is published: when the clock shows a multiple of this. `None` for never; the
    /// default is 10 seconds, and less than one second is one.
    #[must_use]
    pub fn sys_interval(mut self, interval: Option<Duration>) -> Builder {
        self.sys_interval = interval;
        self
    }

    /// Sets where the broker logs to. Default: `tracing`.
    #[must_use]
    pub fn log(mut self, log: Log) -> Builder {
        self.log = log;
        self
    }

    /// Adds a place to serve HTTP on.
    #[must_use]
    pub fn http(mut self, listener: HttpListener) -> Builder {
        self.http.push(listener);
        self
    }

    /// Opens the listeners and starts the broker. Nothing is left behind if that fails.
    pub fn start(self) -> Result<Broker, StartError> {
        let sockets = self
            .listeners
            .iter()
            .map(bind)
            .collect::<Result<Vec<_>, _>>()?;
        let listeners: Vec<BoundListener> = sockets.iter().map(|(_, bound)| *bound).collect();
        let served = self
            .http
            .iter()
            .map(|listener| bind_http(listener.addr()))
            .collect::<Result<Vec<_>, _>>()?;
        let http_addrs = served.iter().map(|(_, addr)| *addr).collect();

        let shards = self.shards.map_or_else(one_per_core, NonZeroU16::get);
        let node = Arc::new(Node::new(shards, fastrand::u64(..)));
        let mailboxes: Arc<[Mailbox]> = (0..shards).map(|_| Mailbox::default()).collect();
        let origin = Instant::now();
        let observer = Arc::new(Observer::new(
            Arc::clone(&mailboxes),
            Arc::clone(&node),
            origin,
            self.log.clone(),
        ));
        observer.begin(self.sys_interval);
        let (running, all_stopped) = mpsc::channel(1);
        let (stop, stopping) = watch::channel(());
        // Dropped when something below fails, which stops what has been started.
        let broker = Broker {
            listeners,
            mailboxes: Arc::clone(&mailboxes),
            stop: Some(stop),
            all_stopped,
            observer: Arc::clone(&observer),
            http_addrs,
        };

        for id in (0..shards).map(ShardId) {
            let (node, limits) = (Arc::clone(&node), self.limits.clone());
            let (mailboxes, running) = (Arc::clone(&mailboxes), running.clone());
            let log = self.log.clone();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            thread::Builder::new()
                .name(format!("wigwag-shard-{id}"))
                .spawn(move || {
                    let desk = Arc::new(OpenDesk);
                    Worker::new(id, node, limits.into(), mailboxes, origin, desk, log)
                        .run(&runtime);
                    drop(running);
                })?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let about = Arc::new(About {
            listeners: broker.listeners.iter().map(ListenerNotice::from).collect(),
        });
        let (sys_interval, still_running) = (self.sys_interval, running.clone());
        let (watching, stop_watching) = (Arc::clone(&observer), stopping.clone());
        thread::Builder::new()
            .name("wigwag-observe".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    for ((socket, _), listener) in served.into_iter().zip(self.http) {
                        let (observer, about) = (Arc::clone(&watching), Arc::clone(&about));
                        tokio::spawn(http::serve(socket, listener, observer, about));
                    }
                    watching.run(sys_interval, stop_watching).await;
                });
                drop(still_running);
            })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let log = self.log.clone();
        thread::Builder::new()
            .name("wigwag-accept".to_owned())
            .spawn(move || {
                runtime.block_on(acceptor::run(
                    sockets, &mailboxes, &observer, &log, stopping,
                ));
                drop(running);
            })?;
        Ok(broker)
    }
}

fn bind(listener: &Listener) -> Result<(std::net::TcpListener, BoundListener), StartError> {
    let Listener { transport, addr } = *listener;
    accept::listen(addr)
        .and_then(|socket| {
            let addr = socket.local_addr()?;
            Ok((socket, BoundListener { transport, addr }))
        })
        .map_err(|source| StartError::Listen {
            transport,
            addr,
            source,
        })
}

fn bind_http(addr: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), StartError> {
    accept::listen(addr)
        .and_then(|socket| {
            let addr = socket.local_addr()?;
            Ok((socket, addr))
        })
        .map_err(|source| StartError::Listen {
            transport: Transport::Http,
            addr,
            source,
        })
}

fn one_per_core() -> u16 {
    thread::available_parallelism()
        .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX))
}

/// A running broker. Dropping it stops it without waiting; [`Broker::shutdown`] waits.
#[derive(Debug)]
pub struct Broker {
    listeners: Vec<BoundListener>,
    mailboxes: Arc<[Mailbox]>,
    stop: Option<watch::Sender<()>>,
    all_stopped: mpsc::Receiver<()>,
    observer: Arc<Observer>,
    http_addrs: Vec<SocketAddr>,
}

impl Broker {
    /// The beginning of a broker.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The listeners, with the ports that they got, in the order in which they were added.
    pub fn listeners(&self) -> &[BoundListener] {
        &self.listeners
    }

    /// The places where HTTP is served, with the ports that they got, in the order in which they were added.
    pub fn http_listeners(&self) -> &[SocketAddr] {
        &self.http_addrs
    }

    /// Stops: no new connections are taken, clients are told with DISCONNECT 0x8B, and what is on its way
    /// to them has the time of [`Limits::linger`] to get there.
    ///
    /// Dropping the future lets the broker stop without waiting for it.
    pub async fn shutdown(mut self) {
        self.begin_to_stop();
        // Nobody ever sends: the channel closes when the last thread has ended.
        let ended = self.all_stopped.recv().await;
        debug_assert_eq!(ended, None);
    }

    /// Disconnects clients.
    pub fn kick(&self, kick: Kick) {
        if let Some(mailbox) = self.mailboxes.first() {
            mailbox.send_order(Order::Kick(kick));
        }
    }

    /// Publishes a message to everybody who has subscribed to its topic and may receive it.
    pub fn publish(&self, message: MessageRef<'_>) {
        if let Some(mailbox) = self.mailboxes.first() {
            mailbox.send_order(Order::Publish(message.to_message()));
        }
    }

    /// To be called when the log has been given other options: single packets are followed only while it
    /// wants them.
    pub fn follow_log(&self) {
        self.observer.follow_log();
    }

    /// Lets all shards behave by other settings. What has been granted to clients stays.
    pub fn set_settings(&self, settings: &Settings) {
        for mailbox in self.mailboxes.iter() {
            mailbox.send_order(Order::Settings(Box::new(settings.clone())));
            mailbox.send_order(Order::Policy);
        }
    }

    fn begin_to_stop(&mut self) {
        self.stop = None;
        self.mailboxes.iter().for_each(Mailbox::stop);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.begin_to_stop();
    }
}
