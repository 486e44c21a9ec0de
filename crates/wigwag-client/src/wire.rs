//! A connection without decisions: packets out, packets in, and nothing that the caller has not asked for.
//!
//! It shares the way to the server with [`Client`](crate::Client), and no more. Who sends what, when, and what becomes
//! of it is the caller's business.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use wigwag_net::Pump;
use wigwag_net::dial::{Options, Target, dial_with};
use wigwag_proto::codec::{decode, encode, encode_publish_head, frame};
use wigwag_proto::{DecodeLimits, OutBuf};

pub use wigwag_net::Stream;
pub use wigwag_net::dial::DialError;
pub use wigwag_proto::codec::EncodeError;
pub use wigwag_proto::{DecodeError, Properties, PropertiesBuf, Property, packet};

use crate::config::{BuildError, Builder};
use crate::core::is_refusal_of_3_x;
use crate::{Bytes, Limits, Version};
use packet::{Packet, Publish};

/// Room in a WebSocket frame for more than the largest packet: servers put several into one.
const FRAME_ROOM: usize = 1024 * 1024;

/// The read buffer: it is there only while the connection is.
const SCRATCH_LEN: usize = 16 * 1024;

/// Why a [`Wire`] could not be opened, or came to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The description of the client is not valid. Nothing has been opened.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No connection came about.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection has failed.
    #[error("the connection has failed")]
    Io(#[from] io::Error),
    /// The server has closed the connection.
    #[error("the server has closed the connection")]
    Closed,
    /// The server has sent what is no packet, or one larger than
    /// [`Limits::packet_size_max`](crate::Limits::packet_size_max).
    #[error("the server has sent what cannot be read: {0}")]
    Packet(#[from] DecodeError),
}

/// A connection to a server, for programs that speak MQTT packet by packet: tools, tests, gateways.
///
/// Nothing is sent that the caller has not pushed: no CONNECT, no PINGREQ, no acknowledgement. A program that wants its
/// messages delivered and its subscriptions kept wants a [`Client`](crate::Client).
///
/// ```no_run
/// use wigwag_client::wire::packet::{Connect, Packet};
/// use wigwag_client::wire::{Properties, WireError};
/// use wigwag_client::{Client, Version};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut wire = Client::builder("mqtt://localhost").open_wire().await?;
/// wire.push(&Packet::Connect(Connect {
///     version: Version::V5,
///     is_bridge: false,
///     client_id: "probe",
///     clean_start: true,
///     keep_alive_secs: 0,
///     properties: Properties::EMPTY,
///     will: None,
///     user_name: None,
///     password: None,
/// }))?;
/// let answer = wire.receive(|packet, _| format!("{packet:?}")).await?;
/// println!("{answer}");
/// # Ok(())
/// # }
/// ```
pub struct Wire {
    pump: Pump,
    version: Version,
    packet_size_max: u32,
    out: OutBuf,
    scratch: Vec<u8>,
}

/// Where packets are queued to be sent.
///
/// The queue has no bound: who pushes much looks at [`Wire::queued`], or flushes between.
#[derive(Debug)]
pub struct Outlet<'a> {
    version: Version,
    out: &'a mut OutBuf,
}

impl Outlet<'_> {
    /// Queues a packet.
    pub fn push(&mut self, packet: &Packet<'_>) -> Result<(), EncodeError> {
        let version = self.version;
        self.out.append(|out| encode(packet, version, out))
    }

    /// Queues a PUBLISH whose payload is shared and not copied; that of `publish` is left out.
    pub fn push_publish(
        &mut self,
        publish: &Publish<'_>,
        payload: &Bytes,
    ) -> Result<(), EncodeError> {
        let version = self.version;
        let publish = Publish {
            payload,
            ..*publish
        };
        self.out
            .append(|out| encode_publish_head(&publish, version, out))?;
        self.out.share(payload);
        Ok(())
    }
}

impl Builder {
    /// Opens a connection as this builder describes the way to it, and leaves the protocol to the caller.
    ///
    /// Of the description, the servers, TLS, proxy, WebSocket, transport and TCP options hold, and the version and
    /// the largest packet. The servers are called in their order until one answers; the error is that of the last.
    ///
    /// Dropping the future gives the attempt up; bound its time. Needs a tokio runtime.
    pub async fn open_wire(self) -> Result<Wire, WireError> {
        let (opener, version, limits) = self.into_opener()?;
        Ok(Wire {
            pump: Pump::new(opener.open().await?),
            version,
            packet_size_max: limits.packet_size_max,
            out: OutBuf::new(),
            scratch: vec![0; SCRATCH_LEN],
        })
    }

    /// Prepares the way to the servers, to go it as often as wanted, and leaves even the bytes to the caller.
    ///
    /// Of the description, the servers, TLS, proxy, WebSocket, transport and TCP options hold. What is wrong with it is
    /// said here; nothing is opened yet.
    pub fn opener(self) -> Result<Opener, BuildError> {
        self.into_opener().map(|(opener, ..)| opener)
    }

    fn into_opener(self) -> Result<(Opener, Version, Limits), BuildError> {
        let (way, version, limits) = self.into_way()?;
        let mut servers = way.targets()?;
        let options = way.dialler(&servers, limits.packet_size_max)?.options;
        let opener = Opener {
            first: servers.remove(0),
            others: servers,
            frame_size_max: limits.packet_size_max as usize + FRAME_ROOM,
            options,
        };
        Ok((opener, version, limits))
    }
}

/// A prepared way to one or more servers, for programs that carry MQTT without looking at it.
///
/// ```no_run
/// use wigwag_client::Client;
///
/// # async fn example(mut from: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// let opener = Client::builder("mqtts://broker.example").opener()?;
/// let mut to = opener.open().await?;
/// tokio::io::copy_bidirectional(&mut from, &mut to).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Opener {
    first: Target,
    others: Vec<Target>,
    frame_size_max: usize,
    options: Options,
}

impl Opener {
    /// Opens a connection; of several servers, the first that answers gets it, and the error is that of the last.
    ///
    /// Dropping the future gives the attempt up; bound its time. Needs a tokio runtime.
    pub async fn open(&self) -> Result<Stream, DialError> {
        let mut result = dial_with(&self.first, self.frame_size_max, &self.options).await;
        for server in &self.others {
            if result.is_ok() {
                break;
            }
            result = dial_with(server, self.frame_size_max, &self.options).await;
        }
        result
    }
}

impl Wire {
    /// The version in which packets are written and read.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Where packets are queued. They leave while [`Wire::receive`] or [`Wire::flush`] is awaited.
    pub const fn outlet(&mut self) -> Outlet<'_> {
        Outlet {
            version: self.version,
            out: &mut self.out,
        }
    }

    /// Queues a packet, as [`Outlet::push`] does.
    pub fn push(&mut self, packet: &Packet<'_>) -> Result<(), EncodeError> {
        self.outlet().push(packet)
    }

    /// Bytes that wait to be written.
    pub const fn queued(&self) -> usize {
        self.out.len()
    }

    /// Waits until all that was pushed has been handed to the system.
    ///
    /// Dropping the future takes nothing back: what is left goes with the next call.
    pub async fn flush(&mut self) -> Result<(), WireError> {
        poll_fn(|cx| self.pump.poll_transmit(cx, &mut self.out)).await?;
        Ok(())
    }

    /// Waits for the next packet, shows it to `read`, which may push answers, and gives back what that makes of it.
    /// Meanwhile what was pushed before is written.
    ///
    /// Dropping the future loses nothing: a packet that has not been shown is shown by the next call.
    pub async fn receive<T>(
        &mut self,
        mut read: impl FnMut(&Packet<'_>, &mut Outlet<'_>) -> T,
    ) -> Result<T, WireError> {
        poll_fn(|cx| self.poll_receive(cx, &mut read)).await
    }

    fn poll_receive<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: &mut impl FnMut(&Packet<'_>, &mut Outlet<'_>) -> T,
    ) -> Poll<Result<T, WireError>> {
        let written = self.pump.poll_transmit(cx, &mut self.out);
        let outlet = Outlet {
            version: self.version,
            out: &mut self.out,
        };
        let mut first = First {
            packet_size_max: self.packet_size_max,
            outlet,
            read,
            shown: None,
        };
        self.pump
            .consume_carried(&mut |bytes| first.handle_bytes(bytes));
        loop {
            if let Some(result) = first.shown {
                return Poll::Ready(result.map_err(WireError::from));
            }
            let mut consume = |bytes: &[u8]| first.handle_bytes(bytes);
            match self.pump.poll_receive(cx, &mut self.scratch, &mut consume) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Err(WireError::Closed)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                // Only now: a server that takes no more may have said why.
                Poll::Pending => {
                    return match written {
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }

    /// Waits until what was pushed has left, and tells the server that nothing more comes.
    ///
    /// Dropping the future closes the connection with what has not left.
    pub async fn close(mut self) -> Result<(), WireError> {
        self.flush().await?;
        poll_fn(|cx| self.pump.poll_close(cx)).await?;
        Ok(())
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("version", &self.version)
            .field("queued", &self.out.len())
            .finish_non_exhaustive()
    }
}

/// Shows the first packet of what has arrived, and no other.
struct First<'a, F, T> {
    packet_size_max: u32,
    outlet: Outlet<'a>,
    read: &'a mut F,
    shown: Option<Result<T, DecodeError>>,
}

impl<T, F: FnMut(&Packet<'_>, &mut Outlet<'_>) -> T> First<'_, F, T> {
    /// Returns how many bytes have been used.
    fn handle_bytes(&mut self, bytes: &[u8]) -> usize {
        if self.shown.is_some() {
            return 0;
        }
        let found = match frame(bytes, self.packet_size_max) {
            Ok(Some(found)) => found,
            Ok(None) => return 0,
            Err(error) => {
                self.shown = Some(Err(error));
                return 0;
            }
        };
        let version = if is_refusal_of_3_x(found) {
            Version::V3_1_1
        } else {
            self.outlet.version
        };
        let packet = decode(found, version, &DecodeLimits::UNLIMITED);
        self.shown = Some(packet.map(|packet| (self.read)(&packet, &mut self.outlet)));
        found.len
    }
}
