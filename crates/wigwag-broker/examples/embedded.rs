//! A broker inside a program of one's own: MQTT on port 1883, MQTT over WebSocket on port 9001.
//!
//! `cargo run -p wigwag-broker --example embedded -- 1883 9001`

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use wigwag_broker::{Broker, Listener};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = |index, default| {
        std::env::args()
            .nth(index)
            .map_or(Ok(default), |port| port.parse())
    };
    let addr = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let broker = Broker::builder()
        .listener(Listener::tcp(addr(port(1, 1883)?)))
        .listener(Listener::websocket(addr(port(2, 9001)?)))
        .start()?;
    for listener in broker.listeners() {
        println!("{listener}");
    }
    tokio::signal::ctrl_c().await?;
    broker.shutdown().await;
    Ok(())
}
