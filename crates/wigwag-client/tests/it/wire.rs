//! Connections without a client: what is pushed is what leaves, and what arrives is shown once.

use std::time::Duration;

use wigwag_client::wire::packet::{
    Connect, Delivery, Packet, Publish as PublishPacket, PublishAck,
};
use wigwag_client::wire::{DialError, Properties, Wire, WireError};
use wigwag_client::{Bytes, Client, Limits, ReasonCode, Version};
use wigwag_proto::{PacketId, TopicName};

use crate::server::{Server, parse};
use crate::within;

const CONNECT: Packet<'static> = Packet::Connect(Connect {
    version: Version::V5,
    is_bridge: false,
    client_id: "me",
    clean_start: true,
    keep_alive_secs: 0,
    properties: Properties::EMPTY,
    will: None,
    user_name: None,
    password: None,
});

fn publish(packet_id: u16) -> PublishPacket<'static> {
    PublishPacket {
        delivery: Delivery::AtLeastOnce {
            packet_id: PacketId::new(packet_id).expect("not zero"),
            dup: false,
        },
        retain: false,
        topic: TopicName::new("a/b").ok(),
        properties: Properties::EMPTY,
        payload: b"",
    }
}

async fn open(server: &Server) -> Wire {
    let wire = Client::builder(&server.address).open_wire();
    within(wire).await.expect("the server listens")
}

#[tokio::test]
async fn only_what_was_pushed_leaves() {
    let server = Server::new().await;
    let mut wire = open(&server).await;
    let mut connection = server.accept_raw().await;
    wire.push(&CONNECT).expect("valid");
    let payload = Bytes::from(vec![b'x'; 100_000]);
    wire.outlet()
        .push_publish(&publish(7), &payload)
        .expect("valid");
    wire.flush().await.expect("open");
    assert_eq!(wire.queued(), 0);
    let first = connection.next().await.expect("a packet");
    assert_eq!(parse(&first), CONNECT);
    let second = connection.next().await.expect("a packet");
    let expect = PublishPacket {
        payload: &payload,
        ..publish(7)
    };
    assert_eq!(parse(&second), Packet::Publish(expect));
    within(wire.close()).await.expect("open");
    assert_eq!(connection.next().await, None);
}

#[tokio::test]
async fn packets_are_shown_one_at_a_time_and_lost_by_nobody() {
    let server = Server::new().await;
    let mut wire = open(&server).await;
    let mut connection = server.accept_raw().await;
    let ack = |id| PublishAck::new(PacketId::new(id).expect("not zero"), ReasonCode::Success);
    // A future that is given up has taken nothing.
    let nothing = tokio::time::timeout(Duration::ZERO, wire.receive(|_, _| ())).await;
    assert!(nothing.is_err(), "nothing has been sent");
    for id in 1..=3 {
        connection.send(&Packet::PubAck(ack(id))).await;
    }
    drop(connection);
    for id in 1..=3 {
        let shown = within(wire.receive(|packet, _| *packet == Packet::PubAck(ack(id)))).await;
        assert!(shown.expect("a packet"));
    }
    let end = within(wire.receive(|_, _| ())).await;
    assert!(
        matches!(end, Err(WireError::Closed | WireError::Io(_))),
        "{end:?}"
    );
}

#[tokio::test]
async fn what_is_shown_can_be_answered() {
    let server = Server::new().await;
    let mut wire = open(&server).await;
    let mut connection = server.accept_raw().await;
    connection.send(&Packet::PingResp).await;
    let answered = wire.receive(|_, outlet| outlet.push(&Packet::PingReq));
    within(answered).await.expect("a packet").expect("valid");
    wire.flush().await.expect("open");
    connection.expect(|packet| *packet == Packet::PingReq).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let server = Server::new().await;
    let limits = Limits {
        packet_size_max: 1024,
        ..Limits::default()
    };
    let wire = Client::builder(&server.address).limits(limits).open_wire();
    let mut wire = within(wire).await.expect("the server listens");
    let mut connection = server.accept_raw().await;
    let payload = [b'x'; 2_000];
    let large = PublishPacket {
        payload: &payload,
        ..publish(1)
    };
    connection.send(&Packet::Publish(large)).await;
    let end = within(wire.receive(|_, _| ())).await;
    assert!(matches!(end, Err(WireError::Packet(_))), "{end:?}");
}

#[tokio::test]
async fn the_refusal_of_a_server_that_knows_no_mqtt_5_can_be_read() {
    let server = Server::new().await;
    let mut wire = open(&server).await;
    let mut connection = server.accept_raw().await;
    connection.send_bytes(&[0x20, 2, 0, 1]).await;
    let shown = within(wire.receive(|packet, _| match packet {
        Packet::ConnAck(connack) => Some(connack.reason),
        _ => None,
    }));
    let reason = shown.await.expect("a packet");
    assert_eq!(reason, Some(ReasonCode::UnsupportedProtocolVersion));
}

#[tokio::test]
async fn the_next_server_is_called_when_one_does_not_answer() {
    let server = Server::new().await;
    let nobody = "mqtt://no-such-host.invalid";
    let error = within(Client::builder(nobody).open_wire()).await;
    assert!(
        matches!(error, Err(WireError::Dial(DialError::Lookup { .. }))),
        "{error:?}"
    );
    let wire = Client::builder(nobody).server(&server.address).open_wire();
    within(wire).await.expect("the second one listens");
}
