//! Waiting: a call that has been made and whose result is not there yet.
//!
//! The future is polled on the thread that waits for it. Nothing else runs there, so a thread that waits
//! costs the runtime nothing.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::task::coop::unconstrained;

use super::thread::Runtime;

/// Why waiting brought no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError<E> {
    /// There is a result: this error.
    #[error(transparent)]
    Failed(E),
    /// The time was up before there was a result.
    #[error("no result within {0:?}")]
    TimedOut(Duration),
    /// This is the client's own thread, which would wait for itself.
    #[error("a thread of the client cannot wait for the client")]
    OwnThread,
}

/// A call that has been made, and whose result can be waited for.
///
/// Dropping it does what dropping the future of the async call does: a message that the outgoing queue
/// has accepted is sent, a subscription stays, nobody learns the result.
pub struct Pending<T, E> {
    future: Pin<Box<dyn Future<Output = Result<T, E>> + Send>>,
    runtime: Arc<Runtime>,
    /// The result, if it has come while somebody looked.
    result: Option<Result<T, E>>,
}

impl<T, E> Pending<T, E> {
    pub(super) fn new(
        runtime: &Arc<Runtime>,
        future: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Pending<T, E> {
        let mut future: Pin<Box<dyn Future<Output = Result<T, E>> + Send>> = Box::pin(future);
        // Some futures do nothing before they are polled; here, a call is made when it is made.
        let entered = runtime.enter();
        let polled = poll_once(future.as_mut());
        drop(entered);
        Pending {
            future,
            runtime: runtime.clone(),
            result: match polled {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            },
        }
    }

    /// Waits for the result, however long that takes: until there is a connection, perhaps.
    pub fn wait(self) -> Result<T, WaitError<E>> {
        self.finish(None)
    }

    /// Waits for the result for this long.
    pub fn wait_for(self, timeout: Duration) -> Result<T, WaitError<E>> {
        self.finish(Some(timeout))
    }

    /// Whether the result is there, without waiting.
    pub fn is_ready(&mut self) -> bool {
        if self.result.is_none() {
            let _entered = self.runtime.enter();
            if let Poll::Ready(result) = poll_once(self.future.as_mut()) {
                self.result = Some(result);
            }
        }
        self.result.is_some()
    }

    fn finish(mut self, timeout: Option<Duration>) -> Result<T, WaitError<E>> {
        let result = match self.result.take() {
            Some(result) => result,
            None => (self.runtime.wait(self.future.as_mut(), timeout))?,
        };
        result.map_err(WaitError::Failed)
    }
}

impl<T, E> fmt::Debug for Pending<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// Why a future has no output; an error that waiting adds to any other.
#[derive(Clone, Copy)]
pub(super) enum NoOutput {
    TimedOut(Duration),
    OwnThread,
}

impl<E> From<NoOutput> for WaitError<E> {
    fn from(why: NoOutput) -> WaitError<E> {
        match why {
            NoOutput::TimedOut(timeout) => WaitError::TimedOut(timeout),
            NoOutput::OwnThread => WaitError::OwnThread,
        }
    }
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(unconstrained(future)).poll(&mut Context::from_waker(Waker::noop()))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls the future on this thread until it is ready or the time is up. It is polled at least once.
pub(super) fn block_on<F: Future>(
    future: F,
    timeout: Option<Duration>,
) -> Result<F::Output, NoOutput> {
    // On a task of another runtime, whose share of time this wait must not depend on.
    let mut future = pin!(unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    // A time that no clock reaches is no bound.
    let deadline =
        timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout)));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Ok(output);
        }
        match deadline {
            None => thread::park(),
            Some((at, timeout)) => {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(NoOutput::TimedOut(timeout));
                }
                thread::park_timeout(left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_thread_is_woken_by_the_result() {
        let (sender, receiver) = oneshot::channel();
        let sending = thread::spawn(move || sender.send(7));
        assert!(matches!(block_on(receiver, None), Ok(Ok(7))));
        assert_eq!(sending.join().expect("no panic"), Ok(()));
    }

    #[test]
    fn a_time_out_ends_the_wait_and_loses_nothing() {
        let (sender, mut receiver) = oneshot::channel();
        let bound = Duration::from_millis(20);
        let began = Instant::now();
        let waited = block_on(&mut receiver, Some(bound));
        assert!(matches!(waited, Err(NoOutput::TimedOut(own)) if own == bound));
        assert!(began.elapsed() >= bound);
        sender.send(7).expect("there is a receiver");
        let waited = block_on(&mut receiver, Some(Duration::ZERO));
        assert!(matches!(waited, Ok(Ok(7))), "polled at least once");
        let waited = block_on(std::future::ready(7), Some(Duration::MAX));
        assert!(matches!(waited, Ok(7)));
    }
}
