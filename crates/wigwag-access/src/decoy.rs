//! What an exchange of SCRAM shows in place of users who do not exist, made of what is kept of those who do.
//!
//! Whoever asks for a user gets a salt and a number of iterations. For a name without credentials both have to
//! look like those of others, and to be the same each time.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use sha2::{Digest as _, Sha512_256};
use wigwag_scram::{Credentials, Decoy};

/// What can be seen of credentials, apart from the salt itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    iterations: NonZeroU32,
    salt_len: usize,
}

impl Look {
    /// How most of them look: who looks otherwise can be told from who does not exist. `None` if there are none.
    pub fn usual(credentials: &[&Credentials]) -> Option<Look> {
        let mut counts: BTreeMap<Look, usize> = BTreeMap::new();
        for each in credentials {
            let look = Look {
                iterations: each.iterations(),
                salt_len: each.salt().len(),
            };
            *counts.entry(look).or_default() += 1;
        }
        let usual = counts.into_iter().max_by_key(|(_, count)| *count);
        usual.map(|(look, _)| look)
    }

    /// Whoever does not exist looks so.
    pub const fn decoy(self, secret: [u8; 32]) -> Decoy {
        Decoy::new(secret, self.iterations).salt_len(self.salt_len)
    }
}

/// A secret that is the same after a restart and that no user knows, as long as there are two of them. `None` if
/// there are no credentials. The order counts.
pub fn secret(credentials: &[&Credentials]) -> Option<[u8; 32]> {
    let mut digest = Sha512_256::new_with_prefix(b"decoy");
    for each in credentials {
        digest.update(each.stored_key());
        digest.update(each.server_key());
    }
    (!credentials.is_empty()).then(|| digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(iterations: u32, salt_len: usize, key: u8) -> Credentials {
        let iterations = NonZeroU32::new(iterations).expect("not zero");
        Credentials::new(vec![7; salt_len], iterations, [key; 32], [key; 32])
    }

    #[test]
    fn nobody_has_nothing_to_hide() {
        assert_eq!(Look::usual(&[]), None);
        assert_eq!(secret(&[]), None);
    }

    #[test]
    fn a_decoy_looks_like_most() {
        let all = [(4_096, 32), (10_000, 16), (4_096, 16), (4_096, 32)];
        let all = all.map(|(iterations, salt_len)| credentials(iterations, salt_len, 1));
        let look = Look::usual(&all.each_ref()).expect("there are some");
        assert_eq!((look.iterations.get(), look.salt_len), (4_096, 32));
    }

    #[test]
    fn every_user_counts_for_the_secret() {
        let [one, two] = [1, 2].map(|key| credentials(4_096, 16, key));
        let both = secret(&[&one, &two]);
        assert_eq!(both, secret(&[&one, &two]));
        assert_ne!(both, secret(&[&one]));
        assert_ne!(both, secret(&[&two]));
    }
}
