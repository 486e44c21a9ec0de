//! What tests of our client library share: a runtime, a bound on every wait, and clients that come back
//! at once.

use std::future::Future;
use std::time::Duration;

use wigwag_client::{Backoff, Builder, Client};

use crate::process::BOUND;

/// Runs an async test.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(test)
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(BOUND, future).await;
    ended.expect("this takes too long")
}

/// A client that reconnects at once.
pub(crate) fn builder(url: &str) -> Builder {
    let quick = Backoff::default()
        .first(Duration::from_millis(20))
        .max(Duration::from_millis(100));
    Client::builder(url).backoff(quick)
}

pub(crate) async fn online(builder: Builder) -> Client {
    let client = builder.build().unwrap();
    client.start();
    within(client.await_connection()).await.unwrap();
    client
}
