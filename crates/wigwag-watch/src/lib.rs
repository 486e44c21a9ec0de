//! What looks on at MQTT brokers from outside, as their client: metrics for Prometheus, alarms, a terminal UI.
//!
//! Each module is a subcommand or two of the binary, with its options and what runs it. None of them knows what is
//! inside a broker: they know what it publishes below `$SYS/`, and our own broker's HTTP.

pub mod alert;
pub mod exporter;
pub mod top;
