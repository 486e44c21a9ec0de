//! `wigwag exporter` and `wigwag probe`: what brokers tell under `$SYS/`, and whether messages get through, for
//! Prometheus.
//!
//! What is what in a tree is in `names`, what holds of it in `board`; `trip` is a message there and back. HTTP is
//! served by whoever runs this.

mod names;
mod text_format;

mod board;
mod devices;
mod trip;

mod http;
mod secret;
pub(crate) mod target;
mod watch;

mod probe;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
pub use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use wigwag_client::Qos;

pub use probe::{ProbeArgs, run_probe};

use board::{Knowledge, Others};
use target::{DEFAULT_ENDPOINT, LoginArgs, Target, file_named, seconds};
use trip::Plan;
use watch::Watch;

/// Where the usual exporter serves.
const BIND_ADDRESS: &str = "0.0.0.0:9234";

/// The topic of messages that come back, but for its last level.
const PROBE_TOPIC: &str = "wigwag/probe";

/// Options of `wigwag exporter`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Broker to watch; with several, each series has a label `broker` with the name (host and port without one)
    #[arg(
        short,
        long = "endpoint",
        value_name = "[NAME=]URL",
        env = "BROKER_ENDPOINT",
        hide_env_values = true,
        value_delimiter = ','
    )]
    endpoints: Vec<String>,

    /// File with more brokers, one on each line: NAME URL [SETTING=VALUE …], the settings named as these options
    #[arg(long, value_name = "FILE", env = "TARGETS_FILE")]
    targets: Option<OsString>,

    /// Address and port to serve metrics on
    #[arg(
        short,
        long,
        value_name = "ADDRESS",
        env = "BIND_ADDRESS",
        default_value = BIND_ADDRESS
    )]
    bind_address: String,

    #[command(flatten)]
    login: LoginArgs,

    /// How often the brokers publish $SYS; after three of these in silence their series vanish [default: 10, and 30
    /// for EMQX]
    #[arg(long, value_name = "SECONDS", env = "SYS_INTERVAL", value_parser = Given::read(seconds))]
    sys_interval: Option<Given<Duration>>,

    /// Connections that the brokers take, for mosquitto_max_connections
    #[arg(long, value_name = "COUNT", env = "MAX_CONNECTIONS", value_parser = Given::read(count))]
    max_connections: Option<Given<u64>>,

    /// What to do with topics below $SYS that are not known
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    other_topics: Others,

    /// Tell when each device was heard last, by topics in which one '+' is its name: device/+/state
    #[arg(long, value_name = "FILTER", env = "DEVICES")]
    devices: Option<String>,

    /// Devices whose silence is to raise an alarm; they get critical="true"
    #[arg(
        long,
        value_name = "NAME",
        env = "CRITICAL_DEVICES",
        value_delimiter = ',',
        requires = "devices"
    )]
    critical_devices: Vec<String>,

    /// Send a message through each broker so often and wait for it; without this, none is sent
    #[arg(long, value_name = "SECONDS", env = "PROBE_INTERVAL", value_parser = Given::read(seconds))]
    probe_interval: Option<Given<Duration>>,

    /// Topic of these messages; the Client Identifier is added as its last level
    #[arg(long, value_name = "TOPIC", env = "PROBE_TOPIC", default_value = PROBE_TOPIC)]
    probe_topic: String,

    /// QoS of these messages
    #[arg(long, value_name = "QOS", default_value = "1", value_parser = qos)]
    probe_qos: Qos,

    /// How long such a message may take, with all that comes before it
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    probe_timeout: Duration,
}

/// A value, or nothing where a variable of the environment is empty: compose files leave them so.
#[derive(Clone, Copy, Debug)]
struct Given<T>(Option<T>);

impl<T> Given<T> {
    fn read(
        read: fn(&str) -> Result<T, String>,
    ) -> impl Fn(&str) -> Result<Given<T>, String> + Clone {
        move |text| match text {
            "" => Ok(Given(None)),
            text => read(text).map(|value| Given(Some(value))),
        }
    }
}

fn count(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "a whole number is allowed".to_owned())
}

/// The text, or what holds where a variable is empty.
fn or_default<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

fn qos(text: &str) -> Result<Qos, String> {
    match text {
        "0" => Ok(Qos::AtMostOnce),
        "1" => Ok(Qos::AtLeastOnce),
        "2" => Ok(Qos::ExactlyOnce),
        _ => Err("0, 1 and 2 are allowed".to_owned()),
    }
}

/// Watches brokers and serves what they tell, until `stop`. `serve` serves a router on a socket for ever.
///
/// Dropping the future ends the watching; the connections are not ended in order then.
pub async fn run<S, F>(
    args: &Args,
    serve: S,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ExitCode>
where
    S: FnOnce(TcpListener, Router) -> F,
    F: Future<Output = std::io::Result<()>>,
{
    let targets = args.targets()?;
    let plan = Plan {
        topic: or_default(&args.probe_topic, PROBE_TOPIC).to_owned(),
        qos: args.probe_qos,
        timeout: args.probe_timeout,
    };
    plan.check()?;
    let listener = bind(or_default(&args.bind_address, BIND_ADDRESS)).await?;
    let addr = listener.local_addr().context("the socket has no address")?;
    let watches = args.watch(targets, &plan)?;
    say(&format!("metrics   http://{addr}/metrics"));
    say("ready     Ctrl-C stops");
    let router = http::router(watches.clone(), plan);
    tokio::select! {
        served = serve(listener, router) => served.context("the server has failed")?,
        () = stop => {}
    }
    let mut leaving: JoinSet<()> = watches
        .into_iter()
        .map(|watch| async move { watch.stop().await })
        .collect();
    while leaving.join_next().await.is_some() {}
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let named = self.endpoints.iter().map(String::as_str);
        let mut endpoints: Vec<&str> = named.filter(|endpoint| !endpoint.is_empty()).collect();
        let file = self.targets.as_deref().and_then(file_named);
        if endpoints.is_empty() && file.is_none() {
            endpoints.push(DEFAULT_ENDPOINT);
        }
        let targets = endpoints
            .into_iter()
            .map(|endpoint| self.login.target(endpoint));
        let mut targets = targets.collect::<anyhow::Result<Vec<Target>>>()?;
        if let Some(file) = file {
            targets.extend(target::read_file(&file)?);
        }
        target::check_all(&targets)?;
        Ok(targets)
    }

    fn watch(&self, targets: Vec<Target>, plan: &Plan) -> anyhow::Result<Vec<Arc<Watch>>> {
        let knowledge = Knowledge {
            interval: self.sys_interval.and_then(|given| given.0),
            max_connections: self.max_connections.and_then(|given| given.0),
            others: self.other_topics,
        };
        let devices = self.devices.as_deref().filter(|filter| !filter.is_empty());
        let devices = devices.map(|filter| devices::Plan::new(filter, &self.critical_devices));
        let devices = devices.transpose().map_err(anyhow::Error::msg)?;
        let mut watches = Vec::new();
        let count = targets.len();
        for (index, target) in targets.into_iter().enumerate() {
            let shown = format!("broker    {} {}", target.name, target.address);
            let watch = Watch::start(target, &knowledge, devices.as_ref())?;
            say(&shown);
            if let Some(every) = self.probe_interval.and_then(|given| given.0) {
                // Not all at the same moment.
                let first = every.mul_f64(share(index, count));
                tokio::spawn(Arc::clone(&watch).keep_probing(plan.clone(), first, every));
            }
            watches.push(watch);
        }
        Ok(watches)
    }
}

impl Plan {
    /// Refuses a topic under which nothing can be published.
    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            wigwag_proto::TopicName::new(&self.topic).is_ok() && !self.topic.starts_with('$'),
            "'{}' is not a topic that messages can be published under: no wildcards, and no '$' in front",
            self.topic
        );
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "targets are bounded")]
fn share(index: usize, count: usize) -> f64 {
    index as f64 / count as f64
}

/// Opens the socket. `:9234` is every address, as the usual exporter has it.
async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    let full = match address.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => address.to_owned(),
    };
    TcpListener::bind(&full).await.with_context(|| {
        format!("cannot listen on '{address}'; choose another ADDRESS:PORT with --bind-address")
    })
}

/// A line on standard output. Whoever has closed it does not want to read on: that is no reason to end.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn targets(line: &str) -> Result<Vec<String>, String> {
        let words = std::iter::once("exporter").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let targets = cli.args.targets().map_err(|error| format!("{error:#}"))?;
        Ok(targets.into_iter().map(|target| target.name).collect())
    }

    #[test]
    fn the_options_of_the_usual_exporter_are_taken() {
        let line = "--endpoint tcp://h:1 --bind-address :9 --user joe --client-id c";
        assert_eq!(targets(line), Ok(vec!["h:1".to_owned()]));
        assert_eq!(
            targets("-e tcp://h:1,b=tcp://h:2 -e tcp://h:3 -b 127.0.0.1:9 -u joe -i c"),
            Ok(["h:1", "b", "h:3"].map(str::to_owned).to_vec())
        );
        assert_eq!(targets(""), Ok(vec!["127.0.0.1:1883".to_owned()]));
        assert!(targets("-e tcp://h -e tcp://h").is_err());
    }

    #[test]
    fn what_is_empty_is_not_given() {
        let words = [
            "exporter",
            "--endpoint=",
            "--targets=",
            "--bind-address=",
            "--user=",
            "--ca=",
            "--sys-interval=",
            "--max-connections=",
            "--probe-interval=",
            "--probe-topic=",
        ];
        let args = Cli::try_parse_from(words).expect("taken").args;
        let targets = args.targets().expect("the default");
        assert_eq!(targets.len(), 1);
        assert!(args.sys_interval.is_none_or(|given| given.0.is_none()));
        assert_eq!(or_default(&args.bind_address, BIND_ADDRESS), BIND_ADDRESS);
    }

    #[test]
    fn a_password_on_the_command_line_is_not_repeated() {
        for line in ["-p s3cret", "--pass s3cret", "--pass=s3cret"] {
            let error = targets(line).expect_err("refused");
            assert!(
                error.contains("MQTT_PASS") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[test]
    fn messages_need_a_topic_that_can_be_published_to() {
        let check = |topic: &str| {
            let plan = Plan {
                topic: topic.to_owned(),
                qos: Qos::AtLeastOnce,
                timeout: Duration::from_secs(1),
            };
            plan.check().is_ok()
        };
        assert!(check("a/b"));
        assert!(!check("a/#") && !check("") && !check("$SYS/x"));
    }
}
