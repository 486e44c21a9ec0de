//! The same schedule, played to two brokers: what their clients see is compared step by step.
//!
//! `schedule` makes random schedules for two clients, `player` plays one and tells what was seen in a
//! form that does not depend on the broker's free choices, `explained` knows the differences that are
//! meant.

pub mod explained;
pub mod player;
pub mod schedule;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::peer::Stop;
use explained::Rest;
use player::{Seen, play};
use schedule::Schedule;

/// How long to wait for what the end of a connection has for others. A difference counts if the longest
/// time does not take it away.
const GRACES: [Duration; 3] = [
    Duration::from_millis(5),
    Duration::from_millis(400),
    Duration::from_secs(4),
];

/// What a schedule showed.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing, but for differences that are meant, by name.
    Same(Vec<&'static str>),
    Different(Difference),
}

/// The first step after which the clients saw different things.
#[derive(Debug)]
pub struct Difference {
    pub step: usize,
    pub ours: Seen,
    pub theirs: Seen,
}

/// Plays a schedule to both brokers.
///
/// # Errors
///
/// A broker could not be reached, or did not answer in time.
pub fn compare(schedule: &Schedule, ours: SocketAddr, theirs: SocketAddr) -> Result<Outcome, Stop> {
    let mut outcome = Outcome::Same(Vec::new());
    for grace in GRACES {
        let (ours, theirs) = (play(schedule, ours, grace)?, play(schedule, theirs, grace)?);
        outcome = look(schedule, &ours, &theirs);
        if matches!(outcome, Outcome::Same(_)) {
            break;
        }
    }
    Ok(outcome)
}

/// Looks at what the clients of two brokers saw.
fn look(schedule: &Schedule, ours: &[Seen], theirs: &[Seen]) -> Outcome {
    let mut explanations: Vec<&'static str> = Vec::new();
    for (step, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        match explained::explain(schedule, step, ours, theirs) {
            Rest::Nothing(used) => explanations.extend(used.iter().map(|used| used.name)),
            Rest::Diverged(explanation) => {
                explanations.push(explanation.name);
                break;
            }
            Rest::Something => {
                let (ours, theirs) = (ours.clone(), theirs.clone());
                return Outcome::Different(Difference { step, ours, theirs });
            }
        }
    }
    Outcome::Same(explanations)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "after step {}:", self.step)?;
        let clients = ["A", "B"].iter().zip(self.ours.iter().zip(&self.theirs));
        for (name, (ours, theirs)) in clients.filter(|(_, (ours, theirs))| ours != theirs) {
            writeln!(f, "  {name}, ours:   {}", ours.join(", "))?;
            writeln!(f, "  {name}, theirs: {}", theirs.join(", "))?;
        }
        Ok(())
    }
}
