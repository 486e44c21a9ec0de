//! One attempt: an HTTP request over a connection of its own, with TLS where the address says so.
//!
//! Alarms are rare, so nothing is kept open between them. Redirects are not followed: an address that is secret would be
//! told to somebody else.

use std::ffi::OsStr;
use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::super::secret::Source;
use super::WebSink;

/// How much of an answer is read, to say why something was refused.
const ANSWER_LEN_MAX: usize = 4_096;

/// How much of that is told.
const TOLD_LEN_MAX: usize = 200;

const AGENT: &str = concat!("wigwag/", env!("CARGO_PKG_VERSION"));

/// Why a notice has not arrived.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) text: String,
    /// Another attempt would end like this one.
    pub(super) is_final: bool,
    /// How long the server wants to be left alone.
    pub(super) asked: Option<Duration>,
}

impl Failure {
    pub(super) const fn retry(text: String) -> Failure {
        Failure {
            text,
            is_final: false,
            asked: None,
        }
    }
}

/// Which authorities are trusted. Those of the system are read when they are needed first.
#[derive(Clone)]
pub(in crate::alert) struct Trust(Arc<OnceLock<TlsConnector>>);

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

/// Those of a file, or those of the system.
pub(in crate::alert) fn trust(ca: Option<&OsStr>) -> anyhow::Result<Trust> {
    let trust = OnceLock::new();
    if let Some(file) = ca.filter(|file| !file.is_empty()) {
        let shown = file.display();
        let pem = fs::read(file).with_context(|| format!("cannot read {shown}"))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| anyhow::anyhow!("{shown}: {error}"))?;
            roots
                .add(certificate)
                .with_context(|| format!("a certificate in {shown}"))?;
        }
        ensure!(
            !roots.is_empty(),
            "there is no certificate in {shown}; PEM is expected"
        );
        let connector = connector(roots)?;
        trust.get_or_init(|| connector);
    }
    Ok(Trust(Arc::new(trust)))
}

/// What an address says.
#[derive(Debug)]
struct Address {
    host: String,
    port: u16,
    is_tls: bool,
    path: String,
    /// For the Host header.
    authority: String,
}

/// Whether this can be an address.
pub(in crate::alert) fn check(address: &str) -> anyhow::Result<()> {
    parse(address).map(drop)
}

fn parse(address: &str) -> anyhow::Result<Address> {
    // What is wrong is said without the address: it may be a secret.
    let uri: Uri = address.parse().context("it is no address")?;
    let is_tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => bail!("it has to begin with http:// or https://"),
    };
    let host = uri.host().context("it names no host")?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    ensure!(
        !authority.contains('@'),
        "a user and a password are not sent; use --webhook-auth"
    );
    Ok(Address {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        is_tls,
        path: uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned(),
        authority: authority.to_owned(),
    })
}

/// Sends a body. Whoever takes it says so with a status of 2xx.
///
/// Dropping the future closes the connection; whether the body has arrived is not known then.
pub(super) async fn post(sink: &WebSink, body: String) -> Result<(), Failure> {
    // A file that is being written, or a variable of which we were promised it would be there.
    let unreadable = |error: anyhow::Error| Failure::retry(format!("{error:#}"));
    let address = sink
        .source
        .read()
        .and_then(|text| parse(&text))
        .map_err(unreadable)?;
    let auth = sink
        .auth
        .as_ref()
        .map(Source::read)
        .transpose()
        .map_err(unreadable)?;
    let request = request(&address, auth, body).map_err(unreadable)?;
    let response = send(sink, &address, request).await.map_err(unreadable)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let asked = asked(response.headers());
    let is_passing = status.is_server_error()
        || [
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::TOO_EARLY,
            StatusCode::TOO_MANY_REQUESTS,
        ]
        .contains(&status);
    Err(Failure {
        text: format!("the answer was {status}{}", said(response).await),
        is_final: !is_passing,
        asked,
    })
}

fn request(
    address: &Address,
    auth: Option<String>,
    body: String,
) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut request = Request::post(&address.path)
        .header(HOST, &address.authority)
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json");
    if let Some(auth) = auth {
        let mut value = HeaderValue::try_from(auth).map_err(|_| {
            anyhow::anyhow!("the Authorization header has characters that no header may have")
        })?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    Ok(request.body(Full::new(body.into()))?)
}

async fn send(
    sink: &WebSink,
    address: &Address,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Incoming>> {
    let (host, port) = (&*address.host, address.port);
    let stream = TcpStream::connect((host, port));
    let stream = stream
        .await
        .with_context(|| format!("cannot connect to {host}:{port}"))?;
    if !address.is_tls {
        return exchange(stream, request).await;
    }
    let name = ServerName::try_from(host.to_owned()).context("no certificate has such a name")?;
    let connector = sink.tls.connector()?;
    let stream = connector.connect(name, stream);
    exchange(
        stream
            .await
            .with_context(|| format!("no TLS with {host}:{port}"))?,
        request,
    )
    .await
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its sender and the answer.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// Seconds: nobody who limits rates sends a date.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let secs = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(secs))
}

/// The beginning of the answer, which mostly says why.
async fn said(response: Response<Incoming>) -> String {
    let body = Limited::new(response.into_body(), ANSWER_LEN_MAX)
        .collect()
        .await;
    let Ok(body) = body else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let text: String = (text.trim().chars())
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TOLD_LEN_MAX)
        .collect();
    match &*text {
        "" => text,
        text => format!(": {text}"),
    }
}

impl Trust {
    fn connector(&self) -> anyhow::Result<TlsConnector> {
        if let Some(connector) = self.0.get() {
            return Ok(connector.clone());
        }
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        ensure!(
            !roots.is_empty(),
            "this system trusts no authority; name those to be trusted with --webhook-ca"
        );
        let connector = connector(roots)?;
        Ok(self.0.get_or_init(|| connector).clone())
    }
}

fn connector(roots: RootCertStore) -> anyhow::Result<TlsConnector> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let check = |text: &str, host: &str, port: u16, path: &str| {
            let address = parse(text).expect(text);
            assert_eq!(
                (&*address.host, address.port, &*address.path),
                (host, port, path)
            );
        };
        check("http://h", "h", 80, "/");
        check("https://h/a?b=c", "h", 443, "/a?b=c");
        check("https://[::1]:8443/x", "::1", 8443, "/x");
        for wrong in ["", "h", "/x", "ftp://h/", "http://u:p@h/", "https://"] {
            let error = parse(wrong).expect_err(wrong);
            assert!(!format!("{error:#}").contains("u:p"));
        }
    }
}
