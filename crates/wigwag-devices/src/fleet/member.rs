//! Drives one device: connects it, lets it report, does to it what goes wrong, and says goodbye for it.
//!
//! Each connection is a client of its own, because what the broker says when the device is gone may differ from one to
//! the next. What the device says is the business of its behaviour.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use wigwag_client::{BuildError, Client, Limits, Message, OfflineReason, PublishError, Qos, State};

use super::behaviour::{Behaviour, Command, Moment, Outgoing, Reaction};
use super::faults::Faults;
use super::tally::Tally;

const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long a device that goes waits for its last messages to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// Longest pause before a device that has lost its connection makes the next.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A connection that lasts as long was a good one.
const GOOD: Duration = Duration::from_secs(30);

/// Received messages that wait for the device.
const INBOX: usize = 4;

/// What all devices of a run share.
pub(super) struct World {
    pub(super) broker: String,
    pub(super) tally: Arc<Tally>,
    /// Whether what the devices leave retained is taken back at the end.
    pub(super) forget: bool,
}

/// One device and the one who drives it.
pub(super) struct Member {
    pub(super) world: Arc<World>,
    pub(super) id: String,
    pub(super) behaviour: Box<dyn Behaviour>,
    pub(super) every: Duration,
    pub(super) faults: Faults,
    pub(super) random: fastrand::Rng,
    /// True once the run is to end.
    pub(super) stop: watch::Receiver<bool>,
}

/// Why a connection has ended.
enum End {
    Stopped,
    DroppedOut { away: Duration },
    Lost,
    Refused,
}

/// What a device does over all of its connections.
struct Life {
    silent_from: Option<Instant>,
    is_silent: bool,
    has_arrived: bool,
}

/// The client of `broker` that a device is, or why there can be none.
pub(super) fn describe(broker: &str, id: &str) -> wigwag_client::Builder {
    let limits = Limits {
        packet_size_max: 64 * 1024,
        queue_bytes: 1024 * 1024,
        handler_messages: 16,
        handler_bytes: 128 * 1024,
        receive_maximum: 8,
        topic_alias_maximum: 0,
        ..Limits::default()
    };
    Client::builder(broker)
        .client_id(format!("wigwag-simulate-{id}"))
        .keep_alive(KEEP_ALIVE)
        .limits(limits)
}

impl Member {
    /// Lives from `start` on, until the run ends or the broker refuses the device for good.
    pub(super) async fn live(mut self, start: Instant) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep_until(start) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let silent_after = self.faults.draw_silence(&mut self.random);
        let mut life = Life {
            silent_from: silent_after.map(|after| Instant::now() + after),
            is_silent: false,
            has_arrived: false,
        };
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let pause = match self.connect_once(&mut life).await {
                End::Stopped => break,
                End::Refused => break self.world.tally.refused.add(1),
                End::DroppedOut { away } => away,
                End::Lost => {
                    failures = if began.elapsed() > GOOD {
                        0
                    } else {
                        failures + 1
                    };
                    self.draw_pause(failures)
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        if life.is_silent {
            self.world.tally.silent.sub(1);
        }
    }

    fn draw_pause(&mut self, failures: u32) -> Duration {
        let longest = PAUSE_FIRST * 2_u32.saturating_pow(failures.min(8));
        longest.min(PAUSE_MAX).mul_f64(self.random.f64())
    }

    async fn connect_once(&mut self, life: &mut Life) -> End {
        let (sender, mut inbox) = mpsc::channel(INBOX);
        let client = match self.connect(&sender) {
            Ok(client) => client,
            Err(error) => {
                self.world.tally.note_trouble(&error);
                return End::Refused;
            }
        };
        drop(sender);
        let mut state = client.state();
        if let Some(end) = self.await_acceptance(&mut state).await {
            if matches!(end, End::Stopped) {
                client.disconnect_within(Duration::ZERO).await;
            }
            return end;
        }
        self.world.tally.online.add(1);
        if !life.has_arrived {
            life.has_arrived = true;
            self.world.tally.arrived.add(1);
        }
        let end = self
            .stay_online(&client, &mut state, &mut inbox, life)
            .await;
        if matches!(end, End::Stopped) {
            self.say_goodbye(&client).await;
        }
        self.world.tally.online.sub(1);
        end
    }

    fn connect(&mut self, inbox: &mpsc::Sender<Message>) -> Result<Client, BuildError> {
        let last_words = self.behaviour.last_words(now());
        let client = describe(&self.world.broker, &self.id)
            .will(last_words.into_will())
            .build()?;
        for filter in self.behaviour.filters() {
            let inbox = inbox.clone();
            let subscribing =
                client.subscribe(filter, Qos::AtLeastOnce, move |message: Message| {
                    let inbox = inbox.clone();
                    async move {
                        // A device that is gone obeys nobody.
                        let _ = inbox.send(message).await;
                    }
                });
            drop(subscribing);
        }
        client.start();
        Ok(client)
    }

    /// Waits until the broker has accepted the device; `Some` if it will not.
    async fn await_acceptance(&mut self, state: &mut watch::Receiver<State>) -> Option<End> {
        loop {
            match &*state.borrow_and_update() {
                State::Online { .. } => return None,
                State::Offline { reason, next } if *reason != OfflineReason::NotStarted => {
                    self.world.tally.note_trouble(reason);
                    if next.is_none() {
                        return Some(End::Refused);
                    }
                }
                _ => {}
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return Some(End::Lost) },
                _ = self.stop.wait_for(|stop| *stop) => return Some(End::Stopped),
            }
        }
    }

    async fn stay_online(
        &mut self,
        client: &Client,
        state: &mut watch::Receiver<State>,
        inbox: &mut mpsc::Receiver<Message>,
        life: &mut Life,
    ) -> End {
        self.arrive(client, life);
        // Devices that start together do not report together.
        let phase = self.every.mul_f64(self.random.f64());
        let mut reports = interval_at(Instant::now() + phase, self.every);
        reports.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let drop_out = self.faults.draw_drop_out(&mut self.random);
        let drop_out = drop_out.map(|(lasts, away)| (Instant::now() + lasts, away));
        let mut stop = self.stop.clone();
        let mut arrive_again: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return End::Stopped,
                // Also if it is online once more by now: what was said belongs to the connection before.
                _ = state.changed() => {
                    self.note_loss(state);
                    return End::Lost;
                }
                away = due(drop_out) => {
                    self.world.tally.dropped_out.add(1);
                    return End::DroppedOut { away };
                }
                Some(message) = inbox.recv() => {
                    self.world.tally.received.add(1);
                    arrive_again = self.obey(client, &message, life).or(arrive_again);
                }
                () = due(arrive_again.map(|at| (at, ()))) => {
                    arrive_again = None;
                    self.arrive(client, life);
                }
                _ = reports.tick() => {
                    if !self.falls_silent(life) {
                        let report = self.behaviour.report(now());
                        self.say(client, report);
                    }
                }
            }
        }
    }

    fn note_loss(&self, state: &watch::Receiver<State>) {
        self.world.tally.lost.add(1);
        if let State::Offline { reason, .. } = &*state.borrow() {
            self.world.tally.note_trouble(reason);
        }
    }

    /// Introduces the device, unless it has fallen silent.
    fn arrive(&mut self, client: &Client, life: &mut Life) {
        if !self.falls_silent(life) {
            let arrived = self.behaviour.arrive(now());
            self.say(client, arrived);
        }
    }

    /// Does what the device is told, and returns when it is to introduce itself again, if it is.
    fn obey(&mut self, client: &Client, message: &Message, life: &mut Life) -> Option<Instant> {
        if self.falls_silent(life) {
            return None;
        }
        match self.behaviour.obey(&Command::from(message), now()) {
            Reaction::Say(said) => {
                self.say(client, said);
                None
            }
            Reaction::ArriveWithin(time) => Some(Instant::now() + time.mul_f64(self.random.f64())),
        }
    }

    fn falls_silent(&self, life: &mut Life) -> bool {
        if !life.is_silent && life.silent_from.is_some_and(|from| Instant::now() >= from) {
            life.is_silent = true;
            self.world.tally.silent.add(1);
        }
        life.is_silent
    }

    /// Hands messages over. A report that cannot be sent now is out of date by the time it could.
    fn say(&self, client: &Client, said: Vec<Outgoing>) {
        for message in said {
            match client.try_publish(message.into_publish()) {
                Ok(()) => self.world.tally.published.add(1),
                Err(error) => {
                    self.world.tally.withheld.add(1);
                    if !matches!(error, PublishError::Offline) {
                        self.world.tally.note_trouble(&error);
                    }
                }
            }
        }
    }

    async fn say_goodbye(&mut self, client: &Client) {
        let left = self.behaviour.leave(now());
        self.say(client, left);
        if self.world.forget {
            // An empty retained message ends the one that there is.
            let empty = |topic| Outgoing::new(topic, "").acknowledged().retained();
            let taken_back = self.behaviour.retained().into_iter().map(empty).collect();
            self.say(client, taken_back);
        }
        // The bound is the client's own; what is not out by then is lost with the device.
        let _ = timeout(FAREWELL * 2, client.disconnect_within(FAREWELL)).await;
    }
}

/// Waits for what comes at its time, or for ever.
async fn due<T>(what: Option<(Instant, T)>) -> T {
    match what {
        Some((at, what)) => {
            sleep_until(at).await;
            what
        }
        None => std::future::pending().await,
    }
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Moment(u64::try_from(millis).unwrap_or(u64::MAX))
}
