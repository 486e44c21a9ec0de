//! What is measured: who publishes to whom, who is connected besides, at which pace, and for how long.
//!
//! A [`Run`] is all that goes on at the same time at one broker; each [`Case`] of it is a flow of messages with a
//! row of its own. Nothing here connects or counts.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use wigwag_proto::{Qos, Version};

use crate::interrupt::Interrupt;

/// Who publishes to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Topology {
    /// Each publisher has one subscriber.
    Pairs,
    /// Every message goes to all subscribers.
    FanOut,
    /// Many publishers, and one subscriber takes everything.
    FanIn,
    /// The subscribers share one subscription: each message goes to one of them.
    Shared,
    /// Nobody subscribes: what counts is that the broker takes the messages.
    Publish,
}

impl Topology {
    const fn name(self) -> &'static str {
        match self {
            Topology::Pairs => "pairs",
            Topology::FanOut => "fan-out",
            Topology::FanIn => "fan-in",
            Topology::Shared => "shared",
            Topology::Publish => "publish",
        }
    }
}

/// One flow of messages, and one row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) name: Option<String>,
    pub(crate) topology: Topology,
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    pub(crate) qos: Qos,
    /// Bytes of the payloads, which take turns; at least one.
    pub(crate) payload_lens: Vec<usize>,
    pub(crate) pace: Pace,
}

impl Case {
    /// Deliveries that one message makes.
    pub(crate) const fn receivers(&self) -> u64 {
        match self.topology {
            Topology::Pairs | Topology::FanIn | Topology::Shared => 1,
            Topology::FanOut => self.subscribers as u64,
            Topology::Publish => 0,
        }
    }

    /// What one message adds to a rate, a window or a bound: without subscribers the message itself counts.
    pub(crate) fn weight(&self) -> u64 {
        self.receivers().max(1)
    }

    /// The publishers whose messages this subscriber gets.
    pub(crate) const fn heard_by(&self, subscriber: usize) -> std::ops::Range<usize> {
        match self.topology {
            Topology::Pairs => subscriber..subscriber + 1,
            _ => 0..self.publishers,
        }
    }

    /// Whether each of its receivers gets the messages of a publisher in their order.
    pub(crate) fn is_ordered(&self) -> bool {
        self.topology != Topology::Shared
    }

    /// Messages per publisher that together make about `deliveries`, at least one.
    pub(crate) fn messages_each(&self, deliveries: u64) -> u64 {
        (deliveries / self.weight() / self.publishers as u64).max(1)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        let lens: Vec<String> = self.payload_lens.iter().map(usize::to_string).collect();
        write!(
            f,
            "{} {}:{} QoS {} {} B",
            self.topology.name(),
            self.publishers,
            self.subscribers,
            self.qos as u8,
            lens.join("+")
        )
    }
}

/// Clients that connect before the messages begin, and stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) name: String,
    pub(crate) clients: usize,
    /// What each of them subscribes to; what comes is counted.
    pub(crate) filter: Option<String>,
    pub(crate) qos: Qos,
}

/// Clients that come and go while the messages flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Churn {
    pub(crate) name: String,
    /// Connections per second, due at even distances whatever the broker does.
    pub(crate) rate: u64,
    /// How long a client stays once it is accepted.
    pub(crate) stay: Duration,
}

/// All that goes on at a broker at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) cases: Vec<Case>,
    pub(crate) holds: Vec<Hold>,
    pub(crate) churns: Vec<Churn>,
}

impl Run {
    /// Whether connections are a part of what is to be seen.
    pub(crate) const fn shows_connections(&self) -> bool {
        !self.holds.is_empty() || !self.churns.is_empty()
    }

    /// Connections that are open at the same time.
    pub(crate) fn connections(&self) -> usize {
        let flows = self
            .cases
            .iter()
            .map(|case| case.publishers + case.subscribers);
        let held = self.holds.iter().map(|hold| hold.clients);
        let churning = self.churns.iter().map(Churn::slots);
        flows.chain(held).chain(churning).sum()
    }
}

impl Churn {
    /// Connections of it that may be open at the same time: twice what a quick broker needs, so that a slow one shows
    /// as slow before the generator's own bound does.
    pub(crate) fn slots(&self) -> usize {
        let staying = self.stay.as_secs_f64() * self.rate as f64;
        (2.0 * staying) as usize + 64
    }
}

/// When the publishers stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// After so many deliveries of each case.
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

/// What is the same for all runs.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) version: Version,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) bound: Bound,
    /// `None` for just enough messages that every buffer has been used once.
    pub(crate) warm_up: Option<Duration>,
    /// Connections opened per second; `None` for as fast as the broker takes them.
    pub(crate) connect_rate: Option<u64>,
    /// A case in which nothing arrives for so long is given up.
    pub(crate) stall_max: Duration,
    /// At QoS 0 what has not arrived after so long a silence is lost.
    pub(crate) silence_max: Duration,
    pub(crate) interrupt: Interrupt,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(topology: Topology, publishers: usize, subscribers: usize) -> Case {
        Case {
            name: None,
            topology,
            publishers,
            subscribers,
            qos: Qos::AtLeastOnce,
            payload_lens: vec![64],
            pace: Pace::Window(10),
        }
    }

    #[test]
    fn deliveries_are_shared_out_to_the_publishers() {
        assert_eq!(case(Topology::Pairs, 10, 10).messages_each(1_000), 100);
        assert_eq!(case(Topology::FanOut, 1, 20).messages_each(1_000), 50);
        assert_eq!(case(Topology::FanOut, 5, 20).messages_each(1_000), 10);
        assert_eq!(case(Topology::FanIn, 20, 1).messages_each(1_000), 50);
        assert_eq!(case(Topology::FanIn, 20, 1).messages_each(3), 1);
        assert_eq!(case(Topology::Publish, 20, 0).messages_each(1_000), 50);
    }

    #[test]
    fn every_subscriber_knows_whom_it_hears() {
        assert_eq!(case(Topology::Pairs, 10, 10).heard_by(3), 3..4);
        assert_eq!(case(Topology::FanOut, 1, 20).heard_by(19), 0..1);
        assert_eq!(case(Topology::FanIn, 20, 1).heard_by(0), 0..20);
        assert_eq!(case(Topology::Shared, 20, 4).heard_by(3), 0..20);
    }

    #[test]
    fn a_case_is_named_by_all_that_makes_it() {
        let plain = case(Topology::FanOut, 1, 20);
        assert_eq!(plain.to_string(), "fan-out 1:20 QoS 1 64 B");
        let named = Case {
            name: Some("news".to_owned()),
            payload_lens: vec![64, 64, 1024],
            ..plain
        };
        assert_eq!(named.to_string(), "news: fan-out 1:20 QoS 1 64+64+1024 B");
    }

    #[test]
    fn a_run_knows_how_many_connections_it_holds_at_most() {
        let run = Run {
            cases: vec![case(Topology::FanIn, 20, 1)],
            holds: vec![Hold {
                name: "idle".to_owned(),
                clients: 1_000,
                filter: None,
                qos: Qos::AtMostOnce,
            }],
            churns: vec![Churn {
                name: "churn".to_owned(),
                rate: 50,
                stay: Duration::from_secs(2),
            }],
        };
        assert_eq!(run.connections(), 21 + 1_000 + 264);
    }
}
