//! Messages: those that come in, and those that go out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wigwag_proto::packet;
use wigwag_proto::{PropertiesBuf, Property, Qos, TopicName};

use crate::{Client, PublishError, Publishing};

/// A message that the server has delivered.
#[derive(Clone)]
pub struct Message {
    topic: Arc<str>,
    payload: Bytes,
    qos: Qos,
    retain: bool,
    dup: bool,
    properties: PropertiesBuf,
}

impl Message {
    /// The message that `publish` carries. Its topic may have come as an alias.
    pub(crate) fn new(topic: Arc<str>, publish: &packet::Publish<'_>) -> Message {
        let dup = match publish.delivery {
            packet::Delivery::AtMostOnce => false,
            packet::Delivery::AtLeastOnce { dup, .. }
            | packet::Delivery::ExactlyOnce { dup, .. } => dup,
        };
        Message {
            topic,
            payload: Bytes::copy_from_slice(publish.payload),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            dup,
            properties: publish.properties.into(),
        }
    }

    /// Bytes that the message takes while it waits for its handler.
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.as_properties().as_bytes().len()
    }

    /// The Topic Name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The application's bytes.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The QoS at which the message was delivered.
    pub const fn qos(&self) -> Qos {
        self.qos
    }

    /// Whether this is a retained message, sent because of the subscription.
    pub const fn retain(&self) -> bool {
        self.retain
    }

    /// Whether the server says that it may have sent the message before.
    pub const fn dup(&self) -> bool {
        self.dup
    }

    /// Where the sender expects an answer.
    pub fn response_topic(&self) -> Option<&str> {
        let topic = self.properties.as_properties().response_topic();
        topic.map(TopicName::as_str)
    }

    /// What an answer must carry so that the sender can tell which request it answers.
    pub fn correlation_data(&self) -> Option<&[u8]> {
        self.properties.as_properties().correlation_data()
    }

    /// What the payload is.
    pub fn content_type(&self) -> Option<&str> {
        self.properties.as_properties().content_type()
    }

    /// Whether the sender declares the payload to be UTF-8 text.
    pub fn is_text(&self) -> bool {
        let indicator = self.properties.as_properties().payload_format_indicator();
        indicator == Some(true)
    }

    /// How much longer the message is of use.
    pub fn message_expiry(&self) -> Option<Duration> {
        let secs = self.properties.as_properties().message_expiry_interval();
        secs.map(|secs| Duration::from_secs(secs.into()))
    }

    /// The User Properties in their order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties.as_properties().user_properties()
    }

    /// The same message for another server or topic: with the payload, QoS, RETAIN flag and properties that
    /// it has come with.
    ///
    /// RETAIN is as its publisher has set it if the subscription asks for that; see
    /// [`SubscriptionOptions::retain_as_published`](crate::SubscriptionOptions::retain_as_published).
    pub fn to_publish(&self, topic: impl Into<Box<str>>) -> Publish {
        let mut publish = Publish::new(topic, self.payload.clone()).qos(self.qos);
        publish.retain = self.retain;
        publish.message_expiry = self.message_expiry();
        let properties = PublishProperties {
            text: self.is_text(),
            content_type: self.content_type().map(str::to_owned),
            response_topic: self.response_topic().map(str::to_owned),
            correlation_data: self.correlation_data().map(Bytes::copy_from_slice),
            user_properties: (self.user_properties())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        if properties != PublishProperties::default() {
            publish.properties = Some(Box::new(properties));
        }
        publish
    }

    /// Answers the message on its Response Topic, with its Correlation Data and at its QoS; `None` when
    /// the sender expects no answer.
    pub fn reply(&self, client: &Client, payload: impl Into<Bytes>) -> Option<Publishing> {
        let topic = self.response_topic()?;
        let mut reply = Publish::new(topic, payload).qos(self.qos);
        if let Some(data) = self.correlation_data() {
            reply = reply.correlation_data(data.to_vec());
        }
        Some(client.publish(reply))
    }
}

/// Without the payload: it may be large, and it may be secret.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("payload_len", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("dup", &self.dup)
            .finish_non_exhaustive()
    }
}

/// A message to publish: QoS 0 and not retained, unless it is told otherwise.
///
/// Properties exist in MQTT 5 only; over MQTT 3.x they are left out.
#[derive(Clone)]
#[must_use = "a message is published by `Client::publish`"]
pub struct Publish {
    topic: Box<str>,
    payload: Bytes,
    qos: Qos,
    retain: bool,
    message_expiry: Option<Duration>,
    /// Most messages have none.
    properties: Option<Box<PublishProperties>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct PublishProperties {
    text: bool,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<Bytes>,
    user_properties: Vec<(String, String)>,
}

impl Publish {
    /// A message for `topic`, whose validity is checked when the message is published.
    pub fn new(topic: impl Into<Box<str>>, payload: impl Into<Bytes>) -> Publish {
        Publish {
            topic: topic.into(),
            payload: payload.into(),
            qos: Qos::AtMostOnce,
            retain: false,
            message_expiry: None,
            properties: None,
        }
    }

    /// The Topic Name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Sets another topic.
    pub(crate) fn topic_name(mut self, topic: &str) -> Publish {
        self.topic = topic.into();
        self
    }

    /// Sets the QoS.
    pub fn qos(mut self, qos: Qos) -> Publish {
        self.qos = qos;
        self
    }

    /// Lets the server keep the message for future subscribers.
    pub fn retain(mut self) -> Publish {
        self.retain = true;
        self
    }

    /// Lets the server forget the message when it has been delivered, which is the default.
    pub fn not_retained(mut self) -> Publish {
        self.retain = false;
        self
    }

    /// Sets how long the message is of use, in whole seconds, rounded up. Time in the outgoing queue
    /// counts.
    pub fn message_expiry(mut self, expiry: Duration) -> Publish {
        self.message_expiry = Some(expiry);
        self
    }

    /// Declares the payload to be UTF-8 text.
    pub fn text(mut self) -> Publish {
        self.properties_mut().text = true;
        self
    }

    /// Says what the payload is.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Publish {
        self.properties_mut().content_type = Some(content_type.into());
        self
    }

    /// Asks for an answer on this topic.
    pub fn response_topic(mut self, topic: impl Into<String>) -> Publish {
        self.properties_mut().response_topic = Some(topic.into());
        self
    }

    /// What the answer will carry.
    pub fn correlation_data(mut self, data: impl Into<Bytes>) -> Publish {
        self.properties_mut().correlation_data = Some(data.into());
        self
    }

    /// Adds a User Property.
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Publish {
        let pair = (name.into(), value.into());
        self.properties_mut().user_properties.push(pair);
        self
    }

    fn properties_mut(&mut self) -> &mut PublishProperties {
        self.properties.get_or_insert_default()
    }

    /// Checks everything that can be checked without a server.
    pub(crate) fn into_outgoing(self) -> Result<Outgoing, PublishError> {
        TopicName::new(&self.topic)?;
        let properties = match &self.properties {
            Some(properties) => properties.encode()?,
            None => PropertiesBuf::new(),
        };
        let message_expiry_secs = self.message_expiry.map(|expiry| {
            let round_up = u64::from(expiry.subsec_nanos() > 0);
            u32::try_from(expiry.as_secs().saturating_add(round_up)).unwrap_or(u32::MAX)
        });
        Ok(Outgoing {
            topic: self.topic,
            payload: self.payload,
            qos: self.qos,
            retain: self.retain,
            message_expiry_secs,
            properties,
        })
    }
}

impl PublishProperties {
    fn encode(&self) -> Result<PropertiesBuf, PublishError> {
        let mut buf = PropertiesBuf::new();
        if self.text {
            buf.push(Property::PayloadFormatIndicator(true))?;
        }
        if let Some(content_type) = &self.content_type {
            buf.push(Property::ContentType(content_type))?;
        }
        if let Some(topic) = &self.response_topic {
            buf.push(Property::ResponseTopic(TopicName::new(topic)?))?;
        }
        if let Some(data) = &self.correlation_data {
            buf.push(Property::CorrelationData(data))?;
        }
        for (name, value) in &self.user_properties {
            buf.push(Property::UserProperty((name, value)))?;
        }
        Ok(buf)
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("payload_len", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish_non_exhaustive()
    }
}

/// A message that is ready to be sent: its topic is valid and its properties are in their wire form.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) topic: Box<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) message_expiry_secs: Option<u32>,
    pub(crate) properties: PropertiesBuf,
}

impl Outgoing {
    /// Bytes that the message takes in the outgoing queue.
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.as_properties().as_bytes().len()
    }
}

#[cfg(test)]
mod tests {
    use wigwag_proto::TopicError;

    use super::*;

    #[test]
    fn a_message_is_checked_before_it_is_queued() {
        let check = |publish: Publish, expect: PublishError| {
            assert_eq!(publish.into_outgoing().err(), Some(expect));
        };
        check(
            Publish::new("a/+", ""),
            PublishError::Topic(TopicError::WildcardInName),
        );
        check(
            Publish::new("a", "").response_topic(""),
            PublishError::Topic(TopicError::Empty),
        );
        let long = "x".repeat(70_000);
        let error = Publish::new("a", "").content_type(long).into_outgoing();
        assert!(matches!(error.err(), Some(PublishError::Property(_))));
    }

    #[test]
    fn a_message_goes_on_as_it_has_come() {
        let there = |outgoing: &Outgoing| {
            let mut properties = PropertiesBuf::new();
            let expiry = outgoing.message_expiry_secs.expect("set");
            properties
                .push(Property::MessageExpiryInterval(expiry))
                .expect("short");
            for property in outgoing.properties.as_properties().iter() {
                properties.push(property).expect("it was there before");
            }
            let publish = packet::Publish {
                topic: TopicName::new(&outgoing.topic).ok(),
                payload: &outgoing.payload,
                retain: outgoing.retain,
                delivery: packet::Delivery::AtMostOnce,
                properties: properties.as_properties(),
            };
            Message::new("there".into(), &publish)
        };
        let full = Publish::new("here", "payload")
            .retain()
            .message_expiry(Duration::from_secs(9))
            .text()
            .content_type("t")
            .response_topic("r")
            .correlation_data("c")
            .user_property("k", "v")
            .user_property("k", "w");
        let first = full.into_outgoing().expect("valid");
        let second = there(&first).to_publish("on").into_outgoing();
        let second = second.expect("valid");
        assert_eq!(&*second.topic, "on");
        let parts = |outgoing: &Outgoing| {
            let properties = outgoing.properties.as_properties().as_bytes().to_vec();
            (outgoing.retain, outgoing.message_expiry_secs, properties)
        };
        assert_eq!(parts(&second), parts(&first));
    }

    #[test]
    fn an_expiry_is_rounded_up_to_seconds() {
        let secs = |expiry| {
            let outgoing = Publish::new("a", "").message_expiry(expiry).into_outgoing();
            outgoing.expect("valid").message_expiry_secs
        };
        assert_eq!(secs(Duration::from_millis(1)), Some(1));
        assert_eq!(secs(Duration::from_secs(2)), Some(2));
        assert_eq!(secs(Duration::MAX), Some(u32::MAX));
    }
}
