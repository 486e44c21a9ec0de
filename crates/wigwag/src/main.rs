//! The wigwag binary: subcommands, output and exit codes. What they do is in the libraries.

mod bench;
mod broker;
mod dashboard;
mod device;
mod listen;
mod logging;
mod shutdown;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A complete MQTT stack in one binary.
#[derive(Debug, Parser)]
#[command(name = "wigwag", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Log more: -v for debug, -vv for everything (RUST_LOG overrides)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,

    /// Log warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything: broker, simulated devices and the web UI
    Up(up::Args),
    /// Run the broker
    Broker(broker::Args),
    /// Run a simulated device against any broker
    Device(device::Args),
    /// Serve the web UI for any broker that speaks MQTT over WebSocket
    Dashboard(dashboard::Args),
    /// Measure the speed of brokers
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::init(cli.verbose, cli.quiet);
    let result = match cli.command {
        Command::Up(args) => up::run(&args),
        Command::Broker(args) => broker::run(&args),
        Command::Device(args) => device::run(&args),
        Command::Dashboard(args) => dashboard::run(&args),
        Command::Bench(args) => bench::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
