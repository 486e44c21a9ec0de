//! TLS on both sides: rustls with aws-lc-rs, versions 1.2 and 1.3, certificates and keys in PEM.
//!
//! [`ClientTls`] and [`ServerTls`] are descriptions; built, they are a [`Connector`] and an
//! [`Acceptor`], which `dial` and `accept` use.

mod client;
mod server;
mod session;

mod error;
mod key_log;
mod pem;
mod subject;
mod suites;
mod validity;
mod verifiers;

pub use client::{ClientTls, Connector};
pub use error::{CertificateError, TlsError};
pub use key_log::KeyLogFile;
pub use server::{Acceptor, ServerTls};
pub use session::Session;
/// The library that does it, in the version that is used here.
pub use tokio_rustls::rustls;

/// The names of protocols, if they can be sent.
fn checked_alpn(protocols: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, TlsError> {
    match protocols
        .iter()
        .find(|name| !(1..=255).contains(&name.len()))
    {
        Some(wrong) => Err(TlsError::Alpn(String::from_utf8_lossy(wrong).into_owned())),
        None => Ok(protocols.to_vec()),
    }
}
