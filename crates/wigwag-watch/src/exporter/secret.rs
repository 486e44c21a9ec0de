//! Passwords: where they may come from, and where not. A command line can be read by everybody on the machine, and an
//! address ends in logs, so neither may hold one; the environment and files may.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};

/// How much of a file is taken for a password.
const PASSWORD_MAX: usize = 65_535;

/// Where a password is.
#[derive(Clone)]
pub(super) enum Secret {
    /// It came by the environment.
    Given(Vec<u8>),
    /// It is read for each connection, so that it may change.
    File(PathBuf),
}

/// Without what must not be in a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Given(_) => f.write_str("Given"),
            Secret::File(file) => f.debug_tuple("File").field(file).finish(),
        }
    }
}

impl Secret {
    /// The password as it is now.
    pub(super) fn read(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Secret::Given(password) => Ok(password.clone()),
            Secret::File(file) => read(file),
        }
    }
}

/// A file's content without the line break at its end, which editors leave there.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let mut content =
        fs::read(file).with_context(|| format!("cannot read the password in {shown}"))?;
    for end in [b'\n', b'\r'] {
        if content.last() == Some(&end) {
            content.pop();
        }
    }
    if content.is_empty() {
        bail!("{shown} is empty; it must hold a password");
    }
    if content.len() > PASSWORD_MAX {
        bail!("{shown} has more than {PASSWORD_MAX} bytes and cannot be a password");
    }
    Ok(content)
}

/// What stood behind `--pass`: it is not kept, and never shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnCommandLine;

impl FromStr for OnCommandLine {
    type Err = Infallible;

    fn from_str(_: &str) -> Result<OnCommandLine, Infallible> {
        Ok(OnCommandLine)
    }
}

impl OnCommandLine {
    pub(super) const REFUSED: &str = "a password on the command line can be read by everybody on this machine, so \
        --pass is not taken; set MQTT_PASS in the environment, or name a file that holds it with --pass-file or \
        MQTT_PASS_FILE";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_password_and_may_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        let secret = Secret::File(file.clone());
        let read = |content: &str| {
            fs::write(&file, content).expect("written");
            secret.read().map_err(|error| error.to_string())
        };
        assert_eq!(read("s3cret\n"), Ok(b"s3cret".to_vec()));
        assert_eq!(read("other \r\n"), Ok(b"other ".to_vec()));
        assert!(read("\n").is_err_and(|error| error.contains("is empty")));
        assert!(read(&"x".repeat(PASSWORD_MAX + 1)).is_err());
        fs::remove_file(&file).expect("removed");
        let error = secret.read().expect_err("gone").to_string();
        assert!(error.contains("cannot read the password"), "{error}");
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", Secret::Given(b"s3cret".to_vec()));
        assert_eq!(shown, "Given");
    }
}
