//! What the shards of a node tell each other, in order from each to each.
//!
//! **How a session moves** from shard A to shard B, so that nothing is lost and no order changes: B claims
//! it in the directory and sends `Release`; A closes its connection and sends the session as a value, in
//! `HandOver`. B takes it in, points the routes at itself and sends a `Fence` to everybody, who pass it on
//! to A as `Fenced`. Whatever was routed by the old version of the index was sent to A before that, so when
//! A has heard from all it sends B what has come in the meantime, in `Settle`. Until then B keeps what
//! comes directly behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use wigwag_proto::Qos;

use crate::kick::Kick;
use crate::limits::Limits;
use crate::message::Message;
use crate::node::{Epoch, ShardId};
use crate::policy::Identity;
use crate::routes::Target;
use crate::session::{Session, SessionKey};
use crate::shard::{ConnectionKey, Pending, Receiver};
use crate::share::Tried;

/// Bytes of an envelope that holds little.
const ENVELOPE_LEN: usize = 64;

/// A message from one shard to another.
#[derive(Debug)]
pub struct Envelope(pub(crate) Letter);

impl Envelope {
    /// Bytes that the envelope makes its receiver hold, for the bound of its mailbox.
    pub fn size(&self) -> usize {
        match &self.0 {
            Letter::Deliver {
                message, receivers, ..
            } => message.size() + size_of_val::<[Receiver]>(receivers),
            Letter::PassOn { message, tried, .. } => message.size() + tried.size(),
            Letter::HandOver { session, .. } => {
                ENVELOPE_LEN + session.as_ref().map_or(0, |moving| moving.session.size())
            }
            Letter::Settle { backlog, .. } => ENVELOPE_LEN + backlog.size(),
            Letter::HoldBack(_)
            | Letter::Release { .. }
            | Letter::Fence { .. }
            | Letter::Fenced { .. }
            | Letter::Kick(_) => ENVELOPE_LEN,
        }
    }

    /// Whether it brings a message to somebody.
    pub fn is_message(&self) -> bool {
        matches!(self.0, Letter::Deliver { .. } | Letter::PassOn { .. })
    }
}

#[derive(Debug)]
pub(crate) enum Letter {
    /// Deliver the message to these sessions of yours.
    Deliver {
        message: Arc<Message>,
        receivers: Arc<[Receiver]>,
        /// Who is held back if it is too much for them.
        publisher: Option<Target>,
    },
    /// A reader has too much to do: do not read this publisher for a moment.
    HoldBack(SessionKey),
    /// A client of your session has connected to shard `to`, with the claim after yours.
    Release {
        client_id: Box<str>,
        epoch: Epoch,
        to: ShardId,
    },
    /// The answer to `Release`; `None` when the session ended in the meantime.
    HandOver {
        client_id: Box<str>,
        session: Option<Box<Moving>>,
    },
    /// The session `from` has moved: tell its old shard that you have routed the last message there.
    Fence { from: Target, to: Target },
    /// The answer to `Fence`, for the shard that the session has left.
    Fenced { from: SessionKey, to: Target },
    /// The last messages that went to the old place of your session.
    Settle {
        session: SessionKey,
        backlog: Backlog,
    },
    /// Deliver the message to a member of a shared subscription, after others could not take it.
    PassOn {
        message: Arc<Message>,
        receivers: Arc<[Receiver]>,
        tried: Tried,
    },
    /// The embedder wants clients disconnected.
    Kick(Kick),
}

/// A session on its way, with the place that it left.
#[derive(Debug)]
pub(crate) struct Moving {
    pub(crate) session: Session,
    pub(crate) from: Target,
}

/// Messages that wait for a session that is on its way, within the bounds of its queue.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    deliveries: Vec<(Arc<Message>, Receiver)>,
    /// Those of QoS 1 and 2.
    messages: usize,
    bytes: usize,
    /// Of QoS 0, which takes no place from the others.
    qos0_bytes: usize,
}

impl Backlog {
    /// Keeps a message; false if the bounds do not allow it.
    pub(crate) fn push(
        &mut self,
        message: &Arc<Message>,
        receiver: &Receiver,
        limits: &Limits,
    ) -> bool {
        let size = message.size();
        if message.view().qos.min(receiver.qos) == Qos::AtMostOnce {
            if self.qos0_bytes + size > limits.out_buffer_max {
                return false;
            }
            self.qos0_bytes += size;
        } else {
            if self.messages >= limits.queued_messages_max
                || self.bytes + size > limits.queued_bytes_max
            {
                return false;
            }
            self.messages += 1;
            self.bytes += size;
        }
        self.deliveries
            .push((Arc::clone(message), receiver.clone()));
        true
    }

    fn size(&self) -> usize {
        self.bytes + self.qos0_bytes + self.deliveries.len() * size_of::<Receiver>()
    }

    pub(crate) fn into_deliveries(self) -> impl Iterator<Item = (Arc<Message>, Receiver)> {
        self.deliveries.into_iter()
    }
}

/// What remains of a session that has left, until nothing can come for it any more.
#[derive(Debug)]
pub(crate) struct Departed {
    pub(crate) backlog: Backlog,
    /// Shards that may still route to the old place.
    pub(crate) unfenced: u16,
}

/// A session that is on its way to this shard, once for each claim that was made for it here.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    /// Each `HandOver` that comes answers the first.
    pub(crate) claims: VecDeque<AwaitedBy>,
}

/// What becomes of an awaited session when it comes.
#[derive(Debug)]
pub(crate) enum AwaitedBy {
    /// A client's connection goes on with it.
    Connection(ConnectionKey, Box<Pending>),
    /// The connection is gone: the session waits here for the next one.
    Nobody(Epoch),
    /// Another shard has claimed it in the meantime.
    Shard(ShardId),
}

impl Awaited {
    /// Whose connection it is that waits.
    pub(crate) fn identity(&self, waiting: ConnectionKey) -> Option<&Identity> {
        self.claims.iter().find_map(|claim| match claim {
            AwaitedBy::Connection(key, pending) if *key == waiting => Some(pending.identity()),
            _ => None,
        })
    }

    /// Puts the shard that made the next claim in the place of the claim that it follows, and gives
    /// that one back. `None` if it is none of these.
    pub(crate) fn overtake(&mut self, epoch: Epoch, to: ShardId) -> Option<AwaitedBy> {
        let overtaken = self.claims.iter_mut().find(|claim| match claim {
            AwaitedBy::Connection(_, pending) => epoch.follows(pending.epoch()),
            AwaitedBy::Nobody(earlier) => epoch.follows(*earlier),
            AwaitedBy::Shard(_) => false,
        })?;
        Some(std::mem::replace(overtaken, AwaitedBy::Shard(to)))
    }
}
