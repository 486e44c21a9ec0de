//! Kinds of listeners, with Mosquitto's clients on them: TLS, client certificates, Unix sockets, the PROXY
//! protocol, bounds, and what a reload changes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Instant;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use tempfile::{TempDir, tempdir};
use wigwag_client::{Outcome, Publish, Qos, Tls};

use crate::broker::{Kind, free_port};
use crate::configured::{Configured, command, write};
use crate::our_client;
use crate::process::{BOUND, Process};
use crate::tools;

against_both_brokers!(
    messages_pass_between_all_kinds_of_listeners,
    a_client_certificate_is_a_user_name,
    a_client_without_a_certificate_is_refused,
    connections_are_bounded,
    a_unix_socket_is_for_the_group,
    a_renewed_certificate_is_shown_after_a_reload,
);

/// A CA of the test's own, whose certificate is in the folder.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(folder: &Path) -> Self {
        Self::named(folder, "ca")
    }

    /// Writes `NAME.crt`.
    fn named(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        write(&folder.join(format!("{name}.crt")), &ca.pem());
        Self(ca)
    }

    /// Writes `NAME.crt` and `NAME.key`.
    fn issue(&self, folder: &Path, name: &str, serial: u64) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        write(&folder.join(format!("{name}.crt")), &certificate.pem());
        write(&folder.join(format!("{name}.key")), &key.serialize_pem());
    }

    /// Writes `NAME.crl`, which takes a certificate back.
    fn revoke(&self, folder: &Path, name: &str, serial: u64) {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2999, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.0).unwrap().pem().unwrap();
        write(&folder.join(format!("{name}.crl")), &list);
    }
}

/// `user root`: a broker that root starts must be able to read the test's files.
fn configuration(folder: &TempDir, text: &str) -> String {
    let folder = folder.path().display().to_string();
    format!(
        "user root\nallow_anonymous true\n{}",
        text.replace("DIR", &folder)
    )
}

fn client(program: &str, arguments: &[&str]) -> Process {
    Process::start(tools::system(program).args(arguments))
}

/// Arguments that lead to a port over TLS.
fn over_tls(folder: &TempDir, port: u16) -> Vec<String> {
    over_tls_of(folder, port, "ca")
}

/// The same for a certificate of another CA.
fn over_tls_of(folder: &TempDir, port: u16, ca: &str) -> Vec<String> {
    let ca = folder
        .path()
        .join(format!("{ca}.crt"))
        .display()
        .to_string();
    let arguments = ["-h", "localhost", "-p", &port.to_string(), "--cafile", &ca];
    arguments.map(str::to_owned).to_vec()
}

/// The same with a certificate.
fn as_client(folder: &TempDir, port: u16, name: &str) -> Vec<String> {
    let mut arguments = over_tls(folder, port);
    for (option, extension) in [("--cert", "crt"), ("--key", "key")] {
        let file = folder.path().join(format!("{name}.{extension}"));
        arguments.extend([option.to_owned(), file.display().to_string()]);
    }
    arguments
}

/// Whether the broker takes a message that comes this way.
fn publishes(way: &[String], topic: &str) -> bool {
    let way = way.iter().map(String::as_str);
    let rest = ["-q", "1", "-t", topic, "-m", "hello"];
    let arguments: Vec<&str> = way.chain(rest).collect();
    client("mosquitto_pub", &arguments).await_exit().success()
}

/// A broker with one listener for TLS, of which the configuration says `more`; with the port and the text of the file.
fn start_with_tls(kind: Kind, more: &str) -> (Configured, u16, String) {
    let folder = tempdir().unwrap();
    Authority::new(folder.path()).issue(folder.path(), "server", 1);
    let port = free_port();
    let listener = format!(
        "listener {port} localhost\n{more}certfile DIR/server.crt\nkeyfile DIR/server.key\n"
    );
    let text = configuration(&folder, &listener);
    let broker = Configured::start(kind, folder, &text);
    (broker, port, text)
}

fn messages_pass_between_all_kinds_of_listeners(kind: Kind) {
    let folder = tempdir().unwrap();
    let ca = Authority::new(folder.path());
    ca.issue(folder.path(), "server", 1);
    ca.issue(folder.path(), "device-7", 2);
    let [tcp, tls, mutual] = [(); 3].map(|()| free_port());
    let text = format!(
        "listener {tcp} 127.0.0.1\n\
         listener {tls} localhost\ncertfile DIR/server.crt\nkeyfile DIR/server.key\ntls_version tlsv1.2\n\
         listener {mutual} localhost\ncertfile DIR/server.crt\nkeyfile DIR/server.key\n\
         cafile DIR/ca.crt\nrequire_certificate true\n\
         listener 0 DIR/socket\n"
    );
    let text = configuration(&folder, &text);
    let broker = Configured::start(kind, folder, &text);

    let port = tcp.to_string();
    let arguments = [
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-d",
        "-q",
        "1",
        "-t",
        "#",
        "-F",
        "message %t",
    ];
    let subscriber = client("mosquitto_sub", &arguments);
    subscriber.await_line("that it is subscribed", |line| {
        line.starts_with("Subscribed")
    });

    let socket = broker.folder.path().join("socket").display().to_string();
    let unix = ["--unix".to_owned(), socket];
    let ways = [
        ("tls", over_tls(&broker.folder, tls)),
        ("mutual", as_client(&broker.folder, mutual, "device-7")),
        ("unix", unix.to_vec()),
    ];
    for (topic, way) in ways {
        assert!(
            publishes(&way, topic),
            "{topic}:\n{}",
            broker.process.said()
        );
        subscriber.await_line("the message", |line| line == format!("message {topic}"));
    }
}

#[test]
fn a_socket_goes_with_its_broker() {
    let folder = tempdir().unwrap();
    let text = configuration(&folder, "listener 0 DIR/socket\n");
    let mut broker = Configured::start(Kind::Wigwag, folder, &text);
    let socket = broker.folder.path().join("socket");
    assert!(socket.exists());
    broker.process.signal("TERM");
    assert!(broker.process.await_exit().success());
    assert!(!socket.exists());
}

/// Whatever the umask says of files.
fn a_unix_socket_is_for_the_group(kind: Kind) {
    let folder = tempdir().unwrap();
    let text = configuration(&folder, "listener 0 DIR/socket\n");
    let broker = Configured::start(kind, folder, &text);
    let socket = broker.folder.path().join("socket");
    assert_eq!(socket.metadata().unwrap().mode() & 0o777, 0o770);
    let said = broker.process.said();
    let line = format!("Opening unix listen socket on path {}.", socket.display());
    assert!(said.contains(&line), "{said}");
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("m.conf");
    let listener = format!("listener {}\nbind_interface none7\n", free_port());
    write(&file, &configuration(&folder, &listener));
    let mut process = Process::start(command(Kind::Wigwag).arg("-c").arg(&file));
    assert_eq!(process.await_exit().code(), Some(1));
    assert!(
        process.said().contains("interface 'none7'"),
        "{}",
        process.said()
    );
}

fn a_client_certificate_is_a_user_name(kind: Kind) {
    let folder = tempdir().unwrap();
    let ca = Authority::new(folder.path());
    ca.issue(folder.path(), "server", 1);
    ca.issue(folder.path(), "device-7", 2);
    let [identity, subject] = [(); 2].map(|()| free_port());
    let tls = "certfile DIR/server.crt\nkeyfile DIR/server.key\ncafile DIR/ca.crt\nrequire_certificate true\n";
    let text = format!(
        "listener {identity} localhost\n{tls}use_identity_as_username true\n\
         listener {subject} localhost\n{tls}use_subject_as_username true\n"
    );
    let text = configuration(&folder, &text);
    let broker = Configured::start(kind, folder, &text);
    for (port, name) in [
        (identity, "u'device-7'"),
        (subject, "u'CN=device-7,O=Example\\, Inc.'"),
    ] {
        let mut way = as_client(&broker.folder, port, "device-7");
        // What the client claims to be does not count.
        way.extend(["-u".to_owned(), "admin".to_owned()]);
        assert!(publishes(&way, "a"), "{}", broker.process.said());
        let line = broker.process.await_line("who has connected", |line| {
            line.contains("New client connected")
        });
        assert!(line.contains(name), "{name}: {line}");
    }
}

fn a_client_without_a_certificate_is_refused(kind: Kind) {
    let folder = tempdir().unwrap();
    let ca = Authority::new(folder.path());
    ca.issue(folder.path(), "server", 1);
    ca.issue(folder.path(), "good", 2);
    ca.issue(folder.path(), "revoked", 3);
    ca.revoke(folder.path(), "list", 3);
    let foreign_folder = tempdir().unwrap();
    let foreign = Authority::new(foreign_folder.path());
    foreign.issue(folder.path(), "foreign", 4);
    let [required, named] = [(); 2].map(|()| free_port());
    let tls = "certfile DIR/server.crt\nkeyfile DIR/server.key\ncafile DIR/ca.crt\n";
    let text = format!(
        "listener {required} localhost\n{tls}crlfile DIR/list.crl\nrequire_certificate true\n\
         listener {named} localhost\n{tls}use_identity_as_username true\n"
    );
    let text = configuration(&folder, &text);
    let broker = Configured::start(kind, folder, &text);
    let folder = &broker.folder;
    assert!(publishes(&as_client(folder, required, "good"), "a"));
    assert!(!publishes(&as_client(folder, required, "revoked"), "a"));
    assert!(!publishes(&as_client(folder, required, "foreign"), "a"));
    assert!(!publishes(&over_tls(folder, required), "a"));
    // Without a certificate there is no user name, and none can be chosen.
    let mut nobody = over_tls(folder, named);
    nobody.extend(["-u".to_owned(), "good".to_owned()]);
    let said = |version: &str| {
        let more = ["-V", version, "-q", "1", "-t", "a", "-m", "x"];
        let arguments: Vec<&str> = nobody.iter().map(String::as_str).chain(more).collect();
        client("mosquitto_pub", &arguments).await_exit().code()
    };
    // "Bad user name or password", as the exit code of the tool.
    assert_eq!(said("5"), Some(134));
    assert_eq!(said("311"), Some(4));
    // Mosquitto 2.0 asks nobody for a certificate unless it requires one.
    if kind == Kind::Wigwag {
        assert!(publishes(&as_client(folder, named, "good"), "a"));
    }
}

fn connections_are_bounded(kind: Kind) {
    let folder = tempdir().unwrap();
    let port = free_port();
    let text = configuration(
        &folder,
        &format!("listener {port} 127.0.0.1\nmax_connections 1\n"),
    );
    let broker = Configured::start(kind, folder, &text);
    let first = TcpStream::connect(("127.0.0.1", port)).unwrap();
    broker
        .process
        .await_line("of the first", |line| line.contains("New connection from"));
    let mut second = TcpStream::connect(("127.0.0.1", port)).unwrap();
    second.set_read_timeout(Some(BOUND)).unwrap();
    // The kernel has taken it, the broker closes it.
    assert!(matches!(second.read(&mut [0; 1]), Ok(0) | Err(_)));
    broker.process.await_line("why", |line| {
        line.contains("127.0.0.1 denied: max_connections exceeded")
    });
    drop(first);
    let way = ["-h", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
    let deadline = Instant::now() + BOUND;
    while !publishes(&way, "a") {
        assert!(Instant::now() < deadline, "the place stays taken");
    }
}

/// Those of many that come at once who get in by a port. Each has a letter of its own for its name: who has that of one
/// who is inside would put that one out.
fn crowd(port: u16, letters: Range<u8>) -> Vec<TcpStream> {
    let comers: Vec<_> = letters
        .map(|letter| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                stream.set_read_timeout(Some(BOUND)).unwrap();
                let client_id = format!("{port:05}{}", char::from(letter));
                let head = b"\x10\x12\0\x04MQTT\x04\x02\0\x3c\0\x06";
                let mut answer = [0; 4];
                // One that is turned away may notice that as it writes.
                let got = stream
                    .write_all(&[head, client_id.as_bytes()].concat())
                    .and_then(|()| stream.read_exact(&mut answer));
                (got.is_ok() && answer == [0x20, 2, 0, 0]).then_some(stream)
            })
        })
        .collect();
    let comers = comers.into_iter();
    comers.filter_map(|comer| comer.join().unwrap()).collect()
}

#[test]
fn no_more_than_may_get_in_at_once() {
    let (one, other) = (free_port(), free_port());
    let folder = tempdir().unwrap();
    let listeners = format!(
        "global_max_connections 7\nlistener {one} 127.0.0.1\nmax_connections 4\nlistener {other} 127.0.0.1\n"
    );
    let text = configuration(&folder, &listeners);
    let _broker = Configured::start(Kind::Wigwag, folder, &text);
    let mut inside = crowd(one, b'a'..b'u');
    let others = crowd(other, b'a'..b'u');
    assert_eq!((inside.len(), others.len()), (4, 3));
    // A place that is given up is there for exactly one.
    inside.pop();
    let deadline = Instant::now() + BOUND;
    let mut followers = crowd(one, b'A'..b'K');
    while followers.is_empty() {
        assert!(Instant::now() < deadline, "the place stays taken");
        followers = crowd(one, b'A'..b'K');
    }
    assert_eq!(followers.len(), 1);
}

#[test]
fn a_reload_opens_and_closes_listeners() {
    let [stays, goes, comes] = [(); 3].map(|()| free_port());
    let folder = tempdir().unwrap();
    let text = configuration(&folder, &format!("listener {stays} 127.0.0.1\n"));
    let before = format!("{text}listener {goes} 127.0.0.1\n");
    let broker = Configured::start(Kind::Wigwag, folder, &before);
    let subscriber = |port: u16| {
        let port = port.to_string();
        let way = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-V",
            "5",
            "-d",
            "-t",
            "a",
            "-C",
            "1",
        ];
        let subscriber = client("mosquitto_sub", &way);
        subscriber.await_line("that it is subscribed", |line| {
            line.starts_with("Subscribed")
        });
        subscriber
    };
    let mut keeps = subscriber(stays);
    let loses = subscriber(goes);
    let after = format!("{text}listener {comes} 127.0.0.1\n");
    broker.write("m.conf", &after);
    broker.process.signal("HUP");
    loses.await_line("why it has to go", |line| {
        line == "Received DISCONNECT (152)"
    });
    assert!(TcpStream::connect(("127.0.0.1", goes)).is_err());
    let way = ["-h", "127.0.0.1", "-p", &comes.to_string()].map(str::to_owned);
    assert!(publishes(&way, "a"), "{}", broker.process.said());
    assert!(keeps.await_exit().success());
}

fn a_renewed_certificate_is_shown_after_a_reload(kind: Kind) {
    let (broker, port, _) = start_with_tls(kind, "");
    // A connection that is there stays.
    let mut way = over_tls(&broker.folder, port);
    way.extend(["-d", "-t", "a", "-C", "1"].map(str::to_owned));
    let way: Vec<&str> = way.iter().map(String::as_str).collect();
    let mut subscriber = client("mosquitto_sub", &way);
    subscriber.await_line("that it is subscribed", |line| {
        line.starts_with("Subscribed")
    });

    // Whoever trusts the new CA only sees the new certificate only.
    let new = Authority::named(broker.folder.path(), "new");
    new.issue(broker.folder.path(), "server", 2);
    let way = over_tls_of(&broker.folder, port, "new");
    assert!(!publishes(&way, "b"));
    broker.process.signal("HUP");
    let deadline = Instant::now() + BOUND;
    while !publishes(&way, "a") {
        assert!(Instant::now() < deadline, "{}", broker.process.said());
    }
    assert!(!publishes(&over_tls(&broker.folder, port), "b"));
    assert!(subscriber.await_exit().success());
}

#[test]
fn a_reload_that_fails_leaves_everything_as_it_was() {
    let (broker, port, text) = start_with_tls(Kind::Wigwag, "");
    let failed = |what: &str| {
        broker.process.signal("HUP");
        broker.process.await_line(what, |line| line.contains(what));
        broker.process.await_line("that all is as it was", |line| {
            line.contains("Everything is as it was")
        });
        assert!(publishes(&over_tls(&broker.folder, port), "a"), "{what}");
    };
    broker.write("m.conf", &format!("{text}nonsense\n"));
    failed("Unknown configuration variable 'nonsense'");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap();
    let more = format!("{text}listener {} 127.0.0.1\n", place.port());
    broker.write("m.conf", &more);
    failed(&format!("cannot listen on {place}: Address already in use"));
    broker.write("m.conf", &text);
    broker.write("server.key", "nothing");
    failed("server.crt");
}

#[test]
fn a_reload_changes_what_can_be_changed_and_names_the_rest() {
    let folder = tempdir().unwrap();
    let port = free_port();
    let listener = format!("listener {port} 127.0.0.1\nmax_connections 1\nmount_point a/\n");
    let text = configuration(&folder, &listener);
    let broker = Configured::start(Kind::Wigwag, folder, &text);
    let port = port.to_string();
    let way = ["-h", "127.0.0.1", "-p", &port].map(str::to_owned);
    let subscribe = [
        &way.each_ref().map(String::as_str)[..],
        &["-d", "-t", "#", "-F", "message %t"],
    ]
    .concat();
    let old = client("mosquitto_sub", &subscribe);
    old.await_line("that it is subscribed", |line| {
        line.starts_with("Subscribed")
    });
    assert!(!publishes(&way, "x"));

    let changed = text
        .replace("max_connections 1", "max_connections 3")
        .replace("a/", "b/");
    broker.write("m.conf", &format!("{changed}sys_interval 7\n"));
    broker.process.signal("HUP");
    broker.process.await_line("what waits", |line| {
        line.contains("'sys_interval' has changed, which takes a restart")
    });
    let new = client("mosquitto_sub", &subscribe);
    new.await_line("that it is subscribed", |line| {
        line.starts_with("Subscribed")
    });
    assert!(publishes(&way, "x"));
    new.await_line("the message", |line| line == "message x");
    // Whoever was there keeps the mount point of its arrival, and hears nothing of the new one.
    assert!(!old.said().contains("message"), "{}", old.said());
}

#[test]
fn a_load_balancer_tells_where_its_client_is() {
    let [v1, v2] = [(); 2].map(|()| free_port());
    let folder = tempdir().unwrap();
    let text = configuration(
        &folder,
        &format!(
            "listener {v1} 127.0.0.1\nenable_proxy_protocol 1\n\
             listener {v2} 127.0.0.1\nenable_proxy_protocol 2\nuse_identity_as_username true\n"
        ),
    );
    let broker = Configured::start(Kind::Wigwag, folder, &text);
    let connected = |port: u16, header: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        // In one piece: the broker may close at the header, before a second piece is written.
        let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01a";
        stream.write_all(&[header, connect].concat()).unwrap();
        let mut answer = [0; 4];
        let read = stream.read_exact(&mut answer);
        read.is_ok().then_some(answer)
    };
    let accepted = Some([0x20, 2, 0, 0]);
    let line = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n";
    assert_eq!(connected(v1, line), accepted);
    broker.process.await_line("where the client is", |line| {
        line.contains("New client connected from 192.0.2.1:56324 as a")
    });
    let addresses = [192, 0, 2, 9, 198, 51, 100, 7, 0xDC, 0x04, 7, 0x5B];
    let tls = [0x20, 0, 10, 5, 0, 0, 0, 0, 0x22, 0, 2, b'm', b'e'];
    let binary = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x19", &addresses[..], &tls].concat();
    assert_eq!(connected(v2, &binary), accepted);
    broker.process.await_line("who the client is", |line| {
        line.contains("New client connected from 192.0.2.9:56324 as a") && line.contains("u'me'")
    });
    // Without a header, with another one, or without the name that is asked for.
    assert_eq!(connected(v1, b""), None);
    assert_eq!(connected(v2, line), None);
    let nameless = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &addresses[..]].concat();
    assert_eq!(connected(v2, &nameless), Some([0x20, 2, 0, 4]));
}

#[test]
fn messages_pass_over_secure_websocket() {
    let (broker, port, _) = start_with_tls(Kind::Wigwag, "protocol websockets\n");
    let pem = std::fs::read(broker.folder.path().join("ca.crt")).unwrap();
    our_client::block_on(async {
        let url = format!("wss://localhost:{port}/mqtt");
        let builder = our_client::builder(&url).tls(Tls::ca_pem(pem));
        let client = our_client::online(builder).await;
        let publish = Publish::new("a", "sealed").qos(Qos::AtLeastOnce);
        let outcome = our_client::within(client.publish(publish)).await.unwrap();
        assert_eq!(outcome, Outcome::Delivered);
        our_client::within(client.disconnect()).await;
    });
}

#[test]
fn a_slow_handshake_holds_up_nobody() {
    let (broker, port, _) = start_with_tls(Kind::Wigwag, "");
    // More than there are shards, each with the beginning of a handshake and no more.
    let stalled: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(&[0x16, 3, 1]).unwrap();
            stream
        })
        .collect();
    assert!(publishes(&over_tls(&broker.folder, port), "a"));
    drop(stalled);
}
