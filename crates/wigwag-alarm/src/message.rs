//! The texts of alarms: those that rules bring along, with placeholders, and those for rules that bring none.

use std::fmt::Write as _;

use crate::rule::{Measure, Rule, Test};
use crate::text::Span;

/// What a message can name.
pub(crate) const NAMES: &str = "{name}, {topic}, {value}, {limit} and {severity}";

/// The placeholder that does not exist, if there is one.
pub(crate) fn check(text: &str) -> Result<(), String> {
    for piece in pieces(text) {
        if let Piece::Name(name) = piece
            && !["name", "topic", "value", "limit", "severity"].contains(&name)
        {
            return Err(name.to_owned());
        }
    }
    Ok(())
}

/// What is said of an alarm while it is raised, and with the last value when it is over.
pub(crate) fn message(rule: &Rule, topic: &str, value: &str, is_over: bool) -> String {
    match &rule.message {
        Some(text) => fill(text, rule, topic, value),
        None => default_message(rule, topic, value, is_over),
    }
}

fn fill(text: &str, rule: &Rule, topic: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Name("name") => out.push_str(&rule.name),
            Piece::Name("topic") => out.push_str(topic),
            Piece::Name("value") => out.push_str(value),
            Piece::Name("limit") => out.push_str(&limit(rule)),
            Piece::Name(_) => out.push_str(rule.severity.name()),
        }
    }
    out
}

fn default_message(rule: &Rule, topic: &str, value: &str, is_over: bool) -> String {
    let mut out = match &rule.test {
        Test::Absent { .. } if is_over => return format!("{topic} has a message again"),
        Test::Absent { after } => {
            return format!("{topic} has had no message for {}", Span(*after));
        }
        Test::Compared { measure, .. } => match measure {
            Measure::Value { path, of } => {
                let share = of
                    .as_ref()
                    .map_or_else(String::new, |of| format!(" % of {}", of.as_name()));
                match path {
                    None => format!("{topic} is {value}{share}"),
                    Some(path) => format!("{topic}: {path} is {value}{share}"),
                }
            }
            Measure::Rate { .. } => format!("{topic} grows by {value} a second"),
            Measure::Messages { .. } => format!("{topic} has {value} messages a second"),
        },
    };
    if !is_over {
        // Writing to a String does not fail.
        let _ = write!(out, " (limit: {})", limit(rule));
    }
    out
}

/// What was not to happen.
pub(crate) fn limit(rule: &Rule) -> String {
    match &rule.test {
        Test::Absent { after } => Span(*after).to_string(),
        Test::Compared { raise, .. } => raise.to_string(),
    }
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// A brace without its other half is text, and so is the first of two.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let inside = rest.strip_prefix('{');
        if let Some(behind) = inside.and_then(|inside| inside.strip_prefix('{')) {
            rest = behind;
            return Some(Piece::Text("{"));
        }
        if let Some((name, behind)) = inside.and_then(|inside| inside.split_once('}')) {
            rest = behind;
            return Some(Piece::Name(name));
        }
        let from = usize::from(inside.is_some());
        let end = rest
            .get(from..)?
            .find('{')
            .map_or(rest.len(), |at| at + from);
        let (text, behind) = rest.split_at(end);
        rest = behind;
        (!text.is_empty()).then_some(Piece::Text(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled() {
        let check = |text: &str, expect: &str| {
            let rule = format!("x: a/b > 5 severity critical say \"{text}\"");
            let rule: Rule = rule.parse().expect("a rule");
            assert_eq!(message(&rule, "a/b", "7", false), expect);
        };
        check(
            "{name} {topic} {value} {limit} {severity}",
            "x a/b 7 > 5 critical",
        );
        check("{{name} {{", "{name} {");
        check("a } b {", "a } b {");
        check("", "");
        assert_eq!(check_name("{a b}"), Some("a b".to_owned()));
        assert_eq!(check_name("{}"), Some(String::new()));
    }

    fn check_name(text: &str) -> Option<String> {
        check(text).err()
    }

    #[test]
    fn a_rule_without_a_message_gets_one() {
        let check = |rule: &str, raised: &str, over: &str| {
            let rule: Rule = rule.parse().expect("a rule");
            assert_eq!(message(&rule, "t", "7", false), raised);
            assert_eq!(message(&rule, "t", "7", true), over);
        };
        check("x: t > 5", "t is 7 (limit: > 5)", "t is 7");
        check("x: t @ a.b > 5", "t: a.b is 7 (limit: > 5)", "t: a.b is 7");
        check(
            "x: rate t > 5",
            "t grows by 7 a second (limit: > 5)",
            "t grows by 7 a second",
        );
        check(
            "x: messages t > 5",
            "t has 7 messages a second (limit: > 5)",
            "t has 7 messages a second",
        );
        check(
            "x: absent t for 1m",
            "t has had no message for 1m",
            "t has a message again",
        );
    }
}
