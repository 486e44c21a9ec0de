//! What signals do to the real process, and what they do not do to it.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tempfile::tempdir;

use crate::broker::{Kind, free_port};
use crate::configuration::await_until;
use crate::configured::{Configured, command, write};
use crate::process::Process;
use crate::tools;

against_both_brokers!(
    a_log_file_that_was_moved_is_opened_anew,
    our_tool_tells_it_to_reload_and_to_end,
);

/// What `wigwag signal` says on standard error, and its code.
fn tell(pid: u32, signal: &str) -> (String, Option<i32>) {
    let mut tool = tools::wigwag();
    let output = tool
        .args(["signal", "-p", &pid.to_string(), signal])
        .output()
        .unwrap();
    (
        String::from_utf8(output.stderr).unwrap(),
        output.status.code(),
    )
}

fn our_tool_tells_it_to_reload_and_to_end(kind: Kind) {
    let text = format!("user root\nlistener {} 127.0.0.1\n", free_port());
    let mut broker = Configured::start(kind, tempdir().unwrap(), &text);
    // Started through another program or not, it is the same process.
    let pid = broker.process.id();
    assert_eq!(tell(pid, "config-reload"), (String::new(), Some(0)));
    broker
        .process
        .await_line("that it reads its file again", |line| {
            line.ends_with("Reloading config.")
        });
    assert_eq!(tell(pid, "shutdown"), (String::new(), Some(0)));
    assert!(broker.process.await_exit().success());
}

#[test]
fn our_tool_ends_nobody_who_does_not_listen() {
    // Whoever runs the tests may ignore the signal, as `nohup` does, and hands that down.
    let mut cat = Command::new("env");
    let mut bystander = Process::start(cat.args(["--default-signal=HUP", "cat", "-u"]));
    bystander.type_in("here\n");
    bystander.await_line("that it runs", |line| line == "here");
    let (said, code) = tell(bystander.id(), "config-reload");
    assert!(said.contains("does not listen for SIGHUP"), "{said}");
    assert_eq!(code, Some(1));
    bystander.feed("still here\n");
    bystander.await_line("that it has not been ended", |line| line == "still here");
    assert!(bystander.await_exit().success());
}

fn a_log_file_that_was_moved_is_opened_anew(kind: Kind) {
    let folder = tempdir().unwrap();
    let port = free_port();
    let (log, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let text = format!(
        "user root\nallow_anonymous true\nlistener {port} 127.0.0.1\nlog_dest stderr\nlog_dest file {}\n",
        log.display()
    );
    let broker = Configured::start(kind, folder, &text);
    // With Debian's Mosquitto, logrotate sends the first; newer ones take the second too.
    let signals = match kind {
        Kind::Wigwag => &["HUP", "RTMIN"][..],
        Kind::Mosquitto => &["HUP"],
    };
    for signal in signals {
        fs::rename(&log, &moved).unwrap();
        broker.process.signal(signal);
        await_until("the log is there again", || log.exists());
        // It may be there before the lines go into it.
        await_until("a line of the new log", || {
            let connection = TcpStream::connect(("127.0.0.1", port));
            assert!(connection.is_ok(), "{signal}");
            fs::read_to_string(&log).is_ok_and(|text| text.contains("New connection"))
        });
    }
}

#[test]
fn no_signal_but_those_that_end_it_ends_the_broker() {
    let folder = tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let port = free_port();
    let text = format!(
        "user root\nlistener {port} 127.0.0.1\npid_file {}\n",
        pid_file.display()
    );
    let mut broker = Configured::start(Kind::Wigwag, folder, &text);
    broker.process.signal("PIPE");
    broker.process.signal("USR1");
    broker.process.await_line("why nothing is saved", |line| {
        line.contains("SIGUSR1 is ignored: 'persistence' is off")
    });
    broker.process.signal("USR2");
    // A file that is wrong is no reason to end either.
    write(&broker.folder.path().join("m.conf"), "nonsense\n");
    broker.process.signal("HUP");
    broker.process.await_line("that all is as it was", |line| {
        line.ends_with("Everything is as it was.")
    });
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    for signal in ["TERM", "INT", "TERM"] {
        broker.process.signal(signal);
    }
    assert!(broker.process.await_exit().success());
    assert!(!pid_file.exists());
}

/// A process whose output nobody reads.
struct Unread(Child);

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn subscriptions_that_nobody_reads_do_not_keep_the_broker_from_ending() {
    let folder = tempdir().unwrap();
    let port = free_port();
    let file = folder.path().join("m.conf");
    let text = format!("user root\nallow_anonymous true\nlistener {port} 127.0.0.1\n");
    write(&file, &text);
    let mut command = command(Kind::Wigwag);
    command.arg("-c").arg(&file).stderr(Stdio::null());
    let mut broker = Unread(command.stdout(Stdio::piped()).spawn().unwrap());
    await_until("it listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    // Far more than a pipe holds.
    let filters =
        (0..400).flat_map(|number| ["-t".to_owned(), format!("{number}/{}", "x".repeat(1_000))]);
    let port = port.to_string();
    let mut subscriber = tools::system("mosquitto_sub");
    subscriber
        .args(["-h", "127.0.0.1", "-p", &port, "-d"])
        .args(filters);
    let subscriber = Process::start(&mut subscriber);
    subscriber.await_line("that it is subscribed", |line| {
        line.starts_with("Subscribed")
    });
    let id = broker.0.id().to_string();
    for signal in ["USR2", "USR2", "TERM"] {
        let mut kill = Command::new("kill");
        assert!(kill.args(["-s", signal, &id]).status().unwrap().success());
    }
    let mut ended = None;
    await_until("it has ended", || {
        ended = broker.0.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success());
}
