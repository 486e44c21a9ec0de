//! The pure crates' `clippy.toml` says all it must say, and nobody switches it off.
//!
//! The bans themselves are clippy's work, which knows types; this looks after the lists.

use super::Finding;
use super::tree::{SourceFile, Tree, has_word};

pub(super) const RULES: &[&str] = &[CLIPPY_LIST, CLIPPY_OFF, PURE_PATH];
const CLIPPY_LIST: &str = "purity-list";
const CLIPPY_OFF: &str = "purity-off";
const PURE_PATH: &str = "purity-path";

const PURE: &[&str] = &[
    "crates/wigwag-proto/",
    "crates/wigwag-engine/",
    "crates/wigwag-access/",
    "crates/wigwag-scram/",
    "crates/wigwag-alarm/",
];

const LIST_WHY: &str = "a crate's clippy.toml replaces the root's as a whole, so the pure crates repeat its bans and add their own";
const PURE_WHY: &str =
    "time, randomness, threads, files and sockets are arguments or outputs in the pure crates";

/// Bans without which the list would be hollow.
const MUST_BAN: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::env::var",
    "std::fs::read",
    "std::fs::File",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash::RandomState",
];

/// Modules with nothing in them for a pure crate, whatever clippy's list has forgotten.
const IMPURE_MODULES: &[&str] = &[
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::os",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_lists(tree, &mut findings);
    for file in tree
        .rust()
        .filter(|file| PURE.iter().any(|folder| file.path.starts_with(folder)))
    {
        check_source(file, &mut findings);
    }
    findings
}

fn check_lists(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut wanted: Vec<String> = MUST_BAN.iter().map(|path| (*path).to_owned()).collect();
    wanted.extend(tree.file("clippy.toml").map(bans).unwrap_or_default());
    // What one pure crate bans, the other does too.
    for folder in PURE {
        wanted.extend(
            tree.file(&format!("{folder}clippy.toml"))
                .map(bans)
                .unwrap_or_default(),
        );
    }
    wanted.sort();
    wanted.dedup();
    for folder in PURE {
        let path = format!("{folder}clippy.toml");
        let present = tree.file(&path).map(bans).unwrap_or_default();
        let missing: Vec<&str> = wanted
            .iter()
            .filter(|ban| !present.contains(ban))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            findings.push(Finding {
                path,
                line: 0,
                rule: CLIPPY_LIST,
                what: format!("these bans are missing: {}", missing.join(", ")),
                why: LIST_WHY,
            });
        }
    }
}

/// The banned paths of a `clippy.toml`.
fn bans(file: &SourceFile) -> Vec<String> {
    let path = |(_, line): (usize, &str)| {
        let rest = line.trim_start().strip_prefix("{ path = \"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    file.lines().filter_map(path).collect()
}

fn check_source(file: &SourceFile, findings: &mut Vec<Finding>) {
    let mut found = |line, rule, what| {
        findings.push(Finding {
            path: file.path.clone(),
            line,
            rule,
            what,
            why: PURE_WHY,
        });
    };
    for (line, code) in file.code_lines() {
        if code.contains("clippy::disallowed_") {
            found(
                line,
                CLIPPY_OFF,
                "the purity bans are switched off here".to_owned(),
            );
        }
        for module in IMPURE_MODULES
            .iter()
            .filter(|module| has_word(code, module))
        {
            found(
                line,
                PURE_PATH,
                format!("`{module}` has nothing for a pure crate"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::made_up;

    fn list(bans: &[&str]) -> String {
        let line = |ban: &&str| format!("    {{ path = \"{ban}\", reason = \"x\" }},\n");
        bans.iter().map(line).collect()
    }

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&made_up(files))
            .iter()
            .map(|finding| {
                format!(
                    "{}:{} {} {}",
                    finding.path, finding.line, finding.rule, finding.what
                )
            })
            .collect()
    }

    #[test]
    fn full_lists_pass_and_a_ban_missing_in_one_is_found() {
        let full = list(MUST_BAN);
        let more = format!("{full}{}", list(&["std::mem::forget"]));
        let root = list(&["std::mem::forget"]);
        let check = |engine: &str| {
            found(&[
                ("clippy.toml", &root),
                ("crates/wigwag-engine/clippy.toml", engine),
                ("crates/wigwag-proto/clippy.toml", &more),
                ("crates/wigwag-access/clippy.toml", &more),
                ("crates/wigwag-scram/clippy.toml", &more),
                ("crates/wigwag-alarm/clippy.toml", &more),
            ])
        };
        assert_eq!(check(&more), [""; 0]);
        assert_eq!(
            check(&full),
            [
                "crates/wigwag-engine/clippy.toml:0 purity-list these bans are missing: std::mem::forget"
            ]
        );
    }

    #[test]
    fn a_missing_list_is_found() {
        let found = found(&[]);
        assert_eq!(found.len(), PURE.len(), "{found:?}");
        assert!(found[0].contains("std::time::Instant::now"), "{found:?}");
    }

    #[test]
    fn impure_modules_and_switched_off_bans_are_found() {
        let check = |line: &str| {
            let full = list(MUST_BAN);
            found(&[
                ("crates/wigwag-engine/clippy.toml", &full),
                ("crates/wigwag-proto/clippy.toml", &full),
                ("crates/wigwag-scram/clippy.toml", &full),
                ("crates/wigwag-alarm/clippy.toml", &full),
                ("crates/wigwag-access/clippy.toml", &full),
                ("crates/wigwag-engine/src/a.rs", line),
            ])
        };
        assert_eq!(
            check("use std::fs::File;"),
            ["crates/wigwag-engine/src/a.rs:1 purity-path `std::fs` has nothing for a pure crate"]
        );
        assert_eq!(check("#[expect(clippy::disallowed_methods)]").len(), 1);
        assert_eq!(check("use std::time::Duration; // not std::fs"), [""; 0]);
    }
}
