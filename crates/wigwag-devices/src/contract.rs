//! What a device and its dashboard say to each other: topics and JSON payloads.
//!
//! | topic | who publishes | QoS | retained | payload |
//! |---|---|---|---|---|
//! | `device/{id}/state` | device | 0 | yes | [`State`] |
//! | `device/{id}/command` | dashboard | 1 | no | [`Action`], as `{"action":…}` or `{"command":…}` |
//! | `device/{id}/online` | device, or its Will | 1 | yes | `true` or `false` |
//! | `device/{id}/tags` | who sorts devices; no device reads it | 1 | yes | a JSON array of words |
//! | the command's Response Topic | device | 1 | no | [`Reply`] |

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::host::Machine;

/// Whether a device works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Idle,
    Running,
}

/// What a device publishes every two seconds while it is running, and at every change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) device_id: String,
    pub(crate) status: Status,
    /// Degrees Celsius. A machine without a thermometer leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) temperature: Option<f64>,
    /// Seconds since the beginning of 1970, UTC.
    pub(crate) timestamp: u64,
    /// What a real machine says besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<Machine>,
}

/// What a device can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Stop,
}

impl Action {
    /// The status of a device that has done it.
    pub(crate) const fn outcome(self) -> Status {
        match self {
            Action::Start => Status::Running,
            Action::Stop => Status::Idle,
        }
    }
}

/// What a device answers to a command that has a Response Topic.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reply<'a> {
    device_id: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(device_id: &'a str, result: &Result<Status, CommandError>) -> Reply<'a> {
        Reply {
            device_id,
            ok: result.is_ok(),
            status: result.as_ref().ok().copied(),
            error: result.as_ref().err().map(ToString::to_string),
        }
    }
}

/// Why a payload is no command.
#[derive(Debug, PartialEq)]
pub(crate) enum CommandError {
    NotJson(String),
    NoAction,
    UnknownAction(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::NotJson(error) => write!(f, "not valid JSON ({error})"),
            CommandError::NoAction => f.write_str("no action"),
            CommandError::UnknownAction(action) => write!(f, "unknown action {action:?}"),
        }?;
        f.write_str("; allowed: {\"action\":\"start\"} and {\"action\":\"stop\"}")
    }
}

/// Reads a command in either spelling.
pub(crate) fn parse_command(payload: &[u8]) -> Result<Action, CommandError> {
    let command: serde_json::Value = serde_json::from_slice(payload)
        .map_err(|error| CommandError::NotJson(error.to_string()))?;
    let action = command.get("action").or_else(|| command.get("command"));
    match action {
        None => Err(CommandError::NoAction),
        Some(serde_json::Value::String(action)) if action == "start" => Ok(Action::Start),
        Some(serde_json::Value::String(action)) if action == "stop" => Ok(Action::Stop),
        Some(serde_json::Value::String(action)) => {
            Err(CommandError::UnknownAction(shorten(action)))
        }
        Some(action) => Err(CommandError::UnknownAction(shorten(&action.to_string()))),
    }
}

/// What a peer sent must not fill the log.
fn shorten(text: &str) -> String {
    const CHARS: usize = 40;
    let mut shortened: String = text.chars().take(CHARS).collect();
    if text.chars().nth(CHARS).is_some() {
        shortened.push('…');
    }
    shortened
}

/// Why a text cannot be the id of a device.
pub(crate) fn check_id(id: &str) -> Result<String, String> {
    let valid = !id.is_empty()
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    match (valid, id.len()) {
        (true, 1..=64) => Ok(id.to_owned()),
        _ => Err(
            "an id has 1 to 64 letters, digits, '-', '_' or '.'; it becomes a level of topics"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_both_spellings() {
        assert_eq!(parse_command(br#"{"action":"start"}"#), Ok(Action::Start));
        assert_eq!(parse_command(br#"{"command":"stop"}"#), Ok(Action::Stop));
        assert_eq!(
            parse_command(br#"{"action":"stop","command":"start"}"#),
            Ok(Action::Stop)
        );
    }

    #[test]
    fn errors_say_what_was_read_and_what_is_allowed() {
        let check = |payload: &[u8], expect: &str| {
            let error = parse_command(payload).expect_err("no command").to_string();
            assert!(
                error.starts_with(expect) && error.contains(r#"{"action":"stop"}"#),
                "{error}"
            );
        };
        check(b"{", "not valid JSON");
        check(b"\xff", "not valid JSON");
        check(b"[]", "no action");
        check(b"\"start\"", "no action");
        check(br#"{"action":"fly"}"#, r#"unknown action "fly""#);
        check(br#"{"action":1}"#, r#"unknown action "1""#);
        let long = format!(r#"{{"action":"{}"}}"#, "x".repeat(10_000));
        assert!(
            parse_command(long.as_bytes())
                .expect_err("no command")
                .to_string()
                .len()
                < 200
        );
    }

    #[test]
    fn a_state_is_written_as_the_dashboard_reads_it() {
        let state = State {
            device_id: "1".to_owned(),
            status: Status::Running,
            temperature: Some(37.5),
            timestamp: 1_705_580_400,
            host: None,
        };
        let json = serde_json::to_string(&state).expect("serializable");
        assert_eq!(
            json,
            r#"{"deviceId":"1","status":"running","temperature":37.5,"timestamp":1705580400}"#
        );
    }

    #[test]
    fn a_reply_has_a_status_or_an_error() {
        let json = |result| serde_json::to_string(&Reply::new("7", &result)).expect("serializable");
        assert_eq!(
            json(Ok(Status::Idle)),
            r#"{"deviceId":"7","ok":true,"status":"idle"}"#
        );
        let refused = json(Err(CommandError::NoAction));
        assert!(
            refused.starts_with(r#"{"deviceId":"7","ok":false,"error":"no action;"#),
            "{refused}"
        );
    }

    #[test]
    fn ids_fit_into_a_topic() {
        assert!(check_id("boiler-3.a").is_ok());
        for id in ["", "a/b", "+", "#", "a b", &"x".repeat(65)] {
            assert!(check_id(id).is_err(), "{id}");
        }
    }
}
