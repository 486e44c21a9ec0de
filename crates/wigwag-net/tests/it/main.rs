//! Real sockets on the loopback interface: what dial, accept and the pump do to each other, and what
//! they do to a peer that speaks raw HTTP and raw frames.

mod proxy;
mod tls;
mod upgrade;

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use wigwag_net::accept::{self, AcceptError, accept_websocket};
use wigwag_net::dial::{DialError, Options, Target, TcpKeepAlive, TcpOptions, dial, dial_with};
use wigwag_net::{Pump, Stream};
use wigwag_proto::OutBuf;

const FRAME_SIZE_MAX: usize = 1024 * 1024;
const REQUEST: &str = "GET /any/path HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A bound on every test: nothing here takes time.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("the test hangs")
}

fn listener() -> (TcpListener, u16) {
    let listener = accept::listen("127.0.0.1:0".parse().expect("valid")).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    (TcpListener::from_std(listener).expect("non-blocking"), port)
}

async fn accept_tcp(listener: &TcpListener) -> TcpStream {
    listener.accept().await.expect("a connection").0
}

async fn receive(pump: &mut Pump, consume: &mut dyn FnMut(&[u8]) -> usize) -> io::Result<bool> {
    let mut scratch = vec![0; 64 * 1024];
    poll_fn(|cx| pump.poll_receive(cx, &mut scratch, consume)).await
}

/// Receives until `len` bytes are there.
async fn receive_len(pump: &mut Pump, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let open = receive(pump, &mut |bytes| {
            all.extend_from_slice(bytes);
            bytes.len()
        })
        .await
        .expect("readable");
        assert!(open, "closed after {} of {len} bytes", all.len());
    }
    all
}

async fn transmit(pump: &mut Pump, bytes: &[u8]) {
    let mut out = OutBuf::new();
    out.share(&bytes::Bytes::copy_from_slice(bytes));
    poll_fn(|cx| pump.poll_transmit(cx, &mut out))
        .await
        .expect("written");
}

/// A frame from a client, masked with zeros.
fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("short");
    assert!(len < 126);
    [&[first_byte, 0x80 | len, 0, 0, 0, 0], payload].concat()
}

/// A WebSocket whose client side is a raw socket.
async fn raw_client() -> (TcpStream, Pump) {
    let (listener, port) = listener();
    let mut client = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("listening");
    let request = format!("{REQUEST}Sec-WebSocket-Protocol: mqtt\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("open");
    let stream = accept_websocket(accept_tcp(&listener).await, FRAME_SIZE_MAX)
        .await
        .expect("handshake");
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(client.read_u8().await.expect("open"));
    }
    let response = String::from_utf8(response).expect("ASCII").to_lowercase();
    assert!(
        response.starts_with("http/1.1 101 ")
            && response.contains("sec-websocket-protocol: mqtt\r\n")
            && !response.contains("sec-websocket-extensions"),
        "{response}"
    );
    (client, Pump::new(stream))
}

async fn echo(mut ours: Pump, mut theirs: Pump) {
    for len in [1, 100, 70_000, 3_000_000] {
        let sent: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
        let (_, received) = tokio::join!(transmit(&mut ours, &sent), receive_len(&mut theirs, len));
        assert!(received == sent, "{len} bytes arrive as they were sent");
        let (_, received) = tokio::join!(transmit(&mut theirs, &sent), receive_len(&mut ours, len));
        assert!(received == sent, "{len} bytes come back as they were sent");
    }
    poll_fn(|cx| ours.poll_close(cx)).await.expect("closed");
    assert!(
        !receive(&mut theirs, &mut <[u8]>::len).await.expect("read"),
        "the end is seen"
    );
}

#[tokio::test]
async fn bytes_pass_both_ways_over_tcp() {
    within(async {
        let (listener, port) = listener();
        let target = Target::parse(&format!("mqtt://127.0.0.1:{port}")).expect("valid");
        let (ours, theirs) = tokio::join!(dial(&target, FRAME_SIZE_MAX), accept_tcp(&listener));
        let ours = ours.expect("connected");
        assert_eq!(ours.peer_addr().expect("connected").port(), port);
        let theirs = Stream::tcp(theirs).expect("open");
        echo(Pump::new(ours), Pump::new(theirs)).await;
    })
    .await;
}

#[tokio::test]
async fn bytes_pass_both_ways_over_websocket() {
    within(async {
        let (listener, port) = listener();
        let target = Target::parse(&format!("ws://127.0.0.1:{port}/mqtt")).expect("valid");
        let (ours, theirs) = tokio::join!(dial(&target, FRAME_SIZE_MAX), async {
            accept_websocket(accept_tcp(&listener).await, FRAME_SIZE_MAX).await
        });
        let ours = ours.expect("connected");
        assert_eq!(ours.peer_addr().expect("connected").port(), port);
        echo(Pump::new(ours), Pump::new(theirs.expect("handshake"))).await;
    })
    .await;
}

#[tokio::test]
async fn packets_need_not_align_with_frames() {
    within(async {
        let (mut client, mut pump) = raw_client().await;
        // One message in three fragments with a ping between, byte by byte, then two frames at once.
        let wire = [
            frame(0x02, b"ab"),
            frame(0x89, b"hello"),
            frame(0x00, b""),
            frame(0x80, b"c"),
            frame(0x82, b""),
            frame(0x82, b"de"),
            frame(0x82, b"f"),
        ]
        .concat();
        let (received, _) = tokio::join!(receive_len(&mut pump, 6), async {
            for byte in wire {
                client.write_all(&[byte]).await.expect("open");
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(received, b"abcdef");
        let mut pong = [0; 7];
        client.read_exact(&mut pong).await.expect("open");
        assert_eq!(&pong, b"\x8a\x05hello");
    })
    .await;
}

#[tokio::test]
async fn a_text_frame_ends_the_connection() {
    within(async {
        let (mut client, mut pump) = raw_client().await;
        client.write_all(&frame(0x81, b"text")).await.expect("open");
        let error = receive(&mut pump, &mut <[u8]>::len)
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut close = [0; 4];
        client.read_exact(&mut close).await.expect("close frame");
        assert_eq!((close[0], &close[2..]), (0x88, &1003_u16.to_be_bytes()[..]));
    })
    .await;
}

#[tokio::test]
async fn a_frame_above_the_limit_ends_the_connection() {
    within(async {
        let (mut client, mut pump) = raw_client().await;
        let announced = [&[0x82, 0xFF], &(1_u64 << 40).to_be_bytes()[..], &[0; 4]].concat();
        client.write_all(&announced).await.expect("open");
        let error = receive(&mut pump, &mut <[u8]>::len)
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    })
    .await;
}

#[tokio::test]
async fn the_answer_to_a_close_frame_is_a_close_frame() {
    within(async {
        let (mut client, mut pump) = raw_client().await;
        client.write_all(&frame(0x88, b"")).await.expect("open");
        assert!(!receive(&mut pump, &mut <[u8]>::len).await.expect("read"));
        let mut close = [0; 2];
        client.read_exact(&mut close).await.expect("close frame");
        assert_eq!(close, [0x88, 0]);
    })
    .await;
}

#[tokio::test]
async fn other_subprotocols_are_answered_with_400() {
    for header in ["", "Sec-WebSocket-Protocol: amqp, mqtt-sn\r\n"] {
        within(async {
            let (listener, port) = listener();
            let mut client = TcpStream::connect(("127.0.0.1", port))
                .await
                .expect("listening");
            let request = format!("{REQUEST}{header}\r\n");
            client.write_all(request.as_bytes()).await.expect("open");
            let refused = accept_websocket(accept_tcp(&listener).await, FRAME_SIZE_MAX).await;
            assert!(
                matches!(refused, Err(AcceptError::Subprotocol)),
                "{refused:?}"
            );
            let mut response = String::new();
            client
                .read_to_string(&mut response)
                .await
                .expect("an answer");
            assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
            assert!(response.contains("'mqtt'"), "{response}");
        })
        .await;
    }
}

#[tokio::test]
async fn the_subprotocol_of_old_clients_is_accepted() {
    within(async {
        let (listener, port) = listener();
        let mut client = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("listening");
        let request = format!("{REQUEST}Sec-WebSocket-Protocol: x, mqttv3.1\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("open");
        accept_websocket(accept_tcp(&listener).await, FRAME_SIZE_MAX)
            .await
            .expect("handshake");
        let mut response = String::new();
        client
            .read_to_string(&mut response)
            .await
            .expect("an answer");
        assert!(
            response
                .to_lowercase()
                .contains("sec-websocket-protocol: mqttv3.1\r\n"),
            "{response}"
        );
    })
    .await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_no_handshake() {
    within(async {
        let (listener, port) = listener();
        let mut client = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("listening");
        client
            .write_all(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a\r\n\r\n")
            .await
            .expect("open");
        let refused = accept_websocket(accept_tcp(&listener).await, FRAME_SIZE_MAX).await;
        assert!(
            matches!(refused, Err(AcceptError::Handshake(_))),
            "{refused:?}"
        );
    })
    .await;
}

/// Dials a WebSocket server that gives one fixed answer.
async fn dial_with_answer(answer: &'static str) -> DialError {
    let (listener, port) = listener();
    let target = Target::parse(&format!("ws://127.0.0.1:{port}")).expect("valid");
    let (result, _) = tokio::join!(dial(&target, FRAME_SIZE_MAX), async {
        let mut server = accept_tcp(&listener).await;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(server.read_u8().await.expect("open"));
        }
        server.write_all(answer.as_bytes()).await.expect("open");
    });
    result.expect_err("refused")
}

#[tokio::test]
async fn a_dial_says_why_it_failed() {
    within(async {
        // Taken, so that nobody else listens there.
        let silent = TcpSocket::new_v4().expect("a socket");
        silent
            .bind("127.0.0.1:0".parse().expect("valid"))
            .expect("a free port");
        let port = silent.local_addr().expect("bound").port();
        let target = Target::parse(&format!("mqtt://127.0.0.1:{port}")).expect("valid");
        let error = dial(&target, FRAME_SIZE_MAX).await.expect_err("refused");
        assert!(
            matches!(&error, DialError::Connect { source, .. }
                if source.kind() == io::ErrorKind::ConnectionRefused),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("cannot connect to mqtt://127.0.0.1:{port}")
        );

        let error = dial_with_answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        assert!(matches!(error, DialError::Status { status: 404, .. }));
        let error = dial_with_answer("what?\r\n\r\n").await;
        assert!(matches!(error, DialError::Handshake { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_port_in_use_is_reported_as_such() {
    let (_listener, port) = listener();
    let error = accept::listen(([127, 0, 0, 1], port).into()).expect_err("in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_connection_comes_from_the_address_that_it_is_to_come_from() {
    let (listener, port) = listener();
    let mut options = Options::default();
    options.tcp = TcpOptions::default()
        .bind("127.0.0.2".parse().expect("valid"))
        .keep_alive(TcpKeepAlive {
            idle: Duration::from_secs(7),
            interval: Duration::from_secs(3),
            probes: 2,
        })
        .user_timeout(Duration::from_secs(9));
    let target = Target::parse(&format!("mqtt://127.0.0.1:{port}")).expect("valid");
    let dialled = within(dial_with(&target, FRAME_SIZE_MAX, &options)).await;
    let from = dialled.expect("connected").local_addr().expect("TCP");
    assert_eq!(from.ip().to_string(), "127.0.0.2");
    assert_eq!(accept_tcp(&listener).await.peer_addr().ok(), Some(from));

    let target = Target::parse(&format!("mqtt://[::1]:{port}")).expect("valid");
    let error = within(dial_with(&target, FRAME_SIZE_MAX, &options)).await;
    assert!(
        matches!(error, Err(DialError::Connect { .. })),
        "the other family"
    );
}
