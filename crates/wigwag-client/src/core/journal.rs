//! What a client that has a store writes down: the outgoing queue, what is in flight both ways, and the
//! outcomes that receipts ask for. The records are made and read here; the task stores them.
//!
//! The rule: what tells the server of a change leaves after the change is stored. One batch is with the
//! store at a time, and what happens meanwhile makes the next: one wait for the disk serves all.

use std::collections::VecDeque;
use std::time::Duration;

use wigwag_proto::codec::{decode, encode_publish_head, frame};
use wigwag_proto::packet::{Delivery, Packet, Publish};
use wigwag_proto::{DecodeLimits, PacketId, Qos, ReasonCode, Time, TopicName, Version};
use wigwag_store::{Batch, Entries, Error as StoreError, Keyspace, Store};

use super::outgoing::Queued;
use super::{Core, Output};
use crate::message::Outgoing;
use crate::state::{Event, OfflineReason};
use crate::{Indeterminate, Outcome, PublishError};

/// Serial → what is to be sent.
const MESSAGES: Keyspace = Keyspace(0);
/// Serial → Packet Identifier and stage.
const IN_FLIGHT: Keyspace = Keyspace(1);
/// Packet Identifiers received at QoS 2 and not released.
const RECEIVED: Keyspace = Keyspace(2);
/// Serial → outcome.
const OUTCOMES: Keyspace = Keyspace(3);
/// The rest: next serial, Client Identifier.
const SESSION: Keyspace = Keyspace(4);
/// Records that cannot be read.
const UNREADABLE: Keyspace = Keyspace(5);

const KEY_SERIAL: &[u8] = b"serial";
const KEY_CLIENT: &[u8] = b"client";

/// The first byte of each record; a later format has another.
const FORMAT: u8 = 1;

/// Serials that are claimed at a time: after a restart, none is given out twice.
const CLAIM: u64 = 1 << 16;

/// Outcomes that are remembered for receipts; the oldest gives way.
pub(crate) const OUTCOMES_MAX: usize = 1_024;

/// What becomes of a publish.
pub(crate) type Fate = Result<Outcome, PublishError>;

#[derive(Default)]
pub(super) struct Journal {
    is_on: bool,
    /// Messages that are in no store yet.
    admissions: Vec<(u64, Vec<u8>)>,
    changes: Batch,
    saving: Option<Saving>,
    /// Batches handed out, and how many of them are stored.
    handed_out: u64,
    stored: u64,
    /// The last attempt to make so many changes has failed: the next waits for another change, or for
    /// the next connection.
    stalled_at: Option<usize>,
    next_serial: u64,
    claimed: u64,
    admitted: u64,
    outcomes: VecDeque<u64>,
    /// The wall clock, as a distance from the Unix epoch, at a point in time.
    wall: (Time, Duration),
}

/// What is with the store.
struct Saving {
    admitted: Vec<u64>,
    changes: Batch,
}

impl Journal {
    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether the store has the message, if it has to.
    pub(super) const fn has(&self, serial: u64) -> bool {
        !self.is_on || serial <= self.admitted
    }

    /// The batch that has to be stored before what is decided now may be told; `None` if nothing waits.
    pub(super) fn barrier(&self) -> Option<u64> {
        if !self.changes.is_empty() {
            return Some(self.handed_out + 1);
        }
        let saving = self.saving.as_ref()?;
        (!saving.changes.is_empty()).then_some(self.handed_out)
    }

    fn next_serial(&mut self) -> u64 {
        self.next_serial = self.next_serial.saturating_add(1);
        if self.is_on && self.next_serial >= self.claimed {
            self.claimed = self.next_serial.saturating_add(CLAIM);
            let claimed = self.claimed.to_be_bytes();
            self.changes.put(SESSION, KEY_SERIAL, &claimed);
        }
        self.next_serial
    }

    /// The message has this Packet Identifier, and its PUBREC has come or not.
    pub(super) fn put_in_flight(&mut self, serial: u64, packet_id: PacketId, is_released: bool) {
        if self.is_on {
            let [high, low] = packet_id.get().to_be_bytes();
            let record = [FORMAT, high, low, u8::from(is_released)];
            self.changes.put(IN_FLIGHT, &serial.to_be_bytes(), &record);
        }
    }

    fn leave_flight(&mut self, serial: u64) {
        if self.is_on {
            self.changes.delete(IN_FLIGHT, &serial.to_be_bytes());
        }
    }

    /// The identifier names a message that has been taken over, until it is released.
    pub(super) fn put_received(&mut self, packet_id: PacketId) {
        if self.is_on {
            let key = packet_id.get().to_be_bytes();
            self.changes.put(RECEIVED, &key, &[FORMAT]);
        }
    }

    pub(super) fn release_received(&mut self, packet_id: PacketId) {
        if self.is_on {
            self.changes
                .delete(RECEIVED, &packet_id.get().to_be_bytes());
        }
    }

    /// The name under which the server keeps the session.
    pub(super) fn put_client(&mut self, client_id: &str) {
        if self.is_on {
            self.changes.put(SESSION, KEY_CLIENT, client_id.as_bytes());
        }
    }

    fn finish(&mut self, serial: u64, has_receipt: bool, fate: &Fate) {
        if !self.is_on {
            return;
        }
        let key = serial.to_be_bytes();
        self.changes.delete(MESSAGES, &key);
        self.changes.delete(IN_FLIGHT, &key);
        if has_receipt && let Some(record) = fate_record(fate) {
            self.changes.put(OUTCOMES, &key, &record);
            self.outcomes.push_back(serial);
            while self.outcomes.len() > OUTCOMES_MAX
                && let Some(oldest) = self.outcomes.pop_front()
            {
                self.changes.delete(OUTCOMES, &oldest.to_be_bytes());
            }
        }
    }

    fn wall(&self, now: Time) -> Duration {
        let (at, wall) = self.wall;
        wall.saturating_add(now - at)
    }

    /// What the store has to do next, if it is free.
    fn take_batch(&mut self) -> Option<Batch> {
        let is_idle = self.changes.is_empty() && self.admissions.is_empty();
        let is_stalled = self.stalled_at == Some(self.changes.operations().len());
        if self.saving.is_some() || is_stalled || is_idle {
            return None;
        }
        let changes = std::mem::take(&mut self.changes);
        let mut batch = Batch::new();
        let mut admitted = Vec::with_capacity(self.admissions.len());
        for (serial, record) in self.admissions.drain(..) {
            batch.put(MESSAGES, &serial.to_be_bytes(), &record);
            admitted.push(serial);
        }
        self.admissions = Vec::new();
        batch.append(changes.clone());
        self.handed_out += 1;
        self.saving = Some(Saving { admitted, changes });
        Some(batch)
    }
}

impl<R> Core<R> {
    /// Tells what the wall clock says. Message Expiry Intervals go on between two processes by it.
    pub(crate) const fn set_wall(&mut self, now: Time, since_epoch: Duration) {
        self.journal.wall = (now, since_epoch);
    }

    /// Takes a message over for a receipt; its number, unless it has been refused.
    ///
    /// [`Output::Admitted`] says when the store has it, [`Output::Settled`] what became of it.
    pub(crate) fn enqueue(&mut self, now: Time, message: Outgoing, receipt: R) -> Option<u64> {
        if let Some(error) = self.refuses(message.qos) {
            self.push(Output::Published(receipt, Err(error)));
            return None;
        }
        let serial = self.admit(now, message, receipt, true);
        if !self.journal.is_on() {
            self.push(Output::Admitted(serial, Ok(())));
        }
        self.settle(now);
        Some(serial)
    }

    /// Puts a message into the queue, and into the store if there is one.
    pub(super) fn admit(
        &mut self,
        now: Time,
        message: Outgoing,
        receipt: R,
        has_receipt: bool,
    ) -> u64 {
        let serial = self.journal.next_serial();
        if self.journal.is_on() {
            let record = message_record(&message, has_receipt, self.journal.wall(now));
            self.journal.admissions.push((serial, record));
            self.journal.stalled_at = None;
        }
        let mut queued = Queued::new(now, message, receipt);
        queued.serial = Some(serial);
        queued.has_receipt = has_receipt;
        self.queue.push_back(queued);
        serial
    }

    /// The store has made the changes of the last [`Output::Store`], or could not.
    pub(crate) fn handle_stored(&mut self, now: Time, result: Result<(), StoreError>) {
        let Some(saving) = self.journal.saving.take() else {
            return;
        };
        match result {
            Ok(()) => {
                self.journal.stored = self.journal.handed_out;
                self.out.release(self.journal.stored);
                for serial in saving.admitted {
                    self.journal.admitted = serial;
                    self.push(Output::Admitted(serial, Ok(())));
                }
            }
            Err(error) => self.handle_not_stored(now, saving, &error),
        }
        self.settle(now);
    }

    /// New messages are refused. Other changes must not be lost: they are stored with the next batch, and
    /// a connection that waits for them ends.
    fn handle_not_stored(&mut self, now: Time, saving: Saving, error: &StoreError) {
        self.push(Output::Event(Event::StoreFailed(error.clone())));
        let is_refused = |serial: Option<u64>| {
            serial.is_some_and(|serial| saving.admitted.binary_search(&serial).is_ok())
        };
        for queued in std::mem::take(&mut self.queue) {
            if is_refused(queued.serial) {
                let refusal = || PublishError::Store(error.clone());
                if let (true, Some(serial)) = (queued.has_receipt, queued.serial) {
                    self.push(Output::Admitted(serial, Err(refusal())));
                }
                self.push(Output::Published(queued.receipt, Err(refusal())));
            } else {
                self.queue.push_back(queued);
            }
        }
        let mut changes = saving.changes;
        changes.append(std::mem::take(&mut self.journal.changes));
        self.journal.stalled_at =
            (self.journal.admissions.is_empty()).then_some(changes.operations().len());
        self.journal.changes = changes;
        if self.out.is_held() {
            self.handle_failed(now, OfflineReason::Store(error.clone()));
        }
    }

    /// A new attempt to connect is an occasion for another attempt to store.
    pub(super) const fn retry_store(&mut self) {
        self.journal.stalled_at = None;
    }

    /// Whether there are bytes to write, now or as soon as the store has what they tell.
    pub(crate) fn is_holding(&self) -> bool {
        !self.out.is_empty()
    }

    /// Hands the next batch to the store.
    pub(super) fn flush_journal(&mut self) {
        if self.out.is_held() {
            // A failure ends the connection: it is the backoff that keeps attempts apart.
            self.journal.stalled_at = None;
        }
        if let Some(batch) = self.journal.take_batch() {
            self.push(Output::Store(batch));
        }
    }

    /// What has not been handed out when the client has stopped.
    pub(crate) fn take_unsaved(&mut self) -> Batch {
        std::mem::take(&mut self.journal.changes)
    }

    /// The fate of a message is known.
    pub(super) fn conclude(&mut self, queued: Queued<R>, fate: Fate) {
        if let Some(serial) = queued.serial {
            self.journal.finish(serial, queued.has_receipt, &fate);
            if queued.has_receipt {
                self.push(Output::Settled(serial, fate.clone()));
            }
        }
        self.push(Output::Published(queued.receipt, fate));
    }

    /// The server has forgotten what was in flight.
    pub(super) fn lose_inflight(&mut self) {
        self.inflight_len = 0;
        let republishes = self.config.session_loss == crate::SessionLossPolicy::Republish;
        let drained: Vec<Queued<R>> = self.inflight.drain().collect();
        let (again, lost): (Vec<_>, Vec<_>) = drained
            .into_iter()
            .partition(|queued| republishes && queued.message.qos == Qos::AtLeastOnce);
        for queued in lost {
            let fate = Ok(Outcome::Indeterminate(Indeterminate::SessionLost));
            self.conclude(queued, fate);
        }
        for queued in again.into_iter().rev() {
            if let Some(serial) = queued.serial {
                self.journal.leave_flight(serial);
            }
            self.queue.push_front(queued);
        }
    }

    /// Puts back what an earlier process has left, before [`Core::start`], and keeps a journal from here
    /// on. `receipt` makes the sender's end of each message. Returns what receipts may ask for: numbers,
    /// with the outcomes that are known.
    pub(crate) fn restore(
        &mut self,
        now: Time,
        kept: &Kept,
        mut receipt: impl FnMut(&Outgoing) -> R,
    ) -> Vec<(u64, Option<Fate>)> {
        self.journal.is_on = true;
        let mut damaged = kept.damaged();
        let is_ours = self.restore_session(kept);
        let mut receipts = self.restore_outcomes(&kept.outcomes);
        if is_ours {
            for (key, _) in &kept.received.intact {
                if let Some(id) = packet_id(key) {
                    self.inbound.receive(id);
                }
            }
        } else {
            for (key, _) in &kept.received.intact {
                self.journal.changes.delete(RECEIVED, key);
            }
        }
        for key in &kept.messages.corrupt {
            if let Some(serial) = serial(key) {
                receipts.push((serial, Some(self.lose_damaged(serial))));
            }
        }
        let wall = self.journal.wall(now);
        for (key, value) in &kept.messages.intact {
            let Some(serial) = serial(key) else {
                continue;
            };
            self.journal.next_serial = self.journal.next_serial.max(serial);
            let Some(record) = read_message(value) else {
                damaged += 1;
                self.journal.changes.put(UNREADABLE, key, value);
                receipts.push((serial, Some(self.lose_damaged(serial))));
                continue;
            };
            let has_receipt = record.has_receipt;
            if has_receipt {
                receipts.push((serial, None));
            }
            let end = receipt(&record.message);
            let mut queued = Queued::new(now, record.message, end);
            queued.serial = Some(serial);
            queued.has_receipt = has_receipt;
            queued.waited = wall.saturating_sub(record.since_epoch);
            self.restore_message(queued, serial, &kept.in_flight, is_ours);
        }
        self.journal.admitted = self.journal.next_serial;
        if damaged > 0 {
            self.push(Output::Event(Event::StoreDamaged { entries: damaged }));
        }
        self.flush_journal();
        receipts
    }

    /// Whether the session is that of this Client Identifier.
    fn restore_session(&mut self, kept: &Kept) -> bool {
        let value = |wanted: &[u8]| {
            let mut pairs = kept.session.intact.iter();
            pairs.find(|(key, _)| key == wanted).map(|(_, value)| value)
        };
        if let Some(claimed) = value(KEY_SERIAL).and_then(|value| serial(value)) {
            self.journal.next_serial = claimed;
            self.journal.claimed = claimed;
        }
        let client = value(KEY_CLIENT).and_then(|value| std::str::from_utf8(value).ok());
        let Some(client) = client else {
            return false;
        };
        let is_ours = self.client_id.is_empty() || self.client_id == client;
        if is_ours {
            client.clone_into(&mut self.client_id);
            self.was_online = true;
        }
        is_ours
    }

    fn restore_outcomes(&mut self, outcomes: &Entries) -> Vec<(u64, Option<Fate>)> {
        let mut receipts = Vec::new();
        for (key, value) in &outcomes.intact {
            if let (Some(serial), Some(fate)) = (serial(key), read_fate(value)) {
                self.journal.outcomes.push_back(serial);
                receipts.push((serial, Some(fate)));
            }
        }
        receipts
    }

    /// Back into flight, if it was there and the session is ours; else back into the queue.
    fn restore_message(
        &mut self,
        queued: Queued<R>,
        serial: u64,
        in_flight: &Entries,
        is_ours: bool,
    ) {
        let key = serial.to_be_bytes();
        let entries = &in_flight.intact;
        let found = entries
            .binary_search_by(|(found, _)| found.as_slice().cmp(&key))
            .ok()
            .and_then(|index| entries.get(index));
        let is_corrupt = in_flight.corrupt.iter().any(|found| *found == key);
        let stage = found.and_then(|(_, value)| read_in_flight(value));
        let qos = queued.message.qos;
        let back = match stage {
            None if found.is_none() && !is_corrupt => return self.queue.push_back(queued),
            Some((packet_id, is_released)) if is_ours => {
                match self.inflight.restore(packet_id, qos, is_released, queued) {
                    Ok(()) => {
                        self.inflight_len += 1;
                        return;
                    }
                    Err(queued) => queued,
                }
            }
            _ => queued,
        };
        // It was in flight, and nobody knows how far it had come.
        if qos == Qos::AtLeastOnce
            && self.config.session_loss == crate::SessionLossPolicy::Republish
        {
            self.journal.leave_flight(serial);
            return self.queue.push_back(back);
        }
        let why = if is_ours {
            Indeterminate::StoreDamaged
        } else {
            Indeterminate::SessionLost
        };
        self.conclude(back, Ok(Outcome::Indeterminate(why)));
    }

    fn lose_damaged(&mut self, serial: u64) -> Fate {
        let fate = Err(PublishError::Damaged);
        self.journal.finish(serial, true, &fate);
        fate
    }

    /// The connection is that of the session which the store describes.
    pub(super) fn keep_client(&mut self) {
        self.journal.put_client(&self.client_id);
    }

    /// The server knows nothing of what it has sent before.
    pub(super) fn forget_received(&mut self) {
        for packet_id in (1..=u16::MAX).filter_map(PacketId::new) {
            if self.inbound.is_empty() {
                return;
            }
            if self.inbound.release(packet_id) {
                self.journal.release_received(packet_id);
            }
        }
    }
}

/// What a store holds of a client.
#[derive(Default)]
pub(crate) struct Kept {
    messages: Entries,
    in_flight: Entries,
    received: Entries,
    outcomes: Entries,
    session: Entries,
}

impl Kept {
    pub(crate) fn read(store: &mut dyn Store) -> Result<Kept, StoreError> {
        Ok(Kept {
            messages: store.scan(MESSAGES)?,
            in_flight: store.scan(IN_FLIGHT)?,
            received: store.scan(RECEIVED)?,
            outcomes: store.scan(OUTCOMES)?,
            session: store.scan(SESSION)?,
        })
    }

    fn damaged(&self) -> usize {
        let parts = [
            &self.messages,
            &self.in_flight,
            &self.received,
            &self.outcomes,
            &self.session,
        ];
        parts.iter().map(|part| part.corrupt.len()).sum()
    }
}

fn serial(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn packet_id(bytes: &[u8]) -> Option<PacketId> {
    PacketId::new(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn read_in_flight(value: &[u8]) -> Option<(PacketId, bool)> {
    match value {
        [FORMAT, high, low, stage @ (0 | 1)] => Some((packet_id(&[*high, *low])?, *stage == 1)),
        _ => None,
    }
}

const FLAG_RECEIPT: u8 = 1;
const FLAG_EXPIRY: u8 = 2;

struct Record {
    message: Outgoing,
    has_receipt: bool,
    since_epoch: Duration,
}

/// A head of ours, and behind it the message as a PUBLISH of MQTT 5.
fn message_record(message: &Outgoing, has_receipt: bool, since_epoch: Duration) -> Vec<u8> {
    let expiry = message.message_expiry_secs;
    let flags = u8::from(has_receipt) * FLAG_RECEIPT + u8::from(expiry.is_some()) * FLAG_EXPIRY;
    let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    let mut record = vec![FORMAT, flags];
    record.extend_from_slice(&millis.to_be_bytes());
    record.extend_from_slice(&expiry.unwrap_or(0).to_be_bytes());
    let delivery = match message.qos {
        Qos::ExactlyOnce => Delivery::ExactlyOnce {
            packet_id: PacketId::MIN,
            dup: false,
        },
        Qos::AtLeastOnce | Qos::AtMostOnce => Delivery::AtLeastOnce {
            packet_id: PacketId::MIN,
            dup: false,
        },
    };
    let publish = Publish {
        delivery,
        retain: message.retain,
        topic: TopicName::new(&message.topic).ok(),
        properties: message.properties.as_properties(),
        payload: &message.payload,
    };
    if let Err(error) = encode_publish_head(&publish, Version::V5, &mut record) {
        // A message that is too long for the standard is refused when it is about to be sent.
        tracing::error!(%error, "a message cannot be stored");
    }
    record.extend_from_slice(&message.payload);
    record
}

fn read_message(value: &[u8]) -> Option<Record> {
    let ([FORMAT, flags], rest) = value.split_first_chunk::<2>()? else {
        return None;
    };
    let (millis, rest) = rest.split_first_chunk::<8>()?;
    let (expiry, bytes) = rest.split_first_chunk::<4>()?;
    let found = frame(bytes, u32::MAX).ok()??;
    if found.len != bytes.len() {
        return None;
    }
    let packet = decode(found, Version::V5, &DecodeLimits::UNLIMITED).ok()?;
    let Packet::Publish(publish) = packet else {
        return None;
    };
    let expiry = u32::from_be_bytes(*expiry);
    Some(Record {
        message: Outgoing {
            topic: publish.topic?.as_str().into(),
            payload: bytes::Bytes::copy_from_slice(publish.payload),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            message_expiry_secs: (flags & FLAG_EXPIRY != 0).then_some(expiry),
            properties: publish.properties.into(),
        },
        has_receipt: flags & FLAG_RECEIPT != 0,
        since_epoch: Duration::from_millis(u64::from_be_bytes(*millis)),
    })
}

/// `None` for what can only be told to a caller that is still there.
fn fate_record(fate: &Fate) -> Option<Vec<u8>> {
    let (kind, detail) = match fate {
        Ok(Outcome::Delivered) => (0, 0),
        Ok(Outcome::Rejected(reason)) => (1, u64::from(*reason as u8)),
        Ok(Outcome::Indeterminate(Indeterminate::SessionLost)) => (2, 0),
        Ok(Outcome::Indeterminate(Indeterminate::StoreDamaged)) => (2, 1),
        Ok(Outcome::Indeterminate(Indeterminate::ServerLimits)) => (2, 2),
        Err(PublishError::Expired(after)) => (3, after.as_secs()),
        Err(PublishError::QosNotSupported { max }) => (4, u64::from(*max as u8)),
        Err(PublishError::RetainNotAvailable) => (5, 0),
        Err(PublishError::PacketTooLarge { size, max }) => {
            (6, (u64::from(*max) << 32) | (*size as u64 & 0xFFFF_FFFF))
        }
        Err(PublishError::Displaced) => (7, 0),
        Err(PublishError::Damaged) => (8, 0),
        Ok(Outcome::Indeterminate(Indeterminate::Stopped)) | Err(_) => return None,
    };
    let mut record = vec![FORMAT, kind];
    record.extend_from_slice(&detail.to_be_bytes());
    Some(record)
}

fn read_fate(value: &[u8]) -> Option<Fate> {
    let ([FORMAT, kind], detail) = value.split_first_chunk::<2>()? else {
        return None;
    };
    let detail = u64::from_be_bytes(detail.try_into().ok()?);
    let byte = u8::try_from(detail);
    Some(match kind {
        0 => Ok(Outcome::Delivered),
        1 => Ok(Outcome::Rejected(ReasonCode::from_u8(byte.ok()?)?)),
        2 => Ok(Outcome::Indeterminate(match detail {
            0 => Indeterminate::SessionLost,
            1 => Indeterminate::StoreDamaged,
            2 => Indeterminate::ServerLimits,
            _ => return None,
        })),
        3 => Err(PublishError::Expired(Duration::from_secs(detail))),
        4 => Err(PublishError::QosNotSupported {
            max: Qos::from_u8(byte.ok()?)?,
        }),
        5 => Err(PublishError::RetainNotAvailable),
        6 => Err(PublishError::PacketTooLarge {
            size: usize::try_from(detail & 0xFFFF_FFFF).ok()?,
            max: u32::try_from(detail >> 32).ok()?,
        }),
        7 => Err(PublishError::Displaced),
        8 => Err(PublishError::Damaged),
        _ => return None,
    })
}
