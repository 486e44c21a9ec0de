//! Where the foreign programs are. `cargo xtask setup` puts them there; a missing one fails
//! the test and says so, because a skipped test proves nothing.

use std::path::PathBuf;
use std::process::Command;

/// The `wigwag` binary of this build.
pub(crate) fn wigwag() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wigwag"));
    command.env_remove("RUST_LOG");
    command
}

/// A program of the system. Its output is written line by line, as on a terminal.
pub(crate) fn system(program: &str) -> Command {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers in sbin, which users often lack in their PATH.
    let found = std::env::split_paths(&folders)
        .chain(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    let file = found.unwrap_or_else(|| missing(program));
    let mut command = Command::new("stdbuf");
    command.args(["--output=L", "--error=L"]).arg(file);
    command
}

/// The Python that has paho-mqtt, with one of our scripts.
pub(crate) fn python(script: &str) -> Command {
    let python = tools().join("venv/bin/python");
    if !python.is_file() {
        missing(&python.display().to_string());
    }
    let mut command = Command::new(python);
    command.arg("-B").arg(scripts().join(script));
    command
}

/// Node with one of our scripts, which finds mqtt.js through `--modules`.
pub(crate) fn node(script: &str) -> Command {
    let modules = tools().join("node");
    if !modules.join("node_modules/mqtt").is_dir() {
        missing(&format!("mqtt.js in {}", modules.display()));
    }
    let mut command = Command::new("node");
    command
        .arg(scripts().join(script))
        .arg("--modules")
        .arg(modules);
    command
}

fn missing(what: &str) -> ! {
    panic!("{what} is missing: run `cargo xtask setup`, which installs what the tests need")
}

fn scripts() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop"))
}

/// Beside cargo's folder for test files, in the same target folder.
fn tools() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools")
}
