#![doc = include_str!("../README.md")]

mod args;
mod case;
mod duration;
mod interrupt;
mod mix;
mod objective;
mod scenario;
mod target;

mod connection;
mod schedule;
mod sequence;
mod transport;
mod wire;

mod connects;
mod generator;
mod opening;
mod process;
mod progress;

mod document;
mod figure;
mod report;
mod table;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use wigwag_net::tls::ClientTls;

use self::args::Action;
pub use self::args::Args;
use self::args::Plan;
use self::case::Run;
use self::document::Document;
use self::interrupt::Interrupt;
use self::objective::Verdict;
use self::process::Process;
use self::progress::Progress;
use self::report::{CASES, COMPARISONS, CONNECTS, Comparison, ConnectRow, HOLDS, HoldRow, Method};
use self::table::Columns;
use self::target::Target;
use self::transport::Endpoint;

/// A broker that has answered, and its process.
struct Broker {
    name: String,
    endpoint: Endpoint,
    process: Option<Process>,
}

impl Broker {
    fn reach(target: Target, tls: &ClientTls) -> anyhow::Result<Broker> {
        let process = target.pid.map(Process::open).transpose();
        Ok(Broker {
            process: process.with_context(|| format!("broker '{}'", target.name))?,
            endpoint: Endpoint::resolve(&target.address, tls)?,
            name: target.name,
        })
    }
}

/// Measures and prints; the exit code tells whether every broker kept its promises and every objective was reached.
pub fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Some(Action::List) => return list(),
        Some(Action::Show { name }) => {
            print(scenario::text(name)?.trim_end())?;
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    // A mistake on the command line is told before anybody is called.
    let mut plan = (!args.connect).then(|| args.plan()).transpose()?;
    args.summary.as_deref().map_or(Ok(()), check_writable)?;
    let tls = args.tls()?;
    let targets = args.targets()?.into_iter();
    let brokers = targets.map(|target| Broker::reach(target, &tls));
    let brokers: Vec<_> = brokers.collect::<anyhow::Result<_>>()?;
    let output = Output { is_json: args.json };
    let interrupt = Interrupt::listen()?;
    let mut document = match &mut plan {
        Some(plan) => {
            plan.load.interrupt = interrupt.clone();
            run_plan(plan, &brokers, &output)?
        }
        None => run_connects(&args, &brokers, &interrupt, &output)?,
    };
    let objectives = plan.map_or_else(|| args.objective.clone(), |plan| plan.objectives);
    document.judge(&objectives);
    output.lines(document.remarks())?;
    output.lines(document.objectives.iter().map(Verdict::to_string))?;
    let json = serde_json::to_string_pretty(&document)?;
    if args.json {
        print(&json)?;
    }
    if let Some(path) = &args.summary {
        fs::write(path, format!("{json}\n")).with_context(|| unwritable(path))?;
    }
    if interrupt.is_set() {
        return Ok(ExitCode::from(interrupt::EXIT_CODE));
    }
    Ok(document.exit_code())
}

/// What is there stays until the measurement is over.
fn check_writable(path: &Path) -> anyhow::Result<()> {
    let mut options = File::options();
    let opened = options.append(true).create(true).open(path);
    opened.map(drop).with_context(|| unwritable(path))
}

fn unwritable(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn list() -> anyhow::Result<ExitCode> {
    for (name, about) in scenario::catalogue()? {
        print(&format!("{name:<11} {about}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush().context("cannot write the output")
}

/// Every round at every broker: what each found, or why it could not begin.
///
/// The brokers take turns, because what slows the machine should slow all of them. Who was first in one round is last
/// in the next, so that nobody is always the one who finds the machine as the other has left it.
fn measure_in_turns<T>(
    brokers: &[Broker],
    rounds: usize,
    interrupt: &Interrupt,
    mut measure: impl FnMut(&Broker, usize) -> anyhow::Result<T>,
) -> Vec<Vec<Result<T, String>>> {
    let mut measured: Vec<Vec<_>> = brokers.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        let mut turns: Vec<usize> = (0..brokers.len()).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for index in turns {
            let outcome = measure(&brokers[index], round);
            if interrupt.is_set() {
                // Half a round says nothing.
                return measured;
            }
            measured[index].push(outcome.map_err(|error| format!("{error:#}")));
        }
    }
    measured
}

fn run_plan(plan: &Plan, brokers: &[Broker], output: &Output) -> anyhow::Result<Document> {
    let method = Method {
        load: &plan.load,
        rounds: plan.rounds,
        pace: plan.pace,
    };
    output.text(&format!("{method}.\n\n{}", CASES.header()))?;
    let mut document = Document::new(method.to_string());
    let mut progress = Progress::on_terminal();
    for (index, run) in plan.runs.iter().enumerate() {
        let interrupt = &plan.load.interrupt;
        let measured = measure_in_turns(brokers, plan.rounds, interrupt, |broker, round| {
            progress.announce(format!(
                "case {}/{}, round {}/{}, {}",
                index + 1,
                plan.runs.len(),
                round + 1,
                plan.rounds,
                broker.name
            ));
            let process = broker.process.as_ref();
            let found =
                generator::measure(&broker.endpoint, process, run, &plan.load, &mut progress);
            progress.clear();
            found
        });
        if measured.iter().all(Vec::is_empty) {
            break;
        }
        let rows = document.add(run, brokers, &measured);
        for rows in rows.chunks(brokers.len()) {
            for row in rows {
                output.text(&CASES.line(&row.cells(&rows[0])))?;
            }
        }
    }
    if plan.runs.iter().any(Run::shows_connections) {
        output.connects(&document.connects, brokers.len())?;
    }
    output.table(&HOLDS, document.holds.iter().map(HoldRow::cells))?;
    if plan.is_comparison {
        let cells = document.comparisons.iter().map(Comparison::cells);
        output.table(&COMPARISONS, cells)?;
    }
    Ok(document)
}

fn run_connects(
    args: &Args,
    brokers: &[Broker],
    interrupt: &Interrupt,
    output: &Output,
) -> anyhow::Result<Document> {
    let (mut load, rounds) = args.load_of_connects();
    load.interrupt = interrupt.clone();
    let count = args.idle as usize;
    let measured = measure_in_turns(brokers, rounds, interrupt, |broker, _| {
        connects::measure(&broker.endpoint, broker.process.as_ref(), count, &load)
    });
    let row =
        |(broker, rounds): (&Broker, &Vec<_>)| ConnectRow::of_connects(&broker.name, count, rounds);
    let mut document = Document::new(format!(
        "MQTT {}, connections opened from one thread, median of {rounds} (± half the range); idle memory is the growth of a freshly started broker in the first round",
        load.version
    ));
    document.connects = brokers.iter().zip(&measured).map(row).collect();
    output.text(&format!("{}.", document.method))?;
    output.connects(&document.connects, brokers.len())?;
    Ok(document)
}

/// The tables line by line as they grow; nothing if a JSON document comes at the end.
struct Output {
    is_json: bool,
}

impl Output {
    fn text(&self, text: &str) -> anyhow::Result<()> {
        if self.is_json { Ok(()) } else { print(text) }
    }

    /// A paragraph, if there is anything to say.
    fn lines(&self, lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        let lines: Vec<String> = lines.into_iter().collect();
        if lines.is_empty() {
            return Ok(());
        }
        self.text(&format!("\n{}", lines.join("\n")))
    }

    /// A table of its own, if it has rows.
    fn table(
        &self,
        columns: &Columns,
        rows: impl Iterator<Item = Vec<String>>,
    ) -> anyhow::Result<()> {
        let rows: Vec<String> = rows.map(|cells| columns.line(&cells)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.lines([columns.header()].into_iter().chain(rows))
    }

    /// `rows` has those of all brokers together, the first broker's first.
    fn connects(&self, rows: &[ConnectRow], brokers: usize) -> anyhow::Result<()> {
        let compared = rows.chunks(brokers);
        let cells = compared.flat_map(|rows| rows.iter().map(|row| row.cells(&rows[0])));
        self.table(&CONNECTS, cells)
    }
}
