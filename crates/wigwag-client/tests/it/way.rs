//! Ways to the real Mosquitto: TLS with every check, WebSocket over TLS, a Unix socket, a proxy, a list
//! of servers; and what the client may be told about its CONNECT.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;
use wigwag_client::{
    Client, Credentials, Event, OfflineReason, Outcome, Publish, Qos, ReasonCode, State, Will,
};
use wigwag_proto::Packet;

use crate::mosquitto::{free_port, online, spawn};
use crate::server::{Server, parse};
use crate::{builder, collect, next, within};

/// A Mosquitto with the listeners of one test.
struct Broker {
    folder: TempDir,
    process: Child,
}

impl Broker {
    /// `listeners` may name files of `folder`; `ports` are those that it opens.
    async fn start(folder: TempDir, listeners: &str, ports: &[u16]) -> Broker {
        // Started by root, it would give up the right to read the test's files.
        let user = "user root\nallow_anonymous true\n";
        let path = folder.path().join("mosquitto.conf");
        fs::write(path, format!("{user}{listeners}")).expect("writable");
        let process = spawn(&folder);
        let broker = Broker { folder, process };
        broker.await_listening(ports).await;
        broker
    }

    async fn await_listening(&self, ports: &[u16]) {
        for &port in ports {
            within(async {
                while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                    .await
                    .is_err()
                {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
        }
    }
}

/// A message of each QoS goes to the broker and comes back.
async fn exchange(client: &Client) {
    for (qos, len) in [
        (Qos::AtMostOnce, 10),
        (Qos::AtLeastOnce, 100),
        (Qos::ExactlyOnce, 3_000),
    ] {
        let (handler, mut messages) = collect();
        within(client.subscribe("a/+", qos, handler))
            .await
            .expect("granted");
        let publish = Publish::new("a/b", vec![b'x'; len]).qos(qos);
        let outcome = within(client.publish(publish)).await;
        assert_eq!(outcome, Ok(Outcome::Delivered));
        assert_eq!(next(&mut messages).await.payload().len(), len);
    }
}

/// Why the first attempt of the client fails.
async fn failure(client: &Client) -> OfflineReason {
    let mut states = client.state();
    client.start();
    let failed = |state: &State| matches!(state, State::Offline { reason, .. } if *reason != OfflineReason::NotStarted);
    let state = within(states.wait_for(failed))
        .await
        .expect("alive")
        .clone();
    match state {
        State::Offline { reason, .. } => reason,
        State::Connecting { .. } | State::Online { .. } => unreachable!("waited for"),
    }
}

#[cfg(feature = "tls")]
mod tls {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
    };
    use wigwag_client::{Tls, Version};

    use super::*;

    struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        fn new(name: &str) -> Authority {
            let mut params = CertificateParams::default();
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
        }

        /// A certificate and its key in PEM.
        fn issue(&self, name: &str, expired: bool) -> (String, String) {
            let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
            if expired {
                params.not_after = date_time_ymd(2020, 1, 1);
            }
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &self.0).expect("a certificate");
            (certificate.pem(), key.serialize_pem())
        }
    }

    /// A Mosquitto whose certificate is `identity`, at a port for MQTT and, without client certificates, at
    /// one for WebSocket.
    async fn broker(
        identity: (String, String),
        client_ca: Option<&Authority>,
    ) -> (Broker, u16, u16) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("writable");
            path.display().to_string()
        };
        let files = format!(
            "certfile {}\nkeyfile {}\n",
            file("server.crt", &identity.0),
            file("server.key", &identity.1)
        );
        let (port, ws_port) = (free_port(), free_port());
        let mut listeners = format!("listener {port} 127.0.0.1\n{files}");
        if let Some(ca) = client_ca {
            let cafile = file("ca.crt", &ca.0.pem());
            listeners.push_str(&format!("cafile {cafile}\nrequire_certificate true\n"));
        }
        listeners.push_str(&format!(
            "listener {ws_port} 127.0.0.1\nprotocol websockets\n{files}"
        ));
        let broker = Broker::start(folder, &listeners, &[port, ws_port]).await;
        (broker, port, ws_port)
    }

    #[tokio::test]
    async fn the_example_of_tls_works_with_a_client_certificate_and_says_why_without() {
        let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
        let (_broker, port, _) = broker(ca.issue("localhost", false), Some(&clients)).await;
        let address = format!("mqtts://localhost:{port}");
        let tls = Tls::ca_pem(ca.0.pem());
        let refused = within(crate::examples::tls::run(&address, tls.clone())).await;
        let error = refused.expect_err("no client certificate").to_string();
        assert!(error.contains("client certificate"), "{error}");
        let (certificate, key) = clients.issue("device-7", false);
        let tls = tls.client_certificate_pem(certificate, key);
        within(crate::examples::tls::run(&address, tls))
            .await
            .expect("it works");
    }

    #[tokio::test]
    async fn messages_pass_over_tls_and_websocket_over_tls() {
        let ca = Authority::new("ca");
        let (_broker, port, ws_port) = broker(ca.issue("localhost", false), None).await;
        let tls = Tls::ca_pem(ca.0.pem());
        for address in [
            format!("mqtts://localhost:{port}"),
            format!("wss://localhost:{ws_port}/mqtt"),
        ] {
            for version in [Version::V5, Version::V3_1_1] {
                let builder = builder(&address).tls(tls.clone()).version(version);
                let client = online(builder).await;
                exchange(&client).await;
                assert!(within(client.disconnect()).await.is_clean());
            }
        }
    }

    #[tokio::test]
    async fn each_check_of_the_server_refuses_and_says_why() {
        let ca = Authority::new("ca");
        let check = async |identity, words: &str| {
            let (_broker, port, _) = broker(identity, None).await;
            let tls = Tls::ca_pem(ca.0.pem());
            let address = format!("mqtts://localhost:{port}");
            let client = builder(&address).tls(tls.clone()).build().expect("valid");
            let reason = failure(&client).await;
            assert!(
                matches!(&reason, OfflineReason::Dial(text) if text.contains(words)),
                "{reason}"
            );
            let careless = builder(&address).tls(tls.dangerous_accept_any_certificate());
            exchange(&online(careless).await).await;
        };
        let other = Authority::new("other").issue("localhost", false);
        check(other, "no trusted CA has signed it").await;
        check(ca.issue("localhost", true), "it has expired").await;
        let name = ca.issue("broker.example", false);
        check(name, "not valid for 'localhost', only for broker.example").await;
    }

    #[tokio::test]
    async fn the_system_does_not_trust_the_ca_of_a_test() {
        let ca = Authority::new("ca");
        let (_broker, port, _) = broker(ca.issue("localhost", false), None).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(folder);
        let address = format!("mqtts://localhost:{port}");
        match builder(&address).build() {
            Ok(client) => {
                let reason = failure(&client).await.to_string();
                assert!(reason.contains("no trusted CA has signed it"), "{reason}");
            }
            // A system without any trusted CA says so before anything is dialled.
            Err(error) => assert!(error.to_string().contains("no trusted CA"), "{error}"),
        }
    }

    #[tokio::test]
    async fn a_client_certificate_opens_the_door_and_its_absence_is_told() {
        let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
        let identity = ca.issue("localhost", false);
        let (_broker, port, _) = broker(identity, Some(&clients)).await;
        let address = format!("mqtts://localhost:{port}");
        let tls = Tls::ca_pem(ca.0.pem());

        let (certificate, key) = clients.issue("device-7", false);
        let with = tls.clone().client_certificate_pem(certificate, key);
        exchange(&online(builder(&address).tls(with)).await).await;

        let without = builder(&address).tls(tls.clone()).build().expect("valid");
        let reason = failure(&without).await.to_string();
        assert!(reason.contains("demands a client certificate"), "{reason}");

        let (certificate, key) = Authority::new("foreign").issue("device-7", false);
        let foreign = tls.client_certificate_pem(certificate, key);
        let foreign = builder(&address).tls(foreign).build().expect("valid");
        let reason = failure(&foreign).await.to_string();
        assert!(reason.contains("does not trust the CA"), "{reason}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn messages_pass_over_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("mqtt.sock").display().to_string();
    let port = free_port();
    // The TCP listener is there to tell when the broker is up.
    let listeners = format!("listener 0 {socket}\nlistener {port} 127.0.0.1\n");
    let _broker = Broker::start(folder, &listeners, &[port]).await;
    let client = online(builder(&format!("unix://{socket}"))).await;
    exchange(&client).await;
    assert!(within(client.disconnect()).await.is_clean());
}

#[tokio::test]
async fn a_transport_of_ones_own_carries_the_connection() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let _broker = Broker::start(folder, &format!("listener {port} 127.0.0.1\n"), &[port]).await;
    let opened = Arc::new(AtomicUsize::new(0));
    let counter = opened.clone();
    let builder = builder("mqtt://nowhere.invalid").transport(move |target| {
        assert_eq!(target.host(), "nowhere.invalid");
        counter.fetch_add(1, Ordering::Relaxed);
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
    });
    exchange(&online(builder).await).await;
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

#[cfg(feature = "proxy")]
#[tokio::test]
async fn messages_pass_through_a_proxy() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let _broker = Broker::start(folder, &format!("listener {port} 127.0.0.1\n"), &[port]).await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let proxy_port = proxy.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (mut client, _) = proxy.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.expect("a request"));
        }
        // The name is the proxy's to look up.
        assert!(head.starts_with(b"CONNECT broker.example:1883 HTTP/1.1\r\n"));
        client
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .await
            .expect("open");
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("the broker is up");
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    let proxy = format!("http://127.0.0.1:{proxy_port}");
    let client = online(builder("mqtt://broker.example").proxy(proxy)).await;
    exchange(&client).await;
    assert!(within(client.disconnect()).await.is_clean());
}

#[tokio::test]
async fn another_server_takes_over_when_one_dies_and_nothing_queued_is_lost() {
    let (first_port, second_port) = (free_port(), free_port());
    let start = async |port| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Broker::start(folder, &format!("listener {port} 127.0.0.1\n"), &[port]).await
    };
    let mut first = start(first_port).await;
    let mut second = start(second_port).await;
    let client = online(
        builder(&format!("mqtt://127.0.0.1:{first_port}"))
            .server(format!("mqtt://127.0.0.1:{second_port}")),
    )
    .await;
    let (handler, mut messages) = collect();
    within(client.subscribe("f/#", Qos::AtLeastOnce, handler))
        .await
        .expect("granted");
    let mut events = client.events();
    for round in 0..4 {
        let dying = if round % 2 == 0 {
            &mut first
        } else {
            &mut second
        };
        let mut states = client.state();
        states.borrow_and_update();
        dying.process.kill().await.expect("running");
        // The client may be online again by the time this is seen.
        within(states.changed()).await.expect("alive");
        let publish = Publish::new("f/x", round.to_string()).qos(Qos::AtLeastOnce);
        let publishing = client.publish(publish);
        within(client.await_connection()).await.expect("online");
        assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
        assert_eq!(next(&mut messages).await.payload(), &round.to_string());
        dying.process = spawn(&dying.folder);
        let port = if round % 2 == 0 {
            first_port
        } else {
            second_port
        };
        dying.await_listening(&[port]).await;
    }
    let mut called = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Dialling { server, .. } = event {
            called.push(server);
        }
    }
    assert!(
        called
            .iter()
            .any(|server| server.contains(&first_port.to_string())),
        "{called:?}"
    );
}

#[tokio::test]
async fn a_terminated_connection_leaves_a_will_and_comes_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let _broker = Broker::start(folder, &format!("listener {port} 127.0.0.1\n"), &[port]).await;
    let address = format!("mqtt://127.0.0.1:{port}");
    let watcher = online(builder(&address)).await;
    let (handler, mut wills) = collect();
    within(watcher.subscribe("will", Qos::AtLeastOnce, handler))
        .await
        .expect("granted");
    let client = online(builder(&address).will(Will::new("will", "gone"))).await;
    let mut states = client.state();
    states.borrow_and_update();
    client.terminate_connection();
    let terminated = |state: &State| {
        matches!(
            state,
            State::Offline {
                reason: OfflineReason::Terminated,
                ..
            }
        )
    };
    within(states.wait_for(terminated)).await.expect("alive");
    assert_eq!(next(&mut wills).await.payload(), "gone");
    within(client.await_connection())
        .await
        .expect("online again");
}

/// The Client Identifier, user name and password of the next CONNECT, which is refused.
async fn refused_connect(server: &Server) -> (String, Option<String>, Option<Vec<u8>>) {
    let mut connection = server.accept_raw().await;
    let bytes = connection
        .expect(|packet| matches!(packet, Packet::Connect(_)))
        .await;
    let Packet::Connect(connect) = parse(&bytes) else {
        unreachable!("looked at above")
    };
    connection
        .send(&Packet::ConnAck(wigwag_proto::packet::ConnAck {
            session_present: false,
            reason: ReasonCode::ServerBusy,
            properties: wigwag_proto::Properties::EMPTY,
        }))
        .await;
    (
        connect.client_id.to_owned(),
        connect.user_name.map(str::to_owned),
        connect.password.map(<[u8]>::to_vec),
    )
}

#[tokio::test]
async fn credentials_are_asked_for_before_each_attempt_and_the_connect_can_be_edited() {
    let server = Server::new().await;
    let asked = AtomicUsize::new(0);
    let client = builder(&server.address)
        .client_id("device")
        .credentials("unused", "unused")
        .credentials_with(move |attempt| {
            let count = asked.fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                match attempt.number {
                    2 => Err("the vault is closed"),
                    _ => Ok(Credentials::new("token", count.to_string())),
                }
            }
        })
        .edit_connect(|attempt, packet| {
            packet.client_id = format!("{}-{}", packet.client_id, attempt.number);
        })
        .build()
        .expect("valid");
    let mut events = client.events();
    client.start();
    let (client_id, user_name, password) = refused_connect(&server).await;
    assert_eq!(client_id, "device-1");
    assert_eq!(user_name.as_deref(), Some("token"));
    assert_eq!(password.as_deref(), Some(&b"1"[..]));
    let (_, _, password) = refused_connect(&server).await;
    assert_eq!(password.as_deref(), Some(&b"3"[..]), "the second failed");
    let mut reasons = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::State(State::Offline { reason, .. }) = event {
            reasons.push(reason);
        }
    }
    let expect = OfflineReason::Credentials("the vault is closed".into());
    assert!(reasons.contains(&expect), "{reasons:?}");
}

#[tokio::test]
async fn the_connect_timeout_bounds_credentials_dialling_and_handshake_together() {
    let server = Server::new().await;
    let timeout = Duration::from_millis(50);
    let expect = OfflineReason::ConnectTimeout(timeout);
    let slow = builder(&server.address)
        .connect_timeout(timeout)
        .credentials_with(|_| std::future::pending::<Result<Credentials, &str>>());
    assert_eq!(failure(&slow.build().expect("valid")).await, expect);
    let dialling = builder("mqtt://nowhere.invalid")
        .connect_timeout(timeout)
        .transport(|_| std::future::pending::<std::io::Result<TcpStream>>());
    assert_eq!(failure(&dialling.build().expect("valid")).await, expect);
    let silent = builder(&server.address).connect_timeout(timeout);
    assert_eq!(failure(&silent.build().expect("valid")).await, expect);
    #[cfg(feature = "tls")]
    {
        let address = server.address.replace("mqtt:", "mqtts:");
        let tls = wigwag_client::Tls::native_roots().dangerous_accept_any_certificate();
        let silent = builder(&address).connect_timeout(timeout).tls(tls);
        assert_eq!(failure(&silent.build().expect("valid")).await, expect);
    }
}
