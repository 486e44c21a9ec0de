//! Dynamic security: users, groups and roles that are changed over MQTT.
//!
//! [`State`] is what is kept in the file, [`State::carry_out`] takes a request to
//! [`DYNSEC_TOPIC`](crate::control::DYNSEC_TOPIC), and [`Rights`] is what decides, made from the state so
//! that a decision is quick. Who keeps the state has to write it before the reply leaves.

mod commands;
mod document;
mod first;
mod rights;
mod state;

pub use commands::{Connections, Environment, Kicked, Outcome};
pub use document::LoadError;
pub use first::Passwords;
pub use rights::{Login, Operation, Rights};
pub use state::State;
