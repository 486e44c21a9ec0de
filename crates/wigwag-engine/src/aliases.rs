//! The Topic Aliases that the broker sets towards one client.
//!
//! First come, first served: the first topics that are long enough for an alias to pay get one, as many as
//! the client accepts, and keep it until the connection ends.

use std::collections::BTreeMap;

use wigwag_proto::TopicName;

/// Shorter names are sent as they are: the property takes three bytes, and the length of the properties and
/// every later look-up are not free either.
const PAYS_FROM: usize = 12;

/// The aliases of one connection.
#[derive(Debug)]
pub(crate) struct OutboundAliases {
    max: u16,
    aliases: BTreeMap<Box<str>, u16>,
}

/// What stands for a topic in one PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alias {
    /// The client knows it: the Topic Name is left out.
    Known(u16),
    /// It is sent with the Topic Name.
    New(u16),
}

impl OutboundAliases {
    pub(crate) fn new(max: u16) -> OutboundAliases {
        OutboundAliases {
            max,
            aliases: BTreeMap::new(),
        }
    }

    /// The alias of the topic, if it has one or may get one.
    pub(crate) fn find(&self, topic: TopicName<'_>) -> Option<Alias> {
        let text = topic.as_str();
        if text.len() < PAYS_FROM {
            return None;
        }
        if let Some(&alias) = self.aliases.get(text) {
            return Some(Alias::Known(alias));
        }
        let next = u16::try_from(self.aliases.len() + 1).ok()?;
        (next <= self.max).then_some(Alias::New(next))
    }

    /// The client has been told of a new alias.
    pub(crate) fn keep(&mut self, topic: TopicName<'_>, alias: u16) {
        self.aliases.insert(topic.as_str().into(), alias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_long_topics_get_an_alias_and_keep_it() {
        let name = |text| TopicName::new(text).expect("valid");
        let mut aliases = OutboundAliases::new(2);
        assert_eq!(aliases.find(name("short")), None);
        let topics = ["a/long/topic/1", "a/long/topic/2", "a/long/topic/3"].map(name);
        for (topic, alias) in topics.into_iter().zip([1, 2]) {
            assert_eq!(aliases.find(topic), Some(Alias::New(alias)));
            aliases.keep(topic, alias);
            assert_eq!(aliases.find(topic), Some(Alias::Known(alias)));
        }
        assert_eq!(aliases.find(topics[2]), None);
    }
}
