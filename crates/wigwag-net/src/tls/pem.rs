//! From PEM to certificates, keys and lists of revoked certificates, with what is wrong with them.

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
};

use super::error::TlsError;

/// A certificate chain and its key, in PEM.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certificates: Vec<u8>,
    pub(super) key: Vec<u8>,
}

pub(super) fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason: String| TlsError::Certificate { what, reason };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is no BEGIN CERTIFICATE".to_owned()));
    }
    Ok(found)
}

pub(super) fn private_key(
    what: &'static str,
    pem: &[u8],
) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| TlsError::Key {
        what,
        reason: error.to_string(),
    })
}

pub(super) fn add_cas(roots: &mut RootCertStore, pems: &[Vec<u8>]) -> Result<(), TlsError> {
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

pub(super) fn revocations(
    pems: &[Vec<u8>],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
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
