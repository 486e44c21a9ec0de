//! A broker in the background, and the file that says which process it is.
//!
//! The process starts itself anew without a terminal and ends: that takes no fork of a process that may have
//! threads.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::setsid;

/// Says to the process that it is the one in the background.
const MARK: &str = "WIGWAG_IN_BACKGROUND";

/// Whether this is the process in the background.
pub(super) fn is_there() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts this program anew in the background, with the same arguments.
pub(super) fn start() -> io::Result<()> {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(())
}

/// Leaves the session of the terminal.
pub(super) fn leave_terminal() {
    // Whoever leads a group of processes already has no terminal to lose.
    let _ = setsid();
}

/// A file with the number of the process. It is removed with the value.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    pub(super) fn write(path: &Path) -> io::Result<PidFile> {
        fs::write(path, std::process::id().to_string())?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.0);
    }
}
