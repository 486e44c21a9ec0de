//! The outgoing queue without a server: what happens at its bounds, and what dropped futures leave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wigwag_client::storage::{Batch, Entries, Error, Keyspace, Memory};
use wigwag_client::{Client, Event, Limits, Publish, PublishError, Qos, QueueOverflow, Store};

use crate::{builder, within};

/// Nobody listens there.
const NOWHERE: &str = "mqtt://127.0.0.1:1";

fn limits(queue_messages: usize) -> Limits {
    Limits {
        queue_messages,
        ..Limits::default()
    }
}

fn client(queue_messages: usize, overflow: QueueOverflow) -> Client {
    let builder = builder(NOWHERE)
        .limits(limits(queue_messages))
        .queue_overflow(overflow);
    let client = builder.build().expect("valid");
    client.start();
    client
}

fn message(payload: &'static str) -> Publish {
    Publish::new("a", payload).qos(Qos::AtLeastOnce)
}

#[tokio::test]
async fn a_full_queue_rejects_or_lets_the_oldest_give_way() {
    let rejecting = client(1, QueueOverflow::Reject);
    let first = within(rejecting.enqueue(message("1"))).await.expect("room");
    let second = within(rejecting.enqueue(message("2"))).await;
    assert_eq!(second.map(drop), Err(PublishError::Full));
    let second = within(rejecting.publish(message("2"))).await;
    assert_eq!(second, Err(PublishError::Full));
    assert_eq!(first.try_outcome(), None);

    let displacing = client(2, QueueOverflow::DropOldest);
    let mut receipts = Vec::new();
    for payload in ["1", "2", "3", "4"] {
        receipts.push(
            within(displacing.enqueue(message(payload)))
                .await
                .expect("room"),
        );
    }
    let outcomes: Vec<_> = receipts
        .iter()
        .map(wigwag_client::Receipt::try_outcome)
        .collect();
    let displaced = Some(Err(PublishError::Displaced));
    assert_eq!(outcomes, [displaced.clone(), displaced, None, None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_make_room_for_each_other_and_none_waits_for_ever() {
    let client = client(4, QueueOverflow::DropOldest);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..5_000 {
                    client.enqueue(message("")).await.expect("room");
                }
            })
        })
        .collect();
    for task in tasks {
        within(task).await.expect("no panic");
    }
}

#[tokio::test]
async fn a_receipt_needs_an_acknowledgement() {
    let client = client(1, QueueOverflow::Wait);
    let refused = within(client.enqueue(Publish::new("a", ""))).await;
    assert_eq!(refused.map(drop), Err(PublishError::ReceiptNeedsQos));
}

#[tokio::test]
async fn a_dropped_enqueue_that_had_room_is_kept_and_one_that_waited_is_withdrawn() {
    let client = client(1, QueueOverflow::Wait);
    drop(client.enqueue(message("1")));
    let mut waiting = Box::pin(client.enqueue(message("2")));
    let waited = tokio::time::timeout(Duration::from_millis(1), &mut waiting).await;
    assert!(waited.is_err(), "there is no room");
    drop(waiting);
    assert_eq!(client.receipts().len(), 1);
    let mut outcome = Box::pin(async { client.receipts()[0].outcome().await });
    let waited = tokio::time::timeout(Duration::from_millis(1), &mut outcome).await;
    assert!(waited.is_err(), "there is no server");
    drop(outcome);
    let receipt = client.receipts().remove(0);
    let report = within(client.disconnect_within(Duration::ZERO)).await;
    assert_eq!(report.queued, 1);
    assert_eq!(within(receipt.outcome()).await, Err(PublishError::Stopped));
}

/// A disk that can fail.
#[derive(Clone, Default)]
struct Disk {
    memory: Memory,
    /// What every commit fails with.
    failure: Arc<Mutex<Option<Error>>>,
}

impl wigwag_client::storage::Store for Disk {
    fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        match &*self.failure.lock().expect("not poisoned") {
            Some(error) => Err(error.clone()),
            None => self.memory.commit(batch),
        }
    }

    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn scan(&mut self, keyspace: Keyspace) -> Result<Entries, Error> {
        self.memory.scan(keyspace)
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_to_the_caller_and_the_next_message_is_kept() {
    check_failing_disk(Error::Full("no space left on device".to_owned())).await;
}

#[tokio::test]
async fn a_store_that_becomes_read_only_is_an_error_to_the_caller() {
    check_failing_disk(Error::Io("read-only file system".to_owned())).await;
}

/// Callers hear of the error, and all is well when it is over.
async fn check_failing_disk(failure: Error) {
    let disk = Disk::default();
    let open = || builder(NOWHERE).store(Store::custom(disk.clone())).build();
    let client = open().expect("valid");
    let mut events = client.events();
    client.start();
    *disk.failure.lock().expect("not poisoned") = Some(failure.clone());
    let refused = within(client.enqueue(message("1"))).await.map(drop);
    assert_eq!(refused, Err(PublishError::Store(failure.clone())));
    let refused = within(client.publish(message("1"))).await;
    assert_eq!(refused, Err(PublishError::Store(failure.clone())));
    let told = async {
        loop {
            if let Event::StoreFailed(error) = events.recv().await.expect("it lives") {
                return error;
            }
        }
    };
    assert_eq!(within(told).await, failure);
    *disk.failure.lock().expect("not poisoned") = None;
    let kept = within(client.enqueue(message("2"))).await.expect("room");
    within(client.disconnect_within(Duration::ZERO)).await;
    let later = open().expect("valid");
    assert!(later.receipt(kept.id()).is_some());
    assert_eq!(later.receipts().len(), 1);
}
