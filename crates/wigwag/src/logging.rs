//! The log of the subcommands: one line per event on standard error, so that standard output stays for results.
//!
//! Lines are written by a thread of their own: whoever logs, a shard above all, does not wait for a terminal
//! that is stopped or a pipe that nobody reads. What does not fit is counted, and the log says how many lines
//! that were. A broker by Mosquitto's rules does not use this; it has a log that is made for them.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use wigwag_broker::Log;

/// Lines that wait to be written, at most, and their bytes: names that clients choose may be long.
const LINES_MAX: usize = 8_192;
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long the end of the program waits for what is still to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait before looking again whether there is room.
const PAUSE: Duration = Duration::from_millis(5);

/// Lines that nobody has taken, of all time.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Starts logging. `RUST_LOG` decides what is logged if it is set. What waits is written when the answer is
/// dropped.
#[must_use = "what is logged last is written when this is dropped"]
pub(crate) fn init(verbose: u8, quiet: bool) -> Lines {
    start(match (quiet, verbose) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    })
}

/// The same for a program of thousands of clients: unless it is asked for, the log does not tell of each of them.
#[must_use = "what is logged last is written when this is dropped"]
pub(crate) fn init_for_crowd(verbose: u8) -> Lines {
    match verbose {
        0 => start("warn,wigwag_client=off"),
        _ => init(verbose, false),
    }
}

fn start(default: &str) -> Lines {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = Lines::start(io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(lines.queue.clone())
        .with_ansi(io::stderr().is_terminal())
        .init();
    lines
}

/// What a broker of these subcommands logs to.
pub(crate) fn broker_log() -> Log {
    Log::to_tracing(&LOST)
}

/// The log, for as long as it is written.
pub(crate) struct Lines {
    queue: Queue,
}

/// Takes lines from any thread.
#[derive(Clone)]
struct Queue {
    work: SyncSender<Work>,
    /// Bytes that wait.
    bytes: Arc<AtomicUsize>,
    /// Lines that were lost and of which the log has not told yet.
    untold: Arc<AtomicU64>,
}

enum Work {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Lines {
    fn start(destination: impl Write + Send + 'static) -> Lines {
        let (work, orders) = sync_channel(LINES_MAX);
        let queue = Queue {
            work,
            bytes: Arc::default(),
            untold: Arc::default(),
        };
        let (bytes, untold) = (Arc::clone(&queue.bytes), Arc::clone(&queue.untold));
        let started = thread::Builder::new()
            .name("wigwag-log".to_owned())
            .spawn(move || write_all(&orders, destination, &bytes, &untold));
        // Without the thread every line is lost, and counted as such.
        drop(started);
        Lines { queue }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        let until = Instant::now() + PATIENCE;
        let mut flush = Work::Flush(done);
        loop {
            flush = match self.queue.work.try_send(flush) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(flush)) => flush,
            };
            if Instant::now() >= until {
                return;
            }
            thread::sleep(PAUSE);
        }
        // Whoever does not take it by then does not want it.
        _ = written.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

impl Queue {
    fn add(&self, line: &[u8]) {
        let waiting = self.bytes.fetch_add(line.len(), Ordering::Relaxed);
        let fits = waiting + line.len() <= BYTES_MAX;
        if !fits || self.work.try_send(Work::Line(line.to_vec())).is_err() {
            self.bytes.fetch_sub(line.len(), Ordering::Relaxed);
            self.untold.fetch_add(1, Ordering::Relaxed);
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The subscriber writes each event at once.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Queue;

    fn make_writer(&'a self) -> Queue {
        self.clone()
    }
}

/// What cannot be written is lost: there is nowhere to say so.
fn write_all(
    orders: &Receiver<Work>,
    mut destination: impl Write,
    bytes: &AtomicUsize,
    untold: &AtomicU64,
) {
    while let Ok(work) = orders.recv() {
        match work {
            Work::Line(line) => {
                _ = destination.write_all(&line);
                bytes.fetch_sub(line.len(), Ordering::Relaxed);
                let lost = untold.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    _ = writeln!(
                        destination,
                        "WARN {lost} log lines were lost because nobody took them."
                    );
                }
            }
            Work::Flush(done) => {
                _ = destination.flush();
                _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// Takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Gate {
        state: Arc<Mutex<State>>,
        opened: Arc<Condvar>,
    }

    #[derive(Default)]
    struct State {
        is_open: bool,
        taken: Vec<u8>,
    }

    impl Gate {
        fn open(&self) {
            self.state.lock().expect("not poisoned").is_open = true;
            self.opened.notify_all();
        }

        fn taken(&self) -> String {
            let state = self.state.lock().expect("not poisoned");
            String::from_utf8(state.taken.clone()).expect("text")
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.state.lock().expect("not poisoned");
            let opened = self.opened.wait_while(state, |state| !state.is_open);
            let mut state = opened.expect("not poisoned");
            state.taken.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_nobody_takes_is_counted_and_told() {
        let gate = Gate::default();
        let lines = Lines::start(gate.clone());
        // One may be with the thread already.
        for _ in 0..LINES_MAX + 11 {
            lines.queue.add(b"line\n");
        }
        let lost = lines.queue.untold.load(Ordering::Relaxed);
        assert!((10..=11).contains(&lost), "{lost}");
        gate.open();
        drop(lines);
        let taken = gate.taken();
        let expect =
            format!("line\nWARN {lost} log lines were lost because nobody took them.\nline\n");
        assert!(taken.starts_with(&expect), "{}", &taken[..200]);
    }

    #[test]
    fn long_lines_do_not_fill_the_memory() {
        let lines = Lines::start(Gate::default());
        let line = vec![b'x'; BYTES_MAX / 4];
        for _ in 0..6 {
            lines.queue.add(&line);
        }
        assert_eq!(lines.queue.untold.load(Ordering::Relaxed), 2);
    }
}
