//! A server that does what a test tells it to, one packet at a time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wigwag_client::{ReasonCode, Version};
use wigwag_proto::codec::{decode, encode, frame};
use wigwag_proto::packet::{ConnAck, Delivery, PublishAck, SubscribeAck};
use wigwag_proto::{DecodeLimits, Packet, Properties};

use crate::within;

pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) address: String,
}

impl Server {
    pub(crate) async fn new() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        Server {
            listener,
            address: format!("mqtt://127.0.0.1:{port}"),
        }
    }

    /// Takes the next connection as it comes.
    pub(crate) async fn accept_raw(&self) -> Connection {
        let (stream, _) = within(self.listener.accept()).await.expect("a connection");
        stream.set_nodelay(true).expect("open");
        Connection {
            stream,
            bytes: Vec::new(),
        }
    }

    /// Takes the next connection and accepts its CONNECT.
    pub(crate) async fn accept(&self) -> Connection {
        self.accept_with(false, ReasonCode::Success).await
    }

    pub(crate) async fn accept_with(
        &self,
        session_present: bool,
        reason: ReasonCode,
    ) -> Connection {
        let mut connection = self.accept_raw().await;
        connection
            .expect(|packet| matches!(packet, Packet::Connect(_)))
            .await;
        connection
            .send(&Packet::ConnAck(ConnAck {
                session_present,
                reason,
                properties: Properties::EMPTY,
            }))
            .await;
        connection
    }
}

/// The server's end of a connection, in MQTT 5.
pub(crate) struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Connection {
    /// The next packet in its wire form; `None` when the client has closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let found = frame(&self.bytes, u32::MAX).expect("a packet");
            if let Some(len) = found.map(|found| found.len) {
                return Some(self.bytes.drain(..len).collect());
            }
            match within(self.stream.read_buf(&mut self.bytes)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Waits for a packet that must be of this kind.
    pub(crate) async fn expect(&mut self, wanted: impl FnOnce(&Packet<'_>) -> bool) -> Vec<u8> {
        let bytes = self.next().await.expect("the client is connected");
        let packet = parse(&bytes);
        assert!(wanted(&packet), "{packet:?}");
        bytes
    }

    pub(crate) async fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, Version::V5, &mut bytes).expect("valid");
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("connected");
    }

    /// Sends a packet in pieces of one byte.
    pub(crate) async fn send_slowly(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, Version::V5, &mut bytes).expect("valid");
        for byte in bytes {
            self.stream.write_all(&[byte]).await.expect("connected");
            tokio::task::yield_now().await;
        }
    }

    /// Answers whatever needs an answer until the client ends the connection; returns the topics of its
    /// messages and whether it said goodbye.
    pub(crate) async fn serve(&mut self) -> (Vec<String>, bool) {
        let mut topics = Vec::new();
        let mut said_goodbye = false;
        while let Some(bytes) = self.next().await {
            let packet = parse(&bytes);
            match &packet {
                Packet::Publish(publish) => {
                    topics.extend(publish.topic.map(|topic| topic.as_str().to_owned()));
                }
                Packet::Disconnect(_) => said_goodbye = true,
                _ => {}
            }
            self.answer(&packet).await;
        }
        (topics, said_goodbye)
    }

    /// Answers a packet of the client, if it needs an answer, as a server does that agrees to everything.
    pub(crate) async fn answer(&mut self, packet: &Packet<'_>) {
        let success = |id| PublishAck::new(id, ReasonCode::Success);
        let acknowledged = |packet_id, reason, count| SubscribeAck {
            packet_id,
            properties: Properties::EMPTY,
            reasons: vec![reason; count],
        };
        let answer = match packet {
            Packet::Publish(publish) => match publish.delivery {
                Delivery::AtMostOnce => return,
                Delivery::AtLeastOnce { packet_id, .. } => Packet::PubAck(success(packet_id)),
                Delivery::ExactlyOnce { packet_id, .. } => Packet::PubRec(success(packet_id)),
            },
            Packet::PubRec(ack) => Packet::PubRel(success(ack.packet_id)),
            Packet::PubRel(ack) => Packet::PubComp(success(ack.packet_id)),
            Packet::Subscribe(own) => {
                let (reason, count) = (ReasonCode::GrantedQos1, own.subscriptions.len());
                Packet::SubAck(acknowledged(own.packet_id, reason, count))
            }
            Packet::Unsubscribe(own) => {
                let (reason, count) = (ReasonCode::Success, own.filters.len());
                Packet::UnsubAck(acknowledged(own.packet_id, reason, count))
            }
            Packet::PingReq => Packet::PingResp,
            _ => return,
        };
        self.send(&answer).await;
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Packet<'_> {
    let found = frame(bytes, u32::MAX).expect("a packet").expect("whole");
    decode(found, Version::V5, &DecodeLimits::UNLIMITED).expect("a packet")
}
