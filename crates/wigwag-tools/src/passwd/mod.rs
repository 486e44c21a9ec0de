//! `wigwag passwd`, `mosquitto_passwd`: looks after the users of a password file.
//!
//! What a hash is, and how a file is edited, is known in `wigwag-access`; here are the command line, the prompts and the
//! file on the disk.

mod arguments;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, ValueHint};
use wigwag_access::password::PasswordHash;
use wigwag_access::password_file::{with_plain_hashed, with_user, without_user};
use wigwag_access::scram::Credentials;

use self::arguments::{Arguments, Method, Refusal, Target, Task};
use crate::files;
use crate::prompt::{self, PromptError};
use crate::say;

/// What it does, in one line.
pub const ABOUT: &str = "Look after the users of a password file";

/// The code when the password was not the same twice, as Mosquitto's tool has it.
const MISMATCH: u8 = 2;

/// Runs the tool with what stands behind its name on the command line.
pub fn run(program: &str, arguments: &[OsString]) -> ExitCode {
    let words: Option<Vec<String>> = arguments
        .iter()
        .map(|argument| argument.to_str().map(str::to_owned))
        .collect();
    let parsed = match words {
        Some(words) => Arguments::parse(&words),
        None => Err(Refusal::Error("The command line is not UTF-8.".to_owned())),
    };
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(Refusal::Usage) => {
            help(program);
            return ExitCode::FAILURE;
        }
        Err(Refusal::Error(what)) => {
            say::error(&format!("Error: {what}"));
            return ExitCode::FAILURE;
        }
    };
    let Arguments { task, json } = arguments;
    match task.run(program, Report { json }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// What the tool takes, for its help, its man page and completions.
pub fn command(program: &str) -> Command {
    let flag = |name: char, help: &'static str| {
        Arg::new(name.to_string())
            .short(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    Command::new(program.to_owned())
        .about(ABOUT)
        .disable_help_flag(true)
        .override_usage(format!(
            "{program} [-H HASH] [-I N] [-c | -D] FILE USER\n       {program} [-H HASH] [-I N] [-c] -b FILE USER PASSWORD\n       {program} [-H HASH] [-I N] -U FILE"
        ))
        .args([
            flag('c', "Write a new file with this user alone, in the place of any that is there; - is the standard output"),
            flag('b', "Take the password from the command line, where others can see it"),
            flag('D', "Delete the user"),
            flag('U', "Hash the passwords that stand in the file in plain; what is hashed already stays"),
            Arg::new("hash")
                .short('H')
                .value_name("HASH")
                .value_parser(["argon2id", "sha512-pbkdf2", "sha512", "scram-sha-256"])
                .hide_possible_values(true)
                .help("How the password is kept: argon2id (which Mosquitto before 2.1 cannot read), sha512-pbkdf2, sha512, or scram-sha-256 for logging in with SCRAM [default: argon2id]"),
            Arg::new("iterations")
                .short('I')
                .value_name("N")
                .help("So many rounds; without -H it means sha512-pbkdf2"),
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Say what was done as a line of JSON"),
            Arg::new("help")
                .long("help")
                .action(ArgAction::Help)
                .help("Print this"),
            Arg::new("FILE")
                .value_hint(ValueHint::FilePath)
                .help("The password file"),
            Arg::new("USER").help("The user name"),
            Arg::new("PASSWORD").help("The password, with -b"),
        ])
}

fn help(program: &str) {
    // Whoever has closed the output does not want to read it.
    _ = command(program).print_help();
}

impl Task {
    fn run(self, program: &str, report: Report) -> Result<(), Failure> {
        match self {
            Task::Help => help(program),
            Task::Create {
                target,
                user,
                password,
                method,
            } => {
                let password = match password {
                    Some(password) => password,
                    None => asked()?,
                };
                let text = with_user("", &user, &method.hash(&password)?).map_err(Failure::of)?;
                match target {
                    Target::Output => io::stdout()
                        .write_all(text.as_bytes())
                        .map_err(|error| Failure::Error(files::reason(&error)))?,
                    Target::File(file) => {
                        files::write(&file, text.as_bytes()).map_err(|error| {
                            Failure::file("Unable to open file", &file, " for writing", &error)
                        })?;
                        report.say("Adding password for user", "added", &user, &file);
                    }
                }
            }
            Task::Set {
                file,
                user,
                password,
                method,
            } => set(&file, &user, password, method, report)?,
            Task::Delete { file, user } => {
                let text = read(&file)?;
                let Some(text) = without_user(&text, &user) else {
                    return Err(Failure::NoUser(user));
                };
                write(&file, &text)?;
                report.record("deleted", &user, &file);
            }
            Task::HashPlain { file, method } => hash_plain(&file, method, report)?,
        }
        Ok(())
    }
}

fn set(
    file: &Path,
    user: &str,
    password: Option<String>,
    method: Method,
    report: Report,
) -> Result<(), Failure> {
    // Before anybody types a password for nothing.
    let text = read(file)?;
    let password = match password {
        Some(password) => password,
        None => asked()?,
    };
    let edited = with_user(&text, user, &method.hash(&password)?).map_err(Failure::of)?;
    write(file, &edited)?;
    if without_user(&text, user).is_some() {
        report.say("Updating password for user", "updated", user, file);
    } else {
        report.say("Adding password for user", "added", user, file);
    }
    Ok(())
}

fn hash_plain(file: &Path, method: Method, report: Report) -> Result<(), Failure> {
    let text = read(file)?;
    let mut count = 0_u64;
    let edited = with_plain_hashed(&text, |password| {
        count += 1;
        method.hash(password)
    })?;
    if count > 0 {
        write(file, &edited)?;
    }
    report.count("hashed", count, file);
    Ok(())
}

impl Method {
    fn hash(self, password: &str) -> Result<PasswordHash, Failure> {
        match self {
            Method::Hash(scheme) => Ok(PasswordHash::make(scheme, password.as_bytes(), &random())),
            Method::Scram(iterations) => Credentials::derive(password, random(), iterations)
                .map(PasswordHash::from)
                .map_err(Failure::of),
        }
    }
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness once it has started");
    bytes
}

fn asked() -> Result<String, Failure> {
    let password = prompt::new_password("Password: ", "Reenter password: ")?;
    Ok(password)
}

fn read(file: &Path) -> Result<String, Failure> {
    let bytes = fs::read(file)
        .map_err(|error| Failure::file("Unable to open password file", file, "", &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        Failure::Error(format!(
            "Corrupt password file at line {line}: it is not UTF-8."
        ))
    })
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    files::replace(file, text.as_bytes())
        .map_err(|error| Failure::file("Unable to open file", file, " for writing", &error))
}

/// Says what was done.
#[derive(Clone, Copy)]
struct Report {
    json: bool,
}

impl Report {
    fn say(self, what: &str, action: &str, user: &str, file: &Path) {
        if self.json {
            self.record(action, user, file);
        } else {
            say::out(&format!("{what} {user}\n"));
        }
    }

    /// What is said in JSON alone.
    fn record(self, action: &str, user: &str, file: &Path) {
        if self.json {
            let file = file.display().to_string();
            say::out(&format!(
                "{}\n",
                serde_json::json!({ "action": action, "file": file, "user": user })
            ));
        }
    }

    fn count(self, action: &str, count: u64, file: &Path) {
        if self.json {
            let file = file.display().to_string();
            say::out(&format!(
                "{}\n",
                serde_json::json!({ "action": action, "count": count, "file": file })
            ));
        }
    }
}

/// Why it was not done.
enum Failure {
    Error(String),
    NoUser(String),
    Prompt(PromptError),
}

impl From<PromptError> for Failure {
    fn from(error: PromptError) -> Failure {
        Failure::Prompt(error)
    }
}

impl Failure {
    fn of(error: impl std::error::Error) -> Failure {
        Failure::Error(format!("{error}."))
    }

    fn file(what: &str, file: &Path, purpose: &str, error: &io::Error) -> Failure {
        let file = file.display();
        Failure::Error(format!("{what} {file}{purpose}. {}.", files::reason(error)))
    }

    fn tell(self) -> ExitCode {
        match self {
            Failure::Error(what) => say::error(&format!("Error: {what}")),
            Failure::NoUser(user) => {
                say::error(&format!("Warning: User {user} not found in password file."));
            }
            Failure::Prompt(PromptError::Interrupted) => {
                say::out("\n");
                return prompt::INTERRUPTED.into();
            }
            Failure::Prompt(error @ PromptError::Mismatch) => {
                say::error(&format!("Error: {error}"));
                return MISMATCH.into();
            }
            Failure::Prompt(error) => say::error(&format!("Error: {error}")),
        }
        ExitCode::FAILURE
    }
}
