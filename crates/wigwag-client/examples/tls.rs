//! Connects over TLS, publishes one message, and says which check failed if one did.
//!
//! `cargo run --example tls --features tls -- mqtts://broker:8883 ca.pem [client.pem client.key]`
//!
//! Without a CA, the system's are trusted.

use std::error::Error;
use std::fs;

use wigwag_client::{Client, Publish, Qos, State, Tls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        [] => run("mqtts://localhost:8883", Tls::native_roots()).await,
        [address] => run(address, Tls::native_roots()).await,
        [address, ca] => run(address, Tls::ca_pem(fs::read(ca)?)).await,
        [address, ca, certificate, key, ..] => {
            let tls = Tls::ca_pem(fs::read(ca)?);
            let tls = tls.client_certificate_pem(fs::read(certificate)?, fs::read(key)?);
            run(address, tls).await
        }
        [_, _, _] => Err("a client certificate needs its key".into()),
    }
}

pub(crate) async fn run(address: &str, tls: Tls) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(address).tls(tls).build()?;
    let mut states = client.state();
    client.start();
    // A device would go on trying; an example tells the first result.
    let first = states.wait_for(|state| match state {
        State::Online { .. } => true,
        State::Offline { next, .. } => next.is_some(),
        State::Connecting { .. } => false,
    });
    if let State::Offline { reason, .. } = &*first.await? {
        return Err(reason.to_string().into());
    }
    let publish = Publish::new("wigwag/example/tls", "sealed").qos(Qos::AtLeastOnce);
    println!("{:?}", client.publish(publish).await?);
    println!("clean end: {}", client.disconnect().await.is_clean());
    Ok(())
}
