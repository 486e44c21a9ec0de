//! The thread that writes down what was heard, begins segments and drops the oldest ones.
//!
//! Whatever the disk does ends here: it is told in the log, counted, and tried again. What is there can be read
//! meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wigwag_store::Error;

use super::disk::{Disk, Store};
use super::queue::{self, Pair};
use super::{Archive, State, micros};
use crate::conf::config::LogType;
use crate::logging::Log;

/// How long messages are gathered to be written together. With the time of writing, this is what a killed process
/// loses.
const GATHER: Duration = Duration::from_millis(250);

/// How often it is looked for what is too old, and tried again what has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that are written together.
const PIECE_MAX: u64 = 1024 * 1024;

/// Segments that the bytes, and the time, are divided into.
const SEGMENTS: u64 = 16;

/// What time it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Microseconds since 1970.
    wall: u64,
    instant: Instant,
}

impl Now {
    fn read() -> Now {
        Now {
            wall: queue::now(),
            instant: Instant::now(),
        }
    }
}

pub(super) struct Writer<D: Disk> {
    archive: Arc<Archive>,
    log: Log,
    disk: D,
    store: Option<D::Store>,
    /// A store that has failed: it is read until it can be opened again.
    failed: Option<D::Store>,
    /// Bytes that have gone to each segment since it was opened, or that it had then.
    written: BTreeMap<u64, u64>,
    retry_at: Instant,
    /// Messages that were lost since something has failed; until one is written, that goes on.
    losing: Option<u64>,
}

impl<D: Disk> Writer<D> {
    pub(super) fn new(archive: Arc<Archive>, log: Log, disk: D) -> Writer<D> {
        Writer {
            archive,
            log,
            disk,
            store: None,
            failed: None,
            written: BTreeMap::new(),
            retry_at: Instant::now(),
            losing: None,
        }
    }

    /// Writes until nothing more can come.
    pub(super) fn run(mut self) {
        self.open_if_due(Now::read());
        while let Some(entries) = self.archive.queue.take(GATHER, PATIENCE) {
            self.turn(Now::read(), entries);
        }
        if let Some(Err(error)) = self.store.as_mut().map(Store::sync) {
            self.fail(Now::read(), &error);
        }
    }

    fn turn(&mut self, now: Now, entries: Vec<Pair>) {
        self.open_if_due(now);
        if entries.is_empty()
            && let Err(error) = self.tidy(now)
        {
            self.fail(now, &error);
        }
        self.write(now, entries);
    }

    fn open_if_due(&mut self, now: Now) {
        if self.store.is_some() || now.instant < self.retry_at {
            return;
        }
        if self.failed.is_some() {
            let folder = self.archive.recording.load().folder.clone();
            // What is too old makes room when it goes.
            if let Err(error) = self.disk.find_room(&folder)
                && !self.is_outdated(now)
            {
                return self.fail(now, &error);
            }
            // A folder has one owner: whoever reads it is one too.
            let why = "the recorder opens its folder again".to_owned();
            self.archive.state.store(Arc::new(State::Closed(why)));
            self.failed = None;
        }
        if let Err(error) = self.open(now) {
            self.fail(now, &error);
        }
    }

    fn open(&mut self, now: Now) -> Result<(), Error> {
        let folder = self.archive.recording.load().folder.clone();
        let store = match self.disk.open(&folder) {
            Err(Error::Corrupt(why)) => {
                let aside = self.disk.move_aside(&folder)?;
                let text = format_args!(
                    "The history in {} is damaged ({why}). It has been moved to {}, and a new one begins.",
                    folder.display(),
                    aside.display()
                );
                self.log.write(LogType::Error, text);
                self.disk.open(&folder)?
            }
            opened => opened?,
        };
        self.written = store.sizes();
        self.store = Some(store);
        self.publish();
        self.tidy(now)
    }

    /// Writes it all, in pieces that fill no segment far beyond its bound.
    fn write(&mut self, now: Now, entries: Vec<Pair>) {
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
            self.write_piece(now, piece, bytes);
            if let Err(error) = self.tidy(now) {
                self.fail(now, &error);
            }
        }
    }

    fn write_piece(&mut self, now: Now, piece: Vec<Pair>, bytes: u64) {
        let count = piece.len() as u64;
        let (Some(store), Some(mut segment)) = (&mut self.store, self.written.last_entry()) else {
            return self.lose(count);
        };
        match store.append(*segment.key(), piece) {
            Ok(()) => {
                *segment.get_mut() += bytes;
                let counts = &self.archive.counts;
                counts.written.fetch_add(count, Ordering::Relaxed);
                self.recover();
            }
            Err(error) => {
                self.fail(now, &error);
                self.lose(count);
            }
        }
    }

    fn lose(&mut self, count: u64) {
        let counts = &self.archive.counts;
        counts.unwritten.fetch_add(count, Ordering::Relaxed);
        if let Some(lost) = &mut self.losing {
            *lost += count;
        }
    }

    /// Begins a segment when the last one is full, and drops what is too old or too much.
    fn tidy(&mut self, now: Now) -> Result<(), Error> {
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        let recording = self.archive.recording.load();
        let age_max = micros(recording.age_max);
        let on_disk = store.sizes();
        let size_of = |(number, written): (&u64, &u64)| {
            let on_disk = on_disk.get(number).copied();
            on_disk.unwrap_or(0).max(*written)
        };
        let mut size: u64 = self.written.iter().map(size_of).sum();
        let mut has_changed = false;
        // A segment ends where the next one begins; the last one stays. On a full disk, this comes before what needs room.
        while let Some((first, end)) = first_two(&self.written)
            && (size > recording.size_max || end.saturating_add(age_max) <= now.wall)
        {
            store.remove(first)?;
            let written = self.written.remove(&first).unwrap_or(0);
            size = size.saturating_sub(size_of((&first, &written)));
            has_changed = true;
        }
        let is_full = self.written.last_key_value().is_none_or(|(begun, bytes)| {
            *bytes > 0
                && (*bytes >= recording.size_max / SEGMENTS
                    || begun.saturating_add(age_max / SEGMENTS) <= now.wall)
        });
        if is_full {
            let last = self.written.last_key_value();
            let number = last.map_or(now.wall, |(last, _)| now.wall.max(last + 1));
            store.append(number, Vec::new())?;
            self.written.insert(number, 0);
            has_changed = true;
        }
        self.archive.counts.size.store(size, Ordering::Relaxed);
        if has_changed {
            self.publish();
        }
        Ok(())
    }

    /// Whether a segment is kept only because nothing can be dropped.
    fn is_outdated(&self, now: Now) -> bool {
        let age_max = micros(self.archive.recording.load().age_max);
        first_two(&self.written).is_some_and(|(_, end)| end.saturating_add(age_max) <= now.wall)
    }

    /// Lets others read what there is.
    fn publish(&self) {
        if let Some(store) = &self.store {
            let state = State::Open(store.reader());
            self.archive.state.store(Arc::new(state));
        }
    }

    /// Writes nothing more for a while. What has been written can be read on, if it could before.
    fn fail(&mut self, now: Now, error: &Error) {
        let folder = self.archive.recording.load().folder.clone();
        if let Some(store) = self.store.take() {
            self.failed = Some(store);
        }
        // A store that has failed behind our back does not say of what.
        let cause = match (error, &self.failed) {
            (Error::Io(_), Some(_)) => self.disk.find_room(&folder).err(),
            _ => None,
        };
        let error = cause.as_ref().unwrap_or(error);
        let why = format!("cannot record messages in {}: {error}", folder.display());
        if self.losing.is_none() {
            let every = PATIENCE.as_secs();
            let text = format_args!("The broker {why}. It tries again every {every} seconds.");
            self.log.write(LogType::Error, text);
            self.losing = Some(0);
        }
        self.archive.is_failing.store(true, Ordering::Relaxed);
        if self.failed.is_none() {
            let state = State::Closed(format!("the broker {why}"));
            self.archive.state.store(Arc::new(state));
        }
        self.retry_at = now.instant + PATIENCE;
    }

    /// A message has been written.
    fn recover(&mut self) {
        if let Some(lost) = self.losing.take() {
            let text = format_args!("Messages are recorded again; {lost} were not.");
            self.log.write(LogType::Notice, text);
            self.archive.is_failing.store(false, Ordering::Relaxed);
        }
    }
}

/// Also when it panics: nobody waits for it, and nobody is told that messages are recorded.
impl<D: Disk> Drop for Writer<D> {
    fn drop(&mut self) {
        self.archive.queue.close();
        let state = State::Closed("the recorder has ended".to_owned());
        self.archive.state.store(Arc::new(state));
    }
}

fn first_two(written: &BTreeMap<u64, u64>) -> Option<(u64, u64)> {
    let mut numbers = written.keys();
    Some((*numbers.next()?, *numbers.next()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::AtomicBool;

    use tempfile::TempDir;
    use wigwag_proto::Qos;
    use wigwag_store::{Reader, Segments};

    use super::super::disk::RealDisk;
    use super::super::{Recording, entry};
    use super::*;
    use crate::conf::config::{LogDest, Logging};

    const HOUR: Duration = Duration::from_secs(3_600);

    /// A disk that is full when a test says so, or has a little room, which is not enough to begin with.
    #[derive(Clone, Default)]
    struct Flaky {
        is_full: Arc<AtomicBool>,
        is_tight: Arc<AtomicBool>,
    }

    struct FlakyStore {
        store: Segments,
        disk: Flaky,
        has_failed: bool,
    }

    impl Flaky {
        fn check(is_full: &AtomicBool) -> Result<(), Error> {
            if is_full.load(Ordering::Relaxed) {
                return Err(Error::Full("the disk of the test is full".to_owned()));
            }
            Ok(())
        }
    }

    impl Disk for Flaky {
        type Store = FlakyStore;

        fn open(&self, folder: &Path) -> Result<FlakyStore, Error> {
            Ok(FlakyStore {
                store: RealDisk.open(folder)?,
                disk: self.clone(),
                has_failed: false,
            })
        }

        fn move_aside(&self, _: &Path) -> Result<PathBuf, Error> {
            panic!("nothing is damaged");
        }

        fn find_room(&self, _: &Path) -> Result<(), Error> {
            Flaky::check(&self.is_full)?;
            Flaky::check(&self.is_tight)
        }
    }

    impl FlakyStore {
        /// After a failure nothing goes any more, also when there is room again.
        fn try_write(&mut self) -> Result<(), Error> {
            if self.has_failed {
                return Err(Error::Io("an earlier write has failed".to_owned()));
            }
            let tried = Flaky::check(&self.disk.is_full);
            self.has_failed = tried.is_err();
            tried
        }
    }

    impl Store for FlakyStore {
        fn append(&mut self, number: u64, entries: Vec<Pair>) -> Result<(), Error> {
            self.try_write()?;
            Store::append(&mut self.store, number, entries)
        }

        fn remove(&mut self, number: u64) -> Result<(), Error> {
            self.try_write()?;
            Store::remove(&mut self.store, number)
        }

        fn sync(&mut self) -> Result<(), Error> {
            self.try_write()?;
            Store::sync(&mut self.store)
        }

        fn sizes(&self) -> BTreeMap<u64, u64> {
            Store::sizes(&self.store)
        }

        fn reader(&self) -> Reader {
            Store::reader(&self.store)
        }
    }

    /// A writer whose time goes by when a test says so.
    struct Site {
        folder: TempDir,
        disk: Flaky,
        archive: Arc<Archive>,
        writer: Writer<Flaky>,
        log: Log,
        now: Now,
    }

    impl Site {
        /// Begins so long ago.
        fn begun(ago: Duration) -> Site {
            let folder = TempDir::new().expect("a folder");
            let log = Log::open(&Logging {
                destinations: BTreeSet::from([LogDest::File(folder.path().join("log"))]),
                log_timestamp: false,
                ..Logging::default()
            });
            let log = log.expect("opened");
            let recording = Recording::folder(folder.path().join("history"));
            let archive = Arc::new(Archive::new(recording));
            let disk = Flaky::default();
            let mut site = Site {
                folder,
                writer: Writer::new(Arc::clone(&archive), log.clone(), disk.clone()),
                disk,
                archive,
                log,
                now: Now {
                    wall: queue::now() - micros(ago),
                    instant: Instant::now(),
                },
            };
            site.writer.retry_at = site.now.instant;
            site
        }

        fn fill(&self, is_full: bool) {
            self.disk.is_full.store(is_full, Ordering::Relaxed);
        }

        fn pass(&mut self, time: Duration) {
            self.now.wall += micros(time);
            self.now.instant += time;
        }

        /// Nothing comes for a time.
        fn idle(&mut self, time: Duration) {
            self.pass(time);
            self.writer.turn(self.now, Vec::new());
        }

        /// A message comes a second later.
        fn message(&mut self, payload: &str) {
            self.pass(Duration::from_secs(1));
            let value = entry::value(payload.as_bytes(), Qos::AtMostOnce, false);
            let pair = (entry::key("t", self.now.wall), value);
            self.writer.turn(self.now, vec![pair]);
        }

        /// What there is to read: payloads, with a space between them.
        fn told(&self) -> String {
            let history = self.archive.history().expect("it can be read");
            let entries = history.read("t", 0, u64::MAX);
            let payloads: Vec<_> = entries
                .map(|entry| String::from_utf8(entry.expect("intact").payload).expect("text"))
                .collect();
            payloads.join(" ")
        }

        fn log(&self) -> Vec<String> {
            self.log.flush();
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            let log = log.expect("readable");
            log.lines().map(str::to_owned).collect()
        }

        fn segments(&self) -> usize {
            self.writer.written.len()
        }
    }

    #[test]
    fn what_is_too_old_goes_segment_by_segment() {
        let mut site = Site::begun(48 * HOUR);
        for hour in 0..48 {
            site.message(&hour.to_string());
            site.idle(HOUR - Duration::from_secs(1));
        }
        let told = site.told();
        // The last day is there in full, and what is older is not shown, though it stays until its segment goes.
        let mut expect: Vec<String> = (24..48).map(|hour| hour.to_string()).collect();
        let shown: Vec<&str> = told.split(' ').collect();
        if shown.len() == 23 {
            // The hour that is a day ago went by while this test ran.
            expect.remove(0);
        }
        assert_eq!(shown, expect);
        let oldest = *site.writer.written.keys().next().expect("one");
        let age = Duration::from_micros(site.now.wall - oldest);
        assert!(age <= 24 * HOUR + 2 * HOUR, "{age:?}");
        assert!(site.segments() <= 18, "{}", site.segments());
        let since = site.archive.report().since_secs.expect("it is up");
        let now = Duration::from_micros(queue::now()).as_secs_f64();
        assert!((now - since - 86_400.0).abs() < 60.0, "{}", now - since);
        assert_eq!(site.log(), [""; 0]);
    }

    #[test]
    fn what_is_too_old_goes_also_when_nothing_comes() {
        let mut site = Site::begun(49 * HOUR);
        site.message("old");
        assert_eq!(site.segments(), 1);
        for _ in 0..27 {
            site.idle(HOUR);
        }
        assert_eq!(site.segments(), 1, "an empty one");
        let folder = site.archive.recording.load().folder.clone();
        drop(site.writer);
        let reader = RealDisk.open(&folder).expect("opened").reader();
        let all = reader.range(Vec::new(), vec![u8::MAX]);
        assert_eq!(all.count(), 0, "it is gone, and not only hidden");
    }

    #[test]
    fn a_full_disk_is_told_of_once_and_what_is_there_can_be_read() {
        let mut site = Site::begun(HOUR);
        site.message("before");
        site.fill(true);
        // Several times ten seconds, so that it is tried again.
        for _ in 0..40 {
            site.message("lost");
            assert_eq!(site.told(), "before");
        }
        let report = site.archive.report();
        assert_eq!(
            (report.is_up, report.written, report.lost),
            (false, 1, [0, 0, 40])
        );
        let [line] = &site.log()[..] else {
            panic!("one line: {:?}", site.log());
        };
        let why = "there is no room: the disk of the test is full. It tries again every 10 seconds";
        assert!(line.contains(why), "{line}");

        site.fill(false);
        site.idle(PATIENCE);
        site.message("after");
        assert_eq!(site.told(), "before after");
        let report = site.archive.report();
        assert_eq!((report.is_up, report.written), (true, 2));
        assert_eq!(
            site.log()[1..],
            ["Messages are recorded again; 40 were not."]
        );

        // Another time is told of again.
        site.fill(true);
        site.message("lost");
        assert_eq!(
            (site.log().len(), site.told().as_str()),
            (3, "before after")
        );
    }

    #[test]
    fn what_a_write_behind_our_back_has_failed_of_is_found_out() {
        let mut site = Site::begun(HOUR);
        site.message("before");
        site.writer.store.as_mut().expect("open").has_failed = true;
        site.fill(true);
        site.message("lost");
        assert!(site.log()[0].contains("the disk of the test is full"));
    }

    #[test]
    fn a_disk_that_the_history_itself_has_filled_gets_room_when_that_is_old() {
        let mut site = Site::begun(26 * HOUR);
        site.message("old");
        site.idle(HOUR * 8 / 5);
        site.idle(HOUR / 2);
        site.message("newer");
        assert_eq!(site.segments(), 2);
        site.fill(true);
        site.message("lost");
        site.fill(false);
        site.disk.is_tight.store(true, Ordering::Relaxed);
        site.idle(HOUR);
        site.message("lost");
        // To drop what is old takes little.
        site.idle(HOUR * 228 / 10);
        site.message("now");
        assert_eq!(site.told(), "newer now");
        let all = site.archive.report();
        assert_eq!((all.written, all.lost), (3, [0, 0, 2]));
    }

    #[test]
    fn a_disk_that_is_full_from_the_beginning_is_tried_again() {
        let mut site = Site::begun(HOUR);
        site.fill(true);
        site.message("lost");
        assert_eq!(site.log().len(), 1);
        site.fill(false);
        site.idle(PATIENCE);
        site.message("first");
        assert_eq!(site.told(), "first");
    }
}
