//! Ctrl-C: the round that goes on is given up, and what was found before it is told. A second one ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, ensure};
use tokio::signal::unix::{SignalKind, signal};

/// What shells expect of a program that Ctrl-C has ended.
pub(crate) const EXIT_CODE: u8 = 130;

/// Whether somebody has lost patience; clones are of one mind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes Ctrl-C on a thread of its own; from here on it no longer kills the process.
    pub(crate) fn listen() -> anyhow::Result<Interrupt> {
        let interrupt = Interrupt::default();
        let heard = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("cannot wait for Ctrl-C")?;
        let mut signals = {
            let _entered = runtime.enter();
            signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?
        };
        let listen = async move {
            while signals.recv().await.is_some() {
                if heard.0.swap(true, Ordering::Relaxed) {
                    std::process::exit(EXIT_CODE.into());
                }
            }
        };
        thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || runtime.block_on(listen))
            .context("cannot wait for Ctrl-C")?;
        Ok(interrupt)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Ends whatever is being done, if somebody has asked for that.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.is_set(), "interrupted");
        Ok(())
    }
}
