//! Has a conversation with a broker and tells what it answered, packet by packet and in hexadecimal digits.
//!
//! After each step every client that is online asks with a PINGREQ: what has not come before the PINGRESP does not
//! come. A client that is not online waits for a CONNACK, an AUTH or the end of its connection.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use super::script::{Act, Conversation, assemble};
use crate::process::BOUND;

/// The line that says that something has not come.
pub(super) const SILENCE: &str = "(nothing)";

const PINGREQ: [u8; 2] = [0xC0, 0];
const PINGRESP: [u8; 2] = [0xD0, 0];

pub(super) fn play(conversation: &Conversation, version: u8, number: usize, port: u16) -> String {
    let run = format!("{version}{number:03}");
    let mut clients: BTreeMap<char, Client> = BTreeMap::new();
    let mut told = String::new();
    for step in &conversation.steps {
        let _ = writeln!(told, "{}", step.line);
        let mut seen: BTreeMap<char, Vec<String>> = BTreeMap::new();
        let heard = seen.entry(step.client).or_default();
        match &step.act {
            Act::Send(text) => {
                let bytes = assemble(text, version, step.client, &run);
                let client = clients.entry(step.client);
                let client = client.or_insert_with(|| Client::open(port));
                client.say(&bytes, heard);
            }
            Act::Cut => {
                if let Some(mut client) = clients.remove(&step.client) {
                    client.cut();
                }
            }
            Act::AwaitEnd => {
                if let Some(client) = clients.get_mut(&step.client) {
                    client.hear_until_end(heard);
                }
            }
        }
        for (name, client) in &mut clients {
            client.fence(seen.entry(*name).or_default());
        }
        clients.retain(|_, client| !client.is_closed);
        for (name, lines) in seen {
            for line in lines {
                let _ = writeln!(told, "    {name} < {line}");
            }
        }
    }
    // Sessions end with their connections where nobody asked for more.
    clients.into_values().for_each(|mut client| client.cut());
    told
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    is_online: bool,
    is_closed: bool,
}

impl Client {
    fn open(port: u16) -> Client {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            buffer: Vec::new(),
            is_online: false,
            is_closed: false,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        // A broker that has closed the connection is found out by the next read.
        let _ = self.stream.write_all(bytes);
    }

    fn say(&mut self, bytes: &[u8], heard: &mut Vec<String>) {
        self.send(bytes);
        if self.is_online {
            let pings = usize::from(bytes.starts_with(&PINGREQ));
            return self.ask(pings + 1, heard);
        }
        while let Some(packet) = self.packet(heard) {
            heard.push(show(&packet));
            match packet.as_slice() {
                [0x20, _, _, 0, ..] => {
                    self.is_online = true;
                    break;
                }
                [0x20, ..] => return self.hear_until_end(heard),
                // The exchange goes on.
                [0xF0, ..] => break,
                _ => {}
            }
        }
    }

    /// Everything that comes before the answer to a PINGREQ.
    fn fence(&mut self, heard: &mut Vec<String>) {
        if self.is_online && !self.is_closed {
            self.ask(1, heard);
        }
    }

    fn ask(&mut self, mut answers: usize, heard: &mut Vec<String>) {
        self.send(&PINGREQ);
        while let Some(packet) = self.packet(heard) {
            if packet == PINGRESP {
                answers -= 1;
                if answers == 0 {
                    return;
                }
            }
            heard.push(show(&packet));
        }
    }

    fn hear_until_end(&mut self, heard: &mut Vec<String>) {
        while let Some(packet) = self.packet(heard) {
            heard.push(show(&packet));
        }
    }

    /// The next packet; `None` at the end of the connection, or when nothing comes, which is told.
    fn packet(&mut self, heard: &mut Vec<String>) -> Option<Vec<u8>> {
        loop {
            if let Some(len) = packet_len(&self.buffer) {
                return Some(self.buffer.drain(..len).collect());
            }
            if self.is_closed {
                return None;
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(count) if count > 0 => self.buffer.extend(chunk.get(..count)?),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    heard.push(SILENCE.to_owned());
                    return None;
                }
                _ => {
                    self.is_closed = true;
                    heard.push("closed".to_owned());
                    return None;
                }
            }
        }
    }

    /// Closes the connection, and returns when the broker knows.
    fn cut(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.hear_until_end(&mut Vec::new());
    }
}

fn packet_len(bytes: &[u8]) -> Option<usize> {
    let (mut len, mut shift) = (0, 0);
    for (count, byte) in bytes.iter().enumerate().skip(1).take(4) {
        len |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            let whole = count + 1 + len;
            return (bytes.len() >= whole).then_some(whole);
        }
    }
    None
}

/// Hexadecimal digits, with text where there is text. What is random in a name that the broker gives is left out.
fn show(packet: &[u8]) -> String {
    let mut packet = packet.to_vec();
    if let Some(at) = packet.windows(5).position(|window| window == b"auto-") {
        let random = packet.iter_mut().skip(at + 5).take(36);
        random
            .filter(|byte| byte.is_ascii_hexdigit())
            .for_each(|byte| *byte = b'X');
    }
    let mut text = String::new();
    let mut rest = packet.as_slice();
    while let Some((byte, behind)) = rest.split_first() {
        let is_text = |byte: &&u8| byte.is_ascii_graphic() || **byte == b' ';
        let len = rest.iter().take_while(is_text).count();
        if len >= 3 {
            let (run, behind) = rest.split_at(len);
            let _ = write!(text, "\"{}\" ", String::from_utf8_lossy(run));
            rest = behind;
        } else {
            let _ = write!(text, "{byte:02x} ");
            rest = behind;
        }
    }
    text.trim_end().to_owned()
}
