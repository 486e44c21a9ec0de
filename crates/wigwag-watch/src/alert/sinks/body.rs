//! What is sent: the JSON of webhooks, and messages as Slack and those who understand the same want them.

use serde_json::{Value, json};
use wigwag_alarm::Severity;

use super::super::notices::Notice;
use super::super::stamp;

/// The most notices of one message to people.
const TOGETHER_MAX: usize = 20;

/// How a notice is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::alert) enum Form {
    /// For programs: one at a time, with everything.
    Json,
    /// For people: a text, and several together if they come together.
    Slack,
}

impl Form {
    /// How many notices are sent at once.
    pub(super) const fn together_max(self) -> usize {
        match self {
            Form::Json => 1,
            Form::Slack => TOGETHER_MAX,
        }
    }

    pub(super) fn write(self, notices: &[Notice], broker: &str) -> Value {
        match self {
            Form::Json => notices.first().map_or(Value::Null, |it| full(it, broker)),
            Form::Slack => {
                let lines: Vec<String> = notices.iter().map(|it| line(it, broker)).collect();
                json!({ "text": lines.join("\n") })
            }
        }
    }
}

/// As the broker's own alarms, with what a program beside it has to add.
pub(in crate::alert) fn full(notice: &Notice, broker: &str) -> Value {
    let mut json = notice.entry.to_json(stamp);
    let status = match notice.entry.deactivated_at {
        None => "active",
        Some(_) => "resolved",
    };
    if let Some(json) = json.as_object_mut() {
        json.insert("status".to_owned(), status.into());
        json.insert("broker".to_owned(), broker.into());
        json.insert("repeats".to_owned(), notice.repeats.into());
    }
    json
}

fn line(notice: &Notice, broker: &str) -> String {
    let alarm = &notice.entry.alarm;
    let (sign, what) = match (notice.entry.deactivated_at, alarm.severity) {
        (Some(_), _) => (":white_check_mark:", "is over"),
        (None, Severity::Critical) => (":rotating_light:", "is critical"),
        (None, Severity::Warning) => (":warning:", "was raised"),
        (None, Severity::Info) => (":information_source:", "was raised"),
    };
    let again = match notice.repeats {
        0 => "",
        _ => " and goes on",
    };
    format!(
        "{sign} *{}* {what}{again} on {}: {}",
        escaped(&alarm.name),
        escaped(broker),
        escaped(&alarm.message)
    )
}

/// What Slack takes for the beginning of a link or of an entity is text here: topics and payloads come from anybody.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wigwag_alarm::{Alarm, Entry};
    use wigwag_proto::Time;

    use super::*;

    fn notice(is_over: bool, repeats: u32) -> Notice {
        Notice {
            entry: Entry {
                alarm: Alarm {
                    name: "hot".into(),
                    topic: "a/<!here>".into(),
                    severity: Severity::Critical,
                    message: "a/<!here> is 90\n& more".to_owned(),
                    value: "90".to_owned(),
                    limit: "> 80".to_owned(),
                    raised_at: Time::ZERO,
                },
                activated_at: Duration::from_millis(1_700_000_000_250),
                deactivated_at: is_over.then_some(Duration::from_secs(1_700_000_060)),
            },
            repeats,
        }
    }

    #[test]
    fn a_webhook_gets_everything() {
        let expect = json!({
            "status": "resolved", "broker": "localhost:1883", "repeats": 0,
            "name": "hot", "severity": "critical", "message": "a/<!here> is 90\n& more",
            "details": {"topic": "a/<!here>", "value": "90", "limit": "> 80"},
            "activate_at": "2023-11-14T22:13:20.250Z", "deactivate_at": "2023-11-14T22:14:20.000Z"
        });
        assert_eq!(
            Form::Json.write(&[notice(true, 0)], "localhost:1883"),
            expect
        );
    }

    #[test]
    fn people_get_lines_in_which_nothing_is_markup_but_ours() {
        let body = Form::Slack.write(&[notice(false, 2), notice(true, 0)], "b");
        let expect = ":rotating_light: *hot* is critical and goes on on b: a/&lt;!here&gt; is 90 &amp; more\n\
             :white_check_mark: *hot* is over on b: a/&lt;!here&gt; is 90 &amp; more";
        assert_eq!(body["text"], expect);
    }
}
