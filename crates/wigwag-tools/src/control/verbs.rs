//! The commands of the modules, as rows of a table: parser, help and completion are made from it.
//!
//! What a command brings about is the broker's business.

use super::command::Command;
use super::failure::Failure;
use crate::prompt::{self, PromptError};
use crate::say;

/// Whose commands they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Module {
    /// Users, groups and roles.
    Dynsec,
    /// The broker itself.
    Broker,
}

impl Module {
    pub(super) const ALL: [Module; 2] = [Module::Broker, Module::Dynsec];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Module::Dynsec => "dynsec",
            Module::Broker => "broker",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Module::Dynsec => "Dynamic security: clients (users), groups and roles",
            Module::Broker => "The broker itself",
        }
    }

    /// The topic on which it listens.
    pub(super) const fn topic(self) -> &'static str {
        match self {
            Module::Dynsec => wigwag_access::control::DYNSEC_TOPIC,
            Module::Broker => wigwag_access::control::BROKER_TOPIC,
        }
    }

    pub(super) fn named(name: &str) -> Option<Module> {
        let mut all = Module::ALL.into_iter();
        all.find(|module| module.name().eq_ignore_ascii_case(name))
    }

    pub(super) const fn verbs(self) -> &'static [Verb] {
        match self {
            Module::Dynsec => DYNSEC,
            Module::Broker => BROKER,
        }
    }

    pub(super) fn verb(self, name: &str) -> Option<&'static Verb> {
        let mut verbs = self.verbs().iter();
        verbs.find(|verb| verb.name.eq_ignore_ascii_case(name))
    }
}

/// A command and what stands behind it.
#[derive(Debug)]
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) about: &'static str,
    /// The list in a command of which the parameters are the only entry.
    list: Option<&'static str>,
}

/// What stands behind a command, in one place of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    key: &'static str,
    pub(super) form: Form,
    is_optional: bool,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The name of a client, group or role that is there.
    Client,
    Group,
    Role,
    /// The name of one that is to be.
    Name,
    Text,
    /// Asked for if it is not there.
    Password,
    /// Left out if it is -1.
    Priority,
    /// Left out if it is 0.
    Count,
    OneOf(&'static [&'static str]),
    /// `allow` or `deny`.
    Access,
    /// The name of a member and its value.
    Member(&'static [&'static str]),
    /// `-i`, `-p` and their values; the password is asked for if it is not there.
    ClientOptions,
}

/// Where the words of a command come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    CommandLine,
    /// Mosquitto's shell has another order in two commands; both are taken there.
    Shell,
}

const ACL_TYPES: &[&str] = &[
    "publishClientSend",
    "publishClientReceive",
    "subscribeLiteral",
    "subscribePattern",
    "unsubscribeLiteral",
    "unsubscribePattern",
];
const DEFAULT_ACL_TYPES: &[&str] = &[
    "publishClientSend",
    "publishClientReceive",
    "subscribe",
    "unsubscribe",
];
const LABELS: &[&str] = &["textName", "textDescription"];
const ROLE_MEMBERS: &[&str] = &["textName", "textDescription", "allowWildcardSubs"];
const ACCESS: &[&str] = &["allow", "deny"];

const CLIENT: Parameter = need("username", Form::Client);
const GROUP: Parameter = need("groupname", Form::Group);
const ROLE: Parameter = need("rolename", Form::Role);
const PRIORITY: Parameter = may("priority", Form::Priority);
const PART: &[Parameter] = &[may("count", Form::Count), may("offset", Form::Count)];

const DYNSEC: &[Verb] = &[
    verb("getDefaultACLAccess", &[], "What holds where no rule fits"),
    Verb {
        list: Some("acls"),
        ..verb(
            "setDefaultACLAccess",
            &[
                need("acltype", Form::OneOf(DEFAULT_ACL_TYPES)),
                need("allow", Form::Access),
            ],
            "Change what holds where no rule fits",
        )
    },
    verb(
        "getAnonymousGroup",
        &[],
        "The group of clients without a user name",
    ),
    verb(
        "setAnonymousGroup",
        &[GROUP],
        "Choose the group of clients without a user name",
    ),
    verb(
        "getDetails",
        &[],
        "How many clients, groups and roles there are",
    ),
    verb(
        "listClients",
        PART,
        "The names of the clients, or of a part of them",
    ),
    verb(
        "getClient",
        &[CLIENT],
        "A client: its roles, groups and connections",
    ),
    verb(
        "createClient",
        &[need("username", Form::Name), may("", Form::ClientOptions)],
        "A new client; the password is asked for without -p",
    ),
    verb("deleteClient", &[CLIENT], "Delete a client"),
    verb("enableClient", &[CLIENT], "Let a client in again"),
    verb(
        "disableClient",
        &[CLIENT],
        "Keep a client out, and disconnect it",
    ),
    verb(
        "setClientPassword",
        &[CLIENT, may("password", Form::Password)],
        "A new password for a client; asked for if it is left out",
    ),
    verb(
        "setClientId",
        &[CLIENT, may("clientid", Form::Text)],
        "The only Client Identifier that a client may use; any if it is left out",
    ),
    verb(
        "modifyClient",
        &[CLIENT, need("", Form::Member(LABELS))],
        "Describe a client, for people",
    ),
    verb(
        "addClientRole",
        &[CLIENT, ROLE, PRIORITY],
        "Give a client a role; those with higher priorities are asked first",
    ),
    // Mosquitto's tool takes a priority here too, and sends it.
    verb(
        "removeClientRole",
        &[CLIENT, ROLE, PRIORITY],
        "Take a role from a client",
    ),
    verb(
        "listGroups",
        PART,
        "The names of the groups, or of a part of them",
    ),
    verb("getGroup", &[GROUP], "A group: its roles and clients"),
    verb(
        "createGroup",
        &[need("groupname", Form::Name)],
        "A new group",
    ),
    verb("deleteGroup", &[GROUP], "Delete a group; its clients stay"),
    verb(
        "modifyGroup",
        &[GROUP, need("", Form::Member(LABELS))],
        "Describe a group, for people",
    ),
    verb(
        "addGroupRole",
        &[GROUP, ROLE, PRIORITY],
        "Give a group a role",
    ),
    verb(
        "removeGroupRole",
        &[GROUP, ROLE],
        "Take a role from a group",
    ),
    verb(
        "addGroupClient",
        &[GROUP, CLIENT, PRIORITY],
        "Put a client into a group; the priority is that of the group for this client",
    ),
    verb(
        "removeGroupClient",
        &[GROUP, CLIENT],
        "Take a client out of a group",
    ),
    verb(
        "listRoles",
        PART,
        "The names of the roles, or of a part of them",
    ),
    verb("getRole", &[ROLE], "A role: its rules"),
    verb("createRole", &[need("rolename", Form::Name)], "A new role"),
    verb("deleteRole", &[ROLE], "Delete a role"),
    verb(
        "modifyRole",
        &[ROLE, need("", Form::Member(ROLE_MEMBERS))],
        "Describe a role, for people, or say whether its clients may subscribe with wildcards",
    ),
    verb(
        "addRoleACL",
        &[
            ROLE,
            need("acltype", Form::OneOf(ACL_TYPES)),
            need("topic", Form::Text),
            need("allow", Form::Access),
            PRIORITY,
        ],
        "Give a role a rule; those with higher priorities are asked first",
    ),
    verb(
        "removeRoleACL",
        &[
            ROLE,
            need("acltype", Form::OneOf(ACL_TYPES)),
            need("topic", Form::Text),
        ],
        "Take a rule from a role",
    ),
];

const BROKER: &[Verb] = &[
    verb("listListeners", &[], "What the broker listens on"),
    verb("listPlugins", &[], "What answers on control topics"),
];

const fn verb(name: &'static str, parameters: &'static [Parameter], about: &'static str) -> Verb {
    Verb {
        name,
        parameters,
        about,
        list: None,
    }
}

const fn need(key: &'static str, form: Form) -> Parameter {
    Parameter {
        key,
        form,
        is_optional: false,
    }
}

const fn may(key: &'static str, form: Form) -> Parameter {
    Parameter {
        key,
        form,
        is_optional: true,
    }
}

impl Verb {
    /// Whether it changes nothing, so that it may be asked at any time.
    pub(super) fn is_question(&self) -> bool {
        self.name.starts_with("get") || self.name.starts_with("list")
    }

    /// How it is written.
    pub(super) fn usage(&self) -> String {
        let parameters = self.parameters.iter().map(Parameter::usage);
        let words: Vec<String> = [self.name.to_owned()]
            .into_iter()
            .chain(parameters)
            .collect();
        words.join(" ")
    }

    /// Makes a command of the words behind the verb. What is asked for is asked for here.
    pub(super) fn command(&self, words: &[String], style: Style) -> Result<Command, Failure> {
        let mut command = Command::new(self.name);
        let reordered = (style == Style::Shell)
            .then(|| self.reordered(words))
            .flatten();
        let mut words = Words(reordered.as_deref().unwrap_or(words));
        for parameter in self.parameters {
            parameter.take(&mut words, &mut command, style)?;
        }
        if !words.0.is_empty() {
            return Err(Failure::invalid(None));
        }
        Ok(match self.list {
            Some(list) => command.into_list(list),
            None => command,
        })
    }

    /// The words of Mosquitto's shell, `addRoleACL ROLE TYPE allow|deny TOPIC`, in the order of its command line.
    fn reordered(&self, words: &[String]) -> Option<Vec<String>> {
        match words {
            [role, acl_type, access, topic, rest @ ..]
                if self.name == "addRoleACL" && position(access, ACCESS).is_some() =>
            {
                let words = [role, acl_type, topic, access].into_iter().chain(rest);
                Some(words.cloned().collect())
            }
            _ => None,
        }
    }
}

struct Words<'a>(&'a [String]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }
}

impl Parameter {
    fn usage(&self) -> String {
        let word = match self.form {
            Form::Client
            | Form::Group
            | Form::Role
            | Form::Name
            | Form::Text
            | Form::Password
            | Form::Priority
            | Form::Count => format!("<{}>", self.key),
            Form::OneOf(_) => "<acltype>".to_owned(),
            Form::Access => "allow|deny".to_owned(),
            Form::Member(names) => format!("{} <value>", names.join("|")),
            Form::ClientOptions => return "[-i <clientid>] [-p <password>]".to_owned(),
        };
        if self.is_optional {
            format!("[{word}]")
        } else {
            word
        }
    }

    /// What may stand there, as far as that can be said without asking anybody.
    pub(super) const fn choices(&self) -> &'static [&'static str] {
        match self.form {
            Form::OneOf(choices) | Form::Member(choices) => choices,
            Form::Access => ACCESS,
            _ => &[],
        }
    }

    fn take(
        &self,
        words: &mut Words<'_>,
        command: &mut Command,
        style: Style,
    ) -> Result<(), Failure> {
        if self.form == Form::ClientOptions {
            return client_options(words, command, style);
        }
        let Some(word) = words.next() else {
            return match self.form {
                Form::Password => {
                    command.push(self.key, new_password(&user_of(command))?);
                    Ok(())
                }
                _ if self.is_optional => Ok(()),
                _ => Err(Failure::invalid(None)),
            };
        };
        match self.form {
            Form::Priority => match number(word)? {
                -1 => {}
                priority => command.push(self.key, priority),
            },
            Form::Count => match number(word)? {
                count if count > 0 => command.push(self.key, count),
                _ => {}
            },
            Form::OneOf(choices) => {
                let choice = position(word, choices).ok_or_else(|| none_of(word, choices))?;
                command.push(self.key, choices[choice]);
            }
            Form::Access => match position(word, ACCESS) {
                Some(choice) => command.push(self.key, choice == 0),
                None => {
                    let what = "Error: access must be \"allow\" or \"deny\".".to_owned();
                    return Err(Failure::invalid(what));
                }
            },
            Form::Member(names) => {
                let name = position(word, names).ok_or_else(|| none_of(word, names))?;
                let value = words.next().ok_or_else(|| Failure::invalid(None))?;
                member(names[name], value, command)?;
            }
            Form::Client | Form::Group | Form::Role | Form::Name | Form::Text | Form::Password => {
                command.push(self.key, word);
            }
            Form::ClientOptions => {}
        }
        Ok(())
    }
}

fn member(name: &str, value: &str, command: &mut Command) -> Result<(), Failure> {
    match name {
        "textName" => command.push("textname", value),
        "textDescription" => command.push("textdescription", value),
        _ => match value {
            "true" => command.push("allowwildcardsubs", true),
            "false" => command.push("allowwildcardsubs", false),
            _ => {
                let what = format!("Error: {name} is true or false, not '{value}'.");
                return Err(Failure::invalid(what));
            }
        },
    }
    Ok(())
}

fn client_options(
    words: &mut Words<'_>,
    command: &mut Command,
    style: Style,
) -> Result<(), Failure> {
    let (mut client_id, mut password) = (None, None);
    let mut is_first = true;
    while let Some(word) = words.next() {
        let missing = |option, what| {
            Failure::invalid(format!(
                "Error: {option} argument given, but no {what} provided."
            ))
        };
        match word {
            // Up to 2.0 it was -c.
            "-i" | "-c" => {
                client_id = Some(words.next().ok_or_else(|| missing(word, "clientid"))?);
            }
            "-p" => password = Some(words.next().ok_or_else(|| missing(word, "password"))?),
            _ if style == Style::Shell && is_first => {
                password = Some(word);
                client_id = words.next();
            }
            _ => {
                let what = format!("Error: Unknown argument: {word}");
                return Err(Failure::invalid(what));
            }
        }
        is_first = false;
    }
    let password = match password {
        Some(password) => Some(password.to_owned()),
        None => new_password_or_none(&user_of(command))?,
    };
    if let Some(client_id) = client_id {
        command.push("clientid", client_id);
    }
    if let Some(password) = password {
        command.push("password", password);
    }
    Ok(())
}

fn user_of(command: &Command) -> String {
    command.text("username").unwrap_or_default().to_owned()
}

/// Asks for a password that there must be.
pub(super) fn new_password(user: &str) -> Result<String, PromptError> {
    prompt::new_password(
        &format!("New password for {user}: "),
        &format!("Reenter password for {user}: "),
    )
}

fn new_password_or_none(user: &str) -> Result<Option<String>, PromptError> {
    say::out(&format!(
        "Enter new password for {user}. Press return for no password (user will be unable to login).\n"
    ));
    match new_password(user) {
        Ok(password) => Ok(Some(password)),
        Err(PromptError::Empty) => {
            say::out("\n");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn position(word: &str, choices: &[&str]) -> Option<usize> {
    choices
        .iter()
        .position(|choice| choice.eq_ignore_ascii_case(word))
}

fn none_of(word: &str, choices: &[&str]) -> Failure {
    let choices = choices.join(", ");
    Failure::invalid(format!("Error: '{word}' is none of {choices}."))
}

fn number(word: &str) -> Result<i32, Failure> {
    word.parse()
        .map_err(|_| Failure::invalid(format!("Error: '{word}' is not a number.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(line: &str, style: Style) -> Result<String, Failure> {
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next().expect("a verb");
        let verb = Module::Dynsec.verb(&name).expect("a verb that is known");
        let words: Vec<String> = words.collect();
        verb.command(&words, style).map(|command| command.payload())
    }

    #[test]
    fn commands_are_written_as_by_mosquittos_tool() {
        let check = |line: &str, expect: &str| {
            let expect = format!(r#"{{"commands":[{{{expect}}}]}}"#);
            assert_eq!(payload(line, Style::CommandLine), Ok(expect), "{line}");
        };
        check("listclients", r#""command":"listClients""#);
        check("listClients 0 2", r#""command":"listClients","offset":2"#);
        check(
            "createClient u -c i -p p",
            r#""command":"createClient","username":"u","clientid":"i","password":"p""#,
        );
        check(
            "addClientRole u r -1",
            r#""command":"addClientRole","username":"u","rolename":"r""#,
        );
        check(
            "addRoleACL r SUBSCRIBEpattern a/# DENY 7",
            r#""command":"addRoleACL","rolename":"r","acltype":"subscribePattern","topic":"a/#","allow":false,"priority":7"#,
        );
        check(
            "modifyRole r allowWildcardSubs false",
            r#""command":"modifyRole","rolename":"r","allowwildcardsubs":false"#,
        );
        check("setClientId u", r#""command":"setClientId","username":"u""#);
    }

    #[test]
    fn the_shell_takes_the_order_of_mosquittos_shell_too() {
        let check = |line: &str, like: &str| {
            let expect = payload(like, Style::CommandLine);
            assert_eq!(payload(line, Style::Shell), expect, "{line}");
        };
        let acl = "addRoleACL r subscribePattern a/# allow 7";
        check(acl, acl);
        check("addRoleACL r subscribePattern allow a/# 7", acl);
        let client = "createClient u -p p -i i";
        check(client, client);
        check("createClient u p i", client);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |line: &str, expect: &str| {
            let failure = payload(line, Style::CommandLine).expect_err(line);
            let text = failure
                .text
                .trim_end_matches("Error: Invalid function arguments provided.");
            assert_eq!((text.trim_end(), failure.code), (expect, 3), "{line}");
        };
        check("deleteClient", "");
        check("createRole a b", "");
        check("listClients 1 2 3", "");
        check("listClients x", "Error: 'x' is not a number.");
        check("createClient u p", "Error: Unknown argument: p");
        check(
            "createClient u -p",
            "Error: -p argument given, but no password provided.",
        );
        check(
            "setDefaultACLAccess subscribe maybe",
            "Error: access must be \"allow\" or \"deny\".",
        );
        check(
            "setDefaultACLAccess bogus allow",
            "Error: 'bogus' is none of publishClientSend, publishClientReceive, subscribe, unsubscribe.",
        );
        check("modifyClient u textName", "");
    }

    #[test]
    fn a_verb_is_listed_once() {
        for module in Module::ALL {
            let mut names: Vec<_> = module.verbs().iter().map(|verb| verb.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), module.verbs().len());
        }
    }
}
