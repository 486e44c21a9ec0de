//! The router as a browser sees it. The tests hold for the built UI and for the placeholder alike, so that they run
//! on a machine without Node; what only the built UI has is skipped there by what the folder contains.

use axum::body::Body;
use axum::http::header::*;
use axum::http::{HeaderName, Method, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use super::*;

async fn send(method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::empty()).expect("a valid request");
    router(json!({ "brokers": [] }))
        .oneshot(request)
        .await
        .expect("the router never fails")
}

async fn fetch(path: &str) -> Response {
    send(Method::GET, path, &[]).await
}

async fn text(response: Response) -> String {
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("a complete body")
        .to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn header(response: &Response, name: HeaderName) -> &str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().expect("an ASCII header"))
}

/// The script that every page begins with: large enough to be worth packing, which those of single screens need not be.
fn first_script() -> Option<String> {
    assets::names()
        .find(|name| name.starts_with("assets/index-") && name.ends_with(".js"))
        .map(|name| format!("/{name}"))
}

#[tokio::test]
async fn config_is_the_callers_json_and_is_not_stored() {
    let response = fetch("/config.json").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, CONTENT_TYPE), "application/json");
    assert_eq!(header(&response, CACHE_CONTROL), "no-store");
    assert_eq!(text(response).await, r#"{"brokers":[]}"#);
}

#[tokio::test]
async fn every_response_is_protected() {
    for path in ["/", "/config.json", "/assets/missing.js"] {
        let response = fetch(path).await;
        let policy = header(&response, CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(
            header(&response, X_CONTENT_TYPE_OPTIONS),
            "nosniff",
            "{path}"
        );
        assert_eq!(header(&response, REFERRER_POLICY), "no-referrer", "{path}");
    }
}

#[tokio::test]
async fn pages_get_the_index_with_a_base_that_leads_to_the_root() {
    for (path, base) in [
        ("/", "./"),
        ("/index.html", "./"),
        ("/devices", "./"),
        ("/devices?broker=ws://a.b:1", "./"),
        ("/devices/", "../"),
        ("/devices/1", "../"),
        ("/explore/a/b", "../../"),
        ("/explore/line/temp.json", "../../"),
        ("/devices/sensor.1", "../"),
    ] {
        let response = fetch(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(
            header(&response, CONTENT_TYPE),
            "text/html; charset=utf-8",
            "{path}"
        );
        assert_eq!(header(&response, CACHE_CONTROL), "no-cache", "{path}");
        let page = text(response).await;
        assert!(
            page.contains(&format!("<base href=\"{base}\"")),
            "{path}: {page}"
        );
        assert!(
            !page.contains("<style") && !page.contains("style="),
            "inline style in the page"
        );
    }
}

#[tokio::test]
async fn a_missing_file_is_not_a_page() {
    for path in [
        "/assets/app.js",
        "/assets/app",
        "/favicon.png",
        "/app.css",
        "/..%2fpasswd.txt",
    ] {
        assert_eq!(fetch(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    for path in ["/", "/config.json"] {
        let response = send(Method::POST, path, &[]).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(header(&response, ALLOW), "GET,HEAD", "{path}");

        let response = send(Method::HEAD, path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_ne!(header(&response, CONTENT_LENGTH), "", "{path}");
        assert_eq!(text(response).await, "", "{path}");
    }
}

#[tokio::test]
async fn a_known_etag_is_answered_with_not_modified() {
    for path in ["/", "/devices/1"] {
        let first = fetch(path).await;
        let tag = header(&first, ETAG).to_owned();
        let second = send(Method::GET, path, &[(IF_NONE_MATCH, &tag)]).await;
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(header(&second, ETAG), tag, "{path}");
        assert_eq!(header(&second, CACHE_CONTROL), "no-cache", "{path}");
        assert_eq!(text(second).await, "", "{path}");
    }
    let root = fetch("/").await;
    let deep = send(
        Method::GET,
        "/devices/1",
        &[(IF_NONE_MATCH, header(&root, ETAG))],
    )
    .await;
    assert_eq!(
        deep.status(),
        StatusCode::OK,
        "pages of different depth differ"
    );
}

#[tokio::test]
async fn hashed_files_are_immutable_and_come_compressed_when_asked() {
    let Some(path) = first_script() else {
        assert!(!is_built(), "the built UI has scripts");
        return;
    };
    let plain = fetch(&path).await;
    assert_eq!(
        header(&plain, CONTENT_TYPE),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(
        header(&plain, CACHE_CONTROL),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(header(&plain, CONTENT_ENCODING), "");
    let plain_tag = header(&plain, ETAG).to_owned();
    let plain_len = text(plain).await.len();

    for (accept, encoding) in [("gzip, deflate, br", "br"), ("gzip", "gzip")] {
        let packed = send(Method::GET, &path, &[(ACCEPT_ENCODING, accept)]).await;
        assert_eq!(header(&packed, CONTENT_ENCODING), encoding);
        assert_eq!(
            header(&packed, CONTENT_TYPE),
            "text/javascript; charset=utf-8"
        );
        assert_eq!(header(&packed, VARY), "accept-encoding");
        assert_ne!(header(&packed, ETAG), plain_tag);
        let packed_len = packed
            .into_body()
            .collect()
            .await
            .expect("a complete body")
            .to_bytes()
            .len();
        assert!(
            packed_len < plain_len / 2,
            "{encoding}: {packed_len} of {plain_len}"
        );
    }
    for twin in [".br", ".gz"] {
        assert_eq!(
            fetch(&format!("{path}{twin}")).await.status(),
            StatusCode::NOT_FOUND,
            "twins have no address"
        );
    }
}

#[tokio::test]
async fn every_embedded_file_has_a_media_type() {
    for name in assets::names().filter(|name| !name.ends_with(".br") && !name.ends_with(".gz")) {
        let response = fetch(&format!("/{name}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_ne!(
            header(&response, CONTENT_TYPE),
            "application/octet-stream",
            "{name}"
        );
    }
}
