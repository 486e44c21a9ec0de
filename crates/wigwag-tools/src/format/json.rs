//! `%j` and `%J`: a message as JSON, with the names and the layout of `mosquitto_sub`.
//!
//! Mosquitto 2.1 is followed; [`JsonStyle::as_2_0`] brings back what 2.0 wrote. One thing is better than there: the output is
//! JSON for every payload. Bytes that are no UTF-8 become U+FFFD, and a NUL does not end the payload.

use wigwag_proto::{Properties, Property};

use crate::message::Received;

use super::local_time::LocalTime;
use super::reprint::{NotJson, Writer};

/// How JSON is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonStyle {
    /// Over several lines.
    pub is_pretty: bool,
    /// As Mosquitto 2.0: a 'Z' before the offset, RETAIN as a number, User Properties as one object.
    pub as_2_0: bool,
}

/// Appends `text` as a JSON string.
pub fn write_escaped(text: &str, out: &mut Vec<u8>) {
    Writer::new(out, false).string(text);
}

/// The payload as a string.
pub(super) fn write_quoted(
    message: &Received,
    time: &LocalTime,
    style: JsonStyle,
    out: &mut Vec<u8>,
) {
    let result = write(message, time, style, out, |writer| {
        if message.payload.is_empty() {
            writer.raw("null");
        } else {
            writer.string(&String::from_utf8_lossy(&message.payload));
        }
        Ok(())
    });
    debug_assert!(result.is_ok(), "any text can be a string");
}

/// The payload as the JSON that it is. Nothing is written when it is none.
pub(super) fn write_inline(
    message: &Received,
    time: &LocalTime,
    style: JsonStyle,
    out: &mut Vec<u8>,
) -> Result<(), NotJson> {
    let start = out.len();
    let result = write(message, time, style, out, |writer| {
        if message.payload.is_empty() {
            writer.raw("null");
            Ok(())
        } else {
            writer.reprint(&message.payload)
        }
    });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn write(
    message: &Received,
    time: &LocalTime,
    style: JsonStyle,
    out: &mut Vec<u8>,
    payload: impl FnOnce(&mut Writer<'_>) -> Result<(), NotJson>,
) -> Result<(), NotJson> {
    let mut writer = Writer::new(out, style.is_pretty);
    let mut root = writer.begin_object();
    writer.key(&mut root, "tst");
    writer.string(&if style.as_2_0 {
        time.json_2_0()
    } else {
        time.json()
    });
    writer.key(&mut root, "topic");
    writer.string(&message.topic);
    writer.key(&mut root, "qos");
    writer.number(message.qos as u32);
    writer.key(&mut root, "retain");
    match (style.as_2_0, message.retain) {
        (true, retain) => writer.number(u32::from(retain)),
        (false, true) => writer.raw("true"),
        (false, false) => writer.raw("false"),
    }
    writer.key(&mut root, "payloadlen");
    writer.raw(&message.payload.len().to_string());
    if message.packet_id != 0 {
        writer.key(&mut root, "mid");
        writer.number(message.packet_id.into());
    }
    let properties = message.properties.as_properties();
    if !properties.is_empty() {
        writer.key(&mut root, "properties");
        write_properties(properties, style, &mut writer);
    }
    writer.key(&mut root, "payload");
    payload(&mut writer)?;
    writer.end_object(&root);
    Ok(())
}

fn write_properties(properties: Properties<'_>, style: JsonStyle, writer: &mut Writer<'_>) {
    let mut object = writer.begin_object();
    let mut has_user_properties = false;
    for property in properties.iter() {
        match property {
            Property::PayloadFormatIndicator(is_text) => {
                writer.key(&mut object, "payload-format-indicator");
                writer.number(u32::from(is_text));
            }
            Property::MessageExpiryInterval(secs) => {
                writer.key(&mut object, "message-expiry-interval");
                writer.number(secs);
            }
            Property::ContentType(text) => {
                writer.key(&mut object, "content-type");
                writer.string(text);
            }
            Property::ResponseTopic(topic) => {
                writer.key(&mut object, "response-topic");
                writer.string(topic.as_str());
            }
            Property::CorrelationData(data) => {
                writer.key(&mut object, "correlation-data");
                writer.string(&String::from_utf8_lossy(data));
            }
            Property::SubscriptionIdentifier(id) => {
                writer.key(&mut object, "subscription-identifier");
                writer.number(id);
            }
            Property::TopicAlias(alias) => {
                writer.key(&mut object, "topic-alias");
                writer.number(alias.into());
            }
            Property::UserProperty(_) if !has_user_properties => {
                has_user_properties = true;
                writer.key(&mut object, "user-properties");
                write_user_properties(properties, style, writer);
            }
            // No other property belongs to a PUBLISH.
            _ => {}
        }
    }
    writer.end_object(&object);
}

/// All of them, where the first one stands.
fn write_user_properties(properties: Properties<'_>, style: JsonStyle, writer: &mut Writer<'_>) {
    if style.as_2_0 {
        let mut object = writer.begin_object();
        for (name, value) in properties.user_properties() {
            writer.key(&mut object, name);
            writer.string(value);
        }
        writer.end_object(&object);
        return;
    }
    writer.begin_array();
    for (index, (name, value)) in properties.user_properties().enumerate() {
        if index > 0 {
            writer.next_item();
        }
        let mut object = writer.begin_object();
        writer.key(&mut object, name);
        writer.string(value);
        writer.end_object(&object);
    }
    writer.end_array();
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use wigwag_proto::{PropertiesBuf, Qos};

    use super::*;

    const OLD: JsonStyle = JsonStyle {
        is_pretty: false,
        as_2_0: true,
    };

    fn message(payload: &'static [u8]) -> Received {
        Received {
            at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_427_492_271_731),
            topic: "a/b".to_owned(),
            payload: Bytes::from_static(payload),
            qos: Qos::AtMostOnce,
            retain: true,
            packet_id: 0,
            properties: PropertiesBuf::new(),
        }
    }

    fn quoted(message: &Received, style: JsonStyle) -> String {
        let mut out = Vec::new();
        write_quoted(message, &LocalTime::in_utc(message.at), style, &mut out);
        String::from_utf8(out).expect("JSON is text")
    }

    fn inline(payload: &'static [u8], is_pretty: bool) -> Result<String, NotJson> {
        let message = message(payload);
        let time = LocalTime::in_utc(message.at);
        let style = JsonStyle { is_pretty, ..OLD };
        let mut out = Vec::new();
        write_inline(&message, &time, style, &mut out)?;
        Ok(String::from_utf8(out).expect("JSON is text"))
    }

    fn with_properties() -> Received {
        let mut message = message(b"x");
        message.qos = Qos::AtLeastOnce;
        message.packet_id = 7;
        for property in [
            Property::UserProperty(("k", "v")),
            Property::ContentType("text/plain"),
            Property::UserProperty(("k", "w")),
            Property::CorrelationData(b"co"),
            Property::PayloadFormatIndicator(true),
            Property::MessageExpiryInterval(3000),
        ] {
            message.properties.push(property).expect("short");
        }
        message
    }

    #[test]
    fn a_message_is_one_object() {
        let message = message(br#"hello "w" \ x"#);
        assert_eq!(
            quoted(&message, OLD),
            r#"{"tst":"2026-11-23T09:51:32.271731Z+0000","topic":"a/b","qos":0,"retain":1,"payloadlen":13,"payload":"hello \"w\" \\ x"}"#
        );
        assert_eq!(
            quoted(&message, JsonStyle::default()),
            r#"{"tst":"2026-11-23T09:51:32.271731+0000","topic":"a/b","qos":0,"retain":true,"payloadlen":13,"payload":"hello \"w\" \\ x"}"#
        );
    }

    #[test]
    fn properties_are_in_their_order_and_user_properties_where_the_first_one_is() {
        let tail = |text: &str| text.split_once(r#""mid""#).map(|(_, tail)| tail.to_owned());
        assert_eq!(
            tail(&quoted(&with_properties(), OLD)).as_deref(),
            Some(
                r#":7,"properties":{"user-properties":{"k":"v","k":"w"},"content-type":"text/plain","correlation-data":"co","payload-format-indicator":1,"message-expiry-interval":3000},"payload":"x"}"#
            )
        );
        assert_eq!(
            tail(&quoted(&with_properties(), JsonStyle::default())).as_deref(),
            Some(
                r#":7,"properties":{"user-properties":[{"k":"v"},{"k":"w"}],"content-type":"text/plain","correlation-data":"co","payload-format-indicator":1,"message-expiry-interval":3000},"payload":"x"}"#
            )
        );
    }

    #[test]
    fn every_payload_gives_json() {
        let payload = |payload| {
            let text = quoted(&message(payload), OLD);
            text.split_once(r#""payload":"#)
                .map(|(_, tail)| tail.to_owned())
        };
        assert_eq!(payload(b"").as_deref(), Some("null}"));
        assert_eq!(payload(b"ab\0cd").as_deref(), Some(r#""ab\u0000cd"}"#));
        assert_eq!(
            payload(b"a\xff\xfeb").as_deref(),
            Some("\"a\u{fffd}\u{fffd}b\"}")
        );
        assert_eq!(
            payload(b"a\tb\nc\x01\x7f/").as_deref(),
            Some("\"a\\tb\\nc\\u0001\x7f/\"}")
        );
    }

    #[test]
    fn a_payload_of_json_is_part_of_it() {
        let payload = |payload| {
            let text = inline(payload, false).ok()?;
            text.split_once(r#""payload":"#)
                .map(|(_, tail)| tail.to_owned())
        };
        assert_eq!(payload(b" {\"a\":1} ").as_deref(), Some(r#"{"a":1}}"#));
        assert_eq!(payload(b"1.50").as_deref(), Some("1.5}"));
        assert_eq!(payload(b"").as_deref(), Some("null}"));
        assert_eq!(payload(b"hello"), None);
        assert_eq!(payload(b"{\"a\":1}x"), None);
    }

    #[test]
    fn pretty_json_is_laid_out_as_by_cjson() {
        assert_eq!(
            inline(br#"{"a":[1,{"b":2},{}],"e":{},"f":[]}"#, true).expect("JSON"),
            "{\n\t\"tst\":\t\"2026-11-23T09:51:32.271731Z+0000\",\n\t\"topic\":\t\"a/b\",\n\t\"qos\":\t0,\n\t\"retain\":\t1,\n\t\"payloadlen\":\t34,\n\t\"payload\":\t{\n\t\t\"a\":\t[1, {\n\t\t\t\t\"b\":\t2\n\t\t\t}, {\n\t\t\t}],\n\t\t\"e\":\t{\n\t\t},\n\t\t\"f\":\t[]\n\t}\n}"
        );
    }
}
