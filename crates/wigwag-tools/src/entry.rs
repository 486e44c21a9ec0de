//! The tools by name: as a subcommand of `wigwag`, and as the program of Mosquitto's that each stands in for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Command;

use crate::options::command_line::Program;
use crate::options::table::Tool;
use crate::{control, describe, passwd, publish, record, request, signal, subscribe};

/// A tool whose command line is Mosquitto's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `wigwag pub`.
    Pub,
    /// `wigwag sub`.
    Sub,
    /// `wigwag rr`.
    Rr,
    /// `wigwag record`.
    Record,
    /// `wigwag replay`.
    Replay,
    /// `wigwag ctrl`.
    Ctrl,
    /// `wigwag passwd`.
    Passwd,
    /// `wigwag signal`.
    Signal,
}

impl Entry {
    /// All, in the order of the help.
    pub const ALL: [Entry; 8] = [
        Entry::Pub,
        Entry::Sub,
        Entry::Rr,
        Entry::Record,
        Entry::Replay,
        Entry::Ctrl,
        Entry::Passwd,
        Entry::Signal,
    ];

    /// The name of the subcommand.
    pub const fn name(self) -> &'static str {
        match self {
            Entry::Pub => Tool::Pub.name(),
            Entry::Sub => Tool::Sub.name(),
            Entry::Rr => Tool::Rr.name(),
            Entry::Record => "record",
            Entry::Replay => "replay",
            Entry::Ctrl => Tool::Ctrl.name(),
            Entry::Passwd => "passwd",
            Entry::Signal => "signal",
        }
    }

    /// The name of Mosquitto's program, if there is one.
    pub const fn mosquitto_name(self) -> Option<&'static str> {
        Some(match self {
            Entry::Pub => Tool::Pub.mosquitto_name(),
            Entry::Sub => Tool::Sub.mosquitto_name(),
            Entry::Rr => Tool::Rr.mosquitto_name(),
            Entry::Ctrl => Tool::Ctrl.mosquitto_name(),
            Entry::Passwd => "mosquitto_passwd",
            Entry::Signal => "mosquitto_signal",
            Entry::Record | Entry::Replay => return None,
        })
    }

    /// What it does, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Entry::Pub => Tool::Pub.about(),
            Entry::Sub => Tool::Sub.about(),
            Entry::Rr => Tool::Rr.about(),
            Entry::Record => record::ABOUT,
            Entry::Replay => record::ABOUT_REPLAY,
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
        all.find(|entry| entry.mosquitto_name() == Some(name))
    }

    /// What its user has typed to call it.
    pub fn called(self, program: Program) -> String {
        match (program, self.mosquitto_name()) {
            (Program::Mosquitto, Some(name)) => name.to_owned(),
            _ => format!("wigwag {}", self.name()),
        }
    }

    /// What it takes, for help, man pages and completions.
    pub fn command(self, program: Program) -> Command {
        let called = self.called(program);
        match self {
            Entry::Pub => describe::command(Tool::Pub, &called),
            Entry::Sub => describe::command(Tool::Sub, &called),
            Entry::Rr => describe::command(Tool::Rr, &called),
            Entry::Record => record::command(),
            Entry::Replay => record::replay_command(),
            Entry::Ctrl => control::command(program),
            Entry::Passwd => passwd::command(&called),
            Entry::Signal => signal::command(&called),
        }
    }

    /// Runs it with what stands behind its name.
    pub fn run(self, program: Program, arguments: &[OsString]) -> ExitCode {
        let called = self.called(program);
        match self {
            Entry::Pub => publish::run(program, arguments),
            Entry::Sub => subscribe::run(program, arguments),
            Entry::Rr => request::run(program, arguments),
            Entry::Record => record::run(arguments),
            Entry::Replay => record::replay(arguments),
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
    fn every_tool_has_its_names_and_a_description() {
        for entry in Entry::ALL {
            assert_eq!(Entry::of_subcommand(entry.name()), Some(entry));
            if let Some(name) = entry.mosquitto_name() {
                assert_eq!(Entry::of_program(name), Some(entry));
            }
            entry.command(Program::Wigwag).debug_assert();
        }
        assert_eq!(Entry::of_program("passwd"), None);
        assert_eq!(Entry::of_subcommand("mosquitto_passwd"), None);
    }
}
