//! Bridges between real brokers: ours to Mosquitto, Mosquitto to ours, ours to ours, by the same configuration.
//!
//! The broker with the bridge is the near one, the other the far one.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wigwag_client::{Client, Message, MessageStream, Overflow, Publish, Qos, SubscriptionOptions};

use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::our_client::{block_on, builder, online, within};

const QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

/// Makes a test of each function for each pair of brokers that has one of ours in it.
macro_rules! between_brokers {
    ($($name:ident),+ $(,)?) => {
        $(
            mod $name {
                use crate::broker::Kind::{Mosquitto, Wigwag};

                #[test]
                fn wigwag_to_mosquitto() {
                    super::block_on(super::$name(Wigwag, Mosquitto));
                }

                #[test]
                fn mosquitto_to_wigwag() {
                    super::block_on(super::$name(Mosquitto, Wigwag));
                }

                #[test]
                fn wigwag_to_wigwag() {
                    super::block_on(super::$name(Wigwag, Wigwag));
                }
            }
        )+
    };
}

between_brokers!(
    messages_of_every_qos_go_both_ways_under_other_names,
    retained_messages_stay_retained_there,
    what_is_published_while_the_link_is_down_arrives_later,
    a_far_broker_that_starts_again_is_found_again,
    another_address_stands_in_for_one_that_does_not_answer,
    both_brokers_are_told_how_the_bridge_is,
);

/// A broker and its port.
struct Node {
    broker: Configured,
    port: u16,
}

impl Node {
    fn start(kind: Kind, more: &str) -> Node {
        Node::start_on(kind, free_port(), more)
    }

    fn start_on(kind: Kind, port: u16, more: &str) -> Node {
        let text = configuration(port, more);
        let broker = Configured::start(kind, TempDir::new().unwrap(), &text);
        Node { broker, port }
    }

    /// Writes the configuration anew and has the broker read it.
    fn reload(&self, more: &str) {
        self.broker.write("m.conf", &configuration(self.port, more));
        self.broker.process.signal("HUP");
    }

    fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    async fn client(&self) -> Client {
        online(builder(&self.url())).await
    }

    /// What is published there from here on. RETAIN is as it was published.
    async fn watch(&self, filter: &str) -> MessageStream {
        let client = self.client().await;
        let options = SubscriptionOptions {
            qos: Qos::ExactlyOnce,
            retain_as_published: true,
            ..SubscriptionOptions::default()
        };
        let stream = client.subscribe_stream_with(filter, options, Overflow::Pause);
        within(stream).await.unwrap()
    }

    /// Waits until the log says that somebody has subscribed: name, QoS and filter.
    fn await_subscription(&self, what: &str) {
        let process = self.broker.process.rewind();
        process.await_line(what, |line| line.ends_with(&format!(" {what}")));
    }

    /// Waits until the bridge of this name is connected, or is not.
    async fn await_state(&self, bridge: &str, state: &str) {
        let topic = format!("$SYS/broker/connection/{bridge}/state");
        let mut states = self.watch(&topic).await;
        while text(&next(&mut states).await) != state {}
    }
}

fn configuration(port: u16, more: &str) -> String {
    format!("user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n{more}")
}

/// A bridge with the name and Client Identifier `b` that comes back after a second.
fn bridge(addresses: &str, more: &str) -> String {
    bridge_named("b", addresses, more)
}

fn bridge_named(name: &str, addresses: &str, more: &str) -> String {
    format!(
        "connection {name}\naddresses {addresses}\nremote_clientid {name}\nrestart_timeout 1\n\
         keepalive_interval 5\n{more}"
    )
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Two brokers with a bridge that is connected.
async fn pair(near: Kind, far: Kind, lines: &str) -> (Node, Node) {
    let far = Node::start(far, "");
    let near = Node::start(near, &bridge(&address(far.port), lines));
    near.await_state("b", "1").await;
    (near, far)
}

async fn next(stream: &mut MessageStream) -> Message {
    within(stream.next()).await.expect("the client goes on")
}

fn text(message: &Message) -> String {
    String::from_utf8(message.payload().to_vec()).unwrap()
}

async fn publish(client: &Client, topic: &str, payload: &str, qos: Qos) {
    deliver(client, Publish::new(topic, payload.to_owned()).qos(qos)).await;
}

async fn deliver(client: &Client, publish: Publish) {
    assert!(
        within(client.publish(publish))
            .await
            .unwrap()
            .is_delivered()
    );
}

/// The next message, as topic, payload and QoS.
async fn seen(stream: &mut MessageStream) -> (String, String, Qos) {
    let message = next(stream).await;
    (message.topic().to_owned(), text(&message), message.qos())
}

async fn messages_of_every_qos_go_both_ways_under_other_names(near: Kind, far: Kind) {
    for version in ["mqttv311", "mqttv50"] {
        let lines = format!(
            "bridge_protocol_version {version}\ntopic out/# out 2 near/ far/\n\
             topic in/# in 2 near/ far/\ntopic both/# both 1\ntopic \"\" out 1 near/one far/other\n"
        );
        let (near, far) = pair(near, far, &lines).await;
        // In MQTT 5 nothing tells it from another client.
        if version == "mqttv311" {
            let process = far.broker.process.rewind();
            process.await_line("who came", |line| line.contains("New bridge connected"));
        }
        let (mut here, mut there) = (near.watch("#").await, far.watch("#").await);
        let (near, far) = (near.client().await, far.client().await);
        for qos in QOS {
            publish(&near, "near/out/a/b", "x", qos).await;
            let expect = ("far/out/a/b".to_owned(), "x".to_owned(), qos);
            assert_eq!(seen(&mut there).await, expect, "{version}");
            assert_eq!(seen(&mut here).await.0, "near/out/a/b");
            publish(&far, "far/in/c", "y", qos).await;
            let expect = ("near/in/c".to_owned(), "y".to_owned(), qos);
            assert_eq!(seen(&mut here).await, expect, "{version}");
            assert_eq!(seen(&mut there).await.0, "far/in/c");
            // It neither comes back nor exceeds the QoS of its line.
            publish(&near, "both/d", "z", qos).await;
            let expect = (
                "both/d".to_owned(),
                "z".to_owned(),
                qos.min(Qos::AtLeastOnce),
            );
            assert_eq!(seen(&mut there).await, expect, "{version}");
            assert_eq!(seen(&mut here).await.0, "both/d");
        }
        publish(&near, "near/one", "1", Qos::AtLeastOnce).await;
        assert_eq!(seen(&mut there).await.0, "far/other");
        assert_eq!(seen(&mut here).await.0, "near/one");
        // What would have come back has had the time of a message to the other side and back.
        publish(&far, "far/in/end", "", Qos::AtLeastOnce).await;
        assert_eq!(seen(&mut here).await.0, "near/in/end");
    }
}

async fn retained_messages_stay_retained_there(near: Kind, far: Kind) {
    for version in ["mqttv311", "mqttv50"] {
        let far = Node::start(far, "");
        let lines = format!("bridge_protocol_version {version}\ntopic r/# both 1\n");
        let retained = |topic: &str| Publish::new(topic, "kept").qos(Qos::AtLeastOnce).retain();
        let there = far.client().await;
        deliver(&there, retained("r/far")).await;
        let near = Node::start(near, &bridge(&address(far.port), &lines));
        let mut here = near.watch("r/#").await;
        let message = next(&mut here).await;
        assert!(message.retain(), "{version}");
        assert_eq!(message.topic(), "r/far");
        let client = near.client().await;
        deliver(&client, retained("r/near")).await;
        let mut there = far.watch("r/near").await;
        assert!(next(&mut there).await.retain(), "{version}");
    }
}

/// A way to a broker that can be closed, with all that goes through it.
struct Gate {
    port: u16,
    is_open: Arc<watch::Sender<bool>>,
}

impl Gate {
    async fn open(to: u16) -> Gate {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).await;
        let listener = listener.unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_open = Arc::new(watch::Sender::new(true));
        let gate = is_open.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut open = gate.subscribe();
                if !*open.borrow_and_update() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await.unwrap();
                    let copying = tokio::io::copy_bidirectional(&mut client, &mut server);
                    tokio::select! {
                        _ = copying => {}
                        _ = open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Gate { port, is_open }
    }

    fn set_open(&self, is_open: bool) {
        self.is_open.send_replace(is_open);
    }
}

const WAITING: usize = 60;

/// All that has waited, each once and in the order of its QoS: between two of these there is none.
async fn expect_all(stream: &mut MessageStream) {
    let mut numbers = [0, 0];
    while numbers != [WAITING; 2] {
        let message = next(stream).await;
        let number = &mut numbers[usize::from(message.topic().ends_with('2'))];
        assert_eq!(text(&message), number.to_string(), "{message:?}");
        *number += 1;
    }
}

async fn what_is_published_while_the_link_is_down_arrives_later(near: Kind, far: Kind) {
    for version in ["mqttv311", "mqttv50"] {
        let far = Node::start(far, "");
        let gate = Gate::open(far.port).await;
        let lines = format!(
            "bridge_protocol_version {version}\nbridge_session_expiry_interval 600\n\
             topic out/# out 2\ntopic in/# in 2\n"
        );
        // Debian's Mosquitto does not know the option.
        let lines = match near {
            Kind::Mosquitto => lines.replace("bridge_session_expiry_interval 600\n", ""),
            Kind::Wigwag => lines,
        };
        let near_node = Node::start(near, &bridge(&address(gate.port), &lines));
        near_node.await_state("b", "1").await;
        // It is connected before it has subscribed; what is published before that is not for it.
        far.await_subscription("b 2 in/#");
        gate.set_open(false);
        near_node.await_state("b", "0").await;
        let (mut here, mut there) = (near_node.watch("in/#").await, far.watch("out/#").await);
        let (client_here, client_there) = (near_node.client().await, far.client().await);
        for index in 0..WAITING {
            for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
                let (out, back) = (format!("out/{}", qos as u8), format!("in/{}", qos as u8));
                publish(&client_here, &out, &index.to_string(), qos).await;
                publish(&client_there, &back, &index.to_string(), qos).await;
            }
        }
        gate.set_open(true);
        expect_all(&mut there).await;
        // A session of Debian's Mosquitto ends with its connection in MQTT 5.
        if near == Kind::Wigwag || version == "mqttv311" {
            expect_all(&mut here).await;
        }
    }
}

async fn a_far_broker_that_starts_again_is_found_again(near: Kind, far: Kind) {
    let (near, far_node) = pair(near, far, "topic t/# both 1\n").await;
    let port = far_node.port;
    drop(far_node);
    near.await_state("b", "0").await;
    let client = near.client().await;
    let retained = |index: usize| {
        Publish::new(format!("t/{index}"), index.to_string())
            .qos(Qos::AtLeastOnce)
            .retain()
    };
    for index in 0..WAITING {
        deliver(&client, retained(index)).await;
    }
    let far = Node::start_on(far, port, "");
    let mut there = far.watch("t/#").await;
    let mut missing: Vec<String> = (0..WAITING).map(|index| index.to_string()).collect();
    while !missing.is_empty() {
        let payload = text(&next(&mut there).await);
        missing.retain(|wanted| *wanted != payload);
    }
    let mut here = near.watch("t/new").await;
    publish(&far.client().await, "t/new", "x", Qos::AtLeastOnce).await;
    next(&mut here).await;
}

async fn another_address_stands_in_for_one_that_does_not_answer(near: Kind, far: Kind) {
    let (first, second) = (free_port(), Node::start(far, ""));
    let addresses = format!("127.0.0.1:{first} 127.0.0.1:{}", second.port);
    let near_node = Node::start(near, &bridge(&addresses, "topic t/# out 1\n"));
    second.await_state("b", "1").await;
    let client = near_node.client().await;
    let mut there = second.watch("t/#").await;
    publish(&client, "t/a", "x", Qos::AtLeastOnce).await;
    next(&mut there).await;
    // As soon as the first one is there, the bridge goes back to it.
    let first = Node::start_on(far, first, "");
    first.await_state("b", "1").await;
    let mut there = first.watch("t/#").await;
    publish(&client, "t/b", "x", Qos::AtLeastOnce).await;
    next(&mut there).await;
}

async fn both_brokers_are_told_how_the_bridge_is(near: Kind, far: Kind) {
    let (near_node, far) = pair(near, far, "topic t out\n").await;
    far.await_state("b", "1").await;
    near_node.broker.process.signal("KILL");
    far.await_state("b", "0").await;
    drop(near_node);
    // Where it is to be told is a matter of taste; nobody else is told then.
    let lines = "topic t out\nnotification_topic told/here\nnotifications_local_only true\n";
    let near = Node::start(near, &bridge(&address(far.port), lines));
    let mut told = near.watch("told/here").await;
    while text(&next(&mut told).await) != "1" {}
    let mut there = far.watch("told/#").await;
    publish(&far.client().await, "told/end", "", Qos::AtLeastOnce).await;
    assert_eq!(seen(&mut there).await.0, "told/end");
}

/// Packets, each with its first byte.
type Packets = Vec<(u8, Vec<u8>)>;

/// The next packet but for PINGREQ, which comes when it comes.
async fn read_packet(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut first = within(stream.read_u8()).await.unwrap();
    while first == 0xc0 {
        within(stream.read_u8()).await.unwrap();
        first = within(stream.read_u8()).await.unwrap();
    }
    let len = within(stream.read_u8()).await.unwrap();
    assert!(len < 128, "a packet of a bridge with short names");
    let mut packet = vec![0; len.into()];
    within(stream.read_exact(&mut packet)).await.unwrap();
    (first, packet)
}

/// What a bridge says on a connection until it has made its last request, with nobody but the test there.
async fn first_words(listener: &TcpListener, session_present: u8) -> (TcpStream, Packets) {
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    let mut said = vec![read_packet(&mut stream).await];
    let connack = [0x20, 2, session_present, 0];
    stream.write_all(&connack).await.unwrap();
    for _ in 0..6 {
        said.push(read_packet(&mut stream).await);
    }
    (stream, said)
}

#[test]
fn a_bridge_says_what_mosquittos_bridge_says() {
    block_on(async {
        for version in ["mqttv31", "mqttv311"] {
            let mut said = Vec::new();
            for kind in [Kind::Mosquitto, Kind::Wigwag] {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).await;
                let listener = listener.unwrap();
                let port = listener.local_addr().unwrap().port();
                let lines = format!(
                    "bridge_protocol_version {version}\ntopic one out 1\ntopic two in 1\n\
                     topic three/# both 2 near/ far/\ntopic four in 0\ntopic five out 2\n"
                );
                let near = Node::start(kind, &bridge(&address(port), &lines));
                let (mut stream, words) = first_words(&listener, 0).await;
                let client = near.client().await;
                publish(&client, "one", "x", Qos::AtLeastOnce).await;
                let message = read_packet(&mut stream).await;
                said.push((words, message));
                // MQTT 3.1 does not tell whether a session goes on.
                if kind == Kind::Wigwag && version == "mqttv311" {
                    // What was under way comes behind, and nothing is announced twice.
                    drop(stream);
                    let (mut stream, again) = first_words(&listener, 1).await;
                    let topic = b"\0\x1e$SYS/broker/connection/b/state";
                    assert_eq!(again[1], (0x33, [topic.as_slice(), b"\0\x081"].concat()));
                    assert_eq!(read_packet(&mut stream).await.0, 0x3a);
                }
            }
            assert_eq!(said[0], said[1], "{version}");
        }
    });
}

#[test]
fn a_lazy_bridge_connects_when_enough_has_come_together() {
    block_on(connect_lazily());
}

async fn connect_lazily() {
    let far = Node::start(Kind::Mosquitto, "");
    let lines = "start_type lazy\nthreshold 3\nidle_timeout 1\ntopic t/# out 1\n";
    let near = Node::start(Kind::Wigwag, &bridge(&address(far.port), lines));
    let mut there = far.watch("t/#").await;
    let client = near.client().await;
    let mut states = near.watch("$SYS/broker/connection/b/state").await;
    assert_eq!(text(&next(&mut states).await), "0");
    for round in 0..2 {
        for index in 0..3 {
            publish(
                &client,
                "t/a",
                &format!("{round} {index}"),
                Qos::AtLeastOnce,
            )
            .await;
        }
        for index in 0..3 {
            assert_eq!(text(&next(&mut there).await), format!("{round} {index}"));
        }
        for state in ["1", "0"] {
            assert_eq!(text(&next(&mut states).await), state);
        }
    }
}

#[test]
fn a_message_that_comes_round_is_not_carried_again() {
    block_on(async {
        let lines = "bridge_protocol_version mqttv50\nbridge_loop_detection true\ntopic # both 1\n";
        let (one, other) = (free_port(), free_port());
        let near = bridge_named("there", &address(other), lines);
        let near = Node::start_on(Kind::Wigwag, one, &near);
        let far = bridge_named("back", &address(one), lines);
        let far = Node::start_on(Kind::Wigwag, other, &far);
        near.await_state("there", "1").await;
        far.await_state("back", "1").await;
        // They are connected before they have subscribed.
        far.await_subscription("there 1 #");
        near.await_subscription("back 1 #");
        let (mut here, mut there) = (near.watch("t").await, far.watch("t").await);
        let client = near.client().await;
        for payload in ["once", "more"] {
            publish(&client, "t", payload, Qos::AtLeastOnce).await;
            // As it was published, and round by either bridge; there by either bridge.
            for _ in 0..3 {
                assert_eq!(text(&next(&mut here).await), payload);
            }
            for _ in 0..2 {
                assert_eq!(text(&next(&mut there).await), payload);
            }
        }
    });
}

#[test]
fn a_reload_changes_the_bridges_that_have_changed_and_no_others() {
    block_on(async {
        let far = Node::start(Kind::Mosquitto, "");
        let other = Node::start(Kind::Wigwag, "");
        let stays = bridge_named("stays", &address(far.port), "topic s/# out 1\n");
        let goes = bridge_named("goes", &address(far.port), "topic g/# out 1\n");
        let changes = |line: &str| {
            let lines = format!("bridge_reload_type immediate\n{line}\n");
            bridge_named("changes", &address(far.port), &lines)
        };
        let near = Node::start(
            Kind::Wigwag,
            &format!("{stays}{goes}{}", changes("topic c/# out 1")),
        );
        for name in ["stays", "goes", "changes"] {
            near.await_state(name, "1").await;
        }
        let comes = bridge_named("comes", &address(other.port), "topic n/# out 1\n");
        near.reload(&format!("{comes}{stays}{}", changes("topic d/# out 1")));
        near.await_state("comes", "1").await;
        near.await_state("goes", "0").await;
        let (mut there, mut elsewhere) = (far.watch("#").await, other.watch("#").await);
        let client = near.client().await;
        // The changed one has to come back before its line holds.
        near.broker.process.await_line("the change", |line| {
            line.contains("doing local SUBSCRIBE on topic d/#")
        });
        near.await_state("changes", "1").await;
        for topic in ["g/x", "c/x", "s/x", "d/x", "n/x"] {
            publish(&client, topic, "x", Qos::AtLeastOnce).await;
        }
        let mut topics = [seen(&mut there).await.0, seen(&mut there).await.0];
        topics.sort();
        assert_eq!(topics, ["d/x", "s/x"]);
        assert_eq!(seen(&mut elsewhere).await.0, "n/x");
        let mut process = near.broker.process;
        process.signal("TERM");
        assert!(process.await_exit().success(), "{}", process.said());
        let said = process.said();
        let connects = |name: &str| said.matches(&format!("Connecting bridge {name} ")).count();
        assert_eq!((connects("stays"), connects("changes")), (1, 2), "{said}");
    });
}

#[test]
fn what_waits_for_the_far_broker_survives_a_restart_of_the_near_one() {
    block_on(async {
        let (folder, far) = (TempDir::new().unwrap(), free_port());
        let lines = format!(
            "topic t/# out 2\npersistence true\npersistence_location {}\n",
            folder.path().display()
        );
        let lines = bridge(&address(far), &lines);
        let near = Node::start(Kind::Wigwag, &lines);
        let client = near.client().await;
        near.await_state("b", "0").await;
        for index in 0..WAITING {
            let topic = format!("t/{index}");
            publish(&client, &topic, "x", Qos::ExactlyOnce).await;
        }
        let port = near.port;
        let mut process = near.broker.process;
        process.signal("TERM");
        assert!(process.await_exit().success(), "{}", process.said());
        let far = Node::start_on(Kind::Mosquitto, far, "");
        let mut there = far.watch("t/#").await;
        let _near = Node::start_on(Kind::Wigwag, port, &lines);
        let mut missing: Vec<String> = (0..WAITING).map(|index| format!("t/{index}")).collect();
        while !missing.is_empty() {
            let topic = next(&mut there).await.topic().to_owned();
            missing.retain(|wanted| *wanted != topic);
        }
    });
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate for the name and its key, in files of the folder.
    fn issue(&self, folder: &TempDir, name: &str) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let write = |file: &str, text: String| {
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        write("ca.pem", self.0.pem());
        write("cert.pem", certificate.pem());
        write("key.pem", key.serialize_pem());
    }
}

#[test]
fn a_bridge_speaks_tls_and_looks_whom_it_speaks_to() {
    block_on(async {
        let ca = Authority::new();
        for (name, insecure, expect) in [
            ("localhost", "", "1"),
            ("elsewhere", "", "0"),
            ("elsewhere", "bridge_insecure true\n", "1"),
        ] {
            let folder = TempDir::new().unwrap();
            ca.issue(&folder, name);
            let dir = folder.path().display().to_string();
            let port = free_port();
            let text = format!(
                "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n\
                 cafile {dir}/ca.pem\ncertfile {dir}/cert.pem\nkeyfile {dir}/key.pem\n\
                 require_certificate true\n"
            );
            let _far = Configured::start(Kind::Mosquitto, folder, &text);
            let lines = format!(
                "bridge_cafile {dir}/ca.pem\nbridge_certfile {dir}/cert.pem\n\
                 bridge_keyfile {dir}/key.pem\n{insecure}topic t out\n"
            );
            let near = Node::start(Kind::Wigwag, &bridge(&format!("localhost:{port}"), &lines));
            if expect == "0" {
                let process = near.broker.process.rewind();
                process.await_line("why not", |line| {
                    line.contains("Error creating bridge: the certificate of")
                });
            }
            near.await_state("b", expect).await;
        }
    });
}

#[test]
fn a_bridge_that_starts_once_makes_one_attempt() {
    let port = free_port();
    let near = Node::start(
        Kind::Wigwag,
        &bridge(&address(port), "start_type once\ntopic t out\n"),
    );
    let process = &near.broker.process;
    // It may fail before the broker says that it runs.
    process.rewind();
    process.await_line("that it failed", |line| {
        line.ends_with("Warning: Unable to connect bridge b.")
    });
    // The attempt behind that one is far away.
    let again = bridge(&address(port), "start_type automatic\ntopic t out\n");
    let again = again.replace("restart_timeout 1\n", "restart_timeout 600\n");
    near.reload(&again);
    process.await_line("another attempt", |line| {
        line.contains("Connecting bridge b")
    });
    assert_eq!(process.said().matches("Connecting bridge b").count(), 2);
}
