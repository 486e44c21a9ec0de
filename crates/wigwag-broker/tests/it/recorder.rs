//! What is recorded, and who gets to see it: over a restart, at the bounds, on a disk that is damaged.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use wigwag_broker::conf::{self, Config, Disk};
use wigwag_broker::{Broker, HttpListener, Listener, Recording};
use wigwag_proto::packet::{Qos, Version};

use super::client::{Client, Login};
use super::foreign::free_port;
use super::observation::get;
use super::{ANY_PORT, connect};

/// How long anything may take.
const BOUND: Duration = Duration::from_secs(60);

/// A broker that records in `history` in a folder.
struct Site {
    folder: TempDir,
    broker: Broker,
    mqtt: SocketAddr,
    http: SocketAddr,
}

const fn at(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn config(folder: &Path, mqtt: SocketAddr, http: SocketAddr, more: &str) -> Config {
    let is_open = !more.contains("password_file");
    let text = format!(
        "allow_anonymous {is_open}\nlistener {} 127.0.0.1\nlistener {} 127.0.0.1\nprotocol http_api\n\
         recorder_location DIR/history\n{more}",
        mqtt.port(),
        http.port()
    );
    let file = folder.join("broker.conf");
    let text = text.replace("DIR", folder.to_str().expect("UTF-8"));
    fs::write(&file, text).expect("writable");
    let read = conf::read(&file, &Disk);
    read.unwrap_or_else(|problems| panic!("{problems:?}"))
        .config
}

impl Site {
    fn start(more: &str) -> Site {
        Site::start_in(TempDir::new().expect("a folder"), more)
    }

    fn start_in(folder: TempDir, more: &str) -> Site {
        let (mqtt, http) = (at(free_port()), at(free_port()));
        let config = config(folder.path(), mqtt, http, more);
        let broker = Broker::builder().config(&config, &[]).start();
        Site {
            folder,
            broker: broker.expect("the ports are free"),
            mqtt,
            http,
        }
    }

    fn reload(&mut self, more: &str) {
        let config = config(self.folder.path(), self.mqtt, self.http, more);
        self.broker.reload(&config).expect("usable");
    }

    async fn client(&self) -> Client {
        Client::connect(self.mqtt, Version::V5, "publisher").await
    }
}

/// Status and answer of a question about the history.
async fn ask(http: SocketAddr, query: &str, headers: &str) -> (u16, Value) {
    let answer = get(http, &format!("/api/v1/history?{query}"), headers).await;
    let body = if answer.head.contains("transfer-encoding: chunked") {
        whole(&answer.body)
    } else {
        answer.body
    };
    let json = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    (answer.status, json)
}

/// What was sent in chunks.
fn whole(mut chunks: &str) -> String {
    let mut text = String::new();
    while let Some((len, rest)) = chunks.split_once("\r\n") {
        let len = usize::from_str_radix(len, 16).expect("a length");
        text.push_str(&rest[..len]);
        chunks = rest[len..].strip_prefix("\r\n").expect("an end");
    }
    text
}

/// Asks until the answer is as it should be.
async fn await_answer(
    http: SocketAddr,
    query: &str,
    headers: &str,
    is_right: impl Fn(u16, &Value) -> bool,
) -> Value {
    let mut last = (0, Value::Null);
    let asking = async {
        loop {
            last = ask(http, query, headers).await;
            if is_right(last.0, &last.1) {
                return;
            }
        }
    };
    let outcome = timeout(BOUND, asking).await;
    outcome.unwrap_or_else(|_| panic!("still {last:?}"));
    last.1
}

fn count(answer: &Value) -> usize {
    answer["messages"].as_array().map_or(0, Vec::len)
}

async fn await_messages(http: SocketAddr, query: &str, expect: usize) -> Value {
    await_answer(http, query, "", |_, answer| count(answer) == expect).await
}

fn payloads(answer: &Value) -> Vec<&str> {
    let messages = answer["messages"].as_array().expect("a list").iter();
    messages
        .map(|it| it["payload"].as_str().expect("text"))
        .collect()
}

/// Publishes to a topic of its own until that is recorded: from then on everything is.
async fn begin(client: &mut Client, http: SocketAddr, topic: &str) {
    let query = format!("topic={}", topic.replace('/', "%2F"));
    let beginning = async {
        while count(&ask(http, &query, "").await.1) == 0 {
            client.publish(topic, b"begin", Qos::AtLeastOnce).await;
        }
    };
    timeout(BOUND, beginning).await.expect("it is recorded");
}

#[tokio::test]
async fn messages_are_there_as_they_were_sent_also_after_a_restart() {
    let site = Site::start("");
    let mut client = site.client().await;
    begin(&mut client, site.http, "device/0/state").await;
    client
        .publish("device/1/state", b"{\"n\":1}", Qos::AtMostOnce)
        .await;
    client
        .publish_retained("device/1/state", b"{\"n\":2}")
        .await;
    client
        .publish("device/1/state", b"\xff\0", Qos::ExactlyOnce)
        .await;
    client
        .publish("device/1/state", &[b'x'; 70_000], Qos::AtLeastOnce)
        .await;
    client
        .publish("device/1/other", b"no", Qos::AtLeastOnce)
        .await;
    let told = await_messages(site.http, "topic=device%2F1%2Fstate", 4).await;
    assert_eq!(
        (&told["topic"], &told["recorded"]),
        (&json!("device/1/state"), &json!(true))
    );
    assert_eq!(told["next"], Value::Null);
    let mut messages = told["messages"].as_array().expect("a list").clone();
    let mut last = told["recordedSince"].as_f64().expect("a time");
    for message in &mut messages {
        let at = message.as_object_mut().and_then(|it| it.remove("at"));
        let at = at.and_then(|at| at.as_f64()).expect("a time");
        assert!(at > last, "the oldest first");
        last = at;
    }
    assert_eq!(
        messages[0],
        json!({ "qos": 0, "retain": false, "payload": "{\"n\":1}" })
    );
    assert_eq!(
        messages[1],
        json!({ "qos": 1, "retain": true, "payload": "{\"n\":2}" })
    );
    assert_eq!(
        messages[2],
        json!({ "qos": 2, "retain": false, "payloadBase64": "/wA=" })
    );
    let kept = messages[3]["payload"].as_str().expect("text").len();
    assert_eq!((kept, &messages[3]["length"]), (65_536, &json!(70_000)));
    let (_, other) = ask(site.http, "topic=device%2F1%2Fother", "").await;
    assert_eq!((count(&other), &other["recorded"]), (0, &json!(false)));

    drop(client);
    site.broker.shutdown().await;
    let site = Site::start_in(site.folder, "");
    let again = await_messages(site.http, "topic=device%2F1%2Fstate", 4).await;
    assert_eq!(again["messages"], told["messages"]);
    assert_eq!(again["recordedSince"], told["recordedSince"]);
    site.broker.shutdown().await;
}

#[tokio::test]
async fn an_answer_goes_on_where_the_last_one_has_ended() {
    let site = Site::start("recorder_topic #\n");
    let mut client = site.client().await;
    begin(&mut client, site.http, "begin").await;
    let sent: Vec<String> = (0..25).map(|number| number.to_string()).collect();
    for payload in &sent {
        client
            .publish("a", payload.as_bytes(), Qos::AtLeastOnce)
            .await;
        // What has a name that begins alike is another topic.
        client.publish("a/b", b"no", Qos::AtMostOnce).await;
    }
    await_messages(site.http, "topic=a", 25).await;
    let mut got: Vec<String> = Vec::new();
    let mut from = "0".to_owned();
    let mut answers = 0;
    while from != "null" {
        let query = format!("topic=a&limit=10&from={from}");
        let (_, answer) = ask(site.http, &query, "").await;
        got.extend(payloads(&answer).into_iter().map(str::to_owned));
        from = answer["next"].to_string();
        answers += 1;
    }
    assert_eq!((got, answers), (sent, 3));
    let (_, third) = ask(site.http, "topic=a&limit=3", "").await;
    let until = third["messages"][2]["at"].to_string();
    let (_, before) = ask(site.http, &format!("topic=a&to={until}"), "").await;
    assert_eq!(payloads(&before), ["0", "1"]);
    let (status, wrong) = ask(site.http, "topic=a&limit=ten", "").await;
    assert_eq!(status, 400, "{wrong}");
    drop(client);
    site.broker.shutdown().await;
}

#[tokio::test]
async fn a_history_is_for_those_who_may_read_the_topic() {
    let folder = TempDir::new().expect("a folder");
    let acl = "user ann\ntopic readwrite device/#\nuser bob\ntopic read other/#\n";
    fs::write(folder.path().join("acl"), acl).expect("writable");
    let mut passwords = String::new();
    for (user, password) in [("ann", "a"), ("bob", "b")] {
        passwords += &format!("{user}:{password}\n");
    }
    let passwd = folder.path().join("passwd");
    fs::write(&passwd, passwords).expect("writable");
    let path = passwd.to_str().expect("UTF-8");
    super::foreign::run("mosquitto_passwd", &["-U", path]);
    let site = Site::start_in(folder, "password_file DIR/passwd\nacl_file DIR/acl\n");
    let login = Login {
        client_id: "ann",
        user_name: Some("ann"),
        password: Some("a"),
    };
    let client = Client::try_connect(site.mqtt, Version::V5, login).await;
    let mut client = client.unwrap_or_else(|reason| panic!("{reason:?}"));
    let ann = "Authorization: Basic YW5uOmE=\r\n";
    let query = "topic=device%2F1%2Fstate";
    let publishing = async {
        while count(&ask(site.http, query, ann).await.1) == 0 {
            client
                .publish("device/1/state", b"{}", Qos::AtLeastOnce)
                .await;
        }
    };
    timeout(BOUND, publishing).await.expect("it is recorded");
    let (status, refused) = ask(site.http, query, "Authorization: Basic Ym9iOmI=\r\n").await;
    assert_eq!(status, 403);
    assert_eq!(refused["error"], "you may not read this topic");
    let nobody = get(site.http, &format!("/api/v1/history?{query}"), "").await;
    assert_eq!(nobody.status, 401);
    drop(client);
    site.broker.shutdown().await;
}

#[tokio::test]
async fn a_reload_begins_changes_and_ends_recording() {
    let mut site = Site::start("recorder false\n");
    let mut client = site.client().await;
    let (status, off) = ask(site.http, "topic=a", "").await;
    assert_eq!(status, 404);
    let why = off["error"].as_str().expect("a reason");
    assert!(why.contains("without a recorder"), "{why}");

    site.reload("recorder_topic a\n");
    begin(&mut client, site.http, "a").await;
    site.reload("recorder_topic b\n");
    begin(&mut client, site.http, "b").await;
    let (_, before) = ask(site.http, "topic=a", "").await;
    assert!(count(&before) > 0, "what was recorded is still there");
    assert_eq!(before["recorded"], false);

    site.reload("recorder false\n");
    assert_eq!(ask(site.http, "topic=a", "").await.0, 404);
    drop(client);
    site.broker.shutdown().await;
}

/// Everything below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test]
async fn a_damaged_history_is_moved_aside_and_a_new_one_begins() {
    let site = Site::start("recorder_topic #\n");
    let mut client = site.client().await;
    begin(&mut client, site.http, "a").await;
    drop(client);
    site.broker.shutdown().await;
    for file in files(&site.folder.path().join("history").join("data")) {
        let len = fs::metadata(&file).expect("there").len().min(4_096);
        let garbage = vec![0xA5; usize::try_from(len).expect("short")];
        fs::write(&file, garbage).expect("writable");
    }
    let site = Site::start_in(site.folder, "recorder_topic #\n");
    let mut client = site.client().await;
    begin(&mut client, site.http, "b").await;
    assert!(site.folder.path().join("history.damaged").is_dir());
    assert_eq!(count(&ask(site.http, "topic=a", "").await.1), 0);
    drop(client);
    site.broker.shutdown().await;
}

#[tokio::test]
async fn a_broker_whose_history_has_no_place_goes_on_and_says_so() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("history"), "in the way").expect("writable");
    let site = Site::start_in(folder, "");
    let mut client = site.client().await;
    client
        .publish("device/1/state", b"{}", Qos::AtLeastOnce)
        .await;
    let is_told = |status: u16, answer: &Value| {
        status == 503 && answer.to_string().contains("cannot record messages in")
    };
    await_answer(site.http, "topic=device%2F1%2Fstate", "", is_told).await;
    let metrics = get(site.http, "/metrics", "").await.body;
    assert!(metrics.contains("wigwag_recorder_up 0\n"), "{metrics}");
    drop(client);
    site.broker.shutdown().await;
}

async fn metric(http: SocketAddr, name: &str) -> u64 {
    let metrics = get(http, "/metrics", "").await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.expect(name).trim().parse().expect("a number")
}

#[tokio::test]
async fn what_is_too_much_goes_the_oldest_first() {
    const SIZE_MAX: u64 = 4 * 1024 * 1024;
    let folder = TempDir::new().expect("a folder");
    let recording = Recording::folder(folder.path().join("history"));
    let recording = recording.everything().size_max(SIZE_MAX);
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .http(HttpListener::api(ANY_PORT, None))
        .recording(recording)
        .start()
        .expect("port 0 is free");
    let http = broker.http_listeners()[0];
    let mut client = connect(&broker, "publisher").await;
    begin(&mut client, http, "begin").await;
    let since = |answer: &Value| answer["recordedSince"].as_f64().expect("a time");
    let first = since(&ask(http, "topic=t", "").await.1);
    let payload = vec![b'x'; 10_000];
    let mut sent = 0;
    let last = loop {
        for _ in 0..100 {
            sent += 1;
            let payload = [sent.to_string().as_bytes(), b" ", &payload].concat();
            client.publish("t", &payload, Qos::AtLeastOnce).await;
        }
        // When this is recorded, so is what came before.
        begin(&mut client, http, &format!("fence/{sent}")).await;
        let (_, answer) = ask(http, "topic=t&limit=1", "").await;
        if sent > 1_500 && since(&answer) > first && count(&answer) > 0 {
            break answer;
        }
        assert!(sent < 3_000, "nothing goes");
    };
    let oldest = payloads(&last)[0].split(' ').next().expect("a number");
    let oldest: u64 = oldest.parse().expect("a number");
    assert!(oldest > 1 && oldest < sent, "{oldest} of {sent}");
    assert_eq!(count(&ask(http, "topic=begin", "").await.1), 0);
    let bytes = metric(http, "wigwag_recorder_bytes ").await;
    assert!(bytes > SIZE_MAX / 2 && bytes <= SIZE_MAX, "{bytes}");
    assert_eq!(metric(http, "wigwag_recorder_up ").await, 1);
    assert_eq!(metric(http, "wigwag_recorder_limit_bytes ").await, SIZE_MAX);
    for reason in ["slow_reader", "queue_full", "disk"] {
        let lost = format!("wigwag_recorder_messages_lost_total{{reason=\"{reason}\"}}");
        assert_eq!(metric(http, &lost).await, 0);
    }
    drop(client);
    broker.shutdown().await;
}
