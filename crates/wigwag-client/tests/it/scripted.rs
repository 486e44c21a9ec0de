//! What a real server does not do on command.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wigwag_client::{
    Bytes, Event, Fatal, Indeterminate, Limits, OfflineReason, Outcome, Publish, PublishError, Qos,
    ReasonCode, State, SubscribeError,
};
use wigwag_proto::packet::{Delivery, Publish as PublishPacket};
use wigwag_proto::{Packet, PacketId, Properties, TopicName};

use crate::server::{Server, parse};
use crate::{builder, collect, next, wait_for_state, within};

fn message(topic: &str, packet_id: u16) -> Packet<'_> {
    Packet::Publish(PublishPacket {
        delivery: Delivery::AtLeastOnce {
            packet_id: PacketId::new(packet_id).expect("not zero"),
            dup: false,
        },
        retain: false,
        topic: TopicName::new(topic).ok(),
        properties: Properties::EMPTY,
        payload: b"payload",
    })
}

#[tokio::test]
async fn a_message_arrives_byte_by_byte_and_is_acknowledged() {
    let server = Server::new().await;
    let client = builder(&server.address).build().expect("valid");
    let (handler, mut messages) = collect();
    client.subscribe("a/+", Qos::AtLeastOnce, handler);
    client.start();
    let mut connection = server.accept().await;
    connection
        .expect(|packet| matches!(packet, Packet::Subscribe(_)))
        .await;
    connection.send_slowly(&message("a/b", 7)).await;
    let received = next(&mut messages).await;
    assert_eq!(received.topic(), "a/b");
    assert_eq!(received.payload(), &Bytes::from_static(b"payload"));
    let acknowledged =
        |packet: &Packet<'_>| matches!(packet, Packet::PubAck(ack) if ack.packet_id.get() == 7);
    connection.expect(acknowledged).await;
}

#[tokio::test]
async fn a_handler_may_publish_ten_times_what_the_queue_holds_and_wait_each_time() {
    const QUEUE: usize = 4;
    let server = Server::new().await;
    let limits = Limits {
        queue_messages: QUEUE,
        handler_messages: 1,
        ..Limits::default()
    };
    let client = builder(&server.address)
        .limits(limits)
        .build()
        .expect("valid");
    let delivered = Arc::new(AtomicUsize::new(0));
    let (done, is_done) = tokio::sync::mpsc::unbounded_channel();
    let (counter, publisher) = (delivered.clone(), client.clone());
    client.subscribe("in", Qos::AtLeastOnce, move |_| {
        let (counter, publisher, done) = (counter.clone(), publisher.clone(), done.clone());
        async move {
            // All at once first, so that most have to wait for room, then one after the other.
            let publish = || publisher.publish(Publish::new("out", "").qos(Qos::AtLeastOnce));
            let burst: Vec<_> = (0..10 * QUEUE).map(|_| publish()).collect();
            for publishing in burst {
                assert_eq!(publishing.await, Ok(Outcome::Delivered));
                counter.fetch_add(1, Ordering::Relaxed);
            }
            for _ in 0..10 * QUEUE {
                assert_eq!(publish().await, Ok(Outcome::Delivered));
                counter.fetch_add(1, Ordering::Relaxed);
            }
            let _ = done.send(());
        }
    });
    client.start();
    let mut connection = server.accept().await;
    for packet_id in 1..=3 {
        connection.send(&message("in", packet_id)).await;
    }
    let serving = tokio::spawn(async move { connection.serve().await });
    let mut is_done = is_done;
    for _ in 0..3 {
        within(is_done.recv()).await.expect("the handler ends");
    }
    assert_eq!(delivered.load(Ordering::Relaxed), 3 * 20 * QUEUE);
    let report = within(client.disconnect()).await;
    assert!(report.is_clean(), "{report:?}");
    let (topics, said_goodbye) = within(serving).await.expect("the server ends");
    assert_eq!((topics.len(), said_goodbye), (3 * 20 * QUEUE, true));
}

#[tokio::test]
async fn futures_may_be_dropped_and_nothing_is_lost() {
    let server = Server::new().await;
    let client = builder(&server.address).build().expect("valid");
    drop(client.publish(Publish::new("before/start", "").qos(Qos::ExactlyOnce)));
    drop(client.subscribe("a", Qos::AtMostOnce, |_| ()));
    client.start();
    let mut connection = server.accept().await;
    within(client.await_connection()).await.expect("online");
    drop(client.publish(Publish::new("online", "")));
    // Polled once and given up: the drain goes on.
    let given_up = tokio::time::timeout(Duration::ZERO, client.disconnect()).await;
    assert!(given_up.is_err());
    let (topics, said_goodbye) = connection.serve().await;
    assert_eq!(topics, ["before/start", "online"]);
    assert!(said_goodbye);
}

#[tokio::test]
async fn a_full_queue_says_so_or_makes_the_publisher_wait() {
    let limits = Limits {
        queue_messages: 2,
        queue_bytes: 100,
        ..Limits::default()
    };
    let server = Server::new().await;
    let client = builder(&server.address)
        .limits(limits)
        .build()
        .expect("valid");
    let publish = |topic: &str| Publish::new(topic, "").qos(Qos::AtLeastOnce);
    let first = client.publish(publish("first"));
    client.try_publish(publish("second")).expect("room");
    assert_eq!(
        client.try_publish(publish("third")),
        Err(PublishError::Full)
    );
    assert_eq!(
        client.try_publish(Publish::new("qos0", "")),
        Err(PublishError::Offline)
    );
    let too_much = client.publish(Publish::new("large", vec![0; 200])).await;
    let exceeds = PublishError::ExceedsQueue {
        size: 205,
        max: 100,
    };
    assert_eq!(too_much, Err(exceeds));
    // Dropped while it waits for room: withdrawn.
    let withdrawn = client.publish(publish("withdrawn"));
    assert!(
        tokio::time::timeout(Duration::ZERO, withdrawn)
            .await
            .is_err()
    );
    let third = client.publish(publish("third"));

    client.start();
    let mut connection = server.accept().await;
    let serving = tokio::spawn(async move { connection.serve().await });
    assert_eq!(within(first).await, Ok(Outcome::Delivered));
    assert_eq!(within(third).await, Ok(Outcome::Delivered));
    within(client.disconnect()).await;
    let (topics, _) = within(serving).await.expect("the server ends");
    assert_eq!(topics, ["first", "second", "third"]);
}

#[tokio::test]
async fn a_panic_in_a_handler_is_reported_and_the_next_message_is_handled() {
    let server = Server::new().await;
    let client = builder(&server.address).build().expect("valid");
    let mut events = client.events();
    let (collect, mut messages) = collect();
    client.subscribe("a", Qos::AtLeastOnce, move |message| {
        assert!(!message.topic().is_empty() && message.payload() != "panic");
        collect(message);
    });
    client.start();
    let mut connection = server.accept().await;
    connection
        .expect(|packet| matches!(packet, Packet::Subscribe(_)))
        .await;
    let Packet::Publish(mut panicking) = message("a", 1) else {
        unreachable!("it is a PUBLISH");
    };
    panicking.payload = b"panic";
    connection.send(&Packet::Publish(panicking)).await;
    connection.send(&message("a", 2)).await;
    assert_eq!(next(&mut messages).await.payload(), "payload");
    for _ in 0..2 {
        connection
            .expect(|packet| matches!(packet, Packet::PubAck(_)))
            .await;
    }
    within(async {
        while !matches!(
            events.recv().await.expect("an event"),
            Event::HandlerPanicked { filter } if &*filter == "a"
        ) {}
    })
    .await;
}

#[tokio::test]
async fn the_last_handle_takes_the_connection_with_it() {
    let server = Server::new().await;
    let client = builder(&server.address).build().expect("valid");
    client.start();
    let mut connection = server.accept().await;
    within(client.await_connection()).await.expect("online");
    drop(client);
    let (_, said_goodbye) = connection.serve().await;
    assert!(!said_goodbye);
}

#[tokio::test]
async fn a_refusal_for_good_ends_the_waiting() {
    let server = Server::new().await;
    let client = builder(&server.address).build().expect("valid");
    let subscribing = client.subscribe("a", Qos::AtMostOnce, |_| ());
    let publishing = client.publish(Publish::new("a", "").qos(Qos::AtLeastOnce));
    client.start();
    let _connection = server
        .accept_with(false, ReasonCode::BadUserNameOrPassword)
        .await;
    let Fatal { reason, .. } = within(client.await_connection())
        .await
        .expect_err("refused");
    assert!(
        reason.to_string().contains("bad user name or password"),
        "{reason}"
    );
    assert_eq!(within(publishing).await, Err(PublishError::Stopped));
    assert_eq!(within(subscribing).await, Err(SubscribeError::Stopped));
    let late = client.publish(Publish::new("a", ""));
    assert_eq!(within(late).await, Err(PublishError::Stopped));
}

#[tokio::test]
async fn a_client_that_was_never_started_disconnects_at_once() {
    let client = builder("mqtt://127.0.0.1:1").build().expect("valid");
    let queued = client.publish(Publish::new("a", "").qos(Qos::AtLeastOnce));
    let report = within(client.disconnect()).await;
    assert_eq!((report.queued, report.disconnect_sent), (1, false));
    let unknown = Outcome::Indeterminate(Indeterminate::Stopped);
    assert_eq!(within(queued).await, Ok(unknown));
}

#[tokio::test]
async fn a_lost_connection_comes_back_and_unacknowledged_messages_with_it() {
    let server = Server::new().await;
    let client = builder(&server.address)
        .session_expiry(Duration::from_secs(60))
        .build()
        .expect("valid");
    client.start();
    let mut connection = server.accept().await;
    let publishing = client.publish(Publish::new("a", "").qos(Qos::AtLeastOnce));
    connection
        .expect(|packet| matches!(packet, Packet::Publish(_)))
        .await;
    drop(connection);
    let offline = wait_for_state(&client, |state| matches!(state, State::Offline { .. })).await;
    assert!(matches!(
        offline,
        State::Offline {
            reason: OfflineReason::Closed | OfflineReason::Io(_),
            next: Some(_)
        }
    ));
    let mut connection = server.accept_with(true, ReasonCode::Success).await;
    let bytes = connection.next().await.expect("connected");
    let Packet::Publish(again) = parse(&bytes) else {
        panic!("{bytes:?}");
    };
    assert!(matches!(
        again.delivery,
        Delivery::AtLeastOnce { dup: true, .. }
    ));
    let packet_id = again.delivery.packet_id().expect("QoS 1");
    let ack = wigwag_proto::packet::PublishAck::new(packet_id, ReasonCode::Success);
    connection.send(&Packet::PubAck(ack)).await;
    assert_eq!(within(publishing).await, Ok(Outcome::Delivered));
}
