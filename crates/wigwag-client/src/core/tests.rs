//! The core against a scripted server, in virtual time.

mod authentication;

mod limits;
mod regressions;

use std::time::Duration;

use wigwag_proto::codec::{encode, frame};
use wigwag_proto::packet::{
    ConnAck, Delivery, Disconnect, Publish as PublishPacket, PublishAck, SubscribeAck, Version,
};
use wigwag_proto::{DecodeLimits, PacketId, PropertiesBuf, Property, TopicName};

use super::*;
use crate::config::{Builder, Limits};
use crate::message::Publish;

const SECOND: Duration = Duration::from_secs(1);

/// A core, the time, and what has come out so far.
struct World {
    core: Core<u32>,
    now: Time,
    version: Version,
    outputs: Vec<Output<u32>>,
    /// Bytes that the core has not used yet.
    carry: Vec<u8>,
}

impl World {
    fn new(builder: Builder) -> World {
        let config = builder.into_config().expect("valid");
        let version = config.version;
        let mut core = Core::new(config, 7, Instant::now());
        core.start(Time::ZERO);
        let mut world = World {
            core,
            now: Time::ZERO,
            version,
            outputs: Vec::new(),
            carry: Vec::new(),
        };
        world.collect();
        world
    }

    /// A world whose first connection is up.
    fn online(builder: Builder) -> World {
        let mut world = World::new(builder);
        world.connect(false, &[]);
        world
    }

    fn collect(&mut self) {
        while let Some(output) = self.core.poll_output() {
            if matches!(output, Output::Close) {
                self.carry.clear();
            }
            self.outputs.push(output);
        }
    }

    /// Opens the transport.
    fn open(&mut self) {
        let packet = self.core.connect_packet();
        self.core.handle_connected(self.now, packet);
    }

    /// Opens the transport and accepts the CONNECT, whose description it returns.
    fn connect(&mut self, session_present: bool, properties: &[Property<'_>]) -> String {
        self.open();
        let connect = self.sent().join(" ");
        let mut buf = PropertiesBuf::new();
        for property in properties {
            buf.push(*property).expect("short");
        }
        self.receive(&Packet::ConnAck(ConnAck {
            session_present,
            reason: ReasonCode::Success,
            properties: buf.as_properties(),
        }));
        assert!(self.core.state().is_online(), "{:?}", self.core.state());
        connect
    }

    /// Ends the connection and waits for the next attempt.
    fn lose_connection(&mut self) {
        self.core.handle_failed(self.now, OfflineReason::Closed);
        self.collect();
        self.wait_for_dial();
    }

    fn wait_for_dial(&mut self) {
        self.outputs.clear();
        let until = self.core.poll_timeout().expect("another attempt");
        self.advance(until - self.now);
        assert!(matches!(self.outputs.as_slice(), [.., Output::Dial]));
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
        self.core.handle_timeout(self.now);
        self.collect();
    }

    fn receive(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, self.version, &mut bytes).expect("valid");
        self.receive_bytes(&bytes);
    }

    fn receive_bytes(&mut self, bytes: &[u8]) {
        self.carry.extend_from_slice(bytes);
        let used = self.core.handle_bytes(self.now, &self.carry);
        self.carry.drain(..used);
        self.collect();
    }

    /// What the core has sent.
    fn sent_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !self.core.transmit().is_empty() {
            let mut slices = [std::io::IoSlice::new(&[])];
            self.core.transmit().io_slices(&mut slices);
            bytes.extend_from_slice(&slices[0]);
            let len = slices[0].len();
            self.core.transmit().advance(len);
            self.core.handle_sent(self.now);
        }
        self.collect();
        bytes
    }

    /// Descriptions of the packets that the core has sent.
    fn sent(&mut self) -> Vec<String> {
        let bytes = self.sent_bytes();
        let mut rest = bytes.as_slice();
        let mut packets = Vec::new();
        while let Some(found) = frame(rest, u32::MAX).expect("a packet") {
            rest = &rest[found.len..];
            let packet = wigwag_proto::codec::decode(found, self.version, &DecodeLimits::UNLIMITED);
            packets.push(describe(&packet.expect("a packet")));
        }
        assert!(rest.is_empty());
        packets
    }

    fn publish(&mut self, receipt: u32, publish: Publish) {
        let message = publish.into_outgoing().expect("valid");
        self.core.publish(self.now, message, receipt);
        self.collect();
    }

    fn subscribe(&mut self, key: Key, filter: &str) {
        let options = SubscriptionOptions {
            qos: Qos::ExactlyOnce,
            ..SubscriptionOptions::default()
        };
        self.core.subscribe(self.now, key, filter.into(), options);
        self.collect();
    }

    /// The publishes that are done, in order.
    fn published(&mut self) -> Vec<(u32, Result<Outcome, PublishError>)> {
        let mut done = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Published(receipt, result) => {
                done.push((*receipt, result.clone()));
                false
            }
            _ => true,
        });
        done
    }

    /// The messages that have been delivered, with their tokens.
    fn delivered(&mut self) -> Vec<(Key, String, Token)> {
        let mut delivered = Vec::new();
        self.outputs.retain(|output| match output {
            Output::Deliver {
                key,
                message,
                token,
            } => {
                delivered.push((*key, message.topic().to_owned(), *token));
                false
            }
            _ => true,
        });
        delivered
    }

    fn handled(&mut self, token: Token) {
        self.settled(token, ReasonCode::Success);
    }

    fn settled(&mut self, token: Token, reason: ReasonCode) {
        self.core.handle_handled(self.now, token, reason);
        self.collect();
    }

    fn handle_all(&mut self) -> usize {
        let delivered = self.delivered();
        for (_, _, token) in &delivered {
            self.handled(*token);
        }
        delivered.len()
    }

    fn retry_in(&self) -> Duration {
        self.next_attempt().delay
    }

    fn next_attempt(&self) -> NextAttempt {
        match self.core.state() {
            State::Offline {
                next: Some(next), ..
            } => *next,
            state => panic!("{state:?} has no next attempt"),
        }
    }
}

fn describe(packet: &Packet<'_>) -> String {
    let name = packet.packet_type();
    match packet {
        Packet::Connect(connect) => format!(
            "{name} {} clean={} keep_alive={}",
            connect.client_id, connect.clean_start, connect.keep_alive_secs
        ),
        Packet::Publish(publish) => {
            let topic = publish.topic.map_or("", |topic| topic.as_str());
            let expiry = publish.properties.message_expiry_interval();
            let expiry = expiry.map_or(String::new(), |secs| format!(" expiry={secs}"));
            match publish.delivery {
                Delivery::AtMostOnce => format!("{name} {topic}{expiry}"),
                Delivery::AtLeastOnce { packet_id, dup } => {
                    format!("{name} {topic} q1 id={packet_id} dup={dup}{expiry}")
                }
                Delivery::ExactlyOnce { packet_id, dup } => {
                    format!("{name} {topic} q2 id={packet_id} dup={dup}{expiry}")
                }
            }
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            format!("{name} id={} {:#04x}", ack.packet_id, ack.reason as u8)
        }
        Packet::Subscribe(subscribe) => {
            format!("{name} {}", subscribe.subscriptions[0].filter)
        }
        Packet::Unsubscribe(unsubscribe) => format!("{name} {}", unsubscribe.filters[0]),
        Packet::Disconnect(disconnect) => format!("{name} {:#04x}", disconnect.reason as u8),
        Packet::Auth(auth) => {
            let method = auth.properties.authentication_method().unwrap_or("");
            let data = auth.properties.authentication_data().unwrap_or_default();
            let data = String::from_utf8_lossy(data);
            format!("{name} {:#04x} {method} {data}", auth.reason as u8)
        }
        other => other.packet_type().name().to_owned(),
    }
}

fn builder() -> Builder {
    Builder::new("mqtt://h")
        .client_id("c")
        .session_expiry(Duration::from_secs(60))
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

fn ack(value: u16) -> PublishAck<'static> {
    PublishAck::new(id(value), ReasonCode::Success)
}

fn q1(packet_id: u16) -> Delivery {
    Delivery::AtLeastOnce {
        packet_id: id(packet_id),
        dup: false,
    }
}

fn q2(packet_id: u16, dup: bool) -> Delivery {
    Delivery::ExactlyOnce {
        packet_id: id(packet_id),
        dup,
    }
}

fn message(topic: &str, delivery: Delivery) -> Packet<'_> {
    Packet::Publish(PublishPacket {
        delivery,
        retain: false,
        topic: Some(TopicName::new(topic).expect("valid")),
        properties: wigwag_proto::Properties::EMPTY,
        payload: b"payload",
    })
}

fn aliased<'a>(topic: &'a str, properties: &'a PropertiesBuf) -> Packet<'a> {
    Packet::Publish(PublishPacket {
        delivery: Delivery::AtMostOnce,
        retain: false,
        topic: TopicName::new(topic).ok(),
        properties: properties.as_properties(),
        payload: b"",
    })
}

fn suback(packet_id: u16, reason: ReasonCode) -> Packet<'static> {
    Packet::SubAck(SubscribeAck {
        packet_id: id(packet_id),
        properties: wigwag_proto::Properties::EMPTY,
        reasons: vec![reason],
    })
}

fn disconnect(reason: ReasonCode) -> Packet<'static> {
    Packet::Disconnect(Disconnect::new(reason))
}

const DELIVERED: Result<Outcome, PublishError> = Ok(Outcome::Delivered);

// Connecting.

#[test]
fn being_kicked_right_after_connack_backs_off() {
    let mut world = World::new(builder());
    let mut waits = Vec::new();
    for attempt in 1..=200 {
        assert_eq!(world.core.state(), &State::Connecting { attempt });
        world.connect(false, &[]);
        world.advance(Duration::from_millis(1));
        world.core.handle_failed(world.now, OfflineReason::Closed);
        let next = world.next_attempt();
        assert_eq!(next.number, attempt + 1);
        let due = world.now + next.delay;
        assert_eq!(next.at - world.core.origin(), due.since_origin());
        waits.push(next.delay);
        world.wait_for_dial();
    }
    let bound = |failures: usize| SECOND * (1 << failures.min(6)).min(60);
    for (failures, wait) in waits.iter().enumerate() {
        let allowed = SECOND / 10..=bound(failures);
        assert!(allowed.contains(wait), "{failures}: {wait:?}");
    }
    let late = waits[10..].iter().sum::<Duration>() / 190;
    assert!((20..40).contains(&late.as_secs()), "mean {late:?}");
}

#[test]
fn only_a_stable_connection_resets_the_backoff() {
    let mut world = World::online(builder().keep_alive(Duration::ZERO));
    for _ in 0..5 {
        world.lose_connection();
        world.connect(true, &[]);
    }
    world.advance(29 * SECOND);
    world.lose_connection();
    assert_eq!(world.core.state(), &State::Connecting { attempt: 7 });
    world.connect(true, &[]);
    world.advance(30 * SECOND);
    world.lose_connection();
    assert_eq!(world.core.state(), &State::Connecting { attempt: 2 });
}

#[test]
fn a_silent_server_is_given_up_after_the_connect_timeout() {
    let mut world = World::new(builder().connect_timeout(3 * SECOND));
    world.advance(SECOND);
    world.open();
    assert_eq!(world.core.poll_timeout(), Some(Time::new(3 * SECOND)));
    world.advance(2 * SECOND);
    assert!(matches!(
        world.core.state(),
        State::Offline {
            reason: OfflineReason::ConnectTimeout(_),
            next: Some(_)
        }
    ));
}

fn refused(builder: Builder, reason: ReasonCode) -> World {
    let mut world = World::new(builder);
    world.open();
    world.sent();
    world.receive(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties: wigwag_proto::Properties::EMPTY,
    }));
    world
}

#[test]
fn a_refusal_for_good_stops_the_client_and_a_busy_server_does_not() {
    let retries = |world: &World| world.core.poll_timeout().is_some();
    assert!(!retries(&refused(
        builder(),
        ReasonCode::BadUserNameOrPassword
    )));
    assert!(!retries(&refused(
        builder().version(Version::V3_1_1),
        ReasonCode::NotAuthorized
    )));
    assert!(retries(&refused(builder(), ReasonCode::ServerBusy)));
    let patient = builder().refusal_policy(RefusalPolicy::Retry);
    assert!(retries(&refused(patient, ReasonCode::NotAuthorized)));
}

#[test]
fn a_taken_over_session_is_fought_for_only_by_policy() {
    let mut world = World::online(builder());
    world.receive(&disconnect(ReasonCode::SessionTakenOver));
    assert!(world.retry_in() >= SECOND / 10);

    let mut world = World::online(builder().take_over_policy(TakeOverPolicy::Stop));
    world.receive(&disconnect(ReasonCode::SessionTakenOver));
    assert!(matches!(world.outputs.last(), Some(Output::Stopped(_))));
    assert_eq!(world.core.poll_timeout(), None);
}

#[test]
fn a_clean_start_concerns_the_first_connection_and_an_assigned_name_is_kept() {
    let mut world = World::new(builder().client_id(""));
    let assigned = [Property::AssignedClientIdentifier("assigned")];
    let first = world.connect(false, &assigned);
    assert_eq!(first, "CONNECT  clean=true keep_alive=60");
    world.lose_connection();
    let second = world.connect(true, &[]);
    assert_eq!(second, "CONNECT assigned clean=false keep_alive=60");
}

// Keep alive.

#[test]
fn silence_calls_for_a_ping_and_silence_after_it_ends_the_connection() {
    let mut world = World::online(builder().keep_alive(30 * SECOND));
    world.advance(29 * SECOND);
    assert_eq!(world.sent(), [""; 0]);
    world.advance(SECOND);
    assert_eq!(world.sent(), ["PINGREQ"]);
    world.receive(&Packet::PingResp);
    world.advance(30 * SECOND);
    assert_eq!(world.sent(), ["PINGREQ"]);
    world.advance(10 * SECOND);
    assert!(matches!(
        world.core.state(),
        State::Offline {
            reason: OfflineReason::KeepAlive,
            ..
        }
    ));
}

#[test]
fn a_client_that_only_sends_still_notices_that_the_server_is_gone() {
    let mut world = World::online(builder().keep_alive(30 * SECOND));
    for _ in 0..40 {
        world.publish(1, Publish::new("a", ""));
        world.sent();
        world.advance(SECOND);
    }
    assert!(!world.core.state().is_online());
}

#[test]
fn the_servers_keep_alive_goes_before_ours() {
    let mut world = World::new(builder().keep_alive(30 * SECOND));
    world.connect(false, &[Property::ServerKeepAlive(5)]);
    world.advance(5 * SECOND);
    assert_eq!(world.sent(), ["PINGREQ"]);

    let mut world = World::new(builder());
    world.connect(false, &[Property::ServerKeepAlive(0)]);
    assert_eq!(world.core.poll_timeout(), None);
}

// Subscriptions.

#[test]
fn subscriptions_are_restored_only_when_the_session_is_lost() {
    let mut world = World::new(builder());
    world.subscribe(1, "a/+");
    world.connect(false, &[]);
    assert_eq!(world.sent(), ["SUBSCRIBE a/+"]);
    world.receive(&suback(1, ReasonCode::GrantedQos1));
    let qos = Qos::AtLeastOnce;
    assert!(world.outputs.iter().any(|output| matches!(
        output,
        Output::Subscribed(1, Ok(granted)) if granted.qos == qos
    )));

    world.lose_connection();
    world.connect(true, &[]);
    assert_eq!(world.sent(), [""; 0]);

    world.lose_connection();
    world.connect(false, &[]);
    assert_eq!(world.sent(), ["SUBSCRIBE a/+"]);

    // Lost before its answer came: asked again, session or not.
    world.lose_connection();
    world.connect(true, &[]);
    assert_eq!(world.sent(), ["SUBSCRIBE a/+"]);
}

#[test]
fn a_resumed_session_delivers_to_handlers_that_were_declared_before() {
    let mut world = World::new(builder().clean_start(false));
    world.subscribe(1, "a/#");
    world.connect(true, &[]);
    world.receive(&message("a/b", q1(9)));
    world.receive(&message("other", Delivery::AtMostOnce));
    let delivered = world.delivered();
    assert_eq!(delivered[0].0, 1);
    assert_eq!(delivered[1].0, FALLBACK);
}

#[test]
fn a_subscription_that_the_server_does_not_offer_is_refused_without_asking() {
    let mut world = World::new(builder());
    world.subscribe(1, "$share/g/a");
    world.subscribe(2, "#");
    world.subscribe(3, "a");
    let offer = [
        Property::SharedSubscriptionAvailable(false),
        Property::WildcardSubscriptionAvailable(false),
    ];
    world.connect(false, &offer);
    assert_eq!(world.sent(), ["SUBSCRIBE a"]);
    let refused: Vec<Key> = (world.outputs.iter())
        .filter_map(|output| match output {
            Output::Subscribed(key, Err(SubscribeError::Rejected(_))) => Some(*key),
            _ => None,
        })
        .collect();
    assert_eq!(refused, [1, 2]);
}

#[test]
fn a_removed_subscription_is_removed_at_the_server_too() {
    let mut world = World::online(builder());
    world.subscribe(1, "a");
    world.sent();
    world.receive(&suback(1, ReasonCode::Success));
    world.core.unsubscribe(world.now, 2, "a".into());
    assert_eq!(world.sent(), ["UNSUBSCRIBE a"]);
    world.lose_connection();
    world.connect(true, &[]);
    assert_eq!(world.sent(), ["UNSUBSCRIBE a"]);
    world.lose_connection();
    world.connect(false, &[]);
    assert_eq!(world.sent(), [""; 0]);
    assert!((world.outputs.iter()).any(|output| matches!(output, Output::Unsubscribed(2, Ok(())))));
}

// Outgoing messages.

#[test]
fn what_was_in_flight_is_sent_again_in_order_with_dup() {
    let mut world = World::online(builder());
    world.publish(1, Publish::new("a", "").qos(Qos::AtLeastOnce));
    world.publish(2, Publish::new("b", "").qos(Qos::ExactlyOnce));
    world.publish(3, Publish::new("c", "").qos(Qos::ExactlyOnce));
    world.publish(4, Publish::new("d", "").qos(Qos::AtLeastOnce));
    world.sent();
    world.receive(&Packet::PubAck(ack(1)));
    world.receive(&Packet::PubRec(ack(2)));
    assert_eq!(world.sent(), ["PUBREL id=2 0x00"]);
    world.lose_connection();
    world.publish(5, Publish::new("e", "").qos(Qos::AtLeastOnce));
    world.connect(true, &[]);
    assert_eq!(
        world.sent(),
        [
            "PUBREL id=2 0x00",
            "PUBLISH c q2 id=3 dup=true",
            "PUBLISH d q1 id=4 dup=true",
            "PUBLISH e q1 id=5 dup=false",
        ]
    );
    world.receive(&Packet::PubComp(ack(2)));
    world.receive(&Packet::PubAck(ack(4)));
    world.receive(&Packet::PubRec(PublishAck::new(
        id(3),
        ReasonCode::QuotaExceeded,
    )));
    world.receive(&Packet::PubAck(ack(5)));
    let rejected = Ok(Outcome::Rejected(ReasonCode::QuotaExceeded));
    assert_eq!(
        world.published(),
        [
            (2, DELIVERED),
            (4, DELIVERED),
            (3, rejected),
            (5, DELIVERED)
        ]
    );
}

#[test]
fn a_lost_session_leaves_what_was_in_flight_indeterminate() {
    let mut world = World::online(builder());
    world.publish(1, Publish::new("a", "").qos(Qos::AtLeastOnce));
    world.sent();
    world.lose_connection();
    world.publish(2, Publish::new("b", "").qos(Qos::AtLeastOnce));
    world.connect(false, &[]);
    let lost = Ok(Outcome::Indeterminate(Indeterminate::SessionLost));
    assert_eq!(world.published(), [(1, lost)]);
    assert_eq!(world.sent(), ["PUBLISH b q1 id=1 dup=false"]);
}

#[test]
fn the_servers_receive_maximum_is_kept_also_when_it_shrinks() {
    let mut world = World::new(builder());
    world.connect(false, &[Property::ReceiveMaximum(3)]);
    for receipt in 1..=5 {
        world.publish(receipt, Publish::new("a", "").qos(Qos::AtLeastOnce));
    }
    assert_eq!(world.sent().len(), 3);
    world.receive(&Packet::PubAck(ack(2)));
    assert_eq!(world.sent(), ["PUBLISH a q1 id=4 dup=false"]);

    world.lose_connection();
    world.connect(true, &[Property::ReceiveMaximum(1)]);
    assert_eq!(world.sent(), ["PUBLISH a q1 id=1 dup=true"]);
    for (acknowledged, next) in [(1, "id=3 dup=true"), (3, "id=4 dup=true")] {
        world.receive(&Packet::PubAck(ack(acknowledged)));
        assert_eq!(world.sent(), [format!("PUBLISH a q1 {next}")]);
    }
    world.receive(&Packet::PubAck(ack(4)));
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn more_messages_pass_than_there_are_packet_identifiers() {
    let mut world = World::online(builder());
    for receipt in 0..70_000 {
        world.publish(receipt, Publish::new("a", "").qos(Qos::AtLeastOnce));
        let packet_id = world.core.inflight.packet_ids().next().expect("in flight");
        world.core.transmit().clear();
        world.receive(&Packet::PubAck(ack(packet_id.get())));
        assert_eq!(world.published(), [(receipt, DELIVERED)]);
    }
}

#[test]
fn a_message_that_the_server_does_not_accept_is_refused_locally() {
    let mut world = World::new(builder());
    let offer = [
        Property::MaximumPacketSize(20),
        Property::MaximumQos(true),
        Property::RetainAvailable(false),
    ];
    world.connect(false, &offer);
    // Two bytes of header, three of topic, two of Packet Identifier, one of properties.
    world.publish(1, Publish::new("a", vec![0; 12]).qos(Qos::AtLeastOnce));
    world.publish(2, Publish::new("a", vec![0; 13]).qos(Qos::AtLeastOnce));
    world.publish(3, Publish::new("a", "").qos(Qos::ExactlyOnce));
    world.publish(4, Publish::new("a", "").retain());
    assert_eq!(world.sent(), ["PUBLISH a q1 id=1 dup=false"]);
    let too_large = PublishError::PacketTooLarge { size: 21, max: 20 };
    let max = Qos::AtLeastOnce;
    assert_eq!(
        world.published(),
        [
            (2, Err(too_large)),
            (3, Err(PublishError::QosNotSupported { max })),
            (4, Err(PublishError::RetainNotAvailable)),
        ]
    );
}

#[test]
fn a_subscription_that_the_server_cannot_read_is_refused_locally() {
    let mut world = World::new(builder());
    let offer = [
        Property::MaximumPacketSize(20),
        Property::SubscriptionIdentifierAvailable(false),
    ];
    world.connect(false, &offer);
    // Two bytes of header, two of Packet Identifier, one of properties, three around the filter.
    world.subscribe(1, "twelve/bytes");
    world.subscribe(2, "thirteen/byte");
    assert_eq!(world.sent(), ["SUBSCRIBE twelve/bytes"]);
}

#[test]
fn a_removal_that_the_server_cannot_read_is_refused_locally() {
    let mut world = World::new(builder());
    world.connect(false, &[Property::MaximumPacketSize(20)]);
    // Two bytes of header, two of Packet Identifier, one of properties, two of length.
    world.core.unsubscribe(world.now, 1, "filter/of/13b".into());
    world
        .core
        .unsubscribe(world.now, 2, "filter/of/14by".into());
    assert_eq!(world.sent(), ["UNSUBSCRIBE filter/of/13b"]);
    let answers: Vec<_> = (world.outputs.drain(..))
        .filter_map(|output| match output {
            Output::Unsubscribed(key, result) => Some((key, result)),
            _ => None,
        })
        .collect();
    let error = UnsubscribeError::PacketTooLarge { size: 21, max: 20 };
    assert_eq!(answers, [(2, Err(error))]);
    // A server that reads more is not asked later: the caller has had the answer.
    world.lose_connection();
    world.connect(true, &[]);
    assert_eq!(world.sent(), ["UNSUBSCRIBE filter/of/13b"]);
}

#[test]
fn what_is_in_flight_is_not_sent_again_to_a_server_that_accepts_less() {
    let publish = |qos| Publish::new("a", "12345678").qos(qos);
    for (offer, given_up) in [
        (Property::MaximumPacketSize(15), 2..=4),
        (Property::MaximumQos(true), 3..=3),
        (Property::RetainAvailable(false), 4..=4),
    ] {
        let mut world = World::online(builder());
        world.publish(1, Publish::new("a", "1").qos(Qos::AtLeastOnce));
        world.publish(2, publish(Qos::AtLeastOnce));
        world.publish(3, publish(Qos::ExactlyOnce));
        world.publish(4, publish(Qos::AtLeastOnce).retain());
        assert_eq!(world.sent().len(), 4);
        world.lose_connection();
        world.connect(true, &[offer]);
        let unknown = Ok(Outcome::Indeterminate(Indeterminate::ServerLimits));
        let expect: Vec<_> = given_up
            .clone()
            .map(|receipt| (receipt, unknown.clone()))
            .collect();
        assert_eq!(world.published(), expect, "{offer:?}");
        assert_eq!(world.sent().len(), 4 - expect.len(), "{offer:?}");
        // Their identifiers and their share of the quota are free, and the others are acknowledged.
        for receipt in (1..=4).filter(|receipt| !given_up.contains(receipt)) {
            let packet_id = u16::try_from(receipt).expect("small");
            if receipt == 3 {
                world.receive(&Packet::PubRec(ack(packet_id)));
                world.receive(&Packet::PubComp(ack(packet_id)));
            } else {
                world.receive(&Packet::PubAck(ack(packet_id)));
            }
            assert_eq!(world.published(), [(receipt, DELIVERED)], "{offer:?}");
        }
        assert_eq!(world.core.inflight_len, 0, "{offer:?}");
    }
}

#[test]
fn a_disconnect_that_is_too_large_for_the_server_leaves_without_its_properties() {
    // Two bytes of header, the reason, and eleven bytes of property with their length.
    for (max, expect) in [(15, 15), (14, 3)] {
        let mut world = World::new(builder().edit_disconnect(|packet| {
            packet.reason = ReasonCode::DisconnectWithWillMessage;
            packet.reason_string = Some("a reason".to_owned());
        }));
        world.connect(false, &[Property::MaximumPacketSize(max)]);
        world.core.disconnect(world.now, SECOND);
        let bytes = world.sent_bytes();
        assert_eq!(bytes.len(), expect, "{bytes:?}");
        assert_eq!(bytes[2], 0x04);
    }
}

#[test]
fn a_session_after_a_clean_start_is_a_protocol_error() {
    let mut world = World::new(builder());
    world.open();
    world.sent();
    world.receive(&Packet::ConnAck(ConnAck {
        session_present: true,
        reason: ReasonCode::Success,
        properties: wigwag_proto::Properties::EMPTY,
    }));
    assert_eq!(world.sent(), ["DISCONNECT 0x82"]);
}

#[test]
fn qos_0_is_refused_while_offline_unless_it_may_be_queued() {
    let mut world = World::new(builder());
    world.publish(1, Publish::new("a", ""));
    assert_eq!(world.published(), [(1, Err(PublishError::Offline))]);

    let mut world = World::new(builder().offline_qos0(OfflineQos0::Queue));
    world.publish(1, Publish::new("a", ""));
    world.connect(false, &[]);
    assert_eq!(world.sent(), ["PUBLISH a"]);
    assert_eq!(world.published(), [(1, DELIVERED)]);
}

#[test]
fn time_in_the_queue_counts_against_the_expiry() {
    let mut world = World::new(builder().connect_timeout(100 * SECOND));
    let publish = |secs| {
        Publish::new("a", "")
            .qos(Qos::AtLeastOnce)
            .message_expiry(Duration::from_secs(secs))
    };
    world.publish(1, publish(5));
    world.publish(2, publish(60));
    world.advance(10 * SECOND);
    world.connect(false, &[]);
    assert_eq!(world.sent(), ["PUBLISH a q1 id=1 dup=false expiry=50"]);
    let expired = Err(PublishError::Expired(10 * SECOND));
    assert_eq!(world.published(), [(1, expired)]);
}

// Incoming messages.

#[test]
fn acknowledgements_leave_in_the_order_of_arrival() {
    let mut world = World::online(builder());
    world.receive(&message("a", q1(5)));
    world.receive(&message("b", q2(6, false)));
    world.receive(&message("c", q1(7)));
    let tokens: Vec<Token> = world
        .delivered()
        .iter()
        .map(|(_, _, token)| *token)
        .collect();
    assert_eq!(world.sent(), [""; 0]);
    world.handled(tokens[2]);
    world.handled(tokens[1]);
    assert_eq!(world.sent(), [""; 0]);
    world.handled(tokens[0]);
    assert_eq!(
        world.sent(),
        ["PUBACK id=5 0x00", "PUBREC id=6 0x00", "PUBACK id=7 0x00"]
    );
}

#[test]
fn a_message_for_two_handlers_is_acknowledged_after_both() {
    let mut world = World::online(builder());
    world.subscribe(1, "a/#");
    world.subscribe(2, "a/b");
    world.sent();
    world.receive(&message("a/b", q1(5)));
    let delivered = world.delivered();
    assert_eq!(delivered.len(), 2);
    world.handled(delivered[0].2);
    assert_eq!(world.sent(), [""; 0]);
    world.handled(delivered[1].2);
    assert_eq!(world.sent(), ["PUBACK id=5 0x00"]);
}

#[test]
fn qos_2_is_delivered_once_over_reconnects_at_every_step() {
    // The handler finishes before or after the connection is lost.
    for handled_first in [true, false] {
        let mut world = World::online(builder());
        world.receive(&message("a", q2(1, false)));
        world.receive(&message("a", q2(1, true)));
        let delivered = world.delivered();
        assert_eq!(delivered.len(), 1);
        if handled_first {
            world.handled(delivered[0].2);
        }
        world.lose_connection();
        world.connect(true, &[]);
        world.receive(&message("a", q2(1, true)));
        assert_eq!(world.delivered().len(), 0);
        if !handled_first {
            assert_eq!(world.sent(), [""; 0]);
            world.handled(delivered[0].2);
        }
        assert_eq!(world.sent(), ["PUBREC id=1 0x00"]);
        world.receive(&Packet::PubRel(ack(1)));
        assert_eq!(world.sent(), ["PUBCOMP id=1 0x00"]);
        // Released, the identifier names a new message.
        world.receive(&message("a", q2(1, false)));
        assert_eq!(world.delivered().len(), 1);
    }
}

#[test]
fn packet_identifiers_of_both_directions_do_not_meet() {
    let mut world = World::online(builder());
    world.publish(1, Publish::new("out", "").qos(Qos::ExactlyOnce));
    world.receive(&message("in", q2(1, false)));
    world.handle_all();
    assert_eq!(
        world.sent(),
        ["PUBLISH out q2 id=1 dup=false", "PUBREC id=1 0x00"]
    );
    world.receive(&Packet::PubRec(ack(1)));
    world.receive(&Packet::PubRel(ack(1)));
    assert_eq!(world.sent(), ["PUBREL id=1 0x00", "PUBCOMP id=1 0x00"]);
    world.receive(&Packet::PubComp(ack(1)));
    assert_eq!(world.published(), [(1, DELIVERED)]);
}

#[test]
fn a_pubrel_for_an_unknown_identifier_is_answered_and_the_connection_stays() {
    let mut world = World::online(builder());
    world.receive(&Packet::PubRel(ack(9)));
    assert_eq!(world.sent(), ["PUBCOMP id=9 0x92"]);
    world.receive(&Packet::PubRec(ack(9)));
    assert_eq!(world.sent(), ["PUBREL id=9 0x92"]);
    world.receive(&Packet::PubAck(ack(9)));
    assert!(world.core.state().is_online());
}

#[test]
fn a_topic_alias_stands_for_its_topic_on_its_connection() {
    let mut world = World::online(builder());
    let alias = PropertiesBuf::new()
        .with(Property::TopicAlias(32))
        .expect("short");
    world.receive(&aliased("a/b", &alias));
    world.receive(&aliased("", &alias));
    let topics: Vec<String> = world
        .delivered()
        .into_iter()
        .map(|(_, topic, _)| topic)
        .collect();
    assert_eq!(topics, ["a/b", "a/b"]);
    world.lose_connection();
    world.connect(true, &[]);
    world.receive(&aliased("", &alias));
    // It has no name on this connection, section 3.3.2.3.4.
    assert_eq!(world.sent(), ["DISCONNECT 0x82"]);
}

fn check_violation(packet: &Packet<'_>, expect: &str) {
    let mut world = World::online(builder());
    world.receive(packet);
    assert_eq!(world.sent(), [expect], "{packet:?}");
    assert!(world.core.is_closing());
    world.core.handle_failed(world.now, OfflineReason::Closed);
    assert!(matches!(
        world.core.state(),
        State::Offline {
            reason: OfflineReason::Protocol { .. },
            next: Some(_)
        }
    ));
}

#[test]
fn a_server_that_breaks_the_protocol_is_told_and_left() {
    let alias = PropertiesBuf::new()
        .with(Property::TopicAlias(33))
        .expect("short");
    check_violation(&aliased("", &alias), "DISCONNECT 0x94");
    check_violation(&aliased("a", &alias), "DISCONNECT 0x94");
    check_violation(&Packet::PingReq, "DISCONNECT 0x82");
    check_violation(&suback(5, ReasonCode::Success), "DISCONNECT 0x82");
    let connack = ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties: wigwag_proto::Properties::EMPTY,
    };
    check_violation(&Packet::ConnAck(connack), "DISCONNECT 0x82");

    let mut world = World::online(builder());
    world.receive_bytes(&[0x36, 0]);
    assert_eq!(world.sent(), ["DISCONNECT 0x81"]);
    let mut world = World::online(builder());
    world.receive_bytes(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
    assert_eq!(world.sent(), ["DISCONNECT 0x95"]);
}

#[test]
fn a_server_that_exceeds_our_receive_maximum_is_left_when_there_is_no_more_room() {
    let limits = Limits {
        receive_maximum: 2,
        handler_messages: 1,
        ..Limits::default()
    };
    let mut world = World::online(builder().limits(limits));
    // Keeps the client reading: it waits for an acknowledgement.
    world.publish(1, Publish::new("out", "").qos(Qos::AtLeastOnce));
    world.sent();
    for packet_id in 1..=16 {
        world.receive(&message("a", q2(packet_id, false)));
    }
    assert!(world.core.state().is_online() && !world.core.is_closing());
    assert_eq!(world.delivered().len(), 16);
    world.receive(&message("a", q2(17, false)));
    assert_eq!(world.sent(), ["DISCONNECT 0x93"]);

    // The message that had no room was not taken over: it is delivered when it is sent again.
    world.core.handle_failed(world.now, OfflineReason::Closed);
    world.collect();
    world.wait_for_dial();
    world.connect(true, &[Property::ReceiveMaximum(1)]);
    world.core.arrivals = Arrivals::default();
    world.receive(&message("a", q2(17, true)));
    assert_eq!(world.delivered().len(), 1);
}

#[test]
fn an_oversized_message_of_3_1_1_is_skipped_acknowledged_and_reported() {
    let limits = Limits {
        packet_size_max: 100,
        ..Limits::default()
    };
    let mut bytes = Vec::new();
    let large = Packet::Publish(PublishPacket {
        delivery: q1(5),
        retain: true,
        topic: TopicName::new("large").ok(),
        properties: wigwag_proto::Properties::EMPTY,
        payload: &[0x30; 1_000],
    });
    encode(&large, Version::V3_1_1, &mut bytes).expect("valid");
    encode(&message("small", q1(6)), Version::V3_1_1, &mut bytes).expect("valid");
    for step in [1, 7, bytes.len()] {
        let old = builder().version(Version::V3_1_1).limits(limits);
        let mut world = World::online(old);
        for piece in bytes.chunks(step) {
            world.receive_bytes(piece);
        }
        let (topic, size) = ("large".into(), 1_012);
        let expect = Event::Oversized { topic, size };
        assert!(
            (world.outputs.iter())
                .any(|output| matches!(output, Output::Event(event) if *event == expect)),
            "{:?}",
            world.outputs
        );
        assert_eq!(world.handle_all(), 1);
        assert_eq!(world.sent(), ["PUBACK id=5 0x00", "PUBACK id=6 0x00"]);
    }
}

// Back-pressure.

fn narrow() -> Builder {
    builder().limits(Limits {
        handler_messages: 2,
        ..Limits::default()
    })
}

#[test]
fn reading_stops_while_handlers_are_behind_and_the_server_still_hears_from_us() {
    let mut world = World::online(narrow().keep_alive(30 * SECOND));
    for _ in 0..5 {
        world.receive(&message("a", Delivery::AtMostOnce));
    }
    assert!(!world.core.is_receiving());
    let delivered = world.delivered();
    assert_eq!(delivered.len(), 2);
    for _ in 0..4 {
        world.advance(30 * SECOND);
        assert_eq!(world.sent(), ["PINGREQ"]);
    }
    world.handled(delivered[0].2);
    assert!(world.core.is_receiving());
    world.receive_bytes(&[]);
    assert_eq!(world.delivered().len(), 1);
    world.advance(Duration::ZERO);
    assert!(world.core.state().is_online());
}

#[test]
fn a_pause_in_reading_is_not_taken_for_a_silent_server() {
    let mut world = World::online(narrow().keep_alive(30 * SECOND));
    world.advance(30 * SECOND);
    assert_eq!(world.sent(), ["PINGREQ"]);
    world.publish(1, Publish::new("out", "").qos(Qos::AtLeastOnce));
    world.sent();
    for _ in 0..2 {
        world.receive(&message("a", Delivery::AtMostOnce));
    }
    world.receive(&Packet::PubAck(ack(1)));
    assert!(!world.core.is_receiving());
    // The ping of before the pause was answered by all that; another is due in the pause.
    world.advance(30 * SECOND);
    world.advance(15 * SECOND);
    world.publish(2, Publish::new("out", "").qos(Qos::AtLeastOnce));
    assert!(world.core.is_receiving());
    world.advance(Duration::ZERO);
    assert!(world.core.state().is_online());
    assert_eq!(world.core.poll_timeout(), Some(world.now + 15 * SECOND));
}

#[test]
fn a_client_that_waits_for_an_acknowledgement_goes_on_reading_and_drops_qos_0_in_the_end() {
    let mut world = World::online(narrow());
    world.receive(&message("a", Delivery::AtMostOnce));
    world.publish(1, Publish::new("b", "").qos(Qos::AtLeastOnce));
    world.sent();
    for _ in 0..40 {
        world.receive(&message("a", Delivery::AtMostOnce));
    }
    world.receive(&Packet::PubAck(ack(1)));
    assert_eq!(world.published(), [(1, DELIVERED)]);
    assert_eq!(world.delivered().len(), 32);
    let dropped = (world.outputs.iter())
        .filter(|output| matches!(output, Output::Event(Event::Dropped { .. })))
        .count();
    assert_eq!(dropped, 9);
    assert!(world.core.state().is_online());
}

// The end.

#[test]
fn disconnecting_waits_for_what_is_under_way() {
    let mut world = World::online(builder());
    world.publish(1, Publish::new("a", "").qos(Qos::AtLeastOnce));
    world.receive(&message("b", q1(9)));
    world.sent();
    world.core.disconnect(world.now, 5 * SECOND);
    world.publish(2, Publish::new("late", ""));
    assert_eq!(world.published(), [(2, Err(PublishError::Stopped))]);
    assert_eq!(world.sent(), [""; 0]);
    world.receive(&Packet::PubAck(ack(1)));
    assert_eq!(world.sent(), [""; 0]);
    world.handle_all();
    assert_eq!(world.sent(), ["PUBACK id=9 0x00", "DISCONNECT 0x00"]);
    world.core.handle_failed(world.now, OfflineReason::Closed);
    world.collect();
    let Some(Output::Stopped(report)) = world.outputs.last() else {
        panic!("{:?}", world.outputs);
    };
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(world.core.poll_timeout(), None);
}

#[test]
fn disconnecting_reports_what_is_left_at_its_deadline() {
    let mut world = World::new(builder());
    world.connect(false, &[Property::ReceiveMaximum(1)]);
    for receipt in 1..=3 {
        world.publish(receipt, Publish::new("a", "").qos(Qos::AtLeastOnce));
    }
    world.receive(&message("b", q1(9)));
    world.core.disconnect(world.now, 5 * SECOND);
    assert_eq!(world.core.poll_timeout(), Some(world.now + 5 * SECOND));
    world.advance(5 * SECOND);
    assert_eq!(
        world.sent(),
        ["PUBLISH a q1 id=1 dup=false", "DISCONNECT 0x00"]
    );
    world.advance(SECOND);
    let Some(Output::Stopped(report)) = world.outputs.last() else {
        panic!("{:?}", world.outputs);
    };
    let expect = DrainReport {
        disconnect_sent: true,
        queued: 2,
        in_flight: 1,
        unhandled: 1,
    };
    assert_eq!(*report, expect);
    let stopped = Err(PublishError::Stopped);
    let unknown = Ok(Outcome::Indeterminate(Indeterminate::Stopped));
    assert_eq!(
        world.published(),
        [(1, unknown), (2, stopped.clone()), (3, stopped)]
    );
}

#[test]
fn disconnecting_without_a_connection_and_with_nothing_to_send_is_immediate() {
    let mut world = World::new(builder());
    world.core.disconnect(world.now, 5 * SECOND);
    world.collect();
    assert!(matches!(world.outputs.last(), Some(Output::Stopped(_))));
}

// Hostile servers.

#[test]
fn no_bytes_make_the_core_panic() {
    let mut random = fastrand::Rng::with_seed(11);
    let alias = PropertiesBuf::new()
        .with(Property::TopicAlias(1))
        .expect("short");
    let samples = [
        message("a", q1(1)),
        message("a/b", q2(2, false)),
        aliased("a", &alias),
        aliased("", &alias),
        suback(1, ReasonCode::GrantedQos1),
        disconnect(ReasonCode::ServerBusy),
        Packet::PubAck(ack(1)),
        Packet::PubRec(ack(2)),
        Packet::PubRel(ack(2)),
        Packet::PubComp(ack(2)),
        Packet::PingResp,
    ];
    for round in 0..20_000 {
        let version = [Version::V3_1_1, Version::V5][round % 2];
        let limits = Limits {
            packet_size_max: 40,
            handler_messages: 2,
            ..Limits::default()
        };
        let mut world = World::online(builder().version(version).limits(limits));
        world.subscribe(1, "a/#");
        world.publish(1, Publish::new("x", "").qos(Qos::AtLeastOnce));
        world.publish(2, Publish::new("x", "").qos(Qos::ExactlyOnce));
        let mut bytes = Vec::new();
        for _ in 0..random.usize(1..6) {
            let sample = &samples[random.usize(..samples.len())];
            encode(sample, version, &mut bytes).unwrap_or_default();
        }
        for _ in 0..random.usize(..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        for piece in bytes.chunks(random.usize(1..20)) {
            world.receive_bytes(piece);
            if random.bool() {
                world.handle_all();
            }
        }
        world.advance(SECOND);
        world.core.disconnect(world.now, SECOND);
        world.advance(SECOND);
        world.core.transmit().clear();
        world.core.handle_failed(world.now, OfflineReason::Closed);
        world.collect();
        let published = world.published();
        assert_eq!(
            published.len(),
            2,
            "every publish has one outcome: {published:?}"
        );
    }
}

#[test]
fn a_rejection_leaves_in_its_turn_with_its_reason() {
    let mut world = World::online(builder());
    world.receive(&message("a", q1(1)));
    world.receive(&message("b", q1(2)));
    let delivered = world.delivered();
    world.settled(delivered[1].2, ReasonCode::PayloadFormatInvalid);
    assert_eq!(world.sent(), [""; 0]);
    world.handled(delivered[0].2);
    assert_eq!(world.sent(), ["PUBACK id=1 0x00", "PUBACK id=2 0x99"]);
}

#[test]
fn one_handler_that_rejects_is_enough() {
    let mut world = World::online(builder());
    world.subscribe(1, "a/#");
    world.subscribe(2, "a/b");
    world.sent();
    world.receive(&message("a/b", q1(5)));
    let delivered = world.delivered();
    world.settled(delivered[0].2, ReasonCode::QuotaExceeded);
    world.handled(delivered[1].2);
    assert_eq!(world.sent(), ["PUBACK id=5 0x97"]);
}

/// `[MQTT-4.3.3-9]`
#[test]
fn a_rejected_message_of_qos_2_frees_its_identifier() {
    let mut world = World::online(builder());
    for _ in 0..2 {
        world.receive(&message("a", q2(1, false)));
        let delivered = world.delivered();
        assert_eq!(delivered.len(), 1);
        world.settled(delivered[0].2, ReasonCode::NotAuthorized);
        assert_eq!(world.sent(), ["PUBREC id=1 0x87"]);
    }
}

#[test]
fn a_rejection_of_qos_2_survives_its_connection() {
    let mut world = World::online(builder());
    world.receive(&message("a", q2(1, false)));
    let delivered = world.delivered();
    world.lose_connection();
    world.settled(delivered[0].2, ReasonCode::NotAuthorized);
    world.connect(true, &[]);
    world.receive(&message("a", q2(1, true)));
    assert_eq!(world.delivered().len(), 0);
    assert_eq!(world.sent(), ["PUBREC id=1 0x87"]);
}

#[test]
fn mqtt_3_acknowledges_what_was_rejected() {
    let mut world = World::online(builder().version(Version::V3_1_1));
    world.receive(&message("a", q2(1, false)));
    let delivered = world.delivered();
    world.settled(delivered[0].2, ReasonCode::NotAuthorized);
    assert_eq!(world.sent(), ["PUBREC id=1 0x00"]);
    world.receive(&message("a", q2(1, true)));
    assert_eq!(world.delivered().len(), 0);
}

#[test]
fn subscriptions_are_made_again_on_every_connection_if_that_is_wanted() {
    for (resubscribe, expect) in [
        (Resubscribe::IfSessionLost, &[][..]),
        (Resubscribe::Always, &["SUBSCRIBE a"][..]),
    ] {
        let mut world = World::online(builder().resubscribe(resubscribe));
        world.subscribe(1, "a");
        world.sent();
        world.receive(&suback(1, ReasonCode::Success));
        world.lose_connection();
        world.connect(true, &[]);
        assert_eq!(world.sent(), expect, "{resubscribe:?}");
    }
}

#[test]
fn a_birth_message_comes_first_on_every_connection_and_removals_are_repeated_in_order() {
    let birth = Publish::new("state", "1").qos(Qos::ExactlyOnce).retain();
    let builder = (builder()
        .version(Version::V3_1_1)
        .clean_start(false)
        .client_id("b"))
    .birth(birth)
    .resubscribe(Resubscribe::AndUnsubscribe);
    let mut world = World::new(builder);
    world.core.unsubscribe(world.now, 1, "out".into());
    world.subscribe(2, "in");
    world.core.unsubscribe(world.now, 3, "more".into());
    world.connect(false, &[]);
    let said = world.sent();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(
        said[0].contains("state") && said[0].contains("id=1"),
        "{said:?}"
    );
    assert_eq!(
        said[1..],
        ["UNSUBSCRIBE out", "SUBSCRIBE in", "UNSUBSCRIBE more"]
    );
    world.publish(9, Publish::new("t", "x").qos(Qos::AtLeastOnce));
    assert!(world.sent()[0].contains("id=5"));
    // Nothing has been acknowledged, not even the birth: it is said anew, not again.
    world.lose_connection();
    world.connect(true, &[]);
    let said = world.sent();
    assert!(
        said[0].contains("state") && said[0].contains("id=6"),
        "{said:?}"
    );
    assert_eq!(
        said[1..4],
        ["UNSUBSCRIBE out", "SUBSCRIBE in", "UNSUBSCRIBE more"]
    );
    assert!(said[4].contains("id=5"), "{said:?}");
    assert_eq!(said.len(), 5, "{said:?}");
}

#[test]
fn packet_identifiers_of_a_session_from_before_are_not_taken_up_at_once() {
    let mut world = World::new(builder().clean_start(false).client_id("a"));
    world.connect(true, &[]);
    world.publish(1, Publish::new("t", "x").qos(Qos::ExactlyOnce));
    let said = world.sent();
    assert!(said[0].starts_with("PUBLISH t q2 id="), "{said:?}");
    assert!(!said[0].contains(" id=1 "), "{said:?}");
}

#[test]
fn reading_goes_on_while_an_answer_is_awaited() {
    let limits = Limits {
        handler_messages: 1,
        ..Limits::default()
    };
    let mut world = World::online(builder().limits(limits));
    world.receive(&message("a", q1(1)));
    assert!(!world.core.is_receiving());
    world.core.await_reply(world.now, true);
    assert!(world.core.is_receiving());
    world.core.await_reply(world.now, false);
    assert!(!world.core.is_receiving());
}

#[test]
fn a_subscription_that_was_replaced_is_not_left() {
    let mut world = World::online(builder());
    world.subscribe(1, "a");
    world.subscribe(2, "a");
    world.sent();
    world.core.leave(world.now, 3, 1);
    assert_eq!(world.sent(), [""; 0]);
    world.core.leave(world.now, 4, 2);
    assert_eq!(world.sent(), ["UNSUBSCRIBE a"]);
}

// Servers, and the words of CONNECT and DISCONNECT.

/// Refuses the CONNECT.
fn refuse(world: &mut World, reason: ReasonCode, properties: &[Property<'_>]) {
    world.open();
    world.sent();
    let mut buf = PropertiesBuf::new();
    for property in properties {
        buf.push(*property).expect("short");
    }
    world.outputs.clear();
    world.receive(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties: buf.as_properties(),
    }));
}

fn retry_in(world: &World) -> Option<Duration> {
    match world.core.state() {
        State::Offline { next, .. } => next.map(|next| next.delay),
        State::Connecting { .. } | State::Online { .. } => None,
    }
}

fn server(world: &World) -> String {
    world.core.attempt().server.to_string()
}

#[test]
fn servers_take_turns_and_the_backoff_counts_rounds() {
    let builder = Builder::new("mqtt://a").server("mqtt://b");
    let mut world = World::new(builder.backoff(crate::Backoff::default().first(SECOND)));
    for round in 0..3 {
        assert_eq!(server(&world), "mqtt://a:1883");
        (world.core).handle_failed(world.now, OfflineReason::Dial("refused".into()));
        assert_eq!(retry_in(&world), Some(Duration::ZERO), "round {round}");
        world.collect();
        world.wait_for_dial();
        assert_eq!(server(&world), "mqtt://b:1883");
        refuse(&mut world, ReasonCode::ServerBusy, &[]);
        assert!(retry_in(&world) > Some(Duration::ZERO), "round {round}");
        world.wait_for_dial();
    }
    assert_eq!(world.core.attempt().number, 7);
    world.connect(false, &[]);
}

#[test]
fn a_server_reference_is_followed_at_once_in_connack_and_disconnect() {
    let mut world = World::new(Builder::new("mqtt://u:p@a"));
    let reference = Property::ServerReference("b:1884 c");
    refuse(&mut world, ReasonCode::UseAnotherServer, &[reference]);
    assert_eq!(retry_in(&world), Some(Duration::ZERO));
    world.wait_for_dial();
    assert_eq!(server(&world), "mqtt://b:1884");
    let packet = world.core.connect_packet();
    assert_eq!(packet.user_name.as_deref(), Some("u"));
    world.connect(false, &[]);
    let mut buf = PropertiesBuf::new();
    buf.push(Property::ServerReference("c")).expect("short");
    world.receive(&Packet::Disconnect(Disconnect {
        reason: ReasonCode::ServerMoved,
        properties: buf.as_properties(),
    }));
    world.wait_for_dial();
    assert_eq!(server(&world), "mqtt://c:1884");

    let mut world = World::new(Builder::new("mqtt://a").server_references(0));
    refuse(&mut world, ReasonCode::UseAnotherServer, &[reference]);
    assert!(retry_in(&world) > Some(Duration::ZERO));
    world.wait_for_dial();
    assert_eq!(server(&world), "mqtt://a:1883");
}

#[test]
fn an_old_server_gets_mqtt_3_1_1_if_that_is_allowed() {
    let mut world = World::new(Builder::new("mqtt://a").fall_back_to_3_1_1());
    world.open();
    world.sent();
    // As a server of 3.1.1 says it: without properties.
    world.receive_bytes(&[0x20, 2, 0, 1]);
    assert_eq!(retry_in(&world), Some(Duration::ZERO));
    world.wait_for_dial();
    assert_eq!(world.core.attempt().version, Version::V3_1_1);
    world.version = Version::V3_1_1;
    world.connect(false, &[]);

    let mut world = World::new(Builder::new("mqtt://a"));
    world.open();
    world.sent();
    world.receive_bytes(&[0x20, 2, 0, 1]);
    assert_eq!(retry_in(&world), None, "stopped for good");
    let reason = ReasonCode::UnsupportedProtocolVersion;
    assert!(
        matches!(world.core.state(), State::Offline { reason: OfflineReason::Refused { reason: given, .. }, .. } if *given == reason),
        "{:?}",
        world.core.state()
    );
}

#[test]
fn subscriptions_can_do_without_identifiers() {
    for (builder, has_identifier) in [
        (Builder::new("mqtt://a"), true),
        (
            Builder::new("mqtt://a").without_subscription_identifiers(),
            false,
        ),
    ] {
        let mut world = World::online(builder);
        world.sent_bytes();
        let options = SubscriptionOptions::default();
        world.core.subscribe(world.now, 1, "a".into(), options);
        let bytes = world.sent_bytes();
        // Behind first byte, length and Packet Identifier.
        assert_eq!(bytes[4] > 0, has_identifier, "{bytes:?}");
    }
}

/// The protocol level of the next CONNECT, whose connection is left open.
fn level(world: &mut World) -> u8 {
    world.open();
    let bytes = world.sent_bytes();
    let name = bytes.windows(4).position(|part| part == b"MQTT");
    bytes[name.expect("a CONNECT") + 4]
}

#[test]
fn a_server_that_knows_no_bridges_is_called_by_a_plain_client() {
    let builder = || Builder::new("mqtt://a").version(Version::V3_1_1).bridge();
    let mut world = World::new(builder());
    assert_eq!(level(&mut world), 0x84);
    world.receive_bytes(&[0x20, 2, 0, 1]);
    assert_eq!(retry_in(&world), Some(Duration::ZERO));
    world.wait_for_dial();
    assert_eq!(level(&mut world), 4);
    world.receive_bytes(&[0x20, 2, 0, 1]);
    assert_eq!(retry_in(&world), None, "stopped for good");

    // Silence may have another reason.
    let mut world = World::new(builder());
    for expect in [0x84, 4, 0x84] {
        assert_eq!(level(&mut world), expect);
        world.core.handle_failed(world.now, OfflineReason::Closed);
        world.wait_for_dial();
    }

    let mut world = World::new(Builder::new("mqtt://a").bridge());
    assert_eq!(level(&mut world), 5, "MQTT 5 has options for it");
}

#[test]
fn connect_and_disconnect_leave_as_they_have_been_edited() {
    let builder = Builder::new("mqtt://a").session_expiry(SECOND);
    let mut world = World::new(builder.edit_disconnect(|packet| {
        packet.reason = ReasonCode::DisconnectWithWillMessage;
        packet.session_expiry = Some(60 * SECOND);
        packet.user_properties.push(("k".into(), "v".into()));
    }));
    let mut packet = world.core.connect_packet();
    packet.client_id = "edited".to_owned();
    packet.user_properties.push(("a".into(), "b".into()));
    world.core.handle_connected(world.now, packet);
    let bytes = world.sent_bytes();
    let has = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    assert!(has(&bytes, b"\0\x06edited"), "{bytes:?}");
    assert!(has(&bytes, b"\x26\0\x01a\0\x01b"), "{bytes:?}");
    world.receive(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties: wigwag_proto::Properties::EMPTY,
    }));
    world.core.disconnect(world.now, SECOND);
    let expect = b"\xE0\x0E\x04\x0C\x11\0\0\0\x3C\x26\0\x01k\0\x01v";
    assert_eq!(world.sent_bytes(), expect);
}

#[test]
fn a_connect_that_cannot_be_encoded_is_told() {
    let mut world = World::new(Builder::new("mqtt://a"));
    let mut packet = world.core.connect_packet();
    packet.client_id = "x".repeat(70_000);
    world.core.handle_connected(world.now, packet);
    let state = world.core.state();
    assert!(
        matches!(state, State::Offline { reason: OfflineReason::Connect(text), next: Some(_) } if text.contains("70000")),
        "{state:?}"
    );
}

// The outgoing queue.

#[test]
fn topics_are_sent_as_aliases_when_the_server_offers_them() {
    let mut world = World::new(builder());
    world.connect(false, &[Property::TopicAliasMaximum(1)]);
    let topics = ["long/topic", "long/topic", "other/topic", "long/topic"];
    for topic in topics {
        world.publish(1, Publish::new(topic, ""));
    }
    let expect = [
        "PUBLISH long/topic",
        "PUBLISH ",
        "PUBLISH other/topic",
        "PUBLISH long/topic",
    ];
    assert_eq!(world.sent(), expect);
    // Another connection knows no aliases.
    world.lose_connection();
    world.connect(true, &[Property::TopicAliasMaximum(1)]);
    world.publish(1, Publish::new("long/topic", ""));
    assert_eq!(world.sent(), ["PUBLISH long/topic"]);
    world.lose_connection();
    world.connect(true, &[]);
    world.publish(1, Publish::new("long/topic", ""));
    world.publish(1, Publish::new("long/topic", ""));
    assert_eq!(world.sent(), ["PUBLISH long/topic", "PUBLISH long/topic"]);
}

#[test]
fn an_alias_does_not_make_a_packet_too_large() {
    let mut world = World::new(builder());
    let properties = [
        Property::TopicAliasMaximum(9),
        Property::MaximumPacketSize(17),
    ];
    world.connect(false, &properties);
    for _ in 0..2 {
        world.publish(1, Publish::new("long/topic", "1"));
    }
    assert_eq!(world.sent(), ["PUBLISH long/topic", "PUBLISH long/topic"]);
}

#[test]
fn messages_in_flight_are_published_again_after_the_session_is_lost_if_that_is_wanted() {
    let policy = crate::SessionLossPolicy::Republish;
    let mut world = World::online(builder().session_loss_policy(policy));
    for (receipt, qos) in [
        (1, Qos::AtLeastOnce),
        (2, Qos::ExactlyOnce),
        (3, Qos::AtLeastOnce),
    ] {
        world.publish(receipt, Publish::new("a", "").qos(qos));
    }
    world.sent();
    world.lose_connection();
    world.publish(4, Publish::new("b", "").qos(Qos::AtLeastOnce));
    world.connect(false, &[]);
    let lost = Ok(Outcome::Indeterminate(Indeterminate::SessionLost));
    assert_eq!(world.published(), [(2, lost)]);
    let expect = [
        "PUBLISH a q1 id=1 dup=false",
        "PUBLISH a q1 id=2 dup=false",
        "PUBLISH b q1 id=3 dup=false",
    ];
    assert_eq!(world.sent(), expect);
}

#[test]
fn what_has_waited_longest_gives_way_and_what_is_in_flight_does_not() {
    let mut world = World::new(builder());
    world.connect(false, &[Property::ReceiveMaximum(1)]);
    for receipt in 1..=4 {
        let publish = Publish::new("topic", "12345").qos(Qos::AtLeastOnce);
        world.publish(receipt, publish);
    }
    assert!(world.core.displace_oldest() && world.core.displace_oldest());
    world.collect();
    let displaced = || Err(PublishError::Displaced);
    assert_eq!(world.published(), [(2, displaced()), (3, displaced())]);
    assert!(world.core.displace_oldest());
    assert!(!world.core.displace_oldest(), "the other one is in flight");
    world.collect();
    assert_eq!(world.published(), [(4, displaced())]);
    world.receive(&Packet::PubAck(ack(1)));
    assert_eq!(world.published(), [(1, DELIVERED)]);
}
