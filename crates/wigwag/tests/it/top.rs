//! `wigwag top` against both brokers: what it prints for scripts, and that a terminal is as it was afterwards.

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{Broker, Kind, free_port};
use crate::configured::Configured;
use crate::mosquitto_clients::publish;
use crate::process::Process;
use crate::tools;

against_both_brokers!(
    a_single_look_prints_what_the_broker_tells,
    a_single_look_can_be_json,
    topics_of_a_filter_are_counted,
    a_terminal_is_taken_and_given_back,
);

fn top(url: &str, options: &[&str]) -> Process {
    Process::start(tools::wigwag().args(["top", url]).args(options))
}

fn a_single_look_prints_what_the_broker_tells(kind: Kind) {
    let broker = Broker::start(kind);
    let mut process = top(&broker.mqtt_url(), &["--once"]);
    process.await_line("the version", |line| {
        line.starts_with("version ") && line.contains(" version ")
    });
    process.await_line("a rate", |line| line.starts_with("publish in "));
    process.await_line("a number", |line| line.starts_with("clients/connected "));
    assert!(process.await_exit().success());
}

fn a_single_look_can_be_json(kind: Kind) {
    let broker = Broker::start(kind);
    let mut process = top(&broker.mqtt_url(), &["--once", "--json"]);
    let line = process.await_line("an object", |line| line.starts_with('{'));
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&object["online"], &object["alarms"]),
        (&true.into(), &Value::Array(vec![]))
    );
    assert!(object["counts"]["clients/connected"].is_u64(), "{line}");
    assert!(object["perSec"]["bytesReceived"].is_f64(), "{line}");
    assert!(process.await_exit().success());
}

fn topics_of_a_filter_are_counted(kind: Kind) {
    let broker = Broker::start(kind);
    let options = ["--json", "--topics", "plant/#"];
    let process = top(&broker.mqtt_url(), &options);
    process.await_line("an object", |line| line.contains(r#""online":true"#));
    loop {
        publish(&broker, &["-t", "plant/press", "-m", "12345"]);
        let line = process.await_line("an object", |line| line.starts_with('{'));
        let object: Value = serde_json::from_str(&line).unwrap();
        let topic = &object["topics"][0];
        if topic["topic"] == "plant/press" {
            let messages = topic["messages"].as_u64().unwrap();
            assert_eq!(topic["bytes"], messages * 5);
            return;
        }
    }
}

/// In a terminal that `script` makes.
fn a_terminal_is_taken_and_given_back(kind: Kind) {
    let broker = Broker::start(kind);
    let mut command = tools::system("script");
    let wigwag = env!("CARGO_BIN_EXE_wigwag");
    let top = format!(
        "stty cols 80 rows 24; {wigwag} top {}; echo code $?",
        broker.mqtt_url()
    );
    command
        .args(["-q", "-f", "-c", &top, "/dev/null"])
        .env("TERM", "xterm");
    let mut process = Process::start(&mut command);
    process.feed("q");
    let left = "\x1b[?1049l";
    process.await_line("that the terminal is given back", |line| {
        line.contains(left) && line.trim_end().ends_with("code 0")
    });
    let said = process.said();
    let taken = said.find("\x1b[?1049h");
    assert!(taken.is_some() && taken < said.find(left), "{said:?}");
    process.await_exit();
}

#[test]
fn numbers_of_each_second_come_over_http() {
    let (port, http) = (free_port(), free_port());
    let text = format!(
        "listener {port} 127.0.0.1\nlistener {http} 127.0.0.1\nprotocol http_api\n\
         allow_anonymous true\nsys_interval 0\n\
         alarm crowd: $SYS/broker/clients/connected > 0\n"
    );
    let _broker = Configured::start(Kind::Wigwag, TempDir::new().unwrap(), &text);
    let url = format!("mqtt://127.0.0.1:{port}");
    let http = format!("http://127.0.0.1:{http}");
    let process = top(&url, &["--json", "--http", &http]);
    process.await_line("a rate and an alarm", |line| {
        let object: Value = serde_json::from_str(line).unwrap();
        object["perSec"]["packetsReceived"].is_f64() && object["alarms"][0]["name"] == "crowd"
    });
}

#[test]
fn a_broker_that_is_not_there_or_says_nothing_is_an_error() {
    let mut process = top(&format!("mqtt://127.0.0.1:{}", free_port()), &["--once"]);
    process.await_line("why", |line| {
        line.starts_with("error: ") && line.contains("refused")
    });
    assert_eq!(process.await_exit().code(), Some(1));

    let port = free_port();
    let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nsys_interval 0\n");
    let _broker = Configured::start(Kind::Mosquitto, TempDir::new().unwrap(), &text);
    let mut process = top(&format!("mqtt://127.0.0.1:{port}"), &["--once"]);
    process.await_line("why", |line| {
        line.starts_with("error: ") && line.contains("nothing below $SYS")
    });
    assert_eq!(process.await_exit().code(), Some(1));
}

#[test]
fn without_a_terminal_it_says_what_there_is_instead() {
    let mut process = top("mqtt://127.0.0.1:1", &[]);
    process.await_line("why", |line| {
        line.contains("--once") && line.contains("--json")
    });
    assert_eq!(process.await_exit().code(), Some(1));
}
