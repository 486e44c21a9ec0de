//! The keeper of dynamic security: one thread that takes requests on `$CONTROL` topics, one after the other.
//!
//! A change is on the disk before it holds, and holds before its reply leaves; whoever it concerns is
//! disconnected with the reply. A change that cannot be written is not made.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

/// Requests that wait. More than this at once is not administration: they are refused.
pub(crate) const REQUESTS_MAX: usize = 256;

/// Bytes of their payloads.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    /// Bytes of the payloads that wait.
    waiting: Arc<AtomicUsize>,
    log: Log,
}

impl Requests {
    pub(super) fn send(&self, orders: &Orders, claimed: Claimed) {
        let bytes = payload_len(&claimed);
        let up = |waiting: usize| {
            waiting
                .checked_add(bytes)
                .filter(|&sum| sum <= REQUEST_BYTES_MAX)
        };
        let has_room = (self.waiting)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, up)
            .is_ok();
        if !has_room {
            return self.refuse(orders, &claimed);
        }
        if let Err(TrySendError::Full((_, claimed))) =
            self.sender.try_send((orders.clone(), claimed))
        {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.refuse(orders, &claimed);
        }
    }

    /// Says that there are too many. On the shard's own thread, so nothing of the request is read.
    fn refuse(&self, orders: &Orders, claimed: &Claimed) {
        let message = claimed.message.view();
        let topic = message.topic.as_str();
        let what = format_args!(
            "a request on {topic} is refused: {REQUESTS_MAX} others or {REQUEST_BYTES_MAX} bytes are waiting"
        );
        self.log.write(LogType::Warning, what);
        publish(
            orders,
            topic,
            &control::refusal("Too many requests are waiting"),
        );
    }
}

fn payload_len(claimed: &Claimed) -> usize {
    claimed.message.view().payload.len()
}

impl Keeper {
    /// Starts the thread. `running` is held for as long as it runs.
    pub(super) fn start(self, running: impl Send + 'static) -> io::Result<Requests> {
        let (sender, receiver) = sync_channel(REQUESTS_MAX);
        let log = self.log.clone();
        let waiting = Arc::new(AtomicUsize::new(0));
        let of_keeper = Arc::clone(&waiting);
        thread::Builder::new()
            .name("wigwag-access".to_owned())
            .spawn(move || {
                self.run(&receiver, &of_keeper);
                drop(running);
            })?;
        Ok(Requests {
            sender,
            waiting,
            log,
        })
    }

    fn run(mut self, requests: &Receiver<(Orders, Claimed)>, waiting: &AtomicUsize) {
        while let Ok((orders, claimed)) = requests.recv() {
            waiting.fetch_sub(payload_len(&claimed), Ordering::Relaxed);
            let message = claimed.message.view();
            let about = self.about.load_full();
            match (message.topic.as_str(), about.as_deref()) {
                (DYNSEC_TOPIC, _) if self.dynsec.is_some() => self.change(&orders, &claimed),
                (BROKER_TOPIC, Some((plugins, listeners))) => {
                    let reply = control::broker_reply(message.payload, plugins, listeners);
                    publish(&orders, BROKER_TOPIC, &reply);
                }
                (topic, _) => publish(&orders, topic, control::NO_ENDPOINT),
            }
        }
    }

    fn change(&mut self, orders: &Orders, claimed: &Claimed) {
        let Some((file, state)) = &mut self.dynsec else {
            return;
        };
        let mut changed = state.clone();
        let addresses = OnceCell::new();
        let connections = |user: &str, client_id: Option<&str>| {
            let addresses = addresses.get_or_init(|| addresses_of_users(orders));
            let of_user = addresses.get(user).into_iter().flatten();
            of_user
                .filter(|(client, _)| client_id.is_none_or(|wanted| wanted == &**client))
                .map(|(_, address)| address.clone())
                .collect()
        };
        let outcome = changed.carry_out(
            claimed.message.view().payload,
            Environment {
                from: Asker {
                    client_id: &claimed.identity.client_id,
                    user_name: claimed.identity.user_name.as_deref(),
                },
                scheme: Scheme::PBKDF2,
                salt: &mut files::random,
                connections: Some(&connections),
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
        let reply = published(DYNSEC_TOPIC, &outcome.reply());
        orders.answer_all(
            reply
                .into_iter()
                .chain(outcome.kicked.into_iter().map(kick)),
        );
    }
}

/// Client Identifiers and addresses of those who are connected, by their user names.
fn addresses_of_users(orders: &Orders) -> HashMap<Box<str>, Vec<(Box<str>, String)>> {
    let mut users: HashMap<_, Vec<_>> = HashMap::new();
    let connected = orders.call_the_roll().into_iter();
    for identity in (connected.filter(|it| it.is_connected)).map(|it| it.identity) {
        if let (Some(user), Some(address)) = (identity.user_name, identity.address) {
            let address = address.ip().to_string();
            users
                .entry(user)
                .or_default()
                .push((identity.client_id, address));
        }
    }
    users
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
    orders.answer_all(published(endpoint, reply));
}

/// Nothing, if the topic of the reply would be too long.
fn published(endpoint: &str, reply: &str) -> Option<Order> {
    let topic = format!("{endpoint}{RESPONSE_SUFFIX}");
    let message = MessageRef {
        topic: TopicName::new(&topic).ok()?,
        qos: Qos::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
        payload: reply.as_bytes(),
        expires_at: None,
    };
    Some(Order::Publish(message.to_message()))
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use wigwag_engine::policy::Identity;
    use wigwag_engine::{ConnectionKey, ShardId};

    use super::*;
    use crate::mailbox::Mailbox;

    fn request(topic: &str, payload: &[u8]) -> Claimed {
        let message = MessageRef {
            topic: TopicName::new(topic).expect("valid"),
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: Properties::EMPTY,
            payload,
            expires_at: None,
        };
        Claimed {
            connection: ConnectionKey::default(),
            identity: Identity::new("c", None),
            message: message.to_message(),
        }
    }

    /// The replies to requests that nobody takes.
    fn replies(topic: &str, payloads: &[usize]) -> Vec<String> {
        let mailboxes: Arc<[Mailbox]> = [Mailbox::default()].into();
        let orders = Orders::new(&mailboxes, ShardId(0));
        let (sender, receiver) = sync_channel(2);
        let requests = Requests {
            sender,
            waiting: Arc::default(),
            log: Log::default(),
        };
        for &bytes in payloads {
            requests.send(&orders, request(topic, &vec![b' '; bytes]));
        }
        drop(receiver);
        let inbox = mailboxes[0].poll_take(&Context::from_waker(Waker::noop()));
        let replies = inbox.orders.into_iter().map(|order| match order {
            Order::Publish(message) => {
                let message = message.view();
                let payload = String::from_utf8_lossy(message.payload);
                format!("{} {payload}", message.topic.as_str())
            }
            order => format!("{order:?}"),
        });
        replies.collect()
    }

    #[test]
    fn a_request_that_is_one_too_many_is_answered() {
        let refused = concat!(
            "$CONTROL/x/response {\"responses\":[{\"command\":\"Unknown command\",",
            "\"error\":\"Too many requests are waiting\"}]}"
        );
        assert_eq!(replies("$CONTROL/x", &[1, 1]), [""; 0]);
        assert_eq!(replies("$CONTROL/x", &[1, 1, 1]), [refused]);
        let most = REQUEST_BYTES_MAX;
        assert_eq!(replies("$CONTROL/x", &[most]), [""; 0]);
        assert_eq!(replies("$CONTROL/x", &[most, 1]), [refused]);
    }

    #[test]
    fn a_topic_that_leaves_no_room_for_its_reply_gets_none() {
        let longest = format!("$CONTROL/{}", "x".repeat(65_535 - 9));
        assert_eq!(replies(&longest, &[1, 1, 1]), [""; 0]);
    }
}
