//! Who is let in over HTTP, and as whom: by a password in the request, by a session, or by a certificate.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, UPGRADE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::time::sleep;
use wigwag_engine::{Certificate, Peer};

use super::pages::refusal;
use super::sessions::{Session, Sessions};
use super::viewer::{Standing, Viewer};
use super::{Credentials, Gate};
use crate::access::{AccessDesk, Login};
use crate::entrance::Rules;

/// How long a wrong password takes: with the bound on connections, that bounds how many can be tried.
const GUESS_TAKES: Duration = Duration::from_secs(1);

/// What the cookie of a session is called, with the port in the address of the page: browsers give the cookies of one
/// port to all others of its host.
const COOKIE_NAME: &str = "wigwag-session";

/// Decides on those who come.
#[derive(Clone)]
pub(super) enum Guard {
    /// The access rules.
    Rules(Arc<Entry>),
    /// The embedder, if he wants to. He knows users of his own, who may see messages only if everybody may.
    Embedder { gate: Option<Gate>, is_open: bool },
}

/// Where somebody comes in, and what is known of it already.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) desk: Arc<AccessDesk>,
    pub(super) rules: Arc<Rules>,
    pub(super) peer: Peer,
    pub(super) sessions: Arc<Sessions>,
}

/// What a request says of its sender.
pub(super) enum Newcomer {
    Viewer(Viewer),
    /// It has shown nothing, and without that nobody comes in.
    Stranger,
    /// It has shown a password that does not let it in.
    Refused,
}

impl Guard {
    pub(super) const fn of_embedder(gate: Option<Gate>, is_open: bool) -> Guard {
        Guard::Embedder { gate, is_open }
    }

    /// Whether everybody comes in.
    pub(super) const fn asks_nobody(&self) -> bool {
        matches!(self, Guard::Embedder { gate: None, .. })
    }

    /// Who it is that asks. A password that is wrong takes its time.
    pub(super) async fn recognise(&self, headers: &HeaderMap) -> Newcomer {
        if let Some(credentials) = credentials(headers) {
            return match self.admit(Some(credentials)).await {
                Some(viewer) => Newcomer::Viewer(viewer),
                None => {
                    sleep(GUESS_TAKES).await;
                    Newcomer::Refused
                }
            };
        }
        if let Guard::Rules(entry) = self
            && let Some(session) = entry.session(headers)
        {
            let viewer = Viewer::user(&entry.desk, Standing::Session(session));
            return Newcomer::Viewer(viewer);
        }
        (self.admit(None).await).map_or(Newcomer::Stranger, Newcomer::Viewer)
    }

    /// Who it is, if it may come in.
    pub(super) async fn admit(&self, credentials: Option<Credentials>) -> Option<Viewer> {
        match self {
            Guard::Rules(entry) => {
                let login = Arc::new(entry.log_in(credentials).await?);
                Some(Viewer::user(&entry.desk, Standing::Login(login)))
            }
            Guard::Embedder { gate, is_open } => {
                let is_let_in = match gate {
                    Some(gate) => gate(credentials).await,
                    None => true,
                };
                let viewer = if *is_open {
                    Viewer::everybody()
                } else {
                    Viewer::stranger()
                };
                is_let_in.then_some(viewer)
            }
        }
    }
}

impl Entry {
    async fn log_in(&self, credentials: Option<Credentials>) -> Option<Login> {
        let settings = &self.rules.settings;
        (self.desk.log_in(credentials, settings, &self.peer)).await
    }

    /// Who has this password. A wrong one takes its time.
    pub(super) async fn try_password(&self, credentials: Credentials) -> Option<Login> {
        let login = self.log_in(Some(credentials)).await;
        if login.is_none() {
            sleep(GUESS_TAKES).await;
        }
        login
    }

    /// Whether TLS says who it is.
    pub(super) fn is_certified(&self) -> bool {
        self.peer.certificate != Certificate::NotAsked
    }

    /// The session that the request belongs to, if that still holds. One of another listener does not: other users may
    /// come in there.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<Arc<Session>> {
        if self.is_certified() {
            return None;
        }
        let number = session_number(headers)?;
        let session = self.sessions.find(number)?;
        if session.login.identity.listener.number != self.rules.settings.number {
            return None;
        }
        if !session.holds() {
            self.sessions.end(number);
            return None;
        }
        Some(session)
    }
}

/// The number of the session that a browser shows.
pub(super) fn session_number(headers: &HeaderMap) -> Option<&str> {
    let name = cookie_name(headers);
    let values = headers.get_all(COOKIE).iter();
    let cookies = values.filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(&name)?.strip_prefix('='))
}

pub(super) fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let port = host
        .and_then(|host| host.rsplit_once(':'))
        .and_then(|(_, port)| port.parse::<u16>().ok());
    match port {
        Some(port) => format!("{COOKIE_NAME}-{port}"),
        None => COOKIE_NAME.to_owned(),
    }
}

/// Lets a request through if its sender may come in, and says who that is.
pub(super) async fn pass(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    if let Newcomer::Viewer(viewer) = guard.recognise(request.headers()).await {
        request.extensions_mut().insert(viewer);
        return next.run(request).await;
    }
    let is_script = is_of_script(request.headers());
    let mut answer = refusal(StatusCode::UNAUTHORIZED, "not authorised");
    if !is_script {
        let challenge = HeaderValue::from_static("Basic realm=\"Mosquitto API\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// Whether a page's script asks. Its browser would ask the user for a password in a window of its own; pages have a
/// better one.
fn is_of_script(headers: &HeaderMap) -> bool {
    let mode = headers.get("sec-fetch-mode");
    mode.is_some_and(|mode| mode != "navigate")
        || headers.contains_key("x-requested-with")
        || headers.contains_key(UPGRADE)
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
    fn the_cookie_of_this_port_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost:3000".parse().expect("a header"));
        let cookies = "a=b; wigwag-session=1;wigwag-session-3001=2; wigwag-session-3000=3";
        headers.insert(COOKIE, cookies.parse().expect("a header"));
        assert_eq!(session_number(&headers), Some("3"));
        headers.insert(HOST, "lab.example".parse().expect("a header"));
        assert_eq!(session_number(&headers), Some("1"));
        headers.insert(HOST, "[::1]".parse().expect("a header"));
        assert_eq!(session_number(&headers), Some("1"));
        headers.insert(HOST, "localhost:3002".parse().expect("a header"));
        assert_eq!(session_number(&headers), None);
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
}
