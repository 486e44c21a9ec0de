//! A message as a line of JSON: what `--json` prints, `--record` writes and `wigwag replay` reads.
//!
//! Nothing of the message is lost: what is no UTF-8 is written in base64, under another name. Names that are not known are
//! passed over, so that a line may have more than is told here.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use thiserror::Error;
use wigwag_proto::{PropertiesBuf, Property, Qos, TopicName};

use crate::message::Received;

/// Why a line is no message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is not JSON, or a member is missing or of another kind.
    #[error("it is not the record of a message: {0}")]
    Json(#[from] serde_json::Error),
    /// A member has a value that no message has.
    #[error("'{member}' {why}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    time: Cow<'a, str>,
    topic: Cow<'a, str>,
    qos: u8,
    retain: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    properties: Option<Properties<'a>>,
    /// What `--decode` has made of the payload. Only for who reads it.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    decoded: Option<Box<RawValue>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Properties<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_format_indicator: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_expiry_interval: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_topic: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_data: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_data_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic_alias: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subscription_identifiers: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user_properties: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Appends the line, without its end. `decoded` is what has been made of the payload, if it was to be made.
pub fn write(message: &Received, decoded: Option<&Bytes>, out: &mut Vec<u8>) {
    let timestamp = Timestamp::try_from(message.at).unwrap_or(Timestamp::MAX);
    let payload = std::str::from_utf8(&message.payload);
    let properties = message.properties.as_properties();
    let line = Line {
        time: timestamp.to_string().into(),
        topic: message.topic.as_str().into(),
        qos: message.qos as u8,
        retain: message.retain,
        payload_base64: (payload.is_err()).then(|| BASE64_STANDARD.encode(&message.payload)),
        payload: payload.ok().map(Cow::from),
        properties: (!properties.is_empty()).then(|| Properties::of(message)),
        decoded: decoded.and_then(|decoded| as_json(decoded)),
    };
    let written = serde_json::to_writer(out, &line);
    debug_assert!(
        written.is_ok(),
        "texts and numbers can be written to memory"
    );
}

/// JSON as it is, everything else as a text.
fn as_json(decoded: &[u8]) -> Option<Box<RawValue>> {
    let text = String::from_utf8_lossy(decoded);
    match serde_json::from_str(&text) {
        // One line it must be.
        Ok(json) if !text.contains(['\n', '\r']) => Some(json),
        _ => to_raw_value(&text).ok(),
    }
}

/// Reads a line.
pub fn read(line: &[u8]) -> Result<Received, LineError> {
    let line: Line<'_> = serde_json::from_slice(line)?;
    let timestamp: Timestamp = (line.time.parse())
        .map_err(|_| wrong("time", "is no time like 2026-11-23T09:51:32.359757693Z"))?;
    TopicName::new(&line.topic).map_err(|_| wrong("topic", "is no Topic Name"))?;
    Ok(Received {
        at: timestamp.into(),
        qos: Qos::from_u8(line.qos).ok_or_else(|| wrong("qos", "is neither 0 nor 1 nor 2"))?,
        retain: line.retain,
        packet_id: 0,
        payload: match (line.payload, line.payload_base64) {
            (Some(text), None) => Bytes::from(text.into_owned()),
            (None, Some(base64)) => bytes("payload_base64", &base64)?.into(),
            _ => {
                return Err(wrong(
                    "payload",
                    "or 'payload_base64' must be there, and not both",
                ));
            }
        },
        properties: line.properties.unwrap_or_default().encode()?,
        topic: line.topic.into_owned(),
    })
}

const fn wrong(member: &'static str, why: &'static str) -> LineError {
    LineError::Member { member, why }
}

fn bytes(member: &'static str, base64: &str) -> Result<Vec<u8>, LineError> {
    BASE64_STANDARD
        .decode(base64)
        .map_err(|_| wrong(member, "is not base64"))
}

impl Properties<'_> {
    fn of(message: &Received) -> Properties<'_> {
        let properties = message.properties.as_properties();
        let data = properties.correlation_data();
        let text = data.map(std::str::from_utf8);
        Properties {
            payload_format_indicator: properties.payload_format_indicator().map(u8::from),
            message_expiry_interval: properties.message_expiry_interval(),
            content_type: properties.content_type().map(Cow::from),
            response_topic: properties
                .response_topic()
                .map(|topic| topic.as_str().into()),
            correlation_data: text.and_then(Result::ok).map(Cow::from),
            correlation_data_base64: match (data, text) {
                (Some(data), Some(Err(_))) => Some(BASE64_STANDARD.encode(data)),
                _ => None,
            },
            topic_alias: properties.topic_alias(),
            subscription_identifiers: properties.subscription_identifiers().collect(),
            user_properties: properties
                .user_properties()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    fn encode(&self) -> Result<PropertiesBuf, LineError> {
        let mut buf = PropertiesBuf::new();
        let mut push = |member, property: Property<'_>| {
            let pushed = buf.push(property);
            pushed.map_err(|_| wrong(member, "has more than 65,535 bytes"))
        };
        if let Some(indicator) = self.payload_format_indicator {
            let property = Property::PayloadFormatIndicator(indicator == 1);
            push("payload_format_indicator", property)?;
        }
        if let Some(secs) = self.message_expiry_interval {
            push(
                "message_expiry_interval",
                Property::MessageExpiryInterval(secs),
            )?;
        }
        if let Some(text) = &self.content_type {
            push("content_type", Property::ContentType(text))?;
        }
        if let Some(topic) = &self.response_topic {
            let topic = TopicName::new(topic);
            let topic = topic.map_err(|_| wrong("response_topic", "is no Topic Name"))?;
            push("response_topic", Property::ResponseTopic(topic))?;
        }
        if let Some(text) = &self.correlation_data {
            push(
                "correlation_data",
                Property::CorrelationData(text.as_bytes()),
            )?;
        }
        if let Some(base64) = &self.correlation_data_base64 {
            let data = bytes("correlation_data_base64", base64)?;
            push("correlation_data_base64", Property::CorrelationData(&data))?;
        }
        if let Some(alias) = self.topic_alias.filter(|alias| *alias > 0) {
            push("topic_alias", Property::TopicAlias(alias))?;
        }
        for id in self.subscription_identifiers.iter().filter(|id| **id > 0) {
            push(
                "subscription_identifiers",
                Property::SubscriptionIdentifier(*id),
            )?;
        }
        for (name, value) in &self.user_properties {
            push("user_properties", Property::UserProperty((name, value)))?;
        }
        Ok(buf)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn message(payload: &'static [u8]) -> Received {
        Received {
            at: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_427_492_359_757_693),
            topic: "a/b".to_owned(),
            payload: Bytes::from_static(payload),
            qos: Qos::AtLeastOnce,
            retain: true,
            packet_id: 0,
            properties: PropertiesBuf::new(),
        }
    }

    fn text(message: &Received, decoded: Option<&'static [u8]>) -> String {
        let mut out = Vec::new();
        write(message, decoded.map(Bytes::from_static).as_ref(), &mut out);
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(
            text(&message(b"21.5 \"C\"\n"), None),
            r#"{"time":"2026-11-23T09:51:32.359757693Z","topic":"a/b","qos":1,"retain":true,"payload":"21.5 \"C\"\n"}"#
        );
        assert_eq!(
            text(&message(b"\xff"), Some(b"{\"a\":1}")),
            r#"{"time":"2026-11-23T09:51:32.359757693Z","topic":"a/b","qos":1,"retain":true,"payload_base64":"/w==","decoded":{"a":1}}"#
        );
        let decoded = text(&message(b""), Some(b"two\nlines"));
        assert!(
            decoded.ends_with(r#""payload":"","decoded":"two\nlines"}"#),
            "{decoded}"
        );
    }

    #[test]
    fn what_was_written_is_read_again() {
        let mut full = message(b"\x00\xff");
        let topic = TopicName::new("re").expect("valid");
        for property in [
            Property::PayloadFormatIndicator(true),
            Property::MessageExpiryInterval(9),
            Property::ContentType("t"),
            Property::ResponseTopic(topic),
            Property::CorrelationData(b"\xfe"),
            Property::TopicAlias(3),
            Property::SubscriptionIdentifier(7),
            Property::SubscriptionIdentifier(8),
            Property::UserProperty(("k", "v")),
            Property::UserProperty(("k", "w")),
        ] {
            full.properties.push(property).expect("short");
        }
        for message in [message(b"text"), message(b""), full] {
            let line = text(&message, None);
            let again = read(line.as_bytes()).expect("a message");
            assert_eq!(text(&again, None), line);
            assert_eq!((again.payload, again.at), (message.payload, message.at));
        }
    }

    #[test]
    fn a_line_that_is_no_message_says_why() {
        let check = |line: &str, expect: &str| {
            let error = read(line.as_bytes()).expect_err(line).to_string();
            assert!(error.contains(expect), "{error}");
        };
        let with = |members: &str| {
            format!(r#"{{"time":"2026-11-23T09:51:32Z","retain":false,{members}}}"#)
        };
        check("hello", "it is not the record of a message");
        check(&with(r#""topic":"a","payload":"""#), "missing field `qos`");
        check(
            &with(r#""qos":3,"topic":"a","payload":"""#),
            "'qos' is neither 0 nor 1 nor 2",
        );
        check(
            &with(r#""qos":0,"topic":"a/+","payload":"""#),
            "'topic' is no Topic Name",
        );
        check(
            &with(r#""qos":0,"topic":"a""#),
            "'payload' or 'payload_base64' must be there",
        );
        check(
            &with(r#""qos":0,"topic":"a","payload_base64":"?""#),
            "is not base64",
        );
    }
}
