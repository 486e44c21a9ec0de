//! Short texts for people, to standard output and standard error. Whoever has closed them does not want to read more.

use std::io::{self, Write as _};

/// Prints a text as it is.
pub(crate) fn out(text: &str) {
    let mut output = io::stdout().lock();
    _ = output.write_all(text.as_bytes());
    _ = output.flush();
}

/// Prints a line to standard error; nothing if it is empty.
pub(crate) fn error(line: &str) {
    if !line.is_empty() {
        _ = writeln!(io::stderr(), "{line}");
    }
}
