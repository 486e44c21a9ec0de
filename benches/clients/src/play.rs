//! The playing process: one client library, one load, one report.
//!
//! It speaks with the conducting process in lines over standard input and output, so that both agree on
//! when the run begins and ends: CPU time is taken at these two points and nowhere else.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::resource::{Usage as SystemUsage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

use crate::load::{CONNECTS_AT_ONCE, IDLE_CLIENTS, Load, Runtime, Terms, Usage};

/// A client library, used as its documentation says and at its best settings.
pub(crate) trait Contender: Sized + 'static {
    /// Opens a connection of MQTT 5 and waits for the CONNACK. Messages go to `received`.
    async fn connect(options: &Options, received: Arc<Received>) -> anyhow::Result<Self>;

    /// Subscribes to the topic and waits for the SUBACK.
    async fn subscribe(&mut self, qos: u8) -> anyhow::Result<()>;

    /// Publishes until `until` with at most `options.window` messages without an outcome. Returns how
    /// many, after the outcome of the last one of QoS 1 or 2.
    async fn publish(
        &mut self,
        options: &Options,
        qos: u8,
        size: usize,
        until: Instant,
    ) -> anyhow::Result<u64>;

    /// Sends a DISCONNECT.
    async fn disconnect(self) -> anyhow::Result<()>;
}

/// What a client is told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) address: SocketAddr,
    pub(crate) client_id: String,
    /// Receive Maximum, and messages without an outcome.
    pub(crate) window: u16,
}

/// When to stop publishing. The clock is read now and then: it would cost more than some of the clients.
pub(crate) struct Until {
    at: Instant,
    asked: u32,
}

impl Until {
    pub(crate) const fn new(at: Instant) -> Until {
        Until { at, asked: 0 }
    }

    pub(crate) fn is_over(&mut self) -> bool {
        const EVERY: u32 = 32;
        self.asked += 1;
        self.asked.is_multiple_of(EVERY) && Instant::now() >= self.at
    }
}

/// Counts messages.
#[derive(Debug)]
pub(crate) struct Received {
    count: AtomicU64,
    expected: AtomicU64,
    reached: Notify,
}

impl Default for Received {
    fn default() -> Received {
        Received {
            count: AtomicU64::new(0),
            expected: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
        }
    }
}

impl Received {
    /// A message has arrived.
    pub(crate) fn add(&self, payload: &[u8]) {
        // What has been received must be looked at, or the compiler might not have it made.
        std::hint::black_box(payload);
        let count = self.count.fetch_add(1, Relaxed) + 1;
        if count >= self.expected.load(Relaxed) {
            self.reached.notify_one();
        }
    }

    async fn reach(&self, expected: u64) {
        self.expected.store(expected, Relaxed);
        while self.count.load(Relaxed) < expected {
            // A message may have been counted between the two lines above.
            let wait = self.reached.notified();
            let _ = tokio::time::timeout(Duration::from_millis(1), wait).await;
        }
    }
}

/// CPU time in user and in system mode.
pub(crate) fn cpu_of(usage: &SystemUsage) -> Duration {
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

fn cpu() -> anyhow::Result<Duration> {
    Ok(cpu_of(&getrusage(UsageWho::RUSAGE_SELF)?))
}

/// Resident memory in bytes.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = (status.lines()).find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.context("VmRSS is missing")?.trim().parse()?;
    Ok(kib * 1024)
}

/// Plays `load` with the client `C`.
pub(crate) fn play<C: Contender>(
    address: SocketAddr,
    load: Load,
    terms: &Terms,
) -> anyhow::Result<()> {
    let runtime = match terms.runtime {
        Runtime::Current => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
        Runtime::Multi => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?,
    };
    let options = Options {
        address,
        client_id: "bench-0".to_owned(),
        window: terms.window,
    };
    let run = run::<C>(options, load, *terms, Conductor::new());
    runtime.block_on(LocalSet::new().run_until(run))
}

async fn run<C: Contender>(
    options: Options,
    load: Load,
    terms: Terms,
    mut conductor: Conductor,
) -> anyhow::Result<()> {
    match load {
        Load::Publish { qos, size } => {
            let mut client = C::connect(&options, Arc::default()).await?;
            let before = conductor.begin().await?;
            let until = Instant::now() + terms.time;
            let count = client.publish(&options, qos, size, until).await?;
            conductor.end(count, before).await?;
        }
        Load::Receive { qos, .. } => {
            let received = Arc::new(Received::default());
            let mut client = C::connect(&options, received.clone()).await?;
            client.subscribe(qos).await?;
            let before = conductor.begin().await?;
            let expected = conductor.line().await?.parse()?;
            received.reach(expected).await;
            conductor.end(expected, before).await?;
            drop(client);
        }
        Load::Connect => {
            let before = conductor.begin().await?;
            let count = connect::<C>(&options, Instant::now() + terms.time).await?;
            conductor.end(count, before).await?;
        }
        Load::Idle => {
            let (clients, resident) = idle::<C>(&options, &mut conductor).await?;
            conductor.report(&Usage {
                cpu: Duration::ZERO,
                resident,
            })?;
            drop(clients);
        }
    }
    Ok(())
}

/// Connects and disconnects until `until`, a few at a time; returns how many times.
async fn connect<C: Contender>(options: &Options, until: Instant) -> anyhow::Result<u64> {
    let count = Rc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..CONNECTS_AT_ONCE)
        .map(|task| {
            let (count, mut options) = (count.clone(), options.clone());
            options.client_id = format!("bench-{task}");
            tokio::task::spawn_local(async move {
                while Instant::now() < until {
                    let client = C::connect(&options, Arc::default()).await?;
                    client.disconnect().await?;
                    count.fetch_add(1, Relaxed);
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(count.load(Relaxed))
}

/// Makes idle clients; returns them, and the resident memory that each of the later ones has cost.
async fn idle<C: Contender>(
    options: &Options,
    conductor: &mut Conductor,
) -> anyhow::Result<(Vec<C>, f64)> {
    conductor.begin().await?;
    let [first, all] = IDLE_CLIENTS;
    let mut clients = Vec::with_capacity(all);
    let mut before = 0;
    for number in 0..all {
        if number == first {
            before = resident()?;
        }
        let mut options = options.clone();
        options.client_id = format!("bench-{number}");
        let mut client = C::connect(&options, Arc::default()).await?;
        client.subscribe(1).await?;
        clients.push(client);
    }
    let grown = resident()?.saturating_sub(before);
    Ok((clients, grown as f64 / (all - first) as f64))
}

/// The other process, on standard input and output.
struct Conductor {
    lines: mpsc::UnboundedReceiver<String>,
}

impl Conductor {
    fn new() -> Conductor {
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Conductor { lines }
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        match self.lines.recv().await {
            Some(line) => Ok(line),
            None => bail!("the conducting process has gone away"),
        }
    }

    fn say(&self, line: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        Ok(out.flush()?)
    }

    /// Waits for the word to begin; returns the CPU time at that point.
    async fn begin(&mut self) -> anyhow::Result<Duration> {
        self.say("ready")?;
        let _ = self.line().await?;
        cpu()
    }

    /// Says how much has been done, waits for the word that the peer agrees, and reports.
    async fn end(&mut self, count: u64, before: Duration) -> anyhow::Result<()> {
        self.say(&count.to_string())?;
        let _ = self.line().await?;
        self.report(&Usage {
            cpu: cpu()?.saturating_sub(before),
            resident: 0.0,
        })
    }

    fn report(&self, usage: &Usage) -> anyhow::Result<()> {
        self.say(&serde_json::to_string(usage)?)
    }
}
