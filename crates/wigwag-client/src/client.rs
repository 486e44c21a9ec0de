//! The handle: what a program holds of its client.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{broadcast, oneshot, watch};
use wigwag_proto::packet::SubscriptionOptions;
use wigwag_proto::{Qos, Time, TopicFilter};

use crate::authentication::Reauthenticating;
use crate::config::{Builder, Config, QueueOverflow};
use crate::core::{Core, Kept, Key};
use crate::lane::{self, Handled, Handler, Lane, Sink};
use crate::mailbox::{self, Sender};
use crate::message::{Message, Outgoing, Publish};
use crate::metrics::{Board, Metrics};
use crate::receipt::{Enqueuing, Ledger, ReceiptId};
use crate::request::Requests;
use crate::room::{Place, Room};
use crate::state::{Event, Fatal, OfflineReason, State};
use crate::store::Saver;
use crate::stream::Buffer;
use crate::task::{Channels, Command, Receipt, Task, since_epoch};
use crate::{DrainReport, Granted, Outcome, PublishError, SubscribeError, UnsubscribeError};

/// Where the background task writes the name of a subscription that it was asked for.
pub(crate) type KeySlot = Arc<OnceLock<Key>>;

/// Events that a slow listener may lag behind before it misses some.
const EVENTS: usize = 32;

/// A client of an MQTT server.
///
/// Clones are cheap and stand for the same client. One background task, spawned by [`Client::start`],
/// owns the connection; no method here has to be called for it to make progress.
///
/// The task ends after [`Client::disconnect`], when the server refuses the client for good, or when the
/// last clone is dropped: then the connection ends without a DISCONNECT, and the server publishes the
/// Will. A handler that owns a clone keeps the client alive.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Sender<Command>,
    state: watch::Receiver<State>,
    events: broadcast::Sender<Event>,
    room: Room,
    queue_overflow: QueueOverflow,
    ledger: Arc<Ledger>,
    board: Arc<Board>,
    requests: Requests,
    drain_timeout: Duration,
    /// The task before it is started.
    parked: Mutex<Option<Box<Task>>>,
}

impl Client {
    /// Describes a client of the server at `address`. It may carry `user:password@`, percent-encoded.
    ///
    /// | address | transport | port without one | feature |
    /// |---|---|---|---|
    /// | `mqtt://host`, `tcp://host` | TCP | 1883 | |
    /// | `mqtts://host`, `ssl://host`, `tls://host` | TLS | 8883 | `tls` |
    /// | `ws://host/path` | WebSocket | 80 | `ws` |
    /// | `wss://host/path` | WebSocket over TLS | 443 | `tls`, `ws` |
    /// | `unix:///path` | a Unix socket | | |
    pub fn builder(address: &str) -> Builder {
        Builder::new(address)
    }

    pub(crate) fn new(
        config: Config,
        fallback: Option<Arc<dyn Handler>>,
        store: Option<(Saver, Kept)>,
    ) -> Client {
        let limits = config.limits;
        let drain_timeout = config.drain_timeout;
        let requests = Requests::new(config.version, &config.client_id);
        let room = Room::new(limits.queue_messages, limits.queue_bytes);
        let queue_overflow = config.queue_overflow;
        // The moment that `Time::ZERO` stands for.
        let origin = tokio::time::Instant::now();
        let mut core = Core::new(config, fastrand::u64(..), origin.into_std());
        let ledger = Arc::new(Ledger::default());
        let saver = store.map(|(saver, kept)| {
            core.set_wall(Time::ZERO, since_epoch());
            for (id, fate) in core.restore(Time::ZERO, &kept, |message| receipt_for(&room, message))
            {
                ledger.open(id, fate);
            }
            saver
        });
        let (commands, commands_receiver) = mailbox::channel();
        let (state_sender, state) = watch::channel(core.state().clone());
        let (events, _) = broadcast::channel(EVENTS);
        let board = Arc::new(Board::default());
        let channels = Channels {
            commands: commands_receiver,
            state: state_sender,
            events: events.clone(),
            ledger: ledger.clone(),
            board: board.clone(),
        };
        let task = Box::new(Task::new(core, channels, room.clone(), fallback, saver));
        Client {
            shared: Arc::new(Shared {
                commands,
                state,
                events,
                room,
                queue_overflow,
                ledger,
                board,
                requests,
                drain_timeout,
                parked: Mutex::new(Some(task)),
            }),
        }
    }

    /// Begins to connect, and to reconnect whenever that is needed, in a task on the current runtime.
    /// Calls after the first do nothing.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(&self) {
        if let Some(task) = self.take_parked() {
            tokio::spawn(task.run());
        }
    }

    fn take_parked(&self) -> Option<Box<Task>> {
        let mut parked = self.shared.parked.lock();
        // The lock is held for a move only: no panic can leave it half done.
        parked
            .as_mut()
            .map_or_else(|poisoned| poisoned.get_mut().take(), |task| task.take())
    }

    /// Waits until the server has accepted the connection; at once if it has.
    ///
    /// Attempts that fail are repeated. An error means that there will be no other: the server refuses
    /// the client for good, or the client has been disconnected.
    ///
    /// Dropping the future changes nothing.
    pub async fn await_connection(&self) -> Result<(), Fatal> {
        let mut states = self.state();
        loop {
            match &*states.borrow_and_update() {
                State::Online { .. } => return Ok(()),
                State::Offline { reason, next: None } if *reason != OfflineReason::NotStarted => {
                    return Err(Fatal {
                        reason: reason.clone(),
                    });
                }
                State::Connecting { .. } | State::Offline { .. } => {}
            }
            if states.changed().await.is_err() {
                return Err(Fatal {
                    reason: OfflineReason::Stopped,
                });
            }
        }
    }

    /// The state, to look at or to wait on.
    pub fn state(&self) -> watch::Receiver<State> {
        self.shared.state.clone()
    }

    /// What happens from here on. A listener that falls behind misses events and is told how many.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// How much the client has done so far, and how much it holds. The numbers are those of the last time
    /// that the background task came to rest.
    pub fn metrics(&self) -> Metrics {
        self.shared.board.read()
    }

    /// Publishes a message.
    ///
    /// If the outgoing queue has room, this call hands the message over: it will be sent whether or not
    /// the future is awaited or dropped. If not, the future waits for room, as [`QueueOverflow`] says, and
    /// dropping it before it got any withdraws the message. A message of QoS 1 or 2 is in the store, if the
    /// client has one, before it is sent.
    ///
    /// The future resolves when the fate of the message is known: for QoS 0 when it has been handed to
    /// the connection, for QoS 1 and 2 when the server has answered, over however many connections that
    /// takes.
    pub fn publish(&self, publish: Publish) -> Publishing {
        let message = match publish.into_outgoing() {
            Ok(message) => message,
            Err(error) => return Publishing::done(error),
        };
        match self.shared.try_send(message) {
            Ok(answer) => Publishing(Stage::Sent(answer)),
            Err((PublishError::Full, message))
                if self.shared.queue_overflow != QueueOverflow::Reject =>
            {
                let shared = self.shared.clone();
                Publishing(Stage::Waiting(Box::pin(async move {
                    shared.send(message).await
                })))
            }
            Err((error, _)) => Publishing::done(error),
        }
    }

    /// Takes a message of QoS 1 or 2 over for good, online or not: the future resolves as soon as the
    /// store has it as its policy demands. A client whose store is a directory sends the message even if
    /// the program is killed after that.
    ///
    /// The receipt tells what becomes of the message, and so does [`Client::receipt`] after a restart.
    ///
    /// If the outgoing queue has room, this call hands the message over, whether or not the future is
    /// awaited or dropped. If not, the future waits for room as [`QueueOverflow`] says, and dropping it
    /// before it got any withdraws the message. Before [`Client::start`] it waits for that.
    pub fn enqueue(&self, publish: Publish) -> Enqueuing {
        let shared = self.shared.clone();
        let message = match publish.into_outgoing() {
            Ok(message) if message.qos == Qos::AtMostOnce => {
                return Enqueuing::new(async { Err(PublishError::ReceiptNeedsQos) });
            }
            Ok(message) => message,
            Err(error) => return Enqueuing::new(async { Err(error) }),
        };
        let (room, message) = match shared.take_room(&message) {
            Ok(room) => (Some(room), message),
            Err(PublishError::Full) if shared.queue_overflow != QueueOverflow::Reject => {
                (None, message)
            }
            Err(error) => return Enqueuing::new(async { Err(error) }),
        };
        let (admitted, number) = oneshot::channel();
        let hand_over = move |shared: &Shared, message, room| {
            let receipt = Receipt {
                answer: None,
                admitted: Some(admitted),
                _room: Some(room),
            };
            // If the task is gone, so is the sender of the number, and the future says so.
            let _ = shared.commands.send(Command::Publish { message, receipt });
        };
        let waiting = match room {
            Some(room) => {
                hand_over(&shared, message, room);
                None
            }
            None => Some((hand_over, message)),
        };
        Enqueuing::new(async move {
            if let Some((hand_over, message)) = waiting {
                let room = shared.wait_for_room(&message).await?;
                hand_over(&shared, message, room);
            }
            let number = number.await.map_err(|_| PublishError::Stopped)??;
            Ok(shared.ledger.receipt_for(ReceiptId::new(number)))
        })
    }

    /// The receipt of a message that this client or, in the same store, an earlier one has enqueued. `None`
    /// if there is no such message, or if more than a thousand outcomes have followed its own.
    pub fn receipt(&self, id: ReceiptId) -> Option<crate::Receipt> {
        self.shared.ledger.receipt(id)
    }

    /// The receipts of all enqueued messages whose outcome is not known or not forgotten, the oldest first.
    pub fn receipts(&self) -> Vec<crate::Receipt> {
        self.shared.ledger.receipts()
    }

    /// Publishes a message if that is possible at once; nobody will learn what becomes of it.
    ///
    /// Fails with [`PublishError::Full`] when the outgoing queue is full and, for QoS 0, with
    /// [`PublishError::Offline`] when there is no connection to hand it to.
    pub fn try_publish(&self, publish: Publish) -> Result<(), PublishError> {
        let message = publish.into_outgoing()?;
        let shared = &self.shared;
        if message.qos == Qos::AtMostOnce && !shared.state.borrow().is_online() {
            return Err(PublishError::Offline);
        }
        shared
            .try_send(message)
            .map(drop)
            .map_err(|(error, _)| error)
    }

    /// Subscribes at `qos`: from here on, `handler` gets the messages that match `filter`.
    ///
    /// The subscription is desired state. Declared before [`Client::start`], its handler is there when a
    /// resumed session delivers; and when the server loses the session, the client subscribes again. A
    /// second subscription with the same filter replaces the first.
    ///
    /// The handler returns `()`, or a `Result` whose error becomes a [`Reject`](crate::Reject) and is
    /// sent to the server, or a future of either. It runs on one message at a time, in the order of
    /// arrival. A message is acknowledged after its handlers have finished. They may publish and wait
    /// for the outcome.
    ///
    /// The returned future resolves with the server's answer, which may take until there is a
    /// connection. Dropping it changes nothing.
    pub fn subscribe<F, H, M>(&self, filter: impl Into<String>, qos: Qos, handler: F) -> Subscribing
    where
        F: Fn(Message) -> H + Send + Sync + 'static,
        H: Handled<M>,
        M: 'static,
    {
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        self.subscribe_with(filter, options, handler)
    }

    /// [`Client::subscribe`] with all options. Those other than the QoS exist in MQTT 5 only.
    pub fn subscribe_with<F, H, M>(
        &self,
        filter: impl Into<String>,
        options: SubscriptionOptions,
        handler: F,
    ) -> Subscribing
    where
        F: Fn(Message) -> H + Send + Sync + 'static,
        H: Handled<M>,
        M: 'static,
    {
        let filter: Arc<str> = filter.into().into();
        let lane = Lane::new(filter.clone(), lane::erase(handler));
        self.subscribe_sink(filter, options, Box::new(lane)).0
    }

    pub(crate) fn subscribe_sink(
        &self,
        filter: Arc<str>,
        options: SubscriptionOptions,
        sink: Box<dyn Sink>,
    ) -> (Subscribing, KeySlot) {
        let key = KeySlot::default();
        let refuse = |error| (Subscribing::done(error), key.clone());
        match TopicFilter::new(&filter) {
            Err(error) => return refuse(SubscribeError::Filter(error)),
            // [MQTT-3.8.3-4]
            Ok(parsed) if options.no_local && parsed.share().is_some() => {
                return refuse(SubscribeError::NoLocalShared);
            }
            Ok(_) => {}
        }
        let (answer, receiver) = oneshot::channel();
        // If the task is gone, so is the sender of the answer, and the future says so.
        let _ = self.shared.commands.send(Command::Subscribe {
            filter,
            options,
            sink,
            key: key.clone(),
            answer,
        });
        (Subscribing(Answer::Waiting(receiver)), key)
    }

    /// Sets where messages go that no subscription matches.
    pub(crate) fn set_fallback(&self, sink: Box<dyn Sink>) {
        let _ = self.shared.commands.send(Command::SetFallback { sink });
    }

    /// A handle that does not keep the client alive.
    pub(crate) fn downgrade(&self) -> WeakClient {
        WeakClient(Arc::downgrade(&self.shared))
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.shared.requests
    }

    /// Says that an answer is waited for, or no longer.
    pub(crate) fn await_reply(&self, begins: bool) {
        let _ = self.shared.commands.send(Command::AwaitReply(begins));
    }

    /// Removes the subscription that the slot names, if no other has taken its place.
    pub(crate) fn leave(&self, key: KeySlot) {
        let _ = self.shared.commands.send(Command::Leave { key });
    }

    /// Keeps the subscription that the slot names, for the fallback handler.
    pub(crate) fn detach(&self, key: KeySlot, buffer: Arc<Buffer>) {
        let _ = self.shared.commands.send(Command::Detach { key, buffer });
    }

    /// Removes the subscription with this filter, whether or not this process has made it.
    ///
    /// Its handler gets no further message from now on. The returned future resolves with the server's
    /// answer; dropping it changes nothing.
    pub fn unsubscribe(&self, filter: impl Into<String>) -> Unsubscribing {
        let filter = filter.into();
        if let Err(error) = TopicFilter::new(&filter) {
            return Unsubscribing(Answer::Done(Some(UnsubscribeError::Filter(error))));
        }
        let (answer, receiver) = oneshot::channel();
        let _ = self.shared.commands.send(Command::Unsubscribe {
            filter: filter.into(),
            answer,
        });
        Unsubscribing(Answer::Waiting(receiver))
    }

    /// Authenticates again over the connection that there is, as before a token expires: with another
    /// [`Authenticator`](crate::Authenticator) of the same method. Messages flow on meanwhile.
    ///
    /// If it fails after it has begun, or does not end within [`Builder::connect_timeout`], the connection
    /// ends, and the client connects again. `[MQTT-4.12.1-2]`
    ///
    /// It begins with this call, or after [`Client::start`]; dropping the future changes nothing.
    pub fn reauthenticate(&self) -> Reauthenticating {
        let (answer, receiver) = oneshot::channel();
        // If the task is gone, so is the sender of the answer, and the future says so.
        let _ = self
            .shared
            .commands
            .send(Command::Reauthenticate { answer });
        Reauthenticating(receiver)
    }

    /// Stops the client after everything under way has been finished: queued messages sent and
    /// acknowledged, received ones handled and acknowledged. Then a DISCONNECT leaves, so that the
    /// server does not publish the Will. What could not be finished within
    /// [`Builder::drain_timeout`] is reported.
    ///
    /// New messages are refused from the first poll on. Dropping the future after that does not keep the
    /// client from stopping.
    pub async fn disconnect(&self) -> DrainReport {
        self.disconnect_within(self.shared.drain_timeout).await
    }

    /// [`Client::disconnect`] with a deadline of its own. Dropping the future has the same effect as there.
    pub async fn disconnect_within(&self, within: Duration) -> DrainReport {
        if let Some(task) = self.take_parked() {
            // Never started: nothing has been sent, and nothing will be.
            let report = DrainReport {
                queued: self.shared.room.taken(),
                ..DrainReport::default()
            };
            drop(task);
            return report;
        }
        let (answer, receiver) = oneshot::channel();
        let _ = self
            .shared
            .commands
            .send(Command::Disconnect { within, answer });
        // The task may have ended before, with nothing left to report.
        receiver.await.unwrap_or_default()
    }
}

/// For tests of what is built upon the client.
impl Client {
    /// Ends the connection, or the attempt to make one, at once and without a DISCONNECT, as a broken
    /// network would: the server publishes the Will, and the client connects again.
    pub fn terminate_connection(&self) {
        // A client that has stopped has no connection.
        let _ = self.shared.commands.send(Command::Terminate);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &*self.shared.state.borrow())
            .finish_non_exhaustive()
    }
}

/// A handle that does not keep the client alive.
pub(crate) struct WeakClient(Weak<Shared>);

impl WeakClient {
    pub(crate) fn upgrade(&self) -> Option<Client> {
        let shared = self.0.upgrade()?;
        Some(Client { shared })
    }
}

type PublishAnswer = oneshot::Receiver<Result<Outcome, PublishError>>;

impl Shared {
    /// Hands a message over if there is room; gives it back if not.
    fn try_send(&self, message: Outgoing) -> Result<PublishAnswer, (PublishError, Outgoing)> {
        let room = match self.take_room(&message) {
            Ok(room) => room,
            Err(error) => return Err((error, message)),
        };
        let (answer, receiver) = oneshot::channel();
        let receipt = Receipt {
            answer: Some(answer),
            admitted: None,
            _room: Some(room),
        };
        match self.commands.send(Command::Publish { message, receipt }) {
            Ok(()) => Ok(receiver),
            Err(Command::Publish { message, .. }) => Err((PublishError::Stopped, message)),
            Err(_) => unreachable!("the command comes back as it was given"),
        }
    }

    /// Hands a message over as soon as there is room.
    async fn send(&self, message: Outgoing) -> Result<PublishAnswer, PublishError> {
        let room = self.wait_for_room(&message).await?;
        let (answer, receiver) = oneshot::channel();
        let receipt = Receipt {
            answer: Some(answer),
            admitted: None,
            _room: Some(room),
        };
        self.commands
            .send(Command::Publish { message, receipt })
            .map_err(|_| PublishError::Stopped)?;
        Ok(receiver)
    }
}

impl Shared {
    /// A place for the message, if there is one at once.
    fn take_room(&self, message: &Outgoing) -> Result<Place, PublishError> {
        let bytes = bytes_for(&self.room, message)?;
        self.room.take_now(bytes).ok_or(PublishError::Full)
    }

    /// Waits for room; others give way if that is the policy.
    async fn wait_for_room(&self, message: &Outgoing) -> Result<Place, PublishError> {
        let bytes = bytes_for(&self.room, message)?;
        // Before the others are asked to give way: they do so only for a message that waits.
        let taking = self.room.take(bytes);
        if self.queue_overflow == QueueOverflow::DropOldest {
            let _ = self.commands.send(Command::MakeRoom);
        }
        Ok(taking.await)
    }
}

/// What the message takes of the room, if it can have so much at all.
fn bytes_for(room: &Room, message: &Outgoing) -> Result<u32, PublishError> {
    let (size, max) = (message.size(), room.bytes_max());
    u32::try_from(size)
        .ok()
        .filter(|_| size <= max)
        .ok_or(PublishError::ExceedsQueue { size, max })
}

/// The sender's end of a message that an earlier process has left.
fn receipt_for(room: &Room, message: &Outgoing) -> Receipt {
    Receipt {
        answer: None,
        admitted: None,
        _room: (bytes_for(room, message).ok()).and_then(|bytes| room.take_now(bytes)),
    }
}

/// The fate of a message; returned by [`Client::publish`].
///
/// Dropping it withdraws a message that waits for room in the outgoing queue, and no other.
pub struct Publishing(Stage);

enum Stage {
    /// For room in the outgoing queue.
    Waiting(Pin<Box<dyn Future<Output = Result<PublishAnswer, PublishError>> + Send>>),
    Sent(PublishAnswer),
    Done(Option<PublishError>),
}

impl Publishing {
    const fn done(error: PublishError) -> Publishing {
        Publishing(Stage::Done(Some(error)))
    }
}

impl Future for Publishing {
    type Output = Result<Outcome, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            self.0 = match &mut self.0 {
                Stage::Waiting(waiting) => match ready!(waiting.as_mut().poll(cx)) {
                    Ok(answer) => Stage::Sent(answer),
                    Err(error) => Stage::Done(Some(error)),
                },
                Stage::Sent(answer) => {
                    let result = ready!(Pin::new(answer).poll(cx));
                    self.0 = Stage::Done(None);
                    // Without an answer the task has been dropped, and with it what it knew.
                    let unknown = Outcome::Indeterminate(crate::Indeterminate::Stopped);
                    return Poll::Ready(result.unwrap_or(Ok(unknown)));
                }
                Stage::Done(error) => {
                    return Poll::Ready(Err(error.take().unwrap_or(PublishError::Stopped)));
                }
            };
        }
    }
}

/// The server's answer to a request, or why there was none.
enum Answer<T, E> {
    Waiting(oneshot::Receiver<Result<T, E>>),
    Done(Option<E>),
}

impl<T, E> Answer<T, E> {
    /// `None` stands for a client that has stopped.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Option<E>>>
    where
        E: Unpin,
    {
        match self {
            Answer::Waiting(receiver) => {
                let answer = ready!(Pin::new(receiver).poll(cx));
                *self = Answer::Done(None);
                Poll::Ready(
                    answer
                        .map_err(|_| None)
                        .and_then(|result| result.map_err(Some)),
                )
            }
            Answer::Done(error) => Poll::Ready(Err(error.take())),
        }
    }
}

/// The server's answer to a subscription; returned by [`Client::subscribe`]. Dropping it changes nothing.
pub struct Subscribing(Answer<Granted, SubscribeError>);

impl Subscribing {
    const fn done(error: SubscribeError) -> Subscribing {
        Subscribing(Answer::Done(Some(error)))
    }
}

impl Future for Subscribing {
    type Output = Result<Granted, SubscribeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.0.poll(cx));
        Poll::Ready(answer.map_err(|error| error.unwrap_or(SubscribeError::Stopped)))
    }
}

/// The server's answer to the removal of a subscription; returned by [`Client::unsubscribe`]. Dropping it
/// changes nothing.
pub struct Unsubscribing(Answer<(), UnsubscribeError>);

impl Future for Unsubscribing {
    type Output = Result<(), UnsubscribeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.0.poll(cx));
        Poll::Ready(answer.map_err(|error| error.unwrap_or(UnsubscribeError::Stopped)))
    }
}

macro_rules! opaque_debug {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}

opaque_debug!(Publishing Subscribing Unsubscribing);
