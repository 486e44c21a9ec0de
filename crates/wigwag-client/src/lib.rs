#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod ack;
mod authentication;
#[cfg(feature = "blocking")]
pub mod blocking;
mod buffer;
mod captures;
mod client;
mod config;
mod connect;
pub mod extract;
mod message;
mod metrics;
mod outcome;
mod pattern;
mod receipt;
mod request;
mod router;
#[cfg(feature = "scram")]
mod scram;
mod state;
mod store;
mod stream;
pub mod sys;
mod way;
pub mod wire;

mod core;
mod lane;
mod mailbox;
mod room;
mod task;

pub use bytes::Bytes;
#[cfg(feature = "proxy")]
pub use wigwag_net::proxy::ProxyError;
#[cfg(feature = "tls")]
pub use wigwag_net::tls::{CertificateError, ClientTls as Tls, KeyLogFile, TlsError};
#[cfg(feature = "ws")]
pub use wigwag_net::websocket::HeaderError;
pub use wigwag_net::{
    Transport,
    dial::{Target, TargetError, TcpKeepAlive, TcpOptions},
};
pub use wigwag_proto::packet::{RetainHandling, SubscriptionOptions};
pub use wigwag_proto::{Qos, ReasonCode, TopicError, Version};
#[cfg(feature = "scram")]
pub use wigwag_scram::Error as ScramError;
pub use wigwag_store as storage;
#[cfg(feature = "store-fjall")]
pub use wigwag_store::SyncPolicy;

pub use ack::{AckToken, IntoVerdict, Reject};
pub use authentication::{Authenticator, ReauthenticateError, Reauthenticating};
pub use buffer::Overflow;
pub use client::{Client, Publishing, Subscribing, Unsubscribing};
pub use config::{
    Backoff, BuildError, Builder, Limits, OfflineQos0, QueueOverflow, RefusalPolicy, Resubscribe,
    SessionLossPolicy, TakeOverPolicy, Will,
};
pub use connect::{Attempt, ConnectPacket, Credentials, DisconnectPacket};
pub use lane::{Handled, handled};
pub use message::{Message, Publish};
pub use metrics::Metrics;
pub use outcome::{
    DrainReport, Granted, Indeterminate, Outcome, PublishError, SubscribeError, UnsubscribeError,
};
pub use pattern::{PatternError, shared};
pub use receipt::{Enqueuing, Receipt, ReceiptId};
pub use request::{IntoReply, Reply, Request, RequestError};
pub use router::{MountError, Mounted, Mounting, Order, RouteHandler, Router};
#[cfg(feature = "scram")]
pub use scram::Scram;
pub use state::{Event, Fatal, NextAttempt, OfflineReason, State};
pub use store::Store;
pub use stream::{MessageStream, Streaming};
