#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod client;
mod credentials;
mod error;
mod keys;
mod message;
mod nonce;
mod server;

#[cfg(test)]
mod tests;

pub use client::{ClientFinal, ClientFirst, ITERATIONS};
pub use credentials::{Credentials, Decoy, SALT_LEN};
pub use error::{Error, MessageKind};
pub use message::{MESSAGE_LEN_MAX, prepare_user_name};
pub use nonce::Nonce;
pub use server::{Request, ServerFinal, ServerFirst};

/// The name of the mechanism, as SASL and MQTT's Authentication Method have it.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
