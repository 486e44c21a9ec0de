//! A log that nobody reads: clients are served all the same, and the log says what is missing when it is read
//! again.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use crate::broker::free_port;
use crate::process::BOUND;
use crate::tools;
use crate::wire::{Connect, Wire};

const PINGREQ: [u8; 2] = [0xC0, 0];
const PINGRESP: u8 = 0xD0;

/// Answers that make more log lines than a pipe and the queue before it hold.
const PINGS: usize = 12_000;

/// A broker whose standard error is a pipe that nobody reads.
struct Unread {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
}

impl Unread {
    fn start(command: &mut Command) -> Unread {
        let piped = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let stderr = child.stderr.take().map(BufReader::new);
        Unread { child, stderr }
    }

    /// Reads standard error until a line that is accepted, and no further.
    fn await_line(&mut self, accept: fn(&str) -> bool) {
        let mut stderr = self.stderr.take().unwrap();
        let (found, reader) = channel();
        thread::spawn(move || {
            let mut lines = stderr.by_ref().lines().map_while(Result::ok);
            if lines.any(|line| accept(&line)) {
                _ = found.send(stderr);
            }
        });
        self.stderr = Some(reader.recv_timeout(BOUND).expect("the line"));
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A client that has waited for so many answers of a broker that logs each of them.
fn ping(port: u16) {
    let mut wire = Wire::connected(port, &Connect::clean(5));
    for _ in 0..PINGS {
        wire.send(&PINGREQ);
        assert_eq!(wire.receive().unwrap().0, PINGRESP);
    }
}

#[test]
fn a_broker_with_its_own_defaults_does_not_wait_for_it() {
    let mut command = tools::wigwag();
    command.env("RUST_LOG", "trace");
    let mut broker = Unread::start(command.args(["broker", "--mqtt-port", "0", "--ws-port", "0"]));
    let stdout = BufReader::new(broker.child.stdout.take().unwrap());
    let mut lines = stdout.lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        let (_, port) = line.strip_prefix("mqtt ")?.rsplit_once(':')?;
        port.parse().ok()
    });
    ping(address.expect("a port"));
    broker.await_line(|line| line.contains("log lines were lost"));
}

#[test]
fn a_broker_by_mosquittos_rules_does_not_wait_for_it() {
    let port = free_port();
    let mut command = tools::wigwag();
    let mut broker = Unread::start(command.args(["broker", "-v", "-p", &port.to_string()]));
    broker.await_line(|line| line.ends_with(" running"));
    ping(port);
    broker.await_line(|line| line.contains("log lines were lost"));
}
