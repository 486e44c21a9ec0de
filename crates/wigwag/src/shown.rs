//! The brokers that a command line names for the page, and how a browser gets to each: by itself where it can, through
//! this server where it cannot.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use wigwag_broker::http::Router;
use wigwag_client::{Client, Tls};

use crate::page::{PageBroker, Way};
use crate::relay;

/// A broker by a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    name: String,
    url: String,
}

/// How brokers that are reached over TLS through this server are checked.
#[derive(Debug, clap::Args)]
pub(crate) struct TlsArgs {
    /// Trust the CAs in this PEM file instead of the system's, for mqtts://
    #[arg(long, value_name = "FILE")]
    cafile: Option<PathBuf>,

    /// Accept any certificate of mqtts:// brokers
    #[arg(long, conflicts_with = "cafile")]
    insecure: bool,
}

impl TlsArgs {
    fn read(&self) -> anyhow::Result<Tls> {
        let tls = match &self.cafile {
            Some(path) => {
                let pem = std::fs::read(path);
                Tls::ca_pem(pem.with_context(|| format!("cannot read {}", path.display()))?)
            }
            None => Tls::native_roots(),
        };
        Ok(if self.insecure {
            tls.dangerous_accept_any_certificate()
        } else {
            tls
        })
    }
}

impl Shown {
    /// Reads `[NAME=]URL`.
    pub(crate) fn parse(text: &str) -> Result<Shown, String> {
        let (name, url) = match text.split_once('=') {
            Some((name, url)) if !name.contains("://") => (Some(name), url),
            _ => (None, text),
        };
        if name.is_some_and(|name| name.trim().is_empty()) {
            return Err("there is no name in front of '='".to_owned());
        }
        let (scheme, rest) = url.split_once("://").ok_or(
            "no URL; write mqtt://HOST, mqtts://HOST, ws://HOST:PORT/PATH, wss://… or unix:///PATH",
        )?;
        let end_of_authority = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end_of_authority);
        if authority.contains('@') {
            return Err(
                "leave user name and password out: the page asks those who look at it".to_owned(),
            );
        }
        let known = ["ws", "wss", "mqtt", "tcp", "mqtts", "ssl", "tls", "unix"];
        if !known.contains(&scheme) {
            return Err(format!(
                "'{scheme}' is no way to a broker; mqtt, mqtts, ws, wss and unix are"
            ));
        }
        if authority.is_empty() && scheme != "unix" {
            return Err(format!("'{url}' names no host"));
        }
        let place = if authority.is_empty() {
            path
        } else {
            authority
        };
        Ok(Shown {
            name: name.unwrap_or(place).trim().to_owned(),
            url: url.to_owned(),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Browsers speak MQTT over WebSocket, and nothing else.
    fn is_for_browsers(&self) -> bool {
        self.url.starts_with("ws://") || self.url.starts_with("wss://")
    }
}

/// What the page is told of brokers, and the WebSockets for those that a browser cannot reach.
pub(crate) fn plan(shown: &[Shown], tls: &TlsArgs) -> anyhow::Result<(Vec<PageBroker>, Router)> {
    let mut names = HashSet::new();
    if let Some(twice) = shown.iter().find(|it| !names.insert(&it.name)) {
        bail!(
            "two brokers are called '{}'; give one another name: --broker NAME={}",
            twice.name,
            twice.url
        );
    }
    let (mut brokers, mut openers) = (Vec::new(), Vec::new());
    for (index, broker) in shown.iter().enumerate() {
        let number = index + 1;
        brokers.push(if broker.is_for_browsers() {
            PageBroker::elsewhere(&broker.name, Way::Url(broker.url.clone()))
        } else {
            let mut builder = Client::builder(&broker.url);
            if tls.cafile.is_some() || tls.insecure {
                builder = builder.tls(tls.read()?);
            }
            let opener = builder.opener();
            openers.push((
                number,
                opener.with_context(|| format!("--broker {}", broker.url))?,
            ));
            PageBroker::behind(&broker.name, relay::path(number), &broker.url)
        });
    }
    Ok((brokers, relay::router(openers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: TlsArgs = TlsArgs {
        cafile: None,
        insecure: false,
    };

    fn parsed(text: &str) -> Shown {
        Shown::parse(text).expect("valid")
    }

    #[test]
    fn a_broker_is_called_by_its_name_or_its_place() {
        for (text, name, url) in [
            ("mqtt://lab", "lab", "mqtt://lab"),
            ("mqtt://lab:1884", "lab:1884", "mqtt://lab:1884"),
            ("unix:///run/m.sock", "/run/m.sock", "unix:///run/m.sock"),
            ("wss://lab/mqtt?x=1", "lab", "wss://lab/mqtt?x=1"),
            ("Hall 3=mqtts://h", "Hall 3", "mqtts://h"),
        ] {
            let shown = parsed(text);
            assert_eq!((shown.name(), shown.url()), (name, url), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is() {
        for (text, said) in [
            ("localhost:1883", "mqtt://HOST"),
            ("http://localhost", "mqtt, mqtts, ws, wss and unix"),
            ("ws://", "names no host"),
            ("ws:///mqtt", "names no host"),
            ("=mqtt://h", "no name"),
            ("mqtt://me:secret@h", "the page asks"),
        ] {
            let error = Shown::parse(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_browsers_cannot_reach_goes_through_the_server() {
        let shown = ["ws://a:9001", "mqtt://b", "c=unix:///run/m.sock"].map(parsed);
        let (brokers, _) = plan(&shown, &SYSTEM).expect("valid");
        let told = serde_json::to_value(&brokers).expect("plain data");
        let expected = serde_json::json!([
            { "name": "a:9001", "mqtt": { "url": "ws://a:9001" } },
            { "name": "b", "mqtt": { "path": "mqtt/2" }, "address": "mqtt://b" },
            { "name": "c", "mqtt": { "path": "mqtt/3" }, "address": "unix:///run/m.sock" },
        ]);
        assert_eq!(told, expected);
    }

    #[test]
    fn a_name_is_given_once() {
        let shown = ["a=mqtt://b", "a=mqtt://c"].map(parsed);
        let error = plan(&shown, &SYSTEM).expect_err("twice").to_string();
        assert!(error.contains("'a'") && error.contains("NAME="), "{error}");
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_before_anything_listens() {
        let error = plan(&[parsed("mqtt://h:x")], &SYSTEM).expect_err("no port");
        assert!(format!("{error:#}").contains("port"), "{error:#}");
    }
}
