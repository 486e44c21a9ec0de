//! How a script tells what it saw: one verdict per statement, and why.
//!
//! A script declares the statements that it watches. Each must be checked by name; those that it did
//! not reach before it stopped are failed with the reason of the stop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::peer::Stop;
use crate::wire::Version;

/// Statement ids without their prefix, separated by spaces: those of MQTT 5, then those of 3.1.1.
pub type Ids = [&'static str; 2];

/// The ids that count for this version.
pub fn ids_of(ids: Ids, version: Version) -> impl Iterator<Item = &'static str> {
    let [v5, v311] = ids;
    let ids = if version.is_v5() { v5 } else { v311 };
    ids.split_whitespace()
}

/// What was seen of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail(String),
    /// The peer cannot be brought to show it.
    Unsupported(String),
}

/// One script; how it is run differs between clients and brokers.
pub struct Script<R> {
    pub name: &'static str,
    pub ids: Ids,
    pub run: R,
}

impl<R> Script<R> {
    /// The versions in which the script watches something.
    pub fn versions(&self) -> impl Iterator<Item = Version> + use<R> {
        let ids = self.ids;
        [Version::V5, Version::V311]
            .into_iter()
            .filter(move |version| ids_of(ids, *version).next().is_some())
    }
}

/// What a script has checked so far.
#[derive(Debug)]
pub struct Checks {
    version: Version,
    verdicts: BTreeMap<&'static str, Verdict>,
}

impl Checks {
    pub const fn new(version: Version) -> Checks {
        Checks {
            version,
            verdicts: BTreeMap::new(),
        }
    }

    /// Records whether these statements are kept. The first failure of a statement stays.
    pub fn check(&mut self, ids: Ids, kept: bool, seen: impl Into<String>) {
        let seen = seen.into();
        for id in ids_of(ids, self.version) {
            let verdict = if kept {
                Verdict::Pass
            } else {
                Verdict::Fail(seen.clone())
            };
            let known = self.verdicts.entry(id).or_insert_with(|| verdict.clone());
            if *known == Verdict::Pass {
                *known = verdict;
            }
        }
    }

    /// The verdicts on everything that the script declared.
    pub fn finish(
        mut self,
        declared: Ids,
        ended: Result<(), Stop>,
    ) -> BTreeMap<&'static str, Verdict> {
        let missing = match ended {
            Ok(()) => Verdict::Fail("the script does not check it".to_owned()),
            Err(Stop::Failed(what)) => Verdict::Fail(what),
            Err(Stop::Unsupported(what)) => Verdict::Unsupported(what),
        };
        for id in ids_of(declared, self.version) {
            self.verdicts.entry(id).or_insert_with(|| missing.clone());
        }
        self.verdicts
    }
}

/// The verdicts of all scripts on one subject, by version and statement. The worst one counts.
#[derive(Debug, Default)]
pub struct Results(pub BTreeMap<(Version, String), Verdict>);

impl Results {
    /// Takes in the verdicts of one script, naming it in failures.
    pub fn merge(
        &mut self,
        version: Version,
        script: &str,
        verdicts: BTreeMap<&'static str, Verdict>,
    ) {
        for (id, verdict) in verdicts {
            let verdict = match verdict {
                Verdict::Fail(what) => Verdict::Fail(format!("{script}: {what}")),
                other => other,
            };
            let entry = self.0.entry((version, id.to_owned()));
            let known = entry.or_insert_with(|| verdict.clone());
            let rank = |verdict: &Verdict| match verdict {
                Verdict::Unsupported(_) => 0,
                Verdict::Pass => 1,
                Verdict::Fail(_) => 2,
            };
            if rank(&verdict) > rank(known) {
                *known = verdict;
            }
        }
    }
}

/// Runs every script in every version on so many threads; `run` makes the world for one.
pub fn run_all<R: Sync>(
    scripts: &[Script<R>],
    threads: usize,
    run: impl Fn(&Script<R>, Version) -> BTreeMap<&'static str, Verdict> + Sync,
) -> Results {
    let jobs: Vec<_> = scripts
        .iter()
        .flat_map(|script| script.versions().map(move |version| (script, version)))
        .collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Results::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((script, version)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdicts = run(script, *version);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.merge(*version, script.name, verdicts);
                }
            });
        }
    });
    results.into_inner().unwrap_or_default()
}
