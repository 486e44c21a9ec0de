//! One flow of messages: its publishers and subscribers, what is to be sent when, and what became of it.
//!
//! Does not wait for anything: the generator says what time it is and which socket is ready. Publishers that cannot
//! send are not looked at until something has changed for them, so that thousands of them cost nothing.

use std::time::{Duration, Instant};

use anyhow::ensure;
use hdrhistogram::Histogram;
use wigwag_proto::Qos;

use super::Round;
use super::arrivals::Arrivals;
use super::clients::{Publisher, Publishers, Subscriber, hellos};
use crate::case::{Bound, Case, Load, Pace};
use crate::connection::{Connection, Hello};
use crate::opening::{LATENCY_MAX_NANOS, nanos_histogram};
use crate::schedule::Schedule;

/// How often a silence is looked into: that takes a look at every publisher.
const SILENCE_LOOK_NANOS: u64 = 10_000_000;

pub(super) struct Flow<'a> {
    case: &'a Case,
    load: &'a Load,
    run: u32,
    pub(super) publishers: Publishers,
    pub(super) subscribers: Vec<Subscriber>,
    still_active: Vec<usize>,
    phase: Phase,
    arrivals: Arrivals,
    lateness: Histogram<u64>,
    unsent: u64,
}

/// The warm-up or the measurement.
#[derive(Clone, Copy, Debug, Default)]
struct Phase {
    started_nanos: u64,
    last_progress_nanos: u64,
    /// The same, or when something was sent after nothing had been outstanding.
    silent_since_nanos: u64,
    /// When the window was last opened without an arrival.
    written_off_nanos: u64,
    /// When a silence is next looked into.
    look_nanos: u64,
    /// When the publishers stop, whatever they have not sent.
    deadline_nanos: Option<u64>,
    open_loop: Option<OpenLoop>,
    sent: u64,
    /// What `sent` will be at the end.
    sent_max: u64,
    /// What had arrived at the last look.
    arrived: u64,
    /// The PINGREQs behind the last packets have been sent.
    is_settling: bool,
    is_over: bool,
}

/// Messages that are due at even distances; the publishers take turns.
#[derive(Clone, Copy, Debug)]
struct OpenLoop {
    schedule: Schedule,
    /// Messages that have become due, and been put on their publishers' accounts.
    due: u64,
    /// When the next one does.
    next_nanos: u64,
    next_publisher: usize,
}

impl<'a> Flow<'a> {
    /// What its clients say when they come.
    pub(super) fn hellos(case: &Case, run: u32) -> Vec<Hello> {
        hellos(case, run)
    }

    /// `connections` are open, in the order of [`Flow::hellos`].
    pub(super) fn new(
        case: &'a Case,
        load: &'a Load,
        run: u32,
        mut connections: impl Iterator<Item = Connection>,
    ) -> anyhow::Result<Flow<'a>> {
        let subscribers = connections
            .by_ref()
            .take(case.subscribers)
            .enumerate()
            .map(|(index, connection)| Subscriber::new(connection, case, index))
            .collect();
        let all: anyhow::Result<_> = connections
            .take(case.publishers)
            .enumerate()
            .map(|(index, connection)| Publisher::new(connection, case, load.version, run, index))
            .collect();
        Ok(Flow {
            case,
            load,
            run,
            publishers: Publishers {
                all: all?,
                active: Vec::new(),
            },
            subscribers,
            still_active: Vec::new(),
            phase: Phase::default(),
            arrivals: Arrivals::new(run, case.payload_lens.clone())?,
            lateness: nanos_histogram()?,
            unsent: 0,
        })
    }

    pub(super) fn packet_len_max(&self) -> usize {
        self.publishers
            .all
            .first()
            .map_or(0, Publisher::packet_len_max)
    }

    pub(super) const fn delivered(&self) -> u64 {
        self.arrivals.delivered
    }

    /// Begins a warm-up without a time: every buffer is used once, in a closed loop.
    pub(super) fn begin_warm_up(&mut self, now_nanos: u64) {
        let window = match self.case.pace {
            Pace::Window(window) => window,
            Pace::Rate(_) => self.case.publishers as u64 * self.case.weight(),
        };
        self.begin(
            Bound::Deliveries(2 * window),
            Pace::Window(window),
            now_nanos,
        );
    }

    /// Begins to send at the pace of the case until `bound`.
    pub(super) fn begin_at_pace(&mut self, bound: Bound, now_nanos: u64) {
        self.begin(bound, self.case.pace, now_nanos);
    }

    fn begin(&mut self, bound: Bound, pace: Pace, now_nanos: u64) {
        self.arrivals.begin();
        self.lateness.reset();
        self.unsent = 0;
        self.phase = Phase {
            started_nanos: now_nanos,
            last_progress_nanos: now_nanos,
            silent_since_nanos: now_nanos,
            written_off_nanos: now_nanos,
            look_nanos: now_nanos,
            ..Phase::default()
        };
        match pace {
            Pace::Window(window) => self.begin_closed_loop(bound, window),
            Pace::Rate(rate) => self.begin_open_loop(bound, rate),
        }
        self.publishers.wake_all();
    }

    fn begin_closed_loop(&mut self, bound: Bound, window: u64) {
        let each = match bound {
            Bound::Deliveries(deliveries) => self.case.messages_each(deliveries),
            Bound::Time(time) => {
                self.phase.deadline_nanos = Some(self.phase.started_nanos + nanos(time));
                u64::MAX
            }
        };
        self.phase.sent_max = each.saturating_mul(self.publishers.all.len() as u64);
        let window_each = self.case.messages_each(window);
        for publisher in &mut self.publishers.all {
            publisher.begin(each, window_each);
        }
    }

    fn begin_open_loop(&mut self, bound: Bound, rate: u64) {
        let schedule = Schedule::new(rate, self.case.weight());
        let publishers = self.publishers.all.len() as u64;
        let due_max = match bound {
            Bound::Deliveries(deliveries) => self.case.messages_each(deliveries) * publishers,
            Bound::Time(time) => schedule.due_within(time),
        };
        let last_nanos = schedule.intended_nanos(due_max.saturating_sub(1));
        self.phase.sent_max = due_max;
        // A broker that cannot keep up must not make the run endless.
        let deadline = last_nanos.saturating_add(nanos(self.load.stall_max));
        self.phase.deadline_nanos = Some(self.phase.started_nanos.saturating_add(deadline));
        self.phase.open_loop = Some(OpenLoop {
            schedule,
            due: 0,
            next_nanos: self.phase.started_nanos,
            next_publisher: 0,
        });
        for publisher in &mut self.publishers.all {
            publisher.begin(0, u64::MAX);
        }
    }

    /// Lets the publishers send what they may.
    pub(super) fn send(&mut self, now_nanos: u64) -> anyhow::Result<()> {
        if self
            .phase
            .deadline_nanos
            .is_some_and(|deadline| now_nanos >= deadline)
        {
            self.stop(now_nanos);
        }
        self.hand_out(now_nanos);
        let mut active = std::mem::take(&mut self.publishers.active);
        for index in active.drain(..) {
            if self.send_batch(index, now_nanos)? {
                self.still_active.push(index);
            } else {
                self.publishers.all[index].is_active = false;
            }
        }
        self.publishers.active = std::mem::replace(&mut self.still_active, active);
        Ok(())
    }

    /// Puts messages that have become due on their publishers' accounts.
    fn hand_out(&mut self, now_nanos: u64) {
        let started = self.phase.started_nanos;
        let Some(open_loop) = &mut self.phase.open_loop else {
            return;
        };
        if now_nanos < open_loop.next_nanos {
            return;
        }
        let due = open_loop.schedule.due(now_nanos - started);
        while open_loop.due < due.min(self.phase.sent_max) {
            let publisher = open_loop.next_publisher;
            self.publishers.all[publisher].target += 1;
            self.publishers.wake(publisher);
            open_loop.next_publisher = if publisher + 1 < self.publishers.all.len() {
                publisher + 1
            } else {
                0
            };
            open_loop.due += 1;
        }
        open_loop.next_nanos = started + open_loop.schedule.intended_nanos(due);
    }

    /// Sends one batch of a publisher; true if it may send more at once.
    fn send_batch(&mut self, index: usize, now_nanos: u64) -> anyhow::Result<bool> {
        let publisher = &mut self.publishers.all[index];
        let allowed = publisher.allowance(self.case.qos);
        if allowed == 0 {
            return Ok(false);
        }
        let batch = match self.phase.open_loop {
            None => publisher.send(allowed, self.run, |_| now_nanos)?,
            Some(OpenLoop { schedule, .. }) => {
                let started = self.phase.started_nanos;
                let publishers = self.case.publishers as u64;
                let lateness = &mut self.lateness;
                publisher.send(allowed, self.run, |number| {
                    let turn = number * publishers + index as u64;
                    let intended = started + schedule.intended_nanos(turn);
                    let late = now_nanos.saturating_sub(intended);
                    lateness.saturating_record(late.clamp(1, LATENCY_MAX_NANOS));
                    intended
                })?
            }
        };
        self.phase.sent += batch;
        Ok(batch < allowed && !publisher.is_blocked())
    }

    /// Ends the sending. What was due and could not be sent has waited until now, and goes on waiting.
    fn stop(&mut self, now_nanos: u64) {
        self.phase.deadline_nanos = None;
        self.hand_out(now_nanos);
        for (index, publisher) in self.publishers.all.iter_mut().enumerate() {
            let first = publisher.sent_in_phase();
            let unsent = publisher.stop();
            let Some(open_loop) = &self.phase.open_loop else {
                continue;
            };
            self.unsent += unsent;
            for number in first..first + unsent {
                let turn = number * self.case.publishers as u64 + index as u64;
                let intended = open_loop.schedule.intended_nanos(turn);
                let waited = now_nanos.saturating_sub(self.phase.started_nanos + intended);
                self.arrivals.note(waited, self.case.weight());
            }
        }
        self.phase.sent_max = self.phase.sent;
    }

    /// Whether everything is sent and has arrived.
    ///
    /// A broker may put off reading acknowledgements for the whole measurement, and they are part of its work: a
    /// PINGRESP says that it has read everything before the PINGREQ.
    pub(super) fn settle(&mut self) -> anyhow::Result<bool> {
        if self.phase.is_over {
            return Ok(true);
        }
        if !self.is_complete() {
            return Ok(false);
        }
        let qos = self.case.qos;
        let asks_publishers = self.subscribers.is_empty() && qos == Qos::AtMostOnce;
        let asks_subscribers = qos != Qos::AtMostOnce;
        if !std::mem::replace(&mut self.phase.is_settling, true) {
            if asks_publishers {
                let mut publishers = self.publishers.all.iter_mut();
                publishers.try_for_each(Publisher::ping)?;
            }
            if asks_subscribers {
                self.subscribers.iter_mut().try_for_each(Subscriber::ping)?;
            }
        }
        let publishers = if asks_publishers {
            self.publishers.all.len()
        } else {
            0
        };
        let subscribers = if asks_subscribers {
            self.subscribers.len()
        } else {
            0
        };
        self.phase.is_over = self.arrivals.pings_answered == (publishers + subscribers) as u64;
        Ok(self.phase.is_over)
    }

    fn is_complete(&self) -> bool {
        let sent = self.phase.sent;
        sent >= self.phase.sent_max
            && self.arrivals.delivered >= sent * self.case.receivers()
            && (self.case.qos == Qos::AtMostOnce || self.arrivals.acknowledged >= sent)
            && self.arrivals.unreleased == 0
            && self.publishers.all.iter().all(Publisher::is_done)
    }

    /// A publisher's socket is writable; every event says so, most of them to nobody's concern.
    pub(super) fn flush_publisher(&mut self, index: usize) -> anyhow::Result<()> {
        if self.publishers.all[index].is_blocked() {
            self.publishers.all[index].flush()?;
            self.publishers.wake(index);
        }
        Ok(())
    }

    pub(super) fn read_publisher(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        clock: Instant,
    ) -> anyhow::Result<bool> {
        let publisher = &mut self.publishers.all[index];
        let more = publisher.read(buffer, self.load.version, clock, &mut self.arrivals)?;
        self.publishers.wake(index);
        Ok(more)
    }

    pub(super) fn read_subscriber(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        clock: Instant,
    ) -> anyhow::Result<bool> {
        let (arrivals, publishers) = (&mut self.arrivals, &mut self.publishers);
        self.subscribers[index].read(buffer, self.load, clock, arrivals, publishers)
    }

    /// Until when nothing is to be sent: `None` if only an arrival can change that.
    pub(super) fn idle_until_nanos(&self) -> Option<u64> {
        if self.phase.is_over {
            return None;
        }
        if !self.publishers.active.is_empty() {
            return Some(0);
        }
        let open_loop = self.phase.open_loop.as_ref();
        open_loop
            .filter(|open_loop| open_loop.due < self.phase.sent_max)
            .map(|open_loop| open_loop.next_nanos)
    }

    /// Looks at what has arrived since the last time; ends the phase if the rest is lost, and fails if the case is
    /// to be given up.
    pub(super) fn look(&mut self, now_nanos: u64) -> anyhow::Result<()> {
        if self.phase.is_over {
            return Ok(());
        }
        let arrived = self.arrivals.total();
        if arrived != self.phase.arrived {
            self.phase.arrived = arrived;
            self.phase.last_progress_nanos = now_nanos;
            self.phase.silent_since_nanos = now_nanos;
        } else if now_nanos >= self.phase.look_nanos {
            self.phase.look_nanos = now_nanos + SILENCE_LOOK_NANOS;
            self.phase.is_over = self.is_silent(now_nanos)?;
        }
        Ok(())
    }

    /// True if the rest is lost, an error if the case is to be given up.
    fn is_silent(&mut self, now_nanos: u64) -> anyhow::Result<bool> {
        let qos = self.case.qos;
        let since = |nanos: u64| Duration::from_nanos(now_nanos.saturating_sub(nanos));
        let silence = since(self.phase.silent_since_nanos);
        let is_over = |publisher: &Publisher| publisher.is_done() && publisher.is_acknowledged(qos);
        if self.phase.sent >= self.phase.sent_max && self.publishers.all.iter().all(is_over) {
            // Late messages would still be welcome, and above QoS 0 they are owed.
            return Ok(silence >= self.silence_max());
        }
        let mut publishers = self.publishers.all.iter();
        if !publishers.any(|publisher| publisher.is_waiting(qos)) {
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
            self.publishers
                .all
                .iter_mut()
                .for_each(Publisher::write_off);
            self.publishers.wake_all();
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

    /// What the phase has found. Costs and the reason of an early end are the generator's to tell.
    pub(super) fn finish(mut self) -> Round {
        self.arrivals.settle();
        let sum = |count: fn(&Publisher) -> u64| self.publishers.all.iter().map(count).sum();
        let unacknowledged: u64 = match self.case.qos {
            Qos::AtMostOnce => 0,
            _ => sum(Publisher::unacknowledged),
        };
        let reordered = if self.case.is_ordered() {
            sum(Publisher::reordered)
        } else {
            0
        };
        let is_only_sent = self.case.receivers() == 0 && self.case.qos == Qos::AtMostOnce;
        let delivered = if is_only_sent && self.phase.is_over {
            self.phase.sent
        } else {
            self.arrivals.delivered
        };
        let nanos = self.phase.last_progress_nanos - self.phase.started_nanos;
        let round = Round {
            delivered,
            elapsed: Duration::from_nanos(nanos),
            lost: sum(Publisher::lost),
            duplicates: sum(Publisher::duplicates),
            reordered,
            unacknowledged: unacknowledged + self.arrivals.unreleased,
            unsent: self.unsent,
            latency: self.arrivals.latency,
            lateness: self.lateness,
            broker_cpu: None,
            generator_cpu: None,
            rss_peak_kib: None,
            aborted: None,
        };
        let publishers = self.publishers.all.into_iter();
        let publishers = publishers.map(|publisher| publisher.connection);
        let subscribers = self.subscribers.into_iter();
        let subscribers = subscribers.map(|subscriber| subscriber.connection);
        publishers.chain(subscribers).for_each(Connection::close);
        round
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
