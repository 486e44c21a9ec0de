//! MQTT 5.0, 3.1.1 and 3.1 without I/O: what both ends of a connection share.
//!
//! This crate knows the wire format, the rules of Topic Names and Topic Filters, and the parts of a
//! connection's and a session's state that client and server have in common. It reads no clock, draws
//! no random number and opens nothing: time and bytes come in as arguments, bytes and decisions go out.
//!
//! **MQTT 5 is the only inner vocabulary.** A packet of MQTT 3.1 or 3.1.1 is decoded into the same types
//! and encoded from them; nothing outside [`codec`] asks which version a peer speaks in order to
//! understand a packet.
//!
//! Reading order: [`packet`] for the vocabulary, [`codec`] for the wire, [`topic`] for names and
//! filters, then [`inflight`], [`inbound`] and [`alias`] for state, [`transmit`] for bytes on their
//! way out.
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod codec;
pub mod packet;
pub mod property;
pub mod reason;
pub mod topic;

pub mod alias;
pub mod inbound;
pub mod inflight;

pub mod time;
pub mod transmit;

pub use codec::{DecodeError, DecodeLimits};
pub use packet::{Packet, PacketId, Qos, Version};
pub use property::{Properties, PropertiesBuf, Property};
pub use reason::ReasonCode;
pub use time::Time;
pub use topic::{TopicError, TopicFilter, TopicFilterBuf, TopicName, TopicNameBuf};
pub use transmit::OutBuf;
