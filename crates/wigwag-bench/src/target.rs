//! Which broker is measured: `[NAME=]HOST[:PORT][,pid=PID]` on the command line.
//!
//! Owns the parsing and the pairing of `--pid` with `--broker`; opens no connection.

use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};

const DEFAULT_PORT: u16 = 1883;
const SHAPE: &str =
    "expected [NAME=]HOST[:PORT][,pid=PID], for example ours=localhost:1883,pid=4711";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// Host and port, as the resolver takes them.
    pub(crate) address: String,
    pub(crate) pid: Option<u32>,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Target> {
        let (broker, options) = match text.split_once(',') {
            Some((broker, options)) => (broker, Some(options)),
            None => (text, None),
        };
        let pid = options.map(parse_pid_option).transpose()?;
        let (name, address) = match broker.split_once('=') {
            Some((name, address)) => (Some(name), address),
            None => (None, broker),
        };
        let address = with_port(address)?;
        ensure!(name != Some(""), "the name is empty; {SHAPE}");
        let name = name.unwrap_or(&address).to_owned();
        Ok(Target { name, address, pid })
    }
}

fn parse_pid_option(option: &str) -> anyhow::Result<u32> {
    let pid = option
        .strip_prefix("pid=")
        .with_context(|| format!("'{option}' is not an option of a broker; {SHAPE}"))?;
    parse_pid(pid)
}

fn parse_pid(pid: &str) -> anyhow::Result<u32> {
    pid.parse()
        .ok()
        .with_context(|| format!("'{pid}' is not a process id"))
}

/// The address with its port, without the scheme that the other commands take.
fn with_port(address: &str) -> anyhow::Result<String> {
    let bare = match address.split_once("://") {
        None => address,
        Some(("mqtt" | "tcp", rest)) => rest,
        Some((scheme, _)) => {
            bail!("the bench speaks MQTT over TCP only, not {scheme}://")
        }
    };
    // The colons of an IPv6 address stand in brackets.
    let after_host = bare.rfind(']').map_or(0, |end| end + 1);
    let port_at = bare[after_host..].rfind(':').map(|at| after_host + at);
    let (host, port) = match port_at {
        Some(at) => {
            let port = &bare[at + 1..];
            let port: u16 = port
                .parse()
                .ok()
                .filter(|&port| port > 0)
                .with_context(|| format!("'{port}' is not a port between 1 and 65535"))?;
            (&bare[..at], port)
        }
        None => (bare, DEFAULT_PORT),
    };
    ensure!(!host.is_empty(), "the host is missing; {SHAPE}");
    ensure!(
        !host.contains(':') || host.starts_with('['),
        "an IPv6 address stands in brackets: [{bare}]"
    );
    Ok(format!("{host}:{port}"))
}

/// A `--pid`: the process of the broker of this name, or of the only broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerPid {
    name: Option<String>,
    pid: u32,
}

impl FromStr for BrokerPid {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<BrokerPid> {
        let (name, pid) = match text.split_once('=') {
            Some((name, pid)) => (Some(name.to_owned()), pid),
            None => (None, text),
        };
        let pid = parse_pid(pid)?;
        Ok(BrokerPid { name, pid })
    }
}

/// Gives every process id to its broker, and checks that names are unique.
pub(crate) fn pair(mut targets: Vec<Target>, pids: &[BrokerPid]) -> anyhow::Result<Vec<Target>> {
    for (index, target) in targets.iter().enumerate() {
        ensure!(
            targets[..index]
                .iter()
                .all(|other| other.name != target.name),
            "two brokers are called '{}': give them names, --broker NAME=HOST:PORT",
            target.name
        );
    }
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    for BrokerPid { name, pid } in pids {
        let target = match name {
            None if targets.len() == 1 => &mut targets[0],
            None => bail!(
                "--pid {pid} does not say which broker it is: --pid NAME={pid}, where NAME is one of {}",
                names.join(", ")
            ),
            Some(name) => targets
                .iter_mut()
                .find(|target| target.name == *name)
                .with_context(|| {
                    format!(
                        "--pid {name}={pid}: no broker is called '{name}', only {}",
                        names.join(", ")
                    )
                })?,
        };
        ensure!(
            target.pid.is_none(),
            "the broker '{}' has two process ids",
            target.name
        );
        target.pid = Some(*pid);
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, address: &str, pid: Option<u32>) -> Target {
        Target {
            name: name.to_owned(),
            address: address.to_owned(),
            pid,
        }
    }

    #[test]
    fn a_broker_is_an_address_with_optional_name_port_and_pid() {
        let cases = [
            (
                "localhost",
                target("localhost:1883", "localhost:1883", None),
            ),
            (
                "10.0.0.1:1884",
                target("10.0.0.1:1884", "10.0.0.1:1884", None),
            ),
            ("a=host,pid=7", target("a", "host:1883", Some(7))),
            ("a=mqtt://host:99", target("a", "host:99", None)),
            ("a=[::1]", target("a", "[::1]:1883", None)),
            ("a=[::1]:5", target("a", "[::1]:5", None)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Target>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_broker_that_cannot_be_meant_is_refused_with_what_is_expected() {
        let cases = [
            ("", "the host is missing"),
            ("=host", "the name is empty"),
            ("a=:1883", "the host is missing"),
            ("host:0", "'0' is not a port between 1 and 65535"),
            ("host:http", "'http' is not a port"),
            ("::1", "in brackets: [::1]"),
            ("wss://host", "MQTT over TCP only, not wss://"),
            ("host,pid=x", "'x' is not a process id"),
            ("host,ip=1", "'ip=1' is not an option"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn process_ids_find_their_broker() {
        let two = || vec![target("a", "h:1", None), target("b", "h:2", None)];
        let pid = |text: &str| text.parse::<BrokerPid>().unwrap();
        let paired = pair(two(), &[pid("b=7")]).unwrap();
        assert_eq!(
            paired,
            [target("a", "h:1", None), target("b", "h:2", Some(7))]
        );
        let paired = pair(vec![target("a", "h:1", None)], &[pid("7")]).unwrap();
        assert_eq!(paired, [target("a", "h:1", Some(7))]);

        let refused = |targets, pids: &[BrokerPid]| pair(targets, pids).unwrap_err().to_string();
        assert!(refused(two(), &[pid("7")]).contains("one of a, b"));
        assert!(refused(two(), &[pid("c=7")]).contains("only a, b"));
        assert!(refused(two(), &[pid("a=7"), pid("a=8")]).contains("two process ids"));
        let twins = vec![target("a", "h:1", None), target("a", "h:2", None)];
        assert!(refused(twins, &[]).contains("two brokers are called 'a'"));
    }
}
