//! Readings that are not lost: each is in a directory before the program goes on, and sent when there is
//! a connection, by this process or by the next. Kill it with `kill -9`, start it again and see.
//!
//! `cargo run --features store-fjall --example persistent_queue -- mqtt://127.0.0.1:1883 ./queue`

use std::error::Error;
use std::time::Duration;

use wigwag_client::{Client, Outcome, Publish, Qos, Store};

const READINGS: u32 = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let folder = arguments.next().unwrap_or_else(|| "queue".to_owned());
    run(
        address.as_deref().unwrap_or("mqtt://127.0.0.1:1883"),
        &folder,
    )
    .await
}

pub(crate) async fn run(address: &str, folder: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(address)
        .client_id("persistent-queue")
        // The server's half of the session: without it, QoS 2 cannot be kept over a restart.
        .session_expiry(Duration::from_secs(24 * 60 * 60))
        .store(Store::dir(folder))
        .build()?;
    let waiting = client
        .receipts()
        .into_iter()
        .filter(|receipt| receipt.try_outcome().is_none());
    println!("{} readings of earlier runs are waiting", waiting.count());
    client.start();

    for number in 1..=READINGS {
        let reading = Publish::new("wigwag/example/reading", number.to_string())
            .qos(Qos::ExactlyOnce)
            .message_expiry(Duration::from_secs(60 * 60));
        let receipt = client.enqueue(reading).await?;
        println!("reading {number} is safe, with receipt {}", receipt.id());
    }

    for receipt in client.receipts() {
        match receipt.outcome().await {
            Ok(Outcome::Delivered) => println!("{}: delivered", receipt.id()),
            Ok(Outcome::Rejected(reason)) => println!("{}: rejected: {reason}", receipt.id()),
            Ok(Outcome::Indeterminate(why)) => println!("{}: unknown: {why}", receipt.id()),
            Err(error) => println!("{}: not sent: {error}", receipt.id()),
        }
    }
    client.disconnect().await;
    Ok(())
}
