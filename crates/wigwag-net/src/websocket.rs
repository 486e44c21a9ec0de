//! MQTT over WebSocket as a stream of bytes: section 6 of the standard.
//!
//! Packets need not align with frames, so frames are only a wrapping to take off and put on. Which
//! connections become a WebSocket is decided in `dial` and `accept`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message, protocol::CloseFrame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::Stream;
use crate::dial::{DialError, Target};
use crate::early::Early;

/// The subprotocol of MQTT. `[MQTT-6.0.0-3]`
pub(crate) const SUBPROTOCOL: &str = "mqtt";

/// Bytes in one frame of ours. Also bounds the buffer that a connection keeps after a burst.
const FRAME_LEN_MAX: usize = 16 * 1024;

/// What a client asks for when it opens a WebSocket.
#[derive(Clone, Debug)]
pub struct Options {
    subprotocol: HeaderValue,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            subprotocol: HeaderValue::from_static(SUBPROTOCOL),
            headers: Vec::new(),
        }
    }
}

/// Why a header cannot be sent. The culprit is who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// No token of HTTP.
    #[error("'{0}' is not the name of an HTTP header")]
    Name(String),
    /// One of those that make the handshake.
    #[error("the header '{0}' belongs to the WebSocket handshake")]
    Reserved(String),
    /// A value with line breaks or other control characters; it is not repeated, it may be a secret.
    #[error("the value of the header '{0}' contains characters that HTTP does not allow")]
    Value(String),
    /// No token of HTTP.
    #[error("'{0}' is not the name of a WebSocket subprotocol")]
    Subprotocol(String),
}

impl Options {
    /// Adds a header to the request.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        let parsed: HeaderName = (name.parse()).map_err(|_| HeaderError::Name(name.to_owned()))?;
        let lower = parsed.as_str();
        if lower.starts_with("sec-websocket-") || ["host", "upgrade", "connection"].contains(&lower)
        {
            return Err(HeaderError::Reserved(name.to_owned()));
        }
        let mut value =
            HeaderValue::from_str(value).map_err(|_| HeaderError::Value(name.to_owned()))?;
        value.set_sensitive(true);
        self.headers.push((parsed, value));
        Ok(())
    }

    /// Asks for another subprotocol than `mqtt`; old servers of MQTT 3.1 know `mqttv3.1` only.
    pub fn subprotocol(&mut self, name: &str) -> Result<(), HeaderError> {
        let is_token =
            |byte: u8| byte.is_ascii_graphic() && !b"(),/:;<=>?@[\\]{}\"".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(HeaderError::Subprotocol(name.to_owned()));
        }
        self.subprotocol =
            HeaderValue::from_str(name).map_err(|_| HeaderError::Subprotocol(name.to_owned()))?;
        Ok(())
    }
}

/// Opens a WebSocket over a stream.
pub(crate) async fn open(
    target: &Target,
    carrier: Stream,
    frame_size_max: usize,
    options: &Options,
) -> Result<Stream, DialError> {
    let subprotocol = options.subprotocol.to_str().unwrap_or(SUBPROTOCOL);
    request(target, carrier, frame_size_max, subprotocol, options)
        .await
        .map_err(|error| dial_error(target, subprotocol, error))
}

async fn request(
    target: &Target,
    carrier: Stream,
    frame_size_max: usize,
    subprotocol: &str,
    options: &Options,
) -> Result<Stream, tungstenite::Error> {
    let uri: Uri = target
        .uri()
        .parse()
        .map_err(tungstenite::http::Error::from)?;
    let mut request = tungstenite::client::IntoClientRequest::into_client_request(
        ClientRequestBuilder::new(uri).with_sub_protocol(subprotocol),
    )?;
    for (name, value) in &options.headers {
        request.headers_mut().append(name, value.clone());
    }
    let config = config(frame_size_max);
    let (frames, _) =
        client_async_with_config(request, Early::unbounded(carrier), Some(config)).await?;
    Ok(Stream::WebSocket(Box::new(WebSocket::new(frames))))
}

fn dial_error(target: &Target, subprotocol: &str, error: tungstenite::Error) -> DialError {
    let target = target.clone();
    match error {
        tungstenite::Error::Io(source) => DialError::Connect { target, source },
        tungstenite::Error::Http(response) => DialError::Status {
            target,
            status: response.status().as_u16(),
        },
        tungstenite::Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol | SubProtocolError::InvalidSubProtocol,
        )) => DialError::Subprotocol {
            target,
            subprotocol: subprotocol.to_owned(),
        },
        error => DialError::Handshake {
            target,
            reason: error.to_string(),
        },
    }
}

/// A WebSocket that carries MQTT.
#[derive(Debug)]
pub struct WebSocket {
    frames: WebSocketStream<Early>,
    /// What has not been read yet of the last frame that arrived.
    unread: Bytes,
}

/// How frames are read and written; a message of more than `frame_size_max` bytes ends the connection.
pub(crate) fn config(frame_size_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        // An idle connection keeps this buffer.
        .read_buffer_size(4 * 1024)
        // Every frame leaves when it is written: the pump has gathered what belongs together.
        .write_buffer_size(0)
        .max_message_size(Some(frame_size_max))
        .max_frame_size(Some(frame_size_max))
}

impl WebSocket {
    pub(crate) fn new(frames: WebSocketStream<Early>) -> WebSocket {
        WebSocket {
            frames,
            unread: Bytes::new(),
        }
    }

    /// What the frames travel over.
    pub(crate) fn carrier(&self) -> &Stream {
        &self.frames.get_ref().stream
    }

    pub(crate) fn carrier_mut(&mut self) -> &mut Stream {
        &mut self.frames.get_mut().stream
    }

    /// Waits for a frame with content; false when the peer has closed the WebSocket.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            match ready!(Pin::new(&mut self.frames).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => {}
                Some(Ok(Message::Binary(bytes))) => {
                    self.unread = bytes;
                    self.frames.get_mut().lift();
                    return Poll::Ready(Ok(true));
                }
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(self.refuse_text(cx))),
                // Pongs and the answer to a close frame are sent by the next call of `poll_next`.
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Close(_),
                )) => {}
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
                None => return Poll::Ready(Ok(false)),
            }
        }
    }

    /// MQTT travels in binary frames only. `[MQTT-6.0.0-1]`
    fn refuse_text(&mut self, cx: &mut Context<'_>) -> io::Error {
        let close = Message::Close(Some(CloseFrame {
            code: CloseCode::Unsupported,
            reason: "MQTT needs binary frames".into(),
        }));
        let mut frames = Pin::new(&mut self.frames);
        // The connection ends either way; telling the peer why is a courtesy that must not wait.
        if let Poll::Ready(Ok(())) = frames.as_mut().poll_ready(cx)
            && frames.as_mut().start_send(close).is_ok()
        {
            let _ = frames.poll_flush(cx);
        }
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the peer sent a WebSocket text frame; MQTT needs binary frames",
        )
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.is_empty() && !ready!(this.poll_frame(cx))? {
            return Poll::Ready(Ok(()));
        }
        let count = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread.split_to(count));
        if this.unread.is_empty() {
            // An empty rest would still hold the memory of its frame.
            this.unread = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    /// Gathers the slices into one frame.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut frames = Pin::new(&mut self.get_mut().frames);
        ready!(frames.as_mut().poll_ready(cx)).map_err(io_error)?;
        let frame = gather(bufs);
        let count = frame.len();
        if count > 0 {
            frames
                .start_send(Message::Binary(frame))
                .map_err(io_error)?;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().frames)
            .poll_flush(cx)
            .map_err(io_error)
    }

    /// Sends the close frame.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().frames)
            .poll_close(cx)
            .map_err(io_error)
    }
}

/// The first bytes of `bufs`, as many as one frame takes.
fn gather(bufs: &[IoSlice<'_>]) -> Bytes {
    let len = bufs.iter().map(|buf| buf.len()).sum::<usize>();
    let mut frame = BytesMut::with_capacity(len.min(FRAME_LEN_MAX));
    for buf in bufs {
        let room = FRAME_LEN_MAX - frame.len();
        frame.extend_from_slice(buf.get(..room).unwrap_or(buf));
    }
    frame.freeze()
}

fn io_error(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            io::ErrorKind::BrokenPipe.into()
        }
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}
