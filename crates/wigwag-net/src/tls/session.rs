//! A TLS connection after its handshake: bytes both ways, and what the peer has shown.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::error::{explain, rustls_error};
use super::subject;
use crate::Stream;

/// A TLS connection after its handshake.
#[derive(Debug)]
pub struct Session(pub(super) TlsStream<Stream>);

impl Session {
    /// What the records travel over.
    pub(crate) fn carrier(&self) -> &Stream {
        self.0.get_ref().0
    }

    pub(crate) fn carrier_mut(&mut self) -> &mut Stream {
        self.0.get_mut().0
    }

    /// The peer's certificates in DER, its own first; none if it has shown none.
    pub fn peer_certificates(&self) -> impl Iterator<Item = &[u8]> {
        let certificates = self.0.get_ref().1.peer_certificates();
        certificates.into_iter().flatten().map(AsRef::as_ref)
    }

    /// The Common Name in the subject of the peer's certificate.
    pub fn peer_common_name(&self) -> Option<String> {
        subject::common_name(self.peer_certificates().next()?)
    }

    /// The whole subject of the peer's certificate, as RFC 2253 writes it: `CN=…,OU=…,O=…`.
    pub fn peer_distinguished_name(&self) -> Option<String> {
        subject::distinguished_name(self.peer_certificates().next()?)
    }

    /// The application protocol (ALPN) that both have agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.get_ref().1.alpn_protocol()
    }
}

/// What a peer has against us, it may say after the handshake only: a TLS 1.3 client learns that its
/// certificate is not accepted when it reads for the first time.
fn in_words(error: io::Error) -> io::Error {
    match rustls_error(&error) {
        Some(found) => io::Error::new(error.kind(), explain(found)),
        None => error,
    }
}

impl AsyncRead for Session {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.get_mut().0).poll_read(cx, buf)) {
            // No farewell. Packets have their own lengths, so nobody can cut one short unseen.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            result => Poll::Ready(result.map_err(in_words)),
        }
    }
}

impl AsyncWrite for Session {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0)
            .poll_write(cx, buf)
            .map_err(in_words)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0)
            .poll_write_vectored(cx, bufs)
            .map_err(in_words)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0)
            .poll_flush(cx)
            .map_err(in_words)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0)
            .poll_shutdown(cx)
            .map_err(in_words)
    }
}
