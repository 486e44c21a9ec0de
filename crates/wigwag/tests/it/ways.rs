//! Every way by which our client reaches a broker, against both brokers with the same configuration file:
//! TCP, TLS, TLS with client certificates, WebSocket, WebSocket over TLS and a Unix socket.

use std::fs;
use std::sync::mpsc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use wigwag_client::{
    Builder, Client, Message, OfflineReason, Outcome, Publish, Qos, State, Tls, Version,
};

use crate::broker::{Kind, free_port};
use crate::our_client::{block_on, builder, online, within};
use crate::process::{BOUND, Process};
use crate::tools;

against_both_brokers!(
    messages_pass_on_every_way_in_both_versions,
    client_certificate_opens_the_door_and_its_absence_is_told,
);

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        let name_type = rcgen::DnType::CommonName;
        params.distinguished_name.push(name_type, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate and its key, in PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
}

/// A broker with a listener for each way.
pub(crate) struct Ways {
    pub(crate) folder: TempDir,
    _process: Process,
    pub(crate) ports: [u16; 5],
    pub(crate) servers: Authority,
    clients: Authority,
}

impl Ways {
    pub(crate) fn start(kind: Kind) -> Ways {
        let folder = TempDir::new().unwrap();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let (certificate, key) = servers.issue("localhost");
        let identity = format!(
            "certfile {}\nkeyfile {}\n",
            file("server.crt", &certificate),
            file("server.key", &key)
        );
        let ca = file("clients.crt", &clients.pem());
        let socket = folder.path().join("mqtt.sock").display().to_string();
        let ports = [(); 5].map(|()| free_port());
        let [tcp, tls, mutual, ws, wss] = ports;
        // Started by root, Mosquitto would give up the right to read the test's files.
        let configuration = format!(
            "user root\nallow_anonymous true\nlog_dest stderr\n\
             listener {tcp} 127.0.0.1\n\
             listener {tls} 127.0.0.1\n{identity}\
             listener {mutual} 127.0.0.1\n{identity}cafile {ca}\nrequire_certificate true\n\
             listener {ws} 127.0.0.1\nprotocol websockets\n\
             listener {wss} 127.0.0.1\nprotocol websockets\n{identity}\
             listener 0 {socket}\n"
        );
        let configuration = file("mosquitto.conf", &configuration);
        let mut command = match kind {
            Kind::Wigwag => tools::wigwag(),
            Kind::Mosquitto => tools::system("mosquitto"),
        };
        if kind == Kind::Wigwag {
            command.arg("broker");
        }
        let process = Process::start(command.args(["-c", &configuration]));
        process.await_line("that it runs", |line| line.ends_with(" running"));
        Ways {
            folder,
            _process: process,
            ports,
            servers,
            clients,
        }
    }

    /// A client certificate of this authority, and trust in the server.
    fn tls(&self, clients: &Authority) -> Tls {
        let (certificate, key) = clients.issue("device-7");
        Tls::ca_pem(self.servers.pem()).client_certificate_pem(certificate, key)
    }
}

/// A message of each QoS goes to the broker and comes back.
pub(crate) async fn exchange(client: &Client) {
    for (qos, len) in [
        (Qos::AtMostOnce, 10),
        (Qos::AtLeastOnce, 100),
        (Qos::ExactlyOnce, 3_000),
    ] {
        let (sender, messages) = mpsc::channel();
        let subscribing = client.subscribe("a/+", qos, move |message: Message| {
            // The test may have ended.
            let _ = sender.send(message.payload().len());
        });
        within(subscribing).await.unwrap();
        let publish = Publish::new("a/b", vec![b'x'; len]).qos(qos);
        assert_eq!(
            within(client.publish(publish)).await,
            Ok(Outcome::Delivered)
        );
        let came = tokio::task::spawn_blocking(move || messages.recv_timeout(BOUND));
        assert_eq!(came.await.unwrap(), Ok(len));
    }
}

fn messages_pass_on_every_way_in_both_versions(kind: Kind) {
    let broker = Ways::start(kind);
    let [tcp, tls, mutual, ws, wss] = broker.ports;
    let socket = broker.folder.path().join("mqtt.sock");
    block_on(async {
        for url in [
            format!("mqtt://localhost:{tcp}"),
            format!("mqtts://localhost:{tls}"),
            format!("mqtts://localhost:{mutual}"),
            format!("ws://localhost:{ws}/mqtt"),
            format!("wss://localhost:{wss}/mqtt"),
            format!("unix://{}", socket.display()),
        ] {
            for version in [Version::V3_1_1, Version::V5] {
                let builder = builder(&url).version(version);
                let client = online(builder.tls(broker.tls(&broker.clients))).await;
                exchange(&client).await;
                // The way back is the same.
                let mut states = client.state();
                states.borrow_and_update();
                client.terminate_connection();
                within(states.changed()).await.unwrap();
                within(client.await_connection()).await.unwrap();
                exchange(&client).await;
                let report = within(client.disconnect()).await;
                assert!(report.is_clean(), "{url} {version}: {report:?}");
            }
        }
    });
}

/// Why the first attempt fails.
async fn failure(builder: Builder) -> OfflineReason {
    let client = builder.build().unwrap();
    let mut states = client.state();
    client.start();
    let failed = |state: &State| matches!(state, State::Offline { reason, .. } if *reason != OfflineReason::NotStarted);
    let state = within(states.wait_for(failed)).await.unwrap().clone();
    match state {
        State::Offline { reason, .. } => reason,
        State::Connecting { .. } | State::Online { .. } => unreachable!("waited for"),
    }
}

fn client_certificate_opens_the_door_and_its_absence_is_told(kind: Kind) {
    let broker = Ways::start(kind);
    let url = format!("mqtts://localhost:{}", broker.ports[2]);
    block_on(async {
        exchange(&online(builder(&url).tls(broker.tls(&broker.clients))).await).await;
        let without = builder(&url).tls(Tls::ca_pem(broker.servers.pem()));
        let reason = failure(without).await.to_string();
        assert!(reason.contains("demands a client certificate"), "{reason}");
        let foreign = broker.tls(&Authority::new("foreign"));
        let reason = failure(builder(&url).tls(foreign)).await.to_string();
        assert!(reason.contains("does not trust the CA"), "{reason}");
        let distrusting = Tls::ca_pem(Authority::new("others").pem());
        let reason = failure(builder(&url).tls(distrusting)).await.to_string();
        assert!(reason.contains("no trusted CA has signed it"), "{reason}");
    });
}
