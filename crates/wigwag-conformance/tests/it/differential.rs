//! Random schedules of two clients, played to our broker and to Mosquitto.
//!
//! `WIGWAG_SCHEDULES` sets how many, `WIGWAG_SEED` the first. A failure prints the schedule with the
//! fewest steps that still shows it.

use std::collections::BTreeMap;

use wigwag_conformance::differential::schedule::Schedule;
use wigwag_conformance::differential::{Outcome, compare};
use wigwag_conformance::peer::Stop;

use crate::brokers;

/// More would say the same again.
const FAILURES_SHOWN: usize = 5;

#[test]
fn wigwag_does_as_mosquitto_or_with_a_reason() {
    let (_broker, ours, _) = brokers::wigwag();
    let mosquitto = brokers::Mosquitto::start();
    let compare = |schedule: &Schedule| compare(schedule, ours, mosquitto.places.plain);
    let first = number("WIGWAG_SEED", 0);
    let mut explanations: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in first..first + number("WIGWAG_SCHEDULES", 300) {
        let schedule = Schedule::random(seed);
        match compare(&schedule) {
            Ok(Outcome::Same(names)) => {
                for name in names {
                    *explanations.entry(name).or_default() += 1;
                }
            }
            _ => failures.push(shortest(schedule, &compare)),
        }
        if failures.len() == FAILURES_SHOWN {
            break;
        }
    }
    for (name, times) in explanations {
        println!("{times:>6} times: {name}");
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Leaves out what the failure does not need, and tells of the rest.
fn shortest(
    mut schedule: Schedule,
    compare: &dyn Fn(&Schedule) -> Result<Outcome, Stop>,
) -> String {
    let failure = |schedule: &Schedule| match compare(schedule) {
        Ok(Outcome::Same(_)) => None,
        Ok(Outcome::Different(difference)) => Some(difference.to_string()),
        Err(Stop::Failed(what) | Stop::Unsupported(what)) => Some(what),
    };
    let mut seen = failure(&schedule);
    for step in (0..schedule.steps.len()).rev() {
        let shorter = schedule.without(step);
        if let Some(still) = failure(&shorter) {
            schedule = shorter;
            seen = Some(still);
        }
    }
    let seen = seen.as_deref().unwrap_or("once, and not again");
    format!("{schedule}{seen}")
}

fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().expect("a number"))
}
