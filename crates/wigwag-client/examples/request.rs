//! Asks twenty questions at once and answers them.
//!
//! `cargo run --example request -- mqtt://127.0.0.1:1883`

use std::error::Error;
use std::time::Duration;

use wigwag_client::{Client, ReasonCode, Reject};

async fn square(text: String) -> Result<String, Reject> {
    let number: u64 = text
        .parse()
        .map_err(|_| Reject::new(ReasonCode::PayloadFormatInvalid))?;
    Ok(number.saturating_mul(number).to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    run(address.as_deref().unwrap_or("mqtt://127.0.0.1:1883")).await
}

pub(crate) async fn run(address: &str) -> Result<(), Box<dyn Error>> {
    let server = Client::builder(address).build()?;
    let serving = server.serve("wigwag/example/square", square)?;
    server.start();
    server.await_connection().await?;
    serving.await.all_granted()?;

    let client = Client::builder(address).build()?;
    client.start();
    client.await_connection().await?;
    let questions: Vec<_> = (0..20_u64)
        .map(|number| {
            let request = client.request("wigwag/example/square", number.to_string());
            tokio::spawn(request.timeout(Duration::from_secs(10)).into_future())
        })
        .collect();
    for (number, question) in questions.into_iter().enumerate() {
        println!("{number} squared is {:?}", question.await??.payload());
    }
    client.disconnect().await;
    server.disconnect().await;
    Ok(())
}
