//! Devices that are not there, as clients of any broker.
//!
//! Each module of a subcommand has its options as a `clap::Args` and a function that runs it until it is told to stop;
//! the binary brings the runtime and the signals.

pub mod device;
pub mod fleet;

mod contract;
mod host;
mod output;
mod period;
mod simulator;
mod source;
