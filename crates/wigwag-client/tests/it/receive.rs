//! Routers, streams and acknowledgements against a scripted server.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use tokio::sync::{mpsc, watch};
use wigwag_client::extract::{Captures, State, Topic};
use wigwag_client::{
    AckToken, Bytes, Client, Event, Limits, Message, MountError, Order, Outcome, Overflow, Publish,
    Qos, ReasonCode, Reject, Router, SubscribeError, SubscriptionOptions, shared,
};
use wigwag_proto::packet::{Delivery, Publish as PublishPacket, SubscribeAck};
use wigwag_proto::{Packet, PacketId, Properties, TopicName};

use crate::server::{Connection, Server, parse};
use crate::{builder, within};

fn id(packet_id: u16) -> PacketId {
    PacketId::new(packet_id).expect("not zero")
}

fn message<'a>(topic: &'a str, packet_id: u16, payload: &'a [u8]) -> Packet<'a> {
    Packet::Publish(PublishPacket {
        delivery: Delivery::AtLeastOnce {
            packet_id: id(packet_id),
            dup: false,
        },
        retain: false,
        topic: TopicName::new(topic).ok(),
        properties: Properties::EMPTY,
        payload,
    })
}

/// The next packet that answers a message: its identifier and Reason Code.
async fn next_puback(connection: &mut Connection) -> (u16, ReasonCode) {
    let bytes = connection
        .expect(|packet| matches!(packet, Packet::PubAck(_)))
        .await;
    let Packet::PubAck(ack) = parse(&bytes) else {
        unreachable!("it is a PUBACK");
    };
    (ack.packet_id.get(), ack.reason)
}

/// Takes a SUBSCRIBE, answers it, and returns its filter.
async fn subscribed(connection: &mut Connection, reason: ReasonCode) -> String {
    let bytes = connection
        .expect(|packet| matches!(packet, Packet::Subscribe(_)))
        .await;
    let Packet::Subscribe(subscribe) = parse(&bytes) else {
        unreachable!("it is a SUBSCRIBE");
    };
    connection
        .send(&Packet::SubAck(SubscribeAck {
            packet_id: subscribe.packet_id,
            properties: Properties::EMPTY,
            reasons: vec![reason],
        }))
        .await;
    subscribe.subscriptions[0].filter.as_str().to_owned()
}

fn client(server: &Server) -> Client {
    builder(&server.address).build().expect("valid")
}

async fn accept(server: &Server, subscriptions: usize) -> Connection {
    let mut connection = server.accept().await;
    for _ in 0..subscriptions {
        subscribed(&mut connection, ReasonCode::GrantedQos1).await;
    }
    connection
}

async fn wait_for_event(
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    mut wanted: impl FnMut(&Event) -> bool,
) -> Event {
    within(async {
        loop {
            let event = events.recv().await.expect("an event");
            if wanted(&event) {
                return event;
            }
        }
    })
    .await
}

// Routers.

#[tokio::test]
async fn handlers_get_what_they_ask_for_and_bad_messages_are_rejected_with_their_reason() {
    let server = Server::new().await;
    let client = client(&server);
    let mut events = client.events();
    let (sender, mut calls) = mpsc::unbounded_channel();
    let power = |Captures((id, rest)): Captures<(u8, String)>,
                 State(calls): State<mpsc::UnboundedSender<String>>,
                 Topic(topic): Topic,
                 text: String| async move {
        let _ = calls.send(format!("{id} {rest} {topic} {text}"));
    };
    let refuse = |_: Bytes| async { Err::<(), _>(Reject::new(ReasonCode::NotAuthorized)) };
    let router = Router::with_state(sender)
        .on("device/{id}/{*rest}", power)
        .on(shared("workers", "jobs/{job}"), refuse);
    let mounting = client.mount(router, Qos::AtLeastOnce).expect("valid");
    client.start();
    let mut connection = server.accept().await;
    let first = subscribed(&mut connection, ReasonCode::GrantedQos1).await;
    let second = subscribed(&mut connection, ReasonCode::NotAuthorized).await;
    assert_eq!((&*first, &*second), ("device/+/#", "$share/workers/jobs/+"));
    let mounted = within(mounting).await;
    let answers: Vec<_> = mounted
        .answers()
        .map(|(_, answer)| answer.is_ok())
        .collect();
    assert_eq!(answers, [true, false]);
    let refused = SubscribeError::Rejected(ReasonCode::NotAuthorized);
    assert_eq!(mounted.all_granted(), Err(refused));

    connection.send(&message("device/7/a/b", 1, b"on")).await;
    assert_eq!(
        within(calls.recv()).await.as_deref(),
        Some("7 a/b device/7/a/b on")
    );
    connection.send(&message("device/7/a", 2, b"\xff")).await;
    connection.send(&message("device/x/a", 3, b"on")).await;
    connection.send(&message("jobs/1", 4, b"")).await;
    for expect in [
        (1, ReasonCode::Success),
        (2, ReasonCode::PayloadFormatInvalid),
        (3, ReasonCode::TopicNameInvalid),
        (4, ReasonCode::NotAuthorized),
    ] {
        assert_eq!(next_puback(&mut connection).await, expect);
    }
    let event = wait_for_event(&mut events, |event| matches!(event, Event::Rejected { .. })).await;
    let Event::Rejected { filter, reject } = event else {
        panic!("{event:?}");
    };
    assert_eq!(&*filter, "device/+/#");
    assert!(
        reject.to_string().contains("the payload is no text"),
        "{reject}"
    );
}

#[cfg(feature = "json")]
#[tokio::test]
async fn json_is_read_and_what_is_none_is_rejected_without_quoting_it() {
    use wigwag_client::extract::Json;

    let server = Server::new().await;
    let client = client(&server);
    let mut events = client.events();
    let router = Router::new()
        .on(
            "sum",
            |Json(numbers): Json<Vec<u32>>, client: Client| async move {
                let sum = numbers.iter().sum::<u32>().to_string();
                client.publish(Publish::new("result", sum)).await.map(drop)
            },
        )
        .on("lenient", |number: Result<Json<u32>, Reject>| async move {
            assert!(number.is_err());
        });
    let mounting = client.mount(router, Qos::AtLeastOnce).expect("valid");
    client.start();
    let mut connection = accept(&server, 2).await;
    within(mounting).await.all_granted().expect("granted");
    connection.send(&message("sum", 1, b"[1, 2, 39]")).await;
    let is_result =
        |packet: &Packet<'_>| matches!(packet, Packet::Publish(own) if own.payload == b"42");
    connection.expect(is_result).await;
    assert_eq!(next_puback(&mut connection).await, (1, ReasonCode::Success));
    connection.send(&message("sum", 2, br#"["secret"]"#)).await;
    let rejected = (2, ReasonCode::PayloadFormatInvalid);
    assert_eq!(next_puback(&mut connection).await, rejected);
    let event = wait_for_event(&mut events, |event| matches!(event, Event::Rejected { .. })).await;
    let text = format!("{event:?}");
    assert!(
        text.contains("other JSON than expected") && !text.contains("secret"),
        "{text}"
    );
    connection.send(&message("lenient", 3, b"")).await;
    assert_eq!(next_puback(&mut connection).await, (3, ReasonCode::Success));
}

#[test]
fn a_router_says_what_is_wrong_with_its_patterns() {
    let client = builder("mqtt://127.0.0.1:1").build().expect("valid");
    let nothing = || async {};
    let twice = Router::new().on("a/{x}", nothing).on("a/{y}", nothing);
    let error = client.mount(twice, Qos::AtMostOnce).expect_err("the same");
    assert_eq!(error, MountError::SameFilter("a/+".into()));
    let invalid = Router::new().on("a/{*rest}/b", nothing);
    assert!(client.mount(invalid, Qos::AtMostOnce).is_err());
}

/// How many messages of `topics` have begun to be handled while none may end.
async fn begun_together(order: Order, workers: usize, topics: &[&str], expect: &[u16]) {
    let server = Server::new().await;
    let client = client(&server);
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let (release, is_released) = watch::channel(false);
    let handler = move |payload: Bytes| {
        let (begun, mut is_released) = (begun.clone(), is_released.clone());
        async move {
            let _ = begun.send(u16::from(payload[0]));
            let _ = is_released.wait_for(|released| *released).await;
        }
    };
    let router = Router::new()
        .on("{*all}", handler)
        .workers(workers)
        .ordered_by(order);
    drop(client.mount(router, Qos::AtLeastOnce).expect("valid"));
    client.start();
    let mut connection = accept(&server, 1).await;
    let numbers: Vec<u8> = (1..).take(topics.len()).collect();
    for (number, topic) in numbers.iter().zip(topics) {
        connection
            .send(&message(topic, (*number).into(), &[*number]))
            .await;
    }
    let mut together = Vec::new();
    for _ in expect {
        together.extend(within(beginnings.recv()).await);
    }
    together.sort_unstable();
    assert_eq!(together, expect, "{order:?}");
    // All that has arrived has been given to the pool by the time this is answered.
    connection.send(&Packet::PingResp).await;
    within(client.publish(Publish::new("sync", "")))
        .await
        .expect("sent")
        .is_delivered();
    assert!(beginnings.try_recv().is_err(), "{order:?}");
    release.send_replace(true);
    connection
        .expect(|packet| matches!(packet, Packet::Publish(_)))
        .await;
    for number in &numbers {
        let accepted = (u16::from(*number), ReasonCode::Success);
        assert_eq!(next_puback(&mut connection).await, accepted, "{order:?}");
    }
}

#[tokio::test]
async fn messages_wait_for_each_other_as_the_order_says() {
    let topics = ["a", "a", "b", "a", "c"];
    begun_together(Order::Global, 8, &topics, &[1]).await;
    begun_together(Order::Topic, 8, &topics, &[1, 3, 5]).await;
    begun_together(Order::Topic, 2, &topics, &[1, 3]).await;
    begun_together(Order::None, 8, &topics, &[1, 2, 3, 4, 5]).await;
    begun_together(Order::None, 2, &topics, &[1, 2]).await;
}

#[tokio::test]
async fn acknowledgements_keep_the_order_of_arrival_when_handlers_do_not() {
    let server = Server::new().await;
    let client = client(&server);
    let (release, is_released) = watch::channel(0);
    let (ended, mut endings) = mpsc::unbounded_channel();
    // The later a message has come, the earlier its handler ends.
    let handler = move |payload: Bytes| {
        let (ended, mut is_released) = (ended.clone(), is_released.clone());
        async move {
            let _ = is_released.wait_for(|from| *from == payload[0]).await;
            let _ = ended.send(payload[0]);
        }
    };
    let router = Router::new().on("a", handler).ordered_by(Order::None);
    drop(client.mount(router, Qos::AtLeastOnce).expect("valid"));
    client.start();
    let mut connection = accept(&server, 1).await;
    for number in 1..=4 {
        connection
            .send(&message("a", number.into(), &[number]))
            .await;
    }
    for number in [4, 3, 2, 1] {
        release.send_replace(number);
        assert_eq!(within(endings.recv()).await, Some(number));
    }
    for number in 1..=4 {
        assert_eq!(next_puback(&mut connection).await.0, number);
    }
}

#[tokio::test]
async fn tokens_settle_messages_later_and_in_any_order() {
    let server = Server::new().await;
    let client = client(&server);
    let (sender, mut tokens) = mpsc::unbounded_channel();
    let router = Router::new().on("a", move |ack: AckToken| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(ack);
        }
    });
    drop(client.mount(router, Qos::AtLeastOnce).expect("valid"));
    client.start();
    let mut connection = accept(&server, 1).await;
    let mut taken = Vec::new();
    for number in 1..=3 {
        connection.send(&message("a", number, b"")).await;
        taken.extend(within(tokens.recv()).await);
    }
    drop(taken.pop());
    taken
        .pop()
        .expect("the second")
        .reject(ReasonCode::QuotaExceeded);
    taken.pop().expect("the first").accept();
    for expect in [
        (1, ReasonCode::Success),
        (2, ReasonCode::QuotaExceeded),
        (3, ReasonCode::UnspecifiedError),
    ] {
        assert_eq!(next_puback(&mut connection).await, expect);
    }
}

#[tokio::test]
async fn handlers_of_a_router_publish_ten_times_what_any_queue_holds_and_wait() {
    const QUEUE: usize = 4;
    const MESSAGES: u16 = 10 * 4;
    let server = Server::new().await;
    let limits = Limits {
        queue_messages: QUEUE,
        handler_messages: QUEUE,
        ..Limits::default()
    };
    let client = builder(&server.address)
        .limits(limits)
        .build()
        .expect("valid");
    let delivered = Arc::new(AtomicUsize::new(0));
    let counter = delivered.clone();
    let (done, mut is_done) = mpsc::unbounded_channel();
    let handler = move |client: Client| {
        let (counter, done) = (counter.clone(), done.clone());
        async move {
            let publish = || client.publish(Publish::new("out", "").qos(Qos::AtLeastOnce));
            let burst: Vec<_> = (0..10 * QUEUE).map(|_| publish()).collect();
            for publishing in burst {
                assert_eq!(publishing.await, Ok(Outcome::Delivered));
                counter.fetch_add(1, Ordering::Relaxed);
            }
            let _ = done.send(());
        }
    };
    let router = Router::new()
        .on("in", handler)
        .workers(2)
        .ordered_by(Order::None);
    drop(client.mount(router, Qos::AtLeastOnce).expect("valid"));
    client.start();
    let mut connection = accept(&server, 1).await;
    for packet_id in 1..=MESSAGES {
        connection.send(&message("in", packet_id, b"")).await;
    }
    let serving = tokio::spawn(async move { connection.serve().await });
    for _ in 0..MESSAGES {
        within(is_done.recv()).await.expect("the handler ends");
    }
    let published = usize::from(MESSAGES) * 10 * QUEUE;
    assert_eq!(delivered.load(Ordering::Relaxed), published);
    assert!(within(client.disconnect()).await.is_clean());
    let (topics, _) = within(serving).await.expect("the server ends");
    assert_eq!(topics.len(), published);
}

#[tokio::test]
async fn a_router_drops_what_its_overflow_says() {
    let server = Server::new().await;
    let client = client(&server);
    let mut events = client.events();
    let (sender, mut handled) = mpsc::unbounded_channel();
    let (release, is_released) = watch::channel(false);
    let handler = move |payload: Bytes| {
        let (sender, mut is_released) = (sender.clone(), is_released.clone());
        async move {
            let _ = sender.send(payload[0]);
            let _ = is_released.wait_for(|released| *released).await;
        }
    };
    let router = Router::new()
        .on("{topic}", handler)
        .ordered_by(Order::Global)
        .overflow(Overflow::LatestPerTopic(8));
    drop(client.mount(router, Qos::AtLeastOnce).expect("valid"));
    client.start();
    let mut connection = accept(&server, 1).await;
    for (number, topic) in (1..).zip(["a", "a", "b", "a"]) {
        connection
            .send(&message(topic, number.into(), &[number]))
            .await;
    }
    wait_for_event(
        &mut events,
        |event| matches!(event, Event::Dropped { topic, total: 1 } if &**topic == "a"),
    )
    .await;
    release.send_replace(true);
    let mut order = Vec::new();
    for _ in 0..3 {
        order.extend(within(handled.recv()).await);
    }
    assert_eq!(order, [1, 4, 3]);
    for expect in [
        (1, ReasonCode::Success),
        (2, ReasonCode::QuotaExceeded),
        (3, ReasonCode::Success),
        (4, ReasonCode::Success),
    ] {
        assert_eq!(next_puback(&mut connection).await, expect);
    }
}

#[tokio::test]
async fn a_resumed_session_reaches_the_routes_and_what_it_brings_besides_the_fallback() {
    let server = Server::new().await;
    let client = builder(&server.address).clean_start(false).client_id("c");
    let client = client.build().expect("valid");
    let (sender, mut handled) = mpsc::unbounded_channel();
    let (routed, unrouted) = (sender.clone(), sender);
    let router = Router::new()
        .on("known/{id}", move |Captures(id): Captures<String>| {
            let _ = routed.send(format!("routed {id}"));
            async {}
        })
        .fallback(move |Topic(topic): Topic| {
            let _ = unrouted.send(format!("fallback {topic}"));
            async { Err::<(), _>(ReasonCode::TopicNameInvalid) }
        });
    drop(client.mount(router, Qos::AtLeastOnce).expect("valid"));
    client.start();
    let mut connection = server.accept_with(true, ReasonCode::Success).await;
    // Before the SUBSCRIBE of this process is answered.
    connection.send(&message("known/1", 1, b"")).await;
    connection.send(&message("forgotten", 2, b"")).await;
    for expect in ["routed 1", "fallback forgotten"] {
        assert_eq!(within(handled.recv()).await.as_deref(), Some(expect));
    }
    subscribed(&mut connection, ReasonCode::GrantedQos1).await;
    for expect in [(1, ReasonCode::Success), (2, ReasonCode::TopicNameInvalid)] {
        assert_eq!(next_puback(&mut connection).await, expect);
    }
}

#[tokio::test]
async fn a_panic_in_a_route_rejects_its_message_and_frees_its_worker() {
    let server = Server::new().await;
    let client = client(&server);
    let mut events = client.events();
    let handler = |payload: Bytes| {
        // In the function itself, and in its future.
        assert_ne!(payload, "early");
        async move { assert_ne!(payload, "late") }
    };
    let router = Router::new().on("a", handler).workers(1);
    drop(client.mount(router, Qos::AtLeastOnce).expect("valid"));
    client.start();
    let mut connection = accept(&server, 1).await;
    for (number, payload) in (1..).zip([&b"early"[..], b"late", b"fine"]) {
        connection.send(&message("a", number, payload)).await;
    }
    let panicked = ReasonCode::ImplementationSpecificError;
    for expect in [(1, panicked), (2, panicked), (3, ReasonCode::Success)] {
        assert_eq!(next_puback(&mut connection).await, expect);
    }
    wait_for_event(
        &mut events,
        |event| matches!(event, Event::HandlerPanicked { filter } if &**filter == "a"),
    )
    .await;
}

// Streams.

#[tokio::test]
async fn a_stream_accepts_a_message_when_the_next_is_asked_for_and_unsubscribes_when_dropped() {
    let server = Server::new().await;
    let client = client(&server);
    let streaming = client.subscribe_stream("a/+", Qos::AtLeastOnce);
    client.start();
    let mut connection = accept(&server, 1).await;
    // Sent before the program takes the stream.
    for number in 1..=4 {
        connection.send(&message("a/b", number, b"")).await;
    }
    let mut stream = within(streaming).await.expect("granted");
    assert_eq!(stream.granted().expect("answered").qos, Qos::AtLeastOnce);
    let first = within(stream.next()).await.expect("a message");
    assert_eq!(first.topic(), "a/b");
    let (_, ack) = within(stream.next_with_ack()).await.expect("a message");
    assert_eq!(next_puback(&mut connection).await, (1, ReasonCode::Success));
    within(stream.next()).await.expect("a message");
    ack.reject(ReasonCode::NotAuthorized);
    assert_eq!(
        next_puback(&mut connection).await,
        (2, ReasonCode::NotAuthorized)
    );
    // The third has been given out, the fourth waits.
    drop(stream);
    let mut acks = Vec::new();
    let mut unsubscribed = false;
    for _ in 0..3 {
        let bytes = connection.next().await.expect("connected");
        match parse(&bytes) {
            Packet::PubAck(ack) => acks.push((ack.packet_id.get(), ack.reason)),
            Packet::Unsubscribe(_) => unsubscribed = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(unsubscribed);
    let expect = [(3, ReasonCode::Success), (4, ReasonCode::UnspecifiedError)];
    assert_eq!(acks, expect);
}

#[tokio::test]
async fn a_refused_stream_says_why_and_a_replaced_one_ends() {
    let server = Server::new().await;
    let client = client(&server);
    let refused = client.subscribe_stream("secret", Qos::AtMostOnce);
    let replaced = client.subscribe_stream("a", Qos::AtMostOnce);
    let mut replaced = replaced.without_answer().expect("not given out");
    let options = SubscriptionOptions::default();
    let mut second = client
        .subscribe_stream_with("a", options, Overflow::DropOldest(1))
        .without_answer()
        .expect("not given out");
    client.start();
    let mut connection = server.accept().await;
    subscribed(&mut connection, ReasonCode::NotAuthorized).await;
    let reason = SubscribeError::Rejected(ReasonCode::NotAuthorized);
    assert_eq!(within(refused).await.err(), Some(reason));
    assert!(within(replaced.next()).await.is_none());
    // It is not the one that is there now: no UNSUBSCRIBE for it.
    drop(replaced);
    let filter = subscribed(&mut connection, ReasonCode::GrantedQos1).await;
    assert_eq!(filter, "a");
    let is_of_refused = |packet: &Packet<'_>| matches!(packet, Packet::Unsubscribe(own) if own.filters[0].as_str() == "secret");
    connection.expect(is_of_refused).await;
    for number in 1..=3 {
        connection.send(&message("a", number, &[0])).await;
    }
    assert_eq!(
        next_puback(&mut connection).await,
        (1, ReasonCode::QuotaExceeded)
    );
    assert_eq!(
        next_puback(&mut connection).await,
        (2, ReasonCode::QuotaExceeded)
    );
    assert_eq!(second.dropped(), 2);
    within(second.next()).await.expect("the last");
    within(client.disconnect()).await;
    assert!(within(second.next()).await.is_none());
}

#[tokio::test]
async fn a_detached_subscription_goes_on_for_the_fallback() {
    let server = Server::new().await;
    let (handler, mut fallback) = crate::collect();
    let client = builder(&server.address)
        .fallback(handler)
        .build()
        .expect("valid");
    let streaming = client.subscribe_stream("a", Qos::AtLeastOnce);
    client.start();
    let mut connection = accept(&server, 1).await;
    let mut stream = within(streaming).await.expect("granted");
    for (number, payload) in [(1, b"1"), (2, b"2")] {
        connection.send(&message("a", number, payload)).await;
    }
    within(stream.next()).await.expect("a message");
    stream.detach();
    connection.send(&message("a", 3, b"3")).await;
    for payload in ["2", "3"] {
        assert_eq!(crate::next(&mut fallback).await.payload(), payload);
    }
    for number in 1..=3 {
        assert_eq!(
            next_puback(&mut connection).await,
            (number, ReasonCode::Success)
        );
    }
    drop(connection);
    // Desired state still.
    accept(&server, 1).await;
}

/// Polls a future so many times and drops it; whether it had completed.
fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).find_map(|_| match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    })
}

#[tokio::test]
async fn a_dropped_next_loses_no_message() {
    let server = Server::new().await;
    let client = client(&server);
    let streaming = client.subscribe_stream("a", Qos::AtLeastOnce);
    client.start();
    let mut connection = accept(&server, 1).await;
    let mut stream = within(streaming).await.expect("granted");
    for number in 1..=3_u8 {
        for polls in 0..3 {
            // Each has one await point, where it waits for a message.
            assert!(drop_after(polls, stream.next()).is_none());
            assert!(drop_after(polls, stream.next_with_ack()).is_none());
        }
        connection
            .send(&message("a", number.into(), &[number]))
            .await;
        let message: Message = within(stream.next()).await.expect("a message");
        assert_eq!(message.payload()[0], number);
    }
}

#[tokio::test]
async fn a_dropped_mounting_changes_nothing_and_a_dropped_streaming_unsubscribes() {
    let server = Server::new().await;
    let client = client(&server);
    let (sender, mut handled) = mpsc::unbounded_channel();
    let router = Router::new().on("a", move |payload: Bytes| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(payload);
        }
    });
    let mounting = client.mount(router, Qos::AtLeastOnce).expect("valid");
    assert!(drop_after(2, mounting).is_none());
    let streaming = client.subscribe_stream("b", Qos::AtLeastOnce);
    client.start();
    let mut connection = accept(&server, 2).await;
    // Polled before the answer has been read, or after it: the stream goes in either case.
    drop(drop_after(1, streaming));
    connection
        .expect(|packet| matches!(packet, Packet::Unsubscribe(_)))
        .await;
    connection.send(&message("a", 1, b"x")).await;
    assert_eq!(within(handled.recv()).await.as_deref(), Some(&b"x"[..]));
}
