//! Passwords and rules as an operator sets them: the same files and configuration for both brokers, watched
//! with Mosquitto's own tools.

use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configuration::await_until;
use crate::configured::Configured;
use crate::process::Process;
use crate::tools;

against_both_brokers!(
    a_password_file_and_rules_hold,
    changed_files_hold_after_a_reload,
    listeners_have_users_and_rules_of_their_own,
    dynamic_security_is_administered_with_mosquitto_ctrl,
);

/// Where Debian has Mosquitto's plugin; for ours only its name counts.
pub(crate) fn plugin() -> String {
    let arch = std::env::consts::ARCH;
    format!("/usr/lib/{arch}-linux-gnu/mosquitto_dynamic_security.so")
}

/// A folder that the broker's files are in. As root, brokers would become a user who may not read it.
fn folder() -> TempDir {
    TempDir::new().unwrap()
}

fn start(kind: Kind, folder: TempDir, text: &str) -> Configured {
    let text = text.replace("DIR", folder.path().to_str().unwrap());
    Configured::start(kind, folder, &format!("{text}user root\n"))
}

/// Runs a tool of Mosquitto's and returns its exit code and all that it said.
pub(crate) fn run(program: &str, args: &[&str]) -> (i32, String) {
    let mut process = Process::start(tools::system(program).args(args));
    let status = process.await_exit();
    (status.code().unwrap(), process.said())
}

fn set_password(folder: &TempDir, user: &str, password: &str) {
    let file = folder.path().join("passwords");
    if !file.exists() {
        std::fs::write(&file, "").unwrap();
    }
    let file = file.to_str().unwrap();
    let (code, said) = run("mosquitto_passwd", &["-b", file, user, password]);
    assert_eq!(code, 0, "{said}");
}

/// How a message fares that this user publishes: it is taken, or not, or its sender is not let in.
fn publish(port: u16, login: Option<(&str, &str)>, topic: &str) -> &'static str {
    let port = port.to_string();
    let mut args = vec![
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-V",
        "5",
        "-q",
        "1",
        "-t",
        topic,
        "-m",
        "x",
    ];
    if let Some((user, password)) = login {
        args.extend(["-u", user, "-P", password]);
    }
    match run("mosquitto_pub", &args) {
        (0, said) if said.contains("Not authorized") => "denied",
        (0, _) => "taken",
        // What MQTT 5 says, as the exit code of the tool.
        (135, _) => "refused",
        (code, said) => panic!("{code}: {said}"),
    }
}

fn a_password_file_and_rules_hold(kind: Kind) {
    let folder = folder();
    set_password(&folder, "ann", "secret");
    std::fs::write(
        folder.path().join("rules"),
        "topic write open\nuser ann\ntopic write a/#\ntopic deny a/b\npattern write %u/%c\n",
    )
    .unwrap();
    let port = free_port();
    let _broker = start(
        kind,
        folder,
        &format!("listener {port} 127.0.0.1\npassword_file DIR/passwords\nacl_file DIR/rules\n"),
    );
    let ann = Some(("ann", "secret"));
    assert_eq!(publish(port, ann, "a/c"), "taken");
    assert_eq!(publish(port, ann, "a/b"), "denied");
    assert_eq!(publish(port, ann, "b"), "denied");
    assert_eq!(publish(port, ann, "$SYS/broker/uptime"), "denied");
    assert_eq!(publish(port, Some(("ann", "wrong")), "a/c"), "refused");
    assert_eq!(publish(port, Some(("bob", "secret")), "a/c"), "refused");
    assert_eq!(publish(port, None, "open"), "refused");
}

fn changed_files_hold_after_a_reload(kind: Kind) {
    let folder = folder();
    set_password(&folder, "ann", "before");
    std::fs::write(folder.path().join("rules"), "user ann\ntopic a\n").unwrap();
    let port = free_port();
    let broker = start(
        kind,
        folder,
        &format!("listener {port} 127.0.0.1\npassword_file DIR/passwords\nacl_file DIR/rules\n"),
    );
    assert_eq!(publish(port, Some(("ann", "before")), "a"), "taken");
    set_password(&broker.folder, "ann", "after");
    broker.write("rules", "user ann\ntopic b\n");
    broker.process.signal("HUP");
    broker
        .process
        .await_line("that it reloads", |line| line.contains("Reloading config"));
    // What is read has no line of its own in Mosquitto's log; a client that comes has one in both.
    await_until("the new password holds", || {
        publish(port, Some(("ann", "after")), "b") == "taken"
    });
    assert_eq!(publish(port, Some(("ann", "after")), "a"), "denied");
    assert_eq!(publish(port, Some(("ann", "before")), "b"), "refused");
}

#[test]
fn files_that_cannot_be_used_change_nothing_and_are_explained() {
    let folder = folder();
    set_password(&folder, "ann", "secret");
    let port = free_port();
    let broker = start(
        Kind::Wigwag,
        folder,
        &format!("listener {port} 127.0.0.1\npassword_file DIR/passwords\n"),
    );
    broker.write("passwords", "ann:plain\nnobody:\n");
    broker.process.signal("HUP");
    broker.process.await_line("what is wrong", |line| {
        line.contains(
            "passwords:1: user \"ann\": a password hash begins with $6$, $7$, $argon2id$ or SCRAM-SHA-256$",
        )
    });
    broker.process.await_line("all of it", |line| {
        line.contains("passwords:2: user \"nobody\"")
    });
    broker.process.await_line("what follows", |line| {
        line.contains("Everything is as it was")
    });
    assert_eq!(publish(port, Some(("ann", "secret")), "a"), "taken");
}

fn listeners_have_users_and_rules_of_their_own(kind: Kind) {
    let folder = folder();
    set_password(&folder, "ann", "secret");
    std::fs::write(folder.path().join("rules"), "topic write open\n").unwrap();
    let [inner, outer] = [(); 2].map(|()| free_port());
    let text = format!(
        "per_listener_settings true\n\
         listener {inner} 127.0.0.1\npassword_file DIR/passwords\n\
         listener {outer} 127.0.0.1\nallow_anonymous true\nacl_file DIR/rules\n"
    );
    let _broker = start(kind, folder, &text);
    let ann = Some(("ann", "secret"));
    assert_eq!(publish(inner, ann, "anything"), "taken");
    assert_eq!(publish(inner, None, "open"), "refused");
    assert_eq!(publish(outer, None, "open"), "taken");
    assert_eq!(publish(outer, None, "anything"), "denied");
    // Nobody knows users there, so whoever gives a name is as good as who gives none, but not in the rules.
    assert_eq!(publish(outer, Some(("ann", "wrong")), "open"), "denied");
}

fn dynamic_security_is_administered_with_mosquitto_ctrl(kind: Kind) {
    let folder = folder();
    let file = folder.path().join("d.json");
    let file = file.to_str().unwrap();
    let (code, said) = run(
        "mosquitto_ctrl",
        &["dynsec", "init", file, "admin", "admin password"],
    );
    assert_eq!(code, 0, "{said}");
    let port = free_port();
    let text = format!(
        "listener {port} 127.0.0.1\nplugin {}\nplugin_opt_config_file DIR/d.json\n",
        plugin()
    );
    let _broker = start(kind, folder, &text);
    let ctrl = |command: &str| {
        let port = port.to_string();
        let mut args = vec![
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-u",
            "admin",
            "-P",
            "admin password",
            "dynsec",
        ];
        args.extend(command.split(' '));
        run("mosquitto_ctrl", &args).1
    };
    for command in [
        "createRole talker",
        "addRoleACL talker publishClientSend talk/%u allow",
        "createGroup staff",
        "addGroupRole staff talker",
        "createClient ann -p secret",
        "addGroupClient staff ann",
    ] {
        assert!(!ctrl(command).contains("Error"), "{command}");
    }
    let ann = Some(("ann", "secret"));
    // 2.0 knows no placeholders in dynamic security.
    let topic = if kind == Kind::Wigwag {
        "talk/ann"
    } else {
        "talk/%u"
    };
    assert_eq!(publish(port, ann, topic), "taken");
    assert_eq!(publish(port, ann, "talk/bob"), "denied");
    assert!(ctrl("getClient ann").contains("staff"));
    assert!(!ctrl("setClientPassword ann other").contains("Error"));
    assert_eq!(publish(port, ann, topic), "refused");
    assert_eq!(publish(port, Some(("ann", "other")), topic), "taken");
    assert!(!ctrl("deleteClient ann").contains("Error"));
    assert_eq!(publish(port, Some(("ann", "other")), topic), "refused");
}
