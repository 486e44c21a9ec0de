//! A configuration that is read again while the broker runs.
//!
//! Everything is made ready before anything is changed, so a reload that fails leaves all as it was. What
//! has been granted to clients that are connected stays; listeners stay where they are.

use std::sync::Arc;

use crate::access::{AccessError, AccessSettings};
use crate::broker::Broker;
use crate::certificates::CertificateError;
use crate::conf::Config;
use crate::conf::config::Bind;
use crate::entrance::{Entrance, House, Rules};
use crate::listener::Listener;
use crate::opening::{self, Common};
use crate::plan;

/// Why a reload has changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A listener is no longer there, or there is one more.
    #[error(
        "It is not currently possible to add/remove listeners when reloading the config file: {0} needs a restart."
    )]
    Listeners(String),
    /// A file of a listener's TLS cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// A file of access cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// What a reload needs to know of the start.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listeners: Vec<Listener>,
    /// In the same order.
    pub(crate) entrances: Vec<Arc<Entrance>>,
    pub(crate) house: Arc<House>,
    /// The ports of local only mode.
    pub(crate) ports: Vec<u16>,
}

impl Broker {
    /// Lets a configuration hold that has been read again: certificates, limits, access, and what is said
    /// of listeners. Options of the process and of sockets hold from the start to the end.
    pub fn reload(&self, config: &Config) -> Result<(), ReloadError> {
        let settings = plan::settings(config);
        let common = Common {
            limits: &settings.limits,
            head_size_max: usize::from(config.limits.packet_buffer_size),
            key_log: self.key_log().cloned(),
            log: self.log(),
        };
        let listening = self.listening();
        let wanted = plan::listeners(config, &listening.ports);
        let wanted: Vec<&Listener> = matched(&listening.listeners, &wanted)?.collect();
        let rules = (wanted.iter())
            .zip(0..)
            .map(|(listener, number)| opening::rules(number, &listener.said, &common))
            .collect::<Result<Vec<Rules>, _>>()?;
        let said: Vec<&_> = wanted.iter().map(|listener| &listener.said).collect();
        // The last that can fail, and nothing before it has changed anything.
        self.reload_access(&AccessSettings::from_config(config, &said)?)?;
        for (entrance, rules) in listening.entrances.iter().zip(rules) {
            entrance.set_rules(rules);
        }
        let max_connections = config.limits.global_max_connections;
        listening.house.set_guests_max(max_connections);
        self.set_settings(&settings);
        Ok(())
    }
}

/// Of the wanted listeners, those that are there, in the order of those that are there.
fn matched<'a>(
    present: &[Listener],
    wanted: &'a [Listener],
) -> Result<impl Iterator<Item = &'a Listener> + use<'a>, ReloadError> {
    let is_same = |a: &Listener, b: &Listener| place(&a.said.bind) == place(&b.said.bind);
    let of = |listener: &Listener, others: &'a [Listener]| {
        others.iter().find(|other| is_same(listener, other))
    };
    let missing = |listener: &Listener| ReloadError::Listeners(listener.said.bind.to_string());
    if let Some(added) = wanted
        .iter()
        .find(|wanted| !present.iter().any(|present| is_same(present, wanted)))
    {
        return Err(missing(added));
    }
    let found = present
        .iter()
        .map(|listener| of(listener, wanted).ok_or_else(|| missing(listener)));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter())
}

/// What makes a listener the same one: where it is.
fn place(bind: &Bind) -> (Option<&str>, u16, Option<&std::path::Path>) {
    match bind {
        Bind::Tcp { host, port, .. } => (host.as_deref(), *port, None),
        Bind::Unix(path) => (None, 0, Some(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::config::Listener as Said;

    fn listeners(ports: &[u16]) -> Vec<Listener> {
        let said = ports.iter().map(|port| Said::new(Bind::tcp(None, *port)));
        said.map(Listener::from).collect()
    }

    fn ports(present: &[u16], wanted: &[u16]) -> Result<Vec<u16>, String> {
        let wanted = listeners(wanted);
        let found = matched(&listeners(present), &wanted).map_err(|error| error.to_string())?;
        let port = |listener: &Listener| match listener.said.bind {
            Bind::Tcp { port, .. } => port,
            Bind::Unix(_) => 0,
        };
        Ok(found.map(port).collect())
    }

    #[test]
    fn listeners_keep_their_numbers_when_the_file_has_another_order() {
        assert_eq!(ports(&[1, 2, 3], &[3, 1, 2]), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn listeners_cannot_come_or_go() {
        let error = ports(&[1, 2], &[1, 2, 3]).expect_err("one more");
        assert!(error.contains("port 3 needs a restart"), "{error}");
        let error = ports(&[1, 2], &[1]).expect_err("one less");
        assert!(error.contains("port 2 needs a restart"), "{error}");
    }
}
