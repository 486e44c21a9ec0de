//! What becomes of what the user asked for: publishes, subscriptions, the shutdown.

use std::time::Duration;

use wigwag_proto::codec::EncodeError;
use wigwag_proto::{Qos, ReasonCode, TopicError};

/// What became of a published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a message may have been rejected"]
pub enum Outcome {
    /// QoS 1 and 2: the server has taken the message over. QoS 0: it has been handed to the connection,
    /// which is all that anyone can know.
    Delivered,
    /// The server has refused the message, which is gone.
    Rejected(ReasonCode),
    /// The message was sent and nobody can tell any more whether it arrived.
    Indeterminate(Indeterminate),
}

impl Outcome {
    /// Whether the message was delivered.
    pub const fn is_delivered(self) -> bool {
        matches!(self, Outcome::Delivered)
    }
}

/// Why the fate of a message is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Indeterminate {
    /// The connection broke before the acknowledgement, and the server has forgotten the session.
    #[error("the server lost the session before it acknowledged the message")]
    SessionLost,
    /// The store no longer knows how far the message had come.
    #[error("the record of the message in flight is damaged")]
    StoreDamaged,
    /// The connection broke before the acknowledgement, and the server of the next one went on with the
    /// session but accepts less: the message is too large for it, of too high a QoS, or retained.
    #[error(
        "the server may not be sent again what it has not acknowledged: it accepts less than before"
    )]
    ServerLimits,
    /// The client stopped before the acknowledgement. A message in a store is sent again by the next
    /// client that opens it.
    #[error("the client stopped before the message was acknowledged")]
    Stopped,
}

/// Why a message was not sent. It has not left this client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic or the Response Topic is not a Topic Name.
    #[error("the topic is not valid: {0}")]
    Topic(#[from] TopicError),
    /// A field is longer than the protocol can carry.
    #[error("a property cannot be sent: {0}")]
    Property(#[from] EncodeError),
    /// The outgoing queue has no room; [`Client::publish`](crate::Client::publish) would wait for it.
    #[error("the outgoing queue is full")]
    Full,
    /// QoS 0 is not kept while there is no connection; see
    /// [`Builder::offline_qos0`](crate::Builder::offline_qos0).
    #[error("there is no connection, and messages of QoS 0 are not kept for the next one")]
    Offline,
    /// The message alone has more bytes than the whole outgoing queue may hold.
    #[error("the message takes {size} bytes, the outgoing queue may hold {max}")]
    ExceedsQueue {
        /// Bytes of the message.
        size: usize,
        /// The limit of the queue.
        max: usize,
    },
    /// The packet is larger than the server accepts.
    #[error("the packet has {size} bytes, the server accepts {max}")]
    PacketTooLarge {
        /// Bytes of the packet.
        size: usize,
        /// The server's Maximum Packet Size.
        max: u32,
    },
    /// The server does not offer this QoS.
    #[error("the server accepts messages up to QoS {}", *.max as u8)]
    QosNotSupported {
        /// The server's Maximum QoS.
        max: Qos,
    },
    /// The server does not keep retained messages.
    #[error("the server does not keep retained messages")]
    RetainNotAvailable,
    /// The Message Expiry Interval ran out in the outgoing queue.
    #[error("the message expired in the outgoing queue after {0:?}")]
    Expired(Duration),
    /// The outgoing queue was full, and a later message took the place; see
    /// [`QueueOverflow::DropOldest`](crate::QueueOverflow::DropOldest).
    #[error("the outgoing queue was full and a later message took the place")]
    Displaced,
    /// The store could not take the message: the disk may be full.
    #[error("the message could not be stored: {0}")]
    Store(wigwag_store::Error),
    /// The message in the store is damaged and has been put aside.
    #[error("the stored message is damaged")]
    Damaged,
    /// A message of QoS 0 cannot have a receipt: nobody acknowledges it.
    #[error("a receipt needs QoS 1 or 2: nobody acknowledges QoS 0")]
    ReceiptNeedsQos,
    /// The client has been disconnected, or the server has refused it for good. A message that a store
    /// has is sent by the next client that opens it.
    #[error("the client has stopped")]
    Stopped,
}

/// A subscription that the server has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// The highest QoS at which messages will come.
    pub qos: Qos,
}

/// Why there is no subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The text is not a Topic Filter.
    #[error("the Topic Filter is not valid: {0}")]
    Filter(#[from] TopicError),
    /// No Local with a shared subscription is a protocol error.
    #[error("No Local is not allowed for a shared subscription")]
    NoLocalShared,
    /// The server refuses the subscription, or has said that it does not offer such subscriptions.
    #[error("the server does not accept the subscription: {0}")]
    Rejected(ReasonCode),
    /// Another subscription with the same filter, or its removal, came before the answer.
    #[error("the subscription was replaced before the server answered")]
    Replaced,
    /// The client has stopped.
    #[error("the client has stopped")]
    Stopped,
}

/// Why a subscription could not be removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsubscribeError {
    /// The text is not a Topic Filter.
    #[error("the Topic Filter is not valid: {0}")]
    Filter(#[from] TopicError),
    /// The server refuses.
    #[error("the server does not remove the subscription: {0}")]
    Rejected(ReasonCode),
    /// The UNSUBSCRIBE is larger than the server accepts. If the server has the subscription from another
    /// time, it keeps it.
    #[error("the UNSUBSCRIBE has {size} bytes, the server accepts {max}")]
    PacketTooLarge {
        /// Bytes of the packet.
        size: usize,
        /// The server's Maximum Packet Size.
        max: u32,
    },
    /// The client has stopped.
    #[error("the client has stopped")]
    Stopped,
}

/// What was left when the client stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// A DISCONNECT was handed to the connection, so the server publishes no Will.
    pub disconnect_sent: bool,
    /// Messages that had not been sent.
    pub queued: usize,
    /// Messages that had been sent and not acknowledged in full.
    pub in_flight: usize,
    /// Received messages whose handlers had not finished.
    pub unhandled: usize,
}

impl DrainReport {
    /// Whether nothing was left and the server was told.
    pub const fn is_clean(&self) -> bool {
        self.disconnect_sent && self.queued == 0 && self.in_flight == 0 && self.unhandled == 0
    }
}
