//! The brokers to look at: where they are, who we are to them, how they prove who they are. From the command line and
//! the environment for one kind of login, from a file for as many as there are.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum as _;
use wigwag_client::{
    Backoff, Builder, Client, Credentials, Limits, RefusalPolicy, Target as Address, Tls, Version,
};

use super::secret::{OnCommandLine, Secret};

/// Where the usual exporter looks.
pub(crate) const DEFAULT_ENDPOINT: &str = "tcp://127.0.0.1:1883";

/// Brokers of one exporter.
const TARGETS_MAX: usize = 1_000;

/// Characters of a name.
const NAME_MAX: usize = 128;

/// Bytes of a packet: what brokers tell about themselves is small.
const PACKET_MAX: u32 = 64 * 1024;

/// What others publish may be as large as MQTT lets it be. A broker keeps from us what is larger than we say, and then
/// who has published it seems to be silent.
const ANY_PACKET_MAX: u32 = 268_435_460;

/// The longest wait between attempts: the end of an outage is to be seen soon.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The variable with the password itself. It has no option.
const MQTT_PASS: &str = "MQTT_PASS";

/// Who we are to a broker, and how it proves who it is.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct LoginArgs {
    /// User name for the broker
    #[arg(short, long, value_name = "NAME", env = "MQTT_USER")]
    user: Option<String>,

    #[arg(short, long, value_name = "PASSWORD", hide = true)]
    pass: Option<OnCommandLine>,

    /// File that holds the password; MQTT_PASS in the environment can hold it too
    #[arg(long, value_name = "FILE", env = "MQTT_PASS_FILE")]
    pass_file: Option<OsString>,

    /// Certificates in PEM of the authorities that brokers over TLS are checked with; without it, those of the system
    #[arg(long, value_name = "FILE", env = "MQTT_CA")]
    ca: Option<OsString>,

    /// Certificate in PEM to show to the broker
    #[arg(short, long, value_name = "FILE", env = "MQTT_CERT")]
    cert: Option<OsString>,

    /// Key in PEM of that certificate
    #[arg(short, long, value_name = "FILE", env = "MQTT_KEY")]
    key: Option<OsString>,

    /// Client Identifier; without it, one that nobody else has
    #[arg(short = 'i', long, value_name = "ID", env = "MQTT_CLIENT_ID")]
    client_id: Option<String>,

    /// Version of MQTT; a broker that does not know 5 is spoken to in 3.1.1
    #[arg(long, value_name = "VERSION", default_value = "5")]
    mqtt_version: MqttVersion,
}

/// The versions that can be spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum MqttVersion {
    #[default]
    #[value(name = "5")]
    V5,
    #[value(name = "3.1.1")]
    V3_1_1,
    #[value(name = "3.1")]
    V3_1,
}

/// A broker to look at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What it is called in labels and questions.
    pub(super) name: String,
    pub(crate) address: Address,
    user: Option<String>,
    password: Option<Secret>,
    tls: Option<Tls>,
    client_id: String,
    version: MqttVersion,
    /// How often it publishes, if its line says so.
    pub(super) sys_interval: Option<Duration>,
    pub(super) max_connections: Option<u64>,
}

impl LoginArgs {
    /// The broker at `[NAME=]URL`.
    pub(crate) fn target(&self, endpoint: &str) -> anyhow::Result<Target> {
        ensure!(self.pass.is_none(), OnCommandLine::REFUSED);
        let is_set = |file: &Option<OsString>| file.as_deref().and_then(file_named);
        let is_said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let password = match (is_set(&self.pass_file), password_of_environment()) {
            (Some(_), Some(_)) => bail!(
                "there are two passwords: one in {MQTT_PASS}, and one in the file of --pass-file or MQTT_PASS_FILE"
            ),
            (Some(file), None) => Some(Secret::File(file)),
            (None, given) => given.map(Secret::Given),
        };
        let settings = Settings {
            user: is_said(&self.user),
            password,
            ca: is_set(&self.ca),
            cert: is_set(&self.cert),
            key: is_set(&self.key),
            client_id: is_said(&self.client_id),
            version: self.mqtt_version,
            ..Settings::default()
        };
        let (name, url) = match endpoint.split_once('=') {
            Some((name, url)) if !name.contains("://") => (Some(name), url),
            _ => (None, endpoint),
        };
        settings.target(name, url)
    }
}

/// A variable that is empty names none.
pub(super) fn file_named(name: &OsStr) -> Option<PathBuf> {
    (!name.is_empty()).then(|| PathBuf::from(name))
}

fn password_of_environment() -> Option<Vec<u8>> {
    let password = std::env::var_os(MQTT_PASS)?.into_encoded_bytes();
    (!password.is_empty()).then_some(password)
}

/// What is said about a target, before it has been checked.
#[derive(Debug, Default)]
struct Settings {
    user: Option<String>,
    password: Option<Secret>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_id: Option<String>,
    version: MqttVersion,
    sys_interval: Option<Duration>,
    max_connections: Option<u64>,
}

impl Settings {
    fn target(self, name: Option<&str>, url: &str) -> anyhow::Result<Target> {
        let address = Address::parse(url)?;
        if address
            .credentials()
            .is_some_and(|given| given.password.is_some())
        {
            bail!(
                "the address of {address} has a password in it, which would end in logs; set MQTT_PASS in the \
                 environment, or name a file that holds it with --pass-file, or pass-file= in a file of targets"
            );
        }
        let user_of_address = address.credentials().map(|given| given.user_name.clone());
        let user = self.user.clone().or(user_of_address);
        if let Some(secret) = &self.password {
            ensure!(
                user.is_some(),
                "there is a password and no user name; name one with --user or MQTT_USER"
            );
            // A file that is not there is a mistake now, not in an hour.
            secret.read()?;
        }
        let target = Target {
            name: checked_name(name.map_or_else(|| place_of(&address), str::to_owned))?,
            tls: self.tls(&address)?,
            user,
            password: self.password,
            client_id: self.client_id.unwrap_or_else(unused_client_id),
            version: self.version,
            sys_interval: self.sys_interval,
            max_connections: self.max_connections,
            address,
        };
        // What is wrong with it is told before anything is opened.
        target.watcher().build()?;
        Ok(target)
    }

    fn tls(&self, address: &Address) -> anyhow::Result<Option<Tls>> {
        let read =
            |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        if !address.is_tls() {
            let given = [&self.ca, &self.cert, &self.key];
            ensure!(
                given.iter().all(|file| file.is_none()),
                "there are certificates, and the connection to {address} would not be encrypted; write mqtts:// or wss://"
            );
            return Ok(None);
        }
        let tls = match &self.ca {
            Some(file) => Tls::ca_pem(read(file)?),
            None => Tls::native_roots(),
        };
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Ok(Some(tls.client_certificate_pem(read(cert)?, read(key)?)))
            }
            (None, None) => Ok(Some(tls)),
            (Some(_), None) => {
                bail!("there is a certificate and no key; name one with --key or MQTT_KEY")
            }
            (None, Some(_)) => {
                bail!("there is a key and no certificate; name one with --cert or MQTT_CERT")
            }
        }
    }
}

/// `127.0.0.1:1883`, or the path of a Unix socket.
fn place_of(address: &Address) -> String {
    let url = address.to_string();
    url.split_once("://")
        .map_or_else(|| url.clone(), |(_, place)| place.to_owned())
}

fn checked_name(name: String) -> anyhow::Result<String> {
    let is_allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
    if name.is_empty() || name.chars().count() > NAME_MAX || !name.chars().all(is_allowed) {
        bail!(
            "'{name}' cannot be the name of a broker: 1 to {NAME_MAX} characters are allowed, without spaces and commas"
        );
    }
    Ok(name)
}

/// Short enough for MQTT 3.1, with what is added to it.
fn unused_client_id() -> String {
    format!("wigwag-{:08x}", fastrand::u32(..))
}

impl Target {
    /// A client that stays connected for as long as it can.
    pub(crate) fn watcher(&self) -> Builder {
        self.builder(&self.client_id)
            .refusal_policy(RefusalPolicy::Retry)
            .backoff(Backoff::default().max(RETRY_MAX))
    }

    /// The same, which hears what others publish, however large that is.
    pub(crate) fn listener(&self) -> Builder {
        self.watcher().limits(Limits {
            packet_size_max: ANY_PACKET_MAX,
            ..Limits::default()
        })
    }

    /// A client of this name for messages that go to the broker and come back. It does not come back itself.
    pub(super) fn prober(&self, client_id: &str) -> Builder {
        self.builder(client_id)
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// A name that nobody else has, for a client beside the one that watches.
    pub(super) fn another_client_id(&self) -> String {
        format!("{}-{:06x}", self.client_id, fastrand::u32(..1 << 24))
    }

    fn builder(&self, client_id: &str) -> Builder {
        let limits = Limits {
            packet_size_max: PACKET_MAX,
            ..Limits::default()
        };
        // The user name is given apart.
        let builder = Client::builder(&self.address.to_string())
            .client_id(client_id)
            .limits(limits);
        let builder = match self.version {
            MqttVersion::V5 => builder.version(Version::V5).fall_back_to_3_1_1(),
            MqttVersion::V3_1_1 => builder.version(Version::V3_1_1),
            MqttVersion::V3_1 => builder.version(Version::V3_1),
        };
        let builder = match &self.tls {
            Some(tls) => builder.tls(tls.clone()),
            None => builder,
        };
        let Some(user) = self.user.clone() else {
            return builder;
        };
        let password = self.password.clone();
        builder.credentials_with(move |_| {
            let credentials = match &password {
                Some(secret) => secret
                    .read()
                    .map(|password| Credentials::new(user.clone(), password)),
                None => Ok(Credentials::user_name(user.clone())),
            };
            std::future::ready(credentials)
        })
    }
}

/// Reads a file of targets: a name, an address and settings on each line.
pub(super) fn read_file(file: &Path) -> anyhow::Result<Vec<Target>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut targets = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let target =
            read_line(line, folder).with_context(|| format!("{}:{number}", file.display()))?;
        targets.push(target);
    }
    ensure!(
        !targets.is_empty(),
        "{} names no broker; write NAME URL on a line",
        file.display()
    );
    Ok(targets)
}

fn read_line(line: &str, folder: &Path) -> anyhow::Result<Target> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(url)) = (words.next(), words.next()) else {
        bail!("'{line}' is not NAME URL [SETTING=VALUE …]");
    };
    let mut settings = Settings::default();
    for word in words {
        settings.set(word, folder)?;
    }
    settings.target(Some(name), url)
}

impl Settings {
    /// `pass-file=/run/secrets/plant`
    fn set(&mut self, word: &str, folder: &Path) -> anyhow::Result<()> {
        const ALLOWED: &str = "user, pass-file, ca, cert, key, client-id, mqtt-version, sys-interval, max-connections";
        let Some((name, value)) = word.split_once('=').filter(|(_, value)| !value.is_empty())
        else {
            bail!("'{word}' is not SETTING=VALUE; the settings are {ALLOWED}");
        };
        let file = || Some(folder.join(value));
        match name {
            "user" => self.user = Some(value.to_owned()),
            "pass-file" => self.password = file().map(Secret::File),
            "ca" => self.ca = file(),
            "cert" => self.cert = file(),
            "key" => self.key = file(),
            "client-id" => self.client_id = Some(value.to_owned()),
            "mqtt-version" => {
                let version = MqttVersion::from_str(value, false);
                self.version = version.ok().with_context(|| {
                    format!("mqtt-version is '{value}'; 5, 3.1.1 and 3.1 are allowed")
                })?;
            }
            "sys-interval" => self.sys_interval = Some(seconds(value).map_err(anyhow::Error::msg)?),
            "max-connections" => {
                let count = value.parse().ok();
                self.max_connections = Some(count.with_context(|| {
                    format!("max-connections is '{value}'; a whole number is allowed")
                })?);
            }
            "pass" | "password" => bail!(
                "a password does not stand in this file, which others may read; name a file of its own with pass-file="
            ),
            _ => bail!("'{name}' is no setting; the settings are {ALLOWED}"),
        }
        Ok(())
    }
}

/// A time in seconds, from 0.1 to a day.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let secs: Option<f64> = text.parse().ok();
    secs.filter(|secs| (0.1..=86_400.0).contains(secs))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("'{text}' is not a time; 0.1 to 86400 seconds are allowed"))
}

/// Refuses too many targets, and two with one name.
pub(super) fn check_all(targets: &[Target]) -> anyhow::Result<()> {
    ensure!(
        targets.len() <= TARGETS_MAX,
        "there are {} brokers; one exporter takes up to {TARGETS_MAX}",
        targets.len()
    );
    let mut names = BTreeSet::new();
    for target in targets {
        ensure!(
            names.insert(&target.name),
            "two brokers are called '{}'; give each a name of its own with NAME=URL",
            target.name
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(result: anyhow::Result<Target>) -> Result<(String, String), String> {
        result
            .map(|target| (target.name.clone(), target.address.to_string()))
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn an_endpoint_has_a_name_of_its_own_or_that_of_its_place() {
        let args = LoginArgs::default();
        for (endpoint, name, address) in [
            ("tcp://127.0.0.1", "127.0.0.1:1883", "mqtt://127.0.0.1:1883"),
            ("plant=mqtt://[::1]:1884", "plant", "mqtt://[::1]:1884"),
            (
                "unix:///run/m=q.sock",
                "/run/m=q.sock",
                "unix:///run/m=q.sock",
            ),
        ] {
            let expect = Ok((name.to_owned(), address.to_owned()));
            assert_eq!(told(args.target(endpoint)), expect, "{endpoint}");
        }
        for endpoint in ["localhost", "http://h", "=mqtt://h", "a b=mqtt://h"] {
            assert!(args.target(endpoint).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn a_password_in_an_address_or_on_the_command_line_is_refused_with_a_way_out() {
        let args = LoginArgs::default();
        let error = told(args.target("mqtt://joe:s3cret@h")).expect_err("refused");
        assert!(
            error.contains("MQTT_PASS") && !error.contains("s3cret"),
            "{error}"
        );
        let args = LoginArgs {
            pass: Some(OnCommandLine),
            ..LoginArgs::default()
        };
        let error = told(args.target("mqtt://h")).expect_err("refused");
        assert!(error.contains("--pass-file"), "{error}");
    }

    #[test]
    fn a_file_has_a_target_on_each_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("targets");
        fs::write(folder.path().join("secret"), "s3cret\n").expect("written");
        let text = "# brokers\n\nhome mqtt://h\nplant  mqtt://p:1884 user=joe pass-file=secret client-id=x \
                    mqtt-version=3.1.1 sys-interval=2.5 max-connections=100\n";
        fs::write(&file, text).expect("written");
        let targets = read_file(&file).expect("two targets");
        let [home, plant] = targets.as_slice() else {
            unreachable!("{targets:?}");
        };
        assert_eq!((home.name.as_str(), plant.name.as_str()), ("home", "plant"));
        assert_eq!(plant.sys_interval, Some(Duration::from_millis(2_500)));
        assert_eq!(plant.max_connections, Some(100));
        assert!(plant.client_id() == "x" && plant.another_client_id().starts_with("x-"));
        assert!(home.another_client_id().len() <= 23);
        check_all(&targets).expect("two names");
        let twice = [home.clone(), home.clone()];
        assert!(check_all(&twice).is_err());
        for (line, expect) in [
            ("alone", "is not NAME URL"),
            ("a mqtt://h user", "is not SETTING=VALUE"),
            ("a mqtt://h usr=x", "'usr' is no setting"),
            ("a mqtt://h pass=x", "does not stand in this file"),
            ("a mqtt://h mqtt-version=4", "3.1.1"),
            ("a mqtt://h sys-interval=0", "0.1 to 86400"),
            ("a mqtt://h max-connections=-1", "a whole number"),
            (
                "a mqtt://h user=joe pass-file=missing",
                "cannot read the password",
            ),
            ("a mqtt://h pass-file=secret", "no user name"),
            ("a mqtt://h ca=secret", "would not be encrypted"),
            ("a mqtts://h cert=secret", "no key"),
            ("a mqtts://h ca=secret", "no certificate"),
            ("a http://h", "is not supported"),
        ] {
            fs::write(&file, format!("ok mqtt://h\n{line}\n")).expect("written");
            let error = read_file(&file).expect_err(line);
            let error = format!("{error:#}");
            assert!(
                error.contains("targets:2: ") && error.contains(expect),
                "{error}"
            );
        }
        fs::write(&file, "# nothing\n").expect("written");
        assert!(read_file(&file).is_err());
    }
}
