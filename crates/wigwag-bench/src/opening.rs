//! Opens many connections at the same time, and measures how long each takes.
//!
//! A bounded number is on its way at once, or so many begin per second as were asked for; in that case their time
//! counts from when they were due. What happens on an open connection is not its business.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

use crate::case::Load;
use crate::connection::{Connection, Hello, Stage};
use crate::process::open_files_max;
use crate::schedule::Schedule;
use crate::transport::Endpoint;

/// Connections on their way at the same time: fewer than any backlog of a listener.
const PENDING_MAX: usize = 64;
/// The same if they have a schedule: then it is the broker's part to keep up.
const PENDING_AT_RATE_MAX: usize = 1024;
/// Files that this process needs besides the connections.
const OPEN_FILES_OWN: u64 = 32;
/// Room for the answers of a handshake.
const BUFFER_LEN: usize = 16 * 1024;
/// The latency above which all latencies are this one.
pub(crate) const LATENCY_MAX_NANOS: u64 = 600_000_000_000;

/// Latencies in nanoseconds.
pub(crate) fn nanos_histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(LATENCY_MAX_NANOS, 3)?)
}

/// How long connections took.
#[derive(Clone, Debug)]
pub(crate) struct Timings {
    pub(crate) opened: u64,
    pub(crate) failed: u64,
    /// From the first to the last of them.
    pub(crate) elapsed: Duration,
    /// Nanoseconds from the beginning, or when it was due, to the CONNACK.
    pub(crate) connect: Histogram<u64>,
    /// Nanoseconds from the CONNACK to the SUBACK.
    pub(crate) subscribe: Histogram<u64>,
}

impl Timings {
    pub(crate) fn new() -> anyhow::Result<Timings> {
        Ok(Timings {
            opened: 0,
            failed: 0,
            elapsed: Duration::ZERO,
            connect: nanos_histogram()?,
            subscribe: nanos_histogram()?,
        })
    }

    fn record(histogram: &mut Histogram<u64>, nanos: u64) {
        histogram.saturating_record(nanos.clamp(1, LATENCY_MAX_NANOS));
    }
}

/// A connection that is being made.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) connection: Connection,
    started_nanos: u64,
    connected_nanos: Option<u64>,
}

impl Attempt {
    /// `started_nanos` is when it began, or was due.
    pub(crate) fn start(
        endpoint: &Endpoint,
        load: &Load,
        hello: Hello,
        started_nanos: u64,
    ) -> anyhow::Result<Attempt> {
        Ok(Attempt {
            connection: Connection::start(endpoint, load, hello)?,
            started_nanos,
            connected_nanos: None,
        })
    }

    /// Goes on with the handshake; true once the connection is open. Its times are noted when they are known.
    pub(crate) fn advance(
        &mut self,
        buffer: &mut [u8],
        clock: Instant,
        timings: &mut Timings,
    ) -> anyhow::Result<bool> {
        loop {
            let before = self.connection.stage();
            let stage = self.connection.advance(buffer)?;
            if stage != before {
                self.note(before, stage, clock, timings);
            }
            if stage == before || stage == Stage::Open {
                return Ok(stage == Stage::Open);
            }
        }
    }

    fn note(&mut self, before: Stage, stage: Stage, clock: Instant, timings: &mut Timings) {
        let now = clock.elapsed().as_nanos() as u64;
        if stage > Stage::AwaitsConnAck && self.connected_nanos.is_none() {
            self.connected_nanos = Some(now);
            Timings::record(&mut timings.connect, now.saturating_sub(self.started_nanos));
        }
        if stage == Stage::Open {
            timings.opened += 1;
            if before == Stage::AwaitsSubAck
                && let Some(connected) = self.connected_nanos
            {
                Timings::record(&mut timings.subscribe, now.saturating_sub(connected));
            }
        }
    }
}

/// Says how to get them if the process may not have so many connections.
pub(crate) fn check_open_files(count: usize) -> anyhow::Result<()> {
    let needed = count as u64 + OPEN_FILES_OWN;
    if let Some(limit) = open_files_max() {
        ensure!(
            needed <= limit,
            "{count} connections need {needed} open files and the limit is {limit}: raise it with `ulimit -n {needed}`"
        );
    }
    Ok(())
}

/// Opens a connection for each client, in the same order; all or nothing.
pub(crate) fn open_all(
    endpoint: &Endpoint,
    load: &Load,
    clients: Vec<Hello>,
) -> anyhow::Result<(Vec<Connection>, Timings)> {
    let mut opening = Opening {
        endpoint,
        load,
        count: clients.len(),
        clients: clients.into_iter(),
        schedule: load.connect_rate.map(|rate| Schedule::new(rate, 1)),
        poll: Poll::new()?,
        attempts: Vec::new(),
        open: 0,
        clock: Instant::now(),
        buffer: vec![0; BUFFER_LEN],
        timings: Timings::new()?,
    };
    opening.run()?;
    opening.finish()
}

struct Opening<'a> {
    endpoint: &'a Endpoint,
    load: &'a Load,
    clients: std::vec::IntoIter<Hello>,
    count: usize,
    schedule: Option<Schedule>,
    poll: Poll,
    attempts: Vec<Attempt>,
    open: usize,
    clock: Instant,
    buffer: Vec<u8>,
    timings: Timings,
}

impl Opening<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut moved = Instant::now();
        while self.open < self.count {
            self.load.interrupt.check()?;
            self.start_more()?;
            match self.poll.poll(&mut events, Some(self.sleep())) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.context("cannot wait for sockets")?,
            }
            for event in &events {
                let Token(index) = event.token();
                moved = Instant::now();
                self.advance(index)
                    .with_context(|| format!("connection {} of {}", index + 1, self.count))?;
            }
            if self.open < self.attempts.len() && moved.elapsed() >= self.load.stall_max {
                self.give_up()?;
            } else if self.open == self.attempts.len() {
                moved = Instant::now();
            }
        }
        self.timings.elapsed = self.clock.elapsed();
        Ok(())
    }

    fn give_up(&self) -> anyhow::Result<()> {
        let late = self
            .attempts
            .iter()
            .find(|attempt| attempt.connection.stage() < Stage::Open);
        let awaited = late.map_or("connection", |attempt| attempt.connection.awaited());
        bail!(
            "{} of {} connections were accepted, then no {awaited} came for {} s",
            self.open,
            self.count,
            self.load.stall_max.as_secs_f64()
        )
    }

    fn now_nanos(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// Begins those that may begin by now.
    fn start_more(&mut self) -> anyhow::Result<()> {
        let now = self.now_nanos();
        let (allowed, pending_max) = match self.schedule {
            None => (self.count, PENDING_MAX),
            Some(schedule) => (
                usize::try_from(schedule.due(now)).unwrap_or(usize::MAX),
                PENDING_AT_RATE_MAX,
            ),
        };
        let allowed = allowed.min(self.open + pending_max);
        while self.attempts.len() < allowed
            && let Some(hello) = self.clients.next()
        {
            let index = self.attempts.len();
            let started = match self.schedule {
                None => self.now_nanos(),
                Some(schedule) => schedule.intended_nanos(index as u64),
            };
            let mut attempt = Attempt::start(self.endpoint, self.load, hello, started)?;
            self.poll.registry().register(
                &mut attempt.connection.transport.socket,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            self.attempts.push(attempt);
        }
        Ok(())
    }

    fn sleep(&self) -> Duration {
        const AT_MOST: Duration = Duration::from_millis(50);
        let Some(schedule) = self.schedule else {
            return AT_MOST;
        };
        let next = schedule.intended_nanos(self.attempts.len() as u64);
        Duration::from_nanos(next.saturating_sub(self.now_nanos())).min(AT_MOST)
    }

    fn advance(&mut self, index: usize) -> anyhow::Result<()> {
        let attempt = &mut self.attempts[index];
        if attempt.connection.stage() < Stage::Open
            && attempt.advance(&mut self.buffer, self.clock, &mut self.timings)?
        {
            self.open += 1;
        }
        Ok(())
    }

    /// Hands the connections over, free of this poll.
    fn finish(mut self) -> anyhow::Result<(Vec<Connection>, Timings)> {
        for attempt in &mut self.attempts {
            let socket = &mut attempt.connection.transport.socket;
            self.poll.registry().deregister(socket)?;
        }
        let connections = self.attempts.into_iter().map(|attempt| attempt.connection);
        Ok((connections.collect(), self.timings))
    }
}
