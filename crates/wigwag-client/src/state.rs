//! What the client tells about itself: its state, the reasons behind it, and events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wigwag_proto::ReasonCode;

use crate::{Reject, SubscribeError};

/// Where the client stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A connection is being made.
    Connecting {
        /// Attempts since the last stable connection, this one included.
        attempt: u32,
    },
    /// The server has accepted the connection.
    Online {
        /// The server went on with the session that it had.
        session_present: bool,
    },
    /// There is no connection.
    Offline {
        /// Why.
        reason: OfflineReason,
        /// The next attempt; `None` when there will be none.
        next: Option<NextAttempt>,
    },
}

impl State {
    /// Whether the server has accepted the connection.
    pub const fn is_online(&self) -> bool {
        matches!(self, State::Online { .. })
    }
}

/// The attempt to connect that follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextAttempt {
    /// Attempts since the last stable connection, this one included.
    pub number: u32,
    /// The time from the failure to the attempt.
    pub delay: Duration,
    /// When the attempt will be made.
    pub at: Instant,
}

impl NextAttempt {
    /// The time from now to the attempt; zero when it is due.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineReason {
    /// [`Client::start`](crate::Client::start) has not been called.
    #[error("the client has not been started")]
    NotStarted,
    /// The server could not be reached.
    #[error("{0}")]
    Dial(Arc<str>),
    /// The credentials could not be had.
    #[error("there are no credentials: {0}")]
    Credentials(Arc<str>),
    /// The [`Authenticator`](crate::Authenticator) could not be made, or gave up: the server may have failed
    /// to prove itself.
    #[error("the authentication failed: {0}")]
    Authentication(Arc<str>),
    /// The CONNECT cannot be encoded as it has been edited.
    #[error("the CONNECT cannot be sent: {0}")]
    Connect(Arc<str>),
    /// [`Client::terminate_connection`](crate::Client::terminate_connection) was called.
    #[error("the connection was terminated on purpose")]
    Terminated,
    /// Dialling and the handshake together took too long.
    #[error("the server did not accept the connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The server refused the connection.
    #[error("the server refused the connection: {reason}{}", reason_text(.text))]
    Refused {
        /// Why.
        reason: ReasonCode,
        /// The server's words, if it sent any.
        text: Option<Arc<str>>,
    },
    /// The server ended the connection with a DISCONNECT.
    #[error("the server ended the connection: {reason}{}", reason_text(.text))]
    Disconnected {
        /// Why.
        reason: ReasonCode,
        /// The server's words, if it sent any.
        text: Option<Arc<str>>,
    },
    /// The server closed the connection without a word.
    #[error("the server closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(Arc<str>),
    /// The server did not answer a PINGREQ.
    #[error("the server did not answer within the Keep Alive")]
    KeepAlive,
    /// The server broke a rule of the protocol, or a limit; it has been told with this Reason Code.
    #[error("the server broke the protocol: {text} ({reason})")]
    Protocol {
        /// What the server was told.
        reason: ReasonCode,
        /// What was wrong.
        text: Arc<str>,
    },
    /// What had to be stored before it could be told to the server could not be stored.
    #[error("the session could not be stored: {0}")]
    Store(wigwag_store::Error),
    /// [`Client::disconnect`](crate::Client::disconnect) was called.
    #[error("the client was disconnected by its user")]
    Stopped,
}

fn reason_text(text: &Option<Arc<str>>) -> String {
    text.as_ref()
        .map_or_else(String::new, |text| format!(", '{text}'"))
}

/// The client has given up: there will be no further attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Fatal {
    /// Why.
    pub reason: OfflineReason,
}

/// Something happened to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state has changed.
    State(State),
    /// A server is being called.
    Dialling {
        /// Its address, without credentials.
        server: Arc<str>,
        /// Attempts since the last stable connection, this one included.
        attempt: u32,
    },
    /// The server has answered a SUBSCRIBE.
    Subscribed {
        /// The Topic Filter.
        filter: Arc<str>,
        /// The answer.
        result: Result<crate::Granted, SubscribeError>,
    },
    /// The server has forgotten the session: subscriptions are made again, and what was in flight is
    /// [`Indeterminate`](crate::Outcome::Indeterminate).
    SessionLost {
        /// Messages in flight.
        in_flight: usize,
    },
    /// A message was dropped: of QoS 0 when more were waiting for their handlers than the limits allow,
    /// or of any QoS where the subscription wants no more to wait.
    Dropped {
        /// Its topic.
        topic: Arc<str>,
        /// All that have been dropped so far.
        total: u64,
    },
    /// A message larger than the limit arrived over MQTT 3.x, which cannot tell the server about
    /// limits. It was skipped and acknowledged.
    Oversized {
        /// Its topic.
        topic: Arc<str>,
        /// Bytes of the packet.
        size: usize,
    },
    /// A handler has not accepted a message, or an extractor could not read it.
    Rejected {
        /// The Topic Filter of the handler; empty for the fallback.
        filter: Arc<str>,
        /// Why. Over MQTT 5 the server is told the Reason Code.
        reject: Reject,
    },
    /// The store could not take a change. New messages have been refused; changes of the session are
    /// tried again.
    StoreFailed(wigwag_store::Error),
    /// Entries of the store were damaged when it was opened. They have been put aside; the messages among
    /// them that had receipts are [`Damaged`](crate::PublishError::Damaged).
    StoreDamaged {
        /// How many.
        entries: usize,
    },
    /// A handler panicked; its message is rejected with
    /// [`ReasonCode::ImplementationSpecificError`](crate::ReasonCode::ImplementationSpecificError).
    HandlerPanicked {
        /// The Topic Filter of the handler; empty for the fallback.
        filter: Arc<str>,
    },
}
