//! Taking over from Mosquitto: what its persistence file says, as something to begin with.
//!
//! The file is read and never written. `format` knows its bytes, `take_over` what they mean here; when it is read, and
//! what becomes of it, is decided by who keeps our own records.

mod format;
mod take_over;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use wigwag_engine::restored::{Clock, Restored};

use crate::conf::Config;
use crate::conf::config::{Bind, Protocol};

use format::Unreadable;
pub(crate) use take_over::Counts;

/// What a database of Mosquitto's plugin begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Why what Mosquitto has kept cannot be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The system does not let us.
    #[error("cannot read {file}, where Mosquitto has kept sessions and messages", file = file.display())]
    Read {
        /// Its path.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what Mosquitto writes, or is damaged.
    #[error(
        "cannot take over {file} of Mosquitto: {why}. To begin without what it has, move it away",
        file = file.display()
    )]
    Unreadable {
        /// Its path.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Mosquitto's plugin has written it.
    #[error(
        "cannot take over {file} of Mosquitto: it is a database of SQLite, which is not read. To begin without what it has, move it away",
        file = file.display()
    )]
    Sqlite {
        /// Its path.
        file: PathBuf,
    },
}

/// Where Mosquitto may have kept something.
#[derive(Debug)]
pub(crate) struct Source {
    file: PathBuf,
    /// Of the listeners, in their order; 0 for one without.
    ports: Vec<u16>,
}

/// What a file had.
#[derive(Debug, Default)]
pub(crate) struct Import {
    pub(crate) restored: Restored,
    pub(crate) counts: Counts,
}

impl Source {
    /// A file of which it is not known who had which listener.
    pub(crate) const fn new(file: PathBuf) -> Source {
        let ports = Vec::new();
        Source { file, ports }
    }

    /// The file of a broker with this configuration.
    pub(crate) fn of_broker(file: PathBuf, config: &Config) -> Source {
        let listeners = config.listeners.iter();
        let mqtt = listeners.filter(|said| said.protocol != Protocol::HttpApi);
        let ports = mqtt.map(|said| match said.bind {
            Bind::Tcp { port, .. } => port,
            Bind::Unix(_) => 0,
        });
        Source {
            file,
            ports: ports.collect(),
        }
    }

    /// For the log.
    pub(crate) fn file(&self) -> std::path::Display<'_> {
        self.file.display()
    }

    /// Reads the file. `None` if there is none.
    pub(crate) fn read(&self, clock: &Clock) -> Result<Option<Import>, ImportError> {
        let file = || self.file.clone();
        let bytes = match fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) if is_none(&error) => return Ok(None),
            Err(source) => {
                return Err(ImportError::Read {
                    file: file(),
                    source,
                });
            }
        };
        if bytes.starts_with(SQLITE) {
            return Err(ImportError::Sqlite { file: file() });
        }
        if bytes.is_empty() {
            // Mosquitto begins with nothing then, too.
            return Ok(Some(Import::default()));
        }
        let import = read(&bytes, clock, |port| self.listener_at(port));
        import.map(Some).map_err(|why| {
            let (file, why) = (file(), why.to_string());
            ImportError::Unreadable { file, why }
        })
    }

    /// The number of the listener with a port.
    fn listener_at(&self, port: u16) -> Option<u16> {
        let at = self
            .ports
            .iter()
            .position(|said| *said == port && port != 0)?;
        u16::try_from(at).ok()
    }
}

/// Whether there is no file; a folder of that name is not Mosquitto's. What cannot be seen may be there.
fn is_none(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotFound};
    matches!(error.kind(), NotFound | IsADirectory)
}

/// Reads the bytes of a whole file. `listener_at` knows which listener has a port.
fn read(
    bytes: &[u8],
    clock: &Clock,
    listener_at: impl Fn(u16) -> Option<u16>,
) -> Result<Import, Unreadable> {
    let dump = format::read(bytes)?;
    let (restored, counts) = take_over::take_over(&dump, clock, listener_at);
    Ok(Import { restored, counts })
}

/// For the log.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            sessions,
            subscriptions,
            messages,
            retained,
            expired,
            left_out,
        } = self;
        write!(
            f,
            "sessions: {sessions}, subscriptions: {subscriptions}, messages for clients: {messages}, retained messages: {retained}"
        )?;
        if *expired > 0 {
            write!(f, "; expired before: {expired}")?;
        }
        if *left_out > 0 {
            write!(f, "; left out, because they make no sense: {left_out}")?;
        }
        Ok(())
    }
}
