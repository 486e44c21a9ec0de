//! What a configuration says, in types. Nothing here parses or opens anything.
//!
//! The fields bear the names of their options; what each of them means is in the table of options, and what
//! an option does today is said there too. "None" is "no limit" wherever a file says 0 or -1.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wigwag_alarm::Rule;
use wigwag_proto::TopicFilterBuf;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<Path>,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A whole configuration.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "the fields say it, and the table of options says more"
)]
pub struct Config {
    /// In the order of the file. In local only mode, what is set for a listener that no line names.
    pub listeners: Vec<Listener>,
    /// No line names a listener: only this machine is to get in.
    pub local_only: bool,
    /// Security is said for each listener; there is none for all of them.
    pub per_listener_settings: bool,
    /// What holds for listeners that do not say anything of their own.
    pub security: Security,
    pub plugins: Vec<Plugin>,
    pub limits: Limits,
    pub delivery: Delivery,
    pub persistence: Persistence,
    pub logging: Logging,
    pub process: Process,
    /// How often `$SYS` is published; never without it.
    pub sys_interval: Option<Duration>,
    /// Where metrics are served over HTTP, to everybody who gets there.
    pub metrics_listeners: Vec<SocketAddr>,
    /// Rules for alarms, besides the broker's own.
    pub alarms: Vec<Rule>,
    pub builtin_alarms: bool,
    pub recorder: Recorder,
    pub enable_control_api: bool,
    pub set_tcp_nodelay: bool,
    pub bridges: Vec<Bridge>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listeners: Vec::new(),
            local_only: true,
            per_listener_settings: false,
            security: Security {
                allow_anonymous: true,
                ..Security::default()
            },
            plugins: Vec::new(),
            limits: Limits::default(),
            delivery: Delivery::default(),
            persistence: Persistence::default(),
            logging: Logging::default(),
            process: Process::default(),
            sys_interval: Some(Duration::from_secs(10)),
            metrics_listeners: Vec::new(),
            alarms: Vec::new(),
            builtin_alarms: true,
            recorder: Recorder::default(),
            enable_control_api: false,
            set_tcp_nodelay: false,
            bridges: Vec::new(),
        }
    }
}

/// A place to listen on, with all that holds for its connections.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Listener {
    /// The line that opened it; none if it is the default one.
    pub place: Option<Place>,
    pub bind: Bind,
    pub protocol: Protocol,
    pub tls: Option<Tls>,
    pub proxy: Option<Proxy>,
    pub max_connections: Option<u32>,
    pub max_qos: u8,
    pub max_topic_alias: u16,
    pub max_topic_alias_broker: u16,
    pub mount_point: Option<String>,
    pub use_username_as_clientid: bool,
    pub accept_protocol_versions: Versions,
    pub security: Security,
    /// Origins that web pages may come from; any if it is empty.
    pub websockets_origins: Vec<String>,
    pub http_dir: Option<PathBuf>,
    pub web_ui: bool,
}

impl Listener {
    /// A listener about which nothing more is said.
    pub fn new(bind: Bind) -> Listener {
        Listener {
            place: None,
            bind,
            protocol: Protocol::Mqtt,
            tls: None,
            proxy: None,
            max_connections: None,
            max_qos: 2,
            max_topic_alias: 10,
            max_topic_alias_broker: 10,
            mount_point: None,
            use_username_as_clientid: false,
            accept_protocol_versions: Versions::default(),
            security: Security::default(),
            websockets_origins: Vec::new(),
            http_dir: None,
            web_ui: true,
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub enum Bind {
    Tcp {
        /// An address or a name that has one; every address of the machine without it.
        host: Option<String>,
        port: u16,
        interface: Option<String>,
        domain: Option<Domain>,
    },
    Unix(PathBuf),
}

impl Bind {
    /// Every address of a host, or of the machine.
    pub fn tcp(host: Option<&str>, port: u16) -> Bind {
        Bind::Tcp {
            host: host.map(str::to_owned),
            port,
            interface: None,
            domain: None,
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Tcp {
                host: None, port, ..
            } => write!(f, "port {port}"),
            Bind::Tcp {
                host: Some(host),
                port,
                ..
            } => write!(f, "port {port} of {host}"),
            Bind::Unix(path) => write!(f, "socket {}", path.display()),
        }
    }
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Domain {
    Ipv4,
    Ipv6,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Mqtt,
    WebSockets,
    HttpApi,
}

/// The versions of MQTT that a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Versions {
    pub v3_1: bool,
    pub v3_1_1: bool,
    pub v5: bool,
}

impl Default for Versions {
    fn default() -> Versions {
        Versions {
            v3_1: true,
            v3_1_1: true,
            v5: true,
        }
    }
}

/// TLS on a listener. Files are named, not read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Tls {
    pub certfile: PathBuf,
    pub keyfile: PathBuf,
    pub cafile: Option<PathBuf>,
    pub capath: Option<PathBuf>,
    pub crlfile: Option<PathBuf>,
    pub require_certificate: bool,
    pub disable_client_cert_date_checks: bool,
    pub username: CertificateName,
    pub tls_version: TlsVersion,
    pub ciphers: Option<String>,
    pub ciphers_tls13: Option<String>,
}

/// What of a client's certificate is its user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// Nothing: the user name is in CONNECT.
    None,
    /// The Common Name (`use_identity_as_username`).
    Identity,
    /// The whole subject (`use_subject_as_username`).
    Subject,
}

/// The versions of TLS that a listener or a bridge speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TlsVersion {
    #[default]
    From1_2,
    From1_3,
}

/// The PROXY protocol, which a load balancer speaks before its client's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// The text form.
    V1,
    /// The binary form.
    V2 {
        /// Clients must have come to the load balancer over TLS.
        require_tls: bool,
        /// Clients must have shown it a certificate that it accepts.
        require_certificate: bool,
        /// The Common Name that the load balancer tells is the user name.
        use_identity_as_username: bool,
    },
}

/// Who gets in, and who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Security {
    pub allow_anonymous: bool,
    pub allow_zero_length_clientid: bool,
    pub auto_id_prefix: String,
    pub password_file: Option<PathBuf>,
    pub acl_file: Option<PathBuf>,
    /// Indices into [`Config::plugins`].
    pub plugins: Vec<usize>,
}

impl Default for Security {
    fn default() -> Security {
        Security {
            allow_anonymous: false,
            allow_zero_length_clientid: true,
            auto_id_prefix: "auto-".to_owned(),
            password_file: None,
            acl_file: None,
            plugins: Vec::new(),
        }
    }
}

/// A plugin of Mosquitto's, which is built in here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Plugin {
    pub place: Place,
    /// By which `plugin_use` names it.
    pub name: Option<String>,
    pub builtin: BuiltIn,
    /// `plugin_opt_*` without the prefix, in the order of the file.
    pub options: Vec<(String, String)>,
    /// User names and client ids with `+`, `#` and `/` get no access.
    pub deny_special_chars: bool,
}

/// What stands in for a plugin, by the name of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BuiltIn {
    DynamicSecurity,
    AclFile,
    PasswordFile,
    PersistSqlite,
}

impl BuiltIn {
    /// The files that have an equivalent.
    pub const FILES: [(&str, BuiltIn); 4] = [
        ("mosquitto_dynamic_security", BuiltIn::DynamicSecurity),
        ("mosquitto_acl_file", BuiltIn::AclFile),
        ("mosquitto_password_file", BuiltIn::PasswordFile),
        ("mosquitto_persist_sqlite", BuiltIn::PersistSqlite),
    ];

    /// What stands in for the plugin in this file.
    pub fn by_path(path: &Path) -> Option<BuiltIn> {
        let stem = path.file_stem()?.to_str()?;
        let mut files = BuiltIn::FILES.iter();
        files
            .find(|(name, _)| *name == stem)
            .map(|(_, builtin)| *builtin)
    }
}

/// Bounds that hold for the whole broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Limits {
    pub global_max_clients: Option<u32>,
    pub global_max_connections: Option<u32>,
    pub max_inflight_messages: Option<u16>,
    pub max_inflight_bytes: Option<u32>,
    pub max_queued_messages: Option<u32>,
    pub max_queued_bytes: Option<u32>,
    pub max_keepalive: Option<u16>,
    pub max_packet_size: u32,
    pub message_size_limit: Option<u32>,
    pub memory_limit: Option<u64>,
    pub packet_buffer_size: u16,
    pub persistent_client_expiration: Option<Duration>,
    pub retain_expiry_interval: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            global_max_clients: None,
            global_max_connections: None,
            max_inflight_messages: Some(20),
            max_inflight_bytes: None,
            max_queued_messages: Some(1_000),
            max_queued_bytes: None,
            max_keepalive: None,
            max_packet_size: 2_000_000,
            message_size_limit: None,
            memory_limit: None,
            packet_buffer_size: 4_096,
            persistent_client_expiration: None,
            retain_expiry_interval: None,
        }
    }
}

/// How messages are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Delivery {
    pub allow_duplicate_messages: bool,
    pub check_retain_source: bool,
    pub clientid_prefixes: Option<String>,
    pub queue_qos0_messages: bool,
    pub retain_available: bool,
    pub upgrade_outgoing_qos: bool,
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            allow_duplicate_messages: true,
            check_retain_source: false,
            clientid_prefixes: None,
            queue_qos0_messages: false,
            retain_available: true,
            upgrade_outgoing_qos: false,
        }
    }
}

/// What outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Persistence {
    pub persistence: bool,
    pub persistence_file: String,
    pub persistence_location: Option<PathBuf>,
    /// Seconds, or changes if `autosave_on_changes` says so; never without it.
    pub autosave_interval: Option<u32>,
    pub autosave_on_changes: bool,
}

impl Default for Persistence {
    fn default() -> Persistence {
        Persistence {
            persistence: false,
            persistence_file: "mosquitto.db".to_owned(),
            persistence_location: None,
            autosave_interval: Some(1_800),
            autosave_on_changes: false,
        }
    }
}

/// What is recorded of messages. Where nothing is said, it depends on the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Recorder {
    pub recorder: Option<bool>,
    pub recorder_topics: Vec<TopicFilterBuf>,
    pub recorder_location: Option<PathBuf>,
    /// In bytes.
    pub recorder_size_limit: u64,
    pub recorder_age_limit: Duration,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            recorder: None,
            recorder_topics: Vec::new(),
            recorder_location: None,
            recorder_size_limit: 256 * 1024 * 1024,
            recorder_age_limit: Duration::from_secs(24 * 3_600),
        }
    }
}

/// What is logged, where and in what form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Logging {
    pub destinations: BTreeSet<LogDest>,
    pub types: BTreeSet<LogType>,
    /// Whether the file named any type; if not, the command line and the environment may choose.
    pub types_are_set: bool,
    pub log_format: LogFormat,
    pub log_timestamp: bool,
    pub log_timestamp_format: Option<String>,
    /// 0 to 7 for `local0` to `local7`; `daemon` without it.
    pub log_facility: Option<u8>,
    pub connection_messages: bool,
}

impl Default for Logging {
    fn default() -> Logging {
        Logging {
            destinations: BTreeSet::from([LogDest::Stderr]),
            types: BTreeSet::from([
                LogType::Error,
                LogType::Warning,
                LogType::Notice,
                LogType::Information,
            ]),
            types_are_set: false,
            log_format: LogFormat::Text,
            log_timestamp: true,
            log_timestamp_format: None,
            log_facility: None,
            connection_messages: true,
        }
    }
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogDest {
    Stdout,
    Stderr,
    Syslog,
    Topic,
    File(PathBuf),
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The time and the text.
    #[default]
    Text,
    /// A JSON object with time, type and message.
    Json,
}

/// What a log line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogType {
    Error,
    Warning,
    Notice,
    Information,
    Debug,
    Subscribe,
    Unsubscribe,
    WebSockets,
    Internal,
}

impl LogType {
    /// All types, with the names that files give them.
    pub const ALL: [(&str, LogType); 9] = [
        ("error", LogType::Error),
        ("warning", LogType::Warning),
        ("notice", LogType::Notice),
        ("information", LogType::Information),
        ("debug", LogType::Debug),
        ("subscribe", LogType::Subscribe),
        ("unsubscribe", LogType::Unsubscribe),
        ("websockets", LogType::WebSockets),
        ("internal", LogType::Internal),
    ];
}

/// The process itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Process {
    /// Whom a broker that root starts becomes; `mosquitto`, else `nobody`, without it.
    pub user: Option<String>,
    pub pid_file: Option<PathBuf>,
}

/// A connection to another broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct Bridge {
    pub place: Place,
    pub name: String,
    /// Hosts and ports, the first of them the primary one.
    pub addresses: Vec<(String, u16)>,
    pub topics: Vec<BridgeTopic>,
    /// `HOSTNAME.NAME` without it.
    pub remote_clientid: Option<String>,
    pub remote_username: Option<String>,
    pub remote_password: Option<String>,
    /// `local.` and the remote client id without it.
    pub local_clientid: Option<String>,
    pub local_username: Option<String>,
    pub local_password: Option<String>,
    pub cleansession: bool,
    pub local_cleansession: Option<bool>,
    pub keepalive_interval: Duration,
    pub protocol_version: BridgeVersion,
    pub notifications: bool,
    pub notifications_local_only: bool,
    pub notification_topic: Option<String>,
    pub restart: Restart,
    pub round_robin: bool,
    pub start_type: StartType,
    pub idle_timeout: Duration,
    pub threshold: u32,
    pub try_private: bool,
    pub attempt_unsubscribe: bool,
    pub outgoing_retain: bool,
    pub bind_address: Option<IpAddr>,
    pub max_packet_size: Option<u32>,
    pub max_topic_alias: u16,
    pub receive_maximum: Option<u16>,
    pub session_expiry_interval: u32,
    pub reload_immediately: bool,
    pub loop_detection: bool,
    /// Idle time, interval and probes.
    pub tcp_keepalive: Option<(Duration, Duration, u32)>,
    pub tcp_user_timeout: Option<Duration>,
    pub tls: BridgeTls,
}

impl Bridge {
    /// A bridge about which nothing more is said yet.
    pub(crate) fn new(place: Place, name: String) -> Bridge {
        Bridge {
            place,
            name,
            addresses: Vec::new(),
            topics: Vec::new(),
            remote_clientid: None,
            remote_username: None,
            remote_password: None,
            local_clientid: None,
            local_username: None,
            local_password: None,
            cleansession: false,
            local_cleansession: None,
            keepalive_interval: Duration::from_secs(60),
            protocol_version: BridgeVersion::V3_1_1,
            notifications: true,
            notifications_local_only: false,
            notification_topic: None,
            restart: Restart::default(),
            round_robin: false,
            start_type: StartType::Automatic,
            idle_timeout: Duration::from_secs(60),
            threshold: 10,
            try_private: true,
            attempt_unsubscribe: true,
            outgoing_retain: true,
            bind_address: None,
            max_packet_size: None,
            max_topic_alias: 10,
            receive_maximum: None,
            session_expiry_interval: 0,
            reload_immediately: false,
            loop_detection: false,
            tcp_keepalive: None,
            tcp_user_timeout: None,
            tls: BridgeTls::default(),
        }
    }
}

/// Topics that a bridge carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct BridgeTopic {
    /// Empty if the prefixes are the whole topics.
    pub pattern: String,
    pub direction: Direction,
    pub qos: u8,
    pub local_prefix: String,
    pub remote_prefix: String,
}

/// Which way messages go, seen from the broker that makes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Direction {
    Out,
    In,
    Both,
}

/// The version that a bridge speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BridgeVersion {
    V3_1,
    V3_1_1,
    V5,
}

/// How long a bridge waits before it connects again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Restart {
    pub base: Duration,
    /// Grows from `base` to this, with jitter; always `base` without it.
    pub cap: Option<Duration>,
    /// A connection that has lasted this long begins with `base` again.
    pub stable: Duration,
}

impl Default for Restart {
    fn default() -> Restart {
        Restart {
            base: Duration::from_secs(5),
            cap: Some(Duration::from_secs(30)),
            stable: Duration::ZERO,
        }
    }
}

/// When a bridge connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StartType {
    Automatic,
    Lazy,
    Once,
}

/// TLS of a bridge. Files are named, not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields bear the names of their options")]
pub struct BridgeTls {
    pub cafile: Option<PathBuf>,
    pub capath: Option<PathBuf>,
    pub certfile: Option<PathBuf>,
    pub keyfile: Option<PathBuf>,
    pub insecure: bool,
    pub version: TlsVersion,
    pub alpn: Option<String>,
    pub use_os_certs: bool,
    pub ciphers: Option<String>,
    pub ciphers_tls13: Option<String>,
}

impl BridgeTls {
    /// Whether the bridge speaks TLS: it does when it is told whom to trust.
    pub fn is_wanted(&self) -> bool {
        self.cafile.is_some() || self.capath.is_some() || self.use_os_certs
    }
}
