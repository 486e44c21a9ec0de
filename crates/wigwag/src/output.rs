//! Lines on standard output. Whoever has closed it, as `head` does, does not want to read on: that is no
//! reason to panic, and for what serves others none to end.

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

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

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
