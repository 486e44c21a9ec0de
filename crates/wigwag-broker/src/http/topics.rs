//! `GET /api/v1/topics`: the tree of topics over a WebSocket, as what has changed, four times a second at most.
//!
//! Every frame is a JSON object. The first one says which tree it is, `{"since":MS,"now":MS}`; its counts begin at that time. The
//! others have `topics`, each as it is now, and `gone`, those that may no longer be read. Nothing is expected from the
//! other side; one that does not take what is sent to it waits alone.

use std::str;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tracing::debug;
use wigwag_engine::proto::TopicName;

use super::pages::{Source, refusal};
use super::viewer::Viewer;
use crate::entrance::Guest;
use crate::topics::{Missing, News, Told, Viewing, now};

/// How often somebody is told what has changed.
const EVERY: Duration = Duration::from_millis(250);

/// Bytes of topics and payloads in a frame, roughly; what is more comes with the next one.
const FRAME_BYTES: usize = 512 * 1024;

/// How long somebody may take for a frame.
const TAKES_MAX: Duration = Duration::from_secs(30);

/// How often he is asked whether he is still there, and how long he may say nothing.
const PING_EVERY: Duration = Duration::from_secs(20);
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Bytes of a frame that comes: nothing is expected but control frames.
const INCOMING_MAX: usize = 4 * 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(super) async fn topics(
    State(source): State<Source>,
    Extension(viewer): Extension<Viewer>,
    guest: Option<Extension<Arc<Guest>>>,
    mut request: Request,
) -> Response {
    let headers = request.headers();
    let Some(accept) = accept_key(headers) else {
        let why = "this is a WebSocket: ask with Upgrade: websocket and Sec-WebSocket-Version: 13";
        let upgrade = [(UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")];
        return (upgrade, refusal(StatusCode::UPGRADE_REQUIRED, why)).into_response();
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        let why = "this connection cannot become a WebSocket";
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, why);
    };
    let observer = &source.observer;
    let viewing = match observer.topics().look(observer.bridges().as_deref()) {
        Ok(viewing) => viewing,
        Err(refused) => return refusal(StatusCode::SERVICE_UNAVAILABLE, &refused.to_string()),
    };
    let guest = guest.map(|Extension(guest)| guest);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => show(upgraded, viewing, &viewer, guest.as_deref()).await,
            Err(error) => debug!(%error, "an HTTP connection did not become a WebSocket"),
        }
    });
    let headers = [
        (CONNECTION, "Upgrade".to_owned()),
        (UPGRADE, "websocket".to_owned()),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// What the answer to a WebSocket handshake has to say, if this is one. [RFC 6455, 4.2]
fn accept_key(headers: &HeaderMap) -> Option<String> {
    let key = headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    let is_ours = has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket")
        && headers.get(SEC_WEBSOCKET_VERSION)? == "13";
    is_ours.then(|| derive_accept_key(key))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    let mut tokens = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

/// Tells of topics until the other side goes, or does not take what it is told, or may not come in any more, or its
/// listener is closed.
async fn show(upgraded: Upgraded, mut viewing: Viewing, viewer: &Viewer, guest: Option<&Guest>) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(INCOMING_MAX))
        .max_frame_size(Some(INCOMING_MAX));
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let hello = Message::text(json!({ "since": viewing.since, "now": now() }).to_string());
    if !send(&mut socket, hello).await {
        return;
    }
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ping = interval(PING_EVERY);
    let mut heard_at = Instant::now();
    let mut last = Missing::default();
    while viewer.may_stay() && !guest.is_some_and(Guest::is_too_late) {
        let message = tokio::select! {
            _ = tick.tick() => match frame(&mut viewing, viewer, &mut last) {
                Some(text) => Message::text(text),
                None => continue,
            },
            _ = ping.tick() => Message::Ping(Bytes::new()),
            incoming = socket.next() => match incoming {
                Some(Ok(message)) if !message.is_close() => {
                    heard_at = Instant::now();
                    continue;
                }
                _ => break,
            },
        };
        if heard_at.elapsed() > SILENCE_MAX || !send(&mut socket, message).await {
            break;
        }
    }
    // The topics are let go of at once, however long a goodbye takes.
    drop(viewing);
    let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
}

async fn send(socket: &mut Socket, message: Message) -> bool {
    matches!(timeout(TAKES_MAX, socket.send(message)).await, Ok(Ok(())))
}

/// What has changed, if anything has.
fn frame(viewing: &mut Viewing, viewer: &Viewer, last: &mut Missing) -> Option<String> {
    let may_read = |topic: &str| TopicName::new(topic).is_ok_and(|topic| viewer.may_read(topic));
    let (news, missing) = viewing.tell(FRAME_BYTES, may_read);
    if news.is_empty() && missing == *last {
        return None;
    }
    *last = missing;
    Some(written(&news, missing).to_string())
}

fn written(news: &News, missing: Missing) -> Value {
    json!({
        "topics": news.topics.iter().map(topic).collect::<Vec<_>>(),
        "gone": news.gone.iter().map(|topic| &**topic).collect::<Vec<_>>(),
        "isMore": news.is_more,
        "beyond": missing.beyond,
        "lost": missing.lost,
    })
}

fn topic(told: &Told) -> Value {
    let mut topic = Map::new();
    topic.insert("topic".to_owned(), (*told.topic).into());
    topic.insert("messages".to_owned(), told.messages.into());
    if told.are_old {
        topic.insert("areOld".to_owned(), true.into());
    }
    topic.insert("at".to_owned(), told.at.into());
    topic.insert("qos".to_owned(), told.qos.into());
    topic.insert("retain".to_owned(), told.retain.into());
    topic.insert("isRetained".to_owned(), told.is_retained.into());
    topic.insert("bytes".to_owned(), told.len.into());
    let (name, payload) = match text(told) {
        Some(text) => ("payload", text.to_owned()),
        None => ("payloadBase64", BASE64_STANDARD.encode(&told.payload)),
    };
    topic.insert(name.to_owned(), payload.into());
    topic.into()
}

/// The payload, if it is text. A character that was cut at the end is left out.
fn text(told: &Told) -> Option<&str> {
    match str::from_utf8(&told.payload) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && told.payload.len() < told.len => {
            let whole = told.payload.get(..error.valid_up_to())?;
            str::from_utf8(whole).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(payload: &[u8], len: usize) -> Value {
        topic(&Told {
            topic: Arc::from("a"),
            messages: 2,
            are_old: false,
            payload: payload.to_vec(),
            len,
            qos: 1,
            retain: false,
            is_retained: true,
            at: 7,
        })
    }

    #[test]
    fn a_payload_is_text_where_it_can_be() {
        let expect = json!({
            "topic": "a", "messages": 2, "at": 7, "qos": 1, "retain": false, "isRetained": true,
            "bytes": 3, "payload": "ä\n",
        });
        assert_eq!(told("ä\n".as_bytes(), 3), expect);
        assert_eq!(
            told(&[0xff, 0], 2).get("payloadBase64"),
            Some(&"/wA=".into())
        );
        let cut = "aä".as_bytes().get(..2).expect("longer");
        assert_eq!(told(cut, 3).get("payload"), Some(&"a".into()));
        assert_eq!(told(cut, 2).get("payload"), None);
    }

    #[test]
    fn a_handshake_is_told_from_other_requests() {
        let headers = |connection: &str, version: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                (&CONNECTION, connection),
                (&UPGRADE, "WebSocket"),
                (&SEC_WEBSOCKET_VERSION, version),
                (&SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            ] {
                headers.insert(name, value.parse().expect("a header"));
            }
            headers
        };
        let accepted = accept_key(&headers("keep-alive, Upgrade", "13"));
        assert_eq!(accepted.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(accept_key(&headers("close", "13")), None);
        assert_eq!(accept_key(&headers("Upgrade", "8")), None);
        assert_eq!(accept_key(&HeaderMap::new()), None);
    }
}
