//! The log as Mosquitto keeps it: types that can be switched on and off, and destinations that get each line.
//!
//! Lines come from any thread and are written by one of its own, so that a destination that does not take
//! them stops nobody: what does not fit into the channel is counted and told later. What the lines say is in
//! `lines`, where they go in `destination`. A broker that is embedded logs to `tracing` unless it is told
//! otherwise.

mod destination;
mod lines;
mod stamp;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crate::conf::config::{LogType, Logging};

use destination::Destinations;
pub(crate) use lines::{log_connection, log_event, log_refusal};
use stamp::Stamp;
pub(crate) use stamp::rfc3339;

/// Lines that wait for their destinations, at most.
pub(crate) const WAITING_MAX: usize = 8_192;

/// Their bytes, at most: clients choose what they and their topics are called.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Places beyond that for what is announced, so that no flood of other lines takes them.
const ANNOUNCED_MAX: usize = 256;

/// How long to wait for a destination that takes nothing before going on without it.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait before looking again whether it does.
const PAUSE: Duration = Duration::from_millis(5);

/// Publishes a line: topic and payload.
pub(crate) type Publish = Box<dyn Fn(&'static str, String) + Send + Sync>;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be opened for writing.
    #[error("cannot write the log file {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no system log.
    #[error("cannot reach the system log at /dev/log: {0}")]
    Syslog(#[source] io::Error),
    /// The format of the time is not one of `strftime`.
    #[error("log_timestamp_format {format:?} is no format of strftime: {why}")]
    Timestamp {
        /// The format.
        format: String,
        /// What is wrong with it.
        why: String,
    },
    /// A destination does not take what has been logged so far.
    #[error("a destination of the log takes nothing")]
    Stuck,
    /// The thread that writes could not be started.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(#[source] io::Error),
}

/// A log. Clones write to the same destinations.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    /// The types that are logged, a bit each.
    types: AtomicU16,
    connection_messages: AtomicBool,
    /// Those that were lost behind `tracing`.
    lost_elsewhere: Option<&'static AtomicU64>,
    writer: Option<Writer>,
    publish: Arc<OnceLock<Publish>>,
}

struct Writer {
    orders: SyncSender<Order>,
    backlog: Arc<Backlog>,
    thread: Mutex<Option<JoinHandle<()>>>,
    patience: Duration,
}

/// What the writing thread knows of those who log.
#[derive(Debug, Default)]
struct Backlog {
    /// Lines that wait.
    lines: AtomicUsize,
    /// Their bytes.
    bytes: AtomicUsize,
    /// Lines for which there was no room, or that no destination took.
    lost: AtomicU64,
    /// Those of which the log has not told yet.
    untold: AtomicU64,
}

impl Backlog {
    /// One more; what there was before.
    fn add(&self, line: &Line) -> (usize, usize) {
        (
            self.lines.fetch_add(1, Ordering::Relaxed),
            self.bytes.fetch_add(line.text.len(), Ordering::Relaxed),
        )
    }

    fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.untold.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.lines.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Writer {
    /// Counts the line as lost if there is no room for it.
    fn write(&self, line: Line, is_announced: bool) {
        let (lines, bytes) = self.backlog.add(&line);
        let len = line.text.len();
        let fits = is_announced || lines < WAITING_MAX && bytes + len <= WAITING_BYTES_MAX;
        let is_sent = fits && self.orders.try_send(Order::Write(line)).is_ok();
        if !is_sent {
            self.backlog.remove(len);
            self.backlog.count_lost();
        }
    }

    /// Waits for room, but not for ever; false if there was none.
    fn send(&self, mut order: Order) -> bool {
        let until = Instant::now() + self.patience;
        loop {
            order = match self.orders.try_send(order) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(order)) => order,
            };
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(PAUSE);
        }
    }

    /// Waits until all lines so far have been written; false if they could not be.
    fn flush(&self) -> bool {
        let (done, written) = sync_channel(1);
        self.send(Order::Flush(done)) && written.recv_timeout(self.patience).is_ok()
    }
}

/// What the writing thread is to do.
enum Order {
    Write(Line),
    /// Opens files anew, with these destinations if some are given.
    Reopen(Option<Box<(Destinations, Stamp)>>),
    Flush(SyncSender<()>),
    End,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    at: SystemTime,
    log_type: LogType,
    text: String,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("types", &self.0.types)
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

impl Default for Log {
    /// A log that goes to `tracing`.
    fn default() -> Log {
        Log::to_tracing_with(None)
    }
}

impl Log {
    /// A log that goes to `tracing`, where `lost` counts the lines that are lost.
    pub fn to_tracing(lost: &'static AtomicU64) -> Log {
        Log::to_tracing_with(Some(lost))
    }

    fn to_tracing_with(lost_elsewhere: Option<&'static AtomicU64>) -> Log {
        Log(Arc::new(Inner {
            types: AtomicU16::new(u16::MAX),
            connection_messages: AtomicBool::new(true),
            lost_elsewhere,
            writer: None,
            publish: Arc::default(),
        }))
    }

    /// Opens the destinations and starts the thread that writes to them.
    pub fn open(options: &Logging) -> Result<Log, LogError> {
        let stamp = Stamp::new(options)?;
        let publish: Arc<OnceLock<Publish>> = Arc::default();
        let destinations = Destinations::open(options, &publish)?;
        let (orders, work) = sync_channel(WAITING_MAX + ANNOUNCED_MAX);
        let backlog = Arc::<Backlog>::default();
        let shared = Arc::clone(&backlog);
        let thread = thread::Builder::new()
            .name("wigwag-log".to_owned())
            .spawn(move || write_all(&work, destinations, stamp, &shared))
            .map_err(LogError::Thread)?;
        Ok(Log(Arc::new(Inner {
            types: AtomicU16::new(mask(options)),
            connection_messages: AtomicBool::new(options.connection_messages),
            lost_elsewhere: None,
            writer: Some(Writer {
                orders,
                backlog,
                thread: Mutex::new(Some(thread)),
                patience: PATIENCE,
            }),
            publish,
        })))
    }

    /// Goes on with other options. If they cannot be used, everything stays as it was.
    pub fn reload(&self, options: &Logging) -> Result<(), LogError> {
        self.prepare(options)?()
    }

    /// Opens what other options name, and gives back what lets them hold: whoever has more to change than the log
    /// can see first whether everything can be.
    pub fn prepare(
        &self,
        options: &Logging,
    ) -> Result<impl FnOnce() -> Result<(), LogError> + use<>, LogError> {
        let stamp = Stamp::new(options)?;
        let destinations = match &self.0.writer {
            Some(_) => Some(Destinations::open(options, &self.0.publish)?),
            None => None,
        };
        let (types, connection_messages) = (mask(options), options.connection_messages);
        let log = self.clone();
        Ok(move || {
            let (Some(writer), Some(destinations)) = (&log.0.writer, destinations) else {
                return Ok(());
            };
            if !writer.send(Order::Reopen(Some(Box::new((destinations, stamp))))) {
                return Err(LogError::Stuck);
            }
            log.0.types.store(types, Ordering::Relaxed);
            log.0
                .connection_messages
                .store(connection_messages, Ordering::Relaxed);
            Ok(())
        })
    }

    /// Closes the log file and opens it again by its name, after it was moved away.
    pub fn reopen(&self) {
        if let Some(writer) = &self.0.writer {
            // The file of a destination that is stuck is opened anew another time.
            _ = writer.send(Order::Reopen(None));
        }
    }

    /// Whether lines of this type are logged.
    pub fn wants(&self, log_type: LogType) -> bool {
        match &self.0.writer {
            Some(_) => self.0.types.load(Ordering::Relaxed) & bit(log_type) != 0,
            None => is_traced(log_type),
        }
    }

    /// Whether anybody reads of single packets.
    pub(crate) fn wants_packets(&self) -> bool {
        [LogType::Debug, LogType::Subscribe, LogType::Unsubscribe]
            .into_iter()
            .any(|log_type| self.wants(log_type))
    }

    /// Whether connections that come and go are logged.
    pub(crate) fn connection_messages(&self) -> bool {
        self.0.connection_messages.load(Ordering::Relaxed)
    }

    /// Logs a line, if its type is logged.
    pub fn write(&self, log_type: LogType, text: impl fmt::Display) {
        self.add(log_type, text, false);
    }

    /// Logs a line of the process itself, such as its start and its end: there is room for it even when so many
    /// lines wait that others are lost.
    pub fn announce(&self, log_type: LogType, text: impl fmt::Display) {
        self.add(log_type, text, true);
    }

    fn add(&self, log_type: LogType, text: impl fmt::Display, is_announced: bool) {
        if !self.wants(log_type) {
            return;
        }
        let text = as_one_line(text.to_string());
        let Some(writer) = &self.0.writer else {
            return trace(log_type, &text);
        };
        let line = Line {
            at: SystemTime::now(),
            log_type,
            text,
        };
        writer.write(line, is_announced);
    }

    /// Lines that no destination took, since the log was opened.
    pub fn lost(&self) -> u64 {
        let here = self.0.writer.as_ref().map(|writer| &writer.backlog.lost);
        let counts = here.into_iter().chain(self.0.lost_elsewhere);
        counts.map(|lost| lost.load(Ordering::Relaxed)).sum()
    }

    /// Waits until all lines so far have been written, or some seconds if a destination takes none.
    pub fn flush(&self) {
        if let Some(writer) = &self.0.writer {
            _ = writer.flush();
        }
    }

    /// Tells how lines for `log_dest topic` are published. Only the first broker of a log can.
    pub(crate) fn publish_with(&self, publish: Publish) {
        _ = self.0.publish.set(publish);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(writer) = &self.writer else { return };
        let thread = writer
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(thread) = thread else { return };
        // The last clone may be the writing thread's own: it ends when nobody can send to it. So does one that
        // is stuck, if not with the program.
        if thread.thread().id() != thread::current().id()
            && writer.flush()
            && writer.send(Order::End)
        {
            _ = thread.join();
        }
    }
}

fn write_all(
    work: &Receiver<Order>,
    mut destinations: Destinations,
    mut stamp: Stamp,
    backlog: &Backlog,
) {
    while let Ok(order) = work.recv() {
        match order {
            Order::Write(line) => {
                let is_taken = destinations.write(&line, &stamp);
                backlog.remove(line.text.len());
                if !is_taken {
                    backlog.count_lost();
                } else if let Some(losses) = losses(backlog) {
                    destinations.write(&losses, &stamp);
                }
            }
            Order::Reopen(Some(new)) => (destinations, stamp) = *new,
            Order::Reopen(None) => destinations.reopen(),
            Order::Flush(done) => {
                destinations.flush();
                _ = done.send(());
            }
            Order::End => break,
        }
    }
    destinations.flush();
}

/// How many lines were lost since this was asked last, for the log.
fn losses(backlog: &Backlog) -> Option<Line> {
    let lost = backlog.untold.swap(0, Ordering::Relaxed);
    (lost > 0).then(|| Line {
        at: SystemTime::now(),
        log_type: LogType::Warning,
        text: format!(
            "Warning: {lost} log lines were lost because their destination did not take them."
        ),
    })
}

const fn bit(log_type: LogType) -> u16 {
    1 << log_type as u16
}

fn mask(options: &Logging) -> u16 {
    if options.destinations.is_empty() {
        return 0;
    }
    options.types.iter().map(|&log_type| bit(log_type)).sum()
}

/// What clients and topics are called is theirs to choose: it must neither begin a line of its own nor steer a
/// terminal.
fn as_one_line(text: String) -> String {
    // Mosquitto sets the topics of a packet off with a tab.
    let is_unsafe = |char: char| char.is_control() && char != '\t';
    if !text.contains(is_unsafe) {
        return text;
    }
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if is_unsafe(char) {
            line.extend(char.escape_default());
        } else {
            line.push(char);
        }
    }
    line
}

/// How a type is called in the system log, in topics and by `tracing`.
fn is_traced(log_type: LogType) -> bool {
    use tracing::{Level, enabled};
    match log_type {
        LogType::Error => enabled!(Level::ERROR),
        LogType::Warning => enabled!(Level::WARN),
        LogType::Notice | LogType::Information => enabled!(Level::INFO),
        LogType::Debug
        | LogType::Subscribe
        | LogType::Unsubscribe
        | LogType::WebSockets
        | LogType::Internal => enabled!(Level::TRACE),
    }
}

fn trace(log_type: LogType, text: &dyn fmt::Display) {
    match log_type {
        LogType::Error => tracing::error!("{text}"),
        LogType::Warning => tracing::warn!("{text}"),
        LogType::Notice | LogType::Information => tracing::info!("{text}"),
        LogType::Debug
        | LogType::Subscribe
        | LogType::Unsubscribe
        | LogType::WebSockets
        | LogType::Internal => tracing::trace!("{text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::conf::config::LogDest;

    fn to_file(path: &std::path::Path) -> Logging {
        Logging {
            destinations: BTreeSet::from([LogDest::File(path.to_owned())]),
            log_timestamp: false,
            ..Logging::default()
        }
    }

    /// A log whose lines wait in the channel.
    fn nobody_writes(orders: SyncSender<Order>) -> Log {
        Log(Arc::new(Inner {
            types: AtomicU16::new(u16::MAX),
            connection_messages: AtomicBool::new(true),
            lost_elsewhere: None,
            writer: Some(Writer {
                orders,
                backlog: Arc::default(),
                thread: Mutex::default(),
                patience: Duration::from_millis(1),
            }),
            publish: Arc::default(),
        }))
    }

    #[test]
    fn only_the_chosen_types_are_written() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("log");
        let log = Log::open(&to_file(&file)).expect("opened");
        log.write(LogType::Debug, "not this");
        log.write(LogType::Notice, "but this");
        log.flush();
        assert_eq!(fs::read_to_string(&file).expect("read"), "but this\n");
    }

    #[test]
    fn nobody_writes_a_line_of_his_own_by_his_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("log");
        let log = Log::open(&to_file(&file)).expect("opened");
        let client_id = "eve\n0: Client admin disconnected.\r\u{1b}[2J\u{9b}ü";
        log.write(LogType::Notice, format_args!("\tClient {client_id}"));
        log.flush();
        assert_eq!(
            fs::read_to_string(&file).expect("read"),
            "\tClient eve\\n0: Client admin disconnected.\\r\\u{1b}[2J\\u{9b}ü\n"
        );
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("log");
        let log = Log::open(&to_file(&file)).expect("opened");
        log.write(LogType::Notice, "old");
        log.flush();
        fs::rename(&file, dir.path().join("log.1")).expect("moved");
        log.reopen();
        log.write(LogType::Notice, "new");
        log.flush();
        assert_eq!(fs::read_to_string(&file).expect("read"), "new\n");
    }

    #[test]
    fn options_that_cannot_be_used_change_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("log");
        let log = Log::open(&to_file(&file)).expect("opened");
        let refused = log.reload(&to_file(&dir.path().join("missing/log")));
        assert!(matches!(refused, Err(LogError::File { .. })));
        log.write(LogType::Notice, "still here");
        log.flush();
        assert_eq!(fs::read_to_string(&file).expect("read"), "still here\n");
    }

    #[test]
    fn what_was_logged_is_written_when_the_log_goes() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("log");
        let log = Log::open(&to_file(&file)).expect("opened");
        for number in 0..1_000 {
            log.write(LogType::Notice, number);
        }
        drop(log);
        assert_eq!(
            fs::read_to_string(&file).expect("read").lines().count(),
            1_000
        );
    }

    #[test]
    fn a_destination_that_takes_nothing_does_not_keep_the_program_from_ending() {
        let (orders, _nobody_reads) = sync_channel(2);
        let log = nobody_writes(orders);
        for line in 0..3 {
            log.write(LogType::Notice, line);
        }
        assert_eq!(log.lost(), 1);
        log.flush();
        log.reopen();
        let dir = tempfile::tempdir().expect("a folder");
        let refused = log.reload(&to_file(&dir.path().join("log")));
        assert!(matches!(refused, Err(LogError::Stuck)));
        drop(log);
    }

    #[test]
    fn what_is_announced_is_not_lost_in_a_flood() {
        let (orders, waiting) = sync_channel(WAITING_MAX + ANNOUNCED_MAX);
        let log = nobody_writes(orders);
        for line in 0..=WAITING_MAX {
            log.write(LogType::Debug, line);
        }
        log.write(LogType::Notice, "x".repeat(WAITING_BYTES_MAX));
        assert_eq!(log.lost(), 2);
        log.announce(LogType::Information, "terminating");
        assert_eq!(log.lost(), 2);
        let lines: Vec<String> = waiting
            .try_iter()
            .filter_map(|order| match order {
                Order::Write(line) => Some(line.text),
                _ => None,
            })
            .collect();
        assert_eq!(lines.len(), WAITING_MAX + 1);
        assert_eq!(lines.last().map(String::as_str), Some("terminating"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_full_disk_does_not_take_is_counted_and_told_of_later() {
        let dir = tempfile::tempdir().expect("a folder");
        let (link, file) = (dir.path().join("link"), dir.path().join("log"));
        std::os::unix::fs::symlink("/dev/full", &link).expect("linked");
        let log = Log::open(&to_file(&link)).expect("opened");
        log.write(LogType::Notice, "one");
        log.write(LogType::Notice, "two");
        log.flush();
        assert_eq!(log.lost(), 2);
        log.reload(&to_file(&file)).expect("reloaded");
        log.write(LogType::Notice, "three");
        log.flush();
        let written = fs::read_to_string(&file).expect("read");
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].contains(" 2 log lines were lost"), "{lines:?}");
    }

    #[test]
    fn no_destination_means_no_types() {
        let log = Log::open(&Logging {
            destinations: BTreeSet::new(),
            ..Logging::default()
        })
        .expect("opened");
        assert!(!log.wants(LogType::Error));
    }
}
