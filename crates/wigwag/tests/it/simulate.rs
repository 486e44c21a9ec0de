//! `wigwag simulate` and `wigwag device --source host` against both brokers, as `mosquitto_sub` sees them.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{Broker, Kind};
use crate::configured::Configured;
use crate::mosquitto_clients::{Subscriber, publish};
use crate::process::Process;
use crate::tools;

against_both_brokers!(
    home_assistant_finds_devices_and_loses_them,
    home_assistant_is_introduced_again_to_whoever_it_tells_that_it_has_started,
    an_edge_node_is_born_speaks_and_dies,
    a_host_application_can_ask_for_another_birth,
    a_device_that_drops_out_is_told_of_by_the_broker_and_comes_back,
    a_device_that_falls_silent_stays_connected,
    what_is_retained_can_be_taken_back,
    the_same_seed_has_the_same_readings,
    a_fleet_comes_back_after_the_broker,
    this_machine_is_a_device,
);

/// A fleet that runs, and its scenario's file.
struct Fleet {
    process: Process,
    _folder: TempDir,
}

impl Fleet {
    /// Returns when all devices have been online.
    fn start(broker: &Broker, scenario: &str, options: &[&str]) -> Fleet {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("scenario.toml");
        fs::write(&file, scenario).unwrap();
        let mut command = tools::wigwag();
        command.arg("simulate").arg(&file);
        command.args(["--broker", &broker.mqtt_url()]).args(options);
        let process = Process::start(&mut command);
        process.await_line("that it is ready", |line| line.starts_with("ready"));
        Fleet {
            process,
            _folder: folder,
        }
    }

    /// Interrupts it, as Ctrl-C does.
    fn stop(mut self) {
        self.process.signal("INT");
        let status = self.process.await_exit();
        assert!(status.success(), "{status}: {}", self.process.said());
    }
}

const ROOM: &str = r#"
[[fleet]]
kind = "home-assistant"
count = 1
id = "room-{n}"
every = "50ms"
switch = true
"#;

const NODE: &str = r#"
[[fleet]]
kind = "sparkplug"
count = 1
id = "node-{n}"
every = "100ms"
group = "plant"
devices = 2
"#;

/// The room, when the broker has its introductions: a device is online a little before. And who has heard of them.
fn introduced(broker: &Broker, options: &[&str]) -> (Fleet, Subscriber) {
    let watcher = Subscriber::start(broker, &["-t", "homeassistant/#", "-t", "home/#"]);
    let fleet = Fleet::start(broker, ROOM, options);
    // What comes last of an introduction.
    watcher.receive_where(|line| line == "home/room-1/availability 0 0 online");
    (fleet, watcher)
}

fn home_assistant_finds_devices_and_loses_them(kind: Kind) {
    let broker = Broker::start(kind);
    let (fleet, _) = introduced(&broker, &[]);
    // Whoever comes later reads what is retained.
    let subscriber = Subscriber::start(&broker, &["-t", "homeassistant/#", "-t", "home/#"]);
    let prefix = "homeassistant/sensor/room-1/temperature/config 0 1 ";
    let found = subscriber.receive_where(|line| line.starts_with(prefix));
    let entity: Value = serde_json::from_str(found.strip_prefix(prefix).unwrap()).unwrap();
    let state_topic = entity["state_topic"].as_str().unwrap();
    let state = subscriber.receive_where(|line| line.starts_with(state_topic));
    let json = state.splitn(4, ' ').nth(3).unwrap();
    let state: Value = serde_json::from_str(json).unwrap();
    assert!(state["temperature"].is_f64(), "{state}");
    publish(&broker, &["-t", "home/room-1/switch/set", "-m", "ON"]);
    subscriber.receive_where(|line| line == "home/room-1/switch 0 0 ON");
    fleet.stop();
    subscriber.receive_where(|line| line == "home/room-1/availability 0 0 offline");
}

fn home_assistant_is_introduced_again_to_whoever_it_tells_that_it_has_started(kind: Kind) {
    let broker = Broker::start(kind);
    let _introduced = introduced(&broker, &[]);
    let topic = "homeassistant/sensor/room-1/humidity/config";
    let subscriber = Subscriber::start(&broker, &["-t", topic]);
    subscriber.receive_where(|line| line.starts_with(&format!("{topic} 0 1 ")));
    publish(&broker, &["-t", "homeassistant/status", "-m", "online"]);
    subscriber.receive_where(|line| line.starts_with(&format!("{topic} 0 0 ")));
}

/// A subscriber that prints payloads in hexadecimal.
fn watch_sparkplug(broker: &Broker) -> Subscriber {
    let format = ["-F", "message %t %q %r %x", "-t", "spBv1.0/#"];
    Subscriber::start(broker, &format)
}

/// `bdSeq` as the name of a metric, and the value that stands behind it.
fn bd_seq(message: &str) -> &str {
    let (_, metric) = message.split_once("6264536571").unwrap();
    // The timestamp is between; its value is in the field of number 11.
    let (_, value) = metric.split_once("200858").unwrap();
    &value[..2]
}

fn an_edge_node_is_born_speaks_and_dies(kind: Kind) {
    let broker = Broker::start(kind);
    let subscriber = watch_sparkplug(&broker);
    let fleet = Fleet::start(&broker, NODE, &[]);
    let birth = subscriber.receive();
    assert!(
        birth.starts_with("spBv1.0/plant/NBIRTH/node-1 0 0 "),
        "{birth}"
    );
    for device in ["device-1", "device-2"] {
        let topic = format!("spBv1.0/plant/DBIRTH/node-1/{device} 0 0 ");
        let birth = subscriber.receive();
        assert!(birth.starts_with(&topic), "{birth}");
    }
    subscriber.receive_where(|line| line.starts_with("spBv1.0/plant/NDATA/node-1 0 0 "));
    subscriber.receive_where(|line| line.starts_with("spBv1.0/plant/DDATA/node-1/device-2 0 0 "));
    // Killed, it leaves it to the broker to tell.
    fleet.process.signal("KILL");
    let death = subscriber.receive_where(|line| line.starts_with("spBv1.0/plant/NDEATH/node-1"));
    assert_eq!(bd_seq(&death), bd_seq(&birth));
}

fn a_host_application_can_ask_for_another_birth(kind: Kind) {
    let broker = Broker::start(kind);
    let subscriber = watch_sparkplug(&broker);
    let fleet = Fleet::start(&broker, NODE, &[]);
    let is_birth = |line: &str| line.starts_with("spBv1.0/plant/NBIRTH/node-1");
    let first = subscriber.receive_where(is_birth);
    // A metric with the name, the data type Boolean, and true.
    let name = b"Node Control/Rebirth";
    let metric = [&[0x0a, name.len() as u8][..], name, &[0x20, 11, 0x70, 1]].concat();
    let payload = [&[0x12, metric.len() as u8][..], &metric].concat();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rebirth");
    fs::write(&file, payload).unwrap();
    let file = file.display().to_string();
    publish(&broker, &["-t", "spBv1.0/plant/NCMD/node-1", "-f", &file]);
    let second = subscriber.receive_where(is_birth);
    assert_eq!(bd_seq(&first), bd_seq(&second));
    fleet.stop();
}

fn a_device_that_drops_out_is_told_of_by_the_broker_and_comes_back(kind: Kind) {
    let broker = Broker::start(kind);
    let subscriber = Subscriber::start(&broker, &["-t", "device/7/online", "-q", "1"]);
    // It drops out after times that are always the same: after 1.2 and 2.2 seconds first.
    let scenario = r#"
        [[fleet]]
        kind = "dashboard"
        count = 1
        id = "7"
        every = "50ms"
        faults = { drop-out = { every = "1s", lasts = "200ms" } }
    "#;
    let _fleet = Fleet::start(&broker, scenario, &[]);
    for expected in ["true", "false", "true", "false"] {
        let told = subscriber.receive();
        assert!(told.ends_with(expected), "{expected}: {told}");
    }
}

fn a_device_that_falls_silent_stays_connected(kind: Kind) {
    let broker = Broker::start(kind);
    let scenario = r#"
        [[fleet]]
        kind = "dashboard"
        count = 2
        id = "silent-{n}"
        every = "20ms"
        faults = { silence = { share = 1, after = "100ms" } }
    "#;
    let options = ["--json", "--report", "100ms"];
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("scenario.toml");
    fs::write(&file, scenario).unwrap();
    let mut command = tools::wigwag();
    command.arg("simulate").arg(&file).args(options);
    command.args(["--broker", &broker.mqtt_url()]);
    let process = Process::start(&mut command);
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    process.await_line("that both are silent", |line| read(line)["silent"] == 2);
    // The last message before that may be counted while the line is made.
    let then = read(&process.await_line("a line", |_| true));
    assert_eq!(then["online"], 2);
    let line = process.await_line("another line", |_| true);
    assert_eq!(read(&line)["published"], then["published"], "{line}");
    assert_eq!(read(&line)["online"], 2, "{line}");
}

fn what_is_retained_can_be_taken_back(kind: Kind) {
    let broker = Broker::start(kind);
    let (fleet, _) = introduced(&broker, &["--forget"]);
    let filters = ["-t", "homeassistant/#", "-t", "home/#", "-t", "end"];
    Subscriber::start(&broker, &filters).receive_where(|line| line.contains("/config 0 1 "));
    fleet.stop();
    // What comes first now is what was retained last.
    publish(&broker, &["-q", "1", "-r", "-t", "end", "-m", "of it"]);
    assert_eq!(
        Subscriber::start(&broker, &filters).receive(),
        "end 0 1 of it"
    );
}

fn the_same_seed_has_the_same_readings(kind: Kind) {
    let broker = Broker::start(kind);
    let readings = |seed: &str| -> Vec<String> {
        let filters = ["-t", "home/room-1/state", "-t", "home/room-1/availability"];
        let subscriber = Subscriber::start(&broker, &filters);
        let fleet = Fleet::start(&broker, ROOM, &["--seed", seed]);
        let live = |line: &str| line.starts_with("home/room-1/state 0 0 ");
        let readings = (0..5).map(|_| subscriber.receive_where(live)).collect();
        // Nothing of it comes after its end, when the next one is heard.
        drop(fleet);
        subscriber.receive_where(|line| line == "home/room-1/availability 0 0 offline");
        readings
    };
    let first = readings("5");
    assert_eq!(first, readings("5"));
    assert_ne!(first, readings("6"));
}

fn a_fleet_comes_back_after_the_broker(kind: Kind) {
    let broker = Broker::start(kind);
    let _fleet = Fleet::start(&broker, NODE, &[]);
    let broker = broker.restart();
    let subscriber = watch_sparkplug(&broker);
    subscriber.receive_where(|line| line.starts_with("spBv1.0/plant/NDATA/node-1"));
}

fn this_machine_is_a_device(kind: Kind) {
    let broker = Broker::start(kind);
    let root = TempDir::new().unwrap();
    for (file, text) in [
        ("sys/class/thermal/thermal_zone0/temp", "48250\n"),
        ("proc/sys/kernel/hostname", "pump-house\n"),
        ("proc/loadavg", "0.52 0.40 0.31 1/456 7890\n"),
    ] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let subscriber = Subscriber::start(&broker, &["-t", "device/pump-house/state"]);
    let mut command = tools::wigwag();
    command.args(["device", "--source", "host", "--broker", &broker.mqtt_url()]);
    let mut process = Process::start(command.arg("--host-root").arg(root.path()));
    process.await_line("what is missing", |line| {
        line.starts_with("missing   memory: ")
    });
    let message = subscriber.receive();
    let state: Value = serde_json::from_str(message.splitn(4, ' ').nth(3).unwrap()).unwrap();
    assert_eq!(state["status"], "running");
    assert_eq!(state["temperature"], 48.3);
    assert_eq!(state["host"]["load"][0], 0.52);
    assert_eq!(state["host"]["missing"].as_array().unwrap().len(), 1);
    process.signal("TERM");
    assert!(process.await_exit().success());
}

#[test]
fn thousands_of_devices_take_little_memory_each() {
    let broker = Broker::start(Kind::Wigwag);
    let mut command = tools::wigwag();
    command.args(["simulate", "dashboard", "--count", "2000"]);
    command.args(["--start-rate", "1000", "--json", "--report", "500ms"]);
    command.args(["--broker", &broker.mqtt_url()]);
    let mut process = Process::start(&mut command);
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let online = |line: &str| read(line)["online"].as_u64().unwrap();
    let mut line = process.await_line("that some are online", |line| online(line) > 0);
    while online(&line) < 2_000 {
        let before = online(&line);
        line = process.await_line("that more are online", |line| online(line) > before);
    }
    let kib = read(&line)["kibPerDevice"].as_f64().unwrap();
    assert!(kib < 64.0, "{line}");
    process.signal("INT");
    assert!(process.await_exit().success());
}

#[test]
fn a_fleet_that_is_refused_says_why() {
    let port = crate::broker::free_port();
    let text = format!("listener {port} 127.0.0.1\nallow_anonymous false\n");
    let _broker = Configured::start(Kind::Wigwag, TempDir::new().unwrap(), &text);
    let mut command = tools::wigwag();
    command.args(["simulate", "sparkplug", "--broker"]);
    let mut process = Process::start(command.arg(format!("mqtt://127.0.0.1:{port}")));
    process.await_line("why", |line| {
        line.starts_with("error: the broker refuses every device: ") && line.contains("authorized")
    });
    assert_eq!(process.await_exit().code(), Some(1));
}

#[test]
fn a_scenario_with_a_mistake_is_told_with_its_line() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("plant.toml");
    fs::write(&file, "[[fleet]]\nkind = \"toaster\"\n").unwrap();
    let mut process = Process::start(tools::wigwag().arg("simulate").arg(&file));
    let expected = format!("error: {}:2: ", file.display());
    process.await_line("the mistake", |line| line.starts_with(&expected));
    assert_eq!(process.await_exit().code(), Some(1));
}
