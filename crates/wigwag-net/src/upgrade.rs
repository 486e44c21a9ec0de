//! The server's part in opening a WebSocket: an HTTP request that is bounded, checked and answered.
//!
//! Whoever asks for something else gets an answer in HTTP that says what there is.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse as _;
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response};
use tokio_tungstenite::tungstenite::http::header::{
    HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, StatusCode};
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::Stream;
use crate::accept::AcceptError;
use crate::early::Early;
use crate::websocket::{self, SUBPROTOCOL, WebSocket};

/// The subprotocol that MQTT 3.1 registered and old clients still ask for.
const SUBPROTOCOL_3_1: &str = "mqttv3.1";

/// Bytes of frames, and of what may come behind the first message while it is read.
const FRAMING: usize = 8 * 1024;

/// Time for a peer to read why it has been refused.
const LINGER: Duration = Duration::from_secs(1);

/// What a server asks of those who open a WebSocket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// A message of more bytes ends the connection; the limit of a packet is a good value.
    pub frame_size_max: usize,
    /// Bytes that may come before the first message is whole, about; more end the connection. The limit of a
    /// CONNECT is a good value.
    pub first_message_size_max: usize,
    /// Bytes of the request; longer ones are answered with 431.
    pub head_size_max: usize,
    /// Where web pages may come from, such as `https://example.org`. Any if it is empty; else who names no
    /// origin or another is answered with 403.
    pub origins: Vec<String>,
}

impl Rules {
    /// Any origin, and 4 KiB for the request.
    pub fn new(frame_size_max: usize) -> Rules {
        Rules {
            frame_size_max,
            first_message_size_max: frame_size_max,
            head_size_max: 4_096,
            origins: Vec::new(),
        }
    }
}

/// Why a request is not granted, as HTTP says it.
struct Refusal {
    status: StatusCode,
    /// Lines of the answer.
    headers: &'static str,
    text: &'static str,
    error: AcceptError,
}

impl Refusal {
    fn new(status: StatusCode, text: &'static str) -> Refusal {
        Refusal {
            status,
            headers: "",
            text,
            error: AcceptError::Handshake(text.to_owned()),
        }
    }
}

/// Makes a WebSocket of a connection, whatever path the peer asks for.
///
/// Dropping the future closes the connection; bound its time.
pub async fn accept_websocket_by(
    stream: impl Into<Stream>,
    rules: &Rules,
) -> Result<Stream, AcceptError> {
    let mut stream = stream.into();
    crate::accept::set_nodelay(&stream)?;
    let mut read = Vec::new();
    let granted = match read_request(&mut stream, rules.head_size_max, &mut read).await? {
        Ok((len, request)) => grant(&request, rules).map(|headers| (len, answer(&headers))),
        Err(refusal) => Err(refusal),
    };
    match granted {
        Ok((len, answer)) => {
            stream.write_all(&answer).await?;
            stream.flush().await?;
            let early = read.split_off(len);
            Ok(websocket_over(stream, early, rules).await)
        }
        Err(refusal) => {
            // It is refused either way; the peer may not even want to know why.
            let _ = timeout(LINGER, refuse(stream, &refusal)).await;
            Err(refusal.error)
        }
    }
}

/// For a server that reads requests itself: what to answer to one for a WebSocket, with 101 if it is granted. Then
/// [`websocket_over`] makes one of the connection.
pub fn grant_websocket(
    request: &Request,
    rules: &Rules,
) -> Result<HeaderMap, (StatusCode, &'static str)> {
    grant(request, rules).map_err(|refusal| (refusal.status, refusal.text))
}

/// Makes a WebSocket of a connection whose request has been granted. `early` is what has been read behind the request.
/// Dropping the future closes the connection.
pub async fn websocket_over(stream: impl Into<Stream>, early: Vec<u8>, rules: &Rules) -> Stream {
    let config = Some(websocket::config(rules.frame_size_max));
    let stream = Early::bounded(stream.into(), rules.first_message_size_max + FRAMING);
    let frames = WebSocketStream::from_partially_read(stream, early, Role::Server, config).await;
    Stream::WebSocket(Box::new(WebSocket::new(frames)))
}

/// Reads until the request is whole: how many bytes it has, and the request.
async fn read_request(
    stream: &mut Stream,
    size_max: usize,
    read: &mut Vec<u8>,
) -> io::Result<Result<(usize, Request), Refusal>> {
    let mut chunk = [0; 1_024];
    loop {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(chunk.get(..count).unwrap_or_default());
        match Request::try_parse(read) {
            Ok(Some((len, request))) if len <= size_max => return Ok(Ok((len, request))),
            Ok(None) if read.len() < size_max => {}
            Ok(_) => {
                return Ok(Err(Refusal::new(
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    "the request is too long",
                )));
            }
            Err(_) => {
                return Ok(Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "this is no request for a WebSocket",
                )));
            }
        }
    }
}

/// The headers of the answer that opens the WebSocket.
fn grant(request: &Request, rules: &Rules) -> Result<HeaderMap, Refusal> {
    let names = |header: HeaderName, name: &str| {
        let values = request.headers().get_all(header);
        let mut words = values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(name))
    };
    if !names(UPGRADE, "websocket") {
        return Err(Refusal {
            headers: "Upgrade: websocket\r\n",
            ..Refusal::new(
                StatusCode::UPGRADE_REQUIRED,
                "this port speaks MQTT over WebSocket",
            )
        });
    }
    if !names(SEC_WEBSOCKET_VERSION, "13") {
        return Err(Refusal {
            headers: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            ..Refusal::new(
                StatusCode::UPGRADE_REQUIRED,
                "this port speaks version 13 of WebSocket",
            )
        });
    }
    let origin = request
        .headers()
        .get(ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    let is_origin_allowed = |allowed: &String| Some(allowed.as_str()) == origin;
    if !rules.origins.is_empty() && !rules.origins.iter().any(is_origin_allowed) {
        return Err(Refusal {
            error: AcceptError::Origin(origin.unwrap_or("none").to_owned()),
            ..Refusal::new(
                StatusCode::FORBIDDEN,
                "pages of this origin are not welcome",
            )
        });
    }
    // [MQTT-6.0.0-3], [MQTT-6.0.0-4]
    let subprotocol = [SUBPROTOCOL, SUBPROTOCOL_3_1]
        .into_iter()
        .find(|name| names(SEC_WEBSOCKET_PROTOCOL, name));
    let Some(subprotocol) = subprotocol else {
        return Err(Refusal {
            error: AcceptError::Subprotocol,
            ..Refusal::new(
                StatusCode::BAD_REQUEST,
                "this server speaks the WebSocket subprotocol 'mqtt'",
            )
        });
    };
    let response = create_response(request).map_err(|_| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "this is no request for a WebSocket",
        )
    })?;
    let mut headers = response.into_parts().0.headers;
    headers.insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(subprotocol),
    );
    Ok(headers)
}

fn answer(headers: &HeaderMap) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    for (name, value) in headers {
        answer.extend_from_slice(name.as_str().as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    answer
}

/// Answers, closes this side and reads until the peer has closed its own: what it had sent and nobody read
/// would make the system take the answer back.
async fn refuse(mut stream: Stream, refusal: &Refusal) -> io::Result<()> {
    let Refusal {
        status,
        headers,
        text,
        ..
    } = refusal;
    let answer = format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}\n",
        text.len() + 1
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1_024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
