//! The handle, and what it returns besides [`Pending`].

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};
use tokio::sync::watch;

use super::pending::{NoOutput, Pending, WaitError};
use super::subscription::Subscription;
use super::thread::{Runtime, on_a_thread};
use crate::{
    DrainReport, Event, Fatal, Granted, IntoReply, IntoVerdict, Message, Metrics, MountError,
    Mounted, Outcome, Overflow, Publish, PublishError, Qos, ReauthenticateError, Receipt,
    ReceiptId, RequestError, Router, State, SubscribeError, SubscriptionOptions, UnsubscribeError,
};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The description of the client is wrong.
    #[error(transparent)]
    Description(#[from] crate::BuildError),
    /// The system has no thread for the client.
    #[error("the client's thread cannot be started: {0}")]
    Thread(#[source] io::Error),
}

impl crate::Builder {
    /// [`Builder::build`](crate::Builder::build), for a program without an async runtime: the client brings
    /// a thread of its own.
    pub fn build_blocking(self) -> Result<Client, BuildError> {
        let inner = self.build()?;
        let runtime = Runtime::start(inner.state()).map_err(BuildError::Thread)?;
        Ok(Client { inner, runtime })
    }
}

/// A client of an MQTT server, for threads.
///
/// Clones are cheap and stand for the same client; [the module](super) says what happens when the last
/// one is dropped. Methods whose names are those of [`crate::Client`] do the same.
#[derive(Clone)]
pub struct Client {
    inner: crate::Client,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Describes a client of the server at `address`; see [`crate::Client::builder`]. The description
    /// ends with [`Builder::build_blocking`](crate::Builder::build_blocking).
    pub fn builder(address: &str) -> crate::Builder {
        crate::Client::builder(address)
    }

    /// The same client for async programs, and for whatever is not here. Its tasks run on the client's
    /// own thread, which a clone of it keeps alive like any other handle.
    pub const fn as_async(&self) -> &crate::Client {
        &self.inner
    }

    /// Begins to connect, and to reconnect whenever that is needed. Calls after the first do nothing.
    pub fn start(&self) {
        let _entered = self.runtime.enter();
        self.inner.start();
    }

    /// Waits until the server has accepted the connection; at once if it has.
    ///
    /// Attempts that fail are repeated, also after the time is up. [`WaitError::Failed`] means that there
    /// will be no other.
    pub fn await_connection(&self, timeout: Duration) -> Result<(), WaitError<Fatal>> {
        let connected = self.inner.await_connection();
        let waited = self.runtime.wait(connected, Some(timeout))?;
        waited.map_err(WaitError::Failed)
    }

    /// The state.
    pub fn state(&self) -> State {
        self.inner.state().borrow().clone()
    }

    /// Waits for a state that is `wanted`, and returns it. [`WaitError::Failed`] has the last state of a
    /// client that has ended without it.
    pub fn wait_for_state(
        &self,
        wanted: impl FnMut(&State) -> bool,
        timeout: Duration,
    ) -> Result<State, WaitError<Fatal>> {
        let mut states = self.inner.state();
        let waited = self.runtime.wait(states.wait_for(wanted), Some(timeout))?;
        let found = waited.map(|state| state.clone());
        found.map_err(|_| {
            let reason = match self.state() {
                State::Offline { reason, .. } => reason,
                State::Connecting { .. } | State::Online { .. } => crate::OfflineReason::Stopped,
            };
            WaitError::Failed(Fatal { reason })
        })
    }

    /// What happens from here on.
    pub fn events(&self) -> Events {
        Events {
            receiver: self.inner.events(),
            state: self.inner.state(),
            runtime: self.runtime.clone(),
            missed: 0,
        }
    }

    /// How much the client has done so far, and how much it holds.
    pub fn metrics(&self) -> Metrics {
        self.inner.metrics()
    }

    fn pending<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Pending<T, E> {
        Pending::new(&self.runtime, future)
    }

    // Sending.

    /// Publishes a message; see [`crate::Client::publish`]. Who does not want to know what becomes of it
    /// drops the [`Pending`]: if the outgoing queue has room, the message has been handed over already.
    pub fn publish(&self, publish: Publish) -> Pending<Outcome, PublishError> {
        self.pending(self.inner.publish(publish))
    }

    /// Takes a message of QoS 1 or 2 over for good, online or not; see [`crate::Client::enqueue`].
    pub fn enqueue(&self, publish: Publish) -> Pending<Receipt, PublishError> {
        self.pending(self.inner.enqueue(publish))
    }

    /// What becomes of an enqueued message; see [`Receipt::outcome`].
    pub fn outcome(&self, receipt: &Receipt) -> Pending<Outcome, PublishError> {
        let receipt = receipt.clone();
        self.pending(async move { receipt.outcome().await })
    }

    /// The receipt of an enqueued message; see [`crate::Client::receipt`].
    pub fn receipt(&self, id: ReceiptId) -> Option<Receipt> {
        self.inner.receipt(id)
    }

    /// The receipts of all enqueued messages; see [`crate::Client::receipts`].
    pub fn receipts(&self) -> Vec<Receipt> {
        self.inner.receipts()
    }

    /// Publishes a message if that is possible at once; see [`crate::Client::try_publish`].
    pub fn try_publish(&self, publish: Publish) -> Result<(), PublishError> {
        self.inner.try_publish(publish)
    }

    // Receiving.

    /// Subscribes at `qos`: from here on, `handler` gets the messages that match `filter`, one at a time
    /// and in the order of arrival, on a thread where it may publish and wait. It returns `()`, or a
    /// `Result` whose error becomes a [`Reject`](crate::Reject).
    ///
    /// Desired state, like [`crate::Client::subscribe`]. Dropping the [`Pending`] changes nothing.
    pub fn subscribe<R: IntoVerdict + Send + 'static>(
        &self,
        filter: impl Into<String>,
        qos: Qos,
        handler: impl FnMut(Message) -> R + Send + 'static,
    ) -> Pending<Granted, SubscribeError> {
        self.subscribe_with(filter, with_qos(qos), handler)
    }

    /// [`Client::subscribe`] with all options. Those other than the QoS exist in MQTT 5 only.
    pub fn subscribe_with<R: IntoVerdict + Send + 'static>(
        &self,
        filter: impl Into<String>,
        options: SubscriptionOptions,
        handler: impl FnMut(Message) -> R + Send + 'static,
    ) -> Pending<Granted, SubscribeError> {
        let handler = Arc::new(Mutex::new(handler));
        let handle = move |message: Message| {
            let handler = handler.clone();
            on_a_thread(move || {
                // A handler that has panicked gets the next message all the same.
                let mut handler = handler.lock().unwrap_or_else(PoisonError::into_inner);
                handler(message).into_verdict()
            })
        };
        self.pending(self.inner.subscribe_with(filter, options, handle))
    }

    /// Subscribes at `qos` and gives the messages out one by one, each accepted when the next one is
    /// asked for; see [`crate::Client::subscribe_stream`]. Dropping the [`Pending`] unsubscribes.
    pub fn subscribe_iter(
        &self,
        filter: impl Into<String>,
        qos: Qos,
    ) -> Pending<Subscription, SubscribeError> {
        self.subscribe_iter_with(filter, with_qos(qos), Overflow::Pause)
    }

    /// [`Client::subscribe_iter`] with all options, and with what to do when messages arrive faster than
    /// they are asked for.
    pub fn subscribe_iter_with(
        &self,
        filter: impl Into<String>,
        options: SubscriptionOptions,
        overflow: Overflow,
    ) -> Pending<Subscription, SubscribeError> {
        let streaming = self.inner.subscribe_stream_with(filter, options, overflow);
        let runtime = self.runtime.clone();
        self.pending(async move { Ok(Subscription::new(streaming.await?, runtime)) })
    }

    /// Subscribes to every pattern of a router; see [`crate::Client::mount`]. Its handlers are async
    /// functions: they run on the client's own thread, where they must not block.
    pub fn mount<S: Send + Sync + 'static>(
        &self,
        router: Router<S>,
        qos: Qos,
    ) -> Result<Pending<Mounted, Infallible>, MountError> {
        let mounting = self.inner.mount(router, qos)?;
        Ok(self.pending(async move { Ok(mounting.await) }))
    }

    /// Removes the subscription with this filter; see [`crate::Client::unsubscribe`].
    pub fn unsubscribe(&self, filter: impl Into<String>) -> Pending<(), UnsubscribeError> {
        self.pending(self.inner.unsubscribe(filter))
    }

    /// Authenticates again over the connection that there is; see [`crate::Client::reauthenticate`].
    pub fn reauthenticate(&self) -> Pending<(), ReauthenticateError> {
        self.pending(self.inner.reauthenticate())
    }

    // Requests.

    /// Asks for an answer; see [`crate::Client::request`]. The request is sent by [`Request::send`].
    pub fn request(&self, topic: impl Into<Box<str>>, payload: impl Into<Bytes>) -> Request {
        Request {
            inner: self.inner.request(topic, payload),
            runtime: self.runtime.clone(),
        }
    }

    /// Answers requests to topics that the pattern matches; see [`crate::Client::serve`]. Up to eight
    /// handlers run at the same time, on threads where they may publish and wait.
    pub fn serve<R: IntoReply>(
        &self,
        pattern: impl Into<String>,
        handler: impl Fn(Message) -> R + Send + Sync + 'static,
    ) -> Result<Pending<Mounted, Infallible>, MountError> {
        let handler = Arc::new(handler);
        let handle = move |message: Message| {
            let handler = handler.clone();
            on_a_thread(move || handler(message).into_reply())
        };
        let mounting = self.inner.serve(pattern, handle)?;
        Ok(self.pending(async move { Ok(mounting.await) }))
    }

    // The end.

    /// Stops the client after everything under way has been finished, and says what was left; see
    /// [`crate::Client::disconnect`].
    ///
    /// On a thread of the client, which would wait for itself, nothing is done and the report says that
    /// no DISCONNECT was sent.
    pub fn disconnect(&self) -> DrainReport {
        let report = self.runtime.wait(self.inner.disconnect(), None);
        report.unwrap_or_default()
    }

    /// [`Client::disconnect`] with a deadline of its own.
    pub fn disconnect_within(&self, within: Duration) -> DrainReport {
        let report = (self.runtime).wait(self.inner.disconnect_within(within), None);
        report.unwrap_or_default()
    }
}

fn with_qos(qos: Qos) -> SubscriptionOptions {
    SubscriptionOptions {
        qos,
        ..SubscriptionOptions::default()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

/// A request; made by [`Client::request`] and sent by [`Request::send`].
#[must_use = "a request is sent by `send`"]
#[derive(Debug)]
pub struct Request {
    inner: crate::Request,
    runtime: Arc<Runtime>,
}

impl Request {
    /// Sets the longest time from sending to the answer. Default: 30 s.
    pub fn timeout(self, timeout: Duration) -> Request {
        self.map(|inner| inner.timeout(timeout))
    }

    /// Sets the QoS of the request; those who serve answer at the same. Default: QoS 1.
    pub fn qos(self, qos: Qos) -> Request {
        self.map(|inner| inner.qos(qos))
    }

    /// Says what the payload is.
    pub fn content_type(self, content_type: impl Into<String>) -> Request {
        self.map(|inner| inner.content_type(content_type))
    }

    /// Adds a User Property.
    pub fn user_property(self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.map(|inner| inner.user_property(name, value))
    }

    fn map(self, change: impl FnOnce(crate::Request) -> crate::Request) -> Request {
        Request {
            inner: change(self.inner),
            runtime: self.runtime,
        }
    }

    /// Sends the request. Dropping the [`Pending`] gives the answer up.
    pub fn send(self) -> Pending<Message, RequestError> {
        Pending::new(&self.runtime, self.inner.into_future())
    }
}

/// What happens to a client; made by [`Client::events`].
///
/// As an iterator it waits for each event, however long that takes, and ends after the client has.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    /// Closed when the client has ended.
    state: watch::Receiver<State>,
    runtime: Arc<Runtime>,
    missed: u64,
}

impl Events {
    /// Waits for the next event for this long; `None` after the last one.
    pub fn next_for(&mut self, timeout: Duration) -> Result<Option<Event>, WaitError<Infallible>> {
        let next = self.wait(Some(timeout));
        next.map_err(WaitError::from)
    }

    /// How many events were missed because nobody asked for them in time.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, NoOutput> {
        let runtime = self.runtime.clone();
        runtime.wait(self.next_event(), timeout)
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            // Asked first: nothing comes after the end.
            let is_over = self.state.has_changed().is_err();
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(count)) => {
                    self.missed += count;
                    continue;
                }
                Err(TryRecvError::Closed) => return None,
                Err(TryRecvError::Empty) if is_over => return None,
                Err(TryRecvError::Empty) => {}
            }
            let mut event = pin!(self.receiver.recv());
            let mut change = pin!(self.state.changed());
            let received = poll_fn(|cx| match event.as_mut().poll(cx) {
                Poll::Ready(received) => Poll::Ready(Some(received)),
                Poll::Pending => change.as_mut().poll(cx).map(|_| None),
            });
            match received.await {
                Some(Ok(event)) => return Some(event),
                Some(Err(RecvError::Lagged(count))) => self.missed += count,
                Some(Err(RecvError::Closed)) | None => {}
            }
        }
    }
}

/// Ends on a thread of the client, which would wait for itself.
impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.wait(None).ok().flatten()
    }
}
