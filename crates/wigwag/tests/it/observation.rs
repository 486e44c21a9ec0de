//! What both brokers tell of themselves after the same happened to them: the `$SYS` tree as `mosquitto_sub`
//! shows it, and the log of a verbose start. Every difference is listed here, and must still be there.

use std::collections::{BTreeMap, BTreeSet};

use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::process::Process;
use crate::tools;
use crate::wire::{Connect, DISCONNECT, Wire, field, packet};

/// How Mosquitto 2.0 tells of a client that leaves without a word.
const CLOSED: &str = " closed its connection.";

/// A verbose broker that publishes `$SYS` every second.
struct Watched {
    broker: Configured,
    port: u16,
}

impl Watched {
    fn start(kind: Kind) -> Self {
        Self::start_with(kind, "allow_anonymous true\n")
    }

    fn start_with(kind: Kind, options: &str) -> Self {
        let port = free_port();
        let text = format!("listener {port} 127.0.0.1\n{options}sys_interval 1\n");
        let broker = Configured::start(kind, TempDir::new().unwrap(), &text);
        Self { broker, port }
    }

    fn client(&self, program: &str, client_id: &str, args: &[&str]) -> Process {
        let mut command = tools::system(program);
        command
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-i",
                client_id,
            ])
            .args(args);
        Process::start(&mut command)
    }

    /// Runs a client to its end, and waits until the broker's log knows of that.
    fn run(&self, program: &str, client_id: &str, args: &[&str]) {
        let mut client = self.client(program, client_id, args);
        let status = client.await_exit();
        assert!(status.success(), "{program} {args:?}: {}", client.said());
        let begin = format!(": Client {client_id} ");
        self.broker
            .process
            .await_line("the end of a client", |line| {
                line.contains(&begin) && (line.contains("disconnected") || line.ends_with(CLOSED))
            });
    }

    /// The same for both brokers: every QoS, retained messages, a Will, wildcards, names and versions.
    /// The last client unsubscribes with `more` before it leaves.
    fn play(&self, more: &[&str]) {
        let publish = |client_id: &str, args: &[&str]| self.run("mosquitto_pub", client_id, args);
        let subscribe = |client_id: &str, args: &[&str]| self.run("mosquitto_sub", client_id, args);
        publish(
            "two",
            &[
                "-V", "mqttv5", "-q", "2", "-r", "-t", "a/b", "-m", "hello", "-u", "joe",
            ],
        );
        publish(
            "one",
            &["-V", "mqttv311", "-q", "1", "-t", "a/c", "-m", "nobody"],
        );
        let will = [
            "--will-topic",
            "w",
            "--will-payload",
            "gone",
            "--will-qos",
            "1",
        ];
        let plain = ["-V", "mqttv31", "-t", "a/c", "-m", "x"];
        publish("will", &[&plain[..], &will[..]].concat());
        subscribe(
            "sub1",
            &["-V", "mqttv311", "-q", "1", "-t", "a/#", "-C", "1"],
        );
        let wanted = ["-V", "mqttv5", "-t", "c/+", "-t", "a/b", "-C", "1"];
        subscribe("sub2", &[&wanted, more].concat());
    }
}

/// The log without times, ports and the name of the broker, in the words of Mosquitto 2.1.
fn normalised(log: &str, kind: Kind) -> Vec<String> {
    let from_first_client = log
        .lines()
        .skip_while(|line| !line.contains("New connection"));
    from_first_client
        .map(|line| {
            let text = line.split_once(": ").map_or(line, |(_, text)| text);
            let text = without_ports(text);
            match kind {
                Kind::Wigwag => text,
                Kind::Mosquitto => in_words_of_2_1(&text),
            }
        })
        // This client leaves with its message, whether its UNSUBACK has come or not. One that comes to a closed
        // socket makes the system forget the DISCONNECT that nobody has read yet.
        .filter(|text| text != "Received DISCONNECT from sub2")
        .map(|text| match text.strip_suffix(": connection closed by client.") {
            Some(left) if left.starts_with("Client sub2 ") => format!("{left}."),
            _ if text == format!("Client sub2{CLOSED}") => {
                "Client sub2 [127.0.0.1:N] disconnected.".to_owned()
            }
            _ => text,
        })
        .collect()
}

/// `127.0.0.1:PORT` and `port PORT` without the number.
fn without_ports(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["127.0.0.1:", "on port "]
        .iter()
        .filter_map(|begin| rest.find(begin).map(|at| at + begin.len()))
        .min()
    {
        out.push_str(&rest[..at]);
        out.push('N');
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}

/// What 2.1 says otherwise than Debian's 2.0.11: the versions of MQTT by their levels, and clients that leave
/// with their addresses.
fn in_words_of_2_1(text: &str) -> String {
    let text = text.replace("(p2, ", "(p4, ").replace("(p1, ", "(p3, ");
    match text.strip_suffix(" disconnected.") {
        Some(who) => format!("{who} [127.0.0.1:N] disconnected."),
        None => text,
    }
}

#[test]
fn a_verbose_log_has_the_lines_of_mosquittos() {
    let log = |kind| {
        let watched = Watched::start(kind);
        watched.play(&["-U", "c/+"]);
        normalised(&watched.broker.process.said(), kind)
    };
    let (ours, theirs) = (log(Kind::Wigwag), log(Kind::Mosquitto));
    assert!(theirs.len() > 40, "{theirs:#?}");
    for (number, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(
            our, their,
            "line {number}\nours: {ours:#?}\ntheirs: {theirs:#?}"
        );
    }
    assert_eq!(ours.len(), theirs.len(), "{ours:#?}\n{theirs:#?}");
}

/// What is logged of clients who are not let in, with MQTT 3.1.1 and then with 5.
fn refusals(kind: Kind) -> Vec<String> {
    let watched = Watched::start_with(kind, "allow_anonymous false\n");
    for version in ["mqttv311", "mqttv5"] {
        let args = ["-V", version, "-t", "a", "-m", "b"];
        let mut client = watched.client("mosquitto_pub", "x", &args);
        assert!(!client.await_exit().success());
        let log = &watched.broker.process;
        log.await_line("the end of a client", |line| line.contains(" disconnected"));
    }
    normalised(&watched.broker.process.said(), kind)
}

/// The codes are the same. Debian's Mosquitto does not know yet who it is that it refuses, as 2.1 does.
#[test]
fn a_refusal_is_told_with_its_code() {
    let ours = |code| {
        [
            "New connection from 127.0.0.1:N on port N.".to_owned(),
            format!("Sending CONNACK to x (0, {code})"),
            "Client x [127.0.0.1:N] disconnected: not authorised.".to_owned(),
        ]
    };
    assert_eq!(refusals(Kind::Wigwag), [ours(5), ours(135)].concat());
    let theirs = |code| {
        [
            "New connection from 127.0.0.1:N on port N.".to_owned(),
            format!("Sending CONNACK to 127.0.0.1 (0, {code})"),
            "Client <unknown> disconnected, not authorised.".to_owned(),
        ]
    };
    assert_eq!(refusals(Kind::Mosquitto), [theirs(5), theirs(135)].concat());
}

/// What is logged of a client whose name another one takes, of one that connects twice, and of some that speak
/// no MQTT that there is.
fn mistakes(kind: Kind) -> Vec<String> {
    let watched = Watched::start_with(kind, "allow_anonymous true\n");
    let twin = Connect {
        payload: field(b"twin"),
        ..Connect::clean(5)
    };
    let strangers = [
        Connect::clean(7),
        Connect {
            protocol_name: b"MQTX",
            ..Connect::clean(4)
        },
    ];
    let mut older = Wire::connected(watched.port, &twin);
    let mut newer = Wire::connected(watched.port, &twin);
    let log = &watched.broker.process;
    // One after the other: those of different cores may be told in any order.
    let await_end = || log.await_line("the end of a client", |line| line.contains(" disconnected"));
    older.receive_to_the_end();
    if kind == Kind::Wigwag {
        await_end();
    }
    newer.send(&twin.bytes());
    newer.receive_to_the_end();
    await_end();
    for stranger in strangers {
        let mut wire = Wire::open(watched.port);
        wire.send(&stranger.bytes());
        wire.receive_to_the_end();
        await_end();
    }
    let is_told_elsewhere = |line: &String| {
        ["New connection", "New client", "No will", "Sending"]
            .iter()
            .any(|begin| line.starts_with(begin))
    };
    let mut lines = normalised(&log.said(), kind);
    lines.retain(|line| !is_told_elsewhere(line));
    lines
}

/// The line of a take-over is that of Mosquitto 2.0 and then that of 2.1; the others are those of 2.1.
#[test]
fn mistakes_of_clients_are_told_in_the_words_that_scripts_know() {
    assert_eq!(
        mistakes(Kind::Wigwag),
        [
            "Client twin already connected, closing old connection.",
            "Client twin [127.0.0.1:N] disconnected: session taken over.",
            "Bad client 127.0.0.1:N sending multiple CONNECT messages.",
            "Client twin [127.0.0.1:N] disconnected: protocol error.",
            "Protocol error from 127.0.0.1:N: CONNECT with invalid protocol version (7).",
            "Client 127.0.0.1 [127.0.0.1:N] disconnected: malformed packet.",
            "Protocol error from 127.0.0.1:N: CONNECT with invalid protocol: the Protocol Name is neither 'MQTT' nor 'MQIsdp'.",
            "Client 127.0.0.1 [127.0.0.1:N] disconnected: malformed packet.",
        ]
    );
    assert_eq!(
        mistakes(Kind::Mosquitto),
        [
            "Client twin already connected, closing old connection.",
            "Bad client twin sending multiple CONNECT messages.",
            "Client twin disconnected due to protocol error.",
            "Invalid protocol version 7 in CONNECT from 127.0.0.1.",
            "Client <unknown> disconnected due to protocol error.",
            "Invalid protocol \"MQTX\" in CONNECT from 127.0.0.1.",
            "Client <unknown> disconnected due to protocol error.",
        ]
    );
}

/// The tree after the play, as somebody saw it who watched from the beginning.
fn tree(kind: Kind) -> BTreeMap<String, String> {
    let watched = Watched::start(kind);
    let watcher = watched.client("mosquitto_sub", "watcher", &["-F", "%t=%p", "-t", "$SYS/#"]);
    watcher.await_line("the tree", |line| line.starts_with("$SYS/broker/uptime="));
    let stays = watched.client("mosquitto_sub", "stays", &["-d", "-t", "stays"]);
    stays.await_line("that it is subscribed", |line| {
        line.starts_with("Subscribed (mid")
    });
    // The maximum is of what a broker sees when it looks, once a second, so a client that comes and goes between may
    // count or not. As many as there will ever be at a time stay until they are counted.
    let mut guest = Wire::connected(watched.port, &Connect::clean(4));
    watcher.await_line("that three are counted", |line| {
        line == "$SYS/broker/clients/maximum=3"
    });
    guest.send(&packet(DISCONNECT, &[]));
    assert_eq!(guest.receive(), None);
    // Who unsubscribes and leaves may not be heard to leave, see `normalised`.
    watched.play(&[]);
    // An update begins with the uptime. The first that is heard from here on may have begun before the end, the second
    // has not, and is whole when the third comes.
    watcher.skip();
    for _ in 0..3 {
        watcher.await_line("the next update", |line| {
            line.starts_with("$SYS/broker/uptime=")
        });
    }
    watcher
        .said()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(topic, payload)| (topic.to_owned(), payload.to_owned()))
        .collect()
}

/// Numbers that depend on what came from clients alone, and so must be the same.
const EXACT: &[&str] = &[
    "$SYS/broker/bytes/received",
    "$SYS/broker/clients/active",
    "$SYS/broker/clients/connected",
    "$SYS/broker/clients/disconnected",
    "$SYS/broker/clients/expired",
    "$SYS/broker/clients/inactive",
    "$SYS/broker/clients/maximum",
    "$SYS/broker/clients/total",
    "$SYS/broker/messages/received",
    "$SYS/broker/publish/bytes/received",
    "$SYS/broker/publish/messages/dropped",
    "$SYS/broker/shared_subscriptions/count",
    "$SYS/broker/subscriptions/count",
];

/// Topics that Debian's Mosquitto does not have: those of 2.1, and the counters by type of packet.
fn is_newer(topic: &str) -> bool {
    ["packet/out/", "connections/socket/count", "mqtt/"]
        .iter()
        .any(|begin| topic.starts_with(&format!("$SYS/broker/{begin}")))
}

#[test]
fn the_tree_has_mosquittos_topics_and_numbers() {
    let (ours, theirs) = (tree(Kind::Wigwag), tree(Kind::Mosquitto));
    let names = |tree: &BTreeMap<String, String>| -> BTreeSet<String> {
        tree.keys()
            .filter(|topic| !is_newer(topic))
            .cloned()
            .collect()
    };
    assert_eq!(names(&ours), names(&theirs));
    assert!(
        ours.keys().any(|topic| is_newer(topic)) && !theirs.keys().any(|topic| is_newer(topic))
    );
    let exact = |tree: &BTreeMap<String, String>| -> Vec<(String, String)> {
        let of = |topic: &&str| {
            (
                topic.to_string(),
                tree.get(*topic).cloned().unwrap_or_default(),
            )
        };
        EXACT.iter().map(of).collect()
    };
    assert_eq!(exact(&ours), exact(&theirs));
    // Debian's Mosquitto leaves one of the three out.
    let received =
        |tree: &BTreeMap<String, String>| tree["$SYS/broker/publish/messages/received"].clone();
    assert_eq!((&*received(&ours), &*received(&theirs)), ("3", "2"));
}
