//! Taking connections: listening sockets, and the handshakes that lay TLS and WebSocket over them.
//!
//! Who listens where, how many connections there may be and how long a handshake may take is decided
//! by the caller.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

#[cfg(any(feature = "tls", feature = "ws"))]
use crate::Stream;
#[cfg(feature = "tls")]
use crate::tls::Acceptor;
#[cfg(feature = "ws")]
pub use crate::upgrade::{Rules, accept_websocket_by, grant_websocket, websocket_over};

/// Connections that the kernel completes ahead of their acceptance.
const BACKLOG: i32 = 1_024;

/// Who may connect to a Unix socket: everything for the user and the group, as Mosquitto has it.
#[cfg(unix)]
const UNIX_MODE: u32 = 0o770;

/// Opens a listening Unix socket at `path`, ready for `tokio::net::UnixListener::from_std`.
///
/// A socket that an ended process has left at `path` is replaced; one that somebody listens on answers
/// with `AddrInUse`, and so does a file of any other kind. The user and the group of the process may
/// connect, nobody else, whatever its umask is.
#[cfg(unix)]
pub fn listen_unix(path: &std::path::Path) -> io::Result<std::os::unix::net::UnixListener> {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    let addr = socket2::SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let is_socket = path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket());
    // A socket that does not block: whoever listens there may be too busy to answer, and is there all the same.
    if is_socket
        && Socket::new(Domain::UNIX, Type::STREAM, None)
            .and_then(|probe| {
                probe
                    .set_nonblocking(true)
                    .and_then(|()| probe.connect(&addr))
            })
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    {
        std::fs::remove_file(path)?;
    }
    socket.bind(&addr)?;
    // Nobody can connect before this: the socket does not listen yet.
    let prepared = set_permissions(path, Permissions::from_mode(UNIX_MODE))
        .and_then(|()| socket.listen(BACKLOG));
    if let Err(error) = prepared {
        // What went wrong is worth more than what is left behind.
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(socket.into())
}

/// Opens a listening socket at `addr`, ready for `tokio::net::TcpListener::from_std`.
///
/// Port 0 takes a free one. An IPv6 address takes IPv6 connections only, so that `[::]` and `0.0.0.0`
/// can be listened on side by side. Errors are those of the system: `AddrInUse`, `PermissionDenied`,
/// `AddrNotAvailable`.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    listen_on(addr, None)
}

/// [`listen`] for connections that come in over one network interface of Linux. Others answer with
/// `Unsupported`.
pub fn listen_on(addr: SocketAddr, interface: Option<&str>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted server must not wait for the old connections to be forgotten.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if let Some(interface) = interface {
        #[cfg(target_os = "linux")]
        socket
            .bind_device(Some(interface.as_bytes()))
            .map_err(|error| {
                io::Error::new(error.kind(), format!("interface '{interface}': {error}"))
            })?;
        #[cfg(not(target_os = "linux"))]
        return Err(io::Error::new(io::ErrorKind::Unsupported, interface));
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Why a handshake did not come to its end. The culprit is the peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The peer asked for other subprotocols, or for none; it has been answered with HTTP 400.
    #[cfg(feature = "ws")]
    #[error("the peer did not offer the WebSocket subprotocol 'mqtt'")]
    Subprotocol,
    /// The peer's page comes from somewhere else; it has been answered with HTTP 403.
    #[cfg(feature = "ws")]
    #[error("pages of the origin '{0}' are not allowed")]
    Origin(String),
    /// The connection broke.
    #[error("the connection broke during the handshake")]
    Io(#[from] io::Error),
    /// No WebSocket handshake; the peer has been answered in HTTP.
    #[cfg(feature = "ws")]
    #[error("the peer did not make a WebSocket handshake: {0}")]
    Handshake(String),
    /// No TLS handshake, or no certificate that could be accepted.
    #[cfg(feature = "tls")]
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
}

/// Takes the server's part in a TLS handshake.
///
/// Dropping the future closes the connection; bound its time.
#[cfg(feature = "tls")]
pub async fn accept_tls(
    stream: impl Into<Stream>,
    acceptor: &Acceptor,
) -> Result<Stream, AcceptError> {
    let stream = stream.into();
    set_nodelay(&stream)?;
    acceptor.accept(stream).await
}

#[cfg(any(feature = "tls", feature = "ws"))]
pub(crate) fn set_nodelay(stream: &Stream) -> io::Result<()> {
    match stream {
        Stream::Tcp(tcp) => tcp.set_nodelay(true),
        // What lies under a layer has been set when the layer was put on; the rest knows no delay.
        _ => Ok(()),
    }
}

/// Makes a WebSocket of a connection, whatever path the peer asks for and wherever it comes from.
///
/// A message of more than `frame_size_max` bytes ends the connection later; the limit of a packet is
/// a good value. Dropping the future closes the connection; bound its time.
#[cfg(feature = "ws")]
pub async fn accept_websocket(
    stream: impl Into<Stream>,
    frame_size_max: usize,
) -> Result<Stream, AcceptError> {
    accept_websocket_by(stream, &Rules::new(frame_size_max)).await
}
