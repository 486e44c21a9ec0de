//! The one type of stream that the rest of the stack sees, whatever carries it.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// A connection to the other end: an ordered stream of bytes each way.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
    /// TLS over another stream.
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::Session>),
    /// WebSocket with the subprotocol `mqtt`, over another stream.
    #[cfg(feature = "ws")]
    WebSocket(Box<crate::WebSocket>),
    /// A transport of the caller's own.
    Custom(Custom),
}

/// What a connection can be made of.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// A transport of the caller's own.
pub struct Custom(Box<dyn Transport>);

impl Custom {
    /// Wraps a transport.
    pub fn new(transport: Box<dyn Transport>) -> Custom {
        Custom(transport)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Custom").finish_non_exhaustive()
    }
}

impl Stream {
    /// A stream over `tcp` that sends what it is given at once.
    ///
    /// MQTT packets are small and somebody waits for them: Nagle's algorithm would hold the second of
    /// two back until the first is acknowledged.
    pub fn tcp(tcp: TcpStream) -> io::Result<Stream> {
        tcp.set_nodelay(true)?;
        Ok(Stream::Tcp(tcp))
    }

    /// The address of the other end. Only connections over TCP have one; others answer with
    /// `Unsupported`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.peer_addr()
    }

    /// The address of this end. Only connections over TCP have one; others answer with `Unsupported`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket()?.local_addr()
    }

    /// Moves the connection to the runtime that this is called in, whichever one it was in before. A transport of the
    /// caller's own stays where it is.
    pub fn adopt(self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Tcp(tcp) => Stream::Tcp(TcpStream::from_std(tcp.into_std()?)?),
            #[cfg(unix)]
            Stream::Unix(unix) => Stream::Unix(UnixStream::from_std(unix.into_std()?)?),
            #[cfg(feature = "tls")]
            Stream::Tls(mut tls) => {
                tls.carrier_mut().adopt_in_place()?;
                Stream::Tls(tls)
            }
            #[cfg(feature = "ws")]
            Stream::WebSocket(mut websocket) => {
                websocket.carrier_mut().adopt_in_place()?;
                Stream::WebSocket(websocket)
            }
            Stream::Custom(custom) => Stream::Custom(custom),
        })
    }

    /// What lies under a layer. When it cannot be moved, the layer is left with nothing.
    #[cfg(any(feature = "tls", feature = "ws"))]
    fn adopt_in_place(&mut self) -> io::Result<()> {
        let nothing = Stream::Custom(Custom::new(Box::new(tokio::io::empty())));
        *self = std::mem::replace(self, nothing).adopt()?;
        Ok(())
    }

    /// The TCP connection under all layers.
    fn socket(&self) -> io::Result<&TcpStream> {
        match self {
            Stream::Tcp(tcp) => Ok(tcp),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.carrier().socket(),
            #[cfg(feature = "ws")]
            Stream::WebSocket(websocket) => websocket.carrier().socket(),
            #[cfg(unix)]
            Stream::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            Stream::Custom(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Stream {
        Stream::Tcp(tcp)
    }
}

/// Calls a method of whatever carries the stream.
macro_rules! carrier {
    ($stream:expr, $carrier:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Tcp($carrier) => {
                let $carrier = Pin::new($carrier);
                $call
            }
            #[cfg(unix)]
            Stream::Unix($carrier) => {
                let $carrier = Pin::new($carrier);
                $call
            }
            #[cfg(feature = "tls")]
            Stream::Tls($carrier) => {
                let $carrier = Pin::new($carrier);
                $call
            }
            #[cfg(feature = "ws")]
            Stream::WebSocket($carrier) => {
                let $carrier = Pin::new($carrier);
                $call
            }
            Stream::Custom($carrier) => {
                let $carrier = Pin::new(&mut $carrier.0);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        carrier!(self, carrier => carrier.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        carrier!(self, carrier => carrier.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        carrier!(self, carrier => carrier.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Custom(custom) => custom.0.is_write_vectored(),
            _ => true,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carrier!(self, carrier => carrier.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carrier!(self, carrier => carrier.poll_shutdown(cx))
    }
}
