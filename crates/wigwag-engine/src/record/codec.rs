//! Bytes of records: a format number first, then fields one after the other, texts with their length.
//!
//! Reading trusts nothing: a store may be damaged, or made by somebody else.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use wigwag_proto::codec::DecodeLimits;
use wigwag_proto::packet::{PacketType, RetainHandling, SubscriptionOptions};
use wigwag_proto::property::Carrier;
use wigwag_proto::{PacketId, Properties, Qos, TopicFilter, TopicFilterBuf, TopicName};

use crate::listener::ListenerSettings;
use crate::message::{Message, MessageRef};
use crate::policy::Identity;
use crate::restored::Clock;
use crate::routes::Grant;

/// The first byte of each record.
pub const FORMAT: u8 = 1;

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Another version of the broker has written it.
    #[error("the record has format {0}, and only {FORMAT} is known")]
    Format(u8),
    /// It is not what a broker writes.
    #[error("the record is malformed")]
    Malformed,
}

/// Puts fields behind each other.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn record() -> Writer {
        Writer(vec![FORMAT])
    }

    pub(super) fn finish(self) -> Box<[u8]> {
        self.0.into()
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Writer {
        self.0.push(value);
        self
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Writer {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Writer {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Writer {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Writer {
        let len = u32::try_from(bytes.len()).expect("a packet is smaller");
        self.u32(len);
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Writer {
        self.bytes(text.as_bytes())
    }

    /// Whether there is something, and what.
    pub(super) fn option<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Writer, T),
    ) -> &mut Writer {
        self.u8(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    /// How many there are, and each.
    pub(super) fn list<T>(
        &mut self,
        values: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Writer, T),
    ) -> &mut Writer {
        self.u32(u32::try_from(values.len()).expect("lists are bounded"));
        values.for_each(|value| write(self, value));
        self
    }

    pub(super) fn optional_text(&mut self, text: Option<&str>) -> &mut Writer {
        self.option(text, |writer, text| {
            writer.text(text);
        })
    }

    /// A moment of the wall clock.
    pub(super) fn moment(&mut self, since_epoch: Option<Duration>) -> &mut Writer {
        self.option(since_epoch, |writer, at| {
            writer.u64(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
        })
    }

    pub(super) fn qos_and_retain(&mut self, qos: Qos, retain: bool) -> &mut Writer {
        self.u8(qos as u8 | u8::from(retain) << 2)
    }

    pub(super) fn message(&mut self, message: &Message, clock: &Clock) -> &mut Writer {
        let view = message.view();
        self.text(view.topic.as_str())
            .qos_and_retain(view.qos, view.retain)
            .bytes(view.properties.as_bytes())
            .bytes(view.payload)
            .moment(view.expires_at.map(|at| clock.since_epoch(at)))
    }

    pub(super) fn identity(&mut self, identity: &Identity) -> &mut Writer {
        self.text(&identity.client_id)
            .optional_text(identity.user_name.as_deref())
            .u8(identity.is_bridge.into())
            .u16(identity.listener.number)
    }

    pub(super) fn grant(&mut self, grant: &Grant) -> &mut Writer {
        let options = &grant.options;
        // As in a SUBSCRIBE.
        let byte = options.qos as u8
            | u8::from(options.no_local) << 2
            | u8::from(options.retain_as_published) << 3
            | (options.retain_handling as u8) << 4;
        self.u8(byte)
            .u32(grant.identifier.map_or(0, NonZeroU32::get))
    }
}

/// Takes fields from the front.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

type Read<T> = Result<T, Unreadable>;

impl<'a> Reader<'a> {
    /// A value: its format has to be known.
    pub(super) fn record(bytes: &'a [u8]) -> Read<Reader<'a>> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => Ok(Reader(rest)),
            Some((&format, _)) => Err(Unreadable::Format(format)),
            None => Err(Unreadable::Malformed),
        }
    }

    pub(super) const fn key(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// What ends the record, unless it has ended before.
    pub(super) fn last<T>(
        mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Read<T>,
    ) -> Read<Option<T>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let value = read(&mut self)?;
        self.finish().map(|()| Some(value))
    }

    /// There must be nothing left.
    pub(super) fn finish(self) -> Read<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Unreadable::Malformed)
        }
    }

    fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Unreadable::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unreadable::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Read<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(super) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number that is counted up, so that one more always fits.
    pub(super) fn number(&mut self) -> Read<u64> {
        self.u64().and_then(|number| {
            if number < u64::MAX / 2 {
                Ok(number)
            } else {
                Err(Unreadable::Malformed)
            }
        })
    }

    pub(super) fn bytes(&mut self) -> Read<&'a [u8]> {
        let len = self.u32()?;
        self.take(usize::try_from(len).map_err(|_| Unreadable::Malformed)?)
    }

    pub(super) fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Unreadable::Malformed)
    }

    pub(super) fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Unreadable::Malformed),
        }
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Read<T>,
    ) -> Read<Option<T>> {
        match self.flag()? {
            true => read(self).map(Some),
            false => Ok(None),
        }
    }

    /// A list grows with what is there, not with what its length promises.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Reader<'a>) -> Read<T>,
    ) -> Read<Vec<T>> {
        let len = self.u32()?;
        let mut values = Vec::new();
        for _ in 0..len {
            values.push(read(self)?);
        }
        Ok(values)
    }

    pub(super) fn optional_text(&mut self) -> Read<Option<&'a str>> {
        self.option(Reader::text)
    }

    /// A moment of the wall clock.
    pub(super) fn moment(&mut self) -> Read<Option<Duration>> {
        self.option(|reader| reader.u64().map(Duration::from_millis))
    }

    pub(super) fn qos_and_retain(&mut self) -> Read<(Qos, bool)> {
        let byte = self.u8()?;
        if byte > 0b111 {
            return Err(Unreadable::Malformed);
        }
        Ok((qos(byte & 0b11)?, byte & 0b100 != 0))
    }

    pub(super) fn packet_id(&mut self) -> Read<PacketId> {
        PacketId::new(self.u16()?).ok_or(Unreadable::Malformed)
    }

    pub(super) fn filter(&mut self) -> Read<TopicFilterBuf> {
        let filter = TopicFilter::new(self.text()?).map_err(|_| Unreadable::Malformed)?;
        Ok(filter.into())
    }

    pub(super) fn message(&mut self, clock: &Clock) -> Read<Arc<Message>> {
        let topic = TopicName::new(self.text()?).map_err(|_| Unreadable::Malformed)?;
        let (qos, retain) = self.qos_and_retain()?;
        let carrier = Carrier::Packet(PacketType::Publish);
        let properties = Properties::parse(self.bytes()?, carrier, &DecodeLimits::UNLIMITED)
            .map_err(|_| Unreadable::Malformed)?;
        let payload = self.bytes()?;
        let expires_at = self.moment()?.map(|at| clock.time(at));
        Ok(MessageRef {
            topic,
            qos,
            retain,
            properties,
            payload,
            expires_at,
        }
        .to_message())
    }

    pub(super) fn identity(&mut self) -> Read<Identity> {
        let client_id = self.text()?;
        let user_name = self.optional_text()?;
        let mut identity = Identity::new(client_id, user_name);
        identity.is_bridge = self.flag()?;
        identity.listener = Arc::new(ListenerSettings {
            number: self.u16()?,
            ..ListenerSettings::default()
        });
        Ok(identity)
    }

    pub(super) fn grant(&mut self) -> Read<Grant> {
        let byte = self.u8()?;
        let retain_handling = match byte >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(Unreadable::Malformed),
        };
        let options = SubscriptionOptions {
            qos: qos(byte & 0b11)?,
            no_local: byte & 0b100 != 0,
            retain_as_published: byte & 0b1000 != 0,
            retain_handling,
        };
        Ok(Grant {
            options,
            identifier: self.identifier()?,
        })
    }

    /// A Subscription Identifier; one that could not be sent makes the record unusable.
    pub(super) fn identifier(&mut self) -> Read<Option<NonZeroU32>> {
        const MAX: u32 = 268_435_455;
        match self.u32()? {
            identifier @ 0..=MAX => Ok(NonZeroU32::new(identifier)),
            _ => Err(Unreadable::Malformed),
        }
    }
}

fn qos(bits: u8) -> Result<Qos, Unreadable> {
    match bits {
        0 => Ok(Qos::AtMostOnce),
        1 => Ok(Qos::AtLeastOnce),
        2 => Ok(Qos::ExactlyOnce),
        _ => Err(Unreadable::Malformed),
    }
}
