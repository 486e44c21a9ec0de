//! For those who come from Go: what a program does with `autopaho` and `paho`, done here.
//!
//! `cargo run --example autopaho_port -- mqtt://127.0.0.1:1883`, then
//! `mosquitto_pub -q 1 -t sensor/7/temperature -m '{"value":21.5}'`
//!
//! | in Go | here |
//! |---|---|
//! | `autopaho.ClientConfig` | [`Client::builder`] and its options; checked by `build`, before anything is dialled |
//! | `ServerUrls` | the address, and `Builder::server` for each further one |
//! | `ConnectUsername`, `ConnectPassword` | `Builder::credentials`; with an attempt's own token, `credentials_with` |
//! | `KeepAlive`, `SessionExpiryInterval` | `keep_alive`, `session_expiry` |
//! | `CleanStartOnInitialConnection` | `clean_start`; its default is `true` here |
//! | `ConnectRetryDelay`, `ReconnectBackoff` | [`Backoff`]: grows, draws lots, and starts anew only after a stable while |
//! | `NewConnection` | `build`, then `start`: a task owns the connection, nothing has to be polled |
//! | `ConnectionManager` | [`Client`], whose clones stand for the same connection |
//! | `AwaitConnection` | `await_connection`; a refusal for good is an error, not an endless wait |
//! | `OnConnectionUp`, to subscribe again | not needed: a subscription is desired state, made when the session lacks it |
//! | `OnConnectionUp`, to know | the state watch, or [`Event::State`]; `session_present` is in it |
//! | `OnConnectError`, `OnServerDisconnect`, `OnClientError` | `State::Offline`, with the reason and the next attempt |
//! | `StandardRouter`, `RegisterHandler` | [`Router`], whose patterns name what `+` and `#` stand for |
//! | a channel and a pool of goroutines behind the handler | `Router::workers`, `ordered_by` and `overflow`; handlers may wait |
//! | a full channel that drops | `Overflow::DropNewest`, counted and reported; or `Pause`, which holds the server back |
//! | `Publish` with a context | `publish(..).await`; `tokio::time::timeout` around it takes nothing back |
//! | `PublishViaQueue` with a file queue | `enqueue`, with `Store::dir`; the receipt tells the outcome, after a restart too |
//! | `PublishProperties.User` | `Publish::user_property` |
//! | `Disconnect` | `disconnect`, which finishes what is under way and reports what was left |
//! | a goroutine that subscribes to `$SYS` and parses numbers | `Client::watch_sys` |

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use serde::Deserialize;
use wigwag_client::extract::{Captures, Json};
use wigwag_client::sys::SysCount;
use wigwag_client::{
    Backoff, Client, Event, Order, Outcome, Overflow, Publish, Qos, Router, State,
};

/// More clients than this are worth a message to somebody.
const CLIENTS_EXPECTED: u64 = 1_000;

#[derive(Deserialize)]
struct Reading {
    value: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let stop = async {
        // Without the signal there is no polite end, but an end.
        let _ = tokio::signal::ctrl_c().await;
    };
    run(address.as_deref().unwrap_or("mqtt://127.0.0.1:1883"), stop).await
}

/// Gets what the pattern and the payload say. It may take its time: others run meanwhile.
async fn temperature(
    Captures(sensor): Captures<String>,
    Json(reading): Json<Reading>,
    out: Client,
) {
    println!("sensor {sensor}: {} degrees", reading.value);
    if reading.value > 40.0 {
        let alarm = Publish::new(format!("alarm/{sensor}"), "too hot").qos(Qos::AtLeastOnce);
        // Waiting in a handler is fine, for the acknowledgement of one's own message, too.
        println!("alarm: {:?}", out.publish(alarm).await);
    }
}

pub(crate) async fn run(
    address: &str,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(address)
        .client_id("wigwag-autopaho-port")
        .credentials("user", "password")
        .keep_alive(Duration::from_secs(30))
        .clean_start(false)
        .session_expiry(Duration::from_secs(60))
        .backoff(Backoff::default().first(Duration::from_secs(1)))
        .build()?;

    // Before the connection, so that a resumed session finds its handlers.
    let router = Router::new()
        .on("sensor/{id}/temperature", temperature)
        .workers(4)
        .ordered_by(Order::Topic)
        .overflow(Overflow::Pause);
    let mounting = client.mount(router, Qos::AtLeastOnce)?;
    let mut server = client.watch_sys();
    let mut events = client.events();

    client.start();
    client.await_connection().await?;
    mounting.await.all_granted()?;

    let reading = Publish::new("sensor/001/temperature", r#"{"value":25.5}"#)
        .qos(Qos::AtLeastOnce)
        .user_property("device-id", "sensor-001");
    match client.publish(reading).await? {
        Outcome::Delivered => println!("delivered"),
        outcome => println!("not delivered: {outcome:?}"),
    }

    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            event = events.recv() => match event {
                Ok(Event::State(State::Online { session_present })) => {
                    println!("online, with the session of before: {session_present}");
                }
                Ok(Event::State(State::Offline { reason, next })) => {
                    let wait = next.map(|next| next.remaining());
                    println!("offline: {reason}; the next attempt: {wait:?}");
                }
                // Other events, or too many of them at once.
                _ => {}
            },
            true = server.changed() => {
                let clients = server.snapshot().count(SysCount::ClientsConnected);
                if let Some(clients) = clients.filter(|clients| *clients > CLIENTS_EXPECTED) {
                    println!("{clients} clients: somebody should look");
                }
            }
        }
    }
    let report = client.disconnect().await;
    println!("clean end: {}", report.is_clean());
    Ok(())
}
