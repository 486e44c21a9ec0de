//! A subscription as an iterator.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::pending::WaitError;
use super::thread::Runtime;
use crate::{AckToken, Granted, Message, MessageStream};

/// The messages of one subscription; made by [`Client::subscribe_iter`](super::Client::subscribe_iter).
///
/// As an iterator it waits for each message, however long that takes, and ends after the client has
/// stopped or the subscription has been removed or replaced. A message is accepted when the next one is
/// asked for.
///
/// Dropped, it unsubscribes: the last message that it gave out counts as handled, and those that still
/// wait are rejected. [`Subscription::detach`] keeps the subscription instead.
#[derive(Debug)]
pub struct Subscription {
    stream: MessageStream,
    runtime: Arc<Runtime>,
}

impl Subscription {
    pub(super) fn new(stream: MessageStream, runtime: Arc<Runtime>) -> Subscription {
        Subscription { stream, runtime }
    }

    /// The Topic Filter of the subscription.
    pub fn topic_filter(&self) -> &str {
        self.stream.filter()
    }

    /// What the server has granted.
    pub const fn granted(&self) -> Option<Granted> {
        self.stream.granted()
    }

    /// Waits for the next message for this long; `None` after the last one.
    ///
    /// The call accepts the message that the last one gave out. A time-out loses nothing.
    pub fn next_for(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<Message>, WaitError<Infallible>> {
        let next = self.runtime.wait(self.stream.next(), Some(timeout));
        next.map_err(WaitError::from)
    }

    /// [`Subscription::next_for`], leaving it to the caller when and how to settle the message. More
    /// messages may be asked for before that.
    pub fn next_with_ack_for(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<(Message, AckToken)>, WaitError<Infallible>> {
        let next = self
            .runtime
            .wait(self.stream.next_with_ack(), Some(timeout));
        next.map_err(WaitError::from)
    }

    /// Messages that [`Overflow`](crate::Overflow) has dropped.
    pub fn dropped(&self) -> u64 {
        self.stream.dropped()
    }

    /// Gives the iterator up and keeps its subscription; see [`MessageStream::detach`].
    pub fn detach(self) {
        self.stream.detach();
    }
}

/// Ends on a thread of the client, which would wait for itself.
impl Iterator for Subscription {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.runtime.wait(self.stream.next(), None).ok().flatten()
    }
}
