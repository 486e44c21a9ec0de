//! Starting and stopping: sockets are bound, then one thread per shard and one for the listeners begin.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use wigwag_alarm::Rule;
use wigwag_engine::message::MessageRef;
use wigwag_engine::{Kick, Limits, Node, Settings, ShardId};
use wigwag_net::tls::KeyLogFile;

use crate::acceptor::{Hearers, Turn};
use crate::access::{
    AccessDesk, AccessError, AccessSettings, Authority, AuthorityDesk, CONTROL, Prepared,
};
use crate::alarms;
use crate::bridge::{BridgeReport, Bridges, BridgesDesk, Residents};
use crate::conf::Config;
use crate::desk::{Desk, OpenDesk, Order};
use crate::doors::{Doorkeeper, OpenListener};
use crate::entrance::House;
use crate::http::{self, ClosedHttp, HttpKeeper, HttpListener, OpenHttp, Reception};
use crate::listener::{BoundListener, Listener, StartError, Transport};
use crate::logging::Log;
use crate::machine;
use crate::mailbox::Mailbox;
use crate::observer::Observer;
use crate::opening::{self, Common};
use crate::persist::{self, Persistence, Pulse};
use crate::plan;
use crate::recorder::{Recorder, Recording};
use crate::reload::Standing;
use crate::roll;
use crate::worker::Worker;

/// How often `$SYS` is published unless somebody says otherwise.
const SYS_INTERVAL: Duration = Duration::from_secs(10);

/// What a broker is to be like.
#[derive(Debug)]
pub struct Builder {
    listeners: Vec<Listener>,
    shards: Option<NonZeroU16>,
    settings: Settings,
    /// Without it, everybody may do everything.
    access: Option<Result<AccessSettings, AccessError>>,
    authority: Option<AuthorityDesk>,
    max_connections: Option<u32>,
    websocket_head_size_max: usize,
    tls_key_log: Option<PathBuf>,
    config: Option<Config>,
    /// Of local only mode.
    ports: Vec<u16>,
    sys_interval: Option<Duration>,
    alarms: Vec<Rule>,
    log: Log,
    http: Vec<HttpListener>,
    page: Option<http::Router>,
    persistence: Option<Persistence>,
    recording: Option<Recording>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            listeners: Vec::new(),
            shards: None,
            settings: Settings::default(),
            access: None,
            authority: None,
            max_connections: None,
            websocket_head_size_max: 4_096,
            tls_key_log: None,
            config: None,
            ports: Vec::new(),
            sys_interval: Some(SYS_INTERVAL),
            alarms: alarms::default_rules(),
            log: Log::default(),
            http: Vec::new(),
            page: None,
            persistence: None,
            recording: None,
        }
    }
}

impl Builder {
    /// Adds a listener.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Builder {
        self.listeners.push(listener);
        self
    }

    /// Sets the number of shards, each a thread. Default: one per core.
    #[must_use]
    pub fn shards(mut self, shards: NonZeroU16) -> Builder {
        self.shards = Some(shards);
        self
    }

    /// Sets the bounds.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.settings.limits = limits;
        self
    }

    /// Sets who gets in and who may do what. Default: everybody, and everything.
    #[must_use]
    pub fn access(mut self, settings: AccessSettings) -> Builder {
        self.access = Some(Ok(settings));
        self
    }

    /// Lets a program of one's own decide on access, whatever [`Builder::access`] or a configuration says.
    #[must_use]
    pub fn authority(mut self, authority: Arc<dyn Authority>) -> Builder {
        self.authority = Some(AuthorityDesk(authority));
        self
    }

    /// Takes what a configuration says of limits, delivery, access and listeners. In local only mode it listens on
    /// these ports of this machine only, or on 1883.
    #[must_use]
    pub fn config(mut self, config: &Config, ports: &[u16]) -> Builder {
        self.settings = plan::settings(config);
        self.max_connections = config.limits.global_max_connections;
        self.websocket_head_size_max = usize::from(config.limits.packet_buffer_size);
        self.sys_interval = config.sys_interval;
        self.alarms = alarms::rules(config);
        let listeners = plan::listeners(config, ports);
        let said = listeners.iter().map(|listener| Some(&listener.said));
        let said: Vec<_> = said.collect();
        self.access = Some(AccessSettings::from_config(config, &said));
        self.listeners.extend(listeners);
        self.http.extend(plan::http_listeners(config));
        self.persistence = Persistence::from_config(config);
        self.recording = Recording::from_config(config);
        self.ports = ports.to_vec();
        self.config = Some(config.clone());
        self
    }

    /// Writes the keys of all TLS connections to a file, for Wireshark. Who has it can read everything.
    #[must_use]
    pub fn dangerous_tls_key_log(mut self, path: impl Into<PathBuf>) -> Builder {
        self.tls_key_log = Some(path.into());
        self
    }

    /// Sets how often `$SYS` is published: when the clock shows a multiple of this. `None` for never; the
    /// default is 10 seconds, and less than one second is one.
    #[must_use]
    pub fn sys_interval(mut self, interval: Option<Duration>) -> Builder {
        self.sys_interval = interval;
        self
    }

    /// Sets the rules by which the broker raises alarms. Default: its own, which look at the broker itself.
    #[must_use]
    pub fn alarms(mut self, rules: Vec<Rule>) -> Builder {
        self.alarms = rules;
        self
    }

    /// Sets where the broker logs to. Default: `tracing`.
    #[must_use]
    pub fn log(mut self, log: Log) -> Builder {
        self.log = log;
        self
    }

    /// Adds a place to serve HTTP on.
    #[must_use]
    pub fn http(mut self, listener: HttpListener) -> Builder {
        self.http.push(listener);
        self
    }

    /// Serves a page at all paths of listeners for HTTP at which there is nothing else. It is for everybody: who may see
    /// what is asked where the page gets it from. Default: none.
    #[must_use]
    pub fn web_ui(mut self, page: http::Router) -> Builder {
        self.page = Some(page);
        self
    }

    /// Keeps sessions, queues and retained messages beyond the process. Default: they end with it.
    #[must_use]
    pub fn persistence(mut self, persistence: Persistence) -> Builder {
        self.persistence = Some(persistence);
        self
    }

    /// Keeps messages on disk for who asks for them over HTTP. Default: none.
    #[must_use]
    pub fn recording(mut self, recording: Recording) -> Builder {
        self.recording = Some(recording);
        self
    }

    /// Opens the listeners and starts the broker. Nothing is left behind if that fails.
    pub fn start(mut self) -> Result<Broker, StartError> {
        machine::bound(&mut self.settings);
        let access = self.access.take().filter(|_| self.authority.is_none());
        let access = access.transpose()?;
        let access = access
            .map(|settings| Prepared::read(settings, &self.log))
            .transpose()?;
        if access.is_some() {
            self.settings.claimed_topics = vec![CONTROL.into()];
        }
        let house = Arc::new(House::default());
        house.set_guests_max(self.max_connections);
        let key_log = self.tls_key_log.as_deref().map(open_key_log).transpose()?;
        let common = Common {
            limits: &self.settings.limits,
            head_size_max: self.websocket_head_size_max,
            key_log: key_log.clone(),
            log: &self.log,
        };
        let numbers = 0..u16::MAX;
        let closed = (numbers.zip(&self.listeners))
            .map(|(number, listener)| opening::prepare(number, listener, &house, &common))
            .collect::<Result<Vec<_>, _>>()?;
        if !closed.is_empty() && closed.iter().all(|closed| closed.sockets.is_empty()) {
            return Err(StartError::Nowhere);
        }
        let served =
            (self.http.into_iter().map(ClosedHttp::bind)).collect::<Result<Vec<_>, _>>()?;

        let shards = self.shards.map_or_else(one_per_core, NonZeroU16::get);
        let opened = self
            .persistence
            .take()
            .map(persist::Opened::open)
            .transpose()?;
        let node = Node::new(shards, fastrand::u64(..));
        let node = Arc::new(match &opened {
            Some(_) => node.with_records(),
            None => node,
        });
        let mailboxes: Arc<[Mailbox]> = (0..shards).map(|_| Mailbox::default()).collect();
        let origin = Instant::now();
        let mut kept = opened
            .map(|opened| opened.begin(&node, &mailboxes, origin, &self.log))
            .transpose()?;
        let observer = Arc::new(Observer::new(
            Arc::clone(&mailboxes),
            Arc::clone(&node),
            origin,
            self.log.clone(),
        ));
        if let Some(kept) = &kept {
            observer.watch_persistence(kept.pulse());
        }
        observer.note_limits(&self.settings.limits);
        let heard = alarms::heard(&self.alarms);
        let begun = observer.set_alarm_rules(std::mem::take(&mut self.alarms));
        observer.begin(self.sys_interval);
        let about = http::About {
            is_open: access.is_none() && self.authority.is_none(),
            ..http::About::default()
        };
        let (running, all_stopped) = mpsc::channel(1);
        let (stop, stopping) = watch::channel(());
        let accepting = runtime()?;
        let (visitors, arrivals) = http::queue();
        let turn = Arc::new(Turn::new(&mailboxes));
        let doorkeeper = Doorkeeper::new(
            accepting.handle(),
            Hearers {
                observer: Arc::clone(&observer),
                log: self.log.clone(),
                visitors,
                turn: Arc::clone(&turn),
            },
        );
        let observing = runtime()?;
        let next_number = u16::try_from(closed.len()).unwrap_or(u16::MAX);
        let listeners = closed.into_iter().map(|closed| doorkeeper.open(closed));
        let listeners: Vec<OpenListener> = listeners.collect();
        // Dropped when something below fails, which stops what has been started.
        let mut broker = Broker {
            listeners: listeners.iter().flat_map(OpenListener::bound).collect(),
            mailboxes: Arc::clone(&mailboxes),
            stop: Some(stop),
            all_stopped,
            observer: Arc::clone(&observer),
            http_addrs: Vec::new(),
            standing: Standing {
                config: self.config,
                ports: self.ports,
                listeners,
                next_number,
                doorkeeper,
                house,
                key_log,
                claimed_topics: self.settings.claimed_topics.clone(),
                http: Vec::new(),
                http_keeper: HttpKeeper {
                    runtime: observing.handle().clone(),
                    observer: Arc::clone(&observer),
                    about: Arc::new(about),
                },
            },
            log: self.log.clone(),
            access: None,
            keeper: kept.as_ref().map(persist::Kept::pulse),
            bridges: None,
            recorder: None,
        };
        let access = access
            .map(|access| access.start(&broker.standing.listeners, running.clone()))
            .transpose()?
            .map(Arc::new);
        broker.access.clone_from(&access);
        if let Some(tally) = access.as_deref().and_then(AccessDesk::tally) {
            observer.watch_dynsec(tally);
        }
        broker.standing.http = (served.into_iter())
            .map(|closed| broker.standing.http_keeper.open(closed))
            .collect();
        broker.follow_listeners();
        let reception = Reception {
            observer: Arc::clone(&observer),
            about: Arc::clone(&broker.standing.http_keeper.about),
            access: access.clone(),
            sessions: Arc::new(http::Sessions::new(&mailboxes)),
            page: self.page,
            turn,
            log: self.log.clone(),
        };
        observing.spawn(http::receive(arrivals, reception));
        let desk: Arc<dyn Desk> = match access {
            Some(access) => access,
            None => match self.authority.take() {
                Some(authority) => Arc::new(authority),
                None => Arc::new(OpenDesk),
            },
        };

        let (restoring, restored) = std::sync::mpsc::channel::<()>();
        let residents = Arc::<Residents>::default();
        let desk: Arc<dyn Desk> = Arc::new(BridgesDesk::new(desk, &residents));
        let bridges = Bridges::new(&mailboxes, &self.log, &residents, running.clone());
        bridges.announce(broker.config(), !heard.is_empty())?;

        for id in (0..shards).map(ShardId) {
            let part = kept.as_mut().map(persist::Kept::part);
            let restoring = restoring.clone();
            let (node, settings) = (Arc::clone(&node), self.settings.clone());
            let (mailboxes, running) = (Arc::clone(&mailboxes), running.clone());
            let (log, desk) = (self.log.clone(), Arc::clone(&desk));
            let runtime = runtime()?;
            thread::Builder::new()
                .name(format!("wigwag-shard-{id}"))
                .spawn(move || {
                    let mut worker = Worker::new(id, node, settings, mailboxes, origin, desk, log);
                    if let Some((sessions, keeper)) = part {
                        worker.restore(sessions, keeper);
                    }
                    drop(restoring);
                    worker.run(&runtime);
                    drop(running);
                })?;
        }
        // The workers have it: it ends with the last of them.
        drop(desk);
        // Nobody sends: the channel closes when all sessions are where they belong, before anybody comes in.
        drop(restoring);
        let ready = restored.recv();
        debug_assert!(ready.is_err());
        if let Some(kept) = kept {
            kept.keeper.start(running.clone())?;
        }
        let (sys_interval, still_running) = (self.sys_interval, running.clone());
        let stop_observing = stopping.clone();
        thread::Builder::new()
            .name("wigwag-observe".to_owned())
            .spawn(move || {
                observing.block_on(observer.run(sys_interval, stop_observing));
                // With what is served on it.
                drop(observing);
                drop(still_running);
            })?;
        let mut stop_accepting = stopping;
        thread::Builder::new()
            .name("wigwag-accept".to_owned())
            .spawn(move || {
                // Nothing is ever sent: the sender goes when the broker stops.
                let _ = accepting.block_on(stop_accepting.changed());
                // With the sockets.
                drop(accepting);
                drop(running);
            })?;
        if let Some(config) = broker.config() {
            bridges.apply(config).wait();
        }
        bridges.listen(heard, &begun, &broker.observer.ear());
        let bridges = Arc::new(bridges);
        broker.observer.watch_bridges(&bridges);
        broker.bridges = Some(bridges);
        broker.record(self.recording)?;
        Ok(broker)
    }
}

fn open_key_log(path: &Path) -> Result<Arc<KeyLogFile>, StartError> {
    let file = KeyLogFile::open(path).map_err(|source| StartError::KeyLog {
        path: path.to_owned(),
        source,
    })?;
    Ok(Arc::new(file))
}

/// Of a thread.
fn runtime() -> Result<Runtime, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}

fn one_per_core() -> u16 {
    thread::available_parallelism()
        .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX))
}

/// A running broker. Dropping it stops it without waiting; [`Broker::shutdown`] waits.
#[derive(Debug)]
pub struct Broker {
    listeners: Vec<BoundListener>,
    mailboxes: Arc<[Mailbox]>,
    stop: Option<watch::Sender<()>>,
    all_stopped: mpsc::Receiver<()>,
    observer: Arc<Observer>,
    http_addrs: Vec<SocketAddr>,
    standing: Standing,
    log: Log,
    access: Option<Arc<AccessDesk>>,
    keeper: Option<Arc<Pulse>>,
    bridges: Option<Arc<Bridges>>,
    recorder: Option<Recorder>,
}

impl Broker {
    /// The beginning of a broker.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The listeners, with the ports that they got, in the order in which they were added.
    pub fn listeners(&self) -> &[BoundListener] {
        &self.listeners
    }

    pub(crate) const fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// The places where HTTP is served, with the ports that they got: those for metrics and the embedder's own first,
    /// then the listeners with `protocol http_api`.
    pub fn http_listeners(&self) -> &[SocketAddr] {
        &self.http_addrs
    }

    /// What the broker tells over HTTP, for a server of the embedder's own: `/metrics`, `/healthz`, `/readyz` and
    /// `/api/v1/…`. It asks nobody who he is.
    pub fn http_router(&self) -> http::Router {
        http::router_beside(&self.observer, &self.standing.http_keeper.about)
    }

    /// Stops: no new connections are taken, clients are told with DISCONNECT 0x8B, and what is on its way
    /// to them has the time of [`Limits::linger`] to get there.
    ///
    /// Bridges end first, as long as what they carry can still be acknowledged here.
    ///
    /// Dropping the future lets the broker stop without waiting for it.
    pub async fn shutdown(mut self) {
        if let Some(bridges) = &self.bridges {
            bridges.stop().await;
        }
        self.begin_to_stop();
        // Nobody ever sends: the channel closes when the last thread has ended.
        let ended = self.all_stopped.recv().await;
        debug_assert_eq!(ended, None);
    }

    /// Saves what has changed, without waiting for it. False if the broker keeps nothing.
    pub fn save(&self) -> bool {
        if let Some(keeper) = &self.keeper {
            keeper.save();
        }
        self.keeper.is_some()
    }

    /// Sets when to save from here on, if the broker keeps anything.
    pub fn set_autosave(&self, autosave: persist::Autosave) {
        if let Some(keeper) = &self.keeper {
            keeper.set_autosave(autosave);
        }
    }

    /// How the bridges are doing that the configuration names, by their names.
    pub fn bridges(&self) -> Vec<BridgeReport> {
        self.bridges
            .as_ref()
            .map_or_else(Vec::new, |bridges| bridges.reports())
    }

    /// Records this from here on, or nothing.
    pub(crate) fn record(&mut self, recording: Option<Recording>) -> io::Result<()> {
        let goes_on = match (&self.recorder, &recording) {
            (Some(recorder), Some(recording)) => recorder.become_like(recording),
            (None, None) => true,
            _ => false,
        };
        if goes_on {
            return Ok(());
        }
        self.observer.watch_recorder(None);
        self.recorder = None;
        let Some((recording, bridges)) = recording.zip(self.bridges.as_ref()) else {
            return Ok(());
        };
        let recorder = Recorder::start(recording, bridges, &self.log)?;
        let archive = Arc::clone(recorder.archive());
        self.observer.watch_recorder(Some(archive));
        self.recorder = Some(recorder);
        Ok(())
    }

    pub(crate) fn bridges_handle(&self) -> Option<&Bridges> {
        self.bridges.as_deref()
    }

    /// Disconnects clients.
    pub fn kick(&self, kick: Kick) {
        if let Some(mailbox) = self.mailboxes.first() {
            mailbox.send_order(Order::Kick(kick));
        }
    }

    /// Publishes a message to everybody who has subscribed to its topic and may receive it.
    pub fn publish(&self, message: MessageRef<'_>) {
        if let Some(mailbox) = self.mailboxes.first() {
            mailbox.send_order(Order::Publish(message.to_message()));
        }
    }

    /// Who has subscribed to what, as a tree of levels. Waits a second at most for the shards.
    pub fn subscription_tree(&self) -> String {
        roll::tree(self.observer.node(), &self.mailboxes)
    }

    /// To be called when the log has been given other options: single packets are followed only while it
    /// wants them.
    pub fn follow_log(&self) {
        self.observer.follow_log();
    }

    /// Lets all shards behave by other settings. What has been granted to clients stays.
    pub fn set_settings(&self, settings: &Settings) {
        self.observer.note_limits(&settings.limits);
        for mailbox in self.mailboxes.iter() {
            mailbox.send_order(Order::Settings(Box::new(settings.clone())));
            mailbox.send_order(Order::Policy);
        }
    }

    /// Reads the files of access again and decides by them from here on. Clients that would not be let in by
    /// them as they were before are disconnected. If anything is wrong with a file, nothing changes.
    ///
    /// Waits for the disk. A broker that began without access rules goes on without.
    pub fn reload_access(&self, settings: &AccessSettings) -> Result<(), AccessError> {
        if let Some(access) = &self.access {
            let ready = access.prepare(settings, &[])?;
            self.kick(access.exchange(ready));
        }
        Ok(())
    }

    pub(crate) const fn standing(&mut self) -> &mut Standing {
        &mut self.standing
    }

    fn config(&self) -> Option<&Config> {
        self.standing.config.as_ref()
    }

    pub(crate) const fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) const fn access(&self) -> Option<&Arc<AccessDesk>> {
        self.access.as_ref()
    }

    /// Tells of the listeners that there are.
    pub(crate) fn follow_listeners(&mut self) {
        let Standing {
            listeners, http, ..
        } = &self.standing;
        self.listeners = listeners.iter().flat_map(OpenListener::bound).collect();
        let api = self.listeners.iter();
        let api = api.filter(|bound| bound.transport == Transport::HttpApi);
        let api = api.filter_map(BoundListener::addr);
        self.http_addrs = http.iter().map(|open| open.addr).chain(api).collect();
        self.observer.watch(listeners);
        let mqtt = listeners.iter().flat_map(OpenListener::notices);
        let http = http.iter().filter_map(OpenHttp::notice);
        let about = &self.standing.http_keeper.about;
        about.listeners.store(Arc::new(mqtt.chain(http).collect()));
    }

    fn begin_to_stop(&mut self) {
        self.stop = None;
        self.recorder = None;
        self.bridges = None;
        // Its threads end when nobody has questions for them.
        self.access = None;
        self.standing.http.clear();
        self.mailboxes.iter().for_each(Mailbox::stop);
        // After the shards, so that what its questions find is the end.
        if let Some(keeper) = &self.keeper {
            keeper.stop();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.begin_to_stop();
    }
}
