//! A child process whose output is awaited line by line, and which dies with its owner.
//!
//! Knows nothing of MQTT. Every wait has a bound, and running into it shows all that was said.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before the test gives up. Generous, because test machines are slow
/// and shared; nothing waits for it to pass.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct Process {
    child: Child,
    name: String,
    output: Arc<Output>,
    /// How many lines `await_line` has handed out or passed over.
    seen: Cell<usize>,
}

#[derive(Default)]
struct Output {
    state: Mutex<OutputState>,
    changed: Condvar,
}

#[derive(Default)]
struct OutputState {
    lines: Vec<String>,
    /// Streams that have ended, of two.
    ended: usize,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Arc::<Output>::default();
        collect(child.stdout.take().unwrap(), &output);
        collect(child.stderr.take().unwrap(), &output);
        Self {
            child,
            name,
            output,
            seen: Cell::new(0),
        }
    }

    /// The next line of either stream that `accept` takes; lines before it are passed over.
    pub(crate) fn await_line(&self, what: &str, accept: impl Fn(&str) -> bool) -> String {
        self.line_or_end(accept).unwrap_or_else(|| {
            let said = self.said();
            panic!(
                "{} did not say {what} before it ended; it said:\n{said}",
                self.name
            )
        })
    }

    /// Lets lines count that have been passed over: for what may come before and after the line that was
    /// awaited last.
    pub(crate) fn rewind(&self) -> &Self {
        self.seen.set(0);
        self
    }

    /// Passes over all that was said so far: for a line that something later causes.
    pub(crate) fn skip(&self) -> &Self {
        self.seen.set(self.output.state.lock().unwrap().lines.len());
        self
    }

    /// The next line, as [`Process::await_line`]; `None` if both streams end without it.
    pub(crate) fn line_or_end(&self, accept: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + BOUND;
        let mut state = self.output.state.lock().unwrap();
        loop {
            while let Some(line) = state.lines.get(self.seen.get()) {
                self.seen.set(self.seen.get() + 1);
                if accept(line) {
                    return Some(line.clone());
                }
            }
            if state.ended == 2 {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let said = state.lines.join("\n");
                drop(state);
                panic!("{} is still silent; it said:\n{said}", self.name);
            }
            state = self.output.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Writes to standard input and closes it.
    pub(crate) fn feed(&mut self, text: &str) {
        self.input().write_all(text.as_bytes()).unwrap();
    }

    /// Its input, for somebody who writes to it from a thread of its own.
    pub(crate) fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Writes to its input, to which more will be written.
    pub(crate) fn type_in(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the process has ended by itself and all it said was read.
    pub(crate) fn await_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + BOUND;
        let mut state = self.output.state.lock().unwrap();
        while state.ended < 2 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let said = state.lines.join("\n");
                drop(state);
                panic!("{} does not end; it said:\n{said}", self.name);
            }
            state = self.output.changed.wait_timeout(state, left).unwrap().0;
        }
        drop(state);
        self.child.wait().unwrap()
    }

    /// Whether both streams have ended.
    pub(crate) fn has_said_all(&self) -> bool {
        self.output.state.lock().unwrap().ended == 2
    }

    /// Of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name: `TERM`, `INT`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(status.success(), "kill -s {name} {pid}: {status}");
    }

    /// All that was said so far, on both streams.
    pub(crate) fn said(&self) -> String {
        self.output.state.lock().unwrap().lines.join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn collect(stream: impl Read + Send + 'static, output: &Arc<Output>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            output.state.lock().unwrap().lines.push(text);
            output.changed.notify_all();
            line.clear();
        }
        output.state.lock().unwrap().ended += 1;
        output.changed.notify_all();
    });
}
