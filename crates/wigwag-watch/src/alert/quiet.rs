//! Quiet hours: times of the day, and days of the week, in a time zone by its name.

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

const MINUTES_OF_DAY: u16 = 24 * 60;

/// Hours that are quiet. Those that end on the next day belong to the day on which they begin.
#[derive(Clone, Debug)]
pub(super) struct QuietHours {
    days: Vec<Weekday>,
    /// Minutes of the day; the end is not quiet any more.
    begin: u16,
    end: u16,
    zone: TimeZone,
}

impl QuietHours {
    /// `[DAYS] HH:MM-HH:MM [ZONE]`.
    pub(super) fn parse(text: &str) -> anyhow::Result<QuietHours> {
        let mut words = text.split_whitespace().peekable();
        let is_days = |word: &&str| word.starts_with(|c: char| c.is_ascii_alphabetic());
        let days = match words.next_if(is_days) {
            Some(word) => parse_days(word)?,
            None => DAYS.iter().map(|(_, day)| *day).collect(),
        };
        let hours = words.next().and_then(|word| word.split_once('-'));
        let Some((begin, end)) = hours else {
            bail!(
                "'{text}' names no hours; 'Mon-Fri 22:00-07:00 Europe/Berlin' is allowed, days and zone may be left out"
            );
        };
        let (begin, end) = (parse_minute(begin)?, parse_minute(end)?);
        ensure!(
            begin != end,
            "hours that end when they begin are none; the whole day is 00:00-24:00"
        );
        ensure!(begin < MINUTES_OF_DAY, "hours begin at 23:59 at the latest");
        let zone = match words.next() {
            Some(name) => TimeZone::get(name).with_context(|| {
                format!("'{name}' is no time zone; names are like Europe/Berlin, Asia/Seoul or UTC")
            })?,
            None => TimeZone::system(),
        };
        if let Some(more) = words.next() {
            bail!("'{more}' is too much behind days, hours and a time zone");
        }
        Ok(QuietHours {
            days,
            begin,
            end,
            zone,
        })
    }

    /// Whether it is quiet at this moment.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let minute = (0..local.hour()).map(|_| 60).sum::<u16>()
            + (0..local.minute()).map(|_| 1).sum::<u16>();
        let today = local.weekday();
        let is_on = |day: Weekday| self.days.contains(&day);
        if self.begin < self.end {
            return is_on(today) && (self.begin..self.end).contains(&minute);
        }
        is_on(today) && minute >= self.begin || is_on(today.previous()) && minute < self.end
    }
}

/// `Mon-Fri`, `Sat,Sun`, `Fri-Mon,Wed`.
fn parse_days(text: &str) -> anyhow::Result<Vec<Weekday>> {
    let find = |name: &str| {
        let day = DAYS.iter().find(|(short, _)| *short == name);
        day.map(|(_, day)| *day).with_context(|| {
            format!("'{name}' is no day; Mon, Tue, Wed, Thu, Fri, Sat and Sun are")
        })
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (find(first)?, find(last)?);
        days.push(day);
        while day != last {
            day = day.next();
            days.push(day);
        }
    }
    Ok(days)
}

/// `07:00`, up to `24:00`.
fn parse_minute(text: &str) -> anyhow::Result<u16> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let is_digits = |text: &str, len| {
            (1..=len).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        let is_time = is_digits(hours, 2) && is_digits(minutes, 2) && minutes.len() == 2;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        let total = hours * 60 + minutes;
        (is_time && minutes < 60 && total <= MINUTES_OF_DAY).then_some(total)
    });
    parsed.with_context(|| format!("'{text}' is no time of the day; 00:00 to 24:00 are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_quiet(hours: &str, now: &str) -> bool {
        let hours = QuietHours::parse(hours).expect(hours);
        hours.holds(now.parse().expect(now))
    }

    #[test]
    fn hours_are_those_of_their_time_zone() {
        // 2026-01-15 is a Thursday. Berlin is an hour ahead then, and two in summer.
        assert!(is_quiet(
            "22:00-07:00 Europe/Berlin",
            "2026-01-15T21:00:00Z"
        ));
        assert!(!is_quiet(
            "22:00-07:00 Europe/Berlin",
            "2026-01-15T20:59:59Z"
        ));
        assert!(is_quiet(
            "22:00-07:00 Europe/Berlin",
            "2026-01-15T05:59:59Z"
        ));
        assert!(!is_quiet(
            "22:00-07:00 Europe/Berlin",
            "2026-01-15T06:00:00Z"
        ));
        assert!(is_quiet(
            "22:00-07:00 Europe/Berlin",
            "2026-07-15T20:00:00Z"
        ));
        assert!(is_quiet("12:00-13:30 UTC", "2026-01-15T13:29:00Z"));
        assert!(!is_quiet("12:00-13:30 UTC", "2026-01-15T13:30:00Z"));
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
        let hours = "Fri,Sat 23:00-08:00 UTC";
        assert!(!is_quiet(hours, "2026-01-16T07:00:00Z"), "Friday morning");
        assert!(is_quiet(hours, "2026-01-16T23:00:00Z"), "Friday night");
        assert!(is_quiet(hours, "2026-01-18T07:00:00Z"), "Sunday morning");
        assert!(!is_quiet(hours, "2026-01-18T23:00:00Z"), "Sunday night");
        assert!(is_quiet("Sat-Mon 00:00-24:00 UTC", "2026-01-19T12:00:00Z"));
        assert!(!is_quiet("Sat-Mon 00:00-24:00 UTC", "2026-01-20T00:00:00Z"));
    }

    #[test]
    fn what_are_no_hours_is_refused() {
        for wrong in [
            "",
            "22:00",
            "22-7",
            "22:00-25:00",
            "22:0-07:00",
            "24:00-07:00",
            "22:00-22:00",
            "22:60-07:00",
            "+1:00-07:00",
            "Foo 22:00-07:00",
            "22:00-07:00 Mars/Base",
            "22:00-07:00 UTC x",
            "Mon,22:00-07:00",
        ] {
            assert!(QuietHours::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(QuietHours::parse("7:00-8:00").is_ok());
    }
}
