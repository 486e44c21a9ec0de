//! As what the binary has been called: as itself, or as one of the programs of Mosquitto's that it stands in for.
//!
//! The command lines of those are not of clap's kind, so what they are is decided before clap sees anything.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use wigwag_tools::entry::Entry;
use wigwag_tools::options::command_line::Program;

/// As what, and with which arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Called<'a> {
    /// `mosquitto`.
    Broker,
    /// `mosquitto_passwd`, `wigwag passwd`.
    Tool(Entry, Program, &'a [OsString]),
    /// `wigwag help passwd`.
    HelpOn(Entry),
    /// `wigwag -v passwd`: options of ours where the tool cannot see them.
    Misplaced(Entry),
    /// `wigwag` with anything else.
    Ours,
}

pub(crate) fn as_what(arguments: &[OsString]) -> Called<'_> {
    let [program, rest @ ..] = arguments else {
        return Called::Ours;
    };
    let program = Path::new(program).file_name().and_then(OsStr::to_str);
    match program {
        Some("mosquitto") => return Called::Broker,
        Some(program) => {
            if let Some(entry) = Entry::of_program(program) {
                return Called::Tool(entry, Program::Mosquitto, rest);
            }
        }
        None => {}
    }
    let tool = |word: &OsString| word.to_str().and_then(Entry::of_subcommand);
    if let [word, arguments @ ..] = rest
        && let Some(entry) = tool(word)
    {
        return Called::Tool(entry, Program::Wigwag, arguments);
    }
    if let [help, word] = rest
        && help == "help"
        && let Some(entry) = tool(word)
    {
        return Called::HelpOn(entry);
    }
    let mut words = rest.iter().skip_while(|word| is_volume(word));
    words
        .next()
        .and_then(tool)
        .map_or(Called::Ours, Called::Misplaced)
}

/// `-v`, `-q` and their like, which stand before a subcommand too.
fn is_volume(word: &OsStr) -> bool {
    let Some(word) = word.to_str() else {
        return false;
    };
    let is_short = |letters: &str| !letters.is_empty() && letters.chars().all(|c| "vq".contains(c));
    matches!(word, "--verbose" | "--quiet") || word.strip_prefix('-').is_some_and(is_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_and_the_first_word_decide() {
        let check = |line: &str, expect: Called<'_>| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(as_what(&arguments), expect, "{line}");
        };
        check("mosquitto", Called::Broker);
        check("/usr/sbin/mosquitto -c x", Called::Broker);
        check("/opt/mosquitto/wigwag", Called::Ours);
        check("wigwag broker passwd", Called::Ours);
        let words = ["-c".into(), "f".into()];
        check(
            "wigwag passwd -c f",
            Called::Tool(Entry::Passwd, Program::Wigwag, &words),
        );
        check(
            "/usr/bin/mosquitto_passwd -c f",
            Called::Tool(Entry::Passwd, Program::Mosquitto, &words),
        );
        check("wigwag help ctrl", Called::HelpOn(Entry::Ctrl));
        check("wigwag help broker", Called::Ours);
        check("wigwag -vv --quiet ctrl", Called::Misplaced(Entry::Ctrl));
        check("wigwag -x ctrl", Called::Ours);
    }
}
