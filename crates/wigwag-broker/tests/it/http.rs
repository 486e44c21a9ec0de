//! Listeners with `protocol http_api`, which come in by the same doors as MQTT: TLS, PROXY protocol, Unix
//! sockets, reload. What there is to read is tested in `observation`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;
use wigwag_broker::conf::{self, Disk};
use wigwag_broker::{Broker, HttpListener, Listener, Transport};

use wigwag_net::Stream;
use wigwag_net::dial::{self, Options, Target};
use wigwag_net::tls::ClientTls;
use wigwag_proto::ReasonCode;
use wigwag_proto::packet::Qos;

use super::client::{Client, Login, Received};
use super::foreign::free_port;
use super::{ANY_PORT, addr, connect};

/// Sends a request and reads until the other end has closed.
async fn ask(stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    let request = format!("{request}\r\nHost: test\r\nConnection: close\r\n\r\n");
    exchange_over(stream, &request).await
}

/// The same with a request that is whole.
pub(crate) async fn exchange(addr: SocketAddr, request: &str) -> String {
    exchange_over(TcpStream::connect(addr).await.expect("it listens"), request).await
}

async fn exchange_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    // A server that does not say good-bye over TLS has said all it had to say.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

pub(crate) async fn ask_at(addr: SocketAddr, request: &str) -> String {
    ask(TcpStream::connect(addr).await.expect("it listens"), request).await
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

/// Starts a broker with a configuration in the folder, `DIR` standing for the folder.
fn start(folder: &TempDir, text: &str) -> Broker {
    Broker::builder()
        .config(&read(folder, text), &[])
        .start()
        .expect("started")
}

fn read(folder: &TempDir, text: &str) -> conf::Config {
    let text = text.replace("DIR", folder.path().to_str().expect("UTF-8"));
    let file = folder.path().join("mosquitto.conf");
    fs::write(&file, text).expect("writable");
    let reading = conf::read(&file, &Disk);
    reading
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .config
}

/// A CA of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Writes `ca.crt`.
    fn new(folder: &Path) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = CertifiedIssuer::self_signed(params, key).expect("a CA");
        fs::write(folder.join("ca.crt"), ca.pem()).expect("writable");
        Authority(ca)
    }

    /// Writes `NAME.crt` and `NAME.key`, valid until the beginning of a year.
    fn issue(&self, folder: &Path, name: &str, year: i32) -> (String, String) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        fs::write(folder.join(format!("{name}.crt")), &certificate).expect("writable");
        fs::write(folder.join(format!("{name}.key")), &key).expect("writable");
        (certificate, key)
    }
}

async fn ask_over_tls(tls: &ClientTls, port: u16, request: &str) -> Option<String> {
    let stream = dial_tls(tls, &format!("mqtts://127.0.0.1:{port}")).await?;
    Some(ask(stream, request).await).filter(|answer| !answer.is_empty())
}

async fn dial_tls(tls: &ClientTls, url: &str) -> Option<Stream> {
    let mut options = Options::default();
    options.tls = Some(tls.build().expect("valid"));
    let target = Target::parse(url).expect("valid");
    dial::dial_with(&target, 1_000_000, &options).await.ok()
}

#[tokio::test]
async fn mqtt_and_sessions_come_over_tls_as_well() {
    let folder = TempDir::new().expect("a folder");
    let ca = Authority::new(folder.path());
    ca.issue(folder.path(), "server", 2040);
    let (certificate, key) = ca.issue(folder.path(), "ann", 2040);
    let (port, strict) = (free_port(), free_port());
    fs::write(folder.path().join("acl"), "user ann\ntopic hers\n").expect("writable");
    let tls =
        "protocol http_api\ncafile DIR/ca.crt\ncertfile DIR/server.crt\nkeyfile DIR/server.key\n";
    let text = format!(
        "per_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous true\n{tls}\
         listener {strict} 127.0.0.1\nrequire_certificate true\nuse_identity_as_username true\nacl_file DIR/acl\n{tls}"
    );
    let broker = start(&folder, &text);
    let anybody = ClientTls::ca_pem(ca.0.pem());
    let ann = anybody.clone().client_certificate_pem(certificate, key);

    let stream = dial_tls(&anybody, &format!("mqtts://127.0.0.1:{port}")).await;
    let body = r#"{"userName":"joe","password":"any"}"#;
    let log_in = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: test:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange_over(stream.expect("trusted"), &log_in).await;
    let cookie = format!("set-cookie: wigwag-session-{port}=");
    assert!(answer.contains(&cookie), "{answer}");
    assert!(answer.contains("; SameSite=Strict; Secure\r\n"), "{answer}");

    let page = Login {
        client_id: "page",
        user_name: None,
        password: None,
    };
    let stream = dial_tls(&anybody, &format!("wss://127.0.0.1:{port}/mqtt")).await;
    let login = Client::try_connect_over(stream.expect("granted"), page).await;
    let mut client = login.expect("let in");
    client.subscribe("t", Qos::AtLeastOnce).await;
    let large = vec![7; 100_000];
    client.publish("t", &large, Qos::AtLeastOnce).await;
    assert_eq!(client.message().await.payload, large);

    let stream = dial_tls(&ann, &format!("wss://127.0.0.1:{strict}/mqtt")).await;
    let hers = Login {
        client_id: "hers",
        ..page
    };
    let login = Client::try_connect_over(stream.expect("granted"), hers).await;
    let mut certified = login.expect("the certificate names her");
    certified.publish("hers", b"", Qos::AtLeastOnce).await;
    certified.publish("his", b"", Qos::AtLeastOnce).await;
    certified.ping().await;
    let allowed = certified.reasons.iter().map(|reason| !reason.is_error());
    assert_eq!(allowed.collect::<Vec<_>>(), [true, false]);
    broker.shutdown().await;
    let bye = Received::Disconnect(ReasonCode::ServerShuttingDown);
    assert_eq!(client.next().await, bye);
}

#[tokio::test]
async fn a_certificate_is_shown_asked_for_and_renewed() {
    let folder = TempDir::new().expect("a folder");
    let ca = Authority::new(folder.path());
    ca.issue(folder.path(), "server", 2040);
    let (certificate, key) = ca.issue(folder.path(), "ann", 2040);
    let (port, strict) = (free_port(), free_port());
    let tls =
        "protocol http_api\ncafile DIR/ca.crt\ncertfile DIR/server.crt\nkeyfile DIR/server.key\n";
    let text = format!(
        "per_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous true\n{tls}\
         listener {strict} 127.0.0.1\nrequire_certificate true\nuse_identity_as_username true\n{tls}"
    );
    let mut broker = start(&folder, &text);
    let anybody = ClientTls::ca_pem(ca.0.pem());
    let ann = anybody.clone().client_certificate_pem(certificate, key);
    let version = "GET /api/v1/version HTTP/1.1";
    let answer = ask_over_tls(&anybody, port, version)
        .await
        .expect("an answer");
    assert!(answer.ends_with(env!("CARGO_PKG_VERSION")), "{answer}");
    let answer = ask_over_tls(&ann, strict, version)
        .await
        .expect("an answer");
    assert_eq!(status(&answer), "200", "the certificate names a user");
    assert_eq!(ask_over_tls(&anybody, strict, version).await, None);

    let end = async |tls: &ClientTls| {
        let metrics = ask_over_tls(tls, port, "GET /metrics HTTP/1.1").await;
        let name = format!(
            "wigwag_listener_cert_expiry_timestamp_seconds{{listener=\"127.0.0.1:{port}\"}} "
        );
        let metrics = metrics.expect("an answer");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.expect("the end").parse::<f64>().expect("a number")
    };
    let year_2040 = 2_208_988_800.0;
    assert!((end(&anybody).await - year_2040).abs() < 1.0);
    ca.issue(folder.path(), "server", 2041);
    let config = read(&folder, &text);
    broker.reload(&config).expect("usable");
    let leap_year = 366.0 * 86_400.0;
    assert!((end(&anybody).await - year_2040 - leap_year).abs() < 1.0);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_load_balancer_and_a_unix_socket_lead_there_too() {
    let folder = TempDir::new().expect("a folder");
    let port = free_port();
    let text = format!(
        "allow_anonymous true\nlistener {port} 127.0.0.1\nprotocol http_api\nenable_proxy_protocol 1\n\
         listener 0 DIR/api.sock\nprotocol http_api\n"
    );
    let broker = start(&folder, &text);
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let health = "GET /healthz HTTP/1.1";
    let with_header = format!("PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n{health}");
    assert_eq!(status(&ask_at(here, &with_header).await), "200");
    assert_eq!(ask_at(here, health).await, "", "no header, no answer");

    let socket = UnixStream::connect(folder.path().join("api.sock")).await;
    let metrics = ask(socket.expect("it listens"), "GET /metrics HTTP/1.1").await;
    let label = format!("listener=\"127.0.0.1:{port}\"");
    for expect in [
        format!("wigwag_connections_opened_total{{{label}}} 2\n"),
        format!("wigwag_connections_refused_total{{{label},reason=\"proxy_header\"}} 1\n"),
        format!(
            "wigwag_connections{{listener=\"{}/api.sock\",protocol=\"httpapi\",tls=\"false\"}} 1\n",
            folder.path().display()
        ),
    ] {
        assert!(metrics.contains(&expect), "{expect}: {metrics}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn what_a_listener_serves_changes_with_a_reload() {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in [("old", "before"), ("new", "after")] {
        fs::create_dir(folder.path().join(name)).expect("made");
        fs::write(folder.path().join(name).join("index.html"), text).expect("writable");
    }
    let port = free_port();
    let text = |dir: &str| {
        format!(
            "allow_anonymous true\nlistener {port} 127.0.0.1\nprotocol http_api\nhttp_dir DIR/{dir}\n"
        )
    };
    let mut broker = start(&folder, &text("old"));
    let here = broker.http_listeners()[0];
    let front = "GET / HTTP/1.1";
    assert!(ask_at(here, front).await.ends_with("before"));
    broker.reload(&read(&folder, &text("new"))).expect("usable");
    let answer = ask_at(here, front).await;
    assert!(answer.ends_with("after"), "{answer}");
    assert!(answer.contains("content-length: 5\r\n"), "{answer}");
    let nothing = "listener 0 DIR/mqtt.sock\nallow_anonymous true\n";
    broker.reload(&read(&folder, nothing)).expect("usable");
    assert!(TcpStream::connect(here).await.is_err(), "it is closed");
    broker.shutdown().await;
}

#[tokio::test]
async fn methods_and_headers_are_those_of_a_careful_server() {
    let broker = Broker::builder()
        .http(HttpListener::api(ANY_PORT, None))
        .start()
        .expect("port 0 is free");
    let here = broker.http_listeners()[0];
    for path in ["/metrics", "/healthz", "/api/v1/version", "/nothing"] {
        let head = ask_at(here, &format!("HEAD {path} HTTP/1.1")).await;
        assert!(head.ends_with("\r\n\r\n"), "a body: {head}");
        let expect = if path == "/nothing" { "404" } else { "200" };
        assert_eq!(status(&head), expect, "{path}");
        assert!(
            head.contains("x-content-type-options: nosniff\r\n"),
            "{head}"
        );
        let post = ask_at(here, &format!("POST {path} HTTP/1.1\r\nContent-Length: 0")).await;
        assert_eq!(status(&post), "405", "{path}");
        assert!(post.contains("allow: GET,HEAD\r\n"), "{post}");
    }
    let metrics = ask_at(here, "HEAD /metrics HTTP/1.1").await;
    let policy = "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n";
    assert!(metrics.contains(policy), "{metrics}");
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    assert_eq!(status(&ask_at(here, &long).await), "431");
    broker.shutdown().await;
}

#[tokio::test]
async fn a_guess_takes_its_time_and_a_question_does_not() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("passwords"), "").expect("writable");
    let port = free_port();
    let text =
        format!("listener {port} 127.0.0.1\nprotocol http_api\npassword_file DIR/passwords\n");
    let broker = start(&folder, &text);
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let request = "GET /metrics HTTP/1.1";
    // A busy machine may make one of them slow, but not all.
    let question = async {
        loop {
            let asked = Instant::now();
            let answer = ask_at(here, request).await;
            assert_eq!(status(&answer), "401");
            assert!(answer.contains("www-authenticate: Basic realm=\"Mosquitto API\"\r\n"));
            if asked.elapsed() < Duration::from_millis(500) {
                return;
            }
        }
    };
    let quick = timeout(Duration::from_secs(60), question).await;
    quick.expect("a question is answered at once");
    let guessed = Instant::now();
    let guess = format!("{request}\r\nAuthorization: Basic am9lOndyb25n");
    assert_eq!(status(&ask_at(here, &guess).await), "401");
    assert!(guessed.elapsed() > Duration::from_millis(900));
    broker.shutdown().await;
}

#[tokio::test]
async fn an_embedder_serves_the_same_beside_its_own() {
    let broker = Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .start()
        .expect("port 0 is free");
    let client = connect(&broker, "c").await;
    let socket = tokio::net::TcpListener::bind(ANY_PORT).await.expect("free");
    let here = socket.local_addr().expect("bound");
    let served = tokio::spawn(wigwag_broker::http::serve_router(
        socket,
        broker.http_router(),
    ));
    let metrics = ask_at(here, "GET /metrics HTTP/1.1").await;
    let port = addr(&broker, Transport::Tcp).port();
    let expect = format!(
        "wigwag_connections{{listener=\"127.0.0.1:{port}\",protocol=\"mqtt\",tls=\"false\"}} 1\n"
    );
    assert!(metrics.contains(&expect), "{metrics}");
    let version = ask_at(here, "GET /api/v1/version HTTP/1.1").await;
    assert!(
        !version.contains("access-control-allow-origin"),
        "{version}"
    );
    drop(client);
    served.abort();
    broker.shutdown().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_holds_its_connections_open_is_not_in_the_way_of_others() {
    let folder = TempDir::new().expect("a folder");
    let (api, metrics) = (free_port(), free_port());
    let text = format!(
        "listener {api} 127.0.0.1\nprotocol http_api\nallow_anonymous true\nmetrics_listener {metrics} 127.0.0.1\n"
    );
    let broker = start(&folder, &text);
    for port in [api, metrics] {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut slow = Vec::new();
        for _ in 0..200 {
            let mut stream = TcpStream::connect(here).await.expect("accepted");
            // One that is refused may be closed already.
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n").await;
            slow.push(stream);
        }
        // While they all come at once, one more may find the queue full.
        let answered = async {
            loop {
                let other = TcpSocket::new_v4().expect("a socket");
                let elsewhere = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0));
                other.bind(elsewhere).expect("of this machine");
                let other = other.connect(here).await.expect("it listens");
                if status(&ask(other, "GET /metrics HTTP/1.1").await) == "200" {
                    return;
                }
            }
        };
        // Sooner than the first of the slow ones is given up.
        let waited = timeout(Duration::from_secs(8), answered).await;
        waited.unwrap_or_else(|_| panic!("no answer at {port}"));
    }
    broker.shutdown().await;
}
