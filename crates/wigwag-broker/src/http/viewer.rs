//! Who asks over HTTP, and what of the messages it may see.
//!
//! Whoever shows messages takes it as `Extension<Viewer>`, which the guard sets; without one, the request fails.

use std::sync::Arc;

use wigwag_engine::policy::Identity;
use wigwag_engine::proto::TopicName;

use crate::access::AccessDesk;

/// Somebody who has been let in.
#[derive(Clone, Debug)]
pub(crate) struct Viewer(Sight);

#[derive(Clone, Debug)]
enum Sight {
    All,
    /// What the access rules say of a user.
    Of(Arc<AccessDesk>, Arc<Identity>),
    None,
}

impl Viewer {
    /// Somebody at a broker whose messages are for everybody.
    pub(super) const fn everybody() -> Viewer {
        Viewer(Sight::All)
    }

    /// Somebody who may ask for numbers, but of whom no rule for messages knows.
    pub(super) const fn stranger() -> Viewer {
        Viewer(Sight::None)
    }

    pub(super) fn user(desk: &Arc<AccessDesk>, identity: Identity) -> Viewer {
        Viewer(Sight::Of(Arc::clone(desk), Arc::new(identity)))
    }

    /// Whether it may be shown a message of this topic at this moment. To be asked for each message: a right can be
    /// taken away.
    pub(crate) fn may_read(&self, topic: TopicName<'_>) -> bool {
        match &self.0 {
            Sight::All => true,
            Sight::Of(desk, identity) => desk.may_read(identity, topic),
            Sight::None => false,
        }
    }
}
