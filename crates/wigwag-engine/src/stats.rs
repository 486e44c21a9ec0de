//! What a shard has counted since it began, and what it has at the moment.
//!
//! Plain integers that only their shard's thread touches: counting costs an addition. A copy is made when
//! somebody asks ([`Shard::stats`](crate::Shard::stats)); the sum over all shards is the node's. What a
//! number is called outside is the embedder's affair.

use std::collections::BTreeMap;

use wigwag_proto::ReasonCode;
use wigwag_proto::packet::{Connect, PacketType, Qos};

use crate::auth::Verdict;
use crate::event::{CloseReason, DropReason};

/// Counters and gauges of one shard, or the sum of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets that have come, by type.
    pub received: PerType,
    /// Packets that were put into out-buffers, by type.
    pub sent: PerType,
    /// Bytes of all packets that have come.
    pub bytes_received: u64,
    /// Bytes of all packets that were put into out-buffers.
    pub bytes_sent: u64,
    /// PUBLISH packets that have come, by QoS.
    pub publish_received: [u64; 3],
    /// PUBLISH packets that were put into out-buffers, by QoS.
    pub publish_sent: [u64; 3],
    /// Bytes of the payloads of received PUBLISH packets.
    pub payload_bytes_received: u64,
    /// Bytes of the payloads of sent PUBLISH packets.
    pub payload_bytes_sent: u64,
    /// Messages that found nobody who wanted them.
    pub unwanted: u64,
    /// What the policy was asked about single topics and filters, in the order of [`ACTIONS`].
    pub checks: [Outcomes; ACTIONS.len()],
    /// Who wanted to be let in, by what they presented, in the order of [`CREDENTIALS`].
    pub logins: [Outcomes; CREDENTIALS.len()],
    /// Messages that somebody wanted and did not get, in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that ended, in the order of [`CLOSE_CAUSES`].
    pub closed: [u64; CLOSE_CAUSES.len()],
    /// CONNACK packets, by Reason Code.
    pub connacks: BTreeMap<ReasonCode, u64>,
    /// Sessions that began.
    pub sessions_created: u64,
    /// Sessions that a CONNECT went on with.
    pub sessions_resumed: u64,
    /// Sessions whose connection was closed in favour of another.
    pub sessions_taken_over: u64,
    /// Sessions whose Session Expiry Interval passed.
    pub sessions_expired: u64,

    /// Connections that are open, those without a CONNECT included.
    pub connections: u64,
    /// Sessions, connected or not.
    pub sessions: u64,
    /// Sessions with a connection.
    pub sessions_connected: u64,
    /// What waits in queues and in flight, each message once for each session.
    pub waiting: Waiting,
    /// Connections whose peers have not taken all that was written to them.
    pub slow_consumers: u64,
    /// Packets in out-buffers: those put in since each was last written in full.
    pub out_packets: u64,
    /// Bytes in out-buffers.
    pub out_bytes: u64,
}

/// A counter for each type of packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerType([u64; 16]);

/// Messages that are kept for sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages in the queues of sessions.
    pub queued: u64,
    /// Messages that were sent and are kept until they are acknowledged.
    pub in_flight: u64,
    /// Messages that were received at QoS 2 and wait for their PUBREL to be routed.
    pub unreleased: u64,
    /// Bytes of all three: topics, properties and payloads, as the limits count them.
    pub bytes: u64,
    /// Bytes of the payloads alone.
    pub payload_bytes: u64,
}

/// How often the answer was yes, and how often no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Outcomes {
    pub allowed: u64,
    pub denied: u64,
}

impl Outcomes {
    fn count(&mut self, is_allowed: bool) {
        if is_allowed {
            self.allowed += 1;
        } else {
            self.denied += 1;
        }
    }
}

/// What a policy is asked for, in one word each, in the order of the counts in [`Stats`].
pub const ACTIONS: [&str; 4] = ["publish", "receive", "subscribe", "unsubscribe"];

/// The place of an action in [`ACTIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Publish,
    Receive,
    Subscribe,
    Unsubscribe,
}

/// What clients present to be let in, in one word each, in the order of the counts in [`Stats`].
pub const CREDENTIALS: [&str; 4] = ["anonymous", "password", "certificate", "enhanced"];

/// The place of what a client presents in [`CREDENTIALS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    Anonymous,
    Password,
    Certificate,
    Enhanced,
}

impl Presented {
    pub(crate) fn of(connect: &Connect<'_>, is_certified: bool) -> Presented {
        if connect.properties.authentication_method().is_some() {
            Presented::Enhanced
        } else if is_certified {
            Presented::Certificate
        } else if connect.user_name.is_some() || connect.password.is_some() {
            Presented::Password
        } else {
            Presented::Anonymous
        }
    }
}

/// What the shards of a node share, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeStats {
    /// Subscriptions of all sessions, shared ones included.
    pub subscriptions: u64,
    /// Shared subscriptions of all sessions.
    pub shared_subscriptions: u64,
    /// Retained messages.
    pub retained: u64,
    /// Their bytes: topics, properties and payloads.
    pub retained_bytes: u64,
    /// The bytes of their payloads alone.
    pub retained_payload_bytes: u64,
    /// Bytes of all that is held for peers, about: what `Limits::memory_max` bounds.
    pub held_bytes: u64,
}

/// Why connections end, in one word each, in the order of the counts in [`Stats`].
pub const CLOSE_CAUSES: [&str; 11] = [
    "lost",
    "disconnect",
    "refused",
    "malformed",
    "protocol_error",
    "connect_timeout",
    "keep_alive_timeout",
    "taken_over",
    "quota",
    "shutdown",
    "kicked",
];

/// The place of a reason in [`CLOSE_CAUSES`].
fn cause(reason: &CloseReason) -> usize {
    match reason {
        CloseReason::Lost => 0,
        CloseReason::Disconnect(_) => 1,
        CloseReason::Refused(_) => 2,
        CloseReason::Malformed(_) => 3,
        CloseReason::Protocol(_) => 4,
        CloseReason::ConnectTimeout => 5,
        CloseReason::KeepAliveTimeout => 6,
        CloseReason::TakenOver => 7,
        CloseReason::Quota(_) => 8,
        CloseReason::ShuttingDown => 9,
        CloseReason::Kicked(_) => 10,
    }
}

impl PerType {
    /// The count of one type.
    pub const fn of(&self, packet_type: PacketType) -> u64 {
        self.0[packet_type as usize]
    }

    /// The count of all types.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn count(&mut self, packet_type: PacketType) {
        self.0[packet_type as usize] += 1;
    }
}

impl Stats {
    /// A packet of `len` bytes has come.
    pub(crate) fn received(&mut self, packet_type: PacketType, len: usize) {
        self.received.count(packet_type);
        self.bytes_received += len as u64;
    }

    /// A PUBLISH has come; its packet was counted already.
    pub(crate) fn publish_received(&mut self, qos: Qos, payload_len: usize) {
        self.publish_received[qos as usize] += 1;
        self.payload_bytes_received += payload_len as u64;
    }

    /// A PUBLISH of `len` bytes was put into an out-buffer.
    pub(crate) fn publish_sent(&mut self, qos: Qos, len: usize, payload_len: usize) {
        self.sent(PacketType::Publish, len);
        self.publish_sent[qos as usize] += 1;
        self.payload_bytes_sent += payload_len as u64;
    }

    /// A packet of `len` bytes was put into an out-buffer.
    pub(crate) fn sent(&mut self, packet_type: PacketType, len: usize) {
        self.sent.count(packet_type);
        self.bytes_sent += len as u64;
    }

    pub(crate) fn closed(&mut self, reason: &CloseReason) {
        self.closed[cause(reason)] += 1;
    }

    /// The policy was asked.
    pub(crate) fn checked(&mut self, action: Action, is_allowed: bool) {
        self.checks[action as usize].count(is_allowed);
    }

    /// The policy was asked for each of these answers, as far as it was asked at all.
    pub(crate) fn checked_all(&mut self, action: Action, reasons: &[ReasonCode]) {
        for reason in reasons {
            self.checked(action, *reason != ReasonCode::NotAuthorized);
        }
    }

    /// Somebody has been let in or not; one who has to say more will be judged again.
    pub(crate) fn judged(&mut self, presented: Presented, verdict: &Verdict) {
        let logins = &mut self.logins[presented as usize];
        match verdict {
            Verdict::Allow { .. } => logins.count(true),
            Verdict::Refuse(_) => logins.count(false),
            Verdict::Continue { .. } => {}
        }
    }

    pub(crate) fn connack(&mut self, reason: ReasonCode) {
        *self.connacks.entry(reason).or_default() += 1;
    }

    /// Messages that were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or(0)
    }

    /// Adds what another shard counted.
    pub fn add(&mut self, other: &Stats) {
        sum_all(&mut self.received.0, &other.received.0);
        sum_all(&mut self.sent.0, &other.sent.0);
        sum_all(&mut self.publish_received, &other.publish_received);
        sum_all(&mut self.publish_sent, &other.publish_sent);
        sum_all(&mut self.dropped, &other.dropped);
        sum_all(&mut self.closed, &other.closed);
        for (&reason, count) in &other.connacks {
            *self.connacks.entry(reason).or_default() += count;
        }
        self.waiting.add(&other.waiting);
        let checks = self.checks.iter_mut().zip(other.checks);
        let logins = self.logins.iter_mut().zip(other.logins);
        for (sum, outcomes) in checks.chain(logins) {
            sum.allowed += outcomes.allowed;
            sum.denied += outcomes.denied;
        }
        let pairs = [
            (&mut self.bytes_received, other.bytes_received),
            (&mut self.bytes_sent, other.bytes_sent),
            (
                &mut self.payload_bytes_received,
                other.payload_bytes_received,
            ),
            (&mut self.payload_bytes_sent, other.payload_bytes_sent),
            (&mut self.unwanted, other.unwanted),
            (&mut self.opened, other.opened),
            (&mut self.sessions_created, other.sessions_created),
            (&mut self.sessions_resumed, other.sessions_resumed),
            (&mut self.sessions_taken_over, other.sessions_taken_over),
            (&mut self.sessions_expired, other.sessions_expired),
            (&mut self.connections, other.connections),
            (&mut self.sessions, other.sessions),
            (&mut self.sessions_connected, other.sessions_connected),
            (&mut self.slow_consumers, other.slow_consumers),
            (&mut self.out_packets, other.out_packets),
            (&mut self.out_bytes, other.out_bytes),
        ];
        for (sum, count) in pairs {
            *sum += count;
        }
    }
}

impl Waiting {
    pub(crate) fn add(&mut self, other: &Waiting) {
        self.queued += other.queued;
        self.in_flight += other.in_flight;
        self.unreleased += other.unreleased;
        self.bytes += other.bytes;
        self.payload_bytes += other.payload_bytes;
    }
}

fn sum_all(sums: &mut [u64], counts: &[u64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_has_the_counts_of_all_shards() {
        let mut one = Stats::default();
        one.received.count(PacketType::PingReq);
        one.publish_sent(Qos::AtLeastOnce, 20, 7);
        one.closed(&CloseReason::TakenOver);
        one.connack(ReasonCode::Success);
        one.waiting = Waiting {
            queued: 3,
            in_flight: 4,
            unreleased: 5,
            bytes: 6,
            payload_bytes: 7,
        };
        one.sessions = 2;
        let mut sum = Stats::default();
        sum.add(&one);
        sum.add(&one);
        assert_eq!(sum.received.of(PacketType::PingReq), 2);
        assert_eq!(sum.sent.total(), 2);
        assert_eq!(sum.publish_sent, [0, 2, 0]);
        assert_eq!((sum.bytes_sent, sum.payload_bytes_sent), (40, 14));
        assert_eq!(sum.closed.iter().sum::<u64>(), 2);
        assert_eq!(sum.connacks.get(&ReasonCode::Success), Some(&2));
        let twice = Waiting {
            queued: 6,
            in_flight: 8,
            unreleased: 10,
            bytes: 12,
            payload_bytes: 14,
        };
        assert_eq!((sum.waiting, sum.sessions), (twice, 4));
    }
}
