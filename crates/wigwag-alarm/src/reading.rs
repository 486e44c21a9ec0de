//! What a payload says: a number, a text, or both.

use std::borrow::Cow;

use serde_json::Value;

use crate::path::Path;

/// A payload that is longer is not searched for a value: no sensor sends one.
const PAYLOAD_LEN_MAX: usize = 1 << 20;

/// How many characters of a text are kept.
const TEXT_LEN_MAX: usize = 256;

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    number: Option<f64>,
    /// Nothing if the number says it all.
    text: Option<Box<str>>,
}

impl Reading {
    /// Of a payload, or of one place in its JSON.
    pub(crate) fn read(payload: &[u8], path: Option<&Path>) -> Option<Reading> {
        if payload.len() > PAYLOAD_LEN_MAX {
            return None;
        }
        match path {
            None => Some(Reading::of_text(std::str::from_utf8(payload).ok()?)),
            Some(path) => {
                let document: Value = serde_json::from_slice(payload).ok()?;
                match path.find(&document)? {
                    Value::Number(number) => number.as_f64().map(Reading::of_number),
                    Value::String(text) => Some(Reading::of_text(text)),
                    Value::Bool(true) => Some(Reading::of_text("true")),
                    Value::Bool(false) => Some(Reading::of_text("false")),
                    Value::Null => Some(Reading::of_text("null")),
                    Value::Array(_) | Value::Object(_) => None,
                }
            }
        }
    }

    pub(crate) const fn of_number(number: f64) -> Reading {
        Reading {
            number: Some(number),
            text: None,
        }
    }

    fn of_text(text: &str) -> Reading {
        let text = text.trim();
        Reading {
            number: leading_number(text),
            text: Some(text.chars().take(TEXT_LEN_MAX).collect()),
        }
    }

    /// If it is one, or begins with one as in `32 seconds`.
    pub(crate) const fn number(&self) -> Option<f64> {
        self.number
    }

    pub(crate) fn text(&self) -> Cow<'_, str> {
        match (&self.text, self.number) {
            (Some(text), _) => Cow::Borrowed(text),
            (None, Some(number)) => Cow::Owned(show_number(number)),
            (None, None) => Cow::Borrowed(""),
        }
    }
}

/// The number with which a text begins. Brokers write units behind it; `true` and `false` are 1 and 0.
fn leading_number(text: &str) -> Option<f64> {
    match text {
        "true" => return Some(1.0),
        "false" => return Some(0.0),
        _ => {}
    }
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let behind = bytes.get(from..).unwrap_or_default();
        behind.iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let sign = |at: usize| usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
    let mut end = sign(0);
    let mut count = digits(end);
    end += count;
    if bytes.get(end) == Some(&b'.') {
        let decimals = digits(end + 1);
        count += decimals;
        end += 1 + decimals;
    }
    if count > 0 && matches!(bytes.get(end), Some(b'e' | b'E')) {
        // "5 e" is 5, and so is "5e".
        let begin = end + 1 + sign(end + 1);
        let exponent = digits(begin);
        if exponent > 0 {
            end = begin + exponent;
        }
    }
    let number: f64 = text.get(..end)?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// Whole numbers as such, others with three decimals at most.
pub(crate) fn show_number(number: f64) -> String {
    if number.fract() == 0.0 || number.abs() >= 1e15 {
        return format!("{number}");
    }
    let text = format!("{number:.3}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    match short {
        // Small, but not nothing.
        "0" | "-0" => format!("{number:.1e}"),
        short => short.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_begins_with_its_number() {
        let number = |text: &str| Reading::read(text.as_bytes(), None)?.number();
        assert_eq!(number("32 seconds"), Some(32.0));
        assert_eq!(number(" -1.5e3\n"), Some(-1500.0));
        assert_eq!(number("12.5%"), Some(12.5));
        assert_eq!(number("5e"), Some(5.0));
        assert_eq!(number("true"), Some(1.0));
        for text in ["", "error 5", "inf", "nan", "-", "1e999"] {
            assert_eq!(number(text), None, "{text:?}");
        }
        assert_eq!(Reading::read(&[0xff, 0xfe], None), None);
    }

    #[test]
    fn a_value_in_json_is_found() {
        let path = Path::parse("a").expect("a path");
        let text = |json: &str| {
            let reading = Reading::read(json.as_bytes(), Some(&path))?;
            Some((reading.number(), reading.text().into_owned()))
        };
        assert_eq!(text(r#"{"a":1.25}"#), Some((Some(1.25), "1.25".to_owned())));
        assert_eq!(text(r#"{"a":"on"}"#), Some((None, "on".to_owned())));
        assert_eq!(
            text(r#"{"a":false}"#),
            Some((Some(0.0), "false".to_owned()))
        );
        assert_eq!(text(r#"{"a":null}"#), Some((None, "null".to_owned())));
        assert_eq!(text(r#"{"a":{}}"#), None);
        assert_eq!(text(r#"{"b":1}"#), None);
        assert_eq!(text("no JSON"), None);
    }

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        for (number, expect) in [
            (120.0, "120"),
            (0.5, "0.5"),
            (10.0 / 3.0, "3.333"),
            (-0.25, "-0.25"),
            (0.000_02, "2.0e-5"),
        ] {
            assert_eq!(show_number(number), expect);
        }
    }

    proptest! {
        #[test]
        fn no_payload_is_too_strange(payload: Vec<u8>) {
            let path = Path::parse("a[0].b").expect("a path");
            let _ = Reading::read(&payload, None);
            let _ = Reading::read(&payload, Some(&path));
        }

        #[test]
        fn every_finite_number_is_read(number in proptest::num::f64::NORMAL) {
            let reading = Reading::read(number.to_string().as_bytes(), None);
            prop_assert_eq!(reading.and_then(|it| it.number()), Some(number));
        }
    }
}
