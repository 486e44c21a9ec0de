//! `wigwag up`: broker, simulated devices and web UI in one process.

use std::process::ExitCode;

use wigwag_broker::Transport;
use wigwag_devices::device::Device;

use crate::dashboard::{HttpArgs, print_page};
use crate::history::HistoryArgs;
use crate::listen::{AddressArgs, BrokerArgs, WebUi, port_of, print_broker, start_broker};
use crate::output::say;
use crate::shutdown::Shutdown;

/// Options of `wigwag up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Simulated devices to start, with the ids 1, 2, …
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=1_000))]
    devices: u32,
    #[command(flatten)]
    address: AddressArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    history: HistoryArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let recording = args.history.recording(args.broker.mqtt_port);
    let history = recording.as_ref().map(|it| it.path().to_owned());
    let web_ui = WebUi {
        port: args.http.http_port,
        origins: args.http.origin.clone(),
        recording,
    };
    let broker = start_broker(args.address, &args.broker, Some(web_ui))?;
    let url = mqtt_url(args, &broker);
    let devices = (1..=args.devices)
        .map(|id| Device::start(&url, &id.to_string()))
        .collect::<Result<Vec<_>, _>>()?;

    let host = args.address.host();
    print_broker(&broker, &host);
    print_page(args.address, port_of(&broker, Transport::HttpApi));
    if let Some(folder) = history {
        say!("history   {}", folder.display());
    }
    say!("devices   {}", args.devices);
    let mqtt_port = port_of(&broker, Transport::Tcp);
    say!("try       mosquitto_sub -h {host} -p {mqtt_port} -t 'device/+/state' -v");
    say!("ready     Ctrl-C stops");

    shutdown.requested().await;
    let mut farewells = tokio::task::JoinSet::new();
    for device in devices {
        farewells.spawn(device.stop());
    }
    farewells.join_all().await;
    broker.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// The address at which the devices of this process reach its broker.
fn mqtt_url(args: &Args, broker: &wigwag_broker::Broker) -> String {
    let ip = match args.address.listen {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    format!(
        "mqtt://{}",
        std::net::SocketAddr::new(ip, port_of(broker, Transport::Tcp))
    )
}
