//! Transports for MQTT: how bytes get from one end to the other, on either side.
//!
//! [`dial`] opens a connection and [`accept`] takes one, both give a [`Stream`], and a [`Pump`] moves
//! the bytes of both directions through it. Nothing here knows what the bytes mean: packets are the
//! business of `wigwag-proto`, decisions that of the client and the broker.
//!
//! Features, all on by default: `ws` for WebSocket, `tls` for TLS (rustls with aws-lc-rs), `proxy` for
//! HTTP CONNECT and SOCKS5.
#![warn(missing_docs)]

pub mod accept;
pub mod dial;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod proxy_header;
pub mod pump;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "ws")]
pub mod websocket;

mod stream;
mod target;
#[cfg(feature = "ws")]
mod upgrade;

pub use pump::Pump;
pub use stream::{Custom, Stream, Transport};
#[cfg(feature = "ws")]
pub use websocket::WebSocket;
