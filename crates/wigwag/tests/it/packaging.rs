//! What is shipped beside the binary: the unit, the configurations, the image's recipe, and what the broker tells a
//! supervisor or a health check.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::tempdir;

use crate::broker::{Kind, free_port};
use crate::configured::{command, write};
use crate::process::{BOUND, Process};
use crate::tools;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped(name: &str) -> String {
    let file = root().join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What the broker, under either of its names, says of a configuration.
fn tested(program: &mut Command, file: &Path) -> String {
    let mut process = Process::start(program.arg("-c").arg(file).arg("--test-config"));
    let status = process.await_exit();
    let said = process.said();
    assert!(status.success(), "{status}: {said}");
    said
}

#[test]
fn every_shipped_configuration_is_fine_and_leaves_nothing_to_say() {
    let folder = tempdir().unwrap();
    let named_mosquitto = folder.path().join("mosquitto");
    symlink(env!("CARGO_BIN_EXE_wigwag"), &named_mosquitto).unwrap();
    for name in [
        "packaging/wigwag.conf",
        "deploy/image/mosquitto.conf",
        "deploy/image/mosquitto-no-auth.conf",
        "deploy/wigwag/mosquitto.conf",
    ] {
        // The folder of the system is not there before the package is installed.
        let text =
            shipped(name).replace("/etc/wigwag/conf.d", &folder.path().display().to_string());
        let file = folder.path().join("m.conf.txt");
        write(&file, &text);
        for mut program in [command(Kind::Wigwag), Command::new(&named_mosquitto)] {
            let said = tested(&mut program, &file);
            assert_eq!(said.lines().count(), 1, "{name}: {said}");
            assert!(
                said.ends_with("Configuration file is OK."),
                "{name}: {said}"
            );
        }
    }
}

#[test]
fn what_the_shipped_configuration_shows_is_fine_too() {
    let folder = tempdir().unwrap();
    // What is commented out without a blank after the sign is there to be used.
    let examples: String = shipped("packaging/wigwag.conf")
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if !option.is_empty() && !option.starts_with(' ') => option,
            _ => line,
        })
        .filter(|line| !line.starts_with("include_dir"))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(examples.contains("\npassword_file "), "{examples}");
    let file = folder.path().join("m.conf");
    write(&file, &examples);
    let said = tested(&mut command(Kind::Wigwag), &file);
    assert!(said.ends_with("Configuration file is OK."), "{said}");
}

#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    let folder = tempdir().unwrap();
    let unit = folder.path().join("wigwag.service");
    let text = shipped("packaging/systemd/wigwag.service");
    let here = text.replace("/usr/bin/wigwag", env!("CARGO_BIN_EXE_wigwag"));
    assert_ne!(text, here);
    write(&unit, &here);
    let mut process = Process::start(
        tools::system("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&unit),
    );
    let status = process.await_exit();
    assert!(status.success(), "{status}: {}", process.said());
    assert!(
        !process.said().contains("wigwag.service"),
        "{}",
        process.said()
    );
}

#[test]
fn every_file_that_the_image_takes_from_the_repository_is_there() {
    let recipe = shipped("deploy/Dockerfile");
    let commands = recipe.lines().filter(|line| !line.starts_with('#'));
    let taken: Vec<&str> = commands
        .flat_map(str::split_whitespace)
        .filter(|word| word.starts_with("deploy/"))
        .collect();
    assert_eq!(taken.len(), 2, "{taken:?}");
    for file in taken {
        assert!(root().join(file).exists(), "{file}");
    }
}

#[test]
fn compose_reads_its_file_and_finds_what_it_mounts() {
    let file = root().join("deploy/compose.yml").canonicalize().unwrap();
    let mut process = Process::start(
        tools::system("docker-compose")
            .arg("-f")
            .arg(&file)
            .arg("config"),
    );
    let status = process.await_exit();
    let said = process.said();
    assert!(status.success(), "{status}: {said}");
    let deploy = file.parent().unwrap();
    let mounted: Vec<&str> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .filter(|line| Path::new(line).starts_with(deploy))
        .filter_map(|line| line.split(':').next())
        .collect();
    assert!(mounted.len() >= 6, "{said}");
    for file in mounted {
        assert!(Path::new(file).exists(), "{file}");
    }
}

#[test]
fn every_file_of_the_debian_package_is_there() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let wigwag = packages.iter().find(|package| package["name"] == "wigwag");
    let assets = wigwag.unwrap()["metadata"]["deb"]["assets"]
        .as_array()
        .unwrap();
    let sources: Vec<&str> = assets
        .iter()
        .map(|asset| asset[0].as_str().unwrap())
        .collect();
    assert!(sources.contains(&"target/release/wigwag"), "{sources:?}");
    let pages = tempdir().unwrap();
    let made = Command::new(root().join("packaging/pages.sh"))
        .arg(env!("CARGO_BIN_EXE_wigwag"))
        .arg(pages.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    for source in sources
        .iter()
        .filter(|source| !source.starts_with("target/"))
    {
        let file = match source.strip_prefix("../../target/pages/") {
            Some(page) => pages.path().join(page.replace('*', "wigwag-ctrl")),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join(source),
        };
        assert!(file.is_file(), "{}", file.display());
    }
}

#[test]
fn the_debian_package_has_the_version_of_the_crate() {
    let first = shipped("packaging/debian/changelog");
    let begins = format!("wigwag ({}-", env!("CARGO_PKG_VERSION"));
    assert!(first.starts_with(&begins), "{first}");
}

#[test]
fn a_supervisor_is_told_of_a_start_a_reload_and_an_end() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    let told = || {
        let mut message = [0; 128];
        let len = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..len]).into_owned()
    };
    let file = folder.path().join("m.conf");
    write(
        &file,
        &format!("listener {} localhost\nuser root\n", free_port()),
    );
    let mut broker = command(Kind::Wigwag);
    let mut process = Process::start(broker.arg("-c").arg(&file).env("NOTIFY_SOCKET", &path));
    assert_eq!(told(), "READY=1");

    process.signal("HUP");
    let reloading = told();
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(
        time.is_some_and(|time| time.parse::<u64>().is_ok()),
        "{reloading}"
    );
    assert_eq!(told(), "READY=1");

    // A reload that fails is over as well: the broker goes on as before.
    write(&file, "what is this\n");
    process.signal("HUP");
    assert!(told().starts_with("RELOADING=1"));
    assert_eq!(told(), "READY=1");

    process.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert!(process.await_exit().success());
}

#[test]
fn a_health_check_needs_the_environment_alone() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("m.conf");
    write(
        &file,
        &format!("listener {} localhost\nuser root\n", free_port()),
    );
    let asked = format!("127.0.0.1:{}", free_port());
    let health = || {
        let mut check = tools::wigwag();
        let mut process =
            Process::start(check.arg("health").env("WIGWAG_METRICS_LISTENER", &asked));
        (process.await_exit().code(), process.said())
    };
    let mut broker = command(Kind::Wigwag);
    broker
        .arg("-c")
        .arg(&file)
        .env("WIGWAG_METRICS_LISTENER", &asked);
    let process = Process::start(&mut broker);
    process.await_line("that it runs", |line| line.ends_with(" running"));
    assert_eq!(health(), (Some(0), "ok".to_owned()));

    drop(process);
    let (code, said) = health();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("no answer from {asked}")), "{said}");
}

#[test]
fn an_environment_that_makes_no_sense_keeps_the_broker_from_starting() {
    let mut broker = command(Kind::Wigwag);
    broker
        .args(["-p", &free_port().to_string()])
        .env("WIGWAG_METRICS_LISTENER", "9234");
    let mut process = Process::start(&mut broker);
    assert_eq!(process.await_exit().code(), Some(3));
    let said = process.said();
    assert!(
        said.contains("'WIGWAG_METRICS_LISTENER' value (9234)"),
        "{said}"
    );
}
