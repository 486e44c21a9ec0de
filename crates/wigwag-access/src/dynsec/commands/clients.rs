//! The commands about clients: who they are, their passwords, and the roles that they have themselves.

use super::{
    Done, ROLE, Result, Run, USER, given, is_text, name, new_labels, new_name, priority, some_text,
};
use crate::control::{self, Command};
use crate::dynsec::document::priority_of;
use crate::dynsec::state::{Client, Ranking};
use crate::json::Json;

impl Run<'_> {
    pub(super) fn create_client(&mut self, command: &Command<'_>) -> Result {
        let name = new_name(command, &USER)?;
        let password = command
            .text("password")
            .map_err(|()| "Invalid/missing password")?;
        let client_id = command
            .text("clientid")
            .map_err(|()| "Invalid/missing client id")?;
        if client_id.is_some_and(|id| !is_text(id)) {
            return Err("Client ID not valid UTF-8");
        }
        let labels = new_labels(command)?;
        if self.state.clients.contains_key(name) {
            return Err("Client already exists");
        }
        let roles = self.roles(command)?.unwrap_or_default();
        let mut groups = Ranking::default();
        for entry in command.array("groups").unwrap_or_default() {
            if let Ok(Some(group)) = control::text(entry, "groupname") {
                self.group(group)?;
                groups.add(group, priority_of(entry));
            }
        }
        let client = Client {
            password: password
                .filter(|password| !password.is_empty())
                .map(|password| self.hash(password)),
            client_id: client_id.filter(|id| !id.is_empty()).map(Box::from),
            labels,
            roles,
            ..Client::default()
        };
        self.state.clients.insert(name.into(), client);
        for (group, priority) in groups.iter() {
            self.state.join(name, group, priority);
        }
        let hidden = if password.is_some() {
            "*****"
        } else {
            "no password"
        };
        self.log(
            "createClient",
            &format!("username={name} | password={hidden}"),
        );
        Ok(Done::Changed)
    }

    pub(super) fn delete_client(&mut self, command: &Command<'_>) -> Result {
        let name = some_text(command, &USER)?;
        self.client(name)?;
        self.state.part_from_all(name);
        self.state.clients.remove(name);
        self.kick(name);
        self.log("deleteClient", &format!("username={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn get_client(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &USER)?;
        self.client(name)?;
        let client = self.client_json(name);
        self.log("getClient", &format!("username={name}"));
        Ok(Done::Said(
            "getClient",
            Json::Object(vec![("client", client)]),
        ))
    }

    pub(super) fn list_clients(&mut self, command: &Command<'_>) -> Result {
        let names: Vec<Box<str>> = self.state.clients.keys().cloned().collect();
        let one = |run: &Self, name: &str| run.client_json(name);
        Ok(Done::Said(
            "listClients",
            self.list(command, "clients", &names, one),
        ))
    }

    pub(super) fn modify_client(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &USER)?;
        self.client(name)?;
        let roles = self.roles(command)?;
        let groups = command.array("groups");
        let mut ranking = Ranking::default();
        for entry in groups
            .unwrap_or_default()
            .iter()
            .filter(|entry| entry.is_object())
        {
            let Ok(Some(group)) = control::text(entry, "groupname") else {
                return Err("'groups' contains an object with an invalid 'groupname'");
            };
            if !self.state.groups.contains_key(group) {
                return Err("'groups' contains an object with a 'groupname' that does not exist");
            }
            ranking.add(group, priority_of(entry));
        }
        let password = given(command, "password").filter(|password| !password.is_empty());
        let password = password.map(|password| self.hash(password));
        if groups.is_some() {
            self.state.part_from_all(name);
            for (group, priority) in ranking.iter() {
                self.state.join(name, group, priority);
            }
        }
        let client = self.client(name)?;
        client.password = password.or(client.password.take());
        if let Some(client_id) = given(command, "clientid") {
            client.client_id = Some(client_id).filter(|id| !id.is_empty()).map(Box::from);
        }
        client.labels.change(command);
        if let Some(roles) = roles {
            client.roles = roles;
        }
        self.kick(name);
        self.log("modifyClient", &format!("username={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn set_client_password(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &USER)?;
        let password = given(command, "password").ok_or("Invalid/missing password")?;
        if password.is_empty() {
            return Err("Empty password is not allowed");
        }
        self.client(name)?;
        let hash = self.hash(password);
        self.client(name)?.password = Some(hash);
        self.kick(name);
        self.log(
            "setClientPassword",
            &format!("username={name} | password=******"),
        );
        Ok(Done::Changed)
    }

    pub(super) fn set_client_id(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &USER)?;
        let client_id = command
            .text("clientid")
            .map_err(|()| "Invalid/missing client ID")?;
        if client_id.is_some_and(|id| !is_text(id)) {
            return Err("Client ID not valid UTF-8");
        }
        let client_id = client_id.filter(|id| !id.is_empty());
        self.client(name)?.client_id = client_id.map(Box::from);
        self.kick(name);
        let shown = client_id.unwrap_or("(null)");
        self.log(
            "setClientId",
            &format!("username={name} | clientid={shown}"),
        );
        Ok(Done::Changed)
    }

    pub(super) fn add_client_role(&mut self, command: &Command<'_>) -> Result {
        let (name, role) = (name(command, &USER)?, name(command, &ROLE)?);
        let priority = priority(command);
        self.client(name)?;
        self.role(role)?;
        if !self.client(name)?.roles.add(role, priority) {
            return Err("Internal error");
        }
        self.kick(name);
        let what = format!("username={name} | rolename={role} | priority={priority}");
        self.log("addClientRole", &what);
        Ok(Done::Changed)
    }

    pub(super) fn remove_client_role(&mut self, command: &Command<'_>) -> Result {
        let (name, role) = (name(command, &USER)?, name(command, &ROLE)?);
        self.client(name)?;
        self.role(role)?;
        self.client(name)?.roles.remove(role);
        self.kick(name);
        self.log(
            "removeClientRole",
            &format!("username={name} | rolename={role}"),
        );
        Ok(Done::Changed)
    }

    pub(super) fn enable_client(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &USER)?;
        self.client(name)?.is_disabled = false;
        self.log("enableClient", &format!("username={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn disable_client(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &USER)?;
        self.client(name)?.is_disabled = true;
        self.kick(name);
        self.log("disableClient", &format!("username={name}"));
        Ok(Done::Changed)
    }
}
