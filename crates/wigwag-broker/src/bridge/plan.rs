//! What a configuration asks of one bridge, with all names made out: the words of `conf` for the two clients
//! that a bridge is made of.

use std::time::Duration;

use crate::conf::Config;
use crate::conf::config::Bridge;

use super::topics::Lines;

/// One bridge as it is to be.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) said: Bridge,
    pub(super) remote_client_id: String,
    pub(super) local_client_id: String,
    /// Where the bridge tells whether it is connected, if it does.
    pub(super) notification_topic: Option<String>,
    pub(super) lines: Lines,
    pub(super) bounds: Bounds,
}

/// What the configuration says of all sessions, as far as it concerns bridges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) inflight_max: u16,
    pub(super) queue_qos0: bool,
}

impl Plan {
    /// The bridges of a configuration, in its order.
    pub(super) fn all(config: &Config) -> Vec<Plan> {
        let bridges = config.bridges.iter();
        bridges.map(|said| Plan::new(said, config)).collect()
    }

    fn new(said: &Bridge, config: &Config) -> Plan {
        let remote_client_id = (said.remote_clientid.clone())
            .unwrap_or_else(|| format!("{}.{}", host_name(), said.name));
        let notification_topic = said.notifications.then(|| {
            said.notification_topic
                .clone()
                .unwrap_or_else(|| format!("$SYS/broker/connection/{remote_client_id}/state"))
        });
        Plan {
            local_client_id: (said.local_clientid.clone())
                .unwrap_or_else(|| format!("local.{remote_client_id}")),
            notification_topic,
            remote_client_id,
            lines: Lines::new(&said.topics),
            bounds: Bounds {
                inflight_max: config.limits.max_inflight_messages.unwrap_or(u16::MAX),
                queue_qos0: config.delivery.queue_qos0_messages,
            },
            said: said.clone(),
        }
    }

    /// Whether nothing has changed, wherever in the file it may stand.
    pub(super) fn is_same(&self, other: &Plan) -> bool {
        let mut said = other.said.clone();
        said.place = self.said.place.clone();
        // When a change reaches the bridge is none.
        said.reload_immediately = self.said.reload_immediately;
        said == self.said && other.bounds == self.bounds
    }

    pub(super) fn has_clean_local_session(&self) -> bool {
        self.said
            .local_cleansession
            .unwrap_or(self.said.cleansession)
    }

    /// The server's address in the words of the client library.
    pub(super) fn addresses(&self) -> Vec<String> {
        let scheme = if self.said.tls.is_wanted() {
            "mqtts"
        } else {
            "mqtt"
        };
        let addresses = self.said.addresses.iter();
        addresses
            .map(|(host, port)| match host.contains(':') {
                true => format!("{scheme}://[{host}]:{port}"),
                false => format!("{scheme}://{host}:{port}"),
            })
            .collect()
    }

    /// How long an attempt may take. Slow links and handshakes count.
    pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
}

#[cfg(unix)]
fn host_name() -> String {
    let name = nix::unistd::gethostname().ok();
    let name = name.and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::conf::config::Place;

    fn bridge() -> Bridge {
        let place = Place {
            file: Path::new("m.conf").into(),
            line: 1,
        };
        let mut bridge = Bridge::new(place, "b".to_owned());
        bridge.addresses.push(("h".to_owned(), 1));
        bridge
    }

    fn plan(said: &Bridge) -> Plan {
        Plan::new(said, &Config::default())
    }

    #[test]
    fn names_are_made_of_the_hosts_and_the_bridges() {
        let mut said = bridge();
        let named = plan(&said);
        assert!(named.remote_client_id.ends_with(".b"), "{named:?}");
        assert_eq!(
            named.local_client_id,
            format!("local.{}", named.remote_client_id)
        );
        said.remote_clientid = Some("far".to_owned());
        let named = plan(&said);
        assert_eq!(named.local_client_id, "local.far");
        let topic = named.notification_topic.as_deref();
        assert_eq!(topic, Some("$SYS/broker/connection/far/state"));
    }

    #[test]
    fn addresses_say_how_they_are_reached() {
        let mut said = bridge();
        said.addresses.push(("::1".to_owned(), 2));
        assert_eq!(plan(&said).addresses(), ["mqtt://h:1", "mqtt://[::1]:2"]);
        said.tls.use_os_certs = true;
        assert_eq!(plan(&said).addresses(), ["mqtts://h:1", "mqtts://[::1]:2"]);
    }

    #[test]
    fn a_bridge_that_stands_elsewhere_in_the_file_is_the_same() {
        let said = bridge();
        let mut moved = said.clone();
        moved.place.line = 7;
        moved.reload_immediately = true;
        assert!(plan(&said).is_same(&plan(&moved)));
        moved.keepalive_interval = Duration::from_secs(7);
        assert!(!plan(&said).is_same(&plan(&moved)));
    }
}
