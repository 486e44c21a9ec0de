//! A store that grows at one end and is cut off at the other: segments in a directory, each ordered by key.
//!
//! An entry stays until its whole segment goes, which gives the room back at once: nothing is written and nothing
//! rewritten for that. Who reads does not disturb who writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

use crate::dir::{CACHE_BYTES, Lock, Ticker, close_to_others, convert, lock};
use crate::{Error, SyncPolicy};

/// Entries in memory before they go to a table.
const MEMTABLE_BYTES: u64 = 2 * 1024 * 1024;

/// From so many bytes of journals on, what is in memory goes to tables, so that they can be deleted: the least that
/// fjall takes. It begins another journal at this length, too, which is no option of it.
const JOURNALS_BYTES: u64 = 64 * 1024 * 1024;

/// Segments in a directory that this has for itself.
pub struct Segments {
    // In this order they are given up.
    _ticker: Option<Ticker>,
    segments: BTreeMap<u64, fjall::Keyspace>,
    policy: SyncPolicy,
    database: Database,
    _lock: Lock,
}

impl std::fmt::Debug for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.segments.keys()).finish()
    }
}

impl Segments {
    /// Opens the segments at `path`, or begins without any. On Unix the directory is then closed to other users.
    ///
    /// What is found there after a crash is what had been appended. After an error of any call, the store is to be
    /// dropped and opened anew.
    pub fn open(path: impl AsRef<Path>, policy: SyncPolicy) -> Result<Segments, Error> {
        let path = path.as_ref();
        fs::create_dir_all(path)?;
        close_to_others(path)?;
        let lock = lock(path)?;
        let database = Database::builder(path.join("data"))
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .max_cached_files(Some(16))
            .max_journaling_size(JOURNALS_BYTES)
            .open()
            .map_err(|error| match error {
                fjall::Error::Locked => Error::InUse(path.to_owned()),
                other => convert(&other),
            })?;
        let names = database.list_keyspace_names();
        let numbers = names.iter().filter_map(|name| name.parse().ok());
        let segments = numbers
            .map(|number| Ok((number, keyspace(&database, number)?)))
            .collect::<Result<_, Error>>()?;
        let ticker = match policy {
            SyncPolicy::Interval(interval) => Some(Ticker::start(database.clone(), interval)?),
            SyncPolicy::Each | SyncPolicy::None => None,
        };
        Ok(Segments {
            _ticker: ticker,
            segments,
            policy,
            database,
            _lock: lock,
        })
    }

    /// Adds entries to a segment, all or none; it begins with them if it is not there, and the others then go to
    /// tables.
    pub fn append(
        &mut self,
        number: u64,
        entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<(), Error> {
        if !self.segments.contains_key(&number) {
            let segment = keyspace(&self.database, number)?;
            self.finish_all()?;
            self.segments.insert(number, segment);
        }
        let Some(segment) = self.segments.get(&number) else {
            return Ok(());
        };
        let mode = match self.policy {
            SyncPolicy::Each => PersistMode::SyncData,
            SyncPolicy::Interval(_) | SyncPolicy::None => PersistMode::Buffer,
        };
        let mut batch = self.database.batch().durability(Some(mode));
        for (key, value) in entries {
            batch.insert(segment, key, value);
        }
        batch.commit().map_err(|error| convert(&error))
    }

    /// Brings what is in memory to tables. Journals are looked after when that happens, and only then: segments that
    /// are dropped before they have filled their share of memory would let them grow for ever.
    fn finish_all(&self) -> Result<(), Error> {
        for segment in self.segments.values() {
            // Hidden from the docs, as fjall takes its own time for the best one.
            segment.rotate_memtable().map_err(|error| convert(&error))?;
        }
        Ok(())
    }

    /// Drops a segment and what is in it, for all who do not read it at this moment.
    pub fn remove(&mut self, number: u64) -> Result<(), Error> {
        if let Some(segment) = self.segments.remove(&number) {
            let removed = self.database.delete_keyspace(segment);
            removed.map_err(|error| convert(&error))?;
        }
        Ok(())
    }

    /// The numbers of the segments in their order, each with the bytes of its tables: what has come last is not in one
    /// yet, but in the journals, which may have 128 MiB besides.
    pub fn sizes(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        let segments = self.segments.iter();
        segments.map(|(&number, segment)| (number, segment.disk_space()))
    }

    /// Returns when everything so far is on the disk, whatever the policy.
    pub fn sync(&mut self) -> Result<(), Error> {
        let synced = self.database.persist(PersistMode::SyncData);
        synced.map_err(|error| convert(&error))
    }

    /// Reads the segments that there are now, also what is added to them later.
    pub fn reader(&self) -> Reader {
        let segments = self.segments.iter();
        Reader(
            segments
                .map(|(&number, segment)| (number, segment.clone()))
                .collect(),
        )
    }
}

fn keyspace(database: &Database, number: u64) -> Result<fjall::Keyspace, Error> {
    let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    // Wide enough for every number, so that names have the order of numbers.
    let opened = database.keyspace(&format!("{number:020}"), options);
    opened.map_err(|error| convert(&error))
}

/// Reads segments, from any thread. What it reads is not given back to the disk before it is dropped.
#[derive(Clone, Default)]
pub struct Reader(Vec<(u64, fjall::Keyspace)>);

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers = self.0.iter().map(|(number, _)| number);
        f.debug_list().entries(numbers).finish()
    }
}

impl Reader {
    /// The number of the first segment.
    pub fn first(&self) -> Option<u64> {
        self.0.first().map(|(number, _)| *number)
    }

    /// The entries with keys from the first to before the second, segment by segment, in each by key. It may wait for
    /// the disk.
    pub fn range(
        &self,
        from: Vec<u8>,
        until: Vec<u8>,
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), Error>> {
        let until = until.max(from.clone());
        self.0.iter().flat_map(move |(_, segment)| {
            segment
                .range(from.as_slice()..until.as_slice())
                .map(|entry| {
                    let (key, value) = entry.into_inner().map_err(|error| convert(&error))?;
                    Ok((key.to_vec(), value.to_vec()))
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_at(path: &Path) -> Segments {
        Segments::open(path, SyncPolicy::None).expect("opened")
    }

    fn put(store: &mut Segments, number: u64, key: &str, value: &str) {
        let entry = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        store.append(number, [entry]).expect("appended");
    }

    fn read(reader: &Reader, from: &str, until: &str) -> Vec<String> {
        let entries = reader.range(from.into(), until.into());
        let text = |bytes| String::from_utf8(bytes).expect("text");
        entries
            .map(|entry| {
                let (key, value) = entry.expect("intact");
                format!("{}={}", text(key), text(value))
            })
            .collect()
    }

    #[test]
    fn segments_are_read_one_after_the_other_also_after_they_have_been_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open_at(folder.path());
        put(&mut store, 10, "b", "2");
        put(&mut store, 10, "a", "1");
        put(&mut store, 9, "c", "0");
        put(&mut store, 11, "a", "3");
        assert_eq!(
            read(&store.reader(), "a", "z"),
            ["c=0", "a=1", "b=2", "a=3"]
        );
        assert_eq!(read(&store.reader(), "a", "b"), ["a=1", "a=3"]);
        assert_eq!(read(&store.reader(), "b", "a"), [""; 0]);
        drop(store);
        let store = open_at(folder.path());
        assert_eq!(store.reader().first(), Some(9));
        assert_eq!(read(&store.reader(), "b", "d"), ["c=0", "b=2"]);
    }

    #[test]
    fn what_is_removed_is_gone_for_all_but_those_who_are_reading_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open_at(folder.path());
        put(&mut store, 1, "a", "1");
        let reader = store.reader();
        put(&mut store, 1, "b", "2");
        put(&mut store, 2, "c", "3");
        store.remove(1).expect("removed");
        assert_eq!(read(&reader, "a", "z"), ["a=1", "b=2"]);
        assert_eq!(read(&store.reader(), "a", "z"), ["c=3"]);
        drop((reader, store));
        let store = open_at(folder.path());
        assert_eq!(
            store.sizes().map(|(number, _)| number).collect::<Vec<_>>(),
            [2]
        );
    }

    #[test]
    fn journals_do_not_grow_with_segments_that_are_too_small_for_a_table() {
        const MIB: usize = 1024 * 1024;
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open_at(folder.path());
        let journal = folder.path().join("data").join("0.jnl");
        assert!(journal.exists());
        // It is full after 64 MiB.
        let end = (0..400).find(|&number| {
            let entries = (0..16_u8).map(|key| (vec![key], vec![key; MIB / 16]));
            store.append(number, entries).expect("appended");
            if let Some(last) = number.checked_sub(2) {
                store.remove(last).expect("removed");
            }
            !journal.exists()
        });
        assert!(end.is_some_and(|end| end > 32), "{end:?}");
        let reader = store.reader();
        assert_eq!(reader.range(vec![0], vec![u8::MAX]).count(), 32);
    }

    #[test]
    fn a_folder_has_one_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = open_at(folder.path());
        let second = Segments::open(folder.path(), SyncPolicy::None);
        assert!(matches!(second, Err(Error::InUse(_))));
        drop(first);
        open_at(folder.path());
    }
}
