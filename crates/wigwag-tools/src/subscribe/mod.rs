//! `sub`: subscribes and prints what comes, with the habits of `mosquitto_sub`.
//!
//! Here is the course of things: when it connects, again and again if need be, and when it ends. `selection` says which
//! messages count, `screen` what a terminal shows, `printer` how one message looks.

mod screen;
mod selection;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::future::pending;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};
use wigwag_client::SubscriptionOptions;
use wigwag_proto::{PropertiesBuf, Qos, ReasonCode};

use crate::connect::failure::{code, refusal_advice, refusal_code, refusal_line};
use crate::connect::{Connection, Failure, Happening, Outgoing, RECONNECT_AFTER, reach, report};
use crate::message::Received;
use crate::options::command_line::{CommandLine, Program};
use crate::options::table::Tool;
use crate::printer::Printer;
use crate::record::line;
use crate::{begin, files, say};

use screen::Screen;
use selection::{Selection, Verdict};

/// Runs the tool with what stands behind its name.
pub fn run(program: Program, arguments: &[OsString]) -> ExitCode {
    match begin::read(Tool::Sub, program, arguments) {
        Ok(line) => run_line(&line, true),
        Err(code) => code,
    }
}

/// The same with a command line that has been read. Only `record` does not print what comes.
pub(crate) fn run_line(line: &CommandLine, prints: bool) -> ExitCode {
    let is_terminal = io::stdout().is_terminal();
    let has_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let printer = match Printer::new(&line.print, is_terminal, has_colour) {
        Ok(printer) => printer,
        Err(error) => {
            say::error(&format!("Error: {error}"));
            return begin::misused(Tool::Sub, line.program);
        }
    };
    match begin::runtime() {
        Ok(runtime) => runtime.block_on(subscribe(line, printer, prints)).into(),
        Err(code) => code,
    }
}

/// Gives the exit code.
async fn subscribe(line: &CommandLine, printer: Printer, prints: bool) -> u8 {
    let interruptions = Interruptions::new().map_err(|error| format!("Error: {error}"));
    let prepared = interruptions
        .and_then(|interruptions| Ok((interruptions, Subscriber::new(line, printer, prints)?)));
    let (mut interruptions, mut subscriber) = match prepared {
        Ok(prepared) => prepared,
        Err(wrong) => {
            report(line, &wrong, None);
            return code::FAILURE;
        }
    };
    tokio::select! {
        code = subscriber.run() => code,
        () = interruptions.next() => {
            let reason = ReasonCode::DisconnectWithWillMessage;
            subscriber.connection.disconnect(reason).await;
            0
        }
    }
}

/// Ctrl-C, and what `kill` sends.
struct Interruptions {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruptions {
    fn new() -> io::Result<Interruptions> {
        Ok(Interruptions {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

struct Subscriber<'a> {
    line: &'a CommandLine,
    connection: Connection,
    selection: Selection,
    printer: Printer,
    prints: bool,
    screen: Option<Screen>,
    record: Option<Record>,
    /// Counts by the second, in place of messages.
    rate: Option<(Interval, u64)>,
    deadline: Option<Instant>,
    /// Answers to UNSUBSCRIBE that are waited for, where nothing is subscribed to.
    unsubscribing: usize,
    was_accepted: bool,
    /// Topics whose retained messages are still to be removed: a server sends them faster than it answers.
    removing: VecDeque<String>,
    /// Nothing is printed any more; retained messages are still being removed.
    is_ending: bool,
}

/// Why the tool ends; an exit code for scripts.
enum End {
    /// All that was asked for is done.
    Done,
    /// `-W`.
    TimeUp,
    Refused(ReasonCode, Option<String>),
    /// No subscription was granted, as was said; the first of the reasons.
    Denied(ReasonCode),
    Failed(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> End {
        End::Failed(failure)
    }
}

impl<'a> Subscriber<'a> {
    fn new(
        line: &'a CommandLine,
        printer: Printer,
        prints: bool,
    ) -> Result<Subscriber<'a>, String> {
        let choice = &line.subscribe;
        if line.print.no_retained && choice.retained_only {
            return Err("\nError: Combining '-R' and '--retained-only' makes no sense.".to_owned());
        }
        let record = match &choice.record {
            Some(path) => Some(Record::create(path)?),
            None => None,
        };
        Ok(Subscriber {
            line,
            connection: Connection::new(line, None),
            selection: Selection::new(choice, line.print.no_retained)?,
            printer,
            prints,
            screen: choice.watch.then(Screen::new),
            record,
            rate: choice.message_rate.then(|| (every_second(), 0)),
            deadline: None,
            unsubscribing: 0,
            was_accepted: false,
            removing: VecDeque::new(),
            is_ending: false,
        })
    }

    async fn run(&mut self) -> u8 {
        if let Some(screen) = &self.screen {
            say::out(&screen.head(&self.line.server.host));
        }
        let end = match self.connect().await {
            Ok(()) => {
                self.set_deadline();
                self.go_on().await
            }
            Err(end) => end,
        };
        self.end(end).await
    }

    /// `-W` counts from the first connection, or from the first attempt that has failed.
    fn set_deadline(&mut self) {
        if let Some(timeout) = self.line.print.timeout {
            self.deadline
                .get_or_insert_with(|| Instant::now() + timeout);
        }
    }

    /// The first connection. Only with `--reconnect` there is more than one attempt.
    async fn connect(&mut self) -> Result<(), End> {
        match self.connection.open().await {
            Err(failure) if self.line.reconnect && failure.may_pass() => {
                self.tell_of_reconnecting(&failure);
                self.set_deadline();
                self.reconnect().await
            }
            other => Ok(other?),
        }
    }

    /// What comes about, over as many connections as it takes, until it ends.
    async fn go_on(&mut self) -> End {
        loop {
            let end = match self.listen().await {
                Ok(()) => return End::Done,
                Err(end) => end,
            };
            let End::Failed(failure) = end else {
                return end;
            };
            if self.is_ending {
                return End::Done;
            }
            if !self.goes_on_after(&failure) {
                return End::Failed(failure);
            }
            self.tell_of_reconnecting(&failure);
            if let Err(end) = self.reconnect().await {
                return end;
            }
        }
    }

    /// Whoever was let in once comes back, as Mosquitto's library does; but not to throw out who has come in its place.
    fn goes_on_after(&self, failure: &Failure) -> bool {
        let is_taken_over = matches!(
            failure,
            Failure::Disconnected {
                reason: ReasonCode::SessionTakenOver,
                ..
            }
        );
        let is_wanted = self.line.reconnect || self.was_accepted && !is_taken_over;
        is_wanted && failure.may_pass()
    }

    /// Opens another connection, for as long as it takes and `-W` allows.
    async fn reconnect(&mut self) -> Result<(), End> {
        loop {
            let opened = tokio::select! {
                opened = async {
                    sleep(RECONNECT_AFTER).await;
                    self.connection.open().await
                } => opened,
                () = reach(self.deadline) => return Err(End::TimeUp),
            };
            match opened {
                Ok(()) => return Ok(()),
                Err(failure) if failure.may_pass() => {}
                Err(failure) => return Err(End::Failed(failure)),
            }
        }
    }

    /// One connection.
    async fn listen(&mut self) -> Result<(), End> {
        loop {
            tokio::select! {
                happening = self.connection.next() => {
                    if self.handle(happening?)? {
                        return Ok(());
                    }
                }
                () = reach(self.deadline) => return Err(End::TimeUp),
                () = tick(&mut self.rate) => self.print_rate()?,
            }
        }
    }

    /// Says whether that was the last.
    fn handle(&mut self, happening: Happening) -> Result<bool, End> {
        match happening {
            Happening::Connected { .. } => {
                self.was_accepted = true;
                self.ask()?;
                Ok(false)
            }
            Happening::Refused { reason, text } => Err(End::Refused(reason, text)),
            Happening::Subscribed { packet_id, reasons } => {
                self.handle_subscribed(packet_id, &reasons)
            }
            Happening::Unsubscribed { .. } => {
                self.unsubscribing = self.unsubscribing.saturating_sub(1);
                Ok(self.line.topics.is_empty() && self.unsubscribing == 0)
            }
            Happening::Published { .. } => {
                self.remove_next()?;
                Ok(self.is_done())
            }
            Happening::Message(message) => self.handle_message(&message),
        }
    }

    /// What the command line wants of the server.
    fn ask(&mut self) -> Result<(), Failure> {
        let choice = &self.line.subscribe;
        if !self.line.topics.is_empty() {
            let options = SubscriptionOptions {
                qos: self.line.qos,
                no_local: false,
                retain_as_published: choice.retain_as_published,
                retain_handling: choice.retain_handling.unwrap_or_default(),
            };
            self.connection.subscribe(&self.line.topics, options)?;
        }
        self.unsubscribing = choice.unsubscribe.len();
        for filter in &choice.unsubscribe {
            self.connection.unsubscribe(filter)?;
        }
        Ok(())
    }

    /// Says whether that was the last.
    fn handle_subscribed(&self, packet_id: u16, reasons: &[ReasonCode]) -> Result<bool, End> {
        if self.line.debug && !self.line.quiet {
            let codes: Vec<_> = reasons.iter().map(|own| (*own as u8).to_string()).collect();
            let codes = codes.join(", ");
            say::out(&format!("Subscribed (mid: {packet_id}): {codes}\n"));
        }
        match reasons.first() {
            Some(first) if reasons.iter().all(|reason| reason.is_error()) => {
                let advice = refusals(&self.line.topics, reasons);
                let line = "All subscription requests were denied.";
                report(self.line, line, Some(advice));
                Err(End::Denied(*first))
            }
            _ => Ok(self.line.subscribe.exit_after_subscribing),
        }
    }

    /// Says whether that was the last.
    fn handle_message(&mut self, message: &Received) -> Result<bool, End> {
        if self.is_ending {
            return Ok(false);
        }
        let is_last = match self.selection.judge(message) {
            Verdict::Pass => return Ok(false),
            Verdict::Stop => {
                self.is_ending = true;
                return Ok(self.is_done());
            }
            Verdict::Take { is_last } => is_last,
        };
        if self.line.subscribe.remove_retained && message.retain {
            self.removing.push_back(message.topic.clone());
            self.remove_next()?;
        }
        self.show(message)?;
        self.is_ending = is_last;
        Ok(self.is_done())
    }

    /// Lets the server forget what it has retained, as far as it may be asked without waiting for its answers.
    fn remove_next(&mut self) -> Result<(), Failure> {
        while self.connection.has_quota()
            && let Some(topic) = self.removing.pop_front()
        {
            let sent = self.connection.publish(Outgoing {
                topic: Some(topic.clone()),
                payload: Bytes::new(),
                qos: Qos::AtLeastOnce,
                retain: true,
                properties: PropertiesBuf::new(),
            })?;
            if sent.is_err() {
                let line = format!("Error: The server does not let '{topic}' be removed.");
                report(self.line, &line, None);
            }
        }
        Ok(())
    }

    fn show(&mut self, message: &Received) -> Result<(), Failure> {
        if let Some(record) = &mut self.record {
            record.add(message).map_err(Failure::Output)?;
        }
        if let Some((_, count)) = &mut self.rate {
            *count += 1;
            return Ok(());
        }
        if !self.prints || !self.selection.is_drawn(|| fastrand::f64() * 100.0) {
            return Ok(());
        }
        let mut out = Vec::new();
        if let Some(screen) = &mut self.screen {
            screen.go_to(&message.topic, &mut out);
        }
        let problems = self.printer.print(message, &mut out);
        if let Some(screen) = &self.screen {
            screen.leave(&mut out);
        }
        for problem in problems {
            report(self.line, &problem, None);
        }
        put(&out)
    }

    fn print_rate(&mut self) -> Result<(), Failure> {
        match &mut self.rate {
            Some((_, count)) => put(format!("{}\n", std::mem::take(count)).as_bytes()),
            None => Ok(()),
        }
    }

    /// Whether the end has come: what is to be removed is removed.
    fn is_done(&self) -> bool {
        self.is_ending && self.removing.is_empty() && self.connection.in_flight() == 0
    }

    fn tell_of_reconnecting(&self, failure: &Failure) {
        if self.line.program == Program::Wigwag && !self.line.quiet {
            let line = failure.to_string();
            let line = line.trim_end().trim_end_matches('.');
            say::error(&format!("{line}. Connecting again."));
        }
    }

    async fn end(&mut self, end: End) -> u8 {
        match end {
            End::Done => {
                self.connection.disconnect(ReasonCode::Success).await;
                0
            }
            End::TimeUp => self.connection.time_out().await,
            // No DISCONNECT leaves here, and none is told of: `mosquitto_sub -d` tells of one that it does not send.
            End::Refused(reason, text) => {
                self.connection.close().await;
                let version = self.line.session.version;
                let advice = refusal_advice(reason, text.as_deref());
                report(self.line, &refusal_line(version, reason), advice);
                refusal_code(version, reason)
            }
            End::Denied(reason) => {
                self.connection.disconnect(ReasonCode::Success).await;
                reason as u8
            }
            // Who reads has had enough.
            End::Failed(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.connection.disconnect(ReasonCode::Success).await;
                0
            }
            End::Failed(failure) => {
                if matches!(failure, Failure::Output(_)) {
                    self.connection.disconnect(ReasonCode::Success).await;
                } else {
                    self.connection.close().await;
                }
                report(self.line, &failure.to_string(), failure.advice());
                failure.code()
            }
        }
    }
}

/// What each refused filter was refused for.
fn refusals(filters: &[String], reasons: &[ReasonCode]) -> String {
    let refused = filters.iter().zip(reasons);
    let refused: Vec<_> = refused
        .map(|(filter, reason)| format!("'{filter}': {reason}"))
        .collect();
    refused.join(", ")
}

/// Prints, at once.
fn put(out: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let done = output.write_all(out).and_then(|()| output.flush());
    done.map_err(Failure::Output)
}

fn every_second() -> Interval {
    let second = Duration::from_secs(1);
    let mut interval = interval_at(Instant::now() + second, second);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(rate: &mut Option<(Interval, u64)>) {
    match rate {
        Some((interval, _)) => _ = interval.tick().await,
        None => pending().await,
    }
}

/// A recording under way: each message is in the file before the next one is waited for.
struct Record(File);

impl Record {
    fn create(path: &Path) -> Result<Record, String> {
        let file = File::create(path);
        file.map(Record).map_err(|error| {
            let (path, reason) = (path.display(), files::reason(&error));
            format!("Error: cannot write '{path}': {reason}")
        })
    }

    fn add(&mut self, message: &Received) -> io::Result<()> {
        let mut line = Vec::new();
        line::write(message, None, &mut line);
        line.push(b'\n');
        self.0.write_all(&line)
    }
}
