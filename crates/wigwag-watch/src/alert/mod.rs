//! `wigwag alert`: rules about topics of any broker, and who is told when one of them holds.
//!
//! What rules mean is in `wigwag-alarm`; `keeper` brings them messages and time, `notices` decides when somebody is told,
//! and `sinks` tell them.

mod broker_alarms;
mod rules;

mod keeper;

mod notices;
mod quiet;

mod secret;
mod sinks;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use wigwag_alarm::read_span;

use crate::exporter::target::{DEFAULT_ENDPOINT, LoginArgs, Target};
use keeper::Keeper;
use quiet::QuietHours;
use rules::Sources;
use secret::Source;
use sinks::{Form, Sinks, WebSink};

/// Options of `wigwag alert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "A RULE is one line, for example:\n  \
    'many_clients: $SYS/broker/clients/connected > 100 for 1m until < 90'\n  \
    'hot: device/+/state @ temperature > 80 severity critical'\n  \
    'silent: absent device/+/online for 60s'\n\
    A SOURCE is env:NAME or file:PATH: what is secret does not stand on a command line.")]
pub struct Args {
    /// What raises an alarm, beside the rules of files
    #[arg(value_name = "RULE")]
    rules: Vec<String>,

    /// File with a rule on each line; read again on SIGHUP
    #[arg(short = 'r', long = "rules", value_name = "FILE", env = "ALERT_RULES")]
    files: Vec<OsString>,

    /// Pass on the alarms that the broker itself raises; only ours does
    #[arg(long)]
    broker_alarms: bool,

    /// Broker to watch
    #[arg(
        short,
        long,
        value_name = "URL",
        env = "BROKER_ENDPOINT",
        hide_env_values = true,
        default_value = DEFAULT_ENDPOINT
    )]
    endpoint: String,

    #[command(flatten)]
    login: LoginArgs,

    /// Send a message to Slack, or to what understands the same: the address of its incoming webhook
    #[arg(long, value_name = "SOURCE", value_parser = Source::secret)]
    slack: Vec<Source>,

    /// POST each alarm as JSON to this address, or to one that is secret
    #[arg(long, value_name = "URL|SOURCE", value_parser = Source::address)]
    webhook: Vec<Source>,

    /// The Authorization header of webhooks
    #[arg(long, value_name = "SOURCE", value_parser = Source::secret, requires = "webhook")]
    webhook_auth: Option<Source>,

    /// Certificates in PEM of the authorities that webhooks over TLS are checked with; without it, those of the system
    #[arg(long, value_name = "FILE")]
    webhook_ca: Option<OsString>,

    /// Publish each alarm as JSON below this topic of the same broker: TOPIC/activate/NAME and TOPIC/deactivate/NAME
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    publish: Option<String>,

    /// When Slack and webhooks are told of critical alarms only: '22:00-07:00 Europe/Berlin', 'Sat,Sun 00:00-24:00'; of
    /// others, when the hours are over, if there is still something to tell
    #[arg(long, value_name = "HOURS", value_parser = QuietHours::parse)]
    quiet_hours: Vec<QuietHours>,

    /// Tell Slack and webhooks again so often of an alarm that goes on; 'never' is allowed
    #[arg(long, value_name = "TIME", default_value = "4h", value_parser = Pause::parse)]
    repeat: Pause,

    /// Do not tell Slack and webhooks that an alarm is over
    #[arg(long)]
    no_resolve: bool,

    /// Raise an alarm when the broker could not be reached for so long; 'never' is allowed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = Pause::parse)]
    unreachable: Pause,

    /// Write alarms to standard output as JSON, one on a line
    #[arg(long)]
    json: bool,

    /// Read the rules, say what is wrong with them, and end
    #[arg(long)]
    check: bool,
}

/// A time, or never.
#[derive(Clone, Copy, Debug)]
struct Pause(Option<Duration>);

impl Pause {
    fn parse(text: &str) -> Result<Pause, String> {
        match (text, read_span(text)) {
            ("never", _) => Ok(Pause(None)),
            (_, Some(span)) => Ok(Pause(Some(span))),
            (_, None) => Err("a time like '90s', '30m' or '4h' is allowed, or 'never'".to_owned()),
        }
    }
}

fn topic(text: &str) -> Result<String, String> {
    match wigwag_proto::TopicName::new(text) {
        Ok(name) if !name.is_reserved() => Ok(text.to_owned()),
        Ok(_) => Err("brokers do not let anybody publish below '$'".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Watches until `stop`, then tells what is still to be told within a few seconds.
///
/// Dropping the future ends the watching; what was still to be told is not told then.
pub async fn run(args: &Args, stop: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
    let sources = Sources::new(&args.rules, &args.files)?;
    let rules = sources.read()?;
    ensure!(
        !rules.is_empty() || args.broker_alarms,
        "there is no rule; write one behind 'wigwag alert', or name a file of them with --rules"
    );
    if args.check {
        rules.iter().for_each(|rule| say(&rule.to_string()));
        return Ok(ExitCode::SUCCESS);
    }
    let target = args.login.target(args.endpoint())?;
    let sinks = args.sinks()?;
    say(&format!("broker    {}", target.address));
    say(&format!("rules     {}", rules.len()));
    say(&format!("tells     {}", sinks.told()));
    let unreachable = args.unreachable.0.map(|span| unreachable(&target, span));
    let keeper = Keeper::start(&target, sources, unreachable.transpose()?, sinks)?;
    let keeper = if args.broker_alarms {
        keeper.with_broker_alarms()
    } else {
        keeper
    };
    say("ready     Ctrl-C stops");
    keeper.run(stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// The rule about the connection itself.
fn unreachable(target: &Target, span: Duration) -> anyhow::Result<wigwag_alarm::Rule> {
    let rule = format!(
        "broker_unreachable: {} == \"{}\" for {}ms severity critical say \"the broker {} is {{value}}\"",
        keeper::CONNECTION,
        keeper::NOT_CONNECTED,
        span.as_millis(),
        target.address.to_string().replace(['"', '\\', '{'], "")
    );
    rule.parse().context("the rule about the connection")
}

impl Args {
    fn sinks(&self) -> anyhow::Result<Sinks> {
        let slack = self.slack.iter().map(|source| (source, Form::Slack, None));
        let webhooks = self.webhook.iter();
        let auth = self.webhook_auth.as_ref();
        let webhooks = webhooks.map(|source| (source, Form::Json, auth));
        let tls = sinks::trust(self.webhook_ca.as_deref())?;
        let web = slack.chain(webhooks).map(|(source, form, auth)| {
            // What cannot be read is a mistake now, not in the night.
            let address = source.read()?;
            sinks::check(&address)
                .with_context(|| format!("{source} does not hold an address that can be used"))?;
            auth.map(Source::read).transpose()?;
            Ok(WebSink {
                source: source.clone(),
                form,
                auth: auth.cloned(),
                tls: tls.clone(),
            })
        });
        let web = web.collect::<anyhow::Result<Vec<WebSink>>>()?;
        if web.is_empty() && (!self.quiet_hours.is_empty() || self.no_resolve) {
            bail!("there is nobody to be left in peace: --slack and --webhook tell somebody");
        }
        Ok(Sinks {
            web,
            publish: self.publish.clone(),
            quiet: self.quiet_hours.clone(),
            repeat: self.repeat.0,
            tells_end: !self.no_resolve,
            is_json: self.json,
            broker: self.endpoint_shown(),
        })
    }

    /// Compose files leave variables empty.
    fn endpoint(&self) -> &str {
        match &*self.endpoint {
            "" => DEFAULT_ENDPOINT,
            endpoint => endpoint,
        }
    }

    fn endpoint_shown(&self) -> String {
        let endpoint = self.endpoint();
        let place = endpoint
            .split_once("://")
            .map_or(endpoint, |(_, place)| place);
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        place.to_owned()
    }
}

/// A time since 1970 as RFC 3339 has it.
fn stamp(since_epoch: Duration) -> String {
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

/// To standard output, at once. Whoever has closed it does not want to read it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
