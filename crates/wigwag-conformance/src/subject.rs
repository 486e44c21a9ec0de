//! A client under test: what a script may ask of it, and what it tells.
//!
//! Commands and events have the same shape in process and as JSON lines over a subprocess's stdin and
//! stdout, so that one script drives any client. `Process` is the subprocess side.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command as Program, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::peer::Stop;

/// What a client is to be. It reconnects by itself, quickly.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    pub port: u16,
    /// 4 is MQTT 3.1.1.
    pub level: u8,
    pub websocket: bool,
    pub client_id: String,
    pub clean_start: bool,
    /// MQTT 5 only.
    pub session_expiry_secs: u32,
    pub keep_alive_secs: u16,
    pub user_name: Option<String>,
    pub password: Option<String>,
    pub will: Option<Will>,
    pub topic_alias_maximum: u16,
    /// The client answers every challenge with `answer`.
    pub authentication_method: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Will {
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub retain: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Publish {
    pub tag: u32,
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub retain: bool,
    pub expiry_secs: Option<u32>,
    pub response_topic: Option<String>,
    pub content_type: Option<String>,
    pub user_properties: Vec<(String, String)>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    Start(Options),
    Publish(Publish),
    /// The messages that come are refused, if the client is told so.
    Subscribe {
        tag: u32,
        filter: String,
        qos: u8,
        refuse: bool,
    },
    Unsubscribe {
        tag: u32,
        filter: String,
    },
    /// Begins a re-authentication.
    Reauthenticate,
    Disconnect,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Event {
    Online,
    /// The command with this tag has come to its end.
    Done {
        tag: u32,
        ok: bool,
        #[serde(default)]
        detail: String,
    },
    Message {
        topic: String,
        payload: String,
        qos: u8,
        dup: bool,
    },
    /// The client cannot be asked for this.
    Unsupported {
        detail: String,
    },
}

/// Whose clients they are.
pub trait Subject: Sync {
    fn client(&self) -> Result<Box<dyn Client>, Stop>;
    /// How long to wait for what must come.
    fn patience(&self) -> Duration;
}

/// One client. It is gone, without a DISCONNECT, when it is dropped.
pub trait Client {
    fn command(&mut self, command: Command) -> Result<(), Stop>;
    /// The next event, if it comes in time.
    fn event(&mut self, within: Duration) -> Option<Event>;
}

/// Clients in one subprocess that reads commands and writes events, each line naming its client.
pub struct Process {
    shared: Arc<Shared>,
    child: Child,
    patience: Duration,
}

struct Shared {
    stdin: Mutex<ChildStdin>,
    clients: Mutex<Clients>,
}

#[derive(Default)]
struct Clients {
    last: u32,
    senders: HashMap<u32, Sender<Event>>,
}

#[derive(Deserialize)]
struct Line {
    client: u32,
    #[serde(flatten)]
    event: Event,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    pub fn start(program: &mut Program, patience: Duration) -> Result<Process, Stop> {
        let spawned = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned
            .map_err(|error| Stop::Failed(format!("{program:?} does not start: {error}")))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Stop::failed("the driver has no pipes");
        };
        let shared = Arc::new(Shared {
            stdin: Mutex::new(stdin),
            clients: Mutex::default(),
        });
        let reading = Arc::clone(&shared);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(Line { client, event }) = serde_json::from_str(&line)
                    && let Some(sender) = lock(&reading.clients).senders.get(&client)
                {
                    // The script may have seen enough.
                    let _ = sender.send(event);
                }
            }
        });
        Ok(Process {
            shared,
            child,
            patience,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Subject for Process {
    fn client(&self) -> Result<Box<dyn Client>, Stop> {
        let (sender, events) = channel();
        let mut clients = lock(&self.shared.clients);
        clients.last += 1;
        let id = clients.last;
        clients.senders.insert(id, sender);
        Ok(Box::new(ProcessClient {
            shared: Arc::clone(&self.shared),
            id,
            events,
        }))
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

struct ProcessClient {
    shared: Arc<Shared>,
    id: u32,
    events: Receiver<Event>,
}

impl ProcessClient {
    fn write(&self, mut line: serde_json::Value) -> Result<(), Stop> {
        if let Some(line) = line.as_object_mut() {
            line.insert("client".to_owned(), self.id.into());
        }
        let written = writeln!(lock(&self.shared.stdin), "{line}");
        written.map_err(|error| Stop::Failed(format!("the driver has ended: {error}")))
    }
}

impl Client for ProcessClient {
    fn command(&mut self, command: Command) -> Result<(), Stop> {
        match serde_json::to_value(command) {
            Ok(line) => self.write(line),
            Err(error) => Stop::failed(format!("a command without JSON: {error}")),
        }
    }

    fn event(&mut self, within: Duration) -> Option<Event> {
        self.events.recv_timeout(within).ok()
    }
}

impl Drop for ProcessClient {
    fn drop(&mut self) {
        lock(&self.shared.clients).senders.remove(&self.id);
        // A driver that has ended has dropped its clients.
        let _ = self.write(serde_json::json!({"do": "drop"}));
    }
}
