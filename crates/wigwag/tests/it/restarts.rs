//! A broker that is killed and comes back without anything it knew, under load, against both brokers. One
//! that comes back with what it has saved is a test of `wigwag-client`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use wigwag_client::{
    Event, Indeterminate, Message, Outcome, Publish, Qos, SessionLossPolicy, State,
};

use crate::broker::{Broker, Kind};
use crate::our_client::{block_on, builder, online, within};

against_both_brokers!(broker_that_forgot_everything_is_subscribed_to_again_and_gets_all_of_qos_1);

const RESTARTS: usize = 5;

fn qos(number: usize) -> Qos {
    if number.is_multiple_of(2) {
        Qos::AtLeastOnce
    } else {
        Qos::ExactlyOnce
    }
}

fn broker_that_forgot_everything_is_subscribed_to_again_and_gets_all_of_qos_1(kind: Kind) {
    let mut broker = Broker::start(kind);
    let url = broker.mqtt_url();
    let persistent = |name: &str| {
        builder(&url)
            .client_id(name)
            .session_expiry(Duration::from_secs(600))
            .session_loss_policy(SessionLossPolicy::Republish)
    };
    block_on(async {
        let subscriber = online(persistent("subscriber")).await;
        let received = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let (marks, mut mark) = mpsc::unbounded_channel();
        let seen = received.clone();
        let subscribing = subscriber.subscribe("r/+", Qos::ExactlyOnce, move |message: Message| {
            let payload = String::from_utf8(message.payload().to_vec()).unwrap();
            if message.topic() == "r/mark" {
                // The test may have ended.
                let _ = marks.send(payload);
                return;
            }
            *seen.lock().unwrap().entry(payload).or_default() += 1;
        });
        within(subscribing).await.unwrap();
        let publisher = online(persistent("publisher")).await;
        let mut events = subscriber.events();

        let (mut sent, mut unknown) = (0, 0);
        for restart in 0..RESTARTS {
            let mut publishing = Vec::new();
            for index in 0..400 {
                let publish = Publish::new("r/x", sent.to_string()).qos(qos(sent));
                publishing.push((sent, publisher.publish(publish)));
                sent += 1;
                if index == 200 {
                    // With many in flight: the kill comes while they go out.
                    let restarting = tokio::task::spawn_blocking(move || broker.restart());
                    broker = within(restarting).await.unwrap();
                }
            }
            for (number, outcome) in publishing {
                match (within(outcome).await, qos(number)) {
                    (Ok(Outcome::Delivered), _) => {}
                    (Ok(Outcome::Indeterminate(Indeterminate::SessionLost)), Qos::ExactlyOnce) => {
                        unknown += 1;
                    }
                    other => panic!("{number}: {other:?}"),
                }
            }
            // Subscribed again without a word from the program. What the attempts meanwhile have told may be
            // more than the channel holds.
            let resubscribed = |event| matches!(event, Ok(Event::Subscribed { result: Ok(_), .. }));
            within(async { while !resubscribed(events.recv().await) {} }).await;
            let publish = Publish::new("r/mark", restart.to_string()).qos(Qos::AtLeastOnce);
            assert_eq!(
                within(publisher.publish(publish)).await,
                Ok(Outcome::Delivered)
            );
            assert_eq!(within(mark.recv()).await, Some(restart.to_string()));
            let forgotten = State::Online {
                session_present: false,
            };
            assert_eq!(*subscriber.state().borrow(), forgotten);
        }
        for client in [&publisher, &subscriber] {
            assert!(within(client.disconnect()).await.is_clean());
        }
        let received = received.lock().unwrap();
        let doubled = |(number, count): &(&String, &usize)| {
            **count > 1 && qos(number.parse().unwrap()) == Qos::ExactlyOnce
        };
        let doubled: Vec<_> = received.iter().filter(doubled).collect();
        println!(
            "{kind:?}, {RESTARTS} restarts: {sent} sent, {unknown} of QoS 2 with an unknown outcome, {} arrived",
            received.len()
        );
        assert_eq!(doubled, [], "QoS 2 came twice");
    });
}
