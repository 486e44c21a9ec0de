//! Enhanced authentication: who speaks an Authentication Method, and how its steps are run.
//!
//! When it is whose turn is decided in `core::authentication`; this file makes authenticators and runs
//! them where they may take their time. Nothing here knows a method.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::connect::Attempt;
use crate::state::OfflineReason;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Making = Pin<Box<dyn Future<Output = Result<Box<dyn Authenticator>, BoxError>> + Send>>;

pub(crate) type Maker = Arc<dyn Fn(Attempt) -> Making + Send + Sync>;

/// The client's side of one enhanced authentication: of one attempt to connect, or of one
/// [re-authentication](crate::Client::reauthenticate).
///
/// [`Builder::authenticator`](crate::Builder::authenticator) says where it comes from. MQTT 5 only.
///
/// The methods are called in the order in which they stand here, on a thread where they may compute and
/// block. Their time counts towards the connect timeout; when that is over, or the connection is, the
/// authenticator is dropped as soon as the method that runs has returned; a runtime that shuts down waits
/// for that too. An error ends the connection, which the server is told with 0x80; its text becomes
/// [`OfflineReason::Authentication`] and should hold no secret.
pub trait Authenticator: Send + 'static {
    /// The Authentication Method, in the words that the server knows. It must stay the same.
    fn method(&self) -> &str;

    /// The Authentication Data of the CONNECT, or of the AUTH that begins a re-authentication; `None` for
    /// none.
    fn start(&mut self) -> Result<Option<Bytes>, BoxError>;

    /// Answers the Authentication Data of an AUTH of the server, as often as the method wants.
    fn proceed(&mut self, data: Option<Bytes>) -> Result<Option<Bytes>, BoxError>;

    /// The server has accepted: `data` came with its CONNACK, or with the AUTH that ends a
    /// re-authentication. In a method in which the server proves itself, `Ok` says that it has: until then
    /// nothing else leaves the client, and nothing is delivered.
    fn finish(&mut self, data: Option<Bytes>) -> Result<(), BoxError>;
}

/// Why a client has not authenticated again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReauthenticateError {
    /// [`Builder::authenticator`](crate::Builder::authenticator) has not been called.
    #[error("the client was built without an Authenticator")]
    NotConfigured,
    /// There is no connection. The next one authenticates anyway.
    #[error("there is no connection")]
    Offline,
    /// The last re-authentication has not ended.
    #[error("another re-authentication is under way")]
    UnderWay,
    /// There was no Authenticator, or it did not begin. Nothing was sent, and the connection goes on as it
    /// is.
    #[error("the Authenticator did not begin: {0}")]
    Authenticator(Arc<str>),
    /// The Authenticator speaks another method than the one of the connection, which must stay the same.
    /// Nothing was sent, and the connection goes on as it is.
    #[error(
        "the connection was made with the method '{connected}', the Authenticator speaks '{offered}'"
    )]
    Method {
        /// The Authentication Method of the CONNECT.
        connected: Arc<str>,
        /// The one of the Authenticator.
        offered: Arc<str>,
    },
    /// The connection has ended, perhaps for this very reason. `[MQTT-4.12.1-2]`
    #[error("the connection ended before the re-authentication was accepted: {0}")]
    Ended(OfflineReason),
    /// The client has stopped.
    #[error("the client has stopped")]
    Stopped,
}

/// The outcome of a re-authentication; returned by
/// [`Client::reauthenticate`](crate::Client::reauthenticate). Dropping it changes nothing.
pub struct Reauthenticating(pub(crate) oneshot::Receiver<Result<(), ReauthenticateError>>);

impl Future for Reauthenticating {
    type Output = Result<(), ReauthenticateError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(answer.unwrap_or(Err(ReauthenticateError::Stopped)))
    }
}

impl fmt::Debug for Reauthenticating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reauthenticating").finish_non_exhaustive()
    }
}

/// The first words of an authentication.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FirstWords {
    pub(crate) method: Arc<str>,
    pub(crate) data: Option<Bytes>,
}

/// What the authenticator has to do.
pub(crate) enum Step {
    /// Another one, for a re-authentication, is to be made and to begin.
    Begin,
    Proceed(Option<Bytes>),
    Finish(Option<Bytes>),
}

/// Without the data.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Begin => "Begin",
            Step::Proceed(_) => "Proceed",
            Step::Finish(_) => "Finish",
        })
    }
}

/// What it has done.
pub(crate) enum Reply {
    Begun(FirstWords),
    Proceeded(Option<Bytes>),
    Finished,
}

/// Makes an authenticator and lets it begin.
pub(crate) async fn begin(
    maker: Maker,
    attempt: Attempt,
) -> Result<(Box<dyn Authenticator>, FirstWords), Arc<str>> {
    let authenticator = maker(attempt).await.map_err(|error| text(&error))?;
    let start = |authenticator: &mut dyn Authenticator| {
        let data = authenticator.start()?;
        let method = authenticator.method().into();
        Ok(FirstWords { method, data })
    };
    run(authenticator, start).await
}

async fn step(
    authenticator: Box<dyn Authenticator>,
    step: Step,
) -> Result<(Box<dyn Authenticator>, Reply), Arc<str>> {
    let take = |authenticator: &mut dyn Authenticator| match step {
        Step::Proceed(data) => authenticator.proceed(data).map(Reply::Proceeded),
        Step::Finish(data) => authenticator.finish(data).map(|()| Reply::Finished),
        Step::Begin => Err("it has begun already".into()),
    };
    run(authenticator, take).await
}

/// Runs a step on a thread where it may take its time.
async fn run<T: Send + 'static>(
    mut authenticator: Box<dyn Authenticator>,
    step: impl FnOnce(&mut dyn Authenticator) -> Result<T, BoxError> + Send + 'static,
) -> Result<(Box<dyn Authenticator>, T), Arc<str>> {
    let running = tokio::task::spawn_blocking(move || {
        let result = step(&mut *authenticator);
        (authenticator, result)
    });
    match running.await {
        Ok((authenticator, Ok(done))) => Ok((authenticator, done)),
        Ok((_, Err(error))) => Err(text(&error)),
        Err(_) => Err("the Authenticator panicked".into()),
    }
}

fn text(error: &BoxError) -> Arc<str> {
    crate::task::with_sources(error.as_ref()).into()
}

type Running =
    Pin<Box<dyn Future<Output = Result<(Box<dyn Authenticator>, Reply), Arc<str>>> + Send>>;

/// The authenticator of the connection, between its steps or at one of them.
#[derive(Default)]
pub(crate) enum Exchange {
    #[default]
    None,
    Waiting(Box<dyn Authenticator>),
    Running(Running),
}

impl Exchange {
    /// The authenticator has begun with the CONNECT.
    pub(crate) fn new(authenticator: Option<Box<dyn Authenticator>>) -> Exchange {
        authenticator.map_or(Exchange::None, Exchange::Waiting)
    }

    /// Makes another authenticator, for a re-authentication.
    pub(crate) fn begin(&mut self, maker: Maker, attempt: Attempt) {
        *self = Exchange::Running(Box::pin(async move {
            let (authenticator, words) = begin(maker, attempt).await?;
            Ok((authenticator, Reply::Begun(words)))
        }));
    }

    /// Begins a step of the authenticator that waits for one.
    pub(crate) fn take(&mut self, next: Step) {
        if let Exchange::Waiting(authenticator) = std::mem::take(self) {
            *self = Exchange::Running(Box::pin(step(authenticator, next)));
        }
    }

    /// What the authenticator has to say, or why it gives up. Pending while it has not been asked.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Arc<str>>> {
        let Exchange::Running(running) = self else {
            return Poll::Pending;
        };
        let result = ready!(running.as_mut().poll(cx));
        *self = Exchange::None;
        Poll::Ready(result.map(|(authenticator, reply)| {
            if !matches!(reply, Reply::Finished) {
                *self = Exchange::Waiting(authenticator);
            }
            reply
        }))
    }
}
