//! What decides: the state, arranged so that the answer to one question is quick.
//!
//! A role's rules are compiled once and shared by all who have the role. A user's roles stand in the order
//! in which they are asked: its own by priority, then those of each group, the groups by priority.

use std::sync::Arc;

use hashbrown::HashMap;
use wigwag_scram::Credentials;

use super::state::{Acl, AclType, DefaultAccess, Role, State};
use crate::decoy::Look;
use crate::password::PasswordHash;
use crate::rules::{Placeholders, Rules, Who};

/// Who may do what, as of one state.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    default: DefaultAccess,
    users: HashMap<Box<str>, User, foldhash::fast::FixedState>,
    anonymous: Roles,
    /// Somebody's.
    hash: Option<Arc<PasswordHash>>,
    scram_look: Option<Look>,
}

type Roles = Box<[Arc<RoleRights>]>;

#[derive(Clone, Debug)]
struct User {
    password: Option<Arc<PasswordHash>>,
    client_id: Option<Box<str>>,
    is_disabled: bool,
    roles: Roles,
}

/// The rules of a role.
#[derive(Debug, Default)]
pub(super) struct RoleRights {
    publish: Rules,
    receive: Rules,
    subscribe: FilterRights,
    unsubscribe: FilterRights,
    allow_wildcard_subs: bool,
}

/// Rules about Topic Filters: texts that are compared as they are come first.
#[derive(Debug, Default)]
struct FilterRights {
    literals: HashMap<Box<str>, bool, foldhash::fast::FixedState>,
    patterns: Rules,
}

/// What a client wants to do, and with what.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// Publish to this Topic Name.
    Publish(&'a str),
    /// Be sent a message of this Topic Name.
    Receive(&'a str),
    /// Subscribe with this Topic Filter.
    Subscribe(&'a str),
    /// End the subscription with this Topic Filter.
    Unsubscribe(&'a str),
}

/// What is known of who wants to come in.
#[derive(Clone, Copy, Debug)]
pub enum Login<'a> {
    /// Nothing: others may know.
    Unknown,
    /// Not this one: disabled, without a password, or under a Client Identifier that is not the user's.
    Refused,
    /// Whoever knows this password.
    Password(&'a Arc<PasswordHash>),
}

impl State {
    /// What decides from here on.
    pub fn rights(&mut self) -> Rights {
        for role in self.roles.values_mut() {
            if role.rights.is_none() {
                role.rights = Some(Arc::new(RoleRights::new(role)));
            }
        }
        let users = self.clients.iter().map(|(name, client)| {
            let own = self.rights_of(client.roles.names());
            let of_groups = client
                .groups
                .names()
                .filter_map(|group| self.groups.get(group));
            let of_groups = of_groups.flat_map(|group| self.rights_of(group.roles.names()));
            let user = User {
                password: client.password.clone(),
                client_id: client.client_id.clone(),
                is_disabled: client.is_disabled,
                roles: own.chain(of_groups).collect(),
            };
            (name.clone(), user)
        });
        let anonymous = self.anonymous_group.as_ref();
        let anonymous = anonymous.and_then(|group| self.groups.get(group));
        Rights {
            default: self.default_access,
            users: users.collect(),
            anonymous: anonymous
                .map(|group| self.rights_of(group.roles.names()).collect())
                .unwrap_or_default(),
            hash: self
                .clients
                .values()
                .find_map(|client| client.password.clone()),
            scram_look: Look::usual(&self.scram().collect::<Vec<_>>()),
        }
    }

    /// What is kept for logging in with SCRAM-SHA-256.
    pub fn scram(&self) -> impl Iterator<Item = &Credentials> {
        let passwords = self
            .clients
            .values()
            .filter_map(|client| client.password.as_ref());
        passwords.filter_map(|hash| hash.scram())
    }

    fn rights_of<'a>(
        &'a self,
        roles: impl Iterator<Item = &'a str>,
    ) -> impl Iterator<Item = Arc<RoleRights>> {
        roles.filter_map(|role| self.roles.get(role)?.rights.clone())
    }
}

impl Rights {
    /// Whether the client may do this; `None` if neither a rule nor a default that opens says anything.
    pub fn decide(&self, who: Who<'_>, operation: Operation<'_>) -> Option<bool> {
        let roles = match who.user_name {
            Some(user) => &self.users.get(user)?.roles,
            None => &self.anonymous,
        };
        let decided = roles.iter().find_map(|role| role.decide(who, operation));
        decided.or_else(|| self.default.opens(operation).then_some(true))
    }

    /// What the user who calls itself so has to show.
    pub fn login(&self, user: &str, client_id: &str) -> Login<'_> {
        let Some(user) = self.users.get(user) else {
            return Login::Unknown;
        };
        let is_other = user
            .client_id
            .as_deref()
            .is_some_and(|own| own != client_id);
        match &user.password {
            Some(password) if !user.is_disabled && !is_other => Login::Password(password),
            _ => Login::Refused,
        }
    }

    /// Somebody's hash, to spend as much time on who is not there as on who is.
    pub fn any_hash(&self) -> Option<&Arc<PasswordHash>> {
        self.hash.as_ref()
    }

    /// How most of what is kept for SCRAM looks; `None` if nobody can log in with it.
    pub const fn scram_look(&self) -> Option<Look> {
        self.scram_look
    }

    /// Whether the user, who has been recognised in another way, may come in all the same.
    pub fn admits(&self, user: &str, client_id: &str) -> bool {
        self.users.get(user).is_none_or(|user| {
            let is_other = user
                .client_id
                .as_deref()
                .is_some_and(|own| own != client_id);
            !user.is_disabled && !is_other
        })
    }
}

impl DefaultAccess {
    /// Control topics are only ever opened by a rule.
    fn opens(self, operation: Operation<'_>) -> bool {
        let (is_open, topic) = match operation {
            Operation::Publish(topic) => (self.publish, topic),
            Operation::Receive(topic) => (self.receive, topic),
            Operation::Subscribe(filter) => (self.subscribe, filter),
            Operation::Unsubscribe(filter) => (self.unsubscribe, filter),
        };
        is_open && !topic.starts_with("$CONTROL")
    }
}

impl RoleRights {
    fn new(role: &Role) -> RoleRights {
        let of = |acl_type| compiled(role.acls.of(acl_type));
        let literals = |acl_type| {
            let acls = role.acls.of(acl_type).iter();
            acls.map(|acl| (acl.topic.clone(), acl.allow)).collect()
        };
        RoleRights {
            publish: of(AclType::PublishClientSend),
            receive: of(AclType::PublishClientReceive),
            subscribe: FilterRights {
                literals: literals(AclType::SubscribeLiteral),
                patterns: of(AclType::SubscribePattern),
            },
            unsubscribe: FilterRights {
                literals: literals(AclType::UnsubscribeLiteral),
                patterns: of(AclType::UnsubscribePattern),
            },
            allow_wildcard_subs: role.allow_wildcard_subs,
        }
    }

    fn decide(&self, who: Who<'_>, operation: Operation<'_>) -> Option<bool> {
        match operation {
            Operation::Publish(topic) => self.publish.decide(topic, who),
            Operation::Receive(topic) => self.receive.decide(topic, who),
            Operation::Subscribe(filter)
                if !self.allow_wildcard_subs && filter.contains(['+', '#']) =>
            {
                Some(false)
            }
            Operation::Subscribe(filter) => self.subscribe.decide(filter, who),
            Operation::Unsubscribe(filter) => self.unsubscribe.decide(filter, who),
        }
    }
}

impl FilterRights {
    fn decide(&self, filter: &str, who: Who<'_>) -> Option<bool> {
        let literal = self.literals.get(filter).copied();
        literal.or_else(|| self.patterns.decide_filter(filter, who))
    }
}

fn compiled(acls: &[Acl]) -> Rules {
    let mut rules = Rules::default();
    for acl in acls {
        let added = rules.add(&acl.topic, Placeholders::Stand, acl.allow);
        debug_assert_eq!(added, Ok(()), "checked when the rule was made");
    }
    rules
}
