//! What a process has cost so far: CPU time and resident memory, read from `/proc`.
//!
//! Linux only; elsewhere opening a process fails and says so. Nothing here keeps a process alive or
//! signals it.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// What the kernel counts in when its auxiliary vector does not say: 100 per second on all
/// architectures of today.
const TICKS_PER_SECOND: u64 = 100;

/// The tag of `AT_CLKTCK` in the auxiliary vector.
const AUXV_CLOCK_TICKS: usize = 17;

/// A process that can be asked.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    ticks_per_second: u64,
}

impl Process {
    /// Finds the process, so that a wrong id is reported before anything is measured.
    pub(crate) fn open(pid: u32) -> anyhow::Result<Process> {
        let auxv = fs::read("/proc/self/auxv").unwrap_or_default();
        let process = Process {
            pid,
            ticks_per_second: clock_ticks(&auxv).unwrap_or(TICKS_PER_SECOND),
        };
        process.cpu()?;
        process.rss_kib()?;
        Ok(process)
    }

    /// User and system time of all its threads, those that have ended included.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let ticks = self.parse("stat", stat_ticks)?;
        Ok(Duration::from_nanos(
            ticks * (1_000_000_000 / self.ticks_per_second),
        ))
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> anyhow::Result<u64> {
        self.parse("status", status_rss_kib)
    }

    fn parse<T>(&self, file: &str, parse: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let path = format!("/proc/{}/{file}", self.pid);
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {path}: is {} the id of a running process on this Linux machine?",
                self.pid
            )
        })?;
        // A process that has ended but was not waited for has a status without memory.
        parse(&text)
            .with_context(|| format!("{path} does not say what it should: has the process ended?"))
    }
}

/// How many files this process may have open; `None` where there is no `/proc`.
pub(crate) fn open_files_max() -> Option<u64> {
    limits_open_files(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// `utime` and `stime` of a `/proc/PID/stat`. The name of the program may hold spaces and parentheses.
fn stat_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn status_rss_kib(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn limits_open_files(limits: &str) -> Option<u64> {
    let values = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match values.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        soft => soft.parse().ok(),
    }
}

fn clock_ticks(auxv: &[u8]) -> Option<u64> {
    let (words, _) = auxv.as_chunks::<{ size_of::<usize>() }>();
    words
        .chunks_exact(2)
        .map(|pair| (usize::from_ne_bytes(pair[0]), usize::from_ne_bytes(pair[1])))
        .find(|&(tag, _)| tag == AUXV_CLOCK_TICKS)
        .and_then(|(_, value)| u64::try_from(value).ok())
        .filter(|&ticks| ticks > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_ticks_are_found_behind_a_name_with_parentheses() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1165 0 0 0 700 41 5 6 20 0 1 0 9 1 2";
        assert_eq!(stat_ticks(stat), Some(741));
        assert_eq!(stat_ticks("42 (a) S 1 42"), None);
        assert_eq!(stat_ticks(""), None);
    }

    #[test]
    fn resident_memory_is_found_and_missing_in_a_zombie() {
        let status = "Name:\tx\nVmHWM:\t    9000 kB\nVmRSS:\t    5764 kB\nThreads:\t1\n";
        assert_eq!(status_rss_kib(status), Some(5_764));
        assert_eq!(status_rss_kib("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn the_soft_limit_of_open_files_is_read() {
        let limits = "Max processes   5 5 processes\nMax open files            1024                 524288               files\n";
        assert_eq!(limits_open_files(limits), Some(1_024));
        assert_eq!(
            limits_open_files("Max open files unlimited unlimited files"),
            Some(u64::MAX)
        );
        assert_eq!(limits_open_files(""), None);
    }

    #[test]
    fn clock_ticks_come_from_the_auxiliary_vector() {
        let auxv: Vec<u8> = [6, 4096, AUXV_CLOCK_TICKS, 250, 0, 0]
            .iter()
            .flat_map(|word: &usize| word.to_ne_bytes())
            .collect();
        assert_eq!(clock_ticks(&auxv), Some(250));
        assert_eq!(clock_ticks(&[]), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_can_be_read_and_an_impossible_one_is_named() {
        let own = Process::open(std::process::id()).unwrap();
        assert!(own.rss_kib().unwrap() > 100);
        let error = Process::open(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("4294967295"), "{error}");
    }
}
