//! Mixes: several QoS or sizes in one flow, written `0+1+2`, beside lists of them for flows one after the other.
//!
//! A client of the bench has one QoS, as most devices have, so a mix of QoS is a mix of clients and becomes a flow for
//! each QoS, at the same time. Sizes take turns with each message.

use std::ops::RangeInclusive;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use wigwag_proto::{Qos, Version};

use crate::case::{Case, Pace, Topology};
use crate::wire::Stamp;

/// Bytes that a payload can have.
pub(crate) const PAYLOAD_LENS: RangeInclusive<usize> = Stamp::LEN..=16 * 1024 * 1024;

/// Several values that share a flow; one that is named twice has twice the share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix<T>(Vec<T>);

impl<T: Copy + PartialEq> Mix<T> {
    pub(crate) fn new(parts: Vec<T>) -> anyhow::Result<Mix<T>> {
        ensure!(!parts.is_empty(), "a mix has at least one part");
        Ok(Mix(parts))
    }

    pub(crate) fn parts(&self) -> &[T] {
        &self.0
    }

    /// Each value once, with its share.
    fn shares(&self) -> Vec<(T, f64)> {
        let mut shares: Vec<(T, f64)> = Vec::new();
        for &part in &self.0 {
            let weight = 1.0 / self.0.len() as f64;
            match shares.iter_mut().find(|(value, _)| *value == part) {
                Some((_, share)) => *share += weight,
                None => shares.push((part, weight)),
            }
        }
        shares
    }
}

impl FromStr for Mix<Qos> {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Mix<Qos>> {
        let parts = text.split('+').map(|part| {
            let number = part.parse();
            qos_from(number.ok().with_context(|| no_qos(part))?)
        });
        Mix::new(parts.collect::<anyhow::Result<_>>()?)
    }
}

impl FromStr for Mix<usize> {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Mix<usize>> {
        let parts = text.split('+').map(|part| {
            let len = part.parse().ok();
            let range = format!("{}..={}", PAYLOAD_LENS.start(), PAYLOAD_LENS.end());
            len.filter(|len| PAYLOAD_LENS.contains(len))
                .with_context(|| format!("{part} is not in {range}"))
        });
        Mix::new(parts.collect::<anyhow::Result<_>>()?)
    }
}

pub(crate) fn qos_from(number: u8) -> anyhow::Result<Qos> {
    Qos::from_u8(number).with_context(|| no_qos(&number.to_string()))
}

fn no_qos(text: &str) -> String {
    format!("{text} is not a QoS; 0, 1 and 2 are")
}

pub(crate) fn version_from(text: &str) -> anyhow::Result<Version> {
    match text {
        "3.1" | "31" | "3" => Ok(Version::V3_1),
        "3.1.1" | "311" | "4" => Ok(Version::V3_1_1),
        "5" | "5.0" => Ok(Version::V5),
        _ => bail!("'{text}' is not a version of MQTT; 3.1, 3.1.1 and 5 are"),
    }
}

impl Mix<Qos> {
    /// The case with each QoS of the mix; clients and pace are shared out, and everybody has at least one client.
    pub(crate) fn apply(&self, case: &Case) -> anyhow::Result<Vec<Case>> {
        let shares = self.shares();
        if let [(qos, _)] = shares[..] {
            return Ok(vec![Case {
                qos,
                ..case.clone()
            }]);
        }
        let of = |share: f64, count: usize| ((count as f64 * share).round() as usize).max(1);
        let pace_of = |share: f64, pace: u64| ((pace as f64 * share).round() as u64).max(1);
        let cases = shares.iter().map(|&(qos, share)| {
            let publishers = of(share, case.publishers);
            let subscribers = match case.topology {
                Topology::Pairs => publishers,
                Topology::FanIn => 1,
                Topology::Publish => 0,
                Topology::FanOut | Topology::Shared => of(share, case.subscribers),
            };
            let name = case.name.as_ref();
            Case {
                name: name.map(|name| format!("{name}-{}", qos as u8)),
                publishers,
                subscribers,
                qos,
                pace: match case.pace {
                    Pace::Window(window) => Pace::Window(pace_of(share, window)),
                    Pace::Rate(rate) => Pace::Rate(pace_of(share, rate)),
                },
                ..case.clone()
            }
        });
        Ok(cases.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_of_qos_is_a_mix_of_clients() {
        let case = Case {
            name: Some("a".to_owned()),
            topology: Topology::Pairs,
            publishers: 100,
            subscribers: 100,
            qos: Qos::AtMostOnce,
            payload_lens: vec![64],
            pace: Pace::Rate(1_000),
        };
        let mix: Mix<Qos> = "0+0+0+1".parse().unwrap();
        let cases = mix.apply(&case).unwrap();
        let shown: Vec<_> = cases.iter().map(Case::to_string).collect();
        assert_eq!(
            shown,
            ["a-0: pairs 75:75 QoS 0 64 B", "a-1: pairs 25:25 QoS 1 64 B"]
        );
        assert_eq!(cases[1].pace, Pace::Rate(250));

        let one: Mix<Qos> = "2".parse().unwrap();
        let cases = one.apply(&case).unwrap();
        assert_eq!(cases[0].to_string(), "a: pairs 100:100 QoS 2 64 B");
    }

    #[test]
    fn parts_that_cannot_be_meant_are_refused_with_what_can() {
        let qos = |text: &str| text.parse::<Mix<Qos>>().unwrap_err().to_string();
        assert_eq!(qos("0+3"), "3 is not a QoS; 0, 1 and 2 are");
        assert_eq!(qos("0+"), " is not a QoS; 0, 1 and 2 are");
        let size = |text: &str| text.parse::<Mix<usize>>().unwrap_err().to_string();
        assert_eq!(size("64+23"), "23 is not in 24..=16777216");
        assert_eq!(
            version_from("4.2").unwrap_err().to_string(),
            "'4.2' is not a version of MQTT; 3.1, 3.1.1 and 5 are"
        );
    }
}
