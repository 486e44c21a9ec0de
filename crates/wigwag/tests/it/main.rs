//! Interop: the real `wigwag` binary and real foreign programs on real sockets.
//!
//! Every test that makes sense there also runs against Mosquitto, so that the test itself is
//! tested. What tests need is installed by `cargo xtask setup`; when it is missing they fail and
//! say so. Ports are free ones on 127.0.0.1, and each child process dies with its test.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, helpers included, a broken assumption should end the test at its line"
)]

/// Makes a test of each function for each broker: `name::wigwag` and `name::mosquitto`.
macro_rules! against_both_brokers {
    ($($name:ident),+ $(,)?) => {
        $(
            mod $name {
                use crate::broker::Kind;

                #[test]
                fn wigwag() {
                    super::$name(Kind::Wigwag);
                }

                #[test]
                fn mosquitto() {
                    super::$name(Kind::Mosquitto);
                }
            }
        )+
    };
}

mod broker;
mod configured;
mod http;
mod our_client;
mod process;
mod tools;
mod wire;

mod alert;
mod attacks;
mod bench;
mod bridges;
mod bytes;
mod configuration;
mod device;
mod exporter;
mod faults;
mod foreign_clients;
mod full_disk;
mod golden;
mod hostile_bytes;
mod kills;
mod listeners;
mod migration;
mod mosquitto_clients;
mod observation;
mod old_broker;
mod packaging;
mod pages;
mod persistence;
mod prometheus;
mod publish;
mod relay;
mod restarts;
mod scram;
mod security;
mod signals;
mod simulate;
mod stalled_log;
mod subscribe;
mod take_over;
mod top;
mod tutorials;
mod up;
mod ways;
