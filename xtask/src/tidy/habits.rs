//! File habits: headers, lengths, names, leftovers, one integration binary per crate.

use super::Finding;
use super::tree::{SourceFile, Tree, has_word};

pub(super) const RULES: &[&str] = &[HEADER, LEFTOVER, MODULE_NAME, ONE_TEST_BINARY, ARCHITECTURE];
const HEADER: &str = "header";
const LEFTOVER: &str = "leftover";
const MODULE_NAME: &str = "module-name";
const ONE_TEST_BINARY: &str = "one-test-binary";
const ARCHITECTURE: &str = "architecture";

/// How the header of a file begins, by extension.
const HEADERS: &[(&str, &str)] = &[
    ("rs", "//!"),
    ("ts", "/**"),
    ("tsx", "/**"),
    ("js", "/**"),
    ("mjs", "/**"),
    ("py", "\"\"\""),
];

/// Split, so that this file does not accuse itself.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("db", "g!"),
];
const LEFTOVER_EXTENSIONS: &[&str] = &[
    "rs", "ts", "tsx", "js", "mjs", "css", "html", "py", "toml", "sh", "yml", "yaml",
];

const VAGUE_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "types", "misc",
];

const ARCHITECTURE_LINES_MAX: usize = 250;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        findings.extend(header(file));
        findings.extend(leftovers(file));
        findings.extend(module_name(file));
        findings.extend(test_binary(file));
    }
    findings.extend(architecture(tree));
    findings
}

fn finding(
    file: &SourceFile,
    line: usize,
    rule: &'static str,
    what: String,
    why: &'static str,
) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule,
        what,
        why,
    }
}

fn header(file: &SourceFile) -> Option<Finding> {
    // `health.test.ts` is about `health.ts`, whose header says the rest.
    if file.name().contains(".test.") {
        return None;
    }
    let (_, opening) = HEADERS
        .iter()
        .find(|(extension, _)| *extension == file.extension())?;
    // A script may say first who runs it.
    let text = match file.text.strip_prefix("#!/") {
        Some(rest) => rest.split_once('\n').map_or("", |(_, rest)| rest),
        None => file.text.as_str(),
    };
    // A crate's front page may live in Markdown.
    if text.starts_with(opening) || text.starts_with("#![doc = include_str!(") {
        return None;
    }
    Some(finding(
        file,
        1,
        HEADER,
        format!("the file does not begin with a `{opening}` header"),
        "readers start there: two to six lines on what the file owns, what it does not, and whom it talks to",
    ))
}

fn leftovers(file: &SourceFile) -> Vec<Finding> {
    if !LEFTOVER_EXTENSIONS.contains(&file.extension()) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        for word in LEFTOVERS.iter().filter(|word| has_word(line, word)) {
            findings.push(finding(
                file,
                number,
                LEFTOVER,
                format!("`{word}` is left over"),
                "unfinished work is finished or goes to the issue tracker, where somebody looks",
            ));
        }
    }
    findings
}

fn module_name(file: &SourceFile) -> Option<Finding> {
    let path = file.path.strip_suffix(".rs")?;
    let vague = path.split('/').find(|part| VAGUE_NAMES.contains(part))?;
    Some(finding(
        file,
        0,
        MODULE_NAME,
        format!("`{vague}` says nothing about what is inside"),
        "a module is a noun of the domain (retained, takeover, inflight); a drawer for everything grows without end",
    ))
}

/// `tests/it/main.rs` is the one test binary; what lies elsewhere under `tests` would be another.
fn test_binary(file: &SourceFile) -> Option<Finding> {
    let (_, inside) = file.path.strip_prefix("crates/")?.split_once('/')?;
    let inside = inside.strip_prefix("tests/")?;
    let is_binary = match inside.split('/').collect::<Vec<_>>().as_slice() {
        [name] => name.ends_with(".rs"),
        [folder, "main.rs"] => *folder != "it",
        _ => false,
    };
    is_binary.then(|| {
        finding(
            file,
            0,
            ONE_TEST_BINARY,
            "this makes another integration test binary".to_owned(),
            "each binary links everything again: add a module to tests/it/main.rs instead",
        )
    })
}

fn architecture(tree: &Tree) -> Option<Finding> {
    let why = "the map of the code is read in one sitting, or not at all";
    let path = "ARCHITECTURE.md";
    let Some(file) = tree.file(path) else {
        return Some(Finding {
            path: path.to_owned(),
            line: 0,
            rule: ARCHITECTURE,
            what: "the file is missing".to_owned(),
            why,
        });
    };
    let lines = file.text.lines().count();
    (lines > ARCHITECTURE_LINES_MAX).then(|| {
        finding(
            file,
            ARCHITECTURE_LINES_MAX + 1,
            ARCHITECTURE,
            format!("{lines} lines, {ARCHITECTURE_LINES_MAX} at most"),
            why,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::made_up;

    /// Findings in one file, of a tree that has a good ARCHITECTURE.md.
    fn found(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let tree = made_up(&[("ARCHITECTURE.md", "# Map\n"), (path, text)]);
        check(&tree)
            .iter()
            .map(|finding| (finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn every_source_file_has_a_header() {
        assert_eq!(found("a/src/lib.rs", "//! What it owns.\n"), []);
        assert_eq!(found("a/src/lib.rs", "use std::fmt;\n"), [(1, HEADER)]);
        assert_eq!(found("a/src/lib.rs", ""), [(1, HEADER)]);
        assert_eq!(
            found("a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            []
        );
        assert_eq!(found("web/a.tsx", "/** What it shows. */\n"), []);
        assert_eq!(found("web/a.tsx", "import x from 'y';\n"), [(1, HEADER)]);
        assert_eq!(
            found(
                "a.py",
                "#!/usr/bin/env python3\n\"\"\"What it does.\"\"\"\n"
            ),
            []
        );
        assert_eq!(found("a.py", "import sys\n"), [(1, HEADER)]);
        assert_eq!(found("web/a.test.tsx", "import x from 'y';\n"), []);
        assert_eq!(found("README.md", "Hello\n"), []);
    }

    #[test]
    fn leftovers_are_found_as_whole_words() {
        for word in LEFTOVERS {
            assert_eq!(
                found("a.rs", &format!("//! x\n// {word} later\n")),
                [(2, LEFTOVER)],
                "{word}"
            );
        }
        assert_eq!(
            found("a.rs", &format!("//! x\nlet {}_LIST = 1;\n", LEFTOVERS[0])),
            []
        );
        assert_eq!(
            found(
                "CONTRIBUTING.md",
                &format!("We write no {}.\n", LEFTOVERS[0])
            ),
            []
        );
    }

    #[test]
    fn vague_module_names_are_found() {
        assert_eq!(
            found("crates/a/src/utils.rs", "//! x\n"),
            [(0, MODULE_NAME)]
        );
        assert_eq!(
            found("crates/a/src/helpers/text.rs", "//! x\n"),
            [(0, MODULE_NAME)]
        );
        assert_eq!(found("crates/a/src/takeover.rs", "//! x\n"), []);
        assert_eq!(found("crates/wigwag-ui/web/src/types.ts", "/** x */\n"), []);
    }

    #[test]
    fn a_second_test_binary_is_found() {
        assert_eq!(found("crates/a/tests/it/main.rs", "//! x\n"), []);
        assert_eq!(found("crates/a/tests/it/wills.rs", "//! x\n"), []);
        assert_eq!(found("crates/a/src/shard/tests/wills.rs", "//! x\n"), []);
        assert_eq!(
            found("crates/a/tests/wills.rs", "//! x\n"),
            [(0, ONE_TEST_BINARY)]
        );
        assert_eq!(
            found("crates/a/tests/other/main.rs", "//! x\n"),
            [(0, ONE_TEST_BINARY)]
        );
    }

    #[test]
    fn the_map_of_the_code_is_there_and_short() {
        let rules = |tree: &Tree| {
            check(tree)
                .iter()
                .map(|finding| finding.rule)
                .collect::<Vec<_>>()
        };
        assert_eq!(rules(&made_up(&[])), [ARCHITECTURE]);
        assert_eq!(
            rules(&made_up(&[("ARCHITECTURE.md", &"x\n".repeat(250))])),
            [""; 0]
        );
        assert_eq!(
            rules(&made_up(&[("ARCHITECTURE.md", &"x\n".repeat(251))])),
            [ARCHITECTURE]
        );
    }
}
