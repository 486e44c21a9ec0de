//! `wigwag bench`: how fast a broker is, what that costs it, and whether it keeps its promises.
//!
//! Measures any broker that speaks MQTT over TCP, several of them in turns. The load generator speaks
//! packets itself, without the client library, so that neither its speed nor its faults colour the
//! figures. What the figures mean and how to repeat them: `docs/design/performance.md`.

mod case;
mod target;

mod connection;
mod schedule;
mod sequence;
mod wire;

mod connects;
mod generator;
mod process;
mod report;

#[cfg(test)]
mod tests;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use wigwag_proto::{Qos, Version};

use self::case::{Bound, Case, Load, Pace, Topology};
use self::process::Process;
use self::report::{CASES, CONNECTS, ConnectRow, Method, Row};
use self::target::{BrokerPid, Target};
use self::wire::Stamp;

/// A case in which nothing moves for so long is given up.
const STALL_MAX: Duration = Duration::from_secs(10);
/// At QoS 0 nobody owes a message; what has not come after so long a silence is lost.
const SILENCE_MAX: Duration = Duration::from_secs(2);
const PAYLOAD_MAX: i64 = 16 * 1024 * 1024;

/// Measure the speed of one or more MQTT brokers.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Broker to measure; repeat it to compare several in alternating rounds
    #[arg(
        long,
        value_name = "[NAME=]HOST[:PORT][,pid=PID]",
        default_value = "localhost:1883"
    )]
    broker: Vec<Target>,

    /// Process of a broker on this machine, for its CPU time and memory
    #[arg(long, value_name = "[NAME=]PID")]
    pid: Vec<BrokerPid>,

    /// Who publishes to whom
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "pairs,fan-out,fan-in",
        hide_possible_values = true
    )]
    topology: Vec<Topology>,

    /// QoS of messages and subscriptions: 0, 1
    #[arg(long, value_delimiter = ',', default_value = "0,1", value_parser = parse_qos)]
    qos: Vec<Qos>,

    /// Payload in bytes
    #[arg(
        long,
        value_name = "BYTES",
        value_delimiter = ',',
        default_value = "64,1024",
        value_parser = clap::value_parser!(u32).range(Stamp::LEN as i64..=PAYLOAD_MAX)
    )]
    size: Vec<u32>,

    /// Publishers, and as many subscribers, of the topology pairs
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pairs: u32,

    /// Subscribers of fan-out, publishers of fan-in
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    fan: u32,

    /// How long publishers send per case and round, in seconds
    #[arg(long, value_name = "S", default_value = "3", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Deliveries per case and round, instead of a time
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,

    /// Closed loop: deliveries that may be outstanding, over all subscribers
    #[arg(long, value_name = "N", default_value = "2000", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    window: u64,

    /// Open loop: deliveries per second, due at even distances whatever the broker does
    #[arg(long, value_name = "N", conflicts_with = "window", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,

    /// Repetitions of each case at each broker, of which the median counts
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,

    /// Measure connections instead of messages: how many per second, and their memory
    #[arg(long, conflicts_with_all = ["topology", "qos", "size", "pairs", "fan", "messages", "seconds", "window", "rate"])]
    connect: bool,

    /// Connections that --connect opens and holds
    #[arg(long, value_name = "N", default_value = "1000", requires = "connect", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    idle: u32,

    /// Version of MQTT: 3.1, 3.1.1 or 5
    #[arg(long, visible_alias = "protocol-version", default_value = "3.1.1", value_parser = parse_version)]
    version: Version,

    /// User Name of all connections
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// Password of all connections
    #[arg(long, requires = "username")]
    password: Option<String>,

    /// Print one JSON document with all figures instead of the table
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Messages are counted as they arrive: with 20 subscribers one message makes 20 deliveries.
The exit code is 1 if a message of QoS 1 was lost or a case was aborted.

Examples:
  wigwag bench
  wigwag bench --broker ours=localhost:1883,pid=4711 --broker theirs=localhost:1884,pid=4712
  wigwag bench --topology pairs --qos 1 --size 64 --rate 20000 --seconds 30
  wigwag bench --connect --idle 5000 --pid 4711";

fn parse_qos(text: &str) -> Result<Qos, String> {
    match text {
        "0" => Ok(Qos::AtMostOnce),
        "1" => Ok(Qos::AtLeastOnce),
        _ => Err("the bench measures QoS 0 and 1".to_owned()),
    }
}

fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "3.1" | "31" | "3" => Ok(Version::V3_1),
        "3.1.1" | "311" | "4" => Ok(Version::V3_1_1),
        "5" | "5.0" => Ok(Version::V5),
        _ => Err("expected 3.1, 3.1.1 or 5".to_owned()),
    }
}

impl Args {
    fn load(&self) -> Load {
        Load {
            version: self.version,
            user_name: self.username.clone(),
            password: self.password.clone(),
            bound: self.bound(),
            pace: self.rate.map_or(Pace::Window(self.window), Pace::Rate),
            stall_max: STALL_MAX,
            silence_max: SILENCE_MAX,
        }
    }

    fn bound(&self) -> Bound {
        self.messages.map_or(
            Bound::Time(Duration::from_secs(self.seconds)),
            Bound::Deliveries,
        )
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for &topology in &self.topology {
            let (publishers, subscribers) = match topology {
                Topology::Pairs => (self.pairs, self.pairs),
                Topology::FanOut => (1, self.fan),
                Topology::FanIn => (self.fan, 1),
            };
            for &qos in &self.qos {
                cases.extend(self.size.iter().map(|&size| Case {
                    topology,
                    publishers: publishers as usize,
                    subscribers: subscribers as usize,
                    qos,
                    payload_len: size as usize,
                }));
            }
        }
        cases
    }
}

/// A broker that has answered, and its process.
struct Broker {
    name: String,
    address: SocketAddr,
    process: Option<Process>,
}

impl Broker {
    fn reach(target: Target) -> anyhow::Result<Broker> {
        let address = connection::resolve(&target.address)?;
        let process = target.pid.map(Process::open).transpose();
        Ok(Broker {
            process: process.with_context(|| format!("broker '{}'", target.name))?,
            name: target.name,
            address,
        })
    }
}

/// Measures and prints; the exit code tells whether every broker kept its promises.
pub fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    let brokers = target::pair(std::mem::take(&mut args.broker), &args.pid)?;
    let brokers: Vec<_> = brokers
        .into_iter()
        .map(Broker::reach)
        .collect::<Result<_, _>>()?;
    let is_failure = if args.connect {
        run_connects(&args, &brokers)?
    } else {
        run_cases(&args, &brokers)?
    };
    Ok(if is_failure {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn run_cases(args: &Args, brokers: &[Broker]) -> anyhow::Result<bool> {
    let load = args.load();
    let rounds = args.rounds as usize;
    let output = Output::new(args.json);
    let method = Method {
        load: &load,
        rounds,
    };
    output.text(&format!("{method}.\n\n{}", CASES.header()))?;
    let mut all = Vec::new();
    for case in &args.cases() {
        let rows = measure_case(brokers, case, &load, rounds);
        for row in &rows {
            output.text(&CASES.line(&row.cells(&rows[0])))?;
        }
        all.extend(rows);
    }
    output.remarks(all.iter().flat_map(Row::remarks))?;
    output.json(&Document {
        method: method.to_string(),
        cases: &all,
        connects: &[],
    })?;
    Ok(all.iter().any(Row::is_failure))
}

/// All rounds of one case, the brokers taking turns: what slows the machine slows all of them.
fn measure_case(brokers: &[Broker], case: &Case, load: &Load, rounds: usize) -> Vec<Row> {
    let mut measured: Vec<_> = brokers.iter().map(|_| (Vec::new(), Vec::new())).collect();
    for _ in 0..rounds {
        for (broker, (rounds, refusals)) in brokers.iter().zip(&mut measured) {
            match generator::measure(broker.address, broker.process.as_ref(), case, load) {
                Ok(round) => rounds.push(round),
                Err(error) => refusals.push(format!("{error:#}")),
            }
        }
    }
    let row = |(broker, (rounds, refusals)): (&Broker, &(Vec<_>, Vec<_>))| {
        Row::new(case, &broker.name, load, rounds, refusals)
    };
    brokers.iter().zip(&measured).map(row).collect()
}

fn run_connects(args: &Args, brokers: &[Broker]) -> anyhow::Result<bool> {
    let load = args.load();
    let count = args.idle as usize;
    let mut measured: Vec<_> = brokers.iter().map(|_| Vec::new()).collect();
    for _ in 0..args.rounds {
        for (broker, rounds) in brokers.iter().zip(&mut measured) {
            let round = connects::measure(broker.address, broker.process.as_ref(), count, &load);
            rounds.push(round.map_err(|error| format!("{error:#}")));
        }
    }
    let row = |(broker, rounds): (&Broker, &Vec<_>)| ConnectRow::new(&broker.name, count, rounds);
    let rows: Vec<ConnectRow> = brokers.iter().zip(&measured).map(row).collect();

    let output = Output::new(args.json);
    let method = format!(
        "MQTT {}, connections opened from one thread, 64 at a time, median of {} (± half the range); idle memory is the growth of a freshly started broker in the first round",
        load.version, args.rounds
    );
    output.text(&format!("{method}.\n\n{}", CONNECTS.header()))?;
    for row in &rows {
        output.text(&CONNECTS.line(&row.cells(&rows[0])))?;
    }
    output.remarks(rows.iter().flat_map(ConnectRow::remarks))?;
    output.json(&Document {
        method,
        cases: &[],
        connects: &rows,
    })?;
    Ok(rows.iter().any(ConnectRow::is_failure))
}

#[derive(Serialize)]
struct Document<'a> {
    method: String,
    cases: &'a [Row],
    connects: &'a [ConnectRow],
}

/// The table line by line as it grows, or one JSON document at the end.
struct Output {
    is_json: bool,
}

impl Output {
    const fn new(is_json: bool) -> Output {
        Output { is_json }
    }

    fn text(&self, text: &str) -> anyhow::Result<()> {
        if self.is_json {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        stdout.flush().context("cannot write the table")
    }

    fn remarks(&self, remarks: impl Iterator<Item = String>) -> anyhow::Result<()> {
        let mut separator = "\n";
        for remark in remarks {
            self.text(&format!("{separator}{remark}"))?;
            separator = "";
        }
        Ok(())
    }

    fn json(&self, document: &Document<'_>) -> anyhow::Result<()> {
        if !self.is_json {
            return Ok(());
        }
        let json = serde_json::to_string_pretty(document)?;
        writeln!(io::stdout().lock(), "{json}").context("cannot write the figures")
    }
}
