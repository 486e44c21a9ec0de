//! The load generator: all clients of one run on one thread.
//!
//! One turn takes the sockets that are ready, reads each once, and lets the publishers that may send write one batch.
//! There is no runtime and no thread per client, because the generator shares the machine with the broker. What it
//! counts becomes a [`RunRound`]; what there is to see meanwhile goes to [`Progress`].

mod arrivals;
mod clients;
mod company;
mod flow;

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

pub(crate) use self::company::{ChurnRound, HoldRound};
use self::company::{Churning, Held};
use self::flow::Flow;
use crate::case::{Bound, Churn, Load, Run};
use crate::connection::Connection;
use crate::opening::{Timings, check_open_files, open_all};
use crate::process::Process;
use crate::progress::Progress;
use crate::transport::Endpoint;

/// Bytes taken from a socket at once.
const READ_LEN: usize = 64 * 1024;
/// Bytes of PUBLISH packets that may wait for a socket; above it the publisher waits.
const BACKLOG_MAX: usize = 256 * 1024;
/// How often the broker's memory is looked at.
const RSS_INTERVAL_NANOS: u64 = 20_000_000;
/// How long the generator sleeps at most, so that it notices silence.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// What one measurement of one flow found.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Deliveries in the measured time, without duplicates.
    pub(crate) delivered: u64,
    /// From the first message to the last delivery or acknowledgement.
    pub(crate) elapsed: Duration,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    /// Messages above QoS 0 whose acknowledgements are not complete.
    pub(crate) unacknowledged: u64,
    /// Messages that were due and could not be sent, in an open loop.
    pub(crate) unsent: u64,
    /// Nanoseconds from the stamp in the payload to the read that brought it.
    pub(crate) latency: Histogram<u64>,
    /// Nanoseconds from the intended to the real time of sending, for an open loop.
    pub(crate) lateness: Histogram<u64>,
    /// CPU time of the broker's process, if it was given.
    pub(crate) broker_cpu: Option<Duration>,
    /// CPU time of this process.
    pub(crate) generator_cpu: Option<Duration>,
    pub(crate) rss_peak_kib: Option<u64>,
    /// Why the round ended before its time.
    pub(crate) aborted: Option<String>,
}

impl Round {
    /// What several flows of one run have found together.
    fn all(flows: &[Round]) -> Option<Round> {
        let (first, others) = flows.split_first()?;
        let mut all = first.clone();
        for other in others {
            all.delivered += other.delivered;
            all.elapsed = all.elapsed.max(other.elapsed);
            all.lost += other.lost;
            all.duplicates += other.duplicates;
            all.reordered += other.reordered;
            all.unacknowledged += other.unacknowledged;
            all.unsent += other.unsent;
            all.latency.add(&other.latency).ok()?;
            all.lateness.add(&other.lateness).ok()?;
        }
        Some(all)
    }
}

/// What one measurement of one run found.
#[derive(Debug)]
pub(crate) struct RunRound {
    /// In the order of the cases.
    pub(crate) flows: Vec<Round>,
    /// All flows together, if there are several.
    pub(crate) all: Option<Round>,
    pub(crate) opening: Timings,
    pub(crate) churns: Vec<ChurnRound>,
    pub(crate) holds: Vec<HoldRound>,
}

/// Connects everybody, warms up and measures one run. Fails if the load cannot begin.
pub(crate) fn measure(
    endpoint: &Endpoint,
    broker: Option<&Process>,
    run: &Run,
    load: &Load,
    progress: &mut Progress,
) -> anyhow::Result<RunRound> {
    let mut generator = Generator::connect(endpoint, broker, run, load, progress)?;
    let outcome = generator.run();
    let aborted = outcome.err().map(|error| format!("{error:#}"));
    Ok(generator.finish(aborted.as_deref()))
}

struct Generator<'a> {
    load: &'a Load,
    broker: Option<&'a Process>,
    own: Option<Process>,
    poll: Poll,
    events: Events,
    /// Whose socket a token means.
    places: Vec<Place>,
    /// Tokens of sockets that may hold something to read.
    ready: Vec<usize>,
    still_ready: Vec<usize>,
    is_ready: Vec<bool>,
    flows: Vec<Flow<'a>>,
    held: Vec<Held<'a>>,
    churning: Vec<Churning<'a>>,
    opening: Timings,
    buffer: Vec<u8>,
    /// All times are nanoseconds since this instant.
    clock: Instant,
    started_nanos: u64,
    /// When a run without messages is over.
    end_nanos: u64,
    rss_peak_kib: Option<u64>,
    rss_due_nanos: u64,
    spent: Spent,
    progress: &'a mut Progress,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Publisher { flow: usize, index: usize },
    Subscriber { flow: usize, index: usize },
    Held { hold: usize, index: usize },
    Churning { churn: usize, slot: usize },
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    broker: Option<Duration>,
    own: Option<Duration>,
}

impl<'a> Generator<'a> {
    fn connect(
        endpoint: &'a Endpoint,
        broker: Option<&'a Process>,
        run: &'a Run,
        load: &'a Load,
        progress: &'a mut Progress,
    ) -> anyhow::Result<Generator<'a>> {
        check_open_files(run.connections())?;
        // Each flow has a number of its own, so that no message can be taken for one of another.
        let number = fastrand::u32(..);
        let numbered = |index: usize| number.wrapping_add(index as u32);
        let mut hellos = Vec::new();
        for (index, case) in run.cases.iter().enumerate() {
            hellos.extend(Flow::hellos(case, numbered(index)));
        }
        for (index, hold) in run.holds.iter().enumerate() {
            hellos.extend(Held::hellos(hold, numbered(index)));
        }
        let (connections, opening) = open_all(endpoint, load, hellos)?;
        let mut connections = connections.into_iter();
        let mut flows = Vec::new();
        for (index, case) in run.cases.iter().enumerate() {
            flows.push(Flow::new(
                case,
                load,
                numbered(index),
                connections.by_ref(),
            )?);
        }
        let held = run.holds.iter();
        let held: Vec<_> = held
            .map(|hold| Held::new(hold, connections.by_ref()))
            .collect();
        let packet_len_max = flows.iter().map(Flow::packet_len_max).max().unwrap_or(0);
        let mut generator = Generator {
            load,
            broker,
            own: Process::open(std::process::id()).ok(),
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            places: Vec::new(),
            ready: Vec::new(),
            still_ready: Vec::new(),
            is_ready: Vec::new(),
            flows,
            held,
            churning: Vec::new(),
            opening,
            buffer: vec![0; READ_LEN.max(2 * packet_len_max)],
            clock: Instant::now(),
            started_nanos: 0,
            end_nanos: 0,
            rss_peak_kib: None,
            rss_due_nanos: 0,
            spent: Spent::default(),
            progress,
        };
        generator.register()?;
        for (index, churn) in run.churns.iter().enumerate() {
            generator.make_room(churn, endpoint, numbered(index), index)?;
        }
        Ok(generator)
    }

    fn register(&mut self) -> anyhow::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        let places = &mut self.places;
        let mut register = |connection: &mut Connection, place| {
            let token = places.len();
            places.push(place);
            let socket = &mut connection.transport.socket;
            registry
                .register(socket, Token(token), interest)
                .map(|()| token)
        };
        for (flow, clients) in self.flows.iter_mut().enumerate() {
            for (index, publisher) in clients.publishers.all.iter_mut().enumerate() {
                register(&mut publisher.connection, Place::Publisher { flow, index })?;
            }
            for (index, subscriber) in clients.subscribers.iter_mut().enumerate() {
                register(
                    &mut subscriber.connection,
                    Place::Subscriber { flow, index },
                )?;
            }
        }
        for (hold, clients) in self.held.iter_mut().enumerate() {
            for (index, connection) in clients.connections.iter_mut().enumerate() {
                // What came with the SUBACK is in its hands already; no socket will tell.
                let token = register(connection, Place::Held { hold, index })?;
                self.ready.push(token);
            }
        }
        self.is_ready = vec![false; self.places.len()];
        for &token in &self.ready {
            self.is_ready[token] = true;
        }
        Ok(())
    }

    fn make_room(
        &mut self,
        churn: &'a Churn,
        endpoint: &'a Endpoint,
        run: u32,
        index: usize,
    ) -> anyhow::Result<()> {
        let token = self.places.len();
        let churning = Churning::new(churn, self.load, endpoint, run, token)?;
        let slots = 0..churning.slot_count();
        self.places
            .extend(slots.map(|slot| Place::Churning { churn: index, slot }));
        self.is_ready.resize(self.places.len(), false);
        self.churning.push(churning);
        Ok(())
    }

    /// The warm-up, then the measurement.
    fn run(&mut self) -> anyhow::Result<()> {
        let now = self.now_nanos();
        for flow in &mut self.flows {
            match self.load.warm_up {
                None => flow.begin_warm_up(now),
                Some(time) => flow.begin_at_pace(Bound::Time(time), now),
            }
        }
        self.end_nanos = self
            .load
            .warm_up
            .map_or(0, |time| now + time.as_nanos() as u64);
        self.progress.begin("warming up", None, now);
        self.work()?;

        let before = self.spending()?;
        self.begin();
        self.work()?;
        let after = self.spending()?;
        let difference = |after: Option<Duration>, before| Some(after?.saturating_sub(before?));
        self.spent = Spent {
            broker: difference(after.broker, before.broker),
            own: difference(after.own, before.own),
        };
        Ok(())
    }

    fn begin(&mut self) {
        let now = self.now_nanos();
        let bound = self.load.bound;
        self.started_nanos = now;
        self.end_nanos = match bound {
            Bound::Time(time) => now + time.as_nanos() as u64,
            Bound::Deliveries(_) => now,
        };
        self.flows
            .iter_mut()
            .for_each(|flow| flow.begin_at_pace(bound, now));
        self.held.iter_mut().for_each(Held::begin);
        self.churning
            .iter_mut()
            .for_each(|churning| churning.begin(bound, now));
        self.progress.begin("measuring", Some(bound), now);
    }

    fn spending(&self) -> anyhow::Result<Spent> {
        Ok(Spent {
            broker: self.broker.map(Process::cpu).transpose()?,
            own: self.own.as_ref().map(Process::cpu).transpose()?,
        })
    }

    fn now_nanos(&self) -> u64 {
        // 584 years fit.
        self.clock.elapsed().as_nanos() as u64
    }

    /// Turns until everything of the phase is done, or is given up.
    fn work(&mut self) -> anyhow::Result<()> {
        loop {
            self.load.interrupt.check()?;
            let now = self.now_nanos();
            for flow in &mut self.flows {
                flow.send(now)?;
            }
            for churning in &mut self.churning {
                churning.turn(now, self.poll.registry())?;
            }
            if self.is_over(now)? {
                return Ok(());
            }
            self.receive(now)?;
            let now = self.now_nanos();
            for flow in &mut self.flows {
                flow.look(now)?;
            }
            self.watch(now)?;
        }
    }

    fn is_over(&mut self, now_nanos: u64) -> anyhow::Result<bool> {
        let mut is_over = true;
        for flow in &mut self.flows {
            is_over &= flow.settle()?;
        }
        if !is_over || now_nanos < self.end_nanos && self.flows.is_empty() {
            return Ok(false);
        }
        // Nobody comes any more once the messages have ended, but who was to come is waited for.
        let by_messages = matches!(self.load.bound, Bound::Deliveries(_));
        for churning in &mut self.churning {
            if by_messages {
                churning.stop();
            }
            is_over &= churning.is_over();
        }
        Ok(is_over)
    }

    /// Waits for sockets and reads each that is ready once.
    fn receive(&mut self, now_nanos: u64) -> anyhow::Result<()> {
        self.wait(now_nanos)?;
        for event in &self.events {
            let Token(token) = event.token();
            if event.is_writable() {
                match self.places[token] {
                    Place::Publisher { flow, index } => self.flows[flow].flush_publisher(index)?,
                    Place::Subscriber { flow, index } => {
                        flush_if_blocked(&mut self.flows[flow].subscribers[index].connection)?;
                    }
                    Place::Held { hold, index } => {
                        flush_if_blocked(&mut self.held[hold].connections[index])?;
                    }
                    Place::Churning { .. } => {}
                }
            }
            if let Place::Churning { churn, slot } = self.places[token] {
                let registry = self.poll.registry();
                self.churning[churn].handle(slot, &mut self.buffer, self.clock, registry);
                continue;
            }
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            if readable && !self.is_ready[token] {
                self.is_ready[token] = true;
                self.ready.push(token);
            }
        }
        let mut ready = std::mem::take(&mut self.ready);
        for token in ready.drain(..) {
            if self.read(token)? {
                self.still_ready.push(token);
            } else {
                self.is_ready[token] = false;
            }
        }
        self.ready = std::mem::replace(&mut self.still_ready, ready);
        Ok(())
    }

    fn read(&mut self, token: usize) -> anyhow::Result<bool> {
        let buffer = &mut self.buffer;
        match self.places[token] {
            Place::Publisher { flow, index } => {
                self.flows[flow].read_publisher(index, buffer, self.clock)
            }
            Place::Subscriber { flow, index } => {
                self.flows[flow].read_subscriber(index, buffer, self.clock)
            }
            Place::Held { hold, index } => self.held[hold].read(index, buffer, self.load.version),
            Place::Churning { .. } => Ok(false),
        }
    }

    fn wait(&mut self, now_nanos: u64) -> anyhow::Result<()> {
        let sleep = if self.ready.is_empty() {
            self.sleep(now_nanos)
        } else {
            Duration::ZERO
        };
        match self.poll.poll(&mut self.events, Some(sleep)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(error).context("cannot wait for sockets");
            }
            _ => {}
        }
        if sleep.is_zero() && self.events.is_empty() && self.ready.is_empty() {
            thread::yield_now();
        }
        Ok(())
    }

    /// How long nothing is to be done.
    ///
    /// The poller sleeps whole milliseconds, so the last one before a message is due is spun away.
    fn sleep(&self, now_nanos: u64) -> Duration {
        let flows = self.flows.iter().filter_map(Flow::idle_until_nanos);
        let churning = self.churning.iter();
        let churning = churning.filter_map(Churning::idle_until_nanos);
        let Some(next) = flows.chain(churning).min() else {
            return SLEEP_MAX;
        };
        let left = next.saturating_sub(now_nanos);
        Duration::from_millis(left / 1_000_000).min(SLEEP_MAX)
    }

    fn watch(&mut self, now_nanos: u64) -> anyhow::Result<()> {
        if let Some(broker) = self.broker
            && now_nanos >= self.rss_due_nanos
        {
            self.rss_due_nanos = now_nanos + RSS_INTERVAL_NANOS;
            self.rss_peak_kib = self.rss_peak_kib.max(Some(broker.rss_kib()?));
        }
        if self.progress.is_due(now_nanos) {
            let delivered = self.flows.iter().map(Flow::delivered).sum();
            self.progress.show(now_nanos, delivered);
        }
        Ok(())
    }

    fn finish(self, aborted: Option<&str>) -> RunRound {
        self.progress.clear();
        let elapsed = self.clock.elapsed().as_nanos() as u64 - self.started_nanos;
        let elapsed = Duration::from_nanos(elapsed);
        let mut flows: Vec<Round> = self.flows.into_iter().map(Flow::finish).collect();
        let mut all = if flows.len() > 1 {
            Round::all(&flows)
        } else {
            None
        };
        // What was spent is known of all flows together only.
        let whole = match &mut all {
            Some(all) => Some(all),
            None => flows.first_mut(),
        };
        if let Some(whole) = whole {
            whole.broker_cpu = self.spent.broker;
            whole.generator_cpu = self.spent.own;
            whole.rss_peak_kib = self.rss_peak_kib;
        }
        for round in flows.iter_mut().chain(&mut all) {
            round.aborted = aborted.map(str::to_owned);
        }
        let holds = self.held.into_iter();
        let churns = self.churning.into_iter();
        RunRound {
            flows,
            all,
            opening: self.opening,
            churns: churns.map(|churning| churning.finish(elapsed)).collect(),
            holds: holds.map(|held| held.finish(elapsed)).collect(),
        }
    }
}

fn flush_if_blocked(connection: &mut Connection) -> anyhow::Result<()> {
    if connection.is_blocked() {
        connection.flush()?;
    }
    Ok(())
}
