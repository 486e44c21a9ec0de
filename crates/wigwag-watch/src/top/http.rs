//! Reads a small document over HTTP: the broker's numbers at this moment, which `$SYS` has every ten seconds only.
//!
//! One GET for each connection, in HTTP/1.0, so that the answer ends with it. No redirects and no TLS: this is for an
//! address on the same machine or network that `http_api` listens on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(3);

/// Bytes of an answer, its headers included.
const BYTES_MAX: u64 = 1024 * 1024;

/// `http://HOST:PORT` without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Host and port.
    authority: String,
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Origin, String> {
        let refused =
            |why: &str| format!("'{text}' {why}; write http://HOST:PORT, as the listener has it");
        let rest = text
            .strip_prefix("http://")
            .ok_or_else(|| refused("does not begin with http://"))?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ', '\r', '\n']) {
            return Err(refused("has more or less than a host and a port"));
        }
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = match has_port {
            true => authority.to_owned(),
            false => format!("{authority}:80"),
        };
        Ok(Origin { authority })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

impl Origin {
    /// The body of what is at `path`.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let answer = timeout(WITHIN, self.exchange(path))
            .await
            .with_context(|| format!("{self} does not answer within {WITHIN:?}"))?
            .with_context(|| format!("{self} cannot be asked"))?;
        body_of(&answer).with_context(|| format!("{self}{path}"))
    }

    async fn exchange(&self, path: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.authority).await?;
        let request = format!(
            "GET {path} HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
            self.authority
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(BYTES_MAX).read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

fn body_of(answer: &[u8]) -> anyhow::Result<Vec<u8>> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let Some(end) = end else {
        bail!("the answer is not HTTP, or larger than {BYTES_MAX} bytes");
    };
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => Ok(answer[end + 4..].to_vec()),
        Some("401") => {
            bail!("asks for a password; give top a listener that allows anonymous reading")
        }
        Some("404") => bail!("there is no such page; is this a listener with 'protocol http_api'?"),
        _ => bail!("answers '{}'", status.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_host_and_a_port() {
        let check = |text: &str, shown: &str| {
            let origin: Origin = text.parse().expect(text);
            assert_eq!(origin.to_string(), shown);
        };
        check("http://localhost:9883", "http://localhost:9883");
        check("http://broker/", "http://broker:80");
        check("http://[::1]:9883", "http://[::1]:9883");
        for text in [
            "localhost:1",
            "https://a",
            "http://",
            "http://a/b",
            "http://u@a",
            "http://a b",
        ] {
            let error = text.parse::<Origin>().expect_err(text);
            assert!(error.contains("http://HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn an_answer_is_its_body_or_what_is_wrong() {
        let body = body_of(b"HTTP/1.0 200 OK\r\nContent-Type: a\r\n\r\n{}\r\n\r\n");
        assert_eq!(body.expect("a body"), b"{}\r\n\r\n");
        let check = |answer: &[u8], expect: &str| {
            let error = body_of(answer).expect_err(expect).to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(b"HTTP/1.1 404 Not Found\r\n\r\n", "http_api");
        check(b"HTTP/1.1 401 Unauthorized\r\n\r\n", "password");
        check(b"HTTP/1.1 500 Oh\r\n\r\n", "HTTP/1.1 500 Oh");
        check(b"\x20\x02\x00\x00", "not HTTP");
    }
}
