//! The server's part: what it shows its clients, what it asks of them, and the handshake.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, version};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::error::{TlsError, explain, identity_error, rustls_error};
use super::key_log::KeyLogFile;
use super::pem::{Identity, add_cas, certificates, private_key, revocations};
use super::session::Session;
use super::validity::not_after;
use super::verifiers::IgnoreValidity;
use super::{checked_alpn, suites};
use crate::Stream;
use crate::accept::AcceptError;

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
        let ends = chain.iter();
        let not_after = ends.filter_map(|certificate| not_after(certificate)).min();
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
            not_after,
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
    not_after: Option<SystemTime>,
}

impl Acceptor {
    /// The cipher suites that have been asked for and that there are not.
    pub fn missing_cipher_suites(&self) -> &[String] {
        &self.missing_suites
    }

    /// The last second of the server's certificate, or of the one among those it is shown with that expires
    /// first.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.not_after
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
