//! The bytes of one connection, over TCP, TLS and WebSocket, without blocking.
//!
//! Plain TCP is a system call and nothing else; the layers are paid for by those who ask for them. Knows nothing of
//! MQTT, and nothing of readiness: the owner says when to read and write.

mod websocket;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use wigwag_net::dial;
use wigwag_net::tls::rustls::client::Resumption;
use wigwag_net::tls::rustls::pki_types::ServerName;
use wigwag_net::tls::rustls::{ClientConfig, ClientConnection};
use wigwag_net::tls::{ClientTls, Connector};

use self::websocket::{Upgrade, WebSocket};

/// For the connection that finds out which address of a host answers.
const RESOLVE_MAX: Duration = Duration::from_secs(10);
/// Encrypted or framed bytes that may wait for a socket.
const PENDING_MAX: usize = 256 * 1024;

/// Where a broker listens, and by which layers it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The URI of the request over WebSocket.
    websocket: Option<String>,
}

impl Endpoint {
    /// Finds the first address of the host that answers.
    pub(crate) fn resolve(target: &dial::Target, tls: &ClientTls) -> anyhow::Result<Endpoint> {
        let tls = if target.is_tls() {
            let connector = tls.build()?;
            let name = ServerName::try_from(target.host().to_owned())
                .with_context(|| format!("{target}: no certificate can have this name"))?;
            Some((full_handshakes(&connector), name))
        } else {
            None
        };
        let uri = target.to_string();
        let websocket = match uri.split_once("://") {
            // The library reads `wss` as a wish for its own TLS; the request is the same.
            Some(("ws" | "wss", rest)) => Some(format!("ws://{rest}")),
            _ => None,
        };
        Ok(Endpoint {
            address: reachable(target)?,
            tls,
            websocket,
        })
    }

    #[cfg(test)]
    pub(crate) const fn tcp(address: SocketAddr) -> Endpoint {
        Endpoint {
            address,
            tls: None,
            websocket: None,
        }
    }
}

/// Every connection does the whole handshake: with resumption the second round would measure something else.
fn full_handshakes(connector: &Connector) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(connector.config());
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn reachable(target: &dial::Target) -> anyhow::Result<SocketAddr> {
    let addresses: Vec<_> = (target.host(), target.port())
        .to_socket_addrs()
        .with_context(|| format!("cannot find the host of {target}"))?
        .collect();
    let mut refusal = None;
    for candidate in addresses {
        match TcpStream::connect_timeout(&candidate, RESOLVE_MAX) {
            Ok(_) => return Ok(candidate),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) => Err(error).with_context(|| format!("cannot connect to {target}")),
        None => bail!("the host of {target} has no address"),
    }
}

/// What one read has found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    pub(crate) len: usize,
    /// There may be more to read at once.
    pub(crate) more: bool,
}

/// A connection's way to the broker.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) socket: mio::net::TcpStream,
    layers: Option<Box<Layers>>,
}

#[derive(Debug)]
struct Layers {
    tls: Option<ClientConnection>,
    websocket: Option<WebSocket>,
    /// The request that asks for WebSocket, until it is answered.
    upgrade: Option<Upgrade>,
    /// What WebSocket has framed; the first `written` bytes of it have left.
    out: Vec<u8>,
    written: usize,
}

impl Transport {
    /// Begins to connect; the socket becomes writable when that is done.
    pub(crate) fn connect(endpoint: &Endpoint) -> anyhow::Result<Transport> {
        let socket = mio::net::TcpStream::connect(endpoint.address)
            .with_context(|| format!("cannot connect to {}", endpoint.address))?;
        let tls = match &endpoint.tls {
            Some((config, name)) => Some(ClientConnection::new(config.clone(), name.clone())?),
            None => None,
        };
        let upgrade = endpoint
            .websocket
            .as_deref()
            .map(Upgrade::new)
            .transpose()?;
        let mut layers = (tls.is_some() || upgrade.is_some()).then(|| {
            Box::new(Layers {
                tls,
                websocket: None,
                upgrade,
                out: Vec::new(),
                written: 0,
            })
        });
        if let Some(layers) = &mut layers {
            layers.request();
        }
        Ok(Transport { socket, layers })
    }

    /// Whether the TCP connection is there.
    pub(crate) fn is_connected(&self) -> anyhow::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error).context("cannot connect");
        }
        match self.socket.peer_addr() {
            Ok(_) => {
                self.socket.set_nodelay(true)?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error).context("cannot connect"),
        }
    }

    /// Asks for WebSocket, if that is wanted; true once bytes of MQTT may be written.
    pub(crate) fn is_upgraded(&mut self) -> anyhow::Result<bool> {
        match &mut self.layers {
            Some(layers) if layers.upgrade.is_some() => layers.upgrade(&mut self.socket),
            _ => Ok(true),
        }
    }

    /// Reads what there is, at most as much as fits. Nothing there is `WouldBlock`, a closed connection 0 bytes.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Filled> {
        match &mut self.layers {
            None => {
                let len = self.socket.read(buffer)?;
                Ok(Filled {
                    len,
                    more: len == buffer.len(),
                })
            }
            Some(layers) => layers.read(&mut self.socket, buffer),
        }
    }

    /// Takes some of the bytes. What the layers have taken may still have to be flushed.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.layers {
            None => self.socket.write(bytes),
            Some(layers) => layers.write(&mut self.socket, bytes),
        }
    }

    /// Writes what the layers hold, as much as the socket takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.layers {
            None => Ok(()),
            Some(layers) => layers.flush(&mut self.socket),
        }
    }

    /// Whether the layers hold bytes that the socket has not taken.
    pub(crate) fn is_pending(&self) -> bool {
        self.layers
            .as_ref()
            .is_some_and(|layers| layers.is_pending())
    }
}

impl Layers {
    /// Puts the request for WebSocket in front of everything.
    fn request(&mut self) {
        if let Some(upgrade) = &self.upgrade {
            self.out.extend_from_slice(upgrade.request());
        }
    }

    fn upgrade(&mut self, socket: &mut mio::net::TcpStream) -> anyhow::Result<bool> {
        self.flush(socket)?;
        let mut buffer = [0; 4096];
        let len = match self.read_below(socket, &mut buffer) {
            Ok(Filled { len: 0, .. }) => {
                bail!("the broker closed the connection instead of speaking WebSocket")
            }
            Ok(filled) => filled.len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("cannot read"),
        };
        let Some(upgrade) = &mut self.upgrade else {
            return Ok(true);
        };
        let Some(rest) = upgrade.handle(&buffer[..len])? else {
            return Ok(false);
        };
        self.websocket = Some(WebSocket::beginning_with(rest));
        self.upgrade = None;
        Ok(true)
    }

    fn read(&mut self, socket: &mut mio::net::TcpStream, buffer: &mut [u8]) -> io::Result<Filled> {
        let mut len = 0;
        if self.websocket.as_ref().is_some_and(WebSocket::is_closed) {
            return Ok(Filled { len, more: false });
        }
        loop {
            let room = &mut buffer[len..];
            if room.is_empty() {
                return Ok(Filled { len, more: true });
            }
            let raw = match self.read_below_or_kept(socket, room) {
                Ok(Filled { len: 0, .. }) => return Ok(Filled { len, more: len > 0 }),
                Ok(raw) => raw.len,
                Err(error) if error.kind() == ErrorKind::WouldBlock && len > 0 => {
                    return Ok(Filled { len, more: false });
                }
                Err(error) => return Err(error),
            };
            len += match &mut self.websocket {
                None => raw,
                Some(websocket) => {
                    let len = websocket.unframe(&mut room[..raw], &mut self.out)?;
                    if websocket.is_closed() {
                        return Ok(Filled { len, more: len > 0 });
                    }
                    len
                }
            };
        }
    }

    /// What came behind the answer to the request, then what the layer below has.
    fn read_below_or_kept(
        &mut self,
        socket: &mut mio::net::TcpStream,
        buffer: &mut [u8],
    ) -> io::Result<Filled> {
        if let Some(websocket) = &mut self.websocket {
            let len = websocket.take_kept(buffer);
            if len > 0 {
                return Ok(Filled { len, more: true });
            }
        }
        self.read_below(socket, buffer)
    }

    /// Bytes of TLS's content, or of TCP.
    fn read_below(
        &mut self,
        socket: &mut mio::net::TcpStream,
        buffer: &mut [u8],
    ) -> io::Result<Filled> {
        let Some(tls) = &mut self.tls else {
            let len = socket.read(buffer)?;
            return Ok(Filled { len, more: true });
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read.map(|len| Filled { len, more: true }),
            }
            let len = tls.read_tls(socket)?;
            let state = tls.process_new_packets().map_err(|error| {
                io::Error::new(ErrorKind::InvalidData, format!("TLS failed: {error}"))
            });
            // The other side should learn why.
            if state.is_err() || tls.wants_write() {
                let _ = tls.write_tls(socket);
            }
            state?;
            if len == 0 {
                return Ok(Filled {
                    len: 0,
                    more: false,
                });
            }
        }
    }

    fn write(&mut self, socket: &mut mio::net::TcpStream, bytes: &[u8]) -> io::Result<usize> {
        self.flush(socket)?;
        if self.out.len() - self.written >= PENDING_MAX {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = match (&mut self.websocket, &mut self.tls) {
            (Some(websocket), _) => {
                websocket.frame(bytes, &mut self.out);
                bytes.len()
            }
            (None, Some(tls)) => match tls.writer().write(bytes)? {
                0 => return Err(ErrorKind::WouldBlock.into()),
                len => len,
            },
            (None, None) => socket.write(bytes)?,
        };
        self.flush(socket)?;
        Ok(len)
    }

    fn flush(&mut self, socket: &mut mio::net::TcpStream) -> io::Result<()> {
        let flushed = self.flush_all(socket);
        match flushed {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            flushed => flushed,
        }
    }

    fn flush_all(&mut self, socket: &mut mio::net::TcpStream) -> io::Result<()> {
        loop {
            let waiting = &self.out[self.written..];
            let Some(tls) = &mut self.tls else {
                if waiting.is_empty() {
                    break;
                }
                self.written += socket.write(waiting)?;
                continue;
            };
            let taken = tls.writer().write(waiting)?;
            self.written += taken;
            if !tls.wants_write() {
                if taken == 0 {
                    break;
                }
                continue;
            }
            tls.write_tls(socket)?;
        }
        // Until the handshake is over, TLS takes no more than its own bound.
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Ok(())
    }

    fn is_pending(&self) -> bool {
        self.written < self.out.len() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }
}
