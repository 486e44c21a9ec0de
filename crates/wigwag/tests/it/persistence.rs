//! Sessions, queues and retained messages across the end of the process: stopped, or killed after a save.
//!
//! What a script would do with Mosquitto is done with both brokers: the same file, the same clients, the same
//! signals.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configuration::await_until;
use crate::configured::Configured;
use crate::process::Process;
use crate::tools;
use crate::wire::{Connect, Wire, field, packet};

against_both_brokers!(
    everything_is_there_after_a_stop,
    what_was_saved_is_there_after_a_kill,
    changes_are_counted,
);

/// A broker whose persistence is on, and that can be started again.
struct Kept {
    kind: Kind,
    port: u16,
    options: &'static str,
    running: Configured,
}

impl Kept {
    fn start(kind: Kind, options: &'static str) -> Kept {
        let folder = tempfile::tempdir().expect("a folder");
        Kept::start_in(kind, options, folder, free_port())
    }

    fn start_in(kind: Kind, options: &'static str, folder: TempDir, port: u16) -> Kept {
        let location = folder.path().display();
        let text = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {location}/\n{options}"
        );
        let running = Configured::start(kind, folder, &text);
        Kept {
            kind,
            port,
            options,
            running,
        }
    }

    /// Ends the process and starts it again.
    fn restart(self, signal: &str) -> Kept {
        let Kept {
            kind,
            port,
            options,
            running,
        } = self;
        let Configured {
            mut process,
            folder,
        } = running;
        process.signal(signal);
        process.await_exit();
        drop(process);
        Kept::start_in(kind, options, folder, port)
    }

    fn folder(&self) -> &Path {
        self.running.folder.path()
    }

    /// Waits until a save is over.
    fn await_saved(&self) {
        match self.kind {
            Kind::Wigwag => {
                let is_saved = |line: &str| line.contains(": Saved ");
                self.running
                    .process
                    .await_line("that it has saved", is_saved);
            }
            Kind::Mosquitto => {
                let file = self.folder().join("mosquitto.db");
                await_until("there is a file", || file.exists());
            }
        }
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let port = self.port.to_string();
        let mut command = tools::system(program);
        command.args(["-h", "127.0.0.1", "-p", &port]).args(args);
        let mut process = Process::start(&mut command);
        let status = process.await_exit();
        assert!(status.success(), "{program}: {status}: {}", process.said());
        process.said()
    }

    /// Begins a session, and leaves.
    fn subscribe(&self) {
        self.run(
            "mosquitto_sub",
            &["-c", "-i", "s", "-q", "2", "-t", "t/#", "-E"],
        );
    }

    fn publish(&self, args: &[&str]) {
        self.run("mosquitto_pub", args);
    }

    /// So many messages that the session has kept, in an order of their own.
    fn receive(&self, count: usize) -> Vec<String> {
        let (count, filter) = (count.to_string(), ["-t", "other"]);
        let args = [
            "-c",
            "-i",
            "s",
            "-q",
            "2",
            "-C",
            &count,
            "-F",
            "%t %q %r %p",
        ];
        let said = self.run("mosquitto_sub", &[&args[..], &filter].concat());
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// What is retained for one topic.
    fn retained(&self, topic: &str) -> String {
        let args = ["-t", topic, "-C", "1", "-W", "20", "-F", "%t %q %r %p"];
        self.run("mosquitto_sub", &args)
    }
}

fn everything_is_there_after_a_stop(kind: Kind) {
    let broker = Kept::start(kind, "");
    broker.subscribe();
    broker.publish(&["-t", "t/1", "-q", "1", "-m", "one"]);
    broker.publish(&["-t", "t/2", "-q", "2", "-m", "two"]);
    broker.publish(&["-t", "kept", "-q", "1", "-r", "-m", "here"]);
    let broker = broker.restart("TERM");
    assert_eq!(broker.receive(2), ["t/1 1 0 one", "t/2 2 0 two"]);
    assert_eq!(broker.retained("kept"), "kept 0 1 here");
    broker.publish(&["-t", "t/3", "-q", "1", "-m", "three"]);
    broker.publish(&["-t", "kept", "-q", "1", "-r", "-m", "changed"]);
    let broker = broker.restart("INT");
    assert_eq!(broker.receive(1), ["t/3 1 0 three"], "and no others");
    assert_eq!(broker.retained("kept"), "kept 0 1 changed");
}

fn what_was_saved_is_there_after_a_kill(kind: Kind) {
    let broker = Kept::start(kind, "");
    broker.subscribe();
    broker.publish(&["-t", "t/1", "-q", "2", "-m", "saved"]);
    broker.running.process.signal("USR1");
    let is_saving = |line: &str| line.contains("Saving in-memory database to ");
    broker
        .running
        .process
        .await_line("that it saves", is_saving);
    broker.await_saved();
    broker.publish(&["-t", "t/1", "-q", "2", "-m", "not saved"]);
    let broker = broker.restart("KILL");
    broker.publish(&["-t", "t/2", "-q", "1", "-m", "later"]);
    assert_eq!(broker.receive(2), ["t/1 2 0 saved", "t/2 1 0 later"]);
}

fn changes_are_counted(kind: Kind) {
    let options = "autosave_interval 5\nautosave_on_changes true\n";
    let broker = Kept::start(kind, options);
    for n in 0..20 {
        broker.publish(&["-q", "1", "-t", &format!("kept/{n}"), "-r", "-m", "1"]);
    }
    broker.await_saved();
    let broker = broker.restart("KILL");
    assert_eq!(broker.retained("kept/0"), "kept/0 0 1 1");
}

/// `[MQTT-4.3.3-6]`, `[MQTT-4.3.3-10]`. Mosquitto 2.0.11 does not go on with these after a restart.
#[test]
fn handshakes_of_qos_2_go_on_where_they_were() {
    let connect = |id: &str| {
        let mut connect = Connect::clean(4);
        connect.flags = 0;
        connect.payload = field(id.as_bytes());
        connect
    };
    let broker = Kept::start(Kind::Wigwag, "");
    let mut sub = Wire::connected(broker.port, &connect("sub"));
    let subscription = [&[0, 1][..], &field(b"t"), &[2]].concat();
    sub.send(&packet(0x82, &subscription));
    assert_eq!(sub.receive().unwrap().0, 0x90);
    let mut publisher = Wire::connected(broker.port, &connect("pub"));
    let publish = |flags: u8, id: u8| {
        let body = [&field(b"t")[..], &[0, id], b"x"].concat();
        packet(0x30 | flags, &body)
    };
    for id in [7, 8] {
        publisher.send(&publish(0x04, id));
        assert_eq!(publisher.receive().unwrap(), (0x50, vec![0, id]));
        publisher.send(&packet(0x62, &[0, id]));
        assert_eq!(publisher.receive().unwrap(), (0x70, vec![0, id]));
        let (first, body) = sub.receive().unwrap();
        assert_eq!((first, &body[3..5]), (0x34, &[0, id - 6][..]));
    }
    publisher.send(&publish(0x04, 9));
    assert_eq!(publisher.receive().unwrap(), (0x50, vec![0, 9]));
    sub.send(&packet(0x50, &[0, 1]));
    assert_eq!(sub.receive().unwrap(), (0x62, vec![0, 1]), "PUBREL");
    drop((sub, publisher));

    let broker = broker.restart("TERM");
    let mut publisher = Wire::connected(broker.port, &connect("pub"));
    publisher.send(&publish(0x0C, 9));
    assert_eq!(publisher.receive().unwrap(), (0x50, vec![0, 9]));
    publisher.send(&packet(0x62, &[0, 9]));
    assert_eq!(publisher.receive().unwrap(), (0x70, vec![0, 9]));
    let mut sub = Wire::connected(broker.port, &connect("sub"));
    assert_eq!(sub.receive().unwrap(), (0x62, vec![0, 1]), "PUBREL again");
    let (first, body) = sub.receive().unwrap();
    assert_eq!(
        (first, &body[3..5]),
        (0x3C, &[0, 2][..]),
        "PUBLISH with DUP"
    );
    let (first, body) = sub.receive().unwrap();
    assert_eq!(
        (first, &body[3..5]),
        (0x34, &[0, 3][..]),
        "what was released after the restart"
    );
    sub.send(&packet(0x70, &[0, 1]));
    sub.send(&packet(0x50, &[0, 2]));
    assert_eq!(
        sub.receive().unwrap(),
        (0x62, vec![0, 2]),
        "and nothing twice"
    );
}

/// Mosquitto's own file is left alone, whatever the options call it.
#[test]
fn the_store_stands_beside_the_file_of_mosquitto() {
    let broker = Kept::start(Kind::Wigwag, "persistence_file site.db\n");
    let file = broker.folder().join("site.db");
    fs::write(&file, "not ours").unwrap();
    broker.publish(&["-t", "kept", "-q", "1", "-r", "-m", "here"]);
    let broker = broker.restart("TERM");
    assert_eq!(broker.retained("kept"), "kept 0 1 here");
    assert_eq!(
        fs::read_to_string(broker.folder().join("site.db")).unwrap(),
        "not ours"
    );
    assert!(broker.folder().join("site.wigwag").is_dir());
    // A second broker with the same store says so.
    let port = free_port();
    let location = broker.folder().display();
    let text = format!(
        "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {location}/\npersistence_file site.db\n"
    );
    let conf = broker.folder().join("second.conf");
    fs::write(&conf, text).unwrap();
    let mut second = Process::start(tools::wigwag().arg("broker").arg("-c").arg(&conf));
    assert_eq!(second.await_exit().code(), Some(1));
    assert!(
        second.said().contains("is in use by another process"),
        "{}",
        second.said()
    );
}
