//! A device with a dashboard's contract: it can be started and stopped, tells its state while it runs and
//! at every change, and the server tells when it has gone.
//!
//! `cargo run --example device -- mqtt://127.0.0.1:1883 7`, then
//! `mosquitto_sub -v -t 'device/#'` and `mosquitto_pub -q 1 -t device/7/command -m '{"action":"start"}'`
//!
//! | topic | QoS | retained | payload |
//! |---|---|---|---|
//! | `device/{id}/state` | 0 | yes | `{"deviceId":"7","status":"running","temperature":37.5,"timestamp":1705580400}` |
//! | `device/{id}/command` | 1 | no | `{"action":"start"}` or `{"action":"stop"}`; `command` is read like `action` |
//! | `device/{id}/online` | 1 | yes | `true` or `false` |
//! | the command's Response Topic | as the command | no | `{"deviceId":"7","ok":true,"status":"running"}`, or `ok` and `error` |

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use wigwag_client::extract::{Json, State};
use wigwag_client::{Client, Publish, PublishError, Qos, Reject, Router, Will};

/// How often a running device tells its state.
const PERIOD: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Idle,
    Running,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Start,
    Stop,
}

#[derive(Deserialize)]
struct Command {
    #[serde(alias = "command")]
    action: Action,
}

/// The answer to a command that has a Response Topic.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    device_id: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Telling<'a> {
    device_id: &'a str,
    status: Status,
    temperature: f64,
    timestamp: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let id = arguments.next().unwrap_or_else(|| "1".to_owned());
    let stop = async {
        // Without the signal there is no polite end, but an end.
        let _ = tokio::signal::ctrl_c().await;
    };
    run(
        address.as_deref().unwrap_or("mqtt://127.0.0.1:1883"),
        &id,
        stop,
    )
    .await
}

/// What the handler of commands works on.
#[derive(Clone)]
struct Device {
    id: String,
    status: watch::Sender<Status>,
}

async fn obey(
    command: Result<Json<Command>, Reject>,
    State(device): State<Device>,
) -> Json<Answer> {
    let result = command.map(|Json(command)| match command.action {
        Action::Start => Status::Running,
        Action::Stop => Status::Idle,
    });
    if let Ok(status) = &result {
        device.status.send_replace(*status);
    }
    Json(Answer {
        device_id: device.id,
        ok: result.is_ok(),
        status: result.as_ref().ok().copied(),
        error: result.err().map(|error| error.to_string()),
    })
}

pub(crate) async fn run(
    address: &str,
    id: &str,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let online = |is_online: bool| {
        let publish = Publish::new(format!("device/{id}/online"), is_online.to_string());
        publish.qos(Qos::AtLeastOnce).retain()
    };
    let will = Will::new(format!("device/{id}/online"), "false");
    let client = Client::builder(address)
        .client_id(format!("wigwag-example-device-{id}"))
        // A session that outlives the connection for a minute: commands wait that long.
        .clean_start(false)
        .session_expiry(Duration::from_secs(60))
        .will(will.qos(Qos::AtLeastOnce).retain())
        .build()?;
    let (status, mut changes) = watch::channel(Status::Idle);
    let device = Device {
        id: id.to_owned(),
        status,
    };
    let commands = Router::with_state(device).serve(format!("device/{id}/command"), obey);
    // Desired state: whatever happens to connection and session, the subscription is there.
    drop(client.mount(commands, Qos::AtLeastOnce)?);
    let mut connection = client.state();
    client.start();

    let mut ticker = interval(PERIOD);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stop = pin!(stop);
    loop {
        let now = *changes.borrow_and_update();
        tokio::select! {
            () = &mut stop => break,
            changed = connection.changed() => {
                // The watch ends with the client: when the server has refused it for good.
                if changed.is_err() {
                    client.await_connection().await?;
                }
                if connection.borrow_and_update().is_online() {
                    // Handed over: it is sent on this connection, or on the next.
                    drop(client.publish(online(true)));
                    tell(&client, id, now).await;
                }
            }
            _ = changes.changed() => tell(&client, id, *changes.borrow()).await,
            _ = ticker.tick(), if now == Status::Running => tell(&client, id, now).await,
        }
    }
    // A DISCONNECT keeps the server from publishing the Will: the device says itself that it goes.
    drop(client.publish(online(false)));
    client.disconnect().await;
    Ok(())
}

async fn tell(client: &Client, id: &str, status: Status) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let timestamp = since.map_or(0, |since| since.as_secs());
    let telling = Telling {
        device_id: id,
        status,
        // A sensor would be read here.
        temperature: 35.0 + (timestamp % 50) as f64 / 10.0,
        timestamp,
    };
    let payload = serde_json::to_vec(&telling).unwrap_or_default();
    let publish = Publish::new(format!("device/{id}/state"), payload).retain();
    match client.publish(publish).await {
        // A state that cannot be told now is out of date by the time it could be.
        Ok(_) | Err(PublishError::Offline) => {}
        Err(error) => eprintln!("the state was not told: {error}"),
    }
}
