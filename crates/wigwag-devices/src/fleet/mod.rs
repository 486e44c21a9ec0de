//! `wigwag simulate`: fleets of devices against any broker, as a scenario describes them.
//!
//! `scenario` is what is asked for, `behaviour` what a device is to its driver, with a module for each kind; `member`
//! drives one device. Everything that is drawn follows from the scenario's seed.

mod behaviour;
mod dashboard;
mod faults;
mod home_assistant;
mod member;
mod scenario;
mod sparkplug;
mod tally;
mod walk;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use self::behaviour::Behaviour;
use self::dashboard::Dashboard;
use self::home_assistant::HomeAssistant;
use self::member::{Member, World};
use self::scenario::{BUILT_IN, Fleet, Kind, Scenario};
use self::sparkplug::EdgeNode;
use self::tally::{Memory, Report, Tally, resident_bytes};
use crate::output::{say, without_credentials};
use crate::period;

/// How long a fleet that stops waits for its devices.
const FAREWELL: Duration = Duration::from_secs(10);

/// How often the start of the fleet is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// Options of `wigwag simulate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A scenario that comes with the program, or a file that ends in .toml or .json
    #[arg(value_name = "SCENARIO", required_unless_present_any = ["list", "show"])]
    scenario: Option<String>,

    /// Broker to connect to: mqtt://HOST:PORT or ws://HOST:PORT/PATH, with user:password@ before the host if needed
    #[arg(long, value_name = "URL", default_value = "mqtt://localhost:1883")]
    broker: String,

    /// Devices of each fleet, instead of those that the scenario has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: Option<u32>,

    /// What all random numbers follow from, instead of the scenario's seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Devices that start each second, instead of the scenario's rate
    #[arg(long, value_name = "N")]
    start_rate: Option<f64>,

    /// End by itself after this time, such as 30s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = period::parse)]
    duration: Option<Duration>,

    /// Take back at the end what the devices have left retained
    #[arg(long)]
    forget: bool,

    /// Time between two lines of progress
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = period::parse)]
    report: Duration,

    /// Print each line of progress as a JSON object
    #[arg(long)]
    json: bool,

    /// List the scenarios that come with the program
    #[arg(long)]
    list: bool,

    /// Print the scenario of this name, to make one's own from it
    #[arg(long, value_name = "SCENARIO", conflicts_with = "list")]
    show: Option<String>,
}

/// Runs a scenario until `shutdown` resolves, its time is over, or the broker has refused every device.
///
/// Dropping the future ends all devices without a goodbye: the broker publishes their Wills.
pub async fn run(args: &Args, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    if args.list {
        list();
        return Ok(());
    }
    if let Some(name) = &args.show {
        return show(name);
    }
    let name = args.scenario.as_deref().unwrap_or_default();
    let scenario = load(name, args).map_err(|error| anyhow!(error))?;
    member::describe(&args.broker, "1")
        .build()
        .with_context(|| format!("--broker {}", without_credentials(&args.broker)))?;
    let devices = scenario.devices();
    if !args.json {
        say!(
            "scenario  {name}: {devices} devices, seed {}",
            scenario.seed
        );
        say!("broker    {}", without_credentials(&args.broker));
    }
    let run = Run::start(args, &scenario);
    run.last(args, shutdown).await
}

fn load(name: &str, args: &Args) -> Result<Scenario, String> {
    let mut scenario = Scenario::load(name)?;
    if let Some(seed) = args.seed {
        scenario.seed = seed;
    }
    if let Some(rate) = args.start_rate {
        scenario.start_rate = rate;
    }
    if let Some(count) = args.count {
        for fleet in &mut scenario.fleets {
            fleet.set_count(count)?;
        }
    }
    scenario.check()?;
    Ok(scenario)
}

fn list() {
    for (name, text) in BUILT_IN {
        let about = text.lines().next().unwrap_or_default();
        say!("{name:<15} {}", about.trim_start_matches("# "));
    }
}

fn show(wanted: &str) -> anyhow::Result<()> {
    let found = BUILT_IN.iter().find(|(name, _)| *name == wanted);
    let Some((_, text)) = found else {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        bail!(
            "--show {wanted}: no such scenario comes with the program; there are {}",
            names.join(", ")
        );
    };
    say!("{}", text.trim_end());
    Ok(())
}

/// A scenario that is running.
struct Run {
    devices: u32,
    tally: Arc<Tally>,
    members: JoinSet<()>,
    stop: watch::Sender<bool>,
    began: Instant,
    /// Memory before there were devices.
    base: Option<u64>,
    last_report: (Instant, u64),
}

impl Run {
    fn start(args: &Args, scenario: &Scenario) -> Run {
        let base = resident_bytes();
        let tally = Arc::new(Tally::default());
        let world = Arc::new(World {
            broker: args.broker.clone(),
            tally: Arc::clone(&tally),
            forget: args.forget,
        });
        let (stop, stopped) = watch::channel(false);
        let began = Instant::now();
        let mut members = JoinSet::new();
        let mut random = fastrand::Rng::with_seed(scenario.seed);
        for fleet in &scenario.fleets {
            for number in 1..=fleet.count {
                let mut random = random.fork();
                let id = fleet.id(number);
                let member = Member {
                    world: Arc::clone(&world),
                    behaviour: behaviour_of(fleet, &id, random.fork()),
                    id,
                    every: fleet.every,
                    faults: fleet.faults,
                    random,
                    stop: stopped.clone(),
                };
                let wait = Duration::from_secs_f64(members.len() as f64 / scenario.start_rate);
                members.spawn(member.live(began + wait));
            }
        }
        Run {
            devices: scenario.devices(),
            tally,
            members,
            stop,
            began,
            base,
            last_report: (began, 0),
        }
    }

    /// Reports until the end, and lets the devices say goodbye.
    async fn last(mut self, args: &Args, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut shutdown = pin!(shutdown);
        let over = async {
            match args.duration {
                Some(duration) => sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        let mut over = pin!(over);
        let mut reports = interval_at(self.began + args.report, args.report);
        let mut glances = interval_at(self.began + GLANCE, GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_ready = false;
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                () = &mut over => break,
                _ = reports.tick() => self.report(args),
                _ = glances.tick(), if !is_ready => {
                    is_ready = self.tally.arrived.read() == u64::from(self.devices);
                    if is_ready && !args.json {
                        let secs = self.began.elapsed().as_secs_f64();
                        say!("ready     {} devices online after {secs:.1} s; Ctrl-C stops", self.devices);
                    }
                }
                Some(_) = self.members.join_next() => {
                    if self.members.is_empty() {
                        let why = self.tally.take_trouble().unwrap_or_default();
                        bail!("the broker refuses every device: {why}");
                    }
                }
            }
        }
        // Before the devices go: afterwards none is online.
        self.report(args);
        self.stop.send_replace(true);
        let gone = timeout(FAREWELL, async {
            while self.members.join_next().await.is_some() {}
        });
        if gone.await.is_err() {
            tracing::warn!(
                devices = self.members.len(),
                "not all devices could say goodbye in time"
            );
        }
        Ok(())
    }

    fn report(&mut self, args: &Args) {
        let now = Instant::now();
        let published = self.tally.published.read();
        let (then, published_then) = self.last_report;
        let elapsed = now.duration_since(then).as_secs_f64().max(0.001);
        self.last_report = (now, published);
        let report = Report {
            devices: self.devices,
            elapsed: self.began.elapsed(),
            rate: (published - published_then) as f64 / elapsed,
            memory: Memory::measure(self.base, self.devices.into()),
        };
        if args.json {
            say!("{}", report.json(&self.tally));
        } else {
            say!("{}", report.line(&self.tally));
        }
        if let Some(why) = self.tally.take_trouble() {
            tracing::warn!(%why, "the last device without a connection");
        }
    }
}

fn behaviour_of(fleet: &Fleet, id: &str, random: fastrand::Rng) -> Box<dyn Behaviour> {
    let id = id.to_owned();
    match &fleet.kind {
        Kind::Dashboard { running } => Box::new(Dashboard::new(id, *running, random)),
        Kind::HomeAssistant(home) => Box::new(HomeAssistant::new(Arc::clone(home), id, random)),
        Kind::Sparkplug(group) => Box::new(EdgeNode::new(Arc::clone(group), id, random)),
    }
}
