//! What a server keeps of a password, and what it shows in place of that for a user whom it does not know.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use crate::SCRAM_SHA_256;
use crate::error::Error;
use crate::keys::{Key, SaltedPassword, hash, hmac};
use crate::message::{encode, prepare_password};

/// Bytes of a salt that this crate makes.
pub const SALT_LEN: usize = 16;

/// What a server keeps of a password. Nobody can log in with it, but whoever steals it can try passwords,
/// and can pose as the server.
///
/// As text it is what RFC 5803 and PostgreSQL store: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`, all but
/// the iterations in Base64. `Display` writes it and `FromStr` reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: NonZeroU32,
    pub(crate) stored_key: Key,
    pub(crate) server_key: Key,
}

impl Credentials {
    /// Makes the credentials of a password, with a random salt. RFC 7677 asks for at least 4096 iterations,
    /// which take their time here and in every client that logs in.
    ///
    /// Fails with [`Error::Password`] alone.
    pub fn derive(
        password: &str,
        salt: [u8; SALT_LEN],
        iterations: NonZeroU32,
    ) -> Result<Credentials, Error> {
        let password = prepare_password(password)?;
        let salted = SaltedPassword::new(&password, &salt, iterations.get());
        Ok(Credentials {
            salt: salt.to_vec(),
            iterations,
            stored_key: hash(&salted.client_key()),
            server_key: salted.server_key(),
        })
    }

    /// Credentials as they were stored, by this crate or by another.
    pub fn new(
        salt: impl Into<Vec<u8>>,
        iterations: NonZeroU32,
        stored_key: [u8; 32],
        server_key: [u8; 32],
    ) -> Credentials {
        Credentials {
            salt: salt.into(),
            iterations,
            stored_key,
            server_key,
        }
    }

    /// Whether this is the password. It is hashed for that, which takes its time.
    pub fn verify(&self, password: &str) -> bool {
        // What SASLprep does not allow was never made into credentials.
        let Ok(password) = prepare_password(password) else {
            return false;
        };
        let salted = SaltedPassword::new(&password, &self.salt, self.iterations.get());
        let stored_key = hash(&salted.client_key());
        stored_key.ct_eq(&self.stored_key).into()
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iteration count.
    pub const fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// The StoredKey.
    pub const fn stored_key(&self) -> &[u8; 32] {
        &self.stored_key
    }

    /// The ServerKey.
    pub const fn server_key(&self) -> &[u8; 32] {
        &self.server_key
    }
}

impl FromStr for Credentials {
    type Err = Error;

    fn from_str(text: &str) -> Result<Credentials, Error> {
        const FORM: &str = "they are written SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY";
        let parts = text
            .strip_prefix(SCRAM_SHA_256)
            .and_then(|rest| rest.strip_prefix('$')?.split_once('$'))
            .and_then(|(costs, keys)| Some((costs.split_once(':')?, keys.split_once(':')?)));
        let ((iterations, salt), (stored_key, server_key)) = parts.ok_or(Error::Stored(FORM))?;
        let iterations = iterations
            .parse()
            .map_err(|_| Error::Stored("the iterations are not a positive number"))?;
        let salt = STANDARD
            .decode(salt)
            .map_err(|_| Error::Stored("the salt is not base64"))?;
        if salt.is_empty() {
            return Err(Error::Stored("the salt is empty"));
        }
        let key = |text: &str, what| {
            let bytes = STANDARD.decode(text).ok();
            let key = bytes.and_then(|bytes| Key::try_from(bytes).ok());
            key.ok_or(Error::Stored(what))
        };
        Ok(Credentials {
            salt,
            iterations,
            stored_key: key(stored_key, "the StoredKey is not 32 bytes in base64")?,
            server_key: key(server_key, "the ServerKey is not 32 bytes in base64")?,
        })
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, stored_key) = (encode(&self.salt), encode(&self.stored_key));
        let (iterations, server_key) = (self.iterations, encode(&self.server_key));
        write!(
            f,
            "{SCRAM_SHA_256}${iterations}:{salt}${stored_key}:{server_key}"
        )
    }
}

/// Without the keys.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Answers for users that do not exist, so that nobody learns from a server who does.
///
/// A user gets the same salt each time, as a real one would. Give it a secret that stays the same over
/// restarts, and the iteration count that new credentials get: a user with another count, or with a salt
/// of another length, can be told from those that do not exist.
#[derive(Clone)]
pub struct Decoy {
    secret: Key,
    iterations: NonZeroU32,
    salt_len: usize,
}

impl Decoy {
    /// The decoy of one server, with salts of [`SALT_LEN`] bytes.
    pub const fn new(secret: [u8; 32], iterations: NonZeroU32) -> Decoy {
        Decoy {
            secret,
            iterations,
            salt_len: SALT_LEN,
        }
    }

    /// The same with salts of so many bytes, for credentials that others have made.
    #[must_use]
    pub const fn salt_len(self, salt_len: usize) -> Decoy {
        Decoy { salt_len, ..self }
    }

    /// Credentials that no password fits; `name` has been prepared.
    pub(crate) fn credentials(&self, name: &str) -> Credentials {
        let part = |what: &str| hmac(&self.secret, format!("{what},{name}").as_bytes());
        let blocks = (0..).flat_map(|block: usize| part(&format!("salt {block}")));
        Credentials {
            salt: blocks.take(self.salt_len).collect(),
            iterations: self.iterations,
            stored_key: part("stored key"),
            server_key: part("server key"),
        }
    }
}

/// Without the secret.
impl fmt::Debug for Decoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoy")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}
