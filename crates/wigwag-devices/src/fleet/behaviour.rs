//! What a device of a fleet is to the one that drives it: pure, with the time as an argument.
//!
//! A behaviour answers what happens to it with messages to publish. It opens nothing, waits for nothing and draws its
//! numbers from a seed, so a run can be repeated.

use std::time::Duration;

use wigwag_client::{Message, Publish, Qos, Will};

/// Milliseconds since the beginning of 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    pub(super) const fn secs(self) -> u64 {
        self.0 / 1_000
    }
}

/// A kind of device.
pub(super) trait Behaviour: Send {
    /// What the broker says when the device is gone without a word; asked once before each connection.
    fn last_words(&mut self, at: Moment) -> Outgoing;

    /// The Topic Filters on which the device is told something.
    fn filters(&self) -> Vec<String>;

    /// What it says when it is connected, and when it is asked to introduce itself again.
    fn arrive(&mut self, at: Moment) -> Vec<Outgoing>;

    /// What it says each period.
    fn report(&mut self, at: Moment) -> Vec<Outgoing>;

    /// What it does when it is told something.
    fn obey(&mut self, command: &Command, at: Moment) -> Reaction;

    /// What it says before it goes on purpose.
    fn leave(&mut self, at: Moment) -> Vec<Outgoing>;

    /// The topics on which it leaves retained messages.
    fn retained(&self) -> Vec<String>;
}

/// What a device does when it is told something.
#[derive(Debug, PartialEq)]
pub(super) enum Reaction {
    Say(Vec<Outgoing>),
    /// Introduces itself again after a random part of this time: whoever asked has asked all devices at once.
    ArriveWithin(Duration),
}

/// A message that a device has received.
#[derive(Clone, Debug, Default)]
pub(super) struct Command {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) response_topic: Option<String>,
    pub(super) correlation_data: Option<Vec<u8>>,
}

impl From<&Message> for Command {
    fn from(message: &Message) -> Command {
        Command {
            topic: message.topic().to_owned(),
            payload: message.payload().to_vec(),
            response_topic: message.response_topic().map(str::to_owned),
            correlation_data: message.correlation_data().map(<[u8]>::to_vec),
        }
    }
}

/// A message that a device publishes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) correlation_data: Option<Vec<u8>>,
}

impl Outgoing {
    /// A message of QoS 0 that is not retained.
    pub(super) fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Outgoing {
        Outgoing {
            topic: topic.into(),
            payload: payload.into(),
            qos: Qos::AtMostOnce,
            retain: false,
            correlation_data: None,
        }
    }

    pub(super) fn acknowledged(self) -> Outgoing {
        Outgoing {
            qos: Qos::AtLeastOnce,
            ..self
        }
    }

    pub(super) fn retained(self) -> Outgoing {
        Outgoing {
            retain: true,
            ..self
        }
    }

    /// The answer to a command that expects one.
    pub(super) fn answer(command: &Command, payload: impl Into<Vec<u8>>) -> Option<Outgoing> {
        let topic = command.response_topic.clone()?;
        Some(Outgoing {
            correlation_data: command.correlation_data.clone(),
            ..Outgoing::new(topic, payload).acknowledged()
        })
    }

    pub(super) fn into_publish(self) -> Publish {
        let mut publish = Publish::new(self.topic, self.payload).qos(self.qos);
        if self.retain {
            publish = publish.retain();
        }
        if let Some(data) = self.correlation_data {
            publish = publish.correlation_data(data);
        }
        publish
    }

    pub(super) fn into_will(self) -> Will {
        let will = Will::new(self.topic, self.payload).qos(self.qos);
        if self.retain { will.retain() } else { will }
    }
}
