//! Users, groups and roles, and how they hang together.
//!
//! **Invariant:** a role or group that is named exists, and a user knows of a group exactly if the group
//! knows of the user.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rights::RoleRights;
use crate::password::PasswordHash;
use crate::rules::{TopicError, check_topic};

/// Priorities beyond it are held there.
const PRIORITY_MAX: i32 = 100_000;

/// The priority of who is given none.
pub(super) const NO_PRIORITY: i32 = -1;

/// Everything that dynamic security knows.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Counts the changes.
    pub(super) change_index: i64,
    pub(super) default_access: DefaultAccess,
    pub(super) clients: BTreeMap<Box<str>, Client>,
    pub(super) groups: BTreeMap<Box<str>, Group>,
    pub(super) roles: BTreeMap<Box<str>, Role>,
    /// The group whose roles clients without a user name have.
    pub(super) anonymous_group: Option<Box<str>>,
}

/// What is allowed where no rule says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DefaultAccess {
    pub(super) publish: bool,
    pub(super) receive: bool,
    pub(super) subscribe: bool,
    pub(super) unsubscribe: bool,
}

impl Default for DefaultAccess {
    fn default() -> DefaultAccess {
        DefaultAccess {
            publish: false,
            receive: true,
            subscribe: false,
            unsubscribe: true,
        }
    }
}

/// What people call it, for people.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    pub(super) name: Option<Box<str>>,
    pub(super) description: Option<Box<str>>,
}

/// A user. Dynamic security calls users clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    pub(super) password: Option<Arc<PasswordHash>>,
    /// The only Client Identifier under which the user may connect.
    pub(super) client_id: Option<Box<str>>,
    pub(super) labels: Labels,
    pub(super) is_disabled: bool,
    pub(super) roles: Ranking,
    pub(super) groups: Ranking,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) roles: Ranking,
    /// The users in it, with the priority that the group has for them.
    pub(super) clients: BTreeMap<Box<str>, i32>,
}

#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) labels: Labels,
    /// Whether its users may subscribe with wildcards at all.
    pub(super) allow_wildcard_subs: bool,
    pub(super) acls: Acls,
    /// Made from the rules above; `None` if they have changed since.
    pub(super) rights: Option<Arc<RoleRights>>,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AclType {
    PublishClientSend,
    PublishClientReceive,
    SubscribeLiteral,
    SubscribePattern,
    UnsubscribeLiteral,
    UnsubscribePattern,
}

#[derive(Clone, Debug)]
pub(super) struct Acl {
    pub(super) topic: Box<str>,
    pub(super) priority: i32,
    pub(super) allow: bool,
}

/// The rules of a role, by type, the highest priority first.
#[derive(Clone, Debug, Default)]
pub(super) struct Acls([Vec<Acl>; AclType::ALL.len()]);

/// Names with priorities, the highest first, equal ones by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranking(Vec<(i32, Box<str>)>);

pub(super) fn within_limits(priority: i32) -> i32 {
    priority.clamp(-PRIORITY_MAX, PRIORITY_MAX)
}

impl AclType {
    pub(super) const ALL: [AclType; 6] = [
        AclType::PublishClientSend,
        AclType::PublishClientReceive,
        AclType::SubscribeLiteral,
        AclType::SubscribePattern,
        AclType::UnsubscribeLiteral,
        AclType::UnsubscribePattern,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            AclType::PublishClientSend => "publishClientSend",
            AclType::PublishClientReceive => "publishClientReceive",
            AclType::SubscribeLiteral => "subscribeLiteral",
            AclType::SubscribePattern => "subscribePattern",
            AclType::UnsubscribeLiteral => "unsubscribeLiteral",
            AclType::UnsubscribePattern => "unsubscribePattern",
        }
    }

    pub(super) fn named(name: &str) -> Option<AclType> {
        let mut all = AclType::ALL.into_iter();
        all.find(|acl_type| acl_type.name().eq_ignore_ascii_case(name))
    }
}

impl Acls {
    pub(super) fn of(&self, acl_type: AclType) -> &[Acl] {
        &self.0[acl_type as usize]
    }

    /// Adds a rule behind those of the same priority; false if there is one for this topic.
    pub(super) fn add(&mut self, acl_type: AclType, acl: Acl) -> Result<bool, TopicError> {
        check_topic(&acl.topic)?;
        let acls = &mut self.0[acl_type as usize];
        if acls.iter().any(|own| own.topic == acl.topic) {
            return Ok(false);
        }
        let position = acls.partition_point(|own| own.priority >= acl.priority);
        acls.insert(position, acl);
        Ok(true)
    }

    /// False if there is no rule for this topic.
    pub(super) fn remove(&mut self, acl_type: AclType, topic: &str) -> bool {
        let acls = &mut self.0[acl_type as usize];
        let count = acls.len();
        acls.retain(|own| *own.topic != *topic);
        acls.len() < count
    }
}

impl Ranking {
    /// False if the name is there already.
    pub(super) fn add(&mut self, name: &str, priority: i32) -> bool {
        let is_new = !self.contains(name);
        if is_new {
            let before = |(own, own_name): &(i32, Box<str>)| {
                (std::cmp::Reverse(*own), &**own_name) < (std::cmp::Reverse(priority), name)
            };
            let position = self.0.partition_point(before);
            self.0.insert(position, (priority, name.into()));
        }
        is_new
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(_, own)| **own != *name);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(_, own)| **own == *name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, i32)> {
        self.0.iter().map(|(priority, name)| (&**name, *priority))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, name)| &**name)
    }
}

impl Role {
    pub(super) fn new(labels: Labels, allow_wildcard_subs: bool, acls: Acls) -> Role {
        Role {
            labels,
            allow_wildcard_subs,
            acls,
            rights: None,
        }
    }
}

impl State {
    /// How many users there are.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// Puts a user into a group; false if it is there already. Both exist.
    pub(super) fn join(&mut self, user: &str, group: &str, priority: i32) -> bool {
        let (Some(client), Some(of_group)) =
            (self.clients.get_mut(user), self.groups.get_mut(group))
        else {
            return false;
        };
        of_group.clients.entry(user.into()).or_insert(priority);
        client.groups.add(group, priority)
    }

    pub(super) fn part(&mut self, user: &str, group: &str) {
        if let Some(group) = self.groups.get_mut(group) {
            group.clients.remove(user);
        }
        if let Some(client) = self.clients.get_mut(user) {
            client.groups.remove(group);
        }
    }

    pub(super) fn part_from_all(&mut self, user: &str) {
        let groups = self.clients.get(user).map(|client| client.groups.clone());
        for group in groups.unwrap_or_default().names() {
            self.part(user, group);
        }
    }

    pub(super) fn empty_group(&mut self, group: &str) {
        for user in self.users_in(group) {
            self.part(&user, group);
        }
    }

    pub(super) fn users_in(&self, group: &str) -> Vec<Box<str>> {
        let group = self.groups.get(group);
        group.map_or_else(Vec::new, |group| group.clients.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankings_go_by_priority_and_then_by_name() {
        let mut ranking = Ranking::default();
        for (name, priority) in [("b", 1), ("c", 5), ("a", 1), ("d", -1), ("c", 9)] {
            ranking.add(name, priority);
        }
        let names: Vec<&str> = ranking.names().collect();
        assert_eq!(names, ["c", "a", "b", "d"]);
    }

    #[test]
    fn rules_of_one_priority_stay_in_order() {
        let mut acls = Acls::default();
        let acl = |topic: &str, priority| Acl {
            topic: topic.into(),
            priority,
            allow: true,
        };
        let of = AclType::SubscribePattern;
        for (topic, priority) in [("z", 0), ("a", 0), ("m", 3), ("z", 9)] {
            acls.add(of, acl(topic, priority)).expect("a valid topic");
        }
        let topics: Vec<&str> = acls.of(of).iter().map(|acl| &*acl.topic).collect();
        assert_eq!(topics, ["m", "z", "a"]);
        assert!(acls.add(of, acl("a#", 0)).is_err());
    }
}
