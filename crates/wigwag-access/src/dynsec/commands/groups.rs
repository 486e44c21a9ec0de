//! The commands about groups: their clients, their roles, and the group of those without a user name.

use std::collections::BTreeMap;

use super::{Done, GROUP, Kicked, ROLE, Result, Run, USER, name, new_labels, new_name, priority};
use crate::control::{self, Command};
use crate::dynsec::document::priority_of;
use crate::dynsec::state::Group;
use crate::json::Json;

impl Run<'_> {
    pub(super) fn create_group(&mut self, command: &Command<'_>) -> Result {
        let name = new_name(command, &GROUP)?;
        let labels = new_labels(command)?;
        if self.state.groups.contains_key(name) {
            return Err("Group already exists");
        }
        let group = Group {
            labels,
            roles: self.roles(command)?.unwrap_or_default(),
            clients: BTreeMap::new(),
        };
        self.state.groups.insert(name.into(), group);
        self.log("createGroup", &format!("groupname={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn delete_group(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &GROUP)?;
        self.group(name)?;
        if self.state.anonymous_group.as_deref() == Some(name) {
            return Err("Deleting the anonymous group is forbidden");
        }
        self.kick_group(name);
        self.state.empty_group(name);
        self.state.groups.remove(name);
        self.log("deleteGroup", &format!("groupname={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn get_group(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &GROUP)?;
        self.group(name)?;
        let group = self.group_json(name);
        self.log("getGroup", &format!("groupname={name}"));
        Ok(Done::Said("getGroup", Json::Object(vec![("group", group)])))
    }

    pub(super) fn list_groups(&mut self, command: &Command<'_>) -> Result {
        let names: Vec<Box<str>> = self.state.groups.keys().cloned().collect();
        let one = |run: &Self, name: &str| run.group_json(name);
        Ok(Done::Said(
            "listGroups",
            self.list(command, "groups", &names, one),
        ))
    }

    pub(super) fn modify_group(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &GROUP)?;
        self.group(name)?;
        let roles = self.roles(command)?;
        let clients = command.array("clients");
        let mut users = Vec::new();
        for entry in clients
            .unwrap_or_default()
            .iter()
            .filter(|entry| entry.is_object())
        {
            let Ok(Some(user)) = control::text(entry, "username") else {
                return Err("'clients' contains an object with an invalid 'username'");
            };
            if !self.state.clients.contains_key(user) {
                return Err("'clients' contains an object with a 'username' that does not exist");
            }
            users.push((user, priority_of(entry)));
        }
        // Those who were in it, and those who are from here on.
        self.kick_group(name);
        if clients.is_some() {
            self.state.empty_group(name);
            for (user, priority) in users {
                self.state.join(user, name, priority);
            }
        }
        let group = self.group(name)?;
        group.labels.change(command);
        if let Some(roles) = roles {
            group.roles = roles;
        }
        self.kick_group(name);
        self.log("modifyGroup", &format!("groupname={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn add_group_client(&mut self, command: &Command<'_>) -> Result {
        let (user, group) = (name(command, &USER)?, name(command, &GROUP)?);
        let priority = priority(command);
        self.client(user)?;
        self.group(group)?;
        if !self.state.join(user, group, priority) {
            return Err("Client is already in this group");
        }
        self.kick(user);
        let what = format!("groupname={group} | username={user} | priority={priority}");
        self.log("addGroupClient", &what);
        Ok(Done::Changed)
    }

    pub(super) fn remove_group_client(&mut self, command: &Command<'_>) -> Result {
        let (user, group) = (name(command, &USER)?, name(command, &GROUP)?);
        self.client(user)?;
        self.group(group)?;
        self.state.part(user, group);
        self.kick(user);
        self.log(
            "removeGroupClient",
            &format!("groupname={group} | username={user}"),
        );
        Ok(Done::Changed)
    }

    pub(super) fn add_group_role(&mut self, command: &Command<'_>) -> Result {
        let (name, role) = (name(command, &GROUP)?, name(command, &ROLE)?);
        let priority = priority(command);
        self.group(name)?;
        self.role(role)?;
        if !self.group(name)?.roles.add(role, priority) {
            return Err("Group is already in this role");
        }
        self.kick_group(name);
        let what = format!("groupname={name} | rolename={role} | priority={priority}");
        self.log("addGroupRole", &what);
        Ok(Done::Changed)
    }

    pub(super) fn remove_group_role(&mut self, command: &Command<'_>) -> Result {
        let (name, role) = (name(command, &GROUP)?, name(command, &ROLE)?);
        self.group(name)?;
        self.role(role)?;
        self.group(name)?.roles.remove(role);
        self.kick_group(name);
        self.log(
            "removeGroupRole",
            &format!("groupname={name} | rolename={role}"),
        );
        Ok(Done::Changed)
    }

    pub(super) fn set_anonymous_group(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &GROUP)?;
        self.group(name)?;
        self.state.anonymous_group = Some(name.into());
        self.kicked.push(Kicked::Anonymous);
        self.log("setAnonymousGroup", &format!("groupname={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn get_anonymous_group(&mut self, _: &Command<'_>) -> Result {
        self.log("getAnonymousGroup", "");
        let name = self.state.anonymous_group.as_deref().unwrap_or_default();
        let group = Json::Object(vec![("groupname", Json::text(name))]);
        Ok(Done::Said(
            "getAnonymousGroup",
            Json::Object(vec![("group", group)]),
        ))
    }
}
