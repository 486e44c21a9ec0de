//! The life of one bridge: a client inside, one outside, and carriers between them.
//!
//! The client inside is always there, so that its session keeps what waits for the other broker. When the
//! one outside connects is what this file is about: at once, once, or when enough has come together.

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc as sync_mpsc};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wigwag_client::{
    Client, Event, MessageStream, NextAttempt, OfflineReason, Overflow, Publish, Qos,
    RetainHandling, State, SubscriptionOptions,
};
use wigwag_engine::message::MessageRef;
use wigwag_proto::{Properties, TopicFilter, TopicName};

use super::carrier::{Carrier, Shared};
use super::counters::Counters;
use super::inside::{self, InnerDoor};
use super::plan::Plan;
use super::remote;
use super::topics::{Step, Way};
use crate::conf::config::{LogType, StartType};
use crate::desk::Order;
use crate::logging::Log;
use crate::mailbox::Mailbox;

/// How long what is under way has to arrive when a bridge ends.
const DRAIN: Duration = Duration::from_secs(2);

/// How often a bridge that stands with another server looks for its first one.
const PRIMARY_RETRY: Duration = Duration::from_secs(5);

/// What a bridge is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Be like this from here on.
    Become(Box<Plan>),
    /// End. What waits in its session is kept, unless it is to be forgotten.
    End { forget: bool },
}

/// What all bridges share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) door: Arc<InnerDoor>,
    pub(super) workers: Arc<[Mailbox]>,
    pub(super) log: Log,
    /// Who this broker is, for messages that come round.
    pub(super) broker: Box<str>,
}

/// One bridge.
pub(super) struct Link {
    pub(super) plan: Plan,
    pub(super) counters: Arc<Counters>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) around: Surroundings,
    /// Goes when the bridge hears this broker: what is published from then on is for it.
    pub(super) deaf: Option<sync_mpsc::Sender<()>>,
}

/// How a part of a bridge's life ends.
enum Ended {
    /// There has been nothing to carry for a while.
    Idle,
    /// The other client could not be made, or was to make one attempt.
    Failed,
    Commanded(Command),
}

/// What goes on between the two clients.
struct Traffic {
    local: Client,
    local_here: watch::Sender<Option<Client>>,
    remote_here: watch::Sender<Option<Client>>,
    shared: Arc<Shared>,
    /// What carries messages out, and where each gets its streams from, in the order of filters.
    carriers: JoinSet<()>,
    streams: Vec<mpsc::UnboundedSender<MessageStream>>,
}

impl Link {
    /// Until it is told to end.
    pub(super) async fn run(mut self) {
        let mut stale = Vec::new();
        loop {
            let forget = Arc::new(AtomicBool::new(false));
            let ended = match inside::client(&self.plan, &self.around.door, &forget) {
                Ok(local) => self.live(local, &stale, &forget).await,
                Err(error) => {
                    self.fail(&error.to_string());
                    self.note_hearing();
                    self.commands.recv().await
                }
            };
            let Some(Command::Become(plan)) = ended else {
                return;
            };
            let before = std::mem::replace(&mut self.plan, *plan);
            let filters = before.lines.filters(Way::Out).into_iter();
            stale = filters.map(|(filter, _)| filter.to_owned()).collect();
        }
    }

    /// Says for the first time how the bridge is: whoever reads it may rely on being heard.
    fn note_hearing(&mut self) {
        if self.deaf.take().is_some() {
            self.tell_here("0");
        }
    }

    /// What the bridge listens to at this broker.
    fn filters_here(&self) -> BTreeSet<String> {
        let filters = self.plan.lines.filters(Way::Out).into_iter();
        filters.map(|(filter, _)| filter.to_owned()).collect()
    }

    /// One plan, from its beginning to what follows it.
    async fn live(
        &mut self,
        local: Client,
        stale: &[String],
        forget: &AtomicBool,
    ) -> Option<Command> {
        let traffic = self.begin(local, stale);
        let answered = answered(traffic.local.events(), self.filters_here());
        traffic.local.start();
        let command = tokio::select! {
            () = answered => None,
            command = self.commands.recv() => Some(command),
        };
        self.note_hearing();
        let command = match command {
            Some(command) => command,
            None => self.connect_when_wanted(&traffic).await,
        };
        if let Some(Command::End { forget: true }) = command {
            forget.store(true, Ordering::Relaxed);
        } else if let Some(Command::Become(plan)) = &command {
            let is_another = plan.local_client_id != self.plan.local_client_id;
            forget.store(is_another, Ordering::Relaxed);
        }
        // What could be finished has been.
        traffic.local.disconnect_within(Duration::ZERO).await;
        command
    }

    /// Subscribes at this broker; nothing is connected yet.
    fn begin(&self, local: Client, stale: &[String]) -> Traffic {
        let said = &self.plan.said;
        let shared = Arc::new(Shared {
            lines: self.plan.lines.clone(),
            counters: Arc::clone(&self.counters),
            waiting: Notify::new(),
            loops_cut_by: said.loop_detection.then(|| self.around.broker.clone()),
            sends_retain: said.outgoing_retain,
            holds_qos0: said.start_type == StartType::Lazy,
        });
        let mut traffic = Traffic {
            local_here: watch::Sender::new(Some(local.clone())),
            remote_here: watch::Sender::new(None),
            local,
            shared,
            carriers: JoinSet::new(),
            streams: Vec::new(),
        };
        for (filter, _) in self.plan.lines.filters(Way::Out) {
            let carrier = Carrier {
                shared: Arc::clone(&traffic.shared),
                way: Way::Out,
                filter: filter.to_owned(),
                to: traffic.remote_here.subscribe(),
            };
            let (streams, receiver) = mpsc::unbounded_channel();
            traffic.carriers.spawn(carrier.run(receiver));
            traffic.streams.push(streams);
        }
        self.subscribe_here(&traffic, RetainHandling::DoNotSend);
        let wanted = self.plan.lines.filters(Way::Out);
        for filter in stale {
            if !wanted.iter().any(|(known, _)| known == filter) {
                // The answer is nobody's business.
                drop(traffic.local.unsubscribe(filter));
            }
        }
        traffic
    }

    /// Makes the subscriptions at this broker, once more if they are there: they bring retained messages then.
    fn subscribe_here(&self, traffic: &Traffic, retain_handling: RetainHandling) {
        let filters = self.plan.lines.filters(Way::Out);
        for ((filter, qos), streams) in filters.into_iter().zip(&traffic.streams) {
            let what = format_args!(
                "Bridge {} doing local SUBSCRIBE on topic {filter}",
                self.plan.local_client_id
            );
            self.around.log.write(LogType::Debug, what);
            let options = options(filter, qos, retain_handling);
            let streaming = (traffic.local).subscribe_stream_with(filter, options, Overflow::Pause);
            if let Some(stream) = streaming.without_answer() {
                // The carrier lives as long as the traffic.
                let _ = streams.send(stream);
            }
        }
    }

    /// Connects as the start type says, over and over, until there is a command to do something else.
    async fn connect_when_wanted(&mut self, traffic: &Traffic) -> Option<Command> {
        loop {
            if self.plan.said.start_type == StartType::Lazy {
                tokio::select! {
                    () = enough(&traffic.shared, self.plan.said.threshold) => {}
                    command = self.commands.recv() => return command,
                }
            }
            match self.stay_connected(traffic).await {
                Ended::Idle => {}
                Ended::Commanded(command) => return Some(command),
                Ended::Failed if self.plan.said.start_type == StartType::Once => {
                    return self.commands.recv().await;
                }
                Ended::Failed => {
                    tokio::select! {
                        () = sleep(self.plan.said.restart.base) => {}
                        command = self.commands.recv() => return command,
                    }
                }
            }
        }
    }

    /// One client of the other broker, over however many connections, until it is not wanted any more.
    async fn stay_connected(&mut self, traffic: &Traffic) -> Ended {
        let remote = match remote::client(&self.plan) {
            Ok(remote) => remote,
            Err(error) => {
                self.fail(&with_sources(&error));
                return Ended::Failed;
            }
        };
        let mut carriers = JoinSet::new();
        for step in self.plan.lines.steps() {
            let (filter, qos) = match step {
                Step::Subscribe(filter, qos) => (filter, qos),
                Step::Unsubscribe(filter) => {
                    if self.plan.said.attempt_unsubscribe {
                        // A broker that does not know the subscription has nothing to end.
                        drop(remote.unsubscribe(filter));
                    }
                    continue;
                }
            };
            let options = options(filter, qos, RetainHandling::Send);
            let streaming = remote.subscribe_stream_with(filter, options, Overflow::Pause);
            let carrier = Carrier {
                shared: Arc::clone(&traffic.shared),
                way: Way::In,
                filter: filter.to_owned(),
                to: traffic.local_here.subscribe(),
            };
            let (streams, receiver) = mpsc::unbounded_channel();
            if let Some(stream) = streaming.without_answer() {
                // The receiver is here.
                let _ = streams.send(stream);
            }
            carriers.spawn(carrier.run(receiver));
        }
        let events = remote.events();
        traffic.remote_here.send_replace(Some(remote.clone()));
        remote.start();
        let mut connection = Connection {
            remote,
            server: String::new(),
            is_online: false,
            primary: Box::pin(pending()),
            next_plan: None,
        };
        let ended = self.watch(traffic, &mut connection, events).await;
        let Connection {
            remote, is_online, ..
        } = connection;
        self.leave(traffic, &remote, is_online, &ended).await;
        ended
    }

    /// Does what has to be done when the connection comes and goes.
    async fn watch(
        &mut self,
        traffic: &Traffic,
        connection: &mut Connection,
        mut events: broadcast::Receiver<Event>,
    ) -> Ended {
        let idle_after = self.plan.said.idle_timeout;
        let is_lazy = self.plan.said.start_type == StartType::Lazy;
        let mut seen = traffic.shared.counters.activity();
        let mut idle_at = Instant::now() + idle_after;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = &mut connection.primary => {
                    let name = &self.plan.said.name;
                    let what = format_args!("Bridge {name} goes back to its first address.");
                    self.around.log.write(LogType::Notice, what);
                    connection.primary = Box::pin(pending());
                    connection.remote.terminate_connection();
                    continue;
                }
                () = sleep_until(idle_at), if is_lazy => {
                    idle_at = Instant::now() + idle_after;
                    let now = traffic.shared.counters.activity();
                    if now == seen && connection.is_online {
                        return Ended::Idle;
                    }
                    seen = now;
                    continue;
                }
                command = self.commands.recv() => {
                    match command {
                        Some(Command::Become(plan))
                            if connection.is_online && !plan.said.reload_immediately =>
                        {
                            connection.next_plan = Some(plan);
                            continue;
                        }
                        Some(command) => return Ended::Commanded(command),
                        None => return Ended::Commanded(Command::End { forget: false }),
                    }
                }
            };
            match event {
                Ok(Event::Dialling { server, .. }) => self.note_dialling(connection, &server),
                Ok(Event::State(State::Online { .. })) => self.go_online(traffic, connection),
                Ok(Event::State(State::Offline { reason, next })) => {
                    self.go_offline(connection, &reason, next);
                    if let Some(plan) = connection.next_plan.take() {
                        return Ended::Commanded(Command::Become(plan));
                    }
                    if self.plan.said.start_type == StartType::Once {
                        return Ended::Failed;
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.catch_up(traffic, connection),
                Err(RecvError::Closed) => return Ended::Failed,
            }
        }
    }

    /// Events have been missed; what counts is where the client stands.
    fn catch_up(&self, traffic: &Traffic, connection: &mut Connection) {
        let is_online = connection.remote.state().borrow().is_online();
        if is_online && !connection.is_online {
            self.go_online(traffic, connection);
        } else if !is_online && connection.is_online {
            self.go_offline(connection, &OfflineReason::Closed, None);
        }
    }

    fn note_dialling(&self, connection: &mut Connection, server: &str) {
        server.clone_into(&mut connection.server);
        let address = server.split_once("://").map_or(server, |(_, rest)| rest);
        let name = &self.plan.said.name;
        let what = format_args!("Connecting bridge {name} ({address})");
        self.around.log.write(LogType::Notice, what);
    }

    fn go_online(&self, traffic: &Traffic, connection: &mut Connection) {
        connection.is_online = true;
        self.counters.note_connected();
        self.tell_here("1");
        self.subscribe_here(traffic, RetainHandling::Send);
        connection.primary = match self.plan.said.addresses.first() {
            Some((host, port)) if self.stands_elsewhere(connection) => {
                Box::pin(await_server(host.clone(), *port))
            }
            _ => Box::pin(pending()),
        };
    }

    /// Whether there is a first server to go back to.
    fn stands_elsewhere(&self, connection: &Connection) -> bool {
        let first = self.plan.addresses().into_iter().next();
        !self.plan.said.round_robin && first.is_some_and(|first| first != connection.server)
    }

    fn go_offline(
        &self,
        connection: &mut Connection,
        reason: &OfflineReason,
        next: Option<NextAttempt>,
    ) {
        let (log, name) = (&self.around.log, &self.plan.said.name);
        self.counters.note_failure(reason.to_string());
        connection.primary = Box::pin(pending());
        if std::mem::take(&mut connection.is_online) {
            self.counters.note_disconnected();
            self.tell_here("0");
            let what = format_args!("Bridge {name} disconnected: {reason}.");
            log.write(LogType::Notice, what);
        } else {
            let what = format_args!("Error creating bridge: {reason}.");
            log.write(LogType::Error, what);
            let what = format_args!("Warning: Unable to connect bridge {name}.");
            log.write(LogType::Warning, what);
        }
        if let Some(next) = next {
            let wait = next.delay.as_millis();
            let what = format_args!("Bridge {name} next backoff will be {wait} ms");
            log.write(LogType::Information, what);
        }
    }

    /// Lets the client of the other broker go, after what is under way.
    async fn leave(&self, traffic: &Traffic, remote: &Client, is_online: bool, ended: &Ended) {
        if is_online {
            self.take_leave(remote);
            self.counters.note_disconnected();
            self.tell_here("0");
        }
        let drain = if is_online { DRAIN } else { Duration::ZERO };
        let leave_there = async {
            if matches!(ended, Ended::Idle | Ended::Failed) {
                // What comes from here on waits for the next one.
                traffic.remote_here.send_replace(None);
            }
            remote.disconnect_within(drain).await;
            traffic.remote_here.send_replace(None);
        };
        match ended {
            // Both at once: each finishes what the other has begun.
            Ended::Commanded(_) => {
                let leave_here = traffic.local.disconnect_within(drain);
                tokio::join!(leave_here, leave_there);
            }
            Ended::Idle | Ended::Failed => leave_there.await,
        }
    }

    fn fail(&self, why: &str) {
        let name = &self.plan.said.name;
        self.counters.note_failure(why.to_owned());
        let what = format_args!("Error: Bridge {name} cannot be used: {why}.");
        self.around.log.write(LogType::Error, what);
    }

    /// Tells the other broker that the bridge goes.
    fn take_leave(&self, remote: &Client) {
        if let Some(topic) = &self.plan.notification_topic
            && !self.plan.said.notifications_local_only
        {
            let publish = Publish::new(topic.as_str(), "0").qos(Qos::AtLeastOnce);
            let publish = if self.plan.said.outgoing_retain {
                publish.retain()
            } else {
                publish
            };
            // It is on its way with the call.
            drop(remote.publish(publish));
        }
    }

    /// Tells this broker how the bridge is.
    fn tell_here(&self, state: &str) {
        let Some(topic) = &self.plan.notification_topic else {
            return;
        };
        if let (Ok(topic), Some(worker)) = (TopicName::new(topic), self.around.workers.first()) {
            let message = MessageRef {
                topic,
                qos: Qos::AtLeastOnce,
                retain: true,
                properties: Properties::EMPTY,
                payload: state.as_bytes(),
                expires_at: None,
            };
            worker.send_order(Order::Publish(message.to_message()));
        }
    }
}

/// The client of the other broker, and how it stands.
struct Connection {
    remote: Client,
    /// The address that was called last.
    server: String,
    is_online: bool,
    /// Comes true when it is time to go back to the first server.
    primary: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// What the bridge is to be like when the connection has ended.
    next_plan: Option<Box<Plan>>,
}

/// The options of all subscriptions: nothing comes back, and what is retained stays so. MQTT 3.x says the
/// same by the bridge's bit.
fn options(filter: &str, qos: Qos, retain_handling: RetainHandling) -> SubscriptionOptions {
    let is_shared = TopicFilter::new(filter).is_ok_and(|filter| filter.share().is_some());
    SubscriptionOptions {
        qos,
        // [MQTT-3.8.3-4]
        no_local: !is_shared,
        retain_as_published: true,
        retain_handling,
    }
}

/// Until all these subscriptions have their answer.
async fn answered(mut events: broadcast::Receiver<Event>, mut filters: BTreeSet<String>) {
    while !filters.is_empty() {
        match events.recv().await {
            Ok(Event::Subscribed { filter, .. }) => _ = filters.remove(&*filter),
            Ok(_) => {}
            // Nobody can tell which answers have been missed.
            Err(_) => return,
        }
    }
}

/// Until so many messages wait.
async fn enough(shared: &Shared, threshold: u32) {
    while shared.counters.held() < u64::from(threshold) {
        shared.waiting.notified().await;
    }
}

/// Until the server takes connections.
async fn await_server(host: String, port: u16) {
    loop {
        sleep(PRIMARY_RETRY).await;
        let connecting = TcpStream::connect((host.as_str(), port));
        if let Ok(Ok(_)) = timeout(PRIMARY_RETRY, connecting).await {
            return;
        }
    }
}

/// An error and what is behind it.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
