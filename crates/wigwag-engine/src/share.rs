//! Shared subscriptions: which member of a group gets a message.
//!
//! The publisher's shard chooses, without a lock: the members stand in the snapshot of the index, each with
//! a [`Readiness`] that its own shard keeps up to date. They take turns, those who cannot take a message
//! now are left out, and only if nobody can is one of them chosen to keep it. A readiness may be stale; who
//! finds out, the member's shard, passes the message on. The same way go the messages of a member whose
//! session has ended. `[MQTT-4.8.2-3]` to `[MQTT-4.8.2-6]`

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use wigwag_proto::Qos;

use crate::node::ShardId;
use crate::routes::{Group, Target};
use crate::shard::Receiver;

/// Whether a session can take messages of shared subscriptions.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

/// The values of a [`Readiness`], the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ready {
    /// Not connected.
    Away,
    /// Connected, but a message would have to wait.
    Busy,
    /// It would be sent at once.
    Now,
}

impl Readiness {
    pub(crate) fn get(&self) -> Ready {
        match self.0.load(Ordering::Relaxed) {
            0 => Ready::Away,
            1 => Ready::Busy,
            _ => Ready::Now,
        }
    }

    pub(crate) fn set(&self, ready: Ready) {
        self.0.store(ready as u8, Ordering::Relaxed);
    }
}

/// A group as a shard routes by it.
#[derive(Debug)]
pub(crate) struct Share {
    turn: Arc<AtomicUsize>,
    members: Box<[ShareMember]>,
}

/// A member of a [`Share`].
#[derive(Debug)]
pub(crate) struct ShareMember {
    pub(crate) shard: ShardId,
    /// One, as it is posted.
    pub(crate) receivers: Arc<[Receiver]>,
    readiness: Arc<Readiness>,
}

impl ShareMember {
    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        self.receivers.first()
    }
}

impl Share {
    pub(crate) fn new(group: &Group) -> Share {
        // In the order in which they came.
        let mut members: Vec<_> = group.members.iter().collect();
        members.sort_unstable_by_key(|(_, member)| member.number);
        let members = members.into_iter().map(|(target, member)| ShareMember {
            shard: target.shard,
            receivers: Arc::new([Receiver::member(
                target.session,
                &member.grant,
                &group.filter,
            )]),
            readiness: Arc::clone(&member.readiness),
        });
        Share {
            turn: Arc::clone(&group.turn),
            members: members.collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The first of the readiest members, in the order of turns.
    pub(crate) fn choose(&self, wanted: &Wanted<'_>) -> Option<&ShareMember> {
        // A message has one turn, whoever it is passed on to.
        let turn = if wanted.tried.is_none() {
            self.turn.fetch_add(1, Ordering::Relaxed)
        } else {
            self.turn.load(Ordering::Relaxed)
        };
        let mut best: Option<(&ShareMember, Ready)> = None;
        for member in self.from(turn) {
            let Some(ready) = wanted.admits(member) else {
                continue;
            };
            if ready == Ready::Now {
                return Some(member);
            }
            if best.is_none_or(|(_, so_far)| ready > so_far) {
                best = Some((member, ready));
            }
        }
        best.map(|(member, _)| member)
    }

    /// The members of a shard, from the one whose turn it is.
    pub(crate) fn members_in(&self, shard: ShardId) -> impl Iterator<Item = &ShareMember> {
        self.from(self.turn.load(Ordering::Relaxed))
            .filter(move |member| member.shard == shard)
    }

    fn from(&self, turn: usize) -> impl Iterator<Item = &ShareMember> {
        let first = turn.checked_rem(self.members.len()).unwrap_or(0);
        let (before, from) = self.members.split_at(first);
        from.iter().chain(before)
    }
}

/// Who may be chosen.
pub(crate) struct Wanted<'a> {
    /// Of the message.
    pub(crate) qos: Qos,
    /// The least readiness.
    pub(crate) ready: Ready,
    /// Whether messages of QoS 0 wait too.
    pub(crate) qos0_waits: bool,
    pub(crate) tried: &'a Tried,
}

/// The members who were asked already whether they could have a message, in order.
///
/// A shard asks all its members at once: if each passed the message on to the next one, a large group would
/// cost the square of its size.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// Those who are gone or may not have it.
    unable: Vec<Target>,
    /// Those with whom it would have had to wait.
    busy: Vec<Target>,
    /// Nobody else is left, so it waits wherever it can.
    pub(crate) may_wait: bool,
}

impl Tried {
    /// Whether nobody has been asked.
    pub(crate) fn is_none(&self) -> bool {
        self.unable.is_empty() && self.busy.is_empty()
    }

    pub(crate) fn size(&self) -> usize {
        (self.unable.len() + self.busy.len()) * size_of::<Target>()
    }

    /// These members of a shard have been asked.
    pub(crate) fn add(&mut self, unable: Vec<Target>, busy: Vec<Target>) {
        for (all, more) in [(&mut self.unable, unable), (&mut self.busy, busy)] {
            all.extend(more);
            all.sort_unstable();
        }
    }

    fn excludes(&self, target: Target) -> bool {
        let is_among = |all: &[Target]| all.binary_search(&target).is_ok();
        is_among(&self.unable) || (!self.may_wait && is_among(&self.busy))
    }
}

impl Wanted<'_> {
    /// How ready the member is, if it may be chosen.
    pub(crate) fn admits(&self, member: &ShareMember) -> Option<Ready> {
        let receiver = member.receiver()?;
        let target = Target {
            shard: member.shard,
            session: receiver.session,
        };
        let ready = member.readiness.get();
        // What is not acknowledged does not wait for anybody, unless all does.
        let is_lost = ready == Ready::Away
            && !self.qos0_waits
            && self.qos.min(receiver.qos) == Qos::AtMostOnce;
        (ready >= self.ready && !is_lost && !self.tried.excludes(target)).then_some(ready)
    }
}
