//! What `pub`, `sub` and `rr` do before their own work: read the command line, answer `--help`, make a runtime, take Ctrl-C.

use std::ffi::OsString;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::connect::failure::code;
use crate::options::command_line::{CommandLine, Program};
use crate::options::table::Tool;
use crate::options::{Environment, Parsed, Wrong, parse};
use crate::{describe, say};

/// What the command line asks for; or the exit code, when everything has been said.
pub(crate) fn read(
    tool: Tool,
    program: Program,
    arguments: &[OsString],
) -> Result<CommandLine, ExitCode> {
    let name = program.name(tool);
    match parse(tool, program, arguments, &Environment::of_process()) {
        Ok(Parsed::Run(line, _)) => Ok(*line),
        Ok(Parsed::Saved) => Err(ExitCode::SUCCESS),
        Ok(Parsed::Help) => {
            say::out(&describe::command(tool, &name).render_help().to_string());
            Err(answered(program))
        }
        Ok(Parsed::Version) => {
            tell_version(&name);
            Err(answered(program))
        }
        Err(Wrong(message)) => {
            say::error(message.strip_suffix('\n').unwrap_or(&message));
            Err(misused(tool, program))
        }
    }
}

/// Says which version it is, as Mosquitto's tools do.
pub(crate) fn tell_version(name: &str) {
    let version = env!("CARGO_PKG_VERSION");
    say::out(&format!(
        "{name} version {version} running on wigwag {version}.\n"
    ));
}

/// Says where help is; the exit code of a wrong command line.
pub(crate) fn misused(tool: Tool, program: Program) -> ExitCode {
    let name = program.name(tool);
    say::error(&format!("\nUse '{name} --help' to see usage."));
    code::FAILURE.into()
}

/// Mosquitto's tools call it a failure to be asked for help.
fn answered(program: Program) -> ExitCode {
    match program {
        Program::Wigwag => ExitCode::SUCCESS,
        Program::Mosquitto => code::FAILURE.into(),
    }
}

/// A runtime for one connection.
pub(crate) fn runtime() -> Result<Runtime, ExitCode> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            say::error(&format!("Error: {error}"));
            code::FAILURE.into()
        })
}

/// Ctrl-C: from here on it no longer kills the process, and none is missed. Needs a runtime.
pub(crate) fn interrupts() -> Result<Signal, u8> {
    signal(SignalKind::interrupt()).map_err(|error| {
        say::error(&format!("Error: {error}"));
        code::FAILURE
    })
}
