//! `wigwag ctrl`, `mosquitto_ctrl`: administers a broker over its control topics, or a file of dynamic security without one.
//!
//! `verbs` has the commands, `answer` what is printed of their answers. They are asked of an endpoint: `online` is a
//! broker, `offline` a file. `shell` asks one after the other.

mod answer;
mod command;
mod completion;
mod failure;
mod offline;
mod online;
mod shell;
mod verbs;
mod words;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use self::answer::Answer;
use self::command::Command;
use self::failure::Failure;
use self::offline::DataFile;
use self::online::{Broker, Use};
use self::shell::{Shell, Wanted};
use self::verbs::{Module, Style};
use crate::begin::tell_version;
use crate::options::command_line::{CommandLine, Program, Source};
use crate::options::table::Tool;
use crate::options::{Environment, Parsed, Wrong, parse};
use crate::{describe, say};

/// Who carries commands out.
trait Endpoint {
    /// Hands a command over and gives what is answered.
    fn ask(&mut self, module: Module, command: &Command) -> Result<Vec<u8>, Failure>;

    /// What it is called in the prompt of the shell.
    fn name(&self) -> String;
}

/// Runs the tool with what stands behind its name on the command line.
pub fn run(program: Program, arguments: &[OsString]) -> ExitCode {
    let parsed = parse(Tool::Ctrl, program, arguments, &Environment::of_process());
    let (line, words) = match parsed {
        Ok(Parsed::Run(line, words)) => (line, words),
        Ok(Parsed::Saved) => return ExitCode::SUCCESS,
        Ok(Parsed::Help) => {
            // Whoever has closed the output does not want to read it.
            _ = command(program).print_help();
            return ExitCode::SUCCESS;
        }
        Ok(Parsed::Version) => {
            tell_version(&program.name(Tool::Ctrl));
            return ExitCode::SUCCESS;
        }
        Err(Wrong(what)) => {
            say::error(what.trim_end_matches('\n'));
            say::error(&format!("\n{}", hint(program)));
            return ExitCode::FAILURE;
        }
    };
    let words: Option<Vec<String>> = words
        .into_iter()
        .map(|word| word.into_string().ok())
        .collect();
    let done = match words {
        None => Err(Failure::local("Error: The command line is not UTF-8.", 1)),
        Some(words) => run_words(&line, &words),
    };
    match done {
        Ok(code) => code.into(),
        Err(failure) => {
            say::error(&failure.text);
            match program {
                Program::Mosquitto if failure.is_zero_in_mosquittos => ExitCode::SUCCESS,
                _ => failure.code.into(),
            }
        }
    }
}

/// The text behind the options: a module and its command, or nothing for the shell.
fn run_words(line: &CommandLine, words: &[String]) -> Result<u8, Failure> {
    let name = line.program.name(Tool::Ctrl);
    let [module, rest @ ..] = words else {
        return shell(line);
    };
    let module = Module::named(module).ok_or_else(|| Failure::no_module(module))?;
    let [verb, words @ ..] = rest else {
        say::out(&module_help(&name, module));
        return Ok(1);
    };
    if verb.eq_ignore_ascii_case("help") {
        say::out(&module_help(&name, module));
        return Ok(0);
    }
    if module == Module::Dynsec && verb.eq_ignore_ascii_case("init") {
        say::out(&offline::init(&name, words)?);
        return Ok(0);
    }
    let verb = module.verb(verb).ok_or_else(|| Failure::no_verb(verb))?;
    let command = verb.command(words, Style::CommandLine)?;
    let reply = match data_file(line) {
        Some(file) => DataFile::new(file).ask(module, &command)?,
        None => Broker::connect(line, &Wanted::default(), Use::Once)?.ask(module, &command)?,
    };
    let answer = Answer::read(&reply)?;
    if line.print.json {
        say::out(&answer.json());
    }
    match answer.refusal() {
        Some(_) if line.print.json => Err(Failure::refused("")),
        Some((command, error)) => Err(Failure::refused(format!("{command}: Error: {error}."))),
        None if line.print.json => Ok(0),
        None => {
            say::out(&answer.text(line.program)?);
            Ok(0)
        }
    }
}

fn shell(line: &CommandLine) -> Result<u8, Failure> {
    let is_interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut connect = |wanted: &Wanted| -> Result<Box<dyn Endpoint>, Failure> {
        Ok(Box::new(Broker::connect(line, wanted, Use::Shell)?))
    };
    let mut shell = Shell::new(line.program, is_interactive, &mut connect);
    match data_file(line) {
        Some(file) => shell.begin_at(Box::new(DataFile::new(file)), Some(Module::Dynsec)),
        None if online::is_named(line) => shell.begin_connected(),
        None => {}
    }
    shell.run()
}

/// `-f`.
fn data_file(line: &CommandLine) -> Option<&Path> {
    match &line.publish.source {
        Source::File(path) => Some(path),
        _ => None,
    }
}

fn hint(program: Program) -> String {
    format!("Use '{} --help' to see usage.", program.name(Tool::Ctrl))
}

/// What the tool takes, for its help, its man page and completions.
pub fn command(program: Program) -> clap::Command {
    let called = program.name(Tool::Ctrl);
    let modules = Module::ALL.map(|module| {
        format!(
            "{}: {}\n{}",
            module.name(),
            module.about(),
            list_of_verbs(module)
        )
    });
    describe::command(Tool::Ctrl, &called)
        .override_usage(format!(
            "{called} [OPTIONS] MODULE COMMAND [ARGUMENTS]\n       {called} [OPTIONS]\n\nWithout a module it is a shell."
        ))
        .arg(
            clap::Arg::new("MODULE")
                .value_parser(Module::ALL.map(Module::name))
                .help("Whose command it is"),
        )
        .arg(clap::Arg::new("COMMAND").help("What is to be done"))
        .arg(clap::Arg::new("ARGUMENTS").num_args(..).help("What the command takes"))
        .after_help(modules.join("\n"))
}

/// What is done without a broker, as `verbs` would say it.
const INIT: &str = "  init <file> <username> [<password>]
      Make a new file with an administrator, for a broker that is to be started with it
";

fn module_help(called: &str, module: Module) -> String {
    let (name, about) = (module.name(), module.about());
    let verbs = list_of_verbs(module);
    format!("{about}\n\nUsage: {called} [OPTIONS] {name} COMMAND [ARGUMENTS]\n\n{verbs}")
}

fn list_of_verbs(module: Module) -> String {
    let verbs = module.verbs().iter();
    let verbs = verbs.map(|verb| format!("  {}\n      {}\n", verb.usage(), verb.about));
    let init = match module {
        Module::Dynsec => INIT,
        Module::Broker => "",
    };
    [init.to_owned()].into_iter().chain(verbs).collect()
}
