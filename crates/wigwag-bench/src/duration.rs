//! Spans of time as people write them: `250ms`, `10s`, `2m`.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// The units, with their nanoseconds.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 6e10),
    ("h", 3.6e12),
];

/// The longest time that anything here may take: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// Reads a number with its unit; a bare number means seconds.
pub(crate) fn parse(text: &str) -> anyhow::Result<Duration> {
    let nanos = nanos(text, Some("s"))?;
    ensure!(
        (0.0..=SECONDS_MAX * 1e9).contains(&nanos),
        "'{text}' is not between 0 and a day"
    );
    Ok(Duration::from_nanos(nanos as u64))
}

/// How long to wait for something: with no patience at all, nothing would ever come in time.
pub(crate) fn parse_patience(text: &str) -> anyhow::Result<Duration> {
    let time = parse(text)?;
    ensure!(!time.is_zero(), "'{text}' is no time to wait for anything");
    Ok(time)
}

/// Nanoseconds of a number with its unit.
pub(crate) fn nanos(text: &str, default_unit: Option<&str>) -> anyhow::Result<f64> {
    let text = text.trim();
    let unit_at = text
        .find(|character: char| !(character.is_ascii_digit() || matches!(character, '.' | '_')))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number
        .replace('_', "")
        .parse()
        .ok()
        .with_context(|| format!("'{text}' is not a time; write 250ms, 10s or 2m"))?;
    let unit = match unit.trim() {
        "" => default_unit.unwrap_or_default(),
        unit => unit,
    };
    match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => Ok(number * factor),
        None if number == 0.0 && unit.is_empty() => Ok(0.0),
        None => bail!("'{text}' has no unit of time; ns, us, ms, s, m and h are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        let cases = [
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            ("10", 10_000_000_000),
            ("2m", 120_000_000_000),
            ("5 us", 5_000),
            ("5µs", 5_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse(text).unwrap(), Duration::from_nanos(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_is() {
        let cases = [
            ("", "is not a time; write 250ms, 10s or 2m"),
            ("soon", "is not a time"),
            ("10 parsecs", "has no unit of time"),
            ("2000h", "between 0 and a day"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(nanos("7", None).is_err());
        assert_eq!(nanos("0", None).unwrap(), 0.0);
    }
}
