//! What the system says of this process, in the numbers that every Prometheus client library shows.
//!
//! Read from `/proc` at each scrape; elsewhere than on Linux there are none.

use std::fs;

/// Kernel clock ticks of a second, as `/proc` counts them: 100 on every architecture that Linux runs on now.
const TICKS_PER_SEC: f64 = 100.0;

/// Pages are larger on some machines, so memory is read where it is given in kilobytes.
const KILOBYTE: u64 = 1_024;

/// Numbers about the process; `None` where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Process {
    pub(crate) cpu_secs: Option<f64>,
    /// Since 1970.
    pub(crate) started_secs: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) virtual_bytes: Option<u64>,
    pub(crate) open_fds: Option<u64>,
    pub(crate) max_fds: Option<u64>,
}

impl Process {
    pub(crate) fn read() -> Process {
        let read = |name| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let status = read("status");
        let kilobytes = |field| first_number(&status, field).map(|number| number * KILOBYTE);
        let stat = read("stat");
        Process {
            cpu_secs: cpu_secs(&stat),
            started_secs: started_secs(&stat),
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            open_fds: open_fds(),
            max_fds: first_number(&read("limits"), "Max open files"),
        }
    }

    /// The memory in use alone, which is asked for more often.
    pub(crate) fn resident_bytes_now() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        first_number(&status, "VmRSS:").unwrap_or(0) * KILOBYTE
    }
}

/// Linux tells how many there are since version 6.2. Before, they are counted, and one of them reads the folder.
fn open_fds() -> Option<u64> {
    const FDS: &str = "/proc/self/fd";
    match fs::metadata(FDS).ok()?.len() {
        0 => Some(fs::read_dir(FDS).ok()?.count().saturating_sub(1) as u64),
        count => Some(count),
    }
}

/// When the process started: the 22nd field, in ticks since the machine did.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ticks are three million years"
)]
fn started_secs(stat: &str) -> Option<f64> {
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let machine = first_number(&machine, "btime ")?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(machine as f64 + ticks as f64 / TICKS_PER_SEC)
}

/// User and system time: the 14th and 15th field, counted behind the name, which may contain anything.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ticks are three million years"
)]
fn cpu_secs(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SEC)
}

/// The first number behind the name of a line.
fn first_number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_move_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_secs(stat), Some(2.0));
    }

    #[test]
    fn limits_and_status_are_read() {
        let limits = "Limit   Soft  Hard  Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(first_number(limits, "Max open files"), Some(1_024));
        assert_eq!(first_number("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(
            first_number("Max open files  unlimited\n", "Max open files"),
            None
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_numbers() {
        let process = Process::read();
        assert!(process.resident_bytes > Some(0) && process.open_fds > Some(0));
        assert!(process.cpu_secs.is_some());
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("after 1970");
        let age = now.as_secs_f64() - process.started_secs.expect("told");
        assert!((-1.0..86_400.0).contains(&age), "{age}");
    }
}
