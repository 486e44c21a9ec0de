//! A configuration that is read again while the broker runs.
//!
//! Everything is made ready before anything is changed, so a reload that fails leaves all as it was: files
//! are read, sockets are opened, and only then what is new takes the place of what was. What has been granted
//! to clients that are connected stays; a listener that goes takes its connections with it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use wigwag_engine::proto::ReasonCode;
use wigwag_engine::{Kick, Who};
use wigwag_net::tls::KeyLogFile;

use crate::access::{AccessError, AccessSettings};
use crate::alarms;
use crate::broker::Broker;
use crate::certificates::CertificateError;
use crate::conf::Config;
use crate::conf::config::{Listener as Said, LogType};
use crate::doors::{ClosedListener, Doorkeeper, OpenListener, Sockets};
use crate::entrance::{Entrance, House, Rules};
use crate::http::{ClosedHttp, HttpKeeper, HttpListener, OpenHttp};
use crate::listener::{Listener, StartError};
use crate::logging::Log;
use crate::machine;
use crate::opening::{self, Common};
use crate::persist;
use crate::plan;
use crate::recorder::Recording;

/// Numbers that listeners get; further up are those that serve HTTP.
const NUMBERS: u16 = 32_768;

/// Why a reload has changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] StartError),
    /// A file of a listener's TLS cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// A file of access cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Every listener that is opened gets another number, and there are no more.
    #[error("listeners have been exchanged {NUMBERS} times; the broker has to be started again")]
    Numbers,
    /// The thread of bridges, or its runtime, could not be made.
    #[error("bridges cannot be started")]
    Bridges(#[source] io::Error),
}

/// What a reload finds.
#[derive(Debug)]
pub(crate) struct Standing {
    /// If there was one.
    pub(crate) config: Option<Config>,
    /// The ports of local only mode.
    pub(crate) ports: Vec<u16>,
    /// By their numbers.
    pub(crate) listeners: Vec<OpenListener>,
    /// Of the next listener.
    pub(crate) next_number: u16,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) house: Arc<House>,
    pub(crate) key_log: Option<Arc<KeyLogFile>>,
    pub(crate) claimed_topics: Vec<Box<str>>,
    pub(crate) http: Vec<OpenHttp>,
    pub(crate) http_keeper: HttpKeeper,
}

/// What becomes of the listeners.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    /// They stay: which of those that are there, and which of those that are wanted.
    kept: Vec<(usize, usize)>,
    /// Their sockets stay and lead somewhere else.
    exchanged: Vec<(usize, usize)>,
    /// Wanted ones that are not there.
    new: Vec<usize>,
    /// Those that are no longer wanted.
    gone: Vec<usize>,
}

impl Changes {
    /// A listener is the same one if it is in the same place and its connections come in the same way.
    fn find(present: &[OpenListener], wanted: &[Listener]) -> Changes {
        let mut changes = Changes::default();
        let mut is_found = vec![false; present.len()];
        for (index, wanted) in wanted.iter().enumerate() {
            let found = present.iter().zip(&is_found).position(|(open, is_found)| {
                !is_found && open.listener.said.bind == wanted.said.bind
            });
            let Some(found) = found else {
                changes.new.push(index);
                continue;
            };
            is_found[found] = true;
            if present[found].carries_like(wanted) {
                changes.kept.push((found, index));
            } else {
                changes.exchanged.push((found, index));
            }
        }
        let gone = is_found
            .iter()
            .enumerate()
            .filter(|(_, is_found)| !**is_found);
        changes.gone = gone.map(|(index, _)| index).collect();
        changes
    }
}

impl Broker {
    /// Lets a configuration hold that has been read again: listeners, certificates, limits, access. Answers
    /// with the options that have another value and keep the old one until the broker is started again.
    ///
    /// Listeners that are new are opened, those that are gone are closed, and so are the connections that came
    /// by them, with DISCONNECT 0x98. Whatever cannot be read or opened leaves all as it was.
    ///
    /// Waits for the disk.
    pub fn reload(&mut self, config: &Config) -> Result<Vec<&'static str>, ReloadError> {
        let outcome = self.exchange_all(config);
        self.observer().note_reload(outcome.is_ok());
        outcome
    }

    /// Notes that there is a configuration that could not even be read, so that [`Broker::reload`] was not asked.
    /// The metrics tell of it as of a reload that has failed.
    pub fn note_unreadable_configuration(&self) {
        self.observer().note_reload(false);
    }

    fn exchange_all(&mut self, config: &Config) -> Result<Vec<&'static str>, ReloadError> {
        let log = self.log().clone();
        let access = self.access().cloned();
        let alarm_rules = alarms::rules(config);
        let heard = alarms::heard(&alarm_rules);
        if let Some(bridges) = self.bridges_handle() {
            // The policies that shards will ask for are to know of bridges.
            (bridges.announce(Some(config), !heard.is_empty())).map_err(ReloadError::Bridges)?;
        }
        let standing = self.standing();
        let mut settings = plan::settings(config);
        machine::bound(&mut settings);
        settings.claimed_topics.clone_from(&standing.claimed_topics);
        let common = Common {
            limits: &settings.limits,
            head_size_max: usize::from(config.limits.packet_buffer_size),
            key_log: standing.key_log.clone(),
            log: &log,
        };
        let wanted = plan::listeners(config, &standing.ports);
        let changes = Changes::find(&standing.listeners, &wanted);
        let (numbers, next_number) = standing.numbers(&changes, wanted.len())?;
        let rules = (wanted.iter().zip(&numbers))
            .map(|(listener, &number)| opening::rules(number, &listener.said, &common))
            .collect::<Result<Vec<Rules>, _>>()?;
        let by_number = by_number(&wanted, &numbers, next_number);
        let access_settings = AccessSettings::from_config(config, &by_number)?;
        let ready = match &access {
            Some(access) => Some(access.prepare(&access_settings, &vacant(config, &by_number))?),
            None => None,
        };
        let http = HttpChanges::prepare(&standing.http, config)?;
        // The last step that may fail.
        let sockets = standing.open_new(&changes, &wanted, &log)?;
        // Who comes by a new listener is judged by what is said of it.
        let kick = access.as_ref().zip(ready);
        let kick = kick.map(|(access, ready)| access.exchange(ready));
        let gone = standing.exchange(&changes, wanted, rules, sockets, &log);
        standing.exchange_http(http, &log);
        standing.next_number = next_number;
        (standing.house).set_guests_max(config.limits.global_max_connections);
        let waits = match &standing.config {
            Some(before) => waiting(before, config),
            None => Vec::new(),
        };
        self.set_settings(&settings);
        self.set_autosave(persist::autosave(config));
        let begun = self.observer().set_alarm_rules(alarm_rules);
        let closed = gone.into_iter().map(|number| Kick {
            who: Who::Listener(number),
            reason: ReasonCode::AdministrativeAction,
            with_will: true,
        });
        kick.into_iter()
            .chain(closed)
            .for_each(|kick| self.kick(kick));
        self.follow_listeners();
        if let Some(bridges) = self.bridges_handle() {
            bridges.apply(config);
            bridges.listen(heard, &begun, &self.observer().ear());
        }
        if let Err(error) = self.record(Recording::from_config(config)) {
            let text = format_args!("The broker cannot record messages: {error}.");
            log.write(LogType::Error, text);
        }
        if let Some(access) = access {
            access.tell_of(config.enable_control_api, &self.standing().listeners);
        }
        Ok(waits)
    }
}

/// What is said of each number; nothing of those that no listener has any more.
fn by_number<'a>(
    wanted: &'a [Listener],
    numbers: &[u16],
    next_number: u16,
) -> Vec<Option<&'a Said>> {
    let mut said = vec![None; usize::from(next_number)];
    for (listener, &number) in wanted.iter().zip(numbers) {
        if let Some(said) = said.get_mut(usize::from(number)) {
            *said = Some(&listener.said);
        }
    }
    said
}

/// The numbers of listeners that are gone and had rules of their own: their clients' sessions keep them.
fn vacant(config: &Config, by_number: &[Option<&Said>]) -> Vec<u16> {
    let numbers = (0..).zip(by_number);
    numbers
        .filter(|(_, said)| said.is_none() && config.per_listener_settings)
        .map(|(number, _)| number)
        .collect()
}

impl Standing {
    /// The numbers of the wanted listeners, and the next one.
    fn numbers(&self, changes: &Changes, wanted: usize) -> Result<(Vec<u16>, u16), ReloadError> {
        let mut kept = vec![None; wanted];
        for &(open, index) in &changes.kept {
            kept[index] = Some(self.listeners[open].number());
        }
        let mut next = self.next_number;
        let numbers = kept.into_iter().map(|kept| {
            kept.unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        });
        let numbers = numbers.collect();
        if next > NUMBERS {
            return Err(ReloadError::Numbers);
        }
        Ok((numbers, next))
    }

    /// The sockets of the new listeners, in their order. Ports that a listener has that goes are given up for
    /// that, and taken again if it comes to nothing.
    fn open_new(
        &mut self,
        changes: &Changes,
        wanted: &[Listener],
        log: &Log,
    ) -> Result<Vec<Sockets>, StartError> {
        let mut opened: Vec<Option<Sockets>> = changes.new.iter().map(|_| None).collect();
        let mut put_off = Vec::new();
        let mut in_the_way = BTreeSet::new();
        for (slot, &index) in changes.new.iter().enumerate() {
            let bind = &wanted[index].said.bind;
            let gone = changes.gone.iter().copied();
            let blocking: Vec<usize> = gone
                .filter(|&open| self.listeners[open].is_in_the_way_of(bind))
                .collect();
            if blocking.is_empty() {
                opened[slot] = Some(opening::sockets(&wanted[index], log)?);
            } else {
                put_off.push((slot, index));
                in_the_way.extend(blocking);
            }
        }
        for &open in &in_the_way {
            self.listeners[open].close(log);
        }
        let outcome = put_off.into_iter().try_for_each(|(slot, index)| {
            opened[slot] = Some(opening::sockets(&wanted[index], log)?);
            Ok(())
        });
        let opened: Vec<Sockets> = opened.into_iter().flatten().collect();
        let mut stay = changes.kept.iter().chain(&changes.exchanged);
        let is_somewhere = stay.any(|&(open, _)| self.listeners[open].is_there())
            || opened.iter().any(|sockets| !sockets.is_empty())
            || wanted.is_empty();
        match outcome {
            Ok(()) if is_somewhere => Ok(opened),
            failed => {
                drop(opened);
                for open in in_the_way {
                    self.listeners[open].open_again(&self.doorkeeper, log);
                }
                Err(failed.err().unwrap_or(StartError::Nowhere))
            }
        }
    }

    /// Lets everything hold that has been made ready. Answers with the numbers of the listeners that are gone.
    fn exchange(
        &mut self,
        changes: &Changes,
        wanted: Vec<Listener>,
        rules: Vec<Rules>,
        sockets: Vec<Sockets>,
        log: &Log,
    ) -> Vec<u16> {
        let mut gone = Vec::new();
        let mut wanted: Vec<_> = wanted.into_iter().zip(rules).map(Some).collect();
        for &(open, index) in &changes.kept {
            if let Some((listener, rules)) = wanted[index].take() {
                self.listeners[open].entrance().set_rules(rules);
                self.listeners[open].listener = listener;
            }
        }
        for &(open, index) in &changes.exchanged {
            if let Some((listener, rules)) = wanted[index].take() {
                let open = &mut self.listeners[open];
                gone.push(open.number());
                open.entrance().close();
                open.lead_to(&Arc::new(Entrance::new(rules, &self.house)));
                open.listener = listener;
            }
        }
        for &open in changes.gone.iter().rev() {
            let mut open = self.listeners.remove(open);
            gone.push(open.number());
            open.entrance().close();
            open.close(log);
        }
        for ((listener, rules), sockets) in wanted.into_iter().flatten().zip(sockets) {
            self.listeners.push(self.doorkeeper.open(ClosedListener {
                listener,
                entrance: Arc::new(Entrance::new(rules, &self.house)),
                sockets,
            }));
        }
        self.listeners.sort_by_key(OpenListener::number);
        gone
    }
}

/// What becomes of the places where metrics are served.
struct HttpChanges {
    /// What is served from here on where a line of the configuration asks for it, in the order of those that
    /// are open; nothing where none does any more.
    kept: Vec<Option<HttpListener>>,
    new: Vec<ClosedHttp>,
}

impl HttpChanges {
    /// Opens the sockets of the new ones.
    fn prepare(present: &[OpenHttp], config: &Config) -> Result<HttpChanges, StartError> {
        let mut kept: Vec<Option<HttpListener>> = present.iter().map(|_| None).collect();
        let mut new = Vec::new();
        for wanted in plan::http_listeners(config) {
            let mut open = present.iter().zip(&mut kept);
            let free = open.find(|(open, kept)| {
                kept.is_none()
                    && open.listener.is_configured()
                    && open.listener.addr() == wanted.addr()
            });
            match free {
                Some((_, kept)) => *kept = Some(wanted),
                None => new.push(ClosedHttp::bind(wanted)?),
            }
        }
        Ok(HttpChanges { kept, new })
    }
}

impl Standing {
    fn exchange_http(&mut self, changes: HttpChanges, log: &Log) {
        let open = std::mem::take(&mut self.http);
        for (mut open, kept) in open.into_iter().zip(changes.kept) {
            match kept {
                Some(listener) => self.http_keeper.exchange(&mut open, listener),
                None if open.listener.is_configured() => {
                    open.close(log);
                    continue;
                }
                None => {}
            }
            self.http.push(open);
        }
        let new = changes.new.into_iter();
        self.http
            .extend(new.map(|closed| self.http_keeper.open(closed)));
    }
}

/// Options of the process hold from the start to the end: which of them have changed?
fn waiting(before: &Config, after: &Config) -> Vec<&'static str> {
    [
        ("user", before.process.user != after.process.user),
        (
            "pid_file",
            before.process.pid_file != after.process.pid_file,
        ),
        ("sys_interval", before.sys_interval != after.sys_interval),
        (
            "persistence or where it is",
            persist::folder(before) != persist::folder(after),
        ),
    ]
    .into_iter()
    .filter_map(|(option, has_changed)| has_changed.then_some(option))
    .collect()
}
