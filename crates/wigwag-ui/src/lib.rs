//! The web UI of Wigwag: its built assets, embedded, and the HTTP router that serves them.
//!
//! This crate knows nothing of MQTT. What the page must know, such as the address of a broker, the caller passes as
//! JSON; the page fetches it from `config.json`. The TypeScript sources are in `web/`, `build.rs` says how they get in.
//!
//! ```no_run
//! # async fn serve() -> std::io::Result<()> {
//! let config = serde_json::json!({ "brokers": [{ "name": "local", "mqtt": { "port": 9001 } }] });
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! wigwag_ui::serve(listener, config).await
//! # }
//! ```
#![warn(missing_docs)]

mod assets;
mod negotiation;

use std::io;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;

/// No inline script or style, no foreign origin except the broker's WebSocket, whose address only the page's user knows.
/// Pictures in payloads are drawn from blobs, in which nothing runs.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; worker-src 'self'; img-src 'self' data: blob:; \
                      object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

/// Whether the web UI is in this build. When it is not, [`router`] serves one page that says how to get it.
pub const fn is_built() -> bool {
    // `build.rs` sets exactly `true` or `false`.
    env!("WIGWAG_UI_BUILT").len() == "true".len()
}

/// Serves [`router`] on a listener, for ever. Dropping the future ends the service and cuts its connections.
pub async fn serve(listener: TcpListener, config: serde_json::Value) -> io::Result<()> {
    axum::serve(listener, router(config)).await
}

/// Serves the web UI, and `config` at `/config.json`.
///
/// The page understands `{"version":"0.1.0","brokers":[…]}`: the version, which it displays, and one or more brokers,
/// each `{"name":"local","mqtt":{"url":"ws://host:9001"}}`. In the place of `url`, `"port":9001` is a port on the host
/// that served the page, and `"path":"mqtt"` a WebSocket beside the page. Optionally, `"metrics":"metrics"` is where it
/// finds metrics of that broker for Prometheus beside itself; without it, it shows what the broker says below `$SYS`.
/// `"api":"api/v1"` is where the broker's own interface is. `"address":"mqtt://host"` is where people find a broker that
/// the browser reaches by another way.
///
/// Answers GET and HEAD; other methods get 405. A path without a file extension is a page of the application and gets
/// its `index.html`, as is any below a first level other than `assets`; an unknown file gets 404. The router works at the root of a host and behind a proxy that strips a
/// prefix, as long as the prefix ends with a slash in the browser's address.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers make the value for this call only"
)]
pub fn router(config: serde_json::Value) -> Router {
    let config = config.to_string();
    let config = async move || {
        (
            [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
            ],
            config,
        )
    };
    Router::new()
        .route("/config.json", get(config))
        .fallback_service(get(serve_asset))
        .layer(map_response(protect))
}

async fn serve_asset(uri: Uri, headers: HeaderMap) -> Response {
    assets::respond(uri.path(), &headers)
}

async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests;
