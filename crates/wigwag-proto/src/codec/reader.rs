//! Reads the data types of section 1.5 of the standard from the front of a slice.

use crate::codec::{DecodeError, DecodeLimits};
use crate::packet::PacketId;
use crate::property::{Carrier, Properties};

/// The bytes of a packet that have not been read yet.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(crate) const fn into_rest(self) -> &'a [u8] {
        self.rest
    }

    /// Checks that nothing is left.
    pub(crate) const fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            len => Err(DecodeError::TrailingBytes(len)),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A Variable Byte Integer in its shortest form. `[MQTT-1.5.5-1]`
    pub(crate) fn var_int(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && shift > 0;
                return if padded {
                    Err(DecodeError::VariableByteInteger)
                } else {
                    Ok(value)
                };
            }
        }
        Err(DecodeError::VariableByteInteger)
    }

    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::PacketIdZero)
    }

    /// Binary Data: two bytes of length, then the bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 Encoded String. A byte order mark is a character like any other. `[MQTT-1.5.4-3]`
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let text = simdutf8::basic::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8)?;
        if memchr::memchr(0, text.as_bytes()).is_some() {
            return Err(DecodeError::Nul);
        }
        Ok(text)
    }

    /// A block of properties with its length in front.
    pub(crate) fn properties(
        &mut self,
        carrier: Carrier,
        limits: &DecodeLimits,
    ) -> Result<Properties<'a>, DecodeError> {
        let len = self.var_int()?;
        let block = self.take(len as usize)?;
        Properties::parse(block, carrier, limits)
    }
}
