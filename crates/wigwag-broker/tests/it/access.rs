//! Access on real sockets: files and dynamic security, with Mosquitto's own tools, and beside Mosquitto.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wigwag_broker::access::authority::{
    Answer, Attempt, AuthRequest, AuthStep, Identity, Policy, Reply, TopicFilter, TopicName,
    Verdict,
};
use wigwag_broker::access::{AccessSettings, Authority, DynamicSecurity, Security, Source};
use wigwag_broker::conf::{self, Disk};
use wigwag_broker::{Broker, Builder, Listener, StartError, Transport};
use wigwag_proto::ReasonCode;
use wigwag_proto::packet::{Qos, Version};

use crate::client::{Client, Login, Received};
use crate::foreign::{self, Mosquitto};
use crate::{ANY_PORT, addr};

const ADMIN_PASSWORD: &str = "admin password";

fn settings(sources: Vec<Source>) -> AccessSettings {
    AccessSettings {
        listeners: vec![Security {
            allow_anonymous: false,
            sources,
        }],
        ..AccessSettings::default()
    }
}

fn start(settings: AccessSettings) -> Result<Broker, StartError> {
    builder(settings).start()
}

fn builder(settings: AccessSettings) -> Builder {
    Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .shards(NonZeroU16::new(2).expect("not zero"))
        .access(settings)
}

fn tcp(broker: &Broker) -> SocketAddr {
    addr(broker, Transport::Tcp)
}

fn write(folder: &TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("writable");
    path
}

async fn log_in(addr: SocketAddr, user: &str, password: &str) -> Result<Client, ReasonCode> {
    let login = Login {
        client_id: &format!("client-of-{user}"),
        user_name: Some(user),
        password: Some(password),
    };
    Client::try_connect(addr, Version::V5, login).await
}

async fn anonymous(addr: SocketAddr, version: Version) -> Result<Client, ReasonCode> {
    let login = Login {
        client_id: "nobody",
        user_name: None,
        password: None,
    };
    Client::try_connect(addr, version, login).await
}

#[tokio::test]
async fn users_of_a_file_by_mosquitto_passwd_log_in() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("passwords");
    let file = path.to_str().expect("UTF-8");
    foreign::run(
        "mosquitto_passwd",
        &["-c", "-b", "-H", "sha512", file, "old", "old password"],
    );
    foreign::run(
        "mosquitto_passwd",
        &["-b", "-H", "sha512-pbkdf2", file, "new", "new password"],
    );
    let broker = start(settings(vec![Source::Passwords(path)])).expect("started");
    for (user, password) in [("old", "old password"), ("new", "new password")] {
        // The second time, the password is remembered.
        for _ in 0..2 {
            let client = log_in(tcp(&broker), user, password).await;
            client.unwrap_or_else(|reason| panic!("{user}: {reason}"));
        }
        let wrong = log_in(tcp(&broker), user, "wrong").await;
        assert_eq!(wrong.err(), Some(ReasonCode::NotAuthorized), "{user}");
    }
    let unknown = log_in(tcp(&broker), "unknown", "old password").await;
    assert_eq!(unknown.err(), Some(ReasonCode::NotAuthorized));
    let none = anonymous(tcp(&broker), Version::V5).await;
    assert_eq!(none.err(), Some(ReasonCode::NotAuthorized));
    let older = anonymous(tcp(&broker), Version::V3_1_1).await;
    assert_eq!(older.err(), Some(ReasonCode::NotAuthorized));
    broker.shutdown().await;
}

#[tokio::test]
async fn everything_wrong_with_the_files_is_said_at_once() {
    let folder = TempDir::new().expect("a folder");
    let passwords = write(&folder, "passwords", "ann:plain\nbob:\n");
    let acl = write(&folder, "acl", "topic read a#\nuser\n");
    let missing = folder.path().join("missing");
    let sources = vec![
        Source::Passwords(passwords),
        Source::Acl(acl),
        Source::Acl(missing),
    ];
    let Err(StartError::Access(error)) = start(settings(sources)) else {
        panic!("it must not start");
    };
    let lines: Vec<&str> = error.0.iter().map(String::as_str).collect();
    let expect = [
        "passwords:1: user \"ann\"",
        "passwords:2: user \"bob\"",
        "acl:1: \"a#\"",
        "acl:2: `user`",
        "missing: cannot be read",
    ];
    assert_eq!(lines.len(), expect.len(), "{lines:?}");
    for (line, expect) in lines.iter().zip(expect) {
        assert!(line.contains(expect), "{line}");
    }
}

#[tokio::test]
async fn a_reload_takes_effect_as_a_whole_or_not_at_all() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("passwords");
    let file = path.to_str().expect("UTF-8");
    fs::write(&path, "").expect("writable");
    for user in ["ann", "bob", "carol"] {
        foreign::run("mosquitto_passwd", &["-b", file, user, "before"]);
    }
    let acl = write(&folder, "acl", "pattern readwrite %u/#\n");
    let settings = settings(vec![
        Source::Passwords(path.clone()),
        Source::Acl(acl.clone()),
    ]);
    let broker = start(settings.clone()).expect("started");
    let mut ann = log_in(tcp(&broker), "ann", "before").await.expect("let in");
    let mut bob = log_in(tcp(&broker), "bob", "before").await.expect("let in");
    let mut carol = log_in(tcp(&broker), "carol", "before")
        .await
        .expect("let in");

    fs::write(&acl, "topic read\t#\nnonsense\n").expect("writable");
    let error = broker.reload_access(&settings).expect_err("invalid");
    assert_eq!(error.0.len(), 2, "{error}");
    ann.publish("ann/x", b"", Qos::AtLeastOnce).await;
    assert_eq!(ann.reasons.pop(), Some(ReasonCode::NoMatchingSubscribers));

    fs::write(&acl, "user ann\ntopic read ann/#\n").expect("writable");
    foreign::run("mosquitto_passwd", &["-b", file, "bob", "after"]);
    foreign::run("mosquitto_passwd", &["-D", file, "carol"]);
    broker.reload_access(&settings).expect("valid");
    // Who has lost its password or has another is sent away; the others stay, with other rights.
    assert_eq!(
        bob.next().await,
        Received::Disconnect(ReasonCode::NotAuthorized)
    );
    assert_eq!(
        carol.next().await,
        Received::Disconnect(ReasonCode::NotAuthorized)
    );
    ann.publish("ann/x", b"", Qos::AtLeastOnce).await;
    assert_eq!(ann.reasons.pop(), Some(ReasonCode::NotAuthorized));
    // What was remembered of the old password is worth nothing.
    let old = log_in(tcp(&broker), "bob", "before").await;
    assert_eq!(old.err(), Some(ReasonCode::NotAuthorized));
    assert!(log_in(tcp(&broker), "bob", "after").await.is_ok());
    broker.shutdown().await;
}

#[tokio::test]
async fn a_flood_of_logins_is_answered_and_does_not_stop_others() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("passwords");
    let file = path.to_str().expect("UTF-8");
    foreign::run("mosquitto_passwd", &["-c", "-b", file, "ann", "pw"]);
    let broker = start(settings(vec![Source::Passwords(path)])).expect("started");
    let mut ann = log_in(tcp(&broker), "ann", "pw").await.expect("let in");
    ann.subscribe("a", Qos::AtMostOnce).await;
    let addr = tcp(&broker);
    let flood = (0..400).map(|n| {
        tokio::spawn(async move {
            let user = format!("user{n}");
            log_in(addr, &user, "guess").await.err()
        })
    });
    let flood: Vec<_> = flood.collect();
    for n in 0..50_u8 {
        ann.publish("a", &[n], Qos::AtMostOnce).await;
        assert_eq!(ann.message().await.payload, [n]);
    }
    for attempt in flood {
        let reason = attempt.await.expect("it does not panic");
        assert!(
            matches!(
                reason,
                Some(ReasonCode::NotAuthorized | ReasonCode::ServerBusy)
            ),
            "{reason:?}"
        );
    }
    broker.shutdown().await;
}

fn with_dynsec(file: &Path) -> AccessSettings {
    AccessSettings {
        dynamic_security: Some(DynamicSecurity {
            file: file.to_owned(),
            password_init_file: None,
            initial_password: Some(ADMIN_PASSWORD.to_owned()),
        }),
        control_api: true,
        ..settings(vec![Source::DynamicSecurity])
    }
}

/// Runs `mosquitto_ctrl dynsec` against the broker, off the runtime's thread.
async fn ctrl(addr: SocketAddr, args: &str) -> (String, String) {
    let args = args.to_owned();
    tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.split(' ').collect();
        foreign::dynsec(addr, ADMIN_PASSWORD, &args)
    })
    .await
    .expect("it does not panic")
}

#[tokio::test]
async fn a_listener_without_dynamic_security_does_not_change_it() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("dynsec.json");
    let mut settings = with_dynsec(&file);
    settings.listeners.push(Security {
        allow_anonymous: true,
        sources: Vec::new(),
    });
    let broker = builder(settings)
        .listener(Listener::websocket(ANY_PORT))
        .start()
        .expect("started");
    let before = fs::read(&file).expect("there");
    let open = addr(&broker, Transport::WebSocket);
    let mut anybody = Client::connect_websocket(open, "anybody").await;
    let command =
        br#"{"commands":[{"command":"createClient","username":"eve","password":"evepw"}]}"#;
    let topic = "$CONTROL/dynamic-security/v1";
    anybody.publish(topic, command, Qos::AtLeastOnce).await;
    // One request is answered after the other.
    ctrl(tcp(&broker), "listClients").await;
    assert!(log_in(tcp(&broker), "eve", "evepw").await.is_err());
    assert!(
        fs::read(&file).expect("there") == before,
        "nothing has changed"
    );
    broker.shutdown().await;
}

#[tokio::test]
async fn mosquitto_ctrl_prints_the_same_of_both_brokers() {
    let folder = TempDir::new().expect("a folder");
    let (ours, theirs) = (
        folder.path().join("ours.json"),
        folder.path().join("theirs.json"),
    );
    for file in [&ours, &theirs] {
        let file = file.to_str().expect("UTF-8");
        foreign::run(
            "mosquitto_ctrl",
            &["dynsec", "init", file, "admin", ADMIN_PASSWORD],
        );
    }
    let broker = start(with_dynsec(&ours)).expect("started");
    let plugin = foreign::dynsec_plugin();
    let options = format!(
        "plugin {plugin}\nplugin_opt_config_file {}\n",
        theirs.display()
    );
    let mosquitto = Mosquitto::start(folder.path(), &options);
    for command in [
        "getDefaultACLAccess",
        "setDefaultACLAccess publishClientSend allow",
        "getDefaultACLAccess",
        "createRole reader",
        "createRole reader",
        "addRoleACL reader subscribePattern a/# allow 7",
        "addRoleACL reader subscribeLiteral a/x deny",
        "addRoleACL reader publishClientReceive %u/+ allow -3",
        "addRoleACL reader subscribePattern a/# deny",
        "removeRoleACL reader subscribeLiteral a/x",
        "removeRoleACL reader subscribeLiteral a/x",
        "addRoleACL nobody subscribeLiteral a/x deny",
        "getRole reader",
        "getRole nobody",
        "listRoles",
        "createGroup staff",
        "createGroup staff",
        "addGroupRole staff reader 3",
        "getGroup staff",
        "getGroup nobody",
        "createClient ann -p annpw",
        "createClient ann -p annpw",
        "createClient bob -p bobpw -i bobs-id",
        "addClientRole ann reader 5",
        "addClientRole ann nobody",
        "addGroupClient staff ann 2",
        "addGroupClient staff ann 2",
        "addGroupClient staff bob",
        "setClientPassword bob other",
        "setClientPassword nobody other",
        "setClientId bob new-id",
        "setClientId bob",
        "disableClient bob",
        "getClient ann",
        "getClient bob",
        "enableClient bob",
        "getClient nobody",
        "listClients",
        "listClients 1 1",
        "listGroups",
        "setAnonymousGroup staff",
        "getAnonymousGroup",
        "setAnonymousGroup nobody",
        "removeGroupClient staff bob",
        "removeGroupRole staff reader",
        "removeClientRole ann reader",
        "getClient ann",
        "getGroup staff",
        "deleteClient bob",
        "deleteClient bob",
        "deleteRole reader",
        "listRoles",
        "listClients",
    ] {
        let (said, expect) =
            tokio::join!(ctrl(tcp(&broker), command), ctrl(mosquitto.addr, command));
        assert_eq!(said, expect, "{command}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn a_change_holds_at_once_and_sends_away_whom_it_concerns() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("dynsec.json");
    let broker = start(with_dynsec(&file)).expect("started");
    let addr = tcp(&broker);
    let done = (String::new(), String::new());
    for command in [
        "createRole talker",
        "addRoleACL talker publishClientSend talk/%u allow",
        "addRoleACL talker subscribePattern talk/# allow",
        "createClient ann -p annpw",
        "createClient bob -p bobpw",
        "addClientRole ann talker",
    ] {
        assert_eq!(ctrl(addr, command).await, done, "{command}");
    }
    let mut ann = log_in(addr, "ann", "annpw").await.expect("let in");
    let mut bob = log_in(addr, "bob", "bobpw").await.expect("let in");
    ann.subscribe("talk/+", Qos::AtMostOnce).await;
    ann.publish("talk/ann", b"hello", Qos::AtLeastOnce).await;
    ann.publish("talk/bob", b"not me", Qos::AtLeastOnce).await;
    bob.publish("talk/bob", b"not yet", Qos::AtLeastOnce).await;
    bob.subscribe("talk/+", Qos::AtMostOnce).await;
    assert_eq!(ann.message().await.payload, b"hello");
    let refused = ReasonCode::NotAuthorized;
    assert_eq!(ann.reasons[1..], [ReasonCode::Success, refused]);
    assert_eq!(bob.reasons, [refused, refused]);

    assert_eq!(ctrl(addr, "addClientRole bob talker").await, done);
    assert_eq!(
        bob.next().await,
        Received::Disconnect(ReasonCode::AdministrativeAction)
    );
    let mut bob = log_in(addr, "bob", "bobpw").await.expect("let in again");
    bob.publish("talk/bob", b"hello", Qos::AtLeastOnce).await;
    assert_eq!(ann.message().await.payload, b"hello");

    assert_eq!(ctrl(addr, "setClientPassword ann other").await, done);
    assert_eq!(
        ann.next().await,
        Received::Disconnect(ReasonCode::AdministrativeAction)
    );
    assert_eq!(log_in(addr, "ann", "annpw").await.err(), Some(refused));
    assert_eq!(ctrl(addr, "disableClient bob").await, done);
    assert_eq!(
        bob.next().await,
        Received::Disconnect(ReasonCode::AdministrativeAction)
    );
    assert_eq!(log_in(addr, "bob", "bobpw").await.err(), Some(refused));
    broker.shutdown().await;

    // All of it is in the file.
    let broker = start(with_dynsec(&file)).expect("started again");
    assert!(log_in(tcp(&broker), "ann", "other").await.is_ok());
    assert_eq!(
        log_in(tcp(&broker), "bob", "bobpw").await.err(),
        Some(refused)
    );
    broker.shutdown().await;
}

#[tokio::test]
async fn mosquittos_plugin_reads_what_we_have_written() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("dynsec.json");
    let broker = start(with_dynsec(&file)).expect("started");
    for command in [
        "createRole talker",
        "addRoleACL talker publishClientSend talk/# allow",
        "createClient ann -p annpw",
        "addClientRole ann talker",
    ] {
        ctrl(tcp(&broker), command).await;
    }
    broker.shutdown().await;
    let plugin = foreign::dynsec_plugin();
    let options = format!(
        "plugin {plugin}\nplugin_opt_config_file {}\n",
        file.display()
    );
    let mosquitto = Mosquitto::start(folder.path(), &options);
    let mut ann = log_in(mosquitto.addr, "ann", "annpw")
        .await
        .expect("let in");
    ann.publish("talk/x", b"", Qos::AtLeastOnce).await;
    ann.publish("other/x", b"", Qos::AtLeastOnce).await;
    assert_ne!(ann.reasons[0], ReasonCode::NotAuthorized);
    assert_eq!(ann.reasons[1], ReasonCode::NotAuthorized);
    let (clients, _) = ctrl(mosquitto.addr, "listClients").await;
    assert_eq!(clients, "admin\nann\n");
}

#[tokio::test]
async fn the_broker_tells_of_its_listeners_and_control_messages_reach_nobody() {
    let folder = TempDir::new().expect("a folder");
    let broker = builder(with_dynsec(&folder.path().join("dynsec.json")))
        // Two sockets, and one listener all the same.
        .listener(Listener::websocket(ANY_PORT).everywhere())
        .start()
        .expect("started");
    let mut admin = log_in(tcp(&broker), "admin", ADMIN_PASSWORD)
        .await
        .expect("let in");
    admin.subscribe("$CONTROL/#", Qos::AtLeastOnce).await;
    let request = br#"{"commands":[{"command":"listListeners"},{"command":"listPlugins"}]}"#;
    admin
        .publish("$CONTROL/broker/v1", request, Qos::AtLeastOnce)
        .await;
    let reply = admin.message().await;
    assert_eq!(reply.topic, "$CONTROL/broker/v1/response");
    let text = String::from_utf8(reply.payload).expect("UTF-8");
    let (first, second) = (
        tcp(&broker).port(),
        addr(&broker, Transport::WebSocket).port(),
    );
    let listeners = format!(
        r#""listeners":[{{"port":{first},"protocol":"mqtt","bind-address":"127.0.0.1","tls":false}},{{"port":{second},"protocol":"mqtt+websockets","tls":false}}]"#
    );
    let plugins = r#""plugins":[{"name":"dynamic-security","control-endpoints":["$CONTROL/dynamic-security/v1"]}]"#;
    assert!(
        text.contains(&listeners) && text.contains(plugins),
        "{text}"
    );
    // Nobody is there, and says so as Mosquitto does.
    admin
        .publish("$CONTROL/nobody/v1", b"{}", Qos::AtLeastOnce)
        .await;
    let reply = admin.message().await;
    assert_eq!(reply.topic, "$CONTROL/nobody/v1/response");
    assert_eq!(reply.payload, br#"{"error": "endpoint not available"}"#);
    admin.ping().await;
    broker.shutdown().await;
}

#[tokio::test]
async fn a_user_is_shown_with_where_it_is_connected_from() {
    let folder = TempDir::new().expect("a folder");
    let broker = start(with_dynsec(&folder.path().join("dynsec.json"))).expect("started");
    let mut admin = log_in(tcp(&broker), "admin", ADMIN_PASSWORD)
        .await
        .expect("let in");
    admin.subscribe("$CONTROL/#", Qos::AtLeastOnce).await;
    let second = |client_id| {
        let login = Login {
            client_id,
            user_name: Some("admin"),
            password: Some(ADMIN_PASSWORD),
        };
        Client::try_connect(tcp(&broker), Version::V5, login)
    };
    let request = br#"{"commands":[{"command":"getClient","username":"admin"}]}"#;
    let mut connections = async || {
        admin
            .publish("$CONTROL/dynamic-security/v1", request, Qos::AtLeastOnce)
            .await;
        let reply = admin.message().await;
        assert_eq!(reply.topic, "$CONTROL/dynamic-security/v1/response");
        let text = String::from_utf8(reply.payload).expect("UTF-8");
        assert!(text.contains("\"connections\":["), "{text}");
        text.matches(r#"{"address":"127.0.0.1"}"#).count()
    };
    assert_eq!(connections().await, 1);
    let other = second("another").await.expect("let in");
    assert_eq!(connections().await, 2);
    drop(other);
    // The broker has to hear of the end first.
    tokio::time::timeout(Duration::from_secs(60), async {
        while connections().await != 1 {}
    })
    .await
    .expect("in time");
    broker.shutdown().await;
}

/// Lets everybody in under another name, after a while on another thread, who knows the word; and then only
/// to topics of that name.
struct Doorman;

impl Authority for Doorman {
    fn policy(&self) -> Box<dyn Policy> {
        Box::new(OwnTopics)
    }

    fn authenticate(&self, request: AuthRequest, reply: Reply) {
        std::thread::spawn(move || {
            let AuthStep::Connect {
                password: Some(password),
                ..
            } = request.step
            else {
                return;
            };
            if *password == *b"friend" {
                reply.send(Verdict::Allow {
                    user_name: request
                        .identity
                        .user_name
                        .map(|name| format!("dr-{name}").into()),
                    data: None,
                });
            }
        });
    }
}

struct OwnTopics;

impl Policy for OwnTopics {
    fn authenticate(&self, attempt: &Attempt<'_>) -> Answer {
        match attempt.identity.user_name {
            Some(_) => Answer::Later,
            None => Answer::refuse(ReasonCode::BadUserNameOrPassword),
        }
    }

    fn may_publish(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        who.user_name.as_deref() == Some(topic.as_str())
    }

    fn may_subscribe(&self, _: &Identity, _: TopicFilter<'_>) -> bool {
        true
    }

    fn may_receive(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        self.may_publish(who, topic)
    }
}

#[tokio::test]
async fn an_embedder_can_decide_by_itself() {
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .authority(Arc::new(Doorman))
        .start()
        .expect("started");
    let nobody = anonymous(tcp(&broker), Version::V5).await;
    assert_eq!(nobody.err(), Some(ReasonCode::BadUserNameOrPassword));
    let stranger = log_in(tcp(&broker), "no", "stranger").await;
    assert_eq!(stranger.err(), Some(ReasonCode::NotAuthorized));
    let mut friend = log_in(tcp(&broker), "no", "friend").await.expect("let in");
    friend.subscribe("#", Qos::AtMostOnce).await;
    friend.publish("no", b"", Qos::AtLeastOnce).await;
    friend.publish("dr-no", b"", Qos::AtLeastOnce).await;
    assert_eq!(
        friend.reasons[1..],
        [ReasonCode::NotAuthorized, ReasonCode::Success]
    );
    assert_eq!(friend.message().await.topic, "dr-no");
    broker.shutdown().await;
}

/// The status of what is answered to a GET.
async fn get(addr: SocketAddr, path: &str, authorization: Option<&str>) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    let authorization = authorization.map_or(String::new(), |basic| {
        format!("Authorization: Basic {basic}\r\n")
    });
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_http_api_of_a_configuration_asks_for_its_users() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("passwords");
    let file = path.to_str().expect("UTF-8");
    foreign::run("mosquitto_passwd", &["-c", "-b", file, "ann", "pw"]);
    let [mqtt, guarded, open] = [(); 3].map(|()| foreign::free_port());
    let text = format!(
        "per_listener_settings true\nlistener {mqtt} 127.0.0.1\nallow_anonymous true\n\
         listener {guarded} 127.0.0.1\nprotocol http_api\npassword_file {file}\n\
         listener {open} 127.0.0.1\nprotocol http_api\nallow_anonymous true\n"
    );
    let conf = write(&folder, "mosquitto.conf", &text);
    let reading = conf::read(&conf, &Disk).unwrap_or_else(|problems| panic!("{problems:?}"));
    let broker = Broker::builder()
        .config(&reading.config, &[])
        .start()
        .expect("started");
    let [guarded, open] = broker.http_listeners() else {
        panic!("two of them: {:?}", broker.http_listeners());
    };
    let version = "/api/v1/version";
    for (authorization, expect) in [
        (None, "HTTP/1.1 401 Unauthorized"),
        // ann:wrong, ann:pw twice, bob:pw
        (Some("YW5uOndyb25n"), "HTTP/1.1 401 Unauthorized"),
        (Some("YW5uOnB3"), "HTTP/1.1 200 OK"),
        (Some("YW5uOnB3"), "HTTP/1.1 200 OK"),
        (Some("Ym9iOnB3"), "HTTP/1.1 401 Unauthorized"),
    ] {
        assert_eq!(
            get(*guarded, version, authorization).await,
            expect,
            "{authorization:?}"
        );
    }
    assert_eq!(get(*open, version, None).await, "HTTP/1.1 200 OK");
    assert!(anonymous(tcp(&broker), Version::V5).await.is_ok());
    broker.shutdown().await;
}

/// A file of rules, whoever they are for, from a few words: much of what can be said is said.
fn random_acl(random: &mut fastrand::Rng) -> String {
    const TOPICS: &[&str] = &[
        "a", "a/b", "a/+", "a/#", "+/b", "#", "+", "+/+/c", "a/b/#", "$x/#", "$x/+", "$x/a",
        "%u/a", "%c", "b//c", "/a", "a/",
    ];
    const PATTERNS: &[&str] = &[
        "%u/#", "a/%c", "%c/%u", "$x/%u", "+/%u/#", "x%cx/a", "a/%u-%c", "b",
    ];
    const ACCESS: &[&str] = &["", "read ", "write ", "readwrite ", "deny "];
    let mut text = String::new();
    for _ in 0..random.usize(1..14) {
        let access = ACCESS[random.usize(..ACCESS.len())];
        let line = match random.u8(..10) {
            0 | 1 => format!("user {}", USERS[random.usize(..USERS.len())].0),
            2..=4 => format!(
                "pattern {access}{}",
                PATTERNS[random.usize(..PATTERNS.len())]
            ),
            _ => format!("topic {access}{}", TOPICS[random.usize(..TOPICS.len())]),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// User names and Client Identifiers. Those with a slash are left out: Mosquitto 2.0 lets them stand for more
/// than one level, 2.1 and we do not.
const USERS: &[(&str, &str)] = &[
    ("ann", "dev1"),
    ("bob", "ann"),
    ("a", "b"),
    ("x", "c+"),
    ("#", "dev1"),
];

const TOPICS: &[&str] = &[
    "a",
    "a/b",
    "a/b/c",
    "a/dev1",
    "ann/a",
    "b",
    "b//c",
    "/a",
    "a/",
    "x",
    "$x/a",
    "$x/ann",
    "dev1",
    "dev1/ann",
    "xdev1x/a",
    "a/ann-dev1",
    "%u/a",
    "b/a",
];

/// For each user and topic: may it write, may it read.
async fn rights(addr: SocketAddr) -> Vec<(usize, &'static str, bool, bool)> {
    let mut rights = Vec::new();
    for (index, (user, client_id)) in USERS.iter().enumerate() {
        let login = |client_id, user_name| Login {
            client_id,
            user_name: Some(user_name),
            password: Some("pw"),
        };
        let mut root = Client::try_connect(addr, Version::V5, login("root", "root"))
            .await
            .expect("let in");
        let mut client = Client::try_connect(addr, Version::V5, login(client_id, user))
            .await
            .expect("let in");
        for filter in ["#", "$x/#"] {
            client.subscribe(filter, Qos::AtMostOnce).await;
        }
        client.reasons.clear();
        let mut written = Vec::new();
        for topic in TOPICS {
            client.publish(topic, b"w", Qos::AtLeastOnce).await;
            written.push(client.reasons.pop() != Some(ReasonCode::NotAuthorized));
        }
        for topic in TOPICS {
            root.publish(topic, b"r", Qos::AtLeastOnce).await;
        }
        let mut read = Vec::new();
        // One thread serves both, so what root has had acknowledged is on its way before the answer.
        client.ping().await;
        while let Some(message) = client.arrived() {
            if message.payload == b"r" {
                read.push(message.topic);
            }
        }
        for (topic, may_write) in TOPICS.iter().zip(written) {
            rights.push((
                index,
                *topic,
                may_write,
                read.iter().any(|read| read == topic),
            ));
        }
    }
    rights
}

#[tokio::test]
async fn an_acl_file_means_the_same_to_mosquitto() {
    let folder = TempDir::new().expect("a folder");
    let mut random = fastrand::Rng::with_seed(4);
    for round in 0..12 {
        let rules = random_acl(&mut random);
        let text = format!("{rules}user root\ntopic #\ntopic $x/#\ntopic $SYS/#\n");
        let acl = write(&folder, "acl", &text);
        let options = format!("acl_file {}\nallow_anonymous true\n", acl.display());
        let mosquitto = Mosquitto::start(folder.path(), &options);
        let mut ours = settings(vec![Source::Acl(acl)]);
        ours.listeners[0].allow_anonymous = true;
        let broker = builder(ours)
            .shards(NonZeroU16::MIN)
            .start()
            .expect("started");
        let (said, expect) = tokio::join!(rights(tcp(&broker)), rights(mosquitto.addr));
        for (said, expect) in said.iter().zip(&expect) {
            let (user, client_id) = USERS[said.0];
            assert_eq!(said, expect, "round {round}: {user}/{client_id}\n{text}");
        }
        broker.shutdown().await;
    }
}
