//! Authenticates by SCRAM-SHA-256: the password never travels, and the server proves that it knows it too.
//! Then authenticates again over the same connection, and publishes a message.
//!
//! `cargo run --example scram --features scram -- mqtt://broker user password`
//!
//! The server has to know the Authentication Method SCRAM-SHA-256.

use std::error::Error;

use wigwag_client::{Client, OfflineReason, Publish, Qos, Scram, State};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, user_name, password] = arguments.as_slice() else {
        return Err("the address, the user name and the password are needed".into());
    };
    run(address, user_name, password).await
}

pub(crate) async fn run(
    address: &str,
    user_name: &str,
    password: &str,
) -> Result<(), Box<dyn Error>> {
    // What SASLprep does not allow in a name or a password is an error here already.
    let scram = Scram::sha256(user_name, password)?;
    let client = Client::builder(address).authenticator(scram).build()?;
    let mut states = client.state();
    client.start();
    // A device would go on trying; an example tells the first result. A server that cannot prove itself
    // shows here too.
    let first = states.wait_for(|state| match state {
        State::Online { .. } => true,
        State::Offline { reason, .. } => *reason != OfflineReason::NotStarted,
        State::Connecting { .. } => false,
    });
    if let State::Offline { reason, .. } = &*first.await? {
        return Err(reason.to_string().into());
    }
    client.reauthenticate().await?;
    let publish = Publish::new("wigwag/example/scram", "authenticated twice").qos(Qos::AtLeastOnce);
    println!("{:?}", client.publish(publish).await?);
    println!("clean end: {}", client.disconnect().await.is_clean());
    Ok(())
}
