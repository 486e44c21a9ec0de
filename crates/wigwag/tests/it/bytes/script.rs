//! Reads conversations: who sends which bytes, and why the answers differ where they do.
//!
//! A packet is hexadecimal digits with `"text"`, `s"text"` (behind its length), `{…}` (behind its Remaining Length),
//! `l[…]` (behind a length of two bytes), `p[…]` (properties, in MQTT 5 only), `v5(…)` and `v3(…)` (in these versions
//! only), `@` (name and level of the protocol) and `00*5` (repeated). `%` in a text is what tells runs apart.

use std::collections::BTreeMap;
use std::fs;
use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

use crate::broker::Kind;

/// A file of conversations that are had with one configuration.
pub(super) struct Corpus {
    /// Lines of `mosquitto.conf`, some for one broker only.
    pub(super) configuration: Vec<(Option<Kind>, String)>,
    pub(super) files: Vec<(String, String)>,
    pub(super) conversations: Vec<Conversation>,
}

pub(super) struct Conversation {
    pub(super) name: String,
    pub(super) versions: Vec<u8>,
    /// Why the brokers answer differently, by version.
    pub(super) because: BTreeMap<u8, String>,
    pub(super) steps: Vec<Step>,
}

pub(super) struct Step {
    pub(super) client: char,
    pub(super) act: Act,
    pub(super) line: String,
}

pub(super) enum Act {
    Send(String),
    /// The client closes its connection.
    Cut,
    /// The broker must close the connection; it may take its time.
    AwaitEnd,
}

/// What is sent often.
const SHORTHANDS: &[(&str, &str)] = &[
    ("connects", r#"10 {@ 02 003c p[] s"%&"}"#),
    ("resumes", r#"10 {@ 00 003c p[11 00000e10] s"%&"}"#),
    ("subscribes", "82 {0001 p[] $}"),
    ("unsubscribes", "a2 {0001 p[] $}"),
    ("disconnects", "e000"),
    ("pings", "c000"),
];

impl Conversation {
    pub(super) fn title(&self, version: u8) -> String {
        format!("{} (MQTT {})", self.name, spoken(version))
    }

    /// The version of a title that this conversation has made.
    pub(super) fn version_of(&self, title: &str) -> u8 {
        let mut versions = self.versions.iter().copied();
        versions
            .find(|version| self.title(*version) == title)
            .unwrap()
    }
}

fn spoken(version: u8) -> &'static str {
    match version {
        3 => "3.1",
        4 => "3.1.1",
        _ => "5",
    }
}

impl Corpus {
    pub(super) fn read(file: &Path) -> Corpus {
        let text = fs::read_to_string(file).unwrap();
        let mut corpus = Corpus {
            configuration: Vec::new(),
            files: Vec::new(),
            conversations: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let place = || format!("{}:{}: {line}", file.display(), number + 1);
            if !corpus.take(line) {
                panic!("not understood: {}", place());
            }
        }
        corpus
    }

    /// False if the line has no meaning where it stands.
    fn take(&mut self, line: &str) -> bool {
        if let Some(name) = line.strip_prefix("=== ") {
            self.conversations.push(Conversation {
                name: name.to_owned(),
                versions: vec![4, 5],
                because: BTreeMap::new(),
                steps: Vec::new(),
            });
            return true;
        }
        match self.conversations.last_mut() {
            Some(conversation) => conversation.take(line),
            None => self.take_setting(line),
        }
    }

    fn take_setting(&mut self, line: &str) -> bool {
        let (only, rest) = match line.split_once("| ") {
            Some(("", rest)) => (None, rest),
            Some(("ours", rest)) => (Some(Kind::Wigwag), rest),
            Some(("theirs", rest)) => (Some(Kind::Mosquitto), rest),
            _ => {
                if let Some(name) = line.strip_prefix("file ") {
                    self.files.push((name.to_owned(), String::new()));
                    return true;
                }
                let (Some(line), Some((_, text))) =
                    (line.strip_prefix("    "), self.files.last_mut())
                else {
                    return false;
                };
                *text += line;
                *text += "\n";
                return true;
            }
        };
        self.configuration.push((only, rest.to_owned()));
        true
    }
}

impl Conversation {
    fn take(&mut self, line: &str) -> bool {
        let Some((first, rest)) = line.split_once(' ') else {
            return false;
        };
        match first {
            "versions" => {
                let versions = rest.split(' ').map(|version| version.parse().unwrap());
                self.versions = versions.collect();
                true
            }
            "because" => {
                for version in &self.versions {
                    self.because.insert(*version, rest.to_owned());
                }
                true
            }
            "because-3" | "because-4" | "because-5" => {
                let version = first.trim_start_matches("because-").parse().unwrap();
                self.because.insert(version, rest.to_owned());
                self.versions.contains(&version)
            }
            _ => self.take_step(first, rest, line),
        }
    }

    fn take_step(&mut self, client: &str, rest: &str, line: &str) -> bool {
        let mut letters = client.chars();
        let (Some(client), None) = (letters.next(), letters.next()) else {
            return false;
        };
        let (verb, operand) = rest.split_once(' ').unwrap_or((rest, ""));
        let act = match verb {
            ">" => Act::Send(operand.to_owned()),
            "cut" => Act::Cut,
            "ended" => Act::AwaitEnd,
            _ => match SHORTHANDS.iter().find(|(name, _)| *name == verb) {
                Some((_, bytes)) => Act::Send(bytes.replace('$', operand)),
                None => return false,
            },
        };
        let line = line.to_owned();
        self.steps.push(Step { client, act, line });
        true
    }
}

/// The bytes of a packet, for a version and a run.
pub(super) fn assemble(text: &str, version: u8, client: char, run: &str) -> Vec<u8> {
    let mut assembler = Assembler {
        rest: text.chars().peekable(),
        version,
        client,
        run,
    };
    let bytes = assembler.until(None);
    assert!(
        assembler.rest.next().is_none(),
        "one bracket too many: {text}"
    );
    bytes
}

struct Assembler<'a> {
    rest: Peekable<Chars<'a>>,
    version: u8,
    client: char,
    run: &'a str,
}

impl Assembler<'_> {
    fn until(&mut self, end: Option<char>) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(next) = self.rest.next() {
            let mut part = match next {
                ' ' => continue,
                _ if Some(next) == end => return bytes,
                '"' => self.text(),
                '@' => self.protocol(),
                '{' => {
                    let body = self.until(Some('}'));
                    [variable(body.len()), body].concat()
                }
                's' | 'l' | 'p' | 'v' => self.prefixed(next),
                _ => {
                    let digits: String = [Some(next), self.rest.next()]
                        .into_iter()
                        .flatten()
                        .collect();
                    let byte = u8::from_str_radix(&digits, 16);
                    vec![byte.unwrap_or_else(|_| panic!("not hexadecimal: {digits}"))]
                }
            };
            if self.rest.next_if_eq(&'*').is_some() {
                part = part.repeat(self.number());
            }
            bytes.extend(part);
        }
        assert!(end.is_none(), "{end:?} is missing");
        bytes
    }

    fn prefixed(&mut self, what: char) -> Vec<u8> {
        let mut next = || self.rest.next();
        match (what, next()) {
            ('s', Some('"')) => long(self.text()),
            ('l', Some('[')) => long(self.until(Some(']'))),
            ('p', Some('[')) => {
                let body = self.until(Some(']'));
                let bytes = [variable(body.len()), body].concat();
                if self.version == 5 { bytes } else { Vec::new() }
            }
            ('v', Some(digit)) => {
                assert_eq!(next(), Some('('), "v{digit} without a bracket");
                let body = self.until(Some(')'));
                let applies = (digit == '5') == (self.version == 5);
                if applies { body } else { Vec::new() }
            }
            (what, other) => panic!("{what}{other:?} has no meaning"),
        }
    }

    fn text(&mut self) -> Vec<u8> {
        let mut text = String::new();
        for next in self.rest.by_ref() {
            match next {
                '"' => break,
                '%' => text += self.run,
                '&' => text.push(self.client),
                other => text.push(other),
            }
        }
        text.into_bytes()
    }

    fn number(&mut self) -> usize {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().unwrap()
    }

    fn protocol(&self) -> Vec<u8> {
        let name: &[u8] = if self.version == 3 {
            b"MQIsdp"
        } else {
            b"MQTT"
        };
        [long(name.to_vec()), vec![self.version]].concat()
    }
}

fn long(bytes: Vec<u8>) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [len.to_vec(), bytes].concat()
}

fn variable(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = if value > 127 { 0x80 } else { 0 };
        bytes.push(u8::try_from(value & 127).unwrap() | more);
        value >>= 7;
        if value == 0 {
            return bytes;
        }
    }
}
