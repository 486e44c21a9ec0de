//! `wigwag pub`: publishes what the command line names, and waits until the server has it.
//!
//! In the place of `mosquitto_pub`. What goes over the wire is the business of `connect`; here is what is sent when, and
//! when it is over.

pub(crate) mod source;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use wigwag_proto::{Qos, ReasonCode, Version};

use crate::connect::failure::{code, refusal_advice, refusal_code, refusal_line};
use crate::connect::{
    Connection, Failure, Happening, Outgoing, RECONNECT_AFTER, Unsendable, reach, reason_name,
    report,
};
use crate::options::command_line::{CommandLine, Program, Source};
use crate::options::table::Tool;
use crate::{begin, lines, say};

/// Runs the tool with what stands behind its name.
pub fn run(program: Program, arguments: &[OsString]) -> ExitCode {
    let line = match begin::read(Tool::Pub, program, arguments) {
        Ok(line) => line,
        Err(code) => return code,
    };
    let payload = match source::load(&line.publish.source) {
        Ok(payload) => payload,
        Err(nothing) => {
            report(&line, &nothing.0, None);
            return code::FAILURE.into();
        }
    };
    let Some(topic) = line
        .topics
        .first()
        .filter(|_| line.publish.source != Source::None)
    else {
        say::error("Error: Both topic and message must be supplied.");
        return begin::misused(Tool::Pub, program);
    };
    match begin::runtime() {
        Ok(runtime) => {
            let code = runtime.block_on(publish(&line, topic, payload));
            // The thread that reads the input may wait for ever.
            runtime.shutdown_background();
            code.into()
        }
        Err(code) => code,
    }
}

/// Gives the exit code.
async fn publish(line: &CommandLine, topic: &str, payload: Option<Bytes>) -> u8 {
    let mut interrupts = match begin::interrupts() {
        Ok(interrupts) => interrupts,
        Err(code) => return code,
    };
    let mut publisher = Publisher::new(line, topic, payload);
    tokio::select! {
        code = publisher.run() => code,
        _ = interrupts.recv() => {
            publisher.connection.disconnect(ReasonCode::Success).await;
            code::INTERRUPTED
        }
    }
}

/// What is still to be published, and on which connection.
struct Publisher<'a> {
    line: &'a CommandLine,
    topic: &'a str,
    /// What is sent each time; `None` when lines are.
    payload: Option<Bytes>,
    lines: Option<mpsc::Receiver<lines::Batch>>,
    connection: Connection,
    /// Messages that are still to be sent, other than lines.
    left: u32,
    /// When the next of them is due; `None` while one is under way.
    due: Option<Instant>,
    is_online: bool,
    was_online: bool,
    /// On a connection, an alias stands for the topic after the first message.
    is_first: bool,
    /// What was said last of why there is no connection.
    said: String,
    code: u8,
}

/// What there is to do next.
enum Turn {
    Happened(Result<Happening, Failure>),
    /// None: the input has ended.
    Lines(lines::Batch),
    Due,
}

impl<'a> Publisher<'a> {
    fn new(line: &'a CommandLine, topic: &'a str, payload: Option<Bytes>) -> Publisher<'a> {
        Publisher {
            line,
            topic,
            payload,
            lines: None,
            connection: Connection::new(line, None),
            left: line.publish.repeat,
            due: None,
            is_online: false,
            was_online: false,
            is_first: true,
            said: String::new(),
            code: 0,
        }
    }

    async fn run(&mut self) -> u8 {
        let mut opened = self.connection.open().await;
        loop {
            let failure = match opened {
                Ok(()) => match self.serve().await {
                    Ok(()) => return self.code,
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            self.is_online = false;
            let text = failure.to_string();
            // Attempt after attempt fails for the same reason.
            if text != self.said {
                report(self.line, &text, failure.advice());
                self.said = text;
            }
            if !self.goes_on_after(&failure) {
                return failure.code();
            }
            sleep(RECONNECT_AFTER).await;
            opened = self.connection.open().await;
        }
    }

    /// Whoever types lines, or has asked for it, keeps the connection; what was never there is not waited for.
    fn goes_on_after(&self, failure: &Failure) -> bool {
        let types_lines = self.payload.is_none() && self.was_online;
        failure.may_pass() && (types_lines || self.line.reconnect)
    }

    /// Until everything has been published, or the connection ends.
    async fn serve(&mut self) -> Result<(), Failure> {
        loop {
            if self.is_done() {
                self.connection.disconnect(ReasonCode::Success).await;
                return Ok(());
            }
            let ended = match self.turn().await {
                Turn::Happened(happening) => self.handle(happening?).await?,
                Turn::Due => {
                    self.due = None;
                    let payload = self.payload.clone().unwrap_or_default();
                    self.publish(payload)?
                }
                Turn::Lines(lines) => self.publish_lines(lines)?,
            };
            if ended {
                if self.is_online {
                    self.connection.disconnect(ReasonCode::Success).await;
                }
                return Ok(());
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        let has_room = self.connection.has_quota() && !self.connection.has_news();
        let takes_lines = self.is_online && self.left > 0 && has_room;
        let due = self.due.filter(|_| self.is_online);
        let lines = self.lines.as_mut().filter(|_| takes_lines);
        tokio::select! {
            biased;
            happening = self.connection.next() => Turn::Happened(happening),
            () = reach(due) => Turn::Due,
            lines = next_lines(lines) => Turn::Lines(lines),
        }
    }

    fn is_done(&self) -> bool {
        self.is_online && self.left == 0 && self.connection.is_idle()
    }

    /// Whether it is over.
    async fn handle(&mut self, happening: Happening) -> Result<bool, Failure> {
        match happening {
            Happening::Connected { .. } => {
                (self.is_online, self.was_online, self.is_first) = (true, true, true);
                self.said.clear();
                if self.payload.is_none() {
                    self.lines.get_or_insert_with(|| lines::of(io::stdin()));
                } else if self.connection.in_flight() == 0 && self.left > 0 {
                    self.due = Some(Instant::now());
                }
                Ok(false)
            }
            Happening::Refused { reason, text } => {
                let version = self.line.session.version;
                report(self.line, &refusal_line(version, reason), None);
                let advice = refusal_advice(reason, text.as_deref());
                report(self.line, refusal_end(version), advice);
                self.code = refusal_code(version, reason);
                Ok(true)
            }
            Happening::Published {
                packet_id,
                reason,
                text,
            } => {
                self.published(packet_id, reason, text.as_deref())?;
                Ok(false)
            }
            Happening::Message(_)
            | Happening::Subscribed { .. }
            | Happening::Unsubscribed { .. } => Ok(false),
        }
    }

    fn published(
        &mut self,
        packet_id: u16,
        reason: ReasonCode,
        text: Option<&str>,
    ) -> Result<(), Failure> {
        if reason.is_error() {
            let name = reason_name(reason);
            let line = format!("Warning: Publish {packet_id} failed: {name}.");
            report(self.line, &line, None);
            if let Some(text) = text {
                report(self.line, text, None);
            }
        }
        if self.line.print.json {
            let told = json!({
                "mid": packet_id,
                "topic": self.topic,
                "qos": self.line.qos as u8,
                "retain": self.line.publish.retain,
                "reasonCode": reason as u8,
                "reason": reason_name(reason),
            });
            say::out(&format!("{told}\n"));
        }
        if self.payload.is_some() {
            self.left = self.left.saturating_sub(1);
            if self.left > 0 {
                self.due = Some(Instant::now() + self.line.publish.repeat_delay);
            }
        }
        Ok(())
    }

    /// Publishes what has been read: what comes together leaves together. Whether it is over.
    fn publish_lines(&mut self, lines: lines::Batch) -> Result<bool, Failure> {
        if lines.is_empty() {
            self.left = 0;
        }
        for line in lines {
            let is_over = match line {
                Ok(payload) => self.publish(payload)?,
                Err(error) => {
                    let text = format!("Error: the input cannot be read: {error}");
                    report(self.line, &text, None);
                    self.code = code::FAILURE;
                    true
                }
            };
            if is_over {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether it is over, because the message cannot be sent at all.
    fn publish(&mut self, payload: Bytes) -> Result<bool, Failure> {
        let properties = match self.line.session.version {
            Version::V5 => self.line.properties.publish.clone(),
            Version::V3_1 | Version::V3_1_1 => wigwag_proto::PropertiesBuf::new(),
        };
        let has_alias = properties.as_properties().topic_alias().is_some();
        let names_topic = !has_alias || self.is_first;
        self.is_first = false;
        let published = self.connection.publish(Outgoing {
            topic: names_topic.then(|| self.topic.to_owned()),
            payload,
            qos: self.line.qos,
            retain: self.line.publish.retain,
            properties,
        })?;
        let Err(unsendable) = published else {
            return Ok(false);
        };
        let (text, advice, code) = said_of(&unsendable, self.line.qos);
        report(self.line, text, Some(advice));
        self.code = code;
        Ok(true)
    }
}

async fn next_lines(lines: Option<&mut mpsc::Receiver<lines::Batch>>) -> lines::Batch {
    match lines {
        Some(lines) => lines.recv().await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

/// The line behind that of the refusal.
pub(crate) const fn refusal_end(version: Version) -> &'static str {
    match version {
        Version::V5 => {
            "Error: A network protocol error occurred when communicating with the broker."
        }
        Version::V3_1 | Version::V3_1_1 => "Error: The connection was refused.",
    }
}

/// What is said of a message that cannot be sent, what to do, and the exit code.
pub(crate) fn said_of(unsendable: &Unsendable, qos: Qos) -> (&'static str, String, u8) {
    match unsendable {
        Unsendable::Qos => (
            "Error: Message QoS not supported on broker, try a lower QoS.",
            format!("The server has no QoS {}: use a lower one (-q).", qos as u8),
            code::QOS,
        ),
        Unsendable::Size { size, max } => (
            "Error: Message payload is too large.",
            format!("The packet would have {size} bytes; the server allows {max}."),
            code::OVERSIZE,
        ),
        Unsendable::Topic => (
            "Error: Invalid input. Does your topic contain '+' or '#'?",
            "A topic has at least one character, and neither '+' nor '#'.".to_owned(),
            code::INVALID,
        ),
        Unsendable::Encoding => (
            "Error: Invalid input. Does your topic contain '+' or '#'?",
            "The topic or a property has more than 65535 bytes.".to_owned(),
            code::INVALID,
        ),
    }
}
