//! What a broker tells of itself: `$SYS`, metrics, the HTTP API and the log, read as an operator reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wigwag_broker::conf::Config;
use wigwag_broker::conf::config::{LogDest, LogType, Logging};
use wigwag_broker::persist::Persistence;
use wigwag_broker::{Broker, HttpListener, Listener, Log, Transport};
use wigwag_proto::packet::{Qos, Version};

use super::client::Client;
use super::{ANY_PORT, addr, connect};

/// A broker that publishes `$SYS` every second and serves HTTP.
fn observed() -> Broker {
    observed_every(Duration::from_secs(1))
}

fn observed_every(interval: Duration) -> Broker {
    Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .listener(Listener::websocket(ANY_PORT))
        .sys_interval(Some(interval))
        .http(HttpListener::metrics(ANY_PORT))
        .http(HttpListener::api(ANY_PORT, None))
        .start()
        .expect("port 0 is free")
}

/// Reads messages until `done` says that the tree is as it should be.
async fn await_tree(client: &mut Client, done: impl Fn(&BTreeMap<String, String>) -> bool) {
    let mut tree = BTreeMap::new();
    let reading = async {
        while !done(&tree) {
            let message = client.message().await;
            let payload = String::from_utf8(message.payload).expect("text");
            tree.insert(message.topic, payload);
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
    assert!(read.is_ok(), "still {tree:#?}");
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) async fn get(addr: SocketAddr, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn the_tree_is_there_from_the_start() {
    // Nothing is counted a second time.
    let broker = observed_every(Duration::from_secs(3_600));
    let mut watcher = connect(&broker, "watcher").await;
    watcher.subscribe("$SYS/#", Qos::AtMostOnce).await;
    await_tree(&mut watcher, |tree| {
        let starts_at =
            |topic: &str, payload: &str| tree.get(topic).is_some_and(|it| it == payload);
        tree.len() >= 55
            && starts_at("$SYS/broker/load/sockets/15min", "0.00")
            && tree.contains_key("$SYS/broker/version")
    })
    .await;
    drop(watcher);
    broker.shutdown().await;
}

#[tokio::test]
async fn the_tree_follows_what_happens() {
    let broker = observed();
    let mut watcher = connect(&broker, "watcher").await;
    watcher.subscribe("$SYS/#", Qos::AtMostOnce).await;
    let other = connect(&broker, "other").await;
    await_tree(&mut watcher, |tree| {
        let is = |topic: &str, payload: &str| {
            tree.get(&format!("$SYS/broker/{topic}"))
                .is_some_and(|it| it == payload)
        };
        is("clients/connected", "2")
            && is("clients/maximum", "2")
            && is("subscriptions/count", "1")
            && is("mqtt/connect/received", "2")
            && is("connections/socket/count", "2")
    })
    .await;
    drop((watcher, other));
    broker.shutdown().await;
}

#[tokio::test]
async fn nobody_but_the_broker_publishes_there() {
    let broker = observed();
    let mut client = connect(&broker, "liar").await;
    client
        .publish("$SYS/broker/clients/connected", b"99", Qos::AtLeastOnce)
        .await;
    assert_eq!(
        client.reasons.last(),
        Some(&wigwag_proto::ReasonCode::NotAuthorized)
    );
    drop(client);
    broker.shutdown().await;
}

#[tokio::test]
async fn the_api_answers_as_mosquittos_does() {
    let broker = observed();
    let client = connect(&broker, "c").await;
    let api = broker.http_listeners()[1];
    let version = get(api, "/api/v1/version", "").await;
    assert_eq!(version.body, env!("CARGO_PKG_VERSION"));
    assert!(version.head.contains("access-control-allow-origin: *"));

    let tree: serde_json::Value =
        serde_json::from_str(&get(api, "/api/v1/systree", "").await.body).expect("JSON");
    assert_eq!(tree["$SYS/broker/clients/connected"], 1);
    assert!(tree["$SYS/broker/uptime"].is_u64());
    assert!(
        tree.get("$SYS/broker/clients/active").is_none(),
        "no aliases"
    );
    assert!(
        tree.get("$SYS/broker/load/bytes/sent/1min").is_none(),
        "no loads"
    );

    let listeners: serde_json::Value =
        serde_json::from_str(&get(api, "/api/v1/listeners", "").await.body).expect("JSON");
    let mqtt = &listeners["listeners"][0];
    assert_eq!(mqtt["port"], addr(&broker, Transport::Tcp).port());
    assert_eq!(
        (&mqtt["protocol"], &mqtt["tls"]),
        (&"mqtt".into(), &false.into())
    );
    assert_eq!(mqtt["allow_anonymous"], true);
    assert_eq!(listeners["listeners"][1]["protocol"], "websockets");
    let own = &listeners["listeners"][2];
    assert_eq!(
        (&own["protocol"], &own["port"]),
        (&"httpapi".into(), &api.port().into())
    );

    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/metrics?names=emqx", 400),
        ("/", 404),
        ("/api/v1/nothing", 404),
    ] {
        assert_eq!(get(api, path, "").await.status, status, "{path}");
    }
    let metrics_alone = broker.http_listeners()[0];
    assert_eq!(get(metrics_alone, "/api/v1/version", "").await.status, 404);
    drop(client);
    broker.shutdown().await;
}

#[tokio::test]
async fn metrics_come_in_the_form_that_is_asked_for() {
    let broker = observed();
    let mut client = connect(&broker, "c").await;
    client.publish("t", b"hello", Qos::AtLeastOnce).await;
    let metrics = broker.http_listeners()[0];
    let text = get(metrics, "/metrics", "").await;
    assert!(
        text.head
            .contains("content-type: text/plain; version=0.0.4")
    );
    let received = "wigwag_packets_total{direction=\"received\",type=\"publish\"} 1\n";
    assert!(text.body.contains(received), "{}", text.body);
    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let open = get(metrics, "/metrics", accept).await;
    assert!(
        open.head
            .contains("content-type: application/openmetrics-text")
    );
    assert!(open.body.contains(received) && open.body.ends_with("# EOF\n"));
    let mosquitto = get(metrics, "/metrics?names=mosquitto", accept).await;
    assert!(
        mosquitto
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    assert!(
        mosquitto
            .body
            .contains("broker_publish_messages_received 1\n")
    );
    for body in [&text.body, &mosquitto.body] {
        promtool(body);
    }
    drop(client);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_reload_that_fails_is_seen_in_the_metrics() {
    let good = Config::default();
    let mut bad = Config::default();
    bad.security.password_file = Some("/nonexistent/passwords".into());
    let mut broker = Broker::builder()
        .config(&good, &[0])
        .http(HttpListener::metrics(ANY_PORT))
        .start()
        .expect("port 0 is free");
    let metrics = broker.http_listeners()[0];
    for (config, value) in [(None, 1), (Some(&bad), 0), (Some(&good), 1)] {
        if let Some(config) = config {
            assert_eq!(broker.reload(config).is_ok(), value == 1);
        }
        let text = get(metrics, "/metrics", "").await.body;
        let expect = format!("\nwigwag_config_last_reload_success {value}\n");
        assert!(text.contains(&expect), "{text}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn the_bound_of_memory_is_seen_in_the_metrics() {
    let mut config = Config::default();
    config.limits.memory_limit = Some(5_000_000);
    let mut broker = Broker::builder()
        .config(&config, &[0])
        .http(HttpListener::metrics(ANY_PORT))
        .start()
        .expect("port 0 is free");
    let metrics = broker.http_listeners()[0];
    for limit in [5_000_000, 7_000_000] {
        let text = get(metrics, "/metrics", "").await.body;
        let expect = format!("\nwigwag_memory_limit_bytes {limit}\n");
        assert!(text.contains(&expect), "{text}");
        config.limits.memory_limit = Some(7_000_000);
        broker.reload(&config).expect("nothing is wrong with it");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn what_is_kept_on_disk_is_seen_in_the_metrics() {
    let dir = tempfile::tempdir().expect("a folder");
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .persistence(Persistence::folder(dir.path()))
        .http(HttpListener::metrics(ANY_PORT))
        .start()
        .expect("port 0 is free");
    let client = Client::connect_session(addr(&broker, Transport::Tcp), "kept", 600).await;
    broker.save();
    let metrics = broker.http_listeners()[0];
    // The save has a thread of its own.
    let saved = async {
        loop {
            let text = get(metrics, "/metrics", "").await.body;
            if text.contains("\nwigwag_persist_saves_total 1\n") {
                return text;
            }
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(60), saved).await;
    let text = text.expect("saved");
    assert!(
        text.contains("\nwigwag_persist_failures_total 0\n"),
        "{text}"
    );
    assert!(
        text.contains("\nwigwag_persist_last_save_timestamp_seconds "),
        "{text}"
    );
    promtool(&text);
    drop(client);
    broker.shutdown().await;
}

/// What Prometheus' own tool has to say about the text format.
fn promtool(text: &str) {
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut tool = tool.expect("promtool is installed by `cargo xtask setup`");
    let mut stdin = tool.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).expect("written");
    drop(stdin);
    let said = tool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    // Names of Mosquitto's exporter are what they are: its counters lack `_total`, and a count of things is
    // called so.
    let serious: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("broker_"))
        .collect();
    assert!(serious.is_empty(), "{said}");
}

#[tokio::test]
async fn a_gate_asks_for_a_name_and_a_password() {
    let gate: wigwag_broker::http::Gate = Arc::new(|who| {
        Box::pin(async move {
            who.is_some_and(|who| who.user_name == "joe" && who.password == b"secret")
        })
    });
    let broker = Broker::builder()
        .http(HttpListener::api(ANY_PORT, None).gate(gate))
        .start()
        .expect("port 0 is free");
    let api = broker.http_listeners()[0];
    let refused = get(api, "/api/v1/version", "").await;
    assert_eq!(refused.status, 401);
    assert!(
        refused
            .head
            .contains("www-authenticate: basic realm=\"mosquitto api\"")
    );
    let wrong = "Authorization: Basic am9lOndyb25n\r\n";
    assert_eq!(get(api, "/metrics", wrong).await.status, 401);
    let right = "Authorization: Basic am9lOnNlY3JldA==\r\n";
    assert_eq!(get(api, "/metrics", right).await.status, 200);
    assert_eq!(
        get(api, "/healthz", "").await.status,
        200,
        "health is no secret"
    );
    broker.shutdown().await;
}

fn logging(destination: LogDest, types: &[LogType]) -> Logging {
    Logging {
        destinations: BTreeSet::from([destination]),
        types: types.iter().copied().collect(),
        log_timestamp: false,
        ..Logging::default()
    }
}

#[tokio::test]
async fn the_log_goes_to_topics_without_a_loop() {
    let every_type = LogType::ALL.map(|(_, log_type)| log_type);
    let log = Log::open(&logging(LogDest::Topic, &every_type)).expect("opened");
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .sys_interval(None)
        .log(log)
        .start()
        .expect("port 0 is free");
    let mut reader = connect(&broker, "reader").await;
    reader.subscribe("$SYS/broker/log/N", Qos::AtMostOnce).await;
    let other = connect(&broker, "other").await;
    loop {
        let message = reader.message().await;
        let line = String::from_utf8(message.payload).expect("text");
        if line.contains(" as other (p5, c1, k") {
            assert!(
                line.starts_with("New client connected from 127.0.0.1:"),
                "{line}"
            );
            break;
        }
    }
    drop((reader, other));
    broker.shutdown().await;
}

#[tokio::test]
async fn the_log_tells_of_packets_when_it_is_asked_to() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("log");
    let types = [LogType::Debug, LogType::Notice, LogType::Subscribe];
    let log = Log::open(&logging(LogDest::File(file.clone()), &types)).expect("opened");
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .log(log.clone())
        .start()
        .expect("port 0 is free");
    let port = addr(&broker, Transport::Tcp);
    let mut client = Client::connect(port, Version::V3_1_1, "c").await;
    client.subscribe("a/#", Qos::AtMostOnce).await;
    client.publish("a/b", b"hello", Qos::AtMostOnce).await;
    client.message().await;
    client.ping().await;
    drop(client);
    broker.shutdown().await;
    log.flush();
    let lines = fs::read_to_string(&file).expect("a log");
    let expect = [
        "New connection from 127.0.0.1:",
        "New client connected from 127.0.0.1:",
        "No will message specified.",
        "Sending CONNACK to c (0, 0)",
        "Received SUBSCRIBE from c",
        "\ta/# (QoS 0)",
        "c 0 a/#",
        "Sending SUBACK to c",
        "Received PUBLISH from c (d0, q0, r0, m0, 'a/b', ... (5 bytes))",
        "Sending PUBLISH to c (d0, q0, r0, m0, 'a/b', ... (5 bytes))",
        "Received PINGREQ from c",
        "Sending PINGRESP to c",
        "Client c [127.0.0.1:",
    ];
    let told: Vec<&str> = lines.lines().collect();
    assert_eq!(told.len(), expect.len(), "{lines}");
    for (line, expect) in told.iter().zip(expect) {
        assert!(line.starts_with(expect), "{line} is not {expect}");
    }
}

#[test]
fn the_pages_of_numbers_are_up_to_date() {
    let pages = [
        ("sys-topics.md", wigwag_broker::sys::page()),
        ("metrics.md", wigwag_broker::metrics::page()),
        ("alarms.md", wigwag_broker::alarms_page()),
    ];
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for (name, page) in pages {
        let file = folder.join(name);
        if std::env::var_os("WIGWAG_UPDATE").is_some() {
            fs::write(file, page).expect("writable");
            continue;
        }
        let published = fs::read_to_string(file).unwrap_or_default();
        assert!(published == page, "`cargo xtask docs` writes {name} anew");
    }
}
