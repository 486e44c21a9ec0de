//! The command line of `passwd`: Mosquitto's, with its messages.
//!
//! Options come first and each on its own; what follows them is a file, a user, a password.

use std::num::NonZeroU32;
use std::path::PathBuf;

use wigwag_access::password::Scheme;

/// The most rounds that a password file may ask of whoever reads it.
const ITERATIONS_MAX: u32 = 10_000_000;

/// As many as the servers of our own take at least.
const SCRAM_ITERATIONS: u32 = 4_096;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Print the help.
    Help,
    /// `-c`: a file with this user alone.
    Create {
        target: Target,
        user: String,
        password: Option<String>,
        method: Method,
    },
    /// Give a user a password.
    Set {
        file: PathBuf,
        user: String,
        password: Option<String>,
        method: Method,
    },
    /// `-D`: take a user out.
    Delete { file: PathBuf, user: String },
    /// `-U`: hash what stands there in plain.
    HashPlain { file: PathBuf, method: Method },
}

/// Where a new file goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Output,
    File(PathBuf),
}

/// How passwords are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Hash(Scheme),
    /// Credentials for SCRAM-SHA-256.
    Scram(NonZeroU32),
}

/// What is asked for, with what concerns every task.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) task: Task,
    pub(super) json: bool,
}

/// Why a command line is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It says so little that the help is the answer.
    Usage,
    /// This is wrong with it.
    Error(String),
}

#[derive(Default)]
struct Options {
    batch: bool,
    create: bool,
    delete: bool,
    hash_plain: bool,
    json: bool,
    hash: Option<String>,
    iterations: Option<NonZeroU32>,
}

impl Arguments {
    pub(super) fn parse(arguments: &[String]) -> Result<Arguments, Refusal> {
        let mut options = Options::default();
        let mut rest = arguments;
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "--help" => {
                    return Ok(Arguments {
                        task: Task::Help,
                        json: false,
                    });
                }
                "--json" => options.json = true,
                "-b" => options.batch = true,
                "-c" => options.create = true,
                "-D" => options.delete = true,
                "-U" => options.hash_plain = true,
                "-H" | "-I" => {
                    let [value, others @ ..] = others else {
                        return error(format!(
                            "{first} argument given but not enough other arguments."
                        ));
                    };
                    match first.as_str() {
                        "-H" => options.hash = Some(value.clone()),
                        _ => options.iterations = Some(iterations(value)?),
                    }
                    rest = others;
                    continue;
                }
                _ => break,
            }
            rest = others;
        }
        Ok(Arguments {
            json: options.json,
            task: options.task(rest)?,
        })
    }
}

impl Options {
    fn task(self, rest: &[String]) -> Result<Task, Refusal> {
        let method = self.method()?;
        for (is_wrong, what) in [
            (self.create && self.delete, "-c and -D"),
            (self.create && self.hash_plain, "-c and -U"),
            (self.delete && self.hash_plain, "-D and -U"),
            (self.delete && self.batch, "-b and -D"),
        ] {
            if is_wrong {
                return error(format!("{what} cannot be used together."));
            }
        }
        let task = match (&self, rest) {
            (Options { create: true, .. }, [file, user, rest @ ..]) => {
                let password = self.batch.then(|| rest.first().cloned());
                if password == Some(None) {
                    return error(
                        "-c argument given but password file, username, or password missing.",
                    );
                }
                Task::Create {
                    target: match file.as_str() {
                        "-" => Target::Output,
                        file => Target::File(file.into()),
                    },
                    user: checked_user(user)?,
                    password: checked_password(password.flatten())?,
                    method,
                }
            }
            (Options { create: true, .. }, _) if self.batch => {
                return error(
                    "-c argument given but password file, username, or password missing.",
                );
            }
            (Options { create: true, .. }, _) => {
                return error("-c argument given but password file or username missing.");
            }
            (Options { delete: true, .. }, [file, user, ..]) => Task::Delete {
                file: file.into(),
                user: user.clone(),
            },
            (Options { delete: true, .. }, _) => {
                return error("-D argument given but password file or username missing.");
            }
            (
                Options {
                    hash_plain: true, ..
                },
                [file],
            ) => Task::HashPlain {
                file: file.into(),
                method,
            },
            (
                Options {
                    hash_plain: true, ..
                },
                _,
            ) => return error("-U argument given but password file missing."),
            (Options { batch: true, .. }, [file, user, password]) => Task::Set {
                file: file.into(),
                user: checked_user(user)?,
                password: checked_password(Some(password.clone()))?,
                method,
            },
            (Options { batch: false, .. }, [file, user]) => Task::Set {
                file: file.into(),
                user: checked_user(user)?,
                password: None,
                method,
            },
            _ => return Err(Refusal::Usage),
        };
        Ok(task)
    }

    fn method(&self) -> Result<Method, Refusal> {
        let method = match (self.hash.as_deref(), self.iterations) {
            (None | Some("argon2id"), None) => Method::Hash(Scheme::ARGON2ID),
            // It was the default when rounds could be chosen.
            (None | Some("sha512-pbkdf2"), Some(iterations)) => {
                Method::Hash(Scheme::Pbkdf2(iterations))
            }
            (Some("sha512-pbkdf2"), None) => Method::Hash(Scheme::PBKDF2),
            (Some("sha512"), None) => Method::Hash(Scheme::Sha512),
            (Some("scram-sha-256"), None) => {
                Method::Scram(NonZeroU32::new(SCRAM_ITERATIONS).unwrap_or(NonZeroU32::MIN))
            }
            (Some("scram-sha-256"), Some(iterations)) if iterations.get() >= SCRAM_ITERATIONS => {
                Method::Scram(iterations)
            }
            (Some("scram-sha-256"), Some(_)) => {
                return error(format!(
                    "Number of iterations for scram-sha-256 must be {SCRAM_ITERATIONS} or more."
                ));
            }
            (Some(hash @ ("argon2id" | "sha512")), Some(_)) => {
                return error(format!(
                    "-I is for sha512-pbkdf2 and scram-sha-256; {hash} has no iterations."
                ));
            }
            (Some(hash), _) => return error(format!("Unknown hash type '{hash}'")),
        };
        Ok(method)
    }
}

fn iterations(value: &str) -> Result<NonZeroU32, Refusal> {
    match value.parse::<NonZeroU32>() {
        Ok(iterations) if iterations.get() <= ITERATIONS_MAX => Ok(iterations),
        Ok(_) => error(format!(
            "Number of iterations must be at most {ITERATIONS_MAX}."
        )),
        Err(_) => error("Number of iterations must be > 0."),
    }
}

fn checked_user(user: &str) -> Result<String, Refusal> {
    if user.len() > 65_535 {
        error("Username must be less than 65536 characters long.")
    } else if user.chars().any(char::is_control) {
        error("Username must not contain control characters.")
    } else if user.contains(':') {
        error("Username must not contain the ':' character.")
    } else {
        Ok(user.to_owned())
    }
}

fn checked_password(password: Option<String>) -> Result<Option<String>, Refusal> {
    match &password {
        Some(text) if text.len() > 65_535 => {
            error("Password must be less than 65536 characters long.")
        }
        _ => Ok(password),
    }
}

fn error<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Error(what.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task, Refusal> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&arguments).map(|arguments| arguments.task)
    }

    #[test]
    fn rounds_choose_the_hash_that_has_them() {
        let method = |line: &str| match parse(line) {
            Ok(Task::Set { method, .. }) => method,
            other => unreachable!("{line}: {other:?}"),
        };
        let rounds = |rounds| NonZeroU32::new(rounds).expect("not zero");
        assert_eq!(method("f u"), Method::Hash(Scheme::ARGON2ID));
        assert_eq!(method("-I 7 f u"), Method::Hash(Scheme::Pbkdf2(rounds(7))));
        assert_eq!(method("-H scram-sha-256 f u"), Method::Scram(rounds(4_096)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |line: &str, expect: &str| match parse(line) {
            Err(Refusal::Error(what)) => assert_eq!(what, expect, "{line}"),
            other => unreachable!("{line}: {other:?}"),
        };
        check(
            "-H argon2id -I 5 f u",
            "-I is for sha512-pbkdf2 and scram-sha-256; argon2id has no iterations.",
        );
        check(
            "-H scram-sha-256 -I 5 f u",
            "Number of iterations for scram-sha-256 must be 4096 or more.",
        );
        check(
            "-I 99999999 f u",
            "Number of iterations must be at most 10000000.",
        );
        check("-H md5 f u", "Unknown hash type 'md5'");
        assert_eq!(parse("f"), Err(Refusal::Usage));
        assert_eq!(parse("-x f u"), Err(Refusal::Usage));
    }
}
