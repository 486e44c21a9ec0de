//! How fast a broker takes connections, and what an idle one costs it in memory.
//!
//! Opens connections, a bounded number at a time, and holds all of them. The broker's memory is read before the
//! first and after the last.

use std::thread;
use std::time::Duration;

use crate::case::Load;
use crate::connection::{Connection, Hello};
use crate::opening::{Timings, check_open_files, open_all};
use crate::process::Process;
use crate::transport::Endpoint;

/// What a broker gets to finish its work on the last connections before its memory is read.
const SETTLE: Duration = Duration::from_millis(500);

/// What one measurement of connections found.
#[derive(Clone, Debug)]
pub(crate) struct ConnectRound {
    pub(crate) timings: Timings,
    pub(crate) broker_cpu: Option<Duration>,
    /// Growth of the broker's resident memory with all connections open.
    pub(crate) grown_kib: Option<u64>,
}

/// Opens `count` connections and closes them again.
pub(crate) fn measure(
    endpoint: &Endpoint,
    broker: Option<&Process>,
    count: usize,
    load: &Load,
) -> anyhow::Result<ConnectRound> {
    check_open_files(count)?;
    let run = fastrand::u32(..);
    let hello = |index| Hello {
        client_id: format!("bench{run:08x}c{index}"),
        subscription: None,
    };
    let rss_before = broker.map(Process::rss_kib).transpose()?;
    let cpu_before = broker.map(Process::cpu).transpose()?;
    let (connections, timings) = open_all(endpoint, load, (0..count).map(hello).collect())?;
    let cpu_after = broker.map(Process::cpu).transpose()?;
    if broker.is_some() {
        thread::sleep(SETTLE);
    }
    let rss_after = broker.map(Process::rss_kib).transpose()?;
    connections.into_iter().for_each(Connection::close);
    let grown = |(after, before): (u64, u64)| after.saturating_sub(before);
    Ok(ConnectRound {
        timings,
        broker_cpu: cpu_after
            .zip(cpu_before)
            .map(|(after, before)| after - before),
        grown_kib: rss_after.zip(rss_before).map(grown),
    })
}
