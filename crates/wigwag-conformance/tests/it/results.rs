//! What was seen, against what is recorded in `results/`.
//!
//! A record lists each statement that was watched, with the reason if it was not seen to be kept; `WIGWAG_UPDATE=1` writes
//! the records anew. The reasons are for readers: only the statement and the kind of verdict are compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use wigwag_conformance::page;
use wigwag_conformance::script::{Results, Verdict};

pub(crate) fn is_update() -> bool {
    std::env::var_os("WIGWAG_UPDATE").is_some()
}

pub(crate) fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/results"));
    folder.join(format!("{name}.txt"))
}

pub(crate) fn compare(name: &str, results: &Results) {
    let file =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/results")).join(format!("{name}.txt"));
    if is_update() {
        let old = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, written(results, &old)).expect("writable");
        return;
    }
    let recorded = fs::read_to_string(&file).expect("recorded; WIGWAG_UPDATE=1 records");
    let recorded: BTreeMap<_, _> = page::read_results(&recorded).collect();
    let mut differences = String::new();
    for ((version, id), verdict) in &results.0 {
        let key = (*version, id.as_str());
        let was = recorded.get(&key).map(|(kind, _)| *kind);
        let is = page::kind(verdict);
        if was != Some(is) {
            let why = match verdict {
                Verdict::Fail(why) | Verdict::Unsupported(why) => why.as_str(),
                Verdict::Pass => "",
            };
            let was = was.unwrap_or("nothing");
            let _ = writeln!(
                differences,
                "{version:?} MQTT-{id}: {is}, recorded is {was}. {why}"
            );
        }
    }
    for (version, id) in recorded.keys() {
        if !results.0.contains_key(&(*version, (*id).to_owned())) {
            let _ = writeln!(
                differences,
                "{version:?} MQTT-{id}: recorded, and no longer watched"
            );
        }
    }
    assert!(differences.is_empty(), "{name}:\n{differences}");
}

/// A verdict that has not changed keeps its words, which may name a random identifier.
fn written(results: &Results, old: &str) -> String {
    let old: BTreeMap<_, _> = page::read_results(old).collect();
    let mut text = String::new();
    for ((version, id), verdict) in &results.0 {
        let kind = page::kind(verdict);
        let level = if version.is_v5() { "5" } else { "3.1.1" };
        let why = match (old.get(&(*version, id.as_str())), verdict) {
            (Some((was, why)), _) if *was == kind => (*why).to_owned(),
            (_, Verdict::Pass) => String::new(),
            (_, Verdict::Fail(why) | Verdict::Unsupported(why)) => why.replace('\n', " "),
        };
        let _ = if why.is_empty() {
            writeln!(text, "{level} | {id} | {kind}")
        } else {
            writeln!(text, "{level} | {id} | {kind} | {why}")
        };
    }
    text
}
