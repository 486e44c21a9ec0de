//! The rules and dashboards of `deploy/`: every alarm has been seen to fire and to keep silent, and a real Prometheus
//! gets every number that they ask for, from our broker and from a Mosquitto by way of the exporter.
//!
//! Prometheus runs with the configuration that is shipped; only ports and intervals are others.

mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configured::{Configured, write};
use crate::http;
use crate::process::{BOUND, Process};
use crate::tools;
use crate::wire::{Connect, Wire};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The files of a folder below `deploy/`, with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(deploy().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.display().to_string().ends_with(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
}

/// Ends well, or the test does not.
fn succeeds(command: &mut Command) {
    let mut process = Process::start(command);
    let status = process.await_exit();
    assert!(status.success(), "{status}: {}", process.said());
}

#[test]
fn every_alarm_fires_and_keeps_silent_when_it_should() {
    let rules = files("prometheus/rules", ".yml");
    succeeds(
        tools::system("promtool")
            .args(["check", "rules"])
            .args(&rules),
    );
    let config = deploy().join("prometheus/prometheus.yml");
    succeeds(
        tools::system("promtool")
            .args(["check", "config"])
            .arg(config),
    );
    let tests = files("prometheus/tests", ".test.yml");
    succeeds(
        tools::system("promtool")
            .args(["test", "rules"])
            .args(&tests),
    );
}

/// Alarms with a time at which they are expected to fire, and with one at which they are not.
fn proven(test: &str) -> [BTreeSet<String>; 2] {
    let mut proven = [BTreeSet::new(), BTreeSet::new()];
    let mut alarm = "";
    for line in test.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("alertname: ") {
            alarm = name;
        } else if let Some(expected) = line.strip_prefix("exp_alerts:") {
            let fires = usize::from(expected.trim() != "[]");
            proven[fires].insert(alarm.to_owned());
        }
    }
    proven
}

#[test]
fn no_alarm_is_without_a_test_of_both_and_a_line_in_the_guide() {
    let guide = read(&deploy().join("../docs/guide/deploy.md"));
    for file in files("prometheus/rules", ".yml") {
        let test = deploy().join("prometheus/tests");
        let test = test
            .join(file.file_stem().unwrap())
            .with_extension("test.yml");
        let rules = read(&file);
        let alarms: BTreeSet<String> = rules
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- alert: "))
            .map(str::to_owned)
            .collect();
        assert!(!alarms.is_empty(), "{}", file.display());
        for alarm in &alarms {
            assert!(guide.contains(&format!("\n| `{alarm}` |")), "{alarm}");
        }
        let [silent, fires] = proven(&read(&test));
        assert_eq!((&silent, &fires), (&alarms, &alarms), "{}", test.display());
    }
}

/// The panels of a dashboard.
fn panels(file: &Path) -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read(file)).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

#[test]
fn panels_have_places_and_numbers_of_their_own() {
    for file in files("grafana/dashboards", ".json") {
        let mut places = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for panel in panels(&file) {
            let title = panel["title"].as_str().unwrap().to_owned();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
            let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{title}");
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    let other = places.insert((x, y), title.clone());
                    assert_eq!(other, None, "{title} at {x}, {y} of {}", file.display());
                }
            }
            // Whoever imports it chooses the source.
            let source = panel["datasource"]["uid"].as_str();
            assert!(source.is_none_or(|source| source == "${source}"), "{title}");
        }
    }
}

/// What a dashboard asks, with what Grafana puts in place of its variables.
fn dashboard_queries(file: &Path) -> Vec<String> {
    let mut queries = Vec::new();
    for panel in panels(file) {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let query = query
                .replace("$__rate_interval", "5s")
                .replace("$instance", ".*");
            assert!(!query.contains('$'), "{query}");
            queries.push(query);
        }
    }
    queries
}

/// Both brokers, bridged to one another, with traffic, and a Prometheus that watches them.
struct Scene {
    prometheus: Process,
    port: u16,
    _processes: Vec<Process>,
    wigwag: Configured,
    _mosquitto: Configured,
    _folder: TempDir,
}

impl Scene {
    fn start() -> Self {
        let [ours, tls, metrics, theirs, exporter, port] = [(); 6].map(|()| free_port());
        let wigwag = start_wigwag(ours, tls, metrics, theirs);
        let mosquitto = start_mosquitto(theirs, ours);
        // Somebody who is turned away.
        let mut stranger = Wire::open(ours);
        stranger.send(&Connect::clean(7).bytes());
        stranger.receive_to_the_end();
        let mut processes = Vec::new();
        for broker in [ours, theirs] {
            let client = |program: &str, args: &[&str]| {
                let port = broker.to_string();
                let mut command = tools::system(program);
                Process::start(command.args(["-h", "127.0.0.1", "-p", &port]).args(args))
            };
            processes.push(client("mosquitto_sub", &["-t", "#", "-q", "1"]));
            let often = ["--repeat", "1000000", "--repeat-delay", "0.02"];
            let message = ["-t", "a/b", "-m", "hello", "-q", "1"];
            processes.push(client("mosquitto_pub", &[&message[..], &often].concat()));
            let state = ["-t", "device/2/state", "-m", "{}"];
            processes.push(client("mosquitto_pub", &[&state[..], &often].concat()));
        }
        let endpoint = |name: &str, port| format!("--endpoint={name}=mqtt://127.0.0.1:{port}");
        let export = Process::start(
            tools::wigwag()
                .args([
                    "exporter",
                    "--sys-interval",
                    "1",
                    "--max-connections",
                    "1000",
                ])
                .args([endpoint("mosquitto", theirs), endpoint("wigwag", ours)])
                .args(["--devices=device/+/state", "--critical-devices=1"])
                .arg(format!("--bind-address=127.0.0.1:{exporter}")),
        );
        export.await_line("that it is ready", |line| line.starts_with("ready"));
        processes.push(export);
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("prometheus.yml");
        write(&file, &configuration(metrics, exporter));
        let prometheus = Process::start(
            tools::system("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.path().join("data").display()
                ))
                .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        );
        Self {
            prometheus,
            port,
            _processes: processes,
            wigwag,
            _mosquitto: mosquitto,
            _folder: folder,
        }
    }

    /// What Prometheus' API says to a question, once it is there.
    fn ask(&self, path: &str) -> Option<Value> {
        let answer = http::get(self.port, &format!("/api/v1/{path}"))?;
        // While it starts, it says so in plain words.
        let value: Value = serde_json::from_str(&answer).ok()?;
        assert_eq!(value["status"], "success", "{path}: {answer}");
        Some(value["data"].clone())
    }

    /// How many series a query has now.
    fn series(&self, query: &str) -> Option<usize> {
        let data = self.ask(&format!("query?query={}", http::encoded(query)))?;
        Some(data["result"].as_array().unwrap().len())
    }

    /// Waits until something is so for each of these.
    fn await_each(&self, what: &str, mut waiting: BTreeSet<String>, is_so: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + BOUND;
        loop {
            waiting.retain(|item| !is_so(item));
            if waiting.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{what}: {waiting:#?}\n{}",
                self.prometheus.said()
            );
            // Until the next scrape.
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn start_wigwag(port: u16, tls: u16, metrics: u16, peer: u16) -> Configured {
    let folder = TempDir::new().unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write(&folder.path().join("server.crt"), &cert.pem());
    write(
        &folder.path().join("server.key"),
        &signing_key.serialize_pem(),
    );
    let dir = folder.path().display().to_string();
    let text = format!(
        "user root\nallow_anonymous true\nsys_interval 1\nmetrics_listener {metrics}\n\
         persistence true\npersistence_location {dir}/\nautosave_interval 1\n\
         listener {port} 127.0.0.1\n\
         listener {tls} 127.0.0.1\ncertfile {dir}/server.crt\nkeyfile {dir}/server.key\n\
         connection to-mosquitto\naddress 127.0.0.1:{peer}\ntopic from/wigwag/# out\nrestart_timeout 1\n"
    );
    Configured::start_quietly(Kind::Wigwag, folder, &text)
}

fn start_mosquitto(port: u16, peer: u16) -> Configured {
    let text = format!(
        "user root\nallow_anonymous true\nsys_interval 1\nlistener {port} 127.0.0.1\n\
         connection to-wigwag\naddress 127.0.0.1:{peer}\ntopic from/mosquitto/# out\nrestart_timeout 1\n"
    );
    Configured::start_quietly(Kind::Mosquitto, TempDir::new().unwrap(), &text)
}

/// The shipped configuration for these ports, with our broker's view of Mosquitto's names as one more target.
fn configuration(metrics: u16, exporter: u16) -> String {
    let shipped = read(&deploy().join("prometheus/prometheus.yml"));
    let mut text = shipped;
    for (shipped, here) in [
        ("wigwag:9234", format!("127.0.0.1:{metrics}")),
        ("exporter:9234", format!("127.0.0.1:{exporter}")),
        ("scrape_interval: 15s", "scrape_interval: 500ms".to_owned()),
        (
            "evaluation_interval: 15s",
            "evaluation_interval: 500ms".to_owned(),
        ),
        (
            "rules/*.yml",
            format!("{}/prometheus/rules/*.yml", deploy().display()),
        ),
    ] {
        assert!(text.contains(shipped), "{shipped}");
        text = text.replace(shipped, &here);
    }
    text + &format!(
        "\n  - job_name: names\n    params: {{ names: [mosquitto] }}\n    static_configs:\n\
         \x20     - targets: [\"127.0.0.1:{metrics}\"]\n        labels: {{ job: mosquitto, instance: wigwag }}\n"
    )
}

/// Alarms that nobody raises, and what a bare `> 0` filters, may be nothing.
fn may_be_nothing(query: &str) -> bool {
    query.starts_with("ALERTS") || query.ends_with(" > 0")
}

#[test]
fn prometheus_gets_every_number_that_rules_and_dashboards_ask_for() {
    let scene = Scene::start();
    scene.await_each("not evaluated", ["rules".to_owned()].into(), |_| {
        scene.ask("rules").is_some_and(|data| are_evaluated(&data))
    });
    let rules = rule_queries(&scene.ask("rules").unwrap());
    for rule in &rules {
        // That it can be answered is all: a healthy broker raises no alarm.
        assert!(scene.series(rule).is_some(), "{rule}");
    }
    let dashboards: BTreeSet<String> = files("grafana/dashboards", ".json")
        .iter()
        .flat_map(|file| dashboard_queries(file))
        .collect();
    let has_series = |query: &str| scene.series(query).is_some_and(|count| count > 0);
    let all = dashboards.iter().chain(&rules);
    let selectors: BTreeSet<String> = all.flat_map(|query| queries::selectors(query)).collect();
    let wanted = |queries: BTreeSet<String>| -> BTreeSet<String> {
        let wanted = queries.into_iter().filter(|query| !may_be_nothing(query));
        wanted.collect()
    };
    scene.await_each("no series", wanted(selectors.clone()), has_series);
    scene.await_each("nothing to draw", wanted(dashboards), has_series);

    // Each source alone has what goes by Mosquitto's names.
    for source in ["mosquitto", "wigwag"] {
        let from_it = selectors
            .iter()
            .filter(|selector| selector.starts_with("broker_"))
            .map(|selector| queries::with_label(selector, "instance", source));
        scene.await_each("no series", from_it.collect(), has_series);
    }
    let firing = scene.ask(&format!(
        "query?query={}",
        http::encoded("ALERTS{alertstate=\"firing\"}")
    ));
    assert_eq!(firing.unwrap()["result"], Value::Array(Vec::new()));
}

#[test]
fn a_configuration_that_is_broken_raises_the_alarm_until_it_is_mended() {
    let scene = Scene::start();
    let file = scene.wigwag.folder.path().join("m.conf");
    let good = read(&file);
    let alarm =
        "ALERTS{alertname=\"ConfigReloadFailed\", alertstate=\"firing\", instance=~\"127.*\"}";
    for (text, count) in [("nonsense\n", 1), (&good, 0), ("nonsense\n", 1)] {
        scene.wigwag.write("m.conf", text);
        scene.wigwag.process.signal("HUP");
        let what = format!("not {count} alarms");
        scene.await_each(&what, [alarm.to_owned()].into(), |alarm| {
            scene.series(alarm) == Some(count)
        });
    }
}

/// The rules that Prometheus has.
fn rules(data: &Value) -> impl Iterator<Item = &Value> {
    let groups = data["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap())
}

fn are_evaluated(data: &Value) -> bool {
    rules(data).all(|rule| {
        let health = rule["health"].as_str().unwrap();
        assert_ne!(health, "err", "{rule:#}");
        health == "ok"
    })
}

fn rule_queries(data: &Value) -> BTreeSet<String> {
    let queries = rules(data).map(|rule| rule["query"].as_str().unwrap().to_owned());
    queries.collect()
}
