//! The time before a line, in the form that `log_timestamp` and `log_timestamp_format` ask for.

use std::time::SystemTime;

use jiff::{Timestamp, Zoned};

use super::LogError;
use crate::conf::config::Logging;

/// How times are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    None,
    /// Seconds since 1970.
    Epoch,
    /// As `strftime` does, in local time.
    Format(String),
}

impl Stamp {
    pub(super) fn new(options: &Logging) -> Result<Stamp, LogError> {
        match &options.log_timestamp_format {
            _ if !options.log_timestamp => Ok(Stamp::None),
            None => Ok(Stamp::Epoch),
            Some(format) => match jiff::fmt::strtime::format(format, &Zoned::now()) {
                Ok(_) => Ok(Stamp::Format(format.clone())),
                Err(error) => Err(LogError::Timestamp {
                    format: format.clone(),
                    why: error.to_string(),
                }),
            },
        }
    }

    /// The time and what separates it from the text.
    pub(super) fn before(&self, at: SystemTime) -> String {
        match self {
            Stamp::None => String::new(),
            Stamp::Epoch => format!("{}: ", epoch_secs(at)),
            Stamp::Format(format) => {
                match local(at).and_then(|at| jiff::fmt::strtime::format(format, &at)) {
                    Ok(time) => format!("{time}: "),
                    Err(_) => "Time error: ".to_owned(),
                }
            }
        }
    }
}

/// In RFC 3339, for programs.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

/// As the system log has it.
pub(super) fn bsd(at: SystemTime) -> String {
    local(at)
        .and_then(|at| jiff::fmt::strtime::format("%b %e %H:%M:%S", &at))
        .unwrap_or_default()
}

fn local(at: SystemTime) -> Result<Zoned, jiff::Error> {
    Zoned::try_from(at)
}

fn epoch_secs(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn options(format: Option<&str>) -> Logging {
        Logging {
            log_timestamp_format: format.map(str::to_owned),
            ..Logging::default()
        }
    }

    #[test]
    fn times_are_seconds_unless_a_format_says_otherwise() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        let epoch = Stamp::new(&options(None)).expect("valid");
        assert_eq!(epoch.before(at), "1700000000: ");
        let none = Stamp::new(&Logging {
            log_timestamp: false,
            ..options(None)
        });
        assert_eq!(none.expect("valid").before(at), "");
        let year = Stamp::new(&options(Some("%Y-%m"))).expect("valid");
        assert_eq!(year.before(at), "2023-11: ");
        assert_eq!(rfc3339(at), "2023-11-14T22:13:20.900Z");
    }

    #[test]
    fn a_format_that_means_nothing_is_refused() {
        assert!(matches!(
            Stamp::new(&options(Some("%Y-%"))),
            Err(LogError::Timestamp { .. })
        ));
    }
}
