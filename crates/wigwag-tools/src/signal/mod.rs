//! `wigwag signal`, `mosquitto_signal`: sends a broker on this machine the signals that it knows.
//!
//! Which processes there are is read from `/proc`; what a signal does is the broker's business.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::files;
use crate::say;

/// What it does, in one line.
pub const ABOUT: &str = "Tell a running broker to read its configuration again, to save, to stop …";

/// What can be sent: its name, the signal, and what comes of it.
const SIGNALS: &[(&str, Signal, &str)] = &[
    (
        "config-reload",
        Signal::SIGHUP,
        "Read the configuration file again",
    ),
    (
        "log-rotate",
        Signal::SIGHUP,
        "Open the log file anew; the configuration is read again too",
    ),
    ("shutdown", Signal::SIGINT, "Stop"),
    (
        "tree-print",
        Signal::SIGUSR2,
        "Print the subscriptions on the broker's standard output",
    ),
    (
        "save",
        Signal::SIGUSR1,
        "Write what is to outlive the broker to the disk",
    ),
];

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// `-a`.
    All,
    /// `-p`.
    Process(Pid),
}

/// Why a command line is none.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Usage,
    Error(String),
}

/// Runs the tool with what stands behind its name on the command line.
pub fn run(program: &str, arguments: &[OsString]) -> ExitCode {
    if arguments.first().is_some_and(|first| first == "--help") {
        help(program);
        return ExitCode::SUCCESS;
    }
    let sent = match parse(arguments) {
        Ok((target, signal)) => send(target, signal),
        Err(Refusal::Usage) => {
            help(program);
            return ExitCode::FAILURE;
        }
        Err(Refusal::Error(what)) => Err(vec![format!("Error: {what}")]),
    };
    match sent {
        Ok(()) => ExitCode::SUCCESS,
        Err(failures) => {
            failures.iter().for_each(|failure| say::error(failure));
            ExitCode::FAILURE
        }
    }
}

/// What the tool takes, for its help, its man page and completions.
pub fn command(program: &str) -> Command {
    let names = SIGNALS.iter().map(|(name, ..)| *name);
    let meanings = SIGNALS
        .iter()
        .map(|(name, _, meaning)| format!("  {name:<14} {meaning}\n"));
    Command::new(program.to_owned())
        .about(ABOUT)
        .disable_help_flag(true)
        .override_usage(format!("{program} {{-a | -p PID}} SIGNAL"))
        .args([
            Arg::new("all")
                .short('a')
                .action(ArgAction::SetTrue)
                .help("Every broker on this machine: processes called mosquitto, and those of wigwag broker"),
            Arg::new("pid")
                .short('p')
                .value_name("PID")
                .help("The process with this number"),
            Arg::new("help")
                .long("help")
                .action(ArgAction::Help)
                .help("Print this"),
            Arg::new("SIGNAL")
                .value_parser(names.collect::<Vec<_>>())
                .hide_possible_values(true)
                .help("What it is told"),
        ])
        .after_help(format!("Signals:\n{}", meanings.collect::<String>()))
}

fn help(program: &str) {
    // Whoever has closed the output does not want to read it.
    _ = command(program).print_help();
}

fn parse(arguments: &[OsString]) -> Result<(Target, Signal), Refusal> {
    let error = |what: &str| Err(Refusal::Error(what.to_owned()));
    let mut rest = arguments;
    let mut target = None;
    loop {
        rest = match rest {
            [first, rest @ ..] if first == "-a" => {
                target = Some(Target::All);
                rest
            }
            [first, pid, rest @ ..] if first == "-p" => {
                let pid = pid.to_str().and_then(|pid| pid.parse::<i32>().ok());
                match pid {
                    Some(pid) if pid > 0 => target = Some(Target::Process(Pid::from_raw(pid))),
                    _ => return error("Process ID must be >0."),
                }
                rest
            }
            [first] if first == "-p" => {
                return error("-p argument given but process ID missing.");
            }
            _ => break,
        };
    }
    match (target, rest) {
        (None, []) => Err(Refusal::Usage),
        (None, _) => error("One of -a or -p must be used."),
        (Some(_), []) => error("No signal given."),
        (Some(target), [name, ..]) => {
            let mut signals = SIGNALS.iter();
            match signals.find(|(known, ..)| *known == name.as_os_str()) {
                Some((_, signal, _)) => Ok((target, *signal)),
                None if name == "xtreport" => error(
                    "xtreport: only a Mosquitto that was built for it writes this report; it ends every other broker.",
                ),
                None => error(&format!("Unknown signal '{}'.", name.to_string_lossy())),
            }
        }
    }
}

fn send(target: Target, signal: Signal) -> Result<(), Vec<String>> {
    let pids = match target {
        Target::Process(pid) => vec![pid],
        Target::All => match brokers() {
            Ok(pids) if pids.is_empty() => {
                return Err(vec![
                    "Error: No broker is running on this machine.".to_owned(),
                ]);
            }
            Ok(pids) => pids,
            Err(error) => {
                let reason = files::reason(&error);
                return Err(vec![format!("Error reading /proc: {reason}.")]);
            }
        },
    };
    let failures: Vec<String> = pids
        .into_iter()
        .filter_map(|pid| send_one(pid, signal).err())
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

fn send_one(pid: Pid, signal: Signal) -> Result<(), String> {
    // What a process does not listen for ends it, and only one of the signals is meant to.
    if signal != Signal::SIGINT && !listens(pid, signal).unwrap_or(true) {
        return Err(format!(
            "Error: Process {pid} does not listen for {signal}, which would end it. Is it a broker with a configuration file?"
        ));
    }
    kill(pid, signal)
        .map_err(|error| format!("Error sending signal to process {pid}: {}", error.desc()))
}

/// Whether a process does something of its own at a signal; `None` where that cannot be seen.
fn listens(pid: Pid, signal: Signal) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mask = |name: &str| {
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    let handled = mask("SigCgt:")? | mask("SigIgn:")?;
    Some(handled & (1 << (signal as i32 - 1)) != 0)
}

/// The brokers among the processes of this machine.
fn brokers() -> io::Result<Vec<Pid>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process may have gone meanwhile.
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if is_broker(&command_line) {
            pids.push(Pid::from_raw(pid));
        }
    }
    pids.sort_unstable();
    Ok(pids)
}

fn is_broker(command_line: &[u8]) -> bool {
    let mut arguments = command_line.split(|byte| *byte == 0);
    let program = arguments.next().unwrap_or_default();
    match program.rsplit(|byte| *byte == b'/').next() {
        Some(b"mosquitto") => true,
        Some(b"wigwag") => {
            arguments.find(|argument| !argument.starts_with(b"-")) == Some(b"broker")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Target, Signal), Refusal> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&arguments)
    }

    #[test]
    fn a_target_and_a_signal_are_needed() {
        assert_eq!(
            parsed("-p 7 config-reload"),
            Ok((Target::Process(Pid::from_raw(7)), Signal::SIGHUP))
        );
        assert_eq!(parsed("-a save"), Ok((Target::All, Signal::SIGUSR1)));
        assert_eq!(parsed(""), Err(Refusal::Usage));
        let check = |line: &str, expect: &str| {
            assert_eq!(
                parsed(line),
                Err(Refusal::Error(expect.to_owned())),
                "{line}"
            );
        };
        check("shutdown", "One of -a or -p must be used.");
        check("-a", "No signal given.");
        check("-p", "-p argument given but process ID missing.");
        check("-p x shutdown", "Process ID must be >0.");
        check("-p 0 shutdown", "Process ID must be >0.");
        check("-a nothing", "Unknown signal 'nothing'.");
    }

    #[test]
    fn brokers_are_known_by_their_command_line() {
        assert!(is_broker(b"/usr/sbin/mosquitto\0-c\0/etc/x\0"));
        assert!(is_broker(b"wigwag\0-v\0broker\0-c\0x\0"));
        assert!(!is_broker(b"wigwag\0bench\0broker\0"));
        assert!(!is_broker(b"/usr/bin/mosquitto_sub\0-t\0x\0"));
        assert!(!is_broker(b""));
    }
}
