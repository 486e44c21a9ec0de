//! Differences from Mosquitto 2.0 that are meant, each with its reason.
//!
//! An explanation takes the difference that it knows out of what both sides saw, or says that nothing
//! more can be compared. What is different then is a fault of one of them.

use std::collections::{BTreeMap, BTreeSet};

use super::player::{CLOSED, ENDED_BEFORE_WILL, Seen, TAKEN_WITH_WILL};
use super::schedule::{Act, FILTERS, ODDITIES, Schedule, Step};

/// One kind of difference.
pub struct Explanation {
    pub name: &'static str,
    /// Why it is right that they differ.
    pub reason: &'static str,
    effect: Effect,
}

/// What an explanation does about the difference.
enum Effect {
    /// It is taken out of what both saw, and the run goes on.
    TakeOut(fn(&Context<'_>, ours: &mut Seen, theirs: &mut Seen)),
    /// From this step on the brokers may be in different states: nothing more is compared.
    Diverge(fn(&Context<'_>, ours: &Seen, theirs: &Seen) -> bool),
}

/// All explanations, in the order in which they are tried.
pub static ALL: &[Explanation] = &[
    Explanation {
        name: "DISCONNECT on take-over",
        reason: "Reason Code 0x8E is asked for [MQTT-3.1.4-3]; Mosquitto 2.0.11 closes without a word",
        effect: Effect::TakeOut(|_, ours, _| {
            remove(ours, |line| {
                line == "on its earlier connection: DISCONNECT code 0x8E"
            });
        }),
    },
    Explanation {
        name: "PUBACK that says nobody listens",
        reason: "a subscription with No Local is none for its own client; Mosquitto counts it",
        effect: Effect::TakeOut(|context, ours, theirs| {
            let mut filters = context.filters(context.client());
            if filters.any(|(_, options)| options & 4 != 0) {
                for seen in [ours, theirs] {
                    forget_that_nobody_listens(seen, "PUBACK");
                }
            }
        }),
    },
    Explanation {
        name: "unknown Packet Identifiers",
        reason: "0x92 says so, as sections 3.6.2.1 and 3.7.2.1 have it; Mosquitto 2.0.11 says 0x00",
        effect: Effect::TakeOut(|context, ours, _| {
            if matches!(context.act(), Some(Act::Odd(_))) {
                change(ours, |line| {
                    *line = line.replace(" code 0x92", " code 0x00");
                });
            }
        }),
    },
    Explanation {
        name: "Reason Code of a violation",
        reason: "both close the connection; the standard leaves the code open",
        effect: Effect::TakeOut(|context, ours, theirs| {
            if matches!(context.act(), Some(Act::Odd(_))) && is_closed(ours) && is_closed(theirs) {
                for seen in [ours, theirs] {
                    remove(seen, |line| line.starts_with("DISCONNECT code"));
                }
            }
        }),
    },
    Explanation {
        name: "a packet that is too long",
        reason: "a PINGREQ with a body is malformed; Mosquitto 2.0.11 answers it",
        effect: Effect::Diverge(|context, ours, _| {
            context.is_odd("a PINGREQ with a body") && is_closed(ours)
        }),
    },
    Explanation {
        name: "a session after a second CONNECT",
        reason: "the connection ends and the session does not; Mosquitto forgets the session",
        effect: Effect::Diverge(|context, _, _| context.is_odd("a second CONNECT")),
    },
    Explanation {
        name: "overlapping subscriptions",
        reason: "one copy with the highest QoS of all [MQTT-3.3.4-2]; Mosquitto 2.0.11 sends one for each, or the \
                 first",
        effect: Effect::Diverge(|context, ours, theirs| {
            ours != theirs && context.without_overlaps(ours) == context.without_overlaps(theirs)
        }),
    },
    Explanation {
        name: "one filter twice in a SUBSCRIBE",
        reason: "its retained messages are sent once, for the last; Mosquitto sends them for each",
        effect: Effect::Diverge(|context, ours, theirs| {
            let Some(Act::Subscribe { filters, .. }) = context.act() else {
                return false;
            };
            let different: BTreeSet<usize> = filters.iter().map(|(filter, _)| *filter).collect();
            ours != theirs && different.len() < filters.len()
        }),
    },
    Explanation {
        name: "options of a repeated subscription",
        reason: "the later ones count [MQTT-3.8.4-3]; Mosquitto 2.0.11 keeps No Local and Retain As Published",
        effect: Effect::Diverge(|context, ours, theirs| {
            ours != theirs && (0..2).any(|client| context.has_changed_options(client))
        }),
    },
    Explanation {
        name: "retained messages of QoS 0 behind a full window",
        reason: "retained messages are sent in their order, so those of QoS 0 wait for acknowledgements too",
        effect: Effect::Diverge(|context, ours, theirs| {
            let mut stripped = theirs.clone();
            remove(&mut stripped, |line| line.ends_with(" QoS 0 RETAIN"));
            matches!(context.act(), Some(Act::Subscribe { .. }))
                && ours != theirs
                && *ours == stripped
        }),
    },
    Explanation {
        name: "Will on take-over",
        reason: "it is published as on any other end of a connection, section 3.1.4; Mosquitto 2.0.11 forgets it",
        effect: Effect::Diverge(|_, ours, _| has_line(ours, TAKEN_WITH_WILL)),
    },
    Explanation {
        name: "Will of a session that ends before its delay",
        reason: "it is published when the session ends [MQTT-3.1.2-8]; Mosquitto 2.0.11 forgets it",
        effect: Effect::Diverge(|_, ours, _| has_line(ours, ENDED_BEFORE_WILL)),
    },
];

/// What is left of a difference.
pub(super) enum Rest {
    /// Nothing; these explanations took it.
    Nothing(Vec<&'static Explanation>),
    /// Nothing more can be compared, for this reason.
    Diverged(&'static Explanation),
    Something,
}

/// Looks at what was seen in one step.
pub(super) fn explain(schedule: &Schedule, step: usize, ours: &Seen, theirs: &Seen) -> Rest {
    let context = Context { schedule, step };
    let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
    let mut used = Vec::new();
    for explanation in ALL {
        match explanation.effect {
            Effect::TakeOut(take_out) => {
                let before = (ours.clone(), theirs.clone());
                take_out(&context, &mut ours, &mut theirs);
                if (&before.0, &before.1) != (&ours, &theirs) {
                    used.push(explanation);
                }
            }
            Effect::Diverge(has_diverged) if has_diverged(&context, &ours, &theirs) => {
                return Rest::Diverged(explanation);
            }
            Effect::Diverge(_) => {}
        }
    }
    if ours == theirs {
        Rest::Nothing(used)
    } else {
        Rest::Something
    }
}

/// Where in a schedule an explanation looks.
struct Context<'a> {
    schedule: &'a Schedule,
    step: usize,
}

impl Context<'_> {
    fn act(&self) -> Option<&Act> {
        self.schedule
            .steps
            .get(self.step)
            .map(|Step { act, .. }| act)
    }

    fn client(&self) -> usize {
        self.schedule
            .steps
            .get(self.step)
            .map_or(0, |step| step.client)
    }

    fn is_odd(&self, what: &str) -> bool {
        matches!(self.act(), Some(Act::Odd(odd)) if ODDITIES.get(*odd) == Some(&what))
    }

    /// What the client has subscribed to in all steps so far, with the options.
    fn filters(&self, client: usize) -> impl Iterator<Item = (&'static str, u8)> {
        let steps = self.schedule.steps.iter().take(self.step + 1);
        steps
            .filter(move |step| step.client == client)
            .flat_map(|step| match &step.act {
                Act::Subscribe { filters, .. } => filters.as_slice(),
                _ => &[],
            })
            .filter_map(|(filter, options)| Some((*FILTERS.get(*filter)?, *options)))
    }

    /// Whether the client has subscribed to a filter again, with another No Local or Retain As Published.
    fn has_changed_options(&self, client: usize) -> bool {
        let mut known = BTreeMap::new();
        self.filters(client).any(|(filter, options)| {
            let earlier = known.insert(filter, options & 0x0C);
            earlier.is_some_and(|earlier| earlier != options & 0x0C)
        })
    }

    /// What was seen, without messages that several subscriptions match.
    fn without_overlaps(&self, seen: &Seen) -> Vec<Vec<String>> {
        let clients = seen.iter().enumerate();
        clients
            .map(|(client, lines)| {
                let filters = self.filters(client).map(|(filter, _)| filter);
                let filters: BTreeSet<&str> = filters.collect();
                let is_kept = |line: &&String| match published_topic(line) {
                    Some(topic) => filters.iter().filter(|one| matches(one, topic)).count() < 2,
                    None => !line.starts_with("PUBREL"),
                };
                lines.iter().filter(is_kept).cloned().collect()
            })
            .collect()
    }
}

fn remove(seen: &mut Seen, is_meant: impl Fn(&str) -> bool) {
    for lines in seen {
        lines.retain(|line| !is_meant(line));
    }
}

fn change(seen: &mut Seen, change: impl Fn(&mut String)) {
    seen.iter_mut().flatten().for_each(change);
}

fn forget_that_nobody_listens(seen: &mut Seen, packet: &str) {
    change(seen, |line| {
        if line.starts_with(packet) {
            *line = line.replace("code 0x10", "code 0x00");
        }
    });
}

fn has_line(seen: &Seen, wanted: &str) -> bool {
    seen.iter().flatten().any(|line| line == wanted)
}

fn is_closed(seen: &Seen) -> bool {
    has_line(seen, CLOSED)
}

fn published_topic(line: &str) -> Option<&str> {
    line.strip_prefix("PUBLISH ")?.split(' ').next()
}

/// Whether the filter matches the topic.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') != filter.starts_with('$') {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some(one), Some(other)) if one == "+" || one == other => {}
            _ => return false,
        }
    }
}
