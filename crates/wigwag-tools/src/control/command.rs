//! A command of a control topic: a name and members, in the order in which Mosquitto's tool writes them.

use serde_json::Value;

/// One command, to be sent alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    members: Vec<(&'static str, Value)>,
}

impl Command {
    pub(super) fn new(name: &'static str) -> Command {
        Command {
            members: vec![("command", name.into())],
        }
    }

    pub(super) fn push(&mut self, key: &'static str, value: impl Into<Value>) {
        self.members.push((key, value.into()));
    }

    /// A member that is a text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let mut members = self.members.iter();
        members.find(|(own, _)| *own == key)?.1.as_str()
    }

    /// All but the name becomes the only entry of a list.
    pub(super) fn into_list(self, key: &'static str) -> Command {
        let mut members = self.members.into_iter();
        let name = members.next();
        let entry = members.map(|(key, value)| (key.to_owned(), value));
        let list = Value::Array(vec![Value::Object(entry.collect())]);
        Command {
            members: name.into_iter().chain([(key, list)]).collect(),
        }
    }

    /// The payload of a request.
    pub(super) fn payload(&self) -> String {
        let members: Vec<String> = self
            .members
            .iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{\"commands\":[{{{}}}]}}", members.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order() {
        let mut command = Command::new("createClient");
        command.push("username", "a \"quoted\" name");
        command.push("clientid", "c");
        assert_eq!(
            command.payload(),
            r#"{"commands":[{"command":"createClient","username":"a \"quoted\" name","clientid":"c"}]}"#
        );
        let mut command = Command::new("setDefaultACLAccess");
        command.push("acltype", "subscribe");
        command.push("allow", true);
        assert_eq!(
            command.into_list("acls").payload(),
            r#"{"commands":[{"command":"setDefaultACLAccess","acls":[{"acltype":"subscribe","allow":true}]}]}"#
        );
    }
}
