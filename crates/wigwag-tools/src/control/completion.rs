//! What may stand at a place of a line of the shell.

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper, Result};

use super::verbs::{Form, Module};
use super::words;

/// The words that are known where the shell is.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// What can be done besides the commands of the module.
    pub(super) commands: Vec<&'static str>,
    pub(super) module: Option<Module>,
    pub(super) clients: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) roles: Vec<String>,
}

impl Vocabulary {
    /// What may follow these words, by name.
    fn candidates(&self, before: &[String]) -> Vec<&str> {
        let mut candidates: Vec<&str> = match before {
            [] => self.all_commands().collect(),
            [help] if help.eq_ignore_ascii_case("help") => self.all_commands().collect(),
            [verb, others @ ..] => {
                let verb = self.module.and_then(|module| module.verb(verb));
                let parameter = verb.and_then(|verb| verb.parameters.get(others.len()));
                parameter.map_or_else(Vec::new, |parameter| match parameter.form {
                    Form::Client => texts(&self.clients),
                    Form::Group => texts(&self.groups),
                    Form::Role => texts(&self.roles),
                    _ => parameter.choices().to_vec(),
                })
            }
        };
        candidates.sort_unstable();
        candidates
    }

    fn all_commands(&self) -> impl Iterator<Item = &'static str> {
        let verbs = self.module.map_or(&[][..], Module::verbs);
        let verbs = verbs.iter().map(|verb| verb.name);
        self.commands.iter().copied().chain(verbs)
    }
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

impl Completer for Vocabulary {
    type Candidate = Pair;

    fn complete(&self, line: &str, end: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let line = line.get(..end).unwrap_or(line);
        let start = line.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let (before, begun) = line.split_at(start);
        let before = words::split(before).unwrap_or_default();
        let candidates = self.candidates(&before).into_iter();
        let fits = |candidate: &&str| {
            let beginning = candidate.get(..begun.len());
            beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(begun))
        };
        Ok((start, candidates.filter(fits).map(offered).collect()))
    }
}

/// With a blank, so that the next word can be typed at once.
fn offered(name: &str) -> Pair {
    Pair {
        display: name.to_owned(),
        replacement: format!("{} ", quoted(name)),
    }
}

/// A name as it has to be written.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '\'' | '"' | '\\');
    if name.chars().all(is_plain) {
        return name.to_owned();
    }
    let mut quoted = String::from('"');
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

impl Helper for Vocabulary {}
impl Highlighter for Vocabulary {}
impl Validator for Vocabulary {}
impl Hinter for Vocabulary {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use rustyline::history::MemHistory;

    use super::*;

    #[test]
    fn names_and_choices_are_offered_where_they_fit() {
        let vocabulary = Vocabulary {
            commands: vec!["return", "exit"],
            module: Some(Module::Dynsec),
            clients: vec!["bob".to_owned(), "b o".to_owned()],
            groups: vec!["people".to_owned()],
            roles: vec!["reader".to_owned()],
        };
        let history = MemHistory::new();
        let check = |line: &str, expect: &[&str]| {
            let context = Context::new(&history);
            let (_, found) = vocabulary
                .complete(line, line.len(), &context)
                .expect("no error");
            let found: Vec<&str> = found
                .iter()
                .map(|pair| pair.replacement.trim_end())
                .collect();
            assert_eq!(found, expect, "{line}");
        };
        check("addr", &["addRoleACL"]);
        check("ret", &["return"]);
        check("help ex", &["exit"]);
        check("getClient b", &["\"b o\"", "bob"]);
        check("addGroupClient ", &["people"]);
        check("addGroupClient people bo", &["bob"]);
        check(
            "addRoleACL reader sub",
            &["subscribeLiteral", "subscribePattern"],
        );
        check(
            "addRoleACL reader subscribePattern a/# ",
            &["allow", "deny"],
        );
        check("createClient ", &[]);
        check("nonsense ", &[]);
    }
}
