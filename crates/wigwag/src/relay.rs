//! WebSockets beside the page for brokers that a browser cannot reach itself: what comes there goes byte for byte to
//! the broker, and what the broker says goes back. Knows nothing of packets, and of brokers only those of the command
//! line: a browser names one of them by its number, never an address.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::routing::any;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wigwag_client::Bytes;
use wigwag_client::wire::{Opener, Stream as ToBroker};

use crate::output::with_causes;

/// Connections that are relayed at the same time, of all brokers: a page has two to each that it shows.
const RELAYS_MAX: usize = 256;

/// How long a broker may take to accept a connection. The page gives up after ten seconds, and is to hear why.
const DIAL_WITHIN: Duration = Duration::from_secs(8);

/// The largest frame that is taken of a browser, which is held as a whole.
const FRAME_LEN_MAX: usize = 16 * 1024 * 1024;

/// What is read at once of a broker, and sent as one frame.
const CHUNK_LEN: usize = 64 * 1024;

/// What fits into a close frame beside its code.
const REASON_LEN_MAX: usize = 123;

/// The subprotocol of MQTT.
const SUBPROTOCOL: &str = "mqtt";

#[derive(Clone)]
struct Relay {
    opener: Arc<Opener>,
    places: Arc<Semaphore>,
}

/// Where the page finds the relay of the nth broker, seen from its base.
pub(crate) fn path(number: usize) -> String {
    format!("mqtt/{number}")
}

/// A relay for each numbered broker, for whoever asks: whose pages may is decided in front of it.
pub(crate) fn router(openers: impl IntoIterator<Item = (usize, Opener)>) -> Router {
    let places = Arc::new(Semaphore::new(RELAYS_MAX));
    let mut router = Router::new();
    for (number, opener) in openers {
        let relay = Relay {
            opener: Arc::new(opener),
            places: Arc::clone(&places),
        };
        let route = any(upgrade).with_state(relay);
        router = router.route(&format!("/{}", path(number)), route);
    }
    router
}

async fn upgrade(State(relay): State<Relay>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(FRAME_LEN_MAX)
        .max_frame_size(FRAME_LEN_MAX)
        .on_upgrade(async move |socket| serve(socket, &relay).await)
}

async fn serve(browser: WebSocket, relay: &Relay) {
    let Ok(_place) = relay.places.try_acquire() else {
        let reason = format!("{RELAYS_MAX} connections go through this server, which is its bound");
        close(browser, close_code::AGAIN, &reason).await;
        return;
    };
    match timeout(DIAL_WITHIN, relay.opener.open()).await {
        Ok(Ok(broker)) => carry(browser, broker).await,
        Ok(Err(error)) => close(browser, close_code::ERROR, &with_causes(&error)).await,
        Err(_) => {
            let seconds = DIAL_WITHIN.as_secs();
            let reason = format!("the broker has not accepted a connection within {seconds} s");
            close(browser, close_code::ERROR, &reason).await;
        }
    }
}

async fn close(mut browser: WebSocket, code: u16, reason: &str) {
    let farewell = async {
        browser.send(Message::Close(end(code, reason))).await?;
        // The browser answers; to cut the connection before would take the reason with it.
        while browser.recv().await.transpose()?.is_some() {}
        Ok::<(), axum::Error>(())
    };
    let _ = timeout(DIAL_WITHIN, farewell).await;
}

/// Both ways until one of them ends. Each waits for room on its other side, so a slow one is not run over.
async fn carry(browser: WebSocket, broker: ToBroker) {
    let (mut to_browser, from_browser) = browser.split();
    let (from_broker, to_broker) = tokio::io::split(broker);
    let end = tokio::select! {
        end = forth(from_browser, to_broker) => end,
        end = back(from_broker, &mut to_browser) => end,
    };
    // Whoever has gone does not listen any more.
    let _ = timeout(DIAL_WITHIN, to_browser.send(Message::Close(end))).await;
}

/// The frame to end with, if anything is to be said.
type End = Option<CloseFrame>;

fn end(code: u16, reason: &str) -> End {
    let mut len = reason.len().min(REASON_LEN_MAX);
    while !reason.is_char_boundary(len) {
        len -= 1;
    }
    let reason = reason.get(..len).unwrap_or_default().into();
    Some(CloseFrame { code, reason })
}

async fn forth(
    mut browser: impl Stream<Item = Result<Message, axum::Error>> + Unpin,
    mut broker: impl AsyncWrite + Unpin,
) -> End {
    while let Some(Ok(message)) = browser.next().await {
        match message {
            Message::Binary(bytes) => {
                if write(&mut broker, &bytes).await.is_err() {
                    // It may have said why, which is still to be read, as long as somebody wants to know.
                    while let Some(Ok(_)) = browser.next().await {}
                    return None;
                }
            }
            // [MQTT-6.0.0-1]
            Message::Text(_) => return end(close_code::UNSUPPORTED, "MQTT needs binary frames"),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => break,
        }
    }
    let _ = broker.shutdown().await;
    None
}

async fn write(broker: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    broker.write_all(bytes).await?;
    broker.flush().await
}

async fn back(
    mut broker: impl AsyncRead + Unpin,
    browser: &mut (impl Sink<Message, Error = axum::Error> + Unpin),
) -> End {
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        match broker.read(&mut chunk).await {
            Ok(0) => return end(close_code::NORMAL, "the broker has closed the connection"),
            Ok(count) => {
                let bytes = Bytes::copy_from_slice(chunk.get(..count).unwrap_or_default());
                browser.send(Message::Binary(bytes)).await.ok()?;
            }
            Err(error) => {
                let reason = format!("the connection to the broker has failed: {error}");
                return end(close_code::ERROR, &reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_to_what_a_close_frame_holds() {
        let said = |reason: &str| end(1000, reason).expect("a frame").reason.len();
        assert_eq!(said("short"), 5);
        assert_eq!(said(&"é".repeat(100)), 122);
    }

    #[tokio::test]
    async fn a_browser_that_goes_after_its_broker_leaves_nothing_behind() {
        let (broker, gone) = tokio::io::duplex(1);
        drop(gone);
        let browser = ["a", "b"].map(|text| Ok(Message::Binary(text.into())));
        let end = forth(futures_util::stream::iter(browser), broker);
        let end = timeout(DIAL_WITHIN, end).await.expect("it ends");
        assert!(end.is_none());
    }
}
