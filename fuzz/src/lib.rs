//! What the fuzz targets do with their bytes, apart from any fuzzer: a test replays the corpora on stable.
//!
//! Each function must return for every input. A panic is a bug of ours, since the bytes are a peer's.

mod node;

use std::sync::Arc;
use std::time::Duration;

use wigwag_engine::policy::AllowAll;
use wigwag_engine::record::Kind;
use wigwag_engine::record::load::Loader;
use wigwag_engine::record::save::{Extent, Save, Step};
use wigwag_engine::restored::Clock;
use wigwag_engine::{Ending, Node, Peer, Settings, Shard, ShardId};
use wigwag_proto::codec::{DecodeLimits, decode as decode_packet, encode, frame};
use wigwag_proto::inflight::Inflight;
use wigwag_proto::{Packet, PacketId, Qos, Time, Version};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];

/// What a target does with its bytes.
pub type Target = fn(&[u8]);

/// The targets by name, as in the folder of corpora.
pub const TARGETS: [(&str, Target); 6] = [
    ("decode", decode),
    ("split", split),
    ("inflight", inflight),
    ("shard", shard),
    ("node", node),
    ("records", records),
];

/// Decodes in every version. What could be decoded is encoded and decoded again, to an equal packet.
pub fn decode(data: &[u8]) {
    for version in VERSIONS {
        let Ok(Some(found)) = frame(data, u32::MAX) else {
            continue;
        };
        let Ok(packet) = decode_packet(found, version, &DecodeLimits::default()) else {
            continue;
        };
        let version = if let Packet::Connect(connect) = &packet {
            connect.version
        } else {
            version
        };
        let mut bytes = Vec::new();
        encode(&packet, version, &mut bytes).expect("what was read can be written");
        let again = frame(&bytes, u32::MAX).expect("valid").expect("whole");
        let again = decode_packet(again, version, &DecodeLimits::UNLIMITED)
            .expect("what was written can be read");
        assert_eq!(packet, again);
    }
}

/// Frames the bytes as they would arrive in two pieces: the same packets are found as in one.
pub fn split(data: &[u8]) {
    let Some((&at, data)) = data.split_first() else {
        return;
    };
    let lengths = |bytes: &[u8]| {
        let mut lengths = Vec::new();
        let mut rest = bytes;
        while let Ok(Some(found)) = frame(rest, 1_000_000) {
            lengths.push(found.len);
            rest = rest.get(found.len..).unwrap_or_default();
        }
        lengths
    };
    let whole = lengths(data);
    let first = lengths(
        data.get(..usize::from(at).min(data.len()))
            .unwrap_or_default(),
    );
    assert!(
        whole.starts_with(&first),
        "{first:?} is not the beginning of {whole:?}"
    );
}

/// Drives an in-flight table by operations: no Packet Identifier is in use twice, the count is right.
pub fn inflight(data: &[u8]) {
    let mut table = Inflight::new();
    let mut in_use = std::collections::BTreeSet::new();
    for operation in data.chunks_exact(2) {
        let &[kind, id] = operation else { return };
        let Some(packet_id) = PacketId::new(u16::from(id) + 1) else {
            return;
        };
        match kind % 8 {
            0 | 1 => {
                let qos = if kind % 8 == 0 {
                    Qos::AtLeastOnce
                } else {
                    Qos::ExactlyOnce
                };
                if let Ok(packet_id) = table.publish(qos, ()) {
                    assert!(in_use.insert(packet_id), "{packet_id} is in use twice");
                }
            }
            2 => drop(
                table
                    .handle_puback(packet_id)
                    .map(|()| in_use.remove(&packet_id)),
            ),
            3 => drop(table.handle_pubrec(packet_id, true).is_ok()),
            4 => {
                if table.handle_pubrec(packet_id, false).is_ok() {
                    in_use.remove(&packet_id);
                }
            }
            5 => drop(
                table
                    .handle_pubcomp(packet_id)
                    .map(|()| in_use.remove(&packet_id)),
            ),
            6 => table.resume(u16::from(id)),
            _ => while table.poll_resend().is_some() {},
        }
        assert_eq!(table.len(), in_use.len());
    }
}

/// Lets clients of a node of two shards hold whole conversations.
pub fn node(data: &[u8]) {
    node::run(data);
}

/// Begins a node with records of `[kind, key length, value length (2), key…, value…]`, as a damaged store may hold
/// them, lets time pass, and saves it.
pub fn records(data: &[u8]) {
    let node = Arc::new(Node::new(1, 1).with_records());
    let clock = Clock::new(Time::ZERO, Duration::from_secs(1_000));
    let Some(mut loader) = Loader::new(&node, clock) else {
        return;
    };
    let mut found: Vec<(u8, &[u8], &[u8])> = Vec::new();
    let mut rest = data;
    while let [kind, key_len, high, low, tail @ ..] = rest {
        let (key, tail) = tail.split_at(usize::from(*key_len).min(tail.len()));
        let value_len = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, tail) = tail.split_at(value_len.min(tail.len()));
        found.push((*kind, key, value));
        rest = tail;
    }
    for kind in Kind::ALL {
        let of_kind = found.iter().filter(|(of, ..)| of % 8 == kind as u8);
        for (_, key, value) in of_kind {
            // What cannot be read is left out.
            let _ = loader.add(kind, key, value);
        }
    }
    let restored = loader.finish().restored;
    node.handle_restored(restored.retained);
    let (settings, policy) = (Settings::default(), Box::new(AllowAll));
    let mut shard = Shard::new(ShardId(0), Arc::clone(&node), settings, policy);
    for session in restored.sessions {
        shard.handle_restored(Time::ZERO, session);
    }
    shard.handle_timeout(Time::new(Duration::from_secs(5)));
    let Some(mut save) = Save::new(&node, Extent::Last) else {
        return;
    };
    while let Step::Ask(_, question) = save.poll() {
        let answer = shard.handle_save(&clock, question);
        save.handle_answer(Some(&answer));
        answer
            .changes
            .write(&clock, |_, key, _| assert!(!key.is_empty()));
    }
}

/// Feeds a shard: each chunk of `[connection, length, bytes…]` goes to one of four connections, some of
/// which have sent a valid CONNECT before.
pub fn shard(data: &[u8]) {
    let node = Arc::new(Node::new(1, 1));
    let mut shard = Shard::new(ShardId(0), node, Settings::default(), Box::new(AllowAll));
    let mut now = Time::ZERO;
    let connects: [&[u8]; 4] = [
        b"",
        b"\x10\x0d\0\x04MQTT\x04\x02\0\x0a\0\x01a",
        b"\x10\x0e\0\x04MQTT\x05\x00\0\x0a\0\0\x01b",
        b"\x10\x13\0\x04MQTT\x05\x00\0\x0a\x05\x11\0\0\0\x64\0\x01b",
    ];
    let keys = connects.map(|connect| {
        let key = shard.handle_opened(now, Arc::default(), Peer::default());
        shard.handle_bytes(now, key, connect);
        key
    });
    let mut rest = data;
    while let [connection, len, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        let key = keys
            .get(usize::from(connection % 4))
            .copied()
            .unwrap_or_default();
        shard.handle_bytes(now, key, bytes);
        while let Some(touched) = shard.poll_touched() {
            if let Some(out) = shard.out(touched) {
                out.clear();
            }
            shard.handle_drained(now, touched);
            if shard.ending(touched) == Some(Ending::Drop) {
                shard.handle_closed(now, touched);
            }
        }
        shard.poll_events(now);
        now = now + Duration::from_millis(u64::from(*connection));
        shard.handle_timeout(now);
        rest = tail;
    }
}
