//! Bytes on their way out, and those that wait until the store has what they tell the server.

use std::collections::VecDeque;

use wigwag_proto::OutBuf;
use wigwag_proto::codec::EncodeError;

/// The out-buffer of one connection.
#[derive(Default)]
pub(super) struct Outbox {
    ready: OutBuf,
    /// Each with the number of the batch that has to be stored first, in order.
    held: VecDeque<(u64, OutBuf)>,
    /// Batches up to this one are stored.
    stored: u64,
}

impl Outbox {
    /// Bytes that may be written.
    pub(super) fn ready(&mut self) -> &mut OutBuf {
        if self.ready.is_empty()
            && self
                .held
                .front()
                .is_some_and(|(batch, _)| *batch <= self.stored)
            && let Some((_, bytes)) = self.held.pop_front()
        {
            self.ready = bytes;
            if self.held.is_empty() {
                // An idle client keeps no memory of a burst.
                self.held = VecDeque::new();
            }
        }
        &mut self.ready
    }

    /// The end of the buffer: what is appended there waits for no more than what stands before it.
    pub(super) fn end(&mut self) -> &mut OutBuf {
        match self.held.back_mut() {
            Some((_, bytes)) => bytes,
            None => &mut self.ready,
        }
    }

    /// The end of the buffer, for what must not leave before batch `barrier` is stored.
    pub(super) fn end_behind(&mut self, barrier: Option<u64>) -> &mut OutBuf {
        if let Some(batch) = barrier
            && self.held.back().is_none_or(|(held, _)| *held < batch)
        {
            self.held.push_back((batch, OutBuf::new()));
        }
        self.end()
    }

    /// Appends at the end.
    pub(super) fn append(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.end().append(write)
    }

    /// All batches up to `stored` are stored.
    pub(super) const fn release(&mut self, stored: u64) {
        self.stored = stored;
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len()
            + self
                .held
                .iter()
                .map(|(_, bytes)| bytes.len())
                .sum::<usize>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.held.is_empty()
    }

    /// Whether something waits for the store.
    pub(super) fn is_held(&self) -> bool {
        (self.held.back()).is_some_and(|(batch, _)| *batch > self.stored)
    }

    pub(super) fn clear(&mut self) {
        self.ready.clear();
        self.held = VecDeque::new();
    }
}
