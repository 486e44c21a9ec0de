//! The random text of one exchange. The randomness is the caller's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Error;

/// One end's part of the text that makes an exchange unlike any other.
///
/// It must not repeat and not be guessed: make it [from random bytes](Nonce::from_random) of the system's
/// generator, one for each exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// 144 random bits.
    pub fn from_random(bytes: [u8; 18]) -> Nonce {
        Nonce(STANDARD.encode(bytes))
    }

    /// A given text, as for test vectors.
    pub fn new(text: impl Into<String>) -> Result<Nonce, Error> {
        let text = text.into();
        if is_nonce(&text) {
            Ok(Nonce(text))
        } else {
            Err(Error::Nonce)
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The `printable` of RFC 5802.
pub(crate) fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}
