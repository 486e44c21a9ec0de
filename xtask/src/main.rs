//! Developer tasks: `cargo xtask setup | tidy | docs | test`.
//!
//! Owns the command line only. What the tests need is in `setup`, the order of the
//! test run in `steps`, the checks that no compiler makes in `tidy`. Depends on no
//! crate of the workspace, so that it builds when they do not.

mod docs;
mod process;
mod published;
mod setup;
mod steps;
mod tally;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Developer tasks of the Wigwag workspace"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need (Debian 12); says what and why, does nothing when all is there
    Setup,
    /// Check what no compiler checks: crate arrows, purity, manifests, file habits
    Tidy,
    /// Write the pages of docs/reference that are made from the code
    Docs,
    /// Set up, then run every check and test, and print a table of the results
    Test(steps::Selection),
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::locate()?;
    match task {
        Task::Setup => {
            setup::run_all(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Tidy => {
            let report = tidy::run(&workspace)?;
            print!("{report}");
            Ok(exit_code(report.findings.is_empty()))
        }
        Task::Docs => {
            docs::write_all()?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Test(selection) => Ok(exit_code(steps::run_selected(&workspace, &selection)?)),
    }
}

fn exit_code(ok: bool) -> ExitCode {
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The folders that every task works in.
pub(crate) struct Workspace {
    /// Where the root `Cargo.toml` lies.
    root: PathBuf,
    /// Where cargo puts what it builds; honours `CARGO_TARGET_DIR`.
    target: PathBuf,
}

impl Workspace {
    fn locate() -> anyhow::Result<Self> {
        let metadata = cargo_metadata::MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .no_deps()
            .exec()
            .context("cargo metadata failed")?;
        Ok(Self {
            root: metadata.workspace_root.into(),
            target: metadata.target_directory.into(),
        })
    }

    /// Tools that belong to this checkout alone; the interop tests look here too.
    fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    fn web(&self) -> PathBuf {
        self.root.join("crates/wigwag-ui/web")
    }

    fn interop(&self) -> PathBuf {
        self.root.join("crates/wigwag/tests/interop")
    }
}
