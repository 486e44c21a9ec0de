//! A recorded message as key and value of a store: by topic, then by time.

use wigwag_proto::Qos;

/// Bytes of a payload that are kept; of a longer one, the first.
pub(crate) const PAYLOAD_MAX: usize = 64 * 1024;

/// Ends the topic in a key: no topic has it. [MQTT-1.5.4-2]
const END: u8 = 0;

const RETAIN: u8 = 1 << 2;
const CUT: u8 = 1 << 3;

/// A recorded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Microseconds since 1970, which no other has.
    pub(crate) at: u64,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// At most [`PAYLOAD_MAX`] bytes.
    pub(crate) payload: Vec<u8>,
    /// Bytes that it had, if these are not all.
    pub(crate) cut_from: Option<u64>,
}

/// Where a message of this topic and time is.
pub(super) fn key(topic: &str, at: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(topic.len() + 9);
    key.extend_from_slice(topic.as_bytes());
    key.push(END);
    key.extend_from_slice(&at.to_be_bytes());
    key
}

/// What is kept of a message.
pub(super) fn value(payload: &[u8], qos: Qos, retain: bool) -> Vec<u8> {
    let kept = payload.get(..PAYLOAD_MAX).unwrap_or(payload);
    let is_cut = kept.len() < payload.len();
    let mut value = Vec::with_capacity(9 + kept.len());
    value.push(qos as u8 | flag(retain, RETAIN) | flag(is_cut, CUT));
    if is_cut {
        value.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    }
    value.extend_from_slice(kept);
    value
}

const fn flag(is_set: bool, flag: u8) -> u8 {
    if is_set { flag } else { 0 }
}

/// The message that key and value are of. `None` for what no recorder has written.
pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Entry> {
    let (_, at) = key.split_last_chunk()?;
    let (&flags, mut payload) = value.split_first()?;
    let qos = match flags & 3 {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        2 => Qos::ExactlyOnce,
        _ => return None,
    };
    let mut cut_from = None;
    if flags & CUT != 0 {
        let (len, rest) = payload.split_first_chunk()?;
        (cut_from, payload) = (Some(u64::from_be_bytes(*len)), rest);
    }
    Some(Entry {
        at: u64::from_be_bytes(*at),
        qos,
        retain: flags & RETAIN != 0,
        payload: payload.to_vec(),
        cut_from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_long_payloads_are_cut() {
        for (qos, retain) in [(Qos::AtMostOnce, true), (Qos::ExactlyOnce, false)] {
            for len in [0, 1, PAYLOAD_MAX, PAYLOAD_MAX + 1] {
                let payload = vec![7; len];
                let entry = read(&key("a/b", 42), &value(&payload, qos, retain)).expect("one");
                assert_eq!((entry.at, entry.qos, entry.retain), (42, qos, retain));
                let is_cut = len > PAYLOAD_MAX;
                assert_eq!(entry.payload.len(), len - usize::from(is_cut));
                assert_eq!(entry.cut_from, is_cut.then_some(len as u64));
            }
        }
        let garbage: [(&[u8], &[u8]); 4] = [
            (b"", b"\0"),
            (b"a\0", b""),
            (&[0; 9], &[3]),
            (&[0; 9], &[8, 1]),
        ];
        for (key, value) in garbage {
            assert_eq!(read(key, value), None);
        }
    }

    #[test]
    fn keys_have_the_order_of_topics_and_then_of_time() {
        let sorted = [key("a", 5), key("a", 300), key("a/b", 1), key("ab", 0)];
        assert!(sorted.is_sorted());
    }
}
