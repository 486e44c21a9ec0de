//! A configuration that is read again while the broker runs.
//!
//! Everything is made ready before anything is changed, so a reload that fails leaves all as it was. What
//! has been granted to clients that are connected stays; listeners stay where they are.

use std::sync::Arc;

use wigwag_net::tls::KeyLogFile;

use crate::access::{AccessError, AccessSettings};
use crate::broker::Broker;
use crate::certificates::CertificateError;
use crate::conf::Config;
use crate::conf::config::Bind;
use crate::entrance::{Entrance, House, Rules};
use crate::listener::Listener;
use crate::machine;
use crate::opening::{self, Common};
use crate::plan;

/// Why a reload has changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A listener is no longer there, or there is one more.
    #[error(
        "It is not currently possible to add/remove listeners when reloading the config file: {0} needs a restart"
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
pub(crate) struct Start {
    /// If there was one.
    pub(crate) config: Option<Config>,
    /// The ports of local only mode.
    pub(crate) ports: Vec<u16>,
    pub(crate) listeners: Vec<Listener>,
    /// In the same order.
    pub(crate) entrances: Vec<Arc<Entrance>>,
    pub(crate) house: Arc<House>,
    pub(crate) key_log: Option<Arc<KeyLogFile>>,
    pub(crate) claimed_topics: Vec<Box<str>>,
}

impl Broker {
    /// Lets a configuration hold that has been read again: certificates, limits, access, and what is said of
    /// listeners. Answers with the options that have another value and keep the old one until the broker is
    /// started again.
    ///
    /// Waits for the disk.
    pub fn reload(&self, config: &Config) -> Result<Vec<&'static str>, ReloadError> {
        let outcome = self.exchange_all(config);
        self.observer().note_reload(outcome.is_ok());
        outcome
    }

    fn exchange_all(&self, config: &Config) -> Result<Vec<&'static str>, ReloadError> {
        let start = self.start_state();
        let mut settings = plan::settings(config);
        machine::bound(&mut settings);
        settings.claimed_topics.clone_from(&start.claimed_topics);
        let common = Common {
            limits: &settings.limits,
            head_size_max: usize::from(config.limits.packet_buffer_size),
            key_log: start.key_log.clone(),
            log: self.log(),
        };
        let wanted = plan::listeners(config, &start.ports);
        let listeners = matched(&start.listeners, &wanted)?;
        let rules = listeners
            .iter()
            .zip(0..)
            .map(|(listener, number)| opening::rules(number, &listener.said, &common))
            .collect::<Result<Vec<Rules>, _>>()?;
        // In the order in which they were numbered at the start.
        let said: Vec<&_> = listeners.iter().map(|listener| &listener.said).collect();
        // The last step that may fail.
        self.reload_access(&AccessSettings::from_config(config, &said)?)?;
        for (entrance, rules) in start.entrances.iter().zip(rules) {
            entrance.set_rules(rules);
        }
        start
            .house
            .set_guests_max(config.limits.global_max_connections);
        self.set_settings(&settings);
        let before = start.config.as_ref();
        Ok(before.map_or_else(Vec::new, |before| waiting(before, config)))
    }
}

/// Options of the process and of sockets hold from the start to the end: which of them have changed?
fn waiting(before: &Config, after: &Config) -> Vec<&'static str> {
    let sockets = |config: &Config| -> Vec<Bind> {
        let mut binds: Vec<Bind> = (config.listeners.iter())
            .map(|listener| listener.bind.clone())
            .collect();
        binds.sort_by_key(ToString::to_string);
        binds
    };
    let http = |config: &Config| format!("{:?}", plan::http_listeners(config));
    [
        ("user", before.process.user != after.process.user),
        (
            "pid_file",
            before.process.pid_file != after.process.pid_file,
        ),
        ("sys_interval", before.sys_interval != after.sys_interval),
        (
            "enable_control_api",
            before.enable_control_api != after.enable_control_api,
        ),
        (
            "bind_interface or socket_domain",
            sockets(before) != sockets(after),
        ),
        ("protocol http_api", http(before) != http(after)),
    ]
    .into_iter()
    .filter_map(|(option, has_changed)| has_changed.then_some(option))
    .collect()
}

/// Of the wanted listeners, those that are there, in the order of those that are there.
fn matched<'a>(
    present: &[Listener],
    wanted: &'a [Listener],
) -> Result<Vec<&'a Listener>, ReloadError> {
    let is_same = |a: &Listener, b: &Listener| place(&a.said.bind) == place(&b.said.bind);
    let count = |listener: &Listener, others: &[Listener]| {
        let same = others.iter().filter(|other| is_same(listener, other));
        same.count()
    };
    let missing = |listener: &Listener| ReloadError::Listeners(listener.said.bind.to_string());
    let mut all = wanted.iter().chain(present);
    if let Some(odd) = all.find(|listener| count(listener, present) != count(listener, wanted)) {
        return Err(missing(odd));
    }
    let found = present.iter().map(|listener| {
        let mut same = wanted.iter().filter(|other| is_same(listener, other));
        if count(listener, present) == 1 {
            same.next()
        } else {
            // Those of one port differ in interface or family, and must not get each other's rules.
            same.find(|other| other.said.bind == listener.said.bind)
        }
        .ok_or_else(|| missing(listener))
    });
    found.collect()
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
        Ok(found.into_iter().map(port).collect())
    }

    #[test]
    fn listeners_keep_their_numbers_when_the_file_has_another_order() {
        assert_eq!(ports(&[1, 2, 3], &[3, 1, 2]), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn listeners_of_one_port_are_told_apart_by_what_else_they_are_bound_to() {
        let on = |interface: &str| {
            let mut bind = Bind::tcp(None, 1883);
            if let Bind::Tcp { interface: to, .. } = &mut bind {
                *to = Some(interface.to_owned());
            }
            Listener::from(Said::new(bind))
        };
        let interfaces = |present: &[Listener], wanted: &[Listener]| -> Result<Vec<_>, String> {
            let found = matched(present, wanted).map_err(|error| error.to_string())?;
            Ok(found.iter().map(|found| found.said.bind.clone()).collect())
        };
        let (inside, outside) = (on("eth0"), on("eth1"));
        let binds = vec![inside.said.bind.clone(), outside.said.bind.clone()];
        let present = [inside.clone(), outside.clone()];
        let swapped = [outside.clone(), inside.clone()];
        assert_eq!(interfaces(&present, &swapped), Ok(binds));
        let error = interfaces(&present, &[inside.clone(), on("eth2")]);
        assert!(error.expect_err("another").contains("needs a restart"));
        let error = interfaces(&present[..1], &present);
        assert!(error.expect_err("one more").contains("needs a restart"));
        // The only one of its port is the same one; that its interface waits is said.
        assert!(interfaces(&present[..1], &[outside]).is_ok());
    }

    #[test]
    fn listeners_cannot_come_or_go() {
        let error = ports(&[1, 2], &[1, 2, 3]).expect_err("one more");
        assert!(error.contains("port 3 needs a restart"), "{error}");
        let error = ports(&[1, 2], &[1]).expect_err("one less");
        assert!(error.contains("port 2 needs a restart"), "{error}");
    }
}
