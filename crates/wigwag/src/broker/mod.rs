//! `wigwag broker`: the broker alone, started in its own way or exactly as Mosquitto is.
//!
//! With `-c` or `-p`, or under the name `mosquitto`, everything goes as with Mosquitto: its defaults, its log,
//! its exit codes. Without, the broker listens on this machine with defaults of its own.

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

/// Options of `wigwag broker`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read a configuration file in Mosquitto's form
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["listen", "mqtt_port", "ws_port"])]
    config_file: Option<PathBuf>,

    /// Listen on this port of this machine, unless the file names listeners; may be given ten times
    #[arg(
        short,
        long = "port",
        value_name = "PORT",
        conflicts_with_all = ["listen", "mqtt_port", "ws_port"],
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

    #[command(flatten)]
    address: AddressArgs,
    #[command(flatten)]
    own: BrokerArgs,
}

/// How much is logged, if the command line says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    AsConfigured,
    Everything,
    Nothing,
}

impl Args {
    fn is_like_mosquitto(&self, is_named_mosquitto: bool) -> bool {
        is_named_mosquitto
            || self.config_file.is_some()
            || !self.ports.is_empty()
            || self.test_config
            || self.daemon
    }
}

/// Runs until a signal ends it.
pub(crate) fn run(
    args: &Args,
    verbose: u8,
    quiet: bool,
    is_named_mosquitto: bool,
) -> anyhow::Result<ExitCode> {
    if !args.is_like_mosquitto(is_named_mosquitto) {
        let _lines = logging::init(verbose, quiet);
        return run_alone(args);
    }
    let volume = match (quiet, verbose) {
        (true, _) => Volume::Nothing,
        (false, 0) => Volume::AsConfigured,
        (false, _) => Volume::Everything,
    };
    if args.ports.len() > PORTS_MAX {
        eprintln!("Error: Only {PORTS_MAX} ports can be specified on the command line.");
        return Ok(ExitCode::from(WRONG_CONFIGURATION));
    }
    Ok(configured::run(args, volume))
}

#[tokio::main(flavor = "current_thread")]
async fn run_alone(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let broker = start_broker(args.address, &args.own)?;
    print_broker(&broker, &args.address.host());
    say!("ready     Ctrl-C stops");
    shutdown.requested().await;
    broker.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
