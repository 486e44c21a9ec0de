//! A store in a directory: fjall's journal and tables, with a checksum around each value, a lock
//! against a second process and a choice of when the disk is waited for.

use std::fs::{self, File, TryLockError};
#[cfg(unix)]
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

use crate::{Batch, Entries, Error, Keyspace, Operation, Store};

/// Where damaged entries go, under the key that they had.
const ASIDE: Keyspace = Keyspace(u8::MAX);

const CHECKSUM_LEN: usize = 4;

/// Blocks of tables that are kept in memory.
pub(crate) const CACHE_BYTES: u64 = 1024 * 1024;

/// Changes in memory before they go to a table.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;

/// When a commit waits for the disk. Whatever the policy, what has been committed survives the end of
/// the process, however it comes; the policy is about the loss of power and the fall of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Each commit returns when it is on the disk.
    #[default]
    Each,
    /// A thread sees to it that a commit is on the disk after this time.
    Interval(Duration),
    /// The system decides.
    None,
}

/// A store in a directory that it has for itself.
pub struct Dir {
    path: PathBuf,
    policy: SyncPolicy,
    /// Missing after a failure, until it has been opened again.
    opened: Option<Opened>,
    _lock: Lock,
}

/// A lock that is given back at once. Closing the file alone would not do: a process that is just
/// being forked elsewhere in the program holds a copy of it for a moment.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // If it fails, the end of the process unlocks.
        let _ = self.0.unlock();
    }
}

struct Opened {
    /// First, so that it ends before the database is closed.
    _ticker: Option<Ticker>,
    database: Database,
    entries: fjall::Keyspace,
}

impl Dir {
    /// Opens the store at `path`, or makes it. On Unix the directory is then closed to other users.
    ///
    /// What is found there after a crash is what had been committed.
    pub fn open(path: impl AsRef<Path>, policy: SyncPolicy) -> Result<Dir, Error> {
        let path = path.as_ref().to_path_buf();
        fs::create_dir_all(&path)?;
        close_to_others(&path)?;
        let lock = lock(&path)?;
        let opened = open(&path, policy)?;
        Ok(Dir {
            path,
            policy,
            opened: Some(opened),
            _lock: lock,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database, which is opened again after a failure: fjall takes nothing more after one.
    fn opened(&mut self) -> Result<&Opened, Error> {
        if self.opened.is_none() {
            self.opened = Some(open(&self.path, self.policy)?);
        }
        match &self.opened {
            Some(opened) => Ok(opened),
            None => Err(Error::Io("the store cannot be opened".to_owned())),
        }
    }

    /// Passes on the result; after an error the database has to be opened again.
    fn settle<T>(&mut self, result: fjall::Result<T>) -> Result<T, Error> {
        result.map_err(|error| {
            self.opened = None;
            convert(&error)
        })
    }

    fn move_aside(&mut self, keyspace: Keyspace, key: &[u8], bytes: &[u8]) -> Result<(), Error> {
        let opened = self.opened()?;
        let found = full_key(keyspace, key);
        let mut batch = opened.database.batch();
        batch.insert(&opened.entries, full_key(ASIDE, &found), bytes.to_vec());
        batch.remove(&opened.entries, found);
        let result = batch.durability(Some(PersistMode::SyncData)).commit();
        self.settle(result)
    }
}

impl Store for Dir {
    fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        let mode = match self.policy {
            SyncPolicy::Each => PersistMode::SyncData,
            SyncPolicy::Interval(_) | SyncPolicy::None => PersistMode::Buffer,
        };
        let opened = self.opened()?;
        let mut writes = opened.database.batch().durability(Some(mode));
        for operation in batch.operations() {
            match operation {
                Operation::Put {
                    keyspace,
                    key,
                    value,
                } => {
                    let key = full_key(*keyspace, key);
                    let value = seal(&key, value);
                    writes.insert(&opened.entries, key, value);
                }
                Operation::Delete { keyspace, key } => {
                    writes.remove(&opened.entries, full_key(*keyspace, key));
                }
            }
        }
        let result = writes.commit();
        self.settle(result)
    }

    fn sync(&mut self) -> Result<(), Error> {
        let result = self.opened()?.database.persist(PersistMode::SyncData);
        self.settle(result)
    }

    fn scan(&mut self, keyspace: Keyspace) -> Result<Entries, Error> {
        let mut found = Entries::default();
        let mut damaged = Vec::new();
        let guards = self.opened()?.entries.prefix([keyspace.0]);
        for guard in guards {
            let (key, sealed) = guard.into_inner().map_err(|error| convert(&error))?;
            let own = key.get(1..).unwrap_or_default().to_vec();
            match unseal(&key, &sealed) {
                Some(value) => found.intact.push((own, value.to_vec())),
                None => damaged.push((own, sealed)),
            }
        }
        for (key, bytes) in damaged {
            self.move_aside(keyspace, &key, &bytes)?;
            found.corrupt.push(key);
        }
        Ok(found)
    }
}

fn open(path: &Path, policy: SyncPolicy) -> Result<Opened, Error> {
    let in_use = |error: &fjall::Error| match error {
        fjall::Error::Locked => Error::InUse(path.to_owned()),
        other => convert(other),
    };
    let database = Database::builder(path.join("data"))
        .cache_size(CACHE_BYTES)
        .worker_threads(1)
        .max_cached_files(Some(16))
        .open()
        .map_err(|error| in_use(&error))?;
    let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    let entries = database
        .keyspace("entries", options)
        .map_err(|error| convert(&error))?;
    let ticker = match policy {
        SyncPolicy::Interval(interval) => Some(Ticker::start(database.clone(), interval)?),
        SyncPolicy::Each | SyncPolicy::None => None,
    };
    Ok(Opened {
        _ticker: ticker,
        database,
        entries,
    })
}

pub(crate) fn lock(path: &Path) -> Result<Lock, Error> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(unix)]
pub(crate) fn close_to_others(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let closed = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    closed.map_err(|error| match error.kind() {
        // Only the owner may.
        ErrorKind::PermissionDenied => Error::Io("it belongs to another user".to_owned()),
        _ => error.into(),
    })
}

#[cfg(not(unix))]
pub(crate) fn close_to_others(_: &Path) -> Result<(), Error> {
    Ok(())
}

pub(crate) fn convert(error: &fjall::Error) -> Error {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            Error::from_io(error)
        }
        fjall::Error::Poisoned => Error::Io("an earlier write has failed".to_owned()),
        other => Error::Corrupt(other.to_string()),
    }
}

fn full_key(keyspace: Keyspace, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(1 + key.len());
    full.push(keyspace.0);
    full.extend_from_slice(key);
    full
}

/// The value with a checksum over it and its key: a value in a wrong place is damaged too.
fn seal(full_key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(CHECKSUM_LEN + value.len());
    sealed.extend_from_slice(&checksum(full_key, value).to_le_bytes());
    sealed.extend_from_slice(value);
    sealed
}

fn unseal<'a>(full_key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, value) = sealed.split_first_chunk::<CHECKSUM_LEN>()?;
    (u32::from_le_bytes(*sum) == checksum(full_key, value)).then_some(value)
}

fn checksum(full_key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(full_key);
    hasher.update(value);
    hasher.finalize()
}

/// Brings what has been written to the disk, at an interval. Dropping it waits for its thread.
pub(crate) struct Ticker {
    /// Dropped to end the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(database: Database, interval: Duration) -> Result<Ticker, Error> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("wigwag-store".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                    if database.persist(PersistMode::SyncData).is_err() {
                        // The database takes no more commits: the next one reports it.
                        return;
                    }
                }
            })?;
        Ok(Ticker {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Keyspace = Keyspace(3);

    fn open_at(path: &Path) -> Dir {
        Dir::open(path, SyncPolicy::None).expect("opened")
    }

    #[test]
    fn a_damaged_entry_is_moved_aside_and_the_rest_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open_at(folder.path());
        let mut batch = Batch::new();
        for key in [b"1", b"2", b"3"] {
            batch.put(QUEUE, key, b"value");
        }
        store.commit(&batch).expect("committed");
        let opened = store.opened().expect("open");
        for bytes in [&b"\0\0\0\0value"[..], b"\0"] {
            let key = full_key(QUEUE, b"2");
            opened.entries.insert(key, bytes).expect("written");
        }
        let found = store.scan(QUEUE).expect("scanned");
        let keys: Vec<_> = found.intact.iter().map(|(key, _)| key.as_slice()).collect();
        assert_eq!(keys, [b"1", b"3"]);
        assert_eq!(found.corrupt, [b"2"]);
        drop(store);
        let mut store = open_at(folder.path());
        assert_eq!(store.scan(QUEUE).expect("scanned").corrupt.len(), 0);
        let aside = store.opened().expect("open").entries.prefix([ASIDE.0]);
        assert_eq!(aside.count(), 1);
    }

    #[test]
    fn a_failed_database_is_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open_at(folder.path());
        let mut batch = Batch::new();
        batch.put(QUEUE, b"1", b"kept");
        store.commit(&batch).expect("committed");
        let failed: fjall::Result<()> = Err(fjall::Error::Poisoned);
        assert!(matches!(store.settle(failed), Err(Error::Io(_))));
        assert_eq!(store.scan(QUEUE).expect("scanned").intact.len(), 1);
        store.commit(&batch).expect("committed again");
    }

    #[test]
    fn a_damaged_file_is_an_error_or_a_shorter_history() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open_at(folder.path());
        for n in 0..20_u8 {
            let mut batch = Batch::new();
            batch.put(QUEUE, &[n], b"value");
            store.commit(&batch).expect("committed");
        }
        drop(store);
        let journal = fs::read_dir(folder.path().join("data"))
            .expect("a folder")
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "jnl"))
            .expect("a journal");
        let mut bytes = fs::read(&journal).expect("readable");
        let written = bytes.iter().rposition(|byte| *byte != 0).expect("bytes");
        bytes[written / 2] ^= 0x10;
        fs::write(&journal, bytes).expect("writable");
        match Dir::open(folder.path(), SyncPolicy::None) {
            Err(error) => assert!(matches!(error, Error::Corrupt(_)), "{error}"),
            Ok(mut store) => {
                let found = store.scan(QUEUE).expect("scanned");
                let keys: Vec<u8> = found.intact.iter().map(|(key, _)| key[0]).collect();
                let prefix: Vec<u8> = (0..20).take(keys.len()).collect();
                assert_eq!(keys, prefix);
            }
        }
    }
}
