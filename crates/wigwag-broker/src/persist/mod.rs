//! What outlives the process: sessions, queues and retained messages in a store.
//!
//! The engine says what has changed and reads what was kept; `wigwag-store` keeps it. Here is what is between
//! them: when it is saved, by whom, and what is said of it. `files` opens a store and reads it before anybody
//! is let in, `keeper` is the thread that saves.
//!
//! **Invariant:** a store is touched by one thread, and no shard waits for it.

mod files;
mod keeper;

use std::path::PathBuf;
use std::time::Duration;

use wigwag_store::Store;

use crate::conf::Config;
use crate::conf::config::{BuiltIn, Plugin};
use crate::mosquitto_db::Source;

pub use crate::mosquitto_db::ImportError;
pub use files::PersistError;
pub(crate) use files::{Kept, Opened};
pub(crate) use keeper::{Keeper, Progress, Pulse};

/// What the folder of the store is called behind the name of Mosquitto's file.
const SUFFIX: &str = "wigwag";

/// Options of the plugin in whose place this stands, and the interval that it has without one.
const DB_FILE: &str = "db_file";
const FLUSH_PERIOD: &str = "flush_period";
const FLUSH_PERIOD_SECS: u32 = 5;

/// When what has changed is saved, apart from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autosave {
    /// Only when somebody asks for it.
    Never,
    /// At this interval.
    Every(Duration),
    /// When so many things have changed.
    Changes(u64),
}

/// Where and when a broker keeps what outlives it.
#[derive(Debug)]
pub struct Persistence {
    place: Place,
    autosave: Autosave,
    mosquitto: Option<Source>,
}

enum Place {
    Folder(PathBuf),
    Store(Box<dyn Store>),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Folder(path) => path.fmt(f),
            Place::Store(_) => f.write_str("a store of the embedder's"),
        }
    }
}

impl Persistence {
    /// In a folder, which is made if it is not there. Saves every half hour.
    pub fn folder(path: impl Into<PathBuf>) -> Persistence {
        Persistence {
            place: Place::Folder(path.into()),
            autosave: Autosave::Every(Duration::from_secs(1_800)),
            mosquitto: None,
        }
    }

    /// In a store of one's own. Saves every half hour.
    pub fn store(store: impl Store + 'static) -> Persistence {
        Persistence {
            place: Place::Store(Box::new(store)),
            ..Persistence::folder(PathBuf::new())
        }
    }

    /// Sets when what has changed is saved.
    #[must_use]
    pub const fn autosave(mut self, autosave: Autosave) -> Persistence {
        self.autosave = autosave;
        self
    }

    /// Begins with what a `mosquitto.db` has, if nothing was ever saved here and the file is there. It is read once
    /// and not changed. A file that cannot be read keeps the broker from starting.
    #[must_use]
    pub fn take_over_mosquitto(mut self, file: impl Into<PathBuf>) -> Persistence {
        self.mosquitto = Some(Source::new(file.into()));
        self
    }

    /// What a configuration says, if it wants anything kept.
    pub(crate) fn from_config(config: &Config) -> Option<Persistence> {
        let file = mosquitto_file(config)?;
        let kept = Persistence::folder(file.with_extension(SUFFIX));
        Some(Persistence {
            mosquitto: Some(Source::of_broker(file, config)),
            ..kept.autosave(autosave(config))
        })
    }
}

/// The folder of the store: beside the file that Mosquitto would write, which is left alone.
pub(crate) fn folder(config: &Config) -> Option<PathBuf> {
    Some(mosquitto_file(config)?.with_extension(SUFFIX))
}

/// The file that Mosquitto would write.
fn mosquitto_file(config: &Config) -> Option<PathBuf> {
    let said = &config.persistence;
    let plugin = plugin(config);
    if !said.persistence && plugin.is_none() {
        return None;
    }
    let file = match (
        plugin.and_then(|plugin| option(plugin, DB_FILE)),
        &said.persistence_location,
    ) {
        (Some(file), _) => PathBuf::from(file),
        (None, Some(location)) => location.join(&said.persistence_file),
        (None, None) => PathBuf::from(&said.persistence_file),
    };
    Some(file)
}

/// When a configuration wants it saved.
pub(crate) fn autosave(config: &Config) -> Autosave {
    let said = &config.persistence;
    if let Some(plugin) = plugin(config) {
        return match flush_period(plugin).unwrap_or(FLUSH_PERIOD_SECS) {
            0 => Autosave::Changes(1),
            secs => Autosave::Every(Duration::from_secs(secs.into())),
        };
    }
    match said.autosave_interval {
        None => Autosave::Never,
        Some(changes) if said.autosave_on_changes => Autosave::Changes(changes.into()),
        Some(secs) => Autosave::Every(Duration::from_secs(secs.into())),
    }
}

/// The plugin that keeps sessions, if it is named.
fn plugin(config: &Config) -> Option<&Plugin> {
    let mut plugins = config.plugins.iter();
    plugins.find(|plugin| plugin.builtin == BuiltIn::PersistSqlite)
}

/// The last of several holds.
fn option<'a>(plugin: &'a Plugin, name: &str) -> Option<&'a str> {
    let mut options = plugin.options.iter().rev();
    let (_, value) = options.find(|(key, _)| key == name)?;
    Some(value)
}

fn flush_period(plugin: &Plugin) -> Option<u32> {
    option(plugin, FLUSH_PERIOD)?.parse().ok()
}

/// What is wrong with the options of the plugin that keeps sessions.
pub(crate) fn plugin_problem(plugin: &Plugin) -> Option<String> {
    let value = option(plugin, FLUSH_PERIOD)?;
    flush_period(plugin).is_none().then(|| {
        format!("Invalid 'plugin_opt_flush_period' value ({value}). Allowed: a number of seconds; 0 saves at every change.")
    })
}

/// Options of the plugin that mean nothing here.
pub(crate) fn idle_options(plugin: &Plugin) -> impl Iterator<Item = &str> {
    let names = plugin.options.iter().map(|(name, _)| name.as_str());
    names.filter(|name| ![DB_FILE, FLUSH_PERIOD].contains(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_folder_stands_beside_mosquittos_file() {
        let mut config = Config::default();
        assert_eq!(folder(&config), None);
        config.persistence.persistence = true;
        assert_eq!(folder(&config), Some("mosquitto.wigwag".into()));
        config.persistence.persistence_location = Some("/var/lib/mosquitto/".into());
        config.persistence.persistence_file = "site.db".to_owned();
        let expect = Path::new("/var/lib/mosquitto/site.wigwag");
        assert_eq!(folder(&config).as_deref(), Some(expect));
    }

    #[test]
    fn autosave_counts_seconds_or_changes() {
        let mut config = Config::default();
        let half_hour = Duration::from_secs(1_800);
        assert_eq!(autosave(&config), Autosave::Every(half_hour));
        config.persistence.autosave_on_changes = true;
        assert_eq!(autosave(&config), Autosave::Changes(1_800));
        config.persistence.autosave_interval = None;
        assert_eq!(autosave(&config), Autosave::Never);
    }

    #[test]
    fn the_plugins_options_say_where_and_when() {
        let mut config = Config::default();
        config.plugins.push(Plugin {
            place: crate::conf::config::Place {
                file: Path::new("m.conf").into(),
                line: 1,
            },
            name: None,
            builtin: BuiltIn::PersistSqlite,
            options: Vec::new(),
            deny_special_chars: true,
        });
        assert_eq!(folder(&config), Some("mosquitto.wigwag".into()));
        assert_eq!(autosave(&config), Autosave::Every(Duration::from_secs(5)));
        let options = [
            ("db_file", "/x/kept.sqlite3"),
            ("flush_period", "0"),
            ("sync", "full"),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
        config.plugins[0].options = options.into();
        assert_eq!(folder(&config), Some("/x/kept.wigwag".into()));
        assert_eq!(autosave(&config), Autosave::Changes(1));
        let idle: Vec<&str> = idle_options(&config.plugins[0]).collect();
        assert_eq!(idle, ["sync"]);
    }
}
