//! Configuration files and command lines: what our broker takes and refuses, beside Mosquitto 2.0.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use tempfile::tempdir;

use crate::broker::{Kind, free_port};
use crate::configured::{Configured, Outcome, command, outcome, write};
use crate::process::{BOUND, Process};
use crate::tools;

/// A file, and what is to be made of it.
#[derive(Clone, Copy)]
struct Case {
    text: &'static str,
    is_good: bool,
    /// Why Mosquitto 2.0 makes something else of it.
    differs: Option<&'static str>,
}

const fn good(text: &'static str) -> Case {
    Case {
        text,
        is_good: true,
        differs: None,
    }
}

const fn bad(text: &'static str) -> Case {
    Case {
        text,
        is_good: false,
        differs: None,
    }
}

const fn unlike(case: Case, why: &'static str) -> Case {
    Case {
        differs: Some(why),
        ..case
    }
}

/// `PORT` is a free one; `DIR` is a folder with `more/a.conf`.
const CASES: &[Case] = &[
    good(""),
    good("listener PORT 127.0.0.1\n"),
    good("listener PORT 127.0.0.1 # a comment\n"),
    good("  listener   PORT   127.0.0.1\n"),
    good("listener PORT\n"),
    good("port PORT\nbind_address 127.0.0.1\n"),
    good("listener PORT 127.0.0.1\r\nallow_anonymous true\r\n"),
    good("listener PORT 127.0.0.1\n \n\nallow_anonymous 0\n"),
    good("listener PORT 127.0.0.1\nallow_anonymous true # yes\n"),
    good("listener PORT 127.0.0.1\nmax_connections -1\nmount_point a/\nmax_qos 1\n"),
    unlike(
        good("listener PORT 127.0.0.1\nprotocol websockets\n"),
        "2.0 does not count a listener for WebSocket as one, and ends without any",
    ),
    good("listener PORT localhost\nsocket_domain ipv4\n"),
    good("listener 0 DIR/socket\nuser root\n"),
    good("max_inflight_messages 0\nmax_queued_messages 5\nmax_packet_size 20\n"),
    good("persistent_client_expiration 2m\nsys_interval 0\nretain_available false\n"),
    good("log_dest stdout\nlog_dest stderr\nlog_type error\nlog_type all\nlog_timestamp true\n"),
    good("log_dest file DIR/log\nlog_dest stderr\nuser root\n"),
    good("listener PORT 127.0.0.1\nper_listener_settings true\n"),
    good("per_listener_settings true\nlistener PORT 127.0.0.1\nallow_anonymous true\n"),
    good("listener PORT 127.0.0.1\ninclude_dir DIR/more\n"),
    good("retry_interval 20\n"),
    good("autosave_interval 0\nautosave_on_changes true\npersistence false\n"),
    good("connection b\naddress 127.0.0.1:1\ntopic # both 2 a/ b/\nstart_type lazy\n"),
    good("connection b\naddresses 127.0.0.1:1 127.0.0.1:2\ntopic a\nrestart_timeout 5 30\n"),
    bad("foo bar\n"),
    bad("listener PORT 127.0.0.1\nfoo\n"),
    bad("  # not a comment\n"),
    bad("allow_anonymous\ttrue\n"),
    bad("allow_anonymous TRUE\n"),
    bad("allow_anonymous yes\n"),
    bad("allow_anonymous\n"),
    bad("Listener PORT\n"),
    bad("listener\n"),
    bad("listener 65536\n"),
    bad("listener -1\n"),
    bad("listener 0\n"),
    bad("listener PORT 127.0.0.1\nprotocol mqttsn\n"),
    bad("listener PORT 127.0.0.1\nmax_qos 3\n"),
    bad("listener PORT 127.0.0.1\nmount_point a/+\n"),
    bad("listener PORT 127.0.0.1\nsocket_domain ipv5\n"),
    bad("user a\nuser b\n"),
    bad("pid_file\n"),
    bad("max_packet_size 19\n"),
    bad("max_inflight_messages 65536\n"),
    bad("sys_interval -1\n"),
    bad("sys_interval 65536\n"),
    bad("persistent_client_expiration 5\n"),
    bad("persistent_client_expiration d\n"),
    bad("log_dest nowhere\n"),
    bad("log_dest file\n"),
    bad("log_type loud\n"),
    bad("log_facility 8\n"),
    bad("include_dir DIR/none\n"),
    unlike(
        bad("auto_id_prefix xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"),
        "2.0 takes any length",
    ),
    bad("topic # both\n"),
    bad("connection\n"),
    bad("connection b\ntopic #\n"),
    bad("connection b\naddress 127.0.0.1\n"),
    bad("connection b\naddress 127.0.0.1:0\ntopic #\n"),
    bad("connection b\nconnection b\n"),
    bad("connection b\naddress 127.0.0.1\ntopic # sideways\n"),
    bad("connection b\naddress 127.0.0.1\ntopic # both 3\n"),
    bad("connection b\naddress 127.0.0.1\ntopic #\nstart_type manual\n"),
    bad("connection b\naddress 127.0.0.1\ntopic #\nbridge_protocol_version 5\n"),
    bad("connection b\naddress 127.0.0.1\ntopic #\nkeepalive_interval 65536\n"),
    bad("plugin_opt_abc d\n"),
    bad("plugin DIR/none.so\n"),
    bad("listener PORT 127.0.0.1\npassword_file DIR/none\n"),
    bad("listener PORT 127.0.0.1\nacl_file DIR/none\n"),
    bad("listener PORT 127.0.0.1\ncertfile DIR/none\nkeyfile DIR/none\n"),
    bad("listener PORT 192.0.2.1\n"),
    unlike(
        bad("listener PORT 127.0.0.1\nmax_connections 10x\n"),
        "2.0 takes the digits before the letter",
    ),
    unlike(
        bad("listener PORT 127.0.0.1\nmax_connections\n"),
        "2.0 says that it is an error and goes on",
    ),
    unlike(
        bad("listener PORT 127.0.0.1\ncertfile DIR/none\n"),
        "2.0 goes on without TLS",
    ),
    unlike(
        bad("listener PORT 127.0.0.1\ncafile DIR/none\n"),
        "2.0 goes on without TLS",
    ),
    unlike(
        good("listener PORT 127.0.0.1\nlistener_allow_anonymous true\n"),
        "an option of 2.1",
    ),
    unlike(
        good("listener PORT 127.0.0.1\naccept_protocol_versions 4, 5\nenable_proxy_protocol 2\n"),
        "options of 2.1",
    ),
    unlike(good("global_max_clients 5\n"), "an option of 2.1"),
    unlike(
        bad("listener PORT 127.0.0.1\npsk_hint x\nuse_identity_as_username true\n"),
        "we have no pre-shared keys",
    ),
];

#[test]
fn files_are_taken_and_refused_as_by_mosquitto() {
    let mut wrong = Vec::new();
    for case in CASES {
        let made = [Kind::Wigwag, Kind::Mosquitto].map(|kind| make_of(kind, case.text));
        let [ours, theirs] = &made;
        if (*ours == Outcome::Runs) != case.is_good {
            wrong.push(format!("we: {ours:?} of:\n{}", case.text));
        }
        let is_same = (*ours == Outcome::Runs) == (*theirs == Outcome::Runs);
        if is_same == case.differs.is_some() {
            wrong.push(format!(
                "we: {ours:?}, Mosquitto: {theirs:?} of:\n{}",
                case.text
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn make_of(kind: Kind, text: &str) -> Outcome {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("more")).unwrap();
    write(&folder.path().join("more/a.conf"), "log_type all\n");
    let mut text = text
        .replace("PORT", &free_port().to_string())
        .replace("DIR", &folder.path().display().to_string());
    // Several tests at once cannot all have the default port.
    if !text.contains("listener") && !text.contains("port ") {
        text = format!("listener {} 127.0.0.1\n{text}", free_port());
    }
    outcome(kind, folder.path(), &text)
}

/// Exit codes of a wrong configuration are the same ones too.
#[test]
fn a_wrong_configuration_ends_with_mosquittos_code() {
    for text in [
        "foo\n",
        "allow_anonymous x\n",
        "listener 0\n",
        "include_dir /none\n",
    ] {
        let made = [Kind::Wigwag, Kind::Mosquitto].map(|kind| make_of(kind, text));
        assert_eq!(made[0], Outcome::Refuses(Some(3)), "{text}");
        assert_eq!(made[0], made[1], "{text}");
    }
    for kind in [Kind::Wigwag, Kind::Mosquitto] {
        for arguments in [
            &["-c", "/none"][..],
            &["-c"],
            &["-p"],
            &["-p", "0"],
            &["--nonsense"],
        ] {
            let mut process = Process::start(command(kind).args(arguments));
            assert_eq!(
                process.await_exit().code(),
                Some(3),
                "{kind:?} {arguments:?}"
            );
        }
    }
}

/// Also where no client is asked for a certificate.
#[test]
fn a_file_that_is_not_there_is_a_mistake() {
    let folder = tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write(&folder.path().join("crt"), &made.cert.pem());
    write(
        &folder.path().join("key"),
        &made.signing_key.serialize_pem(),
    );
    let dir = folder.path().display();
    for line in [
        format!("certfile {dir}/crt\nkeyfile {dir}/key\ncafile /none/file\n"),
        format!("certfile {dir}/crt\nkeyfile /none/file\n"),
        "password_file /none/file\n".to_owned(),
        "pid_file /none/file\n".to_owned(),
    ] {
        let text = format!("listener {} 127.0.0.1\nuser root\n{line}", free_port());
        for kind in [Kind::Wigwag, Kind::Mosquitto] {
            write(&folder.path().join("m.conf"), &text);
            let file = folder.path().join("m.conf");
            let mut process = Process::start(command(kind).arg("-c").arg(file));
            let code = process.await_exit().code();
            assert_ne!(code, Some(0), "{kind:?} {line}");
            if kind == Kind::Wigwag {
                assert_eq!(code, Some(1), "{line}");
                assert!(process.said().contains("/none/file"), "{}", process.said());
            }
        }
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("m.conf");
    write(&file, "listner 1883\nmax_qos 7\n");
    let mut process = Process::start(command(Kind::Wigwag).arg("-c").arg(&file));
    assert_eq!(process.await_exit().code(), Some(3));
    let said = process.said();
    for line in [
        "Error: Unknown configuration variable 'listner'. Did you mean 'listener'?".to_owned(),
        format!("Error found at {}:1.", file.display()),
        "Error: Invalid 'max_qos' value (7). Allowed: 0 to 2.".to_owned(),
        format!("Error found at {}:2.", file.display()),
    ] {
        assert!(said.contains(&line), "{line}\nis not in:\n{said}");
    }
}

#[test]
fn a_file_can_be_tested_without_being_used() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("m.conf");
    write(&file, "port 1883\nretry_interval 5\n");
    let mut good = Process::start(
        command(Kind::Wigwag)
            .arg("--test-config")
            .arg("-c")
            .arg(&file),
    );
    assert_eq!(good.await_exit().code(), Some(0));
    let said = good.said();
    assert!(said.contains("Configuration file is OK."), "{said}");
    assert!(
        said.contains("'retry_interval' option has no effect"),
        "{said}"
    );
    let mut none = Process::start(command(Kind::Wigwag).arg("--test-config"));
    assert_eq!(none.await_exit().code(), Some(3));
}

#[test]
fn the_command_line_of_mosquitto_is_understood_under_its_name() {
    let folder = tempdir().unwrap();
    let link = folder.path().join("mosquitto");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wigwag"), &link).unwrap();
    let port = free_port();
    let process = Process::start(Command::new(&link).args(["-p", &port.to_string(), "-v"]));
    process.await_line("that it runs", |line| line.ends_with(" running"));
    publish(port);
    let mut help = Process::start(Command::new(&link).arg("-h"));
    assert_eq!(help.await_exit().code(), Some(0));
    assert!(help.said().contains("--config-file"), "{}", help.said());
}

#[test]
fn options_that_would_not_count_are_refused() {
    let folder = tempdir().unwrap();
    let link = folder.path().join("mosquitto");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wigwag"), &link).unwrap();
    let mut processes: Vec<_> = ["-d", "--test-config", "--port=1"]
        .map(|option| Process::start(command(Kind::Wigwag).args([option, "--mqtt-port=0"])))
        .into();
    processes.push(Process::start(Command::new(&link).arg("--mqtt-port=0")));
    for mut process in processes {
        assert_eq!(process.await_exit().code(), Some(3));
        assert!(process.said().contains("--mqtt-port"), "{}", process.said());
    }
}

/// Ends with success when the broker has taken the message.
fn publish(port: u16) {
    let mut publisher = publisher(port);
    assert!(publisher.await_exit().success(), "{}", publisher.said());
}

fn publisher(port: u16) -> Process {
    let port = port.to_string();
    let mut command = tools::system("mosquitto_pub");
    Process::start(command.args([
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-q",
        "1",
        "-t",
        "a",
        "-m",
        "b",
    ]))
}

#[test]
fn a_daemon_says_who_it_is_and_ends_with_its_file() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("m.conf");
    let pid_file = folder.path().join("pid");
    let port = free_port();
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npid_file {}\n",
        pid_file.display()
    );
    write(&file, &text);
    let mut command = command(Kind::Wigwag);
    // The daemon must not belong to the test's group, whose end it outlives.
    command.arg("-d").arg("-c").arg(&file).process_group(0);
    assert!(Process::start(&mut command).await_exit().success());
    await_until("it takes messages", || {
        publisher(port).await_exit().success()
    });
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert!(signal("-0", &pid));
    assert!(signal("-TERM", &pid));
    await_until("its file is gone", || {
        let is_gone = !pid_file.exists();
        // Costs a moment, and fails when the process is gone.
        is_gone || !signal("-0", &pid)
    });
    assert!(!pid_file.exists());
}

#[test]
fn the_umask_of_the_environment_holds_for_its_files() {
    let folder = tempdir().unwrap();
    let (file, pid_file) = (folder.path().join("m.conf"), folder.path().join("pid"));
    let text = format!(
        "listener {} 127.0.0.1\nuser root\npid_file {}\n",
        free_port(),
        pid_file.display()
    );
    write(&file, &text);
    let mut command = command(Kind::Wigwag);
    command.arg("-c").arg(&file);
    let broker = Process::start(command.env("UMASK_SET", "0137"));
    broker.await_line("that it runs", |line| line.ends_with(" running"));
    let mode = pid_file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    drop(broker);
    let mut wrong = Process::start(command.env("UMASK_SET", "0999"));
    assert_eq!(wrong.await_exit().code(), Some(3));
    let said = wrong.said();
    assert!(said.contains("Invalid 'UMASK_SET' value (0999)"), "{said}");
}

fn signal(name: &str, pid: &str) -> bool {
    let mut command = Command::new("kill");
    let mut process = Process::start(command.args([name, pid]));
    process.await_exit().success()
}

pub(crate) fn await_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + BOUND;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "not in time: {what}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_broker_may_open_as_many_files_as_it_is_let() {
    let broker = Process::start(
        Command::new("sh")
            .args(["-c", "ulimit -Sn 128; exec \"$0\" broker -p \"$1\""])
            .arg(tools::wigwag().get_program())
            .arg(free_port().to_string()),
    );
    broker.await_line("that it runs", |line| line.ends_with(" running"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", broker.id())).expect("readable");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let mut files = files.expect("a line").split_ascii_whitespace().skip(3);
    let (soft, hard) = (files.next(), files.next());
    assert_eq!(soft, hard);
    assert_ne!(soft, Some("128"));
}

#[test]
fn a_reload_whose_log_cannot_be_written_changes_nothing() {
    let (port, other) = (free_port(), free_port());
    let text = format!("user root\nlistener {port} 127.0.0.1\n");
    let broker = Configured::start(Kind::Wigwag, tempdir().expect("a folder"), &text);
    let more = format!("{text}listener {other} 127.0.0.1\nlog_dest file /nowhere/log\n");
    broker.write("m.conf", &more);
    broker.process.signal("HUP");
    let why = broker
        .process
        .await_line("an error", |line| line.contains("Error"));
    assert!(
        why.contains("cannot write the log file /nowhere/log: "),
        "{why}"
    );
    (broker.process).await_line("the outcome", |line| {
        line.ends_with("Everything is as it was.")
    });
    assert!(TcpStream::connect(("127.0.0.1", other)).is_err());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// Only root has something to give up.
#[cfg(target_os = "linux")]
#[test]
fn who_root_becomes_by_numbers_is_in_no_group_of_roots() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let broker = Process::start(
        tools::system("setpriv")
            .args(["--groups", "4", "--"])
            .arg(tools::wigwag().get_program())
            .args(["broker", "-p", &free_port().to_string()])
            .envs([("PUID", "65534"), ("PGID", "65534")]),
    );
    broker.await_line("that it runs", |line| line.ends_with(" running"));
    let status = fs::read_to_string(format!("/proc/{}/status", broker.id())).expect("readable");
    let line = |name: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(name));
        rest.expect("a line").split_ascii_whitespace().next()
    };
    assert_eq!(line("Uid:"), Some("65534"));
    assert_eq!(line("Gid:"), Some("65534"));
    assert_eq!(line("Groups:"), None);
}
