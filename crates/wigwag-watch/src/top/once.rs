//! What is known of a broker as text and as JSON, for scripts and for a look without a terminal.

use serde_json::{Map, Value, json};
use wigwag_client::sys::SysCount;

use super::figures::{bytes, grouped, plain, scaled, span};
use super::model::{Link, Model, RATED};
use super::topics::{Column, Topics};

/// Topics that are told.
const TOPICS: usize = 20;

/// Lines with a name and a value each.
pub(super) fn text(model: &Model, topics: &Topics, filter: &str) -> String {
    let sys = &model.sys;
    let mut lines = vec![("broker".to_owned(), plain(&model.broker))];
    let mut add = |name: &str, value: String| lines.push((name.to_owned(), value));
    if let Some(version) = sys.version() {
        add("version", plain(version));
    }
    if let Some(uptime) = sys.uptime() {
        add("uptime", span(uptime));
    }
    for (index, rated) in RATED.iter().enumerate() {
        if let Some(rate) = model.rate(index) {
            let rate = if rated.is_bytes {
                bytes(rate)
            } else {
                scaled(rate)
            };
            add(rated.name, format!("{rate}/s"));
        }
    }
    for (count, value) in sys.counts() {
        add(count.topics()[0], grouped(value));
    }
    for (name, is_connected) in sys.bridges() {
        let state = if is_connected {
            "connected"
        } else {
            "not connected"
        };
        add("bridge", format!("{} {state}", plain(name)));
    }
    for alarm in model.alarms() {
        let (severity, name) = (plain(&alarm.severity), plain(&alarm.name));
        add(
            "alarm",
            format!("{severity} {name}: {}", plain(&alarm.message)),
        );
    }
    if !filter.is_empty() {
        for (topic, traffic) in topics.sorted(Column::MessageRate, false, TOPICS) {
            add(
                "topic",
                format!("{}/s {}", scaled(traffic.message_rate), plain(topic)),
            );
        }
    }
    let width = lines.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default();
    let line = |(name, value): &(String, String)| format!("{name:<width$}  {value}\n");
    lines.iter().map(line).collect()
}

/// The same as one object.
pub(super) fn json(model: &Model, topics: &Topics, filter: &str) -> Value {
    let sys = &model.sys;
    let rates: Map<String, Value> = RATED
        .iter()
        .enumerate()
        .filter_map(|(index, rated)| Some((rated.key.to_owned(), model.rate(index)?.into())))
        .collect();
    let counts: Map<String, Value> = sys
        .counts()
        .map(|(count, value): (SysCount, u64)| (count.topics()[0].to_owned(), value.into()))
        .collect();
    let bridges: Map<String, Value> = sys
        .bridges()
        .map(|(name, is_connected)| (name.to_owned(), is_connected.into()))
        .collect();
    let alarms: Vec<Value> = model
        .alarms()
        .map(|alarm| json!({ "name": alarm.name, "severity": alarm.severity, "message": alarm.message }))
        .collect();
    let mut object = json!({
        "broker": model.broker,
        "online": model.link == Link::Online,
        "version": sys.version(),
        "uptimeSecs": sys.uptime().map(|uptime| uptime.as_secs()),
        "perSec": rates,
        "counts": counts,
        "bridges": bridges,
        "alarms": alarms,
    });
    if !filter.is_empty() {
        let topics: Vec<Value> = topics
            .sorted(Column::MessageRate, false, TOPICS)
            .into_iter()
            .map(|(topic, traffic)| {
                json!({
                    "topic": topic,
                    "messagesPerSec": traffic.message_rate,
                    "bytesPerSec": traffic.byte_rate,
                    "messages": traffic.messages,
                    "bytes": traffic.bytes,
                })
            })
            .collect();
        object["topics"] = topics.into();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let mut model = Model::new("mqtt://plant".to_owned());
        for (topic, value) in [
            ("version", "mosquitto version 2.0.11"),
            ("uptime", "75 seconds"),
            ("clients/connected", "1200"),
            ("load/publish/received/1min", "90.00"),
            ("connection/uplink/state", "0"),
        ] {
            let topic = format!("$SYS/broker/{topic}");
            model.sys.update(&topic, value.as_bytes());
        }
        model
    }

    #[test]
    fn text_has_a_line_for_each_value() {
        let mut topics = Topics::default();
        topics.note("a\x1bb", 3);
        assert_eq!(
            text(&model(), &topics, "#"),
            "broker             mqtt://plant\n\
             version            mosquitto version 2.0.11\n\
             uptime             1m 15s\n\
             publish in         1.5/s\n\
             clients/connected  1 200\n\
             bridge             uplink not connected\n\
             topic              0.0/s a\u{fffd}b\n"
        );
    }

    #[test]
    fn json_has_numbers_as_numbers() {
        let object = json(&model(), &Topics::default(), "");
        assert_eq!(object["uptimeSecs"], 75);
        assert_eq!(object["perSec"]["publishReceived"], 1.5);
        assert_eq!(object["counts"]["clients/connected"], 1200);
        assert_eq!(object["bridges"]["uplink"], false);
        assert_eq!(object["topics"], Value::Null);
    }
}
