//! A worker: one thread that drives one shard of the engine.
//!
//! Everything on the thread works in turns. Connections that have become readable are read one after the
//! other, each into the same buffer, and the engine fills the out-buffers of whoever gets something. Then
//! the housekeeper has its turn: it looks after mail and timers, posts what other shards get as one batch
//! each, and writes every touched connection once. A connection whose peer does not read writes the rest
//! itself.
//!
//! **Invariant:** the engine is borrowed for one call and never across an await.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use slotmap::SecondaryMap;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tokio::time::{Sleep, sleep_until};
use wigwag_engine::policy::AllowAll;
use wigwag_engine::restored;
use wigwag_engine::{ConnectionKey, Ending, Event, Node, Peer, Settings, Shard, ShardId, Time};
use wigwag_net::{Pump, Stream};

use crate::acceptor::Arrival;
use crate::conf::config::LogType;
use crate::desk::{Counts, Desk, Order, Orders};
use crate::entrance::{Guest, INSIDE, Socket};
use crate::logging::{Log, log_event};
use crate::mailbox::{Inbox, Mailbox};
use crate::persist::Pulse;
use crate::stopwatch::Stopwatch;

/// Bytes that are read at once, from whichever connection is readable.
const SCRATCH_LEN: usize = 64 * 1024;

/// Bytes of mail that are delivered before what they have brought is written.
const MAIL_PER_WRITE: usize = 512 * 1024;

/// Reads of one connection before the others have their turn.
const READS_PER_TURN: usize = 4;

/// Packets, read and written, after which a connection reads no more before the others have their turn: one read of
/// the smallest packets is as much work as many of ordinary ones.
const PACKETS_PER_TURN: u64 = 8_192;

/// How long the housekeeper sleeps when no timer is set and nobody wakes it.
const IDLE: Duration = Duration::from_secs(3600);

/// What all tasks of the thread share.
pub(crate) struct Worker {
    id: ShardId,
    origin: Instant,
    shards: u16,
    mailboxes: Arc<[Mailbox]>,
    desk: Arc<dyn Desk>,
    log: Log,
    shard: RefCell<Shard>,
    stopwatch: Stopwatch,
    links: RefCell<SecondaryMap<ConnectionKey, Rc<Link>>>,
    scratch: RefCell<Box<[u8]>>,
    housekeeper: RefCell<Waker>,
    /// Whether the housekeeper has been woken for this turn.
    turn_is_due: Cell<bool>,
    stopping: Cell<bool>,
    /// Who saves what the shard has, if anybody does.
    keeper: Option<Arc<Pulse>>,
    /// Whether there is nothing left to be saved.
    is_saved: Cell<bool>,
}

/// A connection's socket and its task.
struct Link {
    peer: Option<SocketAddr>,
    pump: RefCell<Pump>,
    task: RefCell<Waker>,
    state: Cell<LinkState>,
    /// Its place among the connections of its listener.
    guest: Guest,
}

/// What the connection's task has to do besides reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    /// Nothing: the housekeeper writes.
    Idle,
    /// The peer reads too slowly: write the rest.
    Blocked,
    /// The connection is broken.
    Broken,
    /// This side is closed: read until the peer has closed its own.
    Draining,
    /// The engine cannot use what the peer sends yet: wait until the connection is touched.
    Waiting,
}

impl Worker {
    pub(crate) fn new(
        id: ShardId,
        node: Arc<Node>,
        settings: Settings,
        mailboxes: Arc<[Mailbox]>,
        origin: Instant,
        desk: Arc<dyn Desk>,
        log: Log,
    ) -> Worker {
        let policy = desk.policy(id).unwrap_or_else(|| Box::new(AllowAll));
        let shards = u16::try_from(mailboxes.len()).unwrap_or(u16::MAX);
        Worker {
            id,
            origin,
            shards,
            mailboxes,
            shard: RefCell::new(Shard::new(id, node, settings, policy)),
            desk,
            log,
            stopwatch: Stopwatch::default(),
            links: RefCell::new(SecondaryMap::new()),
            scratch: RefCell::new(vec![0; SCRATCH_LEN].into()),
            housekeeper: RefCell::new(Waker::noop().clone()),
            turn_is_due: Cell::new(false),
            stopping: Cell::new(false),
            keeper: None,
            is_saved: Cell::new(true),
        }
    }

    /// Begins with these sessions of an earlier run, and is saved by the keeper.
    pub(crate) fn restore(&mut self, sessions: Vec<restored::Session>, keeper: Arc<Pulse>) {
        let now = self.now();
        let shard = self.shard.get_mut();
        sessions
            .into_iter()
            .for_each(|session| shard.handle_restored(now, session));
        self.keeper = Some(keeper);
        self.is_saved.set(false);
    }

    /// Drives the shard until it is told to stop and its connections are closed.
    pub(crate) fn run(self, runtime: &Runtime) {
        let worker = Rc::new(self);
        let tasks = LocalSet::new();
        // As a task among the others, it has its turn behind those that were ready before it.
        let housekeeper = tasks.spawn_local(Rc::clone(&worker).keep_house());
        if let Err(error) = tasks.block_on(runtime, housekeeper) {
            let what =
                format_args!("Error: A shard has failed, its clients are disconnected: {error}.");
            worker.log.write(LogType::Error, what);
        }
        if let Some(mailbox) = worker.mailboxes.get(usize::from(worker.id.0)) {
            mailbox.close();
        }
    }

    fn now(&self) -> Time {
        Time::new(self.origin.elapsed())
    }

    /// The housekeeper: mail, timers, and the end of each turn.
    async fn keep_house(self: Rc<Worker>) {
        let mut alarm = std::pin::pin!(sleep_until((Instant::now() + IDLE).into()));
        poll_fn(|cx| {
            self.housekeeper.replace(cx.waker().clone());
            self.turn_is_due.set(false);
            if let Some(mailbox) = self.mailboxes.get(usize::from(self.id.0)) {
                let mail = mailbox.poll_take(cx);
                self.handle_mail(mail);
            }
            if alarm.as_mut().poll(cx).is_ready() {
                self.shard.borrow_mut().handle_timeout(self.now());
            }
            self.end_turn();
            let is_over = self.stopping.get() && self.is_saved.get();
            if is_over && self.shard.borrow().connections() == 0 {
                return Poll::Ready(());
            }
            self.set_alarm(alarm.as_mut(), cx);
            Poll::Pending
        })
        .await;
    }

    /// Sets the alarm to the engine's next timer.
    fn set_alarm(&self, mut alarm: Pin<&mut Sleep>, cx: &mut Context<'_>) {
        let next = self.shard.borrow().poll_timeout();
        let at = next.map_or_else(
            || Instant::now() + IDLE,
            |at| self.origin + at.since_origin(),
        );
        if alarm.deadline() != at.into() {
            alarm.as_mut().reset(at.into());
        }
        if alarm.poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    fn handle_mail(self: &Rc<Worker>, mut mail: Inbox) {
        for arrival in mail.arrivals.drain(..) {
            self.take_arrival(arrival);
        }
        self.stopwatch.begin_mail(mail.batch);
        let now = self.now();
        let mut bytes = 0;
        for envelope in mail.envelopes.drain(..) {
            bytes += envelope.size();
            self.shard.borrow_mut().handle_envelope(now, envelope);
            // A full mailbox must not fill out-buffers that could have been written in between.
            if bytes >= MAIL_PER_WRITE {
                bytes = 0;
                self.end_turn();
            }
        }
        mail.release();
        for order in mail.orders.drain(..) {
            self.obey(now, order);
        }
        if mail.stop && !self.stopping.replace(true) {
            self.shard.borrow_mut().handle_shutdown(now);
        }
    }

    /// Does what another part of the broker wants of the shard.
    fn obey(&self, now: Time, order: Order) {
        let mut shard = self.shard.borrow_mut();
        match order {
            Order::Verdict(connection, verdict) => shard.handle_verdict(now, connection, verdict),
            Order::Kick(kick) => shard.handle_kick(now, &kick),
            Order::LoggedOut => self.close_logged_out(),
            Order::Publish(message) => shard.handle_injected(now, message.view()),
            Order::Settings(settings) => shard.handle_settings(*settings),
            Order::Policy => {
                if let Some(policy) = self.desk.policy(self.id) {
                    shard.handle_policy(policy);
                }
            }
            // Whoever does not wait any more needs no answer.
            Order::Stats(answer) => {
                let counts = Counts {
                    stats: shard.stats(),
                    durations: self.stopwatch.durations(),
                };
                _ = answer.send(Box::new(counts));
            }
            Order::Roll(answer) => _ = answer.send(shard.call_the_roll()),
            Order::Search(search, from, answer) => _ = answer.send(shard.search(&search, from)),
            Order::Answer(answer) => _ = answer.send(()),
            Order::Trace(is_tracing) => shard.set_tracing(is_tracing),
            Order::Save(clock, question, answer) => {
                _ = answer.send(Box::new(shard.handle_save(&clock, question)));
            }
            Order::End => self.is_saved.set(true),
        }
    }

    /// Closes the connections whose session over HTTP has ended, those among them that have not sent a CONNECT yet.
    fn close_logged_out(&self) {
        let links = self.links.borrow();
        for link in links.values().filter(|link| link.guest.is_logged_out()) {
            link.state.set(LinkState::Broken);
            link.task.borrow().wake_by_ref();
        }
    }

    /// Hands out what the engine does not decide itself.
    fn hand_out(&self, now: Time) {
        let orders = Orders::new(&self.mailboxes, self.id);
        let mut shard = self.shard.borrow_mut();
        while let Some(request) = shard.poll_auth_request() {
            let connection = request.connection;
            if let Some(verdict) = self.desk.authenticate(&orders, request) {
                shard.handle_verdict(now, connection, verdict);
            }
        }
        while let Some(claimed) = shard.poll_claimed() {
            self.desk.handle_claimed(&orders, claimed);
        }
    }

    /// Writes what this turn has brought to everybody, here and in other shards.
    fn end_turn(&self) {
        let now = self.now();
        self.hand_out(now);
        // Mail before acknowledgements: a publisher that has one may be on another shard with its next
        // message before this one has left.
        self.post(self.stopwatch.since().unwrap_or(now));
        // What is touched while this goes on has its turn next.
        let mut touched = Vec::new();
        while let Some(key) = self.shard.borrow_mut().poll_touched() {
            touched.push(key);
        }
        for key in touched {
            self.write(now, key);
        }
        let publishes = self.shard.borrow().publishes_received();
        self.stopwatch.end(publishes, || self.now());
        let events = self.shard.borrow_mut().poll_events(now);
        events
            .iter()
            .filter(|event| !self.is_of_bridge(event))
            .for_each(|event| log_event(&self.log, event, self.peer_of(event)));
        if let Some(keeper) = &self.keeper {
            keeper.note(self.shard.borrow_mut().take_changes());
        }
        self.begin_turn_if_due();
    }

    /// Posts what other shards get, as one batch each, and since when it has been on its way.
    fn post(&self, since: Time) {
        for to in (0..self.shards).map(ShardId) {
            let outbox = self.shard.borrow_mut().poll_outbox(to);
            if let (Some(envelopes), Some(mailbox)) =
                (outbox, self.mailboxes.get(usize::from(to.0)))
            {
                mailbox.send_envelopes(envelopes, since);
            }
        }
    }

    fn begin_turn_if_due(&self) {
        if self.shard.borrow().has_outputs() && !self.turn_is_due.replace(true) {
            self.housekeeper.borrow().wake_by_ref();
        }
    }

    /// Writes a touched connection, or has its task do what the housekeeper cannot.
    fn write(&self, now: Time, key: ConnectionKey) {
        let Some(link) = self.links.borrow().get(key).cloned() else {
            return;
        };
        let mut shard = self.shard.borrow_mut();
        if matches!(link.state.get(), LinkState::Idle | LinkState::Waiting)
            && let Some(out) = shard.out(key)
            && !out.is_empty()
        {
            // The task registers its own interest when the socket is full.
            let mut cx = Context::from_waker(Waker::noop());
            match link.pump.borrow_mut().poll_transmit(&mut cx, out) {
                Poll::Ready(Ok(())) => shard.handle_drained(now, key),
                Poll::Ready(Err(_)) => link.state.set(LinkState::Broken),
                Poll::Pending => {
                    link.state.set(LinkState::Blocked);
                    shard.handle_blocked(key);
                }
            }
        }
        if link.state.get() != LinkState::Idle || shard.ending(key).is_some() {
            link.task.borrow().wake_by_ref();
        }
    }

    /// Whether the event is that a bridge has come in or left, of which it tells itself.
    fn is_of_bridge(&self, event: &Event) -> bool {
        let (Event::Connected { connection, .. } | Event::Closed { connection, .. }) = event else {
            return false;
        };
        let links = self.links.borrow();
        let link = links.get(*connection);
        link.is_some_and(|link| link.guest.rules.settings.number == INSIDE)
    }

    fn peer_of(&self, event: &Event) -> Option<SocketAddr> {
        match event {
            Event::Connected { connection, .. }
            | Event::Refused { connection, .. }
            | Event::Packet { connection, .. }
            | Event::Closed { connection, .. } => self
                .links
                .borrow()
                .get(*connection)
                .and_then(|link| link.peer),
            _ => None,
        }
    }

    /// A socket from the acceptor. Each connection keeps its task for as long as it lives, so what only its
    /// beginning needs must not be part of that.
    fn take_arrival(self: &Rc<Worker>, arrival: Arrival) {
        let Arrival { socket, guest, at } = arrival;
        let known = match &socket {
            Socket::Upgraded(upgraded) => Some(upgraded.1.clone()),
            _ => None,
        };
        // Whoever is gone before it was its turn is nobody's loss.
        let Ok(stream) = socket.into_stream() else {
            return;
        };
        let known = known.or_else(|| {
            guest.rules.are_none().then(|| Peer {
                address: stream.peer_addr().ok(),
                ..Peer::default()
            })
        });
        if let Some(peer) = known {
            return self.open(at, stream, peer, guest);
        }
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            // All that comes before the engine counts as the beginning of the connection, and has its time.
            let until = at + worker.shard.borrow().settings().limits.connect_timeout;
            if let Some((stream, peer)) = guest.let_in(stream, until, &worker.log).await {
                worker.open(at, stream, peer, guest);
            }
        });
    }

    /// Gives a connection to the engine and starts its task.
    fn open(self: &Rc<Worker>, at: Instant, stream: Stream, peer: Peer, guest: Guest) {
        if self.stopping.get() || guest.is_too_late() || guest.is_logged_out() {
            return;
        }
        let address = peer.address;
        let arrived = Time::new(at.saturating_duration_since(self.origin));
        let settings = Arc::clone(&guest.rules.settings);
        let key = (self.shard.borrow_mut()).handle_opened(arrived, settings, peer);
        let link = Rc::new(Link {
            peer: address,
            pump: RefCell::new(Pump::new(stream)),
            task: RefCell::new(Waker::noop().clone()),
            state: Cell::new(LinkState::Idle),
            guest,
        });
        self.links.borrow_mut().insert(key, Rc::clone(&link));
        // Its time to send a CONNECT has begun.
        self.housekeeper.borrow().wake_by_ref();
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            // Also when the task panics: one connection is lost then, not its session.
            let _end = EndOfConnection {
                worker: &worker,
                key,
            };
            poll_fn(|cx| worker.poll_connection(cx, key, &link)).await;
        });
    }

    /// Reads what has come, writes what the housekeeper could not, closes. Ready when it is over.
    fn poll_connection(&self, cx: &mut Context<'_>, key: ConnectionKey, link: &Link) -> Poll<()> {
        if !link.task.borrow().will_wake(cx.waker()) {
            link.task.replace(cx.waker().clone());
        }
        let packets = self.shard.borrow().packets();
        for _ in 0..READS_PER_TURN {
            match link.state.get() {
                LinkState::Broken => return Poll::Ready(()),
                LinkState::Blocked => self.poll_write_rest(cx, key, link),
                LinkState::Waiting => link.state.set(LinkState::Idle),
                LinkState::Idle | LinkState::Draining => {}
            }
            let ending = self.shard.borrow().ending(key);
            match ending {
                Some(Ending::Drop) => return Poll::Ready(()),
                Some(Ending::Close) => ready!(self.poll_close(cx, key, link)),
                // Its CONNECT may be among what comes next, and does not have to show a password.
                None if link.guest.is_logged_out() => return Poll::Ready(()),
                None if self.is_held_back(cx) => return Poll::Pending,
                None if !self.shard.borrow().is_reading(key) => {
                    link.state.set(LinkState::Waiting);
                    return Poll::Pending;
                }
                None => {}
            }
            if !ready!(self.poll_read(cx, key, link)) {
                return Poll::Ready(());
            }
            if self.shard.borrow().packets() - packets > PACKETS_PER_TURN {
                break;
            }
        }
        // There may be more, but others come first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once; false if the peer has closed the connection.
    fn poll_read(&self, cx: &mut Context<'_>, key: ConnectionKey, link: &Link) -> Poll<bool> {
        let now = self.now();
        self.stopwatch.begin(now);
        let mut shard = self.shard.borrow_mut();
        let mut pump = link.pump.borrow_mut();
        let mut consume = |bytes: &[u8]| shard.handle_bytes(now, key, bytes);
        let carried = pump.carried();
        pump.consume_carried(&mut consume);
        let read = if pump.carried() < carried {
            Poll::Ready(Ok(true))
        } else {
            pump.poll_receive(cx, &mut self.scratch.borrow_mut(), &mut consume)
        };
        drop((shard, pump));
        self.begin_turn_if_due();
        // A task is also woken for nothing, above all that of a client within the process.
        if !self.turn_is_due.get() {
            self.stopwatch.forget_read();
        }
        read.map(|read| read.unwrap_or(false))
    }

    fn poll_write_rest(&self, cx: &mut Context<'_>, key: ConnectionKey, link: &Link) {
        let mut shard = self.shard.borrow_mut();
        let Some(out) = shard.out(key) else { return };
        match link.pump.borrow_mut().poll_transmit(cx, out) {
            Poll::Ready(Ok(())) => {
                link.state.set(LinkState::Idle);
                shard.handle_drained(self.now(), key);
                drop(shard);
                self.begin_turn_if_due();
            }
            Poll::Ready(Err(_)) => link.state.set(LinkState::Broken),
            Poll::Pending => {}
        }
    }

    /// Writes the last bytes and closes this side; ready when that is done or has failed.
    fn poll_close(&self, cx: &mut Context<'_>, key: ConnectionKey, link: &Link) -> Poll<()> {
        if link.state.get() == LinkState::Draining {
            return Poll::Ready(());
        }
        let mut shard = self.shard.borrow_mut();
        let mut pump = link.pump.borrow_mut();
        let written = match shard.out(key) {
            Some(out) => ready!(pump.poll_transmit(cx, out)),
            None => Ok(()),
        };
        let closed = match written {
            Ok(()) => ready!(pump.poll_close(cx)),
            Err(error) => Err(error),
        };
        link.state.set(if closed.is_ok() {
            LinkState::Draining
        } else {
            LinkState::Broken
        });
        Poll::Ready(())
    }

    /// Whether other shards have so much mail that this one must not make more.
    fn is_held_back(&self, cx: &Context<'_>) -> bool {
        self.mailboxes.iter().any(|mailbox| mailbox.holds_back(cx))
    }
}

/// Takes a connection out of engine and worker when its task ends.
struct EndOfConnection<'a> {
    worker: &'a Worker,
    key: ConnectionKey,
}

impl Drop for EndOfConnection<'_> {
    fn drop(&mut self) {
        self.worker
            .shard
            .borrow_mut()
            .handle_closed(self.worker.now(), self.key);
        self.worker.end_turn();
        self.worker.links.borrow_mut().remove(self.key);
        self.worker.housekeeper.borrow().wake_by_ref();
    }
}
