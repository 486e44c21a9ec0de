//! Proxies: HTTP CONNECT (RFC 9110) and SOCKS5 (RFC 1928, user name and password by RFC 1929).
//!
//! The proxy looks the server's name up. Nothing is read beyond its answer: what follows belongs to the
//! connection.

use std::fmt;
use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dial::{DialError, Target, TcpOptions, connect_tcp};
use crate::target::{Credentials, TargetError, parse_address};

/// The longest head of an HTTP response.
const HEAD_LEN_MAX: usize = 8 * 1024;

/// A proxy to go through.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks5,
}

/// Why a text is no proxy. The culprit is who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// A scheme that is no proxy's.
    #[error("'{0}' is no proxy; write http://host:3128 or socks5://host:1080")]
    Scheme(String),
    /// The rest of the address.
    #[error("the proxy's address is not valid: {0}")]
    Address(#[from] TargetError),
    /// SOCKS5 has one byte for the length of each.
    #[error("the user name and the password of a SOCKS5 proxy have 1 to 255 bytes each")]
    Credentials,
}

impl Proxy {
    /// Reads `http://host:port`, `socks5://host:port` or `socks5h://host:port`, with optional
    /// `user:password@`, percent-encoded. Without a port, HTTP means 3128 and SOCKS 1080.
    pub fn parse(text: &str) -> Result<Proxy, ProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 3128),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            _ => return Err(ProxyError::Scheme(scheme.to_owned())),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, address) = match authority.rsplit_once('@') {
            Some((credentials, address)) => (Some(Credentials::parse(credentials)?), address),
            None => (None, authority),
        };
        let (host, port) = parse_address(address, default_port)?;
        if host.is_empty() {
            return Err(TargetError::HostMissing(format!("{scheme}://{address}")).into());
        }
        let fits = |text: &str| (1..=255).contains(&text.len());
        if kind == Kind::Socks5
            && credentials.as_ref().is_some_and(|given| {
                !fits(&given.user_name) || !given.password.as_deref().is_some_and(fits)
            })
        {
            return Err(ProxyError::Credentials);
        }
        Ok(Proxy {
            kind,
            host,
            port,
            credentials,
        })
    }

    /// Asks the proxy for a connection to the target.
    pub(crate) async fn connect(&self, target: &Target) -> Result<TcpStream, DialError> {
        self.try_connect(target)
            .await
            .map_err(|error| DialError::Proxy {
                target: target.clone(),
                proxy: self.to_string(),
                reason: error.to_string(),
            })
    }

    async fn try_connect(&self, target: &Target) -> io::Result<TcpStream> {
        let mut tcp = connect_tcp(&self.host, self.port, TcpOptions::default()).await?;
        tcp.set_nodelay(true)?;
        let asked = match self.kind {
            Kind::Http => self.ask_http(&mut tcp, target).await,
            Kind::Socks5 => self.ask_socks5(&mut tcp, target).await,
        };
        match asked {
            Ok(()) => Ok(tcp),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(refused("it closed the connection without an answer"))
            }
            Err(error) => Err(error),
        }
    }

    async fn ask_http(&self, tcp: &mut TcpStream, target: &Target) -> io::Result<()> {
        let authority = target.authority();
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(Credentials {
            user_name,
            password,
        }) = &self.credentials
        {
            let password = password.as_deref().unwrap_or_default();
            let token = base64(format!("{user_name}:{password}").as_bytes());
            request.push_str(&format!("Proxy-Authorization: Basic {token}\r\n"));
        }
        request.push_str("\r\n");
        tcp.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD_LEN_MAX {
                return Err(refused("its answer has no end"));
            }
            head.push(tcp.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head);
        let line = head.lines().next().unwrap_or_default();
        let mut words = line.split(' ');
        let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
        match words.next() {
            Some(status) if is_http && status.starts_with('2') => Ok(()),
            Some("407") if is_http => Err(refused("it wants other credentials (HTTP status 407)")),
            _ => Err(refused(&format!("it answered '{line}'"))),
        }
    }

    async fn ask_socks5(&self, tcp: &mut TcpStream, target: &Target) -> io::Result<()> {
        const VERSION: u8 = 5;
        const NO_AUTHENTICATION: u8 = 0;
        const PASSWORD: u8 = 2;
        let methods: &[u8] = match &self.credentials {
            None => &[VERSION, 1, NO_AUTHENTICATION],
            Some(_) => &[VERSION, 2, NO_AUTHENTICATION, PASSWORD],
        };
        tcp.write_all(methods).await?;
        let mut answer = [0; 2];
        tcp.read_exact(&mut answer).await?;
        match (answer, &self.credentials) {
            ([VERSION, NO_AUTHENTICATION], _) => {}
            ([VERSION, PASSWORD], Some(credentials)) => {
                self.log_in_socks5(tcp, credentials).await?;
            }
            ([VERSION, 0xFF], None) => return Err(refused("it wants a user name and a password")),
            ([VERSION, 0xFF], Some(_)) => {
                return Err(refused("it takes no user name and password"));
            }
            _ => return Err(refused("it does not speak SOCKS5")),
        }
        let mut request = vec![VERSION, 1, 0];
        match target.host().parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => {
                request.push(1);
                request.extend(ip.octets());
            }
            Ok(IpAddr::V6(ip)) => {
                request.push(4);
                request.extend(ip.octets());
            }
            Err(_) => {
                let len = u8::try_from(target.host().len());
                let len = len.map_err(|_| refused("the host's name is longer than 255 bytes"))?;
                request.extend([3, len]);
                request.extend(target.host().as_bytes());
            }
        }
        request.extend(target.port().to_be_bytes());
        tcp.write_all(&request).await?;
        let mut answer = [0; 4];
        tcp.read_exact(&mut answer).await?;
        let [version, reply, _, address_type] = answer;
        if version != VERSION {
            return Err(refused("it does not speak SOCKS5"));
        }
        if reply != 0 {
            return Err(refused(socks5_reply(reply)));
        }
        let address_len = match address_type {
            1 => 4,
            4 => 16,
            3 => usize::from(tcp.read_u8().await?),
            _ => return Err(refused("it does not speak SOCKS5")),
        };
        // The address that the proxy connects from, and a port: nobody needs them.
        let mut bound = vec![0; address_len + 2];
        tcp.read_exact(&mut bound).await?;
        Ok(())
    }

    async fn log_in_socks5(
        &self,
        tcp: &mut TcpStream,
        credentials: &Credentials,
    ) -> io::Result<()> {
        let mut request = vec![1];
        for text in [
            credentials.user_name.as_str(),
            credentials.password.as_deref().unwrap_or_default(),
        ] {
            request.extend(u8::try_from(text.len()));
            request.extend(text.as_bytes());
        }
        tcp.write_all(&request).await?;
        let mut answer = [0; 2];
        tcp.read_exact(&mut answer).await?;
        match answer {
            [_, 0] => Ok(()),
            _ => Err(refused("it wants another user name or password")),
        }
    }
}

/// Without the credentials, as it may stand in logs.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn refused(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, text)
}

fn socks5_reply(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "its rules do not allow the connection",
        3 => "the server's network is unreachable",
        4 => "the server's host is unreachable",
        5 => "the server refused the connection",
        6 => "the time to live ran out",
        7 => "it has no command CONNECT",
        8 => "it does not know this kind of address",
        _ => "a failure it has no known code for",
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = (bits >> (18 - 6 * index)) & 63;
            text.push(if index > chunk.len() {
                '='
            } else {
                char::from(ALPHABET[digit as usize])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        let check = |text: &str, expect: &str| assert_eq!(base64(text.as_bytes()), expect);
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("foob", "Zm9vYg==");
        check("Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn addresses_are_read_and_passwords_are_not_shown() {
        let check = |text: &str, expect: &str| {
            assert_eq!(Proxy::parse(text).expect(text).to_string(), expect);
        };
        check("http://u:p@proxy", "http://proxy:3128");
        check("socks5://proxy/", "socks5://proxy:1080");
        check("socks5h://[::1]:9", "socks5://[::1]:9");
        let wrong = |text: &str, expect: &str| {
            let error = Proxy::parse(text).expect_err(text).to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        wrong("proxy:3128", "http://host:3128 or socks5://host:1080");
        wrong("https://proxy", "'https' is no proxy");
        wrong("http://", "names no host");
        wrong("http://proxy:x", "'x' is not a port");
        wrong("socks5://u@proxy", "1 to 255 bytes");
    }
}
