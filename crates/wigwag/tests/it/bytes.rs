//! Short conversations, byte by byte, with our broker and with Debian's Mosquitto: what they answer must be the
//! same, or the conversation says why it is not.
//!
//! The conversations are in `tests/conversations/`, `script` reads them, `play` has them. For each that differs, both
//! answers stand in `differences.txt`, so that a difference that changes is seen too; `WIGWAG_UPDATE=1` writes it anew.
//! `WIGWAG_CONVERSATION` names a part of the name of those to play alone.

mod play;
mod script;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use tempfile::TempDir;

use crate::broker::{Kind, free_port};
use crate::configured::{self, Configured};
use crate::process::Process;
use script::{Conversation, Corpus};

/// What both brokers answered in one conversation, in one version of MQTT.
struct Played<'a> {
    conversation: &'a Conversation,
    title: String,
    ours: String,
    theirs: String,
}

#[test]
fn conversations_are_had_as_with_mosquitto() {
    let wanted = std::env::var("WIGWAG_CONVERSATION").unwrap_or_default();
    let (mut count, mut wrong, mut record) = (0, String::new(), BTreeMap::new());
    for file in files() {
        let mut corpus = Corpus::read(&file);
        let is_wanted = |conversation: &Conversation| conversation.name.contains(&wanted);
        corpus.conversations.retain(is_wanted);
        for played in had(&corpus) {
            count += 1;
            let answers = [&played.ours, &played.theirs];
            if answers
                .iter()
                .any(|answers| answers.contains(play::SILENCE))
            {
                let _ = writeln!(wrong, "{}", entry(&played, "somebody waits in vain"));
            }
            let because = &played.conversation.because;
            if played.ours == played.theirs {
                if because.contains_key(&played.conversation.version_of(&played.title)) {
                    let title = &played.title;
                    let _ = writeln!(wrong, "{title}: the difference that is explained is gone");
                }
                continue;
            }
            let Some(reason) = because.get(&played.conversation.version_of(&played.title)) else {
                let _ = writeln!(wrong, "{}", entry(&played, "?"));
                continue;
            };
            record.insert(played.title.clone(), entry(&played, reason));
        }
    }
    println!(
        "{count} conversations, {} differ with a reason",
        record.len()
    );
    assert!(wrong.is_empty(), "\n{wrong}");
    if wanted.is_empty() {
        compare(&record.into_values().collect::<Vec<_>>().join("\n"));
    }
}

/// Has the conversations of one file with both brokers.
fn had(corpus: &Corpus) -> Vec<Played<'_>> {
    if corpus.conversations.is_empty() {
        return Vec::new();
    }
    let all = |kind| {
        let (broker, port) = start(kind, corpus);
        let conversations = corpus.conversations.iter().enumerate();
        let answers: Vec<String> = conversations
            .flat_map(|(number, conversation)| {
                let versions = conversation.versions.iter();
                versions.map(move |&version| play::play(conversation, version, number, port))
            })
            .collect();
        drop(broker);
        answers
    };
    let (ours, theirs) = thread::scope(|scope| {
        let theirs = scope.spawn(|| all(Kind::Mosquitto));
        (all(Kind::Wigwag), theirs.join().unwrap())
    });
    let titles = corpus.conversations.iter().flat_map(|conversation| {
        let versions = conversation.versions.iter();
        versions.map(move |version| (conversation, conversation.title(*version)))
    });
    titles
        .zip(ours.into_iter().zip(theirs))
        .map(|((conversation, title), (ours, theirs))| Played {
            conversation,
            title,
            ours,
            theirs,
        })
        .collect()
}

/// Starts a broker with the file's configuration. Ours gets one core, so that what a client did is done for the
/// others too when it has its answer.
fn start(kind: Kind, corpus: &Corpus) -> (Configured, u16) {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    for (name, text) in &corpus.files {
        configured::write(&folder.path().join(name), text);
    }
    let mut text = String::new();
    for (only, line) in &corpus.configuration {
        if only.is_none_or(|only| only == kind) {
            let line = line.replace("DIR", folder.path().to_str().unwrap());
            let _ = writeln!(text, "{line}");
        }
    }
    let text = text.replace("LISTENER", &format!("listener {port} 127.0.0.1"));
    let file = folder.path().join("m.conf");
    configured::write(&file, &text);
    let mut command = Command::new("taskset");
    let broker = configured::command(kind);
    command.args(["-c", "0"]).arg(broker.get_program());
    command.args(broker.get_args()).arg("-c").arg(&file);
    let process = Process::start(&mut command);
    process.await_line("that it runs", |line| line.ends_with(" running"));
    (Configured { process, folder }, port)
}

fn entry(played: &Played<'_>, reason: &str) -> String {
    let Played {
        title,
        ours,
        theirs,
        ..
    } = played;
    let mut text = format!("=== {title}\nbecause {reason}\n");
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
    let (mut our, mut their) = (ours.iter().peekable(), theirs.iter().peekable());
    // Steps begin with a number, and both have them all.
    let is_step = |line: &&&str| !line.starts_with(' ');
    while let (Some(step), Some(_)) = (our.next_if(is_step), their.next_if(is_step)) {
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        while let Some(line) = our.next_if(|line| !is_step(line)) {
            said.push(*line);
        }
        while let Some(line) = their.next_if(|line| !is_step(line)) {
            heard.push(*line);
        }
        let _ = writeln!(text, "{step}");
        if said == heard {
            said.iter().for_each(|line| {
                let _ = writeln!(text, "        {}", line.trim_start());
            });
            continue;
        }
        for (who, lines) in [("ours  ", said), ("theirs", heard)] {
            for line in lines {
                let _ = writeln!(text, " {who} {}", line.trim_start());
            }
        }
    }
    text
}

/// Compares what was recorded of differences with what there is.
fn compare(text: &str) {
    let file = folder().join("differences.txt");
    if std::env::var_os("WIGWAG_UPDATE").is_some() {
        configured::write(&file, text);
        return;
    }
    let recorded = fs::read_to_string(&file).unwrap_or_default();
    let (old, new): (Vec<&str>, Vec<&str>) = (recorded.lines().collect(), text.lines().collect());
    if let Some(line) = (0..old.len().max(new.len())).find(|&line| old.get(line) != new.get(line)) {
        let from = line.saturating_sub(12);
        let part = |lines: &[&str]| {
            let lines = lines.iter().skip(from).take(20);
            lines.copied().collect::<Vec<_>>().join("\n")
        };
        panic!(
            "differences.txt is not up to date, line {}.\nrecorded:\n{}\n\nseen:\n{}",
            line + 1,
            part(&old),
            part(&new)
        );
    }
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conversations"))
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "mqtt")
        })
        .collect();
    files.sort_unstable();
    files
}
