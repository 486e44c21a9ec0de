//! The disk as a writer sees it: a folder with segments, and whether there is room for more.
//!
//! The writer knows it as two traits, so that tests can let it fail. What goes wrong is told to the caller; nothing
//! here tries again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use wigwag_store::{Error, Reader, Segments, SyncPolicy};

use super::queue::Pair;

/// What a loss of power takes at most, of what has been written.
const SYNC: Duration = Duration::from_secs(1);

/// Bytes that have to be free before a history is opened again that has failed: with less, a table or two would fill
/// the disk anew.
const ROOM: usize = 4 * 1024 * 1024;

/// Where it is tried whether there is room.
const ROOM_FILE: &str = "room";

/// Opens histories.
pub(super) trait Disk {
    type Store: Store;

    /// Opens what is in a folder, or begins there.
    fn open(&self, folder: &Path) -> Result<Self::Store, Error>;

    /// Moves a damaged history out of the way, and says where to.
    fn move_aside(&self, folder: &Path) -> Result<PathBuf, Error>;

    /// An error if there is no room for more in the folder of a history.
    fn find_room(&self, folder: &Path) -> Result<(), Error>;
}

/// Segments by number. After an error it can only be read.
pub(super) trait Store {
    fn append(&mut self, number: u64, entries: Vec<Pair>) -> Result<(), Error>;
    fn remove(&mut self, number: u64) -> Result<(), Error>;
    fn sync(&mut self) -> Result<(), Error>;
    fn sizes(&self) -> BTreeMap<u64, u64>;
    fn reader(&self) -> Reader;
}

impl Store for Segments {
    fn append(&mut self, number: u64, entries: Vec<Pair>) -> Result<(), Error> {
        Segments::append(self, number, entries)
    }

    fn remove(&mut self, number: u64) -> Result<(), Error> {
        Segments::remove(self, number)
    }

    fn sync(&mut self) -> Result<(), Error> {
        Segments::sync(self)
    }

    fn sizes(&self) -> BTreeMap<u64, u64> {
        Segments::sizes(self).collect()
    }

    fn reader(&self) -> Reader {
        Segments::reader(self)
    }
}

/// The disk that is there.
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    type Store = Segments;

    /// The store behind it may not survive what it finds in damaged files; the broker does.
    fn open(&self, folder: &Path) -> Result<Segments, Error> {
        if is_foreign(folder)? {
            let why = "it has files of others in it; name a folder that is empty, or not there yet";
            return Err(io::Error::other(why).into());
        }
        let opened = catch_unwind(AssertUnwindSafe(|| {
            Segments::open(folder, SyncPolicy::Interval(SYNC))
        }));
        opened.unwrap_or_else(|_| Err(Error::Corrupt("it cannot be read".to_owned())))
    }

    /// One damaged history is kept, the last one.
    fn move_aside(&self, folder: &Path) -> Result<PathBuf, Error> {
        let aside = folder.with_extension("damaged");
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::rename(folder, &aside)?;
        Ok(aside)
    }

    /// What is free cannot be asked for: quotas and limits have a say too.
    fn find_room(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(ROOM_FILE);
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0xA5; ROOM])?;
            file.sync_data()
        });
        let removed = fs::remove_file(&path);
        written?;
        Ok(removed?)
    }
}

/// Whether something else is kept there: it would be closed to other users, and moved aside with a history that is
/// damaged.
fn is_foreign(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    let mut has_others = false;
    for entry in entries {
        match entry?.file_name().to_str() {
            // What a store has from its beginning.
            Some("lock") => return Ok(false),
            // What a file system has from its beginning.
            Some("lost+found") => {}
            _ => has_others = true,
        }
    }
    Ok(has_others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_others_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let mode = || fs::metadata(path).expect("there").permissions();
        let before = mode();
        fs::create_dir(path.join("lost+found")).expect("writable");
        fs::write(path.join("letter"), "mine").expect("writable");
        let error = RealDisk.open(path).expect_err("it is somebody's");
        let error = error.to_string();
        assert!(error.contains("files of others"), "{error}");
        assert_eq!(
            (mode(), fs::read_dir(path).expect("there").count()),
            (before, 2)
        );

        fs::remove_file(path.join("letter")).expect("writable");
        drop(RealDisk.open(path).expect("it is empty"));
        fs::write(path.join("note"), "later").expect("writable");
        drop(RealDisk.open(path).expect("it is known again"));
        drop(RealDisk.open(&path.join("new")).expect("it is made"));
    }

    #[test]
    fn looking_for_room_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        RealDisk.find_room(folder.path()).expect("there is room");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
        let nowhere = folder.path().join("not there");
        RealDisk.find_room(&nowhere).expect_err("no folder");
    }
}
