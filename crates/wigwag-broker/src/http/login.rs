//! `/api/v1/session`: who one is here, logging in and out. For pages; programs send a password with each request.

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::guard::{Entry, Guard, Newcomer, cookie_name, session_number};
use super::pages::refusal;
use super::{Credentials, HEADERS_WITHIN};

/// Bytes of a request to log in.
pub(crate) const LOGIN_SIZE_MAX: usize = 16 * 1024;

/// Open to everybody: who has not logged in yet has to be able to.
pub(super) fn routes() -> Router<Guard> {
    Router::new().route("/api/v1/session", get(show).post(log_in).delete(log_out))
}

async fn show(State(guard): State<Guard>, headers: HeaderMap) -> Response {
    match guard.recognise(&headers).await {
        Newcomer::Viewer(viewer) => standing(&guard, viewer.user_name()).await,
        Newcomer::Stranger => standing(&guard, None).await,
        Newcomer::Refused => refusal(StatusCode::UNAUTHORIZED, WRONG),
    }
}

const WRONG: &str = "the user name or the password is wrong, or the user may not come in here";

async fn log_in(State(guard): State<Guard>, request: Request) -> Response {
    let headers = request.headers().clone();
    let credentials = match credentials(request).await {
        Ok(credentials) => credentials,
        Err((status, why)) => return refusal(status, why),
    };
    let entry = match &guard {
        Guard::Rules(entry) => entry,
        Guard::Embedder { gate: None, .. } => return standing(&guard, None).await,
        Guard::Embedder { gate: Some(_), .. } => {
            let why = "there are no sessions here; send the password with each request";
            return refusal(StatusCode::NOT_FOUND, why);
        }
    };
    let Some(login) = entry.try_password(credentials).await else {
        return refusal(StatusCode::UNAUTHORIZED, WRONG);
    };
    let user_name = login.identity.user_name.clone();
    let mut answer = standing(&guard, user_name.as_deref()).await;
    // A certificate says who it is with every connection.
    if !entry.is_certified() {
        if let Some(old) = session_number(&headers) {
            entry.sessions.end(old);
        }
        let number = entry.sessions.begin(login);
        set_cookie(&mut answer, entry, &headers, &number, "");
    }
    answer
}

async fn log_out(State(guard): State<Guard>, headers: HeaderMap) -> Response {
    let mut answer = standing(&guard, None).await;
    if let Guard::Rules(entry) = &guard
        && let Some(number) = session_number(&headers)
    {
        entry.sessions.end(number);
        set_cookie(&mut answer, entry, &headers, "", "; Max-Age=0");
    }
    answer
}

/// Who one is, and whether one has to be somebody.
async fn standing(guard: &Guard, user_name: Option<&str>) -> Response {
    let required = guard.admit(None).await.is_none();
    let text = json!({ "user": user_name, "required": required }).to_string();
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

/// For all that is below the host: what is before the page's own path, only a proxy knows.
fn set_cookie(answer: &mut Response, entry: &Entry, headers: &HeaderMap, value: &str, end: &str) {
    let name = cookie_name(headers);
    let secure = if entry.rules.tls.is_some() {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{end}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
}

/// What the body says. That it has to be called JSON keeps forms of other pages out.
async fn credentials(request: Request) -> Result<Credentials, (StatusCode, &'static str)> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_json = content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"));
    if !is_json {
        let why = "the body has to be application/json";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let body = to_bytes(request.into_body(), LOGIN_SIZE_MAX);
    let body = match timeout(HEADERS_WITHIN, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too long")),
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    match (text("userName"), text("password")) {
        (Some(user_name), Some(password)) => Ok(Credentials {
            user_name: user_name.to_owned(),
            password: password.as_bytes().to_vec(),
        }),
        _ => {
            let why = r#"expected {"userName":"…","password":"…"}"#;
            Err((StatusCode::BAD_REQUEST, why))
        }
    }
}
