//! What happens when a future of the client is dropped, at each of its await points: before its first
//! poll, after it, after the next one and so on until it completes. Each test looks for the effect that
//! the documentation promises.

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use wigwag_client::{
    Client, Granted, Limits, Outcome, Publish, PublishError, Qos, Router, SubscribeError,
};
use wigwag_proto::packet::{Delivery, Publish as PublishPacket};
use wigwag_proto::{Packet, PacketId, PropertiesBuf, Property, TopicName};

use crate::server::{Connection, Server, parse};
use crate::{builder, collect, next, within};

const DELIVERED: Result<Outcome, PublishError> = Ok(Outcome::Delivered);

/// Tells when a future has been woken.
#[derive(Default)]
struct Wakes(Notify);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Polls the future so often, or until it completes, and drops it. Between two polls, `step` moves the
/// world on, and that has to wake the future.
async fn polled<F: Future>(
    polls: usize,
    future: F,
    mut step: impl AsyncFnMut(usize),
) -> Option<F::Output> {
    let wakes = Arc::<Wakes>::default();
    let waker = Waker::from(wakes.clone());
    let mut future = pin!(future);
    for poll in 1..=polls {
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        if poll < polls {
            step(poll).await;
            within(wakes.0.notified()).await;
        }
    }
    None
}

/// Runs the case with more and more polls until it says that its future has completed; returns how many
/// that took.
async fn at_each_await_point(mut case: impl AsyncFnMut(usize) -> bool) -> usize {
    let mut polls = 0;
    while !case(polls).await {
        polls += 1;
    }
    polls
}

/// The server's end, and a description of each packet that has come.
struct Peer {
    connection: Connection,
    log: Vec<String>,
}

fn describe(packet: &Packet<'_>) -> String {
    let name = packet.packet_type();
    match packet {
        Packet::Publish(publish) => {
            format!(
                "{name} {}",
                publish.topic.map_or("", |topic| topic.as_str())
            )
        }
        Packet::PubAck(ack) => format!("{name} {}", ack.packet_id),
        Packet::Subscribe(own) => format!("{name} {}", own.subscriptions[0].filter),
        Packet::Unsubscribe(own) => format!("{name} {}", own.filters[0]),
        _ => name.to_string(),
    }
}

impl Peer {
    async fn accept(server: &Server) -> Peer {
        Peer {
            connection: server.accept().await,
            log: Vec::new(),
        }
    }

    /// The next packet, without an answer.
    async fn read(&mut self) -> Option<Vec<u8>> {
        let bytes = self.connection.next().await?;
        self.log.push(describe(&parse(&bytes)));
        Some(bytes)
    }

    /// The next packet, which must be this one, without an answer.
    async fn expect(&mut self, packet: &str) -> Vec<u8> {
        let bytes = self.read().await.expect("connected");
        assert_eq!(describe(&parse(&bytes)), packet);
        bytes
    }

    async fn answer(&mut self, bytes: &[u8]) {
        self.connection.answer(&parse(bytes)).await;
    }

    /// Answers the next packet, which must be this one.
    async fn expect_and_answer(&mut self, packet: &str) {
        let bytes = self.expect(packet).await;
        self.answer(&bytes).await;
    }

    async fn publish(&mut self, topic: &str, packet_id: u16) {
        let packet_id = PacketId::new(packet_id).expect("not zero");
        let delivery = Delivery::AtLeastOnce {
            packet_id,
            dup: false,
        };
        let properties = PropertiesBuf::new();
        self.send(topic, delivery, &properties, b"").await;
    }

    /// Sends the payload of a request back to where it wants its answer.
    async fn reply(&mut self, request: &[u8]) {
        let Packet::Publish(request) = parse(request) else {
            unreachable!("a request is a PUBLISH");
        };
        let topic = request.properties.response_topic().expect("there is one");
        let correlation = request.properties.correlation_data();
        let mut properties = PropertiesBuf::new();
        let correlation = Property::CorrelationData(correlation.expect("there is some"));
        properties.push(correlation).expect("short");
        let payload = request.payload;
        let delivery = Delivery::AtMostOnce;
        self.send(topic.as_str(), delivery, &properties, payload)
            .await;
    }

    async fn send(
        &mut self,
        topic: &str,
        delivery: Delivery,
        properties: &PropertiesBuf,
        payload: &[u8],
    ) {
        let packet = PublishPacket {
            delivery,
            retain: false,
            topic: TopicName::new(topic).ok(),
            properties: properties.as_properties(),
            payload,
        };
        self.connection.send(&Packet::Publish(packet)).await;
    }

    /// Answers everything, requests included, until the client ends the connection.
    fn serve(mut self) -> JoinHandle<Vec<String>> {
        tokio::spawn(async move {
            while let Some(bytes) = self.read().await {
                self.answer(&bytes).await;
                if let Packet::Publish(publish) = parse(&bytes)
                    && publish.properties.response_topic().is_some()
                {
                    self.reply(&bytes).await;
                }
            }
            self.log
        })
    }
}

/// All packets that have come when the client has said goodbye.
async fn finish(client: &Client, serving: JoinHandle<Vec<String>>) -> Vec<String> {
    let report = within(client.disconnect()).await;
    assert!(report.is_clean(), "{report:?}");
    let mut log = within(serving).await.expect("the server ends");
    assert_eq!(log.pop().as_deref(), Some("DISCONNECT"));
    log
}

fn q1(topic: &str, len: usize) -> Publish {
    Publish::new(topic, vec![b'x'; len]).qos(Qos::AtLeastOnce)
}

async fn online() -> (Client, Peer) {
    let server = Server::new().await;
    let client = builder(&server.address).build().expect("valid");
    client.start();
    let peer = Peer::accept(&server).await;
    within(client.await_connection()).await.expect("online");
    (client, peer)
}

#[tokio::test]
async fn await_connection_changes_nothing() {
    let polls = at_each_await_point(async |polls| {
        let server = Server::new().await;
        let client = builder(&server.address).build().expect("valid");
        let mut peer = None;
        let step = async |poll| match poll {
            1 => client.start(),
            _ => peer = Some(Peer::accept(&server).await),
        };
        let result = polled(polls, client.await_connection(), step).await;
        assert!(matches!(result, None | Some(Ok(()))));
        client.start();
        let peer = match peer {
            Some(peer) => peer,
            None => Peer::accept(&server).await,
        };
        within(client.await_connection()).await.expect("online");
        assert_eq!(finish(&client, peer.serve()).await, [""; 0]);
        result.is_some()
    });
    assert_eq!(polls.await, 3);
}

#[tokio::test]
async fn a_publish_that_had_room_is_sent_at_every_qos() {
    for (qos, expect) in [
        (Qos::AtMostOnce, &["PUBLISH a"][..]),
        (Qos::AtLeastOnce, &["PUBLISH a"]),
        (Qos::ExactlyOnce, &["PUBLISH a", "PUBREL"]),
    ] {
        let polls = at_each_await_point(async |polls| {
            let (client, mut peer) = online().await;
            let step = async |_| {
                for packet in expect {
                    peer.expect_and_answer(packet).await;
                }
            };
            let publishing = client.publish(Publish::new("a", "").qos(qos));
            let outcome = polled(polls, publishing, step).await;
            assert!(outcome.is_none() || outcome == Some(DELIVERED));
            assert_eq!(finish(&client, peer.serve()).await, expect);
            outcome.is_some()
        });
        assert_eq!(polls.await, 2, "{qos:?}");
    }
}

/// A client whose queue is full twice over: there is neither a place nor are there the bytes for a
/// message of 40.
struct Crowd {
    client: Client,
    peer: Peer,
    /// Waiting for their acknowledgements.
    large: Option<Vec<u8>>,
    small: Option<Vec<u8>>,
}

impl Crowd {
    async fn new(build: impl FnOnce(wigwag_client::Builder) -> wigwag_client::Builder) -> Crowd {
        let server = Server::new().await;
        let limits = Limits {
            queue_messages: 2,
            queue_bytes: 100,
            ..Limits::default()
        };
        let builder = build(builder(&server.address).limits(limits));
        let client = builder.build().expect("valid");
        client.start();
        let mut peer = Peer::accept(&server).await;
        for publish in [q1("large", 80), q1("small", 0)] {
            client.try_publish(publish).expect("room");
        }
        Crowd {
            client,
            large: Some(peer.expect("PUBLISH large").await),
            small: Some(peer.expect("PUBLISH small").await),
            peer,
        }
    }

    /// Makes first a place, which is not enough, and then room for the bytes.
    async fn step(&mut self, poll: usize) {
        if poll > 1 {
            return self.peer.expect_and_answer("PUBLISH waits").await;
        }
        for owed in [self.small.take(), self.large.take()] {
            let owed = owed.expect("not acknowledged");
            self.peer.answer(&owed).await;
        }
    }

    /// Proves that all room is free again, and says what has come besides.
    async fn finish(mut self) -> Vec<String> {
        for owed in [self.large.take(), self.small.take()].into_iter().flatten() {
            self.peer.answer(&owed).await;
        }
        let (client, serving) = (self.client, self.peer.serve());
        let all_bytes = client.publish(q1("after", 95));
        assert_eq!(within(all_bytes).await, DELIVERED);
        let both_places = [
            client.publish(q1("after", 0)),
            client.publish(q1("after", 0)),
        ];
        for publishing in both_places {
            assert_eq!(within(publishing).await, DELIVERED);
        }
        let mut log = finish(&client, serving).await;
        log.retain(|packet| {
            !["large", "small", "after"]
                .iter()
                .any(|own| packet.ends_with(own))
        });
        log
    }
}

#[tokio::test]
async fn a_publish_that_waits_for_room_is_withdrawn_and_takes_none_with_it() {
    let polls = at_each_await_point(async |polls| {
        let mut crowd = Crowd::new(|builder| builder).await;
        let publishing = crowd.client.publish(q1("waits", 40));
        let outcome = polled(polls, publishing, async |poll| crowd.step(poll).await).await;
        assert!(outcome.is_none() || outcome == Some(DELIVERED));
        let expect: &[&str] = if polls < 2 { &[] } else { &["PUBLISH waits"] };
        assert_eq!(crowd.finish().await, expect, "{polls} polls");
        outcome.is_some()
    });
    assert_eq!(polls.await, 3);
}

/// Checks `enqueue()` with this store; `folder` lives as long as the client.
async fn check_enqueue(store: impl Fn(&tempfile::TempDir) -> wigwag_client::Store) {
    let folder = || tempfile::tempdir().expect("a folder");
    let polls = at_each_await_point(async |polls| {
        let server = Server::new().await;
        let folder = folder();
        let builder = builder(&server.address).store(store(&folder));
        let client = builder.build().expect("valid");
        let enqueuing = client.enqueue(q1("kept", 0));
        let receipt = polled(polls, enqueuing, async |_| client.start()).await;
        client.start();
        let serving = Peer::accept(&server).await.serve();
        assert_eq!(finish(&client, serving).await, ["PUBLISH kept"]);
        let receipts = client.receipts();
        assert_eq!(receipts.len(), 1);
        assert_eq!(within(receipts[0].outcome()).await, DELIVERED);
        receipt.is_some()
    });
    assert_eq!(polls.await, 2);

    let polls = at_each_await_point(async |polls| {
        let folder = folder();
        let mut crowd = Crowd::new(|builder| builder.store(store(&folder))).await;
        let enqueuing = crowd.client.enqueue(q1("waits", 40));
        let step = async |poll| match poll {
            // The store does the rest.
            2 => {}
            poll => crowd.step(poll).await,
        };
        let receipt = polled(polls, enqueuing, step).await;
        let client = crowd.client.clone();
        let expect: &[&str] = if polls < 2 { &[] } else { &["PUBLISH waits"] };
        assert_eq!(crowd.finish().await, expect, "{polls} polls");
        assert_eq!(client.receipts().len(), expect.len());
        receipt.is_some()
    });
    assert_eq!(polls.await, 3);
}

#[tokio::test]
async fn an_enqueue_that_had_room_is_kept_and_one_that_waits_for_it_is_withdrawn() {
    check_enqueue(|_| wigwag_client::Store::memory()).await;
    #[cfg(feature = "store-fjall")]
    check_enqueue(|folder| wigwag_client::Store::dir(folder.path())).await;
}

#[tokio::test]
async fn the_outcome_of_a_receipt_can_be_asked_for_again() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let receipt = within(client.enqueue(q1("a", 0))).await.expect("kept");
        let step = async |_| peer.expect_and_answer("PUBLISH a").await;
        let outcome = polled(polls, receipt.outcome(), step).await;
        assert!(outcome.is_none() || outcome == Some(DELIVERED));
        let serving = peer.serve();
        assert_eq!(within(receipt.outcome()).await, DELIVERED);
        assert_eq!(finish(&client, serving).await, ["PUBLISH a"]);
        outcome.is_some()
    });
    assert_eq!(polls.await, 2);
}

#[tokio::test]
async fn a_subscription_is_made_and_its_handler_stays() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let (handler, mut messages) = collect();
        let subscribing = client.subscribe("a", Qos::AtLeastOnce, handler);
        let step = async |_| peer.expect_and_answer("SUBSCRIBE a").await;
        let granted = polled(polls, subscribing, step).await;
        assert!(matches!(granted, None | Some(Ok(Granted { .. }))));
        if polls < 2 {
            peer.expect_and_answer("SUBSCRIBE a").await;
        }
        peer.publish("a", 7).await;
        assert_eq!(next(&mut messages).await.topic(), "a");
        assert_eq!(
            finish(&client, peer.serve()).await,
            ["SUBSCRIBE a", "PUBACK 7"]
        );
        granted.is_some()
    });
    assert_eq!(polls.await, 2);
}

#[tokio::test]
async fn a_subscription_is_removed() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let (handler, mut messages) = collect();
        drop(client.subscribe("a", Qos::AtLeastOnce, handler));
        peer.expect_and_answer("SUBSCRIBE a").await;
        let unsubscribing = client.unsubscribe("a");
        let step = async |_| peer.expect_and_answer("UNSUBSCRIBE a").await;
        let removed = polled(polls, unsubscribing, step).await;
        assert!(matches!(removed, None | Some(Ok(()))));
        // The handler is gone with the last message that it may get.
        assert!(within(messages.recv()).await.is_none());
        assert_eq!(
            finish(&client, peer.serve()).await,
            ["SUBSCRIBE a", "UNSUBSCRIBE a"]
        );
        removed.is_some()
    });
    assert_eq!(polls.await, 2);
}

#[tokio::test]
async fn a_stream_that_was_not_waited_for_unsubscribes() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let streaming = client.subscribe_stream("a", Qos::AtLeastOnce);
        let step = async |_| peer.expect_and_answer("SUBSCRIBE a").await;
        let stream = polled(polls, streaming, step).await;
        let is_complete = stream.is_some();
        let stream: Option<Result<_, SubscribeError>> = stream;
        // Given out, the stream goes on.
        if let Some(stream) = stream {
            let mut stream = stream.expect("granted");
            peer.publish("a", 7).await;
            let message = within(stream.next()).await.expect("a message");
            assert_eq!(message.topic(), "a");
        }
        let mut log = finish(&client, peer.serve()).await;
        log.sort();
        let expect: &[&str] = &["PUBACK 7", "SUBSCRIBE a", "UNSUBSCRIBE a"];
        let expect = if is_complete { expect } else { &expect[1..] };
        assert_eq!(log, expect, "{polls} polls");
        is_complete
    });
    assert_eq!(polls.await, 2);
}

#[tokio::test]
async fn next_loses_no_message_and_accepts_the_last_one_when_polled() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let streaming = client.subscribe_stream("a", Qos::AtLeastOnce);
        peer.expect_and_answer("SUBSCRIBE a").await;
        let mut stream = within(streaming).await.expect("granted");
        peer.publish("a", 1).await;
        within(stream.next()).await.expect("the first");
        let step = async |_| peer.publish("a", 2).await;
        let second = polled(polls, stream.next(), step).await;
        if polls == 0 {
            // Nothing has been said about the first one yet.
            drop(client.publish(q1("mark", 0)));
            peer.expect_and_answer("PUBLISH mark").await;
        } else {
            peer.expect("PUBACK 1").await;
        }
        if polls < 2 {
            peer.publish("a", 2).await;
            within(stream.next()).await.expect("the second");
            if polls == 0 {
                peer.expect("PUBACK 1").await;
            }
        }
        drop(stream);
        let mut log = finish(&client, peer.serve()).await;
        let mut last = log.split_off(log.len() - 2);
        last.sort();
        assert_eq!(last, ["PUBACK 2", "UNSUBSCRIBE a"]);
        second.is_some()
    });
    assert_eq!(polls.await, 2);
}

#[tokio::test]
async fn next_with_ack_loses_no_message() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let streaming = client.subscribe_stream("a", Qos::AtLeastOnce);
        peer.expect_and_answer("SUBSCRIBE a").await;
        let mut stream = within(streaming).await.expect("granted");
        let step = async |_| peer.publish("a", 1).await;
        let first = polled(polls, stream.next_with_ack(), step).await;
        let is_complete = first.is_some();
        let (_, ack) = match first {
            Some(first) => first.expect("the first"),
            None => {
                peer.publish("a", 1).await;
                within(stream.next_with_ack()).await.expect("the first")
            }
        };
        ack.accept();
        peer.expect("PUBACK 1").await;
        drop(stream);
        peer.expect_and_answer("UNSUBSCRIBE a").await;
        finish(&client, peer.serve()).await;
        is_complete
    });
    assert_eq!(polls.await, 2);
}

#[tokio::test]
async fn a_router_is_mounted_with_all_its_routes() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let router = Router::new()
            .on("a/{name}", async || ())
            .on("b/{name}", async || ());
        let mounting = client.mount(router, Qos::AtLeastOnce).expect("valid");
        let mut subscribes = ["SUBSCRIBE a/+", "SUBSCRIBE b/+"].into_iter();
        let step = async |_| {
            let subscribe = subscribes.next().expect("one for each route");
            peer.expect_and_answer(subscribe).await;
        };
        let mounted = polled(polls, mounting, step).await;
        for subscribe in subscribes {
            peer.expect_and_answer(subscribe).await;
        }
        for (packet_id, topic) in [(1, "a/x"), (2, "b/x")] {
            peer.publish(topic, packet_id).await;
            peer.expect(&format!("PUBACK {packet_id}")).await;
        }
        finish(&client, peer.serve()).await;
        mounted.is_some()
    });
    assert_eq!(polls.await, 3);
}

#[tokio::test]
async fn a_served_pattern_answers() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let serving = client.serve("service/{name}", async || "answer");
        let step = async |_| peer.expect_and_answer("SUBSCRIBE service/+").await;
        let mounted = polled(polls, serving.expect("valid"), step).await;
        if polls < 2 {
            peer.expect_and_answer("SUBSCRIBE service/+").await;
        }
        let properties = PropertiesBuf::new()
            .with(Property::ResponseTopic(
                TopicName::new("inbox").expect("valid"),
            ))
            .expect("short");
        peer.send("service/x", Delivery::AtMostOnce, &properties, b"")
            .await;
        peer.expect_and_answer("PUBLISH inbox").await;
        finish(&client, peer.serve()).await;
        mounted.is_some()
    });
    assert_eq!(polls.await, 2);
}

#[tokio::test]
async fn a_request_gives_its_answer_up_and_disturbs_no_other() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        let request = client.request("service", "first").into_future();
        let mut sent = None;
        let step = async |poll| match poll {
            1 => {
                let subscribe = peer.read().await.expect("connected");
                peer.answer(&subscribe).await;
            }
            2 => {
                let request = peer.expect("PUBLISH service").await;
                peer.answer(&request).await;
                sent = Some(request);
            }
            _ => peer.reply(sent.as_ref().expect("sent")).await,
        };
        let answer = polled(polls, request, step).await;
        if let Some(request) = &sent {
            // Late for the one that was dropped, or twice.
            peer.reply(request).await;
        }
        let serving = peer.serve();
        let second = within(client.request("service", "second").into_future()).await;
        assert_eq!(second.expect("an answer").payload(), "second");
        let log = finish(&client, serving).await;
        let requests = log.iter().filter(|packet| *packet == "PUBLISH service");
        assert_eq!(requests.count(), 1 + usize::from(polls > 0), "{log:?}");
        if let Some(answer) = &answer {
            let answer = answer.as_ref().expect("an answer");
            assert_eq!(answer.payload(), "first");
        }
        answer.is_some()
    });
    assert_eq!(polls.await, 4);
}

#[tokio::test]
async fn a_disconnect_goes_on_from_its_first_poll() {
    let polls = at_each_await_point(async |polls| {
        let (client, mut peer) = online().await;
        drop(client.publish(q1("held", 0)));
        let held = peer.expect("PUBLISH held").await;
        let mut peer = Some(peer);
        let mut serving = None;
        let step = async |_| {
            let mut peer = peer.take().expect("one step");
            peer.answer(&held).await;
            serving = Some(peer.serve());
        };
        let report = polled(polls, client.disconnect(), step).await;
        if let Some(mut peer) = peer {
            if polls > 0 {
                let refused = client.publish(q1("refused", 0));
                assert_eq!(within(refused).await, Err(PublishError::Stopped));
            }
            peer.answer(&held).await;
            serving = Some(peer.serve());
        }
        let serving = serving.expect("one way or the other");
        if polls == 0 {
            let delivered = within(client.publish(q1("more", 0))).await;
            assert_eq!(delivered, DELIVERED);
            assert_eq!(
                finish(&client, serving).await,
                ["PUBLISH held", "PUBLISH more"]
            );
        } else {
            let log = within(serving).await.expect("the server ends");
            assert_eq!(log, ["PUBLISH held", "DISCONNECT"]);
        }
        report.is_some_and(|report| report.is_clean())
    });
    assert_eq!(polls.await, 2);
}

#[tokio::test]
async fn a_disconnect_that_was_not_polled_leaves_a_client_that_can_be_started() {
    let polls = at_each_await_point(async |polls| {
        let server = Server::new().await;
        let client = builder(&server.address).build().expect("valid");
        let report = polled(polls, client.disconnect(), async |_| ()).await;
        client.start();
        match report {
            None => {
                let serving = Peer::accept(&server).await.serve();
                within(client.await_connection()).await.expect("online");
                assert_eq!(finish(&client, serving).await, [""; 0]);
            }
            Some(report) => {
                assert!(!report.disconnect_sent);
                assert!(within(client.await_connection()).await.is_err());
            }
        }
        report.is_some()
    });
    assert_eq!(polls.await, 1);
}
