//! Handlers, and the lanes they run on.
//!
//! Each subscription has a lane: a task that runs its handler on one message after the other, in the
//! order of arrival. A handler may therefore wait for whatever it likes, an acknowledgement of its own
//! publish included, without holding the connection up. How many messages may wait is the core's
//! business. Routers and streams are other kinds of [`Sink`].

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use crate::ack::{Finished, IntoVerdict, Reject, Verdict};
use crate::core::Token;
use crate::mailbox::{self, Receiver, Sender};
use crate::message::Message;

/// The rest of a handler's work.
pub(crate) type Rest = Pin<Box<dyn Future<Output = Result<(), Reject>> + Send>>;

/// How a handler says that it has finished.
pub mod handled {
    use super::Rest;
    use crate::Reject;

    /// By returning.
    #[derive(Debug)]
    pub enum AtReturn {}
    /// By completing the future that it returns.
    #[derive(Debug)]
    pub enum AtCompletion {}

    /// What a handler has returned.
    pub struct Returned(pub(crate) Result<Result<(), Reject>, Rest>);

    impl std::fmt::Debug for Returned {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Returned").finish_non_exhaustive()
        }
    }
}

use handled::Returned;

/// What a handler may return: `()`, a `Result` whose error becomes a [`Reject`], or a future of either.
///
/// `M` keeps the cases apart and is inferred.
pub trait Handled<M>: Send + 'static {
    /// What is left to do, if anything.
    fn into_returned(self) -> Returned;
}

impl Handled<handled::AtReturn> for () {
    fn into_returned(self) -> Returned {
        Returned(Ok(Ok(())))
    }
}

impl<E: Into<Reject> + Send + 'static> Handled<handled::AtReturn> for Result<(), E> {
    fn into_returned(self) -> Returned {
        Returned(Ok(self.into_verdict()))
    }
}

impl<F> Handled<handled::AtCompletion> for F
where
    F: Future<Output: IntoVerdict> + Send + 'static,
{
    fn into_returned(self) -> Returned {
        Returned(Err(Box::pin(async move { self.await.into_verdict() })))
    }
}

/// A handler whose type has been forgotten.
pub(crate) trait Handler: Send + Sync {
    fn handle(&self, message: Message) -> Returned;
}

struct Erased<F, M> {
    handler: F,
    marker: PhantomData<fn() -> M>,
}

impl<F, H, M> Handler for Erased<F, M>
where
    F: Fn(Message) -> H + Send + Sync,
    H: Handled<M>,
{
    fn handle(&self, message: Message) -> Returned {
        (self.handler)(message).into_returned()
    }
}

pub(crate) fn erase<F, H, M>(handler: F) -> Arc<dyn Handler>
where
    F: Fn(Message) -> H + Send + Sync + 'static,
    H: Handled<M>,
    M: 'static,
{
    Arc::new(Erased {
        handler,
        marker: PhantomData,
    })
}

/// Where the messages of a subscription go. It lives in the background task and must not block it.
/// Dropped, it will get no further message.
pub(crate) trait Sink: Send {
    /// Takes the message; `finished` hears when it has been handled.
    fn deliver(&mut self, message: Message, token: Token, finished: &Sender<Finished>);
}

/// The lane of one subscription. Its task begins with the first message and ends, after the last, when
/// the lane is dropped.
pub(crate) struct Lane {
    filter: Arc<str>,
    handler: Arc<dyn Handler>,
    messages: Option<Sender<(Message, Token)>>,
}

impl Lane {
    pub(crate) fn new(filter: Arc<str>, handler: Arc<dyn Handler>) -> Lane {
        Lane {
            filter,
            handler,
            messages: None,
        }
    }
}

impl Sink for Lane {
    fn deliver(&mut self, message: Message, token: Token, finished: &Sender<Finished>) {
        let messages = self.messages.get_or_insert_with(|| {
            let (sender, receiver) = mailbox::channel();
            let (filter, handler) = (self.filter.clone(), self.handler.clone());
            tokio::spawn(run(filter, handler, receiver, finished.clone()));
            sender
        });
        // Fails only when the runtime is shutting down and has dropped the lane's task.
        let _ = messages.send((message, token));
    }
}

async fn run(
    filter: Arc<str>,
    handler: Arc<dyn Handler>,
    mut messages: Receiver<(Message, Token)>,
    finished: Sender<Finished>,
) {
    while let Some((message, token)) = messages.recv().await {
        let verdict = match catch(|| handler.handle(message)).await {
            Ok(result) => Verdict::new(result, &filter),
            Err(Panicked) => Verdict::Panicked(filter.clone()),
        };
        if finished.send(Finished { token, verdict }).is_err() {
            // The client has stopped; nobody will acknowledge what is left.
            return;
        }
    }
}

pub(crate) struct Panicked;

/// Runs a handler. A panic in it must not take the messages behind it down.
pub(crate) async fn catch(
    handle: impl FnOnce() -> Returned,
) -> Result<Result<(), Reject>, Panicked> {
    let returned = catch_unwind(AssertUnwindSafe(handle)).map_err(|_| Panicked)?;
    let mut rest = match returned.0 {
        Ok(result) => return Ok(result),
        Err(rest) => rest,
    };
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| rest.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        },
    )
    .await
}
