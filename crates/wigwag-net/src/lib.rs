#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
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

#[cfg(feature = "ws")]
mod early;
mod stream;
mod target;
#[cfg(feature = "ws")]
mod upgrade;

pub use pump::Pump;
pub use stream::{Custom, Stream, Transport};
#[cfg(feature = "ws")]
pub use websocket::WebSocket;
