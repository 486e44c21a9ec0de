//! Opens a store and reads what it has, before the broker lets anybody in.
//!
//! What is damaged is moved aside and reported; it does not stand in the way of the rest.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wigwag_engine::record::load::{Loaded, Loader};
use wigwag_engine::record::{FORMAT, Kind};
use wigwag_engine::restored::{Clock, Restored, Session};
use wigwag_engine::{Node, Time};
use wigwag_store::{Batch, Dir, Entries, Keyspace, Store, SyncPolicy};

use super::{Autosave, Keeper, Persistence, Place, Pulse};
use crate::conf::config::LogType;
use crate::logging::Log;
use crate::mailbox::Mailbox;
use crate::mosquitto_db::{Import, ImportError, Source};

/// What the store says of itself.
const ABOUT: Keyspace = Keyspace(0);

/// Records that cannot be read, behind the number of their kind.
const UNREADABLE: Keyspace = Keyspace(7);

const KEY_FORMAT: &[u8] = b"wigwag-broker format";

/// Why a broker cannot begin with what was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersistError {
    /// It cannot be opened or read.
    #[error("cannot open the persistence folder {folder}", folder = folder.display())]
    Store {
        /// Where it is; empty for a store of the embedder's.
        folder: PathBuf,
        /// What the store said.
        source: wigwag_store::Error,
    },
    /// A later version of the broker has written it.
    #[error(
        "{folder} has format {found}, made by a newer version; this one reads formats up to {FORMAT}",
        folder = folder.display()
    )]
    Newer {
        /// Where it is.
        folder: PathBuf,
        /// Its format.
        found: u8,
    },
    /// What Mosquitto has kept cannot be taken over.
    #[error(transparent)]
    Mosquitto(#[from] ImportError),
    /// Something else is kept there.
    #[error("{folder} is a store, but not one of a broker's", folder = folder.display())]
    Foreign {
        /// Where it is.
        folder: PathBuf,
    },
}

/// A store that is open.
pub(crate) struct Opened {
    pub(super) store: Box<dyn Store>,
    /// What it is called in the log.
    pub(super) folder: PathBuf,
    pub(super) autosave: Autosave,
    mosquitto: Option<Source>,
    /// Whether nothing was ever saved here.
    pub(super) is_new: bool,
}

/// What was kept, on its way to the shards, and who keeps it from here on.
pub(crate) struct Kept {
    pub(crate) keeper: Keeper,
    parts: Vec<Vec<Session>>,
}

impl Kept {
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        self.keeper.pulse()
    }

    /// What the next shard begins with.
    pub(crate) fn part(&mut self) -> (Vec<Session>, Arc<Pulse>) {
        (self.parts.pop().unwrap_or_default(), self.pulse())
    }
}

/// The wall clock and the node's, now.
pub(super) fn clock(origin: Instant) -> Clock {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = Time::new(origin.elapsed());
    Clock::new(now, since_epoch.unwrap_or(Duration::ZERO))
}

/// Where records of a kind are.
pub(super) const fn keyspace(kind: Kind) -> Keyspace {
    Keyspace(kind as u8)
}

impl Opened {
    /// Opens the store and looks at its format.
    pub(crate) fn open(persistence: Persistence) -> Result<Opened, PersistError> {
        let Persistence {
            place,
            autosave,
            mosquitto,
        } = persistence;
        let (store, folder): (Box<dyn Store>, PathBuf) = match place {
            Place::Store(store) => (store, PathBuf::new()),
            Place::Folder(folder) => {
                let opened = Dir::open(&folder, SyncPolicy::Each);
                let store = opened.map_err(|source| PersistError::Store {
                    folder: folder.clone(),
                    source,
                })?;
                (Box::new(store), folder)
            }
        };
        let mut opened = Opened {
            store,
            folder,
            autosave,
            mosquitto,
            is_new: false,
        };
        opened.check_format()?;
        Ok(opened)
    }

    fn check_format(&mut self) -> Result<(), PersistError> {
        let about = self.scan(ABOUT)?;
        let mut entries = about.intact.iter();
        let format = entries.find(|(key, _)| key == KEY_FORMAT);
        match format.map(|(_, value)| value.as_slice()) {
            Some(&[found]) if found <= FORMAT => Ok(()),
            Some(&[found, ..]) => Err(PersistError::Newer {
                folder: self.folder.clone(),
                found,
            }),
            Some([]) | None => self.claim(),
        }
    }

    /// The store is a broker's if there is nothing in it.
    fn claim(&mut self) -> Result<(), PersistError> {
        for keyspace in (ABOUT.0..UNREADABLE.0).map(Keyspace) {
            if !self.scan(keyspace)?.intact.is_empty() {
                let folder = self.folder.clone();
                return Err(PersistError::Foreign { folder });
            }
        }
        self.is_new = true;
        Ok(())
    }

    /// What makes an empty store a broker's: part of its first batch, together with what is taken over from
    /// elsewhere.
    pub(super) fn first_batch(&self) -> Batch {
        let mut batch = Batch::new();
        if self.is_new {
            batch.put(ABOUT, KEY_FORMAT, &[FORMAT]);
        }
        batch
    }

    /// Reads all that was kept, and deals it out.
    pub(crate) fn begin(
        mut self,
        node: &Arc<Node>,
        mailboxes: &Arc<[Mailbox]>,
        origin: Instant,
        log: &Log,
    ) -> Result<Kept, PersistError> {
        let restored = match self.take_over(origin, log)? {
            Some(restored) => restored,
            None => self.load(node, origin, log)?,
        };
        let mut parts: Vec<Vec<Session>> = mailboxes.iter().map(|_| Vec::new()).collect();
        let shards = parts.len().max(1);
        for (turn, session) in restored.sessions.into_iter().enumerate() {
            if let Some(part) = parts.get_mut(turn % shards) {
                part.push(session);
            }
        }
        node.handle_restored(restored.retained);
        Ok(Kept {
            keeper: Keeper::new(self, node, mailboxes, origin, log),
            parts,
        })
    }

    /// What Mosquitto has kept, if nothing was ever saved here.
    fn take_over(&self, origin: Instant, log: &Log) -> Result<Option<Restored>, PersistError> {
        let Some(source) = self.mosquitto.as_ref().filter(|_| self.is_new) else {
            return Ok(None);
        };
        let Some(Import { restored, counts }) = source.read(&clock(origin))? else {
            return Ok(None);
        };
        let log_type = match counts.left_out {
            0 => LogType::Information,
            _ => LogType::Warning,
        };
        log.write(
            log_type,
            format_args!("Taken over from Mosquitto's {}: {counts}.", source.file()),
        );
        Ok(Some(restored))
    }

    /// Reads all that was kept.
    fn load(&mut self, node: &Node, origin: Instant, log: &Log) -> Result<Restored, PersistError> {
        let Some(mut loader) = Loader::new(node, clock(origin)) else {
            return Ok(Restored::default());
        };
        let mut batch = Batch::new();
        for kind in Kind::ALL {
            let Entries {
                intact, corrupt, ..
            } = self.scan(keyspace(kind))?;
            for _ in corrupt {
                self.report(log, kind, "its checksum is wrong");
            }
            for (key, value) in intact {
                if let Err(error) = loader.add(kind, &key, &value) {
                    let aside = [&[kind as u8], key.as_slice()].concat();
                    batch.put(UNREADABLE, &aside, &value);
                    batch.delete(keyspace(kind), &key);
                    self.report(log, kind, &error.to_string());
                }
            }
        }
        let Loaded { restored, stale } = loader.finish();
        for (kind, key) in stale {
            batch.delete(keyspace(kind), &key);
        }
        if !batch.is_empty() {
            self.commit(&batch)?;
        }
        Ok(restored)
    }

    fn report(&self, log: &Log, kind: Kind, why: &str) {
        let what = match kind {
            Kind::Message => "A message",
            Kind::Session => "A session",
            Kind::Entry => "The place of a message in a queue",
            Kind::InFlight | Kind::Received => "A Packet Identifier",
            Kind::Retained => "A retained message",
        };
        let folder = self.folder.display();
        let what = format_args!(
            "Error: {what} in {folder} is damaged and was moved aside, the rest goes on: {why}."
        );
        log.write(LogType::Error, what);
    }

    fn scan(&mut self, keyspace: Keyspace) -> Result<Entries, PersistError> {
        let scanned = self.store.scan(keyspace);
        scanned.map_err(|source| self.failed(source))
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), PersistError> {
        let committed = self.store.commit(batch);
        committed.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: wigwag_store::Error) -> PersistError {
        PersistError::Store {
            folder: self.folder.clone(),
            source,
        }
    }
}
