//! Scripts that play the broker, to watch a client.
//!
//! `World` is what a script has in hand: the client, asked through `subject`, and the listener it
//! connects to. The scripts are listed here by subject; each names the statements it watches.

mod auth;
mod connect;
mod limits;
mod receive;
mod send;
mod session;
mod text;
mod websocket;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::peer::{Connection, Listener, Stop};
use crate::script::{Checks, Ids, Script, Verdict};
use crate::subject::{Client, Command, Event, Options, Publish, Subject};
use crate::wire::{self, Packet, Version};

/// All scripts, in the order of the standard as far as that goes.
pub fn scripts() -> Vec<Scripted> {
    [
        connect::SCRIPTS,
        text::SCRIPTS,
        send::SCRIPTS,
        receive::SCRIPTS,
        session::SCRIPTS,
        limits::SCRIPTS,
        auth::SCRIPTS,
        websocket::SCRIPTS,
    ]
    .into_iter()
    .flatten()
    .map(|&(name, ids, run)| Script { name, ids, run })
    .collect()
}

/// A script as its file lists it.
type Row = (&'static str, Ids, fn(&mut World<'_>) -> Result<(), Stop>);

/// A script that watches a client.
pub type Scripted = Script<fn(&mut World<'_>) -> Result<(), Stop>>;

/// Runs one script on a fresh client.
pub fn run(
    subject: &dyn Subject,
    script: &Scripted,
    version: Version,
) -> BTreeMap<&'static str, Verdict> {
    match World::new(subject, version) {
        Err(stop) => Checks::new(version).finish(script.ids, Err(stop)),
        Ok(mut world) => {
            let ended = (script.run)(&mut world);
            world.checks.finish(script.ids, ended)
        }
    }
}

/// What a script works with.
pub struct World<'a> {
    subject: &'a dyn Subject,
    version: Version,
    listener: Listener,
    client: Box<dyn Client>,
    checks: Checks,
    patience: Duration,
    tag: u32,
    /// Events that came while another was waited for.
    seen: Vec<Event>,
}

static CLIENTS: AtomicU32 = AtomicU32::new(0);

impl<'a> World<'a> {
    fn new(subject: &'a dyn Subject, version: Version) -> Result<World<'a>, Stop> {
        let patience = subject.patience();
        Ok(World {
            subject,
            version,
            listener: Listener::bind(version, patience)?,
            client: subject.client()?,
            checks: Checks::new(version),
            patience,
            tag: 0,
            seen: Vec::new(),
        })
    }

    /// Another client, for a script that goes on with a fresh connection; the old one is gone.
    fn fresh_client(&mut self) -> Result<Box<dyn Client>, Stop> {
        self.seen.clear();
        self.listener = Listener::bind(self.version, self.patience)?;
        self.subject.client()
    }

    fn is_v5(&self) -> bool {
        self.version.is_v5()
    }

    fn check(&mut self, ids: Ids, kept: bool, seen: impl Into<String>) {
        self.checks.check(ids, kept, seen);
    }

    /// A client with a session that does not outlive its connection.
    fn options(&self) -> Options {
        let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
        Options {
            port: self.listener.port(),
            level: self.version.level(),
            websocket: false,
            client_id: format!("client{number}"),
            clean_start: true,
            session_expiry_secs: 0,
            keep_alive_secs: 60,
            user_name: None,
            password: None,
            will: None,
            topic_alias_maximum: 0,
            authentication_method: None,
        }
    }

    /// A client with a session that does.
    fn lasting(&self) -> Options {
        Options {
            clean_start: self.is_v5(),
            session_expiry_secs: 600,
            ..self.options()
        }
    }

    fn start(&mut self, options: Options) -> Result<(), Stop> {
        self.client.command(Command::Start(options))
    }

    /// Takes the next connection and reads its CONNECT.
    fn accept(&mut self) -> Result<(Connection, Packet), Stop> {
        let mut connection = self.listener.accept()?;
        let connect = connection.expect(wire::CONNECT)?;
        Ok((connection, connect))
    }

    /// Takes the next connection and accepts it.
    fn welcome(&mut self, session_present: bool, props: &[u8]) -> Result<Connection, Stop> {
        let (mut connection, _) = self.accept()?;
        connection.send(&wire::connack(self.version, session_present, 0, props));
        Ok(connection)
    }

    /// A started client on its first connection.
    fn online(&mut self, options: Options, props: &[u8]) -> Result<Connection, Stop> {
        self.start(options)?;
        let connection = self.welcome(false, props)?;
        self.wait("that the client is connected", |event| {
            *event == Event::Online
        })?;
        Ok(connection)
    }

    /// The same with a subscription to everything.
    fn subscribed(&mut self, options: Options, props: &[u8]) -> Result<Connection, Stop> {
        let mut connection = self.online(options, props)?;
        let tag = self.subscribe("#", 2)?;
        let subscribe = connection.expect(wire::SUBSCRIBE)?;
        connection.send(&wire::suback(self.version, subscribe.id, &[2]));
        self.done(tag)?;
        Ok(connection)
    }

    fn publish(&mut self, topic: &str, qos: u8) -> Result<u32, Stop> {
        self.publish_with(Publish {
            topic: topic.to_owned(),
            qos,
            ..Publish::default()
        })
    }

    fn publish_with(&mut self, publish: Publish) -> Result<u32, Stop> {
        self.tag += 1;
        let tag = self.tag;
        let payload = if publish.payload.is_empty() {
            "payload".to_owned()
        } else {
            publish.payload
        };
        self.client.command(Command::Publish(Publish {
            tag,
            payload,
            ..publish
        }))?;
        Ok(tag)
    }

    fn subscribe(&mut self, filter: &str, qos: u8) -> Result<u32, Stop> {
        self.subscribe_and(filter, qos, false)
    }

    /// Subscribes, and refuses or accepts what comes.
    fn subscribe_and(&mut self, filter: &str, qos: u8, refuse: bool) -> Result<u32, Stop> {
        self.tag += 1;
        let (tag, filter) = (self.tag, filter.to_owned());
        self.client.command(Command::Subscribe {
            tag,
            filter,
            qos,
            refuse,
        })?;
        Ok(tag)
    }

    fn unsubscribe(&mut self, filter: &str) -> Result<u32, Stop> {
        self.tag += 1;
        let (tag, filter) = (self.tag, filter.to_owned());
        self.client.command(Command::Unsubscribe { tag, filter })?;
        Ok(tag)
    }

    /// The next event that the script waits for; others are kept.
    fn wait(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<Event, Stop> {
        if let Some(index) = self.seen.iter().position(&wanted) {
            return Ok(self.seen.remove(index));
        }
        let end = Instant::now() + self.patience;
        while let Some(event) = self
            .client
            .event(end.saturating_duration_since(Instant::now()))
        {
            if let Event::Unsupported { detail } = event {
                return Err(Stop::Unsupported(detail));
            }
            if wanted(&event) {
                return Ok(event);
            }
            self.seen.push(event);
        }
        Stop::failed(format!("the client does not say {what}"))
    }

    /// Why the client cannot do what it was asked for, if it has said so.
    fn unsupported(&mut self) -> Option<Stop> {
        while let Some(event) = self.client.event(Duration::ZERO) {
            if let Event::Unsupported { detail } = event {
                return Some(Stop::Unsupported(detail));
            }
            self.seen.push(event);
        }
        None
    }

    /// How the command with this tag ended.
    fn done(&mut self, wanted: u32) -> Result<bool, Stop> {
        let event = self.wait(
            "how a command ended",
            |event| matches!(event, Event::Done { tag, .. } if *tag == wanted),
        )?;
        Ok(matches!(event, Event::Done { ok: true, .. }))
    }

    /// Whether the client has said so far that this command has ended.
    fn is_done(&mut self, wanted: u32) -> bool {
        while let Some(event) = self.client.event(Duration::ZERO) {
            self.seen.push(event);
        }
        self.seen
            .iter()
            .any(|event| matches!(event, Event::Done { tag, .. } if *tag == wanted))
    }

    /// The payload of the next message.
    fn message(&mut self) -> Result<String, Stop> {
        let is_message = |event: &Event| matches!(event, Event::Message { .. });
        match self.wait("that a message came", is_message)? {
            Event::Message { payload, .. } => Ok(payload),
            other => Stop::failed(format!("{other:?}")),
        }
    }

    /// Sends a message whose acknowledgement shows that the client has dealt with all before it, and
    /// returns what the client has sent up to that.
    fn fence(&mut self, connection: &mut Connection) -> Result<Vec<Packet>, Stop> {
        const ID: u16 = 0x7FF0;
        connection.send(&wire::publish(self.version, 2, b"fence", ID, &[], b"fence"));
        let mut packets = connection.until(|packet| packet.id == ID)?;
        packets.pop();
        Ok(packets)
    }

    /// What the client has sent up to a message of QoS 0 that it is asked for last.
    fn until_marker(&mut self, connection: &mut Connection) -> Result<Vec<Packet>, Stop> {
        self.publish("marker", 0)?;
        let mut packets = connection.until(|packet| packet.topic == b"marker")?;
        packets.pop();
        Ok(packets)
    }
}
