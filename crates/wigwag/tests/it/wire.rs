//! MQTT by hand: bytes over a raw socket, for what no decent client would send.
//!
//! Knows just enough of the format to build packets and to take apart what comes back. It does
//! not use our codec: a mistake there must not hide itself.

use std::io::{ErrorKind, Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::process::BOUND;

pub(crate) const CONNACK: u8 = 0x20;
pub(crate) const DISCONNECT: u8 = 0xE0;

/// A packet with the right Remaining Length.
pub(crate) fn packet(first_byte: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first_byte];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        bytes.push(u8::try_from(length % 128).unwrap() | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// A string or binary field: two bytes of length, then the bytes.
pub(crate) fn field(bytes: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// The parts of a CONNECT that tests bend.
#[derive(Clone)]
pub(crate) struct Connect<'a> {
    pub(crate) protocol_name: &'a [u8],
    pub(crate) version: u8,
    pub(crate) flags: u8,
    pub(crate) keep_alive_secs: u16,
    pub(crate) properties: &'a [u8],
    /// All fields after the properties.
    pub(crate) payload: Vec<u8>,
}

impl Connect<'_> {
    /// A clean start without a Client Identifier, which every broker accepts.
    pub(crate) fn clean(version: u8) -> Self {
        Self {
            protocol_name: b"MQTT",
            version,
            flags: 0x02,
            keep_alive_secs: 60,
            properties: &[],
            payload: field(b""),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = field(self.protocol_name);
        body.extend([self.version, self.flags]);
        body.extend(self.keep_alive_secs.to_be_bytes());
        if self.version == 5 {
            body.push(u8::try_from(self.properties.len()).unwrap());
            body.extend_from_slice(self.properties);
        }
        body.extend_from_slice(&self.payload);
        packet(0x10, &body)
    }
}

/// A raw connection to a broker.
pub(crate) struct Wire {
    stream: TcpStream,
}

impl Wire {
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Opened, and past a CONNECT that the broker accepted.
    pub(crate) fn connected(port: u16, connect: &Connect<'_>) -> Self {
        let mut wire = Self::open(port);
        wire.send(&connect.bytes());
        let (first_byte, body) = wire.receive().unwrap();
        assert_eq!((first_byte, body[1]), (CONNACK, 0), "CONNACK {body:02x?}");
        wire
    }

    /// Sends what it can; a broker may close the connection before it has read everything.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            let closed = matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            );
            assert!(closed, "cannot send: {error}");
        }
    }

    /// The next packet: its first byte and what follows the Remaining Length. `None` when the
    /// broker closed the connection.
    pub(crate) fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        read_packet(&mut self.stream)
    }

    /// All packets until the broker closes the connection.
    pub(crate) fn receive_to_the_end(&mut self) -> Vec<(u8, Vec<u8>)> {
        std::iter::from_fn(|| self.receive()).collect()
    }

    /// The same, or `None` when the broker keeps the connection open for `patience`.
    pub(crate) fn receive_to_the_end_within(
        &mut self,
        patience: Duration,
    ) -> Option<Vec<(u8, Vec<u8>)>> {
        let mut bytes = Vec::new();
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let end = self.stream.read_to_end(&mut bytes);
        let is_timeout = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        if end.is_err_and(|error| is_timeout(error.kind())) {
            return None;
        }
        let mut rest = bytes.as_slice();
        Some(std::iter::from_fn(|| read_packet(&mut rest)).collect())
    }

    /// Tells the broker that nothing more will come.
    pub(crate) fn finish_sending(&self) {
        // The broker may have closed the connection already.
        _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

/// A WebSocket past its handshake, with the subprotocol `mqtt`.
pub(crate) fn open_websocket(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let request = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Protocol: mqtt\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-protocol: mqtt\r\n"), "{head}");
    stream
}

/// `None` at the end of the stream, wherever it comes.
fn read_packet(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    fill(stream, &mut byte)?;
    let [first_byte] = byte;
    let (mut length, mut shift) = (0, 0);
    loop {
        fill(stream, &mut byte)?;
        length |= usize::from(byte[0] & 0x7F) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    fill(stream, &mut body)?;
    Some((first_byte, body))
}

fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> Option<()> {
    match stream.read_exact(buffer) {
        Ok(()) => Some(()),
        Err(error) => match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => None,
            _ => panic!("the broker neither answers nor closes the connection: {error}"),
        },
    }
}
