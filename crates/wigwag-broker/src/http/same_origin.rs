//! Pages of others have no business here: a browser sends along whose page it is that asks, and its cookies.
//!
//! Who only reads is not refused: a browser does not show the answer to the page.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN, UPGRADE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::pages::refusal;

/// Refuses whoever changes something or opens a WebSocket from a page of another origin. Who names no origin is no
/// browser.
pub(super) async fn refuse_foreign(
    State(welcome): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if only_reads && !headers.contains_key(UPGRADE) || is_at_home(headers, &welcome) {
        return next.run(request).await;
    }
    let why = "pages of this origin are not allowed to do that; a proxy in between has to pass on the header Host";
    refusal(StatusCode::FORBIDDEN, why)
}

fn is_at_home(headers: &HeaderMap, welcome: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let (Ok(origin), Some(host)) = (origin.to_str(), host) else {
        return false;
    };
    welcome.iter().any(|welcome| welcome == origin) || is_of(origin, host)
}

/// Whether pages of the origin come from the host. The port that a scheme has by itself may be said or not.
fn is_of(origin: &str, host: &str) -> bool {
    let (own, port) = match origin.split_once("://") {
        Some(("http", own)) => (own, ":80"),
        Some(("https", own)) => (own, ":443"),
        _ => return false,
    };
    let bare = |place: &'_ str| {
        place
            .strip_suffix(port)
            .unwrap_or(place)
            .to_ascii_lowercase()
    };
    !own.is_empty() && bare(own) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_at_home_where_it_came_from() {
        for (origin, host, expect) in [
            ("http://localhost:3000", "localhost:3000", true),
            ("http://LOCALHOST:3000", "localhost:3000", true),
            ("https://lab.example", "lab.example", true),
            ("https://lab.example", "lab.example:443", true),
            ("http://lab.example", "lab.example:80", true),
            ("http://[::1]:3000", "[::1]:3000", true),
            ("http://localhost:3001", "localhost:3000", false),
            ("http://lab.example", "lab.example:443", false),
            ("https://lab.example.evil", "lab.example", false),
            ("https://evil/lab.example", "lab.example", false),
            ("null", "lab.example", false),
            ("null", "null", false),
            ("ftp://lab.example", "lab.example", false),
            ("http://", "", false),
            ("", "", false),
        ] {
            assert_eq!(is_of(origin, host), expect, "{origin} {host}");
        }
    }

    #[test]
    fn who_names_no_origin_is_no_page_and_some_are_welcome() {
        let mut headers = HeaderMap::new();
        assert!(is_at_home(&headers, &[]));
        headers.insert(ORIGIN, "https://a.example".parse().expect("a header"));
        assert!(!is_at_home(&headers, &[]), "of what host is not said");
        headers.insert(HOST, "b.example".parse().expect("a header"));
        assert!(!is_at_home(&headers, &[]));
        assert!(is_at_home(&headers, &["https://a.example".to_owned()]));
    }
}
