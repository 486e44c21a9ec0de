//! Until when a certificate is valid.
//!
//! Reads DER, as far as it takes to get there; what cannot be read says nothing.

use std::time::{Duration, SystemTime};

use super::subject::{Der, SEQUENCE, fields};

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

const SECS_PER_DAY: u64 = 24 * 60 * 60;

/// The last second of the certificate; none if it lies before 1970.
pub(super) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    // Serial number, signature and issuer come before it.
    let validity = fields(certificate)?.nth(3)?.of(SEQUENCE)?;
    let end = Der(validity).nth(1)?;
    let text = std::str::from_utf8(end.content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match end.tag {
        UTC_TIME => {
            let (year, rest) = split_number(text, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => split_number(text, 4)?,
        _ => return None,
    };
    let mut rest = rest;
    let mut next = || {
        let (number, after) = split_number(rest, 2)?;
        rest = after;
        Some(number)
    };
    let (month, day) = (next()?, next()?);
    let secs = (next()? * 60 + next()?) * 60 + next()?;
    let days = days_since_1970(year, month, day)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(days * SECS_PER_DAY + secs))
}

fn split_number(text: &str, digits: usize) -> Option<(u64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, rest))
}

/// In the Gregorian calendar, whose years begin in March here so that the day that may be missing is the last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    // The first day of 1970 in this count.
    const EPOCH: u64 = 719_468;
    (year * 365 + leap_days + (153 * month + 2) / 5 + day - 1).checked_sub(EPOCH)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Seconds since 1970 of the end of a certificate that is valid until that day.
    fn end(year: i32, month: u8, day: u8) -> Option<u64> {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let end = not_after(certificate.der())?;
        let since = end.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    }

    #[test]
    fn the_end_is_read_in_both_forms_of_time() {
        assert_eq!(end(2031, 5, 6), Some(1_935_792_000));
        assert_eq!(end(2028, 2, 29), Some(1_835_395_200));
        assert_eq!(end(2100, 3, 1), Some(4_107_542_400), "no leap year");
        assert_eq!(end(1999, 12, 31), Some(946_598_400));
    }

    #[test]
    fn bytes_that_are_cut_have_no_end() {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::default().self_signed(&key);
        let whole = certificate.expect("a certificate").der().to_vec();
        assert!(not_after(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(not_after(&whole[..end]), None, "{end}");
        }
    }
}
