//! Which crate may depend on which, and what the pure crates may not pull in at all.
//!
//! Reads `cargo metadata` for the arrows and `cargo tree` for the pure crates' whole graph:
//! metadata unites the features of all members, tree tells what one crate alone gets.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::Finding;
use crate::process::ask;

pub(super) const RULES: &[&str] = &[ARROW, PURE_GRAPH];
const ARROW: &str = "arrow";
const PURE_GRAPH: &str = "pure-graph";

const ARROW_WHY: &str = "the arrows between crates are the architecture: see ARCHITECTURE.md, and change xtask/src/tidy/arrows.rs only with it";
const PURE_WHY: &str = "the pure crates read no clock, draw no randomness and do no I/O, and neither may anything below them";

/// A crate and the crates of ours it may depend on, in tests and build scripts too.
const ARROWS: &[(&str, &[&str])] = &[
    ("wigwag-proto", &[]),
    ("wigwag-engine", &["wigwag-proto"]),
    ("wigwag-access", &["wigwag-proto", "wigwag-scram"]),
    ("wigwag-net", &["wigwag-proto"]),
    ("wigwag-store", &[]),
    ("wigwag-scram", &[]),
    ("wigwag-alarm", &["wigwag-proto"]),
    (
        "wigwag-client",
        &["wigwag-net", "wigwag-proto", "wigwag-scram", "wigwag-store"],
    ),
    (
        "wigwag-broker",
        &[
            "wigwag-access",
            "wigwag-alarm",
            "wigwag-engine",
            "wigwag-net",
            "wigwag-client",
            "wigwag-proto",
            "wigwag-store",
        ],
    ),
    ("wigwag-devices", &["wigwag-client"]),
    // Net for its TLS alone: trust, certificates and what is said of them.
    ("wigwag-bench", &["wigwag-net", "wigwag-proto"]),
    ("wigwag-ui", &[]),
    (
        "wigwag-tools",
        &["wigwag-client", "wigwag-access", "wigwag-proto"],
    ),
    (
        "wigwag-watch",
        &["wigwag-alarm", "wigwag-client", "wigwag-proto"],
    ),
    (
        "wigwag",
        &[
            "wigwag-bench",
            "wigwag-broker",
            "wigwag-client",
            "wigwag-devices",
            "wigwag-tools",
            "wigwag-ui",
            "wigwag-watch",
        ],
    ),
    ("wigwag-fuzz", &["wigwag-proto", "wigwag-engine"]),
    // The clients and brokers that its tests run against; the scripts know none of them.
    ("wigwag-conformance", &["wigwag-client", "wigwag-broker"]),
    ("xtask", &[]),
];

const PURE: &[&str] = &[
    "wigwag-proto",
    "wigwag-engine",
    "wigwag-access",
    "wigwag-scram",
    "wigwag-alarm",
];

/// Crates that bring a clock, randomness, a runtime or I/O.
const IMPURE: &[&str] = &[
    "async-std",
    "chrono",
    "fastrand",
    "futures-executor",
    "getrandom",
    "jiff",
    "mio",
    "nix",
    "polling",
    "rand",
    "rustix",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tracing-subscriber",
];

/// What the rules look at.
pub(super) struct Graph {
    members: Vec<Member>,
    /// For each pure crate, the ways from it to every crate it pulls in, itself included.
    pure_paths: Vec<Vec<String>>,
}

struct Member {
    name: String,
    manifest: String,
    manifest_text: String,
    /// Dependencies that are members too.
    ours: Vec<String>,
}

pub(super) fn read(root: &Path) -> anyhow::Result<Graph> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata failed")?;
    let packages = metadata.workspace_packages();
    let names: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut members = Vec::new();
    for package in &packages {
        let path = package.manifest_path.as_std_path();
        let manifest = path
            .strip_prefix(root)
            .unwrap_or(path)
            .to_string_lossy()
            .replace('\\', "/");
        let is_ours = |name: &&str| names.contains(name);
        members.push(Member {
            name: package.name.to_string(),
            manifest,
            manifest_text: fs::read_to_string(path)?,
            ours: package
                .dependencies
                .iter()
                .map(|dep| dep.name.as_str())
                .filter(is_ours)
                .map(str::to_owned)
                .collect(),
        });
    }
    let mut pure_paths = Vec::new();
    for name in PURE.iter().filter(|name| names.contains(name)) {
        pure_paths.extend(paths_below(&tree_of(root, name)?));
    }
    Ok(Graph {
        members,
        pure_paths,
    })
}

fn tree_of(root: &Path, name: &str) -> anyhow::Result<String> {
    let args = [
        "tree",
        "--edges",
        "normal",
        "--target",
        "all",
        "--prefix",
        "depth",
        "--no-dedupe",
        "--format",
        " {p}",
    ];
    let mut command = Command::new("cargo");
    command
        .args(args)
        .args(["--package", name])
        .current_dir(root);
    let said = ask(&mut command).context("cargo cannot be started")?;
    if !said.ok {
        bail!("cargo tree of {name} failed: {}", said.text.trim());
    }
    Ok(said.text)
}

/// Every crate of a `cargo tree --prefix depth` listing, each with the crates above it.
fn paths_below(listing: &str) -> Vec<Vec<String>> {
    let mut above: Vec<String> = Vec::new();
    let mut paths = Vec::new();
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        let (Some(Ok(depth)), Some(name)) = (words.next().map(str::parse::<usize>), words.next())
        else {
            continue;
        };
        above.truncate(depth);
        above.push(name.to_owned());
        paths.push(above.clone());
    }
    paths
}

pub(super) fn check(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &graph.members {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == member.name) else {
            findings.push(member.finding(
                &member.name,
                ARROW,
                format!(
                    "the crate {} has no row in the table of arrows",
                    member.name
                ),
                ARROW_WHY,
            ));
            continue;
        };
        for dependency in &member.ours {
            if !allowed.contains(&dependency.as_str()) {
                let what = format!(
                    "{} must not depend on {dependency}; allowed are: {}",
                    member.name,
                    listed(allowed)
                );
                findings.push(member.finding(dependency, ARROW, what, ARROW_WHY));
            }
        }
    }
    for path in &graph.pure_paths {
        let [pure, .., impure] = path.as_slice() else {
            continue;
        };
        let Some(member) = graph.members.iter().find(|member| member.name == *pure) else {
            continue;
        };
        if IMPURE.contains(&impure.as_str()) {
            let what = format!("a pure crate pulls in {impure}: {}", path.join(" -> "));
            findings.push(member.finding(&path[1], PURE_GRAPH, what, PURE_WHY));
        }
    }
    findings
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none of ours".to_owned()
    } else {
        names.join(", ")
    }
}

impl Member {
    /// A finding at the line of the manifest that names `dependency`.
    fn finding(
        &self,
        dependency: &str,
        rule: &'static str,
        what: String,
        why: &'static str,
    ) -> Finding {
        let names = |line: &str| line.split(['.', ' ', '=']).next() == Some(dependency);
        let at = self.manifest_text.lines().position(names);
        Finding {
            path: self.manifest.clone(),
            line: at.map_or(0, |index| index + 1),
            rule,
            what,
            why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, manifest_text: &str, ours: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            manifest_text: manifest_text.to_owned(),
            ours: ours.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn findings(members: Vec<Member>, listing: &str) -> Vec<String> {
        let graph = Graph {
            members,
            pure_paths: paths_below(listing),
        };
        check(&graph).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn drawn_arrows_are_allowed() {
        let members = vec![
            member("wigwag-proto", "", &[]),
            member("wigwag-engine", "", &["wigwag-proto"]),
            member(
                "wigwag-broker",
                "",
                &[
                    "wigwag-engine",
                    "wigwag-net",
                    "wigwag-proto",
                    "wigwag-client",
                ],
            ),
        ];
        assert_eq!(findings(members, ""), [""; 0]);
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found_at_its_line() {
        let manifest = "[dependencies]\nbytes.workspace = true\nwigwag-engine.workspace = true\n";
        let found = findings(
            vec![member("wigwag-client", manifest, &["wigwag-engine"])],
            "",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/wigwag-client/Cargo.toml:3: [arrow] wigwag-client must not depend on wigwag-engine"), "{found:?}");
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let found = findings(vec![member("wigwag-utils", "", &[])], "");
        assert!(found[0].contains("no row"), "{found:?}");
    }

    #[test]
    fn impurity_far_below_is_found_with_the_way_to_it() {
        let manifest = "[dependencies]\nbytes.workspace = true\nimbl.workspace = true\n";
        let listing = "0 wigwag-engine v0.1.0 (/x)\n1 bytes v1.12.0\n1 imbl v7.0.2\n2 rand_core v0.9.5\n3 getrandom v0.3.0\n1 slab v0.4.0\n";
        let found = findings(vec![member("wigwag-engine", manifest, &[])], listing);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("crates/wigwag-engine/Cargo.toml:3: [pure-graph]"),
            "{found:?}"
        );
        assert!(
            found[0].contains("wigwag-engine -> imbl -> rand_core -> getrandom"),
            "{found:?}"
        );
    }
}
