//! A router: handlers by topic pattern, on a bounded pool of workers.
//!
//! The core decides which subscriptions a message is for, and the order of acknowledgements; the router
//! decides what a handler gets, how many run, and in which order they start.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use wigwag_proto::Qos;
use wigwag_proto::packet::SubscriptionOptions;

use crate::ack::{AckToken, Finished, IntoVerdict, Reject};
use crate::buffer::{Delivery, Overflow, Waiting};
use crate::client::{Client, Subscribing, WeakClient};
use crate::core::Token;
use crate::extract::{FromMessage, Parts};
use crate::lane::handled::Returned;
use crate::lane::{self, Panicked, Rest, Sink};
use crate::mailbox::Sender;
use crate::message::Message;
use crate::pattern::{Pattern, PatternError};
use crate::{Granted, SubscribeError};

/// Handlers that run at the same time unless the program says otherwise.
const WORKERS: usize = 8;

/// Which messages wait for each other. Acknowledgements leave in the order of arrival in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Each message waits for all that came before it: one handler runs at a time.
    Global,
    /// Each message waits for those of its topic that came before it.
    #[default]
    Topic,
    /// No message waits for another.
    None,
}

/// Why a router cannot be mounted. Nothing has been subscribed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// A pattern is not valid.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Two patterns differ in the names of their captures only.
    #[error("two routes have the Topic Filter '{0}'")]
    SameFilter(Arc<str>),
}

/// A function whose arguments are extractors. Implemented for async functions of up to eight.
pub trait RouteHandler<T, S>: Send + Sync + 'static {
    /// What the handler does.
    type Future: Future<Output: Send> + Send + 'static;

    /// Extracts the arguments and calls the function.
    fn call(&self, parts: &mut Parts<'_, S>) -> Result<Self::Future, Reject>;
}

macro_rules! impl_route_handler {
    ($($argument:ident)*) => {
        impl<F, Fut, S, $($argument,)*> RouteHandler<($($argument,)*), S> for F
        where
            F: Fn($($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: Send> + Send + 'static,
            $($argument: FromMessage<S>,)*
        {
            type Future = Fut;

            #[allow(
                non_snake_case,
                unused_variables,
                clippy::allow_attributes,
                reason = "arguments are named like their types, and there may be none"
            )]
            fn call(&self, parts: &mut Parts<'_, S>) -> Result<Fut, Reject> {
                $(let $argument = $argument::from_message(parts)?;)*
                Ok(self($($argument),*))
            }
        }
    };
}

impl_route_handler!();
impl_route_handler!(A);
impl_route_handler!(A B);
impl_route_handler!(A B C);
impl_route_handler!(A B C D);
impl_route_handler!(A B C D E);
impl_route_handler!(A B C D E G);
impl_route_handler!(A B C D E G H);
impl_route_handler!(A B C D E G H I);

/// A handler whose type has been forgotten.
type Endpoint<S> = Box<dyn Fn(&mut Parts<'_, S>) -> Result<Rest, Reject> + Send + Sync>;

/// Handlers by topic pattern; given to [`Client::mount`].
///
/// A pattern is a Topic Filter in which `{name}` captures one level and `{*rest}` the rest; `{{x}}`
/// stands for the level `{x}` itself. [`shared`](crate::shared) makes the pattern of a shared
/// subscription. `S` is the state that [`State`](crate::extract::State) gives to handlers.
///
/// ```
/// use wigwag_client::extract::{Captures, State};
/// use wigwag_client::{Client, Publish, Reject, Router};
///
/// async fn set_power(
///     Captures(id): Captures<u32>,
///     State(site): State<String>,
///     power: String,
///     client: Client,
/// ) -> Result<(), Reject> {
///     let state = Publish::new(format!("{site}/{id}/state"), power);
///     client.publish(state.retain()).await?;
///     Ok(())
/// }
///
/// let router = Router::with_state("hall".to_owned())
///     .on("device/{id}/power", set_power)
///     .workers(4);
/// ```
#[must_use = "a router is mounted by `Client::mount`"]
pub struct Router<S = ()> {
    routes: Vec<Route<S>>,
    fallback: Option<Endpoint<S>>,
    workers: usize,
    order: Order,
    overflow: Overflow,
    state: S,
}

struct Route<S> {
    pattern: String,
    options: Option<SubscriptionOptions>,
    endpoint: Endpoint<S>,
}

impl Router {
    /// A router without state and without routes.
    pub fn new() -> Router {
        Router::with_state(())
    }
}

impl Default for Router {
    fn default() -> Router {
        Router::new()
    }
}

impl<S: Send + Sync + 'static> Router<S> {
    /// A router whose handlers may ask for this state.
    pub fn with_state(state: S) -> Router<S> {
        Router {
            routes: Vec::new(),
            fallback: None,
            workers: WORKERS,
            order: Order::default(),
            overflow: Overflow::default(),
            state,
        }
    }

    /// Adds a handler: an async function whose arguments are [extractors](crate::extract) and which
    /// returns `()` or a `Result` whose error becomes a [`Reject`].
    ///
    /// It may publish, make requests and wait for the outcome.
    pub fn on<T, H>(self, pattern: impl Into<String>, handler: H) -> Router<S>
    where
        H: RouteHandler<T, S, Future: Future<Output: IntoVerdict>>,
    {
        self.route(pattern.into(), None, erase(handler))
    }

    /// [`Router::on`] with subscription options of its own, the QoS included.
    pub fn on_with<T, H>(
        self,
        pattern: impl Into<String>,
        options: SubscriptionOptions,
        handler: H,
    ) -> Router<S>
    where
        H: RouteHandler<T, S, Future: Future<Output: IntoVerdict>>,
    {
        self.route(pattern.into(), Some(options), erase(handler))
    }

    /// Sets the handler of messages that no subscription of the client matches, as a resumed session
    /// may deliver them. It replaces that of [`Builder::fallback`](crate::Builder::fallback).
    pub fn fallback<T, H>(mut self, handler: H) -> Router<S>
    where
        H: RouteHandler<T, S, Future: Future<Output: IntoVerdict>>,
    {
        self.fallback = Some(erase(handler));
        self
    }

    pub(crate) fn route(
        mut self,
        pattern: String,
        options: Option<SubscriptionOptions>,
        endpoint: Endpoint<S>,
    ) -> Router<S> {
        self.routes.push(Route {
            pattern,
            options,
            endpoint,
        });
        self
    }

    /// Sets how many handlers may run at the same time, at least one. Default: 8.
    pub fn workers(mut self, workers: usize) -> Router<S> {
        self.workers = workers.max(1);
        self
    }

    /// Sets which messages wait for each other. Default: those of the same topic.
    pub fn ordered_by(mut self, order: Order) -> Router<S> {
        self.order = order;
        self
    }

    /// Sets what happens when messages arrive faster than they are handled. The messages of all routes
    /// wait together. Default: [`Overflow::Pause`].
    pub fn overflow(mut self, overflow: Overflow) -> Router<S> {
        self.overflow = overflow;
        self
    }
}

fn erase<T, S, H>(handler: H) -> Endpoint<S>
where
    H: RouteHandler<T, S, Future: Future<Output: IntoVerdict>>,
{
    Box::new(move |parts| {
        let future = handler.call(parts)?;
        Ok(Box::pin(async move { future.await.into_verdict() }))
    })
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.routes.iter().map(|route| &route.pattern);
        f.debug_list().entries(patterns).finish()
    }
}

/// A router at work.
struct Pool<S> {
    routes: Vec<(Pattern, Endpoint<S>)>,
    fallback: Option<Endpoint<S>>,
    workers: usize,
    by_topic: bool,
    state: S,
    /// The client must be able to end while the pool waits.
    client: WeakClient,
    queue: Mutex<Queue>,
}

/// **Invariant:** while fewer workers run than may, nothing waits that could be handled.
struct Queue {
    waiting: Waiting,
    running: usize,
    /// The topics of running handlers, if their order matters.
    busy: HashSet<Box<str>>,
}

/// The route of messages that no subscription matches.
const UNROUTED: usize = usize::MAX;

impl<S: Send + Sync + 'static> Pool<S> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that could panic runs under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(self: &Arc<Self>, delivery: Delivery) {
        let mut queue = self.lock();
        if queue.running >= self.workers || queue.busy.contains(delivery.message.topic()) {
            queue.waiting.push(delivery);
            return;
        }
        queue.running += 1;
        self.occupy(&mut queue, &delivery);
        drop(queue);
        tokio::spawn(self.clone().work(delivery));
    }

    fn occupy(&self, queue: &mut Queue, delivery: &Delivery) {
        if self.by_topic {
            queue.busy.insert(delivery.message.topic().into());
        }
    }

    /// Handles messages until none is left that may be handled.
    async fn work(self: Arc<Self>, first: Delivery) {
        let mut next = Some(first);
        while let Some(delivery) = next {
            let topic: Box<str> = delivery.message.topic().into();
            self.handle(delivery).await;
            // A handler that never waits would keep its thread from all other tasks.
            tokio::task::coop::consume_budget().await;
            next = self.next(&topic);
        }
    }

    /// The next message, after one of this topic has been handled.
    fn next(&self, topic: &str) -> Option<Delivery> {
        let mut queue = self.lock();
        let Queue {
            waiting,
            running,
            busy,
        } = &mut *queue;
        busy.remove(topic);
        let next = waiting.pop_first(|message| !busy.contains(message.topic()));
        match &next {
            Some(delivery) => self.occupy(&mut queue, delivery),
            None => *running -= 1,
        }
        next
    }

    async fn handle(&self, delivery: Delivery) {
        let mut ack = Some(delivery.ack);
        let message = delivery.message;
        let route = delivery.route;
        let result = lane::catch(|| self.call(route, &message, &mut ack)).await;
        // A handler that has taken the token settles the message itself.
        match (result, ack) {
            (Ok(result), Some(ack)) => ack.settle(result),
            (Err(Panicked), Some(ack)) => ack.panicked(),
            (_, None) => {}
        }
    }

    fn call(&self, route: usize, message: &Message, ack: &mut Option<AckToken>) -> Returned {
        let Some(client) = self.client.upgrade() else {
            return Returned(Ok(Ok(())));
        };
        let (captured, endpoint) = match self.routes.get(route) {
            Some((pattern, endpoint)) => (pattern.captures(message.topic()), Some(endpoint)),
            None => (Vec::new(), self.fallback.as_ref()),
        };
        let Some(endpoint) = endpoint else {
            return Returned(Ok(Ok(())));
        };
        let mut parts = Parts {
            message,
            captured: &captured,
            state: &self.state,
            client: &client,
            ack,
        };
        Returned(match endpoint(&mut parts) {
            Ok(rest) => Err(rest),
            Err(reject) => Ok(Err(reject)),
        })
    }
}

/// The end of a pool that one subscription delivers to.
struct PoolSink<S> {
    pool: Arc<Pool<S>>,
    filter: Arc<str>,
    route: usize,
}

impl<S: Send + Sync + 'static> Sink for PoolSink<S> {
    fn deliver(&mut self, message: Message, token: Token, finished: &Sender<Finished>) {
        let ack = AckToken::new(token, self.filter.clone(), finished.clone());
        self.pool.deliver(Delivery {
            message,
            ack,
            route: self.route,
        });
    }
}

impl Client {
    /// Subscribes to every pattern of the router, at `qos` where a route has no options of its own.
    ///
    /// Like [`Client::subscribe`], this declares desired state at once: called before [`Client::start`],
    /// it loses nothing of a resumed session. A route is removed with [`Client::unsubscribe`] and its
    /// Topic Filter.
    pub fn mount<S>(&self, router: Router<S>, qos: Qos) -> Result<Mounting, MountError>
    where
        S: Send + Sync + 'static,
    {
        let mut routes: Vec<(Pattern, Endpoint<S>)> = Vec::new();
        let mut options = Vec::new();
        for route in router.routes {
            let pattern = Pattern::parse(&route.pattern)?;
            if routes.iter().any(|(own, _)| own.filter == pattern.filter) {
                return Err(MountError::SameFilter(pattern.filter));
            }
            routes.push((pattern, route.endpoint));
            options.push(route.options.unwrap_or(SubscriptionOptions {
                qos,
                ..SubscriptionOptions::default()
            }));
        }
        let has_fallback = router.fallback.is_some();
        let pool = Arc::new(Pool {
            routes,
            fallback: router.fallback,
            workers: match router.order {
                Order::Global => 1,
                Order::Topic | Order::None => router.workers,
            },
            by_topic: router.order == Order::Topic,
            state: router.state,
            client: self.downgrade(),
            queue: Mutex::new(Queue {
                waiting: Waiting::new(router.overflow),
                running: 0,
                busy: HashSet::new(),
            }),
        });
        let sink = |filter: &Arc<str>, route| {
            Box::new(PoolSink {
                pool: pool.clone(),
                filter: filter.clone(),
                route,
            })
        };
        if has_fallback {
            self.set_fallback(sink(&"".into(), UNROUTED));
        }
        let waiting = pool.routes.iter().zip(options).enumerate();
        let waiting = waiting.map(|(route, ((pattern, _), options))| {
            let filter = pattern.filter.clone();
            let sink = sink(&filter, route);
            (self.subscribe_sink(filter.clone(), options, sink).0, filter)
        });
        Ok(Mounting {
            waiting: waiting
                .map(|(answer, filter)| (filter, Ok(answer)))
                .collect(),
        })
    }
}

type Answer = Result<Granted, SubscribeError>;

/// The server's answers to the subscriptions of a router; returned by [`Client::mount`].
///
/// It resolves when all have been answered, which may take until there is a connection. Dropping it
/// changes nothing.
pub struct Mounting {
    waiting: Vec<(Arc<str>, Result<Subscribing, Answer>)>,
}

impl Future for Mounting {
    type Output = Mounted;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Mounted> {
        let mut is_ready = true;
        for (_, answer) in &mut self.waiting {
            if let Ok(subscribing) = answer {
                match Pin::new(subscribing).poll(cx) {
                    Poll::Ready(result) => *answer = Err(result),
                    Poll::Pending => is_ready = false,
                }
            }
        }
        if !is_ready {
            return Poll::Pending;
        }
        let answered = self.waiting.drain(..);
        let answers = answered.filter_map(|(filter, answer)| Some((filter, answer.err()?)));
        Poll::Ready(Mounted {
            answers: answers.collect(),
        })
    }
}

impl fmt::Debug for Mounting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounting").finish_non_exhaustive()
    }
}

/// The server's answers, one for each Topic Filter of a router, in the order of its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the server may have refused a subscription"]
pub struct Mounted {
    answers: Vec<(Arc<str>, Answer)>,
}

impl Mounted {
    /// Each Topic Filter with its answer.
    pub fn answers(&self) -> impl Iterator<Item = (&str, &Result<Granted, SubscribeError>)> {
        self.answers
            .iter()
            .map(|(filter, answer)| (&**filter, answer))
    }

    /// The first refusal, if there is one.
    pub fn all_granted(self) -> Result<(), SubscribeError> {
        let refusal = self
            .answers
            .into_iter()
            .find_map(|(_, answer)| answer.err());
        refusal.map_or(Ok(()), Err)
    }
}
