//! Who asks over HTTP, and what of the messages it may see.
//!
//! Whoever shows messages takes it as `Extension<Viewer>`, which the guard sets; without one, the request fails.

use std::sync::Arc;

use wigwag_engine::proto::TopicName;

use super::sessions::Session;
use crate::access::{AccessDesk, Login};

/// Somebody who has been let in. For as long as one lives, its session is in use.
#[derive(Clone, Debug)]
pub(crate) struct Viewer(Sight);

#[derive(Clone, Debug)]
enum Sight {
    All,
    /// What the access rules say of a user.
    Of(Arc<AccessDesk>, Standing),
    None,
}

/// What somebody was let in by.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// Its password has come with this request, or it needs none.
    Login(Arc<Login>),
    Session(Arc<Session>),
}

impl Standing {
    pub(super) fn login(&self) -> &Login {
        match self {
            Standing::Login(login) => login,
            Standing::Session(session) => &session.login,
        }
    }

    /// Whether it would still be let in.
    pub(super) fn holds(&self) -> bool {
        match self {
            Standing::Login(login) => login.still_holds(),
            Standing::Session(session) => session.holds(),
        }
    }
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

    pub(super) fn user(desk: &Arc<AccessDesk>, standing: Standing) -> Viewer {
        Viewer(Sight::Of(Arc::clone(desk), standing))
    }

    /// Whether it may be shown a message of this topic at this moment. To be asked for each message: a right can be
    /// taken away, and so can be the password by which it came in.
    pub(crate) fn may_read(&self, topic: TopicName<'_>) -> bool {
        match &self.0 {
            Sight::All => true,
            Sight::Of(desk, standing) => {
                standing.holds() && desk.may_read(&standing.login().identity, topic)
            }
            Sight::None => false,
        }
    }

    /// Whether it would still be let in. To be asked from time to time by who lets it stay for longer than a request.
    pub(crate) fn may_stay(&self) -> bool {
        match &self.0 {
            Sight::All | Sight::None => true,
            Sight::Of(_, standing) => standing.holds(),
        }
    }

    /// The user that it is, if the broker knows of users.
    pub(crate) fn user_name(&self) -> Option<&str> {
        match &self.0 {
            Sight::Of(_, standing) => standing.login().identity.user_name.as_deref(),
            Sight::All | Sight::None => None,
        }
    }
}
