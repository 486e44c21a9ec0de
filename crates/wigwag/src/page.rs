//! What the web UI's page is told of the brokers it can show: `config.json`, read by the page's `config.ts`.

use serde::Serialize;

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct PageConfig {
    version: &'static str,
    brokers: Vec<PageBroker>,
}

/// A broker, by a name unlike that of any other.
#[derive(Debug, Serialize)]
pub(crate) struct PageBroker {
    name: String,
    mqtt: Way,
    /// Paths are seen from the page's base: a proxy may have put us below a prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'static str>,
}

/// How a browser reaches the broker with MQTT over WebSocket.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Url(String),
    /// Of the host that has served the page.
    Port(u16),
    /// Of the server that has served the page, seen from the page's base.
    Path(String),
}

impl PageConfig {
    pub(crate) fn new(brokers: Vec<PageBroker>) -> PageConfig {
        let version = env!("CARGO_PKG_VERSION");
        PageConfig { version, brokers }
    }
}

impl PageBroker {
    /// A broker of others, of which the server of the page shows nothing itself.
    pub(crate) fn elsewhere(name: impl Into<String>, mqtt: Way) -> PageBroker {
        PageBroker {
            name: name.into(),
            mqtt,
            metrics: None,
        }
    }

    /// The broker of this process, whose metrics are beside the page.
    pub(crate) fn own(name: impl Into<String>, mqtt: Way) -> PageBroker {
        PageBroker {
            metrics: Some("metrics"),
            ..PageBroker::elsewhere(name, mqtt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_told_of_each_broker_and_how_to_reach_it() {
        let config = PageConfig {
            version: "1",
            brokers: vec![
                PageBroker::own("local", Way::Port(9001)),
                PageBroker::elsewhere("far", Way::Url("wss://far/mqtt".to_owned())),
            ],
        };
        let told = serde_json::to_string(&config).expect("plain data");
        let local = r#"{"name":"local","mqtt":{"port":9001},"metrics":"metrics"}"#;
        let far = r#"{"name":"far","mqtt":{"url":"wss://far/mqtt"}}"#;
        assert_eq!(
            told,
            format!(r#"{{"version":"1","brokers":[{local},{far}]}}"#)
        );
    }
}
