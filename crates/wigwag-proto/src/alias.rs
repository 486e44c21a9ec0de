//! Topic Aliases: numbers that stand for Topic Names on one connection. `[MQTT-3.3.2-7]`

use crate::reason::ReasonCode;
use crate::topic::TopicName;

/// Why an alias cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AliasError {
    /// Above one's own Topic Alias Maximum.
    #[error("Topic Alias {alias} is above the maximum of {max}")]
    AboveMaximum {
        /// What the peer sent.
        alias: u16,
        /// What it was told.
        max: u16,
    },
    /// No Topic Name has been sent with the alias.
    #[error("Topic Alias {0} has no Topic Name yet")]
    Unmapped(u16),
    /// The names behind the aliases take more bytes than the bound.
    #[error("the Topic Names behind the aliases have more than {0} bytes")]
    TooManyBytes(usize),
}

impl AliasError {
    /// The Reason Code that tells the peer.
    pub const fn reason_code(&self) -> ReasonCode {
        match self {
            AliasError::AboveMaximum { .. } => ReasonCode::TopicAliasInvalid,
            // Section 3.3.2.3.4.
            AliasError::Unmapped(_) => ReasonCode::ProtocolError,
            AliasError::TooManyBytes(_) => ReasonCode::QuotaExceeded,
        }
    }
}

/// The aliases that the peer has set on this connection.
#[derive(Debug)]
pub struct InboundAliases {
    max: u16,
    bytes_max: usize,
    bytes: usize,
    /// The name of alias `i + 1`; grows up to the highest alias in use.
    names: Vec<Option<Box<str>>>,
}

impl InboundAliases {
    /// No aliases yet; `max` is the Topic Alias Maximum that the peer has been told, and `bytes_max`
    /// bounds the names together.
    pub const fn new(max: u16, bytes_max: usize) -> InboundAliases {
        InboundAliases {
            max,
            bytes_max,
            bytes: 0,
            names: Vec::new(),
        }
    }

    /// Lets `alias` stand for `name` from here on.
    pub fn set(&mut self, alias: u16, name: TopicName<'_>) -> Result<(), AliasError> {
        let index = self.index(alias)?;
        if self.names.len() <= index {
            self.names.resize(index + 1, None);
        }
        let slot = self
            .names
            .get_mut(index)
            .expect("the table has just been grown to hold the index");
        let bytes = self.bytes - slot.as_ref().map_or(0, |old| old.len()) + name.as_str().len();
        if bytes > self.bytes_max {
            return Err(AliasError::TooManyBytes(self.bytes_max));
        }
        self.bytes = bytes;
        // Most peers repeat the mapping they have made; that costs no allocation.
        if slot.as_deref() != Some(name.as_str()) {
            *slot = Some(name.as_str().into());
        }
        Ok(())
    }

    /// The name that `alias` stands for.
    pub fn name(&self, alias: u16) -> Result<&str, AliasError> {
        let index = self.index(alias)?;
        self.names
            .get(index)
            .and_then(Option::as_deref)
            .ok_or(AliasError::Unmapped(alias))
    }

    fn index(&self, alias: u16) -> Result<usize, AliasError> {
        if alias == 0 || alias > self.max {
            return Err(AliasError::AboveMaximum {
                alias,
                max: self.max,
            });
        }
        Ok(usize::from(alias - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_set_replaced_and_bounded() {
        let name = |text| TopicName::new(text).expect("valid");
        let mut aliases = InboundAliases::new(2, 10);
        assert_eq!(aliases.name(1), Err(AliasError::Unmapped(1)));
        assert_eq!(aliases.set(2, name("a/b")), Ok(()));
        assert_eq!(aliases.name(2), Ok("a/b"));
        assert_eq!(aliases.set(2, name("longer")), Ok(()));
        assert_eq!(aliases.name(2), Ok("longer"));
        assert_eq!(
            aliases.set(1, name("12345")),
            Err(AliasError::TooManyBytes(10))
        );
        assert_eq!(
            aliases.set(3, name("a")),
            Err(AliasError::AboveMaximum { alias: 3, max: 2 })
        );
        assert_eq!(
            aliases.name(0),
            Err(AliasError::AboveMaximum { alias: 0, max: 2 })
        );
    }
}
