//! `wigwag replay`: publishes a recording, message by message, when each is due.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::time::Duration;
use std::vec::IntoIter;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use wigwag_proto::{PropertiesBuf, Property, Qos, ReasonCode, TopicFilter, TopicName};

use crate::connect::failure::{code, refusal_advice, refusal_code, refusal_line};
use crate::connect::{Connection, Failure, Happening, Outgoing, report};
use crate::message::Received;
use crate::options::command_line::{CommandLine, Program, Source};
use crate::options::table::Tool;
use crate::{begin, files, lines, say};

use super::schedule::{Schedule, Speed};
use super::{Split, line, split};

/// What is asked for besides a connection.
struct Choice {
    speed: Speed,
    only: Vec<String>,
}

/// Runs `replay` with what stands behind its name.
pub fn run(arguments: &[OsString]) -> ExitCode {
    match prepare(arguments) {
        Ok((line, recording, choice)) => match begin::runtime() {
            Ok(runtime) => runtime.block_on(play(&line, recording, &choice)).into(),
            Err(code) => code,
        },
        Err(code) => code,
    }
}

fn prepare(arguments: &[OsString]) -> Result<(CommandLine, Recording, Choice), ExitCode> {
    let (file, options) = match split(arguments) {
        Split::Help => {
            say::out(&super::replay_command().render_help().to_string());
            return Err(ExitCode::SUCCESS);
        }
        Split::NoFile => {
            return Err(misused("replay needs the recording, before all options."));
        }
        Split::File(file, options) => (file, options),
    };
    let (choice, mut options) = take_own(options).map_err(|wrong| misused(&wrong))?;
    // A recording has the properties of MQTT 5.
    options.splice(..0, ["-V", "mqttv5"].map(OsString::from));
    let line = begin::read(Tool::Pub, Program::Wigwag, &options)?;
    check(&line).map_err(misused)?;
    let recording = Recording::open(file);
    let recording = recording.map_err(|error| {
        let (name, reason) = (file.display(), files::reason(&error));
        report(
            &line,
            &format!("Error: cannot read '{name}': {reason}"),
            None,
        );
        ExitCode::FAILURE
    })?;
    Ok((line, recording, choice))
}

/// What `pub` can do and a replay cannot is not passed over.
fn check(line: &CommandLine) -> Result<(), &'static str> {
    let own = &line.publish;
    let names_message = own.source != Source::None || own.retain || line.qos != Qos::AtMostOnce;
    let has_properties = !line.properties.publish.as_properties().is_empty();
    if !line.topics.is_empty() || names_message || has_properties {
        return Err(
            "topics, payloads, QoS, RETAIN and properties are those of the recording. --only chooses by topic.",
        );
    }
    if own.repeat != 1 || own.repeat_delay != Duration::ZERO {
        return Err("a recording is played once, at its own pace or at that of --speed.");
    }
    if line.print.json || line.reconnect {
        return Err("replay has neither --json nor --reconnect.");
    }
    Ok(())
}

fn misused(wrong: &str) -> ExitCode {
    say::error(&format!("Error: {wrong}"));
    say::error("\nUse 'wigwag replay --help' to see usage.");
    ExitCode::FAILURE
}

/// Takes the options that `pub` does not have out of the arguments.
fn take_own(arguments: &[OsString]) -> Result<(Choice, Vec<OsString>), String> {
    let mut choice = Choice {
        speed: Speed::Times(1.0),
        only: Vec::new(),
    };
    let mut others = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = |name: &str| {
            let value = arguments.next().and_then(|value| value.to_str());
            value.ok_or_else(|| format!("{name} needs a value."))
        };
        if argument == "--speed" {
            let text = value("--speed")?;
            let speed = text.parse();
            choice.speed = speed.map_err(|error| format!("Invalid speed '{text}': {error}."))?;
        } else if argument == "--only" {
            let text = value("--only")?;
            let filter = TopicFilter::new(text);
            filter.map_err(|error| format!("Invalid filter '{text}': {error}."))?;
            choice.only.push(text.to_owned());
        } else {
            others.push(argument.clone());
        }
    }
    Ok((choice, others))
}

/// A recording that is read line by line.
struct Recording {
    name: String,
    batches: mpsc::Receiver<lines::Batch>,
    lines: IntoIter<io::Result<Bytes>>,
    number: usize,
}

impl Recording {
    fn open(file: &OsStr) -> io::Result<Recording> {
        let batches = if file == "-" {
            lines::of(io::stdin())
        } else {
            lines::of(File::open(file)?)
        };
        Ok(Recording {
            name: file.display().to_string(),
            batches,
            lines: IntoIter::default(),
            number: 0,
        })
    }

    /// The next message; the error is a line for people. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Result<Received, String>> {
        loop {
            let Some(line) = self.lines.next() else {
                self.lines = self.batches.recv().await?.into_iter();
                continue;
            };
            self.number += 1;
            let read = match &line {
                Ok(line) if line.trim_ascii().is_empty() => continue,
                Ok(line) => line::read(line).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let at = |error| format!("Error: {}:{}: {error}", self.name, self.number);
            return Some(read.map_err(at));
        }
    }
}

/// Gives the exit code.
async fn play(line: &CommandLine, recording: Recording, choice: &Choice) -> u8 {
    let mut interrupts = match begin::interrupts() {
        Ok(interrupts) => interrupts,
        Err(code) => return code,
    };
    let mut player = Player {
        line,
        connection: Connection::new(line, None),
        recording,
        choice,
        code: 0,
    };
    let played = tokio::select! {
        played = player.play() => played,
        _ = interrupts.recv() => {
            player.code = code::INTERRUPTED;
            Ok(())
        }
    };
    match played {
        Ok(()) => {
            player.connection.disconnect(ReasonCode::Success).await;
            player.code
        }
        Err(failure) => {
            player.connection.close().await;
            report(line, &failure.to_string(), failure.advice());
            failure.code()
        }
    }
}

struct Player<'a> {
    line: &'a CommandLine,
    connection: Connection,
    recording: Recording,
    choice: &'a Choice,
    code: u8,
}

impl Player<'_> {
    /// The connection, the messages, and the answers to the last of them.
    async fn play(&mut self) -> Result<(), Failure> {
        self.connection.open().await?;
        match self.connection.next().await? {
            Happening::Refused { reason, text } => {
                let version = self.line.session.version;
                let advice = refusal_advice(reason, text.as_deref());
                report(self.line, &refusal_line(version, reason), advice);
                self.code = refusal_code(version, reason);
                return Ok(());
            }
            // Nothing else comes before the server has answered.
            _ => self.publish_all().await?,
        }
        while self.connection.in_flight() > 0 {
            self.wait().await?;
        }
        Ok(())
    }

    async fn publish_all(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        let mut schedule = Schedule::new(self.choice.speed);
        while let Some(message) = self.next_message().await? {
            let message = match message {
                Ok(message) => message,
                Err(wrong) => {
                    report(self.line, &wrong, None);
                    self.code = code::FAILURE;
                    return Ok(());
                }
            };
            if !self.is_wanted(&message.topic) {
                continue;
            }
            self.wait_until(start + schedule.due(message.at)).await?;
            self.publish(message)?;
        }
        Ok(())
    }

    /// The next of the recording, behind all that the connection has to say; what was published leaves meanwhile.
    async fn next_message(&mut self) -> Result<Option<Result<Received, String>>, Failure> {
        loop {
            tokio::select! {
                biased;
                happening = self.connection.next() => self.heed(happening?),
                message = self.recording.next(), if !self.connection.has_news() => return Ok(message),
            }
        }
    }

    fn is_wanted(&self, topic: &str) -> bool {
        let Ok(topic) = TopicName::new(topic) else {
            return false;
        };
        let only = &self.choice.only;
        let matches =
            |filter: &String| TopicFilter::new(filter).is_ok_and(|own| own.matches(topic));
        only.is_empty() || only.iter().any(matches)
    }

    /// Until it is time, and the server may be sent another message.
    async fn wait_until(&mut self, due: Instant) -> Result<(), Failure> {
        while Instant::now() < due || !self.connection.has_quota() {
            tokio::select! {
                () = sleep_until(due), if Instant::now() < due => {}
                waited = self.connection.next() => self.heed(waited?),
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), Failure> {
        let happening = self.connection.next().await?;
        self.heed(happening);
        Ok(())
    }

    /// A message that the server does not take is told of, and the rest goes on.
    fn heed(&mut self, happening: Happening) {
        if let Happening::Published { reason, text, .. } = happening
            && reason.is_error()
        {
            let text = text.map(|text| format!(" ({text})")).unwrap_or_default();
            report(
                self.line,
                &format!("Warning: Publish failed: {reason}.{text}"),
                None,
            );
            self.code = code::FAILURE;
        }
    }

    fn publish(&mut self, message: Received) -> Result<(), Failure> {
        let has_properties = self.line.session.version.has_properties();
        let topic = message.topic.clone();
        let sent = self.connection.publish(Outgoing {
            topic: Some(message.topic),
            payload: message.payload,
            qos: message.qos,
            retain: message.retain,
            properties: if has_properties {
                as_published(&message.properties)
            } else {
                PropertiesBuf::new()
            },
        })?;
        if sent.is_err() {
            report(
                self.line,
                &format!("Error: The server does not take the message of topic {topic}."),
                None,
            );
            self.code = code::FAILURE;
        }
        Ok(())
    }
}

/// The properties without those that belonged to the connection on which they were received.
fn as_published(properties: &PropertiesBuf) -> PropertiesBuf {
    let mut own = PropertiesBuf::new();
    for property in properties.as_properties().iter() {
        if !matches!(
            property,
            Property::TopicAlias(_) | Property::SubscriptionIdentifier(_)
        ) {
            // It was short enough before.
            _ = own.push(property);
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_options_are_taken_out_of_those_of_pub() {
        let arguments = ["-h", "host", "--speed", "2", "--only", "a/#", "-q", "1"];
        let arguments = arguments.map(OsString::from);
        let (choice, others) = take_own(&arguments).expect("valid");
        assert_eq!(choice.speed, Speed::Times(2.0));
        assert_eq!(choice.only, ["a/#"]);
        assert_eq!(others, ["-h", "host", "-q", "1"]);
    }

    #[test]
    fn a_wrong_option_says_what_is_right() {
        let check = |arguments: &[&str], expect: &str| {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            assert_eq!(take_own(&arguments).err().as_deref(), Some(expect));
        };
        check(
            &["--speed", "fast"],
            "Invalid speed 'fast': it is a number above 0, or max.",
        );
        check(&["--speed"], "--speed needs a value.");
        check(
            &["--only", "a/#/b"],
            "Invalid filter 'a/#/b': '#' must be the last level of a Topic Filter and stand alone in it.",
        );
    }
}
