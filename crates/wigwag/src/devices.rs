//! `wigwag device`: the runtime and the signals for what `wigwag-devices` does.

use std::process::ExitCode;

use wigwag_devices::device;

use crate::shutdown::Shutdown;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn device(args: &device::Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    device::run(args, shutdown.requested()).await?;
    Ok(ExitCode::SUCCESS)
}
