//! The wigwag binary: subcommands, output and exit codes. What they do is in the libraries.

mod alert;
mod broker;
mod called;
mod dashboard;
mod described;
mod descriptors;
mod devices;
mod exporter;
mod health;
mod history;
mod links;
mod listen;
mod logging;
mod output;
mod page;
mod relay;
mod shown;
mod shutdown;
mod top;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use wigwag_tools::entry::Entry;
use wigwag_tools::options::command_line::Program;

use crate::called::Called;

/// A complete MQTT stack in one binary.
#[derive(Debug, Parser)]
#[command(name = "wigwag", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Log more: -v for debug, -vv for everything (RUST_LOG overrides)
    #[arg(short, long, action = clap::ArgAction::Count, global = true, display_order = 100)]
    verbose: u8,

    /// Log warnings and errors only
    #[arg(short, long, global = true, display_order = 101)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything: broker, simulated devices and the web UI
    Up(up::Args),
    /// Run the broker
    #[command(
        version,
        after_help = "With -c, -p, -d, --test-config or --tls-keylog it runs as Mosquitto does: -v logs everything \
                      then, and -q nothing, whatever the file says."
    )]
    Broker(broker::Args),
    /// Run a simulated device against any broker
    Device(wigwag_devices::device::Args),
    /// Run fleets of simulated devices against any broker
    Simulate(wigwag_devices::fleet::Args),
    /// Serve the web UI for any broker, or several
    Dashboard(dashboard::Args),
    /// Measure the speed of brokers
    Bench(wigwag_bench::Args),
    /// Ask a running broker whether it is well: for container health checks
    Health(health::Args),
    /// Show what brokers tell of themselves as metrics for Prometheus
    Exporter(wigwag_watch::exporter::Args),
    /// Send a message to a broker and wait for it: for health checks from outside
    Probe(wigwag_watch::exporter::ProbeArgs),
    /// Watch any broker by rules, and tell Slack, webhooks or a topic when one of them holds
    Alert(wigwag_watch::alert::Args),
    /// Watch what goes on in any broker, in the terminal
    Top(wigwag_watch::top::Args),
    /// Put this program into a folder under the names of Mosquitto's tools
    InstallLinks(links::Args),
    /// Print the completions of a shell
    Completions(described::CompletionsArgs),
    /// Print the man page, or write one for each subcommand into a folder
    Man(described::ManArgs),
}

/// The same program under the name of Mosquitto's broker.
#[derive(Debug, Parser)]
#[command(
    name = "mosquitto",
    version,
    about = "An MQTT broker, started as Mosquitto is"
)]
struct Mosquitto {
    #[command(flatten)]
    args: broker::MosquittoArgs,

    /// Log everything, whatever the configuration file says
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Log nothing, whatever the configuration file and -v say
    #[arg(short, long)]
    quiet: bool,
}

fn main() -> ExitCode {
    descriptors::raise_limit();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let result = match called::as_what(&arguments) {
        Called::Tool(entry, program, arguments) => return entry.run(program, arguments),
        Called::HelpOn(entry) => {
            // Whoever closes the output early does not want to read it.
            let _ = entry.command(Program::Wigwag).print_help();
            return ExitCode::SUCCESS;
        }
        Called::Misplaced(entry) => return refuse(&misplaced(entry), USAGE),
        Called::Broker => match Mosquitto::try_parse_from(&arguments) {
            Ok(cli) => Ok(broker::run_as_mosquitto(&cli.args, cli.verbose, cli.quiet)),
            Err(error) => return refuse(&error, broker::WRONG_CONFIGURATION),
        },
        Called::Ours => match parse(&arguments) {
            Ok(cli) => run(cli),
            Err(error) => return refuse(&error, code_of_refusal(&arguments)),
        },
    };
    result.unwrap_or_else(|error| {
        // Whoever has closed the output has seen enough of it.
        if output::is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {}", output::with_causes(error.as_ref()));
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let has_log = match &cli.command {
        // A configured broker has a log of its own.
        Command::Broker(_) => false,
        // What it has to say is its output.
        Command::Probe(_) => cli.verbose > 0,
        // Lines of a log would be written over the picture.
        Command::Top(args) => cli.verbose > 0 && !args.takes_terminal(),
        _ => true,
    };
    let _lines = has_log.then(|| match &cli.command {
        Command::Simulate(_) => logging::init_for_crowd(cli.verbose),
        _ => logging::init(cli.verbose, cli.quiet),
    });
    match cli.command {
        Command::Up(args) => up::run(&args),
        Command::Broker(args) => broker::run(&args, cli.verbose, cli.quiet),
        Command::Device(args) => devices::device(&args),
        Command::Simulate(args) => devices::simulate(&args),
        Command::Dashboard(args) => dashboard::run(&args),
        Command::Bench(args) => wigwag_bench::run(args),
        Command::Health(args) => health::run(&args),
        Command::Exporter(args) => exporter::run(&args),
        Command::Alert(args) => alert::run(&args),
        Command::Probe(args) => exporter::run_probe(&args),
        Command::Top(args) => top::run(&args),
        Command::InstallLinks(args) => links::run(&args),
        Command::Completions(args) => described::completions(&args, ours()),
        Command::Man(args) => described::man(&args, ours()),
    }
}

/// What clap parses.
fn ours() -> clap::Command {
    Cli::command()
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    // The tools read their command lines themselves; here they are for the help and for suggestions.
    let tools = Entry::ALL.map(|entry| clap::Command::new(entry.name()).about(entry.about()));
    let mut command = ours().subcommands(tools);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn misplaced(entry: Entry) -> clap::Error {
    let name = entry.name();
    let what = format!(
        "-v and -q stand behind '{name}', where they mean what they mean in {}",
        entry.mosquitto_name().unwrap_or("the tools of Mosquitto")
    );
    ours().error(ErrorKind::ArgumentConflict, what)
}

/// What the command line's parser has to say; help and the version are no errors.
fn refuse(error: &clap::Error, code: u8) -> ExitCode {
    // Whoever closes the output early does not want to read it.
    let _ = error.print();
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(code),
    }
}

/// The code of most programs for a wrong command line.
const USAGE: u8 = 2;

/// Scripts know Mosquitto's code for a wrong command line; the other subcommands have that of most programs.
fn code_of_refusal(arguments: &[OsString]) -> u8 {
    let is_broker = arguments
        .iter()
        .skip(1)
        .any(|argument| argument == "broker");
    if is_broker {
        broker::WRONG_CONFIGURATION
    } else {
        USAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_consistent() {
        ours().debug_assert();
        Mosquitto::command().debug_assert();
    }
}
