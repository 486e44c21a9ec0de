//! The published table: every statement, whether a script watches it, and what each subject did.
//!
//! It is made of the rows, of what the scripts declare and of the records of the last update; the tests
//! compare the page with the one in `docs/reference` and the records with what they see.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::differential::explained;
use crate::script::{Verdict, ids_of};
use crate::statement::{self, Seen, Statement};
use crate::wire::Version;
use crate::{broker, client};

/// The one word of a verdict in a record.
pub const fn kind(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "kept",
        Verdict::Fail(_) => "broken",
        Verdict::Unsupported(_) => "not shown",
    }
}

/// The rows of a record: version and statement, the word, and the reason.
pub fn read_results(text: &str) -> impl Iterator<Item = ((Version, &str), (&str, &str))> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(4, " | ");
        let version = match fields.next()? {
            "5" => Version::V5,
            _ => Version::V311,
        };
        let key = (version, fields.next()?);
        Some((key, (fields.next()?, fields.next().unwrap_or(""))))
    })
}

/// What is recorded of one subject.
pub struct Record<'a> {
    /// Its name and version.
    pub subject: &'a str,
    pub text: &'a str,
}

type Rows<'a> = BTreeMap<(Version, &'a str), (&'a str, &'a str)>;

/// The whole page in Markdown.
pub fn write(records: &[Record<'_>]) -> String {
    let mut page = String::from(HEAD);
    let rows: Vec<Rows<'_>> = records
        .iter()
        .map(|record| read_results(record.text).collect())
        .collect();
    write_counts(&mut page, records, &rows);
    for version in [Version::V5, Version::V311] {
        write_table(&mut page, version, records, &rows);
    }
    write_unwatched(&mut page);
    write_reasons(&mut page, records, &rows);
    write_differences(&mut page);
    page
}

/// Statements that no script can show, and why.
const UNWATCHED: &[(Version, &str, &str)] = &[
    (
        Version::V5,
        "4.2-1",
        "the transports are TCP, TLS, WebSocket and Unix sockets, which do that; every script relies on it",
    ),
    (
        Version::V311,
        "3.8.3-2",
        "no broker here can be told to do without wildcards",
    ),
    (
        Version::V311,
        "4.8.0-2",
        "an error that will pass by itself, such as a lack of memory, cannot be called up from outside",
    ),
    (
        Version::V311,
        "7.0.0-1",
        "each side is watched by the scripts for it; a bridge is a client of the one broker and part of the other",
    ),
    (
        Version::V311,
        "7.0.0-2",
        "the scripts themselves use nothing beyond the standard, and get along",
    ),
    (
        Version::V311,
        "7.1.1-1",
        "TCP and what is layered over it do that; every script relies on it",
    ),
    (
        Version::V311,
        "7.1.2-1",
        "TCP and what is layered over it do that; every script relies on it",
    ),
];

fn write_unwatched(page: &mut String) {
    page.push_str("\n## Statements without a script\n\n");
    for (version, id, why) in UNWATCHED {
        let _ = writeln!(page, "- {} {id}: {why}.", name(*version));
    }
}

/// What the random schedules may find.
fn write_differences(page: &mut String) {
    page.push_str(
        "\n## Where our broker and Mosquitto 2.0.11 differ\n\n\
         Random schedules of two clients are played to both brokers; these differences are meant, and any other \
         fails the tests.\n\n",
    );
    for explained::Explanation { name, reason, .. } in explained::ALL {
        let _ = writeln!(page, "- **{name}**: {reason}.");
    }
}

const HEAD: &str = "# Conformance\n\n\
    <!-- Made by `cargo xtask docs` from the rows, scripts and records of wigwag-conformance. -->\n\n\
    Every normative statement of MQTT 5.0 and 3.1.1, in our words, and what clients and brokers do about it. \
    The same scripts watch them all: `crates/wigwag-conformance/src/client` plays a broker, `src/broker` plays a \
    client, both with a codec of their own. The tests compare what they see with the records behind this page.\n\n\
    ✓ kept, ✗ broken (the reason is below), – the subject cannot be brought to show it, \
    blank: no script, or not the subject's duty.\n\n";

fn name(version: Version) -> &'static str {
    match version {
        Version::V5 => "5.0",
        Version::V311 => "3.1.1",
    }
}

/// The statements that some script of this side watches.
fn watched(version: Version, is_client: bool) -> BTreeSet<&'static str> {
    let ids: Vec<_> = if is_client {
        client::scripts().iter().map(|script| script.ids).collect()
    } else {
        broker::scripts().iter().map(|script| script.ids).collect()
    };
    ids.into_iter()
        .flat_map(|ids| ids_of(ids, version))
        .collect()
}

fn write_counts(page: &mut String, records: &[Record<'_>], rows: &[Rows<'_>]) {
    for (is_client, role) in [(true, "client"), (false, "broker")] {
        for version in [Version::V5, Version::V311] {
            let statements = statement::all(version);
            let duty = |row: &&Statement| is_duty(row, is_client);
            let duties: Vec<_> = statements.iter().filter(duty).collect();
            let watched = watched(version, is_client);
            let count = duties.iter().filter(|row| watched.contains(row.id)).count();
            let _ = writeln!(
                page,
                "- MQTT {}, {role}: {} of the {} statements that bind a {role} and can be seen from outside are watched.",
                name(version),
                count,
                duties.len()
            );
        }
    }
    page.push_str("\n| subject | kept | broken | not shown |\n|---|---|---|---|\n");
    for (record, rows) in records.iter().zip(rows) {
        let count = |word: &str| rows.values().filter(|(kind, _)| *kind == word).count();
        let counts = [count("kept"), count("broken"), count("not shown")];
        let [kept, broken, not_shown] = counts;
        let subject = record.subject;
        let _ = writeln!(page, "| {subject} | {kept} | {broken} | {not_shown} |");
    }
}

const fn is_duty(row: &Statement, is_client: bool) -> bool {
    if is_client {
        row.binds_client && row.seen_at_client
    } else {
        row.binds_server && !matches!(row.seen_at_broker, Seen::Never)
    }
}

fn write_table(page: &mut String, version: Version, records: &[Record<'_>], rows: &[Rows<'_>]) {
    let _ = write!(
        page,
        "\n## MQTT {}\n\n| statement | demands | binds |",
        name(version)
    );
    for record in records {
        let _ = write!(page, " {} |", record.subject);
    }
    let _ = writeln!(page, "\n|---|---|---|{}", "---|".repeat(records.len()));
    for row in statement::all(version) {
        let binds = match (row.binds_client, row.binds_server) {
            (true, true) => "both",
            (true, false) => "client",
            _ => "server",
        };
        let _ = write!(page, "| {} | {} | {binds} |", row.id, row.text);
        for rows in rows {
            let sign = match rows.get(&(version, row.id)) {
                Some(("kept", _)) => "✓",
                Some(("broken", _)) => "✗",
                Some(_) => "–",
                None => "",
            };
            let _ = write!(page, " {sign} |");
        }
        page.push('\n');
    }
}

fn write_reasons(page: &mut String, records: &[Record<'_>], rows: &[Rows<'_>]) {
    page.push_str("\n## What is behind each ✗ and –\n");
    for (record, rows) in records.iter().zip(rows) {
        let _ = writeln!(page, "\n### {}\n", record.subject);
        let mut all_kept = true;
        for ((version, id), (kind, why)) in rows {
            if *kind != "kept" {
                all_kept = false;
                let _ = writeln!(page, "- {} {id}, {kind}: `{why}`", name(*version));
            }
        }
        if all_kept {
            page.push_str("Nothing.\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_is_watched_or_cannot_be() {
        for version in [Version::V5, Version::V311] {
            let sides = [
                (true, watched(version, true)),
                (false, watched(version, false)),
            ];
            for row in statement::all(version) {
                let is_missing = sides.iter().any(|(is_client, watched)| {
                    is_duty(&row, *is_client) && !watched.contains(row.id)
                });
                assert!(!is_missing, "{version:?} {}: no script", row.id);
                let is_nowhere = sides.iter().all(|(_, watched)| !watched.contains(row.id));
                let mut reasons = UNWATCHED.iter();
                let has_reason = reasons.any(|(of, id, _)| (*of, *id) == (version, row.id));
                let is_bound = row.binds_client || row.binds_server;
                assert_eq!(has_reason, is_nowhere && is_bound, "{version:?} {}", row.id);
            }
        }
    }

    #[test]
    fn scripts_watch_only_statements_that_exist() {
        for version in [Version::V5, Version::V311] {
            let ids: BTreeSet<_> = statement::all(version).iter().map(|row| row.id).collect();
            for is_client in [true, false] {
                for id in watched(version, is_client) {
                    assert!(ids.contains(id), "{version:?} has no statement {id}");
                }
            }
        }
    }
}
