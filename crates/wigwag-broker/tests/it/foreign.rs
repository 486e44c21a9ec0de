//! Mosquitto's broker and tools, as Debian has them: what our files and replies are compared with.
//!
//! `cargo xtask setup` installs them; a missing one fails the test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// A running Mosquitto.
pub(crate) struct Mosquitto {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Mosquitto {
    /// Starts it with these lines of configuration for its one listener.
    pub(crate) fn start(folder: &Path, options: &str) -> Mosquitto {
        loop {
            // It cannot choose a port, and somebody else may take ours first.
            if let Some(broker) = Mosquitto::try_start(folder, options, free_port()) {
                return broker;
            }
        }
    }

    fn try_start(folder: &Path, options: &str, port: u16) -> Option<Mosquitto> {
        let file = folder.join("mosquitto.conf");
        // As root it would become a user who may not write into the folder.
        let text = format!("user root\nlistener {port} 127.0.0.1\nlog_dest stderr\n{options}");
        fs::write(&file, text).expect("writable");
        let mut child = system("mosquitto")
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .expect("mosquitto starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let is_running = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.ends_with(" running"));
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let broker = Mosquitto {
            child,
            addr: (Ipv4Addr::LOCALHOST, port).into(),
        };
        is_running.then_some(broker)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // If it has ended already, there is nothing to kill.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Where Debian has Mosquitto's plugin for dynamic security.
pub(crate) fn dynsec_plugin() -> String {
    let arch = std::env::consts::ARCH;
    format!("/usr/lib/{arch}-linux-gnu/mosquitto_dynamic_security.so")
}

/// Runs a tool and returns what it printed.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = system(program)
        .args(args)
        .output()
        .expect("the tool starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {args:?}: {}\n{printed}{complaints}",
        output.status
    );
    printed
}

/// Runs `mosquitto_ctrl dynsec` as `admin`: what it printed, and its complaints without its advice.
pub(crate) fn dynsec(addr: SocketAddr, password: &str, args: &[&str]) -> (String, String) {
    let port = addr.port().to_string();
    let output = system("mosquitto_ctrl")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-u",
            "admin",
            "-P",
            password,
            "dynsec",
        ])
        .args(args)
        .output()
        .expect("the tool starts");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let of_this_command = complaints.lines().filter(|line| line.contains("Error"));
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        of_this_command.collect::<Vec<_>>().join("\n"),
    )
}

fn system(program: &str) -> Command {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers in sbin, which users often lack in their PATH.
    let found = std::env::split_paths(&folders)
        .chain(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    Command::new(found.unwrap_or_else(|| panic!("{program} is missing: run `cargo xtask setup`")))
}

/// A port that nobody listens on, outside the range of outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 100).expect("below 100") * 100;
    loop {
        let port = 20_000 + (offset + 50 + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
