//! A device that is not there: a status, and a temperature that wanders.

use crate::contract::{Action, State, Status};

/// Degrees Celsius between which the temperature wanders.
const RANGE: std::ops::RangeInclusive<f64> = 35.0..=40.0;

/// Farthest that it wanders between two readings.
const STEP: f64 = 0.4;

/// The simulated device.
#[derive(Debug)]
pub(crate) struct Simulator {
    status: Status,
    temperature: f64,
    random: fastrand::Rng,
}

impl Simulator {
    pub(crate) fn new(mut random: fastrand::Rng) -> Simulator {
        let temperature = RANGE.start() + random.f64() * (RANGE.end() - RANGE.start());
        Simulator {
            status: Status::Idle,
            temperature,
            random,
        }
    }

    pub(crate) const fn status(&self) -> Status {
        self.status
    }

    /// Goes on from an earlier life.
    pub(crate) fn restore(&mut self, status: Status, temperature: Option<f64>) {
        self.status = status;
        if let Some(temperature) = temperature.filter(|temperature| RANGE.contains(temperature)) {
            self.temperature = temperature;
        }
    }

    /// Does what it is told; doing it twice changes nothing.
    pub(crate) fn apply(&mut self, action: Action) -> Status {
        self.status = action.outcome();
        self.status
    }

    /// The state of the device `id` at this time, in seconds since the beginning of 1970.
    pub(crate) fn read(&mut self, id: &str, timestamp: u64) -> State {
        State {
            device_id: id.to_owned(),
            status: self.status,
            temperature: Some(self.read_temperature()),
            timestamp,
            host: None,
        }
    }

    /// Reads the thermometer: degrees Celsius with one decimal.
    fn read_temperature(&mut self) -> f64 {
        let step = (self.random.f64() * 2.0 - 1.0) * STEP;
        self.temperature = (self.temperature + step).clamp(*RANGE.start(), *RANGE.end());
        (self.temperature * 10.0).round() / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temperature_wanders_within_its_range_and_in_small_steps() {
        let mut simulator = Simulator::new(fastrand::Rng::with_seed(1));
        let mut last = simulator.read_temperature();
        let mut moved = false;
        for _ in 0..1_000 {
            let temperature = simulator.read_temperature();
            assert!(RANGE.contains(&temperature));
            assert!(
                (temperature - last).abs() <= STEP + 0.1,
                "{last} to {temperature}"
            );
            moved |= temperature != last;
            last = temperature;
        }
        assert!(moved);
    }

    #[test]
    fn commands_can_be_repeated() {
        let mut simulator = Simulator::new(fastrand::Rng::with_seed(1));
        assert_eq!(simulator.status(), Status::Idle);
        assert_eq!(simulator.apply(Action::Start), Status::Running);
        assert_eq!(simulator.apply(Action::Start), Status::Running);
        assert_eq!(simulator.apply(Action::Stop), Status::Idle);
    }
}
