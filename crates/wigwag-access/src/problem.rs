//! What is wrong with a file: every line of it at once, each with its number.

use std::fmt;
use std::path::Path;

/// A line and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// What was read, and what is allowed.
    pub what: String,
}

/// Everything that is wrong with a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, line: usize, what: impl Into<String>) {
        let what = what.into();
        self.0.push(Problem { line, what });
    }

    /// One line for each problem, with the name of the file: `FILE:LINE: what`.
    pub fn in_file(&self, path: &Path) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(move |problem| format!("{}:{}: {}", path.display(), problem.line, problem.what))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, what }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}line {line}: {what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The lines of a file with their numbers, without line ends. What is no UTF-8 is a problem.
pub(crate) fn lines<'a>(
    text: &'a [u8],
    problems: &mut Problems,
) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
    let mut found = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        match std::str::from_utf8(line) {
            Ok(line) => found.push((index + 1, line.strip_suffix('\r').unwrap_or(line))),
            Err(_) => problems.add(index + 1, "the line is not UTF-8"),
        }
    }
    found.into_iter()
}
