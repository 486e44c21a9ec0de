//! `-F`: how a message becomes output, in the format language of `mosquitto_sub`.
//!
//! A format is read once, with Mosquitto's own messages for what is wrong with it, and then applied to each message. All of
//! it is pure: a message and a local time go in, bytes come out. `json` has `%j` and `%J`, `local_time` what begins with `@`.

mod field;
mod json;
mod local_time;
pub(crate) mod reprint;

use thiserror::Error;
use wigwag_proto::Properties;

use crate::message::Received;

use field::{Field, put_integer, put_payload, put_real, put_text};
pub use json::{JsonStyle, write_escaped};
pub use local_time::LocalTime;

/// The widest field that a format may ask for.
const WIDTH_MAX: usize = 1_000_000;

/// What may stand between the groups of `%.2x`.
const HEX_SEPARATORS: &[u8] = b" :-_,/|";

/// A format, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Field(Conversion, Field),
    /// `@` and a character: as `strftime` knows it.
    Time(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conversion {
    TopicAlias,
    ContentType,
    CorrelationData,
    Double,
    Expiry,
    FormatIndicator,
    Float,
    Iso8601,
    JsonQuoted,
    JsonInline,
    Length,
    PacketId,
    UserProperties,
    Payload,
    Qos,
    ResponseTopic,
    Retain,
    SubscriptionId,
    Topic,
    UnixTime,
    HexLower,
    HexUpper,
}

impl Conversion {
    const fn from_letter(letter: u8) -> Option<Conversion> {
        Some(match letter {
            b'A' => Conversion::TopicAlias,
            b'C' => Conversion::ContentType,
            b'D' => Conversion::CorrelationData,
            b'd' => Conversion::Double,
            b'E' => Conversion::Expiry,
            b'F' => Conversion::FormatIndicator,
            b'f' => Conversion::Float,
            b'I' => Conversion::Iso8601,
            b'j' => Conversion::JsonQuoted,
            b'J' => Conversion::JsonInline,
            b'l' => Conversion::Length,
            b'm' => Conversion::PacketId,
            b'P' => Conversion::UserProperties,
            b'p' => Conversion::Payload,
            b'q' => Conversion::Qos,
            b'R' => Conversion::ResponseTopic,
            b'r' => Conversion::Retain,
            b'S' => Conversion::SubscriptionId,
            b't' => Conversion::Topic,
            b'U' => Conversion::UnixTime,
            b'x' => Conversion::HexLower,
            b'X' => Conversion::HexUpper,
            _ => return None,
        })
    }
}

/// What is wrong with a format, as Mosquitto says it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// It ends within a `%` or after an `@`.
    #[error("Incomplete format specifier.")]
    IncompleteSpecifier,
    /// It ends with a backslash.
    #[error("Incomplete escape specifier.")]
    IncompleteEscape,
    /// Nothing is known by this letter.
    #[error("Invalid format specifier '{0}'.")]
    Specifier(char),
    /// Nothing is known by this letter after a backslash.
    #[error("Invalid escape specifier '{0}'.")]
    Escape(char),
    /// A field as wide as this is of no use to anybody.
    #[error("Field width in format is larger than {WIDTH_MAX}.")]
    Width,
}

/// Why a part of a message could not be printed; the rest of it was.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unprintable {
    /// For `%J`.
    #[error("Message payload is not valid JSON on topic {0}.")]
    NotJson(String),
    /// For `%f` and `%d`.
    #[error("Message payload on topic {topic} is no {wanted}: it has {len} bytes.")]
    NotReal {
        /// Of the message.
        topic: String,
        /// What was asked for, and how long that is.
        wanted: &'static str,
        /// Of the payload.
        len: usize,
    },
}

impl Format {
    /// Reads a format.
    pub fn parse(text: &str) -> Result<Format, FormatError> {
        let mut rest = Rest { text, at: 0 };
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        while let Some(byte) = rest.next() {
            match byte {
                b'%' => match rest.conversion()? {
                    None => literal.push(b'%'),
                    Some((conversion, field)) => {
                        end_literal(&mut literal, &mut pieces);
                        pieces.push(Piece::Field(conversion, field));
                    }
                },
                b'@' => match rest.next().ok_or(FormatError::IncompleteSpecifier)? {
                    b'@' => literal.push(b'@'),
                    letter if letter.is_ascii() => {
                        end_literal(&mut literal, &mut pieces);
                        pieces.push(Piece::Time(letter));
                    }
                    // `strftime` knows nothing beyond ASCII, and says so with a '%' before it.
                    other => literal.extend([b'%', other]),
                },
                b'\\' => literal.push(rest.escape()?),
                other => literal.push(other),
            }
        }
        end_literal(&mut literal, &mut pieces);
        Ok(Format { pieces })
    }

    /// Appends the message to `out`, without a new line at its end. What cannot be printed is left out and told of.
    pub fn write(
        &self,
        message: &Received,
        time: &LocalTime,
        style: JsonStyle,
        out: &mut Vec<u8>,
    ) -> Vec<Unprintable> {
        let mut unprintable = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Time(letter) => time.write(*letter, out),
                Piece::Field(conversion, field) => {
                    let done = write_field(*conversion, field, message, time, style, out);
                    unprintable.extend(done.err());
                }
            }
        }
        unprintable
    }
}

fn end_literal(literal: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal)));
    }
}

fn write_field(
    conversion: Conversion,
    field: &Field,
    message: &Received,
    time: &LocalTime,
    style: JsonStyle,
    out: &mut Vec<u8>,
) -> Result<(), Unprintable> {
    let properties = message.properties.as_properties();
    match conversion {
        Conversion::TopicAlias => number(properties.topic_alias().map(u64::from), field, out),
        Conversion::Expiry => number(
            properties.message_expiry_interval().map(u64::from),
            field,
            out,
        ),
        Conversion::FormatIndicator => number(
            properties.payload_format_indicator().map(u64::from),
            field,
            out,
        ),
        Conversion::SubscriptionId => {
            let first = properties.subscription_identifiers().next();
            number(first.map(u64::from), field, out);
        }
        Conversion::Length => put_integer(message.payload.len() as u64, field, out),
        Conversion::PacketId => put_integer(message.packet_id.into(), field, out),
        Conversion::ContentType => match properties.content_type() {
            Some(text) => put_text(text.as_bytes(), field, out),
            None => field.put_blank(b' ', out),
        },
        Conversion::ResponseTopic => {
            if let Some(topic) = properties.response_topic() {
                put_text(topic.as_str().as_bytes(), field, out);
            }
        }
        Conversion::CorrelationData => {
            out.extend_from_slice(properties.correlation_data().unwrap_or_default());
        }
        Conversion::UserProperties => write_user_properties(properties, out),
        Conversion::Topic => put_text(message.topic.as_bytes(), field, out),
        Conversion::Payload => put_payload(&message.payload, field, out),
        Conversion::HexLower => field.put_hex(&message.payload, false, out),
        Conversion::HexUpper => field.put_hex(&message.payload, true, out),
        Conversion::Float => put_real(float(message)?, field, out),
        Conversion::Double => put_real(double(message)?, field, out),
        Conversion::Qos => out.push(b'0' + message.qos as u8),
        Conversion::Retain => out.push(b'0' + u8::from(message.retain)),
        Conversion::Iso8601 => put_text(time.iso_8601().as_bytes(), field, out),
        Conversion::UnixTime => out.extend_from_slice(time.unix().as_bytes()),
        Conversion::JsonQuoted => json::write_quoted(message, time, style, out),
        Conversion::JsonInline => json::write_inline(message, time, style, out)
            .map_err(|_| Unprintable::NotJson(message.topic.clone()))?,
    }
    Ok(())
}

fn number(value: Option<u64>, field: &Field, out: &mut Vec<u8>) {
    match value {
        Some(value) => put_integer(value, field, out),
        None => field.put_blank(field.pad(), out),
    }
}

fn write_user_properties(properties: Properties<'_>, out: &mut Vec<u8>) {
    for (index, (name, value)) in properties.user_properties().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
}

fn float(message: &Received) -> Result<f64, Unprintable> {
    let bytes = message.payload.as_ref().try_into();
    let bytes = bytes.map_err(|_| not_real(message, "float of 4 bytes"))?;
    Ok(f32::from_ne_bytes(bytes).into())
}

fn double(message: &Received) -> Result<f64, Unprintable> {
    let bytes = message.payload.as_ref().try_into();
    let bytes = bytes.map_err(|_| not_real(message, "double of 8 bytes"))?;
    Ok(f64::from_ne_bytes(bytes))
}

fn not_real(message: &Received, wanted: &'static str) -> Unprintable {
    Unprintable::NotReal {
        topic: message.topic.clone(),
        wanted,
        len: message.payload.len(),
    }
}

/// What of a format has not been read.
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl Rest<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn next_is(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    /// The character that the byte read last begins.
    fn last_char(&self) -> char {
        let start = self.at.saturating_sub(1);
        let text = self.text.get(start..).unwrap_or_default();
        text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// What stands after a '%': a conversion, or `None` for the sign itself.
    fn conversion(&mut self) -> Result<Option<(Conversion, Field)>, FormatError> {
        let is_left = self.next_is(b'-');
        let is_zero = self.next_is(b'0');
        let width = self.number()?.unwrap_or(0);
        let mut field = Field::new(is_left, is_zero, width);
        if self.next_is(b'.') {
            field.precision = Some(self.number()?.unwrap_or(0));
            if let Some(separator) = self.hex_separator() {
                self.at += 1;
                field.hex_separator = separator;
            }
        }
        let letter = self.next().ok_or(FormatError::IncompleteSpecifier)?;
        if letter == b'%' {
            return Ok(None);
        }
        let conversion = Conversion::from_letter(letter);
        let conversion = conversion.ok_or_else(|| FormatError::Specifier(self.last_char()))?;
        Ok(Some((conversion, field)))
    }

    /// The separator that stands before an `x`.
    fn hex_separator(&self) -> Option<u8> {
        match self.text.as_bytes().get(self.at..)? {
            [separator, b'x' | b'X', ..] => {
                HEX_SEPARATORS.contains(separator).then_some(*separator)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Result<Option<usize>, FormatError> {
        let mut number = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.at += 1;
            let value = number.unwrap_or(0) * 10 + usize::from(digit - b'0');
            if value > WIDTH_MAX {
                return Err(FormatError::Width);
            }
            number = Some(value);
        }
        Ok(number)
    }

    fn escape(&mut self) -> Result<u8, FormatError> {
        Ok(match self.next().ok_or(FormatError::IncompleteEscape)? {
            b'\\' => b'\\',
            b'0' => 0,
            b'a' => 0x07,
            b'e' => 0x1b,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            _ => return Err(FormatError::Escape(self.last_char())),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use wigwag_proto::topic::TopicName;
    use wigwag_proto::{PropertiesBuf, Property, Qos};

    use super::*;

    fn message() -> Received {
        let mut properties = PropertiesBuf::new();
        let topic = TopicName::new("re/sp").expect("valid");
        for property in [
            Property::UserProperty(("k", "v")),
            Property::UserProperty(("k", "w")),
            Property::ContentType("text/plain"),
            Property::CorrelationData(b"co"),
            Property::ResponseTopic(topic),
            Property::MessageExpiryInterval(2980),
            Property::PayloadFormatIndicator(true),
        ] {
            properties.push(property).expect("short");
        }
        Received {
            at: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_427_492_359_757_693),
            topic: "a/b".to_owned(),
            payload: Bytes::from_static(br#"hello "w" \ x"#),
            qos: Qos::AtLeastOnce,
            retain: true,
            packet_id: 1,
            properties,
        }
    }

    fn bare() -> Received {
        Received {
            properties: PropertiesBuf::new(),
            ..message()
        }
    }

    fn print(format: &str, message: &Received) -> (String, Vec<Unprintable>) {
        let format = Format::parse(format).expect("valid");
        let time = LocalTime::in_utc(message.at);
        let mut out = Vec::new();
        let unprintable = format.write(message, &time, JsonStyle::default(), &mut out);
        (String::from_utf8_lossy(&out).into_owned(), unprintable)
    }

    #[track_caller]
    fn check(format: &str, message: &Received, expect: &str) {
        assert_eq!(print(format, message), (expect.to_owned(), vec![]));
    }

    #[test]
    fn properties_are_printed_with_widths() {
        check(
            "%C|%20C|%-20C|%.3C|%10.3C|%D|%E|%8E|%-8E|%08E|%F|%3F|%03F",
            &message(),
            "text/plain|          text/plain|text/plain          |tex|       tex|co|2980|    2980|2980    |00002980|1|  1|001",
        );
        check("%P|%R|%10R|%.2R", &message(), "k:v k:w|re/sp|     re/sp|re");
    }

    #[test]
    fn what_is_not_there_is_blank() {
        check(
            "%A|%5A|%05A|%C|%20C|%-20C|%.3C|%10.3C|%D|%E|%8E|%08E|%3F|%03F|%P|%10R|%4S",
            &bare(),
            "|     |00000||                    |                    ||          |||        |00000000|   |000|||    ",
        );
    }

    #[test]
    fn payloads_topics_and_numbers_have_widths() {
        check(
            "%l|%6l|%06l|%-6l|%-06l|%m|%5m|%q|%r",
            &message(),
            "13|    13|000013|13    |13    |1|    1|1|1",
        );
        check(
            "%p|%20p|%-20p|%020p|%5p|%t|%8t|%-8t|%.2t|%-05.3t",
            &message(),
            r#"hello "w" \ x|       hello "w" \ x|hello "w" \ x       |0000000hello "w" \ x|hello|a/b|     a/b|a/b     |a/|a/b  "#,
        );
    }

    #[test]
    fn bytes_are_printed_as_hexadecimal_numbers_in_groups() {
        let mut message = bare();
        message.payload = Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef]);
        check(
            "%x|%X|%.2x|%.2:X|%.4x|%.3-x|%10x|%012x|%-12x|%3x",
            &message,
            "deadbeef|DEADBEEF|de ad be ef|DE:AD:BE:EF|dead beef|dea-dbe-ef|  deadbeef|0000deadbeef|deadbeef    |deadbe",
        );
    }

    #[test]
    fn reals_are_read_from_the_payload() {
        let mut message = bare();
        message.payload = Bytes::copy_from_slice(&1.5_f32.to_ne_bytes());
        check(
            "%f|%10.2f|%-10.1f|%010.3f",
            &message,
            "1.500000|      1.50|1.5       |000001.500",
        );
        message.payload = Bytes::copy_from_slice(&(-0.125_f64).to_ne_bytes());
        check("%d|%.0d|%09.2d", &message, "-0.125000|-0|-00000.12");
        message.payload = Bytes::copy_from_slice(&f64::NEG_INFINITY.to_ne_bytes());
        check("%d", &message, "-inf");
        let (out, unprintable) = print("<%f>", &message);
        assert_eq!(out, "<>");
        assert_eq!(
            unprintable.first().map(ToString::to_string).as_deref(),
            Some("Message payload on topic a/b is no float of 4 bytes: it has 8 bytes.")
        );
    }

    #[test]
    fn times_are_those_of_the_message() {
        check(
            "%I|%30I|%.10I|%-30I|%U|@@|@Y-@m-@d @H:@M:@S.@N",
            &bare(),
            "2026-11-23T09:51:32+0000|      2026-11-23T09:51:32+0000|2026-11-23|2026-11-23T09:51:32+0000      |1795427492.359757693|@|2026-11-23 09:51:32.359757693",
        );
        check("@E|@O|@!|@1|@&x|@é", &bare(), "%E|%O|%!|%1|%&x|%é");
    }

    #[test]
    fn escapes_are_bytes() {
        check(
            r"\a\e\n\r\t\v\0\\|%%|%5%|%.5%",
            &bare(),
            "\x07\x1b\n\r\t\x0b\0\\|%|%|%",
        );
    }

    #[test]
    fn a_payload_that_is_no_json_is_told_of_and_the_rest_printed() {
        let (out, unprintable) = print("a%Jb%Jc", &bare());
        assert_eq!(out, "abc");
        assert_eq!(unprintable.len(), 2);
        assert_eq!(
            unprintable[0].to_string(),
            "Message payload is not valid JSON on topic a/b."
        );
    }

    #[test]
    fn mistakes_are_told_in_mosquittos_words() {
        let check = |format: &str, expect: &str| {
            let error = Format::parse(format).expect_err(format);
            assert_eq!(error.to_string(), expect, "{format}");
        };
        for incomplete in ["%", "%-", "%5", "%5.", "%5.5", "%0", "@", "a%"] {
            check(incomplete, "Incomplete format specifier.");
        }
        check("a\\", "Incomplete escape specifier.");
        check("%Z", "Invalid format specifier 'Z'.");
        check("% p", "Invalid format specifier ' '.");
        check("%.-1t", "Invalid format specifier '-'.");
        check("%0-5p", "Invalid format specifier '-'.");
        check("%é", "Invalid format specifier 'é'.");
        check("\\z", "Invalid escape specifier 'z'.");
        check(
            "%99999999999999999999p",
            "Field width in format is larger than 1000000.",
        );
    }
}
