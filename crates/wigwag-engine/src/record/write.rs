//! What a save brings: puts and deletes in their order, as bytes when they are asked for.
//!
//! Messages are copied only then, so that a shard loses no time with them.

use std::sync::Arc;

use wigwag_proto::{PacketId, Qos, Time};

use super::Kind;
use super::codec::Writer;
use crate::message::Message;
use crate::policy::Identity;
use crate::restored::Clock;
use crate::retained::Cursor;
use crate::session::{Outgoing, Replay, Session};
use crate::shard::Terms;

/// Changes of records, in the order in which they are to be made.
#[derive(Debug, Default)]
pub struct Changes(Vec<Op>);

/// One change. Numbers are those of the keys.
#[derive(Debug)]
pub(crate) enum Op {
    Message(u64, Arc<Message>),
    Retained {
        number: u64,
        message: Arc<Message>,
        source: Option<Arc<Identity>>,
        until: Option<Time>,
    },
    Entry {
        session: u64,
        number: u64,
        message: u64,
        outgoing: Outgoing,
    },
    InFlight {
        session: u64,
        packet_id: PacketId,
        order: u64,
        qos: Qos,
        /// `None` once it has been released.
        entry: Option<u64>,
    },
    Received {
        session: u64,
        packet_id: PacketId,
        /// The number of its message, if that has not been routed.
        message: Option<u64>,
    },
    /// Made on the spot, because a session changes.
    Session(u64, Box<[u8]>),
    /// A record whose key is a number.
    Delete(Kind, u64),
    /// A record of a session.
    DeleteEntry(u64, u64),
    DeletePacket(Kind, u64, PacketId),
}

impl Changes {
    pub(crate) fn push(&mut self, op: Op) {
        self.0.push(op);
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls `change` for each change: with the record's kind and key, and its value unless it is deleted.
    pub fn write(self, clock: &Clock, mut change: impl FnMut(Kind, &[u8], Option<&[u8]>)) {
        for op in self.0 {
            let value = op.value(clock);
            let (kind, key) = op.key();
            change(kind, &key, value.as_deref());
        }
    }
}

impl Op {
    fn key(&self) -> (Kind, Box<[u8]>) {
        let mut key = Writer::default();
        let kind = match self {
            Op::Message(number, _) => numbered(Kind::Message, *number, &mut key),
            Op::Retained { number, .. } => numbered(Kind::Retained, *number, &mut key),
            Op::Session(number, _) => numbered(Kind::Session, *number, &mut key),
            Op::Delete(kind, number) => numbered(*kind, *number, &mut key),
            Op::Entry {
                session, number, ..
            }
            | Op::DeleteEntry(session, number) => {
                key.u64(*session).u64(*number);
                Kind::Entry
            }
            Op::InFlight {
                session, packet_id, ..
            } => packet(Kind::InFlight, *session, *packet_id, &mut key),
            Op::Received {
                session, packet_id, ..
            } => packet(Kind::Received, *session, *packet_id, &mut key),
            Op::DeletePacket(kind, session, packet_id) => {
                packet(*kind, *session, *packet_id, &mut key)
            }
        };
        (kind, key.finish())
    }

    fn value(&self, clock: &Clock) -> Option<Box<[u8]>> {
        let mut value = Writer::record();
        match self {
            Op::Message(_, message) => {
                value.message(message, clock);
            }
            Op::Retained {
                message,
                source,
                until,
                ..
            } => {
                value.message(message, clock);
                value.option(source.as_ref(), |value, source| {
                    value.identity(source);
                });
                value.moment(until.map(|at| clock.since_epoch(at)));
            }
            Op::Entry {
                message, outgoing, ..
            } => {
                let terms = outgoing.terms.as_ref();
                value
                    .u64(*message)
                    .qos_and_retain(outgoing.qos, outgoing.retain)
                    .list(Terms::identifiers(terms).iter(), |value, identifier| {
                        value.u32(identifier.get());
                    })
                    .optional_text(Terms::share(terms).map(|share| &**share));
            }
            Op::InFlight {
                order, qos, entry, ..
            } => {
                value.u64(*order).u8(*qos as u8);
                value.option(*entry, |value, entry| {
                    value.u64(entry);
                });
            }
            Op::Received { message, .. } => {
                if let Some(number) = message {
                    value.u64(*number);
                }
            }
            Op::Session(_, bytes) => return Some(bytes.clone()),
            Op::Delete(..) | Op::DeleteEntry(..) | Op::DeletePacket(..) => return None,
        }
        Some(value.finish())
    }
}

fn numbered(kind: Kind, number: u64, key: &mut Writer) -> Kind {
    key.u64(number);
    kind
}

fn packet(kind: Kind, session: u64, packet_id: PacketId, key: &mut Writer) -> Kind {
    key.u64(session).u16(packet_id.get());
    kind
}

/// The record of a session: all but its messages and Packet Identifiers.
pub(crate) fn session_record(session: &Session, clock: &Clock) -> Box<[u8]> {
    let ends_at = session.local.expiry_alarm.at();
    let will_due_at = session.local.will_alarm.at();
    let mut value = Writer::record();
    value
        .identity(&session.identity)
        .u32(session.expiry_secs)
        .moment(ends_at.map(|at| clock.since_epoch(at)))
        .list(session.subscriptions.iter(), |value, (filter, grant)| {
            value.text(filter.as_filter().as_str()).grant(grant);
        });
    let open = |replay: &&Replay| replay.cursor != Cursor::End;
    let replays: Vec<_> = session.replays.iter().filter(open).collect();
    value.list(replays.into_iter(), |value, replay| {
        let after = match &replay.cursor {
            Cursor::After(after) => after.as_deref(),
            Cursor::End => None,
        };
        value
            .text(replay.filter.as_filter().as_str())
            .optional_text(after);
    });
    value.option(session.will.as_ref(), |value, will| {
        value
            .message(&will.message, clock)
            .option(will.expiry_secs, |value, secs| {
                value.u32(secs);
            })
            .u32(will.delay_secs)
            .moment(will_due_at.map(|at| clock.since_epoch(at)));
    });
    value.finish()
}
