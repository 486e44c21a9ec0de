//! What carries the frames of a WebSocket, and how much of them may come before the first message is whole.
//!
//! Messages are gathered before MQTT sees anything of them. A stranger, who has said nothing yet, must not be
//! able to have as much gathered as a client may send later.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Stream;

/// A stream that bounds what is read from it until somebody lifts the bound.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) stream: Stream,
    /// Bytes that may still be read, if they are bounded.
    left: Option<usize>,
}

impl Early {
    pub(crate) const fn bounded(stream: Stream, bytes_max: usize) -> Early {
        Early {
            stream,
            left: Some(bytes_max),
        }
    }

    pub(crate) const fn unbounded(stream: Stream) -> Early {
        Early { stream, left: None }
    }

    /// The first message is whole.
    pub(crate) const fn lift(&mut self) {
        self.left = None;
    }
}

impl AsyncRead for Early {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if let Some(left) = &mut this.left {
            let read = buf.filled().len() - before;
            *left = left.checked_sub(read).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the first WebSocket message is longer than a CONNECT may be",
                )
            })?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Early {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
