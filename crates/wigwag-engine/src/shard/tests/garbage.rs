//! Whatever bytes come from whichever peer: no shard panics, nobody else is sent anything that is no
//! packet, and nothing is left in the end.

use proptest::prelude::*;
use wigwag_proto::codec::encode;
use wigwag_proto::packet::{
    Auth, Connect, Delivery, Disconnect, Publish, PublishAck, RetainHandling, Subscribe,
    SubscribeAck, Subscription, SubscriptionOptions, Unsubscribe, Version, Will,
};
use wigwag_proto::{Packet, PacketId, Properties, PropertiesBuf, Property, Qos, ReasonCode};

use super::takeover::Picks;
use super::world::{Client, World, filter, name};
use crate::limits::Limits;

const NAMES: [&str; 4] = ["a", "a/b", "$SYS/x", "/"];
const FILTERS: [&str; 6] = ["a", "a/+", "#", "$SYS/#", "$share/g/a", "+/b/#"];
const VERSIONS: [Version; 3] = [Version::V5, Version::V3_1_1, Version::V3_1];

fn some_properties(pick: &mut Picks, from: &[Property<'_>]) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    for &property in from {
        if pick.below(3) == 0 {
            properties.push(property).expect("short");
        }
    }
    properties
}

fn some_connect(pick: &mut Picks, version: Version) -> Vec<u8> {
    let number = [0, 1, 30, u32::MAX][pick.below(4)];
    let small = [1, 2, u16::MAX][pick.below(3)];
    let properties = some_properties(
        pick,
        &[
            Property::SessionExpiryInterval(number),
            Property::ReceiveMaximum(small),
            Property::MaximumPacketSize(number),
            Property::TopicAliasMaximum(small),
        ],
    );
    let will_properties = some_properties(
        pick,
        &[
            Property::WillDelayInterval(number),
            Property::MessageExpiryInterval(number),
        ],
    );
    let will = (pick.below(2) == 0).then(|| Will {
        topic: name(NAMES[pick.below(4)]),
        payload: b"will",
        qos: Qos::from_u8(pick.below(3) as u8).expect("below 3"),
        retain: pick.below(2) == 0,
        properties: will_properties.as_properties(),
    });
    bytes_of(
        version,
        &Packet::Connect(Connect {
            version,
            is_bridge: false,
            client_id: ["", "x", "y"][pick.below(3)],
            clean_start: pick.below(2) == 0,
            keep_alive_secs: [0, 1, 60][pick.below(3)],
            properties: properties.as_properties(),
            will,
            user_name: None,
            password: None,
        }),
    )
}

fn some_publish(pick: &mut Picks, version: Version) -> Vec<u8> {
    let packet_id = PacketId::new(1 + pick.below(4) as u16).expect("not zero");
    let dup = pick.below(2) == 0;
    let alias = [1, 2, 16, 17][pick.below(4)];
    let expiry_secs = pick.below(3) as u32;
    let properties = some_properties(
        pick,
        &[
            Property::TopicAlias(alias),
            Property::MessageExpiryInterval(expiry_secs),
            Property::SubscriptionIdentifier(1),
            Property::UserProperty(("k", "v")),
        ],
    );
    let len = [0, 1, 200, 5_000][pick.below(4)];
    let delivery = match pick.below(3) {
        0 => Delivery::AtMostOnce,
        1 => Delivery::AtLeastOnce { packet_id, dup },
        _ => Delivery::ExactlyOnce { packet_id, dup },
    };
    bytes_of(
        version,
        &Packet::Publish(Publish {
            delivery,
            retain: pick.below(3) == 0,
            topic: (pick.below(4) > 0).then(|| name(NAMES[pick.below(4)])),
            properties: properties.as_properties(),
            payload: &vec![b'x'; len],
        }),
    )
}

fn some_packet(pick: &mut Picks, version: Version) -> Vec<u8> {
    let packet_id = PacketId::new(1 + pick.below(4) as u16).expect("not zero");
    let reason = [ReasonCode::Success, ReasonCode::QuotaExceeded][pick.below(2)];
    let (ack, properties) = (PublishAck::new(packet_id, reason), Properties::EMPTY);
    let options = SubscriptionOptions {
        qos: Qos::from_u8(pick.below(3) as u8).expect("below 3"),
        no_local: pick.below(4) == 0,
        retain_as_published: pick.below(2) == 0,
        retain_handling: [RetainHandling::Send, RetainHandling::SendIfNew][pick.below(2)],
    };
    let chosen = filter(FILTERS[pick.below(FILTERS.len())]);
    let answer = SubscribeAck {
        packet_id,
        properties,
        reasons: vec![reason],
    };
    let packet = match pick.below(16) {
        0 => return some_connect(pick, version),
        1..=4 => return some_publish(pick, version),
        5 | 6 => Packet::Subscribe(Subscribe {
            packet_id,
            properties,
            subscriptions: vec![
                Subscription {
                    filter: chosen,
                    options
                };
                1 + pick.below(2)
            ],
        }),
        7 => Packet::Unsubscribe(Unsubscribe {
            packet_id,
            properties,
            filters: vec![chosen],
        }),
        8 => Packet::PubAck(ack),
        9 => Packet::PubRec(ack),
        10 => Packet::PubRel(PublishAck::new(packet_id, ReasonCode::Success)),
        11 => Packet::PubComp(PublishAck::new(packet_id, ReasonCode::Success)),
        12 => Packet::PingReq,
        13 => Packet::Disconnect(Disconnect::new(
            [ReasonCode::Success, ReasonCode::DisconnectWithWillMessage][pick.below(2)],
        )),
        14 => Packet::Auth(Auth {
            reason: ReasonCode::Success,
            properties,
        }),
        _ => Packet::SubAck(answer),
    };
    bytes_of(version, &packet)
}

fn bytes_of(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What the version does not have is sent as garbage.
    if encode(packet, version, &mut bytes).is_err() {
        bytes = vec![0xF0, 0];
    }
    bytes
}

/// Bounds that a few packets reach.
fn tight() -> Limits {
    Limits {
        queued_messages_max: 3,
        queued_bytes_max: 6_000,
        out_buffer_max: 2_000,
        subscriptions_max: 2,
        retained_messages_max: 2,
        receive_maximum: 2,
        inflight_max: 2,
        cached_topics_max: 2,
        packet_size_max: 6_000,
        connect_packet_size_max: 200,
        ..Limits::default()
    }
}

struct Crowd {
    world: World,
    shards: usize,
    clients: Vec<(Version, Client)>,
}

impl Crowd {
    fn open(&mut self, pick: &mut Picks) -> (Version, Client) {
        let version = VERSIONS[pick.below(3)];
        let client = self.world.open(pick.below(self.shards), version);
        if pick.below(8) > 0 {
            client.send_bytes(&some_connect(pick, version));
        }
        (version, client)
    }

    fn step(&mut self, kind: u8, at: usize, garbage: &[u8], pick: &mut Picks) {
        if self.clients[at].1.is_closed() {
            self.clients[at] = self.open(pick);
        }
        let (version, client) = &self.clients[at];
        match kind {
            0 => client.send_bytes(garbage),
            1 => {
                let mut bytes = some_packet(pick, *version);
                let end = bytes.len();
                bytes[pick.below(end)] ^= 1 << pick.below(8);
                client.send_bytes(&bytes);
            }
            2 => client.lose(),
            3 => client.stall(),
            4 => client.read_on(),
            5 => self.world.advance([0, 1, 20][pick.below(3)]),
            6..=8 => {
                self.world.deliver_one(pick.next());
            }
            _ => client.send_bytes(&some_packet(pick, *version)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_make_a_shard_panic_or_keep_anything(
        shards in 1_u16..4,
        steps in prop::collection::vec(
            (0_u8..24, 0_usize..4, prop::collection::vec(any::<u8>(), 0..40)), 1..100),
        seed in any::<u64>(),
    ) {
        let mut pick = Picks(seed);
        let world = World::with_limits(shards, &tight());
        world.hold_letters();
        let mut crowd = Crowd { world: world.clone(), shards: shards.into(), clients: Vec::new() };
        for _ in 0..4 {
            let client = crowd.open(&mut pick);
            crowd.clients.push(client);
        }
        for (kind, at, garbage) in steps {
            crowd.step(kind, at, &garbage, &mut pick);
        }
        world.release_letters();
        world.lose_all();
        world.advance(8 * 24 * 3_600);
        world.assert_empty();
    }
}
