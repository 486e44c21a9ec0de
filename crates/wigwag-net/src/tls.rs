//! TLS on both sides: rustls with aws-lc-rs, versions 1.2 and 1.3, certificates and keys in PEM.
//!
//! [`ClientTls`] and [`ServerTls`] are descriptions; built, they are a [`Connector`] and an
//! [`Acceptor`], which `dial` and `accept` use. What failed in a handshake is put into words here.

mod subject;
mod suites;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime,
};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    self, AlertDescription, ClientConfig, DigitallySignedStruct, DistinguishedName, KeyLog,
    RootCertStore, ServerConfig, SignatureScheme, version,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::Stream;
use crate::accept::AcceptError;
use crate::dial::{DialError, Target};

/// How a client checks servers, and what it shows them.
#[derive(Clone, Default)]
pub struct ClientTls {
    native_roots: bool,
    ca_pem: Vec<Vec<u8>>,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    server_name: Option<String>,
    accept_any: bool,
}

/// A certificate chain and its key, in PEM.
#[derive(Clone)]
struct Identity {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

/// Why a description of TLS cannot be used. The culprit is who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A text without a certificate, or with one that cannot be read.
    #[error("the {what} holds no certificate in PEM: {reason}")]
    Certificate {
        /// Which text.
        what: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// A text without a private key.
    #[error("the {what} holds no unencrypted private key in PEM: {reason}")]
    Key {
        /// Which text.
        what: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// Certificate and key are not used together.
    #[error("the {what} cannot be used: {reason}")]
    Identity {
        /// Whose certificate.
        what: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// No certificate of the system can be read.
    #[error("the system has no trusted CA certificates: {0}; give the CA's own")]
    NativeRoots(String),
    /// Neither the system's nor any other CA is trusted.
    #[error("no CA is trusted; give the CA's certificate or trust those of the system")]
    NoRoots,
    /// No DNS name or IP address.
    #[error("'{0}' is not a DNS name or an IP address to look for in certificates")]
    ServerName(String),
    /// A text without a list of revoked certificates, or with one that cannot be read.
    #[error("the list of revoked certificates cannot be read: {0}")]
    Revocations(String),
    /// None of the cipher suites that were asked for is there.
    #[error("none of the cipher suites '{0}' is available")]
    CipherSuites(String),
    /// ALPN names have a byte for their length.
    #[error("the ALPN protocol '{0}' has not 1 to 255 bytes")]
    Alpn(String),
}

impl ClientTls {
    /// Trusts the CAs that the system trusts. They are read once per process; `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name others.
    pub fn native_roots() -> ClientTls {
        ClientTls {
            native_roots: true,
            ..ClientTls::default()
        }
    }

    /// Trusts these CAs only: one or more certificates in PEM.
    pub fn ca_pem(pem: impl Into<Vec<u8>>) -> ClientTls {
        ClientTls::default().add_ca_pem(pem)
    }

    /// Trusts these CAs too.
    #[must_use]
    pub fn add_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> ClientTls {
        self.ca_pem.push(pem.into());
        self
    }

    /// Shows a certificate to servers that ask for one: the chain in PEM, the client's own first, and its
    /// unencrypted key in PEM (PKCS #8, PKCS #1 or SEC 1).
    #[must_use]
    pub fn client_certificate_pem(
        mut self,
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> ClientTls {
        self.identity = Some(Identity {
            certificates: certificates.into(),
            key: key.into(),
        });
        self
    }

    /// Offers an application protocol (ALPN), the preferred one first. The default offers none. Servers
    /// that know ALPN and none of these refuse the handshake.
    #[must_use]
    pub fn alpn(mut self, protocol: impl Into<Vec<u8>>) -> ClientTls {
        self.alpn.push(protocol.into());
        self
    }

    /// Looks for this DNS name or IP address in the server's certificate, and asks for it (SNI), in place
    /// of the host in the address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> ClientTls {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts **any** certificate: expired, self-signed, of another host. Whoever sits between client and
    /// server can read and change everything, passwords included. Each connection logs a warning.
    #[must_use]
    pub fn dangerous_accept_any_certificate(mut self) -> ClientTls {
        self.accept_any = true;
        self
    }

    /// Reads and checks everything that has been given. Reads the system's certificates, if they are
    /// trusted.
    pub fn build(&self) -> Result<Connector, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has the suites of TLS 1.2 and 1.3");
        let builder = if self.accept_any {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let what = "client certificate";
                let chain = certificates(what, &identity.certificates)?;
                let key = private_key("client's key", &identity.key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| identity_error(what, &error))?
            }
        };
        config.alpn_protocols = checked_alpn(&self.alpn)?;
        let server_name = match &self.server_name {
            None => None,
            Some(name) => Some(
                ServerName::try_from(name.clone())
                    .map_err(|_| TlsError::ServerName(name.clone()))?,
            ),
        };
        Ok(Connector {
            inner: TlsConnector::from(Arc::new(config)),
            server_name,
            accept_any: self.accept_any,
        })
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        if self.native_roots && self.ca_pem.is_empty() {
            return native_roots();
        }
        let mut roots = RootCertStore::empty();
        if self.native_roots {
            roots.extend(native_roots()?.roots.iter().cloned());
        }
        add_cas(&mut roots, &self.ca_pem)?;
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        Ok(Arc::new(roots))
    }
}

/// Without keys.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("native_roots", &self.native_roots)
            .field("server_name", &self.server_name)
            .field("accept_any", &self.accept_any)
            .finish_non_exhaustive()
    }
}

/// What the system trusts. Hundreds of files and 150 KiB: all clients of a process share them.
fn native_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems carry old certificates that cannot be parsed any more; the others are as good as before.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if errors.is_empty() {
            "none were found".to_owned()
        } else {
            errors.join("; ")
        };
        return Err(TlsError::NativeRoots(reason));
    }
    Ok(ROOTS.get_or_init(|| Arc::new(roots)).clone())
}

fn add_cas(roots: &mut RootCertStore, pems: &[Vec<u8>]) -> Result<(), TlsError> {
    let what = "CA certificate";
    for pem in pems {
        for certificate in certificates(what, pem)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Certificate {
                    what,
                    reason: error.to_string(),
                })?;
        }
    }
    Ok(())
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::Certificate { what, reason };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is no BEGIN CERTIFICATE".to_owned()));
    }
    Ok(found)
}

fn private_key(what: &'static str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| TlsError::Key {
        what,
        reason: error.to_string(),
    })
}

fn identity_error(what: &'static str, error: &rustls::Error) -> TlsError {
    let reason = match error {
        rustls::Error::InconsistentKeys(_) => "its key belongs to another certificate".to_owned(),
        error => error.to_string(),
    };
    TlsError::Identity { what, reason }
}

fn checked_alpn(protocols: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TlsError> {
    match protocols
        .iter()
        .find(|name| !(1..=255).contains(&name.len()))
    {
        Some(wrong) => Err(TlsError::Alpn(String::from_utf8_lossy(wrong).into_owned())),
        None => Ok(protocols.to_vec()),
    }
}

/// The client's part, ready for any number of connections. Clones share everything.
#[derive(Clone)]
pub struct Connector {
    inner: TlsConnector,
    server_name: Option<ServerName<'static>>,
    accept_any: bool,
}

impl Connector {
    pub(crate) async fn connect(
        &self,
        target: &Target,
        carrier: Stream,
    ) -> Result<Stream, DialError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(target.host().to_owned()).map_err(|_| DialError::Tls {
                target: target.clone(),
                reason: "the host is not a name that a certificate can have".to_owned(),
            })?,
        };
        if self.accept_any {
            tracing::warn!(%target, "DANGEROUS: the server's certificate is not checked");
        }
        match self.inner.connect(name, carrier).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(Session(TlsStream::Client(stream))))),
            Err(error) => Err(dial_error(target, error)),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Signed by a CA that is not trusted.
    #[error("no trusted CA has signed it")]
    UnknownIssuer,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet; is the clock right?")]
    NotValidYet,
    /// Made for other names.
    #[error("it is not valid for '{name}', only for {}", .presented.join(", "))]
    Name {
        /// The name looked for.
        name: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// Taken back by its CA.
    #[error("it has been revoked")]
    Revoked,
    /// Made for something else than a server.
    #[error("it is not made for a TLS server")]
    Purpose,
    /// Any other check.
    #[error("{0}")]
    Other(String),
}

impl CertificateError {
    fn new(error: rustls::CertificateError) -> CertificateError {
        use rustls::CertificateError as Found;
        match error {
            Found::UnknownIssuer => CertificateError::UnknownIssuer,
            Found::Expired | Found::ExpiredContext { .. } => CertificateError::Expired,
            Found::NotValidYet | Found::NotValidYetContext { .. } => CertificateError::NotValidYet,
            Found::NotValidForNameContext {
                expected,
                presented,
            } => CertificateError::Name {
                name: expected.to_str().into_owned(),
                presented: presented.iter().map(|name| bare_name(name)).collect(),
            },
            Found::Revoked => CertificateError::Revoked,
            Found::InvalidPurpose | Found::InvalidPurposeContext { .. } => {
                CertificateError::Purpose
            }
            error => CertificateError::Other(error.to_string()),
        }
    }
}

/// The library shows names as `DnsName("a.example")`.
fn bare_name(shown: &str) -> String {
    let inside = shown.split_once('(').map_or(shown, |(_, rest)| rest);
    inside.trim_end_matches(')').trim_matches('"').to_owned()
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn dial_error(target: &Target, error: io::Error) -> DialError {
    let target = target.clone();
    match rustls_error(&error) {
        Some(rustls::Error::InvalidCertificate(check)) => DialError::Certificate {
            target,
            check: CertificateError::new(check.clone()),
        },
        Some(error) => DialError::Tls {
            target,
            reason: explain(error),
        },
        None if error.kind() == io::ErrorKind::UnexpectedEof => DialError::Tls {
            target,
            reason: "the server closed the connection; is this its port for TLS?".to_owned(),
        },
        None => DialError::Connect {
            target,
            source: error,
        },
    }
}

/// What a TLS error means to who operates the connection.
fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the peer demands a client certificate".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::UnknownCA) => {
            "the peer does not trust the CA of our certificate".to_owned()
        }
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => "the peer does not accept our certificate".to_owned(),
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the peer says that our certificate has expired".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the peer speaks none of our ALPN protocols".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the peer refuses the handshake: no cipher suite in common, or it demands a client \
             certificate"
                .to_owned()
        }
        rustls::Error::NoCertificatesPresented => "the peer showed no certificate".to_owned(),
        rustls::Error::InvalidMessage(_) => {
            "the peer does not speak TLS; is this its port for TLS?".to_owned()
        }
        error => error.to_string(),
    }
}

/// Checks nothing but that the server has the key of the certificate that it shows.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a server shows its clients, and what it asks of them.
#[derive(Clone)]
pub struct ServerTls {
    identity: Identity,
    client_ca_pem: Vec<Vec<u8>>,
    revocations_pem: Vec<Vec<u8>>,
    client_certificate_required: bool,
    client_validity_ignored: bool,
    tls_1_3_only: bool,
    cipher_suites: Option<String>,
    cipher_suites_tls_1_3: Option<String>,
    key_log: Option<Arc<KeyLogFile>>,
    alpn: Vec<Vec<u8>>,
}

impl ServerTls {
    /// Shows this certificate: the chain in PEM, the server's own first, and its unencrypted key in PEM.
    pub fn new(certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> ServerTls {
        ServerTls {
            identity: Identity {
                certificates: certificates.into(),
                key: key.into(),
            },
            client_ca_pem: Vec::new(),
            revocations_pem: Vec::new(),
            client_certificate_required: false,
            client_validity_ignored: false,
            tls_1_3_only: false,
            cipher_suites: None,
            cipher_suites_tls_1_3: None,
            key_log: None,
            alpn: Vec::new(),
        }
    }

    /// Asks clients for a certificate that one of these CAs has signed. A client may come without one,
    /// unless [`ServerTls::require_client_certificate`] says otherwise.
    #[must_use]
    pub fn client_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> ServerTls {
        self.client_ca_pem.push(pem.into());
        self
    }

    /// Refuses clients without a certificate.
    #[must_use]
    pub fn require_client_certificate(mut self) -> ServerTls {
        self.client_certificate_required = true;
        self
    }

    /// Refuses client certificates in these lists (CRLs in PEM). With any, the CA of each client's
    /// certificate needs one that has not expired.
    #[must_use]
    pub fn revocations_pem(mut self, pem: impl Into<Vec<u8>>) -> ServerTls {
        self.revocations_pem.push(pem.into());
        self
    }

    /// Accepts client certificates outside of their time of validity: for devices whose certificates
    /// cannot be renewed.
    #[must_use]
    pub fn ignore_client_validity(mut self) -> ServerTls {
        self.client_validity_ignored = true;
        self
    }

    /// Speaks TLS 1.3 only.
    #[must_use]
    pub fn tls_1_3_only(mut self) -> ServerTls {
        self.tls_1_3_only = true;
        self
    }

    /// Speaks these cipher suites of TLS 1.2 only: a list of OpenSSL's names, separated by colons. What
    /// there is not is in [`Acceptor::missing_cipher_suites`].
    #[must_use]
    pub fn cipher_suites(mut self, list: impl Into<String>) -> ServerTls {
        self.cipher_suites = Some(list.into());
        self
    }

    /// The same for TLS 1.3.
    #[must_use]
    pub fn cipher_suites_tls_1_3(mut self, list: impl Into<String>) -> ServerTls {
        self.cipher_suites_tls_1_3 = Some(list.into());
        self
    }

    /// Writes the keys of every connection to a file: who has it can read everything.
    #[must_use]
    pub fn dangerous_log_keys(mut self, file: Arc<KeyLogFile>) -> ServerTls {
        self.key_log = Some(file);
        self
    }

    /// Speaks this application protocol (ALPN), the preferred one first. With any, a client that offers
    /// others only is refused; one that offers none is welcome.
    #[must_use]
    pub fn alpn(mut self, protocol: impl Into<Vec<u8>>) -> ServerTls {
        self.alpn.push(protocol.into());
        self
    }

    /// Reads and checks everything that has been given.
    pub fn build(&self) -> Result<Acceptor, TlsError> {
        let what = "server certificate";
        let (provider, missing) = self.provider()?;
        let versions: &[_] = if self.tls_1_3_only {
            &[&version::TLS13]
        } else {
            &[&version::TLS13, &version::TLS12]
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|_| TlsError::CipherSuites(self.named_suites()))?;
        let builder = match self.client_verifier(provider)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let chain = certificates(what, &self.identity.certificates)?;
        let key = private_key("server's key", &self.identity.key)?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| identity_error(what, &error))?;
        config.alpn_protocols = checked_alpn(&self.alpn)?;
        if let Some(file) = &self.key_log {
            config.key_log = file.clone();
        }
        Ok(Acceptor {
            inner: TlsAcceptor::from(Arc::new(config)),
            missing_suites: missing.into(),
        })
    }

    /// The arithmetic, with the suites that have been asked for, and the names that there are not.
    fn provider(&self) -> Result<(Arc<CryptoProvider>, Vec<String>), TlsError> {
        let tls_1_3 = suites::tls_1_3(self.cipher_suites_tls_1_3.as_deref());
        let tls_1_2 = suites::tls_1_2(self.cipher_suites.as_deref());
        let cipher_suites = [tls_1_3.suites, tls_1_2.suites].concat();
        if cipher_suites.is_empty() {
            return Err(TlsError::CipherSuites(self.named_suites()));
        }
        let provider = CryptoProvider {
            cipher_suites,
            ..aws_lc_rs::default_provider()
        };
        let missing = [tls_1_3.missing, tls_1_2.missing].concat();
        Ok((Arc::new(provider), missing))
    }

    fn named_suites(&self) -> String {
        let lists = [&self.cipher_suites, &self.cipher_suites_tls_1_3];
        let lists: Vec<&str> = lists.into_iter().flatten().map(String::as_str).collect();
        lists.join(":")
    }

    fn client_verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let mut roots = RootCertStore::empty();
        add_cas(&mut roots, &self.client_ca_pem)?;
        if roots.is_empty() {
            return match self.client_certificate_required {
                true => Err(TlsError::NoRoots),
                false => Ok(None),
            };
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if !self.client_certificate_required {
            builder = builder.allow_unauthenticated();
        }
        if !self.revocations_pem.is_empty() {
            builder = builder
                .with_crls(revocations(&self.revocations_pem)?)
                .only_check_end_entity_revocation()
                .enforce_revocation_expiration();
        }
        let verifier = builder.build().map_err(|error| TlsError::Certificate {
            what: "CA certificate",
            reason: error.to_string(),
        })?;
        Ok(Some(if self.client_validity_ignored {
            Arc::new(IgnoreValidity(verifier))
        } else {
            verifier
        }))
    }
}

fn revocations(pems: &[Vec<u8>]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut lists = Vec::new();
    for pem in pems {
        let before = lists.len();
        for list in CertificateRevocationListDer::pem_slice_iter(pem) {
            lists.push(list.map_err(|error| TlsError::Revocations(error.to_string()))?);
        }
        if lists.len() == before {
            return Err(TlsError::Revocations(
                "there is no BEGIN X509 CRL".to_owned(),
            ));
        }
    }
    Ok(lists)
}

/// Checks everything but the time.
#[derive(Debug)]
struct IgnoreValidity(Arc<dyn ClientCertVerifier>);

/// Certificates in a chain, each of which may have its own idea of time.
const VALIDITIES_MAX: usize = 8;

impl ClientCertVerifier for IgnoreValidity {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        use rustls::CertificateError::{ExpiredContext, NotValidYetContext};
        let mut time = now;
        for _ in 0..VALIDITIES_MAX {
            let found = self.0.verify_client_cert(end_entity, intermediates, time);
            // Asked again at a time at which the certificate was valid, all other checks remain.
            time = match found {
                Err(rustls::Error::InvalidCertificate(ExpiredContext { not_after, .. })) => {
                    not_after
                }
                Err(rustls::Error::InvalidCertificate(NotValidYetContext {
                    not_before, ..
                })) => not_before,
                found => return found,
            };
        }
        self.0.verify_client_cert(end_entity, intermediates, time)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// A file with the keys of connections, in the form that Wireshark reads.
#[derive(Debug)]
pub struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Opens a file, to which lines are added.
    pub fn open(path: &Path) -> io::Result<KeyLogFile> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(KeyLogFile(Mutex::new(options.open(path)?)))
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hexadecimal =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let (client_random, secret) = (hexadecimal(client_random), hexadecimal(secret));
        let line = format!("{label} {client_random} {secret}\n");
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Connections are more important than their being looked into.
        let _ = file.write_all(line.as_bytes());
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// The server's part, ready for any number of connections. Clones share everything.
#[derive(Clone)]
pub struct Acceptor {
    inner: TlsAcceptor,
    missing_suites: Arc<[String]>,
}

impl Acceptor {
    /// The cipher suites that have been asked for and that there are not.
    pub fn missing_cipher_suites(&self) -> &[String] {
        &self.missing_suites
    }

    pub(crate) async fn accept(&self, carrier: Stream) -> Result<Stream, AcceptError> {
        match self.inner.accept(carrier).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(Session(TlsStream::Server(stream))))),
            Err(error) => Err(match rustls_error(&error) {
                Some(error) => AcceptError::Tls(explain(error)),
                None => AcceptError::Io(error),
            }),
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

/// A TLS connection after its handshake.
#[derive(Debug)]
pub struct Session(TlsStream<Stream>);

impl Session {
    /// What the records travel over.
    pub(crate) fn carrier(&self) -> &Stream {
        self.0.get_ref().0
    }

    /// The peer's certificates in DER, its own first; none if it has shown none.
    pub fn peer_certificates(&self) -> impl Iterator<Item = &[u8]> {
        let certificates = self.0.get_ref().1.peer_certificates();
        certificates.into_iter().flatten().map(AsRef::as_ref)
    }

    /// The Common Name in the subject of the peer's certificate.
    pub fn peer_common_name(&self) -> Option<String> {
        subject::common_name(self.peer_certificates().next()?)
    }

    /// The whole subject of the peer's certificate, as RFC 2253 writes it: `CN=…,OU=…,O=…`.
    pub fn peer_distinguished_name(&self) -> Option<String> {
        subject::distinguished_name(self.peer_certificates().next()?)
    }

    /// The application protocol (ALPN) that both have agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.get_ref().1.alpn_protocol()
    }
}

/// What a peer has against us, it may say after the handshake only: a TLS 1.3 client learns that its
/// certificate is not accepted when it reads for the first time.
fn in_words(error: io::Error) -> io::Error {
    match rustls_error(&error) {
        Some(found) => io::Error::new(error.kind(), explain(found)),
        None => error,
    }
}

impl AsyncRead for Session {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.get_mut().0).poll_read(cx, buf)) {
            // No farewell. Packets have their own lengths, so nobody can cut one short unseen.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            result => Poll::Ready(result.map_err(in_words)),
        }
    }
}

impl AsyncWrite for Session {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0)
            .poll_write(cx, buf)
            .map_err(in_words)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0)
            .poll_write_vectored(cx, bufs)
            .map_err(in_words)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0)
            .poll_flush(cx)
            .map_err(in_words)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0)
            .poll_shutdown(cx)
            .map_err(in_words)
    }
}
