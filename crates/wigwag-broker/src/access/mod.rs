//! Who gets in and who may do what: password files, ACL files and dynamic security, as a broker uses them.
//!
//! The decisions are `wigwag-access`'s. This module reads and writes the files, hashes on threads of its own,
//! and stands between the engine and all of that: `policy` answers on the shard's thread from tables that
//! are swapped as a whole, `pool` checks passwords, `scram` answers who proves a password without showing it, and
//! `keeper` changes dynamic security.

pub mod authority;
pub mod settings;

mod desk;
mod files;
mod keeper;
mod policy;
mod pool;
mod scram;
mod tables;
mod visitor;

pub use authority::Authority;
pub use files::AccessError;
pub use settings::{AccessSettings, DynamicSecurity, Security, Source};

pub(crate) use authority::AuthorityDesk;
pub(crate) use desk::{AccessDesk, CONTROL, Prepared};
pub(crate) use keeper::{REQUESTS_MAX, Tally};
pub(crate) use pool::{DELAY_MAX, JOBS_MAX};
pub(crate) use visitor::Login;
