//! A broker over its control topics: a connection, a subscription to the answers of each module that is asked, and one
//! question at a time.

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use wigwag_access::control::RESPONSE_SUFFIX;
use wigwag_client::SubscriptionOptions;
use wigwag_client::wire::DialError;
use wigwag_proto::{PropertiesBuf, ReasonCode, Version};

use super::Endpoint;
use super::command::Command;
use super::failure::Failure;
use super::shell::Wanted;
use super::verbs::Module;
use crate::connect::failure::{refusal_advice, refusal_code, refusal_line};
use crate::connect::{self, Connection, Happening, Outgoing, Unsendable};
use crate::options::command_line::{CommandLine, Program, TlsChoice};
use crate::options::table::Tool;
use crate::options::{Environment, Parsed, Wrong, parse};
use crate::{files, prompt, say};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Mosquitto's codes of errors before there is a connection.
const SYSTEM: u8 = 14;
const LOOKUP: u8 = 15;

/// What it means if somebody who was let in may not ask.
const NO_RIGHT: &str =
    "This user may not administer this part of the broker: it needs a role that opens $CONTROL/#.";

/// How long the connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// For one question.
    Once,
    /// For as long as somebody types; meanwhile nobody sends PINGREQ.
    Shell,
}

/// A broker that has let us in.
pub(super) struct Broker {
    runtime: Runtime,
    talk: Talk,
}

/// What is said on the connection.
struct Talk {
    connection: Connection,
    line: CommandLine,
    /// The modules whose answers are subscribed to.
    heard: Vec<Module>,
}

impl Broker {
    /// Connects as the command line says, or as has been said since.
    pub(super) fn connect(
        line: &CommandLine,
        wanted: &Wanted,
        how: Use,
    ) -> Result<Broker, Failure> {
        let mut line = chosen(line, wanted)?;
        if how == Use::Shell {
            line.session.keep_alive_secs = 0;
        }
        warn(&line);
        if let (Some(user), None) = (&line.session.user_name, &line.session.password) {
            let password = prompt::password(&format!("Password for {user}: "));
            let password = password.map_err(|error| {
                let failure = Failure::from(error);
                Failure::local(format!("{}\nError getting password.", failure.text), 1)
            })?;
            line.session.password = Some(password);
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Failure::local(format!("Error: {}.", files::reason(&error)), SYSTEM)
        })?;
        let mut talk = Talk {
            connection: Connection::new(&line, None),
            line,
            heard: Vec::new(),
        };
        runtime.block_on(talk.open())?;
        Ok(Broker { runtime, talk })
    }
}

impl Endpoint for Broker {
    fn ask(&mut self, module: Module, command: &Command) -> Result<Vec<u8>, Failure> {
        let Broker { runtime, talk } = self;
        let exchange = talk.exchange(module, command.payload());
        match runtime.block_on(async { timeout(PATIENCE, exchange).await }) {
            Ok(answer) => answer,
            // An answer that comes later would be taken for that to the next question.
            Err(_) => Err(Failure::no_reply(format!(
                "Error: No answer within {} seconds. Has the broker been configured for '{}'?",
                PATIENCE.as_secs(),
                module.name()
            ))
            .and_end()),
        }
    }

    fn name(&self) -> String {
        let line = &self.talk.line;
        let scheme = match (line.server.websocket, line.tls.is_on) {
            (false, false) => "mqtt",
            (false, true) => "mqtts",
            (true, false) => "ws",
            (true, true) => "wss",
        };
        if let Some(path) = &line.server.unix {
            return format!("unix:{}", path.display());
        }
        let port = line
            .server
            .port
            .unwrap_or(if line.tls.is_on { 8883 } else { 1883 });
        format!("{scheme}://{}:{port}", line.server.host)
    }
}

/// Politely, so that the broker's log has nothing to tell of it.
impl Drop for Broker {
    fn drop(&mut self) {
        let Broker { runtime, talk } = self;
        runtime.block_on(talk.connection.disconnect(ReasonCode::Success));
    }
}

impl Talk {
    async fn open(&mut self) -> Result<(), Failure> {
        match timeout(PATIENCE, self.accepted()).await {
            Ok(accepted) => accepted,
            Err(_) => Err(Failure::local(
                format!(
                    "Error: No connection within {} seconds.",
                    PATIENCE.as_secs()
                ),
                SYSTEM,
            )),
        }
    }

    async fn accepted(&mut self) -> Result<(), Failure> {
        let opened = self.connection.open().await;
        opened.map_err(|failure| self.told(&failure))?;
        match self.next().await? {
            Happening::Refused { reason, text } => {
                let line = &self.line;
                let version = line.session.version;
                let advice = refusal_advice(reason, text.as_deref());
                Err(Failure {
                    text: with_advice(line, refusal_line(version, reason), advice),
                    code: refusal_code(version, reason),
                    ..Failure::refused("")
                })
            }
            _ => Ok(()),
        }
    }

    async fn exchange(&mut self, module: Module, payload: String) -> Result<Vec<u8>, Failure> {
        let answers = format!("{}{RESPONSE_SUFFIX}", module.topic());
        if !self.heard.contains(&module) {
            self.hear(&answers).await?;
            self.heard.push(module);
        }
        let message = Outgoing {
            topic: Some(module.topic().to_owned()),
            payload: payload.into(),
            qos: self.line.qos,
            retain: false,
            properties: PropertiesBuf::default(),
        };
        let sent = self.connection.publish(message);
        if let Err(unsendable) = sent.map_err(|failure| self.told(&failure))? {
            return Err(Failure::refused(match unsendable {
                Unsendable::Qos => {
                    "Publish error: the broker has no such QoS; choose another with -q."
                }
                Unsendable::Size { .. } => {
                    "Publish error: the broker takes no packets of this size."
                }
                Unsendable::Topic | Unsendable::Encoding => {
                    "Publish error: a part of it is too long."
                }
            }));
        }
        loop {
            match self.next().await? {
                Happening::Message(message) if message.topic == answers => {
                    return Ok(message.payload.into());
                }
                Happening::Published { reason, text, .. } if reason.is_error() => {
                    let text = text.map(|text| format!(" ({text})")).unwrap_or_default();
                    let what = format!("Publish error: {}{text}", connect::reason_name(reason));
                    let advice = (reason == ReasonCode::NotAuthorized).then(|| NO_RIGHT.to_owned());
                    return Err(Failure::refused(with_advice(&self.line, what, advice)));
                }
                _ => {}
            }
        }
    }

    async fn hear(&mut self, answers: &str) -> Result<(), Failure> {
        let options = SubscriptionOptions {
            qos: self.line.qos,
            ..SubscriptionOptions::default()
        };
        let asked = self.connection.subscribe(&[answers.to_owned()], options);
        asked.map_err(|failure| self.told(&failure))?;
        loop {
            let Happening::Subscribed { reasons, .. } = self.next().await? else {
                continue;
            };
            return match reasons.first() {
                Some(reason) if !reason.is_error() => Ok(()),
                Some(reason) if self.line.session.version == Version::V5 => {
                    let what = format!("Subscribe error: {}", connect::reason_name(*reason));
                    let advice =
                        (*reason == ReasonCode::NotAuthorized).then(|| NO_RIGHT.to_owned());
                    Err(Failure::refused(with_advice(&self.line, what, advice)))
                }
                _ => Err(Failure::refused("Subscribe error: Subscription refused.")),
            };
        }
    }

    async fn next(&mut self) -> Result<Happening, Failure> {
        let next = self.connection.next().await;
        next.map_err(|failure| self.told(&failure))
    }

    /// What the connection says of its end, with the codes of Mosquitto's tool.
    fn told(&self, failure: &connect::Failure) -> Failure {
        let code = match failure {
            connect::Failure::Lookup(_) => LOOKUP,
            connect::Failure::Dial(error) if matches!(**error, DialError::Connect { .. }) => SYSTEM,
            other => other.code(),
        };
        let text = failure.to_string();
        let text = text.trim_end().to_owned();
        Failure::local(with_advice(&self.line, text, failure.advice()), code).and_end()
    }
}

/// Under its own name, the tool says what to do.
fn with_advice(line: &CommandLine, text: String, advice: Option<String>) -> String {
    match advice {
        Some(advice) if line.program == Program::Wigwag => format!("{text}\n       {advice}"),
        _ => text,
    }
}

/// Whether the command line says which broker is meant, or as whom.
pub(super) fn is_named(line: &CommandLine) -> bool {
    let server = &line.server;
    server.port.is_some() || server.unix.is_some() || server.host != "localhost" || line.tls.is_on
}

/// The command line with what has been said since.
fn chosen(line: &CommandLine, wanted: &Wanted) -> Result<CommandLine, Failure> {
    let mut chosen = line.clone();
    if let Some(url) = &wanted.url {
        let arguments = ["-L", url].map(OsString::from);
        let nowhere = Environment {
            config_folder: None,
            process_id: 0,
        };
        match parse(Tool::Ctrl, line.program, &arguments, &nowhere) {
            Ok(Parsed::Run(named, _)) => {
                // Whom to trust was said before, whether or not there was anything to be trusted.
                let tls = TlsChoice {
                    is_on: named.tls.is_on,
                    os_certs: named.tls.os_certs
                        && line.tls.ca_file.is_none()
                        && line.tls.ca_path.is_none(),
                    ..line.tls.clone()
                };
                chosen.server = named.server;
                chosen.server.bind.clone_from(&line.server.bind);
                chosen.server.proxy.clone_from(&line.server.proxy);
                chosen.tls = tls;
                if named.session.user_name.is_some() {
                    chosen.session.user_name = named.session.user_name;
                    chosen.session.password = named.session.password;
                }
            }
            Ok(_) => {}
            Err(Wrong(what)) => return Err(Failure::refused(what.trim_end())),
        }
    }
    if wanted.user.is_some() {
        chosen.session.user_name.clone_from(&wanted.user);
        chosen.session.password.clone_from(&wanted.password);
    }
    Ok(chosen)
}

/// Passwords travel with these commands.
fn warn(line: &CommandLine) {
    let stays_here = line.server.unix.is_some()
        || line.server.host.eq_ignore_ascii_case("localhost")
        || (line.server.host.parse::<IpAddr>()).is_ok_and(|address| address.is_loopback());
    if !line.tls.is_on && !stays_here && !line.quiet {
        say::error(
            "Warning: without TLS, whoever is on the way to the broker can read what is changed, passwords too. --cafile or --tls-use-os-certs turns TLS on.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &str) -> CommandLine {
        let arguments: Vec<OsString> = arguments.split_whitespace().map(OsString::from).collect();
        let nowhere = Environment {
            config_folder: None,
            process_id: 0,
        };
        match parse(Tool::Ctrl, Program::Wigwag, &arguments, &nowhere) {
            Ok(Parsed::Run(line, _)) => *line,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn what_is_said_in_the_shell_goes_before_the_command_line() {
        let before = line("-h other -u alice -P a");
        let wanted = Wanted {
            url: Some("mqtts://there:8884".to_owned()),
            ..Wanted::default()
        };
        let after = chosen(&before, &wanted).expect("a URL");
        assert_eq!(
            (after.server.host.as_str(), after.server.port),
            ("there", Some(8884))
        );
        assert!(after.tls.is_on);
        assert_eq!(after.session.user_name.as_deref(), Some("alice"));
        let wanted = Wanted {
            user: Some("bob".to_owned()),
            password: Some("b".to_owned()),
            ..Wanted::default()
        };
        let after = chosen(&before, &wanted).expect("nothing wrong");
        assert_eq!(after.server, before.server);
        assert_eq!(after.session.password.as_deref(), Some("b"));
        let wanted = Wanted {
            url: Some("http://there".to_owned()),
            ..Wanted::default()
        };
        let failure = chosen(&before, &wanted).expect_err("no broker's URL");
        assert_eq!(failure.text, "Error: Unsupported URL scheme.");
    }

    #[test]
    fn only_a_broker_that_was_named_is_called_at_once() {
        assert!(!is_named(&line("")));
        assert!(!is_named(&line("-u alice -P a")));
        for named in ["-h there", "-p 1884", "--unix /run/x", "-L mqtt://there"] {
            assert!(is_named(&line(named)), "{named}");
        }
    }
}
