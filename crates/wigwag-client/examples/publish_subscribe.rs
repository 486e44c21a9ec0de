//! Subscribes, publishes ten messages, and waits until they have come back.
//!
//! `cargo run --example publish_subscribe -- mqtt://127.0.0.1:1883`

use std::time::Duration;

use tokio::sync::mpsc;
use wigwag_client::{Client, Message, Outcome, Publish, Qos};

const MESSAGES: usize = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("mqtt://127.0.0.1:1883");
    let client = Client::builder(address)
        .keep_alive(Duration::from_secs(30))
        .build()?;

    let (sender, mut received) = mpsc::unbounded_channel();
    let subscribing = client.subscribe(
        "wigwag/example/+",
        Qos::AtLeastOnce,
        move |message: Message| {
            println!("{}: {:?}", message.topic(), message.payload());
            // The receiver is gone once enough messages have come.
            let _ = sender.send(());
        },
    );

    client.start();
    client.await_connection().await?;
    let granted = subscribing.await?;
    println!("subscribed at {:?}", granted.qos);

    for number in 0..MESSAGES {
        let publish = Publish::new("wigwag/example/number", number.to_string());
        match client.publish(publish.qos(Qos::AtLeastOnce)).await? {
            Outcome::Delivered => {}
            outcome => println!("message {number}: {outcome:?}"),
        }
    }
    for _ in 0..MESSAGES {
        received.recv().await;
    }

    let report = client.disconnect().await;
    println!("clean end: {}", report.is_clean());
    Ok(())
}
