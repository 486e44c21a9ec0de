//! Opening connections: from an address to a stream, through whatever lies between.
//!
//! The layers, from the wire up: a Unix socket, TCP, a proxy or the caller's own transport; TLS; and
//! WebSocket. One attempt each; when to try again, and for how long, is decided by the caller.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

#[cfg(feature = "proxy")]
use crate::proxy::Proxy;
use crate::stream::{Custom, Stream, Transport};
pub use crate::target::{Credentials, Target, TargetError};
#[cfg(feature = "tls")]
use crate::tls::{CertificateError, Connector};

/// The start that an address has over the next one. From RFC 8305.
const HEAD_START: Duration = Duration::from_millis(250);

/// How to get to a [`Target`], as far as its address does not say it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// How to check servers reached over TLS, and what to show them. Without it, a `mqtts` or `wss`
    /// target cannot be dialled.
    #[cfg(feature = "tls")]
    pub tls: Option<Connector>,
    /// The proxy to go through. Unix sockets and [`Options::open`] go without.
    #[cfg(feature = "proxy")]
    pub proxy: Option<Proxy>,
    /// What holds for TCP connections, other than those through a proxy.
    pub tcp: TcpOptions,
    /// What to ask for when opening a WebSocket.
    #[cfg(feature = "ws")]
    pub websocket: crate::websocket::Options,
    /// Opens the transport in place of TCP. TLS and WebSocket are laid over it as the target says.
    pub open: Option<Arc<dyn Open>>,
}

/// What holds for TCP connections. The default leaves everything to the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// The address of this machine that connections come from. Addresses of the other family are not
    /// called then.
    pub bind: Option<IpAddr>,
    /// Finds dead connections below MQTT.
    pub keep_alive: Option<TcpKeepAlive>,
    /// How long what has been sent may stay without TCP's acknowledgement before the connection ends. Linux
    /// only.
    pub user_timeout: Option<Duration>,
}

impl TcpOptions {
    /// Lets connections come from this address.
    #[must_use]
    pub const fn bind(mut self, address: IpAddr) -> TcpOptions {
        self.bind = Some(address);
        self
    }

    /// Switches TCP's own keep alive on.
    #[must_use]
    pub const fn keep_alive(mut self, keep_alive: TcpKeepAlive) -> TcpOptions {
        self.keep_alive = Some(keep_alive);
        self
    }

    /// Sets how long TCP's acknowledgements may take.
    #[must_use]
    pub const fn user_timeout(mut self, timeout: Duration) -> TcpOptions {
        self.user_timeout = Some(timeout);
        self
    }

    /// Connects to an address; the connection is as it is to be from its first packet on.
    async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(from) = self.bind {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let options = SockRef::from(&socket);
        if let Some(keep_alive) = self.keep_alive {
            options.set_tcp_keepalive(&keep_alive.into())?;
        }
        #[cfg(target_os = "linux")]
        if let Some(timeout) = self.user_timeout {
            options.set_tcp_user_timeout(Some(timeout))?;
        }
        socket.connect(addr).await
    }
}

/// When TCP asks whether the other side is still there. Systems count in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpKeepAlive {
    /// The silence before the first question.
    pub idle: Duration,
    /// The time between two questions.
    pub interval: Duration,
    /// Questions without an answer that end the connection.
    pub probes: u32,
}

impl From<TcpKeepAlive> for socket2::TcpKeepalive {
    fn from(own: TcpKeepAlive) -> socket2::TcpKeepalive {
        socket2::TcpKeepalive::new()
            .with_time(own.idle)
            .with_interval(own.interval)
            .with_retries(own.probes)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// The future of [`Open::open`].
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send>>;

/// A way of one's own to open the transport under a connection.
pub trait Open: Send + Sync {
    /// Opens an ordered stream of bytes to the target. Called once per attempt; dropping the future gives
    /// the attempt up.
    fn open(&self, target: &Target) -> Opening;
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The system knows no address of the host.
    #[error("cannot connect to {target}: its host cannot be looked up")]
    Lookup {
        /// Where to.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// None of the host's addresses answered, or none may be called from the address to bind to.
    #[error("cannot connect to {target}")]
    Connect {
        /// Where to.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// The proxy cannot be reached or refused.
    #[cfg(feature = "proxy")]
    #[error("cannot connect to {target} through the proxy {proxy}: {reason}")]
    Proxy {
        /// Where to.
        target: Target,
        /// Through what, without its credentials.
        proxy: String,
        /// What was wrong.
        reason: String,
    },
    /// [`Options::tls`] is missing.
    #[cfg(feature = "tls")]
    #[error("{target} needs TLS, and nothing says how to check the server")]
    TlsMissing {
        /// Where to.
        target: Target,
    },
    /// The server's certificate failed a check.
    #[cfg(feature = "tls")]
    #[error("the certificate of {target} is not accepted: {check}")]
    Certificate {
        /// Where to.
        target: Target,
        /// Which check.
        check: CertificateError,
    },
    /// No TLS handshake.
    #[cfg(feature = "tls")]
    #[error("the TLS handshake with {target} failed: {reason}")]
    Tls {
        /// Where to.
        target: Target,
        /// What was wrong.
        reason: String,
    },
    /// The server speaks HTTP, but gives no WebSocket here.
    #[cfg(feature = "ws")]
    #[error("{target} answered the WebSocket handshake with HTTP status {status}")]
    Status {
        /// Where to.
        target: Target,
        /// The status code.
        status: u16,
    },
    /// The server speaks WebSocket, but not MQTT over it.
    #[cfg(feature = "ws")]
    #[error("{target} does not speak the WebSocket subprotocol '{subprotocol}'")]
    Subprotocol {
        /// Where to.
        target: Target,
        /// What it was asked for.
        subprotocol: String,
    },
    /// No WebSocket handshake.
    #[cfg(feature = "ws")]
    #[error("{target} did not answer with a WebSocket handshake: {reason}")]
    Handshake {
        /// Where to.
        target: Target,
        /// What was wrong.
        reason: String,
    },
}

/// Opens a connection to `target` with the default [`Options`].
///
/// Over WebSocket, a message of more than `frame_size_max` bytes ends the connection later. Servers may
/// put several packets into one, so the limit of a packet and some room is a good value.
///
/// Dropping the future gives the attempt up and closes what was opened; bound its time.
pub async fn dial(target: &Target, frame_size_max: usize) -> Result<Stream, DialError> {
    dial_with(target, frame_size_max, &Options::default()).await
}

/// [`dial`] with options.
///
/// The addresses of a host are tried side by side, each with a head start of 250 ms over the next, IPv6
/// and IPv4 in turn: the first that answers is taken. Needs a tokio runtime with I/O and time.
///
/// Dropping the future gives the attempt up and closes what was opened; bound its time.
pub async fn dial_with(
    target: &Target,
    frame_size_max: usize,
    options: &Options,
) -> Result<Stream, DialError> {
    let stream = open(target, options).await?;
    #[cfg(feature = "tls")]
    let stream = if target.is_tls() {
        let missing = || DialError::TlsMissing {
            target: target.clone(),
        };
        let connector = options.tls.as_ref().ok_or_else(missing)?;
        connector.connect(target, stream).await?
    } else {
        stream
    };
    #[cfg(feature = "ws")]
    if target.scheme().is_websocket() {
        return crate::websocket::open(target, stream, frame_size_max, &options.websocket).await;
    }
    // Without WebSocket there are no frames.
    let _ = frame_size_max;
    Ok(stream)
}

/// The lowest layer.
async fn open(target: &Target, options: &Options) -> Result<Stream, DialError> {
    let connect_error = |source| DialError::Connect {
        target: target.clone(),
        source,
    };
    if let Some(open) = &options.open {
        let transport = open.open(target).await.map_err(connect_error)?;
        return Ok(Stream::Custom(Custom::new(transport)));
    }
    #[cfg(unix)]
    if target.scheme() == crate::target::Scheme::Unix {
        let socket = tokio::net::UnixStream::connect(target.socket_path()).await;
        return socket.map(Stream::Unix).map_err(connect_error);
    }
    #[cfg(feature = "proxy")]
    if let Some(proxy) = &options.proxy {
        let tcp = proxy.connect(target).await?;
        return Stream::tcp(tcp).map_err(connect_error);
    }
    let addrs = tokio::net::lookup_host((target.host(), target.port())).await;
    let addrs = addrs.map_err(|source| DialError::Lookup {
        target: target.clone(),
        source,
    })?;
    connect_any(addrs, options.tcp)
        .await
        .and_then(Stream::tcp)
        .map_err(connect_error)
}

/// Connects to whichever address of the host answers first.
#[cfg(feature = "proxy")]
pub(crate) async fn connect_tcp(
    host: &str,
    port: u16,
    options: TcpOptions,
) -> io::Result<TcpStream> {
    let addrs = tokio::net::lookup_host((host, port)).await?;
    connect_any(addrs, options).await
}

/// Connects to whichever of the addresses answers first.
async fn connect_any(
    addrs: impl Iterator<Item = SocketAddr>,
    options: TcpOptions,
) -> io::Result<TcpStream> {
    let fits = |addr: &SocketAddr| {
        let from = options.bind;
        from.is_none_or(|from| from.is_ipv4() == addr.is_ipv4())
    };
    let addrs = in_turn(addrs.filter(fits).collect());
    race(addrs, |addr| options.connect(addr), HEAD_START).await
}

/// IPv6 and IPv4 in turn, beginning with the family that the system put first; else in its order.
fn in_turn(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addrs
        .into_iter()
        .partition(|addr| addr.is_ipv6() == first_is_ipv6);
    let mut second = second.into_iter();
    let mut all = Vec::new();
    for addr in first {
        all.push(addr);
        all.extend(second.next());
    }
    all.extend(second);
    all
}

/// The first success of `attempt`, started on one address after the other: at once when the last has
/// failed, else after `head_start`. If none succeeds, the error says what each address answered.
async fn race<T, F>(
    addrs: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> F,
    head_start: Duration,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addrs.into_iter();
    let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failed: Vec<(SocketAddr, io::Error)> = Vec::new();
    loop {
        match waiting.next() {
            Some(addr) => running.push((addr, Box::pin(attempt(addr)))),
            None if running.is_empty() => return Err(all_failed(failed)),
            None => {}
        }
        let one_done = poll_fn(|cx| {
            for index in (0..running.len()).rev() {
                let Some((addr, future)) = running.get_mut(index) else {
                    continue;
                };
                if let Poll::Ready(result) = future.as_mut().poll(cx) {
                    let addr = *addr;
                    drop(running.swap_remove(index));
                    return Poll::Ready(result.map_err(|error| (addr, error)));
                }
            }
            Poll::Pending
        });
        let result = if waiting.len() == 0 {
            Some(one_done.await)
        } else {
            tokio::time::timeout(head_start, one_done).await.ok()
        };
        match result {
            Some(Ok(done)) => return Ok(done),
            Some(Err(failure)) => failed.push(failure),
            None => {}
        }
    }
}

fn all_failed(mut failed: Vec<(SocketAddr, io::Error)>) -> io::Error {
    if failed.len() < 2 {
        let none = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        return failed.pop().map_or_else(none, |(_, error)| error);
    }
    let kind = failed
        .first()
        .map_or(io::ErrorKind::Other, |(_, e)| e.kind());
    let texts: Vec<String> = failed
        .iter()
        .map(|(addr, error)| format!("{addr}: {error}"))
        .collect();
    io::Error::new(kind, texts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("valid")
    }

    #[test]
    fn families_take_turns() {
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(addr);
        let expect = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(addr);
        assert_eq!(in_turn(given.to_vec()), expect);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_does_not_hold_the_next_one_up() {
        let silent = addr("1.1.1.1:1");
        let addrs = vec![silent, addr("2.2.2.2:1"), addr("3.3.3.3:1")];
        let attempt = |addr| async move {
            if addr == silent {
                std::future::pending::<()>().await;
            }
            Ok(addr)
        };
        let started = tokio::time::Instant::now();
        let winner = race(addrs, attempt, HEAD_START).await.expect("one answers");
        assert_eq!(winner, addr("2.2.2.2:1"));
        assert_eq!(started.elapsed().as_millis(), HEAD_START.as_millis());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_error_names_each() {
        let refuse = |_| async { Err::<(), _>(io::ErrorKind::ConnectionRefused.into()) };
        let addrs = vec![addr("1.1.1.1:1"), addr("2.2.2.2:1")];
        let started = tokio::time::Instant::now();
        let error = race(addrs, refuse, HEAD_START).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(
            text.contains("1.1.1.1:1") && text.contains("2.2.2.2:1"),
            "{text}"
        );
        assert_eq!(started.elapsed(), Duration::ZERO, "a failure ends the wait");
    }
}
