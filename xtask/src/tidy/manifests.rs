//! What stands in `Cargo.toml` files and npm lock files.
//!
//! Reads lines, not TOML: a finding needs the line, and our manifests keep one
//! dependency per line.

use super::Finding;
use super::tree::{SourceFile, Tree};

pub(super) const RULES: &[&str] = &[WORKSPACE_DEPENDENCY, DEFAULT_FEATURES, LINTS, LOCK_HOSTS];
const WORKSPACE_DEPENDENCY: &str = "workspace-dependency";
const DEFAULT_FEATURES: &str = "default-features";
const LINTS: &str = "lints";
const LOCK_HOSTS: &str = "lock-hosts";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        match file.name() {
            "Cargo.toml" if is_root(file) => check_root(file, &mut findings),
            "Cargo.toml" => check_member(file, &mut findings),
            "package-lock.json" => check_lock(file, &mut findings),
            _ => {}
        }
    }
    findings
}

/// The benchmarks are a workspace of their own, so that nobody else has to build the rivals.
fn is_root(file: &SourceFile) -> bool {
    file.path == "Cargo.toml" || file.lines().any(|(_, line)| line == "[workspace]")
}

/// Lines that begin a `key = value`, with the section they stand in.
fn entries(file: &SourceFile) -> impl Iterator<Item = (usize, &str, &str, &str)> {
    let mut section = "";
    file.lines().filter_map(move |(number, line)| {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end().trim_end_matches(']');
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let key = key.trim();
        let is_key = !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_alphanumeric() || "-_.\"".contains(c));
        is_key.then_some((number, section, key, value.trim()))
    })
}

fn is_dependencies(section: &str) -> bool {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .any(|name| section == *name || section.ends_with(&format!(".{name}")))
}

fn check_root(file: &SourceFile, findings: &mut Vec<Finding>) {
    for (line, section, key, value) in entries(file) {
        let external = section == "workspace.dependencies" && !value.contains("path =");
        if external && !value.contains("default-features = false") {
            findings.push(Finding {
                path: file.path.clone(),
                line,
                rule: DEFAULT_FEATURES,
                what: format!("{key} takes its default features"),
                why: "features are chosen, not received: write `default-features = false` and list those we use",
            });
        }
    }
}

fn check_member(file: &SourceFile, findings: &mut Vec<Finding>) {
    let mut lints = false;
    for (line, section, key, value) in entries(file) {
        lints |= section == "lints" && key == "workspace" && value == "true";
        let inherits =
            key.ends_with(".workspace") && value == "true" || value.contains("workspace = true");
        if is_dependencies(section) && !inherits {
            findings.push(Finding {
                path: file.path.clone(),
                line,
                rule: WORKSPACE_DEPENDENCY,
                what: format!("{key} does not come from [workspace.dependencies]"),
                why: "a dependency is decided once, with a word on why, in the root Cargo.toml: write `NAME.workspace = true` here",
            });
        }
    }
    if !lints {
        findings.push(Finding {
            path: file.path.clone(),
            line: 0,
            rule: LINTS,
            what: "`[lints]` with `workspace = true` is missing".to_owned(),
            why: "every crate keeps the same lints",
        });
    }
}

fn check_lock(file: &SourceFile, findings: &mut Vec<Finding>) {
    if let Some((line, _)) = file
        .lines()
        .find(|(_, line)| line.trim_start().starts_with("\"resolved\": \"http"))
    {
        findings.push(Finding {
            path: file.path.clone(),
            line,
            rule: LOCK_HOSTS,
            what: "the lock file names a registry's host".to_owned(),
            why: "people install through mirrors: run npm with `--omit-lockfile-registry-resolved`; the integrity hash is what counts",
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::made_up;

    fn findings(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(&made_up(&[(path, text)]))
            .iter()
            .map(|finding| (finding.line, finding.rule))
            .collect()
    }

    const LINTS_ON: &str = "[lints]\nworkspace = true\n";

    #[test]
    fn inherited_dependencies_are_fine() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nbytes.workspace = true\ntokio = { workspace = true, features = [\n    \"rt\",\n] }\n";
        assert_eq!(
            findings("crates/a/Cargo.toml", &format!("{text}{LINTS_ON}")),
            []
        );
    }

    #[test]
    fn a_dependency_of_its_own_is_found_in_every_section() {
        for section in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            let text = format!("[{section}]\nbytes = \"1\"\n{LINTS_ON}");
            assert_eq!(
                findings("crates/a/Cargo.toml", &text),
                [(2, WORKSPACE_DEPENDENCY)],
                "{section}"
            );
        }
    }

    #[test]
    fn missing_lints_are_found() {
        assert_eq!(
            findings("xtask/Cargo.toml", "[package]\nname = \"a\"\n"),
            [(0, LINTS)]
        );
    }

    #[test]
    fn default_features_must_be_off_in_the_root() {
        let text = "[workspace.dependencies]\nours = { path = \"crates/ours\", version = \"0.1.0\" }\nbytes = { version = \"1\", default-features = false }\nslab = \"0.4\"\n";
        assert_eq!(findings("Cargo.toml", text), [(4, DEFAULT_FEATURES)]);
    }

    #[test]
    fn a_lock_file_with_hosts_is_found() {
        let text = "{\n  \"resolved\": \"https://registry.example/a.tgz\"\n}\n";
        assert_eq!(findings("web/package-lock.json", text), [(2, LOCK_HOSTS)]);
        assert_eq!(
            findings(
                "web/package-lock.json",
                "{\n  \"integrity\": \"sha512-x\"\n}\n"
            ),
            []
        );
    }
}
