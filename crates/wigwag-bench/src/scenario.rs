//! Scenario files: who publishes, listens, comes and goes at the same time, in TOML, and those that come with the
//! program.
//!
//! `File` is what is written; [`Scenario`] is what it means, with everything checked. A mistake is told with the file,
//! the flow, what was read and what is allowed.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use wigwag_proto::{Qos, TopicFilter, Version};

use crate::case::{Bound, Case, Churn, Hold, Pace, Run, Topology};
use crate::duration;
use crate::mix::{Mix, PAYLOAD_LENS, qos_from, version_from};
use crate::objective::Objective;
use crate::report::ALL;

/// Bytes of a scenario's file.
const FILE_LEN_MAX: u64 = 1024 * 1024;
/// Clients of one kind.
const CLIENTS_MAX: usize = 1_000_000;
/// What a flow without a pace may have outstanding.
const WINDOW_DEFAULT: u64 = 1_000;

/// Those that come with the program, by name.
const BUILT_IN: &[(&str, &str)] = &[
    ("telemetry", include_str!("scenarios/telemetry.toml")),
    ("commands", include_str!("scenarios/commands.toml")),
    ("broadcast", include_str!("scenarios/broadcast.toml")),
    ("workers", include_str!("scenarios/workers.toml")),
    ("ingest", include_str!("scenarios/ingest.toml")),
    ("idle", include_str!("scenarios/idle.toml")),
    ("reconnects", include_str!("scenarios/reconnects.toml")),
    ("mixed", include_str!("scenarios/mixed.toml")),
];

/// What is to be measured, and how.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) about: String,
    pub(crate) run: Run,
    pub(crate) bound: Bound,
    pub(crate) warm_up: Option<Duration>,
    pub(crate) rounds: u32,
    pub(crate) version: Version,
    pub(crate) connect_rate: Option<u64>,
    pub(crate) objectives: Vec<Objective>,
}

/// The built-in scenarios: name and what each is about.
pub(crate) fn catalogue() -> anyhow::Result<Vec<(&'static str, String)>> {
    BUILT_IN
        .iter()
        .map(|&(name, text)| Ok((name, Scenario::parse(text).context(name)?.about)))
        .collect()
}

/// The text of a built-in scenario, to begin one's own with.
pub(crate) fn text(name: &str) -> anyhow::Result<&'static str> {
    let found = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
    found.map(|(_, text)| *text).with_context(|| unknown(name))
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    format!(
        "'{name}' is neither a scenario of the program nor a file; the program has {}",
        names.join(", ")
    )
}

impl Scenario {
    /// Finds it by the name of a built-in one or of a file.
    pub(crate) fn load(name: &str) -> anyhow::Result<Scenario> {
        if let Ok(text) = text(name) {
            return Scenario::parse(text);
        }
        let metadata = fs::metadata(name).with_context(|| unknown(name))?;
        ensure!(
            metadata.len() <= FILE_LEN_MAX,
            "{name} is longer than {FILE_LEN_MAX} bytes"
        );
        let text = fs::read_to_string(name).with_context(|| format!("cannot read {name}"))?;
        Scenario::parse(&text).with_context(|| format!("the scenario {name}"))
    }

    fn parse(text: &str) -> anyhow::Result<Scenario> {
        let file: File = toml::from_str(text)?;
        file.check()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    about: String,
    duration: Option<String>,
    deliveries: Option<u64>,
    warm_up: Option<String>,
    #[serde(default = "one")]
    rounds: u32,
    version: Option<String>,
    connect_rate: Option<u64>,
    #[serde(default)]
    objectives: Vec<String>,
    #[serde(default, rename = "flow")]
    flows: Vec<FlowEntry>,
    #[serde(default, rename = "hold")]
    holds: Vec<HoldEntry>,
    #[serde(default, rename = "churn")]
    churns: Vec<ChurnEntry>,
}

const fn one() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FlowEntry {
    name: String,
    topology: Topology,
    publishers: Option<usize>,
    subscribers: Option<usize>,
    #[serde(default)]
    qos: OneOrMany<u8>,
    #[serde(default)]
    size: OneOrMany<usize>,
    rate: Option<u64>,
    window: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct HoldEntry {
    name: String,
    clients: usize,
    filter: Option<String>,
    #[serde(default)]
    qos: u8,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ChurnEntry {
    name: String,
    rate: u64,
    stay: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    #[default]
    Default,
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn or(self, default: T) -> Vec<T> {
        match self {
            OneOrMany::Default => vec![default],
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

impl File {
    fn check(self) -> anyhow::Result<Scenario> {
        let bound = match (&self.duration, self.deliveries) {
            (None, None) => Bound::Time(Duration::from_secs(10)),
            (Some(time), None) => Bound::Time(duration::parse(time).context("duration")?),
            (None, Some(deliveries)) => Bound::Deliveries(deliveries.max(1)),
            (Some(_), Some(_)) => bail!("duration and deliveries exclude each other"),
        };
        let mut run = Run::default();
        for flow in self.flows {
            let name = flow.name.clone();
            let cases = flow.check().with_context(|| format!("the flow '{name}'"))?;
            run.cases.extend(cases);
        }
        for hold in self.holds {
            let name = hold.name.clone();
            let hold = hold.check().with_context(|| format!("the hold '{name}'"))?;
            run.holds.push(hold);
        }
        for churn in self.churns {
            let name = churn.name.clone();
            let churn = churn
                .check()
                .with_context(|| format!("the churn '{name}'"))?;
            run.churns.push(churn);
        }
        check_names(&run)?;
        ensure!(
            !run.cases.is_empty() || matches!(bound, Bound::Time(_)),
            "without a flow nothing is delivered; give a duration"
        );
        let warm_up = self.warm_up.as_deref().map(duration::parse);
        let version = self.version.as_deref().map(version_from);
        let objectives = self.objectives.iter().map(|text| text.parse());
        Ok(Scenario {
            about: self.about,
            bound,
            warm_up: warm_up.transpose().context("warm-up")?,
            rounds: self.rounds.max(1),
            version: version.transpose()?.unwrap_or(Version::V3_1_1),
            connect_rate: self.connect_rate.map(|rate| rate.max(1)),
            objectives: objectives.collect::<anyhow::Result<_>>()?,
            run,
        })
    }
}

/// Rows and objectives are found by names.
fn check_names(run: &Run) -> anyhow::Result<()> {
    let cases = run.cases.iter().filter_map(|case| case.name.as_deref());
    let holds = run.holds.iter().map(|hold| hold.name.as_str());
    let churns = run.churns.iter().map(|churn| churn.name.as_str());
    let names: Vec<&str> = cases.chain(holds).chain(churns).collect();
    ensure!(
        !names.is_empty(),
        "it has no [[flow]], [[hold]] or [[churn]]"
    );
    for (index, name) in names.iter().enumerate() {
        ensure!(
            !names[..index].contains(name),
            "two of its parts are called '{name}'"
        );
        ensure!(
            !name.is_empty() && !name.contains(':') && *name != ALL,
            "'{name}' cannot be a name: it must not be empty, hold a colon or be '{ALL}'"
        );
    }
    Ok(())
}

impl FlowEntry {
    fn check(self) -> anyhow::Result<Vec<Case>> {
        let (publishers, subscribers) = self.clients()?;
        let payload_lens = self.size.or(64);
        for len in &payload_lens {
            ensure!(
                PAYLOAD_LENS.contains(len),
                "the size {len} is not between {} and {} bytes",
                PAYLOAD_LENS.start(),
                PAYLOAD_LENS.end()
            );
        }
        ensure!(!payload_lens.is_empty(), "size is an empty list");
        let pace = match (self.rate, self.window) {
            (Some(_), Some(_)) => bail!("rate and window exclude each other"),
            (Some(rate), None) => Pace::Rate(rate.max(1)),
            (None, window) => Pace::Window(window.unwrap_or(WINDOW_DEFAULT).max(1)),
        };
        let qos: anyhow::Result<Vec<Qos>> = self.qos.or(0).into_iter().map(qos_from).collect();
        let case = Case {
            name: Some(self.name),
            topology: self.topology,
            publishers,
            subscribers,
            qos: Qos::AtMostOnce,
            payload_lens,
            pace,
        };
        Mix::new(qos?)?.apply(&case)
    }

    fn clients(&self) -> anyhow::Result<(usize, usize)> {
        let (publishers, subscribers) = (self.publishers, self.subscribers);
        let clients = match self.topology {
            Topology::Pairs => {
                let pairs = publishers
                    .or(subscribers)
                    .context("publishers is missing")?;
                ensure!(
                    subscribers.is_none_or(|subscribers| subscribers == pairs),
                    "pairs have as many publishers as subscribers"
                );
                (pairs, pairs)
            }
            Topology::FanOut => (
                publishers.unwrap_or(1),
                subscribers.context("subscribers is missing")?,
            ),
            Topology::FanIn => {
                ensure!(
                    subscribers.is_none_or(|subscribers| subscribers == 1),
                    "fan-in has one subscriber; fan-out delivers to each of several"
                );
                (publishers.context("publishers is missing")?, 1)
            }
            Topology::Shared => (
                publishers.context("publishers is missing")?,
                subscribers.context("subscribers is missing")?,
            ),
            Topology::Publish => {
                ensure!(
                    subscribers.is_none_or(|subscribers| subscribers == 0),
                    "nobody subscribes to what is only published"
                );
                (publishers.context("publishers is missing")?, 0)
            }
        };
        let has_somebody = clients.0 > 0 && (clients.1 > 0 || self.topology == Topology::Publish);
        ensure!(
            has_somebody && clients.0 <= CLIENTS_MAX && clients.1 <= CLIENTS_MAX,
            "publishers and subscribers are between 1 and {CLIENTS_MAX}"
        );
        Ok(clients)
    }
}

impl HoldEntry {
    fn check(self) -> anyhow::Result<Hold> {
        ensure!(
            (1..=CLIENTS_MAX).contains(&self.clients),
            "clients is between 1 and {CLIENTS_MAX}"
        );
        if let Some(filter) = &self.filter {
            TopicFilter::new(filter).with_context(|| format!("the filter '{filter}'"))?;
        }
        Ok(Hold {
            name: self.name,
            clients: self.clients,
            filter: self.filter,
            qos: qos_from(self.qos)?,
        })
    }
}

impl ChurnEntry {
    fn check(self) -> anyhow::Result<Churn> {
        ensure!(
            (1..=100_000).contains(&self.rate),
            "rate is between 1 and 100000 connections per second"
        );
        Ok(Churn {
            name: self.name,
            rate: self.rate,
            stay: duration::parse(&self.stay).context("stay")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_the_program_can_be_read() {
        let catalogue = catalogue().unwrap();
        assert_eq!(catalogue.len(), BUILT_IN.len());
        for (name, about) in catalogue {
            assert!(about.len() > 20, "{name}: {about}");
            assert!(Scenario::load(name).unwrap().run.connections() > 0);
        }
    }

    #[test]
    fn a_scenario_says_everything_that_goes_on_at_the_same_time() {
        let text = r#"
            about = "Everything at once"
            version = "5"
            duration = "500ms"
            warm-up = "1s"
            rounds = 2
            connect-rate = 100
            objectives = ["p99 < 10ms", "news:loss = 0"]

            [[flow]]
            name = "news"
            topology = "fan-out"
            subscribers = 7
            qos = 2
            size = [24, 100]
            rate = 70

            [[flow]]
            name = "logs"
            topology = "publish"
            publishers = 3

            [[hold]]
            name = "idle"
            clients = 9
            filter = "none/+"

            [[churn]]
            name = "visitors"
            rate = 5
            stay = "100ms"
        "#;
        let scenario = Scenario::parse(text).unwrap();
        assert_eq!(scenario.bound, Bound::Time(Duration::from_millis(500)));
        assert_eq!((scenario.rounds, scenario.version), (2, Version::V5));
        assert_eq!(scenario.objectives[1].flow(), Some("news"));
        let shown: Vec<_> = scenario.run.cases.iter().map(Case::to_string).collect();
        assert_eq!(
            shown,
            [
                "news: fan-out 1:7 QoS 2 24+100 B",
                "logs: publish 3:0 QoS 0 64 B"
            ]
        );
        assert_eq!(scenario.run.cases[0].pace, Pace::Rate(70));
        assert_eq!(scenario.run.holds[0].clients, 9);
        assert_eq!(scenario.run.churns[0].stay, Duration::from_millis(100));
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_what_is_allowed() {
        let flow = |line: &str| format!("about = \"x\"\n[[flow]]\nname = \"f\"\n{line}");
        let pairs = "topology = \"pairs\"\npublishers = 2\n";
        let cases = [
            (String::new(), "missing field `about`"),
            (
                "about = \"x\"".to_owned(),
                "no [[flow]], [[hold]] or [[churn]]",
            ),
            (
                flow("topology = \"ring\""),
                "unknown variant `ring`, expected one of `pairs`",
            ),
            (
                flow("topology = \"pairs\""),
                "the flow 'f': publishers is missing",
            ),
            (
                flow(&format!("{pairs}colour = 1")),
                "unknown field `colour`",
            ),
            (
                flow(&format!("{pairs}size = 23")),
                "the size 23 is not between 24 and",
            ),
            (flow(&format!("{pairs}qos = 3")), "3 is not a QoS"),
            (
                flow(&format!("{pairs}rate = 1\nwindow = 1")),
                "exclude each other",
            ),
            (
                flow(&format!("{pairs}subscribers = 3")),
                "as many publishers as subscribers",
            ),
            (
                format!("{}\n[[hold]]\nname = \"f\"\nclients = 1", flow(pairs)),
                "two of its parts are called 'f'",
            ),
            (
                "about = \"x\"\n[[churn]]\nname = \"c\"\nrate = 1\nstay = \"long\"".to_owned(),
                "the churn 'c': stay: 'long' is not a time",
            ),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", Scenario::parse(&text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_name_that_nobody_knows_is_answered_with_those_that_are_known() {
        let error = format!("{:#}", Scenario::load("telemetrie").unwrap_err());
        assert!(
            error.contains("the program has telemetry, commands"),
            "{error}"
        );
    }
}
