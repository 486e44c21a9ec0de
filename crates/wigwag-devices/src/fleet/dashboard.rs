//! The devices of the dashboard, in a fleet: the topics and payloads of `contract.rs`.

use super::behaviour::{Behaviour, Command, Moment, Outgoing, Reaction};
use crate::contract::{Action, Reply, Status, parse_command};
use crate::simulator::Simulator;

/// One device by the dashboard's contract.
pub(super) struct Dashboard {
    id: String,
    simulator: Simulator,
}

impl Dashboard {
    pub(super) fn new(id: String, running: bool, random: fastrand::Rng) -> Dashboard {
        let mut simulator = Simulator::new(random);
        if running {
            simulator.apply(Action::Start);
        }
        Dashboard { id, simulator }
    }

    fn topic(&self, leaf: &str) -> String {
        format!("device/{}/{leaf}", self.id)
    }

    fn state(&mut self, at: Moment) -> Outgoing {
        let state = self.simulator.read(&self.id, at.secs());
        let payload = serde_json::to_vec(&state).expect("a state is plain data");
        Outgoing::new(self.topic("state"), payload).retained()
    }

    fn online(&self, is_online: bool) -> Outgoing {
        Outgoing::new(self.topic("online"), is_online.to_string())
            .acknowledged()
            .retained()
    }
}

impl Behaviour for Dashboard {
    fn last_words(&mut self, _: Moment) -> Outgoing {
        self.online(false)
    }

    fn filters(&self) -> Vec<String> {
        vec![self.topic("command")]
    }

    fn arrive(&mut self, at: Moment) -> Vec<Outgoing> {
        vec![self.online(true), self.state(at)]
    }

    fn report(&mut self, at: Moment) -> Vec<Outgoing> {
        match self.simulator.status() {
            Status::Running => vec![self.state(at)],
            Status::Idle => Vec::new(),
        }
    }

    fn obey(&mut self, command: &Command, at: Moment) -> Reaction {
        let result = parse_command(&command.payload).map(|action| self.simulator.apply(action));
        let mut said = Vec::new();
        if result.is_ok() {
            said.push(self.state(at));
        }
        let reply =
            serde_json::to_vec(&Reply::new(&self.id, &result)).expect("a reply is plain data");
        said.extend(Outgoing::answer(command, reply));
        Reaction::Say(said)
    }

    fn leave(&mut self, at: Moment) -> Vec<Outgoing> {
        vec![self.state(at), self.online(false)]
    }

    fn retained(&self) -> Vec<String> {
        vec![self.topic("state"), self.topic("online")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment(1_705_580_400_500);

    fn device() -> Dashboard {
        Dashboard::new("7".to_owned(), true, fastrand::Rng::with_seed(1))
    }

    #[test]
    fn a_running_device_reports_and_an_idle_one_does_not() {
        let mut device = device();
        let said = device.report(AT);
        let [state] = said.as_slice() else {
            panic!("one state: {said:?}")
        };
        let text = String::from_utf8_lossy(&state.payload);
        assert!(state.retain && state.topic == "device/7/state", "{state:?}");
        assert!(text.contains(r#""status":"running""#), "{text}");
        assert!(text.contains(r#""timestamp":1705580400"#), "{text}");
        let stop = Command {
            payload: br#"{"action":"stop"}"#.to_vec(),
            ..Command::default()
        };
        device.obey(&stop, AT);
        assert_eq!(device.report(AT), []);
    }

    #[test]
    fn a_command_is_answered_on_its_response_topic() {
        let fly = Command {
            payload: br#"{"action":"fly"}"#.to_vec(),
            response_topic: Some("answers/1".to_owned()),
            correlation_data: Some(b"42".to_vec()),
            ..Command::default()
        };
        let Reaction::Say(said) = device().obey(&fly, AT) else {
            panic!("it answers")
        };
        let [answer] = said.as_slice() else {
            panic!("only an answer: {said:?}")
        };
        assert_eq!(answer.topic, "answers/1");
        assert_eq!(answer.correlation_data.as_deref(), Some(&b"42"[..]));
        assert!(String::from_utf8_lossy(&answer.payload).contains(r#""ok":false"#));
    }
}
