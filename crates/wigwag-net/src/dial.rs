//! Opening connections: what an address means, and how to get there.
//!
//! One attempt each; when to try again, and for how long, is decided by the caller.

use std::fmt;
use std::io;

use tokio::net::TcpStream;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::http::Uri;

use crate::websocket::{self, SUBPROTOCOL};
use crate::{Stream, WebSocket};

/// Where to connect to, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// With its leading `/`; empty without WebSocket.
    path: String,
    credentials: Option<Credentials>,
}

/// The transports that an address can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Mqtt,
    WebSocket,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Scheme::Mqtt => "mqtt",
            Scheme::WebSocket => "ws",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Scheme::Mqtt => 1883,
            Scheme::WebSocket => 80,
        }
    }
}

/// The user name and password that an address carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// In front of the colon.
    pub user_name: String,
    /// Behind the colon, if there is one.
    pub password: Option<String>,
}

/// Why a text is no address. The culprit is who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Nothing with `://` at the front.
    #[error("'{0}' has no scheme; write mqtt://host:1883 or ws://host:9001/path")]
    SchemeMissing(String),
    /// A scheme that cannot be dialled.
    #[error("the scheme '{0}' is not supported; 'mqtt', 'tcp' and 'ws' are")]
    Scheme(String),
    /// No host.
    #[error("'{0}' names no host; write mqtt://host:1883")]
    HostMissing(String),
    /// A host that cannot be one.
    #[error("'{0}' is not a host name or an IP address; IPv6 addresses stand in brackets: [::1]")]
    Host(String),
    /// No number from 1 to 65535.
    #[error("'{0}' is not a port; 1 to 65535 are allowed")]
    Port(String),
    /// A path where there is none.
    #[error("the path '{0}' has no meaning for MQTT over TCP; only ws:// has a path")]
    Path(String),
    /// A path that HTTP does not allow.
    #[error("the path '{0}' contains characters that must be percent-encoded")]
    PathCharacters(String),
    /// Percent signs in the credentials that encode nothing.
    #[error("'%' in a user name or password must be followed by two hexadecimal digits of UTF-8")]
    PercentEncoding,
}

impl Target {
    /// Reads `mqtt://host`, `tcp://host` or `ws://host/path`, with optional `user:password@` and port.
    ///
    /// Without a port, MQTT over TCP means 1883 and WebSocket means 80, the port of HTTP; brokers
    /// commonly serve WebSocket at 9001, 8083 or 8080, so name it. User name and password are
    /// percent-decoded.
    pub fn parse(text: &str) -> Result<Target, TargetError> {
        // An error must not show the password.
        let shown = || without_credentials(text);
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| TargetError::SchemeMissing(shown()))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => Scheme::Mqtt,
            "ws" => Scheme::WebSocket,
            _ => return Err(TargetError::Scheme(scheme.to_owned())),
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((credentials, address)) => (Some(Credentials::parse(credentials)?), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address)?;
        if host.is_empty() {
            return Err(TargetError::HostMissing(shown()));
        }
        let port = match port {
            None => scheme.default_port(),
            Some(port) => parse_port(port)?,
        };
        let target = Target {
            scheme,
            host: host.to_owned(),
            port,
            path: parse_path(scheme, path)?,
            credentials,
        };
        target.check_uri()?;
        Ok(target)
    }

    /// The host name or IP address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The user name and password that stand in the address.
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    fn check_uri(&self) -> Result<(), TargetError> {
        self.uri().map(drop).map_err(|_| {
            if format!("ws://{}", self.authority()).parse::<Uri>().is_ok() {
                TargetError::PathCharacters(self.path.clone())
            } else {
                TargetError::Host(self.host.clone())
            }
        })
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn uri(&self) -> Result<Uri, tungstenite::http::uri::InvalidUri> {
        format!("ws://{}{}", self.authority(), self.path).parse()
    }
}

/// The address without its credentials, as it may stand in logs.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.scheme.name(), self.authority());
        write!(f, "{scheme}://{authority}{}", self.path)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        Target::parse(text)
    }
}

impl Credentials {
    fn parse(text: &str) -> Result<Credentials, TargetError> {
        let (user_name, password) = match text.split_once(':') {
            Some((user_name, password)) => (user_name, Some(percent_decode(password)?)),
            None => (text, None),
        };
        Ok(Credentials {
            user_name: percent_decode(user_name)?,
            password,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

fn without_credentials(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    match text.rfind('@') {
        Some(at) if at >= start => format!("{}{}", &text[..start], &text[at + 1..]),
        _ => text.to_owned(),
    }
}

/// Takes the port off an address; the host comes without brackets.
fn split_port(address: &str) -> Result<(&str, Option<&str>), TargetError> {
    let wrong_host = || TargetError::Host(address.to_owned());
    if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(wrong_host)?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(wrong_host());
        }
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(wrong_host()),
        };
    }
    match address.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(wrong_host()),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((address, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, TargetError> {
    text.parse()
        .ok()
        .filter(|&port| port != 0)
        .ok_or_else(|| TargetError::Port(text.to_owned()))
}

fn parse_path(scheme: Scheme, path: &str) -> Result<String, TargetError> {
    match (scheme, path) {
        (Scheme::Mqtt, "" | "/") => Ok(String::new()),
        (Scheme::Mqtt, path) => Err(TargetError::Path(path.to_owned())),
        (Scheme::WebSocket, path) if path.starts_with('/') => Ok(path.to_owned()),
        (Scheme::WebSocket, query) => Ok(format!("/{query}")),
    }
}

fn percent_decode(text: &str) -> Result<String, TargetError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            bytes
                .next()
                .and_then(|digit| char::from(digit).to_digit(16))
        };
        match (digit(), digit()) {
            (Some(high), Some(low)) => decoded.extend(u8::try_from(high * 16 + low)),
            _ => return Err(TargetError::PercentEncoding),
        }
    }
    String::from_utf8(decoded).map_err(|_| TargetError::PercentEncoding)
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The host has no address, or none of its addresses answered.
    #[error("cannot connect to {target}")]
    Connect {
        /// Where to.
        target: Target,
        /// What the system said.
        source: io::Error,
    },
    /// The server speaks HTTP, but gives no WebSocket here.
    #[error("{target} answered the WebSocket handshake with HTTP status {status}")]
    Status {
        /// Where to.
        target: Target,
        /// The status code.
        status: u16,
    },
    /// The server speaks WebSocket, but not MQTT over it.
    #[error("{target} does not speak the WebSocket subprotocol 'mqtt'")]
    Subprotocol {
        /// Where to.
        target: Target,
    },
    /// No WebSocket handshake.
    #[error("{target} did not answer with a WebSocket handshake: {reason}")]
    Handshake {
        /// Where to.
        target: Target,
        /// What was wrong.
        reason: String,
    },
}

/// Opens a connection to `target`, trying each address of its host in turn.
///
/// Over WebSocket, a message of more than `frame_size_max` bytes ends the connection later. Servers may
/// put several packets into one, so the limit of a packet and some room is a good value.
///
/// Dropping the future gives the attempt up and closes what was opened; bound its time.
pub async fn dial(target: &Target, frame_size_max: usize) -> Result<Stream, DialError> {
    let connect_error = |source| DialError::Connect {
        target: target.clone(),
        source,
    };
    let tcp = TcpStream::connect((target.host(), target.port()))
        .await
        .map_err(connect_error)?;
    match target.scheme {
        Scheme::Mqtt => Stream::tcp(tcp).map_err(connect_error),
        Scheme::WebSocket => {
            tcp.set_nodelay(true).map_err(connect_error)?;
            open_websocket(target, tcp, frame_size_max)
                .await
                .map_err(|error| websocket_error(target, error))
        }
    }
}

async fn open_websocket(
    target: &Target,
    tcp: TcpStream,
    frame_size_max: usize,
) -> Result<Stream, tungstenite::Error> {
    let uri = target.uri().map_err(tungstenite::http::Error::from)?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
    let config = websocket::config(frame_size_max);
    let (frames, _) = client_async_with_config(request, tcp, Some(config)).await?;
    Ok(Stream::WebSocket(Box::new(WebSocket::new(frames))))
}

fn websocket_error(target: &Target, error: tungstenite::Error) -> DialError {
    let target = target.clone();
    match error {
        tungstenite::Error::Io(source) => DialError::Connect { target, source },
        tungstenite::Error::Http(response) => DialError::Status {
            target,
            status: response.status().as_u16(),
        },
        tungstenite::Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol | SubProtocolError::InvalidSubProtocol,
        )) => DialError::Subprotocol { target },
        error => DialError::Handshake {
            target,
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, expect: &str| {
            let target = Target::parse(text).expect(text);
            assert_eq!(target.to_string(), expect, "{text}");
        };
        check("mqtt://localhost", "mqtt://localhost:1883");
        check("tcp://10.0.0.1:2883/", "mqtt://10.0.0.1:2883");
        check("MQTT://[::1]", "mqtt://[::1]:1883");
        check("mqtt://[fe80::1]:1884", "mqtt://[fe80::1]:1884");
        check("ws://host", "ws://host:80/");
        check("ws://host:9001/mqtt?a=b", "ws://host:9001/mqtt?a=b");
        check("ws://host:9001?a=b", "ws://host:9001/?a=b");
        check("mqtt://u:p@host", "mqtt://host:1883");
    }

    #[test]
    fn an_ipv6_host_is_dialled_without_its_brackets() {
        assert_eq!(Target::parse("mqtt://[::1]").expect("valid").host(), "::1");
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let target = Target::parse("mqtt://us%C3%A9r:p%40ss:word@host").expect("valid");
        let credentials = target.credentials().expect("given");
        assert_eq!(credentials.user_name, "usér");
        assert_eq!(credentials.password.as_deref(), Some("p@ss:word"));
        assert!(!format!("{target} {target:?} {credentials:?}").contains("ss:word"));

        let error = Target::parse("mqtt://user:secret@").expect_err("no host");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let check = |text: &str, expect: &str| {
            let error = Target::parse(text).expect_err(text).to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        check("localhost:1883", "no scheme");
        check("http://host", "'mqtt', 'tcp' and 'ws' are");
        check("mqtt://", "names no host");
        check("mqtt://:1883", "names no host");
        check("mqtt://host:", "'' is not a port");
        check("mqtt://host:0", "'0' is not a port");
        check("mqtt://host:65536", "1 to 65535");
        check("mqtt://::1", "brackets");
        check("mqtt://[::1", "brackets");
        check("mqtt://[host]", "brackets");
        check("mqtt://ho st", "not a host name");
        check("mqtt://host/path", "only ws:// has a path");
        check("ws://host/a b", "percent-encoded");
        check("mqtt://a%zz@host", "hexadecimal");
    }
}
