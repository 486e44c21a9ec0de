//! Why a store could not do what it was asked: the disk is full, the data is damaged, or the rest.

use std::io;
use std::path::PathBuf;

/// Why a store failed. After a failed commit none of its changes are visible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no room: the disk, the quota or the store's own bound.
    #[error("there is no room: {0}")]
    Full(String),
    /// The store itself is damaged, not only one of its entries.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// Another process, or another client of this one, has it open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
}

impl Error {
    pub(crate) fn from_io(error: &io::Error) -> Error {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Error::Full(error.to_string()),
            _ => Error::Io(error.to_string()),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::from_io(&error)
    }
}
