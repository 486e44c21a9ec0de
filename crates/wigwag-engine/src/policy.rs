//! Who may do what. The engine asks; the answer is the embedder's.

use std::net::SocketAddr;
use std::sync::Arc;

use wigwag_proto::{ReasonCode, TopicFilter, TopicName};

use crate::auth::{Answer, Attempt};
use crate::listener::ListenerSettings;

/// Who a connection belongs to, as far as the broker knows.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Identity {
    pub client_id: Box<str>,
    pub user_name: Option<Box<str>>,
    /// Whether it has said that it is a bridge, as Mosquitto's do.
    pub is_bridge: bool,
    /// Where it came in.
    pub listener: Arc<ListenerSettings>,
    /// Where it is; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
}

impl Identity {
    /// A client of a listener with default settings.
    pub fn new(client_id: &str, user_name: Option<&str>) -> Identity {
        Identity {
            client_id: client_id.into(),
            user_name: user_name.map(Into::into),
            is_bridge: false,
            listener: Arc::default(),
            address: None,
        }
    }
}

/// Decides on access. Every decision is asked for when it is needed and never remembered, so a right
/// that has been taken away is gone at once. Topics are as the broker knows them, with the mount point.
pub trait Policy {
    /// Whether a client is let in, or that the answer takes time.
    fn authenticate(&self, attempt: &Attempt<'_>) -> Answer {
        // [MQTT-4.12.0-1]
        match attempt.method {
            Some(_) => Answer::refuse(ReasonCode::BadAuthenticationMethod),
            None => Answer::allow(attempt),
        }
    }

    /// Whether the client may publish to the topic.
    fn may_publish(&self, who: &Identity, topic: TopicName<'_>) -> bool;

    /// Whether the client may make this subscription. A shared one comes with its `$share/name/`.
    fn may_subscribe(&self, who: &Identity, filter: TopicFilter<'_>) -> bool;

    /// Whether the client may end this subscription.
    fn may_unsubscribe(&self, _who: &Identity, _filter: TopicFilter<'_>) -> bool {
        true
    }

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
