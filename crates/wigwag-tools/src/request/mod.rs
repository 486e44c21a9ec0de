//! `wigwag rr`: publishes a request and prints the response.
//!
//! In the place of `mosquitto_rr`, but for its end: it says goodbye to the server, so that its Will is not published.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wigwag_client::SubscriptionOptions;
use wigwag_proto::{PropertiesBuf, Property, ReasonCode, TopicName, Version};

use crate::connect::failure::{code, refusal_advice, refusal_code};
use crate::connect::{
    Connection, Failure, Happening, Outgoing, RECONNECT_AFTER, reach, reason_name, report,
};
use crate::message::Received;
use crate::options::command_line::{CommandLine, Program};
use crate::options::table::Tool;
use crate::printer::Printer;
use crate::publish::{said_of, source};
use crate::{begin, say};

/// Runs the tool with what stands behind its name.
pub fn run(program: Program, arguments: &[OsString]) -> ExitCode {
    let line = match begin::read(Tool::Rr, program, arguments) {
        Ok(line) => line,
        Err(code) => return code,
    };
    let printer = match printer(&line) {
        Ok(printer) => printer,
        Err(code) => return code,
    };
    let payload = match source::load(&line.publish.source) {
        Ok(payload) => payload,
        Err(nothing) => {
            report(&line, &nothing.0, None);
            return code::FAILURE.into();
        }
    };
    let (Some(topic), Some(response_topic), Some(payload)) =
        (line.topics.first(), &line.request.response_topic, payload)
    else {
        say::error("Error: All of topic, message, and response topic must be supplied.");
        return begin::misused(Tool::Rr, program);
    };
    let properties = match properties(&line, response_topic) {
        Ok(properties) => properties,
        Err(text) => {
            report(&line, text, None);
            return code::FAILURE.into();
        }
    };
    let request = Outgoing {
        topic: Some(topic.clone()),
        payload,
        qos: line.qos,
        retain: line.publish.retain,
        properties,
    };
    match begin::runtime() {
        Ok(runtime) => runtime
            .block_on(ask(&line, response_topic, request, printer))
            .into(),
        Err(code) => code,
    }
}

fn printer(line: &CommandLine) -> Result<Printer, ExitCode> {
    let is_terminal = io::stdout().is_terminal();
    let has_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Printer::new(&line.print, is_terminal, has_colour).map_err(|error| {
        say::error(&format!("Error: {error}"));
        begin::misused(line.tool, line.program)
    })
}

/// What the user has given, and where the response is expected. MQTT 3.x cannot say either.
fn properties(line: &CommandLine, response_topic: &str) -> Result<PropertiesBuf, &'static str> {
    if line.session.version != Version::V5 {
        return Ok(PropertiesBuf::new());
    }
    let mut properties = line.properties.publish.clone();
    if properties.as_properties().response_topic().is_some() {
        return Err("Error in PUBLISH properties: Duplicate response topic.");
    }
    let pushed = TopicName::new(response_topic)
        .ok()
        .and_then(|topic| properties.push(Property::ResponseTopic(topic)).ok());
    pushed.ok_or("Error adding property RESPONSE_TOPIC.")?;
    Ok(properties)
}

/// Gives the exit code.
async fn ask(
    line: &CommandLine,
    response_topic: &String,
    request: Outgoing,
    printer: Printer,
) -> u8 {
    let mut interrupts = match begin::interrupts() {
        Ok(interrupts) => interrupts,
        Err(code) => return code,
    };
    let mut requester = Requester::new(line, response_topic, request, printer);
    tokio::select! {
        code = requester.run() => code,
        _ = interrupts.recv() => {
            requester.connection.disconnect(ReasonCode::Success).await;
            code::INTERRUPTED
        }
    }
}

struct Requester<'a> {
    line: &'a CommandLine,
    response_topic: &'a String,
    request: Outgoing,
    printer: Printer,
    connection: Connection,
    /// When the request has left.
    asked_at: Option<Instant>,
    deadline: Option<Instant>,
    /// What was said last of why there is no connection.
    said: String,
}

/// How it ends.
enum End {
    Answered,
    TimeUp,
    /// The server has refused the connection, the subscription or the request: everything has been said.
    Refused(u8),
}

impl<'a> Requester<'a> {
    fn new(
        line: &'a CommandLine,
        response_topic: &'a String,
        request: Outgoing,
        printer: Printer,
    ) -> Requester<'a> {
        Requester {
            line,
            response_topic,
            request,
            printer,
            // It waits for one message.
            connection: Connection::new(line, Some(1)),
            asked_at: None,
            deadline: None,
            said: String::new(),
        }
    }

    async fn run(&mut self) -> u8 {
        loop {
            let failure = match self.attempt().await {
                Ok(end) => return self.end(end).await,
                Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    // Who reads has had enough.
                    self.connection.disconnect(ReasonCode::Success).await;
                    return 0;
                }
                Err(failure) => failure,
            };
            let text = failure.to_string();
            // Attempt after attempt fails for the same reason.
            if text != self.said {
                report(self.line, &text, failure.advice());
                self.said = text;
            }
            if !self.line.reconnect || !failure.may_pass() {
                return failure.code();
            }
            self.set_deadline();
            tokio::select! {
                () = sleep(RECONNECT_AFTER) => {}
                () = reach(self.deadline) => return self.end(End::TimeUp).await,
            }
        }
    }

    /// One connection.
    async fn attempt(&mut self) -> Result<End, Failure> {
        tokio::select! {
            opened = self.connection.open() => opened?,
            () = reach(self.deadline) => return Ok(End::TimeUp),
        }
        self.set_deadline();
        loop {
            tokio::select! {
                biased;
                happening = self.connection.next() => {
                    if let Some(end) = self.handle(happening?)? {
                        return Ok(end);
                    }
                }
                () = reach(self.deadline) => return Ok(End::TimeUp),
            }
        }
    }

    /// `-W` counts from the first connection, or from the first attempt that has failed.
    fn set_deadline(&mut self) {
        if let Some(timeout) = self.line.print.timeout {
            self.deadline
                .get_or_insert_with(|| Instant::now() + timeout);
        }
    }

    fn handle(&mut self, happening: Happening) -> Result<Option<End>, Failure> {
        match happening {
            Happening::Connected { .. } => {
                let options = SubscriptionOptions {
                    qos: self.line.qos,
                    retain_handling: self.line.subscribe.retain_handling.unwrap_or_default(),
                    ..SubscriptionOptions::default()
                };
                let filter = std::slice::from_ref(self.response_topic);
                self.connection.subscribe(filter, options)?;
                Ok(None)
            }
            Happening::Refused { reason, text } => {
                let advice = refusal_advice(reason, text.as_deref());
                let line = format!("Connection error: {}", reason_name(reason));
                report(self.line, &line, advice);
                Ok(Some(End::Refused(refusal_code(
                    self.line.session.version,
                    reason,
                ))))
            }
            Happening::Subscribed { reasons, .. } => match reasons.first() {
                Some(reason) if reason.is_error() => {
                    let advice = format!(
                        "The server does not let this client subscribe to '{}'.",
                        self.response_topic
                    );
                    report(self.line, &reason_name(*reason), Some(advice));
                    Ok(Some(End::Refused(*reason as u8)))
                }
                _ => self.ask(),
            },
            Happening::Published {
                packet_id, reason, ..
            } => {
                if reason.is_error() {
                    let name = reason_name(reason);
                    let line = format!("Warning: Publish {packet_id} failed: {name}.");
                    report(self.line, &line, None);
                }
                Ok(None)
            }
            Happening::Message(message) => self.answered(&message),
            Happening::Unsubscribed { .. } => Ok(None),
        }
    }

    fn ask(&mut self) -> Result<Option<End>, Failure> {
        // On another connection, what was in flight is sent again by itself.
        if self.connection.in_flight() > 0 {
            return Ok(None);
        }
        self.asked_at = Some(Instant::now());
        let asked = self.connection.publish(self.request.clone())?;
        let Err(unsendable) = asked else {
            return Ok(None);
        };
        let (text, advice, code) = said_of(&unsendable, self.line.qos);
        report(self.line, text, Some(advice));
        Ok(Some(End::Refused(code)))
    }

    fn answered(&mut self, message: &Received) -> Result<Option<End>, Failure> {
        if message.retain && self.line.print.no_retained {
            return Ok(None);
        }
        let elapsed = self.asked_at.map(|asked_at| asked_at.elapsed());
        let mut out = Vec::new();
        let problems = self.printer.print(message, &mut out);
        if self.line.request.latency
            && let Some(elapsed) = elapsed
        {
            out.extend_from_slice(latency(elapsed).as_bytes());
        }
        let mut output = io::stdout().lock();
        let written = output.write_all(&out).and_then(|()| output.flush());
        written.map_err(Failure::Output)?;
        for problem in problems {
            report(self.line, &problem, None);
        }
        Ok(Some(End::Answered))
    }

    async fn end(&mut self, end: End) -> u8 {
        match end {
            End::Answered => {
                self.connection.disconnect(ReasonCode::Success).await;
                0
            }
            End::TimeUp => self.connection.time_out().await,
            End::Refused(code) => {
                if self.connection.is_accepted() {
                    self.connection.disconnect(ReasonCode::Success).await;
                }
                code
            }
        }
    }
}

/// The line of `--latency`, as Mosquitto's tool writes it.
fn latency(elapsed: Duration) -> String {
    let nanos = elapsed.subsec_nanos();
    if elapsed.as_secs() > 0 {
        return format!("Latency: {}.{nanos:09}\n", elapsed.as_secs());
    }
    match nanos {
        0..1_000 => format!("Latency: {nanos}ns\n"),
        1_000..1_000_000 => format!("Latency: {:.6}µs\n", f64::from(nanos) / 1e3),
        _ => format!("Latency: {:.6}ms\n", f64::from(nanos) / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_has_the_unit_that_fits() {
        let check = |nanos, expect: &str| {
            let line = latency(Duration::from_nanos(nanos));
            assert_eq!(line, format!("Latency: {expect}\n"));
        };
        check(999, "999ns");
        check(1_500, "1.500000µs");
        check(2_345_678, "2.345678ms");
        check(3_000_000_045, "3.000000045");
    }
}
