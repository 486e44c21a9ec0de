//! Lengths of time as people write them: `500ms`, `2s`, `1.5m`, `1h`.

use std::time::Duration;

/// Units and their seconds; `ms` stands before those that end as it does.
const UNITS: &[(&str, f64)] = &[("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];

/// No length of time here is sensibly longer.
const DAYS_MAX: f64 = 365.0;

/// Reads a length of time that is not zero.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let refused = || {
        format!(
            "{text:?} is no length of time; allowed are a number and a unit, as in 500ms, 2s, 1.5m, 1h"
        )
    };
    let (number, seconds) = UNITS
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
        .ok_or_else(refused)?;
    let number: f64 = number.trim().parse().map_err(|_| refused())?;
    let seconds = number * seconds;
    if !(0.001..=DAYS_MAX * 86_400.0).contains(&seconds) {
        return Err(format!(
            "{text:?} is out of range; allowed are 1ms to {DAYS_MAX} days"
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_are_a_length_of_time() {
        let check = |text, millis| assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
        check("500ms", 500);
        check("2s", 2_000);
        check("1.5m", 90_000);
        check("1 h", 3_600_000);
    }

    #[test]
    fn what_is_none_is_told_with_what_is_allowed() {
        for text in ["", "2", "s", "two s", "-1s", "0s", "NaNs", "infs", "1e9h"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("allowed are"), "{error}");
        }
    }
}
