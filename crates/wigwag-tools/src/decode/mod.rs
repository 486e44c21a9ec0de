//! `--decode`: payloads in binary forms as JSON, and compressed ones as what was compressed.
//!
//! Pure, but for files of descriptions, which are read once, before the first message. Whatever a payload holds, a decoder
//! answers with text or an error; the memory and the depth that it may cost are bounded.

mod cbor;
mod gzip;
mod msgpack;
mod protobuf;
mod reader;
mod sparkplug;

use std::path::PathBuf;

use bytes::Bytes;
use thiserror::Error;

use protobuf::Protobuf;

/// How deep arrays and maps may be nested.
const DEPTH_MAX: usize = 200;

/// The largest text or file that may come out of a payload.
const DECODED_MAX: usize = 64 * 1024 * 1024;

/// What is done to payloads before they are printed, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Decoders(Vec<Decoder>);

#[derive(Clone, Debug)]
enum Decoder {
    Cbor,
    MessagePack,
    Protobuf(Protobuf),
    Sparkplug,
    Gzip,
}

/// Why a `--decode` cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// There is no such decoder.
    #[error(
        "unknown way to decode '{0}'; there are cbor, msgpack, protobuf:FILE:Type, sparkplug and gzip"
    )]
    Unknown(String),
    /// The file or the type is missing.
    #[error(
        "'{0}' does not say which message: protobuf:FILE:Type, with a .proto file or a descriptor set, and the full name of the message type"
    )]
    Incomplete(String),
    /// The description cannot be used.
    #[error("cannot read the description of messages in '{}': {why}", file.display())]
    Description {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The description is fine and has no such message.
    #[error("'{}' has no message type '{name}'; it has {}", file.display(), listed(.known))]
    NoSuchType {
        /// Which file.
        file: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    match names.len() {
        0 => "none".to_owned(),
        1..=SHOWN => names.join(", "),
        more => format!("{} and {} more", names[..SHOWN].join(", "), more - SHOWN),
    }
}

/// Why a payload cannot be decoded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("is not {form}: {why}")]
pub struct DecodeError {
    form: &'static str,
    why: String,
}

/// What stands in the way of reading on; the decoder adds what it was reading.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
enum Flaw {
    #[error("it ends too early")]
    Truncated,
    #[error("more follows after its end")]
    Trailing,
    #[error("it is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("it is larger than {DECODED_MAX} bytes")]
    TooLarge,
    #[error("a text in it is not UTF-8")]
    NotText,
    #[error("{0}")]
    Other(&'static str),
}

impl Decoders {
    /// What the values of `--decode` ask for. Reads the descriptions that they name.
    pub fn load(choices: &[String]) -> Result<Decoders, ChoiceError> {
        let decoders: Result<_, _> = choices.iter().map(|choice| load(choice)).collect();
        decoders.map(Decoders)
    }

    /// Whether payloads stay as they are.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The payload of a message of this topic, decoded by all of them.
    pub fn decode(&self, topic: &str, payload: &Bytes) -> Result<Bytes, DecodeError> {
        let mut payload = payload.clone();
        for decoder in &self.0 {
            payload = decoder.decode(topic, payload)?;
        }
        Ok(payload)
    }
}

fn load(choice: &str) -> Result<Decoder, ChoiceError> {
    match choice {
        "cbor" => Ok(Decoder::Cbor),
        "msgpack" => Ok(Decoder::MessagePack),
        "sparkplug" => Ok(Decoder::Sparkplug),
        "gzip" => Ok(Decoder::Gzip),
        _ => match choice.strip_prefix("protobuf") {
            Some(rest) => {
                // The type has no colon; the path may.
                let file_and_type = rest
                    .strip_prefix(':')
                    .and_then(|rest| rest.rsplit_once(':'));
                match file_and_type {
                    Some((file, name)) if !file.is_empty() && !name.is_empty() => {
                        Protobuf::load(file.as_ref(), name).map(Decoder::Protobuf)
                    }
                    _ => Err(ChoiceError::Incomplete(choice.to_owned())),
                }
            }
            None => Err(ChoiceError::Unknown(choice.to_owned())),
        },
    }
}

impl Decoder {
    fn decode(&self, topic: &str, payload: Bytes) -> Result<Bytes, DecodeError> {
        let (form, result) = match self {
            Decoder::Cbor => ("CBOR", cbor::to_json(&payload)),
            Decoder::MessagePack => ("MessagePack", msgpack::to_json(&payload)),
            Decoder::Gzip => ("gzip", gzip::decompress(&payload)),
            // The state of a host application is JSON already, and other topics are no Sparkplug.
            Decoder::Sparkplug if !sparkplug::is_payload_topic(topic) => return Ok(payload),
            Decoder::Sparkplug => ("a Sparkplug B payload", sparkplug::to_json(&payload)),
            Decoder::Protobuf(protobuf) => {
                let json = protobuf.to_json(&payload);
                return json.map_err(|why| DecodeError {
                    form: "such a Protocol Buffers message",
                    why,
                });
            }
        };
        result.map_err(|flaw| DecodeError {
            form,
            why: flaw.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_work_one_on_what_the_other_made() {
        let choices = ["gzip".to_owned(), "cbor".to_owned()];
        let decoders = Decoders::load(&choices).expect("known");
        let payload = gzip::compress(&[0x82, 0x01, 0x61, 0x78]);
        assert_eq!(
            decoders.decode("t", &payload).as_deref(),
            Ok(&b"[1,\"x\"]"[..])
        );
        let error = decoders
            .decode("t", &Bytes::from_static(b"x"))
            .expect_err("no gzip");
        assert_eq!(error.to_string(), "is not gzip: it ends too early");
    }

    #[test]
    fn a_choice_that_cannot_be_used_says_what_can() {
        let check = |choice: &str, expect: &str| {
            let error = Decoders::load(&[choice.to_owned()]).expect_err(choice);
            assert_eq!(error.to_string(), expect);
        };
        check(
            "xml",
            "unknown way to decode 'xml'; there are cbor, msgpack, protobuf:FILE:Type, sparkplug and gzip",
        );
        for incomplete in [
            "protobuf",
            "protobuf:file",
            "protobuf:file:",
            "protobuf::Type",
        ] {
            check(
                incomplete,
                &format!(
                    "'{incomplete}' does not say which message: protobuf:FILE:Type, with a .proto file or a descriptor set, and the full name of the message type"
                ),
            );
        }
    }
}
