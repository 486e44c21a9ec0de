//! Topic patterns: a Topic Filter whose wildcards have names, and what they stand for in a Topic Name.
//!
//! Which subscription a message belongs to has been decided before; a pattern is only asked about topics
//! that its filter matches.

use std::sync::Arc;

use wigwag_proto::{TopicError, TopicFilter};

/// Why a text is not a topic pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Without its names the pattern is not a Topic Filter.
    #[error("'{pattern}' is no Topic Filter: {error}")]
    Filter {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        error: TopicError,
    },
    /// A capture needs a name.
    #[error("'{0}' has a capture without a name; '{{name}}' and '{{*name}}' are captures")]
    NoName(String),
    /// Two captures have the same name.
    #[error("'{pattern}' captures '{name}' twice")]
    SameName {
        /// The pattern.
        pattern: String,
        /// The name.
        name: String,
    },
}

/// A parsed pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// What to subscribe to.
    pub(crate) filter: Arc<str>,
    /// For each level of a Topic Name, behind the ShareName.
    levels: Vec<Level>,
}

#[derive(Debug, PartialEq)]
enum Level {
    /// Nothing to capture.
    Passed,
    /// `{name}`
    One(Box<str>),
    /// `{*name}`
    Rest(Box<str>),
}

/// What the captures of a pattern stand for, in their order.
pub(crate) type Captured<'a> = Vec<(&'a str, &'a str)>;

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Pattern, PatternError> {
        let mut filter = String::with_capacity(text.len());
        let mut levels: Vec<Level> = Vec::new();
        for (index, part) in text.split('/').enumerate() {
            if index > 0 {
                filter.push('/');
            }
            let level = match capture(part) {
                Capture::None(literal) => {
                    filter.push_str(literal);
                    Level::Passed
                }
                Capture::One(name) => {
                    filter.push('+');
                    Level::One(name.into())
                }
                Capture::Rest(name) => {
                    filter.push('#');
                    Level::Rest(name.into())
                }
            };
            check_name(text, &level, &levels)?;
            levels.push(level);
        }
        match TopicFilter::new(&filter) {
            Ok(parsed) if parsed.share().is_some() => drop(levels.drain(..2)),
            Ok(_) => {}
            Err(error) => {
                return Err(PatternError::Filter {
                    pattern: text.to_owned(),
                    error,
                });
            }
        }
        Ok(Pattern {
            filter: filter.into(),
            levels,
        })
    }

    /// What the captures stand for in a topic that the filter matches.
    pub(crate) fn captures<'a>(&'a self, topic: &'a str) -> Captured<'a> {
        let mut captured = Captured::new();
        let mut rest = Some(topic);
        for level in &self.levels {
            match level {
                // `a/{*rest}` matches `a`, too: then nothing is left.
                Level::Rest(name) => captured.push((name, rest.unwrap_or_default())),
                Level::One(_) | Level::Passed => {
                    let (own, behind) = match rest.and_then(|rest| rest.split_once('/')) {
                        Some((own, behind)) => (own, Some(behind)),
                        None => (rest.unwrap_or_default(), None),
                    };
                    rest = behind;
                    if let Level::One(name) = level {
                        captured.push((name, own));
                    }
                }
            }
        }
        captured
    }
}

enum Capture<'a> {
    None(&'a str),
    One(&'a str),
    Rest(&'a str),
}

/// `{{x}}` stands for the level `{x}` itself.
fn capture(level: &str) -> Capture<'_> {
    let inner = |text| str::strip_suffix(str::strip_prefix(text, '{')?, '}');
    match inner(level) {
        None => Capture::None(level),
        Some(escaped) if inner(escaped).is_some() => Capture::None(escaped),
        Some(name) => match name.strip_prefix('*') {
            None => Capture::One(name),
            Some(name) => Capture::Rest(name),
        },
    }
}

fn check_name(pattern: &str, level: &Level, earlier: &[Level]) -> Result<(), PatternError> {
    let name_of = |level: &Level| match level {
        Level::Passed => None,
        Level::One(name) | Level::Rest(name) => Some(name.clone()),
    };
    let Some(name) = name_of(level) else {
        return Ok(());
    };
    if name.is_empty() {
        return Err(PatternError::NoName(pattern.to_owned()));
    }
    if earlier
        .iter()
        .any(|own| name_of(own).as_ref() == Some(&name))
    {
        return Err(PatternError::SameName {
            pattern: pattern.to_owned(),
            name: name.into(),
        });
    }
    Ok(())
}

/// The pattern of a shared subscription: of each message, one client of the group gets a copy.
pub fn shared(group: &str, pattern: &str) -> String {
    format!("$share/{group}/{pattern}")
}

#[cfg(test)]
mod tests {
    use wigwag_proto::TopicName;

    use super::*;

    #[test]
    fn captures_stand_for_what_the_filter_matched() {
        let check = |pattern: &str, filter: &str, topic: &str, expect: &[(&str, &str)]| {
            let parsed = Pattern::parse(pattern).expect("valid");
            assert_eq!(&*parsed.filter, filter);
            let name = TopicName::new(topic).expect("valid");
            let matches = TopicFilter::new(filter).expect("valid").matches(name);
            assert!(matches, "{filter} {topic}");
            assert_eq!(parsed.captures(topic), expect, "{pattern} {topic}");
        };
        check("a/{id}/c", "a/+/c", "a/7/c", &[("id", "7")]);
        check("a/{id}/c", "a/+/c", "a//c", &[("id", "")]);
        check("{x}/{*y}", "+/#", "a/b/c", &[("x", "a"), ("y", "b/c")]);
        check("a/{*y}", "a/#", "a", &[("y", "")]);
        check("a/{*y}", "a/#", "a/", &[("y", "")]);
        check("{*all}", "#", "/a", &[("all", "/a")]);
        check("+/{x}/#", "+/+/#", "a/b/c/d", &[("x", "b")]);
        check("$SYS/{*x}", "$SYS/#", "$SYS/a/b", &[("x", "a/b")]);
        check("{{id}}/{id}", "{id}/+", "{id}/1", &[("id", "1")]);
        let jobs = shared("workers", "jobs/{*job}");
        check(&jobs, "$share/workers/jobs/#", "jobs/1", &[("job", "1")]);
    }

    #[test]
    fn captures_at_the_front_leave_reserved_topics_alone() {
        for pattern in ["{*all}", "{first}/{*rest}"] {
            let parsed = Pattern::parse(pattern).expect("valid");
            let filter = TopicFilter::new(&parsed.filter).expect("valid");
            assert!(!filter.matches(TopicName::new("$SYS/uptime").expect("valid")));
        }
    }

    #[test]
    fn captures_put_in_their_places_give_the_topic_back() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut matched = 0;
        for _ in 0..20_000 {
            let mut draw = |choices: &[&str]| {
                let len = random.usize(1..5);
                let parts = (0..len).map(|_| choices[random.usize(..choices.len())]);
                parts.collect::<Vec<_>>().join("/")
            };
            let pattern = draw(&["a", "", "{x}", "{y}", "{*z}", "$s"]);
            let topic = draw(&["a", "b", "", "$s"]);
            let (Ok(parsed), Ok(name)) = (Pattern::parse(&pattern), TopicName::new(&topic)) else {
                continue;
            };
            let filter = TopicFilter::new(&parsed.filter).expect("it has been checked");
            if !filter.matches(name) {
                // Nobody asks, and nothing breaks.
                drop(parsed.captures(&topic));
                continue;
            }
            matched += 1;
            let mut filled = pattern.clone();
            for (name, value) in parsed.captures(&topic) {
                filled = filled.replace(&format!("{{{name}}}"), value);
                filled = filled.replace(&format!("{{*{name}}}"), value);
            }
            // `a/{*z}` matches `a`, too.
            let is_parent = filled.strip_suffix('/') == Some(&topic);
            assert!(filled == topic || is_parent, "{pattern} {topic} {filled}");
        }
        assert!(matched > 1_000, "{matched}");
    }

    #[test]
    fn errors_name_the_pattern_and_what_is_allowed() {
        let check = |pattern: &str, expect: &str| {
            let error = Pattern::parse(pattern).expect_err(pattern).to_string();
            assert!(error.contains(expect), "{error}");
        };
        check("", "no Topic Filter");
        check(
            "a/{*rest}/b",
            "'a/{*rest}/b' is no Topic Filter: '#' must be the last",
        );
        check("a/{}", "'{name}' and '{*name}'");
        check("a/{*}", "without a name");
        check("{a}/{a}", "captures 'a' twice");
        check("a+/b", "'+' must stand alone");
        check("$share//a", "ShareName");
    }
}
