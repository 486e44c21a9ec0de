//! What stands behind the `?` of an address.

use std::borrow::Cow;

/// Names and values, as browsers write them: `%20` or `+` for a space.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Why it cannot be read, if it is no text.
    pub(super) fn read(text: Option<&str>) -> Result<Query, String> {
        let pairs = text.unwrap_or_default().split('&');
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text| {
                decoded(text).ok_or_else(|| {
                    format!("{name} is no text in UTF-8 with % and two digits for other bytes")
                })
            };
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Query(pairs.collect::<Result<_, String>>()?))
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let (_, value) = pairs.find(|(other, _)| other == name)?;
        Some(value)
    }
}

fn decoded(text: &str) -> Option<String> {
    let text: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    unescaped(&text)
}

/// With what stands there as `%20` and the like; none if that is no text.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // A sign is not a digit, whatever the standard library says.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_read_as_browsers_write_them() {
        let query =
            Query::read(Some("topic=a%2Fb+c%20d%C3%A9&id=&flag&topic=other")).expect("text");
        assert_eq!(query.get("topic"), Some("a/b c dé"));
        assert_eq!((query.get("id"), query.get("flag")), (Some(""), Some("")));
        assert_eq!(query.get("from"), None);
        assert_eq!(Query::read(None), Ok(Query::default()));
    }

    #[test]
    fn what_is_no_text_is_refused_by_its_name() {
        for text in ["topic=%", "topic=%2", "topic=%zz", "topic=%+1", "topic=%ff"] {
            let why = Query::read(Some(text)).expect_err(text);
            assert!(why.starts_with("topic is no text"), "{why}");
        }
    }
}
