//! Completions and man pages, made of the same description as the help.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, ValueHint};
use clap_complete::Shell;
use wigwag_tools::entry::Entry;
use wigwag_tools::options::command_line::Program;

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that is to complete
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Where a page for each subcommand is written; without it, the page of wigwag alone is printed
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs, ours: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut whole(ours), "wigwag", &mut script);
    io::Write::write_all(&mut io::stdout(), &script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a man page, or writes all of them.
pub(crate) fn man(args: &ManArgs, ours: Command) -> anyhow::Result<ExitCode> {
    let whole = whole(ours);
    match &args.folder {
        None => clap_mangen::Man::new(whole).render(&mut io::stdout())?,
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(whole, folder))
                .with_context(|| format!("cannot write to {}", folder.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All that can be typed: our subcommands as clap parses them, and the tools that read their command lines themselves.
///
/// What clap takes behind every subcommand is said of ours alone, because in the tools the same letters are others.
fn whole(ours: Command) -> Command {
    let mut whole = ours;
    let names: Vec<String> = whole
        .get_subcommands()
        .map(|own| own.get_name().to_owned())
        .collect();
    let globals: Vec<clap::Arg> = whole
        .get_arguments()
        .filter(|argument| argument.is_global_set())
        .map(|argument| argument.clone().global(false))
        .collect();
    for argument in &globals {
        whole = whole.mut_arg(argument.get_id(), |argument| argument.global(false));
    }
    for name in names {
        whole = whole.mut_subcommand(name, |own| own.args(globals.clone()));
    }
    let tools = Entry::ALL.map(|entry| entry.command(Program::Wigwag).name(entry.name()));
    whole.subcommands(tools)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_typed_is_described() {
        let whole = || whole(crate::ours());
        whole().debug_assert();
        let folder = tempfile::tempdir().expect("a folder for the test");
        clap_mangen::generate_to(whole(), folder.path()).expect("writable");
        for page in [
            "wigwag.1",
            "wigwag-broker.1",
            "wigwag-passwd.1",
            "wigwag-ctrl.1",
        ] {
            assert!(folder.path().join(page).is_file(), "{page}");
        }
        let page = std::fs::read_to_string(folder.path().join("wigwag-ctrl.1"));
        assert!(page.expect("text").contains("setDefaultACLAccess"));
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut whole(), "wigwag", &mut script);
        let script = String::from_utf8(script).expect("text");
        for word in ["--tls-use-os-certs", "install-links", "passwd"] {
            assert!(script.contains(word), "{word}");
        }
    }
}
