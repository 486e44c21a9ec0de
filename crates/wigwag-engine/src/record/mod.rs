//! What of a node outlives the process, as records for an ordered key-value store: made here, read here, kept
//! by the embedder.
//!
//! | kind | key | what it holds |
//! |---|---|---|
//! | message | number | one message of queues, however many sessions it waits for |
//! | session | number | client, expiry, subscriptions, Will |
//! | entry | session, number | a message of its queue or in flight, by the message's number |
//! | in flight | session, Packet Identifier | its place in the order, and its entry |
//! | received | session, Packet Identifier | received at QoS 2, not released; its message, if that waits for PUBREL |
//! | retained | number | a retained message |
//!
//! A number is given once. So a record is written, replaced and deleted by its key alone, in whichever shard
//! its session is by then. Points in time are milliseconds of the wall clock. What has to be written is known
//! without looking for it, see `ledger`; [`save`] says in which order the shards are asked for it.

mod codec;
mod write;

pub(crate) mod ledger;
pub mod load;
pub mod save;

pub use codec::{FORMAT, Unreadable};
pub use write::Changes;
pub(crate) use write::{Op, session_record};

/// The kinds of records. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table of this module says it")]
pub enum Kind {
    Message = 1,
    Session = 2,
    Entry = 3,
    InFlight = 4,
    Received = 5,
    Retained = 6,
}

impl Kind {
    /// In the order in which they are read: what is referred to comes first.
    pub const ALL: [Kind; 6] = [
        Kind::Message,
        Kind::Session,
        Kind::Entry,
        Kind::InFlight,
        Kind::Received,
        Kind::Retained,
    ];
}
