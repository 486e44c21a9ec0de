//! Requests on `$CONTROL` topics and the replies to them: a list of commands in JSON, and a list of answers.
//!
//! What the commands do is up to [`crate::dynsec`] and, for the broker's own, [`broker_reply`].

use serde_json::Value;

use crate::json::Json;

/// The topic of dynamic security.
pub const DYNSEC_TOPIC: &str = "$CONTROL/dynamic-security/v1";

/// The topic of the broker's own commands.
pub const BROKER_TOPIC: &str = "$CONTROL/broker/v1";

/// What is appended to a control topic for the topic of its replies.
pub const RESPONSE_SUFFIX: &str = "/response";

/// Says why a command was not carried out.
pub(crate) type Refusal = &'static str;

/// How a command ended.
pub(crate) enum Reply {
    /// It has been carried out.
    Done,
    /// It has been carried out and is answered with data, under its name as it is written here.
    Data(&'static str, Json),
}

/// One command of a request.
pub(crate) struct Command<'a> {
    pub(crate) name: &'a str,
    body: &'a Value,
}

impl<'a> Command<'a> {
    /// A member, whatever the case of its name.
    pub(crate) fn member(&self, name: &str) -> Option<&'a Value> {
        member(self.body, name)
    }

    /// A text that may be left out; `Err` if it is something else.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, ()> {
        text(self.body, name)
    }

    pub(crate) fn array(&self, name: &str) -> Option<&'a [Value]> {
        Some(self.member(name)?.as_array()?.as_slice())
    }

    pub(crate) fn int(&self, name: &str, default: i32) -> i32 {
        int(self.body, name, default)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.member(name)?.as_bool()
    }
}

pub(crate) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| {
        let mut members = object.iter();
        let (_, value) = members.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    })
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<Option<&'a str>, ()> {
    match member(value, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(()),
    }
}

/// A whole number, rounded towards zero and held in range; the default for everything else.
pub(crate) fn int(value: &Value, name: &str, default: i32) -> i32 {
    let number = member(value, name).and_then(|value| {
        let exact = value.as_i64().map(|number| number as f64);
        exact.or_else(|| value.as_f64())
    });
    // From floating point, `as` holds in range.
    number.map_or(default, |number| number as i32)
}

/// The answer to one command.
pub(crate) struct Response {
    command: String,
    correlation: Option<String>,
    result: Result<Option<Json>, Refusal>,
    /// Whether it has changed something.
    pub(crate) is_change: bool,
}

/// Carries out the commands of a request; the function says how each of them ended and whether it changed
/// something.
pub(crate) fn answer(
    payload: &[u8],
    mut carry_out: impl FnMut(&Command<'_>) -> (Result<Reply, Refusal>, bool),
) -> Vec<Response> {
    let refuse = |command: &str, refusal| Response {
        command: command.to_owned(),
        correlation: None,
        result: Err(refusal),
        is_change: false,
    };
    let nameless = |refusal| refuse("Unknown command", refusal);
    let Ok(request) = serde_json::from_slice::<Value>(payload) else {
        return vec![nameless("Payload not valid JSON")];
    };
    let Some(commands) = member(&request, "commands").and_then(Value::as_array) else {
        return vec![nameless("Invalid/missing commands")];
    };
    let mut responses = Vec::with_capacity(commands.len());
    for body in commands {
        // What cannot be read as a command ends the request: what follows may build on it.
        let Some(name) = member(body, "command").and_then(Value::as_str) else {
            let is_object = body.is_object();
            let refusal = ["Command not an object", "Missing command"][usize::from(is_object)];
            responses.push(nameless(refusal));
            break;
        };
        let Ok(correlation) = text(body, "correlationData") else {
            responses.push(refuse(name, "Invalid correlationData data type."));
            break;
        };
        let (result, is_change) = carry_out(&Command { name, body });
        let (command, result) = match result {
            Ok(Reply::Done) => (name, Ok(None)),
            Ok(Reply::Data(name, data)) => (name, Ok(Some(data))),
            Err(refusal) => (name, Err(refusal)),
        };
        responses.push(Response {
            command: command.to_owned(),
            correlation: correlation.map(str::to_owned),
            result,
            is_change,
        });
    }
    responses
}

/// The payload of a reply. With a refusal, that is what is said of every change.
pub(crate) fn reply(responses: &[Response], refusal: Option<Refusal>) -> String {
    let one = |response: &Response| {
        let mut members = vec![("command", Json::text(&response.command))];
        let result = match refusal {
            Some(refusal) if response.is_change => Err(refusal),
            _ => response.result.as_ref().map_err(|refusal| *refusal),
        };
        match result {
            Ok(Some(data)) => members.push(("data", data.clone())),
            Ok(None) => {}
            Err(refusal) => members.push(("error", Json::text(refusal))),
        }
        if let Some(correlation) = &response.correlation {
            members.push(("correlationData", Json::text(correlation)));
        }
        Json::Object(members)
    };
    let responses = Json::Array(responses.iter().map(one).collect());
    Json::Object(vec![("responses", responses)]).compact()
}

/// The reply to a request of which nothing has been carried out, not even read.
pub fn refusal(error: &'static str) -> String {
    let nothing = Response {
        command: "Unknown command".to_owned(),
        correlation: None,
        result: Err(error),
        is_change: false,
    };
    reply(&[nothing], None)
}

/// The reply to a request on a topic that nobody has, as Mosquitto words it.
pub const NO_ENDPOINT: &str = r#"{"error": "endpoint not available"}"#;

/// What a plugin of Mosquitto would be, for `listPlugins`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Plugin {
    pub name: &'static str,
    pub control_endpoints: Vec<&'static str>,
}

/// A listener, for `listListeners`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct ListenerInfo {
    pub port: u16,
    pub is_websocket: bool,
    pub bind_address: Option<String>,
    pub socket_path: Option<String>,
    pub is_tls: bool,
}

/// The reply to a request on [`BROKER_TOPIC`].
pub fn broker_reply(payload: &[u8], plugins: &[Plugin], listeners: &[ListenerInfo]) -> String {
    let responses = answer(payload, |command| {
        let result = match command.name.to_ascii_lowercase().as_str() {
            "listplugins" => {
                let plugins = plugins.iter().map(plugin_json).collect();
                let data = Json::Object(vec![("plugins", Json::Array(plugins))]);
                Ok(Reply::Data("listPlugins", data))
            }
            "listlisteners" => {
                let listeners = listeners.iter().map(listener_json).collect();
                let data = Json::Object(vec![("listeners", Json::Array(listeners))]);
                Ok(Reply::Data("listListeners", data))
            }
            _ => Err("Unknown command"),
        };
        (result, false)
    });
    reply(&responses, None)
}

fn plugin_json(plugin: &Plugin) -> Json {
    let endpoints = plugin.control_endpoints.iter();
    Json::Object(vec![
        ("name", Json::text(plugin.name)),
        (
            "control-endpoints",
            Json::Array(endpoints.map(|topic| Json::text(topic)).collect()),
        ),
    ])
}

fn listener_json(listener: &ListenerInfo) -> Json {
    let protocol = ["mqtt", "mqtt+websockets"][usize::from(listener.is_websocket)];
    let mut members = vec![
        ("port", Json::Int(listener.port.into())),
        ("protocol", Json::text(protocol)),
    ];
    if let Some(address) = &listener.bind_address {
        members.push(("bind-address", Json::text(address)));
    }
    if let Some(path) = &listener.socket_path {
        members.push(("socket-path", Json::text(path)));
    }
    members.push(("tls", Json::Bool(listener.is_tls)));
    Json::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_refused() {
        let check = |payload: &str, expect: &str| {
            let reply = broker_reply(payload.as_bytes(), &[], &[]);
            assert_eq!(reply, format!("{{\"responses\":[{expect}]}}"), "{payload}");
        };
        let unknown = |error: &str| format!(r#"{{"command":"Unknown command","error":"{error}"}}"#);
        check("", &unknown("Payload not valid JSON"));
        check("{", &unknown("Payload not valid JSON"));
        check("[]", &unknown("Invalid/missing commands"));
        check(r#"{"commands":{}}"#, &unknown("Invalid/missing commands"));
        check(r#"{"commands":[]}"#, "");
        check(r#"{"commands":[1,2]}"#, &unknown("Command not an object"));
        check(r#"{"commands":[{}]}"#, &unknown("Missing command"));
        check(
            r#"{"commands":[{"command":"x","correlationData":1}]}"#,
            r#"{"command":"x","error":"Invalid correlationData data type."}"#,
        );
        check(
            r#"{"commands":[{"command":"x","correlationData":"y"}]}"#,
            r#"{"command":"x","error":"Unknown command","correlationData":"y"}"#,
        );
    }

    #[test]
    fn plugins_and_listeners_are_listed() {
        let plugins = [Plugin {
            name: "dynamic-security",
            control_endpoints: vec![DYNSEC_TOPIC],
        }];
        let listeners = [
            ListenerInfo {
                port: 1883,
                is_websocket: false,
                bind_address: Some("127.0.0.1".to_owned()),
                socket_path: None,
                is_tls: false,
            },
            ListenerInfo {
                port: 0,
                is_websocket: true,
                bind_address: None,
                socket_path: Some("/run/x".to_owned()),
                is_tls: true,
            },
        ];
        let request = br#"{"Commands":[{"Command":"LISTPLUGINS"},{"command":"listListeners","correlationData":"7"}]}"#;
        expect_test::expect![[r#"{"responses":[{"command":"listPlugins","data":{"plugins":[{"name":"dynamic-security","control-endpoints":["$CONTROL/dynamic-security/v1"]}]}},{"command":"listListeners","data":{"listeners":[{"port":1883,"protocol":"mqtt","bind-address":"127.0.0.1","tls":false},{"port":0,"protocol":"mqtt+websockets","socket-path":"/run/x","tls":true}]},"correlationData":"7"}]}"#]]
        .assert_eq(&broker_reply(request, &plugins, &listeners));
    }
}
