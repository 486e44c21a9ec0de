//! The tools by name: as a subcommand of `wigwag`, and as the program of Mosquitto's that each stands in for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Command;

use crate::options::command_line::Program;
use crate::options::table::Tool;
use crate::{control, passwd, signal};

/// A tool whose command line is Mosquitto's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `wigwag ctrl`.
    Ctrl,
    /// `wigwag passwd`.
    Passwd,
    /// `wigwag signal`.
    Signal,
}

impl Entry {
    /// All, in the order of the help.
    pub const ALL: [Entry; 3] = [Entry::Ctrl, Entry::Passwd, Entry::Signal];

    /// The name of the subcommand.
    pub const fn name(self) -> &'static str {
        match self {
            Entry::Ctrl => Tool::Ctrl.name(),
            Entry::Passwd => "passwd",
            Entry::Signal => "signal",
        }
    }

    /// The name of Mosquitto's program.
    pub const fn mosquitto_name(self) -> &'static str {
        match self {
            Entry::Ctrl => Tool::Ctrl.mosquitto_name(),
            Entry::Passwd => "mosquitto_passwd",
            Entry::Signal => "mosquitto_signal",
        }
    }

    /// What it does, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Entry::Ctrl => Tool::Ctrl.about(),
            Entry::Passwd => passwd::ABOUT,
            Entry::Signal => signal::ABOUT,
        }
    }

    /// The tool whose name is the word behind `wigwag`.
    pub fn of_subcommand(name: &str) -> Option<Entry> {
        let mut all = Entry::ALL.into_iter();
        all.find(|entry| entry.name() == name)
    }

    /// The tool that a program of this name stands in for.
    pub fn of_program(name: &str) -> Option<Entry> {
        let mut all = Entry::ALL.into_iter();
        all.find(|entry| entry.mosquitto_name() == name)
    }

    /// What its user has typed to call it.
    pub fn called(self, program: Program) -> String {
        match program {
            Program::Wigwag => format!("wigwag {}", self.name()),
            Program::Mosquitto => self.mosquitto_name().to_owned(),
        }
    }

    /// What it takes, for help, man pages and completions.
    pub fn command(self, program: Program) -> Command {
        let called = self.called(program);
        match self {
            Entry::Ctrl => control::command(program),
            Entry::Passwd => passwd::command(&called),
            Entry::Signal => signal::command(&called),
        }
    }

    /// Runs it with what stands behind its name.
    pub fn run(self, program: Program, arguments: &[OsString]) -> ExitCode {
        let called = self.called(program);
        match self {
            Entry::Ctrl => control::run(program, arguments),
            Entry::Passwd => passwd::run(&called, arguments),
            Entry::Signal => signal::run(&called, arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_two_names_and_a_description() {
        for entry in Entry::ALL {
            assert_eq!(Entry::of_subcommand(entry.name()), Some(entry));
            assert_eq!(Entry::of_program(entry.mosquitto_name()), Some(entry));
            entry.command(Program::Wigwag).debug_assert();
        }
        assert_eq!(Entry::of_program("passwd"), None);
        assert_eq!(Entry::of_subcommand("mosquitto_passwd"), None);
    }
}
