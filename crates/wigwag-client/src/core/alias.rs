//! The Topic Aliases that this client uses: the topics that were published to last have one.

use std::sync::Arc;

/// Topics shorter than this are sent as they are: an alias with its property takes three bytes.
const TOPIC_LEN_MIN: usize = 8;

/// What a PUBLISH says about its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicForm {
    /// The name alone.
    Name,
    /// The name, and the alias that stands for it from here on.
    NameAndAlias(u16),
    /// The alias alone.
    Alias(u16),
}

/// The aliases of one connection.
#[derive(Default)]
pub(super) struct OutboundAliases {
    max: u16,
    /// The latest use last. There are few: looking at each is quicker than a map.
    topics: Vec<(u16, Arc<str>)>,
}

impl OutboundAliases {
    /// A new connection, on which `max` aliases may be used.
    pub(super) fn reset(&mut self, max: u16) {
        *self = OutboundAliases {
            max,
            topics: Vec::new(),
        };
    }

    /// How to send `topic` next. The topic that has been out of use for longest loses its alias when all
    /// are taken.
    pub(super) fn choose(&mut self, topic: &str) -> TopicForm {
        if self.max == 0 || topic.len() < TOPIC_LEN_MIN {
            return TopicForm::Name;
        }
        let known = self.topics.iter().rposition(|(_, name)| **name == *topic);
        if let Some(index) = known {
            if let Some(latest) = self.topics.get_mut(index..) {
                latest.rotate_left(1);
            }
            let alias = self.topics.last().map_or(0, |(alias, _)| *alias);
            return TopicForm::Alias(alias);
        }
        let alias = match u16::try_from(self.topics.len()) {
            Ok(used) if used < self.max => used + 1,
            _ => self.topics.remove(0).0,
        };
        self.topics.push((alias, topic.into()));
        TopicForm::NameAndAlias(alias)
    }
}

#[cfg(test)]
mod tests {
    use super::TopicForm::{Alias, Name, NameAndAlias};
    use super::*;

    #[test]
    fn the_topic_longest_out_of_use_loses_its_alias() {
        let mut aliases = OutboundAliases::default();
        assert_eq!(aliases.choose("a/long/topic"), Name);
        aliases.reset(2);
        let forms = ["topic/one", "topic/two", "topic/one", "topic/three"];
        let forms = forms.map(|topic| aliases.choose(topic));
        let expect = [NameAndAlias(1), NameAndAlias(2), Alias(1), NameAndAlias(2)];
        assert_eq!(forms, expect);
        assert_eq!(aliases.choose("topic/one"), Alias(1));
        assert_eq!(aliases.choose("topic/two"), NameAndAlias(2));
        assert_eq!(aliases.choose("short"), Name);
        aliases.reset(2);
        assert_eq!(aliases.choose("topic/one"), NameAndAlias(1));
    }
}
