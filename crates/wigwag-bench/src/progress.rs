//! What somebody at a terminal sees while a run goes on: one line, drawn over and over.
//!
//! Where standard error is no terminal nothing is written at all. Costs the generator a comparison per turn, and a
//! line ten times a second.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use crate::case::Bound;
use crate::table::thousands;

const INTERVAL_NANOS: u64 = 100_000_000;
const BAR_WIDTH: usize = 16;

#[derive(Debug)]
pub(crate) struct Progress {
    is_shown: bool,
    /// Which run this is, of how many.
    title: String,
    /// What is being done.
    phase: &'static str,
    bound: Option<Bound>,
    started_nanos: u64,
    due_nanos: u64,
    /// When and how much at the last look, for the speed.
    last: (u64, u64),
    is_drawn: bool,
}

impl Progress {
    /// Shown if standard error is a terminal.
    pub(crate) fn on_terminal() -> Progress {
        Progress::new(io::stderr().is_terminal())
    }

    #[cfg(test)]
    pub(crate) fn hidden() -> Progress {
        Progress::new(false)
    }

    const fn new(is_shown: bool) -> Progress {
        Progress {
            is_shown,
            title: String::new(),
            phase: "",
            bound: None,
            started_nanos: 0,
            due_nanos: u64::MAX,
            last: (0, 0),
            is_drawn: false,
        }
    }

    /// The next run, before it connects.
    pub(crate) fn announce(&mut self, title: String) {
        self.title = title;
        self.draw("connecting");
    }

    /// The next phase of the run.
    pub(crate) fn begin(&mut self, phase: &'static str, bound: Option<Bound>, now_nanos: u64) {
        self.phase = phase;
        self.bound = bound;
        self.started_nanos = now_nanos;
        self.last = (now_nanos, 0);
        self.due_nanos = if self.is_shown {
            now_nanos + INTERVAL_NANOS
        } else {
            u64::MAX
        };
    }

    pub(crate) const fn is_due(&self, now_nanos: u64) -> bool {
        now_nanos >= self.due_nanos
    }

    pub(crate) fn show(&mut self, now_nanos: u64, delivered: u64) {
        self.due_nanos = now_nanos + INTERVAL_NANOS;
        let elapsed = Duration::from_nanos(now_nanos - self.started_nanos);
        let (last_nanos, last_delivered) = self.last;
        let seconds = Duration::from_nanos(now_nanos - last_nanos).as_secs_f64();
        let speed = delivered.saturating_sub(last_delivered) as f64 / seconds;
        self.last = (now_nanos, delivered);
        let done = match self.bound {
            Some(Bound::Time(time)) => Some(elapsed.as_secs_f64() / time.as_secs_f64()),
            Some(Bound::Deliveries(count)) => Some(delivered as f64 / count as f64),
            None => None,
        };
        let line = format!(
            "{} {:.1} s, {}/s",
            done.map_or_else(|| self.phase.to_owned(), bar),
            elapsed.as_secs_f64(),
            thousands(speed as u64)
        );
        self.draw(&line);
    }

    fn draw(&mut self, what: &str) {
        if self.is_shown {
            self.is_drawn = true;
            // Back to the beginning of the line, and nothing left of what stood there. Progress that cannot be
            // shown is no reason to stop.
            let _ = write!(io::stderr().lock(), "\r\x1b[2K{}: {what}", self.title);
        }
    }

    /// Takes the line away, so that other output begins on a clean one.
    pub(crate) fn clear(&mut self) {
        self.due_nanos = u64::MAX;
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K");
        }
    }
}

/// A bar for a share between 0 and 1.
fn bar(done: f64) -> String {
    let full = (done.clamp(0.0, 1.0) * BAR_WIDTH as f64) as usize;
    format!("[{}{}]", "#".repeat(full), "-".repeat(BAR_WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_the_run_is_done() {
        assert_eq!(bar(0.0), format!("[{}]", "-".repeat(16)));
        assert_eq!(bar(0.5), format!("[{}{}]", "#".repeat(8), "-".repeat(8)));
        assert_eq!(bar(7.0), format!("[{}]", "#".repeat(16)));
    }

    #[test]
    fn without_a_terminal_it_is_never_due() {
        let mut progress = Progress::hidden();
        progress.begin("measuring", None, 0);
        assert!(!progress.is_due(u64::MAX - 1));
    }
}
