//! What the crates that go to a registry need beyond being green: packages that build by themselves, the
//! oldest compiler they promise, and features that stand alone.
//!
//! The other steps build the workspace, where one crate's features and files help another.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, bail};

use crate::Workspace;
use crate::process::{ask, run, run_counted, which};
use crate::tally::Tally;

/// In the order of publishing.
const PUBLISHED: &[&str] = &[
    "wigwag-proto",
    "wigwag-net",
    "wigwag-store",
    "wigwag-scram",
    "wigwag-alarm",
    "wigwag-client",
];

fn packages(command: &mut Command) -> &mut Command {
    for name in PUBLISHED {
        command.args(["--package", name]);
    }
    command
}

/// Makes the packages and builds each from its package alone. Cargo takes those among them that depend on
/// each other from one another, so none has to be on the registry yet.
pub(crate) fn package(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    forget_unpacked()?;
    let target = workspace.target.join("published");
    if target.exists() {
        fs::remove_dir_all(&target)
            .with_context(|| format!("cannot remove {}", target.display()))?;
    }
    let mut command = Command::new("cargo");
    // What is tested is the tree as it is, committed or not.
    command.args(["package", "--locked", "--allow-dirty"]);
    command.arg("--target-dir").arg(target);
    run(packages(&mut command))?;
    tally.passed += PUBLISHED.len();
    Ok(())
}

/// Removes what Cargo has unpacked of these packages. It knows that by the path of the target folder and the version
/// alone, as it knows what it has built of them, and would build the next package against crates as they were in an
/// earlier run.
fn forget_unpacked() -> anyhow::Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home
        .context("there is no home folder")?
        .join("registry/src");
    for registry in folders(&sources) {
        // A registry with a host is not one that `cargo package` has made.
        let name = registry.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('-') {
            continue;
        }
        for unpacked in folders(&registry) {
            let name = unpacked.file_name().unwrap_or_default().to_string_lossy();
            if PUBLISHED.iter().any(|own| is_package_of(&name, own)) {
                fs::remove_dir_all(&unpacked)
                    .with_context(|| format!("cannot remove {}", unpacked.display()))?;
            }
        }
    }
    Ok(())
}

/// The entries of a folder, if it is there.
fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// Whether this is the folder of a version of that crate.
fn is_package_of(folder: &str, name: &str) -> bool {
    let rest = folder.strip_prefix(name);
    let version = rest.and_then(|rest| rest.strip_prefix('-'));
    version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

/// Builds and tests the crates with the oldest compiler that their manifests promise.
pub(crate) fn oldest_compiler(_: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    let version = oldest()?;
    if !is_installed(&version) {
        println!("NOT checked: Rust {version} is not there, and rustup could not install it");
        return Ok(());
    }
    let mut command = Command::new("rustup");
    command.args(["run", &version, "cargo", "test", "--locked", "--lib"]);
    run_counted(packages(&mut command).arg("--all-features"), tally)
}

/// Installs that compiler beside the others.
pub(crate) fn install_oldest_compiler() -> anyhow::Result<()> {
    let version = oldest()?;
    if is_installed(&version) {
        return Ok(());
    }
    println!("Rust {version}, the oldest that the published crates promise to build with:");
    if which("rustup").is_none() {
        println!("there is no rustup here, so nothing is tested with it");
        return Ok(());
    }
    let arguments = ["toolchain", "install", &version, "--profile", "minimal"];
    let mut command = Command::new("rustup");
    if let Err(error) = run(command.args(arguments).arg("--no-self-update")) {
        println!("{error:#}: nothing is tested with it");
    }
    Ok(())
}

fn is_installed(version: &str) -> bool {
    let rustc = ["run", version, "rustc", "--version"];
    ask(Command::new("rustup").args(rustc)).is_some_and(|said| said.ok)
}

/// The `rust-version` of the crates.
fn oldest() -> anyhow::Result<String> {
    let published = read()?;
    let first = published.first().context("no crate is published")?;
    let version = first.rust_version.clone();
    for own in &published {
        if own.rust_version != version {
            bail!(
                "{} promises another rust-version than {}",
                own.name,
                first.name
            );
        }
    }
    // A toolchain is named by two numbers and stands for the last of its patches.
    version.context("the published crates have no rust-version")
}

struct Published {
    name: String,
    rust_version: Option<String>,
    features: Vec<String>,
}

fn read() -> anyhow::Result<Vec<Published>> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cargo metadata failed")?;
    PUBLISHED
        .iter()
        .map(|name| {
            let mut all = metadata.packages.iter();
            let found = all.find(|package| package.name.as_str() == *name);
            let package = found.with_context(|| format!("there is no crate {name}"))?;
            Ok(Published {
                name: (*name).to_owned(),
                rust_version: (package.rust_version.as_ref())
                    .map(|version| format!("{}.{}", version.major, version.minor)),
                features: package.features.keys().cloned().collect(),
            })
        })
        .collect()
}

/// Lints each crate without features, with each alone, and with all.
pub(crate) fn features(_: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    for own in read()? {
        for selection in selections(&own.features) {
            let mut command = Command::new("cargo");
            command
                .args(["clippy", "--locked", "--quiet", "--package", &own.name])
                .args(selection)
                .args(["--", "-D", "warnings"]);
            run(&mut command)?;
            tally.passed += 1;
        }
    }
    Ok(())
}

/// The arguments of each run. A crate without features has one way to be built, which others have taken.
fn selections(features: &[String]) -> Vec<Vec<&str>> {
    let alone = features.iter().filter(|name| *name != "default");
    let mut selections: Vec<Vec<&str>> = alone
        .map(|name| vec!["--no-default-features", "--features", name.as_str()])
        .collect();
    if !selections.is_empty() {
        selections.push(vec!["--no-default-features"]);
        selections.push(vec!["--all-features"]);
    }
    selections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_built_alone_and_with_all() {
        let features = ["a", "default"].map(str::to_owned);
        assert_eq!(
            selections(&features),
            [
                vec!["--no-default-features", "--features", "a"],
                vec!["--no-default-features"],
                vec!["--all-features"],
            ]
        );
        assert_eq!(selections(&[]), [[""; 0]; 0]);
    }

    #[test]
    fn a_folder_is_of_the_crate_that_it_is_named_after() {
        assert!(is_package_of("wigwag-net-0.1.0", "wigwag-net"));
        assert!(!is_package_of("wigwag-net-extra-0.1.0", "wigwag-net"));
        assert!(!is_package_of("wigwag-net", "wigwag-net"));
    }

    #[test]
    fn the_crates_promise_one_oldest_compiler() {
        let version = oldest().expect("they do");
        assert_eq!(version.split('.').count(), 2, "{version}");
    }
}
