//! Alarms that the broker itself has raised, as it publishes them: they are passed on like those of rules.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use wigwag_alarm::{Alarm, Entry, Severity};
use wigwag_proto::Time;

/// Where our broker tells of them.
pub(super) const FILTER: &str = "$SYS/broker/alarms/+/+";

/// How much of a text is passed on.
const TEXT_LEN_MAX: usize = 1_024;

/// What a message says. Nothing if it is not of an alarm.
pub(super) fn read(topic: &str, payload: &[u8], now: Time, wall_clock: Duration) -> Option<Entry> {
    let (what, name) = topic.strip_prefix("$SYS/broker/alarms/")?.split_once('/')?;
    let json: Value = serde_json::from_slice(payload).ok()?;
    let text = |value: &Value| -> Box<str> {
        value
            .as_str()
            .unwrap_or_default()
            .chars()
            .take(TEXT_LEN_MAX)
            .collect()
    };
    let time = |value: &Value| {
        let at: Option<Timestamp> = value.as_str().and_then(|at| at.parse().ok());
        let millis = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
        millis.map_or(wall_clock, Duration::from_millis)
    };
    let severity = |it: &Severity| Some(it.name()) == json["severity"].as_str();
    let details = &json["details"];
    let is_over = match what {
        "activate" => false,
        "deactivate" => true,
        _ => return None,
    };
    Some(Entry {
        alarm: Alarm {
            name: name.into(),
            topic: (*text(&details["topic"])).into(),
            severity: (Severity::ALL.into_iter())
                .find(severity)
                .unwrap_or_default(),
            message: text(&json["message"]).into(),
            value: text(&details["value"]).into(),
            limit: text(&details["limit"]).into(),
            raised_at: now,
        },
        activated_at: time(&json["activate_at"]),
        deactivated_at: is_over.then(|| time(&json["deactivate_at"])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_our_broker_publishes_is_read_as_it_was_meant() {
        let entry = Entry {
            alarm: Alarm {
                name: "bridge_down".into(),
                topic: "$METRICS/wigwag_bridge_up/b".into(),
                severity: Severity::Critical,
                message: "it is down".to_owned(),
                value: "0".to_owned(),
                limit: "== 0".to_owned(),
                raised_at: Time::ZERO,
            },
            activated_at: Duration::from_millis(1_700_000_000_250),
            deactivated_at: None,
        };
        let over = Entry {
            deactivated_at: Some(Duration::from_secs(1_700_000_060)),
            ..entry.clone()
        };
        for (what, entry) in [("activate", entry), ("deactivate", over)] {
            let topic = format!("$SYS/broker/alarms/{what}/bridge_down");
            let payload = entry.to_json(super::super::stamp).to_string();
            let read = read(&topic, payload.as_bytes(), Time::ZERO, Duration::ZERO);
            assert_eq!(read, Some(entry));
        }
    }

    #[test]
    fn what_is_of_no_alarm_is_passed_over() {
        let is_read = |topic: &str, payload: &str| {
            read(topic, payload.as_bytes(), Time::ZERO, Duration::ZERO).is_some()
        };
        assert!(is_read("$SYS/broker/alarms/activate/a", "{}"));
        assert!(!is_read("$SYS/broker/alarms/activate/a", "now"));
        assert!(!is_read("$SYS/broker/alarms/other/a", "{}"));
        assert!(!is_read("a/activate/b", "{}"));
    }
}
