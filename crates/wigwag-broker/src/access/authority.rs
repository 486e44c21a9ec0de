//! An embedder's own answer to who gets in and who may do what, in the place of files.
//!
//! Most questions are answered by a [`Policy`] on the thread of the shard that asks. A login that takes time
//! is put off with [`Answer::Later`] and answered from any thread through its [`Reply`].

use std::fmt;
use std::sync::Arc;

use wigwag_engine::{Claimed, ConnectionKey, ShardId};

pub use wigwag_engine::auth::{Answer, Attempt, AuthRequest, AuthStep, Exchange, Verdict};
pub use wigwag_engine::policy::{AllowAll, Identity, Policy};
pub use wigwag_engine::proto::{ReasonCode, TopicFilter, TopicName};

use crate::desk::{Desk, Order, Orders};

/// Decides on access for an embedder.
pub trait Authority: Send + Sync {
    /// The policy of one shard. It stays on that shard's thread, so it may keep things to itself.
    fn policy(&self) -> Box<dyn Policy>;

    /// A login that the policy has put off, or the next step of one. This runs on a shard's thread and must
    /// not wait: it passes the question on and returns. The default refuses.
    fn authenticate(&self, request: AuthRequest, reply: Reply) {
        drop((request, reply));
    }
}

/// Takes a verdict to the client that waits for it. Dropped without one, it refuses.
pub struct Reply {
    orders: Orders,
    connection: ConnectionKey,
    verdict: Verdict,
}

impl Reply {
    /// Gives the verdict. A client that has gone meanwhile does not get it.
    pub fn send(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let refusal = Verdict::Refuse(ReasonCode::NotAuthorized);
        let verdict = std::mem::replace(&mut self.verdict, refusal);
        self.orders.answer(Order::Verdict(self.connection, verdict));
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// An authority as the shards see it.
#[derive(Clone)]
pub(crate) struct AuthorityDesk(pub(crate) Arc<dyn Authority>);

impl fmt::Debug for AuthorityDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorityDesk")
    }
}

impl Desk for AuthorityDesk {
    fn policy(&self, _: ShardId) -> Option<Box<dyn Policy>> {
        Some(self.0.policy())
    }

    fn authenticate(&self, orders: &Orders, request: AuthRequest) -> Option<Verdict> {
        let reply = Reply {
            orders: orders.clone(),
            connection: request.connection,
            verdict: Verdict::Refuse(ReasonCode::NotAuthorized),
        };
        self.0.authenticate(request, reply);
        None
    }

    /// Nothing is claimed for an authority.
    fn handle_claimed(&self, _: &Orders, _: Claimed) {}
}
