//! Receives messages in three ways: a router with captures, a shared subscription, and a stream.
//!
//! `cargo run --example subscribe -- mqtt://127.0.0.1:1883`, then for example
//! `mosquitto_pub -t device/7/temperature -m 21.5`

use std::error::Error;

use wigwag_client::extract::Captures;
use wigwag_client::{Client, Order, Qos, ReasonCode, Reject, Router, shared};

async fn temperature(Captures(device): Captures<u32>, text: String) -> Result<(), Reject> {
    let degrees: f64 = text.parse().map_err(|_| {
        let reject = Reject::new(ReasonCode::PayloadFormatInvalid);
        reject.text("a temperature is a number")
    })?;
    println!("device {device}: {degrees} degrees");
    Ok(())
}

async fn job(Captures(job): Captures<String>, text: String) {
    println!("job '{job}': {text}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    run(address.as_deref().unwrap_or("mqtt://127.0.0.1:1883")).await
}

/// Ends with a message to `alarm/stop`.
pub(crate) async fn run(address: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(address).build()?;

    let router = Router::new()
        .on("device/{id}/temperature", temperature)
        .on(shared("workers", "jobs/{*job}"), job)
        .ordered_by(Order::Topic);
    let mounting = client.mount(router, Qos::AtLeastOnce)?;
    let alarms = client.subscribe_stream("alarm/#", Qos::AtLeastOnce);

    client.start();
    client.await_connection().await?;
    for (filter, answer) in mounting.await.answers() {
        println!("{filter}: {answer:?}");
    }
    let mut alarms = alarms.await?;
    println!("publish to alarm/stop to end");
    while let Some(alarm) = alarms.next().await {
        println!("alarm: {} {:?}", alarm.topic(), alarm.payload());
        if alarm.topic() == "alarm/stop" {
            break;
        }
    }
    // Unsubscribes.
    drop(alarms);
    let report = client.disconnect().await;
    println!("clean end: {}", report.is_clean());
    Ok(())
}
