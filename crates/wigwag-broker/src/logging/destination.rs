//! Where log lines are written: the two standard streams, a file, the system log, topics.
//!
//! Used by the thread of the log alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::stamp::{self, Stamp};
use super::{Line, LogError, Publish};
use crate::conf::config::{LogDest, LogFormat, LogType, Logging};

/// The facility `daemon`, and the first of `local0` to `local7`.
const FACILITY_DAEMON: u8 = 3;
const FACILITY_LOCAL: u8 = 16;

/// All places that get each line.
pub(super) struct Destinations {
    stdout: bool,
    stderr: bool,
    file: Option<(PathBuf, File)>,
    syslog: Option<Syslog>,
    topic: Option<Arc<OnceLock<Publish>>>,
    format: LogFormat,
}

impl Destinations {
    pub(super) fn open(
        options: &Logging,
        publish: &Arc<OnceLock<Publish>>,
    ) -> Result<Destinations, LogError> {
        let mut opened = Destinations {
            stdout: false,
            stderr: false,
            file: None,
            syslog: None,
            topic: None,
            format: options.log_format,
        };
        for destination in &options.destinations {
            match destination {
                LogDest::Stdout => opened.stdout = true,
                LogDest::Stderr => opened.stderr = true,
                LogDest::Topic => opened.topic = Some(Arc::clone(publish)),
                LogDest::Syslog => {
                    let facility = options
                        .log_facility
                        .map_or(FACILITY_DAEMON, |local| FACILITY_LOCAL + local);
                    opened.syslog = Some(Syslog::open(facility).map_err(LogError::Syslog)?);
                }
                LogDest::File(path) => {
                    let file = append_to(path).map_err(|source| LogError::File {
                        path: path.clone(),
                        source,
                    })?;
                    opened.file = Some((path.clone(), file));
                }
            }
        }
        Ok(opened)
    }

    /// Opens the file by its name again. If that fails, the old one goes on.
    pub(super) fn reopen(&mut self) {
        if let Some((path, file)) = &mut self.file
            && let Ok(reopened) = append_to(path)
        {
            *file = reopened;
        }
    }

    /// False if some should have taken the line and none did.
    pub(super) fn write(&mut self, line: &Line, stamp: &Stamp) -> bool {
        let (mut tried, mut taken) = (0, 0);
        let mut note = |is_taken: bool| {
            tried += 1;
            taken += usize::from(is_taken);
        };
        let text = match self.format {
            LogFormat::Text => format!("{}{}\n", stamp.before(line.at), line.text),
            LogFormat::Json => as_json(line),
        };
        if self.stdout {
            // Line by line, whatever it is connected to.
            let mut stdout = io::stdout().lock();
            let written = stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush());
            note(written.is_ok());
        }
        if self.stderr {
            note(io::stderr().lock().write_all(text.as_bytes()).is_ok());
        }
        if let Some((_, file)) = &mut self.file {
            note(file.write_all(text.as_bytes()).is_ok());
        }
        if let Some(syslog) = &self.syslog {
            note(syslog.write(line));
        }
        // What the delivery of these messages makes is no news.
        if let (Some(publish), Some(topic)) = (&self.topic, topic(line.log_type))
            && let Some(publish) = publish.get()
        {
            publish(topic, text.trim_end().to_owned());
            note(true);
        }
        tried == 0 || taken > 0
    }

    pub(super) fn flush(&mut self) {
        if let Some((_, file)) = &mut self.file {
            _ = file.flush();
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// One JSON object in a line.
fn as_json(line: &Line) -> String {
    let object = json!({
        "time": stamp::rfc3339(line.at),
        "type": name(line.log_type),
        "message": line.text,
    });
    format!("{object}\n")
}

fn name(log_type: LogType) -> &'static str {
    LogType::ALL
        .iter()
        .find(|(_, other)| *other == log_type)
        .map_or("error", |(name, _)| name)
}

/// Where lines of a type are published.
fn topic(log_type: LogType) -> Option<&'static str> {
    Some(match log_type {
        LogType::Error => "$SYS/broker/log/E",
        LogType::Warning => "$SYS/broker/log/W",
        LogType::Notice => "$SYS/broker/log/N",
        LogType::Information => "$SYS/broker/log/I",
        LogType::WebSockets => "$SYS/broker/log/WS",
        LogType::Subscribe => "$SYS/broker/log/M/subscribe",
        LogType::Unsubscribe => "$SYS/broker/log/M/unsubscribe",
        LogType::Debug | LogType::Internal => return None,
    })
}

/// The severity of a type in the system log.
fn severity(log_type: LogType) -> u8 {
    match log_type {
        LogType::Error | LogType::Internal => 3,
        LogType::Warning => 4,
        LogType::Notice | LogType::Subscribe | LogType::Unsubscribe => 5,
        LogType::Information => 6,
        LogType::Debug | LogType::WebSockets => 7,
    }
}

/// The line as the system log takes it.
fn datagram(line: &Line, facility: u8) -> String {
    format!(
        "<{}>{} wigwag[{}]: {}",
        facility * 8 + severity(line.log_type),
        stamp::bsd(line.at),
        std::process::id(),
        line.text
    )
}

#[cfg(unix)]
struct Syslog {
    socket: std::os::unix::net::UnixDatagram,
    facility: u8,
}

#[cfg(unix)]
impl Syslog {
    const SOCKET: &'static str = "/dev/log";

    fn open(facility: u8) -> io::Result<Syslog> {
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        socket.connect(Syslog::SOCKET)?;
        Ok(Syslog { socket, facility })
    }

    fn write(&self, line: &Line) -> bool {
        let datagram = datagram(line, self.facility);
        let send = || self.socket.send(datagram.as_bytes()).is_ok();
        // Its daemon may have been started anew since.
        send() || self.socket.connect(Syslog::SOCKET).is_ok() && send()
    }
}

#[cfg(not(unix))]
struct Syslog;

#[cfg(not(unix))]
impl Syslog {
    fn open(_: u8) -> io::Result<Syslog> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write(&self, _: &Line) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn line() -> Line {
        Line {
            at: SystemTime::UNIX_EPOCH,
            log_type: LogType::Warning,
            text: "say \"hello\"".to_owned(),
        }
    }

    #[test]
    fn a_line_is_one_json_object() {
        assert_eq!(
            as_json(&line()),
            "{\"message\":\"say \\\"hello\\\"\",\"time\":\"1970-01-01T00:00:00.000Z\",\"type\":\"warning\"}\n"
        );
    }

    #[test]
    fn the_system_log_gets_facility_and_severity() {
        assert!(datagram(&line(), FACILITY_DAEMON).starts_with("<28>Jan  1 "));
        assert!(datagram(&line(), FACILITY_LOCAL + 7).starts_with("<188>"));
    }

    #[test]
    fn single_packets_are_not_published() {
        assert_eq!(topic(LogType::Debug), None);
        assert_eq!(topic(LogType::Error), Some("$SYS/broker/log/E"));
    }
}
