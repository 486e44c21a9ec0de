//! `wigwag pub` where it takes more than one connection, and where somebody ends it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::broker::{Broker, Kind, free_port};
use crate::process::Process;
use crate::tools;

/// `wigwag pub -l -d` at a port, whose input is open.
struct Typing {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Typing {
    fn start(port: u16) -> Typing {
        let mut command = tools::wigwag();
        command
            .args(["pub", "-t", "a", "-l", "-q", "1", "-d", "-p"])
            .arg(port.to_string());
        let mut child = bounded(&command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Typing { child, output }
    }

    fn write(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    fn await_line(&mut self, end: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(end) {
            line.clear();
            let len = self.output.read_line(&mut line).unwrap();
            assert_ne!(len, 0, "it has ended without '{end}'");
        }
    }
}

/// The same command, ended when it takes too long.
fn bounded(command: &Command) -> Command {
    let mut bounded = Command::new("timeout");
    bounded
        .arg("30")
        .arg(command.get_program())
        .args(command.get_args())
        .env_remove("RUST_LOG");
    bounded
}

#[test]
fn lines_go_on_over_the_next_connection() {
    let broker = Broker::start(Kind::Wigwag);
    let mut typing = Typing::start(broker.mqtt_port());
    typing.write("one");
    typing.await_line("received PUBACK (Mid: 1, RC:0)");
    let _broker = broker.restart();
    typing.write("two");
    typing.await_line("received PUBACK (Mid: 2, RC:0)");
    drop(typing.child.stdin.take());
    typing.await_line("sending DISCONNECT");
    assert!(typing.child.wait().unwrap().success());
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let port = free_port();
    let mut command = tools::wigwag();
    command
        .args(["pub", "-t", "a", "-m", "x", "--reconnect", "-p"])
        .arg(port.to_string());
    let mut publisher = Process::start(&mut command);
    publisher.await_line("why it waits", |line| line == "Error: Connection refused");
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    // Whoever comes is refused for good, which ends the waiting.
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(&[0x20, 2, 0, 5]).unwrap();
    assert_eq!(publisher.await_exit().code(), Some(5));
}

/// What a server does not read stays in the input: 64 MB are more than sockets and pipes take.
#[test]
fn lines_wait_for_a_server_that_does_not_read() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let mut command = tools::wigwag();
    command.args(["pub", "-t", "a", "-l", "-p", &port]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(&[0x20, 2, 0, 0]).unwrap();
    let mut input = child.stdin.take().unwrap();
    let (done, fed) = mpsc::channel();
    let feeding = thread::spawn(move || {
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let _ = done.send((0..64 * 1024).try_for_each(|_| input.write_all(&line)));
    });
    let early = fed.recv_timeout(Duration::from_secs(1));
    child.kill().unwrap();
    child.wait().unwrap();
    feeding.join().unwrap();
    assert!(early.is_err(), "all of it was taken: {early:?}");
}

#[test]
fn ctrl_c_ends_an_attempt_to_connect_again() {
    let port = free_port();
    let mut command = tools::wigwag();
    command
        .args(["pub", "-t", "a", "-m", "x", "--reconnect", "--ws", "-p"])
        .arg(port.to_string());
    let mut publisher = Process::start(&mut command);
    publisher.await_line("why it waits", |line| line == "Error: Connection refused");
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (mut stream, _) = server.accept().unwrap();
    // It has asked for WebSocket, and waits for an answer.
    stream.read_exact(&mut [0; 3]).unwrap();
    publisher.signal("INT");
    assert_eq!(publisher.await_exit().code(), Some(130));
}

#[test]
fn ctrl_c_says_goodbye() {
    let broker = Broker::start(Kind::Wigwag);
    let mut command = tools::wigwag();
    command
        .args(["pub", "-t", "a", "-l", "-d", "-p"])
        .arg(broker.mqtt_port().to_string());
    let mut publisher = Process::start(&mut command);
    publisher.await_line("that it is connected", |line| line.ends_with("CONNACK (0)"));
    publisher.signal("INT");
    publisher.await_line("goodbye", |line| line.ends_with("sending DISCONNECT"));
    assert_eq!(publisher.await_exit().code(), Some(130));
}

#[test]
fn ctrl_c_is_heard_amid_lines_without_end() {
    let broker = Broker::start(Kind::Wigwag);
    let port = broker.mqtt_port().to_string();
    let subscribe = ["sub", "-t", "a", "-C", "1000", "-d", "-p", &port];
    let mut subscriber = Process::start(tools::wigwag().args(subscribe));
    subscriber.await_line("that it has subscribed", |line| {
        line.starts_with("Subscribed")
    });
    let mut publisher = Process::start(tools::wigwag().args(["pub", "-t", "a", "-l", "-p", &port]));
    let mut input = publisher.input();
    let feeding = thread::spawn(move || while input.write_all(&b"x\n".repeat(1024)).is_ok() {});
    subscriber.await_exit();
    publisher.signal("INT");
    assert_eq!(publisher.await_exit().code(), Some(130));
    feeding.join().unwrap();
}
