//! The table of all options: one row each, from which parsing, messages and the published page are made.
//!
//! A row says where its option may stand, how its value is written, where the value goes and what it does.
//! Options whose lines are read in their own way name it; `words` and the reader know those.

use std::fmt;
use std::time::Duration;

use super::config::{Bridge, BridgeVersion, LogFormat, Plugin, Protocol, TlsVersion};
use super::draft::{Draft, ListenerDraft, SecurityDraft};
use super::words;
use Kind::{Bool, Choice, Int, Text, Unused, Words};

/// An option.
pub(super) struct Row {
    /// As the page and the messages write it. A `*` at the end stands for any letters.
    pub(super) name: &'static str,
    /// Other names for the same.
    pub(super) aliases: &'static [&'static str],
    pub(super) section: Section,
    pub(super) kind: Kind,
    /// For the page; a value of a file that is the same needs no remark.
    pub(super) default: &'static str,
    pub(super) class: Class,
    /// That Mosquitto will drop it, and what to use in its place.
    pub(super) deprecated: Option<&'static str>,
    pub(super) since: Since,
    pub(super) effect: Effect,
    /// One sentence for the page.
    pub(super) what: &'static str,
}

/// Where an option may stand, and what it is about there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Anywhere; about the whole broker.
    Global,
    /// Anywhere; about all listeners, or with `per_listener_settings` about the listener above.
    Security,
    /// Below a listener; else about the default one, which it creates.
    ListenerOrDefault,
    /// Below a listener.
    Listener,
    /// Below a `listener`; the default one does not do.
    NamedListener,
    /// Below a `connection`.
    Bridge,
    /// Below a `plugin`, `global_plugin`, `plugin_load` or `plugin_use`.
    Plugin,
}

/// How a value is written, and where it goes.
pub(super) enum Kind {
    /// `true`, `1`, `false` or `0`.
    Bool(Set<bool>),
    /// A whole number.
    Int(Range, Set<i64>),
    /// The rest of the line; once.
    Text(Set<String>),
    /// One of these words.
    Choice(&'static [&'static str], Set<&'static str>),
    /// Words with a grammar of their own, in short.
    Words(&'static str, Try),
    /// What opens and closes sections, and other things that only the reader can do.
    Special(Special),
    /// Nobody reads it.
    Unused,
}

/// Where a value goes.
pub(super) enum Set<T> {
    Global(fn(&mut Draft, T)),
    Security(fn(&mut SecurityDraft, T)),
    Listener(fn(&mut ListenerDraft, T)),
    Bridge(fn(&mut Bridge, T)),
    Plugin(fn(&mut Plugin, T)),
}

/// Who reads words.
pub(super) enum Try {
    Global(fn(&mut Draft, &str) -> Result<(), String>),
    Security(fn(&mut SecurityDraft, &str) -> Result<(), String>),
    Listener(fn(&mut ListenerDraft, &str) -> Result<(), String>),
    Bridge(fn(&mut Bridge, &str) -> Result<(), String>),
}

/// What only the reader can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    BindAddress,
    Connection,
    GlobalPlugin,
    IncludeDir,
    Listener,
    PerListenerSettings,
    Plugin,
    PluginLoad,
    PluginOption,
    PluginUse,
    Port,
}

/// The numbers that an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    least: i64,
    most: i64,
}

impl Range {
    /// What C's int holds; what is below zero means "no limit".
    const ANY: Range = Range::new(i32::MIN as i64, i32::MAX as i64);

    pub(super) const fn new(least: i64, most: i64) -> Range {
        Range { least, most }
    }

    const fn from(least: i64) -> Range {
        Range::new(least, i32::MAX as i64)
    }

    const fn up_to(most: i64) -> Range {
        Range::new(i32::MIN as i64, most)
    }

    pub(super) fn holds(self, value: i64) -> bool {
        (self.least..=self.most).contains(&value)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (least, most) if Range::ANY == Range::new(least, most) => f.write_str("a whole number"),
            (least, most) if most == Range::ANY.most => write!(f, "a whole number from {least} on"),
            (least, most) if least == Range::ANY.least => write!(f, "a whole number up to {most}"),
            (least, most) => write!(f, "{least} to {most}"),
        }
    }
}

/// How often an option is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Essential,
    Common,
    Rare,
    /// Mosquitto itself passes over it.
    Obsolete,
}

/// Since which Mosquitto an option exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// 2.0 or earlier.
    V2_0,
    V2_1,
    /// None: it is an option of our own.
    Ours,
}

/// What an option does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// What the row says.
    Works,
    /// Nothing, for this reason; a file that uses it is told.
    None(&'static str),
    /// A file that uses it is refused for this reason: without it the broker would be open to whom it
    /// must not be.
    Refused(&'static str),
}

const NO_PSK: Effect =
    Effect::Refused("the TLS library knows no pre-shared keys; use certificates");

/// The row of an option, by any of its names.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    let is_named = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
        None => name == pattern,
    };
    ROWS.iter()
        .find(|row| is_named(row.name) || row.aliases.iter().any(|alias| is_named(alias)))
}

/// All names of all options.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter()
        .flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().copied()))
}

fn seconds(n: i64) -> Option<Duration> {
    positive(n).map(|n| Duration::from_secs(n.into()))
}

/// 0 and less are "no limit".
fn positive(n: i64) -> Option<u32> {
    u32::try_from(n).ok().filter(|n| *n > 0)
}

fn at_least(least: u64, n: i64) -> Duration {
    Duration::from_secs(u64::try_from(n).unwrap_or(0).max(least))
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "allow_anonymous",
        aliases: &[],
        section: Section::Security,
        kind: Bool(Set::Security(|to, is| to.allow_anonymous = Some(is))),
        default: "false; true in local only mode",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Lets clients in that give no user name.",
    },
    Row {
        name: "listener_allow_anonymous",
        aliases: &[],
        section: Section::Listener,
        kind: Bool(Set::Listener(|to, is| {
            to.security.allow_anonymous = Some(is);
        })),
        default: "as `allow_anonymous`",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "The same for one listener.",
    },
    Row {
        name: "allow_zero_length_clientid",
        aliases: &[],
        section: Section::Security,
        kind: Bool(Set::Security(|to, is| {
            to.allow_zero_length_clientid = Some(is);
        })),
        default: "true",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Gives clients without a Client Identifier one.",
    },
    Row {
        name: "auto_id_prefix",
        aliases: &[],
        section: Section::Security,
        kind: Words("1 to 50 bytes", Try::Security(words::auto_id_prefix)),
        default: "auto-",
        class: Class::Common,
        deprecated: Some("Please use 'listener_auto_id_prefix' instead."),
        since: Since::V2_0,
        effect: Effect::Works,
        what: "What the Client Identifiers begin with that the broker gives, in at most 50 bytes.",
    },
    Row {
        name: "listener_auto_id_prefix",
        aliases: &[],
        section: Section::Listener,
        kind: Words(
            "1 to 50 bytes",
            Try::Listener(|to, rest| words::auto_id_prefix(&mut to.security, rest)),
        ),
        default: "as `auto_id_prefix`",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "The same for one listener.",
    },
    Row {
        name: "password_file",
        aliases: &[],
        section: Section::Security,
        kind: Text(Set::Security(|to, text| {
            to.password_file = Some(text.into());
        })),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "User names and their passwords, as `mosquitto_passwd` writes them.",
    },
    Row {
        name: "acl_file",
        aliases: &[],
        section: Section::Security,
        kind: Text(Set::Security(|to, text| to.acl_file = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Who may read and write which topics.",
    },
    Row {
        name: "psk_file",
        aliases: &[],
        section: Section::Security,
        kind: Unused,
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: NO_PSK,
        what: "Keys for TLS without certificates.",
    },
    Row {
        name: "per_listener_settings",
        aliases: &[],
        section: Section::Global,
        kind: Kind::Special(Special::PerListenerSettings),
        default: "false",
        class: Class::Essential,
        deprecated: Some("Please see the documentation for how to achieve the same effect."),
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Makes the security options hold for the listener above them only. Must stand before them.",
    },
    Row {
        name: "plugin",
        aliases: &["auth_plugin"],
        section: Section::Security,
        kind: Kind::Special(Special::Plugin),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Switches on what is built in under the name of the plugin's file: `mosquitto_dynamic_security`, `mosquitto_acl_file`, `mosquitto_password_file` or `mosquitto_persist_sqlite`, whose `plugin_opt_db_file` names the folder and whose `plugin_opt_flush_period` is the time between two saves.",
    },
    Row {
        name: "global_plugin",
        aliases: &[],
        section: Section::Global,
        kind: Kind::Special(Special::GlobalPlugin),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "The same for all listeners, whatever `per_listener_settings` says.",
    },
    Row {
        name: "plugin_load",
        aliases: &[],
        section: Section::Global,
        kind: Kind::Special(Special::PluginLoad),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "The same under a name, for the listeners that ask for it: `plugin_load NAME PATH`.",
    },
    Row {
        name: "plugin_use",
        aliases: &[],
        section: Section::NamedListener,
        kind: Kind::Special(Special::PluginUse),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Uses a loaded plugin on the listener: `plugin_use NAME`.",
    },
    Row {
        name: "plugin_opt_*",
        aliases: &["auth_opt_*"],
        section: Section::Plugin,
        kind: Kind::Special(Special::PluginOption),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "An option of the plugin above it.",
    },
    Row {
        name: "auth_plugin_deny_special_chars",
        aliases: &[],
        section: Section::Plugin,
        kind: Bool(Set::Plugin(|to, is| to.deny_special_chars = is)),
        default: "true",
        class: Class::Common,
        deprecated: Some(""),
        since: Since::V2_0,
        effect: Effect::None(
            "it is for plugins of Mosquitto 1; patterns of ACL files deny such names in any case",
        ),
        what: "Denies everything to user names and Client Identifiers with `+` or `#` in them.",
    },
    Row {
        name: "include_dir",
        aliases: &[],
        section: Section::Global,
        kind: Kind::Special(Special::IncludeDir),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Reads all files of a folder whose names end in `.conf`, in the order of their bytes. Only in the main file.",
    },
    Row {
        name: "user",
        aliases: &[],
        section: Section::Global,
        kind: Text(Set::Global(|to, text| {
            to.config.process.user = Some(text);
        })),
        default: "mosquitto, else nobody",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Whom a broker becomes that root starts; `root` lets it stay.",
    },
    Row {
        name: "pid_file",
        aliases: &[],
        section: Section::Global,
        kind: Text(Set::Global(|to, text| {
            to.config.process.pid_file = Some(text.into());
        })),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Where the number of the process is written.",
    },
    Row {
        name: "set_tcp_nodelay",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| to.config.set_tcp_nodelay = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::None("packets are sent at once in any case"),
        what: "Sends small packets at once.",
    },
    Row {
        name: "sys_interval",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::new(0, 65_535),
            Set::Global(|to, n| to.config.sys_interval = seconds(n)),
        ),
        default: "10",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Seconds between two publications of `$SYS`; 0 for none.",
    },
    Row {
        name: "metrics_listener",
        aliases: &[],
        section: Section::Global,
        kind: Words("PORT [ADDRESS]", Try::Global(words::metrics_listener)),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "Where `/metrics` is served over HTTP without a password, on 127.0.0.1 unless an address is named; may stand several times. `WIGWAG_METRICS_LISTENER` in the environment, as `ADDRESS:PORT`, adds one.",
    },
    Row {
        name: "alarm",
        aliases: &[],
        section: Section::Global,
        kind: Words("NAME: TOPIC > NUMBER", Try::Global(words::alarm)),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "A rule that raises an alarm on `$SYS/broker/alarms/activate/NAME`: [the page of alarms](alarms.md) has more; may stand several times.",
    },
    Row {
        name: "builtin_alarms",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| to.config.builtin_alarms = is)),
        default: "true",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "Looks at the broker itself by [rules of its own](alarms.md#the-brokers-own-rules).",
    },
    Row {
        name: "recorder",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| to.config.recorder.recorder = Some(is))),
        default: "true if there is a listener with `protocol http_api` and `persistence` or `recorder_location` is set",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "Keeps messages on disk, so that the web UI has a history: [monitoring](../guide/monitoring.md#what-was) has more.",
    },
    Row {
        name: "recorder_topic",
        aliases: &[],
        section: Section::Global,
        kind: Words("FILTER", Try::Global(words::recorder_topic)),
        default: "`device/+/state`, `device/+/online` and `spBv1.0/#`",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "A Topic Filter of messages that are recorded, in the place of the default; may stand several times.",
    },
    Row {
        name: "recorder_location",
        aliases: &[],
        section: Section::Global,
        kind: Text(Set::Global(|to, text| {
            to.config.recorder.recorder_location = Some(text.into());
        })),
        default: "`history.wigwag` in `persistence_location`",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "The folder that they are recorded in, which nothing else may use.",
    },
    Row {
        name: "recorder_size_limit",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::new(16, 1_048_576),
            Set::Global(|to, n| {
                let mib = positive(n).map(u64::from).unwrap_or_default();
                to.config.recorder.recorder_size_limit = mib * 1024 * 1024;
            }),
        ),
        default: "256",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "MiB that the recorded messages may have; what is too much goes, the oldest first. Journals of at most 128 MiB come on top.",
    },
    Row {
        name: "recorder_age_limit",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::new(1, 8_760),
            Set::Global(|to, n| {
                let hours = seconds(n).unwrap_or_default();
                to.config.recorder.recorder_age_limit = hours * 3_600;
            }),
        ),
        default: "24",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "Hours for which messages are kept.",
    },
    Row {
        name: "enable_control_api",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| to.config.enable_control_api = is)),
        default: "false",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Answers questions on `$CONTROL/broker/v1`.",
    },
    Row {
        name: "global_max_clients",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::ANY,
            Set::Global(|to, n| to.config.limits.global_max_clients = u32::try_from(n).ok()),
        ),
        default: "-1",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Sessions, connected or not; -1 for no limit.",
    },
    Row {
        name: "global_max_connections",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::ANY,
            Set::Global(|to, n| to.config.limits.global_max_connections = u32::try_from(n).ok()),
        ),
        default: "-1",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Connections of all listeners; -1 for no limit.",
    },
    Row {
        name: "max_inflight_messages",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::up_to(65_535),
            Set::Global(|to, n| {
                to.config.limits.max_inflight_messages = (1..65_535)
                    .contains(&n)
                    .then(|| u16::try_from(n).unwrap_or(u16::MAX));
            }),
        ),
        default: "20",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Unacknowledged QoS 1 and 2 messages to a client, and the Receive Maximum that clients are told; 0 for no limit but the protocol's.",
    },
    Row {
        name: "max_inflight_bytes",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::ANY,
            Set::Global(|to, n| to.config.limits.max_inflight_bytes = positive(n)),
        ),
        default: "0",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Their bytes; 0 for the broker's own limit.",
    },
    Row {
        name: "max_queued_messages",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::ANY,
            Set::Global(|to, n| to.config.limits.max_queued_messages = positive(n)),
        ),
        default: "1000",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "QoS 1 and 2 messages that wait for a client; 0 for no limit.",
    },
    Row {
        name: "max_queued_bytes",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::ANY,
            Set::Global(|to, n| to.config.limits.max_queued_bytes = positive(n)),
        ),
        default: "0",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Their bytes; 0 for the broker's own limit.",
    },
    Row {
        name: "queue_qos0_messages",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| {
            to.config.delivery.queue_qos0_messages = is;
        })),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Lets QoS 0 messages wait for a client that is away.",
    },
    Row {
        name: "max_keepalive",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::new(0, 65_535),
            Set::Global(|to, n| {
                to.config.limits.max_keepalive = u16::try_from(n).ok().filter(|n| *n > 0);
            }),
        ),
        default: "0",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The longest Keep Alive, in seconds; 0 for no limit.",
    },
    Row {
        name: "max_packet_size",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::from(20),
            Set::Global(|to, n| {
                to.config.limits.max_packet_size = u32::try_from(n).unwrap_or(u32::MAX);
            }),
        ),
        default: "2000000",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The largest packet that a client may send, in bytes.",
    },
    Row {
        name: "message_size_limit",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::new(0, 268_435_455),
            Set::Global(|to, n| to.config.limits.message_size_limit = positive(n)),
        ),
        default: "0",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The largest payload, in bytes; 0 for no limit. `max_packet_size` says more.",
    },
    Row {
        name: "memory_limit",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::new(0, i64::MAX),
            Set::Global(|to, n| {
                to.config.limits.memory_limit = u64::try_from(n).ok().filter(|n| *n > 0);
            }),
        ),
        default: "0",
        class: Class::Rare,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Bytes that the broker holds for its clients, about; 0 for three quarters of what the machine or its container has. From 80 % on, new sessions, subscriptions and retained topics are refused; at the limit, queues do not grow and clients that hold much are disconnected.",
    },
    Row {
        name: "packet_buffer_size",
        aliases: &["websockets_headers_size"],
        section: Section::Global,
        kind: Int(
            Range::new(0, 65_535),
            Set::Global(|to, n| {
                to.config.limits.packet_buffer_size = u16::try_from(n).unwrap_or(u16::MAX);
            }),
        ),
        default: "4096",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The largest header of a WebSocket handshake, in bytes.",
    },
    Row {
        name: "persistent_client_expiration",
        aliases: &[],
        section: Section::Global,
        kind: Words(
            "a number and s, h, d, w, m or y",
            Try::Global(words::persistent_client_expiration),
        ),
        default: "never",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "How long a session waits for its client: `14d`, for example.",
    },
    Row {
        name: "retain_available",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| {
            to.config.delivery.retain_available = is;
        })),
        default: "true",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Retains messages that ask for it.",
    },
    Row {
        name: "retain_expiry_interval",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::from(1),
            Set::Global(|to, n| {
                to.config.limits.retain_expiry_interval = u64::try_from(n)
                    .ok()
                    .map(|n| Duration::from_secs(n.min(10_000_000) * 60));
            }),
        ),
        default: "off",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Minutes after which a retained message is forgotten.",
    },
    Row {
        name: "check_retain_source",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| {
            to.config.delivery.check_retain_source = is;
        })),
        default: "false",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Sends a retained message only if its publisher may still publish it.",
    },
    Row {
        name: "allow_duplicate_messages",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| {
            to.config.delivery.allow_duplicate_messages = is;
        })),
        default: "true",
        class: Class::Common,
        deprecated: Some("The behaviour will default to true."),
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Sends a message once for each of several overlapping subscriptions of a client.",
    },
    Row {
        name: "clientid_prefixes",
        aliases: &[],
        section: Section::Global,
        kind: Text(Set::Global(|to, text| {
            to.config.delivery.clientid_prefixes = Some(text);
        })),
        default: "none",
        class: Class::Common,
        deprecated: Some(""),
        since: Since::V2_0,
        effect: Effect::Works,
        what: "What Client Identifiers have to begin with.",
    },
    Row {
        name: "upgrade_outgoing_qos",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| {
            to.config.delivery.upgrade_outgoing_qos = is;
        })),
        default: "false",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Sends messages with the QoS of the subscription even if they were published with less.",
    },
    Row {
        name: "retry_interval",
        aliases: &[],
        section: Section::Global,
        kind: Unused,
        default: "none",
        class: Class::Obsolete,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::None("the option is no longer available"),
        what: "Once said when messages were sent again.",
    },
    Row {
        name: "persistence",
        aliases: &["retained_persistence"],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| to.config.persistence.persistence = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Keeps sessions, queues and retained messages on disk, in a folder beside the file that Mosquitto would write.",
    },
    Row {
        name: "persistence_file",
        aliases: &[],
        section: Section::Global,
        kind: Text(Set::Global(|to, text| {
            to.config.persistence.persistence_file = text;
        })),
        default: "mosquitto.db",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The name of Mosquitto's file. Ours is a folder with the same name and the extension `wigwag`: `mosquitto.wigwag`. When that is new and the file is there, what Mosquitto has kept is taken over.",
    },
    Row {
        name: "persistence_location",
        aliases: &[],
        section: Section::Global,
        kind: Text(Set::Global(|to, text| {
            to.config.persistence.persistence_location = Some(text.into());
        })),
        default: "the working folder",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The folder that they are in. `MOSQUITTO_PERSISTENCE_LOCATION` in the environment comes first.",
    },
    Row {
        name: "autosave_interval",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::ANY,
            Set::Global(|to, n| to.config.persistence.autosave_interval = positive(n)),
        ),
        default: "1800",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Seconds between two saves, which write what has changed; 0 for never. At the end everything is saved, and at `SIGUSR1`.",
    },
    Row {
        name: "autosave_on_changes",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| {
            to.config.persistence.autosave_on_changes = is;
        })),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Makes `autosave_interval` count changes: messages that are kept, delivered or retained, subscriptions, clients that come and go.",
    },
    Row {
        name: "log_dest",
        aliases: &[],
        section: Section::Global,
        kind: Words(
            "none, stdout, stderr, syslog, topic or file PATH",
            Try::Global(words::log_dest),
        ),
        default: "stderr",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Where the log goes; may stand several times.",
    },
    Row {
        name: "log_type",
        aliases: &[],
        section: Section::Global,
        kind: Words("a type, all or none", Try::Global(words::log_type)),
        default: "error, warning, notice, information",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "What is logged; may stand several times.",
    },
    Row {
        name: "log_timestamp",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| to.config.logging.log_timestamp = is)),
        default: "true",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Begins each line with the time.",
    },
    Row {
        name: "log_timestamp_format",
        aliases: &[],
        section: Section::Global,
        kind: Text(Set::Global(|to, text| {
            to.config.logging.log_timestamp_format = Some(text);
        })),
        default: "seconds since 1970",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "How the time is written, in the notation of `strftime`.",
    },
    Row {
        name: "log_format",
        aliases: &[],
        section: Section::Global,
        kind: Choice(
            &["text", "json"],
            Set::Global(|to, word| {
                to.config.logging.log_format = match word {
                    "json" => LogFormat::Json,
                    _ => LogFormat::Text,
                };
            }),
        ),
        default: "text",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "The form of log lines: Mosquitto's `text`, or a `json` object each with time, type and message.",
    },
    Row {
        name: "log_facility",
        aliases: &[],
        section: Section::Global,
        kind: Int(
            Range::new(0, 7),
            Set::Global(|to, n| to.config.logging.log_facility = u8::try_from(n).ok()),
        ),
        default: "daemon",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The facility of syslog: 0 to 7 for `local0` to `local7`.",
    },
    Row {
        name: "connection_messages",
        aliases: &[],
        section: Section::Global,
        kind: Bool(Set::Global(|to, is| {
            to.config.logging.connection_messages = is;
        })),
        default: "true",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Logs who connects and who leaves.",
    },
    Row {
        name: "websockets_log_level",
        aliases: &[],
        section: Section::Global,
        kind: Unused,
        default: "0",
        class: Class::Obsolete,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::None("there is no library with a log of its own"),
        what: "What a library logged once.",
    },
    Row {
        name: "listener",
        aliases: &[],
        section: Section::Global,
        kind: Kind::Special(Special::Listener),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Opens a listener: `listener PORT [ADDRESS or NAME]`, or `listener 0 PATH` for a Unix socket. What follows is about it.",
    },
    Row {
        name: "port",
        aliases: &[],
        section: Section::Global,
        kind: Kind::Special(Special::Port),
        default: "1883",
        class: Class::Essential,
        deprecated: Some("Please use 'listener' instead."),
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The port of the default listener.",
    },
    Row {
        name: "bind_address",
        aliases: &[],
        section: Section::Global,
        kind: Kind::Special(Special::BindAddress),
        default: "all",
        class: Class::Essential,
        deprecated: Some("Please use 'listener' instead."),
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The address of the default listener.",
    },
    Row {
        name: "bind_interface",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Text(Set::Listener(words::bind_interface)),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The network interface to listen on: only what comes in over it is taken. Mosquitto listens on its address, and so takes what this machine sends there itself.",
    },
    Row {
        name: "socket_domain",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Choice(&["ipv4", "ipv6"], Set::Listener(words::socket_domain)),
        default: "both",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Listens on `ipv4` or `ipv6` only.",
    },
    Row {
        name: "protocol",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Choice(
            &["mqtt", "websockets", "http_api"],
            Set::Listener(|to, word| {
                to.listener.protocol = match word {
                    "websockets" => Protocol::WebSockets,
                    "http_api" => Protocol::HttpApi,
                    _ => Protocol::Mqtt,
                };
            }),
        ),
        default: "mqtt",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "What is spoken on the listener: `mqtt`, `websockets` or `http_api`.",
    },
    Row {
        name: "max_connections",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Int(
            Range::ANY,
            Set::Listener(|to, n| to.listener.max_connections = u32::try_from(n).ok()),
        ),
        default: "-1",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Connections of the listener; -1 for no limit.",
    },
    Row {
        name: "max_qos",
        aliases: &["maximum_qos"],
        section: Section::ListenerOrDefault,
        kind: Int(
            Range::new(0, 2),
            Set::Listener(|to, n| to.listener.max_qos = u8::try_from(n).unwrap_or(2)),
        ),
        default: "2",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The highest QoS.",
    },
    Row {
        name: "max_topic_alias",
        aliases: &[],
        section: Section::Listener,
        kind: Int(
            Range::new(0, 65_535),
            Set::Listener(|to, n| {
                to.listener.max_topic_alias = u16::try_from(n).unwrap_or(u16::MAX);
            }),
        ),
        default: "10",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Topic Aliases that a client may set; 0 for none.",
    },
    Row {
        name: "max_topic_alias_broker",
        aliases: &[],
        section: Section::Listener,
        kind: Int(
            Range::new(0, 65_535),
            Set::Listener(|to, n| {
                to.listener.max_topic_alias_broker = u16::try_from(n).unwrap_or(u16::MAX);
            }),
        ),
        default: "10",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Topic Aliases that the broker sets towards a client that accepts them; 0 for none.",
    },
    Row {
        name: "mount_point",
        aliases: &[],
        section: Section::Listener,
        kind: Words(
            "a topic without wildcards",
            Try::Listener(words::mount_point),
        ),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Stands before every topic of the listener's clients, without their knowing it.",
    },
    Row {
        name: "use_username_as_clientid",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Bool(Set::Listener(|to, is| {
            to.listener.use_username_as_clientid = is;
        })),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Takes the user name for the Client Identifier; a client without one is refused.",
    },
    Row {
        name: "accept_protocol_versions",
        aliases: &[],
        section: Section::NamedListener,
        kind: Words(
            "3, 4 and 5 for MQTT 3.1, 3.1.1 and 5.0",
            Try::Listener(words::accept_protocol_versions),
        ),
        default: "3, 4, 5",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "The versions of MQTT that are spoken: 3 is 3.1, 4 is 3.1.1.",
    },
    Row {
        name: "enable_proxy_protocol",
        aliases: &[],
        section: Section::Listener,
        kind: Int(
            Range::new(1, 2),
            Set::Listener(|to, n| to.proxy_version = u8::try_from(n).ok()),
        ),
        default: "off",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Every connection begins with a header of the PROXY protocol, version 1 or 2, that names the client. Only for listeners that nobody but a load balancer reaches.",
    },
    Row {
        name: "proxy_protocol_v2_require_tls",
        aliases: &[],
        section: Section::Listener,
        kind: Bool(Set::Listener(|to, is| to.proxy_requires_tls = is)),
        default: "false",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Refuses clients that have not come to the load balancer over TLS.",
    },
    Row {
        name: "http_dir",
        aliases: &[],
        section: Section::Listener,
        kind: Text(Set::Listener(|to, text| {
            to.listener.http_dir = Some(text.into());
        })),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "A folder of files that are served beside the API, on a listener with `protocol http_api`.",
    },
    Row {
        name: "web_ui",
        aliases: &[],
        section: Section::Listener,
        kind: Bool(Set::Listener(|to, is| to.listener.web_ui = is)),
        default: "true",
        class: Class::Common,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "Serves [the web UI](../guide/ui.md) on a listener with `protocol http_api`, unless `http_dir` has a page, and takes MQTT over WebSocket at `/mqtt` there.",
    },
    Row {
        name: "websockets_origin",
        aliases: &[],
        section: Section::Listener,
        kind: Words("an origin", Try::Listener(words::websockets_origin)),
        default: "any",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "An origin that web pages may come from, such as `https://example.org`; may stand several times. With \
               `http_api` besides its own, and a name that it may be called by.",
    },
    Row {
        name: "certfile",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Text(Set::Listener(|to, text| to.certfile = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The certificate chain of the listener in PEM, its own first. With `keyfile`, makes the listener speak TLS.",
    },
    Row {
        name: "keyfile",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Text(Set::Listener(|to, text| to.keyfile = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The unencrypted key of the certificate in PEM.",
    },
    Row {
        name: "cafile",
        aliases: &[],
        section: Section::Listener,
        kind: Text(Set::Listener(|to, text| to.cafile = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The CAs whose client certificates are accepted, in PEM. Clients are asked for one if `require_certificate` or one of the options that take a user name from it is true.",
    },
    Row {
        name: "capath",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Text(Set::Listener(|to, text| to.capath = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "A folder with such files.",
    },
    Row {
        name: "crlfile",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Text(Set::Listener(|to, text| to.crlfile = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Certificates that their CA has taken back, in PEM.",
    },
    Row {
        name: "require_certificate",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Bool(Set::Listener(|to, is| to.require_certificate = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Refuses clients without a certificate.",
    },
    Row {
        name: "use_identity_as_username",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Bool(Set::Listener(|to, is| to.use_identity_as_username = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The Common Name of the client's certificate is its user name.",
    },
    Row {
        name: "use_subject_as_username",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Bool(Set::Listener(|to, is| to.use_subject_as_username = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The whole subject of the client's certificate is its user name: `CN=…,OU=…,O=…`.",
    },
    Row {
        name: "disable_client_cert_date_checks",
        aliases: &[],
        section: Section::Listener,
        kind: Bool(Set::Listener(|to, is| {
            to.disable_client_cert_date_checks = is;
        })),
        default: "false",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Accepts client certificates that have expired or are not valid yet.",
    },
    Row {
        name: "tls_version",
        aliases: &[],
        section: Section::Listener,
        kind: Choice(
            &["tlsv1.2", "tlsv1.3"],
            Set::Listener(|to, word| {
                to.tls_version = match word {
                    "tlsv1.3" => TlsVersion::From1_3,
                    _ => TlsVersion::From1_2,
                };
            }),
        ),
        default: "tlsv1.2",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The oldest version of TLS that is spoken.",
    },
    Row {
        name: "ciphers",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Text(Set::Listener(|to, text| to.ciphers = Some(text))),
        default: "all that are safe",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Cipher suites of TLS 1.2 by their names in OpenSSL, separated by colons. What the TLS library does not have is left out with a warning.",
    },
    Row {
        name: "ciphers_tls1.3",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Text(Set::Listener(|to, text| {
            to.ciphers_tls13 = Some(text);
        })),
        default: "all",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The same for TLS 1.3.",
    },
    Row {
        name: "tls_engine",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Unused,
        default: "none",
        class: Class::Rare,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::None("there are no OpenSSL engines"),
        what: "An OpenSSL engine.",
    },
    Row {
        name: "tls_engine_kpass_sha1",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Unused,
        default: "none",
        class: Class::Rare,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::None("there are no OpenSSL engines"),
        what: "The password of an OpenSSL engine's key.",
    },
    Row {
        name: "tls_keyform",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Choice(&["pem"], Set::Listener(|_, _| {})),
        default: "pem",
        class: Class::Rare,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "How the key is kept: `pem` is the one way.",
    },
    Row {
        name: "psk_hint",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Unused,
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: NO_PSK,
        what: "Switches on TLS without certificates.",
    },
    Row {
        name: "dhparamfile",
        aliases: &[],
        section: Section::ListenerOrDefault,
        kind: Unused,
        default: "none",
        class: Class::Obsolete,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::None("it is no longer required"),
        what: "Parameters of an old key exchange.",
    },
    Row {
        name: "connection",
        aliases: &[],
        section: Section::Global,
        kind: Kind::Special(Special::Connection),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Opens a bridge to another broker: `connection NAME`. What follows is about it.",
    },
    Row {
        name: "address",
        aliases: &["addresses"],
        section: Section::Bridge,
        kind: Words("HOST[:PORT] …", Try::Bridge(words::addresses)),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Where the other broker is; several are tried in turn. The port is 1883 if it is left out.",
    },
    Row {
        name: "topic",
        aliases: &[],
        section: Section::Bridge,
        kind: Words(
            "PATTERN [out|in|both] [QOS] [LOCAL-PREFIX] [REMOTE-PREFIX]",
            Try::Bridge(words::topic),
        ),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Topics that the bridge carries; may stand several times.",
    },
    Row {
        name: "remote_clientid",
        aliases: &["clientid"],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| {
            to.remote_clientid = Some(text);
        })),
        default: "HOSTNAME.NAME",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The Client Identifier at the other broker.",
    },
    Row {
        name: "remote_username",
        aliases: &["username"],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| {
            to.remote_username = Some(text);
        })),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The user name at the other broker.",
    },
    Row {
        name: "remote_password",
        aliases: &["password"],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| {
            to.remote_password = Some(text);
        })),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The password at the other broker.",
    },
    Row {
        name: "local_clientid",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| {
            to.local_clientid = Some(text);
        })),
        default: "local. and the remote one",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The Client Identifier at this broker.",
    },
    Row {
        name: "local_username",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| {
            to.local_username = Some(text);
        })),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The user name at this broker.",
    },
    Row {
        name: "local_password",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| {
            to.local_password = Some(text);
        })),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The password at this broker.",
    },
    Row {
        name: "cleansession",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.cleansession = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Leaves no session at the other broker.",
    },
    Row {
        name: "local_cleansession",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.local_cleansession = Some(is))),
        default: "as `cleansession`",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Leaves no session at this broker.",
    },
    Row {
        name: "keepalive_interval",
        aliases: &[],
        section: Section::Bridge,
        kind: Int(
            Range::up_to(65_535),
            Set::Bridge(|to, n| to.keepalive_interval = at_least(5, n)),
        ),
        default: "60",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Keep Alive in seconds, at least 5.",
    },
    Row {
        name: "bridge_protocol_version",
        aliases: &[],
        section: Section::Bridge,
        kind: Choice(
            &["mqttv31", "mqttv311", "mqttv50"],
            Set::Bridge(|to, word| {
                to.protocol_version = match word {
                    "mqttv31" => BridgeVersion::V3_1,
                    "mqttv50" => BridgeVersion::V5,
                    _ => BridgeVersion::V3_1_1,
                };
            }),
        ),
        default: "mqttv311",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The version of MQTT that the bridge speaks.",
    },
    Row {
        name: "notifications",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.notifications = is)),
        default: "true",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Publishes whether the bridge is connected.",
    },
    Row {
        name: "notifications_local_only",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.notifications_local_only = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Publishes that at this broker only.",
    },
    Row {
        name: "notification_topic",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| {
            to.notification_topic = Some(text);
        })),
        default: "$SYS/broker/connection/CLIENTID/state",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Where that is published.",
    },
    Row {
        name: "restart_timeout",
        aliases: &[],
        section: Section::Bridge,
        kind: Words("BASE [CAP [STABLE]]", Try::Bridge(words::restart_timeout)),
        default: "5 30",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Seconds before the bridge connects again: a fixed number, or from a base to a cap with jitter, and after how long a connection counts as stable.",
    },
    Row {
        name: "round_robin",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.round_robin = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Treats all addresses alike instead of going back to the first.",
    },
    Row {
        name: "start_type",
        aliases: &[],
        section: Section::Bridge,
        kind: Words("automatic, lazy or once", Try::Bridge(words::start_type)),
        default: "automatic",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "When the bridge connects.",
    },
    Row {
        name: "idle_timeout",
        aliases: &[],
        section: Section::Bridge,
        kind: Int(
            Range::ANY,
            Set::Bridge(|to, n| to.idle_timeout = at_least(1, n)),
        ),
        default: "60",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Seconds after which an idle lazy bridge disconnects.",
    },
    Row {
        name: "threshold",
        aliases: &[],
        section: Section::Bridge,
        kind: Int(
            Range::ANY,
            Set::Bridge(|to, n| to.threshold = u32::try_from(n.max(1)).unwrap_or(1)),
        ),
        default: "10",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Messages that make a lazy bridge connect.",
    },
    Row {
        name: "try_private",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.try_private = is)),
        default: "true",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Tells the other broker that this is a bridge.",
    },
    Row {
        name: "bridge_attempt_unsubscribe",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.attempt_unsubscribe = is)),
        default: "true",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Ends subscriptions at the other broker that are no longer wanted.",
    },
    Row {
        name: "bridge_outgoing_retain",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.outgoing_retain = is)),
        default: "true",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Sends messages with the RETAIN flag that they have.",
    },
    Row {
        name: "bridge_bind_address",
        aliases: &[],
        section: Section::Bridge,
        kind: Words("ADDRESS", Try::Bridge(words::bind_address)),
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The address that the bridge connects from.",
    },
    Row {
        name: "bridge_max_packet_size",
        aliases: &[],
        section: Section::Bridge,
        kind: Int(
            Range::ANY,
            Set::Bridge(|to, n| to.max_packet_size = positive(n)),
        ),
        default: "0",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The largest packet for the other broker, in bytes; 0 for no limit.",
    },
    Row {
        name: "bridge_max_topic_alias",
        aliases: &[],
        section: Section::Bridge,
        kind: Int(
            Range::new(0, 65_535),
            Set::Bridge(|to, n| to.max_topic_alias = u16::try_from(n).unwrap_or(u16::MAX)),
        ),
        default: "10",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Topic Aliases from the other broker.",
    },
    Row {
        name: "bridge_receive_maximum",
        aliases: &[],
        section: Section::Bridge,
        kind: Int(
            Range::new(1, 65_535),
            Set::Bridge(|to, n| to.receive_maximum = u16::try_from(n).ok()),
        ),
        default: "as `max_inflight_messages`",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Receive Maximum at the other broker.",
    },
    Row {
        name: "bridge_session_expiry_interval",
        aliases: &[],
        section: Section::Bridge,
        kind: Int(
            Range::from(0),
            Set::Bridge(|to, n| to.session_expiry_interval = u32::try_from(n).unwrap_or(0)),
        ),
        default: "0",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Session Expiry Interval at the other broker, in seconds.",
    },
    Row {
        name: "bridge_reload_type",
        aliases: &[],
        section: Section::Bridge,
        kind: Choice(
            &["lazy", "immediate"],
            Set::Bridge(|to, word| to.reload_immediately = word == "immediate"),
        ),
        default: "lazy",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "When a reload reaches the bridge.",
    },
    Row {
        name: "bridge_loop_detection",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.loop_detection = is)),
        default: "false",
        class: Class::Rare,
        deprecated: None,
        since: Since::Ours,
        effect: Effect::Works,
        what: "Marks the messages that the bridge carries with a User Property, and carries none that has been here before. MQTT 5 only; see [Bridges](../guide/bridges.md).",
    },
    Row {
        name: "bridge_tcp_keepalive",
        aliases: &[],
        section: Section::Bridge,
        kind: Words("IDLE INTERVAL PROBES", Try::Bridge(words::tcp_keepalive)),
        default: "off",
        class: Class::Rare,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Keep alive of TCP: seconds of silence, seconds between two probes, probes.",
    },
    Row {
        name: "bridge_tcp_user_timeout",
        aliases: &[],
        section: Section::Bridge,
        kind: Int(
            Range::from(0),
            Set::Bridge(|to, n| {
                let millis = u64::try_from(n).ok().filter(|millis| *millis > 0);
                to.tcp_user_timeout = millis.map(Duration::from_millis);
            }),
        ),
        default: "off",
        class: Class::Rare,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "How long TCP may take to acknowledge what has been sent, in milliseconds; on Linux only.",
    },
    Row {
        name: "bridge_cafile",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| to.tls.cafile = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The CAs of the other broker in PEM; makes the bridge speak TLS.",
    },
    Row {
        name: "bridge_capath",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| to.tls.capath = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "A folder with such files.",
    },
    Row {
        name: "bridge_certfile",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| to.tls.certfile = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The certificate that the bridge shows, in PEM.",
    },
    Row {
        name: "bridge_keyfile",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| to.tls.keyfile = Some(text.into()))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Its unencrypted key in PEM.",
    },
    Row {
        name: "bridge_insecure",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.tls.insecure = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "Accepts a certificate of another host. **Dangerous.**",
    },
    Row {
        name: "bridge_tls_version",
        aliases: &[],
        section: Section::Bridge,
        kind: Choice(
            &["tlsv1.2", "tlsv1.3"],
            Set::Bridge(|to, word| {
                to.tls.version = match word {
                    "tlsv1.3" => TlsVersion::From1_3,
                    _ => TlsVersion::From1_2,
                };
            }),
        ),
        default: "tlsv1.2",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The oldest version of TLS.",
    },
    Row {
        name: "bridge_alpn",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| to.tls.alpn = Some(text))),
        default: "none",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Works,
        what: "The application protocol to ask for.",
    },
    Row {
        name: "bridge_require_ocsp",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|_, _| {})),
        default: "false",
        class: Class::Rare,
        deprecated: None,
        since: Since::V2_0,
        effect: Effect::Refused("the TLS library cannot ask for OCSP"),
        what: "Refuses a certificate without a fresh proof that it has not been taken back.",
    },
    Row {
        name: "bridge_tls_use_os_certs",
        aliases: &[],
        section: Section::Bridge,
        kind: Bool(Set::Bridge(|to, is| to.tls.use_os_certs = is)),
        default: "false",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Trusts the CAs that the system trusts.",
    },
    Row {
        name: "bridge_ciphers",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| to.tls.ciphers = Some(text))),
        default: "all that are safe",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "Cipher suites of TLS 1.2 by their names in OpenSSL.",
    },
    Row {
        name: "bridge_ciphers_tls1.3",
        aliases: &[],
        section: Section::Bridge,
        kind: Text(Set::Bridge(|to, text| {
            to.tls.ciphers_tls13 = Some(text);
        })),
        default: "all",
        class: Class::Essential,
        deprecated: None,
        since: Since::V2_1,
        effect: Effect::Works,
        what: "The same for TLS 1.3.",
    },
    Row {
        name: "bridge_identity",
        aliases: &[],
        section: Section::Bridge,
        kind: Unused,
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: NO_PSK,
        what: "The name for TLS without certificates.",
    },
    Row {
        name: "bridge_psk",
        aliases: &[],
        section: Section::Bridge,
        kind: Unused,
        default: "none",
        class: Class::Common,
        deprecated: None,
        since: Since::V2_0,
        effect: NO_PSK,
        what: "The key for TLS without certificates.",
    },
];
