//! Lines on standard output, and how errors are told. Whoever has closed the output, as `head` does, does not want to
//! read on: that is no reason to panic, and for what serves others none to end.

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};

/// Prints a line; `say!` is the usual way.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints whole lines.
pub(crate) fn text(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// `println!` that does not mind a closed pipe.
macro_rules! say {
    ($($arg:tt)*) => {
        $crate::output::line(format_args!($($arg)*))
    };
}
pub(crate) use say;

/// Whether that is all that went wrong: nobody reads any more.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An error and what is behind it, without a full stop. What a message says of its cause itself is not said once more.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let address = wigwag_client::Client::builder("nonsense").build();
        let error = address.context("--broker nonsense").expect_err("no URL");
        let told = with_causes(error.as_ref());
        assert!(told.starts_with("--broker nonsense: the address is not valid: "));
        assert_eq!(told.matches("has no scheme").count(), 1, "{told}");
        let error = io::Error::other("the disk is full");
        let error = anyhow::Error::from(error).context("cannot write");
        assert_eq!(
            with_causes(error.as_ref()),
            "cannot write: the disk is full"
        );
    }

    #[test]
    fn a_closed_pipe_is_found_behind_what_was_tried() {
        let failed = |kind: io::ErrorKind| {
            let failed: anyhow::Result<()> = Err(io::Error::from(kind)).context("cannot write");
            failed.expect_err("it has failed")
        };
        assert!(is_closed_pipe(&failed(io::ErrorKind::BrokenPipe)));
        assert!(!is_closed_pipe(&failed(io::ErrorKind::StorageFull)));
    }
}
