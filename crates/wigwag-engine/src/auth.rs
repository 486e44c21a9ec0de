//! Authentication as an exchange between the engine and its embedder.
//!
//! The engine asks [`Policy::authenticate`](crate::policy::Policy::authenticate) first. Who can answer
//! without waiting does so there. Else the connection is parked, and the question leaves the shard as an
//! [`AuthRequest`]; the answer comes back through `Shard::handle_verdict`. A parked connection is not read,
//! and its connect timeout goes on.

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use wigwag_proto::ReasonCode;

use crate::policy::Identity;
use crate::shard::ConnectionKey;

/// What a CONNECT presents, borrowed.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// Who the client says it is. Its user name is the certificate's, if that gives it one.
    pub identity: &'a Identity,
    /// Whether the user name is the certificate's.
    pub is_certified: bool,
    /// Its password.
    pub password: Option<&'a [u8]>,
    /// The Authentication Method, if it asks for an enhanced authentication.
    pub method: Option<&'a str>,
    /// The Authentication Data.
    pub data: Option<&'a [u8]>,
}

/// Without what must not be in a log.
impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("identity", self.identity)
            .field("is_certified", &self.is_certified)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What a policy says to an [`Attempt`].
#[derive(Debug)]
pub enum Answer {
    /// This.
    Now(Verdict),
    /// It takes time: the embedder gets an [`AuthRequest`] and answers it when it can.
    Later,
}

impl Answer {
    /// Lets the client in under the user name that it has given.
    pub fn allow(attempt: &Attempt<'_>) -> Answer {
        Answer::Now(Verdict::Allow {
            user_name: attempt.identity.user_name.clone(),
            data: None,
        })
    }

    /// Refuses the client.
    pub const fn refuse(reason: ReasonCode) -> Answer {
        Answer::Now(Verdict::Refuse(reason))
    }
}

/// How a step of an authentication ends.
#[derive(Debug)]
pub enum Verdict {
    /// The client is who it says.
    Allow {
        /// The user name that it has from here on; `None` leaves it anonymous.
        user_name: Option<Box<str>>,
        /// The last Authentication Data for it.
        data: Option<Bytes>,
    },
    /// The client has to send another AUTH. Only for who has named an Authentication Method.
    Continue {
        /// The Authentication Data for it.
        data: Option<Bytes>,
        /// Comes back with its answer.
        exchange: Exchange,
    },
    /// It is not let in, or not left in.
    Refuse(ReasonCode),
}

/// What the embedder has to know between two steps. It is dropped with the connection.
pub struct Exchange(pub Box<dyn Any + Send>);

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// A question that the embedder answers with `Shard::handle_verdict`.
#[derive(Debug)]
pub struct AuthRequest {
    /// Whose.
    pub connection: ConnectionKey,
    /// Who the client says it is.
    pub identity: Identity,
    /// How far it has got.
    pub step: AuthStep,
}

/// The steps of an authentication.
pub enum AuthStep {
    /// CONNECT, to which the policy answered [`Answer::Later`].
    Connect {
        /// Whether the user name is the certificate's.
        is_certified: bool,
        /// Its password.
        password: Option<Box<[u8]>>,
        /// The Authentication Method.
        method: Option<Box<str>>,
        /// The Authentication Data.
        data: Option<Bytes>,
    },
    /// The answer to a [`Verdict::Continue`].
    Continue {
        /// The Authentication Data.
        data: Option<Bytes>,
        /// What was given with the verdict.
        exchange: Exchange,
    },
    /// A client that is online authenticates again.
    ReAuthenticate {
        /// The Authentication Method, the one of its CONNECT.
        method: Box<str>,
        /// The Authentication Data.
        data: Option<Bytes>,
    },
}

/// Without what must not be in a log.
impl fmt::Debug for AuthStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthStep::Connect { .. } => "Connect",
            AuthStep::Continue { .. } => "Continue",
            AuthStep::ReAuthenticate { .. } => "ReAuthenticate",
        })
    }
}
