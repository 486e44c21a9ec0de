//! Files with options: one a line, `-option value`, and `#` in front of a comment.
//!
//! The default one has the name of Mosquitto's tool, in the folder for configurations; so users keep what they have.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use super::table::Tool;

/// What is asked of the process and its user, besides the command line.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The folder for configurations, if there is one.
    pub config_folder: Option<PathBuf>,
    /// The number of the process, for `-I`.
    pub process_id: u32,
}

impl Environment {
    /// That of this process: `$XDG_CONFIG_HOME`, or `~/.config`; on Windows the user's own folder.
    pub fn of_process() -> Environment {
        let variable = |name: &str| {
            let value = std::env::var_os(name)?;
            (!value.is_empty()).then(|| PathBuf::from(value))
        };
        let folder = if cfg!(windows) {
            variable("USERPROFILE")
        } else {
            variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))
        };
        Environment {
            config_folder: folder,
            process_id: std::process::id(),
        }
    }

    /// Where options of `tool` stand that nobody has to name.
    pub(super) fn default_file(&self, tool: Tool) -> Option<PathBuf> {
        let name = tool.mosquitto_name();
        let name = if cfg!(windows) {
            format!("{name}.conf")
        } else {
            name.to_owned()
        };
        Some(self.config_folder.as_ref()?.join(name))
    }
}

/// The options of a file, each with the number of its line. A default file need not be there.
pub(super) fn read(path: &Path, is_default: bool) -> Result<Vec<(usize, Vec<OsString>)>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(_) if is_default => return Ok(Vec::new()),
        Err(error) => {
            let path = path.display();
            return Err(format!(
                "Error: Unable to read options file \"{path}\": {error}.\n"
            ));
        }
    };
    let lines = text.lines().enumerate();
    Ok(lines
        .filter_map(|(index, line)| Some((index + 1, words(line)?)))
        .collect())
}

/// The option of a line, and what follows it as one value; `-D` has several.
fn words(line: &str) -> Option<Vec<OsString>> {
    if line.starts_with('#') {
        return None;
    }
    let line = line.trim_start_matches(' ');
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    if name.is_empty() {
        return None;
    }
    let mut words = vec![OsString::from(name)];
    if matches!(name, "-D" | "--property") {
        words.extend(rest.split_whitespace().map(OsString::from));
    } else if !rest.is_empty() {
        words.push(rest.into());
    }
    Some(words)
}

/// Writes options so that [`read`] reads them. Only the user may read the file: a password may be among them.
pub(super) fn write(path: &Path, options: &[Vec<OsString>]) -> Result<(), String> {
    let failed = |error: io::Error| {
        format!(
            "Error: Unable to write options file \"{}\": {error}.\n",
            path.display()
        )
    };
    let lines: Result<Vec<String>, String> = options.iter().map(|own| line_of(own)).collect();
    let lines = lines?;
    let mut file = fs::OpenOptions::new();
    file.write(true).create(true).truncate(true).mode(0o600);
    let mut file = file.open(path).map_err(failed)?;
    restrict(&file).map_err(failed)?;
    for line in lines {
        writeln!(file, "{line}").map_err(failed)?;
    }
    Ok(())
}

/// One that was there before may have been for others too.
fn restrict(file: &fs::File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_permissions(PermissionsExt::from_mode(0o600))?;
    }
    Ok(())
}

/// The line of an option, if [`words`] makes the same of it again.
fn line_of(option: &[OsString]) -> Result<String, String> {
    let line = option.join(OsStr::new(" "));
    let line = line.to_str().filter(|line| {
        let is_one = !line.contains(['\n', '\r']);
        is_one && words(line).as_deref() == Some(option)
    });
    line.map(str::to_owned).ok_or_else(|| {
        let line = option.join(OsStr::new(" "));
        let line = line.display();
        format!(
            "Error: '{line}' cannot stand in an options file: a value is one line of UTF-8 that is not empty, and a word for -D.\n"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(line: &str) -> Option<Vec<String>> {
        let words = words(line)?.into_iter();
        Some(
            words
                .map(|word| word.into_string().expect("text"))
                .collect(),
        )
    }

    #[test]
    fn a_line_is_an_option_with_its_value() {
        let check = |line: &str, expect: &[&str]| {
            let expect: Vec<String> = expect.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(words_of(line), Some(expect), "{line}");
        };
        check("-h test.mosquitto.org", &["-h", "test.mosquitto.org"]);
        check("-m two words", &["-m", "two words"]);
        check("--retain", &["--retain"]);
        check(
            "-D publish user-property a b",
            &["-D", "publish", "user-property", "a", "b"],
        );
        assert_eq!(words_of("# -h comment"), None);
        assert_eq!(words_of(""), None);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("options");
        let options = vec![
            vec!["-h".into(), "host".into()],
            vec!["-m".into(), "two words".into()],
            vec!["--retain".into()],
        ];
        fs::write(&path, "before").expect("writable");
        write(&path, &options).expect("writable");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a password may be in it");
        let read = read(&path, false).expect("readable");
        let read: Vec<_> = read.into_iter().map(|(_, words)| words).collect();
        assert_eq!(read, options);
        for unreadable in [
            &["-m", "two\nlines"][..],
            &["-m", ""],
            &["-D", "publish", "user-property", "two words", "b"],
            &["-D", "publish", "content-type", ""],
        ] {
            let option: Vec<OsString> = unreadable.iter().map(OsString::from).collect();
            let error = write(&path, &[option]).expect_err("it would be read as another");
            assert!(error.contains("cannot stand"), "{unreadable:?}: {error}");
        }
    }
}
