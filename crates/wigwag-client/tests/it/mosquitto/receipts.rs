//! Receipts in a directory: they outlive the client that gave them.

use wigwag_client::{PublishError, ReceiptId, Store, SyncPolicy};

use super::*;

fn publisher(address: &str, folder: &std::path::Path) -> Client {
    builder(address)
        .client_id("publisher")
        .session_expiry(Duration::from_secs(600))
        .store(Store::dir(folder).sync(SyncPolicy::Each))
        .build()
        .expect("valid")
}

#[tokio::test]
async fn receipts_outlive_the_client_that_gave_them() {
    let mut broker = Mosquitto::start().await;
    let address = broker.tcp();
    let folder = tempfile::tempdir().expect("a folder");
    broker.kill().await;
    let client = publisher(&address, folder.path());
    client.start();
    let mut ids = Vec::new();
    for index in 0..3 {
        let publish = Publish::new("a", index.to_string()).qos(Qos::ExactlyOnce);
        let receipt = within(client.enqueue(publish)).await.expect("kept offline");
        assert_eq!(receipt.try_outcome(), None);
        ids.push(receipt.id());
    }
    let report = within(client.disconnect_within(Duration::ZERO)).await;
    assert_eq!(report.queued, 3);
    let receipt = client.receipt(ids[0]).expect("known");
    assert_eq!(within(receipt.outcome()).await, Err(PublishError::Stopped));
    drop(client);

    broker.restart().await;
    let client = publisher(&address, folder.path());
    let found: Vec<ReceiptId> = client
        .receipts()
        .iter()
        .map(wigwag_client::Receipt::id)
        .collect();
    assert_eq!(found, ids);
    client.start();
    for receipt in client.receipts() {
        assert_eq!(within(receipt.outcome()).await, Ok(Outcome::Delivered));
    }
    assert!(within(client.disconnect()).await.is_clean());
    drop(client);

    // The outcome is known without a connection, too.
    let client = publisher(&address, folder.path());
    let receipt = client.receipt(ids[2]).expect("known");
    assert_eq!(receipt.try_outcome(), Some(Ok(Outcome::Delivered)));
    let second = builder(&address).store(Store::dir(folder.path())).build();
    let error = second.expect_err("in use").to_string();
    assert!(error.contains("in use"), "{error}");
}
