//! Passwords from the terminal, where they are not shown, or from whatever else the input is.
//!
//! The prompts are those of Mosquitto's tools, on standard output: scripts that answer them wait for these words.

use std::io::{self, BufRead as _, Read as _, Write as _};

use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};

use crate::say;

/// The code of a program that Ctrl-C has ended, as shells give it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// Nothing was typed.
    #[error("Empty password.")]
    Empty,
    /// The second was not the first.
    #[error("Passwords do not match.")]
    Mismatch,
    /// Ctrl-C was typed.
    #[error("Interrupted.")]
    Interrupted,
    /// It is not UTF-8.
    #[error("The password is not UTF-8, and MQTT's text is nothing else.")]
    NotText,
    /// The input could not be read.
    #[error("Cannot read the password: {0}.")]
    Io(#[from] io::Error),
}

/// Asks for a password that there is already.
pub(crate) fn password(prompt: &str) -> Result<String, PromptError> {
    ask(prompt)
}

/// Asks for something that may be seen.
pub(crate) fn line(prompt: &str) -> Result<String, PromptError> {
    say::out(prompt);
    String::from_utf8(input_line()?).map_err(|_| PromptError::NotText)
}

/// Asks for a password that is to be, twice.
pub(crate) fn new_password(prompt: &str, again: &str) -> Result<String, PromptError> {
    let first = ask(prompt)?;
    if ask(again)? == first {
        Ok(first)
    } else {
        Err(PromptError::Mismatch)
    }
}

fn ask(prompt: &str) -> Result<String, PromptError> {
    let mut output = io::stdout().lock();
    output.write_all(prompt.as_bytes())?;
    output.flush()?;
    let line = match Quiet::begin() {
        Some(_quiet) => typed_line()?,
        None => input_line()?,
    };
    if line.is_empty() {
        return Err(PromptError::Empty);
    }
    output.write_all(b"\n")?;
    output.flush()?;
    String::from_utf8(line).map_err(|_| PromptError::NotText)
}

/// A line of an input that is no terminal.
fn input_line() -> Result<Vec<u8>, PromptError> {
    let mut line = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut line)?;
    let len = line.trim_ascii_end().len();
    // Blanks belong to the password, the end of the line does not.
    while line.len() > len && matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(line)
}

/// A line as it is typed, with what the terminal would do if it were not quiet.
fn typed_line() -> Result<Vec<u8>, PromptError> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().bytes() {
        match byte? {
            b'\n' | b'\r' => break,
            CTRL_C => return Err(PromptError::Interrupted),
            CTRL_D if line.is_empty() => break,
            CTRL_D => {}
            BACKSPACE | DELETE => erase_character(&mut line),
            CTRL_U => line.clear(),
            byte => line.push(byte),
        }
    }
    Ok(line)
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;

fn erase_character(line: &mut Vec<u8>) {
    while let Some(byte) = line.pop() {
        let is_continuation = byte & 0xC0 == 0x80;
        if !is_continuation {
            break;
        }
    }
}

/// A terminal that shows nothing of what is typed, and hands Ctrl-C over as a byte so that it never stays that way.
struct Quiet(Termios);

impl Quiet {
    /// `None` if the input is no terminal.
    fn begin() -> Option<Quiet> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        quiet.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        quiet.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &quiet).ok()?;
        Some(Quiet(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_erased_as_a_whole() {
        let check = |typed: &str, expect: &str| {
            let mut line = typed.as_bytes().to_vec();
            erase_character(&mut line);
            assert_eq!(line, expect.as_bytes(), "{typed}");
        };
        check("ab", "a");
        check("a\u{e4}", "a");
        check("\u{1F511}", "");
        check("", "");
    }
}
