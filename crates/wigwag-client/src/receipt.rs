//! Receipts: how a program asks what became of a message, even after a restart.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::PublishError;
use crate::core::{Fate, OUTCOMES_MAX};

/// Names an enqueued message for as long as its store lives. No two messages of a store have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(u64);

impl ReceiptId {
    /// The receipt with this number, as [`ReceiptId::get`] gave it.
    pub const fn new(number: u64) -> ReceiptId {
        ReceiptId(number)
    }

    /// A number to keep.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message that has been taken over; made by [`Client::enqueue`](crate::Client::enqueue).
///
/// Dropping it changes nothing: [`Client::receipt`](crate::Client::receipt) makes another.
#[derive(Clone)]
pub struct Receipt {
    id: ReceiptId,
    ledger: Arc<Ledger>,
}

impl Receipt {
    /// The name under which a later process asks for the outcome.
    pub const fn id(&self) -> ReceiptId {
        self.id
    }

    /// The outcome, if it is known.
    pub fn try_outcome(&self) -> Option<Fate> {
        self.ledger.outcome(self.id.0)
    }

    /// Waits for the outcome. Dropping the future changes nothing.
    ///
    /// A client that stops before there is one answers [`PublishError::Stopped`]; the message stays in
    /// the store. The last 1024 outcomes are remembered: an older one answers the same.
    pub async fn outcome(&self) -> Fate {
        match self.ledger.wait(self.id.0) {
            Waiting::Known(fate) => fate,
            Waiting::Later(answer) => answer.await.unwrap_or(Err(PublishError::Stopped)),
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("id", &self.id.0)
            .finish_non_exhaustive()
    }
}

/// A message on its way into the store; returned by [`Client::enqueue`](crate::Client::enqueue).
///
/// Dropping it withdraws a message that waits for room in the outgoing queue, and no other.
pub struct Enqueuing(Pin<Box<dyn Future<Output = Result<Receipt, PublishError>> + Send>>);

impl Enqueuing {
    pub(crate) fn new(
        future: impl Future<Output = Result<Receipt, PublishError>> + Send + 'static,
    ) -> Enqueuing {
        Enqueuing(Box::pin(future))
    }
}

impl Future for Enqueuing {
    type Output = Result<Receipt, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Enqueuing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueuing").finish_non_exhaustive()
    }
}

/// What is known of all receipts; shared by the handle, which asks, and the task, which knows.
#[derive(Default)]
pub(crate) struct Ledger {
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    receipts: BTreeMap<u64, Line>,
    /// Those with an outcome, the oldest first.
    known: VecDeque<u64>,
    is_closed: bool,
}

enum Line {
    Waiting(Vec<oneshot::Sender<Fate>>),
    Known(Fate),
}

enum Waiting {
    Known(Fate),
    Later(oneshot::Receiver<Fate>),
}

impl Ledger {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Nothing panics while the lock is held.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message has been taken over, and perhaps its outcome is known already.
    pub(crate) fn open(&self, id: u64, fate: Option<Fate>) {
        self.lines().receipts.insert(id, Line::Waiting(Vec::new()));
        if let Some(fate) = fate {
            self.settle(id, &fate);
        }
    }

    /// The message has been refused after all.
    pub(crate) fn strike(&self, id: u64) {
        self.lines().receipts.remove(&id);
    }

    pub(crate) fn settle(&self, id: u64, fate: &Fate) {
        let mut lines = self.lines();
        let Some(line) = lines.receipts.get_mut(&id) else {
            return;
        };
        if let Line::Waiting(waiting) = std::mem::replace(line, Line::Known(fate.clone())) {
            for answer in waiting {
                // Who dropped the future does not want to know.
                let _ = answer.send(fate.clone());
            }
            lines.known.push_back(id);
        }
        while lines.known.len() > OUTCOMES_MAX
            && let Some(oldest) = lines.known.pop_front()
        {
            lines.receipts.remove(&oldest);
        }
    }

    /// There will be no more outcomes.
    pub(crate) fn close(&self) {
        let mut lines = self.lines();
        lines.is_closed = true;
        for line in lines.receipts.values_mut() {
            if let Line::Waiting(waiting) = line {
                waiting.clear();
            }
        }
    }

    fn outcome(&self, id: u64) -> Option<Fate> {
        match self.lines().receipts.get(&id) {
            Some(Line::Known(fate)) => Some(fate.clone()),
            Some(Line::Waiting(_)) | None => None,
        }
    }

    fn wait(&self, id: u64) -> Waiting {
        let mut lines = self.lines();
        let is_closed = lines.is_closed;
        match lines.receipts.get_mut(&id) {
            Some(Line::Known(fate)) => Waiting::Known(fate.clone()),
            Some(Line::Waiting(waiting)) if !is_closed => {
                let (answer, receiver) = oneshot::channel();
                waiting.push(answer);
                Waiting::Later(receiver)
            }
            _ => Waiting::Known(Err(PublishError::Stopped)),
        }
    }

    pub(crate) fn receipt(self: &Arc<Self>, id: ReceiptId) -> Option<Receipt> {
        let is_known = self.lines().receipts.contains_key(&id.0);
        is_known.then(|| self.receipt_for(id))
    }

    /// The receipt of a message that has been taken over, even if so many outcomes have followed its own
    /// that it is forgotten.
    pub(crate) fn receipt_for(self: &Arc<Self>, id: ReceiptId) -> Receipt {
        Receipt {
            id,
            ledger: self.clone(),
        }
    }

    pub(crate) fn receipts(self: &Arc<Self>) -> Vec<Receipt> {
        let ids: Vec<u64> = self.lines().receipts.keys().copied().collect();
        ids.into_iter()
            .map(|id| self.receipt_for(ReceiptId(id)))
            .collect()
    }
}
