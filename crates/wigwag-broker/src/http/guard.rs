//! Who is let in over HTTP, and as whom.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::time::sleep;
use wigwag_engine::{ListenerSettings, Peer};

use super::viewer::Viewer;
use super::{Credentials, Gate};
use crate::access::AccessDesk;

/// How long a wrong password takes: with the bound on connections, that bounds how many can be tried.
const GUESS_TAKES: Duration = Duration::from_secs(1);

/// Decides on those who come.
#[derive(Clone)]
pub(super) enum Guard {
    /// The access rules of a listener.
    Rules {
        desk: Arc<AccessDesk>,
        listener: Arc<ListenerSettings>,
        peer: Peer,
    },
    /// The embedder, if he wants to. He knows users of his own, who may see messages only if everybody may.
    Embedder { gate: Option<Gate>, is_open: bool },
}

impl Guard {
    pub(super) fn of_listener(
        desk: &Arc<AccessDesk>,
        listener: &Arc<ListenerSettings>,
        peer: Peer,
    ) -> Guard {
        Guard::Rules {
            desk: Arc::clone(desk),
            listener: Arc::clone(listener),
            peer,
        }
    }

    pub(super) const fn of_embedder(gate: Option<Gate>, is_open: bool) -> Guard {
        Guard::Embedder { gate, is_open }
    }

    /// Who it is, if it may come in.
    async fn admit(&self, credentials: Option<Credentials>) -> Option<Viewer> {
        match self {
            Guard::Rules {
                desk,
                listener,
                peer,
            } => {
                let identity = desk.log_in(credentials, listener, peer).await?;
                Some(Viewer::user(desk, identity))
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

/// Lets a request through if its sender may come in, and says who that is.
pub(super) async fn pass(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let credentials = credentials(request.headers());
    let is_guess = credentials.is_some();
    if let Some(viewer) = guard.admit(credentials).await {
        request.extensions_mut().insert(viewer);
        return next.run(request).await;
    }
    if is_guess {
        sleep(GUESS_TAKES).await;
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
}
