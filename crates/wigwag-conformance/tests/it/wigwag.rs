//! `wigwag-client` as a subject, in this process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use tokio::runtime::Runtime;
use wigwag_client::{
    Authenticator, Backoff, Bytes, Client, Limits, Message, OfflineQos0, Publish, Qos, ReasonCode,
    Reject, State, Version, Will,
};
use wigwag_conformance::peer::Stop;
use wigwag_conformance::subject::{self, Command, Event, Options, Subject};

/// Clients need a runtime, and scripts block.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
});

pub(crate) struct Wigwag;

impl Subject for Wigwag {
    fn client(&self) -> Result<Box<dyn subject::Client>, Stop> {
        let (sender, events) = channel();
        Ok(Box::new(WigwagClient {
            client: OnceLock::new(),
            sender,
            events,
        }))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

struct WigwagClient {
    client: OnceLock<Client>,
    sender: Sender<Event>,
    events: Receiver<Event>,
}

impl subject::Client for WigwagClient {
    fn command(&mut self, command: Command) -> Result<(), Stop> {
        let _guard = RUNTIME.enter();
        if let Command::Start(options) = command {
            let client = start(options, &self.sender).map_err(Stop::Failed)?;
            self.client.get_or_init(|| client);
            return Ok(());
        }
        let client = self.client.get().expect("started");
        let sender = self.sender.clone();
        let done = move |tag, result: Result<String, String>| {
            let (ok, detail) = match result {
                Ok(detail) => (true, detail),
                Err(detail) => (false, detail),
            };
            // The script may have seen enough.
            let _ = sender.send(Event::Done { tag, ok, detail });
        };
        match command {
            Command::Publish(publish) => {
                let tag = publish.tag;
                let publishing = client.publish(message(publish));
                RUNTIME.spawn(async move {
                    let result = publishing.await;
                    done(
                        tag,
                        result
                            .map(|outcome| format!("{outcome:?}"))
                            .map_err(|error| error.to_string()),
                    );
                });
            }
            Command::Subscribe {
                tag,
                filter,
                qos,
                refuse,
            } => {
                let sender = self.sender.clone();
                let subscribing = client.subscribe(filter, level(qos), move |message: Message| {
                    let _ = sender.send(event(&message));
                    if refuse {
                        Err(Reject::new(ReasonCode::NotAuthorized))
                    } else {
                        Ok(())
                    }
                });
                RUNTIME.spawn(async move {
                    let result = subscribing.await;
                    done(
                        tag,
                        result
                            .map(|granted| format!("{granted:?}"))
                            .map_err(|error| error.to_string()),
                    );
                });
            }
            Command::Unsubscribe { tag, filter } => {
                let unsubscribing = client.unsubscribe(filter);
                RUNTIME.spawn(async move {
                    let result = unsubscribing.await;
                    done(
                        tag,
                        result
                            .map(|()| String::new())
                            .map_err(|error| error.to_string()),
                    );
                });
            }
            Command::Disconnect => {
                let client = client.clone();
                RUNTIME.spawn(async move { client.disconnect().await });
            }
            Command::Reauthenticate => {
                let client = client.clone();
                RUNTIME.spawn(async move {
                    // The script has just accepted the connection.
                    let _ = client.await_connection().await;
                    client.reauthenticate().await
                });
            }
            Command::Start(_) => {}
        }
        Ok(())
    }

    fn event(&mut self, within: Duration) -> Option<Event> {
        self.events.recv_timeout(within).ok()
    }
}

fn start(options: Options, sender: &Sender<Event>) -> Result<Client, String> {
    let backoff = Backoff::default()
        .first(Duration::from_millis(20))
        .max(Duration::from_millis(100));
    let limits = Limits {
        topic_alias_maximum: options.topic_alias_maximum,
        ..Limits::default()
    };
    let address = if options.websocket {
        format!("ws://127.0.0.1:{}/mqtt", options.port)
    } else {
        format!("mqtt://127.0.0.1:{}", options.port)
    };
    let unmatched = sender.clone();
    let mut builder = Client::builder(&address)
        .version(if options.level == 5 {
            Version::V5
        } else {
            Version::V3_1_1
        })
        .client_id(options.client_id)
        .clean_start(options.clean_start)
        .session_expiry(Duration::from_secs(options.session_expiry_secs.into()))
        .keep_alive(Duration::from_secs(options.keep_alive_secs.into()))
        .offline_qos0(OfflineQos0::Queue)
        .backoff(backoff)
        .limits(limits)
        .fallback(move |message: Message| {
            let _ = unmatched.send(event(&message));
        });
    if let Some(user_name) = options.user_name {
        builder = builder.credentials(user_name, options.password.unwrap_or_default());
    }
    if let Some(will) = options.will {
        let described = Will::new(will.topic, will.payload).qos(level(will.qos));
        builder = builder.will(if will.retain {
            described.retain()
        } else {
            described
        });
    }
    if let Some(method) = options.authentication_method {
        builder = builder.authenticator(Parrot(method));
    }
    let client = builder.build().map_err(|error| error.to_string())?;
    let (mut states, sender) = (client.state(), sender.clone());
    RUNTIME.spawn(async move {
        while states.wait_for(State::is_online).await.is_ok() {
            if sender.send(Event::Online).is_err() || states.changed().await.is_err() {
                return;
            }
        }
    });
    client.start();
    Ok(client)
}

/// Answers every challenge with itself.
#[derive(Clone)]
struct Parrot(String);

type Said<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Authenticator for Parrot {
    fn method(&self) -> &str {
        &self.0
    }

    fn start(&mut self) -> Said<Option<Bytes>> {
        Ok(Some("hello".into()))
    }

    fn proceed(&mut self, data: Option<Bytes>) -> Said<Option<Bytes>> {
        Ok(data)
    }

    fn finish(&mut self, _: Option<Bytes>) -> Said<()> {
        Ok(())
    }
}

fn message(publish: subject::Publish) -> Publish {
    let mut message = Publish::new(publish.topic, publish.payload).qos(level(publish.qos));
    if publish.retain {
        message = message.retain();
    }
    if let Some(secs) = publish.expiry_secs {
        message = message.message_expiry(Duration::from_secs(secs.into()));
    }
    if let Some(topic) = publish.response_topic {
        message = message.response_topic(topic);
    }
    if let Some(content_type) = publish.content_type {
        message = message.content_type(content_type);
    }
    for (name, value) in publish.user_properties {
        message = message.user_property(name, value);
    }
    message
}

fn event(message: &Message) -> Event {
    Event::Message {
        topic: message.topic().to_owned(),
        payload: String::from_utf8_lossy(message.payload()).into_owned(),
        qos: message.qos() as u8,
        dup: message.dup(),
    }
}

fn level(qos: u8) -> Qos {
    match qos {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    }
}
