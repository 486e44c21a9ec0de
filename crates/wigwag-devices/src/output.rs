//! Lines on standard output, and what may stand in them. Whoever has closed it, as `head` does, does not want to read
//! on; the devices go on.

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

/// What may be shown of an address.
pub(crate) fn without_credentials(url: &str) -> String {
    let hidden = url.split_once("://").and_then(|(scheme, rest)| {
        let (_, host) = rest.rsplit_once('@')?;
        Some(format!("{scheme}://{host}"))
    });
    hidden.unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let shown = |url| without_credentials(url);
        assert_eq!(shown("mqtt://me:se@cret@host:1"), "mqtt://host:1");
        assert_eq!(shown("ws://host/path"), "ws://host/path");
    }
}
