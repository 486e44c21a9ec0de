//! The client's end: names the user, proves the password, and checks that the server knows it too.

use std::fmt;
use std::ops::RangeInclusive;

use subtle::ConstantTimeEq as _;

use crate::error::{Error, MessageKind};
use crate::keys::{Key, SaltedPassword, hash, hmac, xor};
use crate::message::{Reader, encode, escape, prepare_password, prepare_user_name};
use crate::nonce::Nonce;

/// Iteration counts that a client accepts by default.
///
/// Fewer would make the password easy to guess for whoever poses as the server: RFC 7677 asks for at least
/// 4096. More would let any server keep the client busy for long.
pub const ITERATIONS: RangeInclusive<u32> = 4_096..=1_000_000;

/// The header of every message of a client that binds nothing and acts for itself.
const GS2_HEADER: &str = "n,,";

/// The first step: the user's name is on its way.
#[derive(Clone)]
pub struct ClientFirst {
    message: String,
    nonce: Nonce,
    password: String,
    iterations: RangeInclusive<u32>,
}

impl ClientFirst {
    /// Begins an exchange. Fails if SASLprep does not allow the user name or the password.
    pub fn new(user_name: &str, password: &str, nonce: Nonce) -> Result<ClientFirst, Error> {
        let name = escape(&prepare_user_name(user_name)?);
        Ok(ClientFirst {
            message: format!("{GS2_HEADER}n={name},r={}", nonce.as_str()),
            nonce,
            password: prepare_password(password)?,
            iterations: ITERATIONS,
        })
    }

    /// Accepts other iteration counts than [`ITERATIONS`].
    #[must_use]
    pub fn iterations(mut self, allowed: RangeInclusive<u32>) -> ClientFirst {
        self.iterations = allowed;
        self
    }

    /// The client-first-message, to be sent.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The server-first-message has come. Hashes the password, which takes its time: a million iterations took
    /// a third of a second on a server's processor.
    pub fn handle_server_first(self, message: &[u8]) -> Result<ClientFinal, Error> {
        let first = ParsedServerFirst::read(message)?;
        let own = self.nonce.as_str();
        // The server's part must not be empty: it keeps an old exchange from being played again.
        if !first.nonce.starts_with(own) || first.nonce.len() == own.len() {
            return Err(Error::ForeignNonce(MessageKind::ServerFirst));
        }
        if !self.iterations.contains(&first.iterations) {
            return Err(Error::Iterations {
                asked: first.iterations,
                allowed: self.iterations,
            });
        }
        let salted = SaltedPassword::new(&self.password, &first.salt, first.iterations);
        let bare = self.message.strip_prefix(GS2_HEADER).unwrap_or_default();
        let channel = encode(GS2_HEADER.as_bytes());
        let without_proof = format!("c={channel},r={}", first.nonce);
        let said = format!("{bare},{},{without_proof}", first.text);
        let client_key = salted.client_key();
        let signature = hmac(&hash(&client_key), said.as_bytes());
        let proof = encode(&xor(&client_key, &signature));
        Ok(ClientFinal {
            message: format!("{without_proof},p={proof}"),
            server_signature: hmac(&salted.server_key(), said.as_bytes()),
        })
    }
}

/// Without the password.
impl fmt::Debug for ClientFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFirst").finish_non_exhaustive()
    }
}

/// The second step: the proof is on its way.
pub struct ClientFinal {
    message: String,
    server_signature: Key,
}

impl ClientFinal {
    /// The client-final-message, to be sent.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The server-final-message has come: `Ok` if the server accepts the client and has proved that it
    /// knows the user. Only then is the exchange a success, whatever else the server says.
    pub fn handle_server_final(self, message: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(MessageKind::ServerFinal, message)?;
        if let Some(error) = reader.rest().strip_prefix("e=") {
            return Err(Error::Refused(error.escape_default().to_string()));
        }
        let signature = reader.attribute("v", "the signature (v=) is missing")?;
        let signature =
            reader.decode_key(signature, "the signature (v=) is not 32 bytes in base64")?;
        reader.extensions()?;
        if bool::from(signature.ct_eq(&self.server_signature)) {
            Ok(())
        } else {
            Err(Error::ServerSignature)
        }
    }
}

/// Without the signature that is expected: whoever knows it can pose as the server.
impl fmt::Debug for ClientFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFinal").finish_non_exhaustive()
    }
}

struct ParsedServerFirst<'a> {
    text: &'a str,
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ParsedServerFirst<'a> {
    fn read(message: &'a [u8]) -> Result<ParsedServerFirst<'a>, Error> {
        let mut reader = Reader::new(MessageKind::ServerFirst, message)?;
        let text = reader.rest();
        let nonce = reader.nonce()?;
        let salt = reader.attribute("s", "the salt (s=) is missing")?;
        let salt = reader.decode(salt, "the salt (s=) is not base64")?;
        if salt.is_empty() {
            return Err(reader.malformed("the salt (s=) is empty"));
        }
        let iterations = reader.attribute("i", "the iteration count (i=) is missing")?;
        let is_number = iterations.bytes().all(|b| b.is_ascii_digit()) && !iterations.is_empty();
        if !is_number || iterations.starts_with('0') {
            return Err(reader.malformed("the iteration count (i=) is not a positive number"));
        }
        // A number that no u32 holds is too large for every bound.
        let iterations = iterations.parse().unwrap_or(u32::MAX);
        reader.extensions()?;
        Ok(ParsedServerFirst {
            text,
            nonce,
            salt,
            iterations,
        })
    }
}
