//! Reads records into what a broker begins with.
//!
//! Records are given one by one, kind after kind. One that cannot be read is the caller's to report; one that
//! belongs to nothing any more, because a crash came between two batches, is told at the end to be deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use wigwag_proto::{PacketId, Qos};

use super::Kind;
use super::codec::{Reader, Unreadable};
use super::ledger::{Filed, FiledSession, Gone, Ledger};
use crate::message::Message;
use crate::node::Node;
use crate::restored::{
    Clock, InFlight, Outgoing, Received, Replay, Restored, Retained, Session, Will,
};

/// What is being read.
#[derive(Debug)]
pub struct Loader {
    clock: Clock,
    ledger: Arc<Ledger>,
    messages: BTreeMap<u64, Arc<Message>>,
    sessions: BTreeMap<u64, Loading>,
    /// The number of each client's session.
    clients: BTreeMap<Box<str>, u64>,
    retained: BTreeMap<u64, Retained>,
    numbers: Numbers,
    stale: Vec<(Kind, Vec<u8>)>,
}

/// The highest numbers that are in use.
#[derive(Debug, Default)]
struct Numbers {
    message: Option<u64>,
    session: Option<u64>,
    retained: Option<u64>,
}

/// What has been read.
#[derive(Debug)]
pub struct Loaded {
    /// What a broker begins with.
    pub restored: Restored,
    /// Records to be deleted.
    pub stale: Vec<(Kind, Vec<u8>)>,
}

/// A session whose messages have not all been read.
#[derive(Debug)]
struct Loading {
    session: Session,
    gone: Arc<Gone>,
    next_entry: u64,
    entries: BTreeMap<u64, Outgoing>,
    in_flight: Vec<Flying>,
}

#[derive(Debug)]
struct Flying {
    packet_id: PacketId,
    order: u64,
    qos: Qos,
    entry: Option<u64>,
}

impl Loader {
    /// Reads for a node that keeps records. `None` if the node keeps none.
    pub fn new(node: &Node, clock: Clock) -> Option<Loader> {
        Some(Loader {
            clock,
            ledger: Arc::clone(node.ledger.as_ref()?),
            messages: BTreeMap::new(),
            sessions: BTreeMap::new(),
            clients: BTreeMap::new(),
            retained: BTreeMap::new(),
            numbers: Numbers::default(),
            stale: Vec::new(),
        })
    }

    /// Takes a record; those of one kind come after those of the kinds before it in [`Kind::ALL`], and in the
    /// order of their keys.
    pub fn add(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<(), Unreadable> {
        let belongs = match kind {
            Kind::Message => self.add_message(key, value)?,
            Kind::Session => self.add_session(key, value)?,
            Kind::Entry => self.add_entry(key, value)?,
            Kind::InFlight => self.add_in_flight(key, value)?,
            Kind::Received => self.add_received(key, value)?,
            Kind::Retained => self.add_retained(key, value)?,
        };
        if !belongs {
            self.stale.push((kind, key.to_vec()));
        }
        Ok(())
    }

    fn add_message(&mut self, key: &[u8], value: &[u8]) -> Result<bool, Unreadable> {
        let number = numbered(key)?;
        let mut reader = Reader::record(value)?;
        let message = reader.message(&self.clock)?;
        reader.finish()?;
        let token = Filed::new(number, &self.ledger.messages);
        message.filed().get_or_init(|| token);
        self.messages.insert(number, message);
        self.numbers.message = self.numbers.message.max(Some(number));
        Ok(true)
    }

    fn add_session(&mut self, key: &[u8], value: &[u8]) -> Result<bool, Unreadable> {
        let number = numbered(key)?;
        let session = self.read_session(value)?;
        let client_id = session.client_id.clone();
        // Of two sessions of a client the later one goes on.
        if let Some(earlier) = self.clients.insert(client_id, number)
            && self.sessions.remove(&earlier).is_some()
        {
            let key = earlier.to_be_bytes().to_vec();
            self.stale.push((Kind::Session, key));
        }
        let loading = Loading {
            session,
            gone: Arc::default(),
            next_entry: 0,
            entries: BTreeMap::new(),
            in_flight: Vec::new(),
        };
        self.sessions.insert(number, loading);
        self.numbers.session = self.numbers.session.max(Some(number));
        Ok(true)
    }

    fn read_session(&self, value: &[u8]) -> Result<Session, Unreadable> {
        let clock = &self.clock;
        let mut reader = Reader::record(value)?;
        let identity = reader.identity()?;
        let mut session = Session::new(&identity.client_id);
        session.user_name = identity.user_name;
        session.is_bridge = identity.is_bridge;
        session.listener = identity.listener.number;
        session.expiry_secs = reader.u32()?;
        session.ends_at = reader.moment()?.map(|at| clock.time(at));
        session.subscriptions = reader.list(|reader| {
            let filter = reader.filter()?;
            Ok((filter, reader.grant()?))
        })?;
        session.replays = reader.list(|reader| {
            Ok(Replay {
                filter: reader.filter()?,
                after: reader.optional_text()?.map(Into::into),
            })
        })?;
        session.will = reader.option(|reader| {
            Ok(Will {
                message: reader.message(clock)?,
                expiry_secs: reader.option(Reader::u32)?,
                delay_secs: reader.u32()?,
                due_at: reader.moment()?.map(|at| clock.time(at)),
            })
        })?;
        reader.finish()?;
        Ok(session)
    }

    fn add_entry(&mut self, key: &[u8], value: &[u8]) -> Result<bool, Unreadable> {
        let mut reader = Reader::key(key);
        let (session, number) = (reader.number()?, reader.number()?);
        reader.finish()?;
        let mut reader = Reader::record(value)?;
        let message = reader.u64()?;
        let (qos, retain) = reader.qos_and_retain()?;
        let identifiers = reader.list(Reader::identifier)?;
        let share = reader.optional_text()?.map(Arc::from);
        reader.finish()?;
        let Some(loading) = self.sessions.get_mut(&session) else {
            return Ok(false);
        };
        loading.next_entry = loading.next_entry.max(number + 1);
        // Its message was damaged.
        let Some(message) = self.messages.get(&message) else {
            return Ok(false);
        };
        let outgoing = Outgoing {
            message: Arc::clone(message),
            qos,
            retain,
            identifiers: identifiers.into_iter().flatten().collect(),
            share,
            filed: Some(Arc::new(Filed::new(number, &loading.gone))),
        };
        loading.entries.insert(number, outgoing);
        Ok(true)
    }

    fn add_in_flight(&mut self, key: &[u8], value: &[u8]) -> Result<bool, Unreadable> {
        let (session, packet_id) = packet(key)?;
        let mut reader = Reader::record(value)?;
        let order = reader.number()?;
        let (qos, _) = reader.qos_and_retain()?;
        let entry = reader.option(Reader::u64)?;
        reader.finish()?;
        let Some(loading) = self.sessions.get_mut(&session) else {
            return Ok(false);
        };
        loading.in_flight.push(Flying {
            packet_id,
            order,
            qos,
            entry,
        });
        Ok(true)
    }

    fn add_received(&mut self, key: &[u8], value: &[u8]) -> Result<bool, Unreadable> {
        let (session, packet_id) = packet(key)?;
        let number = Reader::record(value)?.last(Reader::u64)?;
        let message = number.and_then(|number| self.messages.get(&number).map(Arc::clone));
        let Some(loading) = self.sessions.get_mut(&session) else {
            return Ok(false);
        };
        // Its message was damaged: if it comes again, it is not to be taken for one that has been delivered.
        if number.is_some() && message.is_none() {
            return Ok(false);
        }
        loading
            .session
            .received
            .push(Received { packet_id, message });
        Ok(true)
    }

    fn add_retained(&mut self, key: &[u8], value: &[u8]) -> Result<bool, Unreadable> {
        let number = numbered(key)?;
        let mut reader = Reader::record(value)?;
        let message = reader.message(&self.clock)?;
        let source = reader.option(Reader::identity)?;
        let until = reader.moment()?.map(|at| self.clock.time(at));
        reader.finish()?;
        let retained = Retained {
            message,
            source,
            until,
            filed: Some(number),
        };
        self.retained.insert(number, retained);
        self.numbers.retained = self.numbers.retained.max(Some(number));
        Ok(true)
    }

    /// All records have been given.
    pub fn finish(mut self) -> Loaded {
        let ledger = &self.ledger;
        let Numbers {
            message,
            session,
            retained,
        } = self.numbers;
        ledger.reserve(message, session, retained);
        let mut sessions = Vec::with_capacity(self.sessions.len());
        for (number, loading) in self.sessions {
            sessions.push(loading.finish(number, &mut self.stale));
        }
        let retained = self.retained.into_values().collect();
        Loaded {
            restored: Restored { sessions, retained },
            stale: self.stale,
        }
    }
}

impl Loading {
    fn finish(mut self, number: u64, stale: &mut Vec<(Kind, Vec<u8>)>) -> Session {
        self.in_flight.sort_unstable_by_key(|flying| flying.order);
        for flying in self.in_flight {
            let Flying {
                packet_id,
                order,
                qos,
                entry,
            } = flying;
            let message = entry.and_then(|entry| self.entries.remove(&entry));
            // The message is lost. The client may have it at QoS 2, and then waits for a PUBREL.
            if message.is_none() && qos < Qos::ExactlyOnce {
                let mut key = number.to_be_bytes().to_vec();
                key.extend_from_slice(&packet_id.get().to_be_bytes());
                stale.push((Kind::InFlight, key));
                continue;
            }
            self.session.in_flight.push(InFlight {
                packet_id,
                message,
                order: Some(order),
            });
        }
        self.session.queue = self.entries.into_values().collect();
        self.session.filed = Some(FiledSession {
            number,
            next_entry: self.next_entry,
            gone: self.gone,
        });
        self.session
    }
}

fn numbered(key: &[u8]) -> Result<u64, Unreadable> {
    let mut reader = Reader::key(key);
    let number = reader.number()?;
    reader.finish()?;
    Ok(number)
}

fn packet(key: &[u8]) -> Result<(u64, PacketId), Unreadable> {
    let mut reader = Reader::key(key);
    let of = (reader.number()?, reader.packet_id()?);
    reader.finish()?;
    Ok(of)
}
