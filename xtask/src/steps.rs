//! The test run: which steps there are, their order, and the table at the end.
//!
//! A step is a name and a few commands; a failed one does not stop the others, except
//! those that need it, so that one run tells everything there is to fix.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::process::{ask, run, run_counted};
use crate::tally::Tally;
use crate::{Workspace, published, setup, tidy};

#[derive(clap::Args, Default)]
pub(crate) struct Selection {
    /// Run only this step (may be repeated)
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leave this step out (may be repeated)
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// List the steps and stop
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    what: &'static str,
    /// Steps without which this one says nothing.
    needs: &'static [&'static str],
    run: fn(&Workspace, &mut Tally) -> anyhow::Result<()>,
}

/// What no binary of ours asks for and is tested all the same.
const FEATURES: &str = "wigwag-client/blocking,wigwag-client/scram,wigwag-client/store-fjall,wigwag-client/stream,wigwag-store/fjall";

/// In the order of running. The web UI comes before anything that compiles Rust, because the
/// build script of `wigwag-ui` embeds what `web-build` makes.
const STEPS: &[Step] = &[
    Step {
        name: "setup",
        what: "install what the tests need",
        needs: &[],
        run: |workspace, _| setup::run_all(workspace),
    },
    Step {
        name: "fmt",
        what: "Rust sources are formatted",
        needs: &[],
        run: |_, _| cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "tidy",
        what: "crate arrows, purity, manifests, file habits",
        needs: &[],
        run: check_tidy,
    },
    Step {
        name: "deny",
        what: "licences, bans, sources and advisories of dependencies",
        needs: &["setup"],
        run: check_dependencies,
    },
    Step {
        name: "web-install",
        what: "node modules of the web UI",
        needs: &[],
        run: |workspace, _| setup::web_modules(workspace),
    },
    Step {
        name: "web-lint",
        what: "format and lint of the web UI",
        needs: &["web-install"],
        run: |workspace, _| {
            npm(workspace, "format:check")?;
            npm(workspace, "lint")
        },
    },
    Step {
        name: "web-types",
        what: "type check of the web UI",
        needs: &["web-install"],
        run: |workspace, _| npm(workspace, "typecheck"),
    },
    Step {
        name: "web-test",
        what: "unit tests of the web UI",
        needs: &["web-install"],
        run: |workspace, tally| run_counted(&mut npm_script(workspace, "test"), tally),
    },
    Step {
        name: "web-build",
        what: "production build of the web UI",
        needs: &["web-install"],
        run: |workspace, _| npm(workspace, "build"),
    },
    Step {
        name: "clippy",
        what: "lints on every target, warnings are errors",
        needs: &[],
        run: |_, _| {
            cargo(&[
                "clippy",
                "--locked",
                "--workspace",
                "--features",
                FEATURES,
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        },
    },
    Step {
        name: "rustdoc",
        what: "documentation builds, warnings are errors",
        needs: &[],
        run: |_, _| {
            run(cargo_command(&[
                "doc",
                "--locked",
                "--workspace",
                "--features",
                FEATURES,
                "--no-deps",
            ])
            .env("RUSTDOCFLAGS", "-D warnings"))
        },
    },
    Step {
        name: "unit",
        what: "tests inside the crates",
        needs: &[],
        run: |_, tally| cargo_test(&["--lib", "--bins"], tally),
    },
    Step {
        name: "doctest",
        what: "examples in the documentation",
        needs: &[],
        run: |_, tally| cargo_test(&["--doc"], tally),
    },
    Step {
        name: "integration",
        what: "real sockets, and interop with Mosquitto, paho-mqtt and mqtt.js",
        needs: &["setup"],
        run: |_, tally| cargo_test(&["--test", "it"], tally),
    },
    Step {
        name: "features",
        what: "each feature of the published crates alone, and all together",
        needs: &[],
        run: published::features,
    },
    Step {
        name: "package",
        what: "the published crates build from their packages",
        needs: &[],
        run: published::package,
    },
    Step {
        name: "oldest-rust",
        what: "the published crates with the oldest compiler they promise",
        needs: &["setup"],
        run: published::oldest_compiler,
    },
    Step {
        name: "build",
        what: "release build of the wigwag binary",
        needs: &[],
        run: |_, _| cargo(&["build", "--locked", "--release", "--package", "wigwag"]),
    },
    Step {
        name: "e2e",
        what: "browser test against our broker",
        needs: &["setup", "web-install", "build"],
        run: |workspace, tally| browser(workspace, "wigwag", tally),
    },
    Step {
        name: "e2e-mosquitto",
        what: "browser test against Mosquitto",
        needs: &["setup", "web-install", "build"],
        run: |workspace, tally| browser(workspace, "mosquitto", tally),
    },
];

/// Runs the selected steps; true when all passed.
pub(crate) fn run_selected(workspace: &Workspace, selection: &Selection) -> anyhow::Result<bool> {
    let steps = select(selection)?;
    if selection.list {
        for step in steps {
            println!("{:<14} {}", step.name, step.what);
        }
        return Ok(true);
    }
    let mut results: Vec<StepResult> = Vec::new();
    for step in steps {
        results.push(run_step(workspace, step, &results));
    }
    print!("{}", table(&results));
    Ok(results.iter().all(|result| result.error.is_none()))
}

fn select(selection: &Selection) -> anyhow::Result<Vec<&'static Step>> {
    for name in selection.only.iter().chain(&selection.skip) {
        if !STEPS.iter().any(|step| step.name == name) {
            let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            bail!(
                "no step is called `{name}`; the steps are: {}",
                names.join(", ")
            );
        }
    }
    let selected = |step: &&Step| {
        let is = |name: &String| name == step.name;
        (selection.only.is_empty() || selection.only.iter().any(is))
            && !selection.skip.iter().any(is)
    };
    Ok(STEPS.iter().filter(selected).collect())
}

struct StepResult {
    name: &'static str,
    tally: Tally,
    took: Duration,
    /// Why it failed or was not run.
    error: Option<String>,
}

fn run_step(workspace: &Workspace, step: &'static Step, earlier: &[StepResult]) -> StepResult {
    println!("\n==== {}: {}", step.name, step.what);
    let start = Instant::now();
    let mut tally = Tally::default();
    let failed_need = earlier
        .iter()
        .find(|result| result.error.is_some() && step.needs.contains(&result.name));
    let outcome = match failed_need {
        Some(need) => Err(anyhow::anyhow!("not run, because {} failed", need.name)),
        None => (step.run)(workspace, &mut tally),
    };
    let took = start.elapsed();
    let error = outcome.err().map(|error| format!("{error:#}"));
    match &error {
        None => println!("---- {}: ok in {:.1} s", step.name, took.as_secs_f64()),
        Some(error) => println!(
            "---- {}: FAILED in {:.1} s: {error}",
            step.name,
            took.as_secs_f64()
        ),
    }
    // A step that runs no tests is itself one check; a runner that failed before it
    // could count is a failure too.
    match &error {
        None if tally.total() == 0 => tally.passed = 1,
        Some(_) if tally.failed == 0 => tally.failed = 1,
        _ => {}
    }
    StepResult {
        name: step.name,
        tally,
        took,
        error,
    }
}

fn table(results: &[StepResult]) -> String {
    let mut out = format!(
        "\n{:<14} {:>8} {:>8} {:>8}\n",
        "step", "passed", "failed", "seconds"
    );
    let mut sum = Tally::default();
    let mut took = Duration::ZERO;
    for result in results {
        sum.passed += result.tally.passed;
        sum.failed += result.tally.failed;
        took += result.took;
        _ = write!(
            out,
            "{:<14} {:>8} {:>8} {:>8.1}",
            result.name,
            result.tally.passed,
            result.tally.failed,
            result.took.as_secs_f64()
        );
        if let Some(error) = &result.error {
            _ = write!(out, "  {error}");
        }
        out.push('\n');
    }
    _ = writeln!(
        out,
        "{:<14} {:>8} {:>8} {:>8.1}\n\n{} passed, {} failed",
        "all",
        sum.passed,
        sum.failed,
        took.as_secs_f64(),
        sum.passed,
        sum.failed
    );
    out
}

fn cargo_command(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args);
    command
}

/// Runs the tests of these targets. All selections take the same packages and features, so that the
/// dependencies are built once.
fn cargo_test(targets: &[&str], tally: &mut Tally) -> anyhow::Result<()> {
    let mut command = cargo_command(&["test", "--locked", "--workspace", "--features", FEATURES]);
    run_counted(command.args(targets).arg("--no-fail-fast"), tally)
}

fn cargo(args: &[&str]) -> anyhow::Result<()> {
    run(&mut cargo_command(args))
}

fn npm_script(workspace: &Workspace, script: &str) -> Command {
    let mut command = Command::new("npm");
    command.args(["run", script]).current_dir(workspace.web());
    command
}

fn npm(workspace: &Workspace, script: &str) -> anyhow::Result<()> {
    run(&mut npm_script(workspace, script))
}

fn check_tidy(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    let report = tidy::run(workspace)?;
    print!("{report}");
    tally.failed = report.findings.len();
    tally.passed = report.rules_kept();
    if tally.failed > 0 {
        bail!("{} findings", tally.failed);
    }
    Ok(())
}

fn check_dependencies(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    let program = setup::cargo_deny_program(workspace)
        .context("cargo-deny is missing: run `cargo xtask setup`")?;
    let deny = |checks: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(["--workspace", "check", "--hide-inclusion-graph"])
            .args(checks)
            .current_dir(&workspace.root)
            // The advisories come over git: give up on a network that is not there.
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
            .env("GIT_HTTP_LOW_SPEED_TIME", "20");
        command
    };
    run(&mut deny(&["licenses", "bans", "sources"]))?;
    tally.passed += 3;

    let said = ask(&mut deny(&["advisories"])).context("cargo-deny cannot be started")?;
    if said.ok {
        println!("advisories ok");
        tally.passed += 1;
    } else if cannot_fetch_advisories(&said.text) {
        println!("advisories NOT checked: the database could not be fetched from here:");
        println!("{}", said.text.trim());
    } else {
        println!("{}", said.text.trim());
        bail!("a dependency has an advisory against it");
    }
    Ok(())
}

fn cannot_fetch_advisories(text: &str) -> bool {
    text.contains("failed to fetch advisory database")
}

fn browser(workspace: &Workspace, broker: &str, tally: &mut Tally) -> anyhow::Result<()> {
    let binary = workspace
        .target
        .join("release/wigwag")
        .with_extension(std::env::consts::EXE_EXTENSION);
    let out = workspace.target.join("e2e").join(broker);
    let python = setup::python_program(workspace);
    let mut command = npm_script(workspace, "e2e");
    for (name, value) in [
        ("WIGWAG_BIN", binary.as_os_str()),
        ("E2E_PYTHON", python.as_os_str()),
        ("E2E_OUT", out.as_os_str()),
        ("E2E_BROKER", OsStr::new(broker)),
    ] {
        command.env(name, value);
    }
    run_counted(&mut command, tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], skip: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let selection = Selection {
            only: owned(only),
            skip: owned(skip),
            list: false,
        };
        Ok(select(&selection)?.iter().map(|step| step.name).collect())
    }

    #[test]
    fn only_and_skip_select_steps() {
        assert_eq!(
            names(&["tidy", "fmt"], &[]).expect("they exist"),
            ["fmt", "tidy"]
        );
        assert_eq!(
            names(&["tidy", "fmt"], &["fmt"]).expect("they exist"),
            ["tidy"]
        );
        assert_eq!(names(&[], &[]).expect("all").len(), STEPS.len());
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_names_of_all() {
        let error = names(&["lint"], &[])
            .expect_err("there is no such step")
            .to_string();
        assert!(
            error.contains("`lint`") && error.contains("clippy"),
            "{error}"
        );
    }

    #[test]
    fn every_need_is_an_earlier_step() {
        for (index, step) in STEPS.iter().enumerate() {
            for need in step.needs {
                let earlier = STEPS[..index].iter().any(|other| other.name == *need);
                assert!(earlier, "{} needs {need}", step.name);
            }
        }
    }

    #[test]
    fn the_last_line_sums_tests_and_checks() {
        let result = |name, passed, failed, error: Option<&str>| StepResult {
            name,
            tally: Tally { passed, failed },
            took: Duration::from_millis(1500),
            error: error.map(str::to_owned),
        };
        let table = table(&[
            result("fmt", 1, 0, None),
            result("unit", 40, 2, Some("two tests")),
        ]);
        assert_eq!(table.lines().last(), Some("41 passed, 2 failed"));
        assert!(table.contains("two tests"), "{table}");
    }

    #[test]
    fn only_a_missing_database_excuses_advisories() {
        assert!(cannot_fetch_advisories(
            "[ERROR] failed to fetch advisory database https://…"
        ));
        assert!(!cannot_fetch_advisories(
            "error[vulnerability]: a crate is vulnerable"
        ));
    }
}
