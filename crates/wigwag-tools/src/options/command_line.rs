//! What a command line of `pub`, `sub` or `rr` asks for, checked and complete.
//!
//! Nothing here is read from anywhere; the tools take it from here and nowhere else.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use wigwag_client::RetainHandling;
use wigwag_proto::{PropertiesBuf, Qos, Version};

use super::table::Tool;

/// All that was asked for.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// Which tool.
    pub tool: Tool,
    /// How the program was called.
    pub program: Program,
    /// Where to connect to.
    pub server: Server,
    /// As whom, and how.
    pub session: Session,
    /// How the connection is protected.
    pub tls: TlsChoice,
    /// `-D`: properties for each kind of packet.
    pub properties: Properties,
    /// `-t`, and the topic of `-L`: a Topic Name for `pub` and `rr`, Topic Filters for `sub`.
    pub topics: Vec<String>,
    /// `-q`.
    pub qos: Qos,
    /// `-d`.
    pub debug: bool,
    /// `--quiet`.
    pub quiet: bool,
    /// `--reconnect`: go on when the connection ends.
    pub reconnect: bool,
    /// What `pub` and `rr` send.
    pub publish: PublishChoice,
    /// What `sub` asks for and leaves out.
    pub subscribe: SubscribeChoice,
    /// What `rr` does besides.
    pub request: RequestChoice,
    /// How `sub` and `rr` print.
    pub print: PrintChoice,
    /// What cannot be done as it was asked for. It is said when the connection is to be opened.
    pub unusable: Option<Unusable>,
}

/// Something that cannot be done as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What Mosquitto's tools say, in one line.
    pub line: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// How the program was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// As `wigwag pub`: messages say what to do about an error.
    Wigwag,
    /// As `mosquitto_pub`: what is written is what scripts know.
    Mosquitto,
}

impl Program {
    /// What the user has typed to call the tool.
    pub fn name(self, tool: Tool) -> String {
        match self {
            Program::Wigwag => format!("wigwag {}", tool.name()),
            Program::Mosquitto => tool.mosquitto_name().to_owned(),
        }
    }
}

/// Where to connect to, and which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `-h`.
    pub host: String,
    /// `-p`; without it, the port that belongs to the transport.
    pub port: Option<u16>,
    /// `--unix`.
    pub unix: Option<PathBuf>,
    /// `--ws`, or a URL with `ws://` or `wss://`.
    pub websocket: bool,
    /// `-A`.
    pub bind: Option<String>,
    /// `-S`: look the host up as an SRV record.
    pub srv: bool,
    /// `--proxy`.
    pub proxy: Option<String>,
    /// `--nodelay`.
    pub no_delay: bool,
}

/// As whom to connect, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `-i` or `-I`; empty to let the server choose.
    pub client_id: String,
    /// `-u`.
    pub user_name: Option<String>,
    /// `-P`.
    pub password: Option<String>,
    /// False with `-c`.
    pub clean: bool,
    /// `-k`.
    pub keep_alive_secs: u16,
    /// `-V`.
    pub version: Version,
    /// `-M`.
    pub max_inflight: u16,
    /// The Will, if there is one.
    pub will: Option<WillChoice>,
}

/// `--will-topic` and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillChoice {
    /// `--will-topic`.
    pub topic: String,
    /// `--will-payload`.
    pub payload: Bytes,
    /// `--will-qos`.
    pub qos: Qos,
    /// `--will-retain`.
    pub retain: bool,
}

/// How the connection is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsChoice {
    /// Whether there is TLS at all: with certificates to trust, for port 8883 and URLs that ask for it.
    pub is_on: bool,
    /// `--cafile`.
    pub ca_file: Option<PathBuf>,
    /// `--capath`.
    pub ca_path: Option<PathBuf>,
    /// `--cert`.
    pub cert: Option<PathBuf>,
    /// `--key`.
    pub key: Option<PathBuf>,
    /// `--ciphers`.
    pub ciphers: Option<String>,
    /// `--tls-version tlsv1.3`: nothing older.
    pub only_1_3: bool,
    /// `--tls-alpn`.
    pub alpn: Option<String>,
    /// `--tls-use-os-certs`.
    pub os_certs: bool,
    /// `--insecure`.
    pub insecure: bool,
    /// `--tls-keylog`.
    pub key_log: Option<PathBuf>,
}

/// `-D`: what was given for each kind of packet, in the order of the command line.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    /// Of CONNECT, with the Session Expiry Interval of `-x` and `-c`.
    pub connect: PropertiesBuf,
    /// Of every PUBLISH.
    pub publish: PropertiesBuf,
    /// Of SUBSCRIBE.
    pub subscribe: PropertiesBuf,
    /// Of UNSUBSCRIBE.
    pub unsubscribe: PropertiesBuf,
    /// Of DISCONNECT.
    pub disconnect: PropertiesBuf,
    /// Of the Will.
    pub will: PropertiesBuf,
}

/// What `pub` and `rr` send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishChoice {
    /// Where the payload comes from.
    pub source: Source,
    /// `-r`.
    pub retain: bool,
    /// `--repeat`: how often in all.
    pub repeat: u32,
    /// `--repeat-delay`.
    pub repeat_delay: Duration,
}

/// Where payloads come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// None was named; `sub` needs none.
    None,
    /// `-m`.
    Message(Bytes),
    /// `-f`.
    File(PathBuf),
    /// `-l`: each line of the input.
    Lines,
    /// `-s`: all of the input.
    Input,
    /// `-n`: nothing.
    Empty,
}

/// What `sub` asks for and leaves out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscribeChoice {
    /// `-T`: Topic Filters of messages that are not printed.
    pub filter_out: Vec<String>,
    /// `-U`.
    pub unsubscribe: Vec<String>,
    /// `-C`: end after so many messages.
    pub count: Option<u32>,
    /// `-E`: end when the server has answered the subscriptions.
    pub exit_after_subscribing: bool,
    /// `--retained-only`.
    pub retained_only: bool,
    /// `--remove-retained`.
    pub remove_retained: bool,
    /// `--retain-as-published`.
    pub retain_as_published: bool,
    /// `--retain-handling`.
    pub retain_handling: Option<RetainHandling>,
    /// `--random-filter`: the share of messages that are printed, in per cent.
    pub random_filter: Option<f64>,
    /// `-w`: each topic keeps its line on the terminal.
    pub watch: bool,
    /// `--message-rate`: print how many messages came in each second.
    pub message_rate: bool,
    /// `--record`.
    pub record: Option<PathBuf>,
}

/// What `rr` does besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestChoice {
    /// `-e`.
    pub response_topic: Option<String>,
    /// `--latency`: print the time of the round trip.
    pub latency: bool,
}

/// How `sub` and `rr` print messages, and how long they wait for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrintChoice {
    /// `-F`, as it was given.
    pub format: Option<String>,
    /// `-v`.
    pub verbose: bool,
    /// `-N`.
    pub no_newline: bool,
    /// `-R`: leave retained messages out.
    pub no_retained: bool,
    /// `-W`.
    pub timeout: Option<Duration>,
    /// `--pretty`.
    pub pretty: bool,
    /// `--json`.
    pub json: bool,
    /// `--json-compat 2.0`: write JSON as Mosquitto 2.0 did.
    pub json_as_2_0: bool,
    /// `--timestamps`.
    pub timestamps: bool,
    /// `--decode`, in the order of the command line: each works on what the one before made.
    pub decode: Vec<String>,
}
