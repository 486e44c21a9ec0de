//! `wigwag dashboard` between a browser and brokers that browsers cannot reach: MQTT over its WebSockets, told apart by
//! number, and what it says when there is no way on.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use crate::broker::{Kind, Ports, free_port};
use crate::our_client::{block_on, builder, online, within};
use crate::process::{BOUND, Process};
use crate::tools;
use crate::up::http_get;
use crate::ways::{Authority, Ways, exchange};

against_both_brokers!(messages_pass_by_tcp_tls_and_unix_sockets);

/// A dashboard on a free port, and that port.
fn dashboard(args: &[&str]) -> (Process, u16) {
    let mut command = tools::wigwag();
    let process = Process::start(command.args(["dashboard", "--http-port", "0"]).args(args));
    let port = Ports::await_ready(&process).of("http://");
    (process, port)
}

fn messages_pass_by_tcp_tls_and_unix_sockets(kind: Kind) {
    let broker = Ways::start(kind);
    let [tcp, tls, ..] = broker.ports;
    let ca = broker.folder.path().join("servers.crt");
    fs::write(&ca, broker.servers.pem()).unwrap();
    let socket = broker.folder.path().join("mqtt.sock");
    let (_dashboard, port) = dashboard(&[
        "--broker",
        &format!("tcp=mqtt://localhost:{tcp}"),
        "--broker",
        &format!("tls=mqtts://localhost:{tls}"),
        "--broker",
        &format!("socket=unix://{}", socket.display()),
        "--cafile",
        &ca.display().to_string(),
    ]);
    let (_, config) = http_get(port, "/config.json");
    for (number, name) in ["tcp", "tls", "socket"].iter().enumerate() {
        let told = format!(
            r#""mqtt":{{"path":"mqtt/{}"}},"name":"{name}"}}"#,
            number + 1
        );
        assert!(config.contains(&told), "{config}");
    }
    block_on(async {
        for number in 1..=3 {
            let url = format!("ws://localhost:{port}/mqtt/{number}");
            let client = online(builder(&url)).await;
            exchange(&client).await;
            let report = within(client.disconnect()).await;
            assert!(report.is_clean(), "{url}: {report:?}");
        }
    });
}

/// What the server answers to a WebSocket's handshake, and the stream behind it.
fn shake_hands(port: u16, path: &str, origin: &str) -> (String, TcpStream) {
    shake_hands_with(&format!("localhost:{port}"), port, path, origin)
}

/// The same by a name of the server's.
fn shake_hands_with(host: &str, port: u16, path: &str, origin: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: mqtt\r\nOrigin: {origin}\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    (String::from_utf8(head).unwrap(), stream)
}

/// The code and the reason of the close frame that comes next.
fn farewell(stream: &mut TcpStream) -> (u16, String) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let [kind, len] = head;
    assert_eq!(kind, 0x88, "no close frame");
    let mut body = vec![0; usize::from(len)];
    stream.read_exact(&mut body).unwrap();
    let reason = String::from_utf8(body.split_off(2)).unwrap();
    (u16::from_be_bytes([body[0], body[1]]), reason)
}

#[test]
fn a_browser_hears_why_a_broker_cannot_be_reached() {
    let none = free_port();
    let (_dashboard, port) = dashboard(&["--broker", &format!("mqtt://localhost:{none}")]);
    let (head, mut stream) = shake_hands(port, "/mqtt/1", &format!("http://localhost:{port}"));
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let (code, reason) = farewell(&mut stream);
    assert_eq!(code, 1011);
    assert!(reason.contains("refused"), "{reason}");
}

#[test]
fn a_certificate_that_nobody_trusts_is_told_and_taken_only_when_insecure() {
    let broker = Ways::start(Kind::Wigwag);
    let foreign = broker.folder.path().join("foreign.crt");
    fs::write(&foreign, Authority::new("foreign").pem()).unwrap();
    let url = format!("mqtts://localhost:{}", broker.ports[1]);
    let (_strict, port) =
        dashboard(&["--broker", &url, "--cafile", &foreign.display().to_string()]);
    let (_, mut stream) = shake_hands(port, "/mqtt/1", &format!("http://localhost:{port}"));
    let (_, reason) = farewell(&mut stream);
    assert!(reason.contains("trusted"), "{reason}");
    let (_lax, port) = dashboard(&["--broker", &url, "--insecure"]);
    block_on(async {
        let client = online(builder(&format!("ws://localhost:{port}/mqtt/1"))).await;
        exchange(&client).await;
    });
}

#[test]
fn pages_of_others_and_unknown_numbers_open_nothing() {
    let none = free_port();
    let (_dashboard, port) = dashboard(&["--broker", &format!("mqtt://localhost:{none}")]);
    for origin in ["http://evil.example", "null", "http://localhost"] {
        let (head, _) = shake_hands(port, "/mqtt/1", origin);
        assert!(head.starts_with("HTTP/1.1 403"), "{origin}: {head}");
    }
    let ours = format!("http://localhost:{port}");
    for path in ["/mqtt/2", "/mqtt/0", "/mqtt/localhost:1883"] {
        let (head, _) = shake_hands(port, path, &ours);
        assert!(!head.starts_with("HTTP/1.1 101"), "{path}: {head}");
    }
}

#[test]
fn a_name_that_may_be_a_strangers_opens_nothing_unless_it_is_told() {
    let none = free_port();
    let broker = format!("mqtt://localhost:{none}");
    let (_dashboard, port) = dashboard(&["--broker", &broker]);
    let (_told, told) = dashboard(&["--broker", &broker, "--origin", "https://Lab.example"]);
    for (port, expect) in [(port, "HTTP/1.1 421"), (told, "HTTP/1.1 101")] {
        for origin in ["https://lab.example", "http://lab.example"] {
            let (head, _) = shake_hands_with("lab.example", port, "/mqtt/1", origin);
            assert!(head.starts_with(expect), "{origin}: {head}");
        }
    }
    let wrong = tools::wigwag()
        .args(["dashboard", "--origin", "lab.example"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("write http://NAME"), "{said}");
}

#[test]
fn text_frames_end_the_connection() {
    let broker = Ways::start(Kind::Wigwag);
    let url = format!("mqtt://localhost:{}", broker.ports[0]);
    let (_dashboard, port) = dashboard(&["--broker", &url]);
    let (_, mut stream) = shake_hands(port, "/mqtt/1", &format!("http://localhost:{port}"));
    // "hi", masked with zeros.
    stream
        .write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'])
        .unwrap();
    assert_eq!(farewell(&mut stream).0, 1003);
}

#[test]
fn a_command_line_that_cannot_work_is_refused_with_a_reason() {
    for (args, said) in [
        (
            &["--broker", "a=mqtt://x", "--broker", "a=mqtt://y"][..],
            "'a'",
        ),
        (&["--broker", "mqtt://u:p@x"], "the page asks"),
        (&["--broker", "http://x"], "mqtt, mqtts, ws, wss and unix"),
        (
            &["--broker", "mqtts://x", "--cafile", "/no/such"],
            "/no/such",
        ),
    ] {
        let output = tools::wigwag()
            .arg("dashboard")
            .args(args)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{args:?}");
        assert!(error.contains(said), "{args:?}: {error}");
    }
}
