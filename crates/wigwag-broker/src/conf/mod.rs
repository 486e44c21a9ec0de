//! `mosquitto.conf`: what it says, in types, or all that is wrong with it.
//!
//! [`read`] takes a file to a [`Config`]; the files behind it come from a [`Files`], so it is pure with any
//! other than [`Disk`]. Each option is a row of one table, from which parsing, messages and the page of
//! options are made. What the broker does with a configuration is decided elsewhere.

pub mod config;

mod draft;
mod files;
mod page;
mod problem;
mod reader;
mod table;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use files::{Disk, Files};
pub use page::options_page;
pub use problem::{Problem, Problems, Remark, Weight};
pub use reader::{Reading, read};
