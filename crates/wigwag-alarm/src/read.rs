//! Rules of text: one rule, or a file of them with a rule on each line.
//!
//! What is wrong is said with what is allowed; a file is read as a whole or not at all.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wigwag_proto::{TopicError, TopicFilter, TopicFilterBuf, TopicName, TopicNameBuf};

use crate::message;
use crate::path::Path;
use crate::rule::{Comparison, Condition, Limit, Measure, NAME_LEN_MAX, Rule, Severity, Test};
use crate::text::{Cursor, Span, Unclosed, Word};

/// The longest rule in bytes.
pub const RULE_LEN_MAX: usize = 4_096;

/// The most rules of a file.
pub const RULES_MAX: usize = 1_000;

/// Over what time rates are reckoned unless a rule says otherwise.
const OVER: Duration = Duration::from_secs(60);

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// There is no name in front.
    #[error(
        "expected 'NAME: TOPIC > NUMBER', with 'rate', 'messages' or 'absent' in front of the topic for other questions"
    )]
    Form,
    /// More text than any rule needs.
    #[error("a rule has at most {RULE_LEN_MAX} bytes")]
    TooLong,
    /// A name with other characters.
    #[error(
        "'{0}' is no name of a rule: it has 1 to {NAME_LEN_MAX} letters, digits, '_', '-' or '.'"
    )]
    Name(String),
    /// Something else came.
    #[error("expected {wanted}, found {found}")]
    Expected {
        /// What may stand there.
        wanted: &'static str,
        /// What does.
        found: String,
    },
    /// A quotation mark without its other half.
    #[error("a quotation mark is not closed")]
    Unclosed,
    /// No Topic Filter.
    #[error("'{topic}' cannot stand there")]
    Topic {
        /// What was read.
        topic: String,
        /// Why not.
        source: TopicError,
    },
    /// A shared subscription.
    #[error("'{0}' is a shared subscription: a rule has to see all messages")]
    Shared(String),
    /// No path.
    #[error(
        "'{0}' is no place in JSON: expected something like 'battery.level' or 'sensors[0].value'"
    )]
    Path(String),
    /// A text cannot be more than another.
    #[error("'{0}' compares numbers, and '{1}' is none; texts are compared with '==' and '!='")]
    NoNumber(&'static str, String),
    /// The alarm would be over while it is raised.
    #[error("'until {clear}' and '{raise}' hold at the same time, for some values")]
    Overlap {
        /// When it is raised.
        raise: String,
        /// When it is over.
        clear: String,
    },
    /// Something stands twice.
    #[error("'{0}' stands twice")]
    Twice(&'static str),
    /// A message with a placeholder that does not exist.
    #[error("the message cannot name '{{{0}}}': there are {names}; '{{{{' is a brace", names = message::NAMES)]
    Placeholder(String),
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Rule, RuleError> {
        if text.len() > RULE_LEN_MAX {
            return Err(RuleError::TooLong);
        }
        let (name, rest) = text.split_once(':').ok_or(RuleError::Form)?;
        let name = read_name(name.trim())?;
        let mut cursor = Cursor::new(rest);
        if cursor.rest().trim_end().is_empty() {
            return Err(RuleError::Form);
        }
        let (filter, test) = read_test(&mut cursor)?;
        let mut severity = None;
        let mut message = None;
        while !cursor.rest().is_empty() {
            if cursor.take_word("severity") {
                once(&mut severity, "severity", read_severity(&mut cursor)?)?;
            } else if cursor.take_word("say") {
                once(&mut message, "say", read_message(&mut cursor)?)?;
            } else {
                let wanted = "'for', 'until', 'severity' or 'say'";
                return Err(unexpected(wanted, &mut cursor));
            }
        }
        Ok(Rule {
            name,
            filter,
            test,
            severity: severity.unwrap_or_default(),
            message,
        })
    }
}

fn once<T>(place: &mut Option<T>, word: &'static str, value: T) -> Result<(), RuleError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(RuleError::Twice(word)),
    }
}

/// Checks the name of a rule.
pub(crate) fn read_name(name: &str) -> Result<Box<str>, RuleError> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(is_part) {
        return Err(RuleError::Name(name.chars().take(NAME_LEN_MAX).collect()));
    }
    Ok(name.into())
}

fn read_test(cursor: &mut Cursor<'_>) -> Result<(TopicFilterBuf, Test), RuleError> {
    if cursor.take_word("absent") {
        let filter = read_topic(cursor)?;
        if !cursor.take_word("for") {
            return Err(unexpected("'for' and how long nothing may come", cursor));
        }
        let after = read_span(cursor)?;
        return Ok((filter, Test::Absent { after }));
    }
    let (filter, measure) = read_measure(cursor)?;
    let needs_number = !matches!(measure, Measure::Value { of: None, .. });
    let raise = read_condition(cursor, needs_number)?;
    let raise_for = read_for(cursor)?;
    let mut clear = None;
    let mut clear_for = Duration::ZERO;
    if cursor.take_word("until") {
        let condition = read_condition(cursor, needs_number)?;
        if raise.overlaps(&condition) {
            return Err(RuleError::Overlap {
                raise: raise.to_string(),
                clear: condition.to_string(),
            });
        }
        clear = Some(condition);
        clear_for = read_for(cursor)?;
    }
    let test = Test::Compared {
        measure,
        raise,
        raise_for,
        clear,
        clear_for,
    };
    Ok((filter, test))
}

fn read_measure(cursor: &mut Cursor<'_>) -> Result<(TopicFilterBuf, Measure), RuleError> {
    if cursor.take_word("messages") {
        let filter = read_topic(cursor)?;
        let over = read_over(cursor)?;
        return Ok((filter, Measure::Messages { over }));
    }
    let is_rate = cursor.take_word("rate");
    let filter = read_topic(cursor)?;
    let path = if cursor.take("@") {
        let text = cursor.raw_word();
        let path = Path::parse(text).ok_or_else(|| RuleError::Path(text.to_owned()))?;
        Some(path)
    } else {
        None
    };
    let measure = if is_rate {
        let over = read_over(cursor)?;
        Measure::Rate { path, over }
    } else {
        let of = cursor.take("%").then(|| read_whole(cursor)).transpose()?;
        Measure::Value { path, of }
    };
    Ok((filter, measure))
}

fn read_topic(cursor: &mut Cursor<'_>) -> Result<TopicFilterBuf, RuleError> {
    let topic = match cursor.word() {
        Some(word) => plain(word.map_err(|Unclosed| RuleError::Unclosed)?),
        None => return Err(unexpected("a Topic Filter", cursor)),
    };
    match TopicFilter::new(&topic) {
        Ok(filter) if filter.share().is_some() => Err(RuleError::Shared(topic)),
        Ok(filter) => Ok(filter.into()),
        Err(source) => Err(RuleError::Topic { topic, source }),
    }
}

/// `of TOPIC`, behind a percent sign.
fn read_whole(cursor: &mut Cursor<'_>) -> Result<TopicNameBuf, RuleError> {
    if !cursor.take_word("of") {
        return Err(unexpected("'of' and the topic of what is 100 %", cursor));
    }
    let filter = read_topic(cursor)?;
    let topic = filter.as_filter().as_str();
    match TopicName::new(topic) {
        Ok(name) => Ok(name.into()),
        Err(source) => Err(RuleError::Topic {
            topic: topic.to_owned(),
            source,
        }),
    }
}

fn read_condition(cursor: &mut Cursor<'_>, needs_number: bool) -> Result<Condition, RuleError> {
    let is = Comparison::ALL
        .into_iter()
        .find(|it| cursor.take(it.sign()));
    let Some(is) = is else {
        return Err(unexpected("'>', '>=', '<', '<=', '==' or '!='", cursor));
    };
    let word = match cursor.word() {
        Some(word) => word.map_err(|Unclosed| RuleError::Unclosed)?,
        None => return Err(unexpected("a number or a text", cursor)),
    };
    let is_equality = matches!(is, Comparison::Equal | Comparison::Different);
    let number = match &word {
        Word::Bare(text) => text.parse::<f64>().ok().filter(|it| it.is_finite()),
        Word::Quoted(_) => None,
    };
    let limit = match number {
        Some(number) => Limit::Number(number),
        None if is_equality && !needs_number => Limit::Text(plain(word).into()),
        None => return Err(RuleError::NoNumber(is.sign(), plain(word))),
    };
    Ok(Condition { is, limit })
}

/// `for 30s`, or nothing.
fn read_for(cursor: &mut Cursor<'_>) -> Result<Duration, RuleError> {
    if cursor.take_word("for") {
        read_span(cursor)
    } else {
        Ok(Duration::ZERO)
    }
}

fn read_over(cursor: &mut Cursor<'_>) -> Result<Duration, RuleError> {
    if cursor.take_word("over") {
        read_span(cursor)
    } else {
        Ok(OVER)
    }
}

fn read_span(cursor: &mut Cursor<'_>) -> Result<Duration, RuleError> {
    let mut ahead = cursor.clone();
    if let Some(Ok(Word::Bare(text))) = ahead.word()
        && let Some(span) = Span::parse(text)
    {
        *cursor = ahead;
        return Ok(span);
    }
    Err(unexpected(
        "a time of up to 366 days like '90s', '5m' or '1h30m'",
        cursor,
    ))
}

fn read_severity(cursor: &mut Cursor<'_>) -> Result<Severity, RuleError> {
    let mut words = Severity::ALL.into_iter();
    let found = words.find(|severity| cursor.take_word(severity.name()));
    found.ok_or_else(|| unexpected("'info', 'warning' or 'critical'", cursor))
}

fn read_message(cursor: &mut Cursor<'_>) -> Result<Box<str>, RuleError> {
    let text = match cursor.word() {
        Some(word) => plain(word.map_err(|Unclosed| RuleError::Unclosed)?),
        None => return Err(unexpected("a message in quotation marks", cursor)),
    };
    message::check(&text).map_err(RuleError::Placeholder)?;
    Ok(text.into())
}

fn plain(word: Word<'_>) -> String {
    match word {
        Word::Bare(text) => text.to_owned(),
        Word::Quoted(text) => text,
    }
}

fn unexpected(wanted: &'static str, cursor: &mut Cursor<'_>) -> RuleError {
    let found = match cursor.word() {
        None => "the end of the rule".to_owned(),
        Some(Err(Unclosed)) => return RuleError::Unclosed,
        Some(Ok(word)) => format!("'{}'", plain(word)),
    };
    RuleError::Expected { wanted, found }
}

/// Everything that is wrong with a file of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub text: String,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            let between = if number == 0 { "" } else { "\n" };
            write!(f, "{between}line {}: {}", problem.line, problem.text)?;
        }
        Ok(())
    }
}

/// Reads a file: a rule on each line; empty lines, and those that begin with `#`, say nothing.
pub fn read_rules(text: &str) -> Result<Vec<Rule>, Problems> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut lines = BTreeMap::new();
    let mut problems = Vec::new();
    let numbered = (1..).zip(text.trim_start_matches('\u{feff}').lines());
    for (line, text) in numbered {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let text = match text.parse::<Rule>() {
            Err(error) => with_source(&error),
            Ok(rule) => match lines.insert(rule.name.clone(), line) {
                Some(before) => format!("the name '{}' is that of line {before}", rule.name),
                None if rules.len() == RULES_MAX => format!("there are at most {RULES_MAX} rules"),
                None => {
                    rules.push(rule);
                    continue;
                }
            },
        };
        problems.push(Problem { line, text });
    }
    if problems.is_empty() {
        Ok(rules)
    } else {
        Err(Problems(problems))
    }
}

fn with_source(error: &RuleError) -> String {
    match error {
        RuleError::Topic { source, .. } => format!("{error}: {source}"),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rules_are_read_and_written() {
        // What it is written as, if that differs.
        let check = |text: &str, expect: Option<&str>| {
            let rule: Rule = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(rule.to_string(), expect.unwrap_or(text));
        };
        check("many: $SYS/broker/clients/connected > 100", None);
        check(
            "many:$SYS/broker/clients/connected >100",
            Some("many: $SYS/broker/clients/connected > 100"),
        );
        check(
            "hot: device/+/state @ temperature >= 80.5 for 30s until < 75 for 1m severity critical",
            None,
        );
        check(
            "hot: device/+/state @temperature > 80",
            Some("hot: device/+/state @ temperature > 80"),
        );
        check("hot: device/+/state @ [\"a b\"].c > 80", None);
        check(
            "drop: rate $SYS/broker/publish/messages/dropped over 5m > 0 for 5m",
            None,
        );
        check("drop: rate a/b > 0", Some("drop: rate a/b over 1m > 0"));
        check(
            "flood: messages sensors/# over 10s > 50 say \"{topic}: {value} a second\"",
            None,
        );
        check(
            "silent: absent device/+/online for 1m30s severity info",
            None,
        );
        check(
            "down: device/+/online == false",
            Some("down: device/+/online == \"false\""),
        );
        check("down: device/+/online == \"5\"", None);
        check("word: \"rate\" != 5", None);
        check("full: a/b @ used % of a/c > 80 until < 70", None);
        check(
            "say: a/b < -1 severity warning say off",
            Some("say: a/b < -1 say \"off\""),
        );
    }

    #[test]
    fn what_is_no_rule_is_told_why() {
        let check = |text: &str, expect: &str| {
            let error = text.parse::<Rule>().expect_err(text);
            assert_eq!(with_source(&error), expect, "{text}");
        };
        let form = RuleError::Form.to_string();
        check("", &form);
        check("$SYS/broker/uptime", &form);
        check("x:", &form);
        check(
            "a b: t > 1",
            "'a b' is no name of a rule: it has 1 to 64 letters, digits, '_', '-' or '.'",
        );
        check(
            "x: a/b",
            "expected '>', '>=', '<', '<=', '==' or '!=', found the end of the rule",
        );
        check(
            "x: a/b is 5",
            "expected '>', '>=', '<', '<=', '==' or '!=', found 'is'",
        );
        check(
            "x: a/b > high",
            "'>' compares numbers, and 'high' is none; texts are compared with '==' and '!='",
        );
        check(
            "x: rate a/b == \"5\"",
            "'==' compares numbers, and '5' is none; texts are compared with '==' and '!='",
        );
        check(
            "x: a/#/b > 5",
            "'a/#/b' cannot stand there: '#' must be the last level of a Topic Filter and stand alone in it",
        );
        check(
            "x: $share/g/a > 5",
            "'$share/g/a' is a shared subscription: a rule has to see all messages",
        );
        check(
            "x: a @ b..c > 5",
            "'b..c' is no place in JSON: expected something like 'battery.level' or 'sensors[0].value'",
        );
        check(
            "x: a > 5 for 5",
            "expected a time of up to 366 days like '90s', '5m' or '1h30m', found '5'",
        );
        check(
            "x: a > 5 until < 6",
            "'until < 6' and '> 5' hold at the same time, for some values",
        );
        check(
            "x: a > 5 until == 5.5",
            "'until == 5.5' and '> 5' hold at the same time, for some values",
        );
        check(
            "x: absent a",
            "expected 'for' and how long nothing may come, found the end of the rule",
        );
        check(
            "x: absent a > 5",
            "expected 'for' and how long nothing may come, found '>'",
        );
        check(
            "x: a > 5 severity high",
            "expected 'info', 'warning' or 'critical', found 'high'",
        );
        check("x: a > 5 say \"a", "a quotation mark is not closed");
        check(
            "x: a > 5 say \"{what}\"",
            "the message cannot name '{what}': there are {name}, {topic}, {value}, {limit} and {severity}; '{{' is a brace",
        );
        check("x: a > 5 say a say b", "'say' stands twice");
        check(
            "x: a > 5 then b",
            "expected 'for', 'until', 'severity' or 'say', found 'then'",
        );
        check(
            &format!("x: {}", "a".repeat(RULE_LEN_MAX)),
            "a rule has at most 4096 bytes",
        );
    }

    #[test]
    fn conditions_that_exclude_each_other_may_stand_together() {
        for text in [
            "> 5 until <= 5",
            "> 5 until < 5",
            ">= 5 until < 5",
            "== 5 until != 5",
            "== a until != a",
            "!= a until == a",
            "== a until == b",
        ] {
            let text = format!("x: t {text}");
            assert!(text.parse::<Rule>().is_ok(), "{text}");
        }
        for text in [
            ">= 5 until <= 5",
            "< 5 until != 7",
            "!= a until == b",
            "!= a until != b",
        ] {
            let text = format!("x: t {text}");
            assert!(
                matches!(text.parse::<Rule>(), Err(RuleError::Overlap { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_has_a_rule_on_each_line_and_all_problems_are_told() {
        let rules = read_rules("# what to watch\n\na: t/1 > 1\r\n  b: t/2 > 1\n").expect("rules");
        let names: Vec<&str> = rules.iter().map(Rule::name).collect();
        assert_eq!(names, ["a", "b"]);
        let problems = read_rules("a: t > 1\nb\na: t > 2").expect_err("two");
        assert_eq!(
            problems.to_string(),
            format!(
                "line 2: {}\nline 3: the name 'a' is that of line 1",
                RuleError::Form
            )
        );
    }

    fn conditions() -> impl Strategy<Value = Condition> {
        let is = proptest::sample::select(&Comparison::ALL[..]);
        let number = (is, proptest::num::f64::NORMAL).prop_map(|(is, number)| Condition {
            is,
            limit: Limit::Number(number),
        });
        let is = proptest::sample::select(&[Comparison::Equal, Comparison::Different][..]);
        let text = (is, any::<String>()).prop_map(|(is, text)| Condition {
            is,
            limit: Limit::Text(text.into()),
        });
        prop_oneof![number, text]
    }

    fn spans() -> impl Strategy<Value = Duration> {
        (0..100_000_000_u64).prop_map(Duration::from_millis)
    }

    fn rules() -> impl Strategy<Value = Rule> {
        let topic = "[a-z$ \"\\\\é/]{1,12}(/\\+|/#)?";
        let measures = (
            0..3,
            proptest::option::of("[a-z]{1,3}(\\.[a-z]|\\[[0-9]\\]){0,2}"),
            spans(),
        );
        let tests = (
            measures,
            conditions(),
            spans(),
            proptest::option::of((conditions(), spans())),
        );
        let tests = tests.prop_filter_map(
            "no such rule",
            |((kind, path, over), raise, raise_for, clear)| {
                let path = path.and_then(|path| Path::parse(&path));
                let over = over + Duration::from_millis(1);
                let measure = match kind {
                    0 => Measure::Value { path, of: None },
                    1 => Measure::Rate { path, over },
                    _ => Measure::Messages { over },
                };
                let is_number = |it: &Condition| matches!(it.limit, Limit::Number(_));
                let (clear, clear_for) = clear.unzip();
                let fits = kind == 0 || is_number(&raise) && clear.iter().all(is_number);
                let fits = fits && !clear.iter().any(|clear| raise.overlaps(clear));
                let clear_for = clear_for.unwrap_or_default();
                fits.then_some(Test::Compared {
                    measure,
                    raise,
                    raise_for,
                    clear,
                    clear_for,
                })
            },
        );
        let absent = spans().prop_map(|after| Test::Absent {
            after: after + Duration::from_millis(1),
        });
        let severity = proptest::sample::select(&Severity::ALL[..]);
        let message = proptest::option::of("[^{}]{0,20}");
        (
            "[a-z_.-]{1,10}",
            topic,
            prop_oneof![4 => tests, 1 => absent],
            severity,
            message,
        )
            .prop_map(|(name, topic, test, severity, message)| Rule {
                name: name.into(),
                filter: TopicFilter::new(&topic).expect("a filter").into(),
                test,
                severity,
                message: message.map(Into::into),
            })
    }

    proptest! {
        #[test]
        fn a_rule_is_read_as_it_was_written(rule in rules()) {
            let text = rule.to_string();
            prop_assert_eq!(text.parse::<Rule>(), Ok(rule), "{}", text);
        }

        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = text.parse::<Rule>();
            let _ = format!("x: {text}").parse::<Rule>();
            let _ = read_rules(&text);
        }
    }
}
