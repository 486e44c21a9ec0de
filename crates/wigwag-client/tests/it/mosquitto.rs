//! The client against the real Mosquitto, configured as in its usual tutorial: one plain listener, one
//! for WebSocket, anonymous clients.

#[cfg(target_os = "linux")]
mod idle;
mod limits;
mod moves;
#[cfg(feature = "store-fjall")]
mod receipts;
mod receive;
#[cfg(all(feature = "scram", target_os = "linux"))]
mod scram;
mod sys;

use std::fs;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use wigwag_client::{Builder, Client, Granted, Outcome, Publish, Qos, State, Version, Will};

use crate::{builder, collect, next, wait_for_state, within};

const ALL_QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

/// One Mosquitto with a folder of its own.
pub(crate) struct Mosquitto {
    folder: TempDir,
    pub(crate) tcp_port: u16,
    ws_port: u16,
    process: Child,
}

impl Mosquitto {
    pub(crate) async fn start() -> Mosquitto {
        Mosquitto::start_with("").await
    }

    /// With more options, in which `{folder}` stands for its folder.
    pub(crate) async fn start_with(options: &str) -> Mosquitto {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (tcp_port, ws_port) = (free_port(), free_port());
        let options = options.replace("{folder}", &folder.path().display().to_string());
        let configuration = format!(
            "{options}listener {tcp_port} 127.0.0.1\n\
             listener {ws_port} 127.0.0.1\n\
             protocol websockets\n\
             allow_anonymous true\n"
        );
        fs::write(folder.path().join("mosquitto.conf"), configuration).expect("writable");
        let process = spawn(&folder);
        let broker = Mosquitto {
            folder,
            tcp_port,
            ws_port,
            process,
        };
        broker.await_listening().await;
        broker
    }

    async fn await_listening(&self) {
        within(async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, self.ws_port))
                .await
                .is_err()
                || TcpStream::connect((Ipv4Addr::LOCALHOST, self.tcp_port))
                    .await
                    .is_err()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    pub(crate) fn tcp(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.tcp_port)
    }

    fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}/mqtt", self.ws_port)
    }

    /// Ends it without a chance to save anything.
    async fn kill(&mut self) {
        self.process.kill().await.expect("running");
    }

    /// Asks it to end, and waits until it has saved what it saves.
    async fn stop(&mut self) {
        let pid = self.process.id().expect("running").to_string();
        let mut kill = Command::new("kill");
        let status = kill.args(["-s", "TERM", &pid]).status().await;
        assert!(status.expect("there is a kill").success());
        within(self.process.wait()).await.expect("it ends");
    }

    async fn restart(&mut self) {
        self.process = spawn(&self.folder);
        self.await_listening().await;
    }
}

pub(crate) fn spawn(folder: &TempDir) -> Child {
    // Debian installs it where the path of an ordinary user does not lead.
    let installed = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"];
    let program = installed
        .into_iter()
        .find(|path| fs::exists(path).is_ok_and(|exists| exists))
        .unwrap_or("mosquitto");
    Command::new(program)
        .arg("-c")
        .arg(folder.path().join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("mosquitto cannot be started; `cargo xtask setup` installs it")
}

/// A port that nobody listens on, never the same one twice. The system's own choice will not do: it comes
/// from the range of outgoing connections, one of which may take it before the broker does.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 100).expect("below 100") * 100;
    loop {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if StdListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

pub(crate) async fn online(builder: Builder) -> Client {
    let client = builder.build().expect("valid");
    client.start();
    within(client.await_connection()).await.expect("online");
    client
}

#[tokio::test]
async fn messages_pass_at_every_qos_in_both_versions_over_tcp_and_websocket() {
    let broker = Mosquitto::start().await;
    for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
        for address in [broker.tcp(), broker.ws()] {
            for qos in ALL_QOS {
                let client = online(builder(&address).version(version).client_id("c")).await;
                let (handler, mut messages) = collect();
                let granted = within(client.subscribe("a/+/c", qos, handler)).await;
                assert_eq!(granted.map(|Granted { qos, .. }| qos), Ok(qos));
                for len in [0, 5, 10_000, 100_000] {
                    if len > 10_000 && address == broker.ws() {
                        // Mosquitto's WebSocket library takes in 4 KiB each 100 ms.
                        continue;
                    }
                    let payload = vec![b'x'; len];
                    let publish = Publish::new("a/b/c", payload.clone()).qos(qos);
                    assert_eq!(
                        within(client.publish(publish)).await,
                        Ok(Outcome::Delivered)
                    );
                    let message = next(&mut messages).await;
                    assert_eq!(message.topic(), "a/b/c");
                    assert_eq!(message.qos(), qos, "{version} {address}");
                    assert!(message.payload() == &payload, "{len} bytes");
                }
                let report = within(client.disconnect()).await;
                assert!(report.is_clean(), "{version} {address} {qos:?}: {report:?}");
            }
        }
    }
}

#[tokio::test]
async fn properties_travel_and_requests_are_answered() {
    let broker = Mosquitto::start().await;
    let client = online(builder(&broker.ws())).await;
    let responder = client.clone();
    let serving = client.subscribe("device/7/command", Qos::AtLeastOnce, move |message| {
        assert_eq!(message.content_type(), Some("application/json"));
        let pairs: Vec<_> = message.user_properties().collect();
        assert_eq!(pairs, [("trace", "1"), ("trace", "2")]);
        let reply = message.reply(&responder, "pong").expect("a Response Topic");
        async move {
            assert_eq!(reply.await, Ok(Outcome::Delivered));
        }
    });
    within(serving).await.expect("granted");
    let (handler, mut replies) = collect();
    within(client.subscribe("reply/here", Qos::ExactlyOnce, handler))
        .await
        .expect("granted");
    let request = Publish::new("device/7/command", "{}")
        .qos(Qos::AtLeastOnce)
        .content_type("application/json")
        .response_topic("reply/here")
        .correlation_data("42")
        .user_property("trace", "1")
        .user_property("trace", "2")
        .message_expiry(Duration::from_secs(10));
    within(client.publish(request))
        .await
        .expect("sent")
        .is_delivered();
    let reply = next(&mut replies).await;
    assert_eq!(reply.payload(), "pong");
    assert_eq!(reply.correlation_data(), Some(&b"42"[..]));
}

#[tokio::test]
async fn retained_messages_come_with_the_subscription_and_overlaps_come_once_to_each() {
    let broker = Mosquitto::start().await;
    let client = online(builder(&broker.tcp())).await;
    let publish = Publish::new("a/b", "kept").qos(Qos::AtLeastOnce).retain();
    within(client.publish(publish))
        .await
        .expect("sent")
        .is_delivered();
    let (handler, mut exact) = collect();
    within(client.subscribe("a/b", Qos::AtLeastOnce, handler))
        .await
        .expect("granted");
    let (handler, mut wide) = collect();
    within(client.subscribe("a/#", Qos::AtLeastOnce, handler))
        .await
        .expect("granted");
    for messages in [&mut exact, &mut wide] {
        let message = next(messages).await;
        assert!(message.retain() && message.payload() == "kept");
    }
    for payload in ["1", "2"] {
        let publish = Publish::new("a/b", payload).qos(Qos::AtLeastOnce);
        within(client.publish(publish))
            .await
            .expect("sent")
            .is_delivered();
        for messages in [&mut exact, &mut wide] {
            assert_eq!(next(messages).await.payload(), payload);
        }
    }
    within(client.unsubscribe("a/#")).await.expect("removed");
    let publish = Publish::new("a/b", "3").qos(Qos::AtLeastOnce);
    within(client.publish(publish))
        .await
        .expect("sent")
        .is_delivered();
    assert_eq!(next(&mut exact).await.payload(), "3");
    within(client.disconnect()).await;
    assert!(wide.recv().await.is_none());
}

#[tokio::test]
async fn a_killed_broker_is_found_again_and_subscribed_to_again() {
    let mut broker = Mosquitto::start().await;
    let client = online(
        builder(&broker.tcp())
            .client_id("c")
            .session_expiry(Duration::from_secs(600)),
    )
    .await;
    let (handler, mut messages) = collect();
    within(client.subscribe("a", Qos::AtLeastOnce, handler))
        .await
        .expect("granted");
    broker.kill().await;
    wait_for_state(&client, |state| !state.is_online()).await;
    // Published into the gap: queued, and delivered to the subscription that is made again first.
    let publishing = client.publish(Publish::new("a", "gap").qos(Qos::ExactlyOnce));
    broker.restart().await;
    let state = wait_for_state(&client, State::is_online).await;
    assert_eq!(
        state,
        State::Online {
            session_present: false
        }
    );
    assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
    assert_eq!(next(&mut messages).await.payload(), "gap");
}

/// A TCP proxy that can be cut.
struct Proxy {
    address: String,
    open: watch::Sender<bool>,
}

impl Proxy {
    async fn start(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("bound").port();
        let (open, is_open) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut is_open = is_open.clone();
                tokio::spawn(async move {
                    let forward = async {
                        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                        copy_bidirectional(&mut client, &mut server).await
                    };
                    tokio::select! {
                        _ = is_open.wait_for(|open| !open) => {}
                        _ = forward => {}
                    }
                });
            }
        });
        Proxy {
            address: format!("mqtt://127.0.0.1:{own}"),
            open,
        }
    }
}

#[tokio::test]
async fn a_resumed_session_brings_what_was_published_in_between() {
    let broker = Mosquitto::start().await;
    let proxy = Proxy::start(broker.tcp_port).await;
    for version in [Version::V3_1_1, Version::V5] {
        let client = online(
            builder(&proxy.address)
                .version(version)
                .client_id(format!("c{version}"))
                .clean_start(false)
                .session_expiry(Duration::from_secs(600)),
        )
        .await;
        let (handler, mut messages) = collect();
        within(client.subscribe("a", Qos::ExactlyOnce, handler))
            .await
            .expect("granted");
        proxy.open.send_replace(false);
        wait_for_state(&client, |state| !state.is_online()).await;
        let other = online(builder(&broker.tcp())).await;
        for index in 0..100 {
            let qos = if index % 2 == 0 {
                Qos::AtLeastOnce
            } else {
                Qos::ExactlyOnce
            };
            let publish = Publish::new("a", index.to_string()).qos(qos);
            within(other.publish(publish))
                .await
                .expect("sent")
                .is_delivered();
        }
        proxy.open.send_replace(true);
        let state = wait_for_state(&client, State::is_online).await;
        assert_eq!(
            state,
            State::Online {
                session_present: true
            }
        );
        for index in 0..100 {
            assert_eq!(next(&mut messages).await.payload(), &index.to_string());
        }
        within(client.disconnect()).await;
        within(other.disconnect()).await;
    }
}

#[tokio::test]
async fn a_cut_connection_loses_nothing_and_repeats_nothing_at_qos_2() {
    const MESSAGES: usize = 2_000;
    let broker = Mosquitto::start().await;
    let proxy = Proxy::start(broker.tcp_port).await;
    let persistent = |address: &str, id: &str| {
        builder(address)
            .client_id(id)
            .session_expiry(Duration::from_secs(600))
    };
    let subscriber = online(persistent(&proxy.address, "subscriber")).await;
    let received = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (sink, (done, mut is_done)) = (received.clone(), tokio::sync::mpsc::unbounded_channel());
    let subscribing = subscriber.subscribe("a", Qos::ExactlyOnce, move |message| {
        let mut received = sink.lock().expect("not poisoned");
        received.push(message.payload().clone());
        if received.len() == MESSAGES {
            let _ = done.send(());
        }
    });
    within(subscribing).await.expect("granted");
    let publisher = online(persistent(&proxy.address, "publisher")).await;
    let unknown = Arc::new(AtomicUsize::new(0));
    let (counter, publishing) = (unknown.clone(), publisher.clone());
    let publishing = tokio::spawn(async move {
        for index in 0..MESSAGES {
            let publish = Publish::new("a", index.to_string()).qos(Qos::ExactlyOnce);
            let outcome = publishing.publish(publish).await.expect("sent");
            counter.fetch_add(usize::from(!outcome.is_delivered()), Ordering::Relaxed);
        }
    });
    while !publishing.is_finished() {
        for client in [&subscriber, &publisher] {
            wait_for_state(client, State::is_online).await;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        proxy.open.send_replace(false);
        wait_for_state(&subscriber, |state| !state.is_online()).await;
        proxy.open.send_replace(true);
    }
    within(publishing).await.expect("published");
    within(is_done.recv()).await.expect("all have arrived");
    assert_eq!(unknown.load(Ordering::Relaxed), 0);
    let received = received.lock().expect("not poisoned");
    let sent: Vec<String> = (0..MESSAGES).map(|index| index.to_string()).collect();
    assert!(
        *received == sent,
        "exactly once and in order: {} messages",
        received.len()
    );
}

#[tokio::test]
async fn the_will_is_published_after_a_drop_and_not_after_a_disconnect() {
    let broker = Mosquitto::start().await;
    let watcher = online(builder(&broker.tcp())).await;
    let (handler, mut wills) = collect();
    within(watcher.subscribe("device/+/online", Qos::AtLeastOnce, handler))
        .await
        .expect("granted");
    for version in [Version::V3_1_1, Version::V5] {
        let with_will = |id: &str| {
            let will = Will::new(format!("device/{id}/online"), "false")
                .qos(Qos::AtLeastOnce)
                .retain();
            builder(&broker.ws())
                .version(version)
                .client_id(id)
                .will(will)
        };
        let polite = online(with_will("polite")).await;
        assert!(within(polite.disconnect()).await.is_clean());
        drop(online(with_will("rude")).await);
        assert_eq!(next(&mut wills).await.topic(), "device/rude/online");
    }
}

#[tokio::test]
async fn a_taken_over_session_comes_back_after_a_while() {
    let broker = Mosquitto::start().await;
    let first = online(builder(&broker.tcp()).client_id("same")).await;
    let second = online(builder(&broker.tcp()).client_id("same")).await;
    // The version of Debian 12 closes the old connection without saying why.
    wait_for_state(&first, |state| !state.is_online()).await;
    within(second.disconnect()).await;
    wait_for_state(&first, State::is_online).await;
}
