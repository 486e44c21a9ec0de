//! What a node holds for its peers, in bytes, and how bad that is.
//!
//! Each shard adds up what its connections and sessions hold and tells the node of it in steps. A message that
//! is kept counts once, however many sessions keep it: it carries a [`Charge`], which is given back with the
//! last of them. The sums stand for what is allocated, and rather for more; what follows from them is in
//! `shard/memory.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use wigwag_proto::TopicFilter;

/// A shard tells the node of a change of so many bytes.
const STEP: usize = 64 * 1024;

/// A message that is kept, besides its bytes: itself, and its place among the retained ones.
pub(crate) const MESSAGE_LEN: usize = 256;

/// A place in a queue or in flight.
pub(crate) const ENTRY_LEN: usize = 96;

/// A session without anything.
pub(crate) const SESSION_LEN: usize = 1_024;

/// A subscription in its session and in the index, besides the bytes of its filter.
const SUBSCRIPTION_LEN: usize = 768;

/// A level of a filter with wildcards that no other filter shares.
const LEVEL_LEN: usize = 208;

/// A connection without anything.
pub(crate) const CONNECTION_LEN: usize = 2_048;

/// How much of the memory is taken that there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Pressure {
    /// Nobody has to care.
    #[default]
    None,
    /// Above 80 %: nothing is begun that would be kept.
    High,
    /// All of it: what is kept does not grow, and who holds most of it is disconnected.
    Full,
}

impl Pressure {
    /// What so many bytes mean. It takes a twentieth less to get back to what was before.
    pub(crate) const fn of(held: usize, max: usize, before: Pressure) -> Pressure {
        let (high, margin) = (max / 5 * 4, max / 20);
        let full_from = match before {
            Pressure::Full => max - margin,
            _ => max,
        };
        let high_from = match before {
            Pressure::None => high,
            _ => high - margin,
        };
        if held >= full_from {
            Pressure::Full
        } else if held >= high_from {
            Pressure::High
        } else {
            Pressure::None
        }
    }
}

/// What all shards hold, as far as they have told.
#[derive(Debug, Default)]
pub(crate) struct Held {
    told: AtomicIsize,
    restored: Arc<Account>,
}

impl Held {
    /// A sum of steps that are told in any order, so it may lag behind.
    pub(crate) fn bytes(&self) -> usize {
        let told = self.told.load(Ordering::Relaxed);
        usize::try_from(told).unwrap_or(0) + self.restored.bytes()
    }

    /// The account of retained messages of an earlier run.
    pub(crate) const fn restored(&self) -> &Arc<Account> {
        &self.restored
    }
}

/// The messages that a shard has begun to keep, wherever they are kept by now.
#[derive(Debug, Default)]
pub(crate) struct Account(AtomicUsize);

impl Account {
    fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A message's part of an account.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Charge {
    /// For a message of so many bytes.
    pub(crate) fn new(account: &Arc<Account>, bytes: usize) -> Charge {
        let bytes = bytes + MESSAGE_LEN;
        account.0.fetch_add(bytes, Ordering::Relaxed);
        Charge {
            account: Arc::clone(account),
            bytes,
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The sums of one shard.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) account: Arc<Account>,
    /// What its connections hold.
    pub(crate) connections: usize,
    /// What the node has been told.
    told: usize,
    pub(crate) pressure: Pressure,
}

impl Memory {
    /// What the shard holds, with so many bytes for its sessions.
    pub(crate) fn own(&self, sessions: usize) -> usize {
        self.connections + sessions + self.account.bytes()
    }

    /// Tells the node, if there is a step to tell of; returns what all shards hold.
    #[expect(
        clippy::cast_possible_wrap,
        reason = "no sum of allocations is above isize::MAX"
    )]
    pub(crate) fn tell(&mut self, own: usize, held: &Held) -> usize {
        if own.abs_diff(self.told) >= STEP {
            let step = own as isize - self.told as isize;
            held.told.fetch_add(step, Ordering::Relaxed);
            self.told = own;
        }
        (held.bytes() + own).saturating_sub(self.told)
    }
}

/// What a subscription with this filter holds.
pub(crate) fn of_subscription(filter: TopicFilter<'_>) -> usize {
    let text = filter.as_str();
    let levels = if filter.has_wildcard() {
        1 + text.bytes().filter(|&byte| byte == b'/').count()
    } else {
        0
    };
    SUBSCRIPTION_LEN + 3 * text.len() + levels * LEVEL_LEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_less_to_get_back_than_it_took_to_get_there() {
        let mut pressure = Pressure::None;
        let mut at = |held| {
            pressure = Pressure::of(held, 1_000, pressure);
            pressure
        };
        for (held, expect) in [
            (799, Pressure::None),
            (800, Pressure::High),
            (760, Pressure::High),
            (749, Pressure::None),
            (1_000, Pressure::Full),
            (950, Pressure::Full),
            (949, Pressure::High),
            (999, Pressure::High),
            (0, Pressure::None),
        ] {
            assert_eq!(at(held), expect, "{held}");
        }
        assert_eq!(
            Pressure::of(usize::MAX - 1, usize::MAX, Pressure::None),
            Pressure::High
        );
    }

    #[test]
    fn shards_tell_the_node_in_steps_and_know_their_own_part_exactly() {
        let held = Held::default();
        let (mut one, mut other) = (Memory::default(), Memory::default());
        assert_eq!(one.tell(STEP - 1, &held), STEP - 1);
        assert_eq!(other.tell(5, &held), 5, "too little to have been told of");
        assert_eq!(one.tell(STEP + 7, &held), STEP + 7);
        assert_eq!(other.tell(5, &held), STEP + 12);
        assert_eq!(one.tell(0, &held), 0);
        assert_eq!(other.tell(0, &held), 0);
    }

    #[test]
    fn a_charge_is_given_back() {
        let account = Arc::<Account>::default();
        let charge = Charge::new(&account, 10);
        assert_eq!(account.bytes(), 10 + MESSAGE_LEN);
        drop(charge);
        assert_eq!(account.bytes(), 0);
    }
}
