//! When devices were heard last, by topics of one form in which a level is the device's name.
//!
//! Pure: the time is an argument. There is one series for each device, so this is for those who ask for it, and
//! bounded.

use std::collections::BTreeMap;

use wigwag_proto::TopicFilter;

use super::names::Kind;
use super::text_format::{About, Page};

/// Devices that have a series; more are counted.
const DEVICES_MAX: usize = 10_000;

/// Which topics are those of devices.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    filter: String,
    /// The level that is the device's name, from 0.
    level: usize,
    /// Devices whose silence is to raise an alarm.
    critical: Vec<String>,
}

impl Plan {
    /// Takes a filter with one `+`, which stands for the names of devices.
    pub(super) fn new(filter: &str, critical: &[String]) -> Result<Plan, String> {
        let levels: Vec<&str> = filter.split('/').collect();
        let mut places = (0..).zip(&levels).filter(|(_, level)| **level == "+");
        match (TopicFilter::new(filter), places.next(), places.next()) {
            (Ok(_), Some((level, _)), None) if !filter.starts_with('$') => Ok(Plan {
                filter: filter.to_owned(),
                level,
                // An empty variable names none.
                critical: (critical.iter().filter(|name| !name.is_empty()))
                    .cloned()
                    .collect(),
            }),
            _ => Err(format!(
                "'{filter}' does not say which topics devices have: a topic filter with one '+' in place of their \
                 names is allowed, as in device/+/state"
            )),
        }
    }

    pub(super) fn filter(&self) -> &str {
        &self.filter
    }
}

/// The devices of one broker.
#[derive(Debug)]
pub(super) struct Devices {
    plan: Plan,
    /// By name: whether it is critical, and when it was heard, in seconds since 1970.
    heard: BTreeMap<String, (bool, f64)>,
    /// Messages of devices beyond the bound.
    left_out: u64,
}

impl Devices {
    /// Begins to listen. Critical devices count as heard now: their silence is to be noticed from the beginning.
    pub(super) fn new(plan: Plan, unix_secs: f64) -> Devices {
        let critical = plan.critical.iter().cloned();
        Devices {
            heard: critical.map(|name| (name, (true, unix_secs))).collect(),
            plan,
            left_out: 0,
        }
    }

    /// A message of a topic that fits the filter. A retained one says nothing of when the device sent it.
    pub(super) fn handle_message(&mut self, topic: &str, is_retained: bool, unix_secs: f64) {
        let Some(name) = topic
            .split('/')
            .nth(self.plan.level)
            .filter(|_| !is_retained)
        else {
            return;
        };
        if let Some((_, heard)) = self.heard.get_mut(name) {
            *heard = unix_secs;
        } else if self.heard.len() < DEVICES_MAX {
            self.heard.insert(name.to_owned(), (false, unix_secs));
        } else {
            self.left_out += 1;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody counts 2^53 messages")]
    pub(super) fn write(&self, page: &mut Page) {
        for (name, (is_critical, heard)) in &self.heard {
            let critical = if *is_critical { "true" } else { "false" };
            page.add(
                LAST_SEEN,
                &[("critical", critical), ("device", name)],
                *heard,
            );
        }
        page.add(LEFT_OUT, &[], self.left_out as f64);
    }
}

const LAST_SEEN: About<'_> = About {
    name: "mqtt_device_last_seen_timestamp_seconds",
    kind: Kind::Gauge,
    help: "When a device was heard last, in seconds since 1970; a critical one that was never heard counts from the start",
};
const LEFT_OUT: About<'_> = About {
    name: "mqtt_device_messages_left_out_total",
    kind: Kind::Counter,
    help: "Messages of devices beyond the 10000 that have a series",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(filter: &str, critical: &[&str]) -> Devices {
        let critical: Vec<String> = critical.iter().map(|&name| name.to_owned()).collect();
        Devices::new(Plan::new(filter, &critical).expect("a filter"), 100.0)
    }

    fn samples(devices: &Devices) -> Vec<String> {
        let mut page = Page::default();
        devices.write(&mut page);
        let text = page.into_text();
        let samples = text
            .lines()
            .filter(|line| line.starts_with("mqtt_device_last"));
        samples.map(str::to_owned).collect()
    }

    #[test]
    fn a_device_is_heard_by_what_it_sends_and_not_by_what_is_retained() {
        let mut devices = devices("device/+/state", &["2"]);
        devices.handle_message("device/1/state", false, 107.5);
        devices.handle_message("device/2/state", true, 108.0);
        devices.handle_message("device/3/state", true, 109.0);
        let name = "mqtt_device_last_seen_timestamp_seconds";
        assert_eq!(
            samples(&devices),
            [
                format!("{name}{{critical=\"false\",device=\"1\"}} 107.5"),
                format!("{name}{{critical=\"true\",device=\"2\"}} 100"),
            ]
        );
        devices.handle_message("device/2/state", false, 110.0);
        assert!(samples(&devices)[1].ends_with("} 110"));
    }

    #[test]
    fn the_name_is_the_level_that_the_filter_leaves_open() {
        let mut devices = devices("plant/+/line/#", &[]);
        devices.handle_message("plant/north/line/7/speed", false, 1.0);
        assert!(samples(&devices)[0].contains("device=\"north\""));
    }

    #[test]
    fn devices_beyond_the_bound_are_counted() {
        let mut devices = devices("+", &[]);
        for number in 0..=DEVICES_MAX {
            devices.handle_message(&number.to_string(), false, 1.0);
        }
        assert_eq!((devices.heard.len(), devices.left_out), (DEVICES_MAX, 1));
    }

    #[test]
    fn a_filter_without_a_place_for_the_name_is_refused() {
        for filter in ["device/state", "+/+", "#", "", "device/+/#/x", "$SYS/+"] {
            assert!(Plan::new(filter, &[]).is_err(), "{filter}");
        }
    }
}
