//! The decisions of an MQTT broker, without I/O.
//!
//! A [`Shard`] owns connections and sessions. The caller feeds it bytes and tells it the time
//! (`handle_*`); it fills the out-buffers of connections and says what else is to be done (`poll_*`).
//! Several shards form a node: what they share is in [`Node`], what they tell each other are
//! [`Envelope`](peer::Envelope)s. Nothing here reads a clock, draws randomness or opens anything.
//!
//! One PUBLISH passes through: [`shard`] (decode, authorise), [`routes`] (who wants it), [`delivery`]
//! (the one place where a message becomes bytes for a subscriber).
#![warn(missing_docs)]

pub mod auth;
pub mod kick;
pub mod limits;
pub mod listener;
pub mod message;
pub mod policy;
pub mod settings;
pub mod stats;
pub mod trace;

pub mod node;
pub mod record;
pub mod restored;
pub mod retained;
pub mod routes;

pub mod delivery;
pub mod peer;
pub mod session;
pub mod shard;
pub mod share;

mod aliases;
mod event;
mod flight;
mod memory;
mod mount;
mod timers;
mod unreleased;

pub use event::{CloseReason, DropReason, Event, WillNotice};
pub use kick::{Kick, Who};
pub use limits::Limits;
pub use listener::{Certificate, ListenerSettings, Peer, Versions};
pub use memory::Pressure;
pub use node::{Node, ShardId};
pub use settings::{RoutesQos2, Settings};
pub use shard::{
    Claimed, ConnectionKey, Dossier, Ending, Found, LinkFacts, Present, Progress, Search, Shard,
};
pub use wigwag_proto as proto;
pub use wigwag_proto::Time;
