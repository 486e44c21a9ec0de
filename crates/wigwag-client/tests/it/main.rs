//! The client on real sockets: against a scripted server for what a real one does not do on command,
//! and against the real Mosquitto.

mod authentication;
#[cfg(feature = "blocking")]
mod blocking;
mod dropped;
mod examples;
mod mosquitto;
mod queue;
mod receive;
mod regressions;
mod request;
#[cfg(feature = "scram")]
mod scramp;
mod scripted;
mod server;
mod telemetry;
mod way;
mod wire;

use std::future::Future;
use std::time::Duration;

use wigwag_client::{Backoff, Builder, Client, Message, State};

/// A bound on everything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("this takes too long")
}

/// A client that reconnects at once.
fn builder(address: &str) -> Builder {
    let quick = Backoff::default()
        .first(Duration::from_millis(20))
        .max(Duration::from_millis(100));
    Client::builder(address).backoff(quick)
}

/// A handler that hands the messages to the test.
fn collect() -> (
    impl Fn(Message) + Send + Sync + 'static,
    tokio::sync::mpsc::UnboundedReceiver<Message>,
) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |message| {
        // The test may have seen enough.
        let _ = sender.send(message);
    };
    (handler, receiver)
}

async fn next(messages: &mut tokio::sync::mpsc::UnboundedReceiver<Message>) -> Message {
    within(messages.recv()).await.expect("a message")
}

async fn wait_for_state(client: &Client, wanted: impl FnMut(&State) -> bool) -> State {
    let mut states = client.state();
    let state = within(states.wait_for(wanted)).await;
    state.expect("the client lives").clone()
}
