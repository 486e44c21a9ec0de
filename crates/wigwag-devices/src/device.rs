//! `wigwag device`: one device against any broker, by the contract in `contract.rs`: a simulated one, or this machine.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow, ensure};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};
use wigwag_client::{Client, Message, Publish, Qos, State as Connection, Subscribing, Will};

use crate::contract::{Reply, State, Status, check_id, parse_command};
use crate::host::Host;
use crate::output::{say, without_credentials};
use crate::simulator::Simulator;
use crate::source::Source;

/// Time between two states while the device is running.
const PERIOD: Duration = Duration::from_secs(2);

/// How long a new device waits for the state that it had in an earlier life.
const RESTORE_WAIT: Duration = Duration::from_millis(500);

/// How long a device that stops waits for its last messages to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// Options of `wigwag device`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Broker to connect to: mqtt://HOST:PORT or ws://HOST:PORT/PATH, with user:password@ before the host if needed
    #[arg(long, value_name = "URL", default_value = "mqtt://localhost:1883")]
    broker: String,

    /// Id of the device, a level of its topics: device/ID/state, device/ID/command, device/ID/online
    ///
    /// With --source host it is the name of this machine by default.
    #[arg(long, value_name = "ID", value_parser = check_id, required_unless_present = "source", required_if_eq("source", "simulated"))]
    id: Option<String>,

    /// Where its states come from
    #[arg(long, value_enum, default_value_t = SourceName::Simulated)]
    source: SourceName,

    /// Where the host's /proc and /sys are, as in a container that has them mounted elsewhere [default: /]
    #[arg(long, value_name = "DIR")]
    host_root: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SourceName {
    /// A temperature that wanders
    Simulated,
    /// This machine: its real temperature, load and memory
    Host,
}

/// Runs one device until `shutdown` resolves or the broker refuses it for good. It says that it is ready once the broker
/// has taken its subscription: a command that is sent from then on is for it.
///
/// Dropping the future ends the device without a goodbye: the broker publishes its Will.
pub async fn run(args: &Args, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let (id, source) = args.open_source()?;
    let mut device = Device::start_from(&args.broker, &id, source)?;
    say!("device    {id}");
    say!("broker    {}", without_credentials(&args.broker));
    if args.source == SourceName::Host {
        for missing in device.missing() {
            say!("missing   {missing}");
        }
    }
    let mut shutdown = std::pin::pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => {}
        listening = device.listening() => {
            listening?;
            say!("ready     Ctrl-C stops");
            tokio::select! {
                () = shutdown => {}
                ended = device.ended() => ended?,
            }
        }
    }
    device.stop().await;
    Ok(())
}

impl Args {
    /// The device's id, and what it is.
    fn open_source(&self) -> anyhow::Result<(String, Source)> {
        match self.source {
            SourceName::Simulated => {
                ensure!(
                    self.host_root.is_none(),
                    "--host-root is for --source host; a simulated device reads nothing there"
                );
                let id = self
                    .id
                    .clone()
                    .context("--source simulated needs an --id")?;
                Ok((id, Source::Simulated(Simulator::new(fastrand::Rng::new()))))
            }
            SourceName::Host => {
                let root = self.host_root.as_deref().unwrap_or(Path::new("/"));
                let host = Host::new(root);
                let id = match &self.id {
                    Some(id) => id.clone(),
                    None => host
                        .name()
                        .and_then(|name| check_id(&name))
                        .map_err(|error| {
                            anyhow!("the name of this machine is no id, say --id: {error}")
                        })?,
                };
                let status = Status::Running;
                Ok((id, Source::Host { host, status }))
            }
        }
    }
}

/// A device that runs in a task of its own.
pub struct Device {
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
    /// The broker's answer to the subscription to commands, until somebody has waited for it.
    listening: Option<Subscribing>,
}

struct Inner {
    id: String,
    client: Client,
    source: Mutex<Source>,
    /// Set with the source locked.
    is_commanded: AtomicBool,
}

impl Device {
    /// Starts a simulated device; it connects in the background and for as long as it lives.
    pub fn start(broker: &str, id: &str) -> anyhow::Result<Device> {
        let source = Source::Simulated(Simulator::new(fastrand::Rng::new()));
        Device::start_from(broker, id, source)
    }

    fn start_from(broker: &str, id: &str, source: Source) -> anyhow::Result<Device> {
        let client = Client::builder(broker)
            .client_id(format!("wigwag-device-{id}"))
            .clean_start(false)
            .session_expiry(Duration::from_secs(60))
            .keep_alive(Duration::from_secs(30))
            .will(
                Will::new(format!("device/{id}/online"), "false")
                    .qos(Qos::AtLeastOnce)
                    .retain(),
            )
            .build()
            .with_context(|| format!("--broker {}", without_credentials(broker)))?;
        let inner = Arc::new(Inner {
            id: id.to_owned(),
            client,
            source: Mutex::new(source),
            is_commanded: AtomicBool::new(false),
        });
        let listening = Some(inner.listen_for_commands());
        let task = tokio::spawn(Arc::clone(&inner).live());
        Ok(Device {
            inner,
            task,
            listening,
        })
    }

    /// What a machine cannot say of itself, and why.
    fn missing(&self) -> Vec<String> {
        self.inner
            .read_state()
            .host
            .map_or_else(Vec::new, |machine| machine.missing)
    }

    /// Waits until the broker has accepted the device, or has refused it for good.
    async fn online(&self) -> anyhow::Result<()> {
        self.inner
            .client
            .await_connection()
            .await
            .context("the broker does not accept the device")
    }

    /// Waits until commands reach the device, or the broker has refused it for good.
    async fn listening(&mut self) -> anyhow::Result<()> {
        self.online().await?;
        if let Some(listening) = self.listening.take()
            && let Err(error) = listening.await
        {
            warn!(device = self.inner.id, %error, "the broker lets no commands through");
        }
        Ok(())
    }

    /// Waits for the end of the device's task, which has no reason to end but a refusal.
    async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.task).await.context("the device has failed")?;
        self.online().await
    }

    /// Publishes the last state, says goodbye and disconnects. Dropping the future leaves that to the Will.
    pub async fn stop(self) {
        self.task.abort();
        self.inner.say_goodbye().await;
    }
}

impl Inner {
    /// Declares the subscription to commands; the client makes it with the connection and whenever the
    /// broker has lost it.
    fn listen_for_commands(self: &Arc<Inner>) -> Subscribing {
        let inner = Arc::downgrade(self);
        self.client.subscribe(
            self.topic("command"),
            Qos::AtLeastOnce,
            move |message: Message| {
                let inner = inner.upgrade();
                async move {
                    if let Some(inner) = inner {
                        inner.handle_command(&message).await;
                    }
                }
            },
        )
    }

    async fn live(self: Arc<Inner>) {
        self.client.start();
        let mut connection = self.client.state();
        if self.client.await_connection().await.is_err() {
            return;
        }
        self.restore().await;
        let mut ticker = interval(PERIOD);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
        connection.mark_changed();
        loop {
            tokio::select! {
                changed = connection.changed() => {
                    let now = connection.borrow_and_update().clone();
                    match now {
                        _ if changed.is_err() => return,
                        Connection::Online { .. } => self.announce().await,
                        Connection::Offline { reason, next } => match next.map(|next| next.delay) {
                            Some(wait) => warn!(device = self.id, %reason, ?wait, "offline"),
                            None => return warn!(device = self.id, %reason, "the broker refuses the device"),
                        },
                        Connection::Connecting { .. } => {}
                    }
                }
                _ = ticker.tick() => {
                    if self.source().status() == Status::Running {
                        self.publish_state().await;
                    }
                }
            }
        }
    }

    /// Goes on with what the device did before it was restarted: its own retained state tells.
    async fn restore(&self) {
        let (found, state) = oneshot::channel();
        let found = Mutex::new(Some(found));
        let subscribing = self.client.subscribe(
            self.topic("state"),
            Qos::AtMostOnce,
            move |message: Message| {
                // What is not retained it says itself just now, in answer to a command.
                if !message.retain() {
                    return;
                }
                let state: Option<State> = serde_json::from_slice(message.payload()).ok();
                let found = found.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let (Some(found), Some(state)) = (found, state) {
                    // Nobody waits any more when the state came too late.
                    let _ = found.send(state);
                }
            },
        );
        drop(subscribing);
        if let Ok(Ok(state)) = timeout(RESTORE_WAIT, state).await {
            let mut source = self.source();
            // A command that has waited in the session is newer.
            if !self.is_commanded.load(Ordering::Relaxed) {
                info!(device = self.id, status = ?state.status, "going on from the last known state");
                source.restore(&state);
            }
        }
        drop(self.client.unsubscribe(self.topic("state")));
    }

    /// Tells everybody that the device is there, and how it is.
    async fn announce(&self) {
        info!(device = self.id, "online");
        let online = Publish::new(self.topic("online"), "true")
            .qos(Qos::AtLeastOnce)
            .retain();
        self.publish(online).await;
        self.publish_state().await;
    }

    async fn handle_command(&self, message: &Message) {
        let result = parse_command(message.payload()).map(|action| {
            let mut source = self.source();
            self.is_commanded.store(true, Ordering::Relaxed);
            source.apply(action)
        });
        match &result {
            Ok(status) => info!(device = self.id, ?status, "command"),
            Err(error) => {
                warn!(device = self.id, topic = message.topic(), %error, "command refused");
            }
        }
        if result.is_ok() {
            self.publish_state().await;
        }
        let reply =
            serde_json::to_vec(&Reply::new(&self.id, &result)).expect("a reply is plain data");
        if let Some(publishing) = message.reply(&self.client, reply) {
            // The answer is queued; whether it arrives must not hold up the next command.
            drop(publishing);
        }
    }

    async fn publish_state(&self) {
        let state = self.read_state();
        let payload = serde_json::to_vec(&state).expect("a state is plain data");
        self.publish(Publish::new(self.topic("state"), payload).retain())
            .await;
    }

    fn read_state(&self) -> State {
        let timestamp = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        self.source().read(&self.id, timestamp)
    }

    /// Publishes; a state that cannot be sent now is out of date by the time it could.
    async fn publish(&self, publish: Publish) {
        if let Err(error) = self.client.publish(publish).await {
            info!(device = self.id, %error, "not published");
        }
    }

    async fn say_goodbye(&self) {
        let farewell = async {
            self.publish_state().await;
            let offline = Publish::new(self.topic("online"), "false")
                .qos(Qos::AtLeastOnce)
                .retain();
            self.publish(offline).await;
        };
        if self.client.state().borrow().is_online() && timeout(FAREWELL, farewell).await.is_err() {
            warn!(
                device = self.id,
                "the broker did not take the last messages in time"
            );
        }
        self.client.disconnect_within(FAREWELL).await;
    }

    fn topic(&self, leaf: &str) -> String {
        format!("device/{}/{leaf}", self.id)
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
