//! The one place where a message becomes bytes for a subscriber.
//!
//! **Invariant:** only an `Authorised` delivery can be written, and only `Authorised::check` makes
//! one, with the rights of that moment: live, retained, queued, sent again or a Will, all pass here.

use std::num::{NonZeroU32, NonZeroU64};

use bytes::Bytes;
use wigwag_proto::codec::{encode_publish, encode_publish_head};
use wigwag_proto::packet::{Delivery as Guarantee, Publish, Version};
use wigwag_proto::transmit::SHARE_FROM;
use wigwag_proto::{OutBuf, PacketId, PropertiesBuf, Property, Time, TopicName};

use crate::aliases::{Alias, OutboundAliases};
use crate::event::DropReason;
use crate::message::MessageRef;
use crate::policy::{Identity, Policy};

/// A message for one subscriber.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) message: MessageRef<'a>,
    /// The payload, if it can be shared instead of copied.
    pub(crate) shared: Option<&'a Bytes>,
    pub(crate) guarantee: Guarantee,
    pub(crate) retain: bool,
    pub(crate) identifiers: &'a [NonZeroU32],
}

/// Proof that the client may have it.
#[derive(Debug)]
pub(crate) struct Authorised<T>(T);

impl<'a> Authorised<Delivery<'a>> {
    /// Asks the policy, every time.
    pub(crate) fn check(
        delivery: Delivery<'a>,
        policy: &dyn Policy,
        who: &Identity,
    ) -> Result<Authorised<Delivery<'a>>, DropReason> {
        if policy.may_receive(who, delivery.message.topic) {
            Ok(Authorised(delivery))
        } else {
            Err(DropReason::NotAuthorised)
        }
    }
}

/// What matters of the receiving connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiving {
    pub(crate) version: Version,
    pub(crate) packet_size_max: u32,
}

/// What few recipients have: a mount point, or aliases.
#[derive(Debug)]
pub(crate) struct Special<'a> {
    /// What the client does not see of its topics.
    pub(crate) mount_point: Option<&'a str>,
    pub(crate) aliases: Option<&'a mut OutboundAliases>,
}

/// Writes deliveries. Those of one message to subscribers alike are encoded once and then copied, with
/// their Packet Identifiers filled in.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    template: Vec<u8>,
    layout: Option<Layout>,
}

/// What makes the bytes of two deliveries of one message alike, in one number for a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout(NonZeroU64);

impl Layout {
    /// The bits below the length of the topic, and below the alias.
    const TOPIC: u32 = 8;
    const ALIAS: u32 = 24;

    fn new(
        version: Version,
        delivery: &Delivery<'_>,
        topic: TopicName<'_>,
        alias: Option<Alias>,
        is_shared: bool,
    ) -> Layout {
        let (dup, retain) = (is_dup(delivery.guarantee), delivery.retain);
        // A topic has at most 65,535 bytes, and at least one.
        let len = topic.as_str().len() as u64;
        let (alias, is_known) = match alias {
            None => (0, false),
            Some(Alias::New(alias)) => (alias, false),
            Some(Alias::Known(alias)) => (alias, true),
        };
        let bits = u64::from(alias) << Layout::ALIAS
            | len << Layout::TOPIC
            | u64::from(is_known) << 6
            | u64::from(version.has_properties()) << 5
            | u64::from(dup) << 4
            | u64::from(retain) << 3
            | u64::from(is_shared) << 2
            | delivery.guarantee.qos() as u64;
        Layout(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }
}

fn is_dup(guarantee: Guarantee) -> bool {
    matches!(
        guarantee,
        Guarantee::AtLeastOnce { dup: true, .. } | Guarantee::ExactlyOnce { dup: true, .. }
    )
}

impl Writer {
    /// Forgets the last message.
    pub(crate) fn begin(&mut self) {
        self.layout = None;
    }

    /// Appends the PUBLISH to the out-buffer; returns its size.
    #[inline]
    pub(crate) fn write(
        &mut self,
        Authorised(delivery): &Authorised<Delivery<'_>>,
        receiving: Receiving,
        special: Option<Special<'_>>,
        now: Time,
        out: &mut OutBuf,
    ) -> Result<usize, DropReason> {
        // What has been sent once does not expire any more. [MQTT-4.3.3-7]
        if delivery.message.is_expired(now) && !is_dup(delivery.guarantee) {
            return Err(DropReason::Expired);
        }
        if let Some(special) = special {
            return self.write_special(delivery, receiving, special, now, out);
        }
        self.fill(
            delivery,
            receiving.version,
            delivery.message.topic,
            None,
            now,
        )?;
        self.put(delivery, receiving, out)
    }

    /// The same for those who do not see the whole topic, or know an alias for it.
    fn write_special(
        &mut self,
        delivery: &Delivery<'_>,
        receiving: Receiving,
        special: Special<'_>,
        now: Time,
        out: &mut OutBuf,
    ) -> Result<usize, DropReason> {
        let topic = unmounted(delivery.message.topic, special.mount_point)?;
        let alias = special.aliases.as_ref().and_then(|all| all.find(topic));
        self.fill(delivery, receiving.version, topic, alias, now)?;
        let size = self.put(delivery, receiving, out)?;
        if let (Some(Alias::New(alias)), Some(aliases)) = (alias, special.aliases) {
            aliases.keep(topic, alias);
        }
        Ok(size)
    }

    /// Makes the template that of this delivery.
    #[inline]
    fn fill(
        &mut self,
        delivery: &Delivery<'_>,
        version: Version,
        topic: TopicName<'_>,
        alias: Option<Alias>,
        now: Time,
    ) -> Result<(), DropReason> {
        let shared = shared_payload(delivery);
        let layout = Layout::new(version, delivery, topic, alias, shared.is_some());
        // Subscription Identifiers differ from one subscriber to the next.
        let is_alike = delivery.identifiers.is_empty();
        if is_alike && self.layout == Some(layout) {
            if let Some(packet_id) = delivery.guarantee.packet_id() {
                let is_known = matches!(alias, Some(Alias::Known(_)));
                self.fill_in(packet_id, if is_known { 0 } else { topic.as_str().len() });
            }
            return Ok(());
        }
        self.layout = None;
        let wire = Wire {
            version,
            topic,
            alias,
            shared,
        };
        self.encode(delivery, &wire, now)?;
        self.layout = is_alike.then_some(layout);
        Ok(())
    }

    /// Appends the template, and the payload if it is shared.
    #[inline]
    fn put(
        &self,
        delivery: &Delivery<'_>,
        receiving: Receiving,
        out: &mut OutBuf,
    ) -> Result<usize, DropReason> {
        let shared = shared_payload(delivery);
        let size = self.template.len() + shared.map_or(0, Bytes::len);
        // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
        if size > receiving.packet_size_max as usize {
            return Err(DropReason::TooLarge);
        }
        out.copy(&self.template);
        if let Some(payload) = shared {
            out.share(payload);
        }
        Ok(size)
    }

    /// Encodes the delivery; without its payload if that is shared.
    fn encode(
        &mut self,
        delivery: &Delivery<'_>,
        wire: &Wire<'_>,
        now: Time,
    ) -> Result<(), DropReason> {
        let message = &delivery.message;
        let built = properties(delivery, wire.alias, now);
        let packet = Publish {
            delivery: delivery.guarantee,
            retain: delivery.retain,
            topic: match wire.alias {
                Some(Alias::Known(_)) => None,
                Some(Alias::New(_)) | None => Some(wire.topic),
            },
            properties: built
                .as_ref()
                .map_or(message.properties, PropertiesBuf::as_properties),
            payload: message.payload,
        };
        self.template.clear();
        let encode = if wire.shared.is_some() {
            encode_publish_head
        } else {
            encode_publish
        };
        encode(&packet, wire.version, &mut self.template).map_err(|_| DropReason::TooLarge)
    }

    /// Writes a Packet Identifier into the template, behind the Topic Name.
    fn fill_in(&mut self, packet_id: PacketId, topic_len: usize) {
        let header_len = 1
            + self
                .template
                .iter()
                .skip(1)
                .take_while(|&&byte| byte & 0x80 != 0)
                .count()
            + 1;
        let at = header_len + 2 + topic_len;
        if let Some(place) = self.template.get_mut(at..at + 2) {
            place.copy_from_slice(&packet_id.get().to_be_bytes());
        }
    }
}

/// The payload, if it is shared because it is large enough for that.
fn shared_payload<'a>(delivery: &Delivery<'a>) -> Option<&'a Bytes> {
    delivery
        .shared
        .filter(|payload| payload.len() >= SHARE_FROM)
}

/// What a delivery looks like on one connection.
struct Wire<'a> {
    version: Version,
    topic: TopicName<'a>,
    alias: Option<Alias>,
    shared: Option<&'a Bytes>,
}

/// The topic as a client of this mount point knows it. What is beyond its mount point is not for it.
fn unmounted<'a>(
    topic: TopicName<'a>,
    mount_point: Option<&str>,
) -> Result<TopicName<'a>, DropReason> {
    let Some(mount_point) = mount_point else {
        return Ok(topic);
    };
    let rest = topic.as_str().strip_prefix(mount_point);
    rest.and_then(|rest| TopicName::new(rest).ok())
        .ok_or(DropReason::NotAuthorised)
}

/// The properties of this delivery, if they are not those of the message.
fn properties(delivery: &Delivery<'_>, alias: Option<Alias>, now: Time) -> Option<PropertiesBuf> {
    let message = &delivery.message;
    if message.expires_at.is_none() && delivery.identifiers.is_empty() && alias.is_none() {
        return None;
    }
    let mut properties = PropertiesBuf::new();
    // First, as Mosquitto has them.
    for identifier in delivery.identifiers {
        properties
            .push(Property::SubscriptionIdentifier(identifier.get()))
            .expect("it was received as one");
    }
    properties.append(message.properties);
    if let Some(Alias::Known(alias) | Alias::New(alias)) = alias {
        properties
            .push(Property::TopicAlias(alias))
            .expect("a number always fits");
    }
    if let Some(expires_at) = message.expires_at {
        // [MQTT-3.3.2-6]: what was received minus the time waited, rounded up so that it never is 0.
        let left = expires_at - now;
        let secs = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let secs = u32::try_from(secs).unwrap_or(u32::MAX);
        properties
            .push(Property::MessageExpiryInterval(secs))
            .expect("a number always fits");
    }
    Some(properties)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wigwag_proto::codec::{DecodeLimits, decode, frame};
    use wigwag_proto::packet::Packet;
    use wigwag_proto::{Properties, Qos};

    use super::*;
    use crate::policy::AllowAll;

    fn drain(out: &mut OutBuf) -> Vec<u8> {
        let mut slices = [std::io::IoSlice::new(&[]); 16];
        let filled = out.io_slices(&mut slices);
        let bytes: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        out.clear();
        bytes
    }

    fn identity() -> Identity {
        Identity::new("c", None)
    }

    fn authorised(delivery: Delivery<'_>) -> Authorised<Delivery<'_>> {
        Authorised::check(delivery, &AllowAll, &identity()).expect("everything is allowed")
    }

    fn message(payload: &[u8]) -> MessageRef<'_> {
        MessageRef {
            topic: TopicName::new("some/topic").expect("valid"),
            qos: Qos::ExactlyOnce,
            retain: false,
            properties: Properties::EMPTY,
            payload,
            expires_at: None,
        }
    }

    #[test]
    fn copies_of_a_template_differ_in_their_packet_identifiers_only() {
        for len in [10, 200, 70_000] {
            let payload = Bytes::from(vec![b'x'; len]);
            let mut writer = Writer::default();
            let mut out = OutBuf::new();
            for id in [1, 2, 40_000] {
                let packet_id = PacketId::new(id).expect("not zero");
                let delivery = Delivery {
                    message: message(&payload),
                    shared: Some(&payload),
                    guarantee: Guarantee::AtLeastOnce {
                        packet_id,
                        dup: false,
                    },
                    retain: false,
                    identifiers: &[],
                };
                let receiving = Receiving {
                    version: Version::V5,
                    packet_size_max: u32::MAX,
                };
                writer
                    .write(&authorised(delivery), receiving, None, Time::ZERO, &mut out)
                    .expect("written");
                let bytes = drain(&mut out);
                let frame = frame(&bytes, u32::MAX).expect("valid").expect("whole");
                assert_eq!(frame.len, bytes.len());
                let Ok(Packet::Publish(packet)) =
                    decode(frame, Version::V5, &DecodeLimits::default())
                else {
                    panic!("a PUBLISH")
                };
                assert_eq!(packet.delivery, delivery.guarantee);
                assert_eq!(packet.payload, &payload[..]);
            }
        }
    }

    #[test]
    fn expiry_counts_down_and_ends_the_message() {
        let secs = |secs| Time::new(Duration::from_secs(secs));
        let mut writer = Writer::default();
        let mut out = OutBuf::new();
        let delivery = Delivery {
            message: MessageRef {
                expires_at: Some(secs(10)),
                ..message(b"p")
            },
            shared: None,
            guarantee: Guarantee::AtMostOnce,
            retain: false,
            identifiers: &[],
        };
        let receiving = Receiving {
            version: Version::V5,
            packet_size_max: u32::MAX,
        };
        writer
            .write(&authorised(delivery), receiving, None, secs(7), &mut out)
            .expect("written");
        let bytes = drain(&mut out);
        let frame = frame(&bytes, u32::MAX).expect("valid").expect("whole");
        let Ok(Packet::Publish(packet)) = decode(frame, Version::V5, &DecodeLimits::default())
        else {
            panic!("a PUBLISH")
        };
        assert_eq!(packet.properties.message_expiry_interval(), Some(3));
        writer.begin();
        let expired = writer.write(&authorised(delivery), receiving, None, secs(10), &mut out);
        assert_eq!(expired, Err(DropReason::Expired));
        assert!(out.is_empty());
    }

    #[test]
    fn a_packet_above_the_clients_maximum_is_not_sent() {
        let mut out = OutBuf::new();
        let delivery = Delivery {
            message: message(b"payload"),
            shared: None,
            guarantee: Guarantee::AtMostOnce,
            retain: false,
            identifiers: &[],
        };
        // 1 + 1 + 2 + 10 + 7 bytes in MQTT 3.1.1.
        for (packet_size_max, expect) in [(20, Err(DropReason::TooLarge)), (21, Ok(21))] {
            let receiving = Receiving {
                version: Version::V3_1_1,
                packet_size_max,
            };
            let written = Writer::default().write(
                &authorised(delivery),
                receiving,
                None,
                Time::ZERO,
                &mut out,
            );
            assert_eq!(written, expect);
        }
    }

    #[test]
    fn what_a_client_may_not_have_cannot_be_written() {
        struct Nobody;
        impl Policy for Nobody {
            fn may_publish(&self, _: &Identity, _: TopicName<'_>) -> bool {
                false
            }
            fn may_subscribe(&self, _: &Identity, _: wigwag_proto::TopicFilter<'_>) -> bool {
                false
            }
            fn may_receive(&self, _: &Identity, _: TopicName<'_>) -> bool {
                false
            }
        }
        let delivery = Delivery {
            message: message(b"secret"),
            shared: None,
            guarantee: Guarantee::AtMostOnce,
            retain: false,
            identifiers: &[],
        };
        let refused = Authorised::check(delivery, &Nobody, &identity());
        assert_eq!(refused.err(), Some(DropReason::NotAuthorised));
    }
}
