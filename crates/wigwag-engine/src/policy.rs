//! Who may do what. The engine asks; the answer is the embedder's.

use wigwag_proto::{TopicFilter, TopicName};

/// Who a connection belongs to, as far as the broker knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Identity {
    pub client_id: Box<str>,
    pub user_name: Option<Box<str>>,
}

/// Decides on access. Every decision is asked for when it is needed and never remembered, so a right
/// that has been taken away is gone at once.
pub trait Policy {
    /// Whether the client may publish to the topic.
    fn may_publish(&self, who: &Identity, topic: TopicName<'_>) -> bool;

    /// Whether the client may make this subscription.
    fn may_subscribe(&self, who: &Identity, filter: TopicFilter<'_>) -> bool;

    /// Whether the client may be sent a message of this topic now, whichever way it came.
    fn may_receive(&self, who: &Identity, topic: TopicName<'_>) -> bool;
}

/// Everybody may do everything, except publish where the broker itself speaks.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn may_publish(&self, _: &Identity, topic: TopicName<'_>) -> bool {
        !topic.is_reserved() || !topic.as_str().starts_with("$SYS")
    }

    fn may_subscribe(&self, _: &Identity, _: TopicFilter<'_>) -> bool {
        true
    }

    fn may_receive(&self, _: &Identity, _: TopicName<'_>) -> bool {
        true
    }
}
