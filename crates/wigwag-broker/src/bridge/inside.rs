//! A bridge's way into its own broker: a client like any other, over a stream within the process, so that
//! sessions, queues, flow control and retained messages are those of everybody.
//!
//! What makes it different is said here: nobody asks it for a password or for rights.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::io::{DuplexStream, duplex};
use wigwag_client::{
    Backoff, BuildError, Builder, Client, Limits, RefusalPolicy, SessionLossPolicy, Version,
};
use wigwag_engine::auth::{Answer, Attempt, AuthRequest, Verdict};
use wigwag_engine::policy::{AllowAll, Identity, Policy};
use wigwag_engine::proto::{ReasonCode, TopicFilter, TopicName};
use wigwag_engine::{Claimed, ListenerSettings, ShardId};

use super::ear::Role;
use super::plan::Plan;
use crate::acceptor::Arrival;
use crate::conf::config::CertificateName;
use crate::desk::{Desk, Orders};
use crate::entrance::{Entrance, House, INSIDE, Rules, Socket};
use crate::logging::Log;
use crate::mailbox::Mailbox;

/// Bytes that may be on their way between a bridge and its broker, each way.
const PIPE_LEN: usize = 64 * 1024;

/// How long a session within the broker waits for its bridge.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// The largest packet that there can be: the broker's own bounds hold already.
pub(super) const PACKET_SIZE_MAX: u32 = 268_435_460;

/// Messages that may wait for this broker in this client: those that the other one may have in flight, and
/// those of QoS 0 that are bounded where they come from.
const QUEUE_MESSAGES: usize = 1024 * 1024;

/// Messages and bytes that may wait between the two clients of a bridge, beyond what the session has in
/// flight: of QoS 0, mostly.
const WAITING_MESSAGES: usize = 1_024;
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Where bridges come in.
#[derive(Debug)]
pub(super) struct InnerDoor {
    entrance: Arc<Entrance>,
    workers: Arc<[Mailbox]>,
    log: Log,
}

impl InnerDoor {
    /// With `lost`, who comes in here holds no publisher back, and loses what is too much; that is counted there.
    pub(super) fn new(
        workers: &Arc<[Mailbox]>,
        log: &Log,
        lost: Option<Arc<AtomicU64>>,
    ) -> InnerDoor {
        // Nobody counts it among the guests.
        let house = Arc::new(House::default());
        house.set_guests_max(None);
        let mut settings = ListenerSettings::default();
        settings.number = INSIDE;
        settings.topic_alias_maximum = 0;
        settings.topic_alias_maximum_out = 0;
        settings.lost = lost;
        let rules = Rules {
            settings: Arc::new(settings),
            proxy: None,
            tls: None,
            certificate_name: CertificateName::None,
            websocket: None,
            max_connections: None,
            is_http: false,
            http_dir: None,
            web_ui: false,
        };
        InnerDoor {
            entrance: Arc::new(Entrance::new(rules, &house)),
            workers: Arc::clone(workers),
            log: log.clone(),
        }
    }

    /// A connection to the worker that is the home of this client.
    pub(super) fn open(&self, client_id: &str) -> io::Result<DuplexStream> {
        let hash = client_id.bytes().fold(0_usize, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(byte.into())
        });
        let gone = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let home = hash.checked_rem(self.workers.len()).ok_or_else(gone)?;
        let worker = self.workers.get(home).ok_or_else(gone)?;
        let guest = self.entrance.admit(None, &self.log).ok_or_else(gone)?;
        let (ours, theirs) = duplex(PIPE_LEN);
        let arrival = Arrival {
            socket: Socket::Inside(theirs),
            guest,
            at: Instant::now(),
        };
        worker.send_arrival(arrival).map_err(|_| gone())?;
        Ok(ours)
    }
}

/// Describes the client of a bridge in its own broker. With `forget` set when it disconnects, its session
/// ends then.
pub(super) fn client(
    plan: &Plan,
    door: &Arc<InnerDoor>,
    forget: &Arc<AtomicBool>,
) -> Result<Client, BuildError> {
    let limits = Limits {
        packet_size_max: PACKET_SIZE_MAX,
        receive_maximum: plan.bounds.inflight_max,
        handler_messages: usize::from(plan.bounds.inflight_max) + WAITING_MESSAGES,
        handler_bytes: WAITING_BYTES,
        // What is handed over must not wait for room: who waits can be overtaken.
        queue_messages: QUEUE_MESSAGES,
        queue_bytes: u32::MAX as usize,
        topic_alias_maximum: 0,
        topic_aliases: 0,
    };
    let (door, client_id) = (Arc::clone(door), plan.local_client_id.clone());
    let forget = Arc::clone(forget);
    let is_clean = plan.has_clean_local_session();
    let builder: Builder = Client::builder("mqtt://inside")
        .transport(move |_| std::future::ready(door.open(&client_id)))
        .version(Version::V5)
        .client_id(&plan.local_client_id)
        .clean_start(is_clean)
        .session_expiry(if is_clean { Duration::ZERO } else { FOR_EVER })
        .keep_alive(Duration::ZERO)
        .refusal_policy(RefusalPolicy::Retry)
        .backoff(
            Backoff::default()
                .first(Duration::from_millis(10))
                .max(Duration::from_secs(1)),
        )
        .session_loss_policy(SessionLossPolicy::Republish)
        .limits(limits)
        .edit_disconnect(move |packet| {
            if forget.load(Ordering::Relaxed) {
                packet.session_expiry = Some(Duration::ZERO);
            }
        });
    let user_name = plan.said.local_username.clone();
    builder
        .edit_connect(move |_, packet| packet.user_name.clone_from(&user_name))
        .build()
}

/// What of the bridges there are has to be known where clients come in.
#[derive(Debug, Default)]
pub(crate) struct Residents {
    are_expected: AtomicBool,
    client_ids: ArcSwap<BTreeSet<String>>,
}

impl Residents {
    /// From here on there may be some. Answers whether that is news.
    pub(super) fn expect_some(&self) -> bool {
        !self.are_expected.swap(true, Ordering::AcqRel)
    }

    /// Their Client Identifiers, which nobody else may use.
    pub(super) fn set(&self, client_ids: BTreeSet<String>) {
        self.client_ids.store(Arc::new(client_ids));
    }
}

/// The desk of a broker that has bridges: it lets them in, and asks another about everybody else.
pub(crate) struct BridgesDesk {
    others: Arc<dyn Desk>,
    residents: Arc<Residents>,
}

impl BridgesDesk {
    /// Looks at bridges only from when there are some: until then, everything is as without.
    pub(crate) fn new(others: Arc<dyn Desk>, residents: &Arc<Residents>) -> BridgesDesk {
        BridgesDesk {
            others,
            residents: Arc::clone(residents),
        }
    }
}

impl Desk for BridgesDesk {
    fn policy(&self, shard: ShardId) -> Option<Box<dyn Policy>> {
        let others = self.others.policy(shard);
        if !self.residents.are_expected.load(Ordering::Acquire) {
            return others;
        }
        Some(Box::new(TrustBridges {
            others: others.unwrap_or_else(|| Box::new(AllowAll)),
            residents: Arc::clone(&self.residents),
        }))
    }

    fn authenticate(&self, orders: &Orders, request: AuthRequest) -> Option<Verdict> {
        self.others.authenticate(orders, request)
    }

    fn handle_claimed(&self, orders: &Orders, claimed: Claimed) {
        self.others.handle_claimed(orders, claimed);
    }
}

/// Bridges may do everything, except speak to the broker's own endpoints: a foreign broker must not. All
/// others may do what another policy says, but not come under a bridge's name: its session has what waits for
/// the other broker.
struct TrustBridges {
    others: Box<dyn Policy>,
    residents: Arc<Residents>,
}

fn is_bridge(who: &Identity) -> bool {
    who.listener.number == INSIDE
}

impl Policy for TrustBridges {
    fn authenticate(&self, attempt: &Attempt<'_>) -> Answer {
        if is_bridge(attempt.identity) {
            return Answer::allow(attempt);
        }
        let client_id = &*attempt.identity.client_id;
        if Role::has_name(client_id) || self.residents.client_ids.load().contains(client_id) {
            return Answer::refuse(ReasonCode::ClientIdentifierNotValid);
        }
        self.others.authenticate(attempt)
    }

    fn may_publish(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        if is_bridge(who) {
            return !topic.as_str().starts_with("$CONTROL/");
        }
        self.others.may_publish(who, topic)
    }

    fn may_subscribe(&self, who: &Identity, filter: TopicFilter<'_>) -> bool {
        is_bridge(who) || self.others.may_subscribe(who, filter)
    }

    fn may_unsubscribe(&self, who: &Identity, filter: TopicFilter<'_>) -> bool {
        is_bridge(who) || self.others.may_unsubscribe(who, filter)
    }

    fn may_receive(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        is_bridge(who) || self.others.may_receive(who, topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody may do anything.
    struct Never;

    impl Policy for Never {
        fn may_publish(&self, _: &Identity, _: TopicName<'_>) -> bool {
            false
        }

        fn may_subscribe(&self, _: &Identity, _: TopicFilter<'_>) -> bool {
            false
        }

        fn may_receive(&self, _: &Identity, _: TopicName<'_>) -> bool {
            false
        }
    }

    #[test]
    fn bridges_are_trusted_and_others_are_not() {
        let policy = TrustBridges {
            others: Box::new(Never),
            residents: Arc::default(),
        };
        let topic = |text| TopicName::new(text).expect("valid");
        let mut bridge = Identity::new("local.b", None);
        let mut settings = ListenerSettings::default();
        settings.number = INSIDE;
        bridge.listener = Arc::new(settings);
        assert!(policy.may_publish(&bridge, topic("a")));
        assert!(policy.may_receive(&bridge, topic("$SYS/broker/uptime")));
        assert!(!policy.may_publish(&bridge, topic("$CONTROL/dynamic-security/v1")));
        let other = Identity::new("local.b", None);
        assert!(!policy.may_publish(&other, topic("a")));
        assert!(!policy.may_receive(&other, topic("a")));
    }

    #[test]
    fn nobody_else_comes_under_the_name_of_a_bridge() {
        let residents = Arc::<Residents>::default();
        residents.set(BTreeSet::from(["local.b".to_owned()]));
        let policy = TrustBridges {
            others: Box::new(AllowAll),
            residents: Arc::clone(&residents),
        };
        let mut settings = ListenerSettings::default();
        settings.number = INSIDE;
        let inside = Arc::new(settings);
        let is_let_in = |client_id, is_inside: bool| {
            let mut identity = Identity::new(client_id, None);
            if is_inside {
                identity.listener = Arc::clone(&inside);
            }
            let attempt = Attempt {
                identity: &identity,
                is_certified: false,
                password: None,
                method: None,
                data: None,
            };
            matches!(
                policy.authenticate(&attempt),
                Answer::Now(Verdict::Allow { .. })
            )
        };
        assert!(is_let_in("local.b", true));
        assert!(is_let_in("local.c", false));
        assert!(!is_let_in("local.b", false));
        for name in ["wigwag.alarms", "wigwag.recorder", "wigwag.topics"] {
            assert!(!is_let_in(name, false), "{name}");
        }
        residents.set(BTreeSet::new());
        assert!(is_let_in("local.b", false), "the bridge is gone");
    }
}
