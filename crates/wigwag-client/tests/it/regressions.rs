//! Faults that other clients have had, as tests on real sockets, and the check that the table of all of
//! them in `README.md` names tests that exist.

use std::fs;
use std::path::Path;
use std::time::Duration;

use wigwag_client::{Client, Event, Limits, Outcome, Publish, Qos, State, Version};

use crate::mosquitto::{Mosquitto, online};
use crate::{builder, collect, next, within};

/// The events so far: topics of messages that were skipped, and how often the connection ended.
fn skipped_and_ended(events: &mut tokio::sync::broadcast::Receiver<Event>) -> (Vec<String>, usize) {
    let (mut skipped, mut ended) = (Vec::new(), 0);
    while let Ok(event) = events.try_recv() {
        match event {
            Event::Oversized { topic, .. } => skipped.push(topic.to_string()),
            Event::State(State::Offline { .. }) => ended += 1,
            _ => {}
        }
    }
    (skipped, ended)
}

async fn publish(client: &Client, publish: Publish) {
    let outcome = within(client.publish(publish.qos(Qos::AtLeastOnce))).await;
    assert_eq!(outcome, Ok(Outcome::Delivered));
}

#[tokio::test]
async fn an_oversized_retained_message_does_not_end_the_connection() {
    let large = || Publish::new("a/large", vec![0; 100_000]);
    for version in [Version::V3_1_1, Version::V5] {
        let broker = Mosquitto::start().await;
        let publisher = online(builder(&broker.tcp())).await;
        publish(&publisher, large().retain()).await;
        let limits = Limits {
            packet_size_max: 10_000,
            ..Limits::default()
        };
        let client = builder(&broker.tcp())
            .version(version)
            .client_id("c")
            .clean_start(false)
            .session_expiry(Duration::from_secs(600))
            .limits(limits)
            .build()
            .expect("valid");
        let mut events = client.events();
        let (handler, mut messages) = collect();
        let subscribing = client.subscribe("a/#", Qos::AtLeastOnce, handler);
        client.start();
        within(subscribing).await.expect("granted");
        // A server of MQTT 5 has been told the limit and withholds what is larger.
        let skips =
            |count| vec!["a/large".to_owned(); if version == Version::V5 { 0 } else { count }];
        publish(&publisher, Publish::new("a/small", "1")).await;
        assert_eq!(next(&mut messages).await.payload(), "1");
        assert_eq!(skipped_and_ended(&mut events), (skips(1), 0), "{version}");

        // From the queue of the session, too: acknowledged, it does not come a second time.
        let mut states = client.state();
        for (round, count) in [("2", 1), ("3", 0)] {
            states.borrow_and_update();
            client.terminate_connection();
            if count == 1 {
                publish(&publisher, large()).await;
            }
            // It may be online again by the time this is seen.
            within(states.changed()).await.expect("it lives");
            within(client.await_connection()).await.expect("online");
            publish(&publisher, Publish::new("a/small", round)).await;
            assert_eq!(next(&mut messages).await.payload(), round);
            let expect = (skips(count), 1);
            assert_eq!(skipped_and_ended(&mut events), expect, "{version}");
        }
        within(client.disconnect()).await;
    }
}

#[cfg(all(target_os = "linux", feature = "store-fjall"))]
#[test]
fn a_folder_that_cannot_be_written_is_an_error_when_the_client_is_built() {
    // Nobody can, not even the system's administrator.
    let store = wigwag_client::Store::dir("/proc/wigwag");
    let error = builder("mqtt://127.0.0.1").store(store).build();
    let error = error.expect_err("read-only").to_string();
    assert!(error.contains("store"), "{error}");
}

/// All Rust files below a folder, one after the other.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).expect("readable"));
        }
    }
    text
}

#[test]
fn the_table_of_regressions_names_tests_that_exist() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&crate_folder.join("src")) + &sources(&crate_folder.join("tests"));
    let rows = include_str!("README.md")
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut cases = 0;
    for row in rows {
        cases += 1;
        for path in row.split('`').skip(1).step_by(2) {
            let name = path.rsplit("::").next().unwrap_or(path);
            let found = sources
                .match_indices(&format!("fn {name}("))
                .any(|(at, _)| {
                    let before = sources.get(..at).and_then(|text| text.rsplit('}').next());
                    before.is_some_and(|attributes| attributes.contains("test]"))
                });
            assert!(found, "{path} is no test");
        }
    }
    assert_eq!(cases, 17);
}
