//! Between the shards and the rest of the broker: what shards ask for, and what they are told to do.
//!
//! A [`Desk`] answers on the shard's own thread and must not wait there; what takes time it does elsewhere
//! and then sends an [`Order`].

use std::sync::Arc;

use tokio::sync::oneshot;
use wigwag_engine::auth::{AuthRequest, Verdict};
use wigwag_engine::message::Message;
use wigwag_engine::policy::Policy;
use wigwag_engine::proto::ReasonCode;
use wigwag_engine::record::save::{Answer, Question};
use wigwag_engine::restored::Clock;
use wigwag_engine::stats::Stats;
use wigwag_engine::{
    Claimed, ConnectionKey, Found, Kick, Present, Progress, Search, Settings, ShardId,
};

use crate::mailbox::Mailbox;
use crate::roll;
use crate::stopwatch::Durations;

/// What a shard is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// How an authentication goes on.
    Verdict(ConnectionKey, Verdict),
    /// Disconnect clients, in all shards.
    Kick(Kick),
    /// Close the connections of who has logged out.
    LoggedOut,
    /// Publish a message of the broker's own.
    Publish(Arc<Message>),
    /// Behave by these settings.
    Settings(Box<Settings>),
    /// Ask the desk for another policy.
    Policy,
    /// Tell what has been counted.
    Stats(oneshot::Sender<Box<Counts>>),
    /// Tell of all sessions.
    Roll(std::sync::mpsc::Sender<Vec<Present>>),
    /// Tell of the sessions that are wanted, from there on.
    Search(Search, Progress, oneshot::Sender<Found>),
    /// Tell that orders are carried out.
    Answer(oneshot::Sender<()>),
    /// Tell of single packets, or no more.
    Trace(bool),
    /// Say what is to be saved.
    Save(Clock, Question, oneshot::Sender<Box<Answer>>),
    /// Everything is saved: end when the connections are closed.
    End,
}

/// What a worker and its shard have counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) stats: Stats,
    pub(crate) durations: Durations,
}

/// Sends orders to shards, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    mailboxes: Arc<[Mailbox]>,
    /// Whose question is to be answered.
    shard: ShardId,
}

impl Orders {
    pub(crate) fn new(mailboxes: &Arc<[Mailbox]>, shard: ShardId) -> Orders {
        Orders {
            mailboxes: Arc::clone(mailboxes),
            shard,
        }
    }

    /// Asks all shards who is there, from a thread that may wait.
    pub(crate) fn call_the_roll(&self) -> Vec<Present> {
        roll::call(&self.mailboxes)
    }

    /// To the shard that asked.
    pub(crate) fn answer(&self, order: Order) {
        self.answer_all([order]);
    }

    /// To the shard that asked, to be carried out in one turn: what the first brings to clients of any shard
    /// is not seen by them before the others have been told to all shards.
    pub(crate) fn answer_all(&self, orders: impl IntoIterator<Item = Order>) {
        if let Some(mailbox) = self.mailboxes.get(usize::from(self.shard.0)) {
            mailbox.send_orders(orders);
        }
    }
}

/// Who answers what shards cannot decide.
pub(crate) trait Desk: Send + Sync {
    /// The policy of a shard; without one everything is allowed.
    fn policy(&self, shard: ShardId) -> Option<Box<dyn Policy>>;

    /// A client wants to be let in. What is not known at once is answered with [`Order::Verdict`].
    ///
    /// A verdict that names the user for the first time has to be given at once: until then the client is
    /// nobody's, and the wish to disconnect that user would pass it by.
    fn authenticate(&self, orders: &Orders, request: AuthRequest) -> Option<Verdict>;

    /// A message of a topic that the settings claim.
    fn handle_claimed(&self, orders: &Orders, claimed: Claimed);
}

/// Everybody may do everything.
#[derive(Debug)]
pub(crate) struct OpenDesk;

impl Desk for OpenDesk {
    fn policy(&self, _: ShardId) -> Option<Box<dyn Policy>> {
        None
    }

    fn authenticate(&self, _: &Orders, _: AuthRequest) -> Option<Verdict> {
        Some(Verdict::Refuse(ReasonCode::NotAuthorized))
    }

    fn handle_claimed(&self, _: &Orders, _: Claimed) {}
}
