//! `wigwag top`: the runtime and the signals for what `wigwag-watch` does.

use std::process::ExitCode;

use wigwag_watch::top;

use crate::shutdown::Shutdown;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &top::Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    top::run(args, shutdown.requested()).await
}
