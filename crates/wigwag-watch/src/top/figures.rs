//! Numbers as people read them, in few characters.

use std::time::Duration;

/// `5.0`, `1234`, `12.3k`, `4.5M`
pub(super) fn scaled(value: f64) -> String {
    const STEPS: [(f64, &str); 3] = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    if value < 9.95 {
        return format!("{value:.1}");
    }
    if value < 9_999.5 {
        return format!("{value:.0}");
    }
    let (step, unit) = STEPS
        .into_iter()
        .find(|(step, _)| value >= 0.99995 * step)
        .unwrap_or(STEPS[2]);
    format!("{:.1}{unit}", value / step)
}

/// `512 B`, `1.5 KiB`, `40.0 MiB`
pub(super) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value;
    let mut unit = 0;
    while value >= 1_023.95 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{value:.0} B"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

/// `1 234 567`
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The two largest units: `3d 4h`, `4h 5m`, `5m 6s`, `6s`
pub(super) fn span(duration: Duration) -> String {
    let secs = duration.as_secs();
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs}s"),
        (0, 0, _) => format!("{minutes}m {}s", secs % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// What a broker or a client has written, without what would move the cursor.
pub(super) fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short() {
        let check = |value, expect| assert_eq!(scaled(value), expect);
        check(0.0, "0.0");
        check(9.96, "10");
        check(9_999.0, "9999");
        check(12_345.0, "12.3k");
        check(4_500_000.0, "4.5M");
        check(999_999.0, "1.0M");
        check(45_000_000.0, "45.0M");
        check(2e10, "20.0G");
    }

    #[test]
    fn bytes_have_units_of_1024() {
        let check = |value, expect| assert_eq!(bytes(value), expect);
        check(0.0, "0 B");
        check(1_023.0, "1023 B");
        check(1_536.0, "1.5 KiB");
        check(40.0 * 1_048_576.0, "40.0 MiB");
    }

    #[test]
    fn long_numbers_are_grouped() {
        let check = |value, expect| assert_eq!(grouped(value), expect);
        check(0, "0");
        check(999, "999");
        check(1_234_567, "1 234 567");
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        let check = |secs, expect| assert_eq!(span(Duration::from_secs(secs)), expect);
        check(59, "59s");
        check(61, "1m 1s");
        check(3_600 * 4 + 300, "4h 5m");
        check(86_400 * 3 + 3_600 * 4, "3d 4h");
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(plain("a\x1b[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
