//! `wigwag broker`: the broker alone, started in its own way or exactly as Mosquitto is.
//!
//! With one of Mosquitto's options, or under the name `mosquitto`, everything goes as with Mosquitto: its defaults,
//! its log, its exit codes. Without, the broker listens on this machine with defaults of its own.

mod background;
mod configured;
mod privileges;
mod supervisor;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::listen::{AddressArgs, BrokerArgs, print_broker, start_broker};
use crate::logging;
use crate::output::say;
use crate::shutdown::Shutdown;

/// What Mosquitto ends with when its command line or its configuration is wrong.
pub(crate) const WRONG_CONFIGURATION: u8 = 3;

/// Ports that Mosquitto takes from its command line.
const PORTS_MAX: usize = 10;

/// Options of `wigwag broker`: those of Mosquitto, or its own.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("own")
    .args(["listen", "mqtt_port", "ws_port"])
    .multiple(true)
    .conflicts_with("MosquittoArgs"))]
pub(crate) struct Args {
    #[command(flatten)]
    mosquitto: MosquittoArgs,
    #[command(flatten)]
    address: AddressArgs,
    #[command(flatten)]
    own: BrokerArgs,
}

/// Options of Mosquitto's broker.
#[derive(Debug, clap::Args)]
pub(crate) struct MosquittoArgs {
    /// Read a configuration file in Mosquitto's form
    #[arg(short, long, value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Listen on this port of this machine, unless the file names listeners; may be given ten times
    #[arg(
        short,
        long = "port",
        value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    ports: Vec<u16>,

    /// Go to the background once the configuration has been read
    #[arg(short, long)]
    daemon: bool,

    /// Read the configuration file, say what is wrong with it, and end
    #[arg(long)]
    test_config: bool,

    /// Write the keys of TLS connections to a file, for Wireshark; who has it can read everything
    #[arg(long, value_name = "FILE")]
    tls_keylog: Option<PathBuf>,
}

/// How much is logged, if the command line says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    AsConfigured,
    Everything,
    Nothing,
}

impl MosquittoArgs {
    fn are_none(&self) -> bool {
        self.config_file.is_none()
            && self.ports.is_empty()
            && !self.daemon
            && !self.test_config
            && self.tls_keylog.is_none()
    }
}

/// Runs until a signal ends it, as Mosquitto if one of its options is there.
pub(crate) fn run(args: &Args, verbose: u8, quiet: bool) -> anyhow::Result<ExitCode> {
    if !args.mosquitto.are_none() {
        return Ok(run_as_mosquitto(&args.mosquitto, verbose, quiet));
    }
    let _lines = logging::init(verbose, quiet);
    run_alone(args)
}

/// The same as Mosquitto does it, with its exit codes.
pub(crate) fn run_as_mosquitto(args: &MosquittoArgs, verbose: u8, quiet: bool) -> ExitCode {
    let volume = match (quiet, verbose) {
        (true, _) => Volume::Nothing,
        (false, 0) => Volume::AsConfigured,
        (false, _) => Volume::Everything,
    };
    if args.ports.len() > PORTS_MAX {
        eprintln!("Error: Only {PORTS_MAX} ports can be specified on the command line.");
        return ExitCode::from(WRONG_CONFIGURATION);
    }
    configured::run(args, volume)
}

#[tokio::main(flavor = "current_thread")]
async fn run_alone(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let broker = start_broker(args.address, &args.own, None)?;
    print_broker(&broker, &args.address.host());
    say!("ready     Ctrl-C stops");
    shutdown.requested().await;
    broker.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
