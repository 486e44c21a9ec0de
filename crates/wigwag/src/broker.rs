//! `wigwag broker`: the broker alone.

use std::process::ExitCode;

use crate::listen::{AddressArgs, BrokerArgs, print_broker, start_broker};
use crate::shutdown::Shutdown;

/// Options of `wigwag broker`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    address: AddressArgs,
    #[command(flatten)]
    broker: BrokerArgs,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    let broker = start_broker(args.address, &args.broker)?;
    print_broker(&broker, &args.address.host());
    println!("ready     Ctrl-C stops");
    shutdown.requested().await;
    broker.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
