//! Scenario files: what fleets there are, in TOML or in JSON, and those that come with the program.
//!
//! `File` is what is written; `Scenario` is what it means, with everything checked. A mistake is told with the file,
//! the line or the fleet, what was read and what is allowed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::faults::{DropOut, Faults, Silence};
use super::home_assistant::{Home, SWITCH, object_id};
use super::sparkplug::{Group, RUNNING};
use super::walk::Metric;
use crate::contract::check_id;
use crate::period;

/// Devices of one scenario.
pub(super) const DEVICES_MAX: u32 = 100_000;

/// Metrics of a device, and devices of an edge node: what is said at once has to fit into the client's queue.
const METRICS_MAX: usize = 64;
const NODE_DEVICES_MAX: u32 = 500;

/// Bytes of a scenario's file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Those that come with the program, by name.
pub(super) const BUILT_IN: &[(&str, &str)] = &[
    ("dashboard", include_str!("scenarios/dashboard.toml")),
    (
        "home-assistant",
        include_str!("scenarios/home-assistant.toml"),
    ),
    ("sparkplug", include_str!("scenarios/sparkplug.toml")),
    ("mixed", include_str!("scenarios/mixed.toml")),
];

/// What is to be simulated.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// From which everything that is drawn follows.
    pub(super) seed: u64,
    /// Devices that start each second.
    pub(super) start_rate: f64,
    pub(super) fleets: Vec<Fleet>,
}

/// Devices of one kind.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) kind: Kind,
    pub(super) count: u32,
    id: String,
    /// Time between two reports of a device.
    pub(super) every: Duration,
    pub(super) faults: Faults,
}

/// What a device of a fleet is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Dashboard { running: bool },
    HomeAssistant(Arc<Home>),
    Sparkplug(Arc<Group>),
}

impl Fleet {
    /// Has another number of devices than the file says.
    pub(super) fn set_count(&mut self, count: u32) -> Result<(), String> {
        check_ids(&self.id, count)?;
        self.count = count;
        Ok(())
    }

    /// The id of its `number`th device, from 1.
    pub(super) fn id(&self, number: u32) -> String {
        self.id.replace("{n}", &number.to_string())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    #[serde(default = "default_seed")]
    seed: u64,
    #[serde(default = "default_start_rate")]
    start_rate: f64,
    #[serde(rename = "fleet", default)]
    fleets: Vec<FleetEntry>,
}

const fn default_seed() -> u64 {
    1
}

const fn default_start_rate() -> f64 {
    200.0
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FleetEntry {
    kind: KindName,
    count: u32,
    id: String,
    every: Period,
    #[serde(default)]
    faults: FaultsEntry,
    running: Option<bool>,
    discovery_prefix: Option<String>,
    topic: Option<String>,
    switch: Option<bool>,
    group: Option<String>,
    devices: Option<u32>,
    metrics: Option<Vec<Metric>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Dashboard,
    HomeAssistant,
    Sparkplug,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FaultsEntry {
    drop_out: Option<DropOutEntry>,
    silence: Option<SilenceEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct DropOutEntry {
    every: Period,
    lasts: Period,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SilenceEntry {
    share: f64,
    after: Period,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Period(Duration);

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Period, String> {
        period::parse(&text).map(Period)
    }
}

impl Scenario {
    /// Reads a file, or one of those that come with the program by its name.
    pub(super) fn load(named: &str) -> Result<Scenario, String> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(name, _)| *name == named) {
            return Scenario::parse(named, text, Format::Toml);
        }
        let path = Path::new(named);
        let extension = path.extension().and_then(|extension| extension.to_str());
        let format = match extension {
            Some("toml") => Format::Toml,
            Some("json") => Format::Json,
            _ => return Err(no_scenario(named)),
        };
        let cannot = |error: std::io::Error| format!("{named}: cannot be read: {error}");
        let len = std::fs::metadata(path).map_err(cannot)?.len();
        if len > FILE_BYTES_MAX {
            return Err(format!(
                "{named}: has {len} bytes; allowed are {FILE_BYTES_MAX}"
            ));
        }
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        Scenario::parse(named, &text, format)
    }

    fn parse(name: &str, text: &str, format: Format) -> Result<Scenario, String> {
        let file = format.read(name, text)?;
        let mut fleets = Vec::new();
        for (index, entry) in file.fleets.into_iter().enumerate() {
            let at = |error: String| format!("{name}: fleet {}: {error}", index + 1);
            fleets.push(entry.check().map_err(at)?);
        }
        let scenario = Scenario {
            seed: file.seed,
            start_rate: file.start_rate,
            fleets,
        };
        scenario
            .check()
            .map_err(|error| format!("{name}: {error}"))?;
        Ok(scenario)
    }

    /// What concerns all fleets together; also after the command line has had its say.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.fleets.is_empty() {
            return Err("there is no fleet; write at least one [[fleet]]".to_owned());
        }
        if !(0.1..=100_000.0).contains(&self.start_rate) {
            return Err(format!(
                "start-rate is {}; allowed are 0.1 to 100000 devices a second",
                self.start_rate
            ));
        }
        for (index, fleet) in self.fleets.iter().enumerate() {
            if self.fleets[..index]
                .iter()
                .any(|other| other.id == fleet.id)
            {
                return Err(format!(
                    "two fleets have the id {:?}; a broker knows each device by its own",
                    fleet.id
                ));
            }
        }
        let devices: u64 = self.fleets.iter().map(|fleet| u64::from(fleet.count)).sum();
        if devices > DEVICES_MAX.into() {
            return Err(format!(
                "there are {devices} devices; allowed are {DEVICES_MAX} in all"
            ));
        }
        Ok(())
    }

    /// How many devices connect.
    pub(super) fn devices(&self) -> u32 {
        self.fleets.iter().map(|fleet| fleet.count).sum()
    }
}

fn no_scenario(named: &str) -> String {
    let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    format!(
        "{named}: there is no such scenario; there are {}, and files that end in .toml or .json",
        names.join(", ")
    )
}

#[derive(Clone, Copy)]
enum Format {
    Toml,
    Json,
}

impl Format {
    fn read(self, name: &str, text: &str) -> Result<File, String> {
        match self {
            Format::Toml => toml::from_str(text).map_err(|error| {
                let before = error.span().and_then(|span| text.get(..span.start));
                let line = before.map_or(1, |before| 1 + before.matches('\n').count());
                format!("{name}:{line}: {}", error.message())
            }),
            Format::Json => serde_json::from_str(text).map_err(|error| format!("{name}: {error}")),
        }
    }
}

impl FleetEntry {
    fn check(self) -> Result<Fleet, String> {
        self.check_fields()?;
        if !(1..=DEVICES_MAX).contains(&self.count) {
            return Err(format!(
                "count is {}; allowed are 1 to {DEVICES_MAX}",
                self.count
            ));
        }
        check_ids(&self.id, self.count)?;
        Ok(Fleet {
            count: self.count,
            id: self.id.clone(),
            every: self.every.0,
            faults: self.faults.check()?,
            kind: self.into_kind()?,
        })
    }

    /// What belongs to another kind is a mistake, not something to pass over.
    fn check_fields(&self) -> Result<(), String> {
        use KindName::{Dashboard, HomeAssistant, Sparkplug};
        let fields: [(&str, bool, &[KindName]); 7] = [
            ("running", self.running.is_some(), &[Dashboard]),
            (
                "discovery-prefix",
                self.discovery_prefix.is_some(),
                &[HomeAssistant],
            ),
            ("topic", self.topic.is_some(), &[HomeAssistant]),
            ("switch", self.switch.is_some(), &[HomeAssistant]),
            ("group", self.group.is_some(), &[Sparkplug]),
            ("devices", self.devices.is_some(), &[Sparkplug]),
            (
                "metrics",
                self.metrics.is_some(),
                &[HomeAssistant, Sparkplug],
            ),
        ];
        let foreign = |(_, is_said, kinds): &&(&str, bool, &[KindName])| {
            *is_said && !kinds.contains(&self.kind)
        };
        match fields.iter().find(foreign) {
            None => Ok(()),
            Some((field, _, kinds)) => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                Err(format!(
                    "{field} has no meaning for kind {:?}; it belongs to {}",
                    self.kind.name(),
                    kinds.join(" and ")
                ))
            }
        }
    }

    fn into_kind(self) -> Result<Kind, String> {
        let level = |name: &str, said: Option<String>, default: &str| {
            let text = said.unwrap_or_else(|| default.to_owned());
            let is_topic =
                !text.is_empty() && text.len() <= 256 && !text.contains(['+', '#', '\0']);
            match is_topic {
                true => Ok(text),
                false => Err(format!(
                    "{name} is {text:?}; allowed are 1 to 256 bytes without '+' and '#'"
                )),
            }
        };
        let metrics = self.metrics.unwrap_or_else(indoor_climate);
        match self.kind {
            KindName::Dashboard => Ok(Kind::Dashboard {
                running: self.running.unwrap_or(true),
            }),
            KindName::HomeAssistant => Ok(Kind::HomeAssistant(Arc::new(Home {
                prefix: level("discovery-prefix", self.discovery_prefix, "homeassistant")?,
                topic: level("topic", self.topic, "home")?,
                metrics: check_metrics(metrics, object_id, SWITCH)?,
                switch: self.switch.unwrap_or(false),
            }))),
            KindName::Sparkplug => {
                let devices = self.devices.unwrap_or(1);
                if devices > NODE_DEVICES_MAX {
                    return Err(format!(
                        "devices is {devices}; allowed are 0 to {NODE_DEVICES_MAX} for each edge node"
                    ));
                }
                let name = level("group", self.group, "wigwag")?;
                if name.contains('/') {
                    return Err(format!(
                        "group is {name:?}; it is one level of a topic, without '/'"
                    ));
                }
                let metrics = check_metrics(metrics, str::to_owned, RUNNING)?;
                Ok(Kind::Sparkplug(Arc::new(Group {
                    name,
                    devices,
                    metrics,
                })))
            }
        }
    }
}

impl KindName {
    const fn name(self) -> &'static str {
        match self {
            KindName::Dashboard => "dashboard",
            KindName::HomeAssistant => "home-assistant",
            KindName::Sparkplug => "sparkplug",
        }
    }
}

impl FaultsEntry {
    fn check(&self) -> Result<Faults, String> {
        let drop_out = self.drop_out.as_ref().map(|entry| DropOut {
            every: entry.every.0,
            lasts: entry.lasts.0,
        });
        let silence = self.silence.as_ref().map(|entry| Silence {
            share: entry.share,
            after: entry.after.0,
        });
        if let Some(silence) = silence
            && !(0.0..=1.0).contains(&silence.share)
        {
            return Err(format!(
                "the share of silent devices is {}; allowed are 0 to 1",
                silence.share
            ));
        }
        Ok(Faults { drop_out, silence })
    }
}

/// Whether each of so many devices gets an id of its own.
fn check_ids(id: &str, count: u32) -> Result<(), String> {
    if count > 1 && !id.contains("{n}") {
        return Err(format!(
            "id is {id:?} for {count} devices; it must contain {{n}}, their number"
        ));
    }
    let last = id.replace("{n}", &count.to_string());
    check_id(&last)
        .map_err(|error| format!("id is {id:?}: {error}"))
        .map(drop)
}

/// Checks metrics that devices know by what `key` makes of their names; `taken` is what they have besides.
fn check_metrics(
    metrics: Vec<Metric>,
    key: fn(&str) -> String,
    taken: &str,
) -> Result<Vec<Metric>, String> {
    if !(1..=METRICS_MAX).contains(&metrics.len()) {
        return Err(format!(
            "there are {} metrics; allowed are 1 to {METRICS_MAX}",
            metrics.len()
        ));
    }
    let mut keys = vec![taken.to_owned()];
    for metric in &metrics {
        metric.check()?;
        let key = key(&metric.name);
        if keys.contains(&key) {
            return Err(format!(
                "metric {}: devices of this kind know it as {key:?}, and have something else of that name",
                metric.name
            ));
        }
        keys.push(key);
    }
    Ok(metrics)
}

/// What is measured if a fleet does not say.
fn indoor_climate() -> Vec<Metric> {
    vec![
        Metric::new("temperature", "°C", "temperature", (17.0, 27.0)),
        Metric::new("humidity", "%", "humidity", (30.0, 65.0)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, String> {
        Scenario::parse("plant.toml", text, Format::Toml)
    }

    #[test]
    fn those_that_come_with_the_program_can_be_read() {
        for (name, _) in BUILT_IN {
            let scenario = Scenario::load(name).expect(name);
            assert!(scenario.devices() > 0);
        }
    }

    #[test]
    fn a_file_may_be_json() {
        let text = r#"{"seed":9,"fleet":[{"kind":"sparkplug","count":2,"id":"n{n}","every":"500ms","devices":3}]}"#;
        let scenario = Scenario::parse("plant.json", text, Format::Json).expect("it is valid");
        let fleet = &scenario.fleets[0];
        assert_eq!((scenario.seed, scenario.devices()), (9, 2));
        assert_eq!(fleet.every, Duration::from_millis(500));
        assert_eq!(fleet.id(2), "n2");
        assert!(matches!(&fleet.kind, Kind::Sparkplug(group) if group.devices == 3));
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_what_is_allowed() {
        let fleet = |lines: &str| {
            format!(
                "[[fleet]]\nkind = \"dashboard\"\ncount = 2\nid = \"a{{n}}\"\nevery = \"2s\"\n{lines}"
            )
        };
        let check = |text: &str, expect: &[&str]| {
            let error = parse(text).expect_err(text);
            for part in expect {
                assert!(error.contains(part), "{part} in {error}");
            }
        };
        assert!(parse(&fleet("")).is_ok());
        check("seed = 1", &["plant.toml: there is no fleet"]);
        check(
            "start-rate = 0\n[[fleet]]\n",
            &["plant.toml:2", "missing field"],
        );
        check(
            &fleet("colour = 1"),
            &["plant.toml:6", "unknown field `colour`"],
        );
        check(
            &fleet("group = \"a\""),
            &["fleet 1: group has no meaning", "sparkplug"],
        );
        check(
            &fleet("").replace("2s", "2 parsecs"),
            &["plant.toml:5", "no length of time", "500ms"],
        );
        check(&fleet("").replace("{n}", ""), &["must contain {n}"]);
        check(&fleet("").replace("a{n}", "a/{n}"), &["becomes a level"]);
        check(
            &fleet("").replace("dashboard", "toaster"),
            &["plant.toml:2", "home-assistant"],
        );
        check(
            &fleet(&fleet("")),
            &["plant.toml: two fleets have the id \"a{n}\""],
        );
        check(
            &fleet("faults = { silence = { share = 3, after = \"1s\" } }"),
            &["fleet 1", "0 to 1"],
        );
        check(&fleet("").replace("= 2\n", "= 0\n"), &["1 to 100000"]);
    }

    #[test]
    fn metrics_are_checked_where_they_are_allowed() {
        let text = |metrics: &str| {
            format!(
                "[[fleet]]\nkind = \"home-assistant\"\ncount = 1\nid = \"a\"\nevery = \"2s\"\nmetrics = [{metrics}]"
            )
        };
        assert!(parse(&text("{ name = \"t\", from = 1, to = 2 }")).is_ok());
        let error = parse(&text("{ name = \"t\", from = 3, to = 2 }")).expect_err("a range");
        assert!(error.contains("from must be less than to"), "{error}");
        let twice = "{ name = \"t\", from = 1, to = 2 }, { name = \"t\", from = 1, to = 2 }";
        let error = parse(&text(twice)).expect_err("twice");
        assert!(error.contains("as \"t\""), "{error}");
        let folded = "{ name = \"a b\", from = 1, to = 2 }, { name = \"A.b\", from = 1, to = 2 }";
        let error = parse(&text(folded)).expect_err("the same id");
        assert!(error.contains("as \"a_b\""), "{error}");
        let error = parse(&text("{ name = \"Switch\", from = 1, to = 2 }")).expect_err("taken");
        assert!(error.contains("as \"switch\""), "{error}");
        let error = parse(&text("")).expect_err("none");
        assert!(error.contains("1 to 64"), "{error}");
    }

    #[test]
    fn a_scenario_that_is_not_there_is_told_with_those_that_are() {
        let error = Scenario::load("plants").expect_err("there is none");
        assert!(
            error.contains("mixed") && error.contains(".json"),
            "{error}"
        );
    }
}
