//! Listeners: what is to be listened on, what is, and why it could not be.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::access::AccessError;
use crate::certificates::CertificateError;
use crate::conf::config::{Bind, Listener as Said, Protocol};
use crate::persist::PersistError;

/// What is carried on a listener, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// As it is.
    Tcp,
    /// WebSocket with the subprotocol `mqtt` and any path.
    WebSocket,
    /// Not MQTT, but HTTP: what the broker tells of itself.
    HttpApi,
}

impl Transport {
    pub(crate) const fn of(said: &Said) -> Transport {
        match said.protocol {
            Protocol::WebSockets => Transport::WebSocket,
            Protocol::Mqtt => Transport::Tcp,
            Protocol::HttpApi => Transport::HttpApi,
        }
    }
}

impl Transport {
    /// As Mosquitto's HTTP API calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "mqtt",
            Transport::WebSocket => "websockets",
            Transport::HttpApi => "httpapi",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "MQTT",
            Transport::WebSocket => "MQTT over WebSocket",
            Transport::HttpApi => "the HTTP API",
        })
    }
}

/// A place to listen on, and what holds there.
#[derive(Clone, Debug)]
pub struct Listener {
    pub(crate) said: Said,
    /// The broker starts without it, if it has others.
    pub(crate) is_optional: bool,
}

impl Listener {
    /// MQTT over TCP. Port 0 takes a free one.
    pub fn tcp(addr: SocketAddr) -> Listener {
        let mut said = Said::new(Bind::tcp(Some(&addr.ip().to_string()), addr.port()));
        // As generous as the engine itself: these are not Mosquitto's defaults.
        said.max_topic_alias = 16;
        said.max_topic_alias_broker = 16;
        said.security.allow_anonymous = true;
        Listener::from(said)
    }

    /// MQTT over WebSocket. Port 0 takes a free one.
    pub fn websocket(addr: SocketAddr) -> Listener {
        let mut listener = Listener::tcp(addr);
        listener.said.protocol = Protocol::WebSockets;
        listener
    }

    /// HTTP: metrics, the API, the page of [`Builder::web_ui`](crate::Builder::web_ui), and MQTT over WebSocket at
    /// `/mqtt`. Port 0 takes a free one.
    pub fn http(addr: SocketAddr) -> Listener {
        let mut listener = Listener::tcp(addr);
        listener.said.protocol = Protocol::HttpApi;
        listener
    }

    /// Where web pages that may do more than read come from besides, such as `https://mqtt.example.org`: see the option
    /// `websockets_origin`.
    #[must_use]
    pub fn origins(mut self, origins: Vec<String>) -> Listener {
        self.said.websockets_origins = origins;
        self
    }

    /// Takes connections on all addresses of the machine, over IPv4 and IPv6.
    #[must_use]
    pub fn everywhere(mut self) -> Listener {
        if let Bind::Tcp { host, .. } = &mut self.said.bind {
            *host = None;
        }
        self
    }

    /// Lets the broker start without this listener, if it has others.
    #[must_use]
    pub fn optional(mut self) -> Listener {
        self.is_optional = true;
        self
    }
}

impl From<Said> for Listener {
    fn from(said: Said) -> Listener {
        Listener {
            said,
            is_optional: false,
        }
    }
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// The port; a Unix socket has none.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Address::Tcp(addr) => Some(addr.port()),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(addr) => write!(f, "{addr}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A socket that listens. A listener without an address has one for IPv4 and one for IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct BoundListener {
    /// Of the listener, counted from 0 in the order in which they were added.
    pub number: u16,
    pub transport: Transport,
    pub is_tls: bool,
    pub address: Address,
}

impl BoundListener {
    /// The address, unless it is a Unix socket.
    pub const fn addr(&self) -> Option<SocketAddr> {
        match self.address {
            Address::Tcp(addr) => Some(addr),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for BoundListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.is_tls { " over TLS" } else { "" };
        write!(f, "{}{tls} on {}", self.transport, self.address)
    }
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is in use, not this machine's, or needs more rights.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// The host has no address.
    #[error("cannot listen on '{host}'")]
    Resolve {
        /// The host.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// Each listener may be left out, and all of them were.
    #[error("cannot listen on any of the addresses")]
    Nowhere,
    /// A file of a listener's TLS cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// A file of access cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The file for TLS keys cannot be written.
    #[error("cannot write TLS keys to {path}", path = path.display())]
    KeyLog {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was kept cannot be used.
    #[error(transparent)]
    Persistence(#[from] PersistError),
    /// A thread or its runtime could not be made.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
}
