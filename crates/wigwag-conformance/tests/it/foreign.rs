//! Foreign programs: where `cargo xtask setup` puts them, and how they are started. A missing one fails
//! the test and says so, because a skipped test proves nothing.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use wigwag_conformance::subject::Process;

/// How long a foreign client may take for what must come, the start of its interpreter included; a busy machine
/// needs less.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn paho() -> Process {
    let python = tools().join("venv/bin/python");
    require(&python);
    start(Command::new(python).arg("-B").arg(driver("paho_client.py")))
}

pub(crate) fn mqttjs() -> Process {
    let modules = tools().join("node");
    require(&modules.join("node_modules/mqtt"));
    start(
        Command::new("node")
            .arg(driver("mqttjs_client.mjs"))
            .arg(modules),
    )
}

fn start(program: &mut Command) -> Process {
    Process::start(program, PATIENCE).expect("the driver starts")
}

fn require(path: &std::path::Path) {
    let what = path.display();
    assert!(
        path.exists(),
        "{what} is missing: run `cargo xtask setup`, which installs what the tests need"
    );
}

fn driver(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/drivers")).join(name)
}

/// Beside cargo's folder for test files, in the same target folder.
fn tools() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../tools")
}
