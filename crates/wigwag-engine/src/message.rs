//! An application message on its way through the broker, borrowed from a read buffer or shared.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use wigwag_proto::packet::{Publish, Will};
use wigwag_proto::{Properties, PropertiesBuf, Property, Qos, Time, TopicName, TopicNameBuf};

use crate::memory::{Account, Charge};
use crate::record::ledger::Filed;

/// A message as the broker forwards it, borrowed.
///
/// Its properties are those that travel with it: a Topic Alias belongs to one connection and is gone, and
/// the Message Expiry Interval has become a point in time.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of a PUBLISH")]
pub struct MessageRef<'a> {
    pub topic: TopicName<'a>,
    pub qos: Qos,
    pub retain: bool,
    pub properties: Properties<'a>,
    pub payload: &'a [u8],
    pub expires_at: Option<Time>,
}

/// A message that is kept: in flight, queued, retained, or on its way to another shard.
#[derive(Debug)]
pub struct Message {
    topic: TopicNameBuf,
    qos: Qos,
    retain: bool,
    properties: PropertiesBuf,
    payload: Bytes,
    expires_at: Option<Time>,
    /// Its record, once there is one.
    filed: OnceLock<Filed>,
    /// Once it is kept.
    charge: OnceLock<Charge>,
}

impl Message {
    /// The message, borrowed.
    pub fn view(&self) -> MessageRef<'_> {
        MessageRef {
            topic: self.topic.as_name(),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.as_properties(),
            payload: &self.payload,
            expires_at: self.expires_at,
        }
    }

    /// The token of its record in a store.
    pub(crate) const fn filed(&self) -> &OnceLock<Filed> {
        &self.filed
    }

    /// The payload for out-buffers that share it.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// It is kept from here on: counts it, if nobody has.
    pub(crate) fn charge(&self, account: &Arc<Account>) {
        let len = self.size() + self.topic.as_name().as_str().len();
        self.charge.get_or_init(|| Charge::new(account, len));
    }

    /// Bytes that the message counts for in a queue.
    pub fn size(&self) -> usize {
        self.view().size()
    }
}

impl MessageRef<'_> {
    /// A copy that can be kept and shared.
    pub fn to_message(self) -> Arc<Message> {
        Arc::new(Message {
            topic: self.topic.into(),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.into(),
            payload: Bytes::copy_from_slice(self.payload),
            expires_at: self.expires_at,
            filed: OnceLock::new(),
            charge: OnceLock::new(),
        })
    }

    /// Bytes that the message would count for in a queue.
    pub(crate) fn size(&self) -> usize {
        self.topic.as_str().len() + self.properties.as_bytes().len() + self.payload.len()
    }

    /// Whether nobody may get the message any more.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// The properties of a packet that travel with its message, and what the others say. They are looked through
/// once.
pub(crate) struct Forwarded {
    /// `None` when all of the packet's properties travel, so that they can be borrowed.
    properties: Option<PropertiesBuf>,
    expires_at: Option<Time>,
    pub(crate) topic_alias: Option<u16>,
    pub(crate) has_subscription_identifier: bool,
}

impl Forwarded {
    pub(crate) fn new(properties: Properties<'_>, now: Time) -> Forwarded {
        let mut forwarded = Forwarded {
            properties: None,
            expires_at: None,
            topic_alias: None,
            has_subscription_identifier: false,
        };
        let mut all_travel = true;
        for property in properties.iter() {
            match property {
                Property::TopicAlias(alias) => forwarded.topic_alias = Some(alias),
                Property::MessageExpiryInterval(secs) => {
                    let interval = std::time::Duration::from_secs(secs.into());
                    forwarded.expires_at = Some(now + interval);
                }
                Property::SubscriptionIdentifier(_) => {
                    forwarded.has_subscription_identifier = true;
                }
                _ => {}
            }
            all_travel &= travels(&property);
        }
        if !all_travel {
            let mut kept = PropertiesBuf::new();
            for property in properties.iter().filter(travels) {
                kept.push(property)
                    .expect("what has been read can be written");
            }
            forwarded.properties = Some(kept);
        }
        forwarded
    }

    pub(crate) fn message<'a>(
        &'a self,
        packet: &Publish<'a>,
        topic: TopicName<'a>,
    ) -> MessageRef<'a> {
        MessageRef {
            topic,
            qos: packet.delivery.qos(),
            retain: packet.retain,
            properties: self
                .properties
                .as_ref()
                .map_or(packet.properties, PropertiesBuf::as_properties),
            payload: packet.payload,
            expires_at: self.expires_at,
        }
    }

    /// The message of a Will. Its expiry counts from the moment that it is published, so it is kept as
    /// an interval by who keeps the Will.
    pub(crate) fn will(will: &Will<'_>) -> Arc<Message> {
        let forwarded = Forwarded::new(will.properties, Time::ZERO);
        MessageRef {
            topic: will.topic,
            qos: will.qos,
            retain: will.retain,
            properties: forwarded
                .properties
                .as_ref()
                .map_or(will.properties, PropertiesBuf::as_properties),
            payload: will.payload,
            expires_at: None,
        }
        .to_message()
    }
}

/// Whether a property goes with the message to its subscribers as it is.
fn travels(property: &Property<'_>) -> bool {
    !matches!(
        property,
        Property::TopicAlias(_)
            | Property::MessageExpiryInterval(_)
            | Property::WillDelayInterval(_)
    )
}

#[cfg(test)]
mod tests {
    use wigwag_proto::packet::Delivery;

    use super::*;

    #[test]
    fn alias_and_expiry_do_not_travel_and_the_rest_keeps_its_order() {
        let mut properties = PropertiesBuf::new();
        for property in [
            Property::UserProperty(("a", "1")),
            Property::TopicAlias(3),
            Property::MessageExpiryInterval(60),
            Property::UserProperty(("b", "2")),
        ] {
            properties.push(property).expect("short");
        }
        let now = Time::new(std::time::Duration::from_secs(5));
        let forwarded = Forwarded::new(properties.as_properties(), now);
        let topic = TopicName::new("t").expect("valid");
        let packet = Publish {
            delivery: Delivery::AtMostOnce,
            retain: false,
            topic: None,
            properties: properties.as_properties(),
            payload: b"p",
        };
        let message = forwarded.message(&packet, topic);
        let left: Vec<_> = message.properties.iter().collect();
        assert_eq!(
            left,
            [
                Property::UserProperty(("a", "1")),
                Property::UserProperty(("b", "2"))
            ]
        );
        assert!(!message.is_expired(now + std::time::Duration::from_secs(59)));
        assert!(message.is_expired(now + std::time::Duration::from_secs(60)));
    }
}
