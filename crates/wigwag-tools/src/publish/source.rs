//! Where the payload of `pub` and `rr` comes from: the command line, a file, the input.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;

use crate::options::command_line::Source;
use crate::options::parse::PAYLOAD_MAX;

/// Why there is no payload: the lines that say it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPayload(pub(crate) String);

/// The payload. `None` if it comes line by line, or if none was named.
pub(crate) fn load(source: &Source) -> Result<Option<Bytes>, NoPayload> {
    match source {
        Source::Message(payload) => Ok(Some(payload.clone())),
        Source::Empty => Ok(Some(Bytes::new())),
        Source::File(path) => file(path).map(Some),
        Source::Input => input(io::stdin().lock()).map(Some),
        Source::Lines | Source::None => Ok(None),
    }
}

fn file(path: &Path) -> Result<Bytes, NoPayload> {
    let shown = path.display();
    let failed = |line: String| NoPayload(format!("{line}Error loading input file \"{shown}\".\n"));
    let too_large = || {
        failed(format!(
            "Error: File must be less than {PAYLOAD_MAX} bytes.\n\n"
        ))
    };
    let unable = |_| failed(format!("Error: Unable to open file \"{shown}\".\n"));
    let mut file = File::open(path).map_err(unable)?;
    if file.metadata().is_ok_and(|own| own.is_dir()) {
        return Err(too_large());
    }
    match read_all(&mut file) {
        Ok(Some(payload)) => Ok(payload),
        Ok(None) => Err(too_large()),
        Err(error) => Err(failed(format!(
            "Error: Unable to read file \"{shown}\": {error}.\n"
        ))),
    }
}

fn input(mut input: impl io::Read) -> Result<Bytes, NoPayload> {
    let failed = |line: String| NoPayload(format!("{line}Error loading input from stdin.\n"));
    match read_all(&mut input) {
        Ok(Some(payload)) if payload.is_empty() => {
            Err(failed("Error: Zero length input.\n".to_owned()))
        }
        Ok(Some(payload)) => Ok(payload),
        Ok(None) => Err(failed(format!(
            "Error: Message length must be less than {PAYLOAD_MAX} bytes.\n\n"
        ))),
        Err(error) => Err(failed(format!("Error: {error}.\n"))),
    }
}

/// Everything, unless it is more than a message can hold.
fn read_all(input: &mut impl io::Read) -> io::Result<Option<Bytes>> {
    let mut payload = Vec::new();
    let limit = PAYLOAD_MAX as u64 + 1;
    input.take(limit).read_to_end(&mut payload)?;
    Ok((payload.len() <= PAYLOAD_MAX).then(|| payload.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_one_message_as_it_is() {
        let payload = input(&b"a\nb\n"[..]).expect("not empty");
        assert_eq!(payload, "a\nb\n");
        let nothing =
            NoPayload("Error: Zero length input.\nError loading input from stdin.\n".to_owned());
        assert_eq!(input(&b""[..]), Err(nothing));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("none");
        let NoPayload(lines) = file(&path).expect_err("not there");
        let shown = path.display();
        let expect = format!(
            "Error: Unable to open file \"{shown}\".\nError loading input file \"{shown}\".\n"
        );
        assert_eq!(lines, expect);
        assert!(file(folder.path()).is_err());
    }
}
