//! What `sub` and `rr` print of a message: the payload, the topic before it, a format, or JSON; plain for programs, and in
//! colour and columns for people.
//!
//! It makes bytes and writes nothing.

use bytes::Bytes;
use thiserror::Error;

use crate::decode::{ChoiceError, DecodeError, Decoders};
use crate::format::{Format, FormatError, JsonStyle, LocalTime};
use crate::message::Received;
use crate::options::command_line::PrintChoice;
use crate::record::line;

/// Topics that are longer than this do not push the others' payloads to the right.
const COLUMN_MAX: usize = 48;

const TOPIC: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Why nothing can be printed as it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrintError {
    /// `-F`.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// `--decode`.
    #[error(transparent)]
    Decode(#[from] ChoiceError),
}

/// Prints messages one after the other.
#[derive(Debug)]
pub struct Printer {
    what: What,
    decoders: Decoders,
    style: JsonStyle,
    timestamps: bool,
    newline: bool,
    is_terminal: bool,
    has_colour: bool,
    /// Of the topics so far, on a terminal.
    column: usize,
}

#[derive(Debug)]
enum What {
    Payload,
    TopicAndPayload,
    Format(Format),
    Json,
}

impl Printer {
    /// A printer for what was asked for. `is_terminal` says whether people read what it prints, `has_colour` whether they
    /// want it in colour.
    pub fn new(
        choice: &PrintChoice,
        is_terminal: bool,
        has_colour: bool,
    ) -> Result<Printer, PrintError> {
        let what = match &choice.format {
            Some(format) => What::Format(Format::parse(format)?),
            None if choice.json => What::Json,
            None if choice.verbose => What::TopicAndPayload,
            None => What::Payload,
        };
        Ok(Printer {
            what,
            decoders: Decoders::load(&choice.decode)?,
            style: JsonStyle {
                is_pretty: choice.pretty,
                as_2_0: choice.json_as_2_0,
            },
            timestamps: choice.timestamps,
            newline: !choice.no_newline,
            is_terminal,
            has_colour: is_terminal && has_colour,
            column: 0,
        })
    }

    /// Appends what is printed of a message. What could not be printed, or decoded, comes back as lines for people.
    pub fn print(&mut self, message: &Received, out: &mut Vec<u8>) -> Vec<String> {
        let mut problems = Vec::new();
        let decoded = match self.decode(message) {
            Ok(decoded) => decoded,
            Err(error) => {
                problems.push(format!(
                    "Error: Message payload on topic {} {error}; it is printed as it came.",
                    message.topic
                ));
                None
            }
        };
        let shown = match &decoded {
            Some(payload) => &Received {
                payload: payload.clone(),
                ..message.clone()
            },
            None => message,
        };
        let time = LocalTime::new(message.at);
        match &self.what {
            What::Json => {
                line::write(message, decoded.as_ref(), out);
                out.push(b'\n');
            }
            What::Format(format) => {
                let start = out.len();
                let unprintable = format.write(shown, &time, self.style, out);
                self.put_time(&time, start, out);
                problems.extend(unprintable.iter().map(|error| format!("Error: {error}")));
                self.end_line(out);
            }
            What::Payload => {
                // Mosquitto's tools print nothing for a message without a payload.
                if !shown.payload.is_empty() || self.timestamps {
                    self.put_time(&time, out.len(), out);
                    out.extend_from_slice(&shown.payload);
                    self.end_line(out);
                }
            }
            What::TopicAndPayload => self.put_topic_and_payload(shown, &time, out),
        }
        problems
    }

    fn decode(&self, message: &Received) -> Result<Option<Bytes>, DecodeError> {
        if self.decoders.is_empty() {
            return Ok(None);
        }
        let decoded = self.decoders.decode(&message.topic, &message.payload);
        decoded.map(Some)
    }

    fn put_topic_and_payload(&mut self, message: &Received, time: &LocalTime, out: &mut Vec<u8>) {
        if message.payload.is_empty() && !self.newline {
            return;
        }
        self.put_time(time, out.len(), out);
        let width = message.topic.chars().count();
        if self.is_terminal && width <= COLUMN_MAX {
            self.column = self.column.max(width);
        }
        self.put_coloured(TOPIC, &message.topic, out);
        let padding = if self.is_terminal {
            self.column.saturating_sub(width)
        } else {
            0
        };
        out.resize(out.len() + padding + 1, b' ');
        if message.payload.is_empty() {
            self.put_coloured(DIM, "(null)", out);
        } else {
            out.extend_from_slice(&message.payload);
        }
        self.end_line(out);
    }

    /// Puts the time, if it is wanted, before what has been printed since `start`.
    fn put_time(&self, time: &LocalTime, start: usize, out: &mut Vec<u8>) {
        if self.timestamps {
            let mut stamp = Vec::new();
            self.put_coloured(DIM, &time.stamp(), &mut stamp);
            stamp.push(b' ');
            out.splice(start..start, stamp);
        }
    }

    fn put_coloured(&self, colour: &str, text: &str, out: &mut Vec<u8>) {
        let (before, after) = if self.has_colour {
            (colour, PLAIN)
        } else {
            ("", "")
        };
        for part in [before, text, after] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn end_line(&self, out: &mut Vec<u8>) {
        if self.newline {
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use wigwag_proto::{PropertiesBuf, Qos};

    use super::*;

    fn message(topic: &str, payload: &'static [u8]) -> Received {
        Received {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_427_492),
            topic: topic.to_owned(),
            payload: Bytes::from_static(payload),
            qos: Qos::AtMostOnce,
            retain: false,
            packet_id: 0,
            properties: PropertiesBuf::new(),
        }
    }

    fn print(
        choice: &PrintChoice,
        messages: &[Received],
        is_terminal: bool,
    ) -> (String, Vec<String>) {
        let mut printer = Printer::new(choice, is_terminal, true).expect("valid");
        let mut out = Vec::new();
        let problems = messages
            .iter()
            .flat_map(|message| printer.print(message, &mut out));
        let problems = problems.collect();
        (String::from_utf8_lossy(&out).into_owned(), problems)
    }

    fn check(choice: &PrintChoice, messages: &[Received], expect: &str) {
        assert_eq!(print(choice, messages, false), (expect.to_owned(), vec![]));
    }

    #[test]
    fn payloads_and_topics_are_printed_as_by_mosquitto() {
        let messages = [message("a", b"x"), message("b/c", b""), message("d", b"y")];
        let plain = PrintChoice::default();
        check(&plain, &messages, "x\ny\n");
        let no_newline = PrintChoice {
            no_newline: true,
            ..plain.clone()
        };
        check(&no_newline, &messages, "xy");
        let verbose = PrintChoice {
            verbose: true,
            ..plain
        };
        check(&verbose, &messages, "a x\nb/c (null)\nd y\n");
        let verbose = PrintChoice {
            no_newline: true,
            ..verbose
        };
        check(&verbose, &messages, "a xd y");
    }

    #[test]
    fn a_format_wins_over_topic_and_json() {
        let choice = PrintChoice {
            format: Some("<%t>".to_owned()),
            verbose: true,
            json: true,
            ..PrintChoice::default()
        };
        check(&choice, &[message("a", b"x")], "<a>\n");
    }

    #[test]
    fn people_get_columns_and_colours() {
        let verbose = PrintChoice {
            verbose: true,
            ..PrintChoice::default()
        };
        let messages = [
            message("abc", b"x"),
            message("d", b""),
            message("efghi", b"y"),
        ];
        assert_eq!(
            print(&verbose, &messages, true).0,
            "\x1b[36mabc\x1b[0m x\n\x1b[36md\x1b[0m   \x1b[2m(null)\x1b[0m\n\x1b[36mefghi\x1b[0m y\n"
        );
    }

    #[test]
    fn a_timestamp_stands_before_everything_but_json() {
        let choice = PrintChoice {
            timestamps: true,
            ..PrintChoice::default()
        };
        let (out, _) = print(&choice, &[message("a", b"x")], false);
        let (stamp, payload) = out.split_once(' ').expect("two words");
        assert_eq!(payload, "x\n");
        assert_eq!(stamp.len(), "2026-11-23T09:51:32.000+0000".len(), "{stamp}");
        let choice = PrintChoice {
            json: true,
            ..choice
        };
        check(
            &choice,
            &[message("a", b"x")],
            "{\"time\":\"2026-11-23T09:51:32Z\",\"topic\":\"a\",\"qos\":0,\"retain\":false,\"payload\":\"x\"}\n",
        );
    }

    #[test]
    fn what_cannot_be_decoded_is_printed_as_it_came() {
        let choice = PrintChoice {
            decode: vec!["cbor".to_owned()],
            verbose: true,
            ..PrintChoice::default()
        };
        let messages = [message("a", &[0x81, 0x01]), message("b", b"hello")];
        let (out, problems) = print(&choice, &messages, false);
        assert_eq!(out, "a [1]\nb hello\n");
        assert_eq!(
            problems,
            [
                "Error: Message payload on topic b is not CBOR: it ends too early; it is printed as it came."
            ]
        );
    }
}
