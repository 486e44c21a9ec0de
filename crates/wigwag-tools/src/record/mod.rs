//! `wigwag record` and `wigwag replay`: messages in a file, and from there to a broker again.
//!
//! A recording is a line of JSON for each message, in the order in which they came. `line` has the form of a line, `schedule`
//! says when a message is due, `replay` sends it. Recording itself is `sub` that prints nothing.

pub mod line;

mod replay;
mod schedule;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::options::command_line::Program;
use crate::options::table::{Group, Opt, Tool, rows};
use crate::{begin, describe, say, subscribe};

pub use replay::run as replay;

/// What `record` does, in one line.
pub const ABOUT: &str = "Subscribe, and write the messages to a file";

/// What `replay` does, in one line.
pub const ABOUT_REPLAY: &str = "Publish what was recorded, with the pauses that were between";

/// Runs `record` with what stands behind its name.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let (file, options) = match split(arguments) {
        Split::Help => {
            say::out(&command().render_help().to_string());
            return ExitCode::SUCCESS;
        }
        Split::NoFile => {
            say::error("Error: record needs the file to write to, before all options.");
            say::error("\nUse 'wigwag record --help' to see usage.");
            return ExitCode::FAILURE;
        }
        Split::File(file, options) => (file, options),
    };
    match begin::read(Tool::Sub, Program::Wigwag, options) {
        Ok(mut line) => {
            line.subscribe.record = Some(file.into());
            subscribe::run_line(&line, false)
        }
        Err(code) => code,
    }
}

/// What `record` takes, for help, man pages and completions.
pub fn command() -> Command {
    with_file(
        describe::command(Tool::Sub, "wigwag record"),
        ABOUT,
        "The file to write to; what is there is lost",
    )
    .after_help("Every option of `wigwag sub` is taken; -C and -W say when to end.")
}

/// What `replay` takes, for help, man pages and completions.
pub fn replay_command() -> Command {
    let command = with_file(
        describe::command(Tool::Pub, "wigwag replay"),
        ABOUT_REPLAY,
        "The recording, or '-' for the input",
    );
    // What the recording says, and what only `pub` does.
    let others = rows(Tool::Pub).filter(|row| match row.option {
        Opt::Json | Opt::Reconnect => true,
        Opt::MaxInflight => false,
        _ => row.group == Group::Messages,
    });
    let command = others
        .filter_map(|row| row.names.first())
        .fold(command, |command, id| {
            command.mut_arg(*id, |own| own.hide(true))
        });
    command
        .arg(Arg::new("speed").long("speed").value_name("FACTOR").help(
            "How much faster than it was recorded; max for no pauses at all. 1 if none is given",
        ))
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("FILTER")
                .action(ArgAction::Append)
                .help("Only messages of these topics"),
        )
        .after_help("Where to connect to, as whom, and over what is said as to `wigwag pub`.")
}

fn with_file(command: Command, about: &'static str, help: &'static str) -> Command {
    let file = Arg::new("file")
        .value_name("FILE")
        .required(true)
        .value_parser(value_parser!(std::path::PathBuf))
        .help(help);
    command.about(about).arg(file)
}

/// What stands behind the name: a file, and options behind it.
enum Split<'a> {
    Help,
    NoFile,
    File(&'a OsStr, &'a [OsString]),
}

fn split(arguments: &[OsString]) -> Split<'_> {
    if arguments.iter().any(|argument| argument == "--help") {
        return Split::Help;
    }
    match arguments.split_first() {
        Some((file, options)) if file == "-" || !is_option(file) => Split::File(file, options),
        _ => Split::NoFile,
    }
}

fn is_option(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().starts_with(b"-")
}
