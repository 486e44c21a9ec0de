//! Plays the same loads with several MQTT client libraries and compares what they cost.
//!
//! This process is the other end of all connections and conducts the runs. Each run has a process of
//! its own, so that its CPU time and its memory are those of one client library and nothing else.

mod contenders;
mod load;
mod peer;
mod play;
mod report;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand, ValueEnum as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use contenders::Client;
use load::{Load, Run, Runtime, Terms, Usage};
use peer::Peer;
use report::Results;

/// The longest that anything in a run may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Compares MQTT client libraries over loopback, in rotation.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    /// Clients to compare, the one that the others are compared with first.
    #[arg(long, value_delimiter = ',', value_enum)]
    clients: Vec<Client>,
    /// Loads: publish:QOS:BYTES, receive:QOS:BYTES, connect, idle.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "publish:0:64,publish:0:1024,publish:1:64,publish:1:1024,publish:2:64,publish:2:1024,\
                         receive:0:64,receive:0:1024,receive:1:64,receive:1:1024,receive:2:64,receive:2:1024,\
                         connect,idle"
    )]
    loads: Vec<Load>,
    /// Rounds; each plays every load with every client, in another order.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    terms: TermsArgs,
    /// Print every run as JSON instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Clone, Copy)]
struct TermsArgs {
    /// Seconds for which messages are sent in each run.
    #[arg(long, default_value_t = 0.8, global = true)]
    seconds: f64,
    /// Messages without an outcome at a time: the Receive Maximum of both sides.
    #[arg(long, default_value_t = 1_000, global = true)]
    window: u16,
    /// The runtime of the clients that are Rust futures.
    #[arg(long, value_enum, default_value = "current", global = true)]
    runtime: Runtime,
}

impl TermsArgs {
    fn terms(self) -> anyhow::Result<Terms> {
        Ok(Terms {
            time: Duration::try_from_secs_f64(self.seconds).context("--seconds")?,
            window: self.window,
            runtime: self.runtime,
        })
    }
}

#[derive(Subcommand)]
enum Role {
    /// Play one load with one client, conducted over standard input and output.
    #[command(hide = true)]
    Play {
        #[arg(value_enum)]
        client: Client,
        load: Load,
        address: SocketAddr,
    },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let terms = cli.terms.terms()?;
    if let Some(Role::Play {
        client,
        load,
        address,
    }) = cli.role
    {
        return client.play(address, load, &terms);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let results = runtime.block_on(compare(&cli, &terms))?;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        print!("{results}");
    }
    Ok(())
}

/// Plays all rounds.
async fn compare(cli: &Cli, terms: &Terms) -> anyhow::Result<Results> {
    let clients = if cli.clients.is_empty() {
        Client::value_variants()
    } else {
        &cli.clients
    };
    let peer = Peer::start(terms.window)?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut results = Results::new(clients);
    for round in 1..=cli.rounds {
        for &load in &cli.loads {
            let mut order = clients.to_vec();
            random.shuffle(&mut order);
            for client in order {
                let run = tokio::time::timeout(PATIENCE, conduct(&peer, client, load, terms)).await;
                let run = run
                    .unwrap_or_else(|_| bail!("nothing has happened for {PATIENCE:?}"))
                    .with_context(|| format!("{} could not play {load}", client.name()))?;
                results.add(client, load, run);
                eprintln!(
                    "{round}/{} {load} {}: {:.0}/s, {:.2} µs",
                    cli.rounds,
                    client.name(),
                    run.per_second,
                    run.cpu_us
                );
            }
        }
    }
    Ok(results)
}

/// Lets `client` play `load` in a process of its own.
async fn conduct(peer: &Peer, client: Client, load: Load, terms: &Terms) -> anyhow::Result<Run> {
    peer.reset();
    let mut player = Player::start(peer.address, client, load, terms)?;
    player.hear().await?;
    let (begin, peer_cpu) = (Instant::now(), peer.cpu());
    player.say("begin").await?;
    let count: u64 = match load {
        Load::Publish { .. } => {
            let count = player.hear().await?.parse()?;
            peer.take(count).await;
            count
        }
        Load::Receive { qos, size } => {
            let until = begin + terms.time;
            let count = peer.send(peer::Send { qos, size, until }).await;
            player.say(&count.to_string()).await?;
            player.hear().await?;
            count
        }
        Load::Connect => player.hear().await?.parse()?,
        Load::Idle => 1,
    };
    let took = begin.elapsed().as_secs_f64();
    let peer_busy = peer.cpu().saturating_sub(peer_cpu).as_secs_f64() / took;
    player.say("end").await?;
    let usage: Usage = serde_json::from_str(&player.hear().await?)?;
    player.process.kill().await?;
    Ok(Run {
        count,
        per_second: count as f64 / took,
        cpu_us: usage.cpu.as_secs_f64() * 1e6 / count as f64,
        kib: usage.resident / 1024.0,
        peer_busy,
    })
}

/// The playing process. It is killed when this is dropped.
struct Player {
    process: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Player {
    fn start(
        address: SocketAddr,
        client: Client,
        load: Load,
        terms: &Terms,
    ) -> anyhow::Result<Player> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("play")
            .args([client.name(), &load.to_string(), &address.to_string()])
            .arg(format!("--seconds={}", terms.time.as_secs_f64()))
            .arg(format!("--window={}", terms.window))
            .arg(format!("--runtime={}", terms.runtime))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let to = process.stdin.take().context("standard input is a pipe")?;
        let from = process.stdout.take().context("standard output is a pipe")?;
        Ok(Player {
            process,
            to,
            from: BufReader::new(from).lines(),
        })
    }

    async fn say(&mut self, line: &str) -> anyhow::Result<()> {
        self.to.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.to.flush().await?)
    }

    async fn hear(&mut self) -> anyhow::Result<String> {
        let line = self.from.next_line().await?;
        line.context("the playing process has ended; what it said is above")
    }
}
