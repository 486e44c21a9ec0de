//! The client's end of SCRAM-SHA-256, as far as scripts need it to get past a broker that asks for it.
//!
//! It does not use `wigwag-scram`: a mistake there must not hide itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// As an Authentication Method.
pub const METHOD: &str = "SCRAM-SHA-256";

/// A user of a broker under test, and what the broker keeps of the password, in the form of RFC 5803.
pub const USER: &str = "scram";
pub const PASSWORD: &str = "pencil";
pub const STORED: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

fn bare() -> String {
    format!("n={USER},r={NONCE}")
}

/// The client-first-message.
pub fn first() -> String {
    format!("n,,{}", bare())
}

/// The client-final-message for a server-first-message; `None` if it is none.
pub fn last(challenge: &[u8], password: &str) -> Option<String> {
    let challenge = std::str::from_utf8(challenge).ok()?;
    let mut fields = challenge.split(',');
    let nonce = fields.next()?.strip_prefix("r=")?;
    let salt = STANDARD.decode(fields.next()?.strip_prefix("s=")?).ok()?;
    let iterations = fields.next()?.strip_prefix("i=")?.parse().ok()?;
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
    let client_key = sign(&salted, "Client Key");
    let without_proof = format!("c=biws,r={nonce}");
    let said = format!("{},{challenge},{without_proof}", bare());
    let signature = sign(&Sha256::digest(client_key), &said);
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(a, b)| a ^ b)
        .collect();
    Some(format!("{without_proof},p={}", STANDARD.encode(proof)))
}

fn sign(key: &[u8], text: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3, with another user name; computed with Python's hashlib.
    #[test]
    fn a_challenge_is_answered() {
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = last(challenge, PASSWORD).expect("a challenge");
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=JGiApLc2a7lDv0/h90rqlqNNTeag6pSDA33PBcOavJw="
        );
        assert_eq!(last(b"r=a", PASSWORD), None);
    }
}
