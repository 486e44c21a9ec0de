//! SCRAM-SHA-256 as an [`Authenticator`]: `wigwag-scram` in the words of MQTT.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use wigwag_scram::{ClientFinal, ClientFirst, Nonce, SCRAM_SHA_256};

use crate::{Authenticator, ScramError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Authentication by a password that never travels, in which the server proves that it knows it too:
/// SCRAM-SHA-256 of RFC 7677, to be given to [`Builder::authenticator`](crate::Builder::authenticator).
///
/// Against someone who reads along, who keeps what he reads, or who poses as the server, the password is as
/// strong as the work to guess it. TLS is still needed to keep the messages after the authentication
/// private.
pub struct Scram {
    user_name: Arc<str>,
    password: Arc<str>,
    iterations: RangeInclusive<u32>,
    stage: Stage,
}

enum Stage {
    Ready,
    First(ClientFirst),
    Final(ClientFinal),
}

impl Scram {
    /// Fails if SASLprep does not allow the user name or the password.
    pub fn sha256(user_name: &str, password: &str) -> Result<Scram, ScramError> {
        // The nonce is of no account: what is looked at is the rest.
        ClientFirst::new(user_name, password, Nonce::from_random([0; 18]))?;
        Ok(Scram {
            user_name: user_name.into(),
            password: password.into(),
            iterations: wigwag_scram::ITERATIONS,
            stage: Stage::Ready,
        })
    }

    /// Sets the iteration counts that a server may ask for. Fewer make the password easier to guess for
    /// whoever poses as the server, more take longer. Default: 4,096 to
    /// 1,000,000.
    #[must_use]
    pub fn iterations(mut self, allowed: RangeInclusive<u32>) -> Scram {
        self.iterations = allowed;
        self
    }
}

/// A clone begins from the start.
impl Clone for Scram {
    fn clone(&self) -> Scram {
        Scram {
            user_name: self.user_name.clone(),
            password: self.password.clone(),
            iterations: self.iterations.clone(),
            stage: Stage::Ready,
        }
    }
}

/// Without the password.
impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram")
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

impl Authenticator for Scram {
    fn method(&self) -> &str {
        SCRAM_SHA_256
    }

    fn start(&mut self) -> Result<Option<Bytes>, BoxError> {
        let mut random = [0; 18];
        getrandom::fill(&mut random)
            .map_err(|error| format!("the system has no randomness: {error}"))?;
        let nonce = Nonce::from_random(random);
        let first = ClientFirst::new(&self.user_name, &self.password, nonce)?;
        let first = first.iterations(self.iterations.clone());
        let message = Bytes::copy_from_slice(first.message().as_bytes());
        self.stage = Stage::First(first);
        Ok(Some(message))
    }

    fn proceed(&mut self, data: Option<Bytes>) -> Result<Option<Bytes>, BoxError> {
        let Stage::First(first) = std::mem::replace(&mut self.stage, Stage::Ready) else {
            return Err("the server asks for more than SCRAM has".into());
        };
        let last = first.handle_server_first(&data.unwrap_or_default())?;
        let message = Bytes::copy_from_slice(last.message().as_bytes());
        self.stage = Stage::Final(last);
        Ok(Some(message))
    }

    fn finish(&mut self, data: Option<Bytes>) -> Result<(), BoxError> {
        let Stage::Final(last) = std::mem::replace(&mut self.stage, Stage::Ready) else {
            return Err("the server has not asked for the password: it may be an impostor".into());
        };
        let data =
            data.ok_or("the server has not proved itself: its Authentication Data is missing")?;
        Ok(last.handle_server_final(&data)?)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use wigwag_scram::{Credentials, Decoy, Request};

    use super::*;

    fn scram() -> Scram {
        Scram::sha256("user", "pencil").expect("allowed")
    }

    /// Runs both ends up to the server's last message.
    fn run(scram: &mut Scram, iterations: u32) -> Result<Bytes, BoxError> {
        let first = scram.start()?.expect("a message");
        let request = Request::read(&first)?;
        let iterations = NonZeroU32::new(iterations).expect("not zero");
        let stored = Credentials::derive("pencil", [1; 16], iterations)?;
        let decoy = Decoy::new([2; 32], iterations);
        let server = request.challenge(Some(stored), &decoy, &Nonce::from_random([3; 18]));
        let last = scram.proceed(Some(server.message().to_owned().into()))?;
        let server = server.handle_client_final(&last.expect("a message"))?;
        Ok(server.message().to_owned().into())
    }

    #[test]
    fn both_ends_prove_themselves() {
        let mut scram = scram();
        let last = run(&mut scram, 4_096).expect("proved");
        scram.finish(Some(last)).expect("proved");
        // And once more, with a nonce of its own.
        let mut again = scram.clone();
        assert_ne!(again.start().expect("begun"), scram.start().expect("begun"));
    }

    #[test]
    fn a_server_that_leaves_a_step_out_is_not_believed() {
        let mut hurried = scram();
        hurried.start().expect("begun");
        let error = hurried.finish(Some("v=AAAA".into())).expect_err("hurried");
        assert!(error.to_string().contains("impostor"), "{error}");
        let mut silent = scram();
        run(&mut silent, 4_096).expect("proved");
        let error = silent.finish(None).expect_err("silent");
        assert!(
            error.to_string().contains("Authentication Data is missing"),
            "{error}"
        );
        let mut endless = scram();
        run(&mut endless, 4_096).expect("proved");
        let error = endless.proceed(None).expect_err("endless");
        assert!(error.to_string().contains("more than SCRAM"), "{error}");
    }

    #[test]
    fn iterations_are_bounded() {
        let error = run(&mut scram(), 1_000).expect_err("too few").to_string();
        assert_eq!(
            error,
            "the server asks for 1000 iterations; 4096 to 1000000 are allowed"
        );
        assert!(run(&mut scram().iterations(1_000..=1_000), 1_000).is_ok());
    }

    #[test]
    fn what_saslprep_does_not_allow_is_refused_at_once() {
        let error = Scram::sha256("a\0", "b").expect_err("a NUL").to_string();
        assert!(error.contains("user name"), "{error}");
        let error = Scram::sha256("a", "b\0").expect_err("a NUL").to_string();
        assert!(error.contains("password"), "{error}");
        assert!(!format!("{:?}", scram()).contains("pencil"));
    }
}
