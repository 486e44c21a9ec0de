//! Debian's tools and ours, called with the same words: what they print, on both streams, and their exit codes are compared
//! byte by byte.
//!
//! The tables are in the modules, one for each tool; here is the player. Ours is called by Mosquitto's name, through a link,
//! and every third time as a subcommand as well, where its own name and its advice are set aside. A difference that is meant
//! stands in its row with the reason, and must be there.

mod ctrl;
mod passwd;
mod peer;
mod publish;
mod request;
mod subscribe;
mod ways;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::broker::free_port;

/// The longest that a run may take. It is a bound: what it waits for ends long before.
const SECONDS_MAX: &str = "30";

/// A time zone with an offset, and the same all year.
const ZONE: &str = "XYZ-3:30";

/// A row of a table.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    /// The words behind the name of the tool; what stands in 'quotes' is one word. `{port}` is the broker's, nobody
    /// listens at `{closed}`, `{folder}` is one with what the table has put there.
    words: &'static str,
    /// More words for ours, which Mosquitto 2.0 would not know.
    ours: &'static str,
    /// What the tool reads.
    input: &'static str,
    /// The exit code of ours as a subcommand, if it is another there.
    own_code: Option<i32>,
    /// Digits are not compared: there is a time in the output.
    masks_digits: bool,
    difference: Option<Difference>,
}

/// What is meant to be different, and why.
#[derive(Clone, Copy)]
struct Difference {
    why: &'static str,
    /// Of ours.
    said: Said<'static>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said<'a> {
    stdout: &'a str,
    stderr: &'a str,
    code: i32,
}

/// A row that must be the same.
pub(crate) const fn run(words: &'static str) -> Run {
    Run {
        words,
        ours: "",
        input: "",
        own_code: None,
        masks_digits: false,
        difference: None,
    }
}

impl Run {
    /// Compares no digits.
    pub(crate) const fn masked(mut self) -> Run {
        self.masks_digits = true;
        self
    }

    /// Gives both something to read.
    pub(crate) const fn input(mut self, input: &'static str) -> Run {
        self.input = input;
        self
    }

    /// Gives ours more words.
    pub(crate) const fn ours(mut self, words: &'static str) -> Run {
        self.ours = words;
        self
    }

    /// As a subcommand ours ends with this code, because nothing was done; by Mosquitto's name it ends as Mosquitto's.
    pub(crate) const fn own_code(mut self, code: i32) -> Run {
        self.own_code = Some(code);
        self
    }

    /// Ours says something else, for this reason.
    pub(crate) const fn differs(
        mut self,
        why: &'static str,
        stdout: &'static str,
        stderr: &'static str,
        code: i32,
    ) -> Run {
        let said = Said {
            stdout,
            stderr,
            code,
        };
        self.difference = Some(Difference { why, said });
        self
    }
}

/// A tool of Mosquitto's and ours, and what their rows have in common.
pub(crate) struct Golden {
    /// `mosquitto_sub`.
    name: &'static str,
    /// `sub`.
    subcommand: &'static str,
    port: u16,
    /// Nobody listens there.
    closed_port: u16,
    /// Lines that theirs alone prints to standard error, whatever it is asked.
    set_aside: &'static [&'static str],
    folder: TempDir,
}

impl Golden {
    pub(crate) fn new(name: &'static str, subcommand: &'static str, port: u16) -> Golden {
        let folder = TempDir::new().unwrap();
        symlink(env!("CARGO_BIN_EXE_wigwag"), folder.path().join(name)).unwrap();
        Golden {
            name,
            subcommand,
            port,
            closed_port: free_port(),
            set_aside: &[],
            folder,
        }
    }

    /// Sets lines of theirs aside, which it always prints.
    pub(crate) fn setting_aside(mut self, lines: &'static [&'static str]) -> Golden {
        self.set_aside = lines;
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Plays a table; `before` is called before each call of a tool, to put back what it changes.
    pub(crate) fn play(&self, table: &[Run], before: impl Fn()) {
        let mut faults = String::new();
        for (index, row) in table.iter().enumerate() {
            before();
            let theirs = self.without_set_aside(self.call(&self.theirs(), row, ""));
            before();
            let linked = self.call(&[self.folder.path().join(self.name).into()], row, row.ours);
            let mut runs = vec![("by Mosquitto's name", linked)];
            if index % 3 == 0 {
                before();
                let own = [env!("CARGO_BIN_EXE_wigwag").into(), self.subcommand.into()];
                let mut own = self.without_own_words(self.call(&own, row, row.ours));
                if let Some(code) = row.own_code {
                    let found = own.status.code();
                    if found != Some(code) {
                        let (name, words) = (self.subcommand, row.words);
                        writeln!(faults, "{name} {words}: code {found:?}, not {code}").unwrap();
                    }
                    own.status = runs[0].1.status;
                }
                runs.push(("as a subcommand", own));
            }
            for (how, ours) in &runs {
                if let Some(fault) = fault(row, &theirs, ours) {
                    writeln!(faults, "{} {}, {how}: {fault}", self.name, row.words).unwrap();
                }
            }
        }
        assert!(faults.is_empty(), "\n{faults}");
    }

    /// What ours alone says to these words, on both streams.
    pub(crate) fn said_by_ours(&self, words: &'static str) -> String {
        let own = [env!("CARGO_BIN_EXE_wigwag").into(), self.subcommand.into()];
        let output = self.call(&own, &run(words), "");
        text(&output.stdout) + &text(&output.stderr)
    }

    /// Debian's, which is not ours under its name.
    fn theirs(&self) -> Vec<OsString> {
        let program = Path::new("/usr/bin").join(self.name);
        let why = "is missing: run `cargo xtask setup`, which installs what the tests need";
        assert!(program.is_file(), "{} {why}", program.display());
        vec![program.into()]
    }

    fn call(&self, program: &[OsString], row: &Run, more: &str) -> Output {
        let input = self.folder.path().join("input");
        fs::write(&input, row.input).unwrap();
        let home = self.folder.path().join("home");
        let output = Command::new("timeout")
            .arg(SECONDS_MAX)
            .args(program)
            .args(self.words(row.words))
            .args(self.words(more))
            .env("TZ", ZONE)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", &home)
            .env_remove("RUST_LOG")
            .stdin(fs::File::open(input).unwrap())
            .output()
            .unwrap();
        self.without_folder(output)
    }

    /// The folder is another one in each run.
    fn without_folder(&self, mut output: Output) -> Output {
        let folder = self.folder.path().display().to_string();
        for stream in [&mut output.stdout, &mut output.stderr] {
            if let Ok(text) = str::from_utf8(stream) {
                *stream = text.replace(&folder, "{folder}").into();
            }
        }
        output
    }

    fn without_set_aside(&self, mut output: Output) -> Output {
        if !self.set_aside.is_empty() {
            let stderr = text(&output.stderr);
            let lines = stderr.split_inclusive('\n');
            let lines = lines.filter(|line| !self.set_aside.contains(&line.trim_end()));
            output.stderr = lines.collect::<String>().into();
        }
        output
    }

    fn words(&self, line: &str) -> Vec<OsString> {
        let mut words = Vec::new();
        for (index, part) in line.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(self.filled(part));
            } else {
                words.extend(part.split_whitespace().map(|word| self.filled(word)));
            }
        }
        words
    }

    fn filled(&self, word: &str) -> OsString {
        let folder: PathBuf = self.folder.path().into();
        word.replace("{port}", &self.port.to_string())
            .replace("{closed}", &self.closed_port.to_string())
            .replace("{folder}", &folder.display().to_string())
            .into()
    }

    /// As a subcommand it has another name, and says what to do about an error in lines of their own.
    fn without_own_words(&self, mut output: Output) -> Output {
        let stderr = text(&output.stderr);
        let lines = stderr.split_inclusive('\n');
        let lines = lines.filter(|line| !line.starts_with("       "));
        let own = format!("wigwag {}", self.subcommand);
        output.stderr = lines.collect::<String>().replace(&own, self.name).into();
        output
    }
}

/// What is wrong with what ours said, if anything is.
fn fault(row: &Run, theirs: &Output, ours: &Output) -> Option<String> {
    let show = |bytes: &[u8]| {
        let text = without_made_up_names(&text(bytes));
        if row.masks_digits {
            masked(&text)
        } else {
            text
        }
    };
    let said = |output: &Output| {
        let code = output.status.code();
        (show(&output.stdout), show(&output.stderr), code)
    };
    let (theirs, ours) = (said(theirs), said(ours));
    let Some(difference) = row.difference else {
        return (theirs != ours).then(|| format!("\n  theirs {theirs:?}\n  ours   {ours:?}"));
    };
    let Said {
        stdout,
        stderr,
        code,
    } = difference.said;
    let expected = (stdout.to_owned(), stderr.to_owned(), Some(code));
    if ours == theirs {
        Some(format!(
            "no difference, though there should be one: {}",
            difference.why
        ))
    } else {
        (ours != expected).then(|| {
            let why = difference.why;
            format!("({why})\n  expected {expected:?}\n  ours     {ours:?}\n  theirs   {theirs:?}")
        })
    }
}

/// Bytes that are no text are shown as what they are.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "<{byte:02x}>").unwrap();
        }
    }
    text
}

/// Client Identifiers that the broker or the tool has made up are different each time.
fn without_made_up_names(text: &str) -> String {
    let words = text.split_inclusive(' ').map(|word| {
        match ["auto-", "mosq-"]
            .iter()
            .find(|start| word.starts_with(**start))
        {
            Some(start) => format!("{start}… "),
            None => word.to_owned(),
        }
    });
    words.collect()
}

fn masked(text: &str) -> String {
    let digit = |c: char| if c.is_ascii_digit() { '#' } else { c };
    text.chars().map(digit).collect()
}
