//! The conformance instrument: scripted peers, one row per normative statement of MQTT 5.0 and 3.1.1,
//! and scripts that watch a client or a broker keep them.
//!
//! Start at `statement` (the rows), then `wire` and `peer` (the instrument), `script` (how a script
//! tells what it saw), `subject` (whatever client is under test), and `client` and `broker` for the
//! scripts. Nothing here knows whose client or broker it looks at.

pub mod statement;

pub mod peer;
pub mod websocket;
pub mod wire;

pub mod scram;
pub mod script;
pub mod subject;

pub mod broker;
pub mod client;
pub mod differential;

pub mod page;
