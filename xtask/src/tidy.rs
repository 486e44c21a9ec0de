//! Checks that no compiler makes. Each rule is a function from what was read to findings,
//! so that the tests can feed it made-up crates and files.

mod arrows;
mod cancellation;
mod habits;
mod manifests;
mod places;
mod purity;
mod tree;

use std::collections::BTreeSet;
use std::fmt;

use crate::Workspace;
use tree::Tree;

/// A broken rule: where, what, and why the rule exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Relative to the workspace root.
    path: String,
    /// Counted from 1; 0 stands for the file as a whole.
    line: usize,
    rule: &'static str,
    what: String,
    why: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            what,
            why,
        } = self;
        // Editors jump to `file:line`, so the whole file is its first line.
        write!(f, "{path}:{}: [{rule}] {what}\n    {why}", (*line).max(1))
    }
}

/// A group of rules that share what they read.
struct Group {
    rules: &'static [&'static str],
    check: fn(&Tree) -> Vec<Finding>,
}

const GROUPS: &[Group] = &[
    Group {
        rules: cancellation::RULES,
        check: cancellation::check,
    },
    Group {
        rules: habits::RULES,
        check: habits::check,
    },
    Group {
        rules: manifests::RULES,
        check: manifests::check,
    },
    Group {
        rules: places::RULES,
        check: places::check,
    },
    Group {
        rules: purity::RULES,
        check: purity::check,
    },
];

pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    rules: Vec<&'static str>,
    files: usize,
}

impl Report {
    pub(crate) fn rules_kept(&self) -> usize {
        let broken: BTreeSet<&str> = self.findings.iter().map(|finding| finding.rule).collect();
        self.rules
            .iter()
            .filter(|rule| !broken.contains(*rule))
            .count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let (rules, files) = (self.rules.len(), self.files);
        match self.findings.len() {
            0 => writeln!(f, "tidy: {rules} rules hold in {files} files"),
            count => writeln!(
                f,
                "tidy: {count} findings from {rules} rules in {files} files"
            ),
        }
    }
}

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<Report> {
    let tree = Tree::read(&workspace.root)?;
    let mut findings = arrows::check(&arrows::read(&workspace.root)?);
    let mut rules = arrows::RULES.to_vec();
    for group in GROUPS {
        findings.extend((group.check)(&tree));
        rules.extend(group.rules);
    }
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(Report {
        findings,
        rules,
        files: tree.files.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_what_and_why() {
        let finding = Finding {
            path: "crates/a/src/b.rs".to_owned(),
            line: 7,
            rule: "header",
            what: "no header".to_owned(),
            why: "readers start there",
        };
        assert_eq!(
            finding.to_string(),
            "crates/a/src/b.rs:7: [header] no header\n    readers start there"
        );
    }

    #[test]
    fn a_rule_with_two_findings_is_one_broken_rule() {
        let finding = |rule| Finding {
            path: String::new(),
            line: 0,
            rule,
            what: String::new(),
            why: "",
        };
        let report = Report {
            findings: vec![finding("a"), finding("a")],
            rules: vec!["a", "b", "c"],
            files: 1,
        };
        assert_eq!(report.rules_kept(), 2);
    }
}
