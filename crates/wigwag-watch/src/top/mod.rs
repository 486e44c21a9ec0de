//! `wigwag top`: what goes on in a broker, in a terminal or printed for scripts.
//!
//! `model` and `topics` are what is known, `feed` where it comes from; `keys` and `view` are the terminal's two sides
//! and pure, `screen` brings them together.

mod feed;
mod figures;
mod http;
mod keys;
mod model;
mod once;
mod screen;
mod series;
mod topics;
mod view;

use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, timeout};

use self::feed::{Feed, MOMENT};
use self::http::Origin;
use self::model::Link;
use self::view::Theme;
use crate::exporter::target::LoginArgs;

/// How long a broker may take to tell something.
const TELLS_WITHIN: Duration = Duration::from_secs(10);

/// After the first value, how long the others may take.
const SETTLES: Duration = Duration::from_millis(500);

/// How long topics are counted for a single look.
const COUNTS: Duration = Duration::from_secs(3);

/// Options of `wigwag top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Broker to look at: mqtt://HOST:PORT, mqtts://HOST:PORT or ws://HOST:PORT/PATH
    #[arg(value_name = "URL", default_value = "mqtt://localhost:1883")]
    broker: String,

    /// Show the busiest topics of this filter; the broker sends all of their messages for that
    #[arg(
        short,
        long,
        value_name = "FILTER",
        default_value = "",
        hide_default_value = true
    )]
    topics: String,

    /// Ask the broker's HTTP API too, for numbers of each second: http://HOST:PORT of a listener with http_api
    #[arg(long, value_name = "URL")]
    http: Option<Origin>,

    /// Seconds between two questions over HTTP, and between two lines of --json
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    interval: u64,

    /// Print what there is once and end; exit code 1 if the broker tells nothing
    #[arg(long)]
    once: bool,

    /// Print JSON, an object on a line: with --once one, without it one each interval
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    login: LoginArgs,
}

impl Args {
    /// Whether the terminal is taken, so that nobody else may write to it.
    pub fn takes_terminal(&self) -> bool {
        !self.once && !self.json
    }
}

/// Shows or prints until the end, a key or `stop`.
///
/// Dropping the future gives the terminal back and ends the connection without a DISCONNECT.
pub async fn run(args: &Args, stop: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
    if args.takes_terminal() && !io::stdout().is_terminal() {
        bail!(
            "standard output is no terminal; --once prints what there is, and --json goes on printing"
        );
    }
    let target = args.login.target(&args.broker)?;
    let every = Duration::from_secs(args.interval);
    let mut feed = Feed::start(&target, &args.topics, args.http.clone(), every)?;
    let done = match (args.once, args.json) {
        (true, is_json) => print_once(&mut feed, is_json, stop).await,
        (false, true) => print_on(&mut feed, every, stop).await,
        (false, false) => screen::show(&mut feed, theme(), stop).await,
    };
    feed.stop().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// <https://no-color.org>: set to anything but nothing.
fn theme() -> Theme {
    let says_no = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Theme {
        has_colours: !says_no,
    }
}

async fn print_once(
    feed: &mut Feed,
    is_json: bool,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut stop = pin!(stop);
    let told = async {
        while feed.model.is_empty() {
            feed.next_moment().await?;
            // A script would rather know than wait for a broker that comes later.
            if matches!(feed.model.link, Link::Offline(_)) {
                bail!(why_nothing(feed));
            }
        }
        let looks = if feed.filter().is_empty() {
            SETTLES
        } else {
            COUNTS
        };
        let end = Instant::now() + looks;
        while Instant::now() < end {
            feed.next_moment().await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        () = &mut stop => return Ok(()),
        told = timeout(TELLS_WITHIN, told) => match told {
            Ok(told) => told?,
            Err(_) => bail!(why_nothing(feed)),
        }
    }
    let text = match is_json {
        true => format!(
            "{}\n",
            once::json(&feed.model, &feed.topics(), feed.filter())
        ),
        false => once::text(&feed.model, &feed.topics(), feed.filter()),
    };
    print(&text)
}

async fn print_on(
    feed: &mut Feed,
    every: Duration,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut stop = pin!(stop);
    let mut next = Instant::now() + every;
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            moment = feed.next_moment() => moment?,
        }
        // A moment may come a little early, and the lines are to keep their pace.
        if Instant::now() + MOMENT / 2 >= next {
            next += every;
            let object = once::json(&feed.model, &feed.topics(), feed.filter());
            print(&format!("{object}\n"))?;
        }
    }
}

/// A closed pipe is an error here, so that nobody looks on for a reader that has gone; the binary takes it as an end.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

fn why_nothing(feed: &Feed) -> String {
    let (model, within) = (&feed.model, TELLS_WITHIN);
    match (&model.trouble, &model.link) {
        (Some(trouble), _) => format!("{}: {trouble}", model.broker),
        (None, Link::Offline(why)) => format!("{}: {why}", model.broker),
        (None, Link::Connecting) => format!("{} does not answer within {within:?}", model.broker),
        (None, Link::Online) => format!(
            "{} tells nothing below $SYS within {within:?}; it may be turned off (sys_interval 0), or this user may not \
             read it",
            model.broker
        ),
    }
}
