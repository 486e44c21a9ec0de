//! The commands about roles: the rules that they are made of.

use super::{BAD_TOPIC, Done, ROLE, Result, Run, given, is_text, name, new_labels, new_name};
use crate::control::Command;
use crate::dynsec::document::acls_from;
use crate::dynsec::state::{Acl, AclType, Role, within_limits};
use crate::json::Json;

impl Run<'_> {
    pub(super) fn create_role(&mut self, command: &Command<'_>) -> Result {
        let name = new_name(command, &ROLE)?;
        let labels = new_labels(command)?;
        let wildcards = match command.member("allowwildcardsubs") {
            None => true,
            Some(wildcards) => wildcards.as_bool().ok_or("Invalid allowwildcardsubs")?,
        };
        if self.state.roles.contains_key(name) {
            return Err("Role already exists");
        }
        let acls = acls_from(command.array("acls").unwrap_or_default()).map_err(|_| BAD_TOPIC)?;
        let role = Role::new(labels, wildcards, acls);
        self.state.roles.insert(name.into(), role);
        self.log("createRole", &format!("rolename={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn delete_role(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &ROLE)?;
        self.role(name)?;
        self.kick_role(name);
        self.state.roles.remove(name);
        let clients = self
            .state
            .clients
            .values_mut()
            .map(|client| &mut client.roles);
        let groups = self.state.groups.values_mut().map(|group| &mut group.roles);
        clients.chain(groups).for_each(|roles| roles.remove(name));
        self.log("deleteRole", &format!("rolename={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn get_role(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &ROLE)?;
        let role = self.role(name)?.json(name);
        self.log("getRole", &format!("rolename={name}"));
        Ok(Done::Said("getRole", Json::Object(vec![("role", role)])))
    }

    pub(super) fn list_roles(&mut self, command: &Command<'_>) -> Result {
        let names: Vec<Box<str>> = self.state.roles.keys().cloned().collect();
        let one = |run: &Self, name: &str| run.state.roles[name].json(name);
        Ok(Done::Said(
            "listRoles",
            self.list(command, "roles", &names, one),
        ))
    }

    pub(super) fn modify_role(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &ROLE)?;
        self.role(name).map_err(|_| "Role does not exist")?;
        let acls = command.array("acls").map(acls_from).transpose();
        let acls = acls.map_err(|_| BAD_TOPIC)?;
        let role = self.role(name)?;
        role.labels.change(command);
        let wildcards = command
            .flag("allowwildcardsubs")
            .unwrap_or(role.allow_wildcard_subs);
        let is_change = acls.is_some() || wildcards != role.allow_wildcard_subs;
        role.allow_wildcard_subs = wildcards;
        if let Some(acls) = acls {
            role.acls = acls;
        }
        if is_change {
            role.rights = None;
            self.kick_role(name);
        }
        self.log("modifyRole", &format!("rolename={name}"));
        Ok(Done::Changed)
    }

    pub(super) fn add_role_acl(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &ROLE)?;
        let (acl_type, topic) = self.acl(command, name)?;
        let acl = Acl {
            topic: topic.into(),
            priority: within_limits(command.int("priority", 0)),
            allow: command.flag("allow").unwrap_or(false),
        };
        let what = format!(
            "rolename={name} | acltype={} | topic={topic} | priority={} | allow={}",
            acl_type.name(),
            acl.priority,
            acl.allow
        );
        let role = self.role(name)?;
        if !role.acls.add(acl_type, acl).map_err(|_| BAD_TOPIC)? {
            return Err("ACL with this topic already exists");
        }
        role.rights = None;
        self.kick_role(name);
        self.log("addRoleACL", &what);
        Ok(Done::Changed)
    }

    pub(super) fn remove_role_acl(&mut self, command: &Command<'_>) -> Result {
        let name = name(command, &ROLE)?;
        let (acl_type, topic) = self.acl(command, name)?;
        let role = self.role(name)?;
        if !role.acls.remove(acl_type, topic) {
            return Err("ACL not found");
        }
        role.rights = None;
        self.kick_role(name);
        let what = format!(
            "rolename={name} | acltype={} | topic={topic}",
            acl_type.name()
        );
        self.log("removeRoleACL", &what);
        Ok(Done::Changed)
    }

    /// Type and topic of the rule that a command is about.
    fn acl<'c>(&mut self, command: &Command<'c>, role: &str) -> Result<(AclType, &'c str)> {
        self.role(role)?;
        let acl_type = given(command, "acltype").ok_or("Invalid/missing acltype")?;
        let acl_type = AclType::named(acl_type).ok_or("Unknown acltype")?;
        let topic = given(command, "topic").ok_or("Invalid/missing topic")?;
        if !is_text(topic) {
            return Err("Topic not valid UTF-8");
        }
        crate::rules::check_topic(topic).map_err(|_| BAD_TOPIC)?;
        Ok((acl_type, topic))
    }
}
