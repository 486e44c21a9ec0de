//! The client's part: whom it trusts, what it shows, and the handshake.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, version};
use tokio_rustls::{TlsConnector, TlsStream};

use super::checked_alpn;
use super::error::{CertificateError, TlsError, explain, identity_error, rustls_error};
use super::key_log::KeyLogFile;
use super::pem::{Identity, add_cas, certificates, private_key};
use super::session::Session;
use super::suites;
use super::verifiers::{AcceptAny, IgnoreHost};
use crate::Stream;
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
    accept_any_host: bool,
    tls_1_3_only: bool,
    cipher_suites: Option<String>,
    cipher_suites_tls_1_3: Option<String>,
    key_log: Option<Arc<KeyLogFile>>,
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

    /// Accepts a certificate of **any host**, if it is valid otherwise and a trusted CA has signed it. Whoever
    /// has such a certificate can pretend to be the server.
    #[must_use]
    pub fn dangerous_accept_any_host(mut self) -> ClientTls {
        self.accept_any_host = true;
        self
    }

    /// Writes the keys of connections to a file: whoever reads it reads the connections too, afterwards as well.
    #[must_use]
    pub fn dangerous_log_keys(mut self, file: Arc<KeyLogFile>) -> ClientTls {
        self.key_log = Some(file);
        self
    }

    /// Speaks TLS 1.3 only.
    #[must_use]
    pub fn tls_1_3_only(mut self) -> ClientTls {
        self.tls_1_3_only = true;
        self
    }

    /// Speaks these cipher suites of TLS 1.2 only: a list of OpenSSL's names, separated by colons. Those that
    /// there are not are passed over, as long as one remains.
    #[must_use]
    pub fn cipher_suites(mut self, list: impl Into<String>) -> ClientTls {
        self.cipher_suites = Some(list.into());
        self
    }

    /// The same for TLS 1.3.
    #[must_use]
    pub fn cipher_suites_tls_1_3(mut self, list: impl Into<String>) -> ClientTls {
        self.cipher_suites_tls_1_3 = Some(list.into());
        self
    }

    /// Reads and checks everything that has been given. Reads the system's certificates, if they are
    /// trusted.
    pub fn build(&self) -> Result<Connector, TlsError> {
        let provider = self.provider()?;
        let versions: &[_] = if self.tls_1_3_only {
            &[&version::TLS13]
        } else {
            &[&version::TLS13, &version::TLS12]
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|_| TlsError::CipherSuites(self.named_suites()))?;
        let builder = if self.accept_any {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else if self.accept_any_host {
            let verifier = WebPkiServerVerifier::builder_with_provider(self.roots()?, provider);
            let verifier = verifier.build().map_err(|error| TlsError::Certificate {
                what: "CA certificate",
                reason: error.to_string(),
            })?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(IgnoreHost(verifier)))
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
        if let Some(file) = &self.key_log {
            config.key_log = file.clone();
        }
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

    /// The arithmetic, with the suites that have been asked for.
    fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        let tls_1_3 = suites::tls_1_3(self.cipher_suites_tls_1_3.as_deref());
        let tls_1_2 = suites::tls_1_2(self.cipher_suites.as_deref());
        let cipher_suites = [tls_1_3.suites, tls_1_2.suites].concat();
        if cipher_suites.is_empty() {
            return Err(TlsError::CipherSuites(self.named_suites()));
        }
        Ok(Arc::new(CryptoProvider {
            cipher_suites,
            ..aws_lc_rs::default_provider()
        }))
    }

    fn named_suites(&self) -> String {
        let lists = [&self.cipher_suites, &self.cipher_suites_tls_1_3];
        let lists: Vec<&str> = lists.into_iter().flatten().map(String::as_str).collect();
        lists.join(":")
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

/// The client's part, ready for any number of connections. Clones share everything.
#[derive(Clone)]
pub struct Connector {
    inner: TlsConnector,
    server_name: Option<ServerName<'static>>,
    accept_any: bool,
}

impl Connector {
    /// What it was built to, for programs that drive sessions of [`rustls`] themselves instead of dialling.
    pub fn config(&self) -> &Arc<ClientConfig> {
        self.inner.config()
    }

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
