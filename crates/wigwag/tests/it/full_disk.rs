//! A recorder whose disk is full, in the real process: by a limit on the length of files, which is there everywhere,
//! and on a small file system of its own, where the test may have one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::broker::free_port;
use crate::http;
use crate::process::Process;
use crate::tools;
use crate::wire::{Connect, Wire, field, packet};

const PUBACK: u8 = 0x40;

/// A broker that records everything in `disk/history`.
struct Site {
    folder: TempDir,
    mqtt_port: u16,
    http_port: u16,
    process: Process,
}

impl Site {
    /// Starts it by a command that takes a command line.
    fn start(folder: TempDir, mut through: Command) -> Site {
        let (mqtt_port, http_port) = (free_port(), free_port());
        let file = folder.path().join("m.conf");
        let text = format!(
            "user root\nallow_anonymous true\nlistener {mqtt_port} 127.0.0.1\nlistener {http_port} 127.0.0.1\n\
             protocol http_api\nrecorder_location {}/history\nrecorder_topic #\n",
            disk(&folder).display()
        );
        fs::write(&file, text).unwrap();
        let broker = tools::wigwag();
        through.arg(broker.get_program());
        let process = Process::start(through.arg("broker").arg("-c").arg(&file).arg("-v"));
        process.await_line("that it runs", |line| line.ends_with(" running"));
        Site {
            folder,
            mqtt_port,
            http_port,
            process,
        }
    }

    fn publisher(&self) -> Publisher {
        let wire = Wire::connected(self.mqtt_port, &Connect::clean(4));
        Publisher { wire, next: 0 }
    }

    /// What is told of the topic `t`.
    fn history(&self) -> String {
        http::get(self.http_port, "/api/v1/history?topic=t").unwrap()
    }

    fn metric(&self, name: &str) -> f64 {
        let metrics = http::get(self.http_port, "/metrics").unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|rest| rest.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in:\n{metrics}"))
    }

    /// A line of the log that has this in it. The log is written by a thread of its own, behind what it tells of.
    fn await_line(&self, words: &str) -> String {
        let process = self.process.rewind();
        process.await_line(words, |line| line.contains(words))
    }

    /// Lines of the log that have this in them.
    fn lines_with(&self, words: &str) -> usize {
        let said = self.process.said();
        said.lines().filter(|line| line.contains(words)).count()
    }
}

fn disk(folder: &TempDir) -> PathBuf {
    folder.path().join("disk")
}

/// A client whose messages are acknowledged.
struct Publisher {
    wire: Wire,
    next: u16,
}

impl Publisher {
    fn publish(&mut self, payload: &str) {
        self.next = self.next % u16::MAX + 1;
        let body = [
            &field(b"t")[..],
            &self.next.to_be_bytes(),
            payload.as_bytes(),
        ]
        .concat();
        self.wire.send(&packet(0x32, &body));
        let (kind, id) = self.wire.receive().unwrap();
        assert_eq!((kind, id), (PUBACK, self.next.to_be_bytes().to_vec()));
    }

    /// Goes on until something has come of it.
    fn publish_until(&mut self, payload: &str, has_come: impl Fn() -> bool) {
        let until = std::time::Instant::now() + crate::process::BOUND;
        while !has_come() {
            assert!(std::time::Instant::now() < until, "it does not come");
            self.publish(payload);
        }
    }
}

/// What has to hold, however the disk becomes full and gets room again.
fn check(site: Site, fill: impl FnOnce(&Site), free: impl FnOnce(&Site)) -> TempDir {
    const LOST: &str = "wigwag_recorder_messages_lost_total{reason=\"disk\"} ";
    let mut publisher = site.publisher();
    publisher.publish_until("before", || site.history().contains("before"));
    fill(&site);
    // Each is acknowledged: the broker itself needs no disk.
    let long = format!("lost {}", "x".repeat(20_000));
    publisher.publish_until(&long, || site.metric(LOST) > 0.0);
    let why = site.await_line("cannot record messages in");
    assert!(why.contains("there is no room"), "{why}");
    assert_eq!(site.metric("wigwag_recorder_up "), 0.0);
    assert!(site.history().contains("before"));

    free(&site);
    // What is written can be read before that is told.
    publisher.publish_until("after", || {
        site.history().contains("after") && site.metric("wigwag_recorder_up ") == 1.0
    });
    site.await_line("Messages are recorded again");
    assert_eq!(site.lines_with("cannot record messages in"), 1);
    assert_eq!(site.lines_with("Messages are recorded again"), 1);
    assert!(site.history().contains("before"));

    let Site {
        folder,
        mut process,
        ..
    } = site;
    process.signal("TERM");
    assert!(process.await_exit().success(), "{}", process.said());
    folder
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}: {status}");
}

#[test]
fn a_limit_on_files_stops_the_recorder_and_nobody_else() {
    let folder = TempDir::new().unwrap();
    // Without that, the system ends a process that goes beyond the limit.
    let mut through = Command::new("env");
    through.arg("--ignore-signal=XFSZ");
    let limit = |site: &Site, bytes: &str| {
        let pid = site.process.id().to_string();
        run("prlimit", &["--pid", &pid, &format!("--fsize={bytes}:")]);
    };
    let site = Site::start(folder, through);
    let folder = check(
        site,
        |site| limit(site, "4096"),
        |site| limit(site, "unlimited"),
    );

    // What was written is there for the next process, too.
    let site = Site::start(folder, Command::new("env"));
    let mut publisher = site.publisher();
    publisher.publish_until("later", || site.history().contains("later"));
    let history = site.history();
    assert!(
        history.contains("before") && history.contains("after"),
        "{history}"
    );
    assert!(!disk(&site.folder).join("history.damaged").exists());
}

#[test]
fn a_full_file_system_stops_the_recorder_and_nobody_else() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(disk(&folder)).unwrap();
    let space = ["--user", "--map-root-user", "--mount"];
    let mount = "mount -t tmpfs -o size=24m tmpfs \"$0\"";
    let mut tried = Command::new("unshare");
    tried.args(space).args(["sh", "-c", mount]);
    let tried = tried.arg(disk(&folder)).output().unwrap();
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr);
        println!("not checked: this machine lets nobody mount a file system of his own: {why}");
        return;
    }
    let mut through = Command::new("unshare");
    let script = format!("{mount} && exec \"$@\"");
    through
        .args(space)
        .args(["sh", "-c", &script])
        .arg(disk(&folder));
    let site = Site::start(folder, through);
    // The file system is seen by that process alone.
    let ballast = |site: &Site| {
        let root = PathBuf::from(format!("/proc/{}/root", site.process.id()));
        let inside = disk(&site.folder);
        root.join(inside.strip_prefix("/").unwrap()).join("ballast")
    };
    let fill = |site: &Site| {
        let path: &Path = &ballast(site);
        // As much as there is room for.
        fs::write(path, vec![0xA5; 32 * 1024 * 1024]).unwrap_err();
    };
    check(site, fill, |site| fs::remove_file(ballast(site)).unwrap());
}
