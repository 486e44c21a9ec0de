//! A place in a JSON document: `battery.level`, `sensors[0].temperature`, `["a key"].x`.
//!
//! One place, not a pattern: a rule compares one value.

use std::fmt;

use serde_json::Value;

use crate::text::{Cursor, Word};

/// The most steps of a path.
const STEPS_MAX: usize = 32;

/// Where in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(Box<str>),
    Index(usize),
}

impl Path {
    /// A `$` or `$.` in front, as JSONPath has it, is passed over.
    pub(crate) fn parse(text: &str) -> Option<Path> {
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        // The first key needs no dot.
        let mut may_be_key = true;
        while !rest.is_empty() || may_be_key {
            if let Some(inside) = rest.strip_prefix('[') {
                let (step, behind) = bracket(inside)?;
                steps.push(step);
                rest = behind;
            } else {
                let key = match rest.strip_prefix('.') {
                    Some(key) => key,
                    None if may_be_key => rest,
                    None => return None,
                };
                let end = key.find(['.', '[']).unwrap_or(key.len());
                let (key, behind) = key.split_at(end);
                let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | ']');
                if key.is_empty() || !key.chars().all(is_plain) {
                    return None;
                }
                steps.push(Step::Key(key.into()));
                rest = behind;
            }
            may_be_key = false;
        }
        (steps.len() <= STEPS_MAX).then_some(Path(steps))
    }

    /// What is there.
    pub(crate) fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(document, |value, step| match step {
            Step::Key(key) => value.as_object()?.get(&**key),
            Step::Index(index) => value.as_array()?.get(*index),
        })
    }
}

/// `0]` or `"a key"]`, and what is behind it.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    if !inside.starts_with('"') {
        let (index, behind) = inside.split_once(']')?;
        return Some((Step::Index(index.parse().ok()?), behind));
    }
    let mut cursor = Cursor::new(inside);
    let Some(Ok(Word::Quoted(key))) = cursor.word() else {
        return None;
    };
    Some((Step::Key(key.into()), cursor.rest().strip_prefix(']')?))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if is_plain(key) => {
                    let dot = if number == 0 { "" } else { "." };
                    write!(f, "{dot}{key}")?;
                }
                Step::Key(key) => {
                    f.write_str("[\"")?;
                    for c in key.chars() {
                        match c {
                            '"' | '\\' => write!(f, "\\{c}")?,
                            '\n' => f.write_str("\\n")?,
                            c => write!(f, "{c}")?,
                        }
                    }
                    f.write_str("\"]")?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && (key.chars()).all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(path: &str, json: &str) -> Option<String> {
        let document: Value = serde_json::from_str(json).expect("JSON");
        let path = Path::parse(path).expect(path);
        path.find(&document).map(ToString::to_string)
    }

    #[test]
    fn a_path_leads_to_one_place() {
        let json = r#"{"a":{"b":[1,{"c":2}]},"a.b":3,"x y":4}"#;
        let check = |path: &str, expect: Option<&str>| {
            assert_eq!(find(path, json).as_deref(), expect, "{path}");
        };
        check("a.b[0]", Some("1"));
        check("$.a.b[1].c", Some("2"));
        check(r#"["a.b"]"#, Some("3"));
        check(r#"$["x y"]"#, Some("4"));
        check("a.c", None);
        check("a.b[7]", None);
        check("a[0]", None);
        assert_eq!(find("[0]", "[5]").as_deref(), Some("5"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in [
            "", "$", "a..b", ".", "a.", "a[", "a[x]", "a[-1]", "a]", "[\"a]", "a\"b",
        ] {
            assert_eq!(Path::parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(Path::parse(&vec!["a"; 33].join(".")), None);
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            any::<String>().prop_map(|key| Step::Key(key.into())),
            any::<usize>().prop_map(Step::Index)
        ];
        proptest::collection::vec(step, 1..5)
    }

    proptest! {
        #[test]
        fn a_path_is_read_as_it_was_written(steps in steps()) {
            let path = Path(steps);
            prop_assert_eq!(Path::parse(&path.to_string()), Some(path));
        }

        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = Path::parse(&text);
        }
    }
}
