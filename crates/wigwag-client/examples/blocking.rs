//! The client on threads: a handler, an iterator, a request and publishes, without an async runtime.
//!
//! `cargo run --example blocking --features blocking -- mqtt://127.0.0.1:1883`

use std::error::Error;
use std::thread;
use std::time::Duration;

use wigwag_client::blocking::Client;
use wigwag_client::{Message, Publish, Qos};

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    run(address.as_deref().unwrap_or("mqtt://127.0.0.1:1883"))
}

pub(crate) fn run(address: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(address)
        .client_id("wigwag-blocking")
        .build_blocking()?;

    // A handler has a thread of its own: it may publish and wait.
    let replies = client.clone();
    drop(client.subscribe(
        "wigwag/example/question",
        Qos::AtLeastOnce,
        move |question: Message| {
            let answer = Publish::new("wigwag/example/answer", question.payload().clone());
            let outcome = replies.publish(answer.qos(Qos::AtLeastOnce)).wait();
            println!("answered: {outcome:?}");
        },
    ));
    let answers = client.subscribe_iter("wigwag/example/answer", Qos::AtLeastOnce);

    client.start();
    client.await_connection(PATIENCE)?;
    let mut answers = answers.wait_for(PATIENCE)?;

    // Clones stand for the same client, on any thread.
    let asking = client.clone();
    let asker = thread::spawn(move || {
        for number in 0..3 {
            let question = Publish::new("wigwag/example/question", number.to_string());
            // Dropped, a pending publish goes on.
            drop(asking.publish(question.qos(Qos::AtLeastOnce)));
        }
    });
    for _ in 0..3 {
        let answer = answers.next_for(PATIENCE)?;
        println!("{:?}", answer.as_ref().map(Message::payload));
    }
    asker.join().map_err(|_| "the asker panicked")?;

    // Unsubscribes.
    drop(answers);
    let report = client.disconnect();
    println!("clean end: {}", report.is_clean());
    Ok(())
}
