//! A publishing process that is killed again and again, against both brokers: what `enqueue()` has
//! returned for arrives, and QoS 2 arrives once.
//!
//! The process is this test binary itself, told by the environment to publish. `WIGWAG_KILLS` sets how
//! often it is killed. What such runs have counted is in docs/design/reliability.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wigwag_client::{Client, Message, Outcome, Publish, Qos, Store, SyncPolicy};

use crate::broker::{Broker, Kind};
use crate::our_client::{block_on, builder, online, within};
use crate::process::{BOUND, Process};

const ADDRESS: &str = "WIGWAG_KILL_TEST_ADDRESS";
const FOLDER: &str = "WIGWAG_KILL_TEST_FOLDER";
const LIFE: &str = "WIGWAG_KILL_TEST_LIFE";
/// The life in which nothing is published and everything is finished.
const LAST: &str = "last";
const KILLS: usize = 24;

const TOPIC: &str = "killed/publisher";
const KEPT: &str = "kept ";
const FINISHED: &str = "finished one";
const END: &[u8] = b"end";

against_both_brokers!(what_was_enqueued_arrives_however_often_the_publisher_is_killed);

fn qos(index: usize) -> Qos {
    if index.is_multiple_of(2) {
        Qos::AtLeastOnce
    } else {
        Qos::ExactlyOnce
    }
}

fn publisher(url: &str, folder: &Path, policy: SyncPolicy) -> Client {
    builder(url)
        .client_id("publisher")
        .session_expiry(Duration::from_secs(600))
        .store(Store::dir(folder).sync(policy))
        .build()
        .unwrap()
}

/// Not a test of its own: the child of the test below, which does nothing in an ordinary run.
#[test]
fn the_process_that_is_killed() {
    let (Ok(url), Some(folder)) = (std::env::var(ADDRESS), std::env::var_os(FOLDER)) else {
        return;
    };
    let life = std::env::var(LIFE).unwrap();
    block_on(live(&url, Path::new(&folder), &life));
}

async fn live(url: &str, folder: &Path, life: &str) {
    // What the disk is waited for makes no difference to a process that is killed.
    let policy = match life.parse::<usize>() {
        Ok(life) if life.is_multiple_of(2) => SyncPolicy::Each,
        _ => SyncPolicy::None,
    };
    let client = publisher(url, folder, policy);
    client.start();
    if life == LAST {
        for receipt in client.receipts() {
            let outcome = within(receipt.outcome()).await;
            assert_eq!(outcome, Ok(Outcome::Delivered), "{receipt:?}");
            println!("{FINISHED}");
        }
        assert!(within(client.disconnect()).await.is_clean());
        return;
    }
    for index in 0.. {
        let payload = format!("{life}/{index}");
        let publish = Publish::new(TOPIC, payload.clone()).qos(qos(index));
        client.enqueue(publish).await.unwrap();
        println!("{KEPT}{payload}");
    }
}

fn start(url: &str, folder: &TempDir, life: &str) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "kills::the_process_that_is_killed"])
        .arg("--nocapture")
        .env(ADDRESS, url)
        .env(FOLDER, folder.path())
        .env(LIFE, life);
    Process::start(&mut command)
}

fn what_was_enqueued_arrives_however_often_the_publisher_is_killed(kind: Kind) {
    let kills = std::env::var("WIGWAG_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let broker = Broker::start(kind);
    let url = broker.mqtt_url();
    block_on(async {
        let (sender, messages) = mpsc::channel();
        let subscriber = online(builder(&url).client_id("subscriber")).await;
        let subscribing = subscriber.subscribe(TOPIC, Qos::ExactlyOnce, move |message: Message| {
            // The test may have ended.
            let _ = sender.send(message.payload().to_vec());
        });
        within(subscribing).await.unwrap();

        let started = Instant::now();
        let kept = kill_publishers(&url, kills);
        let last = subscriber.publish(Publish::new(TOPIC, END).qos(Qos::ExactlyOnce));
        assert_eq!(within(last).await, Ok(Outcome::Delivered));
        let arrived = arrivals(&messages);

        let lost = kept.iter().filter(|own| !arrived.contains_key(*own));
        let lost: Vec<&String> = lost.collect();
        let more_than_once = |wanted: Qos| {
            let counts = arrived.iter().filter(|(_, count)| **count > 1);
            counts.filter(|(own, _)| qos(index(own)) == wanted).count()
        };
        let (repeated, doubled) = (
            more_than_once(Qos::AtLeastOnce),
            more_than_once(Qos::ExactlyOnce),
        );
        println!(
            "{kind:?}, {kills} kills in {:.0?}: {} enqueued, {} arrived, {} lost, {doubled} of QoS 2 doubled, \
             {repeated} of QoS 1 repeated",
            started.elapsed(),
            kept.len(),
            arrived.len(),
            lost.len(),
        );
        assert_eq!((lost, doubled), (Vec::new(), 0));
    });
}

/// All that the publishers of so many short lives and a last, peaceful one say was kept.
fn kill_publishers(url: &str, kills: usize) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = BTreeSet::new();
    for life in 0..kills {
        let mut publisher = start(url, &folder, &life.to_string());
        // Early, in the middle of the handshake, or with much in flight.
        let until = [1, 2, 3, 5, 8, 20, 60, 150][life % 8];
        for _ in 0..until {
            publisher.await_line("that it kept a message", |line| line.contains(KEPT));
        }
        publisher.signal("KILL");
        publisher.await_exit();
        let said = publisher.said();
        let lines = said.lines().filter_map(|line| line.split_once(KEPT));
        kept.extend(lines.map(|(_, payload)| payload.to_owned()));
    }
    let mut last = start(url, &folder, LAST);
    // How much there is to be finished depends on the machine: the bound is that of one message.
    while last.line_or_end(|line| line.contains(FINISHED)).is_some() {}
    let status = last.await_exit();
    assert!(status.success(), "{}", last.said());
    kept
}

/// How often each message has come before the last one.
fn arrivals(messages: &mpsc::Receiver<Vec<u8>>) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    loop {
        let payload = messages.recv_timeout(BOUND).unwrap();
        if payload == END {
            return arrived;
        }
        let payload = String::from_utf8(payload).unwrap();
        *arrived.entry(payload).or_default() += 1;
    }
}

fn index(payload: &str) -> usize {
    let (_, index) = payload.rsplit_once('/').unwrap();
    index.parse().unwrap()
}
