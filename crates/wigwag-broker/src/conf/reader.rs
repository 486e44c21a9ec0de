//! Reads configuration files line by line into a draft, by the table of options.
//!
//! A line that is wrong is noted and passed over, so that one run tells all there is to mend. Sections are
//! by position: which listener, bridge or plugin a line is about is said by the lines above it in its file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::{Bind, Bridge, BuiltIn, Config, Place, Plugin};
use super::draft::{Draft, ListenerDraft, SecurityDraft};
use super::files::Files;
use super::problem::{Problem, Problems, Remark, Weight, nearest};
use super::table::{self, Effect, Kind, Range, Row, Section, Set, Special, Try};
use super::value::{empty, first_word, parse_bool, parse_in_range, parse_text};
use crate::persist;

/// A configuration that can be used, and what is worth saying about it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it says.
    pub config: Config,
    /// For the log.
    pub remarks: Vec<Remark>,
}

/// Reads a file and those that it includes.
pub fn read(path: &Path, files: &dyn Files) -> Result<Reading, Problems> {
    let mut reader = Reader {
        files,
        draft: Draft::default(),
        problems: Vec::new(),
        remarks: Vec::new(),
        said: BTreeMap::new(),
    };
    reader.read_file(path, None);
    reader.finish()
}

struct Reader<'a> {
    files: &'a dyn Files,
    draft: Draft,
    problems: Vec<Problem>,
    remarks: Vec<Remark>,
    /// Where each option that may be said once has been said, for each thing that it is about.
    said: BTreeMap<(About, &'static str), Place>,
}

/// What an option is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Broker,
    Listener(usize),
    Bridge(usize),
    Plugin(usize),
}

/// The sections that are open in one file: each begins without.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    listener: Option<usize>,
    bridge: Option<usize>,
    plugin: Option<usize>,
}

type Outcome<T = ()> = Result<T, String>;

impl Reader<'_> {
    /// `included_by` is the line that names the file, if another file does.
    fn read_file(&mut self, path: &Path, included_by: Option<&Place>) {
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let what = match error.kind() {
                    std::io::ErrorKind::IsADirectory => {
                        format!("Config file '{}' is a directory.", path.display())
                    }
                    _ => format!("Unable to open config file '{}'. {error}.", path.display()),
                };
                return self.problems.push(Problem {
                    place: included_by.cloned(),
                    text: what,
                });
            }
        };
        let file: Arc<Path> = path.into();
        let mut open = Open::default();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = Place {
                file: Arc::clone(&file),
                line: index + 1,
            };
            if line.starts_with(b"#") {
                continue;
            }
            let outcome = match std::str::from_utf8(line) {
                Ok(line) => self.read_line(
                    &mut open,
                    &place,
                    line.trim_end_matches('\r'),
                    included_by.is_none(),
                ),
                Err(_) => Err("Malformed UTF-8 in configuration.".to_owned()),
            };
            if let Err(mut text) = outcome {
                if !text.ends_with(['.', '?']) {
                    text.push('.');
                }
                self.problem(&place, text);
            }
        }
    }

    fn problem(&mut self, place: &Place, text: String) {
        self.problems.push(Problem {
            place: Some(place.clone()),
            text,
        });
    }

    fn remark(&mut self, place: &Place, weight: Weight, text: String) {
        self.remarks.push(Remark {
            place: Some(place.clone()),
            weight,
            text,
        });
    }

    fn read_line(&mut self, open: &mut Open, place: &Place, line: &str, is_main: bool) -> Outcome {
        let line = line.trim_start_matches(' ');
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        if name.is_empty() {
            return Ok(());
        }
        let row = table::find(name).ok_or_else(|| unknown(name))?;
        self.remark_on(row, name, rest, place)?;
        match &row.kind {
            Kind::Bool(set) => {
                let value = parse_bool(name, word(name, rest)?)?;
                self.set(open, place, row, set, value)
            }
            Kind::Int(range, set) => {
                let value = parse_in_range(name, word(name, rest)?, *range)?;
                self.set(open, place, row, set, value)
            }
            Kind::Choice(words, set) => {
                let typed = word(name, rest)?;
                let value = words.iter().find(|word| **word == typed).ok_or_else(|| {
                    format!(
                        "Invalid '{name}' value ({typed}). Allowed: {}.",
                        words.join(", ")
                    )
                })?;
                self.set(open, place, row, set, value)
            }
            Kind::Text(set) => {
                let value = parse_text(name, rest)?;
                self.once(open, place, row, name)?;
                self.set(open, place, row, set, value)
            }
            Kind::Words(shape, read) => {
                if rest.trim_matches(' ').is_empty() {
                    return Err(format!("{} Expected: {shape}.", empty(name)));
                }
                self.try_words(open, place, row, read, rest.trim_matches([' ', '\t']))
            }
            Kind::Special(special) => self.do_special(*special, open, place, name, rest, is_main),
            Kind::Unused => Ok(()),
        }
    }

    /// Says what is to be said of the option itself; an option that must not be passed over ends here.
    fn remark_on(&mut self, row: &Row, name: &str, rest: &str, place: &Place) -> Outcome {
        if let Some(instead) = row.deprecated {
            let text = format!(
                "The '{name}' option is deprecated, Mosquitto 3.0 will not have it. {instead}"
            );
            self.remark(place, Weight::Notice, text.trim_end().to_owned());
        }
        let is_default = first_word(rest).0 == row.default;
        match row.effect {
            _ if is_default => {}
            Effect::Refused(why) => {
                return Err(format!("The '{name}' option cannot be used: {why}."));
            }
            Effect::None(why) => {
                let text = format!("Warning: The '{name}' option has no effect: {why}.");
                self.remark(place, Weight::Warning, text);
            }
            Effect::Works => {}
        }
        if row.name == "log_dest" && first_word(rest).0 == "dlt" {
            let text = "Warning: 'log_dest dlt' has no effect: there is no trace daemon to log to.";
            self.remark(place, Weight::Warning, text.to_owned());
        }
        Ok(())
    }

    fn set<T>(
        &mut self,
        open: &mut Open,
        place: &Place,
        row: &Row,
        set: &Set<T>,
        value: T,
    ) -> Outcome {
        match set {
            Set::Global(set) => set(&mut self.draft, value),
            Set::Security(set) => set(self.security(open, row)?, value),
            Set::Listener(set) => {
                let index = self.listener(open, place, row)?;
                set(&mut self.draft.listeners[index], value);
            }
            Set::Bridge(set) => set(self.bridge(*open, row)?, value),
            Set::Plugin(set) => set(self.plugin(*open, row.name)?, value),
        }
        Ok(())
    }

    fn try_words(
        &mut self,
        open: &mut Open,
        place: &Place,
        row: &Row,
        read: &Try,
        rest: &str,
    ) -> Outcome {
        match read {
            Try::Global(read) => read(&mut self.draft, rest),
            Try::Security(read) => read(self.security(open, row)?, rest),
            Try::Listener(read) => {
                let index = self.listener(open, place, row)?;
                read(&mut self.draft.listeners[index], rest)
            }
            Try::Bridge(read) => read(self.bridge(*open, row)?, rest),
        }
    }

    /// Texts are said once for each thing that they are about.
    fn once(&mut self, open: &mut Open, place: &Place, row: &Row, name: &str) -> Outcome {
        let about = match row.section {
            Section::Global => About::Broker,
            Section::Security if !self.draft.config.per_listener_settings => About::Broker,
            Section::Security
            | Section::Listener
            | Section::NamedListener
            | Section::ListenerOrDefault => About::Listener(self.listener(open, place, row)?),
            Section::Bridge => About::Bridge(open.bridge.unwrap_or_default()),
            Section::Plugin => About::Plugin(open.plugin.unwrap_or_default()),
        };
        match self.said.insert((about, row.name), place.clone()) {
            None => Ok(()),
            Some(first) => Err(format!(
                "Duplicate '{name}' value in configuration. It is said at {first} already."
            )),
        }
    }

    /// The listener that a line is about.
    fn listener(&mut self, open: &mut Open, place: &Place, row: &Row) -> Outcome<usize> {
        let needs_listener = || {
            format!(
                "The '{}' option requires a listener to be defined first.",
                row.name
            )
        };
        let default = self.draft.default_listener;
        match (open.listener, row.section) {
            (Some(index), Section::NamedListener) if default == Some(index) => {
                Err(needs_listener())
            }
            (Some(index), _) => Ok(index),
            (None, Section::ListenerOrDefault) => {
                if default.is_none() {
                    let text = format!(
                        "Creating default listener due to '{}' option. It is best practice to define a 'listener' first.",
                        row.name
                    );
                    self.remark(place, Weight::Info, text);
                }
                let index = self.draft.default_listener();
                open.listener = Some(index);
                Ok(index)
            }
            (None, _) => Err(needs_listener()),
        }
    }

    fn security(&mut self, open: &Open, row: &Row) -> Outcome<&mut SecurityDraft> {
        if !self.draft.config.per_listener_settings {
            return Ok(&mut self.draft.security);
        }
        match open.listener {
            Some(index) => Ok(&mut self.draft.listeners[index].security),
            None => Err(format!(
                "The '{}' option requires a listener to be defined first. So it is with 'per_listener_settings true'.",
                row.name
            )),
        }
    }

    fn bridge(&mut self, open: Open, row: &Row) -> Outcome<&mut Bridge> {
        let bridge = open
            .bridge
            .and_then(|index| self.draft.config.bridges.get_mut(index));
        bridge.ok_or_else(|| {
            format!(
                "The '{}' option requires a bridge to be defined first. 'connection NAME' opens one.",
                row.name
            )
        })
    }

    fn plugin(&mut self, open: Open, name: &str) -> Outcome<&mut Plugin> {
        let plugin = open
            .plugin
            .and_then(|index| self.draft.config.plugins.get_mut(index));
        plugin.ok_or_else(|| {
            format!(
                "The '{name}' option requires plugin/global_plugin/plugin_load to be defined first."
            )
        })
    }

    fn do_special(
        &mut self,
        special: Special,
        open: &mut Open,
        place: &Place,
        name: &str,
        rest: &str,
        is_main: bool,
    ) -> Outcome {
        match special {
            Special::Listener => self.open_listener(open, place, name, rest),
            Special::Port => self.set_port(open, name, rest),
            Special::BindAddress => self.set_bind_address(open, name, rest),
            Special::Connection => self.open_bridge(open, place, name, rest),
            Special::Plugin | Special::GlobalPlugin => {
                let path = parse_text(name, rest)?;
                let index = self.open_plugin(open, place, None, &path);
                let is_listeners = self.draft.config.per_listener_settings;
                let security = match open.listener {
                    Some(listener) if is_listeners && special == Special::Plugin => {
                        &mut self.draft.listeners[listener].security
                    }
                    None if is_listeners && special == Special::Plugin => {
                        return Err(format!(
                            "The '{name}' option requires a listener to be defined first. So it is with 'per_listener_settings true'."
                        ));
                    }
                    _ => &mut self.draft.security,
                };
                security.plugins.push(index?);
                Ok(())
            }
            Special::PluginLoad => {
                let (plugin_name, path) = first_word(rest);
                if path.is_empty() {
                    return Err(format!("{} Expected: {name} NAME PATH.", empty(name)));
                }
                if self.draft.plugin_named(plugin_name).is_some() {
                    return Err(format!("Duplicate plugin name '{plugin_name}'."));
                }
                self.open_plugin(open, place, Some(plugin_name), path)
                    .map(drop)
            }
            Special::PluginUse => self.use_plugin(open, name, rest),
            Special::PluginOption => {
                let key = name
                    .trim_start_matches("plugin_opt_")
                    .trim_start_matches("auth_opt_");
                let value = parse_text(name, rest)?;
                let plugin = self.plugin(*open, name)?;
                plugin.options.push((key.to_owned(), value));
                Ok(())
            }
            Special::IncludeDir if is_main => self.include(place, &parse_text(name, rest)?),
            Special::IncludeDir => Err(
                "The include_dir option is only valid in the main configuration file.".to_owned(),
            ),
            Special::PerListenerSettings => self.set_per_listener(name, rest),
        }
    }

    fn open_listener(&mut self, open: &mut Open, place: &Place, name: &str, rest: &str) -> Outcome {
        self.draft.config.local_only = false;
        let (_, rest_after_port) = first_word(rest);
        let host = match first_word(rest_after_port).0 {
            "" => None,
            comment if comment.starts_with('#') => None,
            host => Some(host),
        };
        let port = word(name, rest)
            .map_err(|empty| {
                format!("{empty} Expected: listener PORT [ADDRESS], or listener 0 PATH.")
            })
            .and_then(|word| parse_port(word, 0));
        // Even if the line is wrong: what follows it is about this listener and no other.
        let bind = match (&port, host) {
            (Ok(0), Some(path)) => Bind::Unix(PathBuf::from(path)),
            (port, host) => Bind::tcp(host, *port.as_ref().unwrap_or(&0)),
        };
        let mut listener = ListenerDraft::new(bind);
        listener.listener.place = Some(place.clone());
        self.draft.listeners.push(listener);
        open.listener = Some(self.draft.listeners.len() - 1);
        match (port?, host) {
            (0, None) => Err("A listener with port 0 must provide a Unix socket path.".to_owned()),
            _ => Ok(()),
        }
    }

    fn set_port(&mut self, open: &mut Open, name: &str, rest: &str) -> Outcome {
        self.draft.config.local_only = false;
        let index = self.draft.default_listener();
        open.listener = Some(index);
        let chosen = parse_port(word(name, rest)?, 1)?;
        if let Bind::Tcp { port, .. } = &mut self.draft.listeners[index].listener.bind {
            *port = chosen;
        }
        Ok(())
    }

    fn set_bind_address(&mut self, open: &mut Open, name: &str, rest: &str) -> Outcome {
        self.draft.config.local_only = false;
        let index = self.draft.default_listener();
        open.listener = Some(index);
        let address = parse_text(name, rest)?;
        match &mut self.draft.listeners[index].listener.bind {
            Bind::Tcp {
                host: host @ None, ..
            } => {
                *host = Some(address);
                Ok(())
            }
            _ => Err(format!("Duplicate '{name}' value in configuration.")),
        }
    }

    fn open_bridge(&mut self, open: &mut Open, place: &Place, name: &str, rest: &str) -> Outcome {
        let bridge_name = word(name, rest)?;
        let is_taken = self.draft.bridge_named(bridge_name).is_some();
        let bridge = Bridge::new(place.clone(), bridge_name.to_owned());
        self.draft.config.bridges.push(bridge);
        open.bridge = Some(self.draft.config.bridges.len() - 1);
        if is_taken {
            return Err(format!("Duplicate bridge name '{bridge_name}'."));
        }
        Ok(())
    }

    /// What follows is about the plugin, whether there is an equivalent or not.
    fn open_plugin(
        &mut self,
        open: &mut Open,
        place: &Place,
        name: Option<&str>,
        path: &str,
    ) -> Outcome<usize> {
        let builtin = BuiltIn::by_path(Path::new(path));
        self.draft.config.plugins.push(Plugin {
            place: place.clone(),
            name: name.map(str::to_owned),
            builtin: builtin.unwrap_or(BuiltIn::DynamicSecurity),
            options: Vec::new(),
            deny_special_chars: true,
        });
        let index = self.draft.config.plugins.len() - 1;
        open.plugin = Some(index);
        match builtin {
            Some(_) => Ok(index),
            None => {
                let known = BuiltIn::FILES.map(|(name, _)| format!("{name}.so"));
                Err(format!(
                    "Unable to load plugin '{path}'. Plugins are not loaded; built in are: {}.",
                    known.join(", ")
                ))
            }
        }
    }

    fn use_plugin(&mut self, open: &mut Open, name: &str, rest: &str) -> Outcome {
        let named = open
            .listener
            .filter(|index| self.draft.default_listener != Some(*index));
        let Some(listener) = named else {
            return Err(format!(
                "The '{name}' option requires a listener to be defined first."
            ));
        };
        let plugin_name = parse_text(name, rest)?;
        let plugin = self
            .draft
            .plugin_named(&plugin_name)
            .ok_or_else(|| format!("Plugin '{plugin_name}' not previously loaded."))?;
        open.plugin = Some(plugin);
        self.draft.listeners[listener].security.plugins.push(plugin);
        Ok(())
    }

    /// The order is that of the bytes of the names: capitals before small letters.
    fn include(&mut self, place: &Place, folder: &str) -> Outcome {
        let folder = Path::new(folder);
        let mut paths = self.files.list(folder).map_err(|error| {
            format!(
                "Unable to open include_dir '{}'. {error}.",
                folder.display()
            )
        })?;
        paths.retain(|path| path.extension() == Some(OsStr::new("conf")));
        paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        for path in paths {
            self.read_file(&path, Some(place));
        }
        Ok(())
    }

    fn set_per_listener(&mut self, name: &str, rest: &str) -> Outcome {
        let is = parse_bool(name, word(name, rest)?)?;
        if is && !self.draft.security.is_untouched() {
            return Err(
                "per_listener_settings must be set before any other security settings.".to_owned(),
            );
        }
        // Once it is set it stays set.
        self.draft.config.per_listener_settings |= is;
        Ok(())
    }

    /// What can be seen only when all is read.
    fn finish(mut self) -> Result<Reading, Problems> {
        self.check_listeners();
        self.check_persistence();
        self.check_bridges();
        let config = self.draft.finish();
        if self.problems.is_empty() {
            return Ok(Reading {
                config,
                remarks: self.remarks,
            });
        }
        Err(Problems(self.problems))
    }

    fn check_persistence(&mut self) {
        let plugins = &self.draft.config.plugins;
        let keeps = |plugin: &&Plugin| plugin.builtin == BuiltIn::PersistSqlite;
        let Some(plugin) = plugins.iter().find(keeps) else {
            return;
        };
        let is_double = self.draft.config.persistence.persistence.then(|| {
            "A persistence plugin and 'persistence true' cannot be used together.".to_owned()
        });
        let wrong = is_double.into_iter().chain(persist::plugin_problem(plugin));
        self.problems.extend(wrong.map(|text| Problem {
            place: Some(plugin.place.clone()),
            text,
        }));
        self.remarks
            .extend(persist::idle_options(plugin).map(|name| Remark {
                place: Some(plugin.place.clone()),
                weight: Weight::Warning,
                text: format!(
                    "Warning: 'plugin_opt_{name}' has no effect: the store is not SQLite."
                ),
            }));
    }

    fn check_listeners(&mut self) {
        for draft in &self.draft.listeners {
            let place = &draft.listener.place;
            let texts = draft.contradictions();
            self.problems.extend(texts.iter().map(|text| Problem {
                place: place.clone(),
                text: (*text).to_owned(),
            }));
            self.remarks
                .extend(draft.idle_options().iter().map(|(option, why)| Remark {
                    place: place.clone(),
                    weight: Weight::Warning,
                    text: format!(
                        "Warning: '{option}' has no effect on {}, which does not {why}.",
                        draft.listener.bind
                    ),
                }));
        }
    }

    fn check_bridges(&mut self) {
        let mut local_ids: BTreeMap<String, &Bridge> = BTreeMap::new();
        for bridge in &self.draft.config.bridges {
            let mut wrong = |text: String| {
                self.problems.push(Problem {
                    place: Some(bridge.place.clone()),
                    text,
                });
            };
            if bridge.addresses.is_empty() {
                wrong("Invalid bridge configuration: no remote addresses defined.".to_owned());
            }
            if bridge.topics.is_empty() {
                wrong("Invalid bridge configuration: no topics defined.".to_owned());
            }
            if bridge.tls.certfile.is_some() != bridge.tls.keyfile.is_some() {
                wrong(
                    "Invalid bridge configuration: bridge_certfile and bridge_keyfile must be used together."
                        .to_owned(),
                );
            }
            // The host's name makes the others unique.
            let remote = bridge.remote_clientid.as_ref();
            let local = (bridge.local_clientid.clone())
                .or_else(|| remote.map(|remote| format!("local.{remote}")));
            if let Some(local) = local
                && let Some(other) = local_ids.insert(local.clone(), bridge)
            {
                wrong(format!(
                    "Bridge local_clientid '{local}' is not unique. Try changing or setting the local_clientid value for one of the bridges '{}' and '{}'.",
                    other.name, bridge.name
                ));
            }
        }
    }
}

fn unknown(name: &str) -> String {
    // Invisible where it is printed.
    let (is_marked, name) = match name.strip_prefix('\u{feff}') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let sentence = format!("Unknown configuration variable '{name}'.");
    match nearest(&name.to_lowercase(), table::names()) {
        _ if is_marked => {
            format!("{sentence} A byte order mark stands before it: save the file without one.")
        }
        _ if name.contains('\t') => {
            format!("{sentence} A tab does not separate an option from its value: use a space.")
        }
        _ if name.contains('=') => {
            format!("{sentence} '=' does not separate an option from its value: use a space.")
        }
        Some(nearest) => format!("{sentence} Did you mean '{nearest}'?"),
        None => sentence,
    }
}

/// The first word of a value that must have one.
fn word<'a>(name: &str, rest: &'a str) -> Outcome<&'a str> {
    match first_word(rest).0 {
        "" => Err(empty(name)),
        word => Ok(word),
    }
}

fn parse_port(word: &str, least: i64) -> Outcome<u16> {
    let value = parse_in_range("port", word, Range::new(least, 65_535))?;
    u16::try_from(value).map_err(|_| format!("Invalid 'port' value ({value})."))
}
