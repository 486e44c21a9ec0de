//! The scripted peer: one end of a connection that does what a script says, packet by packet.
//!
//! `Listener` stands in for a broker, `Connection::open` for a client; both hand out the same
//! `Connection`. Everything that is waited for has a bound, and what did not come is named.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::websocket::{self, Headers};
use crate::wire::{self, Packet, Version};

/// Why a script could not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The peer did not do what the script needs.
    Failed(String),
    /// The peer has no way to do what the script asks for.
    Unsupported(String),
}

impl Stop {
    pub fn failed<T>(what: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Failed(what.into()))
    }
}

/// Where a client under test connects to.
pub struct Listener {
    listener: TcpListener,
    version: Version,
    patience: Duration,
}

impl Listener {
    pub fn bind(version: Version, patience: Duration) -> Result<Listener, Stop> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Ok(Listener {
                listener,
                version,
                patience,
            }),
            Err(error) => Stop::failed(format!("no port to listen on: {error}")),
        }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |addr| addr.port())
    }

    /// The next connection, as it comes.
    pub fn accept(&self) -> Result<Connection, Stop> {
        let end = Instant::now() + self.patience;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Connection::new(stream, self.version, self.patience),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() > end {
                        return Stop::failed("the client did not connect");
                    }
                    // std offers no accept with a deadline.
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Stop::failed(format!("cannot accept: {error}")),
            }
        }
    }
}

impl Listener {
    /// The next connection, once it has become a WebSocket; also returns what the client asked for.
    pub fn accept_websocket(&self) -> Result<(Connection, Headers), Stop> {
        let mut connection = self.accept()?;
        // The handshake is read without a deadline of its own.
        let _ = connection.stream.set_read_timeout(Some(self.patience));
        let headers = websocket::answer(&mut connection.stream)?;
        connection.framing = Some(Framing::default());
        Ok((connection, headers))
    }
}

/// The WebSocket layer of a connection.
#[derive(Default)]
struct Framing {
    is_client: bool,
    buffer: Vec<u8>,
    is_closed: bool,
    is_wrong: bool,
}

/// One end of a connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    framing: Option<Framing>,
    pub version: Version,
    pub patience: Duration,
}

impl Connection {
    fn new(stream: TcpStream, version: Version, patience: Duration) -> Result<Connection, Stop> {
        let prepared = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| stream.set_write_timeout(Some(patience)));
        match prepared {
            Ok(()) => Ok(Connection {
                stream,
                buffer: Vec::new(),
                framing: None,
                version,
                patience,
            }),
            Err(error) => Stop::failed(format!("the connection broke: {error}")),
        }
    }

    /// Connects to a broker.
    pub fn open(
        addr: SocketAddr,
        version: Version,
        patience: Duration,
    ) -> Result<Connection, Stop> {
        match TcpStream::connect(addr) {
            Ok(stream) => Connection::new(stream, version, patience),
            Err(error) => Stop::failed(format!("cannot connect to {addr}: {error}")),
        }
    }

    /// Connects to a broker's WebSocket listener; also returns what it answered.
    pub fn open_websocket(
        addr: SocketAddr,
        version: Version,
        patience: Duration,
    ) -> Result<(Connection, Headers), Stop> {
        let mut connection = Connection::open(addr, version, patience)?;
        // The handshake is read without a deadline of its own.
        let _ = connection.stream.set_read_timeout(Some(patience));
        let headers = websocket::ask(&mut connection.stream)?;
        connection.framing = Some(Framing {
            is_client: true,
            ..Framing::default()
        });
        Ok((connection, headers))
    }

    /// Sends bytes, right or wrong; over WebSocket in one binary frame. A peer that has closed the
    /// connection is found out by the next read.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.framing.is_some() {
            self.send_frame(websocket::BINARY, bytes);
        } else {
            self.write(bytes);
        }
    }

    /// Sends one frame of any kind.
    pub fn send_frame(&mut self, opcode: u8, payload: &[u8]) {
        let masked = self
            .framing
            .as_ref()
            .is_some_and(|framing| framing.is_client);
        self.write(&websocket::frame(opcode, payload, masked));
    }

    fn write(&mut self, bytes: &[u8]) {
        // What the peer does about it is what the script looks at.
        let _ = self.stream.write_all(bytes);
    }

    /// Whether the peer has sent frames that are not binary.
    pub fn has_wrong_frames(&self) -> bool {
        let framing = self.framing.as_ref();
        framing.is_some_and(|framing| framing.is_wrong)
    }

    /// Takes in what has arrived.
    fn feed(&mut self, bytes: &[u8]) {
        let Some(framing) = &mut self.framing else {
            self.buffer.extend_from_slice(bytes);
            return;
        };
        framing.buffer.extend_from_slice(bytes);
        let unframed = websocket::unframe(&mut framing.buffer);
        framing.is_closed |= unframed.is_closed;
        framing.is_wrong |= unframed.is_wrong;
        self.buffer.extend(unframed.bytes);
    }

    /// Sends bytes in pieces of one.
    pub fn send_split(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
        }
    }

    /// Sends nothing more; the peer sees the end of the stream and can still send.
    pub fn finish(&self) {
        // A connection that has ended already needs no end.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Cuts the connection without a word.
    pub fn cut(self) {
        drop(self);
    }

    /// The next packet; `None` when the peer has closed the connection.
    pub fn receive(&mut self) -> Result<Option<Packet>, Stop> {
        let end = Instant::now() + self.patience;
        self.receive_until(end)?
            .ok_or_else(|| Stop::Failed("nothing came".to_owned()))
    }

    /// The next packet if it comes by then; `Some(None)` is the end of the connection.
    pub fn receive_until(&mut self, end: Instant) -> Result<Option<Option<Packet>>, Stop> {
        loop {
            if let Some((len, length_bytes)) = wire::packet_len(&self.buffer) {
                let bytes: Vec<u8> = self.buffer.drain(..len).collect();
                let packet = wire::parse(&bytes, length_bytes, self.version);
                return packet
                    .map(|packet| Some(Some(packet)))
                    .map_err(Stop::Failed);
            }
            if self
                .framing
                .as_ref()
                .is_some_and(|framing| framing.is_closed)
            {
                return Ok(Some(None));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut chunk = [0; 4096];
            // The timeout of a socket has a lowest value; zero would mean none.
            let _ = self
                .stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))));
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Some(None)),
                Ok(count) => self.feed(chunk.get(..count).unwrap_or_default()),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(_) => return Ok(Some(None)),
            }
        }
    }

    /// The next packet, which must be of this type.
    pub fn expect(&mut self, kind: u8) -> Result<Packet, Stop> {
        let wanted = wire::name(kind);
        match self.receive() {
            Ok(Some(packet)) if packet.kind == kind => Ok(packet),
            Ok(Some(packet)) => {
                Stop::failed(format!("expected {wanted}, got {}", packet.describe()))
            }
            Ok(None) => Stop::failed(format!("expected {wanted}, but the connection was closed")),
            Err(Stop::Failed(what)) => Stop::failed(format!("expected {wanted}, but {what}")),
            Err(other) => Err(other),
        }
    }

    /// Everything until the peer closes the connection, which it must.
    pub fn until_closed(&mut self) -> Result<Vec<Packet>, Stop> {
        let end = Instant::now() + self.patience;
        let mut packets = Vec::new();
        loop {
            match self.receive_until(end)? {
                Some(Some(packet)) => packets.push(packet),
                Some(None) => return Ok(packets),
                None => return Stop::failed("the connection stays open"),
            }
        }
    }

    /// Whether the peer closes the connection in time, whatever it sends before.
    pub fn is_closed(&mut self) -> bool {
        let end = Instant::now() + self.patience;
        loop {
            match self.receive_until(end) {
                Ok(Some(None)) => return true,
                Ok(None) => return false,
                // Last words, perhaps in the layout of another version.
                Ok(Some(Some(_))) | Err(_) => {}
            }
        }
    }

    /// Everything up to a packet that the script waits for, and that packet last.
    pub fn until(&mut self, wanted: impl Fn(&Packet) -> bool) -> Result<Vec<Packet>, Stop> {
        let mut packets: Vec<Packet> = Vec::new();
        loop {
            match self.receive() {
                Ok(Some(packet)) => {
                    let found = wanted(&packet);
                    packets.push(packet);
                    if found {
                        return Ok(packets);
                    }
                }
                Ok(None) => {
                    let seen = describe(&packets);
                    return Stop::failed(format!("the connection was closed after [{seen}]"));
                }
                Err(Stop::Failed(what)) => {
                    return Stop::failed(format!("{what} after [{}]", describe(&packets)));
                }
                Err(other) => return Err(other),
            }
        }
    }
}

/// Packets in one line.
pub fn describe(packets: &[Packet]) -> String {
    let all: Vec<String> = packets.iter().map(Packet::describe).collect();
    all.join(", ")
}
