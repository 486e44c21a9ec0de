//! Keep alive: when to send a PINGREQ, and when silence means that the server is gone.

use std::time::Duration;

use wigwag_proto::Time;

/// The longest wait for an answer to a PINGREQ.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The silence of both directions of one connection.
pub(super) struct KeepAlive {
    /// Zero turns the check off.
    interval: Duration,
    sent: Time,
    received: Time,
    ping: Option<Time>,
}

/// What silence means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Alive,
    /// Send a PINGREQ.
    Ping,
    /// The server has not answered one.
    Dead,
}

impl KeepAlive {
    pub(super) fn new(now: Time, interval_secs: u16) -> KeepAlive {
        KeepAlive {
            interval: Duration::from_secs(interval_secs.into()),
            sent: now,
            received: now,
            ping: None,
        }
    }

    pub(super) fn handle_sent(&mut self, now: Time) {
        self.sent = now;
    }

    /// Anything that arrives shows that the server is there.
    pub(super) fn handle_received(&mut self, now: Time) {
        self.received = now;
        self.ping = None;
    }

    /// When silence means something. While nothing is read (`paused`) the server cannot be heard, but
    /// it still wants to hear from us.
    pub(super) fn deadline(&self, paused: bool) -> Option<Time> {
        if self.interval.is_zero() {
            return None;
        }
        Some(match self.ping {
            _ if paused => self.sent + self.interval,
            Some(ping) => ping + self.answer_within(),
            None => self.sent.min(self.received) + self.interval,
        })
    }

    /// A client that only sends would never learn that the server is gone, so silence of either
    /// direction calls for a PINGREQ. `[MQTT-3.1.2-20]`
    pub(super) fn handle_timeout(&mut self, now: Time, paused: bool) -> Verdict {
        if self.deadline(paused).is_none_or(|deadline| now < deadline) {
            return Verdict::Alive;
        }
        if !paused {
            if self.ping.is_some() {
                return Verdict::Dead;
            }
            self.ping = Some(now);
        }
        self.sent = now;
        Verdict::Ping
    }

    fn answer_within(&self) -> Duration {
        self.interval.min(ANSWER_MAX)
    }
}
