//! What the web UI's page is told of the brokers it can show: `config.json`, read by the page's `config.ts`.

use serde::Serialize;
use wigwag_broker::http::Router;

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
    /// Where people find it, if that is not where the browser goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Paths are seen from the page's base: a proxy may have put us below a prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<&'static str>,
}

/// How a browser reaches the broker with MQTT over WebSocket.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Url(String),
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
            address: None,
            metrics: None,
            api: None,
        }
    }

    /// The same, through the server of the page.
    pub(crate) fn behind(name: impl Into<String>, path: String, address: &str) -> PageBroker {
        PageBroker {
            address: Some(address.to_owned()),
            ..PageBroker::elsewhere(name, Way::Path(path))
        }
    }

    /// The broker that serves the page: everything of it is beside that.
    fn own() -> PageBroker {
        PageBroker {
            metrics: Some("metrics"),
            api: Some("api/v1"),
            ..PageBroker::elsewhere("local", Way::Path("mqtt".to_owned()))
        }
    }
}

/// The web UI of a broker in this process, served by that.
pub(crate) fn own() -> anyhow::Result<Router> {
    let config = PageConfig::new(vec![PageBroker::own()]);
    Ok(wigwag_ui::router(serde_json::to_value(config)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_told_of_each_broker_and_how_to_reach_it() {
        let config = PageConfig {
            version: "1",
            brokers: vec![
                PageBroker::own(),
                PageBroker::elsewhere("far", Way::Url("wss://far/mqtt".to_owned())),
            ],
        };
        let told = serde_json::to_string(&config).expect("plain data");
        let local = r#"{"name":"local","mqtt":{"path":"mqtt"},"metrics":"metrics","api":"api/v1"}"#;
        let far = r#"{"name":"far","mqtt":{"url":"wss://far/mqtt"}}"#;
        assert_eq!(
            told,
            format!(r#"{{"version":"1","brokers":[{local},{far}]}}"#)
        );
    }
}
