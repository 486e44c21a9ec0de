//! Servers that go away: one that sends its clients to the real Mosquitto with a Server Reference, and a
//! Mosquitto that is restarted, with what it has kept on its disk and without.

use std::collections::BTreeMap;
use std::sync::Mutex;

use wigwag_client::{Event, Limits, Message, Outcome, ReasonCode};
use wigwag_proto::packet::{ConnAck, Disconnect};
use wigwag_proto::{Packet, PropertiesBuf, Property};

use super::*;
use crate::server::{Server, parse};

/// When a server tells its client to go elsewhere.
#[derive(Clone, Copy, Debug)]
enum Told {
    InConnAck,
    InDisconnect,
}

/// Takes the next connection and sends it to the other port of this machine.
async fn send_away(server: &Server, told: Told, reason: ReasonCode, port: u16) {
    let reference = format!("127.0.0.1:{port}");
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::ServerReference(&reference))
        .expect("short");
    match told {
        Told::InConnAck => {
            let mut connection = server.accept_raw().await;
            connection
                .expect(|packet| matches!(packet, Packet::Connect(_)))
                .await;
            connection
                .send(&Packet::ConnAck(ConnAck {
                    session_present: false,
                    reason,
                    properties: properties.as_properties(),
                }))
                .await;
        }
        Told::InDisconnect => {
            let mut connection = server.accept().await;
            let subscribe = connection
                .expect(|packet| matches!(packet, Packet::Subscribe(_)))
                .await;
            connection.answer(&parse(&subscribe)).await;
            connection
                .send(&Packet::Disconnect(Disconnect {
                    reason,
                    properties: properties.as_properties(),
                }))
                .await;
        }
    }
}

#[tokio::test]
async fn a_server_reference_leads_to_the_real_server_and_back_if_it_was_not_for_good() {
    for told in [Told::InConnAck, Told::InDisconnect] {
        for reason in [ReasonCode::UseAnotherServer, ReasonCode::ServerMoved] {
            let mut broker = Mosquitto::start().await;
            let first = Server::new().await;
            let client = builder(&first.address).build().expect("valid");
            let (handler, mut messages) = collect();
            drop(client.subscribe("a", Qos::AtLeastOnce, handler));
            let mut events = client.events();
            client.start();
            send_away(&first, told, reason, broker.tcp_port).await;
            let port = broker.tcp_port.to_string();
            let calls_it = |event: &Event| matches!(event, Event::Dialling { server, .. } if server.ends_with(&port));
            within(async { while !calls_it(&events.recv().await.expect("it lives")) {} }).await;
            let queued = client.publish(Publish::new("a", "queued").qos(Qos::ExactlyOnce));
            assert_eq!(within(queued).await, Ok(Outcome::Delivered));
            assert_eq!(next(&mut messages).await.payload(), "queued");
            let other = online(builder(&broker.tcp())).await;
            let publishing = other.publish(Publish::new("a", "direct").qos(Qos::AtLeastOnce));
            assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
            assert_eq!(next(&mut messages).await.payload(), "direct");

            broker.kill().await;
            wait_for_state(&client, |state| !state.is_online()).await;
            if reason == ReasonCode::UseAnotherServer {
                let mut connection = first.accept().await;
                connection
                    .expect(|packet| matches!(packet, Packet::Subscribe(_)))
                    .await;
            } else {
                let publishing = client.publish(Publish::new("a", "again").qos(Qos::AtLeastOnce));
                broker.restart().await;
                assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
                assert_eq!(next(&mut messages).await.payload(), "again");
            }
        }
    }
}

/// Numbers of messages by topic, as they came.
type Received = Arc<Mutex<BTreeMap<String, Vec<usize>>>>;

fn persistent(broker: &Mosquitto, name: &str) -> Builder {
    // Mosquitto lets messages overtake those that wait for the Receive Maximum, so there is none.
    let roomy = Limits {
        receive_maximum: u16::MAX,
        ..Limits::default()
    };
    builder(&broker.tcp())
        .client_id(name)
        // Mosquitto saves no session that began with a Clean Start, however long it is to last.
        .clean_start(false)
        .session_expiry(Duration::from_secs(600))
        .limits(roomy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_broker_that_kept_its_sessions_goes_on_with_them() {
    const RESTARTS: usize = 5;
    const TOPICS: [(&str, Qos); 2] = [("k/1", Qos::AtLeastOnce), ("k/2", Qos::ExactlyOnce)];
    let options = "user root\nlog_dest file {folder}/log\nlog_type all\npersistence true\npersistence_location {folder}/\n\
                   max_queued_messages 0\nmax_inflight_messages 0\n";
    let mut broker = Mosquitto::start_with(options).await;
    let subscriber = online(persistent(&broker, "subscriber")).await;
    let received = Received::default();
    let sink = received.clone();
    let subscribing = subscriber.subscribe("k/+", Qos::ExactlyOnce, move |message: Message| {
        let number = std::str::from_utf8(message.payload()).expect("digits");
        let number = number.parse().expect("digits");
        let mut received = sink.lock().expect("no panic");
        let topic = received.entry(message.topic().to_owned());
        topic.or_default().push(number);
    });
    within(subscribing).await.expect("granted");
    let publisher = online(persistent(&broker, "publisher")).await;
    let mut sent = 0;
    for _ in 0..RESTARTS {
        // Some before the end, some while nobody is there, all of them in order.
        let mut publishing = Vec::new();
        for index in 0..400 {
            for (topic, qos) in TOPICS {
                let publish = Publish::new(topic, sent.to_string()).qos(qos);
                publishing.push(publisher.publish(publish));
            }
            sent += 1;
            if index == 200 {
                broker.stop().await;
            }
        }
        broker.restart().await;
        for outcome in publishing {
            assert_eq!(within(outcome).await, Ok(Outcome::Delivered));
        }
        // Who has the last message of both topics is no longer on the connection that has ended.
        await_last(&received, TOPICS.map(|(topic, _)| topic), sent - 1).await;
        let resumed = State::Online {
            session_present: true,
        };
        for client in [&subscriber, &publisher] {
            let state = wait_for_state(client, State::is_online).await;
            assert_eq!(state, resumed);
        }
    }
    within(subscriber.disconnect()).await;
    let received = received.lock().expect("no panic");
    let log = fs::read_to_string(broker.folder.path().join("log")).expect("it writes one");
    for (topic, qos) in TOPICS {
        let numbers = received.get(topic).expect("received");
        // Those that came again came in their order.
        let mut first = Vec::new();
        for number in numbers {
            if first.last().is_none_or(|last| last < number) {
                first.push(*number);
            }
        }
        assert!((0..sent).eq(first), "{topic}: lost or out of order");
        let repeated = numbers.len() - sent;
        println!("{topic}: {sent} sent, {repeated} repeated");
        if qos == Qos::ExactlyOnce {
            let released = sent_after_release(&log);
            assert!(
                repeated <= released,
                "{repeated} doubled, {released} by the broker"
            );
        }
    }
}

async fn await_last(received: &Received, topics: [&str; 2], last: usize) {
    let is_complete = || {
        let received = received.lock().expect("no panic");
        let mut numbers = topics.iter().map(|topic| received.get(*topic));
        numbers.all(|numbers| numbers.and_then(|numbers| numbers.last()) == Some(&last))
    };
    within(async {
        while !is_complete() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// How often Mosquitto has sent a PUBLISH again whose PUBREL it had sent: it does not save that it has. No
/// client can tell such a message from another with the same Packet Identifier.
fn sent_after_release(log: &str) -> usize {
    let mut released = std::collections::BTreeSet::new();
    let mut count = 0;
    let id = |line: &str, start: &str| {
        let (_, rest) = line.split_once(start)?;
        let rest = rest.split_once("m")?.1;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u16>().ok()
    };
    for line in log.lines() {
        if let Some(id) = id(line, "Sending PUBREL to subscriber (") {
            released.insert(id);
        } else if let Some(id) = id(line, "Sending PUBLISH to subscriber (d1, q2, r0, ") {
            count += usize::from(released.remove(&id));
        } else if let Some(id) = id(line, "Sending PUBLISH to subscriber (d0, q2, r0, ") {
            released.remove(&id);
        }
    }
    count
}
