//! The answers that a shard gets on its own thread: from tables that others swap, and from memory.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Cache};
use wigwag_access::control::DYNSEC_TOPIC;
use wigwag_access::dynsec::{Operation, Rights};
use wigwag_access::password::PasswordHash;
use wigwag_access::rules::Who;
use wigwag_access::scram::Decoy;
use wigwag_access::verified::{Key, Verified};
use wigwag_engine::auth::{Answer, Attempt, Verdict};
use wigwag_engine::policy::{Identity, Policy};
use wigwag_engine::proto::{ReasonCode, TopicFilter, TopicName};

use super::tables::{self, Caller, Judgement, Tables};
use super::{files, scram};

/// How long a password that was right is taken to be, without hashing it again.
const VERIFIED_AGE_MAX: Duration = Duration::from_secs(60);

/// Half of the users for whom that is remembered.
const VERIFIED_MAX: usize = 10_000;

/// What all shards and the threads beside them decide by.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tables: Arc<ArcSwap<Tables>>,
    pub(super) rights: Arc<ArcSwap<Rights>>,
    /// What users who do not exist are made of. It stays when the tables change: who exists does not change its
    /// salt either.
    scram_secret: Key,
    verified: Mutex<Verified>,
    origin: Instant,
}

impl Shared {
    pub(super) fn new(tables: Tables, rights: Rights, scram_secret: Option<[u8; 32]>) -> Shared {
        let key = Key(files::random());
        Shared {
            scram_secret: Key(scram_secret.unwrap_or_else(files::random)),
            tables: Arc::new(ArcSwap::from_pointee(tables)),
            rights: Arc::new(ArcSwap::from_pointee(rights)),
            verified: Mutex::new(Verified::new(key, VERIFIED_AGE_MAX, VERIFIED_MAX)),
            origin: Instant::now(),
        }
    }

    /// What the client has to show, by what holds at this moment.
    pub(super) fn judge(
        &self,
        identity: &Identity,
        is_certified: bool,
        has_password: bool,
    ) -> Judgement {
        let caller = caller(identity, is_certified);
        self.tables
            .load()
            .judge(&self.rights.load(), caller, has_password)
    }

    /// Whether the user of a certificate may come in.
    pub(super) fn admits_certified(&self, identity: &Identity) -> bool {
        matches!(self.judge(identity, true, false), Judgement::Admit)
    }

    /// Whether somebody may do something, by what holds at this moment. A shard asks its own policy.
    pub(super) fn allows(&self, identity: &Identity, operation: Operation<'_>) -> bool {
        let rights = self.rights.load();
        allows(&self.tables.load(), || &rights, identity, operation)
    }

    /// Who stands in for users who do not exist on a listener; `None` if nobody can log in with SCRAM-SHA-256
    /// there.
    pub(super) fn decoy(&self, listener: u16) -> Option<Decoy> {
        let look = self.tables.load().scram_look(&self.rights.load(), listener);
        look.map(|look| look.decoy(self.scram_secret.0))
    }

    /// The password of a user who may log in with SCRAM-SHA-256, as it is kept for that.
    pub(super) fn hash_for_scram(
        &self,
        identity: &Identity,
        user: &str,
    ) -> Option<Arc<PasswordHash>> {
        let mut caller = caller(identity, false);
        caller.who.user_name = Some(user);
        if identity.listener.use_username_as_clientid {
            caller.who.client_id = user;
        }
        match self.tables.load().judge(&self.rights.load(), caller, true) {
            Judgement::Check {
                hash,
                is_nobodys: false,
            } => Some(hash).filter(|hash| hash.scram().is_some()),
            Judgement::Check { .. } | Judgement::Admit | Judgement::Refuse => None,
        }
    }

    /// Whether the password was found to fit the hash a short while ago.
    pub(super) fn knows(&self, identity: &Identity, password: &[u8], hash: &PasswordHash) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let user = identity.user_name.as_deref().unwrap_or_default();
        verified.knows(self.origin.elapsed(), user, password, hash)
    }

    /// The password was found to fit.
    pub(super) fn remember(&self, identity: &Identity, password: &[u8], hash: Arc<PasswordHash>) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let user = identity.user_name.as_deref().unwrap_or_default();
        verified.add(self.origin.elapsed(), user, password, hash);
    }
}

pub(super) fn caller(identity: &Identity, is_certified: bool) -> Caller<'_> {
    Caller {
        who: who(identity),
        listener: identity.listener.number,
        is_certified,
    }
}

fn who(identity: &Identity) -> Who<'_> {
    Who {
        client_id: &identity.client_id,
        user_name: identity.user_name.as_deref(),
    }
}

/// The policy of one shard. It keeps hold of the tables, so that looking whether they are still those that
/// hold is all that a decision pays for their being shared.
pub(super) struct ShardPolicy {
    shared: Arc<Shared>,
    tables: RefCell<Cache<Arc<ArcSwap<Tables>>, Arc<Tables>>>,
    rights: RefCell<Cache<Arc<ArcSwap<Rights>>, Arc<Rights>>>,
}

impl ShardPolicy {
    pub(super) fn new(shared: &Arc<Shared>) -> ShardPolicy {
        ShardPolicy {
            tables: RefCell::new(Cache::new(Arc::clone(&shared.tables))),
            rights: RefCell::new(Cache::new(Arc::clone(&shared.rights))),
            shared: Arc::clone(shared),
        }
    }

    fn allows(&self, identity: &Identity, operation: Operation<'_>) -> bool {
        let (mut tables, mut rights) = (self.tables.borrow_mut(), self.rights.borrow_mut());
        let rights = &mut *rights;
        allows(tables.load(), || rights.load(), identity, operation)
    }
}

/// Whether the tables allow it. Dynamic security is looked at only where it is asked.
fn allows<'a>(
    tables: &Tables,
    rights: impl FnOnce() -> &'a Rights,
    identity: &Identity,
    operation: Operation<'_>,
) -> bool {
    match tables.right_sources(identity.listener.number) {
        None => false,
        // Who came in where it is not asked is a stranger to it.
        Some(sources) if is_dynamic_securitys(&operation) && !tables::ask_dynsec(sources) => false,
        Some([]) => true,
        Some(sources) => tables::allow(sources, rights(), who(identity), operation),
    }
}

impl Policy for ShardPolicy {
    fn authenticate(&self, attempt: &Attempt<'_>) -> Answer {
        let identity = attempt.identity;
        if let Some(method) = attempt.method {
            let number = identity.listener.number;
            if method == scram::METHOD && self.shared.decoy(number).is_some() {
                return Answer::Later;
            }
            // [MQTT-4.12.0-1]
            return Answer::refuse(ReasonCode::BadAuthenticationMethod);
        }
        match self
            .shared
            .judge(identity, attempt.is_certified, attempt.password.is_some())
        {
            Judgement::Admit => Answer::allow(attempt),
            Judgement::Refuse => Answer::Now(Verdict::Refuse(ReasonCode::NotAuthorized)),
            Judgement::Check { hash, is_nobodys } => match attempt.password {
                Some(password) if !is_nobodys && self.shared.knows(identity, password, &hash) => {
                    Answer::allow(attempt)
                }
                _ => Answer::Later,
            },
        }
    }

    fn may_publish(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        let topic = topic.as_str();
        !is_the_brokers(topic) && self.allows(who, Operation::Publish(topic))
    }

    fn may_subscribe(&self, who: &Identity, filter: TopicFilter<'_>) -> bool {
        self.allows(who, Operation::Subscribe(filter.as_str()))
    }

    fn may_unsubscribe(&self, who: &Identity, filter: TopicFilter<'_>) -> bool {
        self.allows(who, Operation::Unsubscribe(filter.as_str()))
    }

    fn may_receive(&self, who: &Identity, topic: TopicName<'_>) -> bool {
        self.allows(who, Operation::Receive(topic.as_str()))
    }
}

/// Whether the operation is about requests to dynamic security or its replies.
fn is_dynamic_securitys(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::Publish(topic) | Operation::Receive(topic) => topic.starts_with(DYNSEC_TOPIC),
        // A filter says little of the topics behind it; each message is asked for.
        Operation::Subscribe(_) | Operation::Unsubscribe(_) => false,
    }
}

/// Whether nobody but the broker publishes there, whatever the rules say. Bridges tell in `$SYS` how they are.
fn is_the_brokers(topic: &str) -> bool {
    let Some(topic) = topic.strip_prefix('$') else {
        return false;
    };
    let mut state = topic.strip_prefix("SYS/broker/connection/").into_iter();
    let tells_state = state.any(|rest| {
        rest.strip_suffix("/state")
            .is_some_and(|bridge| !bridge.contains('/'))
    });
    topic.starts_with("share") || topic.starts_with("SYS") && !tells_state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_broker_speaks_nobody_else_does() {
        let check = |topic: &str, expect| assert_eq!(is_the_brokers(topic), expect, "{topic}");
        check("a/$SYS", false);
        check("$other", false);
        check("$CONTROL/dynamic-security/v1", false);
        check("$SYS", true);
        check("$SYS/broker/uptime", true);
        check("$SYSTEM", true);
        check("$SYS/broker/connection/b/state", false);
        check("$SYS/broker/connection/a/b/state", true);
        check("$SYS/broker/connection/state", true);
        check("$share/g/a", true);
    }
}
