//! Our client and a broker that knows no MQTT 5.0: aedes, which speaks 3.1 and 3.1.1.

use std::sync::mpsc;
use std::time::Duration;

use wigwag_client::{Client, Message, OfflineReason, Outcome, Publish, Qos, ReasonCode, Version};

use crate::our_client::{block_on, builder, online, within};
use crate::process::{BOUND, Process};
use crate::tools;

/// Aedes and its address.
fn aedes() -> (Process, String) {
    let process = Process::start(&mut tools::node("aedes_broker.mjs"));
    let line = process.await_line("that it is ready", |line| line.starts_with("ready "));
    let url = line.trim_start_matches("ready ").to_owned();
    (process, url)
}

/// A message of each QoS goes to the broker and comes back.
async fn exchange(client: &Client) {
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let (sender, messages) = mpsc::channel();
        let subscribing = client.subscribe("a/+", qos, move |message: Message| {
            // The test may have ended.
            let _ = sender.send(message);
        });
        assert_eq!(within(subscribing).await.unwrap().qos, qos);
        let publish = Publish::new("a/b", vec![b'x'; 3_000]).qos(qos);
        assert_eq!(
            within(client.publish(publish)).await,
            Ok(Outcome::Delivered)
        );
        let message = tokio::task::spawn_blocking(move || messages.recv_timeout(BOUND));
        let message = message.await.unwrap().unwrap();
        assert_eq!((message.qos(), message.payload().len()), (qos, 3_000));
    }
}

#[test]
fn client_that_may_falls_back_to_mqtt_311_and_stays_there() {
    let (_broker, url) = aedes();
    block_on(async {
        let builder = builder(&url).client_id("c").fall_back_to_3_1_1();
        let client = online(builder).await;
        exchange(&client).await;
        // What only MQTT 5.0 can say is left out from here on; the next connection needs one attempt.
        let mut events = client.events();
        let mut states = client.state();
        states.borrow_and_update();
        client.terminate_connection();
        // It may be online again by the time this is seen.
        within(states.changed()).await.unwrap();
        within(client.await_connection()).await.unwrap();
        let mut refused = 0;
        while let Ok(event) = events.try_recv() {
            refused += usize::from(format!("{event:?}").contains("Refused"));
        }
        assert_eq!(refused, 0, "it asked for MQTT 5.0 again");
        exchange(&client).await;
        assert!(within(client.disconnect()).await.is_clean());
    });
}

#[test]
fn client_that_may_not_fall_back_says_what_is_wrong() {
    let (_broker, url) = aedes();
    block_on(async {
        let client = builder(&url).build().unwrap();
        client.start();
        let fatal = within(client.await_connection()).await.unwrap_err();
        let OfflineReason::Refused { reason, .. } = fatal.reason else {
            panic!("{fatal}");
        };
        assert_eq!(reason, ReasonCode::UnsupportedProtocolVersion);
    });
}

#[test]
fn session_of_mqtt_311_is_resumed_with_what_was_missed() {
    let (_broker, url) = aedes();
    block_on(async {
        for version in [Version::V3_1, Version::V3_1_1] {
            let sleeper = || {
                let persistent = builder(&url)
                    .version(version)
                    .client_id("sleeper")
                    .clean_start(false)
                    .session_expiry(Duration::from_secs(600));
                let (sender, messages) = mpsc::channel();
                let client = persistent.build().unwrap();
                let subscribing =
                    client.subscribe("b", Qos::AtLeastOnce, move |message: Message| {
                        // The test may have ended.
                        let _ = sender.send(message.payload().to_vec());
                    });
                client.start();
                (client, subscribing, messages)
            };
            let (client, subscribing, _) = sleeper();
            within(subscribing).await.unwrap();
            within(client.disconnect()).await;
            let other = online(builder(&url).version(version).client_id("other")).await;
            for payload in ["1", "2", "3"] {
                let publish = Publish::new("b", payload).qos(Qos::AtLeastOnce);
                assert_eq!(within(other.publish(publish)).await, Ok(Outcome::Delivered));
            }
            let (client, _, messages) = sleeper();
            for payload in ["1", "2", "3"] {
                let message = messages.recv_timeout(BOUND).unwrap();
                assert_eq!(message, payload.as_bytes(), "{version}");
            }
            within(client.disconnect()).await;
        }
    });
}
