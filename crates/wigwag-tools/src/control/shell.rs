//! The shell of `ctrl`: where it is, what can be said there, and what comes of it.
//!
//! It knows nothing of connections: whoever starts it says how a broker is reached.

use std::io;

use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor};

use super::answer::Answer;
use super::completion::Vocabulary;
use super::failure::Failure;
use super::verbs::{Module, Style, Verb};
use super::{Endpoint, words};
use crate::options::command_line::Program;
use crate::options::table::Tool;
use crate::{prompt, say};

/// How to reach a broker: what was said with `connect` and `auth`.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// None for the one of the command line.
    pub(super) url: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// Reaches a broker.
pub(super) type Connect<'a> = dyn FnMut(&Wanted) -> Result<Box<dyn Endpoint>, Failure> + 'a;

/// Where the shell is, and so what can be said.
enum Place {
    /// Nowhere yet.
    Outside,
    /// At a broker or a file.
    At(Box<dyn Endpoint>),
    /// In one of its modules.
    In(Box<dyn Endpoint>, Module),
}

pub(super) struct Shell<'a> {
    program: Program,
    connect: &'a mut Connect<'a>,
    wanted: Wanted,
    place: Place,
    /// Whether somebody types.
    is_interactive: bool,
    /// The code of the last command.
    code: u8,
}

/// Where lines come from.
enum Lines {
    /// Somebody types them.
    Typed(Box<Editor<Vocabulary, MemHistory>>),
    /// A file or a program says them; nobody needs a prompt. Passwords may stand between them, so it is not locked.
    Input(io::Stdin),
}

impl Lines {
    fn new(is_interactive: bool) -> Result<Lines, Failure> {
        if !is_interactive {
            return Ok(Lines::Input(io::stdin()));
        }
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .auto_add_history(true)
            .build();
        let history = MemHistory::with_config(&config);
        let editor = Editor::with_history(config, history).map_err(|error| unread(&error))?;
        Ok(Lines::Typed(Box::new(editor)))
    }

    /// The next line; none at the end of the input, or if Ctrl-C is typed.
    fn next(&mut self, shell: &mut Shell<'_>) -> Result<Option<String>, Failure> {
        match self {
            Lines::Input(input) => {
                let mut line = String::new();
                let len = input.read_line(&mut line).map_err(|error| unread(&error))?;
                Ok((len > 0).then_some(line))
            }
            Lines::Typed(editor) => {
                editor.set_helper(Some(shell.vocabulary()));
                match editor.readline(&shell.prompt()) {
                    Ok(line) => Ok(Some(line)),
                    Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
                    Err(error) => Err(unread(&error)),
                }
            }
        }
    }
}

fn unread(error: &impl std::error::Error) -> Failure {
    Failure::local(format!("Error: The input cannot be read: {error}."), 1)
}

/// A command of the shell itself: its name, what stands behind it, and what it does.
type Own = (&'static str, &'static str, &'static str);

const AUTH: Own = ("auth", "[<username>]", "Say as whom to connect");
const CONNECT: Own = (
    "connect",
    "[mqtt[s]|ws[s]://<host>[:<port>]]",
    "Connect to a broker; without an address, to that of the command line",
);
const DISCONNECT: Own = ("disconnect", "", "Leave the broker");
const RETURN: Own = ("return", "", "Leave the module");
const HELP: Own = ("help", "[<command>]", "Say what can be said here");
const EXIT: Own = ("exit", "", "End");
const DYNSEC: Own = ("dynsec", "", Module::Dynsec.about());
const BROKER: Own = ("broker", "", Module::Broker.about());

impl<'a> Shell<'a> {
    pub(super) fn new(
        program: Program,
        is_interactive: bool,
        connect: &'a mut Connect<'a>,
    ) -> Self {
        Shell {
            program,
            connect,
            wanted: Wanted::default(),
            place: Place::Outside,
            is_interactive,
            code: 0,
        }
    }

    /// Goes somewhere before the first line is read.
    pub(super) fn begin_at(&mut self, endpoint: Box<dyn Endpoint>, module: Option<Module>) {
        self.place = match module {
            Some(module) => Place::In(endpoint, module),
            None => Place::At(endpoint),
        };
    }

    /// Connects before the first line is read; if that fails, it can be tried again.
    pub(super) fn begin_connected(&mut self) {
        let connected = self.connected();
        self.settle(connected);
    }

    /// Reads and does what is said until the end; gives the code of the last command.
    pub(super) fn run(&mut self) -> Result<u8, Failure> {
        let mut lines = Lines::new(self.is_interactive)?;
        if self.is_interactive {
            let (name, version) = (self.program.name(Tool::Ctrl), env!("CARGO_PKG_VERSION"));
            say::out(&format!(
                "{name} shell {version}: \"help\" says what can be said, and the tab key completes it.\n"
            ));
        }
        loop {
            let Some(line) = lines.next(self)? else {
                return Ok(self.code);
            };
            let Some(words) = words::split(&line) else {
                self.settle(Err(Failure::refused("Error: A quote is not closed.")));
                continue;
            };
            let Some((first, rest)) = words.split_first() else {
                continue;
            };
            if first.eq_ignore_ascii_case(EXIT.0) {
                return Ok(self.code);
            }
            let done = self.handle(first, rest);
            self.settle(done);
        }
    }

    fn settle(&mut self, done: Result<(), Failure>) {
        self.code = match done {
            Ok(()) => 0,
            Err(failure) => {
                say::error(&failure.text);
                failure.code
            }
        };
    }

    fn prompt(&self) -> String {
        match &self.place {
            Place::Outside => "> ".to_owned(),
            Place::At(endpoint) => format!("{}> ", endpoint.name()),
            Place::In(endpoint, module) => format!("{}|{}> ", endpoint.name(), module.name()),
        }
    }

    /// The shell's own commands where it is.
    const fn own(&self) -> &'static [Own] {
        match self.place {
            Place::Outside => &[AUTH, CONNECT, HELP, EXIT],
            Place::At(_) => &[BROKER, DYNSEC, DISCONNECT, HELP, EXIT],
            Place::In(..) => &[RETURN, DISCONNECT, HELP, EXIT],
        }
    }

    fn handle(&mut self, first: &str, rest: &[String]) -> Result<(), Failure> {
        let mut own = self.own().iter();
        let own = own.find(|(name, ..)| name.eq_ignore_ascii_case(first));
        match (own.map(|(name, ..)| *name), &mut self.place) {
            (Some("help"), _) => self.help(rest.first()),
            (Some("auth"), _) => self.auth(rest.first()),
            (Some("connect"), _) => {
                self.wanted.url = rest.first().cloned();
                self.connected()
            }
            (Some("disconnect"), _) => {
                self.place = Place::Outside;
                Ok(())
            }
            (Some("return"), _) => {
                self.place = match std::mem::replace(&mut self.place, Place::Outside) {
                    Place::In(endpoint, _) => Place::At(endpoint),
                    place => place,
                };
                Ok(())
            }
            (Some(module), _) => {
                let place = std::mem::replace(&mut self.place, Place::Outside);
                self.place = match (place, Module::named(module)) {
                    (Place::At(endpoint), Some(module)) => Place::In(endpoint, module),
                    (place, _) => place,
                };
                Ok(())
            }
            (None, Place::In(endpoint, module)) => match module.verb(first) {
                Some(verb) => {
                    let answered = ask(endpoint.as_mut(), *module, verb, rest, self.program);
                    // Who has gone is not asked again.
                    if matches!(&answered, Err(failure) if failure.is_end) {
                        self.place = Place::Outside;
                    }
                    answered
                }
                None => Err(unknown(first)),
            },
            (None, _) => Err(unknown(first)),
        }
    }

    fn connected(&mut self) -> Result<(), Failure> {
        self.place = Place::At((self.connect)(&self.wanted)?);
        Ok(())
    }

    fn auth(&mut self, user: Option<&String>) -> Result<(), Failure> {
        let user = match user {
            Some(user) => user.clone(),
            None => prompt::line("username: ")?,
        };
        self.wanted.password = Some(prompt::password("password: ")?);
        self.wanted.user = Some(user);
        Ok(())
    }

    fn help(&self, about: Option<&String>) -> Result<(), Failure> {
        let module = match self.place {
            Place::In(_, module) => Some(module),
            _ => None,
        };
        let verbs = module.map_or(&[][..], Module::verbs);
        if let Some(name) = about {
            let own = self.own().iter();
            let verb = verbs
                .iter()
                .map(|verb| (verb.name, verb.usage(), verb.about))
                .chain(own.map(|(name, rest, about)| (*name, format!("{name} {rest}"), *about)))
                .find(|(own, ..)| own.eq_ignore_ascii_case(name));
            let (_, usage, about) = verb.ok_or_else(|| unknown(name))?;
            say::out(&format!("{}\n  {about}.\n", usage.trim_end()));
            return Ok(());
        }
        for verb in verbs {
            say::out(&format!("{:20} {}\n", verb.name, verb.about));
        }
        for (name, _, about) in self.own() {
            say::out(&format!("{name:20} {about}\n"));
        }
        Ok(())
    }

    /// What can be completed here. Names are fetched anew, because others may have changed them.
    fn vocabulary(&mut self) -> Vocabulary {
        let clients = self.names("listClients", "clients");
        let groups = self.names("listGroups", "groups");
        let roles = self.names("listRoles", "roles");
        Vocabulary {
            commands: self.own().iter().map(|(name, ..)| *name).collect(),
            module: match self.place {
                Place::In(_, module) => Some(module),
                _ => None,
            },
            clients,
            groups,
            roles,
        }
    }

    /// What a command lists; nothing if it cannot be said here.
    fn names(&mut self, verb: &str, list: &str) -> Vec<String> {
        let Place::In(endpoint, module) = &mut self.place else {
            return Vec::new();
        };
        let Some(verb) = module.verb(verb) else {
            return Vec::new();
        };
        match answer(endpoint.as_mut(), *module, verb, &[]) {
            Ok(answer) => answer.names(list),
            Err(failure) if failure.is_end => {
                self.place = Place::Outside;
                say::error(&failure.text);
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }
}

fn unknown(name: &str) -> Failure {
    Failure::refused(format!("Unknown command '{name}'"))
}

fn answer(
    endpoint: &mut dyn Endpoint,
    module: Module,
    verb: &Verb,
    words: &[String],
) -> Result<Answer, Failure> {
    let command = verb.command(words, Style::Shell)?;
    Answer::read(&endpoint.ask(module, &command)?)
}

/// Asks, and prints what is answered.
fn ask(
    endpoint: &mut dyn Endpoint,
    module: Module,
    verb: &Verb,
    words: &[String],
    program: Program,
) -> Result<(), Failure> {
    let answer = answer(endpoint, module, verb, words)?;
    if let Some((_, error)) = answer.refusal() {
        return Err(Failure::refused(error));
    }
    if verb.is_question() {
        say::out(&answer.text(program)?);
    } else {
        say::out("OK\n");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::super::command::Command;
    use super::*;

    /// A broker that answers nothing, and counts what it is asked.
    struct Silent(Rc<Cell<u32>>);

    impl Endpoint for Silent {
        fn ask(&mut self, _: Module, _: &Command) -> Result<Vec<u8>, Failure> {
            self.0.set(self.0.get() + 1);
            Err(Failure::no_reply("silence").and_end())
        }

        fn name(&self) -> String {
            "silent".to_owned()
        }
    }

    /// Does something at a silent broker: how often that is asked, and what is said where the shell is then.
    fn at_silent<T>(work: impl FnOnce(&mut Shell<'_>) -> T) -> (T, u32, String) {
        let asked = Rc::new(Cell::new(0));
        let mut connect = |_: &Wanted| -> Result<Box<dyn Endpoint>, Failure> {
            Err(Failure::refused("nobody is called here"))
        };
        let mut shell = Shell::new(Program::Wigwag, false, &mut connect);
        shell.begin_at(Box::new(Silent(Rc::clone(&asked))), Some(Module::Dynsec));
        let done = work(&mut shell);
        (done, asked.get(), shell.prompt())
    }

    #[test]
    fn whoever_does_not_answer_is_left() {
        let (done, asked, prompt) = at_silent(|shell| shell.handle("listClients", &[]));
        assert_eq!(done.map_err(|failure| failure.code), Err(27));
        assert_eq!((asked, prompt.as_str()), (1, "> "));
        // Nor is each prompt waited for three times.
        let (module, asked, prompt) = at_silent(|shell| shell.vocabulary().module);
        assert_eq!(module, None);
        assert_eq!((asked, prompt.as_str()), (1, "> "));
    }
}
