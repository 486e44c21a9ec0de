//! A broker to test against: ours, or Mosquitto with the configuration of a common tutorial.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use crate::process::Process;
use crate::tools;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Wigwag,
    Mosquitto,
}

/// A running broker with a TCP and a WebSocket listener on 127.0.0.1.
pub(crate) struct Broker {
    kind: Kind,
    process: Process,
    mqtt_port: u16,
    ws_port: u16,
}

impl Broker {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::start_with(kind, "")
    }

    /// With more options for Mosquitto, whose defaults may stand in the way; ours has none that do.
    pub(crate) fn start_with(kind: Kind, mosquitto_options: &str) -> Self {
        // Mosquitto cannot choose a port by itself, and one that the system chooses is no port to come back to: it may
        // be taken while nobody listens there. Between our choice and the start somebody may take it too: then there is
        // another round.
        loop {
            let (mqtt_port, ws_port) = (free_port(), free_port());
            let broker = match kind {
                Kind::Wigwag => Self::wigwag(mqtt_port, ws_port),
                Kind::Mosquitto => Self::mosquitto(mqtt_port, ws_port, mosquitto_options),
            };
            if let Some(broker) = broker {
                return broker;
            }
        }
    }

    fn wigwag(mqtt_port: u16, ws_port: u16) -> Option<Self> {
        let mut command = tools::wigwag();
        command
            .args(["broker", "--mqtt-port", &mqtt_port.to_string()])
            .args(["--ws-port", &ws_port.to_string()]);
        let process = Process::start(&mut command);
        let line = process.await_line("that it runs or cannot", |line| {
            line.starts_with("ready") || line.contains("in use")
        });
        line.starts_with("ready").then_some(Self {
            kind: Kind::Wigwag,
            process,
            mqtt_port,
            ws_port,
        })
    }

    fn mosquitto(mqtt_port: u16, ws_port: u16, options: &str) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("mosquitto.conf");
        let configuration = format!(
            "{options}listener {mqtt_port} 127.0.0.1\n\
             listener {ws_port} 127.0.0.1\n\
             protocol websockets\n\
             allow_anonymous true\n\
             log_dest stderr\n"
        );
        fs::write(&file, configuration).unwrap();
        let process = Process::start(tools::system("mosquitto").arg("-c").arg(&file));
        let line = process.await_line("that it runs or cannot", |line| {
            line.ends_with(" running") || line.contains("Error")
        });
        line.ends_with(" running").then_some(Self {
            kind: Kind::Mosquitto,
            process,
            mqtt_port,
            ws_port,
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn mqtt_port(&self) -> u16 {
        self.mqtt_port
    }

    pub(crate) fn ws_port(&self) -> u16 {
        self.ws_port
    }

    pub(crate) fn mqtt_url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.mqtt_port)
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.ws_port)
    }

    /// Kills the broker as a crash would and starts another on the same ports.
    pub(crate) fn restart(self) -> Self {
        let Self {
            kind,
            process,
            mqtt_port,
            ws_port,
        } = self;
        drop(process);
        let broker = match kind {
            Kind::Wigwag => Self::wigwag(mqtt_port, ws_port),
            Kind::Mosquitto => Self::mosquitto(mqtt_port, ws_port, ""),
        };
        broker.unwrap_or_else(|| panic!("another process took port {mqtt_port} or {ws_port}"))
    }
}

/// A port that nobody listens on, never the same one twice. The system's own choice will not do: it comes
/// from the range of outgoing connections, one of which may take it before the broker does.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 100).expect("below 100") * 100;
    loop {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The addresses that `wigwag` prints before it says that it is ready.
pub(crate) struct Ports {
    lines: String,
}

impl Ports {
    pub(crate) fn await_ready(process: &Process) -> Self {
        process.await_line("that it is ready", |line| line.starts_with("ready"));
        Self {
            lines: process.said(),
        }
    }

    /// The port of the first address with this scheme.
    pub(crate) fn of(&self, scheme: &str) -> u16 {
        let address = self
            .lines
            .split_whitespace()
            .find(|word| word.starts_with(scheme));
        let port = address.and_then(|address| {
            address
                .trim_end_matches('/')
                .rsplit_once(':')?
                .1
                .parse()
                .ok()
        });
        port.unwrap_or_else(|| panic!("no {scheme} address with a port in:\n{}", self.lines))
    }
}
