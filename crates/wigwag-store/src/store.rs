//! What every store does, whatever it keeps its entries in.

use crate::{Batch, Error, Keyspace};

/// What a keyspace holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entries {
    /// Keys with their values, in the order of the keys.
    pub intact: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys whose values are damaged. They have been moved aside and will not be found again.
    pub corrupt: Vec<Vec<u8>>,
}

/// An ordered key-value store with atomic batches.
///
/// Calls block for as long as the disk takes: from asynchronous code, make them on a thread for that.
pub trait Store: Send {
    /// Makes the changes of a batch, all or none. When it returns, they are as safe as the store's policy
    /// demands. An error leaves everything as it was; another attempt may succeed.
    fn commit(&mut self, batch: &Batch) -> Result<(), Error>;

    /// Returns when all changes so far are on the disk, whatever the policy.
    fn sync(&mut self) -> Result<(), Error>;

    /// All entries of a keyspace.
    fn scan(&mut self, keyspace: Keyspace) -> Result<Entries, Error>;
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        (**self).commit(batch)
    }

    fn sync(&mut self) -> Result<(), Error> {
        (**self).sync()
    }

    fn scan(&mut self, keyspace: Keyspace) -> Result<Entries, Error> {
        (**self).scan(keyspace)
    }
}
