//! The builder's part about servers and how to get to them: addresses, TLS, proxy, WebSocket, a
//! transport of one's own, credentials, and the hooks on CONNECT and DISCONNECT.

use std::future::Future;
use std::io;
use std::sync::Arc;

use wigwag_net::Transport;
use wigwag_net::dial::{Open, Options, Target, TargetError, TcpOptions};

use crate::authentication::{Authenticator, Maker};
use crate::config::{BuildError, Builder};
use crate::connect::{
    Attempt, ConnectPacket, Credentials, Dialler, DisconnectPacket, EditConnect, EditDisconnect,
    OpenWith, Provider,
};

/// Room in a WebSocket frame for more than the largest packet: servers put several into one.
const FRAME_ROOM: usize = 1024 * 1024;

/// What has been said about the way to the servers.
pub(crate) struct Way {
    addresses: Vec<String>,
    pub(crate) prefers_first_server: bool,
    pub(crate) server_references_max: u8,
    tcp: TcpOptions,
    #[cfg(feature = "tls")]
    tls: Option<crate::Tls>,
    #[cfg(feature = "proxy")]
    proxy: Option<String>,
    #[cfg(feature = "ws")]
    headers: Vec<(String, String)>,
    #[cfg(feature = "ws")]
    subprotocol: Option<String>,
    open: Option<Arc<dyn Open>>,
    provider: Option<Provider>,
    pub(crate) authenticator: Option<Maker>,
    edit_connect: Option<EditConnect>,
    pub(crate) edit_disconnect: Option<EditDisconnect>,
}

impl Way {
    pub(crate) fn new(address: &str) -> Way {
        Way {
            addresses: vec![address.to_owned()],
            prefers_first_server: false,
            server_references_max: 3,
            tcp: TcpOptions::default(),
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "proxy")]
            proxy: None,
            #[cfg(feature = "ws")]
            headers: Vec::new(),
            #[cfg(feature = "ws")]
            subprotocol: None,
            open: None,
            provider: None,
            authenticator: None,
            edit_connect: None,
            edit_disconnect: None,
        }
    }

    pub(crate) fn targets(&self) -> Result<Vec<Target>, TargetError> {
        self.addresses.iter().map(|a| Target::parse(a)).collect()
    }

    pub(crate) fn dialler(
        &self,
        servers: &[Target],
        packet_size_max: u32,
    ) -> Result<Dialler, BuildError> {
        Ok(Dialler {
            options: self.options(servers)?,
            frame_size_max: packet_size_max as usize + FRAME_ROOM,
            provider: self.provider.clone(),
            authenticator: self.authenticator.clone(),
            edit_connect: self.edit_connect.clone(),
        })
    }

    fn options(&self, servers: &[Target]) -> Result<Options, BuildError> {
        let mut options = Options::default();
        #[cfg(feature = "tls")]
        match &self.tls {
            Some(tls) => options.tls = Some(tls.build()?),
            None if servers.iter().any(Target::is_tls) => {
                options.tls = Some(crate::Tls::native_roots().build()?);
            }
            None => {}
        }
        #[cfg(not(feature = "tls"))]
        debug_assert!(
            !servers.iter().any(Target::is_tls),
            "such an address is refused"
        );
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &self.proxy {
            options.proxy = Some(wigwag_net::proxy::Proxy::parse(proxy)?);
        }
        #[cfg(feature = "ws")]
        {
            for (name, value) in &self.headers {
                options.websocket.header(name, value)?;
            }
            if let Some(name) = &self.subprotocol {
                options.websocket.subprotocol(name)?;
            }
        }
        options.open.clone_from(&self.open);
        options.tcp = self.tcp;
        Ok(options)
    }
}

/// Where the servers are, and how to get there.
impl Builder {
    /// Adds another server, in the words of [`Client::builder`](crate::Client::builder).
    ///
    /// All are called in turn, without a wait between them; the [`Backoff`](crate::Backoff) begins when
    /// each has failed once. Credentials in an address are used for that server only.
    pub fn server(mut self, address: impl Into<String>) -> Builder {
        self.way.addresses.push(address.into());
        self
    }

    /// Begins with the first server again when a connection has ended, in place of the one that comes
    /// after: for a primary server and others that stand in for it.
    ///
    /// A client that is connected to another stays there; [`Client::terminate_connection`] sends it back.
    ///
    /// [`Client::terminate_connection`]: crate::Client::terminate_connection
    pub fn prefer_first_server(mut self) -> Builder {
        self.way.prefers_first_server = true;
        self
    }

    /// Sets what holds for TCP connections. Connections through a proxy and over a
    /// [`Builder::transport`] go without.
    pub fn tcp(mut self, options: TcpOptions) -> Builder {
        self.way.tcp = options;
        self
    }

    /// Sets how many Server References are followed before the [`Backoff`](crate::Backoff) begins; 0
    /// follows none. Default: 3.
    ///
    /// An MQTT 5 server that answers 'use another server' or 'server moved' may name another. It is called
    /// with the same scheme, path and credentials, and a certificate is checked against its own name;
    /// a server that has moved replaces its entry in the list.
    pub fn server_references(mut self, max: u8) -> Builder {
        self.way.server_references_max = max;
        self
    }

    /// Sets how servers reached over TLS are checked, and what they are shown. Default:
    /// [`Tls::native_roots`](crate::Tls::native_roots).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::Tls) -> Builder {
        self.way.tls = Some(tls);
        self
    }

    /// Goes through a proxy: `http://host:3128` (HTTP CONNECT) or `socks5://host:1080`, with optional
    /// `user:password@`, percent-encoded. The proxy looks the server's name up. Unix sockets and
    /// [`Builder::transport`] go without. Default: none; no environment variable is read.
    #[cfg(feature = "proxy")]
    pub fn proxy(mut self, address: impl Into<String>) -> Builder {
        self.way.proxy = Some(address.into());
        self
    }

    /// Adds a header to the request that opens a WebSocket, as for a token. Those of the handshake itself
    /// cannot be set.
    #[cfg(feature = "ws")]
    pub fn websocket_header(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Builder {
        self.way.headers.push((name.into(), value.into()));
        self
    }

    /// Asks for another WebSocket subprotocol than `mqtt`; some old servers know `mqttv3.1` only.
    #[cfg(feature = "ws")]
    pub fn websocket_subprotocol(mut self, name: impl Into<String>) -> Builder {
        self.way.subprotocol = Some(name.into());
        self
    }

    /// Opens the transport in place of TCP: anything that reads and writes bytes in order. TLS and
    /// WebSocket are laid over it as the server's address says.
    ///
    /// `open` is called once per attempt with the address; its future is dropped when the connect timeout
    /// ends the attempt.
    pub fn transport<F, H, T>(mut self, open: F) -> Builder
    where
        F: Fn(Target) -> H + Send + Sync + 'static,
        H: Future<Output = io::Result<T>> + Send + 'static,
        T: Transport + 'static,
    {
        self.way.open = Some(Arc::new(OpenWith(open)));
        self
    }

    /// Asks for the credentials before each attempt, as for tokens that expire. They replace those of
    /// [`Builder::credentials`] and of the address.
    ///
    /// The time it takes counts towards the connect timeout, which drops the future. An error ends the
    /// attempt, and the next comes after the [`Backoff`](crate::Backoff).
    pub fn credentials_with<F, H, E>(mut self, provider: F) -> Builder
    where
        F: Fn(Attempt) -> H + Send + Sync + 'static,
        H: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.way.provider = Some(Arc::new(move |attempt| {
            let providing = provider(attempt);
            Box::pin(async move { providing.await.map_err(Into::into) })
        }));
        self
    }

    /// Authenticates with a method of the server's, beyond user name and password: each attempt to connect
    /// and each [re-authentication](crate::Client::reauthenticate) gets a clone. MQTT 5 only.
    ///
    /// A server that accepts the connection without the method has broken the protocol, and the connection
    /// ends: an authentication is never left out in silence.
    pub fn authenticator(self, authenticator: impl Authenticator + Clone + Sync) -> Builder {
        self.authenticator_with(move |_| {
            std::future::ready(Ok::<_, std::convert::Infallible>(authenticator.clone()))
        })
    }

    /// [`Builder::authenticator`] with one that is made anew each time, as with a token that expires.
    ///
    /// The time it takes counts towards the connect timeout, which drops the future. An error ends the
    /// attempt, and the next comes after the [`Backoff`](crate::Backoff).
    pub fn authenticator_with<F, H, A, E>(mut self, make: F) -> Builder
    where
        F: Fn(Attempt) -> H + Send + Sync + 'static,
        H: Future<Output = Result<A, E>> + Send + 'static,
        A: Authenticator,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.way.authenticator = Some(Arc::new(move |attempt| {
            let making = make(attempt);
            Box::pin(async move {
                let authenticator = making.await.map_err(Into::into)?;
                Ok(Box::new(authenticator) as Box<dyn Authenticator>)
            })
        }));
        self
    }

    /// Changes the CONNECT of each attempt, after the credentials have been put in. It runs inside the
    /// client's task and must not block. What cannot be encoded ends the attempt with
    /// [`OfflineReason::Connect`](crate::OfflineReason::Connect).
    pub fn edit_connect(
        mut self,
        edit: impl Fn(&Attempt, &mut ConnectPacket) + Send + Sync + 'static,
    ) -> Builder {
        self.way.edit_connect = Some(Arc::new(edit));
        self
    }

    /// Changes the DISCONNECT with which [`Client::disconnect`](crate::Client::disconnect) ends a
    /// connection. It runs inside the client's task and must not block. MQTT 5 only: in MQTT 3.x that
    /// packet has no content.
    pub fn edit_disconnect(
        mut self,
        edit: impl Fn(&mut DisconnectPacket) + Send + Sync + 'static,
    ) -> Builder {
        self.way.edit_disconnect = Some(Arc::new(edit));
        self
    }
}
