//! Lines on standard output. Whoever has closed it, as `head` does, does not want to read on; the devices go on.

use std::fmt;
use std::io::{self, Write as _};

/// Prints a line; `say!` is the usual way.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// `println!` that does not mind a closed pipe.
macro_rules! say {
    ($($arg:tt)*) => {
        $crate::output::line(format_args!($($arg)*))
    };
}
pub(crate) use say;
