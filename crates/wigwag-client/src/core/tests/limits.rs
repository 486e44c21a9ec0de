//! What a server says that it accepts, against random use: no packet that leaves may be another one.

use std::collections::{BTreeMap, BTreeSet};

use wigwag_proto::packet::Subscription;

use super::*;

/// What the server of one connection has said.
#[derive(Clone, Copy, Debug)]
struct Offer {
    packet_size_max: u32,
    qos_max: Qos,
    retain: bool,
    wildcards: bool,
    shared: bool,
    identifiers: bool,
    alias_max: u16,
    receive_maximum: u16,
}

impl Offer {
    fn draw(random: &mut fastrand::Rng) -> Offer {
        let rarely = |random: &mut fastrand::Rng| random.u8(..4) == 0;
        Offer {
            packet_size_max: random.u32(8..80),
            qos_max: [
                Qos::AtMostOnce,
                Qos::AtLeastOnce,
                Qos::ExactlyOnce,
                Qos::ExactlyOnce,
            ][random.usize(..4)],
            retain: !rarely(random),
            wildcards: !rarely(random),
            shared: !rarely(random),
            identifiers: !rarely(random),
            alias_max: random.u16(..4),
            receive_maximum: random.u16(1..5),
        }
    }

    fn properties(&self) -> Vec<Property<'static>> {
        let mut properties = vec![
            Property::MaximumPacketSize(self.packet_size_max),
            Property::RetainAvailable(self.retain),
            Property::WildcardSubscriptionAvailable(self.wildcards),
            Property::SharedSubscriptionAvailable(self.shared),
            Property::SubscriptionIdentifierAvailable(self.identifiers),
            Property::TopicAliasMaximum(self.alias_max),
            Property::ReceiveMaximum(self.receive_maximum),
        ];
        if self.qos_max < Qos::ExactlyOnce {
            properties.push(Property::MaximumQos(self.qos_max == Qos::AtLeastOnce));
        }
        properties
    }

    fn accepts(&self, subscription: &Subscription<'_>) -> bool {
        let filter = &subscription.filter;
        (self.wildcards || !filter.has_wildcard()) && (self.shared || filter.share().is_none())
    }
}

/// The server of one connection: it checks what comes and answers when it is told to.
struct Server {
    offer: Offer,
    aliases: BTreeMap<u16, String>,
    in_flight: BTreeSet<PacketId>,
    /// Answers that are due, in their wire form.
    due: Vec<Vec<u8>>,
}

impl Server {
    fn new(offer: Offer) -> Server {
        Server {
            offer,
            aliases: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            due: Vec::new(),
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(found) = frame(rest, u32::MAX).expect("a packet") {
            let (len, offer) = (found.len, self.offer);
            assert!(
                len <= offer.packet_size_max as usize,
                "{len} bytes for {offer:?}"
            );
            let packet = wigwag_proto::codec::decode(found, Version::V5, &DecodeLimits::UNLIMITED);
            self.check(&packet.expect("a packet"));
            rest = &rest[len..];
        }
        assert!(rest.is_empty());
    }

    fn check(&mut self, packet: &Packet<'_>) {
        let offer = self.offer;
        match packet {
            Packet::Publish(publish) => self.check_publish(publish),
            Packet::PubRel(own) => self.owe(&Packet::PubComp(ack(own.packet_id.get()))),
            Packet::Subscribe(own) => {
                assert!(
                    own.subscriptions.iter().all(|own| offer.accepts(own)),
                    "{own:?}"
                );
                let has_identifier = own.properties.subscription_identifiers().next().is_some();
                assert!(offer.identifiers || !has_identifier, "{own:?}");
                self.owe(&suback(own.packet_id.get(), ReasonCode::Success));
            }
            Packet::Unsubscribe(own) => self.owe(&Packet::UnsubAck(SubscribeAck {
                packet_id: own.packet_id,
                properties: wigwag_proto::Properties::EMPTY,
                reasons: vec![ReasonCode::Success],
            })),
            other => panic!("{other:?}"),
        }
    }

    fn check_publish(&mut self, publish: &PublishPacket<'_>) {
        let offer = self.offer;
        assert!(publish.delivery.qos() <= offer.qos_max, "{publish:?}");
        assert!(offer.retain || !publish.retain, "{publish:?}");
        let name = publish.topic.map(|topic| topic.as_str().to_owned());
        if let Some(alias) = publish.properties.topic_alias() {
            assert!((1..=offer.alias_max).contains(&alias), "{publish:?}");
            if let Some(name) = name {
                self.aliases.insert(alias, name);
            }
            assert!(self.aliases.contains_key(&alias), "{publish:?}");
        } else {
            assert!(name.is_some(), "{publish:?}");
        }
        let Some(packet_id) = publish.delivery.packet_id() else {
            return;
        };
        self.in_flight.insert(packet_id);
        assert!(self.in_flight.len() <= usize::from(offer.receive_maximum));
        self.owe(&match publish.delivery.qos() {
            Qos::ExactlyOnce => Packet::PubRec(ack(packet_id.get())),
            Qos::AtLeastOnce | Qos::AtMostOnce => Packet::PubAck(ack(packet_id.get())),
        });
    }

    fn owe(&mut self, answer: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(answer, Version::V5, &mut bytes).expect("valid");
        self.due.push(bytes);
    }

    /// The next answer, if one is due.
    fn answer(&mut self) -> Option<Vec<u8>> {
        let bytes = (!self.due.is_empty()).then(|| self.due.remove(0))?;
        let found = frame(&bytes, u32::MAX).expect("a packet").expect("whole");
        let packet = wigwag_proto::codec::decode(found, Version::V5, &DecodeLimits::UNLIMITED);
        if let Ok(Packet::PubAck(own) | Packet::PubComp(own)) = packet {
            self.in_flight.remove(&own.packet_id);
        }
        Some(bytes)
    }
}

fn draw_publish(random: &mut fastrand::Rng) -> Publish {
    let topic = "topic/".repeat(random.usize(1..6));
    let payload = vec![b'x'; random.usize(..40)];
    let qos = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][random.usize(..3)];
    let mut publish = Publish::new(topic, payload).qos(qos);
    if random.u8(..4) == 0 {
        publish = publish.retain();
    }
    if random.u8(..4) == 0 {
        publish = publish.message_expiry(3_600 * SECOND);
    }
    if random.u8(..4) == 0 {
        publish = publish.user_property("name", "value");
    }
    publish
}

fn draw_filter(random: &mut fastrand::Rng) -> String {
    let level = ["level", "+", "another", "x"][random.usize(..4)];
    let filter = format!("{level}/").repeat(random.usize(1..10)) + ["#", "end"][random.usize(..2)];
    if random.u8(..4) == 0 {
        return format!("$share/group/{filter}");
    }
    filter
}

fn check(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new(builder().clean_start(false));
    let (mut receipt, mut key) = (0, 0);
    let mut done = BTreeSet::new();
    for _ in 0..6 {
        let mut server = Server::new(Offer::draw(&mut random));
        world.connect(random.bool(), &server.offer.properties());
        for _ in 0..40 {
            match random.u8(..8) {
                0..=2 => {
                    receipt += 1;
                    world.publish(receipt, draw_publish(&mut random));
                }
                3 => {
                    key += 1;
                    world.subscribe(key, &draw_filter(&mut random));
                }
                4 => {
                    key += 1;
                    let filter = draw_filter(&mut random).into();
                    world.core.unsubscribe(world.now, key, filter);
                }
                _ => {
                    if let Some(bytes) = server.answer() {
                        world.receive_bytes(&bytes);
                    }
                }
            }
            server.receive(&world.sent_bytes());
            assert!(world.core.state().is_online(), "{:?}", world.core.state());
            for (receipt, _) in world.published() {
                assert!(done.insert(receipt), "{receipt} is done twice");
            }
        }
        world.core.handle_failed(world.now, OfflineReason::Closed);
        world.collect();
        for (receipt, _) in world.published() {
            assert!(done.insert(receipt), "{receipt} is done twice");
        }
        world.wait_for_dial();
    }
    // A server that accepts everything gets what is left.
    world.connect(true, &[]);
    let mut server = Server::new(Offer {
        packet_size_max: u32::MAX,
        qos_max: Qos::ExactlyOnce,
        retain: true,
        wildcards: true,
        shared: true,
        identifiers: true,
        alias_max: 0,
        receive_maximum: u16::MAX,
    });
    server.receive(&world.sent_bytes());
    while let Some(bytes) = server.answer() {
        world.receive_bytes(&bytes);
        server.receive(&world.sent_bytes());
    }
    done.extend(world.published().into_iter().map(|(receipt, _)| receipt));
    assert_eq!(done, (1..=receipt).collect(), "seed {seed}");
}

#[test]
fn no_packet_exceeds_what_the_server_accepts() {
    for seed in 0..500 {
        check(seed);
    }
}
