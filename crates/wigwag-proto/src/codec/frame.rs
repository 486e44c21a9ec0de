//! Where a packet ends: the fixed header.

use crate::codec::DecodeError;
use crate::packet::PacketType;

/// The longest fixed header: one byte of type and flags, four of Remaining Length.
pub const HEADER_LEN_MAX: usize = 5;

/// One whole packet in its wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The type of the packet.
    pub packet_type: PacketType,
    /// The lower half of the first byte.
    pub flags: u8,
    /// What follows the fixed header.
    pub body: &'a [u8],
    /// Bytes of the packet with its fixed header.
    pub len: usize,
}

/// Finds the packet at the front of `bytes`; `None` when it has not arrived in full.
///
/// The announced size is checked against `packet_size_max` as soon as it is known, so that a receiver
/// never waits for, or makes room for, a packet that it will refuse.
pub fn frame(bytes: &[u8], packet_size_max: u32) -> Result<Option<Frame<'_>>, DecodeError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let packet_type = PacketType::of_first_byte(first).ok_or(DecodeError::ReservedPacketType)?;
    let Some((remaining, var_int_len)) = remaining_length(rest)? else {
        return Ok(None);
    };
    let len = 1 + var_int_len + remaining;
    if len as u64 > u64::from(packet_size_max) {
        return Err(DecodeError::PacketTooLarge {
            size: len as u64,
            max: packet_size_max,
        });
    }
    let body = bytes.get(1 + var_int_len..len);
    Ok(body.map(|body| Frame {
        packet_type,
        flags: first & 0x0F,
        body,
        len,
    }))
}

/// The Remaining Length and the number of its bytes, if they have all arrived.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let padded = byte == 0 && index > 0;
            return if padded {
                Err(DecodeError::VariableByteInteger)
            } else {
                Ok(Some((value, index + 1)))
            };
        }
    }
    if bytes.len() >= 4 {
        Err(DecodeError::VariableByteInteger)
    } else {
        Ok(None)
    }
}
