//! Single packets, for a log that follows them.
//!
//! A shard makes these only while somebody reads them ([`Shard::set_tracing`]): otherwise a packet costs one
//! comparison. Payloads never get here.

use wigwag_proto::packet::{Delivery, PacketType, Publish, Qos, Subscribe};
use wigwag_proto::{Packet, ReasonCode, TopicName};

use crate::event::Event;
use crate::session::SessionKey;
use crate::shard::{ConnectionKey, Shard};

/// What a log says of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the packets")]
#[non_exhaustive]
pub enum Traced {
    ConnAck {
        session_present: bool,
        /// The Reason Code, or in MQTT 3.x the Connect Return code.
        code: u8,
    },
    Publish {
        delivery: Delivery,
        retain: bool,
        topic: Box<str>,
        payload_len: usize,
        /// The policy did not allow it.
        is_denied: bool,
    },
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Ack {
        packet_type: PacketType,
        packet_id: u16,
        reason: ReasonCode,
    },
    /// Each filter with the QoS that was asked for and the answer.
    Subscribe(Vec<(Box<str>, Qos, ReasonCode)>),
    Unsubscribe(Vec<Box<str>>),
    Disconnect(ReasonCode),
    Auth(ReasonCode),
    /// A packet of which there is nothing to say but that it came or went.
    Bare(PacketType),
}

/// Which way a packet went, seen from the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Way {
    Received,
    Sent,
}

impl Traced {
    /// What there is to say of a packet; of some this is not the place.
    fn of(packet: &Packet<'_>) -> Option<Traced> {
        let ack = |packet_id: wigwag_proto::PacketId, reason| Traced::Ack {
            packet_type: packet.packet_type(),
            packet_id: packet_id.get(),
            reason,
        };
        Some(match packet {
            // Told when a session is there, or with the refusal.
            Packet::Connect(_) => return None,
            // One that refuses is told by who knows the client's name.
            Packet::ConnAck(connack) if connack.reason.is_error() => return None,
            // Told where their outcome is known.
            Packet::Publish(_) | Packet::Subscribe(_) => return None,
            Packet::ConnAck(connack) => Traced::ConnAck {
                session_present: connack.session_present,
                code: connack.reason as u8,
            },
            Packet::PubAck(it) | Packet::PubRec(it) | Packet::PubRel(it) | Packet::PubComp(it) => {
                ack(it.packet_id, it.reason)
            }
            Packet::Unsubscribe(unsubscribe) => {
                let filters = unsubscribe.filters.iter();
                Traced::Unsubscribe(filters.map(|filter| filter.as_str().into()).collect())
            }
            Packet::Disconnect(disconnect) => Traced::Disconnect(disconnect.reason),
            Packet::Auth(auth) => Traced::Auth(auth.reason),
            Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingReq | Packet::PingResp => {
                Traced::Bare(packet.packet_type())
            }
        })
    }

    /// A PUBLISH, with the Topic Name that an alias may stand for.
    pub(crate) fn publish(publish: &Publish<'_>, topic: TopicName<'_>, is_denied: bool) -> Traced {
        Traced::Publish {
            delivery: publish.delivery,
            retain: publish.retain,
            topic: topic.as_str().into(),
            payload_len: publish.payload.len(),
            is_denied,
        }
    }

    /// A PUBLISH to a subscriber.
    pub(crate) fn delivery(delivery: &crate::delivery::Delivery<'_>) -> Traced {
        Traced::Publish {
            delivery: delivery.guarantee,
            retain: delivery.retain,
            topic: delivery.message.topic.as_str().into(),
            payload_len: delivery.message.payload.len(),
            is_denied: false,
        }
    }

    /// A SUBSCRIBE and what it was answered.
    pub(crate) fn subscribe(packet: &Subscribe<'_>, reasons: &[ReasonCode]) -> Traced {
        let subscriptions = packet.subscriptions.iter().zip(reasons);
        Traced::Subscribe(
            subscriptions
                .map(|(it, &reason)| (it.filter.as_str().into(), it.options.qos, reason))
                .collect(),
        )
    }
}

impl Shard {
    /// Whether events tell of single packets.
    pub fn set_tracing(&mut self, is_tracing: bool) {
        self.is_tracing = is_tracing;
    }

    /// Tells of a packet of a connection, if somebody reads that.
    pub(crate) fn trace(&mut self, connection: ConnectionKey, way: Way, packet: &Packet<'_>) {
        if self.is_tracing
            && let Some(mut traced) = Traced::of(packet)
        {
            // Acknowledgements of MQTT 3.x have no room for a reason; what was wrong is told all the same.
            if let Traced::Ack { reason, .. } = &mut traced
                && !reason.is_error()
                && !self.has_properties(connection)
            {
                *reason = ReasonCode::Success;
            }
            let session = self.session_of(connection);
            self.push_traced(connection, session, way, traced);
        }
    }

    /// Tells of a CONNACK that refuses a client, which may have said who it is.
    pub(crate) fn trace_refusal(
        &mut self,
        connection: ConnectionKey,
        client_id: Option<&str>,
        reason: ReasonCode,
    ) {
        if !self.is_tracing {
            return;
        }
        let code = if self.has_properties(connection) {
            reason as u8
        } else {
            reason.to_connect_return_code()
        };
        self.events.push(Event::Packet {
            connection,
            client_id: client_id.filter(|id| !id.is_empty()).map(Into::into),
            way: Way::Sent,
            packet: Traced::ConnAck {
                session_present: false,
                code,
            },
        });
    }

    pub(crate) fn push_traced(
        &mut self,
        connection: ConnectionKey,
        session: Option<SessionKey>,
        way: Way,
        packet: Traced,
    ) {
        let client_id = self.client_id_of(session);
        self.events.push(Event::Packet {
            connection,
            client_id,
            way,
            packet,
        });
    }
}
