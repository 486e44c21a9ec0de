//! The broker by Mosquitto's rules: its configuration, its order of starting, its signals, its exit codes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{Signal, SignalKind, signal};
use wigwag_broker::conf::config::LogType;
use wigwag_broker::conf::{self, Config, Disk, Reading, Remark, Weight};
use wigwag_broker::{Broker, Log};

use super::background::{self, PidFile};
use super::supervisor::{self, Notice};
use super::{MosquittoArgs, Volume, WRONG_CONFIGURATION, privileges};
use crate::health;
use crate::output::with_causes;
use crate::page;

/// The folder of the environment, for what outlives the process.
const PERSISTENCE_LOCATION: &str = "MOSQUITTO_PERSISTENCE_LOCATION";

/// Why the process ends: what is said, and the exit code.
struct Failure {
    text: String,
    code: ExitCode,
}

impl Failure {
    /// The command line or the configuration cannot be used.
    fn configuration(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            code: ExitCode::from(WRONG_CONFIGURATION),
        }
    }

    /// Anything else.
    fn other(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            code: ExitCode::FAILURE,
        }
    }
}

/// Starts the broker and runs it until a signal ends it.
pub(super) fn run(args: &MosquittoArgs, volume: Volume) -> ExitCode {
    match start(args, volume) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure.text);
            failure.code
        }
    }
}

fn start(args: &MosquittoArgs, volume: Volume) -> Result<(), Failure> {
    let Reading { config, remarks } = read(args.config_file.as_deref(), volume)?;
    if args.test_config {
        if args.config_file.is_none() {
            let text = "Please provide a configuration file to test.";
            return Err(Failure::configuration(text));
        }
        remarks.iter().for_each(|remark| say(&remark.to_string()));
        say("Configuration file is OK.");
        return Ok(());
    }
    if args.daemon && !background::is_there() {
        return background::start().map_err(|error| {
            Failure::other(format!("Error: Cannot start in the background: {error}."))
        });
    }
    if args.daemon {
        background::leave_terminal();
    }
    let warning = privileges::drop_privileges(config.process.user.as_deref())
        .map_err(|error| Failure::configuration(format!("Error: {error}")))?;
    privileges::set_umask().map_err(|error| Failure::configuration(format!("Error: {error}")))?;
    let pid_file = config.process.pid_file.as_deref().map(|path| {
        PidFile::write(path).map_err(|error| {
            let path = path.display();
            Failure::other(format!("Error: Unable to write pid file {path}: {error}."))
        })
    });
    let _pid_file = pid_file.transpose()?;
    let log =
        Log::open(&config.logging).map_err(|error| Failure::other(format!("Error: {error}.")))?;
    greet(&log, args, &remarks, warning.as_deref());
    let ended = serve(args, &config, volume, &log);
    log.flush();
    ended
}

/// Everything is said on standard error as long as no log is open.
fn say(text: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    for line in text.lines() {
        eprintln!("{now}: {line}");
    }
}

/// What the file, the environment and the command line say together.
fn read(file: Option<&Path>, volume: Volume) -> Result<Reading, Failure> {
    let mut reading = match file {
        None => Reading {
            config: Config::default(),
            remarks: Vec::new(),
        },
        Some(file) => conf::read(file, &Disk).map_err(|conf::Problems(problems)| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::configuration(texts.join("\n"))
        })?,
    };
    let config = &mut reading.config;
    if let Some(folder) = std::env::var_os(PERSISTENCE_LOCATION) {
        config.persistence.persistence_location = Some(PathBuf::from(folder));
    }
    if let Some(addr) = health::listener_of_environment().map_err(Failure::configuration)?
        && !config.metrics_listeners.contains(&addr)
    {
        config.metrics_listeners.push(addr);
    }
    match volume {
        Volume::AsConfigured => {}
        Volume::Nothing => config.logging.types.clear(),
        Volume::Everything => {
            config.logging.types = LogType::ALL.map(|(_, log_type)| log_type).into();
        }
    }
    Ok(reading)
}

fn greet(log: &Log, args: &MosquittoArgs, remarks: &[Remark], warning: Option<&str>) {
    if let Some(warning) = warning {
        log.announce(LogType::Warning, warning);
    }
    let version = env!("CARGO_PKG_VERSION");
    log.announce(
        LogType::Information,
        format_args!("wigwag version {version} starting"),
    );
    match &args.config_file {
        Some(file) => log.announce(
            LogType::Information,
            format_args!("Config loaded from {}.", file.display()),
        ),
        None => log.announce(LogType::Information, "Using default config."),
    }
    write_remarks(log, remarks);
}

fn write_remarks(log: &Log, remarks: &[Remark]) {
    for remark in remarks {
        let log_type = match remark.weight {
            Weight::Info => LogType::Information,
            Weight::Notice => LogType::Notice,
            Weight::Warning => LogType::Warning,
        };
        log.announce(log_type, remark);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(
    args: &MosquittoArgs,
    config: &Config,
    volume: Volume,
    log: &Log,
) -> Result<(), Failure> {
    let mut signals = Signals::listen()
        .map_err(|error| Failure::other(format!("Error: Cannot listen for signals: {error}.")))?;
    if config.local_only {
        let says = [
            "Starting in local only mode. Connections will only be possible from clients running on this machine.",
            "Create a configuration file which defines a listener to allow remote access.",
        ];
        says.iter()
            .for_each(|line| log.announce(LogType::Warning, line));
    } else if !args.ports.is_empty() {
        let text = "Warning: The ports of the command line are ignored: the configuration names listeners.";
        log.announce(LogType::Warning, text);
    }
    let page = page::own().map_err(|error| Failure::other(format!("Error: {error}.")))?;
    let mut builder = Broker::builder()
        .log(log.clone())
        .config(config, &args.ports)
        .web_ui(page);
    if let Some(file) = &args.tls_keylog {
        log.announce(LogType::Warning, "Warning: TLS keys are written to a file.");
        builder = builder.dangerous_tls_key_log(file);
    }
    let mut broker = builder
        .start()
        .map_err(|error| Failure::other(format!("Error: {}.", with_causes(&error))))?;
    let version = env!("CARGO_PKG_VERSION");
    log.announce(
        LogType::Information,
        format_args!("wigwag version {version} running"),
    );
    tell_supervisor(log, Notice::Ready);
    let mut printing: Option<JoinHandle<()>> = None;
    loop {
        match signals.next().await {
            Event::Terminate => break,
            Event::Reload => {
                tell_supervisor(log, Notice::Reloading);
                reload(&mut broker, args, volume, log);
                tell_supervisor(log, Notice::Ready);
            }
            Event::RotateLog => log.reopen(),
            Event::Save if broker.save() => {}
            Event::Save => log.announce(
                LogType::Warning,
                "Warning: SIGUSR1 is ignored: 'persistence' is off, so there is nothing to be saved.",
            ),
            // Whoever reads no further must not keep the other signals from being heard.
            Event::Print if printing.as_ref().is_none_or(JoinHandle::is_finished) => {
                let tree = broker.subscription_tree();
                printing = Some(thread::spawn(move || crate::output::text(&tree)));
            }
            Event::Print => {}
        }
    }
    log.announce(
        LogType::Information,
        format_args!("wigwag version {version} terminating"),
    );
    tell_supervisor(log, Notice::Stopping);
    broker.shutdown().await;
    Ok(())
}

fn tell_supervisor(log: &Log, notice: Notice) {
    if let Err(error) = supervisor::notify(notice) {
        let text = format_args!("Warning: Cannot tell the supervisor {notice:?}: {error}.");
        log.announce(LogType::Warning, text);
    }
}

/// Reads the configuration again. If anything is wrong with it, everything stays as it was.
fn reload(broker: &mut Broker, args: &MosquittoArgs, volume: Volume, log: &Log) {
    log.announce(LogType::Information, "Reloading config.");
    let failed = |text: &str| {
        for line in text.lines() {
            log.announce(LogType::Error, line);
        }
        log.announce(
            LogType::Error,
            "Error: The configuration was not reloaded. Everything is as it was.",
        );
    };
    let Reading { config, remarks } = match read(args.config_file.as_deref(), volume) {
        Ok(reading) => reading,
        Err(failure) => {
            broker.note_unreadable_configuration();
            return failed(&failure.text);
        }
    };
    let next_log = match log.prepare(&config.logging) {
        Ok(next_log) => next_log,
        Err(error) => {
            broker.note_unreadable_configuration();
            return failed(&format!("Error: {error}."));
        }
    };
    let waiting = match broker.reload(&config) {
        Ok(waiting) => waiting,
        Err(error) => return failed(&format!("Error: {}.", with_causes(&error))),
    };
    for option in waiting {
        let text = format_args!("Warning: '{option}' has changed, which takes a restart.");
        log.announce(LogType::Warning, text);
    }
    // The log last: what goes wrong before has to be read.
    if let Err(error) = next_log() {
        let text = format_args!("Error: The log goes on as it was: {error}.");
        log.announce(LogType::Error, text);
    }
    broker.follow_log();
    write_remarks(log, &remarks);
}

/// What a signal asks for.
enum Event {
    Terminate,
    Reload,
    RotateLog,
    Save,
    Print,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// The first of the signals without a meaning; Mosquitto opens its log anew then.
    #[cfg(target_os = "linux")]
    rotate: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// From here on these signals no longer kill the process. Needs a tokio runtime.
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            #[cfg(target_os = "linux")]
            rotate: signal(SignalKind::from_raw(nix::libc::SIGRTMIN()))?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Event {
        #[cfg(target_os = "linux")]
        let rotate = self.rotate.recv();
        #[cfg(not(target_os = "linux"))]
        let rotate = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = rotate => Event::RotateLog,
            _ = self.terminate.recv() => Event::Terminate,
            _ = self.interrupt.recv() => Event::Terminate,
            _ = self.hangup.recv() => Event::Reload,
            _ = self.user1.recv() => Event::Save,
            _ = self.user2.recv() => Event::Print,
        }
    }
}
