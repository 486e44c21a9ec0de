//! Who may do what at an MQTT broker, in the formats that Mosquitto's users have.
//!
//! [`password`] reads, checks and writes password hashes, [`password_file`] the file that holds them, [`decoy`] hides
//! who is not in it,
//! [`acl_file`] the file of access rules, and [`dynsec`] is dynamic security: users, groups and roles that
//! are changed over MQTT. [`rules`] decides; the others put rules in. Nothing here reads a clock, draws
//! randomness or opens anything: texts, salts and passwords come in, decisions and texts go out.
#![warn(missing_docs)]

pub mod password;
pub mod password_file;
pub mod verified;

pub mod decoy;

pub mod acl_file;
pub mod rules;

pub mod control;
pub mod dynsec;

mod json;
mod problem;

pub use problem::{Problem, Problems};
pub use wigwag_scram as scram;
