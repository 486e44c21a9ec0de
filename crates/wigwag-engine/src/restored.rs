//! What a broker begins with when it does not begin empty: sessions and retained messages of an earlier run.
//!
//! This is the vocabulary between who reads them from somewhere and the shards that go on with them, whoever
//! kept them and in whatever form. Our own form is in [`record`](crate::record). Points in time are those of
//! the node; [`Clock`] makes them of the wall clock's.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::{PacketId, Qos, Time, TopicFilterBuf};

use crate::message::Message;
use crate::policy::Identity;
use crate::record::ledger::{Filed, FiledSession};
use crate::routes::Grant;

/// The wall clock beside the node's time, at one moment.
///
/// The node counts from its own origin; what is kept longer than a process lives is dated by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    now: Time,
    since_epoch: Duration,
}

impl Clock {
    /// It is `now` in the node, and `since_epoch` has passed since the Unix epoch.
    pub const fn new(now: Time, since_epoch: Duration) -> Clock {
        Clock { now, since_epoch }
    }

    /// The moment of this clock in the node's time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The node's time for a moment after the Unix epoch. What is past is now.
    pub fn time(&self, since_epoch: Duration) -> Time {
        self.now + since_epoch.saturating_sub(self.since_epoch)
    }

    /// How long after the Unix epoch a moment of the node is.
    pub fn since_epoch(&self, at: Time) -> Duration {
        match at.saturating_since(self.now) {
            Duration::ZERO => self.since_epoch.saturating_sub(self.now - at),
            ahead => self.since_epoch.saturating_add(ahead),
        }
    }
}

/// All that was kept.
#[derive(Debug, Default)]
pub struct Restored {
    /// No two with the same Client Identifier; of such, the first is taken.
    pub sessions: Vec<Session>,
    /// One for each topic; of several, the last is taken.
    pub retained: Vec<Retained>,
}

/// A session without its connection.
#[derive(Debug)]
pub struct Session {
    /// Of its client.
    pub client_id: Box<str>,
    /// As the last authentication left it.
    pub user_name: Option<Box<str>>,
    /// Whether the client has said that it is a bridge.
    pub is_bridge: bool,
    /// The listener that the client came by, counted from 0.
    pub listener: u16,
    /// Its Session Expiry Interval; `u32::MAX` for a session that does not expire, 0 for none at all.
    pub expiry_secs: u32,
    /// When the session ends; `None` if its interval begins now, because the client was connected.
    pub ends_at: Option<Time>,
    /// With the mount point, as the broker knows them.
    pub subscriptions: Vec<(TopicFilterBuf, Grant)>,
    /// What was sent and not acknowledged in full, in the order of first sending.
    pub in_flight: Vec<InFlight>,
    /// What was received at QoS 2 and has not been released.
    pub received: Vec<Received>,
    /// What waits for the client, the oldest first.
    pub queue: Vec<Outgoing>,
    /// Retained messages that new subscriptions have not got yet.
    pub replays: Vec<Replay>,
    /// Its Will, if that is still to be published.
    pub will: Option<Will>,
    /// What the store has of it.
    pub(crate) filed: Option<FiledSession>,
}

/// A message for a session.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// May be the same for many sessions.
    pub message: Arc<Message>,
    /// At which it is sent.
    pub qos: Qos,
    /// With which RETAIN flag it is sent.
    pub retain: bool,
    /// The Subscription Identifiers that it carries.
    pub identifiers: Vec<NonZeroU32>,
    /// The filter of the shared subscription that it came by.
    pub share: Option<Arc<str>>,
    /// What the store has of it.
    pub(crate) filed: Option<Arc<Filed>>,
}

/// What is in flight to a client.
#[derive(Debug)]
pub struct InFlight {
    /// Under which it was sent.
    pub packet_id: PacketId,
    /// `None` after the PUBREC of a message of QoS 2: only PUBREL and PUBCOMP are left.
    pub message: Option<Outgoing>,
    /// Its place in the order of first sending, where that is known.
    pub(crate) order: Option<u64>,
}

/// What a client has sent at QoS 2 and not released.
#[derive(Debug)]
pub struct Received {
    /// Under which it came.
    pub packet_id: PacketId,
    /// `None` if it was routed when it came; else it is routed when PUBREL comes.
    pub message: Option<Arc<Message>>,
}

/// Where the retained messages of a subscription go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The subscription.
    pub filter: TopicFilterBuf,
    /// Behind this topic; `None` from the beginning.
    pub after: Option<Box<str>>,
}

/// A Will.
#[derive(Debug)]
pub struct Will {
    /// Without an expiry of its own.
    pub message: Arc<Message>,
    /// Its Message Expiry Interval, from the moment that it is published.
    pub expiry_secs: Option<u32>,
    /// Its Will Delay Interval.
    pub delay_secs: u32,
    /// When it is published; `None` if its delay begins now.
    pub due_at: Option<Time>,
}

/// A retained message.
#[derive(Debug)]
pub struct Retained {
    /// The message.
    pub message: Arc<Message>,
    /// Who published it, if that is to be asked about when it is sent.
    pub source: Option<Identity>,
    /// When it is forgotten, if not before by its own expiry.
    pub until: Option<Time>,
    /// What the store has of it.
    pub(crate) filed: Option<u64>,
}

impl Session {
    /// A session with nothing in it, that does not expire.
    pub fn new(client_id: &str) -> Session {
        Session {
            client_id: client_id.into(),
            user_name: None,
            is_bridge: false,
            listener: 0,
            expiry_secs: u32::MAX,
            ends_at: None,
            subscriptions: Vec::new(),
            in_flight: Vec::new(),
            received: Vec::new(),
            queue: Vec::new(),
            replays: Vec::new(),
            will: None,
            filed: None,
        }
    }
}

impl Outgoing {
    /// A message that no subscription has changed.
    pub fn new(message: Arc<Message>, qos: Qos) -> Outgoing {
        Outgoing {
            message,
            qos,
            retain: false,
            identifiers: Vec::new(),
            share: None,
            filed: None,
        }
    }
}

impl InFlight {
    /// A message that was sent and not acknowledged; `None` if its PUBREC has come.
    pub const fn new(packet_id: PacketId, message: Option<Outgoing>) -> InFlight {
        InFlight {
            packet_id,
            message,
            order: None,
        }
    }
}

impl Retained {
    /// A message that anybody may have published.
    pub const fn new(message: Arc<Message>) -> Retained {
        Retained {
            message,
            source: None,
            until: None,
            filed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_translates_both_ways_and_the_past_is_now() {
        let secs = Duration::from_secs;
        let clock = Clock::new(Time::new(secs(100)), secs(5_000));
        for (at, epoch) in [(100, 5_000), (130, 5_030), (90, 4_990)] {
            assert_eq!(clock.since_epoch(Time::new(secs(at))), secs(epoch));
        }
        assert_eq!(clock.time(secs(5_030)), Time::new(secs(130)));
        assert_eq!(clock.time(secs(4_000)), Time::new(secs(100)));
    }
}
