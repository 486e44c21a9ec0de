//! What is played: the loads, their names, and what one run of one client reports.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// The topic of all messages.
pub(crate) const TOPIC: &str = "bench/devices/device-17/state";

/// Clients that are connected before resident memory is looked at for the first time, and in the end.
pub(crate) const IDLE_CLIENTS: [usize; 2] = [200, 1_000];

/// Connections that are made at the same time.
pub(crate) const CONNECTS_AT_ONCE: usize = 8;

/// One thing that every client is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Publish as fast as outcomes come in.
    Publish { qos: u8, size: usize },
    /// Take what the peer sends as fast as it can, and acknowledge it.
    Receive { qos: u8, size: usize },
    /// Connect and disconnect, with a new client each time.
    Connect,
    /// Connect, subscribe, and do nothing.
    Idle,
}

impl Load {
    /// What is counted.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Load::Publish { .. } | Load::Receive { .. } => "messages",
            Load::Connect => "connects",
            Load::Idle => "clients",
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Load::Publish { qos, size } => write!(f, "publish:{qos}:{size}"),
            Load::Receive { qos, size } => write!(f, "receive:{qos}:{size}"),
            Load::Connect => f.write_str("connect"),
            Load::Idle => f.write_str("idle"),
        }
    }
}

impl FromStr for Load {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Load> {
        let parts: Vec<&str> = text.split(':').collect();
        Ok(match parts.as_slice() {
            ["publish", qos, size] => Load::Publish {
                qos: parse_qos(qos)?,
                size: size.parse().context("the size is a number of bytes")?,
            },
            ["receive", qos, size] => Load::Receive {
                qos: parse_qos(qos)?,
                size: size.parse().context("the size is a number of bytes")?,
            },
            ["connect"] => Load::Connect,
            ["idle"] => Load::Idle,
            _ => bail!(
                "{text:?} is no load; there are publish:QOS:BYTES, receive:QOS:BYTES, connect and idle"
            ),
        })
    }
}

fn parse_qos(text: &str) -> anyhow::Result<u8> {
    match text.parse() {
        Ok(qos @ 0..=2) => Ok(qos),
        _ => bail!("{text:?} is no QoS; there are 0, 1 and 2"),
    }
}

/// On how many threads the clients that are Rust futures run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
pub(crate) enum Runtime {
    /// tokio's current-thread runtime.
    Current,
    /// tokio's multi-thread runtime with its defaults.
    Multi,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Runtime::Current => "current",
            Runtime::Multi => "multi",
        })
    }
}

/// Everything that a run needs to know beside its client and its load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long messages are sent; what is under way then is waited for.
    pub(crate) time: Duration,
    /// Messages without an outcome at a time: the Receive Maximum of both sides.
    pub(crate) window: u16,
    pub(crate) runtime: Runtime,
}

/// CPU time of the playing process, and what it got done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Of all threads, in user and in system mode.
    pub(crate) cpu: Duration,
    /// For [`Load::Idle`]: resident memory per client in bytes.
    pub(crate) resident: f64,
}

/// One run of one client.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    pub(crate) cpu_us: f64,
    /// Resident memory per idle client in KiB.
    pub(crate) kib: f64,
    /// The part of the time in which the peer was busy.
    pub(crate) peer_busy: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_read_as_it_is_written() {
        for text in ["publish:0:64", "receive:2:1024", "connect", "idle"] {
            let load: Load = text.parse().expect("valid");
            assert_eq!(load.to_string(), text);
        }
        for text in ["publish:3:64", "publish:1", "receive:1:x", "sleep", ""] {
            assert!(text.parse::<Load>().is_err(), "{text}");
        }
    }
}
