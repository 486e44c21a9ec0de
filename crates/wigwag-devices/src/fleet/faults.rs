//! What goes wrong in a fleet, on request: devices that drop out and devices that fall silent.
//!
//! Everything is drawn from the device's seed, so the same scenario has the same faults.

use std::time::Duration;

/// What goes wrong with the devices of a fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Faults {
    pub(super) drop_out: Option<DropOut>,
    pub(super) silence: Option<Silence>,
}

/// A device loses its connection without a word, and comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DropOut {
    /// Mean time from a connection to its loss; each is drawn from an exponential distribution.
    pub(super) every: Duration,
    pub(super) lasts: Duration,
}

/// Some devices stay connected and publish nothing more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Silence {
    /// Of all devices, from 0 to 1.
    pub(super) share: f64,
    /// From the first connection.
    pub(super) after: Duration,
}

impl Faults {
    /// How long after its first connection a device falls silent, if it is one of those.
    pub(super) fn draw_silence(&self, random: &mut fastrand::Rng) -> Option<Duration> {
        let drawn = random.f64();
        let silence = self.silence?;
        (drawn < silence.share).then_some(silence.after)
    }

    /// How long the next connection lasts, and how long the device is away then.
    pub(super) fn draw_drop_out(&self, random: &mut fastrand::Rng) -> Option<(Duration, Duration)> {
        let drop_out = self.drop_out?;
        // In (0, 1], so its logarithm is a number.
        let drawn = 1.0 - random.f64();
        Some((drop_out.every.mul_f64(-drawn.ln()), drop_out.lasts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_fall_silent_as_are_asked_for() {
        let silence = Silence {
            share: 0.2,
            after: Duration::from_secs(9),
        };
        let faults = Faults {
            silence: Some(silence),
            drop_out: None,
        };
        let mut random = fastrand::Rng::with_seed(1);
        let silent = (0..1_000).filter_map(|_| faults.draw_silence(&mut random));
        assert!((150..250).contains(&silent.count()));
        let never = Faults::default().draw_silence(&mut random);
        assert_eq!(never, None);
    }

    #[test]
    fn connections_last_as_long_as_asked_for_on_average() {
        let drop_out = DropOut {
            every: Duration::from_secs(60),
            lasts: Duration::from_secs(5),
        };
        let faults = Faults {
            drop_out: Some(drop_out),
            silence: None,
        };
        let mut random = fastrand::Rng::with_seed(1);
        let drawn = (0..2_000).filter_map(|_| faults.draw_drop_out(&mut random));
        let sum: Duration = drawn.map(|(lasts, _)| lasts).sum();
        assert!((110_000..130_000).contains(&sum.as_secs()), "{sum:?}");
    }
}
