//! What the broker serves over HTTP: metrics, health, and Mosquitto's read-only API.
//!
//! The only place that knows axum and hyper. It runs beside the shards on the observer's thread, takes a
//! bounded number of connections, and gives each of them a bounded time for its headers and for its requests.

mod files;
mod open;
mod pages;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::access::AccessDesk;
use crate::observer::Observer;

pub(crate) use open::{ClosedHttp, HttpKeeper, OpenHttp};
pub(crate) use pages::{About, ListenerNotice};

/// Connections of one listener at the same time; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// How long a client may take to send a request's headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection may last, whatever it does.
const CONNECTION_LASTS: Duration = Duration::from_secs(300);

/// Bytes of a request's headers.
const HEADERS_MAX: usize = 16 * 1024;

/// How long to wait when the system cannot give us a connection that is there.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// Who asks, if it says who.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub user_name: String,
    /// The password.
    pub password: Vec<u8>,
}

/// Without what must not be in a log.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

/// Decides who may read. `None` is somebody who does not say who he is.
pub type Gate = Arc<dyn Fn(Option<Credentials>) -> BoxFuture<'static, bool> + Send + Sync>;

/// A place to serve HTTP on.
#[derive(Clone)]
pub struct HttpListener {
    addr: SocketAddr,
    serves: Serves,
    gate: Option<Gate>,
    /// What the configuration says of who gets in there.
    said: Option<Said>,
    /// A line of the configuration asks for it.
    is_configured: bool,
}

/// Of a listener of the configuration.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// Counted among those that serve HTTP.
    index: u16,
    allow_anonymous: bool,
}

/// What there is to read on a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Serves {
    /// `/metrics`, `/healthz` and `/readyz`.
    Metrics,
    /// The same, `/api/v1/…`, and the files of a folder.
    Api(Option<PathBuf>),
}

impl fmt::Debug for HttpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpListener")
            .field("addr", &self.addr)
            .field("serves", &self.serves)
            .field("is_guarded", &self.gate.is_some())
            .finish()
    }
}

impl HttpListener {
    /// Metrics for Prometheus. Port 0 takes a free one.
    pub const fn metrics(addr: SocketAddr) -> HttpListener {
        HttpListener {
            addr,
            serves: Serves::Metrics,
            gate: None,
            said: None,
            is_configured: false,
        }
    }

    /// Mosquitto's HTTP API and metrics, and the files of `dir` at all other paths. Port 0 takes a free one.
    pub const fn api(addr: SocketAddr, dir: Option<PathBuf>) -> HttpListener {
        HttpListener {
            addr,
            serves: Serves::Api(dir),
            gate: None,
            said: None,
            is_configured: false,
        }
    }

    /// Lets only those in who pass the gate; `/healthz` and `/readyz` stay open.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> HttpListener {
        self.gate = Some(gate);
        self
    }

    /// The listener of the configuration, counted among those that serve HTTP.
    pub(crate) const fn said(mut self, index: u16, allow_anonymous: bool) -> HttpListener {
        self.said = Some(Said {
            index,
            allow_anonymous,
        });
        self
    }

    /// Lets those in whom the configuration lets in there.
    pub(crate) fn gated(self, access: Option<&Arc<AccessDesk>>) -> HttpListener {
        match (self.said, access) {
            (Some(said), Some(access)) => self.gate(access.gate(said.index)),
            _ => self,
        }
    }

    /// As a line of the configuration asks for.
    pub(crate) const fn configured(mut self) -> HttpListener {
        self.is_configured = true;
        self
    }

    pub(crate) const fn is_configured(&self) -> bool {
        self.is_configured
    }

    pub(crate) const fn serves_api(&self) -> bool {
        matches!(self.serves, Serves::Api(_))
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Serves on a socket for ever. Dropping the future cuts all connections.
async fn serve(socket: TcpListener, serves: &ArcSwap<Router>) -> io::Result<()> {
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADERS_MAX);
    // Connections end with this future.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        while connections.try_join_next().is_some() {}
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "cannot accept an HTTP connection");
                sleep(SHORTAGE_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(Router::clone(&serves.load()));
        let connection = server.serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            match timeout(CONNECTION_LASTS, connection).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => debug!(%error, "an HTTP connection failed"),
            }
            drop(place);
        });
    }
}

fn router(
    serves: &Serves,
    gate: Option<Gate>,
    observer: Arc<Observer>,
    about: Arc<About>,
) -> Router {
    let guarded = match serves {
        Serves::Metrics => pages::metrics(),
        Serves::Api(dir) => pages::metrics()
            .merge(pages::api())
            .fallback_service(files::serve(dir.clone())),
    };
    let state = pages::Source { observer, about };
    let guarded = guarded.with_state(state.clone());
    let guarded = match gate {
        Some(gate) => guarded.layer(from_fn_with_state(gate, guard)),
        None => guarded,
    };
    pages::health().with_state(state).merge(guarded)
}

/// Lets a request through if its sender may read.
async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if gate(credentials(request.headers())).await {
        return next.run(request).await;
    }
    (
        StatusCode::UNAUTHORIZED,
        [(WWW_AUTHENTICATE, "Basic realm=\"Mosquitto API\"")],
        "Not authorised\n",
    )
        .into_response()
}

/// What a Basic Authorization header says. One that cannot be read says nothing.
fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let (user_name, password) = decoded.split_at(colon);
    Some(Credentials {
        user_name: String::from_utf8(user_name.to_vec()).ok()?,
        password: password.get(1..).unwrap_or_default().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, Vec<u8>)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().expect("a header"));
        credentials(&headers).map(|it| (it.user_name, it.password))
    }

    #[test]
    fn basic_credentials_are_read_and_nothing_else() {
        let expect = Some(("joe".to_owned(), b"a:b".to_vec()));
        assert_eq!(read("Basic am9lOmE6Yg=="), expect);
        assert_eq!(read("basic am9lOmE6Yg=="), expect);
        for value in ["Basic", "Basic !!", "Bearer am9lOmE6Yg==", "Basic am9l"] {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials {
            user_name: "joe".to_owned(),
            password: b"secret".to_vec(),
        };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
