//! `wigwag exporter` and `wigwag probe` before both brokers, and before one that invents things: the names that
//! dashboards know, what vanishes when a broker falls silent, and who may ask for what.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::process::{BOUND, Process};
use crate::security;
use crate::tools;
use crate::wire::{field, packet};

against_both_brokers!(
    every_series_of_the_usual_exporter_is_there_with_its_type_and_help,
    a_silent_broker_has_no_series_and_comes_back,
    certificates_are_checked,
    a_password_comes_by_the_environment_or_a_file,
    one_probe_has_an_exit_code,
    a_device_is_heard_however_much_it_sends,
);

/// What the usual exporter shows of Mosquitto 2.0: 12 counters, and 38 gauges of which 27 are loads. The help is the
/// topic without `$SYS/`.
const COUNTERS: [&str; 12] = [
    "broker/bytes/received",
    "broker/bytes/sent",
    "broker/messages/received",
    "broker/messages/sent",
    "broker/publish/bytes/received",
    "broker/publish/bytes/sent",
    "broker/publish/messages/received",
    "broker/publish/messages/sent",
    "broker/publish/messages/dropped",
    "broker/uptime",
    "broker/clients/maximum",
    "broker/clients/total",
];
const GAUGES: [&str; 11] = [
    "broker/clients/connected",
    "broker/clients/disconnected",
    "broker/clients/expired",
    "broker/heap/current",
    "broker/heap/maximum",
    "broker/messages/stored",
    "broker/store/messages/count",
    "broker/store/messages/bytes",
    "broker/retained messages/count",
    "broker/subscriptions/count",
    "broker/shared_subscriptions/count",
];
const LOADS: [&str; 9] = [
    "messages/received",
    "messages/sent",
    "publish/received",
    "publish/sent",
    "publish/dropped",
    "bytes/received",
    "bytes/sent",
    "sockets",
    "connections",
];
/// What 2.1 has besides.
const NEWER: [&str; 3] = [
    "broker/packet/out/count",
    "broker/packet/out/bytes",
    "broker/connections/socket/count",
];

/// Type and help by name.
fn reference(kind: Kind) -> BTreeMap<String, (&'static str, String)> {
    let counters = COUNTERS.map(|topic| (topic.to_owned(), "counter"));
    let gauges = GAUGES.map(|topic| (topic.to_owned(), "gauge"));
    let loads = LOADS.iter().flat_map(|what| {
        ["1min", "5min", "15min"].map(|minutes| (format!("broker/load/{what}/{minutes}"), "gauge"))
    });
    let newer = match kind {
        Kind::Wigwag => NEWER.as_slice(),
        Kind::Mosquitto => &[],
    };
    let newer = newer.iter().map(|topic| ((*topic).to_owned(), "gauge"));
    counters
        .into_iter()
        .chain(gauges)
        .chain(loads)
        .chain(newer)
        .map(|(topic, kind)| {
            let name = topic.replace(['/', ' '], "_");
            (name, (kind, format!("$SYS/{topic}")))
        })
        .collect()
}

/// An exporter that runs.
struct Exporter {
    process: Process,
    port: u16,
}

impl Exporter {
    /// On a free port. A broker may be silent for three times ten seconds before nothing holds any more, and a probe may
    /// take nearly as long.
    fn start(args: &[&str]) -> Self {
        Self::start_in(&[], args)
    }

    fn start_in(environment: &[(&str, &str)], args: &[&str]) -> Self {
        let patience = ["--sys-interval", "10", "--probe-timeout", "25"];
        Self::start_with(environment, &[&patience, args].concat())
    }

    /// For brokers that are to fall silent.
    fn start_impatient(args: &[&str]) -> Self {
        let patience = ["--sys-interval", "1", "--probe-timeout", "3"];
        Self::start_with(&[], &[&patience, args].concat())
    }

    fn start_with(environment: &[(&str, &str)], args: &[&str]) -> Self {
        let mut command = tools::wigwag();
        command
            .args(["exporter", "--bind-address", "127.0.0.1:0"])
            .args(args)
            .envs(environment.iter().copied());
        let process = Process::start(&mut command);
        let line = process.await_line("where metrics are", |line| line.starts_with("metrics "));
        let (_, rest) = line.split_once("127.0.0.1:").unwrap();
        let port = rest.trim_end_matches("/metrics").parse().unwrap();
        Self { process, port }
    }

    fn get(&self, path: &str, headers: &str) -> (u16, String) {
        get(self.port, path, headers)
    }

    fn metrics(&self) -> String {
        let (status, text) = self.get("/metrics", "");
        assert_eq!(status, 200, "{text}");
        text
    }

    /// Scrapes until the page is as it should be.
    fn await_metrics(&self, what: &str, accept: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + BOUND;
        loop {
            let text = self.metrics();
            if accept(&text) {
                return text;
            }
            let said = self.process.said();
            assert!(Instant::now() < until, "never {what}:\n{text}\n{said}");
            thread::yield_now();
        }
    }
}

/// Status and body of what is at a path.
fn get(port: u16, path: &str, headers: &str) -> (u16, String) {
    let mut http = TcpStream::connect(("127.0.0.1", port)).unwrap();
    http.set_read_timeout(Some(BOUND)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    http.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if status == 200 && path != "/" {
        let media_type = "content-type: text/plain; version=0.0.4; charset=utf-8";
        assert!(head.to_ascii_lowercase().contains(media_type), "{head}");
    }
    (status, body.to_owned())
}

/// A broker that publishes `$SYS` every second, and its port.
fn start_broker(kind: Kind, options: &str) -> (Configured, u16) {
    let port = free_port();
    let text = format!("sys_interval 1\nuser root\nlistener {port} 127.0.0.1\n{options}");
    (
        Configured::start(kind, TempDir::new().unwrap(), &text),
        port,
    )
}

const OPEN: &str = "allow_anonymous true\n";

fn url(port: u16) -> String {
    format!("tcp://127.0.0.1:{port}")
}

/// The value of a sample, with its labels.
fn sample(text: &str, name: &str) -> Option<f64> {
    let begin = format!("{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&begin));
    value.map(|value| value.parse().unwrap())
}

/// Type and help of those whose name begins so.
fn families(text: &str, begin: &str) -> BTreeMap<String, (String, String)> {
    let mut families = BTreeMap::<String, (String, String)>::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some("#"), Some(what), Some(name), Some(rest)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if !name.starts_with(begin) {
            continue;
        }
        let family = families.entry(name.to_owned()).or_default();
        match what {
            "TYPE" => family.0 = rest.to_owned(),
            "HELP" => family.1 = rest.to_owned(),
            _ => panic!("{line}"),
        }
    }
    families
}

/// What Prometheus' own tool has to say about a page, but for the names that are as they are.
fn promtool(text: &str) {
    let mut tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by `cargo xtask setup`");
    let mut stdin = tool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let said = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let is_known = |line: &&str| !line.starts_with("broker_") && !line.starts_with("emqx_");
    let serious: Vec<&str> = said.lines().filter(is_known).collect();
    assert!(serious.is_empty(), "{said}");
}

fn every_series_of_the_usual_exporter_is_there_with_its_type_and_help(kind: Kind) {
    let (_broker, port) = start_broker(kind, OPEN);
    // The second client of the probe makes the number of clients one that is published.
    let exporter = Exporter::start(&[
        "-e",
        &url(port),
        "--probe-interval",
        "1",
        "--max-connections",
        "250",
    ]);
    let expect = reference(kind);
    assert_eq!(expect.len(), if kind == Kind::Wigwag { 53 } else { 50 });
    let text = exporter.await_metrics("all series", |text| {
        let families = families(text, "broker_");
        expect.keys().all(|name| families.contains_key(name))
            && sample(text, "mqtt_probe_success") == Some(1.0)
            && sample(text, "broker_clients_connected") == Some(2.0)
    });
    let shown: BTreeMap<String, (String, String)> = families(&text, "broker_")
        .into_iter()
        .filter(|(name, _)| !name.starts_with("broker_mqtt_"))
        .collect();
    let expect = expect
        .into_iter()
        .map(|(name, (kind, help))| (name, (kind.to_owned(), help)));
    assert_eq!(shown, expect.collect());
    assert_eq!(sample(&text, "mosquitto_up"), Some(1.0));
    assert_eq!(sample(&text, "mosquitto_max_connections"), Some(250.0));
    let version = match kind {
        Kind::Wigwag => env!("CARGO_PKG_VERSION"),
        Kind::Mosquitto => "2.0.11",
    };
    let info = format!("mosquitto_broker_info{{version=\"{version}\"}}");
    assert_eq!(sample(&text, &info), Some(1.0), "{text}");
    let build = concat!(
        "mosquitto_exporter_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\"}"
    );
    assert_eq!(sample(&text, build), Some(1.0));
    assert!(sample(&text, "mosquitto_last_update_timestamp_seconds") > Some(1.7e9));
    assert!(sample(&text, "mqtt_probe_duration_seconds_count") >= Some(1.0));
    promtool(&text);
}

fn a_silent_broker_has_no_series_and_comes_back(kind: Kind) {
    let (broker, port) = start_broker(kind, OPEN);
    let exporter = Exporter::start_impatient(&["-e", &*url(port), "--probe-interval", "0.5"]);
    let is_up = |text: &str| {
        let probe = sample(text, "mqtt_probe_success");
        is_up(text) && sample(text, "broker_uptime").is_some() && probe == Some(1.0)
    };
    exporter.await_metrics("up", is_up);
    // It is there, keeps its connections, and says nothing.
    broker.process.signal("STOP");
    let text = exporter.await_metrics("down", |text| {
        let probe = sample(text, "mqtt_probe_success");
        sample(text, "mosquitto_up") == Some(0.0) && probe == Some(0.0)
    });
    assert!(families(&text, "broker_").is_empty(), "{text}");
    let lost = "mqtt_probe_failures_total{step=\"publish\"}";
    assert!(sample(&text, lost) >= Some(1.0), "{text}");
    assert!(!text.contains("mosquitto_broker_info"), "{text}");
    let last = sample(&text, "mosquitto_last_update_timestamp_seconds");
    assert!(last > Some(1.7e9), "{text}");
    promtool(&text);
    // Whoever asks gets an answer while the broker has none.
    let asked = Instant::now();
    let path = format!("/probe?target=127.0.0.1:{port}&module=roundtrip");
    let (status, text) = exporter.get(&path, "X-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n");
    assert_eq!(
        (status, sample(&text, "mqtt_probe_success")),
        (200, Some(0.0))
    );
    let failed = "mqtt_probe_failures_total{step=\"connect\"}";
    assert!(sample(&text, failed) >= Some(1.0), "{text}");
    assert!(asked.elapsed() < Duration::from_secs(20));
    broker.process.signal("CONT");
    exporter.await_metrics("up again", is_up);
    // One that is gone is seen at once.
    drop(broker);
    exporter.await_metrics("down", |text| sample(text, "mosquitto_up") == Some(0.0));
    exporter.await_metrics("silent", |text| families(text, "broker_").is_empty());
}

fn is_up(text: &str) -> bool {
    sample(text, "mosquitto_up") == Some(1.0)
}

#[test]
fn several_brokers_have_a_label_and_only_they_can_be_asked() {
    let (_ours, our_port) = start_broker(Kind::Wigwag, OPEN);
    let (_theirs, their_port) = start_broker(Kind::Mosquitto, OPEN);
    let (_other, other_port) = start_broker(Kind::Mosquitto, OPEN);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("targets");
    let line = format!("# more\ntheirs {} max-connections=7\n", url(their_port));
    fs::write(&file, line).unwrap();
    let ours = format!("ours={}", url(our_port));
    let exporter = Exporter::start(&["-e", &ours, "--targets", file.to_str().unwrap()]);
    let up = |broker: &str| format!("mosquitto_up{{broker=\"{broker}\"}}");
    let uptime = |broker: &str| format!("broker_uptime{{broker=\"{broker}\"}}");
    let text = exporter.await_metrics("both up", |text| {
        ["ours", "theirs"].iter().all(|broker| {
            sample(text, &up(broker)) == Some(1.0) && sample(text, &uptime(broker)).is_some()
        })
    });
    let limit = "mosquitto_max_connections{broker=\"theirs\"}";
    assert_eq!(sample(&text, limit), Some(7.0));
    promtool(&text);

    for broker in ["ours", "theirs"] {
        for count in [1.0, 2.0] {
            let (status, text) = exporter.get(&format!("/probe?target={broker}"), "");
            assert_eq!(status, 200, "{text}");
            assert_eq!(sample(&text, "mqtt_probe_success"), Some(1.0), "{text}");
            let trips = sample(&text, "mqtt_probe_duration_seconds_count");
            assert_eq!(trips, Some(count));
            let step = "mqtt_probe_step_duration_seconds{step=\"connect\"}";
            assert!(sample(&text, step) > Some(0.0));
            assert!(sample(&text, "broker_uptime").is_some() && is_up(&text));
            promtool(&text);
        }
        let (_, text) = exporter.get(&format!("/probe?target={broker}&module=sys"), "");
        assert!(is_up(&text) && !text.contains("mqtt_probe_"), "{text}");
    }
    let other = url(other_port).replace(':', "%3A");
    for (path, status, says) in [
        ("/probe", 400, "target is missing"),
        ("/probe?target=", 404, "No such target"),
        (&*format!("/probe?target={other}"), 404, "No such target"),
        (
            &*format!("/probe?target=127.0.0.1:{our_port}"),
            404,
            "No such target",
        ),
        ("/probe?target=ours&module=icmp", 400, "No such module"),
        ("/probe?target=ours&target=theirs", 400, ""),
        ("/nothing", 404, ""),
    ] {
        let (got, text) = exporter.get(path, "");
        assert!(got == status && text.contains(says), "{path}: {got} {text}");
    }
    let (_, text) = exporter.get("/", "");
    assert!(text.contains("/probe?target=theirs\n"), "{text}");

    // More than are made at the same time have their turn.
    let Exporter { mut process, port } = exporter;
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| assert_eq!(get(port, "/probe?target=ours", "").0, 200));
        }
    });
    process.signal("INT");
    assert!(process.await_exit().success(), "{}", process.said());
}

#[test]
fn a_probe_that_fails_is_told_before_prometheus_loses_its_patience_and_only_to_who_asked() {
    let endpoint = format!("mute={}", url(scripted_broker(Vec::new())));
    let exporter = Exporter::start(&["-e", &endpoint, "--mqtt-version", "3.1.1"]);
    let begin = Instant::now();
    let (status, text) = exporter.get(
        "/probe?target=mute&module=roundtrip",
        "X-Prometheus-Scrape-Timeout-Seconds: 3\r\n",
    );
    // Without it, the probe would go on for 25 s.
    let took = begin.elapsed();
    assert!(status == 200 && took < Duration::from_secs(20), "{took:?}");
    assert_eq!(sample(&text, "mqtt_probe_success"), Some(0.0), "{text}");
    let text = exporter.metrics();
    assert!(!text.contains("mqtt_probe_"), "{text}");
}

fn a_device_is_heard_however_much_it_sends(kind: Kind) {
    let (broker, port) = start_broker(kind, OPEN);
    let picture = broker.folder.path().join("picture");
    fs::write(&picture, vec![7; 1_500_000]).unwrap();
    let exporter = Exporter::start(&["-e", &url(port), "--devices", "device/+/state"]);
    let publish = |text: &str| {
        let mut publisher = tools::wigwag();
        publisher.args([
            "pub",
            "-p",
            &port.to_string(),
            "-t",
            "device/camera/state",
            "-f",
        ]);
        assert!(publisher.arg(&picture).status().unwrap().success());
        text.contains(
            "mqtt_device_last_seen_timestamp_seconds{critical=\"false\",device=\"camera\"}",
        )
    };
    exporter.await_metrics("the camera", publish);
}

/// A certificate of an authority for `localhost`, and both in files.
fn identity(folder: &TempDir) -> (String, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let ca = file("ca.pem", issuer.pem());
    let options = format!(
        "{OPEN}certfile {}\nkeyfile {}\n",
        file("server.pem", certificate.pem()),
        file("key.pem", key.serialize_pem())
    );
    (ca, options)
}

fn certificates_are_checked(kind: Kind) {
    let folder = TempDir::new().unwrap();
    let (ca, options) = identity(&folder);
    let (_broker, port) = start_broker(kind, &options);
    let named = format!("ssl://localhost:{port}");
    let exporter = Exporter::start(&["-e", &named, "--ca", &ca]);
    exporter.await_metrics("up", is_up);
    // Of nobody we trust, and of another name than it was called by.
    for args in [
        vec!["-e", &*named],
        vec!["-e", &*format!("ssl://127.0.0.1:{port}"), "--ca", &*ca],
    ] {
        let exporter = Exporter::start(&args);
        let line = exporter
            .process
            .await_line("why", |line| line.contains(" offline "));
        assert!(line.contains("certificate"), "{line}");
        assert_eq!(sample(&exporter.metrics(), "mosquitto_up"), Some(0.0));
    }
}

fn a_password_comes_by_the_environment_or_a_file(kind: Kind) {
    let folder = TempDir::new().unwrap();
    let passwords = folder.path().join("passwords");
    fs::write(&passwords, "").unwrap();
    let shown = passwords.to_str().unwrap();
    let (code, said) = security::run("mosquitto_passwd", &["-b", shown, "joe", "s3cret"]);
    assert_eq!(code, 0, "{said}");
    let (_broker, port) = start_broker(kind, &format!("password_file {shown}\n"));
    let url = url(port);

    // As the usual exporter is told, and nothing on the command line.
    let environment = [
        ("BROKER_ENDPOINT", &*url),
        ("MQTT_USER", "joe"),
        ("MQTT_PASS", "s3cret"),
        ("MQTT_PASS_FILE", ""),
        ("MQTT_CA", ""),
        ("MQTT_CLIENT_ID", ""),
        ("TARGETS_FILE", ""),
        ("PROBE_INTERVAL", ""),
        ("DEVICES", ""),
        ("CRITICAL_DEVICES", ""),
    ];
    let exporter = Exporter::start_in(&environment, &[]);
    exporter.await_metrics("up", is_up);

    // A wrong one is told, and another is found without a restart.
    let file = folder.path().join("password");
    fs::write(&file, "wrong\n").unwrap();
    let shown = file.to_str().unwrap();
    let exporter = Exporter::start(&["-e", &url, "-u", "joe", "--pass-file", shown]);
    let line = exporter
        .process
        .await_line("why", |line| line.contains(" offline "));
    assert!(
        line.contains("refused") && !line.contains("wrong"),
        "{line}"
    );
    assert_eq!(sample(&exporter.metrics(), "mosquitto_up"), Some(0.0));
    fs::write(&file, "s3cret\n").unwrap();
    exporter.await_metrics("up", is_up);
    assert!(!exporter.process.said().contains("s3cret"));
}

/// Connected is not enough.
#[test]
fn a_broker_that_tells_nothing_is_not_up_and_the_log_says_why() {
    let (_broker, port) = start_broker(Kind::Mosquitto, "sys_interval 0\nallow_anonymous true\n");
    let exporter = Exporter::start_impatient(&["-e", &url(port)]);
    let line = exporter
        .process
        .await_line("why", |line| line.contains(" WARN "));
    assert!(line.contains("nothing is heard below $SYS/"), "{line}");
    assert_eq!(sample(&exporter.metrics(), "mosquitto_up"), Some(0.0));
}

#[test]
fn a_password_that_others_could_read_is_refused_with_a_way_out() {
    for args in [
        &["exporter", "-u", "joe", "-p", "s3cret"][..],
        &["exporter", "-u", "joe", "--pass=s3cret"],
        &["exporter", "-e", "tcp://joe:s3cret@127.0.0.1"],
        &["probe", "mqtt://joe:s3cret@127.0.0.1"],
        &["probe", "-p", "s3cret"],
    ] {
        let mut process = Process::start(tools::wigwag().args(args));
        let status = process.await_exit();
        let said = process.said();
        assert!(!status.success(), "{args:?}: {said}");
        assert!(said.contains("--pass-file"), "{args:?}: {said}");
        assert!(
            said.contains("MQTT_PASS") && !said.contains("s3cret"),
            "{said}"
        );
    }
}

fn one_probe_has_an_exit_code(kind: Kind) {
    let (broker, port) = start_broker(kind, OPEN);
    let run = |args: &[&str]| {
        let mut process = Process::start(tools::wigwag().arg("probe").args(args));
        (process.await_exit().code(), process.said())
    };
    let url = url(port);
    for qos in ["0", "1", "2"] {
        let (code, said) = run(&[&url, "--qos", qos, "--timeout", "25"]);
        assert!(
            code == Some(0) && said.starts_with("ok: connect "),
            "{said}"
        );
    }
    let (code, said) = run(&[&url, "--json", "--mqtt-version", "3.1.1", "--timeout", "25"]);
    assert!(
        code == Some(0) && said.contains("\"success\":true"),
        "{said}"
    );
    let (code, said) = run(&[&url, "--topic", "a/#"]);
    assert!(code == Some(2) && said.contains("no wildcards"), "{said}");
    broker.process.signal("STOP");
    let (code, said) = run(&[&url, "--timeout", "0.5"]);
    assert!(code == Some(1) && said.contains("within 500ms"), "{said}");
    drop(broker);
    let (code, said) = run(&[&url, "--json"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("\"step\":\"connect\""), "{said}");
}

/// A broker that lets clients in, tells each what it is told to, and hears nothing.
fn scripted_broker(messages: Vec<(String, Vec<u8>)>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let messages = messages.clone();
            thread::spawn(move || serve(client.unwrap(), &messages));
        }
    });
    port
}

fn serve(mut client: TcpStream, messages: &[(String, Vec<u8>)]) {
    short_packet(&mut client);
    client.write_all(&packet(0x20, &[0, 0])).unwrap();
    let subscribe = short_packet(&mut client);
    let suback = packet(0x90, &[subscribe[0], subscribe[1], 0]);
    client.write_all(&suback).unwrap();
    for (topic, payload) in messages {
        let publish = packet(0x30, &[field(topic.as_bytes()), payload.clone()].concat());
        client.write_all(&publish).unwrap();
    }
    // Until the client leaves.
    let _ = client.read_to_end(&mut Vec::new());
}

/// What a packet of less than 128 bytes holds.
fn short_packet(client: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 2];
    client.read_exact(&mut head).unwrap();
    let mut body = vec![0; usize::from(head[1])];
    client.read_exact(&mut body).unwrap();
    body
}

/// Topics and payloads that make no sense as names, numbers or text.
fn nonsense() -> Vec<(String, Vec<u8>)> {
    let payloads = [
        &b""[..],
        b"\xff\xfe\0",
        b"-",
        b"1e999",
        b"NaN",
        b"{\"a\":1}",
        b"7",
    ];
    let topics = [
        "$SYS/",
        "$SYS/broker/",
        "$SYS/broker/1\"\\\u{1f980} {}",
        "$SYS/broker/uptime",
        "$SYS/broker/version",
        "$SYS/broker/connection/a\"b\\c/state",
        "$SYS/brokers",
        "$SYS/brokers/n\"/stats/a",
        "$SYS/mosquitto/up",
        "$SYS/mqtt/probe/success",
    ];
    topics
        .iter()
        .flat_map(|topic| payloads.map(|payload| ((*topic).to_owned(), payload.to_vec())))
        .collect()
}

#[test]
fn what_a_broker_invents_breaks_nothing() {
    for how in ["none", "label", "name"] {
        let mut messages = nonsense();
        for number in 0..3_000 {
            let topic = format!("$SYS/broker/connection/{number}/state");
            messages.push((topic, b"1".to_vec()));
        }
        messages.push(("$SYS/broker/clients/total".to_owned(), b"42".to_vec()));
        let port = scripted_broker(messages);
        let args = ["-e", &url(port), "--mqtt-version", "3.1.1"];
        let exporter = Exporter::start(&[&args[..], &["--other-topics", how]].concat());
        let text = exporter.await_metrics("the last", |text| {
            sample(text, "broker_clients_total") == Some(42.0)
        });
        promtool(&text);
        let bridges = text
            .lines()
            .filter(|line| line.starts_with("mosquitto_bridge_state{"));
        assert!(bridges.count() <= 2_000);
        assert!(sample(&text, "mosquitto_exporter_left_out_total") > Some(900.0));
        assert_eq!(text.contains("mosquitto_sys{"), how == "label", "{text}");
        assert_eq!(sample(&text, "mosquitto_up"), Some(1.0));
    }
}

#[test]
fn a_cluster_of_emqx_is_shown_under_its_own_names() {
    let node = "$SYS/brokers/emqx@10.0.0.1";
    let messages = [
        ("$SYS/brokers".to_owned(), "emqx@10.0.0.1,emqx@10.0.0.2"),
        (format!("{node}/version"), "5.8.0"),
        (format!("{node}/sysdescr"), "EMQX"),
        (format!("{node}/uptime"), "123456"),
        (format!("{node}/datetime"), "2026-01-01T00:00:00.0+00:00"),
        (format!("{node}/stats/connections/count"), "17"),
        (format!("{node}/stats/subscriptions/shared/max"), "3"),
        (
            format!("{node}/metrics/messages/dropped/no_subscribers"),
            "5",
        ),
        (format!("{node}/metrics/packets/connect/received"), "20"),
        (format!("{node}/clients/joe/connected"), "{\"ts\":1}"),
        (format!("{node}/alarms/activate"), "{\"name\":\"x\"}"),
        (format!("{node}/metrics/bytes/sent"), "99"),
    ];
    let messages = messages.map(|(topic, payload)| (topic, payload.as_bytes().to_vec()));
    let port = scripted_broker(messages.to_vec());
    let exporter = Exporter::start(&["-e", &url(port), "--mqtt-version", "3.1.1"]);
    let node = "{node=\"emqx@10.0.0.1\"}";
    let last = format!("emqx_bytes_sent{node}");
    let text = exporter.await_metrics("the last", |text| sample(text, &last) == Some(99.0));
    for (name, value) in [
        ("emqx_connections_count", 17.0),
        ("emqx_subscriptions_shared_max", 3.0),
        ("emqx_messages_dropped_no_subscribers", 5.0),
        ("emqx_packets_connect", 20.0),
    ] {
        assert_eq!(
            sample(&text, &format!("{name}{node}")),
            Some(value),
            "{text}"
        );
    }
    assert_eq!(sample(&text, "emqx_cluster_nodes_running"), Some(2.0));
    let info = "mosquitto_broker_info{version=\"5.8.0\"}";
    assert_eq!(sample(&text, info), Some(1.0));
    let types = families(&text, "emqx_");
    assert_eq!(types["emqx_connections_count"].0, "gauge");
    assert_eq!(types["emqx_bytes_sent"].0, "counter");
    assert_eq!(types.len(), 6, "{text}");
    promtool(&text);
}
