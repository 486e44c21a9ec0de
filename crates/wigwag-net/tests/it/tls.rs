//! TLS between dial and accept: what each check refuses, and in which words.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use wigwag_net::accept::{AcceptError, accept_tls, accept_websocket};
use wigwag_net::dial::{DialError, Options, Target, dial_with};
use wigwag_net::tls::{Acceptor, CertificateError, ClientTls, KeyLogFile, ServerTls, TlsError};
use wigwag_net::{Pump, Stream};

use crate::{FRAME_SIZE_MAX, accept_tcp, echo, listener, receive, within};

/// A CA of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A list of revoked certificates that is good until the year.
    fn revoke(&self, serial: u64, until: i32) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params
            .signed_by(&self.0)
            .expect("a list")
            .pem()
            .expect("text")
    }

    fn server(&self, name: &str) -> ServerTls {
        let identity = self.issue(name, |_| ());
        ServerTls::new(identity.certificate, identity.key)
    }
}

fn options(tls: &ClientTls) -> Options {
    let mut options = Options::default();
    options.tls = Some(tls.build().expect("valid"));
    options
}

/// Both ends of one handshake.
async fn handshake(
    scheme: &str,
    client: &ClientTls,
    server: &Acceptor,
) -> (Result<Stream, DialError>, Result<Stream, AcceptError>) {
    let (listener, port) = listener();
    let target = Target::parse(&format!("{scheme}://localhost:{port}")).expect("valid");
    let options = options(client);
    let accept = async {
        let stream = accept_tls(accept_tcp(&listener).await, server).await?;
        if scheme == "wss" {
            return accept_websocket(stream, FRAME_SIZE_MAX).await;
        }
        Ok(stream)
    };
    within(async { tokio::join!(dial_with(&target, FRAME_SIZE_MAX, &options), accept) }).await
}

#[tokio::test]
async fn bytes_pass_both_ways_over_tls_and_websocket_over_tls() {
    let ca = Authority::new("ca");
    let server = ca.server("localhost").build().expect("valid");
    for scheme in ["mqtts", "wss"] {
        let (ours, theirs) = handshake(scheme, &ClientTls::ca_pem(ca.pem()), &server).await;
        let (ours, theirs) = (ours.expect("connected"), theirs.expect("accepted"));
        assert_eq!(
            ours.local_addr().expect("TCP below"),
            theirs.peer_addr().expect("TCP below")
        );
        within(echo(Pump::new(ours), Pump::new(theirs))).await;
    }
}

#[tokio::test]
async fn a_certificate_that_fails_a_check_is_refused_and_the_error_says_which() {
    let ca = Authority::new("ca");
    let check = async |identity: Identity, expect: CertificateError, words: &str| {
        let server = ServerTls::new(identity.certificate, identity.key);
        let acceptor = server.build().expect("valid");
        let client = ClientTls::ca_pem(ca.pem());
        let (ours, theirs) = handshake("mqtts", &client, &acceptor).await;
        let error = ours.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert!(
            matches!(&error, DialError::Certificate { check, .. } if *check == expect),
            "{error:?}"
        );
        assert!(matches!(theirs, Err(AcceptError::Tls(_))), "{theirs:?}");
        // The one way around it, and it has to be asked for by name.
        let client = client.dangerous_accept_any_certificate();
        let (ours, theirs) = handshake("mqtts", &client, &acceptor).await;
        ours.expect("connected");
        theirs.expect("accepted");
    };
    let other = Authority::new("other").issue("localhost", |_| ());
    check(
        other,
        CertificateError::UnknownIssuer,
        "no trusted CA has signed it",
    )
    .await;
    let expired = ca.issue("localhost", |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    check(expired, CertificateError::Expired, "it has expired").await;
    let early = ca.issue("localhost", |params| {
        params.not_before = date_time_ymd(3000, 1, 1);
        params.not_after = date_time_ymd(3001, 1, 1);
    });
    check(early, CertificateError::NotValidYet, "not valid yet").await;
    let name = CertificateError::Name {
        name: "localhost".to_owned(),
        presented: vec!["broker.example".to_owned()],
    };
    check(
        ca.issue("broker.example", |_| ()),
        name,
        "not valid for 'localhost', only for broker.example",
    )
    .await;
    let purpose = ca.issue("localhost", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    check(
        purpose,
        CertificateError::Purpose,
        "not made for a TLS server",
    )
    .await;
}

#[tokio::test]
async fn another_name_can_be_looked_for() {
    let ca = Authority::new("ca");
    let server = ca.server("broker.example").build().expect("valid");
    let client = ClientTls::ca_pem(ca.pem()).server_name("broker.example");
    let (ours, _) = handshake("mqtts", &client, &server).await;
    ours.expect("connected");
}

#[tokio::test]
async fn client_certificates_are_optional_or_required() {
    let (ca, client_ca) = (Authority::new("ca"), Authority::new("clients"));
    let ours = client_ca.issue("device-7", |_| ());
    let plain = ClientTls::ca_pem(ca.pem());
    let known = (plain.clone()).client_certificate_pem(ours.certificate, ours.key);
    let foreign = Authority::new("foreign").issue("device-7", |_| ());
    let foreign = (plain.clone()).client_certificate_pem(foreign.certificate, foreign.key);

    let optional = ca.server("localhost").client_ca_pem(client_ca.pem());
    let required = optional.clone().require_client_certificate();
    let optional = optional.build().expect("valid");
    let required = required.build().expect("valid");
    for (server, client, expect) in [
        (&optional, &plain, Ok(0)),
        (&optional, &known, Ok(1)),
        (&optional, &foreign, Err("does not trust the CA")),
        (&required, &known, Ok(1)),
        (&required, &plain, Err("demands a client certificate")),
        (&required, &foreign, Err("does not trust the CA")),
    ] {
        let (ours, theirs) = handshake("mqtts", client, server).await;
        // In TLS 1.3 the client's handshake ends before the server has seen its certificate.
        let mut ours = Pump::new(ours.expect("connected"));
        match expect {
            Ok(shown) => match theirs.expect("accepted") {
                Stream::Tls(session) => assert_eq!(session.peer_certificates().count(), shown),
                other => panic!("{other:?}"),
            },
            Err(words) => {
                assert!(matches!(theirs, Err(AcceptError::Tls(_))), "{theirs:?}");
                let error = receive(&mut ours, &mut <[u8]>::len)
                    .await
                    .expect_err("refused");
                assert!(error.to_string().contains(words), "{words}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn application_protocols_are_agreed_on() {
    let ca = Authority::new("ca");
    let server = ca.server("localhost").alpn("mqtt").build().expect("valid");
    let client = ClientTls::ca_pem(ca.pem());
    let (ours, _) = handshake("mqtts", &client.clone().alpn("x").alpn("mqtt"), &server).await;
    match ours.expect("connected") {
        Stream::Tls(session) => assert_eq!(session.alpn(), Some(&b"mqtt"[..])),
        other => panic!("{other:?}"),
    }
    let (ours, _) = handshake("mqtts", &client.alpn("other"), &server).await;
    let error = ours.expect_err("nothing in common").to_string();
    assert!(error.contains("none of our ALPN protocols"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_recognised() {
    let ca = Authority::new("ca");
    let (listener, port) = listener();
    let target = Target::parse(&format!("mqtts://localhost:{port}")).expect("valid");
    let options = options(&ClientTls::ca_pem(ca.pem()));
    let answer = async {
        let tcp = accept_tcp(&listener).await;
        tcp.writable().await.expect("open");
        tcp.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .expect("written");
        tcp
    };
    let (error, _tcp) =
        within(async { tokio::join!(dial_with(&target, FRAME_SIZE_MAX, &options), answer) }).await;
    let error = error.expect_err("no TLS").to_string();
    assert!(error.contains("does not speak TLS"), "{error}");

    let nothing = Options::default();
    let error = dial_with(&target, FRAME_SIZE_MAX, &nothing);
    let (error, _tcp) = within(async { tokio::join!(error, accept_tcp(&listener)) }).await;
    let error = error.expect_err("no TLS options").to_string();
    assert!(error.contains("needs TLS"), "{error}");
}

#[test]
fn what_cannot_be_used_is_named() {
    let ca = Authority::new("ca");
    let (one, two) = (ca.issue("one", |_| ()), ca.issue("two", |_| ()));
    let client = ClientTls::ca_pem(ca.pem());
    let check = |tls: ClientTls, words: &str| {
        let error = tls.build().expect_err(words).to_string();
        assert!(error.contains(words), "{words}: {error}");
    };
    check(ClientTls::default(), "no CA is trusted");
    check(
        ClientTls::ca_pem("rubbish"),
        "the CA certificate holds no certificate",
    );
    check(
        client.clone().client_certificate_pem("", one.key.clone()),
        "the client certificate holds no",
    );
    check(
        client
            .clone()
            .client_certificate_pem(one.certificate.clone(), ""),
        "holds no unencrypted private key",
    );
    check(
        client
            .clone()
            .client_certificate_pem(one.certificate.clone(), two.key.clone()),
        "its key belongs to another certificate",
    );
    check(client.clone().server_name("a b"), "'a b' is not a DNS name");
    check(client.alpn(""), "1 to 255 bytes");
    let server = ServerTls::new(one.certificate, two.key).build();
    assert!(
        matches!(server, Err(TlsError::Identity { .. })),
        "{server:?}"
    );
    let server = ca.server("x").require_client_certificate().build();
    assert!(matches!(server, Err(TlsError::NoRoots)), "{server:?}");
}

/// A server that asks for certificates, and its answer to one.
async fn shows_certificate(
    server: impl FnOnce(ServerTls) -> ServerTls,
    client_ca: &Authority,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<Stream, AcceptError> {
    let ca = Authority::new("ca");
    let identity = client_ca.issue("device-7", change);
    let client =
        ClientTls::ca_pem(ca.pem()).client_certificate_pem(identity.certificate, identity.key);
    let server = server(ca.server("localhost").client_ca_pem(client_ca.pem()));
    let server = server.require_client_certificate().build().expect("valid");
    handshake("mqtts", &client, &server).await.1
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let ca = Authority::new("clients");
    let list = ca.revoke(7, 2999);
    let serial = |serial: u64| {
        move |params: &mut CertificateParams| {
            params.serial_number = Some(SerialNumber::from(serial));
        }
    };
    let with = |list: &str| {
        let list = list.to_owned();
        move |server: ServerTls| server.revocations_pem(list)
    };
    assert!(shows_certificate(with(&list), &ca, serial(8)).await.is_ok());
    assert!(
        shows_certificate(with(&list), &ca, serial(7))
            .await
            .is_err()
    );
    // A list that is out of date says nothing of today, and so does one of another CA.
    assert!(
        shows_certificate(with(&ca.revoke(7, 2025)), &ca, serial(8))
            .await
            .is_err()
    );
    let foreign = Authority::new("foreign").revoke(7, 2999);
    assert!(
        shows_certificate(with(&foreign), &ca, serial(8))
            .await
            .is_err()
    );
    let no_list = ServerTls::new("", "").revocations_pem("nothing");
    assert!(matches!(
        no_list.client_ca_pem(ca.pem()).build(),
        Err(TlsError::Revocations(_))
    ));
}

#[tokio::test]
async fn the_time_of_client_certificates_can_be_ignored() {
    let ca = Authority::new("clients");
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    };
    let early = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2998, 1, 1);
        params.not_after = date_time_ymd(2999, 1, 1);
    };
    let strict = |server: ServerTls| server;
    assert!(shows_certificate(strict, &ca, expired).await.is_err());
    let lenient = ServerTls::ignore_client_validity;
    assert!(shows_certificate(lenient, &ca, expired).await.is_ok());
    assert!(shows_certificate(lenient, &ca, early).await.is_ok());
    // All other checks remain.
    let both = |server: ServerTls| {
        server
            .ignore_client_validity()
            .revocations_pem(ca.revoke(7, 2999))
    };
    let revoked = |params: &mut CertificateParams| {
        expired(params);
        params.serial_number = Some(SerialNumber::from(7));
    };
    assert!(shows_certificate(both, &ca, revoked).await.is_err());
}

#[tokio::test]
async fn a_certificate_tells_its_names() {
    let ca = Authority::new("clients");
    let named = |params: &mut CertificateParams| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        params
            .distinguished_name
            .push(DnType::CommonName, "device-7");
    };
    let stream = shows_certificate(|server| server, &ca, named).await;
    let Ok(Stream::Tls(session)) = stream else {
        panic!("{stream:?}")
    };
    assert_eq!(session.peer_common_name().as_deref(), Some("device-7"));
    assert_eq!(
        session.peer_distinguished_name().as_deref(),
        Some("CN=device-7,O=Example")
    );
}

#[tokio::test]
async fn versions_and_suites_can_be_chosen() {
    let ca = Authority::new("ca");
    let server = ca
        .server("localhost")
        .cipher_suites("AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256")
        .cipher_suites_tls_1_3("TLS_AES_128_GCM_SHA256")
        .tls_1_3_only()
        .build()
        .expect("valid");
    assert_eq!(server.missing_cipher_suites(), ["AES128-SHA"]);
    let (ours, _) = handshake("mqtts", &ClientTls::ca_pem(ca.pem()), &server).await;
    assert!(ours.is_ok());
    let nothing = ca
        .server("localhost")
        .cipher_suites("AES128-SHA")
        .tls_1_3_only();
    let nothing = nothing.cipher_suites_tls_1_3("TLS_AES_128_CCM_SHA256");
    assert!(matches!(nothing.build(), Err(TlsError::CipherSuites(_))));
}

#[tokio::test]
async fn keys_are_logged_on_demand() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("keys");
    let ca = Authority::new("ca");
    let log = Arc::new(KeyLogFile::open(&file).expect("writable"));
    let server = ca.server("localhost").dangerous_log_keys(log).build();
    let client = ClientTls::ca_pem(ca.pem());
    let (ours, theirs) = handshake("mqtts", &client, &server.expect("valid")).await;
    assert!(ours.is_ok() && theirs.is_ok());
    let keys = std::fs::read_to_string(file).expect("written");
    assert!(keys.contains("SERVER_TRAFFIC_SECRET_0 "), "{keys}");
}

#[tokio::test]
async fn a_certificate_of_another_host_passes_where_hosts_are_not_looked_at() {
    let ca = Authority::new("ca");
    let other = ca.server("elsewhere").build().expect("valid");
    let client = ClientTls::ca_pem(ca.pem()).dangerous_accept_any_host();
    let (ours, _) = handshake("mqtts", &client, &other).await;
    ours.expect("connected");
    // All the rest is.
    let strange = Authority::new("strange").server("localhost");
    let (ours, _) = handshake("mqtts", &client, &strange.build().expect("valid")).await;
    let error = ours.expect_err("nobody trusts that CA").to_string();
    assert!(error.contains("no trusted CA has signed it"), "{error}");
}

#[tokio::test]
async fn a_client_speaks_the_versions_and_suites_that_it_is_told() {
    let ca = Authority::new("ca");
    let client = || ClientTls::ca_pem(ca.pem());
    let only_1_3 = ca.server("localhost").tls_1_3_only();
    let old = ca
        .server("localhost")
        .cipher_suites("ECDHE-ECDSA-AES128-GCM-SHA256")
        .cipher_suites_tls_1_3("none");
    for (client, server, fits) in [
        (client().tls_1_3_only(), &only_1_3, true),
        (client().tls_1_3_only(), &old, false),
        (client(), &old, true),
        (
            client().cipher_suites("ECDHE-ECDSA-AES256-GCM-SHA384"),
            &old,
            false,
        ),
        (
            client().cipher_suites_tls_1_3("TLS_AES_128_GCM_SHA256"),
            &only_1_3,
            true,
        ),
    ] {
        let (ours, _) = handshake("mqtts", &client, &server.build().expect("valid")).await;
        assert_eq!(ours.is_ok(), fits, "{ours:?}");
    }
    let nothing = client()
        .cipher_suites("x")
        .cipher_suites_tls_1_3("y")
        .build();
    assert!(matches!(nothing, Err(TlsError::CipherSuites(_))));
}
