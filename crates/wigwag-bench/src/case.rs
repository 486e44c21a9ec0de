//! What is measured: who publishes to whom, at which QoS, with which payload, and for how long.

use std::fmt;
use std::time::Duration;

use wigwag_proto::{Qos, Version};

/// Who publishes to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Topology {
    /// Each publisher has one subscriber.
    Pairs,
    /// One publisher, and every message goes to all subscribers.
    FanOut,
    /// Many publishers, and one subscriber takes everything.
    FanIn,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) topology: Topology,
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    pub(crate) qos: Qos,
    /// Bytes.
    pub(crate) payload_len: usize,
}

impl Case {
    /// Deliveries that one message makes.
    pub(crate) const fn receivers(&self) -> u64 {
        match self.topology {
            Topology::Pairs | Topology::FanIn => 1,
            Topology::FanOut => self.subscribers as u64,
        }
    }

    /// The publishers whose messages this subscriber gets.
    pub(crate) const fn heard_by(&self, subscriber: usize) -> std::ops::Range<usize> {
        match self.topology {
            Topology::Pairs => subscriber..subscriber + 1,
            Topology::FanOut | Topology::FanIn => 0..self.publishers,
        }
    }

    /// Messages per publisher that together make about `deliveries`, at least one.
    pub(crate) fn messages_each(&self, deliveries: u64) -> u64 {
        (deliveries / self.receivers() / self.publishers as u64).max(1)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topology = match self.topology {
            Topology::Pairs => "pairs",
            Topology::FanOut => "fan-out",
            Topology::FanIn => "fan-in",
        };
        write!(
            f,
            "{topology} {}:{} QoS {} {} B",
            self.publishers, self.subscribers, self.qos as u8, self.payload_len
        )
    }
}

/// When the publishers stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// After so many deliveries.
    Deliveries(u64),
    /// After so long.
    Time(Duration),
}

/// How the publishers decide when to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As soon as fewer than so many deliveries are outstanding.
    Window(u64),
    /// So many deliveries per second, whatever the broker does.
    Rate(u64),
}

/// What is the same for all cases of a run.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) version: Version,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) bound: Bound,
    pub(crate) pace: Pace,
    /// A case in which nothing arrives for so long is given up.
    pub(crate) stall_max: Duration,
    /// At QoS 0 what has not arrived after so long a silence is lost.
    pub(crate) silence_max: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(topology: Topology, publishers: usize, subscribers: usize) -> Case {
        Case {
            topology,
            publishers,
            subscribers,
            qos: Qos::AtLeastOnce,
            payload_len: 64,
        }
    }

    #[test]
    fn deliveries_are_shared_out_to_the_publishers() {
        assert_eq!(case(Topology::Pairs, 10, 10).messages_each(1_000), 100);
        assert_eq!(case(Topology::FanOut, 1, 20).messages_each(1_000), 50);
        assert_eq!(case(Topology::FanIn, 20, 1).messages_each(1_000), 50);
        assert_eq!(case(Topology::FanIn, 20, 1).messages_each(3), 1);
    }

    #[test]
    fn every_subscriber_knows_whom_it_hears() {
        assert_eq!(case(Topology::Pairs, 10, 10).heard_by(3), 3..4);
        assert_eq!(case(Topology::FanOut, 1, 20).heard_by(19), 0..1);
        assert_eq!(case(Topology::FanIn, 20, 1).heard_by(0), 0..20);
    }

    #[test]
    fn a_case_is_named_by_all_that_makes_it() {
        assert_eq!(
            case(Topology::FanOut, 1, 20).to_string(),
            "fan-out 1:20 QoS 1 64 B"
        );
    }
}
