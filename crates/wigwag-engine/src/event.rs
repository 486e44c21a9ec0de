//! What happened, for log and metrics: one enum for all of the engine.

use std::time::Duration;

use wigwag_proto::packet::Version;
use wigwag_proto::{DecodeError, Qos, ReasonCode, Time};

use crate::memory::Pressure;
use crate::message::MessageRef;
use crate::session::Session;
use crate::shard::ConnectionKey;
use crate::trace::{Traced, Way};

/// Something that an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A CONNECT was accepted.
    Connected {
        /// The connection.
        connection: ConnectionKey,
        /// Its client.
        client_id: Box<str>,
        /// The version that it speaks.
        version: Version,
        /// Whether it goes on with a session.
        session_present: bool,
        /// Its user name, as the authentication left it.
        user_name: Option<Box<str>>,
        /// Whether it asked for a session of its own making.
        clean_start: bool,
        /// Its Keep Alive in seconds; 0 for none.
        keep_alive_secs: u16,
        /// Its Will.
        will: Option<WillNotice>,
        /// Whether it says that it is a bridge.
        is_bridge: bool,
    },
    /// A CONNECT was refused.
    Refused {
        /// The connection.
        connection: ConnectionKey,
        /// Who it said it is, if it got as far as that.
        client_id: Option<Box<str>>,
        /// What the client was told.
        reason: ReasonCode,
    },
    /// A connection ended, or is being ended.
    Closed {
        /// The connection.
        connection: ConnectionKey,
        /// Its client, if it got as far as that.
        client_id: Option<Box<str>>,
        /// Why.
        reason: CloseReason,
    },
    /// A session ended because its Session Expiry Interval passed.
    SessionExpired {
        /// Its client.
        client_id: Box<str>,
    },
    /// A packet came or went; told only while the shard is tracing.
    Packet {
        /// The connection.
        connection: ConnectionKey,
        /// Its client, if it got as far as that.
        client_id: Option<Box<str>>,
        /// Which way.
        way: Way,
        /// The packet.
        packet: Traced,
    },
    /// Messages were not delivered to somebody who wanted them.
    Dropped {
        /// Why.
        reason: DropReason,
        /// How many, since this was told last.
        count: u64,
    },
    /// The node has come to hold too much, or has enough room again.
    MemoryPressure {
        /// How bad it is.
        pressure: Pressure,
        /// Bytes that are held, about.
        held: usize,
        /// Bytes that there may be.
        max: usize,
    },
}

/// What a log says of a Will.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of CONNECT")]
pub struct WillNotice {
    pub topic: Box<str>,
    pub payload_len: usize,
    pub qos: Qos,
    pub retain: bool,
}

impl From<MessageRef<'_>> for WillNotice {
    fn from(will: MessageRef<'_>) -> WillNotice {
        WillNotice {
            topic: will.topic.as_str().into(),
            payload_len: will.payload.len(),
            qos: will.qos,
            retain: will.retain,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it, or the network did, without a DISCONNECT.
    #[error("connection lost")]
    Lost,
    /// The client sent a DISCONNECT.
    #[error("client disconnected: {0}")]
    Disconnect(ReasonCode),
    /// Its CONNECT was refused.
    #[error("refused: {0}")]
    Refused(ReasonCode),
    /// The client sent something that is no packet.
    #[error("{0}")]
    Malformed(DecodeError),
    /// The client sent a packet that is not allowed here.
    #[error("{0}")]
    Protocol(&'static str),
    /// No whole CONNECT came in time.
    #[error("no CONNECT in time")]
    ConnectTimeout,
    /// Nothing came for one and a half times the Keep Alive.
    #[error("nothing received for one and a half times the Keep Alive")]
    KeepAliveTimeout,
    /// Another connection took the session over.
    #[error("session taken over by another connection")]
    TakenOver,
    /// The embedder wanted it closed.
    #[error("closed by the administrator: {0}")]
    Kicked(ReasonCode),
    /// The client passed a bound.
    #[error("{0}")]
    Quota(&'static str),
    /// The broker is shutting down.
    #[error("broker is shutting down")]
    ShuttingDown,
}

impl CloseReason {
    /// The client sent a CONNECT and then another one.
    pub const SECOND_CONNECT: CloseReason = CloseReason::Protocol("a second CONNECT");
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// Too many messages or bytes wait for the session.
    QueueFull,
    /// A QoS 0 message for a client that reads too slowly.
    SlowConsumer,
    /// The packet would be larger than the client accepts.
    TooLarge,
    /// The Message Expiry Interval passed.
    Expired,
    /// The client may not have it.
    NotAuthorised,
    /// It would have had to be kept, and the memory is full.
    MemoryFull,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [DropReason; 6] = [
        DropReason::QueueFull,
        DropReason::SlowConsumer,
        DropReason::TooLarge,
        DropReason::Expired,
        DropReason::NotAuthorised,
        DropReason::MemoryFull,
    ];
}

/// Events until somebody takes them.
#[derive(Debug, Default)]
pub(crate) struct Events {
    events: Vec<Event>,
    /// Drops come in floods, so they are counted and told once in a while.
    dropped: [u64; DropReason::ALL.len()],
    /// The same, never reset.
    dropped_in_all: [u64; DropReason::ALL.len()],
    told_drops_at: Time,
}

/// Least time between two reports of dropped messages.
const DROPS_TOLD_EVERY: Duration = Duration::from_secs(1);

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A message is dropped for this session alone.
    pub(crate) fn dropped_for(&mut self, session: &mut Session, reason: DropReason) {
        // What it may not have is no loss.
        session.dropped += u64::from(reason != DropReason::NotAuthorised);
        if !session.identity.listener.counts_loss() {
            self.dropped(reason);
        }
    }

    pub(crate) fn dropped(&mut self, reason: DropReason) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += 1;
        }
        if let Some(count) = self.dropped_in_all.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// What was dropped since the beginning, in the order of [`DropReason::ALL`].
    pub(crate) fn dropped_in_all(&self) -> [u64; DropReason::ALL.len()] {
        self.dropped_in_all
    }

    /// Whether there is anything that cannot wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn take(&mut self, now: Time) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.events);
        if self.dropped.iter().any(|&count| count > 0)
            && now - self.told_drops_at >= DROPS_TOLD_EVERY
        {
            self.told_drops_at = now;
            for (reason, count) in DropReason::ALL.into_iter().zip(&mut self.dropped) {
                if *count > 0 {
                    events.push(Event::Dropped {
                        reason,
                        count: std::mem::take(count),
                    });
                }
            }
        }
        events
    }
}
