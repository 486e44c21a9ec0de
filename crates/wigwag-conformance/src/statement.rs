//! The normative statements of both standards, one row each, in our own words.
//!
//! The rows are in `statements/`; this file reads them. A row says what is demanded and of whom; which
//! scripts watch it is said by the scripts.

use crate::wire::Version;

const V5: &str = include_str!("../statements/v5.txt");
const V311: &str = include_str!("../statements/v311.txt");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    pub version: Version,
    /// Without its prefix `MQTT-`.
    pub id: &'static str,
    pub binds_client: bool,
    pub binds_server: bool,
    /// Seen from outside by a scripted broker.
    pub seen_at_client: bool,
    pub seen_at_broker: Seen,
    pub text: &'static str,
}

/// How a broker shows a statement to a scripted client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Never,
    Always,
    /// Only if it is configured for it, or with an extension.
    Configured,
}

/// All statements of a version, in the order of the standard.
pub fn all(version: Version) -> Vec<Statement> {
    let text = match version {
        Version::V5 => V5,
        Version::V311 => V311,
    };
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| parse(version, row)).collect()
}

fn parse(version: Version, row: &'static str) -> Option<Statement> {
    let mut fields = row.splitn(4, " | ");
    let (id, binds) = (fields.next()?, fields.next()?);
    let (seen, text) = (fields.next()?, fields.next()?);
    Some(Statement {
        version,
        id,
        binds_client: binds.contains('C'),
        binds_server: binds.contains('S'),
        seen_at_client: seen.contains('C'),
        seen_at_broker: match (seen.contains('B'), seen.contains('*')) {
            (_, true) => Seen::Configured,
            (true, false) => Seen::Always,
            (false, false) => Seen::Never,
        },
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(version: Version, wanted: fn(&Statement) -> bool) -> usize {
        all(version).into_iter().filter(wanted).count()
    }

    #[test]
    fn every_row_is_read_and_no_identifier_comes_twice() {
        for (version, rows) in [(Version::V5, 251), (Version::V311, 141)] {
            let mut ids: Vec<_> = all(version).iter().map(|row| row.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), rows, "{version:?}");
        }
    }

    #[test]
    fn statements_that_bind_a_client_are_counted() {
        let at_client = |row: &Statement| row.binds_client && row.seen_at_client;
        assert_eq!(count(Version::V5, at_client), 131);
        assert_eq!(count(Version::V311, at_client), 69);
    }
}
