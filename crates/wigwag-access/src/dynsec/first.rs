//! The state that a broker begins with if there is no file: an administrator, and roles to build on.

use std::sync::Arc;

use super::state::{Acl, AclType, Acls, Client, Group, Labels, Role, State};
use crate::password::{PasswordHash, Salt, Scheme};

/// The passwords of a first state.
#[derive(Clone, Copy)]
pub enum Passwords<'a> {
    /// Somebody has set that of `admin`, who is alone.
    Given(&'a str),
    /// They were drawn, for `admin` and `democlient`, and stand where the operator can read them.
    Drawn {
        /// Of the administrator, who may change everything here and read everything else.
        admin: &'a str,
        /// Of the client to try things with, which may read and write everything but `$` topics.
        democlient: &'a str,
    },
}

/// The four kinds of rules that a topic can be opened with.
const ALL: &[AclType] = &[
    AclType::PublishClientSend,
    AclType::PublishClientReceive,
    AclType::SubscribePattern,
    AclType::UnsubscribePattern,
];

/// Name, description, what is allowed, and the topic.
const ROLES: &[(&str, &str, &[AclType], &str)] = &[
    (
        "client",
        "Read and write all topics of applications.",
        ALL,
        "#",
    ),
    (
        "broker-admin",
        "Administer the broker.",
        ALL,
        "$CONTROL/broker/#",
    ),
    (
        "dynsec-admin",
        "Administer clients, groups and roles.",
        ALL,
        "$CONTROL/dynamic-security/#",
    ),
    ("super-admin", "Administer everything.", ALL, "$CONTROL/#"),
    (
        "sys-notify",
        "Tell of the state of a bridge, as bridges do.",
        &[AclType::PublishClientSend],
        "$SYS/broker/connection/%c/state",
    ),
    (
        "sys-observe",
        "Read what the broker says of itself.",
        &[AclType::PublishClientReceive, AclType::SubscribePattern],
        "$SYS/#",
    ),
    (
        "topic-observe",
        "Read all topics of applications.",
        &[
            AclType::PublishClientReceive,
            AclType::SubscribePattern,
            AclType::UnsubscribePattern,
        ],
        "#",
    ),
];

/// The role of an administrator for whom a file was made, and what is open to it, in the order of Mosquitto's tool.
const ADMIN: &str = "admin";
const ADMINS: &[(AclType, &str)] = &[
    (AclType::PublishClientSend, "$CONTROL/dynamic-security/#"),
    (AclType::PublishClientReceive, "$CONTROL/dynamic-security/#"),
    (AclType::SubscribePattern, "$CONTROL/dynamic-security/#"),
    (AclType::PublishClientReceive, "$SYS/#"),
    (AclType::SubscribePattern, "$SYS/#"),
    (AclType::PublishClientReceive, "#"),
    (AclType::SubscribePattern, "#"),
    (AclType::UnsubscribePattern, "#"),
];

/// The group of clients without a user name.
const UNAUTHENTICATED: &str = "unauthenticated";

impl State {
    /// A first state, with a salt for each password.
    pub fn first(
        passwords: Passwords<'_>,
        scheme: Scheme,
        mut salt: impl FnMut() -> Salt,
    ) -> State {
        let mut state = State::default();
        for (name, description, acl_types, topic) in ROLES {
            let role = Role::new(
                labels(None, Some(description)),
                true,
                open(acl_types, topic),
            );
            state.roles.insert((*name).into(), role);
        }
        let mut client = |password: &str, labels, roles: &[&str]| {
            let hash = PasswordHash::make(scheme, password.as_bytes(), &salt());
            let mut client = Client {
                password: Some(Arc::new(hash)),
                labels,
                ..Client::default()
            };
            for role in roles {
                client.roles.add(role, super::state::NO_PRIORITY);
            }
            client
        };
        let (admin, democlient) = match passwords {
            Passwords::Given(admin) => (admin, None),
            Passwords::Drawn { admin, democlient } => (admin, Some(democlient)),
        };
        let roles = ["super-admin", "sys-observe", "topic-observe"];
        let named = labels(Some("Admin user"), Some("May change everything here."));
        state
            .clients
            .insert("admin".into(), client(admin, named, &roles));
        if let Some(password) = democlient {
            let named = labels(
                Some("Demonstration client"),
                Some("To try things with; delete it later."),
            );
            let demo = client(password, named, &["client"]);
            state.clients.insert("democlient".into(), demo);
        }
        let group = Group {
            labels: labels(
                Some("Unauthenticated group"),
                Some(
                    "The roles of clients that connect without a user name, if the broker lets them in.",
                ),
            ),
            ..Group::default()
        };
        state.groups.insert(UNAUTHENTICATED.into(), group);
        state.anonymous_group = Some(UNAUTHENTICATED.into());
        state
    }
}

impl State {
    /// What `mosquitto_ctrl dynsec init` makes: an administrator with a name of its own, and one role.
    pub fn with_administrator(user: &str, password: PasswordHash) -> State {
        let mut acls = Acls::default();
        for (acl_type, topic) in ADMINS {
            allow(&mut acls, *acl_type, topic);
        }
        let mut client = Client {
            password: Some(Arc::new(password)),
            labels: labels(Some("Dynsec admin user"), None),
            ..Client::default()
        };
        client.roles.add(ADMIN, super::state::NO_PRIORITY);
        let mut state = State::default();
        let role = Role::new(Labels::default(), true, acls);
        state.roles.insert(ADMIN.into(), role);
        state.clients.insert(user.into(), client);
        state
    }
}

fn labels(name: Option<&str>, description: Option<&str>) -> Labels {
    Labels {
        name: name.map(Box::from),
        description: description.map(Box::from),
    }
}

fn open(acl_types: &[AclType], topic: &str) -> Acls {
    let mut acls = Acls::default();
    for acl_type in acl_types {
        allow(&mut acls, *acl_type, topic);
    }
    acls
}

fn allow(acls: &mut Acls, acl_type: AclType, topic: &str) {
    let acl = Acl {
        topic: topic.into(),
        priority: 0,
        allow: true,
    };
    let added = acls.add(acl_type, acl);
    debug_assert_eq!(added, Ok(true));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynsec::{Login, Operation};
    use crate::rules::Who;

    fn first(passwords: Passwords<'_>) -> State {
        State::first(passwords, Scheme::Sha512, || *b"twelve bytes")
    }

    #[test]
    fn the_administrator_can_do_everything_but_speak_to_applications() {
        let mut state = first(Passwords::Given("secret"));
        let rights = state.rights();
        assert!(
            matches!(rights.login("admin", "c"), Login::Password(hash) if hash.verify(b"secret"))
        );
        assert!(matches!(rights.login("democlient", "c"), Login::Unknown));
        let check = |user, operation, expect| {
            let who = Who {
                client_id: "c",
                user_name: user,
            };
            assert_eq!(
                rights.decide(who, operation),
                expect,
                "{user:?} {operation:?}"
            );
        };
        let admin = Some("admin");
        check(
            admin,
            Operation::Publish("$CONTROL/dynamic-security/v1"),
            Some(true),
        );
        check(
            admin,
            Operation::Subscribe("$CONTROL/dynamic-security/v1/#"),
            Some(true),
        );
        check(admin, Operation::Subscribe("$SYS/#"), Some(true));
        check(admin, Operation::Subscribe("#"), Some(true));
        check(admin, Operation::Publish("a"), None);
        check(None, Operation::Subscribe("a"), None);
        check(None, Operation::Unsubscribe("a"), Some(true));
        check(None, Operation::Receive("$CONTROL/x/v1/response"), None);
        check(Some("nobody"), Operation::Unsubscribe("a"), None);
    }

    #[test]
    fn the_demonstration_client_speaks_to_applications() {
        let mut state = first(Passwords::Drawn {
            admin: "a",
            democlient: "d",
        });
        let rights = state.rights();
        assert!(
            matches!(rights.login("democlient", "c"), Login::Password(hash) if hash.verify(b"d"))
        );
        let who = Who {
            client_id: "c",
            user_name: Some("democlient"),
        };
        assert_eq!(rights.decide(who, Operation::Publish("a/b")), Some(true));
        assert_eq!(rights.decide(who, Operation::Publish("$CONTROL/x")), None);
    }

    #[test]
    fn an_administrator_of_any_name_administers_dynamic_security_alone() {
        let hash = PasswordHash::make(Scheme::Sha512, b"secret", b"twelve bytes");
        let mut state = State::with_administrator("root", hash);
        let rights = state.rights();
        assert!(
            matches!(rights.login("root", "c"), Login::Password(hash) if hash.verify(b"secret"))
        );
        let who = Who {
            client_id: "c",
            user_name: Some("root"),
        };
        let publish = |topic| rights.decide(who, Operation::Publish(topic));
        assert_eq!(publish("$CONTROL/dynamic-security/v1"), Some(true));
        assert_eq!(publish("$CONTROL/broker/v1"), None);
        assert_eq!(publish("a"), None);
        let written = state.document();
        let (read, warnings) = State::load(written.as_bytes()).expect("valid");
        assert_eq!(warnings, [""; 0]);
        assert_eq!(read.document(), written);
    }

    #[test]
    fn it_reads_back() {
        let written = first(Passwords::Given("secret")).document();
        let (read, warnings) = State::load(written.as_bytes()).expect("valid");
        assert_eq!(warnings, [""; 0]);
        assert_eq!(read.document(), written);
    }
}
