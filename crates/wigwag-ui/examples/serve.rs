//! Serves the web UI alone, for work on it: `cargo run -p wigwag-ui --example serve -- 127.0.0.1:3000 ws://127.0.0.1:9001`.

use std::env;
use std::io;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let broker = arguments
        .next()
        .unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());

    let listener = TcpListener::bind(&address).await?;
    println!("ready http://{}", listener.local_addr()?);
    let brokers = json!([{ "name": "broker", "mqtt": { "url": broker } }]);
    let config = json!({ "version": env!("CARGO_PKG_VERSION"), "brokers": brokers });
    let mut stop = signal(SignalKind::terminate())?;
    axum::serve(listener, wigwag_ui::router(config))
        .with_graceful_shutdown(async move {
            stop.recv().await;
        })
        .await
}
