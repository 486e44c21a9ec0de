//! What has become of the devices of a run, counted by all of them and read by the one who reports.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// Counters of a run. They are statistics: nothing is decided by them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Devices that have been online at least once.
    pub(super) arrived: Count,
    pub(super) online: Count,
    pub(super) silent: Count,
    pub(super) published: Count,
    /// Messages that could not be sent: there was no connection, or the queue was full.
    pub(super) withheld: Count,
    pub(super) received: Count,
    pub(super) dropped_out: Count,
    /// Connections that ended without anybody having asked for it.
    pub(super) lost: Count,
    pub(super) refused: Count,
    /// Why a device was last without a connection.
    trouble: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(super) fn sub(&self, less: u64) {
        self.0.fetch_sub(less, Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Tally {
    pub(super) fn note_trouble(&self, reason: &impl ToString) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
    }

    /// What was noted since this was asked last.
    pub(super) fn take_trouble(&self) -> Option<String> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.take()
    }
}

/// The counters at one time, to be printed.
pub(super) struct Report {
    pub(super) devices: u32,
    pub(super) elapsed: Duration,
    /// Messages a second since the report before.
    pub(super) rate: f64,
    pub(super) memory: Option<Memory>,
}

/// Memory of the process, and how much of it the devices have brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Memory {
    pub(super) bytes: u64,
    pub(super) kib_per_device: f64,
}

impl Memory {
    /// `base` is what the process took before there were devices.
    pub(super) fn measure(base: Option<u64>, devices: u64) -> Option<Memory> {
        let bytes = resident_bytes()?;
        let of_devices = bytes.saturating_sub(base?);
        Some(Memory {
            bytes,
            kib_per_device: of_devices as f64 / 1024.0 / devices.max(1) as f64,
        })
    }
}

/// The resident set of this process, where the system tells it.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

impl Report {
    /// One line for people. What is zero as it should be is left out.
    pub(super) fn line(&self, tally: &Tally) -> String {
        let mut line = format!(
            "{:>6.0} s  online {}/{}  published {} ({:.0}/s)",
            self.elapsed.as_secs_f64(),
            tally.online.read(),
            self.devices,
            tally.published.read(),
            self.rate
        );
        let others = [
            ("received", &tally.received),
            ("silent", &tally.silent),
            ("dropped out", &tally.dropped_out),
            ("lost", &tally.lost),
            ("withheld", &tally.withheld),
            ("refused", &tally.refused),
        ];
        for (name, count) in others {
            if count.read() > 0 {
                line.push_str(&format!("  {name} {}", count.read()));
            }
        }
        if let Some(memory) = self.memory {
            let mib = memory.bytes as f64 / 1024.0 / 1024.0;
            line.push_str(&format!(
                "  memory {mib:.0} MiB, {:.1} KiB a device",
                memory.kib_per_device
            ));
        }
        line
    }

    /// The same for programs.
    pub(super) fn json(&self, tally: &Tally) -> Value {
        json!({
            "elapsedSecs": self.elapsed.as_secs_f64(),
            "devices": self.devices,
            "online": tally.online.read(),
            "published": tally.published.read(),
            "publishedPerSec": self.rate,
            "received": tally.received.read(),
            "silent": tally.silent.read(),
            "droppedOut": tally.dropped_out.read(),
            "lost": tally.lost.read(),
            "withheld": tally.withheld.read(),
            "refused": tally.refused.read(),
            "memoryBytes": self.memory.map(|memory| memory.bytes),
            "kibPerDevice": self.memory.map(|memory| memory.kib_per_device),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_of_trouble_only_if_there_is_some() {
        let tally = Tally::default();
        tally.online.add(9);
        tally.published.add(1_200);
        let report = Report {
            devices: 10,
            elapsed: Duration::from_secs(12),
            rate: 99.6,
            memory: None,
        };
        let line = report.line(&tally);
        assert_eq!(line, "    12 s  online 9/10  published 1200 (100/s)");
        tally.lost.add(1);
        assert!(report.line(&tally).ends_with("  lost 1"));
        assert_eq!(report.json(&tally)["lost"], 1);
    }
}
