//! Requests and their answers, by Response Topic and Correlation Data.
//!
//! All requests of a client share one inbox: a subscription like any other, declared with the first
//! request and restored when the server loses the session. Its messages are given to whoever waits for
//! them right away, on no handler's time.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use wigwag_proto::packet::SubscriptionOptions;
use wigwag_proto::{Qos, ReasonCode, Version};

use crate::ack::{Finished, Reject, Verdict};
use crate::client::Client;
use crate::core::Token;
use crate::lane::{Rest, Sink};
use crate::mailbox::Sender;
use crate::message::{Message, Publish};
use crate::router::{MountError, Mounting, Order, RouteHandler, Router};
use crate::{Outcome, PublishError, SubscribeError};

/// The time to wait for an answer unless the program says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The levels in front of the client's own level of its inbox.
const INBOX: &str = "wigwag/inbox";

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// MQTT 3.x knows no Response Topic.
    #[error("requests need MQTT 5")]
    Version,
    /// The subscription that answers come by has not been made.
    #[error("the subscription to the inbox failed: {0}")]
    Inbox(#[source] SubscribeError),
    /// The request was not sent.
    #[error(transparent)]
    Publish(PublishError),
    /// The server refused the request.
    #[error("the server refused the request: {0}")]
    Rejected(ReasonCode),
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The client stopped before the answer came.
    #[error("the client has stopped")]
    Stopped,
}

impl From<RequestError> for Reject {
    fn from(error: RequestError) -> Reject {
        Reject::new(ReasonCode::ImplementationSpecificError).text(error.to_string())
    }
}

/// What a client needs for its requests.
pub(crate) struct Requests {
    version: Version,
    topic: Arc<str>,
    state: Mutex<State>,
}

struct State {
    random: fastrand::Rng,
    /// Declared by the first request.
    inbox: Option<Inbox>,
}

#[derive(Clone)]
struct Inbox {
    pending: Arc<Pending>,
    /// The server's answer to the subscription.
    answer: watch::Receiver<Option<Result<(), SubscribeError>>>,
}

type Correlation = [u8; 16];

/// Who waits for which answer. The map is asked, never walked through.
#[derive(Default)]
struct Pending(Mutex<HashMap<Correlation, oneshot::Sender<Message>>>);

impl Pending {
    fn lock(&self) -> MutexGuard<'_, HashMap<Correlation, oneshot::Sender<Message>>> {
        // Nothing that could panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    /// A client that has a name keeps its inbox over restarts, so that a session does not collect them.
    pub(crate) fn new(version: Version, client_id: &str) -> Requests {
        let mut random = fastrand::Rng::new();
        let own = if client_id.is_empty() {
            format!("{:016x}", random.u64(..))
        } else {
            encode_level(client_id)
        };
        Requests {
            version,
            topic: format!("{INBOX}/{own}").into(),
            state: Mutex::new(State {
                random,
                inbox: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to the inbox, unless that has been done and not been refused.
    fn declare(&self, client: &Client) -> Inbox {
        let mut state = self.lock();
        if let Some(inbox) = &state.inbox
            && !matches!(&*inbox.answer.borrow(), Some(Err(_)))
        {
            return inbox.clone();
        }
        let pending = Arc::new(Pending::default());
        let options = SubscriptionOptions {
            qos: Qos::ExactlyOnce,
            ..SubscriptionOptions::default()
        };
        let sink = Box::new(InboxSink(pending.clone()));
        let (subscribing, _) = client.subscribe_sink(self.topic.clone(), options, sink);
        let (sender, answer) = watch::channel(None);
        tokio::spawn(async move {
            let answer = subscribing.await.map(drop);
            sender.send_replace(Some(answer));
        });
        state.inbox.insert(Inbox { pending, answer }).clone()
    }

    /// Makes up Correlation Data that no other request of this client has.
    fn expect(&self, client: &Client, inbox: &Inbox) -> Expected {
        let (sender, reply) = oneshot::channel();
        let mut state = self.lock();
        let mut pending = inbox.pending.lock();
        let correlation = loop {
            let correlation = state.random.u128(..).to_be_bytes();
            if !pending.contains_key(&correlation) {
                break correlation;
            }
        };
        pending.insert(correlation, sender);
        client.await_reply(true);
        Expected {
            client: client.clone(),
            pending: inbox.pending.clone(),
            correlation,
            reply,
        }
    }
}

/// A Client Identifier as one level of a Topic Name.
fn encode_level(client_id: &str) -> String {
    let mut level = String::with_capacity(client_id.len());
    for char in client_id.chars() {
        match char {
            '/' => level.push_str("%2F"),
            '+' => level.push_str("%2B"),
            '#' => level.push_str("%23"),
            '%' => level.push_str("%25"),
            other => level.push(other),
        }
    }
    level
}

/// The end of the inbox in the background task.
struct InboxSink(Arc<Pending>);

impl Sink for InboxSink {
    fn deliver(&mut self, message: Message, token: Token, finished: &Sender<Finished>) {
        let correlation = message.correlation_data();
        let correlation = correlation.and_then(|data| Correlation::try_from(data).ok());
        let waiting = correlation.and_then(|correlation| self.0.lock().remove(&correlation));
        match waiting {
            // Whoever has given up in this moment does not want it.
            Some(waiting) => drop(waiting.send(message)),
            None => tracing::debug!("an answer came that nobody waits for"),
        }
        let verdict = Verdict::Accepted;
        let _ = finished.send(Finished { token, verdict });
    }
}

impl Drop for InboxSink {
    fn drop(&mut self) {
        // No answer will come any more; who waits for one hears of it.
        self.0.lock().clear();
    }
}

/// An answer that is waited for.
struct Expected {
    client: Client,
    pending: Arc<Pending>,
    correlation: Correlation,
    reply: oneshot::Receiver<Message>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.correlation);
        self.client.await_reply(false);
    }
}

/// A request; made by [`Client::request`] and sent when it is awaited.
///
/// Dropping it gives the answer up. Once it has been polled, the request may have been sent.
#[must_use = "a request is sent when it is awaited"]
pub struct Request {
    client: Client,
    publish: Publish,
    timeout: Duration,
}

impl Request {
    /// Sets the longest time from the first poll to the answer. The request expires with it, so nobody
    /// answers what nobody waits for. Default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Request {
        self.timeout = timeout;
        self
    }

    /// Sets the QoS of the request; those who serve answer at the same. Default: QoS 1, which survives
    /// reconnects.
    pub fn qos(mut self, qos: Qos) -> Request {
        self.publish = self.publish.qos(qos);
        self
    }

    /// Says what the payload is.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Request {
        self.publish = self.publish.content_type(content_type);
        self
    }

    /// Adds a User Property.
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.publish = self.publish.user_property(name, value);
        self
    }

    async fn run(self) -> Result<Message, RequestError> {
        let timeout = self.timeout;
        let answered = tokio::time::timeout(timeout, self.exchange()).await;
        answered.unwrap_or(Err(RequestError::Timeout(timeout)))
    }

    async fn exchange(self) -> Result<Message, RequestError> {
        let requests = self.client.requests();
        if !requests.version.has_properties() {
            return Err(RequestError::Version);
        }
        let mut inbox = requests.declare(&self.client);
        // Before the request leaves: the answer may be faster than the acknowledgement.
        let mut expected = requests.expect(&self.client, &inbox);
        let publish = self
            .publish
            .response_topic(&*requests.topic)
            .correlation_data(expected.correlation.to_vec())
            .message_expiry(self.timeout);
        let mut publishing = Some(self.client.publish(publish));
        let mut refusal = pin!(async move {
            let refused = inbox
                .answer
                .wait_for(|answer| matches!(answer, Some(Err(_))));
            refused.await.ok().and_then(|answer| answer.clone()?.err())
        });
        let mut may_be_refused = true;
        poll_fn(|cx| {
            if let Poll::Ready(reply) = Pin::new(&mut expected.reply).poll(cx) {
                return Poll::Ready(reply.map_err(|_| RequestError::Stopped));
            }
            if let Some(own) = &mut publishing
                && let Poll::Ready(outcome) = Pin::new(own).poll(cx)
            {
                publishing = None;
                check_sent(outcome)?;
            }
            if may_be_refused && let Poll::Ready(error) = refusal.as_mut().poll(cx) {
                may_be_refused = false;
                if let Some(error) = error {
                    return Poll::Ready(Err(RequestError::Inbox(error)));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Whether an answer can still be hoped for.
fn check_sent(outcome: Result<Outcome, PublishError>) -> Result<(), RequestError> {
    match outcome {
        // Indeterminate: it may have arrived, and its answer may come.
        Ok(Outcome::Delivered | Outcome::Indeterminate(_)) => Ok(()),
        Ok(Outcome::Rejected(reason)) => Err(RequestError::Rejected(reason)),
        Err(PublishError::Stopped) => Err(RequestError::Stopped),
        Err(error) => Err(RequestError::Publish(error)),
    }
}

impl IntoFuture for Request {
    type Output = Result<Message, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("publish", &self.publish)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// An answer to a request.
#[derive(Clone, Debug)]
#[must_use = "an answer is returned by the handler"]
pub struct Reply(Publish);

impl Reply {
    /// An answer with this payload.
    pub fn new(payload: impl Into<Bytes>) -> Reply {
        Reply(Publish::new("", payload))
    }

    /// Says what the payload is.
    pub fn content_type(self, content_type: impl Into<String>) -> Reply {
        Reply(self.0.content_type(content_type))
    }

    /// Adds a User Property.
    pub fn user_property(self, name: impl Into<String>, value: impl Into<String>) -> Reply {
        Reply(self.0.user_property(name, value))
    }
}

/// What a handler of [`Router::serve`] may return.
pub trait IntoReply: Send + 'static {
    /// The answer, or why there is none.
    fn into_reply(self) -> Result<Reply, Reject>;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply, Reject> {
        Ok(self)
    }
}

macro_rules! impl_into_reply {
    ($($payload:ty)*) => {
        $(impl IntoReply for $payload {
            fn into_reply(self) -> Result<Reply, Reject> {
                Ok(Reply::new(self))
            }
        })*
    };
}

impl_into_reply!(Bytes Vec<u8> String &'static str &'static [u8]);

impl<T: IntoReply, E: Into<Reject> + Send + 'static> IntoReply for Result<T, E> {
    fn into_reply(self) -> Result<Reply, Reject> {
        self.map_err(Into::into)?.into_reply()
    }
}

#[cfg(feature = "json")]
impl<T: serde::Serialize + Send + 'static> IntoReply for crate::extract::Json<T> {
    fn into_reply(self) -> Result<Reply, Reject> {
        match serde_json::to_vec(&self.0) {
            Ok(payload) => Ok(Reply::new(payload).content_type("application/json")),
            Err(error) => {
                let reject = Reject::new(ReasonCode::ImplementationSpecificError);
                Err(reject.text(format!("the answer cannot be written as JSON: {error}")))
            }
        }
    }
}

impl Message {
    /// Where an answer goes; `None` when the sender expects none.
    fn address(&self, reply: Reply) -> Option<Publish> {
        let publish = reply.0.topic_name(self.response_topic()?).qos(self.qos());
        Some(match self.correlation_data() {
            Some(data) => publish.correlation_data(data.to_vec()),
            None => publish,
        })
    }
}

impl<S: Send + Sync + 'static> Router<S> {
    /// Adds a handler whose result answers a request: it is published on the Response Topic of the
    /// message, with its Correlation Data and at its QoS. The request is acknowledged after the server
    /// has taken the answer over.
    ///
    /// A message without a Response Topic is handled, too; nobody gets the answer. An error becomes a
    /// [`Reject`]: only the server hears of it, and whoever asked waits in vain. What they should know
    /// belongs into the answer.
    pub fn serve<T, H>(self, pattern: impl Into<String>, handler: H) -> Router<S>
    where
        H: RouteHandler<T, S, Future: Future<Output: IntoReply>>,
    {
        let endpoint = Box::new(move |parts: &mut crate::extract::Parts<'_, S>| {
            let future = handler.call(parts)?;
            let message = parts.message().clone();
            let client = parts.client().downgrade();
            let rest: Rest = Box::pin(async move {
                let reply = future.await.into_reply()?;
                let publish = message.address(reply);
                let publishing = publish.zip(client.upgrade());
                let publishing = publishing.map(|(publish, client)| client.publish(publish));
                match publishing {
                    None => Ok(()),
                    Some(publishing) => match publishing.await? {
                        Outcome::Rejected(reason) => Err(reason.into()),
                        Outcome::Delivered | Outcome::Indeterminate(_) => Ok(()),
                    },
                }
            });
            Ok(rest)
        });
        self.route(pattern.into(), None, endpoint)
    }
}

impl Client {
    /// Asks for an answer: publishes to `topic` with a Response Topic, and resolves to the message that
    /// comes back. MQTT 5 only.
    ///
    /// Answers come by a subscription to `wigwag/inbox/` and the Client Identifier (a random number for
    /// a client without one; `/`, `+`, `#` and `%` are percent-encoded), made with the first request.
    /// Requests and answers survive reconnects. What tells answers apart is random, but no secret.
    ///
    /// Nothing happens before the first poll. Dropping the future after it gives the answer up; the
    /// request may have been sent.
    pub fn request(&self, topic: impl Into<Box<str>>, payload: impl Into<Bytes>) -> Request {
        Request {
            client: self.clone(),
            publish: Publish::new(topic, payload).qos(Qos::AtLeastOnce),
            timeout: TIMEOUT,
        }
    }

    /// Answers requests to topics that the pattern matches: a [`Router`] with one
    /// [`Router::serve`], in no particular order, at QoS 1.
    pub fn serve<T, H>(
        &self,
        pattern: impl Into<String>,
        handler: H,
    ) -> Result<Mounting, MountError>
    where
        H: RouteHandler<T, (), Future: Future<Output: IntoReply>>,
    {
        let router = Router::new().ordered_by(Order::None);
        self.mount(router.serve(pattern, handler), Qos::AtLeastOnce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_is_one_topic_for_each_client_id() {
        let topic = |client_id| Requests::new(Version::V5, client_id).topic;
        assert_eq!(&*topic("device-7"), "wigwag/inbox/device-7");
        assert_eq!(&*topic("a/+#%2F"), "wigwag/inbox/a%2F%2B%23%252F");
        assert_ne!(topic(""), topic(""));
    }
}
