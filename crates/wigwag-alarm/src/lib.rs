#![doc = include_str!("../README.md")]
//!
//! Reading order: [`Rule`], then [`Watch`], then [`History`].
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod counter;
mod history;
mod instance;
mod message;
mod path;
mod read;
mod reading;
mod rule;
#[cfg(test)]
mod tests;
mod text;
mod watch;

pub use history::{Entry, HISTORY_LASTS, HISTORY_MAX, History};
pub use read::{Problem, Problems, RULE_LEN_MAX, RULES_MAX, RuleError, read_rules};
pub use rule::{NAME_LEN_MAX, Rule, Severity};
pub use text::read_span;
pub use watch::{Alarm, Event, TOPIC_LEN_MAX, TOPICS_MAX, Watch};
