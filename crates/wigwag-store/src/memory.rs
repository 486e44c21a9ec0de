//! A store in memory: for tests, and where nothing has to survive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Batch, Entries, Error, Keyspace, Operation, Store};

type Map = BTreeMap<(Keyspace, Box<[u8]>), Box<[u8]>>;

/// A store in memory. Clones share their entries, so that a test can look at what is kept.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    entries: Arc<Mutex<Map>>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn entries(&self) -> MutexGuard<'_, Map> {
        // Nothing panics while the lock is held.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        let mut entries = self.entries();
        for operation in batch.operations() {
            match operation {
                Operation::Put {
                    keyspace,
                    key,
                    value,
                } => drop(entries.insert((*keyspace, key.clone()), value.clone())),
                Operation::Delete { keyspace, key } => {
                    entries.remove(&(*keyspace, key.clone()));
                }
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn scan(&mut self, keyspace: Keyspace) -> Result<Entries, Error> {
        let entries = self.entries();
        let first = (keyspace, Box::default());
        let intact = entries
            .range(first..)
            .take_while(|((found, _), _)| *found == keyspace)
            .map(|((_, key), value)| (key.to_vec(), value.to_vec()))
            .collect();
        Ok(Entries {
            intact,
            corrupt: Vec::new(),
        })
    }
}
