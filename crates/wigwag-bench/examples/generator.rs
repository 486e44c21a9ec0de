//! The load generator alone, without the rest of the binary: what its own work costs is measured on this.
//!
//! `perf stat -e instructions:u target/release/examples/generator --messages 1000000 …`, before and after a change.

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "generator")]
struct CommandLine {
    #[command(flatten)]
    args: wigwag_bench::Args,
}

fn main() -> ExitCode {
    wigwag_bench::run(CommandLine::parse().args).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
