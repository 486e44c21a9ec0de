//! Where `wigwag up` records messages, so that the charts of the web UI are still there after a restart.

use std::path::{Path, PathBuf};

use wigwag_broker::Recording;

/// Options about that.
#[derive(Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    /// Folder to record messages in, for the web UI; unless one is named, one of this user for this MQTT port
    #[arg(long, value_name = "DIR", conflicts_with = "no_history")]
    history_dir: Option<PathBuf>,

    /// Record no messages
    #[arg(long)]
    no_history: bool,
}

impl HistoryArgs {
    /// What to record: everything, unless it is not wanted or has no place. A broker that gets whatever port is free
    /// is none that somebody comes back to.
    pub(crate) fn recording(&self, mqtt_port: u16) -> Option<Recording> {
        if self.no_history {
            return None;
        }
        let folder = self.history_dir.clone().or_else(|| {
            let of_user = of_user(|name| std::env::var_os(name).map(PathBuf::from))?;
            (mqtt_port != 0).then(|| of_user.join(format!("wigwag/history-{mqtt_port}")))
        });
        folder.map(|folder| Recording::folder(folder).everything())
    }
}

/// Where programs keep what this user does not write himself.
fn of_user(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| Path::is_absolute(path));
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    let home = || absolute("HOME");
    if cfg!(target_vendor = "apple") {
        return Some(home()?.join("Library/Application Support"));
    }
    absolute("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_folder_is_where_the_system_wants_it() {
        let with = |name: &'static str, value: &'static str| {
            of_user(move |asked| match asked {
                "HOME" => Some("/home/ann".into()),
                _ => (asked == name).then(|| value.into()),
            })
        };
        assert_eq!(with("", ""), Some("/home/ann/.local/state".into()));
        assert_eq!(with("XDG_STATE_HOME", "/var/x"), Some("/var/x".into()));
        let expect = Some("/home/ann/.local/state".into());
        assert_eq!(
            with("XDG_STATE_HOME", "relative"),
            expect,
            "is to be ignored"
        );
    }

    #[test]
    fn a_broker_without_a_port_of_its_own_records_only_where_it_is_told_to() {
        let args = |history_dir: Option<&str>, no_history| HistoryArgs {
            history_dir: history_dir.map(PathBuf::from),
            no_history,
        };
        assert_eq!(args(None, false).recording(0), None);
        assert_eq!(args(None, true).recording(1883), None);
        let recording = args(Some("here"), false).recording(0).expect("told to");
        assert_eq!(recording.path(), Path::new("here"));
    }
}
