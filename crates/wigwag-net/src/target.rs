//! Addresses: what each scheme means, and what a text must look like to be one.

use std::fmt;

/// Where to connect to, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// With its leading `/`: of the request over WebSocket, of the socket for a Unix socket; else empty.
    path: String,
    credentials: Option<Credentials>,
}

/// The transports that an address can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Mqtt,
    Mqtts,
    WebSocket,
    WebSocketTls,
    Unix,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Scheme::Mqtt => "mqtt",
            Scheme::Mqtts => "mqtts",
            Scheme::WebSocket => "ws",
            Scheme::WebSocketTls => "wss",
            Scheme::Unix => "unix",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Scheme::Mqtt => 1883,
            Scheme::Mqtts => 8883,
            Scheme::WebSocket => 80,
            Scheme::WebSocketTls => 443,
            Scheme::Unix => 0,
        }
    }

    pub(crate) const fn is_tls(self) -> bool {
        matches!(self, Scheme::Mqtts | Scheme::WebSocketTls)
    }

    pub(crate) const fn is_websocket(self) -> bool {
        matches!(self, Scheme::WebSocket | Scheme::WebSocketTls)
    }

    fn parse(name: &str) -> Result<Scheme, TargetError> {
        let scheme = match name.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => Scheme::Mqtt,
            "mqtts" | "ssl" | "tls" => Scheme::Mqtts,
            "ws" => Scheme::WebSocket,
            "wss" => Scheme::WebSocketTls,
            "unix" if cfg!(unix) => Scheme::Unix,
            _ => return Err(TargetError::Scheme(name.to_owned())),
        };
        let missing = |feature| TargetError::Feature {
            scheme: scheme.name(),
            feature,
        };
        if scheme.is_tls() && !cfg!(feature = "tls") {
            return Err(missing("tls"));
        }
        if scheme.is_websocket() && !cfg!(feature = "ws") {
            return Err(missing("ws"));
        }
        Ok(scheme)
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
    #[error(
        "'{0}' has no scheme; write mqtt://host:1883, mqtts://host:8883 or ws://host:9001/path"
    )]
    SchemeMissing(String),
    /// A scheme that cannot be dialled.
    #[error(
        "the scheme '{0}' is not supported; 'mqtt', 'tcp', 'mqtts', 'ssl', 'tls', 'ws', 'wss' and, \
         on Unix, 'unix' are"
    )]
    Scheme(String),
    /// A scheme that this build cannot dial.
    #[error(
        "the scheme '{scheme}' needs the feature '{feature}', which this program was built without"
    )]
    Feature {
        /// The scheme.
        scheme: &'static str,
        /// The feature of the crate.
        feature: &'static str,
    },
    /// A Unix socket without an absolute path, or with a host in front of it.
    #[error("'{0}' names no Unix socket; write unix:///path/of/the.sock with three slashes")]
    SocketPath(String),
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
    #[error("the path '{0}' has no meaning for MQTT over TCP; only ws:// and wss:// have one")]
    Path(String),
    /// A path that HTTP does not allow.
    #[error("the path '{0}' contains characters that must be percent-encoded")]
    PathCharacters(String),
    /// Percent signs in the credentials that encode nothing.
    #[error("'%' in a user name or password must be followed by two hexadecimal digits of UTF-8")]
    PercentEncoding,
}

impl Target {
    /// Reads `mqtt://host`, `mqtts://host`, `ws://host/path`, `wss://host/path` or `unix:///path`, with
    /// optional `user:password@` and, except for a Unix socket, an optional port. `tcp` is another word
    /// for `mqtt`; `ssl` and `tls` are other words for `mqtts`.
    ///
    /// Without a port, MQTT means 1883 over TCP and 8883 over TLS, WebSocket 80 and 443, the ports of
    /// HTTP; brokers commonly serve WebSocket at 9001, 8083 or 8080, so name it. User name and password
    /// are percent-decoded.
    pub fn parse(text: &str) -> Result<Target, TargetError> {
        // An error must not show the password.
        let shown = || without_credentials(text);
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| TargetError::SchemeMissing(shown()))?;
        let scheme = Scheme::parse(scheme)?;
        let end_of_authority: &[char] = if scheme == Scheme::Unix {
            &['/']
        } else {
            &['/', '?']
        };
        let (authority, path) = match rest.find(end_of_authority) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((credentials, address)) => (Some(Credentials::parse(credentials)?), address),
            None => (None, authority),
        };
        if scheme == Scheme::Unix {
            if !address.is_empty() || path.len() < 2 {
                return Err(TargetError::SocketPath(shown()));
            }
            return Ok(Target {
                scheme,
                host: String::new(),
                port: 0,
                path: path.to_owned(),
                credentials,
            });
        }
        let (host, port) = parse_address(address, scheme.default_port())?;
        if host.is_empty() {
            return Err(TargetError::HostMissing(shown()));
        }
        let target = Target {
            scheme,
            host,
            port,
            path: parse_path(scheme, path)?,
            credentials,
        };
        target.check_uri()?;
        Ok(target)
    }

    /// The same way to another server, as a Server Reference names it: `host`, `host:port` or an IPv6
    /// address in brackets. Scheme, path and credentials stay; without a port, so does the port.
    pub fn with_address(&self, address: &str) -> Result<Target, TargetError> {
        let (host, port) = parse_address(address, self.port)?;
        if host.is_empty() || self.scheme == Scheme::Unix {
            return Err(TargetError::HostMissing(address.to_owned()));
        }
        let target = Target {
            host,
            port,
            ..self.clone()
        };
        target.check_uri()?;
        Ok(target)
    }

    /// Whether the connection is encrypted: `mqtts` and `wss`.
    pub const fn is_tls(&self) -> bool {
        self.scheme.is_tls()
    }

    pub(crate) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The path of the Unix socket.
    #[cfg(unix)]
    pub(crate) fn socket_path(&self) -> &str {
        &self.path
    }

    /// The host name or IP address; empty for a Unix socket.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 for a Unix socket.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The user name and password that stand in the address.
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// A host and a path that HTTP takes as they are.
    fn check_uri(&self) -> Result<(), TargetError> {
        let in_host = |byte: u8| byte.is_ascii_graphic() && !b"\"#%/<>?@[\\]^`{|}".contains(&byte);
        if !self.host.bytes().all(in_host) {
            return Err(TargetError::Host(self.host.clone()));
        }
        let in_path = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
        if !self.path.bytes().all(in_path) {
            return Err(TargetError::PathCharacters(self.path.clone()));
        }
        Ok(())
    }

    /// Host and port as they stand in an address.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Without `wss`: the request is the same, and the library must not make the TLS.
    #[cfg(feature = "ws")]
    pub(crate) fn uri(&self) -> String {
        format!("ws://{}{}", self.authority(), self.path)
    }
}

/// The address without its credentials, as it may stand in logs.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme.name();
        if self.scheme == Scheme::Unix {
            return write!(f, "{scheme}://{}", self.path);
        }
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
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
    pub(crate) fn parse(text: &str) -> Result<Credentials, TargetError> {
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

/// Host and port of an address; a host that is missing is empty.
pub(crate) fn parse_address(
    address: &str,
    default_port: u16,
) -> Result<(String, u16), TargetError> {
    let (host, port) = split_port(address)?;
    let port = match port {
        None => default_port,
        Some(port) => parse_port(port)?,
    };
    Ok((host.to_owned(), port))
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
    match path {
        "" | "/" if !scheme.is_websocket() => Ok(String::new()),
        path if !scheme.is_websocket() => Err(TargetError::Path(path.to_owned())),
        path if path.starts_with('/') => Ok(path.to_owned()),
        query => Ok(format!("/{query}")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "ws")]
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
        #[cfg(feature = "tls")]
        for scheme in ["mqtts", "ssl", "tls"] {
            check(&format!("{scheme}://host"), "mqtts://host:8883");
        }
        #[cfg(feature = "tls")]
        check("wss://host/mqtt", "wss://host:443/mqtt");
        #[cfg(unix)]
        check("unix://u:p@/run/mqtt?.sock", "unix:///run/mqtt?.sock");
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
    #[cfg(feature = "ws")]
    fn errors_say_what_is_allowed() {
        let check = |text: &str, expect: &str| {
            let error = Target::parse(text).expect_err(text).to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        check("localhost:1883", "no scheme");
        check("http://host", "'mqtt', 'tcp', 'mqtts'");
        check("mqtt://", "names no host");
        check("mqtt://:1883", "names no host");
        check("mqtt://host:", "'' is not a port");
        check("mqtt://host:0", "'0' is not a port");
        check("mqtt://host:65536", "1 to 65535");
        check("mqtt://::1", "brackets");
        check("mqtt://[::1", "brackets");
        check("mqtt://[host]", "brackets");
        check("mqtt://ho st", "not a host name");
        check("mqtt://host/path", "only ws:// and wss:// have one");
        check("ws://host/a b", "percent-encoded");
        check("mqtt://a%zz@host", "hexadecimal");
        #[cfg(unix)]
        check("unix://run/mqtt.sock", "three slashes");
        #[cfg(not(feature = "tls"))]
        check("mqtts://host", "needs the feature 'tls'");
    }

    #[test]
    #[cfg(feature = "ws")]
    fn a_server_reference_changes_host_and_port_only() {
        let target = Target::parse("ws://u:p@first:9001/mqtt").expect("valid");
        let check = |address: &str, expect: &str| {
            let other = target.with_address(address).expect(address);
            assert_eq!(other.to_string(), expect);
            assert_eq!(other.credentials(), target.credentials());
        };
        check("second", "ws://second:9001/mqtt");
        check("second:9002", "ws://second:9002/mqtt");
        check("[::1]:9003", "ws://[::1]:9003/mqtt");
        for wrong in ["", ":1", "a b", "mqtt://x:y"] {
            assert!(target.with_address(wrong).is_err(), "{wrong}");
        }
    }
}
