//! `wigwag up` and `wigwag broker` as processes: what they print, serve, refuse and leave behind.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::broker::{Ports, free_port};
use crate::process::{BOUND, Process};
use crate::tools;
use crate::wire::{Connect, DISCONNECT, Wire, field, packet};

const ANY_PORTS: [&str; 6] = ["--mqtt-port", "0", "--ws-port", "0", "--http-port", "0"];

/// `GET` without a library: the status and the body.
pub(crate) fn http_get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status.unwrap(), body.unwrap())
}

fn start_up(args: &[&str]) -> (Process, Ports) {
    let process = Process::start(tools::wigwag().arg("up").args(args));
    let ports = Ports::await_ready(&process);
    (process, ports)
}

/// Whether the CONNACK for an MQTT 5 client announces this Receive Maximum.
fn announces(port: u16, receive_maximum: u16) -> bool {
    let mut wire = Wire::open(port);
    wire.send(&Connect::clean(5).bytes());
    let (_, body) = wire.receive().unwrap();
    let [high, low] = receive_maximum.to_be_bytes();
    body.windows(3).any(|part| part == [0x21, high, low])
}

#[test]
fn limits_are_mosquittos_only_for_who_starts_it_as_mosquitto() {
    let (_up, ports) = start_up(&ANY_PORTS);
    assert!(announces(ports.of("mqtt://"), 1_000));
    let mut alone = tools::wigwag();
    let alone = Process::start(alone.arg("broker").args(&ANY_PORTS[..4]));
    assert!(announces(Ports::await_ready(&alone).of("mqtt://"), 1_000));
    let port = free_port();
    let mut like_mosquitto = tools::wigwag();
    like_mosquitto.args(["broker", "-v", "-p", &port.to_string()]);
    let like_mosquitto = Process::start(&mut like_mosquitto);
    like_mosquitto.await_line("that it runs", |line| line.ends_with(" running"));
    assert!(announces(port, 20));
}

/// A raw MQTT 5 client that is subscribed to `filter` at QoS 0.
fn subscribed(port: u16, filter: &str) -> Wire {
    let mut wire = Wire::connected(port, &Connect::clean(5));
    let mut body = vec![0, 1, 0];
    body.extend(field(filter.as_bytes()));
    body.push(0);
    wire.send(&packet(0x82, &body));
    wire
}

#[test]
fn up_prints_addresses_that_work_and_a_line_to_try() {
    let (process, ports) = start_up(&ANY_PORTS);
    let said = process.said();
    assert!(said.contains("mosquitto_sub"), "{said}");
    assert!(said.contains("Ctrl-C"), "{said}");
    assert!(said.contains(&ports.of("mqtt://").to_string()), "{said}");
    let (status, body) = http_get(ports.of("http://"), "/");
    assert_eq!(status, 200);
    assert!(body.contains("<html"), "{body}");
    Wire::connected(ports.of("mqtt://"), &Connect::clean(4));
}

#[test]
fn up_tells_of_its_broker_beside_the_page() {
    let (_process, ports) = start_up(&ANY_PORTS);
    let http = ports.of("http://");
    assert_eq!(http_get(http, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(http_get(http, "/readyz").0, 200);
    let (status, metrics) = http_get(http, "/metrics");
    let label = format!("listener=\"127.0.0.1:{}\"", ports.of("mqtt://"));
    assert_eq!(status, 200);
    assert!(metrics.contains(&label), "{metrics}");
    let (status, tree) = http_get(http, "/api/v1/systree");
    assert!(
        status == 200 && tree.contains("$SYS/broker/uptime"),
        "{tree}"
    );
    // And the page is told where.
    let (_, config) = http_get(http, "/config.json");
    assert!(config.contains(r#""metrics":"metrics""#), "{config}");
    // Everything else is the page's.
    assert!(http_get(http, "/devices").1.contains("<html"));
}

#[test]
fn up_runs_as_many_devices_as_it_is_told() {
    let args = [&ANY_PORTS[..], &["--devices", "2"]].concat();
    let (_process, ports) = start_up(&args);
    let mut wire = subscribed(ports.of("mqtt://"), "device/+/online");
    let mut topics: Vec<String> = Vec::new();
    while topics.len() < 2 {
        let (first_byte, body) = wire.receive().unwrap();
        if first_byte & 0xF0 == 0x30 {
            let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
            let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
    }
    topics.sort();
    assert_eq!(topics, ["device/1/online", "device/2/online"]);
}

#[test]
fn up_ends_cleanly_when_asked_to() {
    for signal in ["INT", "TERM"] {
        let (mut process, ports) = start_up(&ANY_PORTS);
        let mut wire = Wire::connected(ports.of("mqtt://"), &Connect::clean(5));
        process.signal(signal);
        let (first_byte, body) = wire.receive().unwrap();
        // 0x8B: Server shutting down.
        assert_eq!(
            (first_byte, body.first()),
            (DISCONNECT, Some(&0x8B)),
            "{signal}"
        );
        let status = process.await_exit();
        assert_eq!(
            status.code(),
            Some(0),
            "{signal}: {status}\n{}",
            process.said()
        );
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, ports.of("mqtt://"))).is_err());
    }
}

#[test]
fn devices_of_up_publish_their_last_state_at_the_end() {
    let args = [&ANY_PORTS[..], &["--devices", "1"]].concat();
    let (process, ports) = start_up(&args);
    let mut online = subscribed(ports.of("mqtt://"), "device/1/online");
    let payload_of = |packet: Option<(u8, Vec<u8>)>| {
        let (first_byte, body) = packet.unwrap();
        (first_byte & 0xF0 == 0x30).then(|| String::from_utf8_lossy(&body).into_owned())
    };
    let mut await_payload = |wanted: &str| {
        while !payload_of(online.receive()).is_some_and(|payload| payload.ends_with(wanted)) {}
    };
    await_payload("true");
    process.signal("TERM");
    await_payload("false");
}

/// The times of what is recorded of a topic, as they are told.
fn recorded(http: u16, topic: &str) -> Vec<String> {
    let (status, answer) = http_get(http, &format!("/api/v1/history?topic={topic}"));
    let (_, messages) = answer.split_once("\"messages\":[").unwrap_or_default();
    let times = messages.split("\"at\":").skip(1);
    assert!(matches!(status, 200 | 503), "{answer}");
    times
        .map(|rest| rest.split(',').next().unwrap().to_owned())
        .collect()
}

#[test]
fn what_was_recorded_outlives_a_broker_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("history");
    let folder = folder.to_str().unwrap();
    let own = ["--history-dir", folder, "--devices", "0"];
    let args = [&ANY_PORTS[..], &own].concat();
    let (mut process, ports) = start_up(&args);
    assert!(process.said().contains(folder), "{}", process.said());
    let mut wire = Wire::connected(ports.of("mqtt://"), &Connect::clean(5));
    let message = packet(0x30, &[&field(b"t")[..], b"\0hello"].concat());
    let begin = Instant::now();
    let before = loop {
        wire.send(&message);
        let before = recorded(ports.of("http://"), "t");
        if before.len() >= 5 {
            break before;
        }
        assert!(begin.elapsed() < BOUND, "still {before:?}");
    };
    process.signal("KILL");
    process.await_exit();
    let (_again, ports) = start_up(&args);
    let begin = Instant::now();
    let after = loop {
        let after = recorded(ports.of("http://"), "t");
        if !after.is_empty() {
            break after;
        }
        assert!(begin.elapsed() < BOUND, "nothing is left");
    };
    assert!(after.starts_with(&before), "{before:?}, then {after:?}");
}

#[test]
fn port_in_use_is_told_in_one_line_with_its_option() {
    for option in ["--mqtt-port", "--ws-port", "--http-port"] {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let mut args = ANY_PORTS;
        let at = args.iter().position(|arg| *arg == option).unwrap();
        args[at + 1] = &port;
        let mut process = Process::start(tools::wigwag().arg("up").args(args));
        let status = process.await_exit();
        assert_eq!(status.code(), Some(1), "{option}: {status}");
        let said = process.said();
        let errors: Vec<&str> = said
            .lines()
            .filter(|line| !line.contains(" INFO "))
            .collect();
        assert_eq!(errors.len(), 1, "{option}: {said}");
        assert!(
            errors[0].contains(&port) && errors[0].contains(option),
            "{option}: {said}"
        );
    }
}

#[test]
fn listening_is_on_loopback_unless_told_otherwise() {
    let (_process, ports) = start_up(&ANY_PORTS);
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    for scheme in ["mqtt://", "ws://", "http://"] {
        let port = format!("{:04X}", ports.of(scheme));
        let listening: Vec<&str> = table
            .lines()
            .filter_map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let local = fields.get(1)?;
                // State 0A is LISTEN.
                (fields.get(3) == Some(&"0A") && local.ends_with(&format!(":{port}")))
                    .then_some(*local)
            })
            .collect();
        assert_eq!(listening, [format!("0100007F:{port}")], "{scheme}");
    }
}

#[test]
fn broker_alone_ends_cleanly_when_asked_to() {
    let mut process =
        Process::start(tools::wigwag().args(["broker", "--mqtt-port", "0", "--ws-port", "0"]));
    let ports = Ports::await_ready(&process);
    Wire::connected(ports.of("mqtt://"), &Connect::clean(5));
    process.signal("TERM");
    assert_eq!(process.await_exit().code(), Some(0), "{}", process.said());
}

#[test]
fn chosen_port_is_used() {
    let port = free_port();
    let args = ["broker", "--mqtt-port", &port.to_string(), "--ws-port", "0"];
    let process = Process::start(tools::wigwag().args(args));
    assert_eq!(Ports::await_ready(&process).of("mqtt://"), port);
}

#[test]
fn up_is_ready_within_seconds() {
    let begin = Instant::now();
    let (_process, _ports) = start_up(&ANY_PORTS);
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
}
