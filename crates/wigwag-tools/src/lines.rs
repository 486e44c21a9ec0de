//! Lines of an input, read on a thread of its own: messages to publish, and recordings.
//!
//! Whoever waits for the next one looks after a connection meanwhile, and hears Ctrl-C.

use std::io::{self, BufRead, Read as _};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::options::parse::PAYLOAD_MAX;

/// Lines that are read ahead.
pub(crate) const AHEAD: usize = 256;

/// The lines of an input, without their ends. The channel closes behind the last.
pub(crate) fn of(mut input: impl BufRead + Send + 'static) -> mpsc::Receiver<io::Result<Bytes>> {
    let (lines, receiver) = mpsc::channel(AHEAD);
    // It ends with the input or with the process: a read cannot be given up.
    std::thread::spawn(move || {
        while let Some(line) = next(&mut input).transpose() {
            let failed = line.is_err();
            if lines.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn next(input: &mut impl BufRead) -> io::Result<Option<Bytes>> {
    let mut line = Vec::new();
    let limit = PAYLOAD_MAX as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > PAYLOAD_MAX {
        let text = format!("a line has more than {PAYLOAD_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Some(line.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_needs_no_end_and_an_empty_one_counts() {
        let mut input = &b"one\n\n\0two\r\nthree"[..];
        let mut lines = Vec::new();
        while let Some(line) = next(&mut input).expect("readable") {
            lines.push(line);
        }
        assert_eq!(lines, ["one", "", "\0two\r", "three"]);
    }
}
