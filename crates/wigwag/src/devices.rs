//! `wigwag device` and `wigwag simulate`: the runtime and the signals for what `wigwag-devices` does.

use std::process::ExitCode;

use wigwag_devices::{device, fleet};

use crate::shutdown::Shutdown;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn device(args: &device::Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    device::run(args, shutdown.requested()).await?;
    Ok(ExitCode::SUCCESS)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn simulate(args: &fleet::Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    fleet::run(args, shutdown.requested()).await?;
    Ok(ExitCode::SUCCESS)
}
