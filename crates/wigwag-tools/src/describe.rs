//! The table of options as a description that clap can print: help, man pages and completions come of it.
//!
//! Nothing is parsed with it: the command lines are Mosquitto's, and not of clap's kind.

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::options::table::{Hint, Row, Tool, rows};

/// A tool with its options, called `program`; what stands behind the options is the caller's to add.
pub(crate) fn command(tool: Tool, program: &str) -> Command {
    let mut command = Command::new(program.to_owned())
        .about(tool.about())
        .disable_help_flag(true)
        .disable_version_flag(true);
    for row in rows(tool) {
        command = command.arg(argument(row));
    }
    command
}

fn argument(row: &Row) -> Arg {
    let id = row.names.first().copied().unwrap_or_default();
    let mut argument = Arg::new(id)
        .help(row.help)
        .help_heading(row.group.heading());
    for name in row.names {
        argument = match (name.strip_prefix("--"), name.chars().nth(1)) {
            (Some(long), _) => argument.long(long),
            (None, Some(short)) => argument.short(short),
            (None, None) => argument,
        };
    }
    if row.values.is_empty() {
        return argument.action(ArgAction::SetTrue);
    }
    argument = argument
        .value_names(row.values)
        .num_args(row.values.len())
        .action(if row.repeats {
            ArgAction::Append
        } else {
            ArgAction::Set
        });
    match row.hint {
        Hint::Any => argument,
        Hint::File => argument.value_hint(ValueHint::FilePath),
        Hint::Folder => argument.value_hint(ValueHint::DirPath),
        // The help says what they are.
        Hint::OneOf(choices) => argument
            .value_parser(choices.to_vec())
            .hide_possible_values(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_can_be_described() {
        for tool in [Tool::Pub, Tool::Sub, Tool::Rr, Tool::Ctrl] {
            command(tool, "tool").debug_assert();
        }
    }
}
