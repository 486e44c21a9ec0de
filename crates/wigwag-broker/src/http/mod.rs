//! What the broker serves over HTTP: metrics, health, and Mosquitto's read-only API.
//!
//! The only place that knows axum and hyper. It runs beside the shards on the observer's thread, takes a
//! bounded number of connections, and gives each of them a bounded time for its headers and for its requests.

mod clients;
mod crowd;
mod files;
mod guard;
mod history;
mod hosts;
mod login;
mod mqtt;
mod open;
mod pages;
mod query;
mod same_origin;
mod sessions;
mod topics;
mod viewer;
mod visitors;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::any;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::observer::Observer;

pub use axum::Router;
pub(crate) use clients::CLIENTS_MAX;
pub(crate) use crowd::CONNECTIONS_PER_ADDRESS;
use crowd::Crowd;
use guard::Guard;
pub(crate) use history::MESSAGES_MAX;
use hosts::Names;
pub(crate) use login::LOGIN_SIZE_MAX;
pub(crate) use open::{ClosedHttp, HttpKeeper, OpenHttp};
pub(crate) use pages::{About, ListenerNotice};
pub(crate) use sessions::{SESSIONS_MAX, SESSIONS_PER_USER, Session, Sessions};
pub(crate) use visitors::{Reception, queue, receive};

/// Connections of one listener at the same time; further ones wait to be accepted.
pub(crate) const CONNECTIONS_MAX: usize = 64;

/// How long a client may take to send a request's headers.
pub(crate) const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection may last, whatever it does.
const CONNECTION_LASTS: Duration = Duration::from_secs(300);

/// Bytes of a request's headers.
pub(crate) const HEADERS_MAX: usize = 16 * 1024;

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
    /// A line of the configuration asks for it.
    is_configured: bool,
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
            is_configured: false,
        }
    }

    /// Mosquitto's HTTP API and metrics, and the files of `dir` at all other paths. Port 0 takes a free one.
    pub const fn api(addr: SocketAddr, dir: Option<PathBuf>) -> HttpListener {
        HttpListener {
            addr,
            serves: Serves::Api(dir),
            gate: None,
            is_configured: false,
        }
    }

    /// Lets only those in who pass the gate; `/healthz` and `/readyz` stay open.
    #[must_use]
    pub fn gate(mut self, gate: Gate) -> HttpListener {
        self.gate = Some(gate);
        self
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

/// Serves what a router has on a socket for ever, within the bounds that all of HTTP has here. Dropping the
/// future cuts all connections.
pub async fn serve_router(socket: tokio::net::TcpListener, router: Router) -> io::Result<()> {
    serve(socket, || router.clone()).await
}

/// The same; each connection gets what is served when it comes.
async fn serve(socket: tokio::net::TcpListener, router: impl Fn() -> Router) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let crowd = Arc::<Crowd>::default();
    // Connections end with this future.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        while connections.try_join_next().is_some() {}
        let (stream, from) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "cannot accept an HTTP connection");
                sleep(SHORTAGE_PAUSE).await;
                continue;
            }
        };
        let Some(one) = crowd.enter(Some(from.ip())) else {
            continue;
        };
        let router = router();
        connections.spawn(async move {
            serve_connection(stream, router).await;
            drop((one, place));
        });
    }
}

/// Serves one connection to its end, or to that of its time. One that becomes something else is no longer served here:
/// whoever takes it over has to bound it.
async fn serve_connection<S>(stream: S, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADERS_MAX);
    let service = TowerToHyperService::new(router);
    let connection = server
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    match timeout(CONNECTION_LASTS, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => debug!(%error, "an HTTP connection failed"),
    }
}

/// What there is to read for everybody, to be merged into a router of the embedder's own: all but files.
pub(crate) fn router_beside(observer: &Arc<Observer>, about: &Arc<About>) -> Router {
    let (observer, about) = (Arc::clone(observer), Arc::clone(about));
    let guard = Guard::of_embedder(None, about.is_open);
    let state = pages::Source { observer, about };
    pages::health()
        .merge(pages::metrics())
        .merge(pages::api())
        .merge(clients::clients())
        .merge(history::history())
        .with_state(state)
        .layer(from_fn_with_state(guard.clone(), guard::pass))
        .merge(login::routes().with_state(guard))
        .layer(from_fn_with_state(
            Arc::default(),
            same_origin::refuse_foreign,
        ))
        .layer(map_response(stay_at_home))
        .layer(map_response(protect))
}

/// What there is to read for who may.
fn to_read(serves: &Serves, has_page: bool) -> Router<pages::Source> {
    let Serves::Api(dir) = serves else {
        return pages::metrics().layer(map_response(protect));
    };
    let api = pages::metrics()
        .merge(pages::api())
        .merge(clients::clients())
        .merge(history::history());
    if has_page {
        // The page answers for whatever it does not know, but not here.
        let api = api.route("/api/{*path}", any(pages::nothing));
        return api.layer(map_response(protect));
    }
    let api = api.layer(map_response(protect));
    api.fallback_service(files::serve(dir.clone()))
}

/// What a listener of the configuration has besides.
#[derive(Default)]
struct Extras {
    /// Served where there is nothing else, to everybody.
    page: Option<Router>,
    mqtt: Router,
    /// Of what other origins pages may do more than read.
    welcome: Arc<[String]>,
}

fn router(
    serves: &Serves,
    guard: Guard,
    observer: Arc<Observer>,
    about: Arc<About>,
    extras: Extras,
) -> Router {
    let has_page = extras.page.is_some();
    let mut guarded = to_read(serves, has_page);
    if has_page && guard.asks_nobody() {
        guarded = guarded.layer(map_response(stay_at_home));
    }
    let state = pages::Source { observer, about };
    let login = match serves {
        Serves::Metrics => Router::new(),
        Serves::Api(_) => login::routes().layer(map_response(protect)),
    };
    let login = login.with_state(guard.clone());
    let guarded = guarded
        .with_state(state.clone())
        .layer(from_fn_with_state(guard.clone(), guard::pass));
    let health = pages::health().layer(map_response(protect));
    let names = Names {
        guard,
        welcome: extras.welcome,
    };
    let router = (health.with_state(state))
        .merge(login)
        .merge(guarded)
        .merge(extras.mqtt)
        .merge(extras.page.unwrap_or_default());
    for_own_pages(router, names).layer(map_response(leave_types_alone))
}

/// Lets only pages of this server's own into a router that lets everybody in, and those of the `welcome` origins: others
/// can neither open a WebSocket nor change anything, and a browser gets nothing by a name that may be a stranger's.
pub fn only_for_own_pages(router: Router, welcome: &[String]) -> Router {
    let names = Names {
        guard: Guard::of_embedder(None, true),
        welcome: welcome.into(),
    };
    for_own_pages(router, names)
}

fn for_own_pages(router: Router, names: Names) -> Router {
    let welcome = Arc::clone(&names.welcome);
    router
        .layer(from_fn_with_state(welcome, same_origin::refuse_foreign))
        .layer(from_fn_with_state(names, hosts::refuse_misled))
}

/// Pages of other origins have no business where nobody is asked for a password.
async fn stay_at_home(mut response: Response) -> Response {
    response.headers_mut().remove(ACCESS_CONTROL_ALLOW_ORIGIN);
    response
}

/// Nothing that is made here is a page.
async fn protect(mut response: Response) -> Response {
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    leave_types_alone(response).await
}

/// Browsers are not to guess what something is, nor to tell others where it was found.
async fn leave_types_alone(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials {
            user_name: "joe".to_owned(),
            password: b"secret".to_vec(),
        };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
