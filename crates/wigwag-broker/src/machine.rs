//! What the machine, or the container, lets this process have: the bounds that hold where nobody has set one.
//!
//! Read from `/proc` and from the control group; where these are not, nothing is known and nothing bounded.

use std::fs;

use wigwag_engine::Settings;

const KILOBYTE: u64 = 1_024;

/// Descriptors that are not for connections: files, listeners, and what the runtime needs.
const FILES_RESERVED: u64 = 64;

/// Where control groups say how much memory there may be, the current version of them first.
const CONTROL_GROUPS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// Bounds the memory by three quarters of what there is, unless it is bounded already.
pub(crate) fn bound(settings: &mut Settings) {
    let limits = &mut settings.limits;
    if limits.memory_max == usize::MAX {
        let memory = memory_bytes().map(|bytes| bytes / 4 * 3);
        limits.memory_max = memory
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(usize::MAX);
    }
}

/// How many connections there are descriptors for.
pub(crate) fn connections_max() -> Option<u32> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let files = number_behind(&limits, "Max open files")?;
    let files = files.saturating_sub(FILES_RESERVED).max(files / 2);
    u32::try_from(files).ok()
}

fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| Some(number_behind(&text, "MemTotal:")? * KILOBYTE));
    let groups = CONTROL_GROUPS.iter().filter_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        text.trim().parse().ok()
    });
    machine.into_iter().chain(groups).min()
}

/// The first number behind the name of a line.
fn number_behind(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_set_stays_and_what_has_not_is_what_there_is() {
        let mut settings = Settings::default();
        bound(&mut settings);
        #[cfg(target_os = "linux")]
        assert!(settings.limits.memory_max < usize::MAX);
        settings.limits.memory_max = 5;
        bound(&mut settings);
        assert_eq!(settings.limits.memory_max, 5);
    }

    #[test]
    fn a_line_without_a_number_bounds_nothing() {
        assert_eq!(
            number_behind("Max open files  1024  4096 files", "Max open files"),
            Some(1_024)
        );
        assert_eq!(
            number_behind("Max open files  unlimited", "Max open files"),
            None
        );
        assert_eq!(number_behind("", "Max open files"), None);
    }
}
