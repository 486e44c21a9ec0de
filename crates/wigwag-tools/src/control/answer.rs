//! What a broker answers, as text for people: the tables of `mosquitto_ctrl` 2.1.
//!
//! A list that is missing leaves its label standing alone, one that is empty leaves nothing.

use std::fmt::Write as _;

use serde_json::Value;

use super::failure::Failure;
use crate::options::command_line::Program;

/// The answer to one command.
#[derive(Debug)]
pub(super) struct Answer {
    response: Value,
}

impl Answer {
    /// Reads a reply, of which the first answer counts: there was one command.
    pub(super) fn read(reply: &[u8]) -> Result<Answer, Failure> {
        let Ok(mut reply) = serde_json::from_slice::<Value>(reply) else {
            return Err(Failure::refused("Error: Payload not JSON."));
        };
        if let Some(error) = reply.get("error").and_then(Value::as_str) {
            return Err(Failure::refused(format!(
                "Error: {error}. Is this part of the broker configured?"
            )));
        }
        let first = reply.get_mut("responses").and_then(|list| list.get_mut(0));
        let response = first.map(Value::take).unwrap_or_default();
        if response
            .get("command")
            .is_none_or(|command| !command.is_string())
        {
            return Err(Failure::refused("Error: Payload missing data."));
        }
        Ok(Answer { response })
    }

    /// The names in a list, for completion.
    pub(super) fn names(&self, list: &str) -> Vec<String> {
        let list = &self.response["data"][list];
        let names = list.as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// All of it, on one line.
    pub(super) fn json(&self) -> String {
        format!("{}\n", self.response)
    }

    /// Why the command was refused, with its name.
    pub(super) fn refusal(&self) -> Option<(&str, &str)> {
        let error = self.response.get("error")?.as_str()?;
        Some((self.command(), error))
    }

    fn command(&self) -> &str {
        self.response["command"].as_str().unwrap_or_default()
    }

    /// What is said of it; nothing if there is nothing to be said. Mosquitto's tool does not say what people have called
    /// clients, groups and roles, so under its name neither do we.
    pub(super) fn text(&self, program: Program) -> Result<String, Failure> {
        let says_all = program == Program::Wigwag;
        let data = &self.response["data"];
        let text = match self.command().to_ascii_lowercase().as_str() {
            "listclients" => names(data, "clients", "username"),
            "listgroups" => names(data, "groups", "groupname"),
            "listroles" => names(data, "roles", "rolename"),
            "getclient" => client(&data["client"], says_all),
            "getgroup" => group(&data["group"], says_all),
            "getrole" => role(&data["role"], says_all),
            "getdefaultaclaccess" => default_access(data),
            "getanonymousgroup" => data["group"]["groupname"]
                .as_str()
                .map(|name| format!("{name}\n")),
            "getdetails" => details(data),
            "listlisteners" => listeners(data),
            "listplugins" => plugins(data),
            _ => Some(String::new()),
        };
        text.ok_or_else(|| Failure::refused("Error: Invalid response from server."))
    }
}

fn names(data: &Value, list: &str, key: &str) -> Option<String> {
    let mut text = String::new();
    for entry in data[list].as_array()? {
        if let Some(name) = entry[key].as_str().or(entry.as_str()) {
            push(&mut text, format_args!("{name}"));
        }
    }
    Some(text)
}

fn client(client: &Value, says_all: bool) -> Option<String> {
    const WIDTH: usize = "Connections:".len();
    let mut text = String::new();
    let name = client["username"].as_str()?;
    push(&mut text, format_args!("{:WIDTH$} {name}", "Username:"));
    match client["clientid"].as_str() {
        Some(client_id) => push(
            &mut text,
            format_args!("{:WIDTH$} {client_id}", "Clientid:"),
        ),
        None => push(&mut text, format_args!("Clientid:")),
    }
    if says_all {
        labels(&mut text, WIDTH, client);
    }
    if let Some(is_disabled) = client["disabled"].as_bool() {
        push(
            &mut text,
            format_args!("{:WIDTH$} {is_disabled}", "Disabled:"),
        );
    }
    listed(
        &mut text,
        WIDTH,
        "Roles:",
        &client["roles"],
        "rolename",
        true,
    );
    listed(
        &mut text,
        WIDTH,
        "Groups:",
        &client["groups"],
        "groupname",
        true,
    );
    listed(
        &mut text,
        WIDTH,
        "Connections:",
        &client["connections"],
        "address",
        false,
    );
    Some(text)
}

fn group(group: &Value, says_all: bool) -> Option<String> {
    const WIDTH: usize = "Groupname:".len();
    let mut text = String::new();
    let name = group["groupname"].as_str()?;
    push(&mut text, format_args!("Groupname: {name}"));
    if says_all {
        labels(&mut text, WIDTH, group);
    }
    listed(
        &mut text,
        WIDTH,
        "Roles:",
        &group["roles"],
        "rolename",
        true,
    );
    listed(
        &mut text,
        WIDTH,
        "Clients:",
        &group["clients"],
        "username",
        false,
    );
    Some(text)
}

fn role(role: &Value, says_all: bool) -> Option<String> {
    const WIDTH: usize = "Rolename:".len();
    let mut text = String::new();
    let name = role["rolename"].as_str()?;
    push(&mut text, format_args!("Rolename: {name}"));
    if says_all {
        labels(&mut text, WIDTH, role);
    }
    // What is so for most is not said.
    if says_all && role["allowwildcardsubs"] == false {
        push(
            &mut text,
            format_args!("Wildcard subscriptions: not allowed"),
        );
    }
    let mut label = "ACLs:";
    for acl in role["acls"].as_array().into_iter().flatten() {
        let Some(acl_type) = acl["acltype"].as_str() else {
            continue;
        };
        let access = match acl["allow"].as_bool() {
            Some(true) => " : allow",
            Some(false) => " : deny ",
            None => "",
        };
        let topic = acl["topic"].as_str().map(|topic| format!(" : {topic}"));
        let topic = topic.unwrap_or_default();
        let priority = acl["priority"].as_f64().unwrap_or(-1.0);
        push(
            &mut text,
            format_args!("{label:WIDTH$} {acl_type:<20}{access}{topic} (priority: {priority})"),
        );
        label = "";
    }
    Some(text)
}

/// What people have called it, if they have.
fn labels(text: &mut String, width: usize, of: &Value) {
    for (label, key) in [("Name:", "textname"), ("Text:", "textdescription")] {
        if let Some(value) = of[key].as_str() {
            push(text, format_args!("{label:width$} {value}"));
        }
    }
}

fn listed(text: &mut String, width: usize, label: &str, list: &Value, key: &str, ranked: bool) {
    let Some(list) = list.as_array() else {
        return push(text, format_args!("{label}"));
    };
    let mut label = label;
    for entry in list {
        let Some(name) = entry[key].as_str().or(entry.as_str()) else {
            continue;
        };
        let priority = match &entry["priority"] {
            _ if !ranked => String::new(),
            Value::Null => " (priority: -1)".to_owned(),
            priority => format!(" (priority: {priority})"),
        };
        push(text, format_args!("{label:width$} {name}{priority}"));
        label = "";
    }
}

fn default_access(data: &Value) -> Option<String> {
    let mut text = String::new();
    for acl in data["acls"].as_array()? {
        let acl_type = acl["acltype"].as_str()?;
        let access = if acl["allow"].as_bool()? {
            "allow"
        } else {
            "deny"
        };
        push(&mut text, format_args!("{acl_type:<20} : {access}"));
    }
    Some(text)
}

fn details(data: &Value) -> Option<String> {
    let mut text = String::new();
    for (label, key) in [
        ("Clients:", "clientCount"),
        ("Groups:", "groupCount"),
        ("Roles:", "roleCount"),
        ("Changes:", "changeIndex"),
    ] {
        let count = data[key].as_i64()?;
        push(&mut text, format_args!("{label:8} {count}"));
    }
    Some(text)
}

fn listeners(data: &Value) -> Option<String> {
    let mut text = String::new();
    for (index, listener) in data["listeners"].as_array()?.iter().enumerate() {
        push(&mut text, format_args!("Listener {}:", index + 1));
        if let Some(port) = listener["port"].as_i64() {
            push(&mut text, format_args!("  Port:              {port}"));
        }
        for (label, key) in [
            ("Protocol:", "protocol"),
            ("Socket path:", "socket-path"),
            ("Bind address:", "bind-address"),
        ] {
            if let Some(value) = listener[key].as_str() {
                push(&mut text, format_args!("  {label:18} {value}"));
            }
        }
        let is_tls = listener["tls"] == true;
        push(&mut text, format_args!("  TLS:               {is_tls}\n"));
    }
    Some(text)
}

fn plugins(data: &Value) -> Option<String> {
    let mut text = String::new();
    for plugin in data["plugins"].as_array()? {
        let name = plugin["name"].as_str()?;
        push(&mut text, format_args!("Plugin:            {name}"));
        if let Some(version) = plugin["version"].as_str() {
            push(&mut text, format_args!("Version:           {version}"));
        }
        let mut label = "Control endpoints:";
        for topic in plugin["control-endpoints"].as_array().into_iter().flatten() {
            if let Some(topic) = topic.as_str() {
                push(&mut text, format_args!("{label:18} {topic}"));
                label = "";
            }
        }
    }
    Some(text)
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A String takes everything.
    _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &str) -> String {
        let reply = format!(r#"{{"responses":[{response}]}}"#);
        let answer = Answer::read(reply.as_bytes()).expect("a reply");
        answer
            .text(Program::Wigwag)
            .expect("an answer that is known")
    }

    #[test]
    fn clients_groups_and_roles_are_tables() {
        let client = r#"{"command":"getClient","data":{"client":{"username":"bob","roles":[{"rolename":"r","priority":7},{"rolename":"s"}],"groups":[],"connections":[{"address":"::1"}]}}}"#;
        expect_test::expect![[r#"
            Username:    bob
            Clientid:
            Roles:       r (priority: 7)
                         s (priority: -1)
            Connections: ::1
        "#]]
        .assert_eq(&text(client));
        let role = r#"{"command":"getRole","data":{"role":{"rolename":"r","acls":[{"acltype":"publishClientSend","topic":"a","priority":0,"allow":true},{"acltype":"subscribePattern","topic":"b/#","priority":5,"allow":false}]}}}"#;
        expect_test::expect![[r#"
            Rolename: r
            ACLs:     publishClientSend    : allow : a (priority: 0)
                      subscribePattern     : deny  : b/# (priority: 5)
        "#]]
        .assert_eq(&text(role));
        let group = r#"{"command":"getGroup","data":{"group":{"groupname":"g","textname":"people","clients":[{"username":"a"},{"username":"b"}]}}}"#;
        expect_test::expect![[r#"
            Groupname: g
            Name:      people
            Roles:
            Clients:   a
                       b
        "#]]
        .assert_eq(&text(group));
    }

    #[test]
    fn listeners_and_plugins_are_lists() {
        let listeners = r#"{"command":"listListeners","data":{"listeners":[{"port":1883,"protocol":"mqtt","bind-address":"::","tls":false}]}}"#;
        assert_eq!(
            text(listeners),
            "Listener 1:\n  Port:              1883\n  Protocol:          mqtt\n  Bind address:      ::\n  TLS:               false\n\n"
        );
        let plugins = r#"{"command":"listPlugins","data":{"plugins":[{"name":"d","control-endpoints":["x","y"]}]}}"#;
        assert_eq!(
            text(plugins),
            "Plugin:            d\nControl endpoints: x\n                   y\n"
        );
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        let check = |reply: &str, expect: &str| {
            let failure =
                Answer::read(reply.as_bytes()).and_then(|answer| answer.text(Program::Wigwag));
            assert_eq!(failure.expect_err(reply).text, expect);
        };
        check("x", "Error: Payload not JSON.");
        check("{}", "Error: Payload missing data.");
        check(r#"{"responses":[{}]}"#, "Error: Payload missing data.");
        check(
            r#"{"error": "endpoint not available"}"#,
            "Error: endpoint not available. Is this part of the broker configured?",
        );
        check(
            r#"{"responses":[{"command":"getClient"}]}"#,
            "Error: Invalid response from server.",
        );
    }
}
