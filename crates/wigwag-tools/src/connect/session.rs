//! The client's half of the protocol for the tools: what each packet means, and what is answered.
//!
//! It does what Mosquitto's library does and no more, so that what a command line asks for is what goes over the wire:
//! Packet Identifiers count from 1, properties leave in the order in which they were given. It opens nothing and waits
//! for nothing; packets leave through a [`Peer`].

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use bytes::Bytes;
use wigwag_client::SubscriptionOptions;
use wigwag_client::wire::packet::{
    ConnAck, Connect, Delivery, Disconnect, Packet, Publish, PublishAck, Subscribe, SubscribeAck,
    Subscription, Unsubscribe, Will,
};
use wigwag_proto::alias::InboundAliases;
use wigwag_proto::codec::encode_publish_head;
use wigwag_proto::{
    PacketId, Properties as View, PropertiesBuf, Property, Qos, ReasonCode, TopicFilter, TopicName,
    Version,
};

use crate::message::Received;
use crate::options::command_line::{CommandLine, Properties, Session as Who};

use super::failure::Failure;
use super::trace;

/// Bytes that the Topic Names behind a server's aliases may have.
const ALIAS_BYTES_MAX: usize = 1024 * 1024;

/// How many messages of QoS 1 and 2 a server may have under way to us, if nobody says otherwise: Mosquitto's number.
const RECEIVE_MAXIMUM: u16 = 20;

/// Where packets leave.
pub(super) trait Peer {
    /// Sends a packet.
    fn send(&mut self, packet: &Packet<'_>);

    /// Prints a line of `-d`.
    fn say(&mut self, line: &str);
}

/// What has come about.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The server has accepted the connection.
    Connected {
        /// It goes on with a session.
        session_present: bool,
    },
    /// The server has refused the connection.
    Refused {
        /// Why.
        reason: ReasonCode,
        /// Why, in the server's words.
        text: Option<String>,
    },
    /// A message has left (QoS 0) or has been answered (QoS 1 and 2).
    Published {
        /// Its Packet Identifier, which one of QoS 0 has here only.
        packet_id: u16,
        /// What became of it.
        reason: ReasonCode,
        /// Why, in the server's words.
        text: Option<String>,
    },
    /// Subscriptions have been answered.
    Subscribed {
        /// The Packet Identifier of the SUBSCRIBE.
        packet_id: u16,
        /// A Reason Code for each filter.
        reasons: Vec<ReasonCode>,
    },
    /// The removal of a subscription has been answered.
    Unsubscribed {
        /// The Packet Identifier of the UNSUBSCRIBE.
        packet_id: u16,
        /// A Reason Code for each filter; MQTT 3.x has none.
        reasons: Vec<ReasonCode>,
    },
    /// A message has come in.
    Message(Received),
}

/// Why a message cannot be sent to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// The server has no such QoS.
    Qos,
    /// It is larger than the server allows.
    Size {
        /// Bytes of the packet.
        size: usize,
        /// What is allowed.
        max: u32,
    },
    /// Its topic is not one.
    Topic,
    /// It cannot be encoded: a field is too long.
    Encoding,
}

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The topic; `None` where a Topic Alias stands for it.
    pub topic: Option<String>,
    /// The payload.
    pub payload: Bytes,
    /// The QoS.
    pub qos: Qos,
    /// The RETAIN flag.
    pub retain: bool,
    /// The properties, as they leave.
    pub properties: PropertiesBuf,
}

/// A message of QoS 1 or 2 on its way.
struct Flight {
    packet_id: PacketId,
    message: Outgoing,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It waits for its turn.
    Waiting,
    /// PUBLISH has been sent.
    Sent,
    /// PUBREL has been sent.
    Released,
}

/// What the server offers.
struct Offer {
    qos_max: Qos,
    retain: bool,
    packet_size_max: u32,
    quota: usize,
}

/// One client, over all its connections.
pub(super) struct Session {
    who: Who,
    properties: Properties,
    /// The name that the server knows this client by, if it has one.
    client_id: Option<String>,
    last_packet_id: u16,
    /// In the order of first sending.
    flights: VecDeque<Flight>,
    /// Messages of QoS 2 until their PUBREL.
    held: BTreeMap<PacketId, Received>,
    is_connected: bool,
    offer: Offer,
    aliases: InboundAliases,
    happenings: VecDeque<Happening>,
    keep_alive_secs: u16,
    /// `-d`.
    traces: bool,
}

impl Session {
    pub(super) fn new(line: &CommandLine, receive_maximum: Option<u16>) -> Session {
        let mut properties = line.properties.clone();
        let connect = &mut properties.connect;
        if line.session.version == Version::V5
            && connect.as_properties().receive_maximum().is_none()
        {
            // No more than are waited for: what else the server had sent would be lost.
            let waited_for = (line.subscribe.count).and_then(|count| u16::try_from(count).ok());
            let usual = waited_for.map_or(RECEIVE_MAXIMUM, |count| count.min(RECEIVE_MAXIMUM));
            let max = receive_maximum.unwrap_or(usual);
            // A number always fits.
            let _ = connect.push(Property::ReceiveMaximum(max));
        }
        let mut who = line.session.clone();
        if who.client_id.is_empty() && who.version == Version::V3_1 {
            who.client_id = made_up_id();
        }
        Session {
            client_id: Some(who.client_id.clone()).filter(|id| !id.is_empty()),
            last_packet_id: 0,
            flights: VecDeque::new(),
            held: BTreeMap::new(),
            is_connected: false,
            offer: Offer::of_3_x(&who),
            aliases: InboundAliases::new(0, ALIAS_BYTES_MAX),
            happenings: VecDeque::new(),
            keep_alive_secs: who.keep_alive_secs,
            traces: line.debug,
            who,
            properties,
        }
    }

    /// Sends a packet, and says so.
    fn send(&self, peer: &mut impl Peer, packet: &Packet<'_>) {
        self.send_numbered(peer, packet, 0);
    }

    /// A PUBLISH of QoS 0 has a number in the lines of `-d` that the packet has not.
    fn send_numbered(&self, peer: &mut impl Peer, packet: &Packet<'_>, packet_id: u16) {
        if self.traces {
            for line in trace::sent(self.client_id.as_deref(), packet, packet_id) {
                peer.say(&line);
            }
        }
        peer.send(packet);
    }

    fn send_publish(
        &self,
        peer: &mut impl Peer,
        message: &Outgoing,
        packet_id: PacketId,
        dup: bool,
    ) {
        let packet = Packet::Publish(as_packet(message, packet_id, dup));
        self.send_numbered(peer, &packet, packet_id.get());
    }

    pub(super) const fn keep_alive_secs(&self) -> u16 {
        self.keep_alive_secs
    }

    /// Something has come about, in order.
    pub(super) fn poll(&mut self) -> Option<Happening> {
        self.happenings.pop_front()
    }

    pub(super) fn has_happenings(&self) -> bool {
        !self.happenings.is_empty()
    }

    /// Messages of QoS 1 and 2 that have not been answered.
    pub(super) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Whether another message of QoS 1 or 2 would be sent at once.
    pub(super) fn has_quota(&self) -> bool {
        self.flights.len() < self.offer.quota
    }

    /// A connection has been opened.
    pub(super) fn connect(&mut self, peer: &mut impl Peer) -> Result<(), Failure> {
        let who = &self.who;
        let topic = match &who.will {
            Some(will) => Some(TopicName::new(&will.topic).map_err(|_| Failure::Will)?),
            None => None,
        };
        let will = topic.zip(who.will.as_ref()).map(|(topic, will)| Will {
            topic,
            payload: &will.payload,
            qos: will.qos,
            retain: will.retain,
            properties: self.properties.will.as_properties(),
        });
        let alias_max = self
            .properties
            .connect
            .as_properties()
            .topic_alias_maximum();
        self.aliases = InboundAliases::new(alias_max.unwrap_or(0), ALIAS_BYTES_MAX);
        self.is_connected = false;
        self.send(
            peer,
            &Packet::Connect(Connect {
                version: who.version,
                is_bridge: false,
                client_id: &who.client_id,
                clean_start: who.clean,
                keep_alive_secs: who.keep_alive_secs,
                properties: self.properties.connect.as_properties(),
                will,
                user_name: who.user_name.as_deref(),
                password: who.password.as_deref().map(str::as_bytes),
            }),
        );
        Ok(())
    }

    /// Asks for subscriptions, all in one packet; gives its Packet Identifier.
    pub(super) fn subscribe(
        &mut self,
        peer: &mut impl Peer,
        filters: &[String],
        options: SubscriptionOptions,
    ) -> u16 {
        let packet_id = self.next_packet_id();
        let filters = filters
            .iter()
            .filter_map(|filter| TopicFilter::new(filter).ok());
        let subscriptions = filters.map(|filter| Subscription { filter, options });
        self.send(
            peer,
            &Packet::Subscribe(Subscribe {
                packet_id,
                properties: self.properties.subscribe.as_properties(),
                subscriptions: subscriptions.collect(),
            }),
        );
        packet_id.get()
    }

    /// Asks for the end of a subscription; gives the Packet Identifier.
    pub(super) fn unsubscribe(&mut self, peer: &mut impl Peer, filter: &str) -> u16 {
        let packet_id = self.next_packet_id();
        self.send(
            peer,
            &Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties: self.properties.unsubscribe.as_properties(),
                filters: TopicFilter::new(filter).into_iter().collect(),
            }),
        );
        packet_id.get()
    }

    /// Publishes a message; gives its Packet Identifier. One of QoS 1 or 2 waits for its turn if the server has to answer
    /// others first.
    pub(super) fn publish(
        &mut self,
        peer: &mut impl Peer,
        mut message: Outgoing,
    ) -> Result<u16, Unsendable> {
        if let Some(topic) = &message.topic
            && TopicName::new(topic).is_err()
        {
            return Err(Unsendable::Topic);
        }
        message.retain &= self.offer.retain;
        if message.qos > self.offer.qos_max {
            return Err(Unsendable::Qos);
        }
        let packet_id = self.next_packet_id();
        self.check_size(&message, packet_id)?;
        if message.qos == Qos::AtMostOnce {
            self.send_publish(peer, &message, packet_id, false);
            self.happenings.push_back(Happening::Published {
                packet_id: packet_id.get(),
                reason: ReasonCode::Success,
                text: None,
            });
        } else {
            self.flights.push_back(Flight {
                packet_id,
                message,
                stage: Stage::Waiting,
            });
            self.send_waiting(peer);
        }
        Ok(packet_id.get())
    }

    /// Bytes of the packet, as far as the server has a bound for them.
    fn check_size(&self, message: &Outgoing, packet_id: PacketId) -> Result<(), Unsendable> {
        let mut head = Vec::new();
        let publish = as_packet(message, packet_id, false);
        encode_publish_head(&publish, self.who.version, &mut head)
            .map_err(|_| Unsendable::Encoding)?;
        let (size, max) = (
            head.len() + message.payload.len(),
            self.offer.packet_size_max,
        );
        if size > max as usize {
            return Err(Unsendable::Size { size, max });
        }
        Ok(())
    }

    fn send_waiting(&mut self, peer: &mut impl Peer) {
        if !self.is_connected {
            return;
        }
        for flight in self.flights.iter().take(self.offer.quota) {
            if flight.stage == Stage::Waiting {
                self.send_publish(peer, &flight.message, flight.packet_id, false);
            }
        }
        for flight in self.flights.iter_mut().take(self.offer.quota) {
            if flight.stage == Stage::Waiting {
                flight.stage = Stage::Sent;
            }
        }
    }

    /// Whether the server has accepted the connection.
    pub(super) const fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Asks whether the server is there.
    pub(super) fn ping(&self, peer: &mut impl Peer) {
        self.send(peer, &Packet::PingReq);
    }

    /// Says goodbye. `DisconnectWithWillMessage` has the Will published; MQTT 3.x has no such word.
    pub(super) fn disconnect(&self, peer: &mut impl Peer, reason: ReasonCode) {
        let properties = if self.who.version == Version::V5 {
            self.properties.disconnect.as_properties()
        } else {
            View::EMPTY
        };
        self.send(peer, &Packet::Disconnect(Disconnect { reason, properties }));
    }

    /// The next identifier that nothing in flight has.
    fn next_packet_id(&mut self) -> PacketId {
        loop {
            self.last_packet_id = self.last_packet_id.wrapping_add(1);
            if let Some(packet_id) = PacketId::new(self.last_packet_id)
                && self
                    .flights
                    .iter()
                    .all(|flight| flight.packet_id != packet_id)
            {
                return packet_id;
            }
        }
    }

    /// A packet has come in.
    pub(super) fn handle(
        &mut self,
        peer: &mut impl Peer,
        packet: &Packet<'_>,
    ) -> Result<(), Failure> {
        if let Packet::ConnAck(connack) = packet
            && let Some(assigned) = connack.properties.assigned_client_identifier()
        {
            self.client_id = Some(assigned.to_owned());
        }
        if self.traces {
            peer.say(&trace::received(
                self.client_id.as_deref(),
                packet,
                self.who.version,
            ));
        }
        if self.is_connected == matches!(packet, Packet::ConnAck(_)) {
            return Err(unexpected(packet));
        }
        match packet {
            Packet::ConnAck(connack) => self.handle_connack(peer, connack),
            Packet::Publish(publish) => return self.handle_publish(peer, publish),
            Packet::PubAck(ack) => self.handle_answer(ack, Stage::Sent, Qos::AtLeastOnce),
            Packet::PubRec(ack) => self.handle_pubrec(peer, ack),
            Packet::PubRel(ack) => self.handle_pubrel(peer, ack),
            Packet::PubComp(ack) => self.handle_answer(ack, Stage::Released, Qos::ExactlyOnce),
            Packet::SubAck(ack) => {
                let (packet_id, reasons) = answer_of(ack);
                self.happenings
                    .push_back(Happening::Subscribed { packet_id, reasons });
            }
            Packet::UnsubAck(ack) => {
                let (packet_id, reasons) = answer_of(ack);
                self.happenings
                    .push_back(Happening::Unsubscribed { packet_id, reasons });
            }
            Packet::PingResp => {}
            Packet::Disconnect(disconnect) if self.who.version == Version::V5 => {
                return Err(Failure::Disconnected {
                    reason: disconnect.reason,
                    text: reason_string(disconnect.properties),
                });
            }
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::Disconnect(_)
            | Packet::Auth(_) => return Err(unexpected(packet)),
        }
        self.send_waiting(peer);
        Ok(())
    }

    fn handle_connack(&mut self, peer: &mut impl Peer, connack: &ConnAck<'_>) {
        if connack.reason != ReasonCode::Success {
            self.happenings.push_back(Happening::Refused {
                reason: connack.reason,
                text: reason_string(connack.properties),
            });
            return;
        }
        self.is_connected = true;
        self.offer = Offer::new(&self.who, connack.properties);
        if let Some(secs) = connack.properties.server_keep_alive() {
            self.keep_alive_secs = secs;
        }
        self.happenings.push_back(Happening::Connected {
            session_present: connack.session_present,
        });
        // What an earlier connection has not finished goes before everything else.
        for flight in &self.flights {
            match flight.stage {
                Stage::Waiting => {}
                Stage::Sent => self.send_publish(peer, &flight.message, flight.packet_id, true),
                Stage::Released => self.send(
                    peer,
                    &Packet::PubRel(PublishAck::new(flight.packet_id, ReasonCode::Success)),
                ),
            }
        }
    }

    fn handle_publish(
        &mut self,
        peer: &mut impl Peer,
        publish: &Publish<'_>,
    ) -> Result<(), Failure> {
        let topic = self.topic_of(publish)?;
        let packet_id = publish.delivery.packet_id();
        let received = Received {
            at: SystemTime::now(),
            topic,
            payload: Bytes::copy_from_slice(publish.payload),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            packet_id: packet_id.map_or(0, PacketId::get),
            properties: publish.properties.into(),
        };
        match publish.delivery {
            Delivery::AtMostOnce => self.happenings.push_back(Happening::Message(received)),
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.send(
                    peer,
                    &Packet::PubAck(PublishAck::new(packet_id, ReasonCode::Success)),
                );
                self.happenings.push_back(Happening::Message(received));
            }
            // It is told when the server will not send it again.
            Delivery::ExactlyOnce { packet_id, .. } => {
                self.send(
                    peer,
                    &Packet::PubRec(PublishAck::new(packet_id, ReasonCode::Success)),
                );
                self.held.entry(packet_id).or_insert(received);
            }
        }
        Ok(())
    }

    fn topic_of(&mut self, publish: &Publish<'_>) -> Result<String, Failure> {
        let wrong = |error: wigwag_proto::alias::AliasError| Failure::Protocol(error.to_string());
        match (publish.topic, publish.properties.topic_alias()) {
            (Some(topic), None) => Ok(topic.as_str().to_owned()),
            (Some(topic), Some(alias)) => {
                self.aliases.set(alias, topic).map_err(wrong)?;
                Ok(topic.as_str().to_owned())
            }
            (None, Some(alias)) => self.aliases.name(alias).map(str::to_owned).map_err(wrong),
            (None, None) => Err(Failure::Protocol("a PUBLISH without a topic".to_owned())),
        }
    }

    fn handle_pubrel(&mut self, peer: &mut impl Peer, ack: &PublishAck<'_>) {
        self.send(
            peer,
            &Packet::PubComp(PublishAck::new(ack.packet_id, ReasonCode::Success)),
        );
        if let Some(received) = self.held.remove(&ack.packet_id) {
            self.happenings.push_back(Happening::Message(received));
        }
    }

    fn handle_pubrec(&mut self, peer: &mut impl Peer, ack: &PublishAck<'_>) {
        if ack.reason.is_error() {
            return self.handle_answer(ack, Stage::Sent, Qos::ExactlyOnce);
        }
        let known = |flight: &&mut Flight| {
            flight.packet_id == ack.packet_id && flight.message.qos == Qos::ExactlyOnce
        };
        if let Some(flight) = self.flights.iter_mut().find(known) {
            flight.stage = Stage::Released;
        }
        self.send(
            peer,
            &Packet::PubRel(PublishAck::new(ack.packet_id, ReasonCode::Success)),
        );
    }

    /// The last answer to a message.
    fn handle_answer(&mut self, ack: &PublishAck<'_>, stage: Stage, qos: Qos) {
        let is_it = |flight: &Flight| {
            let is_waited_for = flight.stage == stage && flight.message.qos == qos;
            flight.packet_id == ack.packet_id && is_waited_for
        };
        let Some(at) = self.flights.iter().position(is_it) else {
            return;
        };
        self.flights.remove(at);
        self.happenings.push_back(Happening::Published {
            packet_id: ack.packet_id.get(),
            reason: ack.reason,
            text: reason_string(ack.properties),
        });
    }
}

/// MQTT 3.1 wants a Client Identifier of everybody; one like those of Mosquitto's library.
fn made_up_id() -> String {
    let letters = (0..18).map(|_| fastrand::alphanumeric());
    "mosq-".chars().chain(letters).collect()
}

impl Offer {
    fn of_3_x(who: &Who) -> Offer {
        Offer::new(who, View::EMPTY)
    }

    fn new(who: &Who, properties: View<'_>) -> Offer {
        let receive_maximum = properties.receive_maximum().unwrap_or(u16::MAX);
        Offer {
            qos_max: match properties.maximum_qos() {
                None => Qos::ExactlyOnce,
                Some(true) => Qos::AtLeastOnce,
                Some(false) => Qos::AtMostOnce,
            },
            retain: properties.retain_available().unwrap_or(true),
            packet_size_max: properties.maximum_packet_size().unwrap_or(u32::MAX),
            quota: receive_maximum.min(who.max_inflight).into(),
        }
    }
}

fn as_packet(message: &Outgoing, packet_id: PacketId, dup: bool) -> Publish<'_> {
    Publish {
        delivery: match message.qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
            Qos::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
        },
        retain: message.retain,
        topic: (message.topic.as_deref()).and_then(|topic| TopicName::new(topic).ok()),
        properties: message.properties.as_properties(),
        payload: &message.payload,
    }
}

fn answer_of(ack: &SubscribeAck<'_>) -> (u16, Vec<ReasonCode>) {
    (ack.packet_id.get(), ack.reasons.clone())
}

fn reason_string(properties: View<'_>) -> Option<String> {
    properties.reason_string().map(str::to_owned)
}

fn unexpected(packet: &Packet<'_>) -> Failure {
    Failure::Protocol(format!("{} was not expected", packet.packet_type()))
}

#[cfg(test)]
mod tests {
    use wigwag_client::wire::packet::PacketType;

    use super::*;
    use crate::options::command_line::Program;
    use crate::options::table::Tool;
    use crate::options::{Environment, Parsed, parse};

    /// What was sent, each packet in a few words.
    #[derive(Default)]
    struct Sent(Vec<String>);

    impl Peer for Sent {
        fn send(&mut self, packet: &Packet<'_>) {
            let told = match packet {
                Packet::Publish(publish) => {
                    let id = publish.delivery.packet_id().map_or(0, PacketId::get);
                    let dup = matches!(
                        publish.delivery,
                        Delivery::AtLeastOnce { dup: true, .. }
                            | Delivery::ExactlyOnce { dup: true, .. }
                    );
                    format!("PUBLISH {id}{}", if dup { " again" } else { "" })
                }
                Packet::PubAck(ack)
                | Packet::PubRec(ack)
                | Packet::PubRel(ack)
                | Packet::PubComp(ack) => format!("{} {}", packet.packet_type(), ack.packet_id),
                other => other.packet_type().to_string(),
            };
            self.0.push(told);
        }

        fn say(&mut self, _: &str) {}
    }

    impl Sent {
        fn take(&mut self) -> Vec<String> {
            std::mem::take(&mut self.0)
        }
    }

    fn line(arguments: &str) -> CommandLine {
        let arguments: Vec<_> = arguments.split_whitespace().map(Into::into).collect();
        match parse(
            Tool::Pub,
            Program::Mosquitto,
            &arguments,
            &Environment::default(),
        ) {
            Ok(Parsed::Run(line, _)) => *line,
            other => panic!("{other:?}"),
        }
    }

    fn connected(arguments: &str) -> (Session, Sent) {
        let (mut session, mut sent) = (Session::new(&line(arguments), None), Sent::default());
        connect(&mut session, &mut sent);
        assert_eq!(sent.take(), ["CONNECT"]);
        (session, sent)
    }

    fn connect(session: &mut Session, sent: &mut Sent) {
        session.connect(sent).expect("valid");
        let connack = Packet::ConnAck(ConnAck {
            session_present: true,
            reason: ReasonCode::Success,
            properties: View::EMPTY,
        });
        session.handle(sent, &connack).expect("welcome");
        assert!(matches!(session.poll(), Some(Happening::Connected { .. })));
    }

    fn message(qos: Qos) -> Outgoing {
        Outgoing {
            topic: Some("a".to_owned()),
            payload: Bytes::new(),
            qos,
            retain: false,
            properties: PropertiesBuf::new(),
        }
    }

    fn ack(kind: PacketType, packet_id: u16) -> Packet<'static> {
        let packet_id = PacketId::new(packet_id).expect("not zero");
        let ack = PublishAck::new(packet_id, ReasonCode::Success);
        match kind {
            PacketType::PubAck => Packet::PubAck(ack),
            PacketType::PubRec => Packet::PubRec(ack),
            PacketType::PubRel => Packet::PubRel(ack),
            _ => Packet::PubComp(ack),
        }
    }

    #[test]
    fn what_was_not_answered_is_sent_again_on_the_next_connection() {
        let (mut session, mut sent) = connected("");
        for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce, Qos::ExactlyOnce] {
            session.publish(&mut sent, message(qos)).expect("allowed");
        }
        let pubrec = ack(PacketType::PubRec, 2);
        session.handle(&mut sent, &pubrec).expect("fine");
        assert_eq!(
            sent.take(),
            ["PUBLISH 1", "PUBLISH 2", "PUBLISH 3", "PUBREL 2"]
        );
        connect(&mut session, &mut sent);
        let expect = ["CONNECT", "PUBLISH 1 again", "PUBREL 2", "PUBLISH 3 again"];
        assert_eq!(sent.take(), expect);
        assert_eq!(session.in_flight(), 3);
    }

    #[test]
    fn no_more_are_in_flight_than_the_user_allows() {
        let (mut session, mut sent) = connected("-M 1");
        for _ in 0..2 {
            session
                .publish(&mut sent, message(Qos::AtLeastOnce))
                .expect("allowed");
        }
        assert!(!session.has_quota());
        assert_eq!(sent.take(), ["PUBLISH 1"]);
        let puback = ack(PacketType::PubAck, 1);
        session.handle(&mut sent, &puback).expect("fine");
        assert_eq!(sent.take(), ["PUBLISH 2"]);
        let told = session.poll();
        assert!(
            matches!(told, Some(Happening::Published { packet_id: 1, .. })),
            "{told:?}"
        );
    }

    #[test]
    fn a_message_of_qos_2_is_told_once() {
        let (mut session, mut sent) = connected("");
        let packet_id = PacketId::new(7).expect("not zero");
        let publish = Packet::Publish(Publish {
            delivery: Delivery::ExactlyOnce {
                packet_id,
                dup: false,
            },
            retain: false,
            topic: TopicName::new("a").ok(),
            properties: View::EMPTY,
            payload: b"x",
        });
        session.handle(&mut sent, &publish).expect("fine");
        session.handle(&mut sent, &publish).expect("fine");
        assert!(!session.has_happenings(), "before it is released");
        for _ in 0..2 {
            session
                .handle(&mut sent, &ack(PacketType::PubRel, 7))
                .expect("fine");
        }
        assert_eq!(
            sent.take(),
            ["PUBREC 7", "PUBREC 7", "PUBCOMP 7", "PUBCOMP 7"]
        );
        assert!(matches!(session.poll(), Some(Happening::Message(_))));
        assert!(session.poll().is_none());
    }

    #[test]
    fn a_server_that_does_not_keep_to_the_protocol_is_left() {
        let mut session = Session::new(&line(""), None);
        let mut sent = Sent::default();
        session.connect(&mut sent).expect("valid");
        let early = session.handle(&mut sent, &Packet::PingResp);
        assert!(matches!(early, Err(Failure::Protocol(_))), "{early:?}");
        let (mut session, mut sent) = connected("");
        let request = session.handle(&mut sent, &Packet::PingReq);
        assert!(matches!(request, Err(Failure::Protocol(_))), "{request:?}");
    }
}
