//! `wigwag install-links`: puts this program into a folder under the names of Mosquitto's tools.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use wigwag_tools::entry::Entry;

use crate::output::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder; it should be in the PATH, and before Mosquitto's if that is installed too
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,

    /// A link for the broker too: mosquitto
    #[arg(long)]
    broker: bool,

    /// Replace what is there under these names
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("cannot find out where this program is")?;
    if !args.folder.is_dir() {
        bail!("{} is not a folder that is there", args.folder.display());
    }
    let broker = args.broker.then_some("mosquitto");
    let tools = Entry::ALL.into_iter().filter_map(Entry::mosquitto_name);
    let links: Vec<PathBuf> = tools
        .chain(broker)
        .map(|name| args.folder.join(name))
        .collect();
    // All or nothing: half of Mosquitto's tools and half of ours would be worse than either.
    if !args.force {
        for link in &links {
            if is_taken(link, &program)? {
                bail!(
                    "{} is there already and is no link to {}; nothing was changed. --force replaces it",
                    link.display(),
                    program.display()
                );
            }
        }
    }
    for link in &links {
        replace(link, &program).with_context(|| format!("cannot write {}", link.display()))?;
        say!("{} -> {}", link.display(), program.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether something else has the name.
fn is_taken(link: &Path, program: &Path) -> anyhow::Result<bool> {
    match fs::symlink_metadata(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", link.display())),
        Ok(metadata) if metadata.is_symlink() => Ok(fs::read_link(link)? != program),
        Ok(_) => Ok(true),
    }
}

fn replace(link: &Path, program: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(program, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(folder: &Path) -> Args {
        Args {
            folder: folder.to_owned(),
            broker: true,
            force: false,
        }
    }

    #[test]
    fn links_are_made_anew_but_nothing_else_is_replaced_unasked() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let folder = folder.path();
        run(&args(folder)).expect("an empty folder");
        run(&args(folder)).expect("our own links");
        let count = || fs::read_dir(folder).expect("there").count();
        let names = Entry::ALL.into_iter().filter_map(Entry::mosquitto_name);
        assert_eq!(count(), names.count() + 1);
        let other = folder.join("mosquitto");
        fs::remove_file(&other).expect("there");
        fs::write(&other, "another program").expect("writable");
        let refusal = run(&args(folder)).expect_err("it is there");
        assert!(
            refusal.to_string().contains("is there already"),
            "{refusal}"
        );
        assert!(!other.is_symlink());
        run(&Args {
            force: true,
            ..args(folder)
        })
        .expect("forced");
        assert!(other.is_symlink());
        assert!(run(&args(&folder.join("nowhere"))).is_err());
    }
}
