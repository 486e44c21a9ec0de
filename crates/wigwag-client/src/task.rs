//! The background task: one per client, owner of the core and of the pump.
//!
//! It carries commands, bytes and time to the core, and the core's outputs to where they belong. It
//! decides nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{broadcast, oneshot, watch};
use tokio::time::{Instant, Sleep};
use tracing::Span;
use wigwag_net::Pump;
use wigwag_proto::packet::SubscriptionOptions;
use wigwag_proto::{ReasonCode, Time};
use wigwag_store::Batch;

use crate::ack::{Finished, Verdict};
use crate::authentication::{Exchange, ReauthenticateError, Step};
use crate::config::QueueOverflow;
use crate::connect::Dialled;
use crate::core::{Core, FALLBACK, HIGH_WATER, Key, Output, Token};
use crate::lane::{Handler, Lane, Sink};
use crate::mailbox::{self, Receiver, Sender};
use crate::message::{Message, Outgoing};
use crate::metrics::{Board, Metrics};
use crate::receipt::Ledger;
use crate::room::{Place, Room};
use crate::state::{Event, OfflineReason, State};
use crate::store::Saver;
use crate::stream::Buffer;
use crate::{DrainReport, Granted, Outcome, PublishError, SubscribeError, UnsubscribeError};

/// The read buffer, one for each thread of the runtime: an idle client owns none.
const SCRATCH_LEN: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_LEN]);
    /// Lent to the client whose turn it is.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The write buffer, one for each thread too: room for what the core writes before it waits.
const SPARE_LEN: usize = HIGH_WATER + 8 * 1024;

/// Turns of the loop before other tasks get theirs.
const TURNS_MAX: usize = 32;

/// Commands and finished messages that are taken in one turn.
const BATCH: usize = 256;

/// Timers further away than this are looked at again by then.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// What the handle asks for.
pub(crate) enum Command {
    Publish {
        message: Outgoing,
        receipt: Receipt,
    },
    Subscribe {
        filter: Arc<str>,
        options: SubscriptionOptions,
        sink: Box<dyn Sink>,
        /// Gets the name of the subscription.
        key: Arc<OnceLock<Key>>,
        answer: oneshot::Sender<Result<Granted, SubscribeError>>,
    },
    /// Sets where messages go that no subscription matches.
    SetFallback {
        sink: Box<dyn Sink>,
    },
    /// An answer is waited for, or no longer.
    AwaitReply(bool),
    /// Removes a subscription, if no other has taken its place.
    Leave {
        key: Arc<OnceLock<Key>>,
    },
    /// Keeps a subscription whose messages nobody reads any more.
    Detach {
        key: Arc<OnceLock<Key>>,
        buffer: Arc<Buffer>,
    },
    /// A message waits for room: lets queued ones give way to it.
    MakeRoom,
    Unsubscribe {
        filter: Arc<str>,
        answer: oneshot::Sender<Result<(), UnsubscribeError>>,
    },
    Disconnect {
        within: Duration,
        answer: oneshot::Sender<DrainReport>,
    },
    Reauthenticate {
        answer: oneshot::Sender<Result<(), ReauthenticateError>>,
    },
    Terminate,
}

/// The sender's end of a publish: its future, and the room that the message takes in the queue.
pub(crate) struct Receipt {
    pub(crate) answer: Option<oneshot::Sender<Result<Outcome, PublishError>>>,
    /// For a message with a receipt: gets its number as soon as the store has it.
    pub(crate) admitted: Option<oneshot::Sender<Result<u64, PublishError>>>,
    /// Missing if an earlier process has left more messages than there is room for.
    pub(crate) _room: Option<Place>,
}

/// The ends of the channels that the handle does not hold.
pub(crate) struct Channels {
    pub(crate) commands: Receiver<Command>,
    pub(crate) state: watch::Sender<State>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) board: Arc<Board>,
}

type Dialling = Pin<Box<dyn Future<Output = Result<Dialled, OfflineReason>> + Send>>;

pub(crate) struct Task {
    core: Core<Receipt>,
    channels: Channels,
    /// Of the outgoing queue.
    room: Room,
    origin: Instant,
    /// When the turn of the loop began.
    now: Time,
    timer: Option<Pin<Box<Sleep>>>,

    dialling: Option<Dialling>,
    /// The enhanced authentication of the connection.
    exchange: Exchange,
    pump: Option<Pump>,
    /// The sending side has been closed.
    is_shut: bool,
    /// The core has left whole packets in the pump.
    is_paused: bool,

    next_key: Key,
    sinks: BTreeMap<Key, Box<dyn Sink>>,
    subscribing: BTreeMap<Key, oneshot::Sender<Result<Granted, SubscribeError>>>,
    unsubscribing: BTreeMap<Key, oneshot::Sender<Result<(), UnsubscribeError>>>,
    reauthenticating: Option<oneshot::Sender<Result<(), ReauthenticateError>>>,
    disconnecting: Vec<oneshot::Sender<DrainReport>>,
    /// Answers that wait for the store.
    admitting: BTreeMap<u64, oneshot::Sender<Result<u64, PublishError>>>,
    saver: Option<Saver>,
    report: DrainReport,
    metrics: Metrics,
    /// Of the connection, or of the attempt to make one.
    span: Span,
    /// The client has said its name in this attempt; if not, the server assigns one.
    names_itself: bool,
    finished: (Sender<Finished>, Receiver<Finished>),
    is_over: bool,
}

impl Task {
    pub(crate) fn new(
        core: Core<Receipt>,
        channels: Channels,
        room: Room,
        fallback: Option<Arc<dyn Handler>>,
        saver: Option<Saver>,
    ) -> Task {
        let mut sinks: BTreeMap<Key, Box<dyn Sink>> = BTreeMap::new();
        if let Some(handler) = fallback {
            sinks.insert(FALLBACK, Box::new(Lane::new("".into(), handler)));
        }
        Task {
            origin: Instant::from_std(core.origin()),
            now: Time::ZERO,
            core,
            channels,
            room,
            timer: None,
            dialling: None,
            exchange: Exchange::None,
            pump: None,
            is_shut: false,
            is_paused: false,
            next_key: FALLBACK + 1,
            sinks,
            subscribing: BTreeMap::new(),
            unsubscribing: BTreeMap::new(),
            reauthenticating: None,
            disconnecting: Vec::new(),
            admitting: BTreeMap::new(),
            saver,
            report: DrainReport::default(),
            metrics: Metrics::default(),
            span: Span::none(),
            names_itself: false,
            finished: mailbox::channel(),
            is_over: false,
        }
    }

    /// Begins to connect, after the commands that came before.
    pub(crate) async fn run(mut self: Box<Self>) {
        self.read_clock();
        self.core.start(self.now);
        std::future::poll_fn(|cx| self.poll(cx)).await;
        self.close_store().await;
        self.channels.ledger.close();
        for answer in self.disconnecting.drain(..) {
            let _ = answer.send(self.report);
        }
    }

    /// Leaves the store as the next client is to find it, and gives it back.
    async fn close_store(&mut self) {
        let Some(mut saver) = self.saver.take() else {
            return;
        };
        if let Some(result) = saver.wait().await {
            self.read_clock();
            self.core.handle_stored(self.now, result);
            self.run_outputs();
        }
        if let Err(error) = saver.close(self.core.take_unsaved()).await {
            // Those who wait for an outcome have not been told that there is one.
            tracing::error!(%error, "the last changes could not be stored");
        }
    }

    /// Once a turn: reading it for each of many messages would cost more than they do.
    fn read_clock(&mut self) {
        self.now = Time::new(self.origin.elapsed());
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.core.transmit().is_empty() {
            let mut spare = SPARE.take();
            spare.reserve(SPARE_LEN);
            self.core.transmit().lend(spare);
        }
        let poll = self.poll_turns(cx);
        if let Some(mut spare) = self.core.transmit().reclaim() {
            // A large packet may have made it grow.
            spare.shrink_to(SPARE_LEN);
            SPARE.set(spare);
        }
        self.show_metrics();
        poll
    }

    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS_MAX {
            self.read_clock();
            let span = self.span.clone();
            let _entered = span.enter();
            let mut progress = self.poll_commands(cx);
            progress |= self.poll_finished(cx);
            progress |= self.poll_saved(cx);
            progress |= self.poll_dialling(cx);
            progress |= self.poll_exchange(cx);
            progress |= self.poll_receive(cx);
            progress |= self.poll_transmit(cx);
            progress |= self.poll_timer(cx);
            progress |= self.run_outputs();
            if self.is_over {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn show_metrics(&mut self) {
        let [queued, in_flight, unhandled] = self.core.held().map(|count| count as u64);
        self.metrics.now_queued = queued;
        self.metrics.now_in_flight = in_flight;
        self.metrics.now_unhandled = unhandled;
        self.channels.board.show(&self.metrics);
    }

    // Inputs. Each returns whether something has happened; if not, a wake-up has been arranged.

    fn poll_commands(&mut self, cx: &mut Context<'_>) -> bool {
        for taken in 0..BATCH {
            match self.channels.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.command(command),
                Poll::Ready(None) => {
                    // The last handle is gone, and with it whoever could ask for a DISCONNECT.
                    self.is_over = true;
                    return true;
                }
                Poll::Pending => return taken > 0,
            }
        }
        true
    }

    fn command(&mut self, command: Command) {
        let now = self.now;
        match command {
            Command::Publish { message, receipt } => {
                self.publish(now, message, receipt);
                // It may have been on its way here when others were asked to give way.
                self.make_room();
            }
            Command::MakeRoom => self.make_room(),
            Command::Subscribe {
                filter,
                options,
                sink,
                key: slot,
                answer,
            } => {
                let key = self.new_key();
                // Each command has a slot of its own.
                let _ = slot.set(key);
                self.sinks.insert(key, sink);
                self.subscribing.insert(key, answer);
                self.core.subscribe(now, key, filter, options);
            }
            Command::SetFallback { sink } => {
                self.sinks.insert(FALLBACK, sink);
            }
            Command::AwaitReply(begins) => self.core.await_reply(now, begins),
            Command::Leave { key } => {
                let answer_key = self.new_key();
                if let Some(&key) = key.get() {
                    self.core.leave(now, answer_key, key);
                }
            }
            Command::Detach { key, buffer } => {
                drop(key.get().and_then(|key| self.sinks.remove(key)));
                for (message, token) in buffer.take() {
                    self.deliver(FALLBACK, message, token);
                }
            }
            Command::Unsubscribe { filter, answer } => {
                let key = self.new_key();
                self.unsubscribing.insert(key, answer);
                self.core.unsubscribe(now, key, filter);
            }
            Command::Disconnect { within, answer } => {
                self.disconnecting.push(answer);
                self.core.disconnect(now, within);
            }
            Command::Reauthenticate { answer } => match self.core.reauthenticate(now) {
                Ok(()) => self.reauthenticating = Some(answer),
                Err(error) => drop(answer.send(Err(error))),
            },
            Command::Terminate => self.core.handle_failed(now, OfflineReason::Terminated),
        }
    }

    fn publish(&mut self, now: Time, message: Outgoing, mut receipt: Receipt) {
        if self.saver.is_some() {
            self.core.set_wall(now, since_epoch());
        }
        match receipt.admitted.take() {
            None => self.core.publish(now, message, receipt),
            Some(admitted) => {
                let Some(number) = self.core.enqueue(now, message, receipt) else {
                    let _ = admitted.send(Err(PublishError::Stopped));
                    return;
                };
                self.channels.ledger.open(number, None);
                self.admitting.insert(number, admitted);
            }
        }
    }

    /// Lets queued messages give way for as long as others wait for room, if that is the policy.
    ///
    /// Who waits is counted here, not who has asked: what one message has left may have been taken by
    /// another that did not have to wait.
    fn make_room(&mut self) {
        if self.core.config().queue_overflow != QueueOverflow::DropOldest {
            return;
        }
        while self.room.is_wanted() && self.core.displace_oldest() {
            // A message gives its room back with its receipt.
            self.run_outputs();
        }
    }

    fn poll_saved(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(saver) = &mut self.saver else {
            return false;
        };
        let Poll::Ready(result) = saver.poll_saved(cx) else {
            return false;
        };
        let now = self.now;
        self.core.handle_stored(now, result);
        true
    }

    fn save(&mut self, batch: Batch) {
        let Some(saver) = &mut self.saver else {
            return;
        };
        saver.save(batch);
        if saver.is_gone() {
            let now = self.now;
            self.core.handle_stored(now, Err(crate::store::gone()));
        }
    }

    fn admitted(&mut self, number: u64, result: Result<(), PublishError>) {
        if result.is_err() {
            self.channels.ledger.strike(number);
        }
        if let Some(answer) = self.admitting.remove(&number) {
            let _ = answer.send(result.map(|()| number));
        }
    }

    fn new_key(&mut self) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        key
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> bool {
        for taken in 0..BATCH {
            let Poll::Ready(Some(finished)) = self.finished.1.poll_recv(cx) else {
                return taken > 0;
            };
            self.finish(finished);
        }
        true
    }

    fn finish(&mut self, finished: Finished) {
        let reason = finished.verdict.reason();
        match finished.verdict {
            Verdict::Accepted => {}
            Verdict::Rejected(filter, reject) => {
                self.metrics.received_rejected += 1;
                self.emit(Event::Rejected { filter, reject });
            }
            Verdict::Panicked(filter) => {
                self.metrics.received_rejected += 1;
                tracing::error!(%filter, "a message handler panicked");
                self.emit(Event::HandlerPanicked { filter });
            }
            Verdict::Dropped(topic) => self.core.handle_dropped(topic),
        }
        let now = self.now;
        self.core.handle_handled(now, finished.token, reason);
    }

    fn poll_dialling(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(dialling) = &mut self.dialling else {
            return false;
        };
        let Poll::Ready(result) = dialling.as_mut().poll(cx) else {
            return false;
        };
        self.dialling = None;
        let now = self.now;
        match result {
            Ok(dialled) => {
                self.pump = Some(Pump::new(dialled.stream));
                self.exchange = Exchange::new(dialled.authenticator);
                self.core.handle_connected(now, dialled.packet);
            }
            Err(reason) => self.core.handle_failed(now, reason),
        }
        true
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(result) = self.exchange.poll(cx) else {
            return false;
        };
        let now = self.now;
        self.core.handle_authenticated(now, result);
        true
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now;
        let Some(pump) = &mut self.pump else {
            return false;
        };
        let core = &mut self.core;
        // While the connection ends, everything is read and thrown away.
        let leaves_bytes = |core: &Core<Receipt>| !core.is_receiving() && !core.is_closing();
        if leaves_bytes(core) {
            self.is_paused = true;
            return false;
        }
        let count = &mut self.metrics.bytes_received;
        let mut consume = |bytes: &[u8]| {
            let used = core.handle_bytes(now, bytes);
            *count += used as u64;
            used
        };
        if self.is_paused {
            pump.consume_carried(&mut consume);
            // What paused it may have come again, and may have gone before the next turn.
            self.is_paused = leaves_bytes(core);
            return true;
        }
        let received =
            SCRATCH.with_borrow_mut(|scratch| pump.poll_receive(cx, scratch, &mut consume));
        match received {
            Poll::Pending => return false,
            Poll::Ready(Ok(true)) => self.is_paused = leaves_bytes(core),
            Poll::Ready(Ok(false)) => core.handle_failed(now, OfflineReason::Closed),
            Poll::Ready(Err(error)) => core.handle_failed(now, io_reason(&error)),
        }
        true
    }

    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now;
        let Some(pump) = &mut self.pump else {
            return false;
        };
        let out = self.core.transmit();
        if !out.is_empty() {
            let before = out.len();
            let sent = pump.poll_transmit(cx, out);
            self.metrics.bytes_sent += (before - out.len()) as u64;
            match sent {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => self.core.handle_sent(now),
                Poll::Ready(Err(error)) => self.core.handle_failed(now, io_reason(&error)),
            }
            return true;
        }
        if self.core.is_closing() && !self.core.is_holding() && !self.is_shut {
            // The socket stays until the server closes its side: dropped with unread bytes it would be
            // reset, and the DISCONNECT might never be read.
            match pump.poll_close(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => self.is_shut = true,
                Poll::Ready(Err(error)) => self.core.handle_failed(now, io_reason(&error)),
            }
            return true;
        }
        false
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(due) = self.core.poll_timeout() else {
            return false;
        };
        let now = self.now;
        if now >= due {
            self.core.handle_timeout(now);
            // Whoever rings a timer has not had much to do.
            self.channels.commands.rest();
            self.finished.1.rest();
            return true;
        }
        let at = self.origin + due.since_origin().min(now.since_origin() + FAR);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        // The deadline of a quiet connection moves with every packet; the timer follows when it rings.
        if timer.deadline() > at || timer.is_elapsed() {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx).is_ready()
    }

    // Outputs.

    fn run_outputs(&mut self) -> bool {
        let mut progress = false;
        while let Some(output) = self.core.poll_output() {
            progress = true;
            self.run_output(output);
        }
        progress
    }

    fn run_output(&mut self, output: Output<Receipt>) {
        match output {
            Output::Dial => self.dial(),
            Output::Close => {
                self.dialling = None;
                self.exchange = Exchange::None;
                self.pump = None;
                self.is_shut = false;
                self.is_paused = false;
            }
            Output::Deliver {
                key,
                message,
                token,
            } => self.deliver(key, message, token),
            Output::Published(receipt, result) => {
                self.count_published(&result);
                if let Some(answer) = receipt.answer {
                    // Who dropped the future does not want to know.
                    let _ = answer.send(result);
                }
            }
            Output::Subscribed(key, result) => {
                if let Some(answer) = self.subscribing.remove(&key) {
                    let _ = answer.send(result);
                }
            }
            Output::Forget(key) => drop(self.sinks.remove(&key)),
            Output::Unsubscribed(key, result) => {
                if let Some(answer) = self.unsubscribing.remove(&key) {
                    let _ = answer.send(result);
                }
            }
            Output::Authenticate(step) => self.authenticate(step),
            Output::Reauthenticated(result) => {
                self.exchange = Exchange::None;
                if let Some(answer) = self.reauthenticating.take() {
                    let _ = answer.send(result);
                }
            }
            Output::Event(event) => self.emit(event),
            Output::Store(batch) => self.save(batch),
            Output::Admitted(number, result) => self.admitted(number, result),
            Output::Settled(number, fate) => self.channels.ledger.settle(number, &fate),
            Output::Stopped(report) => {
                self.report = report;
                self.is_over = true;
            }
        }
    }

    fn count_published(&mut self, result: &Result<Outcome, PublishError>) {
        let metrics = &mut self.metrics;
        *match result {
            Ok(Outcome::Delivered) => &mut metrics.published_delivered,
            Ok(Outcome::Rejected(_)) => &mut metrics.published_rejected,
            Ok(Outcome::Indeterminate(_)) => &mut metrics.published_indeterminate,
            Err(_) => &mut metrics.published_failed,
        } += 1;
    }

    /// Hands a message to its subscription or, if that has been detached, to the fallback.
    fn deliver(&mut self, key: Key, message: Message, token: Token) {
        self.metrics.received += 1;
        let finished = &self.finished.0;
        if let Some(sink) = self.sinks.get_mut(&key) {
            sink.deliver(message, token, finished);
        } else if let Some(sink) = self.sinks.get_mut(&FALLBACK) {
            sink.deliver(message, token, finished);
        } else {
            let (now, reason) = (self.now, ReasonCode::Success);
            self.core.handle_handled(now, token, reason);
        }
    }

    fn authenticate(&mut self, step: Step) {
        match (step, &self.core.config().dialler.authenticator) {
            (Step::Begin, Some(maker)) => {
                let maker = maker.clone();
                self.exchange.begin(maker, self.core.attempt());
            }
            (step, _) => self.exchange.take(step),
        }
    }

    fn dial(&mut self) {
        let attempt = self.core.attempt();
        let packet = self.core.connect_packet();
        self.metrics.attempts += 1;
        self.span = tracing::info_span!(
            "connection",
            client_id = tracing::field::Empty,
            server = %attempt.server,
            attempt = attempt.number,
        );
        self.names_itself = !packet.client_id.is_empty();
        if self.names_itself {
            self.span.record("client_id", &packet.client_id);
        }
        self.emit(Event::Dialling {
            server: attempt.server.to_string().into(),
            attempt: attempt.number,
        });
        let dialler = self.core.config().dialler.clone();
        self.dialling = Some(Box::pin(dialler.dial(attempt, packet)));
    }

    fn emit(&mut self, event: Event) {
        let target = self.core.server();
        match &event {
            Event::State(state) => {
                if state.is_online() && !self.names_itself {
                    self.span.record("client_id", self.core.client_id());
                }
                log_state(target, state);
                self.metrics.connections += u64::from(state.is_online());
                self.channels.state.send_replace(state.clone());
            }
            Event::Dropped { .. } => {
                self.metrics.received_dropped += 1;
                tracing::debug!(%target, ?event);
            }
            event => tracing::debug!(%target, ?event),
        }
        // Nobody has to listen.
        let _ = self.channels.events.send(event);
    }
}

/// What the wall clock says; the epoch if it is before that.
pub(crate) fn since_epoch() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

fn log_state(target: &wigwag_net::dial::Target, state: &State) {
    match state {
        State::Connecting { attempt } => tracing::debug!(%target, attempt, "connecting"),
        State::Online { session_present } => tracing::info!(%target, session_present, "online"),
        State::Offline {
            reason,
            next: Some(next),
        } => {
            let (next, retry_in) = (next.number, next.delay);
            tracing::warn!(%target, %reason, next, ?retry_in, "offline");
        }
        State::Offline {
            reason: OfflineReason::Stopped,
            next: None,
        } => tracing::info!(%target, "stopped"),
        State::Offline { reason, next: None } => {
            tracing::error!(%target, %reason, "stopped for good");
        }
    }
}

fn io_reason(error: &std::io::Error) -> OfflineReason {
    OfflineReason::Io(with_sources(error).into())
}

/// The error and what caused it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
