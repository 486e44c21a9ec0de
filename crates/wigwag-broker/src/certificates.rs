//! The files of a listener's TLS: reads them, and says which of them cannot be used.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wigwag_net::tls::{Acceptor, KeyLogFile, ServerTls, TlsError};

use crate::conf::config::{CertificateName, LogType, Tls, TlsVersion};
use crate::logging::Log;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("Unable to load {what} \"{path}\". Check {option}", path = path.display())]
    Read {
        /// What it is.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// Which option names it.
        option: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The files can be read and do not make a TLS server.
    #[error("TLS with certfile \"{certfile}\" cannot be used", certfile = certfile.display())]
    Use {
        /// The certificate.
        certfile: PathBuf,
        /// What is wrong.
        source: TlsError,
    },
}

/// Makes the server's part of TLS from the files that a listener names.
pub(crate) fn load(
    tls: &Tls,
    key_log: Option<&Arc<KeyLogFile>>,
    log: &Log,
) -> Result<Acceptor, CertificateError> {
    let certificates = read("server certificate", &tls.certfile, "certfile")?;
    let key = read("server key file", &tls.keyfile, "keyfile")?;
    let mut server = ServerTls::new(certificates, key);
    // Who is not asked for a certificate shows none, so none of a foreign CA is in the way.
    if tls.require_certificate || tls.username != CertificateName::None {
        server = trust_clients(server, tls)?;
    } else if let Some(path) = &tls.cafile {
        // A name that is wrong is a mistake all the same.
        read("CA certificates", path, "cafile")?;
    }
    if tls.require_certificate {
        server = server.require_client_certificate();
    }
    if tls.disable_client_cert_date_checks {
        server = server.ignore_client_validity();
    }
    if tls.tls_version == TlsVersion::From1_3 {
        server = server.tls_1_3_only();
    }
    if let Some(list) = &tls.ciphers {
        server = server.cipher_suites(list);
    }
    if let Some(list) = &tls.ciphers_tls13 {
        server = server.cipher_suites_tls_1_3(list);
    }
    if let Some(file) = key_log {
        server = server.dangerous_log_keys(Arc::clone(file));
    }
    let acceptor = server.build().map_err(|source| CertificateError::Use {
        certfile: tls.certfile.clone(),
        source,
    })?;
    let missing = acceptor.missing_cipher_suites();
    if !missing.is_empty() {
        let missing = missing.join(":");
        log.write(
            LogType::Warning,
            format_args!(
                "Warning: There are no cipher suites {missing}; clients that speak no others cannot connect."
            ),
        );
    }
    Ok(acceptor)
}

/// Asks for certificates of these CAs.
fn trust_clients(mut server: ServerTls, tls: &Tls) -> Result<ServerTls, CertificateError> {
    if let Some(path) = &tls.cafile {
        server = server.client_ca_pem(read("CA certificates", path, "cafile")?);
    }
    if let Some(folder) = &tls.capath {
        let found = certificates_in(folder).map_err(|source| CertificateError::Read {
            what: "CA certificates",
            path: folder.clone(),
            option: "capath",
            source,
        });
        for pem in found? {
            server = server.client_ca_pem(pem);
        }
    }
    if let Some(path) = &tls.crlfile {
        server = server.revocations_pem(read("certificate revocation file", path, "crlfile")?);
    }
    Ok(server)
}

fn read(
    what: &'static str,
    path: &Path,
    option: &'static str,
) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read {
        what,
        path: path.to_owned(),
        option,
        source,
    })
}

/// Everything in a folder that looks like a certificate; such folders hold other things too.
pub(crate) fn certificates_in(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let files = paths.iter().filter(|path| path.is_file());
    let found: Vec<Vec<u8>> = files
        .filter_map(|path| fs::read(path).ok())
        .filter(|pem| is_certificate(pem))
        .collect();
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "there is no certificate in it",
        ));
    }
    Ok(found)
}

fn is_certificate(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(BEGIN.len()).any(|window| window == BEGIN)
}
