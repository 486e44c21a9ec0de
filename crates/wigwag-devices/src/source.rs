//! Where the states of a device come from: a simulation, or this machine.

use crate::contract::{Action, State, Status};
use crate::host::Host;
use crate::simulator::Simulator;

/// What a device is behind its contract.
#[derive(Debug)]
pub(crate) enum Source {
    Simulated(Simulator),
    /// A machine goes on working whatever it is told: the status says whether it reports.
    Host {
        host: Host,
        status: Status,
    },
}

impl Source {
    pub(crate) const fn status(&self) -> Status {
        match self {
            Source::Simulated(simulator) => simulator.status(),
            Source::Host { status, .. } => *status,
        }
    }

    /// Goes on from an earlier life.
    pub(crate) fn restore(&mut self, state: &State) {
        match self {
            Source::Simulated(simulator) => simulator.restore(state.status, state.temperature),
            Source::Host { status, .. } => *status = state.status,
        }
    }

    /// Does what it is told; doing it twice changes nothing.
    pub(crate) fn apply(&mut self, action: Action) -> Status {
        match self {
            Source::Simulated(simulator) => simulator.apply(action),
            Source::Host { status, .. } => {
                *status = action.outcome();
                *status
            }
        }
    }

    /// The state of the device `id` at this time, in seconds since the beginning of 1970.
    pub(crate) fn read(&mut self, id: &str, timestamp: u64) -> State {
        match self {
            Source::Simulated(simulator) => simulator.read(id, timestamp),
            Source::Host { host, status } => {
                let (temperature, machine) = host.measure();
                State {
                    device_id: id.to_owned(),
                    status: *status,
                    temperature,
                    timestamp,
                    host: Some(machine),
                }
            }
        }
    }
}
