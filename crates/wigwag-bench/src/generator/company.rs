//! Who is connected besides the flows: clients that stay and perhaps listen, and clients that come and go.
//!
//! Their connections are made and counted here; the generator says what time it is and which socket is ready.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use wigwag_proto::Version;
use wigwag_proto::codec::Frame;
use wigwag_proto::packet::PacketType;

use crate::case::{Bound, Churn, Hold, Load};
use crate::connection::{Connection, Hello, Stage};
use crate::opening::{Attempt, Timings};
use crate::schedule::Schedule;
use crate::transport::Endpoint;
use crate::wire::{PUBCOMP, Received, accepted_id, append_ack, append_receipt};

/// What came to the clients of a hold.
#[derive(Clone, Debug)]
pub(crate) struct HoldRound {
    pub(crate) name: String,
    pub(crate) clients: usize,
    pub(crate) messages: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) elapsed: Duration,
}

/// The clients of one hold.
#[derive(Debug)]
pub(super) struct Held<'a> {
    hold: &'a Hold,
    pub(super) connections: Vec<Connection>,
    messages: u64,
    payload_bytes: u64,
}

impl<'a> Held<'a> {
    pub(super) fn hellos(hold: &Hold, run: u32) -> Vec<Hello> {
        let hello = |index| Hello {
            client_id: format!("bench{run:08x}h{index}"),
            subscription: hold.filter.clone().map(|filter| (filter, hold.qos)),
        };
        (0..hold.clients).map(hello).collect()
    }

    pub(super) fn new(hold: &'a Hold, connections: impl Iterator<Item = Connection>) -> Held<'a> {
        Held {
            hold,
            connections: connections.take(hold.clients).collect(),
            messages: 0,
            payload_bytes: 0,
        }
    }

    pub(super) const fn begin(&mut self) {
        self.messages = 0;
        self.payload_bytes = 0;
    }

    pub(super) fn read(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        version: Version,
    ) -> anyhow::Result<bool> {
        let (messages, payload_bytes) = (&mut self.messages, &mut self.payload_bytes);
        let connection = &mut self.connections[index];
        let more = connection.read(buffer, |frame, out| {
            if let Some(payload_len) = listen(frame, version, out)? {
                *messages += 1;
                *payload_bytes += payload_len as u64;
            }
            Ok(())
        })?;
        connection.flush()?;
        Ok(more)
    }

    pub(super) fn finish(self, elapsed: Duration) -> HoldRound {
        self.connections.into_iter().for_each(Connection::close);
        HoldRound {
            name: self.hold.name.clone(),
            clients: self.hold.clients,
            messages: self.messages,
            payload_bytes: self.payload_bytes,
            elapsed,
        }
    }
}

/// Acknowledges whatever comes; the length of the payload if it is a message.
fn listen(frame: &Frame<'_>, version: Version, out: &mut Vec<u8>) -> anyhow::Result<Option<usize>> {
    match frame.packet_type {
        PacketType::Publish => {
            let received = Received::read(frame, version)?;
            if let Some(packet_id) = received.packet_id {
                append_receipt(frame, packet_id, out);
            }
            Ok(Some(received.payload.len()))
        }
        PacketType::PubRel => {
            append_ack(PUBCOMP, accepted_id(frame, version)?, out);
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// How the clients that come and go have fared.
#[derive(Clone, Debug)]
pub(crate) struct ChurnRound {
    pub(crate) name: String,
    pub(crate) timings: Timings,
    /// Why the first of the failed ones failed.
    pub(crate) failure: Option<String>,
}

/// The clients of one churn.
pub(super) struct Churning<'a> {
    churn: &'a Churn,
    load: &'a Load,
    endpoint: &'a Endpoint,
    run: u32,
    schedule: Schedule,
    slots: Vec<Option<Attempt>>,
    free: Vec<usize>,
    /// Until when those that were accepted stay, and their slots, in the order in which they leave.
    staying: VecDeque<(u64, usize)>,
    /// The token of the first slot.
    token: usize,
    started_nanos: u64,
    begun: u64,
    /// How many may begin; 0 before the measurement and after it.
    begun_max: u64,
    pending: usize,
    moved_nanos: u64,
    timings: Timings,
    failure: Option<String>,
}

impl<'a> Churning<'a> {
    pub(super) fn new(
        churn: &'a Churn,
        load: &'a Load,
        endpoint: &'a Endpoint,
        run: u32,
        token: usize,
    ) -> anyhow::Result<Churning<'a>> {
        let slots = churn.slots();
        Ok(Churning {
            churn,
            load,
            endpoint,
            run,
            schedule: Schedule::new(churn.rate, 1),
            slots: (0..slots).map(|_| None).collect(),
            free: (0..slots).rev().collect(),
            staying: VecDeque::new(),
            token,
            started_nanos: 0,
            begun: 0,
            begun_max: 0,
            pending: 0,
            moved_nanos: 0,
            timings: Timings::new()?,
            failure: None,
        })
    }

    pub(super) const fn slot_count(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn begin(&mut self, bound: Bound, now_nanos: u64) {
        self.started_nanos = now_nanos;
        self.moved_nanos = now_nanos;
        self.begun_max = match bound {
            Bound::Time(time) => self.schedule.due_within(time),
            Bound::Deliveries(_) => u64::MAX,
        };
    }

    /// Lets nobody come any more.
    pub(super) const fn stop(&mut self) {
        self.begun_max = self.begun;
    }

    pub(super) const fn is_over(&self) -> bool {
        self.begun >= self.begun_max && self.pending == 0
    }

    /// Lets those go whose time is up, and those come whose time it is.
    pub(super) fn turn(&mut self, now_nanos: u64, registry: &Registry) -> anyhow::Result<()> {
        while let Some(&(end, slot)) = self.staying.front()
            && now_nanos >= end
        {
            self.staying.pop_front();
            self.leave(slot, registry);
        }
        let due = self.schedule.due(now_nanos - self.started_nanos);
        while self.begun < due.min(self.begun_max)
            && let Some(slot) = self.free.pop()
        {
            let intended = self.started_nanos + self.schedule.intended_nanos(self.begun);
            self.begun += 1;
            self.pending += 1;
            let hello = Hello {
                client_id: format!("bench{:08x}v{}", self.run, self.begun),
                subscription: None,
            };
            match Attempt::start(self.endpoint, self.load, hello, intended) {
                Ok(mut attempt) => {
                    let socket = &mut attempt.connection.transport.socket;
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    registry.register(socket, Token(self.token + slot), interest)?;
                    self.slots[slot] = Some(attempt);
                }
                Err(error) => self.fail(slot, &error),
            }
        }
        self.give_up_the_stalled(now_nanos, registry);
        Ok(())
    }

    fn give_up_the_stalled(&mut self, now_nanos: u64, registry: &Registry) {
        let silence = Duration::from_nanos(now_nanos.saturating_sub(self.moved_nanos));
        if self.pending == 0 {
            self.moved_nanos = now_nanos;
        } else if silence >= self.load.stall_max {
            for slot in 0..self.slots.len() {
                if let Some(attempt) = &self.slots[slot]
                    && attempt.connection.stage() < Stage::Open
                {
                    let error = anyhow::anyhow!("no {} came", attempt.connection.awaited());
                    self.deregister(slot, registry);
                    self.fail(slot, &error);
                }
            }
        }
    }

    fn fail(&mut self, slot: usize, error: &anyhow::Error) {
        self.timings.failed += 1;
        self.pending -= 1;
        self.failure.get_or_insert_with(|| format!("{error:#}"));
        self.slots[slot] = None;
        self.free.push(slot);
    }

    fn deregister(&mut self, slot: usize, registry: &Registry) {
        if let Some(attempt) = &mut self.slots[slot] {
            // The socket is about to be closed, which says the same.
            let _ = registry.deregister(&mut attempt.connection.transport.socket);
        }
    }

    fn leave(&mut self, slot: usize, registry: &Registry) {
        self.deregister(slot, registry);
        if let Some(attempt) = self.slots[slot].take() {
            attempt.connection.close();
            self.free.push(slot);
        }
    }

    /// A socket of its is ready.
    pub(super) fn handle(
        &mut self,
        slot: usize,
        buffer: &mut [u8],
        clock: Instant,
        registry: &Registry,
    ) {
        let coming = self.slots[slot].as_mut();
        let coming = coming.filter(|attempt| attempt.connection.stage() < Stage::Open);
        let Some(attempt) = coming else {
            return;
        };
        self.moved_nanos = clock.elapsed().as_nanos() as u64;
        match attempt.advance(buffer, clock, &mut self.timings) {
            Ok(false) => {}
            Ok(true) => {
                let stay = self.churn.stay.as_nanos() as u64;
                self.staying.push_back((self.moved_nanos + stay, slot));
                self.pending -= 1;
            }
            Err(error) => {
                self.deregister(slot, registry);
                self.fail(slot, &error);
            }
        }
    }

    /// When somebody is to come or go next.
    pub(super) fn idle_until_nanos(&self) -> Option<u64> {
        let comes = (self.begun < self.begun_max && !self.free.is_empty())
            .then(|| self.started_nanos + self.schedule.intended_nanos(self.begun));
        let goes = self.staying.front().map(|(end, _)| *end);
        goes.into_iter().chain(comes).min()
    }

    pub(super) fn finish(mut self, elapsed: Duration) -> ChurnRound {
        for attempt in self.slots.drain(..).flatten() {
            attempt.connection.close();
        }
        self.timings.elapsed = elapsed;
        ChurnRound {
            name: self.churn.name.clone(),
            timings: self.timings,
            failure: self.failure,
        }
    }
}
