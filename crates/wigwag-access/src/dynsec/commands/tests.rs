//! Commands against a small world: what is said, what is refused, who is kicked, what is logged.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::dynsec::{Login, Operation};

/// A world of two users in a group, with a role for each.
fn world() -> State {
    let mut state = State::default();
    let outcome = carry_out(
        &mut state,
        r##"{"commands":[
                {"command":"createRole","rolename":"own","acls":[{"acltype":"publishClientSend","topic":"own/%u/#","allow":true}]},
                {"command":"createRole","rolename":"all","acls":[{"acltype":"subscribePattern","topic":"#","allow":true}]},
                {"command":"createGroup","groupname":"staff","roles":[{"rolename":"all"}]},
                {"command":"createClient","username":"ann","password":"annpw","roles":[{"rolename":"own"}],"groups":[{"groupname":"staff","priority":2}]},
                {"command":"createClient","username":"bob","textname":"Bob"},
                {"command":"addGroupClient","username":"bob","groupname":"staff"}
              ]}"##,
    );
    assert!(!outcome.reply().contains("error"), "{}", outcome.reply());
    state
}

fn carry_out(state: &mut State, request: &str) -> Outcome {
    state.carry_out(
        request.as_bytes(),
        Environment {
            from: Who {
                client_id: "ctrl",
                user_name: Some("admin"),
            },
            scheme: Scheme::Sha512,
            salt: &mut || *b"twelve bytes",
            connections: Some(&|user, _| vec![format!("address of {user}")]),
        },
    )
}

fn one(state: &mut State, command: &str) -> Outcome {
    carry_out(state, &format!(r#"{{"commands":[{command}]}}"#))
}

#[track_caller]
fn check(state: &mut State, command: &str, expect: &Expect) {
    let reply = one(state, command).reply();
    let reply = reply.strip_prefix(r#"{"responses":["#);
    expect.assert_eq(
        reply
            .and_then(|reply| reply.strip_suffix("]}"))
            .expect("a reply"),
    );
}

#[track_caller]
fn refused(state: &mut State, command: &str, expect: &str) {
    let before = state.document();
    let outcome = one(state, command);
    let error = format!(r#""error":"{expect}""#);
    assert!(
        outcome.reply().contains(&error),
        "{command}: {}",
        outcome.reply()
    );
    assert!(
        !outcome.is_change() && outcome.kicked.is_empty(),
        "{command}"
    );
    assert_eq!(state.document(), before, "{command}");
}

#[track_caller]
fn kicks(state: &mut State, command: &str, expect: &[&str]) {
    let outcome = one(state, command);
    assert!(!outcome.reply().contains("error"), "{}", outcome.reply());
    let kicked = outcome.kicked.iter().map(|kicked| match kicked {
        Kicked::User(user) => user,
        Kicked::Anonymous => "(anonymous)",
    });
    assert_eq!(kicked.collect::<Vec<_>>(), expect, "{command}");
}

#[test]
fn credentials_for_scram_are_kept_as_they_come() {
    const STORED: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    let state = &mut world();
    let command =
        format!(r#"{{"command":"setClientPassword","username":"bob","password":"{STORED}"}}"#);
    assert!(one(state, &command).is_change());
    let document = state.document();
    assert!(document.contains(STORED), "{document}");
    let (mut read, _) = State::load(document.as_bytes()).expect("what was written");
    let rights = read.rights();
    let Login::Password(hash) = rights.login("bob", "any") else {
        unreachable!("bob has a password")
    };
    assert!(hash.scram().is_some());
    assert!(hash.verify(b"pencil") && !hash.verify(STORED.as_bytes()));
}

#[test]
fn what_is_asked_is_answered_as_mosquitto_does() {
    let state = &mut world();
    check(
        state,
        r#"{"command":"getClient","username":"ann","correlationData":"7"}"#,
        &expect![[
            r#"{"command":"getClient","data":{"client":{"username":"ann","roles":[{"rolename":"own"}],"groups":[{"groupname":"staff","priority":2}],"connections":[{"address":"address of ann"}]}},"correlationData":"7"}"#
        ]],
    );
    check(
        state,
        r#"{"command":"GETCLIENT","username":"bob"}"#,
        &expect![[
            r#"{"command":"getClient","data":{"client":{"username":"bob","textname":"Bob","roles":[],"groups":[{"groupname":"staff"}],"connections":[{"address":"address of bob"}]}}}"#
        ]],
    );
    check(
        state,
        r#"{"command":"listClients"}"#,
        &expect![[r#"{"command":"listClients","data":{"totalCount":2,"clients":["ann","bob"]}}"#]],
    );
    check(
        state,
        r#"{"command":"listClients","verbose":true,"count":1,"offset":1}"#,
        &expect![[
            r#"{"command":"listClients","data":{"totalCount":2,"clients":[{"username":"bob","textname":"Bob","roles":[],"groups":[{"groupname":"staff"}],"connections":[{"address":"address of bob"}]}]}}"#
        ]],
    );
    check(
        state,
        r#"{"command":"getGroup","groupname":"staff"}"#,
        &expect![[
            r#"{"command":"getGroup","data":{"group":{"groupname":"staff","clients":[{"username":"ann"},{"username":"bob"}],"roles":[{"rolename":"all"}]}}}"#
        ]],
    );
    check(
        state,
        r#"{"command":"listGroups","verbose":true}"#,
        &expect![[
            r#"{"command":"listGroups","data":{"totalCount":1,"groups":[{"groupname":"staff","clients":[{"username":"ann"},{"username":"bob"}],"roles":[{"rolename":"all"}]}]}}"#
        ]],
    );
    check(
        state,
        r#"{"command":"listGroups"}"#,
        &expect![[r#"{"command":"listGroups","data":{"totalCount":1,"groups":["staff"]}}"#]],
    );
    check(
        state,
        r#"{"command":"getRole","rolename":"own"}"#,
        &expect![[
            r#"{"command":"getRole","data":{"role":{"rolename":"own","allowwildcardsubs":true,"acls":[{"acltype":"publishClientSend","topic":"own/%u/#","priority":0,"allow":true}]}}}"#
        ]],
    );
    check(
        state,
        r#"{"command":"listRoles","count":1}"#,
        &expect![[r#"{"command":"listRoles","data":{"totalCount":2,"roles":["all"]}}"#]],
    );
    check(
        state,
        r#"{"command":"listRoles","verbose":true,"offset":1}"#,
        &expect![[
            r#"{"command":"listRoles","data":{"totalCount":2,"roles":[{"rolename":"own","allowwildcardsubs":true,"acls":[{"acltype":"publishClientSend","topic":"own/%u/#","priority":0,"allow":true}]}]}}"#
        ]],
    );
    check(
        state,
        r#"{"command":"getDefaultACLAccess"}"#,
        &expect![[
            r#"{"command":"getDefaultACLAccess","data":{"acls":[{"acltype":"publishClientSend","allow":false},{"acltype":"publishClientReceive","allow":true},{"acltype":"subscribe","allow":false},{"acltype":"unsubscribe","allow":true}]}}"#
        ]],
    );
    check(
        state,
        r#"{"command":"getAnonymousGroup"}"#,
        &expect![[r#"{"command":"getAnonymousGroup","data":{"group":{"groupname":""}}}"#]],
    );
    check(
        state,
        r#"{"command":"getDetails"}"#,
        &expect![[
            r#"{"command":"getDetails","data":{"clientCount":2,"groupCount":1,"roleCount":2,"changeIndex":6}}"#
        ]],
    );
    check(
        state,
        r#"{"command":"createrole","rolename":"new","correlationData":"x"}"#,
        &expect![[r#"{"command":"createrole","correlationData":"x"}"#]],
    );
}

#[test]
fn what_cannot_be_done_is_refused_in_mosquittos_words() {
    let state = &mut world();
    let unnamed = [
        ("deleteClient", "username"),
        ("createClient", "username"),
        ("setClientId", "username"),
        ("deleteGroup", "groupname"),
        ("setAnonymousGroup", "groupname"),
        ("getRole", "rolename"),
        ("addRoleACL", "rolename"),
    ];
    for (command, key) in unnamed {
        let missing = format!("Invalid/missing {key}");
        refused(state, &format!(r#"{{"command":"{command}"}}"#), &missing);
        refused(
            state,
            &format!(r#"{{"command":"{command}","{key}":7}}"#),
            &missing,
        );
    }
    for command in [
        "deleteClient",
        "getClient",
        "modifyClient",
        "setClientId",
        "enableClient",
        "disableClient",
    ] {
        refused(
            state,
            &format!(r#"{{"command":"{command}","username":"eve"}}"#),
            "Client not found",
        );
    }
    for (command, error) in [
        (r#""createClient","username":"""#, "Empty username"),
        (
            r#""createClient","username":"a\u0001""#,
            "Username not valid UTF-8",
        ),
        (
            r#""createClient","username":"ann""#,
            "Client already exists",
        ),
        (
            r#""createClient","username":"c","password":1"#,
            "Invalid/missing password",
        ),
        (
            r#""createClient","username":"c","clientid":1"#,
            "Invalid/missing client id",
        ),
        (
            r#""createClient","username":"c","textname":1"#,
            "Invalid/missing textname",
        ),
        (
            r#""createClient","username":"c","roles":[{"rolename":"x"}]"#,
            "Role not found",
        ),
        (r#""createClient","username":"c","roles":7"#, BAD_ROLES),
        (
            r#""createClient","username":"c","groups":[{"groupname":"x"}]"#,
            "Group not found",
        ),
        (
            r#""setClientPassword","username":"ann""#,
            "Invalid/missing password",
        ),
        (
            r#""setClientPassword","username":"ann","password":"""#,
            "Empty password is not allowed",
        ),
        (
            r#""addClientRole","username":"ann","rolename":"x""#,
            "Role not found",
        ),
        (
            r#""addClientRole","username":"ann","rolename":"own""#,
            "Internal error",
        ),
        (
            r#""modifyClient","username":"ann","groups":[{}]"#,
            "'groups' contains an object with an invalid 'groupname'",
        ),
        (
            r#""modifyClient","username":"ann","groups":[{"groupname":"x"}]"#,
            "'groups' contains an object with a 'groupname' that does not exist",
        ),
        (
            r#""createGroup","groupname":"staff""#,
            "Group already exists",
        ),
        (
            r#""addGroupClient","groupname":"staff","username":"ann""#,
            "Client is already in this group",
        ),
        (
            r#""addGroupRole","groupname":"staff","rolename":"all""#,
            "Group is already in this role",
        ),
        (r#""modifyGroup","groupname":"x""#, "Group not found"),
        (
            r#""modifyGroup","groupname":"staff","clients":[{"username":"x"}]"#,
            "'clients' contains an object with a 'username' that does not exist",
        ),
        (r#""createRole","rolename":"own""#, "Role already exists"),
        (
            r#""createRole","rolename":"x","allowwildcardsubs":7"#,
            "Invalid allowwildcardsubs",
        ),
        (
            r#""createRole","rolename":"x","acls":[{"acltype":"subscribePattern","topic":"a#"}]"#,
            "Invalid ACL topic",
        ),
        (r#""modifyRole","rolename":"x""#, "Role does not exist"),
        (
            r#""addRoleACL","rolename":"own""#,
            "Invalid/missing acltype",
        ),
        (
            r#""addRoleACL","rolename":"own","acltype":"subscribe""#,
            "Unknown acltype",
        ),
        (
            r#""addRoleACL","rolename":"own","acltype":"subscribePattern""#,
            "Invalid/missing topic",
        ),
        (
            r#""addRoleACL","rolename":"own","acltype":"subscribePattern","topic":"a/#/b""#,
            "Invalid ACL topic",
        ),
        (
            r#""addRoleACL","rolename":"own","acltype":"publishClientSend","topic":"own/%u/#""#,
            "ACL with this topic already exists",
        ),
        (
            r#""removeRoleACL","rolename":"own","acltype":"publishClientSend","topic":"x""#,
            "ACL not found",
        ),
        (r#""setDefaultACLAccess""#, "Missing/invalid actions array"),
        (r#""nonsense""#, "Unknown command"),
    ] {
        refused(state, &format!(r#"{{"command":{command}}}"#), error);
    }
    one(
        state,
        r#"{"command":"setAnonymousGroup","groupname":"staff"}"#,
    );
    let delete = r#"{"command":"deleteGroup","groupname":"staff"}"#;
    refused(state, delete, "Deleting the anonymous group is forbidden");
}

#[test]
fn whoever_a_change_affects_is_kicked() {
    let state = &mut world();
    kicks(state, r#"{"command":"enableClient","username":"ann"}"#, &[]);
    kicks(
        state,
        r#"{"command":"disableClient","username":"ann"}"#,
        &["ann"],
    );
    kicks(
        state,
        r#"{"command":"setClientPassword","username":"bob","password":"x"}"#,
        &["bob"],
    );
    kicks(
        state,
        r#"{"command":"addRoleACL","rolename":"own","acltype":"unsubscribeLiteral","topic":"x"}"#,
        &["ann"],
    );
    kicks(
        state,
        r#"{"command":"removeRoleACL","rolename":"own","acltype":"unsubscribeLiteral","topic":"x"}"#,
        &["ann"],
    );
    kicks(
        state,
        r#"{"command":"modifyRole","rolename":"own","textname":"x","allowwildcardsubs":true}"#,
        &[],
    );
    kicks(
        state,
        r#"{"command":"modifyRole","rolename":"own","allowwildcardsubs":false}"#,
        &["ann"],
    );
    kicks(
        state,
        r#"{"command":"addGroupRole","groupname":"staff","rolename":"own"}"#,
        &["ann", "bob"],
    );
    kicks(
        state,
        r#"{"command":"setAnonymousGroup","groupname":"staff"}"#,
        &["(anonymous)"],
    );
    kicks(
        state,
        r#"{"command":"removeGroupClient","groupname":"staff","username":"bob"}"#,
        &["bob"],
    );
    kicks(
        state,
        r#"{"command":"modifyGroup","groupname":"staff","clients":[{"username":"bob"}]}"#,
        &["(anonymous)", "ann", "bob"],
    );
    kicks(
        state,
        r#"{"command":"deleteRole","rolename":"all"}"#,
        &["(anonymous)", "bob"],
    );
    kicks(
        state,
        r#"{"command":"deleteClient","username":"bob"}"#,
        &["bob"],
    );
    kicks(
        state,
        r#"{"command":"setDefaultACLAccess","acls":[{"acltype":"subscribe","allow":true}]}"#,
        &[],
    );
    kicks(state, r#"{"command":"createGroup","groupname":"x"}"#, &[]);
    kicks(state, r#"{"command":"deleteGroup","groupname":"x"}"#, &[]);
}

#[test]
fn a_user_has_the_rights_of_roles_and_groups() {
    let state = &mut world();
    let check = |state: &mut State, operation, expect| {
        let ann = Who {
            client_id: "c",
            user_name: Some("ann"),
        };
        assert_eq!(
            state.rights().decide(ann, operation),
            expect,
            "{operation:?}"
        );
    };
    check(state, Operation::Publish("own/ann/x"), Some(true));
    check(state, Operation::Publish("own/bob/x"), None);
    check(state, Operation::Subscribe("a/+"), Some(true));
    check(state, Operation::Receive("a"), Some(true));
    check(state, Operation::Unsubscribe("a"), Some(true));
    one(
        state,
        r#"{"command":"addRoleACL","rolename":"all","acltype":"subscribeLiteral","topic":"a/+"}"#,
    );
    check(state, Operation::Subscribe("a/+"), Some(false));
    one(
        state,
        r#"{"command":"addRoleACL","rolename":"own","acltype":"subscribePattern","topic":"a/#","allow":true}"#,
    );
    check(state, Operation::Subscribe("a/+"), Some(true));
    one(
        state,
        r#"{"command":"addRoleACL","rolename":"own","acltype":"subscribePattern","topic":"a/+","priority":9}"#,
    );
    check(state, Operation::Subscribe("a/+"), Some(false));
    check(state, Operation::Subscribe("a/b/#"), Some(true));
    one(
        state,
        r#"{"command":"modifyRole","rolename":"own","allowwildcardsubs":false}"#,
    );
    check(state, Operation::Subscribe("b/#"), Some(false));
    check(state, Operation::Subscribe("b"), Some(true));
    one(
        state,
        r#"{"command":"modifyClient","username":"ann","groups":[],"roles":[]}"#,
    );
    check(state, Operation::Publish("own/ann/x"), None);
    check(state, Operation::Subscribe("b"), None);
    one(
        state,
        r#"{"command":"setDefaultACLAccess","acls":[{"acltype":"publishclientsend","allow":true}]}"#,
    );
    check(state, Operation::Publish("own/ann/x"), Some(true));
    check(state, Operation::Publish("$CONTROL/x/v1"), None);
}

#[test]
fn a_login_follows_the_changes() {
    let state = &mut world();
    let password = |state: &mut State, client_id| match state.rights().login("ann", client_id) {
        Login::Password(hash) => Some(hash.verify(b"annpw")),
        Login::Refused => None,
        Login::Unknown => panic!("ann is known"),
    };
    assert_eq!(password(state, "c"), Some(true));
    one(
        state,
        r#"{"command":"setClientId","username":"ann","clientid":"d"}"#,
    );
    assert_eq!(password(state, "c"), None);
    assert_eq!(password(state, "d"), Some(true));
    one(state, r#"{"command":"disableClient","username":"ann"}"#);
    assert_eq!(password(state, "d"), None);
    assert!(!state.rights().admits("ann", "d") && state.rights().admits("unknown", "d"));
    one(state, r#"{"command":"enableClient","username":"ann"}"#);
    one(
        state,
        r#"{"command":"modifyClient","username":"ann","clientid":"","password":"new"}"#,
    );
    assert_eq!(password(state, "c"), Some(false));
    one(
        state,
        r#"{"command":"createClient","username":"mute","password":""}"#,
    );
    assert!(matches!(state.rights().login("mute", "c"), Login::Refused));
}

#[test]
fn every_command_is_logged_as_mosquitto_does() {
    let state = &mut world();
    let outcome = carry_out(
        state,
        r#"{"commands":[{"command":"createClient","username":"eve","password":"secret"},{"command":"listRoles"},
                {"command":"addRoleACL","rolename":"own","acltype":"subscribePattern","topic":"x","priority":900000},
                {"command":"getDetails"},{"command":"deleteClient","username":"nobody"}]}"#,
    );
    expect![[r#"
            dynsec: ctrl/admin | createClient | username=eve | password=*****
            dynsec: ctrl/admin | listRoles | verbose=false | count=-1 | offset=0
            dynsec: ctrl/admin | addRoleACL | rolename=own | acltype=subscribePattern | topic=x | priority=100000 | allow=false
            dynsec: ctrl/admin | getDetails"#]].assert_eq(&outcome.log.join("\n"));
    assert!(outcome.is_change());
    expect![[r#"{"responses":[{"command":"createClient","error":"Internal error"},{"command":"listRoles","data":{"totalCount":2,"roles":["all","own"]}},{"command":"addRoleACL","error":"Internal error"},{"command":"getDetails","data":{"clientCount":3,"groupCount":1,"roleCount":2,"changeIndex":8}},{"command":"deleteClient","error":"Client not found"}]}"#]].assert_eq(&outcome.reply_unsaved());
}

proptest! {
    /// However it is changed, the state can be written, reads back the same, and can be asked.
    #[test]
    fn every_state_reads_back(picks in proptest::collection::vec((0..32_usize, 0..3_usize, 0..3_usize, any::<bool>()), 0..40)) {
        let mut state = world();
        for (command, first, second, flag) in picks {
            let (name, _) = commands()[command];
            let (a, b) = (["ann", "staff", "own"][first], ["bob", "all", "x"][second]);
            one(&mut state, &format!(
                r#"{{"command":"{name}","username":"{a}","groupname":"{b}","rolename":"{a}","password":"p","acltype":"subscribePattern","topic":"{b}/#",
                    "allow":{flag},"priority":{first},"roles":[{{"rolename":"{a}"}}],"groups":[{{"groupname":"{b}"}}],"clients":[{{"username":"{b}"}}]}}"#
            ));
            let (again, warnings) = State::load(state.document().as_bytes()).expect("valid");
            prop_assert_eq!(warnings, Vec::<String>::new());
            prop_assert_eq!(again.document(), state.document());
        }
        state.rights();
    }

    #[test]
    fn no_payload_makes_it_panic(payload in r#"\{"commands":\[\{"command":"(createRole|listGroups)"[{}\[\]":,a-z0-9-]{0,60}"#) {
        carry_out(&mut world(), &payload);
    }
}
