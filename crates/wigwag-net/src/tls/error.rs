//! What can be wrong with a description of TLS, with a certificate and with a handshake, in words.

use std::io;

use tokio_rustls::rustls::{self, AlertDescription};

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
    pub(super) fn new(error: rustls::CertificateError) -> CertificateError {
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

pub(super) fn identity_error(what: &'static str, error: &rustls::Error) -> TlsError {
    let reason = match error {
        rustls::Error::InconsistentKeys(_) => "its key belongs to another certificate".to_owned(),
        error => error.to_string(),
    };
    TlsError::Identity { what, reason }
}

pub(super) fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What a TLS error means to who operates the connection.
pub(super) fn explain(error: &rustls::Error) -> String {
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
