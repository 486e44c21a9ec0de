//! Two of our clients with the same name, against both brokers: each takes the other's session over.

use std::time::{Duration, Instant};

use wigwag_client::{
    Backoff, Client, Event, OfflineReason, Outcome, Publish, Qos, ReasonCode, State, TakeOverPolicy,
};

use crate::broker::{Broker, Kind};
use crate::our_client::{block_on, online, within};
use crate::process::BOUND;

against_both_brokers!(two_clients_of_one_name_fight_with_growing_pauses);

/// How long they fight at least.
const FIGHT: Duration = Duration::from_secs(3);

fn client(url: &str) -> wigwag_client::Builder {
    let backoff = Backoff::default()
        .first(Duration::from_millis(100))
        .max(Duration::from_secs(2));
    Client::builder(url)
        .client_id("same")
        .session_expiry(Duration::from_secs(600))
        .backoff(backoff)
}

fn two_clients_of_one_name_fight_with_growing_pauses(kind: Kind) {
    let broker = Broker::start(kind);
    block_on(async {
        let first = online(client(&broker.mqtt_url())).await;
        let mut events = first.events();
        let second = online(client(&broker.mqtt_url())).await;
        let began = Instant::now();
        let (mut publishing, mut dialled) = (Vec::new(), 0);
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        // Who fights comes back at least twice, however long that takes here.
        while began.elapsed() < FIGHT || dialled < 2 {
            assert!(began.elapsed() < BOUND, "{dialled} attempts in {BOUND:?}");
            pace.tick().await;
            for client in [&first, &second] {
                publishing.push(client.publish(Publish::new("a", "").qos(Qos::AtLeastOnce)));
            }
            while let Ok(event) = events.try_recv() {
                dialled += usize::from(matches!(event, Event::Dialling { .. }));
            }
        }
        let fought = began.elapsed();
        // Without a pause it would be hundreds.
        assert!(dialled <= 30, "{dialled} attempts in {fought:?}");

        // The loser of the last round comes back when the other one leaves. Both have the same session:
        // what it knew of one client's messages is gone or is the other's.
        within(second.disconnect()).await;
        within(first.await_connection()).await.unwrap();
        let sent = publishing.len();
        let mut unknown = 0;
        for outcome in publishing {
            match within(outcome).await.unwrap() {
                Outcome::Delivered => {}
                Outcome::Indeterminate(_) => unknown += 1,
                Outcome::Rejected(reason) => panic!("rejected: {reason}"),
            }
        }
        println!("{kind:?}: {dialled} attempts of one, {unknown} of {sent} outcomes unknown");
        let publish = Publish::new("a", "").qos(Qos::ExactlyOnce);
        assert_eq!(within(first.publish(publish)).await, Ok(Outcome::Delivered));
        assert!(within(first.disconnect()).await.is_clean());
    });
}

/// Mosquitto 2.0.11 does not say why it closes the connection.
#[test]
fn client_that_is_told_so_gives_up_when_it_is_taken_over() {
    let broker = Broker::start(Kind::Wigwag);
    block_on(async {
        let yields = client(&broker.mqtt_url()).take_over_policy(TakeOverPolicy::Stop);
        let first = online(yields).await;
        let second = online(client(&broker.mqtt_url())).await;
        let mut states = first.state();
        let gave_up = states.wait_for(|state| matches!(state, State::Offline { next: None, .. }));
        let state = within(gave_up).await.unwrap().clone();
        let State::Offline { reason, .. } = &state else {
            unreachable!("waited for");
        };
        let OfflineReason::Disconnected { reason, .. } = reason else {
            panic!("{state:?}");
        };
        assert_eq!(*reason, ReasonCode::SessionTakenOver);
        let publish = Publish::new("a", "").qos(Qos::AtLeastOnce);
        assert_eq!(
            within(second.publish(publish)).await,
            Ok(Outcome::Delivered)
        );
        assert!(within(second.disconnect()).await.is_clean());
    });
}
