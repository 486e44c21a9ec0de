//! `wigwag probe`: one message to a broker and back, and an exit code: for cron, health checks and a look by hand.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use wigwag_client::Qos;

use super::target::{DEFAULT_ENDPOINT, LoginArgs, Target, seconds};
use super::trip::{Failure, Plan, Times, travel_once};
use super::{PROBE_TOPIC, or_default, qos, say};

/// The code for a command line that makes no sense; 1 is a broker that does not work.
const USAGE: u8 = 2;

/// Options of `wigwag probe`.
#[derive(Debug, clap::Args)]
pub struct ProbeArgs {
    /// Broker to try: mqtt://HOST:PORT, mqtts://…, ws://…, wss://… or unix:///PATH
    #[arg(value_name = "URL", env = "BROKER_ENDPOINT", hide_env_values = true, default_value = DEFAULT_ENDPOINT)]
    endpoint: String,

    #[command(flatten)]
    login: LoginArgs,

    /// Topic of the message; the Client Identifier is added as its last level
    #[arg(short, long, value_name = "TOPIC", default_value = PROBE_TOPIC)]
    topic: String,

    /// QoS of the message
    #[arg(long, value_name = "QOS", default_value = "1", value_parser = qos)]
    qos: Qos,

    /// How long everything together may take
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    timeout: Duration,

    /// Say it in JSON
    #[arg(long)]
    json: bool,
}

/// Sends a message and waits for it: 0 if it comes back in time, 1 if not, 2 if that cannot be tried.
///
/// Dropping the future ends the connection.
pub async fn run_probe(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let (target, plan) = match args.checked() {
        Ok(checked) => checked,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let result = travel_once(&target, target.client_id(), &plan).await;
    if args.json {
        say(&in_json(&target, &result));
    }
    match &result {
        Ok(times) if !args.json => say(&in_words(times)),
        Err(failure) if !args.json => eprintln!("error: {}: {failure}", target.address),
        Ok(_) | Err(_) => {}
    }
    Ok(match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

impl ProbeArgs {
    fn checked(&self) -> anyhow::Result<(Target, Plan)> {
        let endpoint = or_default(&self.endpoint, DEFAULT_ENDPOINT);
        let plan = Plan {
            topic: self.topic.clone(),
            qos: self.qos,
            timeout: self.timeout,
        };
        plan.check()?;
        Ok((self.login.target(endpoint)?, plan))
    }
}

fn in_words(times: &Times) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    format!(
        "ok: connect {:.2} ms, subscribe {:.2} ms, publish to receive {:.2} ms",
        millis(times.connect),
        millis(times.subscribe),
        millis(times.trip)
    )
}

fn in_json(target: &Target, result: &Result<Times, Failure>) -> String {
    let broker = target.address.to_string();
    let value = match result {
        Ok(times) => json!({
            "broker": broker,
            "success": true,
            "connect_seconds": times.connect.as_secs_f64(),
            "subscribe_seconds": times.subscribe.as_secs_f64(),
            "roundtrip_seconds": times.trip.as_secs_f64(),
        }),
        Err(failure) => json!({
            "broker": broker,
            "success": false,
            "step": failure.step.name(),
            "error": failure.reason,
        }),
    };
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporter::trip::Step;

    #[test]
    fn a_result_is_told_in_words_and_in_json() {
        let times = Times {
            connect: Duration::from_micros(1_500),
            subscribe: Duration::from_micros(250),
            trip: Duration::from_micros(500),
        };
        let words = "ok: connect 1.50 ms, subscribe 0.25 ms, publish to receive 0.50 ms";
        assert_eq!(in_words(&times), words);
        let target = LoginArgs::default().target("tcp://h").expect("a target");
        assert_eq!(
            in_json(&target, &Ok(times)),
            "{\"broker\":\"mqtt://h:1883\",\"connect_seconds\":0.0015,\"roundtrip_seconds\":0.0005,\
             \"subscribe_seconds\":0.00025,\"success\":true}"
        );
        let failure = Failure {
            step: Step::Receive,
            reason: "no answer within 5s".to_owned(),
        };
        assert_eq!(
            in_json(&target, &Err(failure)),
            "{\"broker\":\"mqtt://h:1883\",\"error\":\"no answer within 5s\",\"step\":\"receive\",\"success\":false}"
        );
    }
}
