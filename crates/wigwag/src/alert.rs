//! `wigwag alert`, which `wigwag-watch` has.

use std::process::ExitCode;

use wigwag_watch::alert::{self, Args};

use crate::shutdown::Shutdown;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    alert::run(args, shutdown.requested()).await
}
