//! Devices that Home Assistant finds by itself: MQTT discovery, availability, state, and a switch.
//!
//! Each metric has a retained configuration below the discovery prefix, one for each entity, as every version of Home
//! Assistant reads them. When Home Assistant says that it has started, the devices introduce themselves again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::behaviour::{Behaviour, Command, Moment, Outgoing, Reaction};
use super::walk::{Metric, Walk};

/// Time over which a fleet spreads its introductions after Home Assistant has started.
const BIRTH_WITHIN: Duration = Duration::from_secs(10);

/// What the switch of a device is called.
pub(super) const SWITCH: &str = "switch";

/// What the devices of a fleet share.
#[derive(Debug)]
pub(super) struct Home {
    /// Where Home Assistant looks for configurations: `homeassistant` by default.
    pub(super) prefix: String,
    /// The level above the devices' own topics.
    pub(super) topic: String,
    pub(super) metrics: Vec<Metric>,
    /// Whether a device can be switched.
    pub(super) switch: bool,
}

/// One device of Home Assistant's.
pub(super) struct HomeAssistant {
    home: Arc<Home>,
    id: String,
    walk: Walk,
    is_on: bool,
}

impl HomeAssistant {
    pub(super) fn new(home: Arc<Home>, id: String, random: fastrand::Rng) -> HomeAssistant {
        let walk = Walk::new(&home.metrics, random);
        HomeAssistant {
            home,
            id,
            walk,
            is_on: false,
        }
    }

    fn topic(&self, leaf: &str) -> String {
        format!("{}/{}/{leaf}", self.home.topic, self.id)
    }

    fn configuration_topic(&self, component: &str, object: &str) -> String {
        let prefix = &self.home.prefix;
        format!("{prefix}/{component}/{}/{object}/config", self.id)
    }

    fn birth_topic(&self) -> String {
        format!("{}/status", self.home.prefix)
    }

    fn availability(&self, is_available: bool) -> Outgoing {
        let payload = if is_available { "online" } else { "offline" };
        Outgoing::new(self.topic("availability"), payload)
            .acknowledged()
            .retained()
    }

    fn state(&self) -> Outgoing {
        let readings = self.walk.readings(&self.home.metrics);
        let state: Map<String, Value> = readings
            .map(|(metric, value)| (object_id(&metric.name), value.into()))
            .collect();
        Outgoing::new(self.topic("state"), Value::Object(state).to_string()).retained()
    }

    fn switch_state(&self) -> Outgoing {
        let payload = if self.is_on { "ON" } else { "OFF" };
        Outgoing::new(self.topic("switch"), payload)
            .acknowledged()
            .retained()
    }

    /// What every entity of the device says of itself.
    fn entity(&self, name: &str, object: &str) -> Value {
        json!({
            "name": name,
            "unique_id": format!("{}_{object}", self.id),
            "availability_topic": self.topic("availability"),
            "device": {
                "identifiers": [self.id],
                "name": self.id,
                "manufacturer": "Wigwag",
                "model": "simulated device",
                "sw_version": env!("CARGO_PKG_VERSION"),
            },
            "origin": {
                "name": "wigwag simulate",
                "sw": env!("CARGO_PKG_VERSION"),
                "url": env!("CARGO_PKG_REPOSITORY"),
            },
        })
    }

    fn sensor(&self, metric: &Metric) -> Outgoing {
        let object = object_id(&metric.name);
        let mut entity = self.entity(&metric.name, &object);
        entity["state_topic"] = self.topic("state").into();
        entity["value_template"] = format!("{{{{ value_json.{object} }}}}").into();
        entity["state_class"] = "measurement".into();
        if let Some(class) = &metric.class {
            entity["device_class"] = class.as_str().into();
        }
        if let Some(unit) = &metric.unit {
            entity["unit_of_measurement"] = unit.as_str().into();
        }
        self.configuration("sensor", &object, &entity)
    }

    fn switch(&self) -> Outgoing {
        let mut entity = self.entity(SWITCH, SWITCH);
        entity["state_topic"] = self.topic("switch").into();
        entity["command_topic"] = self.topic("switch/set").into();
        self.configuration("switch", SWITCH, &entity)
    }

    fn configuration(&self, component: &str, object: &str, entity: &Value) -> Outgoing {
        let topic = self.configuration_topic(component, object);
        Outgoing::new(topic, entity.to_string())
            .acknowledged()
            .retained()
    }
}

/// A name as a part of topics, of ids and of templates.
pub(super) fn object_id(name: &str) -> String {
    let fold = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '_',
    };
    name.chars().map(fold).collect()
}

impl Behaviour for HomeAssistant {
    fn last_words(&mut self, _: Moment) -> Outgoing {
        self.availability(false)
    }

    fn filters(&self) -> Vec<String> {
        let mut filters = vec![self.birth_topic()];
        if self.home.switch {
            filters.push(self.topic("switch/set"));
        }
        filters
    }

    /// First the entities, then that they are available, then how they are.
    fn arrive(&mut self, _: Moment) -> Vec<Outgoing> {
        let mut said: Vec<Outgoing> = (self.home.metrics.iter())
            .map(|metric| self.sensor(metric))
            .collect();
        if self.home.switch {
            said.push(self.switch());
        }
        said.push(self.availability(true));
        said.push(self.state());
        if self.home.switch {
            said.push(self.switch_state());
        }
        said
    }

    fn report(&mut self, _: Moment) -> Vec<Outgoing> {
        self.walk.advance(&self.home.metrics);
        vec![self.state()]
    }

    fn obey(&mut self, command: &Command, _: Moment) -> Reaction {
        if command.topic == self.birth_topic() {
            return match command.payload.as_slice() {
                b"online" => Reaction::ArriveWithin(BIRTH_WITHIN),
                _ => Reaction::Say(Vec::new()),
            };
        }
        self.is_on = match command.payload.as_slice() {
            b"ON" => true,
            b"OFF" => false,
            // What is no command changes nothing; the state that is said again shows that.
            _ => self.is_on,
        };
        Reaction::Say(vec![self.switch_state()])
    }

    fn leave(&mut self, _: Moment) -> Vec<Outgoing> {
        vec![self.availability(false)]
    }

    fn retained(&self) -> Vec<String> {
        let sensor = |metric: &Metric| self.configuration_topic("sensor", &object_id(&metric.name));
        let mut topics: Vec<String> = self.home.metrics.iter().map(sensor).collect();
        topics.extend([self.topic("state"), self.topic("availability")]);
        if self.home.switch {
            topics.push(self.configuration_topic("switch", SWITCH));
            topics.push(self.topic("switch"));
        }
        topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment(0);

    fn device() -> HomeAssistant {
        let home = Home {
            prefix: "homeassistant".to_owned(),
            topic: "home".to_owned(),
            metrics: vec![
                Metric::new("Room temperature", "°C", "temperature", (18.0, 26.0)),
                Metric::new("humidity", "%", "humidity", (30.0, 60.0)),
            ],
            switch: true,
        };
        let random = fastrand::Rng::with_seed(1);
        HomeAssistant::new(Arc::new(home), "sensor-1".to_owned(), random)
    }

    fn find<'a>(said: &'a [Outgoing], topic: &str) -> &'a Outgoing {
        let found = said.iter().find(|message| message.topic == topic);
        found.unwrap_or_else(|| panic!("{topic} in {said:?}"))
    }

    #[test]
    fn every_entity_has_a_retained_configuration_that_leads_to_its_state() {
        let said = device().arrive(AT);
        let topic = "homeassistant/sensor/sensor-1/room_temperature/config";
        let configuration = find(&said, topic);
        assert!(configuration.retain && configuration.qos == wigwag_client::Qos::AtLeastOnce);
        let entity: Value = serde_json::from_slice(&configuration.payload).expect("JSON");
        assert_eq!(entity["unique_id"], "sensor-1_room_temperature");
        assert_eq!(entity["device_class"], "temperature");
        assert_eq!(entity["unit_of_measurement"], "°C");
        assert_eq!(entity["device"]["identifiers"], json!(["sensor-1"]));
        assert_eq!(
            entity["value_template"],
            "{{ value_json.room_temperature }}"
        );
        let state = find(&said, entity["state_topic"].as_str().expect("a topic"));
        let state: Value = serde_json::from_slice(&state.payload).expect("JSON");
        assert!(state["room_temperature"].is_f64(), "{state}");
        let availability = entity["availability_topic"].as_str().expect("a topic");
        assert_eq!(find(&said, availability).payload, b"online");
    }

    #[test]
    fn whoever_is_told_that_home_assistant_has_started_arrives_again() {
        let birth = |payload: &[u8]| Command {
            topic: "homeassistant/status".to_owned(),
            payload: payload.to_vec(),
            ..Command::default()
        };
        let mut device = device();
        assert_eq!(
            device.obey(&birth(b"online"), AT),
            Reaction::ArriveWithin(BIRTH_WITHIN)
        );
        assert_eq!(device.obey(&birth(b"offline"), AT), Reaction::Say(vec![]));
    }

    #[test]
    fn a_switch_says_how_it_is_after_every_command() {
        let mut device = device();
        let mut switch = |payload: &[u8]| {
            let command = Command {
                topic: "home/sensor-1/switch/set".to_owned(),
                payload: payload.to_vec(),
                ..Command::default()
            };
            match device.obey(&command, AT) {
                Reaction::Say(said) => find(&said, "home/sensor-1/switch").payload.clone(),
                other @ Reaction::ArriveWithin(_) => panic!("{other:?}"),
            }
        };
        assert_eq!(switch(b"ON"), b"ON");
        assert_eq!(switch(b"nonsense"), b"ON");
        assert_eq!(switch(b"OFF"), b"OFF");
    }

    #[test]
    fn all_that_is_retained_can_be_taken_back() {
        let mut device = device();
        let mut kept: Vec<String> = device
            .arrive(AT)
            .into_iter()
            .chain(device.leave(AT))
            .filter(|message| message.retain)
            .map(|message| message.topic)
            .collect();
        kept.sort();
        kept.dedup();
        let mut told = device.retained();
        told.sort();
        assert_eq!(kept, told);
    }
}
