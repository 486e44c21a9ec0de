//! The thread that writes down what was heard, begins segments and drops the oldest ones.
//!
//! Whatever the disk does ends here: it is told in the log, counted, and tried again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wigwag_store::{Error, Segments, SyncPolicy};

use super::queue::{self, Pair};
use super::{Archive, State, micros};
use crate::conf::config::LogType;
use crate::logging::Log;

/// How long messages are gathered to be written together. With the time of writing, this is what a killed process
/// loses; what a loss of power takes besides is what [`SYNC`] says.
const GATHER: Duration = Duration::from_millis(250);
const SYNC: Duration = Duration::from_secs(1);

/// How often it is looked for what is too old, and tried again what has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that are written together.
const PIECE_MAX: u64 = 1024 * 1024;

/// Segments that the bytes, and the time, are divided into.
const SEGMENTS: u64 = 16;

pub(super) struct Writer {
    archive: Arc<Archive>,
    log: Log,
    store: Option<Segments>,
    /// Bytes that have gone to each segment since it was opened, or that it had then.
    written: BTreeMap<u64, u64>,
    retry_at: Instant,
    /// The last failure, which is told once.
    failure: Option<String>,
}

impl Writer {
    pub(super) fn new(archive: Arc<Archive>, log: Log) -> Writer {
        Writer {
            archive,
            log,
            store: None,
            written: BTreeMap::new(),
            retry_at: Instant::now(),
            failure: None,
        }
    }

    /// Writes until nothing more can come.
    pub(super) fn run(mut self) {
        self.open_if_due();
        while let Some(entries) = self.archive.queue.take(GATHER, PATIENCE) {
            self.open_if_due();
            if entries.is_empty()
                && let Err(error) = self.tidy()
            {
                self.fail(&error);
            }
            self.write(entries);
        }
        if let Some(Err(error)) = self.store.as_mut().map(Segments::sync) {
            self.fail(&error);
        }
    }

    fn open_if_due(&mut self) {
        if self.store.is_some() || Instant::now() < self.retry_at {
            return;
        }
        match self.open() {
            Ok(()) if self.failure.take().is_some() => {
                let text = "Messages are recorded again.";
                self.log.write(LogType::Notice, text);
            }
            Ok(()) => {}
            Err(error) => self.fail(&error),
        }
    }

    fn open(&mut self) -> Result<(), Error> {
        let folder = self.archive.recording.load().folder.clone();
        let store = match open(&folder) {
            Err(Error::Corrupt(why)) => {
                let aside = move_aside(&folder)?;
                let text = format_args!(
                    "The history in {} is damaged ({why}). It has been moved to {}, and a new one begins.",
                    folder.display(),
                    aside.display()
                );
                self.log.write(LogType::Error, text);
                open(&folder)?
            }
            opened => opened?,
        };
        self.written = store.sizes().collect();
        self.store = Some(store);
        self.tidy()?;
        self.publish();
        Ok(())
    }

    /// Writes it all, in pieces that fill no segment far beyond its bound.
    fn write(&mut self, entries: Vec<Pair>) {
        let piece_max = self.archive.recording.load().size_max / SEGMENTS;
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let (mut piece, mut bytes) = (Vec::new(), 0);
            while bytes < piece_max.min(PIECE_MAX)
                && let Some((key, value)) = entries.next()
            {
                bytes += (key.len() + value.len()) as u64;
                piece.push((key, value));
            }
            self.write_piece(piece, bytes);
            if let Err(error) = self.tidy() {
                self.fail(&error);
            }
        }
    }

    fn write_piece(&mut self, piece: Vec<Pair>, bytes: u64) {
        let count = piece.len() as u64;
        let counts = &self.archive.counts;
        let (Some(store), Some(mut segment)) = (&mut self.store, self.written.last_entry()) else {
            counts.unwritten.fetch_add(count, Ordering::Relaxed);
            return;
        };
        match store.append(*segment.key(), piece) {
            Ok(()) => {
                *segment.get_mut() += bytes;
                counts.written.fetch_add(count, Ordering::Relaxed);
            }
            Err(error) => {
                counts.unwritten.fetch_add(count, Ordering::Relaxed);
                self.fail(&error);
            }
        }
    }

    /// Begins a segment when the last one is full, and drops what is too old or too much.
    fn tidy(&mut self) -> Result<(), Error> {
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        let recording = self.archive.recording.load();
        let (now, age_max) = (queue::now(), micros(recording.age_max));
        let is_full = self.written.last_key_value().is_none_or(|(begun, bytes)| {
            *bytes > 0
                && (*bytes >= recording.size_max / SEGMENTS
                    || begun.saturating_add(age_max / SEGMENTS) <= now)
        });
        if is_full {
            let last = self.written.last_key_value();
            let number = last.map_or(now, |(last, _)| now.max(last + 1));
            store.append(number, [])?;
            self.written.insert(number, 0);
        }
        let on_disk: BTreeMap<u64, u64> = store.sizes().collect();
        let size_of = |(number, written): (&u64, &u64)| {
            let on_disk = on_disk.get(number).copied();
            on_disk.unwrap_or(0).max(*written)
        };
        let mut size: u64 = self.written.iter().map(size_of).sum();
        let mut has_changed = is_full;
        // A segment ends where the next one begins; the last one stays.
        while let Some((first, end)) = first_two(&self.written)
            && (size > recording.size_max || end.saturating_add(age_max) <= now)
        {
            store.remove(first)?;
            let written = self.written.remove(&first).unwrap_or(0);
            size = size.saturating_sub(size_of((&first, &written)));
            has_changed = true;
        }
        self.archive.counts.size.store(size, Ordering::Relaxed);
        if has_changed {
            self.publish();
        }
        Ok(())
    }

    /// Lets others read what there is.
    fn publish(&self) {
        if let Some(store) = &self.store {
            let state = State::Open(store.reader());
            self.archive.state.store(Arc::new(state));
        }
    }

    /// Gives the store up for a while.
    fn fail(&mut self, error: &Error) {
        let folder = &self.archive.recording.load().folder;
        let why = format!("cannot record messages in {}: {error}", folder.display());
        if self.failure.as_ref() != Some(&why) {
            let every = PATIENCE.as_secs();
            let text = format_args!("The broker {why}. It tries again every {every} seconds.");
            self.log.write(LogType::Error, text);
        }
        let state = State::Closed(format!("the broker {why}"));
        self.archive.state.store(Arc::new(state));
        self.failure = Some(why);
        self.store = None;
        self.retry_at = Instant::now() + PATIENCE;
    }
}

/// Also when it panics: nobody waits for it, and nobody is told that messages are recorded.
impl Drop for Writer {
    fn drop(&mut self) {
        self.archive.queue.close();
        let state = State::Closed("the recorder has ended".to_owned());
        self.archive.state.store(Arc::new(state));
    }
}

/// The store behind it may not survive what it finds in damaged files; the broker does.
fn open(folder: &Path) -> Result<Segments, Error> {
    if is_foreign(folder)? {
        let why = "it has files of others in it; name a folder that is empty, or not there yet";
        return Err(io::Error::other(why).into());
    }
    let opened = catch_unwind(AssertUnwindSafe(|| {
        Segments::open(folder, SyncPolicy::Interval(SYNC))
    }));
    opened.unwrap_or_else(|_| Err(Error::Corrupt("it cannot be read".to_owned())))
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

/// One damaged history is kept, the last one.
fn move_aside(folder: &Path) -> Result<PathBuf, Error> {
    let aside = folder.with_extension("damaged");
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::rename(folder, &aside)?;
    Ok(aside)
}

fn first_two(written: &BTreeMap<u64, u64>) -> Option<(u64, u64)> {
    let mut numbers = written.keys();
    Some((*numbers.next()?, *numbers.next()?))
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
        let error = open(path).expect_err("it is somebody's").to_string();
        assert!(error.contains("files of others"), "{error}");
        assert_eq!(
            (mode(), fs::read_dir(path).expect("there").count()),
            (before, 2)
        );

        fs::remove_file(path.join("letter")).expect("writable");
        drop(open(path).expect("it is empty"));
        fs::write(path.join("note"), "later").expect("writable");
        drop(open(path).expect("it is known again"));
        drop(open(&path.join("new")).expect("it is made"));
    }
}
