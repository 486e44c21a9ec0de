//! The load generator: all publishers and subscribers of one case on one thread.
//!
//! One turn takes the sockets that are ready, reads each once, and lets the publishers that may send
//! write one batch. There is no runtime and no thread per client, because the generator shares the
//! machine with the broker. What it counts becomes a [`Round`]; it prints nothing.

mod clients;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use wigwag_proto::Qos;

use self::clients::{Publisher, Subscriber};
use crate::case::{Bound, Case, Load, Pace};
use crate::connection::Connection;
use crate::process::Process;
use crate::schedule::Schedule;

/// Bytes taken from a socket at once.
const READ_LEN: usize = 64 * 1024;
/// Bytes of PUBLISH packets that may wait for a socket; above it the publisher waits.
const BACKLOG_MAX: usize = 256 * 1024;
/// How often the broker's memory is looked at.
const RSS_INTERVAL: Duration = Duration::from_millis(20);
/// How long the generator sleeps at most, so that it notices silence.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// The latency above which all latencies are this one.
const LATENCY_MAX_NANOS: u64 = 600_000_000_000;

/// What one measurement of one case found.
#[derive(Debug)]
pub(crate) struct Round {
    /// Deliveries in the measured time, without duplicates.
    pub(crate) delivered: u64,
    /// From the first message to the last delivery or acknowledgement.
    pub(crate) elapsed: Duration,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    /// QoS 1 messages without a PUBACK.
    pub(crate) unacknowledged: u64,
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

/// Connects everything, warms up and measures one case. Fails if the load cannot begin.
pub(crate) fn measure(
    address: SocketAddr,
    broker: Option<&Process>,
    case: &Case,
    load: &Load,
) -> anyhow::Result<Round> {
    let mut generator = Generator::connect(address, broker, case, load)?;
    let outcome = generator.run();
    let aborted = outcome.err().map(|error| format!("{error:#}"));
    Ok(generator.finish(aborted))
}

struct Generator<'a> {
    case: &'a Case,
    load: &'a Load,
    broker: Option<&'a Process>,
    own: Option<Process>,
    poll: Poll,
    events: Events,
    /// Clients whose sockets may hold something to read: publishers first, then subscribers.
    ready: Vec<usize>,
    still_ready: Vec<usize>,
    is_ready: Vec<bool>,
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    buffer: Vec<u8>,
    /// All times are nanoseconds since this instant.
    clock: Instant,
    schedule: Option<Schedule>,
    phase: Phase,
    arrivals: Arrivals,
    lateness: Histogram<u64>,
    rss_peak_kib: Option<u64>,
    rss_due: Instant,
    spent: Spent,
}

/// The warm-up or the measurement.
#[derive(Clone, Copy, Debug)]
struct Phase {
    started_nanos: u64,
    last_progress_nanos: u64,
    /// The same, or when something was sent after nothing had been outstanding.
    silent_since_nanos: u64,
    /// When the window was last opened without an arrival.
    written_off_nanos: u64,
    /// When the publishers stop, if time says so.
    deadline_nanos: Option<u64>,
    /// The subscribers have sent their PINGREQ.
    is_settling: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    broker: Option<Duration>,
    own: Option<Duration>,
}

/// What has arrived in this phase.
#[derive(Debug)]
pub(crate) struct Arrivals {
    run: u32,
    payload_len: usize,
    delivered: u64,
    acknowledged: u64,
    pings_answered: u64,
    latency: Histogram<u64>,
    /// Equal latencies in a row, to be recorded together.
    pending: (u64, u64),
}

impl Arrivals {
    const fn total(&self) -> u64 {
        self.delivered + self.acknowledged + self.pings_answered
    }

    /// Notes a delivery; messages of one batch that arrive in one read have the same latency.
    fn record(&mut self, latency_nanos: u64) {
        self.delivered += 1;
        if self.pending.0 == latency_nanos {
            self.pending.1 += 1;
        } else {
            self.settle();
            self.pending = (latency_nanos, 1);
        }
    }

    fn settle(&mut self) {
        let (latency_nanos, count) = self.pending;
        self.pending = (0, 0);
        // The only error is a counter that does not fit into 64 bits.
        let _ = self
            .latency
            .record_n(latency_nanos.clamp(1, LATENCY_MAX_NANOS), count);
    }
}

fn nanos_histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(LATENCY_MAX_NANOS, 3)?)
}

impl<'a> Generator<'a> {
    fn connect(
        address: SocketAddr,
        broker: Option<&'a Process>,
        case: &'a Case,
        load: &'a Load,
    ) -> anyhow::Result<Generator<'a>> {
        let run = fastrand::u32(..);
        let poll = Poll::new()?;
        let mut publishers = Vec::new();
        let mut subscribers = Vec::new();
        for index in 0..case.subscribers {
            subscribers.push(Subscriber::connect(address, case, load, run, index)?);
        }
        for index in 0..case.publishers {
            publishers.push(Publisher::connect(address, case, load, run, index)?);
        }
        let packet_len = publishers.first().map_or(0, Publisher::packet_len);
        let mut generator = Generator {
            case,
            load,
            broker,
            own: Process::open(std::process::id()).ok(),
            poll,
            events: Events::with_capacity(1024),
            ready: Vec::new(),
            still_ready: Vec::new(),
            is_ready: vec![false; case.publishers + case.subscribers],
            publishers,
            subscribers,
            buffer: vec![0; READ_LEN.max(2 * packet_len)],
            clock: Instant::now(),
            schedule: None,
            phase: Phase {
                started_nanos: 0,
                last_progress_nanos: 0,
                silent_since_nanos: 0,
                written_off_nanos: 0,
                deadline_nanos: None,
                is_settling: false,
            },
            arrivals: Arrivals {
                run,
                payload_len: case.payload_len,
                delivered: 0,
                acknowledged: 0,
                pings_answered: 0,
                latency: nanos_histogram()?,
                pending: (0, 0),
            },
            lateness: nanos_histogram()?,
            rss_peak_kib: None,
            rss_due: Instant::now(),
            spent: Spent::default(),
        };
        generator.register()?;
        Ok(generator)
    }

    fn register(&mut self) -> anyhow::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let publishers = self
            .publishers
            .iter_mut()
            .map(|publisher| &mut publisher.connection);
        let subscribers = self
            .subscribers
            .iter_mut()
            .map(|subscriber| &mut subscriber.connection);
        for (index, connection) in publishers.chain(subscribers).enumerate() {
            let stream = &mut connection.stream;
            self.poll
                .registry()
                .register(stream, Token(index), interest)?;
        }
        Ok(())
    }

    /// A warm-up in a closed loop, then the measurement.
    fn run(&mut self) -> anyhow::Result<()> {
        let window = match self.load.pace {
            Pace::Window(window) => window,
            Pace::Rate(_) => self.case.publishers as u64 * self.case.receivers(),
        };
        self.begin(Bound::Deliveries(2 * window), window, None)?;
        self.work()?;

        let (window, schedule) = match self.load.pace {
            Pace::Window(window) => (window, None),
            Pace::Rate(rate) => (
                u64::MAX,
                Some(Schedule::new(
                    rate,
                    self.case.receivers(),
                    self.case.publishers as u64,
                )),
            ),
        };
        let before = self.spending()?;
        self.begin(self.load.bound, window, schedule)?;
        self.work()?;
        let after = self.spending()?;
        self.spent = Spent {
            broker: after
                .broker
                .zip(before.broker)
                .map(|(after, before)| after - before),
            own: after
                .own
                .zip(before.own)
                .map(|(after, before)| after - before),
        };
        Ok(())
    }

    fn spending(&self) -> anyhow::Result<Spent> {
        Ok(Spent {
            broker: self.broker.map(Process::cpu).transpose()?,
            own: self.own.as_ref().map(Process::cpu).transpose()?,
        })
    }

    fn begin(
        &mut self,
        bound: Bound,
        window: u64,
        schedule: Option<Schedule>,
    ) -> anyhow::Result<()> {
        self.arrivals.delivered = 0;
        self.arrivals.acknowledged = 0;
        self.arrivals.pings_answered = 0;
        self.arrivals.pending = (0, 0);
        self.arrivals.latency.reset();
        self.lateness.reset();
        self.schedule = schedule;
        let started_nanos = self.now_nanos();
        let duration = match bound {
            Bound::Deliveries(_) => None,
            Bound::Time(time) => Some(u64::try_from(time.as_nanos())?),
        };
        self.phase = Phase {
            started_nanos,
            last_progress_nanos: started_nanos,
            silent_since_nanos: started_nanos,
            written_off_nanos: started_nanos,
            deadline_nanos: duration.map(|nanos| started_nanos.saturating_add(nanos)),
            is_settling: false,
        };
        for publisher in &mut self.publishers {
            let messages = match bound {
                Bound::Deliveries(deliveries) => self.case.messages_each(deliveries),
                Bound::Time(_) => u64::MAX,
            };
            publisher.begin(messages, self.case.messages_each(window));
        }
        Ok(())
    }

    fn now_nanos(&self) -> u64 {
        // 584 years fit.
        self.clock.elapsed().as_nanos() as u64
    }

    /// Turns until everything of the phase is sent and has arrived, or is given up.
    fn work(&mut self) -> anyhow::Result<()> {
        loop {
            let now = self.now_nanos();
            self.stop_at_the_deadline(now);
            self.send(now)?;
            if self.is_complete() && self.is_settled()? {
                break;
            }
            let arrived = self.receive(now)?;
            let now = self.now_nanos();
            if arrived > 0 {
                self.phase.last_progress_nanos = now;
                self.phase.silent_since_nanos = now;
            } else if self.is_silent(now)? {
                break;
            }
            self.watch_memory()?;
        }
        self.arrivals.settle();
        Ok(())
    }

    fn stop_at_the_deadline(&mut self, now_nanos: u64) {
        if self
            .phase
            .deadline_nanos
            .is_some_and(|deadline| now_nanos >= deadline)
        {
            for publisher in &mut self.publishers {
                publisher.stop();
            }
            self.phase.deadline_nanos = None;
        }
    }

    /// Lets every publisher send what it may.
    fn send(&mut self, now_nanos: u64) -> anyhow::Result<()> {
        for index in 0..self.publishers.len() {
            let publisher = &mut self.publishers[index];
            let allowed = publisher.allowance(self.case.qos);
            if allowed == 0 {
                continue;
            }
            match self.schedule {
                None => publisher.send(allowed, self.arrivals.run, |_| now_nanos)?,
                Some(schedule) => {
                    let started = self.phase.started_nanos;
                    let sent = publisher.sent_in_phase();
                    let due = schedule.due(index as u64, now_nanos - started);
                    let lateness = &mut self.lateness;
                    let allowed = allowed.min(due.saturating_sub(sent));
                    publisher.send(allowed, self.arrivals.run, |number| {
                        let intended = started + schedule.intended_nanos(index as u64, number);
                        let late = now_nanos.saturating_sub(intended);
                        lateness.saturating_record(late.clamp(1, LATENCY_MAX_NANOS));
                        intended
                    })?;
                }
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let sent: u64 = self.publishers.iter().map(Publisher::sent_in_phase).sum();
        self.arrivals.delivered >= sent * self.case.receivers()
            && (self.case.qos == Qos::AtMostOnce || self.arrivals.acknowledged >= sent)
            && self.publishers.iter().all(Publisher::is_done)
    }

    /// Whether the broker has taken the subscribers' PUBACKs too.
    ///
    /// A broker may put them off for the whole measurement, and they are part of its work: a PINGRESP
    /// says that it has read everything before the PINGREQ.
    fn is_settled(&mut self) -> anyhow::Result<bool> {
        if self.case.qos == Qos::AtMostOnce {
            return Ok(true);
        }
        if !std::mem::replace(&mut self.phase.is_settling, true) {
            self.subscribers.iter_mut().try_for_each(Subscriber::ping)?;
        }
        Ok(self.arrivals.pings_answered == self.subscribers.len() as u64)
    }

    /// Waits for sockets and reads each that is ready once; how many packets were expected and came.
    fn receive(&mut self, now_nanos: u64) -> anyhow::Result<u64> {
        self.wait(now_nanos)?;
        for event in &self.events {
            let Token(index) = event.token();
            if event.is_writable() {
                if let Some(publisher) = self.publishers.get_mut(index) {
                    publisher.flush()?;
                } else {
                    self.subscribers[index - self.publishers.len()]
                        .connection
                        .flush()?;
                }
            }
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            if readable && !self.is_ready[index] {
                self.is_ready[index] = true;
                self.ready.push(index);
            }
        }
        let before = self.arrivals.total();
        let mut ready = std::mem::take(&mut self.ready);
        for index in ready.drain(..) {
            if self.read(index)? {
                self.still_ready.push(index);
            } else {
                self.is_ready[index] = false;
            }
        }
        self.ready = std::mem::replace(&mut self.still_ready, ready);
        Ok(self.arrivals.total() - before)
    }

    fn read(&mut self, index: usize) -> anyhow::Result<bool> {
        let clock = self.clock;
        let version = self.load.version;
        match self.publishers.get_mut(index) {
            Some(publisher) => publisher.read(&mut self.buffer, version, &mut self.arrivals),
            None => {
                let subscriber = &mut self.subscribers[index - self.publishers.len()];
                let publishers = &mut self.publishers;
                let (arrivals, buffer) = (&mut self.arrivals, &mut self.buffer);
                subscriber.read(buffer, version, clock, arrivals, publishers)
            }
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

    /// How long nothing is to be sent.
    ///
    /// The poller sleeps whole milliseconds, so the last one before a message is due is spun away.
    fn sleep(&self, now_nanos: u64) -> Duration {
        let next = self
            .publishers
            .iter()
            .enumerate()
            .filter(|(_, publisher)| publisher.allowance(self.case.qos) > 0)
            .map(|(index, publisher)| match self.schedule {
                None => 0,
                Some(schedule) => schedule.intended_nanos(index as u64, publisher.sent_in_phase()),
            })
            .min();
        let Some(next) = next else {
            return SLEEP_MAX;
        };
        let left = (self.phase.started_nanos + next).saturating_sub(now_nanos);
        Duration::from_millis(left / 1_000_000).min(SLEEP_MAX)
    }

    /// Nothing came in this turn: true if the rest is lost, an error if the case is to be given up.
    fn is_silent(&mut self, now_nanos: u64) -> anyhow::Result<bool> {
        let qos = self.case.qos;
        let since = |nanos: u64| Duration::from_nanos(now_nanos.saturating_sub(nanos));
        let silence = since(self.phase.silent_since_nanos);
        let is_over = |publisher: &Publisher| publisher.is_done() && publisher.is_acknowledged(qos);
        if self.publishers.iter().all(is_over) {
            // Late messages would still be welcome, and at QoS 1 they are owed.
            return Ok(silence >= self.silence_max());
        }
        if !self
            .publishers
            .iter()
            .any(|publisher| publisher.is_waiting(qos))
        {
            // The schedule has a pause here; silence begins with the next message.
            self.phase.silent_since_nanos = now_nanos;
            return Ok(false);
        }
        ensure!(
            silence < self.load.stall_max,
            "no message and no acknowledgement for {} s",
            self.load.stall_max.as_secs_f64()
        );
        let silence = silence.min(since(self.phase.written_off_nanos));
        if qos == Qos::AtMostOnce && silence >= self.silence_max() {
            self.publishers.iter_mut().for_each(Publisher::write_off);
            self.phase.written_off_nanos = now_nanos;
        }
        Ok(false)
    }

    /// After so long a silence what has not arrived is lost.
    fn silence_max(&self) -> Duration {
        match self.case.qos {
            Qos::AtMostOnce => self.load.silence_max.min(self.load.stall_max),
            _ => self.load.stall_max,
        }
    }

    fn watch_memory(&mut self) -> anyhow::Result<()> {
        let Some(broker) = self.broker else {
            return Ok(());
        };
        let now = Instant::now();
        if now >= self.rss_due {
            self.rss_due = now + RSS_INTERVAL;
            self.rss_peak_kib = self.rss_peak_kib.max(Some(broker.rss_kib()?));
        }
        Ok(())
    }

    fn finish(mut self, aborted: Option<String>) -> Round {
        self.arrivals.settle();
        let sum = |count: fn(&Publisher) -> u64| self.publishers.iter().map(count).sum();
        let unacknowledged = match self.case.qos {
            Qos::AtMostOnce => 0,
            _ => sum(Publisher::unacknowledged),
        };
        let nanos = self.phase.last_progress_nanos - self.phase.started_nanos;
        let round = Round {
            delivered: self.arrivals.delivered,
            elapsed: Duration::from_nanos(nanos),
            lost: sum(Publisher::lost),
            duplicates: sum(Publisher::duplicates),
            reordered: sum(Publisher::reordered),
            unacknowledged,
            latency: self.arrivals.latency,
            lateness: self.lateness,
            broker_cpu: self.spent.broker,
            generator_cpu: self.spent.own,
            rss_peak_kib: self.rss_peak_kib,
            aborted,
        };
        let publishers = self
            .publishers
            .into_iter()
            .map(|publisher| publisher.connection);
        let subscribers = self
            .subscribers
            .into_iter()
            .map(|subscriber| subscriber.connection);
        publishers.chain(subscribers).for_each(Connection::close);
        round
    }
}
