//! Both ends against the test vectors, against each other, and against what they must not accept.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

const ITERATIONS_MIN: NonZeroU32 = NonZeroU32::new(4_096).expect("not zero");

// RFC 7677, section 3.
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn nonce(text: &str) -> Nonce {
    Nonce::new(text).expect("printable")
}

fn client(password: &str) -> ClientFirst {
    ClientFirst::new("user", password, nonce("rOprNGfwEbeRWgbNEkqO")).expect("allowed")
}

fn proven() -> ClientFinal {
    let client = client("pencil").handle_server_first(SERVER_FIRST.as_bytes());
    client.expect("accepted")
}

fn credentials() -> Credentials {
    let salt = b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";
    Credentials::derive("pencil", *salt, ITERATIONS_MIN).expect("allowed")
}

fn decoy() -> Decoy {
    Decoy::new([7; 32], ITERATIONS_MIN)
}

fn challenge(first: &str, known: bool) -> ServerFirst {
    let request = Request::read(first.as_bytes()).expect("valid");
    let nonce = nonce("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    request.challenge(known.then(credentials), &decoy(), &nonce)
}

#[test]
fn the_client_speaks_as_the_test_vector_does() {
    let first = client("pencil");
    assert_eq!(first.message(), CLIENT_FIRST);
    let last = proven();
    assert_eq!(last.message(), CLIENT_FINAL);
    assert_eq!(last.handle_server_final(SERVER_FINAL.as_bytes()), Ok(()));
}

#[test]
fn the_server_speaks_as_the_test_vector_does() {
    let server = challenge(CLIENT_FIRST, true);
    assert_eq!(server.message(), SERVER_FIRST);
    let server = server.handle_client_final(CLIENT_FINAL.as_bytes());
    let server = server.expect("proved");
    assert_eq!(server.message(), SERVER_FINAL);
    assert_eq!(server.user_name(), "user");
}

#[test]
fn stored_credentials_are_all_that_a_server_needs() {
    let made = credentials();
    let stored = Credentials::new(
        made.salt(),
        made.iterations(),
        *made.stored_key(),
        *made.server_key(),
    );
    assert_eq!(stored, made);
}

/// Made with hashlib and hmac of Python.
const STORED: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

#[test]
fn credentials_are_stored_as_others_store_them() {
    assert_eq!(credentials().to_string(), STORED);
    assert_eq!(STORED.parse(), Ok(credentials()));
    let check = |text: String, error: &str| {
        let wrong = text.parse::<Credentials>().expect_err(&text).to_string();
        assert!(wrong.contains(error), "{text}: {wrong}");
    };
    check(String::new(), "they are written");
    check(STORED.replace("256$", "512$"), "they are written");
    check(STORED.replace("=:w", "=w"), "they are written");
    check(STORED.replace("4096", "0"), "not a positive number");
    check(STORED.replace("4096", "-1"), "not a positive number");
    check(STORED.replace("W22Z", "W22"), "salt is not base64");
    check(
        STORED.replace("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
        "salt is empty",
    );
    check(STORED.replace("WG5d", ""), "StoredKey is not 32 bytes");
    check(STORED.replace("wfPL", "wfP*"), "ServerKey is not 32 bytes");
}

#[test]
fn a_password_can_be_checked_without_an_exchange() {
    assert!(credentials().verify("pencil"));
    for wrong in ["", "pencils", "Pencil", "\u{7}"] {
        assert!(!credentials().verify(wrong), "{wrong}");
    }
}

#[test]
fn a_wrong_password_is_not_proved() {
    let server = challenge(CLIENT_FIRST, true);
    let client = client("pencils").handle_server_first(server.message().as_bytes());
    let client = client.expect("accepted");
    let refused = server.handle_client_final(client.message().as_bytes());
    assert_eq!(refused.map(drop), Err(Error::Proof));
}

#[test]
fn an_unknown_user_is_answered_as_a_known_one() {
    let unknown = challenge(CLIENT_FIRST, false);
    let again = challenge(CLIENT_FIRST, false);
    let other = challenge("n,,n=other,r=rOprNGfwEbeRWgbNEkqO", false);
    let shape = |server: &ServerFirst| server.message().len();
    assert_eq!(shape(&unknown), SERVER_FIRST.len());
    assert_eq!(unknown.message(), again.message());
    assert_ne!(unknown.message(), other.message());
    let client = client("pencil").handle_server_first(unknown.message().as_bytes());
    let client = client.expect("accepted");
    let refused = unknown.handle_client_final(client.message().as_bytes());
    assert_eq!(refused.map(drop), Err(Error::Proof));
}

#[test]
fn the_salt_of_an_unknown_user_is_as_long_as_asked_for() {
    for len in [0, 1, 16, 32, 33, 64, 200] {
        let salt = decoy().salt_len(len).credentials("user").salt;
        assert_eq!(salt.len(), len);
    }
}

#[test]
fn a_server_that_does_not_know_the_user_is_not_believed() {
    let zeros = format!("v={}=", "A".repeat(43));
    let check = |message: &str, error: Error| {
        let result = proven().handle_server_final(message.as_bytes());
        assert_eq!(result, Err(error), "{message}");
    };
    check(&zeros, Error::ServerSignature);
    check(
        "e=invalid-proof",
        Error::Refused("invalid-proof".to_owned()),
    );
    let malformed = |what| Error::Malformed {
        message: MessageKind::ServerFinal,
        what,
    };
    check("", malformed("the signature (v=) is missing"));
    check(
        "v=AAAA",
        malformed("the signature (v=) is not 32 bytes in base64"),
    );
    check(
        &format!("{SERVER_FINAL},"),
        malformed("an extension has no name"),
    );
}

#[test]
fn a_challenge_that_breaks_a_rule_is_not_answered() {
    let check = |message: &str, wanted: &str| {
        let error = client("pencil").handle_server_first(message.as_bytes());
        let error = error.expect_err(message).to_string();
        assert!(error.contains(wanted), "{message}: {error}");
    };
    let own = "r=rOprNGfwEbeRWgbNEkqO";
    check("", "nonce (r=) is missing");
    check("r=foreign,s=AAAA,i=4096", "not the one of this exchange");
    check(
        &format!("{own},s=AAAA,i=4096"),
        "not the one of this exchange",
    );
    check(&format!("{own}€,s=AAAA,i=4096"), "not allowed");
    check(&format!("{own}x"), "salt (s=) is missing");
    check(&format!("{own}x,s=,i=4096"), "salt (s=) is empty");
    check(&format!("{own}x,s=***,i=4096"), "not base64");
    check(&format!("{own}x,s=AAAA"), "iteration count (i=) is missing");
    for number in ["", "0", "-1", "+4096", "04096", "4096 "] {
        check(
            &format!("{own}x,s=AAAA,i={number}"),
            "not a positive number",
        );
    }
    for number in ["1", "4095", "1000001", "99999999999999999999"] {
        check(
            &format!("{own}x,s=AAAA,i={number}"),
            "4096 to 1000000 are allowed",
        );
    }
    check(&format!("m=x,{own}x,s=AAAA,i=4096"), "demands an extension");
    check(&"x".repeat(MESSAGE_LEN_MAX + 1), "16384 are allowed");
    let bytes = client("pencil").handle_server_first(b"r=\xFF").map(drop);
    assert!(bytes.is_err_and(|error| error.to_string().contains("UTF-8")));
}

#[test]
fn iterations_are_bounded_as_the_user_says() {
    let few = SERVER_FIRST.replace("4096", "8");
    let client = client("pencil").iterations(1..=8);
    assert!(client.handle_server_first(few.as_bytes()).is_ok());
}

#[test]
fn a_request_that_breaks_a_rule_is_refused() {
    let check = |message: &str, wanted: &str| {
        let error = Request::read(message.as_bytes()).expect_err(message);
        assert!(error.to_string().contains(wanted), "{message}: {error}");
    };
    check("", "channel binding");
    check("n", "another identity is missing");
    check("x,,n=user,r=a", "none of n, y and p=");
    check("p=tls-exporter,,n=user,r=a", "-PLUS");
    check("n,b=user,n=user,r=a", "another identity");
    check("n,a=root,n=user,r=a", "wants to act as 'root'");
    check("n,,user", "user name (n=) is missing");
    check("n,,n=us=er,r=a", "wrong escape");
    check("n,,n=,r=a", "it is empty");
    check("n,,n=\u{7},r=a", "SASLprep");
    check("n,,n=user", "nonce (r=) is missing");
    check("n,,n=user,r=", "empty");
    check("n,,m=x,n=user,r=a", "demands an extension");
    check("n,,n=user,r=a,", "extension has no name");
}

#[test]
fn a_request_may_say_more_than_it_must() {
    let request = Request::read(b"y,a=I\xC2\xADX,n=\xE2\x85\xA8,r=a,x=more").expect("valid");
    assert_eq!(request.user_name(), "IX");
}

#[test]
fn a_proof_belongs_to_one_exchange() {
    let check = |message: String, error: &str| {
        let result = challenge(CLIENT_FIRST, true).handle_client_final(message.as_bytes());
        let refused = result.expect_err(&message).to_string();
        assert!(refused.contains(error), "{message}: {refused}");
    };
    check(
        CLIENT_FINAL.replace("biws", "eSws"),
        "not the one of the first",
    );
    check(
        CLIENT_FINAL.replace("$k0", "$k1"),
        "not the one of this exchange",
    );
    check(CLIENT_FINAL.replace(",p=", ",x=y,p="), "password is wrong");
    check(CLIENT_FINAL.replace(",p=", ",q="), "proof (p=) is missing");
    check(CLIENT_FINAL.replace("VQ=", ""), "not 32 bytes");
}

#[test]
fn secrets_do_not_show() {
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        client("pencil"),
        proven(),
        credentials(),
        decoy(),
        challenge(CLIENT_FIRST, true),
    );
    for secret in ["pencil", "W22Z", "stored_key", "secret", "signature"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn nonces_are_printable() {
    assert_eq!(Nonce::from_random([0xFB; 18]).as_str().len(), 24);
    for wrong in ["", "a,b", "a b", "ä", "\u{7F}"] {
        assert_eq!(Nonce::new(wrong), Err(Error::Nonce));
    }
}

/// The attributes of the messages, and bytes that have no place there.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "n,,",
        "y,",
        "p=",
        "n=",
        "r=",
        "s=",
        "i=",
        "c=",
        "v=",
        "e=",
        "m=",
        ",",
        "=",
        "=2C",
        "user",
        "4096",
        "SCRAM-SHA-256$",
        ":",
        "AAAA",
        "biws",
        "rOprNGfwEbeRWgbNEkqO",
        "€",
    ]);
    let piece = prop_oneof![
        8 => pieces.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_message_makes_an_end_panic(bytes in soup()) {
        let _ = Request::read(&bytes);
        let _ = client("pencil").iterations(1..=4_096).handle_server_first(&bytes);
        let _ = challenge(CLIENT_FIRST, true).handle_client_final(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<Credentials>();
    }

    #[test]
    fn both_ends_agree_on_any_name_and_password(name in "[ -~äß]{1,20}", password in "[ -~äß]{0,20}") {
        let iterations = NonZeroU32::MIN;
        let stored = Credentials::derive(&password, [1; SALT_LEN], iterations).expect("allowed");
        let client = ClientFirst::new(&name, &password, nonce("a")).expect("allowed").iterations(1..=1);
        let request = Request::read(client.message().as_bytes()).expect("valid");
        prop_assert_eq!(request.user_name(), prepare_user_name(&name).expect("allowed"));
        let server = request.challenge(Some(stored), &decoy(), &nonce("b"));
        let client = client.handle_server_first(server.message().as_bytes()).expect("accepted");
        let server = server.handle_client_final(client.message().as_bytes()).expect("proved");
        prop_assert_eq!(client.handle_server_final(server.message().as_bytes()), Ok(()));
    }
}
