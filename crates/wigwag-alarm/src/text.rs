//! The words of the text form: quoted texts, spans of time, and the cursor that reads them.

use std::fmt;
use std::time::Duration;

/// The longest span of time that a rule can name.
const SPAN_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// The units of spans with their milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text as the cursor reads it back as one word: in quotation marks, unless it is plain.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = self.0.bytes().any(|b| b == b'/' || b == b'#' || b == b'+')
            && !(self.0.chars()).any(|c| c.is_whitespace() || c == '"' || c == '\\');
        if is_plain {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// A span of time: `90s`, `1h30m`.
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    /// Reads numbers with units, the larger units first.
    pub(crate) fn parse(text: &str) -> Option<Duration> {
        let mut rest = text;
        let mut total: u64 = 0;
        let mut units = UNITS.iter();
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, behind) = rest.split_at(digits);
            let number: u64 = number.parse().ok()?;
            let letters = (behind.bytes()).take_while(u8::is_ascii_alphabetic).count();
            let (unit, behind) = behind.split_at(letters);
            let (_, millis) = units.find(|(name, _)| *name == unit)?;
            total = total.checked_add(number.checked_mul(*millis)?)?;
            rest = behind;
        }
        let span = Duration::from_millis(total);
        (!span.is_zero() && span <= SPAN_MAX).then_some(span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        for (unit, millis) in UNITS {
            if left >= millis {
                write!(f, "{}{unit}", left / millis)?;
                left %= millis;
            }
        }
        Ok(())
    }
}

/// Reads a span of time as rules have it: `90s`, `1h30m`, up to 366 days.
pub fn read_span(text: &str) -> Option<Duration> {
    Span::parse(text)
}

/// A word of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    Bare(&'a str),
    Quoted(String),
}

/// A quotation mark that has no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclosed;

/// Reads a rule from the left to the right.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            rest: text.trim_start(),
        }
    }

    /// What has not been read.
    pub(crate) const fn rest(&self) -> &'a str {
        self.rest
    }

    /// Takes this if it comes next, with or without a space behind it.
    pub(crate) fn take(&mut self, sign: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(sign) else {
            return false;
        };
        self.rest = rest.trim_start();
        true
    }

    /// Takes this if it is the next word, without quotation marks.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let mut ahead = self.clone();
        let is_next = ahead.word() == Some(Ok(Word::Bare(word)));
        if is_next {
            *self = ahead;
        }
        is_next
    }

    /// The next word, nothing at the end.
    pub(crate) fn word(&mut self) -> Option<Result<Word<'a>, Unclosed>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(inside) = self.rest.strip_prefix('"') {
            return Some(self.quoted(inside));
        }
        let end = self.rest.find(char::is_whitespace);
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        Some(Ok(Word::Bare(word)))
    }

    /// Up to the next space that is not between quotation marks, which stay.
    pub(crate) fn raw_word(&mut self) -> &'a str {
        let mut is_quoted = false;
        let mut is_escaped = false;
        let end = self.rest.find(|c: char| {
            let is_end = c.is_whitespace() && !is_quoted;
            is_quoted ^= c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        word
    }

    fn quoted(&mut self, inside: &'a str) -> Result<Word<'a>, Unclosed> {
        let mut text = String::new();
        let mut chars = inside.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = inside.get(index + 1..).unwrap_or_default().trim_start();
                    return Ok(Word::Quoted(text));
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(Unclosed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_numbers_with_units() {
        let millis = |text| Span::parse(text).map(|span| span.as_millis());
        assert_eq!(millis("90s"), Some(90_000));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("2d"), Some(172_800_000));
        for wrong in [
            "",
            "5",
            "s",
            "0s",
            "5x",
            "30m1h",
            "1m1m",
            "-1s",
            "400d",
            "1.5s",
            "99999999999999999999s",
            "9999999999999999999d",
        ] {
            assert_eq!(millis(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_span_is_read_as_it_was_written(millis in 1..=86_400_000_u64 * 366) {
            let span = Duration::from_millis(millis);
            prop_assert_eq!(Span::parse(&Span(span).to_string()), Some(span));
        }

        #[test]
        fn a_text_is_read_as_it_was_written(text: String) {
            let written = format!("{} rest", Quoted(&text));
            let mut cursor = Cursor::new(&written);
            let word = match cursor.word() {
                Some(Ok(Word::Bare(word))) => word.to_owned(),
                Some(Ok(Word::Quoted(word))) => word,
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(word, text);
            prop_assert_eq!(cursor.rest(), "rest");
        }
    }
}
