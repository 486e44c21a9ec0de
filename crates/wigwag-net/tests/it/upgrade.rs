//! What a server answers to those who want a WebSocket, and to those who want something else.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wigwag_net::accept::{AcceptError, Rules, accept_websocket_by};

use crate::{FRAME_SIZE_MAX, REQUEST, accept_tcp, listener, within};

const MQTT: &str = "Sec-WebSocket-Protocol: mqtt\r\n";

/// The whole answer, and what became of the connection.
async fn ask(request: &str, rules: &Rules) -> (String, Result<(), AcceptError>) {
    let (listener, port) = listener();
    let client = async {
        let mut client = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("listening");
        client.write_all(request.as_bytes()).await.expect("open");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        answer
    };
    let server = async {
        let opened = accept_websocket_by(accept_tcp(&listener).await, rules).await;
        opened.map(drop)
    };
    within(async { tokio::join!(client, server) }).await
}

#[tokio::test]
async fn who_wants_no_websocket_is_told_in_http() {
    let rules = Rules::new(FRAME_SIZE_MAX);
    let wrong_version = REQUEST.replace("Version: 13", "Version: 12") + MQTT + "\r\n";
    for (request, status, words) in [
        (
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "426",
            "Upgrade: websocket\r\n",
        ),
        (
            wrong_version.as_str(),
            "426",
            "Sec-WebSocket-Version: 13\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
            "400",
            "no request",
        ),
        ("nonsense\r\n\r\n", "400", "no request"),
    ] {
        let (answer, outcome) = ask(request, &rules).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(words), "{answer}");
        assert!(
            matches!(outcome, Err(AcceptError::Handshake(_))),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused_before_it_ends() {
    let mut rules = Rules::new(FRAME_SIZE_MAX);
    rules.head_size_max = 2_000;
    let endless = format!("{REQUEST}X-Padding: {}", "x".repeat(4_000));
    let (answer, outcome) = ask(&endless, &rules).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(outcome.is_err());
    let short = format!("{REQUEST}{MQTT}X-Padding: {}\r\n\r\n", "x".repeat(1_000));
    let (answer, outcome) = ask(&short, &rules).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(outcome.is_ok());
}

#[tokio::test]
async fn pages_come_from_allowed_origins_only() {
    let mut rules = Rules::new(FRAME_SIZE_MAX);
    rules.origins = vec![
        "https://a.example".to_owned(),
        "https://b.example".to_owned(),
    ];
    for (origin, status) in [
        ("Origin: https://b.example\r\n", "101"),
        ("Origin: https://c.example\r\n", "403"),
        ("Origin: https://a.example.evil\r\n", "403"),
        ("", "403"),
    ] {
        let (answer, outcome) = ask(&format!("{REQUEST}{MQTT}{origin}\r\n"), &rules).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{origin}: {answer}"
        );
        assert_eq!(outcome.is_ok(), status == "101");
    }
}

/// A binary frame from a client, masked with zeros.
fn binary(len: u16) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    let mut frame = vec![0x82, 0x80 | 126, high, low, 0, 0, 0, 0];
    frame.resize(frame.len() + usize::from(len), 7);
    frame
}

/// How many bytes of the frames a server gets that lets the first message have a thousand, and how that ends.
async fn send(frames: &[Vec<u8>]) -> (usize, Option<String>) {
    let mut rules = Rules::new(FRAME_SIZE_MAX);
    rules.first_message_size_max = 1_000;
    let (listener, port) = listener();
    let client = async {
        let mut client = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("listening");
        let request = format!("{REQUEST}{MQTT}\r\n");
        client.write_all(request.as_bytes()).await.expect("open");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.expect("open"));
        }
        // The server may close the connection before it has read everything.
        for frame in frames {
            let _ = client.write_all(frame).await;
        }
        let _ = client.shutdown().await;
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
    };
    let server = async {
        let tcp = accept_tcp(&listener).await;
        let mut stream = accept_websocket_by(tcp, &rules).await.expect("granted");
        let (mut chunk, mut received) = (vec![0; 64 * 1024], 0);
        loop {
            match stream.read(&mut chunk).await {
                Ok(0) => return (received, None),
                Ok(count) => received += count,
                Err(error) => return (received, Some(error.to_string())),
            }
        }
    };
    within(async { tokio::join!(server, client) }).await.0
}

#[tokio::test]
async fn a_first_message_that_is_too_long_is_not_gathered() {
    let (received, end) = send(&[binary(30_000)]).await;
    assert_eq!(received, 0);
    assert!(end.is_some_and(|end| end.contains("first WebSocket message")));
    let (received, _) = send(&[binary(900), binary(60_000)]).await;
    assert_eq!(received, 60_900, "what follows may be as long as any");
}
