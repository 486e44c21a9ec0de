//! What comes to a worker from other threads: sockets, envelopes, orders, and the wish to stop.
//!
//! A batch costs one lock and at most one wake-up. The bytes that wait are counted, so that whoever fills
//! a mailbox faster than it is emptied can be held back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use futures_util::task::AtomicWaker;
use wigwag_engine::Time;
use wigwag_engine::peer::Envelope;

use crate::acceptor::Arrival;
use crate::desk::Order;
use crate::stopwatch::Batch;

/// From this many bytes on, a mailbox is congested.
pub(crate) const CONGESTED: usize = 16 * 1024 * 1024;

/// The mailbox of one worker.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    inbox: Mutex<Inbox>,
    bytes: AtomicUsize,
    owner: AtomicWaker,
}

/// What has come since the mailbox was emptied last.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) envelopes: Vec<Envelope>,
    /// The messages among them.
    pub(crate) batch: Batch,
    pub(crate) orders: Vec<Order>,
    pub(crate) stop: bool,
    /// Connections of other workers that wait until the mailbox is no longer congested.
    held_back: Vec<Waker>,
    /// Nobody empties it any more: what comes is dropped.
    is_closed: bool,
}

impl Mailbox {
    /// The arrival comes back if the worker is gone.
    pub(crate) fn send_arrival(&self, arrival: Arrival) -> Result<(), Arrival> {
        let mut inbox = self.lock();
        if inbox.is_closed {
            return Err(arrival);
        }
        inbox.arrivals.push(arrival);
        drop(inbox);
        self.owner.wake();
        Ok(())
    }

    /// `since` is when what they bring came to this broker.
    pub(crate) fn send_envelopes(&self, envelopes: Vec<Envelope>, since: Time) {
        let bytes = envelopes.iter().map(Envelope::size).sum();
        let messages = envelopes.iter().filter(|envelope| envelope.is_message());
        let batch = Batch {
            messages: messages.count() as u64,
            since: Some(since),
        };
        let mut inbox = self.lock();
        if inbox.is_closed {
            return;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        inbox.envelopes.extend(envelopes);
        inbox.batch.add(batch);
        drop(inbox);
        self.owner.wake();
    }

    pub(crate) fn send_order(&self, order: Order) {
        self.send_orders([order]);
    }

    /// Orders that are carried out in one turn.
    pub(crate) fn send_orders(&self, orders: impl IntoIterator<Item = Order>) {
        let mut inbox = self.lock();
        if inbox.is_closed {
            return;
        }
        inbox.orders.extend(orders);
        drop(inbox);
        self.owner.wake();
    }

    /// The worker is gone: what has come is dropped, and so is what will come.
    pub(crate) fn close(&self) {
        let closed = Inbox {
            is_closed: true,
            ..Inbox::default()
        };
        let mut left = std::mem::replace(&mut *self.lock(), closed);
        self.bytes.store(0, Ordering::Relaxed);
        left.release();
    }

    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.owner.wake();
    }

    /// Empties the mailbox; the task is woken when something has come.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Inbox {
        self.owner.register(cx.waker());
        let mut inbox = self.lock();
        let stop = inbox.stop;
        let taken = std::mem::replace(
            &mut *inbox,
            Inbox {
                stop,
                ..Inbox::default()
            },
        );
        drop(inbox);
        let bytes = taken.envelopes.iter().map(Envelope::size).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        taken
    }

    /// Whether so much waits that publishers have to; then the task is woken when that has changed.
    pub(crate) fn holds_back(&self, cx: &Context<'_>) -> bool {
        if self.bytes.load(Ordering::Relaxed) < CONGESTED {
            return false;
        }
        let mut inbox = self.lock();
        // The owner may have emptied it between the two looks, and would not wake anybody any more.
        let congested = !inbox.envelopes.is_empty();
        if congested {
            inbox.held_back.push(cx.waker().clone());
        }
        congested
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Lets those who were held back go on.
    pub(crate) fn release(&mut self) {
        self.held_back.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn nothing_is_kept_for_a_worker_that_is_gone() {
        let mailbox = Mailbox::default();
        let ask = || {
            let (answer, answered) = oneshot::channel();
            mailbox.send_order(Order::Answer(answer));
            answered
        };
        let mut before = ask();
        assert_eq!(before.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        mailbox.close();
        for mut answered in [before, ask()] {
            assert_eq!(
                answered.try_recv(),
                Err(oneshot::error::TryRecvError::Closed)
            );
        }
    }
}
