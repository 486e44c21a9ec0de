//! `wigwag exporter` and `wigwag probe`, which `wigwag-watch` has. HTTP is served with the bounds that all of it has
//! in this program.

use std::process::ExitCode;

use wigwag_broker::http::serve_router;
use wigwag_watch::exporter::{self, Args, ProbeArgs};

use crate::shutdown::Shutdown;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shutdown = Shutdown::listen()?;
    exporter::run(args, serve_router, shutdown.requested()).await
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run_probe(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    exporter::run_probe(args).await
}
