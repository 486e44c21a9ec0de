//! Extractors: what a handler of a router asks for, taken from the message and what surrounds it.
//!
//! An extractor that cannot give what its handler asks for rejects the message; the handler is not
//! called.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use wigwag_proto::ReasonCode;

use crate::ack::{AckToken, Reject};
use crate::client::Client;
use crate::message::Message;

/// A message, and what surrounds it.
pub struct Parts<'a, S> {
    pub(crate) message: &'a Message,
    pub(crate) captured: &'a [(&'a str, &'a str)],
    pub(crate) state: &'a S,
    pub(crate) client: &'a Client,
    pub(crate) ack: &'a mut Option<AckToken>,
}

impl<S> Parts<'_, S> {
    /// The message.
    pub const fn message(&self) -> &Message {
        self.message
    }

    /// What the capture of this name stands for.
    pub fn capture(&self, name: &str) -> Option<&str> {
        let captured = self.captured.iter().find(|(own, _)| *own == name)?;
        Some(captured.1)
    }

    /// The router's state.
    pub const fn state(&self) -> &S {
        self.state
    }

    /// The client that has received the message.
    pub const fn client(&self) -> &Client {
        self.client
    }
}

impl<S> std::fmt::Debug for Parts<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("message", self.message)
            .finish_non_exhaustive()
    }
}

/// Something that a handler can ask for.
///
/// Extractors run in the order of the handler's arguments; the first that fails decides.
pub trait FromMessage<S>: Sized {
    /// Takes it, or says why the message is not for this handler.
    fn from_message(parts: &mut Parts<'_, S>) -> Result<Self, Reject>;
}

/// The whole message.
impl<S> FromMessage<S> for Message {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<Message, Reject> {
        Ok(parts.message.clone())
    }
}

/// The payload.
impl<S> FromMessage<S> for Bytes {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<Bytes, Reject> {
        Ok(parts.message.payload().clone())
    }
}

/// The payload as text; rejected with [`ReasonCode::PayloadFormatInvalid`] if it is not UTF-8.
impl<S> FromMessage<S> for String {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<String, Reject> {
        let text = str::from_utf8(parts.message.payload());
        text.map(str::to_owned)
            .map_err(|error| Reject::payload(format!("the payload is no text: {error}")))
    }
}

/// A handle of the client that has received the message.
impl<S> FromMessage<S> for Client {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<Client, Reject> {
        Ok(parts.client.clone())
    }
}

/// The duty to settle the message: what the handler returns says nothing then. It should be the last
/// argument: when an extractor behind it fails, the message counts as not settled.
impl<S> FromMessage<S> for AckToken {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<AckToken, Reject> {
        let taken = || Reject::from(ReasonCode::ImplementationSpecificError);
        parts
            .ack
            .take()
            .ok_or_else(|| taken().text("the handler asks for two AckTokens"))
    }
}

/// What another extractor gives, or why it cannot: the handler decides.
impl<S, T: FromMessage<S>> FromMessage<S> for Result<T, Reject> {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<Result<T, Reject>, Reject> {
        Ok(T::from_message(parts))
    }
}

/// The state of the router.
#[derive(Clone, Copy, Debug)]
pub struct State<S>(pub S);

impl<S: Clone> FromMessage<S> for State<S> {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<State<S>, Reject> {
        Ok(State(parts.state.clone()))
    }
}

/// What the captures of the pattern stand for: one value, a tuple in their order, or a struct by their
/// names. Rejected with [`ReasonCode::TopicNameInvalid`] if they are not of the wanted types.
#[derive(Clone, Copy, Debug)]
pub struct Captures<T>(pub T);

impl<S, T: DeserializeOwned> FromMessage<S> for Captures<T> {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<Captures<T>, Reject> {
        let value = crate::captures::from_captures(parts.captured);
        value
            .map(Captures)
            .map_err(|error| Reject::new(ReasonCode::TopicNameInvalid).text(error.to_string()))
    }
}

/// The Topic Name.
#[derive(Clone, Debug)]
pub struct Topic(pub String);

impl<S> FromMessage<S> for Topic {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<Topic, Reject> {
        Ok(Topic(parts.message.topic().to_owned()))
    }
}

/// The User Properties in their order.
#[derive(Clone, Debug)]
pub struct UserProperties(pub Vec<(String, String)>);

impl<S> FromMessage<S> for UserProperties {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<UserProperties, Reject> {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let pairs = parts.message.user_properties().map(own);
        Ok(UserProperties(pairs.collect()))
    }
}

/// The payload as a JSON value; rejected with [`ReasonCode::PayloadFormatInvalid`] if it is none. As an
/// answer of [`Router::serve`](crate::Router::serve), a value to write as JSON.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

#[cfg(feature = "json")]
impl<S, T: DeserializeOwned> FromMessage<S> for Json<T> {
    fn from_message(parts: &mut Parts<'_, S>) -> Result<Json<T>, Reject> {
        let value = serde_json::from_slice(parts.message.payload());
        value.map(Json).map_err(|error| {
            // The message of the error may quote the payload.
            let (line, column) = (error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => "other JSON than expected",
                _ => "no JSON",
            };
            Reject::payload(format!(
                "the payload is {what}, from line {line}, column {column}"
            ))
        })
    }
}
