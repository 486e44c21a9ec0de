//! Publishes in three ways and says what became of each message.
//!
//! `cargo run --example publish -- mqtt://127.0.0.1:1883`

use std::error::Error;
use std::time::Duration;

use wigwag_client::{Client, Outcome, Publish, Qos};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    run(address.as_deref().unwrap_or("mqtt://127.0.0.1:1883")).await
}

pub(crate) async fn run(address: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(address).build()?;
    client.start();
    client.await_connection().await?;

    // One after the other: each is with the server before the next is sent.
    let reading = Publish::new("wigwag/example/temperature", "21.5")
        .qos(Qos::AtLeastOnce)
        .retain()
        .content_type("text/plain")
        .user_property("unit", "Celsius")
        .message_expiry(Duration::from_secs(60));
    match client.publish(reading).await? {
        Outcome::Delivered => println!("the server has it"),
        Outcome::Rejected(reason) => println!("the server does not want it: {reason}"),
        Outcome::Indeterminate(why) => println!("nobody knows: {why}"),
    }

    // Many at a time: the calls hand the messages over, the futures tell the outcomes.
    let publishing: Vec<_> = (0..100)
        .map(|number: u32| {
            let publish = Publish::new("wigwag/example/number", number.to_string());
            client.publish(publish.qos(Qos::ExactlyOnce))
        })
        .collect();
    let mut delivered = 0;
    for outcome in publishing {
        delivered += u32::from(outcome.await?.is_delivered());
    }
    println!("{delivered} of 100 delivered, exactly once");

    // Now or not at all, without an outcome.
    client.try_publish(Publish::new("wigwag/example/noise", "psst"))?;

    let report = client.disconnect().await;
    println!("clean end: {}", report.is_clean());
    Ok(())
}
