//! The pages of the tools, `docs/guide/tools/*.md`: every example in them is run, and says what the page shows.
//!
//! A block `console` has commands behind `$ `, more lines of the same command behind `> `, and beneath them
//! what they say on both streams. `…` stands for any text of a line, and as a line for any lines. A block with
//! `file=NAME` behind its language is written to that file; `text` is left alone. `WIGWAG_PAGE=top` plays
//! only the page `top.md`.
//!
//! Each page has a folder, in which its commands run one after the other by `sh -c`, and a broker of its own:
//! 1883 is its port for MQTT, 9001 for WebSockets, 9883 for its HTTP API and metrics. The other ports of
//! [`is_mapped`] are free for what the page starts. `$?` is the exit code of the command before.
//!
//! A command with ` &` at its end goes on until the page ends. It is ready when it has said what is shown
//! beneath it, or, if that is nothing, when the broker has acknowledged a subscription. What it says later is
//! shown beneath the commands that cause it. `%1` in a `kill` is the first of them, whose end is awaited.

mod page;
mod shown;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configured::Configured;
use crate::http;
use crate::process::{BOUND, Process};
use page::Step;

#[test]
fn every_example_of_the_tools_pages_does_what_the_page_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/tools");
    let only = std::env::var("WIGWAG_PAGE").ok();
    let mut pages: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
        .filter(|file| {
            only.is_none() || only.as_deref() == file.file_stem().and_then(|name| name.to_str())
        })
        .collect();
    pages.sort();
    assert!(!pages.is_empty(), "no page in {}", folder.display());
    let faults: Vec<String> = pages
        .iter()
        .filter_map(|file| {
            let name = file.file_name().unwrap().display().to_string();
            let fault = play(&fs::read_to_string(file).unwrap()).err()?;
            Some(format!("docs/guide/tools/{name}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// Plays a page to its end, or to the first example that is not true.
fn play(page: &str) -> Result<(), String> {
    let steps = page::read(page)?;
    let mut player = Player::new();
    for step in steps {
        match step {
            Step::File { name, text } => {
                let file = player.folder.path().join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, player.ports.real(&text)).unwrap();
            }
            Step::Command(command) if command.is_background => player.begin(&command)?,
            Step::Command(command) => player.run(&command)?,
        }
    }
    Ok(())
}

/// Of a page: what it is about, and what it has begun.
struct Player {
    folder: TempDir,
    ports: Ports,
    broker: Configured,
    /// Has `wigwag`, and comes first in `PATH`.
    programs: TempDir,
    jobs: Vec<Job>,
    /// The exit code of the last command in the foreground.
    code: i32,
}

/// A command in the background.
struct Job {
    text: String,
    process: Process,
    /// Lines of it that the page has shown.
    read: usize,
}

impl Drop for Job {
    fn drop(&mut self) {
        signal(&self.process, "KILL");
    }
}

impl Player {
    fn new() -> Self {
        let programs = TempDir::new().unwrap();
        symlink(env!("CARGO_BIN_EXE_wigwag"), programs.path().join("wigwag")).unwrap();
        let mut ports = Ports::default();
        let text = ports.real(
            "allow_anonymous true\nsys_interval 1\nlistener 1883 localhost\n\
             listener 9001 localhost\nprotocol websockets\nlistener 9883 localhost\nprotocol http_api\n",
        );
        Self {
            folder: TempDir::new().unwrap(),
            ports,
            broker: Configured::start(Kind::Wigwag, TempDir::new().unwrap(), &text),
            programs,
            jobs: Vec::new(),
            code: 0,
        }
    }

    /// Starts a command in the background and waits until it is ready.
    fn begin(&mut self, command: &page::Command) -> Result<(), String> {
        let before = self.subscribe_acknowledgements();
        let process = self.start(&command.text);
        self.jobs.push(Job {
            process,
            text: command.text.clone(),
            read: 0,
        });
        let deadline = Instant::now() + BOUND;
        loop {
            let has_ended = self
                .jobs
                .last()
                .is_some_and(|job| job.process.has_said_all());
            let is_ready = if command.shown.is_empty() {
                has_ended || self.subscribe_acknowledgements() > before
            } else {
                self.is_shown(command, Vec::new())
            };
            if is_ready {
                return Ok(());
            }
            if has_ended || Instant::now() > deadline {
                return Err(self.fault(command, "is not ready", &[]));
            }
            pause();
        }
    }

    /// Runs a command in the foreground, to its end and until what the page shows was said.
    fn run(&mut self, command: &page::Command) -> Result<(), String> {
        let mut process = self.start(&command.text);
        let deadline = Instant::now() + BOUND;
        while !process.has_said_all() {
            if Instant::now() > deadline {
                let said = self.lines_of(&process);
                signal(&process, "KILL");
                return Err(self.fault(command, "does not end", &said));
            }
            pause();
        }
        let said = self.lines_of(&process);
        self.code = process.await_exit().code().unwrap_or(-1);
        self.await_killed(command, &said)?;
        while !self.is_shown(command, said.clone()) {
            // Only who is still there can add what is missing.
            let is_over = self.jobs.iter().all(|job| job.process.has_said_all());
            if is_over || Instant::now() > deadline {
                return Err(self.fault(command, "says something else", &said));
            }
            pause();
        }
        Ok(())
    }

    /// After a `kill` of a command in the background: until it has ended.
    fn await_killed(&self, command: &page::Command, said: &[String]) -> Result<(), String> {
        if !command.text.starts_with("kill ") {
            return Ok(());
        }
        let deadline = Instant::now() + BOUND;
        for (number, job) in (1..).zip(&self.jobs) {
            if !command.text.contains(&format!("%{number}")) {
                continue;
            }
            while !job.process.has_said_all() {
                if Instant::now() > deadline {
                    return Err(self.fault(command, "does not end it", said));
                }
                pause();
            }
        }
        Ok(())
    }

    fn start(&mut self, text: &str) -> Process {
        let mut text = self.ports.real(text);
        if text.starts_with("kill ") {
            // A shell gives each job a process group, and takes a negative number for an option.
            text = text.replacen('%', "-- %", 1);
            for (number, job) in (1..).zip(&self.jobs) {
                text = text.replace(&format!("%{number}"), &format!("-{}", job.process.id()));
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("exec 2>&1\n(exit {})\n{text}", self.code))
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.programs.path().display()))
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("TERM", "dumb")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("RUST_LOG")
            .process_group(0);
        let mut process = Process::start(&mut shell);
        process.feed("");
        process
    }

    /// Whether the page shows what was said; then what it shows of the background is read.
    fn is_shown(&mut self, command: &page::Command, foreground: Vec<String>) -> bool {
        let mut said = vec![foreground];
        for job in &self.jobs {
            said.push(self.lines_of(&job.process).split_off(job.read));
        }
        let Some(read) = shown::read_as(&command.shown, &said) else {
            return false;
        };
        for (job, read) in self.jobs.iter_mut().zip(&read[1..]) {
            job.read += read;
        }
        true
    }

    fn lines_of(&self, process: &Process) -> Vec<String> {
        let said = process.said();
        said.lines().map(|line| self.ports.shown(line)).collect()
    }

    /// SUBACK packets that the page's broker has sent.
    fn subscribe_acknowledgements(&self) -> u64 {
        let port = self.ports.of(9883);
        let answer = http::get(port, "/metrics").unwrap();
        let name = "wigwag_packets_total{direction=\"sent\",type=\"suback\"} ";
        let count = answer.lines().find_map(|line| line.strip_prefix(name));
        count
            .unwrap_or_else(|| panic!("{name}is missing: {answer}"))
            .parse()
            .unwrap()
    }

    fn fault(&self, command: &page::Command, what: &str, said: &[String]) -> String {
        let mut out = format!("line {}: `{}` {what}\n", command.line, command.text);
        let mut section = |title: &str, lines: &[String]| {
            _ = writeln!(out, "  {title}");
            for line in lines {
                _ = writeln!(out, "    {line}");
            }
        };
        section("The page shows:", &command.shown);
        if !command.is_background {
            section(&format!("It says (exit code {}):", self.code), said);
        }
        for (number, job) in (1..).zip(&self.jobs) {
            let title = format!("%{number}, `{}`, says besides:", job.text);
            section(&title, &self.lines_of(&job.process)[job.read..]);
        }
        if self.broker.process.has_said_all() {
            section(
                "The page's broker has ended:",
                &[self.broker.process.said()],
            );
        }
        out
    }
}

/// Ports of the page, and the free ones that stand for them here.
#[derive(Default)]
struct Ports(Vec<(u16, u16)>);

/// Whether a number on a page is a port that a free one stands for.
fn is_mapped(number: u16) -> bool {
    matches!(
        number,
        1880..=1889 | 3000 | 8080..=8083 | 8883..=8889 | 9001 | 9090 | 9093 | 9230..=9239 | 9883
    )
}

impl Ports {
    /// The text with free ports.
    fn real(&mut self, text: &str) -> String {
        with_numbers(text, |number| {
            let known = self.0.iter().find(|(port, _)| *port == number);
            match known {
                Some(&(_, free)) => Some(free),
                None if is_mapped(number) => {
                    let free = free_port();
                    self.0.push((number, free));
                    Some(free)
                }
                None => None,
            }
        })
    }

    /// The text with the ports of the page.
    fn shown(&self, text: &str) -> String {
        with_numbers(text, |number| {
            let known = self.0.iter().find(|(_, free)| *free == number);
            known.map(|&(port, _)| port)
        })
    }

    fn of(&self, port: u16) -> u16 {
        let known = self.0.iter().find(|(shown, _)| *shown == port);
        known
            .unwrap_or_else(|| panic!("the page has no port {port}"))
            .1
    }
}

/// The text with those of its numbers exchanged for which there is another. A number is a word of digits.
fn with_numbers(text: &str, mut other: impl FnMut(u16) -> Option<u16>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_alphanumeric()) {
        let (before, word) = rest.split_at(begin);
        let end = word.find(|c: char| !c.is_alphanumeric());
        let (word, after) = word.split_at(end.unwrap_or(word.len()));
        out.push_str(before);
        match word.parse().ok().and_then(&mut other) {
            Some(number) => _ = write!(out, "{number}"),
            None => out.push_str(word),
        }
        rest = after;
    }
    out + rest
}

/// To the process and all that it has started.
fn signal(process: &Process, name: &str) {
    let group = format!("-{}", process.id());
    // It may have ended already; then there is nothing to end.
    _ = Command::new("kill")
        .args(["-s", name, "--", &group])
        .output();
}

/// Between two looks at several processes, none of which can be waited for alone.
fn pause() {
    thread::sleep(Duration::from_millis(5));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_ones_for_the_commands_and_those_of_the_page_for_its_reader() {
        let mut ports = Ports::default();
        let real = ports.real("-p 1883 -h localhost:1884, 18830 a1883 2026");
        let (first, second) = (ports.of(1883), ports.of(1884));
        assert_eq!(
            real,
            format!("-p {first} -h localhost:{second}, 18830 a1883 2026")
        );
        assert_eq!(ports.real("1883"), first.to_string());
        assert_eq!(ports.shown(&format!("on port {first}.")), "on port 1883.");
    }

    #[test]
    fn a_page_is_played_in_its_order() {
        let page = "```text file=greeting\nhello on 1883\n```\n\
            ```console\n$ cat greeting\nhello on 1883\n$ ls; exit 3\ngreeting\n$ echo $?\n3\n\
            $ wigwag --version\nwigwag …\n\
            $ cat <<END >&2\n> several\n> END\nseveral\n```\n";
        play(page).unwrap();
    }

    #[test]
    fn what_the_background_hears_is_shown_beneath_what_causes_it() {
        let page = "```console\n$ stdbuf -oL mosquitto_sub -h localhost -p 1883 -t a/+ -v &\n\
            $ mosquitto_pub -h localhost -p 1883 -t a/b -m first\na/b first\n\
            $ mosquitto_pub -h localhost -p 1883 -t a/b -m second\n\
            $ echo done\ndone\na/b second\n\
            $ (trap 'echo ended; exit' TERM; echo up; while :; do :; done) &\nup\n\
            $ kill %2\nended\n```\n";
        play(page).unwrap();
    }

    #[test]
    fn an_example_that_is_not_true_is_told_with_its_line_and_what_was_said() {
        for (page, expect) in [
            (
                "\n```console\n$ echo a; exit 2\nb\n```\n",
                "line 3: `echo a; exit 2` says something else\n  The page shows:\n    b\n  It says (exit code 2):\n    a\n",
            ),
            (
                "```console\n$ echo a\n$ true\nmore\n```\n",
                "line 2: `echo a` says something else",
            ),
            (
                "```console\n$ echo a &\nb\n```\n",
                "line 2: `echo a` is not ready\n  The page shows:\n    b\n  %1, `echo a`, says besides:\n    a\n",
            ),
        ] {
            let fault = play(page).unwrap_err();
            assert!(fault.starts_with(expect), "{fault}");
        }
    }
}
