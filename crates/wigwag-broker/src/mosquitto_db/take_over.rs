//! What a file of Mosquitto means here: sessions and retained messages to begin with.
//!
//! Pure: the wall clock is an argument. What cannot be what it should be, such as a topic that is none, is left out
//! and counted; it says nothing against the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use wigwag_engine::message::{Message, MessageRef};
use wigwag_engine::policy::Identity;
use wigwag_engine::proto::packet::{PacketType, RetainHandling, SubscriptionOptions};
use wigwag_engine::proto::property::Carrier;
use wigwag_engine::proto::{
    DecodeLimits, PacketId, Properties, PropertiesBuf, Property, Qos, Time, TopicFilter, TopicName,
};
use wigwag_engine::restored::{Clock, InFlight, Outgoing, Received, Restored, Retained, Session};
use wigwag_engine::routes::Grant;

use super::format::{self, Client, ClientMessage, Dump, Expiry};

/// What there was in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sessions: usize,
    pub(crate) subscriptions: usize,
    /// On their way to clients, or waiting for them.
    pub(crate) messages: usize,
    pub(crate) retained: usize,
    /// Sessions and messages whose time has passed.
    pub(crate) expired: usize,
    /// Entries that make no sense.
    pub(crate) left_out: usize,
}

/// Makes sessions and retained messages of a file. `listener_at` knows which listener has a port.
pub(crate) fn take_over(
    dump: &Dump<'_>,
    clock: &Clock,
    listener_at: impl Fn(u16) -> Option<u16>,
) -> (Restored, Counts) {
    let mut taking = TakeOver {
        clock,
        messages: BTreeMap::new(),
        expired: BTreeSet::new(),
        sessions: Vec::new(),
        places: BTreeMap::new(),
        retained: BTreeMap::new(),
        counts: Counts::default(),
    };
    for message in &dump.messages {
        taking.add_message(message);
    }
    for client in &dump.clients {
        let listener = listener_at(client.listener_port).unwrap_or_default();
        taking.add_client(client, listener);
    }
    for subscription in &dump.subscriptions {
        taking.add_subscription(subscription);
    }
    for store_id in &dump.retained {
        taking.add_retained(*store_id);
    }
    for message in &dump.client_messages {
        taking.add_client_message(message);
    }
    taking.finish()
}

struct TakeOver<'a> {
    clock: &'a Clock,
    messages: BTreeMap<u64, Stored<'a>>,
    /// Numbers of messages whose time has passed.
    expired: BTreeSet<u64>,
    sessions: Vec<Session>,
    /// Where in `sessions` a client's is; `None` if its time has passed.
    places: BTreeMap<&'a str, Option<usize>>,
    retained: BTreeMap<&'a str, Retained>,
    counts: Counts,
}

/// A message, and who published it.
struct Stored<'a> {
    message: Arc<Message>,
    topic: &'a str,
    source: Option<Identity>,
}

/// Where a message is on its way to a client. The numbers are Mosquitto's.
enum Stage {
    Waiting,
    /// Sent, and neither PUBACK nor PUBREC has come.
    Sent,
    /// PUBREC has come.
    Received,
}

impl Stage {
    const fn of(state: u8) -> Option<Stage> {
        Some(match state {
            1 | 11 => Stage::Waiting,
            2..=5 => Stage::Sent,
            6 | 9 => Stage::Received,
            _ => return None,
        })
    }
}

impl<'a> TakeOver<'a> {
    fn is_past(&self, time: i64) -> bool {
        Duration::from_secs(time.unsigned_abs()) <= self.clock.since_epoch(self.clock.now())
    }

    fn moment(&self, time: i64) -> Time {
        self.clock.time(Duration::from_secs(time.unsigned_abs()))
    }

    fn add_message(&mut self, stored: &format::Message<'a>) {
        if stored.expiry_time != 0 && self.is_past(stored.expiry_time) {
            self.counts.expired += 1;
            self.expired.insert(stored.store_id);
            return;
        }
        let expires_at = (stored.expiry_time != 0).then(|| self.moment(stored.expiry_time));
        match read_message(stored, expires_at) {
            Some(message) => _ = self.messages.insert(stored.store_id, message),
            None => self.counts.left_out += 1,
        }
    }

    fn add_client(&mut self, client: &Client<'a>, listener: u16) {
        let Some(client_id) = text(client.client_id) else {
            self.counts.left_out += 1;
            return;
        };
        let (expiry_secs, ends_at) = match client.expiry {
            Expiry::Unknown => (u32::MAX, 0),
            Expiry::Said {
                interval_secs: u32::MAX,
                ..
            } => (u32::MAX, 0),
            Expiry::Said {
                interval_secs,
                time,
            } => (interval_secs, time),
        };
        if expiry_secs == 0 || (ends_at != 0 && self.is_past(ends_at)) {
            self.counts.expired += 1;
            self.places.entry(client_id).or_insert(None);
            return;
        }
        let ends_at = (ends_at != 0).then(|| self.moment(ends_at));
        if let Some(session) = self.session(client_id) {
            session.user_name = text(client.user_name).map(Into::into);
            session.listener = listener;
            session.expiry_secs = expiry_secs;
            session.ends_at = ends_at;
        }
    }

    /// The session of a client. Mosquitto makes one too for whoever has a subscription or a message and nothing else.
    fn session(&mut self, client_id: &'a str) -> Option<&mut Session> {
        let sessions = &mut self.sessions;
        let place = self.places.entry(client_id).or_insert_with(|| {
            sessions.push(Session::new(client_id));
            Some(sessions.len() - 1)
        });
        place.and_then(|place| sessions.get_mut(place))
    }

    fn add_subscription(&mut self, said: &format::Subscription<'a>) {
        let read = || {
            let options = SubscriptionOptions {
                qos: Qos::from_u8(said.qos)?,
                no_local: said.options & 0x04 != 0,
                retain_as_published: said.options & 0x08 != 0,
                retain_handling: match said.options >> 4 & 3 {
                    0 => RetainHandling::Send,
                    1 => RetainHandling::SendIfNew,
                    _ => RetainHandling::DoNotSend,
                },
            };
            let identifier = NonZeroU32::new(said.identifier);
            let filter = TopicFilter::new(text(said.filter)?).ok()?;
            Some((
                text(said.client_id)?,
                filter,
                Grant {
                    options,
                    identifier,
                },
            ))
        };
        let Some((client_id, filter, grant)) = read() else {
            self.counts.left_out += 1;
            return;
        };
        if let Some(session) = self.session(client_id) {
            session.subscriptions.push((filter.into(), grant));
            self.counts.subscriptions += 1;
        }
    }

    fn add_retained(&mut self, store_id: u64) {
        let Some(stored) = self.messages.get(&store_id) else {
            self.counts.left_out += usize::from(!self.expired.contains(&store_id));
            return;
        };
        let mut retained = Retained::new(Arc::clone(&stored.message));
        retained.source.clone_from(&stored.source);
        self.retained.insert(stored.topic, retained);
    }

    fn add_client_message(&mut self, said: &ClientMessage<'a>) {
        if self.expired.contains(&said.store_id) {
            return;
        }
        let taken = match said.is_outgoing {
            true => self.add_outgoing(said),
            false => self.add_incoming(said),
        };
        self.counts.left_out += usize::from(taken.is_none());
    }

    fn add_outgoing(&mut self, said: &ClientMessage<'a>) -> Option<()> {
        let stage = Stage::of(said.state)?;
        let qos = Qos::from_u8(said.qos)?;
        let mut outgoing =
            Outgoing::new(Arc::clone(&self.messages.get(&said.store_id)?.message), qos);
        outgoing.retain = said.retain;
        outgoing.identifiers = subscription_identifiers(said.properties)?;
        let packet_id = PacketId::new(said.packet_id).filter(|_| qos != Qos::AtMostOnce);
        let Some(session) = self.session(text(said.client_id)?) else {
            // Its time has passed.
            return Some(());
        };
        match (stage, packet_id) {
            (Stage::Sent, Some(packet_id)) => {
                session
                    .in_flight
                    .push(InFlight::new(packet_id, Some(outgoing)));
            }
            (Stage::Received, Some(packet_id)) if qos == Qos::ExactlyOnce => {
                session.in_flight.push(InFlight::new(packet_id, None));
            }
            (Stage::Received, _) => return None,
            (Stage::Waiting | Stage::Sent, _) => session.queue.push(outgoing),
        }
        self.counts.messages += 1;
        Some(())
    }

    /// A message of QoS 2 that its client has not released: it is routed when PUBREL comes.
    fn add_incoming(&mut self, said: &ClientMessage<'a>) -> Option<()> {
        const WAITS_FOR_PUBREL: u8 = 7;
        const SENDS_PUBREC: u8 = 10;
        // In any other state the client will send it again, or has released it.
        if !matches!(said.state, WAITS_FOR_PUBREL | SENDS_PUBREC) {
            return Some(());
        }
        let message = Arc::clone(&self.messages.get(&said.store_id)?.message);
        let packet_id = PacketId::new(said.packet_id)?;
        if let Some(session) = self.session(text(said.client_id)?) {
            session.received.push(Received {
                packet_id,
                message: Some(message),
            });
            self.counts.messages += 1;
        }
        Some(())
    }

    fn finish(mut self) -> (Restored, Counts) {
        self.counts.sessions = self.sessions.len();
        self.counts.retained = self.retained.len();
        let restored = Restored {
            sessions: self.sessions,
            retained: self.retained.into_values().collect(),
        };
        (restored, self.counts)
    }
}

/// Text that is there and is text.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty())
}

fn read_message<'a>(stored: &format::Message<'a>, expires_at: Option<Time>) -> Option<Stored<'a>> {
    let topic = text(stored.topic)?;
    let mut properties = PropertiesBuf::new();
    for property in read_properties(stored.properties)?.iter() {
        let travels = !matches!(
            property,
            Property::TopicAlias(_)
                | Property::MessageExpiryInterval(_)
                | Property::SubscriptionIdentifier(_)
        );
        if travels {
            properties.push(property).ok()?;
        }
    }
    let message = MessageRef {
        topic: TopicName::new(topic).ok()?,
        qos: Qos::from_u8(stored.qos)?,
        retain: stored.retain,
        properties: properties.as_properties(),
        payload: stored.payload,
        expires_at,
    };
    let source = text(stored.source_id);
    Some(Stored {
        message: message.to_message(),
        topic,
        source: source.map(|client_id| Identity::new(client_id, text(stored.source_user_name))),
    })
}

fn subscription_identifiers(block: &[u8]) -> Option<Vec<NonZeroU32>> {
    let identifiers = read_properties(block)?;
    let identifiers = identifiers.subscription_identifiers();
    Some(identifiers.filter_map(NonZeroU32::new).collect())
}

/// Properties of a PUBLISH with their length in front, or nothing at all.
fn read_properties(block: &[u8]) -> Option<Properties<'_>> {
    if block.is_empty() {
        return Some(Properties::EMPTY);
    }
    let (len, rest) = split_var_int(block)?;
    if len != rest.len() {
        return None;
    }
    // What has been accepted once is not counted again.
    Properties::parse(
        rest,
        Carrier::Packet(PacketType::Publish),
        &DecodeLimits::UNLIMITED,
    )
    .ok()
}

/// A Variable Byte Integer, and what is behind it.
fn split_var_int(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    let (digits, rest) = bytes.split_at_checked(end + 1)?;
    let value =
        (digits.iter().rev()).fold(0, |value, digit| value << 7 | usize::from(digit & 0x7F));
    Some((value, rest))
}
