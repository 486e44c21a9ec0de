//! Scripts that play clients, to watch a broker.
//!
//! `World` is where the broker listens; a script opens as many raw connections as it needs. A broker listens in
//! several places, set up differently; a script that needs another than the plain one says so first. The scripts
//! are listed here by subject; each names the statements it watches.

mod auth;
mod configured;
mod connect;
mod flow;
mod limits;
mod publish;
mod subscribe;
mod text;
mod websocket;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::peer::{Connection, Stop};
use crate::script::{Checks, Ids, Script, Verdict};
use crate::wire::{self, CONNACK, ConnectBytes, PUBLISH, Packet, SUBACK, Version};

/// A script that watches a broker.
pub type Scripted = Script<fn(&mut World) -> Result<(), Stop>>;

/// A script as its file lists it.
type Row = (&'static str, Ids, fn(&mut World) -> Result<(), Stop>);

/// All scripts.
pub fn scripts() -> Vec<Scripted> {
    [
        connect::SCRIPTS,
        text::SCRIPTS,
        publish::SCRIPTS,
        flow::SCRIPTS,
        subscribe::SCRIPTS,
        limits::SCRIPTS,
        websocket::SCRIPTS,
        configured::SCRIPTS,
        auth::SCRIPTS,
    ]
    .into_iter()
    .flatten()
    .map(|&(name, ids, run)| Script { name, ids, run })
    .collect()
}

/// Where a broker listens.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// With default settings, for everybody.
    pub plain: SocketAddr,
    /// The same over WebSocket.
    pub websocket: SocketAddr,
    /// With [`LIMITED`].
    pub limited: SocketAddr,
    /// With [`GUARDED`].
    pub guarded: SocketAddr,
}

/// What the configuration says of the limited place, as Mosquitto reads it; its listener comes first.
pub const LIMITED: &str = "max_qos 1\nallow_anonymous true\nallow_zero_length_clientid false\n\
     retain_available false\nallow_duplicate_messages true\n";

/// The same of the guarded place. `PASSWORDS` and `RULES` stand for the files with these texts. A broker that
/// knows SCRAM-SHA-256 has the user of [`crate::scram`] as well.
pub const GUARDED: &str = "allow_anonymous false\npassword_file PASSWORDS\nacl_file RULES\n";
pub const PASSWORDS: &str = "user:$7$101$0ohxMgUvJhRGiOnH$xSR+IhOAYnDmWQRx0bXdkvk12gqVUFXdYOo5lLfodc3UK5TbWTmcsSihHWYSYMJDmumtE6CN3eHKzi2B/v+SNQ==\n";
pub const RULES: &str = "user user\ntopic readwrite allowed/#\n";

const USER: &[u8] = b"user";
const PASSWORD: &[u8] = b"pass word";
/// Topics that begin with it are allowed in the guarded place, and no others.
const ALLOWED: &str = "allowed/";

/// Which of them a script speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Plain,
    Limited,
    Guarded,
}

/// Runs one script against the broker in these places.
pub fn run(
    places: &Places,
    patience: Duration,
    script: &Scripted,
    version: Version,
) -> BTreeMap<&'static str, Verdict> {
    let mut world = World {
        places: *places,
        place: Place::Plain,
        patience,
        version,
        checks: Checks::new(version),
        number: NUMBERS.fetch_add(1, Ordering::Relaxed),
    };
    let ended = (script.run)(&mut world);
    world.checks.finish(script.ids, ended)
}

static NUMBERS: AtomicU32 = AtomicU32::new(0);

/// What a script works with.
pub struct World {
    places: Places,
    place: Place,
    patience: Duration,
    version: Version,
    checks: Checks,
    number: u32,
}

impl World {
    fn is_v5(&self) -> bool {
        self.version.is_v5()
    }

    fn check(&mut self, ids: Ids, kept: bool, seen: impl Into<String>) {
        self.checks.check(ids, kept, seen);
    }

    /// A name that no other script uses: for topics and Client Identifiers.
    fn name(&self, what: &str) -> String {
        format!("{what}{}", self.number)
    }

    fn connect(&self, what: &str) -> ConnectBytes {
        ConnectBytes::new(self.version, &self.name(what))
    }

    /// The same with a session that outlives its connection.
    fn lasting(&self, what: &str) -> ConnectBytes {
        let properties = if self.is_v5() {
            wire::number(0x11, 600, 4)
        } else {
            Vec::new()
        };
        ConnectBytes {
            flags: 0,
            properties,
            ..self.connect(what)
        }
    }

    /// A CONNECT that the guarded place lets in.
    fn login(&self, what: &str) -> ConnectBytes {
        let mut connect = self.connect(what);
        connect.flags |= 0xC0;
        connect.fields = [wire::field(USER), wire::field(PASSWORD)].concat();
        connect
    }

    fn open(&self) -> Result<Connection, Stop> {
        let addr = match self.place {
            Place::Plain => self.places.plain,
            Place::Limited => self.places.limited,
            Place::Guarded => self.places.guarded,
        };
        Connection::open(addr, self.version, self.patience)
    }

    /// A connection that has sent this CONNECT, and the CONNACK.
    fn begin(&self, connect: &ConnectBytes) -> Result<(Connection, Packet), Stop> {
        let mut connection = self.open()?;
        connection.send(&connect.bytes());
        let connack = connection.expect(CONNACK)?;
        Ok((connection, connack))
    }

    /// A connection that the broker has accepted.
    fn online(&self, connect: &ConnectBytes) -> Result<Connection, Stop> {
        match self.begin(connect)? {
            (connection, connack) if connack.code == 0 => Ok(connection),
            (_, connack) => Stop::failed(format!("refused: {}", connack.describe())),
        }
    }

    fn client(&self, what: &str) -> Result<Connection, Stop> {
        self.online(&self.connect(what))
    }

    /// Subscribes, and answers what the SUBACK says.
    fn subscribe(
        &self,
        connection: &mut Connection,
        filter: &str,
        options: u8,
    ) -> Result<Packet, Stop> {
        connection.send(&wire::subscribe(
            self.version,
            1,
            &[],
            &[(filter.as_bytes(), options)],
        ));
        // Retained messages of other scripts may come before.
        let mut packets = connection.until(|packet| packet.kind == SUBACK)?;
        let suback = packets.pop();
        suback.ok_or_else(|| Stop::Failed("no SUBACK".to_owned()))
    }

    /// A client with one subscription.
    fn subscriber(&self, what: &str, filter: &str, options: u8) -> Result<Connection, Stop> {
        let mut connection = self.client(what)?;
        self.subscribe(&mut connection, filter, options)?;
        Ok(connection)
    }

    fn message(&self, flags: u8, topic: &str, id: u16, payload: &str) -> Vec<u8> {
        let (topic, payload) = (topic.as_bytes(), payload.as_bytes());
        wire::publish(self.version, flags, topic, id, &[], payload)
    }

    /// Publishes at QoS 1 and waits for the acknowledgement.
    fn publish(
        &self,
        connection: &mut Connection,
        retain: bool,
        topic: &str,
        payload: &str,
    ) -> Result<(), Stop> {
        connection.send(&self.message(2 | u8::from(retain), topic, 77, payload));
        connection.until(|packet| packet.kind == wire::PUBACK && packet.id == 77)?;
        Ok(())
    }

    /// The next message, acknowledged in full.
    fn receive(&self, connection: &mut Connection) -> Result<Packet, Stop> {
        let message = connection.expect(PUBLISH)?;
        match message.qos() {
            0 => {}
            1 => connection.send(&wire::ack(wire::PUBACK, message.id, 0)),
            _ => {
                connection.send(&wire::ack(wire::PUBREC, message.id, 0));
                connection.expect(wire::PUBREL)?;
                connection.send(&wire::ack(wire::PUBCOMP, message.id, 0));
            }
        }
        Ok(message)
    }

    /// Everything that the broker has sent, up to the answer of a PINGREQ.
    fn fence(&self, connection: &mut Connection) -> Result<Vec<Packet>, Stop> {
        connection.send(&wire::packet(wire::PINGREQ, 0, &[]));
        let mut packets = connection.until(|packet| packet.kind == wire::PINGRESP)?;
        packets.pop();
        Ok(packets)
    }

    /// Sends bytes after CONNACK that must end the connection.
    fn closes(&mut self, ids: Ids, bytes: &[u8]) -> Result<(), Stop> {
        let mut connection = self.client("wrong")?;
        connection.send(bytes);
        let closed = connection.is_closed();
        let seen = bytes.get(..bytes.len().min(40)).unwrap_or_default();
        self.check(ids, closed, format!("open after {seen:02X?}"));
        Ok(())
    }
}
