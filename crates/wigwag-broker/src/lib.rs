//! An embeddable MQTT broker.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use wigwag_broker::{Broker, Listener};
//!
//! let broker = Broker::builder()
//!     .listener(Listener::tcp("127.0.0.1:1883".parse()?))
//!     .listener(Listener::websocket("127.0.0.1:9001".parse()?))
//!     .start()?;
//! println!("{:?}", broker.listeners());
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The decisions are made in `wigwag-engine`. This crate gives it sockets, time and threads: [`broker`]
//! starts and stops everything, the acceptor hands sockets to workers, and each worker is one thread that
//! drives one shard.
#![warn(missing_docs)]

pub mod access;
mod alarms;
mod bridge;
pub mod broker;
pub mod conf;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod persist;
pub mod sys;

mod acceptor;
mod certificates;
mod desk;
mod doors;
mod entrance;
mod limits_page;
mod listener;
mod machine;
mod mailbox;
mod mosquitto_db;
mod observer;
mod opening;
mod origin;
mod plan;
mod recorder;
mod reload;
mod roll;
mod stopwatch;
mod topics;
mod worker;

pub use alarms::page as alarms_page;
pub use bridge::BridgeReport;
pub use broker::{Broker, Builder};
pub use certificates::CertificateError;
pub use http::HttpListener;
pub use limits_page::limits_page;
pub use listener::{Address, BoundListener, Listener, StartError, Transport};
pub use logging::Log;
pub use persist::Persistence;
pub use recorder::Recording;
pub use reload::ReloadError;
pub use wigwag_alarm::Rule as AlarmRule;
pub use wigwag_engine::Limits;
