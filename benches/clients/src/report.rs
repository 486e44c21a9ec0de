//! What is made of the runs: medians, spreads and ratios, as tables or as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::contenders::Client;
use crate::load::{Load, Run};

/// All runs, in the order in which the loads were first played.
#[derive(Serialize)]
pub(crate) struct Results {
    clients: Vec<&'static str>,
    loads: Vec<Played>,
}

/// All runs of one load.
#[derive(Serialize)]
struct Played {
    load: String,
    unit: &'static str,
    #[serde(skip)]
    is_idle: bool,
    runs: BTreeMap<&'static str, Vec<Run>>,
}

/// The median of the runs, and half the distance between the extremes as a part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Summary {
    median: f64,
    spread: f64,
}

impl Summary {
    fn of(values: impl Iterator<Item = f64>) -> Summary {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let (Some(first), Some(last)) = (values.first(), values.last()) else {
            return Summary {
                median: f64::NAN,
                spread: f64::NAN,
            };
        };
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Summary {
            median,
            spread: (last - first) / 2.0 / median,
        }
    }
}

impl Results {
    pub(crate) fn new(clients: &[Client]) -> Results {
        Results {
            clients: clients.iter().map(|client| client.name()).collect(),
            loads: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, client: Client, load: Load, run: Run) {
        let name = load.to_string();
        let at = self.loads.iter().position(|played| played.load == name);
        let at = at.unwrap_or_else(|| {
            self.loads.push(Played {
                load: name,
                unit: load.unit(),
                is_idle: load == Load::Idle,
                runs: BTreeMap::new(),
            });
            self.loads.len() - 1
        });
        let runs = &mut self.loads[at].runs;
        runs.entry(client.name()).or_default().push(run);
    }
}

/// A column of a table.
struct Column {
    title: &'static str,
    value: fn(&Run) -> f64,
    digits: usize,
    /// Whether a large value is a good one.
    is_rate: bool,
}

const PER_SECOND: Column = Column {
    title: "per second",
    value: |run| run.per_second,
    digits: 0,
    is_rate: true,
};

const CPU: Column = Column {
    title: "CPU µs of each",
    value: |run| run.cpu_us,
    digits: 2,
    is_rate: false,
};

const MEMORY: Column = Column {
    title: "KiB of each idle client",
    value: |run| run.kib,
    digits: 1,
    is_rate: false,
};

impl Results {
    fn write_table(
        &self,
        f: &mut fmt::Formatter<'_>,
        column: &Column,
        wanted: impl Fn(&Played) -> bool,
    ) -> fmt::Result {
        let mut played = self.loads.iter().filter(|own| wanted(own)).peekable();
        if played.peek().is_none() {
            return Ok(());
        }
        write!(f, "\n| {} |", column.title)?;
        for client in &self.clients {
            write!(f, " {client} |")?;
        }
        writeln!(f, " {} : best rival |", self.clients[0])?;
        writeln!(f, "|---|{}---:|", "---:|".repeat(self.clients.len()))?;
        for own in played {
            self.write_row(f, column, own)?;
        }
        Ok(())
    }

    fn write_row(
        &self,
        f: &mut fmt::Formatter<'_>,
        column: &Column,
        played: &Played,
    ) -> fmt::Result {
        let summaries: Vec<Summary> = (self.clients.iter())
            .map(|client| {
                let runs = played.runs.get(client).map_or(&[][..], Vec::as_slice);
                Summary::of(runs.iter().map(column.value))
            })
            .collect();
        write!(f, "| {} |", played.load)?;
        for Summary { median, spread } in &summaries {
            let digits = column.digits;
            write!(f, " {median:.digits$} ± {:.0} % |", spread * 100.0)?;
        }
        let rivals = summaries.iter().skip(1).map(|own| own.median);
        let best = if column.is_rate {
            rivals.reduce(f64::max)
        } else {
            rivals.reduce(f64::min)
        };
        match best {
            Some(best) => writeln!(f, " {:.2} |", summaries[0].median / best),
            None => writeln!(f, " – |"),
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_table(f, &PER_SECOND, |played| !played.is_idle)?;
        self.write_table(f, &CPU, |played| !played.is_idle)?;
        self.write_table(f, &MEMORY, |played| played.is_idle)?;
        for played in &self.loads {
            for (client, runs) in &played.runs {
                let busy = Summary::of(runs.iter().map(|run| run.peer_busy)).median;
                if busy > 0.9 {
                    let percent = busy * 100.0;
                    writeln!(
                        f,
                        "\nThe peer was busy {percent:.0} % of the time with {client} at {}: \
                         the client may be faster.",
                        played.load
                    )?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_median_and_half_the_range() {
        let check = |values: &[f64], median, spread| {
            let expect = Summary { median, spread };
            assert_eq!(Summary::of(values.iter().copied()), expect);
        };
        check(&[4.0], 4.0, 0.0);
        check(&[9.0, 4.0, 5.0], 5.0, 0.5);
        check(&[2.0, 6.0], 4.0, 0.5);
    }
}
