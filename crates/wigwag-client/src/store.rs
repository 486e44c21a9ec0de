//! Where the session and the outgoing queue are kept, and the hand that carries batches there.
//!
//! A store blocks for as long as its disk takes, so each batch is committed on a thread for that, and the
//! task hears of it like of anything else.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;
use wigwag_store::{Batch, Error};

use crate::core::Kept;

/// Where a client keeps its session and its outgoing queue.
pub struct Store(Kind);

enum Kind {
    Memory,
    #[cfg(feature = "store-fjall")]
    Dir(std::path::PathBuf, wigwag_store::SyncPolicy),
    Custom(Box<dyn wigwag_store::Store>),
}

impl Store {
    /// In the client alone: they end with it.
    pub const fn memory() -> Store {
        Store(Kind::Memory)
    }

    /// In a directory that this client has for itself: they survive the end of the process, `kill -9`
    /// included, and the loss of power as [`Store::sync`] says.
    #[cfg(feature = "store-fjall")]
    pub fn dir(path: impl Into<std::path::PathBuf>) -> Store {
        Store(Kind::Dir(path.into(), wigwag_store::SyncPolicy::Each))
    }

    /// Sets when the disk is waited for. Default: [`SyncPolicy::Each`](crate::SyncPolicy::Each). Only a
    /// directory has a policy.
    #[cfg(feature = "store-fjall")]
    #[must_use]
    pub fn sync(self, policy: wigwag_store::SyncPolicy) -> Store {
        match self.0 {
            Kind::Dir(path, _) => Store(Kind::Dir(path, policy)),
            other => Store(other),
        }
    }

    /// In a store of the program's own making, which must hold nothing else.
    pub fn custom(store: impl wigwag_store::Store + 'static) -> Store {
        Store(Kind::Custom(Box::new(store)))
    }

    /// Opens the store and reads what it has; `None` for memory.
    pub(crate) fn open(self) -> Result<Option<(Saver, Kept)>, Error> {
        let mut store: Box<dyn wigwag_store::Store> = match self.0 {
            Kind::Memory => return Ok(None),
            #[cfg(feature = "store-fjall")]
            Kind::Dir(path, policy) => Box::new(wigwag_store::Dir::open(path, policy)?),
            Kind::Custom(store) => store,
        };
        let kept = Kept::read(store.as_mut())?;
        let saver = Saver {
            store: Some(store),
            saving: None,
        };
        Ok(Some((saver, kept)))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Memory => f.write_str("Memory"),
            #[cfg(feature = "store-fjall")]
            Kind::Dir(path, policy) => f.debug_tuple("Dir").field(path).field(policy).finish(),
            Kind::Custom(_) => f.write_str("Custom"),
        }
    }
}

type Saved = (Box<dyn wigwag_store::Store>, Result<(), Error>);

/// A store, and the batch that it is busy with.
pub(crate) struct Saver {
    /// Missing while it is busy.
    store: Option<Box<dyn wigwag_store::Store>>,
    saving: Option<JoinHandle<Saved>>,
}

impl Saver {
    /// Begins to commit a batch. The one before must have been reported.
    pub(crate) fn save(&mut self, batch: Batch) {
        self.run(move |store| store.commit(&batch));
    }

    fn run(
        &mut self,
        work: impl FnOnce(&mut dyn wigwag_store::Store) -> Result<(), Error> + Send + 'static,
    ) {
        let store = self.store.take();
        self.saving = store.map(|mut store| {
            tokio::task::spawn_blocking(move || {
                let result = work(store.as_mut());
                (store, result)
            })
        });
    }

    /// The result of the batch, once.
    pub(crate) fn poll_saved(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(saving) = &mut self.saving else {
            return Poll::Pending;
        };
        let saved = ready!(Pin::new(saving).poll(cx));
        self.saving = None;
        match saved {
            Ok((store, result)) => {
                self.store = Some(store);
                Poll::Ready(result)
            }
            // Nothing is kept from here on: each later batch fails the same way.
            Err(_) => Poll::Ready(Err(gone())),
        }
    }

    /// Whether a batch that was handed over has been lost with its store.
    pub(crate) const fn is_gone(&self) -> bool {
        self.store.is_none() && self.saving.is_none()
    }

    /// The result of the batch that the store is busy with, if it is.
    pub(crate) async fn wait(&mut self) -> Option<Result<(), Error>> {
        self.saving.as_ref()?;
        Some(std::future::poll_fn(|cx| self.poll_saved(cx)).await)
    }

    /// Commits the last changes and brings everything to the disk.
    pub(crate) async fn close(mut self, last: Batch) -> Result<(), Error> {
        self.run(move |store| {
            if !last.is_empty() {
                store.commit(&last)?;
            }
            store.sync()
        });
        self.wait().await.unwrap_or(Ok(()))
    }
}

/// The store has panicked.
pub(crate) fn gone() -> Error {
    Error::Io("the store has panicked".to_owned())
}
