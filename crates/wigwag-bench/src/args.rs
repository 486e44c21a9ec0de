//! The command line: what can be asked for, and the plan that it makes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use wigwag_net::tls::ClientTls;
use wigwag_proto::{Qos, Version};

use crate::case::{Bound, Case, Churn, Hold, Load, Pace, Run, Topology};
use crate::duration;
use crate::interrupt::Interrupt;
use crate::mix::{Mix, version_from};
use crate::objective::Objective;
use crate::scenario::Scenario;
use crate::target::{self, BrokerPid, Target};

/// At QoS 0 nobody owes a message; what has not come after so long a silence is lost.
const SILENCE_MAX: Duration = Duration::from_secs(2);
const SECONDS: u64 = 3;
const ROUNDS: u32 = 3;
/// A ratio needs more rounds than a table.
const ROUNDS_TO_COMPARE: u32 = 5;
const WINDOW: u64 = 2_000;
/// How long a client of `--churn` stays.
const CHURN_STAY: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Messages are counted as they arrive: with 20 subscribers one message makes 20 deliveries.
A list separated by commas makes a case of each value, one joined by + a mix within one case.

Exit codes: 0 everything was kept and reached; 1 a broker lost a message of QoS 1 or 2, repeated one of QoS 2, or a
case was aborted; 2 wrong command line; 3 an objective was missed.

Examples:
  wigwag bench
  wigwag bench --broker ours=localhost:1883,pid=4711 --broker theirs=localhost:1884,pid=4712
  wigwag bench --compare localhost:1883 localhost:1884 --topology pairs --qos 1 --size 64
  wigwag bench --topology pairs --qos 1 --size 64 --rate 20000 --seconds 30 --objective 'p99<10ms'
  wigwag bench --scenario mixed --summary bench.json
  wigwag bench --connect --idle 5000 --pid 4711";

/// Measure the speed of one or more MQTT brokers.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) action: Option<Action>,

    /// Broker to measure; repeat it to compare several in alternating rounds
    #[arg(
        long,
        value_name = "[NAME=]ADDRESS[,pid=PID]",
        default_value = "localhost:1883"
    )]
    pub(crate) broker: Vec<Target>,

    /// Two brokers in alternating rounds, with the ratios of the second to the first and their spread
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "broker")]
    pub(crate) compare: Vec<Target>,

    /// Process of a broker on this machine, for its CPU time and memory
    #[arg(long, value_name = "[NAME=]PID")]
    pub(crate) pid: Vec<BrokerPid>,

    /// Everything that goes on at the same time, by the name of a built-in scenario or of a file
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["topology", "qos", "size", "pairs", "fan", "window", "rate", "connect"])]
    pub(crate) scenario: Option<String>,

    /// Who publishes to whom: pairs, fan-out, fan-in, shared, publish
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "pairs,fan-out,fan-in",
        hide_possible_values = true
    )]
    pub(crate) topology: Vec<Topology>,

    /// QoS of messages and subscriptions: 0, 1, 2, or a mix of clients as in 0+1
    #[arg(long, value_delimiter = ',', default_value = "0,1")]
    pub(crate) qos: Vec<Mix<Qos>>,

    /// Payload in bytes, or several that take turns as in 64+1024
    #[arg(
        long,
        value_name = "BYTES",
        value_delimiter = ',',
        default_value = "64,1024"
    )]
    pub(crate) size: Vec<Mix<usize>>,

    /// Publishers, and as many subscribers, of the topology pairs
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) pairs: u32,

    /// Subscribers of fan-out and shared, publishers of fan-in, shared and publish
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) fan: u32,

    /// How long publishers send per case and round, in seconds [default: 3, or as the scenario says]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: Option<u64>,

    /// Deliveries per case and round, instead of a time
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: Option<u64>,

    /// How long everything runs before it counts, as in 5s [default: until every buffer has been used]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) warm_up: Option<Duration>,

    /// Closed loop: deliveries that may be outstanding, over all subscribers [default: 2000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) window: Option<u64>,

    /// Open loop: deliveries per second, due at even distances whatever the broker does
    #[arg(long, value_name = "N", conflicts_with = "window", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) rate: Option<u64>,

    /// Repetitions at each broker, of which the median counts [default: 3, 5 with --compare, or as the scenario says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: Option<u32>,

    /// Clients that are connected besides and do nothing
    #[arg(long, value_name = "N", conflicts_with = "connect", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) hold: Option<u32>,

    /// Clients per second that come besides, and leave after a second
    #[arg(long, value_name = "N", conflicts_with = "connect", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) churn: Option<u64>,

    /// Measure connections instead of messages: how many per second, and their memory
    #[arg(long, conflicts_with_all = ["topology", "qos", "size", "pairs", "fan", "messages", "seconds", "warm_up", "window", "rate"])]
    pub(crate) connect: bool,

    /// Connections that --connect opens and holds
    #[arg(long, value_name = "N", default_value = "1000", requires = "connect", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) idle: u32,

    /// Connections opened per second, before the messages too [default: as fast as the broker takes them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) connect_rate: Option<u64>,

    /// What must be reached, as in 'p99<10ms', 'loss=0', 'rate>=20k' or 'cpu<5us'; repeat it for several
    #[arg(long, value_name = "OBJECTIVE")]
    pub(crate) objective: Vec<Objective>,

    /// A case in which nothing arrives for so long is given up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse_patience)]
    pub(crate) stall: Duration,

    /// Version of MQTT: 3.1, 3.1.1 or 5 [default: 3.1.1, or as the scenario says]
    #[arg(long, visible_alias = "protocol-version", value_parser = version_from)]
    pub(crate) version: Option<Version>,

    /// User Name of all connections
    #[arg(long, value_name = "NAME")]
    pub(crate) username: Option<String>,

    /// Password of all connections
    #[arg(long, requires = "username")]
    pub(crate) password: Option<String>,

    /// Trust the CAs in this PEM file instead of the system's, for mqtts:// and wss://
    #[arg(long, value_name = "FILE")]
    pub(crate) cafile: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, conflicts_with = "cafile")]
    pub(crate) insecure: bool,

    /// Certificate of all clients in PEM, for brokers that ask for one
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Print one JSON document with all figures instead of the table
    #[arg(long)]
    pub(crate) json: bool,

    /// Write the JSON document to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// List the built-in scenarios
    List,
    /// Print a built-in scenario, to begin one's own with
    Show {
        /// Its name
        name: String,
    },
}

/// What is to be measured, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) runs: Vec<Run>,
    pub(crate) load: Load,
    pub(crate) rounds: usize,
    pub(crate) objectives: Vec<Objective>,
    /// The pace of all flows, if they have the same.
    pub(crate) pace: Option<Pace>,
    /// The first broker is what the second is compared with, and that is what is to be seen.
    pub(crate) is_comparison: bool,
}

impl Args {
    /// The brokers, with their processes.
    pub(crate) fn targets(&mut self) -> anyhow::Result<Vec<Target>> {
        let brokers = if self.compare.is_empty() {
            &mut self.broker
        } else {
            &mut self.compare
        };
        target::pair(std::mem::take(brokers), &self.pid)
    }

    pub(crate) fn tls(&self) -> anyhow::Result<ClientTls> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let mut tls = match &self.cafile {
            Some(path) => ClientTls::ca_pem(read(path)?),
            None => ClientTls::native_roots(),
        };
        if self.insecure {
            tls = tls.dangerous_accept_any_certificate();
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            tls = tls.client_certificate_pem(read(cert)?, read(key)?);
        }
        Ok(tls)
    }

    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let scenario = self.scenario.as_deref().map(Scenario::load).transpose()?;
        let mut plan = match scenario {
            Some(scenario) => self.plan_of(scenario),
            None => self.plan_of_cases()?,
        };
        for run in &mut plan.runs {
            self.add_company(run);
        }
        plan.objectives.extend(self.objective.iter().cloned());
        check_objectives(&plan)?;
        Ok(plan)
    }

    fn plan_of(&self, scenario: Scenario) -> Plan {
        let bound = self.bound().unwrap_or(scenario.bound);
        let load = self.load(bound, scenario.version);
        Plan {
            load: Load {
                warm_up: self.warm_up.or(scenario.warm_up),
                connect_rate: self.connect_rate.or(scenario.connect_rate),
                ..load
            },
            runs: vec![scenario.run],
            rounds: self.rounds(scenario.rounds),
            objectives: scenario.objectives,
            pace: None,
            is_comparison: !self.compare.is_empty(),
        }
    }

    fn plan_of_cases(&self) -> anyhow::Result<Plan> {
        let bound = self
            .bound()
            .unwrap_or(Bound::Time(Duration::from_secs(SECONDS)));
        let mut runs = Vec::new();
        for case in self.cases() {
            for qos in &self.qos {
                for size in &self.size {
                    let case = Case {
                        payload_lens: size.parts().to_vec(),
                        ..case.clone()
                    };
                    runs.push(Run {
                        cases: qos.apply(&case)?,
                        ..Run::default()
                    });
                }
            }
        }
        Ok(Plan {
            runs,
            load: self.load(bound, Version::V3_1_1),
            rounds: self.rounds(ROUNDS),
            objectives: Vec::new(),
            pace: Some(self.pace()),
            is_comparison: !self.compare.is_empty(),
        })
    }

    /// A case of each topology; QoS and sizes are still to come.
    fn cases(&self) -> impl Iterator<Item = Case> {
        let (pairs, fan) = (self.pairs as usize, self.fan as usize);
        let pace = self.pace();
        self.topology.iter().map(move |&topology| {
            let (publishers, subscribers) = match topology {
                Topology::Pairs => (pairs, pairs),
                Topology::FanOut => (1, fan),
                Topology::FanIn => (fan, 1),
                Topology::Shared => (fan, fan),
                Topology::Publish => (fan, 0),
            };
            Case {
                name: None,
                topology,
                publishers,
                subscribers,
                qos: Qos::AtMostOnce,
                payload_lens: Vec::new(),
                pace,
            }
        })
    }

    fn pace(&self) -> Pace {
        let window = Pace::Window(self.window.unwrap_or(WINDOW));
        self.rate.map_or(window, Pace::Rate)
    }

    fn bound(&self) -> Option<Bound> {
        let seconds = self.seconds.map(Duration::from_secs).map(Bound::Time);
        self.messages.map(Bound::Deliveries).or(seconds)
    }

    fn rounds(&self, usual: u32) -> usize {
        let usual = if self.compare.is_empty() {
            usual
        } else {
            usual.max(ROUNDS_TO_COMPARE)
        };
        self.rounds.unwrap_or(usual) as usize
    }

    pub(crate) fn load(&self, bound: Bound, version: Version) -> Load {
        Load {
            version: self.version.unwrap_or(version),
            user_name: self.username.clone(),
            password: self.password.clone(),
            bound,
            warm_up: self.warm_up,
            connect_rate: self.connect_rate,
            stall_max: self.stall,
            silence_max: SILENCE_MAX,
            interrupt: Interrupt::default(),
        }
    }

    /// The load of `--connect`, which has no messages to bound.
    pub(crate) fn load_of_connects(&self) -> (Load, usize) {
        let load = self.load(Bound::Time(Duration::ZERO), Version::V3_1_1);
        (load, self.rounds(ROUNDS))
    }

    fn add_company(&self, run: &mut Run) {
        if let Some(clients) = self.hold {
            run.holds.push(Hold {
                name: "held".to_owned(),
                clients: clients as usize,
                filter: None,
                qos: Qos::AtMostOnce,
            });
        }
        if let Some(rate) = self.churn {
            run.churns.push(Churn {
                name: "churn".to_owned(),
                rate,
                stay: CHURN_STAY,
            });
        }
    }
}

/// An objective for a flow that there is not would be missed without anybody knowing why.
fn check_objectives(plan: &Plan) -> anyhow::Result<()> {
    for objective in &plan.objectives {
        let Some(flow) = objective.flow() else {
            continue;
        };
        let mut names: Vec<&str> = vec![crate::report::ALL, crate::report::OPENED];
        for run in &plan.runs {
            names.extend(run.cases.iter().filter_map(|case| case.name.as_deref()));
            names.extend(run.churns.iter().map(|churn| churn.name.as_str()));
        }
        ensure!(
            names.contains(&flow),
            "the objective '{objective}' is about '{flow}', which there is not; there are {}",
            names.join(", ")
        );
    }
    Ok(())
}
