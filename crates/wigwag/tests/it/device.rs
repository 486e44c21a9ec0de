//! `wigwag device` and `wigwag dashboard` against both brokers: the device contract as a
//! stranger with `mosquitto_pub`, `mosquitto_sub` and `mosquitto_rr` sees it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::broker::{Broker, Kind, Ports};
use crate::mosquitto_clients::{Subscriber, publish};
use crate::process::{BOUND, Process};
use crate::tools;
use crate::up::http_get;

const STATE: &str = "device/7/state";
const COMMAND: &str = "device/7/command";
const ONLINE: &str = "device/7/online";

against_both_brokers!(
    state_is_there_for_whoever_comes_later,
    start_and_stop_change_the_state_at_once,
    tutorial_diagrams_spelling_of_a_command_works,
    running_device_reports_every_two_seconds,
    known_command_is_confirmed_on_the_response_topic,
    unknown_action_is_refused_on_the_response_topic,
    broken_json_is_refused_on_the_response_topic,
    killed_device_goes_offline,
    stopped_device_publishes_its_last_state,
    device_works_over_websocket,
    device_comes_back_after_the_broker,
    dashboard_serves_the_page,
);

fn start_device(url: &str) -> Process {
    let process = Process::start(tools::wigwag().args(["device", "--broker", url, "--id", "7"]));
    process.await_line("that it is ready", |line| line.starts_with("ready"));
    process
}

/// What a message on the state topic says, and whether it was a retained one.
struct State {
    status: String,
    retained: bool,
}

/// The next state; every one must keep the contract.
fn await_state(subscriber: &Subscriber) -> State {
    let message = subscriber.receive_where(|line| line.starts_with(STATE));
    let mut parts = message.splitn(4, ' ').skip(1);
    let (qos, retain, json) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
    assert_eq!(qos, Some("0"), "QoS of {message}");
    let state: Value =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {message}"));
    let object = state.as_object().unwrap();
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 4, "keys of {message}");
    assert_eq!(state["deviceId"], "7", "{message}");
    let temperature = state["temperature"].as_f64().unwrap_or(f64::NAN);
    assert!(
        (-50.0..150.0).contains(&temperature),
        "temperature of {message}"
    );
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let age = now.abs_diff(state["timestamp"].as_u64().unwrap());
    assert!(
        age < 120,
        "timestamp of {message} is not in seconds of this time"
    );
    State {
        status: state["status"].as_str().unwrap().to_owned(),
        retained: retain == "1",
    }
}

fn await_status(subscriber: &Subscriber, wanted: &str) {
    let deadline = Instant::now() + BOUND;
    while await_state(subscriber).status != wanted {
        assert!(Instant::now() < deadline, "no state `{wanted}` came");
    }
}

fn watch_state(broker: &Broker) -> Subscriber {
    Subscriber::start(broker, &["-V", "mqttv5", "-t", STATE, "-q", "1"])
}

fn command(broker: &Broker, payload: &str) {
    publish(broker, &["-t", COMMAND, "-q", "1", "-m", payload]);
}

/// Sends a command with a Response Topic and returns the reply.
fn request(broker: &Broker, payload: &str) -> Value {
    let mut command = tools::system("mosquitto_rr");
    command
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &broker.mqtt_port().to_string(),
            "-V",
            "mqttv5",
        ])
        .args([
            "-t",
            COMMAND,
            "-e",
            "replies/test",
            "-q",
            "1",
            "-W",
            "25",
            "-m",
            payload,
        ]);
    let process = Process::start(&mut command);
    let line = process.await_line("the reply", |line| line.starts_with('{'));
    serde_json::from_str(&line).unwrap()
}

fn state_is_there_for_whoever_comes_later(kind: Kind) {
    let broker = Broker::start(kind);
    let early = watch_state(&broker);
    let _device = start_device(&broker.mqtt_url());
    // Once it has arrived anywhere, it is also retained.
    await_status(&early, "idle");
    let state = await_state(&watch_state(&broker));
    assert_eq!((state.status.as_str(), state.retained), ("idle", true));
}

fn start_and_stop_change_the_state_at_once(kind: Kind) {
    start_and_stop(kind, r#"{"action":"start"}"#, r#"{"action":"stop"}"#);
}

fn tutorial_diagrams_spelling_of_a_command_works(kind: Kind) {
    start_and_stop(kind, r#"{"command":"start"}"#, r#"{"command":"stop"}"#);
}

fn start_and_stop(kind: Kind, start: &str, stop: &str) {
    let broker = Broker::start(kind);
    let watcher = watch_state(&broker);
    let _device = start_device(&broker.mqtt_url());
    await_status(&watcher, "idle");
    command(&broker, start);
    await_status(&watcher, "running");
    command(&broker, stop);
    await_status(&watcher, "idle");
    let state = await_state(&watch_state(&broker));
    assert_eq!((state.status.as_str(), state.retained), ("idle", true));
}

fn running_device_reports_every_two_seconds(kind: Kind) {
    let broker = Broker::start(kind);
    let watcher = watch_state(&broker);
    let _device = start_device(&broker.mqtt_url());
    await_status(&watcher, "idle");
    // From before: what holds the test up must not make the time between states shorter.
    let begin = Instant::now();
    command(&broker, r#"{"action":"start"}"#);
    await_status(&watcher, "running");
    for _ in 0..3 {
        let state = await_state(&watcher);
        assert_eq!((state.status.as_str(), state.retained), ("running", false));
    }
    // Three periods of two seconds; the first may have begun before the change was published.
    let took = begin.elapsed();
    assert!(
        took > Duration::from_secs(3) && took < Duration::from_secs(20),
        "three states took {took:?}"
    );
}

fn known_command_is_confirmed_on_the_response_topic(kind: Kind) {
    let broker = Broker::start(kind);
    let _device = start_device(&broker.mqtt_url());
    for (action, status) in [("start", "running"), ("stop", "idle")] {
        let reply = request(&broker, &format!(r#"{{"action":"{action}"}}"#));
        assert_eq!(reply["deviceId"], "7", "{reply}");
        assert_eq!(reply["ok"], true, "{reply}");
        assert_eq!(reply["status"], status, "{reply}");
    }
}

fn unknown_action_is_refused_on_the_response_topic(kind: Kind) {
    let broker = Broker::start(kind);
    let device = start_device(&broker.mqtt_url());
    let reply = request(&broker, r#"{"action":"dance"}"#);
    assert_eq!(
        (&reply["deviceId"], &reply["ok"]),
        (&"7".into(), &false.into()),
        "{reply}"
    );
    let error = reply["error"].as_str().unwrap();
    assert!(
        error.contains("dance") && error.contains("start") && error.contains("stop"),
        "{error}"
    );
    device.await_line("what was wrong with the command", |line| {
        line.contains("dance")
    });
}

fn broken_json_is_refused_on_the_response_topic(kind: Kind) {
    let broker = Broker::start(kind);
    let _device = start_device(&broker.mqtt_url());
    for payload in ["start", "{\"action\":", "{}", "[]", "{\"action\":1}"] {
        let reply = request(&broker, payload);
        assert_eq!(
            (&reply["deviceId"], &reply["ok"]),
            (&"7".into(), &false.into()),
            "{payload}: {reply}"
        );
        assert!(
            reply["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{payload}: {reply}"
        );
    }
    // It still listens.
    assert_eq!(request(&broker, r#"{"action":"start"}"#)["ok"], true);
}

fn killed_device_goes_offline(kind: Kind) {
    let broker = Broker::start(kind);
    let watcher = Subscriber::start(&broker, &["-t", ONLINE, "-q", "1"]);
    let device = start_device(&broker.mqtt_url());
    let is = |payload: &'static str| move |line: &str| line.ends_with(payload);
    watcher.receive_where(is(" true"));
    let late = Subscriber::start(&broker, &["-t", ONLINE, "-q", "1"]);
    assert!(late.receive().ends_with(" 1 true"), "presence is retained");
    device.signal("KILL");
    watcher.receive_where(is(" false"));
    let late = Subscriber::start(&broker, &["-t", ONLINE, "-q", "1"]);
    assert!(late.receive().ends_with(" 1 false"), "absence is retained");
}

fn stopped_device_publishes_its_last_state(kind: Kind) {
    for signal in ["TERM", "INT"] {
        let broker = Broker::start(kind);
        let watcher = watch_state(&broker);
        let presence = Subscriber::start(&broker, &["-t", ONLINE, "-q", "1"]);
        let mut device = start_device(&broker.mqtt_url());
        presence.receive_where(|line| line.ends_with(" true"));
        await_status(&watcher, "idle");
        // An idle device says nothing more by itself.
        device.signal(signal);
        await_status(&watcher, "idle");
        presence.receive_where(|line| line.ends_with(" false"));
        let status = device.await_exit();
        assert_eq!(
            status.code(),
            Some(0),
            "{signal}: {status}\n{}",
            device.said()
        );
        assert!(await_state(&watch_state(&broker)).retained);
    }
}

fn device_works_over_websocket(kind: Kind) {
    let broker = Broker::start(kind);
    let watcher = watch_state(&broker);
    let _device = start_device(&broker.ws_url());
    await_status(&watcher, "idle");
    command(&broker, r#"{"action":"start"}"#);
    await_status(&watcher, "running");
}

fn device_comes_back_after_the_broker(kind: Kind) {
    let broker = Broker::start(kind);
    let watcher = watch_state(&broker);
    let _device = start_device(&broker.mqtt_url());
    await_status(&watcher, "idle");
    drop(watcher);
    let broker = broker.restart();
    let watcher = watch_state(&broker);
    // The broker has forgotten everything; the device has not.
    await_status(&watcher, "idle");
    command(&broker, r#"{"action":"start"}"#);
    await_status(&watcher, "running");
}

fn dashboard_serves_the_page(kind: Kind) {
    let broker = Broker::start(kind);
    let mut command = tools::wigwag();
    command.args([
        "dashboard",
        "--broker",
        &broker.ws_url(),
        "--http-port",
        "0",
    ]);
    let mut dashboard = Process::start(&mut command);
    let port = Ports::await_ready(&dashboard).of("http://");
    let (status, body) = http_get(port, "/");
    assert_eq!(status, 200);
    assert!(body.contains("<html"), "{body}");
    dashboard.signal("TERM");
    assert_eq!(
        dashboard.await_exit().code(),
        Some(0),
        "{}",
        dashboard.said()
    );
}

#[test]
fn broker_address_that_cannot_be_is_refused_by_name() {
    for url in [
        "127.0.0.1:1883",
        "http://127.0.0.1:1883",
        "mqtt://",
        "mqtt://host:70000",
    ] {
        let mut device =
            Process::start(tools::wigwag().args(["device", "--broker", url, "--id", "7"]));
        assert!(!device.await_exit().success(), "{url} was accepted");
        let said = device.said();
        assert!(
            said.contains(url),
            "the message does not name {url}: {said}"
        );
    }
}

#[test]
fn password_in_an_address_is_not_shown() {
    let broker = Broker::start(Kind::Wigwag);
    let url = format!("mqtt://me:secret@127.0.0.1:{}", broker.mqtt_port());
    let device = start_device(&url);
    device.signal("INT");
    let shown = device
        .rewind()
        .await_line("where its broker is", |line| line.starts_with("broker"));
    assert!(shown.ends_with(&broker.mqtt_url()), "{shown}");
    let mut refused = Process::start(tools::wigwag().args([
        "device",
        "--id",
        "7",
        "--broker",
        "http://me:secret@there",
    ]));
    assert!(!refused.await_exit().success());
    for process in [&device, &refused] {
        assert!(!process.said().contains("secret"), "{}", process.said());
    }
}

#[test]
fn options_of_a_machine_are_refused_for_a_device_that_is_none() {
    let refusal = |arguments: &[&str]| {
        let mut device = Process::start(tools::wigwag().arg("device").args(arguments));
        let code = device.await_exit().code();
        (code, device.said())
    };
    let (code, said) = refusal(&["--id", "7", "--host-root", "/host"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--host-root is for --source host"), "{said}");
    let (code, said) = refusal(&["--source", "simulated"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--id"), "{said}");
}
