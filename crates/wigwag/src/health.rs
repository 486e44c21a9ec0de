//! `wigwag health`: asks a broker's HTTP listener whether every shard answers, and says so by its exit code.
//!
//! For supervisors that can only run a command, such as container runtimes. It needs no shell, no other program and
//! no configuration file: the environment tells the broker where to listen and this command where to ask.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

/// Where a broker serves metrics and health, beside what its configuration says.
const LISTENER: &str = "WIGWAG_METRICS_LISTENER";

/// Connecting and each read take at most this.
const PATIENCE: Duration = Duration::from_secs(5);

/// The first line of an answer is shorter.
const ANSWER_MAX: u64 = 1024;

/// Options of `wigwag health`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address and port of the broker's metrics listener
    #[arg(value_name = "ADDRESS", env = LISTENER)]
    listener: SocketAddr,
}

/// The listener that the environment adds to those of a configuration; an error says what is wrong with it.
pub(crate) fn listener_of_environment() -> Result<Option<SocketAddr>, String> {
    let Some(value) = std::env::var_os(LISTENER).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = value.to_string_lossy();
    text.parse().map(Some).map_err(|_| {
        format!("Error: Invalid '{LISTENER}' value ({text}) in the environment. Expected: ADDRESS:PORT, the address in numbers.")
    })
}

/// Ends with 0 if the broker is well, with 1 if it says that it is not, or says nothing.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let addr = args.listener;
    let line = ask(addr).with_context(|| format!("no answer from {addr}"))?;
    if is_ok(&line) {
        println!("ok");
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::bail!("{addr} answers \"{line}\"")
}

/// The first line of what the broker says to the question.
fn ask(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// `HTTP/1.1 200 OK`
fn is_ok(status_line: &str) -> bool {
    let mut words = status_line.split(' ');
    words
        .next()
        .is_some_and(|version| version.starts_with("HTTP/"))
        && words.next() == Some("200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_is_well() {
        assert!(is_ok("HTTP/1.1 200 OK"));
        for line in [
            "HTTP/1.1 503 Service Unavailable",
            "",
            "200",
            "HTTP/1.1 2000",
            "SSH-2.0 200",
        ] {
            assert!(!is_ok(line), "{line}");
        }
    }
}
