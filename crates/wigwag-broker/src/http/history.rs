//! `GET /api/v1/history`: what the recorder has of one topic, the oldest message first, in bounded answers that are
//! sent while they are read.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use wigwag_engine::proto::TopicName;
use wigwag_store::Error;

use super::pages::{Source, refusal};
use super::query::Query;
use super::viewer::Viewer;
use crate::recorder::Entry;

/// Messages in one answer: unless it says otherwise, and at most.
const MESSAGES: usize = 1_000;
pub(crate) const MESSAGES_MAX: usize = 10_000;

/// Bytes of messages after which an answer ends.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that are sent together, and how many of such pieces wait for a reader.
const PIECE: usize = 64 * 1024;
const PIECES_MAX: usize = 4;

/// Answers that are read from the disk at the same time; others wait.
const READERS_MAX: usize = 4;

/// How long whoever asked may take for a piece: others wait for its place.
const TAKES_MAX: Duration = Duration::from_secs(10);

static READERS: Semaphore = Semaphore::const_new(READERS_MAX);

pub(super) fn history() -> Router<Source> {
    Router::new().route("/api/v1/history", get(show))
}

/// What is asked for. Times are microseconds since 1970.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    topic: String,
    from: u64,
    until: u64,
    limit: usize,
}

impl Wanted {
    fn read(query: Option<&str>) -> Result<Wanted, String> {
        let query = Query::read(query)?;
        let topic = query.get("topic").ok_or("topic=TOPIC is missing")?;
        TopicName::new(topic).map_err(|error| format!("topic is no Topic Name: {error}"))?;
        let time = |name: &str, default| match query.get(name) {
            None => Ok(default),
            Some(text) => micros(text)
                .ok_or_else(|| format!("{name} is {text:?}; allowed: milliseconds since 1970")),
        };
        let limit = match query.get("limit") {
            None => MESSAGES,
            Some(text) => (text.parse().ok())
                .filter(|limit| (1..=MESSAGES_MAX).contains(limit))
                .ok_or_else(|| format!("limit is {text:?}; allowed: 1 to {MESSAGES_MAX}"))?,
        };
        Ok(Wanted {
            topic: topic.to_owned(),
            from: time("from", 0)?,
            until: time("to", u64::MAX)?,
            limit,
        })
    }
}

/// Milliseconds, with up to three digits for parts of one.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || !(1..=3).contains(&part.len()) {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000)?
        .checked_add(part)
}

/// The same the other way round: a number of JSON.
fn millis(micros: u64) -> String {
    let (whole, part) = (micros / 1_000, micros % 1_000);
    if part == 0 {
        return whole.to_string();
    }
    format!("{whole}.{part:03}")
}

async fn show(
    State(source): State<Source>,
    Extension(viewer): Extension<Viewer>,
    RawQuery(query): RawQuery,
) -> Response {
    let wanted = match Wanted::read(query.as_deref()) {
        Ok(wanted) => wanted,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    let Ok(topic) = TopicName::new(&wanted.topic) else {
        return refusal(StatusCode::BAD_REQUEST, "topic is no Topic Name");
    };
    if !viewer.may_read(topic) {
        return refusal(StatusCode::FORBIDDEN, "you may not read this topic");
    }
    let Some(archive) = source.observer.archive() else {
        let why = "nothing is recorded: the broker runs without a recorder";
        return refusal(StatusCode::NOT_FOUND, why);
    };
    let is_recorded = archive.records(topic);
    let history = match archive.history() {
        Ok(history) => history,
        Err(why) => return refusal(StatusCode::SERVICE_UNAVAILABLE, &why),
    };
    let Ok(reading) = READERS.acquire().await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the broker stops");
    };
    let (pieces, receiver) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let head = format!(
            "{{\"topic\":{},\"recorded\":{is_recorded},\"recordedSince\":{},",
            Value::from(wanted.topic.as_str()),
            millis(history.since)
        );
        // To send an answer may take so long that its reader is none any more.
        let may_read = || TopicName::new(&wanted.topic).is_ok_and(|topic| viewer.may_read(topic));
        let found = history.read(&wanted.topic, wanted.from, wanted.until);
        write(head, found, wanted.limit, may_read, &pieces);
        drop(reading);
    });
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    let body = futures_util::stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((Ok::<Bytes, Infallible>(piece), receiver))
    });
    (headers, Body::from_stream(body)).into_response()
}

/// Reads and sends until it is over or nobody wants it any more.
fn write(
    mut text: String,
    found: impl Iterator<Item = Result<Entry, Error>>,
    limit: usize,
    may_read: impl Fn() -> bool,
    pieces: &mpsc::Sender<Bytes>,
) {
    text.push_str("\"messages\":[");
    let (mut count, mut bytes, mut next) = (0, 0, None);
    let mut failure = None;
    for found in found {
        let entry = match found {
            Ok(entry) => entry,
            Err(error) => {
                failure = Some(error.to_string());
                break;
            }
        };
        if count == limit || bytes > ANSWER_BYTES_MAX {
            next = Some(entry.at);
            break;
        }
        if !may_read() {
            failure = Some("you may not read this topic any more".to_owned());
            break;
        }
        if count > 0 {
            text.push(',');
        }
        let before = text.len();
        push(&mut text, &entry);
        count += 1;
        bytes += text.len() - before;
        if text.len() >= PIECE && !send(pieces, std::mem::take(&mut text), TAKES_MAX) {
            return;
        }
    }
    let next = next.map_or_else(|| "null".to_owned(), millis);
    _ = write!(text, "],\"next\":{next}");
    // What has been sent holds; the rest is not told.
    if let Some(why) = failure {
        _ = write!(text, ",\"error\":{}", Value::from(why));
    }
    text.push('}');
    // Whoever has gone misses nothing.
    send(pieces, text, TAKES_MAX);
}

/// Waits until there is room for a piece, on a thread that may wait. False if there is none in time, or nobody wants it.
fn send(pieces: &mpsc::Sender<Bytes>, text: String, within: Duration) -> bool {
    let sent = async { timeout(within, pieces.send(text.into())).await };
    matches!(Handle::current().block_on(sent), Ok(Ok(())))
}

fn push(text: &mut String, entry: &Entry) {
    let (at, qos, retain) = (millis(entry.at), entry.qos as u8, entry.retain);
    _ = write!(text, "{{\"at\":{at},\"qos\":{qos},\"retain\":{retain}");
    if let Some(length) = entry.cut_from {
        _ = write!(text, ",\"length\":{length}");
    }
    _ = match str::from_utf8(&entry.payload) {
        Ok(payload) => write!(text, ",\"payload\":{}}}", Value::from(payload)),
        Err(_) => {
            let payload = BASE64_STANDARD.encode(&entry.payload);
            write!(text, ",\"payloadBase64\":\"{payload}\"}}")
        }
    };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_milliseconds_and_parts_of_them() {
        for (text, expect) in [
            ("0", Some(0)),
            ("1763904000123", Some(1_763_904_000_123_000)),
            ("1763904000123.5", Some(1_763_904_000_123_500)),
            ("1763904000123.456", Some(1_763_904_000_123_456)),
            ("1.2345", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(micros(text), expect, "{text}");
        }
        for at in [0, 5, 1_000, 1_763_904_000_123_450] {
            assert_eq!(micros(&millis(at)), Some(at));
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_is_not_waited_for() {
        let (pieces, mut receiver) = mpsc::channel(1);
        let sending = tokio::task::spawn_blocking(move || {
            ["first", "second"].map(|text| send(&pieces, text.to_owned(), Duration::from_millis(1)))
        });
        assert_eq!(sending.await.expect("no panic"), [true, false]);
        assert_eq!(receiver.recv().await.as_deref(), Some(&b"first"[..]));
        assert_eq!(receiver.recv().await, None);
    }

    /// What is sent of these messages to who may read so many of them.
    async fn answer(found: Vec<Result<Entry, Error>>, limit: usize, readable: usize) -> Value {
        let (pieces, mut receiver) = mpsc::channel(PIECES_MAX);
        let left = AtomicUsize::new(readable);
        let may_read = move || {
            let order = Ordering::Relaxed;
            left.fetch_update(order, order, |left| left.checked_sub(1))
                .is_ok()
        };
        let writing = tokio::task::spawn_blocking(move || {
            write("{".to_owned(), found.into_iter(), limit, may_read, &pieces);
        });
        let mut text = Vec::new();
        while let Some(piece) = receiver.recv().await {
            text.extend_from_slice(&piece);
        }
        writing.await.expect("no panic");
        serde_json::from_slice(&text).expect("JSON")
    }

    #[tokio::test]
    async fn a_right_that_is_taken_away_ends_the_answer() {
        let entry = |at| {
            Ok(Entry {
                at,
                qos: wigwag_proto::Qos::AtMostOnce,
                retain: false,
                payload: b"x".to_vec(),
                cut_from: None,
            })
        };
        let told = |at| json!({ "at": at, "qos": 0, "retain": false, "payload": "x" });
        let all = || vec![entry(1_000), entry(2_000), entry(3_000)];
        assert_eq!(
            answer(all(), 2, 3).await,
            json!({ "messages": [told(1), told(2)], "next": 3 })
        );
        let why = "you may not read this topic any more";
        assert_eq!(
            answer(all(), 3, 1).await,
            json!({ "messages": [told(1)], "next": null, "error": why })
        );
        let broken = vec![entry(1_000), Err(Error::Io("it is torn".to_owned()))];
        assert_eq!(
            answer(broken, 3, 3).await,
            json!({ "messages": [told(1)], "next": null, "error": "it is torn" })
        );
    }

    #[test]
    fn what_is_wrong_with_a_question_is_told() {
        for (query, expect) in [
            ("", "topic=TOPIC is missing"),
            ("topic=a%2F%23", "topic is no Topic Name"),
            (
                "topic=a&from=x",
                "from is \"x\"; allowed: milliseconds since 1970",
            ),
            ("topic=a&limit=0", "limit is \"0\"; allowed: 1 to 10000"),
            (
                "topic=a&limit=10001",
                "limit is \"10001\"; allowed: 1 to 10000",
            ),
        ] {
            let why = Wanted::read(Some(query)).expect_err(query);
            assert!(why.starts_with(expect), "{why}");
        }
        let wanted = Wanted::read(Some("topic=a%2Fb&from=5&to=7.25&limit=3"));
        let expect = Wanted {
            topic: "a/b".to_owned(),
            from: 5_000,
            until: 7_250,
            limit: 3,
        };
        assert_eq!(wanted, Ok(expect));
    }

    #[test]
    fn bytes_that_are_no_text_are_sent_in_base64() {
        let mut entry = Entry {
            at: 1_000,
            qos: wigwag_proto::Qos::AtLeastOnce,
            retain: true,
            payload: b"\"<\xc3\xa9>\"".to_vec(),
            cut_from: None,
        };
        let told = |entry: &Entry| {
            let mut text = String::new();
            push(&mut text, entry);
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        let expect = json!({ "at": 1, "qos": 1, "retain": true, "payload": "\"<é>\"" });
        assert_eq!(told(&entry), expect);
        entry.payload = b"\xc3".to_vec();
        entry.cut_from = Some(70_000);
        let expect =
            json!({ "at": 1, "qos": 1, "retain": true, "length": 70_000, "payloadBase64": "ww==" });
        assert_eq!(told(&entry), expect);
    }
}
