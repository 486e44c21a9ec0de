//! The broker on real sockets: what only threads, sockets and time can show. The protocol itself is
//! tested in `wigwag-engine`, where a test takes microseconds.

#![expect(clippy::panic, reason = "a test that goes wrong panics")]

mod access;
mod alarms;
mod client;
mod clients;
mod foreign;
mod http;
mod observation;
mod options_page;
mod persistence;
mod recorder;
mod reload;
mod sessions;
mod topics;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use tokio::net::TcpStream;
use wigwag_broker::{Address, Broker, Limits, Listener, StartError, Transport};
use wigwag_proto::ReasonCode;
use wigwag_proto::packet::{Qos, Version};

use client::{Client, Received};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn broker(shards: u16) -> Broker {
    broker_with(shards, Limits::default())
}

fn broker_with(shards: u16, limits: Limits) -> Broker {
    Broker::builder()
        .listener(Listener::tcp(ANY_PORT))
        .listener(Listener::websocket(ANY_PORT))
        .shards(NonZeroU16::new(shards).expect("not zero"))
        .limits(limits)
        .start()
        .expect("port 0 is free")
}

fn addr(broker: &Broker, transport: Transport) -> SocketAddr {
    broker
        .listeners()
        .iter()
        .find(|bound| bound.transport == transport)
        .expect("listening")
        .addr()
        .expect("over TCP")
}

async fn connect(broker: &Broker, client_id: &str) -> Client {
    Client::connect(addr(broker, Transport::Tcp), Version::V5, client_id).await
}

#[tokio::test]
async fn messages_cross_shards_in_order_at_every_qos() {
    let broker = broker(3);
    // Sockets go to the shards in turn, so publishers and subscribers are on all of them.
    let mut subscribers = Vec::new();
    for n in 0..6 {
        let mut client = connect(&broker, &format!("sub{n}")).await;
        client.subscribe("t/+", Qos::ExactlyOnce).await;
        subscribers.push(client);
    }
    for (n, qos) in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
        .into_iter()
        .enumerate()
    {
        let topic = format!("t/{n}");
        let mut publisher = connect(&broker, &format!("pub{n}")).await;
        for m in 0..500_u32 {
            publisher.publish(&topic, &m.to_be_bytes(), qos).await;
        }
        for subscriber in &mut subscribers {
            for m in 0..500_u32 {
                let message = subscriber.message().await;
                assert_eq!(
                    (message.topic.as_str(), &message.payload[..]),
                    (topic.as_str(), &m.to_be_bytes()[..])
                );
                assert_eq!(message.qos, qos);
            }
        }
    }
    drop(subscribers);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_session_follows_its_client_from_shard_to_shard() {
    let broker = broker(2);
    let mut publisher = connect(&broker, "publisher").await;
    let mut sent = 0_u32;
    let mut expected = 0_u32;
    for round in 0..20 {
        let mut subscriber =
            Client::connect_session(addr(&broker, Transport::Tcp), "moving", 600).await;
        assert_eq!(subscriber.session_present, round > 0);
        if round == 0 {
            subscriber.subscribe("m", Qos::AtLeastOnce).await;
        }
        for _ in 0..50 {
            publisher
                .publish("m", &sent.to_be_bytes(), Qos::AtLeastOnce)
                .await;
            sent += 1;
        }
        // Half of what is sent each time stays for the next connection, whichever shard has it.
        while expected < sent - 25 {
            let message = subscriber.message().await;
            assert_eq!(message.payload, expected.to_be_bytes(), "round {round}");
            expected += 1;
        }
        // What it has acknowledged must have arrived before the connection is cut.
        subscriber.ping().await;
    }
    drop(publisher);
    broker.shutdown().await;
}

#[tokio::test]
async fn the_older_of_two_connections_is_told_that_its_session_was_taken_over() {
    let broker = broker(2);
    for _ in 0..4 {
        let mut first = connect(&broker, "twin").await;
        let mut second = connect(&broker, "twin").await;
        assert_eq!(
            first.next().await,
            Received::Disconnect(ReasonCode::SessionTakenOver)
        );
        assert_eq!(first.next().await, Received::Closed);
        second.ping().await;
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn clients_are_told_when_the_broker_stops() {
    let broker = broker(2);
    let mut clients = Vec::new();
    for n in 0..4 {
        clients.push(connect(&broker, &format!("c{n}")).await);
    }
    let mut old = Client::connect(addr(&broker, Transport::Tcp), Version::V3_1_1, "old").await;
    let stopping = tokio::spawn(broker.shutdown());
    for client in &mut clients {
        assert_eq!(
            client.next().await,
            Received::Disconnect(ReasonCode::ServerShuttingDown)
        );
        assert_eq!(client.next().await, Received::Closed);
    }
    assert_eq!(old.next().await, Received::Closed);
    drop((clients, old));
    stopping.await.expect("the broker stops");
}

#[tokio::test]
async fn a_broker_stops_although_a_client_does_not_read() {
    let mut limits = Limits::default();
    limits.linger = Duration::from_millis(50);
    let broker = broker_with(1, limits);
    let mut deaf = connect(&broker, "deaf").await;
    deaf.subscribe("flood", Qos::AtMostOnce).await;
    let mut publisher = connect(&broker, "publisher").await;
    let payload = vec![0; 100_000];
    for _ in 0..200 {
        publisher.publish("flood", &payload, Qos::AtMostOnce).await;
    }
    publisher.ping().await;
    tokio::time::timeout(Duration::from_secs(60), broker.shutdown())
        .await
        .expect("the broker stops");
}

#[tokio::test]
async fn a_connection_without_connect_is_closed() {
    let mut limits = Limits::default();
    limits.connect_timeout = Duration::from_millis(50);
    let broker = broker_with(1, limits);
    for transport in [Transport::Tcp, Transport::WebSocket] {
        let mut silent = TcpStream::connect(addr(&broker, transport))
            .await
            .expect("connected");
        let mut byte = [0];
        let read = tokio::io::AsyncReadExt::read(&mut silent, &mut byte);
        let closed = tokio::time::timeout(Duration::from_secs(60), read)
            .await
            .expect("closed in time");
        assert!(matches!(closed, Ok(0) | Err(_)), "{transport}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_says_which() {
    let first = broker(1);
    let taken = addr(&first, Transport::Tcp);
    let error = Broker::builder()
        .listener(Listener::tcp(taken))
        .start()
        .expect_err("in use");
    let StartError::Listen { address, source } = error else {
        panic!("{error}")
    };
    assert_eq!(address, Address::Tcp(taken));
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
    first.shutdown().await;
}

#[tokio::test]
async fn mqtt_over_websocket_reaches_clients_over_tcp() {
    let broker = broker(2);
    let mut subscriber = connect(&broker, "tcp").await;
    subscriber.subscribe("#", Qos::AtLeastOnce).await;
    let mut publisher = Client::connect_websocket(addr(&broker, Transport::WebSocket), "ws").await;
    let large = vec![b'x'; 300_000];
    publisher.publish("ws", &large, Qos::AtLeastOnce).await;
    assert_eq!(subscriber.message().await.payload, large);
    publisher.subscribe("back", Qos::AtMostOnce).await;
    subscriber.publish("back", &large, Qos::AtMostOnce).await;
    assert_eq!(publisher.message().await.payload, large);
    drop((subscriber, publisher));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_subscriber_that_pauses_loses_nothing_at_qos_1() {
    let broker = broker(2);
    let mut subscriber = connect(&broker, "slow").await;
    subscriber.subscribe("t", Qos::AtLeastOnce).await;
    let mut publisher = connect(&broker, "fast").await;
    let payload = vec![0; 10_000];
    for n in 0..1_000_u32 {
        publisher
            .publish(
                "t",
                &[&n.to_be_bytes()[..], &payload].concat(),
                Qos::AtLeastOnce,
            )
            .await;
    }
    for n in 0..1_000_u32 {
        assert_eq!(subscriber.message().await.payload[..4], n.to_be_bytes());
    }
    drop((subscriber, publisher));
    broker.shutdown().await;
}
