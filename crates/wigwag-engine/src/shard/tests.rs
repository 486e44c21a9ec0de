//! Behaviour of shards, told through clients: what they say and what they hear.
//!
//! [`world`] is the instrument. Tests that need one shard use one; whatever may depend on where a client
//! is connected is tried with its clients together and apart.

mod world;

mod connection;
mod counting;
mod delivery;
mod dossier;
mod embedder;
mod garbage;
mod hold_back;
mod listener;
mod memory;
mod model;
mod records;
mod release;
mod retained;
mod session;
mod share;
mod subscription;
mod takeover;
mod will;
