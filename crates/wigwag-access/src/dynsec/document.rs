//! The state as a JSON text: read in the forms of Mosquitto 2.0 and 2.1, written so that both can read it.
//!
//! What 2.1 calls `encoded_password` stood in three members before. A `$7$` hash is written both ways, so that
//! nobody is locked out who goes back to an older broker.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::state::{
    Acl, AclType, Acls, Client, DefaultAccess, Group, Labels, NO_PRIORITY, Ranking, Role, State,
    within_limits,
};
use crate::control::{int, member, text};
use crate::json::Json;
use crate::password::{HashError, PasswordHash};

/// Everything for which a file is not loaded, each with the place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(pub Vec<String>);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for LoadError {}

impl State {
    /// Reads a file. Besides the state there are warnings: what names something that does not exist is left
    /// out, as is what has no name. An empty file is an empty state.
    pub fn load(file: &[u8]) -> Result<(State, Vec<String>), LoadError> {
        if file.iter().all(u8::is_ascii_whitespace) {
            return Ok((State::default(), Vec::new()));
        }
        let root: Value = serde_json::from_slice(file)
            .map_err(|error| LoadError(vec![format!("not valid JSON: {error}")]))?;
        let mut loading = Loading::default();
        if !root.is_object() {
            loading.error("the file", "not a JSON object");
        }
        loading.general(&root);
        loading.roles(&root);
        loading.clients(&root);
        loading.groups(&root);
        if loading.errors.is_empty() {
            Ok((loading.state, loading.warnings))
        } else {
            Err(LoadError(loading.errors))
        }
    }

    /// The text of the file.
    pub fn document(&self) -> String {
        let access = self.default_access;
        let defaults = vec![
            ("publishClientSend", Json::Bool(access.publish)),
            ("publishClientReceive", Json::Bool(access.receive)),
            ("subscribe", Json::Bool(access.subscribe)),
            ("unsubscribe", Json::Bool(access.unsubscribe)),
        ];
        let clients = self.clients.iter().map(|(name, client)| client.kept(name));
        let groups = self.groups.iter().map(|(name, group)| group.kept(name));
        let roles = self.roles.iter().map(|(name, role)| role.json(name));
        let mut members = vec![
            ("changeIndex", Json::Int(self.change_index)),
            ("defaultACLAccess", Json::Object(defaults)),
            ("clients", Json::Array(clients.collect())),
            ("groups", Json::Array(groups.collect())),
        ];
        if let Some(group) = &self.anonymous_group {
            members.push(("anonymousGroup", Json::text(group)));
        }
        members.push(("roles", Json::Array(roles.collect())));
        let mut document = Json::Object(members).pretty();
        document.push('\n');
        document
    }
}

#[derive(Default)]
struct Loading {
    state: State,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Loading {
    fn error(&mut self, place: &str, what: impl fmt::Display) {
        self.errors.push(format!("{place}: {what}"));
    }

    fn warn(&mut self, place: &str, what: impl fmt::Display) {
        self.warnings.push(format!("{place}: {what}"));
    }

    fn general(&mut self, root: &Value) {
        let index = member(root, "changeIndex").and_then(Value::as_i64);
        self.state.change_index = index.unwrap_or(0);
        let Some(access) = member(root, "defaultACLAccess").filter(|access| access.is_object())
        else {
            // Nothing is open in a file that opens nothing.
            self.state.default_access = DefaultAccess {
                publish: false,
                receive: false,
                subscribe: false,
                unsubscribe: false,
            };
            return;
        };
        let open = |name| member(access, name).and_then(Value::as_bool) == Some(true);
        self.state.default_access = DefaultAccess {
            publish: open("publishClientSend"),
            receive: open("publishClientReceive"),
            subscribe: open("subscribe"),
            unsubscribe: open("unsubscribe"),
        };
    }

    /// The objects of a list that have a name, with it and where they stand. Of two with the same name, the
    /// first counts.
    fn named<'a>(
        &mut self,
        root: &'a Value,
        list: &str,
        key: &str,
    ) -> BTreeMap<&'a str, (String, &'a Value)> {
        let mut found = BTreeMap::new();
        let entries = match member(root, list) {
            None => return found,
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.error(list, "not an array");
                return found;
            }
        };
        for (index, entry) in entries.iter().enumerate() {
            let place = format!("{list}[{index}]");
            match text(entry, key) {
                Ok(Some(name)) if !name.is_empty() && !found.contains_key(name) => {
                    found.insert(name, (format!("{place} ({name:?})"), entry));
                }
                Ok(Some(name)) if !name.is_empty() => {
                    self.warn(&place, format_args!("{name:?} is there already"));
                }
                _ => self.warn(&place, format_args!("it has no {key}")),
            }
        }
        found
    }

    fn roles(&mut self, root: &Value) {
        for (name, (place, entry)) in self.named(root, "roles", "rolename") {
            let acls = member(entry, "acls").and_then(Value::as_array);
            let acls = acls_from(acls.map_or(&[], Vec::as_slice)).unwrap_or_else(|errors| {
                errors.iter().for_each(|error| self.error(&place, error));
                Acls::default()
            });
            let wildcards = member(entry, "allowwildcardsubs").and_then(Value::as_bool);
            let role = Role::new(labels_from(entry), wildcards.unwrap_or(true), acls);
            self.state.roles.insert(name.into(), role);
        }
    }

    fn clients(&mut self, root: &Value) {
        for (name, (place, entry)) in self.named(root, "clients", "username") {
            let password = password_from(entry).unwrap_or_else(|error| {
                self.error(&place, error);
                None
            });
            let client_id = text(entry, "clientid").ok().flatten();
            let client = Client {
                password: password.map(Arc::new),
                client_id: client_id.filter(|id| !id.is_empty()).map(Box::from),
                labels: labels_from(entry),
                is_disabled: member(entry, "disabled").and_then(Value::as_bool) == Some(true),
                roles: self.ranking_from(&place, entry),
                groups: Ranking::default(),
            };
            self.state.clients.insert(name.into(), client);
        }
    }

    fn groups(&mut self, root: &Value) {
        for (name, (place, entry)) in self.named(root, "groups", "groupname") {
            let group = Group {
                labels: labels_from(entry),
                roles: self.ranking_from(&place, entry),
                clients: BTreeMap::new(),
            };
            self.state.groups.insert(name.into(), group);
            let users = member(entry, "clients").and_then(Value::as_array);
            for user in users.into_iter().flatten() {
                let Ok(Some(user_name)) = text(user, "username") else {
                    self.warn(&place, "a client without a username");
                    continue;
                };
                if self.state.clients.contains_key(user_name) {
                    self.state.join(user_name, name, priority_of(user));
                } else {
                    self.warn(&place, format_args!("there is no client {user_name:?}"));
                }
            }
        }
        if let Ok(Some(group)) = text(root, "anonymousGroup") {
            if self.state.groups.contains_key(group) {
                self.state.anonymous_group = Some(group.into());
            } else {
                self.warn(
                    "anonymousGroup",
                    format_args!("there is no group {group:?}"),
                );
            }
        }
    }

    fn ranking_from(&mut self, place: &str, entry: &Value) -> Ranking {
        let mut ranking = Ranking::default();
        let roles = member(entry, "roles").and_then(Value::as_array);
        for role in roles.into_iter().flatten() {
            match text(role, "rolename") {
                Ok(Some(name)) if self.state.roles.contains_key(name) => {
                    ranking.add(name, priority_of(role));
                }
                Ok(Some(name)) => self.warn(place, format_args!("there is no role {name:?}")),
                _ => self.warn(place, "a role without a rolename"),
            }
        }
        ranking
    }
}

pub(super) fn priority_of(entry: &Value) -> i32 {
    within_limits(int(entry, "priority", NO_PRIORITY))
}

/// Rules from a list. What has no type that is known or no topic is left out; a topic that is none is an
/// error, because without its rule more might be allowed than was meant.
pub(super) fn acls_from(entries: &[Value]) -> Result<Acls, Vec<String>> {
    let mut acls = Acls::default();
    let mut errors = Vec::new();
    for entry in entries {
        let acl_type = text(entry, "acltype")
            .ok()
            .flatten()
            .and_then(AclType::named);
        let topic = text(entry, "topic")
            .ok()
            .flatten()
            .filter(|topic| !topic.is_empty());
        let (Some(acl_type), Some(topic)) = (acl_type, topic) else {
            continue;
        };
        let acl = Acl {
            topic: topic.into(),
            priority: within_limits(int(entry, "priority", 0)),
            allow: member(entry, "allow").and_then(Value::as_bool) == Some(true),
        };
        if let Err(error) = acls.add(acl_type, acl) {
            errors.push(format!("{} {topic:?}: {error}", acl_type.name()));
        }
    }
    if errors.is_empty() {
        Ok(acls)
    } else {
        Err(errors)
    }
}

fn labels_from(entry: &Value) -> Labels {
    let label = |name| text(entry, name).ok().flatten().map(Box::from);
    Labels {
        name: label("textname"),
        description: label("textdescription"),
    }
}

fn password_from(entry: &Value) -> Result<Option<PasswordHash>, HashError> {
    let part = |name| text(entry, name).ok().flatten();
    if let Some(encoded) = part("encoded_password") {
        return encoded.parse().map(Some);
    }
    let iterations = int(entry, "iterations", 0);
    match (part("salt"), part("password")) {
        (Some(salt), Some(key)) if iterations > 0 => {
            PasswordHash::from_pbkdf2_parts(&iterations.to_string(), salt, key).map(Some)
        }
        _ => Ok(None),
    }
}

impl Labels {
    pub(super) fn push_to(&self, members: &mut Vec<(&'static str, Json)>) {
        for (key, label) in [
            ("textname", &self.name),
            ("textdescription", &self.description),
        ] {
            if let Some(label) = label {
                members.push((key, Json::text(label)));
            }
        }
    }
}

impl Client {
    /// What is said of the user, but for its password.
    pub(super) fn members(&self, name: &str) -> Vec<(&'static str, Json)> {
        let mut members = vec![("username", Json::text(name))];
        if let Some(client_id) = &self.client_id {
            members.push(("clientid", Json::text(client_id)));
        }
        self.labels.push_to(&mut members);
        if self.is_disabled {
            members.push(("disabled", Json::Bool(true)));
        }
        members.push(("roles", self.roles.json("rolename")));
        members
    }

    fn kept(&self, name: &str) -> Json {
        let mut members = self.members(name);
        if let Some(hash) = &self.password {
            members.push(("encoded_password", Json::Text(hash.to_string())));
            if let Some((iterations, salt, key)) = hash.pbkdf2_parts() {
                members.push(("password", Json::Text(key)));
                members.push(("salt", Json::Text(salt)));
                members.push(("iterations", Json::Int(iterations.get().into())));
            }
        }
        Json::Object(members)
    }
}

impl Group {
    fn kept(&self, name: &str) -> Json {
        let mut members = vec![("groupname", Json::text(name))];
        self.labels.push_to(&mut members);
        members.push(("roles", self.roles.json("rolename")));
        let clients = self.clients.iter();
        let clients = clients.map(|(name, priority)| ranked("username", name, *priority));
        members.push(("clients", Json::Array(clients.collect())));
        Json::Object(members)
    }
}

impl Role {
    pub(super) fn json(&self, name: &str) -> Json {
        let mut members = vec![("rolename", Json::text(name))];
        self.labels.push_to(&mut members);
        members.push(("allowwildcardsubs", Json::Bool(self.allow_wildcard_subs)));
        let acls = AclType::ALL.into_iter().flat_map(|acl_type| {
            self.acls.of(acl_type).iter().map(move |acl| {
                Json::Object(vec![
                    ("acltype", Json::text(acl_type.name())),
                    ("topic", Json::text(&acl.topic)),
                    ("priority", Json::Int(acl.priority.into())),
                    ("allow", Json::Bool(acl.allow)),
                ])
            })
        });
        members.push(("acls", Json::Array(acls.collect())));
        Json::Object(members)
    }
}

impl Ranking {
    pub(super) fn json(&self, key: &'static str) -> Json {
        let entries = self
            .iter()
            .map(|(name, priority)| ranked(key, name, priority));
        Json::Array(entries.collect())
    }
}

fn ranked(key: &'static str, name: &str, priority: i32) -> Json {
    let mut members = vec![(key, Json::text(name))];
    if priority != NO_PRIORITY {
        members.push(("priority", Json::Int(priority.into())));
    }
    Json::Object(members)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dynsec::{Login, Operation};
    use crate::rules::Who;

    /// As the plugin of 2.0.11 wrote it, with some of what it leaves out.
    const OLD: &str = include_str!("../../testdata/dynsec-2.0.json");

    #[test]
    fn a_file_of_2_0_is_read_and_written_in_both_forms() {
        let (mut state, warnings) = State::load(OLD.as_bytes()).expect("valid");
        assert_eq!(warnings, [""; 0]);
        let rights = state.rights();
        for (user, password) in [("admin", "adminpw123456"), ("bob", "bobpw")] {
            let Login::Password(hash) = rights.login(user, "any") else {
                panic!("{user} has a password");
            };
            assert!(hash.verify(password.as_bytes()), "{user}");
        }
        let bob = Who {
            client_id: "c",
            user_name: Some("bob"),
        };
        assert_eq!(rights.decide(bob, Operation::Publish("a/b")), Some(true));
        assert_eq!(rights.decide(bob, Operation::Publish("b")), None);
        let written = state.document();
        let (again, _) = State::load(written.as_bytes()).expect("valid");
        assert_eq!(again.document(), written);
        expect_test::expect_file!["../../testdata/dynsec-written.json"].assert_eq(&written);
    }

    #[test]
    fn everything_that_is_wrong_is_reported() {
        let file = br#"{"groups":7,"clients":[{"username":"a","encoded_password":"x"},{"username":"b","salt":"!","password":"","iterations":1}],
            "roles":[{"rolename":"r","acls":[{"acltype":"subscribePattern","topic":"a#"}]}]}"#;
        let LoadError(errors) = State::load(file).expect_err("invalid");
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert!(
            errors[0].starts_with("roles[0] (\"r\"): subscribePattern \"a#\": '#' must"),
            "{errors:?}"
        );
        assert!(
            errors[1].starts_with("clients[0] (\"a\"): a password hash begins"),
            "{errors:?}"
        );
        assert!(
            errors[2].starts_with("clients[1] (\"b\"): the salt"),
            "{errors:?}"
        );
        assert_eq!(errors[3], "groups: not an array");
        assert!(State::load(b"{").expect_err("no JSON").0[0].contains("not valid JSON"));
        assert!(State::load(b"[]").is_err());
    }

    #[test]
    fn what_names_nothing_is_left_out_with_a_warning() {
        let file = br#"{"clients":[{"username":"a","roles":[{"rolename":"x"},1]},{"username":"a"},{}],
            "groups":[{"groupname":"g","clients":[{"username":"z"},{"username":"a"}]}],"anonymousGroup":"h"}"#;
        let (state, warnings) = State::load(file).expect("valid");
        assert_eq!(warnings.len(), 6, "{warnings:?}");
        assert_eq!(state.client_count(), 1);
        let (empty, _) = State::load(b" \n").expect("an empty file");
        assert_eq!(empty.client_count(), 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[{}\[\]":,a-z0-9]{0,80}"#) {
            _ = State::load(text.as_bytes());
        }
    }
}
