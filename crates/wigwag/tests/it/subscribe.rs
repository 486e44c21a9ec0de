//! What `wigwag sub`, `record` and `replay` do beyond Mosquitto's tools, and over time: interruptions, restarts, recordings.
//!
//! What they have in common with `mosquitto_sub` is in `golden`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::broker::{Broker, Kind, free_port};
use crate::configured::Configured;
use crate::process::Process;
use crate::tools;

fn wigwag(port: u16, words: &[&str]) -> Command {
    let mut command = tools::wigwag();
    command.args(words).args(["-p", &port.to_string()]);
    command
}

fn publish(port: u16, words: &[&str]) {
    let mut command = wigwag(port, &[&["pub"], words].concat());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// A tool that prints its packets, and has its subscriptions.
fn subscribed(port: u16, words: &[&str]) -> Process {
    let process = Process::start(wigwag(port, words).arg("-d"));
    await_subscription(&process);
    process
}

fn await_subscription(process: &Process) {
    process.await_line("that it has subscribed", |line| {
        line.starts_with("Subscribed")
    });
}

#[test]
fn a_recording_brings_back_every_byte() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("bytes"), [0, 0xff, b'\n', 0xfe]).unwrap();
    let record = |name| {
        subscribed(
            port,
            &[
                "record",
                &path(name),
                "-V",
                "5",
                "-q",
                "2",
                "-t",
                "in/#",
                "-C",
                "5",
            ],
        )
    };

    let mut first = record("first");
    publish(port, &["-t", "in/text", "-m", "grüß \"✓\"", "-q", "1"]);
    publish(port, &["-t", "in/bytes", "-f", &path("bytes"), "-q", "2"]);
    publish(port, &["-t", "in/empty", "-n"]);
    publish(port, &["-t", "in/lines", "-m", "one\ntwo"]);
    let properties = "-t in/properties -m x -D publish user-property a b -D publish user-property a c \
                      -D publish content-type t -D publish correlation-data d -D publish response-topic r";
    publish(port, &properties.split_whitespace().collect::<Vec<_>>());
    assert!(first.await_exit().success(), "{}", first.said());

    let mut second = record("second");
    let replay = wigwag(port, &["replay", &path("first"), "--speed", "max"])
        .output()
        .unwrap();
    assert!(replay.status.success(), "{replay:?}");
    assert!(second.await_exit().success(), "{}", second.said());
    let messages = |name| {
        let text = fs::read_to_string(path(name)).unwrap();
        // Each line begins with its time.
        let lines = text.lines().map(|line| line.split_once(',').unwrap().1);
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        // A message of QoS 2 is there when it has been released, and others may come before.
        lines.sort();
        lines
    };
    assert_eq!(messages("first"), messages("second"));
    assert_eq!(messages("first").len(), 5);
}

#[test]
fn a_replay_keeps_the_pauses_and_chooses_by_topic() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("recording");
    let line = |secs: &str, topic: &str| {
        format!(
            "{{\"time\":\"2026-11-23T09:51:{secs}Z\",\"topic\":\"{topic}\",\"qos\":1,\"retain\":false,\"payload\":\"{secs}\"}}\n"
        )
    };
    let lines = [
        line("32.0", "a"),
        line("32.4", "b"),
        line("32.8", "a"),
        line("33.6", "a"),
    ];
    fs::write(&file, lines.concat()).unwrap();
    let file = file.display().to_string();

    let mut reader = subscribed(port, &["sub", "-t", "#", "-v", "-q", "1", "-C", "3"]);
    let start = Instant::now();
    let replay = wigwag(port, &["replay", &file, "--speed", "2", "--only", "a"])
        .output()
        .unwrap();
    assert!(replay.status.success(), "{replay:?}");
    assert!(
        start.elapsed() >= Duration::from_millis(800),
        "{:?}",
        start.elapsed()
    );
    reader.await_exit();
    let said = reader.said();
    let messages: Vec<_> = said.lines().filter(|line| line.starts_with("a ")).collect();
    assert_eq!(messages, ["a 32.0", "a 32.8", "a 33.6"]);
}

#[test]
fn a_replay_that_waits_for_its_input_hears_ctrl_c() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port();
    let reader = subscribed(port, &["sub", "-t", "a", "-v"]);
    let mut replay = Process::start(wigwag(port, &["replay", "-"]).arg("-d"));
    replay.type_in(
        "{\"time\":\"2026-11-23T09:51:32Z\",\"topic\":\"a\",\"qos\":0,\"retain\":false,\"payload\":\"x\"}\n",
    );
    reader.await_line("what was typed", |line| line == "a x");
    replay.signal("INT");
    assert_eq!(replay.await_exit().code(), Some(130), "{}", replay.said());
    let said = replay.said();
    assert!(said.ends_with("sending DISCONNECT"), "{said}");
}

#[test]
fn a_replay_refuses_what_it_would_pass_over() {
    let check = |words: &str, expect: &str| {
        let words: Vec<_> = words.split_whitespace().collect();
        let words = [&["replay", "/dev/null"], words.as_slice()].concat();
        let output = wigwag(free_port(), &words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with(&format!("Error: {expect}")), "{said}");
    };
    check("-q 1", "topics, payloads, QoS, RETAIN and properties");
    check(
        "-D publish content-type t",
        "topics, payloads, QoS, RETAIN and properties",
    );
    check("--repeat 2", "a recording is played once");
    check("--json", "replay has neither --json");
    check("--reconnect", "replay has neither --json");
}

#[test]
fn a_recording_that_is_damaged_says_where() {
    let broker = Broker::start(Kind::Wigwag);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("recording");
    fs::write(&file, "\n{\"time\":1}\n").unwrap();
    let file = file.display().to_string();
    let replay = wigwag(broker.mqtt_port(), &["replay", &file])
        .output()
        .unwrap();
    assert_eq!(replay.status.code(), Some(1));
    let said = String::from_utf8_lossy(&replay.stderr);
    let expect = format!("Error: {file}:2: it is not the record of a message: ");
    assert!(said.starts_with(&expect), "{said}");
}

#[test]
fn a_subscriber_comes_back_when_its_broker_does() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port();
    let reader = subscribed(port, &["sub", "-t", "a", "-v"]);
    let broker = broker.restart();
    await_subscription(&reader);
    publish(port, &["-t", "a", "-m", "after"]);
    reader.await_line("the message", |line| line == "a after");
    drop(broker);
}

#[test]
fn time_is_up_without_a_broker_too() {
    let port = free_port();
    let check = |words: &[&str]| {
        let words = [words, &["--reconnect", "-W", "3"]].concat();
        let mut tool = Process::start(&mut wigwag(port, &words));
        assert_eq!(tool.await_exit().code(), Some(27), "{}", tool.said());
        let said = tool.said();
        assert!(said.contains("Connection refused"), "{said}");
        assert!(said.ends_with("Timed out"), "{said}");
    };
    check(&["sub", "-t", "a"]);
    check(&["rr", "-t", "a", "-e", "b", "-m", "x"]);
}

/// More topics than there are Packet Identifiers, from a server that answers to none.
#[test]
fn a_flood_of_retained_messages_can_be_removed() {
    const COUNT: usize = 70_000;
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(&[0x20, 2, 0, 0]).unwrap();
        // CONNECT, and SUBSCRIBE with the identifier 1.
        stream.read_exact(&mut [0; 14 + 8]).unwrap();
        stream.write_all(&[0x90, 3, 0, 1, 0]).unwrap();
        let mut flood = b"\x31\x04\0\x01ax".repeat(COUNT);
        flood.extend_from_slice(b"\x30\x04\0\x01ax");
        stream.write_all(&flood).unwrap();
        // PUBLISH of QoS 1 without a payload: as many as may be in flight, and no more.
        let mut removals = vec![0; 20 * 7];
        stream.read_exact(&mut removals).unwrap();
        assert!(
            removals
                .chunks(7)
                .all(|own| own[..5] == *b"\x33\x05\0\x01a")
        );
    });
    let words = ["sub", "-t", "#", "--retained-only", "--remove-retained"];
    let mut reader = Process::start(&mut wigwag(port, &words));
    assert_eq!(reader.await_exit().code(), Some(0));
    serving.join().unwrap();
    assert_eq!(reader.said().lines().count(), COUNT);
}

#[test]
fn a_subscriber_does_not_throw_out_who_took_its_place() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port();
    let words = ["sub", "-t", "a", "-V", "5", "-i", "one"];
    let mut first = subscribed(port, &words);
    let _second = subscribed(port, &words);
    assert_eq!(first.await_exit().code(), Some(4), "{}", first.said());
    let said = first.said();
    assert!(said.contains("give each its own with -i"), "{said}");
}

#[test]
fn a_subscriber_that_is_interrupted_says_goodbye() {
    let broker = Broker::start(Kind::Wigwag);
    for signal in ["INT", "TERM"] {
        let mut reader = subscribed(broker.mqtt_port(), &["sub", "-t", "a"]);
        reader.signal(signal);
        assert_eq!(reader.await_exit().code(), Some(0), "{}", reader.said());
        let said = reader.said();
        assert!(said.ends_with("sending DISCONNECT"), "{said}");
    }
}

#[test]
fn a_subscriber_whose_output_is_closed_ends_in_silence() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port();
    publish(port, &["-t", "a", "-m", "first", "-r"]);
    let script = "(\"$0\" sub -p \"$1\" -t a -q 1; echo \"code $?\" >&2) | head -n 1";
    let mut command = Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_wigwag");
    let mut shell = Process::start(command.args(["-c", script, binary, &port.to_string()]));
    shell.await_line("the first message", |line| line == "first");
    // The pipe breaks some time after its reader has its line; each message is another attempt to write.
    while !shell.has_said_all() {
        publish(port, &["-t", "a", "-m", "next"]);
    }
    shell.await_exit();
    assert_eq!(shell.said(), "first\ncode 0");
}

#[test]
fn messages_are_counted_by_the_second() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port();
    let reader = subscribed(port, &["sub", "-t", "a", "--message-rate"]);
    for _ in 0..3 {
        publish(port, &["-t", "a", "-m", "x"]);
    }
    let mut count = 0;
    while count < 3 {
        let line = reader.await_line("a count", |line| line.parse::<u64>().is_ok());
        count += line.parse::<u64>().unwrap();
    }
    assert_eq!(count, 3, "{}", reader.said());
}

#[test]
fn payloads_are_decoded() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port();
    let folder = TempDir::new().unwrap();
    let proto = folder.path().join("reading.proto");
    fs::write(
        &proto,
        "syntax = \"proto3\"; message Reading { string id = 1; uint32 value = 2; }",
    )
    .unwrap();
    let bytes = folder.path().join("bytes");
    let check = |payload: &[u8], decode: &str, expect: &str| {
        fs::write(&bytes, payload).unwrap();
        // Acknowledged, so that the one before is not retained any more.
        let words = [
            "-q",
            "1",
            "-t",
            "a",
            "-r",
            "-f",
            &bytes.display().to_string(),
        ];
        publish(port, &words);
        let output = wigwag(
            port,
            &["sub", "-t", "a", "-C", "1", "-v", "--decode", decode],
        )
        .output()
        .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            expect,
            "{output:?}"
        );
        assert!(output.status.success());
    };
    check(b"\xa1\x64temp\x18\x15", "cbor", "a {\"temp\":21}\n");
    check(b"\x81\xa4temp\x15", "msgpack", "a {\"temp\":21}\n");
    let protobuf = format!("protobuf:{}:Reading", proto.display());
    check(
        b"\x0a\x02s1\x10\x15",
        &protobuf,
        "a {\"id\":\"s1\",\"value\":21}\n",
    );
    let decode = wigwag(port, &["sub", "-t", "a", "--decode", "xml"])
        .output()
        .unwrap();
    assert_eq!(decode.status.code(), Some(1));
    let said = String::from_utf8_lossy(&decode.stderr);
    assert!(
        said.starts_with("Error: unknown way to decode 'xml'; there are cbor, "),
        "{said}"
    );
}

#[test]
fn a_subscription_that_is_denied_says_why() {
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("dynsec.json");
    let deny = r#"{"defaultACLAccess":{"publishClientSend":true,"publishClientReceive":true,"subscribe":false,"unsubscribe":true},"clients":[],"groups":[],"roles":[]}"#;
    fs::write(&rules, deny).unwrap();
    let port = free_port();
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nplugin mosquitto_dynamic_security.so\n\
         plugin_opt_config_file {}\n",
        rules.display()
    );
    let _broker = Configured::start(Kind::Wigwag, folder, &text);
    let check = |version: &str, code: i32, expect: &str| {
        let output = wigwag(port, &["sub", "-V", version, "-t", "a/#"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), expect);
    };
    check(
        "5",
        135,
        "All subscription requests were denied.\n       'a/#': not authorized (0x87)\n",
    );
    check(
        "311",
        128,
        "All subscription requests were denied.\n       'a/#': unspecified error (0x80)\n",
    );
}
