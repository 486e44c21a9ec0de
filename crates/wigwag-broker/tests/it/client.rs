//! A plain client for tests: one packet after the other, each awaited with a bound.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use wigwag_net::dial::{Target, dial};
use wigwag_net::{Pump, Stream};
use wigwag_proto::codec::{DecodeLimits, decode, encode, frame};
use wigwag_proto::packet::{
    Connect, Delivery, Packet, PacketId, Publish, PublishAck, Qos, Subscribe, Subscription,
    SubscriptionOptions, Version, Will,
};
use wigwag_proto::{
    OutBuf, Properties, PropertiesBuf, Property, ReasonCode, TopicFilter, TopicName,
};

/// Longer than anything that these tests wait for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    pump: Pump<Stream>,
    version: Version,
    received: VecDeque<Received>,
    scratch: Vec<u8>,
    next_id: u16,
    pub(crate) session_present: bool,
    /// What was answered to subscriptions and, at QoS 1, to messages, in order.
    pub(crate) reasons: Vec<ReasonCode>,
}

/// Who a client says it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) user_name: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// What a client has received, with what the tests look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    ConnAck {
        session_present: bool,
        reason: ReasonCode,
    },
    Message(Message),
    Release(PacketId),
    Ack(PacketId),
    PubRec(PacketId),
    Pong,
    Disconnect(ReasonCode),
    Closed,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: Qos,
    packet_id: Option<PacketId>,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr, version: Version, client_id: &str) -> Client {
        Client::start(&format!("mqtt://{addr}"), version, client_id, 0).await
    }

    /// With Clean Start 0 and a session that outlives the connection.
    pub(crate) async fn connect_session(
        addr: SocketAddr,
        client_id: &str,
        expiry_secs: u32,
    ) -> Client {
        Client::start(
            &format!("mqtt://{addr}"),
            Version::V5,
            client_id,
            expiry_secs,
        )
        .await
    }

    pub(crate) async fn connect_websocket(addr: SocketAddr, client_id: &str) -> Client {
        Client::start(&format!("ws://{addr}/mqtt"), Version::V5, client_id, 0).await
    }

    async fn dial(url: &str, version: Version) -> Client {
        let target = Target::parse(url).expect("a URL");
        let stream = dial(&target, 1_000_000).await.expect("connected");
        Client::over(stream, version)
    }

    /// A connection on which nothing has been sent.
    pub(crate) fn over(stream: Stream, version: Version) -> Client {
        Client {
            pump: Pump::new(stream),
            version,
            received: VecDeque::new(),
            scratch: vec![0; 16 * 1024],
            next_id: 1,
            session_present: false,
            reasons: Vec::new(),
        }
    }

    /// With a Will of this topic.
    pub(crate) async fn connect_with_will(
        addr: SocketAddr,
        client_id: &str,
        topic: &str,
    ) -> Client {
        let will = Will {
            topic: TopicName::new(topic).expect("a Topic Name"),
            payload: b"gone",
            qos: Qos::AtMostOnce,
            retain: false,
            properties: Properties::EMPTY,
        };
        let url = format!("mqtt://{addr}");
        Client::start_with(&url, Version::V5, client_id, 0, Some(will)).await
    }

    async fn start(url: &str, version: Version, client_id: &str, expiry_secs: u32) -> Client {
        Client::start_with(url, version, client_id, expiry_secs, None).await
    }

    async fn start_with(
        url: &str,
        version: Version,
        client_id: &str,
        expiry_secs: u32,
        will: Option<Will<'_>>,
    ) -> Client {
        let mut client = Client::dial(url, version).await;
        let properties = PropertiesBuf::new()
            .with(Property::SessionExpiryInterval(expiry_secs))
            .expect("short");
        client
            .send(&Packet::Connect(Connect {
                version,
                is_bridge: false,
                client_id,
                clean_start: expiry_secs == 0,
                keep_alive_secs: 60,
                properties: if version == Version::V5 {
                    properties.as_properties()
                } else {
                    Properties::EMPTY
                },
                will,
                user_name: None,
                password: None,
            }))
            .await;
        match client.next().await {
            Received::ConnAck {
                session_present,
                reason: ReasonCode::Success,
            } => {
                client.session_present = session_present;
            }
            other => panic!("expected CONNACK, got {other:?}"),
        }
        client
    }

    /// Tries to come in; the reason if it may not.
    pub(crate) async fn try_connect(
        addr: SocketAddr,
        version: Version,
        login: Login<'_>,
    ) -> Result<Client, ReasonCode> {
        let client = Client::dial(&format!("mqtt://{addr}"), version).await;
        client.log_in(login).await
    }

    /// The same over a stream of its own, with MQTT 5.
    pub(crate) async fn try_connect_over(
        stream: Stream,
        login: Login<'_>,
    ) -> Result<Client, ReasonCode> {
        Client::over(stream, Version::V5).log_in(login).await
    }

    pub(crate) async fn send_connect(&mut self, login: Login<'_>) {
        self.send(&Packet::Connect(Connect {
            version: self.version,
            is_bridge: false,
            client_id: login.client_id,
            clean_start: true,
            keep_alive_secs: 60,
            properties: Properties::EMPTY,
            will: None,
            user_name: login.user_name,
            password: login.password.map(str::as_bytes),
        }))
        .await;
    }

    async fn log_in(self, login: Login<'_>) -> Result<Client, ReasonCode> {
        let mut client = self;
        client.send_connect(login).await;
        match client.next().await {
            Received::ConnAck {
                reason: ReasonCode::Success,
                ..
            } => Ok(client),
            Received::ConnAck { reason, .. } => Err(reason),
            other => panic!("expected CONNACK, got {other:?}"),
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: Qos) {
        let packet_id = self.packet_id();
        let filter = TopicFilter::new(filter).expect("a filter");
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        let subscriptions = vec![Subscription { filter, options }];
        self.send(&Packet::Subscribe(Subscribe {
            packet_id,
            properties: Properties::EMPTY,
            subscriptions,
        }))
        .await;
        self.expect(&Received::Ack(packet_id)).await;
    }

    /// Publishes and waits for the acknowledgements of the QoS.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8], qos: Qos) {
        self.publish_with(topic, payload, qos, false).await;
    }

    /// The same at QoS 1 for a message that is retained.
    pub(crate) async fn publish_retained(&mut self, topic: &str, payload: &[u8]) {
        self.publish_with(topic, payload, Qos::AtLeastOnce, true)
            .await;
    }

    async fn publish_with(&mut self, topic: &str, payload: &[u8], qos: Qos, retain: bool) {
        let packet_id = self.packet_id();
        let delivery = match qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce => Delivery::AtLeastOnce {
                packet_id,
                dup: false,
            },
            Qos::ExactlyOnce => Delivery::ExactlyOnce {
                packet_id,
                dup: false,
            },
        };
        let topic = Some(TopicName::new(topic).expect("a topic"));
        let packet = Publish {
            delivery,
            retain,
            topic,
            properties: Properties::EMPTY,
            payload,
        };
        self.send(&Packet::Publish(packet)).await;
        match qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => self.expect(&Received::Ack(packet_id)).await,
            Qos::ExactlyOnce => {
                self.expect(&Received::PubRec(packet_id)).await;
                self.send(&Packet::PubRel(PublishAck::new(
                    packet_id,
                    ReasonCode::Success,
                )))
                .await;
                self.expect(&Received::Ack(packet_id)).await;
            }
        }
    }

    /// The next message, acknowledged.
    pub(crate) async fn message(&mut self) -> Message {
        let message = match self.next().await {
            Received::Message(message) => message,
            other => panic!("expected a message, got {other:?}"),
        };
        let ack = message
            .packet_id
            .map(|id| PublishAck::new(id, ReasonCode::Success));
        match (message.qos, ack) {
            (Qos::AtLeastOnce, Some(ack)) => self.send(&Packet::PubAck(ack)).await,
            (Qos::ExactlyOnce, Some(ack)) => {
                self.send(&Packet::PubRec(ack)).await;
                self.expect(&Received::Release(ack.packet_id)).await;
                self.send(&Packet::PubComp(ack)).await;
            }
            _ => {}
        }
        message
    }

    /// The next message, if it has come already. Only for QoS 0: it is not acknowledged.
    pub(crate) fn arrived(&mut self) -> Option<Message> {
        match self.received.pop_front()? {
            Received::Message(message) => Some(message),
            other => panic!("expected a message, got {other:?}"),
        }
    }

    pub(crate) async fn ping(&mut self) {
        self.send(&Packet::PingReq).await;
        self.expect(&Received::Pong).await;
    }

    /// Waits for `expected`, which other packets may precede; they stay for later.
    async fn expect(&mut self, expected: &Received) {
        let mut looked_at = 0;
        loop {
            if let Some(found) =
                (looked_at..self.received.len()).find(|&at| self.received[at] == *expected)
            {
                self.received.remove(found);
                return;
            }
            looked_at = self.received.len();
            assert!(
                self.receive().await,
                "the connection was closed before {expected:?} came"
            );
        }
    }

    /// The next packet, whatever it is.
    pub(crate) async fn next(&mut self) -> Received {
        while self.received.is_empty() {
            if !self.receive().await {
                return Received::Closed;
            }
        }
        self.received.pop_front().expect("not empty")
    }

    async fn receive(&mut self) -> bool {
        let Client {
            pump,
            version,
            received,
            scratch,
            reasons,
            ..
        } = self;
        let mut consume = |bytes: &[u8]| {
            let mut used = 0;
            while let Some(frame) = frame(&bytes[used..], u32::MAX).expect("a packet") {
                used += frame.len;
                let packet = decode(frame, *version, &DecodeLimits::UNLIMITED).expect("a packet");
                match &packet {
                    Packet::PubAck(ack) => reasons.push(ack.reason),
                    Packet::SubAck(ack) => reasons.extend(&ack.reasons),
                    _ => {}
                }
                received.push_back(Received::from(&packet));
            }
            used
        };
        let read = poll_fn(|cx| pump.poll_receive(cx, scratch, &mut consume));
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("something comes")
            .unwrap_or(false)
    }

    async fn send(&mut self, packet: &Packet<'_>) {
        let mut out = OutBuf::new();
        out.append(|bytes| encode(packet, self.version, bytes))
            .expect("can be written");
        let write = poll_fn(|cx| self.pump.poll_transmit(cx, &mut out));
        tokio::time::timeout(PATIENCE, write)
            .await
            .expect("the broker reads")
            .expect("written");
    }

    fn packet_id(&mut self) -> PacketId {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        PacketId::new(self.next_id).expect("not zero")
    }
}

impl From<&Packet<'_>> for Received {
    fn from(packet: &Packet<'_>) -> Received {
        match packet {
            Packet::ConnAck(ack) => Received::ConnAck {
                session_present: ack.session_present,
                reason: ack.reason,
            },
            Packet::Publish(publish) => Received::Message(Message {
                topic: publish
                    .topic
                    .expect("the broker uses no aliases")
                    .as_str()
                    .to_owned(),
                payload: publish.payload.to_vec(),
                qos: publish.delivery.qos(),
                packet_id: publish.delivery.packet_id(),
            }),
            Packet::PubAck(ack) | Packet::PubComp(ack) => Received::Ack(ack.packet_id),
            Packet::PubRec(ack) => Received::PubRec(ack.packet_id),
            Packet::PubRel(ack) => Received::Release(ack.packet_id),
            Packet::SubAck(ack) | Packet::UnsubAck(ack) => Received::Ack(ack.packet_id),
            Packet::PingResp => Received::Pong,
            Packet::Disconnect(disconnect) => Received::Disconnect(disconnect.reason),
            other => panic!("a broker does not send {other:?}"),
        }
    }
}
