//! From arguments to a [`CommandLine`]: what each option does, and what is said about wrong ones.
//!
//! The texts and their line ends are those of Mosquitto's tools, which scripts and eyes know. A value that is no number
//! where one is needed is refused, where Mosquitto's tools take it for 0.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use wigwag_client::RetainHandling;
use wigwag_proto::{Property, Qos, TopicError, TopicFilter, TopicName, Version};

use super::command_line::{
    CommandLine, PrintChoice, Program, Properties, PublishChoice, RequestChoice, Server, Session,
    Source, SubscribeChoice, TlsChoice, Unusable, WillChoice,
};
use super::options_file::{self, Environment};
use super::properties;
use super::table::{Group, Opt, Row, Tool, rows};

/// The largest payload of MQTT, as Mosquitto counts it.
pub(crate) const PAYLOAD_MAX: usize = 268_435_455;

/// What is to be done.
#[derive(Debug)]
pub enum Parsed {
    /// What the command line says. `ctrl` has words behind its options.
    Run(Box<CommandLine>, Vec<OsString>),
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// `--save-options` has done what it does.
    Saved,
}

/// What is wrong with a command line, with its line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub String);

/// Reads the arguments behind the name of the tool.
pub fn parse(
    tool: Tool,
    program: Program,
    arguments: &[OsString],
    environment: &Environment,
) -> Result<Parsed, Wrong> {
    let mut draft = Draft::new(tool, program);
    let named = options_file_of(arguments).map_err(Wrong)?;
    let default = environment.default_file(tool);
    let file = named.clone().or(default);
    if let Some(path) = file
        && let Some(parsed) = draft.read_file(&path, named.is_none())?
    {
        return Ok(parsed);
    }
    if let Some(parsed) = draft.read(arguments).map_err(Wrong)? {
        return Ok(parsed);
    }
    if let Some(path) = &draft.save {
        options_file::write(path, &draft.given).map_err(Wrong)?;
        return Ok(Parsed::Saved);
    }
    let (line, rest) = draft.finish(environment).map_err(Wrong)?;
    Ok(Parsed::Run(Box::new(line), rest))
}

/// The file of `-o`, which is read before everything else.
fn options_file_of(arguments: &[OsString]) -> Result<Option<PathBuf>, String> {
    let mut found = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument != "-o" {
            continue;
        }
        if found.is_some() {
            return Err("Error: Duplicate -o argument given.\n\n".to_owned());
        }
        let missing = "Error: -o argument given but no options file specified.\n\n";
        found = Some(arguments.next().ok_or(missing)?.into());
    }
    Ok(found)
}

/// A command line that is being read. Later options go before earlier ones.
struct Draft {
    line: CommandLine,
    client_id: Option<String>,
    client_id_prefix: Option<String>,
    /// Seconds; `u32::MAX` for ever.
    session_expiry: Option<u32>,
    will_topic: Option<String>,
    will_payload: Option<Bytes>,
    will_qos: Qos,
    will_retain: bool,
    key_form: Option<String>,
    tls_version: Option<String>,
    engine: Option<String>,
    engine_hash: bool,
    psk: bool,
    psk_identity: bool,
    no_tls: bool,
    /// The options as they were given, for `--save-options`.
    given: Vec<Vec<OsString>>,
    save: Option<PathBuf>,
    rest: Vec<OsString>,
}

impl Draft {
    fn new(tool: Tool, program: Program) -> Draft {
        let version = match tool {
            Tool::Rr | Tool::Ctrl => Version::V5,
            Tool::Pub | Tool::Sub => Version::V3_1_1,
        };
        let qos = match tool {
            Tool::Ctrl => Qos::AtLeastOnce,
            Tool::Pub | Tool::Sub | Tool::Rr => Qos::AtMostOnce,
        };
        Draft {
            line: CommandLine {
                tool,
                program,
                server: Server {
                    host: String::new(),
                    port: None,
                    unix: None,
                    websocket: false,
                    bind: None,
                    srv: false,
                    proxy: None,
                    no_delay: false,
                },
                session: Session {
                    client_id: String::new(),
                    user_name: None,
                    password: None,
                    clean: true,
                    keep_alive_secs: 60,
                    version,
                    max_inflight: 20,
                    will: None,
                },
                tls: TlsChoice::default(),
                properties: Properties::default(),
                topics: Vec::new(),
                qos,
                debug: false,
                quiet: false,
                reconnect: false,
                publish: PublishChoice {
                    source: Source::None,
                    retain: false,
                    repeat: 1,
                    repeat_delay: Duration::ZERO,
                },
                subscribe: SubscribeChoice::default(),
                request: RequestChoice::default(),
                print: PrintChoice::default(),
                unusable: None,
            },
            client_id: None,
            client_id_prefix: None,
            session_expiry: None,
            will_topic: None,
            will_payload: None,
            will_qos: Qos::AtMostOnce,
            will_retain: false,
            key_form: None,
            tls_version: None,
            engine: None,
            engine_hash: false,
            psk: false,
            psk_identity: false,
            no_tls: false,
            given: Vec::new(),
            save: None,
            rest: Vec::new(),
        }
    }

    fn read_file(&mut self, path: &Path, is_default: bool) -> Result<Option<Parsed>, Wrong> {
        for (number, words) in options_file::read(path, is_default).map_err(Wrong)? {
            let read = self.read(&words).map_err(|message| {
                let message = message.trim_end();
                Wrong(format!("{message} (line {number} of {})\n", path.display()))
            })?;
            if read.is_some() {
                return Ok(read);
            }
        }
        Ok(None)
    }

    fn read(&mut self, arguments: &[OsString]) -> Result<Option<Parsed>, String> {
        let tool = self.line.tool;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if tool == Tool::Ctrl && !argument.as_encoded_bytes().starts_with(b"-") {
                self.rest = [argument].into_iter().chain(arguments).cloned().collect();
                return Ok(None);
            }
            let name = argument.to_str().unwrap_or_default();
            let row = rows(tool)
                .find(|row| row.names.contains(&name))
                .ok_or_else(|| format!("Error: Unknown option '{}'.\n", argument.display()))?;
            match row.option {
                Opt::Help => return Ok(Some(Parsed::Help)),
                Opt::ProgramVersion => return Ok(Some(Parsed::Version)),
                _ => {}
            }
            let values = self.values(row, &mut arguments)?;
            self.apply(row, &values)?;
            if !matches!(
                row.option,
                Opt::SaveOptions | Opt::OptionsFile | Opt::LoadOptions
            ) {
                let words = values.iter().map(|value| (*value).clone());
                self.given
                    .push([argument.clone()].into_iter().chain(words).collect());
            }
        }
        Ok(None)
    }

    /// The values of an option. What follows it is one, whatever it looks like.
    fn values<'a>(
        &self,
        row: &Row,
        arguments: &mut std::slice::Iter<'a, OsString>,
    ) -> Result<Vec<&'a OsString>, String> {
        if row.option != Opt::Property {
            // "Only one type" goes before "no message".
            if is_source(row.option) && self.line.publish.source != Source::None {
                return Err(ONE_SOURCE.to_owned());
            }
            let value = |_| arguments.next().ok_or_else(|| missing(row));
            return row.values.iter().map(value).collect();
        }
        let name = arguments.as_slice().get(1).and_then(|name| name.to_str());
        let count = 2 + properties::value_count(name.unwrap_or_default());
        let values: Vec<&OsString> = arguments.by_ref().take(count).collect();
        if values.len() < count {
            return Err(missing(row));
        }
        Ok(values)
    }

    fn apply(&mut self, row: &'static Row, values: &[&OsString]) -> Result<(), String> {
        let value = Value {
            row,
            text: values
                .first()
                .map_or(OsStr::new(""), |value| value.as_os_str()),
        };
        if row.option == Opt::Property {
            return self.property(row, values);
        }
        match row.group {
            Group::Server => self.server(row.option, value),
            Group::Session => self.session(row.option, value),
            Group::Messages => self.messages(row.option, value),
            Group::Output => self.output(row.option, value),
            Group::Tls => self.tls(row.option, value),
            Group::Misc => self.misc(row.option, value),
        }
    }

    fn property(&mut self, row: &'static Row, values: &[&OsString]) -> Result<(), String> {
        let texts = values.iter().map(|text| Value { row, text }.text());
        let texts: Vec<&str> = texts.collect::<Result<_, _>>()?;
        let [packet, name, value @ ..] = texts.as_slice() else {
            return Err(missing(row));
        };
        properties::add(&mut self.line.properties, packet, name, value)?;
        self.line.session.version = Version::V5;
        Ok(())
    }

    fn server(&mut self, option: Opt, value: Value<'_>) -> Result<(), String> {
        let server = &mut self.line.server;
        match option {
            Opt::Host => {
                server.host = value.owned()?;
                server.unix = None;
            }
            Opt::Port => {
                let port = value.number("Error: Invalid port given: {}\n")?;
                let wrong = format!("Error: Invalid port given: {port}\n");
                let port = u16::try_from(port).ok().filter(|port| *port > 0);
                server.port = Some(port.ok_or(wrong)?);
            }
            Opt::Url => self.url(value)?,
            Opt::Unix => server.unix = Some(value.path()),
            Opt::WebSocket => server.websocket = true,
            Opt::Bind => server.bind = Some(value.owned()?),
            Opt::Srv => server.srv = true,
            Opt::Proxy => server.proxy = Some(proxy(value.text()?)?),
            Opt::NoDelay => server.no_delay = true,
            _ => {}
        }
        Ok(())
    }

    /// `-L`: everything in one.
    fn url(&mut self, value: Value<'_>) -> Result<(), String> {
        const SCHEMES: [(&str, u16, bool, bool); 4] = [
            ("mqtt://", 1883, false, false),
            ("mqtts://", 8883, true, false),
            ("ws://", 1883, false, true),
            ("wss://", 8883, true, true),
        ];
        let url = value.text()?;
        let scheme = SCHEMES.iter().find(|(scheme, ..)| {
            let front = url.get(..scheme.len());
            front.is_some_and(|front| front.eq_ignore_ascii_case(scheme))
        });
        let Some((scheme, port, is_tls, is_websocket)) = scheme else {
            return Err("Error: Unsupported URL scheme.\n\n".to_owned());
        };
        let rest = url.get(scheme.len()..).unwrap_or_default();
        let (authority, topic) = match (rest.split_once('/'), self.line.tool) {
            (Some((authority, topic)), _) => (authority, topic),
            // What it administers is no topic.
            (None, Tool::Ctrl) => (rest, ""),
            (None, _) => {
                return Err(
                    "Error: Invalid URL for -L argument specified - topic missing.\n".to_owned(),
                );
            }
        };
        if self.line.tool != Tool::Ctrl {
            self.topic(topic)?;
        }
        let address = match authority.split_once('@') {
            None => authority,
            Some((who, address)) => {
                let (user_name, password) = match who.split_once(':') {
                    Some((user_name, password)) => (user_name, Some(password)),
                    None => (who, None),
                };
                self.line.session.user_name = Some(user_name.to_owned());
                if let Some(password) = password {
                    self.line.session.password = Some(password.to_owned());
                }
                address
            }
        };
        let server = &mut self.line.server;
        server.port = Some(*port);
        server.unix = None;
        server.websocket |= is_websocket;
        self.line.tls.os_certs |= is_tls;
        let (host, port) = host_and_port(address);
        server.host = host.to_owned();
        if let Some(port) = port {
            let wrong = format!("Error: Invalid port given: {port}\n");
            server.port = Some(port.parse().map_err(|_| wrong)?);
        }
        Ok(())
    }

    fn session(&mut self, option: Opt, value: Value<'_>) -> Result<(), String> {
        const BOTH: &str = "Error: -i and -I argument cannot be used together.\n\n";
        let session = &mut self.line.session;
        match option {
            Opt::User => session.user_name = Some(value.owned()?),
            Opt::Password => session.password = Some(value.owned()?),
            Opt::ClientId if self.client_id_prefix.is_some() => return Err(BOTH.to_owned()),
            Opt::ClientId => self.client_id = Some(value.owned()?),
            Opt::ClientIdPrefix if self.client_id.is_some() => return Err(BOTH.to_owned()),
            Opt::ClientIdPrefix => self.client_id_prefix = Some(value.owned()?),
            Opt::KeepSession => session.clean = false,
            Opt::SessionExpiry => {
                self.session_expiry = Some(session_expiry(value.text()?)?);
                session.version = Version::V5;
            }
            Opt::KeepAlive => {
                let wrong =
                    "Error: Invalid keepalive given, it must be between 5 and 65535 inclusive.\n\n";
                let secs = value.number(wrong)?;
                let secs = u16::try_from(secs).ok().filter(|secs| *secs >= 5);
                session.keep_alive_secs = secs.ok_or(wrong)?;
            }
            Opt::Version => {
                session.version = match value.text()? {
                    "mqttv31" | "31" => Version::V3_1,
                    "mqttv311" | "311" => Version::V3_1_1,
                    "mqttv5" | "5" => Version::V5,
                    _ => {
                        return Err(
                            "Error: Invalid protocol version argument given.\n\n".to_owned()
                        );
                    }
                };
            }
            Opt::WillTopic => {
                let topic = value.text()?;
                check_name(topic).map_err(|()| {
                    format!("Error: Invalid will topic '{topic}', does it contain '+' or '#'?\n")
                })?;
                self.will_topic = Some(topic.to_owned());
            }
            Opt::WillPayload => self.will_payload = Some(value.bytes()),
            Opt::WillQos => {
                let number = value.number("Error: Invalid will QoS {}.\n\n")?;
                let wrong = || format!("Error: Invalid will QoS {number}.\n\n");
                self.will_qos = qos(number).ok_or_else(wrong)?;
            }
            Opt::WillRetain => self.will_retain = true,
            _ => {}
        }
        Ok(())
    }

    fn messages(&mut self, option: Opt, value: Value<'_>) -> Result<(), String> {
        let publish = &mut self.line.publish;
        let subscribe = &mut self.line.subscribe;
        match option {
            Opt::Topic => self.topic(value.text()?)?,
            Opt::Qos => {
                let number = value.number("Error: Invalid QoS given: {}\n")?;
                let wrong = || format!("Error: Invalid QoS given: {number}\n");
                self.line.qos = qos(number).ok_or_else(wrong)?;
            }
            Opt::MaxInflight => {
                let wrong = "Error: Maximum inflight messages must be greater than 0.\n\n";
                let count = value.number(wrong)?.clamp(0, u16::MAX.into());
                let count = u16::try_from(count).ok().filter(|count| *count > 0);
                self.line.session.max_inflight = count.ok_or(wrong)?;
            }
            Opt::Message if value.bytes().len() > PAYLOAD_MAX => {
                return Err(format!(
                    "Error: Message length must be less than {PAYLOAD_MAX} bytes.\n\n"
                ));
            }
            Opt::Message => publish.source = Source::Message(value.bytes()),
            Opt::File => publish.source = Source::File(value.path()),
            Opt::StdinLines => publish.source = Source::Lines,
            Opt::StdinFile => publish.source = Source::Input,
            Opt::NullMessage => publish.source = Source::Empty,
            Opt::Retain => publish.retain = true,
            Opt::Repeat => {
                let wrong = "Error: --repeat argument must be >0.\n\n";
                let count = value.number(wrong)?.min(u32::MAX.into());
                let count = u32::try_from(count).ok().filter(|count| *count > 0);
                publish.repeat = count.ok_or(wrong)?;
            }
            Opt::RepeatDelay => {
                let wrong = "Error: --repeat-delay argument must be >=0.0.\n\n";
                let secs: f64 = value.text()?.parse().map_err(|_| wrong)?;
                let delay = Duration::try_from_secs_f64(secs).map_err(|_| wrong)?;
                // For ever, nearly: no clock goes as far as a duration.
                publish.repeat_delay = delay.min(Duration::from_secs(u32::MAX.into()));
            }
            Opt::ResponseTopic => {
                let topic = value.text()?;
                check_name(topic).map_err(|()| {
                    format!(
                        "Error: Invalid response topic '{topic}', does it contain '+' or '#'?\n"
                    )
                })?;
                self.line.request.response_topic = Some(topic.to_owned());
            }
            Opt::FilterOut => subscribe.filter_out.push(value.filter("filter")?),
            Opt::Unsubscribe => subscribe.unsubscribe.push(value.filter("unsubscribe")?),
            Opt::RetainedOnly => subscribe.retained_only = true,
            Opt::RemoveRetained => subscribe.remove_retained = true,
            Opt::RetainAsPublished => subscribe.retain_as_published = true,
            Opt::RetainHandling => {
                subscribe.retain_handling = Some(match value.text()? {
                    "always" => RetainHandling::Send,
                    "new" => RetainHandling::SendIfNew,
                    "never" => RetainHandling::DoNotSend,
                    other => {
                        return Err(format!(
                            "Error: Unknown value '{other}' for --retain-handling.\n\n"
                        ));
                    }
                });
            }
            Opt::DataFile => publish.source = Source::File(value.path()),
            _ => {}
        }
        Ok(())
    }

    fn output(&mut self, option: Opt, value: Value<'_>) -> Result<(), String> {
        let print = &mut self.line.print;
        let subscribe = &mut self.line.subscribe;
        match option {
            Opt::Format => print.format = Some(value.owned()?),
            Opt::Verbose => print.verbose = true,
            Opt::NoNewline => print.no_newline = true,
            Opt::NoRetained => {
                print.no_retained = true;
                subscribe.retain_handling = Some(RetainHandling::DoNotSend);
            }
            Opt::Count => {
                let count = value.number("Error: Invalid message count \"{}\".\n\n")?;
                let wrong = format!("Error: Invalid message count \"{count}\".\n\n");
                let count = u32::try_from(count).ok().filter(|count| *count > 0);
                subscribe.count = Some(count.ok_or(wrong)?);
            }
            Opt::ExitAfterSubscribing => subscribe.exit_after_subscribing = true,
            Opt::Timeout => {
                let secs = value.number("Error: Invalid timeout \"{}\".\n\n")?;
                let wrong = format!("Error: Invalid timeout \"{secs}\".\n\n");
                let secs = u32::try_from(secs).ok().filter(|secs| *secs > 0);
                print.timeout = Some(Duration::from_secs(secs.ok_or(wrong)?.into()));
            }
            Opt::RandomFilter => {
                let wrong = "Error: --random-filter chance must be between 0.1-100.0\n\n";
                let share: f64 = value.text()?.parse().map_err(|_| wrong)?;
                if !(0.1..=100.0).contains(&share) {
                    return Err(wrong.to_owned());
                }
                subscribe.random_filter = Some(share);
            }
            Opt::Watch => subscribe.watch = true,
            Opt::MessageRate => subscribe.message_rate = true,
            Opt::Pretty => print.pretty = true,
            Opt::Latency => {
                self.line.request.latency = true;
                self.line.server.no_delay = true;
            }
            Opt::Json => print.json = true,
            Opt::JsonCompat => {
                print.json_as_2_0 = match value.text()? {
                    "2.0" => true,
                    "2.1" => false,
                    other => {
                        return Err(format!(
                            "Error: Unknown value '{other}' for --json-compat; 2.0 and 2.1 are known.\n\n"
                        ));
                    }
                };
            }
            Opt::Timestamps => print.timestamps = true,
            Opt::Decode => print.decode.push(value.owned()?),
            Opt::Record => subscribe.record = Some(value.path()),
            _ => {}
        }
        Ok(())
    }

    fn tls(&mut self, option: Opt, value: Value<'_>) -> Result<(), String> {
        let tls = &mut self.line.tls;
        match option {
            Opt::CaFile => tls.ca_file = Some(value.path()),
            Opt::CaPath => tls.ca_path = Some(value.path()),
            Opt::Cert => tls.cert = Some(value.path()),
            Opt::Key => tls.key = Some(value.path()),
            Opt::KeyForm => self.key_form = Some(value.owned()?),
            Opt::Ciphers => tls.ciphers = Some(value.owned()?),
            Opt::TlsVersion => self.tls_version = Some(value.owned()?),
            Opt::TlsAlpn => tls.alpn = Some(value.owned()?),
            Opt::TlsEngine => self.engine = Some(value.owned()?),
            Opt::TlsEngineKpass => self.engine_hash = true,
            Opt::TlsOsCerts => tls.os_certs = true,
            Opt::Insecure => tls.insecure = true,
            Opt::NoTls => self.no_tls = true,
            Opt::TlsKeyLog => tls.key_log = Some(value.path()),
            Opt::Psk => self.psk = true,
            Opt::PskIdentity => self.psk_identity = true,
            _ => {}
        }
        Ok(())
    }

    fn misc(&mut self, option: Opt, value: Value<'_>) -> Result<(), String> {
        match option {
            Opt::Reconnect => self.line.reconnect = true,
            Opt::Debug => self.line.debug = true,
            Opt::Quiet => self.line.quiet = true,
            Opt::LoadOptions => {
                self.read_file(&value.path(), false)
                    .map_err(|wrong| wrong.0)?;
            }
            Opt::SaveOptions => self.save = Some(value.path()),
            // The file of -o has been read before everything else.
            _ => {}
        }
        Ok(())
    }

    fn topic(&mut self, topic: &str) -> Result<(), String> {
        if self.line.tool == Tool::Sub {
            check_filter(topic).map_err(|()| {
                format!(
                    "Error: Invalid subscription topic '{topic}', are all '+' and '#' wildcards correct?\n"
                )
            })?;
        } else {
            check_name(topic).map_err(|()| {
                format!("Error: Invalid publish topic '{topic}', does it contain '+' or '#'?\n")
            })?;
            self.line.topics.clear();
        }
        self.line.topics.push(topic.to_owned());
        Ok(())
    }

    /// What can only be said when everything is known, in the order of Mosquitto's tools.
    fn finish(mut self, environment: &Environment) -> Result<(CommandLine, Vec<OsString>), String> {
        self.check_will()?;
        self.check_tls()?;
        self.finish_session_expiry()?;
        properties::check(&self.line.properties)?;
        if self.line.tool == Tool::Sub
            && self.line.topics.is_empty()
            && self.line.subscribe.unsubscribe.is_empty()
        {
            return Err(
                "Error: You must specify a topic to subscribe to (-t) or unsubscribe from (-U).\n"
                    .to_owned(),
            );
        }
        let unusable = self.unusable();
        let mut line = self.line;
        line.unusable = unusable;
        if line.server.host.is_empty() {
            line.server.host = "localhost".to_owned();
        }
        line.session.client_id = match (self.client_id, self.client_id_prefix) {
            (Some(id), _) => id,
            (None, Some(prefix)) => format!("{prefix}{}", environment.process_id),
            (None, None) => String::new(),
        };
        line.session.will = self.will_topic.map(|topic| WillChoice {
            topic,
            payload: self.will_payload.unwrap_or_default(),
            qos: self.will_qos,
            retain: self.will_retain,
        });
        let tls = &mut line.tls;
        let port_says_so = line.server.port == Some(8883);
        tls.os_certs |= port_says_so && tls.ca_file.is_none() && tls.ca_path.is_none();
        let is_trusting = tls.ca_file.is_some() || tls.ca_path.is_some() || tls.os_certs;
        tls.is_on = is_trusting && !self.no_tls && line.server.unix.is_none();
        tls.only_1_3 = self.tls_version.as_deref() == Some("tlsv1.3");
        Ok((line, self.rest))
    }

    fn check_will(&self) -> Result<(), String> {
        if self.will_topic.is_some() {
            return Ok(());
        }
        if self.will_payload.is_some() {
            return Err("Error: Will payload given, but no will topic given.\n".to_owned());
        }
        if self.will_retain {
            return Err("Error: Will retain given, but no will topic given.\n".to_owned());
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), String> {
        let tls = &self.line.tls;
        let wrong = if tls.cert.is_some() != tls.key.is_some() {
            "Error: Both certfile and keyfile must be provided if one of them is set.\n".to_owned()
        } else if self.key_form.is_some() && tls.key.is_none() {
            "Error: If keyform is set, keyfile must be also specified.\n".to_owned()
        } else if self.engine_hash && (self.key_form.is_none() || self.engine.is_none()) {
            "Error: when using tls-engine-kpass-sha1, both tls-engine and keyform must also be provided.\n".to_owned()
        } else if (tls.ca_file.is_some() || tls.ca_path.is_some()) && self.psk {
            "Error: Only one of --psk or --cafile/--capath may be used at once.\n".to_owned()
        } else if self.psk && !self.psk_identity {
            "Error: --psk-identity required if --psk used.\n".to_owned()
        } else {
            return Ok(());
        };
        Err(wrong)
    }

    /// What Mosquitto's tools find out when they are about to connect.
    fn unusable(&self) -> Option<Unusable> {
        const NO_ENGINES: &str =
            "Engines belong to OpenSSL and are not there: give the key as a file of PEM (--key).";
        let (line, advice) = if self.client_id.as_deref() == Some("") {
            (
                "Error: Invalid id.".to_owned(),
                "A Client Identifier (-i) is not empty; without one, the server assigns it.",
            )
        } else if self.psk {
            (
                "Error: Problem setting TLS-PSK options.".to_owned(),
                "Keys shared in advance (--psk) are not supported: use certificates (--cafile, --cert and --key).",
            )
        } else if let Some(engine) = &self.engine {
            (
                format!("Error: Problem setting TLS engine, is {engine} a valid engine?"),
                NO_ENGINES,
            )
        } else if self.key_form.as_ref().is_some_and(|form| form != "pem") {
            (
                "Error: Problem setting key form, it must be one of 'pem' or 'engine'.".to_owned(),
                NO_ENGINES,
            )
        } else if let Some(version) = &self.tls_version
            && !["tlsv1.3", "tlsv1.2"].contains(&version.as_str())
        {
            (
                "Error: Problem setting TLS options, check the options are valid.".to_owned(),
                "The versions of TLS (--tls-version) are tlsv1.3 and tlsv1.2.",
            )
        } else {
            return None;
        };
        Some(Unusable { line, advice })
    }

    fn finish_session_expiry(&mut self) -> Result<(), String> {
        let session = &self.line.session;
        let has_id = self.client_id.is_some();
        if session.version != Version::V5 {
            if !session.clean && !has_id {
                return Err(
                    "Error: You must provide a client id if you are using the -c option.\n"
                        .to_owned(),
                );
            }
            return Ok(());
        }
        let for_ever = (!session.clean).then_some(u32::MAX);
        let expiry = self.session_expiry.or(for_ever).filter(|secs| *secs > 0);
        let Some(secs) = expiry else {
            return Ok(());
        };
        if secs == u32::MAX && !has_id {
            return Err("Error: You must provide a client id if you are using an infinite session expiry interval.\n".to_owned());
        }
        let connect = &mut self.line.properties.connect;
        connect
            .push(Property::SessionExpiryInterval(secs))
            .map_err(|error| format!("Error adding property session-expiry-interval: {error}\n"))
    }
}

/// The value of an option, and which option it is.
#[derive(Clone, Copy)]
struct Value<'a> {
    row: &'static Row,
    text: &'a OsStr,
}

impl<'a> Value<'a> {
    fn text(self) -> Result<&'a str, String> {
        let name = self.row.names.first().copied().unwrap_or_default();
        let wrong = || format!("Error: Malformed UTF-8 in {name} argument.\n\n");
        self.text.to_str().ok_or_else(wrong)
    }

    fn owned(self) -> Result<String, String> {
        self.text().map(str::to_owned)
    }

    fn bytes(self) -> Bytes {
        Bytes::copy_from_slice(self.text.as_encoded_bytes())
    }

    fn path(self) -> PathBuf {
        self.text.into()
    }

    /// A number; `{}` in the message stands for what was given.
    fn number(self, wrong: &str) -> Result<i64, String> {
        let text = self.text()?;
        text.trim().parse().map_err(|_| wrong.replace("{}", text))
    }

    fn filter(self, what: &str) -> Result<String, String> {
        let filter = self.text()?;
        check_filter(filter).map_err(|()| {
            format!(
                "Error: Invalid {what} topic '{filter}', are all '+' and '#' wildcards correct?\n"
            )
        })?;
        Ok(filter.to_owned())
    }
}

const ONE_SOURCE: &str = "Error: Only one type of message can be sent at once.\n\n";

const fn is_source(option: Opt) -> bool {
    matches!(
        option,
        Opt::Message | Opt::File | Opt::StdinLines | Opt::StdinFile | Opt::NullMessage
    )
}

/// What is said when the value of an option is missing.
fn missing(row: &Row) -> String {
    let name = row.names.first().copied().unwrap_or_default();
    let what = match row.option {
        Opt::Property => {
            return "Error: --property argument given but not enough arguments specified.\n\n"
                .to_owned();
        }
        Opt::MaxInflight => {
            return "Error: -M argument given but max_inflight not specified.\n\n".to_owned();
        }
        Opt::Version => {
            return "Error: --protocol-version argument given but no version specified.\n\n"
                .to_owned();
        }
        Opt::Bind => "address",
        Opt::CaPath => "directory",
        Opt::Ciphers => "ciphers",
        Opt::ClientId => "id",
        Opt::ClientIdPrefix => "id prefix",
        Opt::Count | Opt::Repeat => "count",
        Opt::FilterOut => "topic filter",
        Opt::Format => "format",
        Opt::Host => "host",
        Opt::KeepAlive => "keepalive",
        Opt::KeyForm => "keyform",
        Opt::Message => "message",
        Opt::OptionsFile => "options file",
        Opt::Password => "password",
        Opt::Port => "port",
        Opt::Proxy => "proxy url",
        Opt::Psk => "key",
        Opt::PskIdentity => "identity",
        Opt::Qos => "QoS",
        Opt::RandomFilter => "chance",
        Opt::RepeatDelay => "time",
        Opt::ResponseTopic => "response topic",
        Opt::RetainHandling => "option",
        Opt::SessionExpiry => "session expiry interval",
        Opt::Timeout => "timeout",
        Opt::TlsAlpn => "protocol",
        Opt::TlsEngine => "engine_id",
        Opt::TlsEngineKpass => "kpass sha1",
        Opt::TlsVersion => "version",
        Opt::Topic => "topic",
        Opt::Unix => "socket path",
        Opt::Unsubscribe => "unsubscribe topic",
        Opt::Url => "URL",
        Opt::User => "username",
        Opt::WillPayload => "will payload",
        Opt::WillQos => "will QoS",
        Opt::WillTopic => "will topic",
        Opt::JsonCompat => "version",
        Opt::Decode => "encoding",
        _ => "file",
    };
    format!("Error: {name} argument given but no {what} specified.\n\n")
}

/// Mosquitto's tools leave it to the server to refuse an empty topic.
fn check_name(topic: &str) -> Result<(), ()> {
    match TopicName::new(topic) {
        Ok(_) | Err(TopicError::Empty) => Ok(()),
        Err(_) => Err(()),
    }
}

fn check_filter(filter: &str) -> Result<(), ()> {
    TopicFilter::new(filter).map(|_| ()).map_err(|_| ())
}

fn qos(number: i64) -> Option<Qos> {
    Qos::from_u8(u8::try_from(number).ok()?)
}

fn session_expiry(text: &str) -> Result<u32, String> {
    const RANGE: &str = "Error: session-expiry-interval out of range.\n\n";
    match text {
        "∞" | "-1" => Ok(u32::MAX),
        _ => {
            let wrong = "Error: session-expiry-interval not a number.\n\n";
            let secs: i128 = text.trim_start().parse().map_err(|_| wrong)?;
            u32::try_from(secs).map_err(|_| RANGE.to_owned())
        }
    }
}

/// A proxy's address: for Mosquitto's tools one of SOCKS5, for ours also one of HTTP.
fn proxy(url: &str) -> Result<String, String> {
    let is_known = ["socks5h://", "http://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    if !is_known {
        return Err(format!("Error: Unsupported proxy protocol: {url}\n"));
    }
    Ok(url.to_owned())
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host_and_port(address: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return (host, rest.strip_prefix(':'));
    }
    match address.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tool: Tool, arguments: &[&str]) -> Result<Parsed, String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let environment = Environment {
            config_folder: None,
            process_id: 17,
        };
        parse(tool, Program::Mosquitto, &arguments, &environment).map_err(|wrong| wrong.0)
    }

    fn line(tool: Tool, arguments: &[&str]) -> CommandLine {
        match read(tool, arguments) {
            Ok(Parsed::Run(line, _)) => *line,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    fn wrong(tool: Tool, arguments: &[&str], expect: &str) {
        let message = read(tool, arguments).expect_err("wrong");
        assert_eq!(message, expect, "{arguments:?}");
    }

    #[test]
    fn a_url_has_everything_in_it() {
        let check = |url: &str, host: &str, port: u16, is_tls: bool| {
            let line = line(Tool::Pub, &["-L", url]);
            assert_eq!(line.server.host, host, "{url}");
            assert_eq!(line.server.port, Some(port), "{url}");
            assert_eq!(line.tls.is_on, is_tls, "{url}");
            assert_eq!(line.topics, ["a/b"], "{url}");
        };
        check("mqtt://h/a/b", "h", 1883, false);
        check("MQTT://h:1/a/b", "h", 1, false);
        check("mqtts://h/a/b", "h", 8883, true);
        check("wss://h/a/b", "h", 8883, true);
        check("mqtt://[::1]:7/a/b", "::1", 7, false);
        let line = line(Tool::Pub, &["-L", "mqtt://me:se:cret@h/t"]);
        assert_eq!(line.session.user_name.as_deref(), Some("me"));
        assert_eq!(line.session.password.as_deref(), Some("se:cret"));
    }

    #[test]
    fn the_last_option_counts_and_topics_add_up_for_sub_alone() {
        let twice = ["-h", "a", "-h", "b", "-t", "x", "-t", "y"];
        let (publish, subscribe) = (line(Tool::Pub, &twice), line(Tool::Sub, &twice));
        assert_eq!(publish.server.host, "b");
        assert_eq!(publish.topics, ["y"]);
        assert_eq!(subscribe.topics, ["x", "y"]);
    }

    #[test]
    fn what_asks_for_mqtt_5_speaks_it() {
        let version = |arguments: &[&str]| line(Tool::Pub, arguments).session.version;
        assert_eq!(version(&[]), Version::V3_1_1);
        assert_eq!(version(&["-x", "5"]), Version::V5);
        assert_eq!(
            version(&["-D", "publish", "content-type", "t"]),
            Version::V5
        );
        assert_eq!(version(&["-V", "31"]), Version::V3_1);
        assert_eq!(line(Tool::Rr, &[]).session.version, Version::V5);
    }

    #[test]
    fn a_session_that_is_kept_needs_a_name() {
        let for_ever = line(Tool::Pub, &["-V", "5", "-c", "-i", "me"]);
        let expiry = for_ever
            .properties
            .connect
            .as_properties()
            .session_expiry_interval();
        assert_eq!(expiry, Some(u32::MAX));
        wrong(
            Tool::Pub,
            &["-x", "∞"],
            "Error: You must provide a client id if you are using an infinite session expiry interval.\n",
        );
        wrong(
            Tool::Pub,
            &["-c", "-I", "me"],
            "Error: You must provide a client id if you are using the -c option.\n",
        );
        assert_eq!(line(Tool::Pub, &["-I", "me"]).session.client_id, "me17");
    }

    #[test]
    fn properties_are_kept_in_their_order() {
        let line = line(
            Tool::Pub,
            &[
                "-D",
                "publish",
                "message-expiry-interval",
                "5",
                "-D",
                "PUBLISH",
                "user-property",
                "a",
                "b",
                "--property",
                "publish",
                "content-type",
                "t",
            ],
        );
        let properties: Vec<_> = line.properties.publish.as_properties().iter().collect();
        let expect = [
            Property::MessageExpiryInterval(5),
            Property::UserProperty(("a", "b")),
            Property::ContentType("t"),
        ];
        assert_eq!(properties, expect);
    }

    #[test]
    fn wrong_properties_are_explained() {
        let check = |arguments: &[&str], expect: &str| {
            wrong(Tool::Pub, &[&["-D"], arguments].concat(), expect);
        };
        let missing = "Error: --property argument given but not enough arguments specified.\n\n";
        check(&["publish"], missing);
        check(&["publish", "user-property", "a"], missing);
        check(
            &["publish", "topic-alias", "70000"],
            "Error: Property value (70000) out of range for property topic-alias.\n\n",
        );
        check(
            &["publish", "topic-alias", "x"],
            "Error: Property value 'x' not a number.\n\n",
        );
        check(
            &["connect", "receive-maximum", "0"],
            "Error in CONNECT properties: A network protocol error occurred when communicating with the broker.\n",
        );
        check(
            &[
                "publish",
                "topic-alias",
                "1",
                "-D",
                "publish",
                "topic-alias",
                "1",
            ],
            "Error in PUBLISH properties: Duplicate property in property list\n",
        );
    }

    #[test]
    fn a_number_has_to_be_one() {
        wrong(Tool::Pub, &["-q", "x"], "Error: Invalid QoS given: x\n");
        wrong(
            Tool::Pub,
            &["-p", "70000"],
            "Error: Invalid port given: 70000\n",
        );
        wrong(Tool::Sub, &["-W", "0"], "Error: Invalid timeout \"0\".\n\n");
    }

    #[test]
    fn a_delay_is_one_that_a_clock_can_count() {
        let line = line(Tool::Pub, &["--repeat-delay", "1e19"]);
        let delay = line.publish.repeat_delay;
        assert!(std::time::Instant::now().checked_add(delay).is_some());
    }

    #[test]
    fn options_of_another_tool_are_unknown() {
        wrong(Tool::Pub, &["-C", "3"], "Error: Unknown option '-C'.\n");
        wrong(Tool::Sub, &["-m", "x"], "Error: Unknown option '-m'.\n");
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(
            folder.path().join("mosquitto_pub"),
            "# mine\n-h file\n-q 2\n",
        )
        .expect("writable");
        let environment = Environment {
            config_folder: Some(folder.path().to_owned()),
            process_id: 1,
        };
        let read = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            match parse(Tool::Pub, Program::Mosquitto, &arguments, &environment) {
                Ok(Parsed::Run(line, _)) => (line.server.host, line.qos),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            read(&["-h", "typed"]),
            ("typed".to_owned(), Qos::ExactlyOnce)
        );
        assert_eq!(read(&[]), ("file".to_owned(), Qos::ExactlyOnce));
        let other = folder.path().join("other");
        std::fs::write(&other, "-q 1\n").expect("writable");
        let other = other.to_str().expect("text");
        assert_eq!(
            read(&["-o", other]),
            ("localhost".to_owned(), Qos::AtLeastOnce)
        );
    }

    #[test]
    fn ctrl_has_words_behind_its_options() {
        let arguments = ["-q", "2", "dynsec", "getClient", "-x"];
        match read(Tool::Ctrl, &arguments) {
            Ok(Parsed::Run(line, rest)) => {
                assert_eq!(line.qos, Qos::ExactlyOnce);
                assert_eq!(rest, ["dynsec", "getClient", "-x"]);
            }
            other => panic!("{other:?}"),
        }
    }
}
