//! Everything that a session has found, as it goes into the JSON; the tables are drawn from the same rows.

use std::process::ExitCode;

use serde::Serialize;

use crate::Broker;
use crate::case::Run;
use crate::generator::{Round, RunRound};
use crate::objective::{Objective, Verdict};
use crate::report::{Comparison, ConnectRow, HoldRow, Row, Subject};

/// Everything was kept, but not everything was reached.
const OBJECTIVE_MISSED: u8 = 3;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Document {
    pub(crate) method: String,
    pub(crate) cases: Vec<Row>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) connects: Vec<ConnectRow>,
    pub(crate) holds: Vec<HoldRow>,
    pub(crate) objectives: Vec<Verdict>,
}

impl Document {
    pub(crate) fn new(method: String) -> Document {
        Document {
            method,
            ..Document::default()
        }
    }

    /// Adds what the rounds of one run have found, by broker; hands back the rows of its flows, those of one flow
    /// together.
    pub(crate) fn add(
        &mut self,
        run: &Run,
        brokers: &[Broker],
        measured: &[Vec<Result<RunRound, String>>],
    ) -> &[Row] {
        let each = || brokers.iter().map(|broker| &*broker.name).zip(measured);
        let first = self.cases.len();
        for (index, case) in run.cases.iter().enumerate() {
            self.add_rows(
                brokers.len(),
                each().map(|(broker, rounds)| {
                    let rounds = flow(rounds, |round| round.flows.get(index).cloned());
                    Row::new(Subject::Case(case), broker, &rounds)
                }),
            );
        }
        if run.cases.len() > 1 {
            self.add_rows(
                brokers.len(),
                each().map(|(broker, rounds)| {
                    let rounds = flow(rounds, |round| round.all.clone());
                    Row::new(Subject::All, broker, &rounds)
                }),
            );
        }
        self.connects.extend(each().map(|(broker, rounds)| {
            // The rows of flows have said so already.
            let refusals = rounds.iter().filter(|_| run.cases.is_empty());
            let refusals = refusals.filter_map(|round| round.as_ref().err().cloned());
            ConnectRow::of_opening(
                broker,
                &begun(rounds, |round| Some(&round.opening)),
                refusals,
            )
        }));
        for index in 0..run.churns.len() {
            self.connects.extend(each().map(|(broker, rounds)| {
                ConnectRow::of_churn(broker, &begun(rounds, |round| round.churns.get(index)))
            }));
        }
        for index in 0..run.holds.len() {
            self.holds.extend(each().map(|(broker, rounds)| {
                HoldRow::new(broker, &begun(rounds, |round| round.holds.get(index)))
            }));
        }
        &self.cases[first..]
    }

    fn add_rows(&mut self, brokers: usize, rows: impl Iterator<Item = Row>) {
        let first = self.cases.len();
        self.cases.extend(rows);
        let rows = &self.cases[first..];
        debug_assert_eq!(rows.len(), brokers);
        let compared = rows.iter().skip(1).map(|row| Comparison::of(row, &rows[0]));
        self.comparisons.extend(compared);
    }

    pub(crate) fn judge(&mut self, objectives: &[Objective]) {
        let verdicts = objectives
            .iter()
            .flat_map(|objective| objective.judge(&self.cases, &self.connects));
        self.objectives = verdicts.collect();
    }

    /// What a reader of the tables must know.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let cases = self.cases.iter().flat_map(Row::remarks);
        let connects = self.connects.iter().flat_map(ConnectRow::remarks);
        cases.chain(connects).collect()
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        let is_broken = self.cases.iter().any(Row::is_failure)
            || self.connects.iter().any(ConnectRow::is_failure);
        let is_missed = self.objectives.iter().any(|verdict| !verdict.is_met);
        if is_broken {
            ExitCode::FAILURE
        } else if is_missed {
            ExitCode::from(OBJECTIVE_MISSED)
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// The same part of every round; a round that could not begin keeps its reason.
fn flow(
    rounds: &[Result<RunRound, String>],
    part: impl Fn(&RunRound) -> Option<Round>,
) -> Vec<Result<Round, String>> {
    rounds
        .iter()
        .map(|round| match round {
            Ok(round) => part(round).ok_or_else(|| "nothing was measured".to_owned()),
            Err(refusal) => Err(refusal.clone()),
        })
        .collect()
}

fn begun<'a, T>(
    rounds: &'a [Result<RunRound, String>],
    part: impl Fn(&'a RunRound) -> Option<&'a T>,
) -> Vec<&'a T> {
    let begun = rounds.iter().filter_map(|round| round.as_ref().ok());
    begun.filter_map(part).collect()
}
