//! Random schedules: what two clients do, one step after the other.
//!
//! A schedule is made from its seed alone. Topics and filters are few, so that they meet often; they
//! are written with a placeholder for the run, because a broker keeps what earlier runs retained.

use std::fmt;

use crate::wire::Version;

/// Topic Names; `{}` stands for the run.
pub const TOPICS: [&str; 6] = [
    "r/{}/a",
    "r/{}/a/b",
    "r/{}/a/b/c",
    "r/{}/b",
    "r/{}",
    "$r/{}/a",
];

/// Topic Filters; `{}` stands for the run. Of the first `DISJOINT`, no two match the same of `TOPICS`.
pub const FILTERS: [&str; 13] = [
    "r/{}/a",
    "r/{}/+/b",
    "r/{}/+/+/c",
    "+/{}",
    "$r/{}/#",
    "r/{}/b",
    "r/{}/#",
    "r/{}/+",
    "r/{}/a/#",
    "+/{}/a",
    "+/{}/#",
    "$r/{}/a",
    "r/{}/a/b",
];
const DISJOINT: usize = 6;

/// What is odd, by name; `player` makes the bytes.
pub const ODDITIES: [&str; 14] = [
    "PUBREL of an unknown Packet Identifier",
    "PUBACK of an unknown Packet Identifier",
    "PUBREC of an unknown Packet Identifier",
    "PUBCOMP of an unknown Packet Identifier",
    "a PUBLISH to a topic with a wildcard",
    "a PUBLISH with QoS 3",
    "a SUBSCRIBE without filters",
    "a SUBSCRIBE with a # that is not last",
    "a SUBSCRIBE with QoS 3",
    "a second CONNECT",
    "a PUBLISH to an empty topic",
    "a CONNACK",
    "a PINGREQ with a body",
    "a SUBSCRIBE with the wrong flags",
];

/// What two clients do.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    /// Of each client, on all its connections.
    pub versions: [Version; 2],
    pub steps: Vec<Step>,
}

/// One client does one thing, and then everything comes to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// 0 or 1.
    pub client: usize,
    pub act: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Connect(Connect),
    Publish(Publish),
    /// Indices of `FILTERS` with their Subscription Options.
    Subscribe {
        filters: Vec<(usize, u8)>,
        identifier: Option<u32>,
    },
    Unsubscribe {
        filters: Vec<usize>,
    },
    /// From now on no message that comes is acknowledged.
    Hold,
    /// What was held is acknowledged.
    Release,
    Disconnect {
        code: u8,
        expiry_secs: Option<u32>,
    },
    /// The connection ends without a DISCONNECT.
    Cut,
    /// Bytes that the standard does not allow, or that are odd: an index of `ODDITIES`.
    Odd(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    pub clean_start: bool,
    /// In MQTT 3.1.1 the session lasts if the start is not clean.
    pub expiry_secs: u32,
    pub receive_maximum: Option<u16>,
    pub will: Option<Will>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    pub topic: usize,
    pub qos: u8,
    pub retain: bool,
    pub delay_secs: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub topic: usize,
    pub qos: u8,
    pub retain: bool,
    /// An empty payload takes a retained message away.
    pub is_empty: bool,
    pub with_properties: bool,
    pub expires: bool,
}

impl Schedule {
    /// The schedule of this seed.
    pub fn random(seed: u64) -> Schedule {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Overlapping subscriptions are served differently, which ends a comparison early.
        let may_overlap = rng.u8(0..4) == 0;
        let versions = [version(&mut rng), version(&mut rng)];
        let mut steps: Vec<Step> = (0..2)
            .map(|client| Step {
                client,
                act: Act::Connect(Connect::random(&mut rng)),
            })
            .collect();
        let count = rng.usize(4..24);
        steps.extend((0..count).map(|_| Step {
            client: rng.usize(0..2),
            act: Act::random(&mut rng, may_overlap),
        }));
        Schedule {
            seed,
            versions,
            steps,
        }
    }

    /// The same without one step.
    #[must_use]
    pub fn without(&self, step: usize) -> Schedule {
        let mut shorter = self.clone();
        shorter.steps.remove(step);
        shorter
    }
}

impl Connect {
    fn random(rng: &mut fastrand::Rng) -> Connect {
        Connect {
            clean_start: rng.u8(0..3) == 0,
            expiry_secs: if rng.u8(0..4) == 0 { 0 } else { 600 },
            receive_maximum: (rng.u8(0..4) == 0).then(|| rng.u16(1..4)),
            will: (rng.u8(0..4) == 0).then(|| Will {
                topic: rng.usize(0..TOPICS.len()),
                qos: rng.u8(0..3),
                retain: rng.bool(),
                delay_secs: (rng.u8(0..3) == 0).then_some(600),
            }),
        }
    }
}

impl Act {
    fn random(rng: &mut fastrand::Rng, may_overlap: bool) -> Act {
        let filters = if may_overlap { FILTERS.len() } else { DISJOINT };
        match rng.u8(0..100) {
            0..14 => Act::Connect(Connect::random(rng)),
            14..54 => Act::Publish(Publish {
                topic: rng.usize(0..TOPICS.len()),
                qos: rng.u8(0..3),
                retain: rng.u8(0..3) == 0,
                is_empty: rng.u8(0..6) == 0,
                with_properties: rng.u8(0..4) == 0,
                expires: rng.u8(0..8) == 0,
            }),
            54..74 => Act::Subscribe {
                filters: (0..rng.usize(1..4))
                    .map(|_| (rng.usize(0..filters), options(rng)))
                    .collect(),
                identifier: (rng.u8(0..3) == 0).then(|| rng.u32(1..300)),
            },
            74..80 => Act::Unsubscribe {
                filters: (0..rng.usize(1..3))
                    .map(|_| rng.usize(0..filters))
                    .collect(),
            },
            80..84 => Act::Hold,
            84..89 => Act::Release,
            89..93 => Act::Disconnect {
                code: if rng.bool() { 0 } else { 4 },
                expiry_secs: (rng.u8(0..3) == 0).then(|| if rng.bool() { 0 } else { 300 }),
            },
            93..97 => Act::Cut,
            _ => Act::Odd(rng.usize(0..ODDITIES.len())),
        }
    }
}

fn version(rng: &mut fastrand::Rng) -> Version {
    if rng.u8(0..3) == 0 {
        Version::V311
    } else {
        Version::V5
    }
}

/// QoS, No Local, Retain As Published and Retain Handling.
fn options(rng: &mut fastrand::Rng) -> u8 {
    let qos = rng.u8(0..3);
    let no_local = u8::from(rng.u8(0..5) == 0) << 2;
    let as_published = u8::from(rng.u8(0..3) == 0) << 3;
    let handling = rng.u8(0..3) << 4;
    qos | no_local | as_published | handling
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, versions {:?}", self.seed, self.versions)?;
        for (number, Step { client, act }) in self.steps.iter().enumerate() {
            let name = ["A", "B"].get(*client).copied().unwrap_or("?");
            writeln!(f, "{number:>3} {name} {act}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Publish(publish) => {
                let topic = TOPICS.get(publish.topic).copied().unwrap_or_default();
                write!(f, "publish to {topic} {publish:?}")
            }
            Act::Subscribe {
                filters,
                identifier,
            } => {
                write!(f, "subscribe")?;
                for (index, options) in filters {
                    let qos = options & 3;
                    let filter = FILTERS.get(*index).copied().unwrap_or_default();
                    write!(f, " {filter} (QoS {qos}, options {options:#04x})")?;
                }
                identifier.map_or(Ok(()), |identifier| write!(f, " identifier {identifier}"))
            }
            Act::Unsubscribe { filters } => {
                let names = filters.iter().filter_map(|index| FILTERS.get(*index));
                let names: Vec<&str> = names.copied().collect();
                write!(f, "unsubscribe {}", names.join(" "))
            }
            Act::Connect(connect) => write!(f, "{connect:?}"),
            Act::Odd(index) => {
                write!(f, "send {}", ODDITIES.get(*index).copied().unwrap_or("?"))
            }
            Act::Hold | Act::Release | Act::Disconnect { .. } | Act::Cut => write!(f, "{self:?}"),
        }
    }
}
