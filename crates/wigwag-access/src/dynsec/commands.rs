//! The commands of dynamic security, and the words in which Mosquitto answers them: which there are, how they are
//! carried out, and what they have in common. `clients`, `groups` and `roles` have those about each.
//!
//! A command is carried out as a whole or not at all. Who has lost or got rights by it is to be
//! disconnected, once the reply has left: subscriptions are checked when they are made.

mod clients;
mod groups;
mod roles;

use std::sync::Arc;

use serde_json::Value;

use super::document::priority_of;
use super::state::{Client, DefaultAccess, Group, Labels, Ranking, Role, State, within_limits};
use crate::control::{self, Command, Refusal, Reply, Response};
use crate::json::Json;
use crate::password::{PasswordHash, Salt, Scheme, is_scram};
use crate::rules::Who;

/// What a request needs from outside.
pub struct Environment<'a> {
    /// Whose request it is, for the log.
    pub from: Who<'a>,
    /// How passwords are hashed.
    pub scheme: Scheme,
    /// A salt for each of them.
    pub salt: &'a mut dyn FnMut() -> Salt,
    /// The addresses from which a user is connected, under one Client Identifier or any, if they are known.
    pub connections: Option<&'a Connections<'a>>,
}

/// From a user name, and a Client Identifier if the user has but one, to the addresses of its connections.
pub type Connections<'a> = dyn Fn(&str, Option<&str>) -> Vec<String> + 'a;

/// Who is to be disconnected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kicked {
    /// Everybody without a user name.
    Anonymous,
    /// Everybody with this user name.
    User(Box<str>),
}

/// What a request has brought about.
pub struct Outcome {
    responses: Vec<Response>,
    /// Who is to be disconnected, each once.
    pub kicked: Vec<Kicked>,
    /// A line for each command, as Mosquitto logs it.
    pub log: Vec<String>,
}

impl Outcome {
    /// Whether the state has changed, so that it has to be written.
    pub fn is_change(&self) -> bool {
        self.responses.iter().any(|response| response.is_change)
    }

    /// The reply, if the state has been written or need not be.
    pub fn reply(&self) -> String {
        control::reply(&self.responses, None)
    }

    /// The reply, if the state could not be written and is as it was.
    pub fn reply_unsaved(&self) -> String {
        control::reply(&self.responses, Some("Internal error"))
    }
}

type Result<T = Done> = std::result::Result<T, Refusal>;

/// How a command ended that was not refused.
enum Done {
    Changed,
    Said(&'static str, Json),
}

/// What carries out a command.
type CarryOut<'a> = fn(&mut Run<'a>, &Command<'_>) -> Result;

/// Every command with its name, which is compared without regard to case.
const fn commands<'a>() -> [(&'static str, CarryOut<'a>); 32] {
    [
        ("setDefaultACLAccess", Run::set_default_acl_access),
        ("getDefaultACLAccess", Run::get_default_acl_access),
        ("getDetails", Run::get_details),
        ("createClient", Run::create_client),
        ("deleteClient", Run::delete_client),
        ("getClient", Run::get_client),
        ("listClients", Run::list_clients),
        ("modifyClient", Run::modify_client),
        ("setClientPassword", Run::set_client_password),
        ("setClientId", Run::set_client_id),
        ("addClientRole", Run::add_client_role),
        ("removeClientRole", Run::remove_client_role),
        ("enableClient", Run::enable_client),
        ("disableClient", Run::disable_client),
        ("createGroup", Run::create_group),
        ("deleteGroup", Run::delete_group),
        ("getGroup", Run::get_group),
        ("listGroups", Run::list_groups),
        ("modifyGroup", Run::modify_group),
        ("addGroupClient", Run::add_group_client),
        ("removeGroupClient", Run::remove_group_client),
        ("addGroupRole", Run::add_group_role),
        ("removeGroupRole", Run::remove_group_role),
        ("setAnonymousGroup", Run::set_anonymous_group),
        ("getAnonymousGroup", Run::get_anonymous_group),
        ("createRole", Run::create_role),
        ("deleteRole", Run::delete_role),
        ("getRole", Run::get_role),
        ("listRoles", Run::list_roles),
        ("modifyRole", Run::modify_role),
        ("addRoleACL", Run::add_role_acl),
        ("removeRoleACL", Run::remove_role_acl),
    ]
}

impl State {
    /// Carries out a request. Hashing the passwords in it takes as long as the scheme says.
    pub fn carry_out<'a>(&'a mut self, payload: &[u8], environment: Environment<'a>) -> Outcome {
        let mut run = Run {
            state: self,
            environment,
            kicked: Vec::new(),
            log: Vec::new(),
        };
        let responses = control::answer(payload, |command| {
            let mut commands = commands().into_iter();
            let Some((_, carry_out)) =
                commands.find(|(name, _)| name.eq_ignore_ascii_case(command.name))
            else {
                return (Err("Unknown command"), false);
            };
            match carry_out(&mut run, command) {
                Ok(Done::Changed) => {
                    run.state.change_index += 1;
                    (Ok(Reply::Done), true)
                }
                Ok(Done::Said(name, data)) => (Ok(Reply::Data(name, data)), false),
                Err(refusal) => (Err(refusal), false),
            }
        });
        let Run {
            mut kicked, log, ..
        } = run;
        kicked.sort_unstable();
        kicked.dedup();
        Outcome {
            responses,
            kicked,
            log,
        }
    }
}

/// A request being carried out.
struct Run<'a> {
    state: &'a mut State,
    environment: Environment<'a>,
    kicked: Vec<Kicked>,
    log: Vec<String>,
}

/// What has a name, and what is said if the name is none.
struct Kind {
    key: &'static str,
    missing: Refusal,
    empty: Refusal,
    invalid: Refusal,
}

const USER: Kind = Kind {
    key: "username",
    missing: "Invalid/missing username",
    empty: "Empty username",
    invalid: "Username not valid UTF-8",
};

const GROUP: Kind = Kind {
    key: "groupname",
    missing: "Invalid/missing groupname",
    empty: "Empty groupname",
    invalid: "Group name not valid UTF-8",
};

const ROLE: Kind = Kind {
    key: "rolename",
    missing: "Invalid/missing rolename",
    empty: "Empty rolename",
    invalid: "Role name not valid UTF-8",
};

const NO_CLIENT: Refusal = "Client not found";
const NO_GROUP: Refusal = "Group not found";
const NO_ROLE: Refusal = "Role not found";
const BAD_ROLES: Refusal = "'roles' not an array or missing/invalid rolename";
const BAD_TOPIC: Refusal = "Invalid ACL topic";

/// What is about all of them.
impl Run<'_> {
    fn set_default_acl_access(&mut self, command: &Command<'_>) -> Result {
        let acls = command
            .array("acls")
            .ok_or("Missing/invalid actions array")?;
        for acl in acls {
            let acl_type = control::text(acl, "acltype").ok().flatten();
            let allow = control::member(acl, "allow").and_then(Value::as_bool);
            let (Some(acl_type), Some(allow)) = (acl_type, allow) else {
                continue;
            };
            for (name, field) in self.state.default_access.fields() {
                if name.eq_ignore_ascii_case(acl_type) {
                    *field = allow;
                }
            }
            let what = format!("acltype={acl_type} | allow={allow}");
            self.log("setDefaultACLAccess", &what);
        }
        Ok(Done::Changed)
    }

    fn get_default_acl_access(&mut self, _: &Command<'_>) -> Result {
        self.log("getDefaultACLAccess", "");
        let acls = self.state.default_access.fields().map(|(name, field)| {
            Json::Object(vec![
                ("acltype", Json::text(name)),
                ("allow", Json::Bool(*field)),
            ])
        });
        let acls = Json::Array(acls.into());
        Ok(Done::Said(
            "getDefaultACLAccess",
            Json::Object(vec![("acls", acls)]),
        ))
    }

    fn get_details(&mut self, _: &Command<'_>) -> Result {
        self.log("getDetails", "");
        let State {
            clients,
            groups,
            roles,
            change_index,
            ..
        } = &*self.state;
        let data = vec![
            ("clientCount", count(clients.len())),
            ("groupCount", count(groups.len())),
            ("roleCount", count(roles.len())),
            ("changeIndex", Json::Int(*change_index)),
        ];
        Ok(Done::Said("getDetails", Json::Object(data)))
    }
}

/// What the commands have in common.
impl Run<'_> {
    fn client(&mut self, name: &str) -> Result<&mut Client> {
        self.state.clients.get_mut(name).ok_or(NO_CLIENT)
    }

    fn group(&mut self, name: &str) -> Result<&mut Group> {
        self.state.groups.get_mut(name).ok_or(NO_GROUP)
    }

    fn role(&mut self, name: &str) -> Result<&mut Role> {
        self.state.roles.get_mut(name).ok_or(NO_ROLE)
    }

    /// The list of roles in a command, if there is one.
    fn roles(&mut self, command: &Command<'_>) -> Result<Option<Ranking>> {
        let Some(roles) = command.member("roles") else {
            return Ok(None);
        };
        let mut ranking = Ranking::default();
        for entry in roles.as_array().ok_or(BAD_ROLES)? {
            let Ok(Some(role)) = control::text(entry, "rolename") else {
                return Err(BAD_ROLES);
            };
            self.role(role)?;
            ranking.add(role, priority_of(entry));
        }
        Ok(Some(ranking))
    }

    /// Hashes a password. Credentials for SCRAM are kept as they come: who sends them has made them of the
    /// password, and keeps that to himself.
    fn hash(&mut self, password: &str) -> Arc<PasswordHash> {
        if is_scram(password)
            && let Ok(credentials) = password.parse()
        {
            return Arc::new(credentials);
        }
        let salt = (self.environment.salt)();
        let hash = PasswordHash::make(self.environment.scheme, password.as_bytes(), &salt);
        Arc::new(hash)
    }

    fn kick(&mut self, user: &str) {
        self.kicked.push(Kicked::User(user.into()));
    }

    fn kick_group(&mut self, group: &str) {
        if self.state.anonymous_group.as_deref() == Some(group) {
            self.kicked.push(Kicked::Anonymous);
        }
        let users = self.state.users_in(group);
        self.kicked.extend(users.into_iter().map(Kicked::User));
    }

    fn kick_role(&mut self, role: &str) {
        let clients = self.state.clients.iter();
        let users = clients.filter(|(_, client)| client.roles.contains(role));
        self.kicked
            .extend(users.map(|(user, _)| Kicked::User(user.clone())));
        let groups = self.state.groups.iter();
        let groups = groups.filter(|(_, group)| group.roles.contains(role));
        let groups: Vec<Box<str>> = groups.map(|(name, _)| name.clone()).collect();
        groups.iter().for_each(|group| self.kick_group(group));
    }

    fn log(&mut self, command: &str, what: &str) {
        let Who {
            client_id,
            user_name,
        } = self.environment.from;
        let user_name = user_name.unwrap_or("(null)");
        let separator = if what.is_empty() { "" } else { " | " };
        let line = format!("dynsec: {client_id}/{user_name} | {command}{separator}{what}");
        self.log.push(line);
    }

    /// A part of all names, and of what they stand for if more is asked than the names.
    fn list(
        &mut self,
        command: &Command<'_>,
        key: &'static str,
        names: &[Box<str>],
        one: impl Fn(&Self, &str) -> Json,
    ) -> Json {
        let verbose = command.flag("verbose").unwrap_or(false);
        let (wanted, offset) = (command.int("count", -1), command.int("offset", 0));
        // Who asks for none gets one, as with Mosquitto.
        let wanted_max = usize::try_from(wanted).map_or(usize::MAX, |wanted| wanted.max(1));
        let skipped = usize::try_from(offset).unwrap_or(0);
        let part = names.iter().skip(skipped).take(wanted_max);
        let part = part.map(|name| {
            if verbose {
                one(self, name)
            } else {
                Json::text(name)
            }
        });
        let part = part.collect();
        let mut kind = key.to_owned();
        kind[..1].make_ascii_uppercase();
        let what = format!("verbose={verbose} | count={wanted} | offset={offset}");
        self.log(&format!("list{kind}"), &what);
        Json::Object(vec![
            ("totalCount", count(names.len())),
            (key, Json::Array(part)),
        ])
    }

    fn client_json(&self, name: &str) -> Json {
        let client = &self.state.clients[name];
        let mut members = client.members(name);
        members.push(("groups", client.groups.json("groupname")));
        if let Some(connections) = self.environment.connections {
            let addresses = connections(name, client.client_id.as_deref()).into_iter();
            let connections =
                addresses.map(|address| Json::Object(vec![("address", Json::Text(address))]));
            members.push(("connections", Json::Array(connections.collect())));
        }
        Json::Object(members)
    }

    fn group_json(&self, name: &str) -> Json {
        let group = &self.state.groups[name];
        let mut members = vec![("groupname", Json::text(name))];
        group.labels.push_to(&mut members);
        let users = group.clients.keys();
        let users = users.map(|user| Json::Object(vec![("username", Json::text(user))]));
        members.push(("clients", Json::Array(users.collect())));
        members.push(("roles", group.roles.json("rolename")));
        Json::Object(members)
    }
}

impl DefaultAccess {
    fn fields(&mut self) -> [(&'static str, &mut bool); 4] {
        [
            ("publishClientSend", &mut self.publish),
            ("publishClientReceive", &mut self.receive),
            ("subscribe", &mut self.subscribe),
            ("unsubscribe", &mut self.unsubscribe),
        ]
    }
}

impl Labels {
    fn change(&mut self, command: &Command<'_>) {
        if let Some(name) = given(command, "textname") {
            self.name = Some(name.into());
        }
        if let Some(description) = given(command, "textdescription") {
            self.description = Some(description.into());
        }
    }
}

fn new_labels(command: &Command<'_>) -> Result<Labels> {
    let name = command
        .text("textname")
        .map_err(|()| "Invalid/missing textname")?;
    let description = command.text("textdescription");
    let description = description.map_err(|()| "Invalid/missing textdescription")?;
    Ok(Labels {
        name: name.map(Box::from),
        description: description.map(Box::from),
    })
}

fn count(len: usize) -> Json {
    Json::Int(i64::try_from(len).unwrap_or(i64::MAX))
}

fn priority(command: &Command<'_>) -> i32 {
    within_limits(command.int("priority", super::state::NO_PRIORITY))
}

/// A text, if that is what the member is.
fn given<'a>(command: &Command<'a>, key: &str) -> Option<&'a str> {
    command.text(key).ok().flatten()
}

fn some_text<'a>(command: &Command<'a>, kind: &Kind) -> Result<&'a str> {
    given(command, kind.key).ok_or(kind.missing)
}

fn name<'a>(command: &Command<'a>, kind: &Kind) -> Result<&'a str> {
    let name = some_text(command, kind)?;
    if is_text(name) {
        Ok(name)
    } else {
        Err(kind.invalid)
    }
}

fn new_name<'a>(command: &Command<'a>, kind: &Kind) -> Result<&'a str> {
    match some_text(command, kind)? {
        "" => Err(kind.empty),
        _ => name(command, kind),
    }
}

/// Whether MQTT can carry the text: without control characters and non-characters.
fn is_text(text: &str) -> bool {
    let is_noncharacter =
        |c: char| matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE;
    text.len() <= 65_535 && !text.chars().any(|c| c.is_control() || is_noncharacter(c))
}

#[cfg(test)]
mod tests;
