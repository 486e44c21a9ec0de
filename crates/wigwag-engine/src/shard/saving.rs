//! Keeps note of sessions that change, and tells a save what to write: see [`crate::record`].
//!
//! **Invariant:** a session is written as a whole between two packets, its queue apart: what a store has of it
//! is how it was at one moment.

use std::collections::VecDeque;
use std::sync::Arc;

use slotmap::SlotMap;
use wigwag_proto::PacketId;
use wigwag_proto::inflight::Standing;

use super::Shard;
use crate::message::Message;
use crate::record::ledger::{Ended, Filed, Ledger, Track};
use crate::record::save::{Answer, Question};
use crate::record::{Changes, Kind, Op, session_record};
use crate::restored::Clock;
use crate::session::{Outgoing, Session, SessionKey};

/// Changes that one step of a save looks for: what a shard does in about a millisecond.
const STEP: usize = 4_096;

/// What has changed in a shard since it was saved.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Sessions, once each. Some may have left or ended.
    noted: Vec<SessionKey>,
    ended: Vec<Ended>,
    /// What the save that is going on has to write.
    due: VecDeque<SessionKey>,
    due_ended: Vec<Ended>,
    /// The number of the last save that has begun.
    save: u64,
    /// Sessions with records that have left for other shards, and come from them.
    moved_out: u64,
    moved_in: u64,
    /// Letters to other shards, and from them.
    pub(super) posted: u64,
    pub(super) handled: u64,
    /// Changes since somebody asked.
    pub(super) changes: u64,
}

impl Notes {
    /// Sessions come and go, and it may be long until the next save: those that are gone are forgotten when
    /// there are more of them than of the others.
    fn forget_gone(&mut self, sessions: &SlotMap<SessionKey, Session>) {
        if self.noted.len() > 2 * sessions.len() + STEP {
            self.noted.retain(|key| sessions.contains_key(*key));
            self.noted.sort_unstable();
            self.noted.dedup();
        }
    }

    /// The session changes. Without records, this is one look at it.
    #[inline]
    pub(super) fn note(&mut self, key: SessionKey, session: &mut Session) {
        if let Some(track) = &mut session.track {
            self.note_track(key, track);
        }
    }

    fn note_track(&mut self, key: SessionKey, track: &mut Track) {
        self.changes += 1;
        // What is still due is written with this change.
        if track.noted_in.is_none() {
            track.noted_in = Some(self.save);
            self.noted.push(key);
        }
    }

    /// The session changes in what is neither queue nor flight.
    pub(super) fn note_head(&mut self, key: SessionKey, session: &mut Session) {
        if let Some(track) = &mut session.track {
            track.is_head_stale = true;
            self.note_track(key, track);
        }
    }

    /// A Packet Identifier has been received at QoS 2, or released.
    pub(super) fn note_received(
        &mut self,
        key: SessionKey,
        session: &mut Session,
        packet_id: PacketId,
    ) {
        if let Some(track) = &mut session.track {
            track.received.insert(packet_id);
            self.note_track(key, track);
        }
    }

    /// The session has no records from here on; its messages have given their tokens back, or will.
    pub(super) fn end(&mut self, session: &mut Session) {
        let Some(mut track) = session.track.take() else {
            return;
        };
        let in_flight = session.flight.untrack();
        if !track.is_filed {
            return;
        }
        self.changes += 1;
        track.received.extend(session.unreleased.packet_ids());
        self.ended.push(Ended {
            number: track.number,
            gone: track.gone,
            in_flight,
            received: track.received.into_iter().collect(),
        });
    }

    /// The session leaves.
    pub(super) fn leave(&mut self, session: &Session) {
        self.moved_out += u64::from(session.track.is_some());
    }

    /// A session has come. All shards count the saves, so it is known whether it has changed before this one.
    pub(super) fn arrive(&mut self, key: SessionKey, session: &Session) {
        let Some(track) = &session.track else {
            return;
        };
        self.moved_in += 1;
        match track.noted_in {
            Some(save) if save < self.save => self.due.push_back(key),
            Some(_) => self.noted.push(key),
            None => {}
        }
    }
}

/// How far a step has come with a session.
enum Progress {
    Written,
    /// The step was long enough.
    More,
    /// It cannot be written before all of it is here.
    Arriving,
}

impl Shard {
    /// Changes since this was asked last, for an autosave that counts them.
    pub fn take_changes(&mut self) -> u64 {
        self.notes.forget_gone(&self.sessions);
        std::mem::take(&mut self.notes.changes)
    }

    pub(super) fn note_head(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            self.notes.note_head(key, session);
        }
    }

    /// Keeps records of a session from here on if it outlives its connection, or no more.
    pub(super) fn track(&mut self, key: SessionKey) {
        let (Some(session), Some(ledger)) = (self.sessions.get_mut(key), &self.node.ledger) else {
            return;
        };
        if !session.is_persistent() {
            let forget = |outgoing: &mut Outgoing| outgoing.filed = None;
            if session.track.is_some() {
                session.queue.iter_mut().for_each(forget);
                session.flight.for_each_kept(forget);
            }
            return self.notes.end(session);
        }
        if session.track.is_none() {
            let mut track = Track::new(ledger.next_session());
            track.received.extend(session.unreleased.packet_ids());
            session.flight.track(false);
            session.track = Some(Box::new(track));
        }
        self.notes.note_head(key, session);
    }

    /// Answers a save.
    pub fn handle_save(&mut self, clock: &Clock, question: Question) -> Answer {
        let mut changes = Changes::default();
        let mut is_waiting = false;
        match question {
            Question::Begin => self.begin_save(),
            Question::Next => is_waiting = self.write_due(clock, &mut changes),
            Question::Received => self.write_received(&mut changes),
        }
        let notes = &self.notes;
        Answer {
            changes,
            due: notes.due.len() + notes.due_ended.len(),
            is_waiting,
            noted: notes.noted.len() + notes.ended.len(),
            moved: (notes.moved_out, notes.moved_in),
            letters: (notes.posted, notes.handled),
        }
    }

    /// All that has changed so far is due. No session is touched: there may be very many.
    fn begin_save(&mut self) {
        let notes = &mut self.notes;
        notes.save += 1;
        notes.due_ended.append(&mut notes.ended);
        // What the last save has not written comes first.
        let mut due = VecDeque::from(std::mem::take(&mut notes.noted));
        std::mem::swap(&mut notes.due, &mut due);
        due.drain(..)
            .rev()
            .for_each(|key| notes.due.push_front(key));
    }

    /// A step of writing what is due. True if nothing more can be written for now, and something has to be.
    fn write_due(&mut self, clock: &Clock, changes: &mut Changes) -> bool {
        while changes.len() < STEP
            && let Some(mut ended) = self.notes.due_ended.pop()
        {
            if !write_ended(&mut ended, changes) {
                self.notes.due_ended.push(ended);
            }
        }
        let mut arriving = 0;
        while changes.len() < STEP
            && arriving < self.notes.due.len()
            && let Some(key) = self.notes.due.pop_front()
        {
            match self.write_session(key, clock, changes) {
                Progress::Written => {}
                Progress::More => self.notes.due.push_front(key),
                Progress::Arriving => {
                    arriving += 1;
                    self.notes.due.push_back(key);
                }
            }
        }
        arriving > 0 && arriving == self.notes.due.len() && self.notes.due_ended.is_empty()
    }

    fn write_session(&mut self, key: SessionKey, clock: &Clock, changes: &mut Changes) -> Progress {
        let (Some(session), Some(ledger)) = (self.sessions.get_mut(key), &self.node.ledger) else {
            return Progress::Written;
        };
        if session.local.arriving.is_some() {
            return Progress::Arriving;
        }
        let Some(mut track) = session.track.take() else {
            return Progress::Written;
        };
        track.is_filed = true;
        let is_whole = write_messages(session, &mut track, ledger, changes);
        if is_whole {
            write_rest(session, &mut track, ledger, clock, changes);
            track.noted_in = None;
        }
        session.track = Some(track);
        if is_whole {
            Progress::Written
        } else {
            Progress::More
        }
    }

    /// What has been received at QoS 2 is written once more at the end of a save, also of sessions that
    /// have changed since: a message that the save has found in a queue would otherwise be taken for a new
    /// one when its publisher sends it again.
    fn write_received(&mut self, changes: &mut Changes) {
        let Some(ledger) = &self.node.ledger else {
            return;
        };
        for key in &self.notes.noted {
            if let Some(session) = self.sessions.get_mut(*key)
                && let Some(mut track) = session.track.take()
            {
                // Without its session, it would belong to nothing.
                if track.is_filed {
                    write_received(session, &mut track, ledger, changes);
                }
                session.track = Some(track);
            }
        }
    }
}

/// Deletes the records of a session that has ended; false if there are more than a step has room for.
fn write_ended(ended: &mut Ended, changes: &mut Changes) -> bool {
    let mut gone = ended.gone.take();
    while let Some(entry) = gone.pop() {
        changes.push(Op::DeleteEntry(ended.number, entry));
        if changes.len() >= STEP && !gone.is_empty() {
            gone.drain(..).for_each(|entry| ended.gone.push(entry));
            return false;
        }
    }
    for (kind, ids) in [
        (Kind::InFlight, &ended.in_flight),
        (Kind::Received, &ended.received),
    ] {
        for packet_id in ids {
            changes.push(Op::DeletePacket(kind, ended.number, *packet_id));
        }
    }
    changes.push(Op::Delete(Kind::Session, ended.number));
    true
}

/// Files the messages of queue and flight that have no record; false if the step has no room for all.
fn write_messages(
    session: &mut Session,
    track: &mut Track,
    ledger: &Ledger,
    changes: &mut Changes,
) -> bool {
    let stale: Vec<PacketId> = session.flight.stale().collect();
    for packet_id in stale {
        if let Some(standing) = session.flight.standing(packet_id)
            && let Some(outgoing) = standing.message
            && outgoing.filed.is_none()
        {
            if changes.len() >= STEP {
                return false;
            }
            file(outgoing, track, ledger, changes);
        }
    }
    for outgoing in session.queue.unfiled() {
        if changes.len() >= STEP {
            return false;
        }
        file(outgoing, track, ledger, changes);
    }
    true
}

/// Gives a message its record, if it is the first time that somebody who has it is written; returns the number.
fn file_message(message: &Arc<Message>, ledger: &Ledger, changes: &mut Changes) -> u64 {
    let mut is_new = false;
    let filed = message.filed().get_or_init(|| {
        is_new = true;
        Filed::new(ledger.next_message(), &ledger.messages)
    });
    if is_new {
        changes.push(Op::Message(filed.number, Arc::clone(message)));
    }
    filed.number
}

/// Gives a message of a session its record.
fn file(outgoing: &mut Outgoing, track: &mut Track, ledger: &Ledger, changes: &mut Changes) {
    let message = file_message(&outgoing.message, ledger, changes);
    let number = track.next_entry();
    changes.push(Op::Entry {
        session: track.number,
        number,
        message,
        outgoing: Outgoing {
            filed: None,
            ..outgoing.clone()
        },
    });
    outgoing.filed = Some(Filed::new(number, &track.gone).into());
}

/// Writes what has changed besides the messages of queue and flight, which have their records by now.
fn write_rest(
    session: &mut Session,
    track: &mut Track,
    ledger: &Ledger,
    clock: &Clock,
    changes: &mut Changes,
) {
    for packet_id in session.flight.take_stale() {
        changes.push(in_flight(session, track.number, packet_id));
    }
    for entry in track.gone.take() {
        changes.push(Op::DeleteEntry(track.number, entry));
    }
    write_received(session, track, ledger, changes);
    if std::mem::take(&mut track.is_head_stale) {
        let record = session_record(session, clock);
        changes.push(Op::Session(track.number, record));
    }
}

/// The record of a Packet Identifier that is in flight, or its deletion.
fn in_flight(session: &mut Session, number: u64, packet_id: PacketId) -> Op {
    let (order, qos, entry) = match session.flight.standing(packet_id) {
        Some(Standing {
            order,
            qos,
            is_released: true,
            ..
        }) => (order, qos, None),
        Some(Standing {
            order,
            qos,
            message: Some(outgoing),
            ..
        }) => (
            order,
            qos,
            outgoing.filed.as_ref().map(|filed| filed.number),
        ),
        // Nothing is kept of it, so it will not be sent again.
        Some(_) | None => return Op::DeletePacket(Kind::InFlight, number, packet_id),
    };
    Op::InFlight {
        session: number,
        packet_id,
        order,
        qos,
        entry,
    }
}

fn write_received(session: &Session, track: &mut Track, ledger: &Ledger, changes: &mut Changes) {
    let unreleased = &session.unreleased;
    for packet_id in std::mem::take(&mut track.received) {
        if !unreleased.contains(packet_id) {
            let released = Op::DeletePacket(Kind::Received, track.number, packet_id);
            changes.push(released);
            continue;
        }
        let message = unreleased.message(packet_id);
        let message = message.map(|message| file_message(message, ledger, changes));
        changes.push(Op::Received {
            session: track.number,
            packet_id,
            message,
        });
    }
}
