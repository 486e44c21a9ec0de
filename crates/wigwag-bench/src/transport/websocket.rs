//! MQTT over WebSocket from the client's side: the request, and frames written and read in place.
//!
//! The library parses the answer and the headers of frames; the payloads stay where they are, because a generator that
//! copies each message would measure itself. Compression is never asked for.

use std::io::{self, Cursor, ErrorKind};

use anyhow::{Context as _, bail, ensure};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_request};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse as _;
use tokio_tungstenite::tungstenite::http::header::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// An answer to the request is not longer.
const ANSWER_LEN_MAX: usize = 16 * 1024;
/// The longest header of a frame from a server.
const HEADER_LEN_MAX: usize = 10;
/// The longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL_LEN_MAX: u64 = 125;

/// The request for WebSocket, and what has come of its answer.
#[derive(Debug)]
pub(super) struct Upgrade {
    request: Vec<u8>,
    accept: String,
    answer: Vec<u8>,
}

impl Upgrade {
    pub(super) fn new(uri: &str) -> anyhow::Result<Upgrade> {
        let mut request = uri.into_client_request()?;
        let protocol = HeaderName::from_static("sec-websocket-protocol");
        request
            .headers_mut()
            .insert(protocol, HeaderValue::from_static("mqtt"));
        let (request, key) = generate_request(request)?;
        Ok(Upgrade {
            request,
            accept: derive_accept_key(key.as_bytes()),
            answer: Vec::new(),
        })
    }

    pub(super) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Takes what has arrived; what came behind the answer once that is complete.
    pub(super) fn handle(&mut self, bytes: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        self.answer.extend_from_slice(bytes);
        let parsed = Response::try_parse(&self.answer)
            .context("the broker's answer is not HTTP: does it speak WebSocket on this port?")?;
        let Some((len, response)) = parsed else {
            ensure!(
                self.answer.len() <= ANSWER_LEN_MAX,
                "the broker's answer to the request for WebSocket does not end"
            );
            return Ok(None);
        };
        let status = response.status();
        if status.as_u16() != 101 {
            bail!("the broker does not speak WebSocket at this path: HTTP {status}");
        }
        let header = |name: &str| response.headers().get(name).map(HeaderValue::as_bytes);
        ensure!(
            header("sec-websocket-accept") == Some(self.accept.as_bytes()),
            "the broker's answer belongs to another request for WebSocket"
        );
        ensure!(
            header("sec-websocket-protocol") == Some(b"mqtt"),
            "the server speaks WebSocket but not MQTT on it"
        );
        Ok(Some(self.answer.split_off(len)))
    }
}

/// The frames of a connection.
#[derive(Debug, Default)]
pub(super) struct WebSocket {
    /// Bytes that arrived with the answer to the request.
    kept: Vec<u8>,
    /// The front of a header whose rest has not arrived.
    header: Vec<u8>,
    current: Option<Current>,
    is_closed: bool,
}

/// The frame whose payload is being read.
#[derive(Debug)]
struct Current {
    opcode: OpCode,
    left: u64,
    /// The payload of a control frame: it is answered as a whole.
    control: Vec<u8>,
}

impl WebSocket {
    pub(super) fn beginning_with(kept: Vec<u8>) -> WebSocket {
        WebSocket {
            kept,
            ..WebSocket::default()
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(super) fn take_kept(&mut self, buffer: &mut [u8]) -> usize {
        let len = self.kept.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.kept[..len]);
        self.kept.drain(..len);
        len
    }

    /// Appends a frame around the bytes.
    pub(super) fn frame(&self, bytes: &[u8], out: &mut Vec<u8>) {
        append(OpCode::Data(Data::Binary), bytes, out);
    }

    /// Moves the content of data frames to the front of `bytes` and says how much it is; answers go to `out`.
    pub(super) fn unframe(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() && !self.is_closed {
            if self.current.is_none() {
                from += self.take_header(&bytes[from..])?;
                self.finish_if_empty(out);
                continue;
            }
            let Some(current) = &mut self.current else {
                continue;
            };
            let left = usize::try_from(current.left).unwrap_or(usize::MAX);
            let end = from + left.min(bytes.len() - from);
            if matches!(current.opcode, OpCode::Data(_)) {
                bytes.copy_within(from..end, to);
                to += end - from;
            } else {
                current.control.extend_from_slice(&bytes[from..end]);
            }
            current.left -= (end - from) as u64;
            from = end;
            self.finish_if_empty(out);
        }
        Ok(to)
    }

    /// How many of the bytes belong to the header.
    fn take_header(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let invalid = |what: String| io::Error::new(ErrorKind::InvalidData, what);
        let before = self.header.len();
        let offered = bytes.len().min(HEADER_LEN_MAX - before);
        self.header.extend_from_slice(&bytes[..offered]);
        let mut cursor = Cursor::new(&self.header);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|error| {
            invalid(format!(
                "the broker sent a malformed WebSocket frame: {error}"
            ))
        })?;
        let Some((header, left)) = parsed else {
            return Ok(offered);
        };
        if header.mask.is_some() || header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(invalid(
                "the broker sent a WebSocket frame that is masked or compressed".to_owned(),
            ));
        }
        if matches!(header.opcode, OpCode::Control(_)) && left > CONTROL_LEN_MAX {
            return Err(invalid(format!(
                "the broker sent a WebSocket control frame of {left} bytes; {CONTROL_LEN_MAX} are allowed"
            )));
        }
        let len = cursor.position() as usize;
        self.header.clear();
        self.current = Some(Current {
            opcode: header.opcode,
            left,
            control: Vec::new(),
        });
        Ok(len - before)
    }

    fn finish_if_empty(&mut self, out: &mut Vec<u8>) {
        let Some(current) = self.current.take_if(|current| current.left == 0) else {
            return;
        };
        match current.opcode {
            OpCode::Control(Control::Ping) => {
                append(OpCode::Control(Control::Pong), &current.control, out);
            }
            OpCode::Control(Control::Close) => self.is_closed = true,
            _ => {}
        }
    }
}

fn append(opcode: OpCode, bytes: &[u8], out: &mut Vec<u8>) {
    // A client masks what it sends, with bytes that nobody can foresee (RFC 6455, section 5.3).
    let mask = fastrand::u32(..).to_ne_bytes();
    let header = FrameHeader {
        opcode,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    // Writing to a vector does not fail.
    let _ = header.format(bytes.len() as u64, out);
    let start = out.len();
    out.extend_from_slice(bytes);
    let (words, rest) = out[start..].as_chunks_mut::<8>();
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a server: not masked.
    fn served(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            opcode,
            ..FrameHeader::default()
        };
        let mut out = Vec::new();
        header.format(payload.len() as u64, &mut out).unwrap();
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn the_content_of_frames_is_found_however_the_bytes_arrive() {
        let long = vec![7; 70_000];
        let frames = [
            served(OpCode::Data(Data::Binary), b"abc"),
            served(OpCode::Control(Control::Ping), b"are you there"),
            served(OpCode::Data(Data::Binary), b""),
            served(OpCode::Data(Data::Binary), &long),
            served(OpCode::Control(Control::Ping), b""),
            served(OpCode::Data(Data::Binary), &[1; 200]),
        ]
        .concat();
        let expected = [&b"abc"[..], &long, &[1; 200]].concat();
        for chunk_len in [1, 2, 3, 7, 64, 4_096, frames.len()] {
            let (mut websocket, mut out, mut content) =
                (WebSocket::default(), Vec::new(), Vec::new());
            for chunk in frames.chunks(chunk_len) {
                let mut chunk = chunk.to_vec();
                let len = websocket.unframe(&mut chunk, &mut out).unwrap();
                content.extend_from_slice(&chunk[..len]);
            }
            assert!(content == expected, "chunks of {chunk_len} bytes");
            assert_eq!(out.len(), 2 + 4 + 13 + 2 + 4, "two pongs");
        }
    }

    #[test]
    fn what_is_sent_is_masked() {
        let content = b"every length has an end of its own";
        for len in 0..content.len() {
            let mut out = Vec::new();
            WebSocket::default().frame(&content[..len], &mut out);
            assert_eq!(out[..2], [0x82, 0x80 | len as u8]);
            let (mask, masked) = out[2..].split_at(4);
            let masked = masked.iter().zip(mask.iter().cycle());
            let unmasked: Vec<u8> = masked.map(|(byte, mask)| byte ^ mask).collect();
            assert_eq!(unmasked, content[..len]);
        }
    }

    #[test]
    fn a_close_frame_ends_the_content() {
        let mut bytes = [
            served(OpCode::Data(Data::Binary), b"abc"),
            served(OpCode::Control(Control::Close), &[3, 232]),
            served(OpCode::Data(Data::Binary), b"def"),
        ]
        .concat();
        let mut websocket = WebSocket::default();
        assert_eq!(websocket.unframe(&mut bytes, &mut Vec::new()).unwrap(), 3);
        assert!(websocket.is_closed());
    }

    #[test]
    fn a_control_frame_is_short() {
        let mut bytes = served(OpCode::Control(Control::Ping), &[0; 126]);
        let refused = WebSocket::default().unframe(&mut bytes, &mut Vec::new());
        let reason = refused.unwrap_err().to_string();
        assert!(reason.contains("126 bytes; 125 are allowed"), "{reason}");
    }

    #[test]
    fn an_answer_that_is_no_consent_is_refused_with_its_reason() {
        let upgrade = || Upgrade::new("ws://localhost:9001/mqtt").unwrap();
        let request = String::from_utf8(upgrade().request().to_vec()).unwrap();
        assert!(request.starts_with("GET /mqtt HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("Sec-WebSocket-Protocol: mqtt\r\n"),
            "{request}"
        );

        let refused =
            |answer: &str| format!("{:#}", upgrade().handle(answer.as_bytes()).unwrap_err());
        assert!(refused("HTTP/1.1 404 Not Found\r\n\r\n").contains("404 Not Found"));
        assert!(refused("\x20\x02\x00\x00\r\n\r\n").contains("not HTTP"));
        let stranger = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n";
        assert!(refused(stranger).contains("another request"));

        let mut upgrade = upgrade();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\nmore",
            upgrade.accept
        );
        let (front, back) = answer.as_bytes().split_at(40);
        assert_eq!(upgrade.handle(front).unwrap(), None);
        assert_eq!(upgrade.handle(back).unwrap(), Some(b"more".to_vec()));
    }
}
