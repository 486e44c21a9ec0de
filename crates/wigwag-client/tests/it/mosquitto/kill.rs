//! A publishing process that is killed again and again: what `enqueue` has returned for arrives.
//!
//! The process is this test binary itself, told by the environment to publish. `WIGWAG_KILLS` sets how
//! often it is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::ChildStdout;
use wigwag_client::{PublishError, ReceiptId, Store, SyncPolicy};

use super::*;

const ADDRESS: &str = "WIGWAG_KILL_TEST_ADDRESS";
const FOLDER: &str = "WIGWAG_KILL_TEST_FOLDER";
const LIFE: &str = "WIGWAG_KILL_TEST_LIFE";
/// The life in which nothing is published and everything is finished.
const LAST: &str = "last";
const KILLS: usize = 24;

fn qos(index: usize) -> Qos {
    if index.is_multiple_of(2) {
        Qos::AtLeastOnce
    } else {
        Qos::ExactlyOnce
    }
}

fn publisher(address: &str, folder: &Path, policy: SyncPolicy) -> Client {
    builder(address)
        .client_id("publisher")
        .session_expiry(Duration::from_secs(600))
        .store(Store::dir(folder).sync(policy))
        .build()
        .expect("valid")
}

/// Not a test of its own: the child of the test below, which does nothing in an ordinary run.
#[tokio::test]
async fn the_process_that_is_killed() {
    let (Ok(address), Some(folder)) = (std::env::var(ADDRESS), std::env::var_os(FOLDER)) else {
        return;
    };
    let life = std::env::var(LIFE).expect("set with the others");
    // What the disk is waited for makes no difference to a process that is killed.
    let policy = match life.parse::<usize>() {
        Ok(life) if life.is_multiple_of(2) => SyncPolicy::Each,
        _ => SyncPolicy::None,
    };
    let client = publisher(&address, Path::new(&folder), policy);
    client.start();
    let mut out = std::io::stdout();
    if life == LAST {
        for receipt in client.receipts() {
            let outcome = within(receipt.outcome()).await;
            assert_eq!(outcome, Ok(Outcome::Delivered), "{receipt:?}");
        }
        assert!(within(client.disconnect()).await.is_clean());
        return;
    }
    for index in 0.. {
        let payload = format!("{life}/{index}");
        let publish = Publish::new("killed/publisher", payload.clone()).qos(qos(index));
        client.enqueue(publish).await.expect("kept");
        writeln!(out, "kept {payload}").expect("the parent reads");
    }
}

struct Publisher {
    process: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

fn start(address: &str, folder: &TempDir, life: &str) -> Publisher {
    let mut process = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "mosquitto::kill::the_process_that_is_killed"])
        .arg("--nocapture")
        .env(ADDRESS, address)
        .env(FOLDER, folder.path())
        .env(LIFE, life)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
    Publisher { process, lines }
}

impl Publisher {
    /// The next message that is kept; `None` after the last line.
    async fn kept(&mut self) -> Option<String> {
        while let Some(line) = within(self.lines.next_line()).await.expect("readable") {
            if let Some((_, payload)) = line.rsplit_once("kept ") {
                return Some(payload.to_owned());
            }
        }
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_enqueued_arrives_however_often_the_publisher_is_killed() {
    let kills = std::env::var("WIGWAG_KILLS").map_or(KILLS, |text| text.parse().expect("a number"));
    let broker = Mosquitto::start().await;
    let (handler, mut messages) = collect();
    let subscriber = online(builder(&broker.tcp()).client_id("subscriber")).await;
    within(subscriber.subscribe("killed/publisher", Qos::ExactlyOnce, handler))
        .await
        .expect("granted");

    let folder = tempfile::tempdir().expect("a folder");
    let mut kept = BTreeSet::new();
    for life in 0..kills {
        let mut publisher = start(&broker.tcp(), &folder, &life.to_string());
        // Early, in the middle of the handshake, or with much in flight.
        let until = [1, 2, 3, 5, 8, 20, 60, 150][life % 8];
        for _ in 0..until {
            kept.insert(publisher.kept().await.expect("it lives"));
        }
        publisher.process.start_kill().expect("running");
        while let Some(payload) = publisher.kept().await {
            kept.insert(payload);
        }
        within(publisher.process.wait()).await.expect("ended");
    }
    let mut last = start(&broker.tcp(), &folder, LAST);
    while last.kept().await.is_some() {}
    assert!(within(last.process.wait()).await.expect("ended").success());

    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    let last = Publish::new("killed/publisher", "end").qos(Qos::ExactlyOnce);
    let _ = within(subscriber.publish(last)).await.expect("sent");
    loop {
        let message = next(&mut messages).await;
        let payload = String::from_utf8_lossy(message.payload()).into_owned();
        if payload == "end" {
            break;
        }
        *arrived.entry(payload).or_default() += 1;
    }
    let lost: Vec<_> = kept
        .iter()
        .filter(|payload| !arrived.contains_key(*payload))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost: {lost:?}",
        lost.len(),
        kept.len()
    );
    let twice = |(payload, count): &(&String, &usize)| {
        let index = payload.rsplit_once('/').map(|(_, index)| index.parse());
        **count > 1 && index.is_some_and(|index| index.is_ok_and(|n| qos(n) == Qos::ExactlyOnce))
    };
    let doubled: Vec<_> = arrived.iter().filter(twice).collect();
    assert!(doubled.is_empty(), "QoS 2 came twice: {doubled:?}");
    let repeated = arrived.values().filter(|count| **count > 1).count();
    println!(
        "{kills} kills: {} enqueued, {} arrived, {repeated} of QoS 1 more than once",
        kept.len(),
        arrived.len()
    );
}

#[tokio::test]
async fn receipts_outlive_the_client_that_gave_them() {
    let mut broker = Mosquitto::start().await;
    let address = broker.tcp();
    let folder = tempfile::tempdir().expect("a folder");
    broker.kill().await;
    let client = publisher(&address, folder.path(), SyncPolicy::Each);
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
    let client = publisher(&address, folder.path(), SyncPolicy::Each);
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
    let client = publisher(&address, folder.path(), SyncPolicy::Each);
    let receipt = client.receipt(ids[2]).expect("known");
    assert_eq!(receipt.try_outcome(), Some(Ok(Outcome::Delivered)));
    let second = builder(&address).store(Store::dir(folder.path())).build();
    let error = second.expect_err("in use").to_string();
    assert!(error.contains("in use"), "{error}");
}
