//! Bridges: connections to other brokers that carry messages there and back.
//!
//! A bridge is two clients of `wigwag-client`, one of the other broker and one of this one, with carriers
//! between them. They live on a thread of their own, and the shards do not know them from other clients.
//!
//! **Invariant:** a message of QoS 1 or 2 is acknowledged where it comes from only after the other side has
//! taken it.

mod carrier;
mod counters;
mod ear;
mod inside;
mod link;
mod plan;
mod remote;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as sync_mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use counters::BridgeReport;
use counters::Counters;
use ear::Wanted;
pub(crate) use ear::{Ear, Hear, Heard, Role};
use inside::InnerDoor;
pub(crate) use inside::{BridgesDesk, Residents};
use link::{Command, Link, Surroundings};
use plan::Plan;

use crate::conf::Config;
use crate::desk::Order;
use crate::logging::Log;
use crate::mailbox::Mailbox;

/// The names that the bridges of a configuration have in this broker.
pub(crate) fn local_client_ids(config: &Config) -> impl Iterator<Item = String> {
    let plans = Plan::all(config).into_iter();
    plans.map(|plan| plan.local_client_id)
}

/// How long a broker that starts waits until its bridges hear it.
const HEAR_WITHIN: Duration = Duration::from_secs(10);

/// How long a broker that stops waits for its bridges.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// All bridges of a broker.
pub(crate) struct Bridges {
    around: Surroundings,
    residents: Arc<Residents>,
    /// Keeps the broker from having ended as long as the thread lives.
    running: mpsc::Sender<()>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Where new bridges are sent to. The thread begins before the first of them.
    thread: Option<mpsc::UnboundedSender<Life>>,
    bridges: BTreeMap<String, Bridge>,
    /// What the broker itself listens to, once it listens to anything.
    heard: Option<watch::Sender<Arc<Wanted>>>,
    /// Closes when all bridges have ended.
    ended: Option<mpsc::Receiver<()>>,
    /// False, or gone, from when the broker stops.
    open: Open,
}

/// Tells ears that they may go on.
struct Open(watch::Sender<bool>);

impl Default for Open {
    fn default() -> Open {
        Open(watch::Sender::new(true))
    }
}

/// The bridges that have begun, until they hear their broker.
pub(crate) struct Hearing(sync_mpsc::Receiver<()>);

impl Hearing {
    /// Waits until what is published at this broker is for its bridges, or for a bounded time.
    pub(crate) fn wait(self) {
        // Nobody sends: the channel closes when the last of them hears.
        let heard = self.0.recv_timeout(HEAR_WITHIN);
        debug_assert!(heard.is_err());
    }
}

/// What a bridge does from its beginning to its end.
type Life = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One of them, as it is known from outside its thread.
struct Bridge {
    plan: Plan,
    counters: Arc<Counters>,
    commands: mpsc::UnboundedSender<Command>,
}

impl std::fmt::Debug for Bridges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridges").finish_non_exhaustive()
    }
}

impl Bridges {
    /// None yet. `residents` is what [`BridgesDesk`] looks at.
    pub(crate) fn new(
        workers: &Arc<[Mailbox]>,
        log: &Log,
        residents: &Arc<Residents>,
        running: mpsc::Sender<()>,
    ) -> Bridges {
        Bridges {
            around: Surroundings {
                door: Arc::new(InnerDoor::new(workers, log, None)),
                workers: Arc::clone(workers),
                log: log.clone(),
                broker: format!("{:016x}", fastrand::u64(..)).into(),
            },
            residents: Arc::clone(residents),
            running,
            inner: Mutex::default(),
        }
    }

    /// Makes ready, if this configuration has bridges or the broker is to listen. The shards have to be given their
    /// policies after this and before [`Bridges::apply`] and [`Bridges::listen`].
    pub(crate) fn announce(&self, config: Option<&Config>, listens: bool) -> io::Result<()> {
        let has_bridges = config.is_some_and(|config| !config.bridges.is_empty());
        let mut inner = self.lock();
        if (has_bridges || listens) && inner.thread.is_none() {
            let (thread, ended) = self.start_thread()?;
            (inner.thread, inner.ended) = (Some(thread), Some(ended));
            self.expect_some();
        }
        Ok(())
    }

    /// From here on shards know that there are some.
    fn expect_some(&self) {
        if self.residents.expect_some() {
            for worker in self.around.workers.iter() {
                worker.send_order(Order::Policy);
            }
        }
    }

    /// Keeps the broker from having ended.
    pub(crate) fn running(&self) -> mpsc::Sender<()> {
        self.running.clone()
    }

    /// An ear with a thread of its own, which hears nothing until it is told what.
    pub(crate) fn open_ear(&self, role: Role, hear: &Hear) -> io::Result<Ear> {
        // The shards are told before its client can come.
        self.expect_some();
        let runtime = runtime()?;
        let lost = Arc::new(AtomicU64::new(0));
        let (wanted, heard) = watch::channel(Arc::default());
        let log = self.around.log.clone();
        let door = InnerDoor::new(&self.around.workers, &log, Some(Arc::clone(&lost)));
        let life = ear::listen(role, Arc::new(door), heard, Arc::clone(hear), log);
        let (mut open, running) = (self.lock().open.0.subscribe(), self.running.clone());
        thread::Builder::new()
            .name(role.client_id().to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = life => {}
                        // The broker stops.
                        _ = open.wait_for(|is_open| !is_open) => {}
                    }
                });
                drop(running);
            })?;
        Ok(Ear { wanted, lost })
    }

    /// Listens to what matches these filters, and to nothing else from here on; what is retained for `begun`, which are
    /// some of them, is heard again.
    pub(crate) fn listen(&self, filters: BTreeSet<String>, begun: &BTreeSet<String>, hear: &Hear) {
        let mut inner = self.lock();
        if let Some(heard) = &inner.heard {
            heard.send_modify(|wanted| *wanted = Arc::new(wanted.next(filters, begun)));
        } else if let Some(thread) = &inner.thread
            && !filters.is_empty()
        {
            let wanted = Wanted::default().next(filters, begun);
            let (heard, wanted) = watch::channel(Arc::new(wanted));
            let (door, log) = (Arc::clone(&self.around.door), self.around.log.clone());
            let life = ear::listen(Role::Alarms, door, wanted, Arc::clone(hear), log);
            // The thread lives for as long as this end does.
            let _ = thread.send(Box::pin(life));
            inner.heard = Some(heard);
        }
    }

    /// Lets there be the bridges of this configuration: those that it does not name end, others begin, and
    /// what has not changed goes on undisturbed.
    pub(crate) fn apply(&self, config: &Config) -> Hearing {
        let (deaf, all_hear) = sync_mpsc::channel();
        let plans = Plan::all(config);
        let client_ids = plans.iter().map(|plan| plan.local_client_id.clone());
        self.residents.set(client_ids.collect());
        let mut inner = self.lock();
        let is_wanted = |name: &String| plans.iter().any(|plan| plan.said.name == *name);
        inner.bridges.retain(|name, bridge| {
            let stays = is_wanted(name);
            if !stays {
                bridge.command(Command::End { forget: true });
            }
            stays
        });
        for plan in plans {
            match inner.bridges.get_mut(&plan.said.name) {
                Some(bridge) if bridge.plan.is_same(&plan) => {}
                Some(bridge) => {
                    bridge.plan = plan.clone();
                    bridge.command(Command::Become(Box::new(plan)));
                }
                None => self.begin(&mut inner, plan, deaf.clone()),
            }
        }
        Hearing(all_hear)
    }

    fn begin(&self, inner: &mut Inner, plan: Plan, deaf: sync_mpsc::Sender<()>) {
        let counters = Arc::<Counters>::default();
        let (commands, receiver) = mpsc::unbounded_channel();
        let link = Link {
            plan: plan.clone(),
            counters: Arc::clone(&counters),
            commands: receiver,
            around: self.around.clone(),
            deaf: Some(deaf),
        };
        if let Some(thread) = &inner.thread {
            // The thread lives for as long as this end does.
            let _ = thread.send(Box::pin(link.run()));
        }
        let name = plan.said.name.clone();
        let bridge = Bridge {
            plan,
            counters,
            commands,
        };
        inner.bridges.insert(name, bridge);
    }

    fn start_thread(&self) -> io::Result<(mpsc::UnboundedSender<Life>, mpsc::Receiver<()>)> {
        let runtime = runtime()?;
        let (links, receiver) = mpsc::unbounded_channel();
        let (alive, ended) = mpsc::channel(1);
        let running = self.running.clone();
        thread::Builder::new()
            .name("wigwag-bridges".to_owned())
            .spawn(move || {
                runtime.block_on(run_all(receiver));
                drop((alive, running));
            })?;
        Ok((links, ended))
    }

    /// How they are doing, by their names.
    pub(crate) fn reports(&self) -> Vec<BridgeReport> {
        let inner = self.lock();
        let bridges = inner.bridges.iter();
        bridges
            .map(|(name, bridge)| bridge.counters.report(name))
            .collect()
    }

    /// Ends all bridges in good order, if that is possible within a while: the other brokers are told.
    pub(crate) async fn stop(&self) {
        let ended = {
            let mut inner = self.lock();
            for bridge in std::mem::take(&mut inner.bridges).values() {
                bridge.command(Command::End { forget: false });
            }
            (inner.thread, inner.heard) = (None, None);
            inner.open.0.send_replace(false);
            inner.ended.take()
        };
        if let Some(mut ended) = ended {
            // Nobody ever sends: it closes with the thread.
            let _ = timeout(STOP_WITHIN, ended.recv()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bridge {
    fn command(&self, command: Command) {
        // A bridge that has ended needs none.
        let _ = self.commands.send(command);
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Lets bridges live until no more can come and all have ended.
async fn run_all(mut lives: mpsc::UnboundedReceiver<Life>) {
    let mut bridges = JoinSet::new();
    loop {
        tokio::select! {
            life = lives.recv() => match life {
                Some(life) => _ = bridges.spawn(life),
                None => break,
            },
            Some(_) = bridges.join_next() => {}
        }
    }
    while bridges.join_next().await.is_some() {}
}
