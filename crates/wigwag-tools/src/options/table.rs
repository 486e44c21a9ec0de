//! The table of options of `pub`, `sub`, `rr` and `ctrl`: parser, help, man pages and completions are made from it.
//!
//! What an option does is in the parser; here is what can be said of it without running it.

/// One of the tools that share a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `wigwag pub`, `mosquitto_pub`.
    Pub,
    /// `wigwag sub`, `mosquitto_sub`.
    Sub,
    /// `wigwag rr`, `mosquitto_rr`.
    Rr,
    /// `wigwag ctrl`, `mosquitto_ctrl`. Its options end at the first argument without a dash; what follows belongs to the
    /// module that is named there.
    Ctrl,
}

impl Tool {
    /// The name of the subcommand.
    pub const fn name(self) -> &'static str {
        match self {
            Tool::Pub => "pub",
            Tool::Sub => "sub",
            Tool::Rr => "rr",
            Tool::Ctrl => "ctrl",
        }
    }

    /// The name of the tool of Mosquitto's that it stands in for.
    pub const fn mosquitto_name(self) -> &'static str {
        match self {
            Tool::Pub => "mosquitto_pub",
            Tool::Sub => "mosquitto_sub",
            Tool::Rr => "mosquitto_rr",
            Tool::Ctrl => "mosquitto_ctrl",
        }
    }

    /// What it does, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Tool::Pub => "Publish messages",
            Tool::Sub => "Subscribe, and print the messages that come",
            Tool::Rr => "Publish a request, and print the response",
            Tool::Ctrl => "Administer a broker: dynamic security, listeners, plugins",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Which tools know an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tools(u8);

const PUB: Tools = Tools(Tool::Pub.bit());
const SUB: Tools = Tools(Tool::Sub.bit());
const RR: Tools = Tools(Tool::Rr.bit());
const PUB_RR: Tools = Tools(PUB.0 | RR.0);
const SUB_RR: Tools = Tools(SUB.0 | RR.0);
const ALL: Tools = Tools(PUB.0 | SUB.0 | RR.0);
const CTRL: Tools = Tools(Tool::Ctrl.bit());
const ANY: Tools = Tools(ALL.0 | CTRL.0);

impl Tools {
    /// Whether `tool` is among them.
    pub const fn contains(self, tool: Tool) -> bool {
        self.0 & tool.bit() != 0
    }
}

/// The part of the help in which an option stands, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Where to connect to.
    Server,
    /// As whom.
    Session,
    /// What is sent or asked for.
    Messages,
    /// What is printed, and when to end.
    Output,
    /// TLS.
    Tls,
    /// The rest.
    Misc,
}

impl Group {
    /// All, in the order of the help.
    pub const ALL: [Group; 6] = [
        Group::Server,
        Group::Session,
        Group::Messages,
        Group::Output,
        Group::Tls,
        Group::Misc,
    ];

    /// The heading.
    pub const fn heading(self) -> &'static str {
        match self {
            Group::Server => "Where to connect to",
            Group::Session => "Who is connecting",
            Group::Messages => "What is sent or asked for",
            Group::Output => "What is printed, and when to end",
            Group::Tls => "TLS",
            Group::Misc => "Other",
        }
    }
}

/// What completions may offer for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Nothing.
    Any,
    /// A path of a file.
    File,
    /// A path of a folder.
    Folder,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What it is for the parser.
    pub option: Opt,
    /// Its names, with their dashes; the short one first, if there is one.
    pub names: &'static [&'static str],
    /// The names of its values; none for a flag. `-D` has more than one.
    pub values: &'static [&'static str],
    /// What the value may be.
    pub hint: Hint,
    /// Who knows it.
    pub tools: Tools,
    /// Where it stands in the help.
    pub group: Group,
    /// What it does, in one line.
    pub help: &'static str,
    /// Whether Mosquitto's tools know it too, 2.1 included.
    pub is_mosquittos: bool,
    /// Whether it may stand more than once.
    pub repeats: bool,
}

/// The options that `tool` has, in the order of the table.
pub fn rows(tool: Tool) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.tools.contains(tool))
}

const fn row(
    option: Opt,
    names: &'static [&'static str],
    values: &'static [&'static str],
    tools: Tools,
    group: Group,
    help: &'static str,
) -> Row {
    Row {
        option,
        names,
        values,
        hint: Hint::Any,
        tools,
        group,
        help,
        is_mosquittos: true,
        repeats: false,
    }
}

impl Row {
    const fn hint(mut self, hint: Hint) -> Row {
        self.hint = hint;
        self
    }

    const fn ours(mut self) -> Row {
        self.is_mosquittos = false;
        self
    }

    const fn repeats(mut self) -> Row {
        self.repeats = true;
        self
    }
}

const VERSIONS: Hint = Hint::OneOf(&["mqttv5", "mqttv311", "mqttv31"]);
const QOS: Hint = Hint::OneOf(&["0", "1", "2"]);

macro_rules! options {
    ($($option:ident $names:tt $values:tt $tools:ident $group:ident $help:literal $(. $more:ident ($($argument:expr)?))*;)*) => {
        /// Every option, once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the rows of the table say what they are")]
        pub enum Opt {
            $($option,)*
        }

        /// Every option, in the order of the help.
        pub const ROWS: &[Row] = &[
            $(row(Opt::$option, &$names, &$values, $tools, Group::$group, $help)$(.$more($($argument)?))*,)*
        ];
    };
}

options! {
    Host ["-h", "--host"] ["HOST"] ANY Server "The host to connect to; localhost if none is given";
    Port ["-p", "--port"] ["PORT"] ANY Server "The port; 1883, or 8883 with TLS, if none is given";
    Url ["-L", "--url"] ["URL"] ANY Server "User, password, host, port and topic in one: mqtt(s)://[user[:password]@]host[:port]/topic, or ws(s)://";
    Unix ["--unix"] ["PATH"] ANY Server "Connect through a Unix socket".hint(Hint::File);
    WebSocket ["--ws"] [] ANY Server "Connect over WebSocket";
    Bind ["-A"] ["ADDRESS"] ANY Server "The address of this host to connect from";
    Srv ["-S"] [] ALL Server "Look the host up as an SRV record";
    Proxy ["--proxy"] ["URL"] ANY Server "Go through a proxy: socks5h://[user[:password]@]host[:port], or http://";
    NoDelay ["--nodelay"] [] ALL Server "Send small packets at once (TCP_NODELAY)";

    User ["-u", "--username"] ["NAME"] ANY Session "The user name";
    Password ["-P", "--pw"] ["PASSWORD"] ANY Session "The password";
    ClientId ["-i", "--id"] ["ID"] ANY Session "The Client Identifier; without it the server assigns one";
    ClientIdPrefix ["-I", "--id-prefix"] ["PREFIX"] ALL Session "A Client Identifier made of this and the number of the process";
    KeepSession ["-c", "--disable-clean-session"] [] ALL Session "Go on with the session of this Client Identifier, and let the server keep it";
    SessionExpiry ["-x"] ["SECONDS"] ALL Session "How long the server keeps the session afterwards; -1 or ∞ for ever. MQTT 5";
    KeepAlive ["-k", "--keepalive"] ["SECONDS"] ALL Session "The Keep Alive; 60 if none is given";
    Version ["-V", "--protocol-version"] ["VERSION"] ANY Session "The version of MQTT: mqttv5, mqttv311 or mqttv31".hint(VERSIONS);
    Property ["-D", "--property"] ["PACKET", "NAME", "VALUE"] ALL Session "A property of a kind of packet; user-property takes a name and a value. MQTT 5".repeats();
    WillTopic ["--will-topic"] ["TOPIC"] ALL Session "The topic of the Will";
    WillPayload ["--will-payload"] ["TEXT"] ALL Session "The payload of the Will; empty if none is given";
    WillQos ["--will-qos"] ["QOS"] ALL Session "The QoS of the Will".hint(QOS);
    WillRetain ["--will-retain"] [] ALL Session "Let the server keep the Will for future subscribers";

    Topic ["-t", "--topic"] ["TOPIC"] ALL Messages "The topic; sub takes several".repeats();
    Qos ["-q", "--qos"] ["QOS"] ANY Messages "The QoS: 0, 1 or 2".hint(QOS);
    MaxInflight ["-M"] ["COUNT"] ALL Messages "How many messages of QoS 1 and 2 may be in flight";
    Message ["-m", "--message"] ["TEXT"] PUB_RR Messages "The message";
    File ["-f", "--file"] ["FILE"] PUB_RR Messages "Send what is in a file".hint(Hint::File);
    StdinLines ["-l", "--stdin-line"] [] PUB Messages "Send each line of the input as a message";
    StdinFile ["-s", "--stdin-file"] [] PUB_RR Messages "Send all of the input as one message";
    NullMessage ["-n", "--null-message"] [] PUB_RR Messages "Send an empty message";
    Retain ["-r", "--retain"] [] PUB_RR Messages "Let the server keep the message for future subscribers";
    Repeat ["--repeat"] ["COUNT"] PUB Messages "Send it so many times";
    RepeatDelay ["--repeat-delay"] ["SECONDS"] PUB Messages "Wait so long between them; fractions are allowed";
    ResponseTopic ["-e"] ["TOPIC"] RR Messages "Where the response is expected";
    DataFile ["-f"] ["FILE"] CTRL Messages "Work on a file of dynamic security, without a broker".hint(Hint::File);
    FilterOut ["-T", "--filter-out"] ["TOPIC"] SUB Messages "Do not print messages of these topics".repeats();
    Unsubscribe ["-U", "--unsubscribe"] ["TOPIC"] SUB Messages "Unsubscribe from this topic".repeats();
    RetainedOnly ["--retained-only"] [] SUB Messages "Handle retained messages only, and end with the first other one";
    RemoveRetained ["--remove-retained"] [] SUB Messages "Let the server forget the retained messages that are received";
    RetainAsPublished ["--retain-as-published"] [] SUB Messages "Keep the RETAIN flag of the publisher. MQTT 5";
    RetainHandling ["--retain-handling"] ["WHEN"] SUB_RR Messages "When the server sends retained messages: always, new or never. MQTT 5".hint(Hint::OneOf(&["always", "new", "never"]));

    Format ["-F"] ["FORMAT"] SUB_RR Output "How a message is printed: %t is its topic, %p its payload, %j all of it as JSON";
    Verbose ["-v", "--verbose"] [] SUB_RR Output "Print the topic before the payload";
    CtrlVerbose ["-v", "--verbose"] [] CTRL Output "Changes nothing; Mosquitto's takes it too";
    NoNewline ["-N"] [] SUB_RR Output "Do not end what is printed with a new line";
    NoRetained ["-R"] [] SUB_RR Output "Do not print retained messages";
    Count ["-C"] ["COUNT"] SUB Output "End after so many messages";
    ExitAfterSubscribing ["-E"] [] SUB Output "End when the server has answered the subscriptions";
    Timeout ["-W"] ["SECONDS"] SUB_RR Output "End after this time, with code 27";
    RandomFilter ["--random-filter"] ["PERCENT"] SUB Output "Print this share of the messages, chosen at random";
    Watch ["-w", "--watch"] [] SUB Output "Keep one line for each topic, with its last message";
    MessageRate ["--message-rate"] [] SUB Output "Print how many messages came, once a second";
    Pretty ["--pretty"] [] SUB_RR Output "Spread JSON over several lines";
    Latency ["--latency"] [] RR Output "Print how long the response took";
    Json ["--json"] [] ANY Output "Print JSON, one object a line".ours();
    JsonCompat ["--json-compat"] ["VERSION"] SUB_RR Output "Write %j and %J as Mosquitto 2.0 did: 2.0 or 2.1".hint(Hint::OneOf(&["2.0", "2.1"])).ours();
    Timestamps ["--timestamps"] [] SUB_RR Output "Print the time before each message".ours();
    Decode ["--decode"] ["HOW"] SUB_RR Output "Read payloads as cbor, msgpack, protobuf:FILE:Type, sparkplug or gzip".repeats().ours();
    Record ["--record"] ["FILE"] SUB Output "Write the messages to a file that `wigwag replay` plays".hint(Hint::File).ours();

    CaFile ["--cafile"] ["FILE"] ANY Tls "Certificates of those who may vouch for the server; turns TLS on".hint(Hint::File);
    CaPath ["--capath"] ["FOLDER"] ANY Tls "A folder of such certificates; turns TLS on".hint(Hint::Folder);
    Cert ["--cert"] ["FILE"] ANY Tls "The certificate of this client".hint(Hint::File);
    Key ["--key"] ["FILE"] ANY Tls "Its private key".hint(Hint::File);
    KeyForm ["--keyform"] ["FORM"] ANY Tls "The form of the key: pem".hint(Hint::OneOf(&["pem"]));
    Ciphers ["--ciphers"] ["LIST"] ANY Tls "The cipher suites that are allowed";
    TlsVersion ["--tls-version"] ["VERSION"] ANY Tls "The version of TLS: tlsv1.3 or tlsv1.2".hint(Hint::OneOf(&["tlsv1.3", "tlsv1.2"]));
    TlsAlpn ["--tls-alpn"] ["PROTOCOL"] ANY Tls "The protocol that is asked for inside TLS (ALPN)";
    TlsEngine ["--tls-engine"] ["ENGINE"] ANY Tls "Not supported: engines belong to OpenSSL";
    TlsEngineKpass ["--tls-engine-kpass-sha1"] ["HASH"] ANY Tls "Not supported: engines belong to OpenSSL";
    TlsOsCerts ["--tls-use-os-certs"] [] ANY Tls "Trust the certificates that the system trusts; turns TLS on";
    Insecure ["--insecure"] [] ANY Tls "Do not check the name in the server's certificate";
    NoTls ["--no-tls"] [] ANY Tls "Do without TLS, whatever the port";
    TlsKeyLog ["--tls-keylog"] ["FILE"] ANY Tls "Write the secrets of TLS to a file, for Wireshark".hint(Hint::File);
    Psk ["--psk"] ["HEX"] ANY Tls "Not supported: keys shared in advance";
    PskIdentity ["--psk-identity"] ["NAME"] ANY Tls "Not supported: keys shared in advance";

    Reconnect ["--reconnect"] [] ALL Misc "Connect again, and go on, when the connection fails or ends".ours();
    Debug ["-d", "--debug"] [] ANY Misc "Print each packet";
    Quiet ["--quiet"] [] ANY Misc "Print no errors";
    OptionsFile ["-o"] ["FILE"] ANY Misc "Read options from this file, in place of the default one".hint(Hint::File);
    LoadOptions ["--load-options"] ["FILE"] ALL Misc "Read options from this file too".hint(Hint::File).repeats().ours();
    SaveOptions ["--save-options"] ["FILE"] ALL Misc "Write the options of this command line to a file, and end".hint(Hint::File).ours();
    Help ["--help"] [] ANY Misc "Print this";
    ProgramVersion ["--version"] [] ANY Misc "Print the version";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once() {
        for tool in [Tool::Pub, Tool::Sub, Tool::Rr, Tool::Ctrl] {
            let mut names: Vec<_> = rows(tool).flat_map(|row| row.names).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{tool:?}");
        }
    }

    #[test]
    fn only_our_own_options_are_additions() {
        for row in ROWS.iter().filter(|row| !row.is_mosquittos) {
            assert!(
                row.names.iter().all(|name| name.starts_with("--")),
                "{row:?}"
            );
        }
    }
}
