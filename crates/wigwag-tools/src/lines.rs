//! Lines of an input, read on a thread of its own: messages to publish, and recordings.
//!
//! Whoever waits for the next ones looks after a connection meanwhile, and hears Ctrl-C.

use std::io::{self, BufRead as _, BufReader, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::options::parse::PAYLOAD_MAX;

/// Lines that come together, as far as they are there together; an error is the last of all.
pub(crate) type Batch = Vec<io::Result<Bytes>>;

/// How many lines come together.
const BATCH_MAX: usize = 256;

/// Batches that are read ahead.
const AHEAD: usize = 2;

/// The lines of an input, without their ends. The channel closes behind the last.
pub(crate) fn of(input: impl Read + Send + 'static) -> mpsc::Receiver<Batch> {
    let (batches, receiver) = mpsc::channel(AHEAD);
    // It ends with the input or with the process: a read cannot be given up.
    std::thread::spawn(move || {
        let mut input = BufReader::new(input);
        loop {
            let batch = next_batch(&mut input);
            let is_last = batch.last().is_none_or(Result::is_err);
            if batch.is_empty() || batches.blocking_send(batch).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// Waits for one line, and takes those that have come with it.
fn next_batch<R: Read>(input: &mut BufReader<R>) -> Batch {
    let mut batch = Vec::new();
    while let Some(line) = next(input).transpose() {
        let failed = line.is_err();
        batch.push(line);
        if failed || batch.len() == BATCH_MAX || !input.buffer().contains(&b'\n') {
            break;
        }
    }
    batch
}

fn next<R: Read>(input: &mut BufReader<R>) -> io::Result<Option<Bytes>> {
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

    fn batch<R: Read>(input: &mut BufReader<R>) -> Vec<Bytes> {
        let lines = next_batch(input).into_iter();
        lines.map(|line| line.expect("readable")).collect()
    }

    #[test]
    fn a_last_line_needs_no_end_and_an_empty_one_counts() {
        let mut input = BufReader::new(&b"one\n\n\0two\r\nthree"[..]);
        assert_eq!(batch(&mut input), ["one", "", "\0two\r"]);
        assert_eq!(batch(&mut input), ["three"]);
        assert!(batch(&mut input).is_empty());
    }

    #[test]
    fn lines_that_are_there_come_together_and_nobody_waits_for_others() {
        let mut input = BufReader::new((&b"one\ntwo\nthr"[..]).chain(&b"ee\n"[..]));
        assert_eq!(batch(&mut input), ["one", "two"]);
        assert_eq!(batch(&mut input), ["three"]);
        let many = "\n".repeat(BATCH_MAX + 1);
        let mut input = BufReader::new(many.as_bytes());
        assert_eq!(batch(&mut input).len(), BATCH_MAX);
        assert_eq!(batch(&mut input).len(), 1);
    }
}
