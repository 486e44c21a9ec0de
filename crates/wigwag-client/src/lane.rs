//! Handlers, and the lanes they run on.
//!
//! Each subscription has a lane: a task that runs its handler on one message after the other, in the
//! order of arrival. A handler may therefore wait for whatever it likes, an acknowledgement of its own
//! publish included, without holding the connection up. How many messages may wait is the core's
//! business.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::mpsc;

use crate::core::Token;
use crate::message::Message;

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a handler says that it has finished.
pub mod handled {
    /// By returning.
    #[derive(Debug)]
    pub enum AtReturn {}
    /// By completing the future that it returns.
    #[derive(Debug)]
    pub enum AtCompletion {}
}

/// What a handler may return: `()`, or a future of `()`.
///
/// `M` keeps the two cases apart and is inferred.
pub trait Handled<M>: Send + 'static {
    /// What is left to do, if anything.
    fn into_rest(self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>>;
}

impl Handled<handled::AtReturn> for () {
    fn into_rest(self) -> Option<BoxFuture> {
        None
    }
}

impl<F: Future<Output = ()> + Send + 'static> Handled<handled::AtCompletion> for F {
    fn into_rest(self) -> Option<BoxFuture> {
        Some(Box::pin(self))
    }
}

/// A handler whose type has been forgotten.
pub(crate) trait Handler: Send + Sync {
    fn handle(&self, message: Message) -> Option<BoxFuture>;
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
    fn handle(&self, message: Message) -> Option<BoxFuture> {
        (self.handler)(message).into_rest()
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

/// A handler has finished with a message.
pub(crate) struct Finished {
    pub(crate) token: Token,
    /// The filter of a handler that panicked.
    pub(crate) panicked: Option<Arc<str>>,
}

/// The lane of one subscription. Its task begins with the first message and ends, after the last, when
/// the lane is dropped.
pub(crate) struct Lane {
    filter: Arc<str>,
    handler: Arc<dyn Handler>,
    messages: Option<mpsc::UnboundedSender<(Message, Token)>>,
}

impl Lane {
    pub(crate) fn new(filter: Arc<str>, handler: Arc<dyn Handler>) -> Lane {
        Lane {
            filter,
            handler,
            messages: None,
        }
    }

    /// Queues the message; `finished` hears when it has been handled.
    pub(crate) fn deliver(
        &mut self,
        message: Message,
        token: Token,
        finished: &mpsc::UnboundedSender<Finished>,
    ) {
        let messages = self.messages.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
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
    mut messages: mpsc::UnboundedReceiver<(Message, Token)>,
    finished: mpsc::UnboundedSender<Finished>,
) {
    while let Some((message, token)) = messages.recv().await {
        let panicked = handle(&*handler, message)
            .await
            .is_err()
            .then(|| filter.clone());
        let sent = finished.send(Finished { token, panicked });
        if sent.is_err() {
            // The client has stopped; nobody will acknowledge what is left.
            return;
        }
    }
}

struct Panicked;

/// Runs the handler. A panic in it must not take the messages behind it down.
async fn handle(handler: &dyn Handler, message: Message) -> Result<(), Panicked> {
    let rest = catch_unwind(AssertUnwindSafe(|| handler.handle(message))).map_err(|_| Panicked)?;
    let Some(mut rest) = rest else {
        return Ok(());
    };
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| rest.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        },
    )
    .await
}
