//! Where an address or a header is that nobody else is to know: in the environment or in a file, read each time that it
//! is needed, so that it may change. What is told of it is where it is.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};

/// The longest text that is taken for an address or a header.
const LEN_MAX: usize = 8_192;

/// Where a text is.
#[derive(Clone)]
pub(super) enum Source {
    /// It is no secret.
    Given(String),
    Environment(String),
    File(PathBuf),
}

impl Source {
    /// `env:NAME` or `file:PATH`.
    pub(super) fn secret(text: &str) -> Result<Source, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Source::Environment(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Source::File(path.into())),
            _ => Err(
                "everybody on this machine can read a command line: write env:NAME or file:PATH, and put it there"
                    .to_owned(),
            ),
        }
    }

    /// The same, or an address without a user.
    pub(super) fn address(text: &str) -> Result<Source, String> {
        let is_address = ["http://", "https://"]
            .iter()
            .any(|it| text.starts_with(it));
        if !is_address {
            return Source::secret(text)
                .map_err(|_| "write http://…, https://…, env:NAME or file:PATH".to_owned());
        }
        if text.contains('@') {
            return Err("an address with a user or a password is a secret: write env:NAME or file:PATH, or use --webhook-auth".to_owned());
        }
        Ok(Source::Given(text.to_owned()))
    }

    /// The text as it is now, without the line break at its end.
    pub(super) fn read(&self) -> anyhow::Result<String> {
        let text = match self {
            Source::Given(text) => text.clone(),
            Source::Environment(name) => {
                std::env::var(name).with_context(|| format!("cannot read the variable {name}"))?
            }
            Source::File(path) => fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        };
        let text = text.trim();
        ensure!(!text.is_empty(), "{self} is empty");
        ensure!(
            text.len() <= LEN_MAX,
            "{self} has more than {LEN_MAX} bytes"
        );
        Ok(text.to_owned())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Given(text) => f.write_str(text),
            Source::Environment(name) => write!(f, "env:{name}"),
            Source::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_and_not_given() {
        assert!(Source::secret("https://hooks.slack.com/services/T/B/x").is_err());
        assert!(Source::secret("env:").is_err());
        assert!(Source::address("https://user:pass@host/").is_err());
        assert!(Source::address("ftp://host/").is_err());
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(&file, "https://example.org/x\n").expect("written");
        let source = format!("file:{}", file.path().display());
        let source = Source::secret(&source).expect("a file");
        assert_eq!(source.read().expect("readable"), "https://example.org/x");
        assert!(!format!("{source} {source:?}").contains("example"));
        fs::write(&file, "\n").expect("written");
        assert!(
            source
                .read()
                .is_err_and(|error| error.to_string().ends_with("is empty"))
        );
    }
}
