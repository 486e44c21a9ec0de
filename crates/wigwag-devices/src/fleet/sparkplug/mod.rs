//! An edge node of Sparkplug B with its devices.
//!
//! | message | when | what it has |
//! |---|---|---|
//! | NDEATH | the Will, and before the node goes on purpose | the bdSeq of this connection |
//! | NBIRTH, DBIRTH | after each CONNACK, and on the command Rebirth | all metrics with names, aliases, types and values |
//! | NDATA, DDATA | each period | by alias, those that have changed |
//! | NCMD, DCMD | from a host application | Rebirth of the node; `running` of a device |
//!
//! bdSeq counts connections and seq the messages of one birth, each from 0 to 255 and round again.

mod payload;

use std::sync::Arc;

use prost::Message as _;

use self::payload::{Metric, Payload, Value};
use super::behaviour::{Behaviour, Command, Moment, Outgoing, Reaction};
use super::walk::{self, Walk};

const REBIRTH: &str = "Node Control/Rebirth";
/// The metric that each device has besides those of the scenario.
pub(super) const RUNNING: &str = "running";

/// Aliases of the node's own metrics; those of its devices follow.
const UPTIME_ALIAS: u64 = 0;
const REBIRTH_ALIAS: u64 = 1;
const DEVICES_ALIAS: u64 = 2;

/// What the nodes of a fleet share.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// Devices of each node.
    pub(super) devices: u32,
    pub(super) metrics: Vec<walk::Metric>,
}

/// One edge node.
pub(super) struct EdgeNode {
    group: Arc<Group>,
    name: String,
    devices: Vec<Device>,
    /// Of the next connection.
    next_bd_seq: u8,
    bd_seq: u8,
    next_seq: u8,
    /// When it was connected first.
    since: Option<Moment>,
}

struct Device {
    name: String,
    walk: Walk,
    is_running: bool,
    /// What was said last of each metric.
    said: Box<[f64]>,
}

impl EdgeNode {
    pub(super) fn new(group: Arc<Group>, name: String, mut random: fastrand::Rng) -> EdgeNode {
        let device = |number: u32| Device {
            name: format!("device-{number}"),
            walk: Walk::new(&group.metrics, random.fork()),
            is_running: true,
            said: vec![f64::NAN; group.metrics.len()].into(),
        };
        let devices = (1..=group.devices).map(device).collect();
        EdgeNode {
            group,
            name,
            devices,
            next_bd_seq: 0,
            bd_seq: 0,
            next_seq: 0,
            since: None,
        }
    }

    fn topic(&self, message: &str, device: Option<&str>) -> String {
        let (group, node) = (&self.group.name, &self.name);
        match device {
            None => format!("spBv1.0/{group}/{message}/{node}"),
            Some(device) => format!("spBv1.0/{group}/{message}/{node}/{device}"),
        }
    }

    fn death(&self, at: Moment) -> Outgoing {
        let payload = Payload {
            timestamp: Some(at.0),
            metrics: vec![self.bd_seq_metric(at)],
            seq: None,
        };
        Outgoing::new(self.topic("NDEATH", None), payload.encode_to_vec()).acknowledged()
    }

    fn bd_seq_metric(&self, at: Moment) -> Metric {
        Metric::born("bdSeq", Value::Long(self.bd_seq.into()), at.0)
    }

    /// A message with the next sequence number.
    fn numbered(&mut self, topic: String, metrics: Vec<Metric>, at: Moment) -> Outgoing {
        let payload = Payload {
            timestamp: Some(at.0),
            metrics,
            seq: Some(self.next_seq.into()),
        };
        self.next_seq = self.next_seq.wrapping_add(1);
        Outgoing::new(topic, payload.encode_to_vec())
    }

    fn births(&mut self, at: Moment) -> Vec<Outgoing> {
        self.next_seq = 0;
        let uptime = Metric::born("uptime", self.uptime(at), at.0).under(UPTIME_ALIAS);
        let rebirth = Metric::born(REBIRTH, Value::Boolean(false), at.0).under(REBIRTH_ALIAS);
        let metrics = vec![self.bd_seq_metric(at), rebirth, uptime];
        let mut said = vec![self.numbered(self.topic("NBIRTH", None), metrics, at)];
        for index in 0..self.devices.len() {
            said.push(self.device_birth(index, at));
        }
        said
    }

    fn device_birth(&mut self, index: usize, at: Moment) -> Outgoing {
        let first_alias = self.first_alias(index);
        let group = Arc::clone(&self.group);
        let device = &mut self.devices[index];
        let running = Value::Boolean(device.is_running);
        let mut metrics = vec![Metric::born(RUNNING, running, at.0).under(first_alias)];
        let readings = device.walk.readings(&group.metrics);
        for (alias, ((metric, value), said)) in
            (first_alias + 1..).zip(readings.zip(&mut device.said))
        {
            *said = value;
            let born = Metric::born(&metric.name, Value::Double(value), at.0).under(alias);
            metrics.push(match &metric.unit {
                Some(unit) => born.unit(unit),
                None => born,
            });
        }
        let topic = self.topic("DBIRTH", Some(&self.devices[index].name));
        self.numbered(topic, metrics, at)
    }

    /// A device that is running says which of its readings have changed.
    fn device_data(&mut self, index: usize, at: Moment) -> Option<Outgoing> {
        let first_alias = self.first_alias(index);
        let group = Arc::clone(&self.group);
        let device = &mut self.devices[index];
        if !device.is_running {
            return None;
        }
        device.walk.advance(&group.metrics);
        let readings = device.walk.readings(&group.metrics);
        let mut metrics = Vec::new();
        for (alias, ((_, value), said)) in (first_alias + 1..).zip(readings.zip(&mut device.said)) {
            if value != *said {
                *said = value;
                metrics.push(Metric::changed(alias, Value::Double(value), at.0));
            }
        }
        if metrics.is_empty() {
            return None;
        }
        let topic = self.topic("DDATA", Some(&self.devices[index].name));
        Some(self.numbered(topic, metrics, at))
    }

    /// Aliases are unique among a node and all of its devices.
    fn first_alias(&self, index: usize) -> u64 {
        let each = 1 + self.group.metrics.len();
        DEVICES_ALIAS + (index * each) as u64
    }

    fn uptime(&self, at: Moment) -> Value {
        let since = self.since.unwrap_or(at);
        Value::Long(at.secs().saturating_sub(since.secs()))
    }

    fn obey_node_command(&mut self, command: &Payload, at: Moment) -> Vec<Outgoing> {
        let asks = command.metrics.iter().any(|metric| {
            is_named(metric, REBIRTH, REBIRTH_ALIAS) && metric.value == Some(Value::Boolean(true))
        });
        if asks { self.births(at) } else { Vec::new() }
    }

    fn obey_device_command(
        &mut self,
        device: &str,
        command: &Payload,
        at: Moment,
    ) -> Vec<Outgoing> {
        let Some(index) = self.devices.iter().position(|own| own.name == device) else {
            return Vec::new();
        };
        let alias = self.first_alias(index);
        let asked = command
            .metrics
            .iter()
            .find_map(|metric| match metric.value {
                Some(Value::Boolean(value)) if is_named(metric, RUNNING, alias) => Some(value),
                _ => None,
            });
        let Some(is_running) = asked else {
            return Vec::new();
        };
        self.devices[index].is_running = is_running;
        let topic = self.topic("DDATA", Some(device));
        let running = Metric::changed(alias, Value::Boolean(is_running), at.0);
        vec![self.numbered(topic, vec![running], at)]
    }
}

/// A command names a metric or has the alias that stands for it.
fn is_named(metric: &Metric, name: &str, alias: u64) -> bool {
    match &metric.name {
        Some(said) if !said.is_empty() => said == name,
        _ => metric.alias == Some(alias),
    }
}

impl Behaviour for EdgeNode {
    fn last_words(&mut self, at: Moment) -> Outgoing {
        self.bd_seq = self.next_bd_seq;
        self.next_bd_seq = self.next_bd_seq.wrapping_add(1);
        self.death(at)
    }

    fn filters(&self) -> Vec<String> {
        vec![self.topic("NCMD", None), self.topic("DCMD", Some("+"))]
    }

    fn arrive(&mut self, at: Moment) -> Vec<Outgoing> {
        self.since.get_or_insert(at);
        self.births(at)
    }

    fn report(&mut self, at: Moment) -> Vec<Outgoing> {
        let uptime = Metric::changed(UPTIME_ALIAS, self.uptime(at), at.0);
        let mut said = vec![self.numbered(self.topic("NDATA", None), vec![uptime], at)];
        for index in 0..self.devices.len() {
            said.extend(self.device_data(index, at));
        }
        said
    }

    fn obey(&mut self, command: &Command, at: Moment) -> Reaction {
        // What is no payload of Sparkplug asks for nothing.
        let Ok(payload) = Payload::decode(command.payload.as_slice()) else {
            return Reaction::Say(Vec::new());
        };
        let device = (command.topic)
            .strip_prefix(&self.topic("DCMD", None))
            .and_then(|rest| rest.strip_prefix('/'));
        Reaction::Say(match device {
            Some(device) => self.obey_device_command(device, &payload, at),
            None => self.obey_node_command(&payload, at),
        })
    }

    /// A host application has to be told: after a DISCONNECT the broker does not publish the Will.
    fn leave(&mut self, at: Moment) -> Vec<Outgoing> {
        vec![self.death(at)]
    }

    /// Sparkplug's nodes retain nothing.
    fn retained(&self) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
