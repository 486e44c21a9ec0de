//! Where rules come from: the command line, and files that are read again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use wigwag_alarm::{RULES_MAX, Rule, read_rules};

/// All places with rules.
#[derive(Debug)]
pub(super) struct Sources {
    given: Vec<Rule>,
    files: Vec<PathBuf>,
}

impl Sources {
    /// An empty name of a file is none: compose files leave variables so.
    pub(super) fn new(given: &[String], files: &[OsString]) -> anyhow::Result<Sources> {
        let given = given.iter().map(|text| {
            let rule = text.parse::<Rule>();
            rule.with_context(|| format!("the rule '{text}' cannot be read"))
        });
        let files = files.iter().filter(|file| !file.is_empty());
        Ok(Sources {
            given: given.collect::<anyhow::Result<_>>()?,
            files: files.map(PathBuf::from).collect(),
        })
    }

    pub(super) const fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// All rules as they are now. Names differ.
    pub(super) fn read(&self) -> anyhow::Result<Vec<Rule>> {
        let mut rules = self.given.clone();
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        for rule in &self.given {
            let place = "the command line".to_owned();
            let before = places.insert(rule.name().to_owned(), place);
            ensure!(before.is_none(), "two rules are called '{}'", rule.name());
        }
        for file in &self.files {
            let shown = file.display();
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
            for rule in read_rules(&text).with_context(|| format!("in {shown}"))? {
                let name = rule.name().to_owned();
                if let Some(before) = places.insert(name, shown.to_string()) {
                    bail!(
                        "in {shown}: the name '{}' is taken in {before}",
                        rule.name()
                    );
                }
                rules.push(rule);
            }
        }
        ensure!(
            rules.len() <= RULES_MAX,
            "there are at most {RULES_MAX} rules"
        );
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_again_and_what_is_wrong_is_told_with_its_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let sources = Sources::new(
            &["a: t > 1".to_owned()],
            &[file.path().into(), OsString::new()],
        );
        let sources = sources.expect("a rule");
        let read = |text: &str| {
            fs::write(&file, text).expect("written");
            let rules = sources.read();
            rules
                .map(|rules| rules.len())
                .map_err(|error| format!("{error:#}"))
        };
        assert_eq!(read("# none\n"), Ok(1));
        assert_eq!(read("b: t > 2\nc: t > 3"), Ok(3));
        let error = read("b: t > 2\nc: t").expect_err("no condition");
        assert!(error.contains(": line 2: expected '>'"), "{error}");
        let error = read("a: t > 2").expect_err("a name twice");
        assert!(
            error.ends_with("the name 'a' is taken in the command line"),
            "{error}"
        );
        assert!(Sources::new(&["a".to_owned()], &[]).is_err());
        let twice = ["a: t > 1".to_owned(), "a: t > 2".to_owned()];
        assert!(Sources::new(&twice, &[]).expect("rules").read().is_err());
    }
}
