//! Child processes: how a task shows, runs and reads them.
//!
//! Knows nothing of what the commands are for.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::tally::Tally;

/// The command as a person would type it, for headlines and errors.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!(
                "{}={}",
                name.display(),
                quoted(&value.to_string_lossy())
            ));
        }
    }
    words.push(command.get_program().display().to_string());
    words.extend(command.get_args().map(|arg| quoted(&arg.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Shows and runs a command whose success is all that matters.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    run_counted(command, &mut Tally::default())
}

/// Shows and runs a command, passes its output on, and counts the tests it reports.
pub(crate) fn run_counted(command: &mut Command, tally: &mut Tally) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", command.get_program().display()))?;
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            tally.read(&text);
            line.clear();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// What a finished command said.
pub(crate) struct Said {
    pub(crate) ok: bool,
    /// Standard output, then standard error.
    pub(crate) text: String,
}

/// Runs a command quietly; `None` when it cannot be started at all.
pub(crate) fn ask(command: &mut Command) -> Option<Said> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Some(Said {
        ok: output.status.success(),
        text,
    })
}

/// Where a program lies; Debian keeps servers in `sbin`, which users often lack in their PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_it_can_be_pasted() {
        let mut command = Command::new("npm");
        command.args(["run", "it's here"]).env("A", "b c");
        assert_eq!(shown(&command), r"A='b c' npm run 'it'\''s here'");
    }

    #[cfg(unix)]
    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).expect_err("it exits with 3");
        let text = error.to_string();
        assert!(
            text.contains("exit 3") && text.contains("exit status: 3"),
            "{text}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn tests_reported_by_a_command_are_counted() {
        let mut tally = Tally::default();
        let script = "echo 'test result: ok. 4 passed; 0 failed; 0 ignored'";
        run_counted(Command::new("sh").args(["-c", script]), &mut tally).expect("it succeeds");
        assert_eq!((tally.passed, tally.failed), (4, 0));
    }
}
