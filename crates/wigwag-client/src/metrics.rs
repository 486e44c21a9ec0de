//! Numbers about a client: what it has done since it was built, and what it holds.
//!
//! The background task counts in plain numbers and shows them on a [`Board`] after each turn, so that
//! looking costs the task nothing and counting takes no lock.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        /// Numbers about a client; read by [`Client::metrics`](crate::Client::metrics).
        ///
        /// Each is right by itself; one may be a moment older than another. Those whose names begin with
        /// `now_` go up and down, all others only up, from 0 when the client was built.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Metrics {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl Metrics {
            /// All numbers with their names, for whatever collects them.
            ///
            /// ```
            /// # let client = wigwag_client::Client::builder("mqtt://localhost").build().unwrap();
            /// for (name, value) in client.metrics().entries() {
            ///     println!("mqtt_client_{name} {value}");
            /// }
            /// ```
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }

        /// Where the background task shows its numbers.
        #[derive(Default)]
        pub(crate) struct Board {
            $($name: AtomicU64,)*
        }

        impl Board {
            /// There is one writer, so nothing is lost between a read and a write.
            pub(crate) fn show(&self, metrics: &Metrics) {
                $(self.$name.store(metrics.$name, Ordering::Relaxed);)*
            }

            pub(crate) fn read(&self) -> Metrics {
                Metrics {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                }
            }
        }
    };
}

metrics! {
    /// Attempts to connect.
    attempts;
    /// Connections that a server has accepted.
    connections;
    /// Bytes written to connections, those of TLS, WebSocket and TCP not counted.
    bytes_sent;
    /// Bytes read from connections and understood, those of TLS, WebSocket and TCP not counted.
    bytes_received;
    /// Published messages that ended as [`Outcome::Delivered`](crate::Outcome::Delivered).
    published_delivered;
    /// Published messages that ended as [`Outcome::Rejected`](crate::Outcome::Rejected).
    published_rejected;
    /// Published messages that ended as [`Outcome::Indeterminate`](crate::Outcome::Indeterminate).
    published_indeterminate;
    /// Published messages that were taken over and ended as a [`PublishError`](crate::PublishError).
    published_failed;
    /// Received messages, each counted once for each subscription that it matches.
    received;
    /// Received messages that a subscription has rejected, or whose handler has panicked.
    received_rejected;
    /// Received messages that were dropped because too many waited.
    received_dropped;
    /// Messages that wait in the outgoing queue.
    now_queued;
    /// Messages that have been sent and wait for the server's acknowledgement.
    now_in_flight;
    /// Received messages whose handlers have not finished.
    now_unhandled;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_shows_what_was_counted() {
        let board = Board::default();
        assert_eq!(board.read(), Metrics::default());
        let metrics = Metrics {
            attempts: 3,
            now_unhandled: 2,
            ..Metrics::default()
        };
        board.show(&metrics);
        assert_eq!(board.read(), metrics);
        let shown: Vec<_> = metrics.entries().filter(|(_, value)| *value > 0).collect();
        assert_eq!(shown, [("attempts", 3), ("now_unhandled", 2)]);
    }
}
