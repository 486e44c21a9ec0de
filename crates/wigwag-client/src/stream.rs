//! Subscriptions as streams: messages wait in a buffer until the program asks for the next one.
//!
//! The buffer has two ends: a [`Sink`] in the background task, and the [`MessageStream`] that the
//! program holds. Either end may go first.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use wigwag_proto::Qos;
use wigwag_proto::packet::SubscriptionOptions;

use crate::ack::{AckToken, Finished};
use crate::buffer::{Delivery, Overflow, Waiting};
use crate::client::{Client, KeySlot, Subscribing};
use crate::core::Token;
use crate::lane::Sink;
use crate::mailbox::Sender;
use crate::message::Message;
use crate::{Granted, SubscribeError};

/// What both ends share.
pub(crate) struct Buffer {
    contents: Mutex<Contents>,
}

struct Contents {
    waiting: Waiting,
    /// Nothing more will come.
    is_closed: bool,
    reader: Option<Waker>,
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing that could panic runs under the lock.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all that wait.
    pub(crate) fn take(&self) -> impl Iterator<Item = (Message, Token)> {
        let waiting = self.lock().waiting.take();
        waiting
            .into_iter()
            .filter_map(|own| Some((own.message, own.ack.into_token()?)))
    }
}

struct BufferSink {
    filter: Arc<str>,
    buffer: Arc<Buffer>,
}

impl Sink for BufferSink {
    fn deliver(&mut self, message: Message, token: Token, finished: &Sender<Finished>) {
        let ack = AckToken::new(token, self.filter.clone(), finished.clone());
        let mut contents = self.buffer.lock();
        if contents.is_closed {
            // The stream has been dropped a moment ago.
            return;
        }
        contents.waiting.push(Delivery {
            message,
            ack,
            route: 0,
        });
        if let Some(reader) = contents.reader.take() {
            reader.wake();
        }
    }
}

impl Drop for BufferSink {
    fn drop(&mut self) {
        let mut contents = self.buffer.lock();
        contents.is_closed = true;
        if let Some(reader) = contents.reader.take() {
            reader.wake();
        }
    }
}

/// The messages of one subscription; made by [`Client::subscribe_stream`].
///
/// Dropped, the stream unsubscribes: the last message that it gave out counts as handled, and those
/// that still wait are rejected. [`MessageStream::detach`] keeps the subscription instead. The stream is
/// a handle like [`Client`] and keeps the client alive.
///
/// [`Client::disconnect`] waits for messages that have not been settled, up to its deadline: drop the
/// streams first.
pub struct MessageStream {
    client: Client,
    filter: Arc<str>,
    buffer: Arc<Buffer>,
    key: KeySlot,
    granted: Option<Granted>,
    /// Of the message that was given out last.
    last: Option<AckToken>,
    is_detached: bool,
}

impl MessageStream {
    /// The Topic Filter of the subscription.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// What the server has granted, if its answer was waited for.
    pub const fn granted(&self) -> Option<Granted> {
        self.granted
    }

    /// The next message; `None` after the client has stopped or the subscription has been removed or
    /// replaced.
    ///
    /// The call accepts the message that the last one gave out: who asks for the next has dealt with it.
    ///
    /// Dropping the future loses nothing: a message leaves the buffer only when the future completes. If
    /// it has been polled, the last message is accepted.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`MessageStream::next`], leaving it to the caller when and how to settle the message. More
    /// messages may be asked for before that.
    ///
    /// Dropping the future loses nothing.
    pub async fn next_with_ack(&mut self) -> Option<(Message, AckToken)> {
        poll_fn(|cx| self.poll_delivery(cx)).await
    }

    /// [`MessageStream::next`] for those who write futures by hand.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let delivery = ready!(self.poll_delivery(cx));
        Poll::Ready(delivery.map(|(message, ack)| {
            self.last = Some(ack);
            message
        }))
    }

    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Message, AckToken)>> {
        self.accept_last();
        // A loop that always finds a message would keep its thread from all other tasks.
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        let mut contents = self.buffer.lock();
        if let Some(delivery) = contents.waiting.pop() {
            budget.made_progress();
            return Poll::Ready(Some((delivery.message, delivery.ack)));
        }
        if contents.is_closed {
            return Poll::Ready(None);
        }
        contents.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn accept_last(&mut self) {
        if let Some(ack) = self.last.take() {
            ack.accept();
        }
    }

    /// Messages that [`Overflow`] has dropped.
    pub fn dropped(&self) -> u64 {
        self.buffer.lock().waiting.dropped()
    }

    /// Gives the stream up and keeps its subscription, also when the server loses the session. Its
    /// messages, those that wait included, go to the handler of [`Builder::fallback`] from then on;
    /// without one they are accepted and forgotten.
    ///
    /// [`Builder::fallback`]: crate::Builder::fallback
    pub fn detach(mut self) {
        self.is_detached = true;
        self.client.detach(self.key.clone(), self.buffer.clone());
    }
}

impl Drop for MessageStream {
    fn drop(&mut self) {
        self.accept_last();
        if self.is_detached {
            return;
        }
        let mut contents = self.buffer.lock();
        contents.is_closed = true;
        let waiting = contents.waiting.take();
        drop(contents);
        // Their tokens reject them.
        drop(waiting);
        self.client.leave(self.key.clone());
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for MessageStream {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        MessageStream::poll_next(self.get_mut(), cx)
    }
}

/// A stream whose subscription the server has not answered yet; returned by
/// [`Client::subscribe_stream`].
///
/// It resolves to the stream, or to the reason for which the server does not accept the subscription.
/// That may take until there is a connection; messages are kept from the beginning. Dropping it
/// unsubscribes.
#[must_use = "dropped, it unsubscribes"]
pub struct Streaming {
    answer: Subscribing,
    /// Empty when given out.
    stream: Option<MessageStream>,
}

impl Streaming {
    /// The stream, without waiting for the server's answer, for a program that may start without a
    /// connection. [`Event::Subscribed`](crate::Event::Subscribed) has the answer.
    ///
    /// `None` after the answer has come: the stream has been given out with it.
    pub fn without_answer(mut self) -> Option<MessageStream> {
        self.stream.take()
    }
}

impl Future for Streaming {
    type Output = Result<MessageStream, SubscribeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let stream = self.stream.take().ok_or(SubscribeError::Stopped);
        Poll::Ready(answer.and_then(|granted| {
            let mut stream = stream?;
            stream.granted = Some(granted);
            Ok(stream)
        }))
    }
}

impl Client {
    /// Subscribes at `qos` and gives the messages out one by one, each accepted when the next one is
    /// asked for.
    ///
    /// Like [`Client::subscribe`], this declares desired state at once: called before [`Client::start`],
    /// it loses nothing of a resumed session.
    pub fn subscribe_stream(&self, filter: impl Into<String>, qos: Qos) -> Streaming {
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        self.subscribe_stream_with(filter, options, Overflow::Pause)
    }

    /// [`Client::subscribe_stream`] with all options, and with what to do when messages arrive faster
    /// than they are asked for.
    pub fn subscribe_stream_with(
        &self,
        filter: impl Into<String>,
        options: SubscriptionOptions,
        overflow: Overflow,
    ) -> Streaming {
        let filter: Arc<str> = filter.into().into();
        let buffer = Arc::new(Buffer {
            contents: Mutex::new(Contents {
                waiting: Waiting::new(overflow),
                is_closed: false,
                reader: None,
            }),
        });
        let sink = Box::new(BufferSink {
            filter: filter.clone(),
            buffer: buffer.clone(),
        });
        let (answer, key) = self.subscribe_sink(filter.clone(), options, sink);
        let stream = MessageStream {
            client: self.clone(),
            filter,
            buffer,
            key,
            granted: None,
            last: None,
            is_detached: false,
        };
        Streaming {
            answer,
            stream: Some(stream),
        }
    }
}

impl fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").finish_non_exhaustive()
    }
}
