//! From Mosquitto to Wigwag with the same file and the same folder: what Mosquitto has kept is there afterwards, and
//! Mosquitto's own file is as it was.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::{TempDir, tempdir};

use crate::broker::{Kind, free_port};
use crate::configured::{Configured, command, write};
use crate::process::Process;
use crate::tools;
use crate::wire::{Connect, Wire, field, packet};

const PUBLISH: u8 = 0x30;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;
const DUP: u8 = 0x08;
const QOS_2: u8 = 0x04;

fn configuration(port: u16, folder: &Path) -> String {
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\npersistence_location {}/\n",
        folder.display()
    )
}

/// Ends a broker as its service manager does.
fn end(broker: Configured) -> TempDir {
    let Configured {
        mut process,
        folder,
    } = broker;
    process.signal("TERM");
    assert!(process.await_exit().success(), "{}", process.said());
    folder
}

fn client(program: &str, port: u16, args: &str) -> Command {
    let mut command = tools::system(program);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    command.args(args.split(' '));
    command
}

/// Runs a client to its end and returns its lines.
fn run(program: &str, port: u16, args: &str) -> Vec<String> {
    let mut process = Process::start(&mut client(program, port, args));
    let status = process.await_exit();
    let said = process.said();
    assert!(status.success(), "{program} {args}: {status}\n{said}");
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A client whose session outlives its connection, and whether there was one.
fn resume(port: u16, client_id: &str) -> (Wire, bool) {
    let connect = Connect {
        flags: 0,
        payload: field(client_id.as_bytes()),
        ..Connect::clean(4)
    };
    let mut wire = Wire::open(port);
    wire.send(&connect.bytes());
    let (_, body) = wire.receive().unwrap();
    assert_eq!(body[1], 0, "CONNACK {body:02x?}");
    (wire, body[0] == 1)
}

fn subscribe_at_qos_2(wire: &mut Wire, filter: &str) {
    let body = [&[0, 1][..], &field(filter.as_bytes()), &[2]].concat();
    wire.send(&packet(0x82, &body));
    assert_eq!(wire.receive().unwrap().0, 0x90);
}

/// The Packet Identifier of a PUBLISH at QoS 1 or 2.
fn packet_id(publish: &[u8]) -> [u8; 2] {
    let topic_len = usize::from(u16::from_be_bytes([publish[0], publish[1]]));
    [publish[2 + topic_len], publish[3 + topic_len]]
}

/// Gives Mosquitto something of everything to keep. Returns the Packet Identifiers of a message that was sent to `flying`
/// and not acknowledged, and of one whose PUBREC it has sent.
fn fill(port: u16) -> [[u8; 2]; 2] {
    let parked =
        "-V 5 -i parked -c -x 3600 -q 2 -t work/# -D subscribe subscription-identifier 7 -E";
    run("mosquitto_sub", port, parked);
    run(
        "mosquitto_sub",
        port,
        "-V 311 -i old -c -q 1 -t work/one -E",
    );
    let properties = "-D publish user-property k v -D publish content-type text/plain";
    let publish = |args: &str| _ = run("mosquitto_pub", port, args);
    publish(&format!("-V 5 -q 1 -t work/one -m m1 {properties}"));
    publish("-V 5 -q 2 -t work/two -m m2 -D publish message-expiry-interval 3600");
    publish(&format!("-V 5 -r -q 1 -t kept/a -m r1 {properties}"));
    publish("-V 311 -r -q 0 -t kept/b -m r2");

    let (mut flying, _) = resume(port, "flying");
    subscribe_at_qos_2(&mut flying, "fly/#");
    publish("-q 2 -t fly/sent -m f1");
    publish("-q 2 -t fly/received -m f2");
    let ids = [0, 1].map(|_| packet_id(&flying.receive().unwrap().1));
    flying.send(&packet(PUBREC, &ids[1]));
    assert_eq!(flying.receive().unwrap(), (PUBREL, ids[1].to_vec()));

    let (mut holding, _) = resume(port, "holding");
    let body = [&field(b"work/held")[..], &[0, 11], b"m4"].concat();
    holding.send(&packet(PUBLISH | QOS_2, &body));
    assert_eq!(holding.receive().unwrap(), (PUBREC, vec![0, 11]));
    ids
}

fn every_client_finds_what_was_its_own(port: u16, [sent, received]: [[u8; 2]; 2]) {
    let lines = run(
        "mosquitto_sub",
        port,
        "-V 5 -i parked -c -x 3600 -q 2 -t other -C 2 -F %t|%q|%p|%P|%C",
    );
    assert_eq!(lines, ["work/one|1|m1|k:v|text/plain", "work/two|2|m2||"]);
    let lines = run(
        "mosquitto_sub",
        port,
        "-V 311 -i old -c -q 1 -t other -C 1 -v",
    );
    assert_eq!(lines, ["work/one m1"]);
    let lines = run(
        "mosquitto_sub",
        port,
        "-V 5 -t kept/# -C 2 -F %t|%r|%p|%P|%C",
    );
    assert_eq!(lines, ["kept/a|1|r1|k:v|text/plain", "kept/b|1|r2||"]);

    let (mut flying, is_present) = resume(port, "flying");
    assert!(is_present);
    let mut packets = [0, 1].map(|_| flying.receive().unwrap());
    packets.sort();
    let [publish, pubrel] = &packets;
    assert_eq!(
        (publish.0, packet_id(&publish.1)),
        (PUBLISH | QOS_2 | DUP, sent)
    );
    assert!(publish.1.ends_with(b"f1"));
    assert_eq!(*pubrel, (PUBREL, received.to_vec()));

    let (mut holding, is_present) = resume(port, "holding");
    assert!(is_present);
    holding.send(&packet(PUBREL, &[0, 11]));
    assert_eq!(holding.receive().unwrap(), (PUBCOMP, vec![0, 11]));
    let lines = run(
        "mosquitto_sub",
        port,
        "-V 5 -i parked -c -x 3600 -q 2 -t other -C 1 -F %t|%q|%p",
    );
    assert_eq!(lines, ["work/held|2|m4"], "it has been released now");
}

#[test]
fn sessions_queues_and_retained_messages_come_along() {
    let port = free_port();
    let folder = tempdir().unwrap();
    let text = configuration(port, folder.path());
    let mosquitto = Configured::start(Kind::Mosquitto, folder, &text);
    let ids = fill(port);
    let folder = end(mosquitto);
    let file = folder.path().join("mosquitto.db");
    let kept = fs::read(&file).unwrap();

    let wigwag = Configured::start(Kind::Wigwag, folder, &text);
    let said = wigwag.process.said();
    let taken = "sessions: 4, subscriptions: 3, messages for clients: 6, retained messages: 2.";
    assert!(
        said.contains(&format!("{}: {taken}", file.display())),
        "{said}"
    );
    every_client_finds_what_was_its_own(port, ids);
    let folder = end(wigwag);
    assert!(
        fs::read(&file).unwrap() == kept,
        "Mosquitto's file has changed"
    );

    // From here on our own store is what counts.
    run_again_without_the_file(port, folder, &text);
}

fn run_again_without_the_file(port: u16, folder: TempDir, text: &str) {
    let wigwag = Configured::start(Kind::Wigwag, folder, text);
    assert!(
        !wigwag.process.said().contains("mosquitto.db:"),
        "{}",
        wigwag.process.said()
    );
    let (_, is_present) = resume(port, "flying");
    assert!(is_present);
    run("mosquitto_pub", port, "-q 1 -t work/one -m m5");
    let lines = run(
        "mosquitto_sub",
        port,
        "-V 5 -i parked -c -x 3600 -q 2 -t other -C 1 -v",
    );
    assert_eq!(lines, ["work/one m5"]);
    let lines = run("mosquitto_sub", port, "-t kept/# -C 2 -v");
    assert_eq!(lines, ["kept/a r1", "kept/b r2"]);
    end(wigwag);
}

#[test]
fn a_file_that_cannot_be_read_keeps_the_broker_from_starting_without_it() {
    for (content, why) in [
        (
            &b"\x00\xB5\x00mosquitto db\0\0\0\0\0\0\0\x07"[..],
            "its version is 7",
        ),
        (
            b"\x00\xB5\x00mosquitto db\0\0\0\0\0\0\0\x06\0\0\0\x04\0",
            "it is damaged",
        ),
        (
            b"something else",
            "does not begin as a file of Mosquitto does",
        ),
    ] {
        let port = free_port();
        let folder = tempdir().unwrap();
        let kept = folder.path().join("mosquitto.db");
        fs::write(&kept, content).unwrap();
        let file = folder.path().join("m.conf");
        write(&file, &configuration(port, folder.path()));
        let mut process = Process::start(command(Kind::Wigwag).arg("-c").arg(&file));
        assert_eq!(process.await_exit().code(), Some(1));
        let said = process.said();
        assert!(
            said.contains(why) && said.contains("move it away"),
            "{said}"
        );

        // As the message says.
        fs::rename(&kept, folder.path().join("aside")).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        drop(Configured::start(Kind::Wigwag, folder, &text));
    }
}

#[test]
fn the_database_of_mosquittos_plugin_is_not_passed_over_in_silence() {
    let folder = tempdir().unwrap();
    let kept = folder.path().join("mosquitto.sqlite3");
    fs::write(&kept, b"SQLite format 3\0").unwrap();
    let file = folder.path().join("m.conf");
    let text = format!(
        "listener {} 127.0.0.1\nuser root\nplugin mosquitto_persist_sqlite.so\nplugin_opt_db_file {}\n",
        free_port(),
        kept.display()
    );
    write(&file, &text);
    let mut process = Process::start(command(Kind::Wigwag).arg("-c").arg(&file));
    assert_eq!(process.await_exit().code(), Some(1));
    let said = process.said();
    assert!(
        said.contains("is a database of SQLite") && said.contains("move it away"),
        "{said}"
    );
}
