//! A listener from inside: what holds for those who come in, how many there are, and what they have to go
//! through before the engine sees them.
//!
//! What holds can be exchanged while the listener is open: it is for those who come after.

use std::io;
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::io::DuplexStream;
use tokio::time::timeout_at;
use wigwag_engine::{Certificate, ListenerSettings, Peer};
use wigwag_net::accept::{self, AcceptError};
use wigwag_net::proxy_header::{self, HeaderError, Version};
use wigwag_net::tls::Acceptor;
use wigwag_net::{Custom, Stream, accept::Rules as WebSocketRules};

use crate::conf::config::{CertificateName, LogType, Proxy};
use crate::http::Session;
use crate::logging::{Log, log_refusal};
use crate::machine;

/// A listener from inside.
#[derive(Debug)]
pub(crate) struct Entrance {
    number: u16,
    rules: ArcSwap<Rules>,
    guests: AtomicU32,
    admitted: AtomicU64,
    /// In the order of [`REFUSALS`].
    refused: [AtomicU64; REFUSALS.len()],
    /// For ever: who is on the way in does not get there.
    is_closed: AtomicBool,
    house: Arc<House>,
}

/// What all entrances lead to.
#[derive(Debug, Default)]
pub(crate) struct House {
    guests: AtomicU32,
    /// Connections of all listeners; `u32::MAX` for no limit.
    guests_max: AtomicU32,
}

/// What holds for those who come in.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) settings: Arc<ListenerSettings>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) tls: Option<Acceptor>,
    pub(crate) certificate_name: CertificateName,
    /// On a listener for HTTP, those of who becomes a client there.
    pub(crate) websocket: Option<WebSocketRules>,
    /// Whether HTTP is spoken there instead of MQTT, and the folder whose files are served then.
    pub(crate) is_http: bool,
    pub(crate) http_dir: Option<PathBuf>,
    /// Whether the web UI is served then, if there is no folder, and MQTT is spoken too.
    pub(crate) web_ui: bool,
    pub(crate) max_connections: Option<u32>,
}

/// Why connections are refused before the first packet, in one word each.
pub(crate) const REFUSALS: [&str; 8] = [
    "max_connections",
    "global_max_connections",
    "proxy_header",
    "certificate",
    "tls",
    "websocket",
    "lost",
    TIMEOUT,
];

/// The refusal of who has not said enough in time.
const TIMEOUT: &str = "timeout";

/// What a listener has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Visits {
    /// Connections that are open.
    pub(crate) guests: u64,
    pub(crate) admitted: u64,
    /// In the order of [`REFUSALS`].
    pub(crate) refused: [u64; REFUSALS.len()],
}

/// A place in the house, for as long as one of its copies lives.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    place: Arc<Place>,
    pub(crate) rules: Arc<Rules>,
    /// What it has logged in with over HTTP, which is in use as long as it stays.
    pub(crate) session: Option<Arc<Session>>,
}

/// What is counted for a guest.
#[derive(Debug)]
struct Place(Arc<Entrance>);

/// The number of the listener that bridges of this broker come in by. No other has it: they are counted from 0.
pub(crate) const INSIDE: u16 = u16::MAX;

/// A connection as the system gives it, or one that does not leave the process.
#[derive(Debug)]
pub(crate) enum Socket {
    Inside(DuplexStream),
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// One that came over HTTP, and is through with all that comes before the first packet.
    Upgraded(Box<(Stream, Peer)>),
}

/// Why somebody does not get in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("it did not come to the load balancer over TLS")]
    NoTls,
    #[error("it showed the load balancer no certificate")]
    NoCertificate,
    #[error(transparent)]
    Handshake(#[from] AcceptError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Refusal {
    /// In one word, see [`REFUSALS`].
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            refusal if refusal.is_silence() => "lost",
            Refusal::Header(_) => "proxy_header",
            Refusal::NoTls | Refusal::NoCertificate => "certificate",
            Refusal::Handshake(AcceptError::Tls(_)) => "tls",
            Refusal::Handshake(_) => "websocket",
            Refusal::Io(_) => "lost",
        }
    }

    /// Whether the peer went before it said anything wrong.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(
            self,
            Refusal::Io(_)
                | Refusal::Header(HeaderError::Io(_))
                | Refusal::Handshake(AcceptError::Io(_))
        )
    }
}

impl House {
    pub(crate) fn set_guests_max(&self, guests_max: Option<u32>) {
        let wished = guests_max.unwrap_or(u32::MAX);
        // What one more connection takes, files and those who are connected do not get.
        let possible = machine::connections_max().unwrap_or(u32::MAX);
        let guests_max = wished.min(possible);
        self.guests_max.store(guests_max, Ordering::Relaxed);
    }
}

impl Entrance {
    pub(crate) fn new(rules: Rules, house: &Arc<House>) -> Entrance {
        Entrance {
            number: rules.settings.number,
            rules: ArcSwap::from_pointee(rules),
            guests: AtomicU32::new(0),
            admitted: AtomicU64::new(0),
            refused: Default::default(),
            is_closed: AtomicBool::new(false),
            house: Arc::clone(house),
        }
    }

    /// Lets other rules hold for those who come after.
    pub(crate) fn set_rules(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    /// Of the listener, which no other one ever gets.
    pub(crate) const fn number(&self) -> u16 {
        self.number
    }

    /// Whether HTTP is spoken there.
    pub(crate) fn is_http(&self) -> bool {
        self.rules.load().is_http
    }

    /// Lets nobody in from here on.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// A place for somebody, if there is one left.
    pub(crate) fn admit(
        self: &Arc<Entrance>,
        from: Option<SocketAddr>,
        log: &Log,
    ) -> Option<Guest> {
        let rules = self.rules.load_full();
        let denied = |limit: &str| {
            self.count_refusal(limit);
            let from = from.map_or_else(String::new, |from| format!(" from {}", from.ip()));
            let what = format_args!("Client connection{from} denied: {limit} exceeded.");
            log.write(LogType::Notice, what);
        };
        let max_connections = rules.max_connections.unwrap_or(u32::MAX);
        if !count_up(&self.guests, max_connections) {
            denied("max_connections");
            return None;
        }
        let guests_max = self.house.guests_max.load(Ordering::Relaxed);
        if !count_up(&self.house.guests, guests_max) {
            self.guests.fetch_sub(1, Ordering::Relaxed);
            denied("global_max_connections");
            return None;
        }
        self.admitted.fetch_add(1, Ordering::Relaxed);
        Some(Guest {
            place: Arc::new(Place(Arc::clone(self))),
            rules,
            session: None,
        })
    }

    fn count_refusal(&self, reason: &str) {
        let refused = REFUSALS.iter().zip(&self.refused);
        for (_, count) in refused.filter(|(name, _)| **name == reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What it has counted.
    pub(crate) fn visits(&self) -> Visits {
        let mut refused = [0; REFUSALS.len()];
        for (sum, count) in refused.iter_mut().zip(&self.refused) {
            *sum = count.load(Ordering::Relaxed);
        }
        Visits {
            guests: self.guests.load(Ordering::Relaxed).into(),
            admitted: self.admitted.load(Ordering::Relaxed),
            refused,
        }
    }

    /// Connections of all listeners that are taken at the same time, if there is a limit.
    pub(crate) fn guests_max(&self) -> Option<u64> {
        let most = self.house.guests_max.load(Ordering::Relaxed);
        (most < u32::MAX).then_some(most.into())
    }

    /// When its certificate ends, if it has one.
    pub(crate) fn certificate_end(&self) -> Option<SystemTime> {
        self.rules.load().tls.as_ref()?.not_after()
    }
}

fn count_up(count: &AtomicU32, most: u32) -> bool {
    let up = |count| (count < most).then(|| count + 1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, up)
        .is_ok()
}

impl Guest {
    /// Takes somebody who has a place through everything that comes before the first packet or request, or counts
    /// why that did not succeed by then.
    pub(crate) async fn let_in(
        &self,
        stream: Stream,
        until: Instant,
        log: &Log,
    ) -> Option<(Stream, Peer)> {
        let from = stream.peer_addr().ok();
        match timeout_at(until.into(), self.rules.apply(stream)).await {
            Ok(Ok(let_in)) => Some(let_in),
            Ok(Err(refusal)) => {
                self.place.0.count_refusal(refusal.reason());
                log_refusal(log, from, &refusal);
                None
            }
            Err(_) => {
                self.place.0.count_refusal(TIMEOUT);
                None
            }
        }
    }

    /// Whether it has come with a session over HTTP that holds no more.
    pub(crate) fn is_logged_out(&self) -> bool {
        (self.session.as_deref()).is_some_and(|session| !session.holds())
    }

    /// Whether its listener has been closed since it came.
    pub(crate) fn is_too_late(&self) -> bool {
        self.place.0.is_closed.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, Ordering::Relaxed);
        self.0.house.guests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Socket {
    /// A stream of the runtime that this is called in.
    pub(crate) fn into_stream(self) -> io::Result<Stream> {
        match self {
            Socket::Inside(stream) => Ok(Stream::Custom(Custom::new(Box::new(stream)))),
            Socket::Tcp(socket) => tokio::net::TcpStream::from_std(socket).and_then(Stream::tcp),
            #[cfg(unix)]
            Socket::Unix(socket) => tokio::net::UnixStream::from_std(socket).map(Stream::Unix),
            Socket::Upgraded(upgraded) => upgraded.0.adopt(),
        }
    }
}

impl Rules {
    /// Whether the engine may see the connection at once.
    pub(crate) fn are_none(&self) -> bool {
        self.proxy.is_none() && self.tls.is_none() && self.websocket.is_none()
    }

    /// Origins that web pages may come from, besides the listener's own; for MQTT over WebSocket, any if there is none.
    pub(crate) fn origins(&self) -> &[String] {
        (self.websocket.as_ref()).map_or(&[], |rules| &rules.origins)
    }

    /// Everything that comes before the first packet. Bound its time.
    async fn apply(&self, mut stream: Stream) -> Result<(Stream, Peer), Refusal> {
        let mut peer = Peer {
            address: stream.peer_addr().ok(),
            ..Peer::default()
        };
        if let Some(proxy) = self.proxy {
            read_header(&mut stream, proxy, &mut peer).await?;
        }
        if let Some(acceptor) = &self.tls {
            stream = accept::accept_tls(stream, acceptor).await?;
            self.name(&mut peer, &stream);
        }
        if let Some(rules) = &self.websocket
            && !self.is_http
        {
            stream = accept::accept_websocket_by(stream, rules).await?;
        }
        Ok((stream, peer))
    }

    /// Gives the client the user name of its certificate.
    fn name(&self, peer: &mut Peer, stream: &Stream) {
        let Stream::Tls(session) = stream else {
            return;
        };
        let name = match self.certificate_name {
            CertificateName::None => return,
            CertificateName::Identity => session.peer_common_name(),
            CertificateName::Subject => session.peer_distinguished_name(),
        };
        peer.certificate = named(name);
    }
}

/// Who has no name is told so by the engine, in its own words.
fn named(name: Option<impl Into<Box<str>>>) -> Certificate {
    name.map_or(Certificate::Nameless, |name| {
        Certificate::Names(name.into())
    })
}

/// Takes what the load balancer says of its client.
async fn read_header(stream: &mut Stream, proxy: Proxy, peer: &mut Peer) -> Result<(), Refusal> {
    let version = match proxy {
        Proxy::V1 => Version::V1,
        Proxy::V2 { .. } => Version::V2,
    };
    let header = proxy_header::read(stream, version).await?;
    peer.address = header.source.or(peer.address);
    let Proxy::V2 {
        require_tls,
        require_certificate,
        use_identity_as_username,
    } = proxy
    else {
        return Ok(());
    };
    if require_tls && header.tls.is_none() {
        return Err(Refusal::NoTls);
    }
    let tls = header.tls.unwrap_or_default();
    if require_certificate && !tls.has_certificate {
        return Err(Refusal::NoCertificate);
    }
    if use_identity_as_username {
        let name = tls.common_name.filter(|_| tls.has_certificate);
        peer.certificate = named(name);
    }
    Ok(())
}
