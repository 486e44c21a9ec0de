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
