//! The local time at which a message was received, in the notations of `strftime` and of JSON.
//!
//! The conversions are those of glibc in its "C" locale, in which Mosquitto's tools run. What it does not know comes out with
//! a '%' before it.

use std::time::SystemTime;

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A point in time, in the time zone of who reads it.
#[derive(Clone, Debug)]
pub struct LocalTime(Zoned);

impl LocalTime {
    /// `at` in the time zone of this system, or the one that `TZ` names.
    pub fn new(at: SystemTime) -> LocalTime {
        LocalTime::in_zone(at, TimeZone::system())
    }

    /// `at` in UTC.
    pub fn in_utc(at: SystemTime) -> LocalTime {
        LocalTime::in_zone(at, TimeZone::UTC)
    }

    fn in_zone(at: SystemTime, zone: TimeZone) -> LocalTime {
        // A clock that is thousands of years off is shown as its end.
        let timestamp = Timestamp::try_from(at).unwrap_or(Timestamp::MAX);
        LocalTime(timestamp.to_zoned(zone))
    }

    /// `2026-11-23T09:51:32.359+0000`, for people.
    pub fn stamp(&self) -> String {
        let millis = self.nanosecond() / 1_000_000;
        let date = self.strftime("%Y-%m-%dT%H:%M:%S");
        let offset = self.strftime("%z");
        format!("{date}.{millis:03}{offset}")
    }

    /// `2026-11-23T09:51:32+0000`.
    pub(super) fn iso_8601(&self) -> String {
        self.strftime("%Y-%m-%dT%H:%M:%S%z")
    }

    /// Seconds since 1970 with nine digits after the point.
    pub(super) fn unix(&self) -> String {
        let timestamp = self.0.timestamp();
        format!("{}.{:09}", timestamp.as_second(), self.nanosecond())
    }

    /// With microseconds and offset, as in the JSON of Mosquitto 2.1.
    pub(super) fn json(&self) -> String {
        let micros = self.nanosecond() / 1_000;
        let date = self.strftime("%Y-%m-%dT%H:%M:%S");
        let offset = self.strftime("%z");
        format!("{date}.{micros:06}{offset}")
    }

    /// The same with the 'Z' that Mosquitto 2.0 put before the offset.
    pub(super) fn json_2_0(&self) -> String {
        let mut text = self.json();
        text.insert("2020-05-06T21:48:00.000000".len(), 'Z');
        text
    }

    /// What `strftime` makes of `%` and `letter`; `N` is the nanoseconds.
    pub(super) fn write(&self, letter: u8, out: &mut Vec<u8>) {
        let text = match letter {
            b'N' => format!("{:09}", self.nanosecond()),
            b'n' => "\n".to_owned(),
            b't' => "\t".to_owned(),
            b'%' => "%".to_owned(),
            b'c' => self.strftime("%a %b %e %H:%M:%S %Y"),
            b'x' => self.strftime("%m/%d/%y"),
            b'X' => self.strftime("%H:%M:%S"),
            b'r' => self.strftime("%I:%M:%S %p"),
            _ if KNOWN.contains(&letter) => self.strftime(&format!("%{}", char::from(letter))),
            _ => format!("%{}", char::from(letter)),
        };
        out.extend_from_slice(text.as_bytes());
    }

    fn nanosecond(&self) -> i32 {
        self.0.subsec_nanosecond().abs()
    }

    fn strftime(&self, format: &str) -> String {
        // Every conversion that is asked for here can be made of a zoned time.
        strtime::format(format, &self.0).unwrap_or_default()
    }
}

/// Conversions that mean the same here and there.
const KNOWN: &[u8] = b"aAbBCdDeFgGhHIjklmMpPRsSTuUVwWyYzZ";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What `date` of GNU coreutils says of the same second, where it passes the letter on to `strftime`.
    #[test]
    fn conversions_are_those_of_the_c_locale() {
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_795_427_492, 7_008);
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("valid");
        let time = LocalTime::in_zone(at, zone);
        let check = |letter: char, expect: &str| {
            let mut out = Vec::new();
            time.write(letter as u8, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expect, "@{letter}");
        };
        check('a', "Mon");
        check('A', "Monday");
        check('b', "Nov");
        check('B', "November");
        check('c', "Mon Nov 23 10:51:32 2026");
        check('C', "20");
        check('d', "23");
        check('D', "11/23/26");
        check('e', "23");
        check('E', "%E");
        check('F', "2026-11-23");
        check('g', "26");
        check('G', "2026");
        check('h', "Nov");
        check('H', "10");
        check('I', "10");
        check('j', "327");
        check('k', "10");
        check('l', "10");
        check('m', "11");
        check('M', "51");
        check('n', "\n");
        check('N', "000007008");
        check('p', "AM");
        check('P', "am");
        check('q', "%q");
        check('r', "10:51:32 AM");
        check('R', "10:51");
        check('s', "1795427492");
        check('S', "32");
        check('t', "\t");
        check('T', "10:51:32");
        check('u', "1");
        check('U', "47");
        check('V', "48");
        check('w', "1");
        check('W', "47");
        check('x', "11/23/26");
        check('X', "10:51:32");
        check('y', "26");
        check('Y', "2026");
        check('z', "+0100");
        check('Z', "CET");
        check('%', "%");
        check('+', "%+");
    }

    #[test]
    fn json_has_the_offset_and_in_2_0_a_z_before_it() {
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_795_427_492, 452_499_000);
        let time = LocalTime::in_utc(at);
        assert_eq!(time.json(), "2026-11-23T09:51:32.452499+0000");
        assert_eq!(time.json_2_0(), "2026-11-23T09:51:32.452499Z+0000");
    }
}
