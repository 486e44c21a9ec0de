//! Transports for MQTT: how bytes get from one end to the other, on either side.
//!
//! [`dial`] opens a connection and [`accept`] takes one, both give a [`Stream`], and a [`Pump`] moves
//! the bytes of both directions through it. Nothing here knows what the bytes mean: packets are the
//! business of `wigwag-proto`, decisions that of the client and the broker.
#![warn(missing_docs)]

pub mod accept;
pub mod dial;
pub mod pump;

mod stream;
mod websocket;

pub use pump::Pump;
pub use stream::Stream;
pub use websocket::WebSocket;
