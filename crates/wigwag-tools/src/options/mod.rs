//! The command line of `pub`, `sub`, `rr` and `ctrl`: which options there are, and what was asked for.
//!
//! Mosquitto's command line is not one of the usual kind: `-h` is a host, `-D` takes three or four values, long options
//! take theirs from the next argument only, and its messages are part of what scripts know.

pub mod command_line;
pub mod table;

mod options_file;
pub(crate) mod parse;
mod properties;

pub use options_file::Environment;
pub use parse::{Parsed, Wrong, parse};
