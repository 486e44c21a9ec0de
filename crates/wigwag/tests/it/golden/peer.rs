//! What the tools say to a peer that follows a script: every byte is compared.
//!
//! The peer answers each packet with the next line of the script. It knows how long a packet is, and nothing else.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Output;
use std::thread;

use super::{Golden, run, without_made_up_names};
use crate::process::BOUND;

/// A row of a table of conversations.
#[derive(Clone, Copy)]
pub(super) struct Conversation {
    words: &'static str,
    /// In hexadecimal; spaces do not count.
    answers: &'static [&'static str],
    ours: Ours,
}

/// Where ours is meant to be different.
#[derive(Clone, Copy)]
struct Ours {
    code: Option<i32>,
    stderr: Option<&'static str>,
    sends: Option<&'static str>,
}

/// A row that must be the same.
pub(super) const fn conversation(
    words: &'static str,
    answers: &'static [&'static str],
) -> Conversation {
    Conversation {
        words,
        answers,
        ours: Ours {
            code: None,
            stderr: None,
            sends: None,
        },
    }
}

impl Conversation {
    /// Ours ends with this code, because it has not done what it was asked for; theirs with 0.
    pub(super) const fn ours_ends_with(mut self, code: i32) -> Conversation {
        self.ours.code = Some(code);
        self
    }

    /// Ours says why; theirs is silent.
    pub(super) const fn ours_says(mut self, text: &'static str) -> Conversation {
        self.ours.stderr = Some(text);
        self
    }

    /// Ours sends these bytes, as Mosquitto 2.1 does.
    pub(super) const fn as_2_1_sends(mut self, bytes: &'static str) -> Conversation {
        self.ours.sends = Some(bytes);
        self
    }
}

/// All that was said: bytes, both streams, exit code.
pub(super) type Said = (String, String, String, Option<i32>);

impl Golden {
    /// Plays a table of conversations, each with both tools.
    pub(super) fn converse(&self, table: &[Conversation]) {
        let mut faults = String::new();
        for row in table {
            // At the same time: some wait a while for nothing.
            let (mut expected, ours) = thread::scope(|scope| {
                let theirs = scope.spawn(|| self.held(row, &self.theirs()));
                let ours = self.held_by_ours(row);
                (theirs.join().unwrap(), ours)
            });
            if let Some(code) = row.ours.code {
                assert_eq!(expected.3, Some(0), "{}: theirs", row.words);
                expected.3 = Some(code);
            }
            if let Some(text) = row.ours.stderr {
                assert_eq!(expected.2, "", "{}: theirs", row.words);
                expected.2 = text.to_owned();
            }
            if let Some(bytes) = row.ours.sends {
                assert_ne!(expected.0, bytes, "{}: theirs", row.words);
                expected.0 = bytes.to_owned();
            }
            if ours != expected {
                let (name, words, answers) = (self.name, row.words, row.answers);
                writeln!(
                    faults,
                    "{name} {words} {answers:?}\n  theirs {expected:?}\n  ours   {ours:?}"
                )
                .unwrap();
            }
        }
        assert!(faults.is_empty(), "\n{faults}");
    }

    /// What ours says, under Mosquitto's name.
    pub(super) fn held_by_ours(&self, row: &Conversation) -> Said {
        self.held(row, &[self.folder.path().join(self.name).into()])
    }

    fn held(&self, row: &Conversation, program: &[std::ffi::OsString]) -> Said {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = row.answers.iter().map(|own| bytes(own)).collect();
        let peer = thread::spawn(move || answer(&listener, answers));
        let more = format!("-h 127.0.0.1 -p {port}");
        let output: Output = self.call(program, &run(row.words), &more);
        let sent = peer.join().unwrap();
        let text = |bytes: &[u8]| without_made_up_names(&String::from_utf8_lossy(bytes));
        let code = output.status.code();
        (sent, text(&output.stdout), text(&output.stderr), code)
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<char> = hexadecimal.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs
        .map(|pair| u8::from_str_radix(&pair, 16).unwrap())
        .collect()
}

/// Answers each packet of one connection until it ends; gives all that was received.
fn answer(listener: &TcpListener, answers: Vec<Vec<u8>>) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let mut received = String::new();
    let mut answers = answers.into_iter();
    while let Some(packet) = next_packet(&mut stream) {
        for byte in packet {
            write!(received, "{byte:02x}").unwrap();
        }
        if let Some(answer) = answers.next() {
            // A tool that has left early does not hear it.
            let _ = stream.write_all(&answer);
        }
    }
    received
}

/// `None` at the end, or when the tool has broken off.
fn next_packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0; 1];
    stream.read_exact(&mut packet).ok()?;
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        packet.push(byte[0]);
        length |= usize::from(byte[0] & 0x7F) << shift;
        if byte[0] < 0x80 {
            break;
        }
    }
    let start = packet.len();
    packet.resize(start + length, 0);
    stream.read_exact(&mut packet[start..]).ok()?;
    Some(packet)
}
