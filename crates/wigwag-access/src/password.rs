//! Password hashes as Mosquitto writes them, `$6$`, `$7$` and `$argon2id$`, and credentials for SCRAM-SHA-256.
//!
//! Making one and checking one takes as long as its costs say; whoever has other things to do does it on
//! another thread. Salts come from the caller.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;
use wigwag_scram::{Credentials, SCRAM_SHA_256};

/// The length of the hash in every scheme, in bytes.
const KEY_LEN: usize = 64;

/// The salt of a hash that is made here: what every version of Mosquitto can read.
pub type Salt = [u8; 12];

/// Above these, a hash is refused when it is read: a slip in a file must not keep a thread busy for an hour
/// or take all memory. The defaults of the tools are far below.
const ITERATIONS_MAX: u32 = 10_000_000;
const ARGON2_MEMORY_KIB_MAX: u32 = 1024 * 1024;
const ARGON2_PASSES_MAX: u32 = 100;
const ARGON2_LANES_MAX: u32 = 64;

/// RFC 7677 asks for at least so many iterations, and clients take no fewer.
const SCRAM_ITERATIONS_MIN: u32 = 4_096;

/// How a password is hashed, with its costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `$6$`: one round of SHA-512 over password and salt. Made for nothing but old files.
    Sha512,
    /// `$7$`: PBKDF2 with HMAC-SHA-512, in this many rounds.
    Pbkdf2(NonZeroU32),
    /// `$argon2id$`, version 19.
    Argon2id(Argon2Costs),
}

/// What one check of an `$argon2id$` hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Costs {
    /// Memory in KiB, passes over it, and lanes, which are worked on one after the other here.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Argon2Costs, HashError> {
        let lanes = in_range("p", &lanes.to_string(), 1, ARGON2_LANES_MAX)?;
        Ok(Argon2Costs {
            memory_kib: in_range(
                "m",
                &memory_kib.to_string(),
                8 * lanes,
                ARGON2_MEMORY_KIB_MAX,
            )?,
            passes: in_range("t", &passes.to_string(), 1, ARGON2_PASSES_MAX)?,
            lanes,
        })
    }
}

impl Scheme {
    /// `$7$` with the costs of Mosquitto 2.1, which every version of it can check.
    pub const PBKDF2: Scheme = Scheme::Pbkdf2(NonZeroU32::new(1000).unwrap());

    /// `$argon2id$` with the costs of Mosquitto 2.1; its versions before that cannot check it.
    pub const ARGON2ID: Scheme = Scheme::Argon2id(Argon2Costs {
        memory_kib: 47_104,
        passes: 1,
        lanes: 1,
    });
}

/// Why a text is no password hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// It begins like none that is known.
    #[error(
        "a password hash begins with $6$, $7$, $argon2id$ or SCRAM-SHA-256$, and this does not"
    )]
    Scheme,
    /// It has not the parts that it should.
    #[error("a password hash of this kind is written {0}")]
    Form(&'static str),
    /// A part is not Base64.
    #[error("the {0} of the password hash is not Base64")]
    Base64(&'static str),
    /// A part has a length that no tool writes.
    #[error("the {what} of the password hash has {len} bytes; allowed are {allowed}")]
    Length {
        /// Which part.
        what: &'static str,
        /// How many it has.
        len: usize,
        /// How many it may have.
        allowed: &'static str,
    },
    /// A cost is not a number in the range that can be borne.
    #[error("the password hash has {what} = {read:?}; allowed are {min} to {max}")]
    Cost {
        /// Which cost.
        what: &'static str,
        /// What stands there.
        read: Box<str>,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// It is for SCRAM, and no credentials.
    #[error(transparent)]
    Scram(wigwag_scram::Error),
}

/// A hashed password. Its `Display` is the text that stands in files.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// What password and salt give.
    Key {
        scheme: Scheme,
        salt: Box<[u8]>,
        key: Box<[u8]>,
    },
    Scram(Box<Credentials>),
}

impl PasswordHash {
    /// Hashes a password.
    pub fn make(scheme: Scheme, password: &[u8], salt: &Salt) -> PasswordHash {
        let key = derive(scheme, password, salt, KEY_LEN);
        PasswordHash(Kind::Key {
            scheme,
            salt: salt.as_slice().into(),
            key: key.expect("costs and the length of the salt are in range by their types"),
        })
    }

    /// Whether this is the password.
    pub fn verify(&self, password: &[u8]) -> bool {
        match &self.0 {
            Kind::Key { scheme, salt, key } => derive(*scheme, password, salt, key.len())
                .is_some_and(|derived| derived.ct_eq(key).into()),
            Kind::Scram(credentials) => {
                str::from_utf8(password).is_ok_and(|password| credentials.verify(password))
            }
        }
    }

    /// What SCRAM-SHA-256 needs to know of the password, if it is kept in that way.
    pub fn scram(&self) -> Option<&Credentials> {
        match &self.0 {
            Kind::Scram(credentials) => Some(credentials),
            Kind::Key { .. } => None,
        }
    }

    /// Salt and key of a `$7$` hash in Base64, with its rounds.
    pub(crate) fn pbkdf2_parts(&self) -> Option<(NonZeroU32, String, String)> {
        match &self.0 {
            Kind::Key {
                scheme: Scheme::Pbkdf2(rounds),
                salt,
                key,
            } => Some((*rounds, STANDARD.encode(salt), STANDARD.encode(key))),
            Kind::Key { .. } | Kind::Scram(_) => None,
        }
    }
}

/// Credentials are made with [`Credentials::derive`].
impl From<Credentials> for PasswordHash {
    fn from(credentials: Credentials) -> PasswordHash {
        PasswordHash(Kind::Scram(Box::new(credentials)))
    }
}

fn derive(scheme: Scheme, password: &[u8], salt: &[u8], len: usize) -> Option<Box<[u8]>> {
    let mut key = vec![0; len].into_boxed_slice();
    match scheme {
        Scheme::Sha512 => {
            let digest = Sha512::new().chain_update(password).chain_update(salt);
            key.copy_from_slice(&digest.finalize());
        }
        Scheme::Pbkdf2(rounds) => {
            pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, rounds.get(), &mut key);
        }
        Scheme::Argon2id(costs) => {
            let Argon2Costs {
                memory_kib,
                passes,
                lanes,
            } = costs;
            let params = Params::new(memory_kib, passes, lanes, Some(len)).ok()?;
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(password, salt, &mut key)
                .ok()?;
        }
    }
    Some(key)
}

impl FromStr for PasswordHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<PasswordHash, HashError> {
        if let Some(rest) = text.strip_prefix("$6$") {
            let [salt, key] = parts(rest, "$6$SALT$HASH")?;
            sha512_hash(Scheme::Sha512, salt, key)
        } else if let Some(rest) = text.strip_prefix("$7$") {
            let [rounds, salt, key] = parts(rest, "$7$ITERATIONS$SALT$HASH")?;
            PasswordHash::from_pbkdf2_parts(rounds, salt, key)
        } else if let Some(rest) = text.strip_prefix("$argon2id$") {
            const FORM: &str = "$argon2id$v=19$m=MEMORY,t=PASSES,p=LANES$SALT$HASH";
            let ["v=19", costs, salt, key] = parts(rest, FORM)? else {
                return Err(HashError::Form(FORM));
            };
            let salt = decoded("salt", salt, &STANDARD_NO_PAD)?;
            if !(8..=64).contains(&salt.len()) {
                return Err(wrong_length("salt", &salt, "8 to 64"));
            }
            let key = decoded("hash", key, &STANDARD_NO_PAD)?;
            if !(16..=64).contains(&key.len()) {
                return Err(wrong_length("hash", &key, "16 to 64"));
            }
            Ok(PasswordHash(Kind::Key {
                scheme: Scheme::Argon2id(argon2_costs(costs, FORM)?),
                salt,
                key,
            }))
        } else if is_scram(text) {
            scram_hash(text)
        } else {
            Err(HashError::Scheme)
        }
    }
}

impl PasswordHash {
    /// A `$7$` hash whose parts stand apart, as in files of dynamic security before 2.1.
    pub(crate) fn from_pbkdf2_parts(
        rounds: &str,
        salt: &str,
        key: &str,
    ) -> Result<PasswordHash, HashError> {
        let rounds = in_range("iterations", rounds, 1, ITERATIONS_MAX)?;
        let rounds = NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN);
        sha512_hash(Scheme::Pbkdf2(rounds), salt, key)
    }
}

/// Whether the text begins as credentials for SCRAM do.
pub(crate) fn is_scram(text: &str) -> bool {
    (text.strip_prefix(SCRAM_SHA_256)).is_some_and(|rest| rest.starts_with('$'))
}

fn scram_hash(text: &str) -> Result<PasswordHash, HashError> {
    let credentials: Credentials = text.parse().map_err(HashError::Scram)?;
    let iterations = credentials.iterations().to_string();
    in_range(
        "iterations",
        &iterations,
        SCRAM_ITERATIONS_MIN,
        ITERATIONS_MAX,
    )?;
    if credentials.salt().len() > 64 {
        return Err(wrong_length("salt", credentials.salt(), "1 to 64"));
    }
    Ok(credentials.into())
}

fn parts<'a, const N: usize>(text: &'a str, form: &'static str) -> Result<[&'a str; N], HashError> {
    let parts: Vec<&str> = text.split('$').collect();
    parts.try_into().map_err(|_| HashError::Form(form))
}

fn sha512_hash(scheme: Scheme, salt: &str, key: &str) -> Result<PasswordHash, HashError> {
    let salt = decoded("salt", salt, &STANDARD)?;
    if ![12, 64].contains(&salt.len()) {
        return Err(wrong_length("salt", &salt, "12 and 64"));
    }
    let key = decoded("hash", key, &STANDARD)?;
    if key.len() != KEY_LEN {
        return Err(wrong_length("hash", &key, "64"));
    }
    Ok(PasswordHash(Kind::Key { scheme, salt, key }))
}

fn argon2_costs(text: &str, form: &'static str) -> Result<Argon2Costs, HashError> {
    let mut costs = text.split(',');
    let mut cost = |name: &'static str, max| {
        let value = costs
            .next()
            .and_then(|cost| cost.strip_prefix(name)?.strip_prefix('='));
        in_range(name, value.ok_or(HashError::Form(form))?, 1, max)
    };
    let memory_kib = cost("m", ARGON2_MEMORY_KIB_MAX)?;
    let passes = cost("t", ARGON2_PASSES_MAX)?;
    let lanes = cost("p", ARGON2_LANES_MAX)?;
    match costs.next() {
        None => Argon2Costs::new(memory_kib, passes, lanes),
        Some(_) => Err(HashError::Form(form)),
    }
}

fn in_range(what: &'static str, read: &str, min: u32, max: u32) -> Result<u32, HashError> {
    match read.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(HashError::Cost {
            what,
            read: read.into(),
            min,
            max,
        }),
    }
}

fn decoded(
    what: &'static str,
    text: &str,
    engine: &GeneralPurpose,
) -> Result<Box<[u8]>, HashError> {
    let bytes = engine.decode(text).map_err(|_| HashError::Base64(what))?;
    Ok(bytes.into())
}

fn wrong_length(what: &'static str, part: &[u8], allowed: &'static str) -> HashError {
    HashError::Length {
        what,
        len: part.len(),
        allowed,
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, salt, key) = match &self.0 {
            Kind::Key { scheme, salt, key } => (*scheme, salt, key),
            Kind::Scram(credentials) => return credentials.fmt(f),
        };
        let engine = match scheme {
            Scheme::Sha512 => {
                f.write_str("$6$")?;
                STANDARD
            }
            Scheme::Pbkdf2(rounds) => {
                write!(f, "$7${rounds}$")?;
                STANDARD
            }
            Scheme::Argon2id(Argon2Costs {
                memory_kib,
                passes,
                lanes,
            }) => {
                write!(f, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}$")?;
                STANDARD_NO_PAD
            }
        };
        let (salt, key) = (engine.encode(salt), engine.encode(key));
        write!(f, "{salt}${key}")
    }
}

/// Without salt and key: a hash in a log is a hash that can be tried.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Key { scheme, .. } => write!(f, "PasswordHash({scheme:?})"),
            Kind::Scram(credentials) => write!(f, "PasswordHash({credentials:?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SALT: Salt = *b"twelve bytes";

    fn cheap_schemes() -> [Scheme; 3] {
        let costs = Argon2Costs::new(8, 1, 1).expect("in range");
        [
            Scheme::Sha512,
            Scheme::Pbkdf2(NonZeroU32::MIN),
            Scheme::Argon2id(costs),
        ]
    }

    #[test]
    fn a_hash_is_of_one_password() {
        for scheme in cheap_schemes() {
            let hash = PasswordHash::make(scheme, b"secret", &SALT);
            assert!(hash.verify(b"secret"), "{scheme:?}");
            for wrong in [&b""[..], b"secre", b"secret ", b"Secret"] {
                assert!(!hash.verify(wrong), "{scheme:?} {wrong:?}");
            }
            let other = PasswordHash::make(scheme, b"secret", b"another salt");
            assert_ne!(hash, other, "{scheme:?}");
        }
    }

    #[test]
    fn a_hash_reads_back() {
        for scheme in cheap_schemes() {
            let hash = PasswordHash::make(scheme, b"secret", &SALT);
            assert_eq!(hash.to_string().parse(), Ok(hash));
        }
    }

    /// Made by `mosquitto_passwd` of 2.0.11, with hashlib of Python, and by the command line tool of argon2's authors.
    #[test]
    fn hashes_of_others_are_checked() {
        let check = |text: &str, password: &str| {
            let hash: PasswordHash = text.parse().expect("a hash");
            assert!(hash.verify(password.as_bytes()), "{text}");
            assert!(!hash.verify(b"not this"), "{text}");
            assert_eq!(hash.to_string(), text);
        };
        check(
            "$6$y56FqzfS4fcE4sUx$w+0au4uMayL75vF6ore7vC8K/WgoRMhskB8q7UJsFYKBkTW3utA2jqIDuRkqgsipqWAl4PswPqDizS+uG/vSvA==",
            "pass word",
        );
        check(
            "$7$101$0ohxMgUvJhRGiOnH$xSR+IhOAYnDmWQRx0bXdkvk12gqVUFXdYOo5lLfodc3UK5TbWTmcsSihHWYSYMJDmumtE6CN3eHKzi2B/v+SNQ==",
            "pass word",
        );
        check(
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
            "pencil",
        );
        check(
            "$argon2id$v=19$m=64,t=2,p=1$c2l4dGVlbiBieXRlIHNsdA$s/EIYjK5M3R70QLT6b9Pqxj4oqK9oPJrPBrT6x7q9bQUcLHamq3NbHn6zZxI6uo9UKHTYtjPKAWpCv/Yq5miUA",
            "pass word",
        );
    }

    #[test]
    fn a_damaged_hash_says_what_is_wrong() {
        let check = |text: &str, expect: &str| {
            let error = text.parse::<PasswordHash>().expect_err(text).to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        let (salt, key) = (STANDARD.encode(SALT), STANDARD.encode([0; 64]));
        check("", "begins with $6$, $7$, $argon2id$ or SCRAM-SHA-256$");
        check("secret", "begins with");
        check("$1$a$b", "begins with");
        check("$6$", "written $6$SALT$HASH");
        check(&format!("$6${salt}${key}$"), "written $6$SALT$HASH");
        check(
            &format!("$6$!${key}"),
            "salt of the password hash is not Base64",
        );
        check(
            &format!("$6$AAAA${key}"),
            "has 3 bytes; allowed are 12 and 64",
        );
        check(&format!("$6${salt}$AAAA"), "has 3 bytes; allowed are 64");
        check(&format!("$7${salt}${key}"), "written $7$ITERATIONS");
        check(
            &format!("$7$0${salt}${key}"),
            "iterations = \"0\"; allowed are 1 to 10000000",
        );
        check(&format!("$7$-1${salt}${key}"), "iterations = \"-1\"");
        check(
            "$argon2id$v=16$m=8,t=1,p=1$AAAAAAAAAAA$AAAA",
            "$argon2id$v=19$m=MEMORY",
        );
        check("$argon2id$v=19$m=8,t=1$AAAAAAAAAAA$AAAA", "16 to 64");
        let key = STANDARD_NO_PAD.encode([0; 32]);
        check(
            &format!("$argon2id$v=19$m=8,t=1$AAAAAAAAAAA${key}"),
            "m=MEMORY,t=PASSES",
        );
        check(
            &format!("$argon2id$v=19$m=8,t=1,p=2$AAAAAAAAAAA${key}"),
            "m = \"8\"; allowed are 16",
        );
        let scram = |iterations: u32, salt: &str| {
            let key = STANDARD.encode([0; 32]);
            format!("SCRAM-SHA-256${iterations}:{salt}${key}:{key}")
        };
        check("SCRAM-SHA-256$4096", "are written SCRAM-SHA-256$ITERATIONS");
        check(
            &scram(4_095, &salt),
            "\"4095\"; allowed are 4096 to 10000000",
        );
        let long = STANDARD.encode([0; 65]);
        check(&scram(4_096, &long), "has 65 bytes; allowed are 1 to 64");
        let big = format!("$argon2id$v=19$m=99999999,t=1,p=1$AAAAAAAAAAA${key}");
        check(&big, "allowed are 1 to 1048576");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r"(\$(6|7|argon2id)\$|SCRAM-SHA-256\$)?[$=:,a-zA-Z0-9+/]{0,80}") {
            _ = text.parse::<PasswordHash>();
        }
    }
}
