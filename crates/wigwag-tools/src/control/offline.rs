//! `-f`: dynamic security in a file, without a broker. Commands are carried out by what carries them out in the broker.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wigwag_access::control::DYNSEC_TOPIC;
use wigwag_access::dynsec::{Environment, State};
use wigwag_access::password::{PasswordHash, Scheme};
use wigwag_access::rules::Who;

use super::Endpoint;
use super::command::Command;
use super::failure::Failure;
use super::verbs::{Module, new_password};
use crate::files;
use crate::passwd::random;
use crate::say;

/// A file that a broker has, or will have.
#[derive(Debug)]
pub(super) struct DataFile {
    path: PathBuf,
}

impl DataFile {
    pub(super) fn new(path: &Path) -> DataFile {
        DataFile {
            path: path.to_owned(),
        }
    }

    fn read(&self) -> Result<State, Failure> {
        let path = self.path.display();
        let text = fs::read(&self.path).map_err(|error| {
            let reason = files::reason(&error);
            Failure::invalid(format!("Error: Unable to open {path}. {reason}."))
        })?;
        let (state, warnings) = State::load(&text).map_err(|error| {
            let what = error.0.join("\n  ");
            Failure::invalid(format!(
                "Error: {path} is not a valid dynamic-security config file.\n  {what}"
            ))
        })?;
        // Whoever writes the file is to know what will be missing in it.
        for what in warnings {
            say::error(&format!("Warning: {path}: {what}"));
        }
        Ok(state)
    }
}

impl Endpoint for DataFile {
    fn ask(&mut self, module: Module, command: &Command) -> Result<Vec<u8>, Failure> {
        if module.topic() != DYNSEC_TOPIC {
            let what = "Error: -f is a file of dynamic security; it says nothing of the broker.";
            return Err(Failure::local(what, 1));
        }
        let mut state = self.read()?;
        let outcome = state.carry_out(
            command.payload().as_bytes(),
            Environment {
                from: Who {
                    client_id: "",
                    user_name: None,
                },
                scheme: Scheme::PBKDF2,
                salt: &mut random,
                connections: None,
            },
        );
        if outcome.is_change() {
            let text = state.document();
            files::replace(&self.path, text.as_bytes()).map_err(|error| {
                let (path, reason) = (self.path.display(), files::reason(&error));
                Failure::local(format!("Error: Unable to write to {path}. {reason}."), 13)
            })?;
        }
        Ok(outcome.reply().into_bytes())
    }

    fn name(&self) -> String {
        format!("file:{}", self.path.display())
    }
}

/// `dynsec init`: makes a file with an administrator. Says what to do next.
pub(super) fn init(program: &str, words: &[String]) -> Result<String, Failure> {
    let (file, user, password) = match words {
        [] | [_] => {
            let what = "dynsec init: Not enough arguments - filename, or admin-user missing.";
            return Err(Failure::invalid(what.to_owned()));
        }
        [file, user] => (file, user, new_password(user)?),
        [file, user, password] => (file, user, password.clone()),
        _ => {
            let what = "dynsec init: Too many arguments.";
            return Err(Failure::invalid(what.to_owned()));
        }
    };
    let hash = PasswordHash::make(Scheme::PBKDF2, password.as_bytes(), &random());
    let text = State::with_administrator(user, hash).document();
    files::create(Path::new(file), text.as_bytes()).map_err(|error| {
        Failure::refused(match error.kind() {
            io::ErrorKind::AlreadyExists => format!(
                "dynsec init: '{file}' already exists. Remove the file or use a different location.."
            ),
            _ => format!(
                "dynsec init: Unable to open '{file}' for writing ({}).",
                files::reason(&error)
            ),
        })
    })?;
    Ok(format!(
        "The client '{user}' has been created in the file '{file}'.
It may administer dynamic security, and read what the broker and its clients say, but tell them nothing.
Whoever is to talk needs a client of his own, with a role, once the broker runs with this file:
   {program} <connect options> dynsec createClient <username>
   {program} <connect options> dynsec createRole <rolename>
   {program} <connect options> dynsec addRoleACL <rolename> publishClientSend my/topic allow
   {program} <connect options> dynsec addClientRole <username> <rolename>
"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_changed_as_a_broker_changes_it() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("dynsec.json");
        let words = [path.to_str().expect("text"), "root", "secret"].map(str::to_owned);
        init("wigwag ctrl", &words).expect("a new file");
        assert_eq!(
            init("wigwag ctrl", &words).expect_err("it is there").code,
            1
        );
        let mut file = DataFile::new(&path);
        let mut command = Command::new("createClient");
        command.push("username", "bob");
        let ask = |file: &mut DataFile| {
            let reply = file.ask(Module::Dynsec, &command).expect("carried out");
            String::from_utf8(reply).expect("text")
        };
        assert_eq!(
            ask(&mut file),
            r#"{"responses":[{"command":"createClient"}]}"#
        );
        assert!(ask(&mut file).contains("Client already exists"));
        let failure = file.ask(Module::Broker, &Command::new("listPlugins"));
        assert_eq!(failure.expect_err("no broker").code, 1);
        let failure = DataFile::new(Path::new("/nonexistent")).ask(Module::Dynsec, &command);
        assert_eq!(failure.expect_err("no file").code, 3);
    }
}
