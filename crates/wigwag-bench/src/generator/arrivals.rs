//! What has arrived of a flow in one phase.

use hdrhistogram::Histogram;

use crate::opening::{LATENCY_MAX_NANOS, nanos_histogram};

#[derive(Debug)]
pub(super) struct Arrivals {
    /// What all payloads of this flow begin with.
    pub(super) run: u32,
    pub(super) payload_lens: Vec<usize>,
    /// First arrivals at a receiver; without receivers, acknowledgements.
    pub(super) delivered: u64,
    pub(super) acknowledged: u64,
    pub(super) pings_answered: u64,
    /// Messages of QoS 2 whose PUBREL is owed.
    pub(super) unreleased: u64,
    pub(super) released: u64,
    pub(super) latency: Histogram<u64>,
    /// Equal latencies in a row, to be recorded together.
    pending: (u64, u64),
}

impl Arrivals {
    pub(super) fn new(run: u32, payload_lens: Vec<usize>) -> anyhow::Result<Arrivals> {
        Ok(Arrivals {
            run,
            payload_lens,
            delivered: 0,
            acknowledged: 0,
            pings_answered: 0,
            unreleased: 0,
            released: 0,
            latency: nanos_histogram()?,
            pending: (0, 0),
        })
    }

    /// Forgets the phase before.
    pub(super) fn begin(&mut self) {
        self.delivered = 0;
        self.acknowledged = 0;
        self.pings_answered = 0;
        self.released = 0;
        self.latency.reset();
        self.pending = (0, 0);
    }

    /// Packets that had to come; it stands still when nothing comes.
    pub(super) const fn total(&self) -> u64 {
        self.delivered + self.acknowledged + self.pings_answered + self.released
    }

    /// Notes a delivery; messages of one batch that arrive in one read have the same latency.
    pub(super) fn record(&mut self, latency_nanos: u64) {
        self.delivered += 1;
        if self.pending.0 == latency_nanos {
            self.pending.1 += 1;
        } else {
            self.settle();
            self.pending = (latency_nanos, 1);
        }
    }

    /// Puts the pending latencies into the histogram.
    pub(super) fn settle(&mut self) {
        let (latency_nanos, count) = self.pending;
        self.pending = (0, 0);
        self.note(latency_nanos, count);
    }

    /// Notes what never arrived with the wait so far, which is less than it would have been.
    pub(super) fn note(&mut self, latency_nanos: u64, count: u64) {
        // The only error is a counter that does not fit into 64 bits.
        let _ = self
            .latency
            .record_n(latency_nanos.clamp(1, LATENCY_MAX_NANOS), count);
    }
}
