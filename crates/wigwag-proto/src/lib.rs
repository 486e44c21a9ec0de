#![doc = include_str!("../README.md")]
//!
//! Reading order: [`packet`], [`codec`], [`topic`], then [`inflight`], [`inbound`] and [`alias`], then [`transmit`].
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
