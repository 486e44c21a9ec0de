#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod batch;
mod error;
mod memory;
mod store;

#[cfg(feature = "fjall")]
mod dir;
#[cfg(feature = "fjall")]
mod segments;

pub use batch::{Batch, Keyspace, Operation};
#[cfg(feature = "fjall")]
pub use dir::{Dir, SyncPolicy};
pub use error::Error;
pub use memory::Memory;
#[cfg(feature = "fjall")]
pub use segments::{Reader, Segments};
pub use store::{Entries, Store};
