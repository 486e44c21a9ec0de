//! The embedder's wish that clients be disconnected, wherever in the node they are.

use std::fmt;
use std::sync::Arc;

use wigwag_proto::ReasonCode;

use crate::policy::Identity;

/// Whose connections are to be closed, and how. Their sessions stay as long as they would otherwise.
#[derive(Clone, Debug)]
pub struct Kick {
    /// Whose.
    pub who: Who,
    /// What the clients are told.
    pub reason: ReasonCode,
    /// Whether their Wills are published.
    pub with_will: bool,
}

/// Which clients.
#[derive(Clone)]
pub enum Who {
    /// The one with this Client Identifier.
    Client(Box<str>),
    /// All with this user name.
    User(Box<str>),
    /// All without a user name.
    Anonymous,
    /// All that have come in by the listener of this number, those among them that have not said yet who they
    /// are.
    Listener(u16),
    /// All that this is true of. It is asked on every shard's thread.
    Matching(Arc<dyn Fn(&Identity) -> bool + Send + Sync>),
}

impl Who {
    pub(crate) fn includes(&self, identity: &Identity) -> bool {
        match self {
            Who::Client(client_id) => identity.client_id == *client_id,
            Who::User(user_name) => identity.user_name.as_ref() == Some(user_name),
            Who::Anonymous => identity.user_name.is_none(),
            Who::Listener(number) => identity.listener.number == *number,
            Who::Matching(predicate) => predicate(identity),
        }
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Client(client_id) => write!(f, "Client({client_id:?})"),
            Who::User(user_name) => write!(f, "User({user_name:?})"),
            Who::Anonymous => f.write_str("Anonymous"),
            Who::Listener(number) => write!(f, "Listener({number})"),
            Who::Matching(_) => f.write_str("Matching"),
        }
    }
}
