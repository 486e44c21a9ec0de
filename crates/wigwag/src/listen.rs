//! Where the subcommands listen, and what they say when they cannot.

use std::io;
use std::net::{IpAddr, SocketAddr};

use anyhow::anyhow;
use wigwag_broker::{Address, Broker, Listener, Recording, StartError, Transport};

use crate::logging::broker_log;
use crate::output::say;
use crate::page;

/// Where a broker listens.
#[derive(Debug, clap::Args)]
pub(crate) struct BrokerArgs {
    /// Port for MQTT over TCP; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 1883)]
    pub(crate) mqtt_port: u16,

    /// Port for MQTT over WebSocket; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9001)]
    ws_port: u16,
}

/// The address to listen on.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct AddressArgs {
    /// Address to listen on; 0.0.0.0 or :: opens it to the network, without a password
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
}

impl AddressArgs {
    /// The host that somebody on this machine can use in a URL.
    pub(crate) fn host(self) -> String {
        match self.listen {
            ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        }
    }
}

/// What a broker has beside MQTT.
pub(crate) struct WebUi {
    /// Its port.
    pub(crate) port: u16,
    /// Where pages come from that are its own behind a proxy.
    pub(crate) origins: Vec<String>,
    /// What is recorded for it.
    pub(crate) recording: Option<Recording>,
}

/// Starts a broker, or says which port and which option are in the way.
pub(crate) fn start_broker(
    address: AddressArgs,
    args: &BrokerArgs,
    web_ui: Option<WebUi>,
) -> anyhow::Result<Broker> {
    let listener = |kind, port| everywhere_if_unspecified(kind, (address.listen, port).into());
    let mut builder = Broker::builder()
        .log(broker_log())
        .listener(listener(Listener::tcp, args.mqtt_port))
        .listener(listener(Listener::websocket, args.ws_port));
    if let Some(web_ui) = web_ui {
        let WebUi {
            port,
            origins,
            recording,
        } = web_ui;
        builder = builder
            .listener(listener(Listener::http, port).origins(origins))
            .web_ui(page::own()?);
        if let Some(recording) = recording {
            builder = builder.recording(recording);
        }
    }
    builder.start().map_err(|error| match error {
        StartError::Listen {
            address: Address::Tcp(addr),
            source,
        } => {
            let option = match addr.port() {
                port if port == args.mqtt_port => "--mqtt-port",
                port if port == args.ws_port => "--ws-port",
                _ => "--http-port",
            };
            cannot_listen(addr, option, &source)
        }
        error => error.into(),
    })
}

/// `::` means IPv4 too: whoever asks for all addresses does not mean half of them.
fn everywhere_if_unspecified(listener: fn(SocketAddr) -> Listener, addr: SocketAddr) -> Listener {
    match addr.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => listener(addr).everywhere(),
        _ => listener(addr),
    }
}

/// One line that names the port, the reason and the option that changes it.
pub(crate) fn cannot_listen(addr: SocketAddr, option: &str, error: &io::Error) -> anyhow::Error {
    let port = addr.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!(
                "port {port} on {} is in use; stop the program that uses it or choose another port with {option}",
                addr.ip()
            )
        }
        io::ErrorKind::PermissionDenied => {
            anyhow!("port {port} needs more rights; choose one from 1024 on with {option}")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow!(
                "{} is not an address of this machine; choose another with --listen",
                addr.ip()
            )
        }
        _ => anyhow!("cannot listen on {addr} ({option}): {error}"),
    }
}

/// The port that a listener of the broker got.
pub(crate) fn port_of(broker: &Broker, transport: Transport) -> u16 {
    let bound = broker
        .listeners()
        .iter()
        .find(|bound| bound.transport == transport);
    bound.and_then(|bound| bound.address.port()).unwrap_or(0)
}

/// Prints where to find the broker.
pub(crate) fn print_broker(broker: &Broker, host: &str) {
    say!(
        "mqtt      mqtt://{host}:{}",
        port_of(broker, Transport::Tcp)
    );
    say!(
        "websocket ws://{host}:{}",
        port_of(broker, Transport::WebSocket)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_port_and_the_option() {
        let addr = "127.0.0.1:1883".parse().expect("an address");
        let error =
            cannot_listen(addr, "--mqtt-port", &io::ErrorKind::AddrInUse.into()).to_string();
        assert!(
            error.contains("1883") && error.contains("--mqtt-port"),
            "{error}"
        );
    }

    #[test]
    fn urls_name_a_host_that_can_be_reached() {
        let host = |ip: &str| {
            AddressArgs {
                listen: ip.parse().expect("an address"),
            }
            .host()
        };
        assert_eq!(host("127.0.0.1"), "localhost");
        assert_eq!(host("0.0.0.0"), "localhost");
        assert_eq!(host("192.0.2.1"), "192.0.2.1");
        assert_eq!(host("2001:db8::1"), "[2001:db8::1]");
    }
}
