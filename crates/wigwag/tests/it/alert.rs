//! `wigwag alert` before both brokers: what raises an alarm, who is told of it and how often, and what a receiver that
//! fails makes of that.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::process::{BOUND, Process};
use crate::tools;

against_both_brokers!(
    too_many_clients_are_told_to_slack_and_so_is_the_end_of_it,
    a_webhook_that_refuses_is_asked_again_and_gets_everything,
    devices_raise_alarms_by_their_json_and_by_their_silence,
    rules_are_read_again_and_alarms_are_published,
    a_broker_that_cannot_be_reached_is_an_alarm,
    in_quiet_hours_only_what_is_critical_is_told,
);

/// A request that somebody has sent.
struct Posted {
    path: String,
    /// In small letters, but for what stands behind the colons.
    headers: Vec<String>,
    body: Value,
}

/// Takes requests and answers each with the next status, and when there are no more with 200.
struct Desk {
    port: u16,
    posted: Receiver<Posted>,
}

impl Desk {
    fn start(statuses: &'static [&'static str]) -> Desk {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, posted) = mpsc::channel();
        thread::spawn(move || {
            let mut statuses = statuses.iter();
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut head = Vec::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    match line.trim_end() {
                        "" => break,
                        line => head.push(line.to_owned()),
                    }
                }
                let headers: Vec<String> = (head.iter().skip(1))
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| format!("{}: {value}", name.to_lowercase()))
                    .collect();
                let len = headers
                    .iter()
                    .find_map(|it| it.strip_prefix("content-length: "));
                let mut body = vec![0; len.unwrap().parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
                let status = statuses.next().unwrap_or(&"200 OK");
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsorry"
                );
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
                let posted = Posted {
                    path: head[0].clone(),
                    headers,
                    body: serde_json::from_slice(&body).unwrap(),
                };
                if sender.send(posted).is_err() {
                    return;
                }
            }
        });
        Desk { port, posted }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?to=me", self.port)
    }

    fn next(&self) -> Posted {
        self.posted.recv_timeout(BOUND).expect("a request")
    }

    /// The next message to people.
    fn text(&self) -> String {
        self.next().body["text"].as_str().unwrap().to_owned()
    }
}

struct Site {
    kind: Kind,
    broker: Configured,
    port: u16,
}

impl Site {
    fn start(kind: Kind) -> Site {
        Site::start_at(kind, free_port())
    }

    fn start_at(kind: Kind, port: u16) -> Site {
        let text = format!("sys_interval 1\nallow_anonymous true\nlistener {port} 127.0.0.1\n");
        let broker = Configured::start(kind, TempDir::new().unwrap(), &text);
        Site { kind, broker, port }
    }

    fn alert(&self) -> Command {
        let mut command = tools::wigwag();
        let endpoint = format!("mqtt://127.0.0.1:{}", self.port);
        command.args(["alert", "--endpoint", &endpoint]);
        command
    }

    fn publish(&self, topic: &str, payload: &str) {
        let port = self.port.to_string();
        let mut command = tools::system("mosquitto_pub");
        command.args(["-p", &port, "-t", topic, "-m", payload, "-r", "-q", "1"]);
        assert!(command.status().unwrap().success());
    }

    fn subscriber(&self, filter: &str) -> Process {
        let port = self.port.to_string();
        let mut command = tools::system("mosquitto_sub");
        Process::start(command.args(["-p", &port, "-t", filter, "-v", "-d"]))
    }
}

/// Starts it and waits until it listens.
fn listening(command: &mut Command) -> Process {
    let process = Process::start(command);
    process.await_line("that it is online", |line| line.contains("online"));
    process
}

fn too_many_clients_are_told_to_slack_and_so_is_the_end_of_it(kind: Kind) {
    let site = Site::start(kind);
    let slack = Desk::start(&[]);
    let _alert = listening((site.alert().env("SLACK_URL", slack.url())).args([
        "--slack",
        "env:SLACK_URL",
        "many_clients: $SYS/broker/clients/connected > 2",
    ]));
    let clients = [site.subscriber("a"), site.subscriber("b")];
    let raised = format!(
        ":warning: *many_clients* was raised on 127.0.0.1:{}: $SYS/broker/clients/connected is 3 (limit: &gt; 2)",
        site.port
    );
    assert_eq!(slack.text(), raised);
    drop(clients);
    let text = slack.text();
    assert!(
        text.starts_with(":white_check_mark: *many_clients* is over on "),
        "{text}"
    );
}

fn a_webhook_that_refuses_is_asked_again_and_gets_everything(kind: Kind) {
    let site = Site::start(kind);
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("token");
    fs::write(&secret, "Bearer s3cret\n").unwrap();
    let hook = Desk::start(&[
        "503 Service Unavailable",
        "429 Too Many Requests\r\nRetry-After: 0",
        "200 OK",
        "403 Forbidden",
    ]);
    let mut alert = listening(
        (site.alert().args(["--webhook", &hook.url()]))
            .arg("--webhook-auth")
            .arg(format!("file:{}", secret.display()))
            .args(["hot: t/+ > 80 severity critical say \"{topic}: {value}\""]),
    );
    site.publish("t/1", "90");
    let first = hook.next();
    assert_eq!(first.path, "POST /hook?to=me HTTP/1.1");
    assert!(
        first
            .headers
            .contains(&"authorization: Bearer s3cret".to_owned())
    );
    assert!(
        first
            .headers
            .contains(&"content-type: application/json".to_owned())
    );
    assert_eq!(first.body["status"], "active");
    assert_eq!(first.body["name"], "hot");
    assert_eq!(first.body["severity"], "critical");
    assert_eq!(first.body["message"], "t/1: 90");
    assert_eq!(first.body["details"]["topic"], "t/1");
    assert_eq!(first.body["broker"], format!("127.0.0.1:{}", site.port));
    assert!(first.body["deactivate_at"].is_null());
    assert_eq!(hook.next().body, first.body, "again, and the same");
    assert_eq!(hook.next().body, first.body);
    // What is refused for good is not sent again.
    site.publish("t/1", "70");
    assert_eq!(hook.next().body["status"], "resolved");
    let given_up = alert.await_line("that it gives up", |line| line.contains("given up"));
    assert!(given_up.contains("403 Forbidden: sorry"), "{given_up}");
    site.publish("t/2", "90");
    assert_eq!(hook.next().body["details"]["topic"], "t/2");
    alert.signal("INT");
    assert!(alert.await_exit().success());
    assert!(!alert.said().contains("s3cret"), "{}", alert.said());
}

fn devices_raise_alarms_by_their_json_and_by_their_silence(kind: Kind) {
    let site = Site::start(kind);
    let alert = listening(site.alert().args([
        "hot: device/+/state @ battery.temperature > 80 until < 70",
        "silent: absent device/+/state for 2s",
    ]));
    site.publish("device/1/state", r#"{"battery":{"temperature":85.5}}"#);
    let await_end = |end: &str| alert.await_line(end, |line| line.ends_with(end));
    let line = await_end("hot: device/1/state: battery.temperature is 85.5 (limit: > 80)");
    assert!(line.contains("Z raised warning "), "{line}");
    await_end("silent: device/1/state has had no message for 2s");
    site.publish("device/1/state", r#"{"battery":{"temperature":69}}"#);
    let line = await_end("hot: device/1/state: battery.temperature is 69");
    assert!(line.contains("Z over warning "), "{line}");
    alert.rewind();
    await_end("silent: device/1/state has a message again");
}

fn rules_are_read_again_and_alarms_are_published(kind: Kind) {
    let site = Site::start(kind);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("alert.rules");
    fs::write(&file, "# what is watched\nhot: t/1 > 80\nwet: t/2 > 80\n").unwrap();
    let watcher = site.subscriber("alarms/#");
    watcher.await_line("SUBACK", |line| line.contains("SUBACK"));
    let alert = listening(
        site.alert()
            .args([
                "--publish",
                "alarms",
                "--json",
                "all: # == nothing",
                "--rules",
            ])
            .arg(&file),
    );
    let published = |topic: &str| -> Value {
        let line = watcher.await_line(topic, |line| line.starts_with(topic));
        serde_json::from_str(&line[topic.len()..]).unwrap()
    };
    site.publish("t/1", "90");
    assert_eq!(published("alarms/activate/hot ")["details"]["value"], "90");
    site.publish("t/2", "90");
    published("alarms/activate/wet ");

    let reload = |text: &str, expect: &str| {
        fs::write(&file, text).unwrap();
        alert.signal("HUP");
        alert.await_line(expect, |line| line.contains(expect));
    };
    reload("hot t/1 > 80\n", "line 1: expected 'NAME: TOPIC > NUMBER'");
    reload(
        "hot: t/1 > 80\nwet: t/2 > 70\ncold: t/3 < 5\n",
        "the rules have been read again",
    );
    let gone = published("alarms/deactivate/wet ");
    assert_eq!(gone["message"], "the rule has been changed or removed");
    // Nobody publishes again, and the changed rule knows all the same.
    let raised = published("alarms/activate/wet ");
    assert_eq!(raised["message"], "t/2 is 90 (limit: > 70)");
    site.publish("t/3", "1");
    assert_eq!(
        published("alarms/activate/cold ")["message"],
        "t/3 is 1 (limit: < 5)"
    );
    site.publish("t/1", "1");
    let over = published("alarms/deactivate/hot ");
    assert_eq!(over["message"], "t/1 is 1");
    let said = alert
        .rewind()
        .await_line("JSON", |line| line.starts_with('{'));
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["name"], "hot");
}

fn a_broker_that_cannot_be_reached_is_an_alarm(kind: Kind) {
    let site = Site::start(kind);
    let alert = listening(site.alert().args([
        "--unreachable",
        "1s",
        "silent: absent device/1/state for 366d",
    ]));
    let (kind, port) = (site.kind, site.port);
    drop(site);
    let end = format!("broker_unreachable: the broker mqtt://127.0.0.1:{port} is not connected");
    let line = alert.await_line("that it is gone", |line| line.ends_with(&end));
    assert!(line.contains(" raised critical "), "{line}");
    let site = Site::start_at(kind, port);
    let end = format!("broker_unreachable: the broker mqtt://127.0.0.1:{port} is connected");
    alert.await_line("that it is back", |line| line.ends_with(&end));
    drop(site.broker);
}

fn in_quiet_hours_only_what_is_critical_is_told(kind: Kind) {
    let site = Site::start(kind);
    let slack = Desk::start(&[]);
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("slack");
    fs::write(&secret, slack.url()).unwrap();
    let alert = listening(
        (site
            .alert()
            .arg("--slack")
            .arg(format!("file:{}", secret.display())))
        .args(["--quiet-hours", "00:00-24:00 Asia/Seoul"])
        .args(["wet: t/1 > 80", "fire: t/2 > 80 severity critical"]),
    );
    site.publish("t/1", "90");
    alert.await_line("the first", |line| line.contains(" raised warning wet: "));
    site.publish("t/2", "90");
    let text = slack.text();
    assert!(
        text.starts_with(":rotating_light: *fire* is critical on "),
        "{text}"
    );
}

#[test]
fn alarms_of_the_broker_itself_are_passed_on() {
    let port = free_port();
    let text = format!(
        "sys_interval 1\nallow_anonymous true\nlistener {port} 127.0.0.1\n\
         alarm many: $SYS/broker/clients/connected > 2 severity critical\n"
    );
    let broker = Configured::start(Kind::Wigwag, TempDir::new().unwrap(), &text);
    let site = Site {
        kind: Kind::Wigwag,
        broker,
        port,
    };
    let slack = Desk::start(&[]);
    let _alert = listening((site.alert().env("SLACK_URL", slack.url())).args([
        "--slack",
        "env:SLACK_URL",
        "--broker-alarms",
    ]));
    let clients = [site.subscriber("a"), site.subscriber("b")];
    let text = slack.text();
    let expect = format!(
        ":rotating_light: *many* is critical on 127.0.0.1:{port}: $SYS/broker/clients/connected is 3 "
    );
    assert!(text.starts_with(&expect), "{text}");
    drop(clients);
    let text = slack.text();
    assert!(
        text.starts_with(":white_check_mark: *many* is over "),
        "{text}"
    );
}

#[test]
fn a_webhook_over_tls_is_checked() {
    let folder = TempDir::new().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: String| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let cert = write("cert.pem", certificate.cert.pem());
    let key = write("key.pem", certificate.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = write("other.pem", other.cert.pem());
    // Our broker's HTTP stands for the receiver: it refuses to be posted to, once TLS is there.
    let (port, https) = (free_port(), free_port());
    let text = format!(
        "allow_anonymous true\nlistener {port} 127.0.0.1\nlistener {https} 127.0.0.1\nprotocol http_api\n\
         certfile {cert}\nkeyfile {key}\n"
    );
    let _broker = Configured::start(Kind::Wigwag, TempDir::new().unwrap(), &text);
    let check = |ca: &str, expect: &str| {
        let mut command = tools::wigwag();
        command.args(["alert", "--endpoint", &format!("mqtt://127.0.0.1:{port}")]);
        command.args([
            "--webhook",
            &format!("https://localhost:{https}/api/v1/version"),
            "--webhook-ca",
            ca,
        ]);
        let alert = Process::start(command.args(["--unreachable", "never", "hot: t > 5"]));
        alert.await_line("that it is online", |line| line.contains("online"));
        let mut publish = tools::system("mosquitto_pub");
        publish.args(["-p", &port.to_string(), "-t", "t", "-m", "9", "-r"]);
        assert!(publish.status().unwrap().success());
        let line = alert.await_line(expect, |line| line.contains("not told"));
        assert!(line.contains(expect), "{line}");
    };
    check(&cert, "405 Method Not Allowed");
    check(&other, &format!("no TLS with localhost:{https}: "));
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_opened() {
    let check = |args: &[&str], expect: &str| {
        let mut command = tools::wigwag();
        let output = command
            .arg("alert")
            .args(args)
            .env_remove("NOWHERE")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{args:?}");
        assert!(said.contains(expect), "{args:?} said: {said}");
    };
    check(&[], "there is no rule");
    check(&["a: t"], "the rule 'a: t' cannot be read: expected '>'");
    check(&["a: t > 1", "a: t > 2"], "two rules are called 'a'");
    check(&["--rules", "/nowhere", "a: t > 1"], "cannot read /nowhere");
    check(
        &["--slack", "https://hooks.slack.com/x", "a: t > 1"],
        "write env:NAME or file:PATH",
    );
    check(
        &["--slack", "env:NOWHERE", "a: t > 1"],
        "cannot read the variable NOWHERE",
    );
    check(
        &["--webhook", "https://u:p@host/", "a: t > 1"],
        "is a secret",
    );
    check(&["--webhook-auth", "env:HOME", "a: t > 1"], "--webhook");
    check(
        &[
            "--webhook",
            "http://h/",
            "--webhook-ca",
            "/dev/null",
            "a: t > 1",
        ],
        "there is no certificate in /dev/null",
    );
    check(
        &["--quiet-hours", "22-7", "a: t > 1"],
        "is no time of the day",
    );
    check(
        &["--quiet-hours", "22:00-07:00", "a: t > 1"],
        "there is nobody to be left in peace",
    );
    check(&["--repeat", "0s", "a: t > 1"], "or 'never'");
    check(&["--publish", "$SYS/x", "a: t > 1"], "below '$'");
    check(&["--publish", "a/+", "a: t > 1"], "wildcards");
    check(&["--endpoint", "http://h", "a: t > 1"], "is not supported");
    check(&["--pass", "x", "a: t > 1"], "can be read by everybody");
    let mut command = tools::wigwag();
    let output = command
        .args(["alert", "--check", "hot: t/x  >5"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hot: t/x > 5\n");
}
