//! Who has shown the right password a short while ago, so that a client that comes back costs no hashing.
//!
//! An entry says that a password fits one hash. It is worth nothing once the user has another, and it does
//! not hold the password: only what a secret key, drawn for each process, makes of it.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use sha2::{Digest as _, Sha512_256};
use subtle::ConstantTimeEq as _;

use crate::password::PasswordHash;

/// Passwords that were found right.
///
/// Entries live in two generations, the older of which is dropped as a whole when the younger is full: that
/// bounds memory without a list of ages.
#[derive(Debug)]
pub struct Verified {
    key: Key,
    age_max: Duration,
    users_max: usize,
    young: Generation,
    old: Generation,
}

/// The secret of a process.
#[derive(Clone, Copy)]
pub struct Key(pub [u8; 32]);

type Generation = HashMap<Box<str>, Entry, foldhash::quality::FixedState>;

#[derive(Clone, Debug)]
struct Entry {
    print: [u8; 32],
    hash: Arc<PasswordHash>,
    since: Duration,
}

impl Verified {
    /// Nobody yet. At most twice so many users are held, and none longer than the age.
    pub fn new(key: Key, age_max: Duration, users_max: usize) -> Verified {
        // User names are the clients' choice: the seed is as secret as the key.
        let seed = u64::from_le_bytes(key.print(&[b"seed"])[..8].try_into().unwrap_or([0; 8]));
        let hasher = foldhash::quality::FixedState::with_seed(seed);
        Verified {
            key,
            age_max,
            users_max,
            young: HashMap::with_hasher(hasher.clone()),
            old: HashMap::with_hasher(hasher),
        }
    }

    /// Whether this password of the user was found to fit this hash, not too long before `now`. Times count
    /// from one origin.
    pub fn knows(&self, now: Duration, user: &str, password: &[u8], hash: &PasswordHash) -> bool {
        let Some(entry) = self.young.get(user).or_else(|| self.old.get(user)) else {
            return false;
        };
        now.saturating_sub(entry.since) < self.age_max
            && *entry.hash == *hash
            && self.print(user, password).ct_eq(&entry.print).into()
    }

    /// The user's password fits the hash.
    pub fn add(&mut self, now: Duration, user: &str, password: &[u8], hash: Arc<PasswordHash>) {
        let is_new = !self.young.contains_key(user);
        if is_new && self.young.len() >= self.users_max {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let entry = Entry {
            print: self.print(user, password),
            hash,
            since: now,
        };
        self.young.insert(user.into(), entry);
    }

    /// How many users are held.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn print(&self, user: &str, password: &[u8]) -> [u8; 32] {
        let len = (user.len() as u64).to_le_bytes();
        self.key.print(&[&len, user.as_bytes(), password])
    }
}

impl Key {
    fn print(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut digest = Sha512_256::new().chain_update(self.0);
        parts.iter().for_each(|part| digest.update(part));
        digest.finalize().into()
    }
}

/// Without the secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::Scheme;

    fn hash(password: &str) -> Arc<PasswordHash> {
        let hash = PasswordHash::make(Scheme::Sha512, password.as_bytes(), b"twelve bytes");
        Arc::new(hash)
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_password_is_known_for_its_time_and_its_hash() {
        let mut verified = Verified::new(Key([7; 32]), secs(60), 10);
        verified.add(secs(5), "ann", b"pw", hash("pw"));
        assert!(verified.knows(secs(64), "ann", b"pw", &hash("pw")));
        assert!(
            !verified.knows(secs(65), "ann", b"pw", &hash("pw")),
            "too old"
        );
        assert!(
            !verified.knows(secs(6), "ann", b"pw ", &hash("pw")),
            "another password"
        );
        assert!(
            !verified.knows(secs(6), "bob", b"pw", &hash("pw")),
            "another user"
        );
        assert!(
            !verified.knows(secs(6), "ann", b"pw", &hash("changed")),
            "another hash"
        );
        verified.add(secs(7), "ann", b"changed", hash("changed"));
        assert!(!verified.knows(secs(8), "ann", b"pw", &hash("pw")));
        assert!(verified.knows(secs(8), "ann", b"changed", &hash("changed")));
    }

    #[test]
    fn it_holds_no_more_than_twice_its_bound() {
        let mut verified = Verified::new(Key([7; 32]), secs(60), 10);
        for user in 0..100 {
            verified.add(secs(1), &user.to_string(), b"pw", hash("pw"));
            assert!(verified.len() <= 20);
            assert!(verified.knows(secs(1), &user.to_string(), b"pw", &hash("pw")));
        }
        assert!(!verified.knows(secs(1), "0", b"pw", &hash("pw")));
    }
}
