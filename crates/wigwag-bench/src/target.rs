//! Which broker is measured: `[NAME=]ADDRESS[,pid=PID]` on the command line.
//!
//! Owns the parsing and the pairing of `--pid` with `--broker`; opens no connection.

use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use wigwag_net::dial;

const SHAPE: &str = "expected [NAME=]ADDRESS[,pid=PID], for example ours=localhost:1883,pid=4711 or tls=mqtts://localhost:8883";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: dial::Target,
    pub(crate) pid: Option<u32>,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Target> {
        let (broker, pid) = match text.rsplit_once(",") {
            Some((broker, option)) => (broker, Some(parse_pid_option(option)?)),
            None => (text, None),
        };
        // A path may hold an equals sign, a scheme cannot.
        let (name, address) = match broker.split_once('=') {
            Some((name, address)) if !name.contains("://") => (Some(name), address),
            _ => (None, broker),
        };
        ensure!(name != Some(""), "the name is empty; {SHAPE}");
        let address = parse_address(address)?;
        let name = name.map_or_else(|| shown(&address), str::to_owned);
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

/// An address as all commands take it; without a scheme it means MQTT over TCP.
fn parse_address(text: &str) -> anyhow::Result<dial::Target> {
    ensure!(!text.is_empty(), "the address is missing; {SHAPE}");
    let address = if text.contains("://") {
        text.parse::<dial::Target>()
    } else {
        format!("mqtt://{text}").parse()
    }?;
    if address.host().is_empty() {
        bail!("the bench connects over TCP, TLS and WebSocket only, not to {address}");
    }
    if address.credentials().is_some() {
        bail!(
            "the bench takes a user name and password by --username and --password, for all brokers the same"
        );
    }
    Ok(address)
}

/// The usual case without its scheme, so that the table stays narrow.
fn shown(address: &dial::Target) -> String {
    let full = address.to_string();
    full.strip_prefix("mqtt://").unwrap_or(&full).to_owned()
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
            address: address.parse().unwrap(),
            pid,
        }
    }

    #[test]
    fn a_broker_is_an_address_with_optional_name_port_and_pid() {
        let cases = [
            (
                "localhost",
                target("localhost:1883", "mqtt://localhost:1883", None),
            ),
            (
                "10.0.0.1:1884",
                target("10.0.0.1:1884", "mqtt://10.0.0.1:1884", None),
            ),
            ("a=host,pid=7", target("a", "mqtt://host", Some(7))),
            ("a=mqtt://host:99", target("a", "mqtt://host:99", None)),
            (
                "mqtts://host",
                target("mqtts://host:8883", "mqtts://host", None),
            ),
            (
                "a=ws://host:9001/mqtt?x=1,pid=3",
                target("a", "ws://host:9001/mqtt?x=1", Some(3)),
            ),
            (
                "wss://host/?x=1",
                target("wss://host:443/?x=1", "wss://host/?x=1", None),
            ),
            ("a=[::1]:5", target("a", "mqtt://[::1]:5", None)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Target>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_broker_that_cannot_be_meant_is_refused_with_what_is_expected() {
        let cases = [
            ("", "the address is missing"),
            ("=host", "the name is empty"),
            ("a=:1883", "names no host"),
            ("host:0", "'0' is not a port; 1 to 65535 are allowed"),
            ("host:http", "'http' is not a port"),
            ("quic://host", "the scheme 'quic' is not supported"),
            ("unix:///run/mqtt.sock", "over TCP, TLS and WebSocket only"),
            ("mqtt://me:secret@host", "--username"),
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
        let two = || {
            vec![
                target("a", "mqtt://h:1", None),
                target("b", "mqtt://h:2", None),
            ]
        };
        let pid = |text: &str| text.parse::<BrokerPid>().unwrap();
        let paired = pair(two(), &[pid("b=7")]).unwrap();
        assert_eq!(
            paired,
            [
                target("a", "mqtt://h:1", None),
                target("b", "mqtt://h:2", Some(7))
            ]
        );
        let paired = pair(vec![target("a", "mqtt://h:1", None)], &[pid("7")]).unwrap();
        assert_eq!(paired, [target("a", "mqtt://h:1", Some(7))]);

        let refused = |targets, pids: &[BrokerPid]| pair(targets, pids).unwrap_err().to_string();
        assert!(refused(two(), &[pid("7")]).contains("one of a, b"));
        assert!(refused(two(), &[pid("c=7")]).contains("only a, b"));
        assert!(refused(two(), &[pid("a=7"), pid("a=8")]).contains("two process ids"));
        let twins = vec![
            target("a", "mqtt://h:1", None),
            target("a", "mqtt://h:2", None),
        ];
        assert!(refused(twins, &[]).contains("two brokers are called 'a'"));
    }
}
