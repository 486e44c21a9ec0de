//! The client's own thread and the runtime on it.
//!
//! The thread lives as long as somebody holds the [`Runtime`], and then until the client's background
//! task has ended.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::{oneshot, watch};

use super::pending::{NoOutput, block_on};
use crate::State;

/// Handlers that may run at the same time. There is at most one for each subscription, so this bounds
/// nothing in practice: a handler that waits must not keep the store from the thread that it needs.
const HANDLER_THREADS_MAX: usize = 32_768;

#[derive(Debug)]
pub(super) struct Runtime {
    handle: Handle,
    thread: ThreadId,
    /// Dropped with the last handle.
    _in_use: oneshot::Sender<()>,
}

impl Runtime {
    /// Starts the thread of the client with this state.
    pub(super) fn start(mut state: watch::Receiver<State>) -> io::Result<Arc<Runtime>> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(HANDLER_THREADS_MAX)
            .thread_name("wigwag-handler")
            .build()?;
        let handle = runtime.handle().clone();
        let (in_use, unused) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("wigwag-client".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // Nothing is ever sent: this waits for the last handle to go.
                    let _ = unused.await;
                    // The background task notices that too, and may have a store to close.
                    while state.changed().await.is_ok() {}
                });
                // A handler that does not return would keep the thread.
                runtime.shutdown_background();
            })?;
        Ok(Arc::new(Runtime {
            handle,
            thread: thread.thread().id(),
            _in_use: in_use,
        }))
    }

    /// Makes this the runtime of the calling thread for as long as the guard lives.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Waits for a future on the calling thread.
    pub(super) fn wait<F: Future>(
        &self,
        future: F,
        timeout: Option<Duration>,
    ) -> Result<F::Output, NoOutput> {
        if thread::current().id() == self.thread {
            return Err(NoOutput::OwnThread);
        }
        let _entered = self.enter();
        block_on(future, timeout)
    }
}

/// Runs a handler on a thread where it may wait. A panic in it goes on here.
pub(super) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and drops this task next.
            Err(_) => std::future::pending().await,
        },
    }
}
