//! SCRAM-SHA-256 against our broker: by our client, by scramp, by mqtt.js, by hand in the wrong order, and for
//! users who do not exist.

use tempfile::TempDir;
use wigwag_client::{Event, Fatal, OfflineReason, Outcome, Publish, Qos, ReasonCode, Scram, State};

use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::our_client::{block_on, builder, online, within};
use crate::process::Process;
use crate::security;
use crate::tools;
use crate::wire::{CONNACK, Connect, DISCONNECT, Wire, field, packet};

const AUTH: u8 = 0xF0;
const METHOD: &str = "SCRAM-SHA-256";
const CLIENT_FIRST: &str = "n,,n=ann,r=rOprNGfwEbeRWgbNEkqO";

/// A line for a password file, as scramp makes it.
fn line(user: &str, password: &str) -> String {
    let mut process =
        Process::start(tools::python("scramp_client.py").args(["line", user, password]));
    let line = process.await_line("a line", |line| line.starts_with(user));
    assert!(process.await_exit().success());
    line
}

/// A broker with ann, who has the password `pencil`, and bob, whose password is hashed by Mosquitto's tool.
fn start() -> (Configured, u16) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("passwords");
    std::fs::write(&file, format!("{}\n", line("ann", "pencil"))).unwrap();
    let args = ["-b", file.to_str().unwrap(), "bob", "crayon"];
    let mut tool = Process::start(tools::system("mosquitto_passwd").args(args));
    assert!(tool.await_exit().success(), "{}", tool.said());
    start_with(folder)
}

fn start_with(folder: TempDir) -> (Configured, u16) {
    let port = free_port();
    let file = folder.path().join("passwords");
    let text = format!(
        "listener {port} 127.0.0.1\npassword_file {}\nuser root\n",
        file.display()
    );
    (Configured::start(Kind::Wigwag, folder, &text), port)
}

fn scram(user: &str, password: &str) -> Scram {
    Scram::sha256(user, password).unwrap()
}

async fn publish(client: &wigwag_client::Client) {
    let publishing = client.publish(Publish::new("a", "").qos(Qos::AtLeastOnce));
    assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
}

async fn refused(builder: wigwag_client::Builder) -> Fatal {
    let client = builder.build().unwrap();
    client.start();
    within(client.await_connection()).await.unwrap_err()
}

fn is_refused(fatal: &Fatal, wanted: ReasonCode) -> bool {
    matches!(fatal.reason, OfflineReason::Refused { reason, .. } if reason == wanted)
}

#[test]
fn our_client_logs_in_and_authenticates_again() {
    let (_broker, port) = start();
    let url = format!("mqtt://127.0.0.1:{port}");
    block_on(async {
        let client = online(builder(&url).authenticator(scram("ann", "pencil"))).await;
        publish(&client).await;
        for _ in 0..3 {
            within(client.reauthenticate()).await.unwrap();
            publish(&client).await;
        }
        let mut events = client.events();
        client.terminate_connection();
        let is_online = |event: &Event| matches!(event, Event::State(State::Online { .. }));
        while !is_online(&within(events.recv()).await.unwrap()) {}
        publish(&client).await;
        assert!(within(client.disconnect()).await.is_clean());
    });
}

#[test]
fn a_password_in_plain_fits_what_is_kept_for_scram() {
    let (_broker, port) = start();
    let url = format!("mqtt://127.0.0.1:{port}");
    block_on(async {
        // The second time, the password is remembered.
        for _ in 0..2 {
            let client = online(builder(&url).credentials("ann", "pencil")).await;
            within(client.disconnect()).await;
        }
        let wrong = refused(builder(&url).credentials("ann", "crayon")).await;
        assert!(is_refused(&wrong, ReasonCode::NotAuthorized), "{wrong}");
    });
}

#[test]
fn who_cannot_prove_the_password_stays_outside() {
    let (_broker, port) = start();
    let url = format!("mqtt://127.0.0.1:{port}");
    block_on(async {
        for (user, password) in [("ann", "crayon"), ("nobody", "pencil"), ("bob", "crayon")] {
            let wrong = refused(builder(&url).authenticator(scram(user, password))).await;
            assert!(
                is_refused(&wrong, ReasonCode::NotAuthorized),
                "{user}: {wrong}"
            );
        }
        // Who gives another user name beside it is neither of them.
        let other = builder(&url).credentials("bob", "crayon");
        let wrong = refused(other.authenticator(scram("ann", "pencil"))).await;
        assert!(is_refused(&wrong, ReasonCode::NotAuthorized), "{wrong}");
        let same = builder(&url).credentials("ann", "ignored");
        online(same.authenticator(scram("ann", "pencil"))).await;
    });
}

#[test]
fn dynamic_security_keeps_credentials_as_they_are_sent() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("d.json");
    let file = file.to_str().unwrap();
    let init = ["dynsec", "init", file, "admin", "admin password"];
    assert_eq!(security::run("mosquitto_ctrl", &init).0, 0);
    let port = free_port();
    let text = format!(
        "listener {port} 127.0.0.1\nplugin {}\nplugin_opt_config_file {file}\nuser root\n",
        security::plugin()
    );
    let _broker = Configured::start(Kind::Wigwag, folder, &text);
    let stored = line("ann", "pencil");
    let (_, stored) = stored.split_once(':').unwrap();
    for command in [
        &["createClient", "ann", "-p", "x"][..],
        &["setClientPassword", "ann", stored],
    ] {
        let port = port.to_string();
        let login = ["-p", &port, "-u", "admin", "-P", "admin password", "dynsec"];
        let (_, said) = security::run("mosquitto_ctrl", &[&login[..], command].concat());
        assert!(!said.contains("Error"), "{said}");
    }
    let url = format!("mqtt://127.0.0.1:{port}");
    block_on(async {
        online(builder(&url).authenticator(scram("ann", "pencil"))).await;
        online(builder(&url).credentials("ann", "pencil")).await;
        let wrong = refused(builder(&url).authenticator(scram("ann", "x"))).await;
        assert!(is_refused(&wrong, ReasonCode::NotAuthorized), "{wrong}");
    });
}

#[test]
fn scramp_logs_in_and_authenticates_again() {
    let (_broker, port) = start();
    let log_in = |user, password| {
        let args = ["login", &port.to_string(), user, password];
        let mut process = Process::start(tools::python("scramp_client.py").args(args));
        process.await_exit();
        process.said()
    };
    // AUTH 0x18, CONNACK, and the same once more with AUTH in the place of CONNACK.
    assert_eq!(log_in("ann", "pencil"), "f0 18\n20 00\nf0 18\nf0 00\nok");
    assert_eq!(log_in("ann", "crayon"), "f0 18\n20 87\nok");
    assert_eq!(log_in("nobody", "pencil"), "f0 18\n20 87\nok");
}

#[test]
fn mqttjs_logs_in() {
    let (_broker, port) = start();
    let log_in = |password| {
        let mut command = tools::node("mqttjs_scram.mjs");
        command.args(["--url", &format!("mqtt://127.0.0.1:{port}")]);
        let mut process = Process::start(command.args(["--user", "ann", "--password", password]));
        process.await_exit();
        process.said()
    };
    assert_eq!(log_in("pencil"), "ok");
    let refused = log_in("crayon");
    assert!(refused.contains("Not authorized"), "{refused}");
}

#[test]
fn the_guide_shows_how_a_line_is_made() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/security.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, script) = guide.split_once("```python\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("scram.py");
    std::fs::write(&file, script).unwrap();
    let mut process = Process::start(tools::system("python3").arg(&file).arg("ann"));
    process.feed("pencil\n");
    assert!(process.await_exit().success(), "{}", process.said());
    std::fs::write(folder.path().join("passwords"), process.said()).unwrap();
    let (_broker, port) = start_with(folder);
    let url = format!("mqtt://127.0.0.1:{port}");
    block_on(async {
        let client = online(builder(&url).authenticator(scram("ann", "pencil"))).await;
        publish(&client).await;
    });
}

fn properties(method: &str, data: &str) -> Vec<u8> {
    let mut properties = vec![0x15];
    properties.extend(field(method.as_bytes()));
    properties.push(0x16);
    properties.extend(field(data.as_bytes()));
    properties
}

fn connect(method: &str, data: &str) -> Vec<u8> {
    let properties = properties(method, data);
    let connect = Connect {
        properties: &properties,
        ..Connect::clean(5)
    };
    connect.bytes()
}

fn auth(reason: u8, method: &str, data: &str) -> Vec<u8> {
    let properties = properties(method, data);
    let length = u8::try_from(properties.len()).unwrap();
    packet(AUTH, &[&[reason, length][..], &properties].concat())
}

/// What the broker says to these packets before it closes: type and Reason Code of each.
fn said(port: u16, packets: &[Vec<u8>]) -> Vec<(u8, u8)> {
    let mut wire = Wire::open(port);
    packets.iter().for_each(|packet| wire.send(packet));
    let code = |(first_byte, body): &(u8, Vec<u8>)| match *first_byte {
        CONNACK => (CONNACK, body[1]),
        other => (other, body[0]),
    };
    wire.receive_to_the_end().iter().map(code).collect()
}

#[test]
fn whatever_is_out_of_order_ends_the_connection() {
    let (_broker, port) = start();
    let check = |packets: &[Vec<u8>], expect: &[(u8, u8)]| {
        assert_eq!(said(port, packets), expect, "{packets:02x?}");
    };
    let begun = connect(METHOD, CLIENT_FIRST);
    // Methods that are not offered, and messages that are none.
    check(&[connect("SCRAM-SHA-1", CLIENT_FIRST)], &[(CONNACK, 0x8C)]);
    check(&[connect("", CLIENT_FIRST)], &[(CONNACK, 0x8C)]);
    check(&[connect(METHOD, "")], &[(CONNACK, 0x82)]);
    check(&[connect(METHOD, "n,,user")], &[(CONNACK, 0x82)]);
    check(
        &[connect(METHOD, "p=tls-unique,,n=ann,r=a")],
        &[(CONNACK, 0x82)],
    );
    // The right beginning, and then something else than the proof.
    let challenged = |next: Vec<u8>, code: u8| {
        check(&[begun.clone(), next], &[(AUTH, 0x18), (CONNACK, code)]);
    };
    challenged(auth(0x18, METHOD, "c=biws"), 0x82);
    challenged(auth(0x18, METHOD, "c=biws,r=other,p=AAAA"), 0x82);
    challenged(auth(0x18, "SCRAM-SHA-1", ""), 0x82);
    challenged(auth(0x19, METHOD, CLIENT_FIRST), 0x82);
    challenged(auth(0x00, METHOD, ""), 0x82);
    let publish = packet(0x30, &[&field(b"a")[..], &[0]].concat());
    let answers = said(port, &[begun.clone(), publish]);
    assert_eq!(answers.first(), Some(&(AUTH, 0x18)));
    assert!(
        answers
            .iter()
            .skip(1)
            .all(|(kind, code)| *kind == CONNACK && *code >= 0x80),
        "{answers:02x?}"
    );
    // Who has logged in with a password has no method to authenticate again with.
    let mut plain = Connect {
        flags: 0xC2,
        ..Connect::clean(5)
    };
    plain.payload.extend(field(b"ann"));
    plain.payload.extend(field(b"pencil"));
    check(
        &[plain.bytes(), auth(0x19, METHOD, CLIENT_FIRST)],
        &[(CONNACK, 0x00), (DISCONNECT, 0x82)],
    );
}

#[test]
fn without_credentials_for_it_the_method_is_not_offered() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("passwords");
    std::fs::write(&file, "").unwrap();
    let args = ["-b", file.to_str().unwrap(), "ann", "pencil"];
    let mut tool = Process::start(tools::system("mosquitto_passwd").args(args));
    assert!(tool.await_exit().success(), "{}", tool.said());
    let (_broker, port) = start_with(folder);
    assert_eq!(
        said(port, &[connect(METHOD, CLIENT_FIRST)]),
        [(CONNACK, 0x8C)]
    );
}

/// The challenge for a user: salt and iterations.
fn challenge(port: u16, user: &str) -> String {
    let mut wire = Wire::open(port);
    wire.send(&connect(METHOD, &format!("n,,n={user},r=abc")));
    let (first_byte, body) = wire.receive().unwrap();
    assert_eq!((first_byte, body[0]), (AUTH, 0x18));
    let text = String::from_utf8_lossy(&body).into_owned();
    let (_, rest) = text.split_once("r=abc").unwrap();
    let (nonce, rest) = rest.split_once(',').unwrap();
    assert_eq!(nonce.len(), 24);
    rest.to_owned()
}

#[test]
fn users_who_do_not_exist_look_like_those_who_do() {
    let (broker, port) = start();
    let known = challenge(port, "ann");
    let unknown = challenge(port, "nobody");
    // bob has a password that is of no use for this.
    let unusable = challenge(port, "bob");
    for other in [&unknown, &unusable] {
        assert_ne!(&known, other);
        assert_eq!(known.len(), other.len());
        let iterations = |text: &str| text.split_once(",i=").unwrap().1.to_owned();
        assert_eq!(iterations(&known), iterations(other));
    }
    assert_eq!(challenge(port, "nobody"), unknown, "the same each time");
    let Configured { process, folder } = broker;
    drop(process);
    let (_broker, port) = start_with(folder);
    assert_eq!(challenge(port, "ann"), known);
    assert_eq!(challenge(port, "nobody"), unknown, "after a restart too");
}

#[test]
fn a_password_that_is_taken_away_ends_the_connection() {
    let (broker, port) = start();
    let url = format!("mqtt://127.0.0.1:{port}");
    block_on(async {
        let client = online(builder(&url).authenticator(scram("ann", "pencil"))).await;
        let carol = line("carol", "pencil");
        broker.write("passwords", &format!("{carol}\n"));
        let mut state = client.state();
        broker.process.signal("HUP");
        // What is returned holds the state: the client could not go on.
        drop(
            within(state.wait_for(|state| !state.is_online()))
                .await
                .unwrap(),
        );
        let wrong = refused(builder(&url).authenticator(scram("ann", "pencil"))).await;
        assert!(is_refused(&wrong, ReasonCode::NotAuthorized), "{wrong}");
        online(builder(&url).authenticator(scram("carol", "pencil"))).await;
    });
}
