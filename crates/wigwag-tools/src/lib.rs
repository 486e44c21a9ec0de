#![doc = include_str!("../README.md")]
//!
//! Each tool is a module with a `run` that takes a command line and gives an exit code. What they have in common is in
//! `options` (what was asked for) and `message` (what came in).

pub mod connect;
pub mod control;
pub mod decode;
pub mod entry;
pub mod format;
pub mod message;
pub mod options;
pub mod passwd;
pub mod printer;
pub mod publish;
pub mod record;
pub mod request;
pub mod signal;
pub mod subscribe;

mod begin;
mod describe;
mod files;
mod lines;
mod prompt;
mod say;
