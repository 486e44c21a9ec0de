//! Proxies, Unix sockets and transports of the caller's own.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wigwag_net::dial::{DialError, Open, Opening, Options, Target, dial_with};
use wigwag_net::proxy::Proxy;
use wigwag_net::{Pump, Stream};

use crate::{FRAME_SIZE_MAX, accept_tcp, echo, listener, within};

fn options(proxy: &str) -> Options {
    let mut options = Options::default();
    options.proxy = Some(Proxy::parse(proxy).expect("valid"));
    options
}

/// Plays a proxy: for each step, reads exactly what is expected and answers. Then carries bytes to the
/// server behind it, if there is one.
async fn play(listener: &TcpListener, steps: Vec<(Vec<u8>, Vec<u8>)>, server_port: Option<u16>) {
    let mut client = accept_tcp(listener).await;
    for (expect, answer) in steps {
        let mut read = vec![0; expect.len()];
        client.read_exact(&mut read).await.expect("a request");
        assert_eq!(
            String::from_utf8_lossy(&read),
            String::from_utf8_lossy(&expect)
        );
        client.write_all(&answer).await.expect("open");
    }
    if let Some(port) = server_port {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("up");
        // How the connection ends is what the test looks at from outside.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

/// One dial through a proxy that plays `steps`; with a server behind it, bytes must pass.
async fn through(
    scheme: &str,
    credentials: &str,
    host: &str,
    steps: Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<(), DialError> {
    let (proxy_listener, proxy_port) = listener();
    let (server, server_port) = listener();
    let target = Target::parse(&format!("mqtt://{host}:1883")).expect("valid");
    let options = options(&format!("{scheme}://{credentials}127.0.0.1:{proxy_port}"));
    let proxy = tokio::spawn(async move {
        play(&proxy_listener, steps, Some(server_port)).await;
    });
    let ours = within(dial_with(&target, FRAME_SIZE_MAX, &options)).await?;
    let theirs = Stream::tcp(within(accept_tcp(&server)).await).expect("open");
    within(echo(Pump::new(ours), Pump::new(theirs))).await;
    proxy.await.expect("the proxy saw what it expected");
    Ok(())
}

fn http(authorization: &str, answer: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let request = format!(
        "CONNECT broker.example:1883 HTTP/1.1\r\nHost: broker.example:1883\r\n{authorization}\r\n"
    );
    vec![(request.into_bytes(), answer.as_bytes().to_vec())]
}

#[tokio::test]
async fn http_connect_opens_a_way() {
    let ok = "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n";
    within(through("http", "", "broker.example", http("", ok)))
        .await
        .expect("connected");
    let authorization = "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n";
    let steps = http(authorization, ok);
    within(through("http", "user:p%40ss@", "broker.example", steps))
        .await
        .expect("connected");
}

#[tokio::test]
async fn http_refusals_are_told() {
    for (answer, words) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        ("HTTP/1.1 503 Nope\r\n\r\n", "'HTTP/1.1 503 Nope'"),
        ("SSH-2.0-x 200\r\n\r\n", "'SSH-2.0-x 200'"),
    ] {
        let error = through("http", "u:secret@", "broker.example", {
            http("Proxy-Authorization: Basic dTpzZWNyZXQ=\r\n", answer)
        });
        let error = within(error).await.expect_err(words).to_string();
        assert!(
            error.contains(words) && !error.contains("secret"),
            "{error}"
        );
    }
}

fn socks5_name(name: &str) -> Vec<u8> {
    let len = u8::try_from(name.len()).expect("short");
    [&[5, 1, 0, 3, len], name.as_bytes(), &1883_u16.to_be_bytes()].concat()
}

#[tokio::test]
async fn socks5_opens_a_way_by_name_and_by_address() {
    let by_name = vec![
        (vec![5, 1, 0], vec![5, 0]),
        (
            socks5_name("broker.example"),
            vec![5, 0, 0, 1, 127, 0, 0, 1, 0, 9],
        ),
    ];
    through("socks5", "", "broker.example", by_name)
        .await
        .expect("connected");
    let by_address = vec![
        (vec![5, 1, 0], vec![5, 0]),
        (
            vec![5, 1, 0, 1, 192, 0, 2, 1, 7, 91],
            [&[5, 0, 0, 3, 4], &b"name"[..], &[0, 9]].concat(),
        ),
    ];
    through("socks5h", "", "192.0.2.1", by_address)
        .await
        .expect("connected");
    let with_password = vec![
        (vec![5, 2, 0, 2], vec![5, 2]),
        (b"\x01\x04user\x04p@ss".to_vec(), vec![1, 0]),
        (
            socks5_name("broker.example"),
            [&[5, 0, 0, 4], &[0; 18][..]].concat(),
        ),
    ];
    through("socks5", "user:p%40ss@", "broker.example", with_password)
        .await
        .expect("connected");
}

#[tokio::test]
async fn socks5_refusals_are_told() {
    let refused = |reply| {
        vec![
            (vec![5, 1, 0], vec![5, 0]),
            (
                socks5_name("broker.example"),
                vec![5, reply, 0, 1, 0, 0, 0, 0, 0, 0],
            ),
        ]
    };
    let check = async |credentials: &str, steps, words: &str| {
        let error = through("socks5", credentials, "broker.example", steps).await;
        let error = error.expect_err(words).to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    check("", refused(2), "rules do not allow").await;
    check("", refused(5), "the server refused the connection").await;
    let no = vec![(vec![5, 1, 0], vec![5, 0xFF])];
    check("", no, "wants a user name and a password").await;
    let wrong = vec![
        (vec![5, 2, 0, 2], vec![5, 2]),
        (b"\x01\x01u\x01p".to_vec(), vec![1, 1]),
    ];
    check("u:p@", wrong, "another user name or password").await;
    let http = vec![(vec![5, 1, 0], b"HT".to_vec())];
    check("", http, "does not speak SOCKS5").await;
}

#[cfg(unix)]
#[tokio::test]
async fn bytes_pass_both_ways_over_a_unix_socket() {
    use wigwag_net::accept::listen_unix;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mqtt.sock");
    // A process that ended without cleaning up.
    drop(listen_unix(&path).expect("free"));
    let listener = listen_unix(&path).expect("the old socket is replaced");
    let again = listen_unix(&path).expect_err("somebody listens");
    assert_eq!(again.kind(), std::io::ErrorKind::AddrInUse);
    // The check above has left a connection.
    let listener = tokio::net::UnixListener::from_std(listener).expect("non-blocking");
    within(listener.accept()).await.expect("the check");
    let target = Target::parse(&format!("unix://{}", path.display())).expect("valid");
    let options = Options::default();
    let (ours, theirs) = within(async {
        tokio::join!(
            dial_with(&target, FRAME_SIZE_MAX, &options),
            listener.accept()
        )
    })
    .await;
    let ours = ours.expect("connected");
    assert!(ours.peer_addr().is_err(), "there is no port");
    let theirs = Stream::Unix(theirs.expect("accepted").0);
    within(echo(Pump::new(ours), Pump::new(theirs))).await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_group_may_connect_to_a_unix_socket_and_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mqtt.sock");
    let _listener = wigwag_net::accept::listen_unix(&path).expect("free");
    let mode = path.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o770);
}

#[cfg(unix)]
#[test]
fn a_unix_socket_of_a_process_that_does_not_answer_is_in_use() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mqtt.sock");
    let unix = || socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
    let addr = socket2::SockAddr::unix(&path).expect("short");
    let stuck = unix().expect("a socket");
    stuck.bind(&addr).expect("free");
    stuck.listen(0).expect("bound");
    // Until its queue is full: whoever came now would wait.
    let mut waiting = Vec::new();
    loop {
        let client = unix().expect("a socket");
        client.set_nonblocking(true).expect("a socket");
        match client.connect(&addr) {
            Ok(()) => waiting.push(client),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    let error = wigwag_net::accept::listen_unix(&path).expect_err("somebody listens");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(path.exists());
}

/// A transport that needs no network.
struct Pipe(std::sync::Mutex<Option<tokio::io::DuplexStream>>);

impl Open for Pipe {
    fn open(&self, target: &Target) -> Opening {
        assert_eq!(target.host(), "anything");
        let taken = self.0.lock().expect("no panic").take();
        Box::pin(async move {
            let pipe = taken.ok_or(std::io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(pipe) as Box<dyn wigwag_net::Transport>)
        })
    }
}

#[tokio::test]
async fn a_transport_of_ones_own_carries_websocket_too() {
    let (ours, theirs) = tokio::io::duplex(1_000);
    let mut options = Options::default();
    options.open = Some(Arc::new(Pipe(std::sync::Mutex::new(Some(ours)))));
    options
        .websocket
        .header("X-Test", "1")
        .expect("a good header");
    let target = Target::parse("ws://anything/mqtt").expect("valid");
    let theirs = Stream::Custom(wigwag_net::Custom::new(Box::new(theirs)));
    let (ours, theirs) = within(async {
        tokio::join!(
            dial_with(&target, FRAME_SIZE_MAX, &options),
            wigwag_net::accept::accept_websocket(theirs, FRAME_SIZE_MAX)
        )
    })
    .await;
    let (ours, theirs) = (ours.expect("connected"), theirs.expect("accepted"));
    within(echo(Pump::new(ours), Pump::new(theirs))).await;
    let error = within(dial_with(&target, FRAME_SIZE_MAX, &options)).await;
    assert!(matches!(error, Err(DialError::Connect { .. })), "{error:?}");
}

#[tokio::test]
async fn websocket_requests_carry_headers_path_and_subprotocol() {
    let (listener, port) = listener();
    let mut options = Options::default();
    let websocket = &mut options.websocket;
    websocket
        .header("Authorization", "Bearer t")
        .expect("valid");
    websocket.subprotocol("mqttv3.1").expect("valid");
    for (name, value) in [
        ("Host", "x"),
        ("a b", "x"),
        ("X", "a\r\nb: c"),
        ("Sec-WebSocket-Key", ""),
    ] {
        assert!(websocket.header(name, value).is_err(), "{name}");
    }
    assert!(websocket.subprotocol("a,b").is_err());
    let target = Target::parse(&format!("ws://127.0.0.1:{port}/a/path?q=1")).expect("valid");
    let serve = async {
        let mut tcp = accept_tcp(&listener).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await.expect("a request"));
        }
        tcp.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            .await
            .expect("open");
        String::from_utf8(head).expect("ASCII")
    };
    let (error, head) =
        within(async { tokio::join!(dial_with(&target, FRAME_SIZE_MAX, &options), serve) }).await;
    assert!(
        matches!(error, Err(DialError::Status { status: 403, .. })),
        "{error:?}"
    );
    assert!(head.starts_with("GET /a/path?q=1 HTTP/1.1\r\n"), "{head}");
    let lower = head.to_lowercase();
    assert!(lower.contains("authorization: bearer t\r\n"), "{head}");
    assert!(
        lower.contains("sec-websocket-protocol: mqttv3.1\r\n"),
        "{head}"
    );
}
