//! The packets of the load, written and read with as little work as possible.
//!
//! A PUBLISH is encoded once per publisher and then copied and patched; a received one is read only
//! as far as the generator needs it, because the generator shares the machine with the broker. The
//! packets of the handshake go through the ordinary codec in [`crate::connection`].

use anyhow::{Context as _, bail};
use wigwag_proto::codec::{Frame, encode_publish};
use wigwag_proto::packet::{Delivery, PacketType, Publish};
use wigwag_proto::{PacketId, Properties, Qos, ReasonCode, TopicName, Version};

/// Packet Identifiers are reused after this many messages; so many may be unacknowledged at most.
pub(crate) const PACKET_IDS: u64 = 65_535;

/// What the front of every payload says. The rest of the payload is zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Tells the messages of this run from those of anybody else.
    pub(crate) run: u32,
    pub(crate) publisher: u32,
    /// Counts the messages of the publisher from 0.
    pub(crate) number: u64,
    /// When the message was sent, or should have been, in nanoseconds of the generator's clock.
    pub(crate) sent_nanos: u64,
}

impl Stamp {
    /// The shortest payload that can be measured.
    pub(crate) const LEN: usize = 24;

    fn to_bytes(self) -> [u8; Stamp::LEN] {
        let mut bytes = [0; Stamp::LEN];
        bytes[..4].copy_from_slice(&self.run.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.publisher.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..].copy_from_slice(&self.sent_nanos.to_le_bytes());
        bytes
    }

    #[inline]
    pub(crate) fn read(payload: &[u8]) -> Option<Stamp> {
        let (run, rest) = payload.split_first_chunk()?;
        let (publisher, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (sent_nanos, _) = rest.split_first_chunk()?;
        Some(Stamp {
            run: u32::from_le_bytes(*run),
            publisher: u32::from_le_bytes(*publisher),
            number: u64::from_le_bytes(*number),
            sent_nanos: u64::from_le_bytes(*sent_nanos),
        })
    }
}

/// The PUBLISH of one publisher, to be copied and patched.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    packet_id_at: Option<usize>,
    payload_at: usize,
}

impl Template {
    pub(crate) fn new(
        topic: &str,
        qos: Qos,
        version: Version,
        payload_len: usize,
    ) -> anyhow::Result<Template> {
        let delivery = match qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce => Delivery::AtLeastOnce {
                packet_id: PacketId::MIN,
                dup: false,
            },
            Qos::ExactlyOnce => Delivery::ExactlyOnce {
                packet_id: PacketId::MIN,
                dup: false,
            },
        };
        let payload = vec![0; payload_len.max(Stamp::LEN)];
        let publish = Publish {
            delivery,
            retain: false,
            topic: Some(TopicName::new(topic)?),
            properties: Properties::EMPTY,
            payload: &payload,
        };
        let mut bytes = Vec::new();
        encode_publish(&publish, version, &mut bytes)?;
        let payload_at = bytes.len() - payload.len();
        // Between the Packet Identifier and the payload stands the length of no properties.
        let properties_len = usize::from(version.has_properties());
        let packet_id_at = (qos != Qos::AtMostOnce).then(|| payload_at - properties_len - 2);
        Ok(Template {
            bytes,
            packet_id_at,
            payload_at,
        })
    }

    /// Bytes of one packet.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(crate) fn append(&self, stamp: Stamp, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        if let Some(at) = self.packet_id_at {
            let packet_id = packet_id_of(stamp.number);
            out[start + at..start + at + 2].copy_from_slice(&packet_id.to_be_bytes());
        }
        let payload = start + self.payload_at;
        out[payload..payload + Stamp::LEN].copy_from_slice(&stamp.to_bytes());
    }
}

/// The Packet Identifier of a publisher's message.
#[inline]
fn packet_id_of(number: u64) -> u16 {
    (number % PACKET_IDS) as u16 + 1
}

/// The message that an acknowledgement means, when all below `acknowledged` have theirs.
///
/// Identifiers repeat, so it is the one nearest to the next that is expected.
#[inline]
pub(crate) fn number_of(packet_id: u16, acknowledged: u64) -> Option<u64> {
    if packet_id == packet_id_of(acknowledged) {
        return Some(acknowledged);
    }
    number_out_of_turn(packet_id, acknowledged)
}

fn number_out_of_turn(packet_id: u16, acknowledged: u64) -> Option<u64> {
    let slot = u64::from(packet_id.checked_sub(1)?);
    let ahead = (slot + PACKET_IDS - acknowledged % PACKET_IDS) % PACKET_IDS;
    if ahead <= PACKET_IDS / 2 {
        Some(acknowledged + ahead)
    } else {
        (acknowledged + ahead).checked_sub(PACKET_IDS)
    }
}

/// What the generator needs of a received PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received<'a> {
    /// The two bytes of the Packet Identifier as an acknowledgement repeats them.
    pub(crate) packet_id: Option<[u8; 2]>,
    pub(crate) payload: &'a [u8],
}

impl<'a> Received<'a> {
    #[inline]
    pub(crate) fn read(frame: &Frame<'a>, version: Version) -> anyhow::Result<Received<'a>> {
        read_publish(frame, version).context("the broker sent a PUBLISH that ends inside a field")
    }
}

#[inline]
fn read_publish<'a>(frame: &Frame<'a>, version: Version) -> Option<Received<'a>> {
    let (topic_len, rest) = frame.body.split_first_chunk()?;
    let mut rest = rest.get(usize::from(u16::from_be_bytes(*topic_len))..)?;
    let mut packet_id = None;
    if frame.flags & 0b0110 != 0 {
        let (bytes, after) = rest.split_first_chunk()?;
        packet_id = Some(*bytes);
        rest = after;
    }
    if version.has_properties() {
        rest = skip_properties(rest)?;
    }
    Some(Received {
        packet_id,
        payload: rest,
    })
}

fn skip_properties(bytes: &[u8]) -> Option<&[u8]> {
    let mut len = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes.get(index + 1 + len..);
        }
    }
    None
}

/// Answers a message of QoS 1 with PUBACK, one of QoS 2 with PUBREC.
#[inline]
pub(crate) fn append_receipt(frame: &Frame<'_>, packet_id: [u8; 2], out: &mut Vec<u8>) {
    let receipt = if frame.flags & 0b0100 == 0 {
        PUBACK
    } else {
        PUBREC
    };
    append_ack(receipt, packet_id, out);
}

pub(crate) const PUBREL: u8 = (PacketType::PubRel as u8) << 4 | 0b0010;
pub(crate) const PUBCOMP: u8 = (PacketType::PubComp as u8) << 4;
const PUBACK: u8 = (PacketType::PubAck as u8) << 4;
const PUBREC: u8 = (PacketType::PubRec as u8) << 4;

/// Appends an acknowledgement that accepts, in its shortest form, which all versions share.
pub(crate) fn append_ack(first_byte: u8, packet_id: [u8; 2], out: &mut Vec<u8>) {
    let [high, low] = packet_id;
    out.extend_from_slice(&[first_byte, 2, high, low]);
}

/// The Packet Identifier of an acknowledgement that accepts its message.
#[inline]
pub(crate) fn accepted_id(frame: &Frame<'_>, version: Version) -> anyhow::Result<[u8; 2]> {
    match frame.body.split_first_chunk() {
        // Without a Reason Code it is Success.
        Some((&packet_id, [])) => Ok(packet_id),
        Some((&packet_id, [code, ..])) => {
            check_reason(*code, version)?;
            Ok(packet_id)
        }
        None => bail!(
            "the broker sent a {} that ends inside a field",
            frame.packet_type
        ),
    }
}

/// An error would be counted as a loss with a false cause.
fn check_reason(code: u8, version: Version) -> anyhow::Result<()> {
    let reason = ReasonCode::from_u8(code).filter(|_| version.has_properties());
    match reason.filter(|reason| reason.is_error()) {
        Some(reason) => bail!("the broker refused a message: {reason}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use wigwag_proto::codec::{DecodeLimits, decode, frame};
    use wigwag_proto::{Packet, PropertiesBuf, Property};

    use super::*;

    const STAMP: Stamp = Stamp {
        run: 0xA1B2_C3D4,
        publisher: 19,
        number: 70_000,
        sent_nanos: 123_456_789_012,
    };

    #[test]
    fn a_patched_template_is_the_publish_that_the_codec_reads() {
        for version in [Version::V3_1_1, Version::V5] {
            for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
                let template = Template::new("bench/1/2", qos, version, 300).unwrap();
                let mut out = vec![0xFF];
                template.append(STAMP, &mut out);
                assert_eq!(out.len(), 1 + template.len());
                let frame = frame(&out[1..], u32::MAX).unwrap().unwrap();

                let received = Received::read(&frame, version).unwrap();
                assert_eq!(Stamp::read(received.payload), Some(STAMP));
                assert_eq!(received.payload.len(), 300);

                let packet = decode(frame, version, &DecodeLimits::UNLIMITED).unwrap();
                let Packet::Publish(publish) = packet else {
                    panic!("{packet:?}");
                };
                assert_eq!(publish.topic.unwrap().as_str(), "bench/1/2");
                assert_eq!(publish.payload, received.payload);
                let packet_id = publish
                    .delivery
                    .packet_id()
                    .map(|id| id.get().to_be_bytes());
                assert_eq!(packet_id, received.packet_id);
                assert_eq!(publish.delivery.qos(), qos);
            }
        }
    }

    #[test]
    fn properties_that_a_broker_adds_are_skipped() {
        let value = "x".repeat(200);
        let properties = PropertiesBuf::new()
            .with(Property::UserProperty(("name", &value)))
            .unwrap();
        let publish = Publish {
            delivery: Delivery::AtMostOnce,
            retain: false,
            topic: Some(TopicName::new("t").unwrap()),
            properties: properties.as_properties(),
            payload: b"payload",
        };
        let mut out = Vec::new();
        encode_publish(&publish, Version::V5, &mut out).unwrap();
        let frame = frame(&out, u32::MAX).unwrap().unwrap();
        let received = Received::read(&frame, Version::V5).unwrap();
        assert_eq!(received.payload, b"payload");
    }

    #[test]
    fn a_publish_cut_short_is_an_error() {
        let out = [0x32, 5, 0, 3, b'a', b'b', b'c'];
        let frame = frame(&out, u32::MAX).unwrap().unwrap();
        assert!(Received::read(&frame, Version::V3_1_1).is_err());
        assert_eq!(Stamp::read(&[0; Stamp::LEN - 1]), None);
    }

    #[test]
    fn an_acknowledgement_finds_its_message_across_the_reuse_of_identifiers() {
        for number in [0, 1, 65_534, 65_535, 65_536, 1_000_000] {
            let id = packet_id_of(number);
            assert_eq!(number_of(id, number), Some(number));
            assert_eq!(number_of(id, number.saturating_sub(2_000)), Some(number));
            assert_eq!(number_of(id, number + 2_000), Some(number));
        }
        assert_eq!(number_of(0, 5), None);
        assert_eq!(number_of(65_535, 0), None);
    }
}
