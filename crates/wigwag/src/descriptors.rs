//! How many files and connections the process may open: as many as the system lets it have for the asking.
//!
//! Systems begin with a low limit for programs that call `select`, and a higher one up to which a process may raise
//! it. Nothing here calls `select`.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as it goes. Where that fails, what there is will do: connections are bounded by it.
pub(crate) fn raise_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
