//! A broker that is started with a configuration file: ours, or Mosquitto with the same one.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::broker::Kind;
use crate::process::Process;
use crate::tools;

/// A running broker and the folder of its files.
pub(crate) struct Configured {
    pub(crate) process: Process,
    pub(crate) folder: TempDir,
}

/// How a broker takes a configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Runs,
    /// With this exit code.
    Refuses(Option<i32>),
}

impl Configured {
    /// Starts a broker with the file `m.conf` in the folder, and waits until it runs.
    pub(crate) fn start(kind: Kind, folder: TempDir, text: &str) -> Self {
        let file = folder.path().join("m.conf");
        write(&file, text);
        let process = Process::start(command(kind).arg("-c").arg(&file).arg("-v"));
        process.await_line("that it runs", |line| line.ends_with(" running"));
        Self { process, folder }
    }

    /// The same without `-v`: the log says what the file wants.
    pub(crate) fn start_quietly(kind: Kind, folder: TempDir, text: &str) -> Self {
        let file = folder.path().join("m.conf");
        write(&file, text);
        let process = Process::start(command(kind).arg("-c").arg(&file));
        process.await_line("that it runs", |line| line.ends_with(" running"));
        Self { process, folder }
    }

    /// Writes a file into the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write(&self.folder.path().join(name), text);
    }
}

/// The broker's program, with our subcommand.
pub(crate) fn command(kind: Kind) -> Command {
    match kind {
        Kind::Wigwag => {
            let mut command = tools::wigwag();
            command.arg("broker");
            command
        }
        Kind::Mosquitto => tools::system("mosquitto"),
    }
}

pub(crate) fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
}

/// What becomes of a broker that is started with this text.
pub(crate) fn outcome(kind: Kind, folder: &Path, text: &str) -> Outcome {
    let file = folder.join("m.conf");
    write(&file, text);
    let mut process = Process::start(command(kind).arg("-c").arg(&file));
    let running = process.line_or_end(|line| line.ends_with(" running"));
    match running {
        Some(_) => Outcome::Runs,
        None => Outcome::Refuses(process.await_exit().code()),
    }
}
