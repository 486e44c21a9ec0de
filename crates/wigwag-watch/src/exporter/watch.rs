//! One broker that is watched: a client that stays connected and reads `$SYS`, and, if that is wanted, another that
//! sends messages to itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};
use tracing::{info, warn};
use wigwag_client::{Client, Event, Message, Qos, State};

use super::board::{Board, Heard, Knowledge};
use super::devices::{self, Devices};
use super::target::Target;
use super::text_format::Page;
use super::trip::{Failure, Plan, Record, Traveller, travel_once};

/// Where servers tell about themselves.
const FILTER: &str = "$SYS/#";

/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A broker that is watched.
pub(super) struct Watch {
    target: Target,
    board: Mutex<Board>,
    /// Of the messages that are sent by the clock.
    record: Mutex<Record>,
    /// Of those that somebody has asked for: with how little patience, and how often, changes nothing above.
    asked: Mutex<Record>,
    /// If somebody asks for them.
    devices: Option<Mutex<Devices>>,
    client: Client,
}

impl Watch {
    /// Begins to watch, for as long as the runtime is there.
    pub(super) fn start(
        target: Target,
        knowledge: &Knowledge,
        devices: Option<&devices::Plan>,
    ) -> anyhow::Result<Arc<Watch>> {
        let knowledge = Knowledge {
            interval: target.sys_interval.or(knowledge.interval),
            max_connections: target.max_connections.or(knowledge.max_connections),
            others: knowledge.others,
        };
        let client = match devices {
            Some(_) => target.listener(),
            None => target.watcher(),
        };
        let watch = Arc::new(Watch {
            board: Mutex::new(Board::new(knowledge)),
            record: Mutex::default(),
            asked: Mutex::default(),
            devices: devices.map(|plan| Mutex::new(Devices::new(plan.clone(), unix_secs()))),
            client: client.build()?,
            target,
        });
        let reader = Arc::downgrade(&watch);
        let subscribing =
            watch
                .client
                .subscribe(FILTER, Qos::AtMostOnce, move |message: Message| {
                    if let Some(watch) = reader.upgrade() {
                        watch.handle_message(&message);
                    }
                });
        // The answer comes as an event, for each connection.
        drop(subscribing);
        if let Some(plan) = devices {
            watch.listen_to(plan);
        }
        // Before there is anything to hear.
        let events = watch.client.events();
        tokio::spawn(Arc::clone(&watch).follow(events));
        watch.client.start();
        Ok(watch)
    }

    pub(super) fn name(&self) -> &str {
        &self.target.name
    }

    /// Notes when devices send something.
    fn listen_to(self: &Arc<Watch>, plan: &devices::Plan) {
        let reader = Arc::downgrade(self);
        let subscribing =
            self.client
                .subscribe(plan.filter(), Qos::AtMostOnce, move |message: Message| {
                    let watch = reader.upgrade();
                    let Some(devices) = watch.as_ref().and_then(|watch| watch.devices.as_ref())
                    else {
                        return;
                    };
                    locked(devices).handle_message(message.topic(), message.retain(), unix_secs());
                });
        // As above.
        drop(subscribing);
    }

    fn handle_message(&self, message: &Message) {
        let heard = Heard {
            at: Instant::now(),
            unix_secs: unix_secs(),
        };
        self.board()
            .handle_message(message.topic(), message.payload(), heard);
    }

    /// Follows the connection.
    async fn follow(self: Arc<Watch>, mut events: Receiver<Event>) {
        // When a broker that tells about itself must have done so.
        let mut due = None;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = until(due) => {
                    due = None;
                    self.complain_of_silence();
                    continue;
                }
            };
            let state = match event {
                Ok(Event::State(state)) => state,
                Ok(Event::Subscribed {
                    filter,
                    result: Err(error),
                    ..
                }) => {
                    warn!(broker = self.name(), %error, "the broker does not let us read {filter}");
                    continue;
                }
                Ok(_) => continue,
                // What has been missed is made up for by what is so now.
                Err(RecvError::Lagged(_)) => self.client.state().borrow().clone(),
                Err(RecvError::Closed) => return,
            };
            self.handle_state(&state);
            due = state
                .is_online()
                .then(|| Instant::now() + self.board().holds_for());
        }
    }

    fn complain_of_silence(&self) {
        if !self.board().is_up(Instant::now()) {
            warn!(
                broker = self.name(),
                "connected, and nothing is heard below $SYS/: the broker may not publish it, or not let this user read it"
            );
        }
    }

    /// Notes what becomes of the connection. The client itself says so in the log.
    fn handle_state(&self, state: &State) {
        match state {
            State::Online { .. } => self.board().handle_online(Instant::now()),
            State::Offline { .. } | State::Connecting { .. } => self.board().handle_offline(),
        }
    }

    /// Sends messages for ever over a connection that is kept, the first one after a while.
    pub(super) async fn keep_probing(
        self: Arc<Watch>,
        plan: Plan,
        first: Duration,
        every: Duration,
    ) {
        let mut ticks = interval_at((Instant::now() + first).into(), every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut traveller = None;
        let mut is_well = true;
        loop {
            ticks.tick().await;
            let until = Instant::now() + plan.timeout;
            let result = self.probe_over(&mut traveller, &plan, until).await;
            match &result {
                Ok(()) => is_well = true,
                Err(failure) => {
                    if is_well {
                        warn!(broker = self.name(), %failure, "the probe failed");
                    }
                    is_well = false;
                    self.record().handle_failure(failure);
                    // The next one begins from the beginning.
                    if let Some(old) = traveller.take() {
                        Traveller::leave(old).await;
                    }
                }
            }
        }
    }

    async fn probe_over(
        &self,
        traveller: &mut Option<Traveller>,
        plan: &Plan,
        until: Instant,
    ) -> Result<(), Failure> {
        let traveller = match traveller {
            Some(traveller) => traveller,
            None => {
                let (new, _, _) =
                    Traveller::set_out(&self.target, &self.target.another_client_id(), plan, until)
                        .await?;
                traveller.insert(new)
            }
        };
        let trip = traveller.travel(until).await?;
        self.record().handle_trip(trip);
        Ok(())
    }

    /// Sends one message over a connection of its own, and writes what has become of it and of those that were asked
    /// for before.
    pub(super) async fn probe_once(&self, plan: &Plan, page: &mut Page) {
        let client_id = self.target.another_client_id();
        let result = travel_once(&self.target, &client_id, plan).await;
        let mut record = locked(&self.asked);
        match result {
            Ok(times) => record.handle_times(times),
            Err(failure) => {
                info!(broker = self.name(), %failure, "the probe failed");
                record.handle_failure(&failure);
            }
        }
        record.write(page);
    }

    /// Writes what the broker tells, and when its devices were heard.
    pub(super) fn write_board(&self, page: &mut Page) {
        self.board().write(page, Instant::now());
        if let Some(devices) = &self.devices {
            locked(devices).write(page);
        }
    }

    /// Writes what has become of the messages that are sent by the clock.
    pub(super) fn write_record(&self, page: &mut Page) {
        self.record().write(page);
    }

    /// Ends the connection.
    pub(super) async fn stop(&self) {
        self.client.disconnect_within(FAREWELL).await;
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        locked(&self.board)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        locked(&self.record)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_secs() -> f64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs_f64()
}

/// Waits for a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
