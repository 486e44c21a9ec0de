//! The arithmetic of RFC 5802, section 3, with SHA-256.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// A hash, a key or a signature.
pub(crate) type Key = [u8; 32];

pub(crate) struct SaltedPassword(Key);

impl SaltedPassword {
    /// Takes its time, by intention: as long as the iterations.
    pub(crate) fn new(password: &str, salt: &[u8], iterations: u32) -> SaltedPassword {
        let mut key = Key::default();
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut key);
        SaltedPassword(key)
    }

    pub(crate) fn client_key(&self) -> Key {
        hmac(&self.0, b"Client Key")
    }

    pub(crate) fn server_key(&self) -> Key {
        hmac(&self.0, b"Server Key")
    }
}

pub(crate) fn hash(bytes: &[u8]) -> Key {
    Sha256::digest(bytes).into()
}

pub(crate) fn hmac(key: &Key, message: &[u8]) -> Key {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// ClientProof from ClientKey and ClientSignature, and ClientKey from the other two.
pub(crate) fn xor(one: &Key, other: &Key) -> Key {
    std::array::from_fn(|i| one.get(i).unwrap_or(&0) ^ other.get(i).unwrap_or(&0))
}
