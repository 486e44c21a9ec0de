//! Why a tool cannot go on: the line that Mosquitto's tools print, what to do about it, and the exit code.
//!
//! The line and the code are what scripts know. What to do is added for people, when the program is called by its own name.

use std::fmt;
use std::io;
use std::path::PathBuf;

use wigwag_client::CertificateError;
use wigwag_client::wire::{DialError, WireError};
use wigwag_proto::{ReasonCode, Version};

use crate::options::command_line::Unusable;

use super::reason::reason_name;

/// Why a tool cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// What was asked for cannot be done, before anything was opened. The line is complete.
    Setup(String),
    /// The command line asks for what there is not.
    Unusable(Unusable),
    /// A file for TLS is not there.
    NoFile(PathBuf),
    /// The host of the server, or the address to come from, cannot be looked up.
    Lookup(String),
    /// No connection.
    Dial(Box<DialError>),
    /// The Will cannot be sent.
    Will,
    /// The connection has ended.
    Lost,
    /// The connection has ended before the server has said anything.
    Unanswered,
    /// The server does not keep to the protocol.
    Protocol(String),
    /// The server does not answer.
    KeepAlive,
    /// The server has ended the connection.
    Disconnected {
        /// Why.
        reason: ReasonCode,
        /// Why, in its own words.
        text: Option<String>,
    },
    /// The output cannot be written.
    Output(io::Error),
}

/// Mosquitto's numbers for errors, which are its tools' exit codes.
pub mod code {
    /// A wrong command line, or no connection.
    pub const FAILURE: u8 = 1;
    /// The protocol was not kept.
    pub const PROTOCOL: u8 = 2;
    /// What is to be sent is not valid.
    pub const INVALID: u8 = 3;
    /// There is no connection any more.
    pub const NO_CONNECTION: u8 = 4;
    /// The server has refused the connection.
    pub const REFUSED: u8 = 5;
    /// The connection was lost.
    pub const LOST: u8 = 7;
    /// The server does not answer.
    pub const KEEP_ALIVE: u8 = 19;
    /// The server has no such QoS.
    pub const QOS: u8 = 24;
    /// The packet is larger than the server allows.
    pub const OVERSIZE: u8 = 25;
    /// Time is up.
    pub const TIMEOUT: u8 = 27;
    /// Ended by Ctrl-C, as shells count it.
    pub const INTERRUPTED: u8 = 130;
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Setup(_)
            | Failure::Unusable(_)
            | Failure::NoFile(_)
            | Failure::Lookup(_)
            | Failure::Dial(_)
            | Failure::Will => code::FAILURE,
            Failure::Lost | Failure::Unanswered => code::LOST,
            Failure::Protocol(_) => code::PROTOCOL,
            Failure::KeepAlive => code::KEEP_ALIVE,
            Failure::Disconnected { .. } => code::NO_CONNECTION,
            Failure::Output(_) => code::FAILURE,
        }
    }

    /// Whether there was never a connection.
    pub const fn is_before_connection(&self) -> bool {
        matches!(
            self,
            Failure::Setup(_)
                | Failure::Unusable(_)
                | Failure::NoFile(_)
                | Failure::Lookup(_)
                | Failure::Dial(_)
                | Failure::Will
        )
    }

    /// Whether another attempt may go better.
    pub fn may_pass(&self) -> bool {
        match self {
            Failure::Setup(_)
            | Failure::Unusable(_)
            | Failure::NoFile(_)
            | Failure::Will
            | Failure::Output(_) => false,
            Failure::Dial(error) => !matches!(**error, DialError::Certificate { .. }),
            _ => true,
        }
    }

    /// What to do about it, for people.
    pub fn advice(&self) -> Option<String> {
        let advice = match self {
            Failure::Setup(_) | Failure::Will | Failure::Output(_) => return None,
            Failure::Unusable(unusable) => unusable.advice.to_owned(),
            Failure::NoFile(path) => format!("There is no '{}'.", path.display()),
            Failure::Lookup(host) => {
                format!("No address is known for '{host}'. Is the name right, and is the network there?")
            }
            Failure::Dial(error) => return dial_advice(error),
            Failure::Lost => "The server closed the connection without a word. Its log may say why; often another client has taken the same Client Identifier, or a proxy in between was silent for too long.".to_owned(),
            Failure::Protocol(what) => format!("What was wrong: {what}. Is it plain MQTT that is spoken at this port, and not WebSocket (--ws), and does the server know this version (-V)?"),
            Failure::Unanswered => "The server closed the connection without an answer. What is spoken at this port may be TLS (--cafile, --tls-use-os-certs) or WebSocket (--ws), or another version of MQTT (-V).".to_owned(),
            Failure::KeepAlive => "The server has not answered for as long as the Keep Alive (-k) allows.".to_owned(),
            Failure::Disconnected { reason, text } => {
                let said = text.as_deref().map(|text| format!(" It says: {text}.")).unwrap_or_default();
                let meaning = meaning(*reason).map(|own| format!(" {own}")).unwrap_or_default();
                format!("The server ended the connection: {reason}.{said}{meaning}")
            }
        };
        Some(advice)
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Failure {
        match error {
            WireError::Build(error) => Failure::Setup(format!("Error: {error}\n")),
            WireError::Dial(DialError::Lookup { target, .. }) => {
                Failure::Lookup(target.host().to_owned())
            }
            WireError::Dial(error) => Failure::Dial(Box::new(error)),
            WireError::Packet(error) => Failure::Protocol(error.to_string()),
            _ => Failure::Lost,
        }
    }
}

/// The line, with its end, as Mosquitto's tools print it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Setup(line) => f.write_str(line),
            Failure::Unusable(unusable) => writeln!(f, "{}", unusable.line),
            Failure::NoFile(_) => {
                f.write_str("Error: Problem setting TLS options: File not found.\n")
            }
            Failure::Lookup(_) => f.write_str("Unable to connect (Lookup error.).\n"),
            Failure::Dial(error) => dial_line(error, f),
            Failure::Will => f.write_str("Error: Problem setting will.\n"),
            Failure::Output(error) => writeln!(f, "Error: the output cannot be written: {error}"),
            Failure::Lost | Failure::Unanswered => f.write_str("Error: The connection was lost.\n"),
            Failure::Protocol(_) => f.write_str(
                "Error: A network protocol error occurred when communicating with the broker.\n",
            ),
            Failure::KeepAlive => f.write_str("Error: Keepalive exceeded\n"),
            Failure::Disconnected { .. } => {
                f.write_str("Error: The client is not currently connected.\n")
            }
        }
    }
}

fn dial_line(error: &DialError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        DialError::Connect { source, .. } => writeln!(f, "Error: {}", system_text(source)),
        DialError::Proxy { .. } => f.write_str("Unable to connect (Proxy error.).\n"),
        DialError::TlsMissing { .. } | DialError::Certificate { .. } | DialError::Tls { .. } => {
            f.write_str("Unable to connect (A TLS error occurred.).\n")
        }
        _ => f.write_str("Unable to connect (The connection was lost.).\n"),
    }
}

/// What the system calls an error, without its number.
fn system_text(error: &io::Error) -> String {
    // Where several addresses were tried, the kind is what they have in common.
    if error.raw_os_error().is_none() {
        let text = match error.kind() {
            io::ErrorKind::ConnectionRefused => "Connection refused",
            io::ErrorKind::ConnectionReset => "Connection reset by peer",
            io::ErrorKind::TimedOut => "Connection timed out",
            io::ErrorKind::HostUnreachable => "No route to host",
            io::ErrorKind::NetworkUnreachable => "Network is unreachable",
            io::ErrorKind::AddrNotAvailable => "Cannot assign requested address",
            _ => return error.to_string(),
        };
        return text.to_owned();
    }
    let text = error.to_string();
    match text.rfind(" (os error") {
        Some(at) => text.get(..at).unwrap_or_default().to_owned(),
        None => text,
    }
}

fn dial_advice(error: &DialError) -> Option<String> {
    let advice = match error {
        DialError::Connect { target, source } => match source.kind() {
            io::ErrorKind::ConnectionRefused => format!(
                "Nothing listens at {target}. Is the broker running, and is this its port (-p)?"
            ),
            io::ErrorKind::TimedOut => format!(
                "{target} does not answer at all. A firewall may be in between, or the address is another's."
            ),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("There is no way from here to {target}.")
            }
            io::ErrorKind::ConnectionReset => format!(
                "{target} broke the connection off at once. What is spoken there may be plain MQTT, TLS or WebSocket."
            ),
            io::ErrorKind::PermissionDenied => format!("This user may not open {target}."),
            io::ErrorKind::NotFound => format!("There is no {target}."),
            _ => format!("{target} cannot be reached: {source}."),
        },
        DialError::Certificate { check, .. } => {
            let hint = match check {
                CertificateError::UnknownIssuer => {
                    " Name who may vouch for it with --cafile, or use --tls-use-os-certs."
                }
                _ => "",
            };
            format!("{}.{hint}", capitalised(&error.to_string()))
        }
        other => format!("{}.", capitalised(&other.to_string())),
    };
    Some(advice)
}

pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The line of a refused connection, without its end.
pub fn refusal_line(version: Version, reason: ReasonCode) -> String {
    if version == Version::V5 {
        let name = reason_name(reason);
        return match reason {
            ReasonCode::UnsupportedProtocolVersion => format!(
                "Connection error: {name}. Try connecting to an MQTT v5 broker, or use MQTT v3.x mode."
            ),
            _ => format!("Connection error: {name}"),
        };
    }
    let text = match reason.to_connect_return_code() {
        1 => "unacceptable protocol version",
        2 => "identifier rejected",
        3 => "broker unavailable",
        4 => "bad user name or password",
        5 => "not authorised",
        _ => "unknown reason",
    };
    format!("Connection error: Connection Refused: {text}.")
}

/// The exit code of a refused connection: the code of the CONNACK.
pub const fn refusal_code(version: Version, reason: ReasonCode) -> u8 {
    match version {
        Version::V5 => reason as u8,
        Version::V3_1 | Version::V3_1_1 => reason.to_connect_return_code(),
    }
}

/// What a refused connection usually means.
pub fn refusal_advice(reason: ReasonCode, text: Option<&str>) -> Option<String> {
    let said = text.map(|text| format!("The server says: {text}."));
    let meaning = meaning(reason).map(str::to_owned);
    let parts: Vec<String> = said.into_iter().chain(meaning).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// What a Reason Code of a CONNACK or DISCONNECT usually means, and what to do.
fn meaning(reason: ReasonCode) -> Option<&'static str> {
    Some(match reason {
        ReasonCode::BadUserNameOrPassword => {
            "The user name (-u) or the password (-P) is wrong, or one is needed."
        }
        ReasonCode::NotAuthorized => {
            "The server lets nobody in under this name: give a user name (-u) and a password (-P), or ask who runs it."
        }
        ReasonCode::ClientIdentifierNotValid => {
            "The server does not take this Client Identifier; give another one with -i."
        }
        ReasonCode::UnsupportedProtocolVersion => {
            "The server does not speak this version of MQTT; choose another one with -V."
        }
        ReasonCode::ServerUnavailable | ReasonCode::ServerBusy => {
            "The server takes no connections now; try again later."
        }
        ReasonCode::Banned => "The server has banned this client; ask who runs it.",
        ReasonCode::BadAuthenticationMethod => {
            "The server does not know this authentication method."
        }
        ReasonCode::SessionTakenOver => {
            "Another client has connected with the same Client Identifier; give each its own with -i."
        }
        ReasonCode::KeepAliveTimeout => {
            "The server has heard nothing for one and a half times the Keep Alive (-k)."
        }
        ReasonCode::PacketTooLarge => "A packet was larger than the server allows.",
        ReasonCode::QuotaExceeded => {
            "The server allows no more of this: connections, messages or bytes."
        }
        ReasonCode::ServerShuttingDown => "The server is being stopped.",
        ReasonCode::UseAnotherServer | ReasonCode::ServerMoved => {
            "Clients are to use another server; its administrator knows which."
        }
        _ => return None,
    })
}
