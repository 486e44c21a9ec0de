//! The keeper of dynamic security: one thread that takes requests on `$CONTROL` topics, one after the other.
//!
//! A change is on the disk before it holds, and holds before its reply leaves; whoever it concerns is
//! disconnected with the reply. A change that cannot be written is not made.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};
use std::{io, thread};

use arc_swap::ArcSwapOption;
use wigwag_access::control::{
    self, BROKER_TOPIC, DYNSEC_TOPIC, ListenerInfo, Plugin, RESPONSE_SUFFIX,
};
use wigwag_access::dynsec::{Environment, Kicked, State};
use wigwag_access::password::Scheme;
use wigwag_access::rules::Who as Asker;
use wigwag_engine::message::MessageRef;
use wigwag_engine::proto::{Properties, Qos, ReasonCode, TopicName};
use wigwag_engine::{Claimed, Kick, Who};

use super::files;
use super::policy::Shared;
use crate::conf::config::LogType;
use crate::desk::{Order, Orders};
use crate::logging::Log;

/// Requests that wait. More than this at once is not administration.
pub(crate) const REQUESTS_MAX: usize = 256;

/// What the broker's own endpoint tells, if it is open.
pub(super) type About = ArcSwapOption<(Vec<Plugin>, Vec<ListenerInfo>)>;

/// How the changes of dynamic security have gone.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    saved: AtomicU64,
    unsaved: AtomicU64,
    /// Milliseconds since 1970; 0 if there was none.
    saved_at: AtomicU64,
}

impl Tally {
    fn count(&self, is_saved: bool) {
        if is_saved {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            self.saved_at.store(now, Ordering::Relaxed);
            self.saved.fetch_add(1, Ordering::Relaxed);
        } else {
            self.unsaved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Changes that hold, and those that could not be written.
    pub(crate) fn changes(&self) -> [u64; 2] {
        [&self.saved, &self.unsaved].map(|count| count.load(Ordering::Relaxed))
    }

    /// When the last change was made that holds, since 1970.
    pub(crate) fn saved_at(&self) -> Option<Duration> {
        let millis = self.saved_at.load(Ordering::Relaxed);
        (millis > 0).then(|| Duration::from_millis(millis))
    }
}

/// What the keeper keeps and knows.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Log,
    pub(super) dynsec: Option<(PathBuf, State)>,
    pub(super) about: Arc<About>,
    pub(super) tally: Arc<Tally>,
}

/// Requests for the keeper. Its thread ends when this is dropped, with what it is doing done.
pub(super) struct Requests {
    sender: SyncSender<(Orders, Claimed)>,
    log: Log,
}

impl Requests {
    pub(super) fn send(&self, orders: &Orders, claimed: Claimed) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send((orders.clone(), claimed)) {
            let what = format_args!(
                "a request on a control topic is lost: {REQUESTS_MAX} others are waiting"
            );
            self.log.write(LogType::Warning, what);
        }
    }
}

impl Keeper {
    /// Starts the thread. `running` is held for as long as it runs.
    pub(super) fn start(self, running: impl Send + 'static) -> io::Result<Requests> {
        let (sender, receiver) = sync_channel(REQUESTS_MAX);
        let log = self.log.clone();
        thread::Builder::new()
            .name("wigwag-access".to_owned())
            .spawn(move || {
                self.run(&receiver);
                drop(running);
            })?;
        Ok(Requests { sender, log })
    }

    fn run(mut self, requests: &Receiver<(Orders, Claimed)>) {
        while let Ok((orders, claimed)) = requests.recv() {
            let message = claimed.message.view();
            match message.topic.as_str() {
                DYNSEC_TOPIC => self.change(&orders, &claimed),
                BROKER_TOPIC => {
                    if let Some(about) = &*self.about.load() {
                        let (plugins, listeners) = &**about;
                        let reply = control::broker_reply(message.payload, plugins, listeners);
                        publish(&orders, BROKER_TOPIC, &reply);
                    }
                }
                topic => {
                    let what = format_args!("a message to {topic}, where nobody listens");
                    self.log.write(LogType::Warning, what);
                }
            }
        }
    }

    fn change(&mut self, orders: &Orders, claimed: &Claimed) {
        let Some((file, state)) = &mut self.dynsec else {
            return;
        };
        let mut changed = state.clone();
        let outcome = changed.carry_out(
            claimed.message.view().payload,
            Environment {
                from: Asker {
                    client_id: &claimed.identity.client_id,
                    user_name: claimed.identity.user_name.as_deref(),
                },
                scheme: Scheme::PBKDF2,
                salt: &mut files::random,
                connections: None,
            },
        );
        for line in &outcome.log {
            self.log.write(LogType::Information, line);
        }
        if !outcome.is_change() {
            return publish(orders, DYNSEC_TOPIC, &outcome.reply());
        }
        if let Err(error) = files::write_whole(file, changed.document().as_bytes()) {
            let file = file.display();
            let what = format_args!(
                "dynamic security has not been changed: {file} cannot be written: {error}"
            );
            self.log.write(LogType::Error, what);
            self.tally.count(false);
            return publish(orders, DYNSEC_TOPIC, &outcome.reply_unsaved());
        }
        self.shared.rights.store(Arc::new(changed.rights()));
        *state = changed;
        self.tally.count(true);
        // In one turn: who has read the reply and comes again is not taken for who was there before.
        let reply = [published(DYNSEC_TOPIC, &outcome.reply())];
        orders.answer_all(
            reply
                .into_iter()
                .chain(outcome.kicked.into_iter().map(kick)),
        );
    }
}

fn kick(kicked: Kicked) -> Order {
    Order::Kick(Kick {
        who: match kicked {
            Kicked::Anonymous => Who::Anonymous,
            Kicked::User(user) => Who::User(user),
        },
        reason: ReasonCode::AdministrativeAction,
        with_will: false,
    })
}

fn publish(orders: &Orders, endpoint: &str, reply: &str) {
    orders.answer(published(endpoint, reply));
}

fn published(endpoint: &str, reply: &str) -> Order {
    let topic = format!("{endpoint}{RESPONSE_SUFFIX}");
    let message = MessageRef {
        topic: TopicName::new(&topic).expect("it has no wildcards"),
        qos: Qos::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
        payload: reply.as_bytes(),
        expires_at: None,
    };
    Order::Publish(message.to_message())
}
