//! Requests and answers against a scripted server.

use std::future::IntoFuture;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::mpsc;
use wigwag_client::{
    Bytes, Client, Limits, Message, Qos, ReasonCode, Reject, Reply, Request, RequestError, Router,
    SubscribeError, Version,
};
use wigwag_proto::packet::{Delivery, Publish as PublishPacket, PublishAck, SubscribeAck};
use wigwag_proto::{Packet, PacketId, Properties, PropertiesBuf, Property, TopicName};

use crate::server::{Connection, Server, parse};
use crate::{builder, within};

fn client(server: &Server) -> Client {
    let named = builder(&server.address).client_id("c");
    let client = named.session_expiry(Duration::from_secs(60));
    client.build().expect("valid")
}

fn send_request(
    client: &Client,
    number: u8,
) -> tokio::task::JoinHandle<Result<Message, RequestError>> {
    tokio::spawn(client.request("service", vec![number]).into_future())
}

/// A request that the server has got.
#[derive(Clone)]
struct Got {
    payload: Vec<u8>,
    packet_id: Option<PacketId>,
    correlation: Vec<u8>,
}

/// The next request. The subscription to the inbox is granted on the way.
async fn next_request(connection: &mut Connection) -> Got {
    loop {
        let bytes = connection.next().await.expect("connected");
        match parse(&bytes) {
            Packet::Subscribe(subscribe) => {
                let filter = subscribe.subscriptions[0].filter.as_str();
                assert_eq!(filter, "wigwag/inbox/c");
                answer_subscribe(connection, subscribe.packet_id, ReasonCode::GrantedQos2).await;
            }
            Packet::Publish(publish) => {
                let response = publish.properties.response_topic();
                assert_eq!(response.map(TopicName::as_str), Some("wigwag/inbox/c"));
                let correlation = publish.properties.correlation_data();
                return Got {
                    payload: publish.payload.to_vec(),
                    packet_id: publish.delivery.packet_id(),
                    correlation: correlation.expect("there is some").to_vec(),
                };
            }
            Packet::PubAck(_) => {}
            other => unreachable!("{other:?}"),
        }
    }
}

async fn answer_subscribe(connection: &mut Connection, packet_id: PacketId, reason: ReasonCode) {
    let ack = SubscribeAck {
        packet_id,
        properties: Properties::EMPTY,
        reasons: vec![reason],
    };
    connection.send(&Packet::SubAck(ack)).await;
}

async fn acknowledge(connection: &mut Connection, got: &Got, reason: ReasonCode) {
    let packet_id = got.packet_id.expect("QoS 1");
    let ack = PublishAck::new(packet_id, reason);
    connection.send(&Packet::PubAck(ack)).await;
}

async fn reply(connection: &mut Connection, got: &Got) {
    let mut properties = PropertiesBuf::new();
    let correlation = Property::CorrelationData(&got.correlation);
    properties.push(correlation).expect("short");
    publish(connection, "wigwag/inbox/c", &properties, &got.payload).await;
}

async fn publish(
    connection: &mut Connection,
    topic: &str,
    properties: &PropertiesBuf,
    payload: &[u8],
) {
    let packet = PublishPacket {
        delivery: Delivery::AtMostOnce,
        retain: false,
        topic: TopicName::new(topic).ok(),
        properties: properties.as_properties(),
        payload,
    };
    connection.send(&Packet::Publish(packet)).await;
}

async fn answer(
    request: tokio::task::JoinHandle<Result<Message, RequestError>>,
) -> Result<Bytes, RequestError> {
    let answer = within(request).await.expect("no panic");
    answer.map(|message| message.payload().clone())
}

#[tokio::test]
async fn an_answer_may_come_before_the_acknowledgement() {
    let server = Server::new().await;
    let client = client(&server);
    client.start();
    let mut connection = server.accept().await;
    let request = send_request(&client, 1);
    let got = next_request(&mut connection).await;
    reply(&mut connection, &got).await;
    assert_eq!(answer(request).await.as_deref(), Ok(&[1][..]));
    acknowledge(&mut connection, &got, ReasonCode::Success).await;
    assert!(within(client.disconnect()).await.in_flight == 0);
}

#[tokio::test]
async fn twenty_requests_at_once_get_their_own_answers() {
    let server = Server::new().await;
    let client = client(&server);
    let requests: Vec<_> = (0..20)
        .map(|number| send_request(&client, number))
        .collect();
    client.start();
    let mut connection = server.accept().await;
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(next_request(&mut connection).await);
    }
    let mut correlations: Vec<_> = all.iter().map(|got| got.correlation.clone()).collect();
    correlations.sort();
    correlations.dedup();
    assert_eq!(correlations.len(), 20);
    for got in all.iter().rev() {
        reply(&mut connection, got).await;
        // A second answer is nobody's.
        reply(&mut connection, got).await;
    }
    for (number, request) in (0..20).zip(requests) {
        assert_eq!(answer(request).await.as_deref(), Ok(&[number][..]));
    }
}

#[tokio::test]
async fn a_request_survives_a_reconnect_with_and_without_its_session() {
    for session_present in [true, false] {
        let server = Server::new().await;
        let client = client(&server);
        client.start();
        let mut connection = server.accept().await;
        let request = send_request(&client, 1);
        let mut got = next_request(&mut connection).await;
        if !session_present {
            // It is with whoever answers it; only its inbox must come back.
            acknowledge(&mut connection, &got, ReasonCode::Success).await;
            connection.send(&Packet::PingResp).await;
            let synced = client.request("sync", "").qos(Qos::AtMostOnce);
            let synced = tokio::spawn(synced.into_future());
            let sync = next_request(&mut connection).await;
            reply(&mut connection, &sync).await;
            assert!(answer(synced).await.is_ok());
        }
        drop(connection);
        let mut connection = server
            .accept_with(session_present, ReasonCode::Success)
            .await;
        if session_present {
            got = next_request(&mut connection).await;
        } else {
            let bytes = connection.next().await.expect("connected");
            let Packet::Subscribe(subscribe) = parse(&bytes) else {
                unreachable!("the inbox is restored");
            };
            let granted = ReasonCode::GrantedQos1;
            answer_subscribe(&mut connection, subscribe.packet_id, granted).await;
        }
        reply(&mut connection, &got).await;
        assert_eq!(answer(request).await.as_deref(), Ok(&[1][..]));
    }
}

#[tokio::test]
async fn a_refused_inbox_fails_the_request_and_the_next_one_tries_again() {
    let server = Server::new().await;
    let client = client(&server);
    client.start();
    let mut connection = server.accept().await;
    let request = send_request(&client, 1);
    let bytes = connection.next().await.expect("connected");
    let Packet::Subscribe(subscribe) = parse(&bytes) else {
        unreachable!("the inbox comes first");
    };
    let refusal = ReasonCode::NotAuthorized;
    answer_subscribe(&mut connection, subscribe.packet_id, refusal).await;
    let refused = RequestError::Inbox(SubscribeError::Rejected(refusal));
    assert_eq!(answer(request).await, Err(refused));
    connection
        .expect(|packet| matches!(packet, Packet::Publish(_)))
        .await;
    let request = send_request(&client, 2);
    let got = next_request(&mut connection).await;
    reply(&mut connection, &got).await;
    assert_eq!(answer(request).await.as_deref(), Ok(&[2][..]));
}

#[tokio::test]
async fn requests_end_by_timeout_refusal_stop_and_version() {
    let server = Server::new().await;
    let old = builder(&server.address).version(Version::V3_1_1).build();
    let old = old.expect("valid").request("service", "").await;
    assert_eq!(old.map(drop), Err(RequestError::Version));

    let client = client(&server);
    client.start();
    let mut connection = server.accept().await;
    // The request has to leave in it.
    let short = Duration::from_secs(3);
    let late = tokio::spawn(
        client
            .request("service", "late")
            .timeout(short)
            .into_future(),
    );
    let got = next_request(&mut connection).await;
    assert_eq!(answer(late).await, Err(RequestError::Timeout(short)));
    reply(&mut connection, &got).await;
    let request = send_request(&client, 1);
    let got = next_request(&mut connection).await;
    acknowledge(&mut connection, &got, ReasonCode::NotAuthorized).await;
    let rejected = RequestError::Rejected(ReasonCode::NotAuthorized);
    assert_eq!(answer(request).await, Err(rejected));
    let request = send_request(&client, 2);
    next_request(&mut connection).await;
    within(client.disconnect_within(Duration::ZERO)).await;
    assert_eq!(answer(request).await, Err(RequestError::Stopped));
    let after = send_request(&client, 3);
    assert!(answer(after).await.is_err());
}

/// A request has one await point, where it waits for its answer: before the connection, for the
/// acknowledgement, and after it.
#[tokio::test]
async fn a_dropped_request_gives_its_answer_up_and_disturbs_no_other() {
    let server = Server::new().await;
    let client = client(&server);
    let drop_after = |polls: usize| {
        let mut future = client.request("service", "dropped").into_future();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..polls {
            assert!(matches!(future.as_mut().poll(&mut context), Poll::Pending));
        }
    };
    drop_after(0);
    drop_after(1);
    client.start();
    let mut connection = server.accept().await;
    let first = next_request(&mut connection).await;
    assert_eq!(first.payload, b"dropped");
    drop_after(2);
    let second = next_request(&mut connection).await;
    for got in [&first, &second] {
        acknowledge(&mut connection, got, ReasonCode::Success).await;
        reply(&mut connection, got).await;
    }
    let request = send_request(&client, 7);
    let got = next_request(&mut connection).await;
    assert_eq!(got.payload, [7]);
    reply(&mut connection, &got).await;
    assert_eq!(answer(request).await.as_deref(), Ok(&[7][..]));
}

#[tokio::test]
async fn handlers_make_ten_times_the_requests_that_any_queue_holds() {
    const QUEUE: u16 = 2;
    let server = Server::new().await;
    let limits = Limits {
        queue_messages: QUEUE.into(),
        handler_messages: QUEUE.into(),
        ..Limits::default()
    };
    let client = builder(&server.address)
        .client_id("c")
        .limits(limits)
        .build()
        .expect("valid");
    let (done, mut is_done) = mpsc::unbounded_channel();
    let ask = move |client: Client| {
        let done = done.clone();
        async move {
            for number in 0..10 {
                let answer = client.request("service", vec![number]).await?;
                assert_eq!(answer.payload(), &vec![number]);
            }
            let _ = done.send(());
            Ok::<_, RequestError>(())
        }
    };
    let router = Router::new().on("in", ask).workers(2);
    drop(client.mount(router, Qos::AtLeastOnce).expect("valid"));
    client.start();
    let mut connection = server.accept().await;
    let subscribe = connection.next().await.expect("connected");
    assert!(matches!(parse(&subscribe), Packet::Subscribe(_)));
    for _ in 0..10 * QUEUE {
        publish(&mut connection, "in", &PropertiesBuf::new(), b"").await;
    }
    let serving = tokio::spawn(async move {
        loop {
            let got = next_request(&mut connection).await;
            acknowledge(&mut connection, &got, ReasonCode::Success).await;
            reply(&mut connection, &got).await;
        }
    });
    for _ in 0..10 * QUEUE {
        within(is_done.recv()).await.expect("the handler ends");
    }
    serving.abort();
}

#[tokio::test]
async fn a_served_request_is_acknowledged_after_its_answer() {
    let server = Server::new().await;
    let client = client(&server);
    let serving = client.serve("echo", |payload: Bytes| async move {
        if payload.is_empty() {
            return Err(Reject::new(ReasonCode::PayloadFormatInvalid));
        }
        Ok(Reply::new(payload).content_type("text/plain"))
    });
    drop(serving.expect("valid"));
    client.start();
    let mut connection = server.accept().await;
    connection
        .expect(|packet| matches!(packet, Packet::Subscribe(_)))
        .await;
    let mut properties = PropertiesBuf::new();
    let response = TopicName::new("answers").expect("valid");
    properties
        .push(Property::ResponseTopic(response))
        .expect("short");
    properties
        .push(Property::CorrelationData(b"42"))
        .expect("short");
    let request = |packet_id, properties, payload| {
        Packet::Publish(PublishPacket {
            delivery: Delivery::AtLeastOnce {
                packet_id: PacketId::new(packet_id).expect("not zero"),
                dup: false,
            },
            retain: false,
            topic: TopicName::new("echo").ok(),
            properties,
            payload,
        })
    };
    connection
        .send(&request(1, properties.as_properties(), b"hello"))
        .await;
    let bytes = connection.next().await.expect("connected");
    let Packet::Publish(answer) = parse(&bytes) else {
        unreachable!("the answer comes before the acknowledgement");
    };
    assert_eq!(answer.topic.map(TopicName::as_str), Some("answers"));
    assert_eq!(answer.payload, b"hello");
    assert_eq!(answer.properties.correlation_data(), Some(&b"42"[..]));
    assert_eq!(answer.properties.content_type(), Some("text/plain"));
    let packet_id = answer.delivery.packet_id().expect("QoS 1");
    let ack = PublishAck::new(packet_id, ReasonCode::Success);
    connection.send(&Packet::PubAck(ack)).await;
    let is_ack = |wanted, reason| move |packet: &Packet<'_>| matches!(packet, Packet::PubAck(ack) if ack.packet_id.get() == wanted && ack.reason == reason);
    connection.expect(is_ack(1, ReasonCode::Success)).await;
    // Nobody waits for an answer, and one that is an error.
    connection
        .send(&request(2, Properties::EMPTY, b"hello"))
        .await;
    connection.expect(is_ack(2, ReasonCode::Success)).await;
    connection
        .send(&request(3, properties.as_properties(), b""))
        .await;
    connection
        .expect(is_ack(3, ReasonCode::PayloadFormatInvalid))
        .await;
}

#[test]
fn a_request_is_sent_to_other_tasks() {
    fn check<T: Send>() {}
    check::<Request>();
}
