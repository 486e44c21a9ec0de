//! The wire format of MQTT 5.0, 3.1.1 and 3.1: bytes to packets and back.
//!
//! Three steps, each usable alone: [`frame`] finds where a packet ends, [`decode`] reads it, and
//! [`encode`] writes one. Versions differ here and nowhere else: whatever a peer speaks, the packet
//! that comes out is the one of MQTT 5.
//!
//! A bound stands behind every length: [`frame`] refuses a packet by its announced size before it has
//! arrived, and [`DecodeLimits`] bounds what one packet can make the receiver allocate.

mod decode;
mod encode;
mod error;
mod frame;
mod reader;

#[cfg(test)]
mod tests;

pub use decode::{decode, protocol_level};
pub use encode::{EncodeError, encode, encode_publish, encode_publish_head};
pub use error::{DecodeError, Field};
pub use frame::{Frame, HEADER_LEN_MAX, frame};

pub(crate) use encode::{write_bytes, write_var_int};
pub(crate) use reader::Reader;

/// The largest value of a Variable Byte Integer, and so of a Remaining Length.
pub const VAR_INT_MAX: u32 = 268_435_455;

/// What one packet may make its receiver do.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DecodeLimits {
    /// User Properties in one block; more are refused with `0x97`.
    pub user_properties_max: u32,
    /// Topic Filters in one SUBSCRIBE or UNSUBSCRIBE; more are refused with `0x97`.
    pub filters_max: u32,
    /// Levels of a Topic Name or Topic Filter; more are refused with `0x97`.
    pub topic_levels_max: u32,
    /// Whether names, topics and filters may have control characters and noncharacters in them, which the
    /// standard leaves to the receiver. If not they are refused with `0x81`. `[MQTT-1.5.4-1]`
    pub control_characters: bool,
}

impl Default for DecodeLimits {
    fn default() -> DecodeLimits {
        DecodeLimits {
            user_properties_max: 64,
            filters_max: 1_000,
            topic_levels_max: 128,
            control_characters: true,
        }
    }
}

impl DecodeLimits {
    /// No limits but those of the standard.
    pub const UNLIMITED: DecodeLimits = DecodeLimits {
        user_properties_max: u32::MAX,
        filters_max: u32::MAX,
        topic_levels_max: u32::MAX,
        control_characters: true,
    };
}
