//! Topic Names and Topic Filters: what is valid, and which filter matches which name.
//!
//! Names and filters borrow; the `Buf` types own their text. Indexes over many filters live with their
//! users; the matching here is the definition they are tested against.

use std::fmt;

/// The longest Topic Name or Topic Filter in bytes. `[MQTT-4.7.3-3]`
pub const LEN_MAX: usize = 65_535;

/// Why a text is no Topic Name or Topic Filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// `[MQTT-4.7.3-1]`
    #[error("a topic needs at least one character")]
    Empty,
    /// `[MQTT-4.7.3-3]`
    #[error("a topic has at most {LEN_MAX} bytes")]
    TooLong,
    /// `[MQTT-4.7.3-2]`
    #[error("a topic cannot contain the null character U+0000")]
    Nul,
    /// `[MQTT-3.3.2-2]`
    #[error("a Topic Name cannot contain the wildcards '+' and '#'")]
    WildcardInName,
    /// `[MQTT-4.7.1-1]`
    #[error("'#' must be the last level of a Topic Filter and stand alone in it")]
    MultiLevelWildcard,
    /// `[MQTT-4.7.1-2]`
    #[error("'+' must stand alone in its level of a Topic Filter")]
    SingleLevelWildcard,
    /// `[MQTT-4.8.2-1]`, `[MQTT-4.8.2-2]`
    #[error(
        "a shared subscription is '$share/', a ShareName without '/', '+' or '#', '/' and a Topic Filter"
    )]
    Share,
}

/// A valid Topic Name: what a message is published to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Checks `text` against section 4.7 of the standard.
    pub fn new(text: &'a str) -> Result<TopicName<'a>, TopicError> {
        // One pass over the bytes: every message that passes has its topic checked.
        let suspicious = memchr::memchr3(0, b'+', b'#', text.as_bytes());
        if suspicious.is_some() || text.is_empty() || text.len() > LEN_MAX {
            check_text(text)?;
            return Err(TopicError::WildcardInName);
        }
        Ok(TopicName(text))
    }

    /// The text of the name.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The levels of the name; there is at least one, and any of them may be empty.
    pub fn levels(self) -> impl Iterator<Item = &'a str> {
        self.0.split('/')
    }

    /// Whether the first level begins with `$`, which hides the name from leading wildcards.
    pub fn is_reserved(self) -> bool {
        self.0.starts_with('$')
    }
}

/// A valid Topic Filter: what a client subscribes to.
///
/// The filter of a shared subscription (`$share/name/filter`) is one too; [`TopicFilter::share`] takes
/// it apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter<'a>(&'a str);

impl<'a> TopicFilter<'a> {
    /// Checks `text` against sections 4.7 and 4.8.2 of the standard.
    pub fn new(text: &'a str) -> Result<TopicFilter<'a>, TopicError> {
        check_text(text)?;
        let filter = match text.strip_prefix("$share/") {
            None if text == "$share" => return Err(TopicError::Share),
            None => text,
            Some(shared) => match shared.split_once('/') {
                Some((name, filter)) if is_share_name(name) && !filter.is_empty() => filter,
                _ => return Err(TopicError::Share),
            },
        };
        check_wildcards(filter)?;
        Ok(TopicFilter(text))
    }

    /// The text of the filter, with `$share/name/` if there is one.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The ShareName and the filter behind it, if this is a shared subscription.
    pub fn share(self) -> Option<(&'a str, TopicFilter<'a>)> {
        let (name, filter) = self.0.strip_prefix("$share/")?.split_once('/')?;
        Some((name, TopicFilter(filter)))
    }

    /// The levels of the filter; there is at least one.
    pub fn levels(self) -> impl Iterator<Item = &'a str> {
        self.0.split('/')
    }

    /// Whether the filter contains `+` or `#`.
    pub fn has_wildcard(self) -> bool {
        self.0.bytes().any(|b| b == b'+' || b == b'#')
    }

    /// Whether the filter matches the name, by section 4.7 of the standard.
    ///
    /// The filter of a shared subscription matches what the filter behind its ShareName matches.
    pub fn matches(self, name: TopicName<'_>) -> bool {
        let filter = self.share().map_or(self, |(_, filter)| filter);
        let mut levels = name.levels();
        let mut first = true;
        for level in filter.levels() {
            // [MQTT-4.7.2-1]
            let wildcard_allowed = !(first && name.is_reserved());
            first = false;
            match (level, levels.next()) {
                ("#", _) => return wildcard_allowed,
                ("+", Some(_)) if wildcard_allowed => {}
                (level, Some(own)) if level == own => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

/// A [`TopicName`] that owns its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicNameBuf(Box<str>);

impl TopicNameBuf {
    /// The name, borrowed.
    pub fn as_name(&self) -> TopicName<'_> {
        TopicName(&self.0)
    }
}

impl From<TopicName<'_>> for TopicNameBuf {
    fn from(name: TopicName<'_>) -> TopicNameBuf {
        TopicNameBuf(name.0.into())
    }
}

impl fmt::Debug for TopicNameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A [`TopicFilter`] that owns its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilterBuf(Box<str>);

impl TopicFilterBuf {
    /// The filter, borrowed.
    pub fn as_filter(&self) -> TopicFilter<'_> {
        TopicFilter(&self.0)
    }
}

impl From<TopicFilter<'_>> for TopicFilterBuf {
    fn from(filter: TopicFilter<'_>) -> TopicFilterBuf {
        TopicFilterBuf(filter.0.into())
    }
}

impl fmt::Debug for TopicFilterBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn check_text(text: &str) -> Result<(), TopicError> {
    match text.len() {
        0 => Err(TopicError::Empty),
        len if len > LEN_MAX => Err(TopicError::TooLong),
        _ if memchr::memchr(0, text.as_bytes()).is_some() => Err(TopicError::Nul),
        _ => Ok(()),
    }
}

fn check_wildcards(filter: &str) -> Result<(), TopicError> {
    if !filter.bytes().any(|b| b == b'+' || b == b'#') {
        return Ok(());
    }
    let mut levels = filter.split('/');
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.next().is_some()) {
            return Err(TopicError::MultiLevelWildcard);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicError::SingleLevelWildcard);
        }
    }
    Ok(())
}

fn is_share_name(name: &str) -> bool {
    !name.is_empty() && !name.bytes().any(|b| b == b'+' || b == b'#')
}

impl fmt::Debug for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_checked() {
        let check = |text: &str, expect| assert_eq!(TopicName::new(text).err(), expect, "{text:?}");
        check("a", None);
        check("/", None);
        check("$SYS/broker", None);
        check("\u{feff}a", None);
        check("", Some(TopicError::Empty));
        check("a/+", Some(TopicError::WildcardInName));
        check("#", Some(TopicError::WildcardInName));
        check("a\0b", Some(TopicError::Nul));
        check(&"x".repeat(LEN_MAX), None);
        check(&"x".repeat(LEN_MAX + 1), Some(TopicError::TooLong));
    }

    #[test]
    fn filters_are_checked() {
        let check =
            |text: &str, expect| assert_eq!(TopicFilter::new(text).err(), expect, "{text:?}");
        check("#", None);
        check("+/+/#", None);
        check("a//b", None);
        check("$share/g/#", None);
        check("$share/g//x", None);
        check("$shared", None);
        check("", Some(TopicError::Empty));
        check("a#", Some(TopicError::MultiLevelWildcard));
        check("#/a", Some(TopicError::MultiLevelWildcard));
        check("a+/b", Some(TopicError::SingleLevelWildcard));
        check("$share", Some(TopicError::Share));
        check("$share/", Some(TopicError::Share));
        check("$share//x", Some(TopicError::Share));
        check("$share/g", Some(TopicError::Share));
        check("$share/g/", Some(TopicError::Share));
        check("$share/a+/x", Some(TopicError::Share));
        check("$share/g/a#", Some(TopicError::MultiLevelWildcard));
    }

    #[test]
    fn shared_filters_are_taken_apart() {
        let filter = TopicFilter::new("$share/group/a/+").expect("valid");
        let (name, inner) = filter.share().expect("shared");
        assert_eq!((name, inner.as_str()), ("group", "a/+"));
        assert_eq!(TopicFilter::new("a/b").expect("valid").share(), None);
    }

    #[test]
    fn examples_of_the_standard_match() {
        let check = |filter: &str, name: &str, expect: bool| {
            let matched = TopicFilter::new(filter)
                .expect(filter)
                .matches(TopicName::new(name).expect(name));
            assert_eq!(matched, expect, "{filter} against {name}");
        };
        check("sport/tennis/player1/#", "sport/tennis/player1", true);
        check(
            "sport/tennis/player1/#",
            "sport/tennis/player1/score/wimbledon",
            true,
        );
        check("sport/#", "sport", true);
        check("#", "a/b", true);
        check("sport/tennis/+", "sport/tennis/player1/ranking", false);
        check("sport/+", "sport", false);
        check("sport/+", "sport/", true);
        check("+/+", "/finance", true);
        check("/+", "/finance", true);
        check("+", "/finance", false);
        check("#", "$SYS/x", false);
        check("+/monitor/Clients", "$SYS/monitor/Clients", false);
        check("$SYS/#", "$SYS/monitor", true);
        check("$SYS/monitor/+", "$SYS/monitor/Clients", true);
        check("ACCOUNTS", "Accounts", false);
        check("$share/g/a/#", "a/b", true);
    }

    /// Matching by the words of the standard, on lists of levels and with recursion.
    fn oracle(filter: &[&str], name: &[&str]) -> bool {
        match (filter, name) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, name @ ..]) => oracle(filter, name),
            ([a, filter @ ..], [b, name @ ..]) => a == b && oracle(filter, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_oracle(
            filter in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just(""), Just("+"), Just("#"), Just("$x")], 1..6),
            name in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just(""), Just("$x")], 1..6),
        ) {
            let (filter_text, name_text) = (filter.join("/"), name.join("/"));
            let (Ok(parsed), Ok(topic)) = (TopicFilter::new(&filter_text), TopicName::new(&name_text)) else {
                return Ok(());
            };
            let hidden = name[0].starts_with('$') && matches!(filter[0], "+" | "#");
            prop_assert_eq!(parsed.matches(topic), !hidden && oracle(&filter, &name));
        }

        #[test]
        fn no_text_makes_the_checks_panic(text in "\\PC*") {
            let _ = (TopicName::new(&text), TopicFilter::new(&text));
        }
    }
}
