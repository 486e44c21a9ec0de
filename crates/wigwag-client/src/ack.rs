//! How a received message is settled: accepted, rejected with a Reason Code, or dropped.
//!
//! What a handler decides goes to the background task as a [`Finished`]; in which order the
//! acknowledgements leave is the core's business.

use std::fmt;
use std::sync::Arc;

use wigwag_proto::ReasonCode;
use wigwag_proto::packet::PacketType;

use crate::PublishError;
use crate::core::Token;
use crate::mailbox::Sender;

/// Why a message was not accepted. Over MQTT 5 the server is told the Reason Code; over MQTT 3.x, which
/// has none in its acknowledgements, the message is acknowledged like any other.
///
/// Mosquitto 2.0.11 does not count a rejected message of QoS 2 as done: after as many as the
/// [Receive Maximum](crate::Limits::receive_maximum) allows it sends no more of QoS 1 and 2 on the
/// connection.
///
/// The text stays here: it goes into [`Event::Rejected`](crate::Event::Rejected).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", .text.as_ref().map_or_else(String::new, |text| format!(": {text}")))]
pub struct Reject {
    reason: ReasonCode,
    text: Option<Arc<str>>,
}

impl Reject {
    /// Rejects with this code, or with [`ReasonCode::UnspecifiedError`] if it is none that an
    /// acknowledgement can reject with.
    pub fn new(reason: ReasonCode) -> Reject {
        let fits = reason.is_error() && reason.is_valid_in(PacketType::PubAck);
        Reject {
            reason: if fits {
                reason
            } else {
                ReasonCode::UnspecifiedError
            },
            text: None,
        }
    }

    /// Adds what a human should know. Payloads do not belong into it.
    #[must_use]
    pub fn text(mut self, text: impl Into<Arc<str>>) -> Reject {
        self.text = Some(text.into());
        self
    }

    /// The payload is not what the handler can read.
    pub(crate) fn payload(text: impl Into<Arc<str>>) -> Reject {
        Reject::new(ReasonCode::PayloadFormatInvalid).text(text)
    }

    /// What the server is told.
    pub const fn reason(&self) -> ReasonCode {
        self.reason
    }
}

impl From<ReasonCode> for Reject {
    fn from(reason: ReasonCode) -> Reject {
        Reject::new(reason)
    }
}

/// A handler that publishes may use `?`.
impl From<PublishError> for Reject {
    fn from(error: PublishError) -> Reject {
        Reject::new(ReasonCode::ImplementationSpecificError).text(error.to_string())
    }
}

/// What a handler ends with: `()`, or a `Result` whose error becomes a [`Reject`].
pub trait IntoVerdict: Send + 'static {
    /// Whether the message is accepted.
    fn into_verdict(self) -> Result<(), Reject>;
}

impl IntoVerdict for () {
    fn into_verdict(self) -> Result<(), Reject> {
        Ok(())
    }
}

impl<E: Into<Reject> + Send + 'static> IntoVerdict for Result<(), E> {
    fn into_verdict(self) -> Result<(), Reject> {
        self.map_err(Into::into)
    }
}

/// What has become of a message for one of its receivers.
#[derive(Debug)]
pub(crate) enum Verdict {
    Accepted,
    /// With the filter of the handler; empty for the fallback.
    Rejected(Arc<str>, Reject),
    /// With the filter of the handler.
    Panicked(Arc<str>),
    /// With the topic of the message: there was no room for it.
    Dropped(Arc<str>),
}

impl Verdict {
    pub(crate) fn new(result: Result<(), Reject>, filter: &Arc<str>) -> Verdict {
        match result {
            Ok(()) => Verdict::Accepted,
            Err(reject) => Verdict::Rejected(filter.clone(), reject),
        }
    }

    /// What the acknowledgement says.
    pub(crate) const fn reason(&self) -> ReasonCode {
        match self {
            Verdict::Accepted => ReasonCode::Success,
            Verdict::Rejected(_, reject) => reject.reason,
            Verdict::Panicked(_) => ReasonCode::ImplementationSpecificError,
            Verdict::Dropped(_) => ReasonCode::QuotaExceeded,
        }
    }
}

/// A receiver has finished with a message.
pub(crate) struct Finished {
    pub(crate) token: Token,
    pub(crate) verdict: Verdict,
}

/// The right, and the duty, to settle one message.
///
/// The acknowledgement leaves when the message has been settled and every message that arrived before
/// it has been, too. `[MQTT-4.6.0-2]` `[MQTT-4.6.0-3]`
///
/// Dropped, a token rejects its message with [`ReasonCode::UnspecifiedError`]. To withhold the
/// acknowledgement would withhold those of all later messages, and in the end stop the server; to send
/// a positive one would claim work that nobody has done.
#[must_use = "dropped, the message is rejected"]
pub struct AckToken {
    /// Empty when settled.
    open: Option<Open>,
}

struct Open {
    token: Token,
    filter: Arc<str>,
    finished: Sender<Finished>,
}

impl AckToken {
    pub(crate) fn new(token: Token, filter: Arc<str>, finished: Sender<Finished>) -> AckToken {
        AckToken {
            open: Some(Open {
                token,
                filter,
                finished,
            }),
        }
    }

    /// Accepts the message.
    pub fn accept(self) {
        self.settle(Ok(()));
    }

    /// Rejects the message.
    pub fn reject(self, reject: impl Into<Reject>) {
        self.settle(Err(reject.into()));
    }

    pub(crate) fn settle(mut self, result: Result<(), Reject>) {
        self.finish(|filter| Verdict::new(result, filter));
    }

    pub(crate) fn panicked(mut self) {
        self.finish(|filter| Verdict::Panicked(filter.clone()));
    }

    pub(crate) fn drop_message(mut self, topic: &str) {
        self.finish(|_| Verdict::Dropped(topic.into()));
    }

    /// The core's name of the message, for somebody else to settle.
    pub(crate) fn into_token(mut self) -> Option<Token> {
        self.open.take().map(|open| open.token)
    }

    fn finish(&mut self, verdict: impl FnOnce(&Arc<str>) -> Verdict) {
        if let Some(open) = self.open.take() {
            // Fails when the client has stopped: nobody will acknowledge anything then.
            let _ = open.finished.send(Finished {
                token: open.token,
                verdict: verdict(&open.filter),
            });
        }
    }
}

impl Drop for AckToken {
    fn drop(&mut self) {
        self.finish(|filter| {
            let reject = Reject::new(ReasonCode::UnspecifiedError);
            Verdict::Rejected(filter.clone(), reject.text("the message was not settled"))
        });
    }
}

impl fmt::Debug for AckToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckToken").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_an_acknowledgement_can_carry_are_sent() {
        let check = |reason, expect| assert_eq!(Reject::new(reason).reason(), expect);
        check(
            ReasonCode::PayloadFormatInvalid,
            ReasonCode::PayloadFormatInvalid,
        );
        check(ReasonCode::NotAuthorized, ReasonCode::NotAuthorized);
        check(ReasonCode::Success, ReasonCode::UnspecifiedError);
        check(
            ReasonCode::NoMatchingSubscribers,
            ReasonCode::UnspecifiedError,
        );
        check(ReasonCode::ServerBusy, ReasonCode::UnspecifiedError);
    }
}
