//! What a program sees of its client from outside: the numbers, the spans of the log, and when the next
//! attempt will be made.

use std::cell::RefCell;
use std::io;
use std::sync::Once;
use std::time::{Duration, Instant};

use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use wigwag_client::{Backoff, Client, Outcome, Publish, Qos, ReasonCode, Reject, State};

use crate::mosquitto::{Mosquitto, free_port, online};
use crate::server::Server;
use crate::{builder, wait_for_state, within};

thread_local! {
    /// What this thread has logged, if a test wants to know.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

struct ThreadLog;

impl io::Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.as_mut().map(|log| log.extend(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Collects what this thread logs from here on.
struct Log;

impl Log {
    /// One subscriber for all threads: what a thread without one sees first, `tracing` may take for
    /// something that nobody wants.
    fn collect() -> Log {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let is_wanted = dynamic_filter_fn(|_, _| LOG.with_borrow(Option::is_some));
            let layer = tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_writer(|| ThreadLog)
                .with_filter(is_wanted);
            tracing_subscriber::registry().with(layer).init();
        });
        LOG.set(Some(Vec::new()));
        Log
    }

    /// The first line with all of these words.
    fn line(&self, words: &[&str]) -> String {
        let bytes = LOG.with_borrow(|log| log.clone().unwrap_or_default());
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        let found = lines.find(|line| words.iter().all(|word| line.contains(word)));
        assert!(found.is_some(), "no line with {words:?} in\n{text}");
        found.unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn every_line_of_the_log_names_client_server_and_attempt() {
    let log = Log::collect();
    let server = Server::new().await;
    let client = builder(&server.address)
        .client_id("device-7")
        .build()
        .expect("valid");
    client.start();
    let mut first = server.accept_raw().await;
    // With nothing left to read, the end is no reset.
    first.next().await.expect("its CONNECT");
    drop(first);
    let mut connection = server.accept().await;
    within(client.await_connection()).await.expect("online");
    let (_, report) = tokio::join!(connection.serve(), within(client.disconnect()));
    assert!(report.is_clean());
    let address = server.address.as_str();
    let span = |attempt: u32| {
        format!("connection{{server={address} attempt={attempt} client_id=\"device-7\"}}")
    };
    log.line(&["WARN", &span(1), "the server closed the connection"]);
    log.line(&["INFO", &span(2), "online"]);
    log.line(&["INFO", &span(2), "stopped"]);
}

#[tokio::test]
async fn the_span_has_the_name_that_the_server_assigned() {
    let log = Log::collect();
    let broker = Mosquitto::start_with("").await;
    let client = online(builder(&broker.tcp())).await;
    within(client.disconnect()).await;
    let line = log.line(&["INFO", "online"]);
    assert!(line.contains("client_id=\"auto-"), "{line}");
}

#[tokio::test]
async fn the_metrics_count_what_has_happened() {
    let broker = Mosquitto::start_with("").await;
    let client = online(builder(&broker.tcp()).client_id("counting")).await;
    let before = client.metrics();
    assert_eq!((before.attempts, before.connections), (1, 1));
    let subscribing = client.subscribe("a", Qos::AtLeastOnce, |message: wigwag_client::Message| {
        if message.payload() == "bad" {
            return Err(Reject::new(ReasonCode::PayloadFormatInvalid));
        }
        Ok(())
    });
    within(subscribing).await.expect("granted");
    for payload in ["1", "2", "bad"] {
        let publish = Publish::new("a", payload).qos(Qos::AtLeastOnce);
        assert_eq!(
            within(client.publish(publish)).await,
            Ok(Outcome::Delivered)
        );
    }
    assert!(within(client.disconnect()).await.is_clean());
    let metrics = client.metrics();
    assert_eq!(metrics.published_delivered, 3);
    assert_eq!((metrics.received, metrics.received_rejected), (3, 1));
    assert_eq!(metrics.now_queued + metrics.now_in_flight, 0);
    assert_eq!(metrics.now_unhandled, 0);
    // Three messages of one topic: PUBLISH there, PUBLISH and PUBACK back.
    assert!(metrics.bytes_sent > before.bytes_sent && before.bytes_sent > 0);
    assert!(metrics.bytes_received > before.bytes_received && before.bytes_received > 0);
}

#[tokio::test]
async fn messages_that_wait_are_counted_while_they_wait() {
    let client = Client::builder(&format!("mqtt://127.0.0.1:{}", free_port()))
        .build()
        .expect("valid");
    client.start();
    let publishing = client.publish(Publish::new("a", "1").qos(Qos::AtLeastOnce));
    wait_for_state(&client, |state| matches!(state, State::Offline { .. })).await;
    within(async {
        while client.metrics().now_queued == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within(client.disconnect_within(Duration::ZERO)).await;
    assert!(within(publishing).await.is_err());
    assert_eq!(client.metrics().published_failed, 1);
}

#[tokio::test]
async fn the_state_tells_which_attempt_comes_next_and_when() {
    let hour = Duration::from_secs(3_600);
    let client = Client::builder(&format!("mqtt://127.0.0.1:{}", free_port()))
        .backoff(Backoff::default().first(hour).max(hour))
        .build()
        .expect("valid");
    let started = Instant::now();
    client.start();
    let state = wait_for_state(&client, |state| {
        matches!(state, State::Offline { next: Some(_), .. })
    })
    .await;
    let State::Offline {
        next: Some(next), ..
    } = state
    else {
        panic!("{state:?}");
    };
    assert_eq!(next.number, 2);
    assert!(next.delay <= hour);
    let (earliest, latest) = (started + next.delay, Instant::now() + next.delay);
    assert!((earliest..=latest).contains(&next.at));
    assert!(next.remaining() <= next.delay);
}
