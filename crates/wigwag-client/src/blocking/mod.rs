//! The client for programs without an async runtime: the same calls, on threads.
//!
//! ```no_run
//! use std::time::Duration;
//! use wigwag_client::blocking::Client;
//! use wigwag_client::{Message, Publish, Qos};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("mqtt://127.0.0.1:1883")
//!     .client_id("meter-7")
//!     .build_blocking()?;
//! client.subscribe("meter/7/command", Qos::AtLeastOnce, |command: Message| {
//!     println!("{}: {:?}", command.topic(), command.payload());
//! });
//! client.start();
//! client.await_connection(Duration::from_secs(10))?;
//!
//! let reading = Publish::new("meter/7/power", "22.5").qos(Qos::AtLeastOnce);
//! let outcome = client.publish(reading).wait_for(Duration::from_secs(5))?;
//! println!("{outcome:?}");
//! client.disconnect();
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] has a thread of its own with a small runtime, where the connection lives. What takes time
//! returns a [`Pending`]: the call has been made, and the program waits for the result when it wants to,
//! for as long as it wants to.
//!
//! # Threads
//! Handlers run on threads of their own, one message of a subscription after the other. They may publish,
//! make requests and wait.
//!
//! Waiting blocks the calling thread, also inside an async runtime, where it holds up the other tasks of
//! that thread: nothing panics, but [`crate::Client`] is the one to use there. What would wait for itself
//! is refused with [`WaitError::OwnThread`]: the functions that the client calls on its own thread
//! ([`Builder::credentials_with`](crate::Builder::credentials_with) and its like, the handlers of a
//! [`Router`](crate::Router)) must not block.
//!
//! # Dropping
//! Dropping a [`Pending`] does what dropping the future of the async call does, as that call's
//! documentation says. When the last handle is gone (clones of the client, subscriptions, pendings and
//! events count), the connection ends without a DISCONNECT, the server publishes the Will, and the thread
//! ends soon after; dropping does not wait for it. [`Client::disconnect`] ends the client politely.

mod client;
mod pending;
mod subscription;
mod thread;

pub use client::{BuildError, Client, Events, Request};
pub use pending::{Pending, WaitError};
pub use subscription::Subscription;
