//! SCRAM-SHA-256 as an Authentication Method: how an exchange begins, and whether its end still counts.
//!
//! The arithmetic is `wigwag-scram`'s. It takes microseconds, the password having been hashed by the client, so
//! all of it is done on the shard's thread; only the answer to a wrong proof waits, in the `pool`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wigwag_access::password::PasswordHash;
use wigwag_access::scram::{Error, Nonce, Request, SCRAM_SHA_256, ServerFirst, prepare_user_name};
use wigwag_engine::auth::{Exchange, Verdict};
use wigwag_engine::policy::Identity;

use super::files;
use super::policy::Shared;

/// The name that a client gives in its CONNECT.
pub(super) const METHOD: &str = SCRAM_SHA_256;

/// How long a client may take for its proof. In a CONNECT, the time for that is over sooner.
const AGE_MAX: Duration = Duration::from_secs(60);

/// What is known between the two steps.
struct Begun {
    server: ServerFirst,
    /// What is kept of the user's password, if there is such a user.
    hash: Option<Arc<PasswordHash>>,
    since: Instant,
}

/// Why somebody does not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This is no step of an exchange.
    Message,
    /// The proof is wrong, or whose it is.
    Proof,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error {
            Error::UserName(_) | Error::AuthorizationIdentity(_) | Error::Proof => Refusal::Proof,
            _ => Refusal::Message,
        }
    }
}

/// The first step, of a CONNECT or of a client that authenticates again. `is_certified`: the user name is that of
/// a certificate.
pub(super) fn begin(
    shared: &Shared,
    identity: &Identity,
    is_certified: bool,
    data: Option<&[u8]>,
) -> Result<Verdict, Refusal> {
    let request = Request::read(data.unwrap_or_default())?;
    let name = request.user_name();
    // Whose name is known, from CONNECT, a certificate or the exchange before, can prove no other.
    let said = identity.user_name.as_deref();
    let is_other = said.is_some_and(|said| prepare_user_name(said).as_deref() != Ok(name));
    let is_shut_out = is_other || is_certified && !shared.admits_certified(identity);
    let hash = if is_shut_out {
        None
    } else {
        shared.hash_for_scram(identity, name)
    };
    let decoy = shared.decoy(identity.listener.number);
    let credentials = hash.as_ref().and_then(|hash| hash.scram());
    let nonce = Nonce::from_random(files::random());
    let server = request.challenge(credentials.cloned(), &decoy.ok_or(Refusal::Proof)?, &nonce);
    Ok(Verdict::Continue {
        data: Some(server.message().to_owned().into()),
        exchange: Exchange(Box::new(Begun {
            server,
            hash,
            since: Instant::now(),
        })),
    })
}

/// The second step: the client's proof.
pub(super) fn finish(
    shared: &Shared,
    identity: &Identity,
    exchange: Exchange,
    data: Option<&[u8]>,
) -> Result<Verdict, Refusal> {
    let begun = exchange.0.downcast::<Begun>();
    let Begun {
        server,
        hash,
        since,
    } = *begun.map_err(|_| Refusal::Message)?;
    let server = server.handle_client_final(data.unwrap_or_default())?;
    // What counts is what is kept of the user at this moment.
    let is_still_right = since.elapsed() <= AGE_MAX
        && hash.is_some_and(|hash| {
            let kept = shared.hash_for_scram(identity, server.user_name());
            kept.is_some_and(|kept| *kept == *hash)
        });
    if !is_still_right {
        return Err(Refusal::Proof);
    }
    Ok(Verdict::Allow {
        user_name: Some(server.user_name().into()),
        data: Some(server.message().to_owned().into()),
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use wigwag_access::dynsec::Rights;
    use wigwag_access::scram::{ClientFinal, ClientFirst, Credentials};
    use wigwag_engine::proto::ReasonCode;

    use super::super::settings::{AccessSettings, Security, Source};
    use super::super::tables::Tables;
    use super::*;
    use crate::logging::Log;

    /// What decides where `ann` has this password.
    fn tables(password: &str) -> Tables {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("passwords");
        let iterations = NonZeroU32::new(4_096).expect("not zero");
        let credentials = Credentials::derive(password, [7; 16], iterations).expect("allowed");
        std::fs::write(&path, format!("ann:{credentials}\n")).expect("writable");
        let settings = AccessSettings {
            listeners: vec![Security {
                allow_anonymous: true,
                sources: vec![Source::Passwords(path)],
            }],
            ..AccessSettings::default()
        };
        Tables::read(&settings, &Log::default()).expect("valid")
    }

    fn shared() -> Shared {
        Shared::new(tables("pencil"), Rights::default(), None)
    }

    /// The client's proof, and what the broker needs to check it.
    fn challenged(shared: &Shared, identity: &Identity) -> (ClientFinal, Exchange) {
        let nonce = Nonce::from_random([7; 18]);
        let client = ClientFirst::new("ann", "pencil", nonce).expect("allowed");
        let begun = begin(shared, identity, false, Some(client.message().as_bytes()));
        let Ok(Verdict::Continue { data, exchange }) = begun else {
            unreachable!("it begins: {begun:?}")
        };
        let data = data.expect("a challenge");
        let client = client.handle_server_first(&data).expect("accepted");
        (client, exchange)
    }

    fn finished(
        shared: &Shared,
        identity: &Identity,
        (client, exchange): (ClientFinal, Exchange),
    ) -> Result<(), Refusal> {
        let proof = Some(client.message().as_bytes());
        match finish(shared, identity, exchange, proof)? {
            Verdict::Allow { user_name, data } => {
                assert_eq!(user_name.as_deref(), Some("ann"));
                let told = client.handle_server_final(&data.expect("a signature"));
                told.expect("the broker knows the user");
                Ok(())
            }
            other => unreachable!("two steps are all: {other:?}"),
        }
    }

    #[test]
    fn a_proof_counts_for_the_password_of_its_moment() {
        let (shared, identity) = (shared(), Identity::new("c", None));
        let begun = challenged(&shared, &identity);
        assert_eq!(finished(&shared, &identity, begun), Ok(()));
        let begun = challenged(&shared, &identity);
        shared.tables.store(Arc::new(tables("crayon")));
        let late = finished(&shared, &identity, begun);
        assert_eq!(late, Err(Refusal::Proof));
    }

    #[test]
    fn nobody_becomes_another() {
        let shared = shared();
        for (said, expect) in [("ann", Ok(())), ("bob", Err(Refusal::Proof))] {
            let identity = Identity::new("c", Some(said));
            let begun = challenged(&shared, &identity);
            assert_eq!(finished(&shared, &identity, begun), expect, "{said}");
        }
    }

    #[test]
    fn what_is_no_step_is_told_from_what_is_wrong() {
        let (shared, identity) = (shared(), Identity::new("c", None));
        let check = |data: &[u8], expect| {
            let begun = begin(&shared, &identity, false, Some(data)).map(drop);
            assert_eq!(begun, Err(expect), "{}", data.escape_ascii());
        };
        check(b"n,,n=\x07,r=a", Refusal::Proof);
        check(b"n,a=root,n=ann,r=a", Refusal::Proof);
        check(b"", Refusal::Message);
        check(b"n,,user", Refusal::Message);
        let foreign = Exchange(Box::new(ReasonCode::Success));
        let end = finish(&shared, &identity, foreign, None).map(drop);
        assert_eq!(end, Err(Refusal::Message));
    }
}
